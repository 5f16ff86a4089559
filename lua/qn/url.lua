---URLs as immutable values: RFC 3986 strict and tolerant, what users type, and the URL Standard.
---
---The parser, the fields and most methods are in C (bindings/b_url*.c); here is the module around
---them, and what works on lists of query items. It must not print a password.

local core = require "qn.core"
local options = require "qn.options"
local query = require "qn.url.query"

---@class qn.Url
local Url = core.methods("Url")

---URLs (QUrl). Call it: `qn.url(text [, mode [, opts]])`.
---@class qn.url
---@overload fun(text: string|qn.Url, mode?: qn.UrlMode, opts?: qn.UrlOptions): qn.Url?, qn.Error?
local M = {}

local MODES <const> = { "tolerant", "strict", "user_input", "whatwg" }

local function is_url(v)
  return type(v) == "userdata" and pcall(Url.normalized, v)
end

local PARSE_RULES <const> = {
  base = { check = function(v)
    return type(v) == "string" or is_url(v), "a string or a URL"
  end },
  working_dir = { type = "string", check = function(path)
    if not path:find("^/") then
      return nil, "an absolute path"
    end
    return true
  end },
  assume_local_file = { type = "boolean" },
}

-- The first segment of what may be a file name has no "scheme:" in front and is not absolute.
local function is_relative_name(text)
  return text ~= "" and not text:find("^/") and not text:find("^%a[%w+.-]*:")
end

-- A file of the working directory, when there is one or the caller says so.
local function from_working_dir(text, opts)
  local name = text:match("^%s*(.-)%s*$")
  if not is_relative_name(name) then
    return nil
  end
  local path = opts.working_dir:gsub("/+$", "") .. "/" .. name
  if opts.assume_local_file or core.file_stat(path) then
    local url, err = core.url_from_file(path)
    if not url then
      return nil, err
    end
    return url:adjusted { normalize_path = true }
  end
end

local function parse_with_options(text, mode, opts)
  opts = options.check(opts, PARSE_RULES, "qn.url")
  if is_url(text) then
    text = text:to_string()
  elseif type(text) ~= "string" then
    error(("bad argument #1 to 'qn.url' (string expected, got %s)"):format(type(text)), 3)
  end
  if opts.working_dir and (mode ~= "user_input" or opts.base ~= nil)
    or opts.assume_local_file and not opts.working_dir then
    error("qn.url: working_dir belongs to mode \"user_input\"; assume_local_file to working_dir", 3)
  end
  local base, err
  if opts.base ~= nil then -- all three are of the mode: base, reference, result
    local typed = mode == "user_input" and type(opts.base) == "string"
    local rules = mode == "user_input" and "tolerant" or mode or "tolerant"
    base, err = core.url_parse(opts.base, typed and mode or rules)
    if not base then
      return nil, err
    elseif mode ~= "whatwg" then
      local reference
      reference, err = core.url_parse(text, rules)
      if not reference then
        return nil, err
      end
      return base:resolve(reference)
    end
  end
  if opts.working_dir then
    local url, failure = from_working_dir(text, opts)
    if url then
      return url
    elseif failure then
      return nil, failure
    end
  end
  return core.url_parse(text, mode, base)
end

---Reads a URL. Modes: "tolerant" (default) repairs what people and browsers get wrong (spaces, a stray
---'%', non-ASCII text); "strict" takes what the grammar of RFC 3986 takes; "user_input" guesses what
---somebody typed; "whatwg" follows the URL Standard. The error is of kind `invalid`; its message
---says why and where (`err.position`), and has no part of the text in it.
---
---`qn.url(text, mode, opts)` is the same. Waits only with `working_dir` and without
---`assume_local_file`.
---@async
---@param text string|qn.Url
---@param mode? qn.UrlMode
---@param opts? qn.UrlOptions
---@return qn.Url? url
---@return qn.Error? err
function M.parse(text, mode, opts)
  if opts == nil then
    return core.url_parse(text, mode)
  end
  return parse_with_options(text, mode, opts)
end

---The names of the modes.
---@return string[] modes the names of the modes
function M.modes()
  return table.move(MODES, 1, #MODES, 1, {})
end

---A URL of components, as `url:with` takes them.
---@param parts qn.UrlChanges
---@param mode? qn.UrlMode
---@return qn.Url? url
---@return qn.Error? err
function M.build(parts, mode)
  local url, err = core.url_parse("", mode == "strict" and mode or "tolerant"):with(parts)
  if url and (mode == "whatwg" or mode == "user_input") then
    return core.url_parse(url:to_string(), mode)
  end
  return url, err
end

---The URL of a file name: "/a b" is file:///a%20b, "//host/p" is file://host/p, "C:/x" (or with
---backslashes) is file:///C:/x; a relative name stays relative ("file:x").
---@param path string
---@return qn.Url? url
---@return qn.Error? err
function M.from_local_file(path)
  return core.url_from_file(path)
end
M.from_local_file = core.url_from_file

