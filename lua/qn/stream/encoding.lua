-- Character encodings: UTF-8, Latin-1, UTF-16 and UTF-32 in both byte orders, to and from UTF-8.
-- Text streams use all of it, data streams the UTF-16 part for QString. Bytes in, bytes out.
-- Malformed input must not throw: each maximal malformed part becomes one U+FFFD.
-- Invariant: decode gives valid UTF-8, and decode(encode(s)) == s for valid s that fits.

local M = {}

local REPLACEMENT <const> = "\u{FFFD}"
local CACHE_MAX <const> = 4096

---@class qn.stream.Encoding
---@field name string
---@field unit integer bytes of the smallest unit
---@field bom string bytes of the byte order mark
---@field decode fun(bytes: string): string whole text to UTF-8
---@field encode fun(text: string): string UTF-8 to bytes; what does not fit becomes "?"
---@field step fun(bytes: string, at: integer): integer?, integer? code point and bytes it took

-- A table that computes what it lacks and forgets all of it when a peer makes it large.
local function cache(compute)
  local n = 0
  return setmetatable({}, {
    __index = function(t, key)
      if n >= CACHE_MAX then
        for k in next, t do
          t[k] = nil
        end
        n = 0
      end
      local v = compute(key)
      t[key] = v
      n = n + 1
      return v
    end,
  })
end

-- How long the well-formed sequence at `at` is, and its code point. nil: more bytes needed.
-- A malformed one gives 0xFFFD and the length of the part that is to be replaced.
local function step_utf8(s, at)
  local a = s:byte(at)
  if not a then
    return nil
  elseif a < 0x80 then
    return a, 1
  elseif a < 0xC2 or a > 0xF4 then
    return 0xFFFD, 1
  end
  local need = a < 0xE0 and 1 or a < 0xF0 and 2 or 3
  local low = a == 0xE0 and 0xA0 or a == 0xF0 and 0x90 or 0x80
  local high = a == 0xED and 0x9F or a == 0xF4 and 0x8F or 0xBF
  local code = a & (0x3F >> need)
  for i = 1, need do
    local b = s:byte(at + i)
    if not b then
      return nil
    elseif b < low or b > high then
      return 0xFFFD, i
    end
    code = code << 6 | b & 0x3F
    low, high = 0x80, 0xBF
  end
  return code, need + 1
end

