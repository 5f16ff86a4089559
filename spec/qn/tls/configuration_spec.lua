-- Configurations: what their options are, that each does something, and what is said about wrong ones.
-- covers: lua/qn/tls/configuration.lua
-- covers: lua/qn/tls/options.lua
-- covers: bindings/b_tls_config.c
-- covers: runtime/tls/keylog.c

local qn = require "qn"
local throws = require "spec.support.throws"
local tls_streams = require "spec.support.tls_streams"

local with <const> = tls_streams.with

describe("qn.tls.configuration", function()
  local streams, shop
  setup(function()
    streams = tls_streams.open()
    shop = streams.shop
  end)
  teardown(function() streams:close() end)

  -- The facts of both ends of a connection of these options.
  local function facts(client, server)
    local one, other
    streams:with("memory", client, server, function(a, b)
      one, other = a:tls(), b:tls()
    end)
    return one, other
  end

  it("is a value with its options as read-only fields", function()
    local config = assert(qn.tls.configuration { ca = shop:cert "root", cert = shop:chain "client",
      key = shop:key "client", alpn = "h2", min_version = "1.3", ciphersuites = { "TLS_AES_128_GCM_SHA256" },
      curves = "P-256", server_name = "x.test", pin_sha256 = ("ab"):rep(32), verify_depth = 3 })
    assert.equal("1.3", config.min_version)
    assert.is_nil(config.max_version)
    assert.equal("auto", config.verify)
    assert.equal(3, config.verify_depth)
    assert.is_true(config.sessions)
    assert.equal("TLS_AES_128_GCM_SHA256", config.ciphersuites)
    assert.same({ "h2" }, config.alpn)
    assert.equal("client", config.cert.subject[1].value)
    assert.equal("ec", config.key.type)
    assert.equal("root", config.ca[1].subject[1].value)
    assert.same({ ("\xab"):rep(32) }, config.pin_sha256)
    assert.equal("x.test", config.server_name)
    assert.is_nil(config.no_such_thing)
    config.ca[1] = nil -- a copy
    assert.equal("root", config.ca[1].subject[1].value)
    local ok, err = pcall(function() config.verify = "none" end)
    assert.is_false(ok)
    assert.truthy(err:find("attempt to change field 'verify'", 1, true))
    assert.truthy(tostring(config):find("^qn.TlsConfiguration"))
    assert.is_nil(tostring(config):find("PRIVATE"))
  end)

  it("is the same for the same options, and another one when a file has changed", function()
    local path = shop:write("changing.pem", shop:read(shop:cert("root"):match("[^/]+$")))
    local one = assert(qn.tls.configuration { ca = path })
    assert.is_true(rawequal(one, assert(qn.tls.configuration { ca = path })))
    assert.is_false(rawequal(one, assert(qn.tls.configuration { ca = path, alpn = "x" })))
    shop:write("changing.pem", shop:read(shop:cert("stranger"):match("[^/]+$")))
    local other = assert(qn.tls.configuration { ca = path })
    assert.is_false(rawequal(one, other))
    assert.equal("stranger", other.ca[1].subject[1].value)
    for i = 1, 100 do
      assert(qn.tls.configuration { alpn = "p" .. i })
    end
    assert.is_false(rawequal(one, assert(qn.tls.configuration { ca = path }))) -- not remembered for ever
  end)

  it("can be changed into another one", function()
    local one = assert(qn.tls.configuration { alpn = "a", verify = "query", server_name = "x.test" })
    local two = assert(one:with { alpn = { "b", "c" } })
    assert.same({ "a" }, one.alpn)
    assert.same({ "b", "c" }, two.alpn)
    assert.equal("query", two.verify)
    assert.equal("x.test", two.server_name)
    assert.equal("y.test", one:with { server_name = "y.test" }.server_name)
    throws.method(assert, "with: unknown option 'alpm' %(did you mean 'alpn'%?%)", one, "with", { alpm = 1 })
    local none, err = one:with { ca = "/nowhere" }
    assert.is_nil(none)
    assert.equal("ENOENT", err.code)
  end)

  it("takes certificates and keys as values, PEM, DER and files", function()
    local pem = shop:read(shop:cert("root"):match("[^/]+$"))
    local value = assert(qn.tls.certificate(pem))
    for _, ca in ipairs { pem, value, value:to_der(), shop:cert "root", { shop:cert "stranger", value } } do
      assert.is_true((facts({ ca = ca })).encrypted)
    end
    local file <close> = assert(io.open(shop:key "server", "rb"))
    local key = file:read("a")
    for _, k in ipairs { key, assert(qn.tls.key(key)), assert(qn.tls.key(key)):to_der() } do
      assert.is_true((facts({}, { key = k })).encrypted)
    end
    local sealed = assert(qn.tls.key(key)):to_pem("geheim")
    assert.is_true((facts({}, { key = sealed, passphrase = "geheim" })).encrypted)
    local config, err = qn.tls.configuration { cert = shop:chain "server", key = sealed, passphrase = "no" }
    assert.is_nil(config)
    assert.equal("KEY_PASSPHRASE", err.code)
    assert.truthy(err.message:find("option 'key'", 1, true))
    -- a chain apart from the certificate
    local one = facts({}, { cert = shop:cert "server", chain = shop:cert "mid" })
    assert.equal(2, #one.chain)
  end)

  it("trusts a folder of certificates, and the system beside others when told", function()
    local folder = shop:path "hashed"
    shop:sh(("mkdir -p %s && cp %s %s/root.pem && openssl rehash %s"):format(folder, shop:cert "root", folder,
      folder))
    assert.is_true((facts({ ca = folder })).encrypted)
    assert.is_true((facts({ ca = { "system", shop:cert "root" } })).encrypted)
    assert.equal("tls", (streams:failure({ ca = "system" })).kind)
  end)

  it("limits versions, ciphers and curves", function()
    assert.equal("TLSv1.2", (facts({ max_version = "1.2" })).version)
    assert.equal("TLSv1.3", (facts({ min_version = "1.3" })).version)
    assert.equal("ECDHE-ECDSA-CHACHA20-POLY1305",
      (facts({ max_version = "1.2", ciphers = { "ECDHE-ECDSA-CHACHA20-POLY1305", "NO-SUCH-CIPHER" } })).cipher)
    assert.equal("TLS_AES_128_GCM_SHA256", (facts({ ciphersuites = "TLS_AES_128_GCM_SHA256" })).cipher)
    local list = assert(qn.tls.ciphers("ECDHE-ECDSA-AES128-GCM-SHA256"))
    assert(qn.tls.configuration { ciphers = list })
    assert.equal("P-256", (facts({ curves = { "P-256" } })).ephemeral_key)
    assert.equal("P-384", (facts({}, { curves = "P-384:P-256" })).ephemeral_key)
    local err, far = streams:failure({ min_version = "1.3" }, { max_version = "1.2" })
    assert.equal("ALERT_PROTOCOL_VERSION", err.code)
    assert.equal("protocol_version", err.alert)
    assert.equal("tls", far.kind)
    throws.call(assert, "option 'min_version' must be one of '1.0', '1.1', '1.2', '1.3'", qn.tls,
      "configuration", { min_version = "3" })
    local config
    config, err = qn.tls.configuration { min_version = "1.3", max_version = "1.2" }
    assert.is_nil(config)
    assert.equal("invalid", err.kind)
  end)

  it("says at once which list OpenSSL cannot use", function()
    for _, option in ipairs { "ciphers", "ciphersuites", "curves" } do
      local config, err = qn.tls.configuration { [option] = "no-such:thing" }
      assert.is_nil(config)
      assert.equal("TLS_CONFIGURATION", err.code)
      assert.matches("option '" .. option .. "': ", err.message)
    end
  end)

  it("verifies as `verify` and `verify_depth` say", function()
    local one = facts({ verify = "none", server_name = "x.test" })
    assert.is_true(one.encrypted)
    assert.equal("CERT_HOSTNAME_MISMATCH", one.errors[1].code) -- known, but no reason to end
    one = facts({ verify = "query", server_name = "x.test" })
    assert.equal("CERT_HOSTNAME_MISMATCH", one.errors[1].code)
    assert.equal("CERT_HOSTNAME_MISMATCH", (streams:failure({ verify = "peer", server_name = "x.test" })).code)
    assert.equal("CERT_CHAIN_TOO_LONG", (streams:failure({ verify_depth = 0 })).code)
    assert.is_true((facts({ verify_depth = 1 })).encrypted)
  end)

  it("of servers asks clients for certificates", function()
    local client = { cert = shop:chain "client", key = shop:key "client" }
    local ca = { verify = "peer", ca = shop:cert "root", client_ca = shop:cert "root" }
    local _, far = facts(client, ca)
    assert.equal("client", far.peer.subject[1].value)
    assert.equal(1, #far.chain)
    local _, err = streams:failure({ max_version = "1.2" }, ca)
    assert.equal("CERT_NO_PEER_CERTIFICATE", err.code)
    _, far = facts({}, with({}, { verify = "query", ca = shop:cert "root" }))
    assert.is_nil(far.peer)
    _, err = streams:failure({ max_version = "1.2", cert = shop:chain "strange_client",
      key = shop:key "strange_client" }, ca)
    assert.equal("tls", err.kind)
    assert.truthy(err.code:find("^CERT_"), err.code)
    _, far = facts(client, {})
    assert.is_nil(far.peer) -- it was not asked
  end)

  it("agrees on protocols", function()
    assert.equal("b", (facts({ alpn = { "a", "b" } }, { alpn = { "c", "b", "a" } })).alpn)
    assert.is_nil((facts({}, { alpn = "c" })).alpn)
    assert.is_nil((facts({ alpn = "c" }, {})).alpn)
    local err = streams:failure({ alpn = "x" }, { alpn = "y" })
    assert.equal("no_application_protocol", err.alert)
    local asked
    assert.equal("two", (facts({ alpn = { "one", "two" } }, { alpn = function(names)
      asked = names
      return names[2]
    end })).alpn)
    assert.same({ "one", "two" }, asked)
    err = streams:failure({ alpn = "x" }, { alpn = function() return nil end })
    assert.equal("no_application_protocol", err.alert)
    throws.call(assert, "option 'alpn' must hold names of 1 to 255 bytes", qn.tls, "configuration",
      { alpn = { "" } })
    throws.call(assert, "option 'alpn' must hold 1 to 64 names", qn.tls, "configuration", { alpn = {} })
  end)

  it("pins keys", function()
    local key = assert(qn.tls.certificates(shop:cert "server"))[1].public_key
    local digest = qn.crypto.digest("sha256", key:to_der())
    local hex = digest:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
    for _, pin in ipairs { digest, hex, "sha256//" .. qn.crypto.to_base64(digest),
      { ("00"):rep(32), hex } } do
      assert.is_true((facts({ pin_sha256 = pin })).encrypted)
    end
    assert.equal("CERT_NOT_PINNED", (streams:failure({ pin_sha256 = ("00"):rep(32) })).code)
    throws.call(assert, "option 'pin_sha256' must hold SHA%-256 digests", qn.tls, "configuration",
      { pin_sha256 = "short" })
  end)

  it("ignores errors, if all are in its list", function()
    local name = "CERT_HOSTNAME_MISMATCH"
    local one = facts({ server_name = "x.test", ignore_errors = { name } })
    assert.equal(name, one.errors[1].code)
    local cert = assert(qn.tls.certificates(shop:cert "server"))[1]
    assert.is_true((facts({ server_name = "x.test", ignore_errors = { { name, cert } } })).encrypted)
    assert.is_true((facts({ server_name = "x.test", ignore_errors = one.errors })).encrypted)
    assert.is_true((facts({ server_name = "x.test", ca = shop:cert "stranger", ignore_errors = true })).encrypted)
    local other = assert(qn.tls.certificates(shop:cert "root"))[1]
    assert.equal(name, (streams:failure({ server_name = "x.test", ignore_errors = { { name, other } } })).code)
    assert.truthy((streams:failure({ server_name = "x.test", ca = shop:cert "stranger",
      ignore_errors = { name } })).code:find("^CERT_UNABLE"))
    throws.call(assert, "option 'ignore_errors': no verification error at 2", qn.tls, "configuration",
      { ignore_errors = { name, "CERT_NO" } })
  end)

  it("has certificates of several types of key", function()
    local several = { cert = false, key = false, certs = { shop:identity "server", shop:identity "server_rsa" } }
    several.cert, several.key = nil, nil
    local function server_of(opts)
      local result
      local a, b = qn.pair()
      local ok = streams.shake(a, b, streams:client(opts), { server = true, certs = several.certs })
      assert.is_true(ok)
      result = a:tls().peer.public_key.type
      a:close()
      b:close()
      return result
    end
    assert.equal("ec", server_of { max_version = "1.2", ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" })
    assert.equal("rsa", server_of { max_version = "1.2", ciphers = "ECDHE-RSA-AES128-GCM-SHA256" })
    throws.call(assert, "options 'cert' and 'certs' exclude each other", qn.tls, "configuration",
      { cert = shop:cert "server", key = shop:key "server", certs = several.certs })
    throws.call(assert, "certs%[1%]: unknown option 'crt'", qn.tls, "configuration", { certs = { { crt = 1 } } })
    throws.call(assert, "option 'certs%[1%].key'", qn.tls, "configuration",
      { certs = { { cert = shop:cert "server" } } })
  end)

  it("serves names from a table", function()
    local sni = { ["other.test"] = shop:identity "other_server",
      ["*.wild.test"] = assert(qn.tls.configuration(shop:identity "server_rsa")) }
    local function name_of(name)
      return (facts({ server_name = name, verify_name = false }, { sni = sni })).peer.subject[1].value
    end
    assert.equal("other_server", name_of "other.test")
    assert.equal("server_rsa", name_of "a.wild.test")
    assert.equal("server", name_of "elsewhere.test")
    throws.call(assert, "option 'sni'.*unknown option 'crt'", qn.tls, "configuration",
      { sni = { ["x.test"] = { crt = 1 } } })
    throws.call(assert, "a host name expected, got number", qn.tls, "configuration", { sni = { {} } })
    local config, err = qn.tls.configuration { sni = { ["not a name"] = shop:identity "server" } }
    assert.is_nil(config)
    assert.equal("invalid", err.kind)
  end)

  it("writes a key log", function()
    local path = shop:path "keys.log"
    facts({ keylog = path })
    local file <close> = assert(io.open(path))
    local text = file:read("a")
    assert.truthy(text:find("CLIENT_TRAFFIC_SECRET_0 %x+ %x+\n"))
    facts({ keylog = path, max_version = "1.2" })
    assert.truthy(file:read("a"):find("CLIENT_RANDOM %x+ %x+\n"))
  end)

  it("staples an OCSP answer", function()
    local one = facts({}, { ocsp_staple = "no answer, but bytes" })
    assert.is_nil(one.ocsp) -- it was not asked for
  end)

  it("is the default one where none is given", function()
    local before = qn.tls.default_configuration()
    assert.is_true(rawequal(before, qn.tls.default_configuration()))
    local mine = assert(qn.tls.default_configuration { ca = shop:cert "root", alpn = "mine" })
    assert.is_true(rawequal(mine, qn.tls.default_configuration()))
    local ok, err = pcall(function()
      streams:serving({ alpn = "mine" }, function(port)
        local s <close> = assert(qn.tls.connect("localhost", port))
        assert.equal("mine", s:tls().alpn)
        assert.is_true(rawequal(mine, s:tls().configuration))
      end)
      local _, problem = qn.tls.default_configuration { ca = "/nowhere" }
      assert.equal("ENOENT", problem.code)
      assert.is_true(rawequal(mine, qn.tls.default_configuration()))
      throws.call(assert, "bad argument #1 to 'default_configuration'", qn.tls, "default_configuration", 5)
    end)
    assert.is_true(rawequal(before, qn.tls.default_configuration(before)))
    assert(ok, err)
  end)

  it("names the option that has a wrong type", function()
    for name, value in pairs { ciphers = 1, ca = true, verify = "no", verify_depth = "x", cert = {}, chain = 1,
      key = {}, passphrase = 1, certs = 1, alpn = 1, sessions = 1, tickets = 1, ticket_keys = 1,
      ocsp_staple = 1, sni = 1, client_ca = 1, keylog = 1, ignore_errors = 1, pin_sha256 = 1, server_name = 1,
      verify_name = 1, session = 1, min_version = 1, max_version = 1, ciphersuites = 1, curves = 1 } do
      throws.call(assert, "^%[string.*qn.tls.configuration: option '" .. name .. "'", qn.tls, "configuration",
        { [name] = value })
    end
    for name, value in pairs { ciphers = {}, ca = {}, ticket_keys = { "short" }, certs = {}, curves = { 1 },
      server_name = "", passphrase = "alone" } do
      if name ~= "server_name" then
        throws.call(assert, "option '" .. name .. "'", qn.tls, "configuration", { [name] = value })
      end
    end
    throws.call(assert, "options must be a table, got string", qn.tls, "configuration", "x")
  end)
end)
