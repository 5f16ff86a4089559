---TLS configurations: values made of options, remembered, laid on each other (QSslConfiguration).
---
---Used by everything that takes TLS options: lua/qn/tls/socket.lua, server.lua. C holds the settings
---(bindings/b_tls_config.c), lua/qn/tls/options.lua says what options may be. Invariant: a configuration
---never changes; equal options give the same one while it is remembered, so that sessions are found
---again.

local core = require "qn.core"
local options = require "qn.options"
local given = require "qn.tls.options"

---@class qn.tls
local M = {}

local KEPT_MAX <const> = 32 -- configurations made of options that are remembered

local RULES <const>, CONNECTION <const> = given.RULES, given.CONNECTION
local ALL <const>, STARTING <const> = given.ALL, given.STARTING
local VERSIONS <const> = { ["1.0"] = 0x0301, ["1.1"] = 0x0302, ["1.2"] = 0x0303, ["1.3"] = 0x0304 }

local is <const> = core.tls_is
local fail <const>, misuse <const>, guarded <const> = given.fail, given.misuse, given.guarded

-- Making one ----------------------------------------------------------------------------------------

local DEFAULTS <const> = { min_version = "1.2", verify = "auto", verify_depth = 20, sessions = true,
  tickets = true, ocsp = "off",
  cipher_preference = "server" }

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

function setters.ignore_errors(config, value)
  set(config, "ignore_errors", "ignore", value)
end

function setters.openssl(config, value)
  local names = {}
  for name in pairs(value) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    set(config, "openssl", "openssl", name, value[name])
  end
end

function setters.sni(config, value)
  if type(value) == "table" then
    for name, other in pairs(value) do
      set(config, "sni", "sni", name, other)
    end
  end
end

function setters.keylog(config, value)
  if value then
    set(config, "keylog", "keylog", value)
  end
end

for _, name in ipairs { "ciphers", "ciphersuites", "curves", "verify", "verify_depth", "sessions",
  "tickets", "ticket_keys", "ocsp_staple", "client_ca", "pin_sha256", "psk", "psk_hint",
  "ocsp", "cipher_preference" } do
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

-- With functions of users among the options nothing is kept alive: they may hold whatever.
local passing = setmetatable({}, { __mode = "v" }) -- fingerprint -> configuration
local origins = setmetatable({}, { __mode = "k" }) -- configuration -> what it was made of

local function has_function(value)
  if type(value) == "table" and getmetatable(value) == nil then
    for _, item in pairs(value) do
      if has_function(item) then
        return true
      end
    end
  end
  return type(value) == "function"
end

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
  return passing[text]
end

