---Names: hosts to addresses and back, questions to the DNS, resolvers with settings of their own
---(QHostInfo, QDnsLookup).
---
---Look-ups follow the system: nsswitch.conf, hosts file, search list, resolv.conf. The core asks equal
---questions once and keeps answers for their TTL. Nothing uses a thread on the usual path.

local core = require "qn.core"
local options = require "qn.options"
local record = require "qn.dns.record"

---Names: hosts to addresses and back, questions to the DNS, resolvers with settings of their own (QHostInfo,
---QDnsLookup).
---@class qn.dns
local M = {}

---@class qn.Resolver
local Resolver = core.methods("Resolver")

local FAMILIES <const> = { any = 0, ipv4 = 1, ipv6 = 2 }

-- resolver -> what only Lua needs to know of it
local known = setmetatable({}, { __mode = "k" })

-- Options ----------------------------------------------------------------------------------------

-- A list of strings from a string, an address or a list of these.
local function strings(value)
  if type(value) ~= "table" then
    return { tostring(value) }
  end
  local out = {}
  for i, each in ipairs(value) do
    out[i] = tostring(each)
  end
  return out
end

local TEXT_MAX <const> = 254 -- a domain with its final dot; addresses are shorter

-- Blanks and control characters are in no address and no domain; the core would read up to a NUL.
local function is_text(value)
  if type(value) == "string" then
    return #value <= TEXT_MAX and not value:find("[%s%c]")
  end
  return core.dns_literal(value) ~= nil
end

local function is_list(expected)
  return function(value)
    if type(value) ~= "table" then
      return is_text(value), expected
    end
    for _, each in ipairs(value) do
      if not is_text(each) then
        return false, expected
      end
    end
    return true
  end
end

local servers_rule = {
  type = "string|table|userdata",
  check = function(value)
    local is = is_list("an address with or without a port, or a list of these")
    local ok, expected = is(value)
    if ok and type(value) == "table" and #value == 0 then
      return false, "a list with a server in it"
    end
    return ok, expected
  end,
}
local search_rule = {
  type = "string|table|false",
  check = function(value)
    if value == false then
      return true
    end
    return is_list("a list of domains, or false")(value)
  end,
}
local path_rule = {
  type = "string|false",
  check = function(value)
    return not (value and value:find("\0", 1, true)), "a path without NUL"
  end,
}
local random_rule = { type = "function" }
local family_rule = { type = "string", values = { "any", "ipv4", "ipv6" } }
local resolver_rule = {
  type = "userdata",
  check = function(value) return known[value] ~= nil, "a resolver" end,
}

-- What a call of its own may have, and the same for methods of a resolver.
local function call_rules(rules)
  rules.timeout = { type = "seconds" }
  local of_method = {}
  for name, rule in pairs(rules) do
    of_method[name] = rule
  end
  rules.server, rules.resolver = servers_rule, resolver_rule
  return rules, of_method
end

local lookup_rules, lookup_method_rules = call_rules { family = family_rule }
lookup_rules.search = search_rule
local reverse_rules, reverse_method_rules = call_rules {}
local query_rules, query_method_rules = call_rules { random = random_rule }

-- Resolvers --------------------------------------------------------------------------------------

local function make(fields, where, level)
  local resolver, err = core.dns_resolver(fields)
  if not resolver and err.code == "INVALID" then
    local name = fields.shared and "server" or "servers"
    local given = table.concat(fields.servers or {}, ", ")
    error(("%s: option '%s' must be address literals, with or without a port (got %s)"):format(
      where, name, given), level + 1)
  end
  return resolver, err
end

-- Resolvers of the option `server`, by servers and search list: calls share answers and sockets. Only the
-- collector ends them, so that nobody has to close one; it must leave the last few that were made.
local shared = setmetatable({}, { __mode = "v" })
local KEPT <const> = 8
local kept = {}

local function shared_resolver(opts, where)
  local fields = { servers = strings(opts.server), shared = true }
  fields.search = opts.search and strings(opts.search) or {}
  local key = table.concat(fields.servers, " ") .. "|" .. table.concat(fields.search, " ")
  local resolver = shared[key]
  if not resolver then
    local err
    resolver, err = make(fields, where, 4)
    if not resolver then
      return nil, err
    end
    shared[key], known[resolver] = resolver, { servers = fields.servers }
    table.insert(kept, 1, resolver)
    kept[KEPT + 1] = nil
  end
  return resolver
end

-- The resolver that a call is to use: nil and no error for the system's.
local function chosen(self, opts, where)
  if self then
    return self
  elseif opts.resolver then
    if opts.server then
      error(where .. ": give either 'server' or 'resolver'", 4)
    elseif opts.search ~= nil then
      error(where .. ": 'search' is an option of the resolver", 4)
    end
    return opts.resolver
  elseif opts.server or opts.search ~= nil then
    if not opts.server then
      error(where .. ": 'search' needs 'server'", 4)
    end
    return shared_resolver(opts, where)
  end
  return nil
