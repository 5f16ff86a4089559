/* dns_type.c: names of record types, as IANA lists them.
 *
 * More are named than decoded: the data of the others is given raw. Types that are no records but
 * ways to ask (AXFR, IXFR, TSIG, OPT) have no name here, but ANY.
 */
#include "qn/dns_record.h"

#include <string.h>

static const struct {
  const char *name;
  uint16_t number;
} types[] = {{"A", QN_DNS_A},
             {"NS", QN_DNS_NS},
             {"CNAME", QN_DNS_CNAME},
             {"SOA", QN_DNS_SOA},
             {"PTR", QN_DNS_PTR},
             {"HINFO", 13},
             {"MX", QN_DNS_MX},
             {"TXT", QN_DNS_TXT},
             {"RP", 17},
             {"AFSDB", 18},
             {"AAAA", QN_DNS_AAAA},
             {"LOC", 29},
             {"SRV", QN_DNS_SRV},
             {"NAPTR", QN_DNS_NAPTR},
             {"KX", 36},
             {"CERT", 37},
             {"DNAME", 39},
             {"DS", 43},
             {"SSHFP", 44},
             {"IPSECKEY", 45},
             {"RRSIG", 46},
             {"NSEC", 47},
             {"DNSKEY", 48},
             {"DHCID", 49},
             {"NSEC3", 50},
             {"NSEC3PARAM", 51},
             {"TLSA", QN_DNS_TLSA},
             {"SMIMEA", 53},
             {"HIP", 55},
             {"CDS", 59},
             {"CDNSKEY", 60},
             {"OPENPGPKEY", 61},
             {"CSYNC", 62},
             {"ZONEMD", 63},
             {"SVCB", QN_DNS_SVCB},
             {"HTTPS", QN_DNS_HTTPS},
             {"SPF", 99},
             {"EUI48", 108},
             {"EUI64", 109},
             {"ANY", QN_DNS_ANY},
             {"URI", 256},
             {"CAA", QN_DNS_CAA}};

static bool same(const char *a, const char *b, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    char c = a[i] >= 'a' && a[i] <= 'z' ? (char)(a[i] - 0x20) : a[i];
    if (c != b[i]) {
      return false;
    }
  }
  return true;
}

uint16_t qn_dns_type_number(const char *text)
{
  size_t size = strnlen(text, 16);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (strlen(types[i].name) == size && same(text, types[i].name, size)) {
      return types[i].number;
    }
  }
  uint32_t number = 0; /* RFC 3597 section 5 */
  if (size < 5 || size > 9 || !same(text, "TYPE", 4)) {
    return 0;
  }
  for (size_t i = 4; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') {
      return 0;
    }
    number = number * 10 + (uint32_t)(text[i] - '0');
  }
  return number <= 65535 ? (uint16_t)number : 0;
}

const char *qn_dns_type_name(uint16_t type)
{
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (types[i].number == type) {
      return types[i].name;
    }
  }
  return NULL;
}

const char *qn_dns_type_at(size_t i)
{
  return i < sizeof types / sizeof *types ? types[i].name : NULL;
}
