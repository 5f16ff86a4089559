-- A certificate inspector: reads certificates from files (PEM, DER, bundles) and tells what they are for,
-- who signed them, how long they are valid, and whether they lead to a trusted one. `qnlua cert` does
-- the same for servers. Without arguments it makes a small CA and a certificate to look at.
--
-- Run:   qnlua examples/cert_inspector.lua [file ...]
-- Prints:
--   www.example.org: signed by Example CA
--     for www.example.org, 192.0.2.1
--     valid for 30 more days, EC P-256
--     not trusted: the issuer of the certificate of "www.example.org" is not known: "Example CA"
--     trusted by Example CA: yes, for www.example.org
--     for example.com: certificate for www.example.org and 192.0.2.1 does not match host "example.com"

local qn = require "qn"

local function names_of(certificate)
  local names = {}
  for _, name in ipairs(certificate.names.dns) do
    names[#names + 1] = name
  end
  for _, address in ipairs(certificate.names.ip) do
    names[#names + 1] = tostring(address)
  end
  return #names > 0 and table.concat(names, ", ") or "nobody"
end

local function validity(certificate)
  local now <const> = os.time()
  if now < certificate.not_before then
    return "not valid before " .. os.date("!%Y-%m-%d", certificate.not_before)
  end
  local days = (certificate.not_after - now) // 86400
  return days < 0 and ("expired %d days ago"):format(-days)
    or ("valid for %d more days"):format(days)
end

local function show(chain, ca)
  local first <const> = chain[1]
  local key <const> = first.public_key
  print(("%s: %s"):format(first.subject_display_name, first.self_signed and "self-signed"
    or "signed by " .. first.issuer_display_name))
  print("  for " .. names_of(first))
  local kind = key.curve and "EC " .. key.curve or key.type .. " " .. key.bits
  print(("  %s, %s"):format(validity(first), kind))
  local good, errors = qn.tls.verify(chain)
  print(good and "  trusted by this system" or "  not trusted: " .. errors[1].message)
  if ca then
    good = qn.tls.verify(chain, "www.example.org", { ca = ca })
    print(("  trusted by %s: %s"):format(ca.subject_display_name,
      good and "yes, for www.example.org" or "no"))
    print("  for example.com: " .. select(2, first:matches_host "example.com").message)
  end
end

for _, path in ipairs(arg) do
  show(assert(qn.tls.certificates(path)))
end
if #arg == 0 then
  local ca, ca_key = assert(qn.tls.self_signed { subject = "Example CA", ca = true })
  local request = assert(qn.tls.request { names = { "www.example.org", "192.0.2.1" } })
  show({ assert(qn.tls.sign(request, ca, ca_key, { days = 30.5 })) }, ca)
end
