/*
 * The table of error classes: names, texts, and numbers, which programs and bindings may rely on.
 * They are those of Qt's QAbstractSocket::SocketError plus one, except for the two at the ends.
 */
#include <string.h>

#include <check.h>

#include <berth/error.h>

/* Qt's numbers, from its documentation. */
static const struct {
    berth_error error;
    int in_qt;
    const char *name;
} classes[] = {
    {BERTH_ERROR_CONNECTION_REFUSED, 0, "CONNECTION_REFUSED"},
    {BERTH_ERROR_REMOTE_HOST_CLOSED, 1, "REMOTE_HOST_CLOSED"},
    {BERTH_ERROR_HOST_NOT_FOUND, 2, "HOST_NOT_FOUND"},
    {BERTH_ERROR_SOCKET_ACCESS, 3, "SOCKET_ACCESS"},
    {BERTH_ERROR_SOCKET_RESOURCE, 4, "SOCKET_RESOURCE"},
    {BERTH_ERROR_SOCKET_TIMEOUT, 5, "SOCKET_TIMEOUT"},
    {BERTH_ERROR_DATAGRAM_TOO_LARGE, 6, "DATAGRAM_TOO_LARGE"},
    {BERTH_ERROR_NETWORK, 7, "NETWORK"},
    {BERTH_ERROR_ADDRESS_IN_USE, 8, "ADDRESS_IN_USE"},
    {BERTH_ERROR_ADDRESS_NOT_AVAILABLE, 9, "ADDRESS_NOT_AVAILABLE"},
    {BERTH_ERROR_UNSUPPORTED_OPERATION, 10, "UNSUPPORTED_OPERATION"},
    {BERTH_ERROR_UNFINISHED_OPERATION, 11, "UNFINISHED_OPERATION"},
    {BERTH_ERROR_PROXY_AUTHENTICATION_REQUIRED, 12, "PROXY_AUTHENTICATION_REQUIRED"},
    {BERTH_ERROR_TLS_HANDSHAKE_FAILED, 13, "TLS_HANDSHAKE_FAILED"},
    {BERTH_ERROR_PROXY_CONNECTION_REFUSED, 14, "PROXY_CONNECTION_REFUSED"},
    {BERTH_ERROR_PROXY_CONNECTION_CLOSED, 15, "PROXY_CONNECTION_CLOSED"},
    {BERTH_ERROR_PROXY_CONNECTION_TIMEOUT, 16, "PROXY_CONNECTION_TIMEOUT"},
    {BERTH_ERROR_PROXY_NOT_FOUND, 17, "PROXY_NOT_FOUND"},
    {BERTH_ERROR_PROXY_PROTOCOL, 18, "PROXY_PROTOCOL"},
    {BERTH_ERROR_OPERATION, 19, "OPERATION"},
    {BERTH_ERROR_TLS_INTERNAL, 20, "TLS_INTERNAL"},
    {BERTH_ERROR_TLS_INVALID_USER_DATA, 21, "TLS_INVALID_USER_DATA"},
    {BERTH_ERROR_TEMPORARY, 22, "TEMPORARY"},
};

#define CLASS_COUNT (sizeof(classes) / sizeof(classes[0]))

START_TEST(number_is_one_more_than_in_qt)
{
    ck_assert_int_eq((int)classes[_i].error, classes[_i].in_qt + 1);
    ck_assert_str_eq(berth_error_name(classes[_i].error), classes[_i].name);
}
END_TEST

START_TEST(both_ends)
{
    ck_assert_int_eq(BERTH_ERROR_NONE, 0);
    ck_assert_int_eq(BERTH_ERROR_UNKNOWN, 24);
    ck_assert_str_eq(berth_error_name(BERTH_ERROR_NONE), "NONE");
    ck_assert_str_eq(berth_error_text(BERTH_ERROR_NONE), "no error");
    ck_assert_str_eq(berth_error_name(BERTH_ERROR_UNKNOWN), "UNKNOWN");
    ck_assert_str_eq(berth_error_text(BERTH_ERROR_ADDRESS_IN_USE), "address already in use");
}
END_TEST

/* No class is missing above, and none shares its name or text with another. */
START_TEST(every_class_has_its_own_words)
{
    size_t count = 0;
#define COUNT(name, value, text) count++;
    BERTH_ERROR_LIST(COUNT)
#undef COUNT
    ck_assert_uint_eq(count, CLASS_COUNT + 2);
    for (int i = 0; i <= BERTH_ERROR_UNKNOWN; i++) {
        ck_assert_uint_gt(strlen(berth_error_text((berth_error)i)), 0);
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(berth_error_name((berth_error)i), berth_error_name((berth_error)j));
            ck_assert_str_ne(berth_error_text((berth_error)i), berth_error_text((berth_error)j));
        }
    }
}
END_TEST

START_TEST(no_class)
{
    static const int values[] = {25, 1000, 0x7fffffff};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        ck_assert_str_eq(berth_error_name((berth_error)values[i]), "UNKNOWN");
        ck_assert_str_eq(berth_error_text((berth_error)values[i]), "unknown error");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("error");
    TCase *tests = tcase_create("error");
    tcase_add_loop_test(tests, number_is_one_more_than_in_qt, 0, (int)CLASS_COUNT);
    tcase_add_test(tests, both_ends);
    tcase_add_test(tests, every_class_has_its_own_words);
    tcase_add_test(tests, no_class);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
