-- The rows UDP-* of the Qt coverage (QUdpSocket), what Qt 5 added to them (Q5-01, Q5-02, Q5-12) and
-- WEAK-17, one spec per row; docs/qt-coverage.md names them. UDP-11 comes with proxies.

local qn = require "qn"

local function pair()
  local server = assert(qn.udp.bind("127.0.0.1", 0))
  local client = assert(qn.udp.connect("127.0.0.1", server:local_port()))
  return server, client
end

describe("QUdpSocket", function()
  it("UDP-01 bind", function()
    local u <close> = assert(qn.udp.socket())
    local seen = {}
    u:on("state_changed", function(state) seen[#seen + 1] = state end)
    assert.is_true(u:bind())
    assert.equal("bound", u:state())
    assert.is_true(u:local_port() > 0)
    assert.equal("::", tostring(u:local_address()))
    qn.yield()
    qn.yield()
    assert.same({ "bound" }, seen)
    local second, err = qn.udp.bind("*", u:local_port())
    assert.is_nil(second)
    assert.equal("exists", err.kind)
  end)

  it("UDP-02 modes: share, exclusive", function()
    local one <close> = assert(qn.udp.bind("0.0.0.0", 0, { mode = "share" }))
    local two <close> = assert(qn.udp.bind("0.0.0.0", one:local_port(), { mode = "share" }))
    assert.equal(one:local_port(), two:local_port())
    local three, err = qn.udp.bind("0.0.0.0", one:local_port(), { mode = "exclusive" })
    assert.is_nil(three)
    assert.equal("EADDRINUSE", err.code)
  end)

  it("UDP-03 the first datagram's size; empty ones are legal", function()
    local server, client = pair()
    local _ <close> = server
    local _ <close> = client
    assert.is_false(server:has_pending())
    assert.is_nil(server:pending_size())
    client:send("")
    client:send("12345")
    assert.equal(0, server:pending_size())
    assert.equal("", (server:recv()))
    assert.equal(5, server:pending_size())
  end)

  it("UDP-04 one datagram per read; what is too long is lost, and that is told", function()
    local server, client = pair()
    local _ <close> = server
    local _ <close> = client
    client:send("0123456789")
    client:send("next")
    local data, from = server:recv { max = 3 }
    assert.equal("012", data)
    assert.is_true(from.truncated)
    assert.equal(client:local_port(), from.port)
    assert.equal("127.0.0.1", tostring(from.address))
    assert.equal("", (server:recv { max = 0 }))
    assert.is_nil((server:recv { timeout = 0 }))
  end)

  it("UDP-05 sends at once, unbound too; too large is an error", function()
    local server, client = pair()
    local _ <close> = server
    client:close()
    local u <close> = assert(qn.udp.socket())
    assert.is_true(u:send("x", "127.0.0.1", server:local_port()))
    assert.equal("bound", u:state())
    assert.equal("x", (server:recv { timeout = 5 }))
    local ok, err = u:send(("x"):rep(70000), "127.0.0.1", server:local_port())
    assert.is_nil(ok)
    assert.equal("DATAGRAM_TOO_LARGE", err.code)
  end)

  it("UDP-06 a virtual connection", function()
    local server, client = pair()
    local _ <close> = server
    local _ <close> = client
    local stranger <close> = assert(qn.udp.socket())
    stranger:send("from elsewhere", "127.0.0.1", client:local_port())
    server:send("from the peer", "127.0.0.1", client:local_port())
    assert.equal("from the peer", (client:recv()))
    assert.is_nil((client:recv { timeout = 0 }))
    assert.equal(server:local_port(), client:peer_port())
  end)

  it("UDP-07 WEAK-17 every datagram is told, whatever handlers read", function()
    local server, client = pair()
    local _ <close> = server
    local _ <close> = client
    local got = 0
    server:on("datagram", function() got = got + 1 end)
    for _ = 1, 3 do
      for _ = 1, 50 do
        client:send("x")
      end
      local wanted = got + 1
      local give_up = qn.now() + 60
      while got < wanted or client:stats().sent > got do
        assert.is_true(qn.now() < give_up)
        qn.sleep(0.001)
      end
    end
    assert.equal(150, got)
    server:off()
    local ready = 0
    server:on("ready_read", function() ready = ready + 1 end)
    client:send("y")
    local give_up = qn.now() + 60
    while ready == 0 do
      assert.is_true(qn.now() < give_up)
      qn.sleep(0.001)
    end
    assert.equal("y", (server:recv()))
    server:close()
    qn.yield()
    qn.yield()
  end)

  it("UDP-08 broadcast", function()
    local all <close> = assert(qn.udp.bind("0.0.0.0", 0))
    local u <close> = assert(qn.udp.socket())
    assert.is_true(u:send("anybody?", "127.255.255.255", all:local_port()))
    assert.equal("anybody?", (all:recv()))
    assert.equal(1, all:option("broadcast"))
  end)

  it("UDP-09 no write buffering", function()
    local server, client = pair()
    local _ <close> = server
    local _ <close> = client
    assert.is_true(client:try_send("now"))
    assert.equal(3, server:pending_size()) -- without any turn of the loop
  end)

  it("UDP-10 the largest is 65507 bytes", function()
    local server, client = pair()
    local _ <close> = server
    local _ <close> = client
    assert.is_true(client:send(("x"):rep(65507)))
    assert.equal(65507, #server:recv())
    assert.is_nil((client:send(("x"):rep(65508))))
  end)

  it("Q5-01 multicast", function()
    local u <close> = assert(qn.udp.bind("0.0.0.0", 0))
    assert.is_true(u:multicast_interface("lo"))
    assert.equal(1, (u:multicast_interface()))
    assert.is_true(u:join("239.255.0.9", "lo"))
    assert.is_true(u:send("group", "239.255.0.9", u:local_port()))
    assert.equal("group", (u:recv()))
    assert.is_true(u:leave("239.255.0.9", "lo"))
  end)

  it("Q5-02 multicast options", function()
    local u <close> = assert(qn.udp.bind("0.0.0.0", 0))
    assert.equal(1, u:option("multicast_ttl"))
    assert.equal(1, u:option("multicast_loopback"))
    assert.is_true(u:option("multicast_ttl", 12))
    assert.is_true(u:option("multicast_loopback", false))
    assert.equal(12, u:option("multicast_ttl"))
    assert.equal(0, u:option("multicast_loopback"))
  end)

  it("Q5-12 datagrams know their way and are answered", function()
    local u <close> = assert(qn.udp.bind("*", 0, { details = true }))
    local client <close> = assert(qn.udp.connect("127.0.0.1", u:local_port(), { ttl = 9 }))
    client:send("question")
    local list = assert(u:recv_batch(1))
    local d = list[1]
    assert.equal("question", d.data)
    assert.equal(client:local_port(), d.port)
    assert.equal("127.0.0.1", tostring(d.destination))
    assert.equal(u:local_port(), d.destination_port)
    assert.equal(9, d.hop_limit)
    assert.equal(1, d.interface_index)
    assert.is_true(d:reply("answer"))
    assert.equal("answer", (client:recv()))
  end)
end)
