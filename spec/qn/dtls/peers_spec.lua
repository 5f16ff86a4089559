-- DTLS with programs of others: OpenSSL's s_server and s_client, GnuTLS' gnutls-serv and gnutls-cli.
-- covers: spec/support/dtls.lua

local certs = require "spec.support.tls_certs"
local dtls = require "spec.support.dtls"
local program = require "spec.support.program"
local qn = require "qn"

describe("DTLS with", function()
  local shop

  setup(function() shop = certs.open() end)
  teardown(function() shop:close() end)

  local function connect(port, more)
    return qn.dtls.connect("127.0.0.1", port, dtls.client_options(shop, more))
  end

  it("openssl s_server: cookies, an echo, close_notify both ways", function()
    local peer <close> = dtls.s_server(shop)
    local c <close> = assert(connect(peer.port))
    assert.equal("DTLSv1.2", c:tls().version)
    assert.is_true(c:send "from qn\n")
    peer:wait_for "from qn"
    peer:say "from openssl\n"
    assert.equal("from openssl\n", (c:recv { timeout = 10 }))
    c:close()
    peer:wait_for "DONE"
  end)

  it("openssl s_server: a certificate of the client", function()
    local peer <close> = dtls.s_server(shop, { "-Verify", "3", "-CAfile", shop:cert "root", "-verify_return_error" })
    local config = { ca = shop:cert "root", server_name = "localhost", cert = shop:cert "client", key = shop:key "client" }
    local c <close> = assert(qn.dtls.connect("127.0.0.1", peer.port, config))
    peer:wait_for "Client certificate"
    assert.is_true(c:send "from qn\n")
    peer:wait_for "from qn"
  end)

  it("openssl s_server: a wrong certificate", function()
    local peer <close> = dtls.s_server(shop)
    local c, err = connect(peer.port, { ca = shop:cert "stranger" })
    assert.is_nil(c)
    assert.matches("^CERT_", err.code)
    assert.equal("unknown_ca", err.alert)
  end)

  it("openssl s_client: one after another, and resumed", function()
    local peer <close> = dtls.echo(shop)
    local session = shop:path "dtls.session"
    for i = 1, 2 do
      local client <close> = dtls.s_client(shop, peer.port, i == 1 and { "-sess_out", session } or { "-sess_in", session })
      client:wait_for "Verify return code: 0"
      client:wait_for(i == 1 and "New, TLSv1.2" or "Reused, TLSv1.2")
      client:say "hello\n"
      client:wait_for "hello"
      client:say "Q\n"
      assert.equal(0, (client:wait()))
    end
    program.until_true("the end of both", function() return peer.server:stats().connections == 0 end)
    assert.equal(2, peer.server:stats().accepted)
  end)

  for _, case in ipairs {
      { identity = "server_rsa" },
      { identity = "server", args = { "-mtu", "300" }, mtu = 300 },
      { identity = "server", args = { "-cipher", "ECDHE-ECDSA-AES128-SHA" } },
      { identity = "server", args = { "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305" } },
      { identity = "server", args = { "-alpn", "a,b" }, alpn = { "b" } },
    } do
    it("openssl s_client: " .. case.identity .. " " .. table.concat(case.args or {}, " "), function()
      local peer <close> = dtls.echo(shop, { identity = case.identity, mtu = case.mtu, alpn = case.alpn })
      local client <close> = dtls.s_client(shop, peer.port, case.args)
      client:wait_for "Verify return code: 0"
      client:say "hello\n"
      client:wait_for "hello"
    end)
  end

  it("openssl s_client that does not trust us", function()
    local peer <close> = dtls.echo(shop, { identity = "self_signed" })
    local errors = {}
    peer.server:on("handshake_error", function(err) errors[#errors + 1] = err end)
    local client <close> = dtls.s_client(shop, peer.port)
    assert.is_not.equal(0, (client:wait()))
    program.until_true("the error", function() return #errors == 1 end)
    assert.equal("tls", errors[1].kind)
    assert.matches("^ALERT_", errors[1].code)
  end)

  it("gnutls-serv: cookies, an echo", function()
    local peer <close> = dtls.gnutls_serv(shop)
    local c <close> = assert(connect(peer.port))
    assert.equal("DTLSv1.2", c:tls().version)
    assert.is_true(c:send "hello gnutls\n")
    assert.equal("hello gnutls\n", (c:recv { timeout = 10 }))
  end)

  it("gnutls-cli: an echo, and a certificate of the client", function()
    local peer <close> = dtls.echo(shop, { verify = "peer", ca = shop:cert "root" })
    local client <close> = dtls.gnutls_cli(shop, peer.port,
      { "--x509certfile", shop:cert "client", "--x509keyfile", shop:key "client" })
    client:wait_for "Handshake was completed"
    client:say "hello qn\n"
    client:wait_for "hello qn"
  end)
end)
