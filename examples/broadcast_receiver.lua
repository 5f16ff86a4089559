-- Qt's broadcast receiver: prints every datagram that arrives at a port, and who sent it.
--
--   qnlua examples/broadcast_receiver.lua [port [count]]
--
-- The port is 45454; 0 takes any free one. Several receivers may run on one machine. It ends after
-- `count` datagrams.
--
-- Prints, while broadcast_sender.lua runs with the arguments 127.255.255.255 45454 3 0.1:
--   listening on port 45454
--   "Broadcast message 1" from 127.0.0.1 to 127.255.255.255
--   "Broadcast message 2" from 127.0.0.1 to 127.255.255.255
--   "Broadcast message 3" from 127.0.0.1 to 127.255.255.255
local qn = require "qn"

local port <const> = math.tointeger(arg[1] or 45454) or error("the port must be an integer")
local count <const> = tonumber(arg[2] or math.huge) or error("the count must be a number")

-- "share": every socket that is bound so gets its own copy of a broadcast.
local socket <close> = assert(qn.udp.bind("0.0.0.0", port, { mode = "share" }))
print("listening on port " .. socket:local_port())
io.stdout:flush()

local n = 0
for data, from in socket:each() do
  print(("%q from %s to %s"):format(data, from.address, from.destination))
  io.stdout:flush()
  n = n + 1
  if n >= count then
    break
  end
end
