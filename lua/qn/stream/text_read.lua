-- The reading half of text streams.
-- text.lua takes its methods over into the class. It must not keep bytes back: what it looked at
-- and did not use goes back to the stream, so that text and other reads may alternate, and nothing
-- is hidden when a stream turns to TLS. Invariant: a read that fails gives back all that it took,
-- but for white space it was told to skip.

local core = require "qn.core"
local encoding = require "qn.stream.encoding"
local number = require "qn.stream.number"

local byte, char = string.byte, utf8.char

local NUMBER_MAX <const> = 1024
local WINDOW <const>, WINDOW_MAX <const> = 64, 16384

---@class qn.TextStream
local Text = {}

local function set_status(self, status)
  if self._status == "ok" then
    self._status = status
  end
end

-- The stream ended or failed. A timeout leaves the status as it is: the read can be repeated.
local function failed(self, err)
  if not (err and (core.is_error(err, "timeout") or core.is_error(err, "busy"))) then
    set_status(self, "read_past_end")
  end
  return nil, err
end

local function source_failed(self, err)
  if core.is_error(err, "limit") then
    set_status(self, "read_corrupt_data")
    return nil, err
  end
  return failed(self, err)
end

local function corrupt(self, message)
  set_status(self, "read_corrupt_data")
  return nil, core.error("protocol", message, { op = "read", code = "READ_CORRUPT_DATA" })
end

local giving_back = {
  __close = function(guard)
    if guard.source then
      guard.source:unread(guard.bytes)
    end
  end,
}

-- More bytes from the source. What is in hand goes back when the wait throws: a cancelled task and
-- an expired deadline scope lose nothing.
local function receive(source, in_hand, n)
  if in_hand == "" then
    return source:recv(n)
  end
  local guard <close> = setmetatable({ source = source, bytes = in_hand }, giving_back)
  local more, err = source:recv(n)
  guard.source = nil
  return more, err
end

