-- qn.interfaces: lists, look-ups by name and index, values that nobody can change.

local qn = require "qn"

local interfaces = qn.interfaces

local function missing(value, err)
  assert.is_nil(value)
  assert.is_true(qn.is_error(err))
  assert.equal("ENODEV", err.code)
end

local function read_only(field, f)
  local ok, message = pcall(f)
  assert.is_false(ok)
  assert.truthy(message:find("attempt to change field '" .. field .. "' of a read-only value", 1, true))
end

describe("qn.interfaces", function()
  it("lists all, by index, each time anew", function()
    local list = assert(interfaces())
    assert.is_true(#list > 0)
    for i = 2, #list do
      assert.is_true(list[i - 1].index < list[i].index)
    end
    list[1] = nil -- the list is the caller's
    assert.is_truthy(interfaces()[1])
  end)

  it("by_name, by_index, index_of, name_of", function()
    local lo = assert(interfaces.by_name("lo"))
    assert.equal("lo", lo.name)
    assert.equal("lo", tostring(lo))
    assert.equal(lo.index, interfaces.by_index(lo.index).index)
    assert.equal(lo.index, interfaces.index_of("lo"))
    assert.equal("lo", interfaces.name_of(lo.index))
    missing(interfaces.by_name("no-such-if"))
    missing(interfaces.by_index(4000000000))
    missing(interfaces.by_index(0))
    missing(interfaces.index_of("no-such-if"))
    missing(interfaces.name_of(-1))
    assert.is_false(pcall(interfaces.by_name))
    assert.is_false(pcall(interfaces.by_index, "lo"))
  end)

  it("all_addresses are those of interfaces that are up", function()
    local seen, want = {}, 0
    for _, address in ipairs(assert(interfaces.all_addresses())) do
      seen[address] = true
    end
    assert.is_true(seen[qn.address("127.0.0.1")])
    for _, interface in ipairs(interfaces()) do
      for _, entry in ipairs(interface.entries) do
        assert.equal(interface.flags.up, seen[entry.ip] == true)
        want = want + (interface.flags.up and 1 or 0)
      end
    end
    assert.equal(want, #interfaces.all_addresses())
  end)

  it("gives values that cannot be changed", function()
    local lo = assert(interfaces.by_name("lo"))
    local entry = lo.entries[1]
    read_only("name", function() lo.name = "x" end)
    read_only("mine", function() lo.mine = 1 end)
    read_only("up", function() lo.flags.up = false end)
    read_only("1", function() lo.entries[1] = nil end)
    read_only("ip", function() entry.ip = nil end)
    assert.is_nil(lo.nonsense)
    assert.equal("qn", getmetatable(lo))
  end)

  it("whose fields can be walked through", function()
    local lo = assert(interfaces.by_name("lo"))
    local names = {}
    for name in pairs(lo) do
      names[#names + 1] = name
    end
    table.sort(names)
    assert.same({ "entries", "flags", "hardware_address", "human_name", "index", "mtu", "name", "type" },
      names)
    local count = 0
    for i, entry in ipairs(lo.entries) do
      count = i
      assert.equal(entry.ip .. "/" .. entry.prefix_length, tostring(entry))
    end
    assert.equal(#lo.entries, count)
    assert.is_true(count > 0)
  end)
end)
