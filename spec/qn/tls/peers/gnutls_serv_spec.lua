-- Our client against gnutls-serv, another implementation of TLS: versions, types of keys, ALPN,
-- certificates of clients, resumption, much data echoed, and its end.

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local peers = require "spec.support.tls_peers"

local shop, ca

setup(function()
  shop = certs.open()
  ca = shop:cert "root"
end)
teardown(function() shop:close() end)

local function connect(server, opts)
  opts = opts or {}
  opts.ca = opts.tls == nil and ca or nil
  opts.server_name = "localhost"
  return qn.tls.connect("127.0.0.1", server.port, opts)
end

-- One line there and back; gives what is known of the connection.
local function talk(server, opts)
  local socket <close> = assert(connect(server, opts))
  assert(socket:write("some words\n"))
  assert.equal("some words", socket:read("l"))
  local facts = socket:tls()
  assert(socket:close())
  return facts
end

describe("our client and gnutls-serv", function()
  for _, key in ipairs { "server", "server_rsa", "server_ed25519" } do
    it("agree on each version and protocol with the certificate " .. key, function()
      local server <close> = peers.gnutls_serv(shop, { identity = key, args = { "--alpn=h2", "--alpn=other" } })
      for _, version in ipairs { "1.2", "1.3" } do
        local facts = talk(server, { min_version = version, max_version = version, alpn = { "h2" } })
        assert.equal("TLSv" .. version, facts.version)
        assert.equal("h2", facts.alpn)
        assert.equal(2, #facts.chain)
        assert.same({}, facts.errors)
        assert.equal(key, facts.peer.subject[1].value)
      end
    end)
  end

  it("show and want certificates of clients", function()
    local server <close> = peers.gnutls_serv(shop, { args = { "--require-client-cert", "--x509cafile", ca } })
    for _, version in ipairs { "1.2", "1.3" } do
      for _, name in ipairs { "client", "client_rsa", "client_ed25519" } do
        talk(server, { cert = shop:cert(name), key = shop:key(name), min_version = version, max_version = version })
      end
      local socket, err = connect(server, { min_version = version, max_version = version })
      if socket then
        local got
        got, err = socket:read("a")
        assert.is_nil(got)
        socket:abort()
      end
      assert.equal("tls", err.kind)
      assert.truthy(err.code:find("^ALERT_"), err.code)
    end
  end)

  for name, case in pairs {
    ["1.2 by session id"] = { "1.2", "--noticket" }, ["1.2 by ticket"] = { "1.2", "--nodb" },
    ["1.3 by ticket"] = { "1.3", "--nodb" },
  } do
    it("resume sessions: TLS " .. name, function()
      local server <close> = peers.gnutls_serv(shop, { args = { case[2] } })
      local config = assert(qn.tls.configuration { ca = ca, min_version = case[1], max_version = case[1] })
      assert.is_false(talk(server, { tls = config }).resumed)
      local again = talk(server, { tls = config })
      assert.is_true(again.resumed)
      assert.equal("server", again.peer.subject[1].value)
    end)
  end

  it("echo a MiB in lines while both sides write", function()
    local server <close> = peers.gnutls_serv(shop, {})
    local lines = {}
    for i = 1, 4096 do
      lines[i] = ("%d %s\n"):format(i, ("x"):rep(248))
    end
    local text <const> = table.concat(lines)
    for _, version in ipairs { "1.2", "1.3" } do
      local socket <close> = assert(connect(server, { min_version = version, max_version = version }))
      local writer = qn.spawn(function() assert(socket:write(text)) end)
      assert.is_true(socket:read_exactly(#text) == text)
      assert(writer:join())
      assert(socket:shutdown("w"))
      local rest, err = socket:read("a")
      assert.is_nil(err)
      assert.equal("", rest)
    end
  end)

  it("go on after new keys", function()
    local server <close> = peers.gnutls_serv(shop, {})
    local socket <close> = assert(connect(server, { min_version = "1.3" }))
    for i = 1, 3 do
      assert(socket:update_keys(i == 2))
      assert(socket:write(("line %d\n"):format(i)))
      assert.equal(("line %d"):format(i), socket:read("l"))
    end
  end)

  it("end: a server that is killed cuts the stream short", function()
    local server <close> = peers.gnutls_serv(shop, {})
    local socket <close> = assert(connect(server))
    assert(socket:write("words\n"))
    assert.equal("words", socket:read("l"))
    server:stop("KILL")
    local got, err = socket:read(1)
    assert.is_nil(got)
    assert.equal("TLS_TRUNCATED", err.code)
  end)
end)
