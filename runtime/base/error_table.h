/* error_table.h: the system's and the resolver's errors: name, kind, temporary?, text.
 *
 * Included by error.c only. The names are libuv's (a unit test compares), the texts are ours: lower
 * case, no full stop, said from the user's side. A new kind of failure goes here, not into callers.
 */
#ifndef QN_ERROR_TABLE_H
#define QN_ERROR_TABLE_H

/* X(errno constant, kind, temporary, text) */
#define QN__SYSTEM_ERRORS(X)                                                          \
  X(E2BIG, INVALID, false, "the argument list is too long")                           \
  X(EACCES, DENIED, false, "permission denied")                                       \
  X(EADDRINUSE, EXISTS, true, "the address is already in use")                        \
  X(EADDRNOTAVAIL, UNREACHABLE, true, "the address is not available on this machine") \
  X(EAFNOSUPPORT, INVALID, false, "the address family is not supported")              \
  X(EAGAIN, BUSY, true, "the resource is temporarily unavailable")                    \
  X(EALREADY, BUSY, true, "the connection is already being made")                     \
  X(EBADF, INVALID, false, "bad file descriptor")                                     \
  X(EBUSY, BUSY, true, "the resource is busy")                                        \
  X(ECANCELED, CLOSED, false, "the operation was cancelled")                          \
  X(ECHILD, INVALID, false, "no child process")                                       \
  X(ECONNABORTED, RESET, true, "the connection was aborted")                          \
  X(ECONNREFUSED, REFUSED, true, "connection refused")                                \
  X(ECONNRESET, RESET, true, "connection reset by peer")                              \
  X(EDEADLK, BUSY, true, "the resource would deadlock")                               \
  X(EDESTADDRREQ, INVALID, false, "a destination address is required")                \
  X(EDOM, INVALID, false, "the argument is outside the domain")                       \
  X(EDQUOT, LIMIT, true, "the disk quota is exceeded")                                \
  X(EEXIST, EXISTS, false, "the file already exists")                                 \
  X(EFAULT, INVALID, false, "bad address")                                            \
  X(EFBIG, LIMIT, false, "the file is too large")                                     \
  X(EHOSTDOWN, UNREACHABLE, true, "the host is down")                                 \
  X(EHOSTUNREACH, UNREACHABLE, true, "the host is unreachable")                       \
  X(EILSEQ, INVALID, false, "an illegal byte sequence")                               \
  X(EINPROGRESS, BUSY, true, "the operation is in progress")                          \
  X(EINTR, IO, true, "the call was interrupted")                                      \
  X(EINVAL, INVALID, false, "invalid argument")                                       \
  X(EIO, IO, false, "input or output error")                                          \
  X(EISCONN, INVALID, false, "the socket is already connected")                       \
  X(EISDIR, IO, false, "it is a directory")                                           \
  X(ELOOP, IO, false, "too many symbolic links")                                      \
  X(EMFILE, LIMIT, true, "too many open files")                                       \
  X(EMLINK, LIMIT, false, "too many links")                                           \
  X(EMSGSIZE, LIMIT, false, "the message is too long")                                \
  X(ENAMETOOLONG, INVALID, false, "the name is too long")                             \
  X(ENETDOWN, UNREACHABLE, true, "the network is down")                               \
  X(ENETRESET, RESET, true, "the network dropped the connection")                     \
  X(ENETUNREACH, UNREACHABLE, true, "the network is unreachable")                     \
  X(ENFILE, LIMIT, true, "too many open files in the system")                         \
  X(ENOBUFS, LIMIT, true, "no buffer space is available")                             \
  X(ENODEV, IO, false, "no such device")                                              \
  X(ENOENT, IO, false, "no such file or directory")                                   \
  X(ENOEXEC, INVALID, false, "the file is not an executable")                         \
  X(ENOLCK, LIMIT, true, "no locks are available")                                    \
  X(ENOMEM, LIMIT, true, "out of memory")                                             \
  X(ENONET, UNREACHABLE, false, "the machine is not on the network")                  \
  X(ENOPROTOOPT, UNSUPPORTED, false, "the protocol option is not available")          \
  X(ENOSPC, LIMIT, true, "no space is left on the device")                            \
  X(ENOSYS, UNSUPPORTED, false, "the system does not have this function")             \
  X(ENOTCONN, CLOSED, false, "the socket is not connected")                           \
  X(ENOTDIR, IO, false, "it is not a directory")                                      \
  X(ENOTEMPTY, EXISTS, false, "the directory is not empty")                           \
  X(ENOTSOCK, INVALID, false, "the descriptor is not a socket")                       \
  X(ENOTSUP, UNSUPPORTED, false, "the operation is not supported")                    \
  X(ENOTTY, INVALID, false, "the descriptor is not suitable for this operation")      \
  X(ENXIO, IO, false, "no such device or address")                                    \
  X(EOVERFLOW, LIMIT, false, "the value is too large")                                \
  X(EPERM, DENIED, false, "the operation is not permitted")                           \
  X(EPIPE, RESET, false, "the peer closed the connection")                            \
  X(EPROTO, PROTOCOL, false, "protocol error")                                        \
  X(EPROTONOSUPPORT, UNSUPPORTED, false, "the protocol is not supported")             \
  X(EPROTOTYPE, INVALID, false, "the protocol does not fit the socket")               \
  X(ERANGE, INVALID, false, "the result is out of range")                             \
  X(EREMOTEIO, IO, false, "remote input or output error")                             \
  X(EROFS, DENIED, false, "the file system is read-only")                             \
  X(ESHUTDOWN, CLOSED, false, "the transport endpoint was shut down")                 \
  X(ESOCKTNOSUPPORT, UNSUPPORTED, false, "the socket type is not supported")          \
  X(ESPIPE, INVALID, false, "the descriptor cannot seek")                             \
  X(ESRCH, IO, false, "no such process")                                              \
  X(ESTALE, IO, false, "the file handle is stale")                                    \
  X(ETIMEDOUT, TIMEOUT, true, "the connection timed out")                             \
  X(ETXTBSY, BUSY, true, "the program file is busy")                                  \
  X(EXDEV, INVALID, false, "the link would cross devices")

