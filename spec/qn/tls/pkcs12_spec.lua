-- PKCS#12 files, with openssl(1) and certtool(1) as peers, both ways; what hostile ones may ask for.
-- covers: bindings/b_pkcs12.c
-- covers: runtime/tls/pkcs12_read.c
-- covers: runtime/tls/pkcs12_mac.c
-- covers: runtime/tls/pbe.c

local qn = require "qn"
local program = require "spec.support.program"
local throws = require "spec.support.throws"
local tls_files = require "spec.support.tls_files"

local tls = qn.tls
local bench <const> = tls_files.new()
local read <const>, write <const>, output <const>, refused <const> = bench.read, bench.write, bench.output, tls_files.refused
local root, root_key, leaf, key

-- A file that openssl(1) makes of the leaf, its key and the root.
local function made_by_openssl(arguments)
  output("openssl pkcs12 -export -in leaf.pem -inkey leaf.key -certfile root.pem -name me -out o.p12 " .. arguments)
  return read "o.p12"
end

-- DER: one element.
local function tlv(tag, ...)
  local body = table.concat { ... }
  local size = #body
  local length = size < 128 and string.char(size) or size < 256 and string.char(0x81, size)
    or string.pack(">Bs2", 0x82, ""):sub(1, 1) .. string.pack(">I2", size)
  return string.char(tag) .. length .. body
end

-- The content of the element at `at`, and where it ends.
local function inside(der, at)
  local size, from = der:byte(at + 1), at + 2
  if size >= 0x80 then
    local n = size - 0x80
    size = string.unpack(">I" .. n, der, from)
    from = from + n
  end
  return from, from + size - 1
end

-- The content of a file without a MAC: what a MAC is about.
local function content_of(der)
  local _, version_end = inside(der, inside(der, 1))
  local _, type_end = inside(der, (inside(der, version_end + 1)))
  local first, last = inside(der, (inside(der, type_end + 1)))
  return der:sub(first, last)
end

local BAG <const> = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01" -- and the kind
local DATA <const> = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
local PBMAC1 <const>, PBKDF2 <const> = "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0e", "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c"
local HMAC <const> = { sha256 = "\x2a\x86\x48\x86\xf7\x0d\x02\x09", sha512 = "\x2a\x86\x48\x86\xf7\x0d\x02\x0b" }

-- A file with this content and the MAC of RFC 9579.
local function sealed(content, opts)
  local hmac, prf = opts.hmac or "sha256", opts.prf or "sha256"
  local secret = assert(qn.crypto.pbkdf2(prf, opts.pass or "x", "saltsalt", 2048, opts.size or 32))
  local kdf = tlv(0x30, tlv(0x06, PBKDF2), tlv(0x30, tlv(0x04, "saltsalt"), tlv(0x02, opts.count or "\x08\x00"),
    opts.no_size and "" or tlv(0x02, string.char(opts.size or 32)),
    tlv(0x30, tlv(0x06, opts.prf_oid or HMAC[prf]), "\x05\x00")))
  local params = tlv(0x30, kdf, tlv(0x30, tlv(0x06, HMAC[hmac]), "\x05\x00"))
  local mac = opts.mac or qn.crypto.hmac(hmac, secret, content)
  local info = tlv(0x30, tlv(0x30, tlv(0x06, PBMAC1), params), tlv(0x04, mac))
  return tlv(0x30, tlv(0x02, "\x03"), tlv(0x30, tlv(0x06, DATA), tlv(0xa0, tlv(0x04, content))),
    tlv(0x30, info, tlv(0x04, "unused"), tlv(0x02, "\x01")))
end

-- The content of a file with these bags in one part that is not encrypted.
local function plain_part(bags)
  return tlv(0x30, tlv(0x30, tlv(0x06, DATA), tlv(0xa0, tlv(0x04, tlv(0x30, bags)))))
end

