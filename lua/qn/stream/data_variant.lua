-- Data streams: QVariant, for the types that Qt's core module puts into one.
-- data.lua takes its methods over into the class; data_net.lua needs it for cache metadata.
-- It must not follow a peer deeper than max_depth. Invariant: reading gives a qn.Variant with the
-- type as it was sent, so that writing it again gives the same bytes.

local core = require "qn.stream.data_core"
local options = require "qn.options"

local bad_argument = core.bad_argument
local NULL <const> = core.null

---A QVariant: a value with the name of its Qt type. Made by `data:variant` and `data:read_variant`.
---@class qn.Variant
---@field type string "invalid" "bool" "int32" "uint32" "int64" "uint64" "double" "float" "char"
---  "map" "hash" "list" "string" "string_list" "bytes" "date" "time" "datetime" "url"
---@field value any nil when null or invalid
---@field null? boolean Qt's own mark that the variant holds a null value of its type
local Variant = {}
Variant.__index = Variant
Variant.__name = "qn.Variant"

function Variant.__tostring(v)
  return ("variant(%s, %s)"):format(v.type, tostring(v.value))
end

---@class qn.DataStream
local Data = {}

-- Ids of Qt 4 and later; Qt 3's; what stands for a null value.
local TYPES <const> = {
  invalid = { 0, 0 },
  bool = { 1, 18, false },
  int32 = { 2, 16, 0 },
  uint32 = { 3, 17, 0 },
  int64 = { 4, 33, 0 },
  uint64 = { 5, 34, 0 },
  double = { 6, 19, 0.0 },
  char = { 7, nil, "\0" },
  map = { 8, 1, {} },
  list = { 9, 2, {} },
  string = { 10, 3 },
  string_list = { 11, 4, {} },
  bytes = { 12, 29 },
  date = { 14, 26 },
  time = { 15, 27 },
  datetime = { 16, 28 },
  url = { 17 },
  hash = { 28, nil, {} },
  float = { 38, nil, 0.0 },
}
local QT4_FLOAT <const> = 135

local names, by_id, by_old_id = {}, {}, {}
for name, t in pairs(TYPES) do
  names[#names + 1] = name
  by_id[t[1]] = name
  if t[2] then
    by_old_id[t[2]] = name
  end
end

local function name_of(self, id)
  local version = self._version
  if version < 7 then
    return by_old_id[id]
  elseif version < 13 and (id == QT4_FLOAT or id == TYPES.float[1]) then
    return id == QT4_FLOAT and "float" or nil
  end
  return by_id[id]
end

local function id_of(self, name)
  local version = self._version
  if version < 7 then
    return TYPES[name][2]
  elseif name == "float" and version < 13 then
    return QT4_FLOAT
  end
  return TYPES[name][1]
end

---A value with the type that it has as a QVariant.
---@param type_name string as in qn.Variant
---@param value any nil for a null value of that type
---@return qn.Variant
---@nodiscard
function Data.variant(type_name, value)
  if not TYPES[type_name] then
    local near = options.nearest(type_name, names)
    local hint = near and (" (did you mean '%s'?)"):format(near) or ""
    bad_argument(1, "variant", "name of a variant type" .. hint, type_name)
  end
  local null = value == nil and type_name ~= "invalid" or nil
  return setmetatable({ type = type_name, value = value, null = null }, Variant)
end

local readers = {
  map = function(self)
    return self:read_map("string", "variant")
  end,
  list = function(self)
    return self:read_list("variant")
  end,
  string_list = function(self)
    return self:read_list("string")
  end,
  char = function(self)
    local code, err = self:read_uint16()
    if not code then
      return nil, err
    end
    return utf8.char(code >= 0xD800 and code <= 0xDFFF and 0xFFFD or code)
  end,
}
readers.hash = readers.map

---Reads a QVariant. Types outside of the list of qn.Variant, user types too, are corrupt data.
---@async
---@return qn.Variant? variant
---@return qn.Error? err
function Data:read_variant()
  if self._nest >= 2 * self._max_depth then
    return core.beyond(self, "nesting", "variants", "max_depth")
  end
  local id, err = core.take_u32(self)
  if not id then
    return nil, err
  end
  local _ <close> = core.inside(self)
  local name = name_of(self, id)
  local null = nil
  if self._version >= 8 then
    local flag = self:read_uint8()
    null = flag ~= nil and flag ~= 0 or nil
  end
  if self._failed then
    return nil, self._failed
  elseif not name then
    return core.corrupt(self, ("variant of type %d"):format(id))
  end
  local value
  if name ~= "invalid" then
    value, err = (readers[name] or self["read_" .. name])(self)
  elseif self._version < 13 then
    local _ = self:read_string()
  end
  if self._failed or err then
    return nil, err or self._failed
  end
  null = name ~= "invalid" and null or nil
  return setmetatable({ type = name, value = value, null = null }, Variant)
end

local function guess(v)
  local kind = type(v)
  if v == nil or v == NULL then
    return "invalid"
  elseif kind == "boolean" then
    return "bool"
  elseif math.type(v) == "integer" then
    return v >= -0x80000000 and v <= 0x7FFFFFFF and "int32" or "int64"
  elseif kind == "number" then
    return "double"
  elseif kind == "string" then
    return utf8.len(v) and "string" or "bytes"
  elseif kind == "table" then
    return (#v > 0 or next(v) == nil) and "list" or "map"
  end
  bad_argument(1, "write_variant", "value with a variant type", v, 5)
end

local writers = {
  map = function(self, v)
    return self:write_map(v, "string", "variant")
  end,
  list = function(self, v)
    return self:write_list(v, "variant")
  end,
  string_list = function(self, v)
    return self:write_list(v, "string")
  end,
  char = function(self, v)
    local code = type(v) == "string" and utf8.len(v) == 1 and utf8.codepoint(v)
    if not code or code > 0xFFFF then
      bad_argument(1, "write_variant", "one character up to U+FFFF", v, 4)
    end
    return self:write_uint16(code)
  end,
}
writers.hash = writers.map

local function write_typed(self, name, value, null)
  local id = id_of(self, name)
  core.put(self, core.u32(self, id))
  if self._version >= 8 then
    core.put(self, (null or name == "invalid") and "\1" or "\0")
  end
  if name == "invalid" then
    return self._version >= 13 or self:write_string(nil)
  end
  if value == nil then
    value = TYPES[name][3]
  end
  return (writers[name] or self["write_" .. name])(self, value)
end

---Writes a QVariant. Plain values get the type that fits: boolean, int32 or int64, double, string
---or bytes, list (also when empty) or map; others are made with Data.variant.
---@async
---@param v any
---@return true? ok
---@return qn.Error? err
function Data:write_variant(v)
  local depth = (self._variant_depth or 0) + 1
  local name, value, null
  if getmetatable(v) == Variant then
    name, value, null = v.type, v.value, v.null
  else
    name = guess(v)
    value = v
  end
  if not id_of(self, name) then
    bad_argument(1, "write_variant", "type that version " .. self._version .. " knows", name)
  elseif depth > self._max_depth then
    error(("bad argument #1 to 'write_variant' (nested beyond max_depth=%d)"):format(depth - 1), 2)
  end
  self._variant_depth = depth
  local _ <close> = setmetatable({}, {
    __close = function()
      self._variant_depth = depth - 1
    end,
  })
  return core.whole(self, write_typed, name, value, null)
end

return Data
