---@meta

---Reads and writes Qt's binary format, byte for byte as QDataStream, over a stream, a string or memory.
---Made by `stream:data_stream()` and `qn.data_stream`. After a failed read all reads fail until the status
---is reset, as in Qt.
---@class qn.DataStream
local Data = {}

---Reads a signed 8-bit integer.
---
---Qt rows: DS-03.
---@async
---@return integer? value
---@return qn.Error? err
function Data:read_int8() end

---Writes a signed 8-bit integer; one that does not fit is thrown.
---
---Qt rows: DS-03.
---@async
---@param v integer
---@return true? ok
---@return qn.Error? err
function Data:write_int8(v) end

---Reads a signed 16-bit integer.
---
---Qt rows: DS-03.
---@async
---@return integer? value
---@return qn.Error? err
function Data:read_int16() end

---Writes a signed 16-bit integer; one that does not fit is thrown.
---
---Qt rows: DS-03.
---@async
---@param v integer
---@return true? ok
---@return qn.Error? err
function Data:write_int16(v) end

---Reads a signed 32-bit integer.
---
---Qt rows: DS-03.
---@async
---@return integer? value
---@return qn.Error? err
function Data:read_int32() end

---Writes a signed 32-bit integer; one that does not fit is thrown.
---
---Qt rows: DS-03.
---@async
---@param v integer
---@return true? ok
---@return qn.Error? err
function Data:write_int32(v) end

---Reads an unsigned 8-bit integer.
---
---Qt rows: DS-03.
---@async
---@return integer? value
---@return qn.Error? err
function Data:read_uint8() end

---Writes an unsigned 8-bit integer; one that does not fit is thrown.
---
---Qt rows: DS-03.
---@async
---@param v integer
---@return true? ok
---@return qn.Error? err
function Data:write_uint8(v) end

---Reads an unsigned 16-bit integer.
---
---Qt rows: DS-03.
---@async
---@return integer? value
---@return qn.Error? err
function Data:read_uint16() end

---Writes an unsigned 16-bit integer; one that does not fit is thrown.
---
---Qt rows: DS-03.
---@async
---@param v integer
---@return true? ok
---@return qn.Error? err
function Data:write_uint16(v) end

---Reads an unsigned 32-bit integer.
---
---Qt rows: DS-03.
---@async
---@return integer? value
---@return qn.Error? err
function Data:read_uint32() end

---Writes an unsigned 32-bit integer; one that does not fit is thrown.
---
---Qt rows: DS-03.
---@async
---@param v integer
---@return true? ok
---@return qn.Error? err
function Data:write_uint32(v) end

---Reads an unsigned 64-bit integer; from 2^63 on it is a negative Lua integer with the same bits.
---
---Qt rows: DS-03.
---@async
---@return integer? value
---@return qn.Error? err
function Data:read_uint64() end

---Writes an unsigned 64-bit integer, given as the Lua integer with the same bits.
---
---Qt rows: DS-03.
---@async
---@param v integer
---@return true? ok
---@return qn.Error? err
function Data:write_uint64(v) end
