---The command `qnlua cert`: shows the certificates of a server, or of files, and whether they are good.
---
---Called by lua/qn/cli.lua with the words behind "cert". What is found goes to standard output, problems of
---the command itself to standard error. Invariant: the exit status is 0 only when everything that was
---asked for was shown and is good; a server whose certificate is not is shown all the same.

local core = require "qn.core"
local report = require "qn.cert_report"
local starttls = require "qn.cert_starttls"

local M = {}

M.usage = [==[
usage: qnlua cert [options] host[:port] | file ...
  shows the certificates of a TLS server (port 443 unless told), or of PEM and DER files
  --starttls=PROTOCOL  begin in clear: smtp, imap, pop3 or ftp (which have their own ports)
  --server-name=NAME   ask for this name and verify it instead of the host; also for files
  --ca=FILE            trust these certificates instead of the system's; also for files
  --alpn=LIST          application protocols to offer, best first (h2,http/1.1 on port 443)
  --timeout=SECONDS    for the whole of one server (default 10)
  --pem                print the certificates as PEM and nothing else
  --help               show this text
  Exit status: 0 all is good; 1 it is not, or cannot be shown; 2 wrong usage. Files are verified
  when --ca or --server-name is given.
]==]

local PORT <const> = 443
local FILE_MAX <const> = 16 << 20
local PATIENCE <const> = 0.5 -- seconds for a server to end the connection

-- Arguments -----------------------------------------------------------------------------------------

local takes = {}

function takes.starttls(o, value)
  if not starttls.ports[value] then
    return ("'%s' is no protocol of --starttls (smtp, imap, pop3, ftp)"):format(value)
  end
  o.starttls = value
end

takes["server-name"] = function(o, value)
  if #value > 253 or value:find "[%s%c/]" then
    return ("'%s' is no name of a host"):format(report.clean(value))
  end
  o.server_name = value
end

takes.ca = function(o, value) o.ca = value end

