---TLS on streams: connecting, STARTTLS, what is known of a connection, questions that handshakes ask.
---
---Loaded when a stream is first used with TLS (lua/qn/stream.lua). C runs the handshake
---(bindings/b_tls.c) and calls `functions` below. Must not leave a stream behind on which somebody could
---write in clear: whoever begins a handshake gets an encrypted stream or a closed one.

local core = require "qn.core"
local configuration = require "qn.tls.configuration"
local events = require "qn.events"
local given = require "qn.tls.options"
local options = require "qn.options"

---@class qn.tls
local M = {}

local HANDSHAKE_S <const> = 10 -- the limit of a handshake when none is given
local CONNECT_S <const> = 30 -- the limit of a whole connect

---What C calls: `question`, `tcp_connect`, `unix_connect`, `socket_connect`.
M.functions = {}

local used = setmetatable({}, { __mode = "k" }) -- stream -> configuration of its topmost layer
local choosing = setmetatable({}, { __mode = "k" }) -- stream -> the task that asks `sni`
local before = setmetatable({}, { __mode = "k" }) -- stream -> what ignore_ssl_errors was told before

-- The handshake -------------------------------------------------------------------------------------

-- "fe80::1%eth0" is no name of a certificate.
local function without_zone(host)
  return (host:gsub("%%.*$", ""))
end

-- The name that a stream was connected to, when it can be one of a certificate.
local function name_of(stream)
  local name = stream.peer_name and stream:peer_name()
  if not name or type(stream:peer_address()) == "string" then -- a Unix socket has a path
    return nil
  end
  return without_zone(name)
end

-- What core.tls_start takes. `at`: text that tells peers apart.
local function start_options(rest, name, at)
  if rest.server then
    return { server = true, ask_sni = rest.sni ~= nil }
  end
  local server_name = rest.server_name or rest.server_name == nil and name or nil
  local verify_name = rest.verify_name
  if verify_name == nil then
    verify_name = server_name or name
  end
  return {
    server_name = server_name,
    verify_name = verify_name or "",
    peer = at and ("%s|%s|%s"):format(at, server_name or "", verify_name or ""),
    session = rest.session,
  }, verify_name
end

local function shorter(a, b)
  if not a or not b then
    return a or b
  end
  return math.min(a, b)
end

-- The handshake is over, whatever became of it: nobody wants to know any more.
local end_of_choice = { __close = function(self)
  local task = choosing[self.stream]
  if task then
    task:cancel("the handshake is over")
  end
end }

-- true, or nil and why; then the stream is closed, unless nothing was begun.
local function handshake(stream, config, rest, op, name, at, limit, peer)
  local o = start_options(rest, name, at)
  local timeout = rest.timeout
  if timeout == nil then
    timeout = HANDSHAKE_S
  end
  o.timeout = shorter(timeout, limit)
  o.ignore, before[stream] = before[stream], nil
  local old, layer = used[stream], core.tls_state(stream)
  used[stream] = config
  local _ <close> = o.ask_sni and setmetatable({ stream = stream }, end_of_choice) or nil
  local ok, err = core.tls_start(stream, config, o, op, peer)
  if not ok and layer == core.tls_state(stream) then
    used[stream] = old -- nothing was begun
  end
  if ok then
    return true
  end
  return nil, err
end

---@class qn.StartTlsOptions: qn.TlsOptions
---@field server? boolean be the server of this connection (default false)
---@field timeout? number|false seconds for the handshake (default 10)
---@field tls? qn.TlsConfiguration|true what the other options are laid on (default: the default configuration)

---@class qn.Stream
local Stream = {}
M.Stream = Stream

---Puts a TLS layer on a connected stream and makes its handshake (STARTTLS). The stream may be a socket, one of
---`qn.pair`, or one that has TLS already. The peer must have sent nothing that was not read: else somebody may have
---put bytes in front of the handshake, and it fails. Nobody may be waiting on the stream. When a handshake has begun
---and fails or is cancelled, the stream is closed.
---
---Errors: `tls` (CERT_..., ALERT_..., TLS_PROTOCOL: this is not TLS, TLS; with `err.alert` and `err.errors`), `protocol`
---(PLAINTEXT_BUFFERED), `timeout` (phase "tls"), `eof`, `reset`, `busy`, `closed`; those of the options.
---Qt rows: SSL-02, SSL-17.
---@async
---@param opts? qn.StartTlsOptions|qn.TlsConfiguration
---@return true? ok
---@return qn.Error? err
function Stream:start_tls(opts)
  if self.seek then
    error("start_tls: a file is no connection", 2)
  end
  local config, rest = configuration.from(opts, "start_tls", 3)
  if not config then
    return nil, rest
  end
  local name = not rest.server and name_of(self) or nil
  given.check_role(opts, config, rest, name, "start_tls", 2)
  local port = name and self:peer_port()
  return handshake(self, config, rest, "start_tls", name, port and ("%s:%d"):format(name, port))
