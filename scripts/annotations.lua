-- Reads LuaCATS annotations out of Lua text: what scripts/docgen.lua makes the reference from.
-- It reads lines, not Lua: a documented thing is a block of "---" lines and the line below it. It
-- must not run or load what it reads. Invariant: what it does not understand in a public place is
-- reported as a finding and never dropped in silence.

local M = {}

local parse_type

local function skip_spaces(s, i) return s:match("^%s*()", i) end

-- One type without "|": where it ends, or nil.
local function parse_simple(s, i)
  i = s:match("^async%s+()fun", i) or i
  local open = s:sub(i, i)
  local stop
  if open == '"' or open == "'" or open == "`" then
    stop = s:find(open, i + 1, true)
    stop = stop and stop + 1
  elseif open == "(" or open == "{" then
    stop = s:match(open == "(" and "^%b()()" or "^%b{}()", i)
  elseif s:find("^fun%s*%(", i) then
    stop = s:match("^fun%s*%b()()", i)
    local colon = stop and s:match("^%s*:%s*()", stop)
    while colon do
      stop = parse_type(s, s:match("^%.%.%.()", colon) or colon) or stop
      colon = s:match("^,%s*()", stop)
    end
  else
    stop = s:match("^[%w_.*-]+()", i)
    if stop then stop = s:match("^%b<>()", stop) or stop end
  end
  while stop do
    local after = s:match("^%[%]()", stop) or s:match("^%?()", stop)
    if not after then break end
    stop = after
  end
  return stop
end

---Where the type that starts at `i` ends (the position behind it); nil when there is none.
---@param s string
---@param i integer
---@return integer?
function M.type_end(s, i)
  local stop = parse_simple(s, i)
  while stop do
    local bar = s:match("^%s*|%s*()", stop)
    local after = bar and parse_simple(s, bar)
    if not after then break end
    stop = after
  end
  return stop
end
parse_type = M.type_end

-- "type rest" -> type, rest
local function split_type(s)
  local i = skip_spaces(s, 1)
  local stop = M.type_end(s, i)
  if not stop then return nil, s end
  return s:sub(i, stop - 1), (s:sub(stop):gsub("^%s+", ""))
end

local function without_hash(text) return (text:gsub("^#%s*", "")) end

local handlers = {}

