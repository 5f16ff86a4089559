-- The rows SRV-* of the Qt coverage (QTcpServer) and what Parts 2 and 3 add to them, one spec per row;
-- docs/qt-coverage.md names them. Listening through a proxy comes with proxies.

local qn = require "qn"
local core = require "qn.core"
local program = require "spec.support.program"

local function eventually(condition)
  program.until_true("what is expected", condition)
end

local function connect(server)
  return assert(qn.tcp.connect("127.0.0.1", server:port()))
end

describe("QTcpServer", function()
  it("SRV-01 listens on any free port; a port that is taken is an error", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    assert.is_true(server:port() > 0)
    local other, err = qn.tcp.listen("127.0.0.1", server:port())
    assert.is_nil(other)
    assert.equal("exists", err.kind)
    assert.equal("EADDRINUSE", err.code)
  end)

  it("SRV-01 all addresses of both families", function()
    local server <close> = assert(qn.tcp.listen("*", 0))
    local socket <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    local accepted <close> = assert(server:accept(10))
    assert.equal("127.0.0.1", tostring(accepted:peer_address())) -- never ::ffff:127.0.0.1
    assert.is_true(socket:is_open())
  end)

  it("SRV-02 close drops who waits, accepted ones survive", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local first <close> = connect(server)
    local accepted <close> = assert(server:accept(10))
    local second <close> = connect(server)
    eventually(function() return server:pending() == 1 end)
    server:close()
    accepted:write("still here")
    assert.equal("still here", first:read(10))
    local data, err = second:read("a", { timeout = 10 })
    assert.is_true(data == "" or err.kind == "reset")
    server:close() -- twice is fine
  end)

  it("SRV-03 facts while it listens and after", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    assert.is_true(server:is_listening())
    assert.equal("127.0.0.1", tostring(server:address()))
    assert.equal("listening", server:state())
    server:close()
    assert.is_false(server:is_listening())
    assert.is_nil(server:address())
    assert.is_nil(server:port())
  end)

  it("SRV-04 accepts ahead, 30 unless told otherwise, the kernel holds the rest", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    assert.equal(30, server:max_pending())
    server:set_max_pending(2)
    local clients = {}
    for i = 1, 4 do
      clients[i] = connect(server)
    end
    eventually(function() return server:pending() == 2 end)
    for _ = 1, 4 do
      assert(server:accept(10)):close()
    end
    for _, client in ipairs(clients) do
      client:close()
    end
  end)

  it("SRV-05 SRV-07 connections come in order, as sockets", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local ports = {}
    for i = 1, 3 do
      local client <close> = connect(server)
      ports[i] = client:local_port()
    end
    eventually(function() return server:pending() == 3 end)
    for i = 1, 3 do
      local socket <close> = server:accept()
      assert.equal(ports[i], socket:peer_port())
      assert.is_true(socket:descriptor() >= 0)
    end
    assert.equal(0, server:pending())
  end)

  it("SRV-06 new_connection comes for each", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local count = 0
    server:on("new_connection", function()
      count = count + 1
      server:accept():close()
    end)
    for _ = 1, 3 do
      connect(server):close()
    end
    eventually(function() return count == 3 end)
  end)

  it("SRV-08 accept waits, with a limit; the event can be waited for too", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local socket, err = server:accept(0.01)
    assert.is_nil(socket)
    assert.equal("timeout", err.kind)
    assert.equal("accept", err.phase)
    local client
    qn.spawn(function() client = connect(server) end)
    assert.is_true(server:wait("new_connection", 10))
    server:accept():close()
    client:close()
    server:off()
  end)

  it("SRV-09 error() is the last accept error", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    assert.is_nil(server:error())
    local _, err = qn.tcp.listen("192.0.2.1", 0) -- an address of nobody
    assert.equal("EADDRNOTAVAIL", err.code)
    assert.equal("listen", err.op)
  end)

  it("SRV-10 takes over a listening descriptor, as inetd and systemd pass it", function()
    local parent <const> = [[
      use Socket;
      $^F = 99; # descriptors survive exec
      socket(S, PF_INET, SOCK_STREAM, 0) && bind(S, sockaddr_in(0, inet_aton("127.0.0.1")))
        && listen(S, 5) or die;
      exec(@ARGV, fileno(S));
    ]]
    local child <const> = [[
      local qn = require "qn"
      local server = assert(qn.tcp.listen(nil, nil, { fd = math.tointeger(arg[#arg]) }))
      io.stdout:setvbuf("line")
      print("port " .. server:port(), server:descriptor())
      server:accept(20):write("adopted")
    ]]
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(child)
    file:close()
    local server <close> = program.start { "perl", "-e", parent, program.qnlua(), path }
    local port, fd = server:wait_for("port (%d+)%s+(%d+)\n")
    assert.is_true(tonumber(fd) >= 3)
    local socket <close> = assert(qn.tcp.connect("127.0.0.1", tonumber(port)))
    assert.equal("adopted", socket:read("a"))
    os.remove(path)
    local _, err = qn.tcp.listen("127.0.0.1", 0, { fd = 1 << 20 })
    assert.equal("EBADF", err.code)
  end)

  it("Q5-07 pause and resume", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    server:pause()
    assert.is_true(server:is_paused())
    local client <close> = connect(server) -- the kernel takes it
    local _, err = server:accept(0.02)
    assert.equal("timeout", err.kind)
    server:resume()
    assert.is_false(server:is_paused())
    server:accept(10):close()
    assert.is_true(client:is_open())
  end)

  it("Q5-19 the backlog can be chosen", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0, { backlog = 1, max_pending = 1 }))
    connect(server):close()
    assert(server:accept(10)):close()
    assert.has_error(function() qn.tcp.listen("127.0.0.1", 0, { backlog = 0 }) end)
  end)

  it("Q5-22 reuse_port: several servers on one port", function()
    local one <close> = assert(qn.tcp.listen("127.0.0.1", 0, { reuse_port = true }))
    local two <close> = assert(qn.tcp.listen("127.0.0.1", one:port(), { reuse_port = true }))
    assert.equal(one:port(), two:port())
  end)

  it("Q5-22 sendfile and tuned keep-alive", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local client <close> = assert(qn.tcp.connect("127.0.0.1", server:port(), { keepalive = 30 }))
    assert.equal(30, client:option("keepalive_idle"))
    local accepted <close> = assert(server:accept(10))
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(("0123456789"):rep(100000))
    file:close()
    qn.spawn(function()
      accepted:send_file(path, { offset = 5 })
      accepted:close()
    end)
    assert.equal("56789012", client:read(8))
    assert.equal(1000000 - 13, #client:read("a"))
    os.remove(path)
  end)

  it("WEAK-27 out of descriptors: reported, no spinning, goes on afterwards", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local seen
    server:on("accept_error", function(err) seen = err end)
    local client <close> = connect(server)
    server:accept(10):close()
    -- Use up all descriptors but one, which the next client needs.
    local held = {}
    os.execute(("prlimit --pid %d --nofile=256:"):format(core.pid()))
    while true do
      local file = io.open("/dev/null")
      if not file then
        break
      end
      held[#held + 1] = file
    end
    table.remove(held):close()
    local late = qn.tcp.connect("127.0.0.1", server:port())
    local ok = pcall(eventually, function() return seen end)
    for _, file in ipairs(held) do
      file:close()
    end
    assert.is_true(ok)
    assert.equal("limit", seen.kind)
    local accepted <close> = assert(server:accept(20))
    assert.is_truthy(late)
    late:close()
    assert.is_true(client:is_open() and accepted:is_open())
    server:off()
  end)
end)