end

---What is known of a TLS connection; `socket:tls()` gives a new table each time.
---@class qn.TlsFacts
---@field encrypted boolean the handshake is done (and the certificate was accepted)
---@field server boolean we are the server of it
---@field version? string "TLSv1.3"
---@field cipher? string "TLS_AES_128_GCM_SHA256", as OpenSSL calls it
---@field cipher_bits? integer
---@field ephemeral_key? string kind of the key exchange: "X25519", "P-256"
---@field ephemeral_key_bits? integer
---@field alpn? string the protocol that was agreed on
---@field resumed boolean an earlier session goes on
---@field psk_identity? string whose shared key authenticates both sides; then there are no certificates
---@field server_name? string the name that was asked for (SNI)
---@field peer? qn.Certificate the peer's own certificate
---@field chain qn.Certificate[] what the peer has sent, its own first
---@field errors qn.Error[] what is wrong with them, also when it was accepted: `code`, `depth`, `certificate`
---@field ocsp? qn.OcspAnswer clients with option `ocsp`: what was stapled, and what came of checking it
---@field session? qn.TlsSession clients: to resume later (TLS 1.3 sends it behind the handshake: event `new_session`)
---@field alert_received? string the last one: "close_notify"
---@field alert_sent? string
---@field wire_received integer bytes of records, handshake and all
---@field wire_sent integer
---@field configuration qn.TlsConfiguration

---What is known of the topmost TLS layer; nil when there is none. Stays readable after the end.
---Qt rows: SSL-03, SSL-06, SSL-10, SSL-13, Q5-66.
---@return qn.TlsFacts? facts
function Stream:tls()
  local facts = core.tls_facts(self)
  if facts then
    facts.configuration = used[self] or core.tls_accepted_config(self)
  end
  return facts
end

---Says which verification errors are no reason to end: all (no argument), or those in the list, and then only if
---every error of the handshake is in it. Before a handshake, or in a handler of `ssl_errors`.
---Qt rows: SSL-11, SSL-12.
---@param list? (string|qn.Error|{[1]: string, [2]: qn.Certificate})[]
function Stream:ignore_ssl_errors(list)
  if list ~= nil and type(list) ~= "table" then
    local text = "bad argument #1 to 'ignore_ssl_errors' (table expected, got %s)"
    error(text:format(type(list)), 2)
  end
  local ok, ignore = pcall(given.ignore_list, list == nil or list)
  if not ok then
    error(("bad argument #1 to 'ignore_ssl_errors' (%s)"):format(ignore), 2)
  end
  if core.tls_state(self) == "handshake" then
    assert(core.tls_ignore(self, ignore))
  else
    before[self] = ignore
  end
end

---New keys for what is sent from now on (TLS 1.3); with `request` the peer is asked to do the same.
---
---Errors: `unsupported` (an older version), `closed` (no TLS, or it has ended).
---@param request? boolean
---@return true? ok
---@return qn.Error? err
function Stream:update_keys(request)
  if not core.tls_state(self) then
    return nil, core.error("closed", "the stream has no TLS",
      { code = "NOT_CONNECTED", op = "update_keys" })
  end
  return core.tls_key_update(self, request)
end

-- Questions -----------------------------------------------------------------------------------------

-- However the function ends, the handshake gets its answer.
local answer = { __close = function(self)
  choosing[self.stream] = nil
  core.tls_answer(self.stream, self.config)
end }

local function ask_sni(stream, own, name)
  local a <close> = setmetatable({ stream = stream, config = "refuse" }, answer)
  local chosen = core.tls_own(own).sni(name, stream)
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

-- C, from the loop: "sni" and the name, or "verify" and the errors. Answered by core.tls_answer.
function M.functions.question(stream, what, value)
  if what == "verify" then
    events.ask(stream, "ssl_errors", function()
      core.tls_answer(stream, false) -- unless they have been ignored
    end, value)
  else
    local task = core.detach(ask_sni, stream, used[stream], value)
    task:name("sni of " .. tostring(stream))
    choosing[stream] = task
  end
