if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local Data = require "qn.stream.data"
local core = require "qn.core"
local pieces = require "spec.support.pieces"

describe("Data.new", function()
  it("has Qt's defaults", function()
    local d = Data.new()
    assert.equal("big", d:byte_order())
    assert.equal(12, d:version())
    assert.equal("double", d:floating_point_precision())
    assert.equal("ok", d:status())
  end)

  it("takes options, and settings that chain", function()
    local d = Data.new("", {
      byte_order = "little",
      version = "5.0",
      floating_point_precision = "single",
    })
    assert.equal("little", d:byte_order())
    assert.equal(13, d:version())
    assert.equal("single", d:floating_point_precision())
    assert.equal(d, d:byte_order("big"):version(7):version("4.6"):floating_point_precision "double")
    assert.equal("big", d:byte_order())
    assert.equal(12, d:version())
    assert.equal("double", d:floating_point_precision())
  end)

  it("knows the version of every release", function()
    local numbers = {
      "1.0", "2.0", "2.1", "3.0", "3.1", "3.3", "4.0", "4.2", "4.3", "4.4", "4.5", "4.6",
      "5.0", "5.1", "5.2", "5.4", "5.6", "5.12", "5.13", "6.0", "6.6", "6.7",
    }
    for number, release in ipairs(numbers) do
      assert.equal(number, Data.new():version(release):version())
    end
  end)

  it("refuses misuse, naming it", function()
    for _, case in ipairs {
      { { byte_ordr = "big" }, "unknown option 'byte_ordr' (did you mean 'byte_order'?)" },
      { { byte_order = "middle" }, "must be one of 'big', 'little'" },
      { { version = 23 }, "a Qt release as a string or 1 to 22" },
      { { version = "4.9" }, "a Qt release as a string or 1 to 22" },
      { { max_bytes = 0 }, "option 'max_bytes' must be at least 1" },
      { { max_items = 1.5 }, "option 'max_items' must be integer" },
      { { max_depth = 0 }, "option 'max_depth' must be at least 1" },
      { { timeout = -1 }, "option 'timeout' must be at least 0" },
    } do
      local ok, message = pcall(Data.new, nil, case[1])
      assert.is_false(ok)
      assert.truthy(message:find("data_stream: ", 1, true), message)
      assert.truthy(message:find(case[2], 1, true), message)
    end
    assert.has_error(function()
      Data.new(7)
    end, "bad argument #1 to 'data_stream' (stream, string, open file or nil expected, got number)")
    local d = Data.new()
    assert.has_error(function()
      d:byte_order "middle"
    end, "bad argument #1 to 'byte_order' ('big', 'little' expected, got 'middle')")
    assert.has_error(function()
      d:version(0)
    end, "bad argument #1 to 'version' (a Qt release as a string or 1 to 22 expected, got 0)")
    assert.has_error(function()
      d:floating_point_precision "half"
    end)
  end)

  it("works over files", function()
    local file <close> = io.tmpfile()
    local d = Data.new(file)
    d:write_string "Hi"
    d:write_int32(-5)
    file:seek("set", 0)
    d = Data.new(file)
    assert.equal("Hi", d:read_string())
    assert.equal(-5, d:read_int32())
    assert.is_true(d:at_end())
    assert.has_error(function()
      d:string()
    end, "string: the data stream is not in memory")
  end)

  it("gives the stream its timeout", function()
    local seen
    local source = pieces.new { "abcdef" }
    local exactly = source.read_exactly
    function source:read_exactly(n, opts)
      seen = opts and opts.timeout
      return exactly(self, n)
    end
    Data.new(source, { timeout = 2.5 }):read_uint8()
    assert.equal(2.5, seen)
    Data.new(source, { timeout = false }):read_uint8()
    assert.is_nil(seen)
  end)
end)

