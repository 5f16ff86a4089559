-- TLS servers of ours for specs with programs of others: `with(opts, f, handle)` runs one while f(server,
-- seen) runs. `seen` is a channel that gets what was known of each connection when it had ended, with
-- the fields `copied` and `problem`. `handle(socket, facts)` does something else than echo everything.

local qn = require "qn"

local M = {}

local function echo(socket, facts)
  facts.copied, facts.problem = qn.copy(socket, socket)
  socket:shutdown("w")
end

---@param opts table options of qn.tls.listen
---@param f fun(server: qn.Server, seen: qn.Channel)
---@param handle? fun(socket: qn.Socket, facts: table)
function M.with(opts, f, handle)
  local server <close> = assert(qn.tls.listen("127.0.0.1", 0, opts))
  local seen <const> = qn.channel(100)
  local refused <const> = {}
  server:on("handshake_error", function(err) refused[#refused + 1] = err end)
  local task = qn.spawn(function()
    server:serve(function(socket)
      local facts = socket:tls()
      local ok, err = pcall(handle or echo, socket, facts);
      facts.problem = facts.problem or not ok and err or nil
      facts.after = socket:tls()
      seen:send(facts)
    end)
  end)
  local closer <close> = setmetatable({}, { __close = function()
    task:cancel()
    task:join()
  end })
  f(server, seen, refused)
end

---The same for a server that is `name` of the workshop, with more options.
function M.with_identity(shop, name, more, f, handle)
  local opts = shop:identity(name)
  for option, value in pairs(more) do
    opts[option] = value
  end
  M.with(opts, f, handle)
end

---A handler that gives back what it gets until that were so many bytes.
function M.exactly(size)
  return function(socket)
    local left = size
    while left > 0 do
      local part = assert(socket:recv())
      assert(socket:write(part))
      left = left - #part
    end
  end
end

---Answers each request of HTTP/1.1 with a text about the connection, or with `#n` bytes.
function M.http(socket, facts)
  while true do
    local head = socket:read_until("\r\n\r\n", { max = 8192 })
    if not head then
      return
    end
    local size = tonumber(head:match("^GET /(%d+)"))
    local peer = facts.peer and facts.peer.subject[1].value or "-"
    local body = size and ("x"):rep(size) or ("%s %s %s %s %s\n"):format(facts.version, facts.alpn or "-",
      facts.server_name or "-", facts.resumed and "resumed" or "new", peer)
    assert(socket:write("HTTP/1.1 200 OK\r\nContent-Length: ", tostring(#body), "\r\n\r\n", body))
  end
end

return M
