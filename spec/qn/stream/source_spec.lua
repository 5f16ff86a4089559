if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local Memory = require "qn.stream.memory"
local source = require "qn.stream.source"

describe("source.open", function()
  it("takes strings and nothing as memory", function()
    local s, in_memory = source.open("abc", "new")
    assert.equal("abc", s:read "a")
    assert.is_true(in_memory)
    s, in_memory = source.open(nil, "new")
    assert.is_nil(s:read(1))
    assert.is_true(in_memory)
  end)

  it("takes open files", function()
    local file <close> = io.tmpfile()
    file:write "abc"
    file:seek("set", 0)
    local s, in_memory = source.open(file, "new")
    assert.equal("abc", s:read "a")
    assert.is_false(in_memory)
  end)

  it("takes streams as they are", function()
    local m = Memory.new "x"
    local s, in_memory = source.open(m, "new")
    assert.equal(m, s)
    assert.is_true(in_memory)
  end)

  it("refuses everything else and says why", function()
    local closed = io.tmpfile()
    closed:close()
    local guarded = setmetatable({}, {
      __index = function()
        error "no such field"
      end,
    })
    for _, case in ipairs {
      { 7, "got number" },
      { true, "got boolean" },
      { {}, "got a table without 'read'" },
      { setmetatable({ read = print }, {}), "got a table without 'read_exactly'" },
      { closed, "got closed file" },
      { guarded, "got table" },
    } do
      local ok, message = pcall(source.open, case[1], "new")
      assert.is_false(ok)
      assert.truthy(message:find("bad argument #1 to 'new' (stream, string, open file", 1, true))
      assert.truthy(message:find(case[2], 1, true), message)
    end
  end)
end)
