-- Timer costs of Debian's lua-luv under stock Lua 5.4. Started by scripts/bench/run; prints one
-- JSON line per case.
local uv = require "luv"

local COUNT <const> = 1000000
local IDLE_MS <const> = 60000

local function report(case, started)
  print(("{\"case\":\"%s\",\"count\":%d,\"cpu_ns\":%.0f}"):format(case, COUNT,
    (os.clock() - started) * 1e9))
end

local function on_timer()
  error("a timer of a minute or more expired")
end

local one = uv.new_timer()
local started = os.clock()
for _ = 1, COUNT do
  one:start(IDLE_MS, 0, on_timer)
  one:stop()
end
report("arm and cancel, one at a time", started)

local timers = {}
started = os.clock()
for i = 1, COUNT do
  local timer = uv.new_timer()
  timer:start(IDLE_MS + i * 7919 % IDLE_MS, 0, on_timer)
  timers[i] = timer
end
for i = 1, COUNT do
  timers[i]:stop()
end
report("1,000,000 armed together, then cancelled", started)
os.exit(0, false) -- closing a million handles is not what is measured
