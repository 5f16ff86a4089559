-- The rows KEY-* and CIPH-01 of the Qt coverage (QSslKey, QSslCipher) and what Qt 5 added to them: Q5-68
-- (QSslEllipticCurve) and Q5-69 (types of keys), one spec per row; docs/qt-coverage.md names them.

local tls = require "qn.tls.key"

describe("QSslKey", function()
  it("KEY-01 from PEM and DER, with a passphrase", function()
    local key = assert(tls.generate_key())
    assert.equal(key, tls.key(key:to_pem()))
    assert.equal(key, tls.key(key:to_der()))
    local sealed = key:to_pem("secret")
    assert.equal(key, tls.key(sealed, "secret"))
    for _, wrong in ipairs { "Secret", "" } do
      local none, err = tls.key(sealed, wrong)
      assert.is_nil(none)
      assert.equal("KEY_PASSPHRASE", err.code)
    end
    assert.equal("KEY_PASSPHRASE", select(2, tls.key(sealed)).code)
    assert.equal("KEY_FORMAT", select(2, tls.key("nonsense")).code)
    assert.equal("KEY_FORMAT", select(2, tls.key("")).code)
  end)

  it("KEY-02 length, type, algorithm, toPem, toDer", function()
    local key = assert(tls.generate_key { type = "rsa", bits = 1024 })
    assert.equal(1024, key.bits)
    assert.equal("rsa", key.type)
    assert.is_true(key.is_private)
    assert.truthy(key:to_pem():find("^%-%-%-%-%-BEGIN PRIVATE KEY"))
    assert.truthy(key:to_pem("x", { cipher = "des-ede3-cbc" }):find("^%-%-%-%-%-BEGIN ENCRYPTED PRIVATE KEY"))
    assert.truthy(key.public:to_pem():find("^%-%-%-%-%-BEGIN PUBLIC KEY"))
    assert.equal(key, tls.key(key:to_der()))
    assert.equal(key.public, tls.key(key.public:to_der()))
  end)

  it("Q5-69 types of keys", function()
    for _, type_ in ipairs { "rsa", "rsa_pss", "ec", "ed25519", "ed448", "x25519", "x448" } do
      local key = assert(tls.generate_key { type = type_ })
      assert.equal(type_, key.type)
      assert.equal(type_, key.public.type)
      assert.is_false(key.public.is_private)
    end
  end)
end)

describe("QSslCipher", function()
  it("CIPH-01 name, bits, methods, protocol, equality", function()
    local c = assert(tls.ciphers("ECDHE-RSA-AES256-GCM-SHA384"))
    c = c[#c]
    assert.equal("ECDHE-RSA-AES256-GCM-SHA384", c.name)
    assert.equal(256, c.bits)
    assert.equal(256, c.strength)
    assert.equal("ECDHE", c.key_exchange)
    assert.equal("RSA", c.authentication)
    assert.equal("AES-256-GCM", c.encryption)
    assert.equal("TLSv1.2", c.protocol)
    local again = assert(tls.ciphers("ECDHE-RSA-AES256-GCM-SHA384"))
    assert.equal(c, again[#again])
    assert.not_equal(c, again[1])
  end)

  it("Q5-68 elliptic curves", function()
    local by_name = {}
    for _, curve in ipairs(assert(tls.curves())) do
      by_name[curve.name] = curve
    end
    assert.equal("prime256v1", by_name["P-256"].short_name)
    assert.truthy(by_name["P-256"].long_name:find("prime field", 1, true))
    assert.is_true(by_name["P-256"].is_tls)
    assert.equal("P-384", assert(tls.generate_key { curve = "P-384" }).curve)
  end)
end)
