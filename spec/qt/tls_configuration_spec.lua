-- The rows of QSslConfiguration and QSslError in the Qt coverage, and what Qt 5 and 6 added to QSslSocket;
-- docs/qt-coverage.md names them.

local qn = require "qn"
local core = require "qn.core"
local tls_streams = require "spec.support.tls_streams"

describe("QSslConfiguration, QSslError, QSslSocket since Qt 5", function()
  local streams, shop
  setup(function()
    streams = tls_streams.open()
    shop = streams.shop
  end)
  teardown(function() streams:close() end)

  it("CFG-01 QSslConfiguration is a value", function()
    local config = assert(qn.tls.configuration { ca = shop:cert "root", verify = "query", verify_depth = 2,
      cert = shop:cert "client", key = shop:key "client", ciphers = "ECDHE-RSA-AES128-GCM-SHA256",
      min_version = "1.2", max_version = "1.2" })
    assert.same({ "query", 2, "1.2", "ECDHE-RSA-AES128-GCM-SHA256" }, { config.verify, config.verify_depth,
      config.max_version, config.ciphers })
    assert.equal("client", config.cert.subject[1].value)
    assert.is_true(config.key.is_private)
    assert.is_false((pcall(function() config.verify = "none" end)))
    local other = assert(config:with { verify = "none" })
    assert.same({ "query", "none" }, { config.verify, other.verify })
  end)

  it("CFG-02 defaultConfiguration", function()
    local before = qn.tls.default_configuration()
    assert.equal("1.2", before.min_version)
    local mine = assert(qn.tls.default_configuration(streams:trust()))
    local ok, err = pcall(streams.serving, streams, {}, function(port)
      local s <close> = assert(qn.tls.connect("localhost", port, { alpn = "x" }))
      assert.equal(mine.ca[1], s:tls().configuration.ca[1])
    end)
    qn.tls.default_configuration(before)
    assert(ok, err)
  end)

  it("SER-01 QSslError: code, text, certificate, depth", function()
    local err = streams:refused(streams:trust { server_name = "x.test" }).errors[1]
    assert.equal("CERT_HOSTNAME_MISMATCH", err.code)
    assert.truthy(err.message:find('does not match host "x.test"', 1, true))
    assert.equal(qn.tls.certificates(shop:cert "server")[1], err.certificate)
    assert.equal(0, err.depth)
  end)

  it("Q5-60 SNI and the bits of SslOption", function()
    streams:with("memory", { server_name = "a.wild.test" }, {}, function(a, b)
      assert.equal("a.wild.test", b:tls().server_name)
      assert.equal("a.wild.test", a:tls().server_name)
    end)
    streams:with("memory", { server_name = false, verify_name = "localhost" }, {}, function(_, b)
      assert.is_nil(b:tls().server_name)
    end)
    streams:with("memory", { tickets = false, sessions = false }, { sessions = false }, function(a)
      assert.is_false(a:tls().resumed)
    end)
  end)

  it("Q5-61 protocols", function()
    for version, name in pairs { ["1.2"] = "TLSv1.2", ["1.3"] = "TLSv1.3" } do
      streams:with("memory", { min_version = version, max_version = version }, {}, function(a)
        assert.equal(name, a:tls().version)
      end)
    end
    local old = { min_version = "1.0", max_version = "1.1", ciphers = "DEFAULT:@SECLEVEL=0" }
    streams:with("memory", old, old, function(a) assert.equal("TLSv1.1", a:tls().version) end)
    assert.equal("tls", (streams:failure({}, old)).kind) -- not unless asked for
    assert.same({ "1.2", "1.3" }, { table.unpack(qn.tls.protocols(), #qn.tls.protocols() - 1) })
  end)

  it("Q5-63 localCertificateChain, sessionProtocol, addCaCertificates of a configuration", function()
    streams:with("memory", {}, { cert = shop:cert "server", chain = { shop:cert "mid" } }, function(a)
      assert.equal(2, #a:tls().chain)
      assert.equal("TLSv1.3", a:tls().version)
    end)
    assert.equal("mid", qn.tls.configuration(shop:identity "server").chain[1].subject[1].value)
  end)

  it("Q5-65 session tickets", function()
    streams:serving({}, function(port)
      local function visit(session)
        local s <close> = qn.tcp.socket()
        local came = 0
        s:on("new_session", function() came = came + 1 end)
        assert(s:connect("localhost", port, { tls = streams:trust { session = session } }))
        assert(s:write("x\n"))
        assert.equal("x", s:read("l"))
        qn.yield()
        qn.yield()
        assert.is_true(came > 0)
        return s:tls().session, s:tls().resumed
      end
      local session = visit()
      assert.is_true(session.expires > os.time() and session.expires <= os.time() + 86400 * 7)
      assert.is_true(select(2, visit(session:export())))
    end)
  end)

  it("Q5-66 ALPN", function()
    streams:with("memory", { alpn = { "h2", "http/1.1" } }, { alpn = "http/1.1" }, function(a, b)
      assert.equal("http/1.1", a:tls().alpn) -- negotiated
      assert.equal("http/1.1", b:tls().alpn)
    end)
    streams:with("memory", { alpn = "h2" }, {}, function(a) assert.is_nil(a:tls().alpn) end) -- unsupported
    assert.equal("no_application_protocol", (streams:failure({ alpn = "h2" }, { alpn = "x" })).alert)
  end)

  it("Q5-75 alertSent, alertReceived, errors that interrupt a handshake", function()
    local a, b = qn.pair()
    local sent, received
    a:on("alert_sent", function(name, number) sent = { name, number } end)
    b:on("alert_received", function(name, number) received = { name, number } end)
    local interrupted = 0
    a:on("ssl_errors", function(errors) interrupted = #errors end)
    local ok = streams.shake(a, b, streams:client { server_name = "x.test" }, streams:server())
    assert.is_nil(ok)
    qn.yield()
    qn.yield()
    assert.same({ "bad_certificate", 42 }, sent)
    assert.same({ "bad_certificate", 42 }, received)
    assert.equal(1, interrupted)
    a:close()
    b:close()
  end)

  it("Q5-76 Q5-78 library, protocols, peerVerifyName", function()
    assert.truthy(qn.tls.library():find("^OpenSSL %d+%.%d+%.%d+"))
    assert.is_true(#qn.tls.protocols() >= 2)
    streams:with("memory", { server_name = "x.test", verify_name = "127.0.0.1" }, {}, function(a)
      assert.same({}, a:tls().errors)
      assert.equal("x.test", a:tls().server_name)
    end)
  end)

  it("BAD-02 errors are those of one connection", function()
    local results = qn.map({ "x.test", "localhost", "y.test", "a.wild.test" }, function(name)
      local a, b = qn.pair()
      assert(streams.shake(a, b, streams:client { server_name = name, verify = "query" }, streams:server()))
      local errors = a:tls().errors
      a:close()
      b:close()
      return errors
    end)
    assert.same({ 1, 0, 1, 0 }, { #results[1], #results[2], #results[3], #results[4] })
    assert.truthy(results[1][1].message:find("x.test", 1, true))
    assert.truthy(results[3][1].message:find("y.test", 1, true))
  end)

  it("WEAK-29 errors carry code, message, alert, peer and phase", function()
    local err = streams:refused(streams:trust { server_name = "x.test" })
    assert.same({ "tls", "CERT_HOSTNAME_MISMATCH", "bad_certificate", "tls", "connect" },
      { err.kind, err.code, err.alert, err.phase, err.op })
    assert.truthy(err.peer:find("^127.0.0.1:%d+$"))
    assert.truthy(err.message:find("certificate for localhost", 1, true))
    assert.is_true(core.is_error(err))
  end)
end)
