---@meta

---A digest or an HMAC that is given its data in pieces; made by `qn.crypto.hasher` and `qn.crypto.hmac_hasher`.
---@class qn.Hasher
local Hasher = {}

---Adds data. After `final` it throws until `reset`.
---@param ... string|qn.Buffer
---@return self
function Hasher:update(...) end

---The result. Once; `reset` begins again.
---@param encoding? qn.BytesEncoding "raw"
---@return string
function Hasher:final(encoding) end

---As it was when it was new, with the same key.
---@return self
function Hasher:reset() end

---Another one that has been given the same data.
---@return qn.Hasher
function Hasher:copy() end

---The name of its digest.
---@return string
function Hasher:digest() end

---Bytes of the result.
---@return integer
function Hasher:size() end

---A digest that is there.
---@class qn.DigestInfo
---@field name string "sha256"
---@field size integer bytes of the result
---@field block_size integer bytes of its block

---What scrypt costs.
---@class qn.ScryptOptions
---@field n? integer a power of two; 32768
---@field r? integer block size; 8
---@field p? integer parallelization; 1
---@field size? integer bytes wanted, 1 to 65536; 32
