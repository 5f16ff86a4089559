-- Datagrams on interfaces that loopback has not: broadcast and multicast of a network, a slow device
-- that makes senders wait, errors of routers. Runs in a network namespace of its own, which ends with the
-- program in it. covers: bindings/b_udp_send.c, bindings/b_udp.c.

local network = require "spec.support.network"

local PRELUDE <const> = [[
local qn = require "qn"
local function check(value, ...)
  if not value then
    error(tostring((...)), 2)
  end
  return value, ...
end
]]

local function inside(commands, code) return network.run("ip link set lo up\n" .. commands, PRELUDE .. code) end

local NETWORK <const> = [[
ip link add d0 type veth peer name d1
ip link set d1 up
ip addr add 10.77.0.1/24 broadcast 10.77.0.255 dev d0
ip -6 addr add fd77::1/64 dev d0 nodad
ip link set d0 up
]]

describe("on a network", function()
  it("broadcast and IPv6 multicast", function()
    local out = inside(NETWORK, [[
local u <close> = check(qn.udp.bind("*", 0))
local s <close> = check(qn.udp.socket())
check(s:send("all", "10.77.0.255", u:local_port()))
local data, from = check(u:recv { timeout = 10 })
print(data, from.destination)
check(from:reply("one"))
print((check(s:recv { timeout = 10 })))
check(u:join("ff02::77:77", "d0"))
check(s:multicast_interface("d0"))
check(s:send("group", "ff02::77:77", u:local_port()))
data, from = check(u:recv { timeout = 10 })
print(data, (tostring(from.destination):gsub("%%.*", "")), from.interface_index == s:multicast_interface())
check(from:reply("two"))
print((check(s:recv { timeout = 10 })))
check(u:leave("ff02::77:77", "d0"))
check(u:join("ff02::77:78%d0"))
check(s:send("scoped", "ff02::77:78%d0", u:local_port()))
print((check(u:recv { timeout = 10 })))
]])
    assert.equal("all\t10.77.0.255\none\ngroup\tff02::77:77\ttrue\ntwo\nscoped\n", out)
  end)

  it("a full send buffer: senders wait, try_send does not, nothing is lost", function()
    local out = inside(NETWORK .. [[
ip neigh add 10.77.0.9 lladdr 02:00:00:00:00:09 dev d0
tc qdisc add dev d0 root tbf rate 4kbit burst 3000 latency 60s
]], [[
local u <close> = check(qn.udp.socket { family = "ipv4", send_buffer = 4096 })
local payload = ("x"):rep(1000)
local sent, err = 0, nil
repeat
  local ok
  ok, err = u:try_send(payload, "10.77.0.9", 9)
  sent = sent + (ok and 1 or 0)
until not ok or sent > 100
print(err and err.kind, err and err.code)
local waiting = qn.spawn(u.send, u, payload, "10.77.0.9", 9)
local cancelled = qn.spawn(u.send, u, qn.buffer("gone"), "10.77.0.9", 9)
qn.yield()
cancelled:cancel()
local kept = cancelled:join() == false -- there was no room: the device takes 500 bytes a second, until now
assert(os.execute("tc qdisc change dev d0 root tbf rate 2mbit burst 3000 latency 60s"))
print((waiting:join()), kept)
local list = {}
for i = 1, 30 do
  list[i] = i % 2 == 0 and payload or qn.buffer(payload .. i)
end
local batch = qn.spawn(u.send_batch, u, list, "10.77.0.9", 9)
qn.yield()
for i = 1, 30 do
  list[i] = nil -- the call has what it needs
end
collectgarbage()
print(select(2, batch:join()), u:stats().sent - sent)
]])
    assert.equal("busy\tEAGAIN\ntrue\ttrue\n30\t31\n", out)
  end)

  it("routers' refusals reach who asked for them", function()
    local out = inside(NETWORK .. [[
nft add table ip t
nft add chain ip t c '{ type filter hook output priority 0; }'
nft add rule ip t c ip daddr 10.77.0.50 reject with icmp type admin-prohibited
ip route add unreachable 10.88.0.0/16
]], [[
local u <close> = check(qn.udp.bind("10.77.0.1", 0, { errors = true }))
local ok, err = u:send("x", "10.77.0.50", 9)
if ok then
  ok, err = u:recv { timeout = 10 }
end
print(ok, err.kind)
ok, err = u:send("x", "10.88.0.1", 9)
print(ok, err.kind, err.peer)
local other <close> = check(qn.udp.bind("10.77.0.1", 0))
check(u:send("still fine", "10.77.0.1", other:local_port()))
print((check(other:recv { timeout = 10 })))
]])
    local first = out:match("^nil\t(%w+)\n")
    assert.truthy(first == "unreachable" or first == "denied", out)
    assert.truthy(out:find("nil\tunreachable\t10.88.0.1:9\nstill fine\n", 1, true), out)
  end)
end)
