-- What handlers and waiters of events may rely on, beyond the names and values (spec/bindings/b_events_spec).
-- covers: lua/qn/events.lua
local qn = require "qn"
local leaks = require "spec.support.leaks"
local pair = require "spec.support.pair"

describe("waiting for an event", function()
  pair.each(it, "of a handle that is closed meanwhile gives kind closed", function(_, b)
    local task = qn.spawn(function() return b:wait("ready_read") end)
    local patient = qn.spawn(function() return b:wait("closed") end)
    qn.yield()
    b:close()
    local _, value, err = task:join()
    assert.is_nil(value)
    assert.is_true(qn.is_error(err, "closed"))
    assert.same({ true, true }, { patient:join() })
  end)

  pair.each(it, "of a handle that was closed gives kind closed at once", function(a, b)
    b:abort()
    a:abort()
    while b:state() ~= "unconnected" do qn.yield() end
    local value, err = b:wait("ready_read")
    assert.is_nil(value)
    assert.equal("closed", err.kind)
    assert.is_true(b:wait("closed"))
    assert.is_true(b:wait("disconnected"))
  end)

  it("of a server that is closed, by any way", function()
    for _, way in ipairs { "close", "<close>" } do
      local server = assert(qn.tcp.listen("127.0.0.1", 0))
      local task = qn.spawn(function() return server:wait("new_connection") end)
      qn.yield()
      if way == "close" then
        server:close()
      else
        local _ <close> = server
      end
      local _, value, err = task:join()
      assert.is_nil(value)
      assert.equal("closed", err.kind)
      assert.equal("closed", select(2, server:wait("accept_error")).kind)
    end
  end)

  it("checks its arguments before it waits", pair.body("memory", function(a)
    assert.error_matches(function() a:wait("redy_read") end, "unknown event 'redy_read' %(did you mean 'ready_read'")
    assert.error(function() a:wait("ready_read", -1) end)
    assert.error(function() a:wait() end)
  end))
end)

describe("the error of a handler", function()
  it("goes to on_unhandled with the traceback of the handler; later events come, in order, one at a time",
    pair.body("tcp", function(a, b)
      local log, inside = {}, 0
      local function culprit() error("handler failed", 0) end
      b:on("state_changed", function(state)
        inside = inside + 1
        assert(inside == 1)
        log[#log + 1] = state
        qn.yield()
        inside = inside - 1
        if #log == 1 then culprit() end
      end)
      b:on("disconnected", function() log[#log + 1] = "disconnected" end)
      a:abort()
      b:abort()
      local failure = leaks.wait_unhandled(1)[1]
      assert.equal("handler failed", failure.error)
      assert.matches("culprit", failure.task:traceback())
      assert.matches("^state_changed of qn.Socket", failure.task:name())
      qn.timeout(5, function()
        while log[#log] ~= "disconnected" and log[#log - 1] ~= "disconnected" do qn.yield() end
      end)
      assert.equal("unconnected", log[1] == "closing" and log[2] or log[1])
    end))
end)
