-- A chat by lines: what one member says goes to all others, joining and leaving are announced. A
-- member that does not read what it is sent never holds up the others: above a limit it is dropped.
-- Members come with any line client, for example: nc 127.0.0.1 4002
--
-- Run:   qnlua examples/chat_server.lua [address [port]]        default 127.0.0.1 4002
-- Prints:
--   listening on 127.0.0.1 port 4002

local qn = require "qn"

local address <const> = arg[1] or "127.0.0.1"
local port <const> = math.tointeger(arg[2] or 4002) or error("the port must be an integer")
local MAX_LINE <const>, MAX_NAME <const>, MAX_UNREAD <const> = 4000, 30, 256 * 1024

local members = {} -- name -> socket

-- Only what a socket has no room for is kept in memory, and that has a limit: this never waits.
local function say_to_all(line, speaker)
  local now = {}
  for name, socket in pairs(members) do
    now[#now + 1] = name ~= speaker and socket or nil
  end
  for _, socket in ipairs(now) do
    if socket:bytes_to_write() > MAX_UNREAD then
      socket:abort() -- its own task notices and lets it leave
    else
      socket:write(line, "\n")
    end
  end
end

local function ask_name(socket)
  assert(socket:write("your name?\n"))
  local name = socket:read("l", { timeout = 60, max = MAX_NAME })
  name = name and name:match("^%s*(%w+)")
  if name and not members[name] then
    return name
  end
  socket:write(name and "this name is taken\n" or "letters and digits, please\n")
end

local function chat(socket)
  local name = ask_name(socket)
  if not name then
    return
  end
  members[name] = socket
  local _ <close> = setmetatable({}, { __close = function()
    members[name] = nil
    say_to_all(name .. " has left")
  end })
  say_to_all(name .. " has joined")
  for line in socket:lines("l", { max = MAX_LINE }) do
    say_to_all(name .. ": " .. line:gsub("%c", ""), name)
  end
end

local server <close> = assert(qn.tcp.listen(address, port))
io.stdout:setvbuf("line")
print(("listening on %s port %d"):format(server:address(), server:port()))
assert(server:serve(chat, { max_connections = 1000, on_error = function(err)
  io.stderr:write("a member was lost: ", tostring(err), "\n")
end }))
