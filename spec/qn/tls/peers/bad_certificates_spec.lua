-- Every way in which a server's certificate can be bad gives its own error and text, in a handshake with
-- openssl s_server that shows one of the workshop's. Qt rows: SER-01, SSL-12, SSL-13, SSL-19, SSL-23,
-- SSL-25.
--
-- QSslError's codes of which openssl's verification says the same in other words (nothing can cause
-- them alone): 2 UnableToDecryptCertificateSignature is CERT_SIGNATURE_FAILURE; 3
-- UnableToDecodeIssuerPublicKey, 19 SubjectIssuerMismatch and 20 AuthorityIssuerSerialNumberMismatch:
-- such a certificate is not taken for the issuer, so CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY. 23
-- NoSslSupport cannot be, 17 CertificateUntrusted is CERT_REJECTED,
-- 24 CertificateBlacklisted is what `pin_sha256` is for, -1 is CERT_UNSPECIFIED.

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local peers = require "spec.support.tls_peers"

local shop

setup(function() shop = certs.open() end)
teardown(function() shop:close() end)

-- The codes, their depths, and what the whole error says. `code`: QSslError's number.
local cases <const> = {
  { "expired", "CERT_HAS_EXPIRED", code = 6, text = "has expired: it was valid until 20", alert = "certificate_expired" },
  { "future", "CERT_NOT_YET_VALID", code = 5, text = 'the certificate of "future" is not yet valid: it will be from 20' },
  { "no_start", "CERT_ERROR_IN_NOT_BEFORE_FIELD", code = 7, text = "first date" },
  { "no_end", "CERT_ERROR_IN_NOT_AFTER_FIELD", code = 8, text = "last date" },
  { "wrong_host", "CERT_HOSTNAME_MISMATCH", code = 22,
    text = 'certificate for other.test and *.else.test does not match host "localhost"' },
  { "no_names", "CERT_HOSTNAME_MISMATCH", code = 22, text = "localhost" }, -- a CN is no name of a host
  { "unknown_issuer", "CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", depth = 1, code = 11,
    text = 'the issuer of the certificate of "stranger_mid" is not known: "stranger"', alert = "unknown_ca" },
  { "unknown_alone", "CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "CERT_UNABLE_TO_VERIFY_LEAF_SIGNATURE", code = 12,
    text = "not known" },
  { "broken_chain", "CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "CERT_UNABLE_TO_VERIFY_LEAF_SIGNATURE", code = 12,
    text = "not known" },
  { "unknown_root", "CERT_SELF_SIGNED_IN_CHAIN", depth = 1, code = 10, text = "self-signed" },
  { "self_signed", "CERT_DEPTH_ZERO_SELF_SIGNED", code = 9, text = "self-signed and not trusted" },
  { "by_keyless", "CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "CERT_UNABLE_TO_VERIFY_LEAF_SIGNATURE", code = 12,
    text = "not known", ca = "keyless" },
  { "server", "CERT_UNABLE_TO_GET_ISSUER_CERT", depth = 1, code = 1, text = 'the issuer of the certificate of "mid" is not known: "root"',
    ca = "mid" },
  { "bad_signature", "CERT_SIGNATURE_FAILURE", code = 4, text = "signature of the certificate is wrong",
    alert = "decrypt_error" },
  { "weak_key", "CERT_EE_KEY_TOO_SMALL", text = "too weak" },
  { "under_weak_ca", "CERT_CA_KEY_TOO_SMALL", depth = 1, text = "too weak" },
  { "weak_digest", "CERT_CA_MD_TOO_WEAK", text = "digest" },
  { "weakest_digest", "CERT_CA_MD_TOO_WEAK", text = "digest", ca = "old_root" },
  { "not_by_a_ca", "CERT_INVALID_CA", code = 14, depth = 1, more = true, text = "not a CA" },
  { "by_no_signer", "CERT_INVALID_CA", code = 14, depth = 1, more = true, text = "not a CA" },
  { "too_deep", "CERT_PATH_LENGTH_EXCEEDED", code = 15, depth = 2, text = "longer than" },
  { "for_clients", "CERT_INVALID_PURPOSE", code = 16, text = "not for this purpose" },
  { "wrong_usage", "CERT_INVALID_PURPOSE", code = 16, text = "not for this purpose" },
  { "unknown_extension", "CERT_UNHANDLED_CRITICAL_EXTENSION", text = "critical extension" },
  { "not_permitted", "CERT_PERMITTED_VIOLATION", text = "may certify" },
  { "excluded", "CERT_EXCLUDED_VIOLATION", text = "must not certify" },
}

local function server_of(name)
  return peers.s_server(shop, { identity = name, args = { "-cipher", "DEFAULT@SECLEVEL=0" } })
end

