---TLS servers: listening, configurations exchanged while connections live, questions of handshakes.
---
---Loaded with the first TLS server. Handshakes run in C (bindings/b_tls_accept.c) without a task each;
---`functions` is what C calls. Handlers and functions of users run here, in tasks of their own, and can
---neither hold up nor end the server: whatever becomes of them, their question is answered.

local core = require "qn.core"
local configuration = require "qn.tls.configuration"
local events = require "qn.events"
local given = require "qn.tls.options"
local options = require "qn.options"
require "qn.server"

---@class qn.tls
local M = {}

local ERRORS_WAITING_MAX <const> = 100 -- events `handshake_error` that wait for a slow handler

---What C calls: `server_question`, `tcp_listen`, `unix_listen`.
M.functions = {}

---What servers take.
---@class qn.TlsServerOptions: qn.TlsSettings
---@field handshake_timeout? number|false seconds for one handshake (default 5)
---@field max_handshakes? integer so many at the same time (default 256); when there are more, the oldest one
---  that has lasted a second is dropped, and until there is one the others wait
---@field tls? qn.TlsConfiguration|true what the other options are laid on (default: the default configuration)

local SERVER <const> = {
  handshake_timeout = { type = "seconds" },
  max_handshakes = { type = "integer", min = 1, max = 65536 },
}
local SETTINGS <const> = { tls = { type = "userdata|boolean" } } -- of `configure`
for name, rule in pairs(configuration.RULES) do
  SETTINGS[name] = rule
end
local TLS <const> = {} -- of `tls =`
local ALL <const> = { tls = { type = "userdata|boolean|table" } } -- of qn.tls.listen
for _, rules in ipairs { SETTINGS, SERVER } do
  for name, rule in pairs(rules) do
    TLS[name] = rule
    ALL[name] = ALL[name] or rule
  end
end
local LISTEN <const> = { backlog = {}, max_pending = {}, reuse_port = {}, v6only = {}, fd = {},
  exclusive = {}, nodelay = {} }
for name, rule in pairs(LISTEN) do
  ALL[name] = rule
end

-- Listening -----------------------------------------------------------------------------------------

local function has_choice(config)
  return type(core.tls_own(config).sni) == "function"
end

local function ignores_all(config)
  return core.tls_own(config).ignore_errors == true
end

-- Whom misuse is blamed on, as for `error` in `read`: behind `listen` and the function of the core.
local LEVEL <const> = 4

-- The configuration of `tls = value` and the limits that stand beside it.
local function read(value)
  if type(value) ~= "table" and value ~= true and not core.tls_is(value, "configuration") then
    local message = "listen: option 'tls' must be options, true or a qn.TlsConfiguration, got %s"
    error(message:format(type(value)), LEVEL)
  elseif type(value) ~= "table" then
    local config, rest = configuration.from(value, "listen", LEVEL + 1)
    return config, config and {} or rest
  end
  options.check(value, TLS, "listen", LEVEL + 1)
  local settings, limits = {}, {}
  for name, v in pairs(value) do
    (SERVER[name] and limits or settings)[name] = v
  end
  local config, err = configuration.from(settings, "listen", LEVEL + 1)
  return config, config and limits or err
end

-- Calls open() once the options are known to be good.
local function listen(open, tls)
  local config, limits = read(tls)
  if not config then
    return nil, limits
  end
  local ok, err = core.tls_set(config, "prepare", true)
  if not ok then
    return nil, err
  end
  local server
  server, err = open()
  if not server then
    return nil, err
  end
  return core.tls_serve(server, config, limits.handshake_timeout, limits.max_handshakes,
    has_choice(config), ignores_all(config))
end

local function without_tls(opts)
  local out = {}
  for name, value in pairs(opts) do
    out[name] = value
  end
  out.tls = nil
  return out
end

