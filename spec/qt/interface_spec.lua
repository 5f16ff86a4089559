-- The rows IF-* of the Qt coverage (QNetworkInterface, QNetworkAddressEntry) and what Part 2 adds;
-- docs/qt-coverage.md names them. Devices that loopback lacks: spec/bindings/b_netif_spec.lua.

local qn = require "qn"

local interfaces = qn.interfaces

describe("QNetworkInterface", function()
  local lo
  before_each(function() lo = assert(interfaces.by_name("lo")) end)

  it("IF-01 flags", function()
    local flags = lo.flags
    assert.same({ true, true, true, false, false },
      { flags.up, flags.running, flags.loopback, flags.broadcast, flags.point_to_point })
    assert.is_boolean(flags.multicast)
  end)

  it("IF-02 index, names, hardware address", function()
    assert.equal("lo", lo.name)
    assert.equal("lo", lo.human_name)
    assert.is_true(lo.index > 0)
    assert.equal("00:00:00:00:00:00", lo.hardware_address)
    for _, interface in ipairs(interfaces()) do
      assert.is_truthy(interface.hardware_address == "" or (interface.hardware_address .. ":"):find("^[%dA-F:]+$"))
    end
  end)

  it("IF-03 addressEntries", function()
    local entry = lo.entries[1]
    assert.equal(qn.address("127.0.0.1"), entry.ip)
    assert.equal("127.0.0.1/8", tostring(entry))
  end)

  it("IF-04 interfaceFromName, interfaceFromIndex", function()
    assert.equal(lo.index, interfaces.by_index(lo.index).index)
    local none, err = interfaces.by_name("no-such-if")
    assert.is_nil(none)
    assert.equal("ENODEV", err.code)
    none, err = interfaces.by_index(4000000000)
    assert.is_nil(none)
    assert.equal("ENODEV", err.code)
  end)

  it("IF-05 allInterfaces, allAddresses", function()
    local found = false
    for _, interface in ipairs(assert(interfaces())) do
      found = found or interface.name == "lo"
    end
    assert.is_true(found)
    found = false
    for _, address in ipairs(assert(interfaces.all_addresses())) do
      found = found or address.is_loopback
    end
    assert.is_true(found)
  end)

  it("IF-06 ip, netmask, prefix length, broadcast", function()
    local entry = lo.entries[1]
    assert.equal(qn.address("255.0.0.0"), entry.netmask)
    assert.equal(8, entry.prefix_length)
    assert.is_nil(entry.broadcast)
    assert.is_false(pcall(function() entry.prefix_length = 16 end))
  end)

  it("Q5-16 type, MTU, names and indexes", function()
    assert.equal("loopback", lo.type)
    assert.is_true(lo.mtu > 0)
    assert.equal(lo.index, interfaces.index_of("lo"))
    assert.equal("lo", interfaces.name_of(lo.index))
  end)

  it("Q5-17 lifetimes", function()
    local entry = lo.entries[1]
    assert.is_true(entry.is_permanent)
    assert.is_false(entry.is_temporary)
    assert.is_true(entry.is_lifetime_known)
    assert.equal(math.huge, entry.validity_lifetime)
    assert.equal(math.huge, entry.preferred_lifetime)
    assert.is_false(entry.is_dns_eligible)
  end)
end)
