-- A stream over a Lua string: reads walk through it, writes are collected apart.
-- Text and data streams use it for strings and for "no source"; scripts may, too.
-- It must not wait: the end of the string is the end of the stream.
-- Invariant: what is left to read is _back from _at on; _data is the whole string, for seeking.

local core = require "qn.core"
local Pull = require "qn.stream.pull"

---@class qn.stream.Memory: qn.stream.Pull
local Memory = setmetatable({}, { __index = Pull })
Memory.__index = Memory
Memory.__name = "qn.stream.Memory"

---A stream that reads the given string and collects what is written.
---@param data? string
---@return qn.stream.Memory
---@nodiscard
function Memory.new(data)
  if data ~= nil and type(data) ~= "string" then
    error(("bad argument #1 to 'new' (string expected, got %s)"):format(type(data)), 2)
  end
  return Pull.init(setmetatable({ _data = data or "", _out = {} }, Memory), data)
end

---@protected
function Memory:_fetch()
  return nil
end

---Moves or tells the reading position, as io files do.
---@param whence? "set"|"cur"|"end" "cur" when absent
---@param offset? integer 0 when absent
---@return integer? position from the start of the string, 0 first
---@return qn.Error? err kind invalid when that is outside of the string
function Memory:seek(whence, offset)
  local size = #self._data
  local here = math.max(0, size - self:bytes_available())
  local base = whence == "set" and 0 or whence == "end" and size or here
  local to = base + (offset or 0)
  if to == here then
    return here
  elseif self._kept then
    error("seek: a read transaction is open", 2)
  elseif to < 0 or to > size then
    local fields = { op = "seek", code = "INVALID" }
    return nil, core.error("invalid", "position outside of the string", fields)
  end
  self._back, self._at = self._data, to + 1
  return to
end

---Collects strings and numbers.
---@param ... string|number
---@return true
function Memory:write(...)
  local out = self._out
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    if type(v) ~= "string" and type(v) ~= "number" then
      error(("bad argument #%d to 'write' (string expected, got %s)"):format(i, type(v)), 2)
    end
    out[#out + 1] = v
  end
  return true
end

---There is nothing below to flush to.
---@return true
function Memory:flush()
  return true
end

---What has been written so far.
---@return string
---@nodiscard
function Memory:string()
  local all = table.concat(self._out)
  self._out = { all }
  return all
end

---Drops what has not been read; what was written stays.
function Memory:close()
  self._data, self._back, self._at, self._kept = "", "", 1, nil
end

return Memory
