-- The rows CERT-* of the Qt coverage (QSslCertificate), what Qt 5 added to them (Q5-62, Q5-64), and BAD-01:
-- one spec per row; docs/qt-coverage.md names them.

local qn = require "qn"
local program = require "spec.support.program"

local tls = qn.tls
local folder

local function sh(command)
  assert(os.execute(("cd '%s' && { %s ; } >log 2>&1 </dev/null"):format(folder, command)))
end

local function read(name)
  local file <close> = assert(io.open(folder .. "/" .. name, "rb"))
  return file:read("a")
end

setup(function()
  folder = program.scratch()
  sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout a.key -out a.pem -days 30 "
    .. "-subj '/C=DE/ST=Hessen/L=Ort/O=Org/OU=one/OU=two/CN=a/dnQualifier=q/serialNumber=7/emailAddress=a@x' "
    .. "-addext subjectAltName=DNS:a.example.org,DNS:*.b.example.org,email:a@x,IP:192.0.2.1 "
    .. "-addext extendedKeyUsage=serverAuth; openssl x509 -in a.pem -outform der -out a.der; "
    .. "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout b.key -out b.pem -days 30 "
    .. "-subj /CN=b; cat a.pem b.pem >ab.pem")
end)

teardown(function() program.remove(folder) end)

describe("QSslCertificate", function()
  it("CERT-01 from PEM and DER, from data and devices, ==", function()
    local a = assert(tls.certificate(read "a.pem"))
    assert.equal(a, tls.certificate(read "a.der"))
    assert.equal(a, tls.certificate(read "ab.pem")) -- the first one
    local file <close> = assert(qn.file.open(folder .. "/ab.pem"))
    assert.equal(a, tls.certificate(file))
    assert.not_equal(a, tls.certificate(read "b.pem"))
    local none, err = tls.certificate("nonsense")
    assert.is_nil(none)
    assert.equal("CERT_FORMAT", err.code)
    assert.equal("invalid", err.kind)
  end)

  it("CERT-02 isValid: the dates, not trust", function()
    local a = assert(tls.certificate(read "a.pem"))
    assert.is_true(a.is_valid) -- and nobody trusts it
    assert.is_nil(tls.verify(a))
  end)

  it("CERT-03 version, serialNumber, digest, effectiveDate, expiryDate, publicKey", function()
    local a = assert(tls.certificate(read "a.pem"))
    assert.equal(3, a.version)
    assert.truthy(a.serial:find("^%x%x:[%x:]+$"))
    assert.equal(qn.crypto.digest("sha256", a:to_der()), a:digest())
    assert.equal(qn.crypto.digest("md5", a:to_der()), a:digest "md5")
    assert.equal(30 * 86400, a.not_after - a.not_before)
    assert.equal("ec", a.public_key.type)
    assert.equal(tls.key(read "a.key").public, a.public_key)
  end)

  it("CERT-04 subjectInfo, issuerInfo, alternative names", function()
    local a = assert(tls.certificate(read "a.pem"))
    local s = a.subject
    assert.same({ "DE", "Hessen", "Ort", "Org", "one", "a" }, { s.C, s.ST, s.L, s.O, s.OU, s.CN })
    assert.same({ "one", "two" }, s:values "OU")
    assert.equal("a", s["2.5.4.3"])
    assert.equal(a.issuer, s)
    assert.same({ "a.example.org", "*.b.example.org" }, a.names.dns)
    assert.same({ "a@x" }, a.names.email)
  end)

  it("CERT-05 toPem, toDer, fromPath, fromDevice, fromData", function()
    local a, b = assert(tls.certificate(read "a.pem")), assert(tls.certificate(read "b.pem"))
    assert.equal(read "a.pem", a:to_pem())
    assert.equal(read "a.der", a:to_der())
    assert.same({ a, b }, tls.certificates(folder .. "/ab.pem"))
    assert.same({ a, b }, tls.certificates(folder .. "/[ab].pem"))
    assert.same({ a, b }, tls.certificates(folder .. "/?.p*"))
    assert.same({ a, b }, tls.certificates(read "ab.pem"))
    local file <close> = assert(qn.file.open(folder .. "/ab.pem"))
    assert.same({ a, b }, tls.certificates(file))
  end)

  it("CERT-06 handle: there is none, DER takes it anywhere", function()
    local a = assert(tls.certificate(read "a.pem"))
    assert.is_nil(a.handle)
    assert.equal(a, tls.certificate(a:to_der()))
  end)

  it("Q5-62 extensions, attributes, toText, self-signed, display names, addresses", function()
    local a = assert(tls.certificate(read "a.pem"))
    local by_name = {}
    for _, extension in ipairs(a.extensions) do
      by_name[extension.name] = extension
    end
    local basic = by_name.basicConstraints
    assert.same({ "2.5.29.19", true, true, "CA:TRUE" }, { basic.oid, basic.critical, basic.supported, basic.text })
    assert.is_false(by_name.extendedKeyUsage.critical)
    assert.same({ "server" }, a.usage)
    local names = {}
    for i, attribute in ipairs(a.subject) do
      names[i] = attribute.name
    end
    assert.same({ "C", "ST", "L", "O", "OU", "OU", "CN", "dnQualifier", "serialNumber", "emailAddress" }, names)
    assert.same({ "q", "7", "a@x" }, { a.subject.dnQualifier, a.subject.serialNumber, a.subject.emailAddress })
    assert.truthy(a:to_text():find("Subject: C = DE", 1, true))
    assert.is_true(a.self_signed)
    assert.equal("a", a.subject_display_name)
    assert.equal("a", a.issuer_display_name)
    assert.same({ qn.address "192.0.2.1" }, a.names.ip)
  end)

  it("Q5-64 verify(chain, host)", function()
    local a, b = assert(tls.certificate(read "a.pem")), assert(tls.certificate(read "b.pem"))
    assert.is_true(tls.verify({ a }, "a.example.org", { ca = a }))
    local ok, errors = tls.verify({ a, b }, "c.example.org", { ca = a, time = a.not_after + 1 })
    assert.is_nil(ok)
    local codes = {}
    for i, err in ipairs(errors) do
      codes[i] = err.code
      assert.equal(a, err.certificate)
    end
    assert.same({ "CERT_HAS_EXPIRED", "CERT_HOSTNAME_MISMATCH" }, codes)
  end)

  it("BAD-01 a wildcard is one label, the default digest no MD5", function()
    local a = assert(tls.certificate(read "a.pem"))
    assert.is_true(a:matches_host "x.b.example.org")
    assert.is_nil(a:matches_host "x.y.b.example.org")
    assert.is_nil(a:matches_host "b.example.org")
    assert.equal(32, #a:digest())
  end)
end)
