if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local Data = require "qn.stream.data"
local pieces = require "spec.support.pieces"
local wire = require "spec.support.wire"

local V6 <const> = "01 fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 01"

local CASES <const> = {
  { what = "url", value = "http://h/", hex = "00 00 00 09 68 74 74 70 3a 2f 2f 68 2f" },
  { what = "url", value = Data.null, hex = "ff ff ff ff" },
  { what = "url", value = Data.null, hex = "00 00 00 00", write = false },
  { what = "host_address", value = "192.0.2.1", hex = "00 c0 00 02 01" },
  { what = "host_address", value = "192.0.2.1", hex = "00 01 02 00 c0",
    opts = { byte_order = "little" } },
  { what = "host_address", value = "fe80::1", hex = V6 .. "ff ff ff ff" },
  { what = "host_address", value = "fe80::1", hex = V6 .. "00 00 00 00", write = false },
  { what = "host_address", value = "fe80::1%eth0",
    hex = V6 .. "00 00 00 08 00 65 00 74 00 68 00 30" },
  { what = "host_address", value = "fe80::1%1", hex = V6 .. "02 00 00 00 31 00",
    opts = { byte_order = "little" } },
  { what = "host_address", value = Data.null, hex = "ff" },
  { what = "host_address", value = "any", hex = "02", opts = { version = "5.0" } },
  { what = "host_address", value = "any", hex = "00 00 00 00 00", read = false },
  {
    what = "cache_metadata",
    value = {
      url = "http://h/",
      expiration_date = Data.null,
      last_modified = Data.null,
      save_to_disk = false,
      attributes = {},
      raw_headers = { { "A", "b" }, { "A", "" } },
    },
    opts = { null = Data.null },
    hex = [[00 00 00 09 68 74 74 70 3a 2f 2f 68 2f
      00 00 00 00 ff ff ff ff ff 00 00 00 00 ff ff ff ff ff
      00 00 00 00 00 00 00 00 02 00 00 00 01 41 00 00 00 01 62 00 00 00 01 41 00 00 00 00]],
  },
}

describe("the wire format of", function()
  for i, case in ipairs(CASES) do
    it(("%s, case %d"):format(case.what, i), function()
      wire.check(assert, case)
    end)
  end
end)

describe("a URL", function()
  it("is percent-encoded where it must be", function()
    local d = Data.new()
    d:write_url "http://h/ä b?q=<\"|\0%41>#f"
    assert.equal("http://h/%C3%A4%20b?q=%3C%22%7C%00%41%3E#f", Data.new(d:string()):read_url())
  end)

  it("may be a value that prints as one", function()
    local value = setmetatable({}, {
      __tostring = function()
        return "ftp://h/"
      end,
    })
    local d = Data.new()
    d:write_url(value)
    assert.equal("ftp://h/", Data.new(d:string()):read_url())
    assert.has_error(function()
      d:write_url {}
    end, "bad argument #1 to 'write_url' (URL or nil expected, got table)")
  end)
end)

describe("an address", function()
  it("of another family is corrupt data", function()
    for _, family in ipairs { "\3", "\x80", "\xFE" } do
      local d = Data.new(family .. "abcdef")
      local v, err = d:read_host_address()
      assert.is_nil(v)
      assert.equal("protocol", err.kind)
      assert.equal("read_corrupt_data", d:status())
    end
  end)

  it("has a scope within the limits", function()
    local d = Data.new("\1" .. ("\0"):rep(16) .. "\x7F\0\0\0")
    assert.equal("limit", select(2, d:read_host_address()).kind)
  end)

  it("may be a value that prints as one", function()
    local value = setmetatable({}, {
      __tostring = function()
        return "::1"
      end,
    })
    local d = Data.new()
    d:write_host_address(value)
    assert.equal("::1", Data.new(d:string()):read_host_address())
  end)

  it("must be a literal", function()
    local d = Data.new()
    for _, bad in ipairs { "localhost", "1.2.3", "", 7, {}, "::1%\xFF" } do
      local ok, message = pcall(d.write_host_address, d, bad)
      assert.is_false(ok)
      assert.truthy(message:find("bad argument #1 to 'write_host_address'", 1, true), message)
    end
    assert.equal("", d:string())
  end)
end)

describe("cache metadata", function()
  it("keeps attributes with their types", function()
    local d = Data.new()
    d:write_cache_metadata {
      url = "http://h/",
      last_modified = { year = 2010, month = 6, day = 8, hour = 1, spec = "utc" },
      attributes = { [0] = 200, [1] = Data.variant("bytes", "OK"), [20] = true },
    }
    local m = Data.new(d:string()):read_cache_metadata()
    assert.equal("http://h/", m.url)
    assert.equal(1, m.last_modified.hour)
    assert.is_nil(m.expiration_date)
    assert.is_true(m.save_to_disk)
    assert.same({}, m.raw_headers)
    assert.equal(200, m.attributes[0].value)
    assert.equal("bytes", m.attributes[1].type)
    assert.equal("OK", m.attributes[1].value)
    assert.is_true(m.attributes[20].value)
  end)

  it("is written whole or not at all", function()
    local d = Data.new()
    assert.has_error(function()
      d:write_cache_metadata { url = "x", raw_headers = { { "A", 7 } } }
    end)
    assert.has_error(function()
      d:write_cache_metadata "x"
    end, "bad argument #1 to 'write_cache_metadata' (table expected, got 'x')")
    assert.equal("", d:string())
  end)

  it("may time out before its first byte without harm", function()
    local timeout = require("qn.core").error("timeout", "too late")
    local d = Data.new(pieces.new { timeout })
    local m, err = d:read_cache_metadata()
    assert.is_nil(m)
    assert.equal(timeout, err)
    assert.equal("ok", d:status())
  end)
end)
