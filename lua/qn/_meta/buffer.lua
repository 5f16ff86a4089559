---@meta

---Reusable bytes: for code that must not make a Lua string per read. Made by `qn.buffer`. `#buf` is the
---number of bytes in it. While a call of another task waits on it (a read into it, a long write from
---it), whatever would move its bytes throws an error of kind `busy`.
---
---Qt rows: QIO-06.
---@class qn.Buffer
---@operator len: integer
local Buffer = {}

---A part of the content as a string; positions as in `string.sub`.
---@param i? integer default 1
---@param j? integer default -1
---@return string
function Buffer:tostring(i, j) end

---Finds bytes (no pattern).
---@param delim string at least one byte
---@param init? integer where to begin (default 1)
---@return integer? first
---@return integer? last
function Buffer:find(delim, init) end

---Unpacks by a `string.unpack` format; the bytes stay. Too few of them throw.
---@param fmt string
---@param i? integer position to begin at (default 1)
---@return any ... values, then the position behind them
function Buffer:unpack(fmt, i) end

---Appends values packed by a `string.pack` format.
---@param fmt string
---@param ... any
---@return qn.Buffer self
function Buffer:pack(fmt, ...) end

---Appends strings, numbers and other buffers.
---@param ... string|number|qn.Buffer
---@return qn.Buffer self
function Buffer:append(...) end

---Drops bytes at the front.
---@param n integer at most what is there
---@return qn.Buffer self
function Buffer:consume(n) end

---Drops everything; the memory stays.
---@return qn.Buffer self
function Buffer:clear() end

---The size it was made for: how much `read_into` reads at most by default.
---@return integer bytes
function Buffer:capacity() end
