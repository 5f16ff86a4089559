-- Files as streams: modes, reading, writing, the position, errors, cancellation.

local qn = require "qn"
local core = require "qn.core"
local splits = require "spec.support.splits"
local temp = require "spec.support.temp"
local throws = require "spec.support.throws"

local open = core.file_open
local PIECE <const> = 64 * 1024

local function count(...)
  return select("#", ...), ...
end

local function assert_end(...)
  assert.same({ 1, nil }, { count(...) })
end

-- nil and an error of this kind and code that names the call and the path.
local function assert_error(kind, code, op, path, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.same({ kind, code, op, path }, { err.kind, err.code, err.op, err.peer })
  return err
end

describe("opening a file", function()
  it("follows the modes of io.open", function()
    local dir <close> = temp.dir()
    local path = temp.put(dir .. "f", "0123456789")
    for mode, expected in pairs {
      r = { "0123", nil }, rb = { "0123", nil },
      ["r+"] = { "0123", "0123xx6789" }, ["r+b"] = { "0123", "0123xx6789" },
      w = { nil, "xx" }, ["w+"] = { nil, "xx" }, ["w+b"] = { nil, "xx" },
      a = { nil, "0123456789xx" }, ["a+"] = { "0123", "0123456789xx" },
    } do
      temp.put(path, "0123456789")
      local file <close> = assert(open(path, mode))
      local got, read_error = file:read(4)
      assert.equal(expected[1], got, mode)
      assert.equal(mode == "w" or mode == "a", read_error ~= nil, mode)
      local ok, err = file:write("xx")
      assert.equal(expected[2] ~= nil, ok == true, mode)
      if not ok then
        assert_error("invalid", "EBADF", "write", path, ok, err)
      end
      file:close()
      assert.is_true(file:wait_closed())
      assert.equal(expected[2] or "0123456789", temp.get(path), mode)
    end
  end)

  it("makes only new files with x", function()
    local dir <close> = temp.dir()
    local path = dir .. "f"
    local file <close> = assert(open(path, "wx"))
    assert(file:write("mine"))
    file:close()
    assert(file:wait_closed())
    for _, mode in ipairs { "wx", "w+x", "ax", "wbx" } do
      assert_error("exists", "EEXIST", "open", path, open(path, mode))
    end
    assert.equal("mine", temp.get(path))
  end)

  it("says what is wrong with a path", function()
    local dir <close> = temp.dir()
    local path = temp.put(dir .. "f", "")
    assert_error("io", "ENOENT", "open", dir .. "none", open(dir .. "none"))
    assert_error("io", "ENOENT", "open", dir .. "none/f", open(dir .. "none/f", "w"))
    assert_error("io", "EISDIR", "open", dir.path, open(dir.path))
    assert_error("io", "EISDIR", "open", dir.path, open(dir.path, "w"))
    assert_error("io", "ENOTDIR", "open", path .. "/f", open(path .. "/f"))
    local err = select(2, open(dir .. "none"))
    assert.equal("open " .. dir .. "none: no such file or directory (ENOENT)", tostring(err))
  end)

  it("throws for what is no path or mode", function()
    throws.call(assert, "#1", core, "file_open", {})
    throws.call(assert, "a path must not hold zeros", core, "file_open", "a\0b")
    for _, mode in ipairs { "", "x", "rw", "rx", "r++", "wbb", "R", "w ", "+" } do
      throws.call(assert, "#2.*invalid mode", core, "file_open", "f", mode)
    end
  end)

  it("leaves no descriptor behind when it is cancelled", function()
    local dir <close> = temp.dir()
    temp.put(dir .. "f", "x")
    local cancelled = 0
    for turns = 0, 6 do
      local task = qn.spawn(function()
        local file <close> = open(dir .. "f")
        return file:path()
      end)
      for _ = 1, turns do
        qn.yield()
      end
      task:cancel()
      local ok, result = task:join()
      cancelled = cancelled + (ok and 0 or 1)
      assert.is_true(ok or qn.is_cancelled(result), tostring(result))
    end
    assert.is_true(cancelled > 0)
  end) -- the leak check counts objects and orphans
end)

describe("reading a file", function()
  it("knows every form of read", function()
    local dir <close> = temp.dir()
    local file <close> = assert(open(temp.put(dir .. "f", "one\ntwo\n 12 0x1F\nrest\0tail")))
    assert.same({ "one", "two\n" }, { file:read("l", "L") })
    assert.same({ 12, 31 }, { file:read("n", "n") })
    assert.equal("\n", file:read_exactly(1))
    assert.equal("rest", file:read_until("\0"))
    assert.equal("ta", file:peek(2))
    assert.equal(1, file:skip(1))
    assert.equal("ail", file:recv())
    assert_end(file:recv())
    assert_end(file:read(1))
    assert.equal("", file:read("a"))
    assert.is_true(file:at_end())
  end)

  it("unpacks and fills buffers", function()
    local dir <close> = temp.dir()
    local bytes = string.pack(">I4s2z", 7, "ab", "cd") .. "xyz"
    local file <close> = assert(open(temp.put(dir .. "f", bytes)))
    assert.same({ 7, "ab", "cd" }, { file:unpack(">I4 s2 z") })
    local buffer = qn.buffer(2)
    assert.equal(2, file:read_into(buffer))
    assert.equal("xy", buffer:tostring())
    assert.equal(1, file:read_into(buffer))
    assert_end(file:read_into(buffer))
  end)

  it("is cut in the same way whatever the size of the file", function()
    local dir <close> = temp.dir()
    for _, size in ipairs { 0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 4 * PIECE + 1 } do
      local data = temp.pattern(size)
      local path = temp.put(dir .. "f", data)
      for _, step in ipairs { PIECE - 1, PIECE, PIECE + 1, 10 * PIECE } do
        local file <close> = assert(open(path))
        local parts = {}
        for part in file:lines(step) do
          assert.is_true(#part == step or #parts * step + #part == size)
          parts[#parts + 1] = part
        end
        assert.is_true(table.concat(parts) == data, size .. " in steps of " .. step)
      end
    end
  end)

  it("gives lines that cross the pieces", function()
    local dir <close> = temp.dir()
    local lines = {}
    for i = 1, 3000 do
      lines[i] = ("%d "):format(i) .. ("x"):rep(i % 199)
    end
    local file <close> = assert(open(temp.put(dir .. "f", table.concat(lines, "\n"))))
    local i = 0
    for line in file:lines() do
      i = i + 1
      assert.equal(lines[i], line)
    end
    assert.equal(#lines, i)
  end)

  it("is bounded on a device without an end", function()
    local file <close> = assert(open("/dev/zero"))
    local data, err = file:read("a", { max = 100000 })
    assert.is_nil(data)
    assert.equal("limit", err.kind)
    assert.equal(("\0"):rep(1000), file:read(1000))
  end)

  it("loses nothing when it is cancelled", function()
    local dir <close> = temp.dir()
    local data = temp.pattern(3 * PIECE)
    temp.put(dir .. "f", data)
    for turns = 0, 8 do
      local file <close> = assert(open(dir .. "f"))
      local got
      local task = qn.spawn(function()
        got = file:read(2 * PIECE + 5)
      end)
      for _ = 1, turns do
        qn.yield()
      end
      task:cancel()
      task:join()
      assert.is_true((got or "") .. file:read("a") == data, turns .. " turns")
    end
  end)

  it("may be given up after a time", function()
    local dir <close> = temp.dir()
    assert.equal(0, (os.execute("mkfifo " .. dir.path .. "/p") and 0))
    local file <close> = assert(open(dir .. "p", "r+")) -- its own peer: opening does not wait
    local data, err = file:read("l", { timeout = 0.01 })
    assert.is_nil(data)
    assert.equal("timeout", err.kind)
    assert.is_true(file:write("a line\n"))
    assert.equal("a line", file:read("l", { timeout = 20 }))
  end)

  it("lets one reader in at a time", function()
    local dir <close> = temp.dir()
    os.execute("mkfifo " .. dir.path .. "/p")
    local file <close> = assert(open(dir .. "p", "r+"))
    local task = qn.spawn(file.read, file, 1)
    qn.yield()
    local data, err = file:read(1)
    assert.is_nil(data)
    assert.equal("busy", err.kind)
    assert(file:write("x"))
    assert.same({ true, "x" }, { task:join() })
  end)
end)

describe("writing a file", function()
  it("takes pieces of any size in order", function()
    local dir <close> = temp.dir()
    for _, step in ipairs { 7, 1000, PIECE - 1, PIECE + 1, 300000 } do
      local data = temp.pattern(step < 100 and 5000 or 700000)
      local file <close> = assert(open(dir .. "f", "w"))
      for at = 1, #data, step do
        assert.is_true(file:write(data:sub(at, at + step - 1)))
      end
      file:close()
      assert.is_true(file:wait_closed())
      assert.is_true(temp.get(dir .. "f") == data, "steps of " .. step)
    end
  end)

  it("goes out without being asked, and flush waits for it", function()
    local dir <close> = temp.dir()
    local file <close> = assert(open(dir .. "f", "w"))
    assert(file:write("a", 1, 2.5))
    splits.until_true("the bytes are on the disk", function()
      return temp.get(dir .. "f") == "a12.5"
    end)
    assert(file:write(qn.buffer("b")))
    assert(file:pack(">I2", 0x6364))
    assert.is_true(file:flush())
    assert.equal("a12.5bcd", temp.get(dir .. "f"))
    assert.equal(0, file:bytes_to_write())
  end)

  it("is told when the disk is full, by whatever comes next", function()
    local file <close> = assert(open("/dev/full", "w"))
    assert.is_true(file:write("text"))
    assert_error("limit", "ENOSPC", "flush", "/dev/full", file:flush())
    assert_error("limit", "ENOSPC", "write", "/dev/full", file:write("more"))
    assert_error("limit", "ENOSPC", "sync", "/dev/full", file:sync())
    assert.equal("ENOSPC", file:error().code)
    file:close()
    assert_error("limit", "ENOSPC", "close", "/dev/full", file:wait_closed())
    assert_error("limit", "ENOSPC", "close", "/dev/full", file:wait_closed())
  end)

  it("is told by the close when nobody asked before", function()
    local file <close> = assert(open("/dev/full", "w"))
    assert.is_true(file:write("text"))
    file:close()
    assert_error("limit", "ENOSPC", "close", "/dev/full", file:wait_closed())
  end)

  it("is given up by abort, which the close tells", function()
    local dir <close> = temp.dir()
    local file <close> = assert(open(dir .. "f", "w"))
    assert.is_true(file:write("text"))
    file:abort()
    assert_error("closed", "CANCELLED", "close", dir .. "f", file:wait_closed())
  end)

  it("ends with shutdown", function()
    local dir <close> = temp.dir()
    local file <close> = assert(open(dir .. "f", "w"))
    assert(file:write("text"))
    assert.is_true(file:shutdown("w"))
    assert.equal("text", temp.get(dir .. "f"))
    assert_error("closed", "SHUTDOWN", "write", dir .. "f", file:write("x"))
    assert.is_true(file:wait_closed())
  end)

  it("waits above the mark and goes on", function()
    local dir <close> = temp.dir()
    local data = temp.pattern(5 << 20)
    local file <close> = assert(open(dir .. "f", "w"))
    file:set_write_mark(100000)
    assert.is_true(file:write(data))
    assert.is_true(file:bytes_to_write() <= 100000)
    assert.is_true(file:flush())
    assert.is_true(temp.get(dir .. "f") == data)
  end)

  it("says how much went when it was cancelled half-way", function()
    local dir <close> = temp.dir()
    os.execute("mkfifo " .. dir.path .. "/p")
    local file <close> = assert(open(dir .. "p", "r+"))
    file:set_write_mark(1000)
    local task = qn.spawn(file.write, file, temp.pattern(1 << 20))
    splits.until_true("the pipe was full", function()
      return file:bytes_sent() >= 4096
    end)
    task:cancel()
    assert.is_false((task:join()))
    assert_error("closed", "CANCELLED", "write", dir .. "p", file:write("x"))
    file:abort() -- nobody empties the pipe
  end)
end)

describe("the position of a file", function()
  it("is moved and told as in io", function()
    local dir <close> = temp.dir()
    local path = temp.put(dir .. "f", "0123456789")
    local file <close> = assert(open(path, "r+"))
    local peer <close> = assert(io.open(path, "r+"))
    for _, step in ipairs {
      {}, { "set", 4 }, { "cur", 3 }, { "cur", -5 }, { "cur" },
      { "end" }, { "end", -4 }, { "end", 5 }, { "set" },
    } do
      assert.equal(peer:seek(table.unpack(step)), file:seek(table.unpack(step)))
      assert.equal(peer:read(2), file:read(2))
      assert.equal(peer:seek(), file:seek())
    end
  end)

  it("is shared by reading and writing", function()
    local dir <close> = temp.dir()
    local file <close> = assert(open(temp.put(dir .. "f", "0123456789"), "r+"))
    assert.equal("012", file:read(3))
    assert(file:write("ab"))
    assert.equal(5, file:seek())
    assert.equal("56", file:read(2))
    assert(file:write("cd"))
    assert.equal("9", file:read("a"))
    assert.equal(0, file:seek("set"))
    assert.equal("012ab56cd9", file:read("a"))
  end)

  it("sees what others have added once it is set anew", function()
    local dir <close> = temp.dir()
    local file <close> = assert(open(temp.put(dir .. "f", "one"), "r"))
    assert.equal("one", file:read("a"))
    temp.put(dir .. "f", "one, two")
    assert_end(file:read(1))
    assert.equal(3, file:seek("set", file:seek()))
    assert.equal(", two", file:read("a"))
  end)

  it("is the end for what is appended", function()
    local dir <close> = temp.dir()
    local file <close> = assert(open(temp.put(dir .. "f", "0123"), "a+"))
    assert.equal("01", file:read(2))
    assert(file:write("45"))
    assert.equal(6, file:seek())
    assert.equal(1, file:seek("set", 1))
    assert(file:write("67"))
    assert.equal(0, file:seek("set"))
    assert.equal("01234567", file:read("a"))
  end)

  it("cannot be where there is nothing", function()
    local dir <close> = temp.dir()
    local path = temp.put(dir .. "f", "0123")
    local file <close> = assert(open(path))
    assert_error("invalid", "EINVAL", "seek", path, file:seek("set", -1))
    assert_error("invalid", "EINVAL", "seek", path, file:seek("end", -5))
    assert_error("limit", "EOVERFLOW", "seek", path, file:seek("end", math.maxinteger))
    throws.method(assert, "invalid option", file, "seek", "start")
    throws.method(assert, "#2.*number expected", file, "seek", "set", "x")
    file:close()
    assert_error("closed", "CLOSED", "seek", path, file:seek())
  end)

  it("does not move inside a transaction", function()
    local dir <close> = temp.dir()
    local file <close> = assert(open(temp.put(dir .. "f", "0123456789"), "r+"))
    file:begin()
    assert.equal("012", file:read(3))
    assert.equal(3, file:seek())
    throws.method(assert, "seek: a read transaction is open", file, "seek", "set", 1)
    throws.method(assert, "truncate: a read transaction is open", file, "truncate", 1)
    assert.is_true(file:rollback())
    assert.equal(0, file:seek())
    assert.equal("01", file:read(2))
    file:unread("X")
    assert.equal("X2", file:read(2))
  end)

  it("is missing from pipes", function()
    local dir <close> = temp.dir()
    os.execute("mkfifo " .. dir.path .. "/p")
    local file <close> = assert(open(dir .. "p", "r+"))
    assert_error("invalid", "ESPIPE", "seek", dir .. "p", file:seek())
    assert_error("invalid", "ESPIPE", "seek", dir .. "p", file:seek("end"))
  end)
end)
