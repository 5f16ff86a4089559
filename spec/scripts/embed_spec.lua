-- What the build embeds must come back byte for byte, under the right names.

local embed = require("scripts.embed")

-- The bytes of the C array `module_<n>` of a rendered file, without its closing zero.
local function array(text, n)
  local body = assert(text:match("module_" .. n .. "%[%] = {(.-)};"))
  local bytes = {}
  for number in body:gmatch("%d+") do bytes[#bytes + 1] = string.char(tonumber(number)) end
  assert.equal("\0", table.remove(bytes))
  return table.concat(bytes)
end

describe("embed", function()
  it("names modules after their files", function()
    assert.same({ "qn", "@qn/init.lua" }, { embed.names("qn/init.lua") })
    assert.same({ "qn.task", "@qn/task.lua" }, { embed.names("qn/task.lua") })
    assert.same({ "qn.stream.text", "@qn/stream/text.lua" }, { embed.names("qn/stream/text.lua") })
    assert.same({ "qn.http", "@qn/http/init.lua" }, { embed.names("qn/http/init.lua") })
  end)

  it("keeps every byte and sorts by name", function()
    local all = {}
    for byte = 0, 255 do all[#all + 1] = string.char(byte) end
    local bytes = table.concat(all)
    local text = embed.render({
      { path = "qn/task.lua", text = bytes },
      { path = "qn/init.lua", text = "" },
    })
    assert.equal("", array(text, 1))
    assert.equal(bytes, array(text, 2))
    local first = assert(text:find('{"qn", "@qn/init.lua", module_1, 0},', 1, true))
    local second = assert(text:find('{"qn.task", "@qn/task.lua", module_2, 256},', 1, true))
    local last = assert(text:find("{NULL, NULL, NULL, 0},", 1, true))
    assert.is_true(first < second and second < last)
  end)

  it("refuses two files of one name", function()
    assert.has_error(function()
      embed.render({ { path = "qn/a.lua", text = "" }, { path = "qn/a/init.lua", text = "" } })
    end, "module qn.a comes from both qn/a.lua and qn/a/init.lua")
  end)
end)
