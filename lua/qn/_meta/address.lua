---@meta

---An IPv4 or IPv6 address: an immutable value without a port, made by `qn.address` and given by
---everything that has an address. Equal ones are the same value: `==` compares, and they are good
---table keys. `<` sorts IPv4 before IPv6, then by bytes, then by scope. `tostring` gives the text of
---RFC 5952, with the scope, and `..` works. Fields that do not exist are nil; writing one throws.
---
---What comes from a socket is IPv4 when the peer uses IPv4, also where one socket serves both families.
---An IPv4-mapped address that is written as such (`"::ffff:1.2.3.4"`) stays an IPv6 address, until
---`unmapped` or a socket turns it into IPv4.
---
---Qt rows: ADR-04, ADR-06, ADR-08, ADR-09, Q5-08, WEAK-18.
---@class qn.Address
---@field protocol "ipv4"|"ipv6"|"any"|"unknown" "any" is the address "any", "unknown" is "null"
---@field scope_id string zone of an IPv6 address: the name of its interface, else the index; "" without one
---@field scope_index integer the index of that interface; 0 without one, or when there is none of that name
---@field bytes string 4 or 16 bytes in network order; "" of "null"
---@field is_null boolean no address
---@field is_unspecified boolean 0.0.0.0, ::, any
---@field is_loopback boolean 127.0.0.0/8, ::1
---@field is_global boolean a host of the internet may have it: not private, shared, reserved, local, multicast
---@field is_private boolean 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7
---@field is_link_local boolean 169.254.0.0/16, fe80::/10
---@field is_site_local boolean fec0::/10, deprecated
---@field is_unique_local boolean fc00::/7
---@field is_multicast boolean 224.0.0.0/4, ff00::/8
---@field is_broadcast boolean 255.255.255.255
---@field is_shared boolean 100.64.0.0/10, carrier-grade NAT
---@field is_documentation boolean 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32, 3fff::/20
---@field is_reserved boolean for protocols, for benchmarks, or not given out
---@field is_mapped boolean ::ffff:0:0/96; the other fields are those of the IPv4 address inside
---@operator concat(any): string
local Address = {}

---The number of an IPv4 address, or of the one in an IPv4-mapped one (0 of "any"); nil of others.
---
---Qt rows: ADR-05.
---@return integer?
function Address:to_ipv4() end

---The 16 bytes of an IPv6 address; an IPv4 one becomes IPv4-mapped. nil of "null".
---
---Qt rows: ADR-05.
---@return string?
function Address:to_ipv6() end

---The IPv4 address in an IPv4-mapped one; any other address itself.
---@return qn.Address
function Address:unmapped() end

---The same address in another zone: the name or the index of an interface, or nil for none. Throws
---when this is no IPv6 address.
---
---Qt rows: ADR-07.
---@param scope? string|integer
---@return qn.Address
function Address:with_scope(scope) end

---Whether both mean the same host. `==` is the strict comparison; this one converts as the mode says,
---or a list of modes: "v4_mapped" (::ffff:1.2.3.4 is 1.2.3.4), "v4_compat" (::1.2.3.4 is 1.2.3.4),
---"unspecified" (0.0.0.0, :: and any are one), "localhost" (::1 is 127.0.0.1), "tolerant" (all of them,
---the default), "strict". Scopes must be the same.
---
---Qt rows: Q5-09.
---@param other qn.Address|string
---@param mode? qn.AddressMode|qn.AddressMode[]
---@return boolean
function Address:equals(other, mode) end

---Whether it is in a subnet: `a:is_in_subnet("10.0.0.0/8")`, `a:is_in_subnet(network, bits)`. Of the
---other family: false. A subnet that is none, or too many bits, throws.
---
---Qt rows: ADR-10.
---@param net qn.Address|string
---@param bits? integer not with the text of a subnet
---@return boolean
function Address:is_in_subnet(net, bits) end

---@alias qn.AddressMode
---| "strict" # no conversion
---| "tolerant" # all conversions
---| "v4_mapped" # ::ffff:1.2.3.4 is 1.2.3.4
---| "v4_compat" # ::1.2.3.4 is 1.2.3.4
---| "unspecified" # 0.0.0.0, :: and any are one
---| "localhost" # ::1 is 127.0.0.1
