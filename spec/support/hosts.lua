-- Hosts with several addresses, for specs of connecting: a resolver that knows what a hosts file of the
-- spec's own says, servers on one port of several addresses, and addresses that never answer.

local qn = require "qn"
local temp = require "spec.support.temp"

local M = {}

---A resolver that answers for these names: { ["two.test"] = { "::1", "127.0.0.1" } }.
function M.resolver(names)
  local dir <close> = temp.dir()
  local file = assert(io.open(dir .. "hosts", "w"))
  for name, addresses in pairs(names) do
    for _, address in ipairs(addresses) do
      file:write(address, " ", name, "\n")
    end
  end
  file:close()
  local resolver = assert(qn.dns.resolver { hosts = dir .. "hosts", servers = "127.0.0.1:9", search = false })
  assert(resolver:lookup((next(names)))) -- it has read the file, which is gone now
  return resolver
end

---Runs `f(resolver)`, and closes it.
function M.with(names, f)
  local resolver <close> = M.resolver(names)
  return f(resolver)
end

local Sites = {}
Sites.__index = Sites

-- A free port of all these addresses: one listener each, closed in reverse order at the end.
function M.sites(addresses)
  for _ = 1, 50 do
    local self = setmetatable({ servers = {}, held = {}, addresses = addresses }, Sites)
    local first = assert(qn.tcp.listen(addresses[1], 0, { backlog = 1 }))
    self.servers[1], self.port = first, first:port()
    for i = 2, #addresses do
      self.servers[i] = qn.tcp.listen(addresses[i], self.port, { backlog = 1 })
    end
    if #self.servers == #addresses then
      return self
    end
    self:__close()
  end
  error("no port is free on all addresses")
end

---Nobody listens there any more.
function Sites:refuse(i)
  self.servers[i]:close()
end

---Its backlog is full: what comes is not answered until `answer`.
function Sites:silence(i)
  self.servers[i]:pause()
  for _ = 1, 20 do
    local s = qn.tcp.connect(self.addresses[i], self.port, { timeout = 0.02 })
    if not s then
      return
    end
    self.held[#self.held + 1] = s
  end
  error("the backlog takes everything")
end

---It accepts again.
function Sites:answer(i)
  self.servers[i]:resume()
end

function Sites:__close()
  for _, s in ipairs(self.held) do
    s:close()
  end
  for _, server in pairs(self.servers) do
    server:close()
  end
end

return M
