-- The life of streams: states, close and abort, errors that stay, facts, memory streams and pairs.

local qn = require "qn"
local core = require "qn.core"
local leaks = require "spec.support.leaks"
local pair = require "spec.support.pair"
local peers = require "spec.support.peers"
local splits = require "spec.support.splits"
local throws = require "spec.support.throws"

local function assert_error(kind, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind)
  return err
end

describe("close", function()
  pair.each(it, "sends what was written, then ends", function(a, b)
    local text = ("c"):rep(700000)
    local reader = qn.spawn(function()
      return (assert(b:read("a")))
    end)
    assert.is_true(a:write(text))
    assert.is_true(a:close())
    assert.is_true(a:close())
    local ok, got = reader:join()
    assert.is_true(ok and got == text)
    assert.is_true(a:wait_closed())
    assert.equal("unconnected", a:state())
    assert.is_false(a:is_open())
  end)

  pair.each(it, "settles who waits, with kind closed", function(a)
    a:set_write_mark(100)
    local reader = qn.spawn(a.read, a, 1)
    local writer = qn.spawn(a.write, a, ("w"):rep(8 << 20))
    qn.yield()
    qn.yield()
    a:close()
    for _, task in ipairs { reader, writer } do
      local ok, value, err = task:join()
      assert.is_true(ok)
      assert_error("closed", value, err)
    end
    a:abort()
  end)

  it("makes every later call an error of kind closed", pair.body("tcp", function(a, b)
    b:write("unread")
    assert.equal("u", a:read(1))
    a:close()
    assert_error("closed", a:read(1))
    assert_error("closed", a:recv())
    assert_error("closed", a:read("n", "l"))
    assert_error("closed", a:unpack("b"))
    assert_error("closed", a:read_into(qn.buffer(1)))
    assert_error("closed", a:peek(1))
    assert_error("closed", a:skip(1))
    assert_error("closed", a:write("x"))
    assert_error("closed", a:pack("b", 1))
    assert_error("closed", a:flush())
    assert_error("closed", a:shutdown("w"))
    assert_error("closed", a:unread("x"))
    assert_error("closed", a:send_file("/etc/hostname"))
    assert_error("closed", a:option("nodelay"))
    assert_error("closed", a:option("nodelay", true))
    assert_error("closed", a:connect("127.0.0.1", 1))
    assert_error("closed", qn.copy(a, b))
    assert_error("closed", qn.copy(b, a))
    assert.same({ 0, 0, false }, { a:bytes_available(), a:bytes_to_write(), a:can_read_line() })
    assert.is_nil(a:descriptor())
  end))

  pair.each(it, "is what <close> does", function(a, b)
    do
      local s <close> = a
      s:write("bye")
    end
    assert.equal("bye", b:read("a"))
    assert_error("closed", a:read(1))
  end)

  it("is done when the bytes are gone, and wait_closed tells", pair.body("tcp", function(a, b)
    local writer = qn.spawn(a.write, a, ("x"):rep(900000))
    qn.yield()
    assert.is_true(writer:join())
    a:write(("y"):rep(32 << 10))
    b:set_read_buffer_size(1)
    a:close()
    local waiter = qn.spawn(a.wait_closed, a)
    qn.yield()
    assert_error("busy", (function()
      if waiter:status() == "waiting" then
        return a:wait_closed()
      end
      return nil, qn.error("busy", "it is closed already")
    end)())
    assert.is_not_nil(b:read("a"))
    assert.same({ true, true }, { waiter:join() })
    assert.is_true(a:wait_closed())
  end))

  it("has a time limit to wait for", pair.body("memory", function(a)
    local err = assert_error("timeout", a:wait_closed(0.001))
    assert.equal("close", err.op)
    throws.method(assert, "#1 to 'wait_closed'.*negative", a, "wait_closed", -1)
    throws.method(assert, "#1 to 'wait_closed'.*NaN", a, "wait_closed", 0 / 0)
    throws.method(assert, "#1 to 'wait_closed'", a, "wait_closed", "soon")
  end))

  it("waits no longer than a stall for a peer that takes nothing", pair.body("tcp", function(a, b)
    b:set_read_buffer_size(1)
    while a:bytes_to_write() < 500000 do
      assert(a:write(("s"):rep(100000)))
      a:push()
    end
    a:set_timeouts { write = 0.02 }
    a:close()
    assert.equal("closing", a:state())
    assert.is_true(a:wait_closed())
    assert.equal("unconnected", a:state())
  end))
end)

describe("abort", function()
  it("drops what was written and resets the peer", pair.body("tcp", function(a, b)
    while a:bytes_to_write() == 0 do
      a:write(("d"):rep(100000))
      a:push()
    end
    a:abort()
    a:abort()
    assert.equal("unconnected", a:state())
    local value, err
    repeat
      value, err = b:recv()
    until not value
    assert_error("reset", value, err)
    assert.equal("ECONNRESET", err.code)
    assert.equal("reset", b:error().kind)
    assert.equal("unconnected", b:state())
    assert_error("reset", b:read(1))
    assert_error("reset", b:write("x"))
  end))

  it("after close does not wait for the bytes", pair.body("tcp", function(a, b)
    while a:bytes_to_write() == 0 do
      a:write(("d"):rep(100000))
      a:push()
    end
    a:close()
    assert.equal("closing", a:state())
    a:abort()
    assert.equal("unconnected", a:state())
    assert.is_true(a:wait_closed())
    b:abort()
  end))

  it("gives the buffered bytes before the reset", function()
    peers.with({ { expect = "go" }, "first", { reset = true } }, function(s, peer)
      s:write("go")
      assert.equal("fir", s:read(3))
      peer:join()
      splits.until_true("the reset was seen", function()
        return s:peek(10) == nil or s:state() == "unconnected"
      end)
      assert.equal("st", s:read(2))
      assert_error("reset", s:read(1))
    end)
  end)
end)

