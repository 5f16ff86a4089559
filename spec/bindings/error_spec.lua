-- Error objects and cancellation values. Section 2 of the API.
-- covers: bindings/error.c
local qn = require "qn"

local KINDS <const> = {
  "timeout", "refused", "reset", "unreachable", "closed", "eof", "dns", "tls", "protocol", "http", "limit", "denied",
  "busy", "exists", "proxy", "auth", "invalid", "unsupported", "not_yieldable", "io",
}

describe("qn.error", function()
  it("makes an error of each kind of the closed set", function()
    for _, kind in ipairs(KINDS) do
      local err = qn.error(kind, "message")
      assert.equal(kind, err.kind)
      assert.equal("message", err.message)
      assert.is_true(qn.is_error(err))
      assert.is_true(qn.is_error(err, kind))
      assert.is_false(qn.is_error(err, kind == "io" and "eof" or "io"))
    end
  end)

  it("refuses other kinds and names the nearest", function()
    assert.error_matches(function() qn.error("timeuot", "x") end, "unknown error kind 'timeuot' %(did you mean 'timeout'")
    assert.error_matches(function() qn.error("zzz", "x") end, "unknown error kind 'zzz'")
    assert.error(function() qn.error() end)
    assert.error_matches(function() qn.error("io") end, "bad argument #2 to 'error'")
    assert.error_matches(function() qn.error("io", "x", 5) end, "bad argument #3 to 'error'")
    assert.error_matches(function() qn.is_error(qn.error("io", "x"), "zzz") end, "unknown error kind")
  end)

  it("carries fields, and keeps its own", function()
    local cause = qn.error("reset", "inner")
    local fields = { code = "MINE", op = "parse", peer = "host:1", cause = cause, status = 5, partial = "abc", kind = "io",
      extra = { 1 } }
    local err = qn.error("protocol", "bad frame", fields)
    assert.equal("protocol", err.kind)
    assert.equal("MINE", err.code)
    assert.is_true(rawequal(cause, err.cause))
    assert.equal("abc", err.partial)
    assert.equal(5, err.status)
    assert.is_true(rawequal(fields.extra, err.extra))
    assert.is_nil(err.no_such_field)
    fields.code = "CHANGED"
    assert.equal("MINE", err.code)
    assert.equal("MINE", err:fields().code)
  end)

  it("says whether trying again may help", function()
    assert.is_true(qn.error("timeout", "x").temporary)
    assert.is_true(qn.error("busy", "x").temporary)
    assert.is_false(qn.error("invalid", "x").temporary)
    assert.is_true(qn.error("invalid", "x", { temporary = true }).temporary)
  end)
end)

describe("an error", function()
  it("prints as one line: op, peer, text, code", function()
    assert.equal("text", tostring(qn.error("io", "text")))
    assert.equal("read: text", tostring(qn.error("io", "text", { op = "read" })))
    assert.equal("read host:1: text (C)", tostring(qn.error("io", "text", { op = "read", peer = "host:1", code = "C" })))
    assert.equal("host:1: text", tostring(qn.error("io", "text", { peer = "host:1" })))
  end)

  it("concatenates", function()
    local err = qn.error("io", "text")
    assert.equal("x: text", "x: " .. err)
    assert.equal("text!", err .. "!")
    assert.equal("texttext", err .. err)
    assert.equal("1text", 1 .. err)
  end)

  it("is read only", function()
    local err = qn.error("io", "text")
    assert.error(function() err.kind = "eof" end)
    assert.error(function() err.new = 1 end)
    assert.equal("io", err.kind)
    assert.equal("qn", getmetatable(err))
    assert.error(function() setmetatable(err, {}) end)
  end)

  it("is thrown as it is", function()
    local err = qn.error("limit", "text")
    local ok, thrown = pcall(error, err)
    assert.is_false(ok)
    assert.is_true(rawequal(err, thrown))
  end)

  it("of the runtime tells op, peer, kind, code and phase", function()
    local server = assert(qn.tcp.listen("127.0.0.1", 0))
    local port = server:port()
    server:close()
    local socket, err = qn.tcp.connect("127.0.0.1", port)
    assert.is_nil(socket)
    assert.equal("refused", err.kind)
    assert.equal("ECONNREFUSED", err.code)
    assert.equal("connect", err.op)
    assert.matches("127.0.0.1:" .. port, err.peer)
    assert.matches("^connect 127.0.0.1:" .. port .. ": .+ %(ECONNREFUSED%)$", tostring(err))
    assert.is_nil((tostring(err):find("\n")))
  end)

  it("is no error: other values", function()
    for _, value in ipairs { 1, "x", {}, print, true, setmetatable({}, { __name = "qn.Error" }), io.stdout } do
      assert.is_false(qn.is_error(value))
      assert.is_false(qn.is_cancelled(value))
    end
    assert.is_false(qn.is_error(nil))
    assert.is_false(qn.is_cancelled(nil))
    assert.is_false(qn.is_error())
  end)
end)

describe("a cancellation", function()
  it("is no error object, is read only, prints its reason", function()
    local task = qn.spawn(qn.sleep, 30)
    qn.yield()
    local reason = setmetatable({}, { __tostring = function() return "because" end })
    task:cancel(reason)
    local _, err = task:join()
    assert.is_true(qn.is_cancelled(err))
    assert.is_false(qn.is_error(err))
    assert.is_true(rawequal(reason, err.reason))
    assert.equal("cancelled: because", tostring(err))
    assert.equal("cancelled", err.message)
    assert.error(function() err.reason = 1 end)
  end)
end)
