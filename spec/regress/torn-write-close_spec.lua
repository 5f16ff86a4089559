-- A write that was cut half-way must not look like a complete message to the peer: close resets then.
local qn = require "qn"

describe("a write that was cancelled half-way", function()
  it("is followed by a reset, not by a clean end", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local client <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    local peer <close> = assert(server:accept())
    local writer = qn.spawn(function()
      return client:write(("x"):rep(32 << 20))
    end)
    while client:bytes_to_write() == 0 do -- the kernel takes no more
      qn.yield()
    end
    writer:cancel()
    assert.is_false((writer:join()))
    local _, err = client:write("more")
    assert.equal("CANCELLED", err.code)
    client:close()
    local piece
    repeat
      piece, err = peer:recv()
    until not piece
    assert.is_truthy(err, "the peer saw a clean end of half a message")
    assert.equal("reset", err.kind)
  end)

  it("leaves a complete one before it alone when nothing was torn", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local client <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    local peer <close> = assert(server:accept())
    client:write("whole")
    client:close()
    assert.equal("whole", peer:read("a"))
    assert.is_nil((select(2, peer:read("l"))))
  end)
end)