function M.functions.tcp_listen(addr, port, opts)
  return listen(function()
    return core.tcp_listen(addr, port, without_tls(opts))
  end, opts.tls)
end

function M.functions.unix_listen(path, opts)
  return listen(function()
    return core.unix_listen(path, without_tls(opts))
  end, opts.tls)
end

---What `qn.tls.listen` takes.
---@class qn.TlsListenOptions: qn.ListenOptions, qn.TlsServerOptions
---@field tls? true|qn.TlsConfiguration|qn.TlsServerOptions what the other options are laid on

---Listens on an address literal ("*" = all, IPv4 and IPv6) and a port (0 = any free one) for TLS. Needs `cert` and
---`key` (or `certs`). `accept`, `each` and `serve` give sockets whose handshake is done; handshakes run at the same
---time and hold up nobody. One that fails is counted (`stats`) and told to listeners of `handshake_error`. TLS options
---may stand beside those of `qn.tcp.listen`.
---
---Errors: those of `qn.tcp.listen` and `qn.tls.configuration`; `invalid` (TLS_CONFIGURATION: there is no certificate).
---Qt rows: SSL-28, Q5-77, WEAK-32.
---@param addr? string|qn.Address
---@param port? integer
---@param opts qn.TlsListenOptions|qn.TlsConfiguration
---@return qn.Server? server
---@return qn.Error? err
function M.listen(addr, port, opts)
  if core.tls_is(opts, "configuration") then
    opts = { tls = opts }
  end
  opts = options.check(opts, ALL, "qn.tls.listen")
  return options.blame("listen", core.tcp_listen, addr, port, given.beneath(LISTEN, opts))
end

-- Servers -------------------------------------------------------------------------------------------

---@class qn.Server
local Server = {}
M.Server = Server

-- Its present configuration; nil, err when it was closed.
local function config_of(server, method)
  local config = core.tls_server_config(server)
  if config == nil then
    error(method .. ": the server does not speak TLS", 3)
  elseif not config then
    return nil, core.error("closed", "the server was closed", { code = "CLOSED", op = method })
  end
  return config
end

