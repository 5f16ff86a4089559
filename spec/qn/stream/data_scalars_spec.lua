if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local Data = require "qn.stream.data"
local core = require "qn.core"
local pieces = require "spec.support.pieces"
local wire = require "spec.support.wire"

local LE <const> = { byte_order = "little" }
local SINGLE <const> = { floating_point_precision = "single" }
local OLD_SINGLE <const> = { floating_point_precision = "single", version = 11 }

local function version(n, order)
  return { version = n, byte_order = order }
end

local CASES <const> = {
  { what = "int8", value = -1, hex = "ff" },
  { what = "int8", value = -128, hex = "80" },
  { what = "int8", value = 127, hex = "7f" },
  { what = "uint8", value = 255, hex = "ff" },
  { what = "int16", value = -2, hex = "ff fe" },
  { what = "int16", value = 0x1234, hex = "12 34" },
  { what = "int16", value = 0x1234, hex = "34 12", opts = LE },
  { what = "uint16", value = 0xFEDC, hex = "fe dc" },
  { what = "int32", value = -0x80000000, hex = "80 00 00 00" },
  { what = "int32", value = 1, hex = "01 00 00 00", opts = LE },
  { what = "uint32", value = 0xDEADBEEF, hex = "de ad be ef" },
  { what = "uint32", value = 0xDEADBEEF, hex = "ef be ad de", opts = LE },
  { what = "int64", value = 0x0102030405060708, hex = "01 02 03 04 05 06 07 08" },
  { what = "int64", value = 0x0102030405060708, hex = "08 07 06 05 04 03 02 01", opts = LE },
  { what = "int64", value = math.mininteger, hex = "80 00 00 00 00 00 00 00" },
  { what = "uint64", value = -1, hex = "ff ff ff ff ff ff ff ff" },
  { what = "int64", value = 0x0102030405060708, hex = "01 02 03 04 05 06 07 08",
    opts = version(5) },
  { what = "int64", value = 0x0102030405060708, hex = "04 03 02 01 08 07 06 05",
    opts = version(5, "little") },
  { what = "int64", value = -1, hex = "ff ff ff ff ff ff ff ff", opts = version(1) },
  { what = "bool", value = true, hex = "01" },
  { what = "bool", value = false, hex = "00" },
  { what = "bool", value = true, hex = "7f", write = false },
  { what = "float", value = 1.5, hex = "3f f8 00 00 00 00 00 00" },
  { what = "float", value = 1.5, hex = "3f c0 00 00", opts = SINGLE },
  { what = "float", value = 1.5, hex = "3f c0 00 00", opts = version(11) },
  { what = "float", value = 1.5, hex = "00 00 c0 3f", opts = version(11, "little") },
  { what = "double", value = -0.1, hex = "bf b9 99 99 99 99 99 9a" },
  { what = "double", value = 1.0, hex = "00 00 00 00 00 00 f0 3f", opts = LE },
  { what = "double", value = 1.5, hex = "3f c0 00 00", opts = SINGLE },
  { what = "double", value = 1.5, hex = "3f f8 00 00 00 00 00 00", opts = OLD_SINGLE },
  { what = "double", value = math.huge, hex = "7f f0 00 00 00 00 00 00" },
  { what = "double", value = 0 / 0, hex = "7f f8 00 00 00 00 00 00", write = false },
  { what = "string", value = "Hi", hex = "00 00 00 04 00 48 00 69" },
  { what = "string", value = "Hi", hex = "04 00 00 00 48 00 69 00", opts = LE },
  { what = "string", value = "", hex = "00 00 00 00" },
  { what = "string", value = Data.null, hex = "ff ff ff ff" },
  { what = "string", value = Data.null, hex = "ff ff ff ff", opts = version(3) },
  { what = "string", value = Data.null, hex = "00 00 00 00", opts = version(2), read = false },
  { what = "string", value = "é€", hex = "00 00 00 04 00 e9 20 ac" },
  { what = "string", value = "𝄞", hex = "00 00 00 04 d8 34 dd 1e" },
  { what = "string", value = "\u{FFFD}", hex = "00 00 00 02 d8 34", write = false },
  { what = "string", value = "é", hex = "00 00 00 01 e9", opts = version(1) },
  { what = "string", value = "a\0b", hex = "00 00 00 06 00 61 00 00 00 62" },
  { what = "bytes", value = "ab\0", hex = "00 00 00 03 61 62 00" },
  { what = "bytes", value = "", hex = "00 00 00 00" },
  { what = "bytes", value = Data.null, hex = "ff ff ff ff" },
  { what = "bytes", value = Data.null, hex = "00 00 00 00", opts = version(5), read = false },
  { what = "bytes", value = "x", hex = "01 00 00 00 78", opts = LE },
  { what = "bytes", value = "x", hex = "ff ff ff fe 00 00 00 00 ff ff ff ff 78", read = false,
    write = false },
  { what = "cstring", value = "Hi", hex = "00 00 00 03 48 69 00" },
  { what = "cstring", value = "", hex = "00 00 00 01 00" },
  { what = "cstring", value = Data.null, hex = "00 00 00 00" },
  { what = "cstring", value = "Hi", hex = "00 00 00 05 48 69 00 78 78", write = false },
  { what = "cstring", value = "Hi", hex = "00 00 00 02 48 69", write = false },
}

