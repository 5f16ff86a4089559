-- TLS servers: listening, accept, each, serve, what is known of connections, client certificates, events,
-- counts, the end. What servers choose by name is in server_names_spec.lua, slow and hostile clients are in
-- server_hostile_spec.lua, tickets and new certificates in server_reload_spec.lua.
-- covers: bindings/b_tls_accept.c

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local program = require "spec.support.program"
local splits = require "spec.support.splits"
local throws = require "spec.support.throws"

local shop, root, identity

setup(function()
  shop = certs.open()
  identity = shop:identity "server"
  root = shop:cert "root"
end)
teardown(function()
  shop:close()
end)

local function assert_error(kind, code, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind, tostring(err))
  assert.equal(code, err.code, tostring(err))
  return err
end

local function merge(...)
  local out = {}
  for i = 1, select("#", ...) do
    for name, value in pairs((select(i, ...)) or {}) do
      out[name] = value
    end
  end
  return out
end

local function listen(opts)
  return assert(qn.tls.listen("127.0.0.1", 0, merge(identity, opts)))
end

local function connect(server, opts)
  return qn.tls.connect("127.0.0.1", server:port(), merge({ ca = root, timeout = 20 }, opts))
end

local function close_both(d)
  d.a:close()
  d.b:close()
end

