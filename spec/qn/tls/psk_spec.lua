-- Shared keys: the options, tables and functions, and OpenSSL and GnuTLS as the other side.
-- covers: lua/qn/tls/psk.lua, bindings/b_tls_psk.c, bindings/b_tls_choice.c

local qn = require "qn"

local certs = require "spec.support.tls_certs"
local peers = require "spec.support.tls_peers"
local program = require "spec.support.program"

local KEY <const> = "0123456789abcdef0123456789ABCDEF"
local HEX <const> = (KEY:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
local VERSIONS <const> = { "1.2", "1.3" }

local shop

-- What a server of ours says of a client, which gets "hello".
local function serve(opts, f)
  local server <close> = assert(qn.tls.listen("127.0.0.1", 0, opts))
  local got = {}
  local task = qn.spawn(function()
    for socket in server:each() do
      local facts = socket:tls()
      got.identity, got.version, got.cipher = facts.psk_identity, facts.version, facts.cipher
      got.resumed, got.peer = facts.resumed, facts.peer
      socket:write("hello\n")
      got.line = socket:read("l")
      socket:close()
    end
  end)
  f(server:port(), got, server)
  server:close()
  task:join()
  return got
end

local function talk(port, opts)
  opts.server_name = opts.server_name or "localhost"
  local socket, err = qn.tls.connect("127.0.0.1", port, opts)
  if not socket then
    return nil, err
  end
  local line = socket:read("l")
  local facts = socket:tls()
  socket:write("bye\n")
  socket:close()
  return line, facts
end

describe("shared keys", function()
  setup(function() shop = certs.open() end)
  teardown(function() shop:close() end)

  it("authenticate both sides, from tables", function()
    for _, version in ipairs(VERSIONS) do
      local got = serve({ psk = { keys = { alice = ("a"):rep(16), bob = KEY } } }, function(port)
        local line, facts = talk(port, { psk = { identity = "bob", key = KEY }, max_version = version })
        assert.equal("hello", line)
        assert.equal("TLSv" .. version, facts.version)
        assert.equal("bob", facts.psk_identity)
        assert.is_nil(facts.peer)
        assert.is_false(facts.resumed)
      end)
      assert.equal("bob", got.identity)
    end
  end)

  it("come from functions, with the server's hint", function()
    for _, version in ipairs(VERSIONS) do
      local seen = {}
      local function server_key(identity, role)
        seen.server = { identity, role }
        return identity == "carol" and KEY or nil
      end
      local function client_key(hint, role)
        seen.client = { hint or "-", role }
        return "carol", KEY
      end
      serve({ psk = server_key, psk_hint = "be carol" }, function(port)
        assert.equal("hello", (talk(port, { psk = client_key, max_version = version })))
      end)
      assert.same({ "carol", "server" }, seen.server)
      assert.same({ version == "1.2" and "be carol" or "-", "client" }, seen.client)
    end
  end)

  it("that do not fit fail in words, unknown identities look the same", function()
    for _, version in ipairs(VERSIONS) do
      local alerts, texts = {}, {}
      for _, identity in ipairs { "bob", "mallory" } do
        local server <close> = assert(qn.tls.listen("127.0.0.1", 0, { psk = { keys = { bob = KEY } } }))
        server:on("handshake_error", function(err) texts[#texts + 1] = err.message end)
        local task = qn.spawn(function() return server:accept() end)
        local line, err = talk(server:port(), { psk = { identity = identity, key = ("x"):rep(32) },
          max_version = version })
        assert.is_nil(line)
        assert.equal("tls", err.kind)
        alerts[#alerts + 1] = err.alert
        program.until_true("the server's error", function() return #texts == #alerts end)
        task:cancel()
      end
      assert.equal(alerts[1], alerts[2])
      assert.truthy(texts[1]:find("the shared key is not the peer's", 1, true), texts[1])
      assert.truthy(texts[2]:find("the identity of the client's shared key is not known", 1, true))
    end
  end)

  it("work over DTLS", function()
    local server <close> = assert(qn.dtls.listen("127.0.0.1", 0, { psk = { keys = { bob = KEY } } }))
    local task = qn.spawn(function()
      local peer <close> = assert(server:accept())
      return peer:tls().psk_identity, (peer:recv())
    end)
    local client <close> = assert(qn.dtls.connect("127.0.0.1", server:port(), { server_name = "localhost",
      psk = { identity = "bob", key = KEY } }))
    assert.equal("bob", client:tls().psk_identity)
    assert(client:send("over datagrams"))
    assert.same({ true, "bob", "over datagrams" }, { task:join() })
    local none, err = qn.dtls.connect("127.0.0.1", server:port(), { server_name = "localhost",
      psk = { identity = "eve", key = ("x"):rep(16) }, timeout = 0.1 })
    assert.is_nil(none)
    assert.equal("timeout", err.kind) -- datagrams that cannot be read are dropped (RFC 6347, 4.1.2.7)
  end)

  it("are checked when they are given", function()
    local cases = {
      { { identity = "a" }, "option 'psk.key': a key is a string of 16 to 64 bytes, got nil" },
      { { identity = "a", key = "short" }, "option 'psk.key': a key is a string of 16 to 64 bytes, got 5" },
      { { identity = "", key = KEY }, "option 'psk.identity': an identity is a string of 1 to 128 bytes" },
      { { identity = "a\0b", key = KEY }, "option 'psk.identity': an identity is a string" },
      { { keys = { [("x"):rep(129)] = KEY } }, "option 'psk.keys': an identity is a string" },
      { { keys = { a = ("x"):rep(65) } }, "option 'psk.keys': a key is a string of 16 to 64 bytes, got 65" },
      { { keys = 1 }, "option 'psk.keys' must be a table, got number" },
      { {}, "option 'psk' must hold 1 to 1024 keys" },
      { { name = "a" }, "option 'psk': unknown field 'name'" },
    }
    for _, case in ipairs(cases) do
      local ok, err = pcall(qn.tls.configuration, { psk = case[1] })
      assert.is_false(ok)
      assert.truthy(err:find("qn.tls.configuration: " .. case[2], 1, true), err)
      assert.is_nil(err:find(KEY, 1, true))
    end
    assert.is_false((pcall(qn.tls.configuration, { psk = 5 })))
    assert.is_false((pcall(qn.tls.configuration, { psk_hint = ("x"):rep(129) })))
  end)

  it("of functions that fail are none", function()
    local status, _, err = program.run { program.qnlua(), "-e", [[
      local server = assert(qn.tls.listen("127.0.0.1", 0, { psk = function() return "short" end }))
      qn.spawn(function() server:accept() end)
      local socket, err = qn.tls.connect("127.0.0.1", server:port(),
        { server_name = "x", psk = { identity = "a", key = ("k"):rep(16) } })
      assert(not socket and err.kind == "tls")
      os.exit(3)]] }
    assert.equal(3, status)
    assert.truthy(err:find("error in the choice of psk: .*the key of a shared key must be a "
      .. "string of 16 to 64 bytes"), err)
  end)

  it("of functions may hold what holds them", function()
    local seen = setmetatable({}, { __mode = "v" })
    do
      local self = {}
      self.config = assert(qn.tls.configuration { psk = function() return self.key end })
      seen[1] = self.config
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(seen[1])
  end)

  it("work with a server of OpenSSL", function()
    for _, version in ipairs(VERSIONS) do
      local peer <close> = peers.s_server(shop, { args = { "-nocert", "-psk", HEX, "-psk_identity",
        "bob", "-psk_hint", "spec", "-quiet" } })
      peer:say("hello\n")
      local line, facts = talk(peer.port, { psk = { identity = "bob", key = KEY }, max_version = version })
      assert.equal("hello", line)
      assert.equal("bob", facts.psk_identity)
      assert.equal("TLSv" .. version, facts.version)
    end
  end)

  it("work with a client of OpenSSL", function()
    for _, version in ipairs(VERSIONS) do
      local got = serve({ psk = { keys = { bob = KEY } } }, function(port, got)
        local peer <close> = peers.s_client(shop, port, { args = { "-psk", HEX, "-psk_identity", "bob",
          "-quiet", version == "1.2" and "-tls1_2" or "-tls1_3" } })
        peer:wait_for("hello")
        peer:say("from openssl\n")
        program.until_true("a line", function() return got.line end)
      end)
      assert.equal("bob", got.identity)
      assert.equal("from openssl", got.line)
      assert.equal("TLSv" .. version, got.version)
    end
  end)

  it("work with a server of GnuTLS", function()
    local file = shop:write("psk.txt", "bob:" .. HEX .. "\n")
    for _, version in ipairs(VERSIONS) do
      local peer <close> = peers.gnutls_serv(shop, { args = { "--pskpasswd", file, "--priority",
        "NORMAL:-VERS-ALL:+VERS-TLS" .. version .. ":-KX-ALL:+ECDHE-PSK:+PSK" } })
      local socket = assert(qn.tls.connect("127.0.0.1", peer.port, { server_name = "localhost",
        psk = { identity = "bob", key = KEY } }))
      assert.equal("bob", socket:tls().psk_identity)
      assert.equal("TLSv" .. version, socket:tls().version)
      socket:write("echo\r\n")
      assert.equal("echo", (socket:read("l"):gsub("\r", "")))
      socket:close()
    end
  end)

  -- With TLS 1.2 and shared keys gnutls-cli dies of itself behind the handshake, also at gnutls-serv.
  it("work with a client of GnuTLS", function()
    for _, version in ipairs(VERSIONS) do
      local got = serve({ psk = { keys = { bob = KEY } } }, function(port, got)
        local peer <close> = peers.gnutls_cli(shop, port, { args = { "--pskusername", "bob", "--pskkey",
          HEX, "--priority", "NORMAL:-VERS-ALL:+VERS-TLS" .. version .. ":-KX-ALL:+ECDHE-PSK:+PSK" } })
        if version == "1.3" then
          peer:wait_for("hello")
          peer:say("from gnutls\n")
          program.until_true("a line", function() return got.line end)
        else
          program.until_true("a connection", function() return got.identity end)
        end
      end)
      assert.equal("bob", got.identity)
      assert.equal("TLSv" .. version, got.version)
      assert.equal(version == "1.3" and "from gnutls" or nil, got.line)
    end
  end)
end)
