-- The program's end: who is waited for, what is reported, which exit status.
-- covers: bindings/run.c bindings/main.c bindings/embed.c bindings/b_loop.c
local scripts = require "spec.support.scripts"

local function check(code, expected_status, ...)
  local out, status = scripts.qnlua(code)
  assert.equal(expected_status, status, out)
  for _, pattern in ipairs { ... } do
    assert.matches(pattern, out)
  end
  return out
end

describe("the program", function()
  it("ends with status 0 when all went well", function()
    assert.equal("", check("qn.sleep(0)", 0))
  end)

  it("waits for the children of the main task", function()
    check("qn.spawn(function() qn.sleep(0.02) print('child') end) print('main')", 0, "^main\nchild\n$")
  end)

  it("does not wait for detached tasks: it cancels them", function()
    check([[
      qn.detach(function()
        local _ <close> = setmetatable({}, { __close = function(_, e) print('closed', qn.is_cancelled(e)) end })
        qn.sleep(30)
      end)
      qn.yield()
    ]], 0, "^closed\ttrue\n$")
  end)

  it("gives detached tasks a shielded moment to clean up", function()
    check([[
      qn.detach(function()
        local _ <close> = setmetatable({}, { __close = function()
          qn.shield(qn.sleep, 0.01)
          print('cleaned')
        end })
        qn.sleep(30)
      end)
      qn.yield()
    ]], 0, "^cleaned\n$")
  end)

  it("reports the main task's error with a traceback, status 1", function()
    check("local function culprit() error('boom') end culprit()", 1, "boom", "culprit", "script.lua:1")
    check("error(qn.error('limit', 'too much', { code = 'C' }))", 1, "too much %(C%)")
    check("error(setmetatable({}, { __tostring = function() return 'shown' end }))", 1, "shown")
    check("error()", 1, "nil")
    check("syntax error here", 1, "script.lua:1")
  end)

  it("reports a child's error that nobody takes: name, text, traceback, spawn site, status 1", function()
    local out = check([[
      local function culprit() error("boom") end
      qn.spawn(function() culprit() end):name("worker")
    ]], 1, "^qnlua: unhandled error in worker: script.lua:1: boom\n", "stack traceback:", "culprit",
      "%(spawned at script.lua:2%)")
    local _, count = out:gsub("unhandled error", "")
    assert.equal(1, count)
  end)

  it("reports a detached task's error at once, the program goes on, status 1 at the end", function()
    check([[
      qn.detach(error, "boom", 0)
      for _ = 1, 5 do qn.yield() end
      io.stderr:write("main goes on\n")
    ]], 1, "unhandled error in task %d+: boom.*main goes on\n$")
  end)

  it("reports errors of any type", function()
    check([[
      qn.detach(error, nil)
      qn.detach(error, { 1 })
      qn.detach(error, qn.error("limit", "an object"))
      qn.detach(error, setmetatable({}, { __tostring = function() error("nested") end }))
      qn.detach(error, setmetatable({}, { __tostring = function() return 5 end }))
      qn.detach(error, "last", 0)
      for _ = 1, 5 do qn.yield() end
    ]], 1, ": nil\n", ": table: 0x", ": an object\n", "a table that cannot be shown", ": last\n")
  end)

  it("leaves the report to on_unhandled: status 0, nothing on stderr", function()
    local out = check([[
      qn.on_unhandled(function(err, task) qn.sleep(0.001) print(err, task:name(), task:status()) end)
      qn.spawn(error, "late", 0):name("child")
    ]], 0)
    assert.equal("late\tchild\tfailed\n", out)
  end)

  it("reports the failure of a handler by default", function()
    check([[
      qn.on_unhandled(function(err) error("handler: " .. err, 0) end)
      qn.detach(error, "first", 0)
      for _ = 1, 5 do qn.yield() end
    ]], 1, "unhandled error in on_unhandled: handler: first")
  end)

  it("reports errors of cleanups during the end", function()
    check([[
      qn.detach(function()
        local _ <close> = setmetatable({}, { __close = function() error("in cleanup", 0) end })
        qn.sleep(30)
      end)
      qn.yield()
    ]], 1, "unhandled error in task %d+: in cleanup")
  end)

  it("a cancelled main task is an error of the program", function()
    check("qn.current():cancel('stop') qn.sleep(1)", 1, "cancelled: stop")
  end)
end)

describe("qn.exit", function()
  it("ends the program with its status, from anywhere", function()
    check("qn.exit(7) print('not reached')", 7, "^$")
    check("os.exit(3)", 3, "^$")
    check("os.exit(true)", 0)
    check("os.exit(false)", 1)
    check("os.exit()", 0)
    check("qn.spawn(function() qn.exit(4) end) qn.sleep(30)", 4, "^$")
    check("coroutine.wrap(function() os.exit(5) end)()", 5, "^$")
    check("pcall(function() qn.exit(6) end) print('x')", 6)
    check("table.sort({ 1, 2 }, function() os.exit(8) end)", 8)
    check("setmetatable({}, { __gc = function() os.exit(9) end }) collectgarbage()", 9)
  end)

  it("runs the <close> variables of all tasks, flushes, and reports nothing", function()
    check([[
      local function closing(name) return setmetatable({}, { __close = function() print(name) end }) end
      qn.spawn(function() local _ <close> = closing("child") qn.sleep(30) end)
      qn.yield()
      local _ <close> = closing("main")
      qn.spawn(function() local _ <close> = closing("exiting") qn.exit(2) end)
      qn.sleep(30)
    ]], 2, "child", "main", "exiting")
  end)

  it("flushes what streams still hold", function()
    check([[
      local server = assert(qn.tcp.listen("127.0.0.1", 0))
      local got = qn.spawn(function()
        local s = server:accept()
        return #s:read("a")
      end)
      local s = assert(qn.tcp.connect("127.0.0.1", server:port()))
      s:write(("x"):rep(500000))
      s:close()
      print(select(2, got:join()))
      server:close()
    ]], 0, "500000")
  end)
end)

