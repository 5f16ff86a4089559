-- Writes docs/reference from annotations: lua5.4 scripts/docgen.lua <lua/qn> <output folder>
-- Run by `scripts/dev docs`; `scripts/dev lint` runs it into a temporary folder and compares. One
-- page per class or module, and an index. The output depends on the sources only: no dates, sorted.
-- Public functions without text, and @param lines that do not fit, are findings and make it fail.
-- Invariant: files that the folder holds and the sources no longer give are removed.

local annotations = require("scripts.annotations")

local M = {}

-- Classes that users never meet by name.
local INTERNAL <const> = { "^qn%.stream%.", "^qn%.OptionRule$" }

local function is_internal(name)
  for _, pattern in ipairs(INTERNAL) do
    if name:find(pattern) then return true end
  end
  return false
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

--- Collecting ------------------------------------------------------------------------------------

local function new_page(name, doc, is_module)
  return {
    name = name, is_module = is_module, bases = doc.bases or {}, text = doc.text,
    fields = doc.fields, operators = doc.operators, see = doc.see, functions = {}, types = {},
    deprecated = doc.deprecated,
  }
end

-- Names that a parameter list has, and those that are documented, must be the same.
local function check_params(entry, problem)
  local documented, declared = {}, {}
  for _, param in ipairs(entry.doc.params) do documented[param.name] = true end
  for name in entry.params:gmatch("[%w_.]+") do
    declared[name] = true
    if not documented[name] and not (name == "self" and not entry.method) then
      problem(("%s has no @param %s"):format(entry.title, name))
    end
  end
  for _, param in ipairs(entry.doc.params) do
    if not declared[param.name] then
      problem(("%s has no parameter %s"):format(entry.title, param.name))
    end
  end
end

local function first_sentence(text)
  local joined = table.concat(text, " "):gsub("%s+", " "):gsub("^ ", "")
  return joined:match("^(.-[.!?])%s") or joined
end

-- One sentence on a function; what it returns says enough where there is no text.
local function entry_summary(doc)
  local text = first_sentence(doc.text)
  return text ~= "" and text or doc.returns[1] and doc.returns[1].text or ""
end

