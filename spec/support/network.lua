-- Programs in a network namespace of their own, for specs that want links which loopback is not. The
-- namespace ends with the program in it; nothing of this machine's network is changed.

local program = require "spec.support.program"
local assert = require "luassert"

local M = {}

---Runs Lua code in a new namespace after the shell commands that set it up; gives what it prints. It must
---end well and say nothing on stderr.
function M.run(commands, code)
  local folder = program.scratch()
  local path = folder .. "/script.lua"
  local file <close> = assert(io.open(path, "w"))
  file:write(code)
  file:close()
  local shell = "set -e\n" .. commands .. "\nexec '" .. program.qnlua() .. "' " .. path
  local status, out, err = program.run { "unshare", "-rn", "sh", "-c", shell }
  program.remove(folder)
  assert.equal("", err)
  assert.equal(0, status)
  return out
end

return M
