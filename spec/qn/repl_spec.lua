-- The REPL from the outside: what it prints for what is typed, with standard input a pipe that stays open
-- (a FIFO) so that lines come one at a time.

local program = require "spec.support.program"
local qnlua = program.qnlua()

local Session = {}
Session.__index = Session

-- A REPL whose input is in our hands. The version line is swallowed.
local function session(...)
  local folder = program.scratch()
  assert(os.execute(("mkfifo '%s/in'"):format(folder)))
  local self = setmetatable({ folder = folder, seen = 0 }, Session)
  self.program = program.start({ "sh", "-c", 'exec "$0" "$@" <"$QN_INPUT"', qnlua, "-i", ... },
    { environment = { QN_INPUT = folder .. "/in" } })
  self.input = assert(io.open(folder .. "/in", "w"))
  self:expect "^qnlua [%d.]+  Lua 5%.4\n> "
  return self
end

-- Waits until what was printed, from where the last match ended, matches; what it is up to the end of the
-- match. What comes behind is for the next call, so it does not matter when somebody looks.
function Session:expect(pattern)
  local out, last
  local ok = pcall(program.until_true, "the output", function()
    local status = self.program:status() -- before the output, which is complete then
    out = self.program:output():sub(self.seen + 1)
    last = select(2, out:find(pattern))
    return last or status
  end)
  local err = select(2, self.program:output())
  assert(ok and last, ("expected %q, got %q and %q"):format(pattern, out, err))
  self.seen = self.seen + last
  return out:sub(1, last)
end

