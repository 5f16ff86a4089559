-- What it costs to start a program, run an empty script and end.
local micro = require "lib.micro"
local tools = require "lib.tools"

local function once(...)
  local command = { ... }
  return function()
    return { tools.helper("once"), table.unpack(command) }
  end
end

return {
  name = "startup",
  about = [[
Start, run an empty script, end. CPU ratio: CPU time of `lua5.4 -e ''` divided by the subject's. The
goals are at most three times lua5.4 (ratio 0.33) and at most an eighth of Node.
]],
  reference = "lua",
  rounds = 40,
  ratio_title = "CPU ratio",
  subjects = {
    { id = "lua", label = "lua5.4 (reference)", command = once("lua5.4", "-e", "") },
    { id = "lua2", label = "lua5.4 again", command = once("lua5.4", "-e", "") },
    { id = "qn", label = "qnlua", qnlua = true, goals = { ["empty script"] = 0.33 },
      command = function() return once(tools.qnlua, "-e", "")() end },
    { id = "luv", label = "lua5.4 with luv", command = once("lua5.4", "-e", "require 'luv'") },
    { id = "cqueues", label = "lua5.4 with cqueues",
      command = once("lua5.4", "-e", "require 'cqueues'") },
    { id = "node", label = "node", command = once("node", "-e", "") },
  },
  groups = { micro.group("empty script") },
  cases = { "empty script" },
  columns = {
    { field = "cpu_ns", title = "CPU, ms", format = "%.2f", scale = 1e-6 },
    { field = "wall_ns", title = "wall, ms", format = "%.2f", scale = 1e-6 },
    { field = "rss_kib", title = "peak RSS, MiB", format = "%.1f", scale = 1 / 1024 },
  },
}
