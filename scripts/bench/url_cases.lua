-- The measuring half of the Lua programs of the URL benchmark: reads url_list.txt beside it and
-- calls `parse` on each URL, in rounds, for as long as it takes to be measured well. Used by
-- url_qn.lua and url_socket.lua; prints one JSON line per case.
local folder = arg[0]:match("^(.*)/[^/]*$") or "."

local COUNTS <const> = {
  ["typical"] = 600000, ["to be repaired"] = 200000, ["long query"] = 100000,
}

local function read_list()
  local lists = {}
  for line in io.lines(folder .. "/url_list.txt") do
    local case, text = line:match("^([^\t]+)\t(.*)$")
    lists[case] = lists[case] or {}
    table.insert(lists[case], text)
  end
  return lists
end

---@param parse fun(text: string): any gives nil for what it cannot read; that case is left out
return function(parse)
  for case, list in pairs(read_list()) do
    local fine = true
    for _, text in ipairs(list) do
      fine = fine and parse(text) ~= nil
    end
    if fine then
      local n = #list
      local rounds = COUNTS[case] // n
      local started = os.clock()
      for _ = 1, rounds do
        for i = 1, n do
          parse(list[i])
        end
      end
      print(("{\"case\":\"%s\",\"count\":%d,\"cpu_ns\":%.0f}"):format(case, rounds * n,
        (os.clock() - started) * 1e9))
    end
  end
end
