-- The runner must count, report and exit truthfully: everything else rests on it.

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

-- The interpreter that runs this spec.
local function interpreter()
  local first = -1
  while arg[first - 1] do first = first - 1 end
  return arg[first]
end

-- Runs a spec text in a process of its own.
local function run(text)
  local path = os.tmpname()
  os.remove(path)
  path = path .. "_spec.lua"
  write(path, text)
  local pipe = assert(io.popen(("%s scripts/busted.lua %s 2>&1"):format(interpreter(), path)))
  local output = pipe:read("a")
  local _, _, status = pipe:close()
  os.remove(path)
  return status, output, (output:match("(# [^\n]*)\n$"))
end

describe("scripts/busted.lua", function()
  it("counts what passed", function()
    local status, output, last = run('it("a", function() end) it("b", function() end)')
    assert.equal("# 2 passed, 0 failed", last)
    assert.equal(0, status)
    assert.truthy(output:find("ok a\n", 1, true))
  end)

  it("reports failures and errors with a traceback", function()
    local status, output, last = run([[
      it("good", function() end)
      it("wrong", function() assert.equal(1, 2) end)
      it("broken", function() error({ code = 7 }) end)
    ]])
    assert.equal("# 1 passed, 2 failed", last)
    assert.equal(1, status)
    assert.truthy(output:find("not ok wrong\n", 1, true))
    assert.truthy(output:find("not ok broken\n", 1, true))
    assert.truthy(output:find("stack traceback", 1, true))
  end)

  it("counts a failing hook", function()
    local status, _, last = run('after_each(function() error("x") end) it("a", function() end)')
    assert.equal("# 1 passed, 1 failed", last)
    assert.equal(1, status)
  end)

  it("counts what was left out as a failure", function()
    local status, _, last = run('it("a", function() end) pend' .. 'ing("later")')
    assert.equal("# 1 passed, 1 failed", last)
    assert.equal(1, status)
  end)

  it("fails on a file that does not load and on one without tests", function()
    assert.equal(1, (run("this is no Lua")))
    local status, _, last = run("local x = 1")
    assert.equal(1, status)
    assert.equal("# 0 passed, 0 failed", last)
  end)

  it("does not wrap around at 256 failures", function()
    local status, _, last = run('for i = 1, 256 do it("n" .. i, function() error("x") end) end')
    assert.equal("# 0 passed, 256 failed", last)
    assert.equal(1, status)
  end)
end)
