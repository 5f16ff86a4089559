-- Our client against openssl s_server: versions, types of keys, ALPN, certificates of clients,
-- resumption, new keys, much data both ways.

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local peers = require "spec.support.tls_peers"
local program = require "spec.support.program"
local temp = require "spec.support.temp"
local tls_streams = require "spec.support.tls_streams"

local with <const> = tls_streams.with

local shop, ca

setup(function()
  shop = certs.open()
  ca = shop:cert "root"
end)
teardown(function() shop:close() end)

local function connect(server, opts)
  return qn.tls.connect("127.0.0.1", server.port, with({ ca = ca, server_name = "localhost" }, opts))
end

-- Waits until a server has printed as much as these bytes.
local function wait_for_output(server, bytes)
  return program.until_true("the output of " .. #bytes .. " bytes", function()
    local got = server:output()
    return #got >= #bytes and { got }
  end)[1] == bytes
end

local count = 0

-- One connection on which both sides say something; gives what is known of it.
local function talk(server, opts)
  count = count + 1
  local socket <close> = assert(connect(server, opts))
  assert(socket:write(("ping %d.\n"):format(count)))
  server:wait_for(("ping %d%%."):format(count))
  server:say(("pong %d\n"):format(count))
  assert.equal(("pong %d"):format(count), socket:read("l"))
  local facts = socket:tls()
  assert(socket:close())
  return facts
end

-- A command for s_server. It looks at its input before it reads from us, and drops what stands behind
-- a command, so one more line makes sure that it was read alone.
local function command(server, socket, line)
  count = count + 1
  server:say(line)
  assert(socket:write(("after %d.\n"):format(count)))
  server:wait_for(("after %d%%."):format(count))
end

