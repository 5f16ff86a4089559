-- What an idle connection costs in resident memory of the server process.
local uv = require "luv"
local Process = require "lib.process"
local tools = require "lib.tools"

local CONNS <const> = 10000
local UNUSED <const> = "10,000 connections, never used"
local USED <const> = "10,000 connections, after one byte each way"
local ACCEPT_STEPS <const> = 300 -- of 0.1 s, to accept all

local function resident_bytes(pid)
  local file <close> = assert(io.open(("/proc/%d/status"):format(pid)))
  return tonumber(file:read("a"):match("VmRSS:%s*(%d+) kB")) * 1024
end

local function open_files(pid)
  local scan, count = assert(uv.fs_scandir(("/proc/%d/fd"):format(pid))), 0
  while uv.fs_scandir_next(scan) do
    count = count + 1
  end
  return count
end

local function wait_for_files(server, wanted)
  for _ = 1, ACCEPT_STEPS do
    if open_files(server.pid) >= wanted then
      return
    end
    Process.pause(0.1)
  end
  error(server.name .. ": has not accepted all connections in 30 s", 0)
end

--- The size after the server has collected twice; a round trip first lets new tasks reach their
--- read.
local function settled_bytes(server, control)
  Process.ask(control, "x")
  Process.ask(control, "g")
  return resident_bytes(server.pid)
end

local function measure(subject, touch)
  local server = Process.start(subject.command(), tools.server_core)
  local port = assert(server:line(10):match("^port (%d+)$"), "the first line is not \"port N\"")
  local control = Process.connect(tonumber(port))
  local before, files = settled_bytes(server, control), open_files(server.pid)
  local load = Process.start({ tools.helper("load"), "idle", "--port", port, "--conns",
    tostring(CONNS), touch and "--touch" or nil }, tools.load_core)
  load:line(60)
  wait_for_files(server, files + CONNS)
  local after = settled_bytes(server, control)
  load:finish()
  control:close()
  server:stop()
  return { cost = (after - before) / CONNS, before = before, after = after }
end

local function group(name, touch)
  return {
    name = name,
    measure = function(subject)
      return { [name] = measure(subject, touch) }
    end,
  }
end

local function script(program, name)
  return function() return { program, tools.script(name) } end
end

return {
  name = "memory",
  about = [[
Growth of the resident size of the server process alone by 10,000 connections that wait for a byte,
divided by 10,000, after two full collections where there is a collector. Memory ratio: raw C libuv
divided by the subject. The goal is at most 3 KiB for a connection with its parked task.
]],
  reference = "uv",
  rounds = 3,
  ratio_title = "memory ratio",
  subjects = {
    { id = "uv", label = "C libuv (reference)",
      command = function() return { tools.helper("echo_uv", "libuv") } end },
    { id = "qn", label = "qnlua, read in serve", qnlua = true,
      command = function() return { tools.qnlua, tools.script("idle_qn.lua") } end },
    { id = "luv", label = "lua-luv, callbacks", command = script("lua5.4", "idle_luv.lua") },
    { id = "cqueues", label = "lua-cqueues", command = script("lua5.4", "idle_cqueues.lua") },
    { id = "node", label = "Node net",
      command = function() return { "node", "--expose-gc", tools.script("idle_node.js") } end },
  },
  groups = { group(UNUSED, false), group(USED, true) },
  cases = { UNUSED, USED },
  columns = {
    { field = "cost", title = "KiB per connection", format = "%.2f", scale = 1 / 1024 },
    { field = "before", title = "before, MiB", format = "%.1f", scale = 1 / 1048576 },
    { field = "after", title = "after, MiB", format = "%.1f", scale = 1 / 1048576 },
  },
}
