-- Bytes that never become Lua strings: send_file and qn.copy.

local qn = require "qn"
local limits = require "spec.support.limits"
local pair = require "spec.support.pair"
local peers = require "spec.support.peers"
local program = require "spec.support.program"
local splits = require "spec.support.splits"
local throws = require "spec.support.throws"

local function assert_error(kind, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind)
  return err
end

local function pattern(n)
  local parts = {}
  for i = 1, n // 8 do
    parts[i] = ("%08x"):format(i)
  end
  return table.concat(parts)
end

describe("send_file", function()
  local folder, small, large, text

  setup(function()
    folder = program.scratch()
    small, large = folder .. "/small", folder .. "/large"
    text = pattern(3 << 20)
    local file = assert(io.open(small, "wb"))
    file:write("0123456789")
    file:close()
    file = assert(io.open(large, "wb"))
    file:write(text)
    file:close()
  end)

  teardown(function()
    program.remove(folder)
  end)

  pair.each(it, "sends a file, or a part of it", function(a, b)
    assert.equal(10, a:send_file(small))
    assert.equal("0123456789", b:read(10))
    assert.equal(6, a:send_file(small, { offset = 4 }))
    assert.equal("456789", b:read(6))
    assert.equal(3, a:send_file(small, { offset = 2, count = 3 }))
    assert.equal("234", b:read(3))
    assert.equal(1, a:send_file(small, { offset = 9, count = 100 }))
    assert.equal("9", b:read(1))
    assert.equal(0, a:send_file(small, { offset = 10 }))
    assert.equal(0, a:send_file(small, { offset = 1 << 40 }))
    assert.equal(0, a:send_file(small, { count = 0 }))
    assert.equal(0, b:bytes_available())
  end)

  pair.each(it, "keeps its place among writes, also with a slow reader", function(a, b)
    local sender = qn.spawn(function()
      local results = { a:write("before "), (a:send_file(large)) }
      results[3], results[4] = a:write(" between "), a:send_file(small)
      results[5] = a:write(" after")
      assert(a:shutdown("w"))
      return results
    end)
    local parts = {}
    for piece in b:chunks(30000) do
      parts[#parts + 1] = piece
      qn.yield()
    end
    assert.is_true("before " .. text .. " between 0123456789 after" == table.concat(parts))
    local ok, results = sender:join()
    assert.is_true(ok, tostring(results))
    assert.same({ true, #text, true, 10, true }, results)
  end)

  it("does not read ahead of a peer that takes nothing", pair.body("tcp", function(a, b)
    local sender = qn.spawn(a.send_file, a, large)
    splits.until_true("it sends", function() return a:bytes_sent() > 0 end)
    assert.is_true(a:bytes_to_write() <= 1 << 20)
    local behind = qn.spawn(a.write, a, "behind")
    assert.is_true(text == b:read(#text))
    assert.equal("behind", b:read(6))
    assert.same({ true, #text }, { sender:join() })
    assert.same({ true, true }, { behind:join() })
  end))

  it("keeps its place while the file is being opened", pair.body("tcp", function(a, b)
    local sender = qn.spawn(a.send_file, a, small)
    qn.yield() -- it has begun, and the thread pool has not answered yet
    local behind = qn.spawn(a.write, a, "behind")
    assert.equal(10, #assert(b:read(10)))
    assert.equal("behind", b:read(6))
    assert.same({ true, 10 }, { sender:join() })
    assert.same({ true, true }, { behind:join() })
    local missing = qn.spawn(a.send_file, a, small .. ".missing")
    qn.yield()
    behind = qn.spawn(a.write, a, "goes on")
    assert.equal("goes on", b:read(7))
    assert.is_nil(select(2, missing:join()))
    assert.same({ true, true }, { behind:join() })
  end))

  it("gives errors of the file without touching the stream", pair.body("tcp", function(a, b)
    local err = assert_error("io", a:send_file(folder .. "/missing"))
    assert.equal("ENOENT", err.code)
    assert.equal("open", err.op)
    assert.equal(folder .. "/missing", err.peer)
    assert_error("invalid", a:send_file(folder))
    assert_error("invalid", a:send_file("/dev/null"))
    assert.is_true(a:write("still works"))
    assert.equal("still works", b:read(11))
  end))

  it("says how much went out when the peer resets", function()
    peers.with({ { expect = text:sub(1, 1000) }, { reset = true } }, function(s)
      -- more than the buffers of the kernel hold
      local err = assert_error("reset", (function()
        for _ = 1, 100 do
          local n, e = s:send_file(large)
          if not n then
            return n, e
          end
        end
      end)())
      assert.equal("send_file", err.op)
      assert.equal("integer", math.type(err.partial))
      assert.is_true(err.partial < #text)
    end)
  end)

  it("ends by a time limit and by close", pair.body("tcp", function(a)
    local err
    repeat
      local n
      n, err = a:send_file(large, { timeout = 0.01 })
    until not n
    assert.equal("timeout", err.kind)
    assert.equal("write", err.phase)
    assert.is_true(err.partial >= 0 and err.partial < #text)
    local waiting = qn.spawn(a.send_file, a, large)
    qn.yield()
    a:abort()
    local ok, n, closed = waiting:join()
    assert.is_true(ok)
    assert.is_nil(n)
    assert.equal("closed", closed.kind)
  end))

  it("is cancelled without losing the file's descriptor", pair.body("tcp", function(a, b)
    local task = qn.spawn(function()
      while assert(a:send_file(large)) do -- until the peer's buffers are full
      end
    end)
    splits.until_true("it waits for the peer", function()
      qn.sleep(0.001)
      return a:bytes_sent() > 0 and task:status() == "waiting"
    end)
    task:cancel()
    task:join()
    b:abort()
  end))

  it("of a closed stream is an error", pair.body("tcp", function(a)
    a:close()
    assert_error("closed", a:send_file(small))
  end))

  it("is checked", pair.body("memory", function(a)
    throws.method(assert, "#1 to 'send_file'", a, "send_file")
    throws.method(assert, "#1 to 'send_file'", a, "send_file", 7)
    throws.method(assert, "#1 to 'send_file'.*zeros", a, "send_file", small .. "\0x")
    throws.method(assert, "'offset'", a, "send_file", small, { offset = -1 })
    throws.method(assert, "'count'", a, "send_file", small, { count = 1.5 })
    throws.method(assert, "unknown option 'ofset' %(did you mean 'offset'%?%)", a, "send_file", small, { ofset = 1 })
  end))
end)

describe("copy", function()
  -- src and dst with their far ends
  local function with_two(kind, f)
    pair.with(kind, function(from, src)
      pair.with(kind, function(dst, to)
        f(from, src, dst, to)
      end)
    end)
  end

  local function each(name, f)
    for _, kind in ipairs(pair.kinds) do
      it(name .. " (" .. kind .. ")", function()
        with_two(kind, f)
      end)
    end
  end

  each("moves everything and ends the other side", function(from, src, dst, to)
    local text = pattern(2 << 20)
    local writer = qn.spawn(function()
      assert(from:write(text))
      assert(from:shutdown("w"))
    end)
    local reader = qn.spawn(function()
      return (assert(to:read("a")))
    end)
    assert.equal(#text, qn.copy(src, dst))
    local ok, got = reader:join()
    assert.is_true(ok and got == text)
    assert.is_true(writer:join())
  end)

  each("begins with what is buffered, and stops at a limit", function(from, src, dst, to)
    from:write("head\nabcdefgh")
    assert.equal("head", src:read("l"))
    assert.equal(3, qn.copy(src, dst, { limit = 3, finish = false }))
    assert.equal("abc", to:read(3))
    assert.equal("de", src:read(2))
    from:shutdown("w")
    assert.equal(3, qn.copy(src, dst, { finish = false }))
    assert.equal("fgh", to:read(3))
    assert.is_true(dst:write("more"))
    assert.equal("more", to:read(4))
    assert.equal(0, qn.copy(src, dst))
    assert.is_nil(to:read(1))
  end)

  it("of a stream to itself is an echo", pair.body("tcp", function(a, b)
    local echo = qn.spawn(qn.copy, b, b)
    for i = 1, 100 do
      a:write("line " .. i .. "\n")
      assert.equal("line " .. i, a:read("l"))
    end
    a:shutdown("w")
    assert.is_nil(a:read(1))
    local ok, n = echo:join()
    assert.is_true(ok)
    assert.equal(792, n)
  end))

  it("keeps the source waiting when the destination is full", function()
    with_two("tcp", function(from, src, dst, to)
      local copier = qn.spawn(qn.copy, src, dst)
      local writer = qn.spawn(from.write, from, ("c"):rep(64 << 20))
      local last, same = -1, 0
      while same < 20 do
        qn.sleep(0.003)
        same = from:bytes_sent() == last and same + 1 or 0
        last = from:bytes_sent()
      end
      assert.is_true(last < 64 << 20)
      assert.is_true(src:bytes_available() + dst:bytes_to_write() < 2 << 20)
      local got = 0
      while got < 64 << 20 do
        got = got + #assert(to:recv())
      end
      assert.is_true(writer:join())
      copier:cancel()
      copier:join()
    end)
  end)

  it("says which side failed, and how much had passed", function()
    with_two("tcp", function(from, src, dst, to)
      from:write("12345")
      local copier = qn.spawn(qn.copy, src, dst)
      assert.equal("12345", to:read(5))
      from:abort()
      local ok, value, err = copier:join()
      assert.is_true(ok)
      assert_error("reset", value, err)
      assert.same({ "read", 5, "copy" }, { err.side, err.partial, err.op })
    end)
    with_two("tcp", function(from, src, dst, to)
      to:abort()
      local copier = qn.spawn(qn.copy, src, dst)
      local writer = qn.spawn(from.write, from, ("x"):rep(1 << 20))
      local ok, value, err = copier:join()
      assert.is_true(ok)
      assert_error("reset", value, err)
      assert.equal("write", err.side)
      assert.equal("integer", math.type(err.partial))
      writer:cancel()
      writer:join()
    end)
  end)

  it("has a time limit that names the side it waited for", function()
    with_two("tcp", function(from, src, dst)
      from:write("some")
      assert.equal("some", src:peek(4)) -- it is there, whatever the limit
      local err = assert_error("timeout", qn.copy(src, dst, { timeout = 0.02 }))
      assert.same({ "read", 4 }, { err.phase, err.partial })
      local writer = qn.spawn(from.write, from, ("x"):rep(64 << 20))
      err = select(2, limits.growing(0.1, function(limit) -- which must suffice to fill the kernel's buffers
        local e = assert_error("timeout", qn.copy(src, dst, { timeout = limit }))
        return e.phase == "write", e
      end))
      assert.equal("write", err.phase)
      writer:cancel()
      writer:join()
    end)
  end)

  it("lets both sides go when it is cancelled", function()
    with_two("memory", function(from, src, dst, to)
      local copier = qn.spawn(qn.copy, src, dst)
      qn.yield()
      assert_error("busy", src:read(1))
      assert_error("busy", dst:write("x"))
      assert_error("busy", qn.copy(src, dst))
      copier:cancel()
      copier:join()
      from:write("a")
      assert.equal("a", src:read(1))
      dst:write("b")
      assert.equal("b", to:read(1))
    end)
  end)

  it("ends with the coroutine it waits in", function()
    with_two("memory", function(from, src, dst)
      local inner = coroutine.create(function()
        qn.copy(src, dst)
      end)
      local task = qn.spawn(coroutine.resume, inner)
      qn.yield()
      assert_error("busy", src:read(1))
      assert.is_true(coroutine.close(inner))
      task:join()
      from:write("a")
      assert.equal("a", src:read(1))
    end)
  end)

  it("of closed streams is an error with its side", function()
    with_two("memory", function(_, src, dst)
      dst:close()
      local err = assert_error("closed", qn.copy(src, dst))
      assert.same({ "write", 0 }, { err.side, err.partial })
      src:close()
      err = assert_error("closed", qn.copy(src, dst))
      assert.same({ "read", 0 }, { err.side, err.partial })
    end)
  end)

  it("settles when either side is closed meanwhile", function()
    for _, which in ipairs { "src", "dst" } do
      with_two("tcp", function(_, src, dst)
        local copier = qn.spawn(qn.copy, src, dst)
        qn.yield()
        qn.yield()
        local side = which == "src" and src or dst
        side:close()
        local ok, value, err = copier:join()
        assert.is_true(ok)
        assert_error("closed", value, err)
        assert.equal(which == "src" and "read" or "write", err.side)
      end)
    end
  end)

  it("is checked", pair.body("memory", function(a, b)
    throws.call(assert, "#1 to 'copy' %(qn.Stream expected", qn, "copy")
    throws.call(assert, "#2 to 'copy' %(qn.Stream expected", qn, "copy", a)
    throws.call(assert, "#2 to 'copy'", qn, "copy", a, "b")
    throws.call(assert, "'limit'", qn, "copy", a, b, { limit = 0 })
    throws.call(assert, "'finish'", qn, "copy", a, b, { finish = 1 })
    throws.call(assert, "unknown option 'finnish' %(did you mean 'finish'%?%)", qn, "copy", a, b, { finnish = false })
  end))
end)
