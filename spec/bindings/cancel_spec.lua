-- Cancellation: of tasks in every state, what it reaches, and what it must not lose.
-- covers: bindings/sched.c
local qn = require "qn"
local leaks = require "spec.support.leaks"

local function cancelled(task)
  local ok, err = task:join()
  assert.is_false(ok)
  assert.is_true(qn.is_cancelled(err))
  assert.equal("cancelled", task:status())
  return err
end

describe("task:cancel", function()
  it("ends a task that waits, with the reason", function()
    local task = qn.spawn(qn.sleep, 30)
    qn.yield()
    task:cancel("enough")
    local err = cancelled(task)
    assert.equal("enough", err.reason)
    assert.equal("cancelled: enough", tostring(err))
    assert.equal("x: cancelled: enough", "x: " .. err)
    assert.is_false(qn.is_error(err))
  end)

  it("ends a task that has not started: it never runs", function()
    local ran = false
    local task = qn.spawn(function() ran = true end)
    task:cancel("early")
    assert.equal("early", cancelled(task).reason)
    assert.is_false(ran)
  end)

  it("of itself throws at the next wait", function()
    local reached = false
    local task = qn.spawn(function()
      qn.current():cancel("me")
      reached = true
      qn.sleep(0)
      reached = "too far"
    end)
    assert.equal("me", cancelled(task).reason)
    assert.is_true(reached)
  end)

  it("without a wait behind it lets the task end with its results", function()
    local task = qn.spawn(function()
      qn.current():cancel()
      return "done"
    end)
    assert.same({ true, "done" }, { task:join() })
    assert.equal("done", task:status())
  end)

  it("of an ended task, or a second time, does nothing", function()
    local task = qn.spawn(function() return 1 end)
    task:join()
    task:cancel()
    assert.equal("done", task:status())
    task = qn.spawn(qn.sleep, 30)
    qn.yield()
    task:cancel("first")
    task:cancel("second")
    assert.equal("first", cancelled(task).reason)
  end)

  it("is level-triggered: every later wait throws the same value again", function()
    local errors = {}
    local task = qn.spawn(function()
      for i = 1, 3 do
        local _, err = pcall(qn.sleep, 30)
        errors[i] = err
      end
    end)
    qn.yield()
    task:cancel()
    assert(task:join())
    assert.is_true(qn.is_cancelled(errors[1]))
    assert.is_true(rawequal(errors[1], errors[2]) and rawequal(errors[2], errors[3]))
  end)

  it("runs <close> variables, whose unshielded waits throw, too", function()
    local log = {}
    local task = qn.spawn(function()
      local _ <close> = setmetatable({}, { __close = function(_, err)
        log[1] = qn.is_cancelled(err)
        log[2] = qn.is_cancelled(select(2, pcall(qn.sleep, 0)))
        qn.shield(qn.sleep, 0.001)
        log[3] = "shielded"
      end })
      qn.sleep(30)
    end)
    qn.yield()
    task:cancel()
    cancelled(task)
    assert.same({ true, true, "shielded" }, log)
  end)

  it("reaches children and grandchildren", function()
    local child, grandchild
    local task = qn.spawn(function()
      child = qn.spawn(function()
        grandchild = qn.spawn(qn.sleep, 30)
        qn.sleep(30)
      end)
      qn.sleep(30)
    end)
    qn.yield()
    qn.yield()
    task:cancel()
    cancelled(task)
    cancelled(child)
    cancelled(grandchild)
  end)

  it("reaches the children of a task whose function has returned", function()
    local child
    local task = qn.spawn(function()
      child = qn.spawn(qn.sleep, 30)
      return "result"
    end)
    qn.yield()
    qn.yield()
    assert.equal("draining", task:status())
    task:cancel()
    assert.same({ true, "result" }, { task:join() })
    cancelled(child)
  end)

  it("reaches children that a cancelled task spawns before it ends", function()
    local child
    local task = qn.spawn(function()
      pcall(qn.sleep, 30)
      child = qn.spawn(qn.sleep, 30)
    end)
    qn.yield()
    task:cancel()
    assert(task:join())
    cancelled(child)
  end)

  it("reaches a deep tree without recursion", function()
    local depth = 0
    local function nest(n)
      depth = n
      if n < 3000 then
        qn.spawn(nest, n + 1)
      end
      qn.sleep(30)
    end
    local task = qn.spawn(nest, 1)
    while depth < 3000 do qn.yield() end
    task:cancel()
    cancelled(task)
  end)

  it("does not take back a result that is already there", function()
    local task = qn.spawn(function()
      local ok, value = qn.spawn(function() return "value" end):join()
      local later = { pcall(qn.sleep, 0) }
      return ok, value, qn.is_cancelled(later[2])
    end)
    qn.yield() -- the child has not run
    qn.yield() -- it has; the join is settled
    task:cancel()
    assert.same({ true, true, "value", true }, { task:join() })
  end)

  it("that is swallowed for ever does not hang a group: the task is closed from outside", function()
    local closed, sibling = false, 0
    qn.group(function(g)
      local stubborn = g:spawn(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        while true do
          pcall(qn.sleep, 30)
        end
      end)
      g:spawn(function()
        for _ = 1, 20 do
          sibling = sibling + 1
          qn.yield()
        end
      end)
      qn.yield()
      stubborn:cancel()
      while sibling < 20 do qn.yield() end -- others run meanwhile
      assert.equal("waiting", stubborn:status())
    end)
    assert.is_true(closed)
  end)

  it("that is swallowed in an inner coroutine, with children alive, ends all of them", function()
    local child
    local stubborn = qn.spawn(function()
      child = qn.spawn(function() qn.shield(qn.sleep, 0.01) end)
      coroutine.wrap(function()
        coroutine.wrap(function()
          while true do pcall(qn.yield) end
        end)()
      end)()
    end)
    qn.yield()
    qn.yield()
    stubborn:cancel("go")
    assert.equal("go", cancelled(stubborn).reason)
    assert.not_equal("waiting", child:status())
  end)

  it("ends ten thousand waiting tasks at once", function()
    local tasks = {}
    for i = 1, 10000 do
      tasks[i] = qn.spawn(qn.sleep, 300)
    end
    qn.yield()
    for i = 1, #tasks do tasks[i]:cancel() end
    for i = 1, #tasks do
      local ok, err = tasks[i]:join()
      assert(not ok and qn.is_cancelled(err))
    end
  end)
end)

