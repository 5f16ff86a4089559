---Replaces the globals that cannot wait: coroutine.*, require, os.exit. The program qnlua does it; in a
---stock interpreter or a C host it is done by calling `qn.install()`.

local core = require "qn.core"

---@class qn
local M = {}

---Replaces `coroutine.*`, `require` and `os.exit` by versions that can wait, for a stock interpreter or a C
---host; qnlua has done it.
---@return boolean
function M.install()
  for name, f in pairs(core.coroutine) do
    coroutine[name] = f
  end
  require = require "qn.require".require -- luacheck: ignore 121
  _G.require = require
  os.exit = core.exit -- luacheck: ignore 122
  return true
end

return M
