-- Happy eyeballs absent, or wrong: slow attempts aborted when the next one starts. Here the delay starts the
-- next attempt and never ends the earlier one (RFC 8305).
local qn = require "qn"
local hosts = require "spec.support.hosts"

local function connect(resolver, port, opts)
  opts = opts or {}
  opts.resolver = resolver
  return qn.tcp.connect("host.test", port, opts)
end

-- Runs f(sites, resolver) with a host of these addresses, a server on each.
local function with(addresses, f)
  return hosts.with({ ["host.test"] = addresses }, function(resolver)
    local sites <close> = hosts.sites(addresses)
    return f(sites, resolver)
  end)
end

describe("lesson 10: several addresses", function()
  it("a broken first family does not delay the other one", function()
    with({ "::1", "127.0.0.1" }, function(sites, resolver)
      sites:refuse(1)
      local s <close> = assert(connect(resolver, sites.port))
      assert.equal("127.0.0.1", tostring(s:peer_address()))
    end)
  end)

  it("one that never answers does not use up the time of the next", function()
    with({ "::1", "127.0.0.1" }, function(sites, resolver)
      sites:silence(1)
      local s <close> = assert(connect(resolver, sites.port))
      assert.equal("127.0.0.1", tostring(s:peer_address()))
    end)
  end)

  it("the earlier attempt is not ended: it may still win", function()
    with({ "127.0.0.1", "127.0.0.2" }, function(sites, resolver)
      sites:silence(1)
      sites:silence(2)
      local task = qn.spawn(connect, resolver, sites.port)
      qn.sleep(0.3) -- the delay is over, the second attempt is under way
      assert.equal("waiting", task:status())
      sites:answer(1) -- what the kernel repeats is answered now
      local ok, s = task:join(20)
      assert.is_true(ok)
      assert.equal("127.0.0.1", tostring(s:peer_address()))
      s:close()
    end)
  end)

  it("at most one connection survives", function()
    with({ "::1", "127.0.0.1", "127.0.0.2" }, function(sites, resolver)
      for _ = 1, 20 do
        local s = assert(connect(resolver, sites.port))
        s:write("x")
        local winner, live = tostring(s:peer_address()), 0
        for i = 1, 3 do
          local far = sites.servers[i]:accept(sites.addresses[i] == winner and 20 or 0.002)
          if far then
            live = live + (far:read(1) and 1 or 0)
            far:close()
          end
        end
        assert.equal(1, live)
        s:close()
      end
    end)
  end)

  it("goes in order when told so", function()
    with({ "127.0.0.1", "127.0.0.2" }, function(sites, resolver)
      sites:refuse(1)
      local s <close> = assert(connect(resolver, sites.port, { happy_eyeballs = false }))
      assert.equal("127.0.0.2", tostring(s:peer_address()))
    end)
  end)
end)
