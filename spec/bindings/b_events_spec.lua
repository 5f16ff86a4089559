-- Events: their names, values and orders, once, off, wait. What the collector makes of objects with
-- listeners is in b_events_life_spec.lua.

local qn = require "qn"
local hosts = require "spec.support.hosts"
local leaks = require "spec.support.leaks"
local pair = require "spec.support.pair"
local peers = require "spec.support.peers"
local program = require "spec.support.program"
local splits = require "spec.support.splits"
local throws = require "spec.support.throws"

local stream_events = { "state_changed", "host_found", "connected", "ready_read", "bytes_written", "error", "disconnected",
  "read_channel_finished", "closed" }

-- Writes down every event of a socket but bytes_written, whose pieces are the kernel's business.
local function recorded(socket)
  local log = {}
  for _, name in ipairs(stream_events) do
    if name ~= "bytes_written" then
      socket:on(name, function(value)
        log[#log + 1] = value ~= nil and name .. "=" .. (qn.is_error(value) and value.kind or tostring(value)) or name
      end)
    end
  end
  return log
end

local function serving(f, opts)
  local server <close> = assert(qn.tcp.listen("127.0.0.1", 0, opts))
  return f(server)
end

local function wait_for(log, last)
  splits.until_true("the log ends with " .. last, function() return log[#log] == last end)
end

describe("the order of events", function()
  it("of a connection that we end", function()
    serving(function(server)
      local s = qn.tcp.socket()
      local log = recorded(s)
      assert.is_true(s:connect("127.0.0.1", server:port()))
      local far <close> = assert(server:accept())
      far:write("hello")
      assert.equal("hello", s:read(5))
      s:close()
      wait_for(log, "closed")
      assert.same({
        "state_changed=host_lookup", "state_changed=connecting", "host_found", "state_changed=connected", "connected",
        "ready_read", "state_changed=closing", "state_changed=unconnected", "read_channel_finished", "disconnected", "closed",
      }, log)
    end)
  end)

  it("of a connection that the peer ends", function()
    serving(function(server)
      local s <close> = qn.tcp.socket()
      local log = recorded(s)
      assert.is_true(s:connect("localhost", server:port(), { family = "ipv4" }))
      local far = assert(server:accept())
      far:write("bye")
      far:close()
      wait_for(log, "read_channel_finished")
      assert.equal("connected", s:state()) -- its end is the end of reading only
      assert.equal("bye", s:read("a"))
      assert.is_true(s:shutdown("w"))
      wait_for(log, "closed")
      assert.same({
        "state_changed=host_lookup", "state_changed=connecting", "host_found", "state_changed=connected", "connected",
      }, table.move(log, 1, 5, 1, {}))
      local tail = {}
      for i = 6, #log do
        if log[i] ~= "ready_read" then -- once or twice, as bytes and end arrive
          tail[#tail + 1] = log[i]
        end
      end
      assert.same({ "read_channel_finished", "state_changed=unconnected", "disconnected", "closed" }, tail)
    end)
  end)

  it("of a reset", function()
    peers.with({ { expect = "x" }, { reset = true } }, function(s, peer)
      local log = recorded(s)
      s:write("x")
      peer:join()
      wait_for(log, "closed")
      assert.same({ "error=reset", "state_changed=unconnected", "read_channel_finished", "disconnected", "closed" }, log)
    end)
  end)

  it("of connects that fail", function()
    local s <close> = qn.tcp.socket()
    local log = recorded(s)
    assert.is_nil((s:connect("127.0.0.1", program.free_port())))
    wait_for(log, "error=refused")
    assert.same({ "state_changed=host_lookup", "state_changed=connecting", "host_found", "state_changed=unconnected",
      "error=refused" }, log)
    local t <close> = qn.tcp.socket()
    log = recorded(t)
    assert.is_nil((t:connect("no-such-name.invalid", 1)))
    wait_for(log, "error=dns")
    assert.same({ "state_changed=host_lookup", "state_changed=unconnected", "error=dns" }, log)
  end)

  it("of an abort, and of a socket that never was connected", function()
    pair.with("tcp", function(a)
      local log = recorded(a)
      a:abort()
      wait_for(log, "closed")
      assert.same({ "state_changed=unconnected", "read_channel_finished", "disconnected", "closed" }, log)
    end)
    local s = qn.tcp.socket()
    local log = recorded(s)
    s:close()
    wait_for(log, "closed")
    assert.same({ "closed" }, log)
  end)
end)

describe("ready_read", function()
  pair.each(it, "comes for bytes that nobody asked for, and for the end", function(a, b)
    local got, ended = {}, false
    b:on("ready_read", function()
      while b:bytes_available() > 0 do
        got[#got + 1] = b:recv()
      end
    end)
    b:on("read_channel_finished", function()
      ended = true
    end)
    for i = 1, 5 do
      a:write("piece", i)
      splits.until_true("it came", function() return table.concat(got):find("piece" .. i) end)
    end
    a:shutdown("w")
    splits.until_true("the end came", function() return ended end)
    assert.equal("piece1piece2piece3piece4piece5", table.concat(got))
  end)

  it("does not let a peer fill the queue of a slow handler", pair.body("tcp", function(a, b)
    local calls, go = 0, qn.event()
    b:on("ready_read", function()
      calls = calls + 1
      go:wait()
    end)
    for _ = 1, 50 do
      a:write("x")
      a:flush()
      qn.sleep(0)
    end
    splits.until_true("all came", function() return b:bytes_available() == 50 end)
    go:set()
    for _ = 1, 20 do
      qn.yield()
    end
    assert.is_true(calls >= 1 and calls <= 3, tostring(calls))
  end))
end)

describe("bytes_written", function()
  pair.each(it, "adds up to what was written", function(a, b)
    local sum = 0
    a:on("bytes_written", function(n)
      assert(math.type(n) == "integer" and n > 0)
      sum = sum + n
    end)
    local writer = qn.spawn(a.write, a, ("w"):rep(3000000))
    assert.equal(3000000, #b:read(3000000))
    writer:join()
    a:flush()
    splits.until_true("all of it was told", function() return sum == 3000000 end)
  end)
end)

describe("servers", function()
  it("tell of each connection", function()
    serving(function(server)
      local served = 0
      server:on("new_connection", function(...)
        assert(select("#", ...) == 0)
        local far <close> = assert(server:accept(20))
        far:write("served")
        served = served + 1
      end)
      for _ = 1, 5 do
        local s <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
        assert.equal("served", s:read("a"))
      end
      assert.equal(5, served)
    end)
  end)
end)

describe("handlers", function()
  it("run one at a time and in order, though they wait", pair.body("tcp", function(a)
    local log, inside = {}, 0
    for i = 1, 3 do
      a:on("state_changed", function(state)
        inside = inside + 1
        assert(inside == 1)
        qn.yield()
        log[#log + 1] = i .. state
        inside = inside - 1
      end)
    end
    a:on("closed", function()
      log[#log + 1] = "closed"
    end)
    a:close()
    wait_for(log, "closed")
    assert.same({ "1closing", "2closing", "3closing", "1unconnected", "2unconnected", "3unconnected", "closed" }, log)
  end))

  it("run as tasks, never inside the call that caused them", pair.body("tcp", function(a)
    local called
    a:on("state_changed", function()
      called = qn.current and qn.current() or true
    end)
    a:close()
    assert.is_nil(called)
    splits.until_true("it was called", function() return called end)
  end))

  it("that fail are reported, and the events behind them still come", pair.body("tcp", function(a)
    local log = {}
    a:on("state_changed", function(state)
      error("on purpose: " .. state)
    end)
    a:on("state_changed", function(state)
      log[#log + 1] = state
    end)
    a:on("closed", function()
      log[#log + 1] = "closed"
    end)
    a:close()
    wait_for(log, "closed")
    assert.same({ "closing", "unconnected", "closed" }, log)
    local failures = leaks.wait_unhandled(2)
    assert.equal(2, #failures)
    for i, state in ipairs { "closing", "unconnected" } do
      assert.truthy(failures[i].error:find("on purpose: " .. state, 1, true))
      assert.truthy(failures[i].task:name():find("state_changed of qn.Socket", 1, true))
    end
  end))

  it("that are cancelled do not stop the events behind them", pair.body("tcp", function(a)
    local log = {}
    local core = require "qn.core"
    a:on("state_changed", function(state)
      log[#log + 1] = state
      core.current():cancel()
      qn.sleep(1)
      log[#log + 1] = "not reached"
    end)
    a:on("closed", function()
      log[#log + 1] = "closed"
    end)
    a:close()
    wait_for(log, "closed")
    assert.same({ "closing", "unconnected", "closed" }, log)
  end))

  it("may be added and removed from inside", pair.body("tcp", function(a, b)
    local log = {}
    local function second()
      log[#log + 1] = "second"
    end
    a:on("ready_read", function()
      log[#log + 1] = "first"
      a:off("ready_read", second)
      a:once("ready_read", function()
        log[#log + 1] = "third"
      end)
    end):on("ready_read", second)
    for i = 1, 3 do
      b:write("x")
      splits.until_true("it was heard", function() return #log >= 2 * i - 1 and a:bytes_available() == i end)
    end
    wait_for(log, "third")
    assert.same({ "first", "first", "third", "first", "third" }, log)
  end))
end)

describe("once and off", function()
  it("once calls for the next event only", pair.body("tcp", function(a)
    local log = {}
    a:once("state_changed", function(state)
      log[#log + 1] = state
    end)
    a:on("closed", function()
      log[#log + 1] = "closed"
    end)
    a:close()
    wait_for(log, "closed")
    assert.same({ "closing", "closed" }, log)
  end))

  it("off removes one function, one event, or all", pair.body("memory", function(a, b)
    local calls = {}
    local function count(name)
      return function()
        calls[name] = (calls[name] or 0) + 1
      end
    end
    local one = count("one")
    b:on("ready_read", one):on("ready_read", count("two"))
    assert.equal(b, b:off("ready_read", one))
    a:write("x")
    splits.until_true("two was called", function() return calls.two end)
    b:off("ready_read")
    b:on("ready_read", count("three"))
    a:write("y")
    splits.until_true("three was called", function() return calls.three end)
    b:off()
    a:write("z")
    qn.sleep(0)
    local seen = calls.one or calls.two ~= 1 or calls.three ~= 1
    assert.is_false(seen)
    assert.equal(b, b:off("closed"))
    assert.equal("xyz", b:read(3))
  end))

  it("know the names", pair.body("tcp", function(a)
    local function f() end
    for _, method in ipairs { "on", "once" } do
      throws.method(assert, "#1 to '" .. method .. "'.*unknown event 'conected' %(did you mean 'connected'%?%)", a, method,
        "conected", f)
      throws.method(assert, "#1 to '" .. method .. "'.*got nil", a, method)
      throws.method(assert, "#2 to '" .. method .. "'.*function expected", a, method, "closed", 5)
      throws.method(assert, "#1 to '" .. method .. "'.*'new_connection'", a, method, "new_connection", f)
    end
    throws.method(assert, "#1 to 'off'.*unknown event", a, "off", "cloze")
    throws.method(assert, "#1 to 'wait'.*unknown event", a, "wait", "cloze")
    serving(function(server)
      throws.method(assert, "#1 to 'on'.*did you mean 'new_connection'", server, "on", "new_conection", f)
      throws.method(assert, "unknown event 'ready_read'", server, "on", "ready_read", f)
    end)
  end))
end)

describe("wait", function()
  it("gives the value of the next event, or true", pair.body("tcp", function(a, b)
    qn.spawn(function()
      b:write("abc")
    end)
    assert.is_true(a:wait("ready_read"))
    local writer = qn.spawn(a.wait, a, "bytes_written", 20)
    qn.yield()
    a:write("12345")
    assert.same({ true, 5 }, { writer:join() })
    local waits = {}
    for i, name in ipairs { "state_changed", "closed", "disconnected" } do
      waits[i] = qn.spawn(a.wait, a, name)
    end
    qn.yield()
    a:close()
    assert.same({ true, "closing" }, { waits[1]:join() })
    assert.same({ true, true }, { waits[2]:join() })
    assert.same({ true, true }, { waits[3]:join() })
  end))

  it("is over at once for what is already so", function()
    pair.with("tcp", function(a)
      assert.is_true(a:wait("connected"))
      a:abort()
      assert.is_true(a:wait("disconnected"))
    end)
    local s <close> = qn.tcp.socket()
    assert.is_true(s:wait("disconnected"))
  end)

  it("for connected fails when the connect fails", function()
    hosts.with({ ["dead.test"] = { "127.0.0.1" } }, function(resolver)
      local port = program.free_port()
      for name, host in pairs { connected = "dead.test", host_found = "none.test" } do
        local s <close> = qn.tcp.socket()
        local waiting = qn.spawn(s.wait, s, name)
        qn.yield()
        local ok, err = s:connect(host, port, { resolver = resolver })
        assert.is_nil(ok)
        local _, value, reason = waiting:join(20)
        assert.is_nil(value)
        assert.equal(err.code, reason.code)
        assert.is_true(s:wait("disconnected"))
      end
    end)
  end)

  it("for connected fails when the connect is cancelled or closed", function()
    local sites <close> = hosts.sites { "127.0.0.1" }
    sites:silence(1)
    for how, code in pairs { cancel = "CANCELLED", close = "CLOSED" } do
      local s <close> = qn.tcp.socket()
      local connecting = qn.spawn(s.connect, s, "127.0.0.1", sites.port)
      local waiting = qn.spawn(s.wait, s, "connected", 20)
      repeat qn.yield() until s:state() == "connecting" and waiting:status() == "waiting"
      if how == "cancel" then connecting:cancel() else s:close() end
      connecting:join()
      local _, value, reason = waiting:join()
      assert.is_nil(value)
      assert.equal(code, reason.code)
    end
  end)

  it("for connected goes through a failed connect when nobody waited then", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local s <close> = qn.tcp.socket()
    assert.is_nil((s:connect("127.0.0.1", 1)))
    local waiting = qn.spawn(s.wait, s, "connected", 20)
    qn.yield()
    assert.is_true(s:connect("127.0.0.1", server:port()))
    assert.same({ true, true }, { waiting:join() })
  end)

  it("has a time limit and can be cancelled", pair.body("tcp", function(a, b)
    local value, err = a:wait("ready_read", 0.001)
    assert.is_nil(value)
    assert.same({ "timeout", "event" }, { err.kind, err.phase })
    local task = qn.spawn(a.wait, a, "ready_read")
    qn.yield()
    task:cancel()
    task:join()
    b:write("x")
    assert.equal("x", a:read(1))
    throws.method(assert, "negative", a, "wait", "closed", -1)
    throws.method(assert, "NaN", a, "wait", "closed", 0 / 0)
  end))
end)
