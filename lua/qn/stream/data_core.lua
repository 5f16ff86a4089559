-- What every part of a data stream stands on: taking bytes, putting bytes, status, limits.
-- The data_*.lua files and data.lua call it; scripts never see it.
-- It must not know any type. Invariants: after the first failed read no byte is taken until the
-- status is reset; a value that is written goes down in one piece or not at all.

local core = require "qn.core"

local M = {}

local STEP <const> = 64 * 1024

---Stands for the end of the stream in `_failed`, where reads give a lone nil.
M.END = setmetatable({}, { __name = "qn.DataStream.end" })

---What a null QString, QByteArray, URL, date ... becomes inside of a container.
M.null = setmetatable({}, {
  __name = "qn.DataStream.null",
  __tostring = function()
    return "null"
  end,
})

local END <const> = M.END

---Records the first failure of reading; no error means that the stream has ended.
---@return nil
---@return qn.Error? err
function M.fail(self, status, err)
  if self._failed == nil then
    self._failed = err or END
    if self._status == "ok" then
      self._status = status
    end
  end
  return nil, err
end

local fail = M.fail

---Records that what was read makes no sense.
---@return nil
---@return qn.Error err
function M.corrupt(self, message)
  local fields = { op = "read", code = "READ_CORRUPT_DATA" }
  return fail(self, "read_corrupt_data", core.error("protocol", message, fields))
end

---Records that a length or a count is beyond a limit.
---@return nil
---@return qn.Error err
function M.beyond(self, what, n, option)
  local message = ("%s of %s is beyond %s=%d"):format(what, n, option, self["_" .. option])
  local fields = { op = "read", code = "READ_CORRUPT_DATA" }
  return fail(self, "read_corrupt_data", core.error("limit", message, fields))
end

