-- Echo server on Debian's lua-cqueues under stock Lua 5.4, as quick as it gets: one coroutine per
-- connection, binary mode, no output buffering, and 64 KiB buffers for those who send much (for
-- all they would slow down many small connections). Started by scripts/bench/run; prints "port N"
-- first.
local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local loop = cqueues.new()
local server = assert(socket.listen { host = "127.0.0.1", port = 0, backlog = 511 })
server:listen()

local function serve(connection)
  local large = false
  connection:setmode("bn", "bn")
  connection:onerror(function(_, _, code) return code end)
  for data in function() return connection:read(-65536) end do
    if not connection:write(data) then
      break
    end
    if not large and #data >= 4096 then
      connection:setbufsiz(65536, 65536)
      large = true
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
