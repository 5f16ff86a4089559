-- Options of TLS that were accepted and had no effect where they stood: `ignore_errors = false` left `true` as it
-- was; `ignore_errors = true` was that of the server, whatever the configuration of a name said.
local qn = require "qn"

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
end)
