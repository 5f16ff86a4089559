-- What the DTLS specs share: servers and clients with certificates of the workshop
-- (spec/support/tls_certs.lua), a relay between them that loses, doubles, holds back or changes
-- datagrams as a function says, and programs of others that speak DTLS. Everything that is made here
-- is ended by `<close>`. The relay has no random numbers and no clock: a spec says which datagram.

local program = require "spec.support.program"
local qn = require "qn"

local M = {}

---Options of a server with a certificate, and of a client that trusts it.
function M.server_options(shop, more)
  local opts = shop:identity(more and more.identity or "server")
  for name, value in pairs(more or {}) do
    opts[name] = value
  end
  opts.identity = nil
  return opts
end

function M.client_options(shop, more)
  local opts = { ca = shop:cert "root", server_name = "localhost", timeout = 20 }
  for name, value in pairs(more or {}) do
    opts[name] = value
  end
  return opts
end

---A server whose connections give back what they get. Ends with its scope.
function M.echo(shop, more)
  local server = assert(qn.dtls.listen("127.0.0.1", 0, M.server_options(shop, more)))
  local task = qn.spawn(function()
    server:serve(function(connection)
      for data in connection:each() do
        if not connection:send(data) then
          break
        end
      end
    end, { on_error = function() end })
  end)
  return setmetatable({ server = server, port = server:port(), task = task }, { __close = function()
    server:close { grace = 0 }
    task:join()
  end })
end

-- Relay ---------------------------------------------------------------------------------------------

local Relay = {}
Relay.__index = Relay

local function forward(self, direction, data)
  self.counts[direction] = self.counts[direction] + 1
  local out = self.rule(direction, self.counts[direction], data, self)
  if type(out) == "string" then
    self:pass(direction, out)
  elseif out then
    for _, one in ipairs(out) do
      self:pass(direction, one)
    end
  end
end

---Sends to the server ("up") or to the client ("down").
function Relay:pass(direction, data)
  if direction == "up" then
    self.back:send(data)
  elseif self.client then
    self.front:send(data, self.client)
  end
end

---A relay to the server at `port`, for one client. rule(direction, number, data) gives what goes on: the
---datagram, a list, or nil.
function M.relay(port, rule)
  local front = assert(qn.udp.bind("127.0.0.1", 0))
  local back = assert(qn.udp.connect("127.0.0.1", port))
  local self = setmetatable({ front = front, back = back, rule = rule,
    counts = { up = 0, down = 0 } }, Relay)
  self.port = front:local_port()
  self.tasks = {
    qn.spawn(function()
      while true do
        local data, from = front:recv()
        if not data then
          if from.kind == "closed" then return end
        else
          self.client = from
          forward(self, "up", data)
        end
      end
    end),
    qn.spawn(function()
      while true do
        local data, err = back:recv()
        if not data then
          if err.kind == "closed" then return end
        else
          forward(self, "down", data)
        end
      end
    end),
  }
  return self
end

Relay.__close = function(self)
  self.front:close()
  self.back:close()
  for _, task in ipairs(self.tasks) do
    task:join()
  end
end

-- Programs of others --------------------------------------------------------------------------------

local Peer = {}
Peer.__index = Peer

local function start(words, port)
  local folder = program.scratch()
  local pipe = folder .. "/in"
  assert(os.execute("mkfifo " .. pipe))
  local self = setmetatable({ folder = folder, port = port }, Peer)
  self.input = assert(io.open(pipe, "r+"))
  self.input:setvbuf "no"
  self.program = program.start { "sh", "-c", 'f=$1; shift; exec "$@" <"$f"', "sh", pipe, table.unpack(words) }
  self.program.name = words[1]
  if port then
    self.program:wait_until_it_listens(port, "udp")
  end
  return self
end

function Peer:say(text) assert(self.input:write(text)) end
function Peer:wait_for(pattern) return self.program:wait_for(pattern) end
function Peer:output() return self.program:output() end
function Peer:wait() return self.program:wait() end
Peer.__close = function(self)
  self.program:stop "KILL"
  self.program:__close()
  self.input:close()
  program.remove(self.folder)
end

local function add(words, more)
  return table.move(more or {}, 1, #(more or {}), #words + 1, words)
end

---`openssl s_server -dtls1_2`, with cookies; what clients send is printed, `say` goes to the client.
function M.s_server(shop, more)
  local port = program.free_port()
  return start(add({ "openssl", "s_server", "-dtls1_2", "-listen", "-accept", "127.0.0.1:" .. port, "-cert",
    shop:cert "server", "-key", shop:key "server", "-cert_chain", shop:rest "server" }, more), port)
end

function M.s_client(shop, port, more)
  return start(add({ "openssl", "s_client", "-dtls1_2", "-connect", "127.0.0.1:" .. port, "-CAfile",
    shop:cert "root", "-verify_return_error", "-servername", "localhost" }, more))
end

---`gnutls-serv --udp --echo`.
function M.gnutls_serv(shop, more)
  local port = program.free_port()
  return start(add({ "gnutls-serv", "--udp", "--echo", "-p", port, "--x509certfile", shop:chain "server",
    "--x509keyfile", shop:key "server" }, more), port)
end

function M.gnutls_cli(shop, port, more)
  return start(add({ "gnutls-cli", "--udp", "-p", port, "--x509cafile", shop:cert "root" },
    add(more or {}, { "localhost" })))
end

return M