---What `server:configure` takes.
---@class qn.TlsReconfigureOptions: qn.TlsSettings
---@field tls? qn.TlsConfiguration|true what the other options are laid on (default: the server's present one)

---Changes the configuration for connections to come: a certificate that was renewed, say. The options are laid on the
---present configuration; a `qn.TlsConfiguration` replaces it. Connections and handshakes under way keep theirs. Tickets
---of the old configuration are not taken any more (clients make a full handshake), unless both have the same
---`ticket_keys` and check clients in the same way. When it fails, nothing has changed.
---
---Errors: those of `qn.tls.configuration`; `closed`.
---Qt rows: WEAK-32, Q5-77.
---@param opts qn.TlsReconfigureOptions|qn.TlsConfiguration
---@return true? ok
---@return qn.Error? err
function Server:configure(opts)
  local value = opts
  local current, closed = config_of(self, "configure")
  if type(opts) == "table" then
    options.check(opts, SETTINGS, "configure", 3)
    value = table.move(opts, 1, 0, 1, {})
    for name, v in pairs(opts) do
      value[name] = v
    end
    if value.tls == nil then
      value.tls = current
    end
  elseif opts == nil then
    error("configure: options or a qn.TlsConfiguration expected", 2)
  end
  if not current then
    return nil, closed
  end
  local config, err = configuration.from(value, "configure", 3)
  if not config then
    return nil, err
  end
  return core.tls_reconfigure(self, config, has_choice(config), ignores_all(config))
end

---The configuration for connections to come; nil for a server without TLS, or one that was closed.
---
---Qt rows: Q5-77.
---@return qn.TlsConfiguration?
function Server:configuration()
  return core.tls_server_config(self) or nil
end

---Makes a new key for session tickets now; it happens by itself every two hours. The last four keys are still taken,
---each for as long as its tickets live. With `keys` (those of option `ticket_keys`, newest first) these are the keys:
---several servers that are given the same know each other's tickets; then nothing rotates by itself.
---
---Errors: `busy` (keys are given, but the server has begun with its own), `closed`.
---Qt rows: WEAK-32.
---@param keys? string[] 1 to 4 keys of 80 bytes
---@return true? ok
---@return qn.Error? err
function Server:rotate_tickets(keys)
  local config, closed = config_of(self, "rotate_tickets")
  if keys == nil then
    if not config then
      return nil, closed
    end
    return core.tls_set(config, "rotate")
  end
  local fault = type(keys) ~= "table" and "table expected, got " .. type(keys)
    or (#keys < 1 or #keys > 4) and "1 to 4 keys expected"
  for _, key in ipairs(fault and {} or keys) do
    if type(key) ~= "string" or #key ~= 80 then
      fault = "keys of 80 bytes expected"
    end
  end
  if fault then
    error(("bad argument #1 to 'rotate_tickets' (%s)"):format(fault), 2)
  end
  if not config then
    return nil, closed
  end
  return core.tls_set(config, "ticket_keys", keys)
end

---Replaces the OCSP answer that is stapled, for handshakes from now on.
---
---Errors: `closed`.
---Qt rows: WEAK-32.
---@param der? string the answer, DER; nil: none
---@param name? string of the table `sni`: that of its configuration
---@return true? ok
---@return qn.Error? err
function Server:set_ocsp_staple(der, name)
  local config, closed = config_of(self, "set_ocsp_staple")
  if der ~= nil and type(der) ~= "string" then
    error(("bad argument #1 to 'set_ocsp_staple' (string expected, got %s)"):format(type(der)), 2)
  end
  if not config then
    return nil, closed
  elseif name ~= nil then
    local names = core.tls_own(config).sni
    config = type(names) == "table" and names[name] or nil
    if not config then
      error(("bad argument #2 to 'set_ocsp_staple' (the table 'sni' has no %s)"):format(
        type(name) == "string" and "'" .. name .. "'" or type(name)), 2)
    end
  end
  return core.tls_set(config, "ocsp_staple", der)
end

-- Questions -----------------------------------------------------------------------------------------

local choosing = setmetatable({}, { __mode = "k" }) -- socket -> the task that asks its `sni` function

-- However the function ends, the handshake gets its answer.
local answer = { __close = function(self)
  choosing[self.socket] = nil
  core.tls_answer(self.socket, self.config)
end }

local function choose(socket, name, own)
  local a <close> = setmetatable({ socket = socket, config = "refuse" }, answer)
  local chosen = core.tls_own(own).sni(name, socket)
  if chosen == nil then
    a.config = nil
  elseif chosen ~= false then
    local config, err = configuration.chosen(chosen, own)
    if not config then
      error(err, 0)
    end
    a.config = config
  end
end

local questions = {}

function questions.sni(_, socket, name)
  local task = core.detach(choose, socket, name, core.tls_accepted_config(socket))
  task:name("sni of " .. tostring(socket))
  choosing[socket] = task
end

function questions.verify(server, socket, errors)
  events.ask(server, "ssl_errors", function()
    core.tls_answer(socket, false) -- unless they have been ignored
  end, socket, errors)
end

function questions.started(server, socket)
  events.ask(server, "handshake_started", function()
    core.tls_server_go(socket)
  end, socket)
end

function questions.failed(server, _, err, peer)
  if events.backlog(server) < ERRORS_WAITING_MAX then
    events.dispatch(server, "handshake_error", err, peer)
  end
end

-- The handshake is over without a connection.
function questions.lost(_, socket)
  local task = choosing[socket]
  if task then
    task:cancel("the handshake is over")
  end
end

-- C, from the loop: what a handshake asks, or what became of it.
function M.functions.server_question(server, socket, what, ...)
  questions[what](server, socket, ...)
end

return M
