local options = require "qn.options"

local descriptor = {
  timeout = { type = "number|false", min = 0 },
  backlog = { type = "integer", min = 1, max = 1024 },
  mode = { type = "string", enum = { "strict", "tolerant" } },
  keep_alive = { type = "boolean" },
  handler = { type = "function" },
  extra = { type = "any" },
  free = {},
  grace = { type = "seconds" },
  on_error = { type = "enum", values = { "cancel", "collect" } },
  word = {
    type = "string",
    check = function(v)
      return #v == 1, "one character"
    end,
  },
}

local function open(opts)
  opts = options.check(opts, descriptor, "qn.thing.open")
  return opts
end

describe("options.check accepts", function()
  local cases = {
    { "nothing", nil },
    { "an empty table", {} },
    { "zero", { timeout = 0 } },
    { "a float", { timeout = 0.25 } },
    { "false where false is allowed", { timeout = false } },
    { "an integer", { backlog = 5 } },
    { "a float that is an integer", { backlog = 5.0 } },
    { "the ends of a range", { backlog = 1024 } },
    { "a listed word", { mode = "strict" } },
    { "a boolean", { keep_alive = false } },
    { "a function", { handler = print } },
    { "anything", { extra = {} } },
    { "anything without a type", { free = print } },
    { "seconds", { grace = 0 } },
    { "no limit of seconds", { grace = false } },
    { "one of the values", { on_error = "collect" } },
    { "what its own test accepts", { word = "x" } },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local got = open(case[2])
      assert.equal("table", type(got))
      if case[2] then
        assert.equal(case[2], got)
      end
    end)
  end
end)

describe("options.check refuses", function()
  local cases = {
    { "a string for the table", "x", "options must be a table, got string" },
    { "a misspelt key", { timeot = 1 }, "unknown option 'timeot' (did you mean 'timeout'?)" },
    { "swapped letters", { tiemout = 1 }, "unknown option 'tiemout' (did you mean 'timeout'?)" },
    { "camel case", { keepAlive = true }, "'keepAlive' (did you mean 'keep_alive'?)" },
    { "a dash", { ["keep-alive"] = true }, "(did you mean 'keep_alive'?)" },
    { "a key that nothing resembles", { zzzzzzzz = 1 }, "unknown option 'zzzzzzzz'" },
    { "a list item", { "x" }, "unknown option [1]" },
    { "a wrong type", { timeout = "1" }, "option 'timeout' must be number or false, got string" },
    { "true where only false is allowed", { timeout = true }, "number or false, got boolean" },
    { "a negative number", { timeout = -1 }, "option 'timeout' must be at least 0, got -1" },
    { "negative seconds", { grace = -1 }, "must be seconds (a number from 0) or false, got -1" },
    { "true for seconds", { grace = true }, "must be seconds (a number from 0) or false" },
    { "NaN seconds", { grace = 0 / 0 }, "option 'grace' must not be NaN" },
    { "none of the values", { on_error = "cancle" }, "(did you mean 'cancel'?)" },
    { "NaN", { timeout = 0 / 0 }, "option 'timeout' must not be NaN" },
    { "a fraction for an integer", { backlog = 1.5 }, "'backlog' must be integer, got 1.5" },
    { "infinity for an integer", { backlog = math.huge }, "option 'backlog' must be integer" },
    { "too much", { backlog = 1025 }, "option 'backlog' must be from 1 to 1024, got 1025" },
    { "an unlisted word", { mode = "other" }, "must be one of 'strict', 'tolerant', got 'other'" },
    { "a nearly listed word", { mode = "strct" }, "got 'strct' (did you mean 'strict'?)" },
    { "a table for a flag", { keep_alive = {} }, "option 'keep_alive' must be boolean, got table" },
    { "what its own test refuses", { word = "xy" }, "must be one character, got 'xy'" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local ok, message = pcall(open, case[2])
      assert.is_false(ok)
      assert.truthy(message:find("qn.thing.open: ", 1, true), message)
      assert.truthy(message:find(case[3], 1, true), message)
    end)
  end

  it("a missing required option", function()
    local rules = { path = { type = "string", required = true } }
    local ok, message = pcall(options.check, {}, rules, "f")
    assert.is_false(ok)
    assert.truthy(message:find("option 'path' is missing", 1, true))
    assert.has_error(function()
      options.check(nil, rules, "f")
    end)
    assert.has_no_error(function()
      options.check({ path = "/" }, rules, "f")
    end)
  end)

  it("a wrong key without a hint when the key is huge", function()
    local ok, message = pcall(open, { [("timeout"):rep(100)] = 1 })
    assert.is_false(ok)
    assert.falsy(message:find("did you mean", 1, true))
    assert.is_true(#message < 200)
  end)
end)

describe("options.check blames", function()
  local function line_of(f)
    local _, message = pcall(f)
    return tonumber(message:match("options_spec%.lua:(%d+):"))
  end

  it("the caller of the function that checks", function()
    local here = debug.getinfo(1, "l").currentline
    assert.equal(here + 2, line_of(function()
      open { timeot = 1 }
    end))
  end)

  it("further up when told", function()
    local function inner(opts)
      options.check(opts, descriptor, "f", 4)
    end
    local function outer(opts)
      inner(opts)
      return true
    end
    local here = debug.getinfo(1, "l").currentline
    assert.equal(here + 2, line_of(function()
      outer { timeot = 1 }
    end))
  end)
end)

describe("options", function()
  it("gives an empty table that cannot be changed", function()
    local got = open(nil)
    assert.is_nil(next(got))
    assert.has_error(function()
      got.x = 1
    end)
  end)

  it("measures edits", function()
    for _, case in ipairs {
      { "", "", 0 },
      { "", "abc", 3 },
      { "abc", "", 3 },
      { "kitten", "sitting", 3 },
      { "ab", "ba", 1 },
      { "same", "same", 0 },
    } do
      assert.equal(case[3], options.distance(case[1], case[2]))
    end
  end)

  it("finds the nearest word, the same one each time", function()
    assert.equal("beta", options.nearest("bet", { "alpha", "beta" }))
    assert.is_nil(options.nearest("gamma", { "alpha", "beta" }))
    assert.is_nil(options.nearest(7, { "alpha" }))
  end)
end)
