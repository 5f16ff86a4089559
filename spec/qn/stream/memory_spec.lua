if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local Memory = require "qn.stream.memory"

describe("a stream in memory", function()
  it("reads its string and collects what is written, apart", function()
    local m = Memory.new "abc"
    assert.is_true(m:write("x", 1, "y"))
    assert.is_true(m:flush())
    assert.equal(3, m:bytes_available())
    assert.equal("ab", m:read(2))
    assert.equal(1, m:bytes_available())
    assert.equal("x1y", m:string())
    m:write "z"
    assert.equal("x1yz", m:string())
    assert.equal("c", m:read "a")
    assert.is_true(m:at_end())
  end)

  it("is empty without a string", function()
    local m = Memory.new()
    assert.is_nil(m:read(1))
    assert.equal("", m:string())
  end)

  it("moves and tells the position", function()
    local m = Memory.new "abcdef"
    assert.equal(0, m:seek())
    m:read(4)
    assert.equal(4, m:seek("cur", 0))
    assert.equal(1, m:seek("set", 1))
    assert.equal("bc", m:read(2))
    assert.equal(5, m:seek("end", -1))
    assert.equal("f", m:read "a")
    assert.equal(6, m:seek())
    assert.equal(4, m:seek("cur", -2))
    assert.equal("ef", m:read "a")
    for _, to in ipairs { -1, 7 } do
      local at, err = m:seek("set", to)
      assert.is_nil(at)
      assert.equal("invalid", err.kind)
    end
  end)

  it("tells the position after bytes were given back", function()
    local m = Memory.new "abcdef"
    m:read(4)
    m:unread "cd"
    assert.equal(2, m:seek())
    m:unread "XYZ"
    assert.equal(0, m:seek())
    assert.equal("XYZcdef", m:read "a")
  end)

  it("does not seek inside of a transaction", function()
    local m = Memory.new "abc"
    m:begin()
    assert.has_error(function()
      m:seek("set", 2)
    end, "seek: a read transaction is open")
    m:commit()
    assert.equal(2, m:seek("set", 2))
  end)

  it("has nothing to read once closed", function()
    local m = Memory.new "abc"
    m:write "w"
    m:close()
    m:close()
    assert.is_nil(m:read(1))
    assert.equal("w", m:string())
  end)

  it("refuses misuse, naming the argument", function()
    assert.has_error(function()
      Memory.new(1)
    end, "bad argument #1 to 'new' (string expected, got number)")
    assert.has_error(function()
      Memory.new():write("a", {})
    end, "bad argument #2 to 'write' (string expected, got table)")
  end)
end)
