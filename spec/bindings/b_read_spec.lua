-- The reading half of streams: forms of read, limits, ends, time limits, transactions.

local qn = require "qn"
local pair = require "spec.support.pair"
local splits = require "spec.support.splits"
local throws = require "spec.support.throws"

local function count(...)
  return select("#", ...), ...
end

-- A lone nil: the plain end of a stream.
local function assert_end(...)
  assert.same({ 1, nil }, { count(...) })
end

local function assert_error(kind, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind)
  return err
end

-- `a` has written this and ended.
local function filled(a, text)
  if #text > 0 then
    assert(a:write(text))
  end
  assert(a:shutdown("w"))
end

describe("read", function()
  pair.each(it, "gives n bytes, fewer only at the end, then a lone nil", function(a, b)
    filled(a, "abcdef")
    assert.equal("abcd", b:read(4))
    assert.equal("ef", b:read(4))
    assert_end(b:read(4))
    assert_end(b:read(4))
  end)

  pair.each(it, "gives lines without and with their end", function(a, b)
    filled(a, "one\n\r\n\ntwo\nlast")
    assert.equal("one", b:read("l"))
    assert.equal("\r\n", b:read("L"))
    assert.equal("", b:read("l"))
    assert.equal("two\n", b:read("L"))
    assert.equal("last", b:read("L"))
    assert_end(b:read("l"))
    assert_end(b:read("L"))
  end)

  pair.each(it, "gives everything, and an empty string at the end", function(a, b)
    local writer = qn.spawn(filled, a, ("x"):rep(300000))
    assert.equal(300000, #b:read("a"))
    assert.is_true(writer:join())
    assert.equal("", b:read("a"))
    assert_end(b:read(1))
  end)

  pair.each(it, "takes several formats", function(a, b)
    filled(a, "12 line\nxyz-rest")
    local n, line, three, dash, rest = b:read("n", "l", 3, 1, "a")
    assert.same({ 12, " line", "xyz", "-", "rest" }, { n, line, three, dash, rest })
  end)

  it("stops at the format that finds the end", pair.body("memory", function(a, b)
    filled(a, "one\n")
    assert.same({ 2, "one", nil }, { count(b:read("l", "l", "l")) })
  end))

  it("gives the values before an error, nil and the error", pair.body("memory", function(a, b)
    a:write("one\ntwo")
    local one, two, err, more = b:read("l", "l", { timeout = 0.01 })
    assert.equal("one", one)
    assert_error("timeout", two, err)
    assert.is_nil(more)
    a:write("\n")
    assert.equal("two", b:read("l"))
  end))

  it("reads a line when nothing is said, also with options", pair.body("memory", function(a, b)
    a:write("1\n2\n3\n")
    assert.equal("1", b:read())
    assert.equal("2", b:read({ timeout = 5 }))
    assert.equal("3", b:read(nil))
  end))

  it("keeps its options when it has to step back", pair.body("memory", function(a, b)
    for ready = 60, 70 do
      a:write(("x\n"):rep(ready))
      for _ = 1, ready do
        assert.equal("x", b:read())
      end
      assert_error("timeout", b:read({ timeout = 0.001 }))
    end
  end))

  it("knows the stars of old formats", pair.body("memory", function(a, b)
    a:write("7\nab\n")
    assert.same({ 7, "", "ab\n" }, { b:read("*n", "*l", "*L") })
  end))

  it("of nothing asks for the end: bytes, patience, end", pair.body("tcp", function(a, b)
    local task = qn.spawn(function()
      return b:read(0)
    end)
    qn.yield()
    assert.equal("waiting", task:status())
    a:write("z")
    assert.same({ true, "" }, { task:join() })
    assert.equal("", b:read(0))
    assert.equal("z", b:read(1))
    a:shutdown("w")
    assert_end(b:read(0))
  end))

  it("does not depend on how the bytes arrive", function()
    splits.each("12,ab\ncdef\nxy", function(s)
      local n = s:read("n")
      return n, s:read(1, "l", "L", "a")
    end, function(got, way)
      assert.same({ 12, ",", "ab", "cdef\n", "xy", n = 5 }, got, way)
    end, true)
  end)

  it("refuses what is no format, and names the argument", pair.body("memory", function(_, b)
    for _, case in ipairs {
      { { "x" }, "#1 to 'read'" },
      { { "ll" }, "#1 to 'read'" },
      { { "" }, "#1 to 'read'" },
      { { "l", true }, "#2 to 'read'" },
      { { -1 }, "#1 to 'read'.*negative" },
      { { 1.5 }, "#1 to 'read'" },
      { { 0 / 0 }, "#1 to 'read'" },
      { { math.huge }, "#1 to 'read'" },
      { { print }, "#1 to 'read'" },
      { { 1, { timout = 1 } }, "unknown option 'timout' %(did you mean 'timeout'%?%)" },
      { { 1, { include = true } }, "unknown option 'include'" },
      { { 1, { timeout = -1 } }, "'timeout'.*negative" },
      { { 1, { timeout = 0 / 0 } }, "'timeout'.*NaN" },
      { { 1, { timeout = "1" } }, "'timeout'" },
      { { 1, { max = 0 } }, "'max'" },
      { { 1, { max = 1.5 } }, "'max'" },
      { { 1, { [1] = true } }, "option names are strings" },
    } do
      throws.method(assert, case[2], b, "read", table.unpack(case[1]))
    end
  end))
end)

describe("read(\"n\")", function()
  -- io.read is the model: the same number, and the same bytes left over
  local texts = {
    "12 ", "-7x", "+3\n", "0x1F,", "0x.8p1;", "1e2 ", "1e+2 ", "1.5.5", ".5 ", "5. ", "0 ", "00012 ", "\t\n\v\f\r 8 ", "1e5",
    "0x", "0xg", "-", "+", ".", "e5", "1e", "1e+", "--1", "x1", " y", "0x1p", "1_000", "inf ", "nan ", "", "  ",
    ("9"):rep(200) .. " ", "0" .. ("0"):rep(150) .. "7 ", "9223372036854775807 ", "9223372036854775808 ", "0xffffffffffffffff ",
  }

  it("gives the number that io.read gives and leaves what it leaves", function()
    local path = os.tmpname()
    for _, text in ipairs(texts) do
      local file = assert(io.open(path, "wb"))
      file:write(text)
      file:close()
      file = assert(io.open(path, "rb"))
      local number, rest = file:read("n"), file:read("a")
      file:close()
      pair.with("memory", function(a, b)
        filled(a, text)
        local got, err = b:read("n")
        assert.equal(number, got, text)
        assert.equal(math.type(number), math.type(got), text)
        if number == nil and text:find("%S") then
          assert_error("invalid", got, err)
          assert.equal("not a number", err.message)
          assert.equal(text, err.partial .. b:read("a"))
        else
          assert.is_nil(err)
          assert.equal(rest, b:read("a"), text)
        end
      end)
    end
    os.remove(path)
  end)

  it("does not depend on how the bytes arrive", function()
    for _, text in ipairs { " -12.5e3,", "0x1p-4 ", "  0 ", "00x" } do
      local want = splits.ways(text)[1]
      local number, rest
      pair.with("memory", function(a, b)
        filled(a, want[1])
        number, rest = b:read("n", "a")
      end)
      splits.each(text, function(s)
        return s:read("n", "a")
      end, function(got, way)
        assert.same({ number, rest, n = 2 }, got, way)
      end, true)
    end
  end)

  it("waits while the number may go on", pair.body("memory", function(a, b)
    local task = qn.spawn(function()
      return b:read("n")
    end)
    for _, piece in ipairs { "  ", "-", "0", "x", "1", "f", ".", "8", "p", "+", "1" } do
      a:write(piece)
      qn.yield()
      qn.yield()
      assert.equal("waiting", task:status())
    end
    a:write(" ")
    assert.same({ true, -63.0 }, { task:join() })
  end))

  it("has limits: of digits, and of white space", pair.body("memory", function(a, b)
    a:write(("1"):rep(201) .. " ")
    assert_error("limit", b:read("n"))
    assert.equal(("1"):rep(201), b:read(201))
    assert.equal(" ", b:read(1))
    a:write((" "):rep(65536))
    assert_error("limit", b:read("n", { timeout = 5 }))
    assert_error("limit", b:read("n", { max = 10 }))
    assert.equal(65536, b:skip(65536))
    a:write("     5 ")
    assert.equal(5, b:read("n", { max = 10 }))
  end))
end)

describe("limits of read", function()
  pair.each(it, "make a line that is too long an error and leave it there", function(a, b)
    filled(a, "12345\n12345678\n")
    assert.equal("12345", b:read("l", { max = 5 }))
    local err = assert_error("limit", b:read("l", { max = 7 }))
    assert.equal("read", err.op)
    assert.equal("12345678", b:read("l", { max = 8 }))
  end)

  it("have 64 KiB for lines when nothing is said", pair.body("tcp", function(a, b)
    local writer = qn.spawn(a.write, a, ("x"):rep(65536) .. "\n" .. ("y"):rep(65537))
    assert.equal(65536, #b:read("l"))
    assert_error("limit", b:read("l"))
    assert.equal("y", b:read(1))
    assert.is_true(writer:join())
  end))

  it("hold for everything", pair.body("memory", function(a, b)
    filled(a, "123456")
    assert_error("limit", b:read("a", { max = 5 }))
    assert.equal("123456", b:read("a", { max = 6 }))
  end))

  it("let a read of more than the read buffer through", pair.body("tcp", function(a, b)
    b:set_read_buffer_size(1000)
    local writer = qn.spawn(a.write, a, ("z"):rep(200000))
    assert.equal(200000, #b:read(200000))
    assert.same({ true, true }, { writer:join() })
  end))

  it("do not reserve what a huge number asks for", pair.body("tcp", function(a, b)
    filled(a, "few")
    local err = assert_error("eof", b:read_exactly(1 << 40))
    assert.equal("few", err.partial)
    assert_end(b:read(math.maxinteger))
  end))
end)

describe("read_exactly", function()
  pair.each(it, "gives n bytes, or an error with what there was", function(a, b)
    filled(a, "abcdefg")
    assert.equal("", b:read_exactly(0))
    assert.equal("abcd", b:read_exactly(4))
    local err = assert_error("eof", b:read_exactly(4))
    assert.equal("efg", err.partial)
    err = assert_error("eof", b:read_exactly(1))
    assert.equal("", err.partial)
  end)

  it("does not depend on how the bytes arrive", function()
    splits.each("abcdefgh", function(s)
      return s:read_exactly(3), s:read_exactly(5)
    end, function(got, way)
      assert.same({ "abc", "defgh", n = 2 }, got, way)
    end)
  end)

  it("refuses what is no number of bytes", pair.body("memory", function(_, b)
    throws.method(assert, "#1 to 'read_exactly'", b, "read_exactly")
    throws.method(assert, "#1 to 'read_exactly'.*negative", b, "read_exactly", -1)
    throws.method(assert, "unknown option 'max'", b, "read_exactly", 1, { max = 4 })
  end))
end)

describe("recv", function()
  pair.each(it, "gives what is there, at most max, and a lone nil at the end", function(a, b)
    a:write("abcdef")
    assert.equal("ab", b:recv(2))
    assert.equal("cdef", b:recv())
    a:shutdown("w")
    assert_end(b:recv())
    assert_end(b:recv(5))
  end)

  it("waits for the first byte, and for no more", pair.body("tcp", function(a, b)
    local task = qn.spawn(function()
      return b:recv(nil, { timeout = 20 })
    end)
    qn.yield()
    a:write("q")
    assert.same({ true, "q" }, { task:join() })
  end))

  it("refuses a maximum of nothing", pair.body("memory", function(_, b)
    for _, bad in ipairs { 0, -1, 1.5, "x", false } do
      throws.method(assert, "#1 to 'recv'", b, "recv", bad)
    end
  end))
end)

describe("read_until", function()
  pair.each(it, "gives what is before the delimiter, with it when asked", function(a, b)
    filled(a, "one--two--three--four")
    assert.equal("one", b:read_until("--"))
    assert.equal("two--", b:read_until("--", { include = true }))
    assert.equal("three", b:read_until("--", { include = false }))
    local err = assert_error("eof", b:read_until("--"))
    assert.equal("four", err.partial)
    assert_end(b:read_until("--"))
  end)

  it("finds delimiters wherever arrivals cut them, also behind their own beginnings", function()
    for _, case in ipairs {
      { "ab\r\n\r\ncd\r\n\r\n", "\r\n\r\n", "ab", "cd" },
      { "aaab!aab!", "aab", "a", "!" },
      { "abababc;abc", "abc", "abab", ";" },
      { "x\0y\0", "\0", "x", "y" },
      { "\n\n", "\n", "", "" },
    } do
      splits.each(case[1], function(s)
        return s:read_until(case[2]), s:read_until(case[2])
      end, function(got, way)
        assert.same({ case[3], case[4], n = 2 }, got, way)
      end)
    end
  end)

  it("counts max without the delimiter", pair.body("memory", function(a, b)
    a:write("12345<>678")
    assert_error("limit", b:read_until("<>", { max = 4 }))
    assert.equal("12345", b:read_until("<>", { max = 5 }))
    local task = qn.spawn(function()
      return b:read_until("<>", { max = 4 })
    end)
    a:write("9<")
    qn.yield()
    qn.yield()
    assert.equal("waiting", task:status())
    a:write(">")
    assert.same({ true, "6789" }, { task:join() })
  end))

  it("takes delimiters of 1 to 64 bytes", pair.body("memory", function(a, b)
    local long = ("d"):rep(63) .. "e"
    a:write("x" .. long .. "y")
    assert.equal("x", b:read_until(long))
    for _, bad in ipairs { "", long .. "f" } do
      throws.method(assert, "#1 to 'read_until'.*1 to 64 bytes", b, "read_until", bad)
    end
    throws.method(assert, "#1 to 'read_until'", b, "read_until")
  end))
end)

describe("peek, skip and unread", function()
  pair.each(it, "look ahead without taking", function(a, b)
    filled(a, "abcdef")
    assert.equal("abc", b:peek(3))
    assert.equal("abcdef", b:peek(100))
    assert.equal("abcdef", b:read("a"))
    assert_end(b:peek(1))
  end)

  pair.each(it, "throw away, and say how much", function(a, b)
    local writer = qn.spawn(function()
      a:write(("j"):rep(100000) .. "k")
      a:shutdown("w")
    end)
    assert.equal(0, b:skip(0))
    assert.equal(100000, b:skip(100000))
    assert.equal(1, b:skip(5))
    assert.equal(0, b:skip(5))
    assert.is_true(writer:join())
  end)

  pair.each(it, "put bytes back in front", function(a, b)
    a:write("world")
    assert.equal("w", b:read(1))
    assert.is_true(b:unread("hello w"))
    assert.equal("hello world", b:read(11))
    filled(a, "")
    assert_end(b:read(1))
    assert.is_true(b:unread("late"))
    assert.equal("late", b:read("a"))
  end)

  it("serve a reader who waits", pair.body("memory", function(a, b)
    a:write("bc")
    local task = qn.spawn(function()
      return b:read_exactly(3)
    end)
    qn.yield()
    b:unread("a")
    assert.same({ true, "abc" }, { task:join() })
  end))

  it("begin a scanned item anew when something comes in front of it", pair.body("memory", function(a, b)
    a:write("\3\0")
    local task = qn.spawn(function()
      return b:unpack("<s2")
    end)
    qn.yield()
    b:unread("\1\0x\0\0")
    assert.same({ true, "x" }, { task:join() })
    assert.equal("", b:unpack("<s2"))
    a:write("abc")
    assert.equal("abc", b:unpack("<s2"))
  end))

  it("refuse bad sizes", pair.body("memory", function(_, b)
    for _, bad in ipairs { 0, -1, (64 << 20) + 1, "x" } do
      throws.method(assert, "#1 to 'peek'", b, "peek", bad)
    end
    throws.method(assert, "#1 to 'skip'", b, "skip", -1)
    throws.method(assert, "#1 to 'skip'", b, "skip")
    throws.method(assert, "#1 to 'unread'", b, "unread")
    throws.method(assert, "#1 to 'unread'", b, "unread", {})
  end))

  it("have a limit for what is put back", pair.body("memory", function(_, b)
    local half = ("u"):rep(40 << 20)
    assert.is_true(b:unread(half))
    assert_error("limit", b:unread(half))
    assert.equal(40 << 20, b:bytes_available())
  end))
end)
