-- The life of tasks: spawn, join, results, failures, children, the end.
-- covers: bindings/sched.c bindings/task.c
local qn = require "qn"
local leaks = require "spec.support.leaks"

local function pack_join(task, ...)
  return table.pack(task:join(...))
end

describe("qn.spawn", function()
  it("starts the task when the caller next waits, not before", function()
    local log = {}
    local task = qn.spawn(function() log[#log + 1] = "task" end)
    log[#log + 1] = "caller"
    task:join()
    assert.same({ "caller", "task" }, log)
  end)

  it("starts tasks in the order of spawning", function()
    local log = {}
    local tasks = {}
    for i = 1, 10 do
      tasks[i] = qn.spawn(function() log[#log + 1] = i end)
    end
    for _, task in ipairs(tasks) do task:join() end
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, log)
  end)

  it("passes arguments, nils included", function()
    local got
    qn.spawn(function(...) got = table.pack(...) end, nil, 1, nil, "x", nil):join()
    assert.equal(5, got.n)
    assert.same({ n = 5, nil, 1, nil, "x", nil }, got)
  end)

  it("passes many arguments and results", function()
    local list = {}
    for i = 1, 5000 do list[i] = i end
    local result = pack_join(qn.spawn(function(...) return ... end, table.unpack(list)))
    assert.equal(5001, result.n)
    assert.equal(5000, result[5001])
    assert.equal(1, result[2])
  end)

  it("takes callable values and refuses others", function()
    local callable = setmetatable({}, { __call = function(_, a) return a + 1 end })
    assert.same({ n = 2, true, 6 }, pack_join(qn.spawn(callable, 5)))
    for _, bad in ipairs { 1, "x", {}, true } do
      assert.error_matches(function() qn.spawn(bad) end, "bad argument #1 to 'spawn' %(function expected")
      assert.error_matches(function() qn.detach(bad) end, "bad argument #1 to 'detach'")
    end
    assert.error(function() qn.spawn() end)
  end)

  it("notes the name and the site", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local task = qn.spawn(function() qn.sleep(30) end)
    assert.matches("sched_spec.lua:" .. line .. "$", task:site())
    assert.matches("^task %d+$", task:name())
    assert.equal("worker", task:name("worker"))
    assert.equal("worker", task:name())
    qn.yield()
    assert.equal("qn.Task: worker (waiting)", tostring(task))
    assert.matches("spawned at .*sched_spec.lua:" .. line, task:traceback())
    task:cancel()
    task:join()
  end)

  it("tells the status at each point of a life", function()
    local seen
    local task
    task = qn.spawn(function()
      seen = task:status()
      qn.sleep(0)
      qn.spawn(function() qn.sleep(0.005) end)
    end)
    assert.equal("ready", task:status())
    qn.yield()
    assert.equal("running", seen)
    assert.equal("waiting", task:status())
    while task:status() == "waiting" do qn.yield() end
    assert.equal("draining", task:status())
    task:join()
    assert.equal("done", task:status())
    local failed = qn.spawn(error, "x")
    failed:join()
    assert.equal("failed", failed:status())
    local cancelled = qn.spawn(qn.sleep, 30)
    cancelled:cancel()
    cancelled:join()
    assert.equal("cancelled", cancelled:status())
  end)
end)

describe("task:join", function()
  it("gives true and the results", function()
    assert.same({ n = 1, true }, pack_join(qn.spawn(function() end)))
    assert.same({ n = 2, true, nil }, pack_join(qn.spawn(function() return nil end)))
    assert.same({ n = 5, true, nil, false, nil, nil }, pack_join(qn.spawn(function()
      qn.yield()
      return nil, false, nil, nil
    end)))
  end)

  it("gives false and the error, of any type", function()
    local object = qn.error("limit", "too much")
    local mark = {}
    for _, value in ipairs { "text", 42, true, mark, object } do
      local result = pack_join(qn.spawn(function() error(value, 0) end))
      assert.equal(2, result.n)
      assert.is_false(result[1])
      assert.is_true(rawequal(value, result[2]))
    end
    assert.same({ n = 2, false, nil }, pack_join(qn.spawn(function() error(nil) end)))
    assert.same({ n = 2, false, false }, pack_join(qn.spawn(function() error(false) end)))
  end)

  it("gives the same again, to several joiners and later", function()
    local task = qn.spawn(function() qn.sleep(0.002) return 1, 2 end)
    local got = {}
    local joiners = {}
    for i = 1, 5 do
      joiners[i] = qn.spawn(function() got[i] = pack_join(task) end)
    end
    for _, joiner in ipairs(joiners) do assert(joiner:join()) end
    for i = 1, 5 do assert.same({ n = 3, true, 1, 2 }, got[i]) end
    assert.same({ n = 3, true, 1, 2 }, pack_join(task))
    local failed = qn.spawn(error, "x", 0)
    assert.same({ n = 2, false, "x" }, pack_join(failed))
    assert.same({ n = 2, false, "x" }, pack_join(failed))
  end)

  it("times out with nil and an error, and can be called again", function()
    local event = qn.event()
    local task = qn.spawn(function() event:wait() return "late" end)
    local ok, err = task:join(0.001)
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
    assert.equal("join", err.phase)
    ok, err = task:join(0)
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
    event:set()
    assert.same({ n = 2, true, "late" }, pack_join(task, false))
  end)

  it("refuses bad timeouts before it waits", function()
    local task = qn.spawn(function() return 1 end)
    for _, bad in ipairs { -1, 0 / 0, math.huge, "x", {}, true } do
      assert.error_matches(function() task:join(bad) end, "bad argument #1 to 'join'")
    end
    assert(task:join())
  end)

  it("refuses to join itself or an ancestor", function()
    local parent = qn.spawn(function()
      local me = qn.current()
      assert.error_matches(function() me:join() end, "cannot join itself")
      local child = qn.spawn(function()
        assert.error_matches(function() me:join() end, "cannot join itself or a task that waits")
        qn.group(function(g)
          assert(g:spawn(function()
            assert.error_matches(function() me:join() end, "cannot join itself or a task that waits")
          end):join())
        end)
      end)
      assert(child:join())
    end)
    assert(parent:join())
  end)

  it("waits for the children of the task, too", function()
    local over = false
    local task = qn.spawn(function()
      qn.spawn(function() qn.sleep(0.005) over = true end)
      return "early"
    end)
    assert.same({ n = 2, true, "early" }, pack_join(task))
    assert.is_true(over)
  end)
end)

describe("a failure", function()
  it("that is joined late is no unhandled one", function()
    local task = qn.spawn(function() error("boom", 0) end)
    qn.sleep(0.005)
    collectgarbage()
    qn.sleep(0.005)
    assert.same({ n = 2, false, "boom" }, pack_join(task))
    collectgarbage()
    qn.sleep(0.001)
    assert.same({}, leaks.take_unhandled())
  end)

  it("that nobody can join any more goes to on_unhandled", function()
    qn.spawn(function() error("dropped", 0) end)
    local list = leaks.wait_unhandled(1)
    assert.equal(1, #list)
    assert.equal("dropped", list[1].error)
    assert.equal("failed", list[1].task:status())
  end)

  it("of a child of an ended task goes to on_unhandled although its handle lives", function()
    local child
    qn.spawn(function()
      child = qn.spawn(function() error("orphan", 0) end)
    end):join()
    local list = leaks.wait_unhandled(1)
    assert.equal("orphan", list[1].error)
    assert.is_true(rawequal(child, list[1].task))
  end)

  it("does not end the siblings or the parent", function()
    local task = qn.spawn(function()
      qn.spawn(function() error("one", 0) end)
      local other = qn.spawn(function() qn.sleep(0.005) return "fine" end)
      return select(2, other:join())
    end)
    assert.same({ n = 2, true, "fine" }, pack_join(task))
    assert.equal("one", leaks.wait_unhandled(1)[1].error)
  end)

  it("of a detached task is reported at once", function()
    local task = qn.detach(function() error("detached", 0) end)
    while task:status() ~= "failed" do qn.yield() end
    qn.yield()
    qn.yield()
    assert.equal("detached", leaks.take_unhandled()[1].error)
  end)

  it("cancels the children of the task", function()
    local child
    local task = qn.spawn(function()
      child = qn.spawn(function() qn.sleep(30) end)
      qn.yield()
      error("parent", 0)
    end)
    assert.same({ n = 2, false, "parent" }, pack_join(task))
    assert.equal("cancelled", child:status())
  end)

  it("keeps the traceback of the first raise, also through a rethrow and with a waiting <close>", function()
    local function culprit() error("deep", 0) end
    local task = qn.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() qn.sleep(0.001) end })
      culprit()
    end)
    assert.is_false((task:join()))
    assert.matches("culprit", task:traceback())
    assert.matches("spawned at", task:traceback())
  end)

  it("by exhausting the stack is an ordinary one", function()
    local function recurse() return 1 + recurse() end
    local ok, err = qn.spawn(recurse):join()
    assert.is_false(ok)
    assert.matches("stack overflow", tostring(err))
  end)

  it("in a <close> replaces the error before it, as in Lua", function()
    local ok, err = qn.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() error("closing", 0) end })
      error("body", 0)
    end):join()
    assert.is_false(ok)
    assert.equal("closing", err)
  end)

  it("in __gc disturbs no task", function()
    warn("@off")
    local task = qn.spawn(function()
      setmetatable({}, { __gc = function() error("in gc") end })
      collectgarbage()
      qn.yield()
      return "fine"
    end)
    assert.same({ n = 2, true, "fine" }, pack_join(task))
  end)
