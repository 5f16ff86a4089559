-- What an outside look at TLS has found: alerts without a name were failures of kind "io", refused server names
-- had no reason, sessions of a lower layer came as nil, and bytes of a read transaction could be given back
-- behind a TLS layer.
-- covers: runtime/tls/sni.c
-- covers: runtime/tls/alert.c

local qn = require "qn"
local pair = require "spec.support.pair"
local splits = require "spec.support.splits"
local tls_streams = require "spec.support.tls_streams"

describe("TLS at its edges:", function()
  local streams
  setup(function() streams = tls_streams.open() end)
  teardown(function() streams:close() end)

  it("an alert that has no name is a TLS failure with its number", function()
    pair.with("memory", function(a, b)
      local task = qn.spawn(a.start_tls, a, streams:client())
      b:recv()
      b:write("\x15\x03\x03\x00\x02\x02\xfe")
      local _, ok, err = task:join()
      assert.is_nil(ok)
      assert.same({ "tls", "ALERT_UNKNOWN", "unknown", "tls" }, { err.kind, err.code, err.alert, err.phase })
      assert.matches("TLS alert: unknown %(254%)", tostring(err))
    end)
  end)

  it("a farewell that finds nobody is no error", function()
    for _, version in ipairs { "1.2", "1.3" } do
      pair.with("memory", function(a, b)
        local server = qn.spawn(a.start_tls, a, streams:server())
        assert(b:start_tls(streams:client { max_version = version }))
        assert(server:join())
        assert(a:write("last words"))
        a:close()
        assert.equal("last words", b:read("a")) -- the peer has said close_notify, and is gone
        b:close()
        splits.until_true("it is closed", function() return b:state() == "unconnected" end)
        assert.is_nil(b:error())
      end)
    end
  end)

  it("a peer without TLS is told in words, on both sides", function()
    for _, case in ipairs { { false, "220 mail.example.org ESMTP\r\n" }, { true, "GET / HTTP/1.0\r\n\r\n" } } do
      pair.with("memory", function(a, b)
        local options = case[1] and streams:server() or streams:client()
        local task = qn.spawn(a.start_tls, a, options)
        qn.yield()
        b:write(case[2])
        local _, ok, err = task:join()
        assert.is_nil(ok)
        assert.same({ "tls", "TLS_PROTOCOL" }, { err.kind, err.code })
        assert.matches("the peer does not speak TLS: ", tostring(err))
      end)
    end
  end)

  it("an entry of `certs` that is empty is told", function()
    local ok, err = pcall(qn.tls.configuration, { certs = { {} } })
    assert.is_false(ok)
    assert.matches("option 'certs%[1%].cert' is missing", tostring(err))
  end)

  it("what goes wrong behind the handshake is told with its reason", function()
    pair.with("memory", function(a, b)
      assert(streams.shake(a, b, streams:client { max_version = "1.3" },
        streams:server { verify = "peer", ca = streams.shop:cert "root" }))
      local _, err = a:read(1)
      assert.same({ "tls", "ALERT_CERTIFICATE_REQUIRED", "certificate_required" }, { err.kind, err.code, err.alert })
    end)
    local client = assert(qn.tls.configuration { ca = streams.shop:cert "root" })
    for _, case in ipairs { { "\x17\x03\x03\x00\x20" .. ("x"):rep(32), "bad record mac", "bad_record_mac" },
      { "GET / HTTP/1.0\r\n\r\n", "wrong version number", "protocol_version" } } do
      local listener <close> = assert(qn.tcp.listen("127.0.0.1", 0))
      local near <close> = assert(qn.tcp.connect("127.0.0.1", listener:port()))
      local far <close> = assert(listener:accept(5))
      local relay, inner = qn.pair()
      local server = qn.spawn(inner.start_tls, inner, streams:server())
      local joined = qn.spawn(qn.join, far, relay)
      assert(near:start_tls { tls = client, server_name = "localhost" })
      assert(server:join())
      joined:cancel()
      joined:join()
      far:write(case[1])
      local _, err = near:read(1)
      assert.same({ "tls", "TLS_PROTOCOL", case[3] }, { err.kind, err.code, err.alert })
      assert.matches(case[2], tostring(err))
      relay:close()
      inner:close()
    end
  end)

  it("a refused server name is told", function()
    local refuse = { sni = function() return false end }
    local err, far = streams:failure({ server_name = "localhost" }, refuse)
    assert.equal("ALERT_UNRECOGNIZED_NAME", err.code)
    assert.same({ "tls", "TLS_HANDSHAKE" }, { far.kind, far.code })
    assert.matches('the server name "localhost" is not served here', tostring(far))
    err, far = streams:failure({ server_name = false, verify_name = "localhost" }, refuse)
    assert.equal("ALERT_UNRECOGNIZED_NAME", err.code)
    assert.matches("the client has named no server", tostring(far))
  end)

  it("sessions of a layer beneath another one come as they are", function()
    pair.with("memory", function(a, b)
      local sessions = {}
      a:on("new_session", function(session) sessions[#sessions + 1] = session end)
      assert(streams.shake(a, b, streams:client(), streams:server()))
      assert(streams.shake(a, b, streams:client { sessions = false, tickets = false, max_version = "1.2" },
        streams:server { sessions = false, tickets = false, max_version = "1.2" }))
      b:write("x")
      assert.equal("x", a:read(1))
      splits.until_true("the sessions had come", function() return #sessions > 0 end)
      for _, session in ipairs(sessions) do
        assert.equal("TLSv1.3", session.version)
      end
    end)
  end)

  it("an open transaction cannot cross into the layer", function()
    pair.with("memory", function(a, b)
      b:write("evil")
      a:begin()
      assert.equal("evil", a:read(4))
      local ok, err = pcall(a.start_tls, a, streams:client())
      assert.is_false(ok)
      assert.matches("start_tls: a transaction is open", tostring(err))
      a:commit()
      assert(streams.shake(a, b, streams:client(), streams:server()))
    end)
  end)

  it("a stream whose writing side is shut down cannot begin", function()
    pair.with("tcp", function(a)
      assert(a:shutdown("w"))
      local ok, err = a:start_tls(streams:client())
      assert.is_nil(ok)
      assert.same({ "closed", "SHUTDOWN" }, { err.kind, err.code })
      assert.equal("connected", a:state())
    end)
  end)
end)
