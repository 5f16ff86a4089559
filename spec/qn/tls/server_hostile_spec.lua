-- Servers against slow, broken and hostile clients: each ends by a named limit or an error of its own,
-- nothing is left behind, and those who behave are served all the while.

local qn = require "qn"
local program = require "spec.support.program"
local splits = require "spec.support.splits"
local tls_server = require "spec.support.tls_server"

local rig <const> = tls_server.new()
local listen <const> = rig.listen
local shop, root, identity, hello

-- The bytes of a ClientHello: what a client sends to somebody who answers nothing.
local function record_hello()
  local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
  local task = qn.spawn(qn.tls.connect, "127.0.0.1", server:port(), { ca = root, timeout = 5 })
  local s <close> = assert(server:accept())
  local head = assert(s:read_exactly(5))
  local bytes = head .. assert(s:read_exactly((string.unpack(">I2", head, 4))))
  s:close()
  task:join()
  return bytes
end

setup(function()
  shop, root, identity = rig.open()
end)
teardown(rig.close)

local function raw(server)
  return assert(qn.tcp.connect("127.0.0.1", server:port()))
end

-- An honest client gets through.
local function visit(server)
  local task = qn.spawn(qn.tls.connect, "127.0.0.1", server:port(), { ca = root, timeout = 20 })
  local b <close> = assert(server:accept(20))
  local _, client, err = task:join()
  local a <close> = assert(client, err)
  assert(a:write("ping"))
  assert.equal("ping", b:read(4))
end

local function wait_failed(server, n)
  splits.until_true(n .. " have failed", function() return server:stats().failed >= n end)
end

-- The error of the server for what `attack(socket)` does.
local function error_of(server, attack)
  local waiting = qn.spawn(server.wait, server, "handshake_error")
  qn.yield()
  local s <close> = raw(server)
  attack(s)
  local ok, err = waiting:join()
  assert.is_true(ok)
  assert.is_true(qn.is_error(err), tostring(err))
  return err
end

