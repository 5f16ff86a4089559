---Connections of DTLS: the client's handshake and what it asks, facts, events.
---
---Used by lua/qn/dtls.lua and lua/qn/dtls/server.lua. C tells events one by one to whoever waits for the
---next; while somebody listens, a task per connection does. Must not leave a connection behind whose
---handshake nobody waits for.

local core = require "qn.core"
local configuration = require "qn.tls.configuration"
local events = require "qn.events"
local given = require "qn.tls.options"
local options = require "qn.options"

local M = {}

---@class qn.DtlsConnection
local Connection = core.methods "DtlsConnection"

---Options of a connect that are DTLS's own.
M.RULES = {
  tls = { type = "userdata|boolean" },
  timeout = { type = "seconds" },
  mtu = { type = "integer", min = 228, max = 16717 },
  idle_timeout = { type = "seconds" },
  retransmit_timeout = { type = "number", min = 0.02, max = 60 },
  on_ssl_errors = { type = "function" },
}

-- The handshake -------------------------------------------------------------------------------------

---Throws when these are not a host and a port.
function M.check_peer(host, port, where, level)
  local kind = type(host)
  local is_address = kind == "userdata" and pcall(require "qn.address", host)
  if (kind ~= "string" or host == "") and not is_address then
    error(("bad argument #1 to '%s' (host name or address expected, got %s)"):format(where,
      host == "" and "an empty string" or kind), level + 1)
  elseif math.type(port) ~= "integer" or port < 1 or port > 65535 then
    error(("bad argument #2 to '%s' (port from 1 to 65535 expected, got %s)"):format(where,
      type(port) == "number" and tostring(port) or type(port)), level + 1)
  end
end

-- The options that make a configuration, and those of one connection.
local function tls_options(opts)
  local out = { tls = opts.tls }
  for _, rules in ipairs { configuration.RULES, configuration.CONNECTION } do
    for name in pairs(rules) do
      out[name] = opts[name]
    end
  end
  return out
end
M.tls_options = tls_options

---The configuration of a connect, and what belongs to this connection; nil, err.
function M.configuration(opts, host, where, level)
  local config, rest = configuration.from(tls_options(opts), where, level + 1)
  if config then
    given.check_role(opts, config, rest, host, where, level + 1)
  end
  return config, rest
end

local guard = { __close = function(g)
  if not g.done then
    g.connection:abort()
  end
end }

---Begins a connection on `endpoint` and waits until it is up. `how`: host, port, address (nil: the connected peer),
---left() (seconds), opts.
function M.shake(endpoint, config, rest, how)
  local opts, host = how.opts, how.host and tostring(how.host)
  local server_name = rest.server_name or rest.server_name == nil and host or nil
  local verify_name = rest.verify_name
  if verify_name == nil then
    verify_name = server_name or host
  end
  local at = host and (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, how.port)
  local connection, err = core.dtls_begin(endpoint, config, {
    address = how.address, port = how.port,
    server_name = server_name, verify_name = verify_name or "",
    peer = at and ("dtls %s|%s|%s"):format(at, server_name or "", verify_name or ""),
    session = rest.session, mtu = opts.mtu, idle_timeout = opts.idle_timeout,
    retransmit_timeout = opts.retransmit_timeout, ask = opts.on_ssl_errors ~= nil,
  })
  if not connection then
    return nil, err
  end
  local g <close> = setmetatable({ connection = connection }, guard)
  while true do
    local result, what = core.dtls_shake(connection, how.left(), at)
    if result == true then
      g.done = true
      return connection
    elseif not result then
      return nil, what
    end
    core.dtls_answer(connection, opts.on_ssl_errors(what, connection) == true)
  end
end

-- Facts ---------------------------------------------------------------------------------------------

---What is known of its TLS: the same fields as `Stream:tls`, with versions "DTLSv1.2" and "DTLSv1". Stays readable after
---the end.
---
---Qt rows: Q5-71.
---@return qn.TlsFacts
function Connection:tls()
  return core.dtls_facts(self)
end

-- Events --------------------------------------------------------------------------------------------

local BACKLOG <const> = 64 -- messages that wait for their handlers

local names = { "message", "ready_read", "alert_received", "alert_sent", "new_session", "closed" }
local known = {}
for _, name in ipairs(names) do
  known[name] = true
end

local source = {}
local observed = setmetatable({}, { __mode = "k" }) -- connection -> {wants, notes = task, mode, task}

function source.check_event(object, name)
  core.dtls_facts(object) -- throws when it is no connection
  if type(name) ~= "string" then
    return "the name of an event expected, got " .. type(name)
  elseif not known[name] then
    local near = options.nearest(name, names)
    local hint = near and (" (did you mean '%s'?)"):format(near) or ""
    return ("unknown event '%s'%s"):format(name, hint)
  end
end

function source.is_over(object)
  return object:state() == "closed"
end

local function tell(connection)
  while true do
    local name, value, number = core.dtls_event(connection)
    if not name then
      break
    elseif known[name] then
      events.dispatch(connection, name, value, number)
    end
  end
  local err = connection:error()
  events.dispatch(connection, "closed", err and err.kind ~= "closed" and err or nil)
end

local function fetch(connection, state)
  local mark = core.dtls_watch(connection, -1)
  while mark and state.wants.message do
    local data = core.dtls_fetch(connection)
    if not data then
      core.dtls_listen(connection, false)
      return -- it is over, or another task reads
    end
    events.dispatch(connection, "message", data)
    if events.backlog(connection) >= BACKLOG then
      events.settle(connection)
    end
  end
  while mark and state.wants.ready_read do
    events.dispatch(connection, "ready_read")
    mark = core.dtls_watch(connection, mark)
  end
end

function source.observe(object, list)
  local state = observed[object] or {}
  observed[object] = state
  local wants = {}
  for _, name in ipairs(list) do
    wants[name] = true
  end
  state.wants = wants
  local mode = wants.message and "message" or wants.ready_read and "ready_read"
  if mode ~= state.mode then
    state.mode = mode
    core.dtls_listen(object, mode == "message") -- whoever else reads hears that it is busy
    if state.task then
      state.task:cancel("nobody listens any more")
    end
    state.task = mode and core.detach(fetch, object, state) or nil
    if state.task then
      state.task:name("messages of " .. tostring(object))
    end
  end
  if #list == 0 and state.notes then
    state.notes:cancel("nobody listens any more")
    state.notes = nil
  elseif #list > 0 and not state.notes and not source.is_over(object) then
    state.notes = core.detach(tell, object)
    state.notes:name("events of " .. tostring(object))
  end
end

events.extend("DtlsConnection", source)

return M