/* X(number, name, kind, temporary, text): what has no errno; the numbers are libuv's. */
#define QN__LOOKUP_ERRORS(X)                                                               \
  X(-3000, "EAI_ADDRFAMILY", DNS, false, "the name has no address of this family")         \
  X(-3001, "EAI_AGAIN", DNS, true, "temporary failure in name resolution")                 \
  X(-3002, "EAI_BADFLAGS", DNS, false, "bad flags for the name look-up")                   \
  X(-3003, "EAI_CANCELED", DNS, false, "the name look-up was cancelled")                   \
  X(-3004, "EAI_FAIL", DNS, false, "permanent failure in name resolution")                 \
  X(-3005, "EAI_FAMILY", DNS, false, "the address family is not supported by the look-up") \
  X(-3006, "EAI_MEMORY", DNS, true, "out of memory in the name look-up")                   \
  X(-3007, "EAI_NODATA", DNS, false, "the name has no address")                            \
  X(-3008, "EAI_NONAME", DNS, false, "the name or the service is not known")               \
  X(-3009, "EAI_OVERFLOW", DNS, false, "the answer of the name look-up is too long")       \
  X(-3010, "EAI_SERVICE", DNS, false, "the service is not available for this socket type") \
  X(-3011, "EAI_SOCKTYPE", DNS, false, "the socket type is not supported by the look-up")  \
  X(-3013, "EAI_BADHINTS", DNS, false, "bad hints for the name look-up")                   \
  X(-3014, "EAI_PROTOCOL", DNS, false, "the name look-up's protocol is not known")         \
  X(-4028, "EFTYPE", IO, false, "the file has the wrong type")                             \
  X(-4080, "ECHARSET", INVALID, false, "a character cannot be converted")                  \
  X(-4094, "UNKNOWN", IO, false, "unknown error")                                          \
  X(-4095, "EOF", EOF, false, "the stream ended")

