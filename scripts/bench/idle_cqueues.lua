-- Server for idle connections on lua-cqueues: each has a coroutine parked in a read of one byte.
-- Echoes the byte; before a "g" it collects all garbage. Started by scripts/bench/run; prints
-- "port N" first.
local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local loop = cqueues.new()
local server = assert(socket.listen { host = "127.0.0.1", port = 0, backlog = 511 })
server:listen()

local function serve(connection)
  connection:setmode("bn", "bn")
  connection:onerror(function(_, _, code) return code end)
  for byte in function() return connection:read(1) end do
    if byte == "g" then
      collectgarbage()
      collectgarbage()
    end
    if not connection:write(byte) then
      break
    end
  end
  connection:close()
end

loop:wrap(function()
  while true do
    local connection = server:accept { nodelay = true }
    if connection then
      loop:wrap(serve, connection)
    end
  end
end)

local _, _, port = server:localname()
print("port " .. port)
io.stdout:flush()
assert(loop:loop())
