---@meta

---A datagram socket (QUdpSocket). Made by `qn.udp.bind`, `qn.udp.connect`, `qn.udp.socket` and
---`qn.udp.adopt`.
---
---Nothing is queued for sending: what `send` says is what the kernel said. What arrives waits with the
---kernel, in a receive buffer of limited size, and is dropped and counted there when nobody reads. One
---task reads at a time. A read that is cancelled or times out loses no datagram.
---@class qn.UdpSocket
local UdpSocket = {}

---@class qn.UdpOptions
---@field family? "any"|"ipv4"|"ipv6" what a socket is that is bound to "*" or by its first datagram (default any: dual stack)
---@field v6only? boolean an IPv6 socket does not take IPv4
---@field reuse_port? boolean the kernel spreads datagrams over all sockets that say so (SO_REUSEPORT)
---@field broadcast? boolean sending to broadcast addresses (default true)
---@field errors? boolean ICMP errors about unconnected sends are reported, with `err.peer` (default false)
---@field details? boolean each datagram says its hop limit, destination and interface (default false; sockets that are bound to "*" always say the destination and interface)
---@field gro? boolean the kernel may join datagrams of a sender for speed; they are taken apart here (default false)
---@field receive_buffer? integer bytes; Linux doubles what is set
---@field send_buffer? integer bytes; Linux doubles what is set
---@field ttl? integer hop limit
---@field multicast_ttl? integer hop limit of multicast (default 1)
---@field multicast_loopback? boolean multicast is received on this machine, too (default true)

---@class qn.UdpBindOptions: qn.UdpOptions
---@field mode? "default"|"share"|"exclusive"|"reuse" who else may use the port; see `UdpSocket:bind`

---@class qn.UdpConnectOptions: qn.UdpOptions
---@field timeout? number|false seconds for the look-up (default 10)
---@field bind? string|qn.Address local address, with or without a port: "127.0.0.1", "127.0.0.1:4000", "[::1]:4000"
---@field mode? "default"|"share"|"exclusive"|"reuse" for `bind`

---@class qn.UdpPeerOptions
---@field timeout? number|false seconds for the look-up (default 10)
---@field family? "any"|"ipv4"|"ipv6" which addresses to take (default any)

---@class qn.UdpRecvOptions
---@field timeout? number|false seconds (default none); 0 only looks
---@field max? integer bytes; the rest of a longer datagram is dropped, and `from.truncated` says so

---@class qn.UdpRecvIntoOptions: qn.UdpRecvOptions
---@field append? boolean keep what the buffer holds

---@class qn.UdpRequestOptions
---@field timeout? number|false seconds for each try (default 1)
---@field retries? integer tries after the first one (default 3)
---@field match? string|fun(data: string, from: qn.Datagram): boolean? which datagram is the answer: its first bytes (default: any), or a function, which looks at the sender, too
---@field host? string|qn.Address|qn.Datagram where to send (default: the connected peer)
---@field port? integer
---@field max? integer as in `recv`
---@field on_other? fun(data: string, from: qn.Datagram) takes what does not match

---Binds to a local address literal ("*": all of both families, "localhost") and a port.
---
---Modes: `default` and `exclusive`: nobody else may bind this port; `share` and `reuse`: all sockets that
---say so may (multicast and broadcast reach all of them). Throws when it is bound or connected already.
---
---Errors: `exists` (in use), `unreachable` (not an address of this machine), `denied`, `limit`.
---Qt rows: UDP-01, UDP-02.
---@param addr? string|qn.Address default "*"
---@param port? integer 0 = any free one (default)
---@param mode? "default"|"share"|"exclusive"|"reuse"
---@return true? ok
---@return qn.Error? err
function UdpSocket:bind(addr, port, mode) end

---Connects: `send` needs no address then, only datagrams of this peer are received, and ICMP errors come
---as errors of the next call (`refused`; the socket stays usable). Throws when it is connected already.
---
---Errors: `dns`, `unreachable`, `timeout` (phase "dns"), `closed`.
---Qt rows: UDP-06.
---@async
---@param host string|qn.Address name or address literal
---@param port integer
---@param opts? qn.UdpPeerOptions
---@return true? ok
---@return qn.Error? err
function UdpSocket:connect(host, port, opts) end

---Dissolves the connection; the socket may be connected again.
---
---Errors: `closed` (not connected).
---@return true? ok
---@return qn.Error? err
function UdpSocket:disconnect() end

