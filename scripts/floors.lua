-- Checks the shape of the sources: lua5.4 scripts/floors.lua [root]
--   include graph   every floor includes its own and lower floors; a library only where it belongs
--   sizes           700 lines for C, 500 for Lua
--   specs           each source file has one; each fuzz target has a corpus
--   words           unfinished work, unbounded string functions, memory that escapes the hooks
-- Run by `scripts/dev lint`. It only reads. Invariant: one finding is one line "path:line: text",
-- and any finding makes the exit status 1. The rules themselves are in floors_rules.lua.

local rules = require("scripts.floors_rules")

local M = {}

local function read_file(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

---A shell word.
local function quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

---All files that are looked at, by path relative to the root.
---@param root string
---@return table<string, string> files path to content
function M.load(root)
  local files = {}
  local command = ("cd %s && find runtime bindings lua scripts spec examples -type f "
    .. "\\( -name '*.[ch]' -o -name '*.lua' -o -path 'spec/fuzz/corpus/*' \\) 2>/dev/null")
  local pipe <close> = assert(io.popen(command:format(quote(root))))
  for path in pipe:lines() do
    if path:find("^spec/fuzz/corpus/") then
      files[path] = "" -- only its existence counts
    else
      files[path] = read_file(root .. "/" .. path)
    end
  end
  return files
end

local function line_of(text, position)
  local _, count = text:sub(1, position - 1):gsub("\n", "")
  return count + 1
end

---C text with comments and string contents blanked out, so that words in them do not count.
---@param text string
---@return string same length and lines
function M.strip_c(text)
  local out, i = {}, 1
  local function blank(from, to)
    out[#out + 1] = (text:sub(from, to):gsub("[^\n]", " "))
  end
  while i <= #text do
    local at = text:find("[/\"']", i)
    if not at then break end
    out[#out + 1] = text:sub(i, at - 1)
    local two = text:sub(at, at + 1)
    local stop
    if two == "/*" then
      stop = select(2, text:find("*/", at + 2, true)) or #text
    elseif two == "//" then
      stop = (text:find("\n", at, true) or #text + 1) - 1
    elseif text:sub(at, at) == "/" then
      out[#out + 1] = "/"
      i = at + 1
      goto continue
    else
      local mark = text:sub(at, at)
      stop = at + 1
      while stop <= #text and text:sub(stop, stop) ~= mark and text:sub(stop, stop) ~= "\n" do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
    end
    blank(at, stop)
    i = stop + 1
    ::continue::
  end
  out[#out + 1] = text:sub(i)
  return table.concat(out)
end

---The #include lines of a C file.
---@return { name: string, quoted: boolean, line: integer }[]
function M.includes(text)
  local list, number = {}, 0
  for line in (text .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    local open, name = line:match('^%s*#%s*include%s*([<"])([^>"]+)[>"]')
    if name then list[#list + 1] = { name = name, quoted = open == '"', line = number } end
  end
  return list
end

local QUOTED <const> = { "runtime/include", "bindings/include", "runtime", "bindings",
  "spec/support", "spec" }
local ANGLE <const> = { "runtime/include", "bindings/include" }

---The file of ours that an include means, or nil for a system header.
local function resolve(files, from, name, quoted)
  local folder = from:match("^(.*)/[^/]*$") or "."
  local places = quoted and { folder, table.unpack(QUOTED) } or ANGLE
  for _, place in ipairs(places) do
    local path = place .. "/" .. name
    while path:find("[^/]+/%.%./") do path = path:gsub("[^/]+/%.%./", "", 1) end
    if files[path] then return path end
  end
  return nil
end

local function check_includes(files, path, found, graph)
  local floor = rules.floor_of(path)
  if path:find("^runtime/") and not floor then
    found(path, 1, "belongs to no floor (scripts/floors_rules.lua)")
    return
  end
  for _, include in ipairs(M.includes(files[path])) do
    local target = resolve(files, path, include.name, include.quoted)
    if target then
      graph[path] = graph[path] or {}
      graph[path][target] = include.line
      local there = rules.floor_of(target)
      if target:find("^runtime/") and not there then
        found(path, include.line, target .. " belongs to no floor (scripts/floors_rules.lua)")
      elseif floor and there and there > floor then
        found(path, include.line, ("floor %d includes %s of floor %d"):format(floor, target, there))
      elseif not target:find("^runtime/include/") and target:find("^runtime/")
        and not path:find("^runtime/") and not path:find("^spec/") then
        found(path, include.line, ("includes %s, a private header of runtime"):format(target))
      elseif target:find("^bindings/") and path:find("^runtime/") then
        found(path, include.line, ("the core includes %s of the bindings"):format(target))
      elseif target:find("^runtime/codec/h1_") and path:find("^runtime/stream/")
        and path ~= "runtime/stream/f_connect.c" then
        found(path, include.line, "HTTP/1 codec outside of runtime/stream/f_connect.c")
      end
    elseif include.name:find("^qn/") then
      found(path, include.line, ("no public header %s"):format(include.name))
    end
    local why = not target and rules.library_refused(path, include.name)
    if why then found(path, include.line, why) end
  end
end

---Requires at the start of a line run when the file loads; those inside functions are late and may
---point anywhere.
local function check_requires(files, path, found, graph)
  local number = 0
  for line in (files[path] .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    if line:find("^%s*%-%-") then goto continue end
    for name in line:gmatch("%f[%w_]require%s*%(?%s*[\"']([%w_.-]+)[\"']") do
      local why = rules.require_refused(path, name)
      if why then found(path, number, why) end
      local base = "lua/" .. name:gsub("%.", "/")
      local target = files[base .. ".lua"] and base .. ".lua"
        or files[base .. "/init.lua"] and base .. "/init.lua"
      if target and not line:find("^%s") then
        graph[path] = graph[path] or {}
        graph[path][target] = number
      end
    end
    ::continue::
  end
end

local function check_cycles(graph, found)
  local state = {}
  local function visit(path, trail)
    state[path] = "open"
    trail[#trail + 1] = path
    local targets = {}
    for target in pairs(graph[path] or {}) do targets[#targets + 1] = target end
    table.sort(targets)
    for _, target in ipairs(targets) do
      if state[target] == "open" then
        local first = 1
        while trail[first] ~= target do first = first + 1 end
        local cycle = table.concat(trail, " -> ", first) .. " -> " .. target
        found(path, graph[path][target], "cycle: " .. cycle)
      elseif not state[target] then
        visit(target, trail)
      end
    end
    trail[#trail] = nil
    state[path] = "done"
  end
  local starts = {}
  for path in pairs(graph) do starts[#starts + 1] = path end
  table.sort(starts)
  for _, path in ipairs(starts) do
    if not state[path] then visit(path, {}) end
  end
end

local function check_text(path, text, found)
  local limit = path:find("%.lua$") and 500 or 700
  local _, lines = text:gsub("\n", "")
  if lines > limit then
    found(path, limit, ("%d lines, the limit is %d"):format(lines, limit))
  end
  local head = text:gsub("^#![^\n]*\n", "")
  local named = path:find("_spec%.lua$") or path:find("_test%.c$") -- the name says it
  if not named and not head:find("^/%*") and not head:find("^%-%-") then
    found(path, 1, "no head comment that says what the file is")
  end
  for _, word in ipairs(rules.words) do
    local position = text:find(word.pattern)
    if position then found(path, line_of(text, position), word.text) end
  end
  if path:find("%.[ch]$") then
    local code = M.strip_c(text)
    for _, call in ipairs(rules.calls) do
      for _, name in ipairs(call.applies(path) and call.names or {}) do
        local position = code:find("%f[%w_]" .. name .. "%s*%(")
        if position then found(path, line_of(code, position), name .. ": " .. call.text) end
      end
    end
  elseif path:find("_spec%.lua$") then
    for _, name in ipairs(rules.skipping) do
      local position = text:find("%f[%w_.:]" .. name .. "%s*%(")
      if position then
        found(path, line_of(text, position), name .. ": a spec is never skipped")
      end
    end
  end
end

---Paths named after "covers:" in the head comments of specs, with the spec that names them.
local function covered_by_comment(files)
  local covered = {}
  for path, text in pairs(files) do
    if path:find("^spec/") and path:find("%.[clua]+$") then
      local list = text:sub(1, 4000):match("covers:(.*)")
      if list then
        for line in (list .. "\n"):gmatch("(.-)\n") do
          local any = false
          for name in line:gmatch("[%w_./-]+%.[chlua]+%f[^%w]") do
            covered[name] = covered[name] or path
            any = true
          end
          if not any then break end
        end
      end
    end
  end
  return covered
end

local function check_specs(files, found)
  local covered = covered_by_comment(files)
  for name, spec in pairs(covered) do
    if not files[name] then found(spec, 1, "covers " .. name .. ", which does not exist") end
  end
  for path in pairs(files) do
    local candidates = rules.specs_of(path)
    if candidates and not covered[path] then
      local has = false
      for _, candidate in ipairs(candidates) do has = has or files[candidate] ~= nil end
      if not has then
        found(path, 1, "has no spec: " .. candidates[1] .. ", or a spec that says covers: " .. path)
      end
    end
    local target = path:match("^spec/fuzz/([%w_]+)_fuzz%.c$")
    if target then
      local has = false
      for other in pairs(files) do
        has = has or other:find("spec/fuzz/corpus/" .. target .. "/", 1, true) == 1
      end
      if not has then found(path, 1, "has no corpus in spec/fuzz/corpus/" .. target) end
    end
  end
end

---Checks a tree given as path to content.
---@param files table<string, string>
---@return string[] findings sorted, "path:line: text"
function M.check(files)
  local findings, graph = {}, {}
  local function found(path, line, text)
    findings[#findings + 1] = { path = path, line = line, text = text }
  end
  for path, text in pairs(files) do
    if path:find("%.[ch]$") then
      check_includes(files, path, found, graph)
      check_text(path, text, found)
    elseif path:find("%.lua$") then
      check_requires(files, path, found, graph)
      check_text(path, text, found)
    end
  end
  check_cycles(graph, found)
  check_specs(files, found)
  table.sort(findings, function(a, b)
    if a.path ~= b.path then return a.path < b.path end
    if a.line ~= b.line then return a.line < b.line end
    return a.text < b.text
  end)
  local lines = {}
  for i, f in ipairs(findings) do lines[i] = ("%s:%d: %s"):format(f.path, f.line, f.text) end
  return lines
end

---The program: prints the findings of a tree.
---@param root string
---@return integer status
function M.main(root)
  local findings = M.check(M.load(root))
  for _, line in ipairs(findings) do print(line) end
  if #findings > 0 then print(("floors: %d findings"):format(#findings)) end
  return #findings > 0 and 1 or 0
end

-- A module for its spec, a program for everybody else (from the root of the checkout).
if ... ~= "scripts.floors" then os.exit(M.main((...) or ".")) end

return M
