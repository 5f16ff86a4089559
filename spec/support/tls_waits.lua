-- The waiting operations of TLS for the cancellation specs, beside those of spec/support/waits.lua: handshakes
-- in both roles, with questions and without, whole connects, and reading and writing over TLS.
-- The certificate is made once; clients do not look at it.

local qn = require "qn"
local pair = require "spec.support.pair"

local M = {}

local identity
local CLIENT <const> = { verify = "none" }

local function server_options()
  if not identity then
    local cert, key = assert(qn.tls.self_signed { names = { "localhost" } })
    identity = { server = true, cert = cert, key = key }
  end
  return identity
end

-- The other end begins its handshake when it is released.
local function shaking(op, other)
  return function()
    local a, b = qn.pair()
    local task
    server_options()
    return {
      op = function() return op(b) end,
      release = function()
        task = task or qn.spawn(function() return a:start_tls(other()) end)
      end,
      close = function()
        a:abort()
        b:abort()
        if task then
          task:cancel()
          task:join()
        end
      end,
    }
  end
end

local function client_options() return CLIENT end

M["start_tls"] = shaking(function(s) return s:start_tls(CLIENT) end, server_options)
M["start_tls (server)"] = shaking(function(s) return s:start_tls(identity) end, client_options)
M["start_tls (sni asked)"] = shaking(function(s)
  return s:start_tls { server = true, cert = identity.cert, key = identity.key, sni = function()
    qn.sleep(0.001)
  end }
end, client_options)
M["start_tls (errors asked)"] = shaking(function(s)
  s:on("ssl_errors", function()
    qn.sleep(0.001)
    s:ignore_ssl_errors()
  end)
  return s:start_tls { server_name = "x.test" }
end, server_options)

local function serving(op)
  return function()
    server_options()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local task = qn.spawn(function()
      server:serve(function(s) s:start_tls(identity) end)
    end)
    return {
      op = function() op(server:port()) end,
      close = function()
        server:close()
        task:cancel()
        task:join()
      end,
    }
  end
end

M["tls connect"] = serving(function(port)
  local _ <close> = qn.tls.connect("localhost", port, CLIENT)
  qn.yield()
end)
M["tls connect, written to meanwhile"] = serving(function(port)
  local s <close> = qn.tcp.socket()
  qn.spawn(function()
    qn.yield()
    s:write("early")
  end)
  s:connect("127.0.0.1", port, { tls = CLIENT })
  qn.yield()
end)

local function encrypted()
  local a, b = qn.pair()
  local task = qn.spawn(a.start_tls, a, server_options())
  assert(b:start_tls(CLIENT))
  assert(task:join())
  return a, b
end

-- DTLS: a server that gives back what it gets, and what a task does with it.
local function dtls_world(op)
  return function()
    server_options()
    local server = assert(qn.dtls.listen("127.0.0.1", 0, { cert = identity.cert, key = identity.key }))
    local task = qn.spawn(function()
      server:serve(function(c)
        for data in c:each() do
          c:send(data)
        end
      end, { on_error = function() end })
    end)
    local connections = {}
    return {
      op = function() op(server, connections) end,
      close = function()
        for _, c in ipairs(connections) do
          c:close()
        end
        server:close()
        task:cancel()
        task:join()
      end,
    }
  end
end

local function dtls_connect(server, connections, more)
  local opts = { verify = "none", timeout = 20 }
  for name, value in pairs(more or {}) do
    opts[name] = value
  end
  local c = assert(qn.dtls.connect("127.0.0.1", server:port(), opts))
  connections[#connections + 1] = c
  return c
end

M["dtls connect"] = dtls_world(dtls_connect)
M["dtls connect (errors asked)"] = dtls_world(function(server, connections)
  dtls_connect(server, connections, { verify = "peer", sessions = false, on_ssl_errors = function()
    qn.sleep(0.001)
    return true
  end })
end)
M["dtls recv"] = dtls_world(function(server, connections)
  local c = connections[1] or dtls_connect(server, connections)
  c:send "x"
  c:recv()
end)
M["dtls event"] = dtls_world(function(server, connections)
  local c = connections[1] or dtls_connect(server, connections)
  c:send "x"
  c:wait("ready_read", 10)
  c:recv()
end)
M["dtls accept"] = dtls_world(function(server, connections)
  local second <close> = assert(qn.dtls.listen("127.0.0.1", 0, { cert = identity.cert, key = identity.key }))
  local _, _ = server, connections
  second:accept(0.003)
end)
pair.makers.tls = encrypted

---Adds the makers to a table; `over(kind, name)` is the maker of a reading or writing operation over a pair.
return function(makers, over)
  for name, maker in pairs(M) do
    makers[name] = maker
  end
  for _, name in ipairs { "recv", "read(a)", "write above the mark", "shutdown" } do
    makers[name .. " (tls)"] = over("tls", name)
  end
end
