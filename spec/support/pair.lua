-- Connected streams for specs: in memory, over TCP, over a Unix-domain socket; the same spec runs over
-- all of them. Both ends are gone when the function that got them returns.

local qn = require "qn"

local M = {}

M.makers = {}

function M.makers.memory()
  return qn.pair()
end

local function over(server, connect)
  local closer <close> = server
  local client = assert(connect())
  return client, assert(server:accept())
end

function M.makers.tcp()
  local server = assert(qn.tcp.listen("127.0.0.1", 0))
  return over(server, function()
    return qn.tcp.connect("127.0.0.1", server:port())
  end)
end

local count = 0

---A name that no other test of this process uses; abstract, so nothing stays on the disk.
function M.unix_name()
  count = count + 1
  return ("@qn-spec-%d-%d"):format(require "qn.core".pid(), count)
end

function M.makers.unix()
  local name = M.unix_name()
  return over(assert(qn.unix.listen(name)), function()
    return qn.unix.connect(name)
  end)
end

M.kinds = { "memory", "tcp", "unix" }

-- Closed in any case; abort, so that bytes nobody wanted do not hold the stream back.
local function ending(a, b)
  return setmetatable({}, { __close = function()
    a:abort()
    b:abort()
  end })
end

---Runs `f(a, b)` with two connected streams of a kind.
function M.with(kind, f)
  local a, b = M.makers[kind]()
  local _ <close> = ending(a, b)
  return f(a, b)
end

---For `it`: a body that runs over one kind of pair.
function M.body(kind, f)
  return function()
    M.with(kind, f)
  end
end

---Registers one test per kind: `each(it, "reads a line", function(a, b) ... end)`.
function M.each(it, name, f, kinds)
  for _, kind in ipairs(kinds or M.kinds) do
    it(name .. " (" .. kind .. ")", M.body(kind, f))
  end
end

return M
