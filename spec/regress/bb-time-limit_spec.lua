-- A bad timeout of a waiting object was reported as an argument of a function inside the library
-- ("bad argument #2 to 'ticket'"), at a line of the library.
local qn = require "qn"

describe("a bad time limit", function()
  local function check(name, f)
    local ok, err = pcall(f)
    assert.is_false(ok)
    assert.matches("bb%-time%-limit_spec%.lua:%d+: bad time limit for '" .. name .. "' %(", err)
  end

  it("is told in terms of the caller", function()
    local a, b = qn.pair()
    local _ <close> = a
    local _ <close> = b
    for _, bad in ipairs { -1, 0 / 0, 1e300, {}, "x" } do
      check("wait", function() qn.event():wait(bad) end)
      check("recv", function() qn.channel():recv(bad) end)
      check("send", function() qn.channel():send(1, bad) end)
      check("lock", function() local _ = qn.mutex():lock(bad) end)
      check("acquire", function() local _ = qn.semaphore(1):acquire(bad) end)
      check("wait", function() local _ = a:wait("ready_read", bad) end)
      check("timeout", function() local _ = qn.timeout(bad, print) end)
    end
  end)

  it("that is absent is, too", function()
    local ok, err = pcall(function() local _ = qn.timeout(nil, print) end)
    assert.is_false(ok)
    assert.matches("bb%-time%-limit_spec%.lua:%d+: bad argument #1 to 'timeout' %(", err)
  end)
end)
