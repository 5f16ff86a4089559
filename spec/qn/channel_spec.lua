-- covers: lua/qn/channel.lua bindings/park.c
local qn = require "qn"

describe("qn.channel", function()
  it("without capacity hands values from task to task", function()
    local channel = qn.channel()
    local log = {}
    local sender = qn.spawn(function()
      for i = 1, 3 do
        assert.is_true(channel:send(i))
        log[#log + 1] = "sent " .. i
      end
      channel:close()
    end)
    for value in channel:each() do log[#log + 1] = "got " .. value end
    assert(sender:join())
    table.sort(log)
    assert.same({ "got 1", "got 2", "got 3", "sent 1", "sent 2", "sent 3" }, log)
  end)

  it("holds up to its capacity, in order", function()
    local channel = qn.channel(3)
    for i = 1, 3 do assert.is_true(channel:try_send(i)) end
    assert.equal(3, #channel)
    assert.is_false((channel:try_send(4)))
    local sender = qn.spawn(function() return channel:send(4) end)
    qn.yield()
    assert.equal(1, channel:recv())
    assert.equal(3, #channel) -- the sender's value has moved up
    assert.same({ 2, 3, 4 }, { channel:recv(), channel:recv(), channel:recv() })
    assert.same({ true, true }, { sender:join() })
    assert.is_false((channel:try_recv()))
  end)

  it("passes false, and refuses nil", function()
    local channel = qn.channel(1)
    channel:send(false)
    assert.is_false(channel:recv())
    channel:send(false)
    assert.same({ true, false }, { channel:try_recv() })
    assert.error_matches(function() channel:send(nil) end, "nil cannot be sent")
    assert.error_matches(function() channel:try_send() end, "nil cannot be sent")
    for _, bad in ipairs { -1, 1.5, "x", {} } do
      assert.error_matches(function() qn.channel(bad) end, "bad argument #1 to 'channel'")
    end
  end)

  it("serves receivers and senders in order", function()
    local channel = qn.channel()
    local got = {}
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = qn.spawn(function() got[i] = channel:recv() end)
    end
    qn.yield()
    for i = 1, 50 do assert.is_true(channel:try_send(i)) end
    for i = 1, 50 do tasks[i]:join() end
    for i = 1, 50 do assert.equal(i, got[i]) end
    for i = 1, 50 do tasks[i] = qn.spawn(channel.send, channel, i) end
    qn.yield()
    for i = 1, 50 do assert.equal(i, channel:recv()) end
    for i = 1, 50 do assert(tasks[i]:join()) end
  end)

  it("closed: buffered values come first, then a lone nil; sends fail", function()
    local channel = qn.channel(2)
    channel:send("a")
    channel:close()
    channel:close()
    assert.is_true(channel:is_closed())
    assert.equal("a", channel:recv())
    assert.equal(1, select("#", channel:recv()))
    assert.is_nil((channel:recv()))
    local ok, err = channel:send("b")
    assert.is_nil(ok)
    assert.is_true(qn.is_error(err, "closed"))
    ok, err = channel:try_send("b")
    assert.is_false(ok)
    assert.equal("closed", err.kind)
    assert.is_false((channel:try_recv()))
  end)

  it("closing wakes all who wait", function()
    local channel = qn.channel()
    local receivers, senders = {}, {}
    for i = 1, 3 do receivers[i] = qn.spawn(function() return select("#", channel:recv()), channel:recv() end) end
    qn.yield()
    channel:close()
    for i = 1, 3 do assert.same({ true, 1, nil }, { receivers[i]:join() }) end
    channel = qn.channel()
    for i = 1, 3 do senders[i] = qn.spawn(function() return channel:send(i) end) end
    qn.yield()
    channel:close()
    for i = 1, 3 do
      local _, sent, err = senders[i]:join()
      assert.is_nil(sent)
      assert.equal("closed", err.kind)
    end
    do
      local scoped <close> = qn.channel()
      channel = scoped
    end
    assert.is_true(channel:is_closed())
  end)

  it("times out: the value of a send was not sent", function()
    local channel = qn.channel()
    local ok, err = channel:send("x", 0.001)
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
    assert.equal("send", err.phase)
    assert.is_false((channel:try_recv()))
    local value
    value, err = channel:recv(0)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.is_false((channel:try_send("y")))
  end)

  it("refuses a bad timeout without waiting, and no later wait of the task is woken by it", function()
    local channel = qn.channel()
    for _, bad in ipairs { -1, 0 / 0, math.huge, "x", {}, true } do
      assert.error(function() channel:recv(bad) end)
      assert.error(function() channel:send(1, bad) end)
    end
    local woken_by_channel = qn.spawn(function()
      pcall(channel.recv, channel, -1)
      return qn.event():wait(0.005)
    end)
    qn.yield()
    assert.is_false((channel:try_send("stray"))) -- nobody waits here
    local _, ok, err = woken_by_channel:join()
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
  end)

  it("a cancelled receiver takes no value, a cancelled sender sends none", function()
    local channel = qn.channel()
    local gone, alive = qn.spawn(channel.recv, channel), qn.spawn(channel.recv, channel)
    qn.yield()
    gone:cancel()
    assert.is_true(channel:try_send("value"))
    assert.same({ true, "value" }, { alive:join() })
    gone, alive = qn.spawn(channel.send, channel, "gone"), qn.spawn(channel.send, channel, "alive")
    qn.yield()
    gone:cancel()
    assert.equal("alive", channel:recv())
    alive:join()
    gone:join()
  end)

  it("forgets waiters that are gone", function()
    local channel = qn.channel()
    for _ = 1, 300 do
      assert.is_nil((channel:recv(0)))
    end
    assert.is_true(channel.receivers.last - channel.receivers.first < 100)
  end)

  it("its iterator throws what recv would return", function()
    local channel = qn.channel()
    local _, err = qn.timeout(0.001, function()
      for _ in channel:each() do error("not reached") end
    end)
    assert.equal("timeout", err.kind)
  end)

  it("feeds many workers", function()
    local jobs, results = qn.channel(4), qn.channel(4)
    local sum = 0
    qn.group(function(g)
      local workers = 0
      for _ = 1, 8 do
        workers = workers + 1
        g:spawn(function()
          for job in jobs:each() do
            if job % 7 == 0 then qn.yield() end
            results:send(job * 2)
          end
          workers = workers - 1
          if workers == 0 then results:close() end
        end)
      end
      g:spawn(function()
        for i = 1, 500 do jobs:send(i) end
        jobs:close()
      end)
      for value in results:each() do sum = sum + value end
    end)
    assert.equal(500 * 501, sum)
  end)
end)
