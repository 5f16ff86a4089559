-- Whole files in one call, folders, the standard streams, text and data streams over files, and a
-- large file to a socket and back.

local qn = require "qn"
local pair = require "spec.support.pair"
local program = require "spec.support.program"
local splits = require "spec.support.splits"
local temp = require "spec.support.temp"
local throws = require "spec.support.throws"

local file = qn.file

local function assert_error(kind, code, op, path, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.same({ kind, code, op, path }, { err.kind, err.code, err.op, err.peer })
end

describe("qn.file.read", function()
  it("gives the whole content", function()
    local dir <close> = temp.dir()
    for _, size in ipairs { 0, 1, 65536, 1000000 } do
      local data = temp.pattern(size)
      assert.is_true(file.read(temp.put(dir .. "f", data)) == data)
    end
  end)

  it("takes no more than max", function()
    local dir <close> = temp.dir()
    temp.put(dir .. "f", ("x"):rep(1000))
    assert.equal(1000, #file.read(dir .. "f", { max = 1000 }))
    local data, err = file.read(dir .. "f", { max = 999 })
    assert.is_nil(data)
    assert.equal("limit", err.kind)
    data, err = file.read("/dev/zero", { max = 100000 })
    assert.is_nil(data)
    assert.equal("limit", err.kind)
  end)

  it("reads what has no size", function()
    assert.truthy(file.read("/proc/self/status"):find("^Name:"))
    assert.equal("", file.read("/dev/null"))
  end)

  it("says why not", function()
    local dir <close> = temp.dir()
    assert_error("io", "ENOENT", "open", dir .. "none", file.read(dir .. "none"))
    assert_error("io", "EISDIR", "open", dir.path, file.read(dir.path))
    throws.call(assert, "unknown option 'maxx' %(did you mean 'max'%?%)", file, "read", "f",
      { maxx = 1 })
    throws.call(assert, "option 'max' must be at least 1", file, "read", "f", { max = 0 })
  end)
end)

describe("a path of qn.file", function()
  for _, name in ipairs { "open", "stat", "remove", "mkdir", "list", "read", "write", "append" } do
    it("is checked by " .. name .. ", which is named", function()
      for _, path in ipairs { {}, "a\0b" } do
        local wanted = type(path) == "table" and "string expected, got table" or "must not hold zeros"
        local call = assert(load("local f, p = ... local x = f." .. name .. "(p) return x", "=here"))
        local ok, message = pcall(call, file, path)
        assert.is_false(ok)
        assert.matches("^here:1: bad argument #1 to '" .. name .. "' %(.*" .. wanted, message)
      end
    end)
  end
end)

describe("qn.file.write", function()
  it("writes strings, numbers and buffers", function()
    local dir <close> = temp.dir()
    for data, text in pairs { ["a str"] = "a str", [12] = "12", [qn.buffer("bytes")] = "bytes" } do
      assert.is_true(file.write(dir .. "f", data))
      assert.equal(text, temp.get(dir .. "f"))
    end
    throws.call(assert, "#2 to 'write' %(string or qn.Buffer expected", file, "write", "f")
  end)

  it("replaces, appends, or insists on a new file", function()
    local dir <close> = temp.dir()
    assert(file.write(dir .. "f", "one", { mode = "wx" }))
    local path = dir .. "f"
    assert_error("exists", "EEXIST", "open", path, file.write(path, "two", { mode = "wx" }))
    assert(file.write(dir .. "f", ", two", { mode = "a" }))
    assert.is_true(file.append(dir .. "f", ", three"))
    assert(file.write(dir .. "f", "ONE", { mode = "r+" }))
    assert.equal("ONE, two, three", temp.get(dir .. "f"))
    assert(file.write(dir .. "f", ""))
    assert.equal("", temp.get(dir .. "f"))
    assert(file.append(dir .. "new", "made"))
    assert.equal("made", temp.get(dir .. "new"))
    throws.call(assert, "option 'mode' must be one of", file, "write", path, "", { mode = "rw" })
  end)

  it("waits until the system has it, and tells when it has not", function()
    assert_error("limit", "ENOSPC", "close", "/dev/full", file.write("/dev/full", "x"))
    assert_error("limit", "ENOSPC", "close", "/dev/full", file.append("/dev/full", "x"))
    local ok, err = file.write("/dev/full", ("x"):rep(3 << 20))
    assert.is_nil(ok)
    assert.equal("ENOSPC", err.code)
  end)
end)

describe("an atomic write", function()
  it("puts the new file in the place of the old one", function()
    local dir <close> = temp.dir()
    temp.put(dir .. "f", "old")
    assert(file.chmod(dir .. "f", tonumber("640", 8)))
    local before = assert(file.stat(dir .. "f"))
    local reader <close> = assert(file.open(dir .. "f"))
    assert.is_true(file.write(dir .. "f", "new", { atomic = true }))
    local after = assert(file.stat(dir .. "f"))
    assert.equal("new", temp.get(dir .. "f"))
    assert.equal(before.mode, after.mode)
    assert.not_equal(before.inode, after.inode)
    assert.equal("old", reader:read("a")) -- who has it open keeps it
    assert.same({ "f" }, file.list(dir.path))
  end)

  it("makes a file that was not there", function()
    local dir <close> = temp.dir()
    local data = temp.pattern(500000)
    assert.is_true(file.write(dir .. "f", data, { atomic = true, mode = "w" }))
    assert.is_true(temp.get(dir .. "f") == data)
    assert.same({ "f" }, file.list(dir.path))
  end)

  it("leaves nothing behind when it fails", function()
    local dir <close> = temp.dir()
    assert(file.mkdir(dir .. "d"))
    local ok, err = file.write(dir .. "d", "x", { atomic = true })
    assert.is_nil(ok)
    assert.equal("EISDIR", err.code)
    ok, err = file.write(dir .. "none/f", "x", { atomic = true })
    assert.is_nil(ok)
    assert.equal("ENOENT", err.code)
    assert.truthy(err.peer:find(dir .. "none/", 1, true))
    assert.same({ "d" }, file.list(dir.path))
    throws.call(assert, "option 'atomic' goes with mode 'w' only", file, "write", dir .. "f", "",
      { atomic = true, mode = "a" })
  end)

  it("leaves nothing behind when it is cancelled, and never a part", function()
    local dir <close> = temp.dir()
    temp.put(dir .. "f", "old")
    for turns = 0, 12 do
      local task = qn.spawn(file.write, dir .. "f", ("new"):rep(30000), { atomic = true })
      for _ = 1, turns do
        qn.sleep(0.0003)
      end
      task:cancel()
      task:join()
      splits.until_true("the temporary file is gone", function()
        return #file.list(dir.path) == 1
      end)
      local data = temp.get(dir .. "f")
      assert.is_true(data == "old" or data == ("new"):rep(30000))
    end
  end)
end)

describe("folders", function()
  it("are made, listed in order, removed", function()
    local dir <close> = temp.dir()
    assert.is_true(file.mkdir(dir .. "a"))
    assert_error("exists", "EEXIST", "mkdir", dir .. "a", file.mkdir(dir .. "a"))
    for _, name in ipairs { "z", "b", "m" } do
      temp.put(dir .. "a/" .. name, "")
    end
    assert.same({ "b", "m", "z" }, file.list(dir .. "a"))
    assert_error("exists", "ENOTEMPTY", "remove", dir .. "a", file.remove(dir .. "a"))
    assert_error("io", "ENOENT", "list", dir .. "none", file.list(dir .. "none"))
    assert.is_true(file.rename(dir .. "a/z", dir .. "z"))
    assert.same({ "a", "z" }, file.list(dir.path))
    assert.is_true(file.remove(dir .. "z"))
  end)

  it("are made with everything that leads there", function()
    local dir <close> = temp.dir()
    local parents = { parents = true }
    assert.is_true(file.mkdir(dir .. "a/b//c/", parents))
    assert.is_true(file.mkdir(dir .. "a/b/c", parents))
    assert.equal("directory", file.stat(dir .. "a/b/c").type)
    assert_error("io", "ENOENT", "mkdir", dir .. "x/y", file.mkdir(dir .. "x/y"))
    temp.put(dir .. "f", "")
    assert_error("exists", "EEXIST", "mkdir", dir .. "f", file.mkdir(dir .. "f", parents))
    assert_error("exists", "EEXIST", "mkdir", dir .. "f", file.mkdir(dir .. "f/g", parents))
    assert_error("io", "ENOENT", "mkdir", "", file.mkdir("", parents))
    assert.is_true(file.mkdir("/", parents))
    assert(file.mkdir(dir .. "m", { mode = tonumber("500", 8) }))
    assert.equal(tonumber("500", 8), file.stat(dir .. "m").mode)
    throws.call(assert, "option 'mode' must be from 0 to 4095", file, "mkdir", "f", { mode = 4096 })
  end)
end)

describe("text and data streams", function()
  it("know the position of a file", function()
    local dir <close> = temp.dir()
    local f <close> = assert(file.open(temp.put(dir .. "f", "grün\nzwei\ndrei\n"), "r+"))
    local text = f:text_stream()
    assert.equal("grün", text:read_line())
    assert.equal(6, text:pos())
    assert.equal("zwei", text:read_line())
    assert.is_true(text:seek(6))
    assert.equal("zwei", text:read_line())
    assert.is_true(text:seek(0))
    assert.equal("grün", text:read_line())
    assert(text:write("ZWEI"))
    assert.equal(10, text:pos())
    assert(text:flush())
    assert.equal("grün\nZWEI\ndrei\n", temp.get(dir .. "f"))
    assert.is_true(text:seek(6))
    assert.equal("ZWEI", text:read_line())
    assert.equal("drei", text:read_line())
    assert.is_nil(text:read_line())
  end)

  it("write and read records", function()
    local dir <close> = temp.dir()
    local f <close> = assert(file.open(dir .. "f", "w+"))
    local data = f:data_stream()
    for i = 1, 5000 do
      assert(data:write_uint32(i))
      assert(data:write_string("record " .. i))
    end
    assert(f:flush())
    assert.equal(0, f:seek("set"))
    for i = 1, 5000 do
      assert.equal(i, data:read_uint32())
      assert.equal("record " .. i, data:read_string())
    end
    assert.is_true(data:at_end())
  end)
end)

describe("a large file", function()
  it("goes through a socket and comes back the same", function()
    local dir <close> = temp.dir()
    local SIZE <const> = 20 << 20
    local block = temp.pattern(1 << 20)
    do
      local f <close> = assert(file.open(dir .. "from", "w"))
      for i = 0, 15 do -- five sparse megabytes, then real ones that differ
        assert(f:write(("%8d"):format(i), block:sub(9)))
        if i == 7 then
          assert(f:seek("end", 4 << 20))
        end
      end
      f:close()
      assert(f:wait_closed())
    end
    assert.equal(SIZE, file.stat(dir .. "from").size)
    pair.with("tcp", function(a, b)
      local source <close> = assert(file.open(dir .. "from"))
      local target <close> = assert(file.open(dir .. "to", "w"))
      local echo = qn.spawn(qn.copy, b, b)
      local up = qn.spawn(qn.copy, source, a)
      assert.equal(SIZE, qn.copy(a, target))
      assert.same({ true, SIZE }, { up:join() })
      assert.same({ true, SIZE }, { echo:join() })
      assert.is_true(target:wait_closed())
    end)
    assert.same({ 0, "", "" }, { program.run { "cmp", dir .. "from", dir .. "to" } })
  end)
end)

describe("FIFOs", function()
  it("connect programs without holding up the loop", function()
    local dir <close> = temp.dir()
    assert(os.execute("mkfifo " .. dir.path .. "/p"))
    local writer = qn.spawn(function()
      local f <close> = assert(file.open(dir .. "p", "w"))
      for i = 1, 3 do
        assert(f:write("line ", i, "\n"))
        qn.sleep(0.001)
      end
    end)
    local ticks = 0
    local ticker = qn.spawn(function()
      while true do
        qn.sleep(0.0005)
        ticks = ticks + 1
      end
    end)
    local f <close> = assert(file.open(dir .. "p"))
    local lines = {}
    for line in f:lines() do
      lines[#lines + 1] = line
    end
    assert.same({ "line 1", "line 2", "line 3" }, lines)
    assert.is_true(writer:join())
    splits.until_true("the loop went on", function()
      return ticks > 0
    end)
    ticker:cancel()
  end)

  it("may be idle in any number", function()
    local dir <close> = temp.dir()
    qn.group(function(g)
      local files = {}
      for i = 1, 12 do -- more than the thread pool has threads
        assert(os.execute(("mkfifo %s/%d"):format(dir.path, i)))
        files[i] = assert(file.open(dir .. i, "r+"))
        g:spawn(function()
          assert.equal("line " .. i, files[i]:read())
          files[i]:close()
        end)
      end
      qn.sleep(0.01)
      assert.is_true(file.write(dir .. "f", "the pool is free"))
      for i = 12, 1, -1 do
        assert(files[i]:write("line ", i, "\n"))
      end
    end)
  end)
end)

describe("the standard streams", function()
  local function run(code, tail)
    local folder <close> = temp.dir()
    temp.put(folder .. "script.lua", 'local qn = require "qn"\n' .. code)
    local command = ("%s %s"):format(program.qnlua(), folder .. "script.lua")
    local status, out, err = program.run { "sh", "-c", (tail:gsub("%%", function()
      return command
    end)) }
    return status, out, err
  end

  it("read and write what the shell has connected", function()
    local status, out = run([[
      for line in qn.file.stdin():lines() do
        qn.file.stdout():write("[", line, "]\n")
      end
      qn.file.stdout():flush() -- between the two there is no order
      qn.file.stderr():write("done\n")
    ]], "printf 'one\\ntwo\\nlast' | % 2>&1 | cat")
    assert.equal("[one]\n[two]\n[last]\ndone\n", out)
    assert.equal(0, status)
  end)

  it("are the same every time, until they are closed", function()
    local status, out, err = run([[
      local input = qn.file.stdin()
      assert(input == qn.file.stdin())
      assert(input:read() == "one")
      assert(qn.file.stdin():read() == "two")
      assert(input:path() == "/dev/stdin")
      local output = qn.file.stdout()
      output:write("first ")
      output:close()
      assert(output:wait_closed())
      assert(qn.file.stdout() ~= output)
      io.write("io ") -- descriptor 1 is still open
      io.flush()
      assert(qn.file.stdout():write("second"))
    ]], "printf 'one\\ntwo\\n' | %")
    assert.same({ 0, "first io second", "" }, { status, out, err })
  end)

  it("write everything before the program ends", function()
    local status, out = run([[qn.file.stdout():write(("x"):rep(3000000))]], "% | wc -c")
    assert.same({ 0, 3000000 }, { status, tonumber(out) })
    status, out = run([[
      io.write("before ") io.flush()
      qn.file.stdout():write("between ")
      qn.file.stdout():flush()
      io.write("after")
    ]], "f=$(mktemp) && % >$f && cat $f && rm $f")
    assert.same({ 0, "before between after" }, { status, out })
  end)

  it("do not keep the program when nobody waits for them", function()
    local status, out = run([[
      qn.detach(function() qn.file.stdin():read() end)
      qn.sleep(0.01)
      print("ended")
    ]], "p=$(mktemp -u) && mkfifo $p && exec 3<>$p && rm $p && % <&3")
    assert.same({ 0, "ended\n" }, { status, out })
  end)

  it("tell that the reader has left", function()
    local status, out, err = run([[
      local output = qn.file.stdout()
      local ok, e
      repeat ok, e = output:write(("x"):rep(100000)) until not ok
      qn.file.stderr():write(tostring(e))
    ]], "% | head -c 1 | wc -c")
    assert.same({ 0, "1", "write /dev/stdout: the peer closed the connection (EPIPE)" },
      { status, out:match("%d+"), err })
  end)
end)
