-- Sockets: connect and its failures, bind, options, addresses, descriptors.

local qn = require "qn"
local core = require "qn.core"
local hosts = require "spec.support.hosts"
local pair = require "spec.support.pair"
local program = require "spec.support.program"
local throws = require "spec.support.throws"

local function assert_error(kind, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind)
  return err
end

-- Runs f(server) with a listener on any port.
local function serving(f, address, opts)
  local server <close> = assert(qn.tcp.listen(address or "127.0.0.1", 0, opts))
  return f(server)
end

-- A listener whose queues are full: the next connects get no answer.
local function silent(f)
  serving(function(server)
    server:pause()
    local held = hosts.fill("127.0.0.1", server:port())
    local closer <close> = setmetatable({}, { __close = function()
      for _, s in ipairs(held) do
        s:abort()
      end
    end })
    return f(server)
  end, nil, { backlog = 1 })
end

describe("connect", function()
  it("gives a connected socket", function()
    serving(function(server)
      local s <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
      local far <close> = assert(server:accept())
      assert.equal("connected", s:state())
      assert.same({ "127.0.0.1", server:port(), "127.0.0.1" }, { tostring(s:peer_address()), s:peer_port(), s:peer_name() })
      assert.equal(s:peer_address(), far:local_address())
      assert.equal(s:peer_port(), far:local_port())
      assert.equal(s:local_address(), far:peer_address())
      assert.equal(s:local_port(), far:peer_port())
      assert.is_nil(far:peer_name())
      assert.equal(1, s:option("nodelay"))
      assert.equal(1, far:option("nodelay"))
      assert.equal(0, s:option("keepalive"))
    end)
  end)

  it("speaks IPv6", function()
    serving(function(server)
      assert.equal("::1", tostring(server:address()))
      local s <close> = assert(qn.tcp.connect("::1", server:port()))
      local far <close> = assert(server:accept())
      assert.same({ "::1", "::1" }, { tostring(s:peer_address()), tostring(far:peer_address()) })
      assert.truthy(tostring(s):find("[::1]:" .. server:port(), 1, true))
      s:write("six")
      assert.equal("six", far:read(3))
    end, "::1")
  end)

  it("knows names, and walks their addresses", function()
    serving(function(server)
      local s <close> = assert(qn.tcp.connect("localhost", server:port()))
      local far <close> = assert(server:accept())
      assert.equal("localhost", s:peer_name())
      assert.equal("127.0.0.1", tostring(s:peer_address()))
      assert.truthy(far)
      local none, err = qn.tcp.connect("localhost", server:port(), { family = "ipv6" })
      assert.is_nil(none) -- it has no such address, or nobody listens there
      assert.equal("localhost:" .. server:port(), err.peer)
    end)
  end)

  it("is refused where nobody listens", function()
    local port = program.free_port()
    local err = assert_error("refused", qn.tcp.connect("127.0.0.1", port))
    assert.same({ "ECONNREFUSED", "connect", "127.0.0.1:" .. port, true }, { err.code, err.op, err.peer, err.temporary })
    assert.equal("connect 127.0.0.1:" .. port .. ": connection refused (ECONNREFUSED)", tostring(err))
    err = assert_error("refused", qn.tcp.connect("::1", port))
    assert.equal("[::1]:" .. port, err.peer)
    assert_error("refused", qn.unix.connect("@nobody-is-here-" .. core.pid()))
    assert.equal("ENOENT", assert_error("io", qn.unix.connect("/nonexistent/socket")).code)
  end)

  it("does not find names that do not exist", function()
    local err = assert_error("dns", qn.tcp.connect("no-such-name.invalid", 80))
    assert.equal("no-such-name.invalid:80", err.peer)
    assert.equal("connect", err.op)
  end)

  it("cannot reach what has no way", function()
    -- multicast is no place to connect to; the kernel says so at once
    assert_error("unreachable", qn.tcp.connect("224.0.0.1", 80))
    assert.is_nil((qn.tcp.connect("255.255.255.255", 80)))
  end)

  it("times out where nobody answers, and says in which phase", function()
    silent(function(server)
      local err = assert_error("timeout", qn.tcp.connect("127.0.0.1", server:port(), { timeout = 0.02 }))
      assert.same({ "connect", "connect" }, { err.phase, err.op })
      local s <close> = qn.tcp.socket()
      s:set_timeouts { connect = 0.02 }
      assert_error("timeout", s:connect("127.0.0.1", server:port()))
      assert.equal("unconnected", s:state())
      assert_error("timeout", s:connect("127.0.0.1", server:port(), { nodelay = true })) -- still the stored limit
      assert_error("timeout", s:connect("127.0.0.1", server:port(), { timeout = 0 }))
    end)
  end)

  it("is ended by a scope, by cancellation, by close and abort", function()
    silent(function(server)
      local value, err = qn.timeout(0.01, qn.tcp.connect, "127.0.0.1", server:port())
      assert_error("timeout", value, err)
      local task = qn.spawn(qn.tcp.connect, "127.0.0.1", server:port())
      qn.yield()
      task:cancel()
      assert.is_false((task:join()))
      for _, how in ipairs { "close", "abort" } do
        local s = qn.tcp.socket()
        task = qn.spawn(s.connect, s, "127.0.0.1", server:port())
        qn.yield()
        assert.equal("connecting", s:state())
        s[how](s)
        local ok
        ok, value, err = task:join()
        assert.is_true(ok)
        assert_error("closed", value, err)
        assert.equal("unconnected", s:state())
      end
    end)
  end)

  it("may be tried again on the same socket", function()
    serving(function(server)
      local s <close> = qn.tcp.socket()
      assert_error("refused", s:connect("127.0.0.1", program.free_port()))
      assert.equal("unconnected", s:state())
      assert.is_true(s:connect("127.0.0.1", server:port()))
      local far <close> = assert(server:accept())
      throws.method(assert, "already connected", s, "connect", "127.0.0.1", server:port())
      far:write("bye")
      far:close()
      assert.equal("bye", s:read("a"))
      s:shutdown("w")
      while s:state() ~= "unconnected" do
        qn.yield()
      end
      assert.is_true(s:connect("127.0.0.1", server:port()))
      local again <close> = assert(server:accept())
      again:write("hello")
      assert.equal("hello", s:read(5))
    end)
  end)

  it("takes writes before it is up, and sends them then", function()
    serving(function(server)
      local s <close> = qn.tcp.socket()
      local task = qn.spawn(s.connect, s, "127.0.0.1", server:port())
      qn.yield()
      assert.equal("connecting", s:state())
      assert.is_true(s:write("early ", "words"))
      s:close() -- also when it is closed meanwhile
      local far <close> = assert(server:accept())
      assert.equal("early words", far:read("a"))
      assert.truthy(task:join())
    end)
  end)

  it("reads as soon as it is up", function()
    serving(function(server)
      local s <close> = qn.tcp.socket()
      local task = qn.spawn(s.connect, s, "127.0.0.1", server:port())
      qn.yield()
      local reader = qn.spawn(s.read, s, 5)
      local far <close> = assert(server:accept())
      far:write("hello")
      assert.same({ true, "hello" }, { reader:join() })
      assert.same({ true, true }, { task:join() })
    end)
  end)

  it("throws for what can never work", function()
    throws.call(assert, "#1 to 'connect'", qn.tcp, "connect")
    throws.call(assert, "#1 to 'connect'", qn.tcp, "connect", {}, 80)
    throws.call(assert, "#1 to 'connect'.*blanks or control", qn.tcp, "connect", "a b", 80)
    throws.call(assert, "#1 to 'connect'.*blanks or control", qn.tcp, "connect", "a\0b", 80)
    for _, bad in ipairs { -1, 65536, 1.5, "x", 0 / 0 } do
      throws.call(assert, "#2 to 'connect'", qn.tcp, "connect", "h", bad)
    end
    throws.call(assert, "#2 to 'connect'", qn.tcp, "connect", "h")
    for _, case in ipairs {
      { "unknown option 'timout' %(did you mean 'timeout'%?%)", { timout = 1 } },
      { "'timeout'.*negative", { timeout = -1 } },
      { "'timeout'.*NaN", { timeout = 0 / 0 } },
      { "'family'.*ipv4", { family = "ipv5" } },
      { "'nodelay'.*boolean", { nodelay = 1 } },
      { "'keepalive'", { keepalive = 0 } },
      { "'keepalive'", { keepalive = 40000 } },
      { "'keepalive'", { keepalive = "on" } },
      { "'bind'.*address literal", { bind = "localhost" } },
      { "'bind'.*address literal", { bind = "127.0.0.1:x" } },
      { "'bind'.*address literal", { bind = "127.0.0.1:65536" } },
      { "'bind'.*address literal", { bind = "[::1" } },
      { "'bind'.*address literal", { bind = "127.0.0.1\0" } },
      { "options must be a table", 5 },
    } do
      throws.call(assert, case[1], qn.tcp, "connect", "h", 80, case[2])
      local s <close> = qn.tcp.socket()
      throws.method(assert, case[1], s, "connect", "h", 80, case[2])
    end
    throws.call(assert, "#1 to 'connect'", qn.unix, "connect")
    throws.call(assert, "#1 to 'connect'.*invalid", qn.unix, "connect", "")
    throws.call(assert, "#1 to 'connect'.*invalid", qn.unix, "connect", "@")
    throws.call(assert, "#1 to 'connect'.*invalid", qn.unix, "connect", "/a\0b")
    throws.call(assert, "#1 to 'connect'.*too long", qn.unix, "connect", ("x"):rep(200))
    throws.call(assert, "unknown option 'family'", qn.unix, "connect", "/x", { family = "any" })
  end)
end)

