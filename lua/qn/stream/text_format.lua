-- How a text stream lays out what it writes: width, alignment, bases, notation, locale.
-- text.lua takes its methods over into the class. It must not write.
-- Invariant: `_format` always holds a valid value for every key of M.RULES.

local number = require "qn.stream.number"
local options = require "qn.options"

local M = {}

local function one_character(v)
  return utf8.len(v) == 1, "one character"
end

local LOCALE <const> = {
  decimal = { type = "string", check = one_character },
  group = {
    type = "string",
    check = function(v)
      return v == "" or utf8.len(v) == 1, "one character or empty"
    end,
  },
  negative = { type = "string", check = one_character },
  positive = { type = "string", check = one_character },
}

---How numbers are written and read.
---@class qn.TextLocale
---@field decimal? string decimal point, "." when absent
---@field group? string between thousands, none when absent
---@field negative? string "-" when absent
---@field positive? string "+" when absent

---@class qn.TextFormat
---@field field_width? integer least number of characters of each value; 0 when absent
---@field alignment? "left"|"right"|"center"|"accounting" "right" when absent; "accounting" puts the
---  sign of a number before the padding
---@field pad_char? string fills the field; a space when absent
---@field integer_base? 0|2|8|10|16 0, when absent: writes base 10, reads what the prefix says
---@field show_base? boolean writes 0x, 0b, 0
---@field force_point? boolean reals always have a point, and "smart" keeps trailing zeros
---@field force_sign? boolean positive numbers have a sign, too
---@field uppercase_base? boolean 0X, 0B
---@field uppercase_digits? boolean FF, 1E+06, INF
---@field real_notation? "smart"|"fixed"|"scientific" "smart" when absent
---@field real_precision? integer digits after the point, or of all for "smart"; 6 when absent
---@field locale? qn.TextLocale the C locale when absent

---@type table<string, qn.OptionRule>
M.RULES = {
  field_width = { type = "integer", min = 0, max = 65536 },
  alignment = { type = "string", enum = { "left", "right", "center", "accounting" } },
  pad_char = { type = "string", check = one_character },
  integer_base = { type = "integer", enum = { 0, 2, 8, 10, 16 } },
  show_base = { type = "boolean" },
  force_point = { type = "boolean" },
  force_sign = { type = "boolean" },
  uppercase_base = { type = "boolean" },
  uppercase_digits = { type = "boolean" },
  real_notation = { type = "string", enum = { "smart", "fixed", "scientific" } },
  real_precision = { type = "integer", min = 0, max = 99 },
  locale = {
    type = "table",
    check = function(v)
      local ok, message = pcall(options.check, v, LOCALE, "locale")
      return ok, "a locale (" .. tostring(message):gsub("^.-locale: ", "") .. ")"
    end,
  },
}

local DEFAULTS <const> = {
  field_width = 0,
  alignment = "right",
  pad_char = " ",
  integer_base = 0,
  show_base = false,
  force_point = false,
  force_sign = false,
  uppercase_base = false,
  uppercase_digits = false,
  real_notation = "smart",
  real_precision = 6,
  locale = number.C,
}

local function whole(v)
  return math.tointeger(v)
end

local function with_defaults(v)
  local locale = {}
  for name, default in pairs(number.C) do
    locale[name] = v[name] or default
  end
  return locale
end

local NORMALIZE <const> = {
  field_width = whole,
  integer_base = whole,
  real_precision = whole,
  locale = with_defaults,
}

---The settings at the start.
---@return qn.TextFormat
---@nodiscard
function M.defaults()
  local format = {}
  for name, v in pairs(DEFAULTS) do
    format[name] = v
  end
  return format
end

---Takes over those of the given options that are settings; they have been checked.
---@param format qn.TextFormat
---@param opts table
function M.apply(format, opts)
  for name, v in pairs(opts) do
    if M.RULES[name] then
      format[name] = NORMALIZE[name] and NORMALIZE[name](v) or v
    end
  end
end

---A value in its field.
---@param format qn.TextFormat
---@param text string UTF-8
---@param is_number boolean
---@return string
---@nodiscard
function M.pad(format, text, is_number)
  local width = format.field_width
  if width == 0 then
    return text
  end
  local missing = width - utf8.len(text)
  if missing <= 0 then
    return text
  end
  local alignment, fill = format.alignment, format.pad_char
  if alignment == "left" then
    return text .. fill:rep(missing)
  elseif alignment == "center" then
    local left = missing // 2
    return fill:rep(left) .. text .. fill:rep(missing - left)
  elseif alignment == "accounting" and is_number then
    for _, sign in ipairs { format.locale.negative, format.locale.positive } do
      if text:sub(1, #sign) == sign then
        return sign .. fill:rep(missing) .. text:sub(#sign + 1)
      end
    end
  end
  return fill:rep(missing) .. text
end

---@class qn.TextStream
---@field field_width fun(self: qn.TextStream, v?: integer): any tells, or sets and returns self
---@field alignment fun(self: qn.TextStream, v?: string): any tells, or sets and returns self
---@field pad_char fun(self: qn.TextStream, v?: string): any tells, or sets and returns self
---@field integer_base fun(self: qn.TextStream, v?: integer): any tells, or sets and returns self
---@field show_base fun(self: qn.TextStream, v?: boolean): any tells, or sets and returns self
---@field force_point fun(self: qn.TextStream, v?: boolean): any tells, or sets and returns self
---@field force_sign fun(self: qn.TextStream, v?: boolean): any tells, or sets and returns self
---@field uppercase_base fun(self: qn.TextStream, v?: boolean): any tells, or sets and returns self
---@field uppercase_digits fun(self: qn.TextStream, v?: boolean): any tells, or sets, returns self
---@field real_notation fun(self: qn.TextStream, v?: string): any tells, or sets and returns self
---@field real_precision fun(self: qn.TextStream, v?: integer): any tells, or sets and returns self
---@field locale fun(self: qn.TextStream, v?: qn.TextLocale): any tells, or sets and returns self
local Text = {}
M.methods = Text

for name in pairs(M.RULES) do
  Text[name] = function(self, v)
    if v == nil then
      return self._format[name]
    end
    local opts = options.check({ [name] = v }, M.RULES, name)
    M.apply(self._format, opts)
    return self
  end
end

---The settings; with an argument, sets those it names.
---@param settings? qn.TextFormat
---@return qn.TextFormat|qn.TextStream
function Text:format(settings)
  if settings == nil then
    local copy = M.defaults()
    for name in pairs(copy) do
      copy[name] = self._format[name]
    end
    return copy
  end
  settings = options.check(settings, M.RULES, "format")
  M.apply(self._format, settings)
  return self
end

---Sets everything back to the defaults, as QTextStream::reset does.
---@return qn.TextStream
function Text:reset_format()
  self._format = M.defaults()
  return self
end

return M
