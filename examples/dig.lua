-- A small dig: asks the DNS for records and prints them as zone files write them. Several names and
-- types may be given; "all" stands for every type that is decoded. MX and SRV come in the order in
-- which they are to be tried. Without a server it asks those of /etc/resolv.conf.
--
-- Run:   qnlua examples/dig.lua [@server [-p port]] [+short] name... [type...]
--        qnlua examples/dig.lua [@server [-p port]] [+short] -x address
-- Prints, for "@127.0.0.1 -p 5353 c3.qn.test mail.qn.test A MX":
--   c3.qn.test. 300 IN CNAME a.qn.test.
--   a.qn.test. 300 IN A 127.0.0.2
--   a.qn.test. 300 IN A 127.0.0.3
--   ; c3.qn.test MX: the name has no record of this type
--   mail.qn.test. 300 IN A 127.0.0.4
--   ; mail.qn.test MX: the name has no record of this type

local qn = require "qn"

local ALL <const> = { "A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "TLSA", "CAA",
  "NAPTR", "SVCB", "HTTPS" }
local TYPES <const> = { ANY = true }
for _, type in ipairs(ALL) do TYPES[type] = true end

local function usage()
  io.stderr:write("usage: dig.lua [@server [-p port]] [+short] name... [type...] | -x address\n")
  os.exit(2)
end

local names, types, server, port, short = {}, {}, nil, nil, false
local i = 1
while arg[i] do
  local word = arg[i]
  if word:sub(1, 1) == "@" then
    server = word:sub(2)
  elseif word == "-p" then
    i = i + 1
    port = math.tointeger(tonumber(arg[i])) or usage()
  elseif word == "-x" then
    i = i + 1
    local address = qn.address(arg[i] or "") or usage()
    local a, b, c, d = address.bytes:byte(1, 4)
    local digits = address.bytes:gsub(".", function(one) return ("%02x"):format(one:byte()) end)
    names[#names + 1] = address.protocol == "ipv4"
      and ("%d.%d.%d.%d.in-addr.arpa"):format(d, c, b, a)
      or digits:reverse():gsub(".", "%0.") .. "ip6.arpa"
    types = { "PTR" }
  elseif word == "+short" then
    short = true
  elseif word:upper() == "ALL" then
    table.move(ALL, 1, #ALL, #types + 1, types)
  elseif TYPES[word:upper()] or word:upper():find("^TYPE%d+$") then
    types[#types + 1] = word:upper()
  else
    names[#names + 1] = word
  end
  i = i + 1
end
if #names == 0 or port and not server then
  usage()
end
if server then
  local address = qn.address(server) or assert(qn.dns.lookup(server)).addresses[1]
  server = (address.protocol == "ipv6" and "[%s]:%d" or "%s:%d"):format(address, port or 53)
end

local failed = false
for _, name in ipairs(names) do
  for _, type in ipairs(#types > 0 and types or { "A" }) do
    local records, err = qn.dns.query(name, type, { server = server })
    if records then
      for _, link in ipairs(records.chain) do print(short and link:short() or link) end
      for _, record in ipairs(records) do print(short and record:short() or record) end
    elseif not short then
      print(("; %s %s: %s"):format(name, type, err.message))
    end
    failed = failed or err and err.code ~= "NO_DATA"
  end
end
os.exit(not failed)