---Sends one datagram: to the connected peer, to `host` and `port`, or as an answer to a datagram (to its
---sender, from the address that it was sent to). An unbound socket is bound to any port first. A name is
---looked up, through the cache of the resolver; literals and addresses go to the kernel at once.
---Waits only for a look-up and while the kernel has no room.
---
---Errors: `limit` (code DATAGRAM_TOO_LARGE), `unreachable`, `denied`, `refused` (connected: an earlier
---datagram), `closed` (also: no destination), `dns`.
---Qt rows: UDP-05, UDP-08, UDP-09, UDP-10.
---@async
---@param data string|qn.Buffer
---@param host? string|qn.Address|qn.Datagram
---@param port? integer
---@return true? ok
---@return qn.Error? err
function UdpSocket:send(data, host, port) end

---Like `send`, but never waits: kind `busy` when the kernel has no room. Names are thrown.
---@param data string|qn.Buffer
---@param host? string|qn.Address|qn.Datagram
---@param port? integer
---@return true? ok
---@return qn.Error? err
function UdpSocket:try_send(data, host, port) end

---@alias qn.UdpEntry string|qn.Buffer|qn.Datagram|{data: string|qn.Buffer, to?: qn.Datagram, host?: string|qn.Address, port?: integer}

---Sends many in few system calls, in order. An entry is what is sent to `host` and `port` (or the
---connected peer), a datagram of `recv_batch` (its bytes go back to its sender), or a table: `{data, host,
---port}`, `{data, datagram}`, or the same with the names data, host, port, to. Equal sizes to one
---destination leave as segments of one send where the kernel can do that. The list is checked as a whole
---before the first datagram leaves.
---
---Errors: those of `send`; `err.partial` is the number that was sent.
---@async
---@param list qn.UdpEntry[]
---@param host? string|qn.Address|qn.Datagram default destination
---@param port? integer
---@return integer? sent
---@return qn.Error? err
function UdpSocket:send_batch(list, host, port) end

---Receives one datagram, however long. It may be empty.
---
---Errors: `timeout`, `closed` (also: bound to nothing), `busy` (another task reads), `refused` and other
---ICMP errors of a connected socket or with the option `errors`.
---Qt rows: UDP-03, UDP-04, UDP-07, Q5-12, WEAK-17.
---@async
---@param opts? qn.UdpRecvOptions
---@return string? data
---@return qn.Datagram|qn.Error from where it came from, or the error
function UdpSocket:recv(opts) end

---Receives one datagram into a buffer, which it replaces, or is added to with `append`. At most `max`
---bytes; default: as many as the buffer was made for.
---@async
---@param buf qn.Buffer
---@param opts? qn.UdpRecvIntoOptions
---@return integer? size
---@return qn.Datagram|qn.Error from
function UdpSocket:recv_into(buf, opts) end

---Receives what is there, at least one and at most `n` datagrams: few system calls, one object each,
---which has its bytes in `data`.
---@async
---@param n? integer default 64
---@param opts? qn.UdpRecvOptions
---@return qn.Datagram[]? list
---@return qn.Error? err
function UdpSocket:recv_batch(n, opts) end

---Datagrams as they come: `for data, from in socket:each() do`. Ends when the socket is closed; other
---errors are thrown.
---@async
---@param opts? qn.UdpRecvOptions
---@return fun(socket: qn.UdpSocket): string?, qn.Datagram
---@return qn.UdpSocket socket
function UdpSocket:each(opts) end

---The size of the first datagram that waits, or nil. An empty one has size 0.
---
---Qt rows: UDP-03.
---@return integer?
function UdpSocket:pending_size() end

---Whether a datagram waits.
---
---Qt rows: UDP-03.
---@return boolean
function UdpSocket:has_pending() end

---Joins a multicast group, on an interface (name, index or one of its addresses; default: the system
---chooses), and for datagrams of one source only if that is given. Throws when the socket is not bound.
---
---Errors: `exists` (a member already), `io` (no such interface, or no route to the group).
---Qt rows: Q5-01.
---@param group string|qn.Address
---@param interface? string|integer|qn.Address
---@param source? string|qn.Address
---@return true? ok
---@return qn.Error? err
function UdpSocket:join(group, interface, source) end

---Leaves a group that was joined with the same arguments.
---
---Errors: `unreachable` (no member).
---Qt rows: Q5-01.
---@param group string|qn.Address
---@param interface? string|integer|qn.Address
---@param source? string|qn.Address
---@return true? ok
---@return qn.Error? err
function UdpSocket:leave(group, interface, source) end

