if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local Data = require "qn.stream.data"
local pieces = require "spec.support.pieces"
local wire = require "spec.support.wire"

local variant = Data.variant

local CASES <const> = {
  { variant("invalid"), "00 00 00 00 01 ff ff ff ff" },
  { variant("invalid"), "00 00 00 00 01", "5.0" },
  { variant("bool", true), "00 00 00 01 00 01" },
  { variant("int32", -1), "00 00 00 02 00 ff ff ff ff" },
  { variant("int32", -1), "00 00 00 02 ff ff ff ff", "4.0" },
  { variant("int32", -1), "00 00 00 10 ff ff ff ff", "3.3" },
  { variant("uint32", 1), "00 00 00 03 00 00 00 00 01" },
  { variant("int64", 2), "00 00 00 04 00 00 00 00 00 00 00 00 02" },
  { variant("uint64", -1), "00 00 00 05 00 ff ff ff ff ff ff ff ff" },
  { variant("double", 1.5), "00 00 00 06 00 3f f8 00 00 00 00 00 00" },
  { variant("float", 1.5), "00 00 00 87 00 3f f8 00 00 00 00 00 00" },
  { variant("float", 1.5), "00 00 00 26 00 3f f8 00 00 00 00 00 00", "5.0" },
  { variant("char", "€"), "00 00 00 07 00 20 ac" },
  { variant("string", "x"), "00 00 00 0a 00 00 00 00 02 00 78" },
  { variant("string", nil), "00 00 00 0a 01 ff ff ff ff" },
  { variant("int32", nil), "00 00 00 02 01 00 00 00 00", nil, read = { "int32", 0, true } },
  { variant("string_list", { "a" }), "00 00 00 0b 00 00 00 00 01 00 00 00 02 00 61" },
  { variant("bytes", "x"), "00 00 00 0c 00 00 00 00 01 78" },
  { variant("date", { year = 2010, month = 6, day = 8 }), "00 00 00 0e 00 00 25 77 3c" },
  { variant("time", nil), "00 00 00 0f 01 ff ff ff ff" },
  { variant("datetime", nil), "00 00 00 10 01 00 00 00 00 ff ff ff ff ff" },
  { variant("url", "x:"), "00 00 00 11 00 00 00 00 02 78 3a" },
  { variant("list", {}), "00 00 00 09 00 00 00 00 00" },
  { variant("list", { variant("bool", false) }), "00 00 00 09 00 00 00 00 01 00 00 00 01 00 00" },
  { variant("map", { a = variant("bool", true) }),
    "00 00 00 08 00 00 00 00 01 00 00 00 02 00 61 00 00 00 01 00 01" },
  { variant("hash", {}), "00 00 00 1c 00 00 00 00 00" },
}

describe("the wire format of a variant", function()
  for i, case in ipairs(CASES) do
    it(("%s, case %d"):format(case[1].type, i), function()
      wire.check(assert, {
        what = "variant",
        value = case[1],
        hex = case[2],
        opts = { version = case[3] },
        check = function(got)
          local want = case.read or { case[1].type, case[1].value, case[1].null }
          assert.equal(want[1], got.type)
          assert.same(want[2], got.value)
          assert.equal(want[3], got.null)
        end,
      })
    end)
  end
end)

describe("write_variant", function()
  it("finds the type of plain values", function()
    for _, case in ipairs {
      { nil, "invalid" }, { Data.null, "invalid" }, { false, "bool" }, { 5, "int32" },
      { 0x80000000, "int64" }, { -0x80000001, "int64" }, { 5.0, "double" }, { "é", "string" },
      { "\xFF", "bytes" }, { {}, "list" }, { { 1, 2 }, "list" }, { { a = 1 }, "map" },
    } do
      local d = Data.new()
      assert.is_true(d:write_variant(case[1]))
      assert.equal(case[2], Data.new(d:string()):read_variant().type)
    end
  end)

  it("writes nested values that read back as variants, and the same bytes again", function()
    local d = Data.new()
    d:write_variant { name = "x", list = { 1, 2.5, { deep = true } } }
    local bytes = d:string()
    local got = Data.new(bytes):read_variant()
    assert.equal("map", got.type)
    assert.equal("x", got.value.name.value)
    assert.is_true(got.value.list.value[3].value.deep.value)
    local again = Data.new()
    again:write_variant(got)
    assert.equal(bytes, again:string())
  end)

  it("refuses what has no type", function()
    local d = Data.new()
    for _, case in ipairs {
      { print, "value with a variant type" },
      { { print }, "value with a variant type" },
      { variant("char", "ab"), "one character up to U+FFFF" },
      { variant("char", "𝄞"), "one character up to U+FFFF" },
    } do
      local ok, message = pcall(d.write_variant, d, case[1])
      assert.is_false(ok)
      assert.truthy(message:find(case[2], 1, true), message)
    end
    assert.has_error(function()
      variant("strin", "x")
    end, "bad argument #1 to 'variant' (name of a variant type (did you mean 'string'?) "
      .. "expected, got 'strin')")
    local old = Data.new(nil, { version = 4 })
    local ok, message = pcall(old.write_variant, old, variant("url", "x:"))
    assert.is_false(ok)
    assert.truthy(message:find("type that version 4 knows", 1, true), message)
    assert.equal("", d:string())
  end)

  it("stops at a table that contains itself", function()
    local loop = {}
    loop[1] = loop
    local d = Data.new()
    local ok, message = pcall(d.write_variant, d, loop)
    assert.is_false(ok)
    assert.truthy(message:find("nested beyond max_depth=32", 1, true), message)
    assert.is_true(d:write_variant { 1 })
  end)
end)

describe("a variant", function()
  it("prints", function()
    assert.equal("variant(int32, 5)", tostring(variant("int32", 5)))
  end)
end)

describe("a hostile variant", function()
  for _, case in ipairs {
    { "of an unknown type", "00 00 00 0d 00" },
    { "of a user type", "00 00 00 7f 00 00 00 00 02 41 00" },
    { "of a type far away", "ff ff ff ff 00" },
    { "of Qt 5's float in Qt 4", "00 00 00 26 00 00 00 00 00" },
    { "of Qt 4's float in Qt 5", "00 00 00 87 00 00 00 00 00", "5.0" },
    { "of a type that Qt 3 had not", "00 00 00 63 00", "3.3" },
  } do
    it(case[1] .. " is corrupt data", function()
      local d = Data.new(pieces.unhex(case[2]), { version = case[3] })
      local v, err = d:read_variant()
      assert.is_nil(v)
      assert.equal("protocol", err.kind)
      assert.equal("read_corrupt_data", d:status())
    end)
  end

  it("cannot nest beyond max_depth", function()
    local level = pieces.unhex "00 00 00 09 00 00 00 00 01"
    local leaf = pieces.unhex "00 00 00 01 00 01"
    local d = Data.new(level:rep(100000))
    local v, err = d:read_variant()
    assert.is_nil(v)
    assert.equal("limit", err.kind)
    assert.truthy(tostring(err):find("max_depth=32", 1, true))
    d = Data.new(level:rep(3) .. leaf, { max_depth = 4 })
    assert.equal("list", d:read_variant().type)
    d = Data.new(level:rep(4) .. leaf, { max_depth = 4 })
    assert.equal("limit", select(2, d:read_variant()).kind)
  end)
end)
