if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local Data = require "qn.stream.data"
local core = require "qn.core"
local pieces = require "spec.support.pieces"
local wire = require "spec.support.wire"

local function read_point(d)
  local x = d:read_int8()
  local y, err = d:read_int8()
  return y and { x, y }, err
end

local function write_point(d, p)
  d:write_int8(p[1])
  return d:write_int8(p[2])
end

local CASES <const> = {
  { what = "list", value = {}, args = { "int32" }, hex = "00 00 00 00" },
  { what = "list", value = { 1, -1 }, args = { "int16" }, hex = "00 00 00 02 00 01 ff ff" },
  { what = "list", value = { 1 }, args = { "int16" }, hex = "01 00 00 00 01 00",
    opts = { byte_order = "little" } },
  { what = "list", value = { "a", "" }, args = { "string" },
    hex = "00 00 00 02 00 00 00 02 00 61 00 00 00 00" },
  { what = "list", value = { Data.null, "a" }, args = { "bytes" },
    hex = "00 00 00 02 ff ff ff ff 00 00 00 01 61" },
  { what = "set", value = { [3] = true, [1] = true }, args = { "uint8" },
    hex = "00 00 00 02 01 03" },
  { what = "map", value = { a = 1, b = 2 }, args = { "bytes", "uint8" },
    hex = "00 00 00 02 00 00 00 01 62 02 00 00 00 01 61 01" },
  { what = "map", value = { a = 1, b = 2 }, args = { "bytes", "uint8" },
    hex = "00 00 00 02 00 00 00 01 61 01 00 00 00 01 62 02", opts = { version = "6.0" } },
  { what = "map", value = { [-1] = true, [5] = false }, args = { "int8", "bool" },
    hex = "00 00 00 02 05 00 ff 01" },
  { what = "map", value = {}, args = { "string", "string" }, hex = "00 00 00 00" },
  { what = "pair", value = { 7, "x" }, args = { "uint8", "bytes" }, hex = "07 00 00 00 01 78" },
  { what = "pair", value = { Data.null, Data.null }, args = { "string", "bytes" },
    hex = "ff ff ff ff ff ff ff ff" },
}

describe("the wire format of", function()
  for i, case in ipairs(CASES) do
    it(("%s, case %d"):format(case.what, i), function()
      wire.check(assert, case)
    end)
  end

  it("containers in containers", function()
    wire.check(assert, {
      what = "map",
      value = { k = { { 1, 2 }, { 3, 4 } } },
      hex = "00 00 00 01 00 00 00 01 6b 00 00 00 02 01 02 03 04",
      args = { "bytes", function(d, v)
        if v then
          return d:write_list(v, write_point)
        end
        return d:read_list(read_point)
      end },
    })
  end)
end)

