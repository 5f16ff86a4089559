---DTLS 1.2 over UDP: connecting, listening, a socket of one's own, cookies (QDtls, QDtlsClientVerifier).
---
---Options are checked here and split: those of the datagram socket go to qn.udp, those of TLS to
---qn.tls.configuration, the rest to C (bindings/b_dtls*.c). Must not leave a socket open when something
---fails: whoever makes one holds it by a guard until it has been handed over.

local core = require "qn.core"
local configuration = require "qn.tls.configuration"
local connection = require "qn.dtls.connection"
local options = require "qn.options"
local server = require "qn.dtls.server"
local udp = require "qn.udp"

---DTLS 1.2 over UDP (QDtls, QDtlsClientVerifier).
---@class qn.dtls
local M = {}

local CONNECT_S <const> = 30 -- the limit of a connect when none is given

-- Options of the datagram socket.
local BUFFER <const> = { type = "integer", min = 0, max = 0x3fffffff }
local MODE <const> = { enum = { "default", "share", "exclusive", "reuse" } }
local BOTH <const> = {
  family = { enum = { "any", "ipv4", "ipv6" } }, v6only = { type = "boolean" },
  reuse_port = { type = "boolean" }, receive_buffer = BUFFER, send_buffer = BUFFER,
  ttl = { type = "integer", min = 1, max = 255 },
}
local BIND <const> = { mode = MODE }
local CONNECT <const> = { bind = { type = "string|userdata" }, mode = MODE }

local function union(...)
  local all = {}
  for _, rules in ipairs { ... } do
    for name, rule in pairs(rules) do
      all[name] = rule
    end
  end
  return all
end

local LISTEN_RULES <const> = union(configuration.RULES, server.RULES, BOTH, BIND)
local OVER_RULES <const> = union(configuration.RULES, server.RULES)
local CONNECT_RULES <const> = union(configuration.RULES, configuration.CONNECTION,
  connection.RULES, BOTH, CONNECT)

-- The options whose names are in one of the sets.
local function only(opts, ...)
  local out = {}
  for _, set in ipairs { ... } do
    for name in pairs(set) do
      out[name] = opts[name]
    end
  end
  return out
end

-- Whatever happens before `done` is set closes it.
local guard = { __close = function(g)
  if not g.done then
    g.object:close()
  end
end }

-- Mistakes in addresses are the caller's, who is `level` functions away.
local function pass(level, ok, first, ...)
  if ok then
    return first, ...
  elseif type(first) == "string" then
    local text = first:gsub("^[^:]*qn/%w+%.lua:%d+: ", "")
    error((text:gsub("^(bad argument #%d+ to )'bind'", "%1'listen'")), level + 1)
  end
  error(first, 0)
end

---@class qn.DtlsConnectOptions: qn.TlsOptions
---@field tls? qn.TlsConfiguration|true what the other options are laid on (default: the default configuration)
---@field timeout? number|false seconds for look-up and handshake together (default 30)
---@field mtu? integer largest datagram to send, 228 to 16717 bytes (default 1200); the kernel may lower it
---@field idle_timeout? number|false seconds without a message of the peer, then it is closed (default false)
---@field retransmit_timeout? number seconds until a handshake message that was not answered is sent again, 0.02 to 60 (default 1); doubled each time, up to 60
---@field on_ssl_errors? fun(errors: qn.Error[], connection: qn.DtlsConnection): boolean? asked when the peer's certificate has errors that are not ignored; may wait; true: go on
---@field bind? string|qn.Address local address, with or without a port
---@field mode? "default"|"share"|"exclusive"|"reuse" for `bind`
---@field family? "any"|"ipv4"|"ipv6" which addresses to take (default any)
---@field v6only? boolean as of `qn.udp`
---@field reuse_port? boolean as of `qn.udp`
---@field receive_buffer? integer as of `qn.udp`
---@field send_buffer? integer as of `qn.udp`
---@field ttl? integer as of `qn.udp`

local LOST <const> = { refused = true, unreachable = true, unsupported = true }

