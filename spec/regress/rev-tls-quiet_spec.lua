-- New keys that we ask for ourselves are no flood of the peer's, even when it has nothing else to say.
-- covers: runtime/tls/bio.c

local qn = require "qn"
local tls_streams = require "spec.support.tls_streams"

describe("keys that are changed on one's own wish", function()
  local streams
  setup(function() streams = tls_streams.open() end)
  teardown(function() streams:close() end)

  it("may be so more often than a peer may do it", function()
    streams:with("memory", {}, {}, function(a, b)
      local reading = qn.spawn(function() return b:read "a" end)
      local silent = qn.spawn(function() return a:read(1) end)
      for _ = 1, 40 do
        assert(a:write "x")
        assert(a:update_keys(true))
        qn.yield()
        qn.yield()
      end
      assert.not_equal("done", silent:status())
      assert(a:shutdown "w")
      local _, text = reading:join()
      assert.equal(("x"):rep(40), text)
      assert(b:shutdown "w")
      assert.is_nil(select(2, silent:join()))
    end)
  end)
end)
