-- A dialogue in a line protocol: sends a mail through an SMTP server, step by step, and shows what
-- both sides say. A refusal ends it with an error that quotes it. Try it with smtp_server.lua.
--
-- Run:   qnlua examples/smtp_dialogue.lua [host [port]]         default 127.0.0.1 2525
-- Prints:
--   S: 220 qnlua ready
--   C: HELO localhost
--   S: 250 hello
--   C: MAIL FROM:<ann@example.org>
--   S: 250 ok
--   C: RCPT TO:<ben@example.org>
--   S: 250 ok
--   C: RCPT TO:<cleo@example.org>
--   S: 250 ok
--   C: DATA
--   S: 354 go on
--   S: 250 taken
--   C: QUIT
--   S: 221 bye

local qn = require "qn"

local host <const> = arg[1] or "127.0.0.1"
local port <const> = math.tointeger(arg[2] or 2525) or error("the port must be an integer")

local mail <const> = "Subject: dots\n\nA line with only a dot must not end the mail:\n.\n"

-- Reads a reply, which may have several lines ("250-more", "250 last").
local function expect(socket, code)
  repeat
    local line = assert(socket:read_until("\r\n", { max = 1000 }))
    print("S: " .. line)
    if line:sub(1, 3) ~= code then
      error(qn.error("protocol", "expected " .. code .. ", got: " .. line, { op = "smtp" }))
    end
  until line:sub(4, 4) ~= "-"
end

local function step(socket, code, text)
  print("C: " .. text)
  assert(socket:write(text, "\r\n"))
  expect(socket, code)
end

local ok, err = qn.timeout(30, function()
  local socket <close> = assert(qn.tcp.connect(host, port))
  expect(socket, "220")
  step(socket, "250", "HELO localhost")
  step(socket, "250", "MAIL FROM:<ann@example.org>")
  step(socket, "250", "RCPT TO:<ben@example.org>")
  step(socket, "250", "RCPT TO:<cleo@example.org>")
  step(socket, "354", "DATA")
  for line in mail:gmatch("([^\n]*)\n") do
    assert(socket:write(line:gsub("^%.", ".."), "\r\n"))
  end
  assert(socket:write(".\r\n"))
  expect(socket, "250")
  step(socket, "221", "QUIT")
  return true
end)
if not ok then
  error(err)
end
