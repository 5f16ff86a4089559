-- The reference: what a page says, what is left out, and which sources are refused.

local docgen = require("scripts.docgen")

local TCP <const> = [[
---TCP sockets. They are streams.
---@class qn.tcp
local M = {}

---@class qn.tcp.Options
---@field timeout? number seconds
local Hidden

---Connects. Tries every address.
---@async
---@param host string a name or an address
---@param port integer
---@param opts? qn.tcp.Options
---@return qn.TcpSocket? socket
---@return qn.Error? err
function M.connect(host, port, opts) end

---Internal.
function M._dial() end

---Nobody's business.
---@private
function M.secret() end

return M
]]

local SOCKET <const> = [[
---@meta
---A connected socket.
---@class qn.TcpSocket: qn.Stream
---@field port integer the port
local TcpSocket = {}

---Closes it; twice is fine.
function TcpSocket:close() end

---@class qn.Stream
local Stream = {}

---@class qn.Error
local Error = {}
]]

local function count(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

describe("docgen", function()
  it("writes one page per class and module, and an index", function()
    local pages, findings = docgen.generate({ ["a/tcp.lua"] = TCP, ["b/_meta/s.lua"] = SOCKET })
    assert.same({}, findings)
    assert.equal(5, count(pages))
    local page = pages["qn.tcp.md"]
    for _, text in ipairs({
      "# qn.tcp\n\nTCP sockets. They are streams.\n",
      "| [`qn.tcp.connect(host, port [, opts])`](#connect) (may wait) | Connects. |",
      "qn.tcp.connect(host, port [, opts]) -> qn.TcpSocket?, qn.Error?",
      "**May wait.**",
      "- `host`, `string`: a name or an address",
      "- `socket`, [`qn.TcpSocket?`](TcpSocket.md)",
      "- `err`, [`qn.Error?`](Error.md)",
    }) do
      assert.truthy(page:find(text, 1, true), text)
    end
    assert.falsy(page:find("secret") or page:find("_dial"))
    page = pages["TcpSocket.md"]
    for _, text in ipairs({
      "Has everything that [qn.Stream](Stream.md) has.",
      "- `port`, `integer`: the port",
      "socket:close()",
    }) do
      assert.truthy(page:find(text, 1, true), text)
    end
    assert.truthy(pages["README.md"]:find("- [qn.tcp](qn.tcp.md): TCP sockets.", 1, true))
  end)

  it("puts option tables on the page of their file", function()
    local text = TCP:gsub("local Hidden\n", "")
    local page = docgen.generate({ ["tcp.lua"] = text })["qn.tcp.md"]
    assert.truthy(page:find("### qn.tcp.Options\n", 1, true))
    assert.truthy(page:find("- `timeout` (optional), `number`: seconds", 1, true))
    assert.truthy(page:find("[`qn.tcp.Options`](qn.tcp.md#qntcpoptions)", 1, true))
  end)

  it("says whose fields an option table has, too", function()
    local text = TCP:gsub("local Hidden\n", "") .. "\n---@class qn.tcp.More: qn.tcp.Options\n---@field port integer\n\n"
    local page = docgen.generate({ ["tcp.lua"] = text })["qn.tcp.md"]
    local expected = "### qn.tcp.More\n\nHas all fields of [`qn.tcp.Options`](qn.tcp.md#qntcpoptions).\n"
    assert.truthy(page:find(expected, 1, true))
  end)

  it("leaves internal modules out", function()
    local pages = docgen.generate({
      ["a.lua"] = "local M = {}\n---Text.\nfunction M.x() end\n",
      ["b.lua"] = "---@class qn.stream.Pull\nlocal Pull = {}\n---Text.\nfunction Pull:x() end\n",
    })
    assert.equal(1, count(pages))
  end)

  it("gives the same pages for the same sources", function()
    local files = { ["a/tcp.lua"] = TCP, ["b/_meta/s.lua"] = SOCKET }
    assert.same(docgen.generate(files), docgen.generate(files))
  end)

  it("refuses a public function without annotations", function()
    local _, findings = docgen.generate({
      ["x.lua"] = "---@class qn.x\nlocal M = {}\n\nfunction M.f() end\n",
    })
    assert.same({ "x.lua:4: qn.x.f is public and has no annotations" }, findings)
  end)

  it("refuses types that no page has", function()
    local _, findings = docgen.generate({
      ["x.lua"] = "---@class qn.x\nlocal M = {}\n\n---Text.\n---@param a qn.Gone|nil\nfunction M.f(a) end\n",
      ["y.lua"] = "---@class qn.Gone\n---@field a string\n\nlocal M = {}\n", -- belongs to no public class
    })
    assert.same({ "qn.x: qn.Gone is on no page" }, findings)
  end)

  it("refuses parameters that do not fit", function()
    local _, findings = docgen.generate({
      ["x.lua"] = "---@class qn.x\nlocal M = {}\n\n---@param b string\nfunction M.f(a) end\n",
    })
    assert.same({
      "x.lua:5: qn.x.f says nothing about itself",
      "x.lua:5: qn.x.f has no @param a",
      "x.lua:5: qn.x.f has no parameter b",
    }, findings)
  end)
end)
