-- Sending datagrams: destinations, sizes, refusals, batches, waiting for room.

local qn = require "qn"

local function throws(text, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(err):find(text, 1, true), tostring(err))
end

local function assert_error(kind, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind)
  return err
end

describe("sending", function()
  local u, peer
  before_each(function()
    u = assert(qn.udp.bind("127.0.0.1", 0))
    peer = assert(qn.udp.bind("127.0.0.1", 0))
  end)
  after_each(function()
    u:close()
    peer:close()
    u, peer = nil, nil
  end)

  it("to a literal, an address, a name, a datagram", function()
    local port = u:local_port()
    for _, host in ipairs { "127.0.0.1", assert(qn.address("127.0.0.1")), "localhost" } do
      assert.is_true(peer:send("to " .. tostring(host), host, port))
      local data, from = u:recv()
      assert.equal("to " .. tostring(host), data)
      assert.is_true(u:send("answer", from))
      assert.equal("answer", (peer:recv()))
    end
    assert_error("dns", peer:send("x", "no-such-name.invalid", port))
  end)

  it("a buffer as it is", function()
    local buf = qn.buffer("0123")
    assert.is_true(peer:send(buf, "127.0.0.1", u:local_port()))
    buf:clear()
    assert.is_true(peer:send(buf, "127.0.0.1", u:local_port()))
    assert.equal("0123", (u:recv()))
    assert.equal("", (u:recv()))
  end)

  it("binds an unbound socket, for both families", function()
    local six <close> = assert(qn.udp.bind("::1", 0))
    local s <close> = assert(qn.udp.socket())
    assert.is_true(s:send("four", "127.0.0.1", u:local_port()))
    assert.is_true(s:send("six", "::1", six:local_port()))
    assert.equal("four", (u:recv()))
    assert.equal("six", (six:recv()))
    assert.equal("bound", s:state())
  end)

  it("says that a datagram is too large", function()
    local err = assert_error("limit", peer:send(("x"):rep(65508), "127.0.0.1", u:local_port()))
    assert.equal("DATAGRAM_TOO_LARGE", err.code)
    assert.equal("127.0.0.1:" .. u:local_port(), err.peer)
  end)

  it("needs a destination", function()
    assert_error("closed", peer:send("x"))
    throws("number expected", peer.send, peer, "x", "127.0.0.1")
    throws("port 0", peer.send, peer, "x", "127.0.0.1", 0)
    throws("string or qn.Buffer", peer.send, peer, 12.5, "127.0.0.1", 9)
    throws("a host expected", peer.send, peer, "x", nil, 9)
  end)

  it("from a connected socket to another address, too", function()
    assert.is_true(peer:connect("127.0.0.1", u:local_port()))
    local other <close> = assert(qn.udp.bind("127.0.0.1", 0))
    assert.is_true(peer:send("x"))
    assert.is_true(peer:send("y", "127.0.0.1", other:local_port()))
    assert.equal("x", (u:recv()))
    assert.equal("y", (other:recv()))
  end)

  it("without waiting", function()
    assert.is_true(peer:try_send("x", "127.0.0.1", u:local_port()))
    assert.equal("x", (u:recv()))
    throws("names need send", peer.try_send, peer, "x", "localhost", 9)
  end)

  it("to a broadcast address", function()
    local all <close> = assert(qn.udp.bind("0.0.0.0", 0))
    assert.is_true(peer:send("hello, all", "127.255.255.255", all:local_port()))
    local data, from = all:recv()
    assert.equal("hello, all", data)
    assert.equal("127.255.255.255", tostring(from.destination))
    assert.is_true(from:reply("me"))
    assert.equal("me", (peer:recv()))
    assert.is_true(peer:option("broadcast", false))
    assert_error("denied", peer:send("x", "127.255.255.255", all:local_port()))
  end)

  it("answers from the address that was asked", function()
    local server <close> = assert(qn.udp.bind("*", 0))
    local client <close> = assert(qn.udp.connect("127.0.0.99", server:local_port()))
    client:send("who?")
    local _, from = server:recv()
    assert.equal("127.0.0.99", tostring(from.destination))
    assert.equal(server:local_port(), from.destination_port)
    assert.is_true(from:reply("me")) -- from elsewhere a connected socket would not take it
    assert.equal("me", (client:recv { timeout = 5 }))
  end)

  it("answers nothing once its socket is closed", function()
    peer:send("x", "127.0.0.1", u:local_port())
    local _, from = u:recv()
    u:close()
    assert_error("closed", from:reply("late"))
  end)

  it("many, each to its own destination", function()
    local other <close> = assert(qn.udp.bind("::1", 0))
    local s <close> = assert(qn.udp.socket())
    local address = assert(qn.address("127.0.0.1"))
    local list = {
      "default", qn.buffer("buffer"),
      { "one", "127.0.0.1", u:local_port() },
      { data = "two", host = address, port = u:local_port() },
      { "six", "::1", other:local_port() },
    }
    assert.equal(5, s:send_batch(list, "127.0.0.1", u:local_port()))
    for _, text in ipairs { "default", "buffer", "one", "two" } do
      assert.equal(text, (u:recv()))
    end
    assert.equal("six", (other:recv()))
    assert.equal(0, s:send_batch({}))
  end)

  it("many of equal size in few system calls", function()
    local list = {}
    for i = 1, 200 do
      list[i] = ("%03d"):format(i)
    end
    u:option("receive_buffer", 1 << 20)
    assert.equal(200, peer:send_batch(list, "127.0.0.1", u:local_port()))
    assert.is_true(peer:stats().system_calls < 20)
    for i = 1, 200 do
      assert.equal(list[i], (u:recv()))
    end
  end)

  it("what a batch brought goes back", function()
    for i = 1, 10 do
      peer:send("e" .. i, "127.0.0.1", u:local_port())
    end
    assert.equal(10, u:send_batch(assert(u:recv_batch())))
    for i = 1, 10 do
      assert.equal("e" .. i, (peer:recv()))
    end
    u:send("x", "127.0.0.1", peer:local_port())
    local data, from = peer:recv()
    assert.equal(2, peer:send_batch { { data, from }, { data = "named", to = from } })
    assert.equal("x", (u:recv()))
    assert.equal("named", (u:recv()))
  end)

  it("a batch stops at an error and says how far it came", function()
    local list = { "a", "b", ("x"):rep(65508), "c" }
    local err = assert_error("limit", peer:send_batch(list, "127.0.0.1", u:local_port()))
    assert.equal(2, err.partial)
    assert.equal("a", (u:recv()))
    assert.equal("b", (u:recv()))
    assert.is_nil((u:recv { timeout = 0 }))
  end)

  it("a batch is checked before anything leaves", function()
    local port = u:local_port()
    throws("entry 2: string, qn.Buffer", peer.send_batch, peer, { "a", true }, "127.0.0.1", port)
    throws("entry 2: a port", peer.send_batch, peer, { "a", { "b", "127.0.0.1" } }, "127.0.0.1", port)
    throws("entry 1: string", peer.send_batch, peer, { { nil, "127.0.0.1", 9 } })
    throws("entry 1: an address", peer.send_batch, peer, { { "x", "localhost", 9 } })
    throws("table expected", peer.send_batch, peer, "x")
    -- metamethods are not asked: what they make would have nobody who keeps it
    local made = setmetatable({}, { __index = function() return ("made"):rep(100) end })
    throws("entry 2: string", peer.send_batch, peer, { "a", made }, "127.0.0.1", port)
    assert.is_nil((u:recv { timeout = 0 }))
    assert_error("closed", peer:send_batch { "no destination" })
  end)
end)
