-- A private authority in a few lines: a root, an intermediate authority, a certificate for a server and
-- one for a client, each verified as a peer would do it. The root's key can stay in a drawer: what is
-- used every day is the intermediate's.
--
-- Run:   qnlua examples/private_ca.lua [folder]
--
-- With a folder: root.pem (for those who shall trust), server.pem and client.pem (certificate and chain),
-- server.key, and client.p12 for a browser (passphrase "secret").
--
-- Prints:
--   root    Example Root, authority, 10 years
--   mid     Example CA, authority, 5 years
--   server  www.example.test 10.0.0.1, 90 days
--   client  ann@example.test, 90 days
--   the server's is good for www.example.test
--   the server's is not good for other.test: certificate for www.example.test and 10.0.0.1 does not match host "other.test"
--   the client's is good for clients
--   the client's is not good for servers: CERT_INVALID_PURPOSE

local qn = require "qn"
local tls = qn.tls
local folder = ...

-- the authority
local root, root_key = assert(tls.self_signed { subject = { O = "Example", CN = "Example Root" },
  ca = true, days = 3650 })
local request, mid_key = assert(tls.request { subject = { O = "Example", CN = "Example CA" } })
local mid = assert(tls.sign(request, root, root_key, { ca = true, path_length = 0, days = 1825 }))

-- a server makes its key and asks; the authority decides what it gets
local wanted, server_key = assert(tls.request { names = { "www.example.test", "10.0.0.1" } })
local server = assert(tls.sign(wanted, mid, mid_key, { usage = "server", days = 90 }))

-- the client's key is made here, too
local client_key = assert(tls.generate_key())
local client = assert(tls.sign(client_key, mid, mid_key, { names = "ann@example.test",
  subject = "Ann", usage = "client", days = 90 }))

local function show(what, certificate, kind)
  local names = certificate.names
  local ip = names.ip[1] and " " .. names.ip[1] or ""
  local name = names.dns[1] or names.email[1] or certificate.subject.CN
  print(("%-7s %s%s, %s"):format(what, name, ip, kind))
end
show("root", root, "authority, 10 years")
show("mid", mid, "authority, 5 years")
show("server", server, "90 days")
show("client", client, "90 days")

local function check(whose, certificate, host, purpose)
  local ok, errors = tls.verify({ certificate, mid }, host, { ca = root, purpose = purpose })
  local good = ok and "good" or "not good"
  print(("the %s's is %s for %s%s"):format(whose, good, host or purpose .. "s",
    ok and "" or ": " .. (host and errors[1].message or errors[1].code)))
end
check("server", server, "www.example.test", "server")
check("server", server, "other.test", "server")
check("client", client, nil, "client")
check("client", client, nil, "server")

if folder then
  local function write(name, data) assert(qn.file.write(folder .. "/" .. name, data)) end
  local function write_secret(name, data)
    write(name, "")
    assert(qn.file.chmod(folder .. "/" .. name, tonumber("600", 8)))
    write(name, data)
  end
  write("root.pem", root:to_pem())
  write("server.pem", server:to_pem() .. mid:to_pem())
  write("client.pem", client:to_pem() .. mid:to_pem())
  write_secret("server.key", server_key:to_pem())
  write_secret("client.p12", assert(tls.export_pkcs12 { certificate = client, key = client_key,
    chain = { mid }, name = "Ann", passphrase = "secret" }))
end
