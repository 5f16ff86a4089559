-- Data streams: numbers, truth values, byte arrays, C strings and QString.
-- data.lua takes its methods over into the class. It must not look at a length before data_core has
-- checked it. Invariant: each write is one piece, each read takes what that write gave.

local core = require "qn.stream.data_core"
local encoding = require "qn.stream.encoding"

local take, put = core.take, core.put
local bad_argument = core.bad_argument
local NULL <const> = core.null

---@class qn.DataStream
---@field read_int8 async fun(self: qn.DataStream): integer?, qn.Error?
---@field read_int16 async fun(self: qn.DataStream): integer?, qn.Error?
---@field read_int32 async fun(self: qn.DataStream): integer?, qn.Error?
---@field read_uint8 async fun(self: qn.DataStream): integer?, qn.Error?
---@field read_uint16 async fun(self: qn.DataStream): integer?, qn.Error?
---@field read_uint32 async fun(self: qn.DataStream): integer?, qn.Error?
---@field read_uint64 async fun(self: qn.DataStream): integer?, qn.Error? wraps: see math.ult
---@field write_int8 async fun(self: qn.DataStream, v: integer): true?, qn.Error?
---@field write_int16 async fun(self: qn.DataStream, v: integer): true?, qn.Error?
---@field write_int32 async fun(self: qn.DataStream, v: integer): true?, qn.Error?
---@field write_uint8 async fun(self: qn.DataStream, v: integer): true?, qn.Error?
---@field write_uint16 async fun(self: qn.DataStream, v: integer): true?, qn.Error?
---@field write_uint32 async fun(self: qn.DataStream, v: integer): true?, qn.Error?
---@field write_uint64 async fun(self: qn.DataStream, v: integer): true?, qn.Error?
local Data = {}

local function number(size, format)
  local big, little, unpack = ">" .. format, "<" .. format, string.unpack
  return function(self)
    local data, err = take(self, size)
    if not data then
      return nil, err
    end
    return (unpack(self._little and little or big, data))
  end
end

local function integer_writer(name, format, low, high)
  local big, little, pack = ">" .. format, "<" .. format, string.pack
  local expected = ("integer from %d to %d"):format(low, high)
  return function(self, v)
    local i = math.type(v) and math.tointeger(v)
    if not i or i < low or i > high then
      bad_argument(1, name, expected, v)
    end
    return put(self, pack(self._little and little or big, i))
  end
end

for _, bits in ipairs { 8, 16, 32 } do
  local size, half = bits // 8, 1 << (bits - 1)
  Data["read_int" .. bits] = number(size, "i" .. size)
  Data["read_uint" .. bits] = number(size, "I" .. size)
  local int, uint = "write_int" .. bits, "write_uint" .. bits
  Data[int] = integer_writer(int, "i" .. size, -half, half - 1)
  Data[uint] = integer_writer(uint, "I" .. size, 0, 2 * half - 1)
end

---Reads a signed 64-bit integer. Before version 6 it is two halves, the high one first, whatever
---the byte order: what Qt writes there (its own reader swaps the halves).
---@async
---@return integer? value
---@return qn.Error? err
function Data:read_int64()
  local data, err = take(self, 8)
  if not data then
    return nil, err
  elseif self._version < 6 then
    local high, low = string.unpack(self._little and "<I4I4" or ">I4I4", data)
    return high << 32 | low
  end
  return (string.unpack(self._little and "<i8" or ">i8", data))
end

---Writes a signed 64-bit integer.
---@async
---@param v integer
---@return true? ok
---@return qn.Error? err
function Data:write_int64(v)
  local i = math.type(v) and math.tointeger(v)
  if not i then
    bad_argument(1, "write_int64", "integer", v)
  elseif self._version < 6 then
    local format = self._little and "<I4I4" or ">I4I4"
    return put(self, string.pack(format, i >> 32, i & 0xFFFFFFFF))
  end
  return put(self, string.pack(self._little and "<i8" or ">i8", i))
end

Data.read_uint64 = Data.read_int64
Data.write_uint64 = Data.write_int64

---Reads a truth value, one byte: anything but 0 is true.
---@async
---@return boolean? value
---@return qn.Error? err
function Data:read_bool()
  local data, err = take(self, 1)
  if not data then
    return nil, err
  end
  return data ~= "\0"
end

---Writes a truth value.
---@async
---@param v boolean
---@return true? ok
---@return qn.Error? err
function Data:write_bool(v)
  if type(v) ~= "boolean" then
    bad_argument(1, "write_bool", "boolean", v)
  end
  return put(self, v and "\1" or "\0")
end

local read_4, read_8 = number(4, "f"), number(8, "d")

