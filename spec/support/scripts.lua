-- Runs a piece of Lua as a program of its own: in qnlua, or in the stock interpreter with the module.
-- Returns what it printed (both outputs together) and its exit status. For what a spec cannot see from
-- inside: exit statuses, the default report of errors, the main thread of a stock interpreter.

local program = require "spec.support.program"

local M = {}

local LIMIT <const> = 100 -- seconds; only a hang ever takes that long

local function run(command, code)
  local folder = program.scratch()
  local path = folder .. "/script.lua"
  local file = assert(io.open(path, "w"))
  file:write(code)
  file:close()
  local pipe = assert(io.popen(("cd %s && timeout %d %s script.lua 2>&1; echo \"status $?\""):format(folder, LIMIT, command)))
  local out = pipe:read("a")
  pipe:close()
  program.remove(folder)
  local text, status = out:match("^(.*)status (%d+)\n$")
  return text, tonumber(status)
end

---@param code string
---@param environment? table<string, string>
function M.qnlua(code, environment)
  local words = { "env" }
  for name, value in pairs(environment or {}) do
    words[#words + 1] = name .. "=" .. value
  end
  words[#words + 1] = program.qnlua()
  return run(table.concat(words, " "), code)
end

---The stock interpreter; `code` gets the module as a local `qn`. The module's loop lives until the process
---ends, since finalizers of the user may call into it at the very last: that is no leak.
function M.stock(code)
  local build = program.qnlua():match("^(.*)/bin/[^/]*$")
  local preload = os.getenv("QN_PRELOAD") or ""
  return run(("env LUA_INIT= ASAN_OPTIONS=detect_leaks=0 LUA_CPATH='%s/lib/?.so' LD_PRELOAD='%s' lua5.4"):format(build, preload),
    "local qn = require 'qn'\n" .. code)
end

return M
