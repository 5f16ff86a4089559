-- STARTTLS as SMTP does it: our client and a server run by Node; our server, openssl s_client, curl and
-- gnutls-cli. What somebody puts into the clear text behind the "220" is refused on both sides.
-- Qt rows: SSL-02, SSL-17.

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local peers = require "spec.support.tls_peers"
local program = require "spec.support.program"

local shop, ca

setup(function()
  shop = certs.open()
  ca = shop:cert "root"
end)
teardown(function() shop:close() end)

local function expect(socket, code)
  repeat
    local line = assert(socket:read_until("\r\n", { max = 1000 }))
    assert.equal(code, line:sub(1, 3))
  until line:sub(4, 4) ~= "-"
end

local function step(socket, code, text)
  assert(socket:write(text, "\r\n"))
  expect(socket, code)
end

describe("our client", function()
  it("goes from clear to TLS in the middle of a dialogue", function()
    local server <close> = peers.node(shop, "smtp", {})
    for _, version in ipairs { "1.2", "1.3" } do
      local socket <close> = assert(qn.tcp.connect("localhost", server.port))
      expect(socket, "220")
      step(socket, "250", "EHLO me")
      assert.is_nil(socket:tls())
      step(socket, "220", "STARTTLS")
      assert(socket:start_tls { ca = ca, min_version = version, max_version = version })
      local facts = socket:tls()
      assert.equal("TLSv" .. version, facts.version)
      assert.equal("localhost", facts.server_name) -- the name that was connected to
      step(socket, "250", "EHLO me")
      step(socket, "221", "QUIT")
      assert.equal("", socket:read("a"))
    end
    local out = server:output()
    assert.equal(2, select(2, out:gsub('"line":"EHLO me","secure":true', "")))
  end)

  it("stops where the certificate is for somebody else, and never goes on in clear", function()
    local server <close> = peers.node(shop, "smtp", { identity = "wrong_host" })
    local socket <close> = assert(qn.tcp.connect("localhost", server.port))
    expect(socket, "220")
    step(socket, "220", "STARTTLS")
    local ok, err = socket:start_tls { ca = ca }
    assert.is_nil(ok)
    assert.equal("CERT_HOSTNAME_MISMATCH", err.code)
    ok, err = socket:write("MAIL FROM:<secret@example.org>\r\n")
    assert.is_nil(ok)
    assert.equal("closed", err.kind)
    server:wait_for('"event":"close"')
    assert.is_nil((server:output():find("secret", 1, true)))
  end)

  it("refuses what was put behind the answer in clear", function()
    local server <close> = peers.node(shop, "inject", {})
    local socket <close> = assert(qn.tcp.connect("localhost", server.port))
    expect(socket, "220")
    assert(socket:write("STARTTLS\r\n"))
    expect(socket, "220")
    local ok, err = socket:start_tls { ca = ca }
    assert.is_nil(ok)
    assert.equal("protocol", err.kind)
    assert.equal("PLAINTEXT_BUFFERED", err.code)
  end)
end)

describe("our server", function()
  -- A server of SMTP that takes mail only over TLS; `log` gets its lines.
  local function serve(f)
    local log = {}
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local identity = shop:identity "server"
    local task = qn.spawn(function()
      server:serve(function(socket)
        local in_data, secure = false, false
        assert(socket:write("220 localhost ready\r\n"))
        for line in socket:lines() do
          line = line:gsub("\r$", "")
          log[#log + 1] = (secure and "S " or "C ") .. line
          local verb = line:match("^%a*"):upper()
          if in_data then
            in_data = line ~= "."
            if not in_data then
              assert(socket:write("250 taken\r\n"))
            end
          elseif verb == "EHLO" then
            assert(socket:write(secure and "250 hello\r\n" or "250-hello\r\n250 STARTTLS\r\n"))
          elseif verb == "STARTTLS" then
            assert(socket:write("220 go on\r\n"))
            local ok, err = socket:start_tls { server = true, cert = identity.cert, key = identity.key }
            log[#log + 1] = ok and socket:tls().version or err.code
            if not ok then
              return
            end
            secure = true
          elseif not secure and verb ~= "QUIT" then
            assert(socket:write("530 STARTTLS first\r\n"))
          elseif verb == "QUIT" then
            assert(socket:write("221 bye\r\n"))
            return
          else
            in_data = verb == "DATA"
            assert(socket:write(in_data and "354 go on\r\n" or "250 fine\r\n"))
          end
        end
      end)
    end)
    local closer <close> = setmetatable({}, { __close = function()
      task:cancel()
      task:join()
    end })
    f(server:port(), log)
  end

  it("serves openssl s_client", function()
    serve(function(port, log)
      local client <close> = peers.s_client(shop, port, { args = { "-starttls", "smtp", "-quiet" } })
      client:say("EHLO me\r\n")
      client:wait_for("250 hello")
      client:say("QUIT\r\n")
      client:wait_for("221 bye")
      assert.equal(0, (client:wait()))
      assert.same({ "C EHLO mail.example.com", "C STARTTLS", "TLSv1.3", "S EHLO me", "S QUIT" }, log)
    end)
  end)

  it("takes a mail of curl", function()
    serve(function(port, log)
      local mail = shop:write("mail", "Subject: words\r\n\r\nin TLS\r\n")
      local status, _, err = peers.curl(shop, { "--ssl-reqd", "--mail-from", "ann@example.org", "--mail-rcpt",
        "ben@example.org", "-T", mail, "smtp://localhost:" .. port })
      assert.equal(0, status, err)
      program.until_true("the end", function() return log[#log] == "S QUIT" end)
      local text = table.concat(log, "\n")
      assert.truthy(text:find("\nTLSv1.3\nS EHLO", 1, true))
      assert.truthy(text:find("\nS in TLS\nS .\n", 1, true))
    end)
  end)

  it("serves gnutls-cli", function()
    serve(function(port, log)
      local client <close> = peers.gnutls_cli(shop, port, { args = { "--starttls-proto=smtp" } })
      client:say("EHLO me\r\n")
      client:wait_for("250 hello")
      client:say("QUIT\r\n")
      client:wait_for("221 bye")
      assert.equal("S QUIT", log[#log])
    end)
  end)

  it("refuses what a client puts behind STARTTLS in clear", function()
    serve(function(port, log)
      local socket <close> = assert(qn.tcp.connect("127.0.0.1", port))
      expect(socket, "220")
      assert(socket:write("STARTTLS\r\nMAIL FROM:<forged@example.org>\r\n"))
      expect(socket, "220")
      assert.is_nil((socket:read(1)))
      program.until_true("the refusal", function() return #log == 2 end)
      assert.same({ "C STARTTLS", "PLAINTEXT_BUFFERED" }, log)
    end)
  end)
end)
