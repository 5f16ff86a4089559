---Certificates in words, for the command `qnlua cert`: what each one says, and when it is valid.
---
---Used by lua/qn/cert_command.lua alone. Whatever comes from a peer may hold anything: it is printed
---with control characters and broken UTF-8 escaped, and long lists are cut. It must not print by itself.

local M = {}

local NAMES_MAX <const> = 50 -- names that are shown of one certificate
local TEXT_MAX <const> = 1000 -- bytes that are shown of one value

local function escape(bytes)
  return (bytes:gsub(".", function(c) return ("\\x%02x"):format(c:byte()) end))
end

---Text from outside, made safe for a terminal: one line, printable.
---@param text string
---@return string
function M.clean(text)
  local cut = #text > TEXT_MAX
  text = text:sub(1, TEXT_MAX)
  local out, at = {}, 1
  while at <= #text do
    local size, bad = utf8.len(text, at)
    local stop = size and #text or bad - 1
    out[#out + 1] = text:sub(at, stop):gsub("[%c\u{7f}]", escape):gsub("\xc2[\x80-\x9f]", escape)
      :gsub("\xe2\x80[\x8e\x8f\xaa-\xae]", escape):gsub("\xe2\x81[\xa6-\xa9]", escape)
    if not size then
      out[#out + 1] = escape(text:sub(bad, bad))
    end
    at = stop + (size and 1 or 2)
  end
  return table.concat(out) .. (cut and "..." or "")
end

---A span in the largest fitting unit: "3 days".
---@param seconds integer
---@return string
function M.span(seconds)
  for _, unit in ipairs { { 86400, "days" }, { 3600, "hours" }, { 60, "minutes" } } do
    if seconds >= 2 * unit[1] then
      return ("%d %s"):format(seconds // unit[1], unit[2])
    end
  end
  return ("%d second%s"):format(seconds, seconds == 1 and "" or "s")
end

local function date(time)
  return os.date("!%Y-%m-%d %H:%M:%S UTC", time)
end

---Its validity at a time, in words.
---@param certificate qn.Certificate
---@param now integer
---@return string
function M.validity(certificate, now)
  local from, to = certificate.not_before, certificate.not_after
  if not from or not to then
    return "a date cannot be read"
  end
  local words
  if now < from then
    words = ("NOT YET VALID, from then in %s"):format(M.span(from - now))
  elseif now > to then
    words = ("EXPIRED %s ago"):format(M.span(now - to))
  else
    words = ("expires in %s"):format(M.span(to - now))
  end
  return ("%s to %s (%s)"):format(date(from), date(to), words)
end

---Subject or issuer in one line: "CN=..., O=...".
---@param attributes qn.NameAttribute[]
---@return string
function M.name(attributes)
  local parts = {}
  for i = 1, math.min(#attributes, NAMES_MAX) do
    parts[i] = attributes[i].name .. "=" .. M.clean(attributes[i].value)
  end
  return #parts > 0 and table.concat(parts, ", ") or "(empty)"
end

local function alternative_names(certificate)
  local names, all, count = certificate.names, {}, 0
  for _, kind in ipairs { "dns", "ip", "email", "uri", "directory", "other" } do
    for _, name in ipairs(names[kind] or {}) do
      count = count + 1
      if count <= NAMES_MAX then
        all[count] = M.clean(tostring(name))
      end
    end
  end
  if count > NAMES_MAX then
    all[#all + 1] = ("and %d more"):format(count - NAMES_MAX)
  end
  return #all > 0 and table.concat(all, ", ") or "none"
end

local TYPES <const> = { rsa = "RSA", rsa_pss = "RSA-PSS", dsa = "DSA", dh = "DH", ec = "EC",
  ed25519 = "Ed25519", ed448 = "Ed448", x25519 = "X25519", x448 = "X448", sm2 = "SM2" }

---A key in words: "EC P-256", "RSA 2048 bits".
---@param key qn.Key?
---@return string
function M.key(key)
  if not key then
    return "of an unknown kind"
  end
  local name = TYPES[key.type] or key.type
  if key.curve then
    return name .. " " .. key.curve
  elseif key.type:find("^[ex][d%d]") then
    return name -- always of one size
  end
  return ("%s %d bits"):format(name, key.bits)
end

local function fingerprint(certificate)
  local digest = certificate:digest("sha256")
  local hex = (digest or ""):gsub(".", function(c) return (":%02x"):format(c:byte()) end)
  return hex:sub(2)
end

---What is known of the OCSP answer that a server has stapled.
---@param facts qn.TlsFacts
---@return string
function M.staple(facts)
  local ocsp = facts.ocsp
  if not ocsp then
    return "none"
  end
  local detail = ocsp.problem or ocsp.reason
    or ocsp.next_update and os.date("!until %Y-%m-%d %H:%M:%S UTC", ocsp.next_update)
  return detail and ("%s (%s)"):format(ocsp.status, detail) or ocsp.status
end

---What a certificate says, line by line.
---@param certificate qn.Certificate
---@param title string
---@param now integer
---@return string text with a line break at its end
function M.certificate(certificate, title, now)
  local role = certificate.is_ca and (certificate.self_signed and "root CA" or "CA")
    or certificate.self_signed and "self-signed" or nil
  local lines = { title .. (role and " (" .. role .. ")" or "") }
  for _, line in ipairs {
    { "subject", M.name(certificate.subject) },
    { "issuer", M.name(certificate.issuer) },
    { "names", alternative_names(certificate) },
    { "valid", M.validity(certificate, now) },
    { "key", M.key(certificate.public_key) },
    { "signed", M.clean(certificate.signature_algorithm) },
    { "usage", M.clean(table.concat(certificate.usage or { "not limited" }, ", ")) },
    { "serial", certificate.serial },
    { "SHA-256", fingerprint(certificate) },
  } do
    lines[#lines + 1] = ("  %-8s %s"):format(line[1], line[2])
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
