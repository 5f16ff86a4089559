-- Our client and our server: what was written arrives whole when the client closes without ever having
-- read, though the server's tickets are on their way to it then; and such a close does not last for ever.

local qn = require "qn"
local certs = require "spec.support.tls_certs"
local temp = require "spec.support.temp"

local shop

setup(function() shop = certs.open() end)
teardown(function() shop:close() end)

local bytes <const> = temp.pattern(4 << 20)

local ways <const> = {
  close = function(socket) socket:close() end,
  ["shutdown and close"] = function(socket)
    assert(socket:shutdown("w"))
    socket:close()
  end,
}

describe("our client and our server:", function()
  for way, finish in pairs(ways) do
    for _, version in ipairs { "1.2", "1.3" } do
      it(("all of 4 MiB arrives after %s, TLS %s"):format(way, version), function()
        local opts = shop:identity "server"
        opts.max_version = version
        local server <close> = assert(qn.tls.listen("127.0.0.1", 0, opts))
        for i = 1, 4 do
          local client = qn.spawn(function()
            local socket = assert(qn.tls.connect("127.0.0.1", server:port(),
              { ca = shop:cert "root", server_name = "localhost", sessions = i % 2 == 0 }))
            assert(socket:write(bytes))
            finish(socket)
          end)
          local socket <close> = assert(server:accept())
          assert.equal("TLSv" .. version, socket:tls().version)
          if i > 2 and way == "close" then
            assert(client:join()) -- only now does the server read
          end
          local got, err = socket:read("a")
          assert.is_nil(err)
          assert.is_true(got == bytes)
          assert(client:join())
        end
      end)
    end
  end

  it("a close ends when the server does not end", function()
    local server <close> = assert(qn.tls.listen("127.0.0.1", 0, shop:identity "server"))
    local socket = assert(qn.tls.connect("127.0.0.1", server:port(),
      { ca = shop:cert "root", server_name = "localhost" }))
    local peer <close> = assert(server:accept())
    assert(socket:write("words"))
    socket:set_timeouts { write = 0.05 }
    socket:close()
    assert.is_true(qn.timeout(20, function()
      while socket:state() ~= "unconnected" do
        qn.sleep(0.005)
      end
      return true
    end))
    assert.equal("words", peer:read("a"))
  end)

  it("an abort does not wait for the server", function()
    local server <close> = assert(qn.tls.listen("127.0.0.1", 0, shop:identity "server"))
    local socket = assert(qn.tls.connect("127.0.0.1", server:port(),
      { ca = shop:cert "root", server_name = "localhost" }))
    local peer <close> = assert(server:accept())
    socket:close()
    socket:abort()
    assert.equal("unconnected", socket:state())
    peer:read("a")
  end)
end)
