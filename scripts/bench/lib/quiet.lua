-- The least disturbed of a few measurements: on a shared machine others take the cores now and
-- then. What it cost plays no part in the choice.
local quiet = {}

local ATTEMPTS <const> = 3
local SHARE <const> = 0.03 -- of the window that server or load waited for their cores

--- Calls `measure(...)` until a sample is quiet, a few times at most.
---@param measure fun(...): table a sample with the field `disturbed`
---@return table sample
function quiet.least_disturbed(measure, ...)
  local best
  for _ = 1, ATTEMPTS do
    local sample = measure(...)
    if not best or sample.disturbed < best.disturbed then
      best = sample
    end
    if best.disturbed <= SHARE then
      break
    end
  end
  return best
end

return quiet
