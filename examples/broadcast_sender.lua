-- Qt's broadcast sender: a numbered message to everybody on the network, once a second.
--
--   qnlua examples/broadcast_sender.lua [address [port [count [seconds]]]]
--
-- Without arguments it sends to 255.255.255.255, port 45454, for ever. Start broadcast_receiver.lua
-- on any machine of the network, as often as you like.
--
-- Prints, with the arguments 127.255.255.255 45454 3 0.1:
--   sent "Broadcast message 1"
--   sent "Broadcast message 2"
--   sent "Broadcast message 3"
local qn = require "qn"

local host = arg[1] or "255.255.255.255"
local port <const> = math.tointeger(arg[2] or 45454) or error("the port must be an integer")
local count <const> = tonumber(arg[3] or math.huge) or error("the count must be a number")
local pause <const> = tonumber(arg[4] or 1) or error("the pause must be a number")

-- IPv4 only, since IPv6 has no broadcast. Broadcasting is allowed by default.
local socket <close> = assert(qn.udp.socket { family = "ipv4" })

local n = 0
while n < count do
  n = n + 1
  local message = "Broadcast message " .. n
  local ok, err = socket:send(message, host, port)
  if ok then
    print(("sent %q"):format(message))
  else
    print("cannot send: " .. err.message) -- no network now: try again later
  end
  if n < count then
    qn.sleep(pause)
  end
end
