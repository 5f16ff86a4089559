if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local number = require "qn.stream.number"
local text_format = require "qn.stream.text_format"

local GERMAN <const> = { decimal = ",", group = ".", negative = "−", positive = "+" }

local function with(settings)
  local format = text_format.defaults()
  text_format.apply(format, settings)
  return format
end

describe("an integer is printed", function()
  local cases = {
    { 0, {}, "0" },
    { -5, {}, "-5" },
    { math.mininteger, {}, "-9223372036854775808" },
    { 5, { force_sign = true }, "+5" },
    { 255, { integer_base = 16 }, "ff" },
    { 255, { integer_base = 16, show_base = true }, "0xff" },
    { 255, { integer_base = 16, show_base = true, uppercase_digits = true }, "0xFF" },
    { 255, { integer_base = 16, show_base = true, uppercase_base = true }, "0Xff" },
    { -255, { integer_base = 16, show_base = true }, "-0xff" },
    { math.mininteger, { integer_base = 16 }, "-8000000000000000" },
    { 8, { integer_base = 8 }, "10" },
    { 8, { integer_base = 8, show_base = true }, "010" },
    { 0, { integer_base = 8, show_base = true }, "00" },
    { 5, { integer_base = 2, show_base = true }, "0b101" },
    { 5, { integer_base = 2, show_base = true, uppercase_base = true }, "0B101" },
    { 0, { integer_base = 2 }, "0" },
    { -1, { integer_base = 2 }, "-1" },
    { math.mininteger, { integer_base = 2 }, "-1" .. ("0"):rep(63) },
    { 7, { integer_base = 10, show_base = true }, "7" },
    { 255, { integer_base = 16, force_sign = true, show_base = true }, "+0xff" },
    { 1234567, { locale = GERMAN }, "1.234.567" },
    { -123456, { locale = GERMAN }, "−123.456" },
    { 12, { locale = GERMAN }, "12" },
    { 1234, { locale = { group = "%" } }, "1%234" },
    { 0x12345, { locale = GERMAN, integer_base = 16 }, "12345" },
  }
  for _, case in ipairs(cases) do
    it("as " .. case[3], function()
      assert.equal(case[3], number.format_integer(case[1], with(case[2])))
    end)
  end
end)

describe("a real is printed", function()
  local cases = {
    { 1.5, {}, "1.5" },
    { 1.0, {}, "1" },
    { 0.1 + 0.2, {}, "0.3" },
    { 1e6, {}, "1e+06" },
    { 123456.0, {}, "123456" },
    { 1e-5, {}, "1e-05" },
    { -0.5, {}, "-0.5" },
    { 1.0, { force_point = true }, "1.00000" },
    { 1.5, { force_sign = true }, "+1.5" },
    { 1e10, { uppercase_digits = true }, "1E+10" },
    { 1.5, { real_notation = "fixed" }, "1.500000" },
    { 1.5, { real_notation = "fixed", real_precision = 0 }, "2" },
    { 1.0, { real_notation = "fixed", real_precision = 0, force_point = true }, "1." },
    { 1234.5, { real_notation = "scientific", real_precision = 2 }, "1.23e+03" },
    { 1234.5, { real_notation = "scientific", uppercase_digits = true }, "1.234500E+03" },
    { 1 / 3, { real_precision = 12 }, "0.333333333333" },
    { math.huge, {}, "inf" },
    { -math.huge, { uppercase_digits = true }, "-INF" },
    { math.huge, { force_sign = true }, "+inf" },
    { 0 / 0, {}, "nan" },
    { -(0 / 0), { uppercase_digits = true }, "NAN" },
    { 1234567.891, { real_notation = "fixed", real_precision = 2, locale = GERMAN },
      "1.234.567,89" },
    { -1e300, { locale = GERMAN }, "−1e+300" },
    { -0.0, {}, "-0" },
    { 1e308, { real_notation = "fixed", real_precision = 0 }, ("%.0f"):format(1e308) },
  }
  for _, case in ipairs(cases) do
    it("as " .. case[3], function()
      assert.equal(case[3], number.format_real(case[1], with(case[2])))
    end)
  end
end)

-- What the machine takes of a text, its value, and the rest.
local function run(step, value, text)
  local taken = 0
  for position, code in utf8.codes(text) do
    local char = utf8.char(code)
    if not step(char) then
      break
    end
    taken = position + #char - 1
  end
  local v, message = value(text:sub(1, taken))
  return v, text:sub(taken + 1), message
end

