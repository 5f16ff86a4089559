-- What a TLS server chooses while it shakes hands: the configuration by name (table, function), the
-- protocol (list, function), whatever those functions do.

local qn = require "qn"
local leaks = require "spec.support.leaks"
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

-- What the client sees of the server that it asks for by this name; then nil, and the client's error.
local function ask(server, name, opts)
  opts = opts or {}
  opts.ca, opts.server_name, opts.timeout, opts.verify_name = root, name, 20, false
  local client <close>, err = qn.tls.connect("127.0.0.1", server:port(), opts)
  if not client then
    return nil, err
  end
  local socket <close> = assert(server:accept(20))
  assert.equal(name and name:lower():gsub("%.$", ""), socket:tls().server_name or false)
  client:write("x")
  assert.equal("x", socket:read(1))
  local facts = client:tls()
  return facts.peer.subject[1].value, facts
end

local function failure_of(server, name, opts)
  local waiting = qn.spawn(server.wait, server, "handshake_error")
  qn.yield()
  local value, err = ask(server, name, opts)
  assert.is_nil(value)
  local ok, told = waiting:join()
  assert.is_true(ok)
  assert.is_true(qn.is_error(told), tostring(told))
  return told, err
end

describe("sni as a table", function()
  it("chooses by name, by one-label wildcard, or the server's own", function()
    local server <close> = listen { sni = { ["other.test"] = other, ["*.wild.test"] = other } }
    assert.equal("other_server", ask(server, "other.test"))
    assert.equal("other_server", ask(server, "OTHER.test."))
    assert.equal("other_server", ask(server, "a.wild.test"))
    assert.equal("server", ask(server, "a.b.wild.test"))
    assert.equal("server", ask(server, "wild.test"))
    assert.equal("server", ask(server, "localhost"))
    assert.equal("server", ask(server, false))
  end)

  it("takes names in any script", function()
    local server <close> = listen { sni = { ["Bücher.test"] = other, ["*.köln.test"] = other } }
    assert.equal("other_server", ask(server, "xn--bcher-kva.test"))
    assert.equal("other_server", ask(server, "a.xn--kln-sna.test"))
    assert.equal("server", ask(server, "bucher.test"))
    for _, name in ipairs { "b\xff.test", "a b.test", "bücher..test", "*.*.test" } do
      local opts = { cert = identity.cert, key = identity.key, sni = { [name] = other } }
      local none, err = qn.tls.listen("127.0.0.1", 0, opts)
      assert.is_nil(none)
      assert.equal("configuration: option 'sni': not the name of a host (INVALID)", tostring(err))
    end
  end)

  it("what is chosen counts: versions, protocols, certificates of clients", function()
    local server <close> = listen { alpn = "one", verify_depth = 3, sni = {
      ["other.test"] = { cert = other.cert, key = other.key, max_version = "1.2", alpn = { "two", "three" } },
      ["strict.test"] = { cert = other.cert, key = other.key, verify = "peer", ca = root },
    } }
    assert.equal(3, server:configuration().sni["other.test"].verify_depth) -- laid on the server's own
    local _, facts = ask(server, "other.test", { alpn = { "three", "one", "two" } })
    assert.same({ "TLSv1.2", "two" }, { facts.version, facts.alpn })
    _, facts = ask(server, "localhost", { alpn = { "three", "one" } })
    assert.same({ "TLSv1.3", "one" }, { facts.version, facts.alpn })
    assert.equal("other_server", ask(server, "strict.test", shop:identity "client"))
    local waiting = qn.spawn(server.wait, server, "handshake_error")
    qn.yield()
    local _ <close> = qn.tls.connect("127.0.0.1", server:port(), { ca = root, server_name = "strict.test",
      verify_name = false })
    local _, told = waiting:join()
    assert.equal("CERT_NO_PEER_CERTIFICATE", told.code)
  end)

  it("is checked when the server is made", function()
    throws.call(assert, "unknown option 'crt'", qn.tls, "listen", "127.0.0.1", 0,
      { cert = identity.cert, key = identity.key, sni = { ["a.test"] = { crt = 1 } } })
    throws.call(assert, "option 'sni'", qn.tls, "listen", "127.0.0.1", 0,
      { cert = identity.cert, key = identity.key, sni = { ["a.test"] = 1 } })
  end)
end)

