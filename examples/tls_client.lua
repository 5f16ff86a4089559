-- Qt's secure socket client: connects with TLS, shows what was agreed and whose certificate it is, then
-- sends the lines of standard input and prints what comes back. When the certificate is not good it
-- says in words why, and asks nobody: "-k" goes on all the same.
--
-- Run:   qnlua examples/tls_client.lua [-k] [-a ca.pem] host [port]      the port is 443
-- Prints, against a server of one's own:
--   connected to localhost: TLSv1.3, TLS_AES_256_GCM_SHA384 (256 bits)
--   certificate 1: server, issued by mid, for localhost, *.wild.test
--   certificate 2: mid, issued by root, for nobody
--   hello over there
--   the server has ended the connection

local qn = require "qn"

local options, words = {}, table.move(arg, 1, #arg, 1, {})
while words[1] and words[1]:find "^%-" do
  local word = table.remove(words, 1)
  if word == "-k" then
    options.verify = "query" -- look at the certificate, but go on
  elseif word == "-a" then
    options.ca = table.remove(words, 1)
  else
    error("unknown option " .. word)
  end
end
local host <const> = words[1] or error("which host?")
local port <const> = math.tointeger(words[2] or 443) or error("the port must be an integer")

local socket, err = qn.tls.connect(host, port, options)
if not socket then
  print("cannot connect: " .. err.message)
  for i, problem in ipairs(err.errors or {}) do
    print(("  %d. %s (%s)"):format(i, problem.message, problem.code))
  end
  os.exit(1)
end

local facts <const> = socket:tls()
print(("connected to %s: %s, %s (%d bits)"):format(host, facts.version, facts.cipher,
  facts.cipher_bits))
for i, certificate in ipairs(facts.chain) do
  local names = certificate.names.dns
  print(("certificate %d: %s, issued by %s, for %s"):format(i, certificate.subject_display_name,
    certificate.issuer_display_name, #names > 0 and table.concat(names, ", ") or "nobody"))
end
for _, problem in ipairs(facts.errors) do
  print("  not good: " .. problem.message)
end

-- Standard input goes out in a task of its own; the end of it is told by close_notify.
local sender <const> = qn.spawn(function()
  for line in qn.file.stdin():lines() do
    assert(socket:write(line, "\r\n"))
  end
  assert(socket:shutdown("w"))
end)
for line in socket:lines() do
  print((line:gsub("\r$", "")))
end
print("the server has ended the connection")
sender:cancel()
socket:close()
