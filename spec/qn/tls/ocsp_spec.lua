-- Stapled OCSP answers: the option, what is known of them, and openssl as responder and as server.
-- covers: lua/qn/tls/ocsp.lua, bindings/b_ocsp.c

local qn = require "qn"

local certs = require "spec.support.tls_certs"
local peers = require "spec.support.tls_peers"
local tls_server = require "spec.support.tls_server"

local shop

local function answer(name, opts)
  return shop:read(shop:ocsp(name, opts):match "[^/]+$")
end

-- Connects to a server of ours with this certificate and answer.
local function meet(name, staple, opts)
  opts.ca = shop:cert "root"
  return tls_server.meet({ cert = shop:chain(name), key = shop:key(name), ocsp_staple = staple }, opts)
end

describe("stapled OCSP answers", function()
  setup(function() shop = certs.open() end)
  teardown(function() shop:close() end)

  it("are checked and known", function()
    local good = answer("server", { status = "good" })
    for _, version in ipairs { "1.2", "1.3" } do
      for _, mode in ipairs { "request", "require" } do
        local facts = assert(meet("server", good, { ocsp = mode, max_version = version }))
        assert.equal("good", facts.ocsp.status)
        assert.is_true(facts.ocsp.der == good)
        assert.is_nil(facts.ocsp.reason)
        assert.is_nil(facts.ocsp.problem)
        assert.truthy(math.abs(facts.ocsp.this_update - os.time()) < 60)
        assert.truthy(facts.ocsp.next_update > os.time())
      end
      local facts = assert(meet("server", good, { max_version = version }))
      assert.is_nil(facts.ocsp)
    end
  end)

  it("that say revoked end the handshake", function()
    local revoked = answer("revoked", { status = "revoked" })
    for _, version in ipairs { "1.2", "1.3" } do
      local facts, err = meet("revoked", revoked, { ocsp = "request", max_version = version })
      assert.is_nil(facts)
      assert.equal("tls", err.kind)
      assert.equal("CERT_REVOKED", err.code)
      assert.truthy(err.message:find("the certificate was revoked on 20%d%d%-%d%d%-%d%d "), err.message)
      assert.equal("CERT_REVOKED", err.errors[1].code)
      assert.equal(0, err.errors[1].depth)
      assert(meet("revoked", revoked, { ocsp = "off", max_version = version }))
      facts = assert(meet("revoked", revoked, { ocsp = "request", max_version = version,
        ignore_errors = { "CERT_REVOKED" } }))
      assert.equal("revoked", facts.ocsp.status)
      assert.equal("CERT_REVOKED", facts.errors[1].code)
      assert.truthy(facts.ocsp.revoked_at > 0)
    end
  end)

  it("that are missing or do not count are minded when they are required", function()
    local old = answer("server", { status = "good", expired = true })
    local unknown = answer("server", { status = "unknown" })
    local cases = {
      { "server", nil, nil, "CERT_OCSP_VERIFY_NEEDED" },
      { "server", "nonsense", "it cannot be read", "CERT_OCSP_VERIFY_FAILED" },
      { "server", answer("server_rsa", { status = "good" }), "it is about other certificates",
        "CERT_OCSP_VERIFY_FAILED" },
      { "server", old, "it is too old", "CERT_OCSP_HAS_EXPIRED" },
      { "server", unknown, nil, "CERT_OCSP_CERT_UNKNOWN" },
    }
    for i, case in ipairs(cases) do
      for _, version in ipairs { "1.2", "1.3" } do
        local facts = assert(meet(case[1], case[2], { ocsp = "request", max_version = version }))
        if case[2] then
          assert.equal(case[3] and "invalid" or "unknown", facts.ocsp.status, i)
          assert.equal(case[3], facts.ocsp.problem)
        else
          assert.is_nil(facts.ocsp)
        end
        local none, err = meet(case[1], case[2], { ocsp = "require", max_version = version })
        assert.is_nil(none)
        assert.equal(case[4], err.code)
        if case[3] then
          assert.truthy(err.message:find(case[3], 1, true), err.message)
        end
      end
    end
  end)

  it("are due to certificates that demand them", function()
    local _, err = meet("must_staple", nil, { ocsp = "request" })
    assert.equal("CERT_OCSP_VERIFY_NEEDED", err.code)
    assert(meet("must_staple", nil, { ocsp = "off" }))
    assert(meet("must_staple", answer("must_staple", { status = "good" }), { ocsp = "request" }))
  end)

  it("come from a server of OpenSSL", function()
    for status, code in pairs { good = true, revoked = "CERT_REVOKED" } do
      local file = shop:ocsp("server", { status = status })
      for _, version in ipairs { "1.2", "1.3" } do
        local peer <close> = peers.s_server(shop, { args = { "-status_file", file, "-quiet" } })
        local socket, err = qn.tls.connect("127.0.0.1", peer.port, { ca = shop:cert "root",
          server_name = "localhost", ocsp = "require", max_version = version })
        if code == true then
          assert.equal("good", socket:tls().ocsp.status)
          socket:close()
        else
          assert.is_nil(socket)
          assert.equal(code, err.code)
        end
      end
    end
  end)

  it("are minded over DTLS, too", function()
    for status, code in pairs { good = false, revoked = "CERT_REVOKED" } do
      local server <close> = assert(qn.dtls.listen("127.0.0.1", 0, { cert = shop:chain "server",
        key = shop:key "server", ocsp_staple = answer("server", { status = status }) }))
      local connection, err = qn.dtls.connect("127.0.0.1", server:port(), { ca = shop:cert "root",
        server_name = "localhost", ocsp = "require" })
      if code then
        assert.is_nil(connection)
        assert.equal(code, err.code)
      else
        assert.equal("good", assert(connection):tls().ocsp.status)
        connection:close()
      end
    end
  end)

  it("can be read", function()
    local o = assert(qn.tls.ocsp(answer("server", { status = "revoked" })))
    assert.equal("revoked", o.status)
    assert.truthy(o.revoked_at > 0 and o.this_update > 0 and o.produced_at > 0)
    local _, err = qn.tls.ocsp("\x30\x03\x0a\x01\x03")
    assert.equal("invalid", err.kind)
    assert.truthy(err.message:find("not an OCSP answer", 1, true))
    _, err = qn.tls.ocsp(("x"):rep(65537))
    assert.equal("limit", err.kind)
    assert.has_error(function() qn.tls.ocsp(5) end, "bad argument #1 to 'ocsp' (string expected, got number)")
    assert.is_false((pcall(qn.tls.configuration, { ocsp = "maybe" })))
    assert.equal("off", qn.tls.configuration({}).ocsp)
  end)
end)
