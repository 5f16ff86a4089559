-- Text and data streams over the streams of the core: what waits, ends, fails and is given back.

local Data = require "qn.stream.data"
local Text = require "qn.stream.text"
local qn = require "qn"

-- The two ends of a stream and a guard that closes both.
local function pair()
  local a, b = qn.pair()
  return a, b, setmetatable({}, {
    __close = function()
      a:close()
      b:close()
    end,
  })
end

-- Writes piece by piece, so that the reader waits in between.
local function dribble(stream, bytes, size)
  return qn.spawn(function()
    for i = 1, #bytes, size do
      assert(stream:write(bytes:sub(i, i + size - 1)))
      qn.yield()
    end
    assert(stream:shutdown "w")
  end)
end

local function message()
  local out = Data.new()
  out:write_uint16(7)
  out:write_string "grün"
  out:write_list({ 1, 2, 3 }, "int32")
  out:write_map({ a = 1.5, b = 2.5 }, "string", "double")
  out:write_variant { deep = { true, "x" } }
  return out:string()
end

local function read_message(d)
  assert.equal(7, d:read_uint16())
  assert.equal("grün", d:read_string())
  assert.same({ 1, 2, 3 }, d:read_list "int32")
  assert.same({ a = 1.5, b = 2.5 }, d:read_map("string", "double"))
  assert.equal("x", d:read_variant().value.deep.value[2].value)
end