describe("raw bytes", function()
  it("are read, fewer at the end", function()
    local d = Data.new "abcdef"
    assert.equal("abcd", d:read(4))
    assert.equal("ok", d:status())
    assert.equal("ef", d:read(4))
    assert.equal("read_past_end", d:status())
    local data, err = d:read(1)
    assert.is_nil(data)
    assert.is_nil(err)
  end)

  it("fail with the stream", function()
    local reset = core.error("reset", "gone")
    local d = Data.new(pieces.new { "ab", reset })
    local data, err = d:read(4)
    assert.is_nil(data)
    assert.equal(reset, err)
    assert.equal("read_past_end", d:status())
    assert.equal(reset, select(2, d:read(1)))
  end)

  it("are read exactly", function()
    local d = Data.new "abcdef"
    assert.equal("abcd", d:read_exactly(4))
    assert.equal("", d:read_exactly(0))
    local data, err = d:read_exactly(4)
    assert.is_nil(data)
    assert.equal("eof", err.kind)
    assert.equal("ef", err.partial)
  end)

  it("are skipped", function()
    local d = Data.new("abc" .. ("x"):rep(200000) .. "yz")
    assert.equal(200003, d:skip(200003))
    assert.equal("yz", d:read_exactly(2))
    assert.equal(0, d:skip(0))
    local n, err = d:skip(1)
    assert.is_nil(n)
    assert.is_nil(err)
    d = Data.new(("x"):rep(100000))
    n, err = d:skip(100001)
    assert.is_nil(n)
    assert.equal("eof", err.kind)
  end)

  it("are written", function()
    local d = Data.new()
    assert.is_true(d:write("ab", "c"))
    assert.is_true(d:write())
    assert.equal("abc", d:string())
  end)

  it("need proper arguments", function()
    local d = Data.new "abc"
    for _, name in ipairs { "read", "read_exactly", "skip" } do
      for _, bad in ipairs { -1, 1.5, "1", {} } do
        local ok, message = pcall(d[name], d, bad)
        assert.is_false(ok)
        assert.truthy(message:find("bad argument #1 to '" .. name .. "'", 1, true), message)
      end
    end
    assert.has_error(function()
      d:write("a", 1)
    end, "bad argument #2 to 'write' (string expected, got 1)")
  end)

  it("tell whether the stream has ended", function()
    local d = Data.new(pieces.new { "a" })
    assert.is_false(d:at_end())
    d:read(1)
    assert.is_true(d:at_end())
    local reset = core.error("reset", "gone")
    local ended, err = Data.new(pieces.new { reset }):at_end()
    assert.is_nil(ended)
    assert.equal(reset, err)
  end)
end)

describe("the status", function()
  it("stays at the first failure of a read until it is reset", function()
    local d = Data.new "\1"
    assert.is_nil(d:read_uint16())
    assert.equal("read_past_end", d:status())
    local err = d:error()
    assert.equal("eof", err.kind)
    d:set_status "read_corrupt_data"
    assert.equal("read_past_end", d:status())
    assert.is_true(d:write_int8(1))
    d:set_stream "\5\6"
    assert.equal(err, select(2, d:read_uint8()))
    d:reset_status()
    assert.equal("ok", d:status())
    assert.is_nil(d:error())
    assert.equal(5, d:read_uint8())
  end)

  it("can be declared", function()
    local d = Data.new "\1\2"
    d:set_status "ok"
    assert.equal("ok", d:status())
    d:set_status "read_corrupt_data"
    assert.equal("read_corrupt_data", d:status())
    local v, err = d:read_uint8()
    assert.is_nil(v)
    assert.equal("protocol", err.kind)
    d:reset_status()
    d:set_status "read_past_end"
    assert.equal("eof", select(2, d:read_uint8()).kind)
    d:reset_status()
    d:set_status "write_failed"
    assert.equal("io", select(2, d:write_int8(1)).kind)
    assert.equal("WRITE_FAILED", d:error().code)
    assert.equal(1, d:read_uint8())
    assert.has_error(function()
      d:set_status "bad"
    end)
  end)

  it("tells a failed write, which stops writes and not reads", function()
    local source = pieces.new { "\1\2" }
    source.write_error = core.error("reset", "gone")
    local d = Data.new(source)
    local ok, err = d:write_int32(1)
    assert.is_nil(ok)
    assert.equal(source.write_error, err)
    assert.equal("write_failed", d:status())
    assert.equal(err, d:error())
    assert.equal(err, select(2, d:write_list({ 1 }, "int8")))
    assert.equal(1, source.writes)
    assert.equal(1, d:read_uint8())
    source.write_error = nil
    d:reset_status()
    assert.is_true(d:write_int8(1))
  end)
end)

