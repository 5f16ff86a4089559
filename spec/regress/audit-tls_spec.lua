-- Options of TLS that were accepted and had no effect where they stood: `ignore_errors = false` left `true` as it
-- was; `ignore_errors = true` was that of the server, whatever the configuration of a name said; of the options for a
-- name OpenSSL takes only some when the context is exchanged.
local qn = require "qn"
local throws = require "spec.support.throws"

describe("options of TLS that had no effect", function()
  local cert, key, stranger, stranger_key

  setup(function()
    cert, key = assert(qn.tls.self_signed { names = { "localhost", "b.test" } })
    stranger, stranger_key = assert(qn.tls.self_signed { names = { "client" } })
  end)

  -- Whether a server lets in a client whose certificate it does not trust, and the client's facts.
  local function visit(server_options, client_options)
    server_options.cert, server_options.key = cert, key
    local server <close> = assert(qn.tls.listen("127.0.0.1", 0, server_options))
    local task = qn.spawn(function()
      local socket = server:accept()
      if socket then
        socket:write("x\n")
        socket:read("l")
        socket:close()
      end
    end)
    local options = { server_name = "b.test", verify = "none", cert = stranger, key = stranger_key }
    for name, value in pairs(client_options or {}) do
      options[name] = value
    end
    local client <close> = assert(qn.tls.connect("127.0.0.1", server:port(), options))
    local line = client:read("l")
    local facts = client:tls()
    client:close()
    server:close()
    task:join()
    return line == "x", facts
  end

  it("ignore_errors = false takes true back", function()
    local all = assert(qn.tls.configuration { ignore_errors = true })
    assert.is_false(all:with { ignore_errors = false }.ignore_errors)
    assert.is_true(all:with { verify = "peer" }.ignore_errors)
    assert.is_true(visit { tls = all, verify = "peer" })
    assert.is_false(visit { tls = all, verify = "peer", ignore_errors = false })
    local name = { ["b.test"] = { ignore_errors = false } }
    assert.is_false(visit { verify = "peer", ignore_errors = true, sni = name })
  end)

  it("ignore_errors counts for the name it is given for", function()
    local lax = { verify = "peer", ignore_errors = true }
    assert.is_true(visit { sni = { ["b.test"] = lax } })
    assert.is_true(visit { sni = function() return lax end })
    local strict = assert(qn.tls.configuration { cert = cert, key = key, verify = "peer" })
    assert.is_false(visit { verify = "peer", ignore_errors = true, sni = { ["b.test"] = strict } })
    assert.is_false(visit { verify = "peer", ignore_errors = true, sni = function() return strict end })
  end)

  it("options of a name count although the server has others", function()
    local function named(options, more, client)
      local given = { sni = { ["b.test"] = options } }
      for name, value in pairs(more or {}) do
        given[name] = value
      end
      return select(2, visit(given, client))
    end
    local aes128, aes256 = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"
    local client = { max_version = "1.2", ciphers = { aes128, aes256 } }
    local both = { ciphers = { aes256, aes128 } }
    assert.equal(aes256, named({ cipher_preference = "server" }, both, client).cipher)
    assert.equal(aes128, named({ cipher_preference = "client" }, both, client).cipher)
    both.cipher_preference = "client"
    assert.equal(aes256, named({ cipher_preference = "server" }, both, client).cipher)
    assert.equal("P-384", named({ openssl = { Groups = "P-384" } }).ephemeral_key)
    for _, version in ipairs { "1.2", "1.3" } do
      assert.is_nil(named({ sessions = false }, {}, { max_version = version }).session)
      assert.truthy(named({ sessions = true }, { sessions = false }, { max_version = version }).session)
    end
    local with = named({ tickets = true }, {}, { max_version = "1.2" }).session:export()
    local without = named({ tickets = false }, {}, { max_version = "1.2" }).session:export()
    assert.is_true(#without + 100 < #with)
  end)

  it("the keys of a name are written where its options say", function()
    local path = os.tmpname()
    visit { sni = { ["b.test"] = { keylog = path } } }
    local file <close> = assert(io.open(path))
    os.remove(path)
    assert.truthy(file:read("a"):find("SERVER_TRAFFIC_SECRET_0", 1, true))
  end)

  it("what cannot belong to a name is unknown there", function()
    for name, value in pairs { ticket_keys = { ("x"):rep(80) }, sni = function() end } do
      throws.call(assert, "option 'sni'.*unknown option '" .. name, qn.tls, "configuration",
        { sni = { ["x.test"] = { [name] = value } } })
    end
  end)

  it("options of the other side are misuse, with DTLS too", function()
    local server <close> = assert(qn.dtls.listen("127.0.0.1", 0, { cert = cert, key = key }))
    local given = { sni = {}, client_ca = cert, ticket_keys = { ("x"):rep(80) }, ocsp_staple = "x",
      psk_hint = "h", cipher_preference = "client" }
    for name, value in pairs(given) do
      throws.call(assert, "option '" .. name .. "' is for servers", qn.dtls, "connect", "127.0.0.1", server:port(),
        { [name] = value })
    end
    throws.call(assert, "a function is for servers", qn.dtls, "connect", "127.0.0.1", server:port(),
      { alpn = function() end })
    throws.call(assert, "option 'ocsp' is for clients", qn.dtls, "listen", "127.0.0.1", 0,
      { cert = cert, key = key, ocsp = "require" })
    throws.method(assert, "option 'ocsp' is for clients", server, "configure", { ocsp = "require" })
    local a, b = qn.pair()
    throws.method(assert, "option 'ocsp' is for clients", a, "start_tls",
      { server = true, cert = cert, key = key, ocsp = "require" })
    a:close()
    b:close()
  end)

  it("what belongs to a connection is checked when the configuration is made", function()
    for pattern, given in pairs { ["must be a qn.TlsSession"] = { session = cert },
      ["'server_name' must be a host name"] = { server_name = "" },
      ["'verify_name' must be a host name"] = { verify_name = "a b" } } do
      throws.call(assert, pattern, qn.tls, "configuration", given)
      throws.method(assert, pattern, qn.tls.default_configuration(), "with", given)
    end
    local config, err = qn.tls.configuration { session = "no session" }
    assert.is_nil(config)
    assert.equal("invalid", err.kind)
  end)

  it("a name in a PKCS #12 file is that of a certificate or a key", function()
    throws.call(assert, "'name' needs option 'certificate' or 'key'", qn.tls, "export_pkcs12",
      { chain = { cert }, name = "x", passphrase = "p" })
  end)

  it("a padding that a key does not have is refused, whichever it is", function()
    for _, how in ipairs { "rsa_pss", "ec" } do
      local made, err = qn.tls.self_signed { names = "a", key = how, padding = "pkcs1" }
      assert.is_nil(made)
      assert.truthy(err.message:find("PKCS #1 padding is for keys of type rsa", 1, true), err.message)
    end
    assert(qn.tls.self_signed { names = "a", key = "rsa", padding = "pkcs1" })
  end)

  it("a passphrase is a string, no number", function()
    throws.call(assert, "#2 to 'key' %(string expected, got number", qn.tls, "key", key:to_pem(), 5)
    throws.method(assert, "#1 to 'to_pem' %(string expected, got number", key, "to_pem", 5)
  end)
end)
