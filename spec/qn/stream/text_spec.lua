if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local Text = require "qn.stream.text"
local core = require "qn.core"
local pieces = require "spec.support.pieces"

describe("Text.new", function()
  it("has the defaults that the reference names", function()
    local t = Text.new()
    assert.equal("utf-8", t:encoding())
    assert.is_true(t:auto_detect())
    assert.is_false(t:generate_bom())
    assert.equal("ok", t:status())
    assert.equal("", t:string())
  end)

  it("refuses misuse, naming it", function()
    for _, case in ipairs {
      { { encodin = "utf-8" }, "(did you mean 'encoding'?)" },
      { { encoding = "ebcdic" }, "option 'encoding' must be one of latin-1, utf-16" },
      { { max_line = 0 }, "option 'max_line' must be at least 1" },
      { { max_bytes = "1" }, "option 'max_bytes' must be integer" },
      { { newline = 10 }, "option 'newline' must be string" },
      { { field_width = -1 }, "option 'field_width' must be from 0 to 65536" },
    } do
      local ok, message = pcall(Text.new, nil, case[1])
      assert.is_false(ok)
      assert.truthy(message:find("text_stream: ", 1, true), message)
      assert.truthy(message:find(case[2], 1, true), message)
    end
    assert.has_error(function()
      Text.new(7)
    end, "bad argument #1 to 'text_stream' (stream, string, open file or nil expected, got number)")
    local t = Text.new()
    for _, name in ipairs { "encoding", "auto_detect", "generate_bom" } do
      assert.has_error(function()
        t[name](t, 7)
      end)
    end
  end)
end)

describe("settings of a text stream", function()
  it("tell and set", function()
    local t = Text.new("\u{FEFF}x")
    assert.equal(t, t:auto_detect(false))
    assert.is_false(t:auto_detect())
    assert.equal("\u{FEFF}x", t:read_all())
    assert.is_true(t:generate_bom(true):generate_bom())
    assert.equal("utf-16le", t:encoding("utf16le"):encoding())
  end)
end)

describe("writing", function()
  it("takes strings, numbers, truth values and what prints itself", function()
    local t = Text.new()
    local printing = setmetatable({}, {
      __tostring = function()
        return "ü"
      end,
    })
    assert.is_true(t:write("a", 1, 1.5, true, false, printing))
    assert.is_true(t:write())
    assert.equal("a11.5truefalseü", t:string())
  end)

  it("refuses the rest, and writes nothing of that call", function()
    local t = Text.new()
    for _, bad in ipairs { {}, print } do
      local ok, message = pcall(t.write, t, "a", bad)
      assert.is_false(ok)
      assert.truthy(message:find("bad argument #2 to 'write' (string, number or boolean", 1, true))
    end
    assert.has_error(function()
      t:write(nil)
    end)
    assert.equal("", t:string())
  end)

  it("encodes", function()
    for name, hex in pairs {
      ["utf-8"] = "c3 a9 e2 82 ac",
      ["latin-1"] = "e9 3f",
      ["utf-16be"] = "00 e9 20 ac",
      ["utf-32le"] = "e9 00 00 00 ac 20 00 00",
    } do
      local t = Text.new(nil, { encoding = name })
      t:write "é€"
      assert.equal(hex, pieces.hex(t:string()))
    end
  end)

  it("repairs what is not UTF-8", function()
    local t = Text.new(nil, { field_width = 3 })
    t:write "a\xFF"
    assert.equal(" a\u{FFFD}", t:string())
  end)

  it("may change the encoding on the way", function()
    local t = Text.new(nil, { encoding = "latin-1" })
    t:write "é"
    assert.equal(t, t:encoding "UTF-16BE")
    t:write "é"
    assert.equal("e9 00 e9", pieces.hex(t:string()))
  end)

  it("begins with a byte order mark when told", function()
    for name, hex in pairs {
      ["utf-8"] = "ef bb bf 78 79",
      ["latin-1"] = "78 79",
      ["utf-16le"] = "ff fe 78 00 79 00",
      ["utf-32be"] = "00 00 fe ff 00 00 00 78 00 00 00 79",
    } do
      local t = Text.new(nil, { encoding = name, generate_bom = true })
      t:write "x"
      t:write "y"
      assert.equal(hex, pieces.hex(t:string()))
      t = Text.new(nil, { encoding = name }):generate_bom(true)
      t:write("x", "y")
      assert.equal(hex, pieces.hex(t:string()))
    end
    local t = Text.new()
    t:write "x"
    t:generate_bom(true)
    t:write "y"
    assert.equal("xy", t:string())
  end)

  it("is read back by what it wrote", function()
    for _, name in ipairs { "utf-8", "utf-16", "utf-32", "utf-16be", "utf-32le" } do
      local out = Text.new(nil, { encoding = name, generate_bom = true })
      out:write("gr", "ün", " ", -5, " ", 0.25)
      out:endl()
      local t = Text.new(out:string())
      assert.equal("grün", t:read_word())
      assert.equal(-5, t:read_int())
      assert.equal(0.25, t:read_real())
      assert.equal("", t:read_line())
    end
  end)
end)

