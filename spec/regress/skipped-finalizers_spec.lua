-- Lua frees a userdata without calling its finalizer when it is collected while a stack is exhausted (deep
-- recursion). Lists of the scheduler that ran through such userdata then led into freed memory. The program
-- below makes that happen some hundred times; the asan preset sees what goes wrong.
local scripts = require "spec.support.scripts"

describe("finalizers that Lua could not call", function()
  it("leave no dangling scopes, groups, coroutines, tasks or handles", function()
    local out, status = scripts.qnlua([[
      qn.on_unhandled(function() end)
      local function garbage()
        qn.deadline(1000)
        local co = coroutine.create(function()
          qn.group(function(g)
            g:spawn(qn.sleep, 100)
            coroutine.yield()
          end)
        end)
        coroutine.resume(co)
        co = coroutine.create(function()
          local _ <close> = qn.deadline(1000)
          coroutine.yield()
        end)
        coroutine.resume(co)
        qn.spawn(error, "x")
        qn.tcp.socket():close()
      end
      local function deep()
        garbage()
        return (string.gsub("a", "a", deep))
      end
      for i = 1, 60 do
        pcall(deep)
        coroutine.wrap(function() return pcall(deep) end)()
        xpcall(function() garbage() error({}) end, function(e) garbage() error(e) end)
        collectgarbage("step", 200)
        qn.yield()
        if i % 10 == 0 then collectgarbage() end
      end
      for _ = 1, 3 do
        collectgarbage()
        qn.sleep(0)
      end
      print("done")
      os.exit(0)
    ]], { ASAN_OPTIONS = "detect_leaks=0" })
    assert.matches("^done\n", out) -- the handles themselves are lost, and counted at the end
    assert.equal(0, status)
  end)
end)
