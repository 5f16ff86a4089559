-- qn.unix from end to end: names of every kind, streams like any other.

local qn = require "qn"
local pair = require "spec.support.pair"
local program = require "spec.support.program"

describe("qn.unix", function()
  local folder
  setup(function() folder = program.scratch() end)
  teardown(function() program.remove(folder) end)

  it("serves as TCP does", function()
    for _, name in ipairs { folder .. "/server", pair.unix_name() } do
      local server <close> = assert(qn.unix.listen(name, { backlog = 10, max_pending = 5 }))
      assert.equal(name, server:address())
      assert.equal("qn.Server: " .. name, tostring(server))
      assert.equal(5, server:max_pending())
      local task = qn.spawn(server.serve, server, function(s)
        for line in s:lines() do
          s:write(line:upper(), "\n")
        end
      end)
      for i = 1, 3 do
        local s <close> = assert(qn.unix.connect(name, { timeout = 20 }))
        s:write("line ", i, "\n")
        assert.equal("LINE " .. i, s:read("l"))
      end
      server:close()
      assert.same({ true, true }, { task:join() })
    end
  end)

  it("does not let a name of the file system be too long", function()
    local name = folder .. "/" .. ("n"):rep(107 - #folder - 1)
    local server <close> = assert(qn.unix.listen(name)) -- the longest there is
    local s <close> = assert(qn.unix.connect(name))
    local far <close> = assert(server:accept())
    far:write("fits")
    assert.equal("fits", s:read(4))
    assert.has_error(function() qn.unix.listen(name .. "n") end)
    assert.has_error(function() qn.unix.connect(name .. "n") end)
  end)

  it("tells what it cannot connect to", function()
    local path = folder .. "/plain"
    assert(io.open(path, "w")):close()
    local cases = { [folder .. "/missing"] = "io", [path] = "refused", [folder] = "refused", ["@nobody-listens-here"] = "refused" }
    for name, kind in pairs(cases) do
      local s, err = qn.unix.connect(name)
      assert.is_nil(s)
      assert.equal(kind, err.kind, name)
      assert.equal(name:gsub("^@", ""), (err.peer:gsub("^@", "")))
    end
  end)

  it("waits when the backlog is full, up to the time limit", function()
    local name = pair.unix_name()
    local server <close> = assert(qn.unix.listen(name, { backlog = 1 }))
    server:pause()
    local held, err = {}, nil
    for i = 1, 20 do
      held[i], err = qn.unix.connect(name, { timeout = 0.02 })
      if not held[i] then
        break
      end
    end
    assert.equal("timeout", err.kind)
    assert.equal("connect", err.phase)
    local task = qn.spawn(qn.unix.connect, name)
    qn.yield()
    server:resume()
    for _ = 1, #held + 1 do
      local far <close> = assert(server:accept(20))
      assert.truthy(far)
    end
    local ok, s = task:join()
    assert.is_true(ok)
    assert(s):close()
    for _, each in ipairs(held) do
      each:close()
    end
  end)

  it("adopts connected sockets", function()
    assert.equal(qn.tcp.adopt, qn.unix.adopt)
  end)
end)