local function keep(text, config, base, loaded)
  if has_function(loaded) or base and origins[base] then
    passing[text], origins[config] = config, loaded
    return
  end
  kept[text] = { config = config, made_of = loaded }
  kept_order[#kept_order + 1] = text
  if #kept_order > KEPT_MAX then
    kept[table.remove(kept_order, 1)] = nil
  end
end

local sources = setmetatable({}, { __mode = "k" }) -- configuration -> its plain options

-- Configuration -> its number in fingerprints of others: an address would have to be kept from being used
-- again, and so every configuration that was ever laid on another one would stay.
local numbers = setmetatable({}, { __mode = "k" })
local last_number = 0

local function number_of(config)
  if not numbers[config] then
    last_number = last_number + 1
    numbers[config] = last_number
  end
  return numbers[config]
end

local derive

-- Options of a name are laid on those of the server; there are no names below names.
local function with_names(o)
  if type(o.sni) ~= "table" then
    return o
  end
  local bare, out, trunk = {}, {}, nil
  for name, value in pairs(o) do
    bare[name], out[name] = value, value
  end
  bare.sni, out.sni = nil, {}
  for name, other in pairs(o.sni) do
    if type(other) == "table" then
      if not trunk then
        trunk = build(bare)
        sources[trunk] = bare
        origins[trunk] = has_function(bare) and bare or nil
      end
      other = derive(trunk, other)
    end
    out.sni[name] = other
  end
  return out
end

-- A configuration like `base` (or like a fresh one) but for the given options, which were checked.
function derive(base, opts)
  local loaded = given.load_files(opts)
  local start = ("%d|%s|"):format(base and number_of(base) or 0, default_keylog())
  local text = table.concat(fingerprint(loaded, { start }))
  local config = recall(text)
  if config then
    return config
  end
  local o = {}
  for name, value in pairs(base and sources[base] or {}) do
    o[name] = value
  end
  for name, value in pairs(given.make_plain(loaded)) do
    o[name] = value
  end
  if o.keylog == nil then
    o.keylog = default_keylog()
  end
  config = build(with_names(o))
  sources[config] = o
  keep(text, config, base, loaded)
  return config
end

-- Outside -------------------------------------------------------------------------------------------

local default

local function default_configuration()
  if not default then
    default = derive(nil, {})
  end
  return default
end

local function split(opts, rules)
  local settings, rest = {}, {}
  for name, value in pairs(opts) do
    if RULES[name] then
      settings[name] = value
    elseif rules[name] then
      rest[name] = value
    end
  end
  return settings, rest
end

-- What belongs to one connection; a session of bytes becomes one.
local function check_connection(rest)
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
end

local function resolve(value)
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
  local config = next(settings) and derive(base, settings) or base
  for name in pairs(CONNECTION) do
    if rest[name] == nil then
      rest[name] = core.tls_own(base)[name]
    end
  end
  check_connection(rest)
  local fields = core.tls_own(config)
  rest.sni = type(fields.sni) == "function" and fields.sni or nil
  return config, rest
end

---The configuration of `tls = value`: nil and true are the default one, a table changes it, and what
---belongs to one connection. Throws what is wrong with the options, blaming `level` (as for an error in here).
---@param value any
---@param where string the function, as the user writes it
---@param level? integer 2, the default, is the caller
---@return qn.TlsConfiguration? configuration
---@return table|qn.Error rest {server_name, verify_name, session, timeout, server, sni}
local function from(value, where, level)
  level = level or 2
  if type(value) == "table" then
    options.check(value, STARTING, where, level + 1)
  end
  local config, rest = guarded(where, level + 1, resolve, value)
  return config, rest
end

-- `config` changed by checked options, those of connections included.
local function with(config, opts)
  local settings, rest = split(opts, CONNECTION)
  check_connection(rest)
  local fields = core.tls_own(config)
  for name in pairs(CONNECTION) do
    if rest[name] == nil then
      rest[name] = fields[name]
    end
  end
  local made = derive(config, settings)
  if next(rest) then -- one of its own: the fields are not those of the options
    local o = sources[made]
    made = build(with_names(o))
    sources[made] = o
    for name, value in pairs(rest) do
      core.tls_own(made)[name] = value
    end
  end
  return made
end

local CHOSEN <const> = { tls = { type = "userdata|boolean" } }
for name, rule in pairs(given.NAMED) do
  CHOSEN[name] = rule
end

---The configuration that a function `sni` has chosen: its options are laid on `own`, that of the server.
---@param value qn.TlsIdentity
---@param own qn.TlsConfiguration
---@return qn.TlsConfiguration? configuration
---@return qn.Error? err
local function chosen(value, own)
  if type(value) == "table" then
    local opts = { tls = own }
    for name, v in pairs(options.check(value, CHOSEN, "sni", 0)) do
      opts[name] = v
    end
    value = opts
  elseif not is(value, "configuration") then
    local text = "sni: options, a qn.TlsConfiguration, nil or false expected, got %s"
    error(text:format(type(value)), 0)
  end
  local config, err = from(value, "sni", 1)
  return config, not config and err or nil
end

---Makes a configuration: a value with read-only fields that hold the options. Equal options give the same
---one, for as long as it is remembered. What is not given is as in the default configuration. Files are
---read at once, without giving way to other tasks.
---
---Errors: of files (kind `io`, `denied`); `invalid` (codes CERT_FORMAT, KEY_FORMAT, KEY_MISMATCH, INVALID),
---`auth` (KEY_PASSPHRASE), `limit`. Wrong types and unknown options are thrown. What only OpenSSL can judge, such as a list
---that names no cipher, is an error of those who use it: kind `invalid`, TLS_CONFIGURATION.
---Qt rows: CFG-01, Q5-63.
---@param opts? qn.TlsOptions
---@return qn.TlsConfiguration? configuration
---@return qn.Error? err
function M.configuration(opts)
  opts = options.check(opts, ALL, "qn.tls.configuration")
  local config, err = guarded("qn.tls.configuration", 3, with, default_configuration(), opts)
  if config then
    return config
  end
  return nil, err
end

---A TLS configuration: a value (QSslConfiguration). Its options are its read-only fields, as they count:
---certificates and keys as values, `ca` and `alpn` as lists.
---@class qn.TlsConfiguration: qn.TlsOptions
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
  local config, err = guarded("with", 3, with, self, opts)
  if config then
    return config
  end
  return nil, err
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
    config, err = guarded("default_configuration", 3, with, default_configuration(), value)
  elseif not is(value, "configuration") then
    local text = "bad argument #1 to 'default_configuration' (options or a %s expected, got %s)"
    error(text:format("qn.TlsConfiguration", type(value)), 2)
  end
  if not config then
    return nil, err
  end
  default = config
  return config
end

---Which cryptographic library this is: "OpenSSL 3.0.17 1 Jul 2025". It is built in, so TLS is always there.
---Qt rows: SSL-16, Q5-76, Q5-78.
---@return string
function M.library()
  return (core.tls_library())
end

---The versions of TLS that the library can speak, as `min_version` and `max_version` take them, oldest first. Versions
---below "1.2" must be asked for, and many systems want weak ciphers allowed for them, too.
---Qt rows: Q5-61, Q5-76.
---@return string[]
function M.protocols()
  local out = {}
  for i, name in ipairs(select(2, core.tls_library())) do
    out[i] = name == "TLSv1" and "1.0" or name:match("%d%.%d")
  end
  return out
end

-- For other Lua files: options that make a configuration, those of one connection, how both are read.
M.RULES, M.CONNECTION, M.from, M.chosen = RULES, CONNECTION, from, chosen

return M
