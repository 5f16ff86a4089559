---Unix-domain sockets and servers: paths, or abstract names ("@name").

local core = require "qn.core"
require "qn.server"

---Unix-domain sockets and servers (QLocalSocket, QLocalServer): paths, or abstract names ("@name").
---@class qn.unix
local M = {}

---@class qn.UnixConnectOptions: qn.TimeoutOption
---@field tls? boolean|qn.TlsConfiguration|qn.StartTlsOptions encrypt; the path is no name of a certificate, so `server_name` or `verify_name` is needed

---Connects to a socket file or an abstract name within `timeout` (30 s).
---@async
---@param path string a path, or "@name" (abstract)
---@param opts? qn.UnixConnectOptions
---@return qn.Socket? socket
---@return qn.Error? err
function M.connect(path, opts)
  return core.unix_connect(path, opts)
end
M.connect = core.unix_connect

---Listens. A stale socket file (nobody answers on it) is an error of kind `exists` unless `unlink` is
---set. The file goes away when the server is closed.
---@param path string a path, or "@name" (abstract)
---@param opts? qn.UnixListenOptions
---@return qn.Server? server
---@return qn.Error? err
function M.listen(path, opts)
  return core.unix_listen(path, opts)
end
M.listen = core.unix_listen

---Removes a socket file that a dead server has left (QLocalServer::removeServer); never anything else.
---It is no error when there is none; abstract names leave nothing behind.
---@param path string
---@return boolean? ok
---@return qn.Error? err
function M.remove(path)
  return core.unix_remove(path)
end
M.remove = core.unix_remove

---Takes over a connected socket by its descriptor.
---@param fd integer
---@return qn.Socket? socket
---@return qn.Error? err
function M.adopt(fd)
  return core.adopt(fd)
end
M.adopt = core.adopt

return M
