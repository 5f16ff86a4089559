-- The fields of qn.Certificate, against what openssl(1) says of the system's certificates and of odd
-- ones that are made by hand.
-- covers: bindings/b_certificate_list.c
-- covers: bindings/b_certificate_read.c
-- covers: runtime/tls/cert_text.c
-- covers: runtime/tls/cert_list.c
-- covers: lua/qn/_meta/certificate.lua

local qn = require "qn"
local der = require "spec.support.der"
local program = require "spec.support.program"

local tls = qn.tls
local folder, key

setup(function()
  folder = program.scratch()
  key = assert(tls.generate_key()).public:to_der()
end)

teardown(function() program.remove(folder) end)

local function output(command)
  local pipe <close> = assert(io.popen(("cd '%s' && %s"):format(folder, command)))
  return pipe:read("a")
end

local function write(name, text)
  local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
  file:write(text)
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- A certificate made by hand, and what openssl says of it with `options`.
local function odd(fields, options)
  fields.key = key
  local text = der.certificate(fields)
  write("odd.der", text)
  local certificate = assert(tls.certificate(text))
  assert.equal(text, certificate:to_der())
  return certificate, options and output("openssl x509 -inform der -in odd.der -noout " .. options)
end

local function san(...)
  return der.extension("2.5.29.17", der.seq(...))
end

local FACTS <const> = "-serial -fingerprint -sha256 -subject -issuer -dates -nameopt "
  .. "sep_comma_plus_space,sname,utf8"

local MONTHS <const> = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8,
  Sep = 9, Oct = 10, Nov = 11, Dec = 12 }

-- Days since 1970 of a date, by the calendar alone.
local function days(y, m, d)
  y = m <= 2 and y - 1 or y
  local era, yoe = y // 400, y % 400
  local doy = (153 * (m + (m > 2 and -3 or 9)) + 2) // 5 + d - 1
  return era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468
end

local function seconds(text)
  local month, d, h, mi, s, y = text:match("(%a+) +(%d+) (%d+):(%d+):(%d+) (%d+) GMT")
  return days(math.tointeger(y), MONTHS[month], math.tointeger(d)) * 86400 + h * 3600 + mi * 60
    + math.tointeger(s)
end