function handlers.param(doc, rest)
  local name, optional, tail = rest:match("^([%w_.]+)(%??)%s*(.*)$")
  local type, text = split_type(tail or "")
  if not name or not type then return "cannot read @param " .. rest end
  doc.params[#doc.params + 1] =
    { name = name, optional = optional == "?", type = type, text = without_hash(text) }
end

handlers["return"] = function(doc, rest)
  local type, text = split_type(rest)
  if not type then return "cannot read @return " .. rest end
  local name, tail = text:match("^([%a_][%w_]*)%s*(.*)$")
  -- The first word is the name, as in LuaLS; "# text" has none.
  if text:find("^#") then name, tail = nil, without_hash(text) end
  doc.returns[#doc.returns + 1] = { type = type, name = name, text = tail or text }
end

function handlers.field(doc, rest)
  rest = rest:gsub("^public%s+", "")
  if rest:find("^private%s") or rest:find("^protected%s") or rest:find("^package%s") then
    return nil
  end
  local name, optional, tail = rest:match("^([%w_]+)(%??)%s+(.*)$")
  if not name then
    name, tail = rest:match("^(%b[])%s*(.*)$")
    optional = ""
  end
  local type, text = split_type(tail or "")
  if not name or not type then return "cannot read @field " .. rest end
  doc.fields[#doc.fields + 1] =
    { name = name, optional = optional == "?", type = type, text = without_hash(text) }
end

function handlers.class(doc, rest)
  rest = rest:gsub("^%(%w+%)%s*", "")
  local name, bases = rest:match("^([%w_.]+)%s*:?%s*(.*)$")
  if not name then return "cannot read @class " .. rest end
  doc.class, doc.bases = name, {}
  for base in bases:gmatch("[%w_.]+") do doc.bases[#doc.bases + 1] = base end
end

function handlers.alias(doc, rest)
  local name, tail = rest:match("^([%w_.]+)%s*(.*)$")
  if not name then return "cannot read @alias " .. rest end
  doc.alias, doc.values = name, {}
  local type, text = split_type(tail)
  doc.type = type
  if text ~= "" then doc.text[#doc.text + 1] = without_hash(text) end
end

function handlers.overload(doc, rest) doc.overloads[#doc.overloads + 1] = rest end
function handlers.see(doc, rest) doc.see[#doc.see + 1] = rest end
function handlers.operator(doc, rest) doc.operators[#doc.operators + 1] = rest end
function handlers.deprecated(doc, rest) doc.deprecated = rest ~= "" and rest or "yes" end
function handlers.async(doc) doc.async = true end
function handlers.nodiscard(doc) doc.nodiscard = true end
function handlers.private(doc) doc.private = true end
handlers.package, handlers.protected = handlers.private, handlers.private
for _, name in ipairs({ "meta", "type", "generic", "diagnostic", "cast", "module", "version" }) do
  handlers[name] = function() return nil end
end

---Reads one block of "---" lines.
---@param lines string[] without the dashes
---@return table doc
---@return string[] problems
function M.block(lines)
  local doc = { text = {}, params = {}, returns = {}, fields = {}, overloads = {}, see = {},
    operators = {} }
  local problems = {}
  local last -- the list entry that an indented line continues
  for _, line in ipairs(lines) do
    local tag, rest = line:match("^%s?@(%w+)%s*(.-)%s*$")
    if tag then
      local handler = handlers[tag]
      local problem = handler and handler(doc, rest)
      if not handler then problem = "unknown annotation @" .. tag end
      if problem then problems[#problems + 1] = problem end
      local list = ({ param = doc.params, ["return"] = doc.returns, field = doc.fields })[tag]
      last = list and list[#list]
    elseif line:find("^%s*|") then
      local value, text = line:match("^%s*|[+>]?%s*(.-)%s*#%s*(.*)$")
      value = value or line:match("|[+>]?%s*(.-)%s*$")
      if doc.values then doc.values[#doc.values + 1] = { value = value, text = text } end
    elseif last and line:find("^%s%s+%S") then
      last.text = (last.text .. " " .. line:match("^%s*(.-)%s*$")):gsub("^%s+", "")
    else
      last = nil
      doc.text[#doc.text + 1] = (line:gsub("^ ", ""):gsub("%s+$", ""))
    end
  end
  return doc, problems
end

-- The thing that a line of code defines: { kind, receiver, name, params }
local function definition(line)
  local receiver, separator, name, params =
    line:match("^function%s+([%w_.]-)([.:])([%w_]+)%s*(%b())")
  if receiver then
    return { kind = "function", receiver = receiver, method = separator == ":", name = name,
      params = params:sub(2, -2) }
  end
  receiver, name, params = line:match("^([%w_.]+)%.([%w_]+)%s*=%s*function%s*(%b())")
  if receiver then
    return { kind = "function", receiver = receiver, name = name, params = params:sub(2, -2) }
  end
  receiver, name = line:match("^([%w_.]+)%.([%w_]+)%s*=")
  if receiver then return { kind = "value", receiver = receiver, name = name } end
  name = line:match("^local%s+([%w_]+)%s*=") or line:match("^local%s+([%w_]+)%s*<%w+>%s*=")
    or line:match("^([%w_]+)%s*=%s*{")
  if name then return { kind = "table", name = name } end
  return nil
end

---Everything that a file documents, in its order.
---@param text string
---@return table[] items { line, doc, definition? }
---@return { line: integer, text: string }[] problems
function M.read(text)
  local items, problems, block, number = {}, {}, nil, 0
  -- One empty line more ends a block at the end of the file.
  for line in (text .. "\n\n"):gmatch("(.-)\n") do
    number = number + 1
    local comment = line:match("^%-%-%-(.*)$")
    if comment and not comment:find("^%-") then
      block = block or { first = number }
      block[#block + 1] = comment
    else
      local what = definition(line)
      if block then
        local doc, bad = M.block(block)
        for _, problem in ipairs(bad) do
          problems[#problems + 1] = { line = block.first, text = problem }
        end
        items[#items + 1] = { line = number, doc = doc, definition = what }
      elseif what and what.kind == "function" then
        items[#items + 1] = { line = number, definition = what }
      end
      block = nil
    end
  end
  return items, problems
end

return M
