-- Server for idle connections on lua-luv: each has a read callback. Echoes the byte; before a "g"
-- it collects all garbage. Started by scripts/bench/run; prints "port N" first.
local uv = require "luv"

local server = uv.new_tcp()
assert(server:bind("127.0.0.1", 0))

local function serve(client)
  client:read_start(function(err, data)
    if err or not data then
      client:close()
      return
    end
    if data == "g" then
      collectgarbage()
      collectgarbage()
    end
    client:try_write(data)
  end)
end

assert(server:listen(511, function(err)
  assert(not err, err)
  local client = uv.new_tcp()
  assert(server:accept(client))
  serve(client)
end))

print("port " .. server:getsockname().port)
io.stdout:flush()
uv.run()
