-- Feeds the lint bad trees, one defect each, and wants exactly that finding.
-- covers: scripts/floors.lua scripts/floors_rules.lua

local floors = require("scripts.floors")

local HEAD <const> = "/* head */\n"

-- A tree without findings; `extra` adds to it or replaces parts of it.
local function tree(extra)
  local files = {
    ["runtime/include/qn/base.h"] = HEAD,
    ["runtime/include/qn/loop.h"] = HEAD .. '#include "qn/base.h"\n',
    ["runtime/include/qn/stream.h"] = HEAD .. '#include "qn/loop.h"\n',
    ["runtime/base/buf.h"] = HEAD,
    ["runtime/base/buf.c"] = HEAD .. '#include "base/buf.h"\n#include <string.h>\n',
    ["runtime/loop/loop.c"] = HEAD .. '#include "base/buf.h"\n#include <uv.h>\n',
    ["spec/runtime/base/buf_test.c"] = '#include "base/buf.h"\n',
    ["spec/runtime/loop/loop_test.c"] = "#include <uv.h>\n",
    ["bindings/qnl.h"] = HEAD .. "#include <lua.h>\n",
    ["bindings/b_loop.c"] = HEAD .. '#include "qnl.h"\n#include <qn/loop.h>\n',
    ["spec/bindings/loop_spec.lua"] = "",
    ["lua/qn/task.lua"] = "-- head\n",
    ["lua/qn/group.lua"] = '-- head\nlocal task = require("qn.task")\n',
    ["spec/qn/task_spec.lua"] = "-- covers: lua/qn/group.lua\n",
  }
  for path, text in pairs(extra or {}) do files[path] = text or nil end
  return files
end

local CASES <const> = {
  { "an upward include", { ["runtime/base/buf.h"] = HEAD .. '#include "qn/loop.h"\n' },
    "runtime/base/buf.h:2: floor 0 includes runtime/include/qn/loop.h of floor 2" },
  { "an upward include of a private header",
    { ["runtime/loop/loop.c"] = HEAD .. '#include "stream/x.h"\n',
      ["runtime/stream/x.h"] = HEAD },
    "runtime/loop/loop.c:2: floor 2 includes runtime/stream/x.h of floor 4" },
  { "libuv in the bindings", { ["bindings/b_loop.c"] = HEAD .. "#include <uv.h>\n" },
    "bindings/b_loop.c:2: includes uv.h (libuv), which does not belong here" },
  { "libuv in a stream file that has no business with it",
    { ["runtime/stream/x.h"] = HEAD .. "#include <uv.h>\n" },
    "runtime/stream/x.h:2: includes uv.h (libuv), which does not belong here" },
  { "OpenSSL below its floor", { ["runtime/base/buf.c"] = HEAD .. "#include <openssl/ssl.h>\n" },
    "runtime/base/buf.c:2: includes openssl/ssl.h (OpenSSL), which does not belong here" },
  { "Lua in the core", { ["runtime/base/buf.c"] = HEAD .. "#include <lauxlib.h>\n" },
    "runtime/base/buf.c:2: includes lauxlib.h (Lua), which does not belong here" },
  { "Lua in a public header of the core",
    { ["runtime/include/qn/stream.h"] = HEAD .. "#include <lua.h>\n" },
    "runtime/include/qn/stream.h:2: includes lua.h (Lua), which does not belong here" },
  { "sockets in base", { ["runtime/base/buf.c"] = HEAD .. "#include <sys/socket.h>\n" },
    "runtime/base/buf.c:2: floor 0 includes sys/socket.h" },
  { "a private header of the core in the bindings",
    { ["bindings/b_loop.c"] = HEAD .. '#include "base/buf.h"\n' },
    "bindings/b_loop.c:2: includes runtime/base/buf.h, a private header of runtime" },
  { "a header of the bindings in the core",
    { ["runtime/base/buf.c"] = HEAD .. '#include "qnl.h"\n' },
    "runtime/base/buf.c:2: the core includes bindings/qnl.h of the bindings" },
  { "a folder without a floor", { ["runtime/misc/x.h"] = HEAD },
    "runtime/misc/x.h:1: belongs to no floor (scripts/floors_rules.lua)" },
  { "a public header that does not exist",
    { ["bindings/b_loop.c"] = HEAD .. "#include <qn/nope.h>\n" },
    "bindings/b_loop.c:2: no public header qn/nope.h" },
  { "a cycle of headers",
    { ["runtime/base/buf.h"] = HEAD .. '#include "str.h"\n',
      ["runtime/base/str.h"] = HEAD .. '#include "buf.h"\n' },
    "runtime/base/str.h:2: cycle: runtime/base/buf.h -> runtime/base/str.h -> "
      .. "runtime/base/buf.h" },
  { "a cycle of modules", { ["lua/qn/task.lua"] = '-- head\nlocal g = require("qn.group")\n' },
    "lua/qn/task.lua:2: cycle: lua/qn/group.lua -> lua/qn/task.lua -> lua/qn/group.lua" },
  { "a foreign module", { ["lua/qn/task.lua"] = '-- head\nlocal lfs = require "lfs"\n' },
    "lua/qn/task.lua:2: requires lfs: lua/qn uses nothing but itself and qn.core" },
  { "qn.core in an example", { ["examples/a.lua"] = '-- head\nlocal c = require("qn.core")\n' },
    "examples/a.lua:2: requires qn.core, which is not public" },
  { "a long C file", { ["runtime/base/buf.h"] = HEAD .. ("\n"):rep(700) },
    "runtime/base/buf.h:700: 701 lines, the limit is 700" },
  { "a long Lua file", { ["lua/qn/task.lua"] = "-- head\n" .. ("\n"):rep(500) },
    "lua/qn/task.lua:500: 501 lines, the limit is 500" },
  { "a file without a head comment", { ["lua/qn/task.lua"] = "return {}\n" },
    "lua/qn/task.lua:1: no head comment that says what the file is" },
  { "a C file without a test", { ["runtime/base/str.c"] = HEAD },
    "runtime/base/str.c:1: has no spec: spec/runtime/base/str_test.c, or a spec that says "
      .. "covers: runtime/base/str.c" },
  { "a binding without a spec", { ["bindings/b_file.c"] = HEAD },
    "bindings/b_file.c:1: has no spec: spec/bindings/file_spec.lua, or a spec that says "
      .. "covers: bindings/b_file.c" },
  { "a module without a spec", { ["lua/qn/ftp/init.lua"] = "-- head\n" },
    "lua/qn/ftp/init.lua:1: has no spec: spec/qn/ftp/init_spec.lua, or a spec that says "
      .. "covers: lua/qn/ftp/init.lua" },
  { "a spec that covers what is gone",
    { ["spec/qn/task_spec.lua"] = "-- covers: lua/qn/group.lua, lua/qn/old.lua\n" },
    "spec/qn/task_spec.lua:1: covers lua/qn/old.lua, which does not exist" },
  { "a fuzz target without a corpus", { ["spec/fuzz/url_fuzz.c"] = HEAD },
    "spec/fuzz/url_fuzz.c:1: has no corpus in spec/fuzz/corpus/url" },
  { "unfinished work", { ["lua/qn/task.lua"] = "-- head\n-- TO" .. "DO: more\n" },
    "lua/qn/task.lua:2: unfinished work: TO" .. "DO" },
  { "an unbounded string function",
    { ["runtime/base/buf.c"] = HEAD .. "void f(void) { sprintf(a, b); }\n" },
    "runtime/base/buf.c:2: sprintf: writes or reads without a bound" },
  { "memory that escapes the hooks",
    { ["bindings/b_loop.c"] = HEAD .. "void f(void) { free (p); }\n" },
    "bindings/b_loop.c:2: free: memory of ours comes from qn_malloc and its kin" },
  { "a core that aborts",
    { ["runtime/base/buf.c"] = HEAD .. "void f(void) { abort(); }\n" },
    "runtime/base/buf.c:2: abort: ends the process: only an assertion may" },
  { "a core that exits", { ["runtime/base/buf.c"] = HEAD .. "void f(void) { exit(1); }\n" },
    "runtime/base/buf.c:2: exit: only a program ends the process" },
  { "a skipped spec", { ["spec/qn/task_spec.lua"] =
    "-- covers: lua/qn/group.lua\npend" .. "ing('later')\n" },
    "spec/qn/task_spec.lua:2: pend" .. "ing: a spec is never skipped" },
}

