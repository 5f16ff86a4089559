if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local encoding = require "qn.stream.encoding"
local pieces = require "spec.support.pieces"

local hex = pieces.hex

local BYTES <const> = {
  -- text, encoding, bytes
  { "Hi", "utf-8", "48 69" },
  { "é", "utf-8", "c3 a9" },
  { "é", "latin-1", "e9" },
  { "\u{FF}\u{80}", "latin-1", "ff 80" },
  { "Hi", "utf-16be", "00 48 00 69" },
  { "Hi", "utf-16le", "48 00 69 00" },
  { "€", "utf-16be", "20 ac" },
  { "𝄞", "utf-16be", "d8 34 dd 1e" },
  { "𝄞", "utf-16le", "34 d8 1e dd" },
  { "\u{10FFFF}", "utf-16be", "db ff df ff" },
  { "\0", "utf-16be", "00 00" },
  { "𝄞", "utf-32be", "00 01 d1 1e" },
  { "𝄞", "utf-32le", "1e d1 01 00" },
  { "", "utf-32le", "" },
}

local function stepped(e, bytes)
  local out, at = {}, 1
  while at <= #bytes do
    local code, length = e.step(bytes, at)
    if not code then
      out[#out + 1] = "\u{FFFD}"
      break
    end
    out[#out + 1] = utf8.char(code)
    at = at + length
  end
  return table.concat(out)
end

describe("an encoding", function()
  for _, case in ipairs(BYTES) do
    it(("encodes and decodes %q in %s"):format(case[1], case[2]), function()
      local e = encoding.find(case[2])
      assert.equal(case[3], hex(e.encode(case[1])))
      assert.equal(case[1], e.decode(pieces.unhex(case[3])))
      assert.equal(case[1], stepped(e, pieces.unhex(case[3])))
    end)
  end

  it("gives every character back", function()
    local codes = { 0, 0x7F, 0x80, 0xFF, 0x100, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0x10000 }
    for code = 1, 0x10FFFF, 977 do
      if code < 0xD800 or code > 0xDFFF then
        codes[#codes + 1] = code
      end
    end
    local text = utf8.char(table.unpack(codes, 1, 200))
    for i = 201, #codes do
      text = text .. utf8.char(codes[i])
    end
    for _, name in ipairs(encoding.names) do
      if name ~= "latin-1" then
        local e = encoding.find(name)
        local bytes = e.encode(text)
        assert.is_true(text == e.decode(bytes), name)
        assert.is_true(text == stepped(e, bytes), name)
      end
    end
  end)

  it("asks for more at every cut inside of a character", function()
    for _, name in ipairs { "utf-8", "utf-16le", "utf-16be", "utf-32le", "utf-32be" } do
      local e = encoding.find(name)
      local bytes = e.encode "𝄞"
      for cut = 0, #bytes - 1 do
        assert.is_nil(e.step(bytes:sub(1, cut), 1))
      end
      assert.equal(#bytes, select(2, e.step(bytes, 1)))
    end
  end)
end)

describe("malformed input", function()
  local R = "\u{FFFD}"
  local cases = {
    { "utf-8: a stray continuation", "utf-8", "61 80 62", "a" .. R .. "b" },
    { "utf-8: an overlong slash", "utf-8", "c0 af", R .. R },
    { "utf-8: a surrogate", "utf-8", "ed a0 80", R .. R .. R },
    { "utf-8: beyond U+10FFFF", "utf-8", "f4 90 80 80", R .. R .. R .. R },
    { "utf-8: a sequence cut by a letter", "utf-8", "f0 9f 98 61", R .. "a" },
    { "utf-8: a sequence cut by the end", "utf-8", "61 e2 82", "a" .. R },
    { "utf-8: bytes that never occur", "utf-8", "ff fe", R .. R },
    { "utf-8: U+FFFD itself", "utf-8", "ef bf bd", R },
    { "utf-16: a lone high surrogate", "utf-16be", "d8 34 00 61", R .. "a" },
    { "utf-16: a lone low surrogate", "utf-16be", "dd 1e 00 61", R .. "a" },
    { "utf-16: two high ones and a low one", "utf-16be", "d8 34 d8 34 dd 1e", R .. "𝄞" },
    { "utf-16: surrogates in the wrong order", "utf-16le", "1e dd 34 d8 61 00", R .. R .. "a" },
    { "utf-16: half a unit", "utf-16be", "00 61 00", "a" .. R },
    { "utf-32: a surrogate", "utf-32be", "00 00 d8 00 00 00 00 61", R .. "a" },
    { "utf-32: beyond U+10FFFF", "utf-32be", "00 11 00 00", R },
    { "utf-32: far beyond", "utf-32le", "ff ff ff ff", R },
    { "utf-32: part of a unit", "utf-32be", "00 00 00 61 00 00 00", "a" .. R },
  }
  for _, case in ipairs(cases) do
    it("becomes U+FFFD: " .. case[1], function()
      local e = encoding.find(case[2])
      assert.equal(case[4], e.decode(pieces.unhex(case[3])))
      assert.equal(case[4], stepped(e, pieces.unhex(case[3])))
    end)
  end

  it("is repaired before it is encoded", function()
    assert.equal("ff fd", hex(encoding.find("utf-16be").encode "\xFF"))
    assert.equal("61 3f", hex(encoding.find("latin-1").encode "a€"))
    assert.equal("a\u{FFFD}", encoding.find("utf-8").encode "a\xE2\x82")
  end)
end)

describe("encoding.find", function()
  it("knows other spellings", function()
    for given, name in pairs {
      ["UTF-8"] = "utf-8",
      utf8 = "utf-8",
      UTF16LE = "utf-16le",
      ["UTF-16-BE"] = "utf-16be",
      utf_32 = "utf-32",
      utf32be = "utf-32be",
      latin1 = "latin-1",
      ["ISO-8859-1"] = "latin-1",
    } do
      assert.equal(name, encoding.find(given).name)
    end
    assert.is_nil(encoding.find "ebcdic")
  end)

  it("takes the machine's byte order for utf-16 and utf-32", function()
    local native = string.pack("=I2", 1) == "\1\0" and "le" or "be"
    for _, name in ipairs { "utf-16", "utf-32" } do
      assert.equal(encoding.find(name .. native).encode "x", encoding.find(name).encode "x")
    end
  end)
end)

describe("the cache of characters", function()
  it("does not grow without end and stays right", function()
    local e = encoding.find "utf-16be"
    for start = 0x4E00, 0x9000, 0x1000 do
      local text = {}
      for code = start, start + 0xFFF do
        text[#text + 1] = utf8.char(code)
      end
      text = table.concat(text)
      assert.is_true(text == e.decode(e.encode(text)))
    end
  end)
end)
