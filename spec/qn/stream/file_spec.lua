if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local File = require "qn.stream.file"

describe("a stream over an io file", function()
  local file

  before_each(function()
    file = io.tmpfile()
    file:write "one\ntwo\nthree"
    file:seek("set", 0)
  end)

  after_each(function()
    if io.type(file) == "file" then
      file:close()
    end
  end)

  it("reads", function()
    local f = File.new(file)
    assert.equal("one", f:read "l")
    assert.equal("two\n", f:read_exactly(4))
    assert.equal("th", f:peek(2))
    assert.equal("three", f:read "a")
    assert.is_nil(f:read(1))
    assert.is_true(f:at_end())
  end)

  it("takes from the file no more than it was asked for", function()
    local f = File.new(file)
    f:read_exactly(2)
    assert.equal(2, file:seek())
    assert.equal("e", file:read(1))
  end)

  it("tells and moves the position, with bytes given back, too", function()
    local f = File.new(file)
    f:read "l"
    assert.equal(4, f:seek())
    f:unread "e\n"
    assert.equal(2, f:seek("cur", 0))
    assert.equal(3, f:seek("cur", 1))
    assert.equal("\n", f:read(1))
    assert.equal(8, f:seek("end", -5))
    assert.equal("three", f:read "a")
    assert.equal(0, f:seek("set"))
    assert.equal("one", f:read "l")
  end)

  it("rolls back", function()
    local f = File.new(file)
    f:begin()
    assert.equal("one", f:read "l")
    assert.has_error(function()
      f:seek("set", 0)
    end, "seek: a read transaction is open")
    f:rollback()
    assert.equal("one\ntwo\nthree", f:read "a")
  end)

  it("writes at the reading position, and reads on", function()
    local f = File.new(file)
    assert.equal("one", f:read "l")
    assert.equal("t", f:peek(1))
    assert.is_true(f:write("T", "W"))
    assert.equal("o", f:read "l")
    assert.is_true(f:flush())
    assert.equal(0, f:seek("set", 0))
    assert.equal("one\nTWo\nthree", f:read "a")
  end)

  it("reads pipes", function()
    local pipe = io.popen("printf 'a b\\nc'", "r")
    local f = File.new(pipe)
    assert.equal("a b", f:read "l")
    assert.equal("c", f:read "a")
    local at, err = f:seek()
    assert.is_nil(at)
    assert.equal("io", err.kind)
    f:close()
  end)

  it("gives errors of the file", function()
    local f = File.new(assert(io.open("/dev/full", "w")))
    f:write(("x"):rep(100))
    local ok, err = f:flush()
    assert.is_nil(ok)
    assert.equal("io", err.kind)
    assert.truthy(tostring(err):find("No space left", 1, true))
    local data, read_err = f:read(1)
    assert.is_nil(data)
    assert.equal("io", read_err.kind)
    f:close()
  end)

  it("gives errors of what the file cannot do", function()
    local path = os.tmpname()
    local f = File.new(assert(io.open(path, "r")))
    local ok, err = f:write "x"
    assert.is_nil(ok)
    assert.equal("io", err.kind)
    ok, err = f:seek("set", -1)
    assert.is_nil(ok)
    assert.equal("io", err.kind)
    f:close()
    os.remove(path)
  end)

  it("gives kind closed once the file is closed", function()
    local f = File.new(file)
    f:close()
    f:close()
    for _, call in ipairs { "read", "write", "flush", "seek" } do
      local value, err = f[call](f, call == "read" and 1 or nil)
      assert.is_nil(value)
      assert.equal("closed", err.kind, call)
    end
    assert.has_error(function()
      File.new(file)
    end, "bad argument #1 to 'new' (open file expected, got closed file)")
  end)
end)