describe("writing a container", function()
  it("counts list.n when it is there", function()
    local d = Data.new()
    d:write_list({ "a", nil, "b", n = 3 }, "bytes")
    assert.equal("00 00 00 03 00 00 00 01 61 ff ff ff ff 00 00 00 01 62", pieces.hex(d:string()))
  end)

  it("leaves out the members of a set that are false", function()
    local d = Data.new()
    d:write_set({ [1] = true, [2] = false, [3] = 0 }, "uint8")
    assert.equal("00 00 00 02 01 03", pieces.hex(d:string()))
  end)

  it("writes all of it or nothing", function()
    local source = pieces.new {}
    local d = Data.new(source)
    assert.has_error(function()
      d:write_list({ 1, 2, "x" }, "int32")
    end)
    assert.has_error(function()
      d:write_map({ a = { 1, "x" } }, "string", function(out, v)
        return out:write_list(v, "int8")
      end)
    end)
    local bad = core.error("protocol", "not today")
    local function refuse()
      return nil, bad
    end
    for _, write in ipairs {
      function() return d:write_pair({ 1, 2 }, "int8", refuse) end,
      function() return d:write_pair({ 1, 2 }, refuse, "int8") end,
      function() return d:write_list({ 1, 2 }, refuse) end,
      function() return d:write_map({ a = 1 }, "string", refuse) end,
      function() return d:write_map({ a = 1 }, refuse, "int8") end,
    } do
      local ok, err = write()
      assert.is_nil(ok)
      assert.equal(bad, err)
    end
    assert.is_nil(source.writes)
    assert.equal("ok", d:status())
    assert.is_true(d:write_int8(1))
    assert.equal("\1", source.written)
  end)

  it("sorts keys of any type, the same way each time", function()
    local function named(name)
      return setmetatable({}, {
        __tostring = function()
          return name
        end,
      })
    end
    local b, a = named "b", named "a"
    local order = {}
    local set = { [b] = 1, x = 1, [2] = 1, [a] = 1, [1] = 1 }
    assert.is_true(Data.new():write_set(set, function(_, k)
      order[#order + 1] = k
    end))
    assert.same({ 1, 2, "x", a, b }, order)
  end)

  it("does not mind a writer that returns nothing", function()
    local d = Data.new()
    assert.is_true(d:write_list({ 1, 2 }, function(out, v)
      out:write_int8(v)
    end))
    assert.equal("00 00 00 02 01 02", pieces.hex(d:string()))
  end)
end)

describe("reading a container", function()
  it("passes on the error of a reader, and stops", function()
    local bad = core.error("protocol", "no point")
    local d = Data.new "\0\0\0\2abcd"
    local list, err = d:read_list(function()
      return nil, bad
    end)
    assert.is_nil(list)
    assert.equal(bad, err)
    assert.equal("read_corrupt_data", d:status())
    assert.equal(bad, select(2, d:read_uint8()))
  end)

  it("takes a reader that gives nothing as null", function()
    local d = Data.new "\0\0\0\2"
    assert.same({ Data.null, Data.null }, d:read_list(function() end))
  end)

  it("keeps the last of equal keys, and all of them as pairs", function()
    local bytes = "\0\0\0\2\1\5\1\6"
    assert.same({ 6 }, Data.new(bytes):read_map("int8", "int8"))
    assert.same({ { 1, 5 }, { 1, 6 } }, Data.new(bytes):read_list(function(d)
      return d:read_pair("int8", "int8")
    end))
  end)

  it("refuses NaN as a key", function()
    local nan = pieces.unhex "00 00 00 01 7f f8 00 00 00 00 00 00 01"
    for _, read in ipairs {
      function(d) return d:read_map("double", "int8") end,
      function(d) return d:read_set "double" end,
    } do
      local d = Data.new(nan)
      local v, err = read(d)
      assert.is_nil(v)
      assert.equal("protocol", err.kind)
      assert.equal("read_corrupt_data", d:status())
    end
  end)

  it("may time out before its first byte without harm", function()
    local timeout = core.error("timeout", "too late")
    local d = Data.new(pieces.new { timeout, "\7\8" })
    local pair, err = d:read_pair("int8", "int8")
    assert.is_nil(pair)
    assert.equal(timeout, err)
    assert.equal("ok", d:status())
    assert.same({ 7, 8 }, d:read_pair("int8", "int8"))
  end)

  it("is cut short by a reader that throws", function()
    local d = Data.new("\0\0\0\1abc", { max_bytes = 3 })
    local ok, thrown = pcall(d.read_list, d, function(s)
      s:read_uint8()
      error({ "stop" })
    end)
    assert.is_false(ok)
    assert.equal("read_past_end", d:status())
    assert.equal("eof", d:error().kind)
    assert.equal(thrown, d:error().cause)
    assert.equal(d:error(), select(2, d:read_uint8()))
    d:reset_status()
    assert.equal("bc", d:read_exactly(2))
    local v, err = d:read_uint8()
    assert.is_nil(v)
    assert.is_nil(err)
  end)
end)

describe("a hostile container", function()
  it("cannot announce more than max_items", function()
    for _, read in ipairs {
      function(d) return d:read_list "int8" end,
      function(d) return d:read_set "int8" end,
      function(d) return d:read_map("int8", "int8") end,
    } do
      for _, count in ipairs { "\0\x10\0\1", "\xFF\xFF\xFF\xFE", "\xFF\xFF\xFF\xFF" } do
        local d = Data.new(count .. "abc")
        local v, err = read(d)
        assert.is_nil(v)
        assert.equal("limit", err.kind)
        assert.truthy(tostring(err):find("max_items=1048576", 1, true))
        assert.equal("abc", d:stream():read "a")
      end
      local d = Data.new("\0\0\0\3abc", { max_items = 2 })
      assert.equal("limit", select(2, read(d)).kind)
    end
  end)

  it("costs nothing for items that do not come", function()
    local d = Data.new "\0\x10\0\0abc"
    collectgarbage()
    local before = collectgarbage "count"
    local v, err = d:read_list "int8"
    assert.is_nil(v)
    assert.equal("eof", err.kind)
    assert.is_true(collectgarbage "count" - before < 1024)
  end)

  it("cannot be larger in all than max_bytes", function()
    local item = "\0\0\0\8" .. ("x"):rep(8)
    local d = Data.new("\0\0\0\4" .. item:rep(4), { max_bytes = 40 })
    local v, err = d:read_list "bytes"
    assert.is_nil(v)
    assert.equal("limit", err.kind)
    d = Data.new("\0\0\0\3" .. item:rep(3) .. item:rep(3), { max_bytes = 40 })
    assert.equal(3, #d:read_list "bytes")
    assert.equal(("x"):rep(8), d:read_bytes())
  end)

  it("in a container shares its bound", function()
    local inner = "\0\0\0\4abcd"
    local d = Data.new("\0\0\0\3" .. inner:rep(3), { max_bytes = 20 })
    local v, err = d:read_list(function(s)
      return s:read_list "int8"
    end)
    assert.is_nil(v)
    assert.equal("limit", err.kind)
  end)
end)

describe("a container's misuse", function()
  it("names the argument", function()
    local d = Data.new()
    for _, case in ipairs {
      { "read_list", "#1 to 'read_list' (function or name of a type expected, got nil)" },
      { "read_list", "'int31'", "int31", hint = "(did you mean 'int32'?)" },
      { "read_list", "'exactly'", "exactly" },
      { "read_map", "#2 to 'read_map'", "int8", "strin", hint = "(did you mean 'string'?)" },
      { "read_pair", "#1 to 'read_pair'", 7, "int8" },
      { "read_set", "#1 to 'read_set'", {} },
      { "write_list", "#1 to 'write_list' (table expected, got 'x')", "x", "int8" },
      { "write_list", "#2 to 'write_list'", {}, "int9" },
      { "write_set", "#1 to 'write_set'", nil, "int8" },
      { "write_map", "#3 to 'write_map'", {}, "int8" },
      { "write_pair", "#3 to 'write_pair'", { 1, 2 }, "int8", true },
    } do
      local ok, message = pcall(d[case[1]], d, case[3], case[4], case[5])
      assert.is_false(ok)
      assert.truthy(message:find("bad argument ", 1, true), message)
      assert.truthy(message:find(case[2], 1, true), message)
      assert.truthy(message:find(case.hint or "", 1, true), message)
    end
    assert.equal("", d:string())
  end)
end)
