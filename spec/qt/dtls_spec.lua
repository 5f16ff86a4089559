-- The rows Q5-71 and Q5-72 of the Qt coverage (QDtls, QDtlsClientVerifier); docs/qt-coverage.md names
-- them. The rest is in spec/qn/dtls_spec.lua and spec/qn/dtls.

local qn = require "qn"

describe("QDtls", function()
  local cert, key

  setup(function() cert, key = assert(qn.tls.self_signed { names = { "localhost", "127.0.0.1" } }) end)

  it("Q5-71 a handshake, datagrams, mtu, states, errors that are ignored or not, the end", function()
    local server <close> = assert(qn.dtls.listen("127.0.0.1", 0, { cert = cert, key = key, psk = nil, mtu = 600 }))
    -- setPeer, setPeerVerificationName, doHandshake
    local c <close> = assert(qn.dtls.connect("127.0.0.1", server:port(), { ca = cert, verify_name = "localhost", mtu = 600 }))
    local s <close> = assert(server:accept(5))
    assert.equal("connected", c:state())
    assert.equal("DTLSv1.2", s:tls().version)
    -- writeDatagramEncrypted, decryptDatagram, mtuHint
    assert.is_true(c:send "question")
    assert.equal("question", (s:recv { timeout = 5 }))
    assert.equal(600, c:mtu())
    c:set_mtu(700)
    assert.equal(700, c:mtu())
    -- peerVerificationErrors: resumeHandshake, abortHandshake, ignoreVerificationErrors
    for _, go_on in ipairs { true, false } do
      local codes = {}
      local d, err = qn.dtls.connect("127.0.0.1", server:port(), { sessions = false, on_ssl_errors = function(errors, half)
        assert.equal("handshake", half:state())
        for i, one in ipairs(errors) do
          codes[i] = one.code
        end
        return go_on
      end })
      assert.same({ "CERT_DEPTH_ZERO_SELF_SIGNED" }, codes)
      if go_on then
        assert.equal(1, #d:tls().errors)
        d:close()
      else
        assert.is_nil(d)
        assert.equal("tls", err.kind)
        assert.equal("CERT_DEPTH_ZERO_SELF_SIGNED", err.code)
      end
    end
    local e <close> = assert(qn.dtls.connect("127.0.0.1", server:port(), { ignore_errors = { "CERT_DEPTH_ZERO_SELF_SIGNED" } }))
    assert.equal("connected", e:state())
    -- shutdown: RemoteClosedConnectionError
    c:close()
    assert.equal("eof", select(2, s:recv { timeout = 5 }).kind)
    assert.equal("closed", c:state())
    -- handshakeTimeout, handleTimeout: nobody answers
    local nobody <close> = assert(qn.udp.bind("127.0.0.1", 0))
    local _, err = qn.dtls.connect("127.0.0.1", nobody:local_port(), { timeout = 0.2, retransmit_timeout = 0.02 })
    assert.equal("timeout", err.kind)
    local n = 0
    while nobody:recv { timeout = 0 } do
      n = n + 1
    end
    assert.is_true(n >= 2) -- sent again by itself
  end)

  it("Q5-71 a shared key instead of a certificate (pskRequired)", function()
    local secret = ("k"):rep(32)
    local server <close> = assert(qn.dtls.listen("127.0.0.1", 0, { psk = { keys = { me = secret } } }))
    local c <close> = assert(qn.dtls.connect("127.0.0.1", server:port(), { psk = { identity = "me", key = secret } }))
    local s <close> = assert(server:accept(5))
    assert.equal("me", s:tls().psk_identity)
    assert.equal("me", c:tls().psk_identity)
  end)

  it("Q5-72 cookies: on by default, off when told, of one's own secret and digest", function()
    local default <close> = assert(qn.dtls.listen("127.0.0.1", 0, { cert = cert, key = key }))
    local off <close> = assert(qn.dtls.listen("127.0.0.1", 0, { cert = cert, key = key, cookies = false }))
    local secret = ("s"):rep(20)
    local own <close> = assert(qn.dtls.listen("127.0.0.1", 0,
      { cert = cert, key = key, cookie_secret = secret, cookie_digest = "sha384" }))
    for server, cookies in pairs { [default] = 1, [off] = 0, [own] = 1 } do
      local c <close> = assert(qn.dtls.connect("127.0.0.1", server:port(), { ca = cert }))
      assert.equal(cookies, server:stats().cookies_sent)
      assert.equal("connected", c:state())
    end
    -- verifyClient, verifiedHello, setCookieGeneratorParameters
    local verifier = assert(qn.dtls.verifier { secret = secret, digest = "sha384" })
    local socket <close> = assert(qn.udp.bind("127.0.0.1", 0))
    local client = qn.spawn(qn.dtls.connect, "127.0.0.1", socket:local_port(), { ca = cert })
    local verified, hello, from
    local replies = 0
    repeat
      hello, from = socket:recv { timeout = 5 }
      local reply
      verified, reply = verifier:check(hello, from.address, from.port)
      if reply then
        assert.is_true(#reply < #hello)
        replies = replies + 1
        from:reply(reply)
      end
    until verified
    assert.is_true(verified)
    assert.is_true(replies > 0)
    client:cancel()
    client:join()
  end)
end)
