-- Runs the Lua snippets of a Markdown page and compares what they print with what the page quotes.
-- A ```lua block is a whole script, a ```c block a whole program; ```text blocks behind it quote
-- its standard output, or, with the word "stderr" in the first line of the fence, its standard
-- error; "exit status N" there is checked too (0 and an empty standard error otherwise). "..." in a
-- quote stands for anything.

local assert = require "luassert"
local program = require "spec.support.program"

local M = {}

local function read_page(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

---The snippets of a page: { line, language, code, out, err, status }.
function M.of(path)
  local snippets, fence, lines, last, number = {}, nil, nil, nil, 0
  for line in (read_page(path) .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    local info = line:match("^```(.*)$")
    if fence and info then
      local text = table.concat(lines, "\n") .. "\n"
      if fence == "lua" or fence == "c" then
        last = { line = number - #lines, language = fence, code = text, status = 0, err = "" }
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
  return (text:gsub("[^%s'\"<]*snippet%.lua", "snippet.lua"))
end

-- Builds a C snippet against the libraries of the build that runs this spec; the program's path.
local function compile(source)
  local build = program.qnlua():match("^(.*)/bin/qnlua$")
  local words = { "gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
    "-Iruntime/include", "-Ibindings/include", source, "-o", (source:gsub("%.c$", "")),
    build .. "/libqn_lua.a", build .. "/libqn.a" }
  local sanitize = os.getenv("QN_SANITIZE") or ""
  if sanitize ~= "" then
    table.insert(words, 2, "-fsanitize=" .. sanitize)
  end
  local _, flags = program.run { "pkg-config", "--cflags", "--libs", "lua5.4", "libuv", "libcares",
    "libidn2", "openssl" }
  for flag in flags:gmatch("%S+") do
    words[#words + 1] = flag
  end
  words[#words + 1] = "-lm"
  local status, _, err = program.run(words)
  assert.equal("", err)
  assert.equal(0, status)
  return source:gsub("%.c$", "")
end

---Defines one test per snippet of the page, with the `it` of the spec.
function M.define(path, it)
  for _, snippet in ipairs(M.of(path)) do
    it(("%s:%d"):format(path, snippet.line), function()
      local folder = program.scratch()
      local source = folder .. "/snippet." .. snippet.language
      local file = assert(io.open(source, "wb"))
      assert(file:write(snippet.code))
      assert(file:close())
      local command = { program.qnlua(), source }
      if snippet.language == "c" then
        command = { (compile(source)) }
      end
      local status, out, err = program.run(command)
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
