-- Runs busted specs inside qnlua: qnlua scripts/busted.lua [busted options] <spec files or folders>
-- Called by scripts/test, once per spec file. busted runs as the main task, so that `it` bodies,
-- hooks and helpers may wait. Prints "ok"/"not ok" per test, failures with a traceback, and as the
-- last line "# N passed, N failed", which scripts/test sums up. A pending or skipped test counts as
-- a failure: this project has none. Invariant: the exit status is 0 only when nothing failed.
-- Specs find in the environment: QN_BUILD (the build folder; bin/qnlua and lib/qn/core.so are
-- there), QN_SANITIZE ("" or e.g. "address,undefined") and QN_PRELOAD (what a stock interpreter
-- must have in LD_PRELOAD to load a sanitized module).

local root = (arg[0]:match("^(.*)/scripts/[^/]*$")) or (arg[0]:match("^scripts/") and ".") or ".."
package.path = root .. "/?.lua;" .. root .. "/?/init.lua;" .. package.path

--- The output handler: what busted calls a failure or an error is a failure here.
local function handler_of(counts)
  return function()
    local busted = require("busted")
    local handler = require("busted.outputHandlers.base")()

    local function report(element, message, trace)
      local kind = element.descriptor
      counts.failed = counts.failed + 1
      io.write("not ok ", kind and handler.getFullName(element) or "(before any test)")
      if kind and kind ~= "it" then io.write(" (", kind, ")") end
      io.write("\n")
      local text = tostring(message) .. "\n" .. (trace and trace.traceback or "")
      for line in text:gmatch("[^\n]+") do io.write("#   ", line, "\n") end
      io.flush()
    end

    busted.subscribe({ "test", "end" }, function(element, _, status)
      if status == "success" then
        counts.passed = counts.passed + 1
        io.write("ok ", handler.getFullName(element), "\n")
      elseif status == "pending" then
        report(element, "pending or skipped")
      end
      io.flush()
      return nil, true
    end)
    for _, status in ipairs({ "failure", "error" }) do
      busted.subscribe({ status }, function(element, _, message, trace)
        report(element, message, trace)
        return nil, true
      end)
    end
    return handler
  end
end

local function main()
  local counts = { passed = 0, failed = 0 }
  local exit = os.exit -- the host's, before a spec replaces it
  local options = { "--output=qn", "--pattern=_spec%.lua$" }
  local helper = root .. "/spec/support/helper.lua"
  local file = io.open(helper)
  if file then
    file:close()
    options[#options + 1] = "--helper=" .. helper
  end

  local function finish(status)
    io.write(("# %d passed, %d failed\n"):format(counts.passed, counts.failed))
    io.flush()
    -- busted's own status is a count, which wraps to 0 at 256.
    exit((status ~= 0 or counts.failed > 0 or counts.passed == 0) and 1 or 0)
  end

  package.preload["busted.outputHandlers.qn"] = function() return handler_of(counts) end
  require("busted.compatibility").exit = finish
  for i = -8, 0 do options[i] = arg[i] end
  _G.arg = table.move(arg, 1, #arg, #options + 1, options)
  require("busted.runner")({ standalone = false })
  finish(0)
end

main()
