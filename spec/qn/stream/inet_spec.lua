if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local inet = require "qn.stream.inet"
local pieces = require "spec.support.pieces"

describe("inet", function()
  local good = {
    { "127.0.0.1", "7f 00 00 01" },
    { "255.255.255.255", "ff ff ff ff" },
    { "0.0.0.0", "00 00 00 00" },
    { "::", "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00" },
    { "::1", "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01" },
    { "1::", "00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00" },
    { "2001:db8::8:800:200c:417a", "20 01 0d b8 00 00 00 00 00 08 08 00 20 0c 41 7a" },
    { "1:2:3:4:5:6:7:8", "00 01 00 02 00 03 00 04 00 05 00 06 00 07 00 08" },
    { "1:0:3:4:5:6:7:8", "00 01 00 00 00 03 00 04 00 05 00 06 00 07 00 08" },
    { "1:0:0:4::8", "00 01 00 00 00 00 00 04 00 00 00 00 00 00 00 08" },
    { "::ffff:1.2.3.4", "00 00 00 00 00 00 00 00 00 00 ff ff 01 02 03 04" },
  }
  for _, case in ipairs(good) do
    it("parses and prints " .. case[1], function()
      local bytes, scope = inet.parse(case[1])
      assert.equal(case[2], pieces.hex(bytes))
      assert.is_nil(scope)
      assert.equal(case[1], inet.format(bytes))
    end)
  end

  it("parses other spellings", function()
    for given, text in pairs {
      ["0:0:0:0:0:0:0:1"] = "::1",
      ["FE80::A"] = "fe80::a",
      ["::1.2.3.4"] = "::102:304",
      ["1:2:3:4:5:6:1.2.3.4"] = "1:2:3:4:5:6:102:304",
      ["1::2:0:0:0:0:3"] = "1:0:2::3",
    } do
      assert.equal(text, inet.format((inet.parse(given))))
    end
  end)

  it("keeps the scope", function()
    local bytes, scope = inet.parse "fe80::1%eth0"
    assert.equal("eth0", scope)
    assert.equal("fe80::1%eth0", inet.format(bytes, scope))
  end)

  for _, text in ipairs {
    "", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "a.b.c.d", ":", ":::",
    "::1::", "localhost", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "12345::",
    "g::", "1.2.3.4::", "::%", "1.2.3.4%eth0", ":1", "1:", ("1"):rep(200),
  } do
    it("refuses " .. text:sub(1, 40), function()
      assert.is_nil((inet.parse(text)))
    end)
  end
end)
