-- Echo server on qnlua with qn.copy: the bytes never reach Lua. Started by scripts/bench/run;
-- prints "port N" first.
local qn = require "qn"

local server = assert(qn.tcp.listen("127.0.0.1", 0))
print("port " .. server:port())
io.stdout:flush()

server:serve(function(s)
  qn.copy(s, s)
end)
