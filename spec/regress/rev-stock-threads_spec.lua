-- In a stock interpreter the coroutine library knows nothing of tasks. Closing or resuming the thread of a
-- task that waits took away the stack on which the operation's memory lies: use after free.
local scripts = require "spec.support.scripts"

-- What a script prints when the stock interpreter runs it with the module of this build.
local function run(script)
  return (scripts.stock(script))
end

local SCRIPT <const> = [[
local qn = require "qn"
qn.run(function()
  local a <close>, b = qn.pair()
  local _ <close> = b
  local thread
  local size = 0
  local task = qn.spawn(function()
    thread = coroutine.running()
    local pieces = {}
    for i = 1, 20 do pieces[i] = ("y"):rep(100000) .. i size = size + #pieces[i] end
    return b:write(table.unpack(pieces))
  end)
  while not thread do qn.sleep(0) end
  io.write(tostring(task:status()), " ")
  io.write(tostring(coroutine.HOW(thread, 1, 2, 3)), " ")
  collectgarbage()
  local junk = {}
  for i = 1, 1000 do junk[i] = ("z"):rep(400) .. i end
  local n = 0
  while n < size do
    local piece = a:recv(nil, { timeout = 5 })
    if not piece or task:status() == "cancelled" then break end
    n = n + #piece
  end
  io.write(tostring(n == size), " ", tostring(task:join(5)), " ", task:status())
end)
]]

describe("the thread of a task in a stock interpreter", function()
  it("may be resumed by hand: the task waits on", function()
    assert.equal("waiting true true true done", run((SCRIPT:gsub("HOW", "resume"))))
  end)

  it("may be closed: the task is cancelled", function()
    assert.equal("waiting true false false cancelled", run((SCRIPT:gsub("HOW", "close"))))
  end)

  it("may be resumed while the task waits for its children", function()
    assert.equal("draining true done", run([[
      local qn = require "qn"
      qn.run(function()
        local thread
        local child
        local task = qn.spawn(function()
          thread = coroutine.running()
          child = qn.spawn(qn.sleep, 0.02)
        end)
        while task:status() ~= "draining" do qn.sleep(0) end
        io.write(task:status(), " ", tostring(coroutine.resume(thread, 1)), " ")
        task:join(5)
        io.write(task:status())
      end)
    ]]))
  end)

  it("may be closed while the task waits for its children, who are cancelled", function()
    assert.equal("draining true cancelled cancelled", run([[
      local qn = require "qn"
      qn.run(function()
        local thread
        local child
        local task = qn.spawn(function()
          thread = coroutine.running()
          child = qn.spawn(qn.sleep, 100)
        end)
        while task:status() ~= "draining" do qn.sleep(0) end
        io.write(task:status(), " ", tostring(coroutine.close(thread)), " ")
        task:join(5)
        io.write(task:status(), " ", child:status())
      end)
    ]]))
  end)
end)
