-- Numbers between values and text, as QTextStream prints and parses them.
-- text_format.lua prints with it, text_read.lua parses. Bytes in, bytes out; it must not pad.
-- Invariant: a machine's step says yes only to characters that can still become a number, so that
-- a reader takes not one character more than the number has.

local M = {}

---The C locale.
---@type qn.TextLocale
M.C = { decimal = ".", group = "", negative = "-", positive = "+" }

local UPPER <const> = { f = "f", e = "E", g = "G" }
local CONVERSIONS <const> = { smart = "g", fixed = "f", scientific = "e" }

local function grouped(digits, separator)
  if separator == "" then
    return digits
  end
  local out = digits:reverse():gsub("(%d%d%d)", "%1\0"):reverse():gsub("^\0", "")
  return (out:gsub("\0", (separator:gsub("%%", "%%%%"))))
end

local function binary(v)
  local out = {}
  repeat
    out[#out + 1] = v & 1
    v = v >> 1
  until v == 0
  return table.concat(out):reverse()
end

local function signed(text, negative, format)
  local locale = format.locale
  if negative then
    return locale.negative .. text
  end
  return format.force_sign and locale.positive .. text or text
end

---An integer as text. A negative one has its sign before the base, "-0x1".
---@param v integer
---@param format qn.TextFormat
---@return string
---@nodiscard
function M.format_integer(v, format)
  local base, negative = format.integer_base, v < 0
  local magnitude = negative and -v or v
  local digits, prefix
  if base == 16 then
    digits = (format.uppercase_digits and "%X" or "%x"):format(magnitude)
    prefix = format.uppercase_base and "0X" or "0x"
  elseif base == 8 then
    digits, prefix = ("%o"):format(magnitude), "0"
  elseif base == 2 then
    digits, prefix = binary(magnitude), format.uppercase_base and "0B" or "0b"
  else
    digits = grouped(("%d"):format(v):gsub("^-", ""), format.locale.group)
    prefix = ""
  end
  return signed(format.show_base and prefix .. digits or digits, negative, format)
end

---A float as text.
---@param v number
---@param format qn.TextFormat
---@return string
---@nodiscard
function M.format_real(v, format)
  local letter = CONVERSIONS[format.real_notation]
  letter = format.uppercase_digits and UPPER[letter] or letter
  if v ~= v then
    return format.uppercase_digits and "NAN" or "nan"
  elseif v == math.huge or v == -math.huge then
    return signed(format.uppercase_digits and "INF" or "inf", v < 0, format)
  end
  local flag = format.force_point and "#" or ""
  local text = ("%" .. flag .. "." .. format.real_precision .. letter):format(v)
  local negative = text:byte() == 45
  local whole, point, rest = text:match("^%-?(%d+)([^%deE]?)(.*)$")
  local locale = format.locale
  whole = grouped(whole, locale.group)
  return signed(whole .. (point ~= "" and locale.decimal or "") .. rest, negative, format)
end

-- Tables of states: state -> class of the character -> next state.
local function to(state, classes, rows)
  rows = rows or {}
  for class in classes:gmatch(".") do
    rows[class] = state
  end
  return rows
end

-- Classes of integers: s sign, 0, 1, 7 (2 to 7), 9 (8, 9), b, x, h (other hex letters), g group.
local INT_CLASS <const> = {}
for classes, chars in pairs {
  ["0"] = "0", ["1"] = "1", ["7"] = "234567", ["9"] = "89", b = "bB", x = "xX", h = "acdefACDEF",
} do
  to(classes, chars, INT_CLASS)
end

local common = {
  oct = to("oct", "017"),
  dec = to("dec", "0179g"),
  hex = to("hex", "0179bh"),
  hex0 = to("hex", "0179bh"),
  bin = to("bin", "01"),
  bin0 = to("bin", "01"),
}

-- The states before the base is known: `first` follows a sign, too.
local function int_states(first, zero)
  local states = setmetatable({ zero = zero, sign = first }, { __index = common })
  states.start = setmetatable({ s = "sign" }, { __index = first })
  return states
end

local auto_zero = to("oct", "017", { x = "hex0", b = "bin0", ["9"] = "dec" })
local INT_STATES <const> = {
  [0] = int_states(to("dec", "179", { ["0"] = "zero" }), auto_zero),
  [2] = int_states({ ["0"] = "zero", ["1"] = "bin" }, to("bin", "01", { b = "bin0" })),
  [8] = int_states(to("oct", "017")),
  [10] = int_states(to("dec", "0179")),
  [16] = int_states(to("hex", "179bh", { ["0"] = "zero" }), to("hex", "0179bh", { x = "hex0" })),
}
local INT_BASES <const> = { zero = 10, dec = 10, oct = 8, hex = 16, bin = 2 }

-- Classes of reals: s sign, d digit, . point, e, g group, and the letters of inf and nan.
local REAL_CLASS <const> = { E = "e", I = "i", N = "n", F = "f", A = "a" }
to("d", "0123456789", REAL_CLASS)
for class in ("einfa"):gmatch(".") do
  REAL_CLASS[class] = class
end

local REAL_STATES <const> = {
  start = { s = "sign", d = "int", ["."] = "dot", i = "i", n = "n" },
  sign = { d = "int", ["."] = "dot", i = "i", n = "n" },
  int = { d = "int", g = "int", ["."] = "frac", e = "exp0" },
  dot = { d = "frac" },
  frac = { d = "frac", e = "exp0" },
  exp0 = { s = "exp1", d = "exp" },
  exp1 = { d = "exp" },
  exp = { d = "exp" },
  i = { n = "in" },
  ["in"] = { f = "inf" },
  inf = {},
  n = { a = "na" },
  na = { n = "nan" },
  nan = {},
}
local REAL_FINAL <const> = { int = true, frac = true, exp = true, inf = true, nan = true }

-- A function that says whether a character may follow, and one that tells the state reached.
local function machine(states, classes, locale)
  local state = "start"
  local function step(char)
    local class = classes[char]
    if char == locale.negative or char == locale.positive or char == "-" or char == "+" then
      class = "s"
    elseif char == locale.group then
      class = "g"
    elseif classes == REAL_CLASS and char == locale.decimal then
      class = "."
    end
    local row = class and states[state]
    local next_state = row and row[class]
    state = next_state or state
    return next_state ~= nil
  end
  return step, function()
    return state
  end
end

-- Plain digits and sign from what a machine has taken.
local function plain(text, locale)
  local function drop(what, by)
    if what ~= "" and what ~= by then
      text = text:gsub(what:gsub("%p", "%%%0"), by)
    end
  end
  drop(locale.group, "")
  drop(locale.positive, "+")
  drop(locale.negative, "-")
  drop(locale.decimal, ".")
  return text
end

local function integer_value(text, base)
  local sign, digits = text:match("^([+-]?)(.*)$")
  if base == 10 then
    local v = tonumber((sign == "-" and "-" or "") .. digits)
    return math.type(v) == "integer" and v or nil
  end
  digits = digits:gsub(base == 16 and "^0[xX]" or "^0[bB]", ""):gsub("^0+", "")
  local bits = base == 16 and 4 or base == 8 and 3 or 1
  local v = 0
  for digit in digits:gmatch(".") do
    if v >> (64 - bits) ~= 0 then
      return nil
    end
    v = v << bits | tonumber(digit, 16)
  end
  return sign == "-" and -v or v
end

---A machine for an integer.
---@param base integer 0 finds it out: 0x, 0b, 0
---@param locale qn.TextLocale
---@return fun(char: string): boolean step whether the character belongs to the number
---@return fun(text: string): integer?, string?, boolean? value of what was taken; nil, what is wrong, and
---  whether no more text could mend it
---@nodiscard
function M.integer_machine(base, locale)
  local step, state = machine(INT_STATES[base], INT_CLASS, locale)
  return step, function(text)
    local found = INT_BASES[state()]
    if not found then
      return nil, "no integer"
    end
    local v = integer_value(plain(text, locale), found)
    if v == nil then
      return nil, "integer out of range", true
    end
    return v
  end
end

---A machine for a real number.
---@param locale qn.TextLocale
---@return fun(char: string): boolean step whether the character belongs to the number
---@return fun(text: string): number?, string? value of what was taken; nil and what is wrong
---@nodiscard
function M.real_machine(locale)
  local step, state = machine(REAL_STATES, REAL_CLASS, locale)
  return step, function(text)
    local reached = state()
    if not REAL_FINAL[reached] then
      return nil, "no number"
    end
    text = plain(text, locale)
    local negative = text:byte() == 45
    if reached == "nan" then
      return 0 / 0
    elseif reached == "inf" then
      return negative and -math.huge or math.huge
    end
    text = text:gsub("^%+", "")
    return tonumber(text) + 0.0
  end
end

return M
