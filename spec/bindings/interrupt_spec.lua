-- core.line: what an interrupt ends, seen from a script that interrupts itself. (Interrupts of whole
-- programs are in main_spec.lua, of C hosts in embed_test.c, of lines of the REPL in qn/repl_spec.lua.)

local program = require "spec.support.program"
local qnlua = program.qnlua()

local function q(code)
  return program.run { qnlua, "-e", [[
    local core = require "qn.core"
    local function interrupt() io.popen("kill -INT " .. core.pid()):close() end
    local function line(f)
      local scope <close> = core.deadline(false)
      core.line(scope)
      print(pcall(f))
      core.line()
    end
    ]] .. code }
end

describe("an interrupt", function()
  it("ends the line, again and again, and not the script", function()
    local status, out, err = q [[
      for i = 1, 3 do
        line(function() interrupt() while true do end end)
        line(function() interrupt() qn.sleep(60) end)
      end
      print "end"]]
    assert.equal("", err)
    assert.equal(("false\tcancelled: interrupted\n"):rep(6) .. "end\n", out)
    assert.equal(0, status)
  end)

  it("ends waits beneath coroutines, groups and inner scopes of the line", function()
    local _, out = q [[
      line(function() coroutine.wrap(function() interrupt() qn.sleep(60) end)() end)
      line(function() qn.group(function(g) g:spawn(qn.sleep, 60) interrupt() qn.sleep(60) end) end)
      line(function() qn.timeout(60, function() interrupt() qn.sleep(60) end) end)]]
    assert.equal(("false\tcancelled: interrupted\n"):rep(3), out)
  end)

  it("spares a shield of the line, and what was spawned in it", function()
    local status, out = q [[
      local t
      line(function()
        t = qn.spawn(function() qn.sleep(0.05) return "done" end)
        qn.shield(function() interrupt() qn.sleep(0.01) print "shielded" end)
        qn.sleep(60)
      end)
      print(t:join())]]
    assert.equal("shielded\nfalse\tcancelled: interrupted\ntrue\tdone\n", out)
    assert.equal(0, status)
  end)

  it("stays with the line until that gives up", function()
    local _, out = q [[
      line(function()
        pcall(function() interrupt() qn.sleep(60) end)
        print(pcall(qn.sleep, 60)) -- still interrupted
        error("given up", 0)
      end)
      qn.sleep(0)
      print "free"]]
    assert.equal("false\tcancelled: interrupted\nfalse\tgiven up\nfree\n", out)
  end)

  it("ends the script again when there is no line any more", function()
    local status, out = q [[
      line(function() interrupt() qn.sleep(60) end)
      interrupt()
      qn.sleep(60)
      print "no"]]
    assert.equal(130, status)
    assert.equal("false\tcancelled: interrupted\n", out)
  end)

  it("reaches a busy task in the background, and the line as well", function()
    local _, out = q [[
      line(function()
        qn.detach(function() interrupt() while true do end end)
        qn.sleep(60)
      end)]]
    assert.equal("false\tcancelled: interrupted\n", out)
  end)
end)
