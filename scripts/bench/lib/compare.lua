-- The one way in which all benchmarks measure: interleaved rounds. In each round every subject is
-- measured once, the order turns from round to round, and a subject's ratio is taken against the
-- reference of the same round; what is reported is the median of those ratios. So a machine that
-- is slow for a while is slow for all. A suite says what to measure (see suites/), this file
-- when.
local stats = require "lib.stats"

local compare = {}

--- Measures a suite.
---@param suite table subjects, groups and reference; see suites/echo.lua
---@param options table rounds, progress(text)
---@return table samples case name -> subject id -> list of samples, one per round
function compare.measure(suite, options)
  local samples = {}
  for _, group in ipairs(suite.groups) do
    for round = 1, options.rounds do
      options.progress(("%s: %s: round %d of %d"):format(suite.name, group.name, round,
        options.rounds))
      local n = #suite.subjects
      for i = 0, n - 1 do
        local subject = suite.subjects[(round - 1 + i) % n + 1]
        for case, sample in pairs(group.measure(subject, options)) do
          samples[case] = samples[case] or {}
          samples[case][subject.id] = samples[case][subject.id] or {}
          samples[case][subject.id][round] = sample
        end
      end
    end
  end
  return samples
end

local function field(list, name)
  local values = {}
  for _, sample in pairs(list) do
    values[#values + 1] = sample[name]
  end
  return values
end

--- reference / subject of the same round, so above 1 is better than the reference.
local function ratios(reference, list, name)
  local values = {}
  for round, sample in pairs(list) do
    if reference and reference[round] and reference[round][name] and sample[name] then
      values[#values + 1] = reference[round][name] / sample[name]
    end
  end
  return values
end

local function spread(values)
  if #values == 0 then
    return nil
  end
  return {
    median = stats.median(values), q1 = stats.quantile(values, 0.25),
    q3 = stats.quantile(values, 0.75), min = stats.quantile(values, 0),
    max = stats.quantile(values, 1),
  }
end

--- Turns samples into the result that is printed and written.
---@param suite table
---@param samples table from `measure`
---@return table[] cases { name, rows = { id, label, goal, ratio, latency_ratio, <field medians> } }
function compare.summarise(suite, samples)
  local cases = {}
  for _, name in ipairs(suite.cases) do
    local of_case, rows = samples[name], {}
    for _, subject in ipairs(of_case and suite.subjects or {}) do
      local list = of_case[subject.id]
      if list then
        local reference = of_case[suite.reference]
        local row = {
          id = subject.id, label = subject.label, goal = subject.goals and subject.goals[name],
          ratio = spread(ratios(reference, list, "cost")), costs = field(list, "cost"),
          latency_ratio = spread(ratios(reference, list, "p50")), medians = {},
        }
        for _, column in ipairs(suite.columns) do
          row.medians[column.field] = stats.median(field(list, column.field))
        end
        rows[#rows + 1] = row
      end
    end
    if #rows > 0 then
      cases[#cases + 1] = { name = name, rows = rows }
    end
  end
  return cases
end

return compare
