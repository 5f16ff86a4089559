-- The row Q5-73 of the Qt coverage (QPasswordDigestor); docs/qt-coverage.md names it.

local qn = require "qn"
local crypto = qn.crypto

describe("QPasswordDigestor", function()
  it("Q5-73 deriveKeyPbkdf1, deriveKeyPbkdf2", function()
    local salt = assert(crypto.from_hex("78578E5A5D63CB06"))
    assert.equal("dc19847e05c64d2faf10ebfb4a3d2a20",
      crypto.to_hex(assert(crypto.pbkdf1("sha1", "password", salt, 1000, 16))))
    assert.equal("4b007901b765489abead49d926f721d065a429c1",
      crypto.to_hex(assert(crypto.pbkdf2("sha1", "password", "salt", 4096, 20))))
    for _, call in ipairs {
      { crypto.pbkdf1, "sha512", "p", "s", 1, 8 }, { crypto.pbkdf1, "md5", "p", "s", 1, 17 },
      { crypto.pbkdf2, "sha512", "p", "s", 0, 8 }, { crypto.pbkdf2, "none", "p", "s", 1, 8 },
    } do
      assert.is_false((pcall(table.unpack(call))))
    end
  end)
end)
