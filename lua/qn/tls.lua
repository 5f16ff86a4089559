---TLS: certificates, keys and what is made with them (QSslCertificate, QSslKey, QSslCipher).
---
---A lazy table: its functions are in lua/qn/tls/*.lua, which are loaded when one of their names is
---used first. Nothing of the cryptographic library runs before that.

---TLS: connections, servers, configurations, certificates and keys (QSslSocket, QSslServer, QSslConfiguration,
---QSslCertificate, QSslKey, QSslCipher).
---@class qn.tls
local M = {}

---Who serves a name (`sni`).
---@alias qn.TlsIdentity qn.TlsConfiguration|qn.TlsSettings

---Chooses a shared key in the middle of a handshake. Clients get the server's hint (TLS 1.2) and give identity and key;
---servers get the identity and give the key; nil: none. It must not wait.
---@alias qn.TlsKeyChoice fun(text: string?, role: "client"|"server"): string?, string?

---What a configuration consists of.
---@class qn.TlsSettings
---@field min_version? "1.0"|"1.1"|"1.2"|"1.3" oldest version (default "1.2")
---@field max_version? "1.0"|"1.1"|"1.2"|"1.3" newest version (default: the newest there is)
---@field ciphers? string|string[]|qn.Cipher[] suites of TLS 1.2 and older, best first, names or OpenSSL's language; unknown ones are left out
---@field ciphersuites? string|string[]|qn.Cipher[] suites of TLS 1.3, best first
---@field cipher_preference? "server"|"client" servers: whose order of ciphers counts (default "server")
---@field openssl? table<string, string> what has no option, by the names of SSL_CONF_cmd(3) as in files: {RecordPadding = "512"}; not for certificates, keys and verification
---@field curves? string|string[]|qn.Curve[] groups for the key exchange, best first: "X25519:P-256"
---@field ca? string|qn.Certificate|(string|qn.Certificate)[] who is trusted: certificates, PEM, DER, files, folders (hashed by OpenSSL), "system" (the default)
---@field verify? "auto"|"none"|"query"|"peer" see the guide (default "auto": clients verify, servers ask for no certificate)
---@field verify_depth? integer intermediate certificates that may lie between the peer's and a trusted one (default 20)
---@field cert? string|qn.Certificate own certificate: a value, PEM, DER or a file; what follows it there is its chain
---@field chain? string|qn.Certificate|(string|qn.Certificate)[] the rest of its chain, in order
---@field key? string|qn.Key private key of `cert`: a value, PEM, DER or a file
---@field passphrase? string of an encrypted `key`
---@field certs? {cert: any, chain?: any, key: any, passphrase?: string}[] several, one per type of key: the peer's abilities decide
---@field alpn? string|string[]|fun(names: string[]): string? protocols, best first; servers may choose with a function, which must not wait (nil: refuse)
---@field sessions? boolean reuse sessions (default true)
---@field tickets? boolean session tickets (default true)
---@field ticket_keys? string[] servers: 1 to 4 keys of 80 bytes, newest first; for several servers that know each other's tickets
---@field ocsp? "off"|"request"|"require" clients: ask servers to staple an OCSP answer and check it; "require": it must be there, valid and good (default "off")
---@field ocsp_staple? string servers: the OCSP answer to staple, DER
---@field psk? qn.TlsKeyChoice|{identity?: string, key?: string, keys?: table<string, string>} shared keys: a client's own, a server's table, or a function, which must not wait; 1 to 128 bytes, keys 16 to 64
---@field psk_hint? string servers, TLS 1.2: tells clients which identity to use
---@field sni? table<string, qn.TlsIdentity>|fun(name: string?, socket: qn.Stream): qn.TlsIdentity|false|nil servers: who serves a name, its options on top of these; a function may wait; nil: this one, false: refuse
---@field client_ca? string|qn.Certificate|(string|qn.Certificate)[] servers: whose certificates clients are asked for
---@field keylog? string|false appends the keys of all connections to this file, for debugging (default: the file that `--keylog` or SSLKEYLOGFILE names)
---@field ignore_errors? boolean|(string|qn.Error|{[1]: string, [2]: qn.Certificate})[] errors that are no reason to end, if all of a handshake are among them: codes, errors, {code, certificate}; true: all; false: none
---@field pin_sha256? string|string[] SHA-256 of a public key (SubjectPublicKeyInfo) that must be in the chain: hexadecimal, Base64 or 32 bytes

---What is taken where a configuration is made, and by the client's side of one connection.
---@class qn.TlsOptions: qn.TlsSettings
---@field server_name? string|false clients: the name to ask for (SNI) and to verify (default: the host); false: do not ask
---@field verify_name? string|false clients: the name or address that the certificate must be for (default: `server_name`); false: any
---@field session? qn.TlsSession|string clients: the session to resume, or its exported bytes

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
