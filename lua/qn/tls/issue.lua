---Making certificates: self-signed ones, requests, and what an authority signs.
---
---Gathered by lua/qn/tls.lua. C makes and signs (bindings/b_cert_make.c); here options are checked, defaults
---chosen, and texts put into the order that C takes. Wrong types throw; texts that cannot be written are
---answered by `nil, err`. Nothing is kept between calls.

local core = require "qn.core"
local options = require "qn.options"
local texts = require "qn.tls.issue_texts"

---@class qn.tls
local M = {}

local MIN_TIME <const>, MAX_TIME <const> = -631152000, 253402300799 -- 1950 to 9999

---What a certificate or a request shall say.
---
---`names` are told apart by their form: address literal, URI, mail address, DNS name (also `*.example.org`;
---international ones become ASCII). What has another meaning than its form stands in a list of its own:
---`names = { "example.org", uri = { "tel:1" } }`; `certificate.names` fits, too.
---
---`subject` is a common name, a table of attributes by short name, long name or number
---(`{ CN = "x", OU = { "a", "b" }, O = "y" }`, written from the widest to the narrowest), or a list as
---`certificate.subject` has it. Default: the first name of at most 64 characters.
---@class qn.IssueOptions
---@field names? string|qn.Address|table alternative names
---@field subject? string|table
---@field ca? boolean an authority, which may sign other certificates (default false)
---@field path_length? integer of an authority: how many other authorities may follow (default: any number)
---@field usage? string|string[] "server", "client", "code", "email", "time", "ocsp", "any", or numbers of
---  extended key usages; default: server and client; any for an authority
---@field key_usage? string|string[] "digital_signature" and so on; default: what fits the key
---@field digest? "sha256"|"sha384"|"sha512" default: what fits the key that signs
---@field padding? "pkcs1"|"pss" of RSA signatures (default "pkcs1")

---What `qn.tls.self_signed` takes beside the options of `qn.IssueOptions`.
---@class qn.SelfSignedOptions: qn.IssueOptions
---@field key? qn.Key|string|qn.GenerateKeyOptions private key, or what to make: a type, or options of
---  `qn.tls.generate_key` (default: "ec", P-256)
---@field days? number how long it is valid, from now or from `not_before` (default 365)
---@field not_before? integer seconds since 1970 (default: an hour before now, for clocks that go wrong)
---@field not_after? integer instead of `days`; 253402300799 (9999-12-31 23:59:59) = it never ends
---@field serial? string hexadecimal, at most 20 bytes (default: 20 bytes at random)
---@field ocsp? string|string[] addresses of OCSP responders
---@field issuers? string|string[] addresses of the issuer's certificate
---@field crl? string|string[] addresses of the revocation list

local SAYS <const> = {
  names = { type = "string|table|userdata" },
  subject = { type = "string|table" },
  ca = { type = "boolean" },
  path_length = { type = "integer", min = 0, max = 100 },
  usage = { type = "string|table" },
  key_usage = { type = "string|table" },
  digest = { enum = { "sha256", "sha384", "sha512" } },
  padding = { enum = { "pkcs1", "pss" } },
}
local KEY <const> = { type = "userdata|string|table" }
local TYPE_NAMES <const> = "ec, rsa, rsa_pss, ed25519, ed448, x25519, x448"
local KEY_TYPES <const> = {}
for name in TYPE_NAMES:gmatch "[%w_]+" do
  KEY_TYPES[name] = true
end

local function with(base, more)
  local out = {}
  for name, rule in pairs(base) do
    out[name] = rule
  end
  for name, rule in pairs(more) do
    out[name] = rule
  end
  return out
end

local CERTIFICATE <const> = with(SAYS, {
  days = { type = "number", min = 1 / 86400, max = 3650000 },
  not_before = { type = "integer", min = MIN_TIME, max = MAX_TIME },
  not_after = { type = "integer", min = MIN_TIME, max = MAX_TIME },
  serial = { type = "string", check = function(text)
    local bytes = texts.serial(text)
    return bytes ~= nil and #bytes <= 21, "a positive number in hexadecimal of at most 20 bytes"
  end },
  ocsp = { type = "string|table" },
  issuers = { type = "string|table" },
  crl = { type = "string|table" },
})
local SELF_SIGNED <const> = with(CERTIFICATE, { key = KEY })
local REQUEST <const> = with(SAYS, { key = KEY })
local SIGN <const> = with(CERTIFICATE, { names = { type = "string|table|userdata|false" } })

-- Calls f, and blames the caller of the public function for what it throws.
local function blame(f, ...)
  local ok, first, second = pcall(f, ...)
  if not ok then
    error(first, 3)
  end
  return first, second
end

