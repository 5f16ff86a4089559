-- unpack and pack of streams: equal to string.unpack on the same bytes, however they arrive, wherever
-- they are cut, whatever lengths the peer claims.

local qn = require "qn"
local pair = require "spec.support.pair"
local splits = require "spec.support.splits"
local throws = require "spec.support.throws"

local function assert_error(kind, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind)
  return err
end

-- Every letter, with sizes, alignments and byte orders.
local formats = {
  { "b", -5 }, { "B", 250 }, { "h", -300 }, { "H", 60000 }, { "i", -70000 }, { "I", 3000000000 },
  { "l", -1 }, { "L", 7 }, { "j", math.mininteger }, { "J", math.maxinteger }, { "T", 99 },
  { "f", 0.5 }, { "d", -1 / 3 }, { "n", 1e300 },
  { "i1", -1 }, { "i3", -8388608 }, { ">I3", 0xabcdef }, { "<i7", -1 }, { ">i16", -2 }, { "<I16", math.maxinteger },
  { ">I9", 5 }, { "s", "eight" }, { "s1", "" }, { ">s2", "two" }, { "<s3", "three" }, { ">s16", "sixteen" },
  { "z", "zero" }, { "z", "" }, { "c5", "fixed" }, { "c0", "" }, { "x" }, { "xxxx" }, { "", },
  { "<i2 >i2 =i2 !4 b", 1, 2, 3, 4 },
  { "!4 b i4 h i4", 1, 2, 3, 4 }, { "!8 b d b j", 1, 2.5, 3, 4 }, { "! b Xd b Xi8 b", 1, 2, 3 },
  { "!2 b i4 s4", 1, 2, "aligned by two" }, { "!16 b Xi16 b", 1, 2 }, { "!4 b Xh x Xi4 z b", 1, "z", 2 },
  { ">s1s2z c3 I4 b", "a", "bb", "ccc", "ddd", 4, 5 }, { "zzz", "", "x", "" }, { "  b  b  ", 1, 2 },
}

