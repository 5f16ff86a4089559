---@meta

---An open file (QFile): a stream with a position. Made by `qn.file.open`. Reading and writing go on at
---the same position, as in stdio. The disk is only touched in the thread pool, so the loop goes on.
---What was written goes out at the end of the turn; what the system refuses (a full disk) is told by
---`flush`, by the next call that writes, and by `wait_closed` after `close`. The end of reading stays
---until `seek` moves. `shutdown("w")` closes a file that is only written.
---@class qn.File: qn.Stream
local File = {}

---What the file system knows of a file.
---@class qn.FileStat
---@field size integer bytes
---@field type "file"|"directory"|"link"|"pipe"|"socket"|"character"|"block"|"unknown"
---@field modified number seconds since 1970
---@field accessed number seconds since 1970
---@field changed number seconds since 1970: of the inode
---@field mode integer permission bits
---@field uid integer
---@field gid integer
---@field inode integer
---@field device integer

---@class qn.StatOptions
---@field follow? boolean false: of a symbolic link itself (default true)

---Moves the position, or tells it (`file:seek()`); what was read ahead is dropped, what was written goes
---first. Not inside a read transaction.
---
---Once it has moved, the end of the file and a failed read are forgotten: `f:seek("set", f:seek())` lets
---reading go on where others have added something.
---
---Errors: kind `invalid` (ESPIPE: pipes and terminals have no position; EINVAL: before the start),
---`limit`, `busy` (a read of another task waits), `closed`, and those of writing what was queued.
---Qt rows: QIO-15.
---@async
---@param whence? "set"|"cur"|"end" default "cur"
---@param offset? integer default 0
---@return integer? position
---@return qn.Error? err
function File:seek(whence, offset) end

---Sets the size.
---
---Errors: of the system; `busy`, `closed`.
---Qt rows: QIO-15.
---@async
---@param size integer bytes
---@return true? ok
---@return qn.Error? err
function File:truncate(size) end

---Waits until what was written is on the disk (fsync).
---
---Errors: of the system; `busy`, `closed`.
---@async
---@return true? ok
---@return qn.Error? err
function File:sync() end

---What the file system knows of it.
---
---Errors: of the system; `busy`, `closed`.
---Qt rows: QIO-15.
---@async
---@return qn.FileStat? stat
---@return qn.Error? err
function File:stat() end

---Waits until a closed file has written what it held; tells why something did not get there.
---
---Errors: of the system (kind `limit` when the disk is full), `timeout`.
---@async
---@param timeout? number|false seconds
---@return true? ok
---@return qn.Error? err
function File:wait_closed(timeout) end

---The path as it was given; "/dev/stdin" and so on for the standard streams.
---@return string
function File:path() end

---The number of the descriptor, or nil. It stays the file's.
---@return integer?
function File:descriptor() end
