if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local core = require "qn.core"
local pieces = require "spec.support.pieces"

describe("a pulled stream", function()
  local function sources(data)
    return { whole = pieces.new { data }, bytes = pieces.bytes(data), halves = pieces.new {
      data:sub(1, #data // 2),
      data:sub(#data // 2 + 1),
    } }
  end

  it("reads counts, fewer only at the end", function()
    for name, s in pairs(sources "abcdef") do
      assert.equal("abcd", s:read(4), name)
      assert.equal("", s:read(0))
      assert.equal("ef", s:read(4))
      assert.is_nil(s:read(4))
      assert.is_nil(s:read(0))
    end
  end)

  it("reads lines as io does", function()
    for name, s in pairs(sources "one\ntwo\r\n\nlast") do
      assert.equal("one", s:read "l", name)
      assert.equal("two\r\n", s:read "L")
      assert.equal("", s:read "l")
      assert.equal("last", s:read "L")
      assert.is_nil(s:read "l")
    end
  end)

  it("reads the rest, which is never nil", function()
    for _, s in pairs(sources "abc") do
      assert.equal("abc", s:read "a")
      assert.equal("", s:read "a")
    end
  end)

  it("leaves a line that is too long", function()
    for _, s in pairs(sources(("x"):rep(9) .. "\n")) do
      local line, err = s:read("l", { max = 8 })
      assert.is_nil(line)
      assert.is_true(core.is_error(err, "limit"))
      assert.equal(("x"):rep(9), s:read("l", { max = 9 }))
    end
  end)

  it("leaves a rest that is too large", function()
    for _, s in pairs(sources "abcdef") do
      local data, err = s:read("a", { max = 5 })
      assert.is_nil(data)
      assert.equal("limit", err.kind)
      assert.equal("abcdef", s:read("a", { max = 6 }))
    end
  end)

  it("reads exactly, or says what was there", function()
    for _, s in pairs(sources "abcdef") do
      assert.equal("", s:read_exactly(0))
      assert.equal("abcd", s:read_exactly(4))
      local data, err = s:read_exactly(3)
      assert.is_nil(data)
      assert.equal("eof", err.kind)
      assert.equal("ef", err.partial)
      data, err = s:read_exactly(1)
      assert.is_nil(data)
      assert.is_nil(err)
    end
  end)

  it("receives what is there", function()
    local s = pieces.new { "abc", "de" }
    assert.equal("ab", s:recv(2))
    assert.equal("c", s:recv())
    assert.equal("de", s:recv())
    assert.is_nil(s:recv())
  end)

  it("peeks, skips and takes back", function()
    for _, s in pairs(sources "abcdef") do
      assert.equal("abc", s:peek(3))
      assert.equal("abcdef", s:peek(9))
      assert.equal(2, s:skip(2))
      s:unread "xb"
      assert.equal("xbcd", s:read(4))
      assert.is_false(s:at_end())
      assert.equal(2, s:skip(5))
      assert.is_true(s:at_end())
      assert.is_nil(s:peek(1))
      s:unread "z"
      assert.equal("z", s:read(5))
    end
  end)

  it("gives an error and loses nothing", function()
    local calls = {
      { "read", 4 },
      { "read", "l" },
      { "read", "a" },
      { "read_exactly", 4 },
      { "peek", 4 },
    }
    for _, call in ipairs(calls) do
      local timeout = core.error("timeout", "too late")
      local s = pieces.new { "ab", timeout, "cd" }
      local data, err = s[call[1]](s, call[2])
      assert.is_nil(data)
      assert.equal(timeout, err)
      assert.equal("abcd", s:read_exactly(4), call[1])
    end
    local reset = core.error("reset", "gone")
    local s = pieces.new { reset, reset }
    assert.equal(reset, select(2, s:recv()))
    assert.equal(reset, select(2, s:skip(1)))
  end)

  it("rolls a transaction back at every position", function()
    for position = 0, 6 do
      for name, s in pairs(sources "abcdef") do
        s:begin()
        assert.equal(position > 0 and ("abcdef"):sub(1, position) or "", s:read(position), name)
        s:rollback()
        assert.equal("abcdef", s:read(6))
      end
    end
  end)

  it("keeps what a transaction took once it is committed", function()
    for _, s in pairs(sources "abcdef") do
      s:begin()
      s:read(3)
      s:commit()
      assert.equal("def", s:read(9))
    end
  end)

  it("counts bytes given back inside of a transaction once", function()
    for _, s in pairs(sources "one\ntwo\nthree") do
      s:begin()
      assert.equal("one", s:read "l")
      assert.equal("tw", s:read(2))
      s:unread "w"
      assert.equal("wo", s:read "l")
      s:unread "ne\ntwo\n"
      assert.equal("ne", s:read "l")
      s:rollback()
      assert.equal("one\ntwo\nthree", s:read "a")
    end
  end)

  it("refuses misuse", function()
    local s = pieces.new {}
    for _, f in ipairs {
      function() s:read "x" end,
      function() s:read(-1) end,
      function() s:read(1.5) end,
      function() s:read_exactly "4" end,
      function() s:peek() end,
      function() s:skip {} end,
      function() s:recv(-1) end,
      function() s:unread(1) end,
      function() s:commit() end,
      function() s:rollback() end,
      function() s:begin() s:begin() end,
    } do
      assert.has_error(f)
    end
  end)
end)