describe("a stream", function()
  it("knows its state and its facts", pair.body("tcp", function(a, b)
    assert.equal("connected", a:state())
    assert.is_true(a:is_open())
    assert.is_nil(a:error())
    assert.is_false(a:at_end())
    assert.equal("socket", a:layers())
    assert.is_true(a:id() ~= b:id())
    b:write("line\nmore")
    assert.is_false(a:can_read_line())
    assert.equal("l", a:peek(1))
    assert.equal(9, a:bytes_available())
    assert.is_true(a:can_read_line())
    assert.equal("line", a:read("l"))
    assert.is_false(a:can_read_line())
    assert.equal(9, a:bytes_received())
    assert.equal(9, b:bytes_sent())
    b:shutdown("w")
    assert.equal("more", a:read("a"))
    assert.is_true(a:at_end())
    assert.truthy(tostring(a):find("^qn%.Socket: #%d+ connected 127%.0%.0%.1:%d+$"))
  end))

  it("keeps unread bytes after the peer and it have ended", pair.body("tcp", function(a, b)
    b:write("left over")
    b:shutdown("w")
    assert.equal("l", a:read(1))
    a:shutdown("w")
    splits.until_true("it is over", function()
      return a:peek(20) and a:state() == "unconnected"
    end)
    assert.equal("eft over", a:read("a"))
    assert.is_false(a:is_open())
  end))

  it("is closed by the collector, and counted as leaked", function()
    leaks.expect { leaked = 1 }
    local before = qn.stats().leaked
    local a, b = qn.pair()
    b:close()
    a:write("x")
    a, b = nil, nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.equal(before + 1, qn.stats().leaked)
  end)

  it("that was closed or has ended is no leak", function()
    local before = qn.stats().leaked
    do
      local a, b = qn.pair()
      a:close()
      b:shutdown("w")
      local c = qn.tcp.socket()
      assert(c)
      local d, e = pair.makers.tcp()
      d:shutdown("w")
      e:shutdown("w")
      d:read("a")
      e:read("a")
      splits.until_true("both are over", function()
        return d:state() == "unconnected" and e:state() == "unconnected"
      end)
      b:close()
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, qn.stats().leaked)
  end)

  it("is nothing that others can take apart", pair.body("memory", function(a)
    assert.equal("qn", getmetatable(a))
    assert.has_error(function() setmetatable(a, {}) end)
    assert.has_error(function() a.x = 1 end)
    assert.is_nil(a.nothing)
    for _, name in ipairs { "read", "write", "close", "state", "bytes_available", "set_timeouts", "begin" } do
      for _, bad in ipairs { 5, "s", {}, io.stdout, print } do
        assert.is_false(pcall(a[name], bad), name)
      end
      assert.is_false(pcall(a[name]))
    end
    assert.is_false(pcall(a.connect, a, "h", 1)) -- no socket
  end))

  it("that was finalized is refused, not touched", function()
    local met
    do
      local a, b = qn.pair()
      setmetatable({}, { __gc = function()
        met = { pcall(a.bytes_available, a) }
        b:close()
        a:close()
      end })
    end
    collectgarbage()
    collectgarbage()
    assert.is_table(met)
    assert.equal("boolean", type(met[1]))
  end)

  it("may be closed by a finalizer while it is being read", pair.body("memory", function(a, b)
    a:write(("g"):rep(200000))
    local function litter()
      setmetatable({}, { __gc = function()
        b:close()
      end })
    end
    litter()
    for _ = 1, 2000 do -- each makes a string, and at some time the collector runs
      if not b:read(100) then
        break
      end
    end
    collectgarbage()
    assert.equal("unconnected", b:state())
  end))
end)

describe("memory streams", function()
  it("read their string, then end, and keep what is written", function()
    local s <close> = core.memory_stream("line\nrest")
    assert.equal("line", s:read("l"))
    assert.is_true(s:write("out", 1))
    assert.is_true(s:write("put"))
    assert.is_true(s:flush())
    assert.equal("out1put", s:written())
    assert.equal("rest", s:read("a"))
    assert.is_nil(s:read(1))
  end)

  it("have a limit for what is written", function()
    local s <close> = core.memory_stream("", 5)
    assert.is_true(s:write("12345"))
    assert_error("limit", s:write("6"))
    assert.equal("12345", s:written())
    throws.call(assert, "#2 to 'memory_stream'", core, "memory_stream", "", -1)
    throws.call(assert, "#1 to 'memory_stream'", core, "memory_stream", {})
  end)

  it("work for pairs in both directions at once", pair.body("memory", function(a, b)
    local text = ("12345678"):rep(100000)
    local function both(s)
      local writer = qn.spawn(function()
        assert(s:write(text))
        assert(s:shutdown("w"))
      end)
      local got = s:read("a")
      assert.is_true(writer:join())
      return got == text
    end
    local other = qn.spawn(both, b)
    assert.is_true(both(a))
    assert.same({ true, true }, { other:join() })
  end))

  it("see the end and the abort of the other", function()
    local a, b = qn.pair()
    a:write("x")
    a:abort()
    assert.is_nil((b:read("l")))
    b:close()
    a, b = qn.pair()
    a:close()
    assert.is_nil(b:read(1))
    assert_error("reset", b:write("x"))
    b:close()
  end)
end)
