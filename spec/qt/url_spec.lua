-- The rows URL-* of the Qt coverage (QUrl) and what Qt 5 and 6 add (Q5-90 to Q5-93), one spec per
-- row; docs/qt-coverage.md names them.

local qn = require "qn"

local url = qn.url

local function text(u) return assert(u):to_string() end

describe("QUrl", function()
  it("URL-01 a text becomes a URL, or an error that says why and where", function()
    assert.equal("http://h/a%20b", text(url "http://h/a b"))
    local u, err = url("http://h:123456/", "strict")
    assert.is_nil(u)
    assert.equal("invalid", err.kind)
    assert.equal("INVALID_URL", err.code)
    assert.equal(15, err.position)
    assert.truthy(err.message:find("port", 1, true) and err.message:find("at byte 15", 1, true))
    assert.equal("a%20b", url("a%20b").encoded_path)
  end)

  it("URL-02 a value is valid; the empty one says that it is", function()
    assert.is_true(url("").is_empty)
    assert.is_false(url("x").is_empty)
    assert.is_nil((url("http://[", "strict")))
  end)

  it("URL-03 components, and others with them changed", function()
    local u = url "HTTP://us%20er:p%3Aw@Example.ORG:8080/a%20b/c?x=1#fr%20ag"
    assert.same({ "http", "us er", "p:w", "example.org", 8080, "/a b/c", "x=1", "fr ag" }, {
      u.scheme, u.user, u.password, u.host, u.port, u.path, u.query, u.fragment,
    })
    assert.equal("us er:p%3Aw@example.org:8080", u.authority)
    assert.equal("us er:p%3Aw", u.user_info)
    assert.is_nil(url("http://h/").port)
    assert.equal(80, url("http://h/").effective_port)
    assert.equal("ftp://a%3Ab:c@h:21/x%3Fy?q=%26#f", text(u:with {
      scheme = "FTP", user = "a:b", password = "c", host = "H", port = 21, path = "/x?y",
      query = "q=%26", fragment = "f",
    }))
    assert.equal("http://example.org/a%20b/c", text(u:with {
      user_info = false, port = false, query = false, fragment = false,
    }))
    assert.equal("http://x:y@z:1/a%20b/c?x=1#fr%20ag", text(u:with { authority = "x:y@z:1" }))
  end)

  it("URL-04 encoded components are kept as given", function()
    local u = url "http://u%2f:p%2F@h%C3%BC.de/%41%7e?%42#%43"
    assert.same({ "u%2f", "p%2F", "xn--h-eha.de", "/%41%7e", "%42", "%43" }, {
      u.encoded_user, u.encoded_password, u.encoded_host or "", u.encoded_path, u.encoded_query,
      u.encoded_fragment,
    })
    assert.equal("http://a%41:b%42@h/%7e?%2f#%2F", text(u:with {
      encoded_user = "a%41", encoded_password = "b%42", encoded_host = "h", encoded_path = "/%7e",
      encoded_query = "%2f", encoded_fragment = "%2F",
    }))
  end)

  it("URL-05 an empty query is there, an absent one is not", function()
    local u = url "http://h/?"
    assert.is_true(u.has_query)
    assert.equal("", u.query)
    assert.is_false(u.has_fragment)
    assert.is_nil(u.fragment)
    assert.equal("http://h/?#", text(u:with { fragment = "" }))
  end)

  it("URL-06 query items keep order and duplicates; delimiters can be chosen", function()
    local u = url "http://h/?b=1&a&b=%26%3D&c="
    local items = u:query_items()
    local flat = {}
    for i, item in ipairs(items) do
      flat[i] = item[1] .. ":" .. item[2]
    end
    assert.same({ "b:1", "a:", "b:&=", "c:" }, flat)
    assert.equal("1", u:query_value("b"))
    assert.equal("", u:query_value("a"))
    assert.is_nil(u:query_value("z"))
    assert.same({ "1", "&=" }, u:query_values("b"))
    assert.is_true(u:has_query_item("a"))
    assert.equal("http://h/?b=1&a&b=%26%3D&c=&d=x%26y", text(u:add_query_item("d", "x&y")))
    assert.equal("http://h/?a&b=%26%3D&c=", text(u:remove_query_item("b")))
    assert.equal("http://h/?a&c=", text(u:remove_all_query_items("b")))
    assert.equal("http://h/?x=1&x=2", text(u:with_query_items { { "x", "1" }, { "x", "2" } }))
    assert.equal("http://h/", text(u:with_query_items {}))
    local other = url "http://h/?a-1;b-2&3"
    local opts = { value_delimiter = "(", pair_delimiter = ";" }
    assert.equal("2", url("http://h/?a(1;b(2"):query_value("b", opts))
    assert.equal("http://h/?a-1;b-2&3;c(x%28%3B", text(other:add_query_item("c", "x(;", opts)))
  end)

  it("URL-07 encoded query items are not decoded", function()
    local u = url "http://h/?a%20=%26&b=+"
    assert.equal("%26", u:query_value("a%20", { encoded = true }))
    assert.equal("http://h/?a%20=%26&b=+&c%3d=%2f", text(u:add_query_item("c%3d", "%2f", { encoded = true })))
    assert.equal("http://h/?b=+", text(u:remove_query_item("a%20", { encoded = true })))
  end)

  it("URL-08 references are resolved by RFC 3986 section 5.2", function()
    local base = url "http://a/b/c/d;p?q"
    for ref, expected in pairs {
      ["g"] = "http://a/b/c/g", ["../../../g"] = "http://a/g", [""] = "http://a/b/c/d;p?q",
      ["#s"] = "http://a/b/c/d;p?q#s", ["?y"] = "http://a/b/c/d;p?y", ["//g"] = "http://g",
      ["g:h"] = "g:h", ["http:g"] = "http:g", ["./g/."] = "http://a/b/c/g/",
    } do
      assert.equal(expected, text(base:resolve(ref)))
      assert.equal(expected, text(base:resolve(url(ref))))
    end
    assert.equal("http://a/b/c/g", text(base:resolve("http:g", { strict = false })))
  end)

  it("URL-09 relative URLs, parents", function()
    assert.is_true(url("a/b").is_relative)
    assert.is_false(url("a:b").is_relative)
    local parent = url "http://h/a"
    assert.is_true(parent:is_parent_of(url "http://h/a/b"))
    assert.is_true(parent:is_parent_of(url "HTTP://H:80/a/x/../b?q"))
    assert.is_true(url("http://h/a/"):is_parent_of(url "http://h/a/b"))
    assert.is_false(parent:is_parent_of(url "http://h/ab"))
    assert.is_false(parent:is_parent_of(parent))
    assert.is_false(parent:is_parent_of(url "http://i/a/b"))
    assert.is_false(parent:is_parent_of(url "https://h/a/b"))
    assert.is_true(parent:is_parent_of(url "/a/b"))
  end)

  it("URL-10 local files", function()
    for path, expected in pairs {
      ["/a b"] = "file:///a%20b", ["//host/p"] = "file://host/p", ["C:/x"] = "file:///C:/x",
    } do
      local u = url.from_local_file(path)
      assert.equal(expected, text(u))
      assert.equal(path, u:local_file())
      assert.is_true(u.is_local_file)
    end
    local path, err = url("http://h/x"):local_file()
    assert.is_nil(path)
    assert.equal("invalid", err.kind)
  end)

  it("URL-11 texts for people and for the wire", function()
    local u = url "http://münchen.de/a%20b/%C3%BC%2F?q=%26#ä"
    assert.equal("http://münchen.de/a b/ü%2F?q=%26#ä", u:to_string("human"))
    assert.equal("http://xn--mnchen-3ya.de/a%20b/%C3%BC%2F?q=%26#%C3%A4", u:to_string("encoded"))
    assert.equal("münchen.de", u.host)
    assert.equal("xn--mnchen-3ya.de", u.encoded_host)
    assert.equal(u, url(u:to_string("human")))
    assert.equal(u:to_ascii(), u:to_string())
  end)

  it("URL-12 what users type", function()
    for typed, expected in pairs {
      ["  http://h/x "] = "http://h/x", ["/etc/passwd"] = "file:///etc/passwd",
      ["ftp.example.org/x"] = "ftp://ftp.example.org/x", ["example.org"] = "http://example.org",
      ["example.org:81/x"] = "http://example.org:81/x", ["::1"] = "http://[::1]",
      ["mailto:a@b"] = "mailto:a@b",
    } do
      assert.equal(expected, text(url(typed, "user_input")))
    end
    assert.is_nil((url("hello world", "user_input")))
    assert.is_nil((url("", "user_input")))
  end)

  it("URL-13 percent-encoding with what is left out and what is put in", function()
    assert.equal("%7Ba%2Fb%C3%BC%20~-._%7D", url.encode "{a/bü ~-._}")
    assert.equal("{a/b}", url.encode("{a/b}", "{}/"))
    assert.equal("%61b", url.encode("ab", "", "a"))
    assert.equal("{a/bü %zz%", url.decode "%7Ba%2Fb%C3%BC%20%zz%")
  end)

  it("URL-14 names in ASCII and Unicode, with a list of top-level domains", function()
    assert.equal("xn--bcher-kva.example", url.to_ace "Bücher.example")
    assert.equal("bücher.example", url.from_ace "xn--bcher-kva.example")
    local ace, err = url.to_ace(("a"):rep(64) .. ".de")
    assert.is_nil(ace)
    assert.equal("INVALID_HOST", err.code)
    assert.is_nil((url.to_ace "a_b.de"))
    assert.equal("a_b.de", url.to_ace("a_b.de", { std3 = false }))
    assert.equal("bcher-kva", url.to_punycode "bücher")
    assert.equal("bücher", url.from_punycode "xn--bcher-kva")
    assert.is_nil((url.from_punycode "a-!"))
    assert.is_nil(url.idn_whitelist())
    assert.same({ "de", "org" }, url.idn_whitelist { "org", "de" })
    assert.equal("münchen.de", url("http://münchen.de").host)
    assert.equal("xn--mnchen-3ya.com", url("http://münchen.com").host)
    assert.equal("xn--mnchen-3ya.com", url.from_ace "münchen.com")
    assert.equal("münchen.de", url.from_ace "xn--mnchen-3ya.de")
    assert.is_nil(url.idn_whitelist(false))
    assert.equal("münchen.com", url("http://münchen.com").host)
  end)

  it("URL-15 equality and order are those of normal forms", function()
    assert.equal(url "http://H:80/a/../%62", url "HTTP://h/b")
    assert.not_equal(url "http://h/b", url "http://h/B")
    assert.is_true(url "http://h/a" < url "http://h/b")
    assert.is_true(url "http://h/x/../a" <= url "http://h/a")
    local seen = { [url("http://h:80/%61").key] = true }
    assert.is_true(seen[url("http://h/a").key])
    local data = qn.data_stream("")
    data:write_url(url "http://u:p@h/a b")
    data = qn.data_stream(data:string())
    assert.equal(url "http://u:p@h/a%20b", url(data:read_url()))
  end)

  it("URL-16 hosts", function()
    for typed, host in pairs {
      ["0x7f.1"] = "127.0.0.1", ["1.2.3"] = "1.2.0.3", ["[::ABCD]"] = "::abcd",
      ["EXAMPLE.org"] = "example.org", ["a_b.c"] = "a_b.c", ["%41.b"] = "a.b", ["[V1.x]"] = "v1.x",
      ["[fe80::1%25eth0]"] = "fe80::1%eth0",
    } do
      assert.equal(host, url("http://" .. typed .. "/").host)
    end
    for _, wrong in ipairs { "a..b", "[::1", "[::g]", "a b", "1.2.3.256", "[v.x]" } do
      assert.is_nil((url("http://" .. wrong .. "/")))
    end
  end)

  it("URL-17 ports", function()
    assert.equal(0, url("http://h:0/").port)
    assert.equal(65535, url("http://h:65535/").port)
    assert.is_nil(url("http://h:/").port)
    assert.is_nil((url "http://h:65536/"))
    assert.is_nil((url "http://h:8x/"))
  end)

  it("URL-18 paths of plain text", function()
    assert.equal("http://h/%2541%3F%23/", text(url("http://h"):with { path = "/%41?#/" }))
    assert.equal("http://h/x", text(url("http://h"):with { path = "x" }))
    assert.equal("http://h//x", text(url("http://h"):with { path = "//x" }))
    assert.equal("a:/.//x", text(url("a:b"):with { path = "//x" }))
    assert.equal("./x:y", text(url("a"):with { path = "x:y" }))
  end)

  it("URL-19 URLs without an authority", function()
    for _, same in ipairs { "mailto:a@b.c?subject=x", "data:text/plain,a%20b", "urn:isbn:0451450523",
      "a+b-1.c:x" } do
      local u = url(same, "strict")
      assert.equal(same, text(u))
      assert.is_false(u.has_authority)
    end
    assert.is_nil((url "1a:b"))
  end)

  it("URL-20 what tolerant mode repairs", function()
    assert.equal("http://h/%25zz%254?%22%3C%3E%5C%5E%60%7B%7D%7C#%01%7F",
      text(url "http://h/%zz%4?\"<>\\^`{}|#\1\127"))
    assert.equal("http://h/%C3%BC%20", text(url "http://h/ü "))
    assert.is_nil((url("http://h/ü", "strict")))
  end)

  it("Q5-90 queries as objects, formats of components", function()
    local q = url.query "a=1&b=2"
    assert.equal("a=1&b=2&c=%26+%2B", tostring(url.query(q, { form = true }):add("c", "& +")))
    assert.equal("a=3&b=2", tostring(q:set("a", 3)))
    assert.equal(2, #q)
    assert.equal("http://h/?a=3&b=2", text(url("http://h/"):with { query = q }))
    local u = url "http://h/a%20%C3%BC%7B#b:%41"
    assert.equal("http://h/a ü%7B#b:A", u:to_string("human"))
    assert.equal("http://h/a%20ü%7B#b:A", u:to_string("human", { encode_spaces = true }))
    assert.equal("http://h/a %C3%BC%7B#b:A", u:to_string("human", { encode_unicode = true }))
    assert.equal("http://h/a ü%7B#b%3AA", u:to_string("human", { encode_delimiters = true }))
    assert.equal("http://h/a ü{#b:A", u:to_string("human", { decode_reserved = true }))
  end)

  it("Q5-91 adjusted and matching", function()
    local u = url "http://u:p@h:81/a/./b/../c/?q#f"
    assert.equal("http://u@h:81/a/./b/../c/?q#f", text(u:adjusted { remove_password = true }))
    assert.equal("http://h:81/a/./b/../c/?q#f", text(u:adjusted { remove_user_info = true }))
    assert.equal("http://u:p@h/a/./b/../c/?q#f", text(u:adjusted { remove_port = true }))
    assert.equal("http:/a/./b/../c/?q#f", text(u:adjusted { remove_authority = true }))
    assert.equal("http://u:p@h:81?q#f", text(u:adjusted { remove_path = true }))
    assert.equal("//u:p@h:81/a/./b/../c/", text(u:adjusted {
      remove_scheme = true, remove_query = true, remove_fragment = true,
    }))
    assert.equal("http://u:p@h:81/a/c?q#f", text(u:adjusted {
      normalize_path = true, strip_trailing_slash = true,
    }))
    assert.equal("http://h/a/", text(url("http://h/a/b"):adjusted { remove_filename = true }))
    assert.equal("http://h/", text(url("http://h/"):adjusted { strip_trailing_slash = true }))
    assert.equal("/a b", url("file:///a%20b"):to_string { prefer_local_file = true })
    assert.equal("file:///a?q", url("file:///a?q"):to_string { prefer_local_file = true })
    assert.equal("c", url("http://h/b/c").file_name)
    assert.is_true(url("http://h/a#x"):matches(url "http://h/a#y", { remove_fragment = true }))
    assert.is_false(url("http://h/a#x"):matches(url "http://h/a#y"))
  end)

  it("Q5-92 what users type, beside files", function()
    local opts = { working_dir = "/etc/" }
    assert.equal("file:///etc/passwd", text(url("./passwd", "user_input", opts)))
    assert.equal("http://no-such-file.example", text(url("no-such-file.example", "user_input", opts)))
    opts = { working_dir = "/tmp", assume_local_file = true }
    assert.equal("file:///tmp/no-such-file.txt", text(url("no-such-file.txt", "user_input", opts)))
    assert.equal("file:///x", text(url("/x", "user_input", opts)))
    assert.equal("http://h/", text(url("http://h/", "user_input", opts)))
  end)

  it("Q5-93 UTS 46, and components checked strictly", function()
    assert.equal("xn--strae-oqa.de", url.to_ace "straße.de")
    assert.equal("strasse.de", url.to_ace("straße.de", { transitional = true }))
    local u, err = url("http://h"):with { scheme = "a b" }
    assert.is_nil(u)
    assert.equal("invalid", err.kind)
    assert.is_nil((url("http://h", "strict"):with { encoded_path = "/a b" }))
    assert.equal("http://h/a%20b", text(url("http://h", "strict"):with { path = "/a b" }))
  end)

  it("WEAK-34 strict by the RFC, whatwg by the URL Standard; nothing is repaired in silence", function()
    assert.is_nil((url("http://h/a b", "strict")))
    local u = url("HTTPS://EXAMPLE.org:443\\a\\..\\b c", "whatwg")
    assert.equal("https://example.org/b%20c", u.href)
    assert.equal("https://example.org", u.origin)
    assert.equal("http://h/x", url("../x", "whatwg", { base = "http://h/a/b" }).href)
    assert.equal("https://b:8080/b%20c", u:with({ host = "b:8080" }).href)
  end)
end)
