-- qn.exit and os.exit: from wherever they are called the program ends in order, and the caller does not
-- go on.

local program = require "spec.support.program"
local qnlua = program.qnlua()

local function q(code)
  return program.run { qnlua, "-e", code }
end

-- What a __close and a __gc of the program print when the end is in order.
local witness = [[
local function note(text)
  return setmetatable({}, { __close = function(_, e)
    qn.shield(qn.sleep, 0.001)
    print('closed', text, e)
  end })
end
keep = setmetatable({}, { __gc = function() print 'collected' end })
]]

describe("os.exit", function()
  it("takes booleans, numbers and nothing", function()
    for argument, status in pairs {
      [""] = 0, ["nil"] = 0, ["true"] = 0, ["false"] = 1, ["0"] = 0, ["3"] = 3, ["255"] = 255, ["true, true"] = 0,
      ["4, false"] = 4, ["5.0"] = 5,
    } do
      assert.equal(status, (q("os.exit(" .. argument .. ")")), argument)
    end
    local status, _, err = q("os.exit('x')")
    assert.equal(1, status)
    assert.truthy(err:find("bad argument #1 to 'exit' (number expected, got string)", 1, true))
    status, _, err = q("print(pcall(os.exit, {})) os.exit(2)") -- a mistake does not end anything
    assert.equal(2, status)
    assert.equal("", err)
  end)

  it("runs clean-up, which may wait, and finalizers; nothing behind it runs", function()
    local status, out, err = q(witness .. "local _ <close> = note 'a' local _ <close> = note 'b' os.exit(3) print 'no'")
    assert.equal("closed\tb\tnil\nclosed\ta\tnil\ncollected\n", out)
    assert.equal(3, status)
    assert.equal("", err)
  end)

  local places = {
    ["inside pcall"] = "pcall(os.exit, 3) print 'no'",
    ["inside nested pcalls and an xpcall"] =
      "pcall(function() xpcall(function() os.exit(3) end, function(e) print('no', e) end) print 'no' end) print 'no'",
    ["in a coroutine"] = "local co = coroutine.create(function() local _ <close> = note 'co' os.exit(3) end) " ..
      "coroutine.resume(co) print 'no'",
    ["in a coroutine of a coroutine"] = "coroutine.wrap(function() local _ <close> = note 'outer' " ..
      "coroutine.wrap(function() os.exit(3) end)() print 'no' end)() print 'no'",
    ["in a task"] = "qn.spawn(function() local _ <close> = note 'task' os.exit(3) end) qn.sleep(60) print 'no'",
    ["in a detached task"] = "qn.detach(function() os.exit(3) end) qn.sleep(60) print 'no'",
    ["in a group"] = "qn.group(function(g) g:spawn(function() os.exit(3) end) qn.sleep(60) end) print 'no'",
    ["in a deadline scope"] = "qn.timeout(60, os.exit, 3) print 'no'",
    ["in a shield"] = "qn.shield(os.exit, 3) print 'no'",
    ["in a module body"] = "package.preload.m = function() os.exit(3) end require 'm' print 'no'",
    ["in a metamethod"] = "local t = setmetatable({}, { __index = function() os.exit(3) end }) local x = t.x print 'no'",
    ["in an iterator"] = "for _ in function() os.exit(3) end do end print 'no'",
    ["in a __close"] = "do local _ <close> = setmetatable({}, { __close = function() os.exit(3) end }) end print 'no'",
    ["in a __close after an error"] =
      "local _ <close> = setmetatable({}, { __close = function() os.exit(3) end }) error 'x'",
    ["in an event handler"] = "local a, b = qn.pair() a:on('disconnected', function() os.exit(3) end) " ..
      "a:close() qn.sleep(60) print 'no'",
    ["in the handler of unhandled errors"] = "qn.on_unhandled(function() os.exit(3) end) " ..
      "qn.detach(error, 'x') qn.sleep(60) print 'no'",
    ["in a sort comparator"] = "table.sort({ 3, 2, 1 }, function() os.exit(3) end) print 'no'",
    ["in a gsub callback"] = "string.gsub('abc', '.', function() os.exit(3) end) print 'no'",
    ["in a __tostring"] = "print(setmetatable({}, { __tostring = function() os.exit(3) end })) print 'no'",
    ["in a message handler"] = "xpcall(error, function() os.exit(3) end, 'x') qn.sleep(60) print 'no'",
    ["in a finalizer"] = "setmetatable({}, { __gc = function() os.exit(3) end }) collectgarbage() while true do end",
    ["in a load reader"] = "load(function() os.exit(3) end) qn.sleep(60) print 'no'",
    ["by two tasks at once"] = "qn.spawn(function() os.exit(3) end) qn.spawn(function() os.exit(4) end) qn.sleep(60)",
    ["again in the clean-up"] = "local _ <close> = setmetatable({}, { __close = function() os.exit(4) end }) os.exit(3)",
    ["while children run"] = "qn.spawn(function() local _ <close> = note 'child' qn.sleep(60) end) qn.sleep(0) os.exit(3)",
    ["after it was cancelled"] = "require 'qn.core'.current():cancel() pcall(qn.sleep, 1) os.exit(3)",
  }
  for where, code in pairs(places) do
    it("works " .. where, function()
      local status, out, err = q(witness .. code)
      assert.is_nil(out:find("no", 1, true), out)
      assert.equal(3, status, err)
      assert.truthy(out:find("collected\n$"), out)
      local opened = select(2, code:gsub("note '", ""))
      assert.equal(opened, select(2, out:gsub("closed\t", "")), out)
      assert.is_nil(err:find("stack traceback", 1, true), err)
    end)
  end

  it("is qn.exit", function()
    assert.equal(9, (q("qn.exit(9)")))
    assert.equal(0, (q("assert(os.exit == qn.exit)")))
  end)
end)
