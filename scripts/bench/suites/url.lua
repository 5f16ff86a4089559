-- What it costs to read a URL, beside Node's `new URL` and URL modules of plain Lua.
local micro = require "lib.micro"
local tools = require "lib.tools"

local TYPICAL <const>, REPAIRED <const>, LONG <const> = "typical", "to be repaired", "long query"

local function script(program, ...)
  local args = { ... }
  return function() return { program, tools.script(args[1]), table.unpack(args, 2) } end
end

local function qn(mode, goals)
  return {
    id = mode, label = "qnlua, " .. mode, qnlua = true, goals = goals,
    command = function() return { tools.qnlua, tools.script("url_qn.lua"), mode } end,
  }
end

return {
  name = "url",
  about = [[
CPU time to read one URL and make a value of it; the URLs are those of url_list.txt. CPU ratio:
Node's `new URL` (with its text asked for) divided by the subject. The mode whatwg does the same
work as Node; strict refuses what must be repaired. LuaSocket's socket.url splits by patterns and
checks nothing.
]],
  reference = "node",
  rounds = 9,
  ratio_title = "CPU ratio",
  subjects = {
    { id = "node", label = "Node new URL (reference)", command = script("node", "url_node.js") },
    { id = "node2", label = "Node again", command = script("node", "url_node.js") },
    qn("whatwg", { [TYPICAL] = 1, [REPAIRED] = 0.9, [LONG] = 1 }),
    qn("tolerant", { [TYPICAL] = 1, [REPAIRED] = 1, [LONG] = 1 }),
    qn("strict", { [TYPICAL] = 1, [LONG] = 1 }),
    { id = "socket", label = "LuaSocket socket.url", command = script("lua5.4", "url_socket.lua") },
  },
  groups = { micro.group("all cases") },
  cases = { TYPICAL, REPAIRED, LONG },
  columns = {
    { field = "cost", title = "CPU/URL, ns", format = "%.0f" },
    { field = "per_second", title = "URLs/s", format = "%.0f" },
  },
}
