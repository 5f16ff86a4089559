-- The options of the program, in the terms of lua5.4, from the outside.

local program = require "spec.support.program"
local qnlua = program.qnlua()

local function q(...)
  return program.run({ qnlua, ... })
end

-- The same with a text on standard input, or other variables.
local function q_with(opts, ...)
  local folder = program.scratch()
  local file = assert(io.open(folder .. "/in", "wb"))
  file:write(opts.input or "")
  file:close()
  local words = { "sh", "-c", 'exec "$0" "$@" <"$QN_INPUT"', qnlua, ... }
  local environment = { QN_INPUT = folder .. "/in" }
  for k, v in pairs(opts.environment or {}) do
    environment[k] = v
  end
  local status, out, err = program.run(words, { environment = environment })
  program.remove(folder)
  return status, out, err
end

-- A file that is gone when the function returns.
local function with_script(text, f)
  local folder = program.scratch()
  local path = folder .. "/script.lua"
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  local ok, err = pcall(f, path, folder)
  program.remove(folder)
  if not ok then
    error(err, 0)
  end
end

describe("qnlua", function()
  it("gives each process random numbers of its own, also where all have the same addresses", function()
    local same = program.run { "setarch", "-R", "true" } == 0 -- refused where a sandbox forbids it
    local words = { "env", qnlua, "-e", "print(math.random(0))" }
    if same then
      words = { "setarch", "-R", table.unpack(words, 2) }
    end
    local seen = {}
    for i = 1, 4 do -- in less than a second, which Lua's own seed counts in
      local status, out, err = program.run(words)
      assert.equal(0, status, err)
      assert.is_nil(seen[out], "the same as process " .. tostring(seen[out]))
      seen[out] = i
    end
  end)

  it("runs code, loads modules, then the script, in the order of the options", function()
    with_script("print('script', x, lib.rep('a', 2), ...)", function(path)
      local status, out, err = q("-e", "print 'one'", "-l", "lib=string", "-ex = 5", path, "a", "b c")
      assert.equal("", err)
      assert.equal("one\nscript\t5\taa\ta\tb c\n", out)
      assert.equal(0, status)
    end)
  end)

  it("gives the script its arguments as lua does", function()
    with_script("for i = -3, 3 do print(i, arg[i]) end print(...)", function(path)
      local _, out = q("-e", "x = 1", path, "-i", "--")
      assert.equal(([[
-3	%s
-2	-e
-1	x = 1
0	%s
1	-i
2	--
3	nil
-i	--
]]):format(qnlua, path), out)
    end)
  end)

  it("has arg without a script, too", function()
    local _, out = q("-e", "print(arg[0], arg[1], arg[2], arg[3])")
    assert.equal(("%s\t-e\tprint(arg[0], arg[1], arg[2], arg[3])\tnil\n"):format(qnlua), out)
  end)

  it("loads a module into a global of its name, or of another", function()
    local folder = program.scratch()
    local file = assert(io.open(folder .. "/my.lua", "w"))
    file:write("qn.sleep(0.001) return { name = ... }")
    file:close()
    local environment = { LUA_PATH = folder .. "/?.lua" }
    local code = "print(my and my.name, other and other.name)"
    local _, out = q_with({ environment = environment }, "-l", "my", "-e", code)
    assert.equal("my\tnil\n", out)
    _, out = q_with({ environment = environment }, "-lother=my", "-e", code)
    assert.equal("nil\tmy\n", out)
    program.remove(folder)
    local status, _, err = q("-l", "no.such.module")
    assert.equal(1, status)
    assert.truthy(err:find("^qnlua: module 'no.such.module' not found:\n"))
    assert.is_nil(err:find("cli.lua", 1, true))
  end)

  it("runs standard input for - and when there is nothing else", function()
    local _, out = q_with({ input = "#!/usr/bin/env qnlua\nprint('in', ...)" }, "-", "x")
    assert.equal("in\tx\n", out)
    _, out = q_with({ input = "qn.sleep(0.001) print('in', arg[0])" })
    assert.equal(("in\t%s\n"):format(qnlua), out)
    local status, _, err = q_with({ input = "error 'x'" })
    assert.equal(1, status)
    assert.truthy(err:find("^qnlua: stdin:1: x\nstack traceback:\n"))
  end)

  it("skips the first line of a script that begins with #", function()
    with_script("#!/usr/bin/env qnlua\nprint(debug.getinfo(1, 'l').currentline)", function(path)
      local _, out = q(path)
      assert.equal("2\n", out)
    end)
  end)

  it("takes a script whose name begins with - behind --", function()
    local folder = program.scratch()
    local file = assert(io.open(folder .. "/-e", "w"))
    file:write("print 'odd'")
    file:close()
    local _, out = program.run { "sh", "-c", 'cd "$1" && exec "$0" -- -e', qnlua, folder }
    program.remove(folder)
    assert.equal("odd\n", out)
  end)

  it("finds modules of a script as lua does: through package.path, nothing else", function()
    local _, out = q("-e", "print(package.path)")
    local pipe = assert(io.popen("lua5.4 -e 'print(package.path)'"))
    assert.equal(pipe:read("a"), out)
    pipe:close()
  end)

  it("shows the version and goes on", function()
    local version = require "qn".version
    local status, out = q("-v", "-e", "print 'and on'")
    assert.equal(("qnlua %s  Lua 5.4\nand on\n"):format(version), out)
    assert.equal(0, status)
    assert.equal(("qnlua %s  Lua 5.4\n"):format(version), (select(2, q("-v"))))
  end)

  it("shows its options", function()
    local status, out, err = q("--help")
    assert.equal(0, status)
    assert.equal("", err)
    assert.truthy(out:find("^usage: qnlua %[options%] %[script %[args%]%]\n"))
    for _, option in ipairs { "-e stat", "-l mod", "-i", "-v", "-E", "-W", "--trace", "--keylog", "--help", "--" } do
      assert.truthy(out:find("\n  " .. option, 1, true), option)
    end
  end)

  it("refuses what it does not know, with status 2", function()
    local cases = {
      { { "-x" }, "unrecognized option '-x'" },
      { { "-vv" }, "unrecognized option '-vv'" },
      { { "--tracer" }, "unrecognized option '--tracer'" },
      { { "--keylog" }, "'--keylog' needs argument" },
      { { "-e" }, "'-e' needs argument" },
      { { "-l" }, "'-l' needs argument" },
      { { "-l", "-v" }, "'-l' needs argument" },
      { { "--trace=socket,tsl", "-e", "print 1" }, "unknown layer 'tsl' for --trace (known: socket, tls)" },
      { { "--trace=", "-e", "print 1" }, "unknown layer '' for --trace (known: socket, tls)" },
    }
    for _, case in ipairs(cases) do
      local status, out, err = q(table.unpack(case[1]))
      assert.equal(2, status)
      assert.equal("", out) -- and nothing has run
      local first = err:match("^[^\n]*")
      assert.equal("qnlua: " .. case[2], first)
      assert.truthy(err:find("\nusage: qnlua ", 1, true))
    end
  end)

  it("runs LUA_INIT first, that of the version before the other", function()
    local environment = { LUA_INIT = "print('init', arg[1]) qn.sleep(0.001)" }
    local _, out = q_with({ environment = environment }, "-e", "print 'e'")
    assert.equal("init\t-e\ne\n", out)
    environment.LUA_INIT_5_4 = "print '5.4'"
    _, out = q_with({ environment = environment }, "-e", "print 'e'")
    assert.equal("5.4\ne\n", out)
    with_script("print 'from a file'", function(path)
      _, out = q_with({ environment = { LUA_INIT = "@" .. path } }, "-e", "")
      assert.equal("from a file\n", out)
    end)
    local status, _, err = q_with({ environment = { LUA_INIT = "error 'x'" } }, "-e", "")
    assert.equal(1, status)
    assert.truthy(err:find("^qnlua: LUA_INIT:1: x\n"))
  end)

  it("ignores the environment with -E", function()
    local environment = { LUA_INIT = "print 'init'", LUA_PATH = "/nowhere/?.lua" }
    local _, out = q_with({ environment = environment }, "-E", "-e", "print(package.path:find 'nowhere')")
    assert.equal("nil\n", out)
    _, out = q_with({ environment = environment }, "-e", "print(package.path)")
    assert.equal("init\n/nowhere/?.lua\n", out)
    with_script("print(package.path)", function(path) -- an argument of the script is none of ours
      _, out = q_with({ environment = environment }, path, "-E")
      assert.equal("init\n/nowhere/?.lua\n", out)
    end)
  end)

  it("turns warnings on with -W", function()
    local code = "warn 'careful'"
    assert.equal("", (select(3, q("-e", code))))
    assert.equal("Lua warning: careful\n", (select(3, q("-W", "-e", code))))
  end)

  it("needs no other file, in any folder", function()
    local folder = program.scratch()
    local words = { "sh", "-c", 'cp "$0" "$1/q" && cd / && PATH= exec "$1/q" -E -e "$2"', qnlua, folder,
      "local g = qn.group for _, m in ipairs(require 'qn.core'.embedded()) do require(m) end print(#g)" }
    words[#words] = "for _, m in ipairs(require 'qn.core'.embedded()) do require(m) end print 'all'"
    local status, out, err = program.run(words)
    program.remove(folder)
    assert.equal("", err)
    assert.equal("all\n", out)
    assert.equal(0, status)
  end)
end)
