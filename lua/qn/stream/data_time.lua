-- Data streams: QDate, QTime, QDateTime, as tables with the fields of os.date and `msec`.
-- data.lua takes its methods over into the class. It must not consult the time zone, but to write
-- local times in version 13 (Qt 5.0), which wants them in UTC.
-- Invariant: what a peer sends gives valid fields, null, or read_corrupt_data; it never throws.

local calendar = require "qn.stream.calendar"
local core = require "qn.stream.data_core"

local bad_argument, put, take = core.bad_argument, core.put, core.take
local NULL <const> = core.null

local NO_TIME <const> = 0xFFFFFFFF
local DAY_MS <const> = 24 * 60 * 60 * 1000
local OLD_SPECS <const> = {
  [-1] = { "local" }, [0] = { "local", false }, [1] = { "local", true }, [2] = { "utc" },
  [3] = { "offset" }, [4] = { "local" },
}
local NEW_SPECS <const> = { [0] = "local", [1] = "utc", [2] = "offset", [3] = "zone" }
local NEW_SPEC_NUMBERS <const> = { ["local"] = 0, utc = 1, offset = 2, zone = 3 }

---@class qn.Date
---@field year integer proleptic Gregorian, 0 is the year before 1
---@field month integer
---@field day integer

---@class qn.TimeOfDay
---@field hour? integer 0 when absent, as the others
---@field min? integer
---@field sec? integer
---@field msec? integer

---@class qn.DateTime: qn.Date, qn.TimeOfDay
---@field spec? "local"|"utc"|"offset"|"zone" "local" when absent
---@field isdst? boolean of a local time, where it is known (before version 13)
---@field offset? integer seconds east of UTC, with "offset"
---@field zone? string IANA name, with "zone" (from version 15 on)

---@class qn.DataStream
local Data = {}

-- Day number; false for null.
local function take_day(self, inside)
  local wide = self._version >= 13
  local data, err = take(self, wide and 8 or 4, inside)
  if not data then
    return nil, err
  end
  local order = self._little and "<" or ">"
  local day = string.unpack(order .. (wide and "i8" or "I4"), data)
  if day == (wide and math.mininteger or 0) then
    return false
  elseif day < calendar.MIN_DAY or day > calendar.MAX_DAY then
    return core.corrupt(self, ("day %d is outside of the calendar"):format(day))
  end
  return day
end

-- Milliseconds since midnight; false for null.
local function take_msecs(self, inside)
  local n, err = core.take_u32(self, inside)
  if not n then
    return nil, err
  elseif n == NO_TIME or (n == 0 and self._version < 7) then
    return false
  elseif n >= DAY_MS then
    return core.corrupt(self, ("%d ms is not a time of day"):format(n))
  end
  return n
end

local function set_date(t, day)
  t.year, t.month, t.day = calendar.from_day(day)
  return t
end

local function set_time(t, ms)
  t.hour, t.min = ms // 3600000, ms // 60000 % 60
  t.sec, t.msec = ms // 1000 % 60, ms % 1000
  return t
end

---Reads a QDate.
---@async
---@return qn.Date? date null gives the option `null`
---@return qn.Error? err
function Data:read_date()
  local day, err = take_day(self)
  if not day then
    return day == false and self._null or nil, err
  end
  return set_date({}, day)
end

---Reads a QTime.
---@async
---@return qn.TimeOfDay? time null gives the option `null`
---@return qn.Error? err
function Data:read_time()
  local ms, err = take_msecs(self)
  if not ms then
    return ms == false and self._null or nil, err
  end
  return set_time({}, ms)
end

