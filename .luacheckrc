std = "lua54"
max_line_length = 100
codes = true
exclude_files = { "build", "lua/qn/_meta" }
-- Methods of a class keep `self` even where one of them does not need it.
self = false

files["spec/**/*_spec.lua"].std = "+busted"
files["spec/support/helper.lua"].std = "+busted"
