-- The program from the outside: exit statuses, what it says about errors, interrupts.

local program = require "spec.support.program"
local qnlua = program.qnlua()

local function q(code, ...)
  return program.run { qnlua, "-e", code, ... }
end

-- Interrupts the program when it has printed "ready"; then what `wait` gives.
local function interrupted(code)
  local p <close> = program.start { qnlua, "-e", "io.stdout:setvbuf 'no' " .. code }
  p:wait_for("ready\n")
  return p:stop("INT")
end

describe("the exit status of qnlua", function()
  it("is 0 when the script and its tasks have ended", function()
    local status, out, err = q("qn.spawn(function() qn.sleep(0.01) print 'task' end) print 'script'")
    assert.equal(0, status)
    assert.equal("script\ntask\n", out)
    assert.equal("", err)
  end)

  it("is 1 for an error, a syntax error, a missing script, a failed task", function()
    assert.equal(1, (q("error 'x'")))
    assert.equal(1, (q("x x")))
    assert.equal(1, (program.run { qnlua, "/nowhere/at/all.lua" }))
    assert.equal(1, (q("qn.spawn(error, 'x')")))
    assert.equal(1, (q("qn.detach(error, 'x') qn.sleep(0.01)")))
    assert.equal(1, (q("local _ <close> = setmetatable({}, { __close = function() error 'late' end })")))
  end)

  it("is 0 when a handler of its own has taken the failure", function()
    local status, out = q("qn.on_unhandled(function(e) print(e) end) qn.spawn(function() error('x', 0) end)")
    assert.equal("x\n", out)
    assert.equal(0, status)
  end)

  it("is 1 when a task that is ended at the end fails in its clean-up", function()
    local status, _, err = q([[
      qn.detach(function()
        local _ <close> = setmetatable({}, { __close = function() error('bad end', 0) end })
        qn.sleep(60)
      end)
      qn.sleep(0)]])
    assert.equal(1, status)
    assert.truthy(err:find("unhandled error in task %d+: bad end"))
  end)

  it("is 1 when standard output takes nothing", function()
    local status, _, err = program.run { "sh", "-c", '"$0" -e "print(1)" >/dev/full', qnlua }
    assert.equal(1, status)
    assert.truthy(err:find("^qnlua: standard output: "))
  end)

  it("is 1 for a script that cancels itself", function()
    local status, _, err = q("require 'qn.core'.current():cancel('enough') qn.sleep(1)")
    assert.equal(1, status)
    assert.truthy(err:find("^qnlua: cancelled: enough\n"))
  end)

  it("is 1 when nothing can wake the script any more", function()
    local status, _, err = q("qn.event():wait()")
    assert.equal(1, status)
    assert.truthy(err:find("DEADLOCK", 1, true))
  end)
end)

