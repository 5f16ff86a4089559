-- The module in a stock interpreter: lua5.4 with qn.so on its cpath and nothing else.

local program = require "spec.support.program"

local build = os.getenv("QN_BUILD") or program.qnlua():match("^(.*)/bin/qnlua$")

local function environment()
  local preload = os.getenv("QN_PRELOAD")
  return {
    LUA_CPATH = build .. "/lib/?.so", LUA_PATH = "/nowhere/?.lua",
    LD_PRELOAD = preload ~= "" and preload or nil,
    -- the interpreter itself frees nothing at exit when a script calls os.exit
    ASAN_OPTIONS = preload and preload ~= "" and "detect_leaks=0" or nil,
  }
end

local function lua(code, ...)
  return program.run({ "lua5.4", "-e", code, ... }, { environment = environment() })
end

local function prints(expected, code)
  local status, out, err = lua(code)
  assert.equal("", err)
  assert.equal(expected, out)
  assert.equal(0, status)
end

describe("the module in a stock interpreter", function()
  it("is found as qn and as qn.core, and changes no global", function()
    prints("nil\ntable\ntable\ntrue\n", [[
      local before = {}
      for name, value in pairs(_G) do before[name] = value end
      local libraries = {}
      for _, name in ipairs { "coroutine", "os", "package", "table", "string" } do
        for key, value in pairs(_G[name]) do libraries[name .. "." .. key] = value end
      end
      local qn = require "qn"
      local changed
      for name, value in pairs(_G) do if before[name] ~= value then changed = name end end
      for name, value in pairs(libraries) do
        local library, key = name:match "(.*)%.(.*)"
        if _G[library][key] ~= value then changed = name end
      end
      print(changed)
      print(type(qn))
      print(type(require "qn.core"))
      print(require "qn" == qn)]])
  end)

  it("exports its entry points and links no Lua", function()
    local pipe = assert(io.popen("nm -D --defined-only '" .. build .. "/lib/qn/core.so'"))
    for line in pipe:lines() do
      assert.truthy(line:find(" luaopen_qn", 1, true) or os.getenv("QN_SANITIZE") ~= "", line)
    end
    pipe:close()
    pipe = assert(io.popen("readelf -d '" .. build .. "/lib/qn/core.so'"))
    assert.is_nil(pipe:read("a"):find("liblua", 1, true))
    pipe:close()
  end)

  it("waits on the main thread by running the loop", function()
    prints("slept\nhello\nchild\n", [[
      local qn = require "qn"
      qn.sleep(0.001)
      print "slept"
      local a, b = qn.pair()
      qn.spawn(function() qn.sleep(0.002) b:write("hello\n") end)
      print(a:read "l")
      local task = qn.spawn(function() qn.sleep(0.001) return "child" end)
      print(select(2, task:join()))]])
  end)

  it("has qn.run, with results and errors", function()
    prints("1\t2\tx\nfalse\tboom\nfalse\t(command line):5: boom\n", [[
      local qn = require "qn"
      print(qn.run(function(...) qn.sleep(0.001) return 1, 2, ... end, "x"))
      print(pcall(qn.run, function() error("boom", 0) end))
      print(pcall(qn.run, function()
        error("boom") end))]])
  end)

  it("has groups, and what is made of them, on the main thread", function()
    prints([[
7	8
2	4	0
2	fast
0	0
false	child
nil	timeout	join
cleaned
nil	timeout	sleep
served	true
]], [[
      local qn = require "qn"
      print(qn.group(function(g) g:spawn(qn.sleep, 0.001) return 7, 8 end))
      local r, errors = qn.map({ 1, 2 }, function(n) qn.sleep(0.001) return n * 2 end)
      print(r[1], r[2], #errors)
      print(qn.race { function() qn.sleep(60) end, function() return "fast" end })
      local a, b = qn.pair()
      local c, d = qn.pair()
      a:close()
      d:close()
      print(qn.join(b, c))
      print(pcall(qn.group, function(g) g:spawn(error, "child", 0) qn.sleep(60) end))
      local closer = setmetatable({}, { __close = function() qn.shield(qn.sleep, 0.001) closed = "cleaned" end })
      local nothing, err = qn.timeout(0.01, qn.group, function() local _ <close> = closer qn.sleep(60) end)
      print(nothing, err.kind, err.phase)
      print(closed)
      nothing, err = qn.group({ timeout = 0.01 }, function() qn.sleep(60) end)
      print(nothing, err.kind, err.phase)
      local server = assert(qn.tcp.listen("127.0.0.1", 0))
      qn.spawn(function()
        local socket <close> = assert(qn.tcp.connect("127.0.0.1", server:port()))
        local line = socket:read("l")
        server:close()
        io.write(line, "\t")
      end)
      print(server:serve(function(socket) socket:write("served\n") end))]])
  end)

  it("refuses to wait where nothing can, and says what helps", function()
    prints("not_yieldable\ttrue\nnot_yieldable\ttrue\nnot_yieldable\ttrue\nwaited\n", [[
      local qn = require "qn"
      qn.run(function()
        local ok, err = coroutine.resume(coroutine.create(function() qn.sleep(0.001) end))
        print(err.kind, err.message:find("qn.install", 1, true) ~= nil)
      end)
      local ok, err = coroutine.resume(coroutine.create(function() qn.sleep(0.001) end))
      print(err.kind, err.message:find("qn.run", 1, true) ~= nil)
      qn.install()
      ok, err = coroutine.resume(coroutine.create(function() qn.sleep(0.001) end))
      print(err.kind, err.message:find("qn.run", 1, true) ~= nil)
      qn.run(function() coroutine.wrap(function() qn.sleep(0.001) print "waited" end)() end)]])
  end)

  it("refuses qn.run inside a task", function()
    local _, out = lua [[
      local qn = require "qn"
      qn.run(function() print(pcall(qn.run, print)) end)]]
    assert.truthy(out:find("^false\tqn.run cannot be called from inside a task"))
  end)
end)

describe("the end of a stock interpreter", function()
  it("cancels tasks that nobody awaited, while their handles are whole", function()
    prints("begun\nclosed\tcancelled\tconnected\n", [[
      local qn = require "qn"
      local a, b = qn.pair()
      qn.spawn(function()
        local _ <close> = setmetatable({}, { __close = function(_, e) print("closed", e, a:state()) end })
        print "begun"
        a:read(1)
      end)
      qn.sleep(0.001)]])
  end)

  it("sends what was written", function()
    local qn = require "qn"
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    for _, ending in ipairs { "", "s:close()", "os.exit(true, true)", "qn.exit(0)" } do
      local p <close> = program.start({ "lua5.4", "-e", ([[
        qn = require "qn"
        s = assert(qn.tcp.connect("127.0.0.1", %d))
        s:write(("x"):rep(300000)) %s]]):format(server:port(), ending) }, { environment = environment() })
      local socket <close> = assert(server:accept(10))
      assert.equal(300000, #assert(socket:read("a", { timeout = 10 })), ending)
      assert.equal(0, (p:wait()))
    end
  end)

  it("comes in order after qn.exit, from wherever it is called", function()
    for where, code in pairs {
      ["the main thread"] = "qn.exit(3)",
      ["a task of qn.run"] = "qn.run(function() local _ <close> = note qn.exit(3) end)",
      ["beneath pcall in qn.run"] = "qn.run(function() local _ <close> = note pcall(qn.exit, 3) print 'no' end)",
      ["a task while the main thread waits"] = "qn.spawn(function() qn.exit(3) end) qn.sleep(60)",
      ["a comparator"] = "qn.run(function() table.sort({ 2, 1 }, function() qn.exit(3) end) end)",
      ["a child"] = "qn.run(function() qn.spawn(function() qn.exit(3) end) qn.sleep(60) end)",
      ["os.exit after qn.install"] = "qn.install() qn.run(function() os.exit(3) end)",
      ["stock os.exit in a task"] = "qn.run(function() os.exit(3, true) end)",
      ["a coroutine of the main thread"] = "coroutine.wrap(function() qn.exit(3) end)()",
    } do
      local status, out, err = lua([[
        qn = require "qn"
        server = qn.tcp.listen("127.0.0.1", 0)
        note = setmetatable({}, { __close = function() qn.shield(qn.sleep, 0.001) print "closed" end })
        ]] .. code .. " print 'no'")
      assert.equal("", err, where)
      assert.equal(3, status, where)
      assert.equal(code:find("<close>") and "closed\n" or "", out, where)
    end
  end)

  it("survives finalizers of all ages that use the library", function()
    local status, out, err = lua [[
      local qn
      local old = setmetatable({}, { __gc = function()
        print("old", pcall(qn.spawn, print))
        print("old", pcall(qn.tcp.listen, "127.0.0.1", 0))
        print("old", pcall(qn.sleep, 1))
        print("old", pcall(qn.stats))
      end })
      qn = require "qn"
      local server = qn.tcp.listen("127.0.0.1", 0)
      qn.sleep(0)
      new = setmetatable({}, { __gc = function()
        pcall(qn.spawn, print)
        print("new", (pcall(server.port, server)))
        leaked = qn.tcp.listen("127.0.0.1", 0)
        leaked_pair = { qn.pair() }
      end })]]
    assert.equal("", err)
    assert.equal(0, status)
    assert.equal(4, select(2, out:gsub("old\tfalse\tqn has been shut down\n", "")), out)
  end)

  it("comes well with tasks in every state", function()
    prints("", [[
      local qn = require "qn"
      qn.spawn(function() end)                                  -- never ran
      local t = qn.spawn(function() qn.sleep(60) end)
      local g = qn.spawn(function() qn.group(function(g) g:spawn(function() qn.sleep(60) end) end) end)
      qn.detach(function() coroutine.wrap(function() end)() qn.event():wait() end)
      qn.spawn(function() qn.sleep(0) end)
      qn.sleep(0.001)
      qn.spawn(function() qn.sleep(60) end)                     -- after the last wait
      local a, b = qn.pair()
      qn.spawn(function() a:read(1) end)]])
  end)

  it("can be loaded twice, one state after the other, and beside itself", function()
    prints("ok\n", [[
      local qn = require "qn"
      for i = 1, 3 do
        local p = io.popen("lua5.4 -e 'local qn = require [=[qn]=] qn.sleep(0) print(1)'")
        assert(p:read "n" == 1)
        p:close()
      end
      print "ok"]])
  end)
end)
