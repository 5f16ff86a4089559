-- Random programs of tasks, scopes, groups, coroutines, locks, finalizers, cancelled and collected at random:
-- whatever they do, the process neither crashes nor hangs, and no task is left. Seeds are fixed, but time
-- is part of what happens: the asan preset sees most.
local scripts = require "spec.support.scripts"

local PROGRAM <const> = [==[
math.randomseed(SEED)
qn.on_unhandled(function() end)
local R = math.random
local chans, locks, evs, cos, tasks, scopes = {}, {}, {}, {}, {}, {}
for i=1,4 do chans[i]=qn.channel(R(0,2)) locks[i]=qn.mutex() evs[i]=qn.event() end
local budget = 2500
local depth = 0
local act
local function body(n)
  return function(...)
    for _ = 1, R(1,n) do budget = budget - 1 if budget < 0 then return end act() end
    return R(100)
  end
end
local acts = {
  function() qn.sleep(R()/2000) end,
  function() qn.yield() end,
  function() chans[R(4)]:recv(R()/1000) end,
  function() chans[R(4)]:send(R(9), R()/1000) end,
  function() chans[R(4)]:try_send({}) end,
  function()
    local m = locks[R(4)]
    if m.holder ~= qn.current() then
      local g <close> = m:lock(R() / 500)
      if R(2) == 1 then qn.yield() end
    end
  end,
  function() evs[R(4)]:set() end,
  function() evs[R(4)]:clear() end,
  function() evs[R(4)]:wait(R()/1000) end,
  function() tasks[R(30)] = qn.spawn(body(4)) end,
  function() tasks[R(30)] = qn.detach(body(3)) end,
  function() local t=tasks[R(30)] if t then pcall(t.join, t, R()/500) end end,
  function() local t=tasks[R(30)] if t and t:name()~="task 0" then t:cancel(R(5)) end end,
  function() tasks[R(30)] = nil end,
  function()
    cos[R(20)] = coroutine.create(function()
      local d <close> = R(3) == 1 and qn.deadline(R() / 300) or nil
      for i = 1, R(3) do act() coroutine.yield(i) end
    end)
  end,
  function() local c=cos[R(20)] if c then coroutine.resume(c) end end,
  function() local c=cos[R(20)] if c then coroutine.resume(c, 1, 2) end end,
  function() local c=cos[R(20)] if c then pcall(coroutine.close, c) end end,
  function() cos[R(20)] = nil end,
  function() coroutine.wrap(function() act() coroutine.yield() act() end)() end,
  function() qn.timeout(R()/500, body(3)) end,
  function() qn.shield({grace=R()/500}, body(3)) end,
  function() scopes[R(5)] = qn.deadline(R()/100) end,
  function() local s=scopes[R(5)] if s then s:close() end end,
  function() scopes[R(5)] = nil end,
  function()
    local on_error = ({ "cancel", "collect", "supervise" })[R(3)]
    pcall(qn.group, { limit = R(3), timeout = R(2) == 1 and R() / 300 or nil, on_error = on_error }, function(g)
      for _ = 1, R(4) do tasks[R(30)] = g:spawn(body(3)) end
      act()
      if R(4) == 1 then g:cancel() end
    end)
  end,
  function()
    cos[R(20)] = coroutine.create(function()
      pcall(qn.group, function(g)
        for _ = 1, R(3) do g:spawn(body(2)) end
        coroutine.yield()
        act()
      end)
    end)
  end,
  function() pcall(qn.race, {body(2), body(2)}) end,
  function() qn.map({1,2,3}, body(2), {timeout=R()/300}) end,
  function() for i,ok in qn.each({1,2,3}, body(2)) do if R(3)==1 then break end end end,
  function() error(R(9)) end,
  function() pcall(act) end,
  function() pcall(act) pcall(act) end,
  function() collectgarbage("step") end,
  function() if R(20)==1 then collectgarbage() end end,
  function()
    setmetatable({}, { __gc = function()
      pcall(qn.yield)
      local t = tasks[R(30)]
      if t and t:name() ~= "task 0" then t:cancel() end
      qn.spawn(function() end)
    end })
  end,
  function() pcall(string.gsub, "a", "a", function() act() end) end,
  function() qn.current():cancel() end,
  function() local x <close> = setmetatable({}, {__close=function() pcall(act) end}) act() end,
  function()
    local a, b = qn.pair()
    local c1 <close> = a
    local c2 <close> = b
    tasks[R(30)] = qn.spawn(function() b:read("l") end)
    a:write("x\n")
    act()
  end,
}
function act()
  depth = depth + 1
  if depth > 500000 then depth = 0 return end
  local i = R(#acts)
  if i == 38 and qn.current():name() == "task 0" then return end
  acts[i]()
end
while budget > 0 do pcall(act) budget = budget - 1 end
chans, locks, evs, cos, scopes = {}, {}, {}, {}, {}
for i = 1, 30 do
  if tasks[i] and tasks[i]:name() ~= "task 0" then tasks[i]:cancel() end
end
tasks = {}
acts = {}
local give_up = qn.now() + 100
repeat
  collectgarbage()
  collectgarbage()
  qn.sleep(0.001)
until qn.stats().tasks <= 1 or qn.now() > give_up
print("tasks", qn.stats().tasks, qn.tasks())
]==]

local SEEDS <const> = { 2, 6, 10, 14, 16, 25 } -- each has found a defect

describe("a random program", function()
  for _, seed in ipairs(SEEDS) do
    it("with seed " .. seed .. " ends, and leaves no task", function()
      local out, status = scripts.qnlua((PROGRAM:gsub("SEED", tostring(seed))), { ASAN_OPTIONS = "detect_leaks=0" })
      assert.equal(0, status, out)
      assert.matches("tasks\t1\ttask 0: running", out)
    end)

    it("with seed " .. seed .. " may exit at any point", function()
      local code = PROGRAM:gsub("SEED", tostring(seed)):gsub("budget = budget %- 1 end\n",
        "budget = budget - 1 if budget < 1200 then os.exit(9) end end\n", 1)
      local out, status = scripts.qnlua(code, { ASAN_OPTIONS = "detect_leaks=0" })
      assert.equal(9, status, out)
    end)
  end
end)
