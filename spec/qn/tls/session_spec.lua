-- Sessions: remembered by peer and configuration, exported and imported, never a way past verification.
-- covers: lua/qn/tls/socket.lua
-- covers: bindings/b_tls_facts.c
-- covers: runtime/tls/session.c

local qn = require "qn"
local tls_streams = require "spec.support.tls_streams"

describe("sessions", function()
  local streams
  setup(function() streams = tls_streams.open() end)
  teardown(function() streams:close() end)

  -- One exchange; whether it was a resumed connection, and its session.
  local function visit(port, opts, host)
    local s <close> = assert(qn.tls.connect(host or "127.0.0.1", port, opts))
    assert(s:write("x\n"))
    assert.equal("x", s:read("l"))
    local facts = s:tls()
    return facts.resumed, facts.session, facts
  end

  for _, version in ipairs { "1.2", "1.3" } do
    for _, tickets in ipairs { true, false } do
      it(("are remembered (TLS %s, %s)"):format(version, tickets and "tickets" or "ids"), function()
        streams:serving({ max_version = version, tickets = tickets }, function(port)
          assert.is_false((visit(port, streams:client())))
          local resumed, _, facts = visit(port, streams:client())
          assert.is_true(resumed)
          assert.equal("TLSv" .. version, facts.version)
          assert.equal("server", facts.peer.subject[1].value) -- known also then
          assert.same({}, facts.errors)
          assert.is_true((visit(port, streams:client())))
        end)
      end)
    end
  end

  it("are those of one configuration and peer", function()
    streams:serving({}, function(port)
      assert.is_false((visit(port, streams:client())))
      assert.is_true((visit(port, streams:client())))
      assert.is_false((visit(port, streams:client { alpn = "x" }))) -- another configuration
      assert.is_false((visit(port, streams:client { verify_name = "www.wild.test" }))) -- another name
      assert.is_false((visit(port, streams:client(), "localhost"))) -- another peer
      local config = assert(qn.tls.configuration(streams:client()))
      assert.is_false((visit(port, { tls = config:with { verify_depth = 5 } })))
    end)
  end)

  it("are not kept when they are off, on either side", function()
    streams:serving({}, function(port)
      assert.is_false((visit(port, streams:client { sessions = false })))
      assert.is_false((visit(port, streams:client { sessions = false })))
    end)
    streams:serving({ sessions = false }, function(port)
      assert.is_false((visit(port, streams:client())))
      assert.is_false((visit(port, streams:client())))
    end)
  end)

  for _, version in ipairs { "1.2", "1.3" } do
    it("can be kept as bytes, beyond the configuration (TLS " .. version .. ")", function()
      streams:serving({ max_version = version }, function(port)
        local _, session = visit(port, streams:client { sessions = true })
        assert.equal("TLSv" .. version, session.version)
        assert.is_true(session.expires > os.time())
        assert.equal("qn.TlsSession: TLSv" .. version, tostring(session))
        local bytes = assert(session:export())
        assert.is_string(bytes)
        local other = streams:client { alpn = "x" }
        assert.is_false((visit(port, other)))
        other.session = session
        assert.is_true((visit(port, other)))
        other = streams:client { alpn = "y" }
        other.session = bytes
        assert.is_true((visit(port, other)))
        assert.is_false((visit(port, streams:client { session = bytes, verify_depth = 3 }))) -- verifies otherwise
      end)
    end)
  end

  it("of another server are no harm", function()
    local session
    streams:serving({}, function(port) session = select(2, visit(port, streams:client())) end)
    streams:serving({ verify_depth = 1 }, function(port)
      assert.is_false((visit(port, streams:client { session = session })))
    end)
    local config, err = qn.tls.connect("127.0.0.1", 1, streams:client { session = "no session" })
    assert.is_nil(config)
    assert.equal("invalid", err.kind)
    assert.truthy(tostring(err):find("option 'session'", 1, true), tostring(err))
  end)

  it("do not carry what was accepted once into another connection", function()
    streams:serving({}, function(port)
      local session
      do
        local s <close> = qn.tcp.socket()
        s:on("ssl_errors", function() s:ignore_ssl_errors() end)
        assert(s:connect("127.0.0.1", port, { tls = { server_name = "x.test" } }))
        assert(s:write("x\n"))
        assert.equal("x", s:read("l"))
        session = s:tls().session
      end
      local s, err = qn.tls.connect("127.0.0.1", port, { server_name = "x.test" })
      assert.is_nil(s)
      assert.equal("tls", err.kind)
      s, err = qn.tls.connect("127.0.0.1", port, { server_name = "x.test", session = session })
      assert.is_nil(s)
      assert.equal("tls", err.kind)
      -- nor a good session to another name
      local good = select(2, visit(port, streams:client()))
      s, err = qn.tls.connect("127.0.0.1", port, streams:client { session = good, verify_name = "y.test" })
      assert.is_nil(s)
      assert.equal("CERT_HOSTNAME_MISMATCH", err.code)
    end)
  end)

  it("keep the errors that a peer has in mode query", function()
    streams:serving({}, function(port)
      local opts = { server_name = "x.test", verify = "query" }
      local _, _, first = visit(port, opts)
      local resumed, _, second = visit(port, opts)
      assert.is_true(resumed)
      assert.is_true(#first.errors >= 2)
      assert.is_true(#second.errors >= 1)
    end)
  end)

  it("of several servers are known to each other by the same ticket keys", function()
    local keys = { ("k"):rep(80) }
    local session
    streams:serving({ ticket_keys = keys }, function(port) session = select(2, visit(port, streams:client())) end)
    streams:serving({ ticket_keys = { ("n"):rep(80), keys[1] } }, function(port)
      assert.is_true((visit(port, streams:client { session = session })))
    end)
    streams:serving({ ticket_keys = { ("n"):rep(80) } }, function(port)
      assert.is_false((visit(port, streams:client { session = session })))
    end)
  end)

  it("are told by an event", function()
    streams:serving({ max_version = "1.3" }, function(port)
      local s <close> = qn.tcp.socket()
      local got = {}
      s:on("new_session", function(session) got[#got + 1] = session end)
      assert(s:connect("127.0.0.1", port, { tls = streams:client() }))
      assert(s:write("x\n"))
      assert.equal("x", s:read("l"))
      qn.yield()
      qn.yield()
      assert.equal(2, #got)
      assert.is_true((visit(port, streams:client { session = got[1] })))
    end)
  end)
end)
