-- TLS servers under the same load: CPU time of the server process per handshake and per MiB, and
-- what an idle connection holds, beside a raw C program with a custom BIO.
local json = require "lib.json"
local uv = require "luv"
local Process = require "lib.process"
local quiet = require "lib.quiet"
local tools = require "lib.tools"

local FULL_EC <const> = "full handshakes, P-256"
local FULL_RSA <const> = "full handshakes, RSA-2048"
local RESUMED <const> = "resumed handshakes, P-256"
local BULK <const> = "64 MiB to a client, AES-128-GCM"
local IDLE <const> = "2,000 idle connections"
local WARM_MS <const> = 300
local IDLE_CONNS <const> = 2000
local BULK_BYTES <const> = 64 * 1048576
local READY_STEPS <const> = 100 -- of 0.05 s, until a silent server answers
local NGINX_CONF <const> = [[
daemon off; master_process off; worker_processes 1; pid %s/nginx.pid; error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off; client_body_temp_path %s; proxy_temp_path %s; fastcgi_temp_path %s;
  uwsgi_temp_path %s; scgi_temp_path %s; client_header_timeout 600;
  server {
    listen 127.0.0.1:%d ssl backlog=511; server_name localhost; root %s;
    ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.3;
  }
}
]]

--- A certificate for localhost and its key: paths. Made once per run of the suite.
local made = {}
local function pair(kind)
  if not made[kind] then
    local cert, key = tools.build .. "/" .. kind .. ".pem", tools.build .. "/" .. kind .. ".key"
    local how = kind == "ec" and { "ec", "-pkeyopt", "ec_paramgen_curve:P-256" } or { "rsa:2048" }
    local command = { "openssl", "req", "-x509", "-newkey" }
    table.move(how, 1, #how, #command + 1, command)
    for _, word in ipairs { "-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=localhost",
      "-addext", "subjectAltName=DNS:localhost", "-days", "30" } do
      command[#command + 1] = word
    end
    Process.output(command)
    made[kind] = { cert = cert, key = key }
  end
  return made[kind]
end

local function bulk_file()
  local path = tools.build .. "/bulk"
  local stat = uv.fs_stat(path)
  if not stat or stat.size ~= BULK_BYTES then
    local file <close> = assert(io.open(path, "w"))
    for _ = 1, BULK_BYTES / 65536 do
      assert(file:write(("x"):rep(65536)))
    end
  end
end

local function free_port()
  local socket = uv.new_tcp()
  assert(socket:bind("127.0.0.1", 0))
  local port = socket:getsockname().port
  socket:close()
  return port
end

local function start(subject, kind)
  if not subject.silent then
    local server = Process.start(subject.command(pair(kind)), tools.server_core)
    local port = server:line(10):match("^port (%d+)$")
    assert(port, subject.id .. ": the first line is not \"port N\"")
    return server, port
  end
  bulk_file()
  local port = free_port()
  local server = Process.start(subject.command(pair(kind), port), tools.server_core)
  for _ = 1, READY_STEPS do
    local ok, socket = pcall(Process.connect, port)
    if ok then
      socket:close()
      return server, tostring(port)
    end
    Process.pause(0.05)
  end
  error(subject.id .. ": does not answer", 0)
end

local function measure(subject, case, seconds)
  local server, port = start(subject, case.kind)
  local lines = Process.output({
    tools.helper("tls_load", "openssl"), case.mode, "--port", port, "--conns",
    tostring(case.conns), "--warm", tostring(WARM_MS), "--time",
    tostring(math.floor(seconds * 1000)), "--pid", tostring(server.pid),
  }, tools.load_core)
  server:stop()
  local sample = json.decode_flat(lines[1])
  sample.cost = sample.server_cpu_ns_per_op
  return sample
end

local function group(name, case)
  return {
    name = name,
    measure = function(subject, options)
      return { [name] = quiet.least_disturbed(measure, subject, case, options.seconds) }
    end,
  }
end

local function resident_kib(server)
  local file <close> = assert(io.open(("/proc/%d/status"):format(server.pid)))
  return tonumber(file:read("a"):match("VmRSS:%s*(%d+) kB"))
end

--- The size once it stands still.
local function settled_kib(server)
  local last
  for _ = 1, 50 do
    local now = resident_kib(server)
    if now == last then
      return now
    end
    last = now
    Process.pause(0.2)
  end
  return last
end

local function idle(subject)
  if subject.one_by_one then
    return {} -- it serves one connection at a time
  end
  local server, port = start(subject, "ec")
  local helper = tools.helper("tls_load", "openssl")
  -- Two connections first: what the first ones allocate once is not theirs.
  Process.output({ helper, "shake", "--port", port, "--conns", "2", "--time", "100" },
    tools.load_core)
  local before = settled_kib(server)
  local load = Process.start({ helper, "idle", "--port", port, "--conns", tostring(IDLE_CONNS) },
    tools.load_core)
  load:line(60)
  local after = settled_kib(server)
  load:finish()
  server:stop()
  return { [IDLE] = { cost = (after - before) / IDLE_CONNS,
    kib_per_connection = (after - before) / IDLE_CONNS } }
end

local function nginx(files, port)
  local b = tools.build
  local path = b .. "/nginx.conf"
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(NGINX_CONF:format(b, b, b, b, b, b, port, b, files.cert, files.key)))
  return { "nginx", "-e", "stderr", "-p", b, "-c", path }
end

local function s_server(files, port)
  return { "sh", "-c", 'cd "$1" && exec openssl s_server -quiet -WWW -tls1_3 -accept '
    .. '"127.0.0.1:$2" -cert "$3" -key "$4"', "s_server", tools.build, tostring(port), files.cert,
    files.key }
end

return {
  name = "tls",
  about = [[
TLS 1.3 (X25519, AES-128-GCM) over loopback, server on one core, load generator on the other, a
fresh server for each measurement. CPU ratio: CPU time of the raw C server with a custom BIO divided
by the subject's, in the same round; 1.00 is as cheap as C, more is better. A handshake counts when
the server's first ticket has come (a resumed one when the client has sent all); 8 are under way at
a time. An operation of the bulk case is one MiB, 4 connections. Idle connections: growth of the
resident size divided by their number; the raw program keeps nothing but OpenSSL's own state with
released buffers, so its figure is OpenSSL's minimum.
`openssl s_server` serves one connection at a time.
]],
  reference = "raw",
  rounds = 9,
  ratio_title = "CPU (or memory) ratio",
  subjects = {
    { id = "raw", label = "C, custom BIO (reference)",
      command = function(files) return { tools.helper("tls_raw", "openssl"), files.cert, files.key }
      end },
    { id = "raw2", label = "C, custom BIO again",
      command = function(files) return { tools.helper("tls_raw", "openssl"), files.cert, files.key }
      end },
    { id = "qn", label = "qnlua", qnlua = true,
      command = function(files)
        return { tools.qnlua, tools.script("tls_qn.lua"), files.cert, files.key }
      end,
      goals = { [FULL_EC] = 0.95, [FULL_RSA] = 0.95, [BULK] = 0.90 } },
    { id = "nginx", label = "nginx", command = nginx, silent = true },
    { id = "node", label = "Node tls",
      command = function(files)
        return { "node", tools.script("tls_node.js"), files.cert, files.key }
      end },
    { id = "s_server", label = "openssl s_server", command = s_server, silent = true,
      one_by_one = true },
  },
  groups = {
    group(FULL_EC, { mode = "shake", kind = "ec", conns = 8 }),
    group(FULL_RSA, { mode = "shake", kind = "rsa", conns = 8 }),
    group(RESUMED, { mode = "resume", kind = "ec", conns = 8 }),
    group(BULK, { mode = "bulk", kind = "ec", conns = 4 }),
    { name = IDLE, measure = idle },
  },
  cases = { FULL_EC, FULL_RSA, RESUMED, BULK, IDLE },
  columns = {
    { field = "server_cpu_ns_per_op", title = "CPU/op, µs", format = "%.1f", scale = 1e-3 },
    { field = "ops_per_second", title = "op/s", format = "%.0f" },
    { field = "kib_per_connection", title = "KiB per connection", format = "%.1f" },
    { field = "server_busy", title = "server busy", format = "%.2f" },
    { field = "disturbed", title = "disturbed", format = "%.2f" },
  },
}
