---Digests, message authentication, random bytes, keys from passwords, text forms of bytes.
---
---C does the work (bindings/b_crypto.c); here streams are read and results become text. Arguments
---are checked there: what is raised names the argument of the same call. Invariant: no function keeps
---what it was given.

local core = require "qn.core"
local options = require "qn.options"

---Digests, message authentication, random bytes, keys from passwords, text forms of bytes. Data is a string
---or a `qn.Buffer`. Names of digests are taken in any case and with or without `-`: "sha256", "SHA-256",
---"sha3-512", "blake2b512" ...; an unknown one is thrown with the nearest name (`qn.crypto.digests()` lists them).
---
---Qt rows: Q5-73.
---@class qn.crypto
local M = {}

---@alias qn.BytesEncoding
---| "raw" # bytes as they are
---| "hex" # lower case
---| "base64"
---| "base64url" # the alphabet for URLs, without padding

local encoders <const> = {
  raw = function(bytes) return bytes end,
  hex = core.to_hex,
  base64 = core.to_base64,
  base64url = function(bytes) return core.to_base64(bytes, "url") end,
}

local function encoder_of(encoding, argument, name)
  local encode = encoders[encoding or "raw"]
  if not encode then
    error(("bad argument #%d to '%s' (unknown encoding '%s': raw, hex, base64 or base64url)")
      :format(argument, name, tostring(encoding)), 3)
  end
  return encode
end

-- What a call of the core raised, told as the caller's fault.
local function raise(message)
  error(message, 3)
end

local CHUNK <const> = 65536

-- Feeds a stream to its end.
local function feed(hasher, stream)
  while true do
    local bytes, err = stream:recv(CHUNK)
    if not bytes then
      return err == nil, err
    end
    hasher:update(bytes)
  end
end

local function is_stream(data)
  return type(data) == "userdata" and getmetatable(data) == "qn" and not core.is_bytes(data)
    and data.read_exactly ~= nil
end

---The digest of data, or of all that a stream (also a file) still gives; only a stream waits.
---
---Errors: those of reading the stream.
---@async
---@param name string "sha256"
---@param data string|qn.Buffer|qn.Stream
---@param encoding? qn.BytesEncoding "raw"
---@return string? digest
---@return qn.Error? err
function M.digest(name, data, encoding)
  local encode = encoder_of(encoding, 3, "digest")
  if is_stream(data) then
    local hasher = M.hasher(name)
    local ok, err = feed(hasher, data)
    if not ok then
      return nil, err
    end
    return hasher:final(encoding)
  end
  local bytes, err = core.digest(name, data)
  if not bytes then
    return nil, err
  end
  return encode(bytes)
end

---The HMAC (RFC 2104) of data, or of all that a stream still gives; only a stream waits.
---
---Errors: those of reading the stream.
---@async
---@param name string the digest: "sha256"
---@param key string|qn.Buffer
---@param data string|qn.Buffer|qn.Stream
---@param encoding? qn.BytesEncoding "raw"
---@return string? mac
---@return qn.Error? err
function M.hmac(name, key, data, encoding)
  local encode = encoder_of(encoding, 4, "hmac")
  if is_stream(data) then
    local hasher = M.hmac_hasher(name, key)
    local ok, err = feed(hasher, data)
    if not ok then
      return nil, err
    end
    return hasher:final(encoding)
  end
  local bytes, err = core.hmac(name, key, data)
  if not bytes then
    return nil, err
  end
  return encode(bytes)
end

---A digest that is given its data in pieces.
---@param name string "sha256"
---@return qn.Hasher
function M.hasher(name)
  return core.hasher(name)
end

---An HMAC that is given its data in pieces.
---@param name string the digest: "sha256"
---@param key string|qn.Buffer
---@return qn.Hasher
function M.hmac_hasher(name, key)
  return core.hasher(name, key or "")
end

---The digests that are there.
---@return qn.DigestInfo[]
function M.digests()
  return core.digests()
end

---Random bytes for keys, tokens and salts, from the system's generator by way of OpenSSL's.
---@param count integer 0 to 16777216
---@param encoding? qn.BytesEncoding "raw"
---@return string
function M.random(count, encoding)
  return encoder_of(encoding, 2, "random")(core.random(count))
end

---A random integer, each of `lo` to `hi` as likely as the others; the bounds may be any integers.
---@param lo integer
---@param hi integer
---@return integer
function M.random_integer(lo, hi)
  return core.random_integer(lo, hi)
end
M.random_integer = core.random_integer

