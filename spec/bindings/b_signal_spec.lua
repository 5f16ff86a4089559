-- Signals of the operating system as things to wait for.

local qn = require "qn"
local core = require "qn.core"
local leaks = require "spec.support.leaks"
local throws = require "spec.support.throws"

local function send(name)
  assert(os.execute(("kill -%s %d"):format(name, core.pid())))
end

local function assert_error(kind, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind)
  return err
end

describe("a signal", function()
  it("wakes who waits, with the number of deliveries", function()
    local signal <close> = assert(qn.signal("usr1"))
    local task = qn.spawn(signal.wait, signal)
    qn.yield()
    send("USR1")
    assert.same({ true, 1 }, { task:join() })
  end)

  it("is not lost when nobody waits", function()
    local signal <close> = assert(qn.signal("usr2"))
    send("USR2")
    qn.sleep(0)
    local n = assert(signal:wait(20))
    assert.equal(1, n)
    assert_error("timeout", signal:wait(0))
  end)

  it("goes to all who watch it, by name or number", function()
    local one <close> = assert(qn.signal("usr1"))
    local two <close> = assert(qn.signal(10))
    send("USR1")
    assert.equal(1, one:wait(20))
    assert.equal(1, two:wait(20))
  end)

  it("has a time limit, and can be cancelled and closed", function()
    local signal = assert(qn.signal("usr1"))
    local err = assert_error("timeout", signal:wait(0.001))
    assert.equal("signal", err.op)
    local task = qn.spawn(signal.wait, signal)
    qn.yield()
    task:cancel()
    task:join()
    task = qn.spawn(signal.wait, signal)
    qn.yield()
    signal:close()
    signal:close()
    local ok, value, closed = task:join()
    assert.is_true(ok)
    assert_error("closed", value, closed)
    assert_error("closed", signal:wait())
  end)

  it("that nobody closed is a leak", function()
    leaks.expect { leaked = 1 }
    local signal = assert(qn.signal("usr1"))
    assert(signal)
    signal = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
  end)

  it("is checked", function()
    throws.call(assert, "#1 to 'signal'.*unknown signal name", qn, "signal", "nonsense")
    throws.call(assert, "#1 to 'signal'", qn, "signal")
    throws.call(assert, "#1 to 'signal'", qn, "signal", {})
    for _, bad in ipairs { 0, -1, 65, 1 << 32 | 10, 1.5 } do
      throws.call(assert, "#1 to 'signal'", qn, "signal", bad)
    end
    throws.call(assert, "#1 to 'signal'.*cannot be watched", qn, "signal", "kill")
    local signal <close> = assert(qn.signal("usr1"))
    throws.method(assert, "negative", signal, "wait", -1)
  end)
end)
