-- Timer costs of qnlua as a script meets them: a deadline scope that ends at once arms a timer
-- and cancels it. Started by scripts/bench/run; prints one JSON line.
local qn = require "qn"

local COUNT <const> = 1000000

local function nothing() end

local started = os.clock()
for _ = 1, COUNT do
  qn.timeout(60, nothing)
end
print(("{\"case\":\"arm and cancel, one at a time\",\"count\":%d,\"cpu_ns\":%.0f}"):format(COUNT,
  (os.clock() - started) * 1e9))
