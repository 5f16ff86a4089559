-- Server for idle connections on qnlua: each has a task parked in a plain read of one byte.
-- Echoes the byte; before a "g" it collects all garbage. Started by scripts/bench/run; prints
-- "port N" first.
local qn = require "qn"

local server = assert(qn.tcp.listen("127.0.0.1", 0))
print("port " .. server:port())
io.stdout:flush()

server:serve(function(s)
  while true do
    local byte = s:read(1)
    if not byte then
      break
    end
    if byte == "g" then
      collectgarbage()
      collectgarbage()
    end
    s:write(byte)
  end
end)
