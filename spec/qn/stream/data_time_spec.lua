if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local Data = require "qn.stream.data"
local pieces = require "spec.support.pieces"
local wire = require "spec.support.wire"

local function at(spec, more)
  local t = { year = 2010, month = 6, day = 8, hour = 12, min = 34, sec = 56, msec = 789 }
  t.spec = spec
  for k, v in pairs(more or {}) do
    t[k] = v
  end
  return t
end

local DAY32 <const>, DAY64 <const> = "00 25 77 3c", "00 00 00 00 00 25 77 3c"
local MS <const> = "02 b3 2c 95"

local function v(n, order)
  return { version = n, byte_order = order }
end

local CASES <const> = {
  { what = "date", value = { year = 2010, month = 6, day = 8 }, hex = DAY32 },
  { what = "date", value = { year = 2010, month = 6, day = 8 }, hex = DAY64, opts = v "5.0" },
  { what = "date", value = { year = 2010, month = 6, day = 8 }, hex = "3c 77 25 00",
    opts = v(12, "little") },
  { what = "date", value = { year = -4800, month = 1, day = 1 }, hex = "ff ff ff ff ff ff 82 98",
    opts = v "5.15" },
  { what = "date", value = Data.null, hex = "00 00 00 00" },
  { what = "date", value = Data.null, hex = "80 00 00 00 00 00 00 00", opts = v(13) },
  { what = "time", value = { hour = 12, min = 34, sec = 56, msec = 789 }, hex = MS },
  { what = "time", value = { hour = 0, min = 0, sec = 0, msec = 0 }, hex = "00 00 00 00" },
  { what = "time", value = { hour = 23, min = 59, sec = 59, msec = 999 }, hex = "05 26 5b ff" },
  { what = "time", value = Data.null, hex = "ff ff ff ff" },
  { what = "time", value = Data.null, hex = "00 00 00 00", opts = v(6) },
  -- Before Qt 4.0 no spec, then the old numbers, 5.0 UTC, 5.1 old again, from 5.2 on offsets.
  { what = "datetime", value = at "local", hex = DAY32 .. MS, opts = v(6) },
  { what = "datetime", value = at "local", hex = DAY32 .. MS .. "ff" },
  { what = "datetime", value = at("local", { isdst = false }), hex = DAY32 .. MS .. "00" },
  { what = "datetime", value = at("local", { isdst = true }), hex = DAY32 .. MS .. "01" },
  { what = "datetime", value = at "utc", hex = DAY32 .. MS .. "02" },
  { what = "datetime", value = at "utc", hex = DAY32 .. MS .. "02", opts = v(7) },
  { what = "datetime", value = at("offset", { offset = 0 }), hex = DAY32 .. MS .. "03" },
  { what = "datetime", value = at("offset", { offset = 3600 }), hex = DAY32 .. MS .. "03",
    read = false },
  { what = "datetime", value = at "local", hex = DAY32 .. MS .. "04", write = false },
  { what = "datetime", value = at "utc", hex = DAY64 .. MS .. "01", opts = v "5.0" },
  { what = "datetime", value = at "utc", hex = DAY64 .. MS .. "00", opts = v "5.0", write = false },
  { what = "datetime", value = at("offset", { offset = 3600 }), read = false,
    hex = DAY64 .. "02 7c 3e 15 02", opts = v "5.0" },
  { what = "datetime", value = at("offset", { offset = -46800 }), read = false,
    hex = "00 00 00 00 00 25 77 3d 00 56 ed 15 02", opts = v "5.0" },
  { what = "datetime", value = at "utc", hex = DAY64 .. MS .. "02", opts = v "5.1" },
  { what = "datetime", value = at "local", hex = DAY64 .. MS .. "00", opts = v "5.2" },
  { what = "datetime", value = at "utc", hex = DAY64 .. MS .. "01", opts = v "6.7" },
  { what = "datetime", value = at("offset", { offset = -3600 }),
    hex = DAY64 .. MS .. "02 ff ff f1 f0", opts = v "5.2" },
  { what = "datetime", value = at("offset", { offset = -3600 }),
    hex = "3c 77 25 00 00 00 00 00 95 2c b3 02 02 f0 f1 ff ff", opts = v(19, "little") },
  { what = "datetime", value = at("zone", { zone = "Etc/X" }),
    hex = DAY64 .. MS .. "03 00 00 00 0a 00 45 00 74 00 63 00 2f 00 58", opts = v "5.2" },
  { what = "datetime", value = Data.null, hex = "00 00 00 00 ff ff ff ff ff" },
  { what = "datetime", value = Data.null, hex = "80 00 00 00 00 00 00 00 ff ff ff ff 00",
    opts = v "5.2" },
  { what = "datetime", value = Data.null, hex = "00 00 00 00" .. MS .. "02", write = false },
  { what = "datetime", value = Data.null, hex = DAY32 .. "ff ff ff ff 02", write = false },
  { what = "datetime", value = Data.null, hex = "00 00 00 00 00 00 00 00", opts = v(4) },
}

describe("the wire format of", function()
  for i, case in ipairs(CASES) do
    it(("%s, case %d"):format(case.what, i), function()
      wire.check(assert, case)
    end)
  end

  it("the zones that Qt 5 and 6 spell out", function()
    local function zone(build)
      local d = Data.new(nil, v "6.0")
      d:write_string(build[1])
      for i = 2, #build do
        local item = build[i]
        if math.type(item) then
          d:write_int32(item)
        else
          d:write_string(item)
        end
      end
      return DAY64 .. MS .. "03" .. pieces.hex(d:string())
    end
    local long = { "OffsetFromUtc", "UTC+01:00", 3600, "UTC+01:00", "UTC+01:00", 0, "" }
    for _, case in ipairs {
      { long, at("zone", { zone = "UTC+01:00", offset = 3600 }) },
      { { "AheadOfUtcBy", -60 }, at("offset", { offset = -60 }) },
      { { "QTimeZone::UTC" }, at "utc" },
      { { "QTimeZone::LocalTime" }, at "local" },
      { { "-No Time Zone Specified!" }, at "zone" },
    } do
      wire.check(assert, {
        what = "datetime", value = case[2], hex = zone(case[1]), opts = v "6.0", write = false,
      })
    end
  end)
end)

