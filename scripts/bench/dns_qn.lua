-- Look-ups of qnlua as a script makes them: COUNT distinct names at once, a task each, through
-- qn.dns.lookup. Started by scripts/bench/run; prints one JSON line. Every look-up must give an
-- address.
local qn = require "qn"

local function look_up(count, prefix)
  local answers = 0
  qn.group(function(group)
    for i = 1, count do
      group:spawn(function()
        local host, err = qn.dns.lookup(prefix .. i .. ".bench.test")
        if not host then
          error(err)
        end
        assert(#host.addresses > 0)
        answers = answers + 1
      end)
    end
  end)
  assert(answers == count)
end

local count = assert(math.tointeger(tonumber(arg[1])), "usage: dns_qn.lua COUNT")
look_up(1, "warm")
local cpu, start = os.clock(), qn.now()
look_up(count, "n")
print(("{\"count\":%d,\"wall_ns\":%.0f,\"cpu_ns\":%.0f}"):format(count, (qn.now() - start) * 1e9,
  (os.clock() - cpu) * 1e9))
