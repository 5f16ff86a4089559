-- The rules of the API, section 1: one spec each, over several parts of the library.
local qn = require "qn"
local leaks = require "spec.support.leaks"
local pair = require "spec.support.pair"

local function closed_port()
  local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
  return server:port()
end

describe("rule", function()
  it("1 expected failures return nil, err; misuse throws; cancellation throws", function()
    -- expected
    for name, f in pairs {
      refused = function() return qn.tcp.connect("127.0.0.1", closed_port()) end,
      timeout = function() return qn.channel():recv(0) end,
      ["timeout of a scope"] = function() return qn.timeout(0, qn.sleep, 1) end,
      closed = function()
        local channel = qn.channel()
        channel:close()
        return channel:send(1)
      end,
      ["no file"] = function() return qn.file.open("/no/such/file") end,
    } do
      local result = table.pack(f())
      assert.equal(2, result.n, name)
      assert.is_nil(result[1], name)
      assert.is_true(qn.is_error(result[2]), name)
    end
    -- misuse
    for name, f in pairs {
      ["bad argument"] = function() qn.tcp.connect("127.0.0.1", "port") end,
      ["unknown option"] = function() qn.tcp.connect("127.0.0.1", 1, { bogus = 1 }) end,
      ["wrong state"] = function() qn.mutex():unlock() end,
      ["bad duration"] = function() qn.sleep(-1) end,
    } do
      assert.is_false((pcall(f)), name)
    end
    -- cancellation
    local task = qn.spawn(function() return qn.channel():recv() end)
    qn.yield()
    task:cancel()
    local ok, err = task:join()
    assert.is_false(ok)
    assert.is_true(qn.is_cancelled(err))
    assert.is_false(qn.is_error(err))
  end)

  pair.each(it, "2 the end of a stream is a lone nil; what is cut short is kind eof with the rest", function(a, b)
    a:write("abc")
    a:shutdown("w")
    local value, err = b:read_exactly(5)
    assert.is_nil(value)
    assert.equal("eof", err.kind)
    assert.equal("abc", err.partial)
    for _, f in ipairs {
      function() return b:read(1) end, function() return b:read("l") end, function() return b:recv() end,
      function() return b:read_until("x") end, function() return b:unpack("B") end,
    } do
      local result = table.pack(f())
      assert.same({ n = 1 }, result)
    end
    assert.equal("", b:read("a"))
    for _ in b:lines() do error("not reached") end
  end)

  it("3 options are one table, last; unknown keys throw, named with the nearest known one", function()
    local a, b = qn.pair()
    for name, f in pairs {
      timout = function() b:read(1, { timout = 1 }) end,
      limt = function() qn.map({}, print, { limt = 1 }) end,
      backlg = function() qn.tcp.listen("127.0.0.1", 0, { backlg = 1 }) end,
      nodely = function() qn.tcp.connect("127.0.0.1", 1, { nodely = true }) end,
      gracee = function() qn.shield({ gracee = 1 }, print) end,
      finsh = function() qn.copy(a, b, { finsh = true }) end,
    } do
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.matches("'" .. name .. "' %(did you mean '%w+'%?%)", tostring(err))
    end
    a:close()
    b:close()
  end)

  it("4 times are seconds, sizes bytes, ports integers", function()
    local start = qn.now()
    qn.sleep(0.02)
    local slept = qn.now() - start
    assert.is_true(slept >= 0.019 and slept < 10)
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    assert.equal("integer", math.type(server:port()))
    local a, b = qn.pair()
    a:write(("x"):rep(10))
    assert.equal(10, #b:peek(10))
    assert.equal(10, b:bytes_available())
    a:close()
    b:close()
  end)

  it("5 handles close idempotently, work with <close>, and are counted when they leak", function()
    local before = qn.stats().leaked
    for _, make in ipairs {
      function() return (assert(qn.tcp.listen("127.0.0.1", 0))) end,
      function() return (qn.tcp.socket()) end,
      function() return (assert(qn.signal("usr2"))) end,
    } do
      local handle = make()
      do
        local _ <close> = handle
      end
      handle:close()
      handle:close()
    end
    assert.equal(before, qn.stats().leaked)
    do
      assert(qn.tcp.listen("127.0.0.1", 0))
    end
    io.stderr:write("(one leak is intended here)\n")
    collectgarbage()
    collectgarbage()
    assert.equal(before + 1, qn.stats().leaked)
    leaks.expect { leaked = 1 }
  end)

  it("6 scopes cover everything beneath, the smallest wins, err.phase says what was waited for", function()
    local a, b = qn.pair()
    local inner
    local value, err = qn.timeout(0.003, function()
      inner = table.pack(pcall(qn.timeout, 30, function() return b:read("l", { timeout = 20 }) end))
      b:read(1)
    end)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.equal("read", err.phase)
    assert.is_false(inner[1])
    assert.is_true(rawequal(err, inner[2])) -- thrown in the inner one, nil in its own
    value, err = b:read(1, { timeout = 0.001 })
    assert.is_nil(value)
    assert.equal("read", err.phase)
    a:close()
    b:close()
  end)

  pair.each(it, "7 a second reader gets kind busy, writers queue in order", function(a, b)
    local first = qn.spawn(function() return b:read("l") end)
    qn.yield()
    local value, err = b:read(1)
    assert.is_nil(value)
    assert.equal("busy", err.kind)
    qn.group(function(g)
      for i = 1, 9 do
        g:spawn(function() assert(a:write(i, i == 9 and "\n" or "")) end)
      end
    end)
    assert.same({ true, "123456789" }, { first:join() })
  end)

  it("8 iterators throw on error", function()
    local a, b = qn.pair()
    b:set_timeouts { read = 0.001 }
    for _, iterate in ipairs { b.lines, b.chunks } do
      local ok, err = pcall(function() for _ in iterate(b) do end end)
      assert.is_false(ok)
      assert.equal("timeout", err.kind)
    end
    a:close()
    b:close()
  end)

  it("9 events: unknown names throw; handlers are tasks, in order, one at a time", pair.body("tcp", function(a, b)
    assert.error_matches(function() a:on("conected", print) end, "unknown event 'conected' %(did you mean 'connected'")
    local log, handler_task = {}, nil
    local here = qn.current()
    b:on("ready_read", function()
      handler_task = qn.current()
      log[#log + 1] = "begin"
      qn.sleep(0.001)
      log[#log + 1] = "end"
    end)
    b:on("read_channel_finished", function() log[#log + 1] = "finished" end)
    a:write("x")
    assert.same({}, log) -- never inside the call
    a:close()
    assert(qn.timeout(5, function()
      while log[#log] ~= "finished" do qn.yield() end
      return true
    end))
    assert.not_equal(here, handler_task)
    assert.equal("begin", log[1])
    assert.equal("end", log[2])
    b:off()
  end))

  it("10 values have read-only fields, handles have methods only", function()
    local err = qn.error("io", "x")
    assert.error(function() err.kind = "eof" end)
    local a, b = qn.pair()
    for _, handle in ipairs { a, qn.spawn(function() end) } do
      assert.error(function() handle.field = 1 end)
    end
    assert.is_function(a.state)
    assert.is_string(a:state())
    a:close()
    b:close()
  end)

  it("11 what a peer controls is limited", pair.body("tcp", function(a, b)
    local writer = qn.spawn(function() a:write(("x"):rep(1 << 20)) end)
    local value, err = b:read("l", { max = 1000 })
    assert.is_nil(value)
    assert.equal("limit", err.kind)
    value, err = b:read_until("END")
    assert.is_nil(value)
    assert.equal("limit", err.kind)
    value, err = b:read("a", { max = 5000 })
    assert.is_nil(value)
    assert.equal("limit", err.kind)
    b:abort()
    writer:join()
  end))
end)
