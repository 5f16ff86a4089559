-- How qn.Address values are made: text, bytes, numbers, sockets; one value for each address.
-- covers: bindings/b_address.c

local qn = require "qn"

local address = qn.address

local function throws(pattern, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok, "did not throw: " .. pattern)
  assert.truthy(tostring(message):find(pattern), tostring(message))
end

local function refused(value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err, "invalid"), tostring(err))
  assert.equal("INVALID_ADDRESS", err.code)
  return err.message
end

describe("qn.address", function()
  it("reads literals, with blanks around them", function()
    local rows = {
      ["127.0.0.1"] = "127.0.0.1", [" 1.2.3.4\t\r\n"] = "1.2.3.4", ["255.255.255.255"] = "255.255.255.255",
      ["::"] = "::", ["::1"] = "::1", ["2001:DB8:0:0:0:0:0:1"] = "2001:db8::1",
      ["::ffff:1.2.3.4"] = "::ffff:1.2.3.4", ["::ffff:102:304"] = "::ffff:1.2.3.4",
      ["64:ff9b::1.2.3.4"] = "64:ff9b::102:304", ["fe80::1%lo"] = "fe80::1%lo",
      ["fe80::1%1"] = "fe80::1%lo", ["\v\ffe80::1%4000000000 "] = "fe80::1%4000000000",
      ["fe80::1%no-such_if.0"] = "fe80::1%no-such_if.0",
    }
    for text, shown in pairs(rows) do
      assert.equal(shown, tostring(assert(address(text))), text)
    end
  end)

  it("reads special names", function()
    local rows = {
      any = { "any", "0.0.0.0" }, ["*"] = { "any", "0.0.0.0" }, any_ipv4 = { "ipv4", "0.0.0.0" },
      any_ipv6 = { "ipv6", "::" }, localhost = { "ipv4", "127.0.0.1" },
      localhost_ipv6 = { "ipv6", "::1" }, broadcast = { "ipv4", "255.255.255.255" },
      null = { "unknown", "" },
    }
    for name, want in pairs(rows) do
      local a = assert(address(name))
      assert.same(want, { a.protocol, tostring(a) }, name)
    end
    assert.equal(address("localhost"), address("127.0.0.1"))
    assert.equal(address("any_ipv6"), address("::"))
    assert.not_equal(address("any"), address("any_ipv4"))
  end)

  it("refuses what is no address, and says what", function()
    local bad = { "", " ", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "0x7f.1", "127.1", "1",
      "[::1]", "::1::", "12345::", "1:2:3:4:5:6:7:8:9", "1.2.3.4%lo", "%lo", "fe80::1%",
      "fe80::1%0", "fe80::1%4294967296", "fe80::1%a/b", "fe80::1%a b", "fe80::1%a%b",
      "fe80::1%1234567890123456", "any%lo", "Any", "localhost.", "example.org", "1.2.3.4\0",
      "1.2.3.4/8", "::1\0", "1.2.3.4:80", "\xff" }
    for _, text in ipairs(bad) do
      refused(address(text))
    end
    assert.equal("not an address: 'nonsense'", refused(address("nonsense")))
    assert.equal("not an address: 'a?b'", refused(address("a\nb")))
    assert.equal("not an address: '" .. ("x"):rep(64) .. "...'", refused(address(("x"):rep(1000000))))
    assert.equal("address: not an address: 'x' (INVALID_ADDRESS)", tostring(select(2, address("x"))))
  end)

  it("takes the forms of inet_aton only when asked", function()
    local rows = { ["127.1"] = "127.0.0.1", ["123.0.0"] = "123.0.0.0", ["0x7f000001"] = "127.0.0.1",
      ["0177.0.0.1"] = "127.0.0.1", ["1.2.65535"] = "1.2.255.255", ["2130706433"] = "127.0.0.1",
      ["::1"] = "::1", any = "0.0.0.0", ["1.2.3.4"] = "1.2.3.4" }
    for text, shown in pairs(rows) do
      assert.equal(shown, tostring(assert(address(text, { loose = true }))), text)
    end
    refused(address("127.1", { loose = false }))
    refused(address("1.2.3.4.5", { loose = true }))
    refused(address("08", { loose = true }))
  end)

  it("takes numbers, bytes and addresses", function()
    assert.equal(address("127.0.0.1"), address(0x7f000001))
    assert.equal(address("0.0.0.0"), address(0))
    assert.equal(address("255.255.255.255"), address(0xffffffff))
    assert.equal(address("0.0.0.1"), address(1.0))
    assert.equal(address("1.2.3.4"), address { 1, 2, 3, 4 })
    assert.equal(address("::1"), address { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 })
    local a = address("fe80::1%lo")
    assert.equal(a, address(a))
    for _, bad in ipairs { -1, 0x100000000, 1.5, 0 / 0, math.huge, math.mininteger } do
      refused(address(bad))
    end
    for _, bad in ipairs { {}, { 1, 2, 3 }, { 1, 2, 3, 4, 5 }, { 1, 2, 3, 256 }, { 1, 2, 3, -1 },
      { 1, 2, 3, "x" }, { 1, 2, 3, 1.5 }, { 1, 2, 3, {} } } do
      refused(address(bad))
    end
  end)

  it("throws on misuse", function()
    throws("bad argument #1 to 'qn.address'.*got nil", address)
    throws("got boolean", address, true)
    throws("got function", address, print)
    throws("unknown option 'lose'", address, "1.2.3.4", { lose = true })
    throws("loose", address, "1.2.3.4", { loose = 1 })
    throws("table", address, "1.2.3.4", "loose")
    throws("expected", address, io.stdout) -- a userdata of somebody else
    throws("number expected", address.from_ipv4, "1.2.3.4")
    throws("string expected", address.from_bytes, {})
    throws("string expected", address.parse_subnet, 10)
  end)

  it("from_ipv4, from_bytes", function()
    assert.equal("1.2.3.4", tostring(address.from_ipv4(0x01020304)))
    assert.equal("1.2.3.4", tostring(address.from_bytes("\1\2\3\4")))
    assert.equal("::1", tostring(address.from_bytes(("\0"):rep(15) .. "\1")))
    assert.equal("::ffff:1.2.3.4",
      tostring(address.from_bytes(("\0"):rep(10) .. "\255\255\1\2\3\4")))
    refused(address.from_ipv4(-1))
    refused(address.from_ipv4(0x100000000))
    for _, bad in ipairs { "", "1.2.3.4", ("x"):rep(15), ("x"):rep(17) } do
      refused(address.from_bytes(bad))
    end
  end)

  it("parse_subnet", function()
    local rows = {
      { "10.1.2.3/8", "10.0.0.0", 8 }, { "10", "10.0.0.0", 8 }, { "1.2.", "1.2.0.0", 16 },
      { "1.2.3.4/255.255.255.0", "1.2.3.0", 24 }, { " 2001:db8::1/32 ", "2001:db8::", 32 },
      { "::1", "::1", 128 }, { "1.2.3.4", "1.2.3.4", 32 }, { "1.2.3.4/0", "0.0.0.0", 0 },
    }
    for _, row in ipairs(rows) do
      local net, bits = address.parse_subnet(row[1])
      assert.equal(address(row[2]), net, row[1])
      assert.equal(row[3], bits, row[1])
    end
    for _, bad in ipairs { "", "x", "1.2.3.4/33", "ffff::/129", "1.2.3.4/255.0.255.0", "/8",
      "1.2.3.4/", "10\0", "fe80::%lo/64" } do
      refused(address.parse_subnet(bad))
    end
    assert.equal("not a subnet: '1.2.3.4/33'", refused(address.parse_subnet("1.2.3.4/33")))
  end)
end)

