-- Writes the result of a suite: Markdown (also what is printed) and JSON with each round's
-- figures. Only ratios are meant to be compared between runs; absolute figures are there to be
-- looked at.
local uv = require "luv"
local json = require "lib.json"

local report = {}

local function first_line(command)
  local pipe <close> = assert(io.popen(command .. " 2>/dev/null"))
  return pipe:read("l") or "unknown"
end

--- What the figures depend on, for the head of a result.
---@return table
function report.host()
  local cpus = uv.cpu_info() or {}
  local name = uv.os_uname()
  return {
    cpu = cpus[1] and cpus[1].model or "unknown", cores = #cpus,
    kernel = name.sysname .. " " .. name.release,
    libuv = first_line("pkg-config --modversion libuv"), lua = first_line("lua5.4 -v"),
    node = first_line("node --version"), date = os.date("!%Y-%m-%d"),
  }
end

local function ratio_text(ratio)
  if not ratio then
    return "-", "-"
  end
  return ("%.2f"):format(ratio.median), ("%.2f to %.2f"):format(ratio.q1, ratio.q3)
end

local function cells(suite, row, has_goal, has_latency)
  local median, quartiles = ratio_text(row.ratio)
  local list = { row.label, median, quartiles }
  if has_goal then
    list[#list + 1] = row.goal and ("%.2f"):format(row.goal) or ""
  end
  for _, column in ipairs(suite.columns) do
    local value = row.medians[column.field]
    list[#list + 1] = value and column.format:format(value * (column.scale or 1)) or "-"
  end
  if has_latency then
    list[#list + 1] = (ratio_text(row.latency_ratio))
  end
  return list
end

local function aligned(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, utf8.len(cell))
    end
  end
  for r, row in ipairs(rows) do
    local out = {}
    for i, cell in ipairs(row) do
      local gap = (" "):rep(widths[i] - utf8.len(cell))
      out[i] = i == 1 and cell .. gap or gap .. cell
    end
    lines[#lines + 1] = "| " .. table.concat(out, " | ") .. " |"
    if r == 1 then
      for i, width in ipairs(widths) do
        out[i] = i == 1 and ("-"):rep(width) or ("-"):rep(width - 1) .. ":"
      end
      lines[#lines + 1] = "| " .. table.concat(out, " | ") .. " |"
    end
  end
  return table.concat(lines, "\n")
end

local function any(rows, wanted)
  for _, row in ipairs(rows) do
    if wanted(row) then
      return true
    end
  end
  return false
end

local function case_table(suite, case)
  local has_goal = any(case.rows, function(row) return row.goal end)
  local has_latency = any(case.rows, function(row) return row.latency_ratio end)
  local head = { "", suite.ratio_title, "quartiles" }
  if has_goal then
    head[#head + 1] = "goal"
  end
  for _, column in ipairs(suite.columns) do
    head[#head + 1] = column.title
  end
  if has_latency then
    head[#head + 1] = "latency ratio"
  end
  local rows = { head }
  for _, row in ipairs(case.rows) do
    rows[#rows + 1] = cells(suite, row, has_goal, has_latency)
  end
  return aligned(rows)
end

--- The result as Markdown.
---@param suite table
---@param cases table[] from compare.summarise
---@param facts table host facts and options
---@return string
function report.markdown(suite, cases, facts)
  local host = facts.host
  local parts = {
    ("# Benchmark: %s\n"):format(suite.name), suite.about,
    ("%d interleaved rounds, %s, %d cores, %s, libuv %s, %s, Node %s; %s.\n"):format(facts.rounds,
      host.cpu, host.cores, host.kernel, host.libuv, host.lua:match("^Lua [%d.]+") or host.lua,
      host.node, host.date),
  }
  for _, case in ipairs(cases) do
    parts[#parts + 1] = ("## %s\n\n%s\n"):format(case.name, case_table(suite, case))
  end
  return table.concat(parts, "\n")
end

--- The result as JSON.
---@return string
function report.json(suite, cases, facts)
  return json.encode { suite = suite.name, reference = suite.reference, facts = facts,
    cases = cases }
end

--- Writes NAME.md and NAME.json into a folder.
---@param folder string
---@param suite table
---@param cases table[]
---@param facts table
function report.write(folder, suite, cases, facts)
  for extension, text in pairs {
    md = report.markdown(suite, cases, facts), json = report.json(suite, cases, facts),
  } do
    local file <close> = assert(io.open(("%s/%s.%s"):format(folder, suite.name, extension), "w"))
    assert(file:write(text))
  end
end

return report
