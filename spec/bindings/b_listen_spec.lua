-- Listening sockets: listen and its failures, accept in order, pause, back-pressure, shortage of
-- descriptors, Unix paths.

local qn = require "qn"
local pair = require "spec.support.pair"
local program = require "spec.support.program"
local splits = require "spec.support.splits"
local throws = require "spec.support.throws"

local function assert_error(kind, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind)
  return err
end

local function serving(f, opts)
  local server <close> = assert(qn.tcp.listen("127.0.0.1", 0, opts))
  return f(server)
end

local function connect(server)
  return assert(qn.tcp.connect("127.0.0.1", server:port(), { timeout = 20 }))
end

describe("listen", function()
  it("gives a server with an address and a port", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    assert.equal("127.0.0.1", tostring(server:address()))
    assert.is_true(server:port() > 0)
    assert.is_true(server:is_listening())
    assert.equal("listening", server:state())
    assert.same({ 0, 30, false }, { server:pending(), server:max_pending(), server:is_paused() })
    assert.equal("integer", math.type(server:descriptor()))
    assert.is_nil(server:error())
    assert.equal("qn.Server: 127.0.0.1:" .. server:port(), tostring(server))
    server:close()
    server:close()
    assert.same({ false, "unconnected" }, { server:is_listening(), server:state() })
    assert.same({}, { server:address(), server:port(), server:descriptor() })
    assert.equal("qn.Server: closed", tostring(server))
    assert_error("closed", server:accept())
  end)

  it("knows addresses: localhost, IPv6, all of both", function()
    local one <close> = assert(qn.tcp.listen("localhost"))
    assert.equal("127.0.0.1", tostring(one:address()))
    local two <close> = assert(qn.tcp.listen("::1", 0))
    assert.equal("::1", tostring(two:address()))
    local all <close> = assert(qn.tcp.listen())
    for _, address in ipairs { "127.0.0.1", "::1" } do
      local s <close> = assert(qn.tcp.connect(address, all:port()))
      local far <close> = assert(all:accept())
      assert.equal(address, tostring(far:peer_address())) -- mapped addresses become plain ones
      assert.truthy(s)
    end
    local six <close> = assert(qn.tcp.listen("::", 0, { v6only = true }))
    assert_error("refused", qn.tcp.connect("127.0.0.1", six:port()))
    local s <close> = assert(qn.tcp.connect("::1", six:port()))
    assert.truthy(s)
    local dual <close> = assert(qn.tcp.listen("::", 0, { v6only = false }))
    local t <close> = assert(qn.tcp.connect("127.0.0.1", dual:port()))
    assert.truthy(t)
  end)

  it("fails where somebody listens, where the address is not ours, where it is not allowed", function()
    serving(function(server)
      local err = assert_error("exists", qn.tcp.listen("127.0.0.1", server:port()))
      assert.same({ "EADDRINUSE", "listen", "127.0.0.1:" .. server:port() }, { err.code, err.op, err.peer })
      err = assert_error("unreachable", qn.tcp.listen("192.0.2.1", 0))
      assert.equal("EADDRNOTAVAIL", err.code)
    end)
    -- a user without privileges and a reserved port
    local script = "local s, err = qn.tcp.listen('127.0.0.1', 1) print(err and err.kind, err and err.code)"
    local _, out = program.run({ "setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all",
      program.qnlua(), "-e", script })
    if not out:find("nil") then -- where ports are open to all, there is nothing to be denied
      assert.equal("denied\tEACCES\n", out)
    end
  end)

  it("shares a port when both sides want that", function()
    local one <close> = assert(qn.tcp.listen("127.0.0.1", 0, { reuse_port = true }))
    local two <close> = assert(qn.tcp.listen("127.0.0.1", one:port(), { reuse_port = true }))
    assert.equal(one:port(), two:port())
    assert_error("exists", qn.tcp.listen("127.0.0.1", one:port()))
  end)

  it("gives options to what it accepts", function()
    serving(function(server)
      local s <close> = connect(server)
      local far <close> = assert(server:accept())
      assert.equal(0, far:option("nodelay"))
      assert.truthy(s)
    end, { nodelay = false })
  end)

  it("is checked", function()
    throws.call(assert, "#1 to 'listen'.*address literal", qn.tcp, "listen", "example.invalid", 0)
    throws.call(assert, "#1 to 'listen'", qn.tcp, "listen", {}, 0)
    for _, bad in ipairs { -1, 65536, 0.5, "x" } do
      throws.call(assert, "#2 to 'listen'", qn.tcp, "listen", "127.0.0.1", bad)
    end
    throws.call(assert, "unknown option 'reuseport' %(did you mean 'reuse_port'%?%)", qn.tcp, "listen", "127.0.0.1", 0,
      { reuseport = true })
    throws.call(assert, "'backlog'", qn.tcp, "listen", "127.0.0.1", 0, { backlog = 0 })
    throws.call(assert, "'max_pending'", qn.tcp, "listen", "127.0.0.1", 0, { max_pending = 0 })
    throws.call(assert, "'fd'", qn.tcp, "listen", "127.0.0.1", 0, { fd = -1 })
    assert_error("invalid", qn.tcp.listen("127.0.0.1", 0, { fd = 1 << 29 }))
    serving(function(server)
      throws.method(assert, "#1 to 'set_max_pending'", server, "set_max_pending", 0)
      throws.method(assert, "#1 to 'accept'.*negative", server, "accept", -1)
      throws.method(assert, "#1 to 'accept'", server, "accept", "x")
      assert.is_false(pcall(server.accept, 5))
      assert.is_false(pcall(server.accept))
    end)
  end)
end)

