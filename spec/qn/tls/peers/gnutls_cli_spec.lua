-- Our server against gnutls-cli, another implementation: versions, types of keys, ALPN, certificates of
-- clients, resumption, new keys, what it says of a certificate that is not good.

local certs = require "spec.support.tls_certs"
local echo = require "spec.support.tls_echo"
local peers = require "spec.support.tls_peers"
local program = require "spec.support.program"
local temp = require "spec.support.temp"

local shop

setup(function() shop = certs.open() end)
teardown(function() shop:close() end)

local PRIORITY <const> = { ["1.2"] = "NORMAL:-VERS-ALL:+VERS-TLS1.2", ["1.3"] = "NORMAL:-VERS-ALL:+VERS-TLS1.3" }

-- One line there and back.
local function talk(server, seen, opts)
  local client <close> = peers.gnutls_cli(shop, server:port(), opts)
  client:say("some words.\n")
  client:wait_for("Simple Client Mode.*some words%.\n")
  client:finish()
  assert.equal(0, (client:wait()))
  return seen:recv()
end

local function with(name, more, f) echo.with_identity(shop, name, more, f) end

describe("our server and gnutls-cli", function()
  for _, key in ipairs { "server", "server_rsa", "server_ed25519" } do
    it("agree on each version and protocol with the certificate " .. key, function()
      with(key, { alpn = { "b", "a" } }, function(server, seen)
        for _, version in ipairs { "1.2", "1.3" } do
          local facts = talk(server, seen, { args = { "--priority", PRIORITY[version], "--alpn=a", "--alpn=b" } })
          assert.equal("TLSv" .. version, facts.version)
          assert.equal("b", facts.alpn)
          assert.equal("localhost", facts.server_name)
          assert.equal("close_notify", facts.after.alert_received)
          assert.is_nil(facts.problem)
        end
      end)
    end)
  end

  it("check certificates of clients", function()
    with("server", { ca = shop:cert "root", verify = "peer" }, function(server, seen, refused)
      for _, version in ipairs { "1.2", "1.3" } do
        for _, name in ipairs { "client", "client_rsa", "client_ed25519" } do
          local facts = talk(server, seen, { identity = name, args = { "--priority", PRIORITY[version] } })
          assert.equal(name, facts.peer.subject[1].value)
        end
        local before = #refused
        local client <close> = peers.gnutls_cli(shop, server:port(), { args = { "--priority", PRIORITY[version] } })
        local status = client:wait()
        assert.equal(1, status)
        program.until_true("the event", function() return #refused > before end)
        assert.equal("CERT_NO_PEER_CERTIFICATE", refused[#refused].code)
      end
    end)
  end)

  it("resume", function()
    for _, case in ipairs { { true, "1.2" }, { false, "1.2" }, { true, "1.3" } } do
      with("server", { tickets = case[1] }, function(server, seen)
        local args = { "--resume", "--waitresumption", "--priority", PRIORITY[case[2]] }
        local client <close> = peers.gnutls_cli(shop, server:port(), { args = args })
        client:wait_for("This is a resumed session")
        client:say("words.\n")
        client:wait_for("words%.\n")
        client:finish()
        assert.is_false(seen:recv().resumed)
        assert.is_true(seen:recv().resumed)
      end)
    end
  end)

  it("change keys", function()
    with("server", {}, function(server, seen)
      local client <close> = peers.gnutls_cli(shop, server:port(),
        { args = { "--inline-commands", "--priority", PRIORITY["1.3"] } })
      client:say("one.\n")
      client:wait_for("one%.\n")
      client:say("^rekey^\n")
      client:say("two.\n")
      client:wait_for("two%.\n")
      client:finish()
      assert.equal("TLSv1.3", seen:recv().version)
    end)
  end)

  it("echo a MiB", function()
    local bytes <const> = temp.pattern(1 << 20)
    local file = shop:write("big", bytes)
    for _, version in ipairs { "1.2", "1.3" } do
      echo.with(shop:identity "server", function(server)
        local status, out, err = program.run { "sh", "-c",
          ('exec gnutls-cli --logfile=/dev/null --priority %s --x509cafile %s -p %d localhost <%s'):format(
            PRIORITY[version], shop:cert "root", server:port(), file) }
        assert.equal(0, status, err)
        assert.is_true(out == bytes, #out)
      end)
    end
  end)

  it("do not believe a certificate that is not good", function()
    for name, text in pairs { expired = "expired", unknown_alone = "issuer is unknown", wrong_host = "name in the certificate" } do
      with(name, {}, function(server, _, refused)
        local client <close> = peers.gnutls_cli(shop, server:port(), {})
        local status, out, err = client:wait()
        assert.equal(1, status)
        assert.truthy((out .. err):find(text, 1, true), out .. err)
        program.until_true("the event", function() return refused[1] end)
        assert.equal("tls", refused[1].kind)
      end)
    end
  end)
end)
