-- Unusual but lawful ways of OpenSSL and GnuTLS: another group than the one guessed (HelloRetryRequest),
-- small records, early data that is not taken, reconnecting, tickets without number, old versions when
-- they are asked for, peers that stop in the middle of a handshake.

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local echo = require "spec.support.tls_echo"
local peers = require "spec.support.tls_peers"
local program = require "spec.support.program"
local temp = require "spec.support.temp"

local shop, ca

setup(function()
  shop = certs.open()
  ca = shop:cert "root"
end)
teardown(function() shop:close() end)

local function connect(server, opts)
  opts.ca, opts.server_name = ca, "localhost"
  return qn.tls.connect("127.0.0.1", server.port, opts)
end

local function lines_with(name, more, f) echo.with_identity(shop, name, more, f) end

local big <const> = temp.pattern(1 << 20)

-- Sends a MiB with s_client, which must get it back.
local function echo_big(...)
  local file, words = shop:write("big", big), table.concat({ ... }, " ")
  echo.with(shop:identity "server", function(server, seen)
    local status, out, err = program.run { "sh", "-c",
      ("exec openssl s_client -quiet -verify_quiet -CAfile %s -connect 127.0.0.1:%d %s <%s"):format(ca, server:port(),
        words, file) }
    assert.equal(0, status, err)
    assert.is_true(out == big, #out)
    assert.is_nil(seen:recv().problem)
  end, echo.exactly(#big))
end

describe("our client", function()
  it("tries again with the group that the server wants", function()
    local server <close> = peers.s_server(shop, { args = { "-tls1_3", "-groups", "P-384" } })
    local socket <close> = assert(connect(server, {}))
    assert.truthy(socket:tls().ephemeral_key:find("384", 1, true))
    assert(socket:write("words.\n"))
    server:wait_for("words%.")
  end)

  it("speaks an old version when it is told to, and not else", function()
    local server <close> = peers.s_server(shop, { args = { "-tls1", "-cipher", "DEFAULT@SECLEVEL=0" } })
    local none, err = connect(server, {})
    assert.is_nil(none)
    assert.equal("tls", err.kind)
    local socket <close> = assert(connect(server, { min_version = "1.0", ciphers = "DEFAULT@SECLEVEL=0" }))
    assert.equal("TLSv1", (socket:tls().version:gsub("%.0$", "")))
    assert(socket:write("words.\n"))
    server:wait_for("words%.")
  end)

  it("takes many tickets, and none", function()
    for _, count in ipairs { 0, 10 } do
      local server <close> = peers.s_server(shop, { args = { "-tls1_3", "-num_tickets", count } })
      local socket <close> = assert(connect(server, {}))
      assert(socket:write("words.\n"))
      server:wait_for("words%.")
      server:say("others\n")
      assert.equal("others", socket:read("l"))
      assert.equal(count > 0, socket:tls().session ~= nil)
    end
  end)

  it("gives up when the server stops in the middle of the handshake", function()
    local server <close> = peers.s_server(shop, {})
    server:signal "STOP"
    local none, err = connect(server, { timeout = 0.2 })
    assert.is_nil(none)
    assert.equal("timeout", err.kind)
    assert.equal("tls", err.phase)
    server:signal "CONT"
    assert(connect(server, {})):close()
  end)

  it("says what it met instead of TLS", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local task = qn.spawn(function()
      while true do
        local socket <close> = assert(server:accept())
        socket:write("HTTP/1.1 400 Bad Request\r\n\r\n")
        socket:shutdown("w")
        socket:read("a")
      end
    end)
    local none, err = connect({ port = server:port() }, {})
    assert.is_nil(none)
    assert.equal("TLS_PROTOCOL", err.code)
    task:cancel()
    task:join()
  end)
end)

describe("our server", function()
  it("asks for another group", function()
    lines_with("server", { curves = "P-384" }, function(server, seen)
      local client <close> = peers.s_client(shop, server:port(), { args = { "-groups", "X25519:P-384" } })
      client:say("words.\n")
      client:wait_for("words%.\n")
      client:say("Q\n")
      client:wait()
      assert.truthy(seen:recv().ephemeral_key:find("384", 1, true))
    end)
  end)

  it("keeps to small records, of both ways to ask for them", function()
    echo_big("-maxfraglen", "512", "-tls1_2")
    echo_big("-maxfraglen", "1024", "-tls1_3")
    echo_big("-split_send_frag", "512", "-max_send_frag", "600")
    lines_with("server", {}, function(server, seen)
      local client <close> = peers.gnutls_cli(shop, server:port(), { args = { "--recordsize=512" } })
      client:say("words.\n")
      client:wait_for("Simple Client Mode.*words%.\n")
      client:finish()
      assert.equal(0, (client:wait()))
      assert.is_nil(seen:recv().problem)
    end)
  end)

  it("takes no early data, and goes on with what comes after", function()
    lines_with("server", {}, function(server, seen)
      local session = shop:path "session"
      local first <close> = peers.s_client(shop, server:port(), { args = { "-tls1_3", "-sess_out", session } })
      first:say("words.\n")
      first:wait_for("words%.\n")
      first:say("Q\n")
      first:wait()
      seen:recv()
      local early = shop:write("early", "early words\n")
      local client <close> = peers.s_client(shop, server:port(), { args = { "-tls1_3", "-sess_in", session,
        "-early_data", early } })
      client:say("later words.\n")
      client:wait_for("later words%.\n")
      client:say("Q\n")
      local _, out = client:wait()
      assert.is_nil((out:find("Early data was accepted", 1, true)))
      local facts = seen:recv()
      assert.equal(#"later words.\n", facts.copied)
    end)
  end)

  it("is met again and again by a client that reconnects", function()
    lines_with("server", {}, function(server, seen)
      local client <close> = peers.s_client(shop, server:port(), { args = { "-reconnect", "-tls1_2" } })
      client:wait_for(("Reused, TLSv1.2.*"):rep(5))
      client:say("Q\n")
      client:wait()
      local resumed = 0
      for _ = 1, 6 do
        resumed = resumed + (seen:recv().resumed and 1 or 0)
      end
      assert.equal(5, resumed)
    end)
  end)

  it("is not held up by clients that stop", function()
    lines_with("server", { handshake_timeout = 0.3 }, function(server, seen, refused)
      local stopped = {}
      for i = 1, 3 do
        stopped[i] = assert(qn.tcp.connect("127.0.0.1", server:port()))
      end
      assert(stopped[2]:write("\x16\x03\x01\x02\x00\x01")) -- the beginning of a ClientHello
      local client <close> = peers.s_client(shop, server:port(), {})
      client:say("words.\n")
      client:wait_for("words%.\n")
      client:say("Q\n")
      client:wait()
      seen:recv()
      program.until_true("the refusals", function() return #refused == 3 end)
      for i = 1, 3 do
        assert.equal("timeout", refused[i].kind)
        stopped[i]:close()
      end
    end)
  end)
end)
