-- Checks option tables: the one place that knows what "unknown option" looks like.
-- Every function with an options table calls options.check first, before it does anything else.
-- It must not change the caller's table. Invariant: it throws, blaming the caller of the function
-- that takes the options, or it returns a table whose keys are all in the descriptor.

local M = {}

local NONE <const> = setmetatable({}, {
  __newindex = function()
    error("the empty option table is read only", 2)
  end,
})

local math_type = math.type

---@class qn.OptionRule
---@field type? string a Lua type, "integer", "seconds" (a number from 0, or false), "enum" (with
---  values), "false", "any", or several of these with "|" between; any type when absent
---@field min? number smallest value allowed
---@field max? number largest value allowed
---@field enum? any[] the only values allowed
---@field values? any[] the same
---@field required? boolean the key must be there
---@field check? fun(value: any): boolean?, string? a last test; nil and what it expects instead
---@field secret? boolean its values are in no message

---Edit distance of two words; a swap of neighbours counts as one edit.
---@param a string
---@param b string
---@return integer
---@nodiscard
function M.distance(a, b)
  local older, old = nil, {}
  for j = 0, #b do
    old[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    local ca = a:byte(i)
    for j = 1, #b do
      local cb = b:byte(j)
      local best = math.min(old[j] + 1, row[j - 1] + 1, old[j - 1] + (ca == cb and 0 or 1))
      if i > 1 and j > 1 and ca == b:byte(j - 1) and a:byte(i - 1) == cb then
        best = math.min(best, older[j - 2] + 1)
      end
      row[j] = best
    end
    older, old = old, row
  end
  return old[#b]
end

local function plain(word)
  return (word:lower():gsub("[-_ ]", ""))
end

---The word of a list that is nearest to a wrong one, if any is near.
---@param word any what was given
---@param candidates string[]
---@return string?
---@nodiscard
function M.nearest(word, candidates)
  if type(word) ~= "string" or #word > 64 then
    return nil
  end
  local wanted = plain(word)
  local best, best_distance
  for _, candidate in ipairs(candidates) do
    local name = plain(candidate)
    local d = M.distance(wanted, name)
    if d <= math.max(1, #name // 3) and (not best or d < best_distance) then
      best, best_distance = candidate, d
    end
  end
  return best
end

local function shown(v)
  if type(v) == "string" then
    return "'" .. (#v > 40 and v:sub(1, 37) .. "..." or v) .. "'"
  end
  return type(v) == "table" and "a table" or tostring(v)
end

local function hint(word, candidates)
  table.sort(candidates)
  local near = M.nearest(word, candidates)
  return near and " (did you mean '" .. near .. "'?)" or ""
end

local function unknown(key, descriptor)
  local names = {}
  for name in pairs(descriptor) do
    names[#names + 1] = name
  end
  local what = type(key) == "string" and shown(key) or "[" .. tostring(key) .. "]"
  return "unknown option " .. what .. hint(key, names)
end

local function always()
  return true
end

-- What is not the name of a Lua type.
local KINDS <const> = {
  any = always,
  enum = always,
  integer = function(v)
    return math_type(v) == "integer" or (math_type(v) == "float" and math.tointeger(v) ~= nil)
  end,
  seconds = function(v)
    return v == false or (type(v) == "number" and (v >= 0 or v ~= v))
  end,
  ["false"] = function(v)
    return v == false
  end,
}

local EXPECTED <const> = { seconds = "seconds (a number from 0) or false" }

local function has_type(v, wanted)
  for name in wanted:gmatch("[^|]+") do
    if name == type(v) or (KINDS[name] and KINDS[name](v)) then
      return true
    end
  end
  return false
end

local function in_list(v, list)
  for _, allowed in ipairs(list) do
    if v == allowed then
      return true
    end
  end
  return false
end

local function list_text(list)
  local out, words = {}, {}
  for i, v in ipairs(list) do
    out[i] = type(v) == "string" and shown(v) or tostring(v)
    words[#words + 1] = type(v) == "string" and v or nil
  end
  return table.concat(out, ", "), words
end

-- What is wrong with one value, or nil.
local function fault(name, v, rule)
  local wanted = rule.type
  if wanted and wanted ~= type(v) and not has_type(v, wanted) then
    local expected = EXPECTED[wanted] or wanted:gsub("|", " or ")
    local got = type(v) == "number" and not rule.secret and tostring(v) or type(v)
    return ("option '%s' must be %s, got %s"):format(name, expected, got)
  end
  if type(v) == "number" then
    local low, high = rule.min, rule.max
    if v ~= v then
      return ("option '%s' must not be NaN"):format(name)
    elseif (low and v < low) or (high and v > high) then
      local range = low and high and ("from %s to %s"):format(low, high)
        or low and ("at least %s"):format(low)
        or ("at most %s"):format(high)
      return ("option '%s' must be %s, got %s"):format(name, range, v)
    end
  end
  local list = rule.enum or rule.values
  if list and not in_list(v, list) then
    local text, words = list_text(list)
    return ("option '%s' must be one of %s, got %s"):format(name, text, shown(v)) .. hint(v, words)
  end
  if rule.check then
    local ok, expected = rule.check(v)
    if not ok then
      local got = not rule.secret and shown(v) or type(v) == "string" and #v .. " bytes" or type(v)
      return ("option '%s' must be %s, got %s"):format(name, expected or "valid", got)
    end
  end
  return nil
end

-- descriptor -> the names that must be given
local required = setmetatable({}, { __mode = "k" })

local function required_of(descriptor)
  local names = {}
  for name, rule in next, descriptor do
    if rule.required then
      names[#names + 1] = name
    end
  end
  required[descriptor] = names
  return names
end

---Checks an options table against a descriptor, which is not changed after its first use. Throws at the first fault: not a table, an unknown
---key (naming the nearest known one), a wrong type, a value out of range or not in the list.
---Not to be called as a tail call: the level counts the function that calls it.
---@param opts table? what the caller gave
---@param descriptor table<string, qn.OptionRule>
---@param where string the function, as the user writes it: "qn.tcp.connect"
---@param level? integer whom to blame: 3, the default, is the caller of the function that checks
---@return table opts the same table, or an empty read-only one when nil was given
function M.check(opts, descriptor, where, level)
  if opts == nil then
    opts = NONE
  elseif type(opts) ~= "table" then
    error(("%s: options must be a table, got %s"):format(where, type(opts)), level or 3)
  end
  for name, v in next, opts do
    local rule = descriptor[name]
    local message
    if not rule then
      message = unknown(name, descriptor)
    else
      message = fault(name, v, rule)
    end
    if message then
      error(where .. ": " .. message, level or 3)
    end
  end
  for _, name in ipairs(required[descriptor] or required_of(descriptor)) do
    if opts[name] == nil then
      error(("%s: option '%s' is missing"):format(where, name), level or 3)
    end
  end
  return opts
end

-- What C throws names the function and the place in here that called it.
local function retell(name, ok, ...)
  if ok then
    return ...
  end
  local err = ...
  if type(err) ~= "string" then
    error(err, 0)
  end
  local text, ours = err:gsub("^qn/[%w_/]+%.lua:%d+: ", "")
  if ours == 0 and not (text:find("^bad argument") or text:find(name .. ": ", 1, true) == 1) then
    error(err, 0) -- it has its place already
  end
  error(text:gsub("^(bad argument #%d+ to )'[^']*'", "%1'" .. name .. "'"), 2)
end

---Calls `f`; its misuse is told as that of function `name` by the caller of the function that ends with
---`return options.blame(...)`.
---@param name string the function, as the user writes it
---@param f function
---@param ... any
---@return any ...
function M.blame(name, f, ...)
  return retell(name, pcall(f, ...))
end

return M