describe("the facts of a certificate", function()
  it("are those that openssl shows, of the system's", function()
    local list, wanted, pem = assert(tls.system_certificates()), {}, {}
    for i = 1, #list, 6 do
      wanted[#wanted + 1] = list[i]
      pem[#pem + 1] = list[i]:to_pem()
      write("c" .. #wanted .. ".pem", list[i]:to_pem())
    end
    write("all.pem", table.concat(pem))
    output "openssl crl2pkcs7 -nocrl -certfile all.pem -out all.p7"
    local text = output("for i in $(seq " .. #wanted .. "); do echo BEGIN; openssl x509 -in c$i.pem -noout "
      .. FACTS .. " -text; echo END; done")
    local n = 0
    for said in text:gmatch "BEGIN\n(.-)END\n" do
      n = n + 1
      local certificate = wanted[n]
      local serial = said:match("serial=(%x+)"):lower()
      assert.equal(serial, (certificate.serial:gsub(":", "")))
      assert.equal(seconds(said:match "notBefore=([^\n]+)"), certificate.not_before)
      assert.equal(seconds(said:match "notAfter=([^\n]+)"), certificate.not_after)
      assert.equal(said:match("Fingerprint=([%x:]+)"):gsub(":", ""):lower(), hex(certificate:digest()))
      assert.equal(said:match "Signature Algorithm: ([^\n]+)", certificate.signature_algorithm)
      assert.equal(said:match "\nsubject=([^\n]*)", (tostring(certificate.subject):gsub("\\", "")))
      assert.equal(said:match "\nissuer=([^\n]*)", (tostring(certificate.issuer):gsub("\\", "")))
      assert.equal(certificate.subject == certificate.issuer, certificate.self_signed)
      assert.equal(said:find("CA:TRUE", 1, true) ~= nil, certificate.is_ca)
      assert.equal(tonumber(said:match "pathlen:(%d+)"), certificate.path_length)
      assert.equal(said:match "Subject Key Identifier: *\n *([%x:]+)", certificate.key_id
        and certificate.key_id:upper())
      assert.equal(said:match "Version: (%d)", tostring(certificate.version))
      assert.equal(said:match "X509v3 Key Usage" ~= nil, certificate.key_usage ~= nil)
      local count = select(2, said:gsub("\n            %S[^\n]*: *c?r?i?t?i?c?a?l?\n", ""))
      assert.is_true(#certificate.extensions <= count)
    end
    assert.equal(#wanted, n)
    assert.same(wanted, tls.certificates(folder .. "/all.p7"))
  end)

  it("are what extensions say", function()
    output("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out full.pem "
      .. "-subj /CN=full -addext keyUsage=digitalSignature,keyCertSign,decipherOnly "
      .. "-addext extendedKeyUsage=serverAuth,1.2.3.4 -addext basicConstraints=CA:TRUE,pathlen:3 "
      .. "-addext 'authorityInfoAccess=OCSP;URI:http://o/,OCSP;URI:http://p/,caIssuers;URI:http://i/' "
      .. "-addext crlDistributionPoints=URI:http://c/,URI:http://d/ -addext nsComment=hi 2>/dev/null")
    local full = assert(tls.certificates(folder .. "/full.pem"))[1]
    assert.same({ "digital_signature", "key_cert_sign", "decipher_only" }, full.key_usage)
    assert.same({ "server", "1.2.3.4" }, full.usage)
    assert.equal(3, full.path_length)
    assert.same({ "http://o/", "http://p/" }, full.ocsp_urls)
    assert.same({ "http://i/" }, full.issuer_urls)
    assert.same({ "http://c/", "http://d/" }, full.crl_urls)
    assert.equal(full.key_id, full.issuer_key_id)
    assert.truthy(full.key_id:find("^%x%x:%x%x:[%x:]+$"))
    local supported = {}
    for _, extension in ipairs(full.extensions) do
      supported[extension.name] = extension.supported
      assert.is_true(#extension.value > 0 and extension.text ~= "")
    end
    assert.same({ subjectKeyIdentifier = true, authorityKeyIdentifier = true, keyUsage = true,
      extendedKeyUsage = true, basicConstraints = true, authorityInfoAccess = true,
      crlDistributionPoints = true, nsComment = false }, supported)
    assert.equal("full", full.subject_display_name)
    assert.truthy(tostring(full):find('^qn.Certificate: "full", issued by "full", valid until %d+%-'))
  end)

  it("are nil or empty where nothing says so", function()
    local plain = odd {}
    for _, field in ipairs { "key_usage", "usage", "path_length", "key_id", "issuer_key_id" } do
      assert.is_nil(plain[field])
    end
    assert.same({ {}, {}, {}, {} }, { plain.ocsp_urls, plain.issuer_urls, plain.crl_urls, plain.extensions })
    assert.same({ dns = {}, ip = {}, email = {}, uri = {}, directory = {}, other = {} }, plain.names)
    assert.is_false(plain.is_ca or plain.self_signed)
    assert.is_nil(plain.no_such_field)
  end)
end)

describe("distinguished names", function()
  local name
  before_each(function()
    name = odd({ subject = der.name({ "2.5.4.6", 0x13, "DE" }, { "2.5.4.11", 0x0c, "a" },
      { { "2.5.4.11", 0x0c, "b" }, { "2.5.4.3", 0x0c, " x,y\n" } }, { "1.2.3.4", 0x0c, "z" }) }).subject
  end)

  it("have fields by short name, long name or number", function()
    assert.equal("DE", name.C)
    assert.equal("DE", name.countryName)
    assert.equal("DE", name["2.5.4.6"])
    assert.equal("a", name.OU)
    assert.same({ "a", "b" }, name:values "OU")
    assert.same({ "a", "b" }, name:values "organizationalUnitName")
    assert.equal("z", name["1.2.3.4"])
    assert.is_nil(name.O)
    assert.is_nil(name["no such attribute"])
    assert.is_nil(name[99])
    assert.same({}, name:values "no such attribute")
    assert.error_matches(function() name:values() end, "string expected")
    assert.is_true(#name == 5 and name[3].set == name[4].set and name[4].set ~= name[5].set)
  end)

  it("are text, and equal by content", function()
    assert.equal("C=DE, OU=a, OU=b + CN=\\ x\\,y\\0A, 1.2.3.4=z", tostring(name))
    local again = odd({ subject = der.name({ "2.5.4.6", 0x0c, "DE" }) }).subject
    assert.equal(odd({ subject = der.name({ "2.5.4.6", 0x13, "DE" }) }).subject, again)
    assert.not_equal(name, again)
    local flat = odd({ subject = der.name({ "2.5.4.11", 0x0c, "b" }, { "2.5.4.3", 0x0c, "c" }) }).subject
    local joined = odd({ subject = der.name({ { "2.5.4.11", 0x0c, "b" }, { "2.5.4.3", 0x0c, "c" } }) }).subject
    assert.not_equal(flat, joined)
    assert.equal("", tostring(odd({ subject = der.name() }).subject))
  end)
end)

describe("odd certificates", function()
  it("with strange serial numbers", function()
    assert.equal("-01", odd({ serial = "\xff" }).serial)
    assert.equal("-80", odd({ serial = "\x80" }).serial)
    assert.equal("00", odd({ serial = "\0" }).serial)
    local twenty = ("\x7f"):rep(20)
    local certificate, said = odd({ serial = twenty }, "-serial")
    assert.equal(("7f:"):rep(19) .. "7f", certificate.serial)
    assert.equal("serial=" .. ("7F"):rep(20) .. "\n", said)
    assert.equal(59 * 3 + 2, #odd({ serial = ("\1"):rep(60) }).serial)
  end)

  it("with strange dates", function()
    local old, said = odd({ from = "500101000000Z", to = "99991231235959Z" }, "-dates")
    assert.equal(seconds(said:match "notBefore=([^\n]+)"), old.not_before)
    assert.equal(seconds(said:match "notAfter=([^\n]+)"), old.not_after)
    assert.equal(-631152000, old.not_before)
    assert.equal(253402300799, old.not_after)
    assert.is_true(old.is_valid)
    assert.equal(-1, odd({ from = "19691231235959Z" }).not_before)
    assert.equal(2524608000, odd({ to = "20500101000000Z" }).not_after)
    local broken = odd { from = "nonsense", to = "269999999999Z" }
    assert.is_nil(broken.not_before)
    assert.is_nil(broken.not_after)
    assert.is_false(broken.is_valid)
    assert.is_false(odd({ to = "200101000000Z" }).is_valid)
  end)

  it("with strings of any kind", function()
    local subject = odd({ subject = der.name({ "2.5.4.3", 0x1e, "\0A\x26\x3a" }, -- BMPString
      { "2.5.4.10", 0x14, "\xe4" }, { "2.5.4.11", 0x1c, "\0\1\xf6\0" }, -- T61String, UniversalString
      { "2.5.4.7", 0x03, "\0\xff\xfe" }, { "2.5.4.8", 0x16, "a\0b" }) }).subject
    assert.same({ "A\u{263a}", "ä", "\u{1f600}", "\xff\xfe", "a\0b" },
      { subject.CN, subject.O, subject.OU, subject.L, subject.ST })
    local none, err = tls.certificate(der.certificate { key = key, subject = der.name { "2.5.4.3", 0x0c, "\xff" } })
    assert.is_nil(none)
    assert.equal("CERT_FORMAT", err.code)
  end)

  it("whose text steers no terminal", function()
    local evil = odd { subject = der.name({ "2.5.4.3", 0x0c, "a\27[31m\nx" }),
      extensions = { der.extension("2.16.840.1.113730.1.13", der.tlv(0x16, "\27]0;x\7\x9b")),
        san(der.tlv(0x82, "b\27[0m.example.org")) } }
    for _, text in ipairs { evil:to_text(), tostring(evil), select(2, evil:matches_host "h").message,
      select(2, tls.verify(evil, "h", { ca = {} }))[1].message } do
      assert.falsy(text:find("[\0-\9\11-\31\127]"), text)
      assert.truthy(utf8.len(text), text)
    end
    assert.falsy(tostring(evil):find "\n")
    assert.equal("a\27[31m\nx", evil.subject_display_name) -- as it is
  end)

  it("with alternative names of all kinds", function()
    local names = odd({ extensions = { san(der.tlv(0x82, "a.b"), der.tlv(0x81, "m@x"), der.tlv(0x86, "u:"),
      der.tlv(0x87, "\127\0\0\1"), der.tlv(0x87, ("\0"):rep(15) .. "\1"), der.tlv(0x87, "bad"),
      der.tlv(0x88, "\42\3"), der.tlv(0xa4, der.name { "2.5.4.3", 0x0c, "d" }),
      der.tlv(0xa0, der.oid "1.3.6.1.4.1.311.20.2.3" .. der.tlv(0xa0, der.tlv(0x0c, "upn"))),
      der.tlv(0x82, "nul\0.example.org"), der.tlv(0x82, "")) } }).names
    assert.same({ "a.b", "nul\0.example.org", "" }, names.dns)
    assert.same({ { "m@x" }, { "u:" }, { "CN=d" } }, { names.email, names.uri, names.directory })
    assert.same({ qn.address "127.0.0.1", qn.address "::1" }, names.ip)
    assert.equal(3, #names.other)
    assert.truthy(names.other[2]:find("1.2.3", 1, true))
    assert.truthy(names.other[3]:find("upn", 1, true))
  end)

  it("with more names than are listed", function()
    local all = {}
    for i = 1, 12000 do
      all[i] = der.tlv(0x82, ("h%d.x.y"):format(i))
    end
    local many = odd { extensions = { san(table.unpack(all, 1, 6000)) } }
    assert.equal(6000, #many.names.dns)
    assert.is_nil(many.names.cut)
    many = odd { extensions = { der.extension("2.5.29.17", der.seq(table.concat(all))) } }
    assert.equal(10000, #many.names.dns)
    assert.is_true(many.names.cut)
    assert.is_true(many:matches_host "h12000.x.y") -- all of them count
    assert.truthy(select(2, many:matches_host "h").message:find("and over 9997 more", 1, true))
  end)

  it("with extensions that are doubled, broken or huge", function()
    local doubled = odd { extensions = { san(der.tlv(0x82, "a.b.c")), san(der.tlv(0x82, "d.e.f")) } }
    assert.is_false(doubled.extensions[1].supported or doubled.extensions[2].supported)
    assert.same({}, doubled.names.dns)
    assert.equal("CERT_HOSTNAME_MISMATCH", select(2, doubled:matches_host "a.b.c").code)
    local broken = odd { extensions = { der.extension("2.5.29.17", "\xff\xff"),
      der.extension("2.5.29.19", ""), der.extension("1.2.3.4", "x", true) } }
    assert.is_false(broken.extensions[1].supported or broken.extensions[2].supported or broken.is_ca)
    assert.same({ oid = "1.2.3.4", name = "1.2.3.4", value = "x", text = "", critical = true, supported = false },
      broken.extensions[3])
    local huge = odd { extensions = { der.extension("1.2.3.4", ("x"):rep(500000)) } }
    assert.equal(500000, #huge.extensions[1].value)
    assert.is_true(#huge:to_text() > 0)
    local none, err = tls.certificate(der.certificate { key = key,
      extensions = { der.extension("1.2.3.4", ("x"):rep(1 << 20)) } })
    assert.is_nil(none)
    assert.equal("LIMIT", err.code)
    assert.equal("certificate 1 (byte 0): it is larger than 1 MiB", err.message)
  end)

  it("without a subject are called by a name", function()
    local nobody = odd { subject = der.name(), issuer = der.name(), extensions = { san(der.tlv(0x87, "\10\0\0\1")) } }
    assert.same({}, nobody.subject)
    assert.equal("10.0.0.1", nobody.subject_display_name)
    assert.equal("", nobody.issuer_display_name)
    assert.equal("", odd({ subject = der.name() }).subject_display_name)
    assert.equal("o", odd({ subject = der.name({ "2.5.4.11", 0x0c, "u" }, { "2.5.4.10", 0x0c, "o" }) }).subject_display_name)
  end)

  it("with a key or signature that nobody knows", function()
    local unknown = assert(tls.certificate(der.certificate { algorithm = "1.2.3.4",
      key = der.seq(der.seq(der.oid "1.2.3.5"), der.bits "x") }))
    assert.is_nil(unknown.public_key)
    assert.equal("1.2.3.4", unknown.signature_algorithm)
    assert.is_false(unknown:has_key(assert(tls.generate_key())))
    assert.is_true(#unknown:to_text() > 0)
    local verified, errors = tls.verify(unknown, nil, { ca = unknown, partial = true })
    assert.is_nil(verified)
    assert.equal("CERT_EE_KEY_TOO_SMALL", errors[1].code)
  end)
end)
