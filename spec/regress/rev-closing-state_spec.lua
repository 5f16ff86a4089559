-- A finalizer that ran while the Lua state was being closed could begin a task: its memory was freed
-- with the state, and the loop ran it afterwards.
local program = require "spec.support.program"

describe("a finalizer that runs when the Lua state is closed", function()
  for _, name in ipairs { "spawn", "detach" } do
    it("gets an error from qn." .. name, function()
      local script = ([[
        local qn = require "qn"
        KEEP = setmetatable({}, { __gc = function()
          local ok, err = pcall(qn.%s, function() print("ran") end)
          io.stdout:write(tostring(ok), " ", tostring(err):match("no task can begin") or "", "\n")
        end })
      ]]):format(name)
      local pipe <close> = assert(io.popen("'" .. program.qnlua() .. "' -e '" .. script:gsub("\n%s*", " ") .. "' 2>&1"))
      assert.equal("false no task can begin\n", pipe:read("a"))
    end)
  end
end)
