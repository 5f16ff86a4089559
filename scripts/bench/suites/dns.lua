-- 5,000 look-ups at once beside libuv's thread pool and Node. All programs and the name server run
-- in namespaces of their own (network, mounts, user): the server has port 53 of a loopback that is
-- nobody else's, and resolv.conf, nsswitch.conf and the hosts file are private copies. So glibc,
-- c-ares and qnlua all find the same server in the same files, no root is needed, nothing leaves.
local uv = require "luv"
local json = require "lib.json"
local Process = require "lib.process"
local tools = require "lib.tools"

local AT_ONCE <const> = "5,000 names at once, knot on the same machine"
local FAR <const> = "500 names at once, each answered after 10 ms"
local COUNTS <const> = { [AT_ONCE] = 5000, [FAR] = 500 }
local FAR_MS <const> = 10
local WARM_S <const> = 0.3
local READY_STEPS <const> = 100 -- of 0.1 s

local FILES <const> = {
  ["resolv.conf"] = "nameserver 127.0.0.1\nsearch .\n",
  ["nsswitch.conf"] = "hosts: files dns\n",
  ["hosts"] = "127.0.0.1 localhost\n",
  ["bench.test.zone"] = [[
$ORIGIN bench.test.
$TTL 300
@ IN SOA ns host 1 3600 600 86400 60
@ IN NS ns
ns IN A 127.0.0.1
* IN A 127.0.0.9
* IN AAAA ::9
]],
  ["knot.conf"] = [[
server:
    rundir: "@DIR@"
    listen: 127.0.0.1@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "@DIR@"
    journal-db-max-size: 1M
    timer-db-max-size: 1M
    kasp-db-max-size: 5M
    catalog-db-max-size: 5M
log:
  - target: stderr
    any: warning
zone:
  - domain: bench.test
    file: "@DIR@/bench.test.zone"
    journal-content: none
    zonefile-sync: -1
]],
}

-- $1 is the folder, the rest the server; what is mounted and listened to is seen in these namespaces only.
local ENTER <const> = [[
set -e
ip link set lo up
for name in resolv.conf nsswitch.conf hosts; do mount --bind "$1/$name" "/etc/$name"; done
shift
echo ready
exec "$@"
]]

local servers = {}

local function prepare()
  local folder = tools.build .. "/dns"
  uv.fs_mkdir(folder, tonumber("755", 8))
  for name, text in pairs(FILES) do
    local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
    file:write((text:gsub("@DIR@", (folder:gsub("%%", "%%%%")))))
  end
  return folder
end

local function server_command(case, folder)
  if case == FAR then
    return { tools.helper("dns_delay"), tostring(FAR_MS) }
  end
  return { "knotd", "-c", folder .. "/knot.conf" }
end

--- One name server for all measurements of a case, on a core of its own, as long as the run lasts.
local function start_server(case)
  local folder = prepare()
  local argv = { "unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", ENTER,
    "sh", folder }
  local command = server_command(case, folder)
  table.move(command, 1, #command, #argv + 1, argv)
  local server = Process.start(argv, tools.load_core)
  assert(server:line(10) == "ready", "the name server has no namespaces")
  for _ = 1, READY_STEPS do
    local file <close> = assert(io.open(("/proc/%d/net/udp"):format(server.pid)))
    if file:read("a"):find("0100007F:0035 ", 1, true) then -- port 53 of 127.0.0.1 is taken
      Process.pause(WARM_S) -- the zone is loaded by then
      -- knot has bound its workers to cores of its own choice
      Process.output { "taskset", "--all-tasks", "--cpu-list", "--pid", tostring(tools.load_core),
        tostring(server.pid) }
      return server
    end
    Process.pause(0.1)
  end
  error(command[1] .. " does not start", 0)
end

--- The command in the namespaces of the server.
local function inside(server, argv)
  local command = { "nsenter", "--target", tostring(server.pid), "--user", "--preserve-credentials",
    "--net", "--mount", "--wd=" .. tools.root, "--" }
  return table.move(argv, 1, #argv, #command + 1, command)
end

--- CPU time of the name server so far, in clock ticks: it must not be what is measured.
local function server_ticks(server)
  local file <close> = assert(io.open(("/proc/%d/stat"):format(server.pid)))
  local user, system = file:read("a"):match("^.*%) %u" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
  return tonumber(user) + tonumber(system)
end

local function group(case)
  return {
    name = case,
    measure = function(subject)
      local server = servers[case] or start_server(case)
      servers[case] = server
      local before = server_ticks(server)
      local argv = subject.command()
      argv[#argv + 1] = tostring(COUNTS[case])
      local sample = json.decode_flat(Process.output(inside(server, argv))[1])
      sample.cost = sample.wall_ns / sample.count
      sample.cpu = sample.cpu_ns / sample.count
      sample.per_second = 1e9 / sample.cost
      sample.server_busy = (server_ticks(server) - before) * 1e7 / sample.wall_ns
      return { [case] = sample }
    end,
  }
end

local function script(program, name, ...)
  local words = { program, tools.root .. "/scripts/bench/" .. name, ... }
  return function() return table.move(words, 1, #words, 1, {}) end
end

return {
  name = "dns",
  about = [[
Look-ups of distinct names (addresses of both families) started at once: wall time of the reference
divided by the subject's, in the same round; more is better. The reference is `uv_getaddrinfo` with
the default thread pool (4 threads, of which libuv gives look-ups half). The first case shows what a
look-up costs: the server, knot, is on the same machine, bound to one of the two cores. The second
shows what waiting costs: the server answers after 10 ms. The programs are not bound to a core, so
that threads may use both. All read the same resolv.conf, nsswitch.conf and hosts file, private to
the benchmark in a mount namespace; each makes one look-up before the clock starts, and none has an
answer in a cache. Node's `resolve` is `resolve4` and `resolve6` together, which do not follow
nsswitch.conf; it sends all questions at once, and waits long for those that find the server's
socket buffer full. "Server busy" is the CPU time of the server over the wall time.
]],
  reference = "uv",
  rounds = 9,
  ratio_title = "times as fast",
  subjects = {
    { id = "uv", label = "C libuv, uv_getaddrinfo (reference)",
      command = function() return { tools.helper("dns_uv", "libuv") } end },
    { id = "uv2", label = "C libuv again",
      command = function() return { tools.helper("dns_uv", "libuv") } end },
    { id = "qn", label = "qnlua, qn.dns.lookup", qnlua = true,
      goals = { [AT_ONCE] = 5, [FAR] = 5 },
      command = script(tools.qnlua, "dns_qn.lua") },
    { id = "core", label = "our C core, qn_resolve", qnlua = true,
      command = function() return { tools.core_helper("dns_core") } end },
    { id = "node", label = "Node dns.resolve4 + resolve6",
      command = script("node", "dns_node.js", "resolve") },
    { id = "node_lookup", label = "Node dns.lookup",
      command = script("node", "dns_node.js", "lookup") },
  },
  groups = { group(AT_ONCE), group(FAR) },
  cases = { AT_ONCE, FAR },
  columns = {
    { field = "wall_ns", title = "wall, ms", format = "%.0f", scale = 1e-6 },
    { field = "per_second", title = "look-ups/s", format = "%.0f" },
    { field = "cpu", title = "CPU/op, µs", format = "%.1f", scale = 1e-3 },
    { field = "server_busy", title = "server busy", format = "%.2f" },
  },
}
