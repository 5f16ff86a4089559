-- A fortune client that asks several times at once and never longer than three seconds: what has
-- not come by then is an error of kind "timeout". Needs fortune_server.lua.
--
-- Run:   qnlua examples/fortune_client.lua [host [port]]        default 127.0.0.1 4001
-- Prints:
--   A small change will save you a large one.
--   Somebody is waiting for your answer.
--   What you look for is in the last place you read.

local qn = require "qn"

local host <const> = arg[1] or "127.0.0.1"
local port <const> = math.tointeger(arg[2] or 4001) or error("the port must be an integer")

local function ask()
  local socket <close> = assert(qn.tcp.connect(host, port))
  local line, err = socket:read("l")
  return line or error(err or "the server said nothing")
end

local fortunes, failed = {}, 0
for _, ok, answer in qn.each({ 1, 2, 3 }, ask, { timeout = 3 }) do -- in order of arrival
  if ok then
    fortunes[#fortunes + 1] = answer
  else
    failed = failed + 1
    io.stderr:write("no fortune: ", tostring(answer), "\n")
  end
end

table.sort(fortunes)
for _, fortune in ipairs(fortunes) do
  print(fortune)
end
qn.exit(failed > 0 and 1 or 0)
