---Servers of DTLS: configurations, connections that a server begins itself, questions of handshakes.
---
---Used by lua/qn/dtls.lua. C decides who may come (bindings/b_dtls_server.c); what it has to ask or to
---tell comes as notes, which one task per server takes while there is a function to ask or a listener.
---Whatever becomes of a function, its question is answered. accept loops are those of qn.Server.

local core = require "qn.core"
local configuration = require "qn.tls.configuration"
local connection = require "qn.dtls.connection"
local events = require "qn.events"
local given = require "qn.tls.options"
local options = require "qn.options"
require "qn.server"

local M = {}

---@class qn.DtlsServer
local Server = core.methods "DtlsServer"
local Streams = core.methods "Server"

local ERRORS_WAITING_MAX <const> = 64 -- events `handshake_error` that wait for a slow handler
local COUNT_MAX <const> = 1 << 24

---Options that are a server's own.
M.RULES = {
  tls = { type = "userdata|boolean" },
  cookies = { type = "boolean" },
  cookie_secret = { type = "string", secret = true, check = function(secret)
    return #secret >= 16 and #secret <= 1024, "16 to 1024 bytes"
  end },
  cookie_digest = { type = "string" },
  max_connections = { type = "integer", min = 1, max = COUNT_MAX },
  max_handshakes = { type = "integer", min = 1, max = COUNT_MAX },
  handshake_timeout = { type = "seconds" },
  idle_timeout = { type = "seconds" },
  mtu = connection.RULES.mtu,
  retransmit_timeout = connection.RULES.retransmit_timeout,
  on_ssl_errors = { type = "function" },
}

local SERVING <const> = { server = true }

---The configuration of a server; nil, err.
function M.configuration(opts, where, level)
  if opts.cookies == false and (opts.cookie_secret or opts.cookie_digest) then
    error(where .. ": options 'cookie_secret' and 'cookie_digest' need cookies", level + 1)
  end
  given.check_role(opts, nil, SERVING, nil, where, level + 1)
  return configuration.from(connection.tls_options(opts), where, level + 1)
end

-- Questions -----------------------------------------------------------------------------------------

-- However the function ends, the handshake gets its answer.
local answer = { __close = function(self)
  core.dtls_answer(self.connection, self.value)
end }

