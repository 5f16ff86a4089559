-- A fortune server: sends each client one line and closes. Ask it with fortune_client.lua or
-- blocking_fortune_client.lua. Interrupt it with Ctrl-C.
--
-- Run:   qnlua examples/fortune_server.lua [address [port]]     default 127.0.0.1 4001
-- Prints:
--   listening on 127.0.0.1 port 4001

local qn = require "qn"

local address <const> = arg[1] or "127.0.0.1"
local port <const> = math.tointeger(arg[2] or 4001) or error("the port must be an integer")

local fortunes <const> = {
  "Somebody is waiting for your answer.",
  "A small change will save you a large one.",
  "What you look for is in the last place you read.",
}

local server <close> = assert(qn.tcp.listen(address, port))
io.stdout:setvbuf("line")
print(("listening on %s port %d"):format(server:address(), server:port()))

local turn = 0
assert(server:serve(function(socket)
  local fortune = fortunes[turn % #fortunes + 1]
  turn = turn + 1
  assert(socket:write(fortune, "\n"))
end, {
  max_connections = 1000,
  on_error = function(err) io.stderr:write("a client left early: ", tostring(err), "\n") end,
}))
