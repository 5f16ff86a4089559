---PKCS#12 files (.p12, .pfx): a private key, its certificate and the chain behind one passphrase.
---
---Gathered by lua/qn/tls.lua. C reads and writes in the thread pool (bindings/b_pkcs12.c); here options are
---checked. Nothing is kept between calls.

local core = require "qn.core"
local options = require "qn.options"

---@class qn.tls
local M = {}

---What is in a PKCS#12 file.
---@class qn.Pkcs12
---@field certificate? qn.Certificate that of the key
---@field key? qn.Key the first private key
---@field chain qn.Certificate[] all other certificates, in their order
---@field name? string the "friendly name"

---What is in a PKCS#12 file (DER, or PEM with a block `PKCS12`). Its MAC is checked before anything is decrypted: the
---classic one, and PBMAC1 (RFC 9579). Several keys: the first one counts. Revocation lists and secrets are left out.
---
---Errors: `auth` (code `KEY_PASSPHRASE`: it is missing or wrong), `invalid` (`CERT_FORMAT`: no such file, or damaged),
---`unsupported` (a file without a MAC; encrypted with RC2-40 as old programs do, `openssl pkcs12 -legacy` converts those),
---`limit` (more than 4 MiB, 1,000 keys and certificates, 2,000,000 iterations for a passphrase, 6,000,000 for all).
---
---Qt rows: Q5-64.
---@async
---@param data string
---@param passphrase? string UTF-8, at most 1,024 bytes; nil and "" open files without one
---@return qn.Pkcs12? contents
---@return qn.Error? err
function M.import_pkcs12(data, passphrase)
  if type(data) ~= "string" then
    error(("bad argument #1 to 'import_pkcs12' (string expected, got %s)"):format(type(data)), 2)
  elseif passphrase ~= nil and type(passphrase) ~= "string" then
    error(("bad argument #2 to 'import_pkcs12' (string expected, got %s)")
      :format(type(passphrase)), 2)
  end
  return core.pkcs12_read(data, passphrase)
end

---What `qn.tls.export_pkcs12` writes: a key with its certificate, or certificates alone.
---@class qn.ExportPkcs12Options
---@field certificate? qn.Certificate
---@field key? qn.Key private, that of the certificate
---@field chain? qn.Certificate[] at most 998
---@field name? string the "friendly name", UTF-8
---@field passphrase string UTF-8, at most 1,024 bytes
---@field iterations? integer what the passphrase costs: 1 to 2,000,000 (default 100,000)

local function is_class(value, field)
  return type(value) == "userdata" and getmetatable(value) == "qn" and value[field] ~= nil
end

local function is_certificate(value) return is_class(value, "is_ca"), "a qn.Certificate" end

local function is_short_text(text)
  return #text <= 1024 and utf8.len(text) ~= nil and not text:find("\0", 1, true),
    "UTF-8 of at most 1024 bytes, without zeros"
end

local RULES <const> = {
  certificate = { check = is_certificate },
  key = { secret = true, check = function(value)
    return is_class(value, "is_private") and value.is_private, "a private qn.Key"
  end },
  chain = { type = "table", check = function(list)
    for _, value in ipairs(list) do
      if not is_certificate(value) then
        return nil, "a list of certificates"
      end
    end
    return #list <= 998, "a list of at most 998 certificates"
  end },
  name = { type = "string", check = is_short_text },
  passphrase = { type = "string", required = true, secret = true },
  iterations = { type = "integer", min = 1, max = 2000000 },
}

---Writes a PKCS#12 file in DER: AES-256 with PBKDF2 (HMAC-SHA256), MAC with SHA-256. OpenSSL, GnuTLS, Java, Windows and
---macOS of the last years read that; older ones do not.
---
---Errors: `invalid` (code `KEY_MISMATCH`: the key is not that of the certificate).
---@async
---@param opts qn.ExportPkcs12Options
---@return string? data
---@return qn.Error? err
function M.export_pkcs12(opts)
  opts = options.check(opts, RULES, "qn.tls.export_pkcs12")
  if not (opts.certificate or opts.key or (opts.chain and opts.chain[1])) then
    error("qn.tls.export_pkcs12: option 'certificate', 'key' or 'chain' is missing", 2)
  end
  if opts.name and not (opts.certificate or opts.key) then
    error("qn.tls.export_pkcs12: option 'name' needs option 'certificate' or 'key'", 2)
  end
  if not is_short_text(opts.passphrase) then -- its text belongs into no message
    error("qn.tls.export_pkcs12: option 'passphrase' must be UTF-8 of at most 1024 bytes, without "
      .. "zeros", 2)
  end
  return core.pkcs12_write(opts.certificate, opts.key, opts.chain or {}, opts.name, opts.passphrase,
    opts.iterations or 100000)
end

return M
