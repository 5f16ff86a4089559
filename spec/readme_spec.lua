-- The snippets of README.md run, and what it says about the checkout is so.

local program = require "spec.support.program"
local snippets = require "spec.support.snippets"

describe("README.md", function()
  snippets.define("README.md", it)

  local function text_of(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read("a")
  end

  it("holds a snippet for each step of the tour, each with its output", function()
    local list = snippets.of("README.md")
    assert.is_true(#list >= 6)
    for _, snippet in ipairs(list) do
      assert.is_string(snippet.out, "the snippet in line " .. snippet.line .. " quotes no output")
    end
  end)

  it("names files that exist", function()
    local text = text_of("README.md")
    local count = 0
    for path in text:gmatch("%]%(([%w_%-/%.]+)%)") do
      count = count + 1
      assert.equal(0, (program.run { "test", "-e", path }), path)
    end
    assert.is_true(count >= 5)
  end)

  it("quotes what its first command prints", function()
    local status, out = program.run { program.qnlua(), "examples/fortune.lua" }
    assert.equal(0, status)
    assert.truthy(text_of("README.md"):find("scripts/qnlua examples/fortune.lua", 1, true))
    assert.truthy(text_of("README.md"):find(out, 1, true))
  end)
end)