end

-- Connecting ----------------------------------------------------------------------------------------

-- What was connected must not stay in clear when the handshake does not begin.
local guard = { __close = function(g)
  if not g.done then
    g.socket:abort()
  end
end }

local function without_tls(opts)
  local out = {}
  for name, value in pairs(opts) do
    out[name] = value
  end
  out.tls = nil
  return out
end

-- The level (for the caller's error) of the code that is not ours.
local function level_outside()
  local level = 2
  local info = debug.getinfo(level, "S")
  while info and (info.what == "C" or info.short_src:find("^qn/")) do
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  return level - 1
end

-- The configuration and the rest of `tls = value`; misuse is thrown without a place.
local function read_options(value, host)
  local kind = type(value)
  if kind ~= "table" and kind ~= "boolean" and not core.tls_is(value, "configuration") then
    local text = "connect: option 'tls' must be true, options or a qn.TlsConfiguration, got %s"
    error(text:format(kind), 0)
  end
  local config, rest = configuration.from(value, "connect", -1)
  if config and rest.server then
    error("connect: option 'server' is for start_tls", 0)
  elseif config then
    given.check_role(value, config, rest, host, "connect", -1)
  end
  return config, rest
end

-- Connects, then makes the handshake, both within one time limit. connecting(opts) gives the socket.
local function connect(connecting, opts, host, port, default_limit)
  local good, config, rest = pcall(read_options, opts.tls, host)
  if not good then
    error(config, type(config) == "string" and level_outside() or 0)
  elseif not config then
    return nil, rest
  end
  local limit = opts.timeout
  if limit == nil then
    limit = default_limit
  end
  local give_up = limit and core.now() + limit
  local socket, err = connecting(without_tls(opts))
  if not socket then
    return nil, err
  end
  local g <close> = setmetatable({ socket = socket }, guard)
  local at
  if port then
    at = (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, port)
  end
  local left = give_up and math.max(give_up - core.now(), 0)
  local ok
  local name = host and without_zone(host)
  ok, err = handshake(socket, config, rest, "connect", name, at, left, at)
  g.done = ok
  if not ok then
    return nil, err
  end
  return socket
end

function M.functions.tcp_connect(host, port, opts)
  return connect(function(o)
    return core.tcp_connect(host, port, o, core.hold)
  end, opts, tostring(host), port, CONNECT_S)
end

function M.functions.unix_connect(path, opts)
  return connect(function(o)
    return core.unix_connect(path, o, core.hold)
  end, opts, nil, nil, CONNECT_S)
end

function M.functions.socket_connect(socket, host, port, opts, _, limit)
  local ok, err = connect(function(o)
    local ok, err = socket:connect(host, port, o, core.hold)
    return ok and socket, err
  end, opts, tostring(host), port, limit)
  if ok then
    return true
  end
  return nil, err
end

-- Options of a connect that are not those of TLS.
local SOCKET <const> = { timeout = {}, bind = {}, nodelay = {}, keepalive = {}, family = {},
  happy_eyeballs = {}, resolver = {}, tls = {} }
local CONNECT <const> = {}
for _, group in ipairs { configuration.RULES, configuration.CONNECTION, SOCKET } do
  for name, rule in pairs(group) do
    CONNECT[name] = rule
  end
end

---@class qn.TlsConnectOptions: qn.ConnectOptions, qn.TlsOptions
---@field tls? true|qn.TlsConfiguration|qn.StartTlsOptions what the other options are laid on

---Connects to a host with TLS: the certificate must lead to a trusted one and be for this host. TLS options may
---stand beside those of the socket. `timeout` (30 s) covers look-up, connect and handshake together, and a handshake
---takes at most 10 s; `err.phase` says which one it was.
---
---Errors: those of `qn.tcp.connect` and of `socket:start_tls`.
---Qt rows: SSL-01, SSL-15.
---@async
---@param host string|qn.Address name or address literal
---@param port integer
---@param opts? qn.TlsConnectOptions|qn.TlsConfiguration
---@return qn.Socket? socket
---@return qn.Error? err
function M.connect(host, port, opts)
  if core.tls_is(opts, "configuration") then
    opts = { tls = opts }
  end
  opts = options.check(opts, CONNECT, "qn.tls.connect")
  return options.blame("connect", core.tcp_connect, host, port, given.beneath(SOCKET, opts))
end

return M
