-- DNS servers for specs, each on a free port of 127.0.0.1, with all its files in a scratch folder,
-- answering when the starter returns, stopped by its id at `<close>`:
--   dns.knot()       authoritative for spec/support/dns/*.zone and zones given as text
--   dns.unbound(k)   recursive, asks the knot `k` for its zones and nobody else
--   dns.dnsmasq(o)   a small forwarder with records of its own
--   dns.fault(o)     misbehaves by name: see dns_fault.py
-- `dns.ask` sends one question over TCP without the resolver that is under test.

local qn = require "qn"
local core = require "qn.core"
local program = require "spec.support.program"

local M = {}

local ATTEMPTS <const> = 5
local ZONES <const> = "spec/support/dns/"

M.types = {
  A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, MX = 15, TXT = 16, AAAA = 28, SRV = 33, NAPTR = 35,
  TLSA = 52, SVCB = 64, HTTPS = 65, ANY = 255, CAA = 257,
}

---@class spec.DnsServer
---@field port integer
---@field host string "127.0.0.1"
---@field address string "127.0.0.1:port"
---@field folder string scratch, gone after the end
---@field program table see spec/support/program.lua
local Server = {}
Server.__index = Server

local function write_file(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local function slurp(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

M.free_port = program.free_port

---The wire form of a name without escapes.
function M.name(text)
  local parts = {}
  for label in text:gmatch("[^.]+") do
    parts[#parts + 1] = string.pack("s1", label)
  end
  return table.concat(parts) .. "\0"
end

---The wire form of a question with recursion desired.
---@param name string
---@param type string|integer
---@param id integer?
function M.question(name, type, id)
  return string.pack(">I2I2I2I2I2I2", id or 4711, 0x0100, 1, 0, 0, 0) .. M.name(name)
    .. string.pack(">I2I2", M.types[type] or type, 1)
end

---One question over TCP.
---@async
---@param server integer|spec.DnsServer a port of 127.0.0.1, or the server
---@return string? reply the message
---@return any err
function M.ask(server, name, type)
  if math.type(server) then
    server = { host = "127.0.0.1", port = server }
  end
  local socket <close>, err = qn.tcp.connect(server.host, server.port, { timeout = 2 })
  if not socket then
    return nil, err
  end
  socket:write(string.pack(">s2", M.question(name, type)))
  return socket:unpack(">s2", { timeout = 5 })
end

---The answer code and the number of answers of a reply.
function M.status(reply)
  local flags, _, answers = string.unpack(">I2I2I2", reply, 3)
  return flags & 15, answers
end

-- $1 is the process of the spec: a server does not outlive it, even when it is killed.
local GUARD <const> = [[
parent=$1
shift
(
  while kill -0 "$parent" && kill -0 $$; do sleep 2; done
  kill -0 "$parent" || kill -KILL $$
) 2>/dev/null >&2 </dev/null &
exec "$@"
]]

local function guarded(words)
  local command = { "sh", "-c", GUARD, "sh", core.pid() }
  return table.move(words, 1, #words, #command + 1, command)
end

-- The sockets that asked whether a server is there close over several turns, and the leak check must
-- not begin to count in between.
local function settle(before)
  for _ = 1, 100 do
    collectgarbage()
    local now = qn.stats()
    if now.handles <= before.handles and now.objects <= before.objects then
      return
    end
    qn.sleep(0.001)
  end
end

local function start(make, probe, host)
  local before, problem = qn.stats(), nil
  for _ = 1, ATTEMPTS do
    local server = setmetatable({ folder = program.scratch(), port = M.free_port() }, Server)
    server.host = host or "127.0.0.1"
    server.address = (host and "[%s]:%d" or "%s:%d"):format(server.host, server.port)
    local ok, words = pcall(make, server)
    if not ok then
      program.remove(server.folder)
      error(words, 0)
    end
    server.program = program.start(guarded(words))
    local answered, err = pcall(function()
      server.program:wait_until_it_listens(server.port)
      program.until_true(words[1] .. " to answer", function() return M.ask(server, probe, "TXT") end)
    end)
    if answered then
      settle(before)
      return server
    end
    problem = err
    server:stop()
  end
  error(problem, 0) -- five ports taken in the moment between: something else is wrong
end

function Server:stop()
  if self.program then
    self.program:stop("TERM")
    self.program:__close()
    self.program = nil
    program.remove(self.folder)
  end
end
Server.__close = Server.stop

local KNOT <const> = [[
server:
    rundir: "@DIR@"
    listen: 127.0.0.1@@PORT@
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    tcp-idle-timeout: 2
database:
    storage: "@DIR@"
    journal-db-max-size: 1M
    timer-db-max-size: 1M
    kasp-db-max-size: 5M
    catalog-db-max-size: 5M
template:
  - id: default
    semantic-checks: off
    journal-content: none
    zonefile-sync: -1
    storage: "@DIR@"
log:
  - target: stderr
    any: warning
zone:
]]

local function fill(template, values)
  return (template:gsub("@(%u+)@", values))
end

---Authoritative: qn.test, 0.0.127.in-addr.arpa, the reverse zone of ::/64, and `zones`.
---@async
---@param zones table<string, string>? name to the text of the zone file
---@return spec.DnsServer
function M.knot(zones)
  return start(function(server)
    local all = {
      ["qn.test"] = slurp(ZONES .. "qn.test.zone"),
      ["0.0.127.in-addr.arpa"] = slurp(ZONES .. "rev.zone"),
      [("0."):rep(16) .. "ip6.arpa"] = slurp(ZONES .. "rev6.zone"),
    }
    for name, text in pairs(zones or {}) do
      all[name] = text
    end
    local lines = {}
    for name, text in pairs(all) do
      write_file(("%s/%s.zone"):format(server.folder, name), text)
      lines[#lines + 1] = ("  - domain: %s\n    file: \"%s.zone\"\n"):format(name, name)
    end
    server.zones = all
    local conf = fill(KNOT, { DIR = server.folder, PORT = server.port }) .. table.concat(lines)
    write_file(server.folder .. "/knot.conf", conf)
    return { "knotd", "-c", server.folder .. "/knot.conf" }
  end, "qn.test")
end

-- Everything is asked from knot, which refuses what it has no zone for: nothing ever leaves the
-- machine, and no question waits for a server that is not there.
local UNBOUND <const> = [[
server:
    interface: 127.0.0.1@@PORT@
    access-control: 127.0.0.0/8 allow
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "@DIR@"
    pidfile: "@DIR@/pid"
    logfile: ""
    use-syslog: no
    num-threads: 1
    do-not-query-localhost: no
    module-config: "iterator"
    do-ip6: no
    root-hints: ""
    local-zone: "test." nodefault
    local-zone: "127.in-addr.arpa." nodefault
    local-zone: "ip6.arpa." nodefault
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@@KNOT@
]]

---Recursive and caching. What knot has no zone for fails with SERVFAIL.
---@async
---@param knot spec.DnsServer
---@return spec.DnsServer
function M.unbound(knot)
  return start(function(server)
    local conf = fill(UNBOUND, { DIR = server.folder, PORT = server.port, KNOT = knot.port })
    for name in pairs(knot.zones) do
      conf = conf .. ("stub-zone:\n    name: \"%s\"\n    stub-addr: 127.0.0.1@%d\n"):format(name,
        knot.port)
    end
    write_file(server.folder .. "/unbound.conf", conf)
    return { "unbound", "-c", server.folder .. "/unbound.conf" }
  end, "qn.test")
end

---A small server with records of its own. `lines` are lines of its configuration, for example
---"address=/box.test/127.0.0.1" or "server=/qn.test/127.0.0.1#5353".
---@async
---@param lines string[]?
---@return spec.DnsServer
function M.dnsmasq(lines)
  return start(function(server)
    local conf = { "address=/ready.test/127.0.0.1" }
    table.move(lines or {}, 1, #(lines or {}), 2, conf)
    write_file(server.folder .. "/conf", table.concat(conf, "\n") .. "\n")
    local user <close> = assert(io.popen("id -un"))
    return { "dnsmasq", "--keep-in-foreground", "--conf-file=" .. server.folder .. "/conf",
      "--port=" .. server.port, "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv",
      "--no-hosts", "--no-poll", "--pid-file=", "--user=" .. user:read("l"), "--group=",
      "--log-facility=-" }
  end, "ready.test")
end

---Misbehaves by the first label of each name, or always as `opts.always` says; on `opts.host`, which
---may be "::1".
---@async
---@param opts { always: string?, host: string? }?
---@return spec.DnsServer
function M.fault(opts)
  opts = opts or {}
  return start(function(server)
    return { "python3", "spec/support/dns_fault.py", server.host, server.port, opts.always }
  end, "ready.count.test", opts.host)
end

---How many questions a fault server was asked: all of them, or those for a name.
---@async
---@param name string?
---@return table<string, integer> counts "total", "udp", "tcp" and by type ("A", "AAAA")
function Server:counts(name)
  local asked = name and name .. ".count.test" or "count.test"
  local reply = assert(M.ask(self, asked, "TXT"))
  local at = #M.question(asked, "TXT") + 11 -- the length in the one answer
  local size, counts = string.unpack(">I2", reply, at), { total = 0 }
  at = at + 2
  local stop = at + size
  while at < stop do
    local text
    text, at = string.unpack("s1", reply, at)
    local key, n = text:match("^(%w+)=(%d+)$")
    counts[key] = math.tointeger(n)
  end
  return counts
end

---@async
function Server:reset_counts()
  assert(M.ask(self, "reset.count.test", "TXT"))
end

---The questions that a fault server was asked, in order.
---@return { over: string, type: string, name: string, id: integer, port: integer, edns: integer?, flags: integer }[]
function Server:log()
  local list = {}
  for line in self.program:output():gmatch("[^\n]+") do
    local over, type, name, id, port, edns, flags =
      line:match("^(%l+) (%w+) (%S*) id=(%d+) port=(%d+) edns=(%S+) flags=(%x+)$")
    if over then
      list[#list + 1] = {
        over = over, type = type, name = name, id = math.tointeger(id),
        port = math.tointeger(port), edns = math.tointeger(edns), flags = tonumber(flags, 16),
      }
    end
  end
  return list
end

return M
