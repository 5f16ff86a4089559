-- What a qn.Address can be asked: fields, methods, operators.
-- covers: bindings/b_address_ops.c

local qn = require "qn"

local address = qn.address

local function throws(pattern, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok, "did not throw: " .. pattern)
  assert.truthy(tostring(message):find(pattern), tostring(message))
end

local FLAGS <const> = { "is_null", "is_unspecified", "is_loopback", "is_global", "is_link_local",
  "is_site_local", "is_unique_local", "is_private", "is_multicast", "is_broadcast", "is_shared",
  "is_documentation", "is_reserved", "is_mapped" }

local function flags_of(a)
  local set = {}
  for _, flag in ipairs(FLAGS) do
    assert.is_boolean(a[flag], flag)
    if a[flag] then
      set[#set + 1] = flag:sub(4)
    end
  end
  table.sort(set)
  return table.concat(set, " ")
end

describe("fields", function()
  it("say what an address is for", function()
    local rows = {
      null = "null", any = "unspecified", ["0.0.0.0"] = "unspecified", ["::"] = "unspecified",
      ["127.8.9.1"] = "loopback", ["::1"] = "loopback", ["8.8.8.8"] = "global",
      ["2606:4700::1111"] = "global", ["169.254.1.1"] = "link_local", ["fe80::1"] = "link_local",
      ["fec0::1"] = "site_local", ["fd00::1"] = "private unique_local", ["10.1.1.1"] = "private",
      ["172.31.255.1"] = "private", ["192.168.0.1"] = "private", ["224.0.0.1"] = "multicast",
      ["ff02::1"] = "multicast", ["255.255.255.255"] = "broadcast", ["100.64.0.1"] = "shared",
      ["192.0.2.1"] = "documentation", ["2001:db8::1"] = "documentation", ["240.0.0.1"] = "reserved",
      ["0.1.2.3"] = "reserved", ["4000::"] = "reserved", ["::ffff:127.0.0.1"] = "loopback mapped",
      ["::ffff:10.0.0.1"] = "mapped private", ["::ffff:8.8.8.8"] = "global mapped",
    }
    for text, want in pairs(rows) do
      assert.equal(want, flags_of(assert(address(text))), text)
    end
  end)

  it("protocol, bytes, scope", function()
    local a = address("1.2.3.4")
    assert.same({ "ipv4", "\1\2\3\4", "", 0 }, { a.protocol, a.bytes, a.scope_id, a.scope_index })
    a = address("fe80::1%lo")
    assert.same({ "ipv6", "\xfe\x80" .. ("\0"):rep(13) .. "\1", "lo", 1 },
      { a.protocol, a.bytes, a.scope_id, a.scope_index })
    a = address("fe80::1%nobody")
    assert.same({ "nobody", 0 }, { a.scope_id, a.scope_index })
    a = address("fe80::1%4294967295")
    assert.same({ "4294967295", 4294967295 }, { a.scope_id, a.scope_index })
    a = address("null")
    assert.same({ "unknown", "", "" }, { a.protocol, a.bytes, a.scope_id })
    assert.same({ "any", ("\0"):rep(16) }, { address("any").protocol, address("any").bytes })
  end)

  it("that do not exist are nil, and none can be written", function()
    local a = address("1.2.3.4")
    assert.is_nil(a.nonsense)
    assert.is_nil(a[1])
    assert.is_nil(a[a])
    throws("attempt to change field 'protocol' of a read%-only value",
      function() a.protocol = "ipv6" end)
    throws("read%-only", function() a.mine = 1 end)
    assert.equal("qn", getmetatable(a))
    throws("qn.Address expected", a.to_ipv4, {})
    throws("qn.Address expected", a.to_ipv4, io.stdout)
    throws("qn.Address expected", a.to_ipv4)
  end)
end)

describe("conversions", function()
  it("to_ipv4", function()
    local rows = { ["1.2.3.4"] = 0x01020304, ["255.255.255.255"] = 0xffffffff, any = 0,
      ["::ffff:1.2.3.4"] = 0x01020304 }
    for text, want in pairs(rows) do
      assert.equal(want, address(text):to_ipv4(), text)
    end
    for _, text in ipairs { "::1.2.3.4", "::", "::1", "2001:db8::1", "null" } do
      assert.is_nil(address(text):to_ipv4(), text)
    end
  end)

  it("to_ipv6", function()
    assert.equal(("\0"):rep(10) .. "\255\255\1\2\3\4", address("1.2.3.4"):to_ipv6())
    assert.equal(("\0"):rep(15) .. "\1", address("::1%lo"):to_ipv6())
    assert.equal(("\0"):rep(16), address("any"):to_ipv6())
    assert.is_nil(address("null"):to_ipv6())
    local a = address("2001:db8::7")
    assert.equal(a, address.from_bytes(a:to_ipv6()))
  end)

  it("unmapped", function()
    assert.equal(address("1.2.3.4"), address("::ffff:1.2.3.4"):unmapped())
    for _, text in ipairs { "1.2.3.4", "::1.2.3.4", "::1", "any", "null", "fe80::1%lo" } do
      assert.equal(address(text), address(text):unmapped())
    end
  end)

  it("with_scope", function()
    local a = address("fe80::1")
    assert.equal("fe80::1%lo", tostring(a:with_scope("lo")))
    assert.equal(a:with_scope("lo"), a:with_scope(1))
    assert.equal(a:with_scope("lo"), a:with_scope("1"))
    assert.equal("fe80::1%nobody", tostring(a:with_scope("nobody")))
    for _, none in ipairs { "", 0, false } do
      assert.equal(a, address("fe80::1%lo"):with_scope(none or nil))
    end
    assert.equal(address("1.2.3.4"), address("1.2.3.4"):with_scope(nil))
    throws("only IPv6", function() address("1.2.3.4"):with_scope("lo") end)
    throws("only IPv6", function() address("any"):with_scope(1) end)
    for _, bad in ipairs { -1, 4294967296, 1.5, "a b", "a/b", ("x"):rep(16), "0", "a\0" } do
      throws("name or the index", function() a:with_scope(bad) end)
    end
    throws("string expected", function() a:with_scope {} end)
  end)
end)

describe("operators", function()
  it("sort null, any, IPv4, IPv6, then bytes, then scopes", function()
    local sorted = { "null", "any", "0.0.0.0", "1.2.3.4", "1.2.3.5", "10.0.0.0", "255.255.255.255",
      "::", "::1", "::ffff:1.2.3.4", "fe80::1", "fe80::1%lo", "fe80::1%77777", "fe80::1%abc",
      "fe80::1%abd", "ff02::1" }
    for i, a in ipairs(sorted) do
      for j, b in ipairs(sorted) do
        local x, y = address(a), address(b)
        assert.equal(i < j, x < y, a .. " < " .. b)
        assert.equal(i <= j, x <= y, a .. " <= " .. b)
        assert.equal(i == j, x == y, a .. " == " .. b)
      end
    end
  end)

  it("compare addresses only", function()
    local a = address("1.2.3.4")
    throws("compare qn.Address with number", function() return a < 1 end)
    throws("compare string with qn.Address", function() return "1.2.3.4" <= a end)
    assert.is_false(a == "1.2.3.4")
  end)

  it("show text", function()
    local a = address("fe80::1%lo")
    assert.equal("<fe80::1%lo>", "<" .. a .. ">")
    assert.equal("1.2.3.4:80", address("1.2.3.4") .. ":" .. 80)
    assert.equal("::1::1", address("::1") .. address("::1"))
    assert.equal("x ::1", ("x %s"):format(address("::1")))
    assert.equal("", tostring(address("null")))
  end)
end)

describe("equals", function()
  local MODES <const> = { "v4_mapped", "v4_compat", "unspecified", "localhost" }
  -- which conversion makes them equal
  local rows = {
    { "::ffff:1.2.3.4", "1.2.3.4", "v4_mapped" }, { "::1.2.3.4", "1.2.3.4", "v4_compat" },
    { "::", "0.0.0.0", "unspecified" }, { "any", "0.0.0.0", "unspecified" },
    { "any", "::", "unspecified" }, { "::1", "127.0.0.1", "localhost" },
    { "::ffff:0.0.0.0", "0.0.0.0", "v4_mapped" }, { "::ffff:127.0.0.1", "127.0.0.1", "v4_mapped" },
    { "::2", "0.0.0.2", "v4_compat" }, { "::1", "0.0.0.1" }, { "::1", "127.0.0.2" },
    { "1.2.3.4", "1.2.3.5" }, { "null", "any" }, { "null", "0.0.0.0" }, { "::ffff:1.2.3.4", "::1.2.3.4" },
    { "fe80::1%lo", "fe80::1" }, { "::1%lo", "127.0.0.1" }, { "any", "1.2.3.4" },
    { "2001:db8::1.2.3.4", "1.2.3.4" },
  }

  it("converts as its mode says, both ways", function()
    for _, row in ipairs(rows) do
      local a, b = address(row[1]), address(row[2])
      for _, mode in ipairs(MODES) do
        assert.equal(mode == row[3], a:equals(b, mode), row[1] .. " " .. row[2] .. " " .. mode)
        assert.equal(mode == row[3], b:equals(a, mode), row[2] .. " " .. row[1] .. " " .. mode)
        assert.is_true(a:equals(a, mode))
      end
      assert.equal(row[3] ~= nil, a:equals(b))
      assert.equal(row[3] ~= nil, b:equals(a, "tolerant"))
      assert.equal(row[3] ~= nil, b:equals(a, MODES))
      assert.is_false(a:equals(b, "strict"))
      assert.is_false(a:equals(b, {}))
    end
  end)

  it("combines modes, takes text, refuses nonsense", function()
    local a = address("::1")
    assert.is_true(a:equals("127.0.0.1", { "v4_mapped", "localhost" }))
    assert.is_false(a:equals("127.0.0.1", { "v4_mapped", "unspecified" }))
    assert.is_true(a:equals("127.0.0.1", { "strict", "localhost" }))
    throws("unknown mode 'stric', did you mean 'strict'", a.equals, a, a, "stric")
    throws("list of modes", a.equals, a, a, { 1 })
    throws("list of modes", a.equals, a, a, { { "strict" } })
    throws("'nonsense' is no address", a.equals, a, "nonsense")
    throws("qn.Address or string expected", a.equals, a)
    throws("qn.Address or string expected", a.equals, a, 5)
  end)
end)

describe("is_in_subnet", function()
  it("compares the bits of the prefix", function()
    local rows = {
      { "10.1.2.3", "10.0.0.0/8", true }, { "11.1.2.3", "10.0.0.0/8", false },
      { "10.1.2.3", "10", true }, { "10.1.2.3", "10.1.", true }, { "10.1.2.3", "10.2", false },
      { "10.1.2.3", "10.1.2.3", true }, { "10.1.2.4", "10.1.2.3", false },
      { "10.1.2.3", "0.0.0.0/0", true }, { "10.1.2.3", "10.1.2.2/255.255.255.254", true },
      { "2001:db8::1", "2001:db8::/32", true }, { "2001:db9::1", "2001:db8::/32", false },
      { "2001:db8::1", "::/0", true }, { "2001:db8::1", "0.0.0.0/0", false },
      { "10.1.2.3", "::/0", false }, { "::ffff:10.1.2.3", "10.0.0.0/8", false },
      { "::ffff:10.1.2.3", "::ffff:10.0.0.0/104", true }, { "fe80::1%lo", "fe80::/10", true },
      { "null", "0.0.0.0/0", false }, { "any", "0.0.0.0/0", false }, { "any", "::/0", false },
    }
    for _, row in ipairs(rows) do
      local a = address(row[1])
      assert.equal(row[3], a:is_in_subnet(row[2]), row[1] .. " " .. row[2])
      local net, bits = address.parse_subnet(row[2])
      assert.equal(row[3], a:is_in_subnet(net, bits), row[1] .. " " .. row[2])
      assert.equal(row[3], a:is_in_subnet(tostring(net), bits))
    end
    local a = address("10.1.2.3")
    assert.is_true(a:is_in_subnet(address("10.255.255.255"), 8)) -- the rest does not matter
    assert.is_false(a:is_in_subnet("null", 0))
  end)

  it("a network in a zone has only addresses of the zone", function()
    local net = address("fe80::%lo")
    assert.is_true(address("fe80::1%lo"):is_in_subnet(net, 10))
    assert.is_false(address("fe80::1%77"):is_in_subnet(net, 10))
    assert.is_false(address("fe80::1"):is_in_subnet(net, 10))
  end)

  it("throws on misuse", function()
    local a = address("10.1.2.3")
    throws("is no subnet", a.is_in_subnet, a, "10.0.0.0/33")
    throws("is no subnet", a.is_in_subnet, a, "")
    throws("is no address", a.is_in_subnet, a, "10.0.0.0/8", 8)
    throws("0 to 32 bits", a.is_in_subnet, a, "10.0.0.0", 33)
    throws("0 to 128 bits", a.is_in_subnet, a, "::", 129)
    throws("bits", a.is_in_subnet, a, "10.0.0.0", -1)
    throws("number expected", a.is_in_subnet, a, address("10.0.0.0"))
    throws("expected", a.is_in_subnet, a)
    throws("expected", a.is_in_subnet, a, {})
    throws("expected", a.is_in_subnet, a, "10.0.0.0", "x")
  end)
end)
