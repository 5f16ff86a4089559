-- Mixed error conventions; the end of a body looks like a timeout. Here the end is a lone nil, a failure is
-- nil and an error object with a kind, misuse throws: always.
local qn = require "qn"
local pair = require "spec.support.pair"

describe("lesson 15: end, failure and timeout", function()
  pair.each(it, "are told apart", function(a, b)
    local timeout = table.pack(b:read(1, { timeout = 0.001 }))
    assert.equal(2, timeout.n)
    assert.equal("timeout", timeout[2].kind)
    a:shutdown("w")
    local ended = table.pack(b:read(1, { timeout = 5 }))
    assert.same({ n = 1 }, ended)
    b:close()
    local closed = table.pack(b:read(1))
    assert.equal(2, closed.n)
    assert.equal("closed", closed[2].kind)
    assert.is_false((pcall(b.read, b, "no such format")))
  end)

  it("a channel tells its end from a timeout in the same way", function()
    local channel = qn.channel()
    assert.equal(2, select("#", channel:recv(0)))
    channel:close()
    assert.equal(1, select("#", channel:recv(0)))
  end)
end)
