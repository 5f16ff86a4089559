---@meta

---@class qn.NameAttribute
---@field oid string "2.5.4.3"
---@field name string "CN"; the number when it has no short name
---@field value string UTF-8; what is in the certificate, it may hold anything
---@field set integer equal in those of one multi-valued part

---Who a certificate is of or from: a list of attributes in order. Its fields are the values of attributes, by their
---short name (`CN`, `O`, `OU`, `C`, `ST`, `L`, `emailAddress`, `serialNumber`, `dnQualifier` ...), long name
---(`commonName` ...) or number (`["2.5.4.3"]`); the first one when there are several, nil when there is none. Equal to
---another one with the same attributes. `tostring` shows it in one line: "C=DE, O=Example, CN=leaf".
---
---Qt rows: CERT-04, Q5-62.
---@class qn.DistinguishedName
---@field [integer] qn.NameAttribute
---@field [string] string?
local DistinguishedName = {}

---All values of an attribute, in order.
---@param name string short name, long name or number
---@return string[]
function DistinguishedName:values(name) end

---@class qn.CertificateNames
---@field dns string[] as in the certificate, they may hold anything
---@field ip qn.Address[]
---@field email string[]
---@field uri string[]
---@field directory string[] in the form of RFC 2253
---@field other string[] as text
---@field cut? boolean true when there are more than the 10,000 that are listed

---@class qn.CertificateExtension
---@field oid string "2.5.29.19"
---@field name string "basicConstraints"
---@field value string its content in DER
---@field text string for people; empty when it is not known
---@field critical boolean
---@field supported boolean what it says is in the fields of the certificate; not so when it is broken or given twice

---An X.509 certificate: an immutable value, equal to one of the same bytes (QSslCertificate). Its fields are computed
---when they are asked for; tables are copies. Text comes as it is in the certificate: it may hold anything, also control
---characters and bytes that are no UTF-8. Lists have at most 10,000 items.
---
---Qt rows: CERT-02, CERT-03, CERT-04, Q5-62.
---@class qn.Certificate
---@field subject qn.DistinguishedName
---@field issuer qn.DistinguishedName
---@field subject_display_name string common name, else organization, its unit, or the first alternative name; "" when there is none
---@field issuer_display_name string
---@field serial string hexadecimal: "01:ab", "-01" when it is negative
---@field version integer 1, 2 or 3
---@field not_before integer? seconds since 1970; nil when it cannot be read
---@field not_after integer? nil when it cannot be read
---@field is_valid boolean by its dates, now; says nothing of trust
---@field names qn.CertificateNames alternative names
---@field extensions qn.CertificateExtension[]
---@field public_key qn.Key? nil when it is of an unknown kind
---@field signature_algorithm string "ecdsa-with-SHA256"
---@field self_signed boolean signed with its own key
---@field is_ca boolean
---@field path_length integer? how many CAs may be below this one; nil: any number
---@field usage string[]? extended key usage: "server", "client", "code", "email", "time", "ocsp", "any", or numbers; nil: it is not limited
---@field key_usage string[]? "digital_signature", "non_repudiation", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"; nil: it is not limited
---@field key_id string? of its key: "01:ab"
---@field issuer_key_id string? of the issuer's key
---@field ocsp_urls string[] where to ask whether it was revoked
---@field issuer_urls string[] where the issuer's certificate is
---@field crl_urls string[] where lists of revoked ones are
local Certificate = {}

---Its PEM form.
---@return string pem
function Certificate:to_pem() end

---Its DER form: the bytes that were signed, and their signature.
---@return string der
function Certificate:to_der() end

---Everything that is in it, for people: valid UTF-8 without control characters other than line breaks.
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

---Whether it is for this host (RFC 6125, RFC 9525): alternative names only, never the common name; "*" is one whole
---left-most label above two others; international names in both forms; addresses match addresses only.
---
---Errors: kind `tls` (CERT_HOSTNAME_MISMATCH, CERT_IP_ADDRESS_MISMATCH), `invalid` (INVALID_HOST).
---Qt rows: BAD-01.
---@param host string name or address
---@return true? ok
---@return qn.Error? err
function Certificate:matches_host(host) end

---Whether the key, private or public, is that of the certificate.
---@param key qn.Key
---@return boolean
function Certificate:has_key(key) end
