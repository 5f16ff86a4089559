if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local Text = require "qn.stream.text"

local function written(settings, ...)
  local t = Text.new(nil, settings)
  assert(t:write(...))
  return t:string()
end

describe("a field", function()
  local cases = {
    { { field_width = 6 }, "ab", "    ab" },
    { { field_width = 6, alignment = "left" }, "ab", "ab    " },
    { { field_width = 6, alignment = "center" }, "ab", "  ab  " },
    { { field_width = 5, alignment = "center" }, "ab", " ab  " },
    { { field_width = 6, alignment = "accounting" }, -5, "-    5" },
    { { field_width = 6, alignment = "accounting", force_sign = true }, 5, "+    5" },
    { { field_width = 6, alignment = "accounting" }, 5, "     5" },
    { { field_width = 6, alignment = "accounting" }, -1.5, "-  1.5" },
    { { field_width = 6, alignment = "accounting" }, "-ab", "   -ab" },
    { { field_width = 6, pad_char = "0", alignment = "accounting" }, -5, "-00005" },
    { { field_width = 4, pad_char = "·" }, "é", "···é" },
    { { field_width = 2 }, "abc", "abc" },
    { { field_width = 3 }, "", "   " },
    { { field_width = 3.0 }, "a", "  a" },
    { { field_width = 6 }, true, "  true" },
    { { field_width = 8, integer_base = 16, show_base = true, alignment = "accounting" }, -255,
      "-   0xff" },
  }
  for _, case in ipairs(cases) do
    it(("%q"):format(case[3]), function()
      assert.equal(case[3], written(case[1], case[2]))
    end)
  end

  it("is there for each value", function()
    assert.equal("  a  1", written({ field_width = 3 }, "a", 1))
  end)
end)

describe("settings", function()
  it("have Qt's defaults", function()
    assert.same({
      field_width = 0, alignment = "right", pad_char = " ", integer_base = 0, show_base = false,
      force_point = false, force_sign = false, uppercase_base = false, uppercase_digits = false,
      real_notation = "smart", real_precision = 6,
      locale = { decimal = ".", group = "", negative = "-", positive = "+" },
    }, Text.new():format())
  end)

  it("tell and set, one by one and together", function()
    local t = Text.new()
    for name, v in pairs {
      field_width = 7, alignment = "center", pad_char = "*", integer_base = 2, show_base = true,
      force_point = true, force_sign = true, uppercase_base = true, uppercase_digits = true,
      real_notation = "fixed", real_precision = 3,
    } do
      assert.equal(t, t[name](t, v))
      assert.equal(v, t[name](t))
      assert.equal(v, t:format()[name])
      assert.equal(v, Text.new():format({ [name] = v }):format()[name])
      assert.equal(v, Text.new(nil, { [name] = v }):format()[name])
    end
    assert.is_false(t:show_base(false):show_base())
    assert.equal(0, t:reset_format():field_width())
    assert.equal("right", t:alignment())
  end)

  it("of a locale keep what is not named", function()
    local t = Text.new(nil, { locale = { decimal = "," } })
    assert.same({ decimal = ",", group = "", negative = "-", positive = "+" }, t:locale())
    assert.equal(",", t:format().locale.decimal)
  end)

  it("refuse misuse, naming it", function()
    local t = Text.new()
    for _, case in ipairs {
      { "field_width", -1 }, { "field_width", 65537 }, { "field_width", "8" },
      { "alignment", "middle" }, { "pad_char", "" }, { "pad_char", "ab" }, { "pad_char", "\xFF" },
      { "integer_base", 3 }, { "show_base", 1 }, { "real_notation", "smrt" },
      { "real_precision", -1 }, { "real_precision", 100 }, { "locale", { decimal = "" } },
      { "locale", { point = "," } }, { "locale", "de" },
    } do
      local ok, message = pcall(t[case[1]], t, case[2])
      assert.is_false(ok, case[1])
      assert.truthy(message:find("option '" .. case[1] .. "' must be", 1, true), message)
      assert.has_error(function()
        t:format { [case[1]] = case[2] }
      end)
    end
    local ok, message = pcall(t.format, t, { field_with = 1 })
    assert.is_false(ok)
    assert.truthy(message:find("(did you mean 'field_width'?)", 1, true))
    assert.same(Text.new():format(), t:format())
  end)
end)
