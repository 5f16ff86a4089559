---@meta

---A stream of bytes: what sockets, files and in-memory pairs share, and everything that reads and
---writes (Qt's QIODevice).
---
---One task reads at a time: a second one gets an error of kind `busy` and does not disturb the first.
---Any number may write; they are served in order. All methods that may wait take part in
---cancellation and deadlines. Bytes leave the stream only when a read succeeds: one that times out or
---is cancelled loses nothing. The end of the stream is a lone `nil`; after an error what had arrived
---before it is delivered first. Close it with `close`, or keep it in a `<close>` variable; one that
---the collector finds open is closed and counted in `qn.stats().leaked`.
---@class qn.Stream
local Stream = {}

---@alias qn.ReadFormat
---| integer # this many bytes; fewer only at the end of the stream; 0 tells whether there is more
---| "l" # a line without its end (LF; a CR before it stays)
---| "L" # a line with its end
---| "a" # everything up to the end of the stream; never nil
---| "n" # a number, as in `io.read`

---@class qn.ReadOptions
---@field timeout? number|false seconds for the whole call; default: what `set_timeouts` says
---@field max? integer the largest item in bytes: 64 KiB for lines, 64 MiB for "a"; beyond it: kind `limit`, nothing is lost

---@class qn.ReadUntilOptions: qn.ReadOptions
---@field include? boolean keep the delimiter (default false)

---@class qn.TimeoutOption
---@field timeout? number|false seconds for the whole call; default: what `set_timeouts` says

---@class qn.ReadIntoOptions: qn.TimeoutOption
---@field append? boolean add to what the buffer holds (default: replace it)

---@class qn.SendFileOptions: qn.TimeoutOption
---@field offset? integer where to begin (default 0)
---@field count? integer how many bytes (default: to the end of the file)

---@class qn.StreamTimeouts
---@field connect? number|false seconds for look-up and connect together (default 30)
---@field read? number|false seconds that a read may wait (default: none)
---@field write? number|false seconds without progress of a blocked write or a closing stream (default 60)
---@field idle? number|false seconds without traffic in either direction while a read waits (default: none)

---Reads by the formats of `io.read`, several in one call; without one, a line.
---
---Errors: `timeout` (phase "read", or "idle"), `limit`, `busy`, `reset`, `closed`.
---Qt rows: QIO-06, QIO-07, QIO-08, QIO-13, ABS-16, WEAK-19.
---@async
---@param ... qn.ReadFormat|qn.ReadOptions formats, then options
---@return string|number|nil value one per format; nil at the end of the stream (and nothing behind it)
---@return qn.Error? err
function Stream:read(...) end

---Reads `n` bytes or fails.
---
---Errors: `eof` when the stream ends first (`err.partial` holds what there was), `timeout`, `busy`,
---`reset`, `closed`.
---Qt rows: QIO-06.
---@async
---@param n integer
---@param opts? qn.TimeoutOption
---@return string? data
---@return qn.Error? err
function Stream:read_exactly(n, opts) end

---Reads what is there, at least one byte; waits for that one.
---
---Errors: `timeout`, `busy`, `reset`, `closed`.
---Qt rows: QIO-06, ABS-46.
---@async
---@param max? integer at most this many bytes; or the options
---@param opts? qn.TimeoutOption
---@return string? data nil at the end of the stream
---@return qn.Error? err
---@overload fun(self: qn.Stream, opts: qn.TimeoutOption): string?, qn.Error?
function Stream:recv(max, opts) end

---Reads up to a delimiter, which is taken from the stream and returned only with `include`.
---
---Errors: `eof` when the stream ends without it (`err.partial` holds the rest), `limit`, `timeout`,
---`busy`, `reset`, `closed`.
---Qt rows: QIO-08.
---@async
---@param delim string 1 to 64 bytes
---@param opts? qn.ReadUntilOptions
---@return string? data nil at the end of the stream
---@return qn.Error? err
function Stream:read_until(delim, opts) end

---Reads exactly what a `string.unpack` format needs and returns the values. Lengths in front of
---strings come from the peer: one beyond `max` (64 MiB) is refused before it is read.
---
---Errors: `eof` when the stream ends inside (`err.partial` holds the rest), `limit`, `timeout`,
---`busy`, `reset`, `closed`. A bad format is thrown.
---Qt rows: DS-08, Q5-21.
---@async
---@param fmt string
---@param opts? qn.ReadOptions
---@return any ... values; nil at the end of the stream; nil and the error
function Stream:unpack(fmt, opts) end

---Packs values by a `string.pack` format and writes them.
---
---Errors: as `write`. A bad format or value is thrown.
---Qt rows: DS-03.
---@async
---@param fmt string
---@param ... any
---@return true? ok
---@return qn.Error? err
function Stream:pack(fmt, ...) end

---Looks at the next `n` bytes (fewer only at the end of the stream); the next read sees them again.
---
---Errors: `timeout`, `busy`, `reset`, `closed`.
---Qt rows: QIO-10.
---@async
---@param n integer 1 to 64 MiB
---@param opts? qn.TimeoutOption
---@return string? data nil at the end of the stream
---@return qn.Error? err
function Stream:peek(n, opts) end

---Reads and drops `n` bytes.
---
---Errors: as `recv`; `err.skipped` says how many had been dropped.
---Qt rows: Q5-21.
---@async
---@param n integer
---@param opts? qn.TimeoutOption
---@return integer? skipped fewer than `n` only at the end of the stream
---@return qn.Error? err
function Stream:skip(n, opts) end

---Puts bytes back: the next read sees them first.
---
---Errors: `limit` (64 MiB in all), `closed`.
---Qt rows: QIO-11.
---@param data string
---@return true? ok
---@return qn.Error? err
function Stream:unread(data) end

---Reads into a buffer without making a Lua string: what is there, at least one byte.
---
---Errors: `timeout`, `busy` (thrown when the buffer is in use by a waiting call), `reset`, `closed`.
---Qt rows: QIO-06.
---@async
---@param buf qn.Buffer its content is replaced unless `append` is set
---@param max? integer at most this many bytes (default: the buffer's capacity); or the options
---@param opts? qn.ReadIntoOptions
---@return integer? n nil at the end of the stream
---@return qn.Error? err
---@overload fun(self: qn.Stream, buf: qn.Buffer, opts: qn.ReadIntoOptions): integer?, qn.Error?
function Stream:read_into(buf, max, opts) end

---Writes strings, numbers and buffers, all of them. It waits only while more than the high-water mark
---(1 MiB) is queued; what is written in one turn of the loop goes out together. The pieces may be
---used again when it returns.
---
---Errors: `reset`, `closed` (also: shut down), `timeout` (no progress for the write time limit, phase
---"write"), `busy`; `err.partial` says how many bytes had been taken. A write that is cancelled or
---fails in the middle ends the writing side: the peer must not see a torn message.
---Qt rows: QIO-12, ABS-38, ABS-39, WEAK-13, BAD-03.
---@async
---@param ... string|number|qn.Buffer
---@return true? ok
---@return qn.Error? err
function Stream:write(...) end

---Waits until everything written has been given to the kernel.
---
---Errors: as `write`.
---Qt rows: QIO-13, ABS-17.
---@async
---@return true? ok
---@return qn.Error? err
function Stream:flush() end

---Sends what the kernel takes now, without waiting.
---
---Errors: as `write`.
---Qt rows: ABS-12.
---@return integer? bytes
---@return qn.Error? err
function Stream:push() end

---Ends our writing side when all has been sent: the peer reads the end of the stream, we can still
---read. Later writes fail with kind `closed`.
---
---Errors: as `write`.
---Qt rows: ABS-47, Q5-22.
---@async
---@param side? "w"
---@return true? ok
---@return qn.Error? err
function Stream:shutdown(side) end

---Closes gracefully and at once returns: waiting calls end with kind `closed`, unread bytes are
---dropped, what was written is still sent in the background (given up after 60 s without progress).
---Idempotent. `wait_closed` waits for the end of it.
---
---Qt rows: ABS-03, ABS-05, ABS-40, ABS-41, ABS-42, QIO-15, BAD-15.
---@return true
function Stream:close() end

---Closes immediately: what was not sent is dropped, a TCP peer sees a reset. Idempotent.
---
---Qt rows: ABS-04, BAD-15.
---@return true
function Stream:abort() end

---Waits until a closed stream has sent what it held and its descriptor is gone.
---
---Errors: `timeout`, `busy`.
---Qt rows: ABS-18.
---@async
---@param timeout? number|false seconds
---@return true? ok
---@return qn.Error? err
function Stream:wait_closed(timeout) end

---Bytes that can be read without waiting.
---
---Qt rows: QIO-04, ABS-12.
---@return integer
function Stream:bytes_available() end

---Bytes that were written and not yet given to the kernel.
---
---Qt rows: QIO-05, ABS-12.
---@return integer
function Stream:bytes_to_write() end

---Whether a whole line is buffered.
---
---Qt rows: QIO-09, ABS-12.
---@return boolean
function Stream:can_read_line() end

---Whether the stream has ended and everything was read. Unlike Qt's, it is false while the peer may
---still send.
---
---Qt rows: QIO-03, ABS-12.
---@return boolean
function Stream:at_end() end

---@alias qn.StreamState "unconnected"|"host_lookup"|"connecting"|"connected"|"bound"|"listening"|"closing"

---The state of the connection.
---
---Qt rows: ABS-06.
---@return qn.StreamState
function Stream:state() end

---Whether it is neither closed nor unconnected.
---
---Qt rows: ABS-07, QIO-02.
---@return boolean
function Stream:is_open() end

---The first error of the current connection, or nil.
---
---Qt rows: ABS-06, QIO-14, WEAK-29.
---@return qn.Error?
function Stream:error() end

---The number of the stream in its loop, from 1; what traces show.
---@return integer
function Stream:id() end

---The filters of the stream from top to bottom, for example "socket".
---@return string
function Stream:layers() end

---Bytes that have gone to the kernel so far.
---@return integer
function Stream:bytes_sent() end

---Bytes that have come from the kernel so far.
---@return integer
function Stream:bytes_received() end

---How much is read ahead of the reader.
---
---Qt rows: ABS-11.
---@return integer bytes
function Stream:read_buffer_size() end

---Sets how much may be read ahead of the reader (default 256 KiB; 0 = unlimited). When that much waits,
---the kernel's buffer fills and the peer is slowed down. A read that asks for more gets it.
---
---Qt rows: ABS-11, WEAK-11.
---@param n integer bytes
function Stream:set_read_buffer_size(n) end

---The queue length above which writes wait.
---
---Qt rows: WEAK-13, BAD-03.
---@return integer bytes
function Stream:write_mark() end

---Sets the queue length above which writes wait (default 1 MiB).
---
---Qt rows: WEAK-13, BAD-03.
---@param n integer bytes, at least 1
function Stream:set_write_mark(n) end

---Sets default time limits in seconds, `false` = none; keys that are absent stay as they are.
---
---Qt rows: ABS-15, BAD-11.
---@param timeouts qn.StreamTimeouts
function Stream:set_timeouts(timeouts) end

---Begins a read transaction: what is read from now on can be given back. One at a time; at most the
---read buffer size (beyond it reads fail with kind `limit`).
---
---Qt rows: Q5-21, DS-08.
function Stream:begin() end

---Ends the transaction: what was read stays read.
---
---Qt rows: Q5-21.
---@return true
function Stream:commit() end

---Ends the transaction: the next read sees again what was read in it.
---
---Errors: `closed`, `limit`.
---Qt rows: Q5-21.
---@return true? ok
---@return qn.Error? err
function Stream:rollback() end

---What was written to an in-memory stream so far.
---@return string
function Stream:written() end

---Sends a file without taking its bytes through Lua (sendfile(2) where the stream is a bare socket).
---
---Errors: of opening the file (kinds `io`, `denied`), else as `write`; `err.partial` = bytes sent.
---Qt rows: Q5-22.
---@async
---@param file string|qn.File a path, or an open file (its position does not move)
---@param opts? qn.SendFileOptions
---@return integer? bytes
---@return qn.Error? err
function Stream:send_file(file, opts) end

---@alias qn.StreamEvent
---| "state_changed" # handler(state: qn.StreamState)
---| "host_found" # handler(): the name was looked up (also for literals)
---| "connected" # handler()
---| "ready_read" # handler(): new bytes have arrived, or the end of the stream
---| "bytes_written" # handler(n: integer): bytes that went to the kernel since the last one
---| "error" # handler(err: qn.Error)
---| "read_channel_finished" # handler(): the peer will send no more
---| "disconnected" # handler(): both sides have ended
---| "closed" # handler(): the descriptor is gone; always the last one
---| "mode_changed" # handler(mode: "client"|"server"): a TLS handshake begins
---| "peer_verify_error" # handler(err: qn.Error): something is wrong with the peer's certificates, as it is found
---| "ssl_errors" # handler(errors: qn.Error[]): the certificate would be refused; `ignore_ssl_errors` accepts it, the handshake is held until the handlers have returned
---| "encrypted" # handler(): the handshake is done, and the certificate was accepted
---| "new_session" # handler(session: qn.TlsSession): one to resume later has come
---| "alert_received" # handler(name: string, number: integer): "close_notify", "handshake_failure" ...
---| "alert_sent" # handler(name: string, number: integer)

---Calls `f` at each event of this name: from the loop, as a task, one at a time and in order for each
---object; it may wait. An error in it goes to `qn.on_unhandled`, the events behind it still come. An
---object with listeners stays alive until it is closed. Listeners of `ready_read`, `disconnected` or
---`read_channel_finished` make it read ahead. Unknown names are thrown.
---
---Qt rows: QIO-16, QIO-17, QIO-18, ABS-21, ABS-22, ABS-23, ABS-24, ABS-25, Q5-18.
---@param name qn.StreamEvent
---@param f fun(value: any)
---@return self
function Stream:on(name, f) end

---Like `on`, for the next event only.
---@param name qn.StreamEvent
---@param f fun(value: any)
---@return self
function Stream:once(name, f) end

---Removes one listener, all of one event, or all.
---@param name? qn.StreamEvent
---@param f? fun(value: any)
---@return self
function Stream:off(name, f) end

---Waits for the next event of this name. `connected` and `disconnected` return at once when the stream
---is in that state already.
---
---Errors: `timeout`, `closed`; of `connected` what the connect has failed with.
---Qt rows: QIO-13, ABS-15, ABS-16, ABS-17, ABS-18.
---@async
---@param name qn.StreamEvent
---@param timeout? number|false seconds
---@return any value what a handler would get, or true
---@return qn.Error? err
function Stream:wait(name, timeout) end
