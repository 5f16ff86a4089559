-- Text streams: QTextStream over any stream, string or file.
-- Scripts get one from Text.new or s:text_stream(). Reading lives in text_read.lua, layout in
-- text_format.lua. It must not throw for what comes from the other side: malformed bytes read as
-- U+FFFD with the status unchanged, as in Qt. Invariant: `_out` holds encoded bytes, less than
-- BUFFER of them between calls.
--
-- What is written collects in a buffer of 16 KiB, until it is full, or flush, endl, close or a read
-- sends it. Reads give a value, a lone nil at the end of the stream, or nil and an error. Unlike
-- data streams, a failed read does not stop the next one; the status tells the first failure.

local encoding = require "qn.stream.encoding"
local options = require "qn.options"
local qn_core = require "qn.core"
local source = require "qn.stream.source"
local number = require "qn.stream.number"
local text_format = require "qn.stream.text_format"

local BUFFER <const> = 16 * 1024
local STATUSES <const> = { "ok", "read_past_end", "read_corrupt_data", "write_failed" }

---Formats and parses text in any encoding it knows, over a stream, a string or memory (QTextStream).
---Made by `stream:text_stream()` and `qn.text_stream`. What is written collects until `flush`, `endl`,
---`close`, a read, or 16 KiB. A read gives a value, a lone nil at the end, or nil and an error; the
---status keeps the first failure.
---@class qn.TextStream
local Text = {}
Text.__index = Text
Text.__name = "qn.TextStream"

for _, methods in ipairs { require "qn.stream.text_read", text_format.methods } do
  for name, method in pairs(methods) do
    Text[name] = method
  end
end

local OPTIONS <const> = {
  encoding = {
    type = "string",
    check = function(v)
      return encoding.find(v), "one of " .. table.concat(encoding.names, ", ")
    end,
  },
  auto_detect = { type = "boolean" },
  generate_bom = { type = "boolean" },
  newline = { type = "string" },
  max_line = { type = "integer", min = 1 },
  max_bytes = { type = "integer", min = 1 },
}
for name, rule in pairs(text_format.RULES) do
  OPTIONS[name] = rule
end

---@class qn.TextStreamOptions: qn.TextFormat
---@field encoding? string "utf-8" when absent; "latin-1", "utf-16", "utf-16le", "utf-32be" ...
---@field auto_detect? boolean a byte order mark at the start decides; true when absent
---@field generate_bom? boolean writes a byte order mark first; false when absent
---@field newline? string what endl writes; "\n" when absent
---@field max_line? integer longest line in bytes, longest word in characters: 65,536
---@field max_bytes? integer most bytes that read_all takes: 64 MiB

---A text stream over a stream, a string (reads it) or an open file, or in memory (collects).
---@param from? any
---@param opts? qn.TextStreamOptions
---@return qn.TextStream
---@nodiscard
function Text.new(from, opts)
  opts = options.check(opts, OPTIONS, "text_stream")
  local stream, in_memory = source.open(from, "text_stream")
  local format = text_format.defaults()
  text_format.apply(format, opts)
  local max_line = math.tointeger(opts.max_line) or 64 * 1024
  return setmetatable({
    _source = stream,
    _in_memory = in_memory,
    _encoding = encoding.find(opts.encoding or "utf-8"),
    _auto_detect = opts.auto_detect ~= false,
    _generate_bom = opts.generate_bom == true,
    _newline = opts.newline or "\n",
    _max_line = max_line,
    _line_opts = { max = max_line },
    _max_bytes = math.tointeger(opts.max_bytes) or 64 * 1024 * 1024,
    _format = format,
    _fresh = true,
    _out = {},
    _out_size = 0,
    _status = "ok",
  }, Text)
end

---The name of the encoding; with an argument, sets it for what follows.
---@param name? string
---@return string|qn.TextStream
function Text:encoding(name)
  if name == nil then
    return self._encoding.name
  end
  local opts = options.check({ encoding = name }, OPTIONS, "encoding")
  self._encoding = encoding.find(opts.encoding)
  return self
end

---Whether a byte order mark at the start decides on the encoding; with an argument, sets it.
---@param on? boolean
---@return boolean|qn.TextStream
function Text:auto_detect(on)
  if on == nil then
    return self._auto_detect
  end
  local opts = options.check({ auto_detect = on }, OPTIONS, "auto_detect")
  self._auto_detect = opts.auto_detect
  return self
end

---Whether a byte order mark is written first; with an argument, sets it. It has no effect once
---something is written, and none for Latin-1, which has no mark.
---@param on? boolean
---@return boolean|qn.TextStream
function Text:generate_bom(on)
  if on == nil then
    return self._generate_bom
  end
  local opts = options.check({ generate_bom = on }, OPTIONS, "generate_bom")
  self._generate_bom = opts.generate_bom
  return self
end

---The stream beneath.
---@return table
function Text:stream()
  return self._source
end

---Sends what is in the buffer and puts another stream, string or file beneath.
---@async
---@param from? any
---@return qn.TextStream? self
---@return qn.Error? err of the sending; the stream beneath stays then
function Text:set_stream(from)
  local stream, in_memory = source.open(from, "set_stream")
  local ok, err = self:_drain()
  if not ok then
    return nil, err
  end
  self._source, self._in_memory = stream, in_memory
  self._fresh, self._begun = true, false
  return self
