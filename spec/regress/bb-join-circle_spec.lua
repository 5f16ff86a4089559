-- Tasks that joined each other waited for ever: only a task's own ancestors were looked at.
local qn = require "qn"

local circle = "cannot join itself or a task that waits for it"

describe("tasks that join each other", function()
  it("two of them: the second join throws", function()
    local a, b
    a = qn.spawn(function() return b:join() end)
    b = qn.spawn(function()
      assert.error_matches(function() a:join() end, circle)
      return "b"
    end)
    assert.same({ true, "b" }, { b:join(20) })
    assert.same({ true, true, "b" }, { a:join(20) })
  end)

  it("three of them; a join with a limit is no circle", function()
    local a, b, c
    a = qn.spawn(function() return b:join() end)
    b = qn.spawn(function() return c:join() end)
    c = qn.spawn(function()
      assert.error_matches(function() a:join() end, circle)
      assert.is_true(qn.is_error(select(2, a:join(0.001)), "timeout"))
      return "c"
    end)
    assert.same({ true, true, true, "c" }, { a:join(20) })
  end)

  it("through a child that its parent waits for", function()
    local top
    top = qn.spawn(function()
      local child = qn.spawn(function()
        qn.yield()
        assert.error_matches(function() top:join() end, circle)
      end)
      qn.spawn(function() assert(child:join()) end)
      return "top"
    end)
    assert.same({ true, "top" }, { top:join(20) })
  end)
end)
