-- Order statistics of small samples: all that the benchmarks claim is a median and quartiles.
local stats = {}

--- The value at a share (0 to 1) of the sorted list, interpolated; nil for an empty list.
---@param list number[]
---@param share number
---@return number|nil
function stats.quantile(list, share)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  if #sorted == 0 then
    return nil
  end
  local position = 1 + (#sorted - 1) * share
  local low = math.floor(position)
  local high = math.min(low + 1, #sorted)
  return sorted[low] + (sorted[high] - sorted[low]) * (position - low)
end

---@param list number[]
---@return number|nil
function stats.median(list)
  return stats.quantile(list, 0.5)
end

return stats
