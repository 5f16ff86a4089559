-- Requests for certificates: ours are read by openssl(1) and certtool(1), and theirs by us.
-- covers: runtime/tls/csr.c

local qn = require "qn"
local program = require "spec.support.program"
local throws = require "spec.support.throws"

local tls = qn.tls
local folder

local function read(name)
  local file <close> = assert(io.open(folder .. "/" .. name, "rb"))
  return file:read("a")
end

local function write(name, text)
  local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
  file:write(text)
end

local function sh(command)
  local ok = os.execute(("cd '%s' && { %s ; } >log 2>&1 </dev/null"):format(folder, command))
  return ok, read "log"
end

local function output(command)
  local ok, text = sh(command)
  assert.is_true(ok, text)
  return text
end

-- What openssl(1) shows of a certificate or request.
local function shown(value, what)
  write("shown.pem", value:to_pem())
  return output(("openssl %s -in shown.pem -noout -text -nameopt RFC2253,utf8,-esc_msb"):format(what or "x509"))
end

local function has(text, part) assert.truthy(text:find(part, 1, true), part .. " is not in " .. text) end
local function has_not(text, part) assert.falsy(text:find(part, 1, true), part .. " is in " .. text) end

local function refused(code, text, certificate, err)
  assert.is_nil(certificate)
  assert.equal(code, err.code, tostring(err))
  has(tostring(err), text)
end

local root, root_key
setup(function()
  folder = program.scratch()
  root, root_key = assert(tls.self_signed { subject = { CN = "Root", O = "Testers" }, ca = true, days = 3650 })
  write("root.pem", root:to_pem())
  write("root.key", root_key:to_pem())
end)

teardown(function() program.remove(folder) end)

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
    sh("openssl req -new -newkey rsa:2048 -nodes -keyout o.key -out o.csr -subj '/O=Ö/CN=o' -utf8 "
      .. "-addext subjectAltName=DNS:o.example,DNS:p.example -addext keyUsage=digitalSignature")
    local request = assert(tls.certificate_request(read "o.csr"))
    assert.is_true(request:verify())
    assert.same({ "o.example", "p.example" }, request.names.dns)
    assert.equal("Ö", request.subject[1].value)
    assert.equal("rsa", request.public_key.type)
    assert.equal(2, #request.extensions)
    write("t", 'cn = "gnutls"\ndns_name = "g.example"\n')
    sh("certtool --generate-privkey --key-type ecdsa --outfile g.key && "
      .. "certtool --generate-request --template t --load-privkey g.key --outfile g.csr")
    request = assert(tls.certificate_request("text before\n" .. read "g.csr"))
    assert.is_true(request:verify())
    assert.same({ "g.example" }, request.names.dns)
    sh [[openssl req -new -key g.key -subj "/CN=$(printf 'a\033[31m\377b')" -out n.csr]]
    local text = assert(tls.certificate_request(read "n.csr")):to_text()
    assert.truthy(utf8.len(text))
    assert.falsy(text:find("\27", 1, true))
    sh "openssl req -new -key g.key -subj / -newhdr -out n.csr"
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