-- Functions of a configuration may be asked for as long as a handshake with it is under way.
local function keep(server, config)
  local own = core.dtls_own(server)
  local now, list = core.now(), {}
  for _, entry in ipairs(own.kept or {}) do
    if entry.config ~= config and now < entry.till then
      list[#list + 1] = entry
    end
  end
  list[#list + 1] = { config = config, till = now + (own.opts.handshake_timeout or 10) + 1 }
  own.kept = list
end

local asks = {}

function asks.sni(server, peer, name)
  local a <close> = setmetatable({ connection = peer, value = "refuse" }, answer)
  local present = core.dtls_own(server).config
  local chosen = core.tls_own(present).sni(name, peer)
  if chosen == nil then
    a.value = nil
  elseif chosen ~= false then
    local config, err = configuration.chosen(chosen, present)
    if not config then
      error(err, 0)
    end
    keep(server, config)
    a.value = config
  end
end

function asks.verify(server, peer, errors)
  local a <close> = setmetatable({ connection = peer, value = false }, answer)
  local own = core.dtls_own(server)
  a.value = own.opts.on_ssl_errors(errors, peer) == true
end

local function take_notes(server)
  while true do
    local what, first, second = core.dtls_note(server)
    if not what then
      return
    elseif what == "other" then
      events.dispatch(server, "datagram", first, second)
      if events.backlog(server) >= ERRORS_WAITING_MAX then
        events.settle(server) -- C keeps a few more, and counts the rest
      end
    elseif what == "failed" then
      if events.backlog(server) < ERRORS_WAITING_MAX then
        events.dispatch(server, "handshake_error", first, second)
      end
    else
      core.detach(asks[what], server, first, second):name(what .. " of " .. tostring(first))
    end
  end
end

local function need_notes(server, on)
  local own = core.dtls_own(server)
  if on and not own.task and server:state() ~= "closed" then
    own.task = core.detach(take_notes, server)
    own.task:name("handshakes of " .. tostring(server))
  elseif not on and own.task then
    own.task:cancel("there is nothing to ask")
    own.task = nil
  end
end

-- Also tells C whose connections there may be.
local function asks_something(config, opts)
  local fields = core.tls_own(config)
  core.dtls_know(config)
  for _, other in pairs(type(fields.sni) == "table" and fields.sni or {}) do
    core.dtls_know(other)
  end
  return type(fields.sni) == "function", opts.on_ssl_errors ~= nil
end

-- Serving -------------------------------------------------------------------------------------------

---Lets clients come: true, or nil and why.
function M.serve(endpoint, config, opts)
  local verifier, err
  if opts.cookies ~= false then
    verifier, err = core.dtls_verifier(opts.cookie_digest, opts.cookie_secret)
    if not verifier then
      return nil, err
    end
  end
  local ask_sni, ask_verify = asks_something(config, opts)
  local ok
  ok, err = core.dtls_serve(endpoint, config, {
    verifier = verifier, max_connections = opts.max_connections,
    max_handshakes = opts.max_handshakes, handshake_timeout = opts.handshake_timeout,
    idle_timeout = opts.idle_timeout, mtu = opts.mtu,
    retransmit_timeout = opts.retransmit_timeout, ask_sni = ask_sni, ask_verify = ask_verify,
  })
  if not ok then
    return nil, err
  end
  local own = core.dtls_own(endpoint)
  own.config, own.opts = config, opts
  keep(endpoint, config)
  own.asks = ask_sni or ask_verify
  need_notes(endpoint, own.asks)
  return true
end

---Connections as they come: `for connection in server:each() do`. Ends when the server is closed; other
---errors are thrown.
---@async
---@return fun(): qn.DtlsConnection?
function Server:each()
  return Streams.each(self)
end
Server.each = Streams.each

---Accepts connections until the server is closed and runs `handler(connection)` for each in a task of its own, as
---`Server:serve` does.
---@async
---@param handler fun(connection: qn.DtlsConnection)
---@param opts? {max_connections?: integer, on_error?: fun(err: any, connection: qn.DtlsConnection)}
---@return boolean ok true when the server was closed
---@return qn.Error? err
function Server:serve(handler, opts)
  return Streams.serve(self, handler, opts)
end
Server.serve = Streams.serve

---No new clients; connections go on, and the socket is closed with the last of them. Connections that `serve` runs may
---go on for `grace` seconds, then they are cancelled. Waits until they have ended when a grace was given.
---@async
---@param opts? {grace?: number|false}
---@return boolean
function Server:close(opts)
  return Streams.close(self, opts)
end
Server.close = Streams.close

local ENDPOINT <const> = {}
for _, rules in ipairs { configuration.RULES, configuration.CONNECTION, connection.RULES } do
  for name, rule in pairs(rules) do
    ENDPOINT[name] = rule
  end
end

---Begins a connection of its own over the same socket: this side is the client. Without host and port (nil) with the
---peer of a connected socket.
---
---Errors: those of `qn.dtls.connect`; `invalid` (IS_CONNECTED: there is a connection with this peer).
---Qt rows: Q5-71.
---@async
---@param host? string|qn.Address name or address literal
---@param port? integer
---@param opts? qn.DtlsConnectOptions without those of the socket
---@return qn.DtlsConnection? connection
---@return qn.Error? err
function Server:connect(host, port, opts)
  opts = options.check(opts, ENDPOINT, "connect")
  if host ~= nil or port ~= nil then
    connection.check_peer(host, port, "connect", 2)
  end
  local config, rest = connection.configuration(opts, host, "connect", 2)
  if not config then
    return nil, rest
  end
  local limit = opts.timeout
  if limit == nil then
    limit = 30
  end
  local give_up = limit and core.now() + limit
  local function left()
    return give_up and math.max(give_up - core.now(), 0)
  end
  local address = type(host) == "string" and require "qn.address"(host) or host
  if type(address) == "string" then
    local found, err = require "qn.dns".lookup(host, { timeout = left() })
    if not found then
      return nil, err
    end
    local own = self:address()
    for _, candidate in ipairs(found.addresses) do -- the first that the socket can send to
      if not own or own.is_unspecified or candidate.protocol == own.protocol then
        address = candidate
        break
      end
    end
    if address == host then
      address = found.addresses[1]
    end
  end
  return connection.shake(self, config, rest,
    { host = host, port = port, address = address, left = left, opts = opts })
end

local SETTINGS <const> = { tls = { type = "userdata|boolean" } }
for name, rule in pairs(configuration.RULES) do
  SETTINGS[name] = rule
end

---Changes the configuration for clients to come: a certificate that was renewed, say. The options are laid on the
---present configuration; a `qn.TlsConfiguration` replaces it. When it fails, nothing has changed.
---
---Errors: those of `qn.tls.configuration`; `closed`.
---Qt rows: Q5-71.
---@param opts qn.TlsSettings|qn.TlsConfiguration
---@return true? ok
---@return qn.Error? err
function Server:configure(opts)
  local own = core.dtls_own(self)
  if not own.config then
    error("configure: nobody can come: the endpoint is for clients", 2)
  end
  local value = opts
  if type(opts) == "table" then
    options.check(opts, SETTINGS, "configure")
    given.check_role(opts, nil, SERVING, nil, "configure", 2)
    value = {}
    for name, v in pairs(opts) do
      value[name] = v
    end
    if value.tls == nil then
      value.tls = own.config
    end
  elseif opts == nil then
    error("configure: options or a qn.TlsConfiguration expected", 2)
  end
  local config, err = configuration.from(value, "configure", 2)
  if not config then
    return nil, err
  end
  local ask_sni, ask_verify = asks_something(config, own.opts)
  local ok
  ok, err = core.dtls_configure(self, config, ask_sni, ask_verify)
  if not ok then
    return nil, err
  end
  keep(self, own.config)
  keep(self, config)
  own.config = config
  own.asks = ask_sni or ask_verify
  need_notes(self, own.asks or own.listened)
  return true
end

---The configuration for clients to come; nil for an endpoint that nobody can come to.
---@return qn.TlsConfiguration?
function Server:configuration()
  return core.dtls_own(self).config
end

-- Events --------------------------------------------------------------------------------------------

local source = {}

local names = { "handshake_error", "datagram" }

function source.check_event(object, name)
  core.dtls_own(object) -- throws when it is no server
  if type(name) ~= "string" then
    return "the name of an event expected, got " .. type(name)
  elseif name ~= names[1] and name ~= names[2] then
    local near = options.nearest(name, names)
    local hint = near and (" (did you mean '%s'?)"):format(near) or ""
    return ("unknown event '%s'%s"):format(name, hint)
  end
end

function source.is_over(object)
  return object:state() == "closed"
end

function source.observe(object, list)
  local own = core.dtls_own(object)
  local wants = {}
  for _, name in ipairs(list) do
    wants[name] = true
  end
  own.listened = #list > 0
  core.dtls_notes(object, wants.handshake_error, wants.datagram)
  need_notes(object, own.asks or own.listened)
end

events.extend("DtlsServer", source)

return M
