-- Every operation of the runtime that waits, for the cancellation specs: each entry makes the world in
-- which the operation waits, and what ends it.
-- A maker returns { op = what waits, release = what lets it go on (may itself be called at any time,
-- also when nobody waits), close = the end of the world }. `release` must not wait.

local qn = require "qn"
local hosts = require "spec.support.hosts"
local pair = require "spec.support.pair"
local pipes = require "spec.support.pipes"

local M = {}

local makers = {}

function makers.sleep()
  return { op = function() qn.sleep(0.004) end }
end

function makers.yield()
  return { op = function() for _ = 1, 6 do qn.yield() end end }
end

function makers.join()
  local event = qn.event()
  local task = qn.spawn(function() event:wait() end)
  return {
    op = function() return task:join() end,
    release = function() event:set() end,
    close = function() task:cancel() task:join() end,
  }
end

-- A datagram socket that sends to itself: what is in it afterwards is what was sent and not received.
local function udp_world(op)
  local socket = assert(qn.udp.bind("127.0.0.1", 0))
  local sent, got = 0, 0
  return {
    op = function() got = got + op(socket) end,
    release = function()
      if socket:state() == "bound" then
        assert(socket:try_send("x", "127.0.0.1", socket:local_port()))
        sent = sent + 1
      end
    end,
    close = function()
      while socket:recv { timeout = 0 } do
        got = got + 1
      end
      socket:close()
      assert(got == sent, ("of %d datagrams %d were lost"):format(sent, sent - got))
    end,
  }
end

makers["udp recv"] = function()
  return udp_world(function(socket) return socket:recv { timeout = 0.01 } and 1 or 0 end)
end

