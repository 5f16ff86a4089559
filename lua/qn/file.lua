---Files: streams over them, whole files in one call, names.
---
---Every call that may touch the disk waits in the thread pool, so the loop goes on meanwhile. A
---file is a stream: it has every reading and writing call of a socket, and a position.

local core = require "qn.core"
local options = require "qn.options"
require "qn.stream"

---Files: streams over them, whole files in one call, names (QFile, QSaveFile, QDir).
---@class qn.file
local M = {}

-- Opens of a fresh temporary name before giving up.
local TRIES <const> = 8

---Opens a file. Modes as in `io.open`; `x` behind w or a: it must not exist yet. Opening a FIFO
---waits for the other end, unless the mode is "r+".
---
---Errors: kind `io` (code ENOENT, ENOTDIR, EISDIR ...), `denied`, `exists`, `limit` (EMFILE).
---@async
---@param path string
---@param mode? string r (default) r+ w w+ a a+, with b (means nothing) and x
---@return qn.File? file
---@return qn.Error? err
function M.open(path, mode)
  return core.file_open(path, mode)
end
M.open = core.file_open

---What the file system knows of a name.
---@async
---@param path string
---@param opts? qn.StatOptions
---@return qn.FileStat? stat
---@return qn.Error? err
function M.stat(path, opts)
  return core.file_stat(path, opts)
end
M.stat = core.file_stat

---Removes a file or an empty directory.
---@async
---@param path string
---@return true? ok
---@return qn.Error? err
function M.remove(path)
  return core.file_remove(path)
end
M.remove = core.file_remove

---Gives a file another name, in one step; a file that has that name already is replaced.
---@async
---@param from string
---@param to string
---@return true? ok
---@return qn.Error? err
function M.rename(from, to)
  return core.file_rename(from, to)
end
M.rename = core.file_rename

---Sets the permission bits.
---@async
---@param path string
---@param mode integer as in chmod(2): tonumber("644", 8)
---@return true? ok
---@return qn.Error? err
function M.chmod(path, mode)
  return core.file_chmod(path, mode)
end
M.chmod = core.file_chmod

-- Before anything is touched, and as the caller wrote it.
local function check_path(path, where)
  local problem
  if type(path) ~= "string" and type(path) ~= "number" then
    problem = "string expected, got " .. type(path)
  elseif tostring(path):find("\0", 1, true) then
    problem = "a path must not hold zeros"
  end
  if problem then
    error(("bad argument #1 to '%s' (%s)"):format(where, problem), 3)
  end
end

local MKDIR_OPTIONS <const> = {
  mode = { type = "integer", min = 0, max = 4095 },
  parents = { type = "boolean" },
}

-- Makes every directory that leads to a path, and the path itself.
local function make_all(path, mode)
  local stop = 0
  repeat
    stop = path:match("^/*[^/]+()", stop + 1) or #path + 1
    local part = path:sub(1, stop - 1)
    local ok, err = core.file_mkdir(part, mode)
    local stat = not ok and err.code == "EEXIST" and core.file_stat(part)
    if not ok and not (stat and stat.type == "directory") then
      return nil, err
    end
  until stop > #path
  return true
end

---@class qn.MkdirOptions
---@field mode? integer permission bits before the umask (default octal 777)
---@field parents? boolean also what leads there; a directory that is there already is no error

---Makes a directory.
---
---Errors: kind `exists`, `io` (ENOENT ...), `denied`, `limit`.
---@async
---@param path string
---@param opts? qn.MkdirOptions
---@return true? ok
---@return qn.Error? err
function M.mkdir(path, opts)
  check_path(path, "mkdir")
  opts = options.check(opts, MKDIR_OPTIONS, "mkdir")
  if opts.parents and path ~= "" then
    return make_all(path, opts.mode)
  end
  return core.file_mkdir(path, opts.mode)
end

---The names in a directory, sorted, without "." and "..".
---@async
---@param path string
---@return string[]? names
---@return qn.Error? err
function M.list(path)
  check_path(path, "list")
  local names, err = core.file_list(path)
  if not names then
    return nil, err
  end
  table.sort(names)
  return names
end

-- Closes a file that is done with and waits for it: true, or what has gone wrong with its bytes.
local function finish(file)
  file:close()
  return file:wait_closed()
end

local READ_OPTIONS <const> = { max = { type = "integer", min = 1 } }

---@class qn.FileReadOptions
---@field max? integer the most bytes (default 64 MiB)

