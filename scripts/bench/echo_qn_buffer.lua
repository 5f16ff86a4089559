-- Echo server on qnlua with one reusable buffer per connection: no Lua string per message.
-- Started by scripts/bench/run; prints "port N" first.
local qn = require "qn"

local server = assert(qn.tcp.listen("127.0.0.1", 0))
print("port " .. server:port())
io.stdout:flush()

server:serve(function(s)
  local buf = qn.buffer(65536)
  while s:read_into(buf) do
    s:write(buf)
  end
end)