describe("floors", function()
  it("accepts a good tree", function() assert.same({}, floors.check(tree())) end)

  for _, case in ipairs(CASES) do
    it("finds " .. case[1], function() assert.same({ case[3] }, floors.check(tree(case[2]))) end)
  end

  it("allows what only looks like a defect", function()
    assert.same({}, floors.check(tree({
      ["runtime/base/buf.c"] = HEAD .. '/* sprintf(x) and free(y) */\n'
        .. 'const char *s = "free(\\")";\nvoid my_free(void);\n// malloc(3)\n'
        .. "void f(void) { qn_free(p); x = a / b; }\n",
      ["runtime/base/alloc.c"] = HEAD .. "void g(void) { free(p); }\n",
      ["spec/runtime/base/alloc_test.c"] = "",
      ["lua/qn/task.lua"] = '-- head\nlocal function late()\n  return require("qn.group")\nend\n',
      ["bindings/include/qn/lua.h"] = HEAD .. "#include <lua.h>\n",
      ["spec/fuzz/url_fuzz.c"] = HEAD,
      ["spec/fuzz/corpus/url/1"] = "",
    })))
  end)

  it("reads a tree from disk and ends with status 1 on a finding", function()
    local folder = os.tmpname()
    assert(os.remove(folder))
    assert(os.execute(("mkdir -p '%s/lua/qn'"):format(folder)))
    local file = assert(io.open(folder .. "/lua/qn/bad.lua", "w"))
    file:write("return {}\n")
    file:close()
    local files = floors.load(folder)
    assert.same({ ["lua/qn/bad.lua"] = "return {}\n" }, files)
    local lines = {}
    local print_was = print
    _G.print = function(line) lines[#lines + 1] = line end
    local status = floors.main(folder)
    _G.print = print_was
    os.execute(("rm -r '%s'"):format(folder))
    assert.equal(1, status)
    assert.equal("floors: 2 findings", lines[#lines])
  end)
end)
