-- covers: lua/qn/task.lua
local qn = require "qn"
local leaks = require "spec.support.leaks"
local limits = require "spec.support.limits"

describe("qn.map", function()
  it("keeps indexes, and calls with value and index", function()
    local results, errors = qn.map({ "a", "b", "c" }, function(value, i)
      qn.sleep((4 - i) / 2000)
      return value .. i
    end)
    assert.same({ "a1", "b2", "c3" }, results)
    assert.same({}, errors)
    assert.same({ {}, {} }, { qn.map({}, print) })
  end)

  it("runs at most `limit` at a time, 8 without", function()
    for limit, expected in pairs { [1] = 1, [3] = 3, [false] = 8, [100] = 30 } do
      local inside, most = 0, 0
      local list = {}
      for i = 1, 30 do list[i] = i end
      qn.map(list, function()
        inside = inside + 1
        most = math.max(most, inside)
        qn.yield()
        qn.yield()
        inside = inside - 1
      end, limit and { limit = limit } or nil)
      assert.equal(expected, most)
    end
  end)

  it("keeps errors by index, thrown or returned", function()
    local mark = {}
    local results, errors = qn.map({ 1, 2, 3, 4 }, function(i)
      if i == 2 then error(mark) end
      if i == 3 then return nil, "returned" end
      return i
    end)
    assert.same({ [1] = 1, [4] = 4 }, results)
    assert.same({ [2] = mark, [3] = "returned" }, errors)
  end)

  it("with stop_on_error throws the first and cancels the rest", function()
    local ended = 0
    local ok, err = pcall(qn.map, { 1, 2, 3 }, function(i)
      if i == 2 then error("second", 0) end
      qn.sleep(30)
      ended = ended + 1
    end, { stop_on_error = true })
    assert.is_false(ok)
    assert.equal("second", err)
    assert.equal(0, ended)
  end)

  it("with a timeout keeps what has ended", function()
    local results, errors
    limits.growing(0.005, function(limit) -- which must suffice for sleeps of no length
      results, errors = qn.map({ 0, 30, 0 }, function(seconds)
        qn.sleep(seconds)
        return "slept"
      end, { timeout = limit })
      return results[1] and results[3]
    end)
    assert.same({ [1] = "slept", [3] = "slept" }, results)
    assert.is_true(qn.is_error(errors[2], "timeout"))
  end)

  it("counts a cancellation thrown by the function as its error", function()
    local gone = qn.spawn(qn.sleep, 30)
    gone:cancel()
    local results, errors = qn.map({ 1, 2 }, function(i)
      if i == 1 then
        local ok, err = gone:join()
        if not ok then error(err, 0) end
      end
      return "fine"
    end)
    assert.same({ [2] = "fine" }, results)
    assert.is_true(qn.is_cancelled(errors[1]))
  end)

  it("refuses bad arguments", function()
    assert.error_matches(function() qn.map(5, print) end, "bad argument #1 to 'map'")
    assert.error_matches(function() qn.map({}, 5) end, "bad argument #2 to 'map'")
    assert.error_matches(function() qn.map({}, print, { limits = 1 }) end, "unknown option 'limits'")
    assert.error_matches(function() qn.map({}, print, { limit = 0 }) end, "limit")
  end)
end)

