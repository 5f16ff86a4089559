-- Servers: each, serve, errors of handlers, limits, the graceful end.

local qn = require "qn"
local leaks = require "spec.support.leaks"
local splits = require "spec.support.splits"
local throws = require "spec.support.throws"

local function assert_error(kind, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind)
  return err
end

-- Runs f(server, port) while `serve` runs; waits for the end of serve.
local function served(handler, opts, f, listen_opts)
  local server <close> = assert(qn.tcp.listen("127.0.0.1", 0, listen_opts))
  local port = server:port()
  local task = qn.spawn(server.serve, server, handler, opts)
  f(server, port, task)
  server:close()
  local ok, value, err = task:join()
  assert.is_true(ok, tostring(value))
  assert.is_true(value, tostring(err))
end

local function connect(port)
  return assert(qn.tcp.connect("127.0.0.1", port, { timeout = 20 }))
end

local function ask(port, text)
  local s <close> = connect(port)
  s:write(text, "\n")
  return s:read("l", { timeout = 20 })
end

local function echo(s)
  for line in s:lines() do
    s:write(line, "\n")
  end
end

describe("each", function()
  it("gives connections until the server is closed", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local seen = {}
    local task = qn.spawn(function()
      for s in server:each() do
        local socket <close> = s
        seen[#seen + 1] = socket:read("l")
        if #seen == 3 then
          server:close()
        end
      end
      return "over"
    end)
    for i = 1, 3 do
      local s <close> = connect(server:port())
      s:write(i, "\n")
      s:read("a")
    end
    assert.same({ true, "over" }, { task:join() })
    assert.same({ "1", "2", "3" }, seen)
  end)
end)

describe("serve", function()
  it("runs a task per connection, all at once", function()
    served(echo, nil, function(_, port)
      local sockets = {}
      for i = 1, 10 do
        sockets[i] = connect(port)
      end
      for round = 1, 3 do
        for i = 10, 1, -1 do
          sockets[i]:write(round, " ", i, "\n")
          assert.equal(round .. " " .. i, sockets[i]:read("l"))
        end
      end
      for i = 1, 10 do
        sockets[i]:close()
      end
    end)
  end)

  it("closes the socket when the handler ends, after its bytes", function()
    local kept
    served(function(s)
      kept = s
      s:write(("z"):rep(500000))
    end, nil, function(_, port)
      local s <close> = connect(port)
      assert.equal(500000, #s:read("a"))
      assert_error("closed", kept:read(1))
    end)
  end)

  it("isolates errors of handlers, which are reported", function()
    served(function(s)
      local line = s:read("l")
      if line == "bad" then
        error("handler: " .. line)
      end
      s:write("good\n")
    end, nil, function(_, port)
      local other <close> = connect(port)
      assert.is_nil(ask(port, "bad"))
      other:write("x\n")
      assert.equal("good", other:read("l"))
      assert.equal("good", ask(port, "fine"))
      local failures = leaks.wait_unhandled(1)
      assert.equal(1, #failures)
      assert.truthy(failures[1].error:find("handler: bad", 1, true))
    end)
  end)

  it("gives errors of handlers to on_error, with the socket still open", function()
    local errors = {}
    served(function(s)
      s:read("l")
      error({ code = 42 })
    end, {
      on_error = function(err, s)
        errors[#errors + 1] = err
        s:write("sorry\n")
      end,
    }, function(_, port)
      assert.equal("sorry", ask(port, "x"))
      assert.equal("sorry", ask(port, "y"))
      assert.same({ { code = 42 }, { code = 42 } }, errors)
    end)
  end)

  it("reports what on_error itself gets wrong", function()
    served(function()
      error("first")
    end, {
      on_error = function()
        error("second")
      end,
    }, function(_, port)
      assert.is_nil(ask(port, "x"))
      local failures = leaks.wait_unhandled(1)
      assert.truthy(failures[1].error:find("second", 1, true))
    end)
  end)

  it("has no more connections than max_connections", function()
    local now, most, total = 0, 0, 0
    served(function(s)
      now, total = now + 1, total + 1
      most = math.max(most, now)
      s:write("in\n")
      s:read("a")
      now = now - 1
    end, { max_connections = 3 }, function(_, port)
      local sockets = {}
      for i = 1, 9 do
        sockets[i] = connect(port)
      end
      for i = 1, 9 do
        assert.equal("in", sockets[i]:read("l", { timeout = 20 }))
        sockets[i]:close()
      end
      splits.until_true("all are gone", function() return now == 0 end)
      assert.same({ 3, 9 }, { most, total })
    end)
  end)

  it("frees the slot of a handler that fails", function()
    served(function(s)
      s:read("l")
      error("always")
    end, { max_connections = 1, on_error = function() end }, function(_, port)
      for _ = 1, 5 do
        assert.is_nil(ask(port, "x"))
      end
    end)
  end)

  it("stands still while the server is paused", function()
    served(echo, nil, function(server, port)
      server:pause()
      local s <close> = connect(port)
      s:write("late\n")
      assert_error("timeout", s:read("l", { timeout = 0.01 }))
      server:resume()
      assert.equal("late", s:read("l"))
    end)
  end)

  it("ends with its task: all handlers are cancelled, all sockets closed", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local cancelled = 0
    local task = qn.spawn(server.serve, server, function(s)
      s:write("in\n")
      local _ <close> = setmetatable({}, { __close = function(_, err)
        cancelled = cancelled + (qn.is_cancelled(err) and 1 or 0)
      end })
      s:read("l")
    end, { on_error = error })
    local one <close> = connect(server:port())
    local two <close> = connect(server:port())
    assert.equal("in", one:read("l"))
    assert.equal("in", two:read("l"))
    local three <close> = connect(server:port())
    task:cancel()
    assert.is_false((task:join()))
    assert.is_true(cancelled == 2 or cancelled == 3) -- the third may have begun
    assert.is_nil((one:read("l")))
    assert.is_nil((two:read("l")))
    server:close()
    three:read("l") -- whether it was accepted or not, it ends
    assert.is_true(server:close({ grace = 20 })) -- and nothing is left to wait for
  end)

  it("is one at a time, and may be begun again", function()
    served(echo, nil, function(server)
      qn.yield()
      throws.method(assert, "served already", server, "serve", echo)
      assert.equal("works", ask(server:port(), "works"))
    end)
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local task = qn.spawn(server.serve, server, echo)
    qn.yield()
    task:cancel()
    task:join()
    task = qn.spawn(server.serve, server, echo)
    assert.equal("again", ask(server:port(), "again"))
    server:close()
    assert.same({ true, true }, { task:join() })
  end)

  it("is checked", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    throws.method(assert, "#1 to 'serve' %(function expected, got nil%)", server, "serve")
    throws.method(assert, "did you mean 'max_connections'", server, "serve", print, { max_connection = 5 })
    throws.method(assert, "max_connections", server, "serve", print, { max_connections = 0 })
    throws.method(assert, "on_error", server, "serve", print, { on_error = 5 })
    throws.method(assert, "grace", server, "close", { grace = -1 })
    throws.method(assert, "did you mean 'grace'", server, "close", { grase = 1 })
  end)
end)

describe("close", function()
  it("lets connections go on, without a grace", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local task = qn.spawn(server.serve, server, echo)
    local s <close> = connect(server:port())
    s:write("one\n")
    assert.equal("one", s:read("l"))
    assert.is_true(server:close())
    assert_error("refused", qn.tcp.connect("127.0.0.1", s:peer_port()))
    s:write("two\n")
    assert.equal("two", s:read("l"))
    assert.equal("waiting", task:status())
    s:close()
    assert.same({ true, true }, { task:join() })
  end)

  it("waits for connections that end within the grace", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local task = qn.spawn(server.serve, server, echo)
    local s <close> = connect(server:port())
    s:write("one\n")
    assert.equal("one", s:read("l"))
    local closer = qn.spawn(server.close, server, { grace = 60 })
    qn.yield()
    s:write("two\n")
    assert.equal("two", s:read("l"))
    assert.equal("waiting", closer:status())
    s:shutdown("w")
    assert.same({ true, true }, { closer:join() })
    assert.same({ true, true }, { task:join() })
  end)

  it("cancels what goes on behind the grace, and waits for its cleaning up", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local cleaned = false
    local task = qn.spawn(server.serve, server, function(s)
      local _ <close> = setmetatable({}, { __close = function()
        require "qn.task".shield(function()
          qn.sleep(0.005)
          s:write("goodbye\n")
        end)
        cleaned = true
      end })
      s:write("hello\n")
      s:read("l")
    end)
    local s <close> = connect(server:port())
    assert.equal("hello", s:read("l"))
    assert.is_true(server:close({ grace = 0.005 }))
    assert.is_true(cleaned)
    assert.equal("goodbye", s:read("l"))
    assert.is_nil(s:read("l"))
    assert.same({ true, true }, { task:join() })
  end)

  it("with a grace of nothing cancels at once", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local task = qn.spawn(server.serve, server, echo)
    local s <close> = connect(server:port())
    s:write("x\n")
    assert.equal("x", s:read("l"))
    assert.is_true(server:close({ grace = 0 }))
    assert.is_nil((s:read("l")))
    task:join()
  end)

  it("is done at once when nobody is served", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    assert.is_true(server:close({ grace = 60 }))
    assert.is_true(server:close({ grace = 60 }))
    assert.is_true(server:close())
  end)

  it("from a handler does not wait for that handler for ever", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local task = qn.spawn(server.serve, server, function(s)
      s:read("l")
      server:close({ grace = 0.005 })
    end)
    local s <close> = connect(server:port())
    s:write("stop\n")
    assert.is_nil((s:read("l")))
    assert.same({ true, true }, { task:join() })
  end)

  it("while all slots are taken ends the loop when one is free", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local task = qn.spawn(server.serve, server, echo, { max_connections = 1 })
    local one <close> = connect(server:port())
    one:write("x\n")
    assert.equal("x", one:read("l"))
    local two <close> = connect(server:port())
    server:close()
    one:close()
    assert.same({ true, true }, { task:join() })
    assert.is_nil((two:read("l")))
  end)
end)
