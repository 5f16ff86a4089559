-- Days as QDate counts them (Julian day numbers) to and from year, month, day.
-- Called by data_time.lua. It must not consult the clock or the time zone.
-- Invariant: the calendar is the Gregorian one for all time, and year 0 is the year before year 1.

local M = {}

---The range that QDate allows.
M.MIN_DAY = -784350574879
M.MAX_DAY = 784354017364
---The day of 1970-01-01.
M.EPOCH_DAY = 2440588

local DAYS <const> = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

---@param year integer
---@return boolean
---@nodiscard
function M.is_leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

---How many days a month has.
---@param year integer
---@param month integer
---@return integer
---@nodiscard
function M.month_length(year, month)
  return month == 2 and M.is_leap(year) and 29 or DAYS[month]
end

---The Julian day number of a date.
---@param year integer
---@param month integer
---@param day integer
---@return integer
---@nodiscard
function M.to_day(year, month, day)
  -- Years that start in March put the leap day last.
  local shift = (14 - month) // 12
  local y, m = year + 4800 - shift, month + 12 * shift - 3
  return day + (153 * m + 2) // 5 + 365 * y + y // 4 - y // 100 + y // 400 - 32045
end

---The date of a Julian day number.
---@param day integer
---@return integer year
---@return integer month
---@return integer day
---@nodiscard
function M.from_day(day)
  local a = day + 32044
  local b = (4 * a + 3) // 146097
  local c = a - 146097 * b // 4
  local d = (4 * c + 3) // 1461
  local e = c - 1461 * d // 4
  local m = (5 * e + 2) // 153
  return 100 * b + d - 4800 + m // 10, m + 3 - 12 * (m // 10), e - (153 * m + 2) // 5 + 1
end

return M
