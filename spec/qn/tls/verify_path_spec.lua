-- Chains of which OpenSSL takes a wrong path first: authorities that are cross-signed, replaced, or of one
-- name. A path without errors is found whatever the order is, by qn.tls.verify and in handshakes; where
-- there is none, the errors are those of the first.
-- covers: runtime/tls/verify_path.c

local qn = require "qn"
local tls_files = require "spec.support.tls_files"

local tls = qn.tls
local DAY <const> = 86400
local HOST <const> = "a.example.test"

local made = {}

-- `named` is also the name in it; `ids` = false: without key identifiers.
local function authority(name, key, opts)
  opts = opts or {}
  opts.subject, opts.key, opts.ca = "CN=" .. name, key, true
  return (assert(tls.self_signed(opts)))
end

local function under(name, key, issuer, issuer_key, opts)
  opts = opts or {}
  opts.subject, opts.ca = "CN=" .. name, true
  return assert(tls.sign(key, issuer, issuer_key, opts))
end

setup(function()
  local now <const> = os.time()
  local one, two, mid, mid2, leaf = tls.generate_key(), tls.generate_key(), tls.generate_key(), tls.generate_key(),
    tls.generate_key()
  made.key = leaf
  made.stranger = authority("stranger", tls.generate_key())
  made.one, made.two = authority("one", one), authority("two", two)
  made.old_two = authority("two", two, { not_before = now - 30 * DAY, not_after = now - DAY })
  made.mid_one = under("mid", mid, made.one, one)
  made.mid_two = under("mid", mid, made.two, two)
  made.mid_old = under("mid", mid, made.old_two, two, { not_before = now - 30 * DAY, not_after = now - DAY })
  made.deep_one = under("deep", mid2, made.mid_one, mid)
  made.one_by_two = under("one", one, made.two, two)
  local function server(issuer, key, days)
    return assert(tls.sign(leaf, issuer, key, { subject = "CN=leaf", names = { HOST }, days = days }))
  end
  made.leaf, made.deep_leaf = server(made.mid_one, mid), server(made.deep_one, mid2)
end)

-- What a client says of it that trusts `ca`: the codes, sorted.
local function seen(chain, ca)
  local certs, trusted = {}, {}
  for i, name in ipairs(chain) do
    certs[i] = made[name]
  end
  for i, name in ipairs(ca) do
    trusted[i] = made[name]
  end
  local function codes(errors)
    local out = {}
    for i, err in ipairs(errors or {}) do
      out[i] = err.code .. "@" .. err.depth
    end
    table.sort(out)
    return table.concat(out, " ")
  end
  local ok, errors = tls.verify(certs, HOST, { ca = trusted })
  local a, b = qn.pair()
  local server = qn.spawn(b.start_tls, b, { server = true, cert = certs[1], key = made.key,
    chain = table.move(certs, 2, #certs, 1, {}) })
  local up, err = a:start_tls { ca = trusted, server_name = HOST, sessions = false }
  server:join()
  local found = ok and "" or codes(errors)
  assert.equal(found, up and "" or codes(err.errors), "the handshake finds something else")
  if up then
    assert.same({}, a:tls().errors)
    assert.equal(#chain, #a:tls().chain)
  end
  a:close()
  b:close()
  return found
end

describe("a path is found", function()
  it("through the cross-signed certificate that leads to a trusted one, wherever it is", function()
    for _, ca in ipairs { "one", "two" } do
      assert.equal("", seen({ "leaf", "mid_one", "mid_two" }, { ca }))
      assert.equal("", seen({ "leaf", "mid_two", "mid_one" }, { ca }))
      assert.equal("", seen({ "leaf", "mid_two", "two", "mid_one", "one" }, { ca }))
      assert.equal("", seen({ "leaf", "one", "mid_one", "two", "mid_two" }, { ca }))
      assert.equal("", seen({ "deep_leaf", "mid_two", "deep_one", "mid_one" }, { ca }))
    end
  end)

  it("round a root that has expired, trusted or sent", function()
    assert.equal("", seen({ "leaf", "mid_two", "mid_one" }, { "old_two", "one" }))
    assert.equal("", seen({ "leaf", "mid_two", "old_two", "mid_one" }, { "one" }))
    assert.equal("", seen({ "leaf", "mid_old", "mid_one" }, { "old_two", "one" }))
    assert.equal("", seen({ "leaf", "mid_one", "one_by_two" }, { "old_two", "one" }))
  end)

  it("to the right one of several authorities of one name that have no key identifiers", function()
    local bench = tls_files.new()
    bench.open()
    bench.write("leaf.ext", "authorityKeyIdentifier=none\nsubjectAltName=DNS:" .. HOST)
    for _, name in ipairs { "a", "b" } do
      bench.output(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s.key -out %s.pem "
        .. "-days 30 -subj /CN=same"):format(name, name))
      made["same_" .. name] = assert(tls.certificate(bench.read(name .. ".pem")))
    end
    bench.write("leaf.key", made.key:to_pem())
    bench.output "openssl req -new -key leaf.key -subj /CN=leaf -out leaf.csr"
    bench.output("openssl x509 -req -in leaf.csr -CA b.pem -CAkey b.key -CAcreateserial -extfile leaf.ext -days 30 "
      .. "-out leaf.pem")
    made.same_leaf = assert(tls.certificate(bench.read "leaf.pem"))
    bench.close()
    assert.equal("", seen({ "same_leaf" }, { "same_a", "same_b" }))
    assert.equal("", seen({ "same_leaf" }, { "same_b", "same_a" }))
    assert.equal("", seen({ "same_leaf", "same_a" }, { "same_b" }))
    assert.equal("CERT_SIGNATURE_FAILURE@0", seen({ "same_leaf" }, { "same_a" }))
  end)

  it("and the errors are those of the first one when there is none", function()
    assert.equal("CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY@1", seen({ "leaf", "mid_one", "mid_two" }, { "stranger" }))
    assert.equal("CERT_UNABLE_TO_GET_ISSUER_CERT_LOCALLY@1", seen({ "leaf", "mid_two", "mid_one" }, { "stranger" }))
    assert.equal("CERT_HAS_EXPIRED@2", seen({ "leaf", "mid_two", "mid_one" }, { "old_two" }))
  end)
end)