local function take_zone(self, t)
  local id, err = self:read_string()
  if self._failed then
    return nil, err
  elseif id == "QTimeZone::UTC" then
    t.spec = "utc"
  elseif id == "QTimeZone::LocalTime" then
    t.spec = "local"
  elseif id == "AheadOfUtcBy" or id == "OffsetFromUtc" then
    local long = id == "OffsetFromUtc"
    t.spec = long and "zone" or "offset"
    if long then
      local zone = self:read_string()
      t.zone = type(zone) == "string" and zone or nil
    end
    t.offset = self:read_int32()
    if long then
      -- Name, abbreviation, country and comment are for people.
      self:read_string()
      self:read_string()
      self:read_int32()
      self:read_string()
    end
    if self._failed then
      return nil, self._failed
    end
  elseif type(id) == "string" and id ~= "-No Time Zone Specified!" then
    t.zone = id
  end
  return t
end

local function take_spec(self, t)
  local number, err = self:read_int8()
  if not number then
    return nil, err
  end
  local version = self._version
  local old = version < 13 or version == 14
  local spec = (old and OLD_SPECS or NEW_SPECS)[number]
  if not spec then
    return core.corrupt(self, ("%d is no time spec"):format(number))
  elseif old then
    t.spec, t.isdst = spec[1], spec[2]
    t.offset = spec[1] == "offset" and 0 or nil
    return t
  elseif version == 13 then
    t.spec = "utc"
    return t
  end
  t.spec = spec
  if spec == "offset" then
    t.offset, err = self:read_int32()
    return t.offset and t, err
  elseif spec == "zone" then
    return take_zone(self, t)
  end
  return t
end

---Reads a QDateTime. Before version 15 an offset is not transmitted and reads as 0; version 13
---transmits every time in UTC.
---@async
---@return qn.DateTime? t null gives the option `null`
---@return qn.Error? err
function Data:read_datetime()
  local day, err = take_day(self)
  if day == nil then
    return nil, err
  end
  local _ <close> = core.inside(self)
  local ms
  ms, err = take_msecs(self)
  if ms == nil then
    return nil, err
  end
  local t = { spec = "local" }
  if self._version >= 7 then
    t, err = take_spec(self, t)
    if not t then
      return nil, err
    end
  end
  if not day or not ms then
    return self._null
  end
  return set_time(set_date(t, day), ms)
end

local function field(t, name, default, low, high, where)
  local v = t[name]
  if v == nil then
    v = default
  end
  local i = math.type(v) and math.tointeger(v)
  if not i or i < low or i > high then
    bad_argument(1, where, ("%s from %d to %d"):format(name, low, high), v, 5)
  end
  return i
end

local function table_argument(t, where, kind)
  if type(t) ~= "table" then
    bad_argument(1, where, kind .. " or nil", t, 4)
  end
end

local function day_of(self, t, where)
  local year = field(t, "year", nil, -999999999, 999999999, where)
  local month = field(t, "month", nil, 1, 12, where)
  local day = field(t, "day", nil, 1, calendar.month_length(year, month), where)
  local n = calendar.to_day(year, month, day)
  if self._version < 13 and (n < 1 or n > 0xFFFFFFFF) then
    bad_argument(1, where, "date that fits into version " .. self._version, year, 4)
  end
  return n
end

local function msecs_of(t, where)
  local hour, min = field(t, "hour", 0, 0, 23, where), field(t, "min", 0, 0, 59, where)
  local sec, msec = field(t, "sec", 0, 0, 59, where), field(t, "msec", 0, 0, 999, where)
  return ((hour * 60 + min) * 60 + sec) * 1000 + msec
end

local function day_bytes(self, day)
  if self._version >= 13 then
    return string.pack(self._little and "<i8" or ">i8", day or math.mininteger)
  end
  return core.u32(self, day or 0)
end

local function time_bytes(self, ms)
  return core.u32(self, ms or (self._version >= 7 and NO_TIME or 0))
end

---Writes a QDate; nil is the null date.
---@async
---@param date qn.Date?
---@return true? ok
---@return qn.Error? err
function Data:write_date(date)
  if date == nil or date == NULL then
    return put(self, day_bytes(self, nil))
  end
  table_argument(date, "write_date", "date table")
  local day = day_of(self, date, "write_date")
  return put(self, day_bytes(self, day))
end

