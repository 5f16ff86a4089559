-- Task costs of qnlua: qn.yield between tasks, and spawning tasks by the thousand and joining
-- them. Started by scripts/bench/run; prints one JSON line per case.
local qn = require "qn"

local function report(case, count, started)
  print(("{\"case\":\"%s\",\"count\":%d,\"cpu_ns\":%.0f}"):format(case, count,
    (os.clock() - started) * 1e9))
end

local function join_all(tasks)
  for _, task in ipairs(tasks) do
    assert(task:join())
  end
end

local function switch(n_tasks, count)
  local tasks, each = {}, count // n_tasks
  local started = os.clock()
  for i = 1, n_tasks do
    tasks[i] = qn.spawn(function()
      for _ = 1, each do
        qn.yield()
      end
    end)
  end
  join_all(tasks)
  report(("switch, %d tasks"):format(n_tasks), each * n_tasks, started)
end

local function spawn(count)
  local started = os.clock()
  for _ = 1, count // 1000 do
    local tasks = {}
    for i = 1, 1000 do
      tasks[i] = qn.spawn(function() end)
    end
    join_all(tasks)
  end
  report("spawn and join", count, started)
end

switch(2, 200000)
switch(1000, 1000000)
spawn(300000)
