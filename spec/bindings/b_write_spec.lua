-- The writing half of streams: arguments, the high-water mark, order, errors with what was taken, flush,
-- half-close.

local qn = require "qn"
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

-- Reads everything that comes, in the background.
local function collector(stream)
  return qn.spawn(function()
    return (assert(stream:read("a", { max = 1 << 30 })))
  end)
end

describe("write", function()
  pair.each(it, "takes strings, numbers and buffers, as many as there are", function(a, b)
    local buffer = qn.buffer("buf")
    assert.is_true(a:write("s", 1, 2.5, "", buffer, -0.0, 1e100, math.mininteger, "\0"))
    local want = "s" .. 1 .. 2.5 .. "buf" .. -0.0 .. 1e100 .. math.mininteger .. "\0"
    assert.equal(want, b:read(#want))
    local many, text = {}, {}
    for i = 1, 250 do
      many[i] = i
      text[i] = tostring(i)
    end
    text = table.concat(text)
    assert.is_true(a:write(table.unpack(many)))
    assert.equal(text, b:read(#text))
  end)

  pair.each(it, "of nothing is true", function(a)
    assert.is_true(a:write())
    assert.is_true(a:write(""))
    assert.is_true(a:write("", qn.buffer("")))
    assert.equal(0, a:bytes_to_write())
  end)

  it("refuses other types, names the argument and writes nothing", pair.body("memory", function(a)
    throws.method(assert, "#2 to 'write' %(string, number or qn.Buffer expected, got table%)", a, "write", "x", {})
    throws.method(assert, "#1 to 'write'.*got nil", a, "write", nil)
    throws.method(assert, "#1 to 'write'.*got boolean", a, "write", true)
    local many = {}
    for i = 1, 20 do
      many[i] = "x"
    end
    many[20] = print
    throws.method(assert, "#20 to 'write'.*got function", a, "write", table.unpack(many))
    throws.method(assert, "#3 to 'write'.*got FILE", a, "write", "x", "y", io.stdout)
    assert.equal(0, a:bytes_to_write() + a:bytes_sent())
  end))

  pair.each(it, "above the mark waits, and all of it arrives", function(a, b)
    a:set_write_mark(1000)
    assert.equal(1000, a:write_mark())
    local part = {}
    for i = 1, 40 do
      part[i] = ("%05d"):format(i):rep(20000)
    end
    local text = table.concat(part)
    local writer = qn.spawn(function()
      assert(a:write(table.unpack(part)))
      return a:shutdown("w")
    end)
    assert.is_true(text == b:read("a"))
    assert.same({ true, true }, { writer:join() })
  end)

  it("waits while nobody reads", pair.body("memory", function(a, b)
    a:set_write_mark(1000)
    local writer = qn.spawn(a.write, a, ("w"):rep(1 << 20))
    for _ = 1, 10 do
      qn.yield()
    end
    assert.equal("waiting", writer:status())
    assert.equal(1 << 20, #b:read(1 << 20))
    assert.same({ true, true }, { writer:join() })
  end))

  pair.each(it, "keeps the order of writers", function(a, b)
    a:set_write_mark(100)
    local all = collector(b)
    local want = {}
    qn.group(function(g)
      for i = 1, 30 do
        local text = (string.char(64 + i)):rep(i % 3 == 0 and 50000 or 300)
        want[i] = text
        g:spawn(function()
          assert(a:write(text, i))
        end)
      end
    end)
    a:shutdown("w")
    local ok, got = all:join()
    assert.is_true(ok)
    for i = 1, 30 do
      want[i] = want[i] .. i
    end
    assert.equal(table.concat(want), got)
  end)

  it("never holds more than the mark beside what is pinned", pair.body("tcp", function(a, b)
    a:set_write_mark(64 * 1024)
    local writer = qn.spawn(a.write, a, ("m"):rep(32 << 20))
    local most = 0
    for _ = 1, 50 do
      qn.yield()
      most = math.max(most, a:bytes_to_write())
    end
    assert.is_true(most <= 64 * 1024, tostring(most))
    local got = 0
    while got < 32 << 20 do
      got = got + #assert(b:recv())
      most = math.max(most, a:bytes_to_write())
    end
    assert.is_true(most <= 64 * 1024, tostring(most))
    assert.same({ true, true }, { writer:join() })
  end))

  it("goes out as one piece per turn", pair.body("tcp", function(a, b)
    for i = 1, 50 do
      a:write(i, " ")
    end
    local text = b:recv()
    assert.equal(141, #text) -- all of them in one arrival
  end))

  it("pins buffers that it waits with", pair.body("memory", function(a, b)
    a:set_write_mark(10)
    local buffer = qn.buffer(("p"):rep(600000))
    local writer = qn.spawn(a.write, a, "x", buffer, "y")
    qn.yield()
    for _, change in ipairs { "append", "clear", "consume", "pack" } do
      local ok, err = pcall(buffer[change], buffer, change == "consume" and 1 or "z")
      assert.is_false(ok)
      assert.equal("busy", err.kind)
    end
    local ok, err = pcall(b.read_into, b, buffer)
    assert.is_false(ok)
    assert.equal("busy", err.kind)
    assert.equal("x" .. ("p"):rep(600000) .. "y", b:read(600002))
    writer:join()
    assert.equal(0, #buffer:clear())
  end))

  it("lets go of its buffers when it is cancelled", pair.body("memory", function(a)
    a:set_write_mark(10)
    local buffer = qn.buffer(("p"):rep(600000))
    local writer = qn.spawn(a.write, a, buffer)
    qn.yield()
    assert.equal("busy", select(2, pcall(buffer.clear, buffer)).kind)
    writer:cancel()
    local ok, err = writer:join()
    assert.is_false(ok)
    assert.is_true(qn.is_cancelled(err))
    assert.equal(0, #buffer:clear())
  end))

  it("fails for good when it is cancelled half-way", pair.body("tcp", function(a, b)
    local writer = qn.spawn(a.write, a, ("h"):rep(32 << 20))
    qn.yield()
    local behind = qn.spawn(a.write, a, "behind")
    qn.yield()
    writer:cancel()
    writer:join()
    local ok, value, err = behind:join()
    assert.is_true(ok)
    assert.equal(0, assert_error("closed", value, err).partial)
    assert_error("closed", a:write("x"))
    assert.truthy(b:recv())
  end))

  it("that is cancelled before its turn leaves no trace", pair.body("tcp", function(a, b)
    local first = qn.spawn(a.write, a, ("1"):rep(8 << 20))
    local second = qn.spawn(a.write, a, "second")
    local third = qn.spawn(a.write, a, "third")
    qn.yield()
    second:cancel()
    local got = b:read((8 << 20) + 5)
    assert.equal("third", got:sub(-5))
    assert.is_true(first:join())
    assert.is_true(third:join())
  end))
end)

describe("errors of write", function()
  it("say how much was taken", function()
    peers.with({ { expect = "x" }, { reset = true } }, function(s, peer)
      s:set_write_mark(1 << 16)
      local value, err = s:write("x", ("y"):rep(64 << 20))
      assert_error("reset", value, err)
      assert.equal("write", err.op)
      assert.is_true(err.partial > 0 and err.partial < 64 << 20)
      peer:join()
      assert_error("reset", s:write("more"))
      assert.equal(0, (select(2, s:write("more"))).partial)
      assert.equal("reset", s:error().kind)
    end)
  end)

  it("come to all who wait when the stream is closed", pair.body("tcp", function(a)
    local writers = {}
    for i = 1, 5 do
      writers[i] = qn.spawn(a.write, a, ("w"):rep(16 << 20))
    end
    local flusher = qn.spawn(a.flush, a)
    qn.yield()
    a:close()
    for i, writer in ipairs(writers) do
      local ok, value, err = writer:join()
      assert.is_true(ok)
      assert_error("closed", value, err)
      assert.equal(i > 1, err.partial == 0)
    end
    local ok, value, err = flusher:join()
    assert.is_true(ok)
    assert_error("closed", value, err)
    a:abort()
  end))

  it("come from a stall, with the phase", pair.body("tcp", function(a)
    a:set_timeouts { write = 0.02 }
    local err = assert_error("timeout", a:write(("s"):rep(64 << 20)))
    assert.equal("write", err.phase)
    assert.is_true(err.partial < 64 << 20)
    assert_error("timeout", a:write("x"))
  end))

  it("tell an unconnected stream from a closed one", function()
    local s <close> = qn.tcp.socket()
    assert.equal("NOT_CONNECTED", assert_error("closed", s:write("x")).code)
    assert.equal("NOT_CONNECTED", assert_error("closed", s:flush()).code)
    assert.equal("NOT_CONNECTED", assert_error("closed", s:read(1)).code)
    s:close()
    assert.equal("CLOSED", assert_error("closed", s:write("x")).code)
    assert.equal("CLOSED", assert_error("closed", s:flush()).code)
    assert.equal("CLOSED", assert_error("closed", s:shutdown("w")).code)
    assert.equal("CLOSED", assert_error("closed", s:read(1)).code)
    assert.equal("CLOSED", assert_error("closed", s:push()).code)
  end)
end)

describe("flush", function()
  pair.each(it, "waits until the queue is empty", function(a, b)
    assert.is_true(a:flush())
    a:write(("f"):rep(900000))
    local task = qn.spawn(function()
      assert(a:flush())
      return a:bytes_to_write()
    end)
    assert.equal(900000, #b:read(900000))
    assert.same({ true, 0 }, { task:join() })
  end)

  it("push sends what is there without waiting", pair.body("tcp", function(a, b)
    a:write("abc")
    assert.equal(3, a:bytes_to_write())
    assert.equal(3, a:push())
    assert.equal(0, a:bytes_to_write())
    assert.equal(0, a:push())
    assert.equal("abc", b:read(3))
    assert.equal(3, a:bytes_sent())
  end))
end)

describe("shutdown", function()
  pair.each(it, "ends one side, after what was written; the other goes on", function(a, b)
    a:write("last words")
    assert.is_true(a:shutdown("w"))
    assert.is_true(a:shutdown("w"))
    assert.is_true(a:shutdown())
    assert.equal("SHUTDOWN", assert_error("closed", a:write("x")).code)
    assert.equal("last words", b:read("a"))
    assert.is_true(b:at_end())
    b:write("answer")
    assert.equal("answer", a:read(6))
    assert.equal("connected", a:state())
    assert.is_true(b:shutdown("w"))
    assert.is_nil(a:read(1))
    splits.until_true("both have ended", function()
      return a:state() == "unconnected" and b:state() == "unconnected"
    end)
    assert.is_nil(a:error())
    assert.is_nil(b:error())
  end)

  it("waits for writers before it", pair.body("tcp", function(a, b)
    local writer = qn.spawn(a.write, a, ("b"):rep(8 << 20))
    local ender = qn.spawn(a.shutdown, a, "w")
    qn.yield()
    assert.equal("waiting", ender:status())
    assert.equal(8 << 20, #b:read("a"))
    assert.same({ true, true }, { writer:join() })
    assert.same({ true, true }, { ender:join() })
  end))

  it("knows one side only", pair.body("memory", function(a)
    throws.method(assert, "#1 to 'shutdown'.*invalid option 'r'", a, "shutdown", "r")
    throws.method(assert, "#1 to 'shutdown'", a, "shutdown", {})
  end))

  it("reaches a byte-exact peer", function()
    peers.with({ { expect = "question" }, { eof = true }, "answer", { finish = true } }, function(s)
      s:write("question")
      s:shutdown("w")
      assert.equal("answer", s:read("a"))
    end)
  end)
end)

describe("the write mark", function()
  it("is checked", pair.body("memory", function(a)
    for _, bad in ipairs { 0, -1, 1.5, "x", false } do
      throws.method(assert, "#1 to 'set_write_mark'", a, "set_write_mark", bad)
    end
    assert.equal(1 << 20, a:write_mark())
  end))
end)

