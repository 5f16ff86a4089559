-- The plainest client there is: one statement after the other, no task, no callback, each failure
-- looked at where it happens. Needs fortune_server.lua. It also runs in a stock lua5.4 that finds
-- the module qn.
--
-- Run:   qnlua examples/blocking_fortune_client.lua [host [port]]   default 127.0.0.1 4001
-- Prints:
--   connected to 127.0.0.1 port 4001
--   fortune: Somebody is waiting for your answer.

local qn = require "qn"

local host <const> = arg[1] or "127.0.0.1"
local port <const> = math.tointeger(arg[2] or 4001) or error("the port must be an integer")

local socket, err = qn.tcp.connect(host, port, { timeout = 5 })
if not socket then
  print("cannot connect: " .. err.message) -- also: err.kind, err.code, err.peer
  os.exit(1)
end
print(("connected to %s port %d"):format(socket:peer_name(), socket:peer_port()))

local fortune
fortune, err = socket:read("l", { timeout = 5 })
if fortune then
  print("fortune: " .. fortune)
elseif err then
  print("no fortune: " .. err.message)
else
  print("no fortune: the server closed the connection")
end
socket:close()
