-- covers: lua/qn/require.lua lua/qn/install.lua
local qn = require "qn"

describe("require", function()
  local names = {}
  local function module(name, f)
    names[#names + 1] = name
    package.preload[name] = f
    return name
  end
  after_each(function()
    for _, name in ipairs(names) do
      package.preload[name], package.loaded[name] = nil, nil
    end
    names = {}
  end)

  it("lets a module body wait", function()
    module("spec_waits", function(name, extra)
      qn.sleep(0.001)
      return { name = name, extra = extra }
    end)
    local m, extra = require("spec_waits")
    assert.same({ name = "spec_waits", extra = ":preload:" }, m)
    assert.equal(":preload:", extra)
    assert.is_true(rawequal(m, require("spec_waits")))
  end)

  it("stores what stock require stores", function()
    module("spec_nothing", function() end)
    assert.is_true(require("spec_nothing"))
    module("spec_false", function() return false end)
    assert.is_false(require("spec_false"))
    module("spec_self", function(name) package.loaded[name] = "self" end)
    assert.equal("self", (require("spec_self")))
  end)

  it("runs a module once for many that require it at once", function()
    local runs = 0
    module("spec_once", function()
      runs = runs + 1
      qn.sleep(0.002)
      return { "value" }
    end)
    local tasks = {}
    for i = 1, 10 do tasks[i] = qn.spawn(require, "spec_once") end
    local first = require("spec_once")
    for i = 1, 10 do
      local _, value = tasks[i]:join()
      assert.is_true(rawequal(first, value))
    end
    assert.equal(1, runs)
  end)

  it("runs a module once although its searcher waits", function()
    local runs = 0
    local searchers = package.searchers
    table.insert(searchers, 1, function(name)
      if name == "spec_searched" then
        qn.sleep(0.001)
        return function()
          runs = runs + 1
          return { runs }
        end
      end
    end)
    local tasks = {}
    for i = 1, 4 do tasks[i] = qn.spawn(require, "spec_searched") end
    for i = 1, 4 do assert.same({ true, { 1 } }, { tasks[i]:join() }, "task " .. i) end
    table.remove(searchers, 1)
    names[#names + 1] = "spec_searched"
    assert.equal(1, runs)
  end)

  it("throws a module's error to all who wait, and tries again next time", function()
    local runs = 0
    local mark = {}
    module("spec_fails", function()
      runs = runs + 1
      qn.yield()
      if runs <= 3 then error(mark) end
      return "at last"
    end)
    local tasks = {}
    for i = 1, 3 do tasks[i] = qn.spawn(require, "spec_fails") end
    for i = 1, 3 do
      local ok, err = tasks[i]:join()
      assert.is_false(ok)
      assert.is_true(rawequal(mark, err))
    end
    assert.equal("at last", (require("spec_fails")))
  end)

  it("finds a cycle within a task", function()
    module("spec_cycle_a", function() require("spec_cycle_b") end)
    module("spec_cycle_b", function() require("spec_cycle_a") end)
    assert.error_matches(function() require("spec_cycle_a") end, "loop or previous error loading module 'spec_cycle_a'")
  end)

  it("allows the cycle of a module that registers itself first", function()
    module("spec_early_a", function(name)
      local m = {}
      package.loaded[name] = m
      m.other = require("spec_early_b")
      return m
    end)
    module("spec_early_b", function() return { back = require("spec_early_a") } end)
    local a = require("spec_early_a")
    assert.is_true(rawequal(a, a.other.back))
  end)

  it("finds a cycle across tasks that wait for each other", function()
    module("spec_across_a", function() qn.yield() return require("spec_across_b") end)
    module("spec_across_b", function() qn.yield() return require("spec_across_a") end)
    local a, b = qn.spawn(require, "spec_across_a"), qn.spawn(require, "spec_across_b")
    local ok_a, err_a = a:join()
    local ok_b, err_b = b:join()
    assert.is_false(ok_a and ok_b)
    assert.matches("loop or previous error", tostring(ok_a and err_b or err_a))
  end)

  it("a waiter that is cancelled leaves, the others get the module", function()
    module("spec_cancel", function() qn.sleep(0.003) return "module" end)
    local loader, gone = qn.spawn(require, "spec_cancel"), qn.spawn(require, "spec_cancel")
    local stays = qn.spawn(require, "spec_cancel")
    qn.yield()
    gone:cancel()
    assert.is_true(qn.is_cancelled(select(2, gone:join())))
    assert.equal("module", select(2, stays:join()))
    assert(loader:join())
  end)

  it("a loader that is cancelled leaves the module to the next one", function()
    local runs = 0
    module("spec_reload", function()
      runs = runs + 1
      qn.sleep(0.002)
      return runs
    end)
    local loader, waiter = qn.spawn(require, "spec_reload"), qn.spawn(require, "spec_reload")
    qn.yield()
    loader:cancel()
    loader:join()
    assert.same({ true, 2 }, { select(1, waiter:join()), package.loaded.spec_reload })
  end)

  it("names what it looked for, and wants a string", function()
    local ok, err = pcall(require, "spec_missing.module")
    assert.is_false(ok)
    assert.matches("module 'spec_missing.module' not found:", err)
    assert.matches("no field package.preload%['spec_missing.module'%]", err)
    assert.matches("no file", err)
    assert.error_matches(function() require(5) end, "bad argument #1 to 'require'")
    assert.error_matches(function() require() end, "bad argument #1 to 'require'")
  end)
end)

describe("qn.install", function()
  it("is idempotent and has replaced what cannot wait", function()
    local core = require "qn.core"
    local before = coroutine.wrap
    assert.is_true(qn.install())
    assert.is_true(rawequal(before, coroutine.wrap))
    assert.is_true(rawequal(core.coroutine.resume, coroutine.resume))
    assert.is_true(rawequal(core.exit, os.exit))
  end)
end)
