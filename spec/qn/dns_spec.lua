-- qn.dns against real servers (unbound in front of knot, dnsmasq) and one that misbehaves: what is found, in
-- which order, how often servers are asked, what options do.

local qn = require "qn"
local dns = require "spec.support.dns"
local limits = require "spec.support.limits"
local program = require "spec.support.program"

local function texts(list)
  local out = {}
  for i, each in ipairs(list) do out[i] = tostring(each) end
  return out
end

local function sorted(list)
  table.sort(list)
  return list
end

local function scratch_file(folder, name, text)
  local path = folder .. "/" .. name
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

describe("qn.dns with unbound and knot", function()
  local knot, unbound, server
  setup(function()
    knot = dns.knot()
    unbound = dns.unbound(knot)
    server = { server = unbound.address }
  end)
  teardown(function()
    unbound:stop()
    knot:stop()
  end)

  it("finds both families, IPv6 first", function()
    local host = assert(qn.dns.lookup("both.qn.test", server))
    assert.same({ "::1", "127.0.0.1" }, texts(host.addresses))
    assert.equal("both.qn.test", host.name)
    assert.same({ "both.qn.test" }, host.names)
    assert.is_true(host.ttl > 0 and host.ttl <= 300)
    assert.equal(qn.address("::1"), host.addresses[1])
  end)

  it("finds one family when asked", function()
    for family, want in pairs { ipv4 = "127.0.0.1", ipv6 = "::1", any = "::1" } do
      local host = assert(qn.dns.lookup("both.qn.test", { server = unbound.address, family = family }))
      assert.equal(want, tostring(host.addresses[1]))
      assert.equal(family == "any" and 2 or 1, #host.addresses)
    end
    local host, err = qn.dns.lookup("a.qn.test", { server = unbound.address, family = "ipv6" })
    assert.is_nil(host)
    assert.equal("dns", err.kind)
  end)

  it("follows aliases to the canonical name", function()
    local host = assert(qn.dns.lookup("c1.qn.test", server))
    assert.equal("a.qn.test", host.name)
    assert.same({ "127.0.0.2", "127.0.0.3" }, sorted(texts(host.addresses)))
  end)

  it("finds names behind wildcards, with underscores, in any case", function()
    assert.equal("127.0.0.9", tostring(qn.dns.lookup("any.wild.qn.test", server).addresses[1]))
    assert.equal("127.0.0.7", tostring(qn.dns.lookup("under_score.qn.test", server).addresses[1]))
    assert.equal("127.0.0.4", tostring(qn.dns.lookup("MAIL.Qn.TEST", server).addresses[1]))
    assert.equal("127.0.0.4", tostring(qn.dns.lookup("mail.qn.test.", server).addresses[1]))
    assert.equal("127.0.0.4", tostring(qn.dns.query("mAiL.qn.test.", "a", server)[1].address))
  end)

  it("finds names in other scripts", function()
    for _, name in ipairs { "bücher.qn.test", "BÜCHER.qn.test", "bu\u{308}cher.qn.test",
      "xn--bcher-kva.qn.test", "bücher。qn.test" } do
      local host = assert(qn.dns.lookup(name, server))
      assert.equal("127.0.0.8", tostring(host.addresses[1]))
      assert.equal("xn--bcher-kva.qn.test", host.name)
      assert.equal("127.0.0.8", tostring(assert(qn.dns.query(name, "A", server))[1].address))
    end
  end)

  it("tells a name that does not exist from one without such records", function()
    for name, code in pairs { ["nowhere.qn.test"] = "HOST_NOT_FOUND", ["dangling.qn.test"] = "HOST_NOT_FOUND",
      ["a.qn.test"] = "NO_DATA", ["ent.qn.test"] = "NO_DATA" } do
      local records, err = qn.dns.query(name, "MX", server)
      assert.is_nil(records)
      assert.equal(code, err.code, name)
    end
  end)

  it("ends on circles and on servers that are gone", function()
    local _, err = qn.dns.query("loop1.qn.test", "A", server)
    assert.equal("dns", err.kind)
    _, err = qn.dns.lookup("loop1.qn.test", server)
    assert.equal("dns", err.kind)
    _, err = qn.dns.lookup("x.dead.test", server)
    assert.equal("DNS_SERVFAIL", err.code)
  end)

  it("gets answers that are too big for a datagram", function()
    assert.equal(90, #assert(qn.dns.query("many.qn.test", "A", server)))
    assert.equal(64, #assert(qn.dns.lookup("many.qn.test", server)).addresses) -- the limit of a look-up
  end)

  it("looks literals up the other way round", function()
    local host = assert(qn.dns.lookup("127.0.0.2", server))
    assert.same({ "127.0.0.2" }, texts(host.addresses))
    assert.same({ "a.qn.test", "a2.qn.test" }, sorted(table.move(host.names, 1, #host.names, 1, {})))
    assert.equal(host.names[1], host.name)
    host = assert(qn.dns.lookup(qn.address("127.0.0.77"), server))
    assert.equal("127.0.0.77", host.name)
    assert.same({ "127.0.0.77" }, host.names)
    for _, old in ipairs { "127.77", "0x7f00004d", "2130706509", "0177.0.0.77" } do -- as the system does
      host = assert(qn.dns.lookup(old, server))
      assert.same({ "127.0.0.77", "127.0.0.77" }, { host.name, tostring(host.addresses[1]) })
    end
    assert(qn.dns.lookup("127.77", { server = server.server, family = "ipv6" })) -- it never fails
    assert.same({ "a.qn.test", "a2.qn.test" }, sorted(assert(qn.dns.reverse("127.0.0.2", server))))
    local names, err = qn.dns.reverse("127.0.0.77", server)
    assert.is_nil(names)
    assert.equal("HOST_NOT_FOUND", err.code)
  end)

  it("takes several servers in order", function()
    local dead = "127.0.0.1:" .. dns.free_port()
    local host = assert(qn.dns.lookup("mail.qn.test",
      { server = { dead, unbound.address }, timeout = 60 }))
    assert.equal("127.0.0.4", tostring(host.addresses[1]))
    local _, err = qn.dns.lookup("mail.qn.test", { server = dead, timeout = 60 })
    assert.equal("dns", err.kind)
    assert.equal("DNS_UNREACHABLE", err.code)
  end)

  it("orders equal services by the numbers it is given", function()
    -- two of priority 10: 60 and 20; in which order they came decides what a number means
    local first = {}
    for number = 0, 80, 20 do
      local drawn = 0
      local records = assert(qn.dns.query("_http._tcp.qn.test", "SRV", { server = unbound.address,
        random = function(n)
          assert.equal(0, n)
          drawn = drawn + 1
          return number
        end }))
      first[records[1].port] = (first[records[1].port] or 0) + 1
      assert.equal(8082, records[3].port)
      assert.is_true(drawn >= 1)
    end
    -- 60 of 80 first: 0 20 40 60 | 80; 20 of 80 first: 0 20 | 40 60 80
    assert.is_true(first[8080] == 4 and first[8081] == 1 or first[8080] == 3 and first[8081] == 2)
  end)

  it("throws when the numbers are none", function()
    local resolver <close> = assert(qn.dns.resolver {
      servers = unbound.address, random = function() return 1.5 end })
    local ok, err = pcall(resolver.query, resolver, "_http._tcp.qn.test", "SRV")
    assert.is_false(ok)
    assert.truthy(tostring(err):find("'random' must return an integer", 1, true))
    assert.equal(90, #assert(resolver:query("many.qn.test", "A"))) -- no order: no numbers
  end)
end)

describe("qn.dns counts questions", function()
  local fault
  setup(function() fault = dns.fault() end)
  teardown(function() fault:stop() end)
  before_each(function() fault:reset_counts() end)

  -- Asks again only who never gets an answer.
  local function patient(opts)
    opts = opts or {}
    opts.servers, opts.timeout = fault.address, 30
    return opts
  end

  it("asks once for many who ask the same", function()
    local resolver <close> = assert(qn.dns.resolver(patient()))
    local results = qn.map({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, function()
      return resolver:lookup("slow-50.test")
    end, { limit = 10 })
    assert.equal(10, #results)
    assert.equal("127.0.0.2", tostring(results[10].addresses[1]))
    local counts = fault:counts("slow-50.test")
    assert.same({ 1, 1 }, { counts.A, counts.AAAA })
    assert.equal(2, fault:counts().total)
  end)

  it("asks once for calls with the same servers", function()
    qn.map({ 1, 2, 3, 4 }, function()
      return qn.dns.query("slow-50.test", "A", { server = fault.address })
    end, { limit = 4 })
    assert.equal(1, fault:counts().total)
  end)

  it("goes on asking for the others when one of them is cancelled", function()
    local resolver <close> = assert(qn.dns.resolver(patient()))
    local first = qn.spawn(function() return resolver:query("slow-50.test", "A") end)
    local second = qn.spawn(function() return resolver:query("SLOW-50.test", "A") end)
    qn.yield()
    first:cancel()
    local _, records = second:join()
    assert.equal("127.0.0.2", tostring(records[1].address))
    first:join()
    assert.equal(1, fault:counts().total)
  end)

  it("keeps answers for their time", function()
    local resolver <close> = assert(qn.dns.resolver(patient()))
    assert(resolver:query("ttl-60.test", "A"))
    local again = assert(resolver:query("TTL-60.test", "A"))
    assert.is_true(again[1].ttl <= 60)
    assert(resolver:lookup("ttl-60.test", { family = "ipv4" }))
    assert.equal(1, fault:counts("ttl-60.test").total)
    resolver:clear_cache()
    assert(resolver:query("ttl-60.test", "A"))
    assert.equal(2, fault:counts("ttl-60.test").total)
    assert(resolver:query("ttl-0.test", "A"))
    assert(resolver:query("ttl-0.test", "A"))
    assert.equal(2, fault:counts("ttl-0.test").total)
  end)

  it("keeps that there is nothing", function()
    local resolver <close> = assert(qn.dns.resolver(patient()))
    for name, code in pairs { ["nxsoa-60.test"] = "HOST_NOT_FOUND", ["nodata-60.test"] = "NO_DATA" } do
      for _ = 1, 3 do
        local _, err = resolver:query(name, "A")
        assert.equal(code, err.code)
      end
      assert.equal(1, fault:counts(name).total)
    end
    for _ = 1, 2 do resolver:query("nx.test", "A") end -- no SOA: nothing says for how long
    assert.equal(2, fault:counts("nx.test").total)
  end)

  it("keeps nothing when told so, and no more than told", function()
    local none <close> = assert(qn.dns.resolver(patient { cache = false }))
    assert(none:query("ttl-60.test", "A"))
    assert(none:query("ttl-60.test", "A"))
    assert.equal(2, fault:counts("ttl-60.test").total)
    local one <close> = assert(qn.dns.resolver(patient { cache = 1 }))
    for _ = 1, 2 do
      assert(one:query("ttl-61.test", "A"))
      assert(one:query("ttl-62.test", "A"))
    end
    assert.equal(2, fault:counts("ttl-61.test").total)
  end)

  it("forgets servers that fail at once, not their answers", function()
    local resolver <close> = assert(qn.dns.resolver(patient { tries = 1 }))
    local _, err = resolver:query("tempfail.test", "A")
    assert.equal("DNS_SERVFAIL", err.code)
    assert(resolver:query("tempfail.test", "A"))
  end)

  it("asks again when no answer comes", function()
    assert(limits.growing(0.05, function(limit) -- in which the server has to answer
      fault:reset_counts()
      local resolver <close> = assert(qn.dns.resolver { servers = fault.address, timeout = limit, tries = 3 })
      return resolver:query("flaky-2.test", "A")
    end))
    assert.equal(3, fault:counts("flaky-2.test").total)
    local resolver <close> = assert(qn.dns.resolver { servers = fault.address, timeout = 0.05, tries = 3 })
    local _, err = resolver:query("drop.test", "A")
    assert.equal("timeout", err.kind)
    assert.equal("dns", err.phase)
    program.until_true("all three", function() return fault:counts("drop.test").total >= 3 end)
    assert.equal(3, fault:counts("drop.test").total)
  end)

  it("believes no answer to another question", function()
    local resolver <close> = assert(qn.dns.resolver { servers = fault.address, timeout = 0.1, tries = 1 })
    for _, name in ipairs { "wrongid", "wrongq", "wrongtype", "wrongclass", "othersource", "otherport" } do
      local records = resolver:query(name .. ".test", "A")
      assert.is_nil(records, name)
    end
    local other <close> = assert(qn.dns.resolver(patient()))
    for _, name in ipairs { "spoof", "poison", "case", "twice" } do
      local records = assert(other:query(name .. ".test", "A"))
      assert.equal("127.0.0.2", tostring(records[1].address), name)
    end
    assert.is_nil((other:query("victim.test", "MX"))) -- and has kept nothing of what it did not ask
  end)

  it("refuses replies that are no replies", function()
    local resolver <close> = assert(qn.dns.resolver { servers = fault.address, timeout = 0.1, tries = 1 })
    for _, name in ipairs { "short", "cut", "garbage", "ptrloop", "ptrforward", "badrdlen", "badlen", "count",
      "loop", "header", "zero" } do
      local records, err = resolver:query(name .. ".test", "A")
      assert.is_nil(records, name)
      assert.is_true(err.kind == "dns" or err.kind == "timeout", name)
    end
  end)

  it("comes by the whole answer over TCP", function()
    local resolver <close> = assert(qn.dns.resolver { servers = fault.address })
    for _, name in ipairs { "trunc", "split", "trunclie" } do
      assert.equal("127.0.0.2", tostring(assert(resolver:query(name .. ".test", "A"))[1].address))
    end
    assert.equal(400, #assert(resolver:query("manytrunc.test", "A")))
    local records = assert(resolver:query("huge.test", "TXT"))
    assert.equal(240, #records)
    assert.equal(("x"):rep(255), records[240].text)
  end)

  it("comes although another is stuck on its connection", function()
    local resolver <close> = assert(qn.dns.resolver(patient()))
    local _, err = resolver:query("trunctcpdrop.test", "A", { timeout = 0.4 })
    assert.equal("timeout", err.kind)
    assert.equal(400, #assert(resolver:query("manytrunc.test", "A", { timeout = 20 })))
  end)

  it("looks up a thousand names at once", function()
    local resolver <close> = assert(qn.dns.resolver(patient()))
    local names = {}
    for i = 1, 1000 do names[i] = "n" .. i .. ".test" end
    local hosts, errors = qn.map(names, function(name)
      return assert(resolver:lookup(name, { family = "ipv4", timeout = 200 })).name
    end, { limit = 1000 })
    local _, err = next(errors or {})
    assert.is_nil(err, tostring(err))
    assert.same(names, hosts)
  end)
end)

describe("a resolver's files", function()
  local fault, folder
  setup(function()
    fault = dns.fault()
    folder = program.scratch()
  end)
  teardown(function()
    fault:stop()
    program.remove(folder)
  end)
  before_each(function() fault:reset_counts() end)

  it("hosts file before DNS", function()
    local hosts = scratch_file(folder, "hosts",
      "10.1.2.3 box.test alias.test\nfe80::1 box.test\n10.1.2.4 other\n")
    local resolver <close> = assert(qn.dns.resolver { servers = fault.address, hosts = hosts })
    local host = assert(resolver:lookup("box.test"))
    assert.same({ "10.1.2.3", "fe80::1" }, sorted(texts(host.addresses)))
    assert.equal("box.test", assert(resolver:lookup("ALIAS.test")).name)
    assert.same({ "box.test", "alias.test" }, assert(resolver:reverse("10.1.2.3")))
    assert.equal("other", assert(resolver:lookup("10.1.2.4")).name)
    assert.equal(0, fault:counts().total)
    assert.equal("127.0.0.2", tostring(assert(resolver:lookup("v4only.test")).addresses[1]))
    local records = assert(resolver:query("box.test", "A")) -- the DNS, whatever the file says
    assert.equal("127.0.0.2", tostring(records[1].address))
    local without <close> = assert(qn.dns.resolver { servers = fault.address, hosts = false })
    assert.equal("127.0.0.2", tostring(assert(without:lookup("box.test", { family = "ipv4" })).addresses[1]))
  end)

  it("hosts file is read again when it has changed", function()
    local hosts = scratch_file(folder, "changing", "10.0.0.1 a.here\n")
    local resolver <close> = assert(qn.dns.resolver { servers = fault.address, hosts = hosts })
    assert.equal("10.0.0.1", tostring(assert(resolver:lookup("a.here")).addresses[1]))
    scratch_file(folder, "changing", "10.0.0.22 a.here\n")
    program.until_true("the change to be seen", function()
      return tostring(assert(resolver:lookup("a.here")).addresses[1]) == "10.0.0.22"
    end)
  end)

  it("search list", function()
    local resolver <close> = assert(qn.dns.resolver {
      servers = fault.address, search = { "nx.test", "v4only.test" }, hosts = false, ndots = 2 })
    -- the first label decides: nx.nx.test does not exist, and nothing of that name does
    local host, err = resolver:lookup("nx")
    assert.is_nil(host)
    assert.equal("HOST_NOT_FOUND", err.code)
    local asked = {}
    for _, question in ipairs(fault:log()) do asked[question.name] = true end
    assert.is_true(asked["nx.nx.test"] and asked["nx.v4only.test"] and asked["nx"])
    assert.equal("v4only.nx.test", assert(resolver:lookup("v4only")).name)
    fault:reset_counts()
    assert(resolver:query("v4only.plain", "A")) -- no search list for questions
    assert.equal(1, fault:counts().total)
    local none <close> = assert(qn.dns.resolver { servers = fault.address, search = false, hosts = false })
    assert.equal("v4only", assert(none:lookup("v4only")).name)
    host = assert(qn.dns.lookup("v4only", { server = fault.address, search = "dom.test" }))
    assert.equal("v4only.dom.test", host.name)
    host = assert(qn.dns.lookup("v4only", { server = fault.address }))
    assert.equal("v4only", host.name)
  end)

  it("resolv.conf and nsswitch.conf", function()
    local resolv = scratch_file(folder, "resolv.conf", "nameserver 192.0.2.1\nnameserver ::1\n")
    local resolver <close> = assert(qn.dns.resolver { resolv_conf = resolv, nsswitch = false })
    assert.same({ "192.0.2.1:53", "[::1]:53" }, resolver:servers())
    local nsswitch = scratch_file(folder, "nsswitch.conf", "hosts: files\n")
    local hosts = scratch_file(folder, "only", "10.9.9.9 only.here\n")
    local files <close> = assert(qn.dns.resolver { nsswitch = nsswitch, hosts = hosts, resolv_conf = resolv })
    assert.equal("10.9.9.9", tostring(assert(files:lookup("only.here")).addresses[1]))
    local _, err = files:lookup("nowhere.here", { timeout = 5 })
    assert.equal("HOST_NOT_FOUND", err.code)
  end)

  it("servers are shown as they were given", function()
    local resolver <close> = assert(qn.dns.resolver { servers = { "127.0.0.1", "[::1]:5353" } })
    assert.same({ "127.0.0.1", "[::1]:5353" }, resolver:servers())
    resolver:servers()[1] = "changed"
    assert.same({ "127.0.0.1", "[::1]:5353" }, resolver:servers())
    local by_address <close> = assert(qn.dns.resolver { servers = qn.address("127.0.0.1") })
    assert.same({ "127.0.0.1" }, by_address:servers())
    local default <close> = assert(qn.dns.resolver())
    assert.is_true(#default:servers() > 0)
  end)
end)

describe("qn.dns with dnsmasq", function()
  it("finds its records", function()
    local dnsmasq <close> = dns.dnsmasq { "address=/box.test/10.0.0.1", "txt-record=t.test,one,two",
      "mx-host=m.test,mail.test,5", "srv-host=_x._tcp.test,s.test,99,1,2", "ptr-record=1.0.0.10.in-addr.arpa,box.test",
      "caa-record=c.test,0,issue,ca.test" }
    local resolver <close> = assert(qn.dns.resolver { servers = dnsmasq.address })
    assert.equal("10.0.0.1", tostring(assert(resolver:lookup("box.test")).addresses[1]))
    assert.same({ "one", "two" }, assert(resolver:query("t.test", "TXT"))[1].strings)
    assert.equal("5 mail.test.", assert(resolver:query("m.test", "MX"))[1]:short())
    assert.equal("1 2 99 s.test.", assert(resolver:query("_x._tcp.test", "SRV"))[1]:short())
    assert.same({ "box.test" }, assert(resolver:reverse("10.0.0.1")))
    assert.equal('0 issue "ca.test"', assert(resolver:query("c.test", "CAA"))[1]:short())
  end)
end)

describe("the resolver of the option 'server'", function()
  it("keeps its answers while the collector works, and is no leak", function()
    local fault <close> = dns.fault()
    local objects = qn.stats().objects
    for _ = 1, 3 do
      assert(qn.dns.lookup("ttl-60.test", { server = fault.address, family = "ipv4" }))
      collectgarbage()
      collectgarbage()
    end
    assert.equal(objects, qn.stats().objects)
    assert.equal(1, fault:counts().total)
    for i = 1, 20 do -- others take its place
      assert(qn.dns.lookup("localhost", { server = fault.address, search = "s" .. i .. ".test" }))
    end
    assert(qn.dns.lookup("ttl-60.test", { server = fault.address, family = "ipv4" }))
  end)
end)

describe("success", function()
  it("is one value", function()
    local fault <close> = dns.fault()
    local server = { server = fault.address }
    local function one(...)
      assert.equal(1, select("#", ...))
      return assert((...))
    end
    local resolver <close> = one(qn.dns.resolver { servers = fault.address })
    one(qn.dns.lookup("localhost"))
    one(qn.dns.lookup("127.0.0.1", server))
    one(qn.dns.reverse("127.0.0.1"))
    one(qn.dns.query("a.test", "A", server))
    one(resolver:lookup("a.test", { family = "ipv4" }))
    one(resolver:query("a.test", "A"))
    one(resolver:reverse("127.0.0.1"))
  end)
end)

describe("the machine", function()
  it("has a name, and perhaps a domain", function()
    local pipe <close> = assert(io.popen("uname -n"))
    assert.equal(pipe:read("l"), qn.host_name())
    assert.is_string(qn.domain_name())
    assert.equal(qn.dns.host_name(), qn.host_name())
    assert.equal(qn.dns.domain_name(), qn.domain_name())
  end)

  it("knows localhost and itself without a server", function()
    for _, name in ipairs { "localhost", "LOCALHOST", "localhost.", "a.localhost" } do
      local host = assert(qn.dns.lookup(name, { timeout = 5 }))
      assert.is_true(host.addresses[1].is_loopback, name)
    end
    assert.equal("localhost", assert(qn.dns.lookup("127.0.0.1", { timeout = 5 })).name)
  end)
end)