describe("a task that yields by stock means", function()
  it("fails, its children are cancelled, its <close> variables run", function()
    local out, status = scripts.stock([[
      print(qn.run(function()
        local child
        local task = qn.spawn(function()
          local _ <close> = setmetatable({}, { __close = function() print("closed") end })
          child = qn.spawn(qn.sleep, 30)
          qn.yield()
          coroutine.yield()
        end)
        print(task:join())
        collectgarbage()
        return child:status()
      end))
    ]])
    assert.equal(0, status, out)
    assert.matches("closed\nfalse\tattempt to yield from outside a coroutine.-\ncancelled\n", out)
  end)

  it("a wait in a stock coroutine names qn.install", function()
    local out, status = scripts.stock([[
      qn.run(function()
        local co = coroutine.create(function() qn.sleep(0) end)
        local ok, err = coroutine.resume(co)
        print(ok, err.kind, err)
        qn.install()
        print(coroutine.wrap(function() qn.sleep(0) return "waits now" end)())
      end)
    ]])
    assert.equal(0, status, out)
    assert.matches("false\tnot_yieldable\t.*qn.install", out)
    assert.matches("waits now", out)
  end)
end)

describe("the main thread of a stock interpreter", function()
  local function stock(code, ...)
    local out, status = scripts.stock(code)
    assert.equal(0, status, out)
    for _, pattern in ipairs { ... } do
      assert.matches(pattern, out)
    end
  end

  it("runs the loop until its call is done", function()
    stock([[
      local c = qn.channel()
      qn.spawn(function() for i = 1, 3 do qn.sleep(0.001) c:send(i) end c:close() end)
      for v in c:each() do io.write(v, " ") end
      print(qn.timeout(0.001, qn.sleep, 30))
      local a, b = qn.pair()
      qn.spawn(function() a:write("hello") a:close() end)
      print(b:read("a"))
      b:close()
      local ok, err = pcall(function() local _ <close> = qn.deadline(0.001) c = qn.channel() c:recv() end)
      print(ok, err.kind)
      print(qn.channel():recv(0.001))
    ]], "1 2 3 ", "nil\tsleep: ", "hello\n", "false\ttimeout\n", "nil\trecv: ")
  end)

  it("detects a deadlock", function()
    stock("local ok, err = pcall(function() qn.channel():recv() end) print(ok, err.kind, err.code)",
      "false\tinvalid\tDEADLOCK")
  end)

  it("is fair to tasks, too", function()
    stock([[
      local c, n = qn.channel(1), 0
      qn.spawn(function() n = 1 end)
      local steps = 0
      while n == 0 and steps < 10000 do c:send(1) c:recv() steps = steps + 1 end
      print(steps < 200)
    ]], "true")
  end)

  it("refuses to wait in a finalizer, in a coroutine, in a handler of the loop", function()
    stock([[
      setmetatable({}, { __gc = function() print("gc", select(2, pcall(qn.sleep, 0))) end })
      collectgarbage()
      print("co", select(2, coroutine.resume(coroutine.create(function() qn.sleep(0) end))))
      qn.detach(error, setmetatable({}, { __tostring = function() return "shown: " .. tostring(select(2, pcall(qn.sleep, 0))) end }))
      qn.sleep(0.005)
      print("run", pcall(qn.run, function() return pcall(qn.run, print) end))
    ]], "gc\t'sleep' would wait inside a finalizer", "co\t.-use qn.run", "shown: .-would wait", "run\ttrue\tfalse\tqn.run cannot")
  end)

  it("qn.run gives results, and throws errors", function()
    stock([[
      print(qn.run(function(...) qn.sleep(0) return ... end, 1, nil, 3))
      print(pcall(qn.run, function() error("boom", 0) end))
      print(pcall(qn.run, function() qn.channel():recv() end))
      print(pcall(qn.run, 5))
    ]], "1\tnil\t3\n", "false\tboom\n", "false\t.-DEADLOCK", "function expected")
  end)

  it("qn.exit in a task ends the process, also while the main thread waits", function()
    local out, status = scripts.stock([[
      local _ = qn.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() print("closed") end })
        qn.exit(5)
      end)
      qn.sleep(30)
    ]])
    assert.equal(5, status, out)
    assert.matches("closed", out)
  end)

  it("qn.exit on it ends the process, tasks first", function()
    local out, status = scripts.stock([[
      qn.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() qn.shield(qn.sleep, 0.001) print("closed") end })
        qn.sleep(30)
      end)
      qn.sleep(0)
      qn.exit(6)
    ]])
    assert.equal(6, status, out)
    assert.equal("closed\n", out)
  end)

  it("qn.exit where nothing can wait ends the process, too", function()
    local _, status = scripts.stock("qn.run(function() table.sort({ 1, 2 }, function() qn.exit(7) end) end)")
    assert.equal(7, status)
  end)

  it("qn.install makes require and coroutines wait", function()
    stock([[
      qn.install()
      package.preload.m = function() qn.sleep(0.001) return "module" end
      print((require("m")))
      print(qn.run(function() return coroutine.wrap(function() qn.sleep(0) return "inner" end)() end))
    ]], "module\n", "inner\n")
  end)

  it("tasks that nobody awaits are ended with the script: their <close> variables run", function()
    stock([[
      qn.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() print("closed") end })
        qn.sleep(30)
      end)
      qn.sleep(0)
      print("end")
    ]], "^end\nclosed\n$")
  end)
end)
