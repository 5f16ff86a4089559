-- The end of a program: what was written is still sent, tasks are ended in order, and all of it in a
-- bounded time.

local qn = require "qn"
local program = require "spec.support.program"
local qnlua = program.qnlua()

-- Runs `code` in a program of its own, with the port of a server here as ...; what the server got, and how
-- the program ended. `serve` is given the socket and returns what it read.
local function against_server(code, serve)
  local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
  local folder = program.scratch()
  local file = assert(io.open(folder .. "/script.lua", "w"))
  file:write(code)
  file:close()
  local p <close> = program.start { qnlua, folder .. "/script.lua", server:port() }
  local socket <close> = assert(server:accept(10))
  local got = serve(socket, p)
  local status, out, err = p:wait()
  program.remove(folder)
  return got, status, out, err
end

local function all(socket)
  return (assert(socket:read("a", { timeout = 10 })))
end

describe("at the end of a program", function()
  it("what was written is sent, by streams that nobody closed", function()
    local got, status, _, err = against_server([[
      local s = assert(qn.tcp.connect("127.0.0.1", ...))
      s:write("last words")]], all)
    assert.equal("last words", got)
    assert.equal(0, status)
    assert.is_nil(err:find("left on the loop", 1, true))
  end)

  it("also much of it, to a slow reader", function()
    local got = against_server([[
      local s = assert(qn.tcp.connect("127.0.0.1", ...))
      s:set_write_mark(64 << 20)
      s:write(("0123456789abcdef"):rep(1 << 20))]], function(socket)
      local n = 0
      for piece in socket:chunks() do
        n = n + #piece
        qn.sleep(0)
      end
      return n
    end)
    assert.equal(16 << 20, got)
  end)

  it("also by closed streams, after an error, and after os.exit", function()
    for _, ending in ipairs { "s:close()", "error 'x'", "os.exit(3)", "s = nil collectgarbage()" } do
      local got = against_server(([[
        s = assert(qn.tcp.connect("127.0.0.1", ...))
        s:write(("x"):rep(500000))
        %s]]):format(ending), function(socket) return #all(socket) end)
      assert.equal(500000, got, ending)
    end
  end)

  it("also from clean-up code and by a task that is ended", function()
    local got = against_server([[
      local s = assert(qn.tcp.connect("127.0.0.1", ...))
      qn.detach(function()
        local _ <close> = setmetatable({}, { __close = function()
          qn.shield(s.write, s, "from the task")
        end })
        qn.sleep(60)
      end)
      qn.sleep(0.001)]], all)
    assert.equal("from the task", got)
  end)

  it("a peer that takes nothing is not waited for beyond patience", function()
    local _, status, _, err = against_server([[
      local s = assert(qn.tcp.connect("127.0.0.1", ...))
      s:set_write_mark(64 << 20)
      s:write(("x"):rep(32 << 20))
      io.stdout:write("written\n")
      io.stdout:flush()]], function(_, p)
      p:wait_for("written\n")
      p:stop("INT") -- impatience: it ends long before its grace is over
    end)
    assert.equal(130, status)
    assert.is_nil(err:find("left on the loop", 1, true))
  end)

  it("clean-up that takes for ever is cut off by impatience, and what it holds is closed", function()
    local p <close> = program.start { qnlua, "-e", [[
      io.stdout:setvbuf 'no'
      qn.detach(function()
        local _ <close> = setmetatable({}, { __close = function(_, e) print('outer', e) end })
        local _ <close> = setmetatable({}, { __close = function()
          qn.shield({ grace = false }, function() print 'cleaning' qn.sleep(3600) end)
        end })
        qn.sleep(60)
      end)
      qn.sleep(0)]] }
    p:wait_for("cleaning\n")
    local status, out = p:stop("INT")
    assert.equal(130, status)
    assert.truthy(out:find("outer\t", 1, true), out)
  end)

  it("a call in the thread pool that is still running does not hold it", function()
    -- a write to a pipe that nobody reads, in a thread: cancelled at the end, but it cannot be stopped
    local status, out = program.run { "sh", "-c", [[
      f=$(mktemp -u) && mkfifo "$f" && exec 3<>"$f" && rm "$f"
      QN_FIFO=/proc/$$/fd/3 "$0" -e '
        local f = assert(qn.file.open(os.getenv "QN_FIFO", "w"))
        qn.detach(function() f:write(("x"):rep(1 << 20)) f:flush() end)
        qn.sleep(0.01)
        print "end"' ]], qnlua }
    assert.equal("end\n", out)
    assert.equal(0, status)
  end)

  it("listeners and idle connections do not hold it", function()
    local status = program.run { qnlua, "-e", [[
      server = assert(qn.tcp.listen("127.0.0.1", 0))
      client = assert(qn.tcp.connect("127.0.0.1", server:port()))
      other = assert(server:accept())
      qn.detach(function() server:accept() end)
      watch = qn.signal "usr1"
      qn.sleep(0)]] }
    assert.equal(0, status)
  end)

  it("detached tasks are cancelled, children are waited for", function()
    local status, out = program.run { qnlua, "-e", [[
      qn.detach(function()
        local _ <close> = setmetatable({}, { __close = function(_, e) print('detached', e) end })
        qn.sleep(60)
      end)
      qn.spawn(function() qn.sleep(0.02) print 'child' end)
      qn.sleep(0)]] }
    assert.equal("child\ndetached\tcancelled\n", out)
    assert.equal(0, status)
  end)

  it("a task that is born during the end is ended, too", function()
    local status, out, err = program.run { qnlua, "-e", [[
      qn.detach(function()
        local _ <close> = setmetatable({}, { __close = function()
          qn.detach(function() print 'no' end)
          qn.spawn(function() print 'no' end)
        end })
        qn.sleep(60)
      end)
      qn.sleep(0)]] }
    assert.equal("", out)
    assert.equal("", err)
    assert.equal(0, status)
  end)

  it("finalizers find the library closed, and nothing breaks", function()
    local status, out = program.run { qnlua, "-e", [[
      local s = assert(qn.tcp.listen("127.0.0.1", 0))
      local a, b = qn.pair()
      keep = setmetatable({}, { __gc = function()
        print(pcall(qn.sleep, 1))
        print(pcall(qn.spawn, print))
        print(pcall(a.write, a, "x"))
        print(pcall(s.port, s))
        print(pcall(qn.tcp.connect, "127.0.0.1", 1))
        print((pcall(qn.pair)), (pcall(qn.tcp.listen, "127.0.0.1", 0))) -- need no wait
        print(pcall(coroutine.wrap(function() return "coroutine" end)))
      end })]] }
    assert.equal(0, status)
    assert.truthy(out:find("^false\t'sleep' would wait inside a finalizer[^\n]+\nfalse\t"), out)
    assert.truthy(out:find("\nfalse\t'connect' would wait inside a finalizer[^\n]+\ntrue\ttrue\ntrue\tcoroutine\n$"), out)
  end)
end)
