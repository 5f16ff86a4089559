-- docs/qt-coverage.md against the code: every row of the groups has its line, every name exists on the
-- live objects, every spec exists, asserts something and, in spec/qt, names the row.

local qn = require "qn"
local core = require "qn.core"

local PATH <const> = "docs/qt-coverage.md"

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- The cells of each table line.
local function table_lines()
  local lines = {}
  for line in io.lines(PATH) do
    if line:find("^|") and not line:find("^| %-%-%-") then
      local cells = {}
      for cell in line:gmatch("| ([^|]*) %f[|]") do
        cells[#cells + 1] = cell
      end
      lines[#lines + 1] = cells
    end
  end
  return lines
end

local rows, order = {}, {}
for _, cells in ipairs(table_lines()) do
  if cells[1]:find("^%u%w*%-%d+$") then
    rows[cells[1]] = { id = cells[1], qt = cells[2], api = cells[3], specs = cells[4] }
    order[#order + 1] = cells[1]
  end
end

local GROUPS <const> = { NOT = { 1, 4 }, QIO = { 1, 19 }, ABS = { 1, 48 }, TCP = { 1, 1 }, SRV = { 1, 11 }, UDP = { 1, 11 },
  ADR = { 1, 11 }, IF = { 1, 6 }, HI = { 1, 10 }, DNS = { 1, 5 },
  URL = { 1, 20 }, LOC = { 1, 6 }, KEY = { 1, 2 }, SSL = { 1, 30 }, CFG = { 1, 2 },
  SER = { 1, 1 }, CERT = { 1, 6 }, CIPH = { 1, 1 }, DS = { 1, 8 }, TS = { 1, 5 } }
-- Numbers that Qt's list does not have, and rows that come with proxies.
local UNUSED <const> = { ["ABS-27"] = true, ["ABS-28"] = true, ["ABS-29"] = true }
local LATER <const> = { ["ABS-19"] = true, ["ABS-26"] = true, ["ABS-33"] = true, ["ABS-35"] = true,
  ["ABS-36"] = true, ["ABS-37"] = true, ["ABS-43"] = true, ["SRV-11"] = true, ["UDP-11"] = true,
  ["DNS-05"] = true, ["SSL-30"] = true }
local BUILT <const> = { "Q5-71", "Q5-72", "Q5-60", "Q5-61", "Q5-63", "Q5-65", "Q5-66", "Q5-67", "Q5-70",
  "Q5-74", "Q5-75", "Q5-76", "Q5-77", "Q5-78", "BAD-02", "WEAK-29", "WEAK-32",
  "Q5-90", "Q5-91", "Q5-92", "Q5-93", "WEAK-34",
  "Q5-15", "WEAK-30", "Q5-68", "Q5-69", "Q5-62", "Q5-64", "BAD-01", "Q5-73",
  "Q5-01", "Q5-02", "Q5-03", "Q5-12", "WEAK-17", "Q5-08", "Q5-09", "Q5-16", "Q5-17", "WEAK-18",
  "Q5-05", "Q5-07", "Q5-10", "Q5-11", "Q5-19", "Q5-20", "Q5-21", "Q5-22",
  "BAD-03", "BAD-11", "BAD-15", "WEAK-13", "WEAK-21", "WEAK-22", "WEAK-27" }

assert(qn.tcp.listen and qn.notifier and qn.url) -- loads the Lua half of servers

-- The live method table of a class.
local function methods_of(class)
  if class == "DataStream" then
    return getmetatable(qn.data_stream("")).__index
  elseif class == "TextStream" then
    return getmetatable(qn.text_stream("")).__index
  elseif class == "UrlQuery" then
    return getmetatable(qn.url.query("")).__index
  end
  return core.methods(class)
end

local checks = {}

function checks.name(token)
  local class, method = token:match("^(%u%w*):([%w_]+)$")
  if class then
    return type(methods_of(class)[method]) == "function"
  end
  local value = token:find("^qn%.") and qn
  for part in token:match("^qn%.(.*)$"):gmatch("[%w_]+") do
    value = value[part]
  end
  return value ~= nil
end

function checks.on(name)
  local stream, other = qn.pair()
  local server = assert(qn.tcp.listen("127.0.0.1", 0))
  local known = pcall(core.check_event, stream, name) or pcall(core.check_event, server, name)
  stream:close()
  other:close()
  server:close()
  return known
end

function checks.option(name)
  local socket = qn.tcp.socket()
  local known = pcall(socket.option, socket, name)
  socket:close()
  return known
end

local verify_table = read_file("runtime/base/verify_table.h")
local error_tables = read_file("runtime/base/error_table.h") .. read_file("runtime/include/qn/base.h")

checks["err.kind"] = function(kind) return (pcall(qn.error, kind, "x")) end

-- The kind that an error code has, from the tables of the core.
local function kind_of(code)
  local kind = error_tables:match("X%(" .. code .. ", (%u+),")
    or error_tables:match('X%(%-?%d+, "' .. code .. '", (%u+),')
    or error_tables:match('X%([%w_]+, %-?%d+, "' .. code .. '", QN_KIND_([%u_]+),')
  local of_tls = (error_tables .. verify_table):find('X%(%d+, "' .. code .. '",')
  return kind and kind:lower() or of_tls and "tls" or nil
end

checks["err.code"] = function(code) return kind_of(code) ~= nil end

checks.state = function(state)
  return read_file("runtime/stream/events.c"):find('"' .. state .. '"', 1, true) ~= nil
end

-- Everything that a cell names: { kind, value }.
local function tokens_of(cell)
  local tokens = {}
  for token in cell:gmatch("`([^`]+)`") do
    if token:find("^qn%.[%w_.]+$") or token:find("^%u%w*:[%w_]+$") then
      tokens[#tokens + 1] = { "name", token }
    end
  end
  for kind, value in cell:gmatch("%f[%w]([%w.]+) \"([%w_]+)\"") do
    if checks[kind] then
      tokens[#tokens + 1] = { kind, value }
    end
  end
  return tokens
end

local function is_asserting(path, text)
  return path:find("%.lua$") and text:find("assert[.(]") or path:find("%.c$") and text:find("CHECK")
end

describe("docs/qt-coverage.md", function()
  it("has a line for each row of its groups", function()
    local text = read_file(PATH)
    for group, range in pairs(GROUPS) do
      for n = range[1], range[2] do
        local id = ("%s-%02d"):format(group, n)
        if LATER[id] then
          assert.truthy(text:find(id, 1, true), id)
          assert.is_nil(rows[id], id)
        elseif not UNUSED[id] then
          assert.is_truthy(rows[id], id .. " has no line")
        end
      end
    end
    for _, id in ipairs(BUILT) do
      assert.is_truthy(rows[id], id .. " has no line")
    end
  end)

  it("names each row once", function()
    local seen = {}
    for _, id in ipairs(order) do
      assert.is_nil(seen[id], id)
      seen[id] = true
    end
  end)

  for _, id in ipairs(order) do
    it(id .. " names what exists", function()
      local row = rows[id]
      local tokens = tokens_of(row.api)
      assert.is_true(#tokens > 0, id .. " names nothing")
      for _, token in ipairs(tokens) do
        assert.is_truthy(checks[token[1]](token[2]), ("%s: %s %s"):format(id, token[1], token[2]))
      end
    end)

    it(id .. " names specs that assert", function()
      local count = 0
      for path in rows[id].specs:gmatch("`([^`]+)`") do
        count = count + 1
        local text = read_file(path)
        assert.is_truthy(is_asserting(path, text), path .. " asserts nothing")
        if path:find("^spec/qt/") then
          local named = false
          for title in text:gmatch('it%("([^"]+)"') do
            named = named or (" " .. title .. " "):find(" " .. id .. " ", 1, true)
          end
          assert.is_truthy(named, path .. " has no test named " .. id)
        end
      end
      assert.is_true(count > 0, id .. " names no spec")
    end)
  end

  it("gives a reason for each waiver that a row refers to", function()
    local text = read_file(PATH)
    for _, id in ipairs(order) do
      local number = rows[id].api:match("waiver (%d)")
      if number then
        local start = text:find("\n" .. number .. ". **" .. id .. ".**", 1, true)
        assert.is_truthy(start, id .. " refers to waiver " .. number)
        assert.is_true(#text:match("[^\n]+", start + 1) > 60)
      end
    end
  end)

  it("maps every SocketError and SocketState to codes of their kinds", function()
    local numbers = {}
    for _, cells in ipairs(table_lines()) do
      local number = cells[1]:match("^%u%a+ (%-?%d+)$")
      if number then
        numbers[#numbers + 1] = math.tointeger(number)
        local kind
        for _, token in ipairs(tokens_of(cells[2])) do
          assert.is_truthy(checks[token[1]](token[2]), cells[1] .. ": " .. token[2])
          if token[1] == "err.kind" then
            kind = token[2]
          elseif token[1] == "err.code" then
            assert.equal(kind, kind_of(token[2]), token[2])
          end
        end
      end
    end
    table.sort(numbers)
    local expected = { -1 }
    for n = 0, 22 do
      expected[#expected + 1] = n
      if n <= 6 then
        expected[#expected + 1] = n -- also a state
      end
    end
    assert.same(expected, numbers)
  end)
end)
