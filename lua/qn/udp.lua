---Datagram sockets: making them, request and answer, events. Sending and receiving are in C.

local core = require "qn.core"
local options = require "qn.options"

---Datagram sockets (QUdpSocket, QNetworkDatagram).
---@class qn.udp
local M = {}

---@class qn.UdpSocket
local Udp = core.methods "UdpSocket"

require "qn.events".extend("UdpSocket", require "qn.udp.events")

local modes = { "default", "share", "exclusive", "reuse" }
local families = { "any", "ipv4", "ipv6" }
local MAX_BUFFER <const> = 0x3fffffff

-- The options of core.udp_socket, which says what they mean; here so that mistakes blame the caller.
local function with_socket_options(own)
  local all = {
    v6only = { type = "boolean" }, reuse_port = { type = "boolean" }, errors = { type = "boolean" },
    gro = { type = "boolean" }, details = { type = "boolean" }, broadcast = { type = "boolean" },
    family = { type = "enum", values = families },
    receive_buffer = { type = "integer", min = 0, max = MAX_BUFFER },
    send_buffer = { type = "integer", min = 0, max = MAX_BUFFER },
    ttl = { type = "integer", min = 1, max = 255 },
    multicast_ttl = { type = "integer", min = 0, max = 255 },
    multicast_loopback = { type = "boolean" },
  }
  for name, rule in pairs(own) do
    all[name] = rule
  end
  return all
end

local bind_own = { mode = { type = "enum", values = modes } }
local bind_options = with_socket_options(bind_own)
local connect_own = {
  timeout = { type = "seconds" },
  bind = { type = "string|userdata" },
  mode = { type = "enum", values = modes },
}
local connect_options = with_socket_options(connect_own)

-- What is for the socket itself.
local function without(opts, own)
  local rest = {}
  for name, value in pairs(opts) do
    if not own[name] then
      rest[name] = value
    end
  end
  return rest
end

-- Whatever happens before `keep` is set closes the socket.
local guard = { __close = function(g)
  if not g.keep then
    g.socket:close()
  end
end }

-- Arguments that are passed on are the caller's: so are mistakes in them.
local function pass(ok, first, ...)
  if ok then
    return first, ...
  elseif type(first) == "string" then
    error(first:gsub("^[^:]*qn/udp%.lua:%d+: ", ""), 3)
  end
  error(first, 0)
end

---A socket that is bound to an address literal ("*" = all, IPv4 and IPv6) and a port (0 = any free one).
---
---Errors: `exists` (in use), `unreachable` (not an address of this machine), `denied`, `limit` (too many
---open files).
---Qt rows: UDP-01, UDP-02.
---@param addr? string|qn.Address
---@param port? integer
---@param opts? qn.UdpBindOptions
---@return qn.UdpSocket? socket
---@return qn.Error? err
function M.bind(addr, port, opts)
  opts = options.check(opts, bind_options, "bind")
  local socket, err = core.udp_socket(without(opts, bind_own))
  if not socket then
    return nil, err
  end
  local g <close> = setmetatable({ socket = socket }, guard)
  local ok
  ok, err = pass(pcall(function() return socket:bind(addr, port, opts.mode) end))
  if not ok then
    return nil, err
  end
  g.keep = true
  return socket
end

-- "10.0.0.1", "10.0.0.1:4000", "[::1]:4000", "::1" -> host, port
local function parse_local(text)
  if type(text) ~= "string" then
    return text, 0
  end
  local host, port = text:match "^%[(.*)%]:(%d+)$"
  if not host then
    host, port = text:match "^%[(.*)%]$", nil
  end
  if not host then
    host, port = text:match "^([^:]*):(%d+)$"
  end
  return host or text, tonumber(port or 0)
end

---A socket that is connected to one peer: `send` needs no address, and only what this peer sends is
---received. A name is looked up, and its first address that there is a route to is taken.
---
---Errors: `dns` (name not found), `unreachable`, `timeout` (phase "dns"), those of `bind`.
---Qt rows: UDP-06.
---@async
---@param host string|qn.Address name or address literal
---@param port integer
---@param opts? qn.UdpConnectOptions
---@return qn.UdpSocket? socket
---@return qn.Error? err
function M.connect(host, port, opts)
  opts = options.check(opts, connect_options, "connect")
  local socket, err = core.udp_socket(without(opts, connect_own))
  if not socket then
    return nil, err
  end
  local g <close> = setmetatable({ socket = socket }, guard)
  local ok
  if opts.bind ~= nil then
    local addr, local_port = parse_local(opts.bind)
    ok, err = pass(pcall(function() return socket:bind(addr, local_port, opts.mode) end))
    if not ok then
      return nil, err
    end
  end
  ok, err = pass(pcall(function()
    return socket:connect(host, port, { timeout = opts.timeout, family = opts.family })
  end))
  if not ok then
    return nil, err
  end
  g.keep = true
  return socket
end

---A socket that is neither bound nor connected. The first datagram that it sends binds it to any port.
---@param opts? qn.UdpOptions
---@return qn.UdpSocket? socket
---@return qn.Error? err
function M.socket(opts)
  return core.udp_socket(opts)
end
M.socket = core.udp_socket