describe("bind", function()
  it("chooses the address and the port of a connection", function()
    serving(function(server)
      for _, how in ipairs { "127.0.0.2", "127.0.0.3:0" } do
        local s <close> = assert(qn.tcp.connect("127.0.0.1", server:port(), { bind = how }))
        local far <close> = assert(server:accept())
        assert.equal(how:match("^[^:]+"), tostring(far:peer_address()))
        assert.truthy(s)
      end
      local port = program.free_port()
      local s <close> = assert(qn.tcp.connect("127.0.0.1", server:port(), { bind = "127.0.0.1:" .. port }))
      local far <close> = assert(server:accept())
      assert.same({ port, port }, { s:local_port(), far:peer_port() })
    end)
    serving(function(server)
      local s <close> = assert(qn.tcp.connect("::1", server:port(), { bind = "[::1]:0" }))
      assert.equal("::1", tostring(s:local_address()))
    end, "::1")
  end)

  it("makes a socket at once, whose port shows", function()
    serving(function(server)
      local s <close> = qn.tcp.socket()
      assert.is_nil(s:local_port())
      assert.is_true(s:bind("127.0.0.1"))
      assert.equal("bound", s:state())
      local port = s:local_port()
      assert.is_true(port > 0)
      assert.equal("127.0.0.1", tostring(s:local_address()))
      assert.is_true(s:connect("127.0.0.1", server:port()))
      local far <close> = assert(server:accept())
      assert.equal(port, far:peer_port())
      throws.method(assert, "already connected", s, "bind", "127.0.0.1")
    end)
  end)

  it("fails where the address is taken or not ours", function()
    serving(function(server)
      local s <close> = qn.tcp.socket()
      local err = assert_error("exists", s:bind("127.0.0.1", server:port(), "exclusive"))
      assert.same({ "EADDRINUSE", "bind", "127.0.0.1:" .. server:port() }, { err.code, err.op, err.peer })
      assert_error("unreachable", s:bind("192.0.2.1"))
      assert_error("unreachable", qn.tcp.connect("127.0.0.1", server:port(), { bind = "192.0.2.1" }))
      local closed = qn.tcp.socket()
      closed:close()
      assert_error("closed", closed:bind("127.0.0.1"))
    end)
  end)

  it("is checked", function()
    local s <close> = qn.tcp.socket()
    throws.method(assert, "#1 to 'bind'.*is no address", s, "bind", "localhost")
    throws.method(assert, "#1 to 'bind'", s, "bind", {})
    throws.method(assert, "#2 to 'bind'", s, "bind", "127.0.0.1", 70000)
    throws.method(assert, "#3 to 'bind'.*invalid option", s, "bind", "127.0.0.1", 0, "shared")
  end)
end)

