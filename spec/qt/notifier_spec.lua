-- QSocketNotifier, row by row.
local qn = require "qn"
local pipes = require "spec.support.pipes"

describe("QSocketNotifier", function()
  it("NOT-01 is made for a descriptor and a type, and is enabled", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local reading <close> = assert(qn.notifier(r.fd, "read"))
    local writing <close> = assert(qn.notifier(w.fd, "write"))
    local exceptional <close> = assert(qn.notifier(r.fd, "exception"))
    for n, what in pairs { [reading] = { r.fd, "read" }, [writing] = { w.fd, "write" },
      [exceptional] = { r.fd, "exception" } } do
      assert.same(what, { n:descriptor(), n:type() })
      assert.is_true(n:is_enabled())
    end
    assert.has_error(function() qn.notifier(r.fd, "readable") end)
    assert.has_error(function() qn.notifier(-1, "read") end)
    assert.has_error(function() qn.notifier(r.fd) end)
  end)

  it("NOT-02 activated comes from the loop, as long as it is so", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local n <close> = assert(qn.notifier(r.fd, "read"))
    local got, fds = {}, {}
    n:on("activated", function(fd)
      got[#got + 1] = r:read(1) -- one of three: it stays readable
      fds[fd] = true
    end)
    w:write("abc")
    assert.same({}, got)
    repeat qn.yield() until #got == 3
    assert.same({ "a", "b", "c" }, got)
    assert.same({ [r.fd] = true }, fds)
  end)

  it("NOT-03 set_enabled, is_enabled, descriptor, type; writing does not spin", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local n <close> = assert(qn.notifier(w.fd, "write"))
    local calls, gate = 0, qn.event()
    n:on("activated", function()
      calls = calls + 1
      gate:wait() -- a handler that takes its time
    end)
    repeat qn.yield() until calls == 1
    local turns = qn.stats().turns
    for _ = 1, 50 do qn.yield() end
    assert.equal(1, calls) -- there is room all the time, and nothing comes while a handler runs
    assert.is_true(qn.stats().turns >= turns + 50)
    assert.is_true(n:set_enabled(false))
    assert.is_false(n:is_enabled())
    gate:set()
    for _ = 1, 20 do qn.yield() end
    assert.equal(1, calls)
    assert.is_true(n:set_enabled(true))
    repeat qn.yield() until calls > 2
    assert.has_error(function() n:set_enabled() end)
    n:close()
    r:close()
  end)

  it("NOT-04 one for each descriptor and type; the descriptor outlives it", function()
    local p <close> = pipes.pipe()
    local r, w = p.r, p.w
    local n <close> = assert(qn.notifier(r.fd, "read"))
    local second, err = qn.notifier(r.fd, "read")
    assert.is_nil(second)
    assert.same({ "exists", "EEXIST" }, { err.kind, err.code })
    n:close()
    n:close()
    assert.is_false(n:is_enabled())
    local again <close> = assert(qn.notifier(r.fd, "read"))
    w:write("x")
    assert.is_true(again:wait(20))
    assert.equal("x", r:read(1))
    again:close()
    r:close() -- the notifier first, then the descriptor
  end)
end)
