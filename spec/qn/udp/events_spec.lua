-- Events of datagram sockets.

local qn = require "qn"
local program = require "spec.support.program"

local function throws(text, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(err):find(text, 1, true), tostring(err))
end

local function eventually(condition)
  program.until_true("what is expected", condition)
end

describe("events of a datagram socket", function()
  local u, peer
  before_each(function()
    u = assert(qn.udp.socket())
    peer = assert(qn.udp.socket())
  end)
  after_each(function()
    u:close()
    peer:close()
    u, peer = nil, nil
    qn.yield()
    qn.yield()
  end)

  it("one callback per datagram, in order, for ever", function()
    local got = {}
    u:on("datagram", function(data, from)
      got[#got + 1] = data
      if data:find("7$") then
        qn.yield() -- handlers may wait
      end
      assert.equal(peer:local_port(), from.port)
    end)
    assert(u:bind("127.0.0.1"))
    for round = 0, 4 do
      for i = 1, 100 do
        assert(peer:send(tostring(round * 100 + i), "127.0.0.1", u:local_port()))
      end
      eventually(function() return #got == round * 100 + 100 end)
    end
    for i = 1, 500 do
      assert.equal(tostring(i), got[i])
    end
  end)

  it("slow handlers leave the rest with the kernel", function()
    assert(u:bind("127.0.0.1"))
    local gate, n = qn.event(), 0
    u:on("datagram", function()
      gate:wait()
      n = n + 1
    end)
    for _ = 1, 100 do
      assert(peer:send("x", "127.0.0.1", u:local_port()))
    end
    eventually(function() return u:stats().received >= 64 end)
    qn.sleep(0.01)
    assert.is_true(u:stats().received <= 65)
    gate:set()
    eventually(function() return n == 100 end)
  end)

  it("ready_read comes again when something was read and more is there", function()
    assert(u:bind("127.0.0.1"))
    local times, got = 0, {}
    u:on("ready_read", function()
      times = times + 1
      if times > 1 then
        got[#got + 1] = u:recv { timeout = 0 }
      end
    end)
    assert(peer:send("1", "127.0.0.1", u:local_port()))
    assert(peer:send("2", "127.0.0.1", u:local_port()))
    eventually(function() return times == 1 end)
    qn.sleep(0.005)
    assert.equal(1, times) -- nothing was read
    got[1] = u:recv()
    eventually(function() return #got == 2 end)
    assert.same({ "1", "2" }, got)
    assert(peer:send("3", "127.0.0.1", u:local_port()))
    eventually(function() return #got == 3 end)
  end)

  it("of its states", function()
    local seen = {}
    for _, name in ipairs { "state_changed", "host_found", "connected", "disconnected", "closed" } do
      u:on(name, function(value) seen[#seen + 1] = name .. (value and " " .. value or "") end)
    end
    assert(u:bind("127.0.0.1"))
    assert(u:connect("localhost", 9, { family = "ipv4" }))
    u:disconnect()
    u:close()
    eventually(function() return seen[#seen] == "closed" end)
    assert.same({ "state_changed bound", "state_changed host_lookup", "host_found",
      "state_changed connected", "connected", "state_changed bound", "disconnected",
      "state_changed unconnected", "closed" }, seen)
  end)

  it("errors go to their own listeners", function()
    local dead = assert(qn.udp.bind("127.0.0.1", 0))
    local port = dead:local_port()
    dead:close()
    local kind
    u:on("error", function(err) kind = err.kind end)
    u:on("datagram", function() end)
    assert(u:connect("127.0.0.1", port))
    assert(u:send("x"))
    eventually(function() return kind end)
    assert.equal("refused", kind)
  end)

  it("whoever else reads hears that it is busy, also before the first datagram", function()
    assert(u:bind("127.0.0.1"))
    local got
    local function note(data) got = data end
    u:on("datagram", note)
    local function refused(ok, err)
      assert.is_nil(ok)
      assert.equal("busy", err.kind)
    end
    refused(u:recv { timeout = 5 })
    qn.sleep(0.005) -- the task that fetches is there
    refused(u:recv { timeout = 5 })
    refused(u:recv_batch(1, { timeout = 5 }))
    refused(u:recv_into(qn.buffer(10), { timeout = 5 }))
    local ok, err = pcall(u:each { timeout = 5 }, u)
    assert.is_false(ok)
    assert.equal("busy", err.kind)
    assert(peer:send("for the listener", "127.0.0.1", u:local_port()))
    eventually(function() return got end)
    assert.equal("for the listener", got)
    u:off("datagram", note)
    assert(peer:send("for the reader", "127.0.0.1", u:local_port()))
    assert.equal("for the reader", (u:recv { timeout = 5 }))
  end)

  it("a closed socket is closed to readers, also to late ones", function()
    assert(u:bind("127.0.0.1"))
    u:on("datagram", function() end)
    u:close()
    local _, err = u:recv()
    assert.equal("closed", err.kind)
  end)

  it("wait, once, off", function()
    assert(u:bind("127.0.0.1"))
    local task = qn.spawn(u.wait, u, "datagram", 20)
    qn.yield()
    assert(peer:send("waited for", "127.0.0.1", u:local_port()))
    assert.same({ true, "waited for" }, { task:join() })
    local n = 0
    u:once("datagram", function() n = n + 1 end)
    for _ = 1, 3 do
      assert(peer:send("x", "127.0.0.1", u:local_port()))
    end
    eventually(function() return n == 1 end)
    local function count() n = n + 1 end
    u:on("datagram", count):off("datagram", count)
    qn.yield()
    while u:recv { timeout = 0 } do end -- the reader's place is free again
    assert(peer:send("mine", "127.0.0.1", u:local_port()))
    assert.equal("mine", (u:recv()))
    assert.equal(1, n)
    local value, err = u:wait("closed", 0)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    u:close()
    assert.is_true(u:wait("closed"))
    value, err = u:wait("datagram")
    assert.is_nil(value)
    assert.equal("closed", err.kind)
  end)

  it("names are checked", function()
    throws("unknown event 'datagrm' (did you mean 'datagram'?)", u.on, u, "datagrm", print)
    throws("function expected", u.on, u, "datagram", 1)
    throws("the name of an event expected", u.on, u, 1, print)
  end)

  it("a socket with listeners is not collected", function()
    local port, got
    do
      local s = assert(qn.udp.bind("127.0.0.1", 0))
      port = s:local_port()
      s:on("datagram", function(data)
        got = data
        s:close()
      end)
    end
    collectgarbage()
    collectgarbage()
    assert(peer:send("still here", "127.0.0.1", port))
    eventually(function() return got == "still here" end)
  end)
end)
