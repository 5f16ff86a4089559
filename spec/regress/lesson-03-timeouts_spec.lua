-- Timeouts that never fire, or cover part of the work. Here a limit covers everything beneath it, and the
-- error says in which phase it came.
local qn = require "qn"
local limits = require "spec.support.limits"

describe("lesson 3: a time limit", function()
  it("covers many small steps, each of which would be in time", function()
    local a, b = qn.pair()
    local dripper = qn.spawn(function()
      while true do
        a:write("x")
        qn.sleep(0.001)
      end
    end)
    local got = 0
    limits.growing(0.03, function(limit) -- which must suffice for some of them
      local value, err = qn.timeout(limit, function()
        while true do got = got + #assert(b:read(1)) end
      end)
      assert.is_nil(value)
      assert.equal("timeout", err.kind)
      assert.equal("read", err.phase)
      return got > 1
    end)
    assert.is_true(got > 1)
    dripper:cancel()
    dripper:join()
    a:abort()
    b:abort()
  end)

  it("covers a peer that accepts and never answers", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local _, value, err = limits.growing(0.02, function(limit) -- which must suffice for the connection
      local value, err = qn.timeout(limit, function()
        local socket <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
        socket:write("hello\n")
        return socket:read("l")
      end)
      return err and err.phase == "read", value, err
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.equal("read", err.phase)
  end)

  it("covers a peer that never reads", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local socket = assert(qn.tcp.connect("127.0.0.1", server:port()))
    local value, err = qn.timeout(0.02, socket.write, socket, ("x"):rep(32 << 20))
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.equal("write", err.phase)
    socket:abort()
  end)

  it("covers locks, joins and sleeps alike", function()
    local mutex = qn.mutex()
    local guard <close> = mutex:lock()
    assert.is_table(guard)
    local sleeper = qn.spawn(qn.sleep, 30)
    for phase, f in pairs {
      join = function() sleeper:join() end,
      sleep = function() qn.sleep(30) end,
      recv = function() qn.channel():recv() end,
    } do
      local value, err = qn.timeout(0.002, f)
      assert.is_nil(value)
      assert.equal(phase, err.phase)
    end
    sleeper:cancel()
    sleeper:join()
  end)
end)
