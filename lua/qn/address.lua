---Addresses of the internet protocol: `qn.address`, a table that can be called.
---
---The values are made in C and are interned: equal addresses are the same value, so they compare with
---`==` and are good table keys. See `qn.Address` for what they can be asked.

local core = require "qn.core"

---@class qn.address
---@overload fun(value: string|integer|integer[]|qn.Address, options?: qn.address.Options): qn.Address?, qn.Error?
local M = {
  parse_subnet = core.parse_subnet,
  from_ipv4 = core.address_from_ipv4,
  from_bytes = core.address_from_bytes,
}

return setmetatable(M, { __call = core.address })
