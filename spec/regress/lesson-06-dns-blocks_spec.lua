-- Lesson 6: DNS blocks, or two look-ups starve the rest. Here no look-up needs a thread: while many wait for
-- a server that never answers, others are answered, tasks run, and the thread pool is idle.

local qn = require "qn"
local dns = require "spec.support.dns"

describe("look-ups", function()
  it("that wait keep nobody from anything", function()
    local fault <close> = dns.fault()
    local resolver <close> = assert(qn.dns.resolver { servers = fault.address })
    local waiting = {}
    for i = 1, 600 do
      waiting[i] = qn.spawn(function() return resolver:lookup("drop." .. i .. ".test", { timeout = false }) end)
    end
    qn.yield()
    local ticks = 0
    local ticker = qn.spawn(function()
      while true do
        qn.sleep(0.001)
        ticks = ticks + 1
      end
    end)
    for i = 1, 20 do
      assert.equal("127.0.0.2",
        tostring(assert(resolver:lookup("slow-5." .. i .. ".test", { family = "ipv4" })).addresses[1]))
    end
    assert.is_true(ticks > 0)
    assert.equal(0, qn.stats().orphans)
    local info = assert(qn.file.stat("/")) -- the thread pool does its work
    assert.equal("directory", info.type)
    ticker:cancel()
    for _, task in ipairs(waiting) do task:cancel() end
    for _, task in ipairs(waiting) do assert.is_true(qn.is_cancelled(select(2, task:join()))) end
    ticker:join()
  end)
end)
