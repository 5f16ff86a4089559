-- qn.url in one mode: url_qn.lua <mode>. Started by scripts/bench/run.
local qn = require "qn"
package.path = (arg[0]:match("^(.*)/[^/]*$") or ".") .. "/?.lua;" .. package.path

local url, mode = qn.url, arg[1]
require "url_cases" (function(text) return (url(text, mode)) end)
