-- The annotation reader: types end where LuaLS ends them, tags land in the right place.

local annotations = require("scripts.annotations")

local TYPES <const> = {
  { "string the rest", "string" },
  { "string? the rest", "string?" },
  { "string[] the rest", "string[]" },
  { "string|integer the rest", "string|integer" },
  { "string | nil the rest", "string | nil" },
  { '"a"|"b c" the rest', '"a"|"b c"' },
  { "table<string, integer> the rest", "table<string, integer>" },
  { "{ a: integer, b?: string }[] the rest", "{ a: integer, b?: string }[]" },
  { "(string|integer)[] the rest", "(string|integer)[]" },
  { "fun(a: string, b?: integer) the rest", "fun(a: string, b?: integer)" },
  { "fun(a: string): boolean, string? the rest", "fun(a: string): boolean, string?" },
  { "async fun(s: qn.Stream): true?, qn.Error? the rest",
    "async fun(s: qn.Stream): true?, qn.Error?" },
  { "fun()|nil the rest", "fun()|nil" },
  { "qn.tcp.Options the rest", "qn.tcp.Options" },
}

describe("annotations", function()
  for _, case in ipairs(TYPES) do
    it("finds the end of " .. case[2], function()
      assert.equal(case[2], case[1]:sub(1, annotations.type_end(case[1], 1) - 1))
    end)
  end

  it("reads a function", function()
    local items, problems = annotations.read([[
---Reads bytes.
---
---As many as there are.
---@async
---@nodiscard
---@param n integer how many
---@param opts? qn.ReadOptions # what else
---  and more of it
---@return string? data the bytes
---@return qn.Error? # why not
---@overload fun(n: integer): string?
---@see qn.Stream
function Stream:read(n, opts) end]])
    assert.same({}, problems)
    assert.equal(1, #items)
    local doc, what = items[1].doc, items[1].definition
    assert.same({ kind = "function", receiver = "Stream", method = true, name = "read",
      params = "n, opts" }, what)
    assert.same({ "Reads bytes.", "", "As many as there are." }, doc.text)
    assert.is_true(doc.async)
    assert.is_true(doc.nodiscard)
    assert.same({
      { name = "n", optional = false, type = "integer", text = "how many" },
      { name = "opts", optional = true, type = "qn.ReadOptions",
        text = "what else and more of it" },
    }, doc.params)
    assert.same({
      { type = "string?", name = "data", text = "the bytes" },
      { type = "qn.Error?", text = "why not" },
    }, doc.returns)
    assert.same({ "fun(n: integer): string?" }, doc.overloads)
    assert.same({ "qn.Stream" }, doc.see)
  end)

  it("reads classes, fields and aliases", function()
    local items = annotations.read([[
---A socket.
---@class (exact) qn.Socket: qn.Stream, qn.Emitter
---@field port integer the port
---@field private hidden integer
---@field [string] any
local Socket = {}

---@alias qn.Mode "a"|"b" how

---@alias qn.Kind
---| "timeout" # took too long
---| "eof"]])
    local class = items[1]
    assert.equal("qn.Socket", class.doc.class)
    assert.same({ "qn.Stream", "qn.Emitter" }, class.doc.bases)
    assert.same({ kind = "table", name = "Socket" }, class.definition)
    assert.same({ "port", "[string]" }, { class.doc.fields[1].name, class.doc.fields[2].name })
    assert.equal(2, #class.doc.fields)
    assert.equal('"a"|"b"', items[2].doc.type)
    assert.same({ { value = '"timeout"', text = "took too long" }, { value = '"eof"' } },
      items[3].doc.values)
  end)

  it("knows every form of a definition", function()
    local items = annotations.read([[
function M.a(x) end
function M.B:c(...) end
M.d = function(y) end
M.e = 1
local function f() end]])
    local names = {}
    for i, item in ipairs(items) do names[i] = item.definition.name end
    assert.same({ "a", "c", "d" }, names)
    assert.equal("M.B", items[2].definition.receiver)
  end)

  it("reports what it cannot read", function()
    local _, problems = annotations.read("\n---@frobnicate x\n---@param\nfunction M.a() end")
    assert.same({
      { line = 2, text = "unknown annotation @frobnicate" },
      { line = 2, text = "cannot read @param " },
    }, problems)
  end)
end)
