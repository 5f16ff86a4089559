-- What a resumed TLS session must not lose, and must not get past: pinned keys, ignored errors, and the
-- certificates that servers ask for. Each of these was wrong once.
-- covers: runtime/tls/session.c
-- covers: runtime/tls/verify_memo.c
-- covers: runtime/tls/verify_peer.c

local qn = require "qn"
local tls_streams = require "spec.support.tls_streams"

local with <const> = tls_streams.with

describe("a resumed session", function()
  local streams
  setup(function() streams = tls_streams.open() end)
  teardown(function() streams:close() end)

  local function pin(name)
    local key = assert(qn.tls.certificates(streams.shop:cert(name)))[1].public_key
    return qn.crypto.digest("sha256", key:to_der())
  end

  -- One exchange: facts, or nil and why there was none.
  local function visit(port, opts, ready)
    local s <close> = qn.tcp.socket()
    if ready then
      ready(s)
    end
    local ok, err = s:connect("127.0.0.1", port, { tls = opts })
    if not ok then
      return nil, err
    end
    local line
    ok, err = s:write "x\n"
    if ok then
      line, err = s:read "l"
    end
    return line and s:tls(), err
  end

  for _, version in ipairs { "1.2", "1.3" } do
    describe("(TLS " .. version .. ")", function()
      it("is found good by the pinned key of a root that is not sent", function()
        streams:serving({ max_version = version }, function(port)
          local opts = streams:client { pin_sha256 = { pin "root" } }
          assert.is_false(assert(visit(port, opts)).resumed)
          local facts = assert(visit(port, opts))
          assert.is_true(facts.resumed)
          assert.same({}, facts.errors)
          local bytes = facts.session and assert(facts.session:export())
          assert.is_true(assert(visit(port, streams:client { pin_sha256 = { pin "root" }, session = bytes })).encrypted)
          -- a session of a connection that pinned nothing proves nothing
          local free = assert(visit(port, streams:client())).session
          local ok, err = visit(port, streams:client { pin_sha256 = { pin "stranger" }, session = free })
          assert.is_nil(ok)
          assert.equal("CERT_NOT_PINNED", err.code)
        end)
      end)

      it("is found good by a server that pins the issuer of its clients", function()
        streams:serving({ max_version = version, verify = "peer", ca = streams.shop:cert "root",
          pin_sha256 = { pin "root" } }, function(port)
          local opts = streams:client { cert = streams.shop:chain "client", key = streams.shop:key "client" }
          assert.is_false(assert(visit(port, opts)).resumed)
          assert.is_true(assert(visit(port, opts)).resumed)
          assert.is_true(assert(visit(port, opts)).resumed)
        end)
      end)

      it("has all errors that it had, whoever ignored them before", function()
        streams:serving({ max_version = version, cert = streams.shop:chain "expired",
          key = streams.shop:key "expired" }, function(port)
          local opts = { server_name = "x.test", ca = streams.shop:cert "stranger" }
          local _, err = visit(port, opts)
          local codes = {}
          for _, e in ipairs(err.errors) do
            codes[e.code] = true
          end
          assert.is_true(codes.CERT_HAS_EXPIRED and codes.CERT_HOSTNAME_MISMATCH)
          local first = assert(visit(port, opts, function(s) s:ignore_ssl_errors() end))
          for code in pairs(codes) do
            local rest = {}
            for other in pairs(codes) do
              rest[#rest + 1] = other ~= code and other or nil
            end
            local facts
            facts, err = visit(port, opts, function(s) s:ignore_ssl_errors(rest) end)
            assert.is_nil(facts)
            assert.equal(code, err.code)
            facts, err = visit(port, with({ session = first.session, sessions = false }, opts),
              function(s) s:ignore_ssl_errors(rest) end)
            assert.is_nil(facts)
            assert.equal(code, err.code)
          end
        end)
      end)

      it("can be ignored by the certificate that the error is about", function()
        streams:serving({ max_version = version, cert = streams.shop:chain "unknown_root",
          key = streams.shop:key "unknown_root" }, function(port)
          local root = assert(qn.tls.certificates(streams.shop:cert "stranger"))[1]
          local opts = streams:client { ignore_errors = { { "CERT_SELF_SIGNED_IN_CHAIN", root } } }
          for _ = 1, 3 do
            local facts, err = visit(port, opts)
            assert(facts, tostring(err))
          end
        end)
      end)

      it("is no way past a server name that asks for certificates", function()
        local shop = streams.shop
        local server <close> = assert(qn.tls.listen("127.0.0.1", 0, { max_version = version,
          cert = shop:chain "server", key = shop:key "server", ticket_keys = { ("k"):rep(80) },
          sni = { ["admin.wild.test"] = { verify = "peer", ca = shop:cert "root" } } }))
        local task = qn.spawn(function()
          server:serve(function(s)
            for line in s:lines() do
              s:write(line, "\n")
            end
          end, { on_error = function() end })
        end)
        local port = server:port()
        local session = assert(visit(port, streams:client())).session
        assert.is_nil((visit(port, streams:client { server_name = "admin.wild.test" })))
        local facts = visit(port, streams:client { server_name = "admin.wild.test", session = session })
        assert.is_nil(facts)
        local known = streams:client { server_name = "admin.wild.test", cert = shop:chain "client",
          key = shop:key "client" }
        assert.is_false(assert(visit(port, known)).resumed)
        assert.is_true(assert(visit(port, known)).resumed)
        session = assert(visit(port, streams:client())).session
        assert(server:configure { verify = "peer", ca = shop:cert "root" })
        facts = visit(port, streams:client { session = session })
        assert.is_nil(facts)
        server:close()
        task:cancel()
        task:join()
      end)
    end)
  end

  it("without certificates, or a connection without, is refused by who wants them", function()
    streams:serving({ ciphers = "aNULL:@SECLEVEL=0", max_version = "1.2" }, function(port)
      local opts = { ciphers = "ALL:@SECLEVEL=0", max_version = "1.2", server_name = "localhost" }
      local facts = assert(visit(port, with({ verify = "none" }, opts)))
      assert.same({}, facts.chain)
      local ok, err = visit(port, opts)
      assert.is_nil(ok)
      assert.equal("tls", err.kind)
      ok, err = visit(port, with({ session = facts.session }, opts))
      assert.is_nil(ok)
      assert.equal("tls", err.kind)
    end)
    streams:serving({ ciphers = "ALL:@SECLEVEL=0", max_version = "1.2", verify = "peer",
      ca = streams.shop:cert "root" }, function(port)
      assert.is_nil((visit(port, { ciphers = "aNULL:@SECLEVEL=0", max_version = "1.2", verify = "none" })))
    end)
  end)
end)
