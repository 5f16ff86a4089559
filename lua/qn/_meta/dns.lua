---@meta

---@class qn.LookupOptions
---@field family? "any"|"ipv4"|"ipv6" which addresses (default "any")
---@field timeout? number|false seconds for all of it (default 10)
---@field server? string|string[] DNS servers to ask instead of the system's: "192.0.2.1", "192.0.2.1:5353", "[::1]:53"
---@field search? string|string[]|false domains to try for short names; only with `server`
---@field resolver? qn.Resolver who is to look up; not with `server`

---@class qn.ReverseOptions
---@field timeout? number|false seconds for all of it (default 10)
---@field server? string|string[] DNS servers to ask instead of the system's
---@field resolver? qn.Resolver who is to look up; not with `server`

---@class qn.QueryOptions
---@field timeout? number|false seconds for all of it (default 10)
---@field server? string|string[] DNS servers to ask instead of the system's
---@field resolver? qn.Resolver who is to ask; not with `server`
---@field random? fun(n: 0): integer where the order of MX, SRV, SVCB, HTTPS gets its numbers from: called as math.random(0)

---@class qn.ResolverOptions
---@field servers? string|string[] DNS servers in order: "192.0.2.1", "192.0.2.1:5353", "[::1]:53" (default: resolv.conf)
---@field search? string|string[]|false domains to try for short names; false: none (default: resolv.conf)
---@field hosts? string|false path of the hosts file; false: none (default "/etc/hosts")
---@field resolv_conf? string path of another resolv.conf
---@field nsswitch? string|false path of another nsswitch.conf; false: hosts file, then DNS (default with `servers`)
---@field cache? integer|false how many answers are kept; false: none (default 1000)
---@field timeout? number seconds for one try of one server (default: resolv.conf, 5)
---@field tries? integer rounds over all servers (default: resolv.conf, 2)
---@field ndots? integer names with fewer dots go through the search list first (default: resolv.conf, 1)
---@field random? fun(n: 0): integer where the order of MX, SRV, SVCB, HTTPS gets its numbers from: called as math.random(0)

---A resolver with settings of its own (QDnsLookup with a name server): made by `qn.dns.resolver`, good for
---the option `resolver` of look-ups and of `qn.tcp.connect`. Works with `<close>`; one that the collector
---finds open is closed and counted as a leak.
---@class qn.Resolver
local Resolver = {}

---Closes it; pending look-ups end with kind `closed`. Idempotent.
function Resolver:close() end

---Forgets the answers that are kept.
function Resolver:clear_cache() end

---Whether it was closed.
---@return boolean
function Resolver:is_closed() end

---What a look-up has found (QHostInfo): a read-only value. Addresses come in the order in which they are to
---be tried (RFC 6724).
---
---Qt rows: HI-04.
---@class qn.Host
---@field name string the name at the end of the aliases, in ASCII; of a literal what it is called, else the literal
---@field names string[] all names of a literal; of a name that one
---@field addresses qn.Address[] at least one
---@field ttl integer seconds for which this may be kept; 0 when it is not known (hosts file, literals)

---A record of the DNS (QDnsDomainNameRecord, QDnsHostAddressRecord, QDnsMailExchangeRecord, QDnsServiceRecord,
---QDnsTextRecord, QDnsTlsAssociationRecord): a read-only value; which fields it has depends on its type.
---`tostring` gives the line of a zone file. Names have no final dot; the root is ".".
---
---Qt rows: DNS-02, DNS-04.
---@class qn.DnsRecord
---@field name string the owner
---@field type string "A", "MX" ...; "TYPE999" for types without a name
---@field ttl integer seconds
---@field address? qn.Address A, AAAA
---@field target? string CNAME, NS, PTR, SRV ("." when the service is not offered), SVCB and HTTPS ("." means the owner)
---@field preference? integer MX, NAPTR
---@field exchange? string MX
---@field priority? integer SRV; SVCB and HTTPS (0: an alias)
---@field weight? integer SRV
---@field port? integer SRV
---@field strings? string[] TXT
---@field text? string TXT: the strings, joined
---@field mname? string SOA: the primary server
---@field rname? string SOA: the mailbox of who is responsible
---@field serial? integer SOA
---@field refresh? integer SOA
---@field retry? integer SOA
---@field expire? integer SOA
---@field minimum? integer SOA
---@field usage? integer TLSA
---@field selector? integer TLSA
---@field matching? integer TLSA
---@field flags? integer|string CAA (a number), NAPTR (a string)
---@field tag? string CAA
---@field value? string CAA
---@field order? integer NAPTR
---@field services? string NAPTR
---@field regexp? string NAPTR
---@field replacement? string NAPTR
---@field params? qn.SvcParams SVCB, HTTPS
---@field data? string TLSA: the digest or certificate; types that are not decoded: all of it
local DnsRecord = {}

---The parameters of an SVCB or HTTPS record (RFC 9460). Keys without a name here are "key667", bytes as they
---are. A record set with a malformed record is refused as a whole.
---@class qn.SvcParams
---@field mandatory? string[] names of keys
---@field alpn? string[]
---@field no_default_alpn? boolean
---@field port? integer
---@field ipv4hint? qn.Address[]
---@field ech? string
---@field ipv6hint? qn.Address[]
---@field dohpath? string
---@field ohttp? boolean

---What `qn.dns.query` gives: the records as a list, with facts about the answer.
---@class qn.DnsRecords
---@field canonical string the name at the end of the aliases
---@field chain qn.DnsRecord[] the CNAME records that lead there
---@field ttl integer seconds for which the whole answer may be kept
---@field authoritative boolean the server is responsible for the zone
---@field authentic boolean the server says that it has validated the answer (AD)
