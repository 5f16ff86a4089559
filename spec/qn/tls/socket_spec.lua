-- qn.tls.connect and sockets with `tls =`: what is verified, what is known afterwards, time limits, the end
-- of a connection, questions and events.
-- covers: lua/qn/tls/socket.lua
-- covers: bindings/b_tls.c
-- covers: bindings/b_tls_facts.c
-- covers: runtime/tls/library.c

local qn = require "qn"
local throws = require "spec.support.throws"
local tls_streams = require "spec.support.tls_streams"

local with <const> = tls_streams.with

describe("qn.tls.connect", function()
  local streams
  setup(function() streams = tls_streams.open() end)
  teardown(function() streams:close() end)

  local function trust(more)
    return with({ ca = streams.shop:cert "root" }, more)
  end

  it("verifies chain and host, and tells what it has got", function()
    streams:serving({ alpn = { "h2", "http/1.1" } }, function(port)
      local s <close> = assert(qn.tls.connect("localhost", port, trust { alpn = { "http/1.1" } }))
      assert(s:write("hello\n"))
      assert.equal("hello", s:read("l"))
      local facts = s:tls()
      assert.is_true(facts.encrypted)
      assert.is_false(facts.server)
      assert.is_false(facts.resumed)
      assert.equal("TLSv1.3", facts.version)
      assert.truthy(facts.cipher:find("^TLS_"))
      assert.truthy(facts.cipher_bits == 128 or facts.cipher_bits == 256)
      assert.equal("X25519", facts.ephemeral_key)
      assert.equal("http/1.1", facts.alpn)
      assert.equal("localhost", facts.server_name)
      assert.equal(2, #facts.chain)
      assert.equal(facts.peer, facts.chain[1])
      assert.equal(facts.peer, qn.tls.certificates(streams.shop:cert "server")[1])
      assert.same({}, facts.errors)
      assert.equal("TLSv1.3", facts.session.version)
      assert.is_true(facts.wire_sent > 200 and facts.wire_received > 500)
      assert.equal("peer", facts.configuration:with { verify = "peer" }.verify)
      s:close()
      assert.equal("close_notify", s:tls().alert_sent)
    end)
  end)

  it("refuses, in words, a certificate that it does not trust", function()
    streams:serving({}, function(port)
      local s, err = qn.tls.connect("localhost", port)
      assert.is_nil(s)
      assert.equal("tls", err.kind)
      assert.equal("CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", err.code)
      assert.equal("tls", err.phase)
      assert.equal("connect", err.op)
      assert.equal("localhost:" .. port, err.peer)
      assert.equal("unknown_ca", err.alert)
      assert.is_true(#err.errors >= 1)
      assert.equal(err.code, err.errors[1].code)
      assert.equal("qn.Certificate", tostring(err.errors[1].certificate):match("^[%w.]+"))
    end)
  end)

  it("refuses a certificate for another host", function()
    streams:serving({}, function(port)
      local s, err = qn.tls.connect("127.0.0.2", port, trust())
      if not s and err.kind ~= "tls" then -- the server listens on 127.0.0.1 only
        s, err = qn.tls.connect("127.0.0.1", port, trust { server_name = "www.else.test" })
      end
      assert.is_nil(s)
      assert.equal("CERT_HOSTNAME_MISMATCH", err.code)
      assert.truthy(err.message:find('certificate for localhost, *.wild.test', 1, true), err.message)
      assert.truthy(err.message:find('does not match host "www.else.test"', 1, true), err.message)
    end)
  end)

  it("takes addresses, names of SNI and names to verify apart", function()
    streams:serving({ sni = function(name)
      return name == "other.test" and { cert = streams.shop:chain "other_server",
        key = streams.shop:key "other_server" } or nil
    end }, function(port)
      local s = assert(qn.tls.connect("127.0.0.1", port, trust()))
      assert.equal("127.0.0.1", s:tls().server_name)
      s:close()
      s = assert(qn.tls.connect("127.0.0.1", port, trust { server_name = "other.test" }))
      assert.equal("other_server", s:tls().peer.subject[1].value)
      s:close()
      s = assert(qn.tls.connect("127.0.0.1", port, trust { server_name = "other.test",
        verify_name = false }))
      s:close()
      local _, err = qn.tls.connect("127.0.0.1", port, trust { server_name = "other.test",
        verify_name = "localhost" })
      assert.equal("CERT_HOSTNAME_MISMATCH", err.code)
      s = assert(qn.tls.connect("localhost", port, trust { server_name = false }))
      assert.is_nil(s:tls().server_name)
      assert.equal("server", s:tls().peer.subject[1].value)
      s:close()
    end)
  end)

  it("has one time limit for all, and says which phase it hit", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0)) -- accepts, and says nothing
    local before = qn.now()
    local s, err = qn.tls.connect("127.0.0.1", server:port(), trust { timeout = 0.05 })
    assert.is_nil(s)
    assert.equal("timeout", err.kind)
    assert.equal("tls", err.phase)
    assert.is_true(qn.now() - before < 5)
    s, err = qn.tcp.connect("127.0.0.1", server:port(), { tls = { timeout = 0.02 } })
    assert.is_nil(s)
    assert.equal("tls", err.phase)
    local own <close> = qn.tcp.socket()
    own:set_timeouts { connect = 0.03 }
    s, err = own:connect("127.0.0.1", server:port(), { tls = trust() })
    assert.is_nil(s)
    assert.same({ "timeout", "tls" }, { err.kind, err.phase })
    s, err = qn.timeout(0.02, qn.tls.connect, "127.0.0.1", server:port())
    assert.is_nil(s)
    assert.equal("timeout", err.kind)
  end)

  it("reaches addresses, those with a zone too", function()
    local server <close> = assert(qn.tcp.listen("::1", 0))
    local task = qn.spawn(function()
      local far <close> = assert(server:accept())
      assert(far:start_tls(streams:server()))
      far:recv()
    end)
    local s <close> = assert(qn.tls.connect(qn.address("::1"), server:port(), trust()))
    assert.equal("::1", s:tls().server_name)
    s:close()
    task:join()
  end)

  it("gives the errors of connecting", function()
    local s, err = qn.tls.connect("127.0.0.1", 1)
    assert.is_nil(s)
    assert.equal("refused", err.kind)
    assert.equal("connect", err.op)
  end)

  it("takes options of sockets, of TLS, and a configuration", function()
    local config = assert(qn.tls.configuration(trust { alpn = "one" }))
    streams:serving({ alpn = { "one", "two" } }, function(port)
      local function alpn(opts)
        local s <close> = assert(qn.tls.connect("localhost", port, opts))
        return s:tls().alpn
      end
      assert.equal("one", alpn { tls = config })
      assert.equal("two", alpn { tls = config, alpn = "two", nodelay = true, family = "ipv4" })
      assert.equal("two", alpn { tls = trust { alpn = "one" }, alpn = "two" })
      local s <close> = assert(qn.tcp.connect("localhost", port, { tls = config, bind = "127.0.0.1" }))
      assert.equal("one", s:tls().alpn)
      local plain <close> = assert(qn.tcp.connect("localhost", port, { tls = false }))
      assert.is_nil(plain:tls())
    end)
  end)

  it("throws for unknown and wrong options before it connects", function()
    throws.call(assert, "qn.tls.connect: unknown option 'nodelayy' %(did you mean 'nodelay'%?%)", qn.tls,
      "connect", "localhost", 1, { nodelayy = true })
    throws.call(assert, "^%[string.*option 'alpn' must be", qn.tls, "connect", "localhost", 1, { alpn = 5 })
    throws.call(assert, "option 'tls' must be", qn.tls, "connect", "localhost", 1, { tls = io.stdout })
    throws.call(assert, "^%[string.*:1: connect: unknown option 'alpm'", qn.tcp, "connect", "localhost", 1,
      { tls = { alpm = "x" } })
    throws.call(assert, "^%[string.*:1: connect: option 'server' is for start_tls", qn.tcp, "connect", "localhost", 1,
      { tls = { server = true } })
    throws.call(assert, "port", qn.tls, "connect", "localhost", 70000)
    local socket <close> = qn.tcp.socket()
    throws.method(assert, "^%[string.*:1: connect: option 'tls' must be true, options or a qn.TlsConfiguration, got number",
      socket, "connect", "localhost", 1, { tls = 7 })
  end)

  it("that is cancelled leaves nothing", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local task = qn.spawn(qn.tls.connect, "localhost", server:port(), trust())
    local far <close> = assert(server:accept())
    assert.equal(1, #far:peek(1)) -- the handshake has begun
    task:cancel()
    task:join()
    far:read("a")
  end)
end)

describe("a TLS connection", function()
  local streams
  setup(function() streams = tls_streams.open() end)
  teardown(function() streams:close() end)

  it("ends with close_notify, which shutdown and close send", function()
    for _, how in ipairs { "shutdown", "close" } do
      streams:with("tcp", {}, {}, function(a, b)
        assert(a:write("last"))
        if how == "close" then a:close() else assert(a:shutdown("w")) end
        assert.equal("last", b:read("a"))
        assert.equal("close_notify", b:tls().alert_received)
        assert.is_true(b:at_end())
        if how == "shutdown" then -- the other way goes on
          assert(b:write("answer"))
          b:close()
          assert.equal("answer", a:read("a"))
        end
      end)
    end
  end)

  it("that ends without close_notify gives an error to who reads to the end", function()
    local function ends(read)
      return function()
        local ok, err
        streams:serving({ max_version = "1.2" }, function(port)
          local raw = assert(qn.tcp.connect("localhost", port))
          -- a middle man that drops the connection behind the data
          local a, b = qn.pair()
          local up = qn.spawn(function() qn.copy(b, raw, { finish = false }) end)
          local down = qn.spawn(function() qn.copy(raw, b, { finish = false }) end)
          assert(a:start_tls(streams:client()))
          assert(a:write("some\n"))
          assert.equal("some\n", a:peek(5))
          up:cancel()
          down:cancel()
          up:join()
          down:join()
          b:close()
          ok, err = read(a)
          a:abort()
          raw:abort()
        end)
        return ok, err
      end
    end
    local rest
    local text, err = ends(function(s)
      local all, why = s:read("a")
      rest = s:recv()
      return all, why
    end)()
    assert.is_nil(text)
    assert.equal("some\n", rest) -- what had come can still be had
    assert.equal("TLS_TRUNCATED", err.code)
    text = ends(function(s) return s:read("l") end)()
    assert.equal("some", text) -- what is there is there
    text, err = ends(function(s) s:read("l") return s:recv() end)()
    assert.is_nil(text)
    assert.equal("TLS_TRUNCATED", err.code)
  end)

  it("updates its keys", function()
    streams:with("memory", {}, {}, function(a, b)
      for i = 1, 3 do
        assert.is_true(a:update_keys(i > 1))
        assert(a:write("x" .. i))
        assert.equal("x" .. i, b:recv())
        assert(b:write("y" .. i))
        assert.equal("y" .. i, a:recv())
      end
    end)
    streams:with("memory", { max_version = "1.2" }, {}, function(a)
      local ok, err = a:update_keys()
      assert.is_nil(ok)
      assert.equal("unsupported", err.kind)
    end)
    local a, b = qn.pair()
    local ok, err = a:update_keys()
    assert.is_nil(ok)
    assert.equal("closed", err.kind)
    a:close()
    b:close()
  end)

  it("tells its events in order", function()
    streams:serving({}, function(port)
      local seen, values = {}, {}
      local s <close> = qn.tcp.socket()
      for _, name in ipairs { "connected", "mode_changed", "peer_verify_error", "ssl_errors", "encrypted",
        "new_session", "alert_sent", "disconnected" } do
        s:on(name, function(value, more)
          seen[#seen + 1] = name
          values[name] = { value, more }
        end)
      end
      assert(s:connect("localhost", port, { tls = { ca = streams.shop:cert "root" } }))
      assert(s:write("x\n"))
      assert.equal("x", s:read("l"))
      s:close()
      assert.is_true(s:wait_closed())
      qn.yield()
      qn.yield()
      assert.same({ "connected", "mode_changed", "encrypted", "new_session", "new_session", "alert_sent",
        "disconnected" }, seen)
      assert.same({ "client" }, values.mode_changed)
      assert.same({ "close_notify", 0 }, values.alert_sent)
      assert.equal("TLSv1.3", values.new_session[1].version)
    end)
  end)

  it("asks handlers of ssl_errors, who may wait", function()
    streams:serving({}, function(port)
      local s <close> = qn.tcp.socket()
      local seen, found = nil, {}
      s:on("peer_verify_error", function(err) found[#found + 1] = err.code end)
      s:on("ssl_errors", function(errors)
        qn.sleep(0.002)
        seen = errors
        s:ignore_ssl_errors(errors)
      end)
      assert(s:connect("127.0.0.1", port, { tls = { server_name = "x.test", verify = "peer" } }))
      assert.equal("CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", seen[1].code)
      assert.equal(#seen, #found)
      local facts = s:tls()
      assert.is_true(facts.encrypted)
      assert.equal(#seen, #facts.errors)
      local codes = {}
      for i, err in ipairs(facts.errors) do codes[err.code], codes[i] = true, err.code end
      assert.is_true(codes.CERT_HOSTNAME_MISMATCH)
      assert.same(codes, (function()
        local c = {}
        for i, code in ipairs(found) do c[code], c[i] = true, code end
        return c
      end)())
    end)
  end)

  it("goes on only if every error was ignored", function()
    local function try(list)
      local err, _
      streams:serving({}, function(port)
        local s <close> = qn.tcp.socket()
        local count = 0
        s:on("ssl_errors", function(errors)
          count = count + 1
          s:ignore_ssl_errors(list(errors))
        end)
        _, err = s:connect("127.0.0.1", port, { tls = { server_name = "x.test" } })
        assert.equal(1, count)
      end)
      return err
    end
    assert.is_nil(try(function() return nil end))
    assert.is_nil(try(function(errors) return errors end))
    local err = try(function(errors) return { errors[1] } end)
    assert.equal("tls", err.kind)
    err = try(function(errors)
      local others = {}
      for i, e in ipairs(errors) do
        others[i] = { e.code, qn.tls.certificates(streams.shop:cert "root")[1] } -- not of this one
      end
      return others
    end)
    assert.equal("tls", err.kind)
  end)

  it("is refused when a handler fails, and the handler's error is seen", function()
    streams:serving({}, function(port)
      local s <close> = qn.tcp.socket()
      s:on("ssl_errors", function() error("oops") end)
      local _, err = s:connect("127.0.0.1", port, { tls = true })
      assert.equal("tls", err.kind)
      local leaks = require "spec.support.leaks"
      assert.truthy(tostring(leaks.wait_unhandled(1)[1].error):find("oops", 1, true))
    end)
  end)

  it("waits for its handlers within the limit of the handshake", function()
    streams:serving({}, function(port)
      local s <close> = qn.tcp.socket()
      local done = qn.event()
      s:on("ssl_errors", function()
        done:wait()
        s:ignore_ssl_errors() -- too late
      end)
      local ok, err = s:connect("127.0.0.1", port, { tls = { timeout = 0.03 } })
      assert.is_nil(ok)
      assert.equal("timeout", err.kind)
      assert.equal("tls", err.phase)
      done:set()
    end)
  end)

  it("ignores what it was told before", function()
    streams:serving({}, function(port)
      local s <close> = qn.tcp.socket()
      s:ignore_ssl_errors()
      assert(s:connect("127.0.0.1", port, { tls = true }))
      local t <close> = qn.tcp.socket()
      t:ignore_ssl_errors { "CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY" }
      local _, err = t:connect("127.0.0.1", port, { tls = { server_name = "x.test" } })
      assert.equal("tls", err.kind)
      throws.method(assert, "bad argument #1 to 'ignore_ssl_errors' %(no verification error at 1", t,
        "ignore_ssl_errors", { "CERT_NONSENSE" })
      throws.method(assert, "table expected, got string", t, "ignore_ssl_errors", "CERT_EXPIRED")
    end)
  end)

  it("asks the function of `sni`, which may wait, refuse and fail", function()
    local asked
    local what = {}
    local function sni(name, stream)
      asked = { name, stream:tls().server }
      qn.sleep(0.001)
      return what[1](name)
    end
    local function try(f, client)
      what[1] = f
      local err
      streams:serving({ sni = sni }, function(port)
        local s
        s, err = qn.tls.connect("127.0.0.1", port, with({ ca = streams.shop:cert "root",
          server_name = "localhost" }, client))
        if s then
          err = s:tls().peer.subject[1].value
          s:close()
        end
      end)
      return err
    end
    assert.equal("server", try(function() return nil end))
    assert.same({ "localhost", true }, asked)
    assert.equal("server_rsa", try(function() return streams.shop:identity "server_rsa" end))
    local config = assert(qn.tls.configuration(streams.shop:identity "server_ed25519"))
    assert.equal("server_ed25519", try(function() return config end))
    assert.equal("unrecognized_name", try(function() return false end).alert)
    assert.equal("server", try(function() return nil end, { server_name = false, verify_name = "localhost" }))
    assert.is_nil(asked[1])
    local leaks = require "spec.support.leaks"
    assert.equal("tls", try(function() error("no idea") end).kind)
    assert.equal("tls", try(function() return { cert = "/nowhere" , key = "/nowhere" } end).kind)
    assert.equal("tls", try(function() return 7 end).kind)
    assert.equal(3, #leaks.wait_unhandled(3))
  end)

  it("can be copied to and from, and splits and joins as any stream", function()
    streams:with("tcp", {}, {}, function(a, b)
      local echo = qn.spawn(function() return qn.copy(b, b) end)
      local sent = {}
      for i = 1, 200 do sent[i] = ("%d"):format(i):rep(i) end
      local writer = qn.spawn(function()
        for _, piece in ipairs(sent) do assert(a:write(piece)) end
        a:shutdown("w")
      end)
      assert.equal(table.concat(sent), a:read("a"))
      writer:join()
      echo:join()
    end)
  end)

  it("takes its read buffer's limit for decrypted bytes", function()
    streams:with("tcp", {}, {}, function(a, b)
      a:set_read_buffer_size(1000)
      local writer = qn.spawn(function() return b:write(("x"):rep(3 << 20)) end)
      assert.equal(1, #a:read(1))
      qn.sleep(0.01)
      assert.is_true(a:bytes_available() <= 1000)
      assert.equal(0, #a:read((3 << 20) - 1) - (3 << 20) + 1)
      writer:join()
    end)
  end)
end)

describe("qn.tls", function()
  it("tells library and versions", function()
    assert.truthy(qn.tls.library():find("^OpenSSL 3"))
    local versions = qn.tls.protocols()
    assert.equal("1.3", versions[#versions])
    for _, version in ipairs(versions) do
      assert(qn.tls.configuration { min_version = version, max_version = version })
    end
  end)
end)
