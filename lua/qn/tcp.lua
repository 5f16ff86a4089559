---TCP sockets and servers.

local core = require "qn.core"
require "qn.server"

---TCP sockets and servers (QTcpSocket, QTcpServer).
---@class qn.tcp
local M = {}

---Connects to a host; several addresses are raced (`Socket:connect` says how). Look-up and all attempts
---together take at most `timeout` (30 s).
---@async
---@param host string|qn.Address name or address literal
---@param port integer
---@param opts? qn.ConnectOptions
---@return qn.Socket? socket
---@return qn.Error? err
function M.connect(host, port, opts)
  return core.tcp_connect(host, port, opts)
end
M.connect = core.tcp_connect

---An unconnected socket, to be bound, given options or listeners, then connected.
---@param opts? qn.SocketOptions
---@return qn.Socket
function M.socket(opts)
  return core.tcp_socket(opts)
end
M.socket = core.tcp_socket

---Listens on an address literal ("*" = all, IPv4 and IPv6) and a port (0 = any free one).
---@param addr? string|qn.Address
---@param port? integer
---@param opts? qn.ListenOptions
---@return qn.Server? server
---@return qn.Error? err
function M.listen(addr, port, opts)
  return core.tcp_listen(addr, port, opts)
end
M.listen = core.tcp_listen

---Takes over a connected socket by its descriptor.
---@param fd integer
---@return qn.Socket? socket
---@return qn.Error? err
function M.adopt(fd)
  return core.adopt(fd)
end
M.adopt = core.adopt

return M
