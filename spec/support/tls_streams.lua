-- Both ends of TLS connections for specs, ours on either side: over memory, TCP or Unix sockets.
-- `open()` gives a workshop of certificates (spec/support/tls_certs.lua) with what nearly every spec
-- wants: options of a server and of a client that trusts it. Handshakes of `pair` run at the same time.

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local pair = require "spec.support.pair"

local M = {}

local Streams = {}
Streams.__index = Streams

function M.open()
  local shop = certs.open()
  return setmetatable({ shop = shop }, Streams)
end

function Streams:close()
  self.shop:close()
end

-- `base` with what `more` adds or, as false, takes away.
local function with(base, more)
  for name, value in pairs(more or {}) do
    base[name] = value
  end
  return base
end
M.with = with

---Options of a server that is `identity` ("server").
function Streams:server(more, identity)
  return with({ server = true, cert = self.shop:chain(identity or "server"),
    key = self.shop:key(identity or "server") }, more)
end

---Options of a client that trusts the root.
function Streams:client(more)
  return with({ ca = self.shop:cert "root", server_name = "localhost" }, more)
end

---Options of a client that trusts the root and nothing more.
function Streams:trust(more)
  return with({ ca = self.shop:cert "root" }, more)
end

---Makes a handshake on two connected streams: client ok, err, server ok, err.
function Streams.shake(a, b, client, server)
  local task = qn.spawn(b.start_tls, b, server)
  local ok, err = a:start_tls(client)
  local _, far, far_err = task:join()
  return ok, err, far, far_err
end

---Runs `f(a, b)` with an encrypted pair of a kind; client is a.
function Streams:with(kind, client, server, f)
  pair.with(kind, function(a, b)
    local ok, err, far, far_err = self.shake(a, b, self:client(client), self:server(server))
    assert(ok, tostring(err))
    assert(far, tostring(far_err))
    f(a, b)
  end)
end

---The errors of both ends of a handshake that must fail.
function Streams:failure(client, server, identity)
  local err, far_err
  pair.with("memory", function(a, b)
    local ok, far
    ok, err, far, far_err = self.shake(a, b, self:client(client), self:server(server, identity))
    assert(not ok, "the handshake has succeeded")
    assert(not far or far_err == nil)
  end)
  return err, far_err
end

---Runs `f(port)` with a server that does `serve(stream)` on each connection once its handshake is done;
---by default it sends lines back.
function Streams:serving(server, f, serve)
  serve = serve or function(s)
    for line in s:lines() do
      assert(s:write(line, "\n"))
    end
  end
  local listener <close> = assert(qn.tcp.listen("127.0.0.1", 0))
  local options = self:server(server)
  local task = qn.spawn(function()
    listener:serve(function(s)
      if s:start_tls(options) then
        serve(s)
      end
    end, { on_error = function(err) assert(qn.is_error(err), tostring(err)) end })
  end)
  local _ <close> = setmetatable({}, { __close = function()
    listener:close()
    task:cancel()
    task:join()
  end })
  return f(listener:port())
end

---The error of a connect with these options, to a server with those.
function Streams:refused(client, server)
  local socket, err
  self:serving(server or {}, function(port)
    socket, err = qn.tls.connect("127.0.0.1", port, client)
    if socket then
      socket:close()
    end
  end)
  assert(not socket, "the connect has succeeded")
  return err
end

return M
