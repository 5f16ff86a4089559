-- The core of qn.crypto: published vectors, every limit, strict text forms.
-- covers: runtime/tls/crypto.c runtime/tls/crypto_derive.c runtime/tls/crypto_text.c lua/qn/crypto.lua

local qn = require "qn"
local program = require "spec.support.program"
local crypto = qn.crypto

local function hex(text) return assert(crypto.from_hex((text:gsub("%s", "")))) end

local function throws(text, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(err):find(text, 1, true), tostring(err))
end

describe("digests", function()
  it("give what FIPS 180 and the others say", function()
    local abc = {
      md5 = "900150983cd24fb0d6963f7d28e17f72",
      sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d",
      sha224 = "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
      sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      sha384 = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
        .. "8086072ba1e7cc2358baeca134c825a7",
      sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        .. "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
      ["sha512-256"] = "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23",
      ["sha3-256"] = "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
      blake2s256 = "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982",
      ripemd160 = "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc",
    }
    for name, expected in pairs(abc) do
      assert.equal(expected, crypto.digest(name, "abc", "hex"), name)
      assert.equal(expected, crypto.hasher(name):update("a"):update("", "bc"):final("hex"), name)
    end
    assert.equal("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
      crypto.digest("SHA-256", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "hex"))
    assert.equal("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
      crypto.digest("sha256", ("a"):rep(1000000), "hex"))
    assert.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      crypto.digest("Sha_256", "", "hex"))
  end)

  it("are those of openssl, all", function()
    local path = program.scratch()
    local data = crypto.random(100003)
    local file = assert(io.open(path .. "/x", "wb"))
    file:write(data)
    file:close()
    for _, info in ipairs(crypto.digests()) do
      local status, out = program.run { "openssl", "dgst", "-r", "-" .. info.name, path .. "/x" }
      assert.equal(0, status, info.name)
      assert.equal(out:match("^%x+"), crypto.digest(info.name, data, "hex"), info.name)
      assert.equal(info.size, #crypto.digest(info.name, ""))
      assert.is_true(info.block_size >= 64)
      local stream <close> = assert(qn.file.open(path .. "/x"))
      assert.equal(out:match("^%x+"), crypto.digest(info.name, stream, "hex"), info.name)
    end
    program.remove(path)
  end)

  it("are one value", function()
    assert.equal(1, select("#", crypto.digest("sha256", "x")))
    assert.equal(1, select("#", crypto.hmac("sha256", "k", "x")))
    assert.equal(1, select("#", crypto.from_hex("00")))
  end)

  it("take buffers", function()
    local buffer = qn.buffer(16)
    buffer:append("abc")
    assert.equal(crypto.digest("sha256", "abc"), crypto.digest("sha256", buffer))
    assert.equal(crypto.digest("sha256", "abcabc"), crypto.hasher("sha256"):update(buffer, buffer):final())
  end)

  it("that are unknown are thrown with the nearest name", function()
    throws("bad argument #1 to 'digest' (unknown digest 'sha25' (did you mean 'sha256'?))",
      crypto.digest, "sha25", "x")
    throws("unknown digest 'rot13'", crypto.hmac, "rot13", "k", "x")
    throws("must not hold zeros", crypto.digest, "sha256\0x", "x")
    throws("unknown digest", crypto.hasher, ("s"):rep(1000))
    throws("string expected", crypto.digest, "sha256", {})
    throws("bad argument #2", crypto.digest, "sha256", qn.address("::1"))
    throws("bad argument #3", crypto.hmac, "sha256", "k", io.stdout)
    throws("unknown encoding 'hax'", crypto.digest, "sha256", "x", "hax")
  end)
end)

