---Records of the DNS and hosts as read-only values, and how zone files write a record.
---
---The fields come from the core as plain tables; a value hides its table behind a private key, so that
---it cannot be changed and still works with `pairs`. Nothing here waits.

local M = {}

local FIELDS <const> = {} -- the private key

local concat = table.concat

-- A class of values with the given methods; returns what makes one of a table of fields.
local function class(name, methods, to_string)
  local meta = { __name = name, __metatable = "qn" }

  function meta.__index(self, key)
    local value = rawget(self, FIELDS)[key]
    if value == nil then
      return methods[key]
    end
    return value
  end

  function meta.__newindex(_, key)
    error(("attempt to change field '%s' of a read-only value"):format(tostring(key)), 2)
  end

  function meta.__pairs(self)
    local fields = rawget(self, FIELDS)
    return function(_, key) return next(fields, key) end, self, nil
  end

  function meta.__tostring(self)
    return to_string(self)
  end

  return function(fields)
    return setmetatable({ [FIELDS] = fields }, meta)
  end
end

-- How zone files write things ------------------------------------------------------------------------

local function dotted(name)
  return name == "." and name or name .. "."
end

local function escape(c)
  if c == '"' or c == "\\" then
    return "\\" .. c
  end
  return ("\\%03d"):format(c:byte())
end

local function quoted(text)
  return '"' .. text:gsub('[%c"\\\127-\255]', escape) .. '"'
end

local function hex(data)
  return (data:gsub(".", function(c) return ("%02X"):format(c:byte()) end))
end

local KEYS <const> = { mandatory = 0, alpn = 1, no_default_alpn = 2, port = 3, ipv4hint = 4,
  ech = 5, ipv6hint = 6, dohpath = 7, ohttp = 8 }

local ALPHABET <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
  .. "abcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(data)
  local out = {}
  for i = 1, #data, 3 do
    local a, b, c = data:byte(i, i + 2)
    local n = a << 16 | (b or 0) << 8 | (c or 0)
    for shift = 18, 0, -6 do
      local at = (n >> shift & 63) + 1
      out[#out + 1] = ALPHABET:sub(at, at)
    end
    if not c then
      out[#out] = "="
    end
    if not b then
      out[#out - 1] = "="
    end
  end
  return concat(out)
end

local function list(values)
  local out = {}
  for i, value in ipairs(values) do
    out[i] = tostring(value)
  end
  return concat(out, ",")
end

local function names(values)
  return (list(values):gsub("_", "-"))
end

-- RFC 9460 section 7.1.1: commas and backslashes inside of one are escaped twice.
local function protocols(values)
  local out = {}
  for i, value in ipairs(values) do
    out[i] = value:gsub("[,\\]", "\\%0")
  end
  return quoted(concat(out, ","))
end

local SHOW <const> = { mandatory = names, alpn = protocols, ipv4hint = list, ipv6hint = list,
  ech = base64, dohpath = quoted, port = tostring }

local function params(all)
  local order, out = {}, {}
  for key in pairs(all) do
    order[#order + 1] = { KEYS[key] or math.tointeger(key:sub(4)), key }
  end
  table.sort(order, function(a, b) return a[1] < b[1] end)
  for i, each in ipairs(order) do
    local key, value = each[2], all[each[2]]
    local name = key:gsub("_", "-")
    if value == true or value == "" then
      out[i] = " " .. name
    else
      out[i] = (" %s=%s"):format(name, (SHOW[key] or quoted)(value))
    end
  end
  return concat(out)
end

local function target(r) return dotted(r.target) end
local function address(r) return tostring(r.address) end

local function svcb(r)
  return ("%d %s%s"):format(r.priority, dotted(r.target), params(r.params))
end

local DATA <const> = {
  A = address,
  AAAA = address,
  NS = target,
  CNAME = target,
  PTR = target,
  SVCB = svcb,
  HTTPS = svcb,
  MX = function(r) return ("%d %s"):format(r.preference, dotted(r.exchange)) end,
  SRV = function(r)
    return ("%d %d %d %s"):format(r.priority, r.weight, r.port, dotted(r.target))
  end,
  TXT = function(r)
    local out = {}
    for i, text in ipairs(r.strings) do
      out[i] = quoted(text)
    end
    return concat(out, " ")
  end,
  SOA = function(r)
    return ("%s %s %d %d %d %d %d"):format(dotted(r.mname), dotted(r.rname), r.serial, r.refresh,
      r.retry, r.expire, r.minimum)
  end,
  TLSA = function(r)
    return ("%d %d %d %s"):format(r.usage, r.selector, r.matching, hex(r.data))
  end,
  CAA = function(r) return ("%d %s %s"):format(r.flags, r.tag, quoted(r.value)) end,
  NAPTR = function(r)
    return ("%d %d %s %s %s %s"):format(r.order, r.preference, quoted(r.flags), quoted(r.services),
      quoted(r.regexp), dotted(r.replacement))
  end,
}

---@class qn.DnsRecord
local Record = {}

---The data as zone files write it and `dig +short` shows it: `10 mail.example.org.`; data of types that
---are not decoded in the form of RFC 3597: `\# 4 7F000001`.
---@return string
function Record:short()
  local show = DATA[self.type]
  if show then
    return show(self)
  end
  local data = self.data
  return ("\\# %d%s%s"):format(#data, #data > 0 and " " or "", hex(data))
end

---Makes a read-only record of its fields.
---@param fields table
---@return qn.DnsRecord
M.record = class("qn.DnsRecord", Record, function(self)
  return ("%s %d IN %s %s"):format(dotted(self.name), self.ttl, self.type, self:short())
end)

---Makes a read-only host of its fields.
---@param fields table
---@return qn.Host
M.host = class("qn.Host", {}, function(self)
  return ("qn.Host: %s %s"):format(self.name, list(self.addresses))
end)

---Turns the list of tables that the core gives into a list of records, and its chain.
---@param records table
---@return qn.DnsRecords
function M.records(records)
  for i, fields in ipairs(records) do
    records[i] = M.record(fields)
  end
  for i, fields in ipairs(records.chain) do
    records.chain[i] = M.record(fields)
  end
  return records
end

return M
