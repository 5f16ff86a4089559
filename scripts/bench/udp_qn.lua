-- UDP echo on qnlua, one datagram at a time. Started by scripts/bench/run; prints "port N" first.
local qn = require "qn"

local u = assert(qn.udp.bind("127.0.0.1", 0))
print("port " .. u:local_port())
io.stdout:flush()

while true do
  local data, from = u:recv()
  if data then
    u:send(data, from)
  end
end
