/* dns_type_test.c: names of record types, both ways. */
#include "qn/dns_record.h"
#include "test.h"

TEST(names_become_numbers_in_any_case)
{
  CHECK_INT(qn_dns_type_number("A"), 1);
  CHECK_INT(qn_dns_type_number("mx"), 15);
  CHECK_INT(qn_dns_type_number("Aaaa"), 28);
  CHECK_INT(qn_dns_type_number("https"), 65);
  CHECK_INT(qn_dns_type_number("CAA"), 257);
  CHECK_INT(qn_dns_type_number("any"), 255);
  CHECK_INT(qn_dns_type_number("TYPE65"), 65);
  CHECK_INT(qn_dns_type_number("type65535"), 65535);
  CHECK_INT(qn_dns_type_number("Type1"), 1);
}

TEST(what_is_no_type_is_zero)
{
  static const char *const bad[] = {"",          " A",        "AA",         "TYPE",   "TYPE0",
                                    "TYPE65536", "TYPE99999", "TYPE100000", "TYPE-1", "TYPE1x",
                                    "15",        "AXFR",      "OPT",        NULL};
  for (size_t i = 0; bad[i] != NULL; i++) {
    TEST_ROUND("%s", bad[i]);
    CHECK_INT(qn_dns_type_number(bad[i]), 0);
  }
}

TEST(each_name_means_its_number)
{
  size_t n = 0;
  for (const char *name; (name = qn_dns_type_at(n)) != NULL; n++) {
    uint16_t number = qn_dns_type_number(name);
    CHECK(number != 0);
    CHECK_STR(qn_dns_type_name(number), name);
  }
  CHECK(n > 20);
  CHECK_NULL(qn_dns_type_at(n + 1000));
  CHECK_NULL(qn_dns_type_name(999));
  CHECK_NULL(qn_dns_type_name(0));
}
