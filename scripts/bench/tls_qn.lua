-- TLS server on qnlua: tls_qn.lua CERT KEY. A line from the client is answered with 64 MiB and the
-- end; "x" comes back as it is and "g" after two full collections (memory). Started by
-- scripts/bench/run; prints "port N" first.
local qn = require "qn"

local piece <const> = ("x"):rep(65536)
local server = assert(qn.tls.listen("127.0.0.1", 0, { cert = arg[1], key = arg[2] }))
print("port " .. server:port())
io.stdout:flush()

server:serve(function(s)
  local line = s:read "l"
  if line then
    for _ = 1, 1024 do
      if not s:write(piece) then
        break
      end
    end
  end
end)
