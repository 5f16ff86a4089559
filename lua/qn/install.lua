---Replaces the globals that cannot wait: coroutine.*, require, os.exit. The program qnlua does it; in a
---stock interpreter or a C host it is done by calling `qn.install()`.

local core = require "qn.core"

---@class qn
local M = {}

local originals -- what was there before; nil while nothing is replaced

---Replaces `coroutine.*`, `require` and `os.exit` by versions that can wait, for a stock interpreter or a
---C host; qnlua has done it. May be called again: what has been replaced since is replaced once more.
---@return boolean
function M.install()
  originals = originals or {
    coroutine = {}, require = require, exit = os.exit,
  }
  for name, f in pairs(core.coroutine) do
    if coroutine[name] ~= f then
      originals.coroutine[name] = coroutine[name]
      coroutine[name] = f
    end
  end
  local waiting_require = require "qn.require".require
  _G.require = waiting_require
  os.exit = core.exit -- luacheck: ignore 122
  core.installed(true)
  return true
end

---Puts back what `install` has replaced, where it is still there (a C host's state outlives its runtime).
function M.uninstall()
  if not originals then
    return
  end
  for name, f in pairs(core.coroutine) do
    if coroutine[name] == f then
      coroutine[name] = originals.coroutine[name]
    end
  end
  if _G.require == require "qn.require".require then
    _G.require = originals.require
  end
  if os.exit == core.exit then
    os.exit = originals.exit -- luacheck: ignore 122
  end
  originals = nil
  core.installed(false)
end

return M
