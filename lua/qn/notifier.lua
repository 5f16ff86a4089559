---Notifiers of foreign descriptors: their events, and the two kinds of waiting.
---
---One task per notifier makes the events while somebody listens. It watches again only when the handlers
---have returned, so a condition that stays (room to write) does not spin.

local core = require "qn.core"
local events = require "qn.events"

---@class qn
local M = {}

local names = { "activated", "error", "closed" }
local known = { activated = true, error = true, closed = true }

-- notifier -> {activated = whether somebody listens to that, task = the one that makes the events}
local observed = setmetatable({}, { __mode = "k" })

local source = {}

function source.check_event(notifier, name)
  notifier:is_closed() -- throws when it is no notifier
  if type(name) ~= "string" then
    return "the name of an event expected, got " .. type(name)
  elseif not known[name] then
    local near = require "qn.options".nearest(name, names)
    local hint = near and (" (did you mean '%s'?)"):format(near) or ""
    return ("unknown event '%s'%s"):format(name, hint)
  end
end

function source.is_over(notifier)
  return notifier:is_closed()
end

local function watch(notifier, activated)
  while true do
    local ok, err = core.notifier_watch(notifier, activated)
    if ok then
      events.dispatch(notifier, "activated", notifier:descriptor())
      events.settle(notifier)
    elseif err.kind == "closed" then
      events.dispatch(notifier, "closed")
      return
    else
      events.dispatch(notifier, "error", err)
    end
  end
end

function source.observe(notifier, list)
  local state = observed[notifier] or {}
  observed[notifier] = state
  local activated
  for _, name in ipairs(list) do
    activated = activated or name == "activated"
  end
  local mode = #list > 0 and (activated and "activated" or "end") or nil
  if mode == state.mode then
    return
  end
  state.mode = mode
  if state.task then
    state.task:cancel("others listen now")
    state.task = nil
  end
  if mode and not notifier:is_closed() then
    state.task = core.detach(watch, notifier, mode == "activated")
    state.task:name("events of " .. tostring(notifier))
  end
end

local Notifier = core.methods("Notifier")
local wait_for_condition = Notifier.wait
events.extend("Notifier", source)
local wait_for_event = Notifier.wait

function Notifier:wait(what, timeout)
  if type(what) == "string" then
    return wait_for_event(self, what, timeout)
  end
  return wait_for_condition(self, what)
end

---Watches a descriptor that somebody else owns (QSocketNotifier): one notifier for each descriptor and
---type. The descriptor is neither changed nor closed; close the notifier first.
---
---Errors: `invalid` (not an open descriptor), `denied` (files and directories cannot be watched),
---`exists` (there is one already).
---Qt rows: NOT-01, NOT-04.
---@param fd integer|file* the number of a descriptor, or a file of the `io` library
---@param type "read"|"write"|"exception"
---@return qn.Notifier? notifier
---@return qn.Error? err
function M.notifier(fd, type)
  return core.notifier(fd, type)
end
M.notifier = core.notifier

return M
