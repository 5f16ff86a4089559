-- A refused adopt closed the descriptor: of a listening or unconnected socket of ours, on which the loop
-- then aborted the process. What is no connected socket stays the caller's.
local qn = require "qn"

describe("a refused adopt", function()
  it("leaves a listening socket of ours alone", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    for _, adopt in ipairs { qn.tcp.adopt, qn.unix.adopt } do
      local got, err = adopt(server:descriptor())
      assert.is_nil(got)
      assert.is_true(qn.is_error(err))
    end
    local client <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    local peer <close> = assert(server:accept(20))
    peer:write("still here\n")
    assert.equal("still here", client:read("l"))
  end)
end)
