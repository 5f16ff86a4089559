/* Fuzz target of the address text codec: strict and loose IPv4, IPv6, subnets.
 *
 * What is accepted must print as text that is accepted again and means the same; the strict parsers
 * must agree with the system's; a subnet must have no bit behind its prefix.
 * covers: runtime/codec/ip.c runtime/codec/ip_subnet.c runtime/codec/ip_class.c
 */
#include "qn/ip.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool what)
{
  if (!what) {
    __builtin_trap();
  }
}

static void check_ip4(const char *text, size_t size, const char *whole)
{
  uint8_t ip[4], again[4], system[4];
  char shown[QN_IP_TEXT];
  bool strict = qn_ip4_parse(text, size, ip);
  must(strict == (strlen(whole) == size && inet_pton(AF_INET, whole, system) == 1));
  if (strict) {
    size_t n = qn_ip4_print(ip, shown);
    must(memcmp(ip, system, 4) == 0 && n == size && memcmp(shown, text, n) == 0);
    must(qn_ip4_class(ip) != 0);
  }
  if (qn_ip4_parse_loose(text, size, again)) {
    struct in_addr in;
    must(inet_aton(whole, &in) == 1 && memcmp(&in, again, 4) == 0);
  } else {
    must(!strict);
  }
}

static void check_ip6(const char *text, size_t size, const char *whole)
{
  uint8_t ip[16], again[16], system[16];
  char shown[QN_IP_TEXT];
  bool is = qn_ip6_parse(text, size, ip);
  must(is == (strlen(whole) == size && inet_pton(AF_INET6, whole, system) == 1));
  if (is) {
    must(memcmp(ip, system, 16) == 0 && qn_ip6_class(ip) != 0);
    for (int mixed = 0; mixed < 2; mixed++) {
      size_t n = qn_ip6_print(ip, shown, mixed != 0);
      must(n < QN_IP_TEXT && n == strlen(shown));
      must(qn_ip6_parse(shown, n, again) && memcmp(ip, again, 16) == 0);
    }
  }
}

static void check_subnet(const char *text, size_t size)
{
  uint8_t net[16], again[16];
  char shown[QN_IP_TEXT + 4];
  int bits = -1, bits_again = -1;
  int family = qn_subnet_parse(text, size, net, &bits);
  if (family == 0) {
    must(bits == -1);
    return;
  }
  int width = family == 4 ? 32 : 128;
  must(bits >= 0 && bits <= width);
  for (int i = bits; i < width; i++) {
    must((net[i / 8] >> (7 - i % 8) & 1) == 0);
  }
  size_t n = family == 4 ? qn_ip4_print(net, shown) : qn_ip6_print(net, shown, true);
  shown[n++] = '/';
  for (int div = 100; div > 0; div /= 10) {
    if (bits >= div || div == 1) {
      shown[n++] = (char)('0' + bits / div % 10);
    }
  }
  must(qn_subnet_parse(shown, n, again, &bits_again) == family && bits == bits_again);
  must(memcmp(net, again, family == 4 ? 4 : 16) == 0);
  must(qn_ip_same_net(net, again, width));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *exact = malloc(size > 0 ? size : 1); /* without a NUL: a sanitizer sees the end */
  char *whole = malloc(size + 1);            /* for the system */
  if (exact != NULL && whole != NULL) {
    if (size > 0) {
      memcpy(exact, data, size);
      memcpy(whole, data, size);
    }
    whole[size] = '\0';
    check_ip4(exact, size, whole);
    check_ip6(exact, size, whole);
    check_subnet(exact, size);
  }
  free(exact);
  free(whole);
  return 0;
}