---Whether two secrets are equal, in a time that does not depend on where they differ (their lengths show).
---@param a string|qn.Buffer
---@param b string|qn.Buffer
---@return boolean
function M.equal(a, b)
  return options.blame("equal", core.secret_equal, a, b)
end

---A key from a password by PBKDF1 (RFC 8018), for old data only. Runs in the thread pool.
---
---Qt rows: Q5-73.
---@async
---@param name "md5"|"sha1"
---@param password string|qn.Buffer
---@param salt string|qn.Buffer
---@param iterations integer 1 to 16777216
---@param size integer bytes wanted, at most those of the digest
---@return string? key
---@return qn.Error? err
function M.pbkdf1(name, password, salt, iterations, size)
  return core.pbkdf1(name, password, salt, iterations, size)
end
M.pbkdf1 = core.pbkdf1

---A key from a password by PBKDF2 with HMAC (RFC 8018). Runs in the thread pool, so the loop goes on.
---Iterations times blocks of the digest may be 33554432 at most; what is above a limit is thrown.
---
---Qt rows: Q5-73.
---@async
---@param name string the digest: "sha256"
---@param password string|qn.Buffer
---@param salt string|qn.Buffer
---@param iterations integer 1 to 16777216; 600000 or more for new passwords with sha256
---@param size integer bytes wanted, 1 to 65536
---@return string? key
---@return qn.Error? err
function M.pbkdf2(name, password, salt, iterations, size)
  return core.pbkdf2(name, password, salt, iterations, size)
end
M.pbkdf2 = core.pbkdf2

local SCRYPT <const> = { n = 32768, r = 8, p = 1, size = 32 }

---A key from a password by scrypt (RFC 7914). Runs in the thread pool. n * r * p may be 16777216 and the
---memory 256 MiB at most; what is above a limit is thrown.
---@async
---@param password string|qn.Buffer
---@param salt string|qn.Buffer
---@param opts? qn.ScryptOptions
---@return string? key
---@return qn.Error? err
function M.scrypt(password, salt, opts)
  local use = setmetatable({}, { __index = SCRYPT })
  for name, value in pairs(opts or {}) do
    if not SCRYPT[name] then
      raise(("scrypt: unknown option '%s' (there are n, r, p and size)"):format(tostring(name)))
    elseif math.type(value) ~= "integer" then
      raise(("scrypt: option '%s' must be an integer (got %s)"):format(name, type(value)))
    end
    use[name] = value
  end
  return core.scrypt(password, salt, use.size, use.n, use.r, use.p)
end

---A key from a secret by HKDF (RFC 5869), both steps.
---@param name string the digest: "sha256"
---@param secret string|qn.Buffer
---@param salt string|qn.Buffer "" for none
---@param info string|qn.Buffer what the key is for
---@param size integer bytes wanted, at most 255 times those of the digest
---@return string? key
---@return qn.Error? err
function M.hkdf(name, secret, salt, info, size)
  return core.hkdf(name, secret, salt, info, size)
end
M.hkdf = core.hkdf

---Bytes as hexadecimal text in lower case.
---@param data string|qn.Buffer
---@return string
function M.to_hex(data)
  return core.to_hex(data)
end
M.to_hex = core.to_hex

---Bytes of hexadecimal text in any case. Anything else in it, and a half byte, is an error.
---
---Errors: `invalid`, with the place.
---@param text string
---@return string? data
---@return qn.Error? err
function M.from_hex(text)
  return core.from_hex(text)
end
M.from_hex = core.from_hex

---Bytes as base64 text (RFC 4648); "url" is the alphabet for URLs, without padding.
---@param data string|qn.Buffer
---@param variant? "standard"|"url"
---@return string
function M.to_base64(data, variant)
  return core.to_base64(data, variant)
end
M.to_base64 = core.to_base64

---Bytes of base64 text. Strict: padding as it must be ("url": none), no blanks, no bits left over, so that one
---value has one text.
---
---Errors: `invalid`, with the place.
---@param text string
---@param variant? "standard"|"url"
---@return string? data
---@return qn.Error? err
function M.from_base64(text, variant)
  return core.from_base64(text, variant)
end
M.from_base64 = core.from_base64

local hasher_methods = core.hasher_methods()

local function final(hasher, encoding)
  local encode = encoder_of(encoding, 1, "final")
  return encode(hasher:_final())
end

function hasher_methods:final(encoding)
  return options.blame("final", final, self, encoding)
end

for _, name in ipairs { "digest", "hmac", "hasher", "hmac_hasher", "random", "scrypt" } do
  local f = M[name]
  M[name] = function(...)
    return options.blame(name, f, ...)
  end
end

return M
