-- core.read_input: standard input for a REPL, waited for beside everything else. (What is built from it is
-- in spec/qn/repl_spec.lua.)

local core = require "qn.core"
local program = require "spec.support.program"
local qnlua = program.qnlua()

-- Runs code with what `input` (a shell command) writes as its standard input. In the command, `wait_for n`
-- waits until the code has called `say(n)`.
local function q(input, code)
  local folder = program.scratch()
  local wait_for = 'wait_for() { n=0; until [ -e "$F/$1" ] || [ $n -ge 3000 ]; do sleep 0.01; n=$((n + 1)); done; }; '
  local say = "local function say(n) assert(io.open(os.getenv 'F' .. '/' .. n, 'w')):close() end "
  local status, out, err = program.run({ "sh", "-c", wait_for .. input .. ' | "$0" -e "$1"', qnlua,
    "local core = require 'qn.core' " .. say .. code }, { environment = { F = folder } })
  program.remove(folder)
  return status, out, err
end

describe("core.read_input", function()
  it("gives lines with their ends, then nil", function()
    local status, out = q("printf 'a\\n\\nlast'",
      "for i = 1, 5 do local l, e = core.read_input() print(l and ('%q'):format(l), e) end")
    assert.equal('"a\\\n"\tnil\n"\\\n"\tnil\n"last"\tnil\nnil\tnil\nnil\tnil\n', out)
    assert.equal(0, status)
  end)

  it("gives bytes as they are", function()
    local _, out = q("printf 'a\\000b\\377\\n'", "io.write(#core.read_input())")
    assert.equal("5", out)
  end)

  it("lets others run while it waits", function()
    local _, out = q("(wait_for 1; echo line)", [[
      local said
      qn.spawn(function()
        for i = 1, 5 do qn.sleep(0.001) end
        said = true
        say(1)
      end)
      io.write(core.read_input())
      print(said)]])
    assert.equal("line\ntrue\n", out)
  end)

  it("can be cancelled and timed out; nothing is lost, no thread stays behind", function()
    local _, out, err = q("(wait_for 1; echo line; sleep 0.1)", [[
      print((select(2, qn.timeout(0.01, core.read_input))).kind)
      for i = 1, 20 do -- more than the pool has threads
        local t = qn.spawn(core.read_input)
        qn.sleep(0)
        t:cancel()
        assert(not t:join())
      end
      say(1)
      io.write(core.read_input())
      print(core.read_input())
      repeat qn.sleep(0.001) until qn.stats().orphans == 0
      print(qn.stats().ops, qn.stats().orphans)]])
    assert.equal("", err)
    assert.equal("timeout\nline\nnil\n0\t0\n", out)
  end)

  it("reads files and devices", function()
    local folder = program.scratch()
    local file = assert(io.open(folder .. "/in", "w"))
    file:write("one\ntwo\n")
    file:close()
    local code = "local core = require 'qn.core' io.write(core.read_input(), core.read_input()) print(core.read_input())"
    local _, out = program.run { "sh", "-c", '"$0" -e "$1" <"$2"', qnlua, code, folder .. "/in" }
    assert.equal("one\ntwo\nnil\n", out)
    program.remove(folder)
    _, out = program.run { "sh", "-c", '"$0" -e "print(require[[qn.core]].read_input())" </dev/null', qnlua }
    assert.equal("nil\n", out)
  end)

  it("tells what cannot be read", function()
    local _, out = program.run { "sh", "-c", '"$0" -e "print(require[[qn.core]].read_input())" </tmp', qnlua }
    assert.truthy(out:find("^nil\tread: [^\n]*%(EISDIR%)\n"), out)
  end)

  it("leaves the flags of the descriptor alone", function()
    local _, out = program.run { "sh", "-c", [[
      (echo 1; sleep 0.2; echo 2) | ("$0" -e 'require "qn.core".read_input()
        print(io.read("l"))')]], qnlua }
    assert.equal("2\n", out) -- a blocking read of the C library still blocks
  end)
end)

describe("core.is_terminal", function()
  it("tells a terminal from a file", function()
    assert.is_false(core.is_terminal())
  end)
end)