describe("options", function()
  local settable = {
    nodelay = { true, false }, keepalive = { true, false }, keepalive_idle = { 77, 1 }, keepalive_interval = { 5, 9 },
    keepalive_count = { 3, 4 }, linger = { 7, -1 }, oob_inline = { true, false }, tos = { 16, 0 }, ttl = { 33, 64 },
    reuse_address = { true, false }, reuse_port = { true, false }, broadcast = { true, false },
  }

  local function number(value)
    return value == true and 1 or value == false and 0 or value
  end

  it("are set and read by name, on IPv4 and IPv6", function()
    for _, address in ipairs { "127.0.0.1", "::1" } do
      serving(function(server)
        local s <close> = assert(qn.tcp.connect(address, server:port()))
        assert.is_true(s:option("path_mtu") >= 1280) -- first: others make the kernel forget the route
        for name, values in pairs(settable) do
          for _, value in ipairs(values) do
            assert.is_true(s:option(name, value), name)
            assert.equal(number(value), s:option(name), name)
          end
        end
        for _, name in ipairs { "send_buffer", "receive_buffer" } do
          assert.is_true(s:option(name, 50000))
          assert.is_true(s:option(name) >= 50000)
        end
        assert.equal(0, s:option("error"))
      end, address)
    end
  end)

  it("of datagram sockets are refused before they can spoil a connect", function()
    serving(function(server)
      local s <close> = qn.tcp.socket()
      for _ = 1, 2 do
        assert_error("unsupported", s:option("multicast_ttl", 4))
        assert_error("unsupported", s:option("multicast_ttl"))
        if s:state() == "unconnected" then
          assert.is_true(s:connect("127.0.0.1", server:port()))
        end
      end
    end)
  end)

  it("that are set before connect hold for the connection", function()
    serving(function(server)
      local s <close> = qn.tcp.socket({ nodelay = false, keepalive = true })
      for name, values in pairs(settable) do
        if name ~= "nodelay" and name ~= "keepalive" then
          assert.is_true(s:option(name, values[1]))
          assert.equal(number(values[1]), s:option(name), name)
        end
      end
      assert.is_true(s:connect("127.0.0.1", server:port()))
      assert.equal(0, s:option("nodelay"))
      assert.equal(1, s:option("keepalive"))
      for name, values in pairs(settable) do
        if name ~= "nodelay" and name ~= "keepalive" then
          assert.equal(number(values[1]), s:option(name), name)
        end
      end
      local t <close> = assert(qn.tcp.connect("127.0.0.1", server:port(), { nodelay = false, keepalive = 123 }))
      assert.same({ 0, 1, 123 }, { t:option("nodelay"), t:option("keepalive"), t:option("keepalive_idle") })
    end)
  end)

  it("of other families and read-only ones are errors", pair.body("unix", function(a)
    assert_error("unsupported", a:option("nodelay", true))
    assert_error("unsupported", a:option("ttl"))
    assert.is_true(a:option("send_buffer", 20000))
    assert_error("unsupported", a:option("error", 1))
    assert_error("unsupported", a:option("path_mtu", 1500))
  end))

  it("are checked", pair.body("tcp", function(a)
    throws.method(assert, "unknown socket option 'nodelai' %(did you mean 'nodelay'%?%)", a, "option", "nodelai")
    throws.method(assert, "#1 to 'option'", a, "option")
    throws.method(assert, "#2 to 'option'", a, "option", "nodelay", "yes")
    throws.method(assert, "#2 to 'option'.*bad value", a, "option", "ttl", 256)
    throws.method(assert, "#2 to 'option'.*bad value", a, "option", "linger", 70000)
    throws.method(assert, "#2 to 'option'.*bad value", a, "option", "send_buffer", 1 << 40)
    throws.method(assert, "#2 to 'option'", a, "option", "ttl", 1.5)
    throws.call(assert, "unknown option 'nodelai'", qn.tcp, "socket", { nodelai = true })
    throws.call(assert, "'keepalive'", qn.tcp, "socket", { keepalive = 5 })
  end))

  it("linger 0 makes close a reset", pair.body("tcp", function(a, b)
    assert.is_true(a:option("linger", 0))
    a:write("x")
    assert.equal("x", b:read(1))
    a:close()
    assert_error("reset", b:read(1))
  end))
end)

