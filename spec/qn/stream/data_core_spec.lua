if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local Data = require "qn.stream.data"
local core = require "qn.stream.data_core"
local pieces = require "spec.support.pieces"

describe("a length on the wire", function()
  it("has 32 bits, and 64 more from version 22 on", function()
    local old, new = Data.new(), Data.new(nil, { version = 22 })
    local little = Data.new(nil, { version = 22, byte_order = "little" })
    assert.equal("ff ff ff fd", pieces.hex(core.size(old, 0xFFFFFFFD)))
    assert.equal("ff ff ff fe 00 00 00 00 ff ff ff fe", pieces.hex(core.size(new, 0xFFFFFFFE)))
    assert.equal("fe ff ff ff 00 00 00 00 01 00 00 00", pieces.hex(core.size(little, 1 << 32)))
    assert.has_error(function()
      core.size(old, 0xFFFFFFFE)
    end, "a length of 4294967294 does not fit into version 12")
  end)

  it("reads back", function()
    for _, n in ipairs { 0, 5, 0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF, 1 << 40 } do
      local d = Data.new(core.size(Data.new(nil, { version = 22 }), n), { version = 22 })
      assert.equal(n, core.take_size(d))
    end
    assert.equal(-1, core.take_size(Data.new "\xFF\xFF\xFF\xFF"))
    assert.equal(0xFFFFFFFE, core.take_size(Data.new "\xFF\xFF\xFF\xFE"))
  end)
end)

describe("a value that is put together", function()
  it("is one write, however deep", function()
    local source = pieces.new {}
    local d = Data.new(source)
    assert.is_true(core.whole(d, function(self)
      core.put(self, "a")
      return core.whole(self, function(inner)
        core.put(inner, "b")
        return core.put(inner, "c")
      end)
    end))
    assert.equal("abc", source.written)
    assert.equal(1, source.writes)
  end)

  it("is dropped when a part of it throws or fails", function()
    local source = pieces.new {}
    local d = Data.new(source)
    assert.has_error(function()
      core.whole(d, function(self)
        core.put(self, "a")
        error "no"
      end)
    end)
    local ok, err = core.whole(d, function(self)
      core.put(self, "a")
      return nil, "why"
    end)
    assert.is_nil(ok)
    assert.equal("why", err)
    core.put(d, "b")
    assert.equal("b", source.written)
  end)
end)

describe("misuse", function()
  it("shows numbers and short strings", function()
    for _, case in ipairs {
      { 1.5, "got 1.5)" },
      { "abc", "got 'abc')" },
      { ("x"):rep(99), "xxx...')" },
      { nil, "got nil)" },
      { {}, "got table)" },
    } do
      local ok, message = pcall(core.bad_argument, 2, "f", "nothing", case[1])
      assert.is_false(ok)
      assert.truthy(message:find("bad argument #2 to 'f' (nothing expected, ", 1, true))
      assert.truthy(message:find(case[2], 1, true), message)
    end
  end)

  it("blames the caller of the method", function()
    local d = Data.new()
    local here = debug.getinfo(1, "l").currentline
    local _, message = pcall(function()
      d:write_int8(999)
    end)
    assert.truthy(message:find(("data_core_spec.lua:%d:"):format(here + 2), 1, true), message)
    _, message = pcall(function()
      d:write_list({}, "int9")
    end)
    assert.truthy(message:find(("data_core_spec.lua:%d:"):format(here + 6), 1, true), message)
    _, message = pcall(function()
      d:write_date { year = 1 }
    end)
    assert.truthy(message:find(("data_core_spec.lua:%d:"):format(here + 10), 1, true), message)
    _, message = pcall(function()
      d:write_float "x"
    end)
    assert.truthy(message:find(("data_core_spec.lua:%d:"):format(here + 14), 1, true), message)
  end)
end)
