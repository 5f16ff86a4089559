-- Decides what a text or data stream works on: a qn stream, a Lua string, an io file, nothing.
-- Called by Text.new, Data.new and their set_stream. It must not read a byte.
-- Invariant: what it returns has the calls listed in NEEDED.

local File = require "qn.stream.file"
local Memory = require "qn.stream.memory"

local M = {}

local NEEDED <const> = {
  "read", "read_exactly", "recv", "peek", "skip", "unread", "begin", "commit", "rollback",
  "write", "flush",
}

-- Which call of a stream the value lacks, or "" when it cannot have any.
local function lacking(v)
  local kind = type(v)
  if kind ~= "table" and kind ~= "userdata" then
    return ""
  end
  for _, name in ipairs(NEEDED) do
    local ok, method = pcall(function()
      return v[name]
    end)
    if not ok then
      return ""
    elseif method == nil then
      return name
    end
  end
  return nil
end

---The stream beneath a text or data stream. Throws when the value is none of the four kinds.
---@param value any a stream, a string to read, an open io file, or nil to collect in memory
---@param where string the function, for the error
---@param level? integer whom to blame, as in error(); 3 when absent
---@return table stream
---@return boolean is_memory its :string() gives what was written
---@nodiscard
function M.open(value, where, level)
  if value == nil or type(value) == "string" then
    return Memory.new(value), true
  end
  local io_kind = io.type(value)
  if io_kind == "file" then
    return File.new(value), false
  end
  local name = io_kind and "" or lacking(value)
  if name then
    local got = io_kind or type(value)
    if name ~= "" then
      got = ("a %s without '%s'"):format(got, name)
    end
    local message = "bad argument #1 to '%s' (stream, string, open file or nil expected, got %s)"
    error(message:format(where, got), level or 3)
  end
  return value, getmetatable(value) == Memory
end

return M
