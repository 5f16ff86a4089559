-- qn.tcp from end to end: a conversation, many at a time, sockets handed from one program to another.

local qn = require "qn"
local core = require "qn.core"
local pair = require "spec.support.pair"
local peers = require "spec.support.peers"
local program = require "spec.support.program"

describe("qn.tcp", function()
  it("is what its documents say", function()
    assert.same({ core.tcp_connect, core.tcp_socket, core.tcp_listen, core.adopt },
      { qn.tcp.connect, qn.tcp.socket, qn.tcp.listen, qn.tcp.adopt })
  end)

  it("holds a line-by-line conversation", function()
    peers.with({
      "220 ready\r\n", { expect = "EHLO me\r\n" }, "250-hello\r\n250 SIZE\r\n", { expect = "QUIT\r\n" }, "221 bye\r\n",
      { close = true },
    }, function(s)
      assert.equal("220 ready", s:read_until("\r\n"))
      s:write("EHLO me\r\n")
      local lines = {}
      repeat
        lines[#lines + 1] = s:read_until("\r\n")
      until lines[#lines]:find("^%d+ ")
      assert.same({ "250-hello", "250 SIZE" }, lines)
      s:write("QUIT\r\n")
      assert.equal("221 bye", s:read_until("\r\n"))
      assert.is_nil(s:read_until("\r\n"))
    end)
  end)

  it("holds many conversations at a time", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local serving = qn.spawn(server.serve, server, function(s)
      while true do
        local n, text = s:unpack(">I2 s2")
        if not n then
          return
        end
        s:pack(">I2 s2", n, text:reverse())
      end
    end)
    local done = 0
    qn.group(function(g)
      for i = 1, 100 do
        g:spawn(function()
          local s <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
          for round = 1, 5 do
            local text = ("%d:%d "):format(i, round):rep(round * 100)
            s:pack(">I2 s2", round, text)
            local n, answer = s:unpack(">I2 s2")
            assert(n == round and answer == text:reverse())
          end
          done = done + 1
        end)
      end
    end)
    assert.equal(100, done)
    server:close()
    assert.same({ true, true }, { serving:join() })
  end)

  it("adopts a connection that another program made", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local child <close> = program.start({ "bash", "-c", ([[
      exec 5<>/dev/tcp/127.0.0.1/%d
      exec "$0" -e 'local s <close> = assert(qn.tcp.adopt(5))
                    assert(s:descriptor() == 5 and s:state() == "connected")
                    assert(tostring(s:peer_address()) == "127.0.0.1")
                    s:write("from ", s:local_port(), "\n")
                    print(s:read("l"), s:peer_port())'
    ]]):format(server:port()), program.qnlua() })
    local far <close> = assert(server:accept(20))
    assert.equal("from " .. far:peer_port(), far:read("l"))
    far:write("welcome\n")
    local status, out, err = child:wait()
    assert.same({ 0, "welcome\t" .. server:port() .. "\n", "" }, { status, out, err })
  end)

  it("listens on a descriptor that another program opened", function()
    local port = program.free_port()
    local child <close> = program.start({ "perl", "-MSocket", "-e", [[
      $^F = 100; # handed on
      socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
      setsockopt($s, SOL_SOCKET, SO_REUSEADDR, pack("l", 1));
      bind($s, sockaddr_in($ARGV[0], INADDR_LOOPBACK)) or die "bind: $!";
      listen($s, 5) or die;
      exec $ARGV[1], "-e", "
        local server <close> = assert(qn.tcp.listen(nil, nil, { fd = " . fileno($s) . " }))
        print(server:address(), server:port())
        io.stdout:flush()
        local s <close> = assert(server:accept(20))
        s:write('adopted')
        assert(s:option('nodelay') == 1)
      ";
    ]], port, program.qnlua() })
    assert.equal(tostring(port), child:wait_for("^127%.0%.0%.1\t(%d+)\n"))
    local s <close> = assert(qn.tcp.connect("127.0.0.1", port))
    assert.equal("adopted", s:read("a"))
    assert.equal(0, (child:wait()))
  end)

  it("keeps its descriptors from children", pair.body("tcp", function(a)
    local fd = a:descriptor()
    local pipe <close> = assert(io.popen(("ls -l /proc/self/fd/%d 2>&1"):format(fd)))
    assert.truthy(pipe:read("a"):find("No such file", 1, true))
  end))
end)
