-- The rules that scripts/floors.lua checks: which folder is which floor, which library belongs
-- where, which spec a source file must have, which words may not appear. Data and small look-ups
-- only. The table of floors is ARCHITECTURE.md's; change both.

local M = {}

local FLOORS <const> = {
  base = 0, codec = 1, loop = 2, net = 3, stream = 4, tls = 5, http = 6,
}

-- Public headers have no folder of their own floor.
local PUBLIC <const> = {
  base = 0, buf = 0, error = 0,
  url = 1, ip = 1, dns_record = 1, headers = 1, multipart = 1,
  op = 2, loop = 2, work = 2, file = 2, signal = 2, process = 2,
  addr = 3, sockopt = 3, netif = 3, dns = 3, dns_system = 3, udp = 3, psl = 3, notifier = 3,
  trace = 3,
  stream = 4, filter = 4, dial = 4, listen = 4,
  tls = 5, dtls = 5, tls_listen = 5, cert = 5, cert_make = 5, pkcs12 = 5, key = 5, crypto = 5,
  http1 = 6, http2 = 6, manager = 6, ws = 6,
  qn = 7,
}

---The floor of a file of the C core; nil outside of it, and for a folder or header without one.
---@param path string
---@return integer?
function M.floor_of(path)
  local public = path:match("^runtime/include/qn/([%w_]+)%.h$")
  if public then return PUBLIC[public] end
  local folder = path:match("^runtime/([%w_]+)/")
  return folder and FLOORS[folder]
end

-- Where a library may be included; C tests, C examples and benchmarks may use any.
local LIBRARIES <const> = {
  { header = "^uv%.h$", name = "libuv", allowed = {
    "^runtime/loop/", "^runtime/net/", "^runtime/stream/f_socket%.c$",
    "^runtime/stream/listen%.c$",
  } },
  { header = "^openssl/", name = "OpenSSL", allowed = { "^runtime/tls/" } },
  { header = "^nghttp2/", name = "nghttp2", allowed = { "^runtime/http/h2%.c$" } },
  { header = "^ares", name = "c-ares", allowed = { "^runtime/net/resolver%.c$" } },
  { header = "^libpsl%.h$", name = "libpsl", allowed = { "^runtime/net/psl%.c$" } },
  { header = "^idn2%.h$", name = "libidn2", allowed = { "^runtime/codec/idna%.c$" } },
  { header = "^zlib%.h$", name = "zlib", allowed = { "^runtime/codec/inflate%.c$" } },
  { header = "^zstd", name = "zstd", allowed = { "^runtime/codec/inflate%.c$" } },
  { header = "^brotli/", name = "brotli", allowed = { "^runtime/codec/inflate%.c$" } },
  { header = "^lua[%w]*%.h$", name = "Lua", allowed = { "^bindings/" } },
  { header = "^lauxlib%.h$", name = "Lua", allowed = { "^bindings/" } },
}

-- System headers that a floor must not know: floors 0 and 1 do no I/O and know no sockets.
local SYSTEM <const> = {
  { header = "^sys/socket%.h$", from = 3 }, { header = "^netdb%.h$", from = 3 },
  { header = "^netinet/", from = 3 }, { header = "^arpa/inet%.h$", from = 3 },
  { header = "^sys/un%.h$", from = 3 }, { header = "^net/if", from = 3 },
  { header = "^poll%.h$", from = 2 }, { header = "^sys/epoll%.h$", from = 2 },
  { header = "^sys/time%.h$", from = 2 }, { header = "^fcntl%.h$", from = 2 },
  { header = "^sys/uio%.h$", from = 2 }, { header = "^pthread%.h$", from = 2 },
}

