---@meta

---A listening socket (QTcpServer, QLocalServer, QSslServer). Made by `qn.tcp.listen`, `qn.unix.listen` and
---`qn.tls.listen`. One that speaks TLS gives connections whose handshake is done; what is pending, paused or limited
---then counts these, and handshakes under way have limits of their own (`qn.TlsServerOptions`).
---
---Connections are accepted ahead, up to `max_pending` (30); the kernel's backlog holds the rest. One
---that the collector finds open is closed and counted as a leak.
---@class qn.Server
local Server = {}

---@class qn.ListenOptions
---@field backlog? integer how many the kernel holds (default 511)
---@field max_pending? integer how many are accepted ahead (default 30)
---@field reuse_port? boolean several processes may listen on the same port
---@field v6only? boolean whether "::" and "*" leave IPv4 out (default: no)
---@field exclusive? boolean no other socket may have used the port shortly before
---@field nodelay? boolean of accepted sockets (default true)
---@field fd? integer an already listening descriptor, which the server takes over
---@field tls? qn.TlsServerOptions|qn.TlsConfiguration|boolean speak TLS

---@class qn.UnixListenOptions
---@field backlog? integer how many the kernel holds (default 511)
---@field max_pending? integer how many are accepted ahead (default 30)
---@field mode? integer permission bits of the socket file, such as `tonumber("600", 8)` (default: umask)
---@field unlink? boolean remove a socket file on which nobody answers any more
---@field fd? integer an already listening descriptor, which the server takes over
---@field tls? qn.TlsServerOptions|qn.TlsConfiguration|boolean speak TLS

---Takes the next connection, waits for it when there is none. Several tasks may wait; they are served
---in order. The socket is the caller's to close. With TLS its handshake is done; one that fails is none of the
---caller's: see `stats` and the event `handshake_error`.
---
---Errors: `timeout`, `closed` (the server was closed), `limit` (out of descriptors; accepting goes on
---after a pause).
---Qt rows: SRV-05, SRV-07, SRV-08, WEAK-27.
---@async
---@param timeout? number|false seconds
---@return qn.Socket? socket
---@return qn.Error? err
function Server:accept(timeout) end

---Stops accepting; what is pending can still be taken, the kernel's backlog fills up.
---
---Qt rows: Q5-07.
function Server:pause() end

---Accepts again.
---
---Qt rows: Q5-07.
function Server:resume() end

---Stops listening at once and drops connections that nobody took; accepted ones live on. `close` does
---this and can wait for what `serve` runs. Idempotent.
---
---Qt rows: SRV-02.
function Server:stop() end

---The address it listens on, the path of a Unix socket, nil when closed.
---
---Qt rows: SRV-03.
---@return qn.Address|string|nil
function Server:address() end

---The port it listens on, nil when closed.
---
---Qt rows: SRV-03.
---@return integer?
function Server:port() end

---Whether it was not closed yet.
---
---Qt rows: SRV-03.
---@return boolean
function Server:is_listening() end

---How many accepted connections nobody has taken yet.
---
---Qt rows: SRV-05.
---@return integer
function Server:pending() end

---How many connections are accepted ahead.
---
---Qt rows: SRV-04.
---@return integer
function Server:max_pending() end

---Sets how many connections are accepted ahead.
---
---Qt rows: SRV-04.
---@param n integer 1 to 1048576
function Server:set_max_pending(n) end

---Whether `pause` was called.
---
---Qt rows: Q5-07.
---@return boolean
function Server:is_paused() end

---The number of the descriptor, nil when closed. It stays the server's.
---
---Qt rows: SRV-10.
---@return integer?
function Server:descriptor() end

---`"listening"`, or `"unconnected"` when closed.
---@return qn.StreamState
function Server:state() end

---@class qn.ServerStats
---@field pending integer connections that nobody has taken yet
---@field handshaking? integer TLS: handshakes under way
---@field handshakes? integer TLS: handshakes begun so far
---@field established? integer TLS: of these, done
---@field failed? integer TLS: of these, failed, in whatever way
---@field timed_out? integer TLS: of the failed ones, by `handshake_timeout`
---@field dropped? integer TLS: of the failed ones, to make room (`max_handshakes`)

---What the server counts.
---
---Qt rows: Q5-77.
---@return qn.ServerStats
function Server:stats() end

---The last accept error, nil after a success.
---
---Qt rows: SRV-09.
---@return qn.Error?
function Server:error() end

---@alias qn.ServerEvent
---| "new_connection" # handler(): a connection was accepted and waits for `accept`; with TLS its handshake is done
---| "accept_error" # handler(err: qn.Error)
---| "handshake_started" # TLS: handler(socket: qn.Socket): a client has said hello; the handshake goes on when the handlers have returned, so that the socket can be given listeners and `ignore_ssl_errors`
---| "ssl_errors" # TLS: handler(socket: qn.Socket, errors: qn.Error[]): the certificate of a client is not good; `socket:ignore_ssl_errors()` accepts it, the handshake is held until the handlers have returned
---| "handshake_error" # TLS: handler(err: qn.Error, peer: qn.Address|string|nil): a handshake has failed; told at most 100 ahead of a slow handler

---Calls `f` at each event of this name: from the loop, as a task, one at a time and in order; it may
---wait. A server with listeners stays alive until it is closed. Unknown names are thrown.
---
---Qt rows: SRV-06, Q5-07, Q5-77.
---@param name qn.ServerEvent
---@param f function
---@return self
function Server:on(name, f) end

---Like `on`, for the next event only.
---@param name qn.ServerEvent
---@param f function
---@return self
function Server:once(name, f) end

---Removes one listener, all of one event, or all.
---@param name? qn.ServerEvent
---@param f? function
---@return self
function Server:off(name, f) end

---Waits for the next event of this name.
---
---Errors: `timeout`, `closed`.
---Qt rows: SRV-08.
---@async
---@param name qn.ServerEvent
---@param timeout? number|false seconds
---@return any value what a handler would get, or true
---@return qn.Error? err
function Server:wait(name, timeout) end
