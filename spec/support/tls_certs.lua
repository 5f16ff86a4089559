-- A workshop of certificates: good ones and every kind of bad one, made by openssl(1) when a spec asks
-- for them first. `local shop = certs.open()` in `setup`, `shop:close()` in `teardown`; names are
-- those of the table `recipes`. Nearly all keys are P-256 because RSA keys take long to make.
-- Must not use our own TLS: these are the other side's opinion of what is right and wrong.

local program = require "spec.support.program"

local M = {}

local Shop = {}
Shop.__index = Shop

local HOST <const> = "subjectAltName=DNS:localhost,DNS:*.wild.test,IP:127.0.0.1,IP:::1\n"
local SERVER <const> = HOST .. "extendedKeyUsage=serverAuth\n"
local CLIENT <const> = "subjectAltName=email:client@example.test\nextendedKeyUsage=clientAuth\n"
local CA <const> = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
local CA_0 <const> = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n"

-- issuer: nil = signed by itself; key: "ec" unless told; from, to: days from now; chain: what is sent
-- beside it; digest: of its signature; patch: changes the finished DER.
local recipes <const> = {
  root = { ext = CA, to = 3650 },
  mid = { ext = CA_0, issuer = "root" },
  server = { ext = SERVER, issuer = "mid", chain = { "mid" } },
  server_rsa = { ext = SERVER, issuer = "mid", chain = { "mid" }, key = "rsa" },
  server_ed25519 = { ext = SERVER, issuer = "mid", chain = { "mid" }, key = "ed25519" },
  other_server = { ext = "subjectAltName=DNS:other.test\n", issuer = "mid", chain = { "mid" } },
  client = { ext = CLIENT, issuer = "root" },
  client_rsa = { ext = CLIENT, issuer = "root", key = "rsa" },
  client_ed25519 = { ext = CLIENT, issuer = "root", key = "ed25519" },
  expired_client = { ext = CLIENT, issuer = "root", from = -20, to = -10 },
  stranger = { ext = CA },
  stranger_mid = { ext = CA, issuer = "stranger" },
  strange_client = { ext = CLIENT, issuer = "stranger" },

  wrong_host = { ext = "subjectAltName=DNS:other.test,DNS:*.else.test\n", issuer = "root" },
  no_names = { ext = "extendedKeyUsage=serverAuth\n", issuer = "root", subject = "/CN=localhost" },
  expired = { ext = SERVER, issuer = "root", from = -20, to = -10 },
  future = { ext = SERVER, issuer = "root", from = 10, to = 20 },
  unknown_issuer = { ext = SERVER, issuer = "stranger_mid", chain = { "stranger_mid" } },
  unknown_alone = { ext = SERVER, issuer = "stranger" },
  unknown_root = { ext = SERVER, issuer = "stranger", chain = { "stranger" } },
  self_signed = { ext = SERVER },
  broken_chain = { ext = SERVER, issuer = "mid" },
  weak_key = { ext = SERVER, issuer = "root", key = "rsa1024" },
  weak_ca = { ext = CA, issuer = "root", key = "rsa1024" },
  under_weak_ca = { ext = SERVER, issuer = "weak_ca", chain = { "weak_ca" } },
  weak_digest = { ext = SERVER, issuer = "root", digest = "sha1" },
  old_root = { ext = CA, key = "rsa" },
  weakest_digest = { ext = SERVER, issuer = "old_root", digest = "md5" }, -- there is no ECDSA with MD5
  revoked = { ext = SERVER, issuer = "root" },
  not_by_a_ca = { ext = SERVER, issuer = "server", chain = { "server", "mid" } },
  no_signer = { ext = "basicConstraints=critical,CA:TRUE\nkeyUsage=cRLSign\n", issuer = "root" },
  by_no_signer = { ext = SERVER, issuer = "no_signer", chain = { "no_signer" } },
  deeper = { ext = CA, issuer = "mid" },
  too_deep = { ext = SERVER, issuer = "deeper", chain = { "deeper", "mid" } },
  for_clients = { ext = HOST .. "extendedKeyUsage=clientAuth\n", issuer = "root" },
  wrong_usage = { ext = HOST .. "keyUsage=critical,cRLSign\n", issuer = "root" },
  unknown_extension = { ext = SERVER .. "1.2.3.4=critical,ASN1:NULL\n", issuer = "root" },
  narrow = { ext = CA .. "nameConstraints=critical,permitted;DNS:allowed.test\n", issuer = "root" },
  not_permitted = { ext = SERVER, issuer = "narrow", chain = { "narrow" } },
  barred = { ext = CA .. "nameConstraints=critical,excluded;DNS:localhost\n", issuer = "root" },
  excluded = { ext = SERVER, issuer = "barred", chain = { "barred" } },
  must_staple = { ext = SERVER .. "tlsfeature=status_request\n", issuer = "root" },
}