local function check_together(opts, where)
  if opts.path_length and not opts.ca then
    error(("qn.tls.%s: option 'path_length' is for authorities (ca = true)"):format(where), 0)
  end
  if opts.days and opts.not_after then
    error(("qn.tls.%s: options 'days' and 'not_after' say the same"):format(where), 0)
  end
end

-- The settings of C: everything but texts.
local function settings_of(opts, where, key_usage)
  check_together(opts, where)
  return {
    not_before = opts.not_before, not_after = opts.not_after, ca = opts.ca,
    lifetime = opts.days and math.ceil(math.min(opts.days * 86400, MAX_TIME)),
    serial = opts.serial and texts.serial(opts.serial), path_length = opts.path_length,
    key_usage = key_usage and texts.key_usage(key_usage, where), digest = opts.digest,
    padding = opts.padding,
  }
end

-- What a certificate is good for when nobody says.
local function usual_usage(opts)
  return not opts.ca and { "server", "client" } or nil
end

-- Names first: a subject may come of them.
local function texts_of(opts, where, names, usage)
  local out = {}
  if names then
    texts.names(out, names, where, names ~= opts.names)
  end
  local named = table.move(out, 1, #out, 1, {})
  if opts.subject then
    texts.subject(out, opts.subject, where)
  end
  if usage then
    texts.list(out, "usage", usage, where)
  end
  for _, what in ipairs { "ocsp", "issuers", "crl" } do
    if opts[what] then
      texts.list(out, what, opts[what], where)
    end
  end
  return out, named
end

-- The key of the options, or a new one. The text of a key is a likely mistake, and in no message.
local function key_of(key, where)
  if type(key) == "userdata" then
    if not (getmetatable(key) == "qn" and key.is_private ~= nil) then
      error(("qn.tls.%s: option 'key' must be a qn.Key, a type of keys or a table")
        :format(where), 0)
    elseif not key.is_private then
      error(("qn.tls.%s: option 'key' must be a private key"):format(where), 0)
    end
    return key
  end
  local name = type(key) == "table" and key.type or key
  if type(name) == "string" and not KEY_TYPES[name] then
    error(("qn.tls.%s: option 'key' must be a qn.Key, a type of keys (%s) or a table, got %s")
      :format(where, TYPE_NAMES, #name > 16 and #name .. " bytes of text" or "'" .. name .. "'"), 0)
  end
  return nil, type(key) == "string" and { type = key } or key
end

---A certificate that is signed with its own key, and that key: for tests, for peers that know each other, and
---(with `ca = true`) the root of a private authority.
---
---It gets version 3, a random serial number, key identifiers, basic constraints and key usage as RFC 5280 wants them.
---
---Errors: kind `invalid` (a name or an attribute cannot be written, dates in the wrong order), `unsupported` (keys of
---this type do not sign), `limit` (more than 1,000 names and attributes, a text of more than 4,096 bytes).
---@async
---@param opts qn.SelfSignedOptions
---@return qn.Certificate? certificate
---@return qn.Key|qn.Error|nil key_or_err
function M.self_signed(opts)
  opts = options.check(opts, SELF_SIGNED, "qn.tls.self_signed")
  if opts.names == nil and opts.subject == nil then
    error("qn.tls.self_signed: option 'names' or 'subject' is missing", 2)
  end
  local key, how = blame(key_of, opts.key, "self_signed")
  local settings = blame(settings_of, opts, "self_signed", opts.key_usage)
  local said = blame(function()
    local out, named = texts_of(opts, "self_signed", opts.names, opts.usage or usual_usage(opts))
    if not opts.subject and not texts.usual_subject(out, named) then
      texts.subject(out, "self-signed", "self_signed") -- an issuer needs a name
    end
    return out
  end)
  local err
  if not key then
    key, err = blame(require "qn.tls.key".generate_key, how)
    if not key then
      return nil, err
    end
  end
  local certificate
  certificate, err = core.cert_make(key, nil, key, said, settings, "self_signed")
  if not certificate then
    return nil, err
  end
  return certificate, key
end

---What `qn.tls.request` takes beside the options of `qn.IssueOptions`.
---@class qn.RequestOptions: qn.IssueOptions
---@field key? qn.Key|string|qn.GenerateKeyOptions private key, or what to make (default: "ec", P-256)

---A request for a certificate (PKCS#10), and its key. `ca`, `usage` and `key_usage` are wishes: whoever signs
---it decides.
---
---Errors: as those of `qn.tls.self_signed`.
---@async
---@param opts qn.RequestOptions
---@return qn.CertificateRequest? request
---@return qn.Key|qn.Error|nil key_or_err
function M.request(opts)
  opts = options.check(opts, REQUEST, "qn.tls.request")
  if opts.names == nil and opts.subject == nil then
    error("qn.tls.request: option 'names' or 'subject' is missing", 2)
  end
  local key, how = blame(key_of, opts.key, "request")
  local settings = blame(settings_of, opts, "request", opts.key_usage)
  local said = blame(function()
    local out, named = texts_of(opts, "request", opts.names, opts.usage)
    if not opts.subject then
      texts.usual_subject(out, named)
    end
    return out
  end)
  local err
  if not key then
    key, err = blame(require "qn.tls.key".generate_key, how)
    if not key then
      return nil, err
    end
  end
  local request
  request, err = core.csr_make(key, said, settings)
  if not request then
    return nil, err
  end
  return request, key
end

---The first request of PEM text, or one in DER with nothing behind it.
---
---Errors: kind `invalid` (code CERT_FORMAT), `limit` (more than 1 MiB).
---@param data string
---@return qn.CertificateRequest? request
---@return qn.Error? err
function M.certificate_request(data)
  if type(data) ~= "string" then
    error(("bad argument #1 to 'certificate_request' (string expected, got %s)")
      :format(type(data)), 2)
  end
  return core.csr(data)
end

local function is_class(value, field, other)
  return type(value) == "userdata" and getmetatable(value) == "qn" and value[field] ~= nil
    and (not other or value[other] ~= nil)
end

-- What a request may have of the key usage that it asks for; nil: nothing.
local function allowed_bits(asked, ca)
  local out = {}
  for _, name in ipairs(asked) do
    if ca or (name ~= "key_cert_sign" and name ~= "crl_sign") then
      out[#out + 1] = name
    end
  end
  return out[1] and out
end

local function check_arguments(request, certificate, key)
  local message = not (is_class(request, "is_private") or is_class(request, "verify", "to_text"))
      and "#1 to 'sign' (qn.CertificateRequest or qn.Key expected)"
    or not is_class(certificate, "is_ca") and "#2 to 'sign' (qn.Certificate expected)"
    or not is_class(key, "is_private") and "#3 to 'sign' (qn.Key expected)"
  if message then
    error("bad argument " .. message, 0)
  end
end

---What `qn.tls.sign` takes beside the options of `qn.IssueOptions`; `subject` replaces that of the request.
---@class qn.SignCertificateOptions: qn.IssueOptions
---@field names? string|qn.Address|table|false instead of those of the request; false: none; "copy", the default:
---  DNS names, addresses, mail addresses and URIs of the request
---@field usage? string|string[] as of `qn.IssueOptions`, or "copy": what the request asks for, where it does
---@field key_usage? string|string[] as of `qn.IssueOptions`, or "copy": what the request asks for, where it does; without
---  signing certificates and revocation lists unless `ca` is set
---@field days? number how long it is valid, from now or from `not_before` (default 365, or as long as the issuer's)
---@field not_before? integer seconds since 1970 (default: an hour before now, or when the issuer's begins)
---@field not_after? integer instead of `days`
---@field serial? string hexadecimal, at most 20 bytes (default: 20 bytes at random)
---@field ocsp? string|string[] addresses of OCSP responders
---@field issuers? string|string[] addresses of the issuer's certificate
---@field crl? string|string[] addresses of the revocation list

---Signs a certificate as an authority. Of a request its key, its subject and its alternative names are taken, each
---unless the options say otherwise; nothing else unless they say so: a request never becomes an authority by asking for it. Its signature is
---checked. Instead of a request a key (of either half) can be given; then the options say everything.
---
---Dates beyond those of the issuer's certificate are refused; the usual ones end with it.
---
---Errors: kind `tls` with the code of what would not verify (`CERT_SIGNATURE_FAILURE`: of the request;
---`CERT_INVALID_CA`, `CERT_KEYUSAGE_NO_CERTSIGN`, `CERT_PATH_LENGTH_EXCEEDED`, `CERT_HAS_EXPIRED`: of the issuer), `invalid` (`KEY_MISMATCH`: key and
---certificate of the issuer; names, dates), and those of `qn.tls.self_signed`.
---@param request qn.CertificateRequest|qn.Key
---@param ca_certificate qn.Certificate
---@param ca_key qn.Key
---@param opts? qn.SignCertificateOptions
---@return qn.Certificate? certificate
---@return qn.Error? err
function M.sign(request, ca_certificate, ca_key, opts)
  opts = options.check(opts, SIGN, "qn.tls.sign")
  blame(check_arguments, request, ca_certificate, ca_key)
  local names = opts.names
  if names == nil or names == "copy" then
    names = request.names -- a key has none
  end
  local usage, key_usage = opts.usage, opts.key_usage
  if usage == "copy" then
    usage = request.usage
  end
  if key_usage == "copy" then
    key_usage = request.key_usage and allowed_bits(request.key_usage, opts.ca)
  end
  local settings = blame(settings_of, opts, "sign", key_usage)
  local said = blame(texts_of, opts, "sign", names, usage or usual_usage(opts))
  return core.cert_make(request, ca_certificate, ca_key, said, settings, "sign")
end

return M