describe("a client", function()
  it("that sends nothing ends after handshake_timeout", function()
    local server <close> = listen { handshake_timeout = 0.03 }
    local err = error_of(server, function(s) s:read(1) end)
    assert.same({ "timeout", "tls" }, { err.kind, err.phase })
    assert.equal(1, server:stats().timed_out)
    visit(server)
  end)

  it("has five seconds unless told otherwise; false is for ever", function()
    local server <close> = listen { handshake_timeout = false }
    local _ <close> = raw(server)
    visit(server)
    assert.equal(1, server:stats().handshaking)
  end)

  it("that sends its handshake byte by byte in time is served", function()
    local server <close> = listen()
    local front <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local relay = qn.spawn(function()
      local from <close> = assert(front:accept())
      local to <close> = raw(server)
      local down = qn.spawn(qn.copy, to, from)
      while true do
        local byte = from:read(1)
        if not byte then
          break
        end
        to:write(byte)
        to:flush()
      end
      to:shutdown("w")
      down:join()
    end)
    local task = qn.spawn(qn.tls.connect, "127.0.0.1", front:port(), { ca = root, timeout = 20 })
    local b <close> = assert(server:accept(20))
    local _, client, err = task:join()
    local a <close> = assert(client, err)
    a:write("slow")
    assert.equal("slow", b:read(4))
    a:close()
    b:close()
    relay:join()
  end)

  it("that dribbles does not last longer than the limit", function()
    hello = hello or record_hello()
    local server <close> = listen { handshake_timeout = 0.05 }
    local err = error_of(server, function(s)
      for i = 1, #hello - 1 do
        if not s:write(hello:sub(i, i)) then
          break
        end
        qn.sleep(0.004)
        if server:stats().failed > 0 then
          break
        end
      end
    end)
    assert.equal("timeout", err.kind)
  end)

  it("that closes within its ClientHello, at every byte", function()
    hello = hello or record_hello()
    local server <close> = listen()
    local kinds = {}
    server:on("handshake_error", function(err) kinds[err.kind] = (kinds[err.kind] or 0) + 1 end)
    for cut = 0, #hello - 1 do
      local s <close> = raw(server)
      s:write(hello:sub(1, cut))
      s:close()
      if cut % 50 == 49 then
        wait_failed(server, cut - 20)
      end
    end
    wait_failed(server, #hello)
    assert.equal(#hello, server:stats().failed)
    splits.until_true("events came", function() return kinds.eof end)
    for kind in pairs(kinds) do
      assert.equal("eof", kind)
    end
    server:off()
    visit(server)
  end)

  it("that closes after its ClientHello, or resets", function()
    hello = hello or record_hello()
    local server <close> = listen()
    local err = error_of(server, function(s)
      s:write(hello)
      s:read(10)
      s:close()
    end)
    assert.truthy(err.kind == "eof" or err.kind == "reset", tostring(err))
    err = error_of(server, function(s)
      s:write(hello)
      s:read(10)
      s:abort()
    end)
    assert.truthy(err.kind == "eof" or err.kind == "reset", tostring(err))
    visit(server)
  end)

  it("that changes any byte of its ClientHello gets an answer or an error, never a hang", function()
    hello = hello or record_hello()
    local server <close> = listen { handshake_timeout = 2 }
    for at = 1, #hello, 3 do
      local s <close> = raw(server)
      s:write(hello:sub(1, at - 1), string.char(hello:byte(at) ~ 0xff), hello:sub(at + 1))
      s:shutdown("w")
      s:read("a", { timeout = 5 })
    end
    splits.until_true("all are over", function() return server:stats().handshaking == 0 end)
    assert.equal(0, server:stats().timed_out)
    visit(server)
  end)

  it("that speaks something else is told so", function()
    local server <close> = listen()
    local err = error_of(server, function(s) s:write("GET / HTTP/1.1\r\nHost: x\r\n\r\n") end)
    assert.equal("TLS_PROTOCOL", err.code)
    assert.truthy(err.message:find("http request", 1, true), tostring(err))
    for _, garbage in ipairs { ("\0"):rep(300), "\x16\x03\x01\xff\xff" .. ("x"):rep(300), "SSH-2.0-x\r\n",
      "\x15\x03\x01\0\2\2\x28", "\x80\x2e\1\0\2" .. ("y"):rep(60) } do
      err = error_of(server, function(s)
        s:write(garbage)
        s:shutdown("w")
      end)
      assert.truthy(err.kind == "protocol" or err.kind == "tls" or err.kind == "eof", tostring(err))
    end
    visit(server)
  end)
end)

describe("max_handshakes", function()
  it("is reached: the others wait while all are young, then the oldest goes", function()
    local server <close> = listen { max_handshakes = 4 }
    local idle = {}
    for i = 1, 4 do
      idle[i] = raw(server)
    end
    splits.until_true("all have begun", function() return server:stats().handshaking == 4 end)
    local began = qn.now()
    local dropped
    server:on("handshake_error", function(err) dropped = dropped or err end)
    visit(server) -- gets the place of the first
    assert.is_true(qn.now() - began > 0.5)
    assert.equal(1, server:stats().dropped)
    assert.equal("limit", dropped.kind)
    assert.is_nil((idle[1]:read(1)))
    visit(server) -- there is a free place now
    assert.equal(1, server:stats().dropped)
    for i = 2, 4 do
      idle[i]:close()
    end
    wait_failed(server, 4)
    server:off()
    assert.equal(0, server:stats().handshaking)
  end)

  it("one that ends makes room at once", function()
    local server <close> = listen { max_handshakes = 2 }
    local first <close> = raw(server)
    local second <close> = raw(server)
    splits.until_true("both have begun", function() return server:stats().handshaking == 2 end)
    local task = qn.spawn(visit, server)
    for _ = 1, 20 do qn.yield() end
    first:close()
    assert.is_true(task:join())
    assert.equal(0, server:stats().dropped)
    second:close()
  end)

  it("the server closes while one is held back", function()
    local server = listen { max_handshakes = 1 }
    local first <close> = raw(server)
    splits.until_true("it has begun", function() return server:stats().handshaking == 1 end)
    local second <close> = raw(server)
    for _ = 1, 20 do qn.yield() end
    server:close()
    assert.is_nil((first:read(1)))
    assert.is_nil((second:read(1)))
  end)
end)

describe("a process without descriptors", function()
  it("reports it, does not spin, and serves again when there are some", function()
    local script = [[
      local qn = require "qn"
      local cert, key = ...
      local server = assert(qn.tls.listen("127.0.0.1", 0, { cert = cert, key = key }))
      local errors = {}
      server:on("accept_error", function(err) errors[#errors + 1] = err end)
      print(server:port())
      io.stdout:flush()
      assert(server:wait("accept_error", 20))
      assert(errors[1].kind == "limit" and errors[1].code == "EMFILE", tostring(errors[1]))
      local turns = qn.stats().turns
      qn.sleep(0.3)
      turns = qn.stats().turns - turns
      assert(turns < 50, "it spins: " .. turns)
      print("full")
      io.stdout:flush()
      local socket <close> = assert(server:accept(20))
      print("served " .. socket:read("l"))
    ]]
    local path = shop:write("full.lua", script)
    local child <close> = program.start { "sh", "-c", 'ulimit -n 24; exec "$0" "$@"', program.qnlua(), path,
      identity.cert, identity.key }
    local port = tonumber(child:wait_for("^(%d+)\n"))
    local sockets = {}
    for i = 1, 40 do
      sockets[i] = assert(qn.tcp.connect("127.0.0.1", port))
    end
    child:wait_for("full\n")
    for i = 1, 40 do
      sockets[i]:abort()
    end
    local client <close> = assert(qn.tls.connect("127.0.0.1", port, { ca = root }))
    client:write("at last\n")
    child:wait_for("served at last\n")
    local status, _, err = child:wait()
    assert.same({ 0, "" }, { status, err })
  end)
end)

describe("many", function()
  it("1,000 connections, among them hostile ones", function()
    local server <close> = listen { max_pending = 100, max_version = "1.2" }
    local served = 0
    local serving = qn.spawn(server.serve, server, function(s)
      local line = s:read("l")
      served = served + 1
      s:write(line, "\n")
    end)
    local config = assert(qn.tls.configuration { ca = root })
    local echoed = 0
    qn.map((function()
      local list = {}
      for i = 1, 1000 do
        list[i] = i
      end
      return list
    end)(), function(i)
      if i % 5 == 0 then
        local s <close> = raw(server)
        s:write(i % 2 == 0 and "garbage\r\n\r\n" or "")
        return
      end
      local c <close> = assert(qn.tls.connect("127.0.0.1", server:port(), { tls = config, timeout = 60 }))
      c:write(i, "\n")
      assert.equal(tostring(i), c:read("l"))
      echoed = echoed + 1
    end, { limit = 50, stop_on_error = true })
    assert.equal(800, echoed)
    assert.equal(800, served)
    splits.until_true("all is over", function() return server:stats().handshaking == 0 end)
    server:close()
    assert(serving:join())
    local stats = server:stats()
    assert.same({ 800, 200 }, { stats.established, stats.failed })
  end)
end)
