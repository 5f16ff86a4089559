-- Receiving datagrams: whole, cut, empty, in batches, into buffers; who may read; nothing is lost.

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

describe("receiving", function()
  local u, peer
  before_each(function()
    u = assert(qn.udp.bind("127.0.0.1", 0))
    peer = assert(qn.udp.connect("127.0.0.1", u:local_port()))
  end)
  after_each(function()
    u:close()
    peer:close()
    u, peer = nil, nil
  end)

  it("gives each datagram whole, also empty and large ones", function()
    for _, size in ipairs { 0, 1, 1500, 9000, 65507, 0 } do
      assert.is_true(peer:send(("x"):rep(size)))
      local data, from = u:recv()
      assert.equal(size, #data)
      assert.equal(size, from.size)
      assert.is_false(from.truncated)
    end
  end)

  it("cuts at max and says so", function()
    peer:send("0123456789")
    peer:send("abc")
    peer:send("gone")
    local data, from = u:recv { max = 4 }
    assert.equal("0123", data)
    assert.is_true(from.truncated)
    assert.equal(10, from.size)
    data, from = u:recv { max = 4 }
    assert.equal("abc", data)
    assert.is_false(from.truncated)
    assert.equal("", (u:recv { max = 0 }))
    assert.is_nil((u:recv { timeout = 0 }))
  end)

  it("looks when it has no time, and waits when it has", function()
    assert_error("timeout", u:recv { timeout = 0 })
    peer:send("there")
    assert.equal("there", (u:recv { timeout = 0 }))
    local err = assert_error("timeout", u:recv { timeout = 0.001 })
    assert.equal("read", err.phase)
    assert.equal("recv", err.op)
  end)

  it("tells what waits without taking it", function()
    assert.is_nil(u:pending_size())
    assert.is_false(u:has_pending())
    peer:send("")
    peer:send("12345")
    assert.equal(0, u:pending_size())
    assert.is_true(u:has_pending())
    u:recv()
    assert.equal(5, u:pending_size())
    assert.equal("12345", (u:recv()))
    assert.is_false(u:has_pending())
  end)

  it("has one reader", function()
    local task = qn.spawn(u.recv, u)
    qn.yield()
    assert_error("busy", u:recv())
    peer:send("for the task")
    assert.same({ true, "for the task" }, { select(1, task:join()), (select(2, task:join())) })
  end)

  it("is not disturbed by who looks what waits", function()
    local task = qn.spawn(u.recv, u)
    qn.yield()
    peer:send("mine")
    assert.is_true(u:has_pending())
    assert_error("busy", u:recv { timeout = 0 })
    assert.same({ true, "mine" }, { select(1, task:join(5)), (select(2, task:join())) })
  end)

  it("is ended by close", function()
    local task = qn.spawn(u.recv, u)
    qn.yield()
    u:close()
    local _, value, err = task:join()
    assert_error("closed", value, err)
  end)

  it("loses nothing when a wait is cancelled", function()
    for i = 1, 20 do
      local task = qn.spawn(u.recv, u)
      for _ = 1, i % 4 do
        qn.yield()
      end
      peer:send("m" .. i)
      for _ = 1, i % 3 do
        qn.yield()
      end
      task:cancel()
      local ok, data = task:join()
      assert.equal("m" .. i, ok and data or (u:recv { timeout = 5 }))
    end
    assert_error("timeout", u:recv { timeout = 0 })
  end)

  it("loses nothing when a scope ends it", function()
    for i = 1, 20 do
      peer:send("s" .. i)
      local data = qn.timeout(0, function() return (u:recv()) end)
      assert.equal("s" .. i, data or (u:recv()))
    end
  end)

  it("into a buffer: replaced, appended, cut", function()
    local buf = qn.buffer(8)
    peer:send("one")
    peer:send("two")
    peer:send("0123456789")
    local n, from = u:recv_into(buf)
    assert.equal(3, n)
    assert.equal(peer:local_port(), from.port)
    assert.equal("one", buf:tostring())
    assert.equal(3, (u:recv_into(buf, { append = true })))
    assert.equal("onetwo", buf:tostring())
    n, from = u:recv_into(buf)
    assert.equal(8, n)
    assert.is_true(from.truncated)
    assert.equal("01234567", buf:tostring())
    assert_error("timeout", u:recv_into(buf, { timeout = 0 }))
    throws("qn.Buffer expected", u.recv_into, u, "no")
  end)

  it("in batches, as many as there are", function()
    for i = 1, 40 do
      peer:send("d" .. i)
    end
    local first = assert(u:recv_batch(5))
    assert.equal(5, #first)
    local rest = assert(u:recv_batch())
    assert.equal(35, #rest)
    assert.equal("d6", rest[1].data)
    assert.equal("d40", rest[35][1])
    assert.equal(rest[35], rest[35][2])
    assert.is_nil(rest[1][3])
    assert.equal(peer:local_port(), rest[1].port)
    assert_error("timeout", u:recv_batch(1, { timeout = 0 }))
    local task = qn.spawn(u.recv_batch, u, 3)
    qn.yield()
    peer:send("later")
    local _, list = task:join()
    assert.equal("later", list[1].data)
    throws("n must be from 1", u.recv_batch, u, 0)
  end)

  it("as an iterator, until the socket is closed", function()
    for i = 1, 3 do
      peer:send("e" .. i)
    end
    local got = {}
    for data, from in u:each() do
      got[#got + 1] = data
      assert.equal(peer:local_port(), from.port)
      if data == "e3" then
        u:close()
      end
    end
    assert.same({ "e1", "e2", "e3" }, got)
  end)

  it("the iterator throws errors", function()
    local ok, err = pcall(function()
      for _ in u:each { timeout = 0.001 } do
        error("nothing was sent")
      end
    end)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
  end)

  it("of a refusal: an error of the next call, and the socket goes on", function()
    local port = u:local_port()
    u:close()
    peer:send("into the void")
    local err = assert_error("refused", peer:recv { timeout = 5 })
    assert.equal("127.0.0.1:" .. port, err.peer)
    u = assert(qn.udp.bind("127.0.0.1", port))
    assert.is_true(peer:send("again"))
    assert.equal("again", (u:recv()))
  end)

  it("of refusals of unconnected sends, when wanted", function()
    local dead = assert(qn.udp.bind("127.0.0.1", 0))
    local port = dead:local_port()
    dead:close()
    local e <close> = assert(qn.udp.bind("127.0.0.1", 0, { errors = true }))
    assert.is_true(e:send("x", "127.0.0.1", port))
    assert.is_true(e:send("y", "127.0.0.1", u:local_port())) -- not disturbed
    assert.equal("y", (u:recv()))
    local err = assert_error("refused", e:recv { timeout = 5 })
    assert.equal("127.0.0.1:" .. port, err.peer)
    assert_error("timeout", e:recv { timeout = 0 })
  end)

  it("does not starve others", function()
    for _ = 1, 200 do
      peer:send("x")
    end
    local others = 0
    local task = qn.spawn(function()
      while true do
        others = others + 1
        qn.yield()
      end
    end)
    for _ = 1, 200 do
      assert(u:recv { timeout = 0 })
    end
    task:cancel()
    assert.is_true(others >= 2)
  end)

  it("from many sockets at once keeps each one's order", function()
    local v <close> = assert(qn.udp.bind("127.0.0.1", 0))
    for i = 1, 30 do
      peer:send("u" .. i)
      peer:send("v" .. i, "127.0.0.1", v:local_port())
    end
    for i = 1, 30 do
      assert.equal("u" .. i, (u:recv()))
      assert.equal("v" .. i, (v:recv()))
    end
  end)

  it("refuses bad options", function()
    throws("unknown option 'timout' (did you mean 'timeout'?)", u.recv, u, { timout = 1 })
    throws("option 'max'", u.recv, u, { max = -1 })
    local s <close> = assert(qn.udp.socket())
    assert_error("closed", s:recv()) -- bound to nothing
  end)
end)
