-- covers: lua/qn/init.lua bindings/init.c bindings/b_loop.c
local qn = require "qn"

describe("the module qn", function()
  it("has every name of sections 1 to 3 of the API", function()
    for name in ([[spawn detach group map each race timeout deadline shield sleep yield now time tasks stats
      channel mutex semaphore event condition sort gsub run error is_error is_cancelled on_unhandled exit
      install pair copy join buffer signal current]]):gmatch("%S+") do
      assert.is_function(qn[name], name)
    end
    for name in ("tcp unix file"):gmatch("%S+") do
      assert.is_table(qn[name], name)
    end
    assert.matches("^%d+%.%d+%.%d+$", qn.version)
  end)

  it("loads the rest lazily, once, and has no other names", function()
    assert.is_true(rawequal(qn.channel, qn.channel))
    assert.is_true(rawequal(qn.group, require("qn.group").group))
    assert.is_nil(qn.no_such_name)
  end)

  it("is the same for everybody", function()
    assert.is_true(rawequal(qn, require "qn"))
  end)
end)

describe("the clocks", function()
  it("qn.now is monotonic, qn.time is the wall clock", function()
    local a = qn.now()
    qn.sleep(0.002)
    local b = qn.now()
    assert.is_true(b - a >= 0.002)
    assert.is_true(math.abs(qn.time() - os.time()) < 5)
    assert.equal("float", math.type(a))
  end)

  it("qn.sleep sleeps at least as long as it was told", function()
    for _, seconds in ipairs { 0, 0.001, 0.0015, 0.01 } do
      local start = qn.now()
      qn.sleep(seconds)
      assert.is_true(qn.now() - start >= seconds - 0.0005)
    end
    for _, bad in ipairs { -1, 0 / 0, math.huge, "x", {}, false } do
      assert.error_matches(function() qn.sleep(bad) end, "bad argument #1 to 'sleep'")
    end
    assert.error_matches(function() qn.sleep() end, "bad argument #1 to 'sleep'")
  end)

  it("sleepers wake in the order of their times", function()
    local order = {}
    qn.group(function(g)
      for _, ms in ipairs { 8, 2, 6, 4 } do
        g:spawn(function()
          qn.sleep(ms / 1000)
          order[#order + 1] = ms
        end)
      end
    end)
    assert.same({ 2, 4, 6, 8 }, order)
  end)
end)
