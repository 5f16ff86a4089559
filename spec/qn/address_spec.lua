-- qn.address: the module; what its values do is in spec/bindings/b_address_spec.lua.

local qn = require "qn"

describe("qn.address", function()
  it("is a table that can be called", function()
    assert.is_table(qn.address)
    assert.equal("127.0.0.1", tostring(qn.address("localhost")))
    assert.is_true(rawequal(qn.address, require "qn.address"))
    local call = qn.address
    assert.equal("::1", tostring(call("::1")))
  end)

  it("has the other ways to make addresses", function()
    assert.equal(qn.address("1.2.3.4"), qn.address.from_ipv4(0x01020304))
    assert.equal(qn.address("1.2.3.4"), qn.address.from_bytes("\1\2\3\4"))
    assert.same({ qn.address("10.0.0.0"), 8 }, { qn.address.parse_subnet("10") })
  end)
end)
