-- What options say about names, subjects and usages, as the flat list that core.cert_make takes:
-- three strings each (what it is, the text, the name of an attribute). Used by qn.tls.issue alone.
-- It must not judge texts: C does. It throws at values of the wrong type, and names the option.

local M = {}

local function wrong(where, option, expected, value)
  error(("qn.tls.%s: option '%s' must be %s, got %s"):format(where, option, expected, type(value)),
    0)
end

local function add(out, what, text, id)
  local n = #out
  out[n + 1], out[n + 2], out[n + 3] = what, text, id or ""
end

-- A text, or a list of them.
local function each(value, where, option)
  if type(value) == "string" then
    return { value }
  end
  if type(value) ~= "table" then
    wrong(where, option, "a string or a list of them", value)
  end
  for _, text in ipairs(value) do
    if type(text) ~= "string" then
      wrong(where, option, "a list of strings", text)
    end
  end
  return value
end

local FORMS <const> = { "dns", "ip", "email", "uri" }
local IS_FORM <const> = { dns = true, ip = true, email = true, uri = true }

local function add_name(out, form, value, where)
  if type(value) == "userdata" and getmetatable(value) == "qn"
    and (value.protocol == "ipv4" or value.protocol == "ipv6") then
    add(out, "ip", tostring(value))
  elseif type(value) == "string" then
    add(out, form, value)
  else
    wrong(where, "names", "a list of strings and addresses", value)
  end
end

---Alternative names: "name", { "name", address, uri = { ... } }, or what `certificate.names` gives.
---@param out string[]
---@param names any
---@param where string
---@param known_only? boolean leave out what cannot be written: names of other forms
function M.names(out, names, where, known_only)
  if type(names) ~= "table" then
    add_name(out, "any", names, where)
    return
  end
  for _, value in ipairs(names) do
    add_name(out, "any", value, where)
  end
  for _, form in ipairs(FORMS) do
    local values = names[form]
    for _, value in ipairs(type(values) == "table" and values or { values }) do
      add_name(out, form, value, where)
    end
  end
  for key, values in pairs(names) do
    if math.type(key) ~= "integer" and not IS_FORM[key] and not known_only
      and not (type(values) == "table" and next(values) == nil) then
      error(("qn.tls.%s: option 'names' has no form '%s' (there are dns, ip, email and uri)")
        :format(where, tostring(key)), 0)
    end
  end
end

-- The usual order of attributes, from the widest to the narrowest.
local ORDER <const> = {}
for i, names in ipairs { "DC domainComponent", "C countryName", "ST stateOrProvinceName",
  "L localityName", "street streetAddress", "O organizationName", "OU organizationalUnitName" } do
  for name in names:gmatch("%S+") do
    ORDER[name] = i
  end
end
for i, names in ipairs { "CN commonName", "serialNumber", "emailAddress" } do
  for name in names:gmatch("%S+") do
    ORDER[name] = 100 + i
  end
end

local function before(a, b)
  local i, j = ORDER[a] or 50, ORDER[b] or 50
  return i < j or (i == j and a < b)
end

---A subject: "common name", { CN = "x", OU = { "a", "b" } }, or a list as `certificate.subject` gives.
---@param out string[]
---@param subject any
---@param where string
function M.subject(out, subject, where)
  if type(subject) == "string" then
    add(out, "attribute", subject, "CN")
    return
  elseif type(subject) ~= "table" then
    wrong(where, "subject", "a string or a table", subject)
  end
  local last
  for _, attribute in ipairs(subject) do
    local id = type(attribute) == "table" and (attribute.oid or attribute.name)
    if type(id) ~= "string" or type(attribute.value) ~= "string" then
      wrong(where, "subject", "a table of attributes, or a list of { name=, value= }", attribute)
    end
    add(out, last and attribute.set == last and "joined" or "attribute", attribute.value, id)
    last = attribute.set
  end
  local ids = {}
  for id in pairs(subject) do
    if type(id) == "string" then
      ids[#ids + 1] = id
    end
  end
  table.sort(ids, before)
  for _, id in ipairs(ids) do
    for _, text in ipairs(each(subject[id], where, "subject." .. id)) do
      add(out, "attribute", text, id)
    end
  end
end

---The subject when nobody says: the first name that fits into a common name (64 characters); else none.
---@param out string[]
---@param names string[] the flat list
function M.usual_subject(out, names)
  for i = 1, #names, 3 do
    local text = names[i + 1]
    local size = utf8.len(text)
    if size and size >= 1 and size <= 64 then
      add(out, "attribute", text, "CN")
      return true
    end
  end
  return false
end

---@param out string[]
---@param what "usage"|"ocsp"|"issuers"|"crl"
---@param value any
---@param where string
function M.list(out, what, value, where)
  for _, text in ipairs(each(value, where, what)) do
    add(out, what, text)
  end
end

local BITS <const> = {
  digital_signature = 1, non_repudiation = 2, key_encipherment = 4, data_encipherment = 8,
  key_agreement = 16, key_cert_sign = 32, crl_sign = 64, encipher_only = 128, decipher_only = 256,
}

---The bits of the extension "key usage".
---@param value any
---@param where string
---@return integer
function M.key_usage(value, where)
  local bits = 0
  for _, name in ipairs(each(value, where, "key_usage")) do
    local bit = BITS[name]
    if not bit then
      local known = {}
      for key in pairs(BITS) do
        known[#known + 1] = key
      end
      local near = require "qn.options".nearest(name, known)
      error(("qn.tls.%s: option 'key_usage': unknown usage '%s'%s"):format(where, name,
        near and (" (did you mean '" .. near .. "'?)") or ""), 0)
    end
    bits = bits | bit
  end
  return bits
end

---The bytes of a serial number in hexadecimal, as `certificate.serial` has it.
---@param value string
---@return string? bytes
function M.serial(value)
  local hex = value:gsub(":", "")
  if hex == "" or hex:find("%X") then
    return nil
  end
  if #hex % 2 == 1 then
    hex = "0" .. hex
  end
  return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

return M
