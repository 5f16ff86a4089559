-- A wait in a <close> handler that coroutine.close ran was told to use qn.install(), which was in force.
local qn = require "qn"

describe("a wait beneath coroutine.close", function()
  it("names coroutine.close", function()
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() qn.sleep(0) end })
      coroutine.yield()
    end)
    assert(coroutine.resume(co))
    local ok, err = coroutine.close(co)
    assert.is_false(ok)
    assert.is_true(qn.is_error(err, "not_yieldable"))
    assert.matches("beneath coroutine%.close", err.message)
  end)
end)