describe("a transaction", function()
  local function message(d)
    return d:read_uint16(), d:read_string()
  end

  it("keeps a whole message and gives back part of one, at every cut", function()
    local out = Data.new()
    out:write_uint16(7)
    out:write_string "Hi"
    local bytes = out:string()
    for cut = 0, #bytes do
      local source = pieces.new { bytes:sub(1, cut) }
      local d = Data.new(source)
      d:begin()
      message(d)
      local ok, err = d:commit()
      if cut == #bytes then
        assert.is_true(ok)
        assert.equal("", source:read "a")
      else
        assert.is_nil(ok)
        assert.equal(cut == 0, err == nil)
        assert.equal(bytes:sub(1, cut), source:read "a")
        assert.equal("read_past_end", d:status())
      end
    end
  end)

  it("goes on when the rest has come", function()
    local timeout = core.error("timeout", "too late")
    local d = Data.new(pieces.new { "\0\7\0\0\0\4\0H", timeout, "\0i\0\8" })
    d:begin()
    message(d)
    local ok, err = d:commit()
    assert.is_nil(ok)
    assert.equal(timeout, err)
    d:begin()
    local number, text = message(d)
    assert.is_true(d:commit())
    assert.equal(7, number)
    assert.equal("Hi", text)
    assert.equal(8, d:read_uint16())
  end)

  it("does not give corrupt data back", function()
    local d = Data.new "\0\0\0\3abcxyz"
    d:begin()
    d:read_string()
    local ok, err = d:commit()
    assert.is_nil(ok)
    assert.equal("protocol", err.kind)
    assert.equal("abcxyz", d:stream():read "a")
  end)

  it("can be rolled back", function()
    local d = Data.new "abcdef"
    d:begin()
    d:read_exactly(4)
    d:rollback()
    assert.equal("read_past_end", d:status())
    local v, err = d:read_uint8()
    assert.is_nil(v)
    assert.equal("eof", err.kind)
    d:begin()
    assert.equal("abcd", d:read_exactly(4))
    assert.is_true(d:commit())
  end)

  it("can be aborted, which lets the bytes go", function()
    local d = Data.new "abcdef"
    d:begin()
    d:read_exactly(4)
    d:abort()
    assert.equal("read_corrupt_data", d:status())
    assert.equal("protocol", d:error().kind)
    assert.equal("ef", d:stream():read "a")
  end)

  it("nests; the outermost decides about the bytes", function()
    local d = Data.new "abcdef"
    d:begin()
    d:read_exactly(1)
    d:begin()
    d:read_exactly(1)
    assert.is_true(d:commit())
    d:begin()
    d:read_exactly(1)
    d:rollback()
    assert.is_nil((d:read_exactly(1)))
    d:begin()
    assert.is_nil((d:commit()))
    assert.is_nil((d:commit()))
    assert.equal("abcdef", d:stream():peek(6))
    d:begin()
    d:begin()
    d:read_exactly(2)
    d:abort()
    d:rollback()
    assert.equal("read_corrupt_data", d:status())
    assert.equal("cdef", d:stream():read "a")
  end)

  it("must be open to be ended", function()
    local d = Data.new "a"
    for _, name in ipairs { "commit", "rollback", "abort" } do
      assert.has_error(function()
        d[name](d)
      end, name .. ": no read transaction is open")
    end
    d:begin()
    assert.has_error(function()
      d:set_stream "b"
    end, "set_stream: a read transaction is open")
    assert.is_true(d:commit())
  end)
end)

describe("a block with its size before it", function()
  it("is written and read as in Qt's fortune example", function()
    local block = Data.new(nil, { version = "4.0" })
    block:write_string "You will go far."
    local out = Data.new(nil, { version = "4.0" })
    out:write_uint16(#block:string())
    out:write(block:string())
    local d = Data.new(pieces.bytes(out:string()), { version = "4.0" })
    local size = d:read_uint16()
    local body = Data.new(d:read_exactly(size), { version = "4.0" })
    assert.equal("You will go far.", body:read_string())
    assert.is_true(d:at_end())
  end)
end)
