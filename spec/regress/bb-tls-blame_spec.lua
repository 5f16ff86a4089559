-- Misuse of functions that are Lua around C was told as that of a function inside the library ("bad argument
-- #1 to 'tcp_connect'"), at a line of the library.
local qn = require "qn"

describe("misuse", function()
  local function check(text, f)
    local ok, err = pcall(f)
    assert.is_false(ok)
    assert.matches("bb%-tls%-blame_spec%.lua:%d+: " .. text, err)
    assert.is_nil(err:find("qn/", 1, true))
  end

  it("of qn.tls is told in terms of the caller", function()
    check("bad argument #1 to 'connect' %(string", function() local _ = qn.tls.connect() end)
    check("bad argument #2 to 'connect' %(port", function() local _ = qn.tls.connect("h", 70000) end)
    check("connect: option 'timeout' must not be negative", function() local _ = qn.tls.connect("h", 1, { timeout = -1 }) end)
    check("connect: unknown option 'zork'", function() local _ = qn.tls.connect("h", 1, { tls = { zork = 1 } }) end)
    check("qn.tls.connect: unknown option 'zork'", function() local _ = qn.tls.connect("h", 1, { zork = 1 }) end)
    check("bad argument #1 to 'key'", function() local _ = qn.tls.key() end)
  end)

  it("of qn.crypto is told in terms of the caller", function()
    local c = qn.crypto
    check("bad argument #1 to 'random' %(", function() local _ = c.random(-1) end)
    check("bad argument #2 to 'random' %(unknown encoding", function() local _ = c.random(1, "x") end)
    check("bad argument #1 to 'digest' %(unknown digest 'sha257' %(did you mean 'sha256'", function()
      local _ = c.digest("sha257", "x")
    end)
    check("bad argument #1 to 'digest' %(unknown digest", function()
      local a, b = qn.pair()
      local _ <close> = a
      local _ <close> = b
      local _ = c.digest("sha257", a)
    end)
    check("bad argument #3 to 'digest' %(unknown encoding", function() local _ = c.digest("sha256", "x", "y") end)
    check("bad argument #3 to 'hmac' %(string", function() local _ = c.hmac("sha256", "x") end)
    check("bad argument #1 to 'hasher'", function() local _ = c.hasher("nope") end)
    check("bad argument #4 to 'pbkdf2'", function() local _ = c.pbkdf2("sha256", "a", "b", 0, 1) end)
    check("bad argument #1 to 'equal'", function() local _ = c.equal() end)
    check("scrypt: unknown option 'x'", function() local _ = c.scrypt("a", "b", { x = 1 }) end)
    check("bad argument #1 to 'to_hex'", function() local _ = c.to_hex() end)
    check("bad argument #1 to 'from_base64'", function() local _ = c.from_base64() end)
  end)
end)