---Percent-encodes everything but letters, digits, "-", ".", "_" and "~".
---@param text string
---@param exclude? string characters that stay as they are, too
---@param include? string characters that are encoded in any case
---@return string
function M.encode(text, exclude, include)
  return core.url_encode(text, exclude, include)
end
M.encode = core.url_encode

---Decodes percent-encoded text; a "%" without two hexadecimal digits stays.
---@param text string
---@param form? boolean "+" is a space
---@return string bytes
function M.decode(text, form)
  return core.url_decode(text, form)
end
M.decode = core.url_decode

---A query to be filled: `qn.url.query{{"a", "1"}}`, `qn.url.query("a=1&b=2")`.
---@param items? string|table a query without "?", a list of {name, value}, or a table of names
---@param opts? qn.UrlQueryOptions
---@return qn.UrlQuery
function M.query(items, opts)
  return query.new(items, opts)
end
M.query = query.new

-- bits of qn/url.h
local LENGTHS <const>, STD3 <const>, TRANSITIONAL <const>, LENIENT <const> = 1, 2, 8, 16

local ACE_RULES <const> = {
  std3 = { type = "boolean" },
  transitional = { type = "boolean" },
}

---The ASCII form of a domain name (UTS 46; labels of at most 63 bytes).
---@param domain string UTF-8
---@param opts? qn.UrlAceOptions
---@return string? ascii "xn--bcher-kva.example"
---@return qn.Error? err
function M.to_ace(domain, opts)
  opts = options.check(opts, ACE_RULES, "qn.url.to_ace")
  local std3 = opts.std3 ~= false
  local ascii, err = core.idn_to_ascii(domain, LENGTHS | (std3 and STD3 or 0)
    | (opts.transitional and TRANSITIONAL or 0))
  if not ascii then
    return nil, err
  end
  -- the labels as they were before Punycode: it never ends in a hyphen
  local dotted = "." .. (std3 and core.idn_to_unicode(ascii, 0) or "") .. "."
  if dotted:find(".-", 1, true) or dotted:find("-.", 1, true) then
    return nil, core.error("invalid", "a label begins or ends with a hyphen",
      { code = "INVALID_HOST", op = "url" })
  end
  return ascii
end

local whitelist -- nil: every top-level domain

---The Unicode form of a domain name. With a list of top-level domains (`idn_whitelist`) names of others
---stay as they are; labels that cannot be decoded do so always.
---@param domain string
---@return string? unicode
---@return qn.Error? err
function M.from_ace(domain)
  if whitelist then
    local top = domain:lower():match("([^.]+)%.?$")
    local ascii = top and core.idn_to_ascii(top, 0)
    if not whitelist[ascii or ""] then
      return core.idn_to_ascii(domain, 0)
    end
  end
  return core.idn_to_unicode(domain, LENIENT)
end

---Punycode of one label, without "xn--": "bücher" is "bcher-kva".
---@param label string UTF-8
---@return string? punycode
---@return qn.Error? err
function M.to_punycode(label)
  return core.punycode_encode(label)
end
M.to_punycode = core.punycode_encode

---A label of its Punycode, with or without "xn--" in front.
---@param punycode string
---@return string? label UTF-8
---@return qn.Error? err
function M.from_punycode(punycode)
  if type(punycode) == "string" then
    punycode = punycode:gsub("^[xX][nN]%-%-", "")
  end
  return core.punycode_decode(punycode)
end

