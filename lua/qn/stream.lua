---The Lua half of streams: iterators, text and data streams, join, and events.

local core = require "qn.core"

---@class qn
local M = {}

---@class qn.Stream
local Stream = core.methods("Stream")

---Lines until the end of the stream; errors are thrown (`for` cannot carry them).
---@async
---@param fmt? string|integer format as in `read` (default "l")
---@param opts? qn.ReadOptions
---@return fun(): any
function Stream:lines(fmt, opts)
  fmt = fmt or "l"
  local read = self.read
  return function()
    local value, err = read(self, fmt, opts)
    if err ~= nil then
      error(err, 0)
    end
    return value
  end
end

---Pieces as they arrive, until the end of the stream; errors are thrown.
---@async
---@param max? integer largest piece in bytes
---@return fun(): string?
function Stream:chunks(max)
  local recv = self.recv
  return function()
    local value, err = recv(self, max)
    if err ~= nil then
      error(err, 0)
    end
    return value
  end
end

---A text stream (QTextStream) over this stream.
---@param opts? qn.TextStreamOptions
---@return qn.TextStream
function Stream:text_stream(opts)
  return require "qn.stream.text".new(self, opts)
end

---A data stream (QDataStream) over this stream.
---@param opts? qn.DataStreamOptions
---@return qn.DataStream
function Stream:data_stream(opts)
  return require "qn.stream.data".new(self, opts)
end

---A text stream over a stream, a string, or memory (nil).
---@param source? qn.Stream|string
---@param opts? qn.TextStreamOptions
---@return qn.TextStream
function M.text_stream(source, opts)
  return require "qn.stream.text".new(source, opts)
end

---A data stream over a stream, a string, or memory (nil).
---@param source? qn.Stream|string
---@param opts? qn.DataStreamOptions
---@return qn.DataStream
function M.data_stream(source, opts)
  return require "qn.stream.data".new(source, opts)
end

local options -- loaded on first use

local join_options = { finish = { type = "boolean" }, timeout = { type = "seconds" } }

local function check_stream(value, index, name)
  if not pcall(Stream.bytes_sent, value) then
    local text = "bad argument #%d to '%s' (qn.Stream expected, got %s)"
    error(text:format(index, name, type(value)), 3)
  end
end

-- Bytes that a stream has taken from its writers so far.
local function taken(stream)
  return stream:bytes_sent() + stream:bytes_to_write()
end

---Copies both ways, in C, until both directions have ended. A direction that ends shuts the writing
---side of the other stream down (unless `finish = false`); a direction that fails ends the join.
---@async
---@param a qn.Stream
---@param b qn.Stream
---@param opts? {finish?: boolean, timeout?: number|false}
---@return integer? up bytes from a to b, nil after a failure (then `err.partial` counts its direction)
---@return integer down bytes from b to a
---@return qn.Error? err
function M.join(a, b, opts)
  options = options or require "qn.options"
  check_stream(a, 1, "join")
  check_stream(b, 2, "join")
  opts = options.check(opts, join_options, "join")
  local group = require "qn.group".group
  local moved = {}
  local failed
  local before = taken(a)
  local copy_options = { finish = opts.finish, timeout = opts.timeout }
  group(function(g)
    local function one(i, src, dst)
      local n, e = core.copy(src, dst, copy_options)
      moved[i] = n or e.partial
      if e and not failed then
        failed = e
        g:cancel("the other direction has failed")
      end
    end
    g:spawn(one, 1, a, b)
    g:spawn(one, 2, b, a)
  end)
  if failed then
    return nil, moved[2] or taken(a) - before, failed -- one that was cancelled could not tell
  end
  return moved[1], moved[2]
end

-- TLS is loaded with the first stream that is used with it.
for _, name in ipairs { "start_tls", "tls", "ignore_ssl_errors", "update_keys" } do
  Stream[name] = function(self, ...)
    check_stream(self, 1, name)
    return require "qn.tls.socket".Stream[name](self, ...)
  end
end
local homes <const> = { server_question = "qn.tls.server", tcp_listen = "qn.tls.server",
  unix_listen = "qn.tls.server" }
core.tls_functions(setmetatable({}, { __index = function(self, name)
  local f = require(homes[name] or "qn.tls.socket").functions[name]
  rawset(self, name, f)
  return f
end }))

-- Handles get their event methods here, and derived classes inherit what was added after their making.
require "qn.events".extend("Stream")
for _, derived in ipairs { "Socket", "File" } do
  local methods = core.methods(derived)
  for name, f in pairs(Stream) do
    if methods[name] == nil then
      methods[name] = f
    end
  end
end

return M
