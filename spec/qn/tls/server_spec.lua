-- TLS servers: listening, accept, each, serve, what is known of connections, the end. Certificates of clients
-- and events are in server_events_spec.lua, what servers choose by name is in server_names_spec.lua, slow and
-- hostile clients are in server_hostile_spec.lua, tickets and new certificates in server_reload_spec.lua.
-- covers: bindings/b_tls_accept.c

local qn = require "qn"
local program = require "spec.support.program"
local splits = require "spec.support.splits"
local throws = require "spec.support.throws"
local tls_server = require "spec.support.tls_server"

local rig <const> = tls_server.new()
local listen <const>, connect <const>, duo <const>, talk <const> = rig.listen, rig.connect, rig.duo, tls_server.talk
local shop, root, identity

setup(function()
  shop, root, identity = rig.open()
end)
teardown(rig.close)

local function assert_error(kind, code, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind, tostring(err))
  assert.equal(code, err.code, tostring(err))
  return err
end

describe("qn.tls.listen", function()
  it("gives sockets whose handshake is done", function()
    local server <close> = listen()
    local d <close> = duo(server)
    local a, b = d.a, d.b
    assert.is_true(b:tls().encrypted)
    assert.is_true(b:tls().server)
    assert.equal("TLSv1.3", b:tls().version)
    assert.is_true(rawequal(server:configuration(), b:tls().configuration))
    assert.equal("connected", b:state())
    assert.equal(a:local_port(), b:peer_port())
    talk(a, b)
    b:close()
    assert.is_nil(a:read(1))
    assert.is_nil(a:error())
  end)

  it("is qn.tcp.listen and qn.unix.listen with tls", function()
    local config = assert(qn.tls.configuration(identity))
    for _, tls in ipairs { config, identity, { tls = config, handshake_timeout = 3 } } do
      local server <close> = assert(qn.tcp.listen("127.0.0.1", 0, { tls = tls, backlog = 5 }))
      local d <close> = duo(server)
      local a, b = d.a, d.b
      talk(a, b)
    end
    local folder = program.scratch()
    local path = folder .. "/socket"
    do
      local server <close> = assert(qn.unix.listen(path, { tls = identity }))
      local task = qn.spawn(qn.unix.connect, path, { tls = { ca = root, server_name = "localhost" } })
      local b <close> = assert(server:accept())
      local ok, client, err = task:join()
      assert(ok and client, err or client)
      local a <close> = client
      talk(a, b)
    end
    program.remove(folder)
  end)

  it("takes options of TLS and of the socket side by side, and says which is wrong", function()
    local config = assert(qn.tls.configuration(identity))
    local server <close> = assert(qn.tls.listen("127.0.0.1", 0,
      { tls = { tls = config, max_version = "1.2" }, alpn = "echo", max_pending = 7 }))
    assert.equal(7, server:max_pending())
    assert.equal("1.2", server:configuration().max_version)
    assert.same({ "echo" }, server:configuration().alpn)
    for pattern, opts in pairs {
      ["unknown option 'certt' %(did you mean 'cert'"] = { certt = "x" },
      ["unknown option 'max_handshake' %(did you mean 'max_handshakes'"] = { max_handshake = 1 },
      ["'max_handshakes' must be from 1"] = { max_handshakes = 0 },
      ["'handshake_timeout' must be seconds"] = { handshake_timeout = "5" },
      ["unknown option 'server_name'"] = { server_name = "x" },
      ["unknown option 'timeout'"] = { timeout = 1 },
      ["option 'cert' needs option 'key'"] = { cert = identity.cert },
    } do
      throws.call(assert, pattern, qn.tls, "listen", "127.0.0.1", 0, opts)
    end
    throws.call(assert, "unknown option 'serve'", qn.tcp, "listen", "127.0.0.1", 0, { tls = { serve = 1 } })
    throws.call(assert, "option 'tls' must be", qn.tcp, "listen", "127.0.0.1", 0, { tls = 1 })
    throws.call(assert, "unknown option 'tsl'", qn.tcp, "listen", "127.0.0.1", 0, { tsl = true })
    throws.call(assert, "bad argument #2", qn.tls, "listen", "127.0.0.1", 70000, identity)
  end)

  it("fails before it listens when the configuration cannot serve", function()
    local err = assert_error("invalid", "TLS_CONFIGURATION", qn.tls.listen("127.0.0.1", 0, { alpn = "x" }))
    assert.truthy(err.message:find("needs a certificate", 1, true))
    assert_error("invalid", "TLS_CONFIGURATION", qn.tcp.listen("127.0.0.1", 0, { tls = true }))
    assert_error("invalid", "KEY_MISMATCH", qn.tls.listen("127.0.0.1", 0,
      { cert = shop:cert "server", key = shop:key "root" }))
    assert_error("io", "ENOENT", qn.tls.listen("127.0.0.1", 0, { cert = "/no/such", key = "/no/such" }))
    local first <close> = listen()
    assert_error("exists", "EADDRINUSE", qn.tls.listen("127.0.0.1", first:port(), identity))
  end)

  it("false is no TLS", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0, { tls = false }))
    assert.is_nil(server:configuration())
    assert.same({ pending = 0 }, server:stats())
    throws.method(assert, "the server does not speak TLS", server, "configure", {})
    throws.method(assert, "the server does not speak TLS", server, "rotate_tickets")
    throws.method(assert, "the server does not speak TLS", server, "set_ocsp_staple", "x")
    throws.method(assert, "unknown event 'handshake_error'", server, "on", "handshake_error", print)
  end)
end)

