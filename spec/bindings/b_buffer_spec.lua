-- qn.buffer: bytes that are used again and again: filling, looking, taking, pins.

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

describe("a buffer", function()
  it("begins empty, or with a string", function()
    local empty, text = qn.buffer(), qn.buffer("text\0zero")
    assert.same({ 0, 65536, "" }, { #empty, empty:capacity(), empty:tostring() })
    assert.same({ 9, 9, "text\0zero" }, { #text, text:capacity(), text:tostring() })
    assert.same({ 0, 10 }, { #qn.buffer(10), qn.buffer(10):capacity() })
    assert.same({ 0, 1 }, { #qn.buffer(""), qn.buffer(""):capacity() })
  end)

  it("refuses sizes that make no sense", function()
    for _, bad in ipairs { 0, -1, 1.5, math.maxinteger, 0 / 0, {}, true } do
      throws.call(assert, "#1 to 'buffer'", qn, "buffer", bad)
    end
  end)

  it("gives pieces as string.sub does", function()
    local text = "0123456789"
    local buffer = qn.buffer("xx" .. text):consume(2)
    for i = -12, 12 do
      assert.equal(text:sub(i), buffer:tostring(i))
      for j = -12, 12 do
        assert.equal(text:sub(i, j), buffer:tostring(i, j), i .. "," .. j)
      end
    end
    assert.equal(text, buffer:tostring(math.mininteger, math.maxinteger))
    assert.equal("", buffer:tostring(math.maxinteger))
    assert.equal("", buffer:tostring(1, math.mininteger))
    throws.method(assert, "#1 to 'tostring'", buffer, "tostring", "x")
  end)

  it("finds plain bytes as string.find does", function()
    local text = "a.b%c\0.b.."
    local buffer = qn.buffer(text)
    for _, what in ipairs { "a", ".", "..", "%", "\0", ".b", "c\0", "zz", text, text .. "x" } do
      for init = -12, 12 do
        local want, got = { text:find(what, init, true) }, { buffer:find(what, init) }
        assert.same(want, got, ("%q from %d"):format(what, init))
      end
    end
    throws.method(assert, "#1 to 'find'.*not be empty", buffer, "find", "")
    throws.method(assert, "#1 to 'find'", buffer, "find")
    assert.is_nil(buffer:find("a", math.maxinteger))
  end)

  it("is appended to, with itself too, and consumed", function()
    local buffer = qn.buffer("ab")
    assert.equal(buffer, buffer:append("c", 1, 2.5, qn.buffer("d"), buffer, ""))
    assert.equal("abc12.5dabc12.5d", buffer:tostring())
    assert.equal(buffer, buffer:consume(3))
    assert.equal("12.5dabc12.5d", buffer:tostring())
    throws.method(assert, "#1 to 'consume'", buffer, "consume", 14)
    throws.method(assert, "#1 to 'consume'", buffer, "consume", -1)
    assert.equal(0, #buffer:consume(13))
    assert.equal("again", buffer:append("again"):tostring())
    assert.equal(0, #buffer:clear())
    throws.method(assert, "#2 to 'append'", buffer, "append", "x", {})
  end)

  it("packs and unpacks as the string library does, from any position", function()
    local buffer = qn.buffer("z")
    assert.equal(buffer, buffer:pack(">I2 s1 z", 7, "seven", "zero"))
    assert.equal("z" .. string.pack(">I2 s1 z", 7, "seven", "zero"), buffer:tostring())
    local bytes = string.pack("!8 b d i4 Xd b s4 z", 1, 2.5, 3, 4, "five", "six") .. ("\7"):rep(40)
    buffer = qn.buffer("junk" .. bytes):consume(4)
    for _, format in ipairs { "b", "!8 b d i4", "!4 b i4 Xi4 b", "<i3", "z", "s1", "!16 b Xi16 b", "c3 c0", "" } do
      for i = 1, #bytes + 1 do
        local want = table.pack(pcall(string.unpack, format, bytes, i))
        local got = table.pack(pcall(buffer.unpack, buffer, format, i))
        assert.equal(want[1], got[1], format .. i)
        if want[1] then
          assert.same(want, got, format .. i)
        end
      end
    end
    assert.same({ 7, #bytes + 1 }, { buffer:unpack("b", -1) })
    throws.method(assert, "#2 to 'unpack'", buffer, "unpack", "b", #bytes + 2)
    throws.method(assert, "#1 to 'unpack'.*invalid format option 'q'", buffer, "unpack", "q")
    throws.method(assert, "#1 to 'unpack'.*too few bytes", qn.buffer("\9\9"), "unpack", "i4")
    assert.has_error(function() qn.buffer(("\xff"):rep(16)):unpack("I16") end)
    assert.has_error(function() buffer:pack("I1", 256) end)
  end)
end)

describe("read_into", function()
  pair.each(it, "replaces what was there, or appends", function(a, b)
    local buffer = qn.buffer(8)
    a:write("abc")
    assert.equal(3, b:read_into(buffer))
    assert.equal("abc", buffer:tostring())
    a:write("defghijklmnop")
    assert.equal(8, b:read_into(buffer))
    assert.equal("defghijk", buffer:tostring())
    assert.equal(2, b:read_into(buffer, 2, { append = true }))
    assert.equal("defghijklm", buffer:tostring())
    assert.equal(1, b:read_into(buffer, 1))
    assert.equal("n", buffer:tostring())
    assert.equal(2, b:read_into(buffer, { append = true }))
    assert.equal("nop", buffer:tostring())
    a:shutdown("w")
    assert.is_nil((b:read_into(buffer)))
    assert.equal(1, select("#", b:read_into(buffer)))
  end)

  it("takes what is buffered before it asks the kernel", pair.body("tcp", function(a, b)
    a:write("line\nrest")
    assert.equal("line", b:read("l"))
    local buffer = qn.buffer(100)
    assert.equal(4, b:read_into(buffer))
    assert.equal("rest", buffer:tostring())
  end))

  it("moves a lot", pair.body("tcp", function(a, b)
    local writer = qn.spawn(function()
      for i = 0, 255 do
        assert(a:write(string.char(i):rep(10007)))
      end
      a:shutdown("w")
    end)
    local buffer, sum, n = qn.buffer(5000), 0, 0
    while true do
      local got = b:read_into(buffer)
      if not got then
        break
      end
      n = n + got
      sum = sum + buffer:unpack("B") -- one of each arrival
      assert.equal(got, #buffer)
      local first, last = buffer:unpack("B"), buffer:unpack("B", -1)
      assert.equal((n - got) // 10007, first)
      assert.equal((n - 1) // 10007, last)
    end
    assert.equal(256 * 10007, n)
    assert.is_true(writer:join())
  end))

  it("does not depend on how the bytes arrive", function()
    splits.each("abcdef", function(s)
      local buffer, n = qn.buffer(6), 0
      while n < 6 do
        n = n + s:read_into(buffer, 6 - n, { append = true })
      end
      return buffer:tostring()
    end, function(got, way)
      assert.same({ "abcdef", n = 1 }, got, way)
    end)
  end)

  it("pins the buffer while it waits, and lets go however it ends", pair.body("tcp", function(a, b)
    local buffer = qn.buffer(8)
    local task = qn.spawn(b.read_into, b, buffer)
    qn.yield()
    local ok, err = pcall(buffer.append, buffer, "x")
    assert.same({ false, "busy" }, { ok, err.kind })
    task:cancel()
    task:join()
    buffer:append("free")
    assert_error("timeout", b:read_into(buffer, { timeout = 0.001 }))
    buffer:append("free")
    qn.timeout(0.001, b.read_into, b, buffer)
    buffer:append("free")
    task = qn.spawn(b.read_into, b, buffer)
    qn.yield()
    b:close()
    local _, value, closed = task:join()
    assert_error("closed", value, closed)
    buffer:append("free")
    a:close()
  end))

  it("refuses what is no buffer and no size", pair.body("memory", function(_, b)
    throws.method(assert, "#1 to 'read_into' %(qn.Buffer expected", b, "read_into", "text")
    throws.method(assert, "#1 to 'read_into'", b, "read_into")
    for _, bad in ipairs { 0, -1, 1.5, (64 << 20) + 1, "x" } do
      throws.method(assert, "#2 to 'read_into'", b, "read_into", qn.buffer(1), bad)
    end
    throws.method(assert, "unknown option 'apend' %(did you mean 'append'%?%)", b, "read_into", qn.buffer(1), { apend = true })
  end))
end)
