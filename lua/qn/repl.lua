---The read-eval-print loop of the program. Lines run in task 0 and may wait; tasks that they spawn go on
---in the background while the next line is being typed. An interrupt ends the line, not the loop.

local core = require "qn.core"

local M = {}

local traceback = debug.traceback

-- The longest chunk that may be typed.
local CHUNK_MAX <const> = 16 * 1024 * 1024

local function prompt(first)
  local p = first and _PROMPT or not first and _PROMPT2 -- luacheck: ignore 113
  io.stdout:write(p and tostring(p) or first and "> " or ">> ")
  io.stdout:flush()
end

-- One line without its end, or nil at the end of input.
---@async
local function read_line()
  local parts, size = {}, 0
  while true do
    local part, err = core.read_input()
    if err then
      error(err, 0)
    elseif part == nil then
      return #parts > 0 and table.concat(parts) or nil
    end
    size = size + #part
    if size > CHUNK_MAX then
      error("the line is too long", 0)
    end
    parts[#parts + 1] = part
    if part:sub(-1) == "\n" then
      return (table.concat(parts):gsub("\r?\n$", ""))
    end
  end
end

local function is_incomplete(message)
  return type(message) == "string" and message:sub(-5) == "<eof>"
end

-- A chunk of one or several lines; nil at the end of input; nil and the message of a syntax error.
---@async
local function read_chunk()
  prompt(true)
  local text = read_line()
  if not text then
    return nil
  end
  text = text:gsub("^=", "return ")
  local f = load("return " .. text, "=stdin")
  if f then
    return f
  end
  while true do
    local err
    f, err = load(text, "=stdin")
    if f then
      return f
    elseif not is_incomplete(err) then
      return nil, err
    end
    prompt(false)
    local more = read_line()
    if not more then
      return nil, err
    end
    text = text .. "\n" .. more
    if #text > CHUNK_MAX then
      return nil, "the chunk is too long"
    end
  end
end

-- The traceback without the frames of this file.
local function handler(err)
  if core.is_cancelled(err) then
    return err
  end
  local text = type(err) == "string" and err or nil
  if not text then
    local meta = getmetatable(err)
    if type(meta) == "table" and meta.__tostring or core.is_error(err) then
      text = tostring(err)
    else
      text = ("(error object is a %s value)"):format(type(err))
    end
  end
  local trace = traceback(text, 2)
  local cut = trace:find("\n[^\n]*'xpcall'\n\tqn/repl%.lua:") or trace:find("\n\tqn/repl%.lua:")
  return cut and trace:sub(1, cut - 1) .. "\n\t[C]: in ?" or trace
end

local function show(ok, ...)
  if not ok then
    error((...), 0)
  end
  if select("#", ...) > 0 then
    local printed, err = pcall(print, ...)
    if not printed then
      io.stderr:write(("error calling 'print' (%s)\n"):format(tostring(err)))
    end
  end
end

-- Reads and runs one chunk; false at the end of input.
---@async
local function one()
  local f, err = read_chunk()
  if f then
    show(xpcall(f, handler))
    return true
  elseif err then
    error(err, 0)
  end
  return false
end

---Until the end of input; then the program ends, and with it what runs in the background.
---@async
function M.run()
  local previous
  io.stdin:setvbuf("no") -- io.read in a line takes no more than it needs
  while true do
    -- what an interrupt ends: a new one for each chunk, registered before the old one goes
    local line = core.deadline(false)
    core.line(line)
    if previous then
      previous:close()
    end
    previous = line
    local ok, more = pcall(one)
    if not ok then
      io.stdout:write(core.is_cancelled(more) and "\n" or "")
      io.stdout:flush()
      io.stderr:write(core.is_cancelled(more) and "interrupted" or tostring(more), "\n")
    elseif not more then
      break
    end
  end
  io.stdout:write(core.is_terminal() and "\n" or "")
  io.stdout:flush()
  core.line()
  previous:close()
  core.exit(0)
end

return M
