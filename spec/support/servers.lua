-- Real servers of the distribution for specs: each on a free port of 127.0.0.1, with all its files
-- in a scratch folder, ready when the starter returns (it listens), stopped by its id at `<close>`.

local program = require "spec.support.program"

local M = {}

local ATTEMPTS <const> = 5

local Server = {}
Server.__index = Server

local function write_file(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

-- `make(folder, port)` writes the files of the server and gives the words of its command. Between the choice
-- of a port and its use somebody else may take it: then another one is tried.
local function start(make)
  local problem
  for _ = 1, ATTEMPTS do
    local folder, port = program.scratch(), program.free_port()
    local server = { folder = folder, port = port, program = program.start(make(folder, port)) }
    setmetatable(server, Server)
    local ok, err = pcall(server.program.wait_until_it_listens, server.program, port)
    if ok then
      return server
    end
    problem = err
    server:stop()
    if not tostring(err):find("[Aa]ddress already in use") then
      break
    end
  end
  error(problem, 0)
end

function Server:stop()
  if self.program then
    self.program:stop("TERM")
    self.program:__close()
    self.program = nil
    program.remove(self.folder)
  end
end
Server.__close = Server.stop

---A Redis server without persistence. Fields: port, folder.
function M.redis()
  return start(function(folder, port)
    return { "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
      "--dir", folder, "--daemonize", "no" }
  end)
end

---How a configuration of nginx begins that writes into @DIR@ only and runs in the foreground; open: "http {".
M.NGINX = [[
daemon off;
master_process off;
pid @DIR@/pid;
error_log @DIR@/error.log;
events {}
http {
  access_log off;
  default_type text/plain;
  client_body_temp_path @DIR@/body;
  proxy_temp_path @DIR@/proxy;
  fastcgi_temp_path @DIR@/fastcgi;
  uwsgi_temp_path @DIR@/uwsgi;
  scgi_temp_path @DIR@/scgi;
]]

local NGINX <const> = M.NGINX .. [[
  server {
    listen 127.0.0.1:@PORT@;
    root @DIR@/www;
  }
}
]]

---An nginx that serves the given files.
---@param files table<string, string> path beneath the root to content
function M.nginx(files)
  return start(function(folder, port)
    os.execute("mkdir " .. folder .. "/www")
    for path, text in pairs(files) do
      write_file(folder .. "/www/" .. path, text)
    end
    write_file(folder .. "/nginx.conf", (NGINX:gsub("@(%u+)@", { DIR = folder, PORT = port })))
    return { "nginx", "-p", folder, "-e", folder .. "/error.log", "-c", folder .. "/nginx.conf" }
  end)
end

return M
