---Tasks beyond spawn and join: time limits, shields, map, each, race, waiting twins of two library
---functions, the task tree.
---
---The life of a task is in C (bindings/sched.c); what is here decides and never touches a coroutine.

local core = require "qn.core"
local options = require "qn.options"

---@class qn
local M = {}

M.current = core.current

-- A protected call whose message handler keeps the traceback of the first raise, so that a rethrow does
-- not hide it.
local function traced(f, ...)
  return xpcall(f, core.stash, ...)
end

local function check_function(f, position, where)
  if type(f) ~= "function" and not (getmetatable(f) or {}).__call then
    local message = "bad argument #%d to '%s' (function expected, got %s)"
    error(message:format(position, where, type(f)), 3)
  end
end

local function end_timeout(scope, ok, ...)
  if ok then
    scope:close()
    return ...
  end
  local e = ...
  local mine = scope:owns(e)
  scope:close()
  if mine then
    return nil, e
  end
  error(e, 0)
end

---Runs `f(...)` under a deadline. When it expires, every wait beneath throws its timeout error, and
---this call returns `nil, err` (kind `timeout`, `err.phase` = what was being waited for).
---@async
---@param seconds number|false `false` = no limit
---@param f function
---@param ... any arguments of `f`
---@return any ... results of `f`, or nil and the error
function M.timeout(seconds, f, ...)
  if seconds == nil then
    error("bad argument #1 to 'timeout' (number of seconds or false expected)", 2)
  end
  check_function(f, 2, "timeout")
  return end_timeout(core.deadline(seconds), traced(f, ...))
end

local function end_shield(scope, ok, ...)
  scope:close()
  if not ok then
    error((...), 0)
  end
  return ...
end

local shield_options = { grace = { type = "seconds" } }

---Runs `f(...)` so that cancellation and outer deadlines reach it only after a grace (default 5 s),
---counted from the moment they were due. For cleanup that must wait.
---@async
---@param opts? {grace?: number|false} may be left out: `qn.shield(f, ...)`
---@param f function
---@param ... any
---@return any ... results of `f`
function M.shield(opts, f, ...)
  if type(opts) == "function" then
    return end_shield(core.shield(), traced(opts, f, ...))
  end
  opts = options.check(opts, shield_options, "shield")
  if type(f) ~= "function" then
    error("bad argument #2 to 'shield' (function expected, got " .. type(f) .. ")", 2)
  end
  return end_shield(core.shield(opts.grace), traced(f, ...))
end

local map_options = {
  limit = { type = "integer", min = 1 },
  timeout = { type = "seconds" },
  stop_on_error = { type = "boolean" },
}

local function check_list(list, f, where)
  if type(list) ~= "table" then
    error(("bad argument #1 to '%s' (table expected, got %s)"):format(where, type(list)), 3)
  end
  if type(f) ~= "function" then
    error(("bad argument #2 to '%s' (function expected, got %s)"):format(where, type(f)), 3)
  end
end

---Calls `f(value, index)` for each value of a list, at most `limit` at a time (default 8). Results and
---errors keep their indexes; an `f` that returns `nil, err` counts as an error too. With
---`stop_on_error` the first error cancels the rest and is thrown. `timeout` bounds the whole call: what
---has not ended by then has a timeout error.
---@async
---@param list any[]
---@param f fun(value: any, index: integer): any
---@param opts? {limit?: integer, timeout?: number|false, stop_on_error?: boolean}
---@return table results by index
---@return table errors by index; empty when all went well
function M.map(list, f, opts)
  check_list(list, f, "map")
  opts = options.check(opts, map_options, "map")
  local group = require "qn.group".group
  local results, errors, cancelled = {}, {}, {}
  local n = #list
  local function one(i)
    local function keep(ok, value, err)
      if not ok then
        if core.is_cancelled(value) then -- by the group, or thrown by whoever was joined: see below
          cancelled[i] = value
          error(value, 0)
        end
        value, err = nil, value == nil and "(error object is a nil value)" or value
      end
      if value == nil and err ~= nil then
        errors[i] = err
        if opts.stop_on_error then
          error(err, 0)
        end
      else
        results[i] = value
      end
    end
    keep(traced(f, list[i], i))
  end
  local function all(g)
    for i = 1, n do
      g:spawn(one, i)
    end
    return true
  end
  local done, err = group({ limit = opts.limit or 8, timeout = opts.timeout }, all)
  for i = 1, n do
    if not done and results[i] == nil and errors[i] == nil then -- the time limit
      errors[i] = err
    elseif done and cancelled[i] ~= nil then
      errors[i] = cancelled[i]
    end
  end
  return results, errors