---The whole content of a file.
---
---Errors: those of `open`; kind `limit` when there is more than `max`.
---@async
---@param path string
---@param opts? qn.FileReadOptions
---@return string? data
---@return qn.Error? err
function M.read(path, opts)
  check_path(path, "read")
  opts = options.check(opts, READ_OPTIONS, "read")
  local file <close>, err = core.file_open(path, "r")
  if not file then
    return nil, err
  end
  return file:read("a", { max = opts.max })
end

local WRITE_OPTIONS <const> = {
  mode = { type = "string", enum = { "w", "a", "wx", "r+" } },
  atomic = { type = "boolean" },
}

local function check_data(data, where)
  local kind = type(data)
  if kind ~= "string" and kind ~= "number" and kind ~= "userdata" then
    local message = "bad argument #2 to '%s' (string or qn.Buffer expected, got %s)"
    error(message:format(where, kind), 3)
  end
end

local function write_plain(path, data, mode)
  local file <close>, err = core.file_open(path, mode)
  if not file then
    return nil, err
  end
  local ok
  ok, err = file:write(data)
  if not ok then
    return nil, err
  end
  return finish(file)
end

-- A new file beside `path`, which has its permissions when it is there.
local function open_beside(path)
  local stat = core.file_stat(path)
  local folder = path:match("^(.*/)[^/]*$") or ""
  local name, file, err
  for _ = 1, TRIES do
    name = ("%s.qn-%016x.tmp"):format(folder, math.random(0))
    file, err = core.file_open(name, "wx")
    if file or err.code ~= "EEXIST" then
      break
    end
  end
  if not file then
    return nil, err
  end
  return file, nil, name, stat and stat.type == "file" and stat.mode
end

local function write_atomic(path, data)
  local file <close>, err, name, mode = open_beside(path)
  if not file then
    return nil, err
  end
  -- However this ends, no temporary file stays.
  local _ <close> = setmetatable({}, {
    __close = function()
      if name then
        file:abort()
        require "qn.task".shield(core.file_remove, name)
      end
    end,
  })
  local ok
  ok, err = file:write(data)
  if ok then
    ok, err = file:sync()
  end
  if ok and mode then
    ok, err = core.file_chmod(name, mode)
  end
  if ok then
    ok, err = finish(file)
  end
  if ok then
    ok, err = core.file_rename(name, path)
  end
  if not ok then
    return nil, err
  end
  name = nil
  return true
end

---@class qn.FileWriteOptions
---@field mode? "w"|"a"|"wx"|"r+" as in `open` (default "w")
---@field atomic? boolean readers see the old content or the new one, never a part; with mode "w" only

---Writes a whole file and waits until the system has it. An atomic write makes a new file beside
---the old one, syncs it and gives it the name: it has the old one's permissions but a new inode, and a
---symbolic link is replaced.
---
---Errors: those of `open`; kind `limit` (ENOSPC, EDQUOT), `io`.
---@async
---@param path string
---@param data string|number|qn.Buffer
---@param opts? qn.FileWriteOptions
---@return true? ok
---@return qn.Error? err
function M.write(path, data, opts)
  check_path(path, "write")
  opts = options.check(opts, WRITE_OPTIONS, "write")
  check_data(data, "write")
  if not opts.atomic then
    return write_plain(path, data, opts.mode or "w")
  elseif opts.mode and opts.mode ~= "w" then
    error("write: option 'atomic' goes with mode 'w' only", 2)
  end
  return write_atomic(path, data)
end

---Writes at the end of a file, which is made when there is none; waits until the system has it.
---@async
---@param path string
---@param data string|number|qn.Buffer
---@return true? ok
---@return qn.Error? err
function M.append(path, data)
  check_path(path, "append")
  check_data(data, "append")
  return write_plain(path, data, "a")
end

-- The standard three: one stream each, so that what one caller has read ahead is there for others.
local standard = {}

local function open_standard(which)
  local file = standard[which]
  if not file or not file:is_open() then
    file = assert(core.file_standard(which))
    standard[which] = file
  end
  return file
end

---Standard input as a stream, the same one every time until it is closed. Closing it leaves
---descriptor 0 open.
---@return qn.File
function M.stdin()
  return open_standard(0)
end

---Standard output as a stream. What io.write has buffered comes when io flushes it.
---@return qn.File
function M.stdout()
  return open_standard(1)
end

---Standard error as a stream.
---@return qn.File
function M.stderr()
  return open_standard(2)
end

return M
