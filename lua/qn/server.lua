---Servers: the supervised accept loop, its iterator, and the graceful end.

local core = require "qn.core"
local options = require "qn.options"

---@class qn.Server
local Server = core.methods("Server")

require "qn.events".extend("Server")

-- server -> the group of its connections while serve runs
local serving = setmetatable({}, { __mode = "k" })

-- The end of serve, however it comes: also connections whose task never began are closed.
local serve_end = { __close = function(end_of)
  serving[end_of.server] = nil
  for socket in pairs(end_of.waiting) do
    socket:close()
  end
end }

---Connections as they come: `for socket in server:each() do`. Ends when the server is closed; other
---errors are thrown.
---@async
---@return fun(): qn.Socket?
function Server:each()
  return function()
    local socket, err = self:accept()
    if socket then
      return socket
    elseif err.kind == "closed" then
      return nil
    end
    error(err, 0)
  end
end

local serve_options = {
  max_connections = { type = "integer", min = 1 },
  on_error = { type = "function" },
}

---Accepts connections until the server is closed and runs `handler(socket)` for each in a task of its
---own; the socket is closed when the handler ends. An error in a handler ends that connection only: it
---goes to `on_error(err, socket)`, or to `qn.on_unhandled` when there is none. Above `max_connections`
---no more are accepted until one ends.
---@async
---@param handler fun(socket: qn.Socket)
---@param opts? {max_connections?: integer, on_error?: fun(err: any, socket: qn.Socket)}
---@return boolean ok true when the server was closed
---@return qn.Error? err
function Server:serve(handler, opts)
  if type(handler) ~= "function" then
    error("bad argument #1 to 'serve' (function expected, got " .. type(handler) .. ")", 2)
  end
  opts = options.check(opts, serve_options, "serve")
  local on_error = opts.on_error
  local slots = opts.max_connections and require "qn.sync".semaphore(opts.max_connections)

  if serving[self] then
    error("serve: the server is being served already", 2)
  end
  local waiting = {} -- sockets whose task has not begun
  local _ <close> = setmetatable({ server = self, waiting = waiting }, serve_end)

  local function run(socket)
    local s <close> = socket
    waiting[socket] = nil
    if not on_error then
      return handler(s)
    end
    local ok, err = xpcall(handler, core.stash, s)
    if not ok then
      if core.is_cancelled(err) then
        error(err, 0)
      end
      on_error(err, s)
    end
  end

  local function connection(socket)
    if not slots then
      return run(socket)
    end
    local slot <close> = slots:guard() -- the accept loop has taken it
    return run(socket)
  end

  local group = require "qn.group".group
  local failure
  group({ on_error = "supervise" }, function(g)
    serving[self] = g
    while true do
      if slots then
        slots:take()
      end
      local socket, err = self:accept()
      if not socket then
        if err.kind ~= "closed" then
          failure = err
        end
        break
      end
      waiting[socket] = true
      g:spawn(connection, socket)
    end
  end)
  if failure then
    return nil, failure
  end
  return true
end

-- TLS is loaded with the first server that speaks it.
for _, name in ipairs { "configure", "configuration", "rotate_tickets", "set_ocsp_staple" } do
  Server[name] = function(self, ...)
    return require "qn.tls.server".Server[name](self, ...)
  end
end

local close_options = { grace = { type = "seconds" } }

---Stops listening. Connections that `serve` runs may go on for `grace` seconds, then they are
---cancelled; without a grace they go on until they end by themselves. Waits until they have ended when a
---grace was given.
---@async
---@param opts? {grace?: number|false}
---@return boolean
function Server:close(opts)
  opts = options.check(opts, close_options, "close")
  self:stop()
  local g = serving[self]
  if g and opts.grace ~= nil then
    local ok = g:wait_ended(opts.grace)
    if not ok then
      g:cancel("the server is closing")
      g:wait_ended()
    end
  end
  return true
end

return {}