describe("addresses and descriptors", function()
  it("are nil before there is a connection, and after close", function()
    local s <close> = qn.tcp.socket()
    for _, name in ipairs { "local_address", "local_port", "peer_address", "peer_port", "peer_name", "descriptor" } do
      assert.is_nil(s[name](s))
      assert.equal(1, select("#", s[name](s)))
    end
    pair.with("tcp", function(a, b)
      assert.equal("integer", math.type(a:descriptor()))
      a:close()
      for _, name in ipairs { "local_address", "local_port", "peer_address", "peer_port", "descriptor" } do
        assert.is_nil(a[name](a))
      end
      b:close()
    end)
  end)

  it("of unix sockets are names without ports", pair.body("unix", function(a, b)
    assert.truthy(a:peer_address():find("^@qn%-spec"))
    assert.truthy(a:peer_name():find("qn-spec", 1, true))
    assert.equal(a:peer_address(), b:local_address())
    assert.truthy(not a:peer_port() or a:peer_port() == 0)
  end))

  it("of a stream of ours is not adopted twice, and goes on working", pair.body("tcp", function(a, b)
    assert_error("exists", qn.tcp.adopt(a:descriptor()))
    a:write("fine")
    assert.equal("fine", b:read(4))
    b:write("too")
    assert.equal("too", a:read(3))
  end))

  it("of a datagram socket is left alone", function()
    local u <close> = assert(qn.udp.bind("127.0.0.1", 0))
    assert.is_true(u:connect("127.0.0.1", u:local_port()))
    assert_error("unsupported", qn.tcp.adopt(u:descriptor()))
    assert.is_true(u:send "still open")
    assert.equal("still open", (u:recv { timeout = 5 }))
  end)

  it("adopt is checked, and leaves what is no socket alone", function()
    throws.call(assert, "#1 to 'adopt'", qn.tcp, "adopt")
    throws.call(assert, "#1 to 'adopt'", qn.tcp, "adopt", -1)
    throws.call(assert, "#1 to 'adopt'", qn.tcp, "adopt", 1.5)
    throws.call(assert, "#1 to 'adopt'", qn.tcp, "adopt", 1 << 40)
    assert_error("invalid", qn.tcp.adopt(1 << 29))
    local script = [[
      local socket, err = qn.tcp.adopt(0)
      print(socket, err.code, io.read("a"))
    ]]
    local status, out = program.run({ "sh", "-c", 'echo untouched | exec "$0" -e "$1"', program.qnlua(), script })
    assert.equal(0, status)
    assert.equal("nil\tENOTSOCK\tuntouched\n\n", out)
  end)
end)
