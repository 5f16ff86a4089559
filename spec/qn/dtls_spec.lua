-- qn.dtls: connecting, listening, a socket of one's own, cookies; certificates and what is wrong with
-- them; options. Traffic is on loopback, certificates are the workshop's.

local certs = require "spec.support.tls_certs"
local dtls = require "spec.support.dtls"
local program = require "spec.support.program"
local qn = require "qn"

describe("qn.dtls", function()
  local shop

  setup(function() shop = certs.open() end)
  teardown(function() shop:close() end)

  local function connect(port, more)
    return qn.dtls.connect("127.0.0.1", port, dtls.client_options(shop, more))
  end

  describe("connect and listen", function()
    it("carry messages both ways, one for one", function()
      local peer <close> = dtls.echo(shop)
      local c <close> = assert(connect(peer.port))
      for _, text in ipairs { "a", "bc", ("x"):rep(c:max_size()), "\0\255" } do
        assert.is_true(c:send(text))
        assert.equal(text, (c:recv { timeout = 5 }))
      end
      assert.equal(4, c:stats().sent)
      assert.equal(4, c:stats().received)
      assert.equal(c:max_size() + 5, c:stats().sent_bytes)
    end)

    it("know what TLS sockets know", function()
      local server <close> = assert(qn.dtls.listen("127.0.0.1", 0, dtls.server_options(shop, { alpn = { "coap", "x" } })))
      local c <close> = assert(connect(server:port(), { alpn = { "y", "x" } }))
      local s <close> = assert(server:accept(5))
      local facts, theirs = c:tls(), s:tls()
      assert.equal("DTLSv1.2", facts.version)
      assert.equal(facts.cipher, theirs.cipher)
      assert.equal("x", facts.alpn)
      assert.equal("x", theirs.alpn)
      assert.is_true(facts.encrypted)
      assert.is_true(theirs.server)
      assert.equal("localhost", theirs.server_name)
      assert.same({ "server", "mid" }, { facts.chain[1].subject.CN,
        facts.chain[2].subject.CN })
      assert.same({}, facts.errors)
      assert.same({ "y", "x" }, facts.configuration.alpn)
      assert.equal(server:configuration(), theirs.configuration)
      assert.equal("127.0.0.1", tostring(c:peer_address()))
      assert.equal(server:port(), c:peer_port())
      assert.equal(c:local_port(), s:peer_port())
      assert.equal(server:port(), s:local_port())
      assert.equal("127.0.0.1", tostring(s:local_address()))
      assert.equal("connected", c:state())
      assert.matches("^qn.DtlsConnection: 127.0.0.1:%d+$", tostring(c))
      assert.matches("^qn.DtlsServer: 127.0.0.1:%d+$", tostring(server))
    end)

    it("take a name, and try its next address when one refuses", function()
      local peer <close> = dtls.echo(shop)
      local c <close> = assert(qn.dtls.connect("localhost", peer.port, { ca = shop:cert "root" }))
      assert.is_true(c:send "hello")
      assert.equal("hello", (c:recv { timeout = 5 }))
    end)

    it("work over IPv6, and over a dual-stack socket", function()
      local server <close> = assert(qn.dtls.listen("*", 0, dtls.server_options(shop)))
      for _, host in ipairs { "::1", "127.0.0.1" } do
        local c <close> = assert(qn.dtls.connect(host, server:port(), dtls.client_options(shop)))
        local s <close> = assert(server:accept(5))
        assert.is_true(s:send "hello")
        assert.equal("hello", (c:recv { timeout = 5 }))
        assert.equal(host, tostring(s:peer_address()))
      end
    end)

    it("resume sessions, with and without tickets, and those that were exported", function()
      for _, tickets in ipairs { true, false } do
        local peer <close> = dtls.echo(shop, { tickets = tickets })
        local opts = { tls = qn.tls.configuration { ca = shop:cert "root", tickets = tickets }, server_name = "localhost" }
        for i = 1, 2 do
          local c <close> = assert(qn.dtls.connect("127.0.0.1", peer.port, opts))
          assert.equal(i == 2, c:tls().resumed)
          assert.is_true(c:send "hello")
          assert.equal("hello", (c:recv { timeout = 5 }))
          if i == 2 then
            opts.session = c:tls().session:export()
          end
        end
        local fresh = dtls.client_options(shop, { session = opts.session, tickets = tickets, sessions = false })
        local c <close> = assert(qn.dtls.connect("127.0.0.1", peer.port, fresh))
        assert.is_true(c:tls().resumed)
      end
    end)

    it("choose a configuration by name: table, and a function that waits", function()
      local names = { ["other.test"] = shop:identity "other_server" }
      local function choose(name)
        qn.sleep(0.01)
        if name == "refuse.test" then return false end
        return names[name]
      end
      for _, sni in ipairs { names, choose } do
        local peer <close> = dtls.echo(shop, { sni = sni })
        local c <close> = assert(connect(peer.port, { server_name = "other.test" }))
        assert.equal("other.test", c:tls().server_name)
        assert.equal("other_server", c:tls().peer.subject.CN)
        local d <close> = assert(connect(peer.port))
        assert.is_true(d:send "hello")
        assert.equal("hello", (d:recv { timeout = 5 }))
      end
      local peer <close> = dtls.echo(shop, { sni = choose })
      local c, err = connect(peer.port, { server_name = "refuse.test" })
      assert.is_nil(c)
      assert.equal("ALERT_UNRECOGNIZED_NAME", err.code)
    end)

    it("take certificates of clients", function()
      local peer <close> = dtls.echo(shop, { verify = "peer", ca = shop:cert "root" })
      local c <close> = assert(connect(peer.port, shop:identity "client"))
      assert.is_true(c:send "hello")
      assert.equal("hello", (c:recv { timeout = 5 }))
      local d, err = connect(peer.port)
      assert.is_nil(d)
      assert.equal("tls", err.kind)
      assert.equal("handshake_failure", err.alert)
      d, err = connect(peer.port, shop:identity "strange_client")
      assert.is_nil(d)
      assert.equal("unknown_ca", err.alert)
    end)

    it("speak DTLS 1.0 when they are told to", function()
      local old = { min_version = "1.1", max_version = "1.1", ciphers = "ALL:@SECLEVEL=0" }
      local peer <close> = dtls.echo(shop, old)
      local c <close> = assert(connect(peer.port, old))
      assert.equal("DTLSv1", c:tls().version)
      local d, err = connect(peer.port)
      assert.is_nil(d)
      assert.equal("TLS_HANDSHAKE", err.code)
      assert.equal("protocol_version", err.alert)
    end)
  end)

  describe("a certificate", function()
    for name, code in pairs { expired = "CERT_HAS_EXPIRED", future = "CERT_NOT_YET_VALID",
      wrong_host = "CERT_HOSTNAME_MISMATCH", self_signed = "CERT_DEPTH_ZERO_SELF_SIGNED",
      unknown_root = "CERT_UNABLE_TO_GET_ISSUER_LOCALLY", bad_signature = "CERT_SIGNATURE_FAILURE" } do
      it(("that is %s ends the handshake as with TLS: %s"):format(name, code), function()
        local peer <close> = dtls.echo(shop, { identity = name })
        local c, err = connect(peer.port)
        assert.is_nil(c)
        assert.equal("tls", err.kind)
        assert.equal("connect", err.op)
        local found = {}
        for _, one in ipairs(err.errors) do
          found[one.code] = true
        end
        local tcp <close> = assert(qn.tls.listen("127.0.0.1", 0, shop:identity(name)))
        local _, same = qn.tls.connect("127.0.0.1", tcp:port(), dtls.client_options(shop))
        assert.equal(same.code, err.code)
        assert.equal(same.message, err.message)
        assert.equal(same.alert, err.alert)
        assert.is_true(found[same.code])
      end)
    end

    it("is judged by a function that may wait", function()
      local peer <close> = dtls.echo(shop, { identity = "self_signed" })
      local seen
      local c <close> = assert(connect(peer.port, { on_ssl_errors = function(errors, connection)
        qn.sleep(0.01)
        seen = errors
        assert.equal("handshake", connection:state())
        return true
      end }))
      assert.equal("CERT_DEPTH_ZERO_SELF_SIGNED", seen[1].code)
      assert.is_true(c:send "hello")
      assert.equal("hello", (c:recv { timeout = 5 }))
      assert.equal(1, #c:tls().errors)
      local d, err = connect(peer.port, { sessions = false, on_ssl_errors = function() return false end })
      assert.is_nil(d)
      assert.equal("CERT_DEPTH_ZERO_SELF_SIGNED", err.code)
    end)

    it("can be ignored: all errors, these, or not verified at all", function()
      local peer <close> = dtls.echo(shop, { identity = "self_signed" })
      for _, more in ipairs { { ignore_errors = true }, { verify = "none" }, { verify = "query" },
        { ignore_errors = { "CERT_DEPTH_ZERO_SELF_SIGNED" } } } do
        local c <close> = assert(connect(peer.port, more))
        assert.equal("connected", c:state())
      end
    end)

    it("of a client is judged by a function of the server", function()
      local peer <close> = dtls.echo(shop, { verify = "peer", ca = shop:cert "root", on_ssl_errors = function(errors)
        qn.sleep(0.01)
        return errors[1].certificate ~= nil and errors[1].code ~= "CERT_HAS_EXPIRED"
      end })
      local c <close> = assert(connect(peer.port, shop:identity "strange_client"))
      local give_up, data = qn.now() + 10, nil
      while not data and qn.now() < give_up do -- what comes while the server asks is lost
        c:send "hello"
        data = c:recv { timeout = 0.05 }
      end
      assert.equal("hello", data)
      local d <close> = assert(connect(peer.port, shop:identity "expired_client"))
      local _, err = d:recv { timeout = 10 } -- the server says no when the client is through
      assert.equal("eof", err.kind)
    end)
  end)

  describe("failures", function()
    it("of the path: refused, silent, cancelled", function()
      local silent <close> = assert(qn.udp.bind("127.0.0.1", 0))
      local c, err = connect(silent:local_port(), { timeout = 0.05 })
      assert.is_nil(c)
      assert.equal("timeout", err.kind)
      assert.equal("tls", err.phase)
      local port = silent:local_port()
      silent:close()
      c, err = connect(port)
      assert.is_nil(c)
      assert.equal("refused", err.kind)
      assert.equal("127.0.0.1:" .. port, err.peer)
      c, err = qn.dtls.connect("nowhere.invalid", 1, { timeout = 5 })
      assert.is_nil(c)
      assert.equal("dns", err.kind)
    end)

    it("of a cancelled connect leave nothing behind", function()
      local silent <close> = assert(qn.udp.bind("127.0.0.1", 0))
      local task = qn.spawn(function() connect(silent:local_port()) end)
      assert(silent:recv { timeout = 5 })
      task:cancel()
      task:join()
      assert.equal("cancelled", task:status())
    end)

    it("of a server: no certificate, port in use, key and certificate of two", function()
      local server, err = qn.dtls.listen("127.0.0.1", 0, {})
      assert.is_nil(server)
      assert.equal("TLS_CONFIGURATION", err.code)
      local udp <close> = assert(qn.udp.bind("127.0.0.1", 0))
      server, err = qn.dtls.listen("127.0.0.1", udp:local_port(), shop:identity "server")
      assert.is_nil(server)
      assert.equal("exists", err.kind)
      server, err = qn.dtls.listen("127.0.0.1", 0, { cert = shop:cert "server", key = shop:key "client" })
      assert.is_nil(server)
      assert.equal("KEY_MISMATCH", err.code)
      server, err = qn.dtls.listen("127.0.0.1", 0, dtls.server_options(shop, { min_version = "1.3" }))
      assert.is_nil(server)
      assert.equal("TLS_CONFIGURATION", err.code)
    end)

    it("name the option or argument", function()
      local identity = shop:identity "server"
      identity.cookie_secret = "short"
      assert.has_error(function() qn.dtls.listen("127.0.0.1", 0, identity) end)
      for _, case in ipairs {
        { "option 'mtu'", { mtu = 100 } }, { "unknown option 'mtuu'", { mtuu = 1 } },
        { "option 'timeout'", { timeout = -1 } }, { "option 'on_ssl_errors'", { on_ssl_errors = 1 } },
      } do
        local ok, message = pcall(function() qn.dtls.connect("127.0.0.1", 1, case[2]) end)
        assert.is_false(ok)
        assert.matches(case[1], message, 1, true)
        assert.matches("dtls_spec.lua", message, 1, true)
      end
      for _, case in ipairs { { 1, nil, 1 }, { 1, "", 1 }, { 1, {}, 1 }, { 2, "h", 0 }, { 2, "h", "x" } } do
        local ok, message = pcall(function() qn.dtls.connect(case[2], case[3]) end)
        assert.is_false(ok)
        assert.matches("bad argument #" .. case[1], message, 1, true)
        assert.matches("dtls_spec.lua", message, 1, true)
      end
      local ok, message = pcall(qn.dtls.listen, "127.0.0.1", 0,
        { cookies = false, cookie_digest = "sha1", cert = shop:cert "server", key = shop:key "server" })
      assert.is_false(ok)
      assert.matches("need cookies", message, 1, true)
    end)
  end)

  describe("over", function()
    it("leaves a socket to those who read it: tasks and listeners", function()
      local socket <close> = assert(qn.udp.bind("127.0.0.1", 0))
      local function note() end
      socket:on("datagram", note)
      assert.equal("busy", select(2, qn.dtls.over(socket)).kind)
      socket:off("datagram", note)
      local endpoint <close> = assert(qn.dtls.over(socket))
      assert.equal("open", endpoint:state())
    end)

    it("serves on a socket of one's own, which stays open", function()
      local socket <close> = assert(qn.udp.bind("127.0.0.1", 0))
      local port = socket:local_port()
      local endpoint = assert(qn.dtls.over(socket, shop:identity "server"))
      local _, err = socket:recv { timeout = 0 }
      assert.equal("busy", err.kind)
      _, err = qn.dtls.over(socket)
      assert.equal("busy", err.kind)
      local c <close> = assert(connect(port))
      local s = assert(endpoint:accept(5))
      assert.is_true(c:send "hello")
      assert.equal("hello", (s:recv { timeout = 5 }))
      s:close()
      endpoint:close()
      assert.equal("closed", endpoint:state())
      assert.equal("bound", socket:state())
      local plain <close> = assert(qn.udp.connect("127.0.0.1", port))
      assert(plain:send "plain")
      assert.equal("plain", (socket:recv { timeout = 5 }))
    end)

    it("connects over the socket of a server, and of a peer that only connects", function()
      local a <close> = assert(qn.dtls.listen("127.0.0.1", 0, dtls.server_options(shop)))
      local socket <close> = assert(qn.udp.bind("127.0.0.1", 0))
      local b <close> = assert(qn.dtls.over(socket))
      local ab = assert(b:connect("127.0.0.1", a:port(), dtls.client_options(shop)))
      local ba = assert(a:accept(5))
      assert.equal(socket:local_port(), ba:peer_port())
      local _, err = b:connect("127.0.0.1", a:port(), dtls.client_options(shop))
      assert.equal("IS_CONNECTED", err.code)
      _, err = b:accept(1)
      assert.equal("closed", err.kind)
      assert.matches("the endpoint is for clients", err.message, 1, true)
      local other <close> = dtls.echo(shop)
      local out <close> = assert(a:connect("127.0.0.1", other.port, dtls.client_options(shop)))
      assert.is_true(out:send "three")
      assert.equal("three", (out:recv { timeout = 5 }))
      assert.is_true(ab:send "one")
      assert.equal("one", (ba:recv { timeout = 5 }))
      ab:close()
      ba:close()
    end)

    it("hands on what is not DTLS, to be answered in clear", function()
      local socket <close> = assert(qn.udp.bind("127.0.0.1", 0))
      local endpoint <close> = assert(qn.dtls.over(socket))
      local other <close> = assert(qn.udp.connect("127.0.0.1", socket:local_port()))
      local peer <close> = dtls.echo(shop)
      local c <close> = assert(endpoint:connect("127.0.0.1", peer.port, dtls.client_options(shop)))
      assert(other:send "\0nobody listens")
      program.until_true("it to be dropped", function() return endpoint:stats().invalid == 1 end)
      endpoint:on("datagram", function(data, from) from:reply(data:upper()) end)
      for _, text in ipairs { "\0\1stun", "\x40turn", "" } do
        assert(other:send(text))
        assert.equal(text:upper(), (other:recv { timeout = 5 }))
      end
      assert(other:send "\x17 as if it were DTLS")
      assert.is_true(c:send "hello")
      assert.equal("hello", (c:recv { timeout = 5 }))
      endpoint:off()
      assert(other:send "\0again nobody")
      assert.is_nil((other:recv { timeout = 0.02 }))
      assert.equal(3, endpoint:stats().invalid)
      assert.has_error(function() endpoint:on("datagramm", print) end)
    end)

    it("takes the peer of a connected socket", function()
      local peer <close> = dtls.echo(shop)
      local socket <close> = assert(qn.udp.connect("127.0.0.1", peer.port))
      local endpoint <close> = assert(qn.dtls.over(socket))
      local c <close> = assert(endpoint:connect(nil, nil, dtls.client_options(shop)))
      assert.is_true(c:send "hello")
      assert.equal("hello", (c:recv { timeout = 5 }))
      assert.has_error(function() endpoint:connect(nil, nil, { ca = shop:cert "root" }) end)
    end)

    it("ends when the socket is closed", function()
      local peer <close> = dtls.echo(shop)
      local socket = assert(qn.udp.connect("127.0.0.1", peer.port))
      local endpoint = assert(qn.dtls.over(socket))
      local c = assert(endpoint:connect(nil, nil, dtls.client_options(shop)))
      local err
      local task = qn.spawn(function() err = select(2, c:recv()) end)
      qn.yield()
      socket:close()
      task:join()
      assert.equal("closed", err.kind)
      assert.equal("closed", endpoint:state())
      assert.has_error(function() qn.dtls.over {} end)
    end)
  end)

  describe("verifier", function()
    it("answers a ClientHello with a cookie, and knows it again", function()
      local secret = ("s"):rep(32)
      local server <close> = assert(qn.udp.bind("127.0.0.1", 0))
      local task = qn.spawn(function()
        return connect(server:local_port(), { timeout = 5 })
      end)
      local hello, from = server:recv { timeout = 5 }
      local v = assert(qn.dtls.verifier { secret = secret })
      local ok, reply = v:check(hello, from.address, from.port)
      assert.is_false(ok)
      assert.equal(60, #reply)
      assert(server:send(reply, from))
      local again = server:recv { timeout = 5 }
      assert.is_true(v:check(again, from.address, from.port))
      assert.is_true(assert(qn.dtls.verifier { secret = secret }):check(again, from.address, from.port))
      assert.is_false((v:check(again, from.address, from.port + 1)))
      assert.is_false((v:check(again, "127.0.0.2", from.port)))
      assert.is_false((assert(qn.dtls.verifier()):check(again, from.address, from.port)))
      assert.is_false((assert(qn.dtls.verifier { secret = secret, digest = "sha1" }):check(again, from.address, from.port)))
      assert.is_nil((v:check("garbage", "127.0.0.1", 1)))
      for i = 0, #hello - 1 do
        assert.is_nil((v:check(hello:sub(1, i), from.address, from.port)))
      end
      task:cancel()
      task:join()
      local none, err = qn.dtls.verifier { digest = "nothing" }
      assert.is_nil(none)
      assert.equal("unsupported", err.kind)
    end)

    it("has the cookies of a server with the same secret", function()
      local secret = ("s"):rep(32)
      local v = assert(qn.dtls.verifier { secret = secret, digest = "sha512" })
      local peer <close> = dtls.echo(shop, { cookie_secret = secret, cookie_digest = "sha512" })
      local seen
      local relay <close> = dtls.relay(peer.port, function(direction, n, data, self)
        if direction == "up" and n == 1 then -- answered here, the server sees the second one only
          local ok, reply = v:check(data, self.back:local_address(), self.back:local_port())
          seen = ok
          self:pass("down", reply)
          return nil
        end
        return data
      end)
      local c <close> = assert(connect(relay.port))
      assert.is_false(seen)
      assert.equal(0, peer.server:stats().cookies_sent)
      assert.is_true(c:send "hello")
      assert.equal("hello", (c:recv { timeout = 5 }))
    end)
  end)
end)
