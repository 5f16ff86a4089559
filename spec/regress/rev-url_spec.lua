--- What a review of URLs and addresses found: modes that leaked into each other, throws and results
--- that depended on the text, absent values that were no values.

local qn = require "qn"

local function texts(url)
  return url and url:to_string()
end

describe("review of URLs", function()
  it("reads IPv6 addresses whose first group looks like a scheme", function()
    for text, want in pairs {
      ["fe80::1"] = "http://[fe80::1]", ["FE80::1"] = "http://[fe80::1]",
      ["a:b:c:d:e:f:1:2"] = "http://[a:b:c:d:e:f:1:2]", ["fe80::1%lo"] = "http://[fe80::1%25lo]",
      ["2001:db8::1%lo"] = "http://[2001:db8::1%25lo]", [" ::1 "] = "http://[::1]",
    } do
      assert.are.equal(want, texts(qn.url(text, "user_input")))
    end
    assert.are.equal("a:b", texts(qn.url("a:b", "user_input")))
  end)

  it("leaves the scheme of any whatwg URL out without a throw", function()
    local url = assert(qn.url("foo://h{.\u{3002}/x", "whatwg"))
    local none, err = url:adjusted { remove_scheme = true }
    assert.is_nil(none)
    assert.are.equal("INVALID_URL", err.code)
    assert.are.equal("//h{.%E3%80%82/x", url:to_string { remove_scheme = true })
    assert.is_true(url:matches(url, { remove_scheme = true }))
    assert.are.equal("//h/x", texts(qn.url("foo://h/x", "whatwg"):adjusted { remove_scheme = true }))
  end)

  it("keeps base, reference and result in the mode that is asked for", function()
    local tolerant, whatwg = qn.url "http://h/", qn.url("http://h/", "whatwg")
    assert.is_nil((qn.url("a b", "strict", { base = tolerant })))
    assert.is_nil((qn.url("a b", "strict", { base = "http://h/" })))
    assert.are.equal("strict", qn.url("a", "strict", { base = whatwg }).mode)
    assert.are.equal("http://h/%5Ca", texts(qn.url("\\a", "tolerant", { base = whatwg })))
    assert.are.equal("http://h/a", texts(qn.url("\\a", "whatwg", { base = tolerant })))
    assert.is_nil((qn.url("a", "whatwg", { base = qn.url "/relative" })))
    assert.are.equal("http://h/a%20b", texts(qn.url("a b", "user_input", { base = "h/x" })))
    assert.has_error(function()
      qn.url("x", "user_input", { base = "h/x", working_dir = "/" })
    end)
  end)

  it("resolves references of other modes to URLs of its own", function()
    local reference = assert(qn.url("http://x/a|b^[", "whatwg"))
    assert.is_nil((qn.url("http://h/", "strict"):resolve(reference)))
    local url = assert(qn.url("http://h/"):resolve(reference))
    assert.are.equal("tolerant", url.mode)
    assert.are.equal("http://x/a%7Cb%5E%5B", url:to_string())
  end)

  it("reads a URL again in another mode", function()
    local whatwg = assert(qn.url("http://h/a|b", "whatwg"))
    assert.is_nil((qn.url(whatwg, "strict")))
    assert.are.equal("http://h/a%7Cb", texts(qn.url(whatwg, "tolerant")))
    assert.are.equal(whatwg, qn.url(whatwg))
    assert.are.equal("http://u:p@h/x", texts(qn.url(qn.url "http://u:p@h/y", "tolerant", { base = "x:" })
      :with { path = "/x" }))
  end)

  it("has no zone in strict mode, whichever way it came", function()
    local strict = assert(qn.url("http://h/", "strict"))
    for _, host in ipairs { "fe80::1%lo", "[fe80::1%25lo]" } do
      assert.is_nil((strict:with { host = host }))
      assert.are.equal("http://[fe80::1%25lo]/", texts(qn.url("http://h/"):with { host = host }))
    end
  end)

  it("has one path of a normal form in whatwg mode", function()
    local url = assert(qn.url("foo:/..///x", "whatwg")):normalized()
    assert.are.equal("foo:/.///x", url:to_string())
    assert.are.equal(qn.url(url:to_string(), "whatwg").encoded_path, url.encoded_path)
  end)

  it("makes no escape of a stray percent sign and what is decoded behind it", function()
    for _, tail in ipairs { "%%41f", "%%341", "%4%31", "%%34%31" } do
      local url = assert(qn.url("http://h/" .. tail .. "?" .. tail, "whatwg"))
      assert.are.equal(url.path, url:normalized().path)
      assert.are.equal(url.key, url:normalized().key)
      assert.are.equal(url.path, qn.url(url:to_string "human", "whatwg").path)
      assert.are_not.equal(url, qn.url("http://h/%Af?%Af", "whatwg"))
    end
  end)

  it("refuses components above the limit before it makes room for their escapes", function()
    local long = (" "):rep(2 ^ 20 + 1)
    for _, name in ipairs { "path", "query", "fragment", "user", "encoded_path", "host", "scheme" } do
      local url, err = qn.url("http://h/"):with { [name] = long }
      assert.is_nil(url)
      assert.are.equal("limit", err.kind)
    end
  end)

  it("compares the longest URLs, too", function()
    for head, mode in pairs { ["http://h?"] = "tolerant", ["http://[::ffff:ffff:ffff]?"] = "strict" } do
      local url = assert(qn.url(head .. ("a"):rep(2 ^ 20 - #head), mode))
      assert.is_false(url == qn.url "http://a" or url < url)
      assert.is_true(url:matches(url, {}))
      assert.is_true(url == url:normalized() and url.key == url:normalized().key)
      assert.is_false(url:is_parent_of(url))
    end
  end)

  it("takes whole floats as ports and no others", function()
    for _, mode in ipairs { "tolerant", "strict", "whatwg" } do
      local url = assert(qn.url("http://h/", mode))
      assert.are.equal("http://h:8080/", texts(url:with { port = 8080.0 }))
      assert.has_error(function() url:with { port = 80.5 } end)
      if mode ~= "whatwg" then -- there a text goes through the setter of the standard
        assert.has_error(function() url:with { port = "80" } end)
      end
      assert.has_error(function() url:with { port = 65536.0 } end)
    end
  end)

  it("gives exactly one value", function()
    local url = assert(qn.url "http://h/?a=1")
    local query = qn.url.query "a=1"
    local folder = { working_dir = "/", assume_local_file = true }
    for _, n in ipairs {
      select("#", url:query_value "b"), select("#", query:get "b"),
      select("#", qn.url.idn_whitelist()), select("#", qn.url.to_ace "a"),
      select("#", qn.url("x", "user_input", folder)),
      select("#", qn.url("tmp", "user_input", { working_dir = "/" })),
      select("#", qn.interfaces.by_name "lo"), select("#", qn.interfaces.by_index(1)),
    } do
      assert.are.equal(1, n)
    end
  end)

  it("checks the list of top-level domains before it is used", function()
    assert.has_error(function() qn.url.idn_whitelist "de" end)
    assert.has_error(function() qn.url.idn_whitelist { "de", 5 } end)
    assert.has_error(function() qn.url.idn_whitelist { "a b" } end)
    assert.has_error(function() qn.url.idn_whitelist { "co.uk" } end)
    assert.is_nil(qn.url.idn_whitelist())
    assert.has_error(function() qn.url.from_punycode() end,
      "bad argument #1 to 'punycode_decode' (string expected, got nil)")
  end)
end)

describe("review of addresses", function()
  it("are equal also when a finalizer has kept one", function()
    local kept
    do
      local address = qn.address "198.51.100.77"
      setmetatable({ address }, { __gc = function(t) kept = t[1] end })
    end
    collectgarbage()
    collectgarbage()
    assert.is_true(kept == qn.address "198.51.100.77")
    assert.is_false(kept == qn.address "198.51.100.78")
  end)
end)
