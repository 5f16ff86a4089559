-- Our server against openssl s_client: versions, types of keys, ALPN, SNI, certificates of clients,
-- resumption, new keys, much data, clients that vanish.

local certs = require "spec.support.tls_certs"
local echo = require "spec.support.tls_echo"
local peers = require "spec.support.tls_peers"
local program = require "spec.support.program"
local temp = require "spec.support.temp"

local shop

setup(function() shop = certs.open() end)
teardown(function() shop:close() end)

-- Sends a line with s_client, gets it back, ends; returns what is known on our side, and its output.
local function talk(server, seen, opts)
  local client <close> = peers.s_client(shop, server:port(), opts)
  client:say("some words.\n")
  client:wait_for("some words%.\n.*some words%.\n")
  client:say("Q\n")
  local status, out, err = client:wait()
  assert.equal(0, status, err)
  return seen:recv(), out
end

-- s_client prints what it sends nowhere, so the words must come back twice: ask for that.
local function twice(socket, facts)
  for line in socket:lines() do
    assert(socket:write(line, "\n", line, "\n"))
  end
  facts.ended = true
end

local function with(name, more, f) echo.with_identity(shop, name, more, f, twice) end

describe("our server and s_client", function()
  for _, key in ipairs { "server", "server_rsa", "server_ed25519" } do
    it("agree on each version and protocol with the certificate " .. key, function()
      with(key, { alpn = { "second", "first" } }, function(server, seen)
        for _, version in ipairs { "1_2", "1_3" } do
          local facts, out = talk(server, seen, { args = { "-tls" .. version, "-alpn", "first,second" } })
          assert.equal("TLSv" .. version:gsub("_", "."), facts.version)
          assert.equal("second", facts.alpn)
          assert.equal("localhost", facts.server_name)
          assert.is_true(facts.ended)
          assert.equal("close_notify", facts.after.alert_received)
          assert.truthy(out:find("Verify return code: 0 (ok)", 1, true))
          assert.truthy(out:find("ALPN protocol: second", 1, true))
        end
      end)
    end)
  end

  it("choose a certificate by the client's abilities and by its name", function()
    local other = shop:identity "other_server"
    echo.with({
      certs = { shop:identity "server", shop:identity "server_rsa" },
      sni = { ["other.test"] = other },
    }, function(server, seen)
      local _, out = talk(server, seen, { args = { "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256" } })
      assert.truthy(out:find("subject=CN = server_rsa\n", 1, true))
      _, out = talk(server, seen, { args = { "-sigalgs", "ECDSA+SHA256" } })
      assert.truthy(out:find("subject=CN = server\n", 1, true))
      _, out = talk(server, seen, { args = { "-servername", "other.test" } })
      assert.truthy(out:find("subject=CN = other_server\n", 1, true))
    end, twice)
  end)

  it("have no version, cipher or protocol in common: the server goes on, and knows why", function()
    with("server", { min_version = "1.3", alpn = "h2" }, function(server, seen, refused)
      for i, case in ipairs { { "protocol version", "-tls1_2" }, { "no application protocol", "-alpn", "other" },
        { "handshake failure", "-ciphersuites", "TLS_AES_128_CCM_8_SHA256" } } do
        local client <close> = peers.s_client(shop, server:port(), { args = { table.unpack(case, 2) } })
        local status, _, err = client:wait()
        assert.equal(1, status)
        assert.truthy(err:find(case[1], 1, true), err)
        program.until_true("the event", function() return refused[i] end)
        assert.equal("tls", refused[i].kind)
        assert.is_string(refused[i].alert)
      end
      talk(server, seen, {})
    end)
  end)

  for _, version in ipairs { "1_2", "1_3" } do
    it("check certificates of clients, TLS " .. version:gsub("_", "."), function()
      with("server", { ca = shop:cert "root", verify = "peer" }, function(server, seen, refused)
        for _, name in ipairs { "client", "client_rsa", "client_ed25519" } do
          local facts = talk(server, seen, { identity = name, args = { "-tls" .. version } })
          assert.equal(name, facts.peer.subject[1].value)
        end
        local wrong = { strange_client = "unknown ca", expired_client = "certificate expired",
          [false] = version == "1_2" and "handshake failure" or "certificate required",
          revoked = "unsupported certificate" } -- that one is for servers
        local count = 0
        for name, text in pairs(wrong) do
          count = count + 1
          local client <close> = peers.s_client(shop, server:port(),
            { identity = name or nil, args = { "-tls" .. version } })
          local _, out, err = client:wait()
          assert.truthy((out .. err):find(text, 1, true), text .. ": " .. err)
          program.until_true("the event", function() return refused[count] end)
        end
        local codes = {}
        for _, err in ipairs(refused) do
          codes[#codes + 1] = err.code
        end
        table.sort(codes)
        assert.same({ "CERT_HAS_EXPIRED", "CERT_INVALID_PURPOSE", "CERT_NO_PEER_CERTIFICATE",
          "CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY" }, codes)
      end)
    end)
  end

  it("ask for a certificate that need not be good", function()
    with("server", { ca = shop:cert "root", verify = "query" }, function(server, seen)
      assert.same({}, talk(server, seen, {}).errors)
      local facts = talk(server, seen, { identity = "strange_client" })
      assert.equal("strange_client", facts.peer.subject[1].value)
      assert.equal("CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", facts.errors[1].code)
    end)
  end)

  for name, case in pairs {
    ["1.2 by session id"] = { false, "-tls1_2", "-no_ticket" }, ["1.2 by ticket"] = { true, "-tls1_2" },
    ["1.3 by ticket"] = { true, "-tls1_3" },
  } do
    it("resume: TLS " .. name, function()
      with("server", { tickets = case[1] }, function(server, seen)
        local file = shop:path("session" .. name:gsub("%W", ""))
        local args = { table.unpack(case, 2) }
        assert.is_false(talk(server, seen, { args = { "-sess_out", file, table.unpack(args) } }).resumed)
        assert.is_true(talk(server, seen, { args = { "-sess_in", file, table.unpack(args) } }).resumed)
        if case[1] then
          server:rotate_tickets()
          assert.is_true(talk(server, seen, { args = { "-sess_in", file, table.unpack(args) } }).resumed)
        end
      end)
    end)
  end

  it("echo a MiB", function()
    local bytes <const> = temp.pattern(1 << 20)
    local file = shop:write("big", bytes)
    for _, version in ipairs { "1_2", "1_3" } do
      echo.with(shop:identity "server", function(server, seen)
        local status, out = program.run { "sh", "-c",
          ('exec openssl s_client -quiet -verify_quiet -tls%s -CAfile %s -connect 127.0.0.1:%d <%s'):format(version,
            shop:cert "root", server:port(), file) }
        assert.equal(0, status)
        assert.is_true(out == bytes)
        assert.is_nil(seen:recv().problem)
      end, echo.exactly(#bytes))
    end
  end)

  it("change keys", function()
    with("server", {}, function(server, seen)
      local client <close> = peers.s_client(shop, server:port(), { args = { "-tls1_3" } })
      for i, command in ipairs { "K", "k", "K" } do
        client:say(command .. "\n")
        program.until_true("the new keys", function()
          return select(2, select(2, client:output()):gsub("KEYUPDATE", "")) == i
        end)
        client:say(("line %d.\n"):format(i))
        client:wait_for(("line %d%%.\n.*line %d%%."):format(i, i))
      end
      client:say("Q\n")
      client:wait()
      assert.is_true(seen:recv().ended)
    end)
  end)

  it("do not negotiate again", function()
    with("server", {}, function(server, seen)
      local client <close> = peers.s_client(shop, server:port(), { args = { "-tls1_2" } })
      client:say("words.\n")
      client:wait_for("words%.\n.*words%.")
      client:say("R\n")
      local _, _, err = client:wait()
      assert.truthy(err:find("no renegotiation", 1, true))
      seen:recv()
      talk(server, seen, {})
    end)
  end)

  it("notice a client that vanishes without close_notify", function()
    with("server", {}, function(server, seen)
      local client <close> = peers.s_client(shop, server:port(), {})
      client:say("words.\n")
      client:wait_for("words%.\n.*words%.")
      client:stop("KILL")
      local facts = seen:recv()
      assert.truthy(tostring(facts.problem):find("TLS_TRUNCATED", 1, true), tostring(facts.problem))
      talk(server, seen, {})
    end)
  end)
end)