end

---Like `map`, as an iterator in order of completion: `for i, ok, value in qn.each(list, f) do`.
---Leaving the loop early cancels what is still running.
---@async
---@param list any[]
---@param f fun(value: any, index: integer): any
---@param opts? {limit?: integer, timeout?: number|false, stop_on_error?: boolean}
---@return fun(): integer?, boolean, any
function M.each(list, f, opts)
  check_list(list, f, "each")
  opts = options.check(opts, map_options, "each")
  local n = #list
  local done = require "qn.channel".channel(n > 0 and n or 1)
  local failure
  local feeder = core.spawn(function()
    local function one(_, i)
      local result = table.pack(traced(f, list[i], i))
      local ok, value, err = result[1], result[2], result[3]
      if not ok and core.is_cancelled(value) then
        error(value, 0)
      end
      if ok and value == nil and err ~= nil then
        ok, value = false, err
      end
      done:send { i, ok, value }
      if not ok and opts.stop_on_error then
        error(value, 0)
      end
      return true
    end
    local ok, _, errors = pcall(M.map, list, one,
      { limit = opts.limit, timeout = opts.timeout, stop_on_error = opts.stop_on_error })
    if ok and next(errors) then
      for i = 1, n do
        if errors[i] then
          done:try_send { i, false, errors[i] }
        end
      end
    end
    done:close()
  end)
  local guard = setmetatable({}, { __close = function()
    feeder:cancel("the loop was left")
  end })
  local function step()
    local item = done:recv()
    if item == nil then
      if failure then
        error(failure, 0)
      end
      return nil
    end
    if not item[2] and opts.stop_on_error then
      failure = item[3]
    end
    return item[1], item[2], item[3]
  end
  return step, nil, nil, guard
end

---Runs all functions at once; the first that ends (with a result and after its children, or with an
---error) wins, the others are cancelled in that moment and awaited. What a loser was about to receive
---from a channel, a semaphore or a stream stays there.
---@async
---@param functions function[]
---@return integer index of the winner
---@return any ... its results; its error is thrown
function M.race(functions)
  if type(functions) ~= "table" or #functions == 0 then
    error("bad argument #1 to 'race' (a list of at least one function expected)", 2)
  end
  for i, f in ipairs(functions) do
    if type(f) ~= "function" then
      local message = "bad argument #1 to 'race' (element %d is a %s, not a function)"
      error(message:format(i, type(f)), 2)
    end
  end
  local winner
  require "qn.group".group(function(g)
    for i, f in ipairs(functions) do
      g:spawn(function()
        local result = table.pack(traced(f))
        local ok, err = true, nil
        if result[1] then
          ok, err = pcall(core.children)
        end
        if winner == nil then
          winner = { i, ok and result or { false, err } }
          g:cancel("lost the race")
        end
      end)
    end
  end)
  local i, result = winner[1], winner[2]
  if not result[1] then
    error(result[2], 0)
  end
  return i, table.unpack(result, 2, result.n)
end

---`table.sort` whose comparison may wait (a merge sort: stable, at most n log2 n comparisons).
---@async
---@param t any[]
---@param less? fun(a: any, b: any): boolean
function M.sort(t, less)
  if type(t) ~= "table" then
    error("bad argument #1 to 'sort' (table expected, got " .. type(t) .. ")", 2)
  end
  if less ~= nil then
    check_function(less, 2, "sort")
  end
  less = less or function(a, b) return a < b end
  local n = #t
  local from, to = table.move(t, 1, n, 1, {}), {}
  local width = 1
  while width < n do
    for lo = 1, n, 2 * width do
      local i, mid = lo, math.min(lo + width, n + 1)
      local j, hi = mid, math.min(lo + 2 * width, n + 1)
      for k = lo, hi - 1 do
        if i < mid and (j >= hi or not less(from[j], from[i])) then
          to[k], i = from[i], i + 1
        else
          to[k], j = from[j], j + 1
        end
      end
    end
    from, to = to, from
    width = 2 * width
  end
  table.move(from, 1, n, 1, t)
