-- Data streams: typed binary values in Qt's QDataStream formats over any stream, string or file.
-- Scripts get one from Data.new or s:data_stream(). The types live in data_scalars.lua,
-- data_containers.lua, data_time.lua, data_net.lua and data_variant.lua, the bookkeeping in
-- data_core.lua.
-- It must not read ahead: it takes from the stream exactly the bytes of the values read.
-- Invariant: after a failed read nothing more is read until reset_status() or begin().
--
-- What reads give: a value; a lone nil where the stream ends before the value's first byte (status
-- "read_past_end"); nil and an error otherwise: kind eof with `partial` when it is cut short,
-- protocol when the bytes make no sense, limit beyond max_bytes or max_items, or the stream's own.
-- Null strings and the like also read as a lone nil, with status "ok"; give the option `null` to
-- tell them apart by value. Inside of containers they are Data.null. A timeout before the first
-- byte of a value leaves the status as it is, so that the read can be repeated; a read that is
-- cancelled inside of a value leaves "read_past_end".

local core = require "qn.stream.data_core"
local options = require "qn.options"
local qn_core = require "qn.core"
local source = require "qn.stream.source"

local take, put, fail = core.take, core.put, core.fail
local bad_argument = core.bad_argument
local END <const> = core.END

---@class qn.DataStream
local Data = {}
Data.__index = Data
Data.__name = "qn.DataStream"

---Stands for a null value inside of lists, maps, sets and pairs; writers take it for nil.
Data.null = core.null

---Qt's version numbers of the format by the name of the release.
---@type table<string, integer>
Data.versions = {
  ["1.0"] = 1, ["2.0"] = 2, ["2.1"] = 3, ["3.0"] = 4, ["3.1"] = 5, ["3.3"] = 6, ["4.0"] = 7,
  ["4.1"] = 7, ["4.2"] = 8, ["4.3"] = 9, ["4.4"] = 10, ["4.5"] = 11, ["4.6"] = 12, ["4.7"] = 12,
  ["4.8"] = 12, ["5.0"] = 13, ["5.1"] = 14, ["5.2"] = 15, ["5.3"] = 15, ["5.4"] = 16, ["5.5"] = 16,
  ["5.6"] = 17, ["5.12"] = 18, ["5.13"] = 19, ["5.15"] = 19, ["6.0"] = 20, ["6.6"] = 21,
  ["6.7"] = 22,
}

local NEWEST <const> = 22
local STEP <const> = 64 * 1024
local ORDERS <const> = { "big", "little" }
local PRECISIONS <const> = { "single", "double" }
local STATUSES <const> = { "ok", "read_past_end", "read_corrupt_data", "write_failed" }

local function version_number(v)
  if type(v) == "string" then
    return Data.versions[v]
  end
  local n = math.tointeger(v)
  return n and n >= 1 and n <= NEWEST and n or nil
end

local OPTIONS <const> = {
  byte_order = { type = "string", enum = ORDERS },
  version = {
    type = "integer|string",
    check = function(v)
      return version_number(v), "a Qt release as a string or 1 to 22"
    end,
  },
  floating_point_precision = { type = "string", enum = PRECISIONS },
  max_bytes = { type = "integer", min = 1 },
  max_items = { type = "integer", min = 1 },
  max_depth = { type = "integer", min = 1 },
  timeout = { type = "number|false", min = 0 },
  null = { type = "any" },
}

---@class qn.DataStreamOptions
---@field byte_order? "big"|"little" "big" when absent
---@field version? integer|string format version: Qt's number or release; 12, which is "4.6"
---@field floating_point_precision? "single"|"double" "double" when absent; counts from version 12
---@field max_bytes? integer most bytes of one value, containers with all they hold: 64 MiB
---@field max_items? integer most items of one container: 1,048,576
---@field max_depth? integer most levels of variants in variants: 32
---@field timeout? number|false seconds for each read of the stream beneath; none when absent
---@field null? any what a null string, byte array, URL, date and so on reads as; nil when absent

