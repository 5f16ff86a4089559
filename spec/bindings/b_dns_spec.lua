-- Look-ups as waits: time limits and their phase, scopes, cancellation, resolvers that are closed while
-- somebody waits or that nobody closes, names that are none.

local qn = require "qn"
local core = require "qn.core"
local dns = require "spec.support.dns"
local leaks = require "spec.support.leaks"

describe("waiting for names", function()
  local fault
  setup(function() fault = dns.fault() end)
  teardown(function() fault:stop() end)

  local calls = {
    lookup = function(opts) return qn.dns.lookup("drop.test", opts) end,
    query = function(opts) return qn.dns.query("drop.test", "MX", opts) end,
    reverse = function(opts) return qn.dns.reverse("192.0.2.77", opts) end,
  }
  local peers = { lookup = "drop.test", query = "drop.test", reverse = "192.0.2.77" }

  for name, call in pairs(calls) do
    local function silent() -- nobody answers on this port
      local socket = assert(qn.udp.bind("127.0.0.1", 0))
      return socket, "127.0.0.1:" .. socket:local_port()
    end

    it(name .. " ends at its own time limit, with phase dns", function()
      local socket <close>, address = silent()
      local result, err = call { server = address, timeout = 0.02 }
      assert.is_nil(result)
      assert.equal("timeout", err.kind)
      assert.equal("TIMEOUT", err.code)
      assert.equal("dns", err.phase)
      assert.equal(name, err.op)
      assert.equal(peers[name], err.peer)
      assert.is_true(err.temporary)
      socket:close()
    end)

    it(name .. " ends at the limit of a scope, with phase dns", function()
      local socket <close>, address = silent()
      local result, err = qn.timeout(0.02, call, { server = address })
      assert.is_nil(result)
      assert.equal("timeout", err.kind)
      assert.equal("dns", err.phase)
      socket:close()
    end)

    it(name .. " can be cancelled", function()
      local socket <close>, address = silent()
      local task = qn.spawn(call, { server = address, timeout = false })
      assert(socket:recv()) -- it has asked
      task:cancel("enough")
      local ok, err = task:join()
      assert.is_false(ok)
      assert.is_true(qn.is_cancelled(err))
      assert.equal("enough", err.reason)
    end)

    it(name .. " ends when the resolver is closed", function()
      local socket <close>, address = silent()
      local resolver <close> = assert(qn.dns.resolver { servers = address })
      local task = qn.spawn(call, { resolver = resolver })
      assert(socket:recv())
      resolver:close()
      local _, result, err = task:join()
      assert.is_nil(result)
      assert.equal("closed", err.kind)
      result, err = call { resolver = resolver }
      assert.is_nil(result)
      assert.equal("closed", err.kind)
    end)

    it(name .. " in a coroutine that is closed leaves nothing behind", function()
      local socket <close>, address = silent()
      local co = coroutine.create(call)
      local task = qn.spawn(function() coroutine.resume(co, { server = address, timeout = false }) end)
      assert(socket:recv())
      assert.is_true(coroutine.close(co))
      task:join()
    end)
  end

  it("says why a look-up has failed", function()
    local codes = { servfail = "DNS_SERVFAIL", refused = "DNS_REFUSED", notimp = "DNS_NOTIMP",
      formerr = "DNS_FORMERR", nx = "HOST_NOT_FOUND", nodata = "NO_DATA" }
    for behaviour, code in pairs(codes) do
      local _, err = qn.dns.query(behaviour .. ".test", "A", { server = fault.address })
      assert.equal("dns", err.kind, behaviour)
      assert.equal(code, err.code)
      assert.equal("query", err.op)
      assert.equal(behaviour .. ".test", err.peer)
    end
    local _, err = qn.dns.lookup("nx.test", { server = fault.address })
    assert.equal("HOST_NOT_FOUND", err.code)
    assert.equal("lookup", err.op)
    assert.equal("lookup nx.test: host not found (HOST_NOT_FOUND)", tostring(err))
  end)
end)

