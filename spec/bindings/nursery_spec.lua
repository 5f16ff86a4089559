-- Groups: who owns which task, and what a child's end means.
-- covers: bindings/nursery.c lua/qn/group.lua
local qn = require "qn"
local leaks = require "spec.support.leaks"

describe("qn.group", function()
  it("waits for its tasks and gives the results of its body", function()
    local done = 0
    local result = table.pack(qn.group(function(g)
      for _ = 1, 5 do
        g:spawn(function() qn.sleep(0.002) done = done + 1 end)
      end
      qn.spawn(function() qn.sleep(0.003) done = done + 1 end) -- the innermost open group
      assert.equal(6, g:count())
      return nil, 2, nil
    end))
    assert.same({ n = 3, nil, 2, nil }, result)
    assert.equal(6, done)
  end)

  it("hands arguments to its tasks", function()
    local got
    qn.group(function(g)
      g:spawn(function(...) got = table.pack(...) end, 1, nil, 3, nil)
    end)
    assert.same({ n = 4, 1, nil, 3, nil }, got)
  end)

  it("rethrows the first error of a child; siblings and body are cancelled", function()
    local sibling, body_error
    local mark = {}
    local ok, err = pcall(qn.group, function(g)
      sibling = g:spawn(qn.sleep, 30)
      g:spawn(function()
        qn.yield()
        error(mark)
      end)
      body_error = select(2, pcall(qn.sleep, 30))
      qn.sleep(30)
    end)
    assert.is_false(ok)
    assert.is_true(rawequal(mark, err))
    assert.is_true(qn.is_cancelled(body_error))
    assert.equal("cancelled", sibling:status())
  end)

  it("rethrows the child's error although the body fails because of the cancellation", function()
    local ok, err = pcall(qn.group, function(g)
      g:spawn(error, "child", 0)
      local _, e = pcall(qn.sleep, 30)
      error("body saw " .. tostring(e), 0)
    end)
    assert.is_false(ok)
    assert.equal("child", err)
  end)

  it("rethrows the body's own error after the tasks have ended", function()
    local log = {}
    local ok, err = pcall(qn.group, function(g)
      g:spawn(function()
        local _ <close> = setmetatable({}, { __close = function()
          qn.shield(qn.sleep, 0.002)
          log[#log + 1] = "cleaned"
        end })
        qn.sleep(30)
      end)
      qn.yield()
      error("body", 0)
    end)
    assert.is_false(ok)
    assert.equal("body", err)
    assert.same({ "cleaned" }, log)
  end)

  it("cancelled from outside cancels its tasks and throws the cancellation", function()
    local child
    local task = qn.spawn(function()
      qn.group(function(g)
        child = g:spawn(qn.sleep, 30)
      end)
    end)
    qn.yield()
    qn.yield()
    task:cancel("outside")
    local ok, err = task:join()
    assert.is_false(ok)
    assert.equal("outside", err.reason)
    assert.equal("cancelled", child:status())
  end)

  it("ended by g:cancel returns nothing", function()
    local child
    assert.equal(0, select("#", qn.group(function(g)
      child = g:spawn(qn.sleep, 30)
      g:spawn(function()
        qn.yield()
        g:cancel("enough")
      end)
      return "not seen"
    end)))
    assert.equal("enough", select(2, child:join()).reason)
  end)

  it("that is cancelled cancels what is spawned in it later", function()
    local late
    qn.group(function(g)
      g:cancel()
      late = g:spawn(function() error("ran") end)
    end)
    assert.equal("cancelled", late:status())
  end)

  it("with a timeout gives nil, err", function()
    local child
    local value, err = qn.group({ timeout = 0.002 }, function(g)
      child = g:spawn(qn.sleep, 30)
      return "body"
    end)
    assert.is_nil(value)
    assert.is_true(qn.is_error(err, "timeout"))
    assert.equal("cancelled", child:status())
    assert.equal("body", qn.group({ timeout = 30 }, function() return "body" end))
    assert.equal("body", qn.group({ timeout = false }, function() return "body" end))
  end)

  it("with a limit runs that many at a time, in order", function()
    local running, most, order = 0, 0, {}
    qn.group({ limit = 3 }, function(g)
      for i = 1, 20 do
        g:spawn(function()
          running = running + 1
          most = math.max(most, running)
          order[#order + 1] = i
          qn.sleep(0.0005)
          running = running - 1
        end)
      end
    end)
    assert.equal(3, most)
    for i = 1, 20 do assert.equal(i, order[i]) end
  end)

  it("with a limit cancels those that have not started", function()
    local ran = 0
    local tasks = {}
    local ok = pcall(qn.group, { limit = 1 }, function(g)
      for i = 1, 5 do
        tasks[i] = g:spawn(function()
          ran = ran + 1
          error("first", 0)
        end)
      end
      assert.equal("new", tasks[2]:status())
    end)
    assert.is_false(ok)
    assert.equal(1, ran)
    for i = 2, 5 do assert.equal("cancelled", tasks[i]:status()) end
  end)

  it("collects errors and cancels nobody", function()
    local finished = 0
    local value, errors = qn.group({ on_error = "collect" }, function(g)
      g:spawn(error, "one", 0)
      g:spawn(function() qn.sleep(0.003) finished = finished + 1 end)
      g:spawn(error, "two", 0)
      return "value"
    end)
    assert.is_nil(value)
    assert.same({ "one", "two" }, errors)
    assert.equal(1, finished)
    assert.equal("fine", qn.group({ on_error = "collect" }, function() return "fine" end))
  end)

  it("supervises: each error goes to on_unhandled and disturbs nobody", function()
    local value = qn.group({ on_error = "supervise" }, function(g)
      g:spawn(error, "one", 0)
      g:spawn(error, "two", 0)
      qn.sleep(0.002)
      return "value"
    end)
    assert.equal("value", value)
    local list = leaks.wait_unhandled(2)
    assert.equal("one", list[1].error)
    assert.equal("two", list[2].error)
  end)

  it("nests, and an error passes through both", function()
    local outer_child
    local ok, err = pcall(qn.group, function(outer)
      outer_child = outer:spawn(qn.sleep, 30)
      qn.group(function(inner)
        inner:spawn(qn.sleep, 30)
        inner:spawn(error, "deep", 0)
      end)
    end)
    assert.is_false(ok)
    assert.equal("deep", err)
    assert.equal("cancelled", outer_child:status())
  end)

  it("nests, and an inner error that is caught does not disturb the outer one", function()
    local value = qn.group(function(outer)
      local task = outer:spawn(function() qn.sleep(0.002) return "outer" end)
      assert.is_false((pcall(qn.group, function(inner) inner:spawn(error, "x", 0) end)))
      return select(2, task:join())
    end)
    assert.equal("outer", value)
  end)

  it("takes no more tasks when it has ended", function()
    local kept
    qn.group(function(g) kept = g end)
    assert.error_matches(function() kept:spawn(print) end, "the group has ended")
    kept:cancel()
  end)

  it("lets another task see its end", function()
    local seen
    local group
    local watcher = qn.spawn(function()
      while not group do qn.yield() end
      assert.is_true(group:wait_ended(5))
      seen = true
    end)
    qn.group(function(g)
      group = g
      g:spawn(qn.sleep, 0.002)
      qn.yield()
    end)
    assert(watcher:join())
    assert.is_true(seen)
  end)

  it("opened in a user coroutine works like any other", function()
    local result = coroutine.wrap(function()
      return qn.group(function(g)
        g:spawn(qn.sleep, 0.001)
        coroutine.yield("between")
        g:spawn(qn.sleep, 0.001)
        return "end"
      end)
    end)
    assert.equal("between", result())
    assert.equal("end", result())
  end)

  it("in a coroutine that is closed cancels its tasks", function()
    local child
    local co = coroutine.create(function()
      qn.group(function(g)
        child = g:spawn(qn.sleep, 30)
        coroutine.yield()
      end)
    end)
    assert(coroutine.resume(co))
    assert.is_true(coroutine.close(co))
    assert.is_true(qn.is_cancelled(select(2, child:join())))
  end)

  it("in a coroutine that is dropped cancels its tasks", function()
    local child
    local co = coroutine.create(function()
      qn.group(function(g)
        child = g:spawn(qn.sleep, 30)
        coroutine.yield()
      end)
    end)
    assert(coroutine.resume(co))
    co = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.is_true(qn.is_cancelled(select(2, child:join())))
  end)

  it("whose coroutine has died of its error may be closed when its task is long gone", function()
    local co = coroutine.create(function()
      qn.group(function(g) g:spawn(error, "child", 0) end)
    end)
    assert(qn.spawn(function()
      assert.same({ false, "child" }, { coroutine.resume(co) })
    end):join())
    collectgarbage()
    collectgarbage()
    assert.same({ false, "child" }, { coroutine.close(co) })
  end)

  it("left open by a coroutine ends with the task, although the coroutine lives on", function()
    local child
    local step = coroutine.wrap(function()
      return pcall(qn.group, function(g)
        child = g:spawn(qn.sleep, 30)
        coroutine.yield()
        g:spawn(print)
      end)
    end)
    assert(qn.spawn(step):join())
    assert.equal("cancelled", child:status())
    collectgarbage()
    collectgarbage()
    local _, ok, err = qn.spawn(step):join()
    assert.is_false(ok)
    assert.matches("the group has ended", err)
  end)

  it("moves with its coroutine into another task", function()
    local child
    local step = coroutine.wrap(function()
      return qn.group(function(g)
        child = g:spawn(function() qn.sleep(0.003) return "child" end)
        coroutine.yield("opened")
        return "ended"
      end)
    end)
    local first = qn.spawn(function()
      assert.equal("opened", step())
      local _, value = qn.spawn(step):join()
      return value
    end)
    assert.same({ true, "ended" }, { first:join() })
    assert.same({ true, "child" }, { child:join() })
  end)

  it("does not become that of one of its own tasks", function()
    local co, seen
    co = coroutine.create(function()
      qn.group(function(g)
        g:spawn(function()
          qn.yield()
          seen = table.pack(coroutine.resume(co))
          seen.inner = table.pack(qn.spawn(function() return coroutine.resume(co) end):join())
        end)
        coroutine.yield("open")
      end)
    end)
    assert.same({ true, "open" }, { coroutine.resume(co) })
    while not (seen and seen.inner) do qn.yield() end
    assert.is_false(seen[1])
    assert.matches("whose group waits for the task", seen[2])
    assert.is_false(seen.inner[2])
    assert.same({ true }, { coroutine.resume(co) })
  end)

  it("is refused where its end could not wait, and starts nothing", function()
    local before = qn.stats().tasks
    local ok, err = pcall(table.sort, { 1, 2 }, function()
      qn.group(function(g) g:spawn(print) end)
    end)
    assert.is_false(ok)
    assert.equal("not_yieldable", err.kind)
    assert.matches("table.sort", tostring(err))
    assert.equal(before, qn.stats().tasks)
  end)

  it("refuses bad options and bodies", function()
    assert.error_matches(function() qn.group({ limt = 1 }, print) end, "unknown option 'limt' %(did you mean 'limit'")
    assert.error_matches(function() qn.group({ limit = 0 }, print) end, "limit")
    assert.error_matches(function() qn.group({ timeout = -1 }, print) end, "timeout")
    assert.error_matches(function() qn.group({ on_error = "panic" }, print) end, "on_error")
    assert.error_matches(function() qn.group({}) end, "bad argument #2 to 'group'")
    qn.group(function(g)
      assert.error_matches(function() g:spawn(5) end, "bad argument #1 to 'spawn'")
    end)
  end)

  it("reports the errors of a group that was dropped", function()
    local co = coroutine.create(function()
      qn.group({ on_error = "collect" }, function(g)
        g:spawn(error, "lost", 0)
        coroutine.yield()
      end)
    end)
    assert(coroutine.resume(co))
    qn.yield()
    qn.yield()
    co = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.equal("lost", leaks.wait_unhandled(1)[1].error)
  end)
end)
