-- LuaSocket's socket.url, patterns in plain Lua: it splits and checks nothing. Started by
-- scripts/bench/run.
package.path = (arg[0]:match("^(.*)/[^/]*$") or ".") .. "/?.lua;" .. package.path

local parse = require "socket.url".parse
require "url_cases" (function(text) return (parse(text)) end)
