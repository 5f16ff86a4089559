-- Suites of programs that measure themselves: each run prints JSON lines of case, count and CPU
-- time. One run gives a sample for every case that the program knows.
local json = require "lib.json"
local Process = require "lib.process"
local tools = require "lib.tools"

local micro = {}

--- The one group of such a suite.
---@param name string
---@return table group
function micro.group(name)
  return {
    name = name,
    measure = function(subject)
      local samples = {}
      for _, line in ipairs(Process.output(subject.command(), tools.server_core)) do
        local sample = json.decode_flat(line)
        sample.cost = sample.cpu_ns / sample.count
        sample.per_second = 1e9 / sample.cost
        samples[sample.case] = sample
      end
      return samples
    end,
  }
end

return micro
