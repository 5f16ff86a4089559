-- What tasks cost: a switch between two and between a thousand, and starting and joining one.
local micro = require "lib.micro"
local tools = require "lib.tools"

local function script(program, name)
  return function() return { program, tools.script(name) } end
end

return {
  name = "tasks",
  about = [[
CPU time per switch or per spawned and joined task. CPU ratio: plain Lua coroutines without a
scheduler (the floor) divided by the subject. A switch is one giving way until its turn comes again;
with two tasks a turn of the event loop is shared by two switches, with a thousand by a thousand.
Node's figure is a settled promise awaited, which never reaches its event loop.
]],
  reference = "lua",
  rounds = 9,
  ratio_title = "CPU ratio",
  subjects = {
    { id = "lua", label = "plain Lua coroutines (floor)",
      command = script("lua5.4", "tasks_lua.lua") },
    { id = "lua2", label = "plain Lua again", command = script("lua5.4", "tasks_lua.lua") },
    { id = "qn", label = "qnlua", qnlua = true,
      command = function() return { tools.qnlua, tools.script("tasks_qn.lua") } end },
    { id = "cqueues", label = "lua-cqueues", command = script("lua5.4", "tasks_cqueues.lua") },
    { id = "node", label = "Node promises", command = script("node", "tasks_node.js") },
  },
  groups = { micro.group("all cases") },
  cases = { "switch, 2 tasks", "switch, 1000 tasks", "spawn and join" },
  columns = {
    { field = "cost", title = "CPU/op, ns", format = "%.0f" },
    { field = "per_second", title = "op/s", format = "%.0f" },
  },
}