end

local resolver_rules = {
  servers = servers_rule,
  search = search_rule,
  hosts = path_rule,
  resolv_conf = { type = "string", check = path_rule.check },
  nsswitch = path_rule,
  cache = { type = "integer|false", min = 1, max = 1000000 },
  timeout = { type = "number", min = 0.001, max = 3600 },
  tries = { type = "integer", min = 1, max = 100 },
  ndots = { type = "integer", min = 1, max = 15 },
  random = random_rule,
}

---A resolver with settings of its own; what is not given is the system's. Close it when it is not needed
---any more: pending look-ups end with kind `closed` then.
---
---`timeout` is for one try of one server, as in resolv.conf; a look-up as a whole has its own `timeout`.
---Throws for an option that is unknown or wrong.
---@param opts? qn.ResolverOptions
---@return qn.Resolver? resolver
---@return qn.Error? err
---@nodiscard
function M.resolver(opts)
  opts = options.check(opts, resolver_rules, "qn.dns.resolver")
  local fields = {
    servers = opts.servers and strings(opts.servers),
    search = opts.search == false and {} or opts.search and strings(opts.search),
    resolv_conf = opts.resolv_conf,
    no_cache = opts.cache == false,
    cache = opts.cache or nil,
    tries = opts.tries,
    ndots = opts.ndots,
  }
  fields.hosts = opts.hosts == false and "" or opts.hosts
  fields.nsswitch = opts.nsswitch == false and "" or opts.nsswitch
  if opts.timeout then
    fields.try_timeout = math.max(1, math.ceil(opts.timeout * 1000))
  end
  local resolver, err = make(fields, "qn.dns.resolver", 2)
  if not resolver then
    return nil, err
  end
  known[resolver] = { servers = fields.servers, path = opts.resolv_conf, random = opts.random }
  return resolver
end

-- Calls ------------------------------------------------------------------------------------------

local function check_self(self, where)
  if not known[self] then
    error(("bad argument #1 to '%s' (qn.Resolver expected, got %s)"):format(where, type(self)), 3)
  end
end

local function check_name(value, where)
  if type(value) ~= "string" then
    error(("bad argument #1 to '%s' (string expected, got %s)"):format(where, type(value)), 4)
  end
end

local function lookup(self, name, opts)
  opts = options.check(opts, self and lookup_method_rules or lookup_rules, "lookup", 4)
  local literal = core.dns_literal(name, true)
  if not literal then
    check_name(name, "lookup")
  end
  local resolver, err = chosen(self, opts, "lookup")
  if err then
    return nil, err
  elseif literal then
    local text = tostring(literal)
    local names = core.dns_reverse(resolver, text, opts.timeout) or { text }
    return record.host { name = names[1], names = names, addresses = { literal }, ttl = 0 }
  end
  local host
  host, err = core.dns_lookup(resolver, name, FAMILIES[opts.family or "any"], opts.timeout)
  if not host then
    return nil, err
  end
  host.name = host.name or name
  host.names = { host.name }
  return record.host(host)
end

local function reverse(self, address, opts)
  opts = options.check(opts, self and reverse_method_rules or reverse_rules, "reverse", 4)
  local literal = core.dns_literal(address)
  if not literal then
    error("bad argument #1 to 'reverse' (an IP address expected, got "
      .. (type(address) == "string" and "'" .. address .. "'" or type(address)) .. ")", 3)
  end
  local resolver, err = chosen(self, opts, "reverse")
  if err then
    return nil, err
  end
  return core.dns_reverse(resolver, tostring(literal), opts.timeout)
end

-- As many numbers as `random` may have to give.
local function numbers(random, n)
  local out = {}
  for i = 1, random and n or 0 do
    local number = math.tointeger(random(0))
    if not number then
      error("query: 'random' must return an integer, as math.random(0) does", 4)
    end
    out[i] = number
  end
  return random and out or nil
end

local ORDERED <const> = { MX = true, SRV = true, SVCB = true, HTTPS = true }

-- RFC 3403 section 4.1
local function by_order(a, b)
  if a.order ~= b.order then
    return a.order < b.order
  end
  return a.preference < b.preference
end

