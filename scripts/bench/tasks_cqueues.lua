-- Task costs of lua-cqueues: giving way to the other coroutines of a controller, and wrapping
-- coroutines by the thousand and running them to their end. Started by scripts/bench/run; prints
-- one JSON line per case.
local cqueues = require "cqueues"

local function report(case, count, started)
  print(("{\"case\":\"%s\",\"count\":%d,\"cpu_ns\":%.0f}"):format(case, count,
    (os.clock() - started) * 1e9))
end

local function switch(n_tasks, count)
  local loop, each = cqueues.new(), count // n_tasks
  local started = os.clock()
  for _ = 1, n_tasks do
    loop:wrap(function()
      for _ = 1, each do
        cqueues.sleep(0)
      end
    end)
  end
  assert(loop:loop())
  report(("switch, %d tasks"):format(n_tasks), each * n_tasks, started)
end

local function spawn(count)
  local loop = cqueues.new()
  local started = os.clock()
  for _ = 1, count // 1000 do
    for _ = 1, 1000 do
      loop:wrap(function() end)
    end
    assert(loop:loop())
  end
  report("spawn and join", count, started)
end

switch(2, 100000)
switch(1000, 200000)
spawn(100000)
