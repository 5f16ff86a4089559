-- QSslServer and the server side of QSslSocket, row by row: SSL-26, SSL-28, Q5-77, WEAK-32.

local qn = require "qn"
local splits = require "spec.support.splits"

local root, root_key, identity, other, guest

setup(function()
  root, root_key = qn.tls.self_signed { names = { "root.test" }, ca = true }
  local function issue(opts)
    local key = assert(qn.tls.generate_key())
    return { cert = assert(qn.tls.sign(key, root, root_key, opts)), key = key }
  end
  identity = issue { names = { "localhost", "127.0.0.1" }, usage = "server" }
  other = issue { names = { "other.test" }, usage = "server" }
  guest = issue { names = { "guest@example.test" }, usage = "client" }
end)

local function with(base, opts)
  local out = {}
  for name, value in pairs(base) do out[name] = value end
  for name, value in pairs(opts) do out[name] = value end
  return out
end

local function listen(opts)
  return assert(qn.tls.listen("127.0.0.1", 0, with(identity, opts or {})))
end

local function connecting(server, opts)
  return qn.spawn(qn.tls.connect, "127.0.0.1", server:port(), with({ ca = root, timeout = 20 }, opts or {}))
end

-- f(client, socket) with a connection of the server.
local function connected(server, opts, f)
  local task = connecting(server, opts)
  local socket <close> = assert(server:accept(20))
  local _, client, err = task:join()
  local near <close> = assert(client, err)
  return f(near, socket)
end

describe("certificates of clients", function()
  it("SSL-26 VerifyPeer needs a certificate of the client; without one it is NoPeerCertificate", function()
    local server <close> = listen { verify = "peer", ca = root }
    connected(server, guest, function(_, socket)
      assert.equal("guest@example.test", socket:tls().peer.names.email[1])
    end)
    local failing = qn.spawn(server.wait, server, "handshake_error")
    qn.yield()
    local client = select(2, connecting(server):join())
    local _, err = failing:join()
    assert.same({ "tls", "CERT_NO_PEER_CERTIFICATE" }, { err.kind, err.code })
    if client then -- TLS 1.3: the client learns it when it reads
      local got, why = client:read(1)
      assert.is_nil(got)
      assert.equal("ALERT_CERTIFICATE_REQUIRED", why.code)
      client:close()
    end
  end)
end)

describe("the server pattern", function()
  it("SSL-28 by hand: a descriptor, a certificate, startServerEncryption", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local task = connecting(server)
    local socket <close> = assert(server:accept(20))
    assert(socket:start_tls(with(identity, { server = true })))
    local _, client = task:join()
    client:write("by hand\n")
    assert.equal("by hand", socket:read("l"))
    client:close()
  end)

  it("SSL-28 at once: qn.tls.listen", function()
    local server <close> = listen()
    connected(server, nil, function(client, socket)
      client:write("at once\n")
      assert.equal("at once", socket:read("l"))
    end)
  end)
end)

describe("QSslServer", function()
  it("Q5-77 sslConfiguration; newConnection comes after the encryption", function()
    local server <close> = listen { alpn = "x" }
    assert.same({ "x" }, server:configuration().alpn)
    local came = qn.spawn(server.wait, server, "new_connection", 20)
    local task = connecting(server)
    assert.is_true(select(2, came:join()))
    local socket <close> = assert(server:accept(0))
    assert.is_true(socket:tls().encrypted)
    select(2, task:join()):close()
  end)

  it("Q5-77 handshakeTimeout, 5 s unless told", function()
    local server <close> = listen { handshake_timeout = 0.02 }
    local failing = qn.spawn(server.wait, server, "handshake_error")
    qn.yield()
    local _ <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    local _, err = failing:join()
    assert.same({ "timeout", "tls" }, { err.kind, err.phase })
    assert.equal(1, server:stats().timed_out)
  end)

  it("Q5-77 signals of each socket: startedEncryptionHandshake, then its own", function()
    local server <close> = listen { verify = "peer", ca = other.cert }
    local seen = {}
    local function note(name)
      return function(first) seen[#seen + 1] = name .. " " .. tostring(first and first.code or first) end
    end
    server:on("handshake_started", function(socket)
      socket:on("peer_verify_error", note "peer_verify_error")
      socket:on("encrypted", note "encrypted")
      socket:on("alert_received", note "alert_received")
    end)
    server:on("ssl_errors", function(socket, errors)
      seen[#seen + 1] = "ssl_errors " .. #errors
      socket:ignore_ssl_errors(errors)
    end)
    connected(server, guest, function(client, socket)
      client:close()
      assert.is_nil((socket:read(1)))
      splits.until_true("close_notify is told", function()
        return seen[#seen] == "alert_received close_notify"
      end)
      socket:off()
    end)
    server:off()
    local text = table.concat(seen, ", ")
    assert.truthy(text:find("^peer_verify_error CERT_.-, ssl_errors %d, encrypted nil, alert_received close_notify$"), text)
  end)

  it("Q5-77 errorOccurred", function()
    local server <close> = listen()
    local told
    server:on("handshake_error", function(err, peer) told = { err, peer } end)
    local plain <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    plain:write("GET / HTTP/1.0\r\n\r\n")
    splits.until_true("it is told", function() return told end)
    assert.equal("TLS_PROTOCOL", told[1].code)
    assert.equal("127.0.0.1", tostring(told[2]))
    server:off()
  end)
end)

describe("servers beyond QSslSocket", function()
  it("WEAK-32 what QSslSocket has not: SNI, choice of ALPN, reload, keys of tickets", function()
    local server <close> = listen {
      sni = { ["other.test"] = other },
      alpn = function(names) return names[#names] end,
    }
    connected(server, { server_name = "other.test", alpn = nil }, function(client)
      assert.equal("other.test", client:tls().peer.names.dns[1])
    end)
    connected(server, { alpn = { "a", "b" } }, function(client)
      assert.equal("b", client:tls().alpn)
    end)
    assert(server:rotate_tickets())
    assert(server:configure(other))
    connected(server, { verify_name = "other.test" }, function(client)
      assert.equal("other.test", client:tls().peer.names.dns[1])
    end)
    assert(server:set_ocsp_staple(nil))
  end)
end)
