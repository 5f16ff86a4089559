-- Checks of data stream formats: one call per named case writes it, reads it whole and byte by
-- byte, cuts it at every position and rolls it back there. Used by the data_* specs.

local Data = require "qn.stream.data"
local pieces = require "spec.support.pieces"

local M = {}

local function call(d, what, args, value)
  if value ~= nil then
    return d["write_" .. what](d, value == Data.null and nil or value, table.unpack(args))
  end
  return d["read_" .. what](d, table.unpack(args))
end

local function expect(assert, case, got)
  if case.check then
    case.check(got)
  elseif case.value ~= case.value then
    assert.is_true(got ~= got)
  elseif case.value == Data.null then
    assert.is_nil(got)
  else
    assert.same(case.value, got)
    assert.equal(math.type(case.value), math.type(got))
  end
end

---case: what, value, hex, opts?, args?, write? = false (cannot be written), read? = false
function M.check(assert, case)
  local bytes, args = pieces.unhex(case.hex), case.args or {}
  if case.write ~= false then
    local d = Data.new(nil, case.opts)
    assert.is_true(call(d, case.what, args, case.value))
    assert.equal(pieces.hex(bytes), pieces.hex(d:string()))
    assert.equal("ok", d:status())
    local source = pieces.new {}
    d = Data.new(source, case.opts)
    assert.is_true(call(d, case.what, args, case.value))
    assert.equal(1, source.writes)
  end
  if case.read == false then
    return
  end
  for _, source in ipairs { bytes .. "\xEE", pieces.bytes(bytes .. "\xEE") } do
    local d = Data.new(source, case.opts)
    local got, err = call(d, case.what, args)
    assert.is_nil(err)
    expect(assert, case, got)
    assert.equal("ok", d:status())
    assert.equal(0xEE, d:read_uint8())
  end
  for cut = 0, #bytes - 1 do
    M.cut(assert, case, bytes, cut, args)
  end
end

function M.cut(assert, case, bytes, cut, args)
  local d = Data.new(pieces.bytes(bytes:sub(1, cut)), case.opts)
  local got, err = call(d, case.what, args)
  assert.is_nil(got)
  if cut == 0 then
    assert.is_nil(err)
  else
    assert.equal("eof", err.kind, "cut at " .. cut)
  end
  assert.equal("read_past_end", d:status())
  -- Sticky: the same answer again, and no other.
  local again, same = d:read_int8()
  assert.is_nil(again)
  assert.equal(err, same)
  -- The same within a transaction, which gives it all back for a second try.
  local source = pieces.new { bytes:sub(1, cut) }
  d = Data.new(source, case.opts)
  d:begin()
  call(d, case.what, args)
  got, err = d:commit()
  assert.is_nil(got)
  assert.equal(cut == 0, err == nil)
  assert.equal(cut, #source:read "a")
  source:unread(bytes)
  d:begin()
  expect(assert, case, (call(d, case.what, args)))
  assert.is_true(d:commit())
end

return M
