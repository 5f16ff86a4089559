-- Connections of DTLS: waiting and cancelling, sizes, queues, how they end, events, counters.
-- covers: bindings/b_dtls.c

local certs = require "spec.support.tls_certs"
local dtls = require "spec.support.dtls"
local program = require "spec.support.program"
local qn = require "qn"

describe("a connection of DTLS", function()
  local shop

  setup(function() shop = certs.open() end)
  teardown(function() shop:close() end)

  -- Both ends of a connection, and the server.
  local function both(server_more, client_more)
    local server = assert(qn.dtls.listen("127.0.0.1", 0, dtls.server_options(shop, server_more)))
    local c = assert(qn.dtls.connect("127.0.0.1", server:port(), dtls.client_options(shop, client_more)))
    local s = assert(server:accept(5))
    return setmetatable({ c = c, s = s, server = server }, { __close = function()
      c:close()
      s:close()
      server:close()
    end })
  end

  describe("messages", function()
    it("above the size that fits are refused with both sizes, and never split", function()
      local b <close> = both()
      local most = b.c:max_size()
      assert.is_true(most < 1200 and most > 1100)
      local ok, err = b.c:send(("x"):rep(most + 1))
      assert.is_nil(ok)
      assert.equal("DATAGRAM_TOO_LARGE", err.code)
      assert.equal("limit", err.kind)
      assert.equal(most + 1, err.size)
      assert.equal(most, err.limit)
      ok, err = b.c:try_send(("x"):rep(most + 1))
      assert.is_nil(ok)
      assert.equal(most, err.limit)
      assert.has_error(function() b.c:send "" end)
      assert.has_error(function() b.c:send(1) end)
      assert.is_true(b.c:try_send(("x"):rep(most)))
      assert.equal(most, #b.s:recv { timeout = 5 })
    end)

    it("may be as large as the mtu allows, up to 16 KiB", function()
      local b <close> = both({ mtu = 16717 }, { mtu = 16717 })
      assert.equal(16384, b.c:max_size())
      assert.is_true(b.c:send(("x"):rep(16384)))
      assert.equal(16384, #b.s:recv { timeout = 5 })
      b.c:set_mtu(300)
      assert.equal(300, b.c:mtu())
      assert.is_true(b.c:max_size() < 300)
      assert.has_error(function() b.c:set_mtu(227) end)
      assert.has_error(function() b.c:set_mtu(20000) end)
    end)

    it("are sent from buffers, too", function()
      local b <close> = both()
      assert.is_true(b.c:send(qn.buffer "from a buffer"))
      assert.equal("from a buffer", (b.s:recv { timeout = 5 }))
    end)

    it("that nobody takes are kept, up to a limit, then dropped and counted", function()
      local b <close> = both()
      for i = 1, 300 do
        assert.is_true(b.c:send(tostring(i)))
        if i % 50 == 0 then
          qn.sleep(0) -- the receive buffer of the socket is not what is tested
        end
      end
      program.until_true("all to arrive", function()
        local stats = b.s:stats()
        return stats.queued + stats.dropped == 300
      end)
      assert.equal(256, b.s:stats().queued)
      assert.equal(44, b.s:stats().dropped)
      assert.is_true(b.s:has_pending())
      assert.equal(1, b.s:pending_size())
      for i = 1, 256 do
        assert.equal(tostring(i), (b.s:recv()))
      end
      assert.is_false(b.s:has_pending())
      assert.is_nil(b.s:pending_size())
      assert.equal(256, b.s:stats().received)
    end)

    it("can be looped over; the loop ends with the connection", function()
      local b <close> = both()
      for i = 1, 3 do
        assert(b.c:send(tostring(i)))
      end
      b.c:close()
      local got = {}
      for data in b.s:each() do
        got[#got + 1] = data
      end
      assert.same({ "1", "2", "3" }, got)
      local other <close> = both()
      local ok, err = pcall(function()
        for _ in other.s:each { timeout = 0.01 } do end
      end)
      assert.is_false(ok)
      assert.equal("timeout", err.kind)
    end)
  end)

  describe("waiting", function()
    it("ends by time, by cancellation, and loses nothing", function()
      local b <close> = both()
      local _, err = b.s:recv { timeout = 0.01 }
      assert.equal("timeout", err.kind)
      assert.equal("read", err.phase)
      local task = qn.spawn(function() return b.s:recv() end)
      qn.yield()
      _, err = b.s:recv { timeout = 1 }
      assert.equal("busy", err.kind)
      task:cancel()
      task:join()
      assert.is_true(b.c:send "kept")
      assert.equal("kept", (b.s:recv { timeout = 5 }))
    end)

    it("ends when it is closed here, kind closed, by whatever way", function()
      for _, how in ipairs { "close", "abort" } do
        local b <close> = both()
        local data, err
        local task = qn.spawn(function() data, err = b.s:recv() end)
        qn.yield()
        b.s[how](b.s)
        task:join()
        assert.is_nil(data)
        assert.equal("closed", err.kind)
        assert.equal("closed", b.s:state())
        assert.equal("closed", select(2, b.s:recv()).kind)
        assert.equal("closed", select(2, b.s:send "x").kind)
        b.s:close() -- once more does nothing
      end
    end)

    it("of an aborted peer is not told; one that closes is: kind eof", function()
      local b <close> = both()
      assert(b.c:send "last")
      b.c:close()
      program.until_true("the end", function() return b.s:state() == "closed" end)
      assert.equal("last", (b.s:recv()))
      local _, err = b.s:recv()
      assert.equal("eof", err.kind)
      assert.matches("the peer has closed the connection", err.message, 1, true)
      assert.equal("eof", select(2, b.s:send "x").kind)
      assert.equal("close_notify", b.s:tls().alert_received)
      assert.equal("close_notify", b.s:tls().alert_sent)
    end)

    it("is bounded by an idle timeout", function()
      local b <close> = both(nil, { idle_timeout = 0.05 })
      local _, err = b.c:recv { timeout = 10 }
      assert.equal("timeout", err.kind)
      assert.equal("idle", err.phase)
      _, err = b.s:recv { timeout = 10 }
      assert.equal("eof", err.kind)
    end)
  end)

  it("is closed with its scope, and its socket with it", function()
    local server <close> = assert(qn.dtls.listen("127.0.0.1", 0, dtls.server_options(shop)))
    local port
    do
      local c <close> = assert(qn.dtls.connect("127.0.0.1", server:port(), dtls.client_options(shop)))
      port = c:local_port()
    end
    local s <close> = assert(server:accept(5))
    assert.equal("eof", select(2, s:recv { timeout = 5 }).kind)
    local socket <close> = assert(qn.udp.bind("127.0.0.1", port))
    assert.equal(port, socket:local_port())
  end)

  describe("events", function()
    it("tell messages, alerts and the end, in order", function()
      local b <close> = both()
      local got = {}
      b.s:on("message", function(data) got[#got + 1] = data end)
      b.s:on("alert_received", function(name) got[#got + 1] = "<" .. name end)
      b.s:on("alert_sent", function(name, number) got[#got + 1] = ">" .. name .. number end)
      local reason
      local closed = qn.spawn(function() reason = b.s:wait("closed", 5) end)
      qn.yield()
      assert(b.c:send "one")
      assert(b.c:send "two")
      program.until_true("two messages", function() return #got == 2 end)
      b.c:close()
      closed:join()
      assert.equal("eof", reason.kind)
      program.until_true("the alerts", function() return #got == 4 end)
      assert.same({ "one", "two", "<close_notify", ">close_notify0" }, got)
    end)

    it("tell that something is there, once until it was looked at", function()
      local b <close> = both()
      local n = 0
      b.s:on("ready_read", function() n = n + 1 end)
      qn.yield()
      assert(b.c:send "one")
      assert(b.c:send "two")
      program.until_true("the first", function() return n == 1 end)
      assert.equal("one", (b.s:recv { timeout = 5 }))
      program.until_true("the second", function() return n == 2 end)
      assert.equal("two", (b.s:recv { timeout = 5 }))
      b.s:off()
      assert.has_error(function() b.s:on("mesage", function() end) end)
      assert.equal("closed", select(2, (function()
        b.s:close()
        return b.s:wait("message", 1)
      end)()).kind)
    end)

    it("keep others from reading while there is a listener of messages", function()
      local b <close> = both()
      local got
      local function note(data) got = data end
      b.s:on("message", note)
      assert.equal("busy", select(2, b.s:recv { timeout = 5 }).kind)
      qn.sleep(0.005) -- the task that fetches is there
      assert.equal("busy", select(2, b.s:recv { timeout = 5 }).kind)
      assert(b.c:send "for the listener")
      program.until_true("the message", function() return got end)
      assert.equal("for the listener", got)
      b.s:off("message", note)
      assert(b.c:send "for the reader")
      assert.equal("for the reader", (b.s:recv { timeout = 5 }))
      b.s:on("message", note)
      b.s:close()
      assert.equal("closed", select(2, b.s:recv { timeout = 5 }).kind)
    end)

    it("tell sessions of a client", function()
      local b <close> = both()
      assert.is_true(b.c:tls().session ~= nil)
      assert.equal("DTLSv1.2", b.c:tls().session.version)
    end)
  end)
end)