describe("unpack", function()
  for _, case in ipairs(formats) do
    local format = case[1]
    local bytes = string.pack(table.unpack(case))
    local want = table.pack(string.unpack(format, bytes))
    want[want.n], want.n = nil, want.n - 1 -- without the position

    it(("reads %q as string.unpack does, cut anywhere"):format(format), function()
      splits.each(bytes .. "rest", function(s)
        local got = table.pack(s:unpack(format))
        got.rest = s:read_exactly(4)
        return got
      end, function(results, way)
        local got = results[1]
        assert.equal("rest", got.rest, way)
        got.rest = nil
        assert.same(want, got, way)
        for i = 1, want.n do
          assert.equal(math.type(want[i]), math.type(got[i]))
        end
      end)
    end)

    it(("tells about %q when the end cuts it"):format(format), function()
      for cut = 0, #bytes - 1 do
        pair.with("memory", function(a, b)
          assert(a:write(bytes:sub(1, cut)))
          a:shutdown("w")
          local n, value, err = (function(...) return select("#", ...), ... end)(b:unpack(format))
          if cut == 0 then
            assert.same({ 1, nil }, { n, value })
          else
            assert.equal(2, n)
            assert.equal(bytes:sub(1, cut), assert_error("eof", value, err).partial)
          end
        end)
      end
    end)
  end

  it("agrees with string.unpack on formats that chance makes", function()
    local letters = { "b", "B", "h", "H", "i", "I", "i3", "I5", "i8", "l", "L", "j", "J", "T", "f", "d", "n", "s1", "s2",
      "s4", "z", "c3", "c0", "x", "<", ">", "=", "!", "!2", "!4", "!8", "Xh", "Xi4", "Xd", " " }
    local state = 42
    local function random(n)
      state = (state * 1103515245 + 12345) % 2147483648
      return (state >> 8) % n + 1
    end
    local tried, agreed = 0, 0
    for _ = 1, 600 do
      local parts = {}
      for i = 1, random(6) do
        parts[i] = letters[random(#letters)]
      end
      local format = table.concat(parts)
      local bytes = {}
      for i = 1, 60 do
        bytes[i] = string.char(random(4) - 1)
      end
      bytes = table.concat(bytes)
      local want = table.pack(pcall(string.unpack, format, bytes))
      tried = tried + 1
      pair.with("memory", function(a, b)
        a:write(bytes)
        a:shutdown("w")
        local got = table.pack(pcall(b.unpack, b, format))
        if want[1] then
          agreed = agreed + 1
          local position = want[want.n]
          want[want.n], want.n = nil, want.n - 1
          assert.same(want, got, format)
          assert.equal(bytes:sub(position), b:read("a"), format)
        elseif got[1] then -- too few bytes, or a format that is bad
          assert_error("eof", got[2], got[3])
        else -- then it is bad whatever the bytes are
          assert.is_false(pcall(string.unpack, format, ("\0"):rep(500)), format)
        end
      end)
    end
    assert.equal(600, tried)
    assert.is_true(agreed > 200, tostring(agreed))
  end)

  it("refuses the formats that string.unpack refuses", pair.body("memory", function(a, b)
    a:write(("x"):rep(100))
    for _, bad in ipairs { "q", "i0", "i17", "I99", "s0", "s17", "c", "X", "Xz", "Xc4", "X ", "XX", "X<", "!0", "!17",
      "!4 i3", "b!8i5", "c99999999999", "b\1", "zk", "i4 ?", "i4 i4 i4 i99" } do
      assert.is_false(pcall(string.unpack, bad, ("x"):rep(100)), bad)
      throws.method(assert, "#1 to 'unpack'", b, "unpack", bad)
    end
    throws.method(assert, "#1 to 'unpack'", b, "unpack")
    throws.method(assert, "#1 to 'unpack'", b, "unpack", {})
    throws.method(assert, "unknown option 'maximum'", b, "unpack", "b", { maximum = 1 })
    assert.equal(100, #b:read(100))
  end))

  it("finds a bad format before it waits for bytes", pair.body("memory", function(_, b)
    throws.method(assert, "invalid format option 'q'", b, "unpack", "i4 z s4 q")
  end))

  it("ends a format at its first zero, as string.unpack does", pair.body("memory", function(a, b)
    a:write("\5\6")
    assert.equal(5, b:unpack("B\0q"))
  end))

  it("does not believe hostile lengths", pair.body("tcp", function(a, b)
    a:write(string.pack(">I4", 0xffffffff), "tail")
    assert_error("limit", b:unpack(">s4"))
    assert.equal(8, b:bytes_available()) -- and has taken nothing
    b:read(8)
    a:write(("\xff"):rep(8))
    assert_error("limit", b:unpack("s8"))
    b:read(8)
    a:write(("\xff"):rep(16))
    assert_error("limit", b:unpack("s16"))
    b:read(16)
    a:write(string.pack("<I4", 65 << 20))
    assert_error("limit", b:unpack("<s4"))
    b:read(4)
    assert_error("limit", b:unpack("c999999999"))
    a:write(string.pack("<I4", 11), "hello world")
    assert_error("limit", b:unpack("<s4", { max = 14 }))
    assert.equal("hello world", b:unpack("<s4", { max = 15 }))
    a:write(("z"):rep(20), "\0")
    assert_error("limit", b:unpack("z", { max = 20 }))
    assert.equal(("z"):rep(20), b:unpack("z", { max = 21 }))
    a:write(("z"):rep(30))
    assert_error("limit", b:unpack("z", { max = 20 }))
  end))

  it("gives an error for integers that no Lua integer can hold, and takes nothing", pair.body("memory", function(a, b)
    for _, case in ipairs {
      { "I16", ("\xff"):rep(16) }, { "<i9", ("\0"):rep(8) .. "\1" }, { ">i9", "\xfe" .. ("\0"):rep(8) },
      { ">I9", "\1" .. ("\0"):rep(8) }, { "<i9", ("\0"):rep(7) .. "\x80\0" }, { "b <I12", ("\1"):rep(13) },
    } do
      local fits = pcall(string.unpack, case[1], case[2])
      a:write(case[2])
      if fits then
        assert.equal(string.unpack(case[1], case[2]), (b:unpack(case[1])))
      else
        assert_error("protocol", b:unpack(case[1]))
        assert.equal(case[2], b:read(#case[2]))
      end
    end
    a:write(("\xff"):rep(32))
    assert.equal(-1, b:unpack("i16"))
    assert.equal(-1, b:unpack("<i16"))
  end))

  it("takes long formats and long strings a byte at a time in linear time", pair.body("memory", function(a, b)
    local reader = qn.spawn(function()
      local z = b:unpack("z", { max = 1 << 20 })
      return z, (select("#", b:unpack(("b"):rep(2000))))
    end)
    for _ = 1, 2000 do
      a:write("y")
      qn.yield()
    end
    a:write(("y"):rep(200000), "\0")
    for _ = 1, 2000 do
      a:write("\1")
      qn.yield()
    end
    local ok, z, n = reader:join()
    assert.is_true(ok)
    assert.equal(202000, #z)
    assert.equal(2000, n)
  end))
end)

describe("pack", function()
  pair.each(it, "writes what string.pack makes", function(a, b)
    assert.is_true(a:pack(">I4 s2 z !4 b i4", 7, "seven", "zero", -1, 5))
    local want = string.pack(">I4 s2 z !4 b i4", 7, "seven", "zero", -1, 5)
    assert.equal(want, b:read(#want))
    assert.is_true(a:pack(""))
    local values = { b:unpack("c0") }
    assert.same({ "" }, values)
  end)

  it("throws what string.pack throws, and writes nothing", pair.body("memory", function(a)
    throws.method(assert, "#1 to 'pack'", a, "pack")
    assert.has_error(function() a:pack("I1", 256) end)
    assert.has_error(function() a:pack("I1", "x") end)
    assert.has_error(function() a:pack("I1") end)
    assert.has_error(function() a:pack("q", 1) end)
    assert.equal(0, a:bytes_sent() + a:bytes_to_write())
  end))

  it("keeps working when a script has replaced string.pack", pair.body("memory", function(a, b)
    local pack, unpack = string.pack, string.unpack
    string.pack, string.unpack = nil, nil
    local ok, value = pcall(function()
      a:pack("<I2", 513)
      return b:unpack("<I2")
    end)
    string.pack, string.unpack = pack, unpack
    assert.same({ true, 513 }, { ok, value })
  end))
end)
