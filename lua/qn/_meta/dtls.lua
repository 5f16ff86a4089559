---@meta

---A DTLS connection: messages that arrive whole or not at all, in any order, encrypted. Made by `qn.dtls.connect`,
---`DtlsServer:connect` and `DtlsServer:accept`. It is the caller's to close; one that the collector finds open is
---closed and counted as a leak.
---
---Received messages wait in a queue of at most 256 messages and 256 KiB; what is beyond is dropped and counted, as the
---kernel does. What is not authentic, comes twice or belongs to another handshake is dropped without a word. One task
---reads at a time. A read that is cancelled or times out loses no message.
---@class qn.DtlsConnection
local DtlsConnection = {}

---Takes the next message, waits for it when there is none.
---
---Errors: `timeout` (phase "read"; "idle": the connection was closed by its `idle_timeout`), `eof` (the peer has closed
---it), `closed` (it was closed here, or its socket was), `reset` (the peer has begun anew), `tls` (an alert), `busy`
---(another task reads).
---Qt rows: Q5-71.
---@async
---@param opts? qn.TimeoutOption
---@return string? message
---@return qn.Error? err
function DtlsConnection:recv(opts) end

---Messages as they come: `for message in connection:each() do`. Ends with the connection, throws other errors.
---@async
---@param opts? qn.TimeoutOption
---@return fun(): string?
function DtlsConnection:each(opts) end

---Sends one message as one datagram. It is never split: one that is larger than `max_size()` is refused. When it
---returns true the kernel has it; whether it arrives nobody knows. Waits only while the kernel has no room.
---
---Errors: `limit` (DATAGRAM_TOO_LARGE, with `err.size` and `err.limit`), those of `recv`, those of the network
---(`unreachable`, `refused`), after which the connection goes on.
---Qt rows: Q5-71.
---@async
---@param message string|qn.Buffer at least one byte
---@return true? ok
---@return qn.Error? err
function DtlsConnection:send(message) end

---The same without waiting: when the kernel has no room the error is `EAGAIN`.
---@param message string|qn.Buffer
---@return true? ok
---@return qn.Error? err
function DtlsConnection:try_send(message) end

---Says close_notify and ends it; whoever waits gets an error of kind `closed`. What has been received can still be
---taken. Idempotent; also what `<close>` does.
---
---Qt rows: Q5-71.
function DtlsConnection:close() end

---Ends it without a word to the peer.
function DtlsConnection:abort() end

---`"handshake"`, `"connected"` or `"closed"`.
---
---Qt rows: Q5-71.
---@return "handshake"|"connected"|"closed"
function DtlsConnection:state() end

---Why it is closed; nil while it is not.
---@return qn.Error?
function DtlsConnection:error() end

---@return qn.Address address of the peer
function DtlsConnection:peer_address() end

---@return integer port of the peer
function DtlsConnection:peer_port() end

---@return qn.Address? address of the socket, nil when it is closed
function DtlsConnection:local_address() end

---@return integer? port of the socket, nil when it is closed
function DtlsConnection:local_port() end

---The number of its datagram socket in the loop, from 1; what traces show.
---@return integer
function DtlsConnection:id() end

---Bytes of the largest datagram that is sent. It shrinks when the kernel says that the path takes less, and in a
---handshake that gets no answer.
---
---Qt rows: Q5-71.
---@return integer
function DtlsConnection:mtu() end

---Sets the largest datagram that is sent.
---
---Qt rows: Q5-71.
---@param bytes integer 228 to 16717
function DtlsConnection:set_mtu(bytes) end

---Bytes of the largest message for `send`: the mtu without what the cipher adds.
---@return integer
function DtlsConnection:max_size() end

---@return integer? bytes of the message that `recv` would give now, nil when there is none
function DtlsConnection:pending_size() end

---@return boolean pending whether `recv` would give a message without waiting
function DtlsConnection:has_pending() end

---@class qn.DtlsStats
---@field received integer messages taken
---@field received_bytes integer
---@field sent integer messages that the kernel took
---@field sent_bytes integer
---@field dropped integer messages for which the queue had no room
---@field discarded integer datagrams that were not authentic, came twice or belonged to another handshake
---@field retransmissions integer handshake flights that were sent again because nobody answered
---@field queued integer messages that nobody has taken yet

---Counters.
---@return qn.DtlsStats
function DtlsConnection:stats() end

---@alias qn.DtlsEvent
---| "message" # handler(message: string): each message; nobody else may read
---| "ready_read" # handler(): there is a message that `recv` gives
---| "alert_received" # handler(name: string, number: integer): also "close_notify"
---| "alert_sent" # handler(name: string, number: integer)
---| "new_session" # handler(session: qn.TlsSession): a session to resume with
---| "closed" # handler(err?: qn.Error): it has ended; err when it was not closed here

