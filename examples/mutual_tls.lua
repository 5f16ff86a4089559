-- Mutual TLS: both sides show a certificate of the same private CA, which is made on the spot. The
-- server knows its clients by their names; who has no certificate, or one of somebody else, is told so.
--
-- Run:   qnlua examples/mutual_tls.lua
-- Prints:
--   ann: hello ann
--   ben: hello ben
--   nobody: the peer sent TLS alert: certificate_required
--   mallory: the peer sent TLS alert: unknown_ca
--   2 guests came in, 2 were turned away

local qn = require "qn"

local function new_ca(name)
  local ca, key = assert(qn.tls.self_signed { subject = name, ca = true })
  return function(names, usage) -- issues a certificate with a key of its own
    local request, own_key = assert(qn.tls.request { names = names, subject = names[1] })
    return { cert = assert(qn.tls.sign(request, ca, key, { usage = usage })), key = own_key }
  end, ca
end

local issue <const>, ca <const> = new_ca "House CA"
local forge <const> = new_ca "Somebody else"

local identity <const> = issue({ "localhost" }, "server")
local server <close> = assert(qn.tls.listen("127.0.0.1", 0,
  { cert = identity.cert, key = identity.key, ca = ca, verify = "peer" }))
local turned_away = 0
server:on("handshake_error", function() turned_away = turned_away + 1 end)

local guests = 0
local serving <const> = qn.spawn(function()
  server:serve(function(socket)
    guests = guests + 1
    local name = socket:tls().peer.subject_display_name
    assert(socket:write("hello ", name, "\n"))
  end)
end)

local function visit(name, own)
  local socket, err = qn.tls.connect("localhost", server:port(),
    { ca = ca, cert = own and own.cert, key = own and own.key })
  local line
  if socket then -- with TLS 1.3 a refusal comes with the first answer
    line, err = socket:read("l")
    socket:close()
  end
  print(name .. ": " .. (line or err.message))
end

visit("ann", issue({ "ann" }, "client"))
visit("ben", issue({ "ben" }, "client"))
visit("nobody", nil)
visit("mallory", forge({ "ann" }, "client"))
serving:cancel()
serving:join()
print(("%d guests came in, %d were turned away"):format(guests, turned_away))
