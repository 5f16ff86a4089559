-- The DNS servers that the specs of the resolver rely on: each starts without anybody's help, answers,
-- counts and misbehaves as promised, and leaves nothing behind. Nothing of the resolver is used.
local qn = require "qn"
local dns = require "spec.support.dns"

local function wire_of(reply)
  return (reply:gsub("[^%w%-]", "."))
end

describe("the authoritative server", function()
  local knot
  setup(function() knot = dns.knot { ["extra.test"] = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\n" } end)
  teardown(function() knot:stop() end)

  for type in pairs { A = 1, AAAA = 1, MX = 1, NS = 1, SOA = 1, TXT = 1, CAA = 1, HTTPS = 1 } do
    it("has " .. type .. " records", function()
      local code, answers = dns.status(assert(dns.ask(knot, "qn.test", type)))
      assert.equal(0, code)
      assert.is_true(answers >= 1)
    end)
  end

  local names = {
    ["c1.qn.test"] = "A", ["x.wild.qn.test"] = "A", ["_http._tcp.qn.test"] = "SRV",
    ["_443._tcp.a.qn.test"] = "TLSA", ["sip.qn.test"] = "NAPTR", ["svc.qn.test"] = "SVCB",
    ["svcall.qn.test"] = "SVCB", ["xn--bcher-kva.qn.test"] = "A", ["1.0.0.127.in-addr.arpa"] = "PTR",
    ["1" .. ("." .. "0"):rep(31) .. ".ip6.arpa"] = "PTR", ["p1.qn.test"] = "A",
    ["x.dname.qn.test"] = "A", ["loop1.qn.test"] = "A", ["nullmx.qn.test"] = "MX",
    ["extra.test"] = "SOA",
  }
  for name, type in pairs(names) do
    it("answers for " .. name, function()
      local code, answers = dns.status(assert(dns.ask(knot, name, type)))
      assert.equal(0, code)
      assert.is_true(answers >= 1)
    end)
  end

  it("knows what is not there", function()
    assert.equal(3, (dns.status(assert(dns.ask(knot, "no-such.qn.test", "A")))))
    local code, answers = dns.status(assert(dns.ask(knot, "textonly.qn.test", "A")))
    assert.same({ 0, 0 }, { code, answers })
    assert.equal(5, (dns.status(assert(dns.ask(knot, "example.org", "A")))))
  end)

  it("has answers that are too big for a datagram", function()
    assert.is_true(#assert(dns.ask(knot, "big.qn.test", "TXT")) > 1232)
    assert.is_true(#assert(dns.ask(knot, "many.qn.test", "A")) > 1232)
  end)
end)

describe("the recursive server", function()
  it("asks the authoritative one, and nobody else", function()
    local knot <close> = dns.knot()
    local unbound <close> = dns.unbound(knot)
    local code, answers = dns.status(assert(dns.ask(unbound, "c1.qn.test", "A")))
    assert.same({ 0, 5 }, { code, answers })
    assert.equal(3, (dns.status(assert(dns.ask(unbound, "no-such.qn.test", "A")))))
    assert.equal(0, (dns.status(assert(dns.ask(unbound, "1.0.0.127.in-addr.arpa", "PTR")))))
    assert.equal(2, (dns.status(assert(dns.ask(unbound, "dead.test", "A")))))
    assert.equal(2, (dns.status(assert(dns.ask(unbound, "example.org", "A")))))
  end)
end)

describe("the small server", function()
  it("serves lines of its configuration", function()
    local dnsmasq <close> = dns.dnsmasq { "address=/box.test/127.0.0.77", "txt-record=t.test,hello" }
    assert.matches("\127\0\0\77", assert(dns.ask(dnsmasq, "any.box.test", "A")), 1, true)
    assert.matches("hello", assert(dns.ask(dnsmasq, "t.test", "TXT")), 1, true)
  end)
end)

describe("the misbehaving server", function()
  local fault
  setup(function() fault = dns.fault() end)
  before_each(function() fault:reset_counts() end)
  teardown(function() fault:stop() end)

  local codes = { servfail = 2, refused = 5, formerr = 1, notimp = 4, nx = 3, nxsoa = 3, nodata = 0 }
  for name, code in pairs(codes) do
    it("answers with the code of " .. name, function()
      local got, answers = dns.status(assert(dns.ask(fault, name .. ".test", "A")))
      assert.same({ code, 0 }, { got, answers })
    end)
  end

  it("answers any other name", function()
    assert.matches("\127\0\0\2", assert(dns.ask(fault, "whatever.test", "A")), 1, true)
    assert.matches("\0\0\2", assert(dns.ask(fault, "whatever.test", "AAAA")), 1, true)
  end)

  it("counts questions, all and by name", function()
    dns.ask(fault, "servfail.test", "A")
    dns.ask(fault, "ServFail.test", "AAAA")
    dns.ask(fault, "other.test", "A")
    assert.same({ total = 3, tcp = 3, A = 2, AAAA = 1 }, fault:counts())
    assert.same({ total = 2, tcp = 2, A = 1, AAAA = 1 }, fault:counts("servfail.test"))
    assert.same({ total = 0 }, fault:counts("nobody.test"))
  end)

  it("shows each question", function()
    dns.ask(fault, "shown.test", "MX")
    local log = fault:log()
    local last = log[#log]
    assert.same({ "tcp", "MX", "shown.test", 4711, nil, 0x100 },
      { last.over, last.type, last.name, last.id, last.edns, last.flags })
  end)

  it("takes numbers", function()
    local _, answers = dns.status(assert(dns.ask(fault, "chain-7.test", "A")))
    assert.equal(8, answers)
    assert.matches("\0\0\0\99\0\4", assert(dns.ask(fault, "ttl-99.test", "A")), 1, true)
  end)

  it("fails the first times only", function()
    assert.equal(2, (dns.status(assert(dns.ask(fault, "tempfail-2.test", "A")))))
    assert.equal(2, (dns.status(assert(dns.ask(fault, "tempfail-2.test", "A")))))
    assert.equal(0, (dns.status(assert(dns.ask(fault, "tempfail-2.test", "A")))))
  end)

  it("closes where it does not answer", function()
    assert.is_nil((dns.ask(fault, "drop.test", "A")))
  end)

  it("splits and cuts what it sends over TCP", function()
    assert.matches("\127\0\0\2", assert(dns.ask(fault, "split.test", "A")), 1, true)
    assert.is_nil((dns.ask(fault, "trunctcpcut.test", "A")))
  end)

  it("changes the question", function()
    assert.matches("CASE.TEST", wire_of(assert(dns.ask(fault, "case.test", "A"))), 1, true)
    assert.not_matches("wrongq", assert(dns.ask(fault, "wrongq.test", "A")), 1, true)
    assert.equal(4712, (string.unpack(">I2", assert(dns.ask(fault, "wrongid.test", "A")))))
  end)

  it("may always do the same", function()
    local other <close> = dns.fault { always = "refused" }
    assert.equal(5, (dns.status(assert(dns.ask(other, "whatever.test", "A")))))
  end)

  it("listens on IPv6, too", function()
    local other <close> = dns.fault { host = "::1" }
    assert.equal("[::1]:" .. other.port, other.address)
    assert.equal(0, (dns.status(assert(dns.ask(other, "whatever.test", "A")))))
  end)
end)

describe("a server", function()
  it("is gone after its end, with its files", function()
    local server = dns.fault()
    local port, folder = server.port, server.folder
    server:stop()
    server:stop()
    assert.is_nil((qn.tcp.connect("127.0.0.1", port)))
    assert.is_nil((io.open(folder)))
  end)
end)
