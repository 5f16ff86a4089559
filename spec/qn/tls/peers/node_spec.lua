-- Our client and our server against Node: versions, keys, ALPN, certificates of clients, resumption,
-- a MiB both ways with half-closed ends, and what Node says of a server that it does not trust.

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local echo = require "spec.support.tls_echo"
local peers = require "spec.support.tls_peers"
local temp = require "spec.support.temp"

local shop, ca

setup(function()
  shop = certs.open()
  ca = shop:cert "root"
end)
teardown(function() shop:close() end)

local bytes <const> = temp.pattern(1 << 20)

describe("our client and Node's server", function()
  local function connect(server, opts)
    opts.server_name = "localhost"
    opts.ca = opts.tls == nil and ca or nil
    return qn.tls.connect("127.0.0.1", server.port, opts)
  end

  it("echo a MiB, half-close, and both end with close_notify", function()
    local server <close> = peers.node(shop, "echo", { args = { "alpn=one,two", "ask=1" } })
    for i, case in ipairs { { "1.2" }, { "1.3" }, { "1.2", "client" }, { "1.3", "client_rsa" } } do
      local version, name = case[1], case[2]
      local socket <close> = assert(connect(server, { min_version = version, max_version = version, alpn = { "two" },
        cert = name and shop:cert(name), key = name and shop:key(name) }))
      local writer = qn.spawn(function()
        assert(socket:write(bytes))
        assert(socket:shutdown("w"))
      end)
      assert.is_true(socket:read("a") == bytes)
      assert(writer:join())
      local facts = socket:tls()
      assert.equal("TLSv" .. version, facts.version)
      assert.equal("two", facts.alpn)
      assert.equal("close_notify", facts.alert_received)
      assert.equal("close_notify", facts.alert_sent)
      server:wait_for((('"event":"close"'):rep(i, ".*")))
      local out = server:output()
      assert.equal(i, select(2, out:gsub('"event":"end"', "")))
      if name then
        assert.truthy(out:find(('"authorized":true,"name":"localhost","peer":"%s"'):format(name), 1, true), out)
      end
    end
    assert.is_nil((server:output():find('"event":"error"', 1, true)))
  end)

  it("resume", function()
    local server <close> = peers.node(shop, "echo", {})
    for _, version in ipairs { "1.2", "1.3" } do
      local config = assert(qn.tls.configuration { ca = ca, min_version = version, max_version = version })
      for i = 1, 3 do
        local socket <close> = assert(connect(server, { tls = config }))
        assert(socket:write("x"))
        assert.equal("x", socket:read(1))
        assert.equal(i > 1, socket:tls().resumed)
      end
    end
  end)

  it("are cut short when Node is killed", function()
    local server <close> = peers.node(shop, "echo", {})
    local socket <close> = assert(connect(server, {}))
    assert(socket:write("x"))
    assert.equal("x", socket:read(1))
    server:stop("KILL")
    local got, err = socket:read("a")
    assert.is_nil(got)
    assert.equal("TLS_TRUNCATED", err.code)
  end)
end)

describe("our server and Node's client", function()
  for _, key in ipairs { "server", "server_rsa", "server_ed25519" } do
    it("echo a MiB and half-close, with " .. key, function()
      local opts = shop:identity(key)
      opts.alpn = { "b", "a" }
      echo.with(opts, function(server, seen)
        for _, version in ipairs { "1.2", "1.3" } do
          local node <close> = peers.node(shop, "client",
            { port = server:port(), args = { "alpn=a,b", "min=TLSv" .. version, "max=TLSv" .. version } })
          local status, out, err = node:wait()
          assert.equal("", err)
          assert.equal(0, status)
          assert.truthy(out:find('"event":"echo","equal":true', 1, true), out)
          assert.truthy(out:find(('"version":"TLSv%s"'):format(version), 1, true), out)
          assert.truthy(out:find('"alpn":"b"', 1, true), out)
          assert.truthy(out:find('"authorized":true', 1, true), out)
          local facts = seen:recv()
          assert.equal("TLSv" .. version, facts.version)
          assert.equal("b", facts.alpn)
          assert.equal("localhost", facts.server_name)
          assert.equal(1 << 20, facts.copied, tostring(facts.problem))
        end
      end)
    end)
  end

  it("resume, by tickets and without", function()
    for _, tickets in ipairs { true, false } do
      for _, version in ipairs(tickets and { "1.2", "1.3" } or { "1.2" }) do
        local opts = shop:identity "server"
        opts.tickets = tickets
        echo.with(opts, function(server, seen)
          local node <close> = peers.node(shop, "client",
            { port = server:port(), args = { "again=1", "min=TLSv" .. version, "max=TLSv" .. version } })
          local status, out = node:wait()
          assert.equal(0, status)
          assert.equal(2, select(2, out:gsub('"event":"echo","equal":true', "")), out)
          assert.truthy(out:find('"resumed":true', 1, true), out)
          assert.is_false(seen:recv().resumed)
          assert.is_true(seen:recv().resumed)
        end)
      end
    end
  end)

  it("show certificates of clients, and want them", function()
    local opts = shop:identity "server"
    opts.ca, opts.verify = ca, "peer"
    echo.with(opts, function(server, seen)
      for _, version in ipairs { "1.2", "1.3" } do
        local range = { "min=TLSv" .. version, "max=TLSv" .. version }
        local node <close> = peers.node(shop, "client", { port = server:port(), identity = "client_rsa", args = range })
        assert.equal(0, (node:wait()))
        local facts = seen:recv()
        assert.equal("client_rsa", facts.peer.subject[1].value)
        assert.same({}, facts.errors)
        local bare <close> = peers.node(shop, "client", { port = server:port(), args = range })
        local _, out = bare:wait()
        assert.truthy(out:find('"event":"error"', 1, true), out)
      end
    end)
  end)

  it("know that the certificate is for another host", function()
    echo.with(shop:identity "wrong_host", function(server)
      local node <close> = peers.node(shop, "client", { port = server:port() })
      local _, out = node:wait()
      assert.truthy(out:find("ERR_TLS_CERT_ALTNAME_INVALID", 1, true), out)
    end)
  end)
end)
