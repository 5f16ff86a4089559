-- Sources for stream specs: one that gives prepared pieces and errors, one that refuses writes.
-- The pieces are what a peer might send; a table between them is an error that is given once.

local Pull = require "qn.stream.pull"

local M = {}

local Pieces = setmetatable({}, { __index = Pull })
Pieces.__index = Pieces

function Pieces:_fetch(n)
  local first = table.remove(self.list, 1)
  if type(first) ~= "string" then
    return nil, first
  end
  if #first > n then
    table.insert(self.list, 1, first:sub(n + 1))
    first = first:sub(1, n)
  end
  return first
end

function Pieces:write(bytes)
  self.written = (self.written or "") .. bytes
  self.writes = (self.writes or 0) + 1
  if self.write_error then
    return nil, self.write_error
  end
  return true
end

function Pieces:flush()
  self.flushes = (self.flushes or 0) + 1
  return true
end

---A source over a list of strings and error objects.
function M.new(list)
  return Pull.init(setmetatable({ list = table.move(list, 1, #list, 1, {}) }, Pieces))
end

---A source that gives a string one byte at a time.
function M.bytes(data)
  local list = {}
  for i = 1, #data do
    list[i] = data:sub(i, i)
  end
  return M.new(list)
end

---Bytes from hexadecimal digits with spaces, and back.
function M.unhex(hex)
  return (hex:gsub("%s", ""):gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

function M.hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x "):format(c:byte())
  end):gsub(" $", ""))
end

return M
