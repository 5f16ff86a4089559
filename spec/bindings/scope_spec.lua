-- Deadlines and shields.
-- covers: bindings/scope.c bindings/await.c
local qn = require "qn"

local function cancelled(task)
  local ok, err = task:join()
  assert.is_false(ok)
  assert.is_true(qn.is_cancelled(err))
  assert.equal("cancelled", task:status())
  return err
end

describe("qn.timeout", function()
  it("gives the results when there is time", function()
    assert.same({ n = 3, 1, nil, 3 }, table.pack(qn.timeout(5, function(...)
      qn.sleep(0.001)
      return ...
    end, 1, nil, 3)))
    assert.equal(0, select("#", qn.timeout(false, function() end)))
  end)

  it("gives nil and an error that names what was waited for", function()
    local channel = qn.channel()
    local value, err = qn.timeout(0.002, channel.recv, channel)
    assert.is_nil(value)
    assert.is_true(qn.is_error(err, "timeout"))
    assert.equal("recv", err.phase)
  end)

  it("of zero ends the first wait, but not what does not wait", function()
    assert.equal("value", qn.timeout(0, function() return "value" end))
    local value, err = qn.timeout(0, function() qn.sleep(30) end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
  end)

  it("throws the errors of its function unchanged", function()
    local mark = {}
    local ok, err = pcall(qn.timeout, 5, function() error(mark) end)
    assert.is_false(ok)
    assert.is_true(rawequal(mark, err))
  end)

  it("refuses bad durations and functions", function()
    for _, bad in ipairs { -1, 0 / 0, math.huge, "x", true, {} } do
      assert.error(function() qn.timeout(bad, print) end)
      assert.error(function() qn.deadline(bad) end)
      assert.error(function() qn.sleep(bad) end)
    end
    assert.error_matches(function() qn.timeout(nil, print) end, "number of seconds or false expected")
    assert.error_matches(function() qn.deadline() end, "number of seconds or false expected")
    assert.error_matches(function() qn.timeout(1) end, "bad argument #2 to 'timeout' %(function expected, got nil")
  end)

  it("nested: the smaller outer limit passes through the inner one", function()
    local inner_result
    local value, err = qn.timeout(0.003, function()
      inner_result = table.pack(qn.timeout(30, qn.sleep, 30))
      return "inner came back"
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.is_nil(inner_result)
  end)

  it("nested: the smaller inner limit is the inner call's own", function()
    local value = qn.timeout(30, function()
      local inner, err = qn.timeout(0.002, qn.sleep, 30)
      assert.is_nil(inner)
      assert.equal("timeout", err.kind)
      qn.sleep(0.001) -- the outer one is not touched
      return "outer goes on"
    end)
    assert.equal("outer goes on", value)
  end)

  it("keeps throwing the same error once it has expired", function()
    local first, second
    local value, err = qn.timeout(0.001, function()
      first = select(2, pcall(qn.sleep, 30))
      second = select(2, pcall(qn.yield))
      qn.yield()
    end)
    assert.is_nil(value)
    assert.is_true(rawequal(first, second) and rawequal(first, err))
  end)

  it("ends only its own waits: the task goes on", function()
    local value, err = qn.timeout(0.001, qn.sleep, 30)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    qn.sleep(0.001) -- throws when the limit holds here
    qn.yield()
  end)

  it("covers an iterator, a metamethod, pcall and a coroutine beneath it", function()
    local proxy = setmetatable({}, { __index = function() qn.sleep(30) end })
    for _, f in ipairs {
      function() return proxy.x end,
      function() for _ in function() qn.sleep(30) end do break end end, -- luacheck: ignore 512
      function() coroutine.wrap(function() qn.sleep(30) end)() end,
      function() local co = coroutine.create(function() qn.sleep(30) end)
        local ok, err = coroutine.resume(co)
        assert.is_false(ok)
        error(err, 0) end,
    } do
      local value, err = qn.timeout(0.001, f)
      assert.is_nil(value)
      assert.equal("timeout", err.kind)
    end
  end)

  it("of the own wait and of the scope: the own one gives nil, err, the scope throws", function()
    local channel = qn.channel()
    local d <close> = qn.deadline(30)
    local value, err = channel:recv(0.001)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.is_true(d:remaining() > 20)
    local e <close> = qn.deadline(0.001)
    assert.is_true(e:remaining() < d:remaining())
    local ok, thrown = pcall(channel.recv, channel, 30)
    assert.is_false(ok)
    assert.equal("timeout", thrown.kind)
  end)
end)

describe("qn.deadline", function()
  it("ends with its block", function()
    do
      local _ <close> = qn.deadline(0.001)
    end
    qn.sleep(0.003)
  end)

  it("can be closed early, also twice, also by another task", function()
    local d = qn.deadline(0.001)
    d:close()
    d:close()
    qn.sleep(0.003)
    local e = qn.deadline(0.01)
    local closer = qn.spawn(function() e:close() end)
    qn.shield(closer.join, closer) -- however late it runs
    qn.sleep(0.02)
  end)

  it("false never expires", function()
    local d <close> = qn.deadline(false)
    assert.equal(math.huge, d:remaining())
    qn.sleep(0.001)
  end)

  it("without <close> is over when it is collected", function()
    qn.deadline(0.005)
    collectgarbage()
    collectgarbage()
    qn.sleep(0.01)
  end)

  it("opened by a coroutine that was dropped holds nobody", function()
    local wait = coroutine.wrap(function()
      local _ <close> = qn.deadline(0.001)
      coroutine.yield(1)
      qn.sleep(1)
    end)
    assert.equal(1, wait())
    qn.sleep(0.003) -- the deadline belongs to the inner coroutine
    wait = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    qn.sleep(0.001)
  end)

  it("opened by a coroutine that ended without closing it is over", function()
    coroutine.wrap(function() qn.deadline(0.001) end)()
    qn.sleep(0.003)
    local co = coroutine.create(function() qn.deadline(0.001) error("dead") end)
    coroutine.resume(co)
    qn.sleep(0.003)
  end)

  it("moves with its coroutine into another task", function()
    local step = coroutine.wrap(function()
      local _ <close> = qn.deadline(0.01)
      coroutine.yield("opened")
      local ok, err = pcall(qn.sleep, 30)
      return ok, err
    end)
    local first = qn.spawn(step)
    assert.same({ true, "opened" }, { first:join() })
    first = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    local joined, ok, err = qn.spawn(step):join()
    assert.is_true(joined)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
  end)

  it("out of a task is refused", function()
    local step = coroutine.wrap(function() return pcall(qn.deadline, "x") end)
    assert.is_false(step())
  end)
end)

describe("qn.shield", function()
  it("lets cleanup wait in a cancelled task", function()
    local log = {}
    local task = qn.spawn(function()
      local ok = pcall(qn.sleep, 30)
      log[1] = ok
      log[2] = qn.shield(function(a)
        qn.sleep(0.001)
        return a
      end, "cleaned")
      qn.sleep(0)
      log[3] = "not reached"
    end)
    qn.yield()
    task:cancel()
    cancelled(task)
    assert.same({ false, "cleaned" }, log)
  end)

  it("that is under way when the cancellation comes goes on until it is over", function()
    local done = false
    local task = qn.spawn(function()
      qn.shield(function()
        qn.sleep(0.005)
        done = true
      end)
      qn.sleep(30)
    end)
    qn.yield()
    task:cancel()
    cancelled(task)
    assert.is_true(done)
  end)

  it("ends after its grace", function()
    local task = qn.spawn(function()
      return qn.shield({ grace = 0.003 }, qn.sleep, 30)
    end)
    qn.yield()
    task:cancel("grace over")
    assert.equal("grace over", cancelled(task).reason)
  end)

  it("with grace = false is not ended", function()
    local task = qn.spawn(function()
      return qn.shield({ grace = false }, function() qn.sleep(0.005) return "done" end)
    end)
    qn.yield()
    task:cancel()
    assert.same({ true, "done" }, { task:join() })
  end)

  it("holds outer deadlines back, and not inner ones", function()
    local value, err = qn.timeout(0.001, function()
      local inner, inner_err = qn.shield(qn.timeout, 0.004, qn.sleep, 30)
      assert.is_nil(inner)
      assert.equal("timeout", inner_err.kind)
      qn.shield(qn.sleep, 0.001)
      qn.sleep(0)
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
  end)

  it("passes errors and results through, and refuses bad arguments", function()
    local mark = {}
    local _, err = pcall(qn.shield, function() error(mark) end)
    assert.is_true(rawequal(mark, err))
    assert.equal(3, select("#", qn.shield(function() return nil, nil, nil end)))
    assert.error_matches(function() qn.shield({ grase = 1 }, print) end, "unknown option 'grase' %(did you mean 'grace'")
    assert.error_matches(function() qn.shield({ grace = -1 }, print) end, "grace")
    assert.error_matches(function() qn.shield({}) end, "bad argument #2 to 'shield'")
  end)
end)