describe("qn.each", function()
  it("gives results in order of completion", function()
    local order = {}
    for i, ok, value in qn.each({ 6, 1, 3 }, function(ms)
      qn.sleep(ms / 1000)
      return ms * 10
    end) do
      order[#order + 1] = { i, ok, value }
    end
    assert.same({ { 2, true, 10 }, { 3, true, 30 }, { 1, true, 60 } }, order)
    for _ in qn.each({}, print) do error("not reached") end
  end)

  it("gives errors as values", function()
    local seen = {}
    for i, ok, value in qn.each({ 1, 2, 3 }, function(n)
      if n == 1 then error("thrown", 0) end
      if n == 2 then return nil, "returned" end
      return "fine"
    end) do
      seen[i] = { ok, value }
    end
    assert.same({ { false, "thrown" }, { false, "returned" }, { true, "fine" } }, seen)
  end)

  it("leaving the loop cancels the rest", function()
    local finished = 0
    for _ in qn.each({ 0, 30, 30 }, function(seconds) -- luacheck: ignore 512
      qn.sleep(seconds)
      finished = finished + 1
    end) do
      break
    end
    qn.yield()
    assert.equal(1, finished)
  end)

  it("with stop_on_error the loop throws it", function()
    local ok, err = pcall(function()
      for _ in qn.each({ 1, 2 }, function(n)
        if n == 1 then error("stop", 0) end
        qn.sleep(30)
      end, { stop_on_error = true }) do end
    end)
    assert.is_false(ok)
    assert.equal("stop", err)
  end)

  it("with a timeout gives timeout errors for what has not ended", function()
    local seen
    limits.growing(0.005, function(limit)
      seen = {}
      for i, ok, value in qn.each({ 0, 30 }, qn.sleep, { timeout = limit }) do
        seen[i] = ok or value.kind
      end
      return seen[1] == true
    end)
    assert.same({ true, "timeout" }, seen)
  end)

  it("cancelled from outside ends", function()
    local task = qn.spawn(function()
      for _ in qn.each({ 30, 30 }, qn.sleep) do end
    end)
    qn.yield()
    qn.yield()
    task:cancel()
    assert.is_true(qn.is_cancelled(select(2, task:join())))
  end)
end)

describe("an error that is nil", function()
  it("is a failure in groups and maps, too", function()
    local nothing = function() error() end
    local ok, err = pcall(qn.group, function(g) g:spawn(nothing) end)
    assert.is_false(ok)
    assert.matches("nil", err)
    local _, errors = qn.group({ on_error = "collect" }, function(g)
      g:spawn(nothing)
      g:spawn(error, "second", 0)
    end)
    assert.equal(2, #errors)
    assert.equal("second", errors[2])
    _, errors = qn.map({ 1, 2 }, function(i) return i == 1 and i or nothing() end)
    assert.is_nil(errors[1])
    assert.matches("nil", errors[2])
  end)
end)

describe("qn.race", function()
  it("gives the index and the results of the first", function()
    local loser_closed = false
    local result = table.pack(qn.race {
      function()
        local _ <close> = setmetatable({}, { __close = function()
          qn.shield(qn.sleep, 0.001)
          loser_closed = true
        end })
        qn.sleep(30)
      end,
      function() qn.sleep(0.001) return nil, 2, nil end,
    })
    assert.same({ n = 4, 2, nil, 2, nil }, result)
    assert.is_true(loser_closed) -- awaited
  end)

  it("throws the error of the first", function()
    local ok, err = pcall(qn.race, { function() qn.sleep(30) end, function() error("first", 0) end })
    assert.is_false(ok)
    assert.equal("first", err)
  end)

  it("is won by who has ended: with the children", function()
    local child
    local index = qn.race {
      function()
        child = qn.spawn(function() qn.yield() return "ended" end)
      end,
      function() qn.sleep(30) end,
    }
    assert.equal(1, index)
    assert.same({ true, "ended" }, { child:join() })
    index = qn.race {
      function()
        child = qn.spawn(qn.sleep, 30)
        return "too late"
      end,
      function() qn.yield() end,
    }
    assert.equal(2, index)
    assert.equal("cancelled", child:status())
  end)

  it("cancels the others in the moment it is won", function()
    local begun = false
    assert.equal(1, (qn.race { function() end, function() begun = true end }))
    assert.is_false(begun)
  end)

  it("loses nothing that the losers were about to get", function()
    local function race_of(get)
      return qn.race { function() return get(1) end, function() return get(2) end }
    end
    local channels = { qn.channel(), qn.channel() }
    local function recv(i) return channels[i]:recv() end
    local senders = {
      qn.spawn(channels[1].send, channels[1], "a"),
      qn.spawn(channels[2].send, channels[2], "b"),
    }
    qn.yield()
    assert.equal("a", select(2, race_of(recv))) -- both were there before
    assert.same({ true, "b" }, { channels[2]:try_recv() })
    senders[1]:join()
    senders[2]:join()
    qn.spawn(function()
      qn.yield()
      channels[1]:try_send("a")
      channels[2]:try_send("b") -- both wait, and both are woken
    end)
    assert.equal("a", select(2, race_of(recv)))
    assert.same({ true, "b" }, { channels[2]:try_recv() })

    local semaphores = { qn.semaphore(0), qn.semaphore(0) }
    qn.spawn(function()
      qn.yield()
      semaphores[1]:release()
      semaphores[2]:release()
    end)
    race_of(function(i) return semaphores[i]:take() end)
    assert.equal(0, semaphores[1]:available())
    assert.equal(1, semaphores[2]:available())

    local near, far = {}, {}
    for i = 1, 2 do
      near[i], far[i] = qn.pair()
    end
    qn.spawn(function()
      qn.yield()
      far[1]:write("a")
      far[2]:write("b")
    end)
    local index, data = race_of(function(i) return near[i]:recv() end)
    assert.equal(({ "a", "b" })[index], data)
    assert.equal(({ "b", "a" })[index], near[3 - index]:recv())
    for i = 1, 2 do
      near[i]:close()
      far[i]:close()
    end
  end)

  it("leaves a connection to the next accept of a loser", function()
    local servers, peers = {}, {}
    for i = 1, 2 do
      servers[i] = assert(qn.tcp.listen("127.0.0.1", 0))
    end
    local racing = qn.spawn(qn.race, {
      function() return servers[1]:accept() end,
      function() return servers[2]:accept() end,
    })
    qn.yield()
    qn.yield()
    for i = 1, 2 do
      peers[i] = qn.spawn(qn.tcp.connect, "127.0.0.1", servers[i]:port())
    end
    local _, index, first = assert(racing:join())
    local second = assert(servers[3 - index]:accept(10))
    for i = 1, 2 do
      select(2, peers[i]:join()):close()
      servers[i]:close()
    end
    first:close()
    second:close()
  end)

  it("won by a cancellation throws it", function()
    local gone = qn.spawn(qn.sleep, 30)
    gone:cancel()
    local ok, err = pcall(qn.race, { function()
      local _, e = gone:join()
      error(e, 0)
    end })
    assert.is_false(ok)
    assert.is_true(qn.is_cancelled(err))
  end)

  it("cancelled from outside cancels all", function()
    local ended = 0
    local function runner()
      local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
      qn.sleep(30)
    end
    local task = qn.spawn(qn.race, { runner, runner })
    qn.yield()
    qn.yield()
    task:cancel()
    assert.is_true(qn.is_cancelled(select(2, task:join())))
    assert.equal(2, ended)
  end)

  it("refuses bad lists", function()
    for _, bad in ipairs { 5, {}, { 1 }, { print, "x" } } do
      assert.error_matches(function() qn.race(bad) end, "bad argument #1 to 'race'")
    end
  end)
end)

describe("qn.current", function()
  it("is the running task", function()
    local inner
    local task = qn.spawn(function()
      inner = coroutine.wrap(function() return qn.current() end)()
    end)
    task:join()
    assert.is_true(rawequal(task, inner))
    assert.same({}, leaks.take_unhandled())
  end)
end)
