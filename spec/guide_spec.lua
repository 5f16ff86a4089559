-- The snippets of the guide pages run and print what the pages quote.

local snippets = require "spec.support.snippets"

local pages <const> = { "tasks-and-failure", "streams", "servers", "embedding", "program", "addresses", "datagrams", "urls",
  "connecting", "names", "crypto", "tls", "tls-server", "dtls", "certificates" }

describe("docs/guide", function()
  for _, page in ipairs(pages) do
    local path = "docs/guide/" .. page .. ".md"
    snippets.define(path, it)

    it(path .. " quotes what each snippet prints", function()
      local list = snippets.of(path)
      assert.is_true(#list > 0)
      for _, snippet in ipairs(list) do
        assert.is_truthy(snippet.out or snippet.err ~= "", path .. ":" .. snippet.line)
      end
    end)
  end
end)
