-- Data streams: QUrl, QHostAddress, QNetworkCacheMetaData. URLs and addresses are text.
-- data.lua takes its methods over into the class. It must not resolve names or judge URLs.
-- Invariant: what a peer sends gives text, null, or read_corrupt_data; it never throws.

local core = require "qn.stream.data_core"
local inet = require "qn.stream.inet"

local bad_argument, put, take = core.bad_argument, core.put, core.take
local NULL <const> = core.null

---@class qn.DataStream
local Data = {}

---Reads a QUrl, percent-encoded.
---@async
---@return string? url the empty one gives the option `null`
---@return qn.Error? err
function Data:read_url()
  local data, err = self:read_bytes()
  if err or self._failed then
    return nil, err
  elseif type(data) ~= "string" or data == "" then
    return self._null
  end
  return data
end

local function to_text(v, where, expected)
  local meta = type(v) ~= "string" and getmetatable(v)
  if meta and meta.__tostring then
    return tostring(v)
  elseif type(v) ~= "string" then
    bad_argument(1, where, expected, v, 4)
  end
  return v
end

---Writes a QUrl. Bytes that a URL cannot hold are percent-encoded; nil is the empty URL.
---@async
---@param url any text, or a URL value
---@return true? ok
---@return qn.Error? err
function Data:write_url(url)
  if url == nil or url == NULL then
    return self:write_bytes(nil)
  end
  if type(url) == "userdata" and url.to_string then
    url = url:to_string() -- tostring leaves the password out
  end
  local text = to_text(url, "write_url", "URL or nil")
  return self:write_bytes((text:gsub("[\0-\x20\x7F-\xFF\"<>\\^`{|}]", function(c)
    return ("%%%02X"):format(c:byte())
  end)))
end

---Reads a QHostAddress.
---@async
---@return string? address "192.0.2.1", "fe80::1%eth0", "any"; null gives the option `null`
---@return qn.Error? err
function Data:read_host_address()
  local protocol, err = self:read_int8()
  if not protocol then
    return nil, err
  elseif protocol == -1 then
    return self._null
  elseif protocol == 2 then
    return "any"
  elseif protocol ~= 0 and protocol ~= 1 then
    return core.corrupt(self, ("%d is no address family"):format(protocol))
  end
  local _ <close> = core.inside(self)
  if protocol == 0 then
    local n
    n, err = core.take_u32(self, true)
    return n and inet.format(string.pack(">I4", n)), err
  end
  local bytes, scope
  bytes, err = take(self, 16, true)
  if not bytes then
    return nil, err
  end
  scope, err = self:read_string()
  if self._failed then
    return nil, err
  end
  return inet.format(bytes, type(scope) == "string" and scope ~= "" and scope or nil)
end

local function write_ipv6(self, bytes, scope)
  put(self, "\1" .. bytes)
  return self:write_string(scope)
end

---Writes a QHostAddress. "any" is Qt 5's; before version 13 it is 0.0.0.0, as Qt 4's was.
---@async
---@param address any literal or address value; nil is the null address
---@return true? ok
---@return qn.Error? err
function Data:write_host_address(address)
  if address == nil or address == NULL then
    return put(self, "\xFF")
  end
  local text = to_text(address, "write_host_address", "address or nil")
  if text == "any" then
    return put(self, self._version >= 13 and "\2" or "\0\0\0\0\0")
  end
  local bytes, scope = inet.parse(text)
  if not bytes or (scope and not utf8.len(scope)) then
    bad_argument(1, "write_host_address", "IPv4 or IPv6 literal", text)
  elseif #bytes == 4 then
    return put(self, "\0" .. core.u32(self, (string.unpack(">I4", bytes))))
  end
  return core.whole(self, write_ipv6, bytes, scope)
end

---@class qn.CacheMetadata
---@field url? string
---@field expiration_date? qn.DateTime|number
---@field last_modified? qn.DateTime|number
---@field save_to_disk? boolean true when absent
---@field attributes? table<integer, any> variants by request attribute
---@field raw_headers? string[][] pairs of name and value

local function read_header(self)
  return self:read_pair("bytes", "bytes")
end

---Reads a QNetworkCacheMetaData.
---@async
---@return qn.CacheMetadata?
---@return qn.Error? err
function Data:read_cache_metadata()
  local url, err = self:read_url()
  if err or self._failed then
    return nil, err
  end
  local m = { url = url }
  local _ <close> = core.inside(self)
  m.expiration_date = self:read_datetime()
  m.last_modified = self:read_datetime()
  m.save_to_disk = self:read_bool()
  m.attributes = self:read_map("int32", "variant")
  m.raw_headers = self:read_list(read_header)
  if self._failed then
    return nil, self._failed
  end
  return m
end

local function write_header(self, pair)
  return self:write_pair(pair, "bytes", "bytes")
end

local function write_metadata(self, m)
  self:write_url(m.url)
  self:write_datetime(m.expiration_date)
  self:write_datetime(m.last_modified)
  self:write_bool(m.save_to_disk ~= false)
  self:write_map(m.attributes or {}, "int32", "variant")
  return self:write_list(m.raw_headers or {}, write_header)
end

---Writes a QNetworkCacheMetaData.
---@async
---@param metadata qn.CacheMetadata
---@return true? ok
---@return qn.Error? err
function Data:write_cache_metadata(metadata)
  if type(metadata) ~= "table" then
    bad_argument(1, "write_cache_metadata", "table", metadata)
  end
  return core.whole(self, write_metadata, metadata)
end

return Data
