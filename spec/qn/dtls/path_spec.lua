-- DTLS over a bad path: each datagram of a handshake lost, doubled, held back, cut, changed; records
-- replayed and forged. A relay does it (spec/support/dtls.lua), the same way each time. Cases run at the
-- same time, and with a short timer.
-- covers: runtime/tls/dtls_shake.c

local certs = require "spec.support.tls_certs"
local dtls = require "spec.support.dtls"
local program = require "spec.support.program"
local qn = require "qn"

describe("DTLS over a bad path", function()
  local shop

  setup(function() shop = certs.open() end)
  teardown(function() shop:close() end)

  local FAST <const> = 0.05 -- seconds: the first wait for an answer

  local function connect(port, more)
    more = dtls.client_options(shop, more)
    more.retransmit_timeout = FAST
    return qn.dtls.connect("127.0.0.1", port, more)
  end

  local function echo(more)
    more = more or {}
    more.retransmit_timeout = FAST
    return dtls.echo(shop, more)
  end

  -- One handshake and an echo through a relay with this rule; the client's counters, the relay's, and tls().
  local function through(port, rule, more)
    local relay <close> = dtls.relay(port, rule)
    local c <close> = assert(connect(relay.port, more))
    local give_up, data = qn.now() + 15, nil
    while data ~= "echo" and qn.now() < give_up do -- application data may be lost, too
      assert(c:send "echo")
      data = c:recv { timeout = 0.2 }
    end
    assert(data == "echo", "no echo")
    return c:stats(), relay.counts, c:tls()
  end

  -- Runs all cases at the same time; errors name theirs.
  local function at_once(cases)
    local tasks = {}
    for i, case in ipairs(cases) do
      tasks[i] = qn.spawn(function()
        local ok, err = xpcall(case.run, debug.traceback)
        return ok or ("%s: %s"):format(case.name, tostring(err))
      end)
    end
    for _, task in ipairs(tasks) do
      assert.is_true((task:join()))
    end
  end

  local small <const> = { mtu = 400, sessions = false } -- so that flights have many datagrams

  -- How many datagrams a whole handshake has in each direction (before application data).
  local function count(port, more)
    local counts = { up = 0, down = 0 }
    local done = false
    local relay <close> = dtls.relay(port, function(direction, n, data)
      counts[direction] = done and counts[direction] or n
      return data
    end)
    local c = assert(connect(relay.port, more))
    done = true
    c:close()
    return counts
  end

  for _, kind in ipairs { "lost", "doubled", "held back", "cut", "changed", "preceded by garbage" } do
    it(("comes through when any one datagram is %s"):format(kind), function()
      local peer <close> = echo { mtu = 400, verify = "query", ca = shop:cert "root" }
      local more = shop:identity "client"
      more.mtu, more.sessions = small.mtu, false
      local counts = count(peer.port, more)
      assert.is_true(counts.up >= 4 and counts.down >= 4)
      local changes = {
        lost = function() return nil end,
        doubled = function(data) return { data, data } end,
        ["held back"] = function(data, later) later(data) return nil end,
        cut = function(data) return data:sub(1, #data // 2) end,
        changed = function(data) -- in the header of its record: what is inside only its owner can tell
          return data:sub(1, 2) .. string.char(data:byte(3) ~ 0x40) .. data:sub(4)
        end,
        ["preceded by garbage"] = function(data)
          return { "garbage", ("\22\254\253\0\0"):rep(9), "\23\254\253\0\1\0\0\0\0\0\9\0\16" .. ("x"):rep(16), data }
        end,
      }
      local cases = {}
      for direction, n in pairs(counts) do
        for i = 1, n do
          cases[#cases + 1] = { name = ("%s %s %d"):format(kind, direction, i), run = function()
            local kept
            through(peer.port, function(way, number, data, relay)
              if way == direction and number == i then
                return changes[kind](data, function(late) kept = late end)
              elseif kept and way == direction then
                local late = kept
                kept = nil
                relay:pass(way, data)
                return late
              end
              return data
            end, more)
          end }
        end
      end
      at_once(cases)
    end)
  end

  it("comes through when a quarter is lost, and much is doubled and late", function()
    local peer <close> = echo()
    local cases = {}
    for seed = 1, 8 do
      cases[seed] = { name = "seed " .. seed, run = function()
        local state, kept = seed, {}
        local function dice()
          state = (state * 1103515245 + 12345) % 2147483648
          return state // 65536 % 8
        end
        through(peer.port, function(direction, _, data)
          local out, n = { kept[direction] }, dice()
          kept[direction] = n == 3 and data or nil
          if n > 3 then out[#out + 1] = data end
          if n == 2 then out = { data, data, table.unpack(out) } end
          return out
        end, { sessions = false })
      end }
    end
    at_once(cases)
  end)

  it("answers a flight that comes again after the handshake", function()
    local peer <close> = echo()
    local finished, lost
    local relay <close> = dtls.relay(peer.port, function(direction, n, data)
      finished = finished or direction == "up" and n == 3
      if direction == "down" and finished and not lost then -- the server's last flight
        lost = true
        return nil
      end
      return data
    end)
    local c <close> = assert(connect(relay.port, { sessions = false }))
    assert.is_true(lost)
    assert.is_true(c:send "hello")
    assert.equal("hello", (c:recv { timeout = 5 }))
    assert.is_true(c:stats().retransmissions >= 1)
  end)

  it("drops what is replayed, forged or of nobody, and counts it", function()
    local server <close> = assert(qn.dtls.listen("127.0.0.1", 0, dtls.server_options(shop)))
    local up = {}
    local relay <close> = dtls.relay(server:port(), function(direction, _, data)
      if direction == "up" then up[#up + 1] = data end
      return data
    end)
    local c <close> = assert(connect(relay.port))
    local s <close> = assert(server:accept(5))
    assert.is_true(c:send "once")
    assert.equal("once", (s:recv { timeout = 5 }))
    local record = up[#up]
    local before = s:stats().discarded
    local forged = 0
    local function forge(data)
      forged = forged + 1
      relay:pass("up", data)
    end
    forge(record) -- replayed
    for i = 14, #record, 5 do -- changed
      forge(record:sub(1, i - 1) .. string.char(record:byte(i) ~ 1) .. record:sub(i + 1))
    end
    forge("\23\254\253\0\0" .. record:sub(6)) -- of the epoch without keys
    forge("\21\254\253\0\0\0\0\0\0\0\9\0\2\2\40") -- an alert in clear
    forge("\21\254\253\0\1\0\0\0\0\0\9\0\2\2\40") -- and one that says it is not
    forge("\20\254\253\0\0\0\0\0\0\0\9\0\1\1") -- ChangeCipherSpec
    for _, old in ipairs { up[1], up[2] } do
      forge(old) -- its own ClientHellos
    end
    program.until_true("all to be looked at", function()
      return s:stats().discarded - before >= forged - 2
    end)
    assert.equal("connected", s:state())
    assert.is_false(s:has_pending())
    assert.is_true(c:send "twice")
    assert.equal("twice", (s:recv { timeout = 5 }))
    assert.is_true(s:send "back")
    assert.equal("back", (c:recv { timeout = 5 }))
  end)

  it("refuses to renegotiate", function()
    local peer <close> = echo()
    local client <close> = dtls.s_client(shop, peer.port)
    client:wait_for "Verify return code: 0"
    client:say "R\n"
    program.until_true("the refusal", function()
      local out, err = client:output()
      return (out .. err):find("no renegotiation", 1, true)
    end)
  end)

  it("comes through with flights that are too large for the path", function()
    local peer <close> = echo { mtu = 1400 }
    -- everything above 600 bytes is lost, as behind a router that tells nobody
    local seen = 0
    local relay <close> = dtls.relay(peer.port, function(_, _, data)
      seen = math.max(seen, #data)
      return #data <= 600 and data or nil
    end)
    local c = connect(relay.port, { timeout = 9, sessions = false })
    assert.is_true(seen > 600)
    if c then
      c:close()
    else
      error "the handshake did not come through"
    end
  end)
end)
