-- The program from outside: its REPL, its wire trace, interruption, the end of its state.
-- covers: bindings/b_console.c bindings/b_trace.c bindings/interrupt.c bindings/state.c lua/qn/repl.lua

local program = require "spec.support.program"

-- Runs `sh -c script` with the program as $0.
local function sh(script)
  return program.run { "sh", "-c", script, program.qnlua() }
end

-- Runs a script file until it prints "ready", interrupts it; returns what program:wait gives.
local function interrupted(code)
  local folder = program.scratch()
  local path = folder .. "/script.lua"
  local file = assert(io.open(path, "w"))
  file:write("io.stdout:setvbuf('line')\n", code)
  file:close()
  local running <close> = program.start { program.qnlua(), path }
  running:wait_for("ready")
  local status, out, err = running:stop("INT")
  program.remove(folder)
  return status, out, err
end

describe("the REPL", function()
  it("prints values, goes on over lines and after errors, and may wait", function()
    local status, out, err = sh([[
      printf '1+1\nfor i = 1, 2 do\nprint(i)\nend\nerror("oops")\nqn.sleep(0.001)\n"still"\n' | "$0" -i]])
    assert.equal(0, status)
    for _, pattern in ipairs { "2\n", "1\n2\n", "still\n" } do
      assert.matches(pattern, out)
    end
    assert.matches("oops", out .. err)
  end)

  it("lets tasks go on while it waits for a line", function()
    local folder = program.scratch()
    local status, out = program.run({ "sh", "-c", [[
      (printf 'qn.spawn(function() said = true io.open(os.getenv "F", "w"):close() end)\n'
      n=0; until [ -e "$F" ] || [ $n -ge 3000 ]; do sleep 0.01; n=$((n + 1)); done
      printf 'print("said", said)\n') | "$0" -i]], program.qnlua() }, { environment = { F = folder .. "/said" } })
    program.remove(folder)
    assert.equal(0, status)
    assert.matches("> said\ttrue\n", out)
  end)
end)

describe("--trace=socket", function()
  it("shows what passes with its direction, in hex and as text, on standard error", function()
    local status, out, err = sh([["$0" --trace=socket -e '
      local server = assert(qn.tcp.listen("127.0.0.1", 0))
      local client = assert(qn.tcp.connect("127.0.0.1", server:port()))
      local peer = server:accept()
      client:write("ping\n")
      print(peer:read())
      client:close() peer:close() server:close()']])
    assert.equal(0, status)
    assert.equal("ping\n", out)
    assert.matches("70 69 6e 67 0a", err)
    assert.matches("ping%.", err)
    assert.matches("[<>] #%d+", err)
  end)

  it("refuses layers that it does not know", function()
    local status, _, err = sh([["$0" --trace=sokcet -e ""]])
    assert.equal(2, status)
    assert.matches("socket", err)
  end)
end)

describe("an interrupt", function()
  it("cancels the main task, whose <close> handlers run: status 130", function()
    local status, out = interrupted([[
      local _ <close> = setmetatable({}, { __close = function() print("closed") end })
      print("ready")
      qn.sleep(60)
    ]])
    assert.equal(130, status)
    assert.matches("closed", out)
  end)

  it("stops a loop that never waits", function()
    local status = interrupted("print('ready') while true do end")
    assert.equal(130, status)
  end)
end)

describe("the end of a state", function()
  it("runs finalizers with everything still there", function()
    local status, out = sh([["$0" -e '
      local a, b = qn.pair()
      qn.detach(function() b:read(1) end)
      setmetatable({}, { __gc = function() print(a:state(), qn.stats().tasks) end })
      qn.yield()']])
    assert.equal(0, status)
    assert.matches("^%a+%s+0\n$", out)
  end)
end)