describe("one value for each address", function()
  it("whatever it was made of", function()
    local one = address("1.2.3.4")
    assert.is_true(rawequal(one, address(" 1.2.3.4 ")))
    assert.is_true(rawequal(one, address(0x01020304)))
    assert.is_true(rawequal(one, address("::ffff:1.2.3.4"):unmapped()))
    assert.is_true(rawequal(address("::"), address("0:0::0")))
    assert.is_true(rawequal(address("fe80::1%lo"), address("fe80::1%1")))
    assert.is_false(rawequal(address("fe80::1%lo"), address("fe80::1")))
    assert.is_false(rawequal(address("::1.2.3.4"), one))
    assert.is_true(rawequal(address("any"), address("*")))
    assert.is_true(rawequal(address("fe80::1%nobody"), address("fe80::1%nobody")))
  end)

  it("so that they are keys of tables, also after a collection", function()
    local seen = { [address("10.0.0.1")] = "a", [address("2001:db8::1")] = "b" }
    collectgarbage()
    collectgarbage()
    assert.equal("a", seen[address("10.0.0.1")])
    assert.equal("b", seen[address("2001:0db8::0001")])
    assert.is_nil(seen[address("10.0.0.2")])
  end)

  it("that goes when nobody holds it", function()
    local held = setmetatable({}, { __mode = "k" })
    for i = 1, 1000 do
      held[address.from_ipv4(i)] = true
      held[address(("2001:db8::%x"):format(i))] = true
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(held))
  end)

  it("no two zones share a key", function()
    local zones, seen = { "", "1", "256", "65536", "16777216", "aa", "aaaa", "a" }, {}
    for _, zone in ipairs(zones) do
      local a = address("fe80::1"):with_scope(zone)
      assert.is_nil(seen[a], zone)
      seen[a] = zone
    end
    for _, zone in ipairs(zones) do
      assert.equal(zone, seen[address("fe80::1"):with_scope(zone)])
    end
  end)

  it("is not counted as an object: nothing to close, nothing to leak", function()
    local before = qn.stats().leaked
    for i = 1, 100 do
      address.from_ipv4(i)
    end
    collectgarbage()
    assert.equal(before, qn.stats().leaked)
    assert.is_nil(debug.getmetatable(address("::1")).__gc)
  end)
end)

describe("addresses of sockets", function()
  it("are values; peers of a dual-stack server that use IPv4 are IPv4", function()
    local server <close> = assert(qn.tcp.listen("*", 0))
    local socket <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    local accepted <close> = assert(server:accept(10))
    local peer = accepted:peer_address()
    assert.equal(address("127.0.0.1"), peer)
    assert.equal("ipv4", peer.protocol)
    assert.equal(peer, socket:local_address())
  end)

  it("may be given back", function()
    local server <close> = assert(qn.tcp.listen(address("localhost"), 0))
    local socket <close> = assert(qn.tcp.connect(address("localhost"), server:port()))
    assert.is_true(socket:is_open())
    throws("address", qn.tcp.listen, {}, 0)
  end)

  it("any listens on both families", function()
    local server <close> = assert(qn.tcp.listen(address("any"), 0))
    for _, host in ipairs { "127.0.0.1", "::1" } do
      local socket <close> = assert(qn.tcp.connect(host, server:port()))
      local accepted <close> = assert(server:accept(10))
      assert.equal(address(host), accepted:peer_address())
      assert.is_true(socket:is_open())
    end
  end)
end)
