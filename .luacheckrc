std = "lua54"
max_line_length = 100
max_comment_line_length = 220 -- an annotation cannot be broken
codes = true
exclude_files = { "build", "lua/qn/_meta" }
-- Methods of a class keep `self` even where one of them does not need it.
self = false

-- <close> variables are there for what they do when they go.
ignore = { "211/guard", "211/closer", "211/slot", "211/relock", "211/listening" }

files["spec"] = { max_line_length = 140 } -- tables of named cases read better on one line
files["spec/**/*_spec.lua"].std = "+busted"
files["lua/qn/install.lua"].ignore = { "121", "122" } -- replacing globals is what it is for
files["lua/qn/cli.lua"].ignore = { "121" } -- the global `arg` is its to set
files["spec/bindings/unpack_spec.lua"].ignore = { "122" } -- a script that changes string.unpack
files["spec/support/helper.lua"].std = "+busted"
