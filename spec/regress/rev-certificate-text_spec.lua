-- What a stranger wrote into a certificate cannot pretend to be lines, or steer a terminal, where it is
-- shown to people.
--
-- covers: runtime/tls/cert_print.c

local tls = require("qn").tls

local function patched(value, from, to)
  assert(#from == #to)
  local der = value:to_der():gsub(from:gsub("%W", "%%%0"), (to:gsub("%%", "%%%%")))
  return der
end

-- A certificate whose signature does not fit any more, which is no matter here.
local function certificate(opts, from, to)
  return assert(tls.certificate(patched(assert(tls.self_signed(opts)), from, to)))
end

describe("text of a certificate", function()
  it("has no lines that an alternative name brings", function()
    local c = certificate({ names = "axxxxxxxxxissuerxxcn.example" }, "axxxxxxxxxissuerxxcn",
      "a\n        Issuer: CN")
    assert.are.equal("a\n        Issuer: CN.example", c.names.dns[1])
    local text = c:to_text()
    assert.is_truthy(text:find("DNS:a.        Issuer: CN.example", 1, true))
    assert.are.equal(1, select(2, text:gsub("\n%s*Issuer:", "")))
  end)

  it("has no lines that other extensions bring", function()
    local c = certificate({ subject = "x", ocsp = "http://a/bbb", crl = "http://a/bbb",
      issuers = "http://a/bbb" }, "http://a/bbb", "http://a/\nbb")
    local text = c:to_text()
    assert.are.equal(3, select(2, text:gsub("http://a/%.bb", "")))
    assert.is_nil(text:find("\nbb", 1, true))
  end)

  it("has no lines that an unknown extension brings", function()
    local c = certificate({ subject = "x", names = "abcdefgh.example" },
      "\x06\x03\x55\x1d\x11\x04", "\x06\x03\x55\x1d\x7f\x04")
    local text = tls.certificate((c:to_der():gsub("abcdefgh", "abc\nefgh"))):to_text()
    assert.is_truthy(text:find("abc.efgh", 1, true))
    assert.is_nil(text:find("\nefgh", 1, true))
  end)

  it("keeps numbers that are line breaks by chance", function()
    local c = assert(tls.self_signed { subject = "x", ca = true, path_length = 10, serial = "0a0a" })
    local text = c:to_text()
    assert.is_truthy(text:find("pathlen:10", 1, true))
    assert.is_truthy(text:find("2570 (0xa0a)", 1, true))
  end)

  it("is the same as before for those of honest people", function()
    local c = assert(tls.self_signed { names = { "a.example", "192.0.2.1", "x@a.example" } })
    local text = c:to_text()
    assert.is_truthy(text:find("DNS:a.example, IP Address:192.0.2.1, email:x@a.example", 1, true))
    assert.is_truthy(text:find("\n    Signature Algorithm: ecdsa-with-SHA256\n    Signature Value:\n", 1, true))
  end)

  it("does not turn around", function()
    local c = certificate({ subject = "a€b€c" }, "€", "\u{202e}")
    local name = "a\u{202e}b\u{202e}c"
    assert.are.equal(name, c.subject.CN)
    for _, text in ipairs { c:to_text(), tostring(c), tostring(c.subject),
      select(2, tls.verify(c, "x.example", { ca = {} }))[1].message } do
      assert.is_nil(text:find("\u{202e}", 1, true))
    end
  end)

  it("does not steer by a name of its subject", function()
    local c = certificate({ subject = "caf\u{e9}" }, "\u{e9}", "\u{9b}")
    assert.are.equal("CN=caf\\C2\\9B", tostring(c.subject))
    assert.are.equal("CN=\\ ä\\, #1\\ ", tostring(tls.self_signed({ subject = " ä, #1 " }).subject))
  end)
end)

describe("the time of a verification", function()
  it("has bounds, which are named", function()
    local c = assert(tls.self_signed { names = "a.example" })
    for _, time in ipairs { math.mininteger, math.maxinteger, 1 << 40 } do
      local ok, err = pcall(tls.verify, c, "a.example", { ca = c, time = time })
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find("option 'time'", 1, true))
    end
  end)
end)

describe("text of a request", function()
  it("has no lines that it brings", function()
    local r = assert(tls.request { names = "axxxxxxxxsubject.example" })
    r = assert(tls.certificate_request(patched(r, "axxxxxxxxsubject", "a\n      Subject:")))
    local text = r:to_text()
    assert.is_truthy(text:find("DNS:a.      Subject:.example", 1, true))
    assert.are.equal(1, select(2, text:gsub("\n%s*Subject:", "")))
    assert.is_truthy(text:find("Requested Extensions:\n", 1, true))
  end)
end)