---Writes a QTime; nil is the null time.
---@async
---@param time qn.TimeOfDay?
---@return true? ok
---@return qn.Error? err
function Data:write_time(time)
  if time == nil or time == NULL then
    return put(self, time_bytes(self, nil))
  end
  table_argument(time, "write_time", "time table")
  local ms = msecs_of(time, "write_time")
  return put(self, time_bytes(self, ms))
end

local function moved(day, ms, seconds)
  ms = ms + seconds * 1000
  return day + ms // DAY_MS, ms % DAY_MS
end

-- Version 13 wants UTC: how many seconds to add to the clock of t.
local function seconds_to_utc(t, day, ms)
  if t.spec == "utc" then
    return 0
  elseif t.spec == "offset" then
    return -t.offset
  end
  local fields = { year = t.year, month = t.month, day = t.day, isdst = t.isdst }
  fields.hour, fields.min, fields.sec = ms // 3600000, ms // 60000 % 60, ms // 1000 % 60
  local ok, seconds = pcall(os.time, fields)
  if not ok then
    bad_argument(1, "write_datetime", "local time that the system can convert", t.year, 5)
  end
  return seconds - ((day - calendar.EPOCH_DAY) * 86400 + ms // 1000)
end

local function spec_bytes(self, t)
  local version, spec = self._version, t.spec
  if version < 7 then
    return ""
  elseif version >= 15 or version == 13 then
    local bytes = string.pack("i1", NEW_SPEC_NUMBERS[spec])
    if spec == "offset" and version >= 15 then
      bytes = bytes .. string.pack(self._little and "<i4" or ">i4", t.offset)
    end
    return bytes
  elseif spec == "local" then
    return t.isdst == true and "\1" or t.isdst == false and "\0" or "\xFF"
  end
  return spec == "utc" and "\2" or "\3"
end

local function checked_spec(self, t)
  local spec = t.spec or "local"
  if not NEW_SPEC_NUMBERS[spec] then
    bad_argument(1, "write_datetime", "spec local, utc, offset or zone", spec, 4)
  end
  local offset = spec == "offset" and field(t, "offset", nil, -86400, 86400, "write_datetime")
  if spec == "zone" then
    if self._version < 15 then
      bad_argument(1, "write_datetime", "no zone before version 15", t.zone, 4)
    elseif type(t.zone) ~= "string" or not utf8.len(t.zone) then
      bad_argument(1, "write_datetime", "name of a zone", t.zone, 4)
    end
  end
  return setmetatable({ spec = spec, offset = offset or nil }, { __index = t })
end

local function from_seconds(v)
  local ms = v == v and math.tointeger(math.floor(v * 1000.0 + 0.5))
  local day = ms and ms // DAY_MS + calendar.EPOCH_DAY
  if not day or day < 1 or day > 0xFFFFFFFF then
    bad_argument(1, "write_datetime", "seconds since 1970 within the calendar", v, 4)
  end
  return set_time(set_date({ spec = "utc" }, day), ms % DAY_MS)
end

local function write_moment(self, day, ms, t)
  put(self, day_bytes(self, day) .. time_bytes(self, ms) .. spec_bytes(self, t))
  if t.spec == "zone" then
    self:write_string(t.zone)
  end
  return true
end

---Writes a QDateTime; nil is the null one. A number is seconds since 1970, as UTC. Before version
---15 an offset is not transmitted.
---@async
---@param t qn.DateTime|number|nil
---@return true? ok
---@return qn.Error? err
function Data:write_datetime(t)
  if t == nil or t == NULL then
    return core.whole(self, write_moment, nil, nil, { spec = "local" })
  elseif type(t) == "number" then
    t = from_seconds(t)
  end
  table_argument(t, "write_datetime", "number, date and time table")
  t = checked_spec(self, t)
  local day, ms = day_of(self, t, "write_datetime"), msecs_of(t, "write_datetime")
  if self._version == 13 then
    day, ms = moved(day, ms, seconds_to_utc(t, day, ms))
  end
  return core.whole(self, write_moment, day, ms, t)
end

return Data
