-- UDP echo servers under the same load: CPU time of the server process per datagram, beside raw C
-- libuv.
local json = require "lib.json"
local Process = require "lib.process"
local quiet = require "lib.quiet"
local tools = require "lib.tools"

local WARM_MS <const> = 300
local WINDOW_64 <const> = "64 B, window 64"
local SINGLE_64 <const> = "64 B, window 64, sent one by one"
local LARGE_64 <const> = "1,200 B, window 64"

local function measure(subject, case, seconds)
  local server = Process.start(subject.command(), tools.server_core)
  local port = server:line(10):match("^port (%d+)$")
  assert(port, subject.id .. ": the first line is not \"port N\"")
  local lines = Process.output({
    tools.helper("udp_load"), "--port", port, "--size", tostring(case.size), "--window", "64",
    "--warm", tostring(WARM_MS), "--time", tostring(math.floor(seconds * 1000)),
    "--pid", tostring(server.pid), case.single and "--single" or nil,
  }, tools.load_core)
  server:stop()
  local sample = json.decode_flat(lines[1])
  sample.cost = sample.server_cpu_ns_per_op
  return sample
end

local function group(name, case)
  return {
    name = name,
    measure = function(subject, options)
      return { [name] = quiet.least_disturbed(measure, subject, case, options.seconds) }
    end,
  }
end

local function uv(...)
  local args = { ... }
  return function() return { tools.helper("udp_uv", "libuv"), table.unpack(args) } end
end

local function qn(name)
  return function() return { tools.qnlua, tools.script(name) } end
end

local PLAIN <const> = { [WINDOW_64] = 0.92 }
local BATCH <const> = { [WINDOW_64] = 1.05 }

return {
  name = "udp",
  about = [[
Echo of datagrams over loopback with 64 of them under way, server on one core, load generator on
the other, a fresh server for each measurement. CPU ratio: CPU time per datagram of the raw C libuv
server (one recvmsg and one sendmsg each) divided by the subject's, in the same round; 1.00 is as
cheap as C, more is better. "libuv again" is the reference once more: how far it is from 1.00 is the
noise of this run. "Batches" is recv_batch and send_batch, which leave as segments of one send.
]],
  reference = "uv",
  rounds = 9,
  ratio_title = "CPU ratio",
  subjects = {
    { id = "uv", label = "C libuv (reference)", command = uv() },
    { id = "uv2", label = "C libuv again", command = uv() },
    { id = "uv_mmsg", label = "C libuv, recvmmsg", command = uv("mmsg") },
    { id = "qn", label = "qnlua, recv and send", command = qn("udp_qn.lua"), qnlua = true,
      goals = PLAIN },
    { id = "qn_batch", label = "qnlua, batches", command = qn("udp_qn_batch.lua"), qnlua = true,
      goals = BATCH },
    { id = "node", label = "Node dgram",
      command = function() return { "node", tools.script("udp_node.js") } end },
  },
  groups = {
    group(WINDOW_64, { size = 64 }), group(SINGLE_64, { size = 64, single = true }),
    group(LARGE_64, { size = 1200 }),
  },
  cases = { WINDOW_64, SINGLE_64, LARGE_64 },
  columns = {
    { field = "cost", title = "CPU/datagram, µs", format = "%.2f", scale = 1e-3 },
    { field = "ops_per_second", title = "datagrams/s", format = "%.0f" },
    { field = "server_busy", title = "server busy", format = "%.2f" },
    { field = "lost", title = "lost", format = "%.0f" },
    { field = "disturbed", title = "disturbed", format = "%.2f" },
  },
}
