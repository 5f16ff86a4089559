-- qn.sort and qn.gsub blamed lines of the library for mistakes of their callers.
local qn = require "qn"

describe("the waiting twins", function()
  local function check(pattern, f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    assert.matches(pattern, err)
  end

  it("tell bad arguments in terms of the caller", function()
    check("bb%-twins_spec%.lua:%d+: unfinished capture", function() qn.gsub("a", "(", "x") end)
    check("bb%-twins_spec%.lua:%d+: malformed pattern", function() qn.gsub("a", "[a", "x") end)
    check("bb%-twins_spec%.lua:%d+: bad argument #2 to 'sort' %(function expected, got number%)",
      function() qn.sort({ 2, 1 }, 5) end)
  end)

  it("do what the originals do", function()
    for _, case in ipairs {
      { "abc d", "(%w)(%w)", "%2%1" }, { "abc", "", "-" }, { "abc", "%w", "%0%0", 2 }, { "abc", "^a", "x" },
      { "key = value", "(%w+) = (%w+)", "%2 %1" }, { "abc", "()", "%1" }, { "", "x*", "-" }, { "a.b", "%.", "%%" },
    } do
      assert.same({ string.gsub(table.unpack(case)) }, { qn.gsub(table.unpack(case)) })
    end
  end)
end)