local function cut_short(self, n, partial)
  local message = ("stream ended inside of a value, after %d of %d bytes"):format(#partial, n)
  local fields = { op = "read", code = "READ_PAST_END", partial = partial }
  return fail(self, "read_past_end", core.error("eof", message, fields))
end

-- The source could not give n bytes; `before` of this value's bytes had come already.
local function lost(self, n, err, inside, before)
  local partial = before .. (err and err.partial or "")
  if err == nil or err.kind == "eof" then
    local started = inside or self._nest > 0 or (self._depth > 0 and self._took)
    if started or partial ~= "" then
      return cut_short(self, n, partial)
    end
    return fail(self, "read_past_end", nil)
  end
  local in_place = not inside and partial == "" and self._nest == 0 and self._depth == 0
  if err.kind == "busy" or (in_place and err.kind == "timeout") then
    -- Another task's read goes on, or nothing is taken yet and the same read may be tried again.
    return nil, err
  end
  return fail(self, "read_past_end", err)
end

---Takes exactly n bytes.
---@param n integer
---@param inside? boolean bytes of the same value have been taken already
---@return string? bytes a lone nil at the end of the stream
---@return qn.Error? err
function M.take(self, n, inside)
  local failed = self._failed
  if failed then
    return nil, failed ~= END and failed or nil
  end
  local budget = self._budget
  if budget then
    budget = budget - n
    if budget < 0 then
      return M.beyond(self, "a value", "more bytes", "max_bytes")
    end
    self._budget = budget
  end
  local data, err = self._source:read_exactly(n, self._read_opts)
  if data then
    self._took = true
    return data
  end
  return lost(self, n, err, inside, "")
end

local take = M.take

local reading = {
  __close = function(guard, thrown)
    local self = guard[1]
    self._nest = self._nest - 1
    if self._nest == 0 then
      self._budget = nil
    end
    if thrown ~= nil then
      local fields = { op = "read", code = "READ_PAST_END", cause = thrown }
      fail(self, "read_past_end", core.error("eof", "interrupted inside of a value", fields))
    end
  end,
}

---Marks that what follows is inside of one value, until the guard is closed. The outermost value
---bounds the bytes of everything in it. A value that is left by an error (the task was cancelled,
---a deadline scope expired, a reader threw) is cut short, so that nobody reads on in its middle.
---@param budget? number bytes in all, max_bytes when absent
---@return table guard for a <close> variable
function M.inside(self, budget)
  if self._nest == 0 then
    self._budget = budget or self._max_bytes
  end
  self._nest = self._nest + 1
  return setmetatable({ self }, reading)
end

---Takes the n bytes that a length announced, in steps: the length may be a lie.
---@param n integer
---@return string?
---@return qn.Error?
function M.take_body(self, n)
  if n < 0 or n > self._max_bytes then
    local shown = ("%d bytes"):format(n < 0 and 0xFFFFFFFF or n)
    return M.beyond(self, "a length", shown, "max_bytes")
  end
  local _ <close> = M.inside(self)
  if n <= STEP then
    local data, err = take(self, n)
    return data, err
  end
  local parts, have = {}, 0
  while have < n do
    local part, err = take(self, math.min(STEP, n - have))
    if not part then
      if err and err.kind == "eof" then
        parts[#parts + 1] = err.partial
        self._failed = nil
        return cut_short(self, n, table.concat(parts))
      end
      return nil, err
    end
    parts[#parts + 1] = part
    have = have + #part
  end
  return table.concat(parts)
end

---Takes an unsigned 32-bit number.
---@return integer?
---@return qn.Error?
function M.take_u32(self, inside)
  local data, err = take(self, 4, inside)
  if not data then
    return nil, err
  end
  return (string.unpack(self._little and "<I4" or ">I4", data))
end

---Takes a length or count: 32 bits, and 64 more in the form that Qt 6.7 added.
---@return integer? n -1 where the value is null
---@return qn.Error?
function M.take_size(self)
  local n, err = M.take_u32(self)
  if n == 0xFFFFFFFF then
    return -1
  elseif n == 0xFFFFFFFE and self._version >= 22 then
    local data
    data, err = take(self, 8, true)
    if not data then
      return nil, err
    end
    n = string.unpack(self._little and "<i8" or ">i8", data)
    if n < 0xFFFFFFFE then
      return M.corrupt(self, "an extended length that needs no extension")
    end
  end
  return n, err
end

---Writes bytes, or adds them to the value that is being put together.
---@param bytes string
---@return true? ok
---@return qn.Error? err
function M.put(self, bytes)
  local held = self._held
  if held then
    held[#held + 1] = bytes
    return true
  end
  if self._write_failed then
    return nil, self._write_failed
  end
  local ok, err = self._source:write(bytes)
  if ok then
    return true
  end
  self._write_failed = err or core.error("io", "write failed", { op = "write" })
  if self._status == "ok" then
    self._status = "write_failed"
  end
  return nil, self._write_failed
end

local writing = {
  __close = function(guard)
    guard.stream._held = guard.outer
  end,
}

---Puts a value together, so that it is written whole, or not at all when a part of it throws.
---@param self table
---@param build fun(self: table, ...): true?, qn.Error?
---@return true? ok
---@return qn.Error? err
function M.whole(self, build, ...)
  local held = {}
  do
    local _ <close> = setmetatable({ stream = self, outer = self._held }, writing)
    self._held = held
    local ok, err = build(self, ...)
    if not ok then
      return nil, err
    end
  end
  return M.put(self, table.concat(held))
end

---An unsigned 32-bit number in the stream's byte order.
---@param n integer
---@return string
---@nodiscard
function M.u32(self, n)
  return string.pack(self._little and "<I4" or ">I4", n)
end

---A length or count as the stream's version writes it.
---@param n integer
---@return string
---@nodiscard
function M.size(self, n)
  if n < 0xFFFFFFFE then
    return M.u32(self, n)
  elseif self._version >= 22 then
    return M.u32(self, 0xFFFFFFFE) .. string.pack(self._little and "<i8" or ">i8", n)
  end
  error(("a length of %d does not fit into version %d"):format(n, self._version), 3)
end

---Throws a misuse error that names the argument and blames the caller of the method.
---@param n integer
---@param where string
---@param expected string
---@param got any
---@param level? integer 3 when absent
function M.bad_argument(n, where, expected, got, level)
  local kind = type(got)
  local shown = kind == "number" and tostring(got) or kind
  if kind == "string" then
    shown = ("'%s'"):format(#got > 40 and got:sub(1, 37) .. "..." or got)
  end
  local message = "bad argument #%d to '%s' (%s expected, got %s)"
  error(message:format(n, where, expected, shown), level or 3)
end

return M
