-- Where waiting is impossible the call says so, names the function and the fix, and starts nothing.
-- covers: bindings/await.c bindings/run.c
local qn = require "qn"
local program = require "spec.support.program"

local function refused(name, fix, f)
  local before = qn.stats()
  local ok, err = pcall(f)
  assert.is_false(ok)
  assert.is_true(qn.is_error(err, "not_yieldable"), tostring(err))
  assert.equal("NOT_YIELDABLE", err.code)
  assert.is_truthy(tostring(err):find(name, 1, true), tostring(err))
  assert.is_truthy(tostring(err):find(fix, 1, true), tostring(err))
  assert.is_truthy(tostring(err):find("'sleep'", 1, true), tostring(err))
  local after = qn.stats()
  assert.equal(before.ops, after.ops)
  assert.equal(before.timers, after.timers)
end

local function wait() qn.sleep(0) end

describe("a wait beneath", function()
  local proxy = setmetatable({}, { __tostring = function() wait() return "x" end })

  it("table.sort", function() refused("table.sort", "use qn.sort", function()
    table.sort({ 1, 2, 3 }, function(a, b) wait() return a < b end)
  end) end)
  it("string.gsub", function() refused("string.gsub", "use qn.gsub", function()
    string.gsub("abc", ".", wait)
  end) end)
  it("tostring", function() refused("tostring", "wait first", function() tostring(proxy) end) end)
  it("print", function() refused("print", "wait first", function() print(proxy) end) end)
  it("string.format", function() refused("string.format", "wait first", function() string.format("%s", proxy) end) end)
  it("table.concat", function() refused("table.concat", "wait first", function()
    table.concat(setmetatable({}, { __len = function() return 2 end, __index = wait }))
  end) end)
  it("load's reader", function()
    local seen
    load(function() seen = select(2, pcall(wait)) end)
    refused("load", "read the chunk first", function() error(seen, 0) end)
  end)
  it("an xpcall handler", function()
    local _, seen = xpcall(error, function() return select(2, pcall(wait)) end, "x")
    refused("xpcall", "message handler", function() error(seen, 0) end)
  end)
  it("a finalizer", function()
    local seen
    setmetatable({}, { __gc = function() seen = select(2, pcall(wait)) end })
    collectgarbage()
    collectgarbage()
    refused("__gc", "let a task do it", function() error(seen, 0) end)
  end)
  it("a finalizer, inside an inner coroutine", function()
    local seen
    setmetatable({}, { __gc = function()
      coroutine.wrap(function() seen = select(2, pcall(wait)) end)()
    end })
    collectgarbage()
    collectgarbage()
    assert.is_true(qn.is_error(seen, "not_yieldable"))
  end)
  it("table.sort, inside an inner coroutine", function()
    local seen
    table.sort({ 1, 2 }, function(a, b)
      coroutine.wrap(function() seen = select(2, pcall(wait)) end)()
      return a < b
    end)
    assert.is_true(qn.is_error(seen, "not_yieldable"))
  end)

  it("is refused to every kind of wait alike, and leaves nothing queued", function()
    local channel, mutex, semaphore = qn.channel(), qn.mutex(), qn.semaphore(0)
    local event, condition = qn.event(), qn.condition()
    local task = qn.spawn(qn.sleep, 0.001)
    local guard = mutex:lock()
    local waits = {
      function() channel:recv() end, function() channel:send(1) end, function() semaphore:acquire() end,
      function() event:wait() end, function() condition:wait(mutex) end, function() task:join() end,
      function() qn.yield() end, function() qn.timeout(1, qn.yield) end, function() qn.shield(qn.yield) end,
      function() qn.map({ 1 }, print) end, function() qn.race { print } end, function() qn.group(print) end,
    }
    for i, f in ipairs(waits) do
      local _, err = pcall(string.gsub, "a", "a", f)
      assert.is_true(qn.is_error(err, "not_yieldable"), i .. ": " .. tostring(err))
    end
    assert.is_true(mutex:is_locked())
    guard:release()
    assert.is_false(channel:try_send(1))
    assert(task:join())
  end)
end)

