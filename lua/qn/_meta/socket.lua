---@meta

---A TCP or Unix-domain socket (QTcpSocket, QLocalSocket): a stream that can be connected and bound and
---has addresses. Made by `qn.tcp.connect`, `qn.unix.connect`, `qn.tcp.socket`, `server:accept` and
---`qn.tcp.adopt`.
---@class qn.Socket: qn.Stream
local Socket = {}

---@class qn.ConnectOptions
---@field timeout? number|false seconds for look-up, all addresses and connect together (default 30)
---@field bind? string|qn.Address local address, as text with or without a port: "127.0.0.1", "127.0.0.1:4000", "[::1]:4000"; hosts are reached by addresses of its family only
---@field nodelay? boolean send small writes at once (default true)
---@field keepalive? boolean|number probes on a silent connection; a number = seconds of silence before them
---@field family? "any"|"ipv4"|"ipv6" which addresses to try (default any)
---@field happy_eyeballs? boolean race the addresses as RFC 8305 says (default true); false: one after the other, in order
---@field resolver? qn.Resolver who looks the name up (default: the system's way)
---@field tls? boolean|qn.TlsConfiguration|qn.StartTlsOptions encrypt: the connect is done when the handshake is; true: with the default configuration

---@class qn.SocketOptions
---@field nodelay? boolean send small writes at once (default true)
---@field keepalive? boolean probes on a silent connection

---Connects: looks the name up and races its addresses (RFC 8305): IPv6 and IPv4 take turns, the next
---attempt starts 250 ms after the one before it, or at once when one fails, earlier ones go on, and the
---first that connects wins. A socket that `bind` has bound tries them one after the other. The socket must
---be unconnected or bound, else it throws. A failed or cancelled one is unconnected again and may be used
---once more.
---
---With `tls` what is written meanwhile waits for the handshake; a socket whose handshake fails is closed.
---
---Errors: `dns` (name not found), `refused`, `unreachable`, `timeout` (phase "dns", "connect" or "tls"),
---`denied`, `exists`, `closed` (closed meanwhile); with `tls` those of `start_tls`. With several addresses it is the first of the most
---telling ones, and `err.attempts` has what became of each.
---Qt rows: ABS-01, ABS-02, ABS-15, ABS-30, ABS-31, ABS-32, ABS-34, Q5-04, WEAK-21.
---@async
---@param host string|qn.Address name or address literal (`fe80::1%eth0` too)
---@param port integer
---@param opts? qn.ConnectOptions
---@return true? ok
---@return qn.Error? err
function Socket:connect(host, port, opts) end

---Binds an unconnected socket to a local address before it is connected.
---
---Errors: `exists` (in use), `unreachable` (not an address of this machine), `denied`.
---Qt rows: Q5-05.
---@param addr? string|qn.Address address literal; "*" = any (default)
---@param port? integer 0 = any free one (default)
---@param mode? "default"|"share"|"exclusive"|"reuse" who else may use the port
---@return true? ok
---@return qn.Error? err
function Socket:bind(addr, port, mode) end

---@alias qn.SocketOptionName
---| "nodelay" # 0 or 1: send small writes at once
---| "keepalive" # 0 or 1
---| "keepalive_idle" # seconds of silence before the first probe
---| "keepalive_interval" # seconds between probes
---| "keepalive_count" # probes without an answer before the connection fails
---| "send_buffer" # bytes; Linux doubles what is set
---| "receive_buffer" # bytes; Linux doubles what is set
---| "linger" # seconds that close blocks, 0 = reset, -1 = off
---| "tos" # IP type of service or traffic class
---| "ttl" # hop limit
---| "reuse_address" # 0 or 1
---| "multicast_ttl" # hop limit of multicast
---| "multicast_loopback" # 0 or 1: multicast is received on this machine, too
---| "mtu_discover" # 0 never, 1 as the route says, 2 always, 3 as 2 but sizes are not refused
---| "reuse_port" # 0 or 1
---| "oob_inline" # 0 or 1
---| "broadcast" # 0 or 1
---| "only_v6" # read only
---| "path_mtu" # read only, of a connected socket
---| "error" # read only: the pending error number, cleared by reading

---Reads or sets a socket option. What is set before the connection is kept and applied to it.
---
---Errors: `closed` (nothing to read from yet), `unsupported`. Unknown names and bad values are thrown.
---Qt rows: ABS-14, Q5-10, Q5-11, WEAK-22.
---@param name qn.SocketOptionName
---@param value? integer|boolean set to this
---@return integer|true|nil value the value; true when it was set
---@return qn.Error? err
function Socket:option(name, value) end

---The local address, or nil while there is none. Unix sockets: the path or name, a string.
---
---Qt rows: ABS-09.
---@return qn.Address|string|nil
function Socket:local_address() end

---The local port, or nil while there is none.
---
---Qt rows: ABS-09.
---@return integer?
function Socket:local_port() end

---The peer's address, or nil while not connected; IPv4-mapped ones are IPv4. Unix sockets: the path or
---name, a string.
---
---Qt rows: ABS-09.
---@return qn.Address|string|nil
function Socket:peer_address() end

---The peer's port, or nil while not connected.
---
---Qt rows: ABS-09.
---@return integer?
function Socket:peer_port() end

---The host (or path) that connect was given, nil for accepted sockets.
---
---Qt rows: ABS-10, LOC-02.
---@return string?
function Socket:peer_name() end

---The number of the descriptor, or nil. It stays the socket's: do not close it.
---
---Qt rows: ABS-13.
---@return integer?
function Socket:descriptor() end
