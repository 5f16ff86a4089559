-- Drawing a ticket may let others run (a turn has a budget), so what was looked at before may have
-- happened meanwhile: whoever waits has to look once more, or waits for ever.

local qn = require "qn"
local core = require "qn.core"

-- After this the next call that draws a ticket lets a turn pass first.
local function use_up()
  for _ = 1, 64 do
    core.ticket "event"
  end
end

-- Lets a number of turns pass; the budget is used up at the end.
local function turns(n)
  for _ = 1, n do
    qn.yield()
    use_up()
  end
end

describe("whoever looks and then waits", function()
  it("receives datagrams although handlers finish meanwhile", function()
    local u <close> = assert(qn.udp.bind("127.0.0.1", 0))
    local from <close> = assert(qn.udp.connect("127.0.0.1", u:local_port()))
    local n = 0
    u:on("datagram", function() n = n + 1 end)
    for round = 1, 3 do
      for _ = 1, 70 do
        assert(from:send "x")
      end
      local all = qn.timeout(20, function()
        while n < 70 * round do
          qn.sleep(0.001)
        end
        return true
      end)
      assert.is_true(all, n .. " came")
    end
  end)

  it("learns that a socket has connected meanwhile", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    for before = 0, 4 do
      local s <close> = assert(qn.tcp.socket())
      turns(1)
      local connected = qn.spawn(s.connect, s, "127.0.0.1", server:port())
      turns(before)
      assert.is_true((s:wait("connected", 20)))
      assert.is_true((connected:join()))
      server:accept():close()
    end
  end)

  it("gets a module that was loaded meanwhile", function()
    local name = "qn_spec.meanwhile"
    for takes = 1, 5 do
      for before = 0, takes do
        package.preload[name] = function()
          for _ = 1, takes do
            qn.yield()
          end
          return "loaded"
        end
        turns(1)
        local first = qn.spawn(require, name)
        turns(before)
        assert.equal("loaded", (qn.timeout(20, require, name)))
        first:join()
        package.loaded[name] = nil
        package.preload[name] = nil
      end
    end
  end)
end)
