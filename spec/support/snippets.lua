-- Runs the Lua snippets of a Markdown page and compares what they print with what the page quotes.
-- A ```lua block is a whole script; ```text blocks behind it quote its standard output, or, with
-- the word "stderr" in the first line of the fence, its standard error; "exit status N" there is
-- checked too (0 and an empty standard error otherwise). "..." in a quote stands for anything.

local assert = require "luassert"
local program = require "spec.support.program"

local M = {}

local function read_page(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

---The snippets of a page: { line, code, out, err, status }.
function M.of(path)
  local snippets, fence, lines, last, number = {}, nil, nil, nil, 0
  for line in (read_page(path) .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    local info = line:match("^```(.*)$")
    if fence and info then
      local text = table.concat(lines, "\n") .. "\n"
      if fence == "lua" then
        last = { line = number - #lines, code = text, status = 0, err = "" }
        snippets[#snippets + 1] = last
      elseif fence:find("^text") and last then
        last[fence:find("stderr") and "err" or "out"] = text
        last.status = tonumber(fence:match("exit status (%d+)")) or last.status
      end
      fence = nil
    elseif info then
      fence, lines = info, {}
    elseif fence then
      lines[#lines + 1] = line
    end
  end
  return snippets
end

---Whether `actual` is what the page quotes.
function M.matches(quoted, actual)
  local pattern = quoted:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0"):gsub("%%%.%%%.%%%.", ".-")
  return actual:find("^" .. pattern .. "$") ~= nil
end

local function short(text) -- the scratch folder is not quoted
  return (text:gsub("[^%s'\"]*snippet%.lua", "snippet.lua"))
end

---Defines one test per snippet of the page, with the `it` of the spec.
function M.define(path, it)
  for _, snippet in ipairs(M.of(path)) do
    it(("%s:%d"):format(path, snippet.line), function()
      local folder = program.scratch()
      local file = assert(io.open(folder .. "/snippet.lua", "wb"))
      assert(file:write(snippet.code))
      assert(file:close())
      local status, out, err = program.run({ program.qnlua(), folder .. "/snippet.lua" })
      program.remove(folder)
      out, err = short(out), short(err)
      if not M.matches(snippet.err, err) then
        assert.equal(snippet.err, err)
      end
      if snippet.out and not M.matches(snippet.out, out) then
        assert.equal(snippet.out, out)
      end
      assert.equal(snippet.status, status)
    end)
  end
end

return M
