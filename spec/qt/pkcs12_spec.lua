-- Row Q5-64 of the Qt coverage, the half about QSslCertificate::importPkcs12; the other half (verify) is in
-- spec/qt/certificate_spec.lua.

local qn = require "qn"
local program = require "spec.support.program"

local tls = qn.tls

describe("QSslCertificate", function()
  it("Q5-64 importPkcs12: key, certificate, the other certificates, passphrase", function()
    local folder = program.scratch()
    assert(os.execute(("cd '%s' && { "):format(folder)
      .. "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout a.key -out a.pem -subj /CN=a && "
      .. "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout b.key -out b.pem -subj /CN=b && "
      .. "openssl pkcs12 -export -in a.pem -inkey a.key -certfile b.pem -passout pass:secret -out a.p12 ; } >log 2>&1"))
    local function read(name) return assert(qn.file.read(folder .. "/" .. name)) end
    local data, a, b, key = read "a.p12", read "a.pem", read "b.pem", read "a.key"
    program.remove(folder)
    local contents = assert(tls.import_pkcs12(data, "secret"))
    assert.equal(tls.key(key), contents.key)
    assert.equal(tls.certificate(a), contents.certificate)
    assert.same({ (tls.certificate(b)) }, contents.chain)
    for _, wrong in ipairs { "Secret", "" } do
      assert.equal("KEY_PASSPHRASE", select(2, tls.import_pkcs12(data, wrong)).code)
    end
    assert.equal("KEY_PASSPHRASE", select(2, tls.import_pkcs12(data)).code)
    assert.equal("CERT_FORMAT", select(2, tls.import_pkcs12("nonsense", "secret")).code)
  end)
end)
