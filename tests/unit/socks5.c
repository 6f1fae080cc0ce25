/*
 * The SOCKS5 handshake: every exchange whole and cut at every byte, what it may read at each
 * moment, every reply code, and what is not SOCKS5.
 *
 * spec: S6.10 S6.11 S6.12
 */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "handshake/refusal.h"
#include "handshake/socks5.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static berth__socks5 socks5;
static uint8_t sent[1024]; /* all output so far */
static size_t sent_size;

static void send_all(void)
{
    uint8_t output[BERTH__SOCKS5_OUTPUT_SIZE];
    size_t size = berth__socks5_output(&socks5, output);
    ck_assert_uint_le(size, sizeof output);
    ck_assert_uint_le(sent_size + size, sizeof sent);
    memcpy(sent + sent_size, output, size);
    sent_size += size;
}

/* Gives the input in pieces of at most `cut` bytes until the end of the handshake; returns how many
 * were used. Never offers more than is wanted if `exact`. */
static size_t give(const uint8_t *data, size_t size, size_t cut, bool exact)
{
    size_t used = 0;
    for (;;) {
        send_all();
        size_t part = size - used < cut ? size - used : cut;
        size_t wanted = berth__socks5_wanted(&socks5);
        if (exact && part > wanted)
            part = wanted;
        uint8_t *copy = malloc(part + 1);
        memcpy(copy, data + used, part);
        size_t taken = berth__socks5_input(&socks5, copy, part);
        free(copy);
        ck_assert_uint_le(taken, part);
        if (exact)
            ck_assert_uint_eq(taken, part);
        used += taken;
        if (taken == 0 && socks5.step != BERTH__HANDSHAKE_SEND)
            return used;
    }
}

static berth__socks5_request connect_to(const char *name)
{
    return (berth__socks5_request){.command = BERTH__SOCKS5_CONNECT,
                                   .name = name,
                                   .address = berth_address_ipv4(0xc0000201),
                                   .port = 0x1f90};
}

static void begin(berth__socks5_request request)
{
    sent_size = 0;
    berth__socks5_begin(&socks5, &request);
}

/* Runs an exchange for every size of pieces; what lies behind it must be left. */
static void exchange(berth__socks5_request request, const uint8_t *input, size_t size,
                     const uint8_t *expected, size_t expected_size)
{
    uint8_t more[600];
    memcpy(more, input, size);
    memcpy(more + size, "more", 4);
    for (size_t early = 0; early < size; early++) {
        begin(request);
        ck_assert_uint_eq(give(input, early, SIZE_MAX, false), early);
        ck_assert_int_eq(socks5.step, BERTH__HANDSHAKE_RECEIVE);
        ck_assert_uint_gt(berth__socks5_wanted(&socks5), 0);
    }
    for (size_t cut = 1; cut <= size + 4; cut++) {
        for (int exact = 0; exact < 2; exact++) {
            begin(request);
            ck_assert_uint_eq(give(more, size + 4, cut, exact), size);
            ck_assert_int_eq(socks5.step, BERTH__HANDSHAKE_DONE);
            ck_assert_uint_eq(sent_size, expected_size);
            ck_assert_mem_eq(sent, expected, expected_size);
        }
    }
}

START_TEST(connect_by_address)
{
    exchange(connect_to(NULL),
             BYTES("\5\0"
                   "\5\0\0\1\x7f\0\0\1\4\xd2"),
             BYTES("\5\1\0"
                   "\5\1\0\1\xc0\0\2\1\x1f\x90"));
    ck_assert_uint_eq(socks5.replied_port, 1234);
    ck_assert(berth_address_equal(socks5.replied, BERTH_ADDRESS_LOOPBACK));
}
END_TEST

