-- What comes with a datagram, as a value.

local qn = require "qn"

local function throws(text, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(err):find(text, 1, true), tostring(err))
end

describe("a datagram", function()
  local function exchange(opts, host, text)
    local u <close> = assert(qn.udp.bind(opts.addr or "*", 0, opts.open))
    local c <close> = assert(qn.udp.connect(host, u:local_port(), { ttl = opts.ttl }))
    assert(c:send(text or "x"))
    local _, from = u:recv()
    return from, c:local_port(), u:local_port()
  end

  for _, host in ipairs { "127.0.0.1", "::1" } do
    it("knows its way (" .. host .. ")", function()
      local from, port, server_port = exchange({ open = { details = true }, ttl = 33 }, host)
      assert.equal(host, tostring(from.address))
      assert.equal(port, from.port)
      assert.equal(host, tostring(from.destination))
      assert.equal(33, from.hop_limit)
      assert.equal(1, from.interface_index)
      assert.equal(1, from.size)
      assert.is_false(from.truncated)
      assert.is_nil(from.data)
      assert.is_true(server_port > 0)
    end)
  end

  it("of a socket with one address knows where it was sent to", function()
    local u <close> = assert(qn.udp.bind("127.0.0.1", 0))
    u:send("x", "127.0.0.1", u:local_port())
    local _, from = u:recv()
    assert.equal("127.0.0.1", tostring(from.destination))
    assert.equal(u:local_port(), from.destination_port)
    assert.is_nil(from.hop_limit)
    assert.is_nil(from.interface_index)
  end)

  it("is a value: read only, shown as its sender", function()
    local from, port = exchange({}, "127.0.0.1")
    assert.equal("127.0.0.1:" .. port, tostring(from))
    throws("attempt to index", function() from.port = 1 end)
    assert.is_nil(from.no_such_field)
    assert.is_nil(from[true])
    assert.is_function(from.reply)
  end)

  it("lives longer than its socket", function()
    local from, port = exchange({ addr = "127.0.0.1" }, "127.0.0.1")
    collectgarbage()
    assert.equal(port, from.port)
    assert.is_nil(from.destination) -- only the socket knew
    assert.is_nil(from.destination_port)
  end)
end)
