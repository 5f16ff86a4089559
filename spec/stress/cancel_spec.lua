-- Cancels every waiting operation at each of its suspension points, in the turn of its wake-up, at random
-- times under load, and lets time limits race with completion. The leak check behind each spec wants zero
-- tasks, operations, handles and objects left; here, that no old wake-up reaches a later wait.
local qn = require "qn"
local waits = require "spec.support.waits"

local TURNS <const> = 12 -- more than any operation here needs to reach its last suspension

local function expected(ok, err)
  -- an operation may end by itself, in any way; what it throws is the cancellation or a time limit
  return ok or qn.is_cancelled(err) or qn.is_error(err)
end

-- Runs the operation in a task that then waits again, shielded, for something that nobody gives: a wake-up
-- of the first wait that comes late would end the second one.
local function start(world)
  local stray = 0
  local task = qn.spawn(function()
    local ok, err = pcall(world.op)
    assert(expected(ok, err), tostring(err))
    qn.shield({ grace = false }, function()
      for _ = 1, 3 do
        local value, timeout = qn.event():wait(0.0005)
        if value ~= nil or timeout.kind ~= "timeout" then stray = stray + 1 end
      end
    end)
  end)
  return task, function() return stray end
end

local function turns(n)
  for _ = 1, n do qn.yield() end
end

local function finish(world, task, strays)
  world.release() -- late: nobody may notice
  local ok, err = task:join()
  assert(ok or task:status() == "cancelled", tostring(err)) -- that is: before it had begun
  assert.equal(0, strays())
  world.close()
end

describe("cancelling", function()
  teardown(waits.finish)

  for _, name in ipairs(waits.names) do
    it(name .. ", at each suspension point", function()
      for n = 0, TURNS do
        local world = waits.make(name)
        local task, strays = start(world)
        turns(n)
        task:cancel("stress")
        finish(world, task, strays)
      end
    end)

    it(name .. ", in the turn of its wake-up", function()
      for n = 1, 4 do
        for _, first in ipairs { "release", "cancel" } do
          local world = waits.make(name)
          local task, strays = start(world)
          turns(n)
          if first == "release" then
            world.release()
            task:cancel()
          else
            task:cancel()
            world.release()
          end
          finish(world, task, strays)
        end
      end
    end)

    it(name .. ", by closing the coroutine that waits", function()
      for n = 1, 6 do
        local world = waits.make(name)
        local co = coroutine.create(world.op)
        local task = qn.spawn(function()
          coroutine.resume(co)
          assert.is_nil((qn.event():wait(0.0005)))
        end)
        turns(n)
        if n % 2 == 0 then world.release() end
        if coroutine.status(co) ~= "dead" then coroutine.close(co) end
        world.release()
        assert(task:join())
        world.close()
      end
    end)

    it(name .. ", by a time limit that races with its completion", function()
      for n = 1, 6 do
        local world = waits.make(name)
        local task = qn.spawn(function()
          qn.timeout(n / 4000, world.op)
          assert.is_nil((qn.event():wait(0.0005)))
        end)
        qn.sleep(n / 4000)
        world.release()
        if not task:join(20) then -- has no limit of its own and was not released: cannot be
          error("the time limit did not end it")
        end
        world.close()
      end
    end)
  end

  it("everything at random times, under load", function()
    math.randomseed(20261122)
    local give_up = qn.now() + 5
    for _ = 1, 6 do
      local worlds, tasks = {}, {}
      for i = 1, 150 do
        local world = waits.make(waits.names[math.random(#waits.names)])
        worlds[i] = world
        tasks[i] = qn.spawn(function()
          local ok, err = pcall(world.op)
          assert(expected(ok, err), tostring(err))
        end)
      end
      local order = {}
      for i = 1, 150 do order[i] = i end
      for i = 150, 2, -1 do
        local j = math.random(i)
        order[i], order[j] = order[j], order[i]
      end
      for _, i in ipairs(order) do
        local what = math.random(4)
        if what == 1 then qn.yield() end
        if what <= 2 then worlds[i].release() end
        if what >= 2 then tasks[i]:cancel() end
        if what == 4 then worlds[i].release() end
      end
      for i = 1, 150 do
        tasks[i]:cancel()
        assert(tasks[i]:join() or tasks[i]:status() == "cancelled")
        worlds[i].close()
      end
      if qn.now() > give_up then break end
    end
  end)

  it("ten thousand tasks at once, each in another wait", function()
    local channel, event, semaphore, condition = qn.channel(), qn.event(), qn.semaphore(0), qn.condition()
    local ops = {
      function() channel:recv() end, function() event:wait() end, function() semaphore:acquire() end,
      function() qn.sleep(30) end, function() qn.timeout(30, channel.recv, channel) end,
      function() coroutine.wrap(function() event:wait() end)() end,
      function()
        local mutex = qn.mutex()
        local _ <close> = mutex:lock()
        condition:wait(mutex)
      end,
    }
    local parent = qn.spawn(function()
      for i = 1, 10000 do qn.spawn(ops[i % #ops + 1]) end
      qn.sleep(30)
    end)
    turns(3)
    assert.is_true(qn.stats().tasks > 10000)
    parent:cancel()
    assert.is_true(qn.is_cancelled(select(2, parent:join())))
    assert.is_false((channel:try_send("x")))
    semaphore:release()
    assert.equal(1, semaphore:available())
    assert.is_false(condition:notify())
  end)
end)
