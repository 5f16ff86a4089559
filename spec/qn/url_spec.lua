-- The module qn.url: its functions beside the parser; see also spec/qt/url_spec.lua.

local qn = require "qn"
local core = require "qn.core"

local url = qn.url

describe("qn.url", function()
  it("is what its documents say", function()
    assert.same({ core.url_from_file, core.url_encode, core.url_decode, core.punycode_encode },
      { url.from_local_file, url.encode, url.decode, url.to_punycode })
    assert.equal(url "http://h/", url.parse("http://h/"))
    assert.equal(url("../x", "whatwg", { base = "http://h/" }), url.parse("../x", "whatwg",
      { base = "http://h/" }))
    for _, mode in ipairs(url.modes()) do
      assert.truthy(url("http://h/x", mode))
    end
  end)

  it("refuses names that no domain may have", function()
    for _, wrong in ipairs { "a b", "-a", "-ü", "a.ü-.b", "a..b", "xn--a", ("a."):rep(127) .. "aaa", "\255" } do
      local ace, err = url.to_ace(wrong)
      assert.is_nil(ace, wrong)
      assert.equal("invalid", err.kind)
    end
    assert.equal("xn----dha", url.to_ace("ü-", { std3 = false }))
    assert.equal("xn--a.b", url.from_ace "xn--a.b") -- what cannot be decoded stays
    assert.is_nil((url.to_punycode("\255")))
    assert.has_error(function() url.to_ace("a", { st3 = true }) end)
  end)

  it("makes URLs of components", function()
    assert.equal("https://h:1/a%20b?x=1", url.build({ scheme = "https", host = "h", port = 1,
      path = "a b", query_items = { x = 1 } }, "strict"):to_string())
    assert.equal("https://h/", url.build({ scheme = "https", host = "h", port = 443 }, "whatwg").href)
    assert.is_nil((url.build({ port = 1 })))
  end)

  it("decodes forms", function()
    assert.equal("a b+", url.decode("a+b%2B", true))
    assert.equal("a+b+", url.decode("a+b%2B"))
  end)

  it("has keys that equal URLs share", function()
    local set = {}
    for _, text in ipairs { "http://h", "http://h:80/", "HTTP://H/./", "http://h/%" } do
      set[url(text).key] = true
    end
    assert.same({ ["http://h/"] = true, ["http://h/%25"] = true }, set)
  end)

  it("waits only for a look at a file", function()
    local co = coroutine.wrap(function() return url("x", "user_input", { working_dir = "/tmp",
      assume_local_file = true }) end)
    assert.equal("file:///tmp/x", co():to_string())
  end)

  it("makes a name of a working directory whole", function()
    local opts = { working_dir = "/a/b/", assume_local_file = true }
    assert.equal("file:///a/c%20d", url("../c d", "user_input", opts):to_string())
    assert.equal("http://[", (url("http://[", "user_input", opts) or "http://["))
  end)
end)
