-- Ways in which bytes may arrive: whole, one at a time, cut at every position. Protocol specs run each
-- of their inputs through all of them; the answer must not depend on the way. Used with any pair of
-- connected streams; each piece has been received before the next one is written.

local qn = require "qn"

local M = {}

local PATIENCE <const> = 30 -- seconds; only what never comes takes that long

---All ways to cut `bytes`: lists of pieces.
function M.ways(bytes)
  local ways = { { bytes } }
  if #bytes > 1 then
    local single = {}
    for i = 1, #bytes do
      single[i] = bytes:sub(i, i)
    end
    ways[2] = single
    for cut = 1, #bytes - 1 do
      ways[#ways + 1] = { bytes:sub(1, cut), bytes:sub(cut + 1) }
    end
  end
  return ways
end

---Gives way until `condition()` is true; fails with `what` when it never becomes so.
function M.until_true(what, condition)
  local give_up, turn = qn.now() + PATIENCE, 0
  repeat
    local late = qn.now() > give_up -- before the look, which has to come behind every pause
    local value = condition()
    if value then
      return value
    end
    turn = turn + 1
    if turn % 100 == 0 then
      qn.sleep(0.001)
    else
      qn.yield()
    end
  until late
  error("waited in vain until " .. what, 2)
end

---Writes the pieces one after the other; `to` reads meanwhile (in the task `reader`).
function M.feed(from, to, pieces, reader)
  local received = to:bytes_received()
  for _, piece in ipairs(pieces) do
    assert(from:write(piece))
    received = received + #piece
    M.until_true("a piece had arrived", function()
      return to:bytes_received() >= received or reader:status() == "done" or reader:status() == "failed"
    end)
  end
end

---Runs `read(stream)` for each way of cutting `bytes`, on a fresh pair, and gives what it returned to
---`check(results, way)`. With `finish`, the writing side ends behind the last byte.
function M.each(bytes, read, check, finish)
  for _, way in ipairs(M.ways(bytes)) do
    local from, to = qn.pair()
    local closer <close> = setmetatable({}, { __close = function()
      from:abort()
      to:abort()
    end })
    local reader = qn.spawn(function()
      return table.pack(read(to))
    end)
    qn.yield()
    M.feed(from, to, way, reader)
    if finish then
      assert(from:shutdown("w"))
    end
    local ok, results = reader:join()
    assert(ok, results)
    check(results, table.concat(way, "|"), to)
  end
end

return M
