-- Takes URLs apart: components decoded and on the wire, query items, what is wrong with a text.
--
-- Run:   qnlua examples/url_inspector.lua [-m mode] [-b base] url...
--
-- Modes: tolerant strict user_input whatwg. Without arguments it looks at three samples.
-- Prints:
--   https://me@xn--bcher-kva.example:8443/a%20b/c?q=1%262&q=x&flag#top
--     scheme     https
--     user       me
--     password   (4 bytes)
--     host       bücher.example
--                xn--bcher-kva.example
--     port       8443
--     path       /a b/c
--                /a%20b/c
--     file_name  c
--     query      q=1%262&q=x&flag
--       q = 1&2
--       q = x
--       flag
--     fragment   top
--     normal     https://me@xn--bcher-kva.example:8443/a%20b/c?q=1%262&q=x&flag#top
--   http://127.0.0.1
--     scheme     http
--     host       127.0.0.1
--     port       80 (default)
--     normal     http://127.0.0.1/
--   url: the port is greater than 65535 (at byte 13) (INVALID_URL)

local qn = require "qn"

local options, texts, i = {}, {}, 1
while arg[i] do
  local option = arg[i]:match("^%-([mb])$")
  if option then
    i = i + 1
    options[option] = arg[i]
  else texts[#texts + 1] = arg[i] end
  i = i + 1
end
if #texts == 0 then
  texts = { "https://me:word@Bücher.example:8443/a b/c?q=1%262&q=x&flag#top", "http://0x7f.1",
    "ftp://h:65536/" }
end

local function show(name, plain, wire)
  if plain and plain ~= "" then
    print(("  %-10s %s"):format(name, plain))
    if wire and wire ~= plain then
      print(("  %-10s %s"):format("", wire))
    end
  end
end

local function inspect(u)
  print(u)
  show("scheme", u.scheme)
  show("user", u.user, u.encoded_user)
  show("password", u.password and ("(%d bytes)"):format(#u.password))
  show("host", u.host, u.encoded_host)
  show("port", u.port or u.effective_port and u.effective_port .. " (default)")
  show("path", u.path, u.encoded_path)
  show("file_name", u.file_name)
  show("query", u.query)
  for _, item in ipairs(u:query_items()) do
    print("    " .. item[1] .. (item[2] == "" and "" or " = " .. item[2]))
  end
  show("fragment", u.fragment, u.encoded_fragment)
  show("normal", tostring(u:normalized()))
end

for _, text in ipairs(texts) do
  local u, err = qn.url(text, options.m, options.b and { base = options.b })
  if u then
    inspect(u)
  else
    print(err)
  end
end
