-- Texts that may be secrets are in no message of misuse, and the message names the option that was meant.

local qn = require "qn"

local tls, dtls = qn.tls, qn.dtls
local SECRET <const> = "hunter2-hunter2-hunter2-hunter2"

local function message_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

local function has(text, what)
  assert.is_truthy(text:find(what, 1, true), text)
  assert.is_nil(text:find(SECRET:sub(1, 7), 1, true), text)
end

describe("secrets in messages", function()
  local cert, key

  before_each(function()
    cert, key = assert(tls.self_signed { names = "a.example" })
  end)

  it("are not those of cookies", function()
    local short = SECRET:sub(1, 8)
    has(message_of(dtls.verifier, { secret = short }), "option 'secret' must be 16 to 1024 bytes, got 8 bytes")
    has(message_of(dtls.listen, "127.0.0.1", 0, { cert = cert, key = key, cookie_secret = short }),
      "option 'cookie_secret'")
    has(message_of(dtls.verifier, { secret = SECRET:rep(100) }), "option 'secret'")
  end)

  it("are not keys where something else is meant", function()
    for _, f in ipairs { tls.self_signed, tls.request } do
      local text = message_of(f, { names = "a.example", key = SECRET })
      has(text, "option 'key' must be a qn.Key, a type of keys")
      has(message_of(f, { names = "a.example", key = { type = SECRET } }), "option 'key'")
      local pem = key:to_pem()
      assert.is_nil(message_of(f, { names = "a.example", key = pem }):find(pem:sub(30, 60), 1, true))
    end
    has(message_of(tls.export_pkcs12, { certificate = cert, key = SECRET, passphrase = "x" }),
      "option 'key' must be a private qn.Key, got 31 bytes")
  end)

  it("are not passphrases that are numbers", function()
    local text = message_of(tls.configuration, { cert = cert, key = key, passphrase = 48151623 })
    assert.is_truthy(text:find("option 'passphrase' must be string, got number", 1, true))
    assert.is_nil(text:find("48151623", 1, true))
  end)
end)

describe("misuse", function()
  it("is told where and of what it is", function()
    local here = debug.getinfo(1, "S").short_src
    for name, f in pairs {
      key = function() return (tls.key(nil)) end,
      ciphers = function() return (tls.ciphers {}) end,
      over = function() return (dtls.over(io.stdout)) end,
      listen = function() return (dtls.listen("nope", 0, { psk = { identity = "x", key = SECRET } })) end,
    } do
      local text = message_of(f)
      assert.are.equal(here, text:match "^([^:]+):%d+: ")
      has(text, ("bad argument #1 to '%s'"):format(name))
    end
  end)
end)

describe("connect of an endpoint", function()
  it("answers hosts that cannot be by an error", function()
    local socket <close> = assert(qn.udp.bind("127.0.0.1", 0))
    local endpoint <close> = assert(dtls.over(socket))
    for _, host in ipairs { "1..2", "[::1]", ".", "1.2.3.4.5.6.", "::1%nope" } do
      local connection, err = endpoint:connect(host, 4433, { timeout = 5 })
      assert.is_nil(connection)
      assert.is_truthy(err.kind, host)
    end
  end)
end)