START_TEST(connect_by_ipv6_address)
{
    berth__socks5_request request = connect_to(NULL);
    request.address = BERTH_ADDRESS_LOOPBACK_IPV6;
    exchange(request,
             BYTES("\5\0"
                   "\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\7"),
             BYTES("\5\1\0"
                   "\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x1f\x90"));
    ck_assert_uint_eq(socks5.replied_port, 7);
    ck_assert(berth_address_equal(socks5.replied, BERTH_ADDRESS_LOOPBACK_IPV6));
}
END_TEST

START_TEST(connect_by_name)
{
    exchange(connect_to("host"),
             BYTES("\5\0"
                   "\5\0\0\3\7gateway\0\1"),
             BYTES("\5\1\0"
                   "\5\1\0\3\4host\x1f\x90"));
    ck_assert(berth_address_is_null(socks5.replied));
    ck_assert_uint_eq(socks5.replied_port, 1);
    exchange(connect_to("host"),
             BYTES("\5\0"
                   "\5\0\0\3\0\0\2"),
             BYTES("\5\1\0"
                   "\5\1\0\3\4host\x1f\x90"));
    ck_assert_uint_eq(socks5.replied_port, 2);
}
END_TEST

START_TEST(longest_name_in_the_reply)
{
    uint8_t input[2 + 5 + 255 + 2] = {5, 0, 5, 0, 0, 3, 255};
    memset(input + 7, 'n', 255);
    exchange(connect_to("h"), input, sizeof input,
             BYTES("\5\1\0"
                   "\5\1\0\3\1h\x1f\x90"));
}
END_TEST

START_TEST(user_and_password)
{
    berth__socks5_request request = connect_to("h");
    request.user = "me";
    request.password = "secret";
    const uint8_t *reply = (const uint8_t *)"\5\2"
                                            "\1\0"
                                            "\5\0\0\1\0\0\0\0\0\0";
    exchange(request, reply, 14,
             BYTES("\5\1\2"
                   "\1\2me\6secret"
                   "\5\1\0\3\1h\x1f\x90"));
    /* Either alone is enough to offer them; a proxy that wants none may say so. */
    request.user = NULL;
    exchange(request, reply, 14,
             BYTES("\5\1\2"
                   "\1\0\6secret"
                   "\5\1\0\3\1h\x1f\x90"));
    exchange(request,
             BYTES("\5\0"
                   "\5\0\0\1\0\0\0\0\0\0"),
             BYTES("\5\1\2"
                   "\5\1\0\3\1h\x1f\x90"));
}
END_TEST

START_TEST(bind_and_its_two_replies)
{
    berth__socks5_request request = {
        .command = BERTH__SOCKS5_BIND, .address = BERTH_ADDRESS_ANY, .port = 0};
    const uint8_t *reply = (const uint8_t *)"\5\0"
                                            "\5\0\0\1\xc0\0\2\2\x23\x28"
                                            "\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\7";
    exchange(request, reply, 34,
             BYTES("\5\1\0"
                   "\5\2\0\1\0\0\0\0\0\0"));
    ck_assert_uint_eq(socks5.replied_port, 7);

    /* Both replies in one piece: the first is shown before the second is read. */
    begin(request);
    send_all();
    berth__socks5_input(&socks5, reply, 2);
    send_all();
    ck_assert_uint_eq(berth__socks5_input(&socks5, reply + 2, 32), 10);
    ck_assert(socks5.bound);
    ck_assert_int_eq(socks5.step, BERTH__HANDSHAKE_RECEIVE);
    ck_assert_uint_eq(socks5.replied_port, 9000);
    ck_assert(berth_address_equal(socks5.replied, berth_address_ipv4(0xc0000202)));
    ck_assert_uint_eq(berth__socks5_input(&socks5, reply + 12, 22), 22);
    ck_assert_int_eq(socks5.step, BERTH__HANDSHAKE_DONE);
}
END_TEST

