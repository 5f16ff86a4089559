-- Records and hosts as values: read-only, good with pairs, and the text that zone files have.

local record = require "qn.dns.record"
local qn = require "qn"

describe("a record", function()
  local fields = { name = "qn.test", type = "MX", ttl = 5, preference = 10, exchange = "mail.qn.test" }
  local mx = record.record(fields)

  it("has fields that cannot be changed", function()
    assert.equal(10, mx.preference)
    assert.is_nil(mx.target)
    for _, name in ipairs { "preference", "target", "short", 1 } do
      local ok, err = pcall(function() mx[name] = 1 end)
      assert.is_false(ok)
      assert.truthy(tostring(err):find("attempt to change field '" .. name .. "' of a read-only value", 1, true))
    end
    assert.equal(10, mx.preference)
    assert.equal("qn", getmetatable(mx))
  end)

  it("works with pairs", function()
    local seen = {}
    for name, value in pairs(mx) do seen[name] = value end
    assert.same(fields, seen)
  end)

  it("prints as a line of a zone file", function()
    assert.equal("qn.test. 5 IN MX 10 mail.qn.test.", tostring(mx))
    assert.equal(". 0 IN NS .", tostring(record.record { name = ".", type = "NS", ttl = 0, target = "." }))
  end)
end)

describe("a host", function()
  it("is read-only and prints its name and addresses", function()
    local host = record.host { name = "x", addresses = { qn.address("127.0.0.1"), qn.address("::1") } }
    assert.equal("qn.Host: x 127.0.0.1,::1", tostring(host))
    assert.has_error(function() host.name = "y" end)
  end)
end)

describe("short", function()
  local cases = {
    { "10.0.0.1", { type = "A", address = qn.address("10.0.0.1") } },
    { "::1", { type = "AAAA", address = qn.address("::1") } },
    { "t.", { type = "CNAME", target = "t" } },
    { "t.", { type = "PTR", target = "t" } },
    { ".", { type = "NS", target = "." } },
    { "0 .", { type = "MX", preference = 0, exchange = "." } },
    { "1 2 80 t.", { type = "SRV", priority = 1, weight = 2, port = 80, target = "t" } },
    { '"one" "" "\\"\\\\\\000\\255\\010"', { type = "TXT", strings = { "one", "", '"\\\0\255\n' } } },
    { "m. r. 1 2 3 4 5", { type = "SOA", mname = "m", rname = "r", serial = 1, refresh = 2, retry = 3,
      expire = 4, minimum = 5 } },
    { "3 1 1 01FF", { type = "TLSA", usage = 3, selector = 1, matching = 1, data = "\1\255" } },
    { '0 issue "ca"', { type = "CAA", flags = 0, tag = "issue", value = "ca" } },
    { '1 2 "u" "s" "r" .', { type = "NAPTR", order = 1, preference = 2, flags = "u", services = "s",
      regexp = "r", replacement = "." } },
    { "0 t.", { type = "HTTPS", priority = 0, target = "t", params = {} } },
    { '1 . mandatory=no-default-alpn,key700 alpn="h2,f\\\\,o" no-default-alpn port=1 '
      .. 'ipv4hint=127.0.0.1,127.0.0.2 ech=AAEC ipv6hint=::1 dohpath="/q" ohttp key9="a" key700',
      { type = "SVCB", priority = 1, target = ".", params = { alpn = { "h2", "f,o" }, port = 1,
        mandatory = { "no_default_alpn", "key700" }, no_default_alpn = true, ech = "\0\1\2",
        ipv4hint = { qn.address("127.0.0.1"), qn.address("127.0.0.2") }, dohpath = "/q", ohttp = true,
        ipv6hint = { qn.address("::1") }, key9 = "a", key700 = "" } } },
    { "\\# 0", { type = "TYPE999", data = "" } },
    { "\\# 3 00FF41", { type = "HINFO", data = "\0\255A" } },
  }
  for _, case in ipairs(cases) do
    it(case[2].type .. " " .. case[1], function()
      assert.equal(case[1], record.record(case[2]):short())
    end)
  end

  it("of ech is base64", function()
    for text, want in pairs { a = "YQ==", ab = "YWI=", abc = "YWJj", abcd = "YWJjZA==" } do
      local r = record.record { type = "SVCB", priority = 1, target = ".", params = { ech = text } }
      assert.equal("1 . ech=" .. want, r:short())
    end
  end)
end)
