-- core.trace and --trace: what passes on the wire, on standard error.

local core = require "qn.core"
local program = require "spec.support.program"
local qnlua = program.qnlua()

local talk = [[
  local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
  local client <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
  local peer <close> = assert(server:accept())
  client:write("hello\n\1\xff")
  peer:read_exactly(8)
  peer:write(("x"):rep(20))
  peer:shutdown("w")
  client:read("a")
  print(client:id(), peer:id(), server:port(), client:layers())]]

-- The events of the trace: {mark, id, peer, what, dump}.
local function events(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do
    local mark, id, clock, peer, what = line:match "^([<>*]) #(%d+) (%d%d:%d%d:%d%d%.%d%d%d) (%S+) (.+)$"
    if mark then
      list[#list + 1] = { mark = mark, id = id, clock = clock, peer = peer, what = what, dump = "" }
    else
      assert.truthy(line:find("^  %x+  ") and #list > 0, "no line of a trace: " .. line)
      list[#list].dump = list[#list].dump .. line .. "\n"
    end
  end
  return list
end

local function find(list, mark, id, what)
  for _, e in ipairs(list) do
    if e.mark == mark and e.id == id and e.what == what then
      return e
    end
  end
  error(("no event %s #%s %s"):format(mark, id, what))
end

describe("--trace", function()
  it("shows each piece with its direction, connection, time and bytes", function()
    for _, option in ipairs { "--trace=socket", "--trace", "--trace=socket,socket" } do
      local status, out, err = program.run { qnlua, option, "-e", talk }
      assert.equal(0, status)
      local client, peer, port = out:match "^(%d+)\t(%d+)\t(%d+)\ttrace>socket\n$"
      assert.truthy(client, out)
      local list = events(err)
      local e = find(list, ">", client, "8 bytes")
      assert.equal("127.0.0.1:" .. port, e.peer)
      assert.equal("  000000  68 65 6c 6c 6f 0a 01 ff                           |hello...|\n", e.dump)
      assert.equal(e.dump, find(list, "<", peer, "8 bytes").dump)
      e = find(list, ">", peer, "20 bytes")
      assert.equal("  000000  78 78 78 78 78 78 78 78  78 78 78 78 78 78 78 78  |xxxxxxxxxxxxxxxx|\n" ..
        "  000010  78 78 78 78                                       |xxxx|\n", e.dump)
      find(list, "*", client, "open")
      find(list, ">", peer, "finish")
      find(list, "<", client, "end")
      find(list, "*", client, "close")
      find(list, "*", peer, "close")
    end
  end)

  it("shows datagrams, also joined and empty ones, and what the kernel says of them", function()
    local status, out, err = program.run { qnlua, "--trace=socket", "-e", [[
      local a <close> = assert(qn.udp.bind("127.0.0.1", 0, { gro = true }))
      local b <close> = assert(qn.udp.bind("127.0.0.1", 0))
      assert(b:send_batch({ "abc", "abc", "z" }, "127.0.0.1", a:local_port()))
      assert(b:send("", a:local_address(), a:local_port()))
      for _ = 1, 4 do assert(a:recv()) end
      local c <close> = assert(qn.udp.connect("127.0.0.1", b:local_port()))
      b:close()
      assert(c:send("lost"))
      assert(not c:recv())
      assert(not a:send(("x"):rep(70000), "127.0.0.1", c:local_port()))
      print(a:id(), b:id(), c:id(), a:local_port(), c:peer_port(), c:local_port())]] }
    assert.equal(0, status, err)
    local a, b, c, a_port, b_port, c_port = out:match "^(%d+)\t(%d+)\t(%d+)\t(%d+)\t(%d+)\t(%d+)\n$"
    local seen = {}
    for _, e in ipairs(events(err)) do
      local at = seen[e.id] or {}
      seen[e.id] = at
      at[#at + 1] = table.concat({ e.mark, e.peer:gsub("^127%.0%.0%.1:", ""), e.what, e.dump:match "|(.*)|" }, " ")
    end
    assert.same({ "* - open", "< " .. b_port .. " 3 bytes abc", "< " .. b_port .. " 3 bytes abc",
      "< " .. b_port .. " 1 bytes z", "< " .. b_port .. " 0 bytes",
      "* " .. c_port .. " error DATAGRAM_TOO_LARGE", "* - close" }, seen[a])
    assert.same({ "* - open", "> " .. a_port .. " 3 bytes abc", "> " .. a_port .. " 3 bytes abc",
      "> " .. a_port .. " 1 bytes z", "> " .. a_port .. " 0 bytes", "* - close" }, seen[b])
    assert.same({ "* - open", "> " .. b_port .. " 4 bytes lost", "* " .. b_port .. " error ECONNREFUSED",
      "* " .. b_port .. " close" }, seen[c])
  end)

  it("shows the steps of DTLS in words, and nothing of cookies, keys and messages", function()
    local status, out, err = program.run { qnlua, "--trace=tls", "-e", [[
      local cert, key = assert(qn.tls.self_signed { names = { "localhost" } })
      local server <close> = assert(qn.dtls.listen("127.0.0.1", 0, { cert = cert, key = key, tickets = false }))
      local client <close> = assert(qn.dtls.connect("localhost", server:port(), { ca = cert }))
      local peer <close> = assert(server:accept(20))
      client:send("secret text")
      assert(peer:recv())
      client:close()
      assert(not peer:recv())
      assert(not qn.dtls.connect("localhost", server:port(), { verify_name = "elsewhere", ca = cert }))
      print(client:id(), peer:id())]] }
    assert.equal(0, status, err)
    local client, server = out:match "^(%d+)\t(%d+)\n$"
    local sides = { [client] = {}, [server] = {} }
    for line in err:gmatch "[^\n]+" do
      local mark, id, text = line:match "^([<>*]) #(%d+) %d%d:%d%d:%d%d%.%d%d%d 127%.0%.0%.1:%d+ tls: (.+)$"
      assert.truthy(mark, line)
      local side = sides[id]
      if side then
        side[#side + 1] = mark .. " " .. text:gsub("%d+ cipher", "# cipher"):gsub("DTLS 1.2, ECDHE.*", "DTLS 1.2")
      end
    end
    assert.same({
      "> client hello sent: DTLS 1.2, # cipher suites, SNI localhost",
      "< hello verify request received",
      "> client hello sent: DTLS 1.2, # cipher suites, cookie, SNI localhost",
      "< server hello received: DTLS 1.2",
      "< certificate received: CN=localhost (issuer CN=localhost)",
      "* certificate verified for localhost",
      "< server key exchange received",
      "< server hello done received",
      "> client key exchange sent",
      "> finished sent",
      "< finished received",
    }, table.move(sides[client], 1, 11, 1, {}))
    assert.matches("^%* handshake done: DTLSv1%.2, [%w-]+, X25519, new session$", sides[client][12])
    assert.equal("> close_notify sent", sides[client][13])
    assert.same({ "> hello verify request sent",
      "< client hello received: DTLS 1.2, # cipher suites, cookie, SNI localhost" },
      table.move(sides[server], 1, 2, 1, {}))
    local all = table.concat(sides[server], "\n")
    assert.truthy(all:find("< close_notify received", 1, true))
    assert.matches("#%d+ [%d:.]+ 127.0.0.1:%d+ tls: handshake failed: CERT_HOSTNAME_MISMATCH: ", err)
    assert.matches("> #%d+ [%d:.]+ 127.0.0.1:%d+ tls: fatal alert bad_certificate sent", err)
    assert.is_nil(err:find("secret", 1, true))
  end)

  it("shows the steps of TLS in words", function()
    local status, out, err = program.run { qnlua, "--trace=tls", "-e", [[
      local key = ("k"):rep(16)
      local server <close> = assert(qn.tls.listen("127.0.0.1", 0, { psk = { keys = { someone = key } }, alpn = "h2" }))
      local task = qn.spawn(function()
        local peer <close> = assert(server:accept())
        peer:write("secret text")
        peer:read("a")
      end)
      local client <close> = assert(qn.tls.connect("127.0.0.1", server:port(), { server_name = "localhost",
        psk = { identity = "someone", key = key }, alpn = { "h2", "http/1.1" } }))
      client:read_exactly(11)
      client:close()
      task:join()
      print(client:id(), server:port())]] }
    assert.equal(0, status)
    local client, port = out:match "^(%d+)\t(%d+)\n$"
    local lines, all = {}, {}
    for mark, id, peer, text in err:gmatch "([<>*]) #(%d+) %d%d:%d%d:%d%d%.%d%d%d (%S+) tls: ([^\n]+)\n" do
      all[#all + 1] = text
      if id == client then
        assert.equal("127.0.0.1:" .. port, peer)
        lines[#lines + 1] = mark .. " " .. text:gsub("%d+ cipher suites", "# cipher suites")
      end
    end
    assert.same({
      "* shared key offered (identity of 7 bytes)",
      "> client hello sent: TLS 1.3, # cipher suites, SNI localhost, ALPN h2, http/1.1, "
        .. "ticket or shared key (7 bytes)",
      "< server hello received: TLS 1.3, TLS_AES_128_GCM_SHA256, key 0 accepted",
      "< encrypted extensions received: ALPN h2",
      "< finished received",
      "> finished sent",
      "* handshake done: TLSv1.3, TLS_AES_128_GCM_SHA256, X25519, ALPN h2, shared key",
      "> close_notify sent",
    }, table.move(lines, 1, 8, 1, {}))
    assert.truthy(#all > #lines) -- the server's side, too
    assert.equal(#all, select(2, err:gsub("\n", ""))) -- and nothing else: no bytes of sockets
    for _, secret in ipairs { "secret text", "kkkk", "someone" } do
      assert.is_nil(err:find(secret, 1, true))
    end
  end)

  it("shows nothing and has no layer when it is not asked for", function()
    local _, out, err = program.run { qnlua, "-e", talk }
    assert.truthy(out:find("\tsocket\n$"))
    assert.equal("", err)
  end)

  it("is a wrong usage for a layer that is not known", function()
    local status, out, err = program.run { qnlua, "--trace=socket,nothing", "-e", "print 1" }
    assert.equal(2, status)
    assert.equal("", out)
    assert.equal("qnlua: unknown layer 'nothing' for --trace (known: socket, tls)", (err:match "^[^\n]*"))
  end)
end)

describe("core.trace", function()
  it("knows its layers", function()
    assert.same({ "socket", "tls" }, core.trace_layers)
    assert.has_error(function() core.trace("socket", "nothing") end,
      "bad argument #2 to 'trace' (unknown layer)")
    core.trace() -- off, as it was
  end)

  it("counts for streams that are made while it is on", function()
    local _, out, err = program.run { qnlua, "-e", [[
      local core = require "qn.core"
      local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
      local before <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
      core.trace("socket")
      local during <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
      core.trace()
      local after <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
      print(before:layers(), during:layers(), after:layers())
      during:write("unseen")]] }
    assert.equal("socket\ttrace>socket\tsocket\n", out)
    assert.is_nil(err:find("unseen", 1, true))
  end)
end)
