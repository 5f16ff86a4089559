-- Time limits that must suffice for something: a small one keeps a spec quick where the machine is idle,
-- and must not decide where it is busy. Nothing here makes a wrong result right: it has to come true with
-- the last limit, which only a machine that stands still for seconds exceeds.

local M = {}

local FACTOR <const>, LAST <const> = 8, 10 -- seconds

---Calls `f(seconds)` with a limit that grows from `first` until what it gives is true; the results of the
---last call, true or not.
---@param first number seconds
---@param f fun(seconds: number): any
function M.growing(first, f)
  local seconds = first
  while true do
    local results = table.pack(f(seconds))
    if results[1] or seconds >= LAST then
      return table.unpack(results, 1, results.n)
    end
    seconds = math.min(seconds * FACTOR, LAST)
  end
end

return M
