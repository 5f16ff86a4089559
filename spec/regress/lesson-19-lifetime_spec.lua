-- Manual handle lifetime; crashes or leaks by the collector. Here a handle lives as long as anything waits
-- for it, <close> ends it, the collector is the safety net and counts.
local qn = require "qn"
local leaks = require "spec.support.leaks"

describe("lesson 19: the life of handles", function()
  it("a wait keeps its handle although nobody else does", function()
    local a, b = qn.pair()
    local task = qn.spawn(function() return b:read("a") end)
    qn.yield()
    b = nil
    for _ = 1, 3 do
      collectgarbage()
      qn.yield()
    end
    a:write("still here")
    a:close()
    assert.same({ true, "still here" }, { task:join() })
    task = nil -- luacheck: ignore 311
    leaks.expect { leaked = 1 } -- b, which nobody has closed
  end)

  it("dropped handles in a storm of collections leave nothing but a count", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    io.stderr:write("(leaks are intended here)\n")
    for _ = 1, 3 do
      assert(qn.tcp.connect("127.0.0.1", server:port()))
      assert(server:accept())
    end
    server:close()
    collectgarbage()
    collectgarbage()
    leaks.expect { leaked = 6 }
  end)

  it("a task that waits on a dropped channel is found by nobody, and still ends with its parent", function()
    local child
    local parent = qn.spawn(function()
      child = qn.spawn(function() qn.channel():recv() end)
      qn.sleep(30)
    end)
    qn.yield()
    qn.yield()
    collectgarbage()
    parent:cancel()
    parent:join()
    assert.equal("cancelled", child:status())
  end)
end)
