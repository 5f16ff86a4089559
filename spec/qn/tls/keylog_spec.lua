-- Where the keys of connections are written: the program's --keylog, SSLKEYLOGFILE, the option `keylog`.
-- covers: lua/qn/cli.lua
-- covers: lua/qn/tls/options.lua

local program = require "spec.support.program"
local tls_streams = require "spec.support.tls_streams"

local SCRIPT <const> = [[
local cert, key, keylog = ...
if keylog == "false" then keylog = false end
local a, b = qn.pair()
local t = qn.spawn(b.start_tls, b, { server = true, cert = cert, key = key, keylog = false })
assert(a:start_tls { verify = "none", keylog = keylog })
t:join()
a:close()
b:close()
]]

describe("the key log", function()
  local streams, shop, script
  setup(function()
    streams = tls_streams.open()
    shop = streams.shop
    script = shop:write("keys.lua", SCRIPT)
  end)
  teardown(function() streams:close() end)

  -- Runs the script and gives what is in the files "option", "variable" and "own".
  local function run(words, environment, own)
    for _, name in ipairs { "option", "variable", "own" } do
      os.remove(shop:path(name))
    end
    local all = { program.qnlua(), table.unpack(words) }
    for _, word in ipairs { script, shop:cert "server", shop:key "server", own } do
      all[#all + 1] = word
    end
    local status, out, err = program.run(all, { environment = environment })
    assert.equal("", out .. err)
    assert.equal(0, status)
    local found = {}
    for _, name in ipairs { "option", "variable", "own" } do
      local file = io.open(shop:path(name), "rb")
      if file then
        assert.truthy(file:read("a"):find("CLIENT_HANDSHAKE_TRAFFIC_SECRET %x+ %x+\n"))
        file:close()
        found[#found + 1] = name
      end
    end
    return table.concat(found, " ")
  end

  it("is off when nobody asks for it", function()
    assert.equal("", run({}, { SSLKEYLOGFILE = "" }))
  end)

  it("goes where SSLKEYLOGFILE says, unless the environment is ignored", function()
    local environment = { SSLKEYLOGFILE = shop:path "variable" }
    assert.equal("variable", run({}, environment))
    assert.equal("", run({ "-E" }, environment))
  end)

  it("goes where --keylog says, which counts more", function()
    local environment = { SSLKEYLOGFILE = shop:path "variable" }
    assert.equal("option", run({ "--keylog", shop:path "option" }, environment))
    assert.equal("option", run({ "-E", "--keylog=" .. shop:path "option" }, environment))
  end)

  it("goes where the option of a connection says, which counts most", function()
    assert.equal("own", run({ "--keylog", shop:path "option" }, {}, shop:path "own"))
    assert.equal("", run({ "--keylog", shop:path "option" }, {}, "false"))
  end)

  it("is an error where it cannot be written", function()
    local status, _, err = program.run { program.qnlua(), "--keylog", "/nowhere/keys", script,
      shop:cert "server", shop:key "server" }
    assert.equal(1, status)
    assert.truthy(err:find("/nowhere/keys", 1, true), err)
    status, _, err = program.run { program.qnlua(), "--keylog" }
    assert.equal(2, status)
    assert.truthy(err:find("'--keylog' needs argument", 1, true))
  end)
end)
