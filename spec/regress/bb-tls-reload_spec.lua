-- A server with a function among its options kept every configuration it ever had, keys and all.
local qn = require "qn"

describe("a server that is reconfigured", function()
  local cert, key = assert(qn.tls.self_signed { names = { "localhost" } })

  local function survivors(opts)
    opts.cert, opts.key = cert, key
    local server <close> = assert(qn.tls.listen("127.0.0.1", 0, opts))
    local seen = setmetatable({}, { __mode = "k" })
    for i = 1, 60 do
      assert(server:configure { alpn = { "p" .. i } })
      seen[server:configuration()] = true
    end
    collectgarbage()
    collectgarbage()
    local n = 0
    for _ in pairs(seen) do
      n = n + 1
    end
    return n
  end

  it("forgets what it was, with a function", function()
    assert.is_true(survivors { sni = function() return nil end } <= 2)
    assert.is_true(survivors { psk = function() return nil end } <= 2)
  end)

  it("remembers a few without one", function()
    assert.is_true(survivors {} <= 33)
  end)

  it("still finds equal options again", function()
    local sni = function() return nil end
    local base = assert(qn.tls.configuration { sni = sni, cert = cert, key = key })
    local one = base:with { alpn = { "a" } }
    assert.equal(one, base:with { alpn = { "a" } })
    assert.not_equal(one, base:with { alpn = { "b" } })
    assert.equal(base, qn.tls.configuration { sni = sni, cert = cert, key = key })
    assert.same({ "a" }, one.alpn)
  end)
end)