describe("an integer is parsed:", function()
  local NONE, RANGE = "no integer", "integer out of range"
  local cases = {
    -- base, text, value or what is wrong, rest
    { 0, "12", 12, "" },
    { 0, "12abc", 12, "abc" },
    { 0, "-12-", -12, "-" },
    { 0, "+7.5", 7, ".5" },
    { 0, "0", 0, "" },
    { 0, "0x1F", 31, "" },
    { 0, "0X1fg", 31, "g" },
    { 0, "-0x10", -16, "" },
    { 0, "0b101", 5, "" },
    { 0, "0b12", 1, "2" },
    { 0, "017", 15, "" },
    { 0, "019", 1, "9" },
    { 0, "09", 9, "" },
    { 0, "0x", NONE, "" },
    { 0, "0xg", NONE, "g" },
    { 0, "0b2", NONE, "2" },
    { 0, "-", NONE, "" },
    { 0, "", NONE, "" },
    { 0, "x", NONE, "x" },
    { 0, "--1", NONE, "-1" },
    { 0, "ff", NONE, "ff" },
    { 10, "0x1F", 0, "x1F" },
    { 10, "007", 7, "" },
    { 10, "9223372036854775807", math.maxinteger, "" },
    { 10, "-9223372036854775808", math.mininteger, "" },
    { 10, "9223372036854775808", RANGE, "" },
    { 10, ("9"):rep(300), RANGE, "" },
    { 16, "ff", 255, "" },
    { 16, "0xff", 255, "" },
    { 16, "0", 0, "" },
    { 16, "0b1", 0xB1, "" },
    { 16, "b1x", 0xB1, "x" },
    { 16, "0x", NONE, "" },
    { 16, "ffffffffffffffff", -1, "" },
    { 16, "0000ffffffffffffffff", -1, "" },
    { 16, "10000000000000000", RANGE, "" },
    { 8, "17", 15, "" },
    { 8, "0178", 15, "8" },
    { 8, "1777777777777777777777", -1, "" },
    { 8, "2000000000000000000000", RANGE, "" },
    { 8, "8", NONE, "8" },
    { 2, "101", 5, "" },
    { 2, "0b101", 5, "" },
    { 2, "0", 0, "" },
    { 2, "2", NONE, "2" },
    { 2, ("1"):rep(64), -1, "" },
    { 2, ("1"):rep(65), RANGE, "" },
  }
  for _, case in ipairs(cases) do
    it(("%s in base %d"):format(case[2]:sub(1, 30), case[1]), function()
      local step, value = number.integer_machine(case[1], number.C)
      local v, rest, message = run(step, value, case[2])
      assert.equal(case[3], v or message)
      assert.equal(case[4], rest)
    end)
  end

  it("with the signs and groups of a locale", function()
    for text, want in pairs { ["−1.234.567x"] = -1234567, ["-5"] = -5, ["+1.000"] = 1000 } do
      local step, value = number.integer_machine(0, GERMAN)
      assert.equal(want, (run(step, value, text)))
    end
  end)
end)

describe("a real is parsed:", function()
  local NONE = "no number"
  local cases = {
    { "1", 1.0, "" },
    { "1.5x", 1.5, "x" },
    { "-.5", -0.5, "" },
    { "5.", 5.0, "" },
    { "1e3", 1000.0, "" },
    { "1E-3,", 0.001, "," },
    { "+2.5e+1 ", 25.0, " " },
    { "inf", math.huge, "" },
    { "-INF", -math.huge, "" },
    { "infinity", math.huge, "inity" },
    { "1e999", math.huge, "" },
    { "1.2.3", 1.2, ".3" },
    { "1e", NONE, "" },
    { "1ex", NONE, "x" },
    { "1e+", NONE, "" },
    { ".", NONE, "" },
    { "-", NONE, "" },
    { "", NONE, "" },
    { "in", NONE, "" },
    { "na", NONE, "" },
    { "x", NONE, "x" },
    { "0x10", 0.0, "x10" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local step, value = number.real_machine(number.C)
      local v, rest, message = run(step, value, case[1])
      assert.equal(case[2], v or message)
      assert.equal(case[3], rest)
    end)
  end

  it("nan", function()
    local step, value = number.real_machine(number.C)
    local v = run(step, value, "NaN")
    assert.is_true(v ~= v)
  end)

  it("with the point, signs and groups of a locale", function()
    for text, want in pairs { ["−1.234,5"] = -1234.5, ["+0,25"] = 0.25, ["1.5"] = 15.0 } do
      local step, value = number.real_machine(GERMAN)
      assert.equal(want, (run(step, value, text)))
    end
  end)
end)
