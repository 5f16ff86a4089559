-- Reads that wait: time limits, cancellation, a second reader, transactions, back-pressure, iterators.

local qn = require "qn"
local limits = require "spec.support.limits"
local pair = require "spec.support.pair"
local scripts = require "spec.support.scripts"
local splits = require "spec.support.splits"
local throws = require "spec.support.throws"

local function assert_error(kind, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind)
  return err
end

-- Every form of read that can wait, as a function of the stream and a table of options.
local forms = {
  read = function(s, o) return s:read(5, o) end,
  line = function(s, o) return s:read("l", o) end,
  all = function(s, o) return s:read("a", o) end,
  number = function(s, o) return s:read("n", o) end,
  read_exactly = function(s, o) return s:read_exactly(5, o) end,
  recv = function(s, o) return s:recv(5, o) end,
  read_until = function(s, o) return s:read_until(";", o) end,
  unpack = function(s, o) return s:unpack("s1", o) end,
  peek = function(s, o) return s:peek(5, o) end,
  skip = function(s, o) return s:skip(5, o) end,
  read_into = function(s, o) return s:read_into(qn.buffer(5), 5, o) end,
}

describe("a time limit", function()
  for name, form in pairs(forms) do
    it("ends " .. name .. " with an error that names its phase", pair.body("tcp", function(_, b)
      local err = assert_error("timeout", form(b, { timeout = 0.001 }))
      assert.equal("read", err.phase)
      assert.equal("read", err.op)
      assert.equal("TIMEOUT", err.code)
      assert.is_true(err.temporary)
      assert.truthy(err.peer:find("^127%.0%.0%.1:%d+$"))
    end))
  end

  pair.each(it, "loses nothing", function(a, b)
    a:write("abc")
    assert_error("timeout", b:read_exactly(5, { timeout = 0.001 }))
    assert_error("timeout", b:read("l", { timeout = 0 }))
    assert_error("timeout", b:unpack("s1", { timeout = 0.001 }))
    assert_error("timeout", b:read("a", { timeout = 0.001 }))
    a:write("de\n")
    assert.equal("abcde", b:read("l", { timeout = 20 }))
  end)

  it("can be set for the whole stream and be overruled", pair.body("memory", function(a, b)
    b:set_timeouts { read = 0.001 }
    for _, form in pairs(forms) do
      assert_error("timeout", form(b))
    end
    qn.spawn(function()
      qn.sleep(0.01)
      a:write("x")
    end)
    assert.equal("x", b:read(1, { timeout = false }))
    b:set_timeouts { read = false }
    qn.spawn(a.write, a, "y")
    assert.equal("y", b:read(1))
  end))

  it("ends what is idle, and traffic either way puts that off", pair.body("memory", function(a, b)
    b:set_timeouts { idle = 0.03 }
    assert.equal("idle", assert_error("timeout", b:read(1)).phase)
    local got, err = limits.growing(0.03, function(idle)
      b:set_timeouts { idle = idle }
      local writer = qn.spawn(function() -- our own writes are traffic too
        for _ = 1, 10 do
          qn.sleep(idle / 6)
          b:write("tick")
        end
        a:write("!")
      end)
      local got, err = b:read(1)
      writer:join()
      return got or b:read(1) and nil, err -- "!" is there in any case
    end)
    assert.equal("!", got, tostring(err))
    assert.equal(0, b:bytes_sent() % 40)
  end))

  it("of a read is not put off by traffic that puts off the idle limit", pair.body("memory", function(_, b)
    local _, err = limits.growing(0.03, function(idle)
      b:set_timeouts { idle = idle }
      local over = false
      local writer = qn.spawn(function()
        for _ = 1, 400 do
          if over then
            return "in time"
          end
          b:write("tick")
          qn.sleep(idle / 6)
        end
      end)
      local err = assert_error("timeout", b:read(1, { timeout = 1.5 * idle }))
      over = true
      assert.same({ true, "in time" }, { writer:join() })
      return err.phase == "read", err
    end)
    assert.equal("read", err.phase)
  end))

  it("is checked", pair.body("memory", function(_, b)
    throws.method(assert, "unknown option 'reed' %(did you mean 'read'%?%)", b, "set_timeouts", { reed = 1 })
    throws.method(assert, "'idle'.*negative", b, "set_timeouts", { idle = -1 })
    throws.method(assert, "'write'.*NaN", b, "set_timeouts", { write = 0 / 0 })
    throws.method(assert, "'connect'", b, "set_timeouts", { connect = "soon" })
    throws.method(assert, "#1 to 'set_timeouts'", b, "set_timeouts")
    throws.method(assert, "#1 to 'set_timeouts'", b, "set_timeouts", 5)
  end))
end)

