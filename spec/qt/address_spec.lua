-- The rows ADR-* of the Qt coverage (QHostAddress) and what Parts 2 and 3 add to them, one spec per
-- row; docs/qt-coverage.md names them.

local qn = require "qn"

local address = qn.address

describe("QHostAddress", function()
  it("ADR-01 special addresses", function()
    assert.equal("255.255.255.255", tostring(address("broadcast")))
    assert.equal("127.0.0.1", tostring(address("localhost")))
    assert.equal("::1", tostring(address("localhost_ipv6")))
    assert.equal("0.0.0.0", tostring(address("any")))
    assert.equal("0.0.0.0", tostring(address("any_ipv4")))
    assert.equal("::", tostring(address("any_ipv6")))
    assert.equal("", tostring(address("null")))
  end)

  it("ADR-02 constructors", function()
    local want = address("127.0.0.1")
    assert.equal(want, address(0x7f000001))
    assert.equal(want, address.from_ipv4(0x7f000001))
    assert.equal(want, address { 127, 0, 0, 1 })
    assert.equal(want, address.from_bytes("\127\0\0\1"))
    assert.equal(want, address(want))
    assert.equal(address("::1"), address.from_bytes(("\0"):rep(15) .. "\1"))
  end)

  it("ADR-03 text: blanks, IPv6, embedded IPv4, scopes; what is none is an error", function()
    assert.equal("1.2.3.4", tostring(address("\t 1.2.3.4 \n")))
    assert.equal("2001:db8::102:304", tostring(address("2001:db8::1.2.3.4")))
    assert.equal("fe80::1%lo", tostring(address("fe80::1%lo")))
    for _, bad in ipairs { "", "1.2.3", "1.2.3.4.5", "256.0.0.1", "1::2::3", "hello" } do
      local value, err = address(bad)
      assert.is_nil(value)
      assert.equal("invalid", err.kind)
      assert.equal("INVALID_ADDRESS", err.code)
    end
    assert.equal("123.0.0.0", tostring(address("123.0.0", { loose = true })))
  end)

  it("ADR-04 protocol", function()
    assert.equal("ipv4", address("1.2.3.4").protocol)
    assert.equal("ipv6", address("::ffff:1.2.3.4").protocol)
    assert.equal("unknown", address("null").protocol)
    assert.equal("any", address("any").protocol)
  end)

  it("ADR-05 toIPv4Address, toIPv6Address", function()
    assert.equal(0x01020304, address("1.2.3.4"):to_ipv4())
    assert.equal(0x01020304, address("::ffff:1.2.3.4"):to_ipv4())
    assert.is_nil(address("2001:db8::1"):to_ipv4())
    assert.equal(("\0"):rep(10) .. "\xff\xff\1\2\3\4", address("1.2.3.4"):to_ipv6())
    assert.equal(16, #address("2001:db8::1"):to_ipv6())
  end)

  it("ADR-06 toString", function()
    assert.equal("2001:db8::1:0:0:1", tostring(address("2001:DB8:0:0:1:0:0:1")))
    assert.equal("2001:db8:0:1:1:1:1:1", tostring(address("2001:db8:0:1:1:1:1:1")))
    assert.equal("::ffff:1.2.3.4", tostring(address("::FFFF:0102:0304")))
    assert.equal("fe80::1%lo", tostring(address("fe80::1%1")))
    assert.equal("", tostring(address("null")))
  end)

  it("ADR-07 scopeId, setScopeId", function()
    local a = address("fe80::1%eth7")
    assert.equal("eth7", a.scope_id)
    assert.equal("fe80::1%lo", tostring(a:with_scope("lo")))
    assert.equal("77", address("fe80::1%77").scope_id)
    assert.equal("", a:with_scope(nil).scope_id)
  end)

  it("ADR-08 comparing, hashing", function()
    assert.is_true(address("1.2.3.4") == address("1.2.3.4"))
    assert.is_true(address("127.0.0.1") == address("localhost"))
    assert.is_false(address("::ffff:1.2.3.4") == address("1.2.3.4"))
    local names = { [address("::1")] = "loopback" }
    assert.equal("loopback", names[address("0::1")])
    local list = { address("::1"), address("10.0.0.10"), address("10.0.0.9") }
    table.sort(list)
    assert.same({ address("10.0.0.9"), address("10.0.0.10"), address("::1") }, list)
    assert.equal(list[1], address.from_bytes(list[1].bytes))
  end)

  it("ADR-09 isNull", function()
    assert.is_true(address("null").is_null)
    assert.is_false(address("any").is_null)
    assert.is_false(address("0.0.0.0").is_null)
  end)

  it("ADR-10 isInSubnet", function()
    local a = address("192.168.17.4")
    assert.is_true(a:is_in_subnet(address("192.168.16.0"), 20))
    assert.is_true(a:is_in_subnet("192.168.16.0", 20))
    assert.is_true(a:is_in_subnet("192.168.16.0/20"))
    assert.is_false(a:is_in_subnet("192.168.32.0/20"))
    assert.is_true(a:is_in_subnet("0.0.0.0", 0))
    assert.is_true(address("::1"):is_in_subnet("::1", 128))
    assert.is_false(a:is_in_subnet("::/0"))
    assert.is_true(a:is_in_subnet(address.parse_subnet("192.168"))) -- both results
    assert.is_false(pcall(a.is_in_subnet, a, "192.168.0.0", 33))
  end)

  it("ADR-11 parseSubnet", function()
    local rows = { ["10.1.2.3/24"] = { "10.1.2.0", 24 }, ["10.1.2.3/255.255.0.0"] = { "10.1.0.0", 16 },
      ["10.1.2"] = { "10.1.2.0", 24 }, ["10.1.2."] = { "10.1.2.0", 24 }, ["10"] = { "10.0.0.0", 8 },
      ["1.2.3.4"] = { "1.2.3.4", 32 }, ["2001:db8::/32"] = { "2001:db8::", 32 }, ["::1"] = { "::1", 128 } }
    for text, want in pairs(rows) do
      local net, bits = address.parse_subnet(text)
      assert.same(want, { tostring(net), bits }, text)
    end
    for _, bad in ipairs { "", "1.2.3.4/33", "ffff::/129", "1.2.3.4/255.0.255.0", "x/8", "1.2.3.4/" } do
      local net, err = address.parse_subnet(bad)
      assert.is_nil(net, bad)
      assert.equal("INVALID_ADDRESS", err.code)
    end
  end)

  it("Q5-03 any is both families", function()
    local server <close> = assert(qn.tcp.listen(address("any"), 0))
    for _, host in ipairs { "127.0.0.1", "::1" } do
      local socket <close> = assert(qn.tcp.connect(host, server:port()))
      local accepted <close> = assert(server:accept(10))
      assert.equal(address(host), accepted:peer_address())
      assert.is_true(socket:is_open())
    end
    assert.equal("any", address("any").protocol)
    assert.not_equal(address("any"), address("any_ipv4"))
  end)

  it("Q5-08 classification", function()
    local rows = { is_loopback = "127.1.2.3", is_multicast = "ff02::1", is_global = "8.8.8.8",
      is_link_local = "fe80::1", is_site_local = "fec0::1", is_unique_local = "fd00::1",
      is_broadcast = "255.255.255.255", is_private = "172.20.0.1" }
    for flag, text in pairs(rows) do
      assert.is_true(address(text)[flag], flag)
      assert.equal(flag == "is_global", address("1.1.1.1")[flag], flag)
    end
    assert.is_true(address("::ffff:127.0.0.1").is_loopback)
    assert.is_false(address("10.0.0.1").is_global)
  end)

  it("Q5-09 isEqual with its modes", function()
    local mapped, plain = address("::ffff:1.2.3.4"), address("1.2.3.4")
    assert.is_true(mapped:equals(plain))
    assert.is_true(mapped:equals(plain, "v4_mapped"))
    assert.is_false(mapped:equals(plain, "strict"))
    assert.is_true(address("::1.2.3.4"):equals(plain, "v4_compat"))
    assert.is_true(address("::"):equals("0.0.0.0", "unspecified"))
    assert.is_true(address("::1"):equals("127.0.0.1", "localhost"))
    assert.is_false(address("::1"):equals("127.0.0.1", { "v4_mapped", "unspecified" }))
  end)

  it("WEAK-18 peers are never IPv4-mapped", function()
    local server <close> = assert(qn.tcp.listen("*", 0))
    local socket <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    local accepted <close> = assert(server:accept(10))
    local allowed = { [address("127.0.0.1")] = true }
    assert.is_true(allowed[accepted:peer_address()])
    assert.is_true(accepted:peer_address():is_in_subnet("127.0.0.0/8"))
    assert.equal(address("127.0.0.1"), accepted:local_address())
    assert.is_true(socket:is_open())
  end)
end)
