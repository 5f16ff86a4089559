-- Bytes given back with unread inside a read transaction came twice after the rollback; now that is
-- refused: who reads in a transaction gives bytes back by ending it.
local qn = require "qn"

describe("unread in a read transaction", function()
  local function with(text, f)
    local a, b = qn.pair()
    local _ <close> = a
    local _ <close> = b
    assert(a:write(text))
    assert(a:shutdown("w"))
    f(b)
  end

  it("throws, and the rollback gives each byte back once", function()
    with("hello world", function(b)
      b:begin()
      assert.equal("hello", b:read(5))
      assert.error_matches(function() b:unread("llo") end, "transaction is open")
      b:rollback()
      assert.equal("hello world", b:read("a"))
    end)
  end)

  it("works before and after", function()
    with("hello world", function(b)
      assert.equal("he", b:read(2))
      b:unread("he")
      b:begin()
      assert.equal("hello", b:read(5))
      b:commit()
      b:unread("lo")
      assert.equal("lo world", b:read("a"))
    end)
  end)
end)
