-- The annotations against the live objects, both ways: every method is documented, every documented
-- method exists; every documented option is taken, every option of the C descriptors is documented.
-- So editors and docs/reference cannot drift from the code.

local qn = require "qn"
local annotations = require "scripts.annotations"
local pipes = require "spec.support.pipes"

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function files_of(command)
  local pipe <close> = assert(io.popen(command))
  local list = {}
  for path in pipe:lines() do
    list[#list + 1] = path
  end
  return list
end

-- What is documented: class name -> { functions = name -> doc, fields = name -> field, bases }.
local documented = setmetatable({}, { __index = function(self, name)
  self[name] = { functions = {}, fields = {}, bases = {} }
  return rawget(self, name)
end })
for _, path in ipairs(files_of("find lua/qn -name '*.lua' | sort")) do
  local receivers = {}
  for _, item in ipairs((annotations.read(read_file(path)))) do
    local doc, what = item.doc, item.definition
    if doc and doc.class then
      local class = documented[doc.class]
      for _, field in ipairs(doc.fields) do
        class.fields[field.name] = field
        if field.type:find("^fun%(") then -- a method that a loop makes
          class.functions[field.name] = { text = { field.text } }
        end
      end
      table.move(doc.bases, 1, #doc.bases, #class.bases + 1, class.bases)
      if what and what.kind == "table" then
        receivers[what.name] = doc.class
      end
    elseif what and what.kind == "function" and receivers[what.receiver] then
      documented[receivers[what.receiver]].functions[what.name] = doc or {}
    end
  end
end

local function functions_of(class)
  local all = {}
  for _, base in ipairs(documented[class].bases) do
    for name, doc in pairs(functions_of(base)) do
      all[name] = doc
    end
  end
  for name, doc in pairs(documented[class].functions) do
    all[name] = doc
  end
  return all
end

local function fields_of(class)
  local all = {}
  for _, base in ipairs(documented[class].bases) do
    for name, field in pairs(fields_of(base)) do
      all[name] = field
    end
  end
  for name, field in pairs(documented[class].fields) do
    all[name] = field
  end
  return all
end

local function public_functions(t)
  local names = {}
  for name, value in pairs(t) do
    if type(name) == "string" and type(value) == "function" and not name:find("^_") then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

local function names_of(functions)
  local names = {}
  for name in pairs(functions) do
    if not name:find("^_") then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

-- The method table behind an object: `__index` is a table, or a closure over one (values).
local function methods_of(object)
  local index = debug.getmetatable(object).__index
  if type(index) == "function" then
    for i = 1, debug.getinfo(index, "u").nups do
      local name, value = debug.getupvalue(index, i)
      if name == "methods" or name == "" and i == 2 then -- in C they have no names
        return value
      end
    end
  end
  return index
end

local function dtls_server()
  local cert, key = assert(qn.tls.self_signed { names = { "localhost" } })
  return assert(qn.dtls.listen("127.0.0.1", 0, { cert = cert, key = key }))
end

local function dtls_connection()
  local server <close> = dtls_server()
  return assert(qn.dtls.connect("127.0.0.1", server:port(), { verify = "none" }))
end

-- One live object per class.
local live = {
  ["qn.Stream"] = function()
    local stream, other = qn.pair()
    other:close()
    return stream
  end,
  ["qn.Socket"] = function() return qn.tcp.socket() end,
  ["qn.UdpSocket"] = function() return assert(qn.udp.bind("127.0.0.1", 0)) end,
  ["qn.Datagram"] = function()
    local socket <close> = assert(qn.udp.bind("127.0.0.1", 0))
    socket:send("x", "127.0.0.1", socket:local_port())
    return (select(2, socket:recv()))
  end,
  ["qn.Server"] = function() return assert(qn.tcp.listen("127.0.0.1", 0)) end,
  ["qn.Buffer"] = function() return qn.buffer() end,
  ["qn.Task"] = function() return qn.current() end,
  ["qn.Signal"] = function() return assert(qn.signal("usr2")) end,
  ["qn.File"] = function() return assert(qn.file.open("/dev/null")) end,
  ["qn.Notifier"] = function() return assert(qn.notifier(pipes.pipe().r.file, "read")) end,
  ["qn.Error"] = function() return qn.error("io", "x") end,
  ["qn.Deadline"] = function() return qn.deadline(60) end,
  ["qn.Channel"] = function() return qn.channel() end,
  ["qn.Semaphore"] = function() return qn.semaphore(1) end,
  ["qn.Mutex"] = function() return qn.mutex() end,
  ["qn.Event"] = function() return qn.event() end,
  ["qn.Condition"] = function() return qn.condition() end,
  ["qn.Group"] = function() return (qn.group(function(g) return g end)) end,
  ["qn.TextStream"] = function() return qn.text_stream("") end,
  ["qn.Address"] = function() return qn.address("::1") end,
  ["qn.DataStream"] = function() return qn.data_stream("") end,
  ["qn.Url"] = function() return qn.url("http://h/") end,
  ["qn.UrlQuery"] = function() return qn.url.query("") end,
  ["qn.Resolver"] = function() return assert(qn.dns.resolver()) end,
  ["qn.Hasher"] = function() return qn.crypto.hasher("md5") end,
  ["qn.Key"] = function() return assert(require "qn.tls.key".generate_key()) end,
  ["qn.Certificate"] = function() return assert(qn.tls.system_certificates())[1] end,
  ["qn.DistinguishedName"] = function() return assert(qn.tls.system_certificates())[1].subject end,
  ["qn.CertificateRequest"] = function() return (assert(qn.tls.request { subject = "x" })) end,
  ["qn.TlsConfiguration"] = function() return assert(qn.tls.configuration()) end,
  ["qn.DtlsServer"] = dtls_server,
  ["qn.DtlsVerifier"] = function() return assert(qn.dtls.verifier()) end,
  ["qn.DtlsConnection"] = dtls_connection,
  ["qn.DnsRecord"] = function() return require "qn.dns.record".record {} end,
}

-- A lazy table with all that it can have.
local function loaded(module)
  for _, name in ipairs(names_of(documented["qn.tls"].functions)) do
    local _ = module[name]
  end
  return module
end

local CLOSED_HERE <const> = { ["qn.Stream"] = true, ["qn.Socket"] = true, ["qn.Server"] = true,
  ["qn.UdpSocket"] = true, ["qn.DtlsServer"] = true, ["qn.DtlsConnection"] = true,
  ["qn.File"] = true, ["qn.Notifier"] = true, ["qn.Signal"] = true, ["qn.Deadline"] = true,
  ["qn.Resolver"] = true }

describe("annotations", function()
  for class, make in pairs(live) do
    it("of " .. class .. " name its methods, all and no other", function()
      local object = make()
      local methods = public_functions(methods_of(object))
      if CLOSED_HERE[class] then
        object:close()
      end
      assert.is_true(#methods > 0)
      assert.same(methods, names_of(functions_of(class)))
    end)
  end

  it("of the modules name their functions, all and no other", function()
    local modules = { ["qn.address"] = qn.address, ["qn.interfaces"] = qn.interfaces,
      qn = qn, ["qn.tcp"] = qn.tcp, ["qn.udp"] = qn.udp, ["qn.unix"] = qn.unix, ["qn.file"] = qn.file,
      ["qn.url"] = qn.url,
      ["qn.crypto"] = qn.crypto, ["qn.tls"] = loaded(qn.tls),
      ["qn.dns"] = qn.dns, ["qn.dtls"] = qn.dtls }
    for name, module in pairs(modules) do
      for function_name in pairs(documented[name].functions) do
        assert.is_function(module[function_name], name .. "." .. function_name)
      end
      assert.same(public_functions(module), names_of(documented[name].functions))
    end
  end)

  it("of qn name everything that it loads when it is asked for", function()
    local lazy = getmetatable(qn).__index
    local seen = 0
    for i = 1, debug.getinfo(lazy, "u").nups do
      local _, names = debug.getupvalue(lazy, i)
      for name in pairs(names ~= _G and type(names) == "table" and names or {}) do
        seen = seen + 1
        local class = documented.qn
        assert.is_truthy(class.functions[name] or class.fields[name], "qn." .. name)
      end
    end
    assert.is_true(seen > 30)
  end)

  it("say of each method what it does, and whether it waits", function()
    for class in pairs(live) do
      for name, doc in pairs(documented[class].functions) do
        local hidden = doc.private or name:find("^_")
        local text = hidden or doc.text and (doc.text[1] or (doc.returns[1] or {}).text)
        assert.is_truthy(text, class .. ":" .. name)
      end
    end
    local waiting = { "read", "recv", "read_exactly", "read_until", "read_into", "unpack", "peek",
      "skip", "write", "pack", "flush", "shutdown", "send_file", "wait", "wait_closed" }
    for _, name in ipairs(waiting) do
      assert.is_true(functions_of("qn.Stream")[name].async, "qn.Stream:" .. name)
    end
    for _, name in ipairs { "close", "abort", "state", "on", "unread", "push" } do
      assert.is_nil(functions_of("qn.Stream")[name].async, "qn.Stream:" .. name)
    end
  end)

  it("of qn.Error name the fields that errors have, and its kinds", function()
    local err = select(2, qn.tcp.connect("127.0.0.1", 1))
    assert.equal("refused", err:fields().kind)
    for field in pairs(err:fields()) do
      assert.is_truthy(documented["qn.Error"].fields[field], field)
    end
    local kinds = 0
    for kind in read_file("lua/qn/_meta/error.lua"):gmatch('%-%-%-| "([%w_]+)"') do
      kinds = kinds + 1
      assert.equal(kind, qn.error(kind, "x").kind)
    end
    assert.is_true(kinds >= 20)
  end)

  it("of qn.Stats are the counters that qn.stats gives", function()
    assert.same(names_of(qn.stats()), names_of(documented["qn.Stats"].fields))
  end)
end)

describe("documented options", function()
  local stream, other, server, socket, udp
  local buffer = qn.buffer(10)
  before_each(function()
    stream, other = qn.pair()
    server = assert(qn.tcp.listen("127.0.0.1", 0))
    socket = qn.tcp.socket()
    udp = qn.udp.socket()
  end)
  after_each(function()
    stream:close()
    other:close()
    server:close()
    socket:close()
    udp:close()
    stream, other, server, socket, udp = nil, nil, nil, nil, nil
  end)

  local calls = {
    { "qn.ReadOptions", function(opts) stream:read("l", opts) end },
    { "qn.ReadOptions", function(opts) stream:unpack("B", opts) end },
    { "qn.ReadUntilOptions", function(opts) stream:read_until("x", opts) end },
    { "qn.TimeoutOption", function(opts) stream:read_exactly(1, opts) end },
    { "qn.TimeoutOption", function(opts) stream:recv(opts) end },
    { "qn.TimeoutOption", function(opts) stream:recv(1, opts) end },
    { "qn.TimeoutOption", function(opts) stream:peek(1, opts) end },
    { "qn.TimeoutOption", function(opts) stream:skip(1, opts) end },
    { "qn.ReadIntoOptions", function(opts) stream:read_into(buffer, opts) end },
    { "qn.SendFileOptions", function(opts) stream:send_file("/dev/null", opts) end },
    { "qn.StreamTimeouts", function(opts) stream:set_timeouts(opts) end },
    { "qn.CopyOptions", function(opts) qn.copy(stream, stream, opts) end },
    { "qn.ConnectOptions", function(opts) qn.tcp.connect("127.0.0.1", 1, opts) end },
    { "qn.ConnectOptions", function(opts) socket:connect("127.0.0.1", 1, opts) end },
    { "qn.SocketOptions", function(opts) qn.tcp.socket(opts) end },
    { "qn.UdpOptions", function(opts) qn.udp.socket(opts) end },
    { "qn.UdpBindOptions", function(opts) qn.udp.bind("127.0.0.1", 0, opts) end },
    { "qn.UdpConnectOptions", function(opts) qn.udp.connect("127.0.0.1", 9, opts) end },
    { "qn.UdpPeerOptions", function(opts) udp:connect("127.0.0.1", 9, opts) end },
    { "qn.UdpRecvOptions", function(opts) udp:recv(opts) end },
    { "qn.UdpRecvOptions", function(opts) udp:recv_batch(1, opts) end },
    { "qn.UdpRecvOptions", function(opts) udp:each(opts) end },
    { "qn.UdpRecvIntoOptions", function(opts) udp:recv_into(buffer, opts) end },
    { "qn.UdpRequestOptions", function(opts) udp:request("x", opts) end },
    { "qn.ListenOptions", function(opts) qn.tcp.listen("127.0.0.1", 0, opts) end },
    { "qn.AddressOptions", function(opts) qn.address("1.2.3.4", opts) end },
    { "qn.StatOptions", function(opts) qn.file.stat("/", opts) end },
    { "qn.LookupOptions", function(opts) qn.dns.lookup("x.test", opts) end },
    { "qn.ReverseOptions", function(opts) qn.dns.reverse("127.0.0.1", opts) end },
    { "qn.QueryOptions", function(opts) qn.dns.query("x.test", "A", opts) end },
    { "qn.ResolverOptions", function(opts) qn.dns.resolver(opts) end },
    { "qn.UrlOptions", function(opts) qn.url("x", "user_input", opts) end },
    { "qn.UrlAdjustOptions", function(opts) qn.url("x"):adjusted(opts) end },
    { "qn.UrlAdjustOptions", function(opts) qn.url("x"):matches(qn.url("x"), opts) end },
    { "qn.UrlFormatOptions", function(opts) qn.url("x"):to_string(opts) end },
    { "qn.UrlResolveOptions", function(opts) qn.url("x"):resolve("x", opts) end },
    { "qn.UrlQueryOptions", function(opts) qn.url.query("x", opts) end },
    { "qn.UrlQueryOptions", function(opts) qn.url("x"):query_items(opts) end },
    { "qn.UrlAceOptions", function(opts) qn.url.to_ace("x", opts) end },
    { "qn.KeySealOptions", function(opts) require "qn.tls.key".generate_key():to_pem("x", opts) end },
    { "qn.SignOptions", function(opts)
      require "qn.tls.key".generate_key { type = "rsa" }:sign("x", opts)
    end },
    { "qn.GenerateKeyOptions", function(opts) require "qn.tls.key".generate_key(opts) end },
    { "qn.ScryptOptions", function(opts) qn.crypto.scrypt("p", "s", opts) end },
    { "qn.SelfSignedOptions", function(opts)
      opts.names = opts.names or "x"
      qn.tls.self_signed(opts)
    end },
    { "qn.RequestOptions", function(opts)
      opts.names = opts.names or "x"
      qn.tls.request(opts)
    end },
    { "qn.SignCertificateOptions", function(opts)
      local certificate, key = qn.tls.self_signed { names = "x" }
      qn.tls.sign(key, certificate, key, opts)
    end },
    { "qn.ExportPkcs12Options", function(opts)
      opts.passphrase = opts.passphrase or "x"
      qn.tls.export_pkcs12(opts)
    end },
    { "qn.VerifyOptions", function(opts) qn.tls.verify("", nil, opts) end },
    { "qn.UnixConnectOptions", function(opts) qn.unix.connect("@qn-meta", opts) end },
    { "qn.TlsOptions", function(opts) qn.tls.configuration(opts) end },
    { "qn.TlsOptions", function(opts) qn.tls.default_configuration(opts) end },
    { "qn.TlsOptions", function(opts) qn.tls.configuration():with(opts) end },
    { "qn.StartTlsOptions", function(opts) stream:start_tls(opts) end },
    { "qn.StartTlsOptions", function(opts) qn.tcp.connect("127.0.0.1", 1, { tls = opts }) end },
    { "qn.TlsConnectOptions", function(opts) qn.tls.connect("127.0.0.1", 1, opts) end },
    { "qn.UnixListenOptions", function(opts) qn.unix.listen("@qn-meta", opts) end },
    { "qn.DtlsConnectOptions", function(opts) qn.dtls.connect("127.0.0.1", 9, opts) end },
    { "qn.DtlsListenOptions", function(opts) qn.dtls.listen("127.0.0.1", 0, opts) end },
    { "qn.DtlsServerOptions", function(opts) qn.dtls.over(udp, opts) end },
    { "qn.DtlsVerifierOptions", function(opts) qn.dtls.verifier(opts) end },
    { "qn.TlsListenOptions", function(opts) qn.tls.listen("127.0.0.1", 0, opts) end },
    { "qn.TlsServerOptions", function(opts) qn.tcp.listen("127.0.0.1", 0, { tls = opts }) end },
  }

  for i, case in ipairs(calls) do
    it(("of %s are taken, others are not (%d)"):format(case[1], i), function()
      local fields = fields_of(case[1])
      assert.is_truthy(next(fields))
      for name in pairs(fields) do
        local ok, err = pcall(case[2], { [name] = coroutine.create(print) }) -- no option is a thread
        assert.is_false(ok, name)
        assert.truthy(tostring(err):find("option '" .. name .. "'", 1, true), tostring(err))
        assert.falsy(tostring(err):find("unknown option", 1, true), tostring(err))
      end
      local ok, err = pcall(case[2], { no_such_option = 1 })
      assert.is_false(ok)
      assert.truthy(tostring(err):find("unknown option 'no_such_option'", 1, true), tostring(err))
    end)
  end

  it("are all that the descriptors of the bindings know", function()
    local known = {}
    for class, entry in pairs(documented) do
      if class:find("Option") or class:find("Timeouts") then
        for name in pairs(entry.fields) do
          known[name] = true
        end
      end
    end
    local count = 0
    for _, path in ipairs(files_of("ls bindings/*.c")) do
      for name in read_file(path):gmatch('%.name = "([%w_]+)"%s*,%s*%.type') do
        count = count + 1
        assert.is_truthy(known[name], path .. ": option '" .. name .. "' is not documented")
      end
    end
    assert.is_true(count > 20)
  end)
end)
