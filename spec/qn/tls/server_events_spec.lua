-- TLS servers: certificates of clients, events and questions, what is counted.

local qn = require "qn"
local splits = require "spec.support.splits"
local tls_server = require "spec.support.tls_server"

local rig <const> = tls_server.new()
local listen <const>, connect <const>, duo <const>, talk <const> = rig.listen, rig.connect, rig.duo, tls_server.talk
local shop, root

setup(function()
  shop, root = rig.open()
end)
teardown(rig.close)

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
    local _ <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    splits.until_true("it shakes hands", function() return server:stats().handshaking == 1 end)
    for _ = 1, 20 do qn.yield() end
    assert.equal(0, ready)
    local _ <close> = duo(server)
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
      local _ <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
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
      assert.equal("tls>socket", socket:layers()) -- nothing can be written in clear
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
    b:off()
  end)

  it("handshake_started comes before sni, both about the same socket", function()
    local seen = {}
    local server <close> = listen { sni = function(name, socket)
      seen[#seen + 1] = { name, socket }
    end }
    server:on("handshake_started", function(socket)
      seen[#seen + 1] = { socket:tls().server_name, socket }
      qn.sleep(0.005)
    end)
    local d <close> = duo(server, { server_name = "a.test", verify_name = "localhost" })
    talk(d.a, d.b)
    assert.same({ "a.test", "a.test" }, { seen[1][1], seen[2][1] })
    assert.is_true(rawequal(seen[1][2], d.b) and rawequal(seen[2][2], d.b))
    seen = {}
    -- a handler that closes it
    server:off()
    server:on("handshake_started", function(socket) socket:close() end)
    local client, err = connect(server)
    assert.is_nil(client)
    assert.is_true(qn.is_error(err))
    splits.until_true("it is over", function() return server:stats().failed == 1 end)
    server:off()
    assert.same({}, seen)
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
