-- Classes: type checks, inheritance, close, the collector as the safety net.
-- covers: bindings/class.c
local qn = require "qn"
local leaks = require "spec.support.leaks"

describe("a method", function()
  it("checks its self: other classes, other userdata, other values", function()
    local stream, other = qn.pair()
    local _ <close> = stream
    local task = qn.spawn(function() end)
    for _, bad in ipairs { task, io.stdout, {}, 1, "x", print, qn.error("io", "x"), qn.buffer() } do
      assert.error_matches(function() stream.read(bad, 1) end, "qn.Stream expected")
    end
    for _, bad in ipairs { stream, io.stdout, {}, 1 } do
      assert.error_matches(function() task.join(bad) end, "qn.Task expected")
    end
    assert.error(function() stream.read() end)
    other:close()
    task:join()
  end)

  it("of a base class works on a derived one, and not the other way round", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local socket <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
    local accepted <close> = assert(server:accept())
    local a, b = qn.pair()
    accepted:write("x")
    assert.equal("x", a.read(socket, 1))
    assert.error_matches(function() socket.local_port(a) end, "qn.Socket expected")
    a:close()
    b:close()
  end)
end)

describe("a handle", function()
  it("has methods only, and hides its metatable", function()
    local a, b = qn.pair()
    assert.is_nil(a.no_such_thing)
    assert.error(function() a.field = 1 end)
    assert.equal("qn", getmetatable(a))
    assert.matches("^qn.Stream: ", tostring(a))
    a:close()
    b:close()
  end)

  it("closes idempotently, works with <close>, and stays callable", function()
    local a, b = qn.pair()
    do
      local _ <close> = a
    end
    a:close()
    a:close()
    a:abort()
    local value, err = a:read(1)
    assert.is_nil(value)
    assert.equal("closed", err.kind)
    b:close()
  end)

  it("that is dropped is closed by the collector and counted", function()
    local before = qn.stats()
    do
      local a, b = qn.pair()
      b:close()
      assert.is_userdata(a)
    end
    io.stderr:write("(one leak is intended here)\n")
    collectgarbage()
    collectgarbage()
    assert.equal(before.leaked + 1, qn.stats().leaked)
    leaks.expect { leaked = 1 }
  end)

  it("that is dropped while its peer waits ends that wait", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local reader = qn.spawn(function()
      local socket <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
      return socket:read(1)
    end)
    do
      assert(server:accept())
    end
    io.stderr:write("(one leak is intended here)\n")
    leaks.expect { leaked = 1 }
    while reader:status() == "waiting" do
      collectgarbage()
      qn.yield()
    end
    assert.is_true((reader:join()))
  end)

  it("on the stack of a sleeping task is not collected", function()
    local a, b = qn.pair()
    local task = qn.spawn(function(s)
      return s:read(1)
    end, a)
    a = nil -- luacheck: ignore 311
    qn.yield()
    collectgarbage()
    collectgarbage()
    b:write("x")
    assert.same({ true, "x" }, { task:join() })
    b:close()
    task = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    leaks.expect { leaked = 1 } -- nobody closed a
  end)
end)
