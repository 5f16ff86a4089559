-- Making certificates and requests: what comes out is read by openssl(1) and certtool(1), and theirs is
-- signed by us.
-- covers: lua/qn/tls/issue_texts.lua
-- covers: bindings/b_cert_make.c
-- covers: runtime/tls/cert_make_ext.c
-- covers: runtime/tls/cert_name.c

local qn = require "qn"
local throws = require "spec.support.throws"
local tls_files = require "spec.support.tls_files"

local tls = qn.tls
local bench <const> = tls_files.new()
local read <const>, write <const>, output <const>, shown <const> = bench.read, bench.write, bench.output, bench.shown
local has <const>, has_not <const>, refused <const> = tls_files.has, tls_files.has_not, tls_files.refused

local root, root_key
local function self_signed(opts)
  opts.key = opts.key or root_key
  local certificate = assert(tls.self_signed(opts))
  return certificate
end

setup(function()
  bench.open()
  root, root_key = assert(tls.self_signed { subject = { CN = "Root", O = "Testers" }, ca = true, days = 3650 })
  write("root.pem", root:to_pem())
  write("root.key", root_key:to_pem())
end)

teardown(bench.close)

describe("qn.tls.self_signed", function()
  it("makes a certificate of version 3 that others believe", function()
    local certificate, key = assert(tls.self_signed { names = { "example.org", "127.0.0.1" } })
    assert.equal("ec", key.type)
    assert.equal("P-256", key.curve)
    assert.is_true(certificate:has_key(key))
    assert.equal(3, certificate.version)
    assert.is_true(certificate.self_signed)
    assert.is_false(certificate.is_ca)
    assert.is_true(certificate.is_valid)
    assert.is_true(tls.verify(certificate, "example.org", { ca = certificate, purpose = "server" }))
    assert.is_true(tls.verify(certificate, "127.0.0.1", { ca = certificate, purpose = "client" }))
    local text = shown(certificate)
    has(text, "Subject: CN=example.org")
    has(text, "Issuer: CN=example.org")
    has(text, "X509v3 Basic Constraints: critical\n                CA:FALSE")
    has(text, "X509v3 Key Usage: critical\n                Digital Signature\n")
    has(text, "X509v3 Extended Key Usage: \n                TLS Web Server Authentication, TLS Web Client")
    has(text, "X509v3 Subject Alternative Name: \n                DNS:example.org, IP Address:127.0.0.1\n")
    has(text, "X509v3 Subject Key Identifier: ")
    has(text, "X509v3 Authority Key Identifier: ")
    has(text, "Signature Algorithm: ecdsa-with-SHA256")
    output "openssl verify -x509_strict -CAfile shown.pem -verify_hostname example.org shown.pem"
    has(output "certtool --certificate-info --infile shown.pem", "Certificate Authority (CA): FALSE")
  end)

  it("takes every form of name, and tells them apart", function()
    local certificate = self_signed { names = { "Example.ORG.", "*.example.org", "bücher.example", "*.пример.рф",
      "1.2.3.4", "::1", "[2001:db8::2]", "fe80::1%eth0", qn.address "10.0.0.1", "me@Example.org", "me@bücher.example",
      "spiffe://example.org/x", "https://bücher.example/ä", "urn:uuid:1", "localhost", "my_service", "example.org",
      uri = "tel:1", dns = { "more.example" }, ip = { "1.2.3.5" }, email = "you@x" } }
    local names = certificate.names
    assert.same({ "example.org", "*.example.org", "xn--bcher-kva.example", "*.xn--e1afmkfd.xn--p1ai", "localhost",
      "my_service", "more.example" }, names.dns)
    local ips = {}
    for i, ip in ipairs(names.ip) do
      ips[i] = tostring(ip)
    end
    assert.same({ "1.2.3.4", "::1", "2001:db8::2", "fe80::1", "10.0.0.1", "1.2.3.5" }, ips)
    assert.same({ "me@example.org", "me@xn--bcher-kva.example", "you@x" }, names.email)
    assert.same({ "spiffe://example.org/x", "https://xn--bcher-kva.example/%C3%A4", "urn:uuid:1", "tel:1" },
      names.uri)
    assert.is_true(certificate:matches_host("bücher.example"))
    assert.is_true(certificate:matches_host("a.пример.рф"))
    assert.is_true(certificate:matches_host("::1"))
    has(shown(certificate), "Subject: CN=Example.ORG.\n") -- for people: as it was written
    assert.same(names, self_signed { names = names }.names)
    assert.same({ "h" }, self_signed { names = "h" }.names.dns)
    assert.equal("10.0.0.1", tostring(self_signed { names = qn.address "10.0.0.1" }.names.ip[1]))
  end)

  it("refuses names that cannot be written, and says which", function()
    for _, name in ipairs { "", ".", "a b", "a..b", "-a", "a-", "*", "*.com", "a.*.b", "f*.example.org", "**.a.b",
      "example.org:443", "999.1.1.1", "1.2.3.4.5", "10.0.0.0/8", "a\0b", ("a"):rep(64), ("a."):rep(127) .. "a",
      "xn--a", "a!b" } do
      refused("INVALID", "'" .. name:match("^%Z*"):sub(1, 80), tls.self_signed { names = { name }, key = root_key })
    end
    for _, name in ipairs { "@x", "a@", "ä@x", "a b@x", "a@b@c", "<a@b>", ("a"):rep(65) .. "@b" } do
      refused("INVALID", "is not a mail address", tls.self_signed { names = { email = name }, key = root_key })
    end
    for _, name in ipairs { "a\nb\27[31m", "a\xffb", ("ä"):rep(60) .. " ", "a" .. ("ä"):rep(60) .. " " } do
      local _, err = tls.self_signed { names = name, key = root_key } -- one line that steers no terminal
      assert.truthy(utf8.len(err.message), err.message)
      assert.falsy(err.message:find("%c"))
    end
    refused("INVALID", "'x' is not an IP address", tls.self_signed { names = { ip = "x" }, key = root_key })
    refused("INVALID", "'/x' is not a URI", tls.self_signed { names = { uri = "/x" }, key = root_key })
    refused("LIMIT", "4096 bytes", tls.self_signed { names = ("a"):rep(5000), key = root_key })
    local many = {}
    for i = 1, 1001 do
      many[i] = "h" .. i
    end
    refused("LIMIT", "1000 names", tls.self_signed { names = many, key = root_key })
  end)

  it("writes subjects from the widest attribute to the narrowest", function()
    local function subject_of(subject)
      return shown(self_signed { subject = subject }):match("Subject: (%C+)")
    end
    assert.equal("CN=Root CA", subject_of "Root CA")
    assert.equal("emailAddress=me@x,CN=ä,OU=b,OU=a,O=Ö,L=l,ST=s,C=DE,DC=org", subject_of { CN = "ä", OU = { "a", "b" }, O = "Ö",
      countryName = "DE", L = "l", ST = "s", DC = "org", emailAddress = "me@x" })
    assert.equal("O=a+CN=b", subject_of { { name = "O", value = "a", set = 0 }, { name = "CN", value = "b", set = 0 } })
    assert.equal("1.2.3.4=#0C0178", subject_of { ["1.2.3.4"] = "x" })
    local certificate = self_signed { subject = { CN = "x", O = "y" } }
    assert.same(certificate.subject, self_signed { subject = certificate.subject }.subject)
    write("der", certificate:to_der())
    local parsed = output "openssl asn1parse -inform DER -in der"
    has(parsed, "UTF8STRING        :y")
    has(output "openssl asn1parse -inform DER -in der", "UTF8STRING        :x")
    write("der", self_signed { subject = { C = "DE", serialNumber = "1", emailAddress = "a@b" } }:to_der())
    parsed = output "openssl asn1parse -inform DER -in der"
    has(parsed, "PRINTABLESTRING   :DE")
    has(parsed, "PRINTABLESTRING   :1")
    has(parsed, "IA5STRING         :a@b")
  end)

  it("refuses subjects that cannot be written, and says why", function()
    refused("INVALID", "C 'DEU' cannot be written (string too long)", tls.self_signed { subject = { C = "DEU" } })
    refused("INVALID", "cannot be written", tls.self_signed { subject = ("x"):rep(65) })
    refused("INVALID", "cannot be written", tls.self_signed { subject = "" })
    refused("INVALID", "cannot be written", tls.self_signed { subject = "a\0b" })
    refused("INVALID", "cannot be written", tls.self_signed { subject = "\xff" })
    refused("INVALID", "attribute 'NoSuch' is not known", tls.self_signed { subject = { NoSuch = "x" } })
    refused("INVALID", "an issuer needs a subject", tls.self_signed { subject = {} })
  end)

  it("has a subject also when no name fits into one", function()
    local name = ("a"):rep(60) .. "." .. ("b"):rep(60)
    has(shown(self_signed { names = name }), "Subject: CN=self-signed")
    has(shown(self_signed { names = { name, "10.0.0.1" } }), "Subject: CN=10.0.0.1")
  end)

  it("is valid from a little before now, for a year or as long as is said", function()
    local now = os.time()
    local certificate = self_signed { names = "x" }
    assert.is_true(math.abs(certificate.not_before - (now - 3600)) < 10)
    assert.is_true(math.abs(certificate.not_after - (now + 365 * 86400)) < 10)
    certificate = self_signed { names = "x", days = 0.5 }
    assert.is_true(math.abs(certificate.not_after - (now + 43200)) < 10)
    certificate = self_signed { names = "x", not_before = 0, days = 1 }
    assert.equal(0, certificate.not_before)
    assert.equal(86400, certificate.not_after)
    assert.is_false(certificate.is_valid)
  end)

  it("writes dates as RFC 5280 wants them", function()
    for _, case in ipairs {
      { 2524607999, "UTCTIME           :491231235959Z" }, { 2524608000, "GENERALIZEDTIME   :20500101000000Z" },
      { 253402300799, "GENERALIZEDTIME   :99991231235959Z" },
    } do
      local certificate = self_signed { names = "x", not_after = case[1] }
      assert.equal(case[1], certificate.not_after)
      write("der", certificate:to_der())
      has(output "openssl asn1parse -inform DER -in der", case[2])
    end
    assert.equal(-631152000, self_signed { names = "x", not_before = -631152000 }.not_before)
    assert.equal(253402300799, self_signed { names = "x", days = 3650000 }.not_after)
    refused("INVALID", "it would end before it begins", tls.self_signed { names = "x", not_after = 0, key = root_key })
  end)

  it("has a serial number at random, or the one that is given", function()
    local seen = {}
    for _ = 1, 50 do
      local serial = self_signed { names = "x" }.serial
      assert.equal(20 * 3 - 1, #serial)
      assert.is_true(tonumber(serial:sub(1, 2), 16) < 128)
      assert.is_nil(seen[serial])
      seen[serial] = true
    end
    for given, expected in pairs { ["1"] = "01", ["01:AB"] = "01:ab", ff = "ff", ["000102"] = "01:02",
      ["7f" .. ("ff"):rep(19)] = "7f" .. (":ff"):rep(19) } do
      assert.equal(expected, self_signed { names = "x", serial = given }.serial)
    end
    for _, bad in ipairs { "0", "0000", ("ff"):rep(20), "01" .. ("ff"):rep(20) } do
      refused("INVALID", "serial number is positive", tls.self_signed { names = "x", serial = bad, key = root_key })
    end
  end)

  it("signs with every kind of key, and the digest that fits", function()
    local function algorithm(key, more) -- its name, all of the text, the key
      local opts = { names = "x", key = key }
      for name, value in pairs(more or {}) do
        opts[name] = value
      end
      local certificate, made = assert(tls.self_signed(opts))
      assert.is_true(certificate.self_signed)
      local text = shown(certificate)
      output "openssl verify -CAfile shown.pem shown.pem"
      return text:match("Signature Algorithm: (%w[%w-]*)"), text, made
    end
    local name, text, rsa = algorithm { type = "rsa", bits = 2048 }
    assert.equal("sha256WithRSAEncryption", name)
    has(text, "Digital Signature, Key Encipherment")
    assert.equal("sha512WithRSAEncryption", (algorithm(rsa, { digest = "sha512" })))
    name, text = algorithm(rsa, { padding = "pss", digest = "sha384" })
    assert.equal("rsassaPss", name)
    has(text, "Hash Algorithm: sha384")
    has(text, " Salt Length: 0x30")
    assert.equal("rsassaPss", (algorithm "rsa_pss"))
    assert.equal("ecdsa-with-SHA384", (algorithm { curve = "P-384" }))
    assert.equal("ecdsa-with-SHA512", (algorithm { curve = "P-521" }))
    assert.equal("ecdsa-with-SHA384", (algorithm("ec", { digest = "sha384" })))
    assert.equal("ED25519", (algorithm "ed25519"))
    assert.equal("ED448", (algorithm "ed448"))
    refused("UNSUPPORTED", "type x25519 does not sign", tls.self_signed { names = "x", key = "x25519" })
    refused("INVALID", "has a digest of its own", tls.self_signed { names = "x", key = "ed25519", digest = "sha256" })
    refused("INVALID", "PSS is for RSA keys", tls.self_signed { names = "x", key = root_key, padding = "pss" })
  end)

  it("makes authorities", function()
    local text = shown(self_signed { subject = "Root", ca = true, path_length = 2 })
    has(text, "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:2")
    has(text, "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n")
    has_not(text, "Extended Key Usage")
    has(shown(self_signed { subject = "Root", ca = true, usage = "server" }), "TLS Web Server")
    has(shown(self_signed { subject = "R", ca = true, key_usage = { "key_cert_sign", "digital_signature" } }),
      "Digital Signature, Certificate Sign\n")
    refused("INVALID", "needs key usage key_cert_sign",
      tls.self_signed { subject = "R", ca = true, key_usage = "crl_sign", key = root_key })
    refused("INVALID", "key_cert_sign is for authorities",
      tls.self_signed { subject = "R", key_usage = "key_cert_sign", key = root_key })
  end)

  it("writes usages and addresses", function()
    local text = shown(self_signed { names = "x", usage = { "code", "email", "ocsp", "1.2.3.4" },
      key_usage = { "non_repudiation", "decipher_only" }, ocsp = { "http://o/1", "http://o/2" }, issuers = "http://i/ä",
      crl = { "http://c/1", "http://c/2" } })
    has(text, "Code Signing, E-mail Protection, OCSP Signing, 1.2.3.4\n")
    has(text, "Non Repudiation, Decipher Only")
    has(text, "OCSP - URI:http://o/1\n                OCSP - URI:http://o/2\n                CA Issuers - URI:http://i/%C3%A4")
    has(text, "URI:http://c/1\n")
    has(text, "URI:http://c/2\n")
    text = shown(self_signed { names = "x", usage = "time" })
    has(text, "X509v3 Extended Key Usage: critical\n                Time Stamping")
    has(shown(self_signed { names = "x", usage = "any" }), "Any Extended Key Usage")
    has_not(shown(self_signed { names = "x", usage = {} }), "Extended Key Usage")
    refused("INVALID", "usage: 'sever' is neither", tls.self_signed { names = "x", usage = "sever", key = root_key })
    refused("INVALID", "crl: '/x' is not a URI", tls.self_signed { names = "x", crl = "/x", key = root_key })
  end)

  it("throws at misuse", function()
    local function wrong(text, opts) throws.call(assert, text, tls, "self_signed", opts) end
    wrong("option 'names' or 'subject' is missing", {})
    wrong("options must be a table", 1)
    wrong("unknown option 'name' %(did you mean 'names'", { name = "x" })
    wrong("option 'names' must be a list of strings and addresses, got number", { names = { 1 } })
    wrong("option 'names' has no form 'host'", { names = { host = "x" } })
    wrong("option 'subject.CN' must be a string", { subject = { CN = 1 } })
    wrong("option 'subject' must be a table of attributes", { subject = { "x" } })
    wrong("option 'key' must be a private key", { names = "x", key = root_key.public })
    wrong("option 'key' must be a qn.Key", { names = "x", key = root })
    wrong("option 'key' must be a qn.Key, a type of keys .*, got 'dsa'", { names = "x", key = "dsa" })
    wrong("options 'days' and 'not_after' say the same", { names = "x", days = 1, not_after = 1 })
    wrong("option 'path_length' is for authorities", { names = "x", path_length = 1 })
    wrong("option 'key_usage': unknown usage 'crl_sing' %(did you mean 'crl_sign'", { names = "x", key_usage = "crl_sing" })
    wrong("option 'digest' must be one of", { names = "x", digest = "md5" })
    wrong("option 'days' must be", { names = "x", days = 0 })
    wrong("option 'serial' must be a positive number in hexadecimal", { names = "x", serial = "xyz" })
    wrong("option 'usage' must be a list of strings", { names = "x", usage = { 1 } })
  end)
end)

describe("qn.tls.sign", function()
  local request, key
  before_each(function()
    if not request then
      request, key = assert(tls.request { names = { "h.example", "10.0.0.1", "a@b", "urn:x" }, subject = { CN = "h", O = "o" } })
    end
  end)

  it("makes a chain that others believe", function()
    local mid_request, mid_key = assert(tls.request { subject = "Mid" })
    local mid = assert(tls.sign(mid_request, root, root_key, { ca = true, path_length = 0 }))
    local leaf = assert(tls.sign(request, mid, mid_key, { usage = "server" }))
    assert.is_true(leaf:has_key(key))
    assert.is_true(tls.verify({ leaf, mid }, "h.example", { ca = root, purpose = "server" }))
    assert.equal("INVALID_PURPOSE", (select(2, tls.verify({ leaf, mid }, nil, { ca = root, purpose = "client" }))[1].code
      :gsub("^CERT_", "")))
    write("mid.pem", mid:to_pem())
    local text = shown(leaf)
    has(text, "Issuer: CN=Mid")
    has(text, "Subject: CN=h,O=o")
    has(text, "DNS:h.example, IP Address:10.0.0.1, email:a@b, URI:urn:x")
    has(text, "CA:FALSE")
    output "openssl verify -x509_strict -purpose sslserver -CAfile root.pem -untrusted mid.pem shown.pem"
    output("cat shown.pem mid.pem > both.pem && certtool --verify --load-ca-certificate root.pem --infile both.pem "
      .. "--verify-hostname h.example")
  end)

  it("takes key, subject and names of the request, and nothing else", function()
    local greedy = assert(tls.request { names = "x.example", ca = true, usage = "code", key_usage = "key_cert_sign", key = key })
    local certificate = assert(tls.sign(greedy, root, root_key))
    local text = shown(certificate)
    assert.is_false(certificate.is_ca)
    has(text, "CA:FALSE")
    has_not(text, "Certificate Sign")
    has_not(text, "Code Signing")
    has(text, "DNS:x.example")
    certificate = assert(tls.sign(request, root, root_key, { names = { "other" }, subject = "s" }))
    assert.same({ "other" }, certificate.names.dns)
    assert.same({}, certificate.names.ip)
    assert.equal("s", certificate.subject[1].value)
    assert.equal(1, #certificate.subject)
    certificate = assert(tls.sign(request, root, root_key, { names = false }))
    has_not(shown(certificate), "Alternative Name")
    certificate = assert(tls.sign(request, root, root_key, { names = "copy" }))
    assert.same({ "h.example" }, certificate.names.dns)
    assert.same({ "urn:x" }, certificate.names.uri)
  end)

  it("takes usages of the request when it is told to", function()
    local greedy = assert(tls.request { names = "x", ca = true, usage = { "code", "1.2.3.4" }, key = key,
      key_usage = { "key_cert_sign", "key_agreement" } })
    assert.same({ "code", "1.2.3.4" }, greedy.usage)
    assert.same({ "key_agreement", "key_cert_sign" }, greedy.key_usage)
    local certificate = assert(tls.sign(greedy, root, root_key, { usage = "copy", key_usage = "copy" }))
    assert.same({ "code", "1.2.3.4" }, certificate.usage)
    assert.same({ "key_agreement" }, certificate.key_usage)
    assert.is_false(certificate.is_ca)
    certificate = assert(tls.sign(greedy, root, root_key, { usage = "copy", key_usage = "copy", ca = true }))
    assert.same({ "key_agreement", "key_cert_sign" }, certificate.key_usage)
    local modest = assert(tls.request { names = "x", key = key })
    assert.is_nil(modest.usage)
    assert.is_nil(modest.key_usage)
    certificate = assert(tls.sign(modest, root, root_key, { usage = "copy", key_usage = "copy" }))
    assert.same({ "server", "client" }, certificate.usage)
    assert.same({ "digital_signature" }, certificate.key_usage)
    certificate = assert(tls.sign(key, root, root_key, { usage = "copy", key_usage = "copy", names = "x" }))
    assert.same({ "server", "client" }, certificate.usage)
  end)

  it("checks the names that a request brings", function()
    output "openssl req -new -key root.key -subj /CN=x -addext 'subjectAltName=DNS:a b' -out b.csr"
    refused("INVALID", "'a b' is not a DNS name", tls.sign(assert(tls.certificate_request(read "b.csr")), root, root_key))
    output "openssl req -new -key root.key -subj /CN=x -addext 'subjectAltName=RID:1.2.3,DNS:ok' -out b.csr"
    local certificate = assert(tls.sign(assert(tls.certificate_request(read "b.csr")), root, root_key))
    assert.same({ "ok" }, certificate.names.dns)
    assert.same({}, certificate.names.other)
  end)

  it("takes a key instead of a request", function()
    local certificate = assert(tls.sign(key.public, root, root_key, { names = "k" }))
    assert.equal(key.public, certificate.public_key)
    assert.equal("k", certificate.names.dns[1])
    local x25519 = assert(tls.generate_key { type = "x25519" })
    has(shown(assert(tls.sign(x25519, root, root_key, { names = "k" }))), "Key Agreement")
    local nameless = assert(tls.sign(key, root, root_key, { names = "k" }))
    assert.same({}, nameless.subject)
    has(shown(nameless), "X509v3 Subject Alternative Name: critical")
    refused("INVALID", "an issuer needs a subject", tls.sign(key, root, root_key, { ca = true }))
  end)

  it("never lives longer than its issuer", function()
    local short, short_key = assert(tls.self_signed { subject = "S", ca = true, days = 10 })
    local certificate = assert(tls.sign(request, short, short_key))
    assert.equal(short.not_after, certificate.not_after)
    assert.is_true(certificate.not_before >= short.not_before)
    refused("INVALID", "when the issuer's certificate is not", tls.sign(request, short, short_key, { days = 11 }))
    refused("INVALID", "when the issuer's certificate is not", tls.sign(request, short, short_key, { not_before = 0 }))
    assert.is_truthy(tls.sign(request, short, short_key, { days = 9 }))
    local old = assert(tls.self_signed { subject = "O", ca = true, not_before = 0, days = 1, key = short_key })
    refused("CERT_HAS_EXPIRED", "has expired", tls.sign(request, old, short_key))
    assert.is_truthy(tls.sign(request, old, short_key, { not_before = 0, not_after = 10 }))
  end)

  it("refuses issuers that may not sign", function()
    local leaf, leaf_key = assert(tls.self_signed { names = "l" })
    refused("CERT_INVALID_CA", "not one of an authority", tls.sign(request, leaf, leaf_key))
    refused("KEY_MISMATCH", "is not that of its certificate", tls.sign(request, root, leaf_key))
    refused("INVALID", "a public key does not sign", tls.sign(request, root, root_key.public))
    write("ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\n")
    output("openssl req -new -key root.key -subj /CN=n -out n.csr && openssl x509 -req -in n.csr -signkey root.key "
      .. "-extfile ext -out n.pem")
    refused("CERT_KEYUSAGE_NO_CERTSIGN", "not for signing", tls.sign(request, assert(tls.certificate(read "n.pem")), root_key))
    local last = assert(tls.self_signed { subject = "L", ca = true, path_length = 0, key = leaf_key })
    assert.is_truthy(tls.sign(request, last, leaf_key))
    refused("CERT_PATH_LENGTH_EXCEEDED", "path length of 0", tls.sign(request, last, leaf_key, { ca = true }))
    local two = assert(tls.self_signed { subject = "L", ca = true, path_length = 2, key = leaf_key })
    refused("CERT_PATH_LENGTH_EXCEEDED", "path length of 2", tls.sign(request, two, leaf_key, { ca = true, path_length = 2 }))
    assert.is_truthy(tls.sign(request, two, leaf_key, { ca = true, path_length = 1 }))
  end)

  it("works with authorities of others, also without key identifiers", function()
    write("ext", "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n")
    output("openssl req -new -key root.key -subj '/O=Ö/CN=other' -utf8 -out n.csr && openssl x509 -req -in n.csr -signkey root.key "
      .. "-days 30 -extfile ext -out n.pem")
    local other = assert(tls.certificate(read "n.pem"))
    local certificate = assert(tls.sign(request, other, root_key))
    assert.is_true(tls.verify(certificate, "h.example", { ca = other }))
    shown(certificate)
    output "openssl verify -CAfile n.pem shown.pem"
    output "openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -subj /CN=rsa -out rsa.pem -days 30"
    other = assert(tls.certificate(read "rsa.pem"))
    certificate = assert(tls.sign(request, other, assert(tls.key(read "rsa.key")), { padding = "pss" }))
    has(shown(certificate), "rsassaPss")
    output "openssl verify -CAfile rsa.pem shown.pem"
  end)

  it("throws at misuse", function()
    local function wrong(text, ...) throws.call(assert, text, tls, "sign", ...) end
    wrong("bad argument #1 to 'sign'", root, root, root_key)
    wrong("bad argument #1 to 'sign'", "x", root, root_key)
    wrong("bad argument #2 to 'sign'", request, root_key, root_key)
    wrong("bad argument #3 to 'sign'", request, root, root)
    wrong("unknown option 'key'", request, root, root_key, { key = root_key })
    wrong("option 'path_length' is for authorities", request, root, root_key, { path_length = 1 })
    wrong("option 'names' has no form 'x'", request, root, root_key, { names = { x = "y" } })
  end)
end)