local function query(self, name, kind, opts)
  opts = options.check(opts, self and query_method_rules or query_rules, "query", 4)
  check_name(name, "query")
  local number, type_name = core.dns_type(kind)
  if not number then
    error("bad argument #2 to 'query' (" .. type_name .. ")", 3)
  end
  local resolver, err = chosen(self, opts, "query")
  if err then
    return nil, err
  end
  local records
  records, err = core.dns_query(resolver, name, number, opts.timeout)
  if not records then
    return nil, err
  end
  if ORDERED[type_name] and #records > 1 then
    local random = opts.random or resolver and known[resolver].random
    core.dns_order(records, type_name, numbers(random, #records))
  elseif type_name == "NAPTR" then
    table.sort(records, by_order)
  end
  return record.records(records)
end

---Looks a host name up, as the system would: hosts file, search list, DNS. The addresses are in the order
---in which they are to be tried (RFC 6724). Names that are not ASCII go through IDNA (UTS 46).
---
---The literal of an address (also "127.1" or "0x7f000001", which the system takes for one) is looked up the
---other way round: `name` is what it is called, or the literal itself when no name is found; such a look-up
---never fails.
---
---With `server` these DNS servers are asked instead of the system's; the hosts file counts, the system's
---search list does not (give `search` for one). Cancelling the task ends the look-up.
---
---Errors: `dns` (`HOST_NOT_FOUND`, also: no address; `DNS_SERVFAIL`, `DNS_REFUSED`, `DNS_BAD_REPLY`,
---`DNS_UNREACHABLE` ...), `timeout` with phase `dns`, `invalid` (`INVALID_HOST`), `closed` (the resolver).
---Qt rows: HI-01, HI-02, HI-03, HI-04, HI-05, HI-06, HI-07, HI-08, HI-10, Q5-15.
---@async
---@param name string|qn.Address
---@param opts? qn.LookupOptions
---@return qn.Host? host
---@return qn.Error? err
function M.lookup(name, opts)
  local host, err = lookup(nil, name, opts)
  if not host then
    return nil, err
  end
  return host
end

---The names of an address: those of the hosts file, else those of the DNS (PTR).
---
---Errors: as for `lookup`; `HOST_NOT_FOUND` when it has none.
---Qt rows: HI-06.
---@async
---@param address string|qn.Address the literal of an IP address
---@param opts? qn.ReverseOptions
---@return string[]? names
---@return qn.Error? err
function M.reverse(address, opts)
  local names, err = reverse(nil, address, opts)
  if not names then
    return nil, err
  end
  return names
end

---Asks the DNS for records of a name: no hosts file, no search list, whatever nsswitch.conf says. Aliases
---(CNAME) are followed. MX, SRV, SVCB, HTTPS and NAPTR records are in the order in which they are to be
---tried (RFC 5321, RFC 2782, RFC 9460, RFC 3403); a service that is not offered has one SRV record with the
---target ".".
---
---Types: A AAAA CNAME MX NS PTR SOA SRV TXT TLSA CAA NAPTR SVCB HTTPS ANY are decoded; every other type by
---its name or number (`"TYPE999"`, `999`) gives records with `data`. An unknown type throws.
---
---Errors: as for `lookup`; `NO_DATA`: the name exists, but has no record of this type.
---Qt rows: DNS-01, DNS-02, DNS-03, DNS-04.
---@async
---@param name string IDN are converted
---@param type string|integer in any case
---@param opts? qn.QueryOptions
---@return qn.DnsRecords? records
---@return qn.Error? err
function M.query(name, type, opts)
  local records, err = query(nil, name, type, opts)
  if not records then
    return nil, err
  end
  return records
end

---As `qn.dns.lookup`, by this resolver.
---@async
---@param name string|qn.Address
---@param opts? {family?: "any"|"ipv4"|"ipv6", timeout?: number|false}
---@return qn.Host? host
---@return qn.Error? err
function Resolver:lookup(name, opts)
  check_self(self, "lookup")
  local host, err = lookup(self, name, opts)
  if not host then
    return nil, err
  end
  return host
end

---As `qn.dns.reverse`, by this resolver.
---@async
---@param address string|qn.Address
---@param opts? {timeout?: number|false}
---@return string[]? names
---@return qn.Error? err
function Resolver:reverse(address, opts)
  check_self(self, "reverse")
  local names, err = reverse(self, address, opts)
  if not names then
    return nil, err
  end
  return names
end

---As `qn.dns.query`, by this resolver.
---@async
---@param name string
---@param type string|integer
---@param opts? {timeout?: number|false, random?: fun(n: 0): integer}
---@return qn.DnsRecords? records
---@return qn.Error? err
function Resolver:query(name, type, opts)
  check_self(self, "query")
  local records, err = query(self, name, type, opts)
  if not records then
    return nil, err
  end
  return records
end

---The servers that it asks: as they were given, or those of resolv.conf as it is now.
---@return string[]
function Resolver:servers()
  check_self(self, "servers")
  local facts = known[self]
  return facts.servers and table.move(facts.servers, 1, #facts.servers, 1, {})
    or core.dns_servers(facts.path)
end

---The name of this machine.
---
---Qt rows: HI-09.
---@return string
function M.host_name()
  return core.host_name()
end

---The domain of this machine by the resolver's configuration, "" when there is none.
---
---Qt rows: HI-09.
---@return string
function M.domain_name()
  return core.domain_name()
end

return M
