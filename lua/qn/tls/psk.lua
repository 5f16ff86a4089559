---Options of TLS about shared keys (PSK): checked here, set by lua/qn/tls/configuration.lua.
---
---Loaded by lua/qn/tls/options.lua, which gives its `misuse`. Tables become lists of pairs, functions stay:
---they run in the middle of a handshake and must not wait. Must not put keys into messages.

local M = {}

local IDENTITY_MAX <const>, KEY_MIN <const>, KEY_MAX <const>, KEYS_MAX <const> = 128, 16, 64, 1024

local function check_identity(misuse, option, value)
  if type(value) ~= "string" or value == "" or #value > IDENTITY_MAX
    or value:find("\0", 1, true) then
    misuse("option '%s': an identity is a string of 1 to %d bytes without a zero", option,
      IDENTITY_MAX)
  end
end

local function check_key(misuse, option, value)
  if type(value) ~= "string" or #value < KEY_MIN or #value > KEY_MAX then
    misuse("option '%s': a key is a string of %d to %d bytes, got %s", option, KEY_MIN, KEY_MAX,
      type(value) == "string" and #value or type(value))
  end
end

local function known(misuse, option, value, names)
  for name in pairs(value) do
    if not names[name] then
      misuse("option '%s': unknown field '%s'", option, tostring(name))
    end
  end
end

---What core.tls_set takes, of a function, {identity=, key=} or {keys = {[identity] = key}}.
---@param misuse fun(format: string, ...)
function M.plain(misuse, option, value)
  if type(value) == "function" then
    return value
  end
  local list = {}
  known(misuse, option, value, { identity = true, key = true, keys = true })
  if value.identity ~= nil or value.key ~= nil then
    check_identity(misuse, option .. ".identity", value.identity)
    check_key(misuse, option .. ".key", value.key)
    list[1] = { value.identity, value.key }
  end
  if value.keys ~= nil and type(value.keys) ~= "table" then
    misuse("option '%s.keys' must be a table, got %s", option, type(value.keys))
  end
  local names = {}
  for identity, key in pairs(value.keys or {}) do
    check_identity(misuse, option .. ".keys", identity)
    check_key(misuse, option .. ".keys", key)
    names[#names + 1] = identity
  end
  table.sort(names)
  for _, identity in ipairs(names) do
    list[#list + 1] = { identity, value.keys[identity] }
  end
  if #list == 0 or #list > KEYS_MAX then
    misuse("option '%s' must hold 1 to %d keys", option, KEYS_MAX)
  end
  return list
end

function M.plain_hint(misuse, option, value)
  check_identity(misuse, option, value)
  return value
end

return M
