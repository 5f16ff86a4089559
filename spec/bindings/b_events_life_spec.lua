-- Objects with listeners and the collector: alive while events can come, gone afterwards.
-- covers: bindings/b_events.c

local qn = require "qn"
local leaks = require "spec.support.leaks"
local program = require "spec.support.program"
local splits = require "spec.support.splits"

local function serving(f, opts)
  local server <close> = assert(qn.tcp.listen("127.0.0.1", 0, opts))
  return f(server)
end

describe("servers", function()
  it("are let go with their listeners when they are closed, by any way", function()
    local function close(server) server:close() end
    local function stop(server) server:stop() end
    local function scope(server)
      local s <close> = server
      return s
    end
    for _, way in ipairs { close, stop, scope } do
      local watched = setmetatable({}, { __mode = "k" })
      do
        local server = assert(qn.tcp.listen("127.0.0.1", 0))
        server:on("new_connection", function() return server end)
        watched[server] = true
        way(server)
      end
      collectgarbage()
      collectgarbage()
      assert.is_nil((next(watched)))
    end
  end)
end)

describe("the collector", function()
  local function watch(make)
    local watched = setmetatable({}, { __mode = "k" })
    watched[make()] = true
    collectgarbage()
    collectgarbage()
    return watched
  end

  it("leaves a connected socket with listeners alone until it has ended", function()
    serving(function(server)
      local log = {}
      local watched = watch(function()
        local s = assert(qn.tcp.connect("127.0.0.1", server:port()))
        s:on("ready_read", function()
          log[#log + 1] = s:recv()
          if log[#log] == "end" then
            s:close()
          end
        end)
        return s
      end)
      local far <close> = assert(server:accept())
      for _, word in ipairs { "one", "two", "end" } do
        collectgarbage()
        far:write(word)
        splits.until_true("it was heard", function() return log[#log] == word end)
      end
      assert.is_nil(far:read(1))
      splits.until_true("it is collected", function()
        collectgarbage()
        return next(watched) == nil
      end)
    end)
  end)

  it("takes sockets with listeners whose connection has ended by itself", function()
    serving(function(server)
      local over = false
      local watched = watch(function()
        local s = assert(qn.tcp.connect("127.0.0.1", server:port()))
        s:on("read_channel_finished", function()
          s:shutdown("w")
        end)
        s:on("closed", function()
          over = true
        end)
        return s
      end)
      do
        local far <close> = assert(server:accept())
        far:write("x")
      end
      -- one byte nobody reads stays behind, the connection is over all the same
      splits.until_true("it has ended", function() return over end)
      splits.until_true("it is collected", function()
        collectgarbage()
        return next(watched) == nil
      end)
    end)
  end)

  it("takes sockets with listeners that were never connected, or could not be", function()
    local port = program.free_port()
    local watched = watch(function()
      local s = qn.tcp.socket()
      s:on("connected", function() return s end)
      return s
    end)
    assert.is_nil((next(watched)))
    watched = watch(function()
      local s = qn.tcp.socket()
      s:on("error", function() return s end)
      assert(not s:connect("127.0.0.1", port))
      return s
    end)
    splits.until_true("it is collected", function()
      collectgarbage()
      return next(watched) == nil
    end)
    watched = watch(function()
      local s = qn.tcp.socket()
      s:on("error", function() return s end)
      s:close()
      assert(not s:connect("127.0.0.1", port))
      return s
    end)
    splits.until_true("it is collected", function()
      collectgarbage()
      return next(watched) == nil
    end)
  end)

  it("takes what nobody listens to any more", function()
    leaks.expect { leaked = 1 }
    serving(function(server)
      local watched = watch(function()
        local s = assert(qn.tcp.connect("127.0.0.1", server:port()))
        s:on("ready_read", function() end)
        s:off()
        return s
      end)
      assert.is_nil((next(watched)))
    end)
  end)

  it("keeps a socket whose connect nobody waits for any more, until it is up or has failed", function()
    serving(function(server)
      local log = {}
      do
        local s = qn.tcp.socket()
        s:on("connected", function()
          log[#log + 1] = "connected"
          s:close()
        end)
        qn.spawn(s.connect, s, "127.0.0.1", server:port())
      end
      collectgarbage()
      splits.until_true("it is up", function() return log[1] end)
    end)
  end)
end)
