-- The rows LOC-* of the Qt coverage (QLocalSocket, QLocalServer), one spec per row;
-- docs/qt-coverage.md names them.

local qn = require "qn"
local program = require "spec.support.program"

local function fresh_path()
  local path = os.tmpname()
  os.remove(path)
  return path
end

local function eventually(condition)
  program.until_true("what is expected", condition)
end

describe("QLocalSocket and QLocalServer", function()
  it("LOC-01 connect, close, abort", function()
    local path = fresh_path()
    local server <close> = assert(qn.unix.listen(path))
    local socket <close> = assert(qn.unix.connect(path))
    local far <close> = assert(server:accept(10))
    socket:write("hello")
    socket:close()
    assert.equal("hello", far:read("a"))
    local second = assert(qn.unix.connect(path))
    second:abort()
    assert.is_false(second:is_open())
    server:accept(10):close()
  end)

  it("LOC-02 names and facts are those of any socket", function()
    local path = fresh_path()
    local server <close> = assert(qn.unix.listen(path))
    local socket <close> = assert(qn.unix.connect(path))
    local far <close> = assert(server:accept(10))
    assert.equal(path, socket:peer_name())
    assert.equal("connected", socket:state())
    assert.is_true(socket:is_open())
    assert.is_true(socket:descriptor() >= 0)
    socket:set_read_buffer_size(1000)
    assert.equal(1000, socket:read_buffer_size())
    far:write("a line\n")
    assert.equal("a line", socket:read("l"))
    assert.is_true(socket:flush())
  end)

  it("LOC-03 errors: no such name, a peer that breaks off, a name that is too long", function()
    local path = fresh_path()
    local _, err = qn.unix.connect(path)
    assert.equal("ENOENT", err.code)
    assert.equal(path, err.peer)
    local server = assert(qn.unix.listen(path))
    local socket <close> = assert(qn.unix.connect(path))
    server:accept(10):abort()
    assert.equal("", (socket:read("a", { timeout = 10 })) or "")
    server:close()
    assert.has_error(function() qn.unix.connect(("x"):rep(200)) end)
  end)

  it("LOC-04 events as on any socket", function()
    local path = fresh_path()
    local server <close> = assert(qn.unix.listen(path))
    local socket <close> = assert(qn.unix.connect(path))
    local order = {}
    for _, name in ipairs { "disconnected", "read_channel_finished" } do
      socket:on(name, function() order[#order + 1] = name end)
    end
    socket:on("state_changed", function(state) order[#order + 1] = state end)
    server:accept(10):close()
    eventually(function() return order[1] end)
    socket:close()
    eventually(function() return order[#order] == "disconnected" end)
    assert.equal("read_channel_finished", order[1])
  end)

  it("LOC-05 a socket file: made, in the way when stale, removed", function()
    local path = fresh_path()
    local server = assert(qn.unix.listen(path))
    assert.equal(path, server:address())
    assert.is_true(server:is_listening())
    local other, err = qn.unix.listen(path)
    assert.is_nil(other)
    assert.equal("exists", err.kind)
    server:close()
    assert.is_nil(io.open(path))
    -- a stale one, as a killed server leaves it
    local dead <close> = program.start { program.qnlua(), "-e",
      ("s = qn.unix.listen(%q) print('up') io.flush() qn.sleep(60)"):format(path) }
    dead:wait_for("up")
    dead:stop("KILL")
    other, err = qn.unix.listen(path)
    assert.is_nil(other)
    assert.equal("exists", err.kind)
    local again <close> = assert(qn.unix.listen(path, { unlink = true }))
    assert.is_true(again:is_listening())
    assert.is_true(qn.unix.remove(path))
    assert.is_true(qn.unix.remove(path)) -- nothing there is no error
  end)

  it("LOC-06 pending connections and their event", function()
    local path = fresh_path()
    local server <close> = assert(qn.unix.listen(path, { max_pending = 2 }))
    assert.equal(2, server:max_pending())
    local socket <close> = assert(qn.unix.connect(path))
    eventually(function() return server:pending() == 1 end)
    server:accept():close()
    assert.equal("timeout", select(2, server:accept(0.01)).kind)
    assert.is_true(socket:is_open())
    assert.is_nil(server:error())
  end)

  it("Q5-20 permissions, abstract names", function()
    local path = fresh_path()
    local server <close> = assert(qn.unix.listen(path, { mode = tonumber("600", 8) }))
    local pipe <close> = assert(io.popen("stat -c %a '" .. path .. "'"))
    assert.equal("600", pipe:read("l"))
    assert.is_true(server:is_listening())
    local name = "@qnlua-spec-" .. path
    local abstract <close> = assert(qn.unix.listen(name))
    local socket <close> = assert(qn.unix.connect(name))
    abstract:accept(10):close()
    assert.equal("", socket:read("a"))
  end)
end)
