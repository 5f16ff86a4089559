-- Connecting to hosts with several addresses, from Lua: order, errors, options, time limits.

local qn = require "qn"
local dns = require "spec.support.dns"
local hosts = require "spec.support.hosts"
local program = require "spec.support.program"
local throws = require "spec.support.throws"

local function with(addresses, f)
  return hosts.with({ ["host.test"] = addresses }, function(resolver)
    local sites <close> = hosts.sites(addresses)
    return f(sites, resolver)
  end)
end

local function connect(sites, resolver, opts)
  opts = opts or {}
  opts.resolver = resolver
  return qn.tcp.connect("host.test", sites.port, opts)
end

local function peer_of(s)
  local text = tostring(s:peer_address())
  s:close()
  return text
end

describe("connecting to several addresses", function()
  it("lets the families take turns", function()
    with({ "::1", "127.0.0.1", "127.0.0.2" }, function(sites, resolver)
      assert.equal("::1", peer_of(assert(connect(sites, resolver))))
      sites:refuse(1)
      assert.equal("127.0.0.1", peer_of(assert(connect(sites, resolver))))
      sites:refuse(2)
      assert.equal("127.0.0.2", peer_of(assert(connect(sites, resolver))))
      assert.equal("127.0.0.2", peer_of(assert(connect(sites, resolver, { happy_eyeballs = false }))))
      assert.equal("127.0.0.2", peer_of(assert(connect(sites, resolver, { family = "ipv4" }))))
      assert.is_nil((connect(sites, resolver, { family = "ipv6" })))
    end)
  end)

  it("tells what became of each when all have failed", function()
    with({ "::1", "127.0.0.1", "127.0.0.2" }, function(sites, resolver)
      for i = 1, 3 do sites:refuse(i) end
      for _, happy in ipairs { true, false } do
        local s, err = connect(sites, resolver, { happy_eyeballs = happy })
        assert.is_nil(s)
        assert.same({ "refused", "ECONNREFUSED", "connect", "host.test:" .. sites.port },
          { err.kind, err.code, err.op, err.peer })
        assert.equal("connection refused (::1 ECONNREFUSED, 127.0.0.1 ECONNREFUSED, 127.0.0.2 ECONNREFUSED)", err.message)
        assert.equal(3, #err.attempts)
        local peers = {}
        for i, each in ipairs(err.attempts) do
          assert.is_true(qn.is_error(each, "refused"))
          peers[i] = each.peer
        end
        assert.same({ "[::1]:" .. sites.port, "127.0.0.1:" .. sites.port, "127.0.0.2:" .. sites.port }, peers)
      end
      local _, err = qn.tcp.connect("127.0.0.1", sites.port)
      assert.is_nil(err.attempts)
    end)
  end)

  it("says the more telling error, and sums many up", function()
    hosts.with({ ["host.test"] = { "224.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5" } },
      function(resolver)
        local port = program.free_port()
        local _, err = qn.tcp.connect("host.test", port, { resolver = resolver, family = "ipv4" })
        assert.equal("refused", err.kind)
        assert.equal(6, #err.attempts)
        assert.truthy(err.message:find(", and 2 more)", 1, true))
        local unreachable
        for _, each in ipairs(err.attempts) do
          unreachable = unreachable or each.kind == "unreachable"
        end
        assert.is_true(unreachable)
      end)
  end)

  it("is over when the time is", function()
    with({ "127.0.0.1", "127.0.0.2" }, function(sites, resolver)
      sites:silence(1)
      sites:refuse(2)
      local s, err = connect(sites, resolver, { timeout = 0.05 })
      assert.is_nil(s)
      assert.same({ "timeout", "connect" }, { err.kind, err.phase })
      local code = {}
      for _, each in ipairs(err.attempts or {}) do
        code[each.peer] = each.kind
      end
      assert.is_nil(code["127.0.0.2:" .. sites.port]) -- it had no turn: the delay was not over
    end)
  end)

  it("has its events in order, and connected once", function()
    with({ "127.0.0.1", "127.0.0.2" }, function(sites, resolver)
      sites:refuse(1)
      local s <close> = qn.tcp.socket()
      local log = {}
      for _, name in ipairs { "state_changed", "host_found", "connected", "error" } do
        s:on(name, function(value) log[#log + 1] = value and name .. "=" .. tostring(value) or name end)
      end
      assert.is_true(s:connect("host.test", sites.port, { resolver = resolver }))
      repeat qn.yield() until log[#log] == "connected"
      assert.same({ "state_changed=host_lookup", "state_changed=connecting", "host_found",
        "state_changed=connected", "connected" }, log)
      assert.equal("host.test", s:peer_name())
    end)
  end)

  it("keeps to the family and the address it is bound to", function()
    with({ "::1", "127.0.0.1" }, function(sites, resolver)
      for _, bind in ipairs { "127.0.0.7", qn.address("127.0.0.7") } do
        local s <close> = assert(connect(sites, resolver, { bind = bind }))
        assert.equal("127.0.0.7", tostring(s:local_address()))
        assert.equal("127.0.0.1", tostring(s:peer_address()))
      end
      local s <close> = qn.tcp.socket()
      assert(s:bind(qn.address("127.0.0.7")))
      local port = s:local_port()
      assert.is_true(s:connect("host.test", sites.port, { resolver = resolver }))
      assert.same({ port, "127.0.0.7" }, { s:local_port(), tostring(s:local_address()) })
    end)
  end)

  it("keeps options that were set before, and while attempts run", function()
    with({ "127.0.0.1", "127.0.0.2" }, function(sites, resolver)
      sites:silence(1)
      local s <close> = qn.tcp.socket { keepalive = true }
      local task = qn.spawn(s.connect, s, "host.test", sites.port, { resolver = resolver })
      repeat qn.yield() until s:state() == "connecting"
      assert.is_true(s:option("keepalive_idle", 33))
      assert.same({ true, true }, { task:join(20) })
      assert.same({ 1, 33 }, { s:option("keepalive"), s:option("keepalive_idle") })
      assert.equal("127.0.0.2", tostring(s:peer_address()))
    end)
  end)

  it("takes addresses as they are", function()
    local any = assert(qn.address("127.0.0.1"))
    local server <close> = assert(qn.tcp.listen(any, 0))
    local s <close> = assert(qn.tcp.connect(any, server:port()))
    local far <close> = assert(server:accept())
    assert.equal(any, s:peer_address())
    assert.equal(any, server:address())
    assert.equal(s:local_address(), far:peer_address())
    assert.equal("127.0.0.1", s:peer_name())
    local six <close> = assert(qn.tcp.listen(qn.address("::1"), 0))
    local t <close> = assert(qn.tcp.connect(six:address(), six:port()))
    assert.equal("[::1]:" .. six:port(), ("[%s]:%d"):format(t:peer_address(), t:peer_port()))
    six:close()
    local _, err = qn.tcp.connect(qn.address("::1"), t:peer_port())
    assert.equal("[::1]:" .. t:peer_port(), err.peer)
  end)

  it("checks its options", function()
    for _, case in ipairs {
      { "'happy_eyeballs'.*boolean", { happy_eyeballs = "no" } },
      { "'resolver'.*qn.Resolver", { resolver = "127.0.0.1" } },
      { "'resolver'.*qn.Resolver", { resolver = io.stderr } },
      { "'bind'.*address literal", { bind = {} } },
      { "'bind'.*address literal", { bind = 5 } },
      { "'bind'.*address literal", { bind = qn.address("::1"), family = "ipv4" } },
    } do
      throws.call(assert, case[1], qn.tcp, "connect", "h", 80, case[2])
    end
    throws.call(assert, "#1 to 'listen'.*address literal", qn.tcp, "listen", io.stderr, 0)
  end)

  -- The server says ::2 and 127.0.0.2, one of the answers late or never.
  it("takes up addresses that the look-up finds late, and does not wait for what never comes", function()
    local server <close> = dns.fault()
    local resolver <close> = assert(qn.dns.resolver { servers = server.address, hosts = false, search = false })
    local sites <close> = hosts.sites { "127.0.0.2" }
    for _, name in ipairs { "aslow", "aaaaslow", "aaaadrop" } do
      local s <close> = assert(qn.tcp.connect(name .. ".test", sites.port, { resolver = resolver, timeout = 30 }))
      assert.equal("127.0.0.2", tostring(s:peer_address()))
    end
    local task = qn.spawn(qn.tcp.connect, "adrop.test", sites.port, { resolver = resolver })
    repeat qn.sleep(0.001) until server:counts("adrop.test").A
    task:cancel() -- while the race waits for the other family
    task:join()
  end)

  it("fails with what its resolver says", function()
    hosts.with({ ["host.test"] = { "127.0.0.1" } }, function(resolver)
      resolver:close()
      local s, err = qn.tcp.connect("other.test", 80, { resolver = resolver })
      assert.is_nil(s)
      assert.equal("closed", err.kind)
    end)
  end)
end)
