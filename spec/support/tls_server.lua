-- TLS servers of our own and clients of them, for the specs of what servers do. `new()` gives a rig whose
-- functions are local to a spec file: `rig.open` in `setup` makes a workshop of certificates
-- (spec/support/tls_certs.lua), `rig.close` in `teardown` takes it away. Servers are "server" unless the
-- options say otherwise; clients trust the root. Everything that is opened is the spec's to close.

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local assert = require "luassert"

local M = {}

-- A new table of the fields of all of these; later ones win.
local function merge(...)
  local out = {}
  for i = 1, select("#", ...) do
    for name, value in pairs((select(i, ...)) or {}) do
      out[name] = value
    end
  end
  return out
end
M.merge = merge

local function close_both(d)
  d.a:close()
  d.b:close()
end

---A line there and a line back.
function M.talk(a, b)
  assert(a:write("ping\n"))
  assert.equal("ping", b:read("l"))
  assert(b:write("pong\n"))
  assert.equal("pong", a:read("l"))
end

---A client meets a server of these options, and both end: what the client knew of the connection, or nil and
---its error.
function M.meet(server_options, options)
  local server <close> = assert(qn.tls.listen("127.0.0.1", 0, server_options))
  local task = qn.spawn(function()
    local socket <close> = server:accept()
    if socket then
      socket:read("a")
    end
  end)
  options.server_name = "localhost"
  local socket, err = qn.tls.connect("127.0.0.1", server:port(), options)
  local facts = socket and socket:tls()
  if socket then
    socket:close()
  else
    server:close()
  end
  task:join()
  return facts, err
end

function M.new()
  local rig = {}
  local shop, root, identity

  ---The workshop, its root (a path), what servers are (options `cert`, `key`).
  function rig.open()
    shop = certs.open()
    root, identity = shop:cert "root", shop:identity "server"
    return shop, root, identity
  end

  function rig.close()
    shop:close()
  end

  function rig.listen(opts)
    return assert(qn.tls.listen("127.0.0.1", 0, merge(identity, opts)))
  end

  function rig.connect(server, opts)
    return qn.tls.connect("127.0.0.1", server:port(), merge({ ca = root, timeout = 20 }, opts))
  end

  ---{a = a client, b = the server's socket of it}
  function rig.duo(server, opts)
    local task = qn.spawn(rig.connect, server, opts)
    local socket = assert(server:accept(20))
    local ok, client, err = task:join()
    assert(ok, client)
    return setmetatable({ a = assert(client, err), b = socket }, { __close = close_both })
  end

  return rig
end

return M
