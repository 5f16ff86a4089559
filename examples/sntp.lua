-- Network time (SNTP, RFC 4330): asks a time server and says how far this clock is off.
--
--   qnlua examples/sntp.lua [server [port]]
--
-- Shows `request`: the question is sent again when no answer comes, and only an answer to this very
-- question is taken (the server sends our own time stamp back). Start sntp_server.lua for one to ask.
--
-- Prints, against sntp_server.lua with an offset of 100 s:
--   stratum 1, version 4
--   this clock is 100.0 s behind
local qn = require "qn"

local host = arg[1] or "pool.ntp.org"
local port <const> = math.tointeger(arg[2] or 123) or error("the port must be an integer")

local EPOCH <const> = 2208988800 -- seconds from 1900 to 1970
local FORMAT <const> = ">I4 I4" -- seconds since 1900 and their fraction

local function encode(time)
  local seconds = math.floor(time)
  return FORMAT:pack(seconds + EPOCH, math.floor((time - seconds) * 2 ^ 32))
end

local function decode(data, position)
  local seconds, fraction = FORMAT:unpack(data, position)
  return seconds - EPOCH + fraction / 2 ^ 32
end

local socket <close> = assert(qn.udp.connect(host, port))

local sent = qn.time()
local stamp = encode(sent)
local question = "\x23" .. ("\0"):rep(39) .. stamp -- version 4, mode 3: client
local answer, err = socket:request(question, {
  timeout = 1,
  retries = 3,
  match = function(data)
    return #data >= 48 and data:byte(1) & 7 == 4 and data:sub(25, 32) == stamp
  end,
})
if not answer then
  print("no answer: " .. tostring(err))
  os.exit(1)
end
local received = qn.time()

-- The way there and the way back are taken to be equally long.
local offset = ((decode(answer, 33) - sent) + (decode(answer, 41) - received)) / 2
print(("stratum %d, version %d"):format(answer:byte(2), answer:byte(1) >> 3 & 7))
local direction = offset < 0 and "ahead" or "behind"
print(("this clock is %.1f s %s"):format(math.abs(offset), direction))