end)

describe("qn.on_unhandled", function()
  it("returns the handler before, and calls the new one as a task that may wait", function()
    local seen
    local before = qn.on_unhandled(function(err, task)
      qn.sleep(0.001)
      seen = { err, task:name() }
    end)
    assert.is_function(before)
    qn.detach(error, { "table" }):name("culprit")
    while not seen do qn.yield() end
    assert.same({ { "table" }, "culprit" }, seen)
    assert.is_function(qn.on_unhandled(before))
    assert.error_matches(function() qn.on_unhandled(5) end, "function expected")
  end)
end)

describe("qn.detach", function()
  it("makes a task that outlives its maker", function()
    local detached, event = nil, qn.event()
    local over = false
    local maker = qn.spawn(function()
      detached = qn.detach(function() event:wait() over = true end)
    end)
    assert(maker:join())
    assert.is_false(over)
    event:set()
    assert(detached:join())
    assert.is_true(over)
  end)

  it("is not cancelled with its maker", function()
    local detached
    local maker = qn.spawn(function()
      detached = qn.detach(function() qn.sleep(0.003) return "alive" end)
      qn.sleep(30)
    end)
    qn.yield()
    maker:cancel()
    maker:join()
    assert.same({ n = 2, true, "alive" }, pack_join(detached))
  end)
end)

