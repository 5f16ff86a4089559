---@meta

---A TLS session to resume: a secret. It can be kept as bytes and given to `session =`.
---@class qn.TlsSession
---@field version string "TLSv1.3"
---@field expires integer seconds since 1970
local TlsSession = {}

---Its bytes, to be kept and given to `session =` later. They are a secret: who has them can pretend to be
---this client.
---
---Errors: `limit` (more than 64 KiB), `invalid`.
---Qt rows: Q5-65.
---@return string? bytes
---@return qn.Error? err
function TlsSession:export() end
