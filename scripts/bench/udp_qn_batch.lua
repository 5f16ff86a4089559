-- UDP echo on qnlua in batches. Started by scripts/bench/run; prints "port N" first.
local qn = require "qn"

local u = assert(qn.udp.bind("127.0.0.1", 0))
print("port " .. u:local_port())
io.stdout:flush()

while true do
  local list = u:recv_batch(64)
  if list then
    u:send_batch(list)
  end
end
