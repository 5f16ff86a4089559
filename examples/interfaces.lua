-- The network interfaces of this machine: what they are, what they can, and their addresses, as `ip addr`
-- shows them. With names, only those.
--
-- Run:   qnlua examples/interfaces.lua [name...]
-- Prints, for "lo":
--   lo: loopback, MTU 65536, up running loopback
--     hardware 00:00:00:00:00:00
--     127.0.0.1/8 loopback
--     ::1/128 loopback

local qn = require "qn"

local FLAGS <const> = { "up", "running", "loopback", "broadcast", "point_to_point", "multicast" }
local KINDS <const> = { "loopback", "link_local", "unique_local", "private", "shared", "global",
  "documentation", "reserved" }

local function those_set(names, is_set)
  local set = {}
  for _, name in ipairs(names) do
    if is_set(name) then
      set[#set + 1] = (name:gsub("_", "-"))
    end
  end
  return table.concat(set, " ")
end

local function lifetime(entry)
  local text = entry.is_temporary and ", temporary" or ""
  if not entry.is_permanent then
    text = text .. (", %d s left"):format(entry.validity_lifetime)
  end
  return entry.is_deprecated and text .. ", deprecated" or text
end

local function show(interface)
  local flags = those_set(FLAGS, function(name) return interface.flags[name] end)
  print(("%s: %s, MTU %d, %s"):format(interface, interface.type, interface.mtu, flags))
  if interface.hardware_address ~= "" then
    print("  hardware " .. interface.hardware_address)
  end
  for _, entry in ipairs(interface.entries) do
    local kind = those_set(KINDS, function(name) return entry.ip["is_" .. name] end)
    local far = entry.broadcast and " broadcast " .. entry.broadcast or ""
    far = entry.peer and far .. " peer " .. entry.peer or far
    print(("  %s %s%s%s"):format(entry, kind, far, lifetime(entry)))
  end
end

if #arg == 0 then
  for _, interface in ipairs(assert(qn.interfaces())) do
    show(interface)
  end
end
for _, name in ipairs(arg) do
  show(assert(qn.interfaces.by_name(name)))
end
