-- Fetches one page with HTTP/1.0 by hand: a request in one write, the head line by line with limits
-- on each, the body until the server closes. All of it together takes at most ten seconds.
--
-- Run:   qnlua examples/http_fetch.lua [host [port [path]]]     default 127.0.0.1 80 /
-- Prints:
--   HTTP/1.1 200 OK
--   content-type: text/plain
--   content-length: 17
--   17 bytes in the body
--   Hello from nginx

local qn = require "qn"

local host <const> = arg[1] or "127.0.0.1"
local port <const> = math.tointeger(arg[2] or 80) or error("the port must be an integer")
local path <const> = arg[3] or "/"

local function fetch()
  local socket <close> = assert(qn.tcp.connect(host, port))
  assert(socket:write("GET ", path, " HTTP/1.0\r\nHost: ", host, "\r\nConnection: close\r\n\r\n"))

  local status = assert(socket:read_until("\r\n", { max = 1000 }))
  local headers, count = {}, 0
  for line in function() return assert(socket:read_until("\r\n", { max = 8000 })) end do
    if line == "" then
      break
    end
    count = count + 1
    local name, value = line:match("^([^:%s]+):%s*(.-)%s*$")
    if not name or count > 100 then
      error(qn.error("protocol", "bad header: " .. line, { op = "fetch", peer = host }))
    end
    headers[name:lower()] = value
  end
  return { status = status, headers = headers, body = assert(socket:read("a", { max = 10000000 })) }
end

local page, err = qn.timeout(10, fetch)
if not page then
  io.stderr:write("gave up while waiting for ", err.phase, "\n")
  qn.exit(1)
end
print(page.status)
for _, name in ipairs { "content-type", "content-length" } do
  print(name .. ": " .. (page.headers[name] or "(none)"))
end
print(#page.body .. " bytes in the body")
print((page.body:match("[^\r\n]*")))
