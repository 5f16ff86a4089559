-- The Lua half of streams: iterators, join, text and data streams over real streams, the end of a
-- program that has written.

local qn = require "qn"
local limits = require "spec.support.limits"
local pair = require "spec.support.pair"
local program = require "spec.support.program"
local splits = require "spec.support.splits"
local throws = require "spec.support.throws"

local function assert_error(kind, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind)
  return err
end

describe("lines and chunks", function()
  pair.each(it, "go through all there is", function(a, b)
    a:write("one\ntwo\n\nfour")
    a:shutdown("w")
    local lines = {}
    for line in b:lines() do
      lines[#lines + 1] = line
    end
    assert.same({ "one", "two", "", "four" }, lines)
    for _ in b:lines() do
      error("there is nothing left")
    end
  end)

  it("take the formats of read", pair.body("memory", function(a, b)
    a:write("1 2 3 4 5\nab\ncdefg")
    a:shutdown("w")
    local sum = 0
    for n in b:lines("n") do
      sum = sum + n
      if n == 5 then
        break
      end
    end
    assert.equal(15, sum)
    local got = {}
    for line in b:lines("L") do
      got[#got + 1] = line
      if #got == 2 then
        break
      end
    end
    assert.same({ "\n", "ab\n" }, got)
    got = {}
    for piece in b:lines(2) do
      got[#got + 1] = piece
    end
    assert.same({ "cd", "ef", "g" }, got)
  end))

  it("give pieces of at most max", function()
    splits.each("abcdefgh", function(s)
      local got = {}
      for piece in s:chunks(3) do
        assert(#piece >= 1 and #piece <= 3)
        got[#got + 1] = piece
      end
      return table.concat(got)
    end, function(got, way)
      assert.same({ "abcdefgh", n = 1 }, got, way)
    end, true)
  end)

  it("throw errors, since for cannot carry them", pair.body("memory", function(a, b)
    a:write("short\n" .. ("x"):rep(100) .. "\n")
    local seen = {}
    local ok, err = pcall(function()
      for line in b:lines("l", { max = 50 }) do
        seen[#seen + 1] = line
      end
    end)
    assert.is_false(ok)
    assert.equal("limit", err.kind)
    assert.same({ "short" }, seen)
    b:close()
    for _, iterator in ipairs { "lines", "chunks" } do
      ok, err = pcall(b[iterator](b))
      assert.is_false(ok)
      assert.equal("closed", err.kind)
    end
  end))

  it("wait inside for loops, in coroutines too", pair.body("memory", function(a, b)
    local producer = coroutine.wrap(function()
      for line in b:lines() do
        coroutine.yield(line .. "!")
      end
    end)
    qn.spawn(function()
      for i = 1, 3 do
        qn.sleep(0.001)
        a:write(i, "\n")
      end
      a:shutdown("w")
    end)
    assert.same({ "1!", "2!", "3!" }, { producer(), producer(), producer() })
    assert.is_nil(producer())
  end))
end)

describe("join", function()
  -- left <-> a, b <-> right, with a and b joined
  local function joined(kind, opts, f)
    pair.with(kind, function(left, a)
      pair.with(kind, function(b, right)
        local task = qn.spawn(qn.join, a, b, opts)
        f(left, right, task, a, b)
        if task:status() == "waiting" then
          task:cancel()
        end
        task:join()
      end)
    end)
  end

  for _, kind in ipairs(pair.kinds) do
    it("copies both ways until both have ended (" .. kind .. ")", function()
      joined(kind, nil, function(left, right, task)
        left:write("to the right")
        assert.equal("to the right", right:read(12))
        right:write("back")
        assert.equal("back", left:read(4))
        left:shutdown("w")
        assert.is_nil(right:read(1))
        right:write("half-closed words") -- one way has ended, the other has not
        assert.equal("half-closed words", left:read(17))
        right:shutdown("w")
        assert.is_nil(left:read(1))
        assert.same({ true, 12, 21 }, { task:join() })
      end)
    end)
  end

  it("moves a lot both ways at once", function()
    joined("tcp", nil, function(left, right, task)
      local text = ("0123456789abcdef"):rep(1 << 17)
      local function both(s)
        local writer = qn.spawn(function()
          assert(s:write(text))
          assert(s:shutdown("w"))
        end)
        local got = s:read("a")
        assert(writer:join())
        return got == text
      end
      local far = qn.spawn(both, right)
      assert.is_true(both(left))
      assert.same({ true, true }, { far:join() })
      assert.same({ true, #text, #text }, { task:join() })
    end)
  end)

  it("ends with the error of one direction, and counts the other", function()
    joined("tcp", nil, function(left, right, task)
      left:write("abc")
      assert.equal("abc", right:read(3))
      right:write("hello")
      assert.equal("hello", left:read(5))
      left:abort()
      local ok, up, down, err = task:join()
      assert.is_true(ok)
      assert.equal(5, down)
      assert_error("reset", up, err)
      assert.equal(err.side == "read" and 3 or 5, err.partial) -- of the direction that noticed first
    end)
  end)

  it("has a time limit", function()
    local passed = limits.growing(0.005, function(limit)
      local passed
      joined("memory", { timeout = limit }, function(left, right, task)
        right:write("1234")
        local ok, up, down, err = task:join()
        assert.is_true(ok)
        assert_error("timeout", up, err)
        assert.same({ "copy", "read" }, { err.op, err.phase }) -- not the group's
        assert.equal(err.partial > 0 and down or 0, err.partial) -- of the direction that was first
        passed = down == 4 and left:read(4) == "1234" -- it had time for these
      end)
      return passed
    end)
    assert.is_true(passed)
  end)

  it("leaves the writing sides open when it is told so", function()
    joined("memory", { finish = false }, function(left, right, task, a, b)
      left:shutdown("w")
      right:shutdown("w")
      assert.same({ true, 0, 0 }, { task:join() })
      assert.is_true(a:write("still"))
      assert.equal("still", left:read(5))
      assert.is_true(b:write("open"))
      assert.equal("open", right:read(4))
    end)
  end)

  it("lets the streams go when it is cancelled", function()
    joined("memory", nil, function(left, right, task, a, b)
      qn.yield()
      task:cancel()
      task:join()
      left:write("x")
      assert.equal("x", a:read(1))
      b:write("y")
      assert.equal("y", right:read(1))
    end)
  end)

  it("is checked before anything begins", pair.body("memory", function(a, b)
    throws.call(assert, "#1 to 'join' %(qn.Stream expected", qn, "join")
    throws.call(assert, "#2 to 'join' %(qn.Stream expected, got string%)", qn, "join", a, "b")
    throws.call(assert, "did you mean 'finish'", qn, "join", a, b, { finnish = true })
    throws.call(assert, "timeout", qn, "join", a, b, { timeout = -1 })
    a:write("x")
    assert.equal("x", b:read(1)) -- nobody holds them
  end))
end)

describe("text and data streams", function()
  pair.each(it, "work over real streams", function(a, b)
    local out = a:text_stream()
    assert.truthy(out:write("caf\u{e9} ", 42, "\n"))
    assert.truthy(out:flush())
    local text = b:text_stream()
    assert.equal("caf\u{e9} 42", text:read_line())
    local data_out = a:data_stream()
    assert.truthy(data_out:write_int32(-7))
    assert.truthy(data_out:write_uint16(65535))
    local data = b:data_stream()
    assert.equal(-7, data:read_int32())
    assert.equal(65535, data:read_uint16())
  end)

  it("are there for strings too", function()
    assert.equal("line", qn.text_stream("line\nmore"):read_line())
    assert.equal(258, qn.data_stream("\1\2"):read_uint16())
  end)
end)

describe("a program that ends", function()
  local function child_sends(code)
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local child <close> = program.start({ program.qnlua(), "-e", code }, { environment = { PORT = server:port() } })
    local s <close> = assert(server:accept(20))
    s:set_read_buffer_size(1024)
    qn.sleep(0.05) -- the child has ended its script meanwhile, or not: it must not matter
    local n = 0
    for piece in s:chunks() do
      n = n + #piece
    end
    local status, _, err = child:wait()
    assert.same({ 0, "" }, { status, (err:gsub("^qnlua: leaked qn.Socket [^\n]*\n$", "")) })
    return n
  end

  it("still sends what it has written", function()
    local code = [[
      local s = assert(qn.tcp.connect("127.0.0.1", tonumber(os.getenv "PORT")))
      s:set_write_mark(64 << 20)
      assert(s:write(("e"):rep(8 << 20)))
    ]]
    assert.equal(8 << 20, child_sends(code))
    assert.equal(8 << 20, child_sends(code .. " s:close()"))
    assert.equal(8 << 20, child_sends(code .. " s:close() os.exit(0)"))
    assert.equal(8 << 20, child_sends(code .. " s = nil collectgarbage() collectgarbage()"))
  end)
end)