describe("the wire format of", function()
  for _, case in ipairs(CASES) do
    it(("%s %s (%s)"):format(case.what, tostring(case.value), case.hex), function()
      wire.check(assert, case)
    end)
  end
end)

describe("numbers", function()
  it("that do not fit are refused", function()
    local d = Data.new()
    for _, case in ipairs {
      { "int8", 128 }, { "int8", -129 }, { "uint8", -1 }, { "uint8", 256 }, { "int16", 32768 },
      { "uint16", 65536 }, { "int32", 0x80000000 }, { "uint32", -1 }, { "uint32", 0x100000000 },
      { "int64", 2.0 ^ 63 }, { "int32", 1.5 }, { "int32", "1" }, { "int32", nil }, { "int64", {} },
      { "bool", 1 }, { "float", "1" }, { "double", nil }, { "uint8", 0 / 0 },
    } do
      local ok, message = pcall(d["write_" .. case[1]], d, case[2])
      assert.is_false(ok, case[1])
      assert.truthy(message:find("bad argument #1 to 'write_" .. case[1] .. "'", 1, true), message)
    end
    assert.equal("", d:string())
  end)

  it("may be floats with an integer value", function()
    local d = Data.new()
    assert.is_true(d:write_int16(3.0))
    assert.is_true(d:write_double(3))
    assert.equal("00 03 40 08 00 00 00 00 00 00", pieces.hex(d:string()))
  end)
end)

describe("text", function()
  it("must be UTF-8 to be a string", function()
    local d = Data.new()
    assert.has_error(
      function()
        d:write_string "\xFF"
      end,
      "bad argument #1 to 'write_string' (UTF-8 (use write_bytes for bytes) expected, got '\xFF')"
    )
    for _, what in ipairs { "string", "bytes", "cstring" } do
      local ok, message = pcall(d["write_" .. what], d, 7)
      assert.is_false(ok)
      assert.truthy(message:find("string or nil expected, got 7", 1, true), message)
    end
    assert.has_error(function()
      d:write_cstring "a\0b"
    end)
  end)

  it("of an odd number of bytes is corrupt", function()
    local d = Data.new(pieces.unhex "00 00 00 03 00 48 00")
    local v, err = d:read_string()
    assert.is_nil(v)
    assert.equal("protocol", err.kind)
    assert.equal("READ_CORRUPT_DATA", err.code)
    assert.equal("read_corrupt_data", d:status())
    v, err = d:read_uint8()
    assert.is_nil(v)
    assert.equal(err, d:error())
  end)

  it("that is null reads as the option says", function()
    local d = Data.new(("\xFF"):rep(8) .. "\0\0\0\0", { null = Data.null })
    assert.equal(Data.null, d:read_string())
    assert.equal(Data.null, d:read_bytes())
    assert.equal(Data.null, d:read_cstring())
    assert.equal("ok", d:status())
    local out = Data.new()
    out:write_string(Data.null)
    out:write_bytes(Data.null)
    out:write_cstring(Data.null)
    assert.equal("ff ff ff ff ff ff ff ff 00 00 00 00", pieces.hex(out:string()))
  end)
end)

