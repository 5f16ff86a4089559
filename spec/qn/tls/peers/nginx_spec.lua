-- Our client against nginx: what a usual web server does with versions, keys, ALPN, certificates of
-- clients, tickets and files.

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local peers = require "spec.support.tls_peers"
local temp = require "spec.support.temp"

local shop, ca

setup(function()
  shop = certs.open()
  ca = shop:cert "root"
end)
teardown(function() shop:close() end)

-- Status line and body of a GET, and what is known of the connection.
local function get(server, path, opts)
  opts = opts or {}
  opts.server_name = opts.server_name or "localhost"
  opts.ca = opts.tls == nil and ca or nil
  local socket <close> = assert(qn.tls.connect("127.0.0.1", server.port, opts))
  assert(socket:write("GET ", path, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
  local head = assert(socket:read_until("\r\n\r\n"))
  local body = assert(socket:read("a"))
  return head:match("^[^\r]*"), body, socket:tls()
end

describe("our client and nginx", function()
  for _, key in ipairs { "server", "server_rsa", "server_ed25519" } do
    it("agree on each version and protocol with the certificate " .. key, function()
      local server <close> = peers.nginx(shop, { identity = key })
      for _, version in ipairs { "1.2", "1.3" } do
        local status, body, facts = get(server, "/facts",
          { min_version = version, max_version = version, alpn = { "http/1.1", "other" } })
        assert.equal("HTTP/1.1 200 OK", status)
        assert.equal(("TLSv%s . NONE localhost http/1.1\n"):format(version), body)
        assert.equal("http/1.1", facts.alpn)
        assert.equal(2, #facts.chain)
      end
    end)
  end

  it("choose HTTP/2 when it is offered", function()
    local server <close> = peers.nginx(shop, {})
    local socket <close> = assert(qn.tls.connect("127.0.0.1", server.port,
      { ca = ca, server_name = "localhost", alpn = "h2" }))
    assert.equal("h2", socket:tls().alpn)
    assert(socket:write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ("\0"):rep(3), "\4\0", ("\0"):rep(4)))
    assert.equal(4, assert(socket:read_exactly(9)):byte(4)) -- its SETTINGS
  end)

  it("bring files whole, in records of any size", function()
    local bytes <const> = temp.pattern(1 << 20)
    local server <close> = peers.nginx(shop, { files = { big = bytes } })
    for _, version in ipairs { "1.2", "1.3" } do
      local _, body = get(server, "/big", { min_version = version, max_version = version })
      assert.is_true(body == bytes)
    end
  end)

  it("use certificates of clients", function()
    local server <close> = peers.nginx(shop, { more = ("ssl_client_certificate %s; ssl_verify_client on;"):format(ca) })
    for _, version in ipairs { "1.2", "1.3" } do
      local _, body = get(server, "/facts",
        { cert = shop:cert "client", key = shop:key "client", min_version = version, max_version = version })
      assert.truthy(body:find("SUCCESS", 1, true))
    end
    local status = get(server, "/facts")
    assert.equal("HTTP/1.1 400 Bad Request", status) -- nginx completes the handshake first
  end)

  it("resume sessions, by tickets and without", function()
    for _, more in ipairs { "ssl_session_tickets on;", "ssl_session_tickets off;" } do
      local server <close> = peers.nginx(shop, { more = more })
      for _, version in ipairs { "1.2", "1.3" } do
        local config = assert(qn.tls.configuration { ca = ca, min_version = version, max_version = version })
        local _, first = get(server, "/facts", { tls = config })
        local _, second, facts = get(server, "/facts", { tls = config })
        assert.truthy(first:find(" . ", 1, true))
        if version == "1.2" or more:find("on") then -- this nginx has no stateful tickets of TLS 1.3
          assert.truthy(second:find(" r ", 1, true), more .. version)
          assert.is_true(facts.resumed)
        end
      end
    end
  end)

  it("pass a stapled OCSP answer", function()
    local good = shop:ocsp("server", { status = "good" })
    local server <close> = peers.nginx(shop, { more = ("ssl_stapling on; ssl_stapling_file %s;"):format(good) })
    local _, _, facts = get(server, "/facts", { ocsp = "request" })
    assert.is_true(facts.ocsp.der == shop:read(good:match("[^/]+$")))
  end)
end)