describe("names that are none", function()
  local bad = { "", " ", "a b", "a\nb", "a\0b", "a\127b", ("x"):rep(254), ("a."):rep(127) .. "a", "*",
    "a..b", ".a", ("x"):rep(64) .. ".test", "\255\254.test", "[::1]", "1:2", "::1%" }
  for _, name in ipairs(bad) do
    it(("%q"):format(name), function()
      local host, err = qn.dns.lookup(name, { server = "127.0.0.1:1", timeout = 5 })
      assert.is_nil(host)
      assert.equal("invalid", err.kind)
      assert.equal("INVALID_HOST", err.code)
    end)
  end

  it("have a text of their own when there is none at all", function()
    local _, err = qn.dns.lookup("")
    assert.equal("no host name given", err.message)
  end)

  it("are no questions either", function()
    for _, name in ipairs { "", "a b", "a..b", ("x"):rep(64), "\\", "\255" } do
      local records, err = qn.dns.query(name, "A", { server = "127.0.0.1:1" })
      assert.is_nil(records)
      assert.equal("INVALID_HOST", err.code, name)
    end
  end)
end)

describe("a resolver", function()
  it("closes once, and in a block", function()
    local resolver = assert(qn.dns.resolver { servers = "127.0.0.1" })
    assert.is_false(resolver:is_closed())
    resolver:close()
    resolver:close()
    assert.is_true(resolver:is_closed())
    resolver:clear_cache()
    local kept
    do
      local inner <close> = assert(qn.dns.resolver())
      kept = inner
      inner:clear_cache()
    end
    assert.is_true(kept:is_closed())
    assert.truthy(tostring(kept):find("^qn.Resolver: "))
  end)

  it("that nobody closes is a leak", function()
    leaks.expect { leaked = 1 }
    assert(qn.dns.resolver())
  end)

  it("of a call is none", function()
    local before = qn.stats().leaked
    qn.dns.lookup("x.test", { server = "127.0.0.1:1", timeout = 5 })
    collectgarbage()
    collectgarbage()
    assert.equal(before, qn.stats().leaked)
  end)
end)

describe("core.dns_literal", function()
  it("knows literals and addresses", function()
    local one = qn.address("127.0.0.1")
    assert.equal(one, core.dns_literal("127.0.0.1"))
    assert.equal(one, core.dns_literal(one))
    assert.equal(qn.address("::1"), core.dns_literal("::1"))
    for _, other in ipairs { "", "*", "localhost", "any", "1.2.3", "1.2.3.4\0", {}, 7, false } do
      assert.is_nil(core.dns_literal(other))
    end
  end)
end)

-- The hook is compiled into debug builds only, which is where the specs run.
if core.alloc_fail_at then
  describe("without memory", function()
    it("a look-up fails, or finds what it would have found, and leaves nothing behind", function()
      local fault <close> = dns.fault()
      local calls = {
        function(r, timeout) return r:lookup("chain.test", { timeout = timeout }) end,
        function(r, timeout) return r:query("trunc.test", "A", { timeout = timeout }) end,
        function(r, timeout) return r:reverse("192.0.2.1", { timeout = timeout }) end,
      }
      for i, call in ipairs(calls) do
        local rounds, failures, limit = 0, 0, 0.02
        repeat
          rounds = rounds + 1
          core.alloc_fail_at(rounds)
          local ok, resolver, err = pcall(qn.dns.resolver, { servers = fault.address, timeout = limit })
          local result
          if ok and resolver then
            ok, result, err = pcall(call, resolver, 25 * limit)
            resolver:close()
          end
          local happened = core.alloc_fail_at(0)
          if not (ok and result) then
            failures = failures + 1
          end
          assert.is_true(ok, tostring(resolver))
          assert.is_true(result ~= nil or qn.is_error(err), tostring(err))
          if not happened and not result and i < 3 and limit < 1 then -- the server had too little time
            happened, limit, rounds = true, 8 * limit, rounds - 1
          elseif not happened and i < 3 then
            assert.is_truthy(result, tostring(err))
          end
          assert(rounds < 1000)
        until not happened
        assert.is_true(rounds > 5 and failures > 2, rounds .. " " .. failures)
      end
    end)
  end)
end
