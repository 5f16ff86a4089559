---OCSP answers as values (QOcspResponse).
---
---What servers staple is checked by the connection: option `ocsp`, and `socket:tls().ocsp`. Here an answer
---is only read. Must not be taken for a check.

local core = require "qn.core"

---@class qn.tls
local M = {}

---An OCSP answer: what a responder says of a certificate. Times are Unix seconds.
---@class qn.OcspAnswer
---@field status "good"|"revoked"|"unknown"|"invalid" "invalid": of a connection, it does not count: `problem` says why
---@field problem? string
---@field reason? string why it was revoked: "key_compromise", "ca_compromise", "affiliation_changed", "superseded", "cessation_of_operation", "certificate_hold" and others of RFC 5280
---@field this_update? integer
---@field next_update? integer
---@field produced_at? integer
---@field revoked_at? integer
---@field der string

---Reads an OCSP answer in DER, as `ocsp_staple` takes it: what it says of its first certificate. Nothing is
---checked: anybody may have made it.
---
---Errors: `invalid` (not an answer, or one of a responder that failed), `limit` (above 64 KiB).
---Qt rows: Q5-74.
---@param der string
---@return qn.OcspAnswer? answer
---@return qn.Error? err
function M.ocsp(der)
  if type(der) ~= "string" then
    error("bad argument #1 to 'ocsp' (string expected, got " .. type(der) .. ")", 2)
  end
  return core.ocsp(der)
end

return M
