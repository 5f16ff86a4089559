---Queries of URLs as lists of items that can be changed (QUrlQuery). Used by `qn.url`.
---
---Items are kept encoded, in order, with duplicates: what nobody touches is written as it was read.
---Delimiters are one character each. It must not know URLs.

local core = require "qn.core"
local options = require "qn.options"

local M = {}

---A query as a list of items (QUrlQuery). `#query` is their number, `tostring` the query.
---
---Qt rows: URL-06, URL-07, Q5-90.
---@class qn.UrlQuery
---@operator len: integer
local Query = {}
Query.__index = Query
Query.__name = "qn.UrlQuery"

local RULES <const> = {
  value_delimiter = { type = "string" },
  pair_delimiter = { type = "string" },
  form = { type = "boolean" },
  encoded = { type = "boolean" },
}

local function delimiter(opts, name, default)
  local text = opts[name] or default
  if #text ~= 1 or text:find("[%w%-._~%%#]") or text:byte() >= 128 or text:byte() <= 32 then
    error(("option '%s': one character expected that is no letter, digit, '-', '.', '_', '~', "
      .. "'%%', '#'"):format(name), 0)
  end
  return text
end

local function escape(c)
  return ("%%%02X"):format(c:byte())
end

local function encode(self, text, is_name)
  if type(text) == "number" then
    text = tostring(text)
  elseif type(text) ~= "string" then
    error(("a name or value of a query is a string or a number, not a %s"):format(type(text)), 0)
  end
  if not self.encoded then
    return core.url_query_encode(text, self.value, self.pair, self.form)
  end
  text = text:gsub("[^!$-;=?-Z_a-z~]", escape):gsub("%" .. self.pair, escape)
  return is_name and (text:gsub("%" .. self.value, escape)) or text
end

local function append(self, name, value)
  local text = encode(self, name, true)
  if value ~= nil and value ~= true then
    text = text .. self.value .. encode(self, value)
  end
  self.list[#self.list + 1] = text
end

local function add_values(self, name, value)
  if type(value) == "table" then
    for _, one in ipairs(value) do
      append(self, name, one)
    end
  elseif value ~= false then
    append(self, name, value)
  end
end

-- A list of {name, value}, or names as keys (sorted, so that the result does not change).
local function add_table(self, items)
  local names = {}
  for key, item in pairs(items) do
    if math.type(key) ~= "integer" then
      names[#names + 1] = key
    elseif type(item) ~= "table" then
      error("query items: a list of {name, value} expected", 3)
    end
  end
  for _, item in ipairs(items) do
    append(self, item[1], item[2])
  end
  table.sort(names)
  for _, name in ipairs(names) do
    add_values(self, name, items[name])
  end
end

---A query of text, a list of {name, value}, a table of names (values may be lists), another query.
---@param items? string|table|qn.UrlQuery
---@param opts? qn.UrlQueryOptions
---@return qn.UrlQuery
function M.new(items, opts)
  opts = options.check(opts, RULES, "query")
  local self = setmetatable({
    list = {}, value = delimiter(opts, "value_delimiter", "="),
    pair = delimiter(opts, "pair_delimiter", "&"), form = opts.form, encoded = opts.encoded,
  }, Query)
  if self.value == self.pair then
    error("the delimiters of a query are two different characters", 2)
  end
  if type(items) == "string" then
    for _, item in ipairs(core.url_query_split(items, self.value, self.pair, false, true, true)) do
      self.list[#self.list + 1] = item.bare and item[1] or item[1] .. self.value .. item[2]
    end
  elseif getmetatable(items) == Query then
    for _, item in ipairs(items:_marked()) do
      append(self, item[1], not item.bare and item[2] or nil)
    end
  elseif type(items) == "table" then
    add_table(self, items)
  elseif items ~= nil then
    error(("bad argument #1 to 'query' (string or table expected, got %s)"):format(type(items)), 2)
  end
  return self
end

---Whether a value is a query.
---@param v any
---@return boolean
function M.is(v)
  return getmetatable(v) == Query
end

-- Name and value of an item, decoded unless the query was made with `encoded`.
local function split(self, text)
  local item = core.url_query_split(text, self.value, self.pair, self.form, self.encoded)[1]
  return item or { "", "" }
end

---@private
function Query:_marked()
  local text = self:to_string()
  return core.url_query_split(text, self.value, self.pair, self.form, self.encoded, true)
end

---All items.
---@return string[][] items a list of {name, value}, in order; the value of one without "=" is ""
function Query:items()
  return core.url_query_split(self:to_string(), self.value, self.pair, self.form, self.encoded)
end

---Iterates: `for name, value in query:each()`.
---@return fun(): string?, string?
function Query:each()
  local items, i = self:items(), 0
  return function()
    i = i + 1
    if items[i] then
      return items[i][1], items[i][2]
    end
  end
end

---The value of the first item of that name.
---@param name string
---@return string? value of the first item of that name; "" for one without "="
function Query:get(name)
  for _, item in ipairs(self:items()) do
    if item[1] == name then
      return item[2]
    end
  end
  return nil
end

---The values of all items of that name.
---@param name string
---@return string[] values of all items of that name
function Query:get_all(name)
  local values = {}
  for _, item in ipairs(self:items()) do
    if item[1] == name then
      values[#values + 1] = item[2]
    end
  end
  return values
end

---Whether there is an item of that name.
---@param name string
---@return boolean has whether there is an item of that name
function Query:has(name)
  return self:get(name) ~= nil
end

---Adds an item at the end.
---@param name string|number
---@param value? string|number|boolean|table true or nothing: without "="; a list: an item for each
---@return qn.UrlQuery self
function Query:add(name, value)
  if type(value) == "table" then
    add_values(self, name, value)
  else
    append(self, name, value)
  end
  return self
end

---Gives the first item of that name another value and removes the others; adds it when there is none.
---@param name string
---@param value? string|number|boolean
---@return qn.UrlQuery self
function Query:set(name, value)
  append(self, name, value)
  local text = table.remove(self.list)
  local kept, found = {}, false
  for _, other in ipairs(self.list) do
    if split(self, other)[1] ~= name then
      kept[#kept + 1] = other
    elseif not found then
      found = true
      kept[#kept + 1] = text
    end
  end
  if not found then
    kept[#kept + 1] = text
  end
  self.list = kept
  return self
end

---Removes the first item of that name.
---@param name string
---@return qn.UrlQuery self
function Query:remove(name)
  for i, text in ipairs(self.list) do
    if split(self, text)[1] == name then
      table.remove(self.list, i)
      break
    end
  end
  return self
end

---Removes all items of that name, or all there are.
---@param name? string
---@return qn.UrlQuery self
function Query:remove_all(name)
  local kept = {}
  for _, text in ipairs(name and self.list or {}) do
    if split(self, text)[1] ~= name then
      kept[#kept + 1] = text
    end
  end
  self.list = kept
  return self
end

---The query as it stands in a URL, without "?".
---@return string
function Query:to_string()
  return table.concat(self.list, self.pair)
end

Query.__tostring = Query.to_string
Query.__len = function(self) return #self.list end
Query.__eq = function(a, b) return a:to_string() == b:to_string() end

return M