describe("sni as a function", function()
  it("may wait, and holds up nobody else", function()
    local gate, asked = qn.event(), {}
    local server <close> = listen { sni = function(name, socket)
      asked[name or "none"] = socket
      if name == "other.test" then
        gate:wait()
        return other
      end
    end }
    local slow = qn.spawn(ask, server, "other.test")
    splits.until_true("it was asked", function() return asked["other.test"] end)
    assert.equal("server", ask(server, "localhost"))
    assert.equal("server", ask(server, false))
    assert.truthy(asked.none)
    assert.equal("other.test", asked["other.test"]:tls().server_name)
    gate:set()
    assert.same({ true, "other_server" }, { table.unpack({ slow:join() }, 1, 2) })
    assert.is_false(asked["other.test"]:is_open())
    asked = {}
  end)

  it("is shown the socket that accept gives", function()
    local shown
    local server <close> = listen { sni = function(_, socket) shown = socket end }
    local task = qn.spawn(qn.tls.connect, "127.0.0.1", server:port(), { ca = root })
    local s <close> = assert(server:accept(20))
    assert.is_true(rawequal(shown, s))
    local _, c = task:join()
    c:close()
  end)

  it("may give a configuration, options, nil or false", function()
    local config = assert(qn.tls.configuration(other))
    local answers = { ["a.test"] = config, ["b.test"] = other, ["d.test"] = false }
    local server <close> = listen { sni = function(name) return answers[name] end }
    assert.equal("other_server", ask(server, "a.test"))
    assert.equal("other_server", ask(server, "b.test"))
    assert.equal("server", ask(server, "c.test"))
    local told, err = failure_of(server, "d.test")
    assert.equal("unrecognized_name", told.alert)
    assert.equal("ALERT_UNRECOGNIZED_NAME", err.code)
    assert.equal("server", ask(server, "localhost"))
  end)

  it("that throws or answers nonsense refuses this handshake only, and is reported", function()
    local answers = {
      ["throws.test"] = function() error("sni: no", 0) end,
      ["number.test"] = function() return 5 end,
      ["unknown.test"] = function() return { crt = 1 } end,
      ["nofile.test"] = function() return { cert = "/no/such", key = "/no/such" } end,
    }
    local wanted = { ["throws.test"] = "sni: no", ["number.test"] = "sni: options, a qn.TlsConfiguration",
      ["unknown.test"] = "unknown option 'crt'", ["nofile.test"] = "No such file" }
    local server <close> = listen { sni = function(name)
      return answers[name] and answers[name]()
    end }
    for name, text in pairs(wanted) do
      local told = failure_of(server, name)
      assert.equal("unrecognized_name", told.alert)
      local list = leaks.wait_unhandled(1)
      assert.equal(1, #list)
      assert.truthy(tostring(list[1].error):find(text, 1, true), tostring(list[1].error))
    end
    assert.equal("server", ask(server, "localhost"))
  end)

  it("options are laid on the server's own: what it demands is demanded for every name", function()
    for _, sni in ipairs { { ["other.test"] = other }, function() return other end } do
      local server <close> = listen { verify = "peer", ca = root, alpn = "x", sni = sni }
      local name, facts = ask(server, "other.test", { cert = shop:chain "client", key = shop:key "client", alpn = "x" })
      assert.same({ "other_server", "x" }, { name, facts.alpn })
      local waiting = qn.spawn(server.wait, server, "handshake_error")
      qn.yield()
      local _ <close> = qn.tls.connect("127.0.0.1", server:port(), { ca = root, server_name = "other.test" })
      assert.equal("CERT_NO_PEER_CERTIFICATE", select(2, waiting:join()).code)
      assert(server:configure { verify = "none" }) -- also of the names
      assert.equal("other_server", (ask(server, "other.test")))
    end
  end)

  it("that answers with what cannot serve fails this handshake only", function()
    local bare = assert(qn.tls.configuration { alpn = "x" })
    local server <close> = listen { sni = function(name)
      return name == "bare.test" and bare or nil
    end }
    local told = failure_of(server, "bare.test")
    assert.truthy(told.message:find("needs a certificate", 1, true), tostring(told))
    assert.equal("server", ask(server, "localhost"))
  end)

  it("is cancelled when the handshake ends before it has answered", function()
    local ended = qn.channel(3)
    local server <close> = listen { handshake_timeout = 0.03, sni = function()
      local _ <close> = setmetatable({}, { __close = function(_, err)
        ended:try_send(qn.is_cancelled(err))
      end })
      qn.sleep(30)
    end }
    local told = failure_of(server, "slow.test")
    assert.equal("timeout", told.kind)
    assert.equal("tls", told.phase)
    assert.is_true(ended:recv(5))
    assert.equal(1, server:stats().timed_out)
    -- the server closes
    local waiting = qn.spawn(qn.tls.connect, "127.0.0.1", server:port(), { ca = root })
    splits.until_true("it began", function() return server:stats().handshaking == 1 end)
    qn.sleep(0.005)
    server:close()
    local _, client = waiting:join()
    assert.is_nil(client)
    assert.is_true(ended:recv(5))
  end)

  it("may close the socket, or the server", function()
    local server <close> = listen { sni = function(name, socket)
      if name == "socket.test" then
        socket:close()
      end
    end }
    local told = failure_of(server, "socket.test")
    assert.equal("closed", told.kind)
    assert.equal("server", ask(server, "localhost"))
    local last
    last = listen { sni = function() last:close() end }
    assert.is_nil((ask(last, "x.test")))
  end)
end)

describe("alpn", function()
  it("a list is the server's order; without a common name the handshake fails", function()
    local server <close> = listen { alpn = { "h2", "http/1.1" } }
    local _, facts = ask(server, "localhost", { alpn = { "http/1.1", "h2" } })
    assert.equal("h2", facts.alpn)
    _, facts = ask(server, "localhost")
    assert.is_nil(facts.alpn)
    local told, err = failure_of(server, "localhost", { alpn = "ftp" })
    assert.equal("no_application_protocol", told.alert)
    assert.equal("ALERT_NO_APPLICATION_PROTOCOL", err.code)
  end)

  it("a function gets the names and gives one of them, or refuses", function()
    local seen
    local server <close> = listen { alpn = function(names)
      seen = names
      return names[2]
    end }
    local _, facts = ask(server, "localhost", { alpn = { "a", "b", "c" } })
    assert.equal("b", facts.alpn)
    assert.same({ "a", "b", "c" }, seen)
    assert.equal("no_application_protocol", failure_of(server, "localhost", { alpn = "a" }).alert)
  end)

  it("a function that throws, waits or answers nonsense refuses this handshake only", function()
    local answer
    local server <close> = listen { alpn = function(names) return answer(names) end }
    for _, bad in ipairs {
      function() return "other" end, function() return 5 end, function() return {} end,
    } do
      answer = bad
      assert.equal("no_application_protocol", failure_of(server, "localhost", { alpn = "a" }).alert)
    end
    for text, bad in pairs { ["alpn: no"] = function() error("alpn: no", 0) end,
      ["'sleep' would wait"] = function() qn.sleep(0) return "a" end } do
      answer = bad
      assert.equal("no_application_protocol", failure_of(server, "localhost", { alpn = "a" }).alert)
      local list = leaks.wait_unhandled(1)
      assert.equal(1, #list)
      assert.truthy(tostring(list[1].error):find(text, 1, true), tostring(list[1].error))
    end
    answer = function(names) return names[1] end
    local _, facts = ask(server, "localhost", { alpn = "a" })
    assert.equal("a", facts.alpn)
  end)

  it("a function of a configuration that was replaced is still there for its handshakes", function()
    local gate, asked = qn.event(), false
    local server <close> = listen {
      alpn = function(names) return names[1] end,
      sni = function() asked = true gate:wait() end,
    }
    local slow = qn.spawn(ask, server, "slow.test", { alpn = { "first", "second" } })
    splits.until_true("it was asked", function() return asked end)
    assert(server:configure(assert(qn.tls.configuration(other))))
    for _ = 1, 5 do
      collectgarbage()
    end
    gate:set()
    local ok, name, facts = slow:join()
    assert.is_true(ok, tostring(name))
    assert.equal("first", facts.alpn)
    assert.equal("server", name)
    assert.equal("other_server", ask(server, "new.test"))
  end)
end)
