-- Echo server on Debian's lua-luv under stock Lua 5.4, in its fastest form: callbacks, the write
-- tried at once, only what is refused queued. Started by scripts/bench/run; prints "port N"
-- first.
local uv = require "luv"

local server = uv.new_tcp()
assert(server:bind("127.0.0.1", 0))

local function serve(client)
  client:nodelay(true)
  client:read_start(function(err, data)
    if err or not data then
      client:close()
      return
    end
    local written = client:try_write(data) or 0
    if written < #data then
      client:write(data:sub(written + 1))
    end
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
