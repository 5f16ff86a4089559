-- What timers cost that are armed and cancelled, as nearly all network timeouts are.
local micro = require "lib.micro"
local tools = require "lib.tools"

return {
  name = "timers",
  about = [[
CPU time to arm one timer and cancel it before it expires. CPU ratio: raw C libuv divided by the
subject. What a script of qnlua pays is a whole deadline scope, `qn.timeout(60, f)` with a function
that returns at once.
]],
  reference = "uv",
  rounds = 9,
  ratio_title = "CPU ratio",
  subjects = {
    { id = "uv", label = "C libuv (reference)",
      command = function() return { tools.helper("timers_uv", "libuv") } end },
    { id = "uv2", label = "C libuv again",
      command = function() return { tools.helper("timers_uv", "libuv") } end },
    { id = "qn_core", label = "qnlua's C core", qnlua = true,
      command = function() return { tools.core_helper("timers") } end },
    { id = "qn", label = "qnlua, qn.timeout", qnlua = true,
      command = function() return { tools.qnlua, tools.script("timers_qn.lua") } end },
    { id = "luv", label = "lua-luv, start and stop",
      command = function() return { "lua5.4", tools.script("timers_luv.lua") } end },
    { id = "node", label = "Node setTimeout",
      command = function() return { "node", tools.script("timers_node.js") } end },
  },
  groups = { micro.group("all cases") },
  cases = { "arm and cancel, one at a time", "1,000,000 armed together, then cancelled" },
  columns = {
    { field = "cost", title = "CPU/op, ns", format = "%.0f" },
    { field = "per_second", title = "op/s", format = "%.0f" },
  },
}