---Takes over a datagram socket by its descriptor.
---
---Errors: `invalid` (no socket), `unsupported` (no datagram socket of IP).
---@param fd integer
---@param opts? qn.UdpOptions
---@return qn.UdpSocket? socket
---@return qn.Error? err
function M.adopt(fd, opts)
  return core.udp_adopt(fd, opts)
end
M.adopt = core.udp_adopt

local request_options = {
  timeout = { type = "seconds" },
  retries = { type = "integer", min = 0, max = 1000 },
  match = { type = "function|string" },
  host = { type = "string|userdata" },
  port = { type = "integer", min = 1, max = 65535 },
  max = { type = "integer", min = 0 },
  on_other = { type = "function" },
}

local REQUEST_TIMEOUT <const> = 1
local REQUEST_RETRIES <const> = 3

local function matcher(match)
  if type(match) == "string" then
    return function(data)
      return data:sub(1, #match) == match
    end
  end
  return match or function()
    return true
  end
end

-- Whether it reaches everybody on one of our networks.
local function is_broadcast(address)
  local number = address.protocol == "ipv4" and address:to_ipv4()
  if address.is_broadcast or not number or number & 1 == 0 then
    return address.is_broadcast
  end
  for _, interface in ipairs(require "qn.interfaces"() or {}) do
    for _, entry in ipairs(interface.entries) do
      local rest = entry.ip.protocol == "ipv4" and 0xffffffff >> entry.prefix_length or 0
      if rest > 1 and number & rest == rest
        and address:is_in_subnet(entry.ip, entry.prefix_length) then
        return true
      end
    end
  end
  return false
end

-- Whom to ask: destinations of which the first that there is a way to is taken, and the port.
local function destinations(opts)
  local host, port = opts.host, opts.port
  if type(host) ~= "string" then
    return { host }, port
  elseif not port then
    error("request: option 'host' needs option 'port'", 3)
  elseif host == "*" or host:find "^[%d.]+$" or host:find(":", 1, true) then
    local address, err = require "qn.address"(host, { loose = true })
    return address and { address }, address and port or err
  end
  local found, err = require "qn.dns".lookup(host)
  return found and { table.unpack(found.addresses) }, found and port or err
end

local function from_anybody()
  return true
end

-- Tells whether a datagram comes from whom was asked; for a group and a broadcast others answer.
local function sender_check(to, port)
  local address = to and (port and to or to.address):unmapped()
  if not address or address.is_unspecified or address.is_multicast or is_broadcast(address) then
    return from_anybody
  end
  local bytes = address.bytes -- the kernel adds scopes
  port = port or to.port
  return function(from)
    return from.port == port and from.address.bytes == bytes
  end
end

-- Sends to the first that there is a way to; the ones before it are not tried again.
local function ask(socket, data, to, port)
  local ok, err = socket:send(data, to[1], port)
  while not ok and #to > 1 and (err.kind == "unreachable" or err.kind == "unsupported") do
    table.remove(to, 1)
    ok, err = socket:send(data, to[1], port)
  end
  return ok, err
end

-- A datagram that matches, or nil and why there was none before `deadline`. What does not match must not
-- hold it up: a peer may send such without end.
local function await_answer(socket, deadline, opts, matches)
  local left
  repeat
    left = deadline and math.max(deadline - core.now(), 0) or false
    local data, from = socket:recv { timeout = left, max = opts.max }
    if not data then
      return nil, from
    elseif matches(data, from) then
      return data, from
    elseif opts.on_other then
      opts.on_other(data, from)
    end
  until left == 0
  local fields = { op = "request", code = "TIMEOUT", phase = "read" }
  return nil, core.error("timeout", "timed out", fields)
end

---Sends a datagram and waits for the one that answers it; sends it again when none has come within
---`timeout` (1 s), `retries` times (3). An ICMP error ends its try, and the next one begins at once.
---
---The answer comes from the address and port that were asked (unless these are a group or a broadcast
---address) and matches; what else arrives goes to `on_other`, or is dropped. When `match` is a function it
---alone decides. Who forges answers has to guess little more than a port: put a number into the question
---that cannot be guessed, and match it.
---
---Errors: `timeout` (phase "read"), those of `send` and `recv`, `dns`.
---@async
---@param data string|qn.Buffer
---@param opts? qn.UdpRequestOptions
---@return string? answer
---@return qn.Datagram|qn.Error from the datagram, or the error
function Udp:request(data, opts)
  opts = options.check(opts, request_options, "request")
  local timeout = opts.timeout == nil and REQUEST_TIMEOUT or opts.timeout
  local matches = matcher(opts.match)
  local to, port = destinations(opts)
  if not to then
    return nil, port
  end
  local err
  for _ = 0, opts.retries or REQUEST_RETRIES do
    local deadline = timeout and core.now() + timeout
    local ok
    ok, err = ask(self, data, to, port)
    if ok then
      local is_from = type(opts.match) == "function" and from_anybody or sender_check(to[1], port)
      local answer, from = await_answer(self, deadline, opts, function(bytes, from)
        return is_from(from) and matches(bytes, from)
      end)
      if answer then
        return answer, from
      end
      err = from
    end
    if err.kind == "closed" or err.kind == "busy" or err.kind == "limit" then
      break
    end
  end
  return nil, err
end

return M
