local M = {}
function M.main(args)
  local core = require "qn.core"
  if args[1] == "-e" then
    local f = assert(load(args[2], "=(command line)"))
    f()
    return 0
  end
  local script = args[1]
  arg = { [0] = script, table.unpack(args, 2) } -- luacheck: ignore 111
  local f, err = loadfile(script)
  if not f then error(err, 0) end
  f(table.unpack(arg))
  return core.exit_status or 0
end
return M
