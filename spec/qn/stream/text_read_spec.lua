if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local Text = require "qn.stream.text"
local core = require "qn.core"
local encoding = require "qn.stream.encoding"
local pieces = require "spec.support.pieces"

-- The text whole, byte by byte, and in every encoding.
local function each_way(text, f)
  for _, name in ipairs(encoding.names) do
    if name ~= "latin-1" then
      local bytes = encoding.find(name).encode(text)
      f(Text.new(bytes, { encoding = name }), name)
      f(Text.new(pieces.bytes(bytes), { encoding = name }), name .. " by byte")
    end
  end
end

describe("lines", function()
  it("end with LF or CRLF, or with the stream", function()
    each_way("one\ntwo\r\n\r\n\rx\rlast\r", function(t, way)
      assert.equal("one", t:read_line(), way)
      assert.equal("two", t:read_line())
      assert.equal("", t:read_line())
      assert.equal("\rx\rlast", t:read_line())
      local line, err = t:read_line()
      assert.is_nil(line)
      assert.is_nil(err)
      assert.equal("ok", t:status())
    end)
  end)

  it("come in parts of so many characters", function()
    each_way("äöü€\nxyz", function(t)
      assert.equal("äö", t:read_line(2))
      assert.equal("ü€", t:read_line(2))
      assert.equal("", t:read_line(2))
      assert.equal("xyz", t:read_line(9))
      assert.is_nil(t:read_line(1))
    end)
    for _, bad in ipairs { 0, -1, 1.5, "1" } do
      assert.has_error(function()
        Text.new("x"):read_line(bad)
      end)
    end
  end)

  it("come from an iterator", function()
    each_way("a\nb\n", function(t)
      local got = {}
      for line in t:lines() do
        got[#got + 1] = line
      end
      assert.same({ "a", "b" }, got)
    end)
    local reset = core.error("reset", "gone")
    local t = Text.new(pieces.new { "a\n", reset })
    local ok, err = pcall(function()
      for _ in t:lines() do
        assert.equal("ok", t:status())
      end
    end)
    assert.is_false(ok)
    assert.equal(reset, err)
  end)

  it("have a limit, and stay when they are longer", function()
    for _, name in ipairs { "utf-8", "utf-16be" } do
      local e = encoding.find(name)
      for _, source in ipairs {
        e.encode(("x"):rep(9) .. "\n"),
        pieces.bytes(e.encode(("x"):rep(9) .. "\n")),
      } do
        local t = Text.new(source, { encoding = name, max_line = 8 })
        local line, err = t:read_line()
        assert.is_nil(line)
        assert.equal("limit", err.kind)
        assert.equal("read_corrupt_data", t:status())
        assert.equal("xxxx", t:read_line(4))
      end
    end
  end)

  it("leave the bytes behind them alone", function()
    local s = pieces.new { "HELLO\r\n\1\2\3binary" }
    local t = Text.new(s)
    assert.equal("HELLO", t:read_line())
    assert.equal("\1\2\3", s:read_exactly(3))
    assert.equal("binary", t:read_line())
  end)
end)

describe("read", function()
  it("takes characters, fewer at the end", function()
    each_way("aé€𝄞 b", function(t)
      assert.equal("aé", t:read(2))
      assert.equal("", t:read(0))
      assert.equal("€𝄞 ", t:read(3))
      assert.equal("b", t:read(5))
      assert.is_nil(t:read(1))
      assert.is_nil(t:read(0))
    end)
  end)

  it("takes the formats of io", function()
    each_way("one\ntwo\n 12.5 rest\n", function(t)
      assert.equal("one", t:read "l")
      assert.equal("two\n", t:read "L")
      assert.equal(12.5, t:read "n")
      assert.equal(" rest\n", t:read "a")
      assert.equal("", t:read "a")
      assert.is_nil(t:read "L")
    end)
    for _, bad in ipairs { "x", -1, 1.5, true } do
      assert.has_error(function()
        Text.new("x"):read(bad)
      end)
    end
    assert.has_error(function()
      Text.new("x"):read()
    end)
  end)

  it("takes all, up to max_bytes", function()
    each_way("aé€𝄞", function(t)
      assert.equal("aé€𝄞", t:read_all())
      assert.equal("", t:read_all())
      assert.is_true(t:at_end())
    end)
    local t = Text.new("abcdef", { max_bytes = 5 })
    local text, err = t:read_all()
    assert.is_nil(text)
    assert.equal("limit", err.kind)
    assert.equal("read_corrupt_data", t:status())
  end)
end)

describe("words and characters", function()
  it("have white space skipped before them, and not behind", function()
    each_way(" \t\r\n one\u{A0}\u{3000}two\n x é", function(t)
      assert.equal("one", t:read_word())
      assert.equal("two", t:read_word())
      assert.equal("\n", t:read(1))
      assert.equal("x", t:read_char())
      assert.equal("é", t:read_char())
      assert.equal("ok", t:status())
      local c, err = t:read_char()
      assert.is_nil(c)
      assert.is_nil(err)
      assert.equal("read_past_end", t:status())
      assert.is_nil(t:read_word())
    end)
  end)

  it("may be skipped over", function()
    each_way(" \u{2003}x", function(t)
      assert.is_true(t:skip_whitespace())
      assert.is_false(t:at_end())
      assert.equal("x", t:read(1))
      assert.is_true(t:skip_whitespace())
      assert.equal("ok", t:status())
    end)
  end)

  it("have a limit", function()
    local t = Text.new(("x"):rep(9) .. " y", { max_line = 8 })
    local word, err = t:read_word()
    assert.is_nil(word)
    assert.equal("limit", err.kind)
    assert.equal(("x"):rep(9) .. " y", t:read_all())
  end)

  it("of endless white space cost no memory", function()
    local s = pieces.new {}
    local left, peak = 2000, 0
    local spaces = (" "):rep(256)
    function s._fetch()
      left = left - 1
      if left % 500 == 0 then
        collectgarbage()
        peak = math.max(peak, collectgarbage "count")
      end
      return left > 0 and spaces or nil
    end
    collectgarbage()
    local before = collectgarbage "count"
    assert.is_nil(Text.new(s):read_word())
    assert.is_true(peak - before < 64)
  end)
end)

describe("numbers", function()
  it("are taken without one character more", function()
    each_way(" 12x -0x1F,0b11 017 1.5e3abc", function(t)
      assert.equal(12, t:read_int())
      assert.equal("x", t:read(1))
      assert.equal(-31, t:read_int())
      assert.equal(",", t:read(1))
      assert.equal(3, t:read_int())
      assert.equal(15, t:read_int())
      assert.equal(1500.0, t:read_real())
      assert.equal("abc", t:read_all())
      assert.equal("ok", t:status())
    end)
  end)

  it("follow the base and the locale that are set", function()
    local t = Text.new("ff 1.234,5", { integer_base = 16 })
    assert.equal(255, t:read_int())
    t:locale { decimal = ",", group = "." }
    assert.equal(1234.5, t:read_real())
  end)

  it("that are none stay, and the next read works", function()
    each_way("  abc 1e, 99999999999999999999 7", function(t)
      local v, err = t:read_int()
      assert.is_nil(v)
      assert.equal("protocol", err.kind)
      assert.equal("READ_CORRUPT_DATA", err.code)
      assert.equal("read_corrupt_data", t:status())
      assert.equal("abc", t:read_word())
      v, err = t:read_real()
      assert.is_nil(v)
      assert.equal("protocol", err.kind)
      assert.equal("1e,", t:read_word())
      assert.is_nil((t:read_int()))
      assert.equal("99999999999999999999", t:read_word())
      t:reset_status()
      assert.equal(7, t:read_int())
      assert.equal("ok", t:status())
    end)
  end)

  it("end with the stream", function()
    each_way("12", function(t)
      assert.equal(12, t:read_int())
      local v, err = t:read_int()
      assert.is_nil(v)
      assert.is_nil(err)
      assert.equal("read_past_end", t:status())
    end)
    each_way("-", function(t)
      local v, err = t:read_int()
      assert.is_nil(v)
      assert.equal("eof", err.kind)
      assert.equal("-", err.partial)
      assert.equal("-", t:read_all())
    end)
  end)

  it("cannot be endless", function()
    local t = Text.new(("1"):rep(100000))
    local v, err = t:read_int()
    assert.is_nil(v)
    assert.equal("limit", err.kind)
  end)
end)

describe("byte order marks", function()
  local marks = {
    ["utf-8"] = "ef bb bf", ["utf-16le"] = "ff fe", ["utf-16be"] = "fe ff",
    ["utf-32le"] = "ff fe 00 00", ["utf-32be"] = "00 00 fe ff",
  }
  for name, mark in pairs(marks) do
    it("announce " .. name, function()
      local bytes = pieces.unhex(mark) .. encoding.find(name).encode "é\n2"
      for _, opts in ipairs { {}, { encoding = "latin-1" }, { encoding = "utf-16be" } } do
        for _, source in ipairs { bytes, pieces.bytes(bytes) } do
          local t = Text.new(source, opts)
          assert.equal("é", t:read_line())
          assert.equal(name, t:encoding())
          assert.equal(2, t:read_int())
          assert.is_true(t:at_end())
        end
      end
    end)

    it("are characters when nothing is to be detected: " .. name, function()
      local bytes = pieces.unhex(mark) .. encoding.find(name).encode "x"
      local t = Text.new(bytes, { encoding = name, auto_detect = false })
      assert.equal("\u{FEFF}x", t:read_all())
      t = Text.new(bytes, { encoding = "latin-1", auto_detect = false })
      assert.equal(encoding.latin1.decode(bytes), t:read_all())
    end)
  end

  it("decide on utf-16 and utf-32 in any case", function()
    for _, name in ipairs { "utf-16le", "utf-16be", "utf-32le", "utf-32be" } do
      local e = encoding.find(name)
      local t = Text.new(e.bom .. e.encode "x", { encoding = name:sub(1, 6), auto_detect = false })
      assert.equal("x", t:read_all())
      assert.equal(name, t:encoding())
    end
  end)

  it("that are none lose nothing", function()
    for _, start in ipairs {
      "\xFF", "\xFE", "\xFEx", "\xFFx", "\xEF\xBBx", "\0", "\0\0\xFEx", "\0x",
    } do
      for _, source in ipairs { start, pieces.bytes(start) } do
        local t = Text.new(source, { encoding = "latin-1" })
        assert.equal(encoding.latin1.decode(start), t:read_all())
      end
    end
  end)

  it("may be all there is", function()
    for _, mark in pairs(marks) do
      local t = Text.new(pieces.unhex(mark))
      assert.is_true(t:at_end())
      assert.is_nil(t:read_line())
    end
    assert.is_nil(Text.new(""):read_line())
  end)

  it("wait for no more bytes than can decide", function()
    local timeout = core.error("timeout", "too late")
    for _, bytes in ipairs { "x\n", "\xEF\n", "\0x\n" } do
      local t = Text.new(pieces.new { bytes, timeout })
      assert.truthy(t:read_line())
    end
  end)

  it("are looked for again after a read that failed", function()
    local timeout = core.error("timeout", "too late")
    local t = Text.new(pieces.new { "\xFF", timeout, "\xFEx\0\n\0" })
    local line, err = t:read_line()
    assert.is_nil(line)
    assert.equal(timeout, err)
    assert.equal("x", t:read_line())
  end)
end)

describe("malformed bytes", function()
  it("read as U+FFFD and leave the status alone", function()
    for _, source in ipairs { "a\xFFb\xE2\x82\nc", pieces.bytes "a\xFFb\xE2\x82\nc" } do
      local t = Text.new(source)
      assert.equal("a\u{FFFD}b\u{FFFD}", t:read_line())
      assert.equal("c", t:read_line())
      assert.equal("ok", t:status())
    end
    for _, source in ipairs { "a\xFF b\xE2\x82", pieces.bytes "a\xFF b\xE2\x82" } do
      local t = Text.new(source)
      assert.equal("a\u{FFFD}", t:read_word())
      assert.equal("b\u{FFFD}", t:read_word())
      assert.equal("ok", t:status())
    end
  end)
end)

describe("a failing stream", function()
  local calls = {
    { "read_line" }, { "read_line", 9 }, { "read", 9 }, { "read_word" }, { "read_all" },
    { "read_int" }, { "read_real" },
  }
  for _, call in ipairs(calls) do
    it(("loses nothing: %s(%s)"):format(call[1], call[2] or ""), function()
      for _, name in ipairs { "utf-8", "utf-16le" } do
        local e = encoding.find(name)
        local timeout = core.error("timeout", "too late")
        local source = pieces.new { e.encode "12", timeout, e.encode "34" }
        local t = Text.new(source, { encoding = name })
        local v, err = t[call[1]](t, call[2])
        assert.is_nil(v)
        assert.equal(timeout, err)
        assert.equal("ok", t:status())
        assert.equal("1234", tostring(t:read_all()))
      end
      local reset = core.error("reset", "gone")
      local t = Text.new(pieces.new { "12", reset })
      assert.equal(reset, select(2, t[call[1]](t, call[2])))
      assert.equal("read_past_end", t:status())
    end)
  end

  it("fails what only looks, too", function()
    local reset = core.error("reset", "gone")
    for _, name in ipairs { "at_end", "skip_whitespace", "read_char" } do
      local t = Text.new(pieces.new { reset })
      local v, err = t[name](t)
      assert.is_nil(v)
      assert.equal(reset, err)
    end
  end)
end)

describe("what a read fails with", function()
  it("is the number, when that is too large, also at the end of the stream", function()
    for _, rest in ipairs { "", " ", "x" } do
      local t = Text.new("99999999999999999999" .. rest)
      local value, err = t:read_int()
      assert.is_nil(value)
      assert.same({ "protocol", "READ_CORRUPT_DATA" }, { err.kind, err.code })
      assert.equal("read_corrupt_data", t:status())
      assert.equal("99999999999999999999" .. rest, t:read_all()) -- it stays
    end
    local _, err = Text.new("-"):read_int() -- more could have come
    assert.equal("eof", err.kind)
  end)

  it("has a code", function()
    local text = ("x"):rep(20) .. "\n"
    assert.equal("LIMIT", select(2, Text.new(text, { max_line = 10 }):read_line()).code)
    assert.equal("LIMIT", select(2, Text.new(text, { max_bytes = 10 }):read_all()).code)
  end)
end)