makers["udp recv_batch"] = function()
  return udp_world(function(socket) return #(socket:recv_batch(4, { timeout = 0.01 }) or {}) end)
end

makers["udp request"] = function()
  local server = assert(qn.udp.bind("127.0.0.1", 0))
  local client = assert(qn.udp.connect("127.0.0.1", server:local_port()))
  return {
    op = function() return client:request("question", { timeout = 0.003, retries = 1 }) end,
    release = function()
      if client:state() == "connected" then
        server:try_send("answer", "127.0.0.1", client:local_port())
      end
    end,
    close = function()
      server:close()
      client:close()
    end,
  }
end

makers["udp send to a name"] = function()
  local socket = assert(qn.udp.bind("127.0.0.1", 0))
  return {
    op = function() return socket:send("x", "localhost", socket:local_port()) end,
    close = function() socket:close() end,
  }
end

makers["udp connect"] = function()
  return { op = function()
    local socket = qn.udp.connect("localhost", 9)
    if socket then
      socket:close()
    end
  end }
end

makers["channel recv"] = function()
  local channel = qn.channel()
  return {
    op = function() return channel:recv() end,
    release = function() channel:try_send("x") end,
    close = function() channel:close() end,
  }
end

makers["channel send"] = function()
  local channel = qn.channel()
  return {
    op = function() return channel:send("x") end,
    release = function() channel:try_recv() end,
    close = function() channel:close() end,
  }
end

makers["mutex lock"] = function()
  local mutex = qn.mutex()
  local guard = mutex:try_lock()
  return {
    op = function() local _ <close> = mutex:lock() end,
    release = function() guard:release() end,
    close = function()
      guard:release()
      assert(not mutex:is_locked(), "the mutex was lost")
    end,
  }
end

makers["semaphore acquire"] = function()
  local semaphore = qn.semaphore(1)
  local guard = semaphore:try_acquire()
  return {
    op = function() local _ <close> = semaphore:acquire() end,
    release = function() guard:release() end,
    close = function()
      guard:release()
      assert(semaphore:available() == 1, "a unit was lost")
    end,
  }
end

makers["event wait"] = function()
  local event = qn.event()
  return { op = function() return event:wait() end, release = function() event:set() end }
end

makers["condition wait"] = function()
  local mutex, condition = qn.mutex(), qn.condition()
  return {
    op = function()
      local _ <close> = mutex:lock()
      return condition:wait(mutex)
    end,
    release = function() condition:notify_all() end,
    close = function() assert(not mutex:is_locked(), "the mutex was lost") end,
  }
end

makers["group"] = function()
  local event = qn.event()
  return {
    op = function()
      return qn.group(function(g)
        g:spawn(function() event:wait() end)
        g:spawn(function() event:wait() end)
      end)
    end,
    release = function() event:set() end,
  }
end

local modules = 0
makers["require"] = function()
  modules = modules + 1
  local name = "spec_stress_module_" .. modules
  local event = qn.event()
  package.preload[name] = function() event:wait() return name end
  local loader = qn.spawn(function() pcall(require, name) end)
  return {
    op = function() return require(name) end,
    release = function() event:set() end,
    close = function()
      event:set()
      loader:join()
      package.preload[name], package.loaded[name] = nil, nil
    end,
  }
end

makers["a generator"] = function()
  local event = qn.event()
  return {
    op = function()
      for _ in coroutine.wrap(function()
        coroutine.yield(1)
        coroutine.wrap(function() event:wait() end)()
        coroutine.yield(2)
      end) do end
    end,
    release = function() event:set() end,
  }
end

makers["accept"] = function()
  local server = assert(qn.tcp.listen("127.0.0.1", 0))
  local client = qn.tcp.socket()
  local connecting
  return {
    op = function()
      local socket = server:accept()
      if socket then socket:close() end
    end,
    release = function()
      if not connecting then
        connecting = qn.spawn(function() client:connect("127.0.0.1", server:port()) end)
      end
    end,
    close = function()
      if connecting then
        connecting:cancel()
        connecting:join()
      end
      client:abort()
      server:close()
    end,
  }
end

local identity

makers["accept (TLS)"] = function()
  if not identity then
    local cert, key = qn.tls.self_signed { names = { "localhost" } }
    identity = { cert = cert, key = key }
  end
  local server = assert(qn.tls.listen("127.0.0.1", 0, identity))
  local connecting
  return {
    op = function()
      local socket = server:accept()
      if socket then socket:close() end
    end,
    release = function()
      if not connecting then
        connecting = qn.spawn(function()
          local _ <close> = qn.tls.connect("127.0.0.1", server:port(), { verify = "none" })
        end)
      end
    end,
    close = function()
      if connecting then
        connecting:cancel()
        connecting:join()
      end
      server:close()
    end,
  }
end

makers["connect"] = function()
  local server = assert(qn.tcp.listen("127.0.0.1", 0))
  return {
    op = function()
      local _ <close> = qn.tcp.connect("127.0.0.1", server:port())
      qn.yield()
    end,
    close = function() server:close() end,
  }
end

makers["connect (several addresses)"] = function()
  local server = assert(qn.tcp.listen("127.0.0.1", 0))
  local resolver = hosts.resolver { ["host.test"] = { "127.0.0.3", "127.0.0.2", "127.0.0.1" } }
  return {
    op = function()
      local _ <close> = qn.tcp.connect("host.test", server:port(), { resolver = resolver })
      qn.yield()
    end,
    close = function() server:close() hosts.close(resolver) end,
  }
end

makers["notifier wait"] = function()
  local p = pipes.pipe()
  local n = assert(qn.notifier(p.r.fd, "read"))
  return {
    op = function() return n:wait() end,
    release = function() if p.w.file then p.w:write("x") end end,
    close = function() n:close() p.r:close() p.w:close() end,
  }
end

-- A DNS server that answers (that there is nothing) from its release on, and a resolver that asks it.
local function dns_world(op)
  return function()
    local server = assert(qn.udp.bind("127.0.0.1", 0))
    local resolver = assert(qn.dns.resolver {
      servers = "127.0.0.1:" .. server:local_port(), hosts = false, search = false })
    local answering
    return {
      op = function() return op(resolver) end,
      release = function()
        answering = answering or qn.spawn(function()
          while true do
            local question, from = server:recv()
            if not question then return end
            from:reply(question:sub(1, 2) .. "\x85\x80\0\1" .. ("\0"):rep(6) .. question:sub(13))
          end
        end)
      end,
      close = function()
        resolver:close()
        server:close()
        if answering then
          answering:cancel()
          answering:join()
        end
      end,
    }
  end
end

makers["dns lookup"] = dns_world(function(r) return r:lookup("host.test") end)
makers["dns query"] = dns_world(function(r) return r:query("host.test", "MX") end)
makers["dns reverse"] = dns_world(function(r) return r:reverse("192.0.2.1") end)
makers["dns lookup of a literal"] = dns_world(function(r) return r:lookup("192.0.2.1") end)

makers["dns lookup, resolver closed"] = function()
  local resolver = assert(qn.dns.resolver { servers = "127.0.0.1:9", hosts = false })
  return {
    op = function() return resolver:lookup("host.test") end,
    release = function() resolver:close() end,
    close = function() resolver:close() end,
  }
end

makers["connect (unix)"] = function()
  local name = pair.unix_name()
  local server = assert(qn.unix.listen(name))
  return {
    op = function()
      local _ <close> = qn.unix.connect(name)
      qn.yield()
    end,
    close = function() server:close() end,
  }
end

makers["event of a stream"] = function()
  local a, b = qn.pair()
  return {
    op = function() return b:wait("ready_read") end,
    release = function() a:write("x") end,
    close = function() a:abort() b:abort() end,
  }
end

makers["signal wait"] = function()
  local signal = assert(qn.signal("usr2"))
  return { op = function() return signal:wait() end, close = function() signal:close() end }
end

-- The reading and writing operations, over each kind of pair.
local reads = {
  ["read(n)"] = function(s) return s:read(8) end,
  ["read(l)"] = function(s) return s:read("l") end,
  ["read(L)"] = function(s) return s:read("L") end,
  ["read(n)umber"] = function(s) return s:read("n") end,
  ["read(a)"] = function(s) return s:read("a") end,
  ["read(several)"] = function(s) return s:read("l", 2, "l") end,
  ["read_exactly"] = function(s) return s:read_exactly(8) end,
  ["recv"] = function(s) return s:recv() end,
  ["read_until"] = function(s) return s:read_until("\r\n\r\n") end,
  ["unpack"] = function(s) return s:unpack(">I4 s2") end,
  ["peek"] = function(s) return s:peek(8) end,
  ["skip"] = function(s) return s:skip(8) end,
  ["read_into"] = function(s) return s:read_into(qn.buffer(64)) end,
  ["lines"] = function(s) for _ in s:lines() do end end,
}

local big = ("x"):rep(4 << 20)

local writes = {
  ["write above the mark"] = function(s) return s:write(big) end,
  ["flush"] = function(s) s:write(("x"):rep(900000)) return s:flush() end,
  ["shutdown"] = function(s) s:write(("x"):rep(900000)) return s:shutdown("w") end,
}

local function over_pair(kind, op, release)
  return function()
    local a, b = pair.makers[kind]()
    return {
      op = function() return op(b, a) end,
      release = function() release(a) end,
      close = function() a:abort() b:abort() end,
    }
  end
end

local function send_bytes(a)
  a:write("12\nabcdefgh\r\n\r\n")
end

local function drop(a)
  a:abort()
end

for _, kind in ipairs { "memory", "tcp" } do
  for name, op in pairs(reads) do
    makers[name .. " (" .. kind .. ")"] = over_pair(kind, op, send_bytes)
  end
  for name, op in pairs(writes) do
    makers[name .. " (" .. kind .. ")"] = over_pair(kind, op, drop)
  end
  makers["copy (" .. kind .. ")"] = function()
    local a, b = pair.makers[kind]()
    local c, d = pair.makers[kind]()
    return {
      op = function() return qn.copy(b, c) end,
      release = function() a:write("some bytes") a:close() end,
      close = function() a:abort() b:abort() c:abort() d:abort() end,
    }
  end
  makers["join of streams (" .. kind .. ")"] = function()
    local a, b = pair.makers[kind]()
    local c, d = pair.makers[kind]()
    return {
      op = function() return qn.join(b, c) end,
      release = function() a:write("up") a:close() d:write("down") d:close() end,
      close = function() a:abort() b:abort() c:abort() d:abort() end,
    }
  end
end

require "spec.support.tls_waits"(makers, function(kind, name)
  local op = reads[name] or writes[name]
  return over_pair(kind, op, reads[name] and send_bytes or drop)
end)

local scratch

local function big_file()
  if not scratch then
    scratch = os.tmpname()
    local file = assert(io.open(scratch, "wb"))
    file:write(big)
    file:close()
  end
  return scratch
end

makers["send_file"] = function()
  local a, b = pair.makers.tcp()
  return {
    op = function() return b:send_file(big_file()) end,
    release = function() a:abort() end,
    close = function() a:abort() b:abort() end,
  }
end

makers["file read"] = function()
  return { op = function() return qn.file.read(big_file()) end }
end

makers["file open"] = function()
  return { op = function()
    local file <close> = assert(qn.file.open(big_file()))
    return file:read(100000)
  end }
end

makers["file stat"] = function()
  return { op = function() return qn.file.stat(big_file()) end }
end

---Names of all operations, in a fixed order.
M.names = {}
for name in pairs(makers) do
  M.names[#M.names + 1] = name
end
table.sort(M.names)

local function nothing() end

---A fresh world for one operation.
function M.make(name)
  local world = makers[name]()
  world.release = world.release or nothing
  world.close = world.close or nothing
  return world
end

---Removes what the makers have put on the disk.
function M.finish()
  if scratch then
    os.remove(scratch)
    scratch = nil
  end
end

return M
