-- Keys with openssl(1) as the peer, both ways: every form, every cut, every limit.
-- covers: runtime/tls/key.c runtime/tls/key_parse.c runtime/tls/key_write.c runtime/tls/key_sign.c
-- bindings/b_key_make.c runtime/tls/key_make.c runtime/tls/cipher.c lua/qn/tls/key.lua

local qn = require "qn"
local tls = require "qn.tls.key"
local asn1 = require "spec.support.der"
local program = require "spec.support.program"
local crypto = qn.crypto

local function throws(text, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(err):find(text, 1, true), tostring(err))
end

local function refused(kind, code, ...)
  local key, err = tls.key(...)
  assert.is_nil(key)
  assert.equal(kind, err.kind, tostring(err))
  assert.equal(code, err.code, tostring(err))
end

local function write_file(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- Runs openssl in a folder of its own; gives what it wrote.
local function openssl(arguments, input)
  local folder = program.scratch()
  if input then
    write_file(folder .. "/in", input)
  end
  local words = { "openssl" }
  for word in arguments:gmatch("%S+") do
    words[#words + 1] = word == "IN" and folder .. "/in" or word
  end
  words[#words + 1] = "-out"
  words[#words + 1] = folder .. "/result"
  local status, _, err = program.run(words)
  assert(status == 0, arguments .. ": " .. err)
  local result = read_file(folder .. "/result")
  program.remove(folder)
  return result
end

local EC <const> = openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256")

describe("qn.tls.key", function()
  it("reads what openssl makes", function()
    local kinds = {
      { "EC -pkeyopt ec_paramgen_curve:P-384", "ec", 384, "P-384" },
      { "EC -pkeyopt ec_paramgen_curve:secp256k1", "ec", 256, "secp256k1" },
      { "RSA -pkeyopt rsa_keygen_bits:1024", "rsa", 1024 },
      { "RSA-PSS -pkeyopt rsa_keygen_bits:1024", "rsa_pss", 1024 },
      { "ED25519", "ed25519", 256 },
      { "ED448", "ed448", 456 },
      { "X25519", "x25519", 253 },
      { "X448", "x448", 448 },
      { "DH -pkeyopt group:ffdhe2048", "dh", 2048 },
    }
    for _, kind in ipairs(kinds) do
      local pem = openssl("genpkey -algorithm " .. kind[1])
      local key = assert(tls.key(pem))
      assert.equal(kind[2], key.type)
      assert.equal(kind[3], key.bits, kind[1])
      assert.equal(kind[4], key.curve)
      assert.is_true(key.is_private)
      assert.equal(key, tls.key(openssl("pkey -outform DER -in IN", pem)))
      assert.equal(openssl("pkcs8 -topk8 -nocrypt -in IN -outform DER", pem), key:to_der())
      local public = openssl("pkey -pubout -in IN", pem)
      assert.equal(public, key.public:to_pem())
      assert.equal(tls.key(public), key.public)
      assert.equal(openssl("pkey -pubout -outform DER -in IN", pem), key.public:to_der())
      assert.not_equal(key, key.public)
      assert.is_true(key:matches(key.public))
      assert.is_false(key.public.is_private)
      assert.equal(key.public, key.public.public)
      assert.equal(key:fingerprint(), key.public:fingerprint())
      assert.equal(crypto.digest("sha256", key.public:to_der(), "hex"), key:fingerprint())
      assert.equal(40, #key:fingerprint("sha1"))
    end
  end)

  it("reads the older forms", function()
    local rsa = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024")
    local dsa = openssl("genpkey -paramfile IN",
      openssl("genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024"))
    for name, pem in pairs { rsa = rsa, ec = EC, dsa = dsa } do
      local key = assert(tls.key(pem))
      assert.equal(name, key.type)
      for _, form in ipairs { "PEM", "DER" } do
        local old = openssl(name .. " -in IN -outform " .. form .. (name == "rsa" and " -traditional" or ""), pem)
        assert.equal(key, tls.key(old), name .. form)
      end
      local sealed = openssl(name .. " -in IN -aes128 -passout pass:secret"
        .. (name == "rsa" and " -traditional" or ""), pem)
      assert.truthy(sealed:find("DEK-Info: AES-128-CBC", 1, true))
      assert.equal(key, tls.key(sealed, "secret"))
      refused("auth", "KEY_PASSPHRASE", sealed)
      for i = 1, 30 do -- some leave good padding
        refused("auth", "KEY_PASSPHRASE", sealed, "wrong" .. i)
      end
    end
    local key = assert(tls.key(rsa))
    for _, form in ipairs { "PEM", "DER" } do
      assert.equal(key.public, tls.key(openssl("rsa -in IN -RSAPublicKey_out -outform " .. form, rsa)))
    end
  end)

  it("finds the first key among other blocks", function()
    local certificate = openssl("req -x509 -nodes -newkey ed25519 -keyout /dev/null -subj /CN=x")
    local parameters = openssl("ecparam -name prime256v1")
    local key = assert(tls.key(EC))
    assert.equal(key, tls.key(certificate .. "words\n" .. parameters .. EC .. certificate))
    assert.equal(key, tls.key("0 words\r\n" .. EC:gsub("\n", "\r\n")))
    refused("invalid", "KEY_FORMAT", certificate)
    refused("invalid", "KEY_FORMAT", openssl("x509 -in IN -outform DER", certificate))
  end)

  it("opens what openssl has encrypted", function()
    local key = assert(tls.key(EC))
    local ways = { "-v2 aes-256-cbc", "-v2 aes-128-cbc -v2prf hmacWithSHA512", "-v2 des3", "-scrypt",
      "-v1 PBE-SHA1-3DES", "-v2 aes-256-cbc -iter 1" }
    for _, way in ipairs(ways) do
      for _, form in ipairs { "PEM", "DER" } do
        local sealed = openssl("pkcs8 -topk8 -in IN -passout pass:secret -outform " .. form .. " " .. way, EC)
        assert.equal(key, tls.key(sealed, "secret"), way)
        refused("auth", "KEY_PASSPHRASE", sealed, "wrong")
        refused("auth", "KEY_PASSPHRASE", sealed, "")
        refused("auth", "KEY_PASSPHRASE", sealed)
      end
    end
    assert.equal(key, tls.key(EC, "not needed"))
  end)

  -- PKCS#8 with the public key behind the private one (RFC 5958, 8410), which openssl does not write.
  it("reads version 2 of PKCS#8, plain and encrypted", function()
    local from_rfc <const> = "-----BEGIN PRIVATE KEY-----\n" -- RFC 8410, 10.3
      .. "MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
      .. "oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\n"
      .. "Z9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PRIVATE KEY-----\n"
    local key = assert(tls.key(from_rfc))
    assert.equal("ed25519", key.type)
    local plain = key:to_der()
    local secret, public = plain:sub(-32), key.public:to_der():sub(-32)
    local function made(last)
      return asn1.seq(asn1.integer "\1", asn1.seq(asn1.oid "1.3.101.112"), asn1.octets(asn1.octets(secret)), last)
    end
    assert.equal(key, tls.key(made("\x81\x21\0" .. public)))
    local whole = made("\xa1\x23\x03\x21\0" .. public) -- as some write it
    assert.equal(key, tls.key(whole))
    for cut = 1, #whole - 1 do
      refused("invalid", "KEY_FORMAT", whole:sub(1, cut))
    end
    refused("invalid", "KEY_FORMAT", made("\x81\x21\0" .. public .. "\x81\x01\0"))
    local work = assert(crypto.pbkdf2("sha256", "secret", "saltsalt", 2048, 16))
    local sealed = openssl("enc -aes-128-cbc -in IN -iv " .. ("00"):rep(16) .. " -K " .. crypto.to_hex(work), whole)
    local pbes2 = asn1.seq(asn1.oid "1.2.840.113549.1.5.13", asn1.seq(
      asn1.seq(asn1.oid "1.2.840.113549.1.5.12", asn1.seq(asn1.octets "saltsalt", asn1.integer "\8\0",
        asn1.seq(asn1.oid "1.2.840.113549.2.9"))),
      asn1.seq(asn1.oid "2.16.840.1.101.3.4.1.2", asn1.octets(("\0"):rep(16)))))
    assert.equal(key, tls.key(asn1.seq(pbes2, asn1.octets(sealed)), "secret"))
    refused("auth", "KEY_PASSPHRASE", asn1.seq(pbes2, asn1.octets(sealed)), "wrong")
  end)

  it("cut at any byte is no key", function()
    local sealed = assert(assert(tls.key(EC)):to_pem("secret", { iterations = 1 }))
    local der = assert(tls.key(EC)):to_der()
    local sealed_der = assert(crypto.from_base64((sealed:gsub("%-%-%-%-%-[^\n]+", ""):gsub("%s", ""))))
    assert.equal(tls.key(EC), tls.key(sealed_der, "secret"))
    for _, data in ipairs { der, sealed_der, assert(tls.key(EC)).public:to_der() } do
      for n = 0, #data - 1 do
        refused("invalid", "KEY_FORMAT", data:sub(1, n), "secret")
      end
      refused("invalid", "KEY_FORMAT", data .. "\0", "secret")
    end
    for _, pem in ipairs { EC, sealed } do
      for n = 0, #pem - 2 do
        refused("invalid", "KEY_FORMAT", pem:sub(1, n), "secret")
      end
    end
  end)

  it("changed at any byte is an error or a key, never more", function()
    local der = assert(tls.key(EC)):to_der()
    for i = 1, #der do
      for _, bit in ipairs { 1, 128 } do
        local changed = der:sub(1, i - 1) .. string.char(der:byte(i) ~ bit) .. der:sub(i + 1)
        local key, err = tls.key(changed)
        assert.is_true(key and type(key.type) == "string" or qn.is_error(err), tostring(err))
      end
    end
  end)

  it("bounds what a file may ask for", function()
    refused("limit", "LIMIT", (" "):rep(1024 * 1024) .. EC)
    local sealed = openssl("pkcs8 -topk8 -in IN -passout pass:x -v2 aes-256-cbc -iter 2000001 -outform DER", EC)
    refused("limit", "LIMIT", sealed, "x")
    local old = openssl("pkcs8 -topk8 -in IN -passout pass:x -v1 PBE-SHA1-3DES -iter 2000001", EC)
    refused("limit", "LIMIT", old, "x")
    local scrypt = openssl("pkcs8 -topk8 -in IN -passout pass:x -scrypt -scrypt_N 16384 -scrypt_r 1"
      .. " -scrypt_p 200", EC)
    refused("limit", "LIMIT", scrypt, "x")
    refused("limit", "LIMIT", EC, ("x"):rep(1025))
    throws("string expected", tls.key, nil)
    throws("string expected", tls.key, EC, {})
  end)
end)

describe("qn.Key", function()
  it("is a value that shows no secret", function()
    local key = assert(tls.key(EC))
    assert.equal("qn.Key: private ec, P-256, 256 bits", tostring(key))
    assert.equal("qn.Key: public ec, P-256, 256 bits", tostring(key.public))
    throws("attempt to change field 'type' of a read-only value", function() key.type = "rsa" end)
    assert.is_nil(key.unknown)
    assert.is_nil(key[1])
    throws("unknown digest 'sha25' (did you mean 'sha256'?)", key.fingerprint, key, "sha25")
    assert.not_equal(key, assert(tls.generate_key()))
    assert.is_false(key:matches(assert(tls.generate_key { type = "ed25519" })))
  end)

  it("is written encrypted so that openssl reads it", function()
    local key = assert(tls.key(EC))
    for _, cipher in ipairs { "aes-256-cbc", "aes-192-cbc", "aes-128-cbc", "des-ede3-cbc" } do
      local pem = assert(key:to_pem("pass word", { cipher = cipher, iterations = 1000 }))
      assert.truthy(pem:find("^%-%-%-%-%-BEGIN ENCRYPTED PRIVATE KEY"))
      assert.equal(key, tls.key(pem, "pass word"))
      local folder = program.scratch()
      write_file(folder .. "/pass", "pass word")
      assert.equal(key, tls.key(openssl("pkey -in IN -passin file:" .. folder .. "/pass", pem)))
      program.remove(folder)
    end
    local pem = key:to_pem("x")
    assert.truthy(openssl("asn1parse -in IN -noout", pem))
    assert.not_equal(pem, key:to_pem("x")) -- another salt
    assert.equal(EC, key:to_pem())
    assert.equal(key, tls.key(key:to_pem("", { iterations = 1 }), ""))
    throws("a public key is not encrypted", key.public.to_pem, key.public, "x")
    throws("these options need a passphrase", key.to_pem, key, nil, { iterations = 5 })
    throws("did you mean 'aes-256-cbc'?", key.to_pem, key, "x", { cipher = "aes-256-gcm" })
    throws("from 1 to 2000000", key.to_pem, key, "x", { iterations = 2000001 })
    throws("unknown option 'cypher' (did you mean 'cipher'?)", key.to_pem, key, "x", { cypher = "x" })
    throws("longer than 1024 bytes", key.to_pem, key, ("x"):rep(1025))
  end)
end)

describe("signatures", function()
  local folder
  setup(function() folder = program.scratch() end)
  teardown(function() program.remove(folder) end)

  -- Whether openssl takes a signature, and one that openssl makes is taken.
  local function both_ways(key, opts, flags)
    write_file(folder .. "/data", "some data")
    write_file(folder .. "/public", key.public:to_pem())
    write_file(folder .. "/private", key:to_pem())
    write_file(folder .. "/signature", assert(key:sign("some data", opts)))
    local words = { "openssl", "pkeyutl", "-rawin", "-in", folder .. "/data" }
    table.move(flags, 1, #flags, #words + 1, words)
    local verify = table.move({ "-verify", "-pubin", "-inkey", folder .. "/public", "-sigfile",
      folder .. "/signature" }, 1, 6, #words + 1, { table.unpack(words) })
    local status, out, err = program.run(verify)
    assert.equal(0, status, key.type .. out .. err)
    local sign = table.move({ "-sign", "-inkey", folder .. "/private", "-out", folder .. "/made" }, 1, 5,
      #words + 1, { table.unpack(words) })
    status, out, err = program.run(sign)
    assert.equal(0, status, key.type .. out .. err)
    local made = read_file(folder .. "/made")
    assert.is_true(key:verify(made, "some data", opts))
    assert.is_true(key.public:verify(made, "some data", opts))
    assert.is_false(key:verify(made, "some dat4", opts))
    assert.is_false(key:verify(made .. "\0", "some data", opts))
    assert.is_false(key:verify(made:sub(1, -2), "some data", opts))
    assert.is_false(key:verify("", "some data", opts))
  end

  it("are those of openssl, both ways", function()
    local rsa = assert(tls.generate_key { type = "rsa", bits = 1024 })
    local ec = assert(tls.key(EC))
    both_ways(rsa, nil, { "-digest", "sha256" })
    both_ways(rsa, { digest = "sha512", padding = "pkcs1" }, { "-digest", "sha512" })
    both_ways(rsa, { padding = "pss" }, { "-digest", "sha256", "-pkeyopt", "rsa_padding_mode:pss" })
    both_ways(ec, { digest = "SHA-384" }, { "-digest", "sha384" })
    both_ways(assert(tls.generate_key { type = "rsa_pss", bits = 1024 }), nil, { "-digest", "sha256" })
    both_ways(assert(tls.generate_key { type = "ed25519" }), nil, {})
    both_ways(assert(tls.generate_key { type = "ed448" }), nil, {})
    assert.is_false(ec:verify(assert(rsa:sign("x")), "x"))
  end)

  it("of Ed25519 are those of RFC 8032", function()
    local secret = assert(crypto.from_hex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))
    local key = assert(tls.key(assert(crypto.from_hex("302e020100300506032b657004220420")) .. secret))
    assert.equal("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
      .. "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
      crypto.to_hex(key:sign("\xaf\x82")))
  end)

  it("are refused where they cannot be", function()
    local ec, ed = assert(tls.key(EC)), assert(tls.generate_key { type = "ed25519" })
    local signature, err = ec.public:sign("x")
    assert.is_nil(signature)
    assert.equal("invalid", err.kind)
    assert.truthy(err.message:find("a public key does not sign", 1, true))
    local x = assert(tls.generate_key { type = "x25519" })
    signature, err = x:sign("x")
    assert.is_nil(signature)
    assert.equal("unsupported", err.kind)
    assert.equal("unsupported", select(2, x:verify("x", "x")).kind)
    throws("option 'digest': a key of type ed25519 has its own", ed.sign, ed, "x", { digest = "sha256" })
    throws("option 'padding' is for RSA keys", ec.sign, ec, "x", { padding = "pss" })
    throws("unknown digest 'sha255' (did you mean 'sha256'?)", ec.sign, ec, "x", { digest = "sha255" })
    throws("unknown option 'hash'", ec.verify, ec, "x", "x", { hash = "sha256" })
  end)
end)

describe("qn.tls.generate_key", function()
  it("makes every type", function()
    for _, case in ipairs { { nil, "ec", "P-256" }, { { curve = "P-384" }, "ec", "P-384" },
      { { type = "ec", curve = "secp384r1" }, "ec", "P-384" }, { { type = "ec", curve = "prime256v1" }, "ec", "P-256" },
      { { type = "ed448" }, "ed448" }, { { type = "x448" }, "x448" }, { { type = "rsa" }, "rsa" } } do
      local key = assert(tls.generate_key(case[1]))
      assert.equal(case[2], key.type)
      assert.equal(case[3], key.curve)
      assert.is_true(key.is_private)
      assert.is_true(key.type ~= "rsa" or key.bits == 2048)
      assert.equal(key, tls.key(openssl("pkey -check -in IN", key:to_pem())))
    end
  end)

  it("leaves the loop alone, and stops when it is given up", function()
    local key, err = qn.timeout(0.01, function()
      return tls.generate_key { type = "rsa", bits = 16384 }
    end)
    assert.is_nil(key)
    assert.equal("timeout", err.kind)
    local task = qn.spawn(function() return tls.generate_key { type = "rsa", bits = 16384 } end)
    qn.yield()
    task:cancel()
    program.until_true("the threads to be free", function() return qn.stats().orphans == 0 end)
  end)

  it("checks its options", function()
    throws("unknown type 'rsb'", tls.generate_key, { type = "rsb" })
    throws("unknown curve 'P-255'", tls.generate_key, { curve = "P-255" })
    throws("a type of their own ('x25519')", tls.generate_key, { curve = "X25519" })
    throws("from 1024 to 16384", tls.generate_key, { type = "rsa", bits = 512 })
    throws("option 'bits' is not for keys of type ec", tls.generate_key, { bits = 2048 })
    throws("option 'curve' is not for keys of type rsa", tls.generate_key, { type = "rsa", curve = "P-256" })
    throws("option 'bits' must be an integer", tls.generate_key, { type = "rsa", bits = "2048" })
    throws("unknown option 'size'", tls.generate_key, { size = 2048 })
    throws("options must be a table", tls.generate_key, "rsa")
  end)
end)

describe("qn.tls.ciphers", function()
  it("are those of openssl", function()
    local _, out = program.run { "openssl", "ciphers", "-v", "ALL:!aNULL:!eNULL" }
    local list, n = assert(tls.ciphers()), 0
    for name, protocol, kx, auth, enc, mac in
      out:gmatch("(%S+)%s+(%S+)%s+Kx=(%S+)%s+Au=(%S+)%s+Enc=(%S+)%s+Mac=(%S+)\n") do
      n = n + 1
      local c = list[n]
      assert.equal(name, c.name)
      assert.equal(name, tostring(c))
      assert.equal((protocol:gsub("^TLSv1$", "TLSv1.0")), c.protocol)
      assert.equal((kx:gsub("^ECDH$", "ECDHE"):gsub("^DH$", "DHE")), c.key_exchange, name)
      assert.equal(auth, c.authentication, name)
      assert.equal(tonumber(enc:match("%((%d+)%)")), c.bits, name)
      assert.equal(mac, c.mac, name)
      assert.equal(mac == "AEAD", c.aead)
      assert.is_true(c.strength > 0 and c.strength <= c.bits)
      assert.falsy((c.encryption .. c.key_exchange .. c.authentication):find("unknown"), name)
    end
    assert.equal(n, #list)
    assert.is_true(n > 20)
  end)

  it("take a filter", function()
    local c = assert(tls.ciphers("ECDHE-RSA-AES128-SHA256"))
    assert.equal("ECDHE-RSA-AES128-SHA256", c[#c].name)
    assert.equal("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", c[#c].standard_name)
    assert.equal(0xc027, c[#c].id)
    assert.equal("AES-128-CBC", c[#c].encryption)
    assert.equal("SHA256", c[#c].mac)
    for i = 1, #c - 1 do
      assert.equal("TLSv1.3", c[i].protocol)
    end
    local none, err = tls.ciphers("NOTHING")
    assert.is_nil(none)
    assert.equal("invalid", err.kind)
    assert.equal(assert(tls.ciphers())[1], assert(tls.ciphers())[1])
    assert.not_equal(assert(tls.ciphers())[1], assert(tls.ciphers())[2])
    throws("read-only", function() c[1].name = "x" end)
  end)

  it("are found by number", function()
    local core = require "qn.core"
    assert.equal("TLS_AES_128_GCM_SHA256", core.cipher(0x1301).name)
    assert.equal("unsupported", select(2, core.cipher(0)).kind)
  end)
end)

describe("qn.tls.curves", function()
  it("are those of openssl", function()
    local status, out = program.run { "openssl", "ecparam", "-list_curves" }
    assert.equal(0, status)
    local checked = 0
    local by_name = {}
    for _, curve in ipairs(assert(tls.curves())) do
      by_name[curve.short_name] = curve
    end
    for name in out:gmatch("([%w%-]+)%s*:%s") do
      if name ~= "Oakley-EC2N-3" and name ~= "Oakley-EC2N-4" and name ~= "SM2" then
        assert.is_truthy(by_name[name], name)
        checked = checked + 1
      end
    end
    assert.is_true(checked > 10, checked)
    local p256 = by_name.prime256v1
    assert.equal("P-256", p256.name)
    assert.equal("P-256", tostring(p256))
    assert.equal(256, p256.bits)
    assert.is_true(p256.is_tls)
    assert.truthy(p256.long_name:find("256 bit"))
    assert.is_true(by_name.X25519.is_tls)
    assert.is_false(by_name.prime239v1.is_tls)
  end)
end)