static int refusal_of(berth__socks5_request request, const uint8_t *input, size_t size)
{
    int refusal = 0;
    for (size_t cut = 1; cut <= size; cut++) {
        begin(request);
        give(input, size, cut, false);
        ck_assert_int_eq(socks5.step, BERTH__HANDSHAKE_REFUSED);
        ck_assert(refusal == 0 || refusal == socks5.refusal);
        refusal = socks5.refusal;
        ck_assert(berth__is_refusal(refusal));
        ck_assert_uint_eq(berth__socks5_wanted(&socks5), 0);
        ck_assert_uint_eq(berth__socks5_input(&socks5, input, size), 0);
    }
    return refusal;
}

START_TEST(every_reply_code)
{
    static const struct {
        berth_error class;
        berth_error class_by_name;
    } meanings[] = {
        [1] = {BERTH_ERROR_NETWORK, BERTH_ERROR_HOST_NOT_FOUND},
        [2] = {BERTH_ERROR_SOCKET_ACCESS, BERTH_ERROR_HOST_NOT_FOUND},
        [3] = {BERTH_ERROR_NETWORK, BERTH_ERROR_NETWORK},
        [4] = {BERTH_ERROR_HOST_NOT_FOUND, BERTH_ERROR_HOST_NOT_FOUND},
        [5] = {BERTH_ERROR_CONNECTION_REFUSED, BERTH_ERROR_CONNECTION_REFUSED},
        [6] = {BERTH_ERROR_NETWORK, BERTH_ERROR_NETWORK},
        [7] = {BERTH_ERROR_UNSUPPORTED_OPERATION, BERTH_ERROR_UNSUPPORTED_OPERATION},
        [8] = {BERTH_ERROR_UNSUPPORTED_OPERATION, BERTH_ERROR_UNSUPPORTED_OPERATION},
    };
    for (unsigned code = 1; code < 256; code++) {
        uint8_t input[4] = {5, 0, 5, (uint8_t)code};
        char text[BERTH__REFUSAL_TEXT_SIZE];
        int refusal = refusal_of(connect_to(NULL), input, sizeof input);
        int by_name = refusal_of(connect_to("host"), input, sizeof input);
        ck_assert(berth__refusal_is_of_target(refusal));
        berth_error class = code < 9 ? meanings[code].class : BERTH_ERROR_UNKNOWN;
        berth_error class_by_name = code < 9 ? meanings[code].class_by_name : BERTH_ERROR_UNKNOWN;
        ck_assert_int_eq(berth__refusal_class(refusal), class);
        ck_assert_int_eq(berth__refusal_class(by_name), class_by_name);
        berth__refusal_reason(refusal, text, sizeof text);
        ck_assert_uint_gt(strlen(text), 5);
    }
    char text[BERTH__REFUSAL_TEXT_SIZE];
    ck_assert_str_eq(berth__refusal_reason(BERTH__REFUSAL_SOCKS5 + 255, text, sizeof text),
                     "unknown SOCKS5 reply 0xff");
}
END_TEST

START_TEST(refused_second_reply)
{
    berth__socks5_request request = {.command = BERTH__SOCKS5_BIND, .address = BERTH_ADDRESS_ANY};
    int refusal = refusal_of(request, BYTES("\5\0"
                                            "\5\0\0\1\xc0\0\2\2\x23\x28"
                                            "\5\5"));
    ck_assert_int_eq(refusal, BERTH__REFUSAL_SOCKS5 + 5);
    ck_assert(socks5.bound);
}
END_TEST