function takes.alpn(o, value)
  o.alpn = {}
  for name in value:gmatch "[^,]+" do
    if #name > 255 or #o.alpn == 64 then
      return "'--alpn' takes at most 64 names of at most 255 bytes"
    end
    o.alpn[#o.alpn + 1] = name
  end
  return #o.alpn == 0 and "'--alpn' needs names" or nil
end

function takes.timeout(o, value)
  local seconds = tonumber(value)
  if not seconds or seconds <= 0 or seconds > 86400 then
    return ("'%s' is no number of seconds"):format(value)
  end
  o.timeout = seconds
end

-- The options and what is to be shown, or nil and what is wrong.
local function parse(args)
  local o, i, only_names = { timeout = 10, targets = {} }, 1, false
  while args[i] do
    local arg = args[i]
    local name, value = arg:match "^%-%-([%a%-]+)=?(.*)$"
    if only_names or arg:sub(1, 1) ~= "-" or arg == "-" then
      o.targets[#o.targets + 1] = arg
    elseif arg == "--" then
      only_names = true
    elseif arg == "--pem" or arg == "--help" then
      o[name] = true
    elseif takes[name] then
      if not arg:find("=", 1, true) then
        i = i + 1
        value = args[i]
      end
      if not value or value == "" then
        return nil, ("'--%s' needs a value"):format(name)
      end
      local problem = takes[name](o, value)
      if problem then
        return nil, problem
      end
    else
      return nil, ("unrecognized option '%s' of cert"):format(arg)
    end
    i = i + 1
  end
  if #o.targets == 0 and not o.help then
    return nil, "cert needs a host or a file"
  end
  return o
end

-- "host", "host:port", "[address]:port", "address" -> host, port; nil and what is wrong.
local function split(target, default)
  local rest = target:match "^%a[%w+.-]*://([^/?#]+)" or target
  local host, port = rest:match "^%[([^%]]*)%]:?(.*)$"
  if not host then
    host, port = rest:match "^([^:]*):?([^:]*)$"
  end
  host, port = host or rest, port or "" -- more than one colon: an IPv6 address
  local number = port == "" and default or port:find "^%d+$" and tonumber(port)
  if host == "" or not number or number < 1 or number > 65535 then
    return nil, ("'%s' is no host:port"):format(target)
  end
  return host, math.tointeger(number)
end

-- Servers -------------------------------------------------------------------------------------------

local function connect(o, host, port)
  local options = { verify = "query", ca = o.ca, server_name = o.server_name, sessions = false,
    alpn = o.alpn or port == PORT and not o.starttls and { "h2", "http/1.1" } or nil,
    ocsp = "request" }
  if not o.starttls then
    return require "qn.tls".connect(host, port, options)
  end
  local socket, err = core.tcp_connect(host, port)
  local ok = socket
  if socket then
    ok, err = starttls.run(socket, o.starttls)
  end
  if ok then
    ok, err = socket:start_tls(options)
  end
  if not ok then
    if socket then
      socket:abort()
    end
    return nil, err
  end
  return socket
end

-- Says goodbye and gives the server a moment to do so, too: else it may count a handshake that failed.
local function leave(socket)
  if socket:shutdown("w") then
    socket:read("a", { timeout = PATIENCE })
  end
  socket:abort()
end

local function print_verdict(errors, name)
  if #errors == 0 then
    print(("verification: good for %s"):format(report.clean(name)))
    return true
  end
  print "verification: FAILED"
  for _, err in ipairs(errors) do
    print(("  %s (%s%s)"):format(report.clean(err.message), err.code,
      err.depth and err.depth > 0 and ", certificate " .. err.depth or ""))
  end
  return false
end

local function print_connection(socket, facts, target)
  print(("%s (%s)"):format(target, tostring(socket:peer_address())))
  print(("protocol: %s, %s%s"):format(facts.version, facts.cipher,
    facts.ephemeral_key and ", key exchange " .. facts.ephemeral_key or ""))
  print("application protocol: " .. report.clean(facts.alpn or "none"))
  print("OCSP answer: " .. report.staple(facts))
end

local function print_certificates(o, chain, now)
  for i, certificate in ipairs(chain) do
    if o.pem then
      io.stdout:write(certificate:to_pem())
    else
      io.stdout:write("\n", report.certificate(certificate, "certificate " .. i - 1, now))
    end
  end
end

local function show_server(o, target)
  local host, port = split(target, starttls.ports[o.starttls] or PORT)
  if not host then
    return nil, port
  end
  local socket, err = require "qn".timeout(o.timeout, connect, o, host, port)
  if not socket then
    return nil, ("%s: %s"):format(target, tostring(err))
  end
  local facts <const> = socket:tls()
  local name = o.server_name or host
  local good = #facts.errors == 0
  if o.pem then
    if not good then
      io.stderr:write(("qnlua: %s: %s\n"):format(target, report.clean(facts.errors[1].message)))
    end
  else
    print_connection(socket, facts, target)
    print_verdict(facts.errors, name)
  end
  print_certificates(o, facts.chain, os.time())
  leave(socket)
  return good
end

-- Files ---------------------------------------------------------------------------------------------

local function certificates_of(text)
  local list, err = core.certificates(text)
  if list and #list == 0 then
    return nil, "no certificate in it"
  end
  return list, err
end

local function read(path)
  if path == "-" then
    return certificates_of(io.read(FILE_MAX + 1) or "")
  end
  local text, err = require "qn.file".read(path, { max = FILE_MAX })
  if not text then
    return nil, err
  end
  return certificates_of(text)
end

local function verify(o, chain)
  local trusted, err
  if o.ca then
    trusted, err = read(o.ca)
    if not trusted then
      return nil, err
    end
  end
  local how <const> = { ca = trusted, purpose = "server" }
  local ok, errors = require "qn.tls".verify(chain, o.server_name, how)
  if not ok and core.is_error(errors) then
    return nil, errors
  end
  return errors or {}
end

local function show_file(o, path)
  local chain, err = read(path)
  if not chain then
    return nil, ("%s: %s"):format(path, tostring(err))
  end
  local good = true
  if o.ca or o.server_name then
    local errors
    errors, err = verify(o, chain)
    if not errors then
      return nil, ("%s: %s"):format(path, tostring(err))
    end
    good = #errors == 0
    if not o.pem then
      print(path)
      print_verdict(errors, o.server_name or "any name")
    end
  elseif not o.pem then
    print(path)
  end
  print_certificates(o, chain, os.time())
  return good
end

local function is_file(target)
  if target == "-" or target:find "^%.?%.?/" then
    return true
  end
  local stat = require "qn.file".stat(target)
  return stat and stat.type == "file" or false
end

---Runs the command; `args` are the words behind "cert".
---@async
---@param args string[]
---@return integer status
function M.main(args)
  local o, problem = parse(args)
  if not o then
    io.stderr:write("qnlua: ", problem, "\n", M.usage)
    return 2
  elseif o.help then
    io.stdout:write(M.usage)
    return 0
  end
  local status = 0
  for i, target in ipairs(o.targets) do
    if i > 1 and not o.pem then
      print()
    end
    local good, err = (is_file(target) and show_file or show_server)(o, target)
    if err then
      io.stdout:flush()
      io.stderr:write("qnlua: ", report.clean(err), "\n")
    end
    status = good and status or 1
  end
  return status
end

return M
