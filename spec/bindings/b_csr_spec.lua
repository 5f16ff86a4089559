-- Requests for certificates: ours are read by openssl(1) and certtool(1), and theirs by us.
-- covers: runtime/tls/csr.c

local qn = require "qn"
local throws = require "spec.support.throws"
local tls_files = require "spec.support.tls_files"

local tls = qn.tls
local bench <const> = tls_files.new()
local read <const>, write <const>, output <const>, shown <const> = bench.read, bench.write, bench.output, bench.shown
local has <const>, has_not <const>, refused <const> = tls_files.has, tls_files.has_not, tls_files.refused

local root, root_key
setup(function()
  bench.open()
  root, root_key = assert(tls.self_signed { subject = { CN = "Root", O = "Testers" }, ca = true, days = 3650 })
  write("root.pem", root:to_pem())
  write("root.key", root_key:to_pem())
end)

teardown(bench.close)

describe("a certificate request", function()
  it("is made, written, read and checked", function()
    local request, key = assert(tls.request { names = { "example.org", "10.0.0.1" }, subject = { CN = "x", O = "y" } })
    assert.is_true(request:verify())
    assert.equal(key.public, request.public_key)
    assert.same({ "example.org" }, request.names.dns)
    assert.equal("y", request.subject[1].value)
    assert.equal("subjectAltName", request.extensions[1].name)
    assert.equal(1, #request.extensions)
    assert.equal(request, tls.certificate_request(request:to_pem()))
    assert.equal(request, tls.certificate_request(request:to_der()))
    assert.not_equal(request, assert(tls.request { names = "x", key = key }))
    has(request:to_text(), "DNS:example.org, IP Address:10.0.0.1")
    assert.is_nil(request.nothing)
    throws.call(assert, "cannot be changed", { set = function(r) r.subject = 1 end }, "set", request)
    write("r.pem", request:to_pem())
    has(output "openssl req -in r.pem -noout -verify -subject", "O = y, CN = x")
    has(output "certtool --crq-info --infile r.pem", "DNSname: example.org")
  end)

  it("asks for what it is told to", function()
    local request = assert(tls.request { subject = "CA", ca = true, path_length = 1, usage = "server", key = "ed25519",
      key_usage = { "key_cert_sign" } })
    local text = shown(request, "req")
    has(text, "CA:TRUE, pathlen:1")
    has(text, "Certificate Sign")
    has(text, "TLS Web Server Authentication")
    request = assert(tls.request { names = ("a"):rep(60) .. ".example", key = root_key })
    assert.same({}, request.subject)
    has(shown(request, "req"), "X509v3 Subject Alternative Name: critical")
    request = assert(tls.request { subject = "x", key = root_key })
    has_not(shown(request, "req"), "X509v3")
    throws.call(assert, "unknown option 'days'", tls, "request", { days = 1 })
    throws.call(assert, "'names' or 'subject' is missing", tls, "request", {})
  end)

  it("of others is read", function()
    output("openssl req -new -newkey rsa:2048 -nodes -keyout o.key -out o.csr -subj '/O=Ö/CN=o' -utf8 "
      .. "-addext subjectAltName=DNS:o.example,DNS:p.example -addext keyUsage=digitalSignature")
    local request = assert(tls.certificate_request(read "o.csr"))
    assert.is_true(request:verify())
    assert.same({ "o.example", "p.example" }, request.names.dns)
    assert.equal("Ö", request.subject[1].value)
    assert.equal("rsa", request.public_key.type)
    assert.equal(2, #request.extensions)
    write("t", 'cn = "gnutls"\ndns_name = "g.example"\n')
    output("certtool --generate-privkey --key-type ecdsa --outfile g.key && "
      .. "certtool --generate-request --template t --load-privkey g.key --outfile g.csr")
    request = assert(tls.certificate_request("text before\n" .. read "g.csr"))
    assert.is_true(request:verify())
    assert.same({ "g.example" }, request.names.dns)
    output [[openssl req -new -key g.key -subj "/CN=$(printf 'a\033[31m\377b')" -out n.csr]]
    local text = assert(tls.certificate_request(read "n.csr")):to_text()
    assert.truthy(utf8.len(text))
    assert.falsy(text:find("\27", 1, true))
    output "openssl req -new -key g.key -subj / -newhdr -out n.csr"
    request = assert(tls.certificate_request(read "n.csr"))
    assert.same({}, request.subject)
    assert.same({}, request.extensions)
    assert.same({}, request.names.dns)
  end)

  it("that is nonsense is refused; cut and changed ones too", function()
    for _, data in ipairs { "", "x", "0", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
      root:to_pem(), root:to_der() } do
      refused("CERT_FORMAT", "not a certificate request", tls.certificate_request(data))
    end
    refused("LIMIT", "limit", tls.certificate_request(("x"):rep(1024 * 1024 + 1)))
    throws.call(assert, "string expected", tls, "certificate_request", 1)
    local der = assert(tls.request { names = "x", key = root_key }):to_der()
    for i = 0, #der - 1 do
      assert.is_nil((tls.certificate_request(der:sub(1, i))))
    end
    assert.is_nil((tls.certificate_request(der .. "\0")))
    local bad = 0
    for i = 1, #der do -- no change goes unseen
      local request = tls.certificate_request(der:sub(1, i - 1) .. string.char(der:byte(i) ~ 1) .. der:sub(i + 1))
      if request then
        local _, _, _, _ = request.names, request.subject, request.extensions, request.public_key
        local ok, err = request:verify()
        assert.is_nil(ok)
        assert.equal("CERT_SIGNATURE_FAILURE", err.code)
        refused("CERT_SIGNATURE_FAILURE", "is not signed with the key", tls.sign(request, root, root_key))
        bad = bad + 1
      end
    end
    assert.is_true(bad > 20)
  end)
end)
