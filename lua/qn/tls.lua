---TLS: certificates, keys and what is made with them (QSslCertificate, QSslKey, QSslCipher).
---
---A lazy table: its functions are in lua/qn/tls/*.lua, which are loaded when one of their names is
---used first. Nothing of the cryptographic library runs before that.

---@class qn.tls
local M = {}

-- name -> module that has it as a field
local homes <const> = {
  key = "qn.tls.key", generate_key = "qn.tls.key", ciphers = "qn.tls.key", curves = "qn.tls.key",
  certificate = "qn.tls.certificate", certificates = "qn.tls.certificate",
  configuration = "qn.tls.configuration", default_configuration = "qn.tls.configuration",
  library = "qn.tls.configuration", protocols = "qn.tls.configuration",
  ocsp = "qn.tls.ocsp", connect = "qn.tls.socket", listen = "qn.tls.server",
  self_signed = "qn.tls.issue", request = "qn.tls.issue", sign = "qn.tls.issue",
  certificate_request = "qn.tls.issue",
  import_pkcs12 = "qn.tls.pkcs12", export_pkcs12 = "qn.tls.pkcs12",
  system_certificates = "qn.tls.certificate", verify = "qn.tls.certificate",
}

return setmetatable(M, {
  __index = function(self, name)
    local home = homes[name]
    if not home then
      return nil
    end
    local value = require(home)[name]
    rawset(self, name, value)
    return value
  end,
})