end

---What has been written, of a text stream in memory, as encoded bytes.
---@return string
---@nodiscard
function Text:string()
  if not self._in_memory then
    error("string: the text stream is not in memory", 2)
  end
  self:_drain()
  return self._source:string()
end

---"ok", or how the first failure ended: "read_past_end", "read_corrupt_data" (no number, or beyond
---a limit), "write_failed", which stops further writes.
---@return "ok"|"read_past_end"|"read_corrupt_data"|"write_failed"
function Text:status()
  return self._status
end

---Declares a failure. Without effect when the status is not "ok".
---@param status "read_past_end"|"read_corrupt_data"|"write_failed"
function Text:set_status(status)
  local opts = options.check({ status = status }, {
    status = { type = "string", enum = STATUSES },
  }, "set_status")
  if self._status == "ok" then
    self._status = opts.status
    if status == "write_failed" then
      self._failed = qn_core.error("io", "declared as failed", { code = "WRITE_FAILED" })
    end
  end
end

---Back to "ok".
function Text:reset_status()
  self._status, self._failed = "ok", nil
end

-- Hands the buffer to the stream.
function Text:_drain()
  if self._failed then
    return nil, self._failed
  elseif self._out_size == 0 then
    return true
  end
  local bytes = table.concat(self._out)
  self._out, self._out_size = {}, 0
  local ok, err = self._source:write(bytes)
  if ok then
    return true
  end
  self._failed = err or qn_core.error("io", "write failed", { op = "write" })
  if self._status == "ok" then
    self._status = "write_failed"
  end
  return nil, self._failed
end

local function emit(self, text)
  if self._failed then
    return nil, self._failed
  end
  local bytes = self._encoding.encode(text)
  if not self._begun then
    self._begun = true
    if self._generate_bom then
      bytes = self._encoding.bom .. bytes
    end
  end
  self._out[#self._out + 1] = bytes
  self._out_size = self._out_size + #bytes
  if self._out_size >= BUFFER then
    return self:_drain()
  end
  return true
end

local function laid_out(format, v)
  local kind = math.type(v)
  if kind == "integer" then
    return text_format.pad(format, number.format_integer(v, format), true)
  elseif kind == "float" then
    return text_format.pad(format, number.format_real(v, format), true)
  elseif type(v) == "string" then
    return text_format.pad(format, encoding.repair_utf8(v), false)
  elseif type(v) == "boolean" then
    return text_format.pad(format, tostring(v), false)
  end
  local meta = debug.getmetatable(v) -- values of C hide theirs
  if meta and meta.__tostring then
    return text_format.pad(format, encoding.repair_utf8(tostring(v)), false)
  end
  return nil
end

---Writes values, each laid out in a field of its own: strings, integers, floats, booleans, and
---anything with __tostring.
---@async
---@param ... any
---@return true? ok
---@return qn.Error? err
function Text:write(...)
  local parts = {}
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    local text = laid_out(self._format, v)
    if not text then
      local message = "bad argument #%d to 'write' (string, number or boolean expected, got %s)"
      error(message:format(i, type(v)), 2)
    end
    parts[i] = text
  end
  return emit(self, table.concat(parts))
end

---Ends the line, without padding, and sends what is in the buffer on its way.
---@async
---@return true? ok
---@return qn.Error? err
function Text:endl()
  local ok, err = emit(self, self._newline)
  if not ok then
    return nil, err
  end
  return self:flush()
end

---Sends what is in the buffer and flushes the stream beneath.
---@async
---@return true? ok
---@return qn.Error? err
function Text:flush()
  local ok, err = self:_drain()
  if ok then
    ok, err = self._source:flush()
  end
  if not ok then
    return nil, err
  end
  return true
end

local function seekable(self, where)
  if self._source.seek then
    return self:_drain()
  end
  local fields = { op = where, code = "UNSUPPORTED" }
  return nil, qn_core.error("unsupported", "the stream cannot seek", fields)
end

---The position in bytes, of a string or file.
---@async
---@return integer? position from the start
---@return qn.Error? err kind unsupported where there is no position
function Text:pos()
  local ok, err = seekable(self, "pos")
  if not ok then
    return nil, err
  end
  return self._source:seek("cur", 0)
end

---Moves to a position in bytes, of a string or file. At 0 a byte order mark is looked for again.
---@async
---@param position integer
---@return true? ok
---@return qn.Error? err
function Text:seek(position)
  local to = math.type(position) and math.tointeger(position)
  if not to or to < 0 then
    error("bad argument #1 to 'seek' (position in bytes expected)", 2)
  end
  local ok, err = seekable(self, "seek")
  if ok then
    ok, err = self._source:seek("set", to)
  end
  if not ok then
    return nil, err
  end
  self._fresh = to == 0
  return true
end

---Sends what is in the buffer. The stream beneath stays open.
---@async
---@return true? ok
---@return qn.Error? err
function Text:close()
  return self:_drain()
end

-- Must not raise, not even where the task is being cancelled.
function Text:__close()
  pcall(self._drain, self)
end

return Text