local function write_real(self, v, single, where)
  if not math.type(v) then
    bad_argument(1, where, "number", v, 4)
  end
  local format = single and (self._little and "<f" or ">f") or (self._little and "<d" or ">d")
  return put(self, string.pack(format, v))
end

---Reads a C++ float: 4 bytes, or 8 from version 12 on with double precision.
---@async
---@return number? value
---@return qn.Error? err
function Data:read_float()
  return (self._version >= 12 and not self._single and read_8 or read_4)(self)
end

---Writes a C++ float: 4 bytes, or 8 from version 12 on with double precision.
---@async
---@param v number
---@return true? ok
---@return qn.Error? err
function Data:write_float(v)
  local ok, err = write_real(self, v, self._version < 12 or self._single, "write_float")
  return ok, err
end

---Reads a C++ double: 8 bytes, or 4 from version 12 on with single precision.
---@async
---@return number? value
---@return qn.Error? err
function Data:read_double()
  return (self._version >= 12 and self._single and read_4 or read_8)(self)
end

---Writes a C++ double: 8 bytes, or 4 from version 12 on with single precision.
---@async
---@param v number
---@return true? ok
---@return qn.Error? err
function Data:write_double(v)
  local ok, err = write_real(self, v, self._version >= 12 and self._single, "write_double")
  return ok, err
end

-- A length and so many bytes; true for null.
local function sized(self)
  local n, err = core.take_size(self)
  if not n then
    return nil, err
  elseif n < 0 then
    return true
  end
  return core.take_body(self, n)
end

local function string_argument(v, where)
  if v ~= nil and v ~= NULL and type(v) ~= "string" then
    bad_argument(1, where, "string or nil", v, 4)
  end
  return v ~= NULL and v or nil
end

---Reads a byte array: a length and the bytes (QByteArray, writeBytes).
---@async
---@return string? bytes null gives the option `null`
---@return qn.Error? err
function Data:read_bytes()
  local data, err = sized(self)
  if data == true then
    return self._null
  end
  return data, err
end

---Writes a byte array (QByteArray, writeBytes). nil is a null one, from version 6 on.
---@async
---@param v string?
---@return true? ok
---@return qn.Error? err
function Data:write_bytes(v)
  v = string_argument(v, "write_bytes")
  if not v then
    return put(self, core.u32(self, self._version >= 6 and 0xFFFFFFFF or 0))
  end
  return put(self, core.size(self, #v) .. v)
end

---Reads a C string (char *): a length that counts the NUL, and the bytes; what follows the first
---NUL is dropped, as C code would not see it.
---@async
---@return string? bytes the null pointer (length 0) gives the option `null`
---@return qn.Error? err
function Data:read_cstring()
  local n, err = core.take_size(self)
  if not n then
    return nil, err
  elseif n == 0 then
    return self._null
  end
  local data
  data, err = core.take_body(self, n)
  return data and data:match("^[^\0]*"), err
end

---Writes a C string (char *). nil is the null pointer.
---@async
---@param v string?
---@return true? ok
---@return qn.Error? err
function Data:write_cstring(v)
  v = string_argument(v, "write_cstring")
  if not v then
    return put(self, core.u32(self, 0))
  elseif v:find("\0", 1, true) then
    bad_argument(1, "write_cstring", "string without NUL", v)
  end
  return put(self, core.size(self, #v + 1) .. v .. "\0")
end

---Reads a QString as UTF-8: a length in bytes and UTF-16 in the byte order of the stream, or
---Latin-1 in version 1. Lone surrogates become U+FFFD.
---@async
---@return string? text null gives the option `null`
---@return qn.Error? err
function Data:read_string()
  local n, err = core.take_size(self)
  if not n then
    return nil, err
  elseif n < 0 then
    return self._null
  elseif self._version > 1 and n % 2 == 1 then
    return core.corrupt(self, ("a string of %d bytes is not UTF-16"):format(n))
  end
  local data
  data, err = core.take_body(self, n)
  if not data then
    return nil, err
  elseif self._version == 1 then
    return encoding.latin1.decode(data)
  end
  return (self._little and encoding.utf16le or encoding.utf16be).decode(data)
end

---Writes UTF-8 text as a QString. nil is a null one, from version 3 on.
---@async
---@param v string?
---@return true? ok
---@return qn.Error? err
function Data:write_string(v)
  v = string_argument(v, "write_string")
  if not v then
    return put(self, core.u32(self, self._version >= 3 and 0xFFFFFFFF or 0))
  elseif not utf8.len(v) then
    bad_argument(1, "write_string", "UTF-8 (use write_bytes for bytes)", v)
  end
  local bytes
  if self._version == 1 then
    bytes = encoding.latin1.encode(v)
  else
    bytes = (self._little and encoding.utf16le or encoding.utf16be).encode(v)
  end
  return put(self, core.size(self, #bytes) .. bytes)
end

return Data
