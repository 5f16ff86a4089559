-- qn.install: what it replaces, what it leaves, and that a host gets everything back.

local install = require "qn.install"
local core = require "qn.core"

describe("qn.install", function()
  it("is in force in this program", function()
    assert.equal(core.coroutine.wrap, coroutine.wrap)
    assert.equal(core.exit, os.exit)
    assert.equal(require "qn.require".require, require)
  end)

  it("replaces what was changed since, and may be called again", function()
    local exit, wrap = os.exit, coroutine.wrap
    os.exit = function() end -- luacheck: ignore 122
    coroutine.wrap = nil -- luacheck: ignore 122
    assert.is_true(install.install())
    assert.equal(exit, os.exit)
    assert.equal(wrap, coroutine.wrap)
    assert.is_true(require "qn".install())
    assert.equal(exit, os.exit)
  end)

  it("is undone by uninstall, but for what somebody else has replaced", function()
    local program = require "spec.support.program"
    local build = os.getenv("QN_BUILD") or program.qnlua():match("^(.*)/bin/qnlua$")
    local status, out, err = program.run({ "lua5.4", "-e", [[
      local exit, create, require_, close = os.exit, coroutine.create, require, coroutine.close
      local install = require "qn.install"
      install.uninstall() -- nothing to undo
      print(os.exit == exit)
      install.install()
      print(os.exit == exit, coroutine.create == create, require == require_)
      local mine = function() end
      coroutine.close = mine
      install.uninstall()
      print(os.exit == exit, coroutine.create == create, require == require_)
      print(coroutine.close == mine)
      coroutine.close = close
      install.install()
      install.uninstall()
      print(coroutine.close == close)]] }, { environment = {
        LUA_CPATH = build .. "/lib/?.so;" .. build .. "/lib/qn/?.so",
        LUA_PATH = "lua/?.lua;lua/?/init.lua",
        LD_PRELOAD = os.getenv("QN_PRELOAD") ~= "" and os.getenv("QN_PRELOAD") or nil,
      } })
    assert.equal("", err)
    assert.equal("true\nfalse\tfalse\tfalse\ntrue\ttrue\ttrue\ntrue\ntrue\n", out)
    assert.equal(0, status)
  end)
end)
