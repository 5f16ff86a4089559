-- Hosts with several addresses, for specs of connecting: a resolver that knows what a hosts file of the
-- spec's own says, servers on one port of several addresses, and addresses that never answer.

local qn = require "qn"
local program = require "spec.support.program"
local splits = require "spec.support.splits"
local temp = require "spec.support.temp"

local M = {}

local folders = setmetatable({}, { __mode = "k" })

---A resolver that answers for these names: { ["two.test"] = { "::1", "127.0.0.1" } }. It looks at its file
---again and again, so that stays until `close`.
function M.resolver(names)
  local dir = temp.dir()
  local file = assert(io.open(dir .. "hosts", "w"))
  for name, addresses in pairs(names) do
    for _, address in ipairs(addresses) do
      file:write(address, " ", name, "\n")
    end
  end
  file:close()
  local resolver = assert(qn.dns.resolver { hosts = dir .. "hosts", servers = "127.0.0.1:9", search = false })
  assert(resolver:lookup((next(names)))) -- it has read the file
  folders[resolver] = dir
  return resolver
end

---Closes such a resolver.
function M.close(resolver)
  local _ <close> = folders[resolver]
  folders[resolver] = nil
  resolver:close()
end

---Runs `f(resolver)`, and closes it.
function M.with(names, f)
  local resolver = M.resolver(names)
  local _ <close> = setmetatable({}, { __close = function() M.close(resolver) end })
  return f(resolver)
end

-- How /proc/net/tcp writes a loopback address.
local function hex_of(address)
  local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  if a then
    return ("%02X%02X%02X%02X"):format(d, c, b, a)
  end
  assert(address == "::1")
  return ("0"):rep(24) .. "01000000"
end

-- How many connections to a listener are up and not accepted.
local function queued(address, port)
  local wanted = ("%s:%04X"):format(hex_of(address), port)
  for line in io.lines(address:find(":", 1, true) and "/proc/net/tcp6" or "/proc/net/tcp") do
    local own, n = line:match("^%s*%d+: (%x+:%x+) %x+:%x+ 0A %x+:(%x+)")
    if own == wanted then
      return tonumber(n, 16)
    end
  end
  error("nobody listens there")
end

---Connects to a server that is paused and has a backlog of 1 until the kernel takes no more: nobody who comes
---behind is answered, however long he waits. The sockets are the caller's.
---@async
function M.fill(address, port)
  local held = {}
  repeat
    held[#held + 1] = assert(qn.tcp.connect(address, port, { timeout = 20 }))
    splits.until_true("the kernel counts it", function() return queued(address, port) == #held end)
  until #held == 2 -- a backlog of n is full with n + 1
  return held
end

local Sites = {}
Sites.__index = Sites

-- A free port of all these addresses: one listener each, closed in reverse order at the end.
function M.sites(addresses)
  for _ = 1, 50 do
    local self = setmetatable({ servers = {}, held = {}, addresses = addresses }, Sites)
    self.port = program.free_port()
    for i = 1, #addresses do
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
  for _, s in ipairs(M.fill(self.addresses[i], self.port)) do
    self.held[#self.held + 1] = s
  end
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
