-- "attempt to yield across a C-call boundary", without naming the function or the way out.
-- Here: waits work wherever Lua can yield; elsewhere the error names the function and the fix.
local qn = require "qn"

describe("lesson 1: waiting beneath other functions", function()
  it("works in pcall, iterators, metamethods, <close> and require", function()
    package.preload.lesson_1 = function() qn.sleep(0) return "module" end
    local t = setmetatable({}, { __index = function() qn.sleep(0) return "index" end, __close = function() qn.sleep(0) end })
    assert.same({ true, "pcall" }, { pcall(function() qn.sleep(0) return "pcall" end) })
    for value in function() qn.sleep(0) return nil end do error(value) end
    assert.equal("index", t.anything)
    do
      local _ <close> = t
    end
    assert.equal("module", (require("lesson_1")))
    package.preload.lesson_1, package.loaded.lesson_1 = nil, nil
  end)

  it("never gives the bare message of Lua", function()
    for fix, f in pairs {
      ["use qn.sort"] = function() table.sort({ 1, 2 }, function() qn.sleep(0) end) end,
      ["use qn.gsub"] = function() ("x"):gsub("x", function() qn.sleep(0) end) end,
      ["beneath 'unpack', a C function"] = function()
        local _ = table.unpack(setmetatable({}, { __len = function() qn.sleep(0) return 1 end }))
      end,
    } do
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.equal("not_yieldable", err.kind)
      assert.is_truthy(tostring(err):find(fix, 1, true), tostring(err))
      assert.is_nil(tostring(err):find("C-call boundary", 1, true))
    end
  end)
end)
