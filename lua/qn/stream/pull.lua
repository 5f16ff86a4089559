-- The reading half of a stream in plain Lua, over one primitive that gives the next bytes.
-- Memory and File sources derive from it, so that text and data streams see the calls of a socket.
-- A derived class supplies :_fetch(n) -> 1..n bytes | nil at the end | nil, err; and it writes.
-- It must not read ahead on its own: what :recv leaves unread is pushed back by the caller.
-- Invariant: bytes leave in order, first those of `_back` from `_at` on, then those of `_fetch`;
-- inside a transaction `_kept` holds exactly the bytes taken since :begin.

local core = require "qn.core"

local LINE_MAX <const> = 64 * 1024
local ALL_MAX <const> = 64 * 1024 * 1024
local STEP <const> = 64 * 1024

---@class qn.stream.Pull
---@field protected _back string bytes that are read before anything else, from _at on
---@field protected _at integer
---@field protected _kept string[]? bytes taken inside the transaction
local Pull = {}
Pull.__index = Pull

---Sets up the fields of a new source.
---@param self table
---@param data? string what is read first
---@return table self
function Pull.init(self, data)
  self._back, self._at = data or "", 1
  return self
end

local function count(n, what, where)
  local i = math.type(n) and math.tointeger(n)
  if not i or i < 0 then
    local message = "bad argument #1 to '%s' (%s expected, got %s)"
    error(message:format(where, what, math.type(n) and tostring(n) or type(n)), 3)
  end
  return i
end