---Which top-level domains have names that are shown in Unicode (`host`, `to_string("human")`,
---`from_ace`); nil, the default: all. A list keeps apart names that look alike where a registry does
---not.
---@param list? string[]|false the new list; false = all
---@return string[]? list the one in force
function M.idn_whitelist(list)
  if list == false then
    whitelist = nil
    core.idn_whitelist(nil)
  elseif list ~= nil then
    local set = {}
    if type(list) ~= "table" then
      error(("bad argument #1 to 'qn.url.idn_whitelist' (list or false expected, got %s)")
        :format(type(list)), 2)
    end
    for i, name in ipairs(list) do
      local ascii = type(name) == "string" and core.idn_to_ascii(name, STD3)
      if not ascii or ascii == "" or ascii:find(".", 1, true) then
        error(("bad argument #1 to 'qn.url.idn_whitelist' (item %d is no top-level domain)")
          :format(i), 2)
      end
      set[ascii] = true
    end
    whitelist = set
    core.idn_whitelist(set)
  end
  if whitelist then
    local names = {}
    for name in pairs(whitelist) do
      names[#names + 1] = name
    end
    table.sort(names)
    return names
  end
  return nil
end

-- --- methods that work on lists ------------------------------------------------------------------

local with = core.url_with

---Another URL with some components changed. Names as the fields: plain ones take plain text, those
---with `encoded_` text as on the wire, the names of the URL Standard (`protocol`, `hostname`,
---`pathname`, `search`, `hash`) what its setters take; `false` removes. `query_items` takes what
---`qn.url.query` takes. In whatwg mode the setters of the standard do it.
---@param changes qn.UrlChanges
---@return qn.Url? url
---@return qn.Error? err
function Url:with(changes)
  if type(changes) ~= "table" then
    return with(self, changes)
  end
  local items = changes.query_items
  if items == nil and query.is(changes.query) then
    items = changes.query
  elseif items == nil then
    return with(self, changes)
  elseif changes.query ~= nil or changes.encoded_query ~= nil or changes.search ~= nil then
    error("url:with: 'query_items' and another name of the query are the same component", 2)
  end
  local copy = {}
  for key, value in pairs(changes) do
    copy[key] = value
  end
  copy.query_items, copy.query = nil, nil
  copy.encoded_query = items and query.new(items):to_string()
  return with(self, copy)
end

---The query as an object that can be changed.
---@param opts? qn.UrlQueryOptions
---@return qn.UrlQuery query the query as an object that can be changed
function Url:query_object(opts)
  return query.new(self.encoded_query or "", opts)
end

local split = core.url_query_split

-- Reading with the usual rules needs no object.
local function items_of(self, opts)
  local text = self.encoded_query or ""
  return opts and query.new(text, opts):items() or split(text, "=", "&", false, false)
end

---The items of the query, in order, with duplicates: a list of {name, value}.
---@param opts? qn.UrlQueryOptions
---@return string[][] items
function Url:query_items(opts)
  return items_of(self, opts)
end

---The value of the first item of that name.
---@param name string
---@param opts? qn.UrlQueryOptions
---@return string? value of the first item of that name; "" for one without "="
function Url:query_value(name, opts)
  for _, item in ipairs(items_of(self, opts)) do
    if item[1] == name then
      return item[2]
    end
  end
  return nil
end

---The values of all items of that name.
---@param name string
---@param opts? qn.UrlQueryOptions
---@return string[] values of all items of that name
function Url:query_values(name, opts)
  local values = {}
  for _, item in ipairs(items_of(self, opts)) do
    if item[1] == name then
      values[#values + 1] = item[2]
    end
  end
  return values
end

---Whether the query has an item of that name.
---@param name string
---@param opts? qn.UrlQueryOptions
---@return boolean
function Url:has_query_item(name, opts)
  return Url.query_value(self, name, opts) ~= nil
end

local function replace(self, object)
  return with(self, { encoded_query = #object > 0 and object:to_string() or false })
end

---Another URL with these items as its query; an empty list removes the query.
---@param items string|table|qn.UrlQuery as in `qn.url.query`
---@param opts? qn.UrlQueryOptions
---@return qn.Url? url
---@return qn.Error? err
function Url:with_query_items(items, opts)
  return replace(self, query.new(items, opts))
end

---Another URL with one more item at the end of its query.
---@param name string
---@param value? string|number|boolean true or nothing: an item without "="
---@param opts? qn.UrlQueryOptions
---@return qn.Url? url
---@return qn.Error? err
function Url:add_query_item(name, value, opts)
  local old = self.encoded_query
  if opts == nil and type(name) == "string" and type(value) == "string" then -- the usual case
    local item = core.url_query_encode(name, "=", "&") .. "="
      .. core.url_query_encode(value, "=", "&")
    return with(self, { encoded_query = old and old ~= "" and old .. "&" .. item or item })
  end
  return replace(self, query.new(old or "", opts):add(name, value))
end

---Another URL without the first item of that name.
---@param name string
---@param opts? qn.UrlQueryOptions
---@return qn.Url? url
---@return qn.Error? err
function Url:remove_query_item(name, opts)
  return replace(self, query.new(self.encoded_query or "", opts):remove(name))
end

---Another URL without all items of that name.
---@param name string
---@param opts? qn.UrlQueryOptions
---@return qn.Url? url
---@return qn.Error? err
function Url:remove_all_query_items(name, opts)
  return replace(self, query.new(self.encoded_query or "", opts):remove_all(name))
end

---Whether `child` is below this URL: same scheme and authority, and its path begins with this path at
---a "/" (normal forms are compared). No URL is its own parent. A child without scheme or authority
---is looked at by its path.
---@param child qn.Url
---@return boolean
function Url:is_parent_of(child)
  local a, b = Url.normalized(self), Url.normalized(child)
  if b.scheme and b.scheme ~= a.scheme then
    return false
  end
  if (b.has_authority or b.scheme) and b.encoded_authority ~= a.encoded_authority then
    return false
  end
  local path, below = a.encoded_path, b.encoded_path
  if #below <= #path or below:sub(1, #path) ~= path then
    return false
  end
  return path:sub(-1) == "/" or below:sub(#path + 1, #path + 1) == "/"
end

---The host in ASCII and everything else as on the wire: what goes into a protocol.
---@return string
function Url:to_ascii()
  return Url.to_string(self, "encoded")
end

return setmetatable(M, { __call = core.url_caller(parse_with_options) })
