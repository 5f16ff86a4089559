-- Which hosts a certificate is for (RFC 6125, RFC 9525), with names that no honest issuer would write.
-- covers: runtime/tls/cert_host.c

local qn = require "qn"
local der = require "spec.support.der"

local tls = qn.tls
local key

setup(function() key = assert(tls.generate_key()).public:to_der() end)

local DNS <const>, IP <const>, URI <const>, EMAIL <const> = 0x82, 0x87, 0x86, 0x81

local function certificate(tag, ...)
  local names = {}
  for i, name in ipairs { ... } do
    names[i] = der.tlv(tag, name)
  end
  return assert(tls.certificate(der.certificate { key = key,
    subject = der.name { "2.5.4.3", 0x0c, "common.example.org" },
    extensions = { der.extension("2.5.29.17", der.seq(table.concat(names))) } }))
end

-- For each name in the certificate: hosts that it covers, and hosts that it does not.
local CASES <const> = {
  { "example.org", "example.org EXAMPLE.org example.org. ExAmPlE.oRg",
    "a.example.org org example.or xample.org example.org.x common.example.org" },
  { "EXAMPLE.Org", "example.org", "xample.org" },
  { "*.example.org", "a.example.org A.EXAMPLE.ORG xn--bcher-kva.example.org bücher.example.org _a.example.org",
    "example.org a.b.example.org .example.org a.example.com aexample.org" },
  { "*.b.example.org", "a.b.example.org", "b.example.org a.example.org *.b.example.orgx" },
  { "*.org", "", "example.org a.org" },
  { "*", "", "org example.org a" },
  { "*.", "", "org a." },
  { "*..org", "", "a.b.org" },
  { "a*.example.org", "", "a.example.org ab.example.org" },
  { "*a.example.org", "", "a.example.org ba.example.org" },
  { "a.*.org", "", "a.b.org" },
  { "*.*.org", "", "a.b.org" },
  { "xn--*.example.org", "", "xn--bcher-kva.example.org" },
  { "xn--bcher-kva.example.org", "bücher.example.org BÜCHER.example.org xn--bcher-kva.example.org XN--BCHER-KVA.example.org",
    "bucher.example.org" },
  { "bücher.example.org", "", "bücher.example.org xn--bcher-kva.example.org" },
  { "example.org.", "", "example.org example.org." },
  { ".example.org", "", "example.org a.example.org" },
  { "example.org\0.evil.test", "", "example.org evil.test" },
  { "example.org\0", "", "example.org" },
  { " example.org", "", "example.org" },
  { "example.org ", "", "example.org" },
  { "exa\xffmple.org", "", "example.org" },
  { "", "", "example.org" },
  { "localhost", "localhost LOCALHOST", "a.localhost" },
  { "*.localhost", "", "a.localhost" },
  { "127.0.0.1", "", "127.0.0.1" }, -- an address is no name
  { "::1", "", "::1" },
  { "*.0.0.1", "", "127.0.0.1" },
}

describe("a name of a certificate", function()
  for _, case in ipairs(CASES) do
    it(("%q covers what it may, and nothing else"):format(case[1]), function()
      local it_is = certificate(DNS, case[1])
      for host in case[2]:gmatch("%S+") do
        assert.is_true(it_is:matches_host(host), host)
      end
      for host in case[3]:gmatch("%S+") do
        local ok, err = it_is:matches_host(host)
        assert.is_nil(ok, host)
        local code = host:find("^%.") and "INVALID_HOST" or qn.address(host) and "CERT_IP_ADDRESS_MISMATCH"
          or "CERT_HOSTNAME_MISMATCH"
        assert.equal(code, err.code, host)
      end
    end)
  end

  it("is an address for addresses", function()
    local it_is = certificate(IP, "\192\0\2\1", "\32\1\13\184" .. ("\0"):rep(11) .. "\1", "\1\2\3", ("\0"):rep(17))
    for host in ("192.0.2.1 2001:db8::1 2001:DB8:0:0::1 2001:db8::0.0.0.1 2001:db8::1%eth0"):gmatch("%S+") do
      assert.is_true(it_is:matches_host(host), host)
    end
    for host in ("192.0.2.2 ::1 1.2.3.0 0.0.0.0 :: ::ffff:192.0.2.1 example.org"):gmatch("%S+") do
      local ok, err = it_is:matches_host(host)
      assert.is_nil(ok, host)
      assert.equal(host == "example.org" and "CERT_HOSTNAME_MISMATCH" or "CERT_IP_ADDRESS_MISMATCH", err.code)
    end
  end)

  it("of another kind is for no host, nor is the common name", function()
    for _, tag in ipairs { URI, EMAIL } do
      assert.is_nil(certificate(tag, "common.example.org"):matches_host "common.example.org")
      assert.is_nil(certificate(tag, "127.0.0.1"):matches_host "127.0.0.1")
    end
    local bare = assert(tls.certificate(der.certificate { key = key,
      subject = der.name { "2.5.4.3", 0x0c, "common.example.org" } }))
    local _, err = bare:matches_host "common.example.org"
    assert.equal("certificate without host names does not match host \"common.example.org\"", err.message)
  end)

  it("is one of many", function()
    local it_is = certificate(DNS, "a.x", "b.x", "*.c.x", "d.x")
    for host in ("a.x b.x q.c.x d.x"):gmatch("%S+") do
      assert.is_true(it_is:matches_host(host), host)
    end
    assert.equal("certificate for a.x, b.x, *.c.x and 1 more does not match host \"e.x\"",
      select(2, it_is:matches_host "e.x").message)
    assert.equal("certificate for a.x and b.x does not match host \"e.x\"",
      select(2, certificate(DNS, "a.x", "b.x"):matches_host "e.x").message)
  end)
end)

describe("a host", function()
  it("that is none is an error of its own", function()
    local it_is = certificate(DNS, "*.example.org")
    for _, host in ipairs { "", ".", "a..example.org", "a b.example.org", "a\0.example.org", ("a"):rep(64) .. ".example.org",
      ("a."):rep(130) .. "example.org", "\xff.example.org" } do
      local ok, err = it_is:matches_host(host)
      assert.is_nil(ok, host)
      assert.equal("INVALID_HOST", err.code, host)
    end
    assert.error_matches(function() it_is:matches_host() end, "string expected")
  end)
end)
