-- Which certificates are the system's, by SSL_CERT_FILE and SSL_CERT_DIR; in programs of their own,
-- since a process has one store.
-- covers: runtime/tls/trust.c
-- covers: runtime/tls/trust_lazy.c

local program = require "spec.support.program"

local folder

local function sh(command)
  local pipe <close> = assert(io.popen(("cd '%s' && { %s ; } 2>&1"):format(folder, command)))
  return pipe:read("a")
end

local function make(name)
  sh(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s.key -out %s.pem -days 30 "
    .. "-subj /CN=%s; mkdir %s.d; ln -s ../%s.pem %s.d/$(openssl x509 -in %s.pem -noout -hash).0"):format(name, name,
    name, name, name, name, name))
end

setup(function()
  folder = program.scratch()
  make "a"
  make "b"
  make "c"
  sh "cat a.pem b.pem >ab.pem; mkdir plain; cp c.pem plain; sed 's/MII/!!!/' a.pem | cat - b.pem >broken.pem"
  local file <close> = assert(io.open(folder .. "/ask.lua", "wb"))
  file:write [[
    local tls = require "qn".tls
    local list, err = tls.system_certificates()
    local names = {}
    for i, certificate in ipairs(list or {}) do
      names[i] = certificate.subject.CN or "?"
    end
    print("list: " .. (list and (#names > 3 and "many" or table.concat(names, " ")) or err.code))
    local trusted = {}
    for name in ("a b c"):gmatch("%S") do
      local ok, errors = tls.verify(name .. ".pem")
      trusted[#trusted + 1] = ok and name or errors.code
    end
    print("trust: " .. table.concat(trusted, " "))
    trusted = {}
    for name in ("a b c"):gmatch("%S") do
      trusted[#trusted + 1] = tls.verify(name .. ".pem", nil, { ca = { "system", "c.pem" } }) and name
    end
    print("with c: " .. table.concat(trusted, " "))
    print("connect: " .. (select(2, tls.connect("127.0.0.1", 9)) or {}).kind)
  ]]
end)

teardown(function() program.remove(folder) end)

local function ask(environment)
  return sh("env -u SSL_CERT_FILE -u SSL_CERT_DIR " .. environment .. " timeout 30 " .. program.qnlua() .. " ask.lua")
end

local function says(list, trust, with)
  return ("list: %s\ntrust: %s\nwith c: %s\nconnect: refused\n"):format(list, trust, with)
end

describe("the system's certificates", function()
  it("are those of a file that is named", function()
    assert.equal(says("a b", "a b", "a b c"), ask "SSL_CERT_FILE=ab.pem")
  end)

  it("are those of folders that are named, by hashed names", function()
    assert.equal(says("a", "a", "a c"), ask "SSL_CERT_DIR=a.d")
    assert.equal(says("a b", "a b", "a b c"), ask "SSL_CERT_DIR=a.d:none:b.d")
    assert.equal(says("", "", "c"), ask "SSL_CERT_DIR=plain")
    assert.equal(says("a b c", "a b c", "a b c"), ask "SSL_CERT_FILE=ab.pem SSL_CERT_DIR=c.d:a.d")
  end)

  it("are the others of a file with a broken one, and with other things in it", function()
    assert.equal(says("b", "b", "b c"), ask "SSL_CERT_FILE=broken.pem")
    sh "openssl x509 -in a.pem -trustout -out trusted.pem; cat b.key trusted.pem log a.key b.pem >mixed.pem"
    assert.equal(says("a b", "a b", "a b c"), ask "SSL_CERT_FILE=mixed.pem")
    sh "printf -- '-----BEGIN CERTIFICATE-----\\nMAA=\\n-----END CERTIFICATE-----\\n' >none"
    sh "cat none a.pem >odd.pem; tail -5 b.pem >>odd.pem"
    assert.equal(says("a", "a", "a c"), ask "SSL_CERT_FILE=odd.pem")
    sh ": >empty.pem"
    assert.equal(says("", "", "c"), ask "SSL_CERT_FILE=empty.pem")
  end)

  it("are found by names as OpenSSL compares them, several of one name, through intermediates", function()
    sh("for i in 1 2; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout n$i.key -out n$i.pem "
      .. "-days 30 -subj '/CN=Same  Name'; done; cat n1.pem n2.pem >same.pem; "
      .. "printf 'basicConstraints=critical,CA:TRUE\n' >ca.ext; "
      .. "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout m.key -out m.csr -subj /CN=m; "
      .. "openssl x509 -req -in m.csr -CA n2.pem -CAkey n2.key -set_serial 5 -days 30 -extfile ca.ext -out m.pem; "
      .. "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout l.key -out l.csr -subj /CN=l; "
      .. "openssl x509 -req -in l.csr -CA m.pem -CAkey m.key -set_serial 6 -days 30 -out l.pem; cat l.pem m.pem >chain.pem")
    sh [[printf '%s' 'local tls = require "qn".tls
      for _, p in ipairs { "chain.pem", "chain.pem", "l.pem" } do
        local ok, errors = tls.verify(p); print(ok or errors[1].code) end' >chain.lua]]
    assert.equal("true\ntrue\nCERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY\n",
      sh("env -u SSL_CERT_DIR SSL_CERT_FILE=same.pem timeout 30 " .. program.qnlua() .. " chain.lua"))
  end)

  it("are the usual ones when a variable is empty or not set", function()
    assert.equal(says("many", "", "c"), ask "")
    assert.equal(says("many", "", "c"), ask "SSL_CERT_FILE= SSL_CERT_DIR=")
  end)

  it("cannot be read when what is named is not there", function()
    for _, environment in ipairs { "SSL_CERT_FILE=none.pem", "SSL_CERT_DIR=none.d" } do
      local said = ask(environment)
      assert.truthy(said:find("list: ENOENT\ntrust: ENOENT ENOENT ENOENT", 1, true), said)
    end
    sh [[printf '%s' 'local tls = require "qn".tls
      print(select(2, tls.verify("a.pem")).message, select(2, tls.system_certificates()).message)' >why.lua]]
    local why = "the system's certificates cannot be read"
    assert.equal(why .. "\t" .. why .. "\n",
      sh("env -u SSL_CERT_DIR SSL_CERT_FILE=none.pem timeout 30 " .. program.qnlua() .. " why.lua"))
  end)
end)