end

local function check_text(s, position)
  if type(s) ~= "string" and type(s) ~= "number" then
    error(("bad argument #%d to 'gsub' (string expected, got %s)"):format(position, type(s)), 3)
  end
  return tostring(s)
end

local function replacement(repl, whole, ...)
  local kind = type(repl)
  local value
  if kind == "function" then
    value = repl(...)
  elseif kind == "table" then
    value = repl[(...)]
  else
    local captures = { ... }
    value = repl:gsub("%%(.?)", function(c)
      if c == "0" then
        return whole
      elseif c == "%" then
        return "%"
      elseif c:match("%d") then
        local capture = captures[tonumber(c)]
        if capture == nil then
          error("invalid capture index %" .. c .. " in replacement string", 4)
        end
        return tostring(capture)
      end
      error("invalid use of '%' in replacement string", 4)
    end)
  end
  if not value then
    return whole
  elseif type(value) ~= "string" and type(value) ~= "number" then
    error("invalid replacement value (a " .. type(value) .. ")", 3)
  end
  return value
end

---`string.gsub` whose replacement function (or table with metamethods) may wait.
---@async
---@param s string
---@param pattern string
---@param repl string|table|function
---@param n? integer at most this many replacements
---@return string
---@return integer count
function M.gsub(s, pattern, repl, n)
  local kind = type(repl)
  if kind == "number" then
    repl, kind = tostring(repl), "string"
  end
  s = check_text(s, 1)
  pattern = check_text(pattern, 2)
  if n ~= nil and not math.tointeger(n) then
    error("bad argument #4 to 'gsub' (integer expected, got " .. type(n) .. ")", 2)
  end
  if kind ~= "string" and kind ~= "table" and kind ~= "function" then
    error("bad argument #3 to 'gsub' (string/function/table expected, got " .. kind .. ")", 2)
  end
  local out, pos, count = {}, 1, 0
  local anchored = pattern:sub(1, 1) == "^"
  local behind = 0 -- the position behind the last match, where no empty one may follow
  while (not n or count < n) and pos <= #s + 1 do
    local found = table.pack(pcall(string.find, s, pattern, pos))
    if not found[1] then
      error(found[2], 2) -- a malformed pattern: the caller's
    end
    local first, last = found[2], found[3]
    if not first then
      break
    end
    out[#out + 1] = s:sub(pos, first - 1)
    if last < first and first == behind then
      out[#out + 1] = s:sub(first, first)
      pos = first + 1
      goto continue
    end
    behind = last + 1
    local whole = s:sub(first, last)
    if found.n > 3 then
      out[#out + 1] = replacement(repl, whole, table.unpack(found, 4, found.n))
    else
      out[#out + 1] = replacement(repl, whole, whole)
    end
    count = count + 1
    if last >= first then
      pos = last + 1
    else -- an empty match: keep the character behind it
      out[#out + 1] = s:sub(first, first)
      pos = first + 1
    end
    if anchored then
      break
    end
    ::continue::
  end
  out[#out + 1] = s:sub(pos)
  return table.concat(out), count
end

---The tree of live tasks: each node has `name`, `id`, `status`, `site` (where it was spawned),
---`waiting` (for what), `task` and `children`; the roots are task 0 and detached tasks.
---`tostring` of it prints the tree.
---@return table
function M.tasks()
  local list = core.tasks()
  local by_id, roots = {}, {}
  for _, node in ipairs(list) do
    node.children = {}
    by_id[node.id] = node
  end
  for _, node in ipairs(list) do
    local parent = by_id[node.parent]
    local siblings = parent and parent.children or roots
    siblings[#siblings + 1] = node
  end
  local function text(nodes, indent, lines)
    for _, node in ipairs(nodes) do
      lines[#lines + 1] = ("%s%s: %s%s (spawned at %s)"):format(indent, node.name, node.status,
        node.waiting and " for " .. node.waiting or "", node.site)
      text(node.children, indent .. "  ", lines)
    end
    return lines
  end
  return setmetatable(roots, { __tostring = function(self)
    return table.concat(text(self, "", {}), "\n")
  end })
end

return M
