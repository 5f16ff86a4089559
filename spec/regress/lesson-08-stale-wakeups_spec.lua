-- Cancellation leaves corpses: use after free, stolen or stale wake-ups. The whole of it is in
-- spec/stress/cancel_spec.lua; here are the shapes that were reported elsewhere.
local qn = require "qn"

describe("lesson 8: after a cancelled wait", function()
  it("the next wait is not ended by what the first one waited for", function()
    local channel, event = qn.channel(), qn.event()
    local task = qn.spawn(function()
      channel:recv(0.001) -- times out
      return event:wait(0.01)
    end)
    while task:status() ~= "waiting" do qn.yield() end
    qn.sleep(0.004)
    assert.is_false((channel:try_send("late")))
    local _, ok, err = task:join()
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
  end)

  it("a value is not given to a corpse", function()
    local channel = qn.channel()
    local corpse = qn.spawn(channel.recv, channel)
    qn.yield()
    corpse:cancel()
    local heir = qn.spawn(function() return channel:recv() end)
    qn.yield()
    assert.is_true(channel:try_send("inheritance"))
    assert.same({ true, "inheritance" }, { heir:join() })
    corpse:join()
  end)

  it("a reader's bytes stay for the next reader", function()
    local a, b = qn.pair()
    local reader = qn.spawn(function() return b:read_exactly(10) end)
    qn.yield()
    a:write("12345")
    a:flush()
    qn.yield()
    reader:cancel()
    reader:join()
    a:write("67890")
    assert.equal("1234567890", b:read_exactly(10))
    a:close()
    b:close()
  end)

  it("the stream may be closed and collected while the wake-up is under way", function()
    for _ = 1, 50 do
      local a, b = qn.pair()
      local reader = qn.spawn(function() return b:read(1) end)
      qn.yield()
      a:write("x")
      reader:cancel()
      a:abort()
      b:abort()
      a, b = nil, nil -- luacheck: ignore 311
      collectgarbage()
      local ok, result = reader:join()
      assert.is_true(ok and result == "x" or qn.is_cancelled(result), tostring(result))
    end
  end)
end)
