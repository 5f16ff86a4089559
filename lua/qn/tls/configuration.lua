---TLS configurations: options checked, files read, values made (QSslConfiguration).
---
---Used by everything that takes TLS options: lua/qn/tls/socket.lua, server.lua. C holds the settings
---(bindings/b_tls_config.c); here is what they are called and what they may be. Invariant: a
---configuration never changes; equal options give the same one while it is remembered, so that sessions
---are found again.

local core = require "qn.core"
local options = require "qn.options"

---@class qn.tls
local M = {}

local FILE_MAX <const> = 16 << 20 -- bytes of a file of certificates or of a key
local KEPT_MAX <const> = 32 -- configurations made of options that are remembered

local VERSIONS <const> = { ["1.0"] = 0x0301, ["1.1"] = 0x0302, ["1.2"] = 0x0303, ["1.3"] = 0x0304 }
local VERSION_NAMES <const> = { "1.0", "1.1", "1.2", "1.3" }

---@class qn.TlsOptions
---@field min_version? "1.0"|"1.1"|"1.2"|"1.3" oldest version (default "1.2")
---@field max_version? "1.0"|"1.1"|"1.2"|"1.3" newest version (default: the newest there is)
---@field ciphers? string|string[]|qn.Cipher[] suites of TLS 1.2 and older, best first, names or OpenSSL's language; unknown ones are left out
---@field ciphersuites? string|string[]|qn.Cipher[] suites of TLS 1.3, best first
---@field curves? string|string[]|qn.Curve[] groups for the key exchange, best first: "X25519:P-256"
---@field ca? string|qn.Certificate|(string|qn.Certificate)[] who is trusted: certificates, their PEM or DER, files, folders (in OpenSSL's hashed form), "system" (default: "system")
---@field verify? "auto"|"none"|"query"|"peer" see the guide (default "auto": clients verify, servers ask for no certificate)
---@field verify_depth? integer intermediate certificates that may lie between the peer's and a trusted one (default 20)
---@field cert? string|qn.Certificate own certificate: a value, PEM, DER or a file; what follows it there is its chain
---@field chain? string|qn.Certificate|(string|qn.Certificate)[] the rest of its chain, in order
---@field key? string|qn.Key private key of `cert`: a value, PEM, DER or a file
---@field passphrase? string of an encrypted `key`
---@field certs? {cert: any, chain?: any, key: any, passphrase?: string}[] several, one per type of key: the peer's abilities decide
---@field alpn? string|string[]|fun(names: string[]): string? protocols, best first; servers may choose with a function, which must not wait (nil: refuse)
---@field sessions? boolean reuse sessions (default true)
---@field tickets? boolean session tickets (default true)
---@field ticket_keys? string[] servers: 1 to 4 keys of 80 bytes, newest first; for several servers that know each other's tickets
---@field ocsp_staple? string servers: the OCSP answer to staple, DER
---@field sni? table<string, qn.TlsConfiguration|qn.TlsOptions>|fun(name: string?, socket: qn.Stream): qn.TlsConfiguration|qn.TlsOptions|false|nil servers: who serves a name ("*.example.org": one label); a function may wait, nil = this one, false = refuse
---@field client_ca? string|qn.Certificate|(string|qn.Certificate)[] servers: whose certificates clients are asked for
---@field keylog? string|false appends the keys of all connections to this file, for debugging (default: the file that `--keylog` or SSLKEYLOGFILE names)
---@field ignore_errors? true|(string|qn.Error|{[1]: string, [2]: qn.Certificate})[] verification errors that are no reason to end: codes, errors, or {code, certificate}; the handshake goes on only if all of its errors are among them. true: all
---@field pin_sha256? string|string[] SHA-256 of a public key (SubjectPublicKeyInfo) that must be in the chain: hexadecimal, Base64 or 32 bytes
---@field server_name? string|false clients: the name to ask for (SNI) and to verify (default: the host); false: do not ask
---@field verify_name? string|false clients: the name or address that the certificate must be for (default: `server_name`); false: any
---@field session? qn.TlsSession|string clients: the session to resume, or its exported bytes

-- What a configuration consists of; the rest of qn.TlsOptions belongs to one connection.
local RULES <const> = {
  min_version = { enum = VERSION_NAMES }, max_version = { enum = VERSION_NAMES },
  ciphers = { type = "string|table" }, ciphersuites = { type = "string|table" },
  curves = { type = "string|table" },
  ca = { type = "string|userdata|table" },
  verify = { enum = { "auto", "none", "query", "peer" } },
  verify_depth = { type = "integer", min = 0, max = 100 },
  cert = { type = "string|userdata" }, chain = { type = "string|userdata|table" },
  key = { type = "string|userdata" }, passphrase = { type = "string" }, certs = { type = "table" },
  alpn = { type = "string|table|function" },
  sessions = { type = "boolean" }, tickets = { type = "boolean" },
  ticket_keys = { type = "table" }, ocsp_staple = { type = "string" },
  sni = { type = "table|function" }, client_ca = { type = "string|userdata|table" },
  keylog = { type = "string|false" },
  ignore_errors = { type = "table|boolean" }, pin_sha256 = { type = "string|table" },
}
local CONNECTION <const> = {
  server_name = { type = "string|false" }, verify_name = { type = "string|false" },
  session = { type = "userdata|string" },
}
local START <const> = { server = { type = "boolean" }, timeout = { type = "seconds" },
  tls = { type = "boolean|userdata" } }
local ALL, STARTING <const> = {}, {}
for _, rules in ipairs { RULES, CONNECTION, START } do
  for name, rule in pairs(rules) do
    STARTING[name] = rule
    ALL[name] = rules ~= START and rule or nil
  end
end

local is = core.tls_is -- (value, "configuration" | "certificate" | "key" | "session")

-- Misuse: thrown as a string, and given its place by whoever was called from outside.
local Misuse = setmetatable({}, { __name = "misuse" })
local function misuse(format, ...)
  error(setmetatable({ text = format:format(...) }, Misuse), 0)
end

-- An expected failure, thrown until it is outside.
local Failure = setmetatable({}, { __name = "failure" })
local function fail(option, err)
  error(setmetatable({ err = core.error(err.kind, ("option '%s': %s"):format(option, err.message),
    { code = err.code, op = "configuration", cause = err }) }, Failure), 0)
end

-- Runs f; its misuse blames `level` (as for error), its failures become nil, err.
local function guarded(where, level, f, ...)
  local result = table.pack(pcall(f, ...))
  if result[1] then
    return table.unpack(result, 2, result.n)
  end
  local problem = result[2]
  local meta = getmetatable(problem)
  if meta == Failure then
    return nil, problem.err
  elseif meta == Misuse then
    error(where .. ": " .. problem.text, level + 1)
  end
  error(problem, 0)
end

-- Files and values -------------------------------------------------------------------------------

-- A path is what cannot be PEM or DER.
local function is_path(text)
  return text ~= "" and #text < 4096 and not text:find("[%z\n\r]") and not text:find("-----BEGIN", 1, true)
    and not text:find("^0[\x80-\xff]")
end

local function is_folder(path)
  local file = io.open(path, "rb")
  local text, _, code = nil, nil, nil
  if file then
    text, _, code = file:read(0)
    file:close()
  end
  return text == nil and code == 21
end

local function read_path(option, path)
  local file, why, code = io.open(path, "rb")
  local text
  if file then
    text, why, code = file:read(FILE_MAX + 1)
    file:close()
    text = text or (code == nil and "") or nil
  end
  if not text then
    fail(option, core.error(code == 13 and "denied" or "io", (why or path):gsub("^" .. path:gsub("%p", "%%%0") .. ": ", "")
      .. " (" .. path .. ")", { code = code == 2 and "ENOENT" or code == 13 and "EACCES" or "EIO" }))
  elseif #text > FILE_MAX then
    fail(option, core.error("limit", "the file is too large (" .. path .. ")", { code = "LIMIT" }))
  end
  return text
end

local function list_of(value)
  return type(value) == "table" and value or { value }
end

-- Certificates of a value, PEM, DER or a file, added to `out`.
local function add_certs(option, value, out)
  if is(value, "certificate") then
    out[#out + 1] = value
    return
  elseif type(value) ~= "string" then
    misuse("option '%s' must hold certificates, PEM, DER or paths, got %s", option, type(value))
  end
  local found, err = core.certificates(is_path(value) and read_path(option, value) or value)
  if not found then
    fail(option, err)
  elseif #found == 0 then
    fail(option, core.error("invalid", "no certificate in it", { code = "CERT_FORMAT" }))
  end
  table.move(found, 1, #found, #out + 1, out)
end

local function certs_of(option, value)
  local out = {}
  for _, item in ipairs(list_of(value)) do
    add_certs(option, item, out)
  end
  return out
end

local function key_of(option, value, passphrase)
  if is(value, "key") then
    return value
  elseif type(value) ~= "string" then
    misuse("option '%s' must be a key, PEM, DER or a path, got %s", option, type(value))
  end
  local key, err = core.key(is_path(value) and read_path(option, value) or value, passphrase)
  if not key then
    fail(option, err)
  end
  return key
end

-- Options made plain --------------------------------------------------------------------------------

local plain = {}

-- Names as OpenSSL takes them: "A:B".
local function names(option, value)
  local out = {}
  for i, item in ipairs(list_of(value)) do
    local name = type(item) == "table" and item.name or item
    if type(name) ~= "string" or name == "" then
      misuse("option '%s' must hold names, got %s at %d", option, type(item), i)
    end
    out[i] = name
  end
  if #out == 0 then
    misuse("option '%s' must not be empty", option)
  end
  return table.concat(out, ":")
end
plain.ciphers, plain.ciphersuites, plain.curves = names, names, names

function plain.ca(option, value)
  local out = {}
  for _, item in ipairs(list_of(value)) do
    if item == "system" or type(item) == "string" and is_path(item) and is_folder(item) then
      out[#out + 1] = item
    else
      add_certs(option, item, out)
    end
  end
  if #out == 0 then
    misuse("option 'ca' must not be empty")
  end
  return out
end
plain.client_ca = certs_of
plain.chain = certs_of

-- {cert, chain, key} of the options of one certificate.
local function identity(o, prefix)
  if o.cert == nil or o.key == nil then
    local given = o.cert ~= nil and "cert" or o.key ~= nil and "key" or o.chain ~= nil and "chain" or "passphrase"
    local missing = o.cert == nil and "cert" or "key"
    misuse("option '%s%s' needs option '%s%s'", prefix, given, prefix, missing)
  end
  local list = certs_of(prefix .. "cert", o.cert)
  if o.chain ~= nil then
    local rest = certs_of(prefix .. "chain", o.chain)
    table.move(rest, 1, #rest, #list + 1, list)
  end
  local key = key_of(prefix .. "key", o.key, o.passphrase)
  return { cert = list[1], chain = table.move(list, 2, #list, 1, {}), key = key }
end

local CERT_RULES <const> = { cert = RULES.cert, chain = RULES.chain, key = RULES.key,
  passphrase = RULES.passphrase }

function plain.certs(option, value)
  local out = {}
  for i, item in ipairs(value) do
    local ok, err = pcall(options.check, item, CERT_RULES, ("%s[%d]"):format(option, i), 0)
    if not ok then
      misuse("%s", err)
    end
    out[i] = identity(item, ("%s[%d]."):format(option, i))
  end
  if #out == 0 then
    misuse("option 'certs' must not be empty")
  end
  return out
end

function plain.alpn(option, value)
  if type(value) == "function" then
    return value
  end
  local list = {}
  for i, name in ipairs(list_of(value)) do
    if type(name) ~= "string" or name == "" or #name > 255 then
      misuse("option '%s' must hold names of 1 to 255 bytes", option)
    end
    list[i] = name
  end
  if #list == 0 or #list > 64 then
    misuse("option '%s' must hold 1 to 64 names", option)
  end
  return list
end

function plain.ticket_keys(option, value)
  for i = 1, math.max(#value, 1) do
    if type(value[i]) ~= "string" or #value[i] ~= 80 or i > 4 then
      misuse("option '%s' must hold 1 to 4 keys of 80 bytes", option)
    end
  end
  return value
end

local function digest_of(text)
  if #text == 32 then
    return text
  elseif text:find("^%x+$") and #text == 64 then
    return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
  end
  local bytes = require "qn.crypto".from_base64((text:gsub("^sha256//?", "")))
  return bytes and #bytes == 32 and bytes or nil
end

function plain.pin_sha256(option, value)
  local out = {}
  for i, item in ipairs(list_of(value)) do
    out[i] = type(item) == "string" and digest_of(item)
      or misuse("option '%s' must hold SHA-256 digests (64 hexadecimal digits, Base64 or 32 bytes)", option)
  end
  if #out == 0 then
    misuse("option '%s' must not be empty", option)
  end
  return out
end

---The list that core.tls_ignore takes, of what `ignore_errors` and `ignore_ssl_errors` take; `true` stays.
---Throws a string that says what is wrong.
---@param value any
---@return table|true
function M.ignore_list(value)
  if value == true then
    return true
  end
  local out = {}
  for i, item in ipairs(value) do
    local code, cert = item, nil
    if core.is_error(item) then
      code, cert = item.code, item.certificate
    elseif type(item) == "table" then
      code, cert = item[1], item[2]
    end
    if type(code) ~= "string" or not core.tls_error_name(code) or cert ~= nil and not is(cert, "certificate") then
      error(("no verification error at %d ('CERT_...', an error, or {code, certificate} expected)"):format(i), 0)
    end
    out[i] = { code, cert }
  end
  if #out > 32 then
    error("more than 32 errors", 0)
  end
  return out
end

function plain.ignore_errors(option, value)
  if value == false then
    return nil
  end
  local ok, list = pcall(M.ignore_list, value)
  if not ok then
    misuse("option '%s': %s", option, list)
  end
  return list
end

function plain.sni(option, value)
  if type(value) == "function" then
    return value
  end
  local out = {}
  for name, other in pairs(value) do
    if type(name) ~= "string" then
      misuse("option '%s': a host name expected, got %s", option, type(name))
    end
    if type(other) == "table" then
      local rules = options.check(other, RULES, ("option 'sni', '%s'"):format(name), 0)
      other = M.derive(nil, rules)
    elseif not is(other, "configuration") then
      misuse("option '%s': options or a configuration expected for '%s', got %s", option, name, type(other))
    end
    out[name] = other
  end
  return out
end

-- Making one ----------------------------------------------------------------------------------------

local DEFAULTS <const> = { min_version = "1.2", verify = "auto", verify_depth = 20, sessions = true,
  tickets = true }

-- Which file gets the keys when no option says so.
local function default_keylog()
  if core.keylog ~= nil then
    return core.keylog or nil
  end
  local path = os.getenv "SSLKEYLOGFILE"
  return path ~= "" and path or nil
end

local function set(config, option, what, ...)
  local ok, err = core.tls_set(config, what, ...)
  if not ok then
    fail(option, err)
  end
end

local setters = {}

function setters.ca(config, list)
  for _, item in ipairs(list) do
    if item == "system" then
      set(config, "ca", "system_ca", true)
    else
      set(config, "ca", type(item) == "string" and "ca_path" or "ca", item)
    end
  end
end

function setters.certs(config, list)
  for _, item in ipairs(list) do
    set(config, "cert", "cert", item.cert, item.chain, item.key)
  end
end

function setters.alpn(config, value)
  set(config, "alpn", type(value) == "function" and "alpn_choice" or "alpn", value)
end

function setters.sni(config, value)
  if type(value) == "table" then
    for name, other in pairs(value) do
      set(config, "sni", "sni", name, other)
    end
  end
end

function setters.ignore_errors(config, value)
  if value ~= true then
    set(config, "ignore_errors", "ignore", value)
  end
end

function setters.keylog(config, value)
  if value then
    set(config, "keylog", "keylog", value)
  end
end

for _, name in ipairs { "ciphers", "ciphersuites", "curves", "verify", "verify_depth", "sessions", "tickets",
  "ticket_keys", "ocsp_staple", "client_ca", "pin_sha256" } do
  setters[name] = function(config, value)
    set(config, name, name, value)
  end
end

-- A new configuration of plain options, which become its fields.
local function build(o)
  local config = core.tls_config()
  local fields = core.tls_own(config)
  if o.min_version or o.max_version then
    set(config, o.min_version and "min_version" or "max_version", "versions",
      VERSIONS[o.min_version] or 0, VERSIONS[o.max_version] or 0)
  end
  for name, setter in pairs(setters) do
    if o[name] ~= nil then
      setter(config, o[name])
    end
  end
  for name, value in pairs(DEFAULTS) do
    fields[name] = value
  end
  for name, value in pairs(o) do
    fields[name] = value
  end
  local first = o.certs and o.certs[1]
  if first then
    fields.cert, fields.chain, fields.key = first.cert, first.chain, first.key
  end
  return config
end

-- What names one set of options: equal text, equal configuration.
local function fingerprint(value, out)
  local kind = type(value)
  if kind == "table" and getmetatable(value) == nil then
    local keys = {}
    for key in pairs(value) do
      keys[#keys + 1] = key
    end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    out[#out + 1] = "{"
    for _, key in ipairs(keys) do
      out[#out + 1] = ("%q="):format(key)
      fingerprint(value[key], out)
    end
    out[#out + 1] = "}"
  elseif kind == "string" then
    out[#out + 1] = ("%d:%s"):format(#value, value)
  elseif kind == "number" or kind == "boolean" then
    out[#out + 1] = tostring(value) .. ";"
  else
    out[#out + 1] = ("%p;"):format(value)
  end
  return out
end

local kept, kept_order = {}, {} -- fingerprint -> {configuration, what it was made of}; oldest first

local function recall(text)
  local entry = kept[text]
  if entry then
    for i, other in ipairs(kept_order) do
      if other == text then
        table.remove(kept_order, i)
        kept_order[#kept_order + 1] = text
        break
      end
    end
    return entry.config
  end
end

local function keep(text, config, given)
  kept[text] = { config = config, given = given }
  kept_order[#kept_order + 1] = text
  if #kept_order > KEPT_MAX then
    kept[table.remove(kept_order, 1)] = nil
  end
end

-- Files become what is in them, so that a changed file is another configuration.
local function load_files(given)
  local out = {}
  for name, value in pairs(given) do
    if (name == "cert" or name == "key") and type(value) == "string" and is_path(value) then
      value = read_path(name, value)
    elseif name == "ca" or name == "chain" or name == "client_ca" then
      value = table.move(list_of(value), 1, #list_of(value), 1, {})
      for i, item in ipairs(value) do
        if type(item) == "string" and item ~= "system" and is_path(item) and not (name == "ca" and is_folder(item)) then
          value[i] = read_path(name, item)
        end
      end
    end
    out[name] = value
  end
  return out
end

-- The plain options of what was given.
local function make_plain(given)
  local o = {}
  for name, value in pairs(given) do
    if name ~= "cert" and name ~= "key" and name ~= "chain" and name ~= "passphrase" then
      local f = plain[name]
      if f then
        value = f(name, value)
      end
      o[name] = value
    end
  end
  if given.cert ~= nil or given.key ~= nil or given.chain ~= nil or given.passphrase ~= nil then
    if given.certs ~= nil then
      misuse("options 'cert' and 'certs' exclude each other")
    end
    o.certs = { identity(given, "") }
  end
  return o
end

local sources = setmetatable({}, { __mode = "k" }) -- configuration -> its plain options

-- A configuration like `base` (or like a fresh one) but for the given options, which were checked.
function M.derive(base, given)
  local loaded = load_files(given)
  loaded.keylog = given.keylog
  local text = table.concat(fingerprint(loaded, { ("%p|"):format(base or core), tostring(default_keylog()), "|" }))
  local config = recall(text)
  if config then
    return config
  end
  local o = {}
  for name, value in pairs(base and sources[base] or {}) do
    o[name] = value
  end
  for name, value in pairs(make_plain(loaded)) do
    o[name] = value
  end
  if o.keylog == nil then
    o.keylog = default_keylog()
  end
  config = build(o)
  sources[config] = o
  keep(text, config, { base, loaded })
  return config
end

-- Outside -------------------------------------------------------------------------------------------

local default

local function default_configuration()
  if not default then
    default = M.derive(nil, {})
  end
  return default
end

local function split(given, rules)
  local settings, rest = {}, {}
  for name, value in pairs(given) do
    if RULES[name] then
      settings[name] = value
    elseif rules[name] then
      rest[name] = value
    end
  end
  return settings, rest
end

local function resolve(value, where)
  local base, settings, rest = default, {}, {}
  if type(value) == "table" then
    settings, rest = split(value, STARTING)
    if is(rest.tls, "configuration") then
      base = rest.tls
    elseif rest.tls ~= nil and rest.tls ~= true then
      misuse("option 'tls' must be true, options or a qn.TlsConfiguration, got %s", type(rest.tls))
    end
  elseif is(value, "configuration") then
    base = value
  elseif value ~= nil and value ~= true then
    misuse("TLS options must be true, a table or a qn.TlsConfiguration, got %s", type(value))
  end
  base = base or default_configuration()
  local config = next(settings) and M.derive(base, settings) or base
  for name in pairs(CONNECTION) do
    if rest[name] == nil then
      rest[name] = core.tls_own(base)[name]
    end
  end
  if type(rest.session) == "string" then
    local session, err = core.tls_session(rest.session)
    if not session then
      fail("session", err)
    end
    rest.session = session
  elseif rest.session ~= nil and not is(rest.session, "session") then
    misuse("option 'session' must be a qn.TlsSession or its bytes, got %s", type(rest.session))
  end
  for _, name in ipairs { "server_name", "verify_name" } do
    local text = rest[name]
    if type(text) == "string" and (text == "" or #text > 255 or text:find "[%z\1-\32\127]") then
      misuse("option '%s' must be a host name or an address", name)
    end
  end
  local fields = core.tls_own(config)
  rest.ignore = fields.ignore_errors == true or nil
  rest.sni = type(fields.sni) == "function" and fields.sni or nil
  return config, rest, where
end

---The configuration of `tls = value`: nil and true are the default one, a table changes it, and what
---belongs to one connection. Throws what is wrong with the options, blaming `level`.
---@param value any
---@param where string the function, as the user writes it
---@param level? integer as for `error`: 2, the default, is the caller of the caller
---@return qn.TlsConfiguration? configuration
---@return table|qn.Error rest {server_name, verify_name, session, timeout, server, ignore, sni}
function M.from(value, where, level)
  level = level or 2
  if type(value) == "table" then
    options.check(value, STARTING, where, level + 1)
  end
  return guarded(where, level + 1, resolve, value, where)
end

---Makes a configuration: a value with read-only fields that hold the options. Equal options give the same
---one, for as long as it is remembered. What is not given is as in the default configuration. Files are
---read at once, without giving way to other tasks.
---
---Errors: of files (kind `io`, `denied`); `invalid` (codes CERT_FORMAT, KEY_FORMAT, INVALID), `auth`
---(KEY_PASSPHRASE), `tls` (KEY_MISMATCH, TLS_CONFIG), `limit`. Wrong types and unknown options are thrown.
---Qt rows: CFG-01, Q5-63.
---@param opts? qn.TlsOptions
---@return qn.TlsConfiguration? configuration
---@return qn.Error? err
function M.configuration(opts)
  opts = options.check(opts, ALL, "qn.tls.configuration")
  return guarded("qn.tls.configuration", 2, M.with, default_configuration(), opts)
end

-- `config` changed by checked options, those of connections included.
function M.with(config, opts)
  local settings, rest = split(opts, CONNECTION)
  local fields = core.tls_own(config)
  for name in pairs(CONNECTION) do
    if rest[name] == nil then
      rest[name] = fields[name]
    end
  end
  local made = M.derive(config, settings)
  if next(rest) then -- one of its own: the fields are not those of the options
    local o = sources[made]
    made = build(o)
    sources[made] = o
    for name, value in pairs(rest) do
      core.tls_own(made)[name] = value
    end
  end
  return made
end

---@class qn.TlsConfiguration
local Configuration = core.methods("TlsConfiguration")

---A configuration like this one but for these options. Its remembered sessions are its own.
---
---Errors: as `qn.tls.configuration`.
---Qt rows: CFG-01.
---@param opts qn.TlsOptions
---@return qn.TlsConfiguration? configuration
---@return qn.Error? err
function Configuration:with(opts)
  if not is(self, "configuration") then
    error("bad argument #1 to 'with' (qn.TlsConfiguration expected, got " .. type(self) .. ")", 2)
  end
  opts = options.check(opts, ALL, "with")
  return guarded("with", 2, M.with, self, opts)
end

---The configuration that counts where none is given, and on which options given elsewhere are laid; with
---an argument it becomes that one. Connections that exist keep theirs.
---
---Errors: as `qn.tls.configuration`.
---Qt rows: CFG-02.
---@param value? qn.TlsConfiguration|qn.TlsOptions
---@return qn.TlsConfiguration? configuration
---@return qn.Error? err
function M.default_configuration(value)
  if value == nil then
    return default_configuration()
  end
  local config, err = value, nil
  if type(value) == "table" then
    options.check(value, ALL, "default_configuration", 3)
    config, err = guarded("default_configuration", 2, M.with, default_configuration(), value)
  elseif not is(value, "configuration") then
    error("bad argument #1 to 'default_configuration' (options or a qn.TlsConfiguration expected, got "
      .. type(value) .. ")", 2)
  end
  default = config or default
  return config, err
end

---Names of the options that a connection has beside its configuration.
M.CONNECTION = CONNECTION
M.RULES = RULES

return M
