---@meta

---A private or public key: a value with read-only fields, made by `qn.tls.key`, `qn.tls.generate_key`, or taken from
---a certificate. `==` compares: the same key, both private or both public. `tostring` shows nothing secret.
---
---Qt rows: KEY-01, KEY-02, Q5-69.
---@class qn.Key
---@field type "rsa"|"rsa_pss"|"dsa"|"dh"|"ec"|"ed25519"|"ed448"|"x25519"|"x448"|"sm2"|"unknown"
---@field bits integer its size
---@field curve? string of an "ec" key with a named curve: "P-256", or the short name ("secp256k1")
---@field is_private boolean
---@field public public qn.Key its public half; of a public key an equal one
local Key = {}

---Whether both belong to one pair, private or not.
---@param other qn.Key
---@return boolean
function Key:matches(other) end

---How a key is encrypted.
---@class qn.KeySealOptions
---@field cipher? "aes-256-cbc"|"aes-192-cbc"|"aes-128-cbc"|"des-ede3-cbc" "aes-256-cbc"
---@field iterations? integer of PBKDF2 with HMAC-SHA256: 1 to 2000000; 100000

---PEM text: PKCS#8 of a private key, SubjectPublicKeyInfo of a public one. With a passphrase a private key is
---encrypted (PBES2); a public key with one is thrown.
---
---Qt rows: KEY-02.
---@param passphrase? string at most 1024 bytes
---@param opts? qn.KeySealOptions
---@return string? pem
---@return qn.Error? err
function Key:to_pem(passphrase, opts) end

---DER, never encrypted: PKCS#8 of a private key, SubjectPublicKeyInfo of a public one.
---
---Qt rows: KEY-02.
---@return string? der
---@return qn.Error? err
function Key:to_der() end

---The digest of the public key (its SubjectPublicKeyInfo) in lower-case hexadecimal; the same for both halves.
---@param digest? string "sha256"
---@return string? hex
---@return qn.Error? err
function Key:fingerprint(digest) end

---How something is signed.
---@class qn.SignOptions
---@field digest? string "sha256"; not for Ed25519 and Ed448, which have their own
---@field padding? "pkcs1"|"pss" of RSA keys: "pkcs1" ("pss" of type "rsa_pss")

---Signs data with a private key. EC and DSA signatures are DER; PSS salts are as long as the digest.
---
---Errors: `invalid` (a public key), `unsupported` (keys of this type do not sign).
---@param data string
---@param opts? qn.SignOptions
---@return string? signature
---@return qn.Error? err
function Key:sign(data, opts) end

---Whether a signature of data is good. Nonsense is not good, no error.
---
---Errors: `unsupported` (keys of this type do not sign).
---@param signature string
---@param data string
---@param opts? qn.SignOptions
---@return boolean? good
---@return qn.Error? err
function Key:verify(signature, data, opts) end
