-- A fortune server and three clients in one script. The server runs one task per connection; the
-- clients ask at the same time, and their answers keep their order.
--
-- Run:   qnlua examples/fortune.lua
-- Prints:
--   Ann, today a short packet will travel far.
--   Ben, today a short packet will travel far.
--   Cleo, today you will listen more than you speak.
--   3 fortunes told

local qn = require "qn"

local fortunes <const> = {
  "today you will listen more than you speak.",
  "today your connection will be accepted.",
  "today nobody will reset you.",
  "today a short packet will travel far.",
}
local told = 0

-- The server's side of one connection; the socket is closed when this returns.
local function tell(socket)
  local name = assert(socket:unpack(">s2")) -- 2 bytes of length, then the text
  told = told + 1
  assert(socket:pack(">s2", name .. ", " .. fortunes[#name % #fortunes + 1]))
end

local server <close> = assert(qn.tcp.listen("127.0.0.1", 0)) -- port 0: any free one
qn.spawn(server.serve, server, tell)

local function ask(name)
  local socket <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
  assert(socket:pack(">s2", name))
  return socket:unpack(">s2")
end

local answers, errors = qn.map({ "Ann", "Ben", "Cleo" }, ask, { timeout = 5 })
for i = 1, 3 do
  print(answers[i] or errors[i])
end
print(told .. " fortunes told")
