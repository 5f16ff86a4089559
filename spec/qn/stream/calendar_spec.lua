if not pcall(require, "qn.core") then
  require "spec.support.fake_core"
end

local calendar = require "qn.stream.calendar"

describe("the calendar", function()
  local cases = {
    { 1970, 1, 1, 2440588 },
    { 2000, 1, 1, 2451545 },
    { 2010, 6, 8, 2455356 },
    { 1858, 11, 17, 2400001 },
    { 1582, 10, 15, 2299161 },
    { 1, 1, 1, 1721426 },
    { 0, 12, 31, 1721425 },
    { -4713, 11, 24, 0 },
    { 9999, 12, 31, 5373484 },
  }
  for _, case in ipairs(cases) do
    it(("counts %d-%02d-%02d"):format(case[1], case[2], case[3]), function()
      assert.equal(case[4], calendar.to_day(case[1], case[2], case[3]))
      assert.same({ case[1], case[2], case[3] }, { calendar.from_day(case[4]) })
    end)
  end

  it("goes through every day of eight years without a gap", function()
    local day = calendar.to_day(1996, 1, 1)
    for year = 1996, 2004 do
      for month = 1, 12 do
        for d = 1, calendar.month_length(year, month) do
          assert.equal(day, calendar.to_day(year, month, d))
          assert.same({ year, month, d }, { calendar.from_day(day) })
          day = day + 1
        end
      end
    end
  end)

  it("knows leap years and the ends of Qt's calendar", function()
    assert.is_true(calendar.is_leap(2000))
    assert.is_false(calendar.is_leap(1900))
    assert.is_true(calendar.is_leap(2024))
    assert.is_false(calendar.is_leap(2023))
    for _, day in ipairs { calendar.MIN_DAY, calendar.MAX_DAY } do
      assert.equal(day, calendar.to_day(calendar.from_day(day)))
    end
  end)
end)
