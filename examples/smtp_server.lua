-- A mail server that accepts everything and prints it: the other side of smtp_dialogue.lua, and an
-- example of a line protocol with limits on all that a client may send.
--
-- Run:   qnlua examples/smtp_server.lua [address [port]]        default 127.0.0.1 2525
-- Prints (the second line for the mail of smtp_dialogue.lua):
--   listening on 127.0.0.1 port 2525
--   mail from ann@example.org to ben@example.org, cleo@example.org: 4 lines

local qn = require "qn"

local address <const> = arg[1] or "127.0.0.1"
local port <const> = math.tointeger(arg[2] or 2525) or error("the port must be an integer")
local MAX_LINE <const>, MAX_LINES <const>, MAX_RECIPIENTS <const> = 1000, 10000, 100

local function read_line(socket)
  return assert(socket:read_until("\r\n", { max = MAX_LINE, timeout = 300 }))
end

local function read_mail(socket)
  local lines = {}
  while true do
    local line = read_line(socket)
    if line == "." then
      return lines
    end
    lines[#lines + 1] = line:gsub("^%.", "") -- the client doubles a dot at the start of a line
    if #lines > MAX_LINES then
      error(qn.error("limit", "the mail is too long", { op = "smtp" }))
    end
  end
end

local function dialogue(socket)
  local from, to = nil, {}
  local function say(...) assert(socket:write(...)) end
  local commands = {
    HELO = function() say("250 hello\r\n") end,
    ["MAIL"] = function(rest)
      from, to = rest:match("^FROM:<([^>]*)>"), {}
      say(from and "250 ok\r\n" or "501 whose mail?\r\n")
    end,
    RCPT = function(rest)
      local name = rest:match("^TO:<([^>]+)>")
      if not name or not from or #to == MAX_RECIPIENTS then
        return say("550 no\r\n")
      end
      to[#to + 1] = name
      say("250 ok\r\n")
    end,
    DATA = function()
      if #to == 0 then
        return say("503 to whom?\r\n")
      end
      say("354 go on\r\n")
      local lines = read_mail(socket)
      print(("mail from %s to %s: %d lines"):format(from, table.concat(to, ", "), #lines))
      say("250 taken\r\n")
    end,
    QUIT = function() say("221 bye\r\n") end,
  }
  say("220 qnlua ready\r\n")
  local verb
  repeat
    local line = read_line(socket)
    verb = line:match("^%a*"):upper()
    local command = commands[verb] or function() say("500 unknown command\r\n") end
    command(line:match("^%a*%s*(.*)$"))
  until verb == "QUIT"
end

local server <close> = assert(qn.tcp.listen(address, port))
io.stdout:setvbuf("line")
print(("listening on %s port %d"):format(server:address(), server:port()))
assert(server:serve(dialogue, { max_connections = 100, on_error = function(err)
  io.stderr:write("a client was cut off: ", tostring(err), "\n")
end }))