describe("a hasher", function()
  it("is copied, finished, and begun again", function()
    local one = crypto.hasher("sha256"):update("ab")
    local two = one:copy()
    assert.equal(crypto.digest("sha256", "abc"), one:update("c"):final())
    assert.equal(crypto.digest("sha256", "abd"), two:update("d"):final())
    throws("the hasher is finished", one.update, one, "x")
    throws("the hasher is finished", one.final, one)
    local final = assert(load("local h = ... local x = h:final() return x", "=here"))
    throws("here:1: final: the hasher is finished", final, one)
    throws("the hasher is finished", one.copy, one)
    assert.equal(crypto.digest("sha256", "x", "base64"), one:reset():update("x"):final("base64"))
    assert.equal("sha256", one:digest())
    assert.equal(32, one:size())
    assert.equal("qn.Hasher: sha256 (finished)", tostring(one))
  end)

  it("with a key is an HMAC and keeps the key", function()
    local h = crypto.hmac_hasher("sha1", "key"):update("da", "ta")
    local copy = h:copy()
    local expected = crypto.hmac("sha1", "key", "data")
    assert.equal(expected, h:final())
    assert.equal(expected, copy:final())
    assert.equal(expected, h:reset():update("data"):final())
    assert.equal(crypto.hmac("sha1", "key", "data"), copy:reset():update("data"):final())
  end)

  it("takes nothing but data", function()
    local h = crypto.hasher("md5")
    throws("bad argument #2 to 'update'", function() h:update("x", {}) end)
    throws("bad argument #1 to 'update'", function() h:update() end)
    assert.equal(crypto.digest("md5", ""), h:final()) -- nothing was added
  end)
end)

