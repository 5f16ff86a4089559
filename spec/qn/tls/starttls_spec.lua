-- start_tls: on every kind of stream, in both roles, in layers; what may go wrong with it.
-- covers: lua/qn/tls/socket.lua
-- covers: bindings/b_tls.c

local qn = require "qn"
local pair = require "spec.support.pair"
local throws = require "spec.support.throws"
local tls_streams = require "spec.support.tls_streams"

local function each_kind(f)
  for _, kind in ipairs(pair.kinds) do
    pair.with(kind, f)
  end
end

describe("start_tls", function()
  local streams
  setup(function() streams = tls_streams.open() end)
  teardown(function() streams:close() end)

  for _, kind in ipairs(pair.kinds) do
    it("encrypts a live stream, after a dialogue in clear (" .. kind .. ")", function()
      pair.with(kind, function(a, b)
        assert(a:write("STARTTLS\r\n"))
        assert.equal("STARTTLS\r", b:read("l"))
        assert(b:write("220 go\n"))
        assert.equal("220 go", a:read("l"))
        local ok, err, far, far_err = streams.shake(a, b, streams:client(), streams:server())
        assert.is_true(ok, tostring(err))
        assert.is_true(far, tostring(far_err))
        assert(a:write("secret\n"))
        assert.equal("secret", b:read("l"))
        assert(b:write(("y"):rep(300000)))
        assert.equal(300000, #a:read_exactly(300000))
        assert.is_true(a:tls().encrypted)
        assert.is_false(a:tls().server)
        assert.is_true(b:tls().server)
        a:close()
        assert.equal("", b:read("a"))
        assert.is_nil(b:recv())
      end)
    end)
  end

  it("runs in layers: TLS in TLS", function()
    pair.with("tcp", function(a, b)
      for i = 1, 3 do
        local ok, err = streams.shake(a, b, streams:client { alpn = "layer" .. i },
          streams:server { alpn = "layer" .. i })
        assert.is_true(ok, tostring(err))
        assert.equal("layer" .. i, a:tls().alpn)
        assert.equal("layer" .. i, b:tls().alpn)
      end
      local data = ("z"):rep(200000)
      assert(a:write(data))
      a:shutdown("w")
      assert.equal(data, b:read("a"))
      assert(b:write("back"))
      b:close()
      assert.equal("back", a:read("a"))
    end)
  end)

  it("is refused when bytes are buffered that somebody may have put in front", function()
    each_kind(function(a, b)
      assert(b:write("220 go\nEVIL\n"))
      assert.equal("220 go", a:read("l"))
      local ok, err = a:start_tls(streams:client())
      assert.is_nil(ok)
      assert.equal("protocol", err.kind)
      assert.equal("PLAINTEXT_BUFFERED", err.code)
      assert.equal("EVIL", a:read("l")) -- nothing was begun
      assert.is_nil(a:tls())
      assert(b:write("RCPT"))
      assert.equal(4, #a:peek(4))
      ok, err = a:start_tls(streams:server())
      assert.is_nil(ok)
      assert.equal("PLAINTEXT_BUFFERED", err.code)
    end)
  end)

  it("of a server takes a ClientHello that was read ahead", function()
    pair.with("tcp", function(a, b)
      local task = qn.spawn(a.start_tls, a, streams:client())
      assert.equal("\x16\x03\x01", b:peek(3))
      assert.is_true(b:start_tls(streams:server()))
      assert.is_true(select(2, task:join()))
      assert(a:write("x"))
      assert.equal("x", b:recv())
    end)
  end)

  it("wants nobody to wait on the stream, and a connected one", function()
    pair.with("memory", function(a)
      local reader = qn.spawn(function() return a:recv() end)
      qn.yield()
      local ok, err = a:start_tls(streams:client())
      assert.is_nil(ok)
      assert.equal("busy", err.kind)
      reader:cancel()
      reader:join()
    end)
    local socket <close> = qn.tcp.socket()
    local ok, err = socket:start_tls(streams:client())
    assert.is_nil(ok)
    assert.equal("closed", err.kind)
    local a, b = qn.pair()
    a:close()
    b:close()
    ok, err = a:start_tls(streams:client())
    assert.is_nil(ok)
    assert.equal("closed", err.kind)
  end)

  it("fails for a peer that does not speak TLS, and closes the stream", function()
    each_kind(function(a, b)
      local task = qn.spawn(function()
        b:recv()
        b:write("HTTP/1.0 400 Bad Request\r\n\r\n")
      end)
      local ok, err = a:start_tls(streams:client())
      task:join()
      assert.is_nil(ok)
      assert.equal("tls", err.kind)
      assert.equal("TLS_PROTOCOL", err.code)
      assert.is_false(a:is_open())
    end)
  end)

  it("fails when the peer goes away in the middle, at any byte", function()
    -- the server's first flight, cut everywhere
    local flight
    pair.with("memory", function(a, b)
      local task = qn.spawn(a.start_tls, a, streams:client { max_version = "1.2" })
      local hello = b:recv()
      task:cancel()
      task:join()
      pair.with("memory", function(c, d)
        local server = qn.spawn(d.start_tls, d, streams:server())
        assert(c:write(hello))
        flight = c:recv()
        server:cancel()
        server:join()
      end)
    end)
    for n = 0, #flight - 1, math.max(1, #flight // 60) do
      pair.with("memory", function(a, b)
        local task = qn.spawn(a.start_tls, a, streams:client { max_version = "1.2" })
        b:recv()
        if n > 0 then b:write(flight:sub(1, n)) end
        b:close()
        local _, ok, err = task:join()
        assert.is_nil(ok)
        assert.truthy(({ eof = 1, tls = 1, protocol = 1, reset = 1 })[err.kind], tostring(err))
        assert.is_false(a:is_open())
      end)
    end
  end)

  it("has a time limit, and says what it was", function()
    pair.with("memory", function(a)
      local ok, err = a:start_tls(streams:client { timeout = 0.02 })
      assert.is_nil(ok)
      assert.equal("timeout", err.kind)
      assert.equal("tls", err.phase)
      assert.is_false(a:is_open())
    end)
    pair.with("tcp", function(a)
      local ok, err = qn.timeout(0.02, a.start_tls, a, streams:client())
      assert.is_nil(ok)
      assert.equal("timeout", err.kind)
      assert.equal("tls", err.phase)
      assert.is_false(a:is_open())
    end)
  end)

  it("that is cancelled leaves a closed stream", function()
    pair.with("tcp", function(a)
      local task = qn.spawn(a.start_tls, a, streams:client())
      qn.sleep(0.005)
      task:cancel()
      task:join()
      assert.is_false(a:is_open())
      assert.is_nil((a:write("clear")))
    end)
  end)

  it("throws for what is misuse, and names it", function()
    local a, b = qn.pair()
    local a_end <close> = a
    local b_end <close> = b
    assert(a_end and b_end)
    throws.method(assert, "^%[string.*%]:1: start_tls: unknown option 'cret' %(did you mean 'cert'%?%)", a,
      "start_tls", { cret = 1 })
    throws.method(assert, "option 'verify' must be one of 'auto', 'none', 'query', 'peer'", a, "start_tls",
      { verify = "no" })
    throws.method(assert, "option 'server_name' is missing", a, "start_tls", {})
    throws.method(assert, "option 'timeout' must be seconds", a, "start_tls", { timeout = "soon" })
    throws.method(assert, "TLS options must be true, a table or a qn.TlsConfiguration, got number", a,
      "start_tls", 1)
    throws.method(assert, "option 'cert' needs option 'key'", a, "start_tls",
      { server = true, cert = streams.shop:cert "server" })
    throws.method(assert, "option 'server_name' must be a host name", a, "start_tls", { server_name = "a b" })
    for _, name in ipairs { "start_tls", "tls", "ignore_ssl_errors", "update_keys" } do
      throws.call(assert, "bad argument #1 to '" .. name .. "' %(qn.Stream expected, got nil%)", a, name)
    end
    local file <close> = assert(qn.file.open("/dev/null", "r+"))
    throws.method(assert, "start_tls: a file is no connection", file, "start_tls", { verify = "none" })
    for _, name in ipairs { "sni", "client_ca", "ticket_keys", "ocsp_staple" } do
      local value = name == "sni" and {} or name == "ticket_keys" and { ("k"):rep(80) }
        or name == "client_ca" and streams.shop:cert "root" or "x"
      throws.method(assert, "option '" .. name .. "' is for servers", a, "start_tls",
        { server_name = "x", [name] = value })
    end
    throws.method(assert, "option 'alpn': a function is for servers", a, "start_tls",
      { server_name = "x", alpn = print })
    throws.method(assert, "option 'verify_name' is for clients", a, "start_tls",
      streams:server { verify_name = "x" })
    assert.is_true(a:is_open())
  end)

  it("gives errors for files and texts that are no good, and begins nothing", function()
    local a, b = qn.pair()
    local a_end <close> = a
    local b_end <close> = b
    assert(a_end and b_end)
    local function fails(opts)
      local ok, err = a:start_tls(opts)
      assert.is_nil(ok)
      assert.is_true(a:is_open())
      return err
    end
    local err = fails { ca = "/nowhere/ca.pem", server_name = "x" }
    assert.equal("ENOENT", err.code)
    assert.truthy(err.message:find("option 'ca': /nowhere/ca.pem", 1, true))
    err = fails { ca = "-----BEGIN NOTHING", server_name = "x" }
    assert.equal("CERT_FORMAT", err.code)
    err = fails(streams:server { key = streams.shop:key "client" })
    assert.equal("KEY_MISMATCH", err.code)
    assert.truthy(tostring(err):find("option 'cert'", 1, true), tostring(err))
    err = fails(streams:client { ciphers = "NONSENSE" })
    assert.equal("invalid", err.kind)
    assert.truthy(err.message:find("cipher", 1, true), err.message)
    err = fails { server = true }
    assert.equal("TLS_CONFIGURATION", err.code)
    err = fails(streams:client { session = "rubbish" })
    assert.equal("invalid", err.kind)
  end)

  it("of a Unix socket or pair needs a name, but takes any when told so", function()
    local name = pair.unix_name()
    local server <close> = assert(qn.unix.listen(name))
    local task = qn.spawn(function()
      local s <close> = assert(server:accept())
      assert(s:start_tls(streams:server()))
      s:write("hi")
    end)
    local s <close> = assert(qn.unix.connect(name, { tls = { ca = streams.shop:cert "root",
      verify_name = false } }))
    assert.is_nil(s:tls().server_name)
    assert.equal("hi", s:read("a"))
    task:join()
    throws.call(assert, "option 'server_name' is missing", qn.unix, "connect", name, { tls = true })
  end)
end)
