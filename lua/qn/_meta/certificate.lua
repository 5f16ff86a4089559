---@meta

---@class qn.NameAttribute
---@field oid string "2.5.4.3"
---@field name string "CN"; the number when it has no short name
---@field value string UTF-8; what is in the certificate, it may hold anything
---@field set integer equal in those of one multi-valued part

---@class qn.CertificateNames
---@field dns string[] as in the certificate, they may hold anything
---@field ip qn.Address[]
---@field email string[]
---@field uri string[]
---@field directory string[] in the form of RFC 2253
---@field other string[] as text

---@class qn.CertificateExtension
---@field oid string "2.5.29.19"
---@field name string "basicConstraints"
---@field value string its content in DER
---@field text string for people; empty when it is not known
---@field critical boolean
---@field supported boolean verification understands it and it can be read

---An X.509 certificate: an immutable value, equal to one of the same bytes (QSslCertificate).
---@class qn.Certificate
---@field subject qn.NameAttribute[] in order
---@field issuer qn.NameAttribute[] in order
---@field serial string hexadecimal: "01:ab"
---@field version integer 1, 2 or 3
---@field not_before integer? seconds since 1970; nil when it cannot be read
---@field not_after integer?
---@field is_valid boolean by its dates, now; says nothing of trust
---@field names qn.CertificateNames alternative names
---@field extensions qn.CertificateExtension[]
---@field public_key qn.Key? nil when it is of an unknown kind
---@field self_signed boolean signed with its own key
---@field is_ca boolean
local Certificate = {}

---@return string pem
function Certificate:to_pem() end

---@return string der
function Certificate:to_der() end

---Everything that is in it, for people.
---@return string? text
---@return qn.Error? err
function Certificate:to_text() end

---The digest of its DER form, as bytes.
---
---Errors: kind `unsupported` when the system refuses the algorithm.
---@param algorithm? "sha256"|"sha1"|"sha224"|"sha384"|"sha512"|"md5"|"sha3-224"|"sha3-256"|"sha3-384"|"sha3-512"
---@return string? digest
---@return qn.Error? err
function Certificate:digest(algorithm) end

---Whether it is for this host (RFC 6125): alternative names only; "*" is one whole left-most label;
---international names and addresses too.
---
---Errors: kind `tls` (CERT_HOSTNAME_MISMATCH, CERT_IP_ADDRESS_MISMATCH), `invalid` (INVALID_HOST).
---@param host string name or address
---@return true? ok
---@return qn.Error? err
function Certificate:matches_host(host) end

---Whether the key, private or public, is that of the certificate.
---@param key qn.Key
---@return boolean
function Certificate:has_key(key) end
