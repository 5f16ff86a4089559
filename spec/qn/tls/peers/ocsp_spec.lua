-- Stapled OCSP answers as openssl s_server, gnutls-serv and nginx send them: good ones, revoked ones, and
-- each one that does not count. The answers are made by openssl ocsp. Qt rows: Q5-74, SER-01 (codes 13
-- and 25 to 36; the number stands at each case).

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local peers = require "spec.support.tls_peers"

local shop

setup(function() shop = certs.open() end)
teardown(function() shop:close() end)

local function connect(port, mode)
  return qn.tls.connect("127.0.0.1", port,
    { ca = shop:cert "root", server_name = "localhost", ocsp = mode, sessions = false })
end

local function answer(status, opts)
  opts = opts or {}
  opts.status = status
  return shop:ocsp("revoked", opts) -- "revoked" is but the name of this certificate
end

-- An answer that is only a status (RFC 6960, 4.2.1).
local function failure(name, number)
  return shop:write(name, string.pack("BBBBB", 0x30, 3, 0x0a, 1, number))
end

-- name, what makes the answer, the problem that is told, the code when it is required.
local cases <const> = {
  { "35 it has expired", function() return answer("good", { expired = true }) end, "too old", "CERT_OCSP_HAS_EXPIRED" },
  { "33 somebody else has signed it", function() return answer("good", { signer = "stranger" }) end, "signed",
    "CERT_OCSP_VERIFY_FAILED" },
  { "34 it is about another certificate", function() return shop:ocsp("for_clients", { status = "good" }) end,
    "other certificates", "CERT_OCSP_VERIFY_FAILED" },
  { "28 it is nonsense", function() return shop:write("nonsense", "\x30\x03abc") end, "cannot be read", "CERT_OCSP_VERIFY_FAILED" },
  { "27 malformed request", function() return failure("f1", 1) end, "malformed request", "CERT_OCSP_VERIFY_FAILED" },
  { "29 internal error", function() return failure("f2", 2) end, "internal error", "CERT_OCSP_VERIFY_FAILED" },
  { "30 try later", function() return failure("f3", 3) end, "try later", "CERT_OCSP_VERIFY_FAILED" },
  { "31 signature required", function() return failure("f5", 5) end, "signature", "CERT_OCSP_VERIFY_FAILED" },
  { "32 not authorized", function() return failure("f6", 6) end, "not authorized", "CERT_OCSP_VERIFY_FAILED" },
}

-- s_server looks at what it staples, so what cannot be read comes from a server of ours.
local function serve(der, f)
  local opts = shop:identity "revoked"
  opts.ocsp_staple = der
  local server <close> = assert(qn.tls.listen("127.0.0.1", 0, opts))
  local task = qn.spawn(function() server:serve(function(socket) socket:read("a") end) end)
  local closer <close> = setmetatable({}, { __close = function()
    task:cancel()
    task:join()
  end })
  f(server:port())
end

describe("a stapled OCSP answer", function()
  it("that is good is known, from s_server and gnutls-serv", function()
    local good = answer "good"
    local openssl <close> = peers.s_server(shop, { identity = "revoked", args = { "-status_file", good } })
    local gnutls <close> = peers.gnutls_serv(shop, { identity = "revoked", args = { "--ocsp-response", good,
      "--ignore-ocsp-response-errors" } })
    for _, server in ipairs { openssl, gnutls } do
      local socket <close> = assert(connect(server.port, "require"))
      local facts = socket:tls()
      assert.equal("good", facts.ocsp.status)
      assert.is_nil(facts.ocsp.problem)
      assert.is_true(facts.ocsp.der == shop:read(good:match("[^/]+$")))
    end
  end)

  it("that says revoked (13) ends the handshake, with the reason", function()
    local server <close> = peers.s_server(shop, { identity = "revoked", args = { "-status_file",
      answer("revoked", { reason = "keyCompromise" }) } })
    for _, mode in ipairs { "request", "require" } do
      local socket, err = connect(server.port, mode)
      assert.is_nil(socket)
      assert.equal("CERT_REVOKED", err.code)
      assert.equal("certificate_revoked", err.alert)
      assert.truthy(err.message:find("key", 1, true), err.message)
    end
    assert(connect(server.port, "off")):close()
  end)

  it("that does not know the certificate (25, 36) is minded when it is required", function()
    local server <close> = peers.s_server(shop, { identity = "revoked", args = { "-status_file", answer "unknown" } })
    local socket <close> = assert(connect(server.port, "request"))
    assert.equal("unknown", socket:tls().ocsp.status)
    socket:close()
    local none, err = connect(server.port, "require")
    assert.is_nil(none)
    assert.equal("CERT_OCSP_CERT_UNKNOWN", err.code)
  end)

  it("that is missing (26) is minded when it is required", function()
    local server <close> = peers.s_server(shop, {})
    local socket <close> = assert(connect(server.port, "request"))
    assert.is_nil(socket:tls().ocsp)
    socket:close()
    local none, err = connect(server.port, "require")
    assert.is_nil(none)
    assert.equal("CERT_OCSP_VERIFY_NEEDED", err.code)
  end)

  it("that is missing where the certificate demands it is minded", function()
    local server <close> = peers.s_server(shop, { identity = "must_staple" })
    local none, err = connect(server.port, "request")
    assert.is_nil(none)
    assert.equal("CERT_OCSP_VERIFY_NEEDED", err.code)
  end)

  for _, case in ipairs(cases) do
    it("does not count: " .. case[1], function()
      local path = case[2]()
      serve(shop:read(path:match("[^/]+$")), function(port)
        local socket <close> = assert(connect(port, "request"))
        local ocsp = socket:tls().ocsp
        assert.equal("invalid", ocsp.status)
        assert.truthy(ocsp.problem:find(case[3], 1, true), ocsp.problem)
        local none, err = connect(port, "require")
        assert.is_nil(none)
        assert.equal(case[4], err.code)
        assert.truthy(err.message:find(case[3], 1, true), err.message)
      end)
    end)
  end
end)
