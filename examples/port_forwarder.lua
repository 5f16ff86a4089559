-- Forwards a port: each connection that comes in is joined with one to the target, both ways, in C:
-- no Lua runs per byte. The end of one direction is passed on, the other may still go on.
--
-- Run:   qnlua examples/port_forwarder.lua [host [port [listen]]]  default 127.0.0.1 4001 4003
-- Prints (the second line after one client of fortune_server.lua):
--   port 4003 leads to 127.0.0.1 port 4001
--   0 bytes up, 37 bytes down

local qn = require "qn"

local host <const> = arg[1] or "127.0.0.1"
local port <const> = math.tointeger(arg[2] or 4001) or error("the port must be an integer")
local listen_port <const> = math.tointeger(arg[3] or 4003) or error("the port must be an integer")

local server <close> = assert(qn.tcp.listen("127.0.0.1", listen_port))
io.stdout:setvbuf("line")
print(("port %d leads to %s port %d"):format(server:port(), host, port))

local function forward(client)
  local target <close> = assert(qn.tcp.connect(host, port, { timeout = 10 }))
  local up, down, err = qn.join(client, target)
  if up then
    print(("%d bytes up, %d bytes down"):format(up, down))
  else
    error(err)
  end
end

assert(server:serve(forward, { max_connections = 500, on_error = function(err)
  io.stderr:write("a connection failed: ", tostring(err), "\n")
end }))
