---The words that come before TLS in mail and file transfer: STARTTLS of SMTP, IMAP, POP3 and FTP.
---
---Used by lua/qn/cert_command.lua alone. Reads replies up to the one that says "go on", and not a byte
---more. Everything a server can send is bounded; a server that does not offer TLS is an error in words.

local core = require "qn.core"

local M = {}

local LINE_MAX <const> = 4096 -- bytes of one line
local LINES_MAX <const> = 200 -- lines before TLS, greetings included

---Ports that these protocols have.
M.ports = { smtp = 25, imap = 143, pop3 = 110, ftp = 21 }

local function refuse(what, line)
  local text = line and ("%s: %s"):format(what, line) or what
  error(core.error("protocol", text, { op = "starttls" }), 0)
end

-- A reader of lines that throws errors.
local function reader(socket)
  local count = 0
  return function()
    count = count + 1
    if count > LINES_MAX then
      refuse(("more than %d lines before TLS"):format(LINES_MAX))
    end
    local line, err = socket:read_until("\n", { max = LINE_MAX })
    if not line then
      error(err or core.error("eof", "the server has closed the connection before TLS",
        { op = "starttls" }), 0)
    end
    return (line:gsub("\r$", ""))
  end
end

local function say(socket, line)
  local ok, err = socket:write(line, "\r\n")
  if not ok then
    error(err, 0)
  end
end

-- A reply of SMTP or FTP, all of its lines in one string; its code must be the one expected.
local function reply(next_line, code, what)
  local lines = {}
  repeat
    local line = next_line()
    lines[#lines + 1] = line
    -- Lines between the first and the last one may hold anything in FTP.
    local done = line:find("^%d%d%d ") or line:find("^%d%d%d$")
  until done
  if lines[#lines]:sub(1, 3) ~= code then
    refuse(what, lines[#lines])
  end
  return table.concat(lines, "\n") .. "\n"
end

local dialogues = {}

function dialogues.smtp(socket, next_line)
  reply(next_line, "220", "no greeting of SMTP")
  say(socket, "EHLO localhost")
  if not reply(next_line, "250", "EHLO is refused"):upper():find("250[ %-]STARTTLS%s") then
    refuse("the server does not offer STARTTLS")
  end
  say(socket, "STARTTLS")
  reply(next_line, "220", "STARTTLS is refused")
end

function dialogues.ftp(socket, next_line)
  reply(next_line, "220", "no greeting of FTP")
  say(socket, "AUTH TLS")
  reply(next_line, "234", "AUTH TLS is refused")
end

function dialogues.pop3(socket, next_line)
  local line = next_line()
  if line:sub(1, 3) ~= "+OK" then
    refuse("no greeting of POP3", line)
  end
  say(socket, "STLS")
  line = next_line()
  if line:sub(1, 3) ~= "+OK" then
    refuse("STLS is refused", line)
  end
end

function dialogues.imap(socket, next_line)
  local line = next_line()
  if not line:find("^%* OK") then
    refuse("no greeting of IMAP", line)
  end
  say(socket, "a1 STARTTLS")
  repeat
    line = next_line()
  until line:sub(1, 3) == "a1 "
  if not line:find("^a1 OK") then
    refuse("STARTTLS is refused", line)
  end
end

---Speaks until the server expects TLS.
---
---Errors: kind `protocol` (it says something else), `limit`, those of the connection.
---@async
---@param socket qn.Stream
---@param protocol "smtp"|"imap"|"pop3"|"ftp"
---@return true? ok
---@return qn.Error? err
function M.run(socket, protocol)
  local ok, err = pcall(dialogues[protocol], socket, reader(socket))
  if ok then
    return true
  elseif core.is_error(err) then
    return nil, err
  end
  error(err, 0)
end

return M
