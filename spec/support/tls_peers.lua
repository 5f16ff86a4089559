-- TLS programs of others for specs: openssl s_server and s_client, gnutls-serv and gnutls-cli, nginx,
-- Node, curl. Servers get a free port and are ready when the starter returns, which is seen in the
-- system's table of sockets: nothing connects to find out. Each is stopped by its id at `<close>`.
-- `start(shop, opts)`: `identity` names a certificate of the workshop (spec/support/tls_certs.lua),
-- `args` are added to the command; see each one for the rest.

local program = require "spec.support.program"
local servers = require "spec.support.servers"

local M = {}

local Peer = {}
Peer.__index = Peer

-- Starts it with a pipe as its input, which stays open until it is closed.
local function start(words, port)
  local folder = program.scratch()
  local pipe = folder .. "/in"
  assert(os.execute("mkfifo " .. pipe))
  local self = setmetatable({ folder = folder, port = port }, Peer)
  self.program = program.start { "sh", "-c", 'f=$1; shift; exec "$@" <"$f"', "sh", pipe,
    table.unpack(words) }
  self.input = assert(io.open(pipe, "w")) -- not before, or it would have this end as well
  self.input:setvbuf("no")
  self.program.name = words[1]
  if port then
    local ok, err = pcall(self.program.wait_until_it_listens, self.program, port)
    if not ok then
      self:stop()
      error(err, 0)
    end
  end
  return self
end

---Sends this to its standard input.
function Peer:say(text)
  assert(self.input:write(text))
end

---Sends a signal, "STOP" or "CONT" say.
function Peer:signal(name)
  assert(os.execute(("kill -%s %d"):format(name, self.program.pid)))
end

---Ends its standard input.
function Peer:finish()
  self.input:close()
end

---Waits until what it prints matches, returns the captures.
function Peer:wait_for(pattern)
  return self.program:wait_for(pattern)
end

---What it has printed, also its errors.
function Peer:output()
  return self.program:output()
end

---Waits for its end: status, output, errors.
function Peer:wait()
  return self.program:wait()
end

function Peer:stop(signal)
  if self.program then
    self.program:stop(signal or "KILL")
    self.program:__close()
    if io.type(self.input) == "file" then
      self.input:close()
    end
    program.remove(self.folder)
    self.program = nil
  end
end
Peer.__close = function(self) self:stop() end

local function join(words, ...)
  for _, more in ipairs { ... } do
    table.move(more, 1, #more, #words + 1, words)
  end
  return words
end

local function identity_args(shop, name, cert, key, chain)
  if not name then
    return {}
  end
  local words = { cert, shop:cert(name), key, shop:key(name) }
  if chain and shop:rest(name) then
    join(words, { chain, shop:rest(name) })
  end
  return words
end

---`openssl s_server`, in the folder `opts.folder`. What clients send is printed; `say` sends to the client.
function M.s_server(shop, opts)
  local port = program.free_port()
  local words = { "env", "-C", opts.folder or ".", "openssl", "s_server", "-accept", "127.0.0.1:" .. port, "-no_dhe" }
  return start(join(words, identity_args(shop, opts.identity or "server", "-cert", "-key",
    "-cert_chain"), opts.args or {}), port)
end

---`openssl s_client`, which must be told what to send by `say`; ends by "Q\n" unless -quiet is among
---the arguments.
function M.s_client(shop, port, opts)
  local words = { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-CAfile", shop:cert "root",
    "-verify_return_error", "-servername", "localhost" }
  return start(join(words, identity_args(shop, opts.identity, "-cert", "-key"), opts.args or {}))
end

---`gnutls-serv --echo`: what clients send comes back when a line ends.
function M.gnutls_serv(shop, opts)
  local port = program.free_port()
  local name = opts.identity or "server"
  return start(join({ "gnutls-serv", "--echo", "--crlf", "-p", port, "--x509certfile",
    shop:chain(name), "--x509keyfile", shop:key(name) }, opts.args or {}), port)
end

---`gnutls-cli` as a client that trusts the workshop's root.
function M.gnutls_cli(shop, port, opts)
  local words = { "gnutls-cli", "-p", port, "--x509cafile", shop:cert "root" }
  return start(join(words, identity_args(shop, opts.identity, "--x509certfile", "--x509keyfile"),
    opts.args or {}, { opts.host or "localhost" }))
end

local NGINX <const> = servers.NGINX .. [[
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:here:1m;
@MORE@
  server {
    listen 127.0.0.1:@PORT@ ssl http2;
    ssl_certificate @CERT@;
    ssl_certificate_key @KEY@;
    root @DIR@/www;
    location = /facts {
      return 200 "$ssl_protocol $ssl_session_reused $ssl_client_verify $ssl_server_name $ssl_alpn_protocol\n";
    }
  }
}
]]

---nginx with HTTP/1.1 and 2 over TLS: /facts tells what it sees of the connection, files are those of
---`opts.files`; `opts.more` are lines of its configuration.
function M.nginx(shop, opts)
  local port, name = program.free_port(), opts.identity or "server"
  local folder = shop:path("nginx" .. port)
  assert(os.execute("mkdir -p " .. folder .. "/www"))
  for path, text in pairs(opts.files or {}) do
    shop:write("nginx" .. port .. "/www/" .. path, text)
  end
  local values = { DIR = folder, PORT = port, CERT = shop:chain(name), KEY = shop:key(name),
    MORE = opts.more or "" }
  shop:write("nginx" .. port .. "/nginx.conf", (NGINX:gsub("@(%u+)@", values)))
  return start({ "nginx", "-p", folder, "-e", folder .. "/error.log", "-c", folder .. "/nginx.conf" },
    port)
end

---Node, which runs spec/support/tls_peer.js: `what` is "echo", "smtp", "inject" (servers) or "client".
---It prints a line of JSON for each thing that happens.
function M.node(shop, what, opts)
  local port = opts.port or program.free_port()
  local words = { "node", "spec/support/tls_peer.js", what, port, shop:cert "root" }
  local name = opts.identity or (what ~= "client" and "server")
  words[#words + 1] = name and shop:chain(name) or "-"
  words[#words + 1] = name and shop:key(name) or "-"
  return start(join(words, opts.args or {}), not opts.port and port or nil)
end

---curl, run to its end: status, output, errors.
function M.curl(shop, args)
  return program.run(join({ "curl", "-sS", "--max-time", 60, "--noproxy", "*", "--cacert",
    shop:cert "root" }, args))
end

return M
