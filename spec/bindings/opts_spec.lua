-- Options tables and common arguments of the C bindings.
-- covers: bindings/opts.c
local qn = require "qn"

describe("options of a C binding", function()
  local a, b
  before_each(function() a, b = qn.pair() end)
  after_each(function()
    a:close()
    b:close()
    a, b = nil, nil
  end)

  it("name an unknown key, and the nearest known one", function()
    assert.error_matches(function() b:read(1, { timout = 1 }) end, "unknown option 'timout' %(did you mean 'timeout'%?%)")
    assert.error_matches(function() b:read(1, { zzzzzz = 1 }) end, "unknown option 'zzzzzz'")
    assert.error_matches(function() b:read(1, { [("x"):rep(300)] = 1 }) end, "unknown option")
  end)

  it("have string keys only", function()
    assert.error_matches(function() b:read(1, { 5 }) end, "option names are strings")
    assert.error_matches(function() b:read(1, { [print] = 1 }) end, "option names are strings")
  end)

  it("have types, and say so", function()
    assert.error_matches(function() b:read(1, { timeout = "x" }) end, "timeout.-seconds or false %(got string%)")
    assert.error_matches(function() b:read(1, { timeout = true }) end, "timeout.-seconds or false")
    assert.error_matches(function() b:read(1, { max = 1.5 }) end, "max.-integer")
    assert.error_matches(function() b:read(1, { max = 0 }) end, "max.-%(got 0%)")
    assert.error_matches(function() b:read_until("x", { include = 1 }) end, "include.-boolean")
  end)

  it("refuse durations that make no sense", function()
    for _, bad in ipairs { -1, -0.001, 0 / 0, math.huge, 1e18 } do
      assert.error_matches(function() b:read(1, { timeout = bad }) end, "timeout")
    end
  end)

  it("are not changed, and nothing has begun after an error", function()
    local opts = setmetatable({ timeout = 0.001 }, { __newindex = error })
    local value, err = b:read(1, opts)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.same({ timeout = 0.001 }, setmetatable(opts, nil))
    local ops = qn.stats().ops
    assert.is_false((pcall(b.read, b, 1, { timeout = -1 })))
    assert.equal(ops, qn.stats().ops)
  end)

  it("false switches a limit off, nil leaves the default", function()
    a:write("x")
    assert.equal("x", b:read(1, { timeout = false }))
    a:write("y")
    assert.equal("y", b:read(1, { timeout = nil }))
  end)
end)

describe("arguments", function()
  it("a port is an integer from 0 to 65535", function()
    for _, bad in ipairs { -1, 65536, 1.5, "x", {}, 1e10 } do
      assert.error(function() qn.tcp.connect("127.0.0.1", bad) end)
      assert.error(function() qn.tcp.listen("127.0.0.1", bad) end)
    end
  end)

  it("a host holds no blanks, zeros or control characters", function()
    for _, bad in ipairs { "a b", "a\0b", "a\nb", "a\127b", "\t" } do
      assert.error_matches(function() qn.tcp.connect(bad, 1) end, "blanks or control characters")
    end
    assert.error(function() qn.tcp.connect(nil, 1) end)
    assert.error(function() qn.tcp.connect({}, 1) end)
  end)
end)
