-- What qn.dns throws for: wrong arguments and options, named, at the place of the caller.

local qn = require "qn"

describe("misuse throws", function()
  local cases = {
    { "bad argument #1 to 'lookup' (string expected, got nil)", function() qn.dns.lookup() end },
    { "bad argument #1 to 'lookup' (string expected, got table)", function() qn.dns.lookup {} end },
    { "lookup: unknown option 'famly' (did you mean 'family'?)",
      function() qn.dns.lookup("x", { famly = "any" }) end },
    { "lookup: option 'family' must be one of", function() qn.dns.lookup("x", { family = "ipv5" }) end },
    { "lookup: option 'timeout' must be seconds", function() qn.dns.lookup("x", { timeout = -1 }) end },
    { "lookup: options must be a table, got number", function() qn.dns.lookup("x", 5) end },
    { "lookup: option 'server' must be an address", function() qn.dns.lookup("x", { server = {} }) end,
      "a list with a server in it" },
    { "lookup: option 'server' must be address literals", function() qn.dns.lookup("x", { server = "name" }) end },
    { "query: option 'server' must be address literals",
      function() qn.dns.query("x", "A", { server = "1.2.3.4:x" }) end },
    { "lookup: option 'resolver' must be a resolver", function() qn.dns.lookup("x", { resolver = qn.buffer() }) end },
    { "lookup: 'search' needs 'server'", function() qn.dns.lookup("x", { search = "y" }) end },
    { "bad argument #1 to 'reverse' (an IP address expected, got 'x')", function() qn.dns.reverse("x") end },
    { "bad argument #1 to 'reverse' (an IP address expected, got nil)", function() qn.dns.reverse() end },
    { "bad argument #1 to 'query' (string expected, got nil)", function() qn.dns.query() end },
    { "bad argument #2 to 'query' (name or number of a record type expected, got nil)",
      function() qn.dns.query("x") end },
    { "bad argument #2 to 'query' (unknown record type 'SRVV' (did you mean 'SRV'?))",
      function() qn.dns.query("x", "SRVV") end },
    { "query: option 'random' must be function", function() qn.dns.query("x", "MX", { random = 1 }) end },
    { "qn.dns.resolver: unknown option 'server' (did you mean 'servers'?)",
      function() qn.dns.resolver { server = "127.0.0.1" } end },
    { "qn.dns.resolver: option 'servers' must be address literals, with or without a port (got localhost)",
      function() qn.dns.resolver { servers = "localhost" } end },
    { "qn.dns.resolver: option 'tries' must be from 1 to 100", function() qn.dns.resolver { tries = 0 } end },
    { "qn.dns.resolver: option 'cache' must be", function() qn.dns.resolver { cache = 0 } end },
    { "qn.dns.resolver: option 'timeout' must be", function() qn.dns.resolver { timeout = 0 } end },
    { "qn.dns.resolver: option 'search' must be a list of domains", function() qn.dns.resolver { search = { 1 } } end },
    { "qn.dns.resolver: option 'search' must be a list of domains", function() qn.dns.resolver { search = "a b" } end },
    { "qn.dns.resolver: option 'search' must be a list of domains", function() qn.dns.resolver { search = "a\0b" } end },
    { "qn.dns.resolver: option 'search' must be a list of domains",
      function() qn.dns.resolver { search = ("a."):rep(200) } end },
    { "lookup: option 'server' must be an address", function() qn.dns.lookup("x", { server = "127.0.0.1\0x" }) end },
    { "qn.dns.resolver: option 'servers' must be an address",
      function() qn.dns.resolver { servers = { "127.0.0.1\0x" } } end },
    { "qn.dns.resolver: option 'hosts' must be a path without NUL",
      function() qn.dns.resolver { hosts = "/etc/hosts\0x" } end },
    { "qn.dns.resolver: option 'resolv_conf' must be a path without NUL",
      function() qn.dns.resolver { resolv_conf = "a\0" } end },
    { "qn.dns.resolver: option 'nsswitch' must be a path without NUL",
      function() qn.dns.resolver { nsswitch = "a\0" } end },
  }
  for i, case in ipairs(cases) do
    it(("(%d) %s"):format(i, case[1]), function()
      local ok, err = pcall(case[2])
      assert.is_false(ok)
      local text = case[3] or case[1]
      assert.truthy(tostring(err):find(text, 1, true), tostring(err))
      assert.truthy(tostring(err):find("misuse_spec.lua", 1, true), "blames another: " .. tostring(err))
    end)
  end

  it("and so do methods of what is no resolver, or options that a resolver has itself", function()
    local resolver <close> = assert(qn.dns.resolver())
    for _, name in ipairs { "lookup", "query", "reverse", "servers" } do
      local ok, err = pcall(resolver[name], {}, "x", "A")
      assert.is_false(ok)
      assert.truthy(tostring(err):find("qn.Resolver expected, got table", 1, true), tostring(err))
    end
    for _, option in ipairs { "server", "search", "resolver" } do
      local ok, err = pcall(resolver.lookup, resolver, "x", { [option] = "127.0.0.1" })
      assert.is_false(ok)
      assert.truthy(tostring(err):find("unknown option '" .. option, 1, true), tostring(err))
    end
    local ok, err = pcall(qn.dns.lookup, "x", { resolver = resolver, server = "127.0.0.1" })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("give either 'server' or 'resolver'", 1, true))
    ok, err = pcall(qn.dns.lookup, "x", { resolver = resolver, search = "y" })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("'search' is an option of the resolver", 1, true))
  end)
end)
