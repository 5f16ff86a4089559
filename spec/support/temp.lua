-- A temporary folder that is gone, with everything in it, when the function that made it returns.

local core = require "qn.core"

local M = {}

local count = 0

local function remove_all(path)
  for _, name in ipairs(core.file_list(path) or {}) do
    remove_all(path .. "/" .. name)
  end
  core.file_remove(path)
end

---A new folder: `local dir <close> = temp.dir()`; `dir .. "name"` is a path in it.
---@async
function M.dir()
  count = count + 1
  local path = ("/tmp/qn-spec-%d-%d-%x"):format(core.pid(), count, math.random(0))
  assert(core.file_mkdir(path, tonumber("700", 8)))
  return setmetatable({ path = path }, {
    __concat = function(self, name)
      return self.path .. "/" .. name
    end,
    __close = function(self)
      remove_all(self.path)
    end,
  })
end

---Puts a file there with the io library, so that specs of writing do not test themselves.
function M.put(path, data)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(data))
  return path
end

---What is in a file, by the io library.
function M.get(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

---Bytes in which every place differs from its neighbours near and far.
function M.pattern(size)
  local parts, have = {}, 0
  while have < size do
    parts[#parts + 1] = string.pack(">I4I4", #parts * 2654435761 % (1 << 32), #parts)
    have = have + 8
  end
  return table.concat(parts):sub(1, size)
end

return M
