---Groups: tasks that end together. The first error of a child cancels its siblings and the body and is
---thrown again by the group; nothing that was spawned in a group outlives it.

local core = require "qn.core"
local options = require "qn.options"

local M = {}

---@class qn.Group
local Group = {}
Group.__index = Group
Group.__name = "qn.Group"

local nurseries = setmetatable({}, { __mode = "k" })

---Starts a task in the group. Above the group's `limit` it waits for its turn.
---@param f function
---@param ... any its arguments
---@return qn.Task
function Group:spawn(f, ...)
  if type(f) ~= "function" then
    error("bad argument #1 to 'spawn' (function expected, got " .. type(f) .. ")", 2)
  end
  return nurseries[self]:spawn(f, ...)
end

---Cancels the children and the body.
---@param reason? any
function Group:cancel(reason)
  self.cancelled = true
  nurseries[self]:cancel(reason)
end

---How many children have not ended.
---@return integer
function Group:count()
  return nurseries[self]:count()
end

local group_options = {
  limit = { type = "integer", min = 1 },
  timeout = { type = "seconds" },
  on_error = { type = "enum", values = { "cancel", "collect" } },
}

local function run_body(nursery, g, f)
  local results = table.pack(f(g))
  nursery:wait()
  return results
end

---Runs `f(g)` and waits for everything spawned in it (by `g:spawn` or `qn.spawn`). The first error of a
---child cancels the others and the body, and is thrown when all have ended; with
---`on_error = "collect"` nobody is cancelled, and the call returns `nil` and the list of errors.
---`timeout` ends the group with `nil, err`. `g:cancel()` ends it early without an error.
---@async
---@param opts? {limit?: integer, timeout?: number|false, on_error?: "cancel"|"collect"} may be left out
---@param f fun(g: qn.Group): ...
---@return any ... results of `f`
function M.group(opts, f)
  if type(opts) == "function" then
    opts, f = nil, opts
  end
  opts = options.check(opts, group_options, "group")
  if type(f) ~= "function" then
    error("bad argument #2 to 'group' (function expected, got " .. type(f) .. ")", 2)
  end
  local deadline <close> = opts.timeout ~= nil and core.deadline(opts.timeout) or nil
  local collect = opts.on_error == "collect"
  local nursery <close> = core.nursery(opts.limit or 0, collect)
  local g = setmetatable({}, Group)
  nurseries[g] = nursery
  local ok, results = xpcall(run_body, core.stash, nursery, g, f)
  if not ok then
    nursery:cancel()
  end
  nursery:drain()
  local mine = not ok and nursery:owns(results)
  local errors = nursery:leave()
  if not ok and not mine then -- the body's own error, outer cancellation, or a deadline
    if deadline and deadline:owns(results) then
      return nil, results
    end
    error(results, 0)
  end
  if #errors > 0 then
    if collect then
      return nil, errors
    end
    error(errors[1], 0)
  end
  if mine then -- ended by g:cancel
    return
  end
  return table.unpack(results, 1, results.n)
end

return M
