-- The interface list as C gives it: of this machine, and of a namespace with devices that it has not.
-- covers: bindings/b_netif.c

local qn = require "qn"
local core = require "qn.core"
local program = require "spec.support.program"

-- Devices of all kinds that the namespace of a test can have; they are gone with its last process.
local DEVICES <const> = [[
set -e
ip link set lo up
ip link add va type veth peer name vb
ip link set va address 02:00:00:00:00:0a mtu 1400 alias "up link"
sysctl -qw net.ipv6.conf.va.addr_gen_mode=1 net.ipv6.conf.va.use_tempaddr=2
ip link set va up
ip link set vb up
until ip -o link show va | grep -q "state UP"; do sleep 0.01; done
ip tuntap add tun1 mode tun
ip addr add 10.1.2.3/20 brd + dev va
ip addr add 10.1.2.4/32 dev va
ip addr add 169.254.7.7/16 dev va
ip addr add fe80::a/64 dev va nodad
ip addr add 2001:db8::1/64 dev va nodad valid_lft 3600 preferred_lft 1800
ip addr add 2001:db8::2/128 dev va nodad valid_lft 3600 preferred_lft 0
ip addr add 2001:db8:1::3/64 dev va nodad mngtmpaddr
ip addr add 10.9.0.1 peer 10.9.0.2 dev tun1
]]

local LIST <const> = [[
local qn = require "qn"
local function set(t)
  local names = {}
  for name, value in pairs(t) do if value == true then names[#names + 1] = name end end
  table.sort(names)
  return table.concat(names, " ")
end
for _, i in ipairs(assert(qn.interfaces())) do
  if i.name ~= "vb" then
    print(i, i.human_name, i.mtu, i.type, i.hardware_address, set(i.flags))
    for _, e in ipairs(i.entries) do
      if not e.is_temporary then
        print("", e, e.netmask, e.broadcast, e.peer, set(e))
        if not e.is_permanent then
          print("", "", e.validity_lifetime > 3500 and e.validity_lifetime <= 3600,
            e.preferred_lifetime > 1700 and e.preferred_lifetime <= 1800, e.preferred_lifetime == 0)
        end
      else
        print("", "temporary", e.ip:is_in_subnet("2001:db8:1::/64"), e.prefix_length, e.is_dns_eligible)
      end
    end
  end
end
]]

local function in_namespace(script)
  local status, out, err = program.run({ "unshare", "-rn", "sh", "-c",
    DEVICES .. 'exec "$0" -e "$1"', program.qnlua(), script })
  assert.equal("", err)
  assert.equal(0, status)
  return out
end

describe("core.interfaces", function()
  it("has the fields of each interface and address", function()
    local found = false
    for _, interface in ipairs(assert(core.interfaces())) do
      assert.equal("integer", math.type(interface.index))
      assert.equal("integer", math.type(interface.mtu))
      for _, name in ipairs { "name", "human_name", "type", "hardware_address" } do
        assert.is_string(interface[name], name)
      end
      for _, name in ipairs { "up", "running", "broadcast", "loopback", "point_to_point", "multicast" } do
        assert.is_boolean(interface.flags[name], name)
      end
      for _, entry in ipairs(interface.entries) do
        assert.equal(entry.ip.protocol, entry.netmask.protocol)
        assert.equal(entry.prefix_length,
          select(2, qn.address.parse_subnet(entry.ip:with_scope(nil) .. "/" .. entry.prefix_length)))
        found = found or entry.ip == qn.address("127.0.0.1")
      end
    end
    assert.is_true(found)
  end)

  it("finds devices of all kinds, with their addresses, flags and lifetimes", function()
    local lines = {}
    for line in in_namespace(LIST):gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    local common = "is_lifetime_known is_permanent"
    assert.same({
      "lo\tlo\t65536\tloopback\t00:00:00:00:00:00\tloopback running up",
      "\t127.0.0.1/8\t255.0.0.0\tnil\tnil\t" .. common,
      "\t::1/128\tffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\tnil\tnil\t" .. common,
      "va\tup link\t1400\tethernet\t02:00:00:00:00:0A\tbroadcast multicast running up",
      "\t10.1.2.3/20\t255.255.240.0\t10.1.15.255\tnil\tis_dns_eligible " .. common,
      "\t10.1.2.4/32\t255.255.255.255\tnil\tnil\tis_dns_eligible " .. common,
      "\t169.254.7.7/16\t255.255.0.0\tnil\tnil\t" .. common,
    }, table.move(lines, 1, 7, 1, {}))
    table.sort(lines)
    local function has(line)
      for _, one in ipairs(lines) do
        if one == line then
          return true
        end
      end
      error("no line " .. line .. " in\n" .. table.concat(lines, "\n"))
    end
    local mask = "\tffff:ffff:ffff:ffff::\tnil\tnil\t"
    has("\tfe80::a%va/64" .. mask .. common)
    has("\t2001:db8::1/64" .. mask .. "is_dns_eligible is_lifetime_known")
    has("\t\ttrue\ttrue\tfalse")
    has("\t2001:db8::2/128\tffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\tnil\tnil\tis_deprecated is_lifetime_known")
    has("\t\ttrue\tfalse\ttrue")
    has("\t2001:db8:1::3/64" .. mask .. "is_dns_eligible " .. common)
    has("\ttemporary\ttrue\t64\tfalse")
    has("tun1\ttun1\t1500\tvirtual\t\tmulticast point_to_point")
    has("\t10.9.0.1/32\t255.255.255.255\tnil\t10.9.0.2\tis_dns_eligible " .. common)
  end)

  it("takes many interfaces and addresses", function()
    local out = in_namespace([[
      local qn = require "qn"
      for i = 1, 100 do
        assert(os.execute("ip link add x" .. i .. " type veth peer name y" .. i))
      end
      local file = io.popen("ip -batch -", "w")
      for i = 1, 3000 do
        file:write(("addr add 10.%d.%d.1/24 dev x%d\n"):format(i // 256 + 20, i % 256, i % 100 + 1))
      end
      assert(file:close())
      local list, n = assert(qn.interfaces()), 0
      for i, one in ipairs(list) do
        n = n + #one.entries
        assert(i == 1 or list[i - 1].index < one.index)
      end
      print(#list, n > 3000, #qn.interfaces.by_name("x7").entries)
    ]])
    assert.equal("204\ttrue\t30\n", out)
  end)

  it("says that there is no such interface", function()
    for _, call in ipairs { { core.interface_name, 0 }, { core.interface_name, -1 },
      { core.interface_name, 1 << 40 }, { core.interface_name, 4000000000 },
      { core.interface_index, "no-such-if" }, { core.interface_index, "" },
      { core.interface_index, "lo\0x" }, { core.interface_index, ("x"):rep(1000) } } do
      local value, err = call[1](call[2])
      assert.is_nil(value)
      assert.equal("ENODEV", err.code)
      assert.equal("interfaces", err.op)
    end
    assert.is_false(pcall(core.interface_name, "lo"))
    assert.is_false(pcall(core.interface_index, 1))
  end)
end)
