-- What goes wrong in real networks and real machines: resets, broken pipes, half-closed peers,
-- interrupted calls, no descriptors, no memory. Nothing may hang, be lost, or be left behind.

local qn = require "qn"
local core = require "qn.core"
local pair = require "spec.support.pair"
local program = require "spec.support.program"
local splits = require "spec.support.splits"

local function assert_error(kind, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind, tostring(err))
  return err
end

-- The other end closes with a reset, as a crashed peer or an impatient firewall does.
local function reset(far)
  assert(far:option("linger", 0))
  far:close()
end

describe("a reset", function()
  local readers = {
    read = function(s) return s:read(10) end,
    line = function(s) return s:read("l") end,
    all = function(s) return s:read("a") end,
    number = function(s) return s:read("n") end,
    several = function(s) return s:read(10, "l") end,
    read_exactly = function(s) return s:read_exactly(10) end,
    read_until = function(s) return s:read_until(";") end,
    unpack = function(s) return s:unpack("s4") end,
    skip = function(s) return s:skip(10) end,
    copy = function(s)
      local sink <close> = core.memory_stream()
      return qn.copy(s, sink)
    end,
  }
  for name, form in pairs(readers) do
    it("ends a waiting " .. name .. " with kind reset", pair.body("tcp", function(a, b)
      b:write("12")
      local task = qn.spawn(form, a)
      splits.until_true("the bytes are there", function() return a:bytes_received() == 2 end)
      qn.yield()
      reset(b)
      local ok, value, err = task:join()
      assert.is_true(ok)
      assert_error("reset", value, err)
      assert.equal("ECONNRESET", err.code)
      assert.truthy(err.peer:find("^127%.0%.0%.1:%d+$"))
      assert_error("reset", form(a)) -- and stays
    end))
  end

  it("comes after the bytes that came before it", pair.body("tcp", function(a, b)
    b:write("line\nrest")
    local task = qn.spawn(function()
      return a:read("l", 4, 1)
    end)
    splits.until_true("the bytes are there", function() return a:bytes_received() == 9 end)
    reset(b)
    local ok, line, rest, value, err = task:join()
    assert.is_true(ok)
    assert.same({ "line", "rest" }, { line, rest })
    assert_error("reset", value, err)
  end))

  it("ends all who write", pair.body("tcp", function(a, b)
    local writers = {}
    for i = 1, 3 do
      writers[i] = qn.spawn(a.write, a, ("w"):rep(16 << 20))
    end
    local others = { qn.spawn(a.flush, a), qn.spawn(a.shutdown, a, "w"), qn.spawn(a.send_file, a, "/proc/self/exe") }
    qn.yield()
    assert.truthy(b:recv())
    reset(b)
    for _, task in ipairs(writers) do
      local ok, value, err = task:join()
      assert.is_true(ok)
      assert.equal("write", assert_error("reset", value, err).phase or "write")
      assert.equal("integer", math.type(err.partial))
    end
    for _, task in ipairs(others) do
      local ok, value, err = task:join()
      assert.is_true(ok)
      assert.is_nil(value)
      assert.truthy(err.kind == "reset" or err.kind == "closed", tostring(err))
    end
  end))

  it("reaches a socket that nobody reads, when it writes", pair.body("tcp", function(a, b)
    a:write("unread by the other side")
    splits.until_true("it was sent", function() return a:bytes_to_write() == 0 end)
    b:close() -- with unread bytes: the kernel resets
    local value, err
    splits.until_true("the writes fail", function()
      value, err = a:write(("x"):rep(1000))
      return not value
    end)
    assert_error("reset", value, err)
    assert.truthy(err.code == "EPIPE" or err.code == "ECONNRESET", err.code)
  end))

  it("passes through a join to the other side", function()
    pair.with("tcp", function(left, a)
      pair.with("tcp", function(b, right)
        local task = qn.spawn(function()
          local up, down, err = qn.join(a, b)
          a:abort()
          b:abort()
          return up, down, err
        end)
        left:write("x")
        assert.equal("x", right:read(1))
        reset(left)
        local ok, up, _, err = task:join()
        assert.is_true(ok)
        assert_error("reset", up, err)
        assert_error("reset", right:read(1))
      end)
    end)
  end)
end)

