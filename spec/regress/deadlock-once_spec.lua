-- A deadlock is told once: a script that catches it can go on waiting for other things.
local scripts = require "spec.support.scripts"

describe("a deadlock that was caught", function()
  it("does not come back by itself, and comes again when it is there again", function()
    local out, status = scripts.qnlua([[
      local ch = qn.channel(0)
      print(select(2, pcall(ch.recv, ch)).code)
      qn.sleep(0.001)
      print "slept"
      print(select(2, pcall(ch.recv, ch)).code)
      qn.spawn(function() ch:send(5) end)
      print(ch:recv())
    ]])
    assert.equal("DEADLOCK\nslept\nDEADLOCK\n5\n", out)
    assert.equal(0, status)
  end)

  it("ends a script that only ever waits again", function()
    local out, status = scripts.qnlua("local ch = qn.channel(0) while true do pcall(ch.recv, ch) end")
    assert.equal(1, status)
    assert.matches("every task waits", out)
  end)
end)
