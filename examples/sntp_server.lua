-- A small time server (SNTP, RFC 4330): answers with the time of this machine.
--
--   qnlua examples/sntp_server.lua [address [port [offset]]]
--
-- The port is 1123 (the usual one, 123, needs rights); 0 takes any free one. The offset in seconds
-- makes its clock wrong, for trying. `reply` answers from the address that was asked, whatever
-- addresses the machine has.
--
-- Prints, after one question of sntp.lua:
--   time server on port 1123
--   answered 127.0.0.1
local qn = require "qn"

local address = arg[1] or "*"
local port <const> = math.tointeger(arg[2] or 1123) or error("the port must be an integer")
local offset <const> = tonumber(arg[3] or 0) or error("the offset must be a number")

local EPOCH <const> = 2208988800 -- seconds from 1900 to 1970

local function stamp(time)
  local seconds = math.floor(time)
  return (">I4 I4"):pack(seconds + EPOCH, math.floor((time - seconds) * 2 ^ 32))
end

local socket <close> = assert(qn.udp.bind(address, port))
print("time server on port " .. socket:local_port())
io.stdout:flush()

for question, from in socket:each() do
  local now = stamp(qn.time() + offset)
  if #question >= 48 and question:byte(1) & 7 == 3 then -- mode 3: a client
    local version = question:byte(1) & 0x38
    -- mode 4: server; stratum 1, poll, precision; root delay and dispersion; the source "LOCL"
    local head = string.char(version | 4, 1, question:byte(3), 0xec)
      .. (">I4 I4 c4"):pack(0, 0, "LOCL")
    -- reference, the client's own stamp, received, sent
    local ok, err = from:reply(head .. now .. question:sub(41, 48) .. now
      .. stamp(qn.time() + offset))
    print(ok and "answered " .. tostring(from.address) or "cannot answer: " .. tostring(err))
    io.stdout:flush()
  end
end
