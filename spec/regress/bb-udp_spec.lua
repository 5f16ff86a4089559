-- What using datagram sockets by their documentation alone has found.

local qn = require "qn"

local function bind(...)
  return assert(qn.udp.bind("127.0.0.1", 0, ...))
end

describe("a request of a socket that is not connected", function()
  local asker, server, stranger
  before_each(function() asker, server, stranger = bind(), bind(), bind() end)
  after_each(function()
    asker:close()
    server:close()
    stranger:close()
    asker, server, stranger = nil, nil, nil
  end)

  local function serve(socket, answer)
    qn.spawn(function()
      for _, from in socket:each() do
        stranger:send("id forged", from.address, from.port)
        from:reply(answer)
      end
    end)
  end

  it("is answered by whom was asked, and nobody else", function()
    serve(server, "id real")
    local port = server:local_port()
    for _, match in ipairs { false, "id" } do
      local others = {}
      local answer = asker:request("q", { host = "127.0.0.1", port = port, match = match or nil,
        on_other = function(data) others[#others + 1] = data end })
      assert.equal("id real", answer)
      assert.same({ "id forged" }, others)
    end
    assert.equal("id real", (asker:request("q", { host = qn.address("127.0.0.1"), port = port })))
    assert.equal("id real", (asker:request("q", { host = "::ffff:127.0.0.1", port = port })))
    assert.equal("id real", (asker:request("q", { host = "localhost", port = port })))
    asker:send("who are you?", "127.0.0.1", stranger:local_port())
    server:send("hello", "127.0.0.1", asker:local_port())
    local _, from = asker:recv()
    assert.equal("id real", (asker:request("q", { host = from })))
  end)

  it("leaves it to a function", function()
    serve(server, "id real")
    local answer = asker:request("q", { host = "127.0.0.1", port = server:local_port(),
      match = function(data) return data == "id forged" end })
    assert.equal("id forged", answer)
  end)

  it("to a group or a broadcast address is answered by anybody", function()
    local member <close> = assert(qn.udp.bind("0.0.0.0", 0))
    assert(member:join("239.255.70.71", "lo"))
    qn.spawn(function()
      for _, from in member:each() do
        stranger:send("me", from.address, from.port)
      end
    end)
    local one <close> = assert(qn.udp.socket { family = "ipv4" })
    assert(one:multicast_interface("lo"))
    for _, host in ipairs { "239.255.70.71", "127.255.255.255" } do
      local answer = one:request("q", { host = host, port = member:local_port() })
      assert.equal("me", answer)
    end
  end)

  it("needs a port, and a host that there is", function()
    local ok, err = pcall(asker.request, asker, "q", { host = "127.0.0.1" })
    assert.is_false(ok)
    assert.truthy(err:find("request: option 'host' needs option 'port'", 1, true), err)
    for _, host in ipairs { "", "a b", "1.2.3.4.5", ":::" } do
      local answer
      answer, err = asker:request("q", { host = host, port = 9 })
      assert.is_nil(answer)
      assert.equal("invalid", err.kind)
    end
  end)
end)

describe("a datagram socket", function()
  it("counts what was cut off", function()
    local u <close> = bind()
    for _ = 1, 4 do
      assert(u:send("12345", "127.0.0.1", u:local_port()))
    end
    u:recv { max = 4 }
    u:recv { max = 5 }
    u:recv_into(qn.buffer(3))
    u:recv_batch(1, { max = 0 })
    assert.equal(3, u:stats().truncated)
  end)

  it("blames the caller for wrong arguments", function()
    for _, f in ipairs {
      function() qn.udp.bind("example.org", 0) end,
      function() qn.udp.bind("127.0.0.1", 65536) end,
      function() qn.udp.connect("127.0.0.1", 0) end,
      function() qn.udp.connect("127.0.0.1", 9, { bind = "127.0.0.1:x" }) end,
    } do
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.truthy(err:find("^[^:]*bb%-udp_spec%.lua:%d+: bad argument #%d to '"), err)
    end
  end)

  it("is given up by who makes it", function()
    local task = qn.spawn(qn.udp.connect, "slow.test", 9)
    qn.yield()
    task:cancel()
    assert.is_false((task:join()))
    assert.is_true(qn.is_cancelled(select(2, task:join())))
  end)

  it("knows no interface with a zero byte in its name", function()
    local u <close> = bind()
    for _, result in ipairs {
      table.pack(u:multicast_interface("lo\0x")),
      table.pack(u:join("239.255.70.72", "lo\0")),
      table.pack(u:leave("239.255.70.72", "lo\0")),
    } do
      assert.is_nil(result[1])
      assert.equal("ENODEV", result[2].code)
    end
  end)

  it("does not take no host for this machine", function()
    local u <close> = bind()
    local ok, err = u:send("x", "", u:local_port())
    assert.is_nil(ok)
    assert.equal("invalid", err.kind)
    local connected
    connected, err = qn.udp.connect("", 9)
    assert.is_nil(connected)
    assert.equal("invalid", err.kind)
    ok = pcall(u.send_batch, u, { "x" }, "", 9)
    assert.is_false(ok)
    assert.is_false(u:has_pending())
  end)
end)
