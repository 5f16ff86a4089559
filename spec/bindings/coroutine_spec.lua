-- User coroutines: waits pass through, everything else is as in stock Lua.
-- covers: bindings/coroutine.c
local qn = require "qn"

describe("a user coroutine", function()
  it("is a generator whose body waits", function()
    local function numbers(n)
      return coroutine.wrap(function()
        for i = 1, n do
          qn.sleep(0.0005)
          coroutine.yield(i, i * i)
          qn.yield()
        end
      end)
    end
    local list = {}
    for i, square in numbers(5) do list[#list + 1] = i .. ":" .. square end
    assert.same({ "1:1", "2:4", "3:9", "4:16", "5:25" }, list)
  end)

  it("waits at any depth", function()
    local function nest(n)
      if n == 0 then
        qn.sleep(0.001)
        return "bottom"
      end
      return coroutine.wrap(nest)(n - 1)
    end
    assert.equal("bottom", nest(50))
  end)

  it("passes values both ways, nils and many of them", function()
    local co = coroutine.create(function(...)
      local n = select("#", ...)
      qn.yield()
      local back = table.pack(coroutine.yield(n, nil, nil))
      qn.yield()
      return back.n, nil
    end)
    assert.same({ n = 4, true, 3, nil, nil }, table.pack(coroutine.resume(co, nil, nil, nil)))
    assert.same({ n = 3, true, 2, nil }, table.pack(coroutine.resume(co, nil, nil)))
    local many = {}
    for i = 1, 4000 do many[i] = i end
    local echo = coroutine.create(function(...) qn.yield() return ... end)
    local result = table.pack(coroutine.resume(echo, table.unpack(many)))
    assert.equal(4001, result.n)
    assert.equal(4000, result[4001])
  end)

  it("throws errors of any type through resume and wrap", function()
    local mark = {}
    for _, value in ipairs { mark, 5, true, qn.error("limit", "x") } do
      local co = coroutine.create(function() qn.yield() error(value) end)
      local ok, err = coroutine.resume(co)
      assert.is_false(ok)
      assert.is_true(rawequal(value, err))
      assert.equal("dead", coroutine.status(co))
      local _, thrown = pcall(coroutine.wrap(function() qn.yield() error(value) end))
      assert.is_true(rawequal(value, thrown))
    end
    local _, message = pcall(coroutine.wrap(function() qn.yield() error("text", 0) end))
    assert.matches("text$", message)
    assert.same({ false, "cannot resume dead coroutine" }, {
      coroutine.resume((function()
        local co = coroutine.create(function() end)
        coroutine.resume(co)
        return co
      end)()),
    })
  end)

  it("through wrap closes its variables when it fails", function()
    local closed = false
    pcall(coroutine.wrap(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      qn.yield()
      error("x")
    end))
    assert.is_true(closed)
  end)

  it("through wrap waits in <close> when it fails or is cancelled", function()
    local function on_close(f) return setmetatable({}, { __close = f }) end
    local log = {}
    local _, err = pcall(coroutine.wrap(function()
      local _ <close> = on_close(function() qn.yield() log[#log + 1] = "failed" end)
      error({ "kept" })
    end))
    assert.same({ "kept" }, err)
    local mutex, condition = qn.mutex(), qn.condition()
    local task = qn.spawn(coroutine.wrap(function()
      local _ <close> = on_close(function() qn.shield(qn.yield) log[#log + 1] = "cancelled" end)
      local _ <close> = mutex:lock()
      condition:wait(mutex) -- locks again before the cancellation goes on
    end))
    qn.yield()
    task:cancel()
    assert.is_true(qn.is_cancelled(select(2, task:join())))
    assert.is_false(mutex:is_locked())
    assert.same({ "failed", "cancelled" }, log)
  end)

  it("through wrap may be nested as deep as with the stock library, or nearly so", function()
    local function descend(levels)
      if levels == 0 then
        return "the bottom"
      end
      return coroutine.wrap(descend)(levels - 1)
    end
    assert.equal("the bottom", descend(160))
    local ok, err = pcall(descend, 200)
    assert.is_false(ok)
    assert.matches("C stack overflow", err)
  end)

  it("tells its status: normal while it waits, suspended after a yield", function()
    local co
    co = coroutine.create(function()
      assert.equal("running", coroutine.status(co))
      qn.sleep(0.002)
      coroutine.yield()
    end)
    assert.equal("suspended", coroutine.status(co))
    local task = qn.spawn(function() coroutine.resume(co) end)
    qn.yield()
    assert.equal("normal", coroutine.status(co))
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    assert.matches("cannot resume non%-suspended coroutine", err)
    task:join()
    assert.equal("suspended", coroutine.status(co))
    coroutine.resume(co)
    assert.equal("dead", coroutine.status(co))
  end)

  it("is yieldable, a task itself is not", function()
    assert.is_false(coroutine.isyieldable())
    coroutine.wrap(function()
      assert.is_true(coroutine.isyieldable())
      qn.yield()
      assert.is_true(coroutine.isyieldable())
    end)()
    assert.error_matches(function() coroutine.yield() end, "attempt to yield from outside a coroutine")
    local task = qn.spawn(coroutine.yield)
    local ok, err = task:join()
    assert.is_false(ok)
    assert.matches("outside a coroutine", err)
  end)

  it("knows itself", function()
    local co
    co = coroutine.create(function()
      qn.yield()
      local running, is_main = coroutine.running()
      return rawequal(running, co), is_main
    end)
    assert.same({ true, true, false }, { coroutine.resume(co) })
    local _, is_main = coroutine.running()
    assert.is_false(is_main)
  end)

  it("is passed between tasks, and resumed by another one", function()
    local step = coroutine.wrap(function()
      for i = 1, 6 do
        qn.yield()
        coroutine.yield(i)
      end
    end)
    local sum = 0
    for _ = 1, 6 do
      local _, i = qn.spawn(function() return step() end):join()
      sum = sum + i
      collectgarbage()
    end
    assert.equal(21, sum)
  end)

  it("that waits is refused to a second task", function()
    local event = qn.event()
    local co = coroutine.create(function() event:wait() return "end" end)
    local first = qn.spawn(coroutine.resume, co)
    qn.yield()
    local second = qn.spawn(coroutine.resume, co)
    assert.same({ true, false, "cannot resume non-suspended coroutine" }, { second:join() })
    event:set()
    assert.same({ true, true, "end" }, { first:join() })
  end)

  it("waits beneath pcall, metamethods, iterators, <close>, dofile and load", function()
    local t = setmetatable({}, {
      __index = function(_, k) qn.yield() return k end,
      __add = function() qn.yield() return "sum" end,
      __call = function() qn.yield() return "called" end,
      __eq = function() qn.yield() return true end,
      __lt = function() qn.yield() return true end,
      __concat = function() qn.yield() return "joined" end,
      __len = function() qn.yield() return 7 end,
      __newindex = function(_, k, v) qn.yield() rawset(_, k, v) end,
      __pairs = function() qn.yield() return next, { x = 1 } end,
      __close = function() qn.yield() end,
      __unm = function() qn.yield() return "negative" end,
    })
    local function all()
      do
        local _ <close> = t
      end
      t.field = "set"
      local pairs_key
      for k in pairs(t) do pairs_key = k end
      return t.key, t + 1, t(), t == setmetatable({}, getmetatable(t)), t < t, t .. "x", #t, t.field, pairs_key, -t
    end
    local expected = { "key", "sum", "called", true, true, "joined", 7, "set", "x", "negative" }
    assert.same(expected, { all() })
    t = setmetatable({}, getmetatable(t))
    assert.same(expected, { coroutine.wrap(all)() })
    assert.same({ true, "x" }, { pcall(function() qn.yield() return "x" end) })
    assert.same({ true, "x" }, { xpcall(function() qn.yield() return "x" end, print) })
    assert.same({ false, "handled y" }, { xpcall(function() qn.yield() error("y", 0) end, function(e)
      return "handled " .. e
    end) })
    assert.equal("loaded", load("require('qn').yield() return 'loaded'")())
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write("require('qn').yield() return 'from file'")
    file:close()
    assert.equal("from file", dofile(path))
    os.remove(path)
  end)

  it("survives collection while it waits", function()
    local result
    local task = qn.spawn(function()
      result = coroutine.wrap(function()
        return coroutine.wrap(function()
          qn.sleep(0.003)
          return { "kept" }
        end)()
      end)()
    end)
    while task:status() ~= "done" do
      collectgarbage()
      qn.sleep(0.0005)
    end
    assert.same({ "kept" }, result)
  end)
end)

describe("coroutine.close", function()
  it("of a suspended one runs its <close>", function()
    local closed
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.is_true(coroutine.close(co))
    assert.is_true(closed)
    assert.equal("dead", coroutine.status(co))
    assert.is_true(coroutine.close(co))
  end)

  it("tells the error of a <close>, and of a dead one", function()
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() error("closing", 0) end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.same({ false, "closing" }, { coroutine.close(co) })
    co = coroutine.create(function() error("dead", 0) end)
    coroutine.resume(co)
    assert.same({ false, "dead" }, { coroutine.close(co) })
  end)

  it("is what a wait in the <close> is told about, also beneath a protected call of its own", function()
    local errors = {}
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function()
        errors[1] = select(2, pcall(qn.yield))
        errors[2] = select(2, pcall(qn.shield, qn.yield))
      end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    coroutine.close(co)
    for i = 1, 2 do
      assert.equal("not_yieldable", errors[i].kind)
      assert.matches("beneath coroutine.close", errors[i].message)
    end
  end)

  it("of one that waits ends the wait, and its resumer gets an error", function()
    local channel = qn.channel()
    local closed
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      channel:recv()
    end)
    local task = qn.spawn(function() return coroutine.resume(co) end)
    qn.yield()
    assert.is_true(coroutine.close(co))
    assert.is_true(closed)
    collectgarbage()
    assert.is_string(task:traceback())
    local joined, ok, err = task:join()
    assert.is_true(joined)
    assert.is_false(ok)
    assert.matches("closed while it waited", err)
    assert.is_true(channel:try_send("still there") == false) -- nobody waits any more
  end)

  it("of an outer one closes what it had resumed, innermost first", function()
    local log = {}
    local function closing(name)
      return setmetatable({}, { __close = function() log[#log + 1] = name end })
    end
    local inner
    local outer = coroutine.create(function()
      local _ <close> = closing("outer")
      inner = coroutine.create(function()
        local _ <close> = closing("inner")
        qn.sleep(30)
      end)
      coroutine.resume(inner)
    end)
    local task = qn.spawn(coroutine.resume, outer)
    qn.yield()
    assert.is_true(coroutine.close(outer))
    assert.same({ "inner", "outer" }, log)
    assert.equal("dead", coroutine.status(inner))
    local ok, err = coroutine.resume(inner)
    assert.is_false(ok)
    assert.matches("dead", err)
    task:join()
  end)

  it("does not lose what a waiter was given in the same turn", function()
    local channel, semaphore = qn.channel(), qn.semaphore(1)
    local guard = semaphore:acquire()
    local receiver = coroutine.create(function() channel:recv() end)
    local taker = coroutine.create(function() semaphore:take() end)
    local first, second = qn.spawn(coroutine.resume, receiver), qn.spawn(coroutine.resume, taker)
    qn.yield()
    assert.is_true(channel:try_send("value"))
    guard:release()
    coroutine.close(receiver)
    coroutine.close(taker)
    first:join()
    second:join()
    assert.equal(1, semaphore:available())
    assert.same({ true, "value" }, { channel:try_recv() })
  end)

  it("refuses running and normal ones", function()
    assert.error_matches(function()
      coroutine.wrap(function() coroutine.close(coroutine.running()) end)()
    end, "cannot close a running coroutine")
    local outer
    outer = coroutine.create(function()
      coroutine.wrap(function() coroutine.close(outer) end)()
    end)
    local ok, err = coroutine.resume(outer)
    assert.is_false(ok)
    assert.matches("cannot close a normal coroutine", err)
  end)
end)

describe("the thread of a task", function()
  it("cannot be resumed or closed by hand", function()
    local thread
    local task = qn.spawn(function()
      thread = coroutine.running()
      qn.sleep(0.003)
      return "end"
    end)
    qn.yield()
    assert.equal("normal", coroutine.status(thread))
    assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(thread) })
    assert.error_matches(function() coroutine.close(thread) end, "cannot close a normal coroutine")
    assert.is_false(coroutine.isyieldable(thread))
    assert.same({ true, "end" }, { task:join() })
    assert.equal("dead", coroutine.status(thread))
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(thread) })
    assert.is_true(coroutine.close(thread))
    assert.same({ true, "end" }, { task:join() })
    task = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.equal("dead", coroutine.status(thread))
  end)
end)

describe("argument checks", function()
  it("are those of stock Lua", function()
    assert.error_matches(function() coroutine.create(5) end, "function expected")
    assert.error_matches(function() coroutine.wrap() end, "function expected")
    assert.error_matches(function() coroutine.resume(5) end, "coroutine expected")
    assert.error_matches(function() coroutine.status("x") end, "coroutine expected")
    assert.error_matches(function() coroutine.close({}) end, "coroutine expected")
  end)

  it("deep recursion of coroutines is an error, not a crash", function()
    local function nest() return coroutine.wrap(nest)() end
    local ok, err = pcall(nest)
    assert.is_false(ok)
    assert.matches("C stack overflow", tostring(err))
  end)
end)