-- Types a line; what it prints before the next prompt.
function Session:type(line, prompt)
  prompt = prompt or "> "
  self.input:write(line, "\n")
  self.input:flush()
  local out = self:expect(prompt)
  return out:sub(1, #out - #prompt)
end

-- The same for what goes to standard error.
function Session:fail(line)
  local before = #select(2, self.program:output())
  self:type(line)
  return program.until_true("a message", function()
    local text = select(2, self.program:output()):sub(before + 1)
    return text:find("\n$") and text
  end)
end

function Session:interrupt()
  os.execute("kill -INT " .. self.program.pid)
end

-- The end of input: the status, and what was printed behind what was expected.
function Session:finish()
  self.input:close()
  local status, out = self.program:wait()
  return status, out:sub(self.seen + 1)
end

function Session:__close()
  pcall(self.input.close, self.input)
  self.program:__close()
  program.remove(self.folder)
end

describe("the REPL", function()
  it("prints the values of expressions, and nothing for statements", function()
    local s <close> = session()
    assert.equal("2\n", s:type("1 + 1"))
    assert.equal("", s:type("x = 5"))
    assert.equal("5\tnil\ttext\n", s:type("x, nil, 'text'"))
    assert.equal("6\n", s:type("=x + 1"))
    assert.equal("", s:type("local y = 1"))
    assert.equal("nil\n", s:type("y"))
    assert.equal("hello\n", s:type("print 'hello'"))
    assert.equal("", s:type(""))
    assert.equal("", s:type("  -- a comment"))
    assert.same({ 0, "" }, { s:finish() })
  end)

  it("asks for more while a statement is incomplete", function()
    local s <close> = session()
    assert.equal("", s:type("for i = 1, 2 do", ">> "))
    assert.equal("", s:type("  print(i)", ">> "))
    assert.equal("1\n2\n", s:type("end"))
    assert.equal("", s:type("x = [[a", ">> "))
    assert.equal("", s:type("b]]"))
    assert.equal("a\nb\n", s:type("x"))
    assert.equal("", s:type("return {", ">> "))
    assert.truthy(s:type("}"):find("^table: "))
  end)

  it("survives errors and shows where they came from, without itself", function()
    local s <close> = session()
    assert.equal([[
stdin:1: boom
stack traceback:
	[C]: in function 'error'
	stdin:1: in local 'f'
	stdin:1: in main chunk
	[C]: in ?
]], s:fail("local function f() error 'boom' end f()"))
    assert.equal("stdin:1: syntax error near 'bar'\n", s:fail("foo bar"))
    assert.truthy(s:fail("error {}"):find("^%(error object is a table value%)\n"))
    assert.truthy(s:fail("error()"):find("^%(error object is a nil value%)\n"))
    assert.truthy(s:fail("error(setmetatable({}, { __tostring = function() return 'mine' end }))"):find("^mine\n"))
    assert.truthy(s:fail("assert(qn.unix.connect '/nowhere')"):find("^connect /nowhere: [^\n]+%(ENOENT%)\n"))
    assert.equal("3\n", s:type("1 + 2"))
    assert.same({ 0, "" }, { s:finish() })
  end)

  it("waits in its lines", function()
    local s <close> = session()
    assert.equal("", s:type("a, b = qn.pair()"))
    assert.equal("", s:type("qn.spawn(function() qn.sleep(0.01) b:write 'late\\n' end) -- a statement"):gsub("^.*\n", ""))
    assert.equal("late\n", s:type("a:read 'l'"))
    assert.equal("true\t7\n", s:type("qn.spawn(function() qn.sleep(0.01) return 7 end):join()"))
  end)

  it("lets tasks run while it waits for input", function()
    local s <close> = session()
    s:type("t = qn.spawn(function() for i = 1, 3 do qn.sleep(0.005) print('tick', i) end end)")
    s:expect("^tick\t1\ntick\t2\ntick\t3\n") -- behind the prompt, and nothing was typed meanwhile
    assert.equal("done\n", s:type("t:status()"))
    assert.same({ 0, "" }, { s:finish() })
  end)

  it("tells about tasks that fail in the background", function()
    local s <close> = session()
    s:type("t = nil qn.detach(error, 'in the background')")
    program.until_true("the report", function()
      return select(2, s.program:output()):find("unhandled error in task %d+: in the background")
    end)
    assert.equal("1\n", s:type("1"))
  end)

  it("gives up a line when it is interrupted, and nothing else", function()
    local s <close> = session()
    s:type("event = qn.event() background = qn.spawn(function() event:wait(600) print 'still there' end)")
    for _, line in ipairs { "print 'go' qn.sleep(60)", "print 'go' while true do end",
      "local _ <close> = setmetatable({}, { __close = function() print 'closed' end }) print 'go' qn.sleep(60)",
      "print 'go' qn.timeout(60, qn.sleep, 60)" } do
      s.input:write(line, "\n")
      s.input:flush()
      s:expect("^go\n")
      s:interrupt()
      s:expect("^c?l?o?s?e?d?\n?\n> ")
    end
    assert.equal("", s:type("event:set()"))
    s:expect("^still there\n")
    assert.equal("4\n", s:type("2 + 2"))
    assert.same({ 0, "" }, { s:finish() })
  end)

  it("forgets an unfinished statement when it is interrupted at the prompt", function()
    local s <close> = session()
    s:interrupt()
    s:expect("^\n> ")
    s:type("x = (", ">> ")
    s:interrupt()
    s:expect("^\n> ")
    s:interrupt()
    s:expect("^\n> ")
    assert.equal("nil\n", s:type("x"))
  end)

  it("ends at the end of input, and what runs in the background with it", function()
    local s <close> = session()
    s:type("qn.spawn(function() local _ <close> = setmetatable({}, { __close = function() print 'closed' end }) " ..
      "qn.sleep(60) end)")
    local status, out = s:finish()
    assert.equal(0, status)
    assert.truthy(out:find("closed\n$"))
  end)

  it("runs the last line although its end is missing", function()
    local status, out = program.run { "sh", "-c", 'printf "print(1)\\nprint(2)" | "$0" -i', qnlua }
    assert.equal(0, status)
    assert.truthy(out:find("> 1\n> 2\n> $"))
    local _, _, err = program.run { "sh", "-c", 'printf "x = (" | "$0" -i', qnlua }
    assert.truthy(err:find("^stdin:1: unexpected symbol near <eof>\n"))
  end)

  it("ends with the status of os.exit", function()
    local s <close> = session()
    s.input:write("os.exit(3)\n")
    s.input:flush()
    assert.equal(3, (s.program:wait()))
  end)

  it("leaves what follows a line to io.read", function()
    local status, out = program.run { "sh", "-c",
      'printf "x = io.read() y = io.read \'l\'\\nfirst\\nsecond\\nx, y\\n" | "$0" -i', qnlua }
    assert.equal(0, status)
    assert.truthy(out:find("> > first\tsecond\n> $"), out)
  end)

  it("has the prompts of the script", function()
    local s <close> = session("-e", "_PROMPT2 = 'more '")
    s:type("_PROMPT = setmetatable({}, { __tostring = function() return 'next ' end })", "next ")
    assert.equal("", s:type("do", "more "))
    assert.equal("", s:type("end", "next "))
  end)

  it("runs the script first, and not at all when that fails", function()
    local s <close> = session("-e", "x = 'from -e'")
    assert.equal("from -e\n", s:type("x"))
    local status, out = program.run { "sh", "-c", 'echo "print(1)" | "$0" -i -e "error \'x\'"', qnlua }
    assert.equal(1, status)
    assert.is_nil(out:find("> ", 1, true))
  end)

  it("shows values that cannot be printed", function()
    local s <close> = session()
    local text = s:fail("setmetatable({}, { __tostring = function() error 'no' end })")
    assert.truthy(text:find("^error calling 'print'"), text)
    assert.equal("1\n", s:type("1"))
  end)

  it("reads files and closed input", function()
    local status, out = program.run { "sh", "-c", 'exec "$0" -i </dev/null', qnlua }
    assert.equal(0, status)
    assert.truthy(out:find("> $"))
    status, out = program.run { "sh", "-c", 'exec "$0" -i <&-', qnlua }
    assert.equal(0, status)
    assert.truthy(out:find("> $"))
  end)
end)