---Reads (index and name; nil while the system chooses) or sets the interface that multicast leaves by.
---
---Qt rows: Q5-01.
---@param interface? string|integer|qn.Address 0: the system chooses
---@return integer|true|nil index
---@return string|qn.Error|nil name
function UdpSocket:multicast_interface(interface) end

---Reads or sets a socket option. What is set before there is a descriptor is kept for it.
---
---Errors: `closed`, `unsupported`. Unknown names and bad values are thrown.
---Qt rows: Q5-02.
---@param name qn.SocketOptionName
---@param value? integer|boolean set to this
---@return integer|true|nil value the value; true when it was set
---@return qn.Error? err
function UdpSocket:option(name, value) end

---The local address, or nil while there is none.
---@return qn.Address?
function UdpSocket:local_address() end

---The local port, or nil while there is none.
---@return integer?
function UdpSocket:local_port() end

---The address of the connected peer, or nil.
---@return qn.Address?
function UdpSocket:peer_address() end

---The port of the connected peer, or nil.
---@return integer?
function UdpSocket:peer_port() end

---The number of the socket in its loop, from 1; what traces show.
---@return integer
function UdpSocket:id() end

---The descriptor, or nil while there is none.
---@return integer?
function UdpSocket:descriptor() end

---The state; "unconnected" after close.
---@return "unconnected"|"host_lookup"|"bound"|"connected"
function UdpSocket:state() end

---@class qn.UdpStats
---@field received integer datagrams that were taken
---@field received_bytes integer
---@field sent integer
---@field sent_bytes integer
---@field dropped integer by the kernel: the receive buffer was full, or a checksum wrong
---@field truncated integer
---@field queued integer fetched from the kernel, not taken yet (16 at most)
---@field system_calls integer for sending and receiving

---Counters of this socket.
---@return qn.UdpStats
function UdpSocket:stats() end

---Closes: waiting calls get kind `closed`, what was not taken is dropped. Idempotent.
function UdpSocket:close() end

---@alias qn.UdpEvent
---| "datagram" # handler(data: string, from: qn.Datagram): each datagram, in order
---| "ready_read" # handler(): something is there; again when a datagram was read and more is there
---| "error" # handler(err: qn.Error): an error while receiving for handlers
---| "state_changed" # handler(state: string)
---| "host_found" # handler()
---| "connected" # handler()
---| "disconnected" # handler()
---| "closed" # handler()

---Calls `f` at each event of this name: from the loop, as a task, one at a time and in order; it may
---wait. With a `datagram` listener the socket reads by itself, at most 64 datagrams ahead of the handlers:
---`recv` gets kind `busy` then. A socket with such listeners stays alive until it is closed. Unknown names
---are thrown.
---
---Qt rows: UDP-07, WEAK-17.
---@param name qn.UdpEvent
---@param f fun(...: any)
---@return self
function UdpSocket:on(name, f) end

---Like `on`, for the next event only.
---@param name qn.UdpEvent
---@param f fun(...: any)
---@return self
function UdpSocket:once(name, f) end

---Removes one listener, or all of an event, or all.
---@param name? qn.UdpEvent
---@param f? fun(...: any)
---@return self
function UdpSocket:off(name, f) end

---Waits for the next event of this name.
---
---Errors: `timeout`, `closed`.
---@async
---@param name qn.UdpEvent
---@param timeout? number|false seconds
---@return any value what a handler would get first, or true
---@return qn.Error? err
function UdpSocket:wait(name, timeout) end

---What came with a datagram (QNetworkDatagram): a value. As text: address and port of its sender.
---`from[1]` is `data` and `from[2]` the datagram itself, so an entry of `recv_batch` can be taken apart
---like what `recv` returns.
---@class qn.Datagram
---@field data string? its bytes; only in datagrams of `recv_batch` (`recv` gives them beside)
---@field address qn.Address of the sender
---@field port integer of the sender
---@field size integer bytes of the whole datagram, also when it was cut
---@field truncated boolean bytes were cut off
---@field destination qn.Address? what it was sent to: one of our addresses, a group, a broadcast address
---@field destination_port integer?
---@field interface_index integer? where it came in; on sockets bound to "*", or with `details`
---@field hop_limit integer? with `details`
local Datagram = {}

---Sends an answer to the sender, from the address that the datagram was sent to.
---
---Errors: those of `UdpSocket:send`.
---Qt rows: Q5-12.
---@async
---@param data string|qn.Buffer
---@return true? ok
---@return qn.Error? err
function Datagram:reply(data) end
