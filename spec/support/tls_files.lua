-- A scratch folder in which openssl(1) and certtool(1) work, for specs that exchange certificates, requests,
-- keys and PKCS#12 files with them. `new()` gives a bench whose functions are local to a spec file:
-- `bench.open` in `setup`, `bench.close` in `teardown`; names of files are those in the folder.
-- `has`, `has_not` and `refused` are checks of what the programs print and of our errors.

local program = require "spec.support.program"
local assert = require "luassert"

local M = {}

function M.has(text, part) assert.truthy(text:find(part, 1, true), part .. " is not in " .. text) end
function M.has_not(text, part) assert.falsy(text:find(part, 1, true), part .. " is in " .. text) end

---A result that must be nil and an error of this code, with this text in it.
function M.refused(code, text, value, err)
  assert.is_nil(value)
  assert.equal(code, err.code, tostring(err))
  M.has(tostring(err), text)
end

function M.new()
  local bench = {}
  local folder

  ---The path of the folder.
  function bench.open()
    folder = program.scratch()
    return folder
  end

  function bench.close() program.remove(folder) end

  function bench.read(name)
    local file <close> = assert(io.open(folder .. "/" .. name, "rb"))
    return file:read("a")
  end

  function bench.write(name, text)
    local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
    assert(file:write(text))
  end

  ---What a shell command that must succeed prints, errors too.
  function bench.output(command)
    local ok = os.execute(("cd '%s' && { %s ; } >log 2>&1 </dev/null"):format(folder, command))
    local text = bench.read "log"
    assert.is_true(ok, command .. "\n" .. text)
    return text
  end

  ---What openssl(1) shows of a certificate, or of a request ("req").
  function bench.shown(value, what)
    bench.write("shown.pem", value:to_pem())
    return bench.output(("openssl %s -in shown.pem -noout -text -nameopt RFC2253,utf8,-esc_msb"):format(what or "x509"))
  end

  return bench
end

return M