describe("the buffer", function()
  it("holds back less than 16 KiB", function()
    local s = pieces.new {}
    local t = Text.new(s)
    t:write(("x"):rep(16383))
    assert.is_nil(s.written)
    t:write "y"
    assert.equal(16384, #s.written)
    t:write "z"
    assert.equal(16384, #s.written)
    assert.is_nil(s.flushes)
    assert.is_true(t:flush())
    assert.equal(16385, #s.written)
    assert.equal(1, s.flushes)
    assert.equal(2, s.writes)
  end)

  it("goes out with the end of a line, which is not padded", function()
    local s = pieces.new {}
    local t = Text.new(s, { field_width = 4 })
    t:write "ab"
    assert.is_true(t:endl())
    assert.equal("  ab\n", s.written)
    assert.equal(1, s.flushes)
    t = Text.new(s, { newline = "\r\n" })
    t:endl()
    assert.equal("  ab\n\r\n", s.written)
  end)

  it("goes out before anything is read", function()
    for _, call in ipairs {
      { "read_line" }, { "read", 1 }, { "read_all" }, { "read_word" }, { "read_int" },
      { "at_end" }, { "skip_whitespace" },
    } do
      local s = pieces.new { "12\n" }
      local t = Text.new(s)
      t:write "name? "
      t[call[1]](t, call[2])
      assert.equal("name? ", s.written, call[1])
      assert.is_nil(s.flushes)
    end
  end)

  it("goes out when the text stream is closed, or leaves its block", function()
    local s = pieces.new {}
    local t = Text.new(s)
    t:write "a"
    assert.is_true(t:close())
    assert.is_true(t:close())
    assert.equal("a", s.written)
    do
      local inner <close> = Text.new(s)
      inner:write "b"
    end
    assert.equal("ab", s.written)
    function s.write()
      error "no"
    end
    do
      local inner <close> = Text.new(s)
      inner:write "c"
    end
  end)

  it("goes to the stream that was beneath", function()
    local a, b = pieces.new {}, pieces.new {}
    local t = Text.new(a, { generate_bom = true })
    t:write "1"
    assert.equal(t, t:set_stream(b))
    assert.equal(b, t:stream())
    t:write "2"
    t:flush()
    assert.equal("\u{FEFF}1", a.written)
    assert.equal("\u{FEFF}2", b.written)
    assert.has_error(function()
      t:set_stream(7)
    end)
    assert.has_error(function()
      t:string()
    end, "string: the text stream is not in memory")
  end)
end)

describe("a write that fails", function()
  it("stops the writes and not the reads", function()
    local s = pieces.new { "ab" }
    s.write_error = core.error("reset", "gone")
    local t = Text.new(s)
    assert.is_true(t:write "x")
    for _, call in ipairs { "flush", "endl", "close" } do
      local ok, err = t[call](t)
      assert.is_nil(ok)
      assert.equal(s.write_error, err)
    end
    assert.equal("write_failed", t:status())
    assert.equal(s.write_error, select(2, t:write "y"))
    assert.equal(1, s.writes)
    local set, err = t:set_stream "z"
    assert.is_nil(set)
    assert.equal(s.write_error, err)
    assert.equal("a", t:read(1))
    t:reset_status()
    s.write_error = nil
    assert.is_true(t:write "y")
    assert.is_true(t:flush())
  end)

  it("fails the read that had to send it", function()
    for _, call in ipairs {
      { "read_line" }, { "read", 1 }, { "read", 0 }, { "read", "L" }, { "read_all" },
      { "read_word" }, { "read_char" }, { "read_int" }, { "at_end" }, { "skip_whitespace" },
    } do
      local s = pieces.new { "ab" }
      s.write_error = core.error("reset", "gone")
      local t = Text.new(s)
      t:write "x"
      local v, err = t[call[1]](t, call[2])
      assert.is_nil(v)
      assert.equal(s.write_error, err)
      assert.equal("ab", t:read_all())
    end
  end)
end)

describe("the status", function()
  it("can be declared, once", function()
    local t = Text.new "x"
    t:set_status "ok"
    assert.equal("ok", t:status())
    t:set_status "read_corrupt_data"
    t:set_status "write_failed"
    assert.equal("read_corrupt_data", t:status())
    assert.is_true(t:write "a")
    t:reset_status()
    t:set_status "write_failed"
    local ok, err = t:write "b"
    assert.is_nil(ok)
    assert.equal("WRITE_FAILED", err.code)
    assert.has_error(function()
      t:set_status "bad"
    end)
  end)
end)

describe("the position", function()
  it("of a string counts the bytes that were used", function()
    local t = Text.new "é12 x"
    assert.equal(0, t:pos())
    t:read(1)
    assert.equal(2, t:pos())
    assert.equal(12, t:read_int())
    assert.equal(4, t:pos())
    assert.is_true(t:seek(2))
    assert.equal("12", t:read_word())
    assert.is_true(t:seek(0))
    assert.equal("é12", t:read_word())
    local ok, err = t:seek(99)
    assert.is_nil(ok)
    assert.equal("invalid", err.kind)
    for _, bad in ipairs { -1, 1.5, "1" } do
      assert.has_error(function()
        t:seek(bad)
      end, "bad argument #1 to 'seek' (position in bytes expected)")
    end
  end)

  it("at the start has a byte order mark again", function()
    local t = Text.new "\xFF\xFEx\0"
    assert.equal("x", t:read_all())
    t:seek(0)
    assert.equal("x", t:read_all())
    t:seek(2)
    assert.equal("x", t:read_all())
  end)

  it("of a file counts what was written", function()
    local file <close> = io.tmpfile()
    local t = Text.new(file)
    t:write("one ", 2)
    assert.equal(5, t:pos())
    t:seek(0)
    assert.equal("one", t:read_word())
    t:write "!"
    t:seek(0)
    assert.equal("one!2", t:read_all())
  end)

  it("does not exist for other streams", function()
    local t = Text.new(pieces.new { "x" })
    for _, call in ipairs { "pos", "seek" } do
      local v, err = t[call](t, 0)
      assert.is_nil(v)
      assert.equal("unsupported", err.kind)
    end
  end)
end)
