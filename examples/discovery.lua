-- Who has most free disk space? A discovery protocol: hosts join a group and answer questions, the
-- asker collects answers for a while and picks one.
--
--   qnlua examples/discovery.lua serve name free [port]     -- a host; port 0: any
--   qnlua examples/discovery.lua ask [port [seconds [hosts]]]
--
-- The group is 239.255.70.70 on loopback, so that it can be tried on one machine; with several
-- machines leave the interface out. The asker stops early when `hosts` have answered.
--
-- Prints, for "ask" with three hosts called ant, bee and cow:
--   ant: 120 GB
--   bee: 980 GB
--   cow: 45 GB
--   most: bee
local qn = require "qn"

local GROUP <const> = "239.255.70.70"
local INTERFACE <const> = "lo"
local PORT <const> = 45470

local function serve(name, free, port)
  local socket <close> = assert(qn.udp.bind("0.0.0.0", port, { mode = "share" }))
  assert(socket:join(GROUP, INTERFACE))
  print(name .. " listens on port " .. socket:local_port())
  io.stdout:flush()
  for data, from in socket:each() do
    local id = data:match "^who has disk space%? (%x+)$"
    if id then
      from:reply(("%s %s %d"):format(id, name, free))
    end
  end
end

local function ask(port, seconds, hosts)
  local socket <close> = assert(qn.udp.socket { family = "ipv4" })
  assert(socket:multicast_interface(INTERFACE))
  local id = ("%x"):format(math.random(0)) -- answers to older questions do not count
  assert(socket:send("who has disk space? " .. id, GROUP, port))

  local found = {}
  qn.timeout(seconds, function()
    for data, from in socket:each() do
      local answer, name, free = data:match "^(%x+) (%S+) (%d+)$"
      if answer == id then
        found[#found + 1] = { name = name, free = tonumber(free), address = from.address }
      end
      if #found >= hosts then
        break
      end
    end
  end)

  table.sort(found, function(a, b) return a.name < b.name end)
  local best
  for _, host in ipairs(found) do
    print(("%s: %d GB"):format(host.name, host.free))
    best = best and best.free >= host.free and best or host
  end
  print(best and "most: " .. best.name or "nobody answered") -- best.address is where it is
end

local function number(i, default)
  return tonumber(arg[i] or default) or error("argument " .. i .. " must be a number", 0)
end

local function port(i)
  return math.tointeger(number(i, PORT)) or error("the port must be an integer", 0)
end

if arg[1] == "serve" then
  serve(arg[2] or "host", number(3, 0), port(4))
else
  ask(port(2), number(3, 1), number(4, math.huge))
end
