-- Where things are: the checkout, the C helpers (compiled here when their source is newer), the
-- program qnlua (built here, too), and the two cores. Says clearly what is missing instead of
-- measuring less.
local uv = require "luv"
local Process = require "lib.process"

local tools = {}
local built = {} -- names of the core helpers that CMake has brought up to date in this run

local CFLAGS <const> = { "-O2", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra" }

--- Sets the folders. Called once by `run`.
---@param bench string folder of the benchmark sources
---@param qnlua string|nil program to measure instead of build/release/bin/qnlua
function tools.setup(bench, qnlua)
  tools.bench = bench
  tools.root = assert(uv.fs_realpath(bench .. "/../.."))
  tools.build = tools.root .. "/build/bench"
  tools.qnlua = qnlua or tools.root .. "/build/release/bin/qnlua"
  if not qnlua then -- an older build would be measured without a word
    local command = "'" .. tools.root:gsub("'", "'\\''") .. "/scripts/dev' build --quiet release"
    assert(os.execute(command), "the release build fails")
  end
  for _, folder in ipairs { tools.root .. "/build", tools.build } do
    uv.fs_mkdir(folder, tonumber("755", 8))
  end
  local mask = assert(io.open("/proc/self/status")):read("a"):match("Cpus_allowed_list:%s*(%S+)")
  local first, last = mask:match("^(%d+)"), mask:match("(%d+)$")
  tools.server_core, tools.load_core = tonumber(first), tonumber(last)
  if first == last then
    io.stderr:write("bench: only one core: server and load share it, the ratios mean less\n")
  end
end

local function newer(source, target)
  local a, b = uv.fs_stat(source), uv.fs_stat(target)
  return a and (not b or a.mtime.sec >= b.mtime.sec)
end

--- Path of a C helper, compiled first when its source is newer.
---@param name string without .c
---@param package string|nil pkg-config package that it needs
---@return string
function tools.helper(name, package)
  local source, target = ("%s/%s.c"):format(tools.bench, name), tools.build .. "/" .. name
  if newer(source, target) then
    local command = table.move(CFLAGS, 1, #CFLAGS, 2, { "gcc" })
    table.move({ "-o", target, source }, 1, 3, #command + 1, command)
    if package then
      local flags = Process.output { "pkg-config", "--cflags", "--libs", package }
      for flag in (flags[1] or ""):gmatch("%S+") do
        command[#command + 1] = flag
      end
    end
    Process.output(command)
  end
  return target
end

--- Path of a C program over our own C core, from the build that the measured qnlua belongs to.
---@param name string
---@return string
function tools.core_helper(name)
  local build = tools.qnlua:gsub("/bin/[^/]*$", "")
  if not built[name] then
    Process.output { "cmake", "--build", build, "--target", "bench_" .. name }
    built[name] = true
  end
  return ("%s/bin/bench/%s"):format(build, name)
end

--- Path of a script of the benchmarks.
---@param name string
---@return string
function tools.script(name)
  return tools.bench .. "/" .. name
end

--- Fails with advice unless the program qnlua is there.
function tools.need_qnlua()
  if not uv.fs_access(tools.qnlua, "X") then
    error(tools.qnlua .. " is missing, so there is nothing to measure.\nBuild it first: "
      .. "scripts/qnlua does (it sets up and builds the release when needed).\n"
      .. "To measure only the peers: --subjects with their names.", 0)
  end
end

return tools
