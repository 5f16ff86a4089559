-- The Lua half of datagram sockets: request and answer.

local qn = require "qn"
local splits = require "spec.support.splits"

local function throws(text, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(err):find(text, 1, true), tostring(err))
end

local function assert_error(kind, value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err), tostring(err))
  assert.equal(kind, err.kind)
  return err
end

describe("a request", function()
  local server, client
  before_each(function()
    server = assert(qn.udp.bind("127.0.0.1", 0))
    client = assert(qn.udp.connect("127.0.0.1", server:local_port()))
  end)
  after_each(function()
    server:close()
    client:close()
    server, client = nil, nil
  end)

  local function serve(f)
    return qn.spawn(function()
      local n = 0
      for data, from in server:each() do
        n = n + 1
        f(n, data, from)
      end
    end)
  end

  it("is answered", function()
    serve(function(_, data, from) from:reply("re: " .. data) end)
    local answer, from = client:request("question")
    assert.equal("re: question", answer)
    assert.equal(server:local_port(), from.port)
    server:close()
  end)

  it("is sent again when nothing comes", function()
    serve(function(n, data, from)
      if n == 3 then
        from:reply(data .. n)
      end
    end)
    assert.equal("q3", (client:request("q", { timeout = 0.02, retries = 1000 }))) -- a late answer counts as well
    server:close()
  end)

  it("ends after the last try", function()
    local seen = 0
    serve(function(n) seen = n end)
    local err = assert_error("timeout", client:request("q", { timeout = 0.01, retries = 2 }))
    assert.equal("read", err.phase)
    splits.until_true("all have come", function() return seen >= 3 end)
    for _ = 1, 5 do qn.yield() end
    assert.equal(3, seen)
    server:close()
  end)

  it("takes what matches only", function()
    serve(function(_, _, from)
      from:reply("noise")
      from:reply("id7 yes")
    end)
    local others = {}
    local answer = client:request("q", { match = "id7", on_other = function(data) others[#others + 1] = data end })
    assert.equal("id7 yes", answer)
    assert.same({ "noise" }, others)
    local function is_noise(data, from)
      return data == "noise" and from.port == server:local_port()
    end
    assert.equal("noise", (client:request("q", { match = is_noise })))
    server:close()
  end)

  it("ends although others never stop to send", function()
    local u <close> = assert(qn.udp.bind("127.0.0.1", 0))
    local over = false
    local flood = qn.spawn(function()
      local from <close> = assert(qn.udp.connect("127.0.0.1", u:local_port()))
      while not over do
        assert(from:send_batch { "noise", "noise", "noise", "noise" })
        qn.yield()
      end
    end)
    local opts = { host = "127.0.0.1", port = server:local_port(), match = "id", timeout = 0.02, retries = 0 }
    local err = assert_error("timeout", u:request("q", opts))
    assert.equal("read", err.phase)
    over = true
    flood:join()
  end)

  it("goes to any address", function()
    serve(function(_, _, from) from:reply("here") end)
    local u <close> = assert(qn.udp.socket())
    assert.equal("here", (u:request("q", { host = "127.0.0.1", port = server:local_port() })))
    server:close()
  end)

  it("to nobody is refused soon", function()
    server:close()
    assert_error("refused", client:request("q", { timeout = 60 }))
    assert.equal("connected", client:state())
  end)

  it("is cancelled", function()
    local task = qn.spawn(client.request, client, "q")
    qn.yield()
    task:cancel()
    assert.is_false((task:join()))
    assert.equal("q", (server:recv()))
  end)

  it("says what is wrong", function()
    throws("unknown option 'retrys' (did you mean 'retries'?)", client.request, client, "q", { retrys = 1 })
    throws("option 'match'", client.request, client, "q", { match = 1 })
    client:close()
    assert_error("closed", client:request("q"))
  end)

  it("gives up what it made when a connect is cancelled", function()
    local task = qn.spawn(qn.udp.connect, "localhost", 9)
    qn.yield()
    task:cancel()
    local ok, socket = task:join()
    if ok then -- the hosts file was faster
      assert(socket):close()
    else
      assert.is_true(qn.is_cancelled(socket), tostring(socket))
    end
  end)
end)