-- Changes the DER in its last byte: the signature's.
local function spoil_signature(der)
  return der:sub(1, -2) .. string.char(der:byte(-1) ~ 1)
end

-- Replaces the digits of the first (or second) date by letters.
local function spoil_date(which)
  return function(der)
    local n = 0
    return (der:gsub("\x17\x0d(%d%d%d%d%d%d%d%d%d%d%d%dZ)", function()
      n = n + 1
      return n == which and "\x17\x0d9x9x9x9x9x9xZ" or nil
    end))
  end
end

-- The number of the curve P-256 becomes one that does not exist: nobody can read the key.
local function spoil_key(der)
  return (der:gsub("\x2a\x86\x48\xce\x3d\x03\x01\x07", "\x2a\x86\x48\xce\x3d\x03\x01\x7f"))
end

recipes.bad_signature = { ext = SERVER, issuer = "root", patch = spoil_signature, as_it_is = true }
recipes.no_start = { ext = SERVER, issuer = "root", patch = spoil_date(1) }
recipes.no_end = { ext = SERVER, issuer = "root", patch = spoil_date(2) }
recipes.keyless = { ext = CA, patch = spoil_key, as_it_is = true }
recipes.by_keyless = { ext = SERVER, issuer = "keyless" }

local KEYS <const> = {
  ec = "ec -pkeyopt ec_paramgen_curve:P-256", rsa = "rsa:2048", rsa1024 = "rsa:1024", ed25519 = "ed25519",
}

