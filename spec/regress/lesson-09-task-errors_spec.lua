-- A task error kills the process, or vanishes. Here the parent or the joiner gets it, a detached one is
-- reported with its traceback and spawn site, and a server goes on.
local qn = require "qn"
local leaks = require "spec.support.leaks"
local scripts = require "spec.support.scripts"

describe("lesson 9: the error of a task", function()
  it("is given to who joins, thrown by a group, reported otherwise", function()
    assert.same({ false, "joined" }, { qn.spawn(error, "joined", 0):join() })
    assert.same({ false, "group" }, { pcall(qn.group, function(g) g:spawn(error, "group", 0) end) })
    qn.detach(error, "detached", 0)
    qn.spawn(error, "dropped", 0)
    local seen = {}
    for _, each in ipairs(leaks.wait_unhandled(2)) do seen[each.error] = true end
    assert.same({ detached = true, dropped = true }, seen)
  end)

  it("does not end the process at once, and is not forgotten by the exit status", function()
    local out, status = scripts.qnlua([[
      qn.detach(function() error("the culprit") end)
      for _ = 1, 5 do qn.yield() end
      print("still running")
    ]])
    assert.equal(1, status)
    assert.matches("the culprit", out)
    assert.matches("spawned at script.lua:1", out)
    assert.matches("still running\n$", out)
  end)

  it("in one connection does not end the server", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local serving = qn.spawn(function()
      server:serve(function(socket)
        local line = socket:read("l")
        if line == "fail" then error("handler", 0) end
        socket:write("fine\n")
      end)
    end)
    local function ask(line)
      local socket <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
      socket:write(line, "\n")
      return socket:read("l")
    end
    assert.is_nil((ask("fail")))
    assert.equal("fine", ask("work"))
    assert.equal("handler", leaks.wait_unhandled(1)[1].error)
    server:close()
    serving:join()
  end)
end)
