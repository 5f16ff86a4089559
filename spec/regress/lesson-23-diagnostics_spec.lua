-- Bad diagnostics ("Error verifying peer: ok"). Here an error says op, peer, phase, text and code.
local qn = require "qn"

describe("lesson 23: an error says what happened", function()
  it("when a connection is refused", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local port = server:port()
    server:close()
    local _, err = qn.tcp.connect("127.0.0.1", port)
    assert.equal(("connect 127.0.0.1:%d: connection refused (ECONNREFUSED)"):format(port), tostring(err))
    assert.equal("refused", err.kind)
  end)

  it("when a path does not exist", function()
    local _, err = qn.unix.connect("/no/such/socket")
    assert.equal("connect", err.op)
    assert.equal("ENOENT", err.code)
    assert.matches("/no/such/socket", tostring(err))
  end)

  it("when a limit is passed", function()
    local _, err = qn.timeout(0.001, qn.sleep, 30)
    assert.equal("timeout", err.kind)
    assert.equal("sleep", err.phase)
    assert.matches("deadline", tostring(err))
  end)

  it("when a call is wrong: the function, the argument, what was expected", function()
    for pattern, f in pairs {
      ["bad argument #2 to 'connect'"] = function() qn.tcp.connect("127.0.0.1", {}) end,
      ["bad argument #1 to 'sleep'"] = function() qn.sleep("soon") end,
      ["bad argument #1 to 'join' %(qn.Task expected, got table%)"] = function()
        local task = qn.spawn(print, "")
        task:cancel()
        task.join({})
      end,
    } do
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.matches(pattern, tostring(err))
    end
  end)
end)
