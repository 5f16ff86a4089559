---What TLS options may be: rules, files read, values made of text.
---
---Used by lua/qn/tls/configuration.lua; `check_role` by whatever begins connections. Each option has a rule
---and, where needed, a function in `plain` that makes it what core.tls_set takes. Must not keep anything.
---Invariant: misuse is thrown, what a file or text may cause becomes nil and an error.

local core = require "qn.core"
local options = require "qn.options"
local psk = require "qn.tls.psk"

local M = {}

local FILE_MAX <const> = 16 << 20 -- bytes of a file of certificates or of a key

local VERSION_NAMES <const> = { "1.0", "1.1", "1.2", "1.3" }

-- What a configuration consists of; the rest of qn.TlsOptions belongs to one connection.
local RULES <const> = {
  min_version = { enum = VERSION_NAMES }, max_version = { enum = VERSION_NAMES },
  ciphers = { type = "string|table" }, ciphersuites = { type = "string|table" },
  curves = { type = "string|table" },
  ca = { type = "string|userdata|table" },
  verify = { enum = { "auto", "none", "query", "peer" } },
  verify_depth = { type = "integer", min = 0, max = 100 },
  cert = { type = "string|userdata" }, chain = { type = "string|userdata|table" },
  key = { type = "string|userdata" }, passphrase = { type = "string", secret = true },
  certs = { type = "table" },
  alpn = { type = "string|table|function" },
  sessions = { type = "boolean" }, tickets = { type = "boolean" },
  ticket_keys = { type = "table" }, ocsp_staple = { type = "string" },
  ocsp = { enum = { "off", "request", "require" } },
  cipher_preference = { enum = { "server", "client" } }, openssl = { type = "table" },
  psk = { type = "table|function" }, psk_hint = { type = "string" },
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
-- Of what serves a name: tickets are the server's, and there are no names below names.
local NAMED <const> = {}
for name, rule in pairs(RULES) do
  NAMED[name] = name ~= "sni" and name ~= "ticket_keys" and rule or nil
end
local ALL, STARTING <const> = {}, {}
for _, rules in ipairs { RULES, CONNECTION, START } do
  for name, rule in pairs(rules) do
    STARTING[name] = rule
    ALL[name] = rules ~= START and rule or nil
  end
end

local is <const> = core.tls_is -- (value, "configuration" | "certificate" | "key" | "session")

-- Misuse: thrown as a string, and given its place by whoever was called from outside.
local Misuse = setmetatable({}, { __name = "misuse" })
function M.misuse(format, ...)
  error(setmetatable({ text = format:format(...) }, Misuse), 0)
end

local misuse <const> = M.misuse

-- An expected failure, thrown until it is outside.
local Failure = setmetatable({}, { __name = "failure" })
function M.fail(option, err)
  local text = ("option '%s': %s"):format(option, err.message)
  local fields = { code = err.code, op = "configuration", cause = err }
  error(setmetatable({ err = core.error(err.kind, text, fields) }, Failure), 0)
end

local fail <const> = M.fail

-- Runs f; its misuse blames `level` (as for an error here), its failures become nil, err. Not to be called
-- as a tail call.
function M.guarded(where, level, f, ...)
  local result = table.pack(pcall(f, ...))
  if result[1] then
    return table.unpack(result, 2, result.n)
  end
  local problem = result[2]
  local meta = getmetatable(problem)
  if meta == Failure then
    return nil, problem.err
  elseif meta == Misuse then
    error(where .. ": " .. problem.text, level)
  end
  error(problem, 0)
end

-- Files and values -------------------------------------------------------------------------------

-- A path is what cannot be PEM or DER.
local function is_path(text)
  return text ~= "" and #text < 4096 and not text:find("[%z\n\r]")
    and not text:find("-----BEGIN", 1, true) and not text:find("^0[\x80-\xff]")
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
    local names = { [2] = "ENOENT", [13] = "EACCES", [21] = "EISDIR" }
    local name = names[code] or "EIO"
    why = code == 21 and path .. ": is a folder" or tostring(why)
    fail(option, core.error(code == 13 and "denied" or "io", why, { code = name }))
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
  local is_one = type(value) == "table" and type(value.name) == "string"
  local list = is_one and { value } or list_of(value)
  for i, item in ipairs(list) do
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
    local given = o.cert ~= nil and "cert" or o.key ~= nil and "key" or o.chain ~= nil and "chain"
      or o.passphrase ~= nil and "passphrase"
    local missing = o.cert == nil and "cert" or "key"
    if not given then
      misuse("option '%scert' is missing", prefix)
    end
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

function plain.openssl(option, value)
  for name, text in pairs(value) do
    if type(name) ~= "string" or type(text) ~= "string" or (name .. text):find("\0", 1, true) then
      misuse("option '%s' must hold names and values, both strings", option)
    end
  end
  return value
end

function plain.psk(option, value)
  return psk.plain(misuse, option, value)
end

function plain.psk_hint(option, value)
  return psk.plain_hint(misuse, option, value)
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
      or misuse("option '%s' must hold SHA-256 digests (hexadecimal, Base64 or 32 bytes)", option)
  end
  if #out == 0 then
    misuse("option '%s' must not be empty", option)
  end
  return out
end

---The list that core.tls_ignore takes, of what `ignore_errors` and `ignore_ssl_errors` take; booleans stay.
---Throws a string that says what is wrong.
---@param value any
---@return table|boolean
function M.ignore_list(value)
  if type(value) == "boolean" then
    return value
  end
  local out = {}
  for i, item in ipairs(value) do
    local code, cert = item, nil
    if core.is_error(item) then
      code, cert = item.code, item.certificate
    elseif type(item) == "table" then
      code, cert = item[1], item[2]
    end
    local known = type(code) == "string" and core.tls_error_name(code)
    if not known or cert ~= nil and not is(cert, "certificate") then
      local text = "no verification error at %d: 'CERT_...', an error or {code, certificate} wanted"
      error(text:format(i), 0)
    end
    out[i] = { code, cert }
  end
  if #out > 32 then
    error("more than 32 errors", 0)
  end
  return out
end

function plain.ignore_errors(option, value)
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
      other = options.check(other, NAMED, ("option 'sni', '%s'"):format(name), 0)
    elseif not is(other, "configuration") then
      misuse("option '%s': options or a configuration expected for '%s', got %s", option, name,
        type(other))
    end
    out[name] = other
  end
  return out
end

-- Together ------------------------------------------------------------------------------------------

-- What is in a file; never what could be taken for a name of one.
local function content(option, path)
  local text = read_path(option, path)
  return is_path(text) and text .. "\n" or text
end

-- Files become what is in them, so that a changed file is another configuration.
function M.load_files(given, prefix)
  local out = {}
  prefix = prefix or ""
  for name, value in pairs(given) do
    if (name == "cert" or name == "key") and type(value) == "string" and is_path(value) then
      value = content(prefix .. name, value)
    elseif (name == "certs" or name == "sni") and type(value) == "table" then
      local loaded = {}
      for key, item in pairs(value) do
        local where = ("%s%s[%s]."):format(prefix, name, key)
        loaded[key] = type(item) == "table" and M.load_files(item, where) or item
      end
      value = loaded
    elseif name == "ca" or name == "chain" or name == "client_ca" then
      value = table.move(list_of(value), 1, #list_of(value), 1, {})
      for i, item in ipairs(value) do
        local path = type(item) == "string" and item ~= "system" and is_path(item)
        if path and not (name == "ca" and is_folder(item)) then
          value[i] = content(prefix .. name, item)
        end
      end
    end
    out[name] = value
  end
  return out
end

-- The plain options of what was given.
function M.make_plain(given)
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

-- What stands side by side in `qn.tls.connect` and `qn.tls.listen`: options of `own` as they are, and all others
-- within `tls`, laid on what was given there.
function M.beneath(own, opts)
  local out, tls = {}, {}
  for name, value in pairs(opts) do
    if name ~= "tls" then
      (own[name] and out or tls)[name] = value
    end
  end
  if type(opts.tls) == "table" then
    for name, value in pairs(opts.tls) do
      if tls[name] == nil then
        tls[name] = value
      end
    end
  elseif opts.tls ~= nil then
    tls.tls = opts.tls
  end
  out.tls = next(tls) and tls or true
  return out
end

local SERVERS_ONLY <const> = { "sni", "client_ca", "ticket_keys", "ocsp_staple", "psk_hint",
  "cipher_preference" }
local CLIENTS_ONLY <const> = { "server_name", "verify_name", "session", "ocsp" }

-- What was given must do something; and a client needs to know whom it wants: a name of its own, or that of the
-- connection. Misuse blames `level` (as for an error where this is called).
function M.check_role(opts, config, rest, name, where, level)
  local others = rest.server and CLIENTS_ONLY or SERVERS_ONLY
  for _, option in ipairs(type(opts) == "table" and others or {}) do
    if opts[option] ~= nil then
      local whose = rest.server and "clients" or "servers"
      error(("%s: option '%s' is for %s"):format(where, option, whose), level + 1)
    end
  end
  if rest.server then
    return
  elseif type(core.tls_own(config).alpn) == "function" then
    error(where .. ": option 'alpn': a function is for servers, clients have a list", level + 1)
  elseif rest.server_name or rest.verify_name ~= nil or name then
    return
  end
  if config.verify == "auto" or config.verify == "peer" then
    error(where .. ": option 'server_name' is missing: the certificate must be for some name"
      .. " (verify_name = false accepts any)", level + 1)
  end
end

M.RULES, M.NAMED, M.CONNECTION, M.STARTING, M.ALL = RULES, NAMED, CONNECTION, STARTING, ALL

return M