describe("cancellation in the turn of the wake-up", function()
  -- the waiter is woken, and cancelled before it has run: what it was given must be used or given back
  it("gives a channel's value back, to the next one or to who waits already", function()
    local channel = qn.channel()
    local task = qn.spawn(function() return channel:recv() end)
    qn.yield()
    assert.is_true(channel:try_send("value"))
    task:cancel()
    cancelled(task)
    assert.same({ true, "value" }, { channel:try_recv() })
    task = qn.spawn(function() return channel:recv() end)
    local other = qn.spawn(function() return channel:recv() end)
    qn.yield()
    assert.is_true(channel:try_send("value"))
    task:cancel()
    cancelled(task)
    assert.same({ true, "value" }, { other:join() })
  end)

  it("gives a channel's values back in order", function()
    local channel = qn.channel(2)
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = qn.spawn(channel.recv, channel)
    end
    qn.yield()
    for i = 1, 5 do
      assert.is_true(channel:try_send(i))
    end
    for _, i in ipairs { 2, 1, 3 } do
      tasks[i]:cancel()
    end
    qn.yield()
    assert.equal(5, #channel)
    tasks[1] = qn.spawn(channel.recv, channel)
    qn.yield()
    assert.same({ true, 1 }, { tasks[1]:join() })
    for i = 2, 5 do
      assert.equal(i, channel:recv())
    end
    assert.equal(0, #channel)
  end)

  it("lets no sender in for a value that came back beyond the capacity", function()
    for capacity = 0, 2 do
      local channel = qn.channel(capacity)
      local task = qn.spawn(channel.recv, channel)
      qn.yield()
      for i = 0, capacity do
        assert.is_true(channel:try_send(i))
      end
      task:cancel()
      cancelled(task)
      local sent = 0
      local sender = qn.spawn(function()
        for i = capacity + 1, capacity + 3 do
          assert(channel:send(i))
          sent = sent + 1
        end
      end)
      qn.yield()
      for i = 0, capacity + 3 do
        assert.equal(i, channel:recv())
        qn.yield()
        assert.is_true(#channel <= capacity)
        assert.equal(math.min(i, 3), sent)
      end
      sender:join()
    end
  end)

  it("does not lose a channel's value when the cancellation comes first", function()
    local channel = qn.channel(1)
    local task = qn.spawn(function() return channel:recv() end)
    qn.yield()
    task:cancel()
    assert.is_true(channel:try_send("value"))
    cancelled(task)
    assert.equal("value", channel:recv())
  end)

  it("hands a mutex over, or on", function()
    local mutex = qn.mutex()
    local guard = mutex:lock()
    local function take()
      local _ <close> = mutex:lock()
      qn.sleep(0)
    end
    local first, second = qn.spawn(take), qn.spawn(take)
    qn.yield()
    guard:release()
    first:cancel()
    cancelled(first)
    assert(second:join())
    assert.is_false(mutex:is_locked())
  end)

  it("gives a semaphore's unit back", function()
    local semaphore = qn.semaphore(1)
    local guard = semaphore:acquire()
    local function take()
      local _ <close> = semaphore:acquire()
      qn.sleep(0)
    end
    local task = qn.spawn(take)
    qn.yield()
    guard:release()
    task:cancel()
    cancelled(task)
    assert.equal(1, semaphore:available())
  end)

  it("closes or delivers an accepted socket", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local accepted
    local task = qn.spawn(function()
      accepted = server:accept()
    end)
    qn.yield()
    local client <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    task:cancel()
    task:join()
    if not accepted then -- then it is still there for the next one
      accepted = assert(server:accept(5))
    end
    accepted:close()
    assert.is_userdata(client)
  end)

  it("reports no failure", function()
    local task = qn.spawn(function() qn.sleep(30) end)
    qn.yield()
    task:cancel()
    task:join()
    assert.same({}, leaks.take_unhandled())
  end)
end)
