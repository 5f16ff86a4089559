-- Our server against curl as a web client: versions, keys, ALPN, certificates of clients, many requests
-- on one connection, certificates exchanged while it runs, names of hosts.

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local echo = require "spec.support.tls_echo"
local peers = require "spec.support.tls_peers"

local shop

setup(function() shop = certs.open() end)
teardown(function() shop:close() end)

local function get(server, path, args)
  args = args or {}
  args[#args + 1] = ("https://localhost:%d%s"):format(server:port(), path)
  return peers.curl(shop, args)
end

local function with(name, more, f) echo.with_identity(shop, name, more, f, echo.http) end

describe("our server and curl", function()
  for _, key in ipairs { "server", "server_rsa", "server_ed25519" } do
    it("agree on each version and protocol with the certificate " .. key, function()
      with(key, { alpn = "http/1.1" }, function(server)
        for version, args in pairs { ["1.2"] = { "--tls-max", "1.2" }, ["1.3"] = { "--tlsv1.3" } } do
          local status, out, err = get(server, "/", args)
          assert.equal(0, status, err)
          assert.equal(("TLSv%s http/1.1 localhost new -\n"):format(version), out)
        end
      end)
    end)
  end

  it("pass a certificate of the client", function()
    with("server", { ca = shop:cert "root", verify = "peer" }, function(server)
      local status, out, err = get(server, "/", { "--cert", shop:cert "client", "--key", shop:key "client" })
      assert.equal(0, status, err)
      assert.truthy(out:find(" client\n", 1, true))
      assert.not_equal(0, (get(server, "/", {})))
    end)
  end)

  it("bring a MiB, and many answers on one connection", function()
    with("server", {}, function(server, seen)
      local status, out = get(server, "/1048576")
      assert.equal(0, status)
      assert.is_true(out == ("x"):rep(1 << 20))
      local args = {}
      for i = 1, 20 do
        args[i] = ("https://localhost:%d/100"):format(server:port())
      end
      status, out = peers.curl(shop, args)
      assert.equal(0, status)
      assert.equal(2000, #out)
      assert.is_nil(seen:recv().problem)
      assert.is_nil(seen:recv().problem)
      assert.is_false((seen:try_recv())) -- two connections
    end)
  end)

  it("see the certificate that is in force", function()
    with("server", {}, function(server)
      local open <close> = assert(qn.tls.connect("127.0.0.1", server:port(), { ca = shop:cert "root", server_name = "localhost" }))
      assert.equal(0, (get(server, "/")))
      assert(server:configure(shop:identity "expired"))
      local status, _, err = get(server, "/")
      assert.equal(60, status)
      assert.truthy(err:find("expired", 1, true), err)
      assert(server:configure(shop:identity "wrong_host"))
      status, _, err = get(server, "/")
      assert.equal(60, status)
      assert.truthy(err:find("localhost", 1, true), err)
      assert(server:configure(shop:identity "server_rsa"))
      assert.equal(0, (get(server, "/")))
      assert(open:write("GET / HTTP/1.1\r\n\r\n"))
      assert.equal("HTTP/1.1 200 OK", open:read_until("\r\n"))
    end)
  end)

  it("find the certificate of a name", function()
    local opts = shop:identity "server"
    opts.sni = { ["other.test"] = shop:identity "other_server" }
    echo.with(opts, function(server)
      local port = server:port()
      local status, out, err = peers.curl(shop, { "--resolve", ("other.test:%d:127.0.0.1"):format(port),
        ("https://other.test:%d/"):format(port) })
      assert.equal(0, status, err)
      assert.truthy(out:find("other.test", 1, true))
      status = peers.curl(shop, { "--resolve", ("third.test:%d:127.0.0.1"):format(port),
        ("https://third.test:%d/"):format(port) })
      assert.equal(60, status)
    end, echo.http)
  end)
end)
