-- Echo servers under the same load: CPU time of the server process per message, beside raw C
-- libuv.
local json = require "lib.json"
local Process = require "lib.process"
local quiet = require "lib.quiet"
local tools = require "lib.tools"

local SMALL_1 <const> = "64 B, 1 connection"
local SMALL_50 <const> = "64 B, 50 connections"
local SMALL_1000 <const> = "64 B, 1,000 connections"
local LARGE_8 <const> = "64 KiB, 8 connections"
local WARM_MS <const> = 300

--- Starts a fresh server, loads it for the window, stops it.
local function measure(subject, conns, size, seconds)
  local server = Process.start(subject.command(), tools.server_core)
  local port = server:line(10):match("^port (%d+)$")
  assert(port, subject.id .. ": the first line is not \"port N\"")
  local lines = Process.output({
    tools.helper("load"), "echo", "--port", port, "--conns", tostring(conns),
    "--size", tostring(size), "--warm", tostring(WARM_MS),
    "--time", tostring(math.floor(seconds * 1000)), "--pid", tostring(server.pid),
    -- Waking a sleeping load generator would cost the server more than the one echo.
    conns == 1 and "--spin" or nil,
  }, tools.load_core)
  server:stop()
  local sample = json.decode_flat(lines[1])
  sample.cost = sample.server_cpu_ns_per_op
  return sample
end

local function group(name, conns, size)
  return {
    name = name,
    measure = function(subject, options)
      local sample = quiet.least_disturbed(measure, subject, conns, size, options.seconds)
      if conns == 1 then
        sample.p50 = sample.p50_us -- only without queueing is latency the server's own
      end
      return { [name] = sample }
    end,
  }
end

local function uv_server()
  return { tools.helper("echo_uv", "libuv") }
end

local function lua_server(name)
  return function() return { "lua5.4", tools.script(name) } end
end

local function qn_server(name)
  return function() return { tools.qnlua, tools.script(name) } end
end

return {
  name = "echo",
  about = [[
Ping-pong over loopback, server on one core, load generator on the other, a fresh server for each
measurement. CPU ratio: CPU time per message of the raw C libuv server divided by the subject's, in
the same round; 1.00 is as cheap as C, more is better. "libuv again" is the reference once more: how
far it is from 1.00 is the noise of this run.
]],
  reference = "uv",
  rounds = 9,
  ratio_title = "CPU ratio",
  subjects = {
    { id = "uv", label = "C libuv (reference)", command = uv_server },
    { id = "uv2", label = "C libuv again", command = uv_server },
    { id = "qn", label = "qnlua, strings", command = qn_server("echo_qn.lua"), qnlua = true,
      goals = { [SMALL_50] = 0.87, [SMALL_1000] = 0.85, [LARGE_8] = 0.82 } },
    { id = "qn_buffer", label = "qnlua, buffers", command = qn_server("echo_qn_buffer.lua"),
      qnlua = true, goals = { [SMALL_50] = 0.93, [LARGE_8] = 0.93 } },
    { id = "qn_copy", label = "qnlua, qn.copy", command = qn_server("echo_qn_copy.lua"),
      qnlua = true, goals = { [LARGE_8] = 0.98 } },
    { id = "luv", label = "lua-luv, callbacks, try_write", command = lua_server("echo_luv.lua") },
    { id = "cqueues", label = "lua-cqueues", command = lua_server("echo_cqueues.lua") },
    { id = "node", label = "Node net",
      command = function() return { "node", tools.script("echo_node.js") } end },
  },
  groups = {
    group(SMALL_1, 1, 64), group(SMALL_50, 50, 64), group(SMALL_1000, 1000, 64),
    group(LARGE_8, 8, 65536),
  },
  cases = { SMALL_1, SMALL_50, SMALL_1000, LARGE_8 },
  columns = {
    { field = "cost", title = "CPU/op, µs", format = "%.2f", scale = 1e-3 },
    { field = "ops_per_second", title = "op/s", format = "%.0f" },
    { field = "bytes_per_second", title = "MB/s", format = "%.1f", scale = 1e-6 },
    { field = "p50_us", title = "p50, µs", format = "%.0f" },
    { field = "p90_us", title = "p90, µs", format = "%.0f" },
    { field = "p99_us", title = "p99, µs", format = "%.0f" },
    { field = "server_busy", title = "server busy", format = "%.2f" },
    { field = "disturbed", title = "disturbed", format = "%.2f" },
  },
}
