-- A Redis client in one screen: protocol RESP2, replies of every type, pipelining. Needs a Redis
-- server; keys that begin with "qnlua:" are used.
--
-- Run:   qnlua examples/redis_client.lua [host [port]]          default 127.0.0.1 6379
-- Prints:
--   PONG
--   hello redis
--   a missing key is nil
--   pipeline: OK 1 2 3
--   redis 127.0.0.1:6379: WRONGTYPE Operation against a key holding the wrong kind of value

local qn = require "qn"

local Redis = {}
Redis.__index = function(_, name) -- redis:get("key"): any command is a method
  return Redis[name] or function(self, ...) return self:pipeline({ { name:upper(), ... } })() end
end

function Redis.connect(host, port)
  local socket = assert(qn.tcp.connect(host, port))
  return setmetatable({ socket = socket, name = ("%s:%d"):format(host, port) }, Redis)
end

local function encode(command)
  local out = { ("*%d\r\n"):format(#command) }
  for i, word in ipairs(command) do out[i + 1] = ("$%d\r\n%s\r\n"):format(#tostring(word), word) end
  return table.concat(out)
end

function Redis:reply()
  local line = assert(self.socket:read_until("\r\n"))
  local kind, rest = line:sub(1, 1), line:sub(2)
  local n = math.tointeger(rest)
  if kind == "+" then return rest end
  if kind == ":" then return n end
  if kind == "-" then return nil, qn.error("protocol", rest, { op = "redis", peer = self.name }) end
  if n == -1 then return nil end
  if kind == "$" then return (assert(self.socket:read_exactly(n + 2)):sub(1, n)) end
  local list = table.pack()
  for i = 1, n do list[i] = self:reply() end
  return list
end

function Redis:pipeline(commands) -- one write for all; returns an iterator over the replies
  for _, command in ipairs(commands) do assert(self.socket:write(encode(command))) end
  return function() return self:reply() end
end

local port <const> = math.tointeger(arg[2] or 6379) or error("the port must be an integer")
local redis <const> = Redis.connect(arg[1] or "127.0.0.1", port)
local _ <close> = redis.socket
print(redis:ping())
redis:set("qnlua:greeting", "hello redis")
print(redis:get("qnlua:greeting"))
print("a missing key is " .. tostring(redis:get("qnlua:none")))
local next_reply = redis:pipeline { { "SET", "qnlua:n", 0 }, { "INCR", "qnlua:n" },
  { "INCR", "qnlua:n" }, { "INCR", "qnlua:n" } }
print(table.concat({ "pipeline:", next_reply(), next_reply(), next_reply(), next_reply() }, " "))
print(select(2, redis:lpush("qnlua:greeting", "x")))
