---Certificates: reading PEM, DER and bundles, files, folders and patterns, verification of chains.
---
---Gathered by lua/qn/tls.lua. C reads and verifies (bindings/b_certificate_read.c); here options are
---checked and files are found. Nothing is kept between calls.

local core = require "qn.core"
local options = require "qn.options"

---@class qn.tls
local M = {}

local FILE_MAX <const> = 16 << 20 -- bytes of one file
local BUNDLE_MAX <const> = 4096 -- certificates of one result

local function is_stream(value)
  return type(value) == "userdata" and getmetatable(value) == "qn" and not core.is_bytes(value)
    and value.read_exactly ~= nil
end

-- A string, or all that a stream still gives; nil and an error.
local function text_of(value, where)
  if type(value) == "string" then
    return value
  elseif not is_stream(value) then
    error(("bad argument #1 to '%s' (string or stream expected, got %s)"):format(where,
      type(value)), 3)
  end
  local text, err = value:read("a", { max = FILE_MAX })
  return text or not err and "" or nil, err
end

---The first certificate of PEM text, of DER, or of a PKCS#7 structure. What is before it and behind it is not looked
---at.
---
---Errors: kind `invalid` (code CERT_FORMAT; the message says where and why, `line` is that of the PEM block), `limit`
---(more than 16 MiB of text, 1 MiB of certificate).
---Qt rows: CERT-01.
---@async
---@param data string|qn.Stream a stream (also a file) is read to its end; only then it waits
---@return qn.Certificate? certificate
---@return qn.Error? err
function M.certificate(data)
  local text, err = text_of(data, "certificate")
  if not text then
    return nil, err
  end
  return core.certificate(text)
end

-- --- files ---------------------------------------------------------------------------------------

local function is_path(text)
  return text ~= "" and not text:find("[\0\r\n]") and not text:find("^0[\x80-\xff]")
end