---Calls `f` at each event of this name: from the loop, as a task, one at a time and in order; it may wait. Unknown names
---are thrown.
---
---Qt rows: Q5-71.
---@param name qn.DtlsEvent
---@param f function
---@return self
function DtlsConnection:on(name, f) end

---Like `on`, for the next event only.
---@param name qn.DtlsEvent
---@param f function
---@return self
function DtlsConnection:once(name, f) end

---Removes one listener, all of one event, or all.
---@param name? qn.DtlsEvent
---@param f? function
---@return self
function DtlsConnection:off(name, f) end

---Waits for the next event of this name.
---
---Errors: `timeout`, `closed`.
---@async
---@param name qn.DtlsEvent
---@param timeout? number|false seconds
---@return any value what a handler would get, or true
---@return qn.Error? err
function DtlsConnection:wait(name, timeout) end

---A DTLS server, or an endpoint for clients only: one datagram socket and the connections over it. Made by
---`qn.dtls.listen` and `qn.dtls.over`.
---
---With cookies nothing is kept for a client that has not proven its address, so a flood of forged ones costs no memory.
---A client that begins anew from the same address and port takes the place of its old connection when its handshake is
---done, not before (RFC 6347, 4.2.8).
---@class qn.DtlsServer
local DtlsServer = {}

---Takes the next connection whose handshake is done, waits for it when there is none. Several tasks may wait; they are
---served in order.
---
---Errors: `timeout`, `closed` (the server was closed, or is for clients only).
---Qt rows: Q5-71.
---@async
---@param timeout? number|false seconds
---@return qn.DtlsConnection? connection
---@return qn.Error? err
function DtlsServer:accept(timeout) end

---No new clients: handshakes and connections that nobody took are ended, others go on, and the socket is closed with the
---last of them. `close` does this and can wait for what `serve` runs. Idempotent.
function DtlsServer:stop() end

---@return qn.Address? address of the socket, nil when it is closed
function DtlsServer:address() end

---@return integer? port of the socket, nil when it is closed
function DtlsServer:port() end

---@return boolean listening whether clients may come
function DtlsServer:is_listening() end

---`"listening"`; `"open"`: nobody can come, but connections go on or can be begun; `"closed"`.
---@return "listening"|"open"|"closed"
function DtlsServer:state() end

---@class qn.DtlsServerStats
---@field received integer datagrams
---@field invalid integer datagrams that were not DTLS, or of nobody who is known
---@field cookies_sent integer clients that were asked to prove their address
---@field accepted integer handshakes that were completed
---@field failed integer handshakes that failed, took too long or were dropped
---@field refused integer clients for whom there was no room
---@field connections integer now
---@field handshakes integer under way now
---@field waiting integer connections that nobody has accepted yet

---Counters.
---@return qn.DtlsServerStats
function DtlsServer:stats() end

---@alias qn.DtlsServerEvent
---| "handshake_error" # handler(err: qn.Error, peer: qn.Address): a client's handshake has failed
---| "datagram" # handler(data: string, from: qn.Datagram): one that is not DTLS (RFC 7983); `from:reply` answers it in clear

---Calls `f` at each event of this name. Unknown names are thrown.
---@param name qn.DtlsServerEvent
---@param f function
---@return self
function DtlsServer:on(name, f) end

---Like `on`, for the next event only.
---@param name qn.DtlsServerEvent
---@param f function
---@return self
function DtlsServer:once(name, f) end

---Removes one listener, all of one event, or all.
---@param name? qn.DtlsServerEvent
---@param f? function
---@return self
function DtlsServer:off(name, f) end

---Waits for the next event of this name.
---
---Errors: `timeout`, `closed`.
---@async
---@param name qn.DtlsServerEvent
---@param timeout? number|false seconds
---@return any value what a handler would get
---@return qn.Error? err
function DtlsServer:wait(name, timeout) end

---Knows whether a ClientHello brings the cookie that its sender was given. Made by `qn.dtls.verifier`.
---@class qn.DtlsVerifier
local DtlsVerifier = {}

---Looks at a datagram: true, it is a ClientHello with a right cookie; false and an answer of 60 bytes at most (a
---HelloVerifyRequest, to be sent to this address); nil, it is no ClientHello. Cookies are good for one to two minutes.
---
---Qt rows: Q5-72.
---@param datagram string
---@param address string|qn.Address of its sender
---@param port integer
---@return boolean? verified
---@return string? reply
function DtlsVerifier:check(datagram, address, port) end