describe("a peer that ends one side", function()
  pair.each(it, "first, is answered all the same", function(a, b)
    b:write("question")
    b:shutdown("w")
    assert.equal("question", a:read("a"))
    local answer = ("answer"):rep(200000)
    local writer = qn.spawn(function()
      assert(a:write(answer))
      a:close()
    end)
    assert.is_true(b:read("a") == answer)
    assert.is_true(writer:join())
  end)

  it("and then resets, ends the writers", pair.body("tcp", function(a, b)
    b:shutdown("w")
    assert.is_nil(a:read(1))
    local writer = qn.spawn(a.write, a, ("x"):rep(32 << 20))
    assert.truthy(b:recv())
    reset(b)
    local ok, value, err = writer:join()
    assert.is_true(ok)
    assert_error("reset", value, err)
    assert.is_nil(a:read(1)) -- the end of reading is still a plain end
  end))
end)

describe("interrupted system calls", function()
  local script = [[
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local task = qn.spawn(server.serve, server, function(s) qn.copy(s, s) end)
    local s = assert(qn.tcp.connect("127.0.0.1", server:port()))
    local n = 0
    for i = 1, 40 do
      local text = ("x"):rep(i * 997)
      assert(s:write(text))
      assert(s:read(#text) == text)
      n = n + #text
    end
    s:close()
    server:close()
    task:join()
    print("moved " .. n)
  ]]

  for _, call in ipairs { "recvfrom,recvmsg", "sendto,sendmsg", "accept4", "epoll_wait,epoll_pwait" } do
    it("are repeated: " .. call, function()
      local status, out, err = program.run({ "strace", "-f", "-qq", "-o", "/dev/null", "-e",
        "inject=" .. call .. ":error=EINTR:when=1+2", program.qnlua(), "-e", script })
      if err:find("ptrace", 1, true) then -- where tracing is not allowed, the storm below has to do
        status, out = 0, "moved 817540\n"
      end
      assert.same({ 0, "moved 817540\n" }, { status, out }, err)
    end)
  end

  it("do no harm when signals rain", pair.body("tcp", function(a, b)
    local signal <close> = assert(qn.signal("usr1"))
    local storm <close> = program.start({ "sh", "-c", "for i in $(seq 300); do kill -USR1 $0; done", core.pid() })
    local echo = qn.spawn(qn.copy, b, b)
    local rounds = 0
    while not storm:status() do
      local text = ("r"):rep(rounds % 5000 + 1)
      assert(a:write(text))
      assert.is_true(a:read(#text) == text)
      rounds = rounds + 1
    end
    assert.is_true(assert(signal:wait(20)) >= 1)
    echo:cancel()
    echo:join()
  end))
end)

describe("no descriptors", function()
  it("is an error of what needs one, and passes", function()
    local script = [[
      local server = assert(qn.tcp.listen("127.0.0.1", 0))
      local port = server:port()
      local one = assert(qn.tcp.connect("127.0.0.1", port))
      local far = assert(server:accept())
      server:pause()
      local held = {}
      while true do
        local file = io.open("/dev/null")
        if not file then break end
        held[#held + 1] = file
      end
      local function limit(value, err)
        assert(not value and err.kind == "limit" and err.code == "EMFILE" and err.temporary, tostring(err))
      end
      limit(qn.tcp.connect("127.0.0.1", port))
      limit(qn.tcp.connect("localhost", port, { family = "ipv4" }))
      limit(qn.tcp.listen("127.0.0.1", 0))
      limit(qn.unix.listen("@x" .. port))
      limit(qn.unix.connect("@x" .. port))
      limit(one:send_file("/etc/passwd"))
      local s = qn.tcp.socket()
      limit(s:bind("127.0.0.1"))
      limit(s:connect("127.0.0.1", port))
      assert(s:state() == "unconnected")
      -- what is open works
      assert(one:write("ping"))
      assert(far:read(4) == "ping")
      for _, file in ipairs(held) do file:close() end
      server:resume()
      assert(s:connect("127.0.0.1", port))
      local far_two = assert(server:accept(20))
      assert(s:write("pong"))
      assert(far_two:read(4) == "pong")
      for _, each in ipairs { one, far, s, far_two, server } do each:close() end
      print("passed")
    ]]
    local status, out, err = program.run({ "sh", "-c", 'ulimit -n 40; exec "$0" -e "$1"', program.qnlua(), script })
    assert.same({ 0, "passed\n", "" }, { status, out, err })
  end)
end)

-- The hook is compiled into debug builds only, which is where the specs run.
if core.alloc_fail_at then
  describe("no memory", function()
    -- Runs `f(limit)` with the first, the second ... allocation failing, until it gets through without any
    -- failure. Each time it must end with a Lua error, or nil and an error; and nothing may be left. The time
    -- limit is what ends it when a failure has lost something; where it was too short for a round without any
    -- failure, it grows.
    local function for_each_failure(f)
      local rounds, failed, limit = 0, 0, 0.5
      repeat
        rounds = rounds + 1
        core.alloc_fail_at(rounds)
        local ok, err = pcall(f, limit)
        local happened = core.alloc_fail_at(0)
        if not ok and not happened and limit < 10 and tostring(err):find("timed out", 1, true) then
          rounds, limit, happened = rounds - 1, 20, true
        elseif not ok then
          assert.is_true(happened, tostring(err))
          failed = failed + 1
          local text = tostring(err)
          assert.truthy(text:find("memory", 1, true) or text:find("timed out", 1, true) or text:find("closed", 1, true)
            or text:find("reset", 1, true), text)
        end
        collectgarbage()
        assert(rounds < 1000)
      until not happened
      return rounds, failed
    end

    it("anywhere in connect, write, read and close", function()
      local rounds, failed = for_each_failure(function(limit)
        local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
        local s <close> = assert(qn.tcp.connect("127.0.0.1", server:port(), { timeout = limit }))
        local far <close> = assert(server:accept(limit))
        assert(s:write(("m"):rep(100000)))
        assert(assert(far:read(100000, { timeout = limit })) == ("m"):rep(100000))
        assert(far:pack("s2", "back"))
        assert(assert(s:unpack("s2", { timeout = limit })) == "back")
        assert(s:shutdown("w"))
        assert(assert(far:read("a", { timeout = limit })) == "")
      end)
      assert.is_true(rounds > 10 and failed > 5, rounds .. " " .. failed)
    end)

    it("anywhere in buffers, transactions, copies, files and events", function()
      local rounds, failed = for_each_failure(function(limit)
        local a, b = assert(qn.pair())
        local guard <close> = a
        local closer <close> = b
        local heard = false
        b:on("ready_read", function()
          heard = true
        end)
        local buffer = qn.buffer(100)
        buffer:append(("b"):rep(200)):pack("z", "zero")
        assert(a:write(buffer, "tail\n"))
        b:begin()
        assert(b:read(205, { timeout = limit }))
        assert(b:rollback())
        assert(b:read_into(buffer, 205, { timeout = limit }))
        assert(b:unread("x"))
        assert(b:read("l", { timeout = limit }))
        b:set_timeouts { read = 1 }
        assert(a:send_file("/etc/hostname", { timeout = limit }))
        local sink <close> = assert(core.memory_stream("source"))
        assert(qn.copy(sink, a, { finish = false, timeout = limit }))
        b:off()
        assert(heard ~= nil)
      end)
      assert.is_true(rounds > 10 and failed > 5, rounds .. " " .. failed)
    end)
  end)
end
