-- covers: bindings/b_url.c bindings/b_url_edit.c bindings/b_url_field.c bindings/b_url_with.c
--   bindings/b_url_text.c
-- What the rows of spec/qt/url_spec.lua do not show: values as Lua sees them, misuse, secrets, limits.

local qn = require "qn"
local core = require "qn.core"

local url = qn.url

local function throws(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(err):find(pattern), tostring(err))
end

describe("a qn.Url", function()
  it("is immutable, and knows its fields only", function()
    local u = url "http://h/"
    throws("cannot be changed", function() u.host = "x" end)
    assert.is_nil(u.no_such_field)
    assert.is_nil(u[1])
    assert.equal("qn", getmetatable(u))
    throws("qn.Url expected", core.methods("Url").normalized, {})
  end)

  it("is given back when it is parsed again", function()
    local u = url "http://h/"
    assert.is_true(rawequal(u, url(u)))
  end)

  it("has all fields in every mode", function()
    local u = url("https://u%41:p%42@[2001:DB8::1]:8443/a/b%20c?x=%26y#z%20z", "strict")
    local expected = {
      scheme = "https", user = "uA", password = "pB", host = "2001:db8::1", port = 8443,
      effective_port = 8443, path = "/a/b c", query = "x=%26y", fragment = "z z",
      encoded_user = "u%41", encoded_password = "p%42", encoded_host = "2001:db8::1",
      encoded_path = "/a/b%20c", encoded_query = "x=%26y", encoded_fragment = "z%20z",
      authority = "uA:pB@[2001:db8::1]:8443", encoded_authority = "u%41:p%42@[2001:db8::1]:8443",
      user_info = "uA:pB", encoded_user_info = "u%41:p%42", file_name = "b c", mode = "strict",
      is_empty = false, is_relative = false, is_local_file = false, is_opaque = false,
      is_ip_literal = true, has_query = true, has_fragment = true, has_authority = true,
      key = "https://uA:pB@[2001:db8::1]:8443/a/b%20c?x=%26y#z%20z",
      href = "https://u%41:p%42@[2001:db8::1]:8443/a/b%20c?x=%26y#z%20z",
      origin = "https://[2001:db8::1]:8443", protocol = "https:", username = "u%41",
      hostname = "[2001:db8::1]", pathname = "/a/b%20c", search = "?x=%26y", hash = "#z%20z",
    }
    for name, value in pairs(expected) do
      assert.equal(value, u[name], name)
    end
    u = url("")
    for _, name in ipairs { "scheme", "user", "password", "host", "port", "effective_port", "query",
      "fragment", "authority", "encoded_host", "encoded_authority", "user_info" } do
      assert.is_nil(u[name], name)
    end
    assert.equal("", u.path .. u.search .. u.hash .. u.protocol .. u.hostname .. u.file_name)
    assert.equal("null", u.origin)
  end)

  it("has a host in Unicode, but the standard's in whatwg mode", function()
    assert.equal("bücher.de", url("http://bücher.de/").host)
    assert.equal("xn--bcher-kva.de", url("http://bücher.de/", "whatwg").host)
    assert.equal("ä", url("http://%C3%A4/", "strict").host)
  end)

  it("has an origin by the rules of the standard", function()
    for text, origin in pairs {
      ["http://u:p@h:80/x"] = "http://h", ["https://h:80"] = "https://h:80", ["ws://h"] = "ws://h",
      ["file:///x"] = "null", ["data:x"] = "null", ["blob:https://a:1/b"] = "https://a:1",
      ["blob:ftp://a/"] = "null", ["blob:x"] = "null", ["blob:blob:http://a"] = "null",
    } do
      assert.equal(origin, url(text, "whatwg").origin, text)
    end
  end)

  it("does not show its password, neither printed nor in errors", function()
    local u = url "http://me:s3cret@h/x"
    assert.equal("http://me@h/x", tostring(u))
    assert.equal("http://me:s3cret@h/x", u:to_string())
    assert.equal("http://me@h/x", u:to_string("display"))
    assert.equal("to http://me@h/x.", "to " .. u .. ".")
    assert.equal("http://@h/", tostring(url "http://:x@h/"))
    for _, wrong in ipairs { "http://me:s3cret@h:x/", "http://me:s3cret@a..b/", "http://me:s3cret@[/" } do
      local _, err = url(wrong)
      assert.falsy(tostring(err):find("s3cret", 1, true))
    end
    assert.falsy(tostring(select(2, u:with { host = "a b" })):find("s3cret", 1, true))
    assert.falsy(tostring(select(2, u:resolve "http://me:s3cret@[")):find("s3cret", 1, true))
  end)

  it("compares with URLs only", function()
    assert.is_false(url "http://h/" == "http://h/")
    assert.is_false(url "http://h/" == setmetatable({}, { __eq = function() return false end }))
    throws("qn.Url", function() return url "x" < "y" end)
  end)
end)

