-- `qnlua cert` from outside: files and servers, what it prints and its exit status.
-- covers: lua/qn/cert_report.lua
-- covers: lua/qn/cert_starttls.lua

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local peer_scripts = require "spec.support.peers"
local peers = require "spec.support.tls_peers"
local program = require "spec.support.program"
local report = require "qn.cert_report"
local starttls = require "qn.cert_starttls"

local shop

setup(function() shop = certs.open() end)
teardown(function() shop:close() end)

local function cert(...)
  return program.run { program.qnlua(), "cert", ... }
end

local function has(text, part)
  assert.truthy(text:find(part, 1, true), ("%q is not in:\n%s"):format(part, text))
end

describe("qnlua cert, files:", function()
  it("shows each certificate of a file", function()
    local status, out, err = cert(shop:chain "server")
    assert.equal("", err)
    assert.equal(0, status)
    has(out, "certificate 0\n  subject  CN=server\n  issuer   CN=mid\n")
    has(out, "  names    localhost, *.wild.test, 127.0.0.1, ::1\n")
    has(out, "  key      EC P-256\n")
    has(out, "  signed   ecdsa-with-SHA256\n  usage    server\n")
    assert.matches("%(expires in [23][09] days%)\n", out)
    has(out, "\ncertificate 1 (CA)\n  subject  CN=mid\n")
    local _, digest = program.run { "openssl", "x509", "-in", shop:cert "server", "-noout", "-fingerprint", "-sha256" }
    has(out, "  SHA-256  " .. digest:match("=(%S+)"):lower() .. "\n")
  end)

  it("tells what is wrong with the dates, and other keys", function()
    local status, out = cert(shop:cert "expired", shop:cert "future", shop:cert "server_rsa", shop:cert "server_ed25519")
    assert.equal(0, status)
    has(out, "(EXPIRED 10 days ago)")
    has(out, "(NOT YET VALID, from then in ")
    has(out, "key      RSA 2048 bits\n")
    has(out, "key      Ed25519\n")
    local _, broken = cert(shop:cert "no_end")
    has(broken, "valid    a date cannot be read\n")
    has(select(2, cert(shop:cert "keyless")), "key      of an unknown kind\n")
  end)

  it("verifies them when it is told by whom or for whom", function()
    local status, out = cert("--ca=" .. shop:cert "root", "--server-name", "localhost", shop:chain "server")
    assert.equal(0, status)
    has(out, "verification: good for localhost\n")
    status, out = cert("--ca", shop:cert "root", "--server-name=x.example.org", shop:chain "server")
    assert.equal(1, status)
    has(out, "verification: FAILED\n")
    has(out, 'does not match host "x.example.org" (CERT_HOSTNAME_MISMATCH)\n')
    status, out = cert("--ca", shop:cert "stranger", shop:chain "server")
    assert.equal(1, status)
    has(out, ", certificate 1)\n")
  end)

  it("reads standard input and DER, and prints PEM", function()
    shop:sh(("openssl x509 -in %s -outform DER -out server.one"):format(shop:cert "server"))
    local status, out = cert("--pem", shop:path "server.one")
    assert.equal(0, status)
    assert.equal(shop:read "server.pem", out)
    status, out = program.run { "sh", "-c", '"$0" cert - <"$1"', program.qnlua(), shop:cert "server" }
    assert.equal(0, status)
    has(out, "subject  CN=server\n")
  end)

  it("fails when there is nothing to show", function()
    local status, out, err = cert("./nothing.pem")
    assert.equal(1, status)
    assert.equal("", out)
    has(err, "./nothing.pem")
    local _
    status, _, err = cert(shop:key "server")
    assert.equal(1, status)
    has(err, "no certificate")
    status = cert(shop:cert "server", "./nothing.pem")
    assert.equal(1, status)
  end)
end)

