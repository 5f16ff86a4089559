-- What files have besides: truncate, sync, stat, their life and events; copy and send_file; calls
-- on names in the file system.
-- covers: bindings/b_file.c

local qn = require "qn"
local core = require "qn.core"
local pair = require "spec.support.pair"
local splits = require "spec.support.splits"
local temp = require "spec.support.temp"
local throws = require "spec.support.throws"

local open = core.file_open
local PIECE <const> = 64 * 1024

-- nil and an error of this kind and code that names the call and the path.
local function assert_error(kind, code, op, path, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.same({ kind, code, op, path }, { err.kind, err.code, err.op, err.peer })
  return err
end

describe("a file", function()
  it("is truncated and extended behind what was written", function()
    local dir <close> = temp.dir()
    local path = temp.put(dir .. "f", "0123456789")
    local file <close> = assert(open(path, "r+"))
    assert.equal("01", file:read(2))
    assert(file:write("ab"))
    assert.is_true(file:truncate(5))
    assert.equal("01ab4", temp.get(path))
    assert.equal("4", file:read("a"))
    assert.is_true(file:truncate(7))
    assert.equal("01ab4\0\0", temp.get(path))
    throws.method(assert, "must not be negative", file, "truncate", -1)
    throws.method(assert, "number expected", file, "truncate")
  end)

  it("is synced", function()
    local dir <close> = temp.dir()
    local file <close> = assert(open(dir .. "f", "w"))
    assert(file:write("text"))
    assert.is_true(file:sync())
    assert.equal("text", temp.get(dir .. "f"))
    file:close()
    assert_error("closed", "CLOSED", "sync", dir .. "f", file:sync())
  end)

  it("tells what the system knows", function()
    local dir <close> = temp.dir()
    local file <close> = assert(open(dir .. "f", "w"))
    assert(file:write("text"))
    local stat = assert(file:stat())
    assert.equal(4, stat.size)
    assert.equal("file", stat.type)
    assert.same(assert(core.file_stat(dir .. "f")), stat)
    for _, name in ipairs { "mode", "uid", "gid", "inode", "device" } do
      assert.equal("integer", math.type(stat[name]), name)
    end
    for _, name in ipairs { "modified", "accessed", "changed" } do
      assert.is_true(math.abs(stat[name] - qn.time()) < 3600, name)
    end
    file:close()
    assert_error("closed", "CLOSED", "stat", dir .. "f", file:stat())
  end)

  it("shows its path and descriptor", function()
    local dir <close> = temp.dir()
    local file <close> = assert(open(temp.put(dir .. "f", "")))
    assert.equal(dir .. "f", file:path())
    assert.equal("integer", math.type(file:descriptor()))
    assert.truthy(tostring(file):find("^qn%.File: #%d+ connected " .. dir.path:gsub("%p", "%%%0")))
    assert.equal("file", file:layers())
    file:close()
    assert.is_nil(file:descriptor())
    assert.equal(dir .. "f", file:path())
  end)

  it("is closed at the end of its scope, and only once", function()
    local dir <close> = temp.dir()
    local kept
    do
      local file <close> = assert(open(dir .. "f", "w"))
      assert(file:write("text"))
      kept = file
    end
    assert.is_true(kept:wait_closed())
    kept:close()
    kept:abort()
    assert.equal("text", temp.get(dir .. "f"))
    assert_error("closed", "CLOSED", "read", dir .. "f", kept:read(1))
    assert_error("closed", "CLOSED", "write", dir .. "f", kept:write("x"))
  end)

  it("is counted when the collector has to close it", function()
    local dir <close> = temp.dir()
    require("spec.support.leaks").expect { leaked = 1 }
    assert(assert(open(dir .. "f", "w")):write("still written"))
    collectgarbage()
    collectgarbage()
    splits.until_true("the bytes are on the disk", function()
      return temp.get(dir .. "f") == "still written"
    end)
  end)

  it("has the events of a stream", function()
    local dir <close> = temp.dir()
    local file <close> = assert(open(temp.put(dir .. "f", "text")))
    local seen = {}
    file:on("ready_read", function()
      seen[#seen + 1] = "ready_read"
    end)
    file:on("closed", function()
      seen[#seen + 1] = "closed"
    end)
    splits.until_true("it has read ahead", function()
      return #seen > 0
    end)
    assert.equal("text", file:read("a"))
    file:close()
    splits.until_true("it was told of the close", function()
      return seen[#seen] == "closed"
    end)
  end)

  it("does not mind being closed at any moment", function()
    local dir <close> = temp.dir()
    temp.put(dir .. "f", temp.pattern(3 * PIECE))
    for turns = 0, 6 do
      for _, how in ipairs { "close", "abort" } do
        local file <close> = assert(open(dir .. "f", "r+"))
        local reader = qn.spawn(file.read, file, 2 * PIECE)
        local writer = qn.spawn(function()
          assert(file:write(("y"):rep(PIECE)))
          file:flush()
        end)
        for _ = 1, turns do
          qn.yield()
        end
        file[how](file)
        reader:join()
        writer:join()
      end
    end
  end)
end)

describe("between files and sockets", function()
  for _, kind in ipairs(pair.kinds) do
    it("a copy goes both ways (" .. kind .. ")", pair.body(kind, function(a, b)
      local dir <close> = temp.dir()
      local data = temp.pattern(1 << 20)
      local source <close> = assert(open(temp.put(dir .. "from", data)))
      local target <close> = assert(open(dir .. "to", "w"))
      local up = qn.spawn(qn.copy, source, a)
      assert.equal(#data, qn.copy(b, target))
      assert.same({ true, #data }, { up:join() })
      assert.is_true(target:wait_closed())
      assert.is_true(temp.get(dir .. "to") == data)
    end))
  end

  it("a copy to a full disk fails on the writing side", function()
    local dir <close> = temp.dir()
    local source <close> = assert(open(temp.put(dir .. "from", temp.pattern(1 << 20))))
    local target <close> = assert(open("/dev/full", "w"))
    local moved, err = qn.copy(source, target)
    assert.is_nil(moved)
    assert.same({ "ENOSPC", "write" }, { err.code, err.side })
  end)

  it("send_file takes an open file", pair.body("tcp", function(a, b)
    local dir <close> = temp.dir()
    local data = temp.pattern(300000)
    local file <close> = assert(open(temp.put(dir .. "f", data)))
    local sender = qn.spawn(function()
      local n = a:send_file(file, { offset = 10 })
      a:shutdown("w")
      return n
    end)
    assert.is_true(b:read("a") == data:sub(11))
    assert.same({ true, #data - 10 }, { sender:join() })
    assert.equal(0, file:seek())
  end))
end)

describe("calls on names", function()
  it("stat follows links or not", function()
    local dir <close> = temp.dir()
    local path = temp.put(dir .. "f", "text")
    os.execute(("ln -s f %s/link"):format(dir.path))
    os.execute("mkfifo " .. dir.path .. "/p")
    assert.equal("file", core.file_stat(dir .. "link").type)
    assert.equal("link", core.file_stat(dir .. "link", { follow = false }).type)
    assert.equal("directory", core.file_stat(dir.path).type)
    assert.equal("pipe", core.file_stat(dir .. "p").type)
    assert.equal("character", core.file_stat("/dev/null").type)
    assert_error("io", "ENOENT", "stat", dir .. "none", core.file_stat(dir .. "none"))
    throws.call(assert, "unknown option 'folow' %(did you mean 'follow'", core, "file_stat", path,
      { folow = true })
  end)

  it("remove, rename, mkdir and chmod say how it went", function()
    local dir <close> = temp.dir()
    temp.put(dir .. "f", "text")
    assert.is_true(core.file_mkdir(dir .. "d"))
    assert_error("exists", "EEXIST", "mkdir", dir .. "d", core.file_mkdir(dir .. "d"))
    assert.is_true(core.file_rename(dir .. "f", dir .. "d/g"))
    assert_error("io", "ENOENT", "rename", dir .. "f", core.file_rename(dir .. "f", dir .. "g"))
    assert_error("exists", "ENOTEMPTY", "remove", dir .. "d", core.file_remove(dir .. "d"))
    assert.is_true(core.file_chmod(dir .. "d/g", tonumber("640", 8)))
    assert.equal(tonumber("640", 8), core.file_stat(dir .. "d/g").mode)
    assert_error("io", "ENOENT", "chmod", dir .. "f", core.file_chmod(dir .. "f", 0))
    assert.is_true(core.file_remove(dir .. "d/g"))
    assert.is_true(core.file_remove(dir .. "d"))
    assert_error("io", "ENOENT", "remove", dir .. "d", core.file_remove(dir .. "d"))
    throws.call(assert, "a mode is from 0", core, "file_chmod", "f", 4096)
    throws.call(assert, "a mode is from 0", core, "file_mkdir", "f", -1)
    throws.call(assert, "#2", core, "file_rename", "f")
  end)

  it("list finds every name, also when they are many", function()
    local dir <close> = temp.dir()
    assert.same({}, core.file_list(dir.path))
    local expected = {}
    for i = 1, 300 do
      expected[i] = ("%03d"):format(i) .. ("n"):rep(100)
      temp.put(dir .. expected[i], "")
    end
    local names = core.file_list(dir.path)
    table.sort(names)
    assert.same(expected, names)
    assert_error("io", "ENOTDIR", "list", dir .. expected[1], core.file_list(dir .. expected[1]))
  end)
end)
