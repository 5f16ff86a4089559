-- Ten thousand connections at once: a server and a client in a process each (a process has no more
-- descriptors than that), every connection speaks while all are open, and all are gone at the end.

local program = require "spec.support.program"

local PATIENCE <const> = 300 -- seconds

local SERVER <const> = [[
  local server = assert(qn.tcp.listen("127.0.0.1", 0, { backlog = 4096, max_pending = 1000 }))
  print("port " .. server:port())
  io.stdout:flush()
  local now, most, total = 0, 0, 0
  server:serve(function(s)
    now, total = now + 1, total + 1
    most = math.max(most, now)
    for line in s:lines() do
      if line == "stop" then
        server:close()
      end
      s:write(line, "\n")
    end
    now = now - 1
  end)
  print(("most %d total %d left %d"):format(most, total, now))
]]

local CLIENT <const> = [[
  local port, count = tonumber(os.getenv "PORT"), tonumber(os.getenv "COUNT")
  local sockets = {}
  local function ask(s, text)
    assert(s:write(text, "\n"))
    assert(s:read("l", { timeout = 200 }) == text)
  end
  qn.group({ limit = 200 }, function(g)
    for i = 1, count do
      g:spawn(function()
        local source = "127.0.1." .. (i % 20 + 1)
        local s = assert(qn.tcp.connect("127.0.0.1", port, { bind = source, timeout = 200 }))
        ask(s, "hello " .. i)
        sockets[i] = s
      end)
    end
  end)
  assert(#sockets == count)
  qn.group(function(g) -- all of them at once
    for i = 1, count do
      g:spawn(ask, sockets[i], "again " .. i)
    end
  end)
  print("open " .. #sockets)
  ask(sockets[1], "stop")
  for i = 1, count do
    sockets[i]:close()
  end
  sockets = nil
  while qn.stats().objects > 0 do
    qn.sleep(0.01)
    collectgarbage()
  end
  print("left " .. qn.stats().leaked)
]]

describe("ten thousand connections", function()
  it("speak while all of them are open, and all of them go", function()
    local pipe <close> = assert(io.popen("ulimit -Hn"))
    local limit = math.tointeger(tonumber(pipe:read("l"))) or 1 << 20
    local count = math.min(10000, limit - 100)
    assert.is_true(count >= 1000, "this machine has too few descriptors: " .. limit)
    local shell = 'ulimit -n $(ulimit -Hn) && exec "$0" -e "$1"'
    local server <close> = program.start({ "sh", "-c", shell, program.qnlua(), SERVER })
    local port = server:wait_for("port (%d+)")
    local client <close> = program.start({ "sh", "-c", shell, program.qnlua(), CLIENT },
      { environment = { PORT = port, COUNT = count } })
    client:wait_for("open (%d+)", PATIENCE)
    local status, out, err = client:wait(PATIENCE)
    assert.same({ 0, "" }, { status, err })
    assert.equal(("open %d\nleft 0\n"):format(count), out)
    status, out, err = server:wait(PATIENCE)
    assert.same({ 0, "" }, { status, err })
    assert.truthy(out:find(("most %d total %d left 0"):format(count, count), 1, true), out)
  end)
end)
