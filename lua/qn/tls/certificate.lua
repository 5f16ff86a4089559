---Certificates: reading PEM, DER and bundles, files by name or pattern, verification of chains.
---
---Gathered by lua/qn/tls.lua. C reads and verifies (bindings/b_certificate.c); here options are
---checked and files are found. Nothing is kept between calls.

local core = require "qn.core"
local options = require "qn.options"

---@class qn.tls
local M = {}

local function check_text(value, where)
  if type(value) ~= "string" then
    error(("bad argument #1 to '%s' (string expected, got %s)"):format(where, type(value)), 3)
  end
end

---The first certificate of PEM text, or of DER.
---
---Errors: kind `invalid` (code CERT_FORMAT), `limit` (more than 16 MiB).
---@param data string
---@return qn.Certificate? certificate
---@return qn.Error? err
function M.certificate(data)
  check_text(data, "certificate")
  return core.certificate(data)
end

-- A shell pattern as a Lua pattern: *, ? and [...] within one name.
local function pattern_of(glob)
  local out = glob:gsub("%[!", "[^"):gsub("[%%%-().+$]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".")
  return "^" .. out .. "$"
end

local function read_files(folder, names)
  local file = require "qn.file"
  local all = {}
  for _, name in ipairs(names) do
    local text, err = file.read(folder .. name, { max = 16 << 20 })
    local found
    if text then
      found, err = core.certificates(text)
    end
    if not found then
      return nil, err
    end
    table.move(found, 1, #found, #all + 1, all)
  end
  return all
end

---All certificates of a bundle (PEM text, or DER ones back to back), of a file, or of the files whose
---names match a pattern (`*`, `?` and `[...]` in the last part of the path). What holds a line break or
---begins as DER does is a bundle, all else a path.
---
---Errors: kind `invalid` (code CERT_FORMAT), `limit` (more than 16 MiB or 4,096 certificates), those of
---`qn.file.read`; a pattern that no file matches gives an empty list.
---@async
---@param source string bundle, path or pattern
---@return qn.Certificate[]? certificates
---@return qn.Error? err
function M.certificates(source)
  check_text(source, "certificates")
  if source == "" or source:find("^0") or source:find("\n", 1, true) then
    return core.certificates(source)
  end
  local folder, last = source:match("^(.*/)([^/]*)$")
  folder, last = folder or "", last or source
  if not last:find("[*?%[]") then
    return read_files(folder, { last })
  end
  local names, err = require "qn.file".list(folder == "" and "." or folder)
  if not names then
    return nil, err
  end
  local pattern, matching = pattern_of(last), {}
  for _, name in ipairs(names) do
    if name:find(pattern) and (name:sub(1, 1) ~= "." or last:sub(1, 1) == ".") then
      matching[#matching + 1] = name
    end
  end
  return read_files(folder, matching)
end

---The certificates that this system trusts: the file that SSL_CERT_FILE names, or the usual one.
---
---Errors: kind `io` (ENOENT ...), `denied`, `limit`.
---@return qn.Certificate[]? certificates
---@return qn.Error? err
function M.system_certificates()
  return core.certificates_of_system()
end

---@class qn.VerifyOptions
---@field ca? qn.Certificate|qn.Certificate[] who is trusted (default: the system's certificates)
---@field purpose? "any"|"server"|"client" what the certificate is used for (default "any")
---@field time? integer seconds since 1970 (default: now)
---@field depth? integer the most certificates between the first and the trusted one
---@field partial? boolean a trusted certificate need not be self-signed

local RULES <const> = {
  ca = { type = "table|userdata" },
  purpose = { enum = { "any", "server", "client" } },
  time = { type = "integer" },
  depth = { type = "integer", min = 0, max = 100 },
  partial = { type = "boolean" },
}

local function list_of(value)
  return type(value) == "userdata" and { value } or value
end

---Verifies a chain: signatures, dates, purposes, strength of keys, and the host when one is given. The
---certificate in question is the first one; the order of the others does not matter. Everything that is
---wrong is reported: each error has a code ("CERT_HAS_EXPIRED" ...), `certificate` and `depth` (0 = the first).
---Revocation lists are not asked.
---
---Errors: a list. Only when nothing could be verified (kind `invalid`: not a host name; `limit`) it is one
---error instead.
---@param chain qn.Certificate|qn.Certificate[] at most 100
---@param host? string name or address
---@param opts? qn.VerifyOptions
---@return true? ok
---@return qn.Error[]|qn.Error|nil errors
function M.verify(chain, host, opts)
  opts = options.check(opts, RULES, "qn.tls.verify")
  if host ~= nil and type(host) ~= "string" then
    error(("bad argument #2 to 'verify' (string expected, got %s)"):format(type(host)), 2)
  end
  return core.certificate_verify(list_of(chain), host, list_of(opts.ca), opts.purpose or "any",
    opts.time, opts.depth, opts.partial)
end

return M