describe("accept", function()
  it("has a time limit", function()
    serving(function(server)
      local err = assert_error("timeout", server:accept(0.001))
      assert.same({ "accept", "accept" }, { err.op, err.phase })
      assert.equal("127.0.0.1:" .. server:port(), err.peer)
      assert_error("timeout", server:accept(0))
      local s <close> = connect(server)
      local far <close> = assert(server:accept(20))
      assert.truthy(s and far)
    end)
  end)

  it("serves who waits in order", function()
    serving(function(server)
      local order = {}
      local tasks, sockets = {}, {}
      for i = 1, 5 do
        tasks[i] = qn.spawn(function()
          local s <close> = assert(server:accept())
          order[#order + 1] = i
          s:write(i)
          s:read("a")
        end)
      end
      qn.yield()
      tasks[2]:cancel()
      for i = 1, 4 do
        sockets[i] = connect(server)
        assert.equal(tostring(({ 1, 3, 4, 5 })[i]), sockets[i]:read(1))
      end
      for i = 1, 4 do
        sockets[i]:close()
      end
      for i = 1, 5 do
        tasks[i]:join()
      end
      assert.same({ 1, 3, 4, 5 }, order)
    end)
  end)

  it("gives a connection to the next when its taker is cancelled in that moment", function()
    serving(function(server)
      -- the taker waits in a coroutine that is closed some turns later: before, when and after it came
      for turns = 0, 12 do
        local inner = coroutine.create(server.accept)
        local task = qn.spawn(coroutine.resume, inner, server)
        qn.yield()
        local client = qn.spawn(connect, server)
        for _ = 1, turns do
          qn.yield()
        end
        coroutine.close(inner)
        local joined, resumed, taken = task:join()
        assert.is_true(joined)
        local far <close> = resumed and taken or assert(server:accept(20))
        local ok, s = client:join()
        assert.is_true(ok, tostring(s))
        local near <close> = s
        near:write("hello")
        assert.equal("hello", far:read(5))
      end
    end)
  end)

  it("ends when the server is closed, for all who wait", function()
    for _, how in ipairs { "close", "stop" } do
      serving(function(server)
        local tasks = {}
        for i = 1, 3 do
          tasks[i] = qn.spawn(server.accept, server)
        end
        qn.yield()
        server[how](server)
        for i = 1, 3 do
          local ok, value, err = tasks[i]:join()
          assert.is_true(ok)
          assert_error("closed", value, err)
        end
      end)
    end
  end)

  it("drops connections that nobody took when the server is closed", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local s <close> = connect(server)
    splits.until_true("it is pending", function() return server:pending() == 1 end)
    server:close()
    assert.is_nil((s:read("l")))
  end)
end)

describe("the queue of a server", function()
  it("is bounded: the rest waits in the kernel", function()
    serving(function(server)
      local sockets = {}
      for i = 1, 12 do
        sockets[i] = connect(server)
      end
      splits.until_true("the queue is full", function() return server:pending() == 3 end)
      for _ = 1, 10 do
        qn.yield()
      end
      assert.equal(3, server:pending())
      server:set_max_pending(5)
      assert.equal(5, server:max_pending())
      splits.until_true("the queue is longer", function() return server:pending() == 5 end)
      for i = 1, 12 do
        local far <close> = assert(server:accept(20))
        assert.equal(sockets[i]:local_port(), far:peer_port())
        sockets[i]:close()
      end
      assert.equal(0, server:pending())
    end, { max_pending = 3 })
  end)

  it("stands still while the server is paused", function()
    serving(function(server)
      server:pause()
      assert.is_true(server:is_paused())
      local s <close> = connect(server) -- the kernel takes it
      assert_error("timeout", server:accept(0.01))
      assert.equal(0, server:pending())
      server:resume()
      local far <close> = assert(server:accept(20))
      assert.equal(s:local_port(), far:peer_port())
    end)
  end)
end)

describe("a process without descriptors", function()
  it("reports it, does not spin, and accepts again when there are some", function()
    local script = [[
      local core = require "qn.core"
      local server = assert(qn.tcp.listen("127.0.0.1", 0))
      local errors, held = {}, {}
      server:on("accept_error", function(err) errors[#errors + 1] = err end)
      local acceptor = qn.spawn(function()
        while true do
          held[#held + 1] = assert(server:accept())
        end
      end)
      print(server:port())
      io.stdout:flush()
      assert(server:wait("accept_error", 20))
      assert(errors[1].kind == "limit" and errors[1].code == "EMFILE", tostring(errors[1]))
      assert(server:error().code == "EMFILE")
      local turns = qn.stats().turns
      qn.sleep(0.3)
      turns = qn.stats().turns - turns
      assert(turns < 50, "it spins: " .. turns)
      local n = #held
      for i = 1, n do held[i]:close() end
      while #held == n do qn.sleep(0.01) end
      print("accepted " .. n .. " and again")
      acceptor:cancel()
      acceptor:join()
      for _, s in ipairs(held) do s:close() end
      server:close()
    ]]
    local child <close> = program.start({ "sh", "-c", 'ulimit -n 24; exec "$0" -e "$1"', program.qnlua(), script })
    local port = tonumber(child:wait_for("^(%d+)\n"))
    local sockets = {}
    local closer <close> = setmetatable({}, { __close = function()
      for _, s in ipairs(sockets) do
        s:abort()
      end
    end })
    for i = 1, 40 do
      sockets[i] = assert(qn.tcp.connect("127.0.0.1", port))
    end
    local status, out, err = child:wait()
    assert.equal("", err)
    assert.equal(0, status)
    assert.truthy(out:find("accepted %d+ and again"))
  end)
end)

describe("unix servers", function()
  local folder
  setup(function() folder = program.scratch() end)
  teardown(function() program.remove(folder) end)

  it("listen on paths and abstract names", function()
    for _, name in ipairs { folder .. "/s", pair.unix_name(), "\0" .. pair.unix_name() } do
      local server <close> = assert(qn.unix.listen(name))
      local s <close> = assert(qn.unix.connect(name))
      local far <close> = assert(server:accept())
      s:write("x")
      assert.equal("x", far:read(1))
      assert.equal((name:gsub("^%z", "@")), server:address())
      assert_error("exists", qn.unix.listen(name))
    end
    assert.is_nil((io.open(folder .. "/s"))) -- removed with its server
  end)

  it("keep a stale file unless told otherwise, and never a live one", function()
    local path, other = folder .. "/stale", folder .. "/removed"
    local status = program.run({ program.qnlua(), "-e", ([[
      local one, two = assert(qn.unix.listen(%q)), assert(qn.unix.listen(%q))
      os.execute("kill -KILL " .. require "qn.core".pid())
    ]]):format(path, other) })
    assert.is_true(qn.unix.remove(other))
    local other_server <close> = assert(qn.unix.listen(other))
    assert.truthy(other_server)
    assert.equal(128 + 9, status)
    local err = assert_error("exists", qn.unix.listen(path))
    assert.equal("EADDRINUSE", err.code)
    assert.equal(path, err.peer)
    assert_error("refused", qn.unix.connect(path))
    local server <close> = assert(qn.unix.listen(path, { unlink = true }))
    assert_error("exists", qn.unix.listen(path, { unlink = true }))
    local s <close> = assert(qn.unix.connect(path))
    assert.truthy(s)
    server:close()
    local file = assert(io.open(path, "w"))
    file:write("precious")
    file:close()
    assert.is_nil((qn.unix.listen(path, { unlink = true })))
    file = assert(io.open(path))
    assert.equal("precious", file:read("a"))
    file:close()
    os.remove(path)
  end)

  it("have the permissions they are told", function()
    for _, mode in ipairs { 384, 438 } do -- 0600, 0666
      local path = folder .. "/mode"
      local server <close> = assert(qn.unix.listen(path, { mode = mode }))
      local pipe <close> = assert(io.popen("stat -c %a '" .. path .. "'"))
      assert.equal(("%o"):format(mode), pipe:read("l"))
      assert.truthy(server)
    end
    throws.call(assert, "'mode'", qn.unix, "listen", folder .. "/x", { mode = 512 })
    throws.call(assert, "unknown option 'reuse_port'", qn.unix, "listen", folder .. "/x", { reuse_port = true })
    throws.call(assert, "#1 to 'listen'.*too long", qn.unix, "listen", ("p"):rep(108))
    throws.call(assert, "#1 to 'listen'", qn.unix, "listen")
    throws.call(assert, "#1 to 'listen'.*invalid", qn.unix, "listen", "")
    local err = assert_error("io", qn.unix.listen(folder .. "/no/such/folder"))
    assert.equal("ENOENT", err.code)
  end)

  it("are removed by name", function()
    assert.is_true(qn.unix.remove(folder .. "/nothing"))
    assert.is_true(qn.unix.remove("@abstract"))
    local path = folder .. "/file"
    assert(io.open(path, "w")):close()
    for _, other in ipairs { path, folder } do -- never what is no socket
      local err = assert_error("invalid", qn.unix.remove(other))
      assert.same({ "remove", other, "ENOTSOCK" }, { err.op, err.peer, err.code })
    end
    assert.is_true(os.remove(path))
    throws.call(assert, "#1 to 'remove'", qn.unix, "remove")
    throws.call(assert, "#1 to 'remove'", qn.unix, "remove", "")
    throws.call(assert, "#1 to 'remove'.*zeros", qn.unix, "remove", path .. "\0")
  end)
end)