describe("qnlua cert, servers:", function()
  it("shows the connection and the chain", function()
    local server <close> = peers.s_server(shop, { args = { "-alpn", "h2" } })
    local status, out, err = cert("--ca", shop:cert "root", "--alpn=x,h2", "localhost:" .. server.port)
    assert.equal("", err)
    assert.equal(0, status)
    has(out, ("localhost:%d (127.0.0.1)\nprotocol: TLSv1.3, TLS_AES_256_GCM_SHA384, key exchange X25519\n"
      .. "application protocol: h2\n"):format(server.port))
    has(out, "verification: good for localhost\n\ncertificate 0\n  subject  CN=server\n")
    has(out, "certificate 1 (CA)\n")
    status, out = cert("--ca", shop:cert "root", "--pem", "[::ffff:127.0.0.1]:" .. server.port, "--server-name=localhost")
    assert.equal(0, status)
    assert.equal(shop:read "server.chain", out)
  end)

  it("ends the connection as servers like it, also when the certificate is bad", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local identity = shop:chain "server"
      local server <close> = assert(qn.tls.listen("127.0.0.1", 0, { cert = identity, key = shop:key "server",
        max_version = version }))
      local ends = {}
      qn.spawn(server.serve, server, function(socket) ends[#ends + 1] = { socket:read("a") } end)
      assert.equal(0, (cert("--ca", shop:cert "root", "localhost:" .. server:port())))
      assert.equal(1, (cert("localhost:" .. server:port())))
      program.until_true("both ends", function() return #ends == 2 end)
      assert.same({ { "" }, { "" } }, ends) -- and no error: it was told
      assert.equal(0, server:stats().failed)
    end
  end)

  it("shows what is wrong, and the chain all the same", function()
    local server <close> = peers.s_server(shop, { identity = "expired" })
    local status, out = cert("--ca", shop:cert "root", "--server-name=other.test", "https://127.0.0.1:" .. server.port .. "/x")
    assert.equal(1, status)
    has(out, "verification: FAILED\n  the certificate of \"expired\" has expired")
    has(out, "(CERT_HAS_EXPIRED)\n")
    has(out, "(CERT_HOSTNAME_MISMATCH)\n")
    has(out, "subject  CN=expired\n")
    local pem, err
    status, pem, err = cert("--ca", shop:cert "root", "--pem", "127.0.0.1:" .. server.port)
    assert.equal(1, status)
    assert.equal(shop:read "expired.pem", pem)
    has(err, "has expired")
  end)

  it("tells what the stapled OCSP answer says", function()
    for status, words in pairs { good = "good (until 20", revoked = "revoked (key_compromise)" } do
      local server <close> = peers.s_server(shop, { identity = "revoked",
        args = { "-status_file", shop:ocsp("revoked", { status = status }) } })
      local code, out = cert("--ca", shop:cert "root", "localhost:" .. server.port)
      assert.equal(status == "good" and 0 or 1, code)
      has(out, "OCSP answer: " .. words)
    end
  end)

  it("speaks first where TLS begins later", function()
    local server <close> = peers.node(shop, "smtp", {})
    local status, out, err = cert("--starttls=smtp", "--ca", shop:cert "root", "localhost:" .. server.port)
    assert.equal("", err)
    assert.equal(0, status)
    has(out, "verification: good for localhost\n")
  end)

  it("fails when there is no server, no TLS, or no answer", function()
    local port = program.free_port()
    local status, _, err = cert("127.0.0.1:" .. port)
    assert.equal(1, status)
    has(err, "refused")
    peer_scripts.with({ "this is no TLS\r\n" }, function(_, peer)
      peer:join()
    end)
    local silent <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    status, _, err = cert("--timeout=0.2", "127.0.0.1:" .. silent:port())
    assert.equal(1, status)
    has(err, "TIMEOUT")
    local clear <close> = peer_scripts.start { "220 this is no TLS\r\n", { wait = function(s) s:read("a") end } }
    status, _, err = cert("127.0.0.1:" .. clear.port)
    assert.equal(1, status)
    has(err, "TLS")
  end)
end)

describe("qnlua cert, its words:", function()
  it("explains itself", function()
    local status, out = cert("--help")
    assert.equal(0, status)
    has(out, "--starttls=PROTOCOL")
    status, out = program.run { program.qnlua(), "--help" }
    assert.equal(0, status)
    has(out, "qnlua cert --help")
  end)

  it("refuses what it does not know, with status 2", function()
    for _, words in ipairs { {}, { "--nothing", "h" }, { "--starttls=http", "h" }, { "--timeout=0", "h" },
      { "--timeout=x", "h" }, { "--ca" }, { "--server-name=a b", "h" }, { "--alpn=,", "h" }, { "-x", "h" } } do
      local status, _, err = cert(table.unpack(words))
      assert.equal(2, status, table.concat(words, " "))
      has(err, "usage: qnlua cert")
    end
    for _, target in ipairs { "h:0", "h:65536", "h:x", "" } do
      local status, _, err = cert(target)
      assert.equal(1, status)
      has(err, "is no host:port")
    end
    assert.equal(2, (program.run { program.qnlua(), "-i", "cert", "h" }))
  end)

  it("is a script behind -- and with a folder before it", function()
    shop:write("cert", "print('the script', ...)")
    local command = 'cd "$1" && "$0" ./cert a && "$0" -- cert b'
    local status, out = program.run { "sh", "-c", command, program.qnlua(), shop.folder }
    assert.equal(0, status)
    assert.equal("the script\ta\nthe script\tb\n", out)
  end)
end)

describe("cert_report", function()
  it("makes text from outside safe for a terminal", function()
    assert.equal("plain é 漢", report.clean("plain é 漢"))
    assert.equal("a\\x1b[31m\\x0a\\x00\\x7f", report.clean("a\27[31m\n\0\127"))
    assert.equal("\\xff\\xc2", report.clean("\xff\xc2"))
    assert.equal("x\\xe2\\x80\\xaey", report.clean("x\u{202e}y")) -- would turn the rest around
    assert.equal("\\xc2\\x9b", report.clean("\u{9b}"))
    assert.equal(1003, #report.clean(("x"):rep(5000)))
  end)

  it("counts in the unit that fits", function()
    assert.equal("1 second", report.span(1))
    assert.equal("119 seconds", report.span(119))
    assert.equal("2 minutes", report.span(120))
    assert.equal("2 hours", report.span(7200))
    assert.equal("47 hours", report.span(47 * 3600))
    assert.equal("2 days", report.span(2 * 86400))
  end)
end)

describe("cert_starttls", function()
  local good <const> = {
    smtp = { "220-a\r\n220 b\r\n", { expect = "EHLO localhost\r\n" }, "250-h\r\n250-STARTTLS\r\n250 X\r\n",
      { expect = "STARTTLS\r\n" }, "220 go\r\n" },
    ftp = { "220-a\r\n 220 not the end\r\n220 b\r\n", { expect = "AUTH TLS\r\n" }, "234 go\r\n" },
    pop3 = { "+OK\r\n", { expect = "STLS\r\n" }, "+OK go\r\n" },
    imap = { "* OK\r\n", { expect = "a1 STARTTLS\r\n" }, "* CAPABILITY X\r\na1 OK go\r\n" },
  }
  for protocol, script in pairs(good) do
    it("speaks " .. protocol .. ", and reads no byte too many", function()
      script[#script] = script[#script] .. "TLS"
      peer_scripts.with(script, function(socket)
        assert.is_true(starttls.run(socket, protocol))
        assert.equal("TLS", socket:read_exactly(3))
      end)
    end)
  end

  local bad <const> = {
    { "smtp", "554 no\r\n", "no greeting of SMTP: 554 no" },
    { "smtp", "220 a\r\n", { expect = "EHLO localhost\r\n" }, "250 h\r\n", "does not offer STARTTLS" },
    { "smtp", "220 a\r\n", { expect = "EHLO localhost\r\n" }, "250-h\r\n250 STARTTLS\r\n", { expect = "STARTTLS\r\n" },
      "454 not now\r\n", "STARTTLS is refused: 454 not now" },
    { "ftp", "220 a\r\n", { expect = "AUTH TLS\r\n" }, "502 no\r\n", "AUTH TLS is refused: 502 no" },
    { "pop3", "-ERR\r\n", "no greeting of POP3" },
    { "pop3", "+OK\r\n", { expect = "STLS\r\n" }, "-ERR no\r\n", "STLS is refused: -ERR no" },
    { "imap", "* BYE\r\n", "no greeting of IMAP" },
    { "imap", "* OK\r\n", { expect = "a1 STARTTLS\r\n" }, "a1 BAD no\r\n", "STARTTLS is refused: a1 BAD no" },
    { "imap", "* OK\r\n", { expect = "a1 STARTTLS\r\n" }, ("* 1\r\n"):rep(300), "more than 200 lines" },
    { "smtp", "220-" .. ("x"):rep(5000) .. "\r\n", "" },
    { "smtp", "220-a\r\n", { close = true }, "before TLS" },
  }
  for i, case in ipairs(bad) do
    it(("tells what is wrong, %d: %s"):format(i, case[#case]), function()
      local script = table.move(case, 2, #case - 1, 1, {})
      local peer <close> = peer_scripts.start(script)
      local socket <close> = assert(peer:connect())
      local ok, err = starttls.run(socket, case[1])
      assert.is_nil(ok)
      has(tostring(err), case[#case])
      socket:abort()
    end)
  end
end)
