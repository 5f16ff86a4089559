-- DTLS on links that loopback is not: small ones, that become smaller, and a slow one that makes senders
-- wait. Runs in a network namespace of its own, which ends with the program in it.
-- covers: runtime/tls/dtls_mtu.c

local network = require "spec.support.network"

local PRELUDE <const> = [[
local qn = require "qn"
local cert, key = assert(qn.tls.self_signed { names = { "localhost" } })
local function both(host, opts)
  opts.ca, opts.server_name, opts.timeout = cert, "localhost", 30
  local server = assert(qn.dtls.listen("*", 0, { cert = cert, key = key }))
  local c = assert(qn.dtls.connect(host, server:port(), opts))
  local s = assert(server:accept(10))
  return c, s, server
end
]]

local function inside(commands, code) return network.run(commands, PRELUDE .. code) end

describe("DTLS on a network", function()
  it("of small links begins with datagrams that fit, on both sides", function()
    local out = inside("ip link set lo mtu 500 up", [[
local c, s, server = both("127.0.0.1", {})
print(c:mtu(), s:mtu(), c:stats().retransmissions, s:stats().retransmissions)
print(select(2, c:send(("x"):rep(1000))).code)
assert(c:send(("x"):rep(c:max_size())))
print(#assert(s:recv { timeout = 10 }) == c:max_size())
c:close() s:close() server:close()
]])
    assert.equal("472\t472\t0\t0\nDATAGRAM_TOO_LARGE\ntrue\n", out)
  end)

  it("whose links become smaller says so once, and goes on", function()
    local out = inside("ip link set lo mtu 1400 up", [[
for _, host in ipairs { "127.0.0.1", "::1" } do
  os.execute "ip link set lo mtu 1500"
  local c, s, server = both(host, { mtu = 1300 })
  local most = c:max_size()
  assert(c:send(("x"):rep(most)))
  assert(#s:recv { timeout = 10 } == most)
  os.execute "ip link set lo mtu 1280"
  local ok, err = c:send(("x"):rep(most))
  print(ok, err.code, err.size == most, err.limit == c:max_size(), c:mtu())
  assert(c:send(("x"):rep(c:max_size())))
  print(#s:recv { timeout = 10 } == c:max_size())
  c:close() s:close() server:close()
end
]])
    assert.equal("nil\tDATAGRAM_TOO_LARGE\ttrue\ttrue\t1252\ntrue\n"
      .. "nil\tDATAGRAM_TOO_LARGE\ttrue\ttrue\t1232\ntrue\n", out)
  end)

  it("that is slow makes senders wait, and loses nothing by it", function()
    local out = inside("ip link set lo up", [[
local c, s, server = both("127.0.0.1", { send_buffer = 4096 })
os.execute "tc qdisc add dev lo root tbf rate 4mbit burst 3000 latency 60s"
local message = ("x"):rep(1000)
local sent, err = 0, nil
repeat
  local ok
  ok, err = c:try_send(message)
  sent = sent + (ok and 1 or 0)
until not ok or sent > 200
print(err and err.code)
local waiting = qn.spawn(function() return c:send(message) end)
local cancelled = qn.spawn(function() return c:send "never" end)
qn.yield()
print(waiting:status(), cancelled:status())
cancelled:cancel()
cancelled:join()
waiting:join()
for _ = 1, sent + 1 do
  assert(s:recv { timeout = 20 } == message)
end
print(s:recv { timeout = 0.05 } == nil)
c:close() s:close() server:close()
]])
    assert.equal("EAGAIN\nwaiting\twaiting\ntrue\n", out)
  end)
end)
