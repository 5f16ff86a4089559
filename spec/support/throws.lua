-- Checks of misuse: a call that must throw, with a message that says what was wrong and where.

local M = {}

local function check(assert, pattern, code, name, subject, ...)
  local call = assert(load(code:format(name))) -- compiled, so that the message can name the function
  local ok, message = pcall(call, subject, ...)
  assert.is_false(ok, ("%s did not throw (wanted %s)"):format(name, pattern))
  assert.truthy(tostring(message):find(pattern), ("%s: %q does not match %q"):format(name, tostring(message), pattern))
end

---Calls `object:method(...)` and wants an error whose text matches `pattern`.
function M.method(assert, pattern, object, method, ...)
  check(assert, pattern, "local object = ...; return object:%s(select(2, ...)), nil", method, object, ...)
end

---The same for a function `module.name(...)`.
function M.call(assert, pattern, module, name, ...)
  check(assert, pattern, "local module = ...; return module.%s(select(2, ...)), nil", name, module, ...)
end

return M
