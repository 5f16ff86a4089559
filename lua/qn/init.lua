---The module `qn`: a lazy table over the core and the Lua files.
---
---Names of the core are there at once; everything else is loaded on first use, so that a script pays
---only for what it touches.

local core = require "qn.core"

---@class qn
local M = {
  version = core.version,
  error = core.error,
  is_error = core.is_error,
  is_cancelled = core.is_cancelled,
  spawn = core.spawn,
  detach = core.detach,
  on_unhandled = core.on_unhandled,
  sleep = core.sleep,
  yield = core.yield,
  now = core.now,
  time = core.time,
  stats = core.stats,
  exit = core.exit,
  run = core.run,
  deadline = core.deadline,
  buffer = core.buffer,
  copy = core.copy,
  pair = core.pair,
  signal = core.signal,
}

-- name -> module that has it as a field; or the module itself when the name is a module
local homes = {
  timeout = "qn.task", shield = "qn.task", map = "qn.task", each = "qn.task", race = "qn.task",
  tasks = "qn.task", sort = "qn.task", gsub = "qn.task", current = "qn.task",
  group = "qn.group",
  channel = "qn.channel",
  mutex = "qn.sync", semaphore = "qn.sync", event = "qn.sync", condition = "qn.sync",
  join = "qn.stream",
  notifier = "qn.notifier",
  text_stream = "qn.stream", data_stream = "qn.stream",
  install = "qn.install", uninstall = "qn.install",
  host_name = "qn.dns", domain_name = "qn.dns",
}
local modules = {
  crypto = "qn.crypto",
  dns = "qn.dns", tls = "qn.tls", dtls = "qn.dtls",
  url = "qn.url", tcp = "qn.tcp", udp = "qn.udp", unix = "qn.unix", file = "qn.file",
  address = "qn.address", interfaces = "qn.interfaces",
}

setmetatable(M, {
  __index = function(self, name)
    local home = homes[name]
    local value
    if home then
      value = require(home)[name]
    elseif modules[name] then
      value = require(modules[name])
    else
      return nil
    end
    rawset(self, name, value)
    return value
  end,
})

require "qn.stream" -- adds the Lua half of the stream methods

return M
