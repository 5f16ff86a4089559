---`require` whose module bodies may wait.
---
---Same searchers, same results as the stock one. A second task that requires a module still being
---loaded waits for it; a cycle, within a task or across waiting tasks, is an error.

local core = require "qn.core"

local M = {}

local loaded = package.loaded
-- name -> {task = who loads it, waiters = {}, waits_for = set by the loading task}
local loading = {}
-- task -> name of the module that it waits for
local waits_for = setmetatable({}, { __mode = "k" })

local function owner()
  return core.current() or "main"
end

-- Would waiting for `name` wait for ourselves?
local function is_cycle(name, me)
  local seen = {}
  while name and not seen[name] do
    seen[name] = true
    local entry = loading[name]
    if not entry then
      return false
    end
    if entry.task == me then
      return true
    end
    name = waits_for[entry.task]
  end
  return false
end

local function find_loader(name)
  local searchers = package.searchers
  if type(searchers) ~= "table" then
    error("'package.searchers' must be a table", 3)
  end
  local messages = {}
  for _, searcher in ipairs(searchers) do
    local loader, extra = searcher(name)
    if type(loader) == "function" then
      return loader, extra
    elseif type(loader) == "string" then
      messages[#messages + 1] = loader
    end
  end
  error(("module '%s' not found:\n\t%s"):format(name, table.concat(messages, "\n\t")), 3)
end

local function wait_for(name, entry, me)
  local task, number = core.ticket("require")
  if loading[name] ~= entry then -- others ran, and it has been loaded
    return
  end
  entry.waiters[#entry.waiters + 1] = { task, number }
  waits_for[me] = name
  local guard <close> = setmetatable({}, { __close = function()
    waits_for[me] = nil
  end })
  core.park()
end

---@async
---@param name string
---@return any module
---@return any loader_data
function M.require(name)
  if type(name) ~= "string" then
    error("bad argument #1 to 'require' (string expected, got " .. type(name) .. ")", 2)
  end
  local value = loaded[name]
  if value then
    return value
  end
  local me = owner()
  while loading[name] do
    if is_cycle(name, me) then
      error(("loop or previous error loading module '%s'"):format(name), 2)
    end
    wait_for(name, loading[name], me)
    if loaded[name] then
      return loaded[name]
    end
  end
  local entry = { task = me, waiters = {} }
  loading[name] = entry -- before the searchers, which may wait too
  local guard <close> = setmetatable({}, { __close = function()
    loading[name] = nil
    for _, w in ipairs(entry.waiters) do
      core.unpark(w[1], w[2])
    end
  end })
  local loader, extra = find_loader(name)
  value = loader(name, extra)
  if value ~= nil then
    loaded[name] = value
  elseif loaded[name] == nil then
    loaded[name] = true
  end
  return loaded[name], extra
end

return M