describe("a data stream over a live stream", function()
  for _, size in ipairs { 1, 2, 3, 7, 1000 } do
    it(("waits for what has not come, in pieces of %d"):format(size), function()
      local a, b, _ <close> = pair()
      local writer = dribble(a, message() .. message(), size)
      local d = Data.new(b)
      read_message(d)
      assert.is_false(d:at_end())
      read_message(d)
      assert.is_true(d:at_end())
      local v, err = d:read_int8()
      assert.is_nil(v)
      assert.is_nil(err)
      assert.equal("read_past_end", d:status())
      assert.is_true(writer:join())
    end)
  end

  it("says where the stream cut a value", function()
    local out = Data.new()
    out:write_string "grün"
    local bytes = out:string()
    for cut = 0, #bytes - 1 do
      local a, b, _ <close> = pair()
      a:write(bytes:sub(1, cut))
      a:shutdown "w"
      local d = Data.new(b)
      local v, err = d:read_string()
      assert.is_nil(v)
      assert.equal("read_past_end", d:status())
      assert.equal(cut > 0 and "eof" or nil, err and err.kind)
      local partial = bytes:sub(cut >= 4 and 5 or 1, cut)
      assert.equal(cut > 0 and partial or nil, err and err.partial)
    end
  end)

  it("gives a message back whose rest is late, and reads it when it is there", function()
    local a, b, _ <close> = pair()
    local d = Data.new(b, { timeout = 0.01 })
    local bytes = message()
    assert(a:write(bytes:sub(1, 5)))
    assert(b:peek(5)) -- it is there, whatever the time limit
    d:begin()
    d:read_uint16()
    d:read_string()
    local ok, err = d:commit()
    assert.is_nil(ok)
    assert.equal("timeout", err.kind)
    assert.equal("read_past_end", d:status())
    assert(a:write(bytes:sub(6)))
    assert(b:peek(#bytes))
    d:begin()
    read_message(d)
    assert.is_true(d:commit())
  end)

  it("may try a value again that was late", function()
    local a, b, _ <close> = pair()
    local d = Data.new(b, { timeout = 0.01 })
    assert(a:write "\0\0")
    local v, err = d:read_uint32()
    assert.is_nil(v)
    assert.equal("timeout", err.kind)
    assert.equal("ok", d:status())
    assert(a:write "\1\2")
    assert(b:peek(4))
    assert.equal(0x102, d:read_uint32())
  end)

  it("cannot keep more of a transaction than the stream's read buffer", function()
    local a, b, _ <close> = pair()
    b:set_read_buffer_size(4096)
    local writer = dribble(a, ("x"):rep(8192), 512)
    local d = Data.new(b)
    d:begin()
    local read = 0
    while d:read_exactly(512) do
      read = read + 512
    end
    local ok, err = d:commit()
    assert.is_nil(ok)
    assert.equal("limit", err.kind)
    assert.is_true(read <= 4096)
    assert.equal(8192, #d:stream():read "a")
    assert.is_true(writer:join())
  end)

  it("skips and reads raw bytes", function()
    local a, b, _ <close> = pair()
    local writer = dribble(a, ("x"):rep(100000) .. "abc", 5000)
    local d = Data.new(b)
    assert.equal(100000, d:skip(100000))
    assert.equal("ab", d:read(2))
    assert.equal("c", d:read(2))
    assert.is_nil(d:read(2))
    assert.is_true(writer:join())
  end)

  it("tells a write that failed", function()
    local a, b, _ <close> = pair()
    b:close()
    a:close()
    local d = Data.new(a)
    local ok, err = d:write_int32(1)
    assert.is_nil(ok)
    assert.equal("closed", err.kind)
    assert.equal("write_failed", d:status())
  end)

  it("does not read on inside of a value whose reading was interrupted", function()
    local a, b, _ <close> = pair()
    local d = Data.new(b)
    a:write "\0\0\0\4ab"
    assert(b:peek(6))
    local v, err = qn.timeout(0.01, d.read_bytes, d)
    assert.is_nil(v)
    assert.equal("timeout", err.kind)
    assert.equal("read_past_end", d:status())
    a:write "cd"
    v, err = d:read_uint8()
    assert.is_nil(v)
    assert.equal("eof", err.kind)
    assert.is_true(qn.is_error(err.cause, "timeout"))
  end)

  it("gives an interrupted message back", function()
    local a, b, _ <close> = pair()
    local d = Data.new(b)
    a:write "\0\0\0\4ab"
    d:begin()
    qn.timeout(0.01, d.read_bytes, d)
    d:rollback()
    a:write "cd"
    d:begin()
    assert.equal("abcd", d:read_bytes())
    assert.is_true(d:commit())
  end)

  it("may be interrupted before a value without harm", function()
    local a, b, _ <close> = pair()
    local d = b:data_stream { byte_order = "little" }
    a:write "\1"
    assert.is_nil((qn.timeout(0.01, d.read_uint16, d)))
    assert.equal("ok", d:status())
    a:write "\2"
    assert.equal(0x201, d:read_uint16())
  end)

  it("refuses a second reader without harm", function()
    local a, b, _ <close> = pair()
    local d = Data.new(b)
    assert(a:write "\0\0\0\2a")
    local reader = qn.spawn(d.read_bytes, d)
    qn.yield()
    for _, what in ipairs { "uint8", "string", "datetime" } do
      local v, err = d["read_" .. what](d)
      assert.is_nil(v)
      assert.equal("busy", err.kind)
      assert.equal("ok", d:status())
    end
    assert(a:write "b\1\2")
    assert.equal("ab", select(2, reader:join()))
    assert.equal(0x102, d:read_uint16())
  end)
end)

describe("a text stream over a live stream", function()
  for _, name in ipairs { "utf-8", "utf-16le", "utf-32be" } do
    for _, size in ipairs { 1, 3, 1000 } do
      it(("reads %s in pieces of %d"):format(name, size), function()
        local out = Text.new(nil, { encoding = name, generate_bom = true })
        out:write("first line\r\n", 12, " ", 0x1F, " ", -2.5, " wörd\nlast ", "€")
        local a, b, _ <close> = pair()
        local writer = dribble(a, out:string(), size)
        local t = Text.new(b)
        assert.equal("first line", t:read_line())
        assert.equal(name, t:encoding())
        assert.equal(12, t:read_int())
        assert.equal(31, t:read_int())
        assert.equal(-2.5, t:read_real())
        assert.equal("wörd", t:read_word())
        assert.equal("", t:read_line())
        assert.equal("last ", t:read(5))
        assert.is_false(t:at_end())
        assert.equal("€", t:read_all())
        assert.is_true(t:at_end())
        assert.is_nil(t:read_line())
        assert.is_true(writer:join())
      end)
    end
  end

  it("talks both ways", function()
    local a, b, _ <close> = pair()
    local server = qn.spawn(function()
      local t = Text.new(b, { newline = "\r\n" })
      for line in t:lines() do
        t:write("you said ", line)
        assert(t:endl())
      end
      b:shutdown "w"
    end)
    local t = Text.new(a)
    for i = 1, 3 do
      t:write("line ", i, "\n")
      -- The read sends what is in the buffer.
      assert.equal("you said line " .. i, t:read_line())
    end
    a:shutdown "w"
    assert.is_nil(t:read_line())
    assert.is_true(server:join())
  end)

  it("leaves what it did not use to the stream", function()
    local a, b, _ <close> = pair()
    a:write "42 words\r\n\0\0\0\4\0H\0itail"
    local t = Text.new(b)
    assert.equal(42, t:read_int())
    assert.equal("words", t:read_word())
    assert.equal("", t:read_line())
    assert.equal(12, b:bytes_available())
    assert.equal("Hi", Data.new(b):read_string())
    assert.equal("tail", b:read(4))
  end)

  it("loses nothing when a read is late", function()
    local a, b, _ <close> = pair()
    for _, name in ipairs { "utf-8", "utf-16be" } do
      b:set_timeouts { read = 0.01 }
      local t = Text.new(b, { encoding = name })
      local out = Text.new(a, { encoding = name })
      out:write "12"
      out:flush()
      for _, call in ipairs { "read_line", "read_word", "read_int" } do
        local v, err = t[call](t)
        assert.is_nil(v)
        assert.equal("timeout", err.kind)
        assert.equal("ok", t:status())
      end
      out:write "3\n"
      out:flush()
      b:set_timeouts { read = 20 }
      assert.equal(123, t:read_int())
      assert.equal("", t:read_line())
    end
  end)

  it("loses nothing when a task is interrupted", function()
    for _, name in ipairs { "utf-8", "utf-16be" } do
      for _, call in ipairs { "read_line", "read_word", "read_int", "read_real", "read_all" } do
        local a, b, _ <close> = pair()
        local out, t = a:text_stream { encoding = name }, b:text_stream { encoding = name }
        for _, piece in ipairs { "1", "2", "3" } do
          out:write(piece)
          out:flush()
          assert.is_nil((qn.timeout(0.005, t[call], t)))
        end
        local reader = qn.spawn(t[call], t)
        qn.yield()
        reader:cancel()
        reader:join()
        out:write " "
        out:flush()
        assert.equal(123, t:read_int())
      end
    end
  end)

  it("loses no byte of a mark when a task is interrupted", function()
    local a, b, _ <close> = pair()
    local t = qn.text_stream(b)
    for _, byte in ipairs { "\xFF", "\xFE", "\0" } do
      a:write(byte)
      assert.is_nil((qn.timeout(0.005, t.read_char, t)))
    end
    a:write "\x26"
    assert.equal("\u{2600}", t:read_char())
    assert.equal("utf-16le", t:encoding())
  end)

  it("ends a line that is too long without taking it", function()
    local a, b, _ <close> = pair()
    local writer = dribble(a, ("x"):rep(3000) .. "\n", 1000)
    local t = Text.new(b, { max_line = 2000 })
    local line, err = t:read_line()
    assert.is_nil(line)
    assert.equal("limit", err.kind)
    assert.equal(("x"):rep(3000), b:read "l")
    assert.is_true(writer:join())
  end)
end)

describe("a text stream over a stream", function()
  it("writes values of the runtime as they show themselves", function()
    local t = qn.text_stream()
    t:write(qn.address("::1"), " ", qn.error("io", "why"), " ", qn.url("http://h/"))
    assert.equal("::1 why http://h/", t:string())
  end)

  it("says with a code that it has no position", function()
    local a <close>, b = qn.pair()
    local position, err = a:text_stream():pos()
    b:close()
    assert.is_nil(position)
    assert.same({ "unsupported", "UNSUPPORTED" }, { err.kind, err.code })
  end)
end)
