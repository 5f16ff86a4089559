-- Qt's secure UDP server and client in one script: a DTLS server that gives back what it gets, two
-- clients, and a certificate that is made on the spot. The clients trust that one certificate; a third
-- one does not, and is told so.
--
-- Run:   qnlua examples/dtls_echo.lua
-- Prints:
--   ada: DTLSv1.2, certificate of localhost
--   ada: got back "1 from ada"
--   ada: got back "2 from ada"
--   bob: DTLSv1.2, certificate of localhost
--   bob: got back "1 from bob"
--   bob: got back "2 from bob"
--   eve: the certificate of "localhost" is self-signed and not trusted
--   2 served, 1 failed

local qn = require "qn"

local cert <const>, key <const> = assert(qn.tls.self_signed { names = { "localhost" } })
local server <const> = assert(qn.dtls.listen("127.0.0.1", 0,
  { cert = cert, key = key, idle_timeout = 60 }))

-- Each client is a task; its loop ends when the client closes, or when nothing has come for a minute.
local serving <const> = qn.spawn(function()
  server:serve(function(connection)
    for message in connection:each() do
      assert(connection:send(message))
    end
  end)
end)

local function client(name)
  local c <close> = assert(qn.dtls.connect("localhost", server:port(), { ca = cert }))
  print(("%s: %s, certificate of %s"):format(name, c:tls().version, c:tls().peer.names.dns[1]))
  for i = 1, 2 do
    local message = i .. " from " .. name
    local answer
    for _ = 1, 5 do -- a datagram may be lost: ask again
      assert(c:send(message))
      answer = c:recv { timeout = 1 }
      if answer then
        break
      end
    end
    print(('%s: got back "%s"'):format(name, answer))
  end
end

client "ada"
client "bob"
local _, err = qn.dtls.connect("localhost", server:port()) -- trusts what the system trusts
print("eve: " .. err.message)

server:close { grace = 1 }
serving:join()
print(("%d served, %d failed"):format(server:stats().accepted, server:stats().failed))