describe("cancellation", function()
  for name, form in pairs(forms) do
    it("ends " .. name .. " and loses nothing", pair.body("memory", function(a, b)
      local content = (name == "recv" or name == "read_into" or name == "skip") and "" or "7"
      a:write(content)
      local task = qn.spawn(form, b, {})
      qn.yield()
      qn.yield()
      assert.equal("waiting", task:status())
      task:cancel("enough")
      local ok, err = task:join()
      assert.is_false(ok)
      assert.is_true(qn.is_cancelled(err))
      a:write("more")
      a:shutdown("w")
      assert.equal(content .. "more", b:read("a"))
    end))
  end

  it("of a read of several formats gives back what it had read, byte by byte", pair.body("memory", function(a, b)
    local function cut_off()
      local value, err = qn.timeout(0.001, b.read, b, "n", "l", "L", 2, "l")
      assert_error("timeout", value, err)
    end
    local all = " 0x10 first\n\nab"
    for i = 1, #all do
      a:write(all:sub(i, i))
      cut_off()
    end
    b:begin()
    cut_off()
    assert.equal(#all, b:bytes_available())
    assert.equal(16, b:read("n"))
    assert.is_true(b:rollback())
    local co = coroutine.create(function() b:read("n", "l", "L", 2, "l") end)
    local task = qn.spawn(coroutine.resume, co)
    qn.yield()
    coroutine.close(co)
    task:join()
    assert.equal(#all, b:bytes_available())
    a:write("end\n")
    assert.same({ 16, " first", "\n", "ab", "end" }, { b:read("n", "l", "L", 2, "l") })
  end))

  it("of a read of several formats gives back before anybody else reads", pair.body("memory", function(a, b)
    a:write("first\nsecond\nthi")
    local function cancelled_read(...)
      local task = qn.spawn(b.read, b, ...)
      qn.yield()
      qn.yield()
      task:cancel()
      return task
    end
    local task = cancelled_read("l", "l", "l")
    assert.same({ "f", "irst" }, { b:read(1, "l") })
    assert.is_true(qn.is_cancelled(select(2, task:join())))
    local other = cancelled_read("l", "l")
    task = qn.spawn(b.read, b, "l", "l", "l")
    qn.yield()
    task:cancel()
    assert.same({ "sec", "ond" }, { b:read(3, "l") })
    task:join()
    other:join()
    assert.equal("thi", b:recv())
  end))

  it("of a read of several formats gives nothing back twice when transactions begin or end meanwhile",
    pair.body("memory", function(a, b)
      local function reader()
        local task = qn.spawn(b.read, b, "l", "l", "l")
        qn.yield()
        qn.yield()
        return task
      end
      a:write("one\ntwo\nthr")
      b:begin()
      local task = reader()
      assert.is_true(b:rollback())
      task:cancel()
      task:join()
      assert.equal("one\ntwo\nthr", b:peek(11))
      task = reader()
      b:begin()
      task:cancel()
      task:join()
      assert.is_true(b:rollback())
      assert.equal("one\ntwo\nthr", b:peek(11))
      b:skip(4)
      task = reader()
      b:begin()
      a:write("ee\n")
      qn.yield()
      qn.yield()
      assert.is_true(b:rollback()) -- the second item
      assert.equal(6, b:bytes_available())
      task:cancel()
      task:join()
      assert.equal("two\nthree\n", b:recv())
    end))

  it("by a deadline scope throws in the reader and frees the side", pair.body("tcp", function(a, b)
    local value, err = qn.timeout(0.001, function()
      return b:read(1)
    end)
    assert_error("timeout", value, err)
    a:write("n")
    assert.equal("n", b:read(1))
  end))

  it("of a coroutine from outside frees the side and its buffer", pair.body("memory", function(a, b)
    local buffer = qn.buffer(8)
    local inner = coroutine.create(function()
      b:read_into(buffer)
    end)
    local task = qn.spawn(function()
      coroutine.resume(inner)
    end)
    qn.yield()
    assert.has_error(function() buffer:append("x") end)
    assert.is_true(coroutine.close(inner))
    task:join()
    buffer:append("free")
    a:write("x")
    assert.equal("x", b:read(1))
  end))
end)

describe("a waiting reader", function()
  it("is not collected, and neither are its stream and its buffer", function()
    local a, b = qn.pair()
    local closer <close> = a
    local got
    do
      local stream = b
      b = nil -- luacheck: ignore
      qn.spawn(function()
        local buffer = qn.buffer(10)
        assert(stream:read_into(buffer))
        got = buffer:tostring() .. stream:read("l")
        stream:close()
      end)
    end
    qn.yield()
    for _ = 1, 3 do
      collectgarbage()
      qn.yield()
    end
    a:write("abcdefghijklm\n")
    splits.until_true("it has read", function() return got end)
    assert.equal("abcdefghijklm", got)
  end)

  it("takes as many formats as the stack holds", pair.body("memory", function(a, b)
    local formats, text = {}, {}
    for i = 1, 3000 do
      formats[i] = i % 3 == 0 and 1 or i % 3 == 1 and "l" or "n"
      text[i] = i % 3 == 0 and " " or i % 3 == 1 and "line\n" or tostring(i)
    end
    local task = qn.spawn(function()
      return b:read(table.unpack(formats))
    end)
    text = table.concat(text)
    for i = 1, #text, 1000 do
      a:write(text:sub(i, i + 999))
      qn.yield()
    end
    local results = table.pack(task:join())
    assert.equal(3001, results.n)
    for i = 1, 3000 do
      assert.equal(i % 3 == 0 and " " or i % 3 == 1 and "line" or i, results[i + 1])
    end
  end))
end)

describe("the main thread of a stock interpreter", function()
  it("waits by itself, and lets go of its buffers however that ends", function()
    local out, status = scripts.stock [[
      local a, b = qn.pair()
      local buffer = qn.buffer(8)
      print(b:read_into(buffer, { timeout = 0.001 }))
      buffer:append("free")
      print(pcall(b.read_into, b, buffer)) -- nobody can ever write
      buffer:append("free")
      a:write("hello")
      print(b:read_into(buffer), buffer:tostring())
      a:set_write_mark(10)
      a:set_timeouts { write = 0.001 }
      local big = qn.buffer(("x"):rep(600000))
      print(a:write(big))
      print(#big:clear())
      a:abort()
      b:abort()
    ]]
    assert.equal(0, status)
    local lines = {}
    for line in out:gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    assert.truthy(lines[1]:find("^nil\tread.*TIMEOUT"), out)
    assert.truthy(lines[2]:find("^false\tread.*DEADLOCK"), out)
    assert.equal("5\thello", lines[3])
    assert.truthy(lines[4]:find("^nil\twrite.*TIMEOUT"), out)
    assert.equal("0", lines[5])
  end)
end)

describe("a second reader", function()
  for name, form in pairs(forms) do
    it("is busy and disturbs nobody (" .. name .. ")", pair.body("memory", function(a, b)
      local first = qn.spawn(function()
        return b:read("l")
      end)
      qn.yield()
      assert_error("busy", form(b, {}))
      a:write("mine\n")
      assert.same({ true, "mine" }, { first:join() })
    end))
  end
end)

describe("a transaction", function()
  pair.each(it, "gives the bytes back, or not", function(a, b)
    a:write("head body tail")
    b:begin()
    assert.equal("head ", b:read(5))
    assert.equal("body", b:read_until(" "))
    assert.equal(2, b:skip(2))
    assert.equal("il", b:recv())
    assert.is_true(b:rollback())
    b:begin()
    assert.equal("head ", b:read(5))
    assert.is_true(b:commit())
    assert.equal("body tail", b:read(9))
  end)

  it("parses a message that comes in pieces", function()
    splits.each(("\0\3abc"):rep(3), function(s)
      local list, rounds = {}, 0
      while #list < 3 do
        rounds = rounds + 1
        s:begin()
        local size = s:bytes_available() >= 2 and s:unpack(">I2")
        if size and s:bytes_available() >= size then
          list[#list + 1] = s:read_exactly(size)
          s:commit()
        else
          s:rollback()
          assert(s:peek(s:bytes_available() + 1))
        end
        assert(rounds < 100)
      end
      return table.concat(list, " ")
    end, function(got, way)
      assert.same({ "abc abc abc", n = 1 }, got, way)
    end)
  end)

  it("covers every way of taking bytes", pair.body("memory", function(a, b)
    local text = "5 line\n\0\1z\0exactlyuntil;rest"
    a:write(text)
    b:begin()
    assert.equal(5, b:read("n"))
    assert.equal(" line", b:read("l"))
    local n, z = b:unpack(">I2z")
    assert.same({ 1, "z" }, { n, z })
    assert.equal("exactly", b:read_exactly(7))
    assert.equal("until", b:read_until(";"))
    local buffer = qn.buffer(2)
    assert.equal(2, b:read_into(buffer))
    assert.equal("st", b:recv())
    a:shutdown("w")
    assert_error("eof", b:read_exactly(1))
    b:rollback()
    assert.equal(text, b:read("a"))
  end))

  it("takes back what an end had cut", pair.body("memory", function(a, b)
    a:write("cut")
    a:shutdown("w")
    b:begin()
    local err = assert_error("eof", b:read_exactly(5))
    assert.equal("cut", err.partial)
    b:rollback()
    assert.equal("cut", b:read("a"))
  end))

  it("is limited by the read buffer, without losing a byte", pair.body("memory", function(a, b)
    b:set_read_buffer_size(8)
    local writer = qn.spawn(a.write, a, "0123456789abcdef")
    b:begin()
    assert.equal("012345", b:read(6))
    assert_error("limit", b:read(3))
    assert_error("limit", b:skip(3))
    assert_error("limit", b:read_into(qn.buffer(3)))
    assert.equal("67", b:read(2))
    b:rollback()
    assert.equal("0123456789abcdef", b:read(16))
    writer:join()
  end))

  it("is one at a time, and not for unread and copy", pair.body("memory", function(a, b)
    throws.method(assert, "no transaction is open", b, "commit")
    throws.method(assert, "no transaction is open", b, "rollback")
    b:begin()
    throws.method(assert, "a transaction is already open", b, "begin")
    throws.method(assert, "a transaction is open", b, "unread", "x")
    throws.call(assert, "a transaction is open", qn, "copy", b, a)
    b:commit()
  end))

  it("ends with the stream", pair.body("memory", function(a, b)
    a:write("gone")
    b:begin()
    assert.equal("gone", b:read(4))
    b:close()
    assert_error("closed", b:rollback())
    assert.is_true(b:commit())
  end))
end)

describe("the read buffer", function()
  for _, kind in ipairs { "tcp", "unix" } do
    it("holds back a peer when nobody reads (" .. kind .. ")", pair.body(kind, function(a, b)
      b:set_read_buffer_size(4096)
      assert.equal(4096, b:read_buffer_size())
      local chunk, sent = ("p"):rep(65536), 0
      local writer = qn.spawn(function()
        while a:write(chunk) do
          sent = sent + #chunk
        end
      end)
      b:on("ready_read", function() end) -- reads ahead
      local last, same = -1, 0
      while same < 20 do -- until nothing moves any more
        qn.sleep(0.005)
        same = a:bytes_sent() == last and same + 1 or 0
        last = a:bytes_sent()
        assert.is_true(last < 64 << 20, "the peer is not held back")
      end
      assert.is_true(b:bytes_available() <= 4096 + 65536, tostring(b:bytes_available()))
      local got = 0
      while got < last do -- and everything is still there
        local piece = assert(b:recv())
        assert.equal(("p"):rep(#piece), piece)
        got = got + #piece
      end
      assert.equal("waiting", writer:status())
      writer:cancel()
      writer:join()
    end))
  end

  it("is checked", pair.body("memory", function(_, b)
    throws.method(assert, "#1 to 'set_read_buffer_size'", b, "set_read_buffer_size", -1)
    throws.method(assert, "#1 to 'set_read_buffer_size'", b, "set_read_buffer_size", 0.5)
    throws.method(assert, "#1 to 'set_read_buffer_size'", b, "set_read_buffer_size")
    b:set_read_buffer_size(0)
    assert.equal(0, b:read_buffer_size())
  end))
end)