describe("the twins that can wait", function()
  it("qn.sort sorts as table.sort does, stable", function()
    local function check(list, less)
      local expected = table.move(list, 1, #list, 1, {})
      table.sort(expected, less)
      qn.sort(list, less and function(a, b) qn.yield() return less(a, b) end)
      assert.same(expected, list)
    end
    check({})
    check({ 1 })
    check({ 3, 1, 2 })
    check({ "b", "a", "c", "a" })
    check({ 5, 4, 3, 2, 1, 9, 8, 7 }, function(a, b) return a > b end)
    local random = {}
    math.randomseed(7)
    for i = 1, 300 do random[i] = math.random(50) end
    check(random, function(a, b) return a < b end)
    local pairs_list = {}
    for i = 1, 100 do pairs_list[i] = { key = i % 5, at = i } end
    qn.sort(pairs_list, function(a, b) return a.key < b.key end)
    for i = 2, 100 do
      local a, b = pairs_list[i - 1], pairs_list[i]
      assert.is_true(a.key < b.key or (a.key == b.key and a.at < b.at))
    end
    assert.error_matches(function() qn.sort(5) end, "bad argument #1 to 'sort'")
    local untouched = { 2, 1 }
    assert.error(function() qn.sort(untouched, function() error("x") end) end)
    assert.same({ 2, 1 }, untouched)
  end)

  it("qn.gsub gives what string.gsub gives", function()
    local cases = {
      { "hello world", "o", "0" }, { "hello", "", "-" }, { "abc", "%w*", "x" }, { "abc def", "%w*", "<%0>" },
      { "abc", "^a", "x" }, { "aaa", "^a", "x" }, { "hello", "l", "L", 1 }, { "hello", "l", "L", 0 },
      { "k=v, a=b", "(%w+)=(%w+)", "%2=%1" }, { "abc", "b", "%%" }, { "abc", "()", "%1" },
      { "abc", "%w", { a = "1", b = false } }, { "abc", "(%w)", { a = 5 } }, { "", "", "x" }, { "", "x", "y" },
      { "a.b.c", "%.", "" }, { " a  b ", "%s*", "_" }, { "x", ".", "%0%0" }, { 123, 2, "x" },
      { "abc", "%f[%w]", "|" }, { "THE (quick) fox", "%((%w+)%)", "<%1>" }, { "abc", "b*", "-" },
    }
    for i, c in ipairs(cases) do
      local expected = table.pack(string.gsub(table.unpack(c)))
      assert.same(expected, table.pack(qn.gsub(table.unpack(c))), "case " .. i)
    end
    for _, f in ipairs { string.upper, function() end, function(a) return a == "l" and 1 end } do
      assert.same({ string.gsub("hello", "%w", f) }, { qn.gsub("hello", "%w", function(...)
        qn.yield()
        return f(...)
      end) })
    end
    assert.same({ string.gsub("a1b2", "(%a)(%d)", "%2%1") }, { qn.gsub("a1b2", "(%a)(%d)", function(a, b)
      qn.yield()
      return b .. a
    end) })
    for _, bad in ipairs { { "x", "x" }, { "x", "x", true }, { {}, "x", "y" }, { "x", nil, "y" }, { "x", "x", "y", "n" } } do
      assert.error_matches(function() qn.gsub(bad[1], bad[2], bad[3], bad[4]) end, "bad argument #%d to 'gsub'")
    end
    assert.error_matches(function() qn.gsub("abc", "b", "%2") end, "invalid capture index %%2")
    assert.error_matches(function() qn.gsub("abc", "b", "%x") end, "invalid use of '%%'")
    assert.error_matches(function() qn.gsub("abc", "b", function() return {} end) end, "invalid replacement value")
  end)
end)

describe("deadlock", function()
  local function run(script, expected_status)
    local folder = program.scratch()
    local path = folder .. "/script.lua"
    local file = assert(io.open(path, "w"))
    file:write(script)
    file:close()
    local pipe = assert(io.popen(program.qnlua() .. " " .. path .. " 2>&1; echo status $?"))
    local out = pipe:read("a")
    pipe:close()
    program.remove(folder)
    assert.matches("status " .. expected_status .. "\n$", out)
    return out
  end

  it("of the main task is an error, not a hang", function()
    local out = run("qn.channel():recv()", 1)
    assert.matches("DEADLOCK", out)
  end)

  it("can be caught, has a kind and a code, and reaches children", function()
    local out = run([[
      local child = qn.spawn(function() qn.event():wait() end)
      local ok, err = pcall(child.join, child)
      print(ok, err.kind, err.code)
    ]], 1) -- nobody takes the child's error
    assert.matches("false\tinvalid\tDEADLOCK", out)
    assert.matches("unhandled error in task 1: .*DEADLOCK", out)
  end)

  it("is none while a timer runs", function()
    local out = run("local c = qn.channel() qn.detach(function() qn.sleep(0.05) c:send('late') end) print(c:recv())", 0)
    assert.matches("late", out)
  end)

  it("of an unwatched child ends the program, too", function()
    local out = run("qn.spawn(function() qn.channel():recv() end) print('main ends')", 1)
    assert.matches("main ends", out)
    assert.matches("DEADLOCK", out)
  end)
end)