---A data stream over a stream, a string (reads it) or an open file, or in memory (collects).
---@param from? any
---@param opts? qn.DataStreamOptions
---@return qn.DataStream
---@nodiscard
function Data.new(from, opts)
  opts = options.check(opts, OPTIONS, "data_stream")
  local stream, in_memory = source.open(from, "data_stream")
  return setmetatable({
    _source = stream,
    _in_memory = in_memory,
    _little = opts.byte_order == "little",
    _version = opts.version and version_number(opts.version) or 12,
    _single = opts.floating_point_precision == "single",
    _max_bytes = math.tointeger(opts.max_bytes) or 64 * 1024 * 1024,
    _max_items = math.tointeger(opts.max_items) or 1024 * 1024,
    _max_depth = math.tointeger(opts.max_depth) or 32,
    _read_opts = opts.timeout and { timeout = opts.timeout } or nil,
    _null = opts.null,
    _status = "ok",
    _took = false,
    _nest = 0,
    _depth = 0,
  }, Data)
end

local function one_of(v, list, where)
  for _, word in ipairs(list) do
    if v == word then
      return
    end
  end
  bad_argument(1, where, "'" .. table.concat(list, "', '") .. "'", v, 4)
end

---The byte order; with an argument, sets it.
---@param order? "big"|"little"
---@return "big"|"little"|qn.DataStream
function Data:byte_order(order)
  if order == nil then
    return self._little and "little" or "big"
  end
  one_of(order, ORDERS, "byte_order")
  self._little = order == "little"
  return self
end

---The format version; with an argument, sets it. It decides on null strings (3) and null byte
---arrays (6), 64-bit numbers (6), time specs (7), variants' null flag (8), float precision (12),
---64-bit days (13), offsets and zones of times (15), the order of maps (20), long sizes (22).
---@param v? integer|string Qt's number (12) or release ("4.6")
---@return integer|qn.DataStream
function Data:version(v)
  if v == nil then
    return self._version
  end
  local n = version_number(v)
  if not n then
    bad_argument(1, "version", "a Qt release as a string or 1 to 22", v)
  end
  self._version = n
  return self
end

---Whether float and double take 4 or 8 bytes; with an argument, sets it. Before version 12 it has
---no effect: a float takes 4, a double 8.
---@param precision? "single"|"double"
---@return "single"|"double"|qn.DataStream
function Data:floating_point_precision(precision)
  if precision == nil then
    return self._single and "single" or "double"
  end
  one_of(precision, PRECISIONS, "floating_point_precision")
  self._single = precision == "single"
  return self
end

---The stream beneath.
---@return table
function Data:stream()
  return self._source
end

---Puts another stream, string or file beneath. The status stays, as in Qt.
---@param from? any
---@return qn.DataStream
function Data:set_stream(from)
  if self._depth > 0 then
    error("set_stream: a read transaction is open", 2)
  end
  self._source, self._in_memory = source.open(from, "set_stream")
  return self
end

---What has been written, of a data stream in memory.
---@return string
---@nodiscard
function Data:string()
  if not self._in_memory then
    error("string: the data stream is not in memory", 2)
  end
  return self._source:string()
end

---"ok", or how the first failure ended: "read_past_end" (the stream ended or failed),
---"read_corrupt_data" (malformed, or beyond a limit), "write_failed". A failed read stops reads,
---a failed write stops writes.
---@return "ok"|"read_past_end"|"read_corrupt_data"|"write_failed"
function Data:status()
  return self._status
end

---The error behind the status; nil when it is "ok" or the stream just ended.
---@return qn.Error?
function Data:error()
  local failed = self._failed
  if failed and failed ~= END then
    return failed
  end
  return self._write_failed
end

---Declares a failure, for readers of user types. Without effect when the status is not "ok".
---@param status "read_past_end"|"read_corrupt_data"|"write_failed"
function Data:set_status(status)
  one_of(status, STATUSES, "set_status")
  if status == "ok" or self._status ~= "ok" then
    return
  end
  if status == "write_failed" then
    self._status = status
    self._write_failed = qn_core.error("io", "declared as failed", { code = "WRITE_FAILED" })
    return
  end
  local past_end = status == "read_past_end"
  local message = past_end and "declared as incomplete" or "declared as corrupt"
  local fields = { op = "read", code = status:upper() }
  fail(self, status, qn_core.error(past_end and "eof" or "protocol", message, fields))
