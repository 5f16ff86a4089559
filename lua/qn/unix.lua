---Unix-domain sockets and servers: paths, or abstract names ("@name").

local core = require "qn.core"
require "qn.server"

local M = {}

---@async
---@param path string a path, or "@name" (abstract)
---@param opts? {timeout?: number|false}
---@return qn.Socket? socket
---@return qn.Error? err
function M.connect(path, opts)
  return core.unix_connect(path, opts)
end
M.connect = core.unix_connect

---A stale socket file (nobody answers on it) is an error of kind `exists` unless `unlink` is set.
---@param path string
---@param opts? {backlog?: integer, max_pending?: integer, mode?: integer, unlink?: boolean, fd?: integer}
---@return qn.Server? server
---@return qn.Error? err
function M.listen(path, opts)
  return core.unix_listen(path, opts)
end
M.listen = core.unix_listen

---Removes a socket file that a dead server has left (QLocalServer::removeServer).
---@param path string
---@return boolean? ok
---@return string? message
function M.remove(path)
  if path:sub(1, 1) == "@" then
    return true
  end
  return os.remove(path)
end

---Takes over a connected socket by its descriptor.
---@param fd integer
---@return qn.Socket? socket
---@return qn.Error? err
function M.adopt(fd)
  return core.adopt(fd)
end
M.adopt = core.adopt

return M
