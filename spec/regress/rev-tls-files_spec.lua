-- What is read from a file that an option names is no name of a file itself, and shows in no message; a changed
-- file is another configuration, wherever it is named.

local qn = require "qn"
local program = require "spec.support.program"

describe("files of TLS options", function()
  local folder, pem, key_file

  local function renew()
    local cert, key = assert(qn.tls.self_signed { names = { "localhost" } })
    assert(qn.file.write(pem, cert:to_pem()))
    assert(qn.file.write(key_file, key:to_pem()))
    return cert
  end

  before_each(function()
    folder = program.scratch()
    pem, key_file = folder .. "/server.pem", folder .. "/server.key"
    renew()
  end)
  after_each(function() program.remove(folder) end)

  it("are read once, and what is in them is in no error", function()
    for _, what in ipairs { "hunter2", "MIGHAgEAMBMGByqGSM49", pem, "" } do
      assert(qn.file.write(key_file, what))
      local config, err = qn.tls.configuration { cert = pem, key = key_file }
      assert.is_nil(config)
      assert.equal("KEY_FORMAT", err.code)
      assert.is_nil(what ~= "" and err.message:find(what, 1, true) or nil, err.message)
    end
    for _, option in ipairs { "ca", "cert", "chain", "client_ca" } do
      local bad = folder .. "/bad.pem"
      assert(qn.file.write(bad, pem))
      local config, err = qn.tls.configuration { cert = pem, key = key_file, [option] = bad }
      assert.is_nil(config, option)
      assert.equal("CERT_FORMAT", err.code, option)
    end
  end)

  it("are another configuration when they have changed", function()
    local own = { cert = pem, key = key_file }
    local forms = { own, { certs = { own } }, { sni = { ["a.test"] = own } } }
    for i, form in ipairs(forms) do
      local before = assert(qn.tls.configuration(form))
      assert.is_true(before == assert(qn.tls.configuration(form)), i)
      local cert = renew()
      local after = assert(qn.tls.configuration(form))
      assert.is_false(before == after, i)
      local shown = after.sni and after.sni["a.test"] or after
      assert.is_true(shown.cert == cert, i)
    end
  end)
end)