/* X(number, NAME, text): alerts of TLS that the peer has sent; QN_E_ALERT(number). */
#define QN__ALERTS(X)                                                                           \
  X(0, "ALERT_CLOSE_NOTIFY", "the peer sent TLS alert: the peer closes")                        \
  X(10, "ALERT_UNEXPECTED_MESSAGE", "the peer sent TLS alert: unexpected message")              \
  X(20, "ALERT_BAD_RECORD_MAC", "the peer sent TLS alert: bad record mac")                      \
  X(21, "ALERT_DECRYPTION_FAILED", "the peer sent TLS alert: decryption failed")                \
  X(22, "ALERT_RECORD_OVERFLOW", "the peer sent TLS alert: record overflow")                    \
  X(30, "ALERT_DECOMPRESSION_FAILURE", "the peer sent TLS alert: decompression failure")        \
  X(40, "ALERT_HANDSHAKE_FAILURE", "the peer sent TLS alert: handshake failure")                \
  X(41, "ALERT_NO_CERTIFICATE", "the peer sent TLS alert: no certificate")                      \
  X(42, "ALERT_BAD_CERTIFICATE", "the peer sent TLS alert: bad certificate")                    \
  X(43, "ALERT_UNSUPPORTED_CERTIFICATE", "the peer sent TLS alert: unsupported certificate")    \
  X(44, "ALERT_CERTIFICATE_REVOKED", "the peer sent TLS alert: certificate revoked")            \
  X(45, "ALERT_CERTIFICATE_EXPIRED", "the peer sent TLS alert: certificate expired")            \
  X(46, "ALERT_CERTIFICATE_UNKNOWN", "the peer sent TLS alert: certificate unknown")            \
  X(47, "ALERT_ILLEGAL_PARAMETER", "the peer sent TLS alert: illegal parameter")                \
  X(48, "ALERT_UNKNOWN_CA", "the peer sent TLS alert: unknown ca")                              \
  X(49, "ALERT_ACCESS_DENIED", "the peer sent TLS alert: access denied")                        \
  X(50, "ALERT_DECODE_ERROR", "the peer sent TLS alert: decode error")                          \
  X(51, "ALERT_DECRYPT_ERROR", "the peer sent TLS alert: decrypt error")                        \
  X(60, "ALERT_EXPORT_RESTRICTION", "the peer sent TLS alert: export restriction")              \
  X(70, "ALERT_PROTOCOL_VERSION", "the peer sent TLS alert: protocol version")                  \
  X(71, "ALERT_INSUFFICIENT_SECURITY", "the peer sent TLS alert: insufficient security")        \
  X(80, "ALERT_INTERNAL_ERROR", "the peer sent TLS alert: internal error")                      \
  X(86, "ALERT_INAPPROPRIATE_FALLBACK", "the peer sent TLS alert: inappropriate fallback")      \
  X(90, "ALERT_USER_CANCELED", "the peer sent TLS alert: user canceled")                        \
  X(100, "ALERT_NO_RENEGOTIATION", "the peer sent TLS alert: no renegotiation")                 \
  X(109, "ALERT_MISSING_EXTENSION", "the peer sent TLS alert: missing extension")               \
  X(110, "ALERT_UNSUPPORTED_EXTENSION", "the peer sent TLS alert: unsupported extension")       \
  X(111, "ALERT_CERTIFICATE_UNOBTAINABLE", "the peer sent TLS alert: certificate unobtainable") \
  X(112, "ALERT_UNRECOGNIZED_NAME", "the peer sent TLS alert: unrecognized name")               \
  X(113, "ALERT_BAD_CERTIFICATE_STATUS_RESPONSE",                                               \
    "the peer sent TLS alert: bad certificate status response")                                 \
  X(114, "ALERT_BAD_CERTIFICATE_HASH_VALUE",                                                    \
    "the peer sent TLS alert: bad certificate hash value")                                      \
  X(115, "ALERT_UNKNOWN_PSK_IDENTITY", "the peer sent TLS alert: unknown psk identity")         \
  X(116, "ALERT_CERTIFICATE_REQUIRED", "the peer sent TLS alert: certificate required")         \
  X(120, "ALERT_NO_APPLICATION_PROTOCOL", "the peer sent TLS alert: no application protocol")

#endif
