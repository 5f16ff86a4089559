-- Echo server on qnlua with plain strings: one task per connection, straight-line code. Started
-- by scripts/bench/run; prints "port N" first.
local qn = require "qn"

local server = assert(qn.tcp.listen("127.0.0.1", 0))
print("port " .. server:port())
io.stdout:flush()

server:serve(function(s)
  while true do
    local data = s:recv()
    if not data then
      break
    end
    s:write(data)
  end
end)
