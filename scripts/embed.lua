-- Writes Lua modules into one C file: lua5.4 scripts/embed.lua <lua root> <output.c> <files...>
-- Called by the build (scripts/cmake/QnLua.cmake). The table it writes is declared in
-- bindings/embedded.h. Files are embedded as source text so that the program runs on any Lua 5.4.
-- The output depends on the files' content and names only: sorted, no dates, no absolute paths.

local M = {}

--- The module name and the chunk name of a file, from its path relative to the Lua root.
---@param path string e.g. "qn/stream/text.lua"
---@return string name e.g. "qn.stream.text"
---@return string chunkname e.g. "@qn/stream/text.lua"
function M.names(path)
  local stem = path:gsub("%.lua$", ""):gsub("/init$", "")
  return (stem:gsub("/", ".")), "@" .. path
end

--- Bytes as the inside of a C array initialiser, 24 to a line.
---@param text string
---@return string
function M.bytes(text)
  local lines = {}
  for first = 1, #text, 24 do
    local row = { text:byte(first, math.min(first + 23, #text)) }
    lines[#lines + 1] = "  " .. table.concat(row, ",") .. ","
  end
  return table.concat(lines, "\n")
end

--- The C text for a list of modules.
---@param modules { path: string, text: string }[]
---@return string
function M.render(modules)
  local entries, seen = {}, {}
  for _, module in ipairs(modules) do
    local name, chunkname = M.names(module.path)
    if seen[name] then
      error(("module %s comes from both %s and %s"):format(name, seen[name], module.path), 0)
    end
    seen[name] = module.path
    entries[#entries + 1] = { name = name, chunkname = chunkname, text = module.text }
  end
  table.sort(entries, function(a, b) return a.name < b.name end)

  local out = { "/* Written by scripts/embed.lua from lua/qn. */", '#include "embedded.h"', "" }
  for i, entry in ipairs(entries) do
    -- One zero byte more than `size`: an array may not be empty.
    out[#out + 1] = ("static const unsigned char module_%d[] = {"):format(i)
    if entry.text ~= "" then out[#out + 1] = M.bytes(entry.text) end
    out[#out + 1] = "  0};"
  end
  out[#out + 1] = ""
  out[#out + 1] = "const struct qnl_embedded qnl_embedded_modules[] = {"
  for i, entry in ipairs(entries) do
    out[#out + 1] = ('  {"%s", "%s", module_%d, %d},'):format(
      entry.name, entry.chunkname, i, #entry.text)
  end
  out[#out + 1] = "  {NULL, NULL, NULL, 0},"
  out[#out + 1] = "};"
  return table.concat(out, "\n") .. "\n"
end

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return (assert(file:read("a")))
end

local function main(root, output, ...)
  if not output then
    io.stderr:write("usage: embed.lua <lua root> <output.c> <files...>\n")
    return 2
  end
  local prefix = root:gsub("/*$", "/")
  local modules = {}
  for _, path in ipairs({ ... }) do
    if path:sub(1, #prefix) ~= prefix then
      io.stderr:write(("embed.lua: %s is not beneath %s\n"):format(path, root))
      return 1
    end
    local text = read_file(path)
    local relative = path:sub(#prefix + 1)
    -- A syntax error shows up at build time, with file and line, instead of at the first require.
    local chunk, message = load(text, "@" .. path, "t")
    if not chunk then
      io.stderr:write(message, "\n")
      return 1
    end
    modules[#modules + 1] = { path = relative, text = text }
  end
  local text = M.render(modules)
  local file <close> = assert(io.open(output, "wb"))
  assert(file:write(text))
  return 0
end

-- Loaded by its spec as a module, run by the build as a program.
if ... == "scripts.embed" then return M end
os.exit(main(...))