-- {a = a client, b = the server's socket of it}
local function duo(server, opts)
  local task = qn.spawn(connect, server, opts)
  local socket = assert(server:accept(20))
  local ok, client, err = task:join()
  assert(ok, client)
  return setmetatable({ a = assert(client, err), b = socket }, { __close = close_both })
end

local function talk(a, b)
  assert(a:write("ping\n"))
  assert.equal("ping", b:read("l"))
  assert(b:write("pong\n"))
  assert.equal("pong", a:read("l"))
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
    err = assert_error("invalid", "KEY_MISMATCH", qn.tls.listen("127.0.0.1", 0,
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
    local slow <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
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
        local s <close> = assert(server:accept())
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
        local s <close> = assert(server:accept(0))
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
      local s <close> = assert(server:accept(20))
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
        local socket <close> = s
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

describe("certificates of clients", function()
  local function try(opts, client_opts)
    local server <close> = listen(opts)
    local failure = qn.channel(1)
    server:on("handshake_error", function(err, peer)
      failure:send { err = err, peer = peer }
    end)
    local client, err = connect(server, client_opts)
    local socket
    if client then
      client:write("hi")
      socket = server:accept(0.05)
      local got, why = client:read(1, { timeout = 0.02 })
      if got == nil and why and why.kind ~= "timeout" then
        err = why
      end
    end
    local facts = socket and socket:tls()
    local failed = not socket and failure:recv(5)
    if client then client:close() end
    if socket then socket:close() end
    return facts, failed and failed.err, err, failed and failed.peer
  end

  it("are not asked for", function()
    local facts = try({}, shop:identity "client")
    assert.is_nil(facts.peer)
    assert.same({}, facts.errors)
  end)

  it("verify peer: needs one that leads to the CA", function()
    local opts = { verify = "peer", ca = root, client_ca = root }
    local facts = try(opts, shop:identity "client")
    assert.equal("client", facts.peer.subject[1].value)
    assert.same({}, facts.errors)
    for name, code in pairs { strange_client = "CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
      expired_client = "CERT_HAS_EXPIRED" } do
      local none, err, seen, peer = try(opts, shop:identity(name))
      assert.is_nil(none)
      assert.equal("tls", err.kind)
      assert.truthy(err.errors and #err.errors >= 1, tostring(err))
      assert.equal("handshake", err.op)
      assert.truthy(err.code:find "^CERT_", tostring(err))
      assert.is_true(code == err.code or name == "strange_client", err.code)
      assert.equal("127.0.0.1", tostring(peer))
      assert.is_true(qn.is_error(seen))
    end
  end)

  it("verify peer: none is an error of its own", function()
    local none, err, seen = try { verify = "peer", ca = root }
    assert.is_nil(none)
    assert.equal("CERT_NO_PEER_CERTIFICATE", err.code)
    assert.equal("certificate_required", err.alert)
    assert.is_true(qn.is_error(seen, "tls"), tostring(seen))
  end)

  it("verify query: errors are told and do not count", function()
    local opts = { verify = "query", ca = root }
    assert.same({}, try(opts).errors)
    local facts = try(opts, shop:identity "expired_client")
    assert.equal("CERT_HAS_EXPIRED", facts.errors[1].code)
    assert.truthy(facts.peer)
  end)

  it("ignore_errors lets some pass, or all", function()
    local opts = { verify = "peer", ca = root, ignore_errors = { "CERT_HAS_EXPIRED" } }
    assert.equal("CERT_HAS_EXPIRED", try(opts, shop:identity "expired_client").errors[1].code)
    assert.is_nil((try(opts, shop:identity "strange_client")))
    opts.ignore_errors = true
    assert.truthy(try(opts, shop:identity "strange_client").errors[1])
  end)
end)

describe("events and counts", function()
  it("new_connection comes when the handshake is done", function()
    local server <close> = listen()
    local ready = 0
    server:on("new_connection", function() ready = ready + 1 end)
    local raw <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    splits.until_true("it shakes hands", function() return server:stats().handshaking == 1 end)
    for _ = 1, 20 do qn.yield() end
    assert.equal(0, ready)
    local d <close> = duo(server)
    local a, b = d.a, d.b
    splits.until_true("the event came", function() return ready == 1 end)
    server:off()
    assert.equal(1, server:stats().established)
  end)

  it("handshake_error tells what, why and who; wait waits for it", function()
    local server <close> = listen()
    local waiting = qn.spawn(server.wait, server, "handshake_error")
    qn.yield()
    local bad, err = connect(server, { ca = shop:cert "stranger" })
    assert.is_nil(bad)
    assert.equal("tls", err.kind)
    local ok, told = waiting:join()
    assert.is_true(ok)
    assert.equal("ALERT_UNKNOWN_CA", told.code)
    assert.equal("unknown_ca", told.alert)
    assert.truthy(told.peer:find("^127%.0%.0%.1:%d+$"))
    local stats = server:stats()
    assert.same({ 1, 1, 0, 0 }, { stats.handshakes, stats.failed, stats.established, stats.handshaking })
  end)

  it("a slow handler of handshake_error does not make the queue grow", function()
    local server <close> = listen()
    local seen, gate = 0, qn.event()
    server:on("handshake_error", function()
      seen = seen + 1
      gate:wait()
    end)
    for _ = 1, 150 do
      local s <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    end
    splits.until_true("all have failed", function() return server:stats().failed == 150 end)
    for _ = 1, 20 do qn.yield() end
    gate:set()
    splits.until_true("the handler has seen some", function() return seen >= 100 end)
    for _ = 1, 200 do qn.yield() end
    assert.is_true(seen <= 102, seen)
  end)

  it("handshake_started shows the socket before, and may get it ready", function()
    local server <close> = listen { verify = "peer", ca = root }
    local shown, events = nil, {}
    server:on("handshake_started", function(socket)
      assert.equal("qn.Socket", tostring(socket):match "^[%w.]+")
      assert.is_false(socket:tls().encrypted)
      shown = socket
      socket:on("encrypted", function() events[#events + 1] = "encrypted" end)
      socket:on("peer_verify_error", function(err) events[#events + 1] = err.code end)
      qn.sleep(0.01)
      socket:ignore_ssl_errors { "CERT_HAS_EXPIRED" }
    end)
    local d <close> = duo(server, shop:identity "expired_client")
    local a, b = d.a, d.b
    assert.is_true(rawequal(shown, b))
    talk(a, b)
    splits.until_true("both came", function() return #events == 2 end)
    assert.same({ "CERT_HAS_EXPIRED", "encrypted" }, events)
    shown = nil
    b:off()
  end)

  it("ssl_errors asks whether to go on", function()
    local server <close> = listen { verify = "peer", ca = root }
    local asked = 0
    server:on("ssl_errors", function(socket, errors)
      asked = asked + 1
      assert.equal("CERT_HAS_EXPIRED", errors[1].code)
      qn.sleep(0.005)
      if asked == 1 then
        socket:ignore_ssl_errors()
      end
    end)
    local d <close> = duo(server, shop:identity "expired_client")
    local a, b = d.a, d.b
    talk(a, b)
    local failing = qn.spawn(server.wait, server, "handshake_error")
    qn.yield()
    local client = connect(server, shop:identity "expired_client")
    local ok, err = failing:join()
    assert.is_true(ok)
    assert.equal("CERT_HAS_EXPIRED", err.code)
    assert.equal(2, asked)
    if client then
      client:close()
    end
  end)
end)
