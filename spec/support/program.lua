-- Programs beside a spec: started in the background with their output in files of a scratch
-- folder, waited for by condition, stopped by process id. Used by specs that need a second process;
-- a program that is still there at the end of its `<close>` variable is killed, its folder removed.

local qn = require "qn"
local core = require "qn.core"

local M = {}

local Program = {}
Program.__index = Program

local PATIENCE <const> = 60 -- seconds; only a broken program ever takes that long
-- Ports that the kernel does not give away, in blocks: the jobs of scripts/test have one each (QN_SLOT counts
-- from 0), what is run by hand has the last, so that no two specs choose the same port at the same time.
local FIRST_PORT <const>, BLOCK <const>, BLOCKS <const> = 20000, 1500, 8

local slot = math.tointeger(tonumber(os.getenv("QN_SLOT") or "")) or BLOCKS - 1
local base = FIRST_PORT + slot % BLOCKS * BLOCK
local turn = math.random(0, BLOCK - 1) -- ports follow one another, so that none comes back soon

local function quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

local function slurp(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a")
end

local function lines_of(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read("a")
end

---The program that runs this spec.
function M.qnlua()
  local build = os.getenv("QN_BUILD")
  if build then
    return build .. "/bin/qnlua"
  end
  return lines_of("readlink /proc/" .. core.pid() .. "/exe"):match("%C+")
end

---A new empty folder; the caller removes it with `remove`.
function M.scratch()
  return lines_of("mktemp -d"):match("%C+")
end

function M.remove(folder)
  assert(folder:find("^/tmp/"), "not a scratch folder")
  os.execute("rm -rf " .. quote(folder))
end

-- The sockets in the system's tables that listen on this port (with UDP: are bound to it), of whatever program:
-- a list of inodes.
local function waiting_on(port, protocol)
  local wanted = ("^%%s*%%d+: %%x+:%04X %%x+:%%x+ (%%x%%x)%s +(%%d+) "):format(port, (" +%S+"):rep(5))
  local inodes = {}
  for _, path in ipairs { "/proc/net/" .. protocol, "/proc/net/" .. protocol .. "6" } do
    for line in (slurp(path) or ""):gmatch("[^\n]+") do
      local state, inode = line:match(wanted)
      if state and (protocol == "udp" or state == "0A") then
        inodes[#inodes + 1] = inode
      end
    end
  end
  return inodes
end

---Whether a socket of UDP is bound to this port, of whatever program.
function M.udp_is_taken(port)
  return #waiting_on(port, "udp") > 0
end

---A port that nobody uses now, neither with TCP nor with UDP, and that nobody gets who asks the kernel for
---any: neither another program, nor the connection to this port that is to be refused.
function M.free_port()
  for _ = 1, BLOCK do
    turn = (turn + 1) % BLOCK
    local port = base + turn
    local listener = qn.tcp.listen("127.0.0.1", port)
    if listener then
      listener:close()
      if not M.udp_is_taken(port) then
        return port
      end
    end
  end
  error("no free port")
end

---Waits until `condition()` is true and returns its results; fails with `what` after a while.
---@param patience number? seconds
function M.until_true(what, condition, patience)
  local give_up = qn.now() + (patience or PATIENCE)
  while true do
    local late = qn.now() > give_up -- before the look, which has to come behind every pause
    local results = table.pack(condition())
    if results[1] then
      return table.unpack(results, 1, results.n)
    end
    if late then
      error("waited in vain for " .. what, 2)
    end
    qn.sleep(0.005)
  end
end

-- $1 is the scratch folder, the rest the command. Process id and status appear whole or not at all.
local LAUNCH <const> = [[
f=$1
shift
"$@" >"$f/out" 2>"$f/err" </dev/null &
echo $! >"$f/pid.new" && mv "$f/pid.new" "$f/pid"
wait $!
echo $? >"$f/status.new" && mv "$f/status.new" "$f/status"
]]

---Starts a program. `words` are the command and its arguments; `opts.environment` adds variables.
function M.start(words, opts)
  local folder = M.scratch()
  local command = { "sh", "-c", LAUNCH, "sh", folder, "env" }
  for name, value in pairs(opts and opts.environment or {}) do
    command[#command + 1] = name .. "=" .. value
  end
  table.move(words, 1, #words, #command + 1, command)
  for i, word in ipairs(command) do
    command[i] = quote(word)
  end
  os.execute(table.concat(command, " ") .. " >/dev/null 2>&1 &")
  local self = setmetatable({ folder = folder, name = words[1]:match("[^/]+$") }, Program)
  self.pid = M.until_true("the start of " .. self.name, function()
    return math.tointeger(tonumber(slurp(folder .. "/pid") or ""))
  end)
  return self
end

---What it has written to standard output so far, and to standard error.
function Program:output()
  return slurp(self.folder .. "/out") or "", slurp(self.folder .. "/err") or ""
end

---Its exit status, or nil while it runs (128 + number when a signal ended it).
function Program:status()
  return math.tointeger(tonumber(slurp(self.folder .. "/status") or ""))
end

---Waits until its output matches a pattern; returns the captures.
---@param patience number? seconds
function Program:wait_for(pattern, patience)
  local out, err
  local ok = pcall(M.until_true, pattern, function()
    local status = self:status() -- before the output, which is complete then
    out, err = self:output()
    return out:find(pattern) or status
  end, patience)
  if not (ok and out:find(pattern)) then
    error(("%s did not print %q (status %s): %s%s"):format(self.name, pattern, self:status(), out, err), 2)
  end
  return out:match(pattern)
end

---Waits for its end; returns the exit status, what it printed, and its standard error.
---@param patience number? seconds
function Program:wait(patience)
  local status = M.until_true("the end of " .. self.name, function() return self:status() end, patience)
  return status, self:output()
end

---Waits until it listens on this port (with UDP: is bound to it), it and not another program that was quicker;
---fails with what it says when it ends instead.
---@param protocol "tcp"|"udp"?
function Program:wait_until_it_listens(port, protocol)
  local sure = qn.now() + 5 -- it would have ended if the port were another's, when nothing tells whose it is
  M.until_true(self.name .. " to listen", function()
    if self:status() then
      error(("%s has ended with status %d: %s%s"):format(self.name, self:status(), self:output()), 0)
    end
    for _, inode in ipairs(waiting_on(port, protocol or "tcp")) do
      local own = lines_of(("find /proc/%d/fd -lname 'socket:?%d?' 2>/dev/null"):format(self.pid, inode))
      if own ~= "" or qn.now() > sure then
        return true
      end
    end
  end)
end

---Sends a signal ("TERM" when none is given) and waits for the end.
function Program:stop(signal)
  if not self:status() then
    os.execute(("kill -%s %d 2>/dev/null"):format(signal or "TERM", self.pid))
  end
  return self:wait()
end

function Program:__close()
  if not self:status() then
    os.execute(("kill -KILL %d 2>/dev/null"):format(self.pid))
    self:wait()
  end
  M.remove(self.folder)
end

---Runs a program to its end: exit status, standard output, standard error.
function M.run(words, opts)
  local program <close> = M.start(words, opts)
  return program:wait()
end

return M
