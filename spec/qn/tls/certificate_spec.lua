-- Certificates, with openssl(1) as the peer that makes them and reads what we write.
-- covers: lua/qn/tls.lua
-- covers: bindings/b_certificate.c
-- covers: runtime/tls/cert.c
-- covers: runtime/tls/cert_list.c
-- covers: runtime/tls/trust.c
-- covers: runtime/tls/verify_chain.c
-- covers: runtime/tls/ossl.c

local qn = require "qn"
local tls_files = require "spec.support.tls_files"

local tls = qn.tls
local bench <const> = tls_files.new()
local read <const>, write <const>, output <const> = bench.read, bench.write, bench.output
local folder

local function cert(name) return assert(tls.certificate(read(name .. ".pem"))) end

local EC <const> = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

local function root(name, more)
  output(("openssl req -x509 %s -keyout %s.key -out %s.pem -days 30 -subj /CN=%s %s"):format(EC, name,
    name, name, more or ""))
end

-- A certificate of `issuer` with the extensions in `ext`.
local function issue(name, issuer, ext, more, newkey)
  write(name .. ".ext", ext)
  output(("openssl req %s -keyout %s.key -out %s.csr -subj /CN=%s"):format(newkey or EC, name, name, name))
  output(("openssl x509 -req -in %s.csr -CA %s.pem -CAkey %s.key -CAcreateserial -extfile %s.ext -out "
    .. "%s.pem %s"):format(name, issuer, issuer, name, name, more or "-days 30"))
end

setup(function()
  folder = bench.open()
  root "root"
  root "other"
  issue("mid", "root", "basicConstraints=critical,CA:true\nkeyUsage=keyCertSign")
  issue("leaf", "mid", "subjectAltName=DNS:a.example.org,DNS:*.b.example.org,IP:127.0.0.1,IP:2001:db8::1,"
    .. "email:me@example.org,URI:https://x/\nextendedKeyUsage=serverAuth")
  issue("weak", "root", "subjectAltName=DNS:w", nil, "-newkey rsa:1024 -nodes")
  issue("noca", "leaf", "subjectAltName=DNS:n")
end)

teardown(bench.close)

local function codes(chain, host, opts)
  local ok, errors = tls.verify(chain, host, opts)
  if ok then
    return {}
  end
  assert.equal("table", type(errors), tostring(errors))
  local out = {}
  for i, err in ipairs(errors) do
    assert.equal("tls", err.kind)
    out[i] = err.code .. "@" .. err.depth
  end
  table.sort(out)
  return out
end