describe("parsing", function()
  it("refuses what is no text, and unknown modes", function()
    throws("qn.url: a string expected, got no value", url)
    throws("qn.url: a string expected, got number", url, 12)
    throws("unknown mode 'strikt' %(did you mean 'strict'%?%)", url, "x", "strikt")
    throws("unknown mode 'table'", url, "x", {})
    throws("unknown option 'bas'", url, "x", "whatwg", { bas = 1 })
    throws("working_dir", url, "x", "strict", { working_dir = "/" })
    throws("absolute path", url, "x", "user_input", { working_dir = "etc" })
    throws("'base': a URL expected", core.url_parse, "x", "whatwg", 1)
  end)

  it("says where", function()
    local _, err = url("http://h/ x", "strict")
    assert.same({ "invalid", "INVALID_URL", 10, "url" }, { err.kind, err.code, err.position, err.op })
    assert.equal("a character that must be percent-encoded here (at byte 10)", err.message)
  end)

  it("takes a base as text or URL in every mode", function()
    assert.equal("http://h/b", url("b", "strict", { base = "http://h/a" }):to_string())
    assert.equal("http://h/b", url("b", nil, { base = url "http://h/a" }):to_string())
    assert.equal("http://h/b", url("b", "whatwg", { base = url("http://h/a", "whatwg") }).href)
    local u, err = url("b", "whatwg", { base = "nothing" })
    assert.is_nil(u)
    assert.equal("INVALID_URL", err.code)
  end)

  it("is bounded: a mebibyte, of the result too", function()
    local u, err = url("http://h/" .. ("a"):rep(1024 * 1024))
    assert.is_nil(u)
    assert.equal("limit", err.kind)
    u, err = url("http://h/" .. (" "):rep(1024 * 512))
    assert.is_nil(u)
    assert.equal("limit", err.kind)
    u = assert(url("http://h/" .. ("a"):rep(1024 * 1024 - 9)))
    assert.equal(1024 * 1024, #u:to_string())
    assert.equal(u, u:normalized())
    assert.is_true(u <= u)
    assert.equal("limit", select(2, u:with { query = "x" }).kind)
  end)
end)

describe("url:with", function()
  it("refuses unknown names, wrong types, two names of one component", function()
    local u = url "http://h/x"
    throws("unknown option 'pth' %(did you mean 'path'%?%)", u.with, u, { pth = "x" })
    throws("option 'path': a string or false expected, got number", u.with, u, { path = 1 })
    throws("option 'port': an integer or false expected, got string", u.with, u, { port = "80" })
    throws("option 'port': a number from 0 to 65535", u.with, u, { port = 65536 })
    throws("are the same component", u.with, u, { path = "/", pathname = "/" })
    throws("are the same component", u.with, u, { query_items = {}, query = "x" })
    throws("names of components", u.with, u, { "x" })
    throws("table expected", u.with, u, "x")
    local ok, err = pcall(function() u:with { pth = 1 } end)
    assert.is_false(ok)
    assert.truthy(err:find("^spec/bindings/url_spec"), err)
  end)

  it("removes by false", function()
    local u = url "http://u:p@h:1/x?y#z"
    assert.equal("http://h:1/x?y#z", u:with({ user = false }):to_string())
    assert.equal("http://u@h:1/x?y#z", u:with({ password = false }):to_string())
    assert.equal("http:/x?y#z", u:with({ host = false }):to_string())
    assert.equal("http:/x?y#z", u:with({ authority = false }):to_string())
    assert.equal("//u:p@h:1/x?y#z", u:with({ scheme = false }):to_string())
    assert.equal("http://u:p@h:1#z", u:with({ path = false, query = false }):to_string())
    assert.equal("http://u:p@h:1/x#z", u:with({ query_items = false }):to_string())
  end)

  it("makes no component out of another one", function()
    local u = url "http://h/"
    assert.equal("http://a%40b%3Ac%2F@h/", u:with({ user = "a@b:c/" }):to_string())
    assert.equal("http://h/%3Fq%23f", u:with({ path = "/?q#f" }):to_string())
    assert.equal("http://h/?a%23b", u:with({ query = "a#b" }):to_string())
    for _, host in ipairs { "h/x", "h?x", "h#x", "u@h", "h:1", "h\\x", "h%2Fx", "h x", "a..b" } do
      local v, err = u:with { host = host }
      assert.is_nil(v, host)
      assert.equal("INVALID_URL", err.code)
    end
    assert.equal("query: a character that must be percent-encoded here (at byte 2)",
      select(2, url("x", "strict"):with { encoded_query = "a b" }).message)
    assert.is_nil((u:with { authority = "h/x" }))
    assert.is_nil((u:with { authority = "h:x" }))
    assert.is_nil((url("x"):with { user = "u" }))
    assert.is_nil((url("x"):with { port = 1 }))
    assert.is_nil((u:with { scheme = "a:" }))
  end)

  it("takes the names of the standard in every mode", function()
    for _, mode in ipairs { "tolerant", "strict", "whatwg" } do
      local u = url("http://h/x?y#z", mode)
      assert.equal("https://u@h:81/p%20q?r#s", u:with({
        protocol = "https:", username = "u", hostname = "h", port = 81, pathname = "/p%20q",
        search = "?r", hash = "#s",
      }):to_string(), mode)
      assert.equal("http://h/x", u:with({ search = "", hash = "" }):to_string())
      assert.equal("http://h/x?#", u:with({ query = "", fragment = "" }):to_string())
      assert.equal("http://h/x?%26#%25", u:with({ query = "%26", fragment = "%" }):to_string())
    end
  end)

  it("runs the setters in whatwg mode", function()
    local u = url("https://h:1/x?y#z", "whatwg")
    assert.equal("https://h:1/x?y#z", u:with({ protocol = "mailto" }).href) -- ignored, as it says
    assert.equal("https://b:2/x?y#z", u:with({ host = "b:2" }).href)
    assert.equal("https://b:1/x?y#z", u:with({ hostname = "b" }).href)
    assert.equal("https://h/x?y#z", u:with({ port = 443 }).href)
    assert.equal("https://h/x?y#z", u:with({ port = false }).href)
    assert.equal("https://h:1/%3Fa%2541?y#z", u:with({ path = "?a%41" }).href)
    assert.equal("https://h:1/%3Fa%41?y#z", u:with({ pathname = "?a%41" }).href)
    assert.equal("whatwg", u:with({ path = "/" }).mode)
    throws("cannot be set in whatwg mode", u.with, u, { authority = "x" })
  end)
end)

describe("texts", function()
  it("keep the mode whatwg where they can", function()
    local u = url("http://u:p@h/a|b?{#x", "whatwg")
    assert.equal("http://h/a|b?{", u:adjusted({ remove_user_info = true, remove_fragment = true }).href)
    assert.equal("whatwg", u:adjusted({ remove_query = true }).mode)
    assert.equal("http://u:p@h/", u:adjusted({ remove_path = true, remove_query = true,
      remove_fragment = true }).href)
    assert.equal("tolerant", u:adjusted({ remove_scheme = true }).mode)
    assert.equal("a:/.//b", url("a:/.//b", "whatwg"):to_string("human"))
  end)

  it("refuse unknown formats and options", function()
    local u = url "http://h/"
    throws("invalid option 'wire'", u.to_string, u, "wire")
    throws("unknown option 'remove_pasword'", u.to_string, u, { remove_pasword = true })
    throws("table expected", u.adjusted, u)
    throws("qn.Url expected", u.matches, u, "http://h/")
  end)

  it("for people keep what must not be seen as something else", function()
    local u = url "http://h/%2F%3F%23%25%E2%80%AE%00%FF"
    assert.equal("http://h/%2F%3F%23%25%E2%80%AE%00%FF", u:to_string "human")
    assert.equal("http://h/%2F%3F%23%25%E2%80%AE%00%FF", url(u:to_string "human"):to_string())
  end)

  it("of references that cannot be read are errors", function()
    local u, err = url("http://h/", "strict"):resolve "a b"
    assert.is_nil(u)
    assert.equal("the reference: a character that must be percent-encoded here (at byte 2)",
      err.message)
    assert.is_nil((url("data:x", "whatwg"):resolve "y"))
    throws("string expected", core.methods("Url").resolve, url "x")
  end)
end)
