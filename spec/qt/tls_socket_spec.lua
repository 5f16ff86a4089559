-- The rows of QSslSocket in the Qt coverage, one spec per row (those of its configuration are apart);
-- docs/qt-coverage.md names them.

local qn = require "qn"
local tls_streams = require "spec.support.tls_streams"

describe("QSslSocket", function()
  local streams, shop
  setup(function()
    streams = tls_streams.open()
    shop = streams.shop
  end)
  teardown(function() streams:close() end)

  it("SSL-01 connectToHostEncrypted, with another name of the peer", function()
    streams:serving({}, function(port)
      local s <close> = assert(qn.tls.connect("localhost", port, streams:trust()))
      assert.is_true(s:tls().encrypted)
      local t <close> = qn.tcp.socket()
      assert.is_true(t:connect("127.0.0.1", port, { tls = streams:trust { verify_name = "www.wild.test" } }))
      assert.is_true(t:tls().encrypted)
    end)
    assert.equal("CERT_HOSTNAME_MISMATCH", streams:refused(streams:trust { verify_name = "www.tame.test" }).code)
  end)

  it("SSL-02 startClientEncryption, startServerEncryption", function()
    streams:with("tcp", {}, {}, function(a, b)
      assert.is_false(a:tls().server)
      assert.is_true(b:tls().server)
    end)
    local socket <close> = qn.tcp.socket()
    local ok, err = socket:start_tls(streams:client())
    assert.is_nil(ok)
    assert.equal("closed", err.kind)
  end)

  it("SSL-03 mode, isEncrypted", function()
    local a, b = qn.pair()
    assert.is_nil(a:tls()) -- unencrypted
    a:close()
    b:close()
    streams:with("memory", {}, {}, function(c, d)
      assert.same({ true, false }, { c:tls().encrypted, c:tls().server })
      assert.same({ true, true }, { d:tls().encrypted, d:tls().server })
    end)
  end)

  it("SSL-04 protocol, peerVerifyMode, peerVerifyDepth", function()
    streams:with("memory", { min_version = "1.2", max_version = "1.2" }, {}, function(a)
      assert.equal("TLSv1.2", a:tls().version)
    end)
    streams:with("memory", { verify = "query", ca = shop:cert "stranger" }, {}, function(a)
      assert.is_true(#a:tls().errors > 0)
    end)
    assert.equal("CERT_CHAIN_TOO_LONG", streams:refused(streams:trust { verify_depth = 0 }).code)
    assert.is_false((pcall(qn.tls.configuration, { verify_depth = -1 })))
  end)

  it("SSL-05 localCertificate, privateKey", function()
    streams:with("memory", { cert = shop:cert "client", key = shop:key "client" },
      { verify = "peer", ca = shop:cert "root" }, function(_, b)
        assert.equal("client", b:tls().peer.subject[1].value)
      end)
    local a <close>, rest = qn.pair()
    local ok, err = a:start_tls { server = true }
    assert.is_nil(ok)
    assert.equal("TLS_CONFIGURATION", err.code)
    rest:close()
  end)

  it("SSL-06 peerCertificate, peerCertificateChain", function()
    streams:with("memory", {}, {}, function(a, b)
      local facts = a:tls()
      assert.equal("server", facts.peer.subject[1].value)
      assert.same({ "server", "mid" }, { facts.chain[1].subject[1].value, facts.chain[2].subject[1].value })
      assert.is_nil(b:tls().peer)
      assert.same({}, b:tls().chain)
      a:close()
      assert.equal("server", a:tls().peer.subject[1].value) -- stays known
    end)
  end)

  it("SSL-07 sessionCipher, ciphers, supportedCiphers", function()
    streams:with("memory", { max_version = "1.2", ciphers = "NO-SUCH:ECDHE-ECDSA-AES256-GCM-SHA384" }, {},
      function(a)
        assert.equal("ECDHE-ECDSA-AES256-GCM-SHA384", a:tls().cipher)
        assert.equal(256, a:tls().cipher_bits)
      end)
    for _, cipher in ipairs(qn.tls.ciphers()) do
      assert.is_nil(cipher.name:find("^ADH") or cipher.name:find("NULL"))
    end
  end)

  it("SSL-08 caCertificates, addCaCertificates", function()
    local root = qn.tls.certificates(shop:cert "root")[1]
    for _, ca in ipairs { shop:cert "root", root, { shop:cert "stranger", root }, root:to_pem() } do
      streams:with("memory", { ca = ca }, {}, function(a) assert.is_true(a:tls().encrypted) end)
    end
    local config = assert(qn.tls.configuration { ca = { root } })
    assert.equal(root, config.ca[1])
    local more = config.ca
    more[2] = qn.tls.certificates(shop:cert "stranger")[1]
    assert.equal(2, #config:with { ca = more }.ca)
  end)

  it("SSL-09 defaultCaCertificates, systemCaCertificates", function()
    assert.truthy(streams:refused({ server_name = "localhost" }).code:find("^CERT_UNABLE_TO_GET_ISSUER"))
    assert.is_true(#assert(qn.tls.system_certificates()) > 0)
    local before = qn.tls.default_configuration()
    qn.tls.default_configuration { ca = { "system", shop:cert "root" } }
    local ok, err = pcall(streams.serving, streams, {}, function(port)
      local s <close> = assert(qn.tls.connect("localhost", port))
      assert.is_true(s:tls().encrypted)
    end)
    qn.tls.default_configuration(before)
    assert(ok, err)
  end)

  it("SSL-10 sslConfiguration, setSslConfiguration", function()
    local config = assert(qn.tls.configuration(streams:trust { alpn = "x" }))
    streams:serving({ alpn = "x" }, function(port)
      local s <close> = assert(qn.tls.connect("localhost", port, { tls = config }))
      assert.is_true(rawequal(config, s:tls().configuration))
      local t <close> = assert(qn.tls.connect("localhost", port, { tls = s:tls().configuration }))
      assert.equal("x", t:tls().alpn)
    end)
  end)

  it("SSL-11 ignoreSslErrors", function()
    streams:serving({}, function(port)
      local s <close> = qn.tcp.socket()
      s:ignore_ssl_errors()
      assert(s:connect("127.0.0.1", port, { tls = { server_name = "x.test" } }))
      local t <close> = qn.tcp.socket()
      t:on("ssl_errors", function() t:ignore_ssl_errors() end)
      assert(t:connect("127.0.0.1", port, { tls = true }))
      -- for one handshake only
      local a, b = qn.pair()
      a:ignore_ssl_errors()
      assert(streams.shake(a, b, { server_name = "x.test" }, streams:server()))
      local ok, err = streams.shake(a, b, { server_name = "x.test" }, streams:server())
      assert.is_nil(ok)
      assert.equal("tls", err.kind)
      b:close()
    end)
  end)

  it("SSL-12 ignoreSslErrors with a list", function()
    local function try(list)
      local a, b = qn.pair()
      a:ignore_ssl_errors(list)
      local ok, err = streams.shake(a, b, streams:client { server_name = "x.test" }, streams:server())
      a:close()
      b:close()
      return ok, err
    end
    local cert = qn.tls.certificates(shop:cert "server")[1]
    local _, err = try { "CERT_HAS_EXPIRED" }
    assert.equal("CERT_HOSTNAME_MISMATCH", err.code)
    assert.is_true((try(err.errors)))
    assert.is_true((try { "CERT_HAS_EXPIRED", "CERT_HOSTNAME_MISMATCH" }))
    assert.is_true((try { { "CERT_HOSTNAME_MISMATCH", cert } }))
    assert.is_nil((try { { "CERT_HOSTNAME_MISMATCH", qn.tls.certificates(shop:cert "client")[1] } }))
  end)

  it("SSL-13 sslErrors", function()
    streams:with("memory", { verify = "query", server_name = "x.test", ca = shop:cert "stranger" }, {},
      function(a)
        local codes = {}
        for _, err in ipairs(a:tls().errors) do codes[err.code] = err.depth end
        assert.equal(0, codes.CERT_HOSTNAME_MISMATCH)
        assert.is_truthy(codes.CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY)
      end)
  end)

  it("SSL-14 bytesAvailable, bytesToWrite and what passed on the wire", function()
    streams:with("tcp", {}, {}, function(a, b)
      local before = a:tls().wire_sent
      assert(a:write(("x"):rep(1000)))
      assert.is_true(a:bytes_to_write() > 1000) -- encrypted
      assert(a:flush())
      assert.equal(0, a:bytes_to_write())
      local sent = a:tls().wire_sent - before
      assert.is_true(sent > 1000 and sent < 1100)
      assert.equal("x", b:read(1))
      assert.equal(999, b:bytes_available()) -- plain
      assert.equal(a:tls().wire_sent, b:tls().wire_received)
    end)
  end)

  it("SSL-15 waitForEncrypted", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local s, err = qn.tls.connect("127.0.0.1", server:port(), { timeout = 0.03 })
    assert.is_nil(s)
    assert.same({ "timeout", "tls" }, { err.kind, err.phase })
    local socket <close> = qn.tcp.socket()
    local value
    value, err = socket:wait("encrypted", 0.002)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    streams:serving({}, function(port)
      local t <close> = qn.tcp.socket()
      local waiter = qn.spawn(t.wait, t, "encrypted", 5)
      qn.yield()
      assert(t:connect("localhost", port, { tls = streams:trust() }))
      assert.is_true(select(2, waiter:join()))
    end)
  end)

  it("SSL-16 supportsSsl, and what every socket has", function()
    assert.truthy(qn.tls.library():find("OpenSSL"))
    streams:serving({}, function(port)
      local s <close> = assert(qn.tls.connect("localhost", port, streams:trust()))
      assert.is_true(s:option("nodelay", true))
      s:set_read_buffer_size(5000)
      assert.equal(5000, s:read_buffer_size())
      assert.is_true(s:flush())
      assert.is_true(s:descriptor() >= 0)
      s:abort()
      assert.is_false(s:is_open())
    end)
  end)

  it("SSL-17 SSL-18 SSL-19 encrypted, modeChanged, peerVerifyError, sslErrors, in this order", function()
    streams:serving({}, function(port)
      local s <close> = qn.tcp.socket()
      local seen = {}
      for _, name in ipairs { "mode_changed", "peer_verify_error", "encrypted" } do
        s:on(name, function(value) seen[#seen + 1] = { name, value } end)
      end
      s:on("ssl_errors", function(list)
        seen[#seen + 1] = { "ssl_errors", #list }
        s:ignore_ssl_errors()
      end)
      assert(s:connect("127.0.0.1", port, { tls = streams:trust { server_name = "x.test" } }))
      qn.yield()
      qn.yield()
      assert.equal("CERT_HOSTNAME_MISMATCH", seen[2][2].code)
      seen[2][2] = nil
      assert.same({ { "mode_changed", "client" }, { "peer_verify_error" }, { "ssl_errors", 1 },
        { "encrypted" } }, seen)
      -- not ignored: an error, and the end
      local t <close> = qn.tcp.socket()
      local asked = 0
      t:on("ssl_errors", function() asked = asked + 1 end)
      local ok, err = t:connect("127.0.0.1", port, { tls = streams:trust { server_name = "x.test" } })
      assert.is_nil(ok)
      assert.equal("tls", err.kind)
      assert.equal(1, asked)
      assert.is_false(t:is_open())
    end)
  end)

  it("SSL-18 a handler of peerVerifyError may abort", function()
    streams:serving({}, function(port)
      local s <close> = qn.tcp.socket()
      s:on("peer_verify_error", function() s:abort() end)
      s:on("ssl_errors", function() s:ignore_ssl_errors() end)
      local ok, err = s:connect("127.0.0.1", port, { tls = streams:trust { server_name = "x.test" } })
      assert.is_nil(ok)
      assert.equal("closed", err.kind)
    end)
  end)

  it("SSL-20 bytesWritten, encryptedBytesWritten", function()
    streams:with("tcp", {}, {}, function(a, b)
      local written = 0
      a:on("bytes_written", function(n) written = written + n end)
      local before = a:tls().wire_sent
      assert(a:write(("x"):rep(50000)))
      assert(a:flush())
      assert.equal(50000, #b:read_exactly(50000))
      qn.yield()
      qn.yield()
      assert.equal(50000, written) -- plain
      assert.is_true(a:tls().wire_sent - before > 50000)
    end)
  end)

  it("SSL-21 what is written before the connection is encrypted goes out encrypted", function()
    local listener <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local client <close> = qn.tcp.socket()
    local connecting = qn.spawn(client.connect, client, "localhost", listener:port(), { tls = streams:trust() })
    qn.yield()
    assert.truthy(client:state():find("host_lookup") or client:state() == "connecting")
    local big = ("secret "):rep(300000)
    local writing = qn.spawn(client.write, client, big)
    local reading = qn.spawn(client.read, client, "l")
    local far <close> = assert(listener:accept())
    assert.equal("\x16\x03\x01", far:peek(3)) -- nothing before the handshake
    assert.is_true(far:start_tls(streams:server()))
    assert.is_true(select(2, connecting:join()))
    assert.equal(big, far:read_exactly(#big))
    assert.is_true(select(2, writing:join()))
    assert(far:write("answer\n"))
    assert.equal("answer", select(2, reading:join()))
  end)

  it("SSL-21 nothing goes out when the handshake fails", function()
    local listener <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local client <close> = qn.tcp.socket()
    local connecting = qn.spawn(client.connect, client, "127.0.0.1", listener:port(), { tls = streams:trust() })
    qn.yield()
    assert(client:write("secret"))
    local far <close> = assert(listener:accept())
    assert.equal("\x16", far:peek(1))
    assert(far:write("this is not TLS\r\n"))
    local _, ok, err = connecting:join()
    assert.is_nil(ok)
    assert.equal("tls", err.kind)
    local piece
    repeat
      piece = far:recv()
      assert.is_nil((piece or ""):find("secret", 1, true))
    until not piece
    assert.is_nil((client:write("more")))
  end)

  it("SSL-22 a failed handshake says why in words", function()
    local err = streams:refused(streams:trust { min_version = "1.3" }, { max_version = "1.2" })
    assert.equal("tls", err.kind)
    assert.equal("ALERT_PROTOCOL_VERSION", err.code)
    assert.equal("protocol_version", err.alert)
    assert.truthy(tostring(err):find("^connect 127.0.0.1:%d+: the peer sent TLS alert: protocol.version"))
  end)

  it("SSL-23 the host's name is checked by the alternative names", function()
    local function name(verify_name, identity)
      local a, b = qn.pair()
      local ok, err = streams.shake(a, b, streams:client { verify_name = verify_name },
        streams:server({}, identity))
      a:close()
      b:close()
      return ok or err.code
    end
    assert.is_true(name "localhost")
    assert.is_true(name "a.wild.test")
    assert.is_true(name "127.0.0.1")
    assert.is_true(name "::1")
    assert.equal("CERT_HOSTNAME_MISMATCH", name "a.b.wild.test")
    assert.equal("CERT_HOSTNAME_MISMATCH", name "wild.test")
    assert.truthy(tostring(name "127.0.0.2"):find("MISMATCH"))
    assert.equal("CERT_HOSTNAME_MISMATCH", name("localhost", "no_names")) -- CN does not count
  end)

  it("SSL-24 close_notify ends a connection, and close sends it behind the data", function()
    streams:with("tcp", {}, {}, function(a, b)
      assert(a:write(("x"):rep(100000)))
      a:close()
      assert.equal(100000, #b:read("a"))
      assert.equal("close_notify", b:tls().alert_received)
      assert.equal("close_notify", a:tls().alert_sent)
    end)
  end)

  it("SSL-25 QueryPeer and VerifyNone go on, and tell the errors", function()
    for _, verify in ipairs { "query", "none" } do
      streams:with("memory", { verify = verify, server_name = "x.test" }, {}, function(a)
        assert.is_true(a:tls().encrypted)
        assert.equal("CERT_HOSTNAME_MISMATCH", a:tls().errors[1].code)
      end)
    end
  end)

  it("SSL-26 a server that verifies wants a certificate", function()
    local _, err = streams:failure({ max_version = "1.2" }, { verify = "peer", ca = shop:cert "root" })
    assert.equal("CERT_NO_PEER_CERTIFICATE", err.code)
  end)

  it("SSL-27 an end that was asked for meanwhile comes behind the handshake", function()
    for _, how in ipairs { "close", "shutdown" } do
      local listener <close> = assert(qn.tcp.listen("127.0.0.1", 0))
      local client = qn.tcp.socket()
      local connecting = qn.spawn(client.connect, client, "localhost", listener:port(), { tls = streams:trust() })
      local far <close> = assert(listener:accept())
      assert.equal("\x16", far:peek(1)) -- the handshake is under way
      assert(client:write("last words"))
      local ending = qn.spawn(function()
        if how == "close" then client:close() else client:shutdown("w") end
      end)
      qn.yield()
      assert.is_true(far:start_tls(streams:server()))
      assert.equal("last words", far:read("a"))
      assert.equal("close_notify", far:tls().alert_received)
      connecting:join()
      ending:join()
      client:close()
    end
    -- without anything written it ends at once
    local a, b = qn.pair()
    local task = qn.spawn(a.start_tls, a, streams:client())
    qn.yield()
    a:close()
    local _, ok, err = task:join()
    assert.is_nil(ok)
    assert.equal("closed", err.kind)
    b:close()
  end)

  it("SSL-29 readBufferSize limits plain data", function()
    streams:with("tcp", {}, {}, function(a, b)
      a:set_read_buffer_size(2000)
      local writing = qn.spawn(b.write, b, ("x"):rep(4 << 20))
      assert.equal(1, #a:read(1))
      qn.sleep(0.01)
      assert.is_true(a:bytes_available() <= 2000)
      assert.is_true(a:tls().wire_received < 300000)
      a:abort()
      writing:join()
    end)
  end)
end)
