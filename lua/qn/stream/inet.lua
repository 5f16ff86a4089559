-- IP addresses between text and bytes, for QHostAddress in data streams.
-- Called by data_net.lua. It must not resolve names: anything but a literal is nil.
-- Invariant: format(parse(text)) is the canonical form of RFC 5952.

local M = {}

local function parse_ipv4(text)
  local parts = { text:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$") }
  if #parts ~= 4 then
    return nil
  end
  for i, part in ipairs(parts) do
    local n = tonumber(part)
    if n > 255 or (#part > 1 and part:byte() == 48) then
      return nil
    end
    parts[i] = n
  end
  return string.char(table.unpack(parts))
end

-- The groups of one side of "::" as bytes; the last may be an IPv4 address.
local function groups(text, is_last)
  if text == "" then
    return ""
  end
  local out = {}
  for group, colon in (text .. ":"):gmatch("([^:]*)(:)") do
    out[#out + 1] = group .. colon
  end
  for i, group in ipairs(out) do
    group = group:sub(1, -2)
    if group:find("^%x%x?%x?%x?$") then
      out[i] = string.pack(">I2", tonumber(group, 16))
    else
      local quad = is_last and i == #out and parse_ipv4(group)
      if not quad then
        return nil
      end
      out[i] = quad
    end
  end
  return table.concat(out)
end

local function parse_ipv6(text)
  local head, tail = text:match("^(.-)::(.*)$")
  if not head then
    local all = groups(text, true)
    return all and #all == 16 and all or nil
  end
  local left, right = groups(head, false), groups(tail, true)
  if not left or not right or #left + #right > 14 then
    return nil
  end
  return left .. ("\0"):rep(16 - #left - #right) .. right
end

---The bytes of an address literal.
---@param text string "127.0.0.1", "::1", "fe80::1%eth0"
---@return string? bytes 4 or 16
---@return string? scope of an IPv6 address
---@nodiscard
function M.parse(text)
  if #text > 128 then
    return nil
  end
  local quad = parse_ipv4(text)
  if quad then
    return quad
  end
  local address, scope = text:match("^([^%%]+)%%(.+)$")
  local bytes = parse_ipv6(address or text)
  return bytes, bytes and scope
end

---The text of an address.
---@param bytes string 4 or 16
---@param scope? string
---@return string
---@nodiscard
function M.format(bytes, scope)
  if #bytes == 4 then
    return ("%d.%d.%d.%d"):format(bytes:byte(1, 4))
  end
  if bytes:sub(1, 12) == ("\0"):rep(10) .. "\xFF\xFF" then
    return "::ffff:" .. M.format(bytes:sub(13)) .. (scope and "%" .. scope or "")
  end
  local words = { string.unpack(">I2I2I2I2I2I2I2I2", bytes) }
  local best, best_length, i = 0, 1, 1
  while i <= 8 do
    local j = i
    while j <= 8 and words[j] == 0 do
      j = j + 1
    end
    if j - i > best_length then
      best, best_length = i, j - i
    end
    i = j + 1
  end
  local text = {}
  for k = 1, 8 do
    text[k] = ("%x"):format(words[k])
  end
  local out
  if best == 0 then
    out = table.concat(text, ":")
  else
    out = table.concat(text, ":", 1, best - 1)
      .. "::"
      .. table.concat(text, ":", best + best_length, 8)
  end
  return scope and out .. "%" .. scope or out
end

return M
