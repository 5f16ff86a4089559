-- A stream over a file of Lua's io library: io.open, io.popen, io.tmpfile, io.stdin.
-- Text and data streams wrap such files in it; reading blocks as the io library does.
-- It must not keep bytes of its own but those given back, so the file stays usable beside it.
-- Invariant: the file's own position is the reading position plus :bytes_available().

local core = require "qn.core"
local Pull = require "qn.stream.pull"

---@class qn.stream.File: qn.stream.Pull
local File = setmetatable({}, { __index = Pull })
File.__index = File
File.__name = "qn.stream.File"

---A stream over an open file.
---@param file file*
---@return qn.stream.File
---@nodiscard
function File.new(file)
  if io.type(file) ~= "file" then
    local what = io.type(file) or type(file)
    error(("bad argument #1 to 'new' (open file expected, got %s)"):format(what), 2)
  end
  return Pull.init(setmetatable({ _file = file }, File))
end

local function failure(op, message)
  return core.error("io", message, { op = op })
end

local function open_file(self, op)
  if io.type(self._file) == "file" then
    return self._file
  end
  return nil, core.error("closed", "the file is closed", { op = op, code = "CLOSED" })
end

---@protected
function File:_fetch(n)
  local file, closed = open_file(self, "read")
  if not file then
    return nil, closed
  end
  if self._wrote then
    -- C wants a seek or a flush between writing and reading the same file.
    file:flush()
    file:seek("cur", 0)
    self._wrote = false
  end
  self._back, self._at = "", 1
  local data, message = file:read(n)
  if not data and message then
    return nil, failure("read", message)
  end
  return data
end

---Moves or tells the position, as io files do.
---@param whence? "set"|"cur"|"end" "cur" when absent
---@param offset? integer 0 when absent
---@return integer? position from the start of the file
---@return qn.Error? err kind io when the file cannot seek
function File:seek(whence, offset)
  local file, closed = open_file(self, "seek")
  if not file then
    return nil, closed
  end
  whence, offset = whence or "cur", offset or 0
  if whence == "cur" and offset == 0 then
    local at, message = file:seek("cur", 0)
    if not at then
      return nil, failure("seek", message)
    end
    return at - self:bytes_available()
  elseif self._kept then
    error("seek: a read transaction is open", 2)
  end
  local from = whence == "cur" and offset - self:bytes_available() or offset
  local at, message = file:seek(whence, from)
  if not at then
    return nil, failure("seek", message)
  end
  self._back, self._at, self._wrote = "", 1, false
  return at
end

---Writes strings and numbers at the position.
---@param ... string|number
---@return true? ok
---@return qn.Error? err
function File:write(...)
  local file, closed = open_file(self, "write")
  if not file then
    return nil, closed
  end
  if not self._wrote then
    -- Back to the reading position. A pipe cannot seek, and has but one direction anyway.
    file:seek("cur", -self:bytes_available())
    self._back, self._at, self._wrote = "", 1, true
  end
  local ok, message = file:write(...)
  if not ok then
    return nil, failure("write", message)
  end
  return true
end

---Hands what was written to the system.
---@return true? ok
---@return qn.Error? err
function File:flush()
  local file, closed = open_file(self, "flush")
  if not file then
    return nil, closed
  end
  local ok, message = file:flush()
  if not ok then
    return nil, failure("flush", message)
  end
  return true
end

---Closes the file.
function File:close()
  if io.type(self._file) == "file" then
    self._file:close()
  end
end

return File
