-- Every script of examples/ runs here against the real thing, and what it prints is compared with
-- what its head comment quotes.

local qn = require "qn"
local dns = require "spec.support.dns"
local certs = require "spec.support.tls_certs"
local program = require "spec.support.program"
local servers = require "spec.support.servers"
local tls_peers = require "spec.support.tls_peers"

local function names_of(command)
  local names = {}
  local pipe <close> = assert(io.popen(command))
  for name in pipe:lines() do
    names[#names + 1] = name
  end
  return names
end

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do
    lines[#lines + 1] = line
  end
  return lines
end

-- The output that the head comment of an example quotes.
local function quoted(name)
  local out, inside = {}, false
  for line in io.lines("examples/" .. name) do
    if line:find("^%-%- Prints") then
      inside = true
    elseif inside and line:find("^%-%-   ") then
      out[#out + 1] = line:sub(6)
    elseif inside then
      break
    end
  end
  assert.is_true(#out > 0, name .. " quotes no output")
  return table.concat(out, "\n") .. "\n"
end

local function command_of(name, ...)
  return { program.qnlua(), "examples/" .. name, ... }
end

local function run(name, ...)
  local status, out, err = program.run(command_of(name, ...))
  assert.equal("", err)
  assert.equal(0, status)
  return out
end

-- Starts an example that serves; its first line names the port.
local function serve(name, ...)
  local server = program.start(command_of(name, ...))
  server.port = math.tointeger(tonumber(server:wait_for("port (%d+)[^\n]*\n")))
  return server
end

describe("examples", function()
  it("have a head that says what they show, how they run and what they print", function()
    local names = names_of("ls examples/*.lua")
    assert.is_true(#names >= 11)
    for _, path in ipairs(names) do
      local lines = lines_of(path)
      assert.is_true(#lines >= 15 and #lines <= 80, path .. " has " .. #lines .. " lines")
      local head = {}
      for _, line in ipairs(lines) do
        if not line:find("^%-%-") then
          break
        end
        head[#head + 1] = line
      end
      head = table.concat(head, "\n")
      assert.truthy(head:find("qnlua " .. path, 1, true), path .. " does not say how it runs")
      assert.truthy(head:find("\n-- Prints", 1, true), path .. " does not say what it prints")
    end
  end)

  it("fortune.lua: a server and three clients", function()
    assert.equal(quoted("fortune.lua"), run("fortune.lua"))
  end)

  it("url_inspector.lua: three samples, a mode and a base", function()
    assert.equal(quoted("url_inspector.lua"), run("url_inspector.lua"))
    local out = run("url_inspector.lua", "-m", "whatwg", "-b", "http://h/a/b", "../c d")
    assert.truthy(out:find("^http://h/c%%20d\n"))
  end)

  it("fortune_server.lua and both clients", function()
    local server <close> = serve("fortune_server.lua", "127.0.0.1", 0)
    local expected = quoted("fortune_server.lua"):gsub("4001", server.port)
    assert.equal(expected, (server:output()))
    expected = quoted("blocking_fortune_client.lua"):gsub("4001", server.port)
    assert.equal(expected, run("blocking_fortune_client.lua", "127.0.0.1", server.port))
    expected = quoted("fortune_client.lua")
    assert.equal(expected, run("fortune_client.lua", "127.0.0.1", server.port))
    assert.equal(130, (server:stop("INT")))
  end)

  it("say what is wrong with a port that is none", function()
    local place = { broadcast_receiver = 1, tls_echo_server = 1 }
    local tried = 0
    for _, name in ipairs(names_of("grep -l 'port must be an integer' examples/*.lua")) do
      local stem = name:match("([%w_]+)%.lua$")
      local arguments = place[stem] and { "x" } or { "127.0.0.1", "x" }
      local status, out, err = program.run(command_of(stem .. ".lua", table.unpack(arguments)))
      assert.equal("", out)
      assert.truthy(err:find("port must be an integer") or err:find("must be a number"), stem .. ": " .. err)
      assert.equal(1, status)
      tried = tried + 1
    end
    assert.is_true(tried >= 19)
  end)

  it("fortune clients without a server say so and fail", function()
    local port = program.free_port()
    local status, out = program.run(command_of("blocking_fortune_client.lua", "127.0.0.1", port))
    assert.equal(1, status)
    assert.equal("cannot connect: connection refused\n", out)
    local _, errors
    status, _, errors = program.run(command_of("fortune_client.lua", "127.0.0.1", port))
    assert.equal(1, status)
    assert.equal(3, select(2, errors:gsub("no fortune: connect[^\n]+refused", "")))
  end)

  it("fortune clients give up on a server that says nothing", function()
    local silent <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local command = command_of("fortune_client.lua", "127.0.0.1", silent:port())
    local status, _, errors = program.run(command)
    assert.equal(1, status)
    assert.equal(3, select(2, errors:gsub("no fortune: [^\n]*TIMEOUT", "")))
  end)

  it("blocking_fortune_client.lua runs in a stock interpreter", function()
    local build = program.qnlua():match("^(.*)/bin/qnlua$")
    local server <close> = serve("fortune_server.lua", "127.0.0.1", 0)
    local status, out, errors = program.run(
      { "lua5.4", "examples/blocking_fortune_client.lua", "127.0.0.1", server.port },
      { environment = { LUA_CPATH = build .. "/lib/?.so;;",
        LD_PRELOAD = os.getenv("QN_PRELOAD") or "", ASAN_OPTIONS = "detect_leaks=0" } })
    assert.equal("", errors)
    assert.equal(0, status)
    assert.equal((quoted("blocking_fortune_client.lua"):gsub("4001", server.port)), out)
  end)

  it("redis_client.lua: against redis-server", function()
    local redis <close> = servers.redis()
    local expected = quoted("redis_client.lua"):gsub("6379", redis.port)
    assert.equal(expected, run("redis_client.lua", "127.0.0.1", redis.port))
    assert.is_true(#lines_of("examples/redis_client.lua") < 60)
  end)

  it("http_fetch.lua: against nginx", function()
    local nginx <close> = servers.nginx { ["hello.txt"] = "Hello from nginx\n" }
    local out = run("http_fetch.lua", "127.0.0.1", nginx.port, "/hello.txt")
    assert.equal(quoted("http_fetch.lua"), out)
    out = run("http_fetch.lua", "127.0.0.1", nginx.port, "/none")
    assert.truthy(out:find("^HTTP/1.1 404 Not Found\n"))
  end)

  it("smtp_server.lua and smtp_dialogue.lua", function()
    local server <close> = serve("smtp_server.lua", "127.0.0.1", 0)
    assert.equal(quoted("smtp_dialogue.lua"), run("smtp_dialogue.lua", "127.0.0.1", server.port))
    local _, out, errors = server:stop()
    assert.equal((quoted("smtp_server.lua"):gsub("2525", server.port)), out)
    assert.equal("", errors)
  end)

  it("smtp_server.lua survives what clients may send", function()
    local server <close> = serve("smtp_server.lua", "127.0.0.1", 0)
    local socket <close> = assert(qn.tcp.connect("127.0.0.1", server.port))
    assert.equal("220 qnlua ready", socket:read_until("\r\n"))
    local bad = { { "", 500 }, { "\0\1", 500 }, { "EHLO x", 500 }, { "DATA", 503 },
      { "MAIL x", 501 }, { "RCPT TO:<a@b>", 550 } }
    for _, pair in ipairs(bad) do
      assert(socket:write(pair[1], "\r\n"))
      assert.equal(tostring(pair[2]), socket:read_until("\r\n"):sub(1, 3))
    end
    assert(socket:write(("x"):rep(2000)))
    local gone, err = socket:read("a", { timeout = 10 })
    assert.is_true(gone == "" or err.kind == "reset")
    server:wait_for("listening")
    program.until_true("the report", function()
      return select(2, server:output()):find("a client was cut off: read [^\n]*LIMIT")
    end)
  end)

  it("port_forwarder.lua: in front of fortune_server.lua", function()
    local target <close> = serve("fortune_server.lua", "127.0.0.1", 0)
    local forwarder <close> = serve("port_forwarder.lua", "127.0.0.1", target.port, 0)
    local expected = quoted("blocking_fortune_client.lua"):gsub("4001", forwarder.port)
    assert.equal(expected, run("blocking_fortune_client.lua", "127.0.0.1", forwarder.port))
    forwarder:wait_for("bytes down\n")
    -- in one go: the one port may contain the digits of the other
    expected = quoted("port_forwarder.lua"):gsub("400[13]", { ["4001"] = target.port, ["4003"] = forwarder.port })
    assert.equal(expected, (forwarder:output()))
  end)

  it("interfaces.lua: loopback", function()
    assert.equal(quoted("interfaces.lua"), run("interfaces.lua", "lo"))
    assert.truthy(run("interfaces.lua"):find(quoted("interfaces.lua"), 1, true))
  end)

  it("dig.lua: every type, against knot", function()
    local knot <close> = dns.knot()
    local function dig(...) return run("dig.lua", "@127.0.0.1", "-p", knot.port, ...) end
    assert.equal(quoted("dig.lua"), dig("c3.qn.test", "mail.qn.test", "A", "MX"))
    assert.equal("10 mail.qn.test.\n20 mail2.qn.test.\n", dig("+short", "qn.test", "mx"))
    assert.equal("a.qn.test.\n127.0.0.2\n127.0.0.3\n", dig("+short", "c3.qn.test"))
    assert.equal("aaaa.qn.test.\n", dig("+short", "-x", "::1"))
    assert.truthy(dig("qn.test", "mx", "all"):find("\nqn.test. 300 IN SOA ", 1, true))
    assert.equal("127.0.0.1\n", run("dig.lua", "@localhost", "-p", knot.port, "+short", "qn.test"))
    assert.truthy(dig("-x", "127.0.0.2"):find("2.0.0.127.in-addr.arpa. 300 IN PTR a.qn.test.\n", 1, true))
    local all = dig("qn.test", "all")
    for _, type in ipairs { "A", "AAAA", "MX", "NS", "SOA", "TXT", "CAA", "HTTPS" } do
      assert.truthy(all:find("\nqn.test. %d+ IN " .. type .. " ") or all:find("^qn.test. 300 IN " .. type), type)
    end
    assert.truthy(all:find("; qn.test SRV: the name has no record of this type\n", 1, true))
    assert.equal("\\# 7 03435055024F53\n", dig("+short", "host.qn.test", "TYPE13"))
    local status, out = program.run(command_of("dig.lua", "@127.0.0.1", "-p", knot.port, "no.qn.test"))
    assert.equal(1, status)
    assert.equal("; no.qn.test A: host not found\n", out)
    status = program.run(command_of("dig.lua", "-p", "53", "qn.test")) -- of which server?
    assert.equal(2, status)
    status = program.run(command_of("dig.lua"))
    assert.equal(2, status)
  end)

  it("broadcast_sender.lua and broadcast_receiver.lua", function()
    local receiver <close> = serve("broadcast_receiver.lua", 0, 3)
    local second <close> = serve("broadcast_receiver.lua", receiver.port, 3)
    local out = run("broadcast_sender.lua", "127.255.255.255", receiver.port, 3, 0.01)
    assert.equal(quoted("broadcast_sender.lua"), out)
    for _, one in ipairs { receiver, second } do
      one:wait_for("message 3[^\n]*\n")
      assert.equal((quoted("broadcast_receiver.lua"):gsub("45454", receiver.port)), (one:output()))
    end
  end)

  it("multicast_sender.lua and multicast_receiver.lua", function()
    local receiver <close> = serve("multicast_receiver.lua", "239.255.43.21", 0, 3, "lo")
    local out = run("multicast_sender.lua", "239.255.43.21", receiver.port, 3, 0.01, "lo")
    assert.equal(quoted("multicast_sender.lua"), out)
    receiver:wait_for("left the group\n")
    assert.equal((quoted("multicast_receiver.lua"):gsub("45454", receiver.port)), (receiver:output()))
  end)

  it("sntp.lua against sntp_server.lua", function()
    local server <close> = serve("sntp_server.lua", "127.0.0.1", 0, 100)
    local out = run("sntp.lua", "127.0.0.1", server.port)
    local seconds = tonumber(out:match("is (%d+%.%d) s behind"))
    assert.is_true(seconds ~= nil and seconds > 95 and seconds < 105, out) -- half of a pause on the way is in it
    assert.equal(quoted("sntp.lua"), (out:gsub("%d+%.%d s", "100.0 s")))
    server:wait_for("answered[^\n]*\n")
    local expected = quoted("sntp_server.lua"):gsub("1123", server.port)
    assert.equal(expected, server:output():sub(1, #expected)) -- a question that was asked again comes behind
    local socket <close> = assert(qn.udp.connect("127.0.0.1", server.port))
    for _, bad in ipairs { "", "short", ("\x24"):rep(48) } do -- a server among them: not answered
      assert(socket:send(bad))
    end
    assert.equal(48, #assert(socket:request("\x1b" .. ("\0"):rep(47))))
    server:stop()
    local status, text = program.run(command_of("sntp.lua", "127.0.0.1", server.port))
    assert.equal(1, status)
    assert.truthy(text:find("^no answer: [^\n]*refused"), text)
  end)

  it("discovery.lua: three hosts", function()
    local ant <close> = serve("discovery.lua", "serve", "ant", 120, 0)
    local bee <close> = serve("discovery.lua", "serve", "bee", 980, ant.port)
    local cow <close> = serve("discovery.lua", "serve", "cow", 45, ant.port)
    assert.equal(ant.port, bee.port)
    assert.equal(ant.port, cow.port)
    assert.equal(quoted("discovery.lua"), run("discovery.lua", "ask", ant.port, 10, 3))
    assert.equal("nobody answered\n", run("discovery.lua", "ask", program.free_port(), 0.01))
  end)

  it("dtls_echo.lua: a server and three clients", function()
    assert.equal(quoted("dtls_echo.lua"), run("dtls_echo.lua"))
  end)

  it("private_ca.lua: a root, an authority below it, a server and a client", function()
    assert.equal(quoted("private_ca.lua"), run("private_ca.lua"))
    local folder = program.scratch()
    run("private_ca.lua", folder)
    local status, out = program.run { "sh", "-c", "cd " .. folder .. " && for f in server client; do openssl verify -CAfile "
      .. "root.pem -untrusted $f.pem $f.pem || exit 1; done && stat -c %a server.key client.p12 && "
      .. "openssl pkcs12 -in client.p12 -passin pass:secret -noout" }
    program.remove(folder)
    assert.equal("server.pem: OK\nclient.pem: OK\n600\n600\n", out)
    assert.equal(0, status)
  end)

  it("cert_inspector.lua: what it makes itself, and files", function()
    assert.equal(quoted("cert_inspector.lua"), run("cert_inspector.lua"))
    local shop <close> = certs.open()
    local out = run("cert_inspector.lua", shop:chain "server", shop:cert "expired")
    assert.truthy(out:find("^server: signed by mid\n  for localhost, %*.wild.test, 127.0.0.1, ::1\n"), out)
    assert.truthy(out:find("\n  expired 1[01] days ago, EC P%-256\n"), out)
  end)

  it("tls_echo_server.lua: trusted by its file, echoes, changes its certificate", function()
    local folder = program.scratch()
    local pem = folder .. "/echo.pem"
    do
      local server <close> = serve("tls_echo_server.lua", 0, pem)
      assert.equal((quoted("tls_echo_server.lua"):gsub("4007", server.port)), (server:output()))
      local first <close> = assert(qn.tls.connect("localhost", server.port, { ca = pem, family = "ipv4" }))
      assert(first:write("one\n"))
      assert.equal("one", first:read("l", { timeout = 10 }))
      os.execute("kill -HUP " .. server.pid)
      program.until_true("a second certificate", function()
        return select(2, select(2, server:output()):gsub("certificate with SHA%-256 %x+\n", "")) == 2
      end)
      local second <close> = assert(qn.tls.connect("localhost", server.port, { ca = pem, family = "ipv4" }))
      assert.is_false(first:tls().peer == second:tls().peer)
      for _, socket in ipairs { first, second } do
        assert(socket:write("two\n"))
        assert.equal("two", socket:read("l", { timeout = 10 }))
      end
      local plain <close> = assert(qn.tcp.connect("127.0.0.1", server.port))
      plain:write("hello\r\n")
      plain:read("a", { timeout = 10 })
      program.until_true("the report", function()
        return select(2, server:output()):find("handshake 127.0.0.1:%d+: ")
      end)
    end
    program.remove(folder)
  end)

  it("mutual_tls.lua: guests with and without a certificate", function()
    assert.equal(quoted("mutual_tls.lua"), run("mutual_tls.lua"))
  end)

  it("tls_client.lua: against Node, and what it says of bad certificates", function()
    local shop <close> = certs.open()
    local node <close> = tls_peers.node(shop, "echo", {})
    local function talk(port)
      return program.run { "sh", "-c", 'echo hello over there | exec "$0" examples/tls_client.lua "$@"', program.qnlua(),
        "-a", shop:cert "root", "localhost", port }
    end
    local status, out, err = talk(node.port)
    assert.equal("", err)
    assert.equal(0, status)
    assert.equal(quoted("tls_client.lua"), out)
    local bad <close> = tls_peers.node(shop, "echo", { identity = "wrong_host" })
    status, out = talk(bad.port)
    assert.equal(1, status)
    assert.truthy(out:find('^cannot connect: certificate for other.test and %*.else.test does not match host "localhost"\n'
      .. "  1. [^\n]*%(CERT_HOSTNAME_MISMATCH%)\n$"), out)
    status, out = program.run { "sh", "-c", 'echo hello over there | exec "$0" "$@"', program.qnlua(),
      "examples/tls_client.lua", "-k", "localhost", bad.port }
    assert.equal(0, status)
    assert.truthy(out:find("not good: [^\n]+\n.*\nhello over there\n"), out)
  end)

  it("length_prefixed.lua", function()
    assert.equal(quoted("length_prefixed.lua"), run("length_prefixed.lua"))
  end)
end)

describe("examples/c", function()
  -- The output that the head comment quotes: what is indented by five.
  local function quoted_by(path)
    local out = {}
    for _, line in ipairs(lines_of(path)) do
      if line:find("^ %*/") then
        break
      end
      out[#out + 1] = line:match("^ %*     (.*)")
    end
    return table.concat(out, "\n") .. "\n"
  end

  local arguments = { echo = "--once" }
  for _, path in ipairs(names_of("ls examples/c/*.c")) do
    local name = path:match("([%w_]+)%.c$")
    it(name .. ".c prints what its head says", function()
      local built = program.qnlua():gsub("qnlua$", "examples/" .. name)
      local status, out, errors = program.run { built, arguments[name] }
      assert.equal("", errors)
      assert.equal(quoted_by(path), out)
      assert.equal(0, status)
    end)
  end
end)

describe("chat_server.lua", function()
  local function member(server, name)
    local socket = assert(qn.tcp.connect("127.0.0.1", server.port))
    assert.equal("your name?", socket:read("l", { timeout = 10 }))
    assert(socket:write(name, "\n"))
    assert.equal(name .. " has joined", socket:read("l", { timeout = 10 }))
    return socket
  end

  it("carries lines, joins and leaves to all", function()
    local server <close> = serve("chat_server.lua", "127.0.0.1", 0)
    assert.equal((quoted("chat_server.lua"):gsub("4002", server.port)), (server:output()))
    local ann <close> = member(server, "ann")
    local ben = member(server, "ben")
    assert.equal("ben has joined", ann:read("l", { timeout = 10 }))
    assert(ben:write("hello\27[31m all\n"))
    assert.equal("ben: hello[31m all", ann:read("l", { timeout = 10 }))
    assert(ann:write("hello ben\n"))
    assert.equal("ann: hello ben", ben:read("l", { timeout = 10 }))
    local second <close> = assert(qn.tcp.connect("127.0.0.1", server.port))
    assert(second:write("ann\n"))
    assert.equal("your name?\nthis name is taken\n", second:read("a", { timeout = 10 }))
    ben:close()
    assert.equal("ben has left", ann:read("l", { timeout = 10 }))
  end)

  it("drops a member that does not read, and nobody waits for it", function()
    local server <close> = serve("chat_server.lua", "127.0.0.1", 0)
    local slow <close> = member(server, "slow")
    slow:set_read_buffer_size(4096)
    local reader <close> = member(server, "reader")
    local talker <close> = member(server, "talker")
    assert.equal("talker has joined", reader:read("l", { timeout = 10 }))
    local line, heard, left = ("x"):rep(3000), 0, false
    qn.group({ timeout = 60 }, function(g)
      g:spawn(function()
        for text in reader:lines("l") do
          if text == "slow has left" then
            left = true
            return
          end
          heard = heard + 1
        end
      end)
      for _ = 1, 20000 do -- until it has been dropped: at most 60 MB, more than any kernel holds
        assert(talker:write(line, "\n"))
        if left then
          break
        end
      end
    end)
    assert.is_true(left)
    assert.is_true(heard > 80) -- what was said before went to the others
  end)
end)
