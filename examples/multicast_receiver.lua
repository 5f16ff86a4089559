-- Qt's multicast receiver: joins a group and prints what is sent to it.
--
--   qnlua examples/multicast_receiver.lua [group [port [count [interface]]]]
--
-- The group is 239.255.43.21, the port 45454; 0 takes any free one. An IPv6 group, such as
-- ff02::2115, works the same way, on an interface with multicast routes (eth0; not lo, as a rule). It
-- leaves the group and ends after `count` datagrams.
--
-- Prints, while multicast_sender.lua runs with the arguments 239.255.43.21 45454 3 0.1 lo:
--   member of 239.255.43.21, port 45454
--   "Multicast message 1"
--   "Multicast message 2"
--   "Multicast message 3"
--   left the group
local qn = require "qn"

local group = assert(qn.address(arg[1] or "239.255.43.21"))
local port <const> = math.tointeger(arg[2] or 45454) or error("the port must be an integer")
local count <const> = tonumber(arg[3] or math.huge) or error("the count must be a number")
local interface = arg[4]

local socket <close> = assert(qn.udp.bind("*", port, { mode = "share" }))
assert(socket:join(group, interface))
print(("member of %s, port %d"):format(group, socket:local_port()))
io.stdout:flush()

local n = 0
for data, from in socket:each() do
  -- Other groups of this machine reach the same port, and unicast does, too.
  if from.destination.bytes == group.bytes then
    print(("%q"):format(data))
    io.stdout:flush()
    n = n + 1
  end
  if n >= count then
    break
  end
end

assert(socket:leave(group, interface))
print("left the group")