describe("a certificate", function()
  it("is read from PEM and DER and written as they were", function()
    local pem, leaf = read "leaf.pem", cert "leaf"
    assert.equal(pem, leaf:to_pem())
    output "openssl x509 -in leaf.pem -outform der -out leaf.der"
    assert.equal(read "leaf.der", leaf:to_der())
    assert.equal(leaf, tls.certificate(read "leaf.der"))
    assert.not_equal(leaf, cert "mid")
    assert.truthy(leaf:to_text():find("DNS:a.example.org", 1, true))
    assert.error_matches(function() leaf.serial = "x" end, "cannot be changed")
  end)

  it("says what openssl says", function()
    local leaf = cert "leaf"
    local serial = output("openssl x509 -in leaf.pem -noout -serial"):match("=(%x+)")
    assert.equal(serial:lower(), (leaf.serial:gsub(":", "")))
    for name in ("sha256 sha1 sha384 md5"):gmatch("%S+") do
      local want = output("openssl dgst -" .. name .. " -r leaf.der"):match("%x+")
      assert.equal(want, (leaf:digest(name):gsub(".", function(c) return ("%02x"):format(c:byte()) end)))
    end
    assert.error_matches(function() leaf:digest("md4") end, "invalid option 'md4'")
    assert.equal(3, leaf.version)
    assert.equal(30 * 86400, leaf.not_after - leaf.not_before)
    assert.is_true(leaf.is_valid and not leaf.self_signed and not leaf.is_ca)
    assert.is_true(cert "root".self_signed and cert "root".is_ca and cert "mid".is_ca)
    assert.equal("ec", leaf.public_key.type)
    assert.is_true(leaf:has_key(assert(tls.key(read "leaf.key"))))
    assert.is_false(leaf:has_key(assert(tls.key(read "mid.key"))))
  end)

  it("lists attributes in order, names by their kind, extensions", function()
    output("openssl req -x509 " .. EC .. " -keyout s.key -out s.pem -utf8 -subj "
      .. "'/C=DE/O=Ärzte/OU=a/OU=b/2.5.4.97=x/CN=c'")
    local list = {}
    for i, item in ipairs(cert "s".subject) do
      list[i] = item.name .. "=" .. item.value
    end
    assert.same({ "C=DE", "O=Ärzte", "OU=a", "OU=b", "organizationIdentifier=x", "CN=c" }, list)
    assert.equal("2.5.4.6", cert "s".issuer[1].oid)
    local names = cert "leaf".names
    assert.same({ "a.example.org", "*.b.example.org" }, names.dns)
    assert.same({ qn.address "127.0.0.1", qn.address "2001:db8::1" }, names.ip)
    assert.same({ "me@example.org" }, names.email)
    assert.same({ "https://x/" }, names.uri)
    local basic
    for _, ext in ipairs(cert "mid".extensions) do
      basic = ext.oid == "2.5.29.19" and ext or basic
    end
    assert.same({ oid = "2.5.29.19", name = "basicConstraints", value = "\x30\x03\x01\x01\xff",
      text = "CA:TRUE", critical = true, supported = true }, basic)
  end)

  it("is an error when it is none: cut anywhere, or a bit of it changed", function()
    local der = cert "leaf":to_der()
    for n = 0, #der - 1 do
      local _, err = tls.certificate(der:sub(1, n))
      assert.equal("CERT_FORMAT", err.code)
    end
    for i = 1, #der do -- whatever is accepted can be asked everything
      local changed = tls.certificate(der:sub(1, i - 1) .. string.char(der:byte(i) ~ 0x55) .. der:sub(i + 1))
      if changed then
        local _ = { changed.subject, changed.names, changed.extensions, changed.public_key, changed.serial,
          changed.not_before, changed:to_text(), changed:matches_host("a.example.org") }
      end
    end
    assert.equal("invalid", select(2, tls.certificate("")).kind)
    assert.equal("LIMIT", select(2, tls.certificate(("x"):rep((16 << 20) + 1))).code)
    assert.error_matches(function() tls.certificate(1) end, "string or stream expected")
  end)
end)

