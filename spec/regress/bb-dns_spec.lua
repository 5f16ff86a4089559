-- What using look-ups by their documentation alone has found.

local qn = require "qn"
local limits = require "spec.support.limits"

local A <const>, AAAA <const> = 1, 28

-- A server that says nothing about one type of record.
local function mute(type)
  local socket = assert(qn.udp.bind("127.0.0.1", 0))
  qn.spawn(function()
    for question, from in socket:each() do
      local name = question:match("^.-\0", 13)
      local asked = (string.unpack(">I2", question, 13 + #name))
      if asked ~= type then
        local data = asked == A and "\127\0\0\2" or ("\0"):rep(15) .. "\2"
        from:reply(question:sub(1, 2) .. "\x81\x80\0\1\0\1\0\0\0\0" .. question:sub(13, 16 + #name)
          .. string.pack(">c2 I2I2I4s2", "\xc0\x0c", asked, 1, 300, data))
      end
    end
  end)
  return socket, "127.0.0.1:" .. socket:local_port()
end

describe("a look-up with little time", function()
  for _, case in ipairs { { AAAA, "127.0.0.2" }, { A, "::2" } } do
    local type, address = table.unpack(case)
    it("gives what it has, without type " .. type, function()
      local _ <close>, name = mute(type)
      local resolver <close> = assert(qn.dns.resolver { servers = name, hosts = false })
      local host = assert(limits.growing(0.3, function(limit)
        return resolver:lookup("one.test", { timeout = limit })
      end))
      assert.equal(address, tostring(host.addresses[1]))
      assert.equal(1, #host.addresses)
      host = assert(limits.growing(0.3, function(limit)
        return qn.timeout(limit, resolver.lookup, resolver, "two.test")
      end))
      assert.equal(address, tostring(host.addresses[1]))
      host = assert(resolver:lookup("two.test", { timeout = 0.3 })) -- this one is in the cache
      assert.equal(address, tostring(host.addresses[1]))
    end)
  end

  it("when there is nothing it takes all of it", function()
    local server <close> = assert(qn.udp.bind("127.0.0.1", 0))
    local started = qn.now()
    local host, err = qn.dns.lookup("one.test", { server = "127.0.0.1:" .. server:local_port(), timeout = 0.1 })
    assert.is_nil(host)
    assert.equal("timeout", err.kind)
    assert.is_true(qn.now() - started >= 0.1)
  end)
end)
