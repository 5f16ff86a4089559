-- Byte-exact fake peers: a TCP server on a free port that follows a script for one connection. Steps
-- are strings to send, or tables: {expect = bytes}, {close = true}, {reset = true}, {finish = true}
-- (half-close), {wait = function}. What the peer saw that the script did not say is an error of `join`.

local qn = require "qn"

local M = {}

local steps = {}

function steps.expect(socket, bytes)
  local got, err = socket:read_exactly(#bytes, { timeout = 20 })
  if got ~= bytes then
    error(("the peer expected %q and got %q (%s)"):format(bytes, got or err.partial or "", tostring(err)), 0)
  end
end

function steps.close(socket)
  socket:close()
end

function steps.reset(socket)
  socket:abort()
end

function steps.finish(socket)
  assert(socket:shutdown("w"))
end

function steps.eof(socket)
  local got, err = socket:read(1, { timeout = 20 })
  if got or err then
    error(("the peer expected the end and got %q (%s)"):format(got or "", tostring(err)), 0)
  end
end

function steps.wait(socket, f)
  f(socket)
end

local function follow(socket, script)
  for _, step in ipairs(script) do
    if type(step) == "string" then
      assert(socket:write(step))
      assert(socket:flush())
    else
      local what, argument = next(step)
      steps[what](socket, argument)
    end
  end
end

local Peer = {}
Peer.__index = Peer

---Starts a peer. `peer.port` is where it listens; `peer:join()` waits for the end of its script and
---fails with what went wrong there.
function M.start(script)
  local server = assert(qn.tcp.listen("127.0.0.1", 0))
  local self = setmetatable({ server = server, port = server:port() }, Peer)
  self.task = qn.spawn(function()
    local listening <close> = server
    local socket <close> = assert(server:accept())
    self.socket = socket
    follow(socket, script)
  end)
  return self
end

function Peer:connect(opts)
  return qn.tcp.connect("127.0.0.1", self.port, opts)
end

function Peer:join()
  local ok, err = self.task:join()
  if not ok then
    error(err, 0)
  end
end

function Peer:__close()
  self.task:cancel()
  self.task:join()
end

---Runs `f(socket)` against a peer with this script, then waits for the peer.
function M.with(script, f, opts)
  local peer <close> = M.start(script)
  local socket <close> = assert(peer:connect(opts))
  f(socket, peer)
  peer:join()
end

return M
