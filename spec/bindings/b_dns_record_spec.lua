-- Answers of a real server as tables: the fields of each type, the facts of an answer, names of types, the
-- orders of MX and SRV with numbers that are known beforehand.

local qn = require "qn"
local core = require "qn.core"
local dns = require "spec.support.dns"

describe("records", function()
  local knot
  setup(function() knot = dns.knot() end)
  teardown(function() knot:stop() end)

  -- The only record, or the list.
  local function ask(name, type)
    local records = assert(qn.dns.query(name, type, { server = knot.address }))
    return #records == 1 and records[1] or records, records
  end

  it("of addresses", function()
    local a, list = ask("mail.qn.test", "A")
    assert.equal(qn.address("127.0.0.4"), a.address)
    assert.equal("A", a.type)
    assert.equal("mail.qn.test", a.name)
    assert.is_true(a.ttl <= 300 and a.ttl > 200)
    assert.is_true(list.authoritative)
    assert.is_false(list.authentic)
    assert.equal(a.ttl, list.ttl)
    assert.equal("mail.qn.test", list.canonical)
    assert.same({}, list.chain)
    assert.equal(qn.address("::1"), ask("aaaa.qn.test", "aaaa").address)
  end)

  it("of names", function()
    assert.equal("c2.qn.test", ask("c1.qn.test", "CNAME").target)
    assert.equal("ns.qn.test", ask("qn.test", "NS").target)
    assert.equal("localhost.qn.test", ask("1.0.0.127.in-addr.arpa", "PTR").target)
  end)

  it("at the end of a chain", function()
    local _, list = ask("c1.qn.test", "A")
    assert.equal(2, #list)
    assert.equal("a.qn.test", list.canonical)
    assert.equal("a.qn.test", list[1].name)
    local steps = {}
    for i, record in ipairs(list.chain) do
      assert.equal("CNAME", record.type)
      steps[i] = record.name .. ">" .. record.target
    end
    assert.same({ "c1.qn.test>c2.qn.test", "c2.qn.test>c3.qn.test", "c3.qn.test>a.qn.test" }, steps)
  end)

  it("of mail and services", function()
    local _, mx = ask("qn.test", "MX")
    assert.same({ 10, "mail.qn.test" }, { mx[1].preference, mx[1].exchange })
    assert.same({ 20, "mail2.qn.test" }, { mx[2].preference, mx[2].exchange })
    local _, srv = ask("_http._tcp.qn.test", "SRV")
    assert.equal(3, #srv)
    assert.same({ 20, 0, 8082, "a.qn.test" },
      { srv[3].priority, srv[3].weight, srv[3].port, srv[3].target })
    assert.equal(".", ask("_nope._tcp.qn.test", "SRV").target)
  end)

  it("of text, with every byte as it is", function()
    local three = ask("txt.qn.test", "TXT")
    assert.same({ "one", "two", "three" }, three.strings)
    assert.equal("onetwothree", three.text)
    local bytes = ask("txt8.qn.test", "TXT")
    assert.same({ "\0\255\"quoted\\" }, bytes.strings)
    assert.equal("\0\255\"quoted\\", bytes.text)
  end)

  it("of the zone itself", function()
    local soa = ask("qn.test", "SOA")
    assert.same({ "ns.qn.test", "host.qn.test", 1, 3600, 600, 86400, 60 },
      { soa.mname, soa.rname, soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum })
  end)

  it("of certificates and authorities", function()
    local tlsa = ask("_443._tcp.a.qn.test", "TLSA")
    assert.same({ 3, 1, 1 }, { tlsa.usage, tlsa.selector, tlsa.matching })
    assert.equal(("\x01\x23\x45\x67\x89\xab\xcd\xef"):rep(4), tlsa.data)
    local _, caa = ask("qn.test", "CAA")
    table.sort(caa, function(x, y) return x.tag < y.tag end)
    assert.same({ 128, "iodef", "mailto:a@qn.test" }, { caa[1].flags, caa[1].tag, caa[1].value })
    assert.same({ 0, "issue", "ca.example" }, { caa[2].flags, caa[2].tag, caa[2].value })
  end)

  it("of naming authorities", function()
    local _, naptr = ask("sip.qn.test", "NAPTR")
    local r = naptr[2]
    assert.same({ 102, 10, "u", "E2U+sip", "!^.*$!sip:info@qn.test!", "." },
      { r.order, r.preference, r.flags, r.services, r.regexp, r.replacement })
    assert.equal("_sip._udp.qn.test", naptr[1].replacement)
  end)

  it("of service bindings", function()
    local svcb = ask("svc.qn.test", "SVCB")
    assert.same({ 1, "a.qn.test" }, { svcb.priority, svcb.target })
    assert.same({ alpn = { "h2", "h3" }, port = 8443, ipv4hint = { qn.address("127.0.0.2") } },
      svcb.params)
    local https = ask("qn.test", "HTTPS")
    assert.equal(".", https.target)
    assert.same({ alpn = { "h2" }, ipv6hint = { qn.address("::1") } }, https.params)
    local alias = ask("alias.qn.test", "HTTPS")
    assert.same({ 0, "svc.qn.test" }, { alias.priority, alias.target })
    assert.same({}, alias.params)
  end)

  it("of types that are not decoded are raw", function()
    local hinfo = ask("host.qn.test", "HINFO")
    assert.equal("HINFO", hinfo.type)
    assert.equal("\3CPU\2OS", hinfo.data)
    assert.equal("\3CPU\2OS", ask("host.qn.test", 13).data)
    assert.equal("URI", ask("uri.qn.test", "type256").type)
  end)

  it("of any type", function()
    local _, list = ask("qn.test", "ANY") -- knot gives what it likes (RFC 8482)
    assert.is_true(#list > 0)
    for _, record in ipairs(list) do
      assert.equal("qn.test", record.name)
      assert.is_true(core.dns_type(record.type) > 0)
    end
  end)

  it("that come over TCP, because they are too big", function()
    local _, many = ask("many.qn.test", "A")
    assert.equal(90, #many)
    assert.equal(12, #ask("big.qn.test", "TXT").strings)
  end)
end)

-- Replies that no server sends: a server of ours, one question, these records.
describe("parameters of SVCB", function()
  local function served(data)
    local server <close> = assert(qn.udp.bind("127.0.0.1", 0))
    local task = qn.spawn(function()
      local question, from = assert(server:recv())
      local name_end = question:find("\0", 13, true)
      local asked = question:sub(13, name_end + 4)
      from:reply(question:sub(1, 2) .. "\x84\0\0\1\0\1\0\0\0\0" .. asked .. "\xc0\x0c"
        .. string.pack(">I2I2I4s2", 64, 1, 60, data))
    end)
    local records, err = qn.dns.query("x.test", "SVCB",
      { server = "127.0.0.1:" .. server:local_port(), timeout = 5 })
    task:join()
    return records, err
  end

  local function param(key, value) return string.pack(">I2s2", key, value) end

  it("each known key, and one that is not", function()
    local records = assert(served("\0\1\0" .. param(0, "\0\1\0\3\2\155") .. param(1, "\2h2")
      .. param(2, "") .. param(3, "\1\187") .. param(5, "e\0h") .. param(7, "/q{?dns}")
      .. param(8, "") .. param(667, "\0\1")))
    assert.same({
      mandatory = { "alpn", "port", "key667" }, alpn = { "h2" }, no_default_alpn = true, port = 443,
      ech = "e\0h", dohpath = "/q{?dns}", ohttp = true, key667 = "\0\1",
    }, records[1].params)
    assert.equal('1 . mandatory=alpn,port,key667 alpn="h2" no-default-alpn port=443 ech=ZQBo '
      .. 'dohpath="/q{?dns}" ohttp key667="\\000\\001"', records[1]:short())
  end)

  it("that are malformed spoil the answer", function()
    local records, err = served("\0\1\0" .. param(3, "\1"))
    assert.is_nil(records)
    assert.equal("dns", err.kind)
    assert.equal("DNS_BAD_REPLY", err.code)
  end)
end)

describe("core.dns_type", function()
  it("knows names in any case, and numbers", function()
    assert.same({ 15, "MX" }, { core.dns_type("mx") })
    assert.same({ 65, "HTTPS" }, { core.dns_type("TYPE65") })
    assert.same({ 999, "TYPE999" }, { core.dns_type(999) })
    assert.same({ 1, "A" }, { core.dns_type(1.0) })
  end)

  it("says what is wrong with others", function()
    local cases = {
      ["TXTT"] = "unknown record type 'TXTT' (did you mean 'TXT'?)",
      ["completely wrong"] = "unknown record type 'completely wrong'",
      [""] = "unknown record type ''",
      [("x"):rep(100)] = "unknown record type '" .. ("x"):rep(100) .. "'",
      [0] = "a record type is an integer from 1 to 65535",
      [65536] = "a record type is an integer from 1 to 65535",
      [1.5] = "a record type is an integer from 1 to 65535",
      [true] = "name or number of a record type expected, got boolean",
    }
    for value, message in pairs(cases) do
      local number, text = core.dns_type(value)
      assert.is_nil(number)
      assert.equal(message, text)
    end
  end)
end)

describe("core.dns_order", function()
  local function targets(list)
    local out = {}
    for i, record in ipairs(list) do out[i] = record.target or record.exchange end
    return table.concat(out, " ")
  end

  it("orders MX by preference, equal ones by the numbers", function()
    local function list()
      return { { preference = 20, exchange = "c" }, { preference = 10, exchange = "a" },
        { preference = 10, exchange = "b" } }
    end
    local records = list()
    core.dns_order(records, "MX", { 1, 1, 1 })
    assert.equal("a b c", targets(records))
    records = list()
    core.dns_order(records, "MX", { 0, 0, 0 })
    assert.equal("b a c", targets(records))
  end)

  it("orders SRV by priority, then as the numbers say", function()
    local function list()
      return { { priority = 1, weight = 10, target = "a" }, { priority = 1, weight = 0, target = "z" },
        { priority = 1, weight = 30, target = "b" }, { priority = 0, weight = 0, target = "first" } }
    end
    local cases = { [{ 0, 0, 0, 0 }] = "first z", [{ 1, 0, 0, 0 }] = "first a", [{ 10, 0, 0, 0 }] = "first a",
      [{ 11, 0, 0, 0 }] = "first b", [{ 40, 0, 0, 0 }] = "first b", [{ 41, 0, 0, 0 }] = "first z",
      [{ -1, 0, 0, 0 }] = "first b" } -- numbers of 64 bits without a sign: (2^64 - 1) % 41 = 15
    for numbers, want in pairs(cases) do
      local records = list()
      core.dns_order(records, "SRV", numbers)
      assert.equal(want, targets(records):match("^%S+ %S+"), numbers[1])
      assert.equal(4, #records)
    end
  end)

  it("orders SVCB and HTTPS by priority, equal ones by the numbers", function()
    for _, type in ipairs { "SVCB", "HTTPS" } do
      local records = { { priority = 2, target = "c" }, { priority = 1, target = "a" }, { priority = 1, target = "b" } }
      core.dns_order(records, type, { 0, 0, 0 })
      assert.equal("b a c", targets(records))
    end
  end)

  it("keeps every record, by numbers of its own", function()
    local records, seen = {}, {}
    for i = 1, 50 do records[i] = { priority = i % 3, weight = i % 7, target = tostring(i) } end
    core.dns_order(records, "SRV")
    for i, record in ipairs(records) do
      seen[record.target] = true
      assert.is_true(i == 1 or records[i - 1].priority <= record.priority)
    end
    for i = 1, 50 do assert.is_true(seen[tostring(i)]) end
    core.dns_order({}, "MX")
    core.dns_order({ { preference = 1 } }, "MX")
  end)
end)
