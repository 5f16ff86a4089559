-- Child processes for the benchmark runner: start one pinned to a core, read its lines, stop it.
-- Everything here waits, so it runs inside the coroutine that `Process.main` starts, and every
-- wait has a time limit. A child never outlives the runner: the kernel kills it when its parent
-- dies.
local uv = require "luv"

local Process = {}
Process.__index = Process

local live = {} -- pid -> process, so that a failure of the runner stops them in order

local GRACE_MS <const> = 2000
local LIMIT_S <const> = 120

--- Waits until `ready()` holds; `process.wake` is called when something about it may have changed.
local function await(process, seconds, what, ready)
  local me = coroutine.running()
  local timer = uv.new_timer()
  local expired = false
  timer:start(math.floor(seconds * 1000), 0, function()
    expired = true
    process.wake()
  end)
  local waiting = false
  process.wake = function()
    if waiting then
      waiting = false
      assert(coroutine.resume(me))
    end
  end
  while not expired and not ready() do
    waiting = true
    coroutine.yield()
  end
  timer:close()
  process.wake = function() end
  if not ready() then
    error(("%s: no %s within %g s"):format(process.name, what, seconds), 0)
  end
end

--- Starts a command. Its stderr is ours, its stdin stays open until `finish`.
---@param argv string[]
---@param core integer|nil core to pin it to; nil: anywhere
---@return table process
function Process.start(argv, core)
  local args = { "--pdeathsig", "KILL" }
  if core then
    table.move({ "taskset", "-c", tostring(core) }, 1, 3, #args + 1, args)
  end
  table.move(argv, 1, #argv, #args + 1, args)
  local self = setmetatable({
    name = table.concat(argv, " "), lines = {}, partial = "", wake = function() end,
    stdin = uv.new_pipe(false), stdout = uv.new_pipe(false),
  }, Process)
  local handle, pid = uv.spawn("setpriv", { args = args, stdio = { self.stdin, self.stdout, 2 } },
    function(status, signal)
      self.exited = { status = status, signal = signal }
      live[self.pid] = nil
      self.handle:close()
      self.wake()
    end)
  assert(handle, "cannot start setpriv (package util-linux): " .. tostring(pid))
  self.handle, self.pid = handle, pid
  live[pid] = self
  self.stdout:read_start(function(_, data)
    if data then
      self.partial = self.partial .. data
      self.partial = self.partial:gsub("([^\n]*)\n", function(line)
        self.lines[#self.lines + 1] = line
        return ""
      end)
    else
      self.ended = true
    end
    self.wake()
  end)
  return self
end

--- The next line of its output; an error when it ends without one.
---@param seconds number|nil
---@return string
function Process:line(seconds)
  await(self, seconds or LIMIT_S, "line of output", function()
    return self.lines[1] or (self.ended and self.exited)
  end)
  if not self.lines[1] then
    error(("%s: ended with status %d, signal %d"):format(self.name, self.exited.status,
      self.exited.signal), 0)
  end
  return table.remove(self.lines, 1)
end

local function release(self)
  for _, pipe in ipairs { self.stdin, self.stdout } do
    if not pipe:is_closing() then
      pipe:close()
    end
  end
end

--- Ends its stdin and waits for its end; an error when it failed.
---@return string[] lines what it printed and nobody took
function Process:finish()
  self.stdin:close()
  await(self, LIMIT_S, "end", function() return self.ended and self.exited end)
  release(self)
  if self.exited.status ~= 0 or self.exited.signal ~= 0 then
    error(("%s: failed with status %d, signal %d"):format(self.name, self.exited.status,
      self.exited.signal), 0)
  end
  return self.lines
end

--- Ends it with SIGTERM, and with SIGKILL when that does not help. Its status does not matter.
function Process:stop()
  for _, signal in ipairs { "sigterm", "sigkill" } do
    if not self.exited then
      uv.process_kill(self.handle, signal)
      pcall(await, self, GRACE_MS / 1000, "end", function() return self.exited end)
    end
  end
  release(self)
end

--- Runs a command to its end and returns the lines that it printed.
---@param argv string[]
---@param core integer|nil
---@return string[]
function Process.output(argv, core)
  return Process.start(argv, core):finish()
end

--- Sends one byte on a connected luv socket and waits for one byte back.
---@param socket userdata
---@param byte string
function Process.ask(socket, byte)
  local answer = { name = "control connection", wake = function() end }
  socket:read_start(function(err, data)
    answer.done = true
    answer.bytes = not err and data
    answer.wake()
  end)
  socket:write(byte)
  await(answer, 30, "answer", function() return answer.done end)
  socket:read_stop()
  assert(answer.bytes == byte, "control connection: not the byte that was sent came back")
end

--- Connects to a port of 127.0.0.1.
---@param port integer
---@return userdata socket
function Process.connect(port)
  local socket = uv.new_tcp()
  local state = { name = "control connection", wake = function() end }
  socket:connect("127.0.0.1", port, function(err)
    state.done, state.err = true, err
    state.wake()
  end)
  await(state, 10, "connection", function() return state.done end)
  assert(not state.err, state.err)
  return socket
end

--- Lets time pass.
---@param seconds number
function Process.pause(seconds)
  local over = { name = "pause", wake = function() end }
  pcall(await, over, seconds, "end", function() return false end)
end

--- Runs `main` where it may wait; afterwards nothing that it started is left.
---@param main fun()
---@return boolean ok, string|nil message
function Process.main(main)
  local ok, message
  local co = coroutine.create(function()
    ok, message = xpcall(main, function(e)
      return type(e) == "string" and e or debug.traceback(tostring(e))
    end)
    for _, process in pairs(live) do
      process:stop()
    end
    uv.stop()
  end)
  assert(coroutine.resume(co))
  uv.run()
  return ok, message
end

return Process