-- Sends what is written first, so that the other side can answer, then looks for a byte order mark.
local function prepare(self)
  if self._out_size > 0 then
    local ok, err = self:_drain()
    if not ok then
      return nil, err
    end
  end
  if not self._fresh then
    return true
  end
  local name = self._encoding.name
  local generic = (name == "utf-16" or name == "utf-32") and name
  local candidates = (self._auto_detect or generic) and encoding.marked or {}
  local seen, found = "", nil
  repeat
    local open = false
    for _, e in ipairs(candidates) do
      if self._auto_detect or e.name:sub(1, #generic) == generic then
        if e.bom == seen then
          found = e
        elseif e.bom:sub(1, #seen) == seen then
          open = true
        end
      end
    end
    local more, err
    if open then
      more, err = receive(self._source, seen, 1)
      if err then
        self._source:unread(seen)
        return failed(self, err)
      end
      seen = seen .. (more or "")
    end
  until not more
  self._source:unread(seen:sub(found and #found.bom + 1 or 1))
  self._encoding = found or self._encoding
  self._fresh = false
  return true
end

-- Takes characters for as long as accept says true; "last" takes one and stops. Gives the text and
-- whether the stream ended. `drop` forgets the characters, for white space.
local function scan(self, accept, max, drop)
  local source, encoded = self._source, self._encoding
  local step, bytewise = encoded.step, encoded.unit == 1
  local buffer, at, window = "", 1, WINDOW
  local n, ended = 0, false
  while true do
    local code, length = bytewise and byte(buffer, at), 1
    if not code or code > 0x7F then
      code, length = step(buffer, at)
    end
    if not code then
      if drop then
        buffer, at = buffer:sub(at), 1
      end
      local more, err = receive(source, buffer, window)
      if err then
        source:unread(buffer)
        return failed(self, err)
      elseif more then
        buffer, window = buffer .. more, math.min(2 * window, WINDOW_MAX)
      elseif at <= #buffer then
        code, length = 0xFFFD, #buffer - at + 1
      else
        ended = true
        break
      end
    end
    if code then
      local verdict = accept(code)
      if not verdict then
        break
      end
      n, at = n + 1, at + length
      if max and n > max then
        source:unread(buffer)
        set_status(self, "read_corrupt_data")
        local message = ("more than %d characters without an end"):format(max)
        return nil, core.error("limit", message, { op = "read", code = "READ_CORRUPT_DATA" })
      end
      if verdict == "last" then
        break
      end
    end
  end
  if at <= #buffer then
    source:unread(buffer:sub(at))
  end
  return drop and "" or encoded.decode(buffer:sub(1, at - 1)), ended
end

local SPACES <const> = { [0x20] = true, [0x85] = true, [0xA0] = true, [0x1680] = true }
for _, range in ipairs {
  { 0x09, 0x0D }, { 0x2000, 0x200A }, { 0x2028, 0x2029 }, { 0x202F, 0x202F },
  { 0x205F, 0x205F }, { 0x3000, 0x3000 },
} do
  for code = range[1], range[2] do
    SPACES[code] = true
  end
end

local function is_space(code)
  return SPACES[code]
end

local function skip_spaces(self)
  local ok, err = prepare(self)
  if ok then
    ok, err = scan(self, is_space, nil, true)
  end
  if not ok then
    return nil, err
  end
  return true
end

-- The next n characters, fewer at the end.
local function take_characters(self, n)
  local left = n
  return scan(self, function()
    left = left - 1
    return left > 0 or "last"
  end)
end

-- A whole line with its end.
local function take_line(self)
  if self._encoding.unit == 1 then
    local line, err = self._source:read("L", self._line_opts)
    if line then
      return self._encoding.decode(line)
    elseif err then
      return source_failed(self, err)
    end
    return nil
  end
  local line, err = scan(self, function(code)
    return code ~= 10 or "last"
  end, self._max_line)
  if line == "" then
    return nil
  elseif not line then
    return nil, err
  end
  return line
end

-- At most n characters of a line; the end counts as one, and what is left is the next line.
local function take_part(self, n)
  local left = n
  local line, err = scan(self, function(code)
    left = left - 1
    return code ~= 10 and left > 0 or "last"
  end)
  if line == "" then
    return nil
  elseif not line then
    return nil, err
  end
  return line, left == 0 and line:byte(-1) ~= 10
end

---Reads a line without its end, "\n" or "\r\n". A line longer than the option max_line is an error
---of kind limit and stays unread.
---@async
---@param max? integer takes at most so many characters; the rest of the line comes next
---@return string? line a lone nil at the end of the stream
---@return qn.Error? err
function Text:read_line(max)
  if max ~= nil and (not math.type(max) or not math.tointeger(max) or max < 1) then
    error("bad argument #1 to 'read_line' (positive integer expected)", 2)
  end
  local ok, err = prepare(self)
  if not ok then
    return nil, err
  end
  local line, more
  if max then
    line, more = take_part(self, math.tointeger(max))
  else
    line, more = take_line(self)
  end
  if not line then
    return nil, more
  elseif line:byte(-1) == 10 then
    line = line:sub(1, -2)
  end
  return more ~= true and line:gsub("\r$", "") or line, nil
end

---Reads the rest of the stream; "" at the end. More than the option max_bytes is an error of kind
---limit.
---@async
---@return string? text
---@return qn.Error? err
function Text:read_all()
  local ok, err = prepare(self)
  if not ok then
    return nil, err
  end
  local data
  data, err = self._source:read("a", { max = self._max_bytes })
  if err then
    return source_failed(self, err)
  end
  return data and self._encoding.decode(data) or ""
end

---Reads as io files do: a number of characters, "l" a line, "L" a line with its end, "a" the rest,
---"n" a number (read_real).
---@async
---@param format integer|"l"|"L"|"a"|"n"
---@return string|number|nil value a lone nil at the end of the stream
---@return qn.Error? err
function Text:read(format)
  if format == "l" then
    return self:read_line()
  elseif format == "a" then
    return self:read_all()
  elseif format == "n" then
    return self:read_real()
  end
  local n = math.type(format) and math.tointeger(format)
  if format ~= "L" and (not n or n < 0) then
    error("bad argument #1 to 'read' (number of characters, 'l', 'L', 'a', 'n' expected)", 2)
  end
  local ok, err = prepare(self)
  if not ok then
    return nil, err
  elseif format == "L" then
    return take_line(self)
  elseif n == 0 then
    ok, err = self:at_end()
    if err then
      return nil, err
    end
    return not ok and "" or nil
  end
  local text
  text, err = take_characters(self, n)
  if not text then
    return nil, err
  end
  return text ~= "" and text or nil
end

---For loops over lines: `for line in t:lines() do`. Throws the error of a read that fails.
---@async
---@return fun(): string?
function Text:lines()
  return function()
    local line, err = self:read_line()
    if err then
      error(err, 2)
    end
    return line
  end
end

---Skips white space and reads up to the next white space, which stays.
---@async
---@return string? word a lone nil at the end of the stream
---@return qn.Error? err
function Text:read_word()
  local ok, err = skip_spaces(self)
  if not ok then
    return nil, err
  end
  local word
  word, err = scan(self, function(code)
    return not SPACES[code]
  end, self._max_line)
  if not word then
    return nil, err
  elseif word == "" then
    return failed(self, nil)
  end
  return word
end

---Skips white space and reads one character. For any character, white space too: read(1).
---@async
---@return string? character a lone nil at the end of the stream
---@return qn.Error? err
function Text:read_char()
  local ok, err = skip_spaces(self)
  if not ok then
    return nil, err
  end
  local character
  character, err = take_characters(self, 1)
  if not character then
    return nil, err
  elseif character == "" then
    return failed(self, nil)
  end
  return character
end

local function read_number(self, step, value)
  local ok, err = skip_spaces(self)
  if not ok then
    return nil, err
  end
  local text, ended = scan(self, function(code)
    return step(char(code))
  end, NUMBER_MAX)
  if not text then
    return nil, ended
  elseif text == "" and ended then
    return failed(self, nil)
  end
  local v, message, hopeless = value(text)
  if v ~= nil then
    return v
  end
  self._source:unread(self._encoding.encode(text))
  if ended and not hopeless then
    local fields = { op = "read", code = "READ_PAST_END", partial = text }
    return failed(self, core.error("eof", "stream ended inside of a number", fields))
  end
  return corrupt(self, message)
end

---Skips white space and reads an integer: of integer_base, with or without the prefix, or, when
---that is 0, of the base that the prefix says. Not one character beyond is taken; what is no
---integer stays, and gives kind protocol and status "read_corrupt_data". Bases 2, 8, 16 may fill
---all 64 bits, as Lua's own 0x numbers.
---@async
---@return integer? value a lone nil at the end of the stream
---@return qn.Error? err
function Text:read_int()
  return read_number(self, number.integer_machine(self._format.integer_base, self._format.locale))
end

---Skips white space and reads a real number, "inf" and "nan" too. What is no number stays, and
---gives kind protocol and status "read_corrupt_data".
---@async
---@return number? value a lone nil at the end of the stream
---@return qn.Error? err
function Text:read_real()
  return read_number(self, number.real_machine(self._format.locale))
end

---Skips white space.
---@async
---@return true? ok also at the end of the stream
---@return qn.Error? err
function Text:skip_whitespace()
  return skip_spaces(self)
end

---Whether the stream has ended; waits until that is known.
---@async
---@return boolean? ended
---@return qn.Error? err
function Text:at_end()
  local ok, err = prepare(self)
  if not ok then
    return nil, err
  end
  local data
  data, err = self._source:peek(1)
  if err then
    return nil, err
  end
  return data == nil or data == ""
end

return Text
