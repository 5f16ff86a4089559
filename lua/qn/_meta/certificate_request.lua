---@meta

---A request for a certificate (PKCS#10): an immutable value, equal to one of the same bytes. Made by
---`qn.tls.request`, read by `qn.tls.certificate_request`, signed by `qn.tls.sign`. What is in it is what somebody
---wishes: it may hold anything.
---@class qn.CertificateRequest
---@field subject qn.DistinguishedName
---@field names qn.CertificateNames alternative names that it asks for
---@field extensions qn.CertificateExtension[] all extensions that it asks for
---@field usage string[]? extended key usage that it asks for, as of certificates; nil: none
---@field key_usage string[]? key usage that it asks for, as of certificates; nil: none
---@field public_key qn.Key? nil when it is of an unknown kind
local CertificateRequest = {}

---Whether it is signed with the key that it names: its sender has the private half.
---
---Errors: kind `tls` (CERT_SIGNATURE_FAILURE).
---@return true? ok
---@return qn.Error? err
function CertificateRequest:verify() end

---As PEM text.
---@return string pem
function CertificateRequest:to_pem() end

---As DER.
---@return string der
function CertificateRequest:to_der() end

---Everything that is in it, for people.
---@return string? text
---@return qn.Error? err
function CertificateRequest:to_text() end
