-- Certificates, keys and hashers that nobody has any more are collected before they fill the memory: to
-- Lua each is a few bytes, to C some kilobytes.

local qn = require "qn"

local MANY <const> = 12000

-- How many of the values that `make` gives are there at once, at most (they are counted now and then).
local function most_at_once(make)
  local alive, most = setmetatable({}, { __mode = "k" }), 0
  collectgarbage()
  for i = 1, MANY do
    alive[make()] = true
    if i % 1000 == 0 then
      local n = 0
      for _ in pairs(alive) do
        n = n + 1
      end
      most = math.max(most, n)
    end
  end
  return most
end

describe("garbage of C", function()
  local ballast

  before_each(function()
    ballast = {}
    for i = 1, 40000 do
      ballast[i] = { i } -- a heap that would not double by userdata alone
    end
  end)

  it("is collected in time", function()
    local certificate = assert(qn.tls.self_signed { names = "a.example" })
    local der = certificate:to_der()
    assert.is_true(most_at_once(function() return qn.tls.certificate(der) end) < MANY * 2 // 3)
    assert.are.equal(1, ballast[1][1])
  end)

  it("stays when the collector was stopped", function()
    collectgarbage "stop"
    local most = most_at_once(function() return qn.crypto.hasher "sha256" end)
    collectgarbage "restart"
    assert.are.equal(MANY, most)
  end)
end)