describe("our client and s_server", function()
  for _, key in ipairs { "server", "server_rsa", "server_ed25519" } do
    it("agree on each version and protocol with the certificate " .. key, function()
      local server <close> = peers.s_server(shop, { identity = key, args = { "-alpn", "h2,other" } })
      for _, version in ipairs { "1.2", "1.3" } do
        local facts = talk(server, { min_version = version, max_version = version, alpn = { "other", "h2" } })
        assert.equal("TLSv" .. version, facts.version)
        assert.equal("h2", facts.alpn) -- the server's first one
        assert.equal("localhost", facts.server_name)
        assert.equal(2, #facts.chain)
        assert.same({}, facts.errors)
        assert.equal(key, facts.peer.subject[1].value)
        assert.is_false(facts.resumed)
      end
      assert.is_nil(talk(server).alpn)
    end)
  end

  it("agree on ciphers and groups", function()
    local server <close> = peers.s_server(shop, {})
    local facts = talk(server, { max_version = "1.2", ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305", curves = "P-384:P-256" })
    assert.equal("ECDHE-ECDSA-CHACHA20-POLY1305", facts.cipher)
    assert.truthy(facts.ephemeral_key:find("384"))
    facts = talk(server, { min_version = "1.3", ciphersuites = "TLS_AES_128_GCM_SHA256", curves = { "X25519" } })
    assert.equal("TLS_AES_128_GCM_SHA256", facts.cipher)
    assert.equal("X25519", facts.ephemeral_key)
    assert.equal(128, facts.cipher_bits)
  end)

  it("have nothing in common: the alert is told", function()
    local server <close> = peers.s_server(shop, { args = { "-tls1_3", "-alpn", "h2" } })
    local socket, err = connect(server, { max_version = "1.2" })
    assert.is_nil(socket)
    assert.equal("tls", err.kind)
    assert.equal("protocol_version", err.alert)
    socket, err = connect(server, { alpn = { "none" } })
    assert.is_nil(socket)
    assert.equal("no_application_protocol", err.alert)
  end)
end)

describe("certificates of clients", function()
  local wanted <const> = { "-Verify", "3", "-verify_return_error" }

  for _, version in ipairs { "1.2", "1.3" } do
    it("are shown with TLS " .. version, function()
      local server <close> = peers.s_server(shop, { args = { "-CAfile", ca, table.unpack(wanted) } })
      for _, name in ipairs { "client", "client_rsa", "client_ed25519" } do
        local id = { cert = shop:cert(name), key = shop:key(name), min_version = version, max_version = version }
        talk(server, id)
        server:wait_for("CN = " .. name .. "\n")
      end
    end)

    it("are missed or refused with TLS " .. version .. ", which is told by the alert", function()
      local server <close> = peers.s_server(shop, { args = { "-CAfile", ca, table.unpack(wanted) } })
      local cases = { {}, shop:identity "strange_client", shop:identity "expired_client" }
      local alerts = { version == "1.2" and "handshake_failure" or "certificate_required", "unknown_ca",
        "certificate_expired" }
      for i, opts in ipairs(cases) do
        local socket, err = connect(server, with(opts, { min_version = version, max_version = version }))
        if socket then -- 1.3: a client is done before its certificate was looked at
          local got
          got, err = socket:read("a")
          assert.is_nil(got)
          socket:abort()
        end
        assert.equal("tls", err.kind)
        assert.equal("ALERT_" .. alerts[i]:upper(), err.code)
      end
    end)
  end
end)

describe("sessions", function()
  local kinds <const> = {
    ["1.2 by session id"] = { "-tls1_2", "-no_ticket" }, ["1.2 by ticket"] = { "-tls1_2" },
    ["1.3 by ticket"] = { "-tls1_3" }, ["1.3 by stateful ticket"] = { "-tls1_3", "-no_ticket" },
  }
  for name, args in pairs(kinds) do
    it("are resumed: TLS " .. name, function()
      local server <close> = peers.s_server(shop, { args = args })
      local config = assert(qn.tls.configuration { ca = ca })
      local first = talk(server, { tls = config })
      assert.is_false(first.resumed)
      for _ = 1, 2 do
        local again = talk(server, { tls = config })
        assert.is_true(again.resumed)
        assert.same({}, again.errors)
      end
      assert.is_false(talk(server, { tls = assert(qn.tls.configuration { ca = ca, sessions = false }) }).resumed)
      local bytes = first.session:export()
      if not name:find("stateful") then
        assert.is_true(talk(server, { session = bytes, sessions = false }).resumed)
      end
    end)
  end

  it("are not resumed for another name", function()
    local server <close> = peers.s_server(shop, { args = { "-tls1_2" } })
    local config = assert(qn.tls.configuration { ca = ca })
    talk(server, { tls = config })
    local socket, err = connect(server, { tls = config, server_name = "other.test" })
    assert.is_nil(socket)
    assert.equal("CERT_HOSTNAME_MISMATCH", err.code)
  end)
end)

describe("data", function()
  it("of 1 MiB goes up", function()
    local server <close> = peers.s_server(shop, { args = { "-quiet" } })
    local bytes <const> = temp.pattern(1 << 20)
    local socket <close> = assert(connect(server))
    assert(socket:write(bytes))
    assert(socket:shutdown("w"))
    assert.equal("", (socket:read("a"))) -- its close_notify, and then the end
    assert.is_true(wait_for_output(server, bytes))
  end)

  it("of 1 MiB goes up whole when the client closes and has not read the tickets that came", function()
    local server <close> = peers.s_server(shop, { args = { "-quiet", "-tls1_3" } })
    local bytes <const> = temp.pattern(1 << 20)
    local socket = assert(connect(server))
    local writer = qn.spawn(function() assert(socket:write(bytes)) end)
    program.until_true("the first bytes", function() return #server:output() > 0 end)
    server:signal "STOP"
    assert(writer:join()) -- the kernel has it all, and cannot send it
    assert(socket:close())
    server:signal "CONT"
    assert.is_true(wait_for_output(server, bytes))
  end)

  it("of 1 MiB comes down, and the end is close_notify", function()
    shop:write("big", temp.pattern(1 << 20))
    local server <close> = peers.s_server(shop, { args = { "-HTTP" }, folder = shop.folder })
    for _, version in ipairs { "1.2", "1.3" } do
      local socket <close> = assert(connect(server, { max_version = version }))
      assert(socket:write("GET /big HTTP/1.0\r\n\r\n"))
      local got, err = socket:read("a")
      assert.is_nil(err)
      assert.is_true(got == temp.pattern(1 << 20))
      assert.equal("close_notify", socket:tls().alert_received)
    end
  end)

  it("goes on over new keys that either side asks for", function()
    local server <close> = peers.s_server(shop, { args = { "-tls1_3" } })
    local socket <close> = assert(connect(server))
    for i = 1, 3 do
      assert(socket:update_keys(i == 2))
      assert(socket:write(("up %d.\n"):format(i)))
      server:wait_for(("up %d%%."):format(i))
      command(server, socket, i == 3 and "k\n" or "K\n")
      server:say(("down %d\n"):format(i))
      assert.equal(("down %d"):format(i), socket:read("l"))
    end
  end)

  it("goes on after a request to negotiate again, which is refused", function()
    local server <close> = peers.s_server(shop, { args = { "-tls1_2" } })
    local socket <close> = assert(connect(server))
    assert(socket:write("one\n"))
    server:wait_for("one")
    command(server, socket, "r\n")
    server:say("two\n")
    assert.equal("two", socket:read("l"))
    assert.equal("no_renegotiation", socket:tls().alert_sent)
  end)

  it("that ends without close_notify is cut short, which is told", function()
    local server <close> = peers.s_server(shop, {})
    local socket <close> = assert(connect(server))
    assert(socket:write("one\n"))
    server:wait_for("one")
    server:say("two\n")
    assert.equal("two", socket:read("l"))
    server:stop("KILL")
    local got, err = socket:read("a")
    assert.is_nil(got)
    assert.equal("TLS_TRUNCATED", err.code)
    assert.equal("tls", err.kind)
  end)
end)
