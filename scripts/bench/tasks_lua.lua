-- The floor for task costs: plain coroutines of stock Lua 5.4, without any scheduler. Started by
-- scripts/bench/run; prints one JSON line per case.
local function report(case, count, started)
  print(("{\"case\":\"%s\",\"count\":%d,\"cpu_ns\":%.0f}"):format(case, count,
    (os.clock() - started) * 1e9))
end

local function switch(n_tasks, count)
  local tasks, each = {}, count // n_tasks
  for i = 1, n_tasks do
    tasks[i] = coroutine.create(function()
      for _ = 1, each do
        coroutine.yield()
      end
    end)
  end
  local started = os.clock()
  for _ = 1, each do
    for i = 1, n_tasks do
      coroutine.resume(tasks[i])
    end
  end
  report(("switch, %d tasks"):format(n_tasks), each * n_tasks, started)
end

local function spawn(count)
  local started = os.clock()
  for _ = 1, count // 1000 do
    local tasks = {}
    for i = 1, 1000 do
      tasks[i] = coroutine.create(function() end)
    end
    for i = 1, 1000 do
      coroutine.resume(tasks[i])
    end
  end
  report("spawn and join", count, started)
end

switch(2, 1000000)
switch(1000, 1000000)
spawn(300000)
