---Events of datagram sockets.
---
---C tells what methods do (`state_changed`, `connected`, `closed` ...); what arrives is fetched by one task
---per socket while somebody listens. It takes no more datagrams than the handlers keep up with: the rest
---stays with the kernel, which counts what it drops.

local core = require "qn.core"
local events = require "qn.events"

local M = {}

local BACKLOG <const> = 64 -- datagrams that wait for their handlers

local names = {
  "datagram", "ready_read", "error", "state_changed", "host_found", "connected", "disconnected",
  "closed",
}
local known = {}
for _, name in ipairs(names) do
  known[name] = true
end

-- socket -> {wants = set of names, task = the one that fetches, all = it alone reads}
local observed = setmetatable({}, { __mode = "k" })

function M.check_event(object, name)
  core.udp_is_closed(object) -- throws when it is no datagram socket
  if type(name) ~= "string" then
    return "the name of an event expected, got " .. type(name)
  elseif not known[name] then
    local near = require "qn.options".nearest(name, names)
    local hint = near and (" (did you mean '%s'?)"):format(near) or ""
    return ("unknown event '%s'%s"):format(name, hint)
  end
end

M.is_over = core.udp_is_closed

local function receive(socket)
  local data, from = core.udp_fetch(socket)
  if data then
    events.dispatch(socket, "datagram", data, from)
  elseif from.kind == "closed" then
    return false
  else
    events.dispatch(socket, "error", from)
    if from.kind == "busy" then -- another task reads: events would steal from it
      return false
    end
  end
  if events.backlog(socket) >= BACKLOG then
    events.settle(socket)
  end
  return true
end

local function fetch(socket, state)
  local mark = core.udp_watch(socket, -1) -- bound, and something is there
  while mark and state.wants.datagram do
    if not receive(socket) then
      state.all = false
      core.udp_observe(socket, true, false)
      return
    end
  end
  while mark and state.wants.ready_read do
    events.dispatch(socket, "ready_read")
    mark = core.udp_watch(socket, mark)
  end
end

function M.observe(object, list)
  local state = observed[object] or {}
  observed[object] = state
  local wants = {}
  for _, name in ipairs(list) do
    wants[name] = true
  end
  local mode = wants.datagram and "datagram" or wants.ready_read and "ready_read"
  state.wants = wants
  if mode ~= state.mode then
    state.mode = mode
    state.all = mode == "datagram" -- whoever else reads hears that it is busy
    if state.task then
      state.task:cancel("nobody listens any more")
      state.task = nil
    end
    if mode and not core.udp_is_closed(object) then
      state.task = core.detach(fetch, object, state)
      state.task:name("datagrams of " .. tostring(object))
    end
  end
  core.udp_observe(object, #list > 0, state.all)
end

core.udp_set_dispatcher(events.dispatch)

return M
