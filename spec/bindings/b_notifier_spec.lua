-- Notifiers in Lua: waiting, ends of waits, events. covers: lua/qn/notifier.lua.
local qn = require "qn"
local pipes = require "spec.support.pipes"

local function turns(n)
  for _ = 1, n do qn.yield() end
end

describe("a notifier", function()
  it("waits, and is there at once when it is so", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local n <close> = assert(qn.notifier(r.fd, "read"))
    local task = qn.spawn(function() return n:wait() end)
    turns(5)
    assert.equal("waiting", task:status())
    w:write("x")
    assert.same({ true, true }, { task:join(20) })
    assert.is_true(n:wait())
    assert.equal("x", r:read(1))
    local ok, err = n:wait(0.001)
    assert.is_nil(ok)
    assert.same({ "timeout", "wait" }, { err.kind, err.op })
    ok, err = n:wait(0)
    assert.same({ nil, "timeout" }, { ok, err.kind })
  end)

  it("takes files of the io library and keeps them open", function()
    local program = assert(io.popen("printf hello; read x", "r"))
    local n <close> = assert(qn.notifier(program, "read"))
    assert.is_true(n:wait(20))
    assert.equal("hello", program:read(5))
    n:close()
    local file = assert(io.open("/dev/null"))
    file:close()
    assert.has_error(function() qn.notifier(file, "read") end, "bad argument #1 to 'notifier' (the file is closed)")
    program:close()
  end)

  it("sees the end of a pipe and of a connection", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local n <close> = assert(qn.notifier(r.fd, "read"))
    local task = qn.spawn(function() return n:wait() end)
    turns(2)
    w:close()
    assert.same({ true, true }, { task:join(20) })
  end)

  it("tells what cannot be watched", function()
    local file <close> = assert(io.open("/proc/self/exe"))
    local n, err = qn.notifier(file, "read")
    assert.is_nil(n)
    assert.same({ "denied", "EPERM", "notifier" }, { err.kind, err.code, err.op })
    assert.equal("a file or a directory cannot be watched", err.message)
    n, err = qn.notifier(1 << 29, "read")
    assert.is_nil(n)
    assert.same({ "invalid", "EBADF", "descriptor 536870912" }, { err.kind, err.code, err.peer })
    for _, bad in ipairs { "x", -1, 1.5, {}, 1 << 40 } do
      assert.has_error(function() qn.notifier(bad, "read") end)
    end
    assert.has_error(function() qn.notifier(0, "writable") end)
  end)

  it("serves one task at a time", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local n <close> = assert(qn.notifier(r.fd, "read"))
    local first = qn.spawn(function() return n:wait() end)
    turns(2)
    local ok, err = n:wait()
    assert.same({ nil, "busy" }, { ok, err.kind })
    w:write("x")
    assert.same({ true, true }, { first:join(20) })
  end)

  it("wakes who waits when it is closed", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local n <close> = assert(qn.notifier(r.fd, "read"))
    local task = qn.spawn(function() return n:wait() end)
    local event = qn.spawn(function() return n:wait("activated") end)
    turns(3)
    n:close()
    local _, ok, err = task:join(20)
    assert.same({ nil, "closed" }, { ok, err.kind })
    _, ok, err = event:join(20)
    assert.same({ nil, "closed" }, { ok, err.kind })
    ok, err = n:wait()
    assert.same({ nil, "closed" }, { ok, err.kind })
    ok, err = n:set_enabled(true)
    assert.same({ nil, "closed" }, { ok, err.kind })
    assert.is_true(n:wait("closed"))
    assert.is_true(n:is_closed())
    assert.truthy(tostring(n):find("^qn%.Notifier: read of descriptor %d+ %(closed%)$"))
    w:write("x") -- the pipe is whole
    assert.equal("x", r:read(1))
  end)

  it("waits while it is disabled, until it is enabled again", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local n <close> = assert(qn.notifier(r.fd, "read"))
    local done = false
    local task = qn.spawn(function() done = n:wait() end)
    turns(2)
    n:set_enabled(false)
    w:write("x")
    turns(10)
    assert.is_false(done)
    n:set_enabled(true)
    assert.is_true(task:join(20))
    assert.is_true(done)
  end)

  it("tells that its descriptor was closed before", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local n <close> = assert(qn.notifier(r.fd, "read"))
    local task = qn.spawn(function() return n:wait("error") end)
    local seen
    n:on("activated", function() seen = true end)
    turns(3)
    r:close()
    local ok, err = n:wait(5)
    assert.same({ nil, "invalid", "EBADF" }, { ok, err.kind, err.code })
    n:set_enabled(false)
    ok, err = n:set_enabled(true)
    assert.same({ nil, "EBADF" }, { ok, err.code })
    assert.is_nil(seen)
    task:cancel()
    n:close()
    w:close()
  end)

  it("tells its listeners, too, and is disabled then", function()
    local p <close> = pipes.pipe()
    local w = p.w
    local n <close> = assert(qn.notifier(w.fd, "write"))
    local calls = 0
    n:on("activated", function()
      calls = calls + 1
      w:close()
    end)
    local value = n:wait("error", 20)
    assert.same({ "invalid", "EBADF" }, { value.kind, value.code })
    assert.is_false(n:is_enabled())
    assert.equal(1, calls)
  end)

  it("runs handlers one at a time, never inside a call", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local n <close> = assert(qn.notifier(r.fd, "read"))
    local running, order = 0, {}
    local function handler(name)
      return function()
        running = running + 1
        assert(running == 1)
        qn.yield()
        order[#order + 1] = name
        running = running - 1
      end
    end
    n:on("activated", handler "a")
    n:on("activated", handler "b")
    n:on("activated", function() r:read(1) end)
    w:write("12")
    assert.same({}, order)
    repeat qn.yield() until #order == 4
    assert.same({ "a", "b", "a", "b" }, order)
    n:off("activated")
    w:write("3")
    turns(10)
    assert.equal(4, #order)
  end)

  it("once, off and wait for events", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local n <close> = assert(qn.notifier(w.fd, "write"))
    local calls, closed = 0, 0
    n:once("activated", function() calls = calls + 1 end)
    assert.equal(w.fd, n:wait("activated", 20))
    repeat qn.yield() until calls == 1
    turns(10)
    assert.equal(1, calls)
    local ok, err = n:wait("error", 0.001)
    assert.same({ nil, "timeout" }, { ok, err.kind })
    n:on("closed", function() closed = closed + 1 end)
    assert.has_error(function() n:on("activate", print) end,
      "bad argument #1 to 'on' (unknown event 'activate' (did you mean 'activated'?))")
    assert.has_error(function() n:wait("readable") end)
    turns(2)
    n:close()
    repeat qn.yield() until closed == 1
    r:close()
  end)

  it("has events and a waiting task at the same time", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local n <close> = assert(qn.notifier(r.fd, "read"))
    local calls = 0
    n:on("activated", function()
      calls = calls + 1
      n:set_enabled(false)
    end)
    local task = qn.spawn(function() return n:wait() end)
    turns(3)
    w:write("x")
    assert.same({ true, true }, { task:join(20) })
    repeat qn.yield() until calls == 1
    turns(5)
    assert.equal(1, calls)
  end)

  it("of urgent data", function()
    local program = assert(io.popen([[python3 -c '
import socket, sys
l = socket.create_server(("127.0.0.1", 0))
print(l.getsockname()[1], flush=True)
s, _ = l.accept()
s.recv(1)
s.send(b"!", socket.MSG_OOB)
s.recv(1)
']]))
    local socket <close> = assert(qn.tcp.connect("127.0.0.1", assert(program:read("n"))))
    local n <close> = assert(qn.notifier(socket:descriptor(), "exception"))
    local task = qn.spawn(function() return n:wait() end)
    turns(5)
    assert.equal("waiting", task:status())
    assert.is_true(socket:write("a"))
    assert.same({ true, true }, { task:join(20) })
    n:close()
    assert.is_true(socket:write("b"))
    socket:close()
    program:close()
  end)

  it("is cancelled as every wait is", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local n <close> = assert(qn.notifier(r.fd, "read"))
    local task = qn.spawn(function() n:wait() end)
    turns(2)
    task:cancel()
    task:join()
    assert.equal("cancelled", task:status())
    local _, err = qn.timeout(0.001, function() return n:wait() end)
    assert.equal("timeout", err.kind)
    w:write("x")
    assert.is_true(n:wait(20)) -- and it is as new
  end)
end)