-- A shell pattern for one name as a Lua pattern: *, ? and [...].
local function pattern_of(glob)
  local out, at = {}, 1
  while at <= #glob do
    local set = glob:match("^%[[!^]?%]?[^%]]*%]", at)
    local char = glob:sub(at, at)
    if set then
      local negated, body = set:match("^%[([!^]?)(.*)%]$")
      out[#out + 1] = (negated ~= "" and "[^" or "[") .. body:gsub("[%%%]^]", "%%%0") .. "]"
    else
      out[#out + 1] = char == "*" and ".*" or char == "?" and "." or char:gsub("%W", "%%%0")
    end
    at = at + #(set or char)
  end
  return "^" .. table.concat(out) .. "$"
end

local function matcher(glob)
  local pattern = pattern_of(glob)
  return function(name)
    return (name:sub(1, 1) ~= "." or glob:sub(1, 1) == ".") and name:find(pattern) ~= nil
  end
end

local function stat(path)
  local found = require "qn.file".stat(path)
  return found and found.type
end

local function join(folder, name)
  return folder:sub(-1) == "/" and folder .. name or folder .. "/" .. name
end

-- The paths that a pattern stands for, sorted; every part of it may have wildcards.
local function expand(glob)
  local paths = { glob:sub(1, 1) == "/" and "/" or "." }
  for part in glob:gmatch("[^/]+") do
    local next_paths = {}
    for _, folder in ipairs(paths) do
      if not part:find("[*?%[]") then
        next_paths[#next_paths + 1] = stat(join(folder, part)) and join(folder, part)
      else
        local matches = matcher(part)
        for _, name in ipairs(require "qn.file".list(folder) or {}) do
          next_paths[#next_paths + 1] = matches(name) and join(folder, name) or nil
        end
      end
    end
    paths = next_paths
  end
  return paths
end

local function read_file(path)
  local text, err = require "qn.file".read(path, { max = FILE_MAX })
  if not text then
    return nil, err
  end
  return core.certificates(text, path)
end

-- All of several files, each certificate once. Files that hold none are no error.
local function read_files(paths)
  local all, seen = {}, {}
  for _, path in ipairs(paths) do
    local found, err
    if stat(path) == "file" then
      found, err = read_file(path)
    end
    if not found and err and not (err.code == "CERT_FORMAT" and not err.line) then
      return nil, err
    end
    for _, certificate in ipairs(found or {}) do
      local id = certificate:to_der()
      all[#all + 1] = not seen[id] and certificate or nil
      seen[id] = true
    end
    if #all > BUNDLE_MAX then
      local fields = { op = "certificates", code = "LIMIT" }
      return nil, core.error("limit", "more than 4096 certificates", fields)
    end
  end
  return all
end

local function paths_in(folder)
  local names, err = require "qn.file".list(folder)
  if not names then
    return nil, err
  end
  local paths, is_shown = {}, matcher("*")
  for _, name in ipairs(names) do
    paths[#paths + 1] = is_shown(name) and join(folder, name) or nil
  end
  return paths
end

---All certificates of a bundle (PEM text among which there may be anything else, DER ones back to back, PKCS#7), of what
---a stream still gives, of a file, of the files in a folder, or of those that a pattern stands for (`*`, `?` and `[...]` in any part of the path).
---What has a line break or begins as DER does is a bundle, all else a path. In folders and patterns, files that hold no
---certificate are skipped, and each certificate is given once.
---
---Errors: kind `invalid` (code CERT_FORMAT; the message says which one of which file, in which line), `limit` (16 MiB of
---one file, 1 MiB of one certificate, 4,096 certificates), those of `qn.file.read`; a pattern that no file matches and a
---folder without certificates give an empty list.
---Qt rows: CERT-05.
---@async
---@param source string|qn.Stream bundle or path; a stream of a bundle
---@return qn.Certificate[]? certificates
---@return qn.Error? err
function M.certificates(source)
  local text, wrong = text_of(source, "certificates")
  if not text then
    return nil, wrong
  elseif is_stream(source) or not is_path(source) then
    return core.certificates(text)
  end
  local kind = stat(source)
  if kind == "directory" then
    local paths, err = paths_in(source)
    if not paths then
      return nil, err
    end
    return read_files(paths)
  elseif not kind and source:find("[*?%[]") then
    return read_files(expand(source))
  end
  return read_file(source)
end

---The certificates that this system trusts, all of them: those of SSL_CERT_FILE (a file) and SSL_CERT_DIR (folders in
---OpenSSL's hashed form) when one of the variables is set, else of the system's usual places. They are read and decoded
---in this call: some tens of milliseconds. Connections do less: they share one store in the process, whose certificates
---are decoded when a chain leads to them.
---
---Errors: kind `io` (ENOENT ...), `denied`, `limit`.
---@return qn.Certificate[]? certificates
---@return qn.Error? err
function M.system_certificates()
  return core.certificates_of_system()
end

-- --- verification --------------------------------------------------------------------------------

---@class qn.VerifyOptions
---@field ca? string|qn.Certificate|(string|qn.Certificate)[] who is trusted: certificates, their PEM or DER, paths as of `qn.tls.certificates`, "system" (default: "system")
---@field purpose? "any"|"server"|"client" what the certificate is used for (default "server" with a host, else "any")
---@field time? integer seconds since 1970 (default: now)
---@field depth? integer the most certificates between the first and the trusted one, 0 to 100 (default 100)
---@field partial? boolean a trusted certificate need not be self-signed (default false)

local RULES <const> = {
  ca = { type = "table|userdata|string" },
  purpose = { enum = { "any", "server", "client" } },
  time = { type = "integer", min = -62135596800, max = 253402300799 }, -- years 1 to 9999
  depth = { type = "integer", min = 0, max = 100 },
  partial = { type = "boolean" },
}

-- A value or a list of them as a list of certificates; "system" only sets the second result. The third
-- is an error.
local function gather(value, where)
  local list, system = {}, nil
  if value == nil then
    error(("verify: %s: certificates, their text or paths expected, got nil"):format(where), 3)
  end
  for i, item in ipairs(type(value) == "table" and value or { value }) do
    local found, err = { item }, nil
    if item == "system" and where:find("^option") then
      found, system = {}, true
    elseif type(item) == "string" then
      found, err = M.certificates(item)
    elseif not core.tls_is(item, "certificate") then
      error(("verify: %s: certificates, their text or paths expected, got %s at %d")
        :format(where, type(item), i), 3)
    end
    if not found then
      return nil, nil, err
    end
    table.move(found, 1, #found, #list + 1, list)
  end
  return list, system
end

---Verifies a chain: signatures, dates, purposes, name constraints, strength of keys and signatures (at least 112 bits:
---no RSA under 2048 bits, no SHA-1), and the host when one is given. The certificate in question is the first one; the
---order of the others does not matter. Everything that is wrong is reported: each error has a code ("CERT_HAS_EXPIRED"
---...), a message that names the certificate, `certificate` and `depth` (0 = the first). Revocation lists are not asked.
---Waits only when files are to be read.
---
---Errors: a list. Only when nothing could be verified (kind `invalid`: not a host name, no certificate; `limit`; what
---reading files brings) it is one error instead.
---Qt rows: Q5-64.
---@async
---@param chain string|qn.Certificate|(string|qn.Certificate)[] at most 100; text and paths as of `qn.tls.certificates`
---@param host? string name or address
---@param opts? qn.VerifyOptions
---@return true? ok
---@return qn.Error[]|qn.Error|nil errors
function M.verify(chain, host, opts)
  opts = options.check(opts, RULES, "qn.tls.verify")
  if host ~= nil and type(host) ~= "string" then
    error(("bad argument #2 to 'verify' (string expected, got %s)"):format(type(host)), 2)
  end
  local trusted, system, err
  local list, _, why = gather(chain, "argument #1")
  if list and opts.ca ~= nil then
    trusted, system, err = gather(opts.ca, "option 'ca'")
  end
  if why or err then
    return nil, why or err
  end
  if #list == 0 or #list > 100 then
    error(("bad argument #1 to 'verify' (1 to 100 certificates expected, got %d)"):format(#list), 2)
  end
  local purpose = opts.purpose or (host and "server" or "any")
  return core.certificate_verify(list, host, trusted, system, purpose, opts.time, opts.depth,
    opts.partial)
end

return M