local function connect(server, opts, host)
  opts.server_name = host or "localhost"
  opts.ca = opts.ca or shop:cert "root"
  opts.sessions = false
  return qn.tls.connect("127.0.0.1", server.port, opts)
end

local function codes_of(errors)
  local codes = {}
  for i, err in ipairs(errors) do
    codes[i] = err.code
  end
  return codes
end

describe("a server's certificate:", function()
  for _, case in ipairs(cases) do
    local name = case[1]
    local expected = table.move(case, 2, #case, 1, {})
    it(name .. (case.ca and " under " .. case.ca or "") .. " is " .. table.concat(expected, ", "), function()
      local ca = shop:cert(case.ca or "root")
      local server <close> = server_of(name)
      local socket, err = connect(server, { ca = ca })
      assert.is_nil(socket)
      assert.equal("tls", err.kind)
      assert.equal(expected[1], err.code)
      assert.truthy(err.message:find(case.text, 1, true), err.message)
      assert.equal(expected[1], err.errors[1].code)
      assert.equal(case.depth or 0, err.errors[1].depth)
      assert.is_string(err.errors[1].certificate.subject[1].value)
      assert.truthy(tostring(err):find(expected[1], 1, true))
      if case.alert then
        assert.equal(case.alert, err.alert)
      else
        assert.is_string(err.alert)
      end
      local all = codes_of(err.errors)
      if not case.more then
        assert.same(expected, all)
      end
      -- Noted, and the connection goes on.
      socket = assert(connect(server, { ca = ca, verify = "query" }))
      assert.same(all, codes_of(socket:tls().errors))
      socket:close()
      -- All of them ignored.
      socket = assert(connect(server, { ca = ca, ignore_errors = all }))
      assert.same(all, codes_of(socket:tls().errors))
      socket:close()
    end)
  end

  it("under a root that the folder of trusted ones rejects, or trusts for something else", function()
    local server <close> = server_of "wrong_host"
    for i, mark in ipairs { "-addreject serverAuth", "-addtrust clientAuth" } do
      shop:sh(("mkdir %d; openssl x509 -in %s -trustout %s -out %d/root.pem; openssl rehash %d"):format(i,
        shop:cert "root", mark, i, i))
      local socket, err = connect(server, { ca = shop:path(i) }, "other.test")
      assert.is_nil(socket)
      assert.equal("CERT_REJECTED", err.code)
    end
  end)

  it("for other addresses", function()
    local server <close> = server_of "server"
    local socket, err = connect(server, {}, "127.0.0.2")
    assert.is_nil(socket)
    assert.equal("CERT_IP_ADDRESS_MISMATCH", err.code)
    assert.truthy(err.message:find("127.0.0.2", 1, true))
    assert(connect(server, {}, "127.0.0.1")):close()
  end)

  it("with a chain longer than verify_depth", function()
    local server <close> = server_of "server"
    local socket, err = connect(server, { verify_depth = 0 })
    assert.is_nil(socket)
    assert.equal("CERT_CHAIN_TOO_LONG", err.code)
    assert(connect(server, { verify_depth = 1 })):close()
  end)

  it("with a key that is not pinned", function()
    local server <close> = server_of "server"
    local pin = assert(qn.tls.certificate(shop:read "server.pem")).public_key
    local digest = qn.crypto.digest("sha256", pin:to_der())
    assert(connect(server, { pin_sha256 = digest })):close()
    local socket, err = connect(server, { pin_sha256 = ("0"):rep(64) })
    assert.is_nil(socket)
    assert.equal("CERT_NOT_PINNED", err.code)
  end)

  it("with several errors: they are ignored only all together", function()
    local server <close> = server_of "expired"
    local socket, err = connect(server, {}, "other.test")
    assert.is_nil(socket)
    assert.same({ "CERT_HAS_EXPIRED", "CERT_HOSTNAME_MISMATCH" }, codes_of(err.errors))
    socket, err = connect(server, { ignore_errors = { "CERT_HAS_EXPIRED" } }, "other.test")
    assert.is_nil(socket)
    assert.equal("CERT_HOSTNAME_MISMATCH", err.code)
    assert(connect(server, { ignore_errors = { "CERT_HAS_EXPIRED", "CERT_HOSTNAME_MISMATCH" } }, "other.test")):close()
    local other = assert(qn.tls.certificate(shop:read "root.pem"))
    socket = connect(server, { ignore_errors = { { "CERT_HAS_EXPIRED", other } } })
    assert.is_nil(socket)
    local own = assert(qn.tls.certificate(shop:read "expired.pem"))
    assert(connect(server, { ignore_errors = { { "CERT_HAS_EXPIRED", own } } })):close()
    assert(connect(server, { verify = "none" }, "other.test")):close()
  end)
end)
