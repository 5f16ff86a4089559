-- Qt's multicast sender: a numbered message to the members of a group, once a second.
--
--   qnlua examples/multicast_sender.lua [group [port [count [seconds [interface]]]]]
--
-- The group is 239.255.43.21 (one of an organisation, RFC 2365), the port 45454. With a TTL of 1, the
-- default, datagrams stay on this network. Start multicast_receiver.lua somewhere.
--
-- Prints, with the arguments 239.255.43.21 45454 3 0.1 lo:
--   sent "Multicast message 1"
--   sent "Multicast message 2"
--   sent "Multicast message 3"
local qn = require "qn"

local group = arg[1] or "239.255.43.21"
local port <const> = math.tointeger(arg[2] or 45454) or error("the port must be an integer")
local count <const> = tonumber(arg[3] or math.huge) or error("the count must be a number")
local pause <const> = tonumber(arg[4] or 1) or error("the pause must be a number")
local interface = arg[5]

local socket <close> = assert(qn.udp.socket { multicast_ttl = 1 })
if interface then -- else the routing table says which way
  assert(socket:multicast_interface(interface))
end

local n = 0
while n < count do
  n = n + 1
  local message = "Multicast message " .. n
  assert(socket:send(message, group, port))
  print(("sent %q"):format(message))
  if n < count then
    qn.sleep(pause)
  end
end
