-- The leak check that runs around every spec (spec/support/helper.lua calls it): what a spec opened must
-- be gone when it ends, and no task of it may have failed unseen.
-- Counters are those of qn.stats(); handles close over several turns and calls in the thread pool come
-- back late, so the check waits for its condition, for a bounded time.

local qn = require "qn"

local M = {}

local COUNTERS <const> = { "tasks", "handles", "ops", "objects", "orphans", "leaked" }
local PATIENCE <const> = 30 -- seconds; only a leak ever takes that long

local before
local spec = "the spec"
local allowed = {}
local unhandled = {}

local function differences(now)
  local list = {}
  for _, name in ipairs(COUNTERS) do
    local expected = before[name] + (allowed[name] or 0)
    if now[name] ~= expected then
      list[#list + 1] = ("%s: %d, expected %d"):format(name, now[name], expected)
    end
  end
  return list
end

-- Collects and turns the loop until the counters are as expected; the last differences. What was leaked
-- stays leaked, so there is nothing to wait for then.
local function settle()
  local give_up = qn.now() + PATIENCE
  local pause = 0
  while true do
    collectgarbage()
    collectgarbage()
    for _ = 1, 3 do -- what the collector found is reported one turn later, by a task
      qn.yield()
    end
    local list = differences(qn.stats())
    local only_leaks = #list == 1 and list[1]:find("^leaked")
    if #list == 0 or only_leaks or qn.now() > give_up then
      return list
    end
    qn.sleep(pause)
    pause = math.min(pause + 0.0002, 0.05)
  end
end

---For a spec that leaks on purpose: by how much a counter may differ when it ends.
---@param counters table<string, integer> for example { leaked = 1 }
function M.expect(counters)
  allowed = counters
end

---The errors that no one has handled since the spec began, as { error, task }; taking them makes them
---expected.
---@return table
function M.take_unhandled()
  local taken = unhandled
  unhandled = {}
  return taken
end

---Waits until at least `n` errors have gone unhandled; takes them.
---@async
---@param n integer
---@return table
function M.wait_unhandled(n)
  local give_up = qn.now() + PATIENCE
  while #unhandled < n and qn.now() < give_up do
    collectgarbage()
    qn.sleep(0.001)
  end
  return M.take_unhandled()
end

---Tells whose spec runs, for the message.
---@param name string
function M.name(name)
  spec = name
end

function M.before_each()
  collectgarbage()
  collectgarbage()
  allowed, unhandled = {}, {}
  before = qn.stats()
  qn.on_unhandled(function(err, task)
    unhandled[#unhandled + 1] = { error = err, task = task }
  end)
end

function M.after_each()
  local list = settle()
  for _, each in ipairs(unhandled) do
    list[#list + 1] = ("unhandled error in %s: %s"):format(each.task:name(), tostring(each.error))
  end
  qn.on_unhandled(nil)
  unhandled = {}
  if #list > 0 then
    error("left behind by " .. spec .. ": " .. table.concat(list, "; ") .. "\n" .. tostring(qn.tasks()), 0)
  end
end

return M
