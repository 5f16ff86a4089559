---The program qnlua: its options, the order of what it runs, LUA_INIT. The same options as `lua5.4`, and
---`--trace`; see `usage`. Everything runs in task 0, so chunks of `-e`, modules of `-l`, the script and the
---lines of the REPL may wait.

local core = require "qn.core"

local M = {}

local usage = [==[
usage: qnlua [options] [script [args]]
       qnlua [options] cert [cert options] host[:port] | file ...
  -e stat          run the Lua code 'stat'
  -l mod           require the module 'mod' into the global 'mod'
  -l g=mod         require the module 'mod' into the global 'g'
  -i               enter interactive mode after running 'script'
  -v               show the version
  -E               ignore environment variables (LUA_INIT, LUA_PATH, LUA_CPATH and others)
  -W               turn warnings on
  --trace[=layers] print what passes on the wire on standard error; layers: %s
  --keylog file    append the keys of TLS connections to 'file', for programs that look into them
  --help           show this text
  cert             show certificates and whether they are good; see qnlua cert --help
  --               stop handling options
  -                stop handling options and run standard input
]==]

local function usage_text()
  return usage:format(table.concat(core.trace_layers, ","))
end

-- Words in the place of the script that are commands of the program; ./cert or -- cert is a script.
local commands <const> = { cert = "qn.cert_command" }

-- What was asked for: steps = list of {"e"|"l"|"W", value} in order; script = index of the script's name
-- in args, or nil. Wrong usage gives nil and what is wrong.
local function parse(args)
  local o = { steps = {} }
  local function step(kind, value)
    o.steps[#o.steps + 1] = { kind, value }
  end
  local flags = {
    i = function() o.interactive, o.version = true, true end,
    v = function() o.version = true end,
    E = function() o.ignore_environment = true end,
    W = function() step "W" end,
  }
  local i, ended = 1, false
  while args[i] do
    local arg = args[i]
    local letter, rest = arg:match "^%-([^-])(.*)$"
    if arg:sub(1, 1) ~= "-" or arg == "-" then
      break
    elseif arg == "--" then
      i, ended = i + 1, true
      break
    elseif letter == "e" or letter == "l" then
      local value = rest
      if value == "" then
        i = i + 1
        value = args[i]
        if not value or value:sub(1, 1) == "-" and letter == "l" then
          return nil, ("'-%s' needs argument"):format(letter)
        end
      end
      step(letter, value)
      o.ran_code = o.ran_code or letter == "e"
    elseif letter and rest == "" and flags[letter] then
      flags[letter]()
    elseif arg == "--trace" then
      o.trace = core.trace_layers
    elseif arg:match "^%-%-trace=" then
      o.trace = {}
      for name in arg:sub(9):gmatch "[^,]*" do
        o.trace[#o.trace + 1] = name
      end
    elseif arg == "--keylog" or arg:match "^%-%-keylog=" then
      o.keylog = arg:match "^%-%-keylog=(.*)$"
      if not o.keylog then
        i = i + 1
        o.keylog = args[i]
      end
      if not o.keylog or o.keylog == "" then
        return nil, "'--keylog' needs argument"
      end
    elseif arg == "--help" then
      o.help = true
    else
      return nil, ("unrecognized option '%s'"):format(arg)
    end
    i = i + 1
  end
  o.script = args[i] and i or nil
  o.command = not ended and commands[args[i]] or nil
  if o.command and o.interactive then
    return nil, ("'-i' does not go with '%s'"):format(args[i])
  end
  return o
end

local function check_trace(layers)
  for _, name in ipairs(layers) do
    local known = false
    for _, layer in ipairs(core.trace_layers) do
      known = known or layer == name
    end
    if not known then
      return nil, ("unknown layer '%s' for --trace (known: %s)"):format(name,
        table.concat(core.trace_layers, ", "))
    end
  end
  return true
end

-- arg[0] is the script, what follows are its arguments, what comes before has negative indexes.
local function make_arg(args, script)
  local t = {}
  for i = 0, #args do
    t[i - (script or 0)] = args[i]
  end
  return t
end

local function run_init()
  local name = "LUA_INIT_5_4"
  local text = os.getenv(name)
  if not text then
    name = "LUA_INIT"
    text = os.getenv(name)
  end
  if not text then
    return
  end
  local f, err
  if text:sub(1, 1) == "@" then
    f, err = loadfile(text:sub(2))
  else
    f, err = load(text, "=" .. name)
  end
  if not f then
    error(err, 0)
  end
  core.call(f)
end

local runners = {
  e = function(code)
    local f, err = load(code, "=(command line)")
    if not f then
      error(err, 0)
    end
    core.call(f)
  end,
  l = function(what)
    local global, module = what:match "^([^=]*)=(.*)$"
    _G[global or what] = core.call(require, module or what)
  end,
  W = function() warn "@on" end,
}

local function load_script(name)
  local f, err = loadfile(name ~= "-" and name or nil)
  if not f then
    error(err, 0)
  end
  return f
end

local function print_version()
  print(("qnlua %s  %s"):format(core.version, _VERSION))
end

local function fail(text)
  io.stderr:write("qnlua: ", text, "\n", usage_text())
  return 2
end

---Task 0 of the program. Errors of what it runs are thrown.
---@async
---@param args string[] with the program's name at index 0
---@return integer? status
function M.main(args)
  local o, err = parse(args)
  if not o then
    return fail(err)
  end
  if o.trace then
    local ok
    ok, err = check_trace(o.trace)
    if not ok then
      return fail(err)
    end
    core.trace(table.unpack(o.trace))
  end
  if o.keylog then
    core.keylog = o.keylog
  elseif o.ignore_environment then
    core.keylog = false -- SSLKEYLOGFILE is not looked at
  end
  if o.help then
    io.stdout:write(usage_text())
    return 0
  end
  if o.version then
    print_version()
  end
  arg = make_arg(args, o.script) -- luacheck: ignore 111
  if not o.ignore_environment then
    run_init()
  end
  for _, step in ipairs(o.steps) do
    runners[step[1]](step[2])
  end
  if o.command then
    return require(o.command).main(table.move(args, o.script + 1, #args, 1, {}))
  elseif o.script then
    core.call(load_script(args[o.script]), table.unpack(arg))
  end
  if o.interactive then
    return require "qn.repl".run()
  elseif o.script or o.ran_code or o.version then
    return 0
  elseif core.is_terminal() then
    print_version()
    return require "qn.repl".run()
  end
  core.call(load_script "-")
  return 0
end

return M