describe("bundles", function()
  it("are texts, files and patterns", function()
    local text = "words\n" .. read "leaf.pem" .. read "leaf.key" .. read "mid.pem"
    write("bundle.pem", text)
    assert.same({ cert "leaf", cert "mid" }, tls.certificates(text))
    assert.same({ cert "leaf", cert "mid" }, tls.certificates("\u{feff}" .. text))
    assert.same({ cert "leaf", cert "mid" }, tls.certificates((text:gsub("\n", "\r\n"))))
    assert.same({ cert "leaf", cert "mid" }, tls.certificates(folder .. "/bundle.pem"))
    assert.same({ cert "leaf", cert "mid" }, tls.certificates(cert "leaf":to_der() .. cert "mid":to_der()))
    assert.same({ cert "root" }, tls.certificates(folder .. "/[r]o*t.p?m"))
    assert.same({}, tls.certificates(folder .. "/nothing*"))
    output "openssl crl2pkcs7 -nocrl -certfile bundle.pem -out p7.pem; openssl pkcs7 -in p7.pem -outform der -out p7.der"
    for _, name in ipairs { "p7.pem", "p7.der" } do
      assert.same({ cert "leaf", cert "mid" }, tls.certificates(folder .. "/" .. name))
      assert.equal(cert "leaf", tls.certificate(read(name)))
    end
    output "openssl x509 -in leaf.pem -trustout -out trusted.pem"
    assert.equal(cert "leaf", tls.certificate(read "trusted.pem"))
  end)

  it("are what a stream gives", function()
    local file <close> = assert(qn.file.open(folder .. "/bundle.pem"))
    assert.same({ cert "leaf", cert "mid" }, tls.certificates(file))
    local again <close> = assert(qn.file.open(folder .. "/leaf.pem"))
    assert.equal(cert "leaf", tls.certificate(again))
    local ended = tls.certificates(again)
    assert.is_nil(ended)
    local shut = assert(qn.file.open(folder .. "/leaf.pem"))
    shut:close()
    local none, err = tls.certificate(shut)
    assert.is_nil(none)
    assert.equal("closed", err.kind)
  end)

  it("are folders and patterns with wildcards anywhere, each certificate once", function()
    output("mkdir -p d/one d/two d/.hidden; cp leaf.pem d/one/a-1.pem; cp mid.pem leaf.key log d/two; ln -s ../one/a-1.pem "
      .. "d/two/z.pem; cp other.pem d/.hidden/other.pem; cp other.pem 'd/[x].pem'; ln -s nowhere d/one/broken; "
      .. "openssl x509 -in root.pem -outform der -out d/two/root.cer; mkfifo d/two/fifo")
    assert.same({ cert "mid", cert "root", cert "leaf" }, tls.certificates(folder .. "/d/two"))
    assert.same({ cert "mid", cert "root", cert "leaf" }, tls.certificates(folder .. "/d/two/"))
    assert.same({ cert "leaf", cert "mid" }, tls.certificates(folder .. "/d/*/*.pem"))
    assert.same({ cert "leaf" }, tls.certificates(folder .. "/d/[!t]*/a-[0-9].pem"))
    assert.same({ cert "leaf" }, tls.certificates(folder .. "/?/one/[]a]-1.p[^x]m"))
    assert.same({ cert "other" }, tls.certificates(folder .. "/d/[x].pem")) -- it is there: no pattern
    assert.same({ cert "other" }, tls.certificates(folder .. "/d/.h*/*"))
    assert.same({}, tls.certificates(folder .. "/d/no*/*.pem"))
    assert.same({ cert "other" }, tls.certificates(folder .. "/d"))
    assert.same({}, tls.certificates(folder .. "/d/one/../.hidden/.."  .. "/empty*"))
  end)

  it("say where they are broken", function()
    local function fault(source, code)
      local none, err = tls.certificates(source)
      assert.is_nil(none)
      assert.equal(code or "CERT_FORMAT", err.code)
      return err.message, err.line
    end
    local leaf, mid = read "leaf.pem", read "mid.pem"
    local line = 1 + select(2, ("x\n" .. mid):gsub("\n", ""))
    local message, at = fault("x\n" .. mid .. leaf:gsub("MII", "!!!"))
    assert.equal(("certificate 2 (line %d): bad base64 decode"):format(line), message)
    assert.equal(line, at)
    assert.equal("certificate 1 (line 1): bad end line", (fault(leaf:sub(1, 300))))
    assert.truthy(fault(mid .. leaf:gsub("END CERT", "END SERT")):find("certificate 2", 1, true))
    local der = cert "leaf":to_der()
    assert.truthy(fault(der .. der:sub(1, -2)):find(("certificate 2 (byte %d): "):format(#der), 1, true))
    assert.truthy(fault(der .. "x"):find("certificate 2", 1, true))
    assert.equal("no certificate, but PEM of another kind: PRIVATE KEY", (fault(read "leaf.key")))
    assert.equal("no certificate: neither PEM nor DER", (fault("words\n")))
    assert.equal("no certificate, but PEM of another kind: A?B", (fault "-----BEGIN A\27B-----\nMAA=\n-----END A\27B-----\n"))
    assert.equal("no certificate: there is nothing", (fault("")))
    assert.equal("ENOENT", select(2, tls.certificates(folder .. "/nothing")).code)
    write("broken.pem", mid .. leaf:gsub("MII", "!!!"))
    assert.equal(folder .. "/broken.pem: certificate 2 (line " .. line - 1 .. "): bad base64 decode",
      (fault(folder .. "/broken.pem")))
    output "mkdir -p e; cp broken.pem e"
    assert.truthy(fault(folder .. "/e"):find("e/broken.pem: certificate 2", 1, true))
    assert.equal("more than 4096 certificates", (fault(der:rep(4097), "LIMIT")))
    assert.equal(4096, #tls.certificates(der:rep(4096)))
    for n = 1, #leaf - 2 do -- cut PEM
      assert.equal("CERT_FORMAT", select(2, tls.certificate(leaf:sub(1, n))).code)
    end
  end)
end)

describe("matches_host", function()
  it("compares alternative names and nothing else", function()
    local leaf = cert "leaf"
    for _, host in ipairs { "a.example.org", "A.EXAMPLE.ORG.", "x.b.example.org", "127.0.0.1", "2001:db8:0::1",
      "bücher.b.example.org" } do
      assert.is_true(leaf:matches_host(host), host)
    end
    for _, host in ipairs { "leaf", "example.org", "b.example.org", "x.y.b.example.org", "127.0.0.2", "::1" } do
      local ok, err = leaf:matches_host(host)
      assert.is_nil(ok, host)
      local address = host == "127.0.0.2" or host == "::1"
      assert.equal(address and "CERT_IP_ADDRESS_MISMATCH" or "CERT_HOSTNAME_MISMATCH", err.code)
    end
    assert.equal("certificate for a.example.org, *.b.example.org, 127.0.0.1 and 1 more does not match host \"h\"",
      select(2, leaf:matches_host("h")).message)
    assert.equal("certificate without host names does not match host \"root\"",
      select(2, cert "root":matches_host("root")).message)
    assert.equal("INVALID_HOST", select(2, leaf:matches_host("")).code)
  end)
end)

describe("verify", function()
  it("accepts a good chain in any order behind the first", function()
    local ca = cert "root"
    assert.same({}, codes({ cert "leaf", cert "mid" }, "a.example.org", { ca = ca, purpose = "server" }))
    assert.same({}, codes({ cert "leaf", cert "other", ca, cert "mid" }, nil, { ca = { ca } }))
    assert.same({}, codes(cert "leaf", nil, { ca = cert "mid", partial = true }))
  end)

  it("reports each thing that is wrong, all of them", function()
    local ca, leaf, mid = cert "root", cert "leaf", cert "mid"
    assert.same({ "CERT_HOSTNAME_MISMATCH@0" }, codes({ leaf, mid }, "h", { ca = ca }))
    assert.same({ "CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY@1" }, codes({ leaf, mid }, nil, { ca = cert "other" }))
    assert.same({ "CERT_DEPTH_ZERO_SELF_SIGNED@0" }, codes(ca, nil, { ca = {} }))
    assert.same({ "CERT_SELF_SIGNED_IN_CHAIN@2" }, codes({ leaf, mid, ca }, nil, { ca = {} }))
    assert.same({ "CERT_HAS_EXPIRED@0", "CERT_HAS_EXPIRED@1", "CERT_HAS_EXPIRED@2", "CERT_HOSTNAME_MISMATCH@0" },
      codes({ leaf, mid }, "h", { ca = ca, time = leaf.not_after + 1000 }))
    assert.same({ "CERT_NOT_YET_VALID@0", "CERT_NOT_YET_VALID@1", "CERT_NOT_YET_VALID@2" },
      codes({ leaf, mid }, nil, { ca = ca, time = 1000000000 }))
    assert.same({ "CERT_INVALID_PURPOSE@0" }, codes({ leaf, mid }, nil, { ca = ca, purpose = "client" }))
    local visitor, key = assert(qn.tls.self_signed { names = "h", usage = "client" }) -- with a host: as a connection
    assert.same({ "CERT_INVALID_PURPOSE@0" }, codes(visitor, "h", { ca = visitor }))
    assert.same({}, codes(visitor, "h", { ca = visitor, purpose = "any" }))
    assert.is_true(visitor:has_key(key))
    assert.same({ "CERT_EE_KEY_TOO_SMALL@0" }, codes(cert "weak", "w", { ca = ca }))
    local wrong = codes({ cert "noca", leaf, mid }, nil, { ca = ca })
    assert.truthy(table.concat(wrong, " "):find("CERT_INVALID_CA@1", 1, true), table.concat(wrong, " "))
    local _, errors = tls.verify({ leaf, mid }, "h", { ca = ca })
    assert.equal(leaf, errors[1].certificate)
    local der = leaf:to_der()
    local forged = tls.certificate(der:sub(1, -2) .. string.char(der:byte(-1) ~ 1))
    assert.same({ "CERT_SIGNATURE_FAILURE@0" }, codes({ forged, mid }, nil, { ca = ca }))
  end)

  it("says in words what is wrong", function()
    local ca, leaf, mid = cert "root", cert "leaf", cert "mid"
    local function words(chain, host, opts)
      return select(2, tls.verify(chain, host, opts))[1].message
    end
    local function date(time) return os.date("!%Y-%m-%d %H:%M:%S UTC", time) end
    assert.equal("the certificate of \"leaf\" has expired: it was valid until " .. date(leaf.not_after),
      words(leaf, nil, { ca = leaf, partial = true, time = leaf.not_after + 1 }))
    assert.equal("the certificate of \"root\" is not yet valid: it will be from " .. date(ca.not_before),
      words(ca, nil, { ca = ca, time = ca.not_before - 1 }))
    assert.equal("certificate for a.example.org, *.b.example.org, 127.0.0.1 and 1 more does not match host \"h\"",
      words({ leaf, mid }, "h", { ca = ca }))
    assert.equal("the issuer of the certificate of \"leaf\" is not known: \"mid\"", words(leaf, nil, { ca = ca }))
    assert.equal("the certificate of \"root\" is self-signed and not trusted", words(ca, nil, { ca = {} }))
    assert.equal("the chain ends at the self-signed certificate of \"root\", which is not trusted",
      words({ leaf, mid, ca }, nil, { ca = {} }))
    assert.equal("the key of the certificate of \"weak\" is too weak: RSA of 1024 bits",
      words(cert "weak", nil, { ca = ca }))
    assert.equal("the certificate is not for this purpose (certificate of \"leaf\")",
      words({ leaf, mid }, nil, { ca = ca, purpose = "client" }))
  end)

  it("refuses weak signatures and keys of issuers", function()
    local ca = cert "root"
    issue("sha1", "root", "subjectAltName=DNS:s", "-days 30 -sha1")
    output "openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.pem -days 30 -subj /CN=rsa"
    issue("md5", "rsa", "subjectAltName=DNS:s", "-days 30 -md5")
    assert.same({ "CERT_CA_MD_TOO_WEAK@0" }, codes(cert "sha1", nil, { ca = ca }))
    assert.same({ "CERT_CA_MD_TOO_WEAK@0" }, codes(cert "md5", nil, { ca = cert "rsa" }))
    assert.equal("the signature of the certificate of \"sha1\" is too weak: ecdsa-with-SHA1",
      select(2, tls.verify(cert "sha1", nil, { ca = ca }))[1].message)
    issue("weakca", "root", "basicConstraints=critical,CA:true", nil, "-newkey rsa:1024 -nodes")
    issue("under", "weakca", "subjectAltName=DNS:u")
    assert.same({ "CERT_CA_KEY_TOO_SMALL@1" }, codes({ cert "under", cert "weakca" }, nil, { ca = ca }))
  end)

  it("counts depth, constraints of names, and what nobody understands", function()
    local ca = cert "root"
    assert.same({}, codes({ cert "leaf", cert "mid" }, nil, { ca = ca, depth = 1 }))
    assert.truthy(table.concat(codes({ cert "leaf", cert "mid" }, nil, { ca = ca, depth = 0 }), " ")
      :find("CERT_CHAIN_TOO_LONG", 1, true))
    issue("narrow", "root", "basicConstraints=critical,CA:true,pathlen:0\nnameConstraints=critical,permitted;DNS:in.test")
    issue("inside", "narrow", "subjectAltName=DNS:a.in.test")
    issue("outside", "narrow", "subjectAltName=DNS:a.out.test")
    assert.same({}, codes({ cert "inside", cert "narrow" }, "a.in.test", { ca = ca }))
    assert.same({ "CERT_PERMITTED_VIOLATION@0" }, codes({ cert "outside", cert "narrow" }, nil, { ca = ca }))
    issue("toolong", "narrow", "basicConstraints=critical,CA:true")
    issue("last", "toolong", "subjectAltName=DNS:a.in.test")
    assert.truthy(table.concat(codes({ cert "last", cert "toolong", cert "narrow" }, nil, { ca = ca }), " ")
      :find("CERT_PATH_LENGTH_EXCEEDED", 1, true))
    issue("critical", "root", "1.2.3.4=critical,DER:0500")
    assert.same({ "CERT_UNHANDLED_CRITICAL_EXTENSION@0" }, codes(cert "critical", nil, { ca = ca }))
  end)

  it("takes text and paths for certificates", function()
    write("chain.pem", read "leaf.pem" .. read "mid.pem")
    local chain, ca = folder .. "/chain.pem", folder .. "/root.pem"
    assert.is_true(tls.verify(chain, "a.example.org", { ca = ca }))
    assert.is_true(tls.verify(read "chain.pem", nil, { ca = { "system", read "root.pem" } }))
    assert.is_true(tls.verify({ cert "leaf", folder .. "/mid.pem" }, nil, { ca = { ca } }))
    assert.same({ "CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY@1" }, codes(chain, nil, { ca = "system" }))
    assert.equal("ENOENT", select(2, tls.verify(folder .. "/no", nil)).code)
    assert.equal("ENOENT", select(2, tls.verify(chain, nil, { ca = folder .. "/no" })).code)
    local first = assert(tls.system_certificates())[1]
    assert.same({}, codes(first, nil, { ca = { "system" }, time = first.not_before + 86400 }))
  end)

  it("trusts the system by default, and refuses wrong arguments", function()
    assert.same({ "CERT_DEPTH_ZERO_SELF_SIGNED@0" }, codes(cert "root"))
    assert.equal("INVALID_HOST", select(2, tls.verify(cert "root", "")).code)
    assert.error_matches(function() tls.verify({}) end, "1 to 100 certificates")
    assert.error_matches(function() tls.verify() end, "argument #1: .* got nil")
    assert.error_matches(function() tls.verify(cert "root", nil, { ca = { 1 } }) end, "option 'ca'")
    assert.error_matches(function() tls.verify(cert "root", nil, { depth = 101 }) end, "depth")
    assert.error_matches(function() tls.verify(cert "root", nil, { purpose = "x" }) end, "purpose")
    assert.error_matches(function() tls.verify({ 1 }) end, "argument #1: certificates, their text or paths expected, got number at 1")
    assert.error_matches(function() tls.verify(cert "root", 1) end, "string expected")
    assert.error_matches(function() tls.verify(cert "root", nil, { tiem = 1 }) end, "tiem")
    local first, again = assert(tls.system_certificates()), assert(tls.system_certificates())
    assert.is_true(#first > 10 and first[1] == again[1] and first[1].is_ca)
    assert.same({}, codes(first[1], nil, { time = first[1].not_before + 86400 }))
  end)
end)