local function add_function(page, what, doc, line, found)
  local path = page.path_of_line
  local title = page.name .. (what.method and ":" or ".") .. what.name
  local function problem(text) found(path, line, text) end
  local entry = { doc = doc, name = what.name, method = what.method, params = what.params,
    title = title }
  if entry_summary(doc) == "" then problem(title .. " says nothing about itself") end
  check_params(entry, problem)
  page.functions[#page.functions + 1] = entry
end

local function collect_file(pages, types, path, text, found)
  local items, problems = annotations.read(text)
  for _, problem in ipairs(problems) do found(path, problem.line, problem.text) end
  local receivers = {} -- name in the file -> page
  local own = {} -- types of this file go to its first page
  local first
  for _, item in ipairs(items) do
    local doc, what = item.doc, item.definition
    if doc and doc.class and not is_internal(doc.class) and not doc.private then
      local page = pages[doc.class]
      if what and what.kind == "table" then
        if not page then
          page = new_page(doc.class, doc, not doc.class:match("[^.]+$"):find("^%u"))
          pages[doc.class] = page
        else
          table.move(doc.fields, 1, #doc.fields, #page.fields + 1, page.fields)
          if #page.text == 0 then page.text = doc.text end
        end
        receivers[what.name] = page
        first = first or page
      elseif page then
        table.move(doc.fields, 1, #doc.fields, #page.fields + 1, page.fields)
      else
        own[#own + 1] = doc
      end
    elseif doc and doc.alias and not is_internal(doc.alias) then
      own[#own + 1] = doc
    elseif what and what.kind == "function" and receivers[what.receiver] then
      local page = receivers[what.receiver]
      if not what.name:find("^_") and not (doc and doc.private) then
        page.path_of_line = path
        if doc then
          add_function(page, what, doc, item.line, found)
        else
          found(path, item.line, ("%s.%s is public and has no annotations"):format(
            page.name, what.name))
        end
      end
    end
  end
  -- Table types go to the page of their file; those of an internal file are internal as well, and
  -- a file of declarations alone has the page "types".
  if not first and #own > 0 and path:find("/_meta/") then
    first = pages.types or new_page("types", { text = { "Types without a page of their own." },
      fields = {}, operators = {}, see = {} }, true)
    pages.types = first
  end
  for _, doc in ipairs(first and own or {}) do
    types[doc.class or doc.alias] = first
    first.types[#first.types + 1] = doc
  end
end

--- Rendering -------------------------------------------------------------------------------------

-- "qn.tcp.md" for a module, "Error.md" for the class qn.Error: qn.error and qn.Error stay apart
-- where file names have no case.
local function file_of(page)
  return (page.is_module and page.name or page.name:gsub("^qn%.", "")) .. ".md"
end

local function anchor(title) return (title:lower():gsub("[^%w_ -]", ""):gsub(" ", "-")) end

-- A type in code, linked when all of it is one type that has a page.
local function render_type(ctx, type)
  for name in type:gmatch("%f[%w_.]qn%.[%w_.]+") do
    if not ctx.pages[name] and not ctx.types[name] and not is_internal(name) then
      ctx.missing[name] = ctx.missing[name] or ctx.page.name
    end
  end
  local core = type:gsub("%?$", ""):gsub("%[%]$", "")
  local page = ctx.pages[core]
  if page then return ("[`%s`](%s)"):format(type, file_of(page)) end
  page = ctx.types[core]
  if page then return ("[`%s`](%s#%s)"):format(type, file_of(page), anchor(core)) end
  return "`" .. type .. "`"
end

-- What a value of the class is called in a call: "socket" for qn.TcpSocket.
local function instance_name(page)
  return (page.name:match("%u%l*$") or page.name:match("[^.]+$")):lower()
end

-- "name(a, b [, c])": optional ones from the first that all later ones are optional.
local function call_text(page, entry)
  local optional, names = {}, {}
  for _, param in ipairs(entry.doc.params) do
    optional[param.name] = param.optional or param.type:find("%?$") ~= nil
  end
  for name in entry.params:gmatch("[%w_.]+") do
    if entry.method or name ~= "self" then names[#names + 1] = name end
  end
  local from = #names + 1
  while from > 1 and (optional[names[from - 1]] or names[from - 1] == "...") do from = from - 1 end
  local text = table.concat(names, ", ", 1, math.min(from - 1, #names))
  for i = from, #names do
    text = text .. (i == 1 and "[" or " [, ") .. names[i]
  end
  text = text .. ("]"):rep(#names - from + 1)
  local is_method = entry.method or entry.params:find("^self%f[^%w_]")
  local receiver = is_method and instance_name(page) .. ":" or page.name .. "."
  return receiver .. entry.name .. "(" .. text .. ")"
end

local function render_doc_text(out, text)
  local lines = table.move(text, 1, #text, 1, {})
  while lines[1] == "" do table.remove(lines, 1) end
  while lines[#lines] == "" do lines[#lines] = nil end
  if #lines == 0 then return end
  for _, line in ipairs(lines) do out[#out + 1] = line end
  out[#out + 1] = ""
end

local function render_list(ctx, out, title, list)
  if #list == 0 then return end
  if title then
    out[#out + 1] = title
    out[#out + 1] = ""
  end
  for _, item in ipairs(list) do
    local name = item.name and ("`%s`"):format(item.name) .. (item.optional and " (optional)" or "")
    local text = (name and name .. ", " or "") .. render_type(ctx, item.type)
    if item.text and item.text ~= "" then text = text .. ": " .. item.text end
    out[#out + 1] = "- " .. text
  end
  out[#out + 1] = ""
end

local function render_function(ctx, out, page, entry)
  local doc = entry.doc
  out[#out + 1] = "### " .. entry.name
  out[#out + 1] = ""
  local results = {}
  for _, value in ipairs(doc.returns) do results[#results + 1] = value.type end
  local suffix = #results > 0 and " -> " .. table.concat(results, ", ") or ""
  out[#out + 1] = "```lua"
  out[#out + 1] = call_text(page, entry) .. suffix
  for _, overload in ipairs(doc.overloads) do out[#out + 1] = "-- also: " .. overload end
  out[#out + 1] = "```"
  out[#out + 1] = ""
  if doc.async then
    out[#out + 1] = "**May wait.**"
    out[#out + 1] = ""
  end
  if doc.deprecated then
    out[#out + 1] = "**Deprecated:** " .. doc.deprecated
    out[#out + 1] = ""
  end
  render_doc_text(out, doc.text)
  render_list(ctx, out, "Parameters:", doc.params)
  render_list(ctx, out, "Returns:", doc.returns)
  for _, see in ipairs(doc.see) do
    local other = ctx.pages[see:match("^[%w_.]+")]
    out[#out + 1] = "See " .. (other and ("[%s](%s)"):format(see, file_of(other)) or see) .. "."
    out[#out + 1] = ""
  end
end

local function render_type_block(ctx, out, doc)
  out[#out + 1] = "### " .. (doc.class or doc.alias)
  out[#out + 1] = ""
  render_doc_text(out, doc.text)
  local bases = {}
  for _, base in ipairs(doc.bases or {}) do
    if ctx.pages[base] or ctx.types[base] then bases[#bases + 1] = render_type(ctx, base) end
  end
  if #bases > 0 then
    out[#out + 1] = ("Has all fields of %s."):format(table.concat(bases, " and of "))
    out[#out + 1] = ""
  end
  if doc.class then
    render_list(ctx, out, "Fields:", doc.fields)
  else
    if doc.type then
      out[#out + 1] = render_type(ctx, doc.type)
      out[#out + 1] = ""
    end
    for _, value in ipairs(doc.values) do
      local text = value.text and value.text ~= "" and ": " .. value.text or ""
      out[#out + 1] = "- `" .. value.value .. "`" .. text
    end
    if #doc.values > 0 then out[#out + 1] = "" end
  end
end

---The text of one page.
local function render_page(ctx, page)
  local out = { "# " .. page.name, "" }
  render_doc_text(out, page.text)
  for _, base in ipairs(page.bases) do
    if ctx.pages[base] then
      out[#out + 1] = ("Has everything that [%s](%s) has."):format(base, file_of(ctx.pages[base]))
      out[#out + 1] = ""
    elseif ctx.types[base] then
      out[#out + 1] = ("Has all fields of %s."):format(render_type(ctx, base))
      out[#out + 1] = ""
    end
  end
  if #page.functions > 0 then
    out[#out + 1] = "| | |"
    out[#out + 1] = "| --- | --- |"
    for _, entry in ipairs(page.functions) do
      out[#out + 1] = ("| [`%s`](#%s)%s | %s |"):format(
        call_text(page, entry), anchor(entry.name), entry.doc.async and " (may wait)" or "",
        (entry_summary(entry.doc):gsub("|", "\\|")))
    end
    out[#out + 1] = ""
  end
  if #page.fields > 0 then
    out[#out + 1] = "## Fields"
    out[#out + 1] = ""
    render_list(ctx, out, nil, page.fields)
  end
  if #page.operators > 0 then
    out[#out + 1] = "## Operators"
    out[#out + 1] = ""
    for _, operator in ipairs(page.operators) do out[#out + 1] = "- `" .. operator .. "`" end
    out[#out + 1] = ""
  end
  if #page.functions > 0 then
    out[#out + 1] = "## " .. (page.is_module and "Functions" or "Methods")
    out[#out + 1] = ""
    for _, entry in ipairs(page.functions) do render_function(ctx, out, page, entry) end
  end
  if #page.types > 0 then
    out[#out + 1] = "## Types"
    out[#out + 1] = ""
    for _, doc in ipairs(page.types) do render_type_block(ctx, out, doc) end
  end
  while out[#out] == "" do out[#out] = nil end
  return table.concat(out, "\n") .. "\n"
end

local function render_index(ctx)
  local out = { "# Reference", "",
    "Written from the annotations in `lua/qn` by `scripts/dev docs`: change them, not these pages.",
    "" }
  for _, part in ipairs({ { "Modules", true }, { "Classes", false } }) do
    out[#out + 1] = "## " .. part[1]
    out[#out + 1] = ""
    for _, name in ipairs(sorted_keys(ctx.pages)) do
      local page = ctx.pages[name]
      if page.is_module == part[2] then
        local text = first_sentence(page.text)
        if text ~= "" then text = ": " .. text end
        out[#out + 1] = ("- [%s](%s)%s"):format(name, file_of(page), text)
      end
    end
    out[#out + 1] = ""
  end
  out[#out] = nil
  return table.concat(out, "\n") .. "\n"
end

---The reference for a set of files.
---@param files table<string, string> path to text
---@return table<string, string> pages file name to text
---@return string[] findings "path:line: text"
function M.generate(files)
  local ctx = { pages = {}, types = {}, missing = {} } -- missing: type -> page that names it
  local findings = {}
  local function found(path, line, text)
    findings[#findings + 1] = ("%s:%d: %s"):format(path, line, text)
  end
  for _, path in ipairs(sorted_keys(files)) do
    collect_file(ctx.pages, ctx.types, path, files[path], found)
  end
  local output = { ["README.md"] = render_index(ctx) }
  for _, name in ipairs(sorted_keys(ctx.pages)) do
    ctx.page = ctx.pages[name]
    output[file_of(ctx.page)] = render_page(ctx, ctx.page)
  end
  for _, name in ipairs(sorted_keys(ctx.missing)) do
    findings[#findings + 1] = ("%s: %s is on no page"):format(ctx.missing[name], name)
  end
  return output, findings
end

--- The program -----------------------------------------------------------------------------------

local function read_tree(root)
  local files = {}
  local pipe <close> = assert(io.popen(("find '%s' -name '*.lua'"):format(root)))
  for path in pipe:lines() do
    local file <close> = assert(io.open(path, "rb"))
    files[path] = file:read("a")
  end
  return files
end

local function write_tree(folder, pages)
  assert(os.execute(("mkdir -p '%s'"):format(folder)))
  local pipe <close> = assert(io.popen(("find '%s' -maxdepth 1 -name '*.md'"):format(folder)))
  for path in pipe:lines() do
    if not pages[path:match("[^/]+$")] then assert(os.remove(path)) end
  end
  for _, name in ipairs(sorted_keys(pages)) do
    local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
    assert(file:write(pages[name]))
  end
end

local function main(source, folder)
  if not folder then
    io.stderr:write("usage: docgen.lua <lua/qn> <output folder>\n")
    return 2
  end
  local pages, findings = M.generate(read_tree(source))
  write_tree(folder, pages)
  for _, finding in ipairs(findings) do print(finding) end
  return #findings > 0 and 1 or 0
end

-- A module for its spec, a program for everybody else (from the root of the checkout).
if ... ~= "scripts.docgen" then os.exit(main(...)) end

return M
