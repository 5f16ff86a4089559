-- Data streams: lists, sets, maps, pairs (QList, QVector, QSet, QMap, QHash, QPair, QStringList).
-- data.lua takes its methods over into the class. An item is a type by name ("int32", "string",
-- "datetime" ...) or a function(stream[, value]) of the script's, which may wait.
-- It must not trust a count: nothing is allocated for items that have not come.
-- Invariant: a container is written in one piece or not at all, and its reading is bounded by
-- max_items for each count and max_bytes for all of it.

local core = require "qn.stream.data_core"
local options = require "qn.options"

local bad_argument = core.bad_argument
local is_error = require("qn.core").is_error
local NULL <const> = core.null

---@alias qn.DataItem string|fun(stream: qn.DataStream, value: any): any, qn.Error?

---@class qn.DataStream
local Data = {}

-- The function behind an item; blames the caller of the method that calls this.
local function resolve(self, item, prefix, n, where)
  if type(item) == "function" then
    return item
  end
  local method = type(item) == "string" and self[prefix .. item]
  if method and item ~= "exactly" then
    return method
  end
  local hint = ""
  if type(item) == "string" then
    local names = {}
    for name in pairs(getmetatable(self)) do
      names[#names + 1] = name:match("^" .. prefix .. "(.+)$")
    end
    table.sort(names)
    local near = options.nearest(item, names)
    hint = near and (" (did you mean '%s'?)"):format(near) or ""
  end
  bad_argument(n, where, "function or name of a type" .. hint, item, 4)
end

-- One item; null becomes a value, since a table cannot hold nil.
local function item_of(self, read)
  local v, err = read(self)
  if v ~= nil then
    return v
  elseif err == nil and not self._failed then
    return NULL
  elseif not self._failed and not (is_error(err, "timeout") or is_error(err, "busy")) then
    core.fail(self, "read_corrupt_data", err)
  end
  return nil, err or self._failed
end

local function count_of(self)
  local n, err = core.take_size(self)
  if n and (n < 0 or n > self._max_items) then
    n = n < 0 and 0xFFFFFFFF or n
    return core.beyond(self, "a count", ("%d items"):format(n), "max_items")
  end
  return n, err
end

local function key_of(self, read)
  local k, err = item_of(self, read)
  if k ~= k then
    return core.corrupt(self, "NaN cannot be a key")
  end
  return k, err
end

local function read_list(self, read)
  local _ <close> = core.inside(self)
  local list = {}
  for i = 1, read.count do
    local v, err = item_of(self, read.item)
    if v == nil then
      return nil, err
    end
    list[i] = v
  end
  return list
end

local function read_set(self, read)
  local _ <close> = core.inside(self)
  local set = {}
  for _ = 1, read.count do
    local k, err = key_of(self, read.item)
    if k == nil then
      return nil, err
    end
    set[k] = true
  end
  return set
end

local function read_map(self, read)
  local _ <close> = core.inside(self)
  local map = {}
  for _ = 1, read.count do
    local k, err = key_of(self, read.item)
    if k == nil then
      return nil, err
    end
    local v
    v, err = item_of(self, read.value)
    if v == nil then
      return nil, err
    end
    map[k] = v
  end
  return map
end

local function counted(self, read, item, value)
  local n, err = count_of(self)
  if not n then
    return nil, err
  end
  return read(self, { count = n, item = item, value = value })
end

---Reads a list: a count and the items (QList, QVector, QLinkedList, QStringList with "string").
---@async
---@param item qn.DataItem
---@return any[]? list
---@return qn.Error? err
function Data:read_list(item)
  local read = resolve(self, item, "read_", 1, "read_list")
  return counted(self, read_list, read)
end

---Reads a set: a count and the items (QSet).
---@async
---@param item qn.DataItem
---@return table<any, true>? set
---@return qn.Error? err
function Data:read_set(item)
  local read = resolve(self, item, "read_", 1, "read_set")
  return counted(self, read_set, read)
end

---Reads a map: a count, then key and value in turn (QMap, QHash). Of equal keys the last one stays;
---a multi map is read whole as a list of pairs.
---@async
---@param key qn.DataItem
---@param value qn.DataItem
---@return table<any, any>? map
---@return qn.Error? err
function Data:read_map(key, value)
  local read_key = resolve(self, key, "read_", 1, "read_map")
  local read_value = resolve(self, value, "read_", 2, "read_map")
  return counted(self, read_map, read_key, read_value)
end

---Reads a pair (QPair).
---@async
---@param first qn.DataItem
---@param second qn.DataItem
---@return any[]? pair of two items
---@return qn.Error? err
function Data:read_pair(first, second)
  local read_first = resolve(self, first, "read_", 1, "read_pair")
  local read_second = resolve(self, second, "read_", 2, "read_pair")
  local a, err = item_of(self, read_first)
  if a == nil then
    return nil, err ~= core.END and err or nil
  end
  local _ <close> = core.inside(self)
  local b
  b, err = item_of(self, read_second)
  if b == nil then
    return nil, err
  end
  return { a, b }
end

local function write_items(self, list, n, write)
  core.put(self, core.size(self, n))
  for i = 1, n do
    local _, err = write(self, list[i])
    if err ~= nil then
      return nil, err
    end
  end
  return true
end

local function table_argument(v, where)
  if type(v) ~= "table" then
    bad_argument(1, where, "table", v, 4)
  end
end

---Writes a list: a count and the items. `list.n` counts, if it is there, else the length.
---@async
---@param list any[]
---@param item qn.DataItem
---@return true? ok
---@return qn.Error? err
function Data:write_list(list, item)
  table_argument(list, "write_list")
  local write = resolve(self, item, "write_", 2, "write_list")
  return core.whole(self, write_items, list, math.tointeger(list.n) or #list, write)
end

local function before(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then
    return ta < tb
  elseif ta == "number" or ta == "string" then
    return a < b
  end
  return tostring(a) < tostring(b)
end

local function sorted_keys(map)
  local keys = {}
  for k in pairs(map) do
    keys[#keys + 1] = k
  end
  table.sort(keys, before)
  return keys
end

---Writes a set: a count and the keys whose value is not false, in ascending order.
---@async
---@param set table<any, any>
---@param item qn.DataItem
---@return true? ok
---@return qn.Error? err
function Data:write_set(set, item)
  table_argument(set, "write_set")
  local write = resolve(self, item, "write_", 2, "write_set")
  local members = {}
  for _, k in ipairs(sorted_keys(set)) do
    if set[k] then
      members[#members + 1] = k
    end
  end
  return core.whole(self, write_items, members, #members, write)
end

local function write_entries(self, map, keys, write_key, write_value)
  core.put(self, core.size(self, #keys))
  for _, k in ipairs(keys) do
    local _, err = write_key(self, k)
    if err == nil then
      _, err = write_value(self, map[k])
    end
    if err ~= nil then
      return nil, err
    end
  end
  return true
end

---Writes a map: a count, then key and value in turn. The keys go down as in QMap: descending, and
---ascending from version 20 on.
---@async
---@param map table<any, any>
---@param key qn.DataItem
---@param value qn.DataItem
---@return true? ok
---@return qn.Error? err
function Data:write_map(map, key, value)
  table_argument(map, "write_map")
  local write_key = resolve(self, key, "write_", 2, "write_map")
  local write_value = resolve(self, value, "write_", 3, "write_map")
  local keys = sorted_keys(map)
  if self._version < 20 then
    for i = 1, #keys // 2 do
      keys[i], keys[#keys + 1 - i] = keys[#keys + 1 - i], keys[i]
    end
  end
  return core.whole(self, write_entries, map, keys, write_key, write_value)
end

local function write_both(self, pair, write_first, write_second)
  local _, err = write_first(self, pair[1])
  if err == nil then
    _, err = write_second(self, pair[2])
  end
  return err == nil or nil, err
end

---Writes a pair: pair[1] and pair[2].
---@async
---@param pair any[]
---@param first qn.DataItem
---@param second qn.DataItem
---@return true? ok
---@return qn.Error? err
function Data:write_pair(pair, first, second)
  table_argument(pair, "write_pair")
  local write_first = resolve(self, first, "write_", 2, "write_pair")
  local write_second = resolve(self, second, "write_", 3, "write_pair")
  return core.whole(self, write_both, pair, write_first, write_second)
end

return Data
