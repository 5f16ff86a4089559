-- The little JSON that the benchmarks need: one-line flat objects of the helpers in, result files
-- out. Keys are written in sorted order, so that two runs can be compared with diff.
local json = {}

--- Reads a flat object of strings and numbers, as printed by the benchmark programs.
---@param line string
---@return table
function json.decode_flat(line)
  local object, at = {}, line:match("^%s*{%s*()") or error("not a JSON object: " .. line, 0)
  while line:sub(at, at) ~= "}" do
    local key, rest = line:match("^\"([^\"]+)\"%s*:%s*()", at)
    local text, after = line:match("^\"([^\"]*)\"%s*,?%s*()", rest or 0)
    if not text then
      text, after = line:match("^(-?[%d.eE+-]+)%s*,?%s*()", rest or 0)
      text = tonumber(text)
    end
    if not key or text == nil then
      error("not a flat JSON object: " .. line, 0)
    end
    object[key], at = text, after
  end
  return object
end

local function number(n)
  if math.type(n) == "integer" then
    return tostring(n)
  end
  return (("%.4f"):format(n):gsub("%.?0+$", ""))
end

local function quoted(s)
  return "\"" .. s:gsub("[%c\"\\]", function(c)
    return (c == "\"" or c == "\\") and "\\" .. c or ("\\u%04x"):format(c:byte())
  end) .. "\""
end

local function encode(value, indent)
  if type(value) == "number" then
    return number(value)
  elseif type(value) ~= "table" then
    return type(value) == "string" and quoted(value) or tostring(value)
  end
  local deeper, parts = indent .. "  ", {}
  if #value > 0 and type(value[1]) ~= "table" then
    for i, item in ipairs(value) do
      parts[i] = encode(item, deeper)
    end
    return "[" .. table.concat(parts, ", ") .. "]"
  end
  local open, close = "[", "]"
  for i, item in ipairs(value) do
    parts[i] = deeper .. encode(item, deeper)
  end
  if #value == 0 then
    open, close = "{", "}"
    local keys = {}
    for key in pairs(value) do
      keys[#keys + 1] = key
    end
    table.sort(keys)
    for i, key in ipairs(keys) do
      parts[i] = deeper .. quoted(key) .. ": " .. encode(value[key], deeper)
    end
  end
  return open .. "\n" .. table.concat(parts, ",\n") .. "\n" .. indent .. close
end

--- Writes a value, indented by two spaces.
---@param value any
---@return string
function json.encode(value)
  return encode(value, "") .. "\n"
end

return json
