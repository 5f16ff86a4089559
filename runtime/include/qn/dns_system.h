/* qn/dns_system.h: what the system says about its own name and its DNS servers. Nothing waits. */
#ifndef QN_DNS_SYSTEM_H
#define QN_DNS_SYSTEM_H

#include "qn/addr.h"

#define QN_SYSTEM_NAME 256  /* bytes that suffice for a name, with its NUL */
#define QN_SYSTEM_SERVERS 3 /* as many as resolv.conf(5) has */

/* gethostname(2); the length without NUL. */
QN_API size_t qn_system_host_name(char out[QN_SYSTEM_NAME]);
/* The first domain of resolv.conf, else what follows the first dot of the host's name; "". */
QN_API size_t qn_system_domain_name(char out[QN_SYSTEM_NAME]);
/* The servers of a file; NULL: /etc/resolv.conf. Never none: 127.0.0.1 then. */
QN_API size_t qn_system_dns_servers(const char *path, qn_addr_t out[QN_SYSTEM_SERVERS]);

#endif
