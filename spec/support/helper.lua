-- The busted helper that scripts/busted.lua loads before any spec file: every spec is a leak check.
-- What is checked, and how a spec says that it leaks on purpose, is in spec/support/leaks.lua.

local busted = require("busted")
local leaks = require("spec.support.leaks")

busted.subscribe({ "test", "start" }, function(element)
  leaks.name("'" .. tostring(element.name) .. "'")
  return nil, true
end)
busted.before_each(leaks.before_each)
busted.after_each(leaks.after_each)
