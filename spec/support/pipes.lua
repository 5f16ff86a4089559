-- Pipes as files of the io library, for specs of descriptors that are not ours: `pipe()` gives both ends, r
-- and w. `end.file` is the file, `end.fd` its number. Reading blocks when nothing is there.

local qn = require "qn"
local temp = require "spec.support.temp"

local M = {}

local End = {}
End.__index = End

local function make(file)
  file:setvbuf("no")
  local watched = assert(qn.notifier(file, "exception"))
  local fd = watched:descriptor()
  watched:close()
  return setmetatable({ file = file, fd = fd }, End)
end

function End:read(n)
  return self.file:read(n)
end

function End:write(bytes)
  assert(self.file:write(bytes))
end

function End:close()
  if self.file then
    self.file:close()
    self.file = nil
  end
end

local Pipe = {}

function Pipe:__close()
  self.r:close()
  self.w:close()
end

function M.pipe()
  local dir <close> = temp.dir()
  local path = dir.path .. "/pipe"
  assert(os.execute("mkfifo '" .. path .. "'"))
  local both = assert(io.open(path, "r+")) -- else opening one end waits for the other
  local reading, writing = assert(io.open(path, "r")), assert(io.open(path, "w"))
  both:close()
  return setmetatable({ r = make(reading), w = make(writing) }, Pipe)
end

return M