setup(function()
  bench.open()
  root, root_key = assert(tls.self_signed { subject = "Root", ca = true })
  local request
  request, key = assert(tls.request { names = "h.example" })
  leaf = assert(tls.sign(request, root, root_key))
  write("root.pem", root:to_pem())
  write("leaf.pem", leaf:to_pem())
  write("leaf.key", key:to_pem())
end)

teardown(bench.close)

local function check_whole(contents, err)
  assert.is_truthy(contents, tostring(err))
  assert.equal(key, contents.key)
  assert.equal(leaf, contents.certificate)
  assert.equal(1, #contents.chain)
  assert.equal(root, contents.chain[1])
  assert.equal("me", contents.name)
  assert.falsy(contents.certificate:to_text():find("Key Id:", 1, true)) -- nothing of the file sticks to it
end

describe("qn.tls.import_pkcs12", function()
  it("reads what openssl writes", function()
    for _, arguments in ipairs {
      "-passout pass:secret", "-passout pass:secret -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
      "-passout pass:secret -macalg sha512 -iter 1 -maciter", "-passout pass:secret -keypbe NONE -certpbe NONE",
      "-passout pass:secret -keypbe aes-128-cbc -certpbe aes-192-cbc",
    } do
      check_whole(tls.import_pkcs12(made_by_openssl(arguments), "secret"))
    end
    check_whole(tls.import_pkcs12(made_by_openssl "-passout 'pass:ä€'", "ä€"))
  end)

  it("opens files without a passphrase with none and with an empty one", function()
    local data = made_by_openssl "-passout pass:"
    check_whole(tls.import_pkcs12(data))
    check_whole(tls.import_pkcs12(data, ""))
    refused("KEY_PASSPHRASE", "the passphrase is wrong", tls.import_pkcs12(data, "x"))
    output("certtool --to-p12 --load-certificate leaf.pem --load-privkey leaf.key --null-password --p12-name me "
      .. "--outder --outfile n.p12")
    assert.equal(key, assert(tls.import_pkcs12(read "n.p12")).key)
  end)

  it("reads what certtool writes, PEM too", function()
    output("cat leaf.pem root.pem > both.pem && certtool --to-p12 --load-certificate both.pem --load-privkey leaf.key "
      .. "--p12-name me --password secret --outfile g.p12")
    assert.truthy(read "g.p12":find("-----BEGIN PKCS12-----", 1, true))
    check_whole(tls.import_pkcs12(read "g.p12":match "%-%-%-%-%-BEGIN.*", "secret"))
  end)

  it("tells a wrong passphrase from a missing one", function()
    local data = made_by_openssl "-passout pass:secret"
    local none, err = tls.import_pkcs12(data, "Secret")
    assert.is_nil(none)
    assert.equal("auth", err.kind)
    refused("KEY_PASSPHRASE", "the passphrase is wrong", none, err)
    refused("KEY_PASSPHRASE", "a passphrase is needed", tls.import_pkcs12(data))
  end)

  it("gives certificates without a key as a chain, and the certificate of the key wherever it is", function()
    output "openssl pkcs12 -export -nokeys -in root.pem -certfile leaf.pem -passout pass:x -out t.p12"
    local contents = assert(tls.import_pkcs12(read "t.p12", "x"))
    assert.is_nil(contents.key)
    assert.is_nil(contents.certificate)
    assert.is_nil(contents.name)
    assert.equal(2, #contents.chain)
    contents = assert(tls.import_pkcs12(assert(tls.export_pkcs12 { key = key, chain = { root, leaf }, passphrase = "",
      iterations = 1 })))
    assert.equal(leaf, contents.certificate)
    assert.equal(key, contents.key)
    assert.same({ root }, contents.chain)
  end)

  it("says what it does not support", function()
    refused("UNSUPPORTED", "has no MAC", tls.import_pkcs12(made_by_openssl "-passout pass:x -nomac", "x"))
    refused("UNSUPPORTED", "RC2", tls.import_pkcs12(made_by_openssl "-passout pass:x -legacy", "x"))
  end)

  it("refuses what is no such file", function()
    for _, data in ipairs { "", "x", "0", "-----BEGIN PKCS12-----\nAAAA\n-----END PKCS12-----\n", root:to_der(), root:to_pem() } do
      refused("CERT_FORMAT", "not a PKCS#12 file", tls.import_pkcs12(data, "x"))
    end
    refused("LIMIT", "limit", tls.import_pkcs12(("x"):rep(4 * 1024 * 1024 + 1)))
    refused("LIMIT", "limit", tls.import_pkcs12("x", ("x"):rep(1025)))
    throws.call(assert, "bad argument #1 to 'import_pkcs12' %(string expected, got nil", tls, "import_pkcs12")
    throws.call(assert, "bad argument #2 to 'import_pkcs12' %(string expected, got number", tls, "import_pkcs12", "", 1)
  end)

  it("survives every cut and every changed byte", function()
    local data = made_by_openssl "-passout pass:x -iter 1 -nomaciter"
    for i = 1, #data - 1, 17 do
      refused("CERT_FORMAT", "", tls.import_pkcs12(data:sub(1, i), "x"))
    end
    refused("CERT_FORMAT", "", tls.import_pkcs12(data .. "\0", "x"))
    local same = 0
    for i = 1, #data, 5 do
      local contents, err = tls.import_pkcs12(data:sub(1, i - 1) .. string.char(data:byte(i) ~ 4) .. data:sub(i + 1), "x")
      if contents then
        same = same + 1 -- in what no MAC covers: how a number of the outside is written
      else
        assert.truthy(err.code)
      end
    end
    assert.is_true(same <= 2, same)
  end)

  it("does not work for hours because a file says so", function()
    local data = made_by_openssl "-passout pass:x -iter 2049 -maciter"
    local number, n = "\x02\x02\x08\x01", 0 -- 2049 in DER
    for at in data:gmatch("()" .. number) do
      n = n + 1
      assert.equal(2049, (string.unpack(">I2", data, at + 2)))
    end
    assert.is_true(n >= 1)
    -- the MAC's own count is the last one of the file: 2^31 - 1, 2^31 and 2^63 times
    local plain = made_by_openssl "-passout pass:x -nomac -keypbe NONE -certpbe NONE"
    local from, to = inside(plain, 1)
    local body = plain:sub(from, to)
    for _, count in ipairs { "\x7f\xff\xff\xff", "\x00\x80\x00\x00\x00", "\x7f" .. ("\xff"):rep(7), "\x7f" .. ("\xff"):rep(20) } do
      local digest = tlv(0x30, tlv(0x30, tlv(0x06, "\x2b\x0e\x03\x02\x1a"), "\x05\x00"), tlv(0x04, ("\0"):rep(20)))
      local mac = tlv(0x30, digest, tlv(0x04, "salt"), tlv(0x02, count))
      local before = qn.now()
      refused("LIMIT", "costs too much", tls.import_pkcs12(tlv(0x30, body, mac), "x"))
      assert.is_true(qn.now() - before < 5)
    end
    for _, count in ipairs { "\xff", "\x00" } do -- not a number of times
      local digest = tlv(0x30, tlv(0x30, tlv(0x06, "\x2b\x0e\x03\x02\x1a"), "\x05\x00"), tlv(0x04, ("\0"):rep(20)))
      refused("CERT_FORMAT", "damaged", tls.import_pkcs12(tlv(0x30, body, tlv(0x30, digest, tlv(0x04, "salt"),
        tlv(0x02, count))), "x"))
    end
  end)

  it("checks the MAC of RFC 9579", function()
    local content = content_of(made_by_openssl "-passout pass:x -nomac -keypbe NONE -certpbe NONE")
    local function file(opts) return sealed(content, opts) end
    check_whole(tls.import_pkcs12(file {}, "x"))
    check_whole(tls.import_pkcs12(file { hmac = "sha512", prf = "sha512", size = 64 }, "x"))
    check_whole(tls.import_pkcs12(file { pass = "" }))
    refused("KEY_PASSPHRASE", "wrong", tls.import_pkcs12(file {}, "y"))
    refused("KEY_PASSPHRASE", "needed", tls.import_pkcs12(file {}))
    refused("KEY_PASSPHRASE", "wrong", tls.import_pkcs12(file { mac = ("\0"):rep(32) }, "x"))
    refused("KEY_PASSPHRASE", "wrong", tls.import_pkcs12(file { mac = "" }, "x"))
    refused("CERT_FORMAT", "damaged", tls.import_pkcs12(file { size = 19 }, "x"))
    refused("CERT_FORMAT", "damaged", tls.import_pkcs12(file { no_size = true }, "x"))
    refused("CERT_FORMAT", "damaged", tls.import_pkcs12(file { count = "\0" }, "x"))
    refused("LIMIT", "costs too much", tls.import_pkcs12(file { count = "\x7f\xff\xff\xff" }, "x"))
    refused("UNSUPPORTED", "unknown kind", tls.import_pkcs12(file { prf_oid = "\x2a\x03" }, "x"))
  end)

  it("bounds what is in a file", function()
    local data = assert(tls.export_pkcs12 { chain = { root }, passphrase = "", iterations = 1 })
    assert.equal(1, #assert(tls.import_pkcs12(data)).chain)
    local many = {}
    for i = 1, 998 do
      many[i] = root
    end
    data = assert(tls.export_pkcs12 { chain = many, passphrase = "", iterations = 1 })
    assert.equal(998, #assert(tls.import_pkcs12(data)).chain)
    local function bag(kind, value) return tlv(0x30, tlv(0x06, BAG .. kind), tlv(0xa0, value)) end
    local list = bag("\4", tlv(0x30, tlv(0x06, "\x2a\x03"), tlv(0xa0, tlv(0x04, "")))) -- a kind that is left out
    assert.same({ chain = {} }, tls.import_pkcs12(sealed(plain_part(list:rep(900)), {}), "x"))
    refused("LIMIT", "too much", tls.import_pkcs12(sealed(plain_part(list:rep(1000)), {}), "x"))
    local function nested(depth)
      local inner = list
      for _ = 1, depth do
        inner = bag("\6", tlv(0x30, inner))
      end
      return sealed(plain_part(inner), {})
    end
    assert.same({ chain = {} }, tls.import_pkcs12(nested(8), "x"))
    refused("LIMIT", "too much", tls.import_pkcs12(nested(9), "x"))
    assert.is_nil((tls.import_pkcs12(nested(200), "x")))
  end)

  it("looks at the cost of each part before anything is derived", function()
    local function raised(der) -- 65,537 iterations become 8,388,607
      local out, n = der:gsub("\x02\x03\x01\x00\x01", "\x02\x03\x7f\xff\xff")
      assert.equal(1, n)
      return out
    end
    local pem = key:to_pem("x", { iterations = 65537 })
    local der = assert(qn.crypto.from_base64((pem:gsub("%-%-%-%-%-[^-]+%-%-%-%-%-", ""):gsub("%s", ""))))
    local function in_bag(value) return sealed(plain_part(tlv(0x30, tlv(0x06, BAG .. "\2"), tlv(0xa0, value))), {}) end
    assert.equal(key, assert(tls.import_pkcs12(in_bag(der), "x")).key)
    refused("LIMIT", "8388607 iterations", tls.import_pkcs12(in_bag(raised(der)), "x"))
    output "openssl pkcs12 -export -nokeys -in root.pem -passout pass:x -iter 65537 -out e.p12"
    local part = content_of(read "e.p12")
    assert.same({ chain = { root } }, tls.import_pkcs12(sealed(part, {}), "x"))
    refused("LIMIT", "8388607 iterations", tls.import_pkcs12(sealed(raised(part), {}), "x"))
  end)

  it("leaves nothing behind when its task is cancelled", function()
    local data = made_by_openssl "-passout pass:x -iter 200000 -maciter"
    for _, how in ipairs { "import", "export" } do
      local task = qn.spawn(function()
        if how == "import" then
          tls.import_pkcs12(data, "x")
        else
          tls.export_pkcs12 { key = key, passphrase = "x", iterations = 200000 }
        end
      end)
      qn.sleep(0)
      task:cancel()
      local ok, err = task:join()
      assert.is_false(ok)
      assert.is_true(qn.is_cancelled(err), tostring(err))
    end
    program.until_true("the pool is idle", function() return qn.stats().orphans == 0 end)
  end)
end)

describe("qn.tls.export_pkcs12", function()
  it("writes what others read", function()
    local data = assert(tls.export_pkcs12 { certificate = leaf, key = key, chain = { root }, name = "ich ä",
      passphrase = "geheim" })
    write("q.p12", data)
    local text = output "openssl pkcs12 -in q.p12 -passin pass:geheim -noenc -info"
    for _, part in ipairs { "MAC: sha256, Iteration 100000", "PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256",
      "Shrouded Keybag: PBES2", (leaf:to_pem():gsub("\n$", "")), (root:to_pem():gsub("\n$", "")), (key:to_pem():gsub("\n$", "")) } do
      assert.truthy(text:find(part, 1, true), part)
    end
    text = output "certtool --p12-info --inder --infile q.p12 --password geheim"
    assert.truthy(text:find("Friendly name: ich ä", 1, true), text)
    local contents = assert(tls.import_pkcs12(data, "geheim"))
    assert.equal("ich ä", contents.name)
    assert.equal(key, contents.key)
    assert.equal(leaf, contents.certificate)
    assert.same({ root }, contents.chain)
  end)

  it("writes every kind of key, and every part alone", function()
    for _, type_ in ipairs { "ec", "rsa", "rsa_pss", "ed25519", "ed448", "x25519" } do
      local one = assert(tls.generate_key { type = type_ })
      local data = assert(tls.export_pkcs12 { key = one, passphrase = "ä", iterations = 1 })
      assert.equal(one, assert(tls.import_pkcs12(data, "ä")).key)
    end
    local contents = assert(tls.import_pkcs12(assert(tls.export_pkcs12 { certificate = leaf, passphrase = "" })))
    assert.is_nil(contents.key)
    assert.same({ leaf }, contents.chain)
  end)

  it("throws at misuse, and shows no passphrase", function()
    local function wrong(text, opts) throws.call(assert, text, tls, "export_pkcs12", opts) end
    wrong("option 'passphrase' is missing", { key = key })
    wrong("option 'certificate', 'key' or 'chain' is missing", { passphrase = "" })
    wrong("option 'key' must be a private qn.Key", { key = key.public, passphrase = "" })
    wrong("option 'key' must be a private qn.Key", { key = leaf, passphrase = "" })
    wrong("option 'certificate' must be a qn.Certificate", { certificate = key, passphrase = "" })
    wrong("option 'chain' must be a list of certificates", { chain = { key }, passphrase = "" })
    wrong("option 'chain' must be table", { chain = root, passphrase = "" })
    wrong("option 'iterations' must be from 1 to 2000000", { key = key, passphrase = "", iterations = 0 })
    wrong("option 'name' must be UTF%-8", { key = key, passphrase = "", name = "\xff" })
    for _, pass in ipairs { "se\0cret", "secret\xff", ("secret"):rep(200) } do
      local ok, err = pcall(tls.export_pkcs12, { key = key, passphrase = pass })
      assert.is_false(ok)
      assert.truthy(err:find("option 'passphrase' must be UTF-8 of at most 1024 bytes", 1, true))
      assert.falsy(err:find("secret", 1, true))
    end
    refused("KEY_MISMATCH", "", tls.export_pkcs12 { key = root_key, certificate = leaf, passphrase = "" })
  end)
end)
