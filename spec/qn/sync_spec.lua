-- covers: lua/qn/sync.lua
local qn = require "qn"

describe("qn.mutex", function()
  it("lets one in at a time, in order", function()
    local mutex = qn.mutex()
    local inside, order, tasks = 0, {}, {}
    for i = 1, 10 do
      tasks[i] = qn.spawn(function()
        local _ <close> = mutex:lock()
        inside = inside + 1
        assert.equal(1, inside)
        qn.yield()
        order[#order + 1] = i
        inside = inside - 1
      end)
    end
    for i = 1, 10 do assert(tasks[i]:join()) end
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, order)
    assert.is_false(mutex:is_locked())
  end)

  it("is not recursive, and says so", function()
    local mutex = qn.mutex()
    local _ <close> = mutex:lock()
    assert.error_matches(function() mutex:lock() end, "holds this mutex already")
    assert.is_false(mutex:try_lock())
  end)

  it("unlocks by hand; the guard then releases nobody else's lock", function()
    local mutex = qn.mutex()
    local guard = mutex:lock()
    mutex:unlock()
    assert.error_matches(function() mutex:unlock() end, "not locked")
    local other = mutex:try_lock()
    guard:release()
    guard:release()
    assert.is_true(mutex:is_locked())
    other:release()
    assert.is_false(mutex:is_locked())
  end)

  it("times out, also with 0, and refuses bad timeouts without queueing", function()
    local mutex = qn.mutex()
    local guard = mutex:lock()
    local task = qn.spawn(function()
      local results = {}
      for _, timeout in ipairs { 0, 0.002 } do
        local got, err = mutex:lock(timeout)
        results[#results + 1] = got == nil and err.kind
      end
      results[#results + 1] = pcall(mutex.lock, mutex, -1)
      return table.unpack(results)
    end)
    assert.same({ true, "timeout", "timeout", false }, { task:join() })
    guard:release()
    assert.is_false(mutex:is_locked())
  end)

  it("skips waiters that were cancelled", function()
    local mutex = qn.mutex()
    local guard = mutex:lock()
    local function take() local _ <close> = mutex:lock() return "had it" end
    local gone, stays = qn.spawn(take), qn.spawn(take)
    qn.yield()
    gone:cancel()
    guard:release()
    assert.same({ true, "had it" }, { stays:join() })
    gone:join()
  end)

  it("is released by the unwinding of an error", function()
    local mutex = qn.mutex()
    local ok = pcall(function()
      local _ <close> = mutex:lock()
      assert.is_true(mutex:is_locked())
      error("x")
    end)
    assert.is_false(ok)
    assert.is_false(mutex:is_locked())
  end)
end)

describe("qn.semaphore", function()
  it("lets n in", function()
    local semaphore = qn.semaphore(3)
    local inside, most = 0, 0
    qn.group(function(g)
      for _ = 1, 12 do
        g:spawn(function()
          local _ <close> = semaphore:acquire()
          inside = inside + 1
          most = math.max(most, inside)
          qn.yield()
          inside = inside - 1
        end)
      end
    end)
    assert.equal(3, most)
    assert.equal(3, semaphore:available())
  end)

  it("try_acquire, release, and growth", function()
    local semaphore = qn.semaphore(0)
    assert.is_false(semaphore:try_acquire())
    semaphore:release()
    local guard = semaphore:try_acquire()
    assert.equal(0, semaphore:available())
    guard:release()
    guard:release()
    assert.equal(1, semaphore:available())
    assert.is_true(semaphore:take())
    local later = semaphore:guard()
    later:release()
    assert.equal(1, semaphore:available())
    for _, bad in ipairs { -1, 0.5, "x" } do
      assert.error_matches(function() qn.semaphore(bad) end, "bad argument #1 to 'semaphore'")
    end
  end)

  it("times out", function()
    local semaphore = qn.semaphore(0)
    local got, err = semaphore:acquire(0.001)
    assert.is_nil(got)
    assert.equal("acquire", err.phase)
    got, err = semaphore:take(0)
    assert.is_nil(got)
    assert.equal("timeout", err.kind)
    semaphore:release()
    assert.equal(1, semaphore:available()) -- those that timed out take nothing
  end)

  it("forgets waiters that are gone", function()
    local semaphore = qn.semaphore(0)
    for _ = 1, 300 do semaphore:acquire(0) end
    assert.is_true(#semaphore.waiters < 100)
  end)
end)

describe("qn.event", function()
  it("wakes all who wait, and stays set until clear", function()
    local event = qn.event()
    assert.is_false(event:is_set())
    local tasks = {}
    for i = 1, 5 do tasks[i] = qn.spawn(function() return event:wait() end) end
    qn.yield()
    event:set()
    for i = 1, 5 do assert.same({ true, true }, { tasks[i]:join() }) end
    assert.is_true(event:wait(0))
    event:clear()
    local ok, err = event:wait(0.001)
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
    assert.equal("event", err.phase)
  end)

  it("set and clear in one go still wakes who waited", function()
    local event = qn.event()
    local task = qn.spawn(function() return event:wait() end)
    qn.yield()
    event:set()
    event:clear()
    assert.same({ true, true }, { task:join() })
  end)
end)

describe("qn.condition", function()
  it("waits with the mutex given away, and has it again behind", function()
    local mutex, condition = qn.mutex(), qn.condition()
    local ready, log = false, {}
    local waiter = qn.spawn(function()
      local _ <close> = mutex:lock()
      while not ready do
        assert.is_true(condition:wait(mutex))
        assert.is_true(mutex:is_locked())
      end
      log[#log + 1] = "woken"
    end)
    qn.yield()
    assert.is_false(mutex:is_locked())
    do
      local _ <close> = mutex:lock()
      ready = true
      assert.is_true(condition:notify())
      qn.yield()
      log[#log + 1] = "still mine"
    end
    assert(waiter:join())
    assert.same({ "still mine", "woken" }, log)
    assert.is_false(mutex:is_locked())
    assert.is_false(condition:notify())
  end)

  it("notify wakes one, notify_all all", function()
    local mutex, condition = qn.mutex(), qn.condition()
    local woken, tasks = 0, {}
    for i = 1, 4 do
      tasks[i] = qn.spawn(function()
        local _ <close> = mutex:lock()
        condition:wait(mutex)
        woken = woken + 1
      end)
    end
    for _ = 1, 8 do qn.yield() end
    condition:notify()
    for _ = 1, 8 do qn.yield() end
    assert.equal(1, woken)
    condition:notify_all()
    for i = 1, 4 do assert(tasks[i]:join()) end
    assert.equal(4, woken)
  end)

  it("locks again after a timeout and before a cancellation is thrown", function()
    local mutex, condition = qn.mutex(), qn.condition()
    local guard = mutex:lock()
    local ok, err = condition:wait(mutex, 0.001)
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
    assert.is_true(mutex:is_locked())
    guard:release()
    local held
    local task = qn.spawn(function()
      local _ <close> = mutex:lock()
      local fine, thrown = pcall(condition.wait, condition, mutex)
      held = mutex:is_locked() and not fine and qn.is_cancelled(thrown)
    end)
    qn.yield()
    local mine = mutex:lock()
    task:cancel()
    qn.sleep(0.002) -- it waits for the mutex, shielded
    assert.is_nil(held)
    mine:release()
    assert(task:join())
    assert.is_true(held)
    assert.is_false(mutex:is_locked())
  end)

  it("wants a locked mutex", function()
    local condition = qn.condition()
    for _, bad in ipairs { qn.mutex(), {}, 5 } do
      assert.error_matches(function() condition:wait(bad) end, "a locked mutex expected")
    end
    local mutex = qn.mutex()
    local _ <close> = mutex:lock()
    assert.error(function() condition:wait(mutex, -1) end)
    assert.is_true(mutex:is_locked())
  end)
end)