-- The addresses to try, in order; nil, err.
local function addresses_of(host, family, left)
  local literal = type(host) ~= "string" or host:find "^[%d.]+$" or host:find(":", 1, true)
  if literal then
    return { host }
  end
  local found, err = require "qn.dns".lookup(host, { timeout = left() })
  if not found then
    return nil, err
  end
  local list = {}
  for _, address in ipairs(found.addresses) do
    if family == nil or family == "any" or address.protocol == family then
      list[#list + 1] = address
    end
  end
  if #list == 0 then
    return nil, core.error("dns", "host not found",
      { code = "HOST_NOT_FOUND", op = "connect", peer = host, phase = "dns" })
  end
  return list
end

-- One address: a connected socket, an endpoint on it, a handshake.
local function connect_to(address, port, config, rest, opts, how)
  local socket_options = only(opts, BOTH, CONNECT)
  socket_options.timeout = how.timeout
  local socket, err = pass(3, pcall(udp.connect, address, port, socket_options))
  if not socket then
    return nil, err
  end
  local s <close> = setmetatable({ object = socket }, guard)
  local endpoint
  endpoint, err = core.dtls_endpoint(socket, true)
  if not endpoint then
    return nil, err
  end
  s.done = true
  local e <close> = endpoint -- it goes on until its connection ends
  return connection.shake(e, config, rest, how)
end

-- A configuration stands for the options that have it.
local function as_options(value)
  return core.tls_is(value, "configuration") and { tls = value } or value
end

---Connects to a server: the certificate must lead to a trusted one and be for this host. Of several addresses of a
---name the next is tried when one refuses or cannot be reached. TLS options stand beside those of the socket; versions
---are those of TLS: "1.2" is DTLS 1.2, "1.0" and "1.1" are DTLS 1.0.
---
---Errors: `dns`, `timeout` (phases "dns", "tls"), `refused` and `unreachable` (told by ICMP), `tls` (CERT_..., ALERT_...
---with `err.alert` and `err.errors`), those of the options.
---Qt rows: Q5-71.
---@async
---@param host string|qn.Address name or address literal
---@param port integer
---@param opts? qn.DtlsConnectOptions|qn.TlsConfiguration
---@return qn.DtlsConnection? connection
---@return qn.Error? err
function M.connect(host, port, opts)
  opts = options.check(as_options(opts), CONNECT_RULES, "qn.dtls.connect")
  connection.check_peer(host, port, "connect", 2)
  local config, rest = connection.configuration(opts, host, "qn.dtls.connect", 2)
  if not config then
    return nil, rest
  end
  local limit = opts.timeout
  if limit == nil then
    limit = CONNECT_S
  end
  local give_up = limit and core.now() + limit
  local function left()
    return give_up and math.max(give_up - core.now(), 0)
  end
  local list, err = addresses_of(host, opts.family, left)
  if not list then
    return nil, err
  end
  for i, address in ipairs(list) do
    local found
    found, err = connect_to(address, port, config, rest, opts,
      { host = host, port = port, left = left, opts = opts, timeout = left() })
    if found or i == #list or not LOST[err.kind] then
      return found, err
    end
  end
end

---@class qn.DtlsServerOptions: qn.TlsSettings
---@field tls? qn.TlsConfiguration|true what the other options are laid on (default: the default configuration)
---@field cookies? boolean a client must prove that it is where it says before anything is kept for it (default true)
---@field cookie_secret? string 16 to 1024 bytes, the same on all servers of a cluster (default: random)
---@field cookie_digest? string of the HMAC of cookies (default "sha256")
---@field max_connections? integer so many at the same time, further clients are refused (default 10000)
---@field max_handshakes? integer so many at the same time (default 256); when there are more, the oldest one that has lasted a second is dropped
---@field handshake_timeout? number|false seconds for one handshake (default 10)
---@field idle_timeout? number|false seconds without a message of the client, then its connection is closed (default 300)
---@field mtu? integer largest datagram to send, 228 to 16717 bytes (default 1200)
---@field retransmit_timeout? number seconds until a handshake message that was not answered is sent again, 0.02 to 60 (default 1); doubled each time, up to 60
---@field on_ssl_errors? fun(errors: qn.Error[], connection: qn.DtlsConnection): boolean? asked when the client's certificate has errors that are not ignored; may wait; true: go on

---@class qn.DtlsListenOptions: qn.DtlsServerOptions
---@field mode? "default"|"share"|"exclusive"|"reuse" who else may use the port
---@field family? "any"|"ipv4"|"ipv6" of the socket that is bound to "*"
---@field v6only? boolean as of `qn.udp`
---@field reuse_port? boolean as of `qn.udp`
---@field receive_buffer? integer as of `qn.udp`
---@field send_buffer? integer as of `qn.udp`
---@field ttl? integer as of `qn.udp`

-- A server or, without a configuration, an endpoint for clients.
local function open(socket, owned, config, opts)
  local endpoint, err = core.dtls_endpoint(socket, owned)
  if not endpoint then
    return nil, err
  end
  local e <close> = setmetatable({ object = endpoint }, guard)
  if config then
    local ok
    ok, err = server.serve(endpoint, config, opts)
    if not ok then
      return nil, err
    end
  end
  e.done = true
  return endpoint
end

---Listens on an address literal ("*" = all, IPv4 and IPv6) and a port (0 = any free one), for any number of clients on
---one socket. Needs `cert` and `key` (or `certs`, or a `psk`). `accept`, `each` and `serve` give connections whose
---handshake is done; a handshake that fails is counted and told to listeners of `handshake_error`.
---
---Errors: those of `qn.udp.bind` and of the options; `invalid` (TLS_CONFIGURATION: no certificate).
---Qt rows: Q5-71, Q5-72.
---@param addr? string|qn.Address
---@param port? integer
---@param opts qn.DtlsListenOptions|qn.TlsConfiguration
---@return qn.DtlsServer? server
---@return qn.Error? err
function M.listen(addr, port, opts)
  opts = options.check(as_options(opts), LISTEN_RULES, "qn.dtls.listen")
  local config, err = server.configuration(opts, "qn.dtls.listen", 2)
  if not config then
    return nil, err
  end
  local socket
  socket, err = pass(2, pcall(udp.bind, addr, port, only(opts, BOTH, BIND)))
  if not socket then
    return nil, err
  end
  local s <close> = setmetatable({ object = socket }, guard)
  local endpoint
  endpoint, err = open(socket, true, config, opts)
  s.done = endpoint
  return endpoint, err
end

---An endpoint over a bound or connected socket of one's own, which it alone reads from now on. With options it is a
---server as of `qn.dtls.listen`; without, nobody can come. `endpoint:connect` begins connections over the same socket
---in both cases. Closing it leaves the socket open; closing the socket ends it.
---
---Errors: `busy` (somebody reads the socket), `closed` (it is neither bound nor connected, or closed); those of the
---options.
---Qt rows: Q5-71.
---@param socket qn.UdpSocket
---@param opts? qn.DtlsServerOptions
---@return qn.DtlsServer? endpoint
---@return qn.Error? err
function M.over(socket, opts)
  if not pcall(core.udp_is_closed, socket) then
    error(("bad argument #1 to 'over' (qn.UdpSocket expected, got %s)"):format(type(socket)), 2)
  end
  local config, err
  if opts ~= nil then
    opts = options.check(opts, OVER_RULES, "qn.dtls.over")
    config, err = server.configuration(opts, "qn.dtls.over", 2)
    if not config then
      return nil, err
    end
  end
  return open(socket, false, config, opts)
end

---@class qn.DtlsVerifierOptions
---@field secret? string 16 to 1024 bytes (default: random)
---@field digest? string of the HMAC (default "sha256")

---Cookies for those who receive datagrams themselves: says whether the sender of a ClientHello has proven its address.
---Servers of `qn.dtls.listen` with the same `cookie_secret` and `cookie_digest` take the same cookies.
---
---Errors: `unsupported` (the digest).
---Qt rows: Q5-72.
---@param opts? qn.DtlsVerifierOptions
---@return qn.DtlsVerifier? verifier
---@return qn.Error? err
function M.verifier(opts)
  opts = options.check(opts, { secret = server.RULES.cookie_secret, digest = { type = "string" } },
    "qn.dtls.verifier")
  return core.dtls_verifier(opts.digest, opts.secret)
end

return M
