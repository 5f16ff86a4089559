---Addresses of the internet protocol: a table that can be called, and other ways to make them.

local core = require "qn.core"

---Makes addresses: `qn.address(value [, options]) -> qn.Address?, qn.Error?`. The value is
---
--- - a literal: `"127.0.0.1"`, `"2001:db8::1"`, `"fe80::1%eth0"`, `"::ffff:1.2.3.4"`; blanks around it
---   do not matter, and nothing is looked up. IPv4 has four decimal parts without leading zeros, unless
---   `{ loose = true }` asks for the old forms (`"127.1"`, `"0x7f000001"`, `"0177.0.0.1"`);
--- - a special name: `"any"` or `"*"` (both families, to listen on), `"any_ipv4"`, `"any_ipv6"`,
---   `"localhost"`, `"localhost_ipv6"`, `"broadcast"`, `"null"` (no address);
--- - a table of 4 or 16 bytes; an integer (IPv4, `0x7f000001`); or an address, which is returned.
---
---What is no address gives an error of kind `invalid`, code `INVALID_ADDRESS`. Equal addresses are one
---value, so that `==` and table keys work.
---
---Qt rows: ADR-01, ADR-02, ADR-03, ADR-08, Q5-03.
---@class qn.address
---@overload fun(value: string|integer|integer[]|qn.Address, options?: qn.AddressOptions): qn.Address?, qn.Error?
local M = {}

---@class qn.AddressOptions
---@field loose? boolean take the forms of inet_aton too: fewer parts, octal, hexadecimal (default: no)

---Reads a subnet: `"10.1.0.0/16"`, `"10.1.0.0/255.255.0.0"`, `"10.1"`, `"10.1."`, `"10"` (8 bits for
---each part), `"2001:db8::/32"`, or an address alone (all its bits). The bits behind the prefix are
---cleared. What is no subnet gives an error of kind `invalid`, code `INVALID_ADDRESS`.
---
---Qt rows: ADR-11.
---@param text string
---@return qn.Address? network
---@return integer|qn.Error bits
function M.parse_subnet(text)
  return core.parse_subnet(text)
end
M.parse_subnet = core.parse_subnet

---An IPv4 address from its number: `0x7f000001` is 127.0.0.1. Below 0 or above 2^32 - 1: kind `invalid`.
---
---Qt rows: ADR-02.
---@param number integer
---@return qn.Address?
---@return qn.Error? err
function M.from_ipv4(number)
  return core.address_from_ipv4(number)
end
M.from_ipv4 = core.address_from_ipv4

---An address from its 4 or 16 bytes, in network order: what `bytes` and `to_ipv6` give, and packets
---hold. Other sizes: kind `invalid`.
---
---Qt rows: ADR-02.
---@param bytes string
---@return qn.Address?
---@return qn.Error? err
function M.from_bytes(bytes)
  return core.address_from_bytes(bytes)
end
M.from_bytes = core.address_from_bytes

return setmetatable(M, { __call = core.address })
