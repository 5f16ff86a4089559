---Groups: tasks that end together. The first error of a child cancels its siblings and the body and is
---thrown again by the group; nothing that was spawned in a group outlives it.

local core = require "qn.core"
local options = require "qn.options"

---@class qn
local M = {}

---Tasks that end together: what the function of `qn.group` gets. Nothing spawned in it outlives it.
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

local drain_waiters = setmetatable({}, { __mode = "k" })

---Waits until the group has ended, from a task outside it.
---@async
---@param timeout? number|false
---@return boolean? ok
---@return qn.Error? err
function Group:wait_ended(timeout)
  local event = drain_waiters[self]
  if not event then
    event = require "qn.sync".event()
    drain_waiters[self] = event
  end
  return event:wait(timeout)
end

local group_options = {
  limit = { type = "integer", min = 1 },
  timeout = { type = "seconds" },
  on_error = { type = "enum", values = { "cancel", "collect", "supervise" } },
}

local function run_body(nursery, g, f)
  local results = table.pack(f(g))
  nursery:wait()
  return results
end

local function outcome(ok, ...)
  if not ok then
    error((...), 0)
  end
  return ...
end

-- The main thread of a stock interpreter waits by itself but is no task, so the group gets one.
local function group_in_task(opts, f)
  local task = core.spawn(M.group, opts, f)
  local _ <close> = setmetatable({}, {
    __close = function(_, err)
      if err ~= nil then -- a deadline of the main thread, or it cannot wait
        task:cancel()
        pcall(require "qn.task".shield, task.join, task)
      end
    end,
  })
  return outcome(task:join())
end

---Runs `f(g)` and waits for everything spawned in it (by `g:spawn` or `qn.spawn`). The first error of a
---child cancels the others and the body, and is thrown when all have ended; with
---`on_error = "collect"` nobody is cancelled, and the call returns `nil` and the list of errors; with
---`"supervise"` each error goes to `qn.on_unhandled` and disturbs nobody.
---`timeout` ends the group with `nil, err`. `g:cancel()` ends it early without an error.
---@async
---@param opts? {limit?: integer, timeout?: number|false, on_error?: "cancel"|"collect"|"supervise"} may be left out
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
  if not core.current() and select(2, coroutine.running()) then
    return group_in_task(opts, f)
  end
  local deadline <close> = opts.timeout ~= nil and core.deadline(opts.timeout) or nil
  local nursery <close> = core.nursery(opts.limit or 0, opts.on_error)
  local g = setmetatable({}, Group)
  nurseries[g] = nursery
  local ok, results = xpcall(run_body, core.stash, nursery, g, f)
  -- a child that failed first is what the body's own error, if any, comes from
  local child_first = not ok and nursery:has_failed() and not core.is_cancelled(results)
  if not ok then
    nursery:cancel()
  end
  nursery:drain()
  local waiters = drain_waiters[g]
  if waiters then
    waiters:set()
  end
  local mine = not ok and nursery:owns(results)
  local errors = nursery:leave()
  if not ok and not mine then -- the body's own error, outer cancellation, or a deadline
    if deadline and deadline:owns(results) then
      return nil, results
    end
    error(child_first and opts.on_error ~= "collect" and errors[1] or results, 0)
  end
  if #errors > 0 then
    if opts.on_error == "collect" then
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