describe("HMAC", function()
  it("gives what RFC 4231 says", function()
    local cases = {
      { ("\x0b"):rep(20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
      { "Jefe", "what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
      { ("\xaa"):rep(20), ("\xdd"):rep(50),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
      { ("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[3], crypto.hmac("sha256", case[1], case[2], "hex"))
    end
    assert.equal("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
      .. "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
      crypto.hmac("sha512", "Jefe", "what do ya want for nothing?", "hex"))
    assert.equal("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
      crypto.hmac("sha256", "", "", "hex"))
  end)

  it("of a stream waits for it", function()
    local a, b = qn.pair()
    local task = qn.spawn(function() return crypto.hmac("sha256", "k", b, "hex") end)
    a:write("ab")
    qn.yield()
    a:write("c")
    a:close()
    assert.equal(crypto.hmac("sha256", "k", "abc", "hex"), select(2, task:join()))
    b:close()
  end)

  it("of a stream that breaks is its error", function()
    local a, b = qn.pair()
    b:close()
    local digest, err = crypto.digest("sha256", b)
    assert.is_nil(digest)
    assert.equal("closed", err.kind)
    a:close()
  end)
end)

describe("random", function()
  it("gives as many bytes as wanted, never the same", function()
    assert.equal("", crypto.random(0))
    assert.equal(16777216, #crypto.random(16777216))
    assert.not_equal(crypto.random(16), crypto.random(16))
    assert.equal(32, #crypto.random(16, "hex"))
    throws("0 to 16777216", crypto.random, 16777217)
    throws("0 to 16777216", crypto.random, -1)
  end)

  it("integers are in their range, each value comes", function()
    local seen, n = {}, 0
    for _ = 1, 2000 do
      local v = crypto.random_integer(-3, 3)
      assert.is_true(v >= -3 and v <= 3)
      n = n + (seen[v] and 0 or 1)
      seen[v] = (seen[v] or 0) + 1
    end
    assert.equal(7, n)
    for v = -3, 3 do -- 286 each; six standard deviations are 94
      assert.is_true(seen[v] > 190 and seen[v] < 380, v .. ": " .. seen[v])
    end
    assert.equal(5, crypto.random_integer(5, 5))
    assert.equal(math.maxinteger, crypto.random_integer(math.maxinteger, math.maxinteger))
    assert.equal("integer", math.type(crypto.random_integer(math.mininteger, math.maxinteger)))
    throws("upper bound", crypto.random_integer, 2, 1)
  end)
end)

describe("equal", function()
  it("compares whole strings", function()
    assert.is_true(crypto.equal("", ""))
    assert.is_true(crypto.equal("abc\0d", "abc\0d"))
    assert.is_false(crypto.equal("abc\0d", "abc\0e"))
    assert.is_false(crypto.equal("abc", "abcd"))
  end)
end)

describe("keys from passwords", function()
  it("are those of RFC 6070", function()
    local cases = {
      { "password", "salt", 1, 20, "0c60c80f961f0e71f3a9b524af6012062fe037a6" },
      { "password", "salt", 2, 20, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957" },
      { "password", "salt", 4096, 20, "4b007901b765489abead49d926f721d065a429c1" },
      { "passwordPASSWORDpassword", "saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096, 25,
        "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038" },
      { "pass\0word", "sa\0lt", 4096, 16, "56fa6aa75548099dcc37d7f03425e0c3" },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[5], crypto.to_hex(assert(crypto.pbkdf2("sha1", case[1], case[2], case[3], case[4]))))
    end
  end)

  it("are those of RFC 7914 (PBKDF2, scrypt)", function()
    assert.equal("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
      .. "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
      crypto.to_hex(assert(crypto.pbkdf2("sha256", "passwd", "salt", 1, 64))))
    assert.equal("77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
      .. "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
      crypto.to_hex(assert(crypto.scrypt("", "", { n = 16, r = 1, p = 1, size = 64 }))))
    assert.equal("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
      .. "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
      crypto.to_hex(assert(crypto.scrypt("password", "NaCl", { n = 1024, r = 8, p = 16, size = 64 }))))
  end)

  it("by PBKDF1 are digests of digests", function()
    local t = "password\x78\x57\x8E\x5A\x5D\x63\xCB\x06"
    for _ = 1, 1000 do
      t = crypto.digest("sha1", t)
    end
    local salt = "\x78\x57\x8E\x5A\x5D\x63\xCB\x06"
    assert.equal("dc19847e05c64d2faf10ebfb4a3d2a20", crypto.to_hex(t:sub(1, 16)))
    assert.equal(t:sub(1, 16), crypto.pbkdf1("sha1", "password", salt, 1000, 16))
    assert.equal(16, #crypto.pbkdf1("md5", "", "", 1, 16))
    throws("md5 and sha1 only", crypto.pbkdf1, "sha256", "p", "s", 1, 16)
    throws("as many bytes as the digest", crypto.pbkdf1, "sha1", "p", "s", 1, 21)
  end)

  it("leave the loop alone, and can be given up", function()
    local ticks = 0
    local clock = qn.spawn(function()
      while true do
        qn.sleep(0.001)
        ticks = ticks + 1
      end
    end)
    assert.equal(32, #crypto.pbkdf2("sha256", "p", "s", 100000, 32))
    assert.is_true(ticks > 0)
    clock:cancel()
    local value, err = qn.timeout(0.001, function()
      return crypto.pbkdf2("sha256", "p", "s", 200000, 32)
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
  end)

  it("have limits, which are named", function()
    throws("more than 16777216 iterations", crypto.pbkdf2, "sha256", "p", "s", 16777217, 1)
    throws("above 33554432", crypto.pbkdf2, "sha256", "p", "s", 16777216, 65)
    throws("iterations must be at least 1", crypto.pbkdf2, "sha256", "p", "s", 0, 1)
    throws("the number of bytes must be at least 1", crypto.pbkdf2, "sha256", "p", "s", 1, 0)
    throws("more than 65536 bytes", crypto.pbkdf2, "sha256", "p", "s", 1, 65537)
    throws("iterations must be at least 1", crypto.pbkdf2, "sha256", "p", "s", math.mininteger, 1)
    throws("more than 16777216 iterations", crypto.pbkdf2, "sha256", "p", "s", math.maxinteger, 1)
    throws("power of two", crypto.scrypt, "p", "s", { n = 1000 })
    throws("n times r times p", crypto.scrypt, "p", "s", { n = 1 << 40 })
    throws("n times r times p", crypto.scrypt, "p", "s", { n = 2, r = math.maxinteger, p = math.maxinteger })
    throws("256 MiB", crypto.scrypt, "p", "s", { n = 1 << 20, r = 16 })
    throws("unknown option 'N'", crypto.scrypt, "p", "s", { N = 2 })
    throws("option 'n' must be an integer", crypto.scrypt, "p", "s", { n = "2" })
  end)
end)

describe("HKDF", function()
  it("gives what RFC 5869 says", function()
    local ikm = ("\x0b"):rep(22)
    assert.equal("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
      crypto.to_hex(crypto.hkdf("sha256", ikm, hex "000102030405060708090a0b0c",
        hex "f0f1f2f3f4f5f6f7f8f9", 42)))
    assert.equal("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
      crypto.to_hex(crypto.hkdf("sha256", ikm, "", "", 42)))
    assert.equal(255 * 32, #crypto.hkdf("sha256", "", "", "", 255 * 32))
    throws("at most 8160 bytes", crypto.hkdf, "sha256", "", "", "", 8161)
  end)
end)

describe("text forms", function()
  it("are those of RFC 4648", function()
    local plain, padded = "foobar", { [0] = "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" }
    for n = 0, 6 do
      local data = plain:sub(1, n)
      assert.equal(padded[n], crypto.to_base64(data))
      assert.equal(data, crypto.from_base64(padded[n]))
      local url = padded[n]:gsub("=", "")
      assert.equal(url, crypto.to_base64(data, "url"))
      assert.equal(data, crypto.from_base64(url, "url"))
    end
    assert.equal("-_-_", crypto.to_base64("\xfb\xff\xbf", "url"))
    assert.equal("+/+/", crypto.to_base64("\xfb\xff\xbf"))
    assert.equal("00ff7f", crypto.to_hex("\0\xff\x7f"))
    assert.equal("\0\xff\x7f", crypto.from_hex("00Ff7F"))
  end)

  it("of random bytes come back", function()
    for n = 0, 100 do
      local data = crypto.random(n)
      assert.equal(data, crypto.from_hex(crypto.to_hex(data)))
      assert.equal(data, crypto.from_base64(crypto.to_base64(data)))
      assert.equal(data, crypto.from_base64(crypto.to_base64(data, "url"), "url"))
    end
  end)

  it("that are not well formed say where", function()
    local cases = {
      { crypto.from_hex, "0", "the text ends too early" },
      { crypto.from_hex, "0g", "wrong at character 2" },
      { crypto.from_hex, "00 0", "wrong at character 3" },
      { crypto.from_base64, "Zg", "the text ends too early" },
      { crypto.from_base64, "Zg=", "the text ends too early" },
      { crypto.from_base64, "Z", "the text ends too early" },
      { crypto.from_base64, "Zh==", "wrong at character 2" },
      { crypto.from_base64, "Zm9=", "wrong at character 3" },
      { crypto.from_base64, "Zg===", "wrong at character" },
      { crypto.from_base64, "Zm9v=", "wrong at character 5" },
      { crypto.from_base64, "Zm9v====", "wrong at character" },
      { crypto.from_base64, "Zm9v\n", "wrong at character 5" },
      { crypto.from_base64, "=", "wrong at character 1" },
      { crypto.from_base64, "Zg==Zg==", "wrong at character 3" },
      { crypto.from_base64, "-_-_", "wrong at character 1" },
    }
    for _, case in ipairs(cases) do
      local data, err = case[1](case[2])
      assert.is_nil(data, case[2])
      assert.equal("invalid", err.kind)
      assert.truthy(err.message:find(case[3], 1, true), case[2] .. ": " .. err.message)
    end
    assert.is_nil((crypto.from_base64("Zg==", "url")))
    assert.is_nil((crypto.from_base64("+/+/", "url")))
    throws("invalid option 'uri'", crypto.from_base64, "Zg==", "uri")
  end)
end)
