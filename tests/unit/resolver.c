/*
 * Lookups: the address in what c-ares returns, scope included. What lookups do is in
 * tests/behaviour/connecting_by_name.c.
 */
#include <arpa/inet.h>
#include <check.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "loop/resolver.h"

static berth_address address_of(const char *text, uint32_t scope)
{
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_scope_id = scope};
    berth_address address;
    ck_assert_int_eq(inet_pton(AF_INET6, text, &name.sin6_addr), 1);
    ck_assert(berth__lookup_address((const struct sockaddr *)&name, &address));
    return address;
}

START_TEST(link_local_keeps_its_scope)
{
    char name[IF_NAMESIZE];
    ck_assert_ptr_nonnull(if_indextoname(1, name)); /* the loopback of every namespace */
    berth_address address = address_of("fe80::1", 1);
    ck_assert_str_eq(address.scope, name);
    char text[BERTH_ADDRESS_TEXT_SIZE];
    berth_address parsed;
    ck_assert(berth_address_parse(berth_address_format(address, text, sizeof text), &parsed));
    ck_assert(berth_address_equal(address, parsed));
}
END_TEST

START_TEST(scope_without_a_name_is_a_number)
{
    ck_assert_str_eq(address_of("fe80::1", 4000000000u).scope, "4000000000");
}
END_TEST

START_TEST(other_addresses_have_no_scope)
{
    ck_assert_str_eq(address_of("2001:db8::1", 0).scope, "");
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    berth_address address;
    ck_assert(berth__lookup_address((const struct sockaddr *)&name, &address));
    ck_assert(berth_address_equal(address, BERTH_ADDRESS_LOOPBACK));
}
END_TEST

START_TEST(other_families_are_refused)
{
    struct sockaddr name = {.sa_family = AF_UNIX};
    berth_address address;
    ck_assert(!berth__lookup_address(&name, &address));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resolve");
    TCase *tests = tcase_create("resolve");
    tcase_add_test(tests, link_local_keeps_its_scope);
    tcase_add_test(tests, scope_without_a_name_is_a_number);
    tcase_add_test(tests, other_addresses_have_no_scope);
    tcase_add_test(tests, other_families_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
