-- URLs as the URL Standard reads them, through the Lua API: what the C tests of runtime/codec say
-- of the parser in detail, here for the values that Lua sees.

local qn = require "qn"

local url = qn.url

local function parse(text, base)
  return url(text, "whatwg", base and { base = base })
end

describe("qn.url in whatwg mode", function()
  it("has the components of the standard", function()
    local u = assert(parse "HTTPS://user:pa%20ss@B\u{fc}cher.example:8443/a/../b c?q='#\u{e9}")
    assert.equal("https://user:pa%20ss@xn--bcher-kva.example:8443/b%20c?q=%27#%C3%A9", u.href)
    assert.equal("https:", u.protocol)
    assert.equal("user", u.username)
    assert.equal("xn--bcher-kva.example", u.hostname)
    assert.equal(8443, u.port)
    assert.equal("/b%20c", u.pathname)
    assert.equal("?q=%27", u.search)
    assert.equal("#%C3%A9", u.hash)
    assert.equal("https://xn--bcher-kva.example:8443", u.origin)
    assert.is_false(u.is_opaque)
  end)

  it("repairs what browsers repair", function()
    for text, want in pairs {
      [" http:\\\\EXAMPLE.com:80\\x\n"] = "http://example.com/x",
      ["http://0x7f.1/"] = "http://127.0.0.1/",
      ["http://%31%32%37.1"] = "http://127.0.0.1/",
      ["http://[1:0::0:2]:80"] = "http://[1::2]/",
      ["http:example.com"] = "http://example.com/",
      ["http://h/%2e%2E/.%2e/a"] = "http://h/a",
      ["file:///C|/a/../.."] = "file:///C:/",
      ["file://localhost/a"] = "file:///a",
      ["sc:a b  ?x"] = "sc:a b %20?x",
      ["sc:/..//x"] = "sc:/.//x",
      ["http://fa\u{df}.de"] = "http://xn--fa-hia.de/",
      ["http://h/\255"] = "http://h/%EF%BF%BD",
      ["http://xn--a"] = "http://xn--a/",
    } do
      assert.equal(want, assert(parse(text), text).href)
    end
  end)

  it("refuses what the standard refuses, and says why and where", function()
    for text, at in pairs {
      ["http://"] = 8, ["http://h:65536"] = 10, ["http://h:x"] = 10, ["http://a b"] = 8,
      ["http://1.2.3.4.5"] = 8, ["http://a.09"] = 8, ["http://[::1"] = 8, ["x"] = 1,
      ["sc://u@"] = 8, ["http://a%00b"] = 8, ["http://\u{200d}"] = 8, ["http://1.\u{5d0}a"] = 8,
    } do
      local u, err = parse(text)
      assert.is_nil(u, text)
      assert.equal("invalid", err.kind)
      assert.equal("INVALID_URL", err.code)
      assert.equal(at, err.position, text)
    end
  end)

  it("resolves against a base", function()
    local base = "http://u:p@h/a/b?q#f"
    for reference, want in pairs {
      [""] = "http://u:p@h/a/b?q", ["#x"] = "http://u:p@h/a/b?q#x", ["?r"] = "http://u:p@h/a/b?r",
      ["c"] = "http://u:p@h/a/c", ["\\c"] = "http://u:p@h/c", ["//i"] = "http://i/",
      ["http:c"] = "http://u:p@h/a/c", ["sc:c"] = "sc:c", ["../../../c"] = "http://u:p@h/c",
    } do
      assert.equal(want, assert(parse(reference, base)).href)
      assert.equal(want, assert(parse(reference, assert(parse(base)))).href)
    end
    assert.equal("mailto:a#x", parse("#x", "mailto:a").href)
    assert.is_nil((parse("x", "mailto:a")))
    assert.is_nil((parse("x", "no base")))
  end)

  it("changes as the setters change", function()
    local u = assert(parse "http://u:p@h:81/a?q#f")
    assert.equal("https://u:p@h:81/a?q#f", u:with { protocol = "https" }.href)
    assert.equal("http://u:p@h:81/a?q#f", u:with { protocol = "sc" }.href) -- ignored
    assert.equal("http://u:p@i:82/a?q#f", u:with { host = "i:82/x" }.href)
    assert.equal("http://u:p@127.0.0.1:81/a?q#f", u:with { hostname = "0x7f.1" }.href)
    assert.equal("http://u:p@h/a?q#f", u:with { port = 80 }.href)
    assert.equal("http://u:p@h:82/a?q#f", u:with { port = "82/x" }.href)
    assert.equal("http://u:p@h/a?q#f", u:with { port = "" }.href)
    assert.is_nil((u:with { port = "x" }))
    assert.equal("http://u:p@h:81/%3F?q#f", u:with { pathname = "b/../?" }.href)
    assert.equal("http://u:p@h:81/a?b%23#f", u:with { search = "b#" }.href)
    assert.equal("http://u:p@h:81/a#f", u:with { search = "" }.href)
    assert.equal("http://u:p@h:81/a?q#%20", u:with { hash = " " }.href)
    assert.equal("http://:p@h:81/a?q#f", u:with { username = "" }.href)
    assert.is_nil((u:with { host = "a b" }))
    assert.equal("http://u:p@h:81/a?q#f", u.href)
  end)

  it("has an origin only where the standard gives one", function()
    for text, want in pairs {
      ["http://u@h:80/x"] = "http://h", ["wss://h:444"] = "wss://h:444", ["ftp://[::1]/"] =
        "ftp://[::1]", ["file:///x"] = "null", ["sc://h"] = "null", ["mailto:x"] = "null",
      ["blob:https://h:8443/id"] = "https://h:8443", ["blob:ftp://h/"] = "null",
      ["blob:x"] = "null", ["blob:blob:http://h/"] = "null",
    } do
      assert.equal(want, assert(parse(text)).origin)
    end
  end)

  it("gives back what it wrote, whatever came in", function()
    local pieces <const> = { "http", "file", "sc", "ws", ":", "/", "\\", "?", "#", "@", "[", "]", ".",
      "..", "%2e", "%", "h", "C|", "c:", "1", "0x", " ", "\t", "\n", "\u{e9}", "\255", "\0", "^", "'" }
    local seed = 7
    local function pick(n)
      seed = (seed * 1103515245 + 12345) % 2147483648
      return seed // 65536 % n + 1
    end
    local n = 0
    for _ = 1, 4000 do
      local text = {}
      for i = 1, pick(12) do
        text[i] = pieces[pick(#pieces)]
      end
      local u = parse(table.concat(text), "http://h/a/b")
      if u then
        n = n + 1
        local again = assert(parse(u.href), u.href)
        assert.equal(u.href, again.href)
        assert.equal(u.pathname, again.pathname)
        assert.is_nil(u.href:find("[^ -~]"))
      end
    end
    assert.is_true(n > 1000)
  end)
end)
