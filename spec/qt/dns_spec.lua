-- The rows HI-*, DNS-01 to DNS-04, Q5-15 and WEAK-30 of the Qt coverage (QHostInfo, QDnsLookup), one spec per
-- row; docs/qt-coverage.md names them.

local qn = require "qn"
local dns = require "spec.support.dns"

local function texts(list)
  local out = {}
  for i, each in ipairs(list) do out[i] = tostring(each) end
  table.sort(out)
  return out
end

describe("QHostInfo and QDnsLookup", function()
  local knot, fault
  setup(function()
    knot = dns.knot()
    fault = dns.fault()
  end)
  teardown(function()
    knot:stop()
    fault:stop()
  end)
  before_each(function() fault:reset_counts() end)

  it("HI-01 a look-up in the background gives its result once, also when it fails", function()
    local results = {}
    local function take(...) results[#results + 1] = { ... } end
    local one = qn.spawn(function() take(qn.dns.lookup("a.qn.test", { server = knot.address })) end)
    local two = qn.spawn(function() take(qn.dns.lookup("no.qn.test", { server = knot.address })) end)
    assert.equal(0, #results)
    assert.are_not.equal(one, two) -- the task is the id
    one:join()
    two:join()
    assert.equal(2, #results)
    table.sort(results, function(a, b) return a[1] ~= nil and b[1] == nil end)
    assert.same({ "127.0.0.2", "127.0.0.3" }, texts(results[1][1].addresses))
    assert.equal("HOST_NOT_FOUND", results[2][2].code)
  end)

  it("HI-02 a look-up that is aborted gives nothing", function()
    local called = false
    local task = qn.spawn(function()
      qn.dns.lookup("drop.test", { server = fault.address })
      called = true
    end)
    qn.yield()
    task:cancel()
    local _, err = task:join()
    assert.is_true(qn.is_cancelled(err))
    assert.is_false(called)
  end)

  it("HI-03 a call that waits for the result", function()
    local host = assert(qn.dns.lookup("both.qn.test", { server = knot.address }))
    assert.same({ "127.0.0.1", "::1" }, texts(host.addresses))
  end)

  it("HI-04 fields", function()
    local host = assert(qn.dns.lookup("c1.qn.test", { server = knot.address }))
    assert.equal("a.qn.test", host.name)
    assert.equal(2, #host.addresses)
    assert.is_true(qn.address("127.0.0.2") == host.addresses[1] or qn.address("127.0.0.2") == host.addresses[2])
    assert.is_true(host.ttl > 0)
    assert.has_error(function() host.name = "x" end)
    local _, err = qn.dns.lookup("no.qn.test", { server = knot.address })
    assert.equal("host not found", err.message)
    assert.equal("no.qn.test", err.peer)
  end)

  it("HI-05 errors have codes and words", function()
    local function failure(name, opts) return (select(2, qn.dns.lookup(name, opts))) end
    local err = failure("")
    assert.same({ "invalid", "INVALID_HOST", "no host name given" }, { err.kind, err.code, err.message })
    err = failure("a b")
    assert.same({ "invalid", "INVALID_HOST" }, { err.kind, err.code })
    err = failure("nx.test", { server = fault.address })
    assert.same({ "dns", "HOST_NOT_FOUND" }, { err.kind, err.code })
    err = failure("servfail.test", { server = fault.address })
    assert.same({ "dns", "DNS_SERVFAIL" }, { err.kind, err.code })
    err = failure("drop.test", { server = fault.address, timeout = 0.02 })
    assert.same({ "timeout", "TIMEOUT", "dns" }, { err.kind, err.code, err.phase })
  end)

  it("HI-06 a literal is looked up the other way round", function()
    local host = assert(qn.dns.lookup("127.0.0.2", { server = knot.address }))
    assert.is_true(host.name == "a.qn.test" or host.name == "a2.qn.test")
    assert.same({ "127.0.0.2" }, texts(host.addresses))
    host = assert(qn.dns.lookup("127.0.0.99", { server = knot.address }))
    assert.equal("127.0.0.99", host.name)
    assert.same({ "127.0.0.99" }, texts(host.addresses))
    assert.same({ "a.qn.test", "a2.qn.test" }, texts(assert(qn.dns.reverse("127.0.0.2", { server = knot.address }))))
  end)

  it("HI-07 names in other scripts", function()
    local host = assert(qn.dns.lookup("Bücher.qn.test", { server = knot.address }))
    assert.equal("127.0.0.8", tostring(host.addresses[1]))
    local _, err = qn.dns.lookup("a\u{2e}\u{200d}b\u{e4}.test", { server = knot.address })
    assert.equal("INVALID_HOST", err.code)
  end)

  it("HI-08 equal look-ups are one, results are kept", function()
    local resolver <close> = assert(qn.dns.resolver { servers = fault.address, timeout = 30 })
    qn.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function()
      assert(resolver:lookup("slow-30.test", { family = "ipv4" }))
    end, { limit = 8 })
    assert.equal(1, fault:counts("slow-30.test").total)
    assert(resolver:lookup("ttl-100.test"))
    local asked = fault:counts("ttl-100.test").total
    assert(resolver:lookup("TTL-100.test"))
    assert.equal(asked, fault:counts("ttl-100.test").total)
  end)

  it("HI-09 the machine's own name and domain", function()
    assert.is_true(#qn.host_name() > 0)
    assert.is_string(qn.domain_name())
  end)

  it("HI-10 both families; what fails for one does not hide the other", function()
    for name, want in pairs { ["afail.test"] = { "::2" }, ["aaaafail.test"] = { "127.0.0.2" },
      ["both-of-them.test"] = { "127.0.0.2", "::2" } } do
      local host = assert(qn.dns.lookup(name, { server = fault.address }))
      assert.same(want, texts(host.addresses))
    end
  end)

  it("Q5-15 any function may take the result", function()
    local channel = qn.channel(1)
    qn.spawn(function() channel:send(assert(qn.dns.lookup("mail.qn.test", { server = knot.address }))) end)
    assert.equal("127.0.0.4", tostring(channel:recv(10).addresses[1]))
  end)

  it("DNS-01 a question with a type, a server and a port; it can be aborted", function()
    local records = assert(qn.dns.query("qn.test", "MX", { server = "127.0.0.1:" .. knot.port }))
    assert.equal(2, #records)
    local task = qn.spawn(function() return qn.dns.query("drop.test", "MX", { server = fault.address }) end)
    qn.yield()
    assert.equal("waiting", task:status())
    task:cancel()
    assert.is_true(qn.is_cancelled(select(2, task:join())))
    assert.equal("cancelled", task:status())
  end)

  it("DNS-02 types by name and by number", function()
    local numbers = { A = 1, NS = 2, CNAME = 5, PTR = 12, MX = 15, TXT = 16, AAAA = 28, SRV = 33, TLSA = 52,
      ANY = 255 }
    local owners = { CNAME = "c1.qn.test", PTR = "1.0.0.127.in-addr.arpa", SRV = "_http._tcp.qn.test",
      TLSA = "_443._tcp.a.qn.test" }
    for name, number in pairs(numbers) do
      local owner = owners[name] or "qn.test"
      local by_name = assert(qn.dns.query(owner, name, { server = knot.address }))
      local by_number = assert(qn.dns.query(owner, number, { server = knot.address }))
      assert.is_true(name == "ANY" or by_name[1].type == name)
      assert.equal(#by_name, #by_number)
    end
  end)

  it("DNS-03 errors", function()
    local codes = { ["servfail.test"] = "DNS_SERVFAIL", ["refused.test"] = "DNS_REFUSED", ["nx.test"] = "HOST_NOT_FOUND",
      ["nodata.test"] = "NO_DATA", ["loop.test"] = "DNS_BAD_REPLY", ["drop.test"] = "TIMEOUT" }
    for name, code in pairs(codes) do
      local _, err = qn.dns.query(name, "A", { server = fault.address, timeout = code == "TIMEOUT" and 0.02 or 60 })
      assert.equal(code, err.code, name)
    end
    local _, err = qn.dns.query("a..b", "A", { server = fault.address })
    assert.equal("INVALID_HOST", err.code)
  end)

  it("DNS-04 records have name, ttl and values; MX and SRV are in order", function()
    local opts = { server = knot.address }
    local mx = assert(qn.dns.query("qn.test", "MX", opts))
    assert.same({ "qn.test", 10, "mail.qn.test", 20 },
      { mx[1].name, mx[1].preference, mx[1].exchange, mx[2].preference })
    assert.is_true(mx[1].ttl <= 300 and mx[1].ttl > 100) -- what is left of it
    local srv = assert(qn.dns.query("_http._tcp.qn.test", "SRV", opts))
    assert.same({ 10, 10, 20 }, { srv[1].priority, srv[2].priority, srv[3].priority })
    assert.same({ 8080, 8081 }, { math.min(srv[1].port, srv[2].port), math.max(srv[1].port, srv[2].port) })
    assert.same({ "one", "two", "three" }, assert(qn.dns.query("txt.qn.test", "TXT", opts))[1].strings)
    assert.equal(3, assert(qn.dns.query("_443._tcp.a.qn.test", "TLSA", opts))[1].usage)
    -- weights 60 and 20: over many look-ups about three of four choose the first
    local chosen = { [8080] = 0, [8081] = 0 }
    for _ = 1, 400 do
      local port = assert(qn.dns.query("_http._tcp.qn.test", "SRV", opts))[1].port
      chosen[port] = chosen[port] + 1
    end
    assert.is_true(chosen[8080] > 240 and chosen[8080] < 360, chosen[8080])
  end)

  it("WEAK-30 slow look-ups hold up nobody, answers live as long as their TTL, every look-up has its limit", function()
    local resolver <close> = assert(qn.dns.resolver { servers = fault.address, timeout = 60 })
    local slow = {}
    for i = 1, 50 do
      slow[i] = qn.spawn(function() return resolver:lookup("drop.x" .. i .. ".test", { timeout = 60 }) end)
    end
    assert(resolver:lookup("quick.test", { timeout = 20 })) -- while fifty others wait
    for _, task in ipairs(slow) do
      assert.equal("waiting", task:status())
      task:cancel()
    end
    for _, task in ipairs(slow) do task:join() end
    local _, err = resolver:lookup("drop.test", { timeout = 0.02 })
    assert.equal("dns", err.phase)
    assert.equal(0, qn.stats().orphans)
  end)
end)
