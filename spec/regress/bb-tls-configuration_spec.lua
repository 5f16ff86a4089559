-- A configuration could be given to start_tls, but not to qn.tls.connect and qn.tls.listen ("options must be a
-- table, got userdata").
local qn = require "qn"

describe("a configuration", function()
  it("is taken wherever options are", function()
    local cert, key = assert(qn.tls.self_signed { names = { "localhost" } })
    local both = assert(qn.tls.configuration { cert = cert, key = key, ca = cert, server_name = "localhost" })
    local server <close> = assert(qn.tls.listen("127.0.0.1", 0, both))
    assert.equal(both, server:configuration())
    local task = qn.spawn(server.accept, server)
    local client <close> = assert(qn.tls.connect("127.0.0.1", server:port(), both))
    assert.equal(both, client:tls().configuration)
    local _, socket = task:join()
    socket:write("x\n")
    assert.equal("x", client:read("l"))
    socket:close()
  end)

  it("is taken by DTLS, too", function()
    local cert, key = assert(qn.tls.self_signed { names = { "localhost" } })
    local both = assert(qn.tls.configuration { cert = cert, key = key, ca = cert, server_name = "localhost" })
    local server <close> = assert(qn.dtls.listen("127.0.0.1", 0, both))
    local client <close> = assert(qn.dtls.connect("127.0.0.1", server:port(), both))
    assert(client:send "x")
    local far <close> = assert(server:accept(5))
    assert.equal("x", far:recv { timeout = 5 })
  end)
end)