describe("writing a time", function()
  it("takes seconds since 1970 as UTC", function()
    for _, case in ipairs {
      { 0, "00 25 3d 8c 00 00 00 00 02" },
      { 1276000496.789, DAY32 .. MS .. "02" },
      { -0.001, "00 25 3d 8b 05 26 5b ff 02" },
    } do
      local d = Data.new()
      assert.is_true(d:write_datetime(case[1]))
      assert.equal(pieces.hex(pieces.unhex(case[2])), pieces.hex(d:string()))
    end
  end)

  it("converts local times to UTC in version 13", function()
    local t = at("local", { isdst = false })
    local d = Data.new(nil, v(13))
    d:write_datetime(t)
    local got = Data.new(d:string(), v(13)):read_datetime()
    local utc = os.date("!*t", os.time(t))
    for _, name in ipairs { "year", "month", "day", "hour", "min", "sec" } do
      assert.equal(utc[name], got[name])
    end
    assert.equal(789, got.msec)
    assert.equal("utc", got.spec)
  end)

  it("fills in zeros and leaves the caller's table alone", function()
    local t = { year = 2010, month = 6, day = 8 }
    local d = Data.new()
    d:write_datetime(t)
    d:write_time {}
    assert.same({ year = 2010, month = 6, day = 8 }, t)
    assert.equal("00 25 77 3c 00 00 00 00 ff 00 00 00 00", pieces.hex(d:string()))
  end)

  it("takes null from containers", function()
    local d = Data.new()
    for _, what in ipairs { "date", "time", "datetime" } do
      assert.is_true(d["write_" .. what](d, Data.null))
    end
    assert.equal(17, #d:string())
  end)

  it("refuses what is none, naming the field", function()
    for _, case in ipairs {
      { "date", "x", "date table or nil expected" },
      { "date", {}, "year from" },
      { "date", { year = 2010, month = 13, day = 1 }, "month from 1 to 12" },
      { "date", { year = 2010, month = 2, day = 29 }, "day from 1 to 28" },
      { "date", { year = 2012, month = 2, day = 30 }, "day from 1 to 29" },
      { "date", { year = 2010.5, month = 1, day = 1 }, "year from" },
      { "date", { year = -5000, month = 1, day = 1 }, "fits into version 12" },
      { "time", 7, "time table or nil expected" },
      { "time", { hour = 24 }, "hour from 0 to 23" },
      { "time", { sec = 60 }, "sec from 0 to 59" },
      { "time", { msec = -1 }, "msec from 0 to 999" },
      { "datetime", true, "number, date and time table or nil expected" },
      { "datetime", 0 / 0, "seconds since 1970" },
      { "datetime", math.huge, "seconds since 1970" },
      { "datetime", -1e15, "seconds since 1970" },
      { "datetime", at "mars", "spec local, utc, offset or zone" },
      { "datetime", at "offset", "offset from -86400 to 86400" },
      { "datetime", at("zone", { zone = "Etc/X" }), "no zone before version 15" },
    } do
      local d = Data.new()
      local ok, message = pcall(d["write_" .. case[1]], d, case[2])
      assert.is_false(ok, case[3])
      assert.truthy(message:find("bad argument #1 to 'write_" .. case[1] .. "'", 1, true), message)
      assert.truthy(message:find(case[3], 1, true), message)
      assert.equal("", d:string())
    end
    local d = Data.new(nil, v "5.2")
    assert.has_error(function()
      d:write_datetime(at("zone", { zone = "\xFF" }))
    end)
  end)
end)

describe("a hostile time", function()
  local cases = {
    { "time", "05 26 5c 00", 12, "86400000 ms is not a time of day" },
    { "time", "ff ff ff fe", 12, "is not a time of day" },
    { "date", "7f ff ff ff ff ff ff ff", 13, "outside of the calendar" },
    { "date", "80 00 00 00 00 00 00 01", 13, "outside of the calendar" },
    { "datetime", DAY32 .. MS .. "05", 12, "5 is no time spec" },
    { "datetime", DAY32 .. MS .. "80", 12, "-128 is no time spec" },
    { "datetime", DAY64 .. MS .. "ff", 15, "-1 is no time spec" },
    { "datetime", DAY64 .. MS .. "04", 13, "4 is no time spec" },
    { "datetime", DAY64 .. "7f ff ff ff 00", 15, "is not a time of day" },
    { "datetime", DAY64 .. MS .. "03 00 00 00 01 00", 15, "is not UTF-16" },
  }
  for _, case in ipairs(cases) do
    it(("is corrupt data: %s %s"):format(case[1], case[2]), function()
      local d = Data.new(pieces.unhex(case[2]), v(case[3]))
      local t, err = d["read_" .. case[1]](d)
      assert.is_nil(t)
      assert.equal("protocol", err.kind)
      assert.truthy(tostring(err):find(case[4], 1, true), tostring(err))
      assert.equal("read_corrupt_data", d:status())
    end)
  end

  it("of any day within the calendar has a date", function()
    for _, day in ipairs { -784350574879, 784354017364, 1, 0xFFFFFFFF } do
      local d = Data.new(string.pack(">i8", day), v(13))
      local date = d:read_date()
      assert.equal("integer", math.type(date.year))
    end
  end)
end)