describe("qn.tasks", function()
  it("gives the tree, and prints it", function()
    local parent = qn.spawn(function()
      qn.spawn(qn.sleep, 30):name("child")
      qn.sleep(30)
    end)
    parent:name("parent")
    qn.yield()
    qn.yield()
    local tree = qn.tasks()
    local found
    for _, root in ipairs(tree) do
      for _, node in ipairs(root.children) do
        if node.name == "parent" then found = node end
      end
    end
    assert.is_table(found)
    assert.equal("waiting", found.status)
    assert.equal("sleep", found.waiting)
    assert.equal(1, #found.children)
    assert.equal("child", found.children[1].name)
    assert.is_true(rawequal(parent, found.task))
    assert.matches("\n *parent: waiting for sleep %(spawned at .-%)\n *child: waiting for sleep", tostring(tree))
    parent:cancel()
    parent:join()
  end)
end)

describe("qn.stats", function()
  it("counts tasks, switches and spawns", function()
    local before = qn.stats()
    local task = qn.spawn(function() qn.yield() end)
    assert.equal(before.tasks + 1, qn.stats().tasks)
    assert(task:join())
    local after = qn.stats()
    assert.equal(before.tasks, after.tasks)
    assert.equal(before.spawned + 1, after.spawned)
    assert.is_true(after.switches >= before.switches + 3)
  end)
end)

describe("fairness", function()
  it("a loop of ready operations lets others run", function()
    local channel = qn.channel(1)
    local steps, other = 0, 0
    local spinner = qn.spawn(function()
      while other < 5 and steps < 100000 do
        channel:send(steps)
        channel:recv()
        steps = steps + 1
      end
    end)
    local witness = qn.spawn(function()
      for _ = 1, 5 do
        other = other + 1
        qn.yield()
      end
    end)
    assert(spinner:join())
    assert(witness:join())
    assert.is_true(steps < 64 * 8, "steps: " .. steps)
  end)

  it("a loop of ready operations is cancelled", function()
    local semaphore = qn.semaphore(1)
    local spinner = qn.spawn(function()
      while true do
        local _ <close> = semaphore:acquire()
      end
    end)
    qn.yield()
    spinner:cancel()
    local ok, err = spinner:join()
    assert.is_false(ok)
    assert.is_true(qn.is_cancelled(err))
    assert.equal(1, semaphore:available())
  end)
end)
