-- An echo server that speaks TLS, with a self-signed certificate made on the spot. Clients that shall
-- trust it are given the certificate, for example:
--   openssl s_client -connect 127.0.0.1:4007 -CAfile echo.pem -verify_return_error
-- When the server gets the signal HUP it makes a new certificate: connections go on, later ones get it.
--
-- Run:   qnlua examples/tls_echo_server.lua [port [file for the certificate]]      default 4007
-- Prints:
--   listening on 127.0.0.1 port 4007
-- and to stderr the fingerprint of the certificate, who comes and what fails.

local qn = require "qn"

local port <const> = math.tointeger(arg[1] or 4007) or error("the port must be an integer")
local path <const> = arg[2]

local function new_identity()
  local names = { "localhost", "127.0.0.1", "::1" }
  local certificate, key = assert(qn.tls.self_signed { names = names, days = 30 })
  if path then
    local file <close> = assert(io.open(path, "w"))
    assert(file:write(certificate:to_pem()))
  end
  io.stderr:write("certificate with SHA-256 ", qn.crypto.to_hex(certificate:digest()), "\n")
  return { cert = certificate, key = key }
end

local function echo(socket)
  local facts = socket:tls()
  io.stderr:write(("%s port %d: %s, %s%s\n"):format(socket:peer_address(), socket:peer_port(),
    facts.version, facts.cipher, facts.resumed and ", resumed" or ""))
  socket:set_timeouts { read = 60 }
  for line in socket:lines("L", { max = 65536 }) do
    socket:write(line)
  end
end

local server <close> = assert(qn.tls.listen("127.0.0.1", port, new_identity()))
server:on("handshake_error", function(err)
  io.stderr:write(tostring(err), "\n")
end)

qn.detach(function()
  local hup <close> = qn.signal "hup"
  while hup:wait() do
    assert(server:configure(new_identity()))
  end
end)

io.stdout:setvbuf("line")
print(("listening on %s port %d"):format(server:address(), server:port()))
assert(server:serve(echo, { max_connections = 1000, on_error = function(err)
  io.stderr:write("a client was lost: ", tostring(err), "\n")
end }))
