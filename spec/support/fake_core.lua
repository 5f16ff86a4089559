-- The error half of qn.core in plain Lua, for running the pure Lua specs under a stock lua5.4.
-- A spec loads it only when require "qn.core" fails; on qnlua the real core is always there.
-- It must not grow: a spec that needs more than errors belongs on qnlua.

local Error = {}
Error.__index = Error
Error.__name = "qn.Error"

function Error.__tostring(e)
  local parts = {}
  if e.op then
    parts[#parts + 1] = e.op
  end
  parts[#parts + 1] = e.message
  return table.concat(parts, ": ") .. (e.code and " (" .. e.code .. ")" or "")
end

function Error.__concat(a, b)
  return tostring(a) .. tostring(b)
end

local core = {}

function core.error(kind, message, fields)
  local e = {}
  for k, v in pairs(fields or {}) do
    e[k] = v
  end
  e.kind, e.message = kind, message
  return setmetatable(e, Error)
end

function core.is_error(v, kind)
  return getmetatable(v) == Error and (kind == nil or v.kind == kind)
end

package.loaded["qn.core"] = core
return core