local CONFIG <const> = [[
[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = .
policy = any
rand_serial = yes
unique_subject = no
email_in_dn = no
copy_extensions = none
[any]
commonName = supplied
[req]
distinguished_name = nothing
[nothing]
]]

local function date(days)
  return os.date("!%Y%m%d%H%M%SZ", os.time() + days * 86400)
end

---A new workshop, still empty.
function M.open()
  local folder = program.scratch()
  local shop = setmetatable({ folder = folder, made = {} }, Shop)
  shop:write("ca.cnf", CONFIG)
  shop:write("index.txt", "")
  return shop
end

function Shop:close()
  program.remove(self.folder)
end
Shop.__close = Shop.close

function Shop:path(file)
  return self.folder .. "/" .. file
end

function Shop:write(file, text)
  local f <close> = assert(io.open(self:path(file), "wb"))
  assert(f:write(text))
  return self:path(file)
end

function Shop:read(file)
  local f <close> = assert(io.open(self:path(file), "rb"))
  return f:read("a")
end

---Runs a shell command in the folder.
function Shop:sh(command)
  local ok = os.execute(("cd '%s' && { %s ; } >log 2>&1 </dev/null"):format(self.folder, command))
  if not ok then
    error(command .. "\n" .. self:read "log", 2)
  end
end

-- One element of DER: its tag with length, its content, and what follows.
local function element(der)
  local size, from = der:byte(2), 3
  if size >= 128 then
    size, from = string.unpack((">I%d"):format(size - 128), der, 3)
  end
  return der:sub(1, from + size - 1), der:sub(from, from + size - 1), der:sub(from + size)
end

local function wrap(tag, content)
  local size = #content
  local length = size < 128 and string.pack("B", size)
    or size < 256 and string.pack("BB", 0x81, size) or string.pack(">BI2", 0x82, size)
  return tag .. length .. content
end

-- Signs what was changed once more, so that nothing else is wrong with it (ECDSA, SHA-256).
function Shop:sign_again(name, der, key)
  local tbs, _, rest = element(select(2, element(der)))
  local algorithm = element(rest)
  self:write(name .. ".tbs", tbs)
  self:sh(("openssl dgst -sha256 -sign %s.key -out %s.sig %s.tbs"):format(key, name, name))
  return wrap("\x30", tbs .. algorithm .. wrap("\x03", "\0" .. self:read(name .. ".sig")))
end

function Shop:patch(name, recipe)
  self:sh(("cp %s.pem %s.first; openssl x509 -in %s.pem -outform DER -out %s.der"):format(name, name,
    name, name))
  local der = self:read(name .. ".der")
  local changed = recipe.patch(der)
  assert(#changed == #der and changed ~= der, name .. " was not changed")
  if not recipe.as_it_is then
    changed = self:sign_again(name, changed, recipe.issuer)
  end
  self:write(name .. ".der", changed)
  self:sh(("{ echo -----BEGIN CERTIFICATE-----; openssl base64 -in %s.der;"
    .. " echo -----END CERTIFICATE-----; } >%s.pem"):format(name, name))
end

---Makes a certificate and what it needs, unless it is there.
function Shop:make(name)
  if self.made[name] then
    return
  end
  local recipe = recipes[name] or error("no recipe for '" .. name .. "'", 3)
  local issuer = recipe.issuer or name
  if issuer ~= name then
    self:make(issuer)
  end
  self.made[name] = true
  self:write(name .. ".ext", "subjectKeyIdentifier=hash\n" .. recipe.ext
    .. (recipe.issuer and "authorityKeyIdentifier=keyid:always\n" or ""))
  local request = ("openssl req -new -config ca.cnf -newkey %s -nodes -keyout %s.key -subj '%s' -out %s.csr")
    :format(KEYS[recipe.key or "ec"], name, recipe.subject or "/CN=" .. name, name)
  local signer = ("-selfsign -keyfile %s.key"):format(name)
  if recipe.issuer then
    signer = ("-cert %s.%s -keyfile %s.key"):format(issuer,
      recipes[issuer].patch and "first" or "pem", issuer)
  end
  self:sh(request .. (" && openssl ca -batch -notext -config ca.cnf -md %s -in %s.csr -extfile %s.ext "
    .. "-out %s.pem -startdate %s -enddate %s %s"):format(
    recipe.digest or "sha256", name, name, name,
    date(recipe.from or -1), date(recipe.to or 30), signer))
  if recipe.patch then
    self:patch(name, recipe)
  end
  local chain = { self:read(name .. ".pem") }
  for _, other in ipairs(recipe.chain or {}) do
    self:make(other)
    chain[#chain + 1] = self:read(other .. ".pem")
  end
  self:write(name .. ".chain", table.concat(chain))
  self:write(name .. ".rest", table.concat(chain, "", 2))
end

---Path of the certificate alone.
function Shop:cert(name)
  self:make(name)
  return self:path(name .. ".pem")
end

---Path of the certificate with what is sent beside it.
function Shop:chain(name)
  self:make(name)
  return self:path(name .. ".chain")
end

---Path of what is sent beside it, nil when that is nothing.
function Shop:rest(name)
  self:make(name)
  return recipes[name].chain and self:path(name .. ".rest")
end

---Path of the private key.
function Shop:key(name)
  self:make(name)
  return self:path(name .. ".key")
end

---What `cert`, `key` of our configurations and options take.
function Shop:identity(name)
  return { cert = self:chain(name), key = self:key(name) }
end

---Certificate and key in one file.
function Shop:both(name)
  self:make(name)
  return self:write(name .. ".both", self:read(name .. ".chain") .. self:read(name .. ".key"))
end

local ocsp_count = 0

---Path of an OCSP answer about a certificate. opts: status ("good", "revoked", "unknown"),
---reason ("keyCompromise"), issuer and signer (names; default: who issued it), expired (an old one).
function Shop:ocsp(name, opts)
  self:make(name)
  local issuer = opts.issuer or recipes[name].issuer
  local signer = opts.signer or issuer
  self:make(issuer)
  self:make(signer)
  ocsp_count = ocsp_count + 1
  local file = ("ocsp%d"):format(ocsp_count)
  self:sh(("openssl x509 -in %s.pem -noout -serial >%s.serial"):format(name, file))
  local serial = self:read(file .. ".serial"):match("=(%x+)")
  local line = ""
  if opts.status == "good" then
    line = ("V\t491231235959Z\t\t%s\tunknown\t/CN=%s\n"):format(serial, name)
  elseif opts.status == "revoked" then
    line = ("R\t491231235959Z\t%s,%s\t%s\tunknown\t/CN=%s\n"):format(
      os.date("!%y%m%d%H%M%SZ", os.time() - 86400), opts.reason or "keyCompromise", serial, name)
  end
  self:write(file .. ".index", line)
  local clock = opts.expired and "faketime -f -20d " or ""
  self:sh(("%sopenssl ocsp -index %s.index -CA %s.pem -rsigner %s.pem -rkey %s.key -issuer %s.pem "
    .. "-cert %s.pem -respout %s.der -ndays 2 -noverify -no_nonce"):format(clock, file, issuer, signer,
    signer, issuer, name, file))
  return self:path(file .. ".der")
end

return M
