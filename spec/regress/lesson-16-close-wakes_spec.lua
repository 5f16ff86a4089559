-- Closing a socket that another task uses. Here close wakes both waiters with kind closed.
local qn = require "qn"
local pair = require "spec.support.pair"

describe("lesson 16: closing what others use", function()
  for _, how in ipairs { "close", "abort" } do
    pair.each(it, how .. " wakes the reader and the writer", function(_, b)
      local reader = qn.spawn(function() return b:read("l") end)
      local writer = qn.spawn(function() return b:write(("x"):rep(16 << 20)) end)
      for _ = 1, 5 do qn.yield() end
      assert.equal("waiting", reader:status())
      assert.equal("waiting", writer:status())
      b[how](b)
      for _, task in ipairs { reader, writer } do
        local ok, value, err = task:join()
        assert.is_true(ok)
        assert.is_nil(value)
        assert.equal("closed", err.kind)
      end
    end)
  end

  it("closing a server wakes who accepts", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local acceptor = qn.spawn(function() return server:accept() end)
    qn.yield()
    server:close()
    local ok, value, err = acceptor:join()
    assert.is_true(ok)
    assert.is_nil(value)
    assert.equal("closed", err.kind)
  end)
end)