-- The next piece, 1..n bytes; nil at the end; nil, err.
local function piece(self, n)
  local back, at = self._back, self._at
  local data, err
  if at <= #back then
    data = back:sub(at, at + n - 1)
    self._at = at + #data
  else
    data, err = self:_fetch(n)
  end
  if data and self._kept then
    self._kept[#self._kept + 1] = data
  end
  return data, err
end

-- n bytes, fewer only at the end ("" when there are none); nil, err gives everything back.
local function take(self, n)
  if n == 0 then
    return ""
  end
  local data, err = piece(self, n)
  if not data then
    if err then
      return nil, err
    end
    return ""
  elseif #data == n then
    return data
  end
  local parts, have = { data }, #data
  while have < n do
    data, err = piece(self, math.min(n - have, STEP))
    if err then
      self:unread(table.concat(parts))
      return nil, err
    elseif not data then
      break
    end
    parts[#parts + 1] = data
    have = have + #data
  end
  return table.concat(parts)
end

local function take_line(self, max)
  local parts, have = {}, 0
  while true do
    local data, err = piece(self, 1024)
    if err then
      self:unread(table.concat(parts))
      return nil, err
    elseif not data then
      return have > 0 and table.concat(parts) or nil
    end
    local at = data:find("\n", 1, true)
    if at then
      self:unread(data:sub(at + 1))
      data = data:sub(1, at)
    end
    parts[#parts + 1] = data
    have = have + #data
    if have - (at and 1 or 0) > max then
      self:unread(table.concat(parts))
      local message = ("line longer than max=%d bytes"):format(max)
      return nil, core.error("limit", message, { op = "read", code = "LIMIT" })
    elseif at then
      return table.concat(parts)
    end
  end
end

---Reads as io files do: a number of bytes, "l" a line, "L" a line with its newline, "a" the rest.
---@param format integer|"l"|"L"|"a"
---@param opts? {max?: integer, timeout?: number} max: 64 KiB for lines, 64 MiB for "a"
---@return string? data a lone nil at the end of the stream
---@return qn.Error? err
function Pull:read(format, opts)
  if format == "l" or format == "L" then
    local line, err = take_line(self, opts and opts.max or LINE_MAX)
    if line and format == "l" and line:byte(-1) == 10 then
      line = line:sub(1, -2)
    end
    return line, err
  elseif format == "a" then
    local max = opts and opts.max or ALL_MAX
    local data, err = take(self, max + 1)
    if data and #data > max then
      self:unread(data)
      local message = ("more than max=%d bytes"):format(max)
      return nil, core.error("limit", message, { op = "read", code = "LIMIT" })
    end
    return data, err
  end
  local n = count(format, 'a number, "l", "L" or "a"', "read")
  local data, err = take(self, n)
  if data == "" and (n > 0 or not self:peek(1)) then
    return nil
  end
  return data, err
end

---Reads exactly n bytes.
---@param n integer
---@return string? data a lone nil when the stream has ended before the first byte
---@return qn.Error? err kind eof with `partial` when it was cut short
function Pull:read_exactly(n)
  n = count(n, "a number of bytes", "read_exactly")
  local data, err = take(self, n)
  if not data or #data == n then
    return data, err
  elseif data == "" then
    return nil
  end
  local message = ("end of stream after %d of %d bytes"):format(#data, n)
  return nil, core.error("eof", message, { op = "read_exactly", code = "EOF", partial = data })
end

---Reads what is there, at least one byte.
---@param max? integer at most so many bytes, 64 KiB when absent
---@return string? data a lone nil at the end of the stream
---@return qn.Error? err
function Pull:recv(max)
  return piece(self, max and math.max(1, count(max, "a number of bytes", "recv")) or STEP)
end

---Looks at the next n bytes without taking them.
---@param n integer
---@return string? data fewer than n only at the end of the stream, where it is a lone nil
---@return qn.Error? err
function Pull:peek(n)
  n = count(n, "a number of bytes", "peek")
  local data, err = take(self, n)
  if not data then
    return nil, err
  end
  self:unread(data)
  if data == "" and n > 0 then
    return nil
  end
  return data
end

---Skips n bytes.
---@param n integer
---@return integer? skipped fewer than n only at the end of the stream
---@return qn.Error? err
function Pull:skip(n)
  n = count(n, "a number of bytes", "skip")
  local left = n
  while left > 0 do
    local data, err = piece(self, math.min(left, STEP))
    if err then
      return nil, err
    elseif not data then
      break
    end
    left = left - #data
  end
  return n - left
end

-- Takes bytes that are given back off the end of what the transaction has kept.
local function forget(kept, data)
  for i = #kept, 1, -1 do
    local last = kept[i]
    local n = math.min(#last, #data)
    if n == 0 or last:sub(-n) ~= data:sub(-n) then
      return
    end
    kept[i] = n < #last and last:sub(1, -n - 1) or nil
    data = data:sub(1, -n - 1)
  end
end

---Gives bytes back; the next read sees them first.
---@param data string
function Pull:unread(data)
  if type(data) ~= "string" then
    error(("bad argument #1 to 'unread' (string expected, got %s)"):format(type(data)), 2)
  end
  if self._kept then
    forget(self._kept, data)
  end
  local back, at = self._back, self._at
  local from = at - #data
  if from >= 1 and back:sub(from, at - 1) == data then
    self._at = from
  else
    self._back, self._at = data .. back:sub(at), 1
  end
end

---Bytes that can be read without asking the source.
---@return integer
function Pull:bytes_available()
  return #self._back - self._at + 1
end

---Starts a read transaction.
function Pull:begin()
  if self._kept then
    error("begin: a read transaction is already open", 2)
  end
  self._kept = {}
end

---Ends the read transaction; what was read stays read.
function Pull:commit()
  if not self._kept then
    error("commit: no read transaction is open", 2)
  end
  self._kept = nil
end

---Ends the read transaction and gives back what was read in it.
function Pull:rollback()
  local kept = self._kept
  if not kept then
    error("rollback: no read transaction is open", 2)
  end
  self._kept = nil
  self:unread(table.concat(kept))
end

---Whether the stream has ended.
---@return boolean
function Pull:at_end()
  return self:peek(1) == nil
end

return Pull
