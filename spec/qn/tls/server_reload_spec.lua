-- TLS servers at run time: new certificates without dropping connections, session tickets and the rotation
-- of their keys, keys that several servers share, OCSP answers that are replaced.

local qn = require "qn"
local peers = require "spec.support.tls_peers"
local splits = require "spec.support.splits"
local throws = require "spec.support.throws"
local tls_server = require "spec.support.tls_server"

local rig <const> = tls_server.new()
local listen <const> = rig.listen
local shop, root, identity, other

setup(function()
  shop, root, identity = rig.open()
  other = shop:identity "other_server"
end)
teardown(rig.close)

-- A client's configuration that remembers nothing by itself.
local function client(opts)
  local all = { ca = root, sessions = false, verify_name = false }
  for name, value in pairs(opts or {}) do
    all[name] = value
  end
  return assert(qn.tls.configuration(all))
end

-- Facts of a connection that has exchanged bytes (so tickets have come), as the client sees them.
local function visit(server, config, session)
  local task = qn.spawn(qn.tls.connect, "127.0.0.1", server:port(),
    { tls = { tls = config, session = session }, timeout = 20 })
  local b <close> = assert(server:accept(20))
  local _, socket, err = task:join()
  local a <close> = assert(socket, err)
  a:write("x")
  assert.equal("x", b:read(1))
  b:write("y")
  assert.equal("y", a:read(1))
  local facts = a:tls()
  assert.equal(facts.resumed, b:tls().resumed)
  return facts
end

local function subject(facts)
  return facts.peer.subject[1].value
end

describe("configure", function()
  it("changes the certificate; connections and handshakes under way go on", function()
    local config = client()
    local server <close> = listen { alpn = "echo" }
    local task = qn.spawn(qn.tls.connect, "127.0.0.1", server:port(), { tls = config, timeout = 20 })
    local b <close> = assert(server:accept(20))
    local _, a = task:join()
    local _ <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    splits.until_true("one is under way", function() return server:stats().handshaking == 1 end)

    assert(server:configure(other))
    assert.equal("other_server", subject(visit(server, config)))
    assert.same({ "echo" }, server:configuration().alpn) -- the rest is as it was
    assert.equal(1, server:stats().handshaking)
    a:write("still\n")
    assert.equal("still", b:read("l"))
    assert.equal("server", subject(a:tls()))
    a:close()

    local whole = assert(qn.tls.configuration(identity))
    assert(server:configure(whole)) -- replaces all of it
    assert.is_true(rawequal(whole, server:configuration()))
    assert.is_nil(server:configuration().alpn)
    assert.equal("server", subject(visit(server, config)))
  end)

  it("while many connect, every handshake succeeds with one or the other", function()
    local config = client()
    local server <close> = listen()
    local serving = qn.spawn(server.serve, server, function(s) s:read("a") end)
    local seen = {}
    local list = {}
    for i = 1, 60 do list[i] = i end
    qn.map(list, function(i)
      if i % 5 == 0 then
        assert(server:configure(i % 2 == 0 and other or identity))
      end
      local s <close> = assert(qn.tls.connect("127.0.0.1", server:port(), { tls = config, timeout = 20 }))
      local name = subject(s:tls())
      seen[name] = (seen[name] or 0) + 1
    end, { limit = 8, stop_on_error = true })
    assert.equal(60, seen.server + seen.other_server)
    server:close()
    assert(serving:join())
    assert.equal(0, server:stats().failed)
  end)

  it("that fails changes nothing", function()
    local server <close> = listen()
    local before = server:configuration()
    local ok, err = server:configure { cert = "/no/such", key = "/no/such" }
    assert.is_nil(ok)
    assert.equal("ENOENT", err.code)
    ok, err = server:configure { cert = shop:cert "server", key = shop:key "root" }
    assert.is_nil(ok)
    assert.equal("KEY_MISMATCH", err.code)
    ok, err = server:configure(assert(qn.tls.configuration { alpn = "x" }))
    assert.is_nil(ok)
    assert.equal("TLS_CONFIGURATION", err.code)
    assert.equal("configure", err.op)
    assert.is_true(rawequal(before, server:configuration()))
    throws.method(assert, "unknown option 'crt'", server, "configure", { crt = 1 })
    throws.method(assert, "unknown option 'max_handshakes'", server, "configure", { max_handshakes = 1 })
    throws.method(assert, "options or a qn.TlsConfiguration expected", server, "configure")
    throws.method(assert, "TLS options must be", server, "configure", 5)
    visit(server, client())
  end)

  it("a renewed file is read when it is told", function()
    local folder = shop.folder
    shop:sh "cp server.chain live.pem && cp server.key live.key"
    local files = { cert = folder .. "/live.pem", key = folder .. "/live.key" }
    local server <close> = listen(files)
    local config = client()
    assert.equal("server", subject(visit(server, config)))
    shop:sh "cp other_server.chain live.pem && cp other_server.key live.key"
    assert.equal("server", subject(visit(server, config)))
    assert(server:configure(files))
    assert.equal("other_server", subject(visit(server, config)))
  end)

  it("of a closed server is an error", function()
    local server = listen()
    server:close()
    assert.is_nil(server:configuration())
    for _, call in ipairs { { "configure", other }, { "rotate_tickets" }, { "rotate_tickets", { ("x"):rep(80) } },
      { "set_ocsp_staple", "x" } } do
      local ok, err = server[call[1]](server, call[2])
      assert.is_nil(ok)
      assert.same({ "closed", call[1] }, { err.kind, err.op })
    end
  end)

  it("functions that hold their server do not keep it alive once it is closed", function()
    local server
    server = listen { sni = function() return server and nil end,
      alpn = function(names) return server and names[1] end }
    visit(server, client())
    server:close() -- the leak check does the rest
    server = nil
  end)
end)