START_TEST(authentication_that_fails)
{
    berth__socks5_request request = connect_to("h");
    ck_assert_int_eq(refusal_of(request, BYTES("\5\xff")), BERTH__REFUSAL_NO_CREDENTIALS);
    ck_assert_int_eq(refusal_of(request, BYTES("\5\2")), BERTH__REFUSAL_SOCKS5_METHOD);
    ck_assert_int_eq(refusal_of(request, BYTES("\5\1")), BERTH__REFUSAL_SOCKS5_METHOD);
    request.user = "me";
    ck_assert_int_eq(refusal_of(request, BYTES("\5\xff")), BERTH__REFUSAL_CREDENTIALS);
    ck_assert_int_eq(refusal_of(request, BYTES("\5\2\1\1")), BERTH__REFUSAL_CREDENTIALS);
    ck_assert_int_eq(refusal_of(request, BYTES("\5\2\5\0")), BERTH__REFUSAL_SOCKS5_MALFORMED);
    ck_assert_int_eq(berth__refusal_class(BERTH__REFUSAL_CREDENTIALS),
                     BERTH_ERROR_PROXY_AUTHENTICATION_REQUIRED);
}
END_TEST

START_TEST(what_is_not_socks5)
{
    berth__socks5_request bind = {.command = BERTH__SOCKS5_BIND, .address = BERTH_ADDRESS_ANY};
    const int malformed = BERTH__REFUSAL_SOCKS5_MALFORMED;
    ck_assert_int_eq(refusal_of(connect_to("h"), BYTES("\4\0")), malformed);
    ck_assert_int_eq(refusal_of(connect_to("h"), BYTES("HTTP/1.1 400 Bad\r\n")), malformed);
    ck_assert_int_eq(refusal_of(connect_to("h"), BYTES("\5\0\4\0\0\1\0\0\0\0\0\0")), malformed);
    ck_assert_int_eq(refusal_of(connect_to("h"), BYTES("\5\0\5\0\0\2\0\0\0\0\0\0")), malformed);
    ck_assert_int_eq(refusal_of(connect_to("h"), BYTES("\5\0\5\0\0\0\0\0\0\0\0\0")), malformed);
    ck_assert_int_eq(refusal_of(bind, BYTES("\5\0\5\0\0\3\4name\0\1")), malformed);
    ck_assert_int_eq(berth__refusal_class(malformed), BERTH_ERROR_PROXY_PROTOCOL);
}
END_TEST

START_TEST(what_does_not_fit)
{
    char text[258];
    memset(text, 'x', sizeof text);
    text[255] = '\0';
    berth__socks5_request request = connect_to(text);
    request.user = request.password = text;
    begin(request);
    ck_assert_int_eq(socks5.step, BERTH__HANDSHAKE_SEND);
    send_all();
    berth__socks5_input(&socks5, BYTES("\5\2"));
    send_all();
    ck_assert_uint_eq(sent_size, 3 + 513);
    berth__socks5_input(&socks5, BYTES("\1\0"));
    send_all();
    ck_assert_uint_eq(sent_size, 3 + 513 + 262);

    text[255] = 'x';
    text[256] = '\0';
    begin(connect_to(text));
    ck_assert_int_eq(socks5.refusal, BERTH__REFUSAL_NAME_FORM);
    begin(connect_to("a\nb"));
    ck_assert_int_eq(socks5.refusal, BERTH__REFUSAL_NAME_FORM);
    begin(connect_to(""));
    ck_assert_int_eq(socks5.refusal, BERTH__REFUSAL_NAME_FORM);
    request = connect_to("h");
    request.password = text;
    begin(request);
    ck_assert_int_eq(socks5.step, BERTH__HANDSHAKE_REFUSED);
    ck_assert_int_eq(socks5.refusal, BERTH__REFUSAL_CREDENTIALS_FORM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("socks5");
    TCase *tests = tcase_create("socks5");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, connect_by_address);
    tcase_add_test(tests, connect_by_ipv6_address);
    tcase_add_test(tests, connect_by_name);
    tcase_add_test(tests, longest_name_in_the_reply);
    tcase_add_test(tests, user_and_password);
    tcase_add_test(tests, bind_and_its_two_replies);
    tcase_add_test(tests, every_reply_code);
    tcase_add_test(tests, refused_second_reply);
    tcase_add_test(tests, authentication_that_fails);
    tcase_add_test(tests, what_is_not_socks5);
    tcase_add_test(tests, what_does_not_fit);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
