-- Queries as objects: what is kept as it was, what is refused.

local qn = require "qn"

local query = qn.url.query

describe("qn.UrlQuery", function()
  it("keeps what nobody touches", function()
    local text = "a=%31&b&c==&%zz=+&a=2"
    assert.equal(text, tostring(query(text)))
    assert.equal(text .. "&d=e", tostring(query(text):add("d", "e")))
    assert.equal("a=%31&b&c==&%zz=+", tostring(query(text):remove_all("a"):add("a", "1"))
      :gsub("^", "a=%%31&"):gsub("&a=1$", ""))
    assert.equal("", tostring(query("&&")))
  end)

  it("is made of text, lists, names, other queries", function()
    assert.equal("a=1&b&c=", tostring(query { { "a", 1 }, { "b" }, { "c", "" } }))
    assert.equal("a=1&b=2&b=3&c", tostring(query { b = { 2, 3 }, a = 1, c = true, d = false }))
    assert.equal("a=1", tostring(query(query "a=1")))
    assert.equal("b=%20&a=", tostring(query(query("b=%20&a"):items())))
    assert.equal("b(%20;a", tostring(query(query("b=%20&a"), { value_delimiter = "(", pair_delimiter = ";" })))
    assert.equal(0, #query())
  end)

  it("reads by name, in order", function()
    local q = query "a=1&b=%26&a=2&c"
    assert.equal("1", q:get "a")
    assert.same({ "1", "2" }, q:get_all "a")
    assert.is_nil(q:get "z")
    assert.same({}, q:get_all "z")
    assert.is_true(q:has "c")
    local seen = {}
    for name, value in q:each() do
      seen[#seen + 1] = name .. "=" .. value
    end
    assert.same({ "a=1", "b=&", "a=2", "c=" }, seen)
    assert.same({ "c", "" }, q:items()[4])
  end)

  it("sets in place, removes one or all", function()
    assert.equal("x&a=9&y", tostring(query("x&a=1&y&a=2"):set("a", 9)))
    assert.equal("x&a=9", tostring(query("x"):set("a", 9)))
    assert.equal("x&a=2", tostring(query("a=1&x&a=2"):remove "a"))
    assert.equal("x", tostring(query("a=1&x&a=2"):remove_all "a"))
    assert.equal("", tostring(query("a=1"):remove_all()))
    assert.equal("a=1&a=2", tostring(query():add("a", { 1, 2 })))
  end)

  it("encodes so that nothing is mistaken for a delimiter", function()
    assert.equal("a%26%3D%2B%23%25=/?:%C3%BC", tostring(query { { "a&=+#%", "/?:ü" } }))
    assert.equal("a%3B(b%28=", tostring(query({ { "a;", "b(=" } },
      { value_delimiter = "(", pair_delimiter = ";" })):gsub("%%3D", "="))
    local forms = query({ { "a b", "c+~*" } }, { form = true })
    assert.equal("a+b=c%2B%7E*", tostring(forms))
    assert.same({ { "a b", "c+~*" } }, forms:items())
    local wire = query({ { "a%20=", "%26&" } }, { encoded = true })
    assert.equal("a%20%3D=%26%26", tostring(wire))
  end)

  it("refuses what makes no sense", function()
    assert.has_error(function() query(1) end)
    assert.has_error(function() query { "a" } end)
    assert.has_error(function() query():add({}, "x") end)
    assert.has_error(function() query("", { pair_delimiter = "ab" }) end)
    assert.has_error(function() query("", { pair_delimiter = "a" }) end)
    assert.has_error(function() query("", { pair_delimiter = "=" }) end)
    assert.has_error(function() query("", { delimiter = "=" }) end)
  end)

  it("compares, counts, and takes many items", function()
    assert.equal(query "a=1", query { { "a", "1" } })
    local many = query(("a&"):rep(50000))
    assert.equal(50000, #many)
    assert.equal(1, #many:set("a", 1))
  end)
end)