describe("accept", function()
  it("serves several waiters in order, with whoever is done first", function()
    local server <close> = listen()
    local _ <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    local order, tasks = {}, {}
    for i = 1, 3 do
      tasks[i] = qn.spawn(function()
        local s <close> = assert(server:accept())
        order[#order + 1] = i
        assert.equal("x", s:read(1))
      end)
    end
    for _ = 1, 3 do
      local c <close> = assert(connect(server))
      c:write("x")
    end
    for i = 1, 3 do
      assert(tasks[i]:join())
    end
    assert.same({ 1, 2, 3 }, order)
    assert.equal(1, server:stats().handshaking)
  end)

  it("times out without losing anything", function()
    local server <close> = listen()
    assert_error("timeout", "TIMEOUT", server:accept(0.01))
    assert_error("timeout", "TIMEOUT", server:accept(0))
    local d <close> = duo(server)
    local a, b = d.a, d.b
    talk(a, b)
  end)

  it("gives what it got back when it is cancelled, wherever it is", function()
    local server <close> = listen()
    local clients, taken = {}, 0
    for turns = 0, 60 do -- more turns than a handshake takes
      local accepting = qn.spawn(function()
        local _ <close> = assert(server:accept())
        taken = taken + 1
      end)
      local connecting = qn.spawn(connect, server)
      for _ = 1, turns do
        qn.yield()
      end
      accepting:cancel()
      accepting:join()
      local ok, client = connecting:join()
      assert(ok and client)
      clients[turns + 1] = client
      splits.until_true("the handshake was done", function()
        return server:stats().handshaking == 0
      end)
      while server:pending() > 0 do
        local _ <close> = assert(server:accept(0))
        taken = taken + 1
      end
    end
    assert.equal(61, taken)
    assert.equal(61, server:stats().established)
    for _, client in ipairs(clients) do
      client:close()
    end
  end)

  it("waits with finished handshakes in a bounded queue", function()
    local server <close> = listen { max_pending = 2 }
    local clients = {}
    for i = 1, 4 do
      clients[i] = qn.spawn(connect, server)
    end
    splits.until_true("two are ready", function()
      return server:pending() >= 2 and server:stats().handshaking == 0
    end)
    local before = server:stats().handshakes
    local late = qn.spawn(connect, server, { timeout = 20 })
    for _ = 1, 50 do
      qn.yield()
    end
    assert.equal(before, server:stats().handshakes) -- nobody takes any: it stays where it is
    server:set_max_pending(10)
    for _ = 1, 5 do
      local _ <close> = assert(server:accept(20))
    end
    clients[5] = late
    for i = 1, 5 do
      local ok, client = clients[i]:join()
      assert(ok and client)
      client:close()
    end
  end)

  it("pauses and resumes", function()
    local server <close> = listen()
    server:pause()
    local task = qn.spawn(connect, server)
    assert_error("timeout", "TIMEOUT", server:accept(0.02))
    assert.equal(0, server:stats().handshakes)
    server:resume()
    local b <close> = assert(server:accept(20))
    local _, client = task:join()
    local a <close> = client
    talk(a, b)
  end)

  it("ends with the server", function()
    local server = listen()
    local raw <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    local waiting = qn.spawn(server.accept, server)
    splits.until_true("the handshake has begun", function()
      return server:stats().handshaking == 1
    end)
    server:close()
    local ok, value, err = waiting:join()
    assert.is_true(ok)
    assert_error("closed", "CLOSED", value, err)
    assert_error("closed", "CLOSED", server:accept())
    assert.is_nil((raw:read(1)))
    assert.equal(0, server:stats().handshaking)
    server:close()
  end)

  it("closing drops connections that nobody took", function()
    local server = listen()
    local a <close> = assert(connect(server))
    splits.until_true("it is ready", function() return server:pending() == 1 end)
    server:close()
    assert.equal(0, server:pending())
    assert.is_nil((a:read(1)))
  end)
end)

describe("each and serve", function()
  it("each gives connections until the server is closed", function()
    local server <close> = listen()
    local seen = 0
    local task = qn.spawn(function()
      for s in server:each() do
        local _ <close> = s
        seen = seen + 1
        if seen == 3 then
          server:close()
        end
      end
    end)
    for _ = 1, 3 do
      local c <close> = assert(connect(server))
      c:read(1)
    end
    assert(task:join())
    assert.equal(3, seen)
  end)

  it("serve runs a task per connection, whatever becomes of other handshakes", function()
    local server <close> = listen()
    local task = qn.spawn(server.serve, server, function(s)
      for line in s:lines() do
        s:write(line:upper(), "\n")
      end
    end, { max_connections = 10 })
    local clients = {}
    for i = 1, 10 do
      local garbage <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
      garbage:write("GET / HTTP/1.0\r\n\r\n")
      clients[i] = assert(connect(server))
    end
    for round = 1, 3 do
      for i = 10, 1, -1 do
        clients[i]:write("r", round, "c", i, "\n")
        assert.equal(("R%dC%d"):format(round, i), clients[i]:read("l"))
      end
    end
    for i = 1, 10 do
      clients[i]:close()
    end
    server:close()
    assert.same({ true, true }, { task:join() })
    assert.equal(10, server:stats().failed)
  end)

  it("close with a grace waits for connections, then ends them", function()
    local server = listen()
    local task = qn.spawn(server.serve, server, function(s) s:read("a") end)
    local client <close> = assert(connect(server))
    splits.until_true("it is served", function() return server:stats().established == 1 end)
    qn.yield()
    server:close { grace = 0.02 }
    assert.same({ true, true }, { task:join() })
    assert.is_nil((client:read(1)))
  end)
end)