for _, version in ipairs { "1.2", "1.3" } do
  describe("tickets, TLS " .. version, function()
    local function setups(opts)
      opts = opts or {}
      opts.max_version = version
      return listen(opts), client { max_version = version, min_version = version }
    end

    it("are taken again, and across rotations", function()
      local server, config = setups()
      local _ <close> = server
      local sessions = {} -- one of TLS 1.3 is good for one use
      for i = 1, 3 do
        local facts = visit(server, config)
        assert.is_false(facts.resumed)
        sessions[i] = facts.session
      end
      assert.is_true(visit(server, config, sessions[1]).resumed)
      assert(server:rotate_tickets())
      assert.is_true(visit(server, config, sessions[2]).resumed)
      for _ = 1, 3 do -- its key is not among the last four any more
        assert(server:rotate_tickets())
      end
      assert.is_false(visit(server, config, sessions[3]).resumed)
    end)

    it("of another server are not taken, unless both have the same keys", function()
      local one, config = setups()
      local two = setups()
      local session = visit(one, config).session
      one:close()
      two:close()
      local keys = { ("a"):rep(80), ("b"):rep(80) }
      local three = setups { ticket_keys = keys, alpn = "x" }
      local four = setups { ticket_keys = { ("c"):rep(80), keys[1] }, alpn = "y" }
      assert.is_false(visit(three, config, session).resumed)
      session = visit(three, config).session
      assert.is_true(visit(four, config, session).resumed)
      session = visit(three, config).session
      assert(four:rotate_tickets { ("d"):rep(80), ("c"):rep(80) })
      assert.is_false(visit(four, config, session).resumed)
      three:close()
      four:close()
    end)

    it("end with the configuration, unless keys are given", function()
      local server, config = setups()
      local session = visit(server, config).session
      assert(server:configure { alpn = "other" })
      assert.is_false(visit(server, config, session).resumed)
      server:close()
      server = setups { ticket_keys = { ("k"):rep(80) } }
      session = visit(server, config).session
      assert(server:configure { alpn = "other" })
      assert.is_true(visit(server, config, session).resumed)
      server:close()
    end)

    it("sessions = false: none", function()
      local server, config = setups { sessions = false }
      assert.is_nil(visit(server, config).session)
      server:close()
    end)
  end)
end

describe("rotate_tickets", function()
  it("checks its keys", function()
    local server <close> = listen()
    throws.method(assert, "table expected", server, "rotate_tickets", "x")
    throws.method(assert, "1 to 4 keys", server, "rotate_tickets", {})
    throws.method(assert, "keys of 80 bytes", server, "rotate_tickets", { "short" })
    local ok, err = server:rotate_tickets { ("x"):rep(80) }
    assert.is_nil(ok)
    assert.equal("busy", err.kind) -- it has begun with keys of its own
  end)
end)

describe("ocsp_staple", function()
  it("is sent, and replaced at run time, also of a name", function()
    local server <close> = listen { ocsp_staple = "one", sni = { ["other.test"] = {
      cert = other.cert, key = other.key, ocsp_staple = "three" } } }
    local function stapled(name)
      local peer = peers.s_client(shop, server:port(), { args = { "-status", "-servername", name } })
      local text = peer:wait_for "OCSP response: ([^\n]+\n[^\n]+)\n" -- it likes none of ours
      peer:stop()
      return text:match "^no response" or text:match "^response parse error.*0000 %- [%x %-]-(%l+)$"
    end
    assert.equal("one", stapled "localhost")
    assert.equal("three", stapled "other.test")
    assert(server:set_ocsp_staple "two")
    assert.equal("two", stapled "localhost")
    assert(server:set_ocsp_staple("four", "other.test"))
    assert.equal("four", stapled "other.test")
    assert(server:set_ocsp_staple(nil))
    assert.equal("no response", stapled "localhost")
    throws.method(assert, "string expected", server, "set_ocsp_staple", 5)
    throws.method(assert, "has no 'none.test'", server, "set_ocsp_staple", "x", "none.test")
  end)
end)
