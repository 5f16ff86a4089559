-- The rows Q5-67 (QSslPreSharedKeyAuthenticator), Q5-70 (backend configuration) and Q5-74 (OCSP stapling) of
-- the Qt coverage; docs/qt-coverage.md names them. More: spec/qn/tls/psk_spec.lua, ocsp_spec.lua.

local qn = require "qn"

local certs = require "spec.support.tls_certs"
local tls_server = require "spec.support.tls_server"

local meet <const> = tls_server.meet
local shop

describe("QSsl", function()
  setup(function() shop = certs.open() end)
  teardown(function() shop:close() end)

  it("Q5-67 pre-shared keys: identity, hint, limits", function()
    local key = ("k"):rep(64)
    local hint, identity
    local function client(given)
      hint = given
      return ("i"):rep(128), key
    end
    local function server(given)
      identity = given
      return key
    end
    local facts = assert(meet({ psk = server, psk_hint = "the hint" },
      { psk = client, max_version = "1.2" }))
    assert.equal("the hint", hint)
    assert.equal(("i"):rep(128), identity)
    assert.equal(identity, facts.psk_identity)
    facts = assert(meet({ psk = { keys = { me = key } } }, { psk = { identity = "me", key = key } }))
    assert.equal("TLSv1.3", facts.version)
    assert.equal("me", facts.psk_identity)
    local _, err = meet({ psk = { keys = { me = key } } }, { psk = function() return nil end })
    assert.equal("tls", err.kind)
  end)

  it("Q5-70 settings by OpenSSL's names, order of ciphers", function()
    local identity = { cert = shop:chain "server", key = shop:key "server" }
    local facts = assert(meet(identity, { ca = shop:cert "root",
      openssl = { MaxProtocol = "TLSv1.2", CipherString = "ECDHE-ECDSA-AES128-GCM-SHA256" } }))
    assert.equal("TLSv1.2", facts.version)
    assert.equal("ECDHE-ECDSA-AES128-GCM-SHA256", facts.cipher)
    local ciphersuites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"
    for preference, bits in pairs { server = 256, client = 128 } do
      identity.cipher_preference = preference
      facts = assert(meet(identity, { ca = shop:cert "root", ciphersuites = ciphersuites }))
      assert.equal(bits, facts.cipher_bits)
    end
    for name, text in pairs { Nope = 'no command "Nope"', PrivateKey = 'no command "PrivateKey"',
      MinProtocol = 'refuses "x" for the command "MinProtocol"' } do
      local config, err = qn.tls.configuration { openssl = { [name] = "x" } }
      assert.is_nil(config)
      assert.equal("invalid", err.kind)
      assert.truthy(err.message:find(text, 1, true), err.message)
    end
  end)

  it("Q5-74 OCSP stapling: status, reason, times", function()
    local function answer(status, reason)
      local path = shop:ocsp("server", { status = status, reason = reason })
      return shop:read(path:match "[^/]+$")
    end
    local identity = { cert = shop:chain "server", key = shop:key "server" }
    identity.ocsp_staple = answer "good"
    local facts = assert(meet(identity, { ca = shop:cert "root", ocsp = "require" }))
    assert.equal("good", facts.ocsp.status)
    for name, reason in pairs { keyCompromise = "key_compromise", CACompromise = "ca_compromise",
      superseded = "superseded", cessationOfOperation = "cessation_of_operation" } do
      identity.ocsp_staple = answer("revoked", name)
      local none, err = meet(identity, { ca = shop:cert "root", ocsp = "request" })
      assert.is_nil(none)
      assert.equal("CERT_REVOKED", err.code)
      assert.truthy(err.message:find("(" .. reason .. ")", 1, true), err.message)
      assert.equal(reason, qn.tls.ocsp(identity.ocsp_staple).reason)
    end
    identity.ocsp_staple = answer "unknown"
    facts = assert(meet(identity, { ca = shop:cert "root", ocsp = "request" }))
    assert.equal("unknown", facts.ocsp.status)
  end)
end)