---Why a file may not include a header that is not ours; nil when it may.
---@param path string
---@param header string
---@return string?
function M.library_refused(path, header)
  if not (path:find("^runtime/") or path:find("^bindings/")) then return nil end
  for _, library in ipairs(LIBRARIES) do
    if header:find(library.header) then
      for _, place in ipairs(library.allowed) do
        if path:find(place) then return nil end
      end
      return ("includes %s (%s), which does not belong here"):format(header, library.name)
    end
  end
  local floor = M.floor_of(path)
  for _, rule in ipairs(SYSTEM) do
    if floor and floor < rule.from and header:find(rule.header) then
      return ("floor %d includes %s"):format(floor, header)
    end
  end
  return nil
end

---Why a Lua file may not require a module; nil when it may.
---@param path string
---@param name string
---@return string?
function M.require_refused(path, name)
  if path:find("^lua/") and name ~= "qn" and not name:find("^qn%.") then
    return ("requires %s: lua/qn uses nothing but itself and qn.core"):format(name)
  end
  if path:find("^examples/") and name == "qn.core" then
    return "requires qn.core, which is not public"
  end
  return nil
end

-- Words that mean unfinished work or a trace of the machine it was written on. Written in pieces,
-- so that this file passes its own check.
M.words = {
  { pattern = "%f[%w]TO" .. "DO%f[%W]", text = "unfinished work: TO" .. "DO" },
  { pattern = "%f[%w]FIX" .. "ME%f[%W]", text = "unfinished work: FIX" .. "ME" },
  { pattern = "%f[%w]X" .. "XX%f[%W]", text = "unfinished work: X" .. "XX" },
  { pattern = "[Nn]ot " .. "implemented", text = "unfinished work: not " .. "implemented" },
  { pattern = "/wo" .. "rk/", text = "a path of somebody's machine" },
  { pattern = "/ro" .. "ot/", text = "a path of somebody's machine" },
}

-- busted functions that leave a test out.
M.skipping = { "pending", "xit", "xdescribe", "xtest" }

local function is_source(path) return path:find("^runtime/") or path:find("^bindings/") end

M.calls = {
  {
    names = { "sprintf", "vsprintf", "strcpy", "stpcpy", "strcat", "sscanf", "gets", "strtok",
      "alloca" },
    text = "writes or reads without a bound",
    applies = function(path) return path:find("%.[ch]$") ~= nil end,
  },
  {
    names = { "malloc", "calloc", "realloc", "reallocarray", "free", "strdup", "strndup",
      "asprintf", "vasprintf" },
    text = "memory of ours comes from qn_malloc and its kin",
    applies = function(path) return is_source(path) and path ~= "runtime/base/alloc.c" end,
  },
  {
    names = { "exit", "_exit" },
    text = "only a program ends the process",
    applies = function(path) return path:find("^runtime/") ~= nil end,
  },
  {
    names = { "abort" },
    text = "ends the process: only an assertion may",
    applies = function(path) return is_source(path) and path ~= "runtime/base/assert.h" end,
  },
}

---The specs of which a source file must have one; nil when it needs none.
---@param path string
---@return string[]?
function M.specs_of(path)
  local floor, stem = path:match("^runtime/(%w+)/([%w_]+)%.c$")
  if floor then return { ("spec/runtime/%s/%s_test.c"):format(floor, stem) } end
  stem = path:match("^bindings/([%w_]+)%.c$")
  if stem then
    local short = stem:gsub("^b_", "")
    return {
      ("spec/bindings/%s_spec.lua"):format(short), ("spec/bindings/%s_test.c"):format(short),
      ("spec/bindings/%s_spec.lua"):format(stem), ("spec/bindings/%s_test.c"):format(stem),
    }
  end
  stem = path:match("^lua/qn/([%w_/]+)%.lua$")
  if stem and not stem:find("^_meta/") then
    return {
      ("spec/qn/%s_spec.lua"):format(stem),
      ("spec/qn/%s_spec.lua"):format((stem:gsub("/init$", ""))),
    }
  end
  stem = path:match("^scripts/([%w_]+)%.lua$")
  if stem then return { ("spec/scripts/%s_spec.lua"):format(stem) } end
  return nil
end

return M
