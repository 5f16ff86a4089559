-- User coroutines swallow the scheduler's yield: the scheduler saw a generator's value as its own, or the
-- generator's consumer saw the scheduler's. Here both meet only whom they are for.
local qn = require "qn"

describe("lesson 2: generators over sockets", function()
  it("keep their values and the scheduler's waits apart", function()
    local a, b = qn.pair()
    local words = coroutine.wrap(function()
      for line in b:lines() do -- waits
        for word in line:gmatch("%a+") do
          coroutine.yield(word) -- yields to the consumer
        end
      end
    end)
    qn.spawn(function()
      for _, piece in ipairs { "one tw", "o\nth", "ree\n", "four" } do
        a:write(piece)
        a:flush()
        qn.sleep(0.0005)
      end
      a:close()
    end)
    local list = {}
    for word in words do list[#list + 1] = word end
    assert.same({ "one", "two", "three", "four" }, list)
    b:close()
  end)
end)
