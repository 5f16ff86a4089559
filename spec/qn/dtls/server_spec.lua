-- Servers of DTLS: who may come and how many, spoofed sources, handshakes that fail, peers that begin
-- anew, the end; configurations that are changed.
-- covers: bindings/b_dtls_server.c

local certs = require "spec.support.tls_certs"
local dtls = require "spec.support.dtls"
local program = require "spec.support.program"
local qn = require "qn"

describe("a server of DTLS", function()
  local shop

  setup(function() shop = certs.open() end)
  teardown(function() shop:close() end)

  local function connect(port, more)
    return qn.dtls.connect("127.0.0.1", port, dtls.client_options(shop, more))
  end

  -- The first datagram of a client.
  local function hello_of(more)
    local socket <close> = assert(qn.udp.bind("127.0.0.1", 0))
    local task = qn.spawn(function() connect(socket:local_port(), more) end)
    local data = socket:recv { timeout = 5 }
    task:cancel()
    task:join()
    return data
  end

  it("serves many at once, each in a task of its own", function()
    local peer <close> = dtls.echo(shop)
    local tasks = {}
    for i = 1, 30 do
      tasks[i] = qn.spawn(function()
        local c <close> = assert(connect(peer.port))
        for j = 1, 10 do
          assert(c:send(i .. " " .. j))
          assert(c:recv { timeout = 10 } == i .. " " .. j)
        end
        return true
      end)
    end
    for _, task in ipairs(tasks) do
      assert.is_true((task:join()))
    end
    assert.equal(30, peer.server:stats().accepted)
    assert.equal(0, peer.server:stats().failed)
  end)

  it("gives connections to each task that waits, and by a loop", function()
    local server = assert(qn.dtls.listen("127.0.0.1", 0, dtls.server_options(shop)))
    local s1, s2
    local first = qn.spawn(function() s1 = server:accept() end)
    local second = qn.spawn(function() s2 = server:accept() end)
    qn.yield()
    local a = assert(connect(server:port()))
    local b = assert(connect(server:port()))
    first:join()
    second:join()
    local n = 0
    local loop = qn.spawn(function()
      for c in server:each() do
        n = n + 1
        c:close()
      end
    end)
    local d = assert(connect(server:port()))
    program.until_true("the loop", function() return n == 1 end)
    server:close()
    loop:join()
    local _, err = server:accept()
    assert.equal("closed", err.kind)
    assert.is_false(server:is_listening())
    for _, c in ipairs { a, b, d, s1, s2 } do
      c:close()
    end
    assert.has_error(function() server:on("handshake_eror", function() end) end)
  end)

  it("times an accept out", function()
    local server <close> = assert(qn.dtls.listen("127.0.0.1", 0, dtls.server_options(shop)))
    local _, err = server:accept(0.01)
    assert.equal("timeout", err.kind)
    assert.equal("listening", server:state())
    assert.equal("127.0.0.1", tostring(server:address()))
  end)

  it("keeps nothing for sources that do not answer", function()
    local peer <close> = dtls.echo(shop, { max_handshakes = 4 })
    local hello = hello_of()
    collectgarbage()
    local before = qn.stats()
    for i = 1, 40 do -- as from as many sources; loopback is all 127/8
      local source <close> = assert(qn.udp.bind("127.0.0." .. i, 0))
      for _ = 1, 25 do
        assert(source:send(hello, "127.0.0.1", peer.port))
      end
      local n = 0
      program.until_true("cookies", function()
        while source:has_pending() do
          assert.is_true(#source:recv() < #hello) -- the answer is never longer than the question
          n = n + 1
        end
        return n == 25
      end)
    end
    local stats = peer.server:stats()
    assert.equal(1000, stats.cookies_sent)
    assert.equal(0, stats.handshakes)
    assert.equal(0, stats.connections)
    collectgarbage()
    assert.equal(before.objects, qn.stats().objects)
    assert.equal(before.timers, qn.stats().timers)
    local c <close> = assert(connect(peer.port))
    assert.is_true(c:send "still there")
    assert.equal("still there", (c:recv { timeout = 5 }))
  end)

  it("counts what is no ClientHello and drops it", function()
    local peer <close> = dtls.echo(shop)
    local source <close> = assert(qn.udp.connect("127.0.0.1", peer.port))
    local hello = hello_of()
    for i = 0, #hello - 1, 3 do
      assert(source:send(hello:sub(1, i)))
    end
    for i = 1, #hello, 2 do -- with one byte changed; some still are ClientHellos
      assert(source:send(hello:sub(1, i - 1) .. string.char(hello:byte(i) ~ 0x55) .. hello:sub(i + 1)))
    end
    local n = #hello
    program.until_true("all", function()
      return peer.server:stats().received >= (n + 2) // 3 + (n + 1) // 2
    end)
    local stats = peer.server:stats()
    assert.is_true(stats.invalid >= (n + 2) // 3)
    assert.equal(0, stats.handshakes)
    local c <close> = assert(connect(peer.port))
    assert.is_true(c:send "hello")
    assert.equal("hello", (c:recv { timeout = 5 }))
  end)

  it("works without cookies, when told to", function()
    local peer <close> = dtls.echo(shop, { cookies = false })
    local c <close> = assert(connect(peer.port))
    assert.is_true(c:send "hello")
    assert.equal("hello", (c:recv { timeout = 5 }))
    assert.equal(0, peer.server:stats().cookies_sent)
  end)

  it("has a limit of connections", function()
    local peer <close> = dtls.echo(shop, { max_connections = 2 })
    local a <close> = assert(connect(peer.port))
    local b <close> = assert(connect(peer.port))
    local c, err = connect(peer.port, { timeout = 0.1 })
    assert.is_nil(c)
    assert.equal("timeout", err.kind)
    assert.is_true(peer.server:stats().refused >= 1)
    a:close()
    program.until_true("room", function() return peer.server:stats().connections == 1 end)
    local d <close> = assert(connect(peer.port))
    assert.is_true(d:send "hello")
    assert.equal("hello", (d:recv { timeout = 5 }))
    assert.is_true(b:send "b")
  end)

  it("ends handshakes that take too long, and tells", function()
    local peer <close> = dtls.echo(shop, { handshake_timeout = 0.05, cookies = false })
    local source <close> = assert(qn.udp.connect("127.0.0.1", peer.port))
    local err
    local failure = qn.spawn(function() err = peer.server:wait("handshake_error", 5) end)
    qn.yield()
    assert(source:send(hello_of()))
    failure:join()
    assert.equal("timeout", err.kind)
    assert.equal("127.0.0.1:" .. source:local_port(), err.peer)
    assert.equal(1, peer.server:stats().failed)
    assert.equal(0, peer.server:stats().handshakes)
  end)

  it("tells why handshakes fail", function()
    local peer <close> = dtls.echo(shop)
    local errors, from = {}, nil
    peer.server:on("handshake_error", function(err, address)
      errors[#errors + 1] = err
      from = address
    end)
    local _, err = connect(peer.port, { ca = shop:cert "stranger" })
    assert.equal("tls", err.kind)
    program.until_true("the event", function() return #errors == 1 end)
    assert.equal("tls", errors[1].kind)
    assert.equal("unknown_ca", errors[1].alert)
    assert.equal("accept", errors[1].op)
    assert.equal(qn.address "127.0.0.1", from)
    peer.server:off()
    connect(peer.port, { ca = shop:cert "stranger" })
    program.until_true("the count", function() return peer.server:stats().failed == 2 end)
    assert.equal(1, #errors)
  end)

  it("limits handshakes; the oldest gives way when it is not young any more", function()
    local peer <close> = dtls.echo(shop, { max_handshakes = 2, cookies = false })
    local hello = hello_of()
    local sources = {}
    for i = 1, 4 do
      sources[i] = assert(qn.udp.connect("127.0.0.1", peer.port))
      assert(sources[i]:send(hello))
    end
    program.until_true("two to be refused", function() return peer.server:stats().refused == 2 end)
    assert.equal(2, peer.server:stats().handshakes)
    local c <close> = assert(connect(peer.port)) -- asks again after a second
    assert.is_true(c:send "hello")
    assert.equal("hello", (c:recv { timeout = 5 }))
    assert.equal(1, peer.server:stats().failed)
    for _, source in ipairs(sources) do
      source:close()
    end
  end)

  describe("whose peer begins anew from the same port", function()
    local function from_port(port, server_port, more)
      more = more or {}
      more.bind = "127.0.0.1:" .. port
      return connect(server_port, more)
    end

    it("keeps the old connection until the new one is up", function()
      for _, cookies in ipairs { true, false } do
        local server <close> = assert(qn.dtls.listen("127.0.0.1", 0, dtls.server_options(shop, { cookies = cookies })))
        local c = assert(connect(server:port()))
        local s <close> = assert(server:accept(5))
        local port = c:local_port()
        c:abort()
        local forger <close> = assert(qn.udp.bind("127.0.0.1", port))
        assert(forger:send(hello_of(), "127.0.0.1", server:port()))
        assert(forger:recv { timeout = 5 }) -- a cookie, or the first flight
        assert.equal("connected", s:state())
        forger:close()
        local d <close> = assert(from_port(port, server:port()))
        local t <close> = assert(server:accept(5))
        assert.equal("closed", s:state())
        local _, err = s:recv()
        assert.equal("reset", err.kind)
        assert.matches("begun anew", err.message, 1, true)
        assert.is_true(d:send "new")
        assert.equal("new", (t:recv { timeout = 5 }))
      end
    end)

    it("goes on with the old one when the new one fails", function()
      local server <close> = assert(qn.dtls.listen("127.0.0.1", 0, dtls.server_options(shop, { handshake_timeout = 0.1 })))
      local genuine, forged = nil, 0
      local relay <close> = dtls.relay(server:port(), function(direction, _, data, self)
        local by_forger = direction == "up" and genuine and self.client.port ~= genuine.port
        forged = forged + (by_forger and 1 or 0)
        return not (by_forger and forged > 2) and data or nil -- a cookie is all that it gets
      end)
      local c <close> = assert(connect(relay.port))
      local s <close> = assert(server:accept(5))
      genuine = relay.client
      local forger = qn.spawn(function() connect(relay.port, { sessions = false }) end)
      program.until_true("a second handshake", function() return server:stats().handshakes == 1 end)
      assert.equal("connected", s:state())
      assert.is_true(c:send "meanwhile")
      assert.equal("meanwhile", (s:recv { timeout = 5 }))
      program.until_true("its end", function() return server:stats().failed == 1 end)
      forger:cancel()
      forger:join()
      assert.is_true(c:send "one")
      assert.equal("one", (s:recv { timeout = 5 }))
      assert.is_true(s:send "two")
      assert.equal("two", (c:recv { timeout = 5 }))
    end)
  end)

  it("changes its configuration for those to come", function()
    local peer <close> = dtls.echo(shop, { identity = "self_signed" })
    local old <close> = assert(connect(peer.port, { verify = "none" }))
    assert.is_true(peer.server:configure(shop:identity "server"))
    local new <close> = assert(connect(peer.port))
    for _, c in ipairs { old, new } do
      assert.is_true(c:send "hello")
      assert.equal("hello", (c:recv { timeout = 5 }))
    end
    local ok, err = peer.server:configure { cert = shop:cert "server", key = shop:key "client" }
    assert.is_nil(ok)
    assert.equal("KEY_MISMATCH", err.code)
    assert.is_not_nil(peer.server:configuration())
    assert.has_error(function() peer.server:configure() end)
    assert.has_error(function() peer.server:configure { mtu = 1200 } end)
  end)

  it("lets connections go on when it is closed, and the socket with the last", function()
    local server = assert(qn.dtls.listen("127.0.0.1", 0, dtls.server_options(shop)))
    local port = server:port()
    local c <close> = assert(connect(port))
    local s = assert(server:accept(5))
    local waiting <close> = assert(connect(port, { sessions = false })) -- never accepted
    server:close()
    assert.equal("open", server:state())
    local _, err = waiting:recv { timeout = 5 }
    assert.equal("eof", err.kind)
    assert.is_true(c:send "still")
    assert.equal("still", (s:recv { timeout = 5 }))
    local d, none = connect(port, { timeout = 0.05 })
    assert.is_nil(d)
    assert.equal("timeout", none.kind)
    s:close()
    assert.equal("closed", server:state())
    local again <close> = assert(qn.dtls.listen("127.0.0.1", port, dtls.server_options(shop)))
    assert.equal(port, again:port())
  end)

  it("closes connections that have been idle", function()
    local peer <close> = dtls.echo(shop, { idle_timeout = 0.05 })
    local c <close> = assert(connect(peer.port))
    local _, err = c:recv { timeout = 10 }
    assert.equal("eof", err.kind)
    program.until_true("the end", function() return peer.server:stats().connections == 0 end)
  end)
end)
