---Keys, curves and cipher suites: the functions that qn.tls has of them.
---
---Gathered by lua/qn/tls.lua. C parses and makes keys (bindings/b_key.c); here options are checked
---and lists become values with read-only fields. Nothing is kept between calls.

local core = require "qn.core"
local options = require "qn.options"

---@class qn.tls
local M = {}

local function refuse(_, field)
  error(("attempt to change field '%s' of a read-only value"):format(tostring(field)), 2)
end

-- A table that can be read and not written to; equal to another one of the same name.
local function seal(fields, name)
  return setmetatable({}, {
    __index = fields,
    __newindex = refuse,
    __pairs = function() return next, fields, nil end,
    __eq = function(a, b) return a.name == b.name and a.protocol == b.protocol end,
    __name = name,
    __tostring = function() return fields.name end,
    __metatable = "qn",
  })
end

---A private or public key from PEM or DER: PKCS#8 (plain or encrypted, with the public key behind it or not),
---SubjectPublicKeyInfo, and the older forms of RSA, EC and DSA. PEM may hold other blocks; its first key counts. An
---encrypted one needs its passphrase.
---
---Errors: `auth` (code `KEY_PASSPHRASE`: it is missing or wrong), `invalid` (`KEY_FORMAT`), `limit` (more than 1 MiB
---of data, 16384 bits, or 2000000 iterations for the passphrase), `unsupported`.
---Qt rows: KEY-01.
---@param data string
---@param passphrase? string
---@return qn.Key?
---@return qn.Error? err
function M.key(data, passphrase)
  return options.blame("key", core.key, data, passphrase)
end
M.key = core.key

---What `qn.tls.generate_key` makes.
---@class qn.GenerateKeyOptions
---@field type? "ec"|"rsa"|"rsa_pss"|"ed25519"|"ed448"|"x25519"|"x448" "ec"
---@field curve? string of an "ec" key: either name of one of `qn.tls.curves()`; "P-256"
---@field bits? integer of an "rsa" or "rsa_pss" key: 1024 to 16384; 2048

local TYPES <const> = { ec = "curve", rsa = "bits", rsa_pss = "bits", ed25519 = "", ed448 = "",
  x25519 = "", x448 = "" }
local TYPE_NAMES <const> = "ec, rsa, rsa_pss, ed25519, ed448, x25519 or x448"

local function check_curve(name)
  if name == "X25519" or name == "X448" then
    error(("generate_key: option 'curve': keys of %s have a type of their own ('%s')")
      :format(name, name:lower()), 3)
  end
  for _, curve in ipairs(core.curves()) do
    if name == curve.name or name == curve.short_name then
      return
    end
  end
  error(("generate_key: option 'curve': unknown curve '%s' (qn.tls.curves() lists them)")
    :format(name), 3)
end

local function check_option(name, value, kind, type_)
  if math.type(value) ~= kind and type(value) ~= kind then
    error(("generate_key: option '%s' must be %s (got %s)"):format(name,
      kind == "string" and "a string" or "an integer", type(value)), 3)
  end
  if name ~= "type" and TYPES[type_] ~= name then
    error(("generate_key: option '%s' is not for keys of type %s"):format(name, type_), 3)
  end
end

---Makes a private key in the thread pool: RSA takes up to seconds, the loop goes on meanwhile.
---@async
---@param opts? qn.GenerateKeyOptions
---@return qn.Key?
---@return qn.Error? err
function M.generate_key(opts)
  if opts ~= nil and type(opts) ~= "table" then
    error(("generate_key: options must be a table (got %s)"):format(type(opts)), 2)
  end
  opts = opts or {}
  local type_ = opts.type or "ec"
  for name, value in pairs(opts) do
    if name == "type" then
      check_option(name, value, "string")
    elseif name ~= "curve" and name ~= "bits" then
      error(("generate_key: unknown option '%s' (there are type, curve and bits)")
        :format(tostring(name)), 2)
    end
  end
  if not TYPES[type_] then
    error(("generate_key: option 'type': unknown type '%s' (there are %s)"):format(type_,
      TYPE_NAMES), 2)
  end
  if opts.curve ~= nil then
    check_option("curve", opts.curve, "string", type_)
    check_curve(opts.curve)
  end
  if opts.bits ~= nil then
    check_option("bits", opts.bits, "integer", type_)
    if opts.bits < 1024 or opts.bits > 16384 then
      error(("generate_key: option 'bits' must be from 1024 to 16384 (got %d)"):format(opts.bits),
        2)
    end
  end
  return core.generate_key(type_, opts.curve, opts.bits or 2048)
end

---A cipher suite: a value with read-only fields. `tostring` gives its name.
---
---Qt rows: CIPH-01.
---@class qn.Cipher
---@field name string as OpenSSL calls it: "ECDHE-RSA-AES256-GCM-SHA384"
---@field standard_name string "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
---@field protocol string the oldest version that has it: "TLSv1.2"
---@field id integer its number in TLS
---@field bits integer of the key of the algorithm
---@field strength integer bits that the key is worth
---@field key_exchange string "ECDHE", "DHE", "RSA", "PSK" ...; "any" in TLS 1.3, which has it apart
---@field authentication string "RSA", "ECDSA", "PSK" ...; "any" in TLS 1.3
---@field encryption string "AES-256-GCM", "CHACHA20-POLY1305" ...
---@field mac string "AEAD", or the digest of the HMAC
---@field aead boolean

---The cipher suites that are there, best first: all that encrypt and authenticate, or those that `filter` names, in
---OpenSSL's language ("ECDHE+AESGCM:!aRSA"). Those of TLS 1.3 are always among them: the filter is about older ones.
---
---Errors: `invalid` (the filter names none).
---Qt rows: CIPH-01.
---@param filter? string
---@return qn.Cipher[]?
---@return qn.Error? err
function M.ciphers(filter)
  if filter ~= nil and type(filter) ~= "string" then
    error(("bad argument #1 to 'ciphers' (string expected, got %s)"):format(type(filter)), 2)
  end
  local list, err = core.ciphers(filter)
  if not list then
    return nil, err
  end
  for i, fields in ipairs(list) do
    list[i] = seal(fields, "qn.Cipher")
  end
  return list
end

---An elliptic curve: a value with read-only fields. `tostring` gives its name.
---
---Qt rows: Q5-68.
---@class qn.Curve
---@field name string "P-256", else the short name
---@field short_name string "prime256v1"
---@field long_name string
---@field bits integer
---@field is_tls boolean whether it has a number in TLS

---The elliptic curves that are there.
---
---Qt rows: Q5-68.
---@return qn.Curve[]?
---@return qn.Error? err
function M.curves()
  local list, err = core.curves()
  if not list then
    return nil, err
  end
  for i, fields in ipairs(list) do
    list[i] = seal(fields, "qn.Curve")
  end
  return list
end

return M