---Makes UTF-8 well-formed.
---@param s string
---@return string
---@nodiscard
local function repair_utf8(s)
  if utf8.len(s) then
    return s
  end
  local out, at = {}, 1
  while at <= #s do
    local good = select(2, utf8.len(s, at))
    if not good then
      out[#out + 1] = s:sub(at)
      break
    end
    out[#out + 1] = s:sub(at, good - 1)
    local code, len = step_utf8(s, good)
    if not code then
      out[#out + 1] = REPLACEMENT
      break
    end
    out[#out + 1] = code == 0xFFFD and REPLACEMENT or s:sub(good, good + len - 1)
    at = good + len
  end
  return table.concat(out)
end

local function latin1_step(s, at)
  local b = s:byte(at)
  if b then
    return b, 1
  end
end

local to_latin1 = cache(function(char)
  local code = utf8.codepoint(char)
  return code <= 0xFF and string.char(code) or "?"
end)

local from_latin1 = {}
for code = 0x80, 0xFF do
  from_latin1[string.char(code)] = utf8.char(code)
end

local function wide_encode(pack_char)
  local map = cache(function(char)
    return pack_char(utf8.codepoint(char))
  end)
  return function(text)
    return (repair_utf8(text):gsub(utf8.charpattern, map))
  end
end

-- Surrogates come out of the unit map in three bytes each: pairs are joined, the rest replaced.
local function join_surrogates(text)
  if not text:find("\xED[\xA0-\xBF]") then
    return text
  end
  text = text:gsub("(\xED[\xA0-\xAF][\x80-\xBF])(\xED[\xB0-\xBF][\x80-\xBF])", function(high, low)
    local h, l = utf8.codepoint(high, 1, 1, true), utf8.codepoint(low, 1, 1, true)
    return utf8.char(0x10000 + (h - 0xD800 << 10) + (l - 0xDC00))
  end)
  return (text:gsub("\xED[\xA0-\xBF][\x80-\xBF]", REPLACEMENT))
end

local function utf16(order)
  local format, pair = order .. "I2", order .. "I2I2"
  local units = cache(function(unit)
    return utf8.char((string.unpack(format, unit)))
  end)
  local function decode(bytes)
    local odd = #bytes % 2 == 1
    if odd then
      bytes = bytes:sub(1, -2)
    end
    local text = join_surrogates((bytes:gsub("..", units)))
    return odd and text .. REPLACEMENT or text
  end
  local function step(s, at)
    if at + 1 > #s then
      return nil
    end
    local a = string.unpack(format, s, at)
    if a < 0xD800 or a > 0xDFFF then
      return a, 2
    elseif a > 0xDBFF then
      return 0xFFFD, 2
    elseif at + 3 > #s then
      return nil
    end
    local b = string.unpack(format, s, at + 2)
    if b < 0xDC00 or b > 0xDFFF then
      return 0xFFFD, 2
    end
    return 0x10000 + (a - 0xD800 << 10) + (b - 0xDC00), 4
  end
  local encode = wide_encode(function(code)
    if code < 0x10000 then
      return string.pack(format, code)
    end
    code = code - 0x10000
    return string.pack(pair, 0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))
  end)
  return decode, encode, step
end

local function utf32(order)
  local format = order .. "I4"
  local function step(s, at)
    if at + 3 > #s then
      return nil
    end
    local code = string.unpack(format, s, at)
    if code > 0x10FFFF or (code >= 0xD800 and code <= 0xDFFF) then
      code = 0xFFFD
    end
    return code, 4
  end
  local units = cache(function(unit)
    return utf8.char((step(unit, 1)))
  end)
  local function decode(bytes)
    local rest = #bytes % 4
    local text = bytes:sub(1, #bytes - rest):gsub("....", units)
    return rest > 0 and text .. REPLACEMENT or text
  end
  return decode, wide_encode(function(code)
    return string.pack(format, code)
  end), step
end

local encodings = {}

local function define(name, unit, bom, decode, encode, step)
  local e = { name = name, unit = unit, bom = bom, decode = decode, encode = encode, step = step }
  encodings[name] = e
end

define("utf-8", 1, "\xEF\xBB\xBF", repair_utf8, repair_utf8, step_utf8)
define("latin-1", 1, "", function(bytes)
  return (bytes:gsub("[\x80-\xFF]", from_latin1))
end, function(text)
  return (repair_utf8(text):gsub("[\xC2-\xF4][\x80-\xBF]+", to_latin1))
end, latin1_step)
define("utf-16le", 2, "\xFF\xFE", utf16("<"))
define("utf-16be", 2, "\xFE\xFF", utf16(">"))
define("utf-32le", 4, "\xFF\xFE\0\0", utf32("<"))
define("utf-32be", 4, "\0\0\xFE\xFF", utf32(">"))

local native = string.pack("=I2", 1) == "\1\0" and "le" or "be"
local aliases = {
  utf8 = "utf-8",
  latin1 = "latin-1",
  ["iso-8859-1"] = "latin-1",
  ["iso8859-1"] = "latin-1",
}
for _, name in ipairs { "utf-16", "utf-32" } do
  encodings[name] = setmetatable({ name = name }, { __index = encodings[name .. native] })
  for _, order in ipairs { "", "le", "be" } do
    aliases[name:gsub("-", "") .. order] = name .. order
    aliases[name .. "-" .. order] = order ~= "" and name .. order or nil
  end
end

---The names that find knows, aliases apart.
---@type string[]
M.names = {}
for name in pairs(encodings) do
  M.names[#M.names + 1] = name
end
table.sort(M.names)

---An encoding by name: case does not matter, "utf16le", "latin1", "ISO-8859-1" work, too.
---"utf-16" and "utf-32" are in the machine's byte order unless a byte order mark says otherwise.
---@param name string
---@return qn.stream.Encoding?
---@nodiscard
function M.find(name)
  name = name:lower():gsub("_", "-")
  return encodings[aliases[name] or name]
end

---The encodings that a byte order mark can announce.
---@type qn.stream.Encoding[]
M.marked = {
  encodings["utf-8"],
  encodings["utf-16le"],
  encodings["utf-16be"],
  encodings["utf-32le"],
  encodings["utf-32be"],
}

M.repair_utf8 = repair_utf8
M.utf16le = encodings["utf-16le"]
M.utf16be = encodings["utf-16be"]
M.latin1 = encodings["latin-1"]

return M