end

---Back to "ok": reads and writes are tried again.
function Data:reset_status()
  self._status, self._failed, self._write_failed = "ok", nil, nil
end

---Whether the stream has ended; waits until that is known.
---@async
---@return boolean? ended
---@return qn.Error? err
function Data:at_end()
  local data, err = self._source:peek(1)
  if err then
    return nil, err
  end
  return data == nil or data == ""
end

---Starts a read transaction, or an inner one. The outermost resets the status.
function Data:begin()
  if self._depth == 0 then
    self._source:begin()
    self:reset_status()
    self._took = false
  end
  self._depth = self._depth + 1
end

local function ended(self)
  local failed = self._failed
  return nil, failed ~= END and failed or nil
end

local function leave(self, where)
  if self._depth == 0 then
    error(where .. ": no read transaction is open", 3)
  end
  self._depth = self._depth - 1
  return self._depth == 0
end

---Ends a read transaction. The outermost gives the bytes back when some were missing, and lets them
---go otherwise.
---@return true? ok when every read in it succeeded
---@return qn.Error? err of the first failed read; none when the stream had ended before any byte
function Data:commit()
  if leave(self, "commit") then
    if self._failed and self._status == "read_past_end" then
      self._source:rollback()
    else
      self._source:commit()
    end
  end
  if self._failed then
    return ended(self)
  end
  return true
end

---Ends a read transaction and gives its bytes back, at the outermost at last. Corrupt data, and
---aborted inner transactions, are not given back. The status becomes "read_past_end".
function Data:rollback()
  local outermost = leave(self, "rollback")
  if not self._failed then
    local fields = { op = "read", code = "READ_PAST_END" }
    fail(self, "read_past_end", qn_core.error("eof", "rolled back", fields))
  end
  if outermost then
    if self._status == "read_corrupt_data" then
      self._source:commit()
    else
      self._source:rollback()
    end
  end
end

---Ends a read transaction after senseless data: nothing is given back, and the status becomes
---"read_corrupt_data".
function Data:abort()
  local outermost = leave(self, "abort")
  self._status, self._failed = "ok", nil
  core.corrupt(self, "transaction aborted")
  if outermost then
    self._source:commit()
  end
end

local function count(n, where)
  local i = math.type(n) and math.tointeger(n)
  if not i or i < 0 then
    bad_argument(1, where, "number of bytes", n, 4)
  end
  return i
end

---Reads n bytes as they are; fewer only at the end of the stream, which "read_past_end" then tells.
---@async
---@param n integer
---@return string? bytes
---@return qn.Error? err
function Data:read(n)
  n = count(n, "read")
  if self._failed then
    return ended(self)
  end
  local data, err = self._source:read(n, self._read_opts)
  if err then
    return fail(self, "read_past_end", err)
  elseif not data or #data < n then
    fail(self, "read_past_end", nil)
  end
  self._took = data ~= nil or self._took
  return data
end

---Reads exactly n bytes as they are.
---@async
---@param n integer
---@return string? bytes
---@return qn.Error? err
function Data:read_exactly(n)
  n = count(n, "read_exactly")
  return take(self, n)
end

---Skips exactly n bytes.
---@async
---@param n integer
---@return integer? n
---@return qn.Error? err
function Data:skip(n)
  n = count(n, "skip")
  local first = math.min(n, STEP)
  local data, err = take(self, first)
  if not data then
    return nil, err
  end
  local left = n - first
  local _ <close> = core.inside(self, math.huge)
  while left > 0 do
    data, err = take(self, math.min(left, STEP))
    if not data then
      return nil, err
    end
    left = left - #data
  end
  return n
end

---Writes strings as they are.
---@async
---@param ... string
---@return true? ok
---@return qn.Error? err
function Data:write(...)
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    if type(v) ~= "string" then
      bad_argument(i, "write", "string", v)
    end
  end
  return put(self, table.concat { ... })
end

for _, part in ipairs { "scalars", "containers", "time", "net", "variant" } do
  for name, method in pairs(require("qn.stream.data_" .. part)) do
    Data[name] = method
  end
end

return Data
