---@meta

---@alias qn.ErrorKind
---| "timeout" # a time limit has passed; `phase` says what was being waited for
---| "refused" # nobody listens there
---| "reset" # the peer has ended the connection abruptly
---| "unreachable" # no way to the address
---| "closed" # the handle was closed, shut down, or never connected
---| "eof" # the stream ended inside an item; `partial` holds the rest
---| "dns" # the name could not be looked up
---| "tls" # a TLS failure
---| "protocol" # the peer breaks the rules
---| "http" # an HTTP failure
---| "limit" # a named limit, or one of the system, was exceeded
---| "denied" # no permission
---| "busy" # in use by another task
---| "exists" # the address or file is taken
---| "proxy" # a proxy failure
---| "auth" # credentials were refused
---| "invalid" # the arguments make no sense to the system
---| "unsupported" # not possible here
---| "not_yieldable" # a wait where nothing can wait; the message says what to use instead
---| "io" # anything else of the system

---What expected failures return as a second value, and what `assert` throws. A read-only value;
---`tostring` gives one line with op, peer, text and code; `..` works.
---
---Qt rows: ABS-06, QIO-14, WEAK-29.
---@class qn.Error
---@field kind qn.ErrorKind one of a closed set: what a program decides by
---@field code? string the fine-grained code: "ECONNREFUSED", "EAI_NONAME", "TIMEOUT", "LIMIT" ...
---@field message string in words, without op and peer
---@field op? string what failed: "connect", "read", "write", "accept", "listen" ...
---@field peer? string the other side: "127.0.0.1:80", or a path
---@field phase? string of a timeout: "dns", "connect", "tls", "read", "write", "idle", "accept" ...; "tls" of any failed handshake
---@field partial? string|integer bytes read before an `eof`; number of bytes written before a failed write
---@field temporary boolean whether the same thing may succeed later
---@field alert? string of a TLS handshake: the alert that was received or sent: "handshake_failure" ...
---@field errors? qn.Error[] of a TLS handshake: all that is wrong with the peer's certificates
---@field certificate? qn.Certificate of one of those: the one that is meant
---@field depth? integer of one of those: 0 = the peer's own certificate, 1 = its issuer ...
---@field cause? any what led to it
---@field attempts? qn.Error[] of a connect: what became of each address, in the order of the attempts
---@operator concat(any): string
local Error = {}

---A copy of the fields as a table, for loggers.
---@return table<string, any>
function Error:fields() end

---What cancellation throws: check it with `qn.is_cancelled`, clean up, and throw it again.
---@class qn.Cancelled
---@field message string
---@field reason? any what `task:cancel` was given
---@operator concat(any): string
local Cancelled = {}
