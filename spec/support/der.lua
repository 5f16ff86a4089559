-- DER by hand, for certificates that no program would make: any value in any place. The signature of
-- what comes out is wrong: it can be read and asked, not verified.

local M = {}

local function length(n)
  if n < 128 then
    return string.char(n)
  end
  local bytes = ""
  while n > 0 do
    bytes = string.char(n & 255) .. bytes
    n = n >> 8
  end
  return string.char(128 | #bytes) .. bytes
end

---One value: its tag and its content.
function M.tlv(tag, content)
  return string.char(tag) .. length(#content) .. content
end

function M.seq(...) return M.tlv(0x30, table.concat { ... }) end
function M.set(...) return M.tlv(0x31, table.concat { ... }) end
function M.octets(bytes) return M.tlv(0x04, bytes) end
function M.bits(bytes) return M.tlv(0x03, "\0" .. bytes) end

---An INTEGER from the bytes of its content.
function M.integer(bytes) return M.tlv(0x02, bytes) end

function M.oid(text)
  local numbers, bytes = {}, {}
  for n in text:gmatch("%d+") do
    numbers[#numbers + 1] = math.tointeger(n)
  end
  table.remove(numbers, 1)
  numbers[1] = numbers[1] + 40 * math.tointeger(text:match("^%d+"))
  for i, n in ipairs(numbers) do
    local group = string.char(n & 127)
    n = n >> 7
    while n > 0 do
      group = string.char(128 | n & 127) .. group
      n = n >> 7
    end
    bytes[i] = group
  end
  return M.tlv(0x06, table.concat(bytes))
end

---A name of {oid, tag, bytes}...; each is an RDN of its own, several in a list are one.
function M.name(...)
  local rdns = {}
  for i, rdn in ipairs { ... } do
    local parts = {}
    for k, attribute in ipairs(type(rdn[1]) == "table" and rdn or { rdn }) do
      parts[k] = M.seq(M.oid(attribute[1]), M.tlv(attribute[2], attribute[3]))
    end
    rdns[i] = M.set(table.unpack(parts))
  end
  return M.seq(table.unpack(rdns))
end

function M.extension(oid, value, critical)
  return M.seq(M.oid(oid), critical and M.tlv(1, "\xff") or "", M.octets(value))
end

---A time by its text: UTCTime with two digits of the year, else GeneralizedTime.
function M.time(text) return M.tlv(#text == 13 and 0x17 or 0x18, text) end

---A certificate; what is not given is plain.
-- `fields`: key (DER), serial (bytes), issuer, subject (DER), from, to (text), extensions (list of DER),
-- algorithm (number).
function M.certificate(fields)
  local algorithm = M.seq(M.oid(fields.algorithm or "1.2.840.10045.4.3.2"))
  local name = M.name { "2.5.4.3", 0x0c, "made by hand" }
  local extensions = fields.extensions and M.tlv(0xa3, M.seq(table.concat(fields.extensions))) or ""
  local body = M.seq(M.tlv(0xa0, M.integer "\2"), M.integer(fields.serial or "\1"), algorithm,
    fields.issuer or name, M.seq(M.time(fields.from or "260101000000Z"),
      M.time(fields.to or "360101000000Z")), fields.subject or name, fields.key, extensions)
  return M.seq(body, algorithm, M.bits(M.seq(M.integer "\1", M.integer "\1")))
end

return M
