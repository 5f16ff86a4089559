---The network interfaces of this machine: a table that can be called.
---
---Snapshots of C are sealed here: what a program gets are values with read-only fields, which `pairs`
---and `#` see as tables. Nothing is kept between calls.

local core = require "qn.core"

---The network interfaces: `qn.interfaces() -> qn.Interface[]?, qn.Error?` gives a list of all, by index,
---as they are now. Nothing waits: the kernel answers from memory.
---
---Qt rows: IF-05.
---@class qn.interfaces
---@overload fun(): qn.Interface[]?, qn.Error?
local M = {}

---A network interface as it was when it was asked for: a value with read-only fields. `tostring` gives
---its name.
---
---Qt rows: IF-01, IF-02, IF-03, Q5-16.
---@class qn.Interface
---@field name string "eth0"
---@field human_name string what an administrator called it (its alias), else the name
---@field index integer what scopes of addresses and datagrams name it by
---@field hardware_address string "02:FC:00:00:00:01"; "" when it has none
---@field mtu integer bytes; 0 when unknown
---@field type qn.InterfaceType
---@field flags qn.InterfaceFlags
---@field entries qn.InterfaceEntry[] its addresses

---@class qn.InterfaceFlags
---@field up boolean switched on
---@field running boolean able to carry packets
---@field broadcast boolean can broadcast
---@field loopback boolean
---@field point_to_point boolean
---@field multicast boolean can multicast

---One address of an interface: a value with read-only fields. `tostring` gives "192.0.2.2/24".
---
---Qt rows: IF-06, Q5-17.
---@class qn.InterfaceEntry
---@field ip qn.Address
---@field netmask qn.Address
---@field prefix_length integer bits of the netmask
---@field broadcast? qn.Address nil for IPv6 and where there is none
---@field peer? qn.Address the other end of a point-to-point link
---@field validity_lifetime number seconds until it goes; math.huge = for ever
---@field preferred_lifetime number seconds until new connections avoid it; math.huge = for ever
---@field is_lifetime_known boolean whether the kernel said so
---@field is_permanent boolean its validity has no end
---@field is_temporary boolean an IPv6 privacy address
---@field is_deprecated boolean its preferred lifetime is over
---@field is_tentative boolean not usable: the kernel still looks for duplicates, or has found one
---@field is_dns_eligible boolean worth publishing: lasting, neither loopback nor link-local

---@alias qn.InterfaceType
---| "unknown"
---| "loopback"
---| "virtual" # tunnels, TUN devices
---| "ethernet" # also bridges, virtual pairs, TAP devices
---| "slip"
---| "can_bus"
---| "ppp"
---| "fddi"
---| "wifi"
---| "phonet"
---| "ieee802154"
---| "6lowpan"
---| "ieee80216"
---| "ieee1394"

local function refuse(_, field)
  error(("attempt to change field '%s' of a read-only value"):format(field), 2)
end

-- A table that can be read and not written to.
local function seal(fields, name, tostring_)
  return setmetatable({}, {
    __index = fields,
    __newindex = refuse,
    __len = function() return #fields end,
    __pairs = function() return next, fields, nil end,
    __name = name,
    __tostring = tostring_ and function() return tostring_(fields) end,
    __metatable = "qn",
  })
end

local function name_of(fields) return fields.name end

local function entry_text(fields) return fields.ip .. "/" .. fields.prefix_length end

local function seal_interface(fields)
  local entries = {}
  for i, entry in ipairs(fields.entries) do
    entries[i] = seal(entry, "qn.InterfaceEntry", entry_text)
  end
  fields.entries = seal(entries)
  fields.flags = seal(fields.flags)
  return seal(fields, "qn.Interface", name_of)
end

local function all()
  local list, err = core.interfaces()
  if not list then
    return nil, err
  end
  for i, fields in ipairs(list) do
    list[i] = seal_interface(fields)
  end
  return list
end

local function find(key, value)
  local list, err = core.interfaces()
  if not list then
    return nil, err
  end
  for _, fields in ipairs(list) do
    if fields[key] == value then
      return seal_interface(fields)
    end
  end
  return nil
end

---The interface of this name. None: an error of kind `io`, code `ENODEV`.
---
---Qt rows: IF-04.
---@param name string
---@return qn.Interface?
---@return qn.Error? err
function M.by_name(name)
  local index, err = core.interface_index(name)
  if not index then
    return nil, err
  end
  return M.by_index(index)
end

---The interface of this index. None: an error of kind `io`, code `ENODEV`.
---
---Qt rows: IF-04.
---@param index integer
---@return qn.Interface?
---@return qn.Error? err
function M.by_index(index)
  local name, missing = core.interface_name(index)
  if not name then
    return nil, missing
  end
  local found, err = find("index", index)
  if found then
    return found
  end
  return nil, err or select(2, core.interface_name(index)) -- gone meanwhile
end

---The index of an interface. None: an error of kind `io`, code `ENODEV`.
---
---Qt rows: Q5-16.
---@param name string
---@return integer? index
---@return qn.Error? err
function M.index_of(name)
  return core.interface_index(name)
end

---The name of an interface. None: an error of kind `io`, code `ENODEV`.
---
---Qt rows: Q5-16.
---@param index integer
---@return string? name
---@return qn.Error? err
function M.name_of(index)
  return core.interface_name(index)
end

---The addresses of all interfaces that are up.
---
---Qt rows: IF-05.
---@return qn.Address[]?
---@return qn.Error? err
function M.all_addresses()
  local list, err = core.interfaces()
  if not list then
    return nil, err
  end
  local addresses = {}
  for _, fields in ipairs(list) do
    if fields.flags.up then
      for _, entry in ipairs(fields.entries) do
        addresses[#addresses + 1] = entry.ip
      end
    end
  end
  return addresses
end

return setmetatable(M, { __call = function() return all() end })
