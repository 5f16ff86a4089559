-- A binary protocol: each message is a type byte and a text with a 4-byte length in front. unpack
-- reads exactly what its format needs, straight from the stream; a length beyond `max` is refused
-- before any of it is read; a message cut short is an error that holds the rest.
--
-- Run:   qnlua examples/length_prefixed.lua [address [port]]    default 127.0.0.1 0 (any)
-- Prints:
--   sum of 1 2 3: 6
--   upper of quiet: QUIET
--   what is 9: error, unknown type 9
--   too long: read: a limit was exceeded (LIMIT)
--   cut short: the stream ended too early, 5 bytes were left

local qn = require "qn"

local address <const> = arg[1] or "127.0.0.1"
local port <const> = math.tointeger(arg[2] or 0) or error("the port must be an integer")

local MESSAGE <const>, MAX <const> = ">B s4", 1000
local SUM <const>, UPPER <const>, ERROR <const> = 1, 2, 255

local handlers = {
  [SUM] = function(text)
    local sum = 0
    for n in text:gmatch("%d+") do sum = sum + math.tointeger(n) end
    return SUM, tostring(sum)
  end,
  [UPPER] = function(text) return UPPER, text:upper() end,
}

local function answer(socket)
  while true do
    local kind, text = socket:unpack(MESSAGE, { max = MAX })
    if kind == nil then -- text is the error; nil at the plain end of the stream
      return
    end
    local handler = handlers[kind]
    if handler then
      assert(socket:pack(MESSAGE, handler(text)))
    else
      assert(socket:pack(MESSAGE, ERROR, "unknown type " .. kind))
    end
  end
end

local server <close> = assert(qn.tcp.listen(address, port))
qn.spawn(server.serve, server, answer)

local socket <close> = assert(qn.tcp.connect(address, server:port(), { timeout = 5 }))
local function ask(kind, text)
  assert(socket:pack(MESSAGE, kind, text))
  local reply, body = socket:unpack(MESSAGE, { max = MAX })
  return reply == ERROR and "error, " .. body or body
end
print("sum of 1 2 3: " .. ask(SUM, "1 2 3"))
print("upper of quiet: " .. ask(UPPER, "quiet"))
print("what is 9: " .. ask(9, ""))

-- The same calls on a pair of streams in memory, where the other side misbehaves.
local near, far = qn.pair()
far:write(string.pack(MESSAGE, SUM, ("1 "):rep(600)))
print("too long: " .. tostring(select(2, near:unpack(MESSAGE, { max = MAX }))))
near:skip(5 + 1200)
far:write(string.pack(MESSAGE, SUM, "1 2 3"):sub(1, 5))
far:close()
local _, err = near:unpack(MESSAGE)
print(("cut short: %s, %d bytes were left"):format(err.message, #err.partial))