describe("descriptors that were closed before", function()
  it("are not given to something else", function()
    local status, out = program.run { "sh", "-c", [[exec "$0" -e '
      local a = assert(qn.tcp.listen("127.0.0.1", 0))
      print(io.read(1))
      io.stderr:write "into nothing"
      io.stderr:flush()
      for fd = 3, 5 do print(require "qn".tcp.adopt(fd) == nil) end' <&- 2>&-]], qnlua }
    assert.equal("nil\ntrue\ntrue\ntrue\n", out)
    assert.equal(0, status)
    status = program.run { "sh", "-c", 'exec "$0" -e "print(1)" >&-', qnlua }
    assert.equal(1, status)
  end)
end)

describe("errors of the script", function()
  it("come with a traceback that shows the script and nothing of the program", function()
    local _, out, err = q("local function f() qn.sleep(0.001) error('boom') end f()")
    assert.equal("", out)
    assert.equal([[
qnlua: (command line):1: boom
stack traceback:
	[C]: in function 'error'
	(command line):1: in local 'f'
	(command line):1: in main chunk
	[C]: in ?
]], err)
  end)

  it("are named as lua5.4 names them", function()
    for _, code in ipairs {
      "error('x', 0)", "error({})", "error(nil)", "error()", "error(12)", "local t t.x = 1", "x x",
      "error(setmetatable({}, { __tostring = function() return 'me' end }))",
      "error(setmetatable({}, { __tostring = function() return 5 end }))",
    } do
      local _, _, err = q(code)
      local pipe = assert(io.popen(("lua5.4 -e %q 2>&1"):format(code:gsub("'", "'"))))
      local theirs = pipe:read("l")
      pipe:close()
      assert.equal((theirs:gsub("^lua5%.4", "qnlua")), (err:match("^[^\n]*")), code)
    end
  end)

  it("of kind qn.Error show their text", function()
    local _, _, err = q("assert(qn.unix.connect '/nowhere/at/all')")
    assert.truthy(err:find("^qnlua: connect /nowhere/at/all: [^\n]+ %(ENOENT%)\nstack traceback:\n"))
  end)

  it("in a task name the place where it was spawned", function()
    local _, _, err = q("local function f() error('boom') end\nqn.spawn(f)")
    assert.equal([[
qnlua: unhandled error in task 1: (command line):1: boom
stack traceback:
	[C]: in function 'error'
	(command line):1: in function <(command line):1>
	[C]: in ?
	(spawned at (command line):2)
]], err)
  end)

  it("that cannot be shown do not hide behind another one", function()
    local status, _, err = q("error(setmetatable({}, { __tostring = function() error 'worse' end }))")
    assert.equal(1, status)
    assert.equal("qnlua: an error that cannot be shown", (err:match("^[^\n]*")))
  end)
end)

describe("an interrupt", function()
  local noisy = "local _ <close> = setmetatable({}, { __close = function(_, e) " ..
    "qn.shield(qn.sleep, 0.001) print('closed', qn.is_cancelled(e), e) end }) "

  for what, code in pairs {
    ["a wait"] = "print 'ready' qn.sleep(60)",
    ["a busy loop"] = "print 'ready' while true do end",
    ["a busy coroutine"] = "coroutine.wrap(function() print 'ready' while true do end end)()",
    ["a busy loop of C calls"] = "print 'ready' while true do string.rep('x', 10) end",
    ["a child that is busy"] = "qn.spawn(function() print 'ready' while true do end end) qn.sleep(60)",
    ["a wait for a peer"] = "local s <close> = qn.tcp.listen('127.0.0.1', 0) print 'ready' s:accept()",
  } do
    it("ends " .. what .. " and runs the clean-up", function()
      local status, out, err = interrupted(noisy .. code)
      assert.equal(130, status)
      assert.truthy(out:find("^ready\nclosed\ttrue\tcancelled: interrupted\n$"), out)
      assert.equal("qnlua: interrupted\n", err)
    end)
  end

  it("ends a script that catches it for ever", function()
    assert.equal(130, (interrupted("print 'ready' while true do pcall(qn.sleep, 60) end")))
  end)

  it("ends a blocking call of the C library", function()
    local status, out = interrupted(noisy .. "print 'ready' io.popen('sleep 5; echo no'):read 'a' print 'no'")
    assert.equal(130, status)
    assert.is_nil(out:find("no", 1, true))
  end)

  it("ends a busy task in the background, and the script with it", function()
    local status, out = interrupted([[
      qn.detach(function()
        local _ <close> = setmetatable({}, { __close = function(_, e) print('task', e) end })
        print 'ready'
        while true do end
      end)
      local _ <close> = setmetatable({}, { __close = function(_, e) print('script', e) end })
      qn.sleep(60)]])
    assert.equal(130, status)
    assert.truthy(out:find("task\tcancelled: interrupted\n", 1, true), out)
    assert.truthy(out:find("script\tcancelled: interrupted\n", 1, true), out)
  end)

  it("lets the clean-up choose the status", function()
    local status = interrupted("print 'ready' pcall(qn.sleep, 60) os.exit(7)")
    assert.equal(7, status)
  end)

  it("is 130 also when the script goes on and ends well", function()
    local status, out, err = interrupted("print 'ready' pcall(qn.sleep, 60) print 'end'")
    assert.equal(130, status)
    assert.equal("ready\nend\n", out)
    assert.equal("", err)
  end)

  it("waits for what is shielded", function()
    local status, out = interrupted(
      "qn.shield(function() print 'ready' local t = qn.now() repeat until qn.now() > t + 0.05 print 'whole' end) qn.sleep(1)")
    assert.equal(130, status)
    assert.equal("ready\nwhole\n", out)
  end)

  it("kills when it comes twice", function()
    local p <close> = program.start { qnlua, "-e", "io.stdout:setvbuf 'no' print 'ready' pcall(qn.sleep, 60) " ..
      "local _ <close> = setmetatable({}, { __close = function() print 'no' end }) print 'again' while true do end" }
    p:wait_for("ready\n")
    os.execute("kill -INT " .. p.pid)
    p:wait_for("again\n")
    local status, out = p:stop("INT")
    assert.equal(130, status) -- by the signal
    assert.is_nil(out:find("no\n", 1, true))
  end)

  it("belongs to the script while it watches the signal, and not for longer", function()
    local p <close> = program.start { qnlua, "-e", [[
      io.stdout:setvbuf 'no'
      local watch = qn.signal 'int'
      print 'watching'
      print('got', watch:wait())
      watch:close()
      local _ <close> = setmetatable({}, { __close = function() print 'closed' end })
      print 'ready'
      qn.sleep(60)]] }
    p:wait_for("watching\n")
    os.execute("kill -INT " .. p.pid)
    p:wait_for("got\t1\nready\n")
    local status, out = p:stop("INT")
    assert.equal(130, status)
    assert.truthy(out:find("closed\n$"))
  end)
end)
