-- Lesson 18: the system's name resolution is ignored. Here nsswitch.conf decides, the hosts file and the search
-- list count, and connecting uses the same look-up.

local qn = require "qn"
local dns = require "spec.support.dns"
local program = require "spec.support.program"

describe("the system's configuration", function()
  local folder, fault
  setup(function()
    folder = program.scratch()
    fault = dns.fault()
  end)
  teardown(function()
    fault:stop()
    program.remove(folder)
  end)

  local function write(name, text)
    local file <close> = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
    return folder .. "/" .. name
  end

  it("decides who is asked", function()
    local hosts = write("hosts", "127.0.0.5 v4only.test\n")
    local resolv = write("resolv.conf", "nameserver 127.0.0.9\nsearch test\n")
    for line, found in pairs { ["hosts: files"] = true, ["hosts: files dns"] = true } do
      local resolver <close> = assert(qn.dns.resolver {
        hosts = hosts, nsswitch = write("nsswitch.conf", line .. "\n"), resolv_conf = resolv })
      local host = resolver:lookup("v4only.test", { timeout = 5 })
      assert.equal(found, host ~= nil)
      assert.equal("127.0.0.5", tostring(host.addresses[1]))
    end
    local files <close> = assert(qn.dns.resolver {
      hosts = hosts, nsswitch = write("nsswitch.conf", "hosts: files\n"), resolv_conf = resolv })
    local _, err = files:lookup("other.test", { timeout = 5 })
    assert.equal("HOST_NOT_FOUND", err.code)
  end)

  it("counts for connections, too", function()
    local server <close> = assert(qn.tcp.listen("127.0.0.1", 0))
    local hosts = write("hosts2", "127.0.0.1 service.here\n")
    local resolver <close> = assert(qn.dns.resolver { servers = fault.address, hosts = hosts })
    local socket <close> = assert(qn.tcp.connect("service.here", server:port(), { resolver = resolver, timeout = 10 }))
    assert.equal("service.here", socket:peer_name())
    server:accept(10):close()
  end)
end)