describe("a huge length", function()
  for _, what in ipairs { "string", "bytes", "cstring" } do
    it("is refused before anything is read: " .. what, function()
      for _, length in ipairs { "\x04\0\0\2", "\x7F\xFF\xFF\xFE", "\xFF\xFF\xFF\xFE" } do
        local d = Data.new(length .. "abc")
        local v, err = d["read_" .. what](d)
        assert.is_nil(v)
        assert.equal("limit", err.kind)
        assert.truthy(tostring(err):find("max_bytes=67108864", 1, true), tostring(err))
        assert.equal("read_corrupt_data", d:status())
        assert.equal("abc", d:stream():read "a")
      end
    end)

    it("within the limit costs no memory before its bytes come: " .. what, function()
      local d = Data.new("\x03\0\0\0" .. ("x"):rep(70000))
      collectgarbage()
      local before = collectgarbage "count"
      local v, err = d["read_" .. what](d)
      assert.is_nil(v)
      assert.equal("eof", err.kind)
      assert.equal(70000, #err.partial)
      assert.is_true(collectgarbage "count" - before < 4096)
    end)
  end

  it("is bounded by max_bytes to the byte", function()
    local d = Data.new("\0\0\0\4abcd\0\0\0\5abcde", { max_bytes = 4 })
    assert.equal("abcd", d:read_bytes())
    local _, err = d:read_bytes()
    assert.equal("limit", err.kind)
  end)

  it("may have the long form from version 22 on, and is bounded, too", function()
    local long = "\xFF\xFF\xFF\xFE" .. string.pack(">i8", 0xFFFFFFFF)
    local d = Data.new(long, { version = "6.7" })
    local _, err = d:read_bytes()
    assert.equal("limit", err.kind)
    d = Data.new("\xFF\xFF\xFF\xFE" .. string.pack(">i8", 5) .. "abcde", { version = 22 })
    _, err = d:read_bytes()
    assert.equal("protocol", err.kind)
    d = Data.new("\xFF\xFF\xFF\xFE" .. string.pack(">i8", -1), { version = 22 })
    _, err = d:read_string()
    assert.equal("protocol", err.kind)
    d = Data.new("\xFF\xFF\xFF\xFE\0\0", { version = 22 })
    _, err = d:read_bytes()
    assert.equal("eof", err.kind)
  end)

  it("of a value in several steps comes back whole", function()
    local big = ("0123456789abcdef"):rep(16384)
    local out = Data.new()
    out:write_bytes(big)
    out:write_string(big)
    local d = Data.new(pieces.new { out:string() })
    assert.is_true(big == d:read_bytes())
    assert.is_true(big == d:read_string())
  end)
end)

describe("a failing stream", function()
  it("fails a value that it cut", function()
    local reset = core.error("reset", "gone")
    local d = Data.new(pieces.new { "\0\0\0\4ab", reset, "cd" })
    local v, err = d:read_bytes()
    assert.is_nil(v)
    assert.equal(reset, err)
    assert.equal("read_past_end", d:status())
    assert.equal(reset, select(2, d:read_bytes()))
  end)

  it("may time out before a value without harm", function()
    for _, kind in ipairs { "timeout", "busy" } do
      local err0 = core.error(kind, "not now")
      local d = Data.new(pieces.new { "ab", err0, "cd" })
      local v, err = d:read_uint32()
      assert.is_nil(v)
      assert.equal(err0, err)
      assert.equal("ok", d:status())
      assert.equal(0x61626364, d:read_uint32())
    end
  end)

  it("stops everything when it times out inside of a value", function()
    local timeout = core.error("timeout", "too late")
    local d = Data.new(pieces.new { "\0\0\0\4ab", timeout, "cd" })
    assert.equal(timeout, select(2, d:read_bytes()))
    assert.equal("read_past_end", d:status())
    assert.equal(timeout, select(2, d:read_uint8()))
  end)
end)
