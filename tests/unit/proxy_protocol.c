/*
 * The PROXY header: both versions read whole and cut at every byte, values and checksum, lengths
 * that lie, and what the writer makes read back.
 */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "handshake/proxy_protocol.h"
#include "handshake/refusal.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define NAMES "\xc0\0\2\1\xc6\x33\x64\7\xdc\4\1\xbb"
#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static berth__proxy_header header;

static size_t give(const uint8_t *data, size_t size, size_t cut)
{
    size_t used = 0;
    memset(&header, 0xa5, sizeof header);
    berth__proxy_header_begin(&header);
    while (used < size && header.step == BERTH__HANDSHAKE_RECEIVE) {
        size_t part = size - used < cut ? size - used : cut;
        uint8_t *copy = malloc(part);
        memcpy(copy, data + used, part);
        size_t taken = berth__proxy_header_input(&header, copy, part);
        free(copy);
        ck_assert_uint_gt(taken, 0);
        ck_assert_uint_le(taken, part);
        used += taken;
    }
    return used;
}

/* Reads a header, whatever follows it, for every size of pieces. */
static void reads(const uint8_t *data, size_t size)
{
    uint8_t more[BERTH__PROXY_HEADER_SIZE + 4];
    memcpy(more, data, size);
    memcpy(more + size, "more", 4);
    for (size_t cut = 1; cut <= size + 4; cut++) {
        ck_assert_uint_eq(give(more, size + 4, cut), size);
        ck_assert_int_eq(header.step, BERTH__HANDSHAKE_DONE);
    }
    for (size_t early = 0; early < size; early++) {
        ck_assert_uint_eq(give(data, early, SIZE_MAX), early);
        ck_assert_int_eq(header.step, BERTH__HANDSHAKE_RECEIVE);
    }
    give(data, size, SIZE_MAX);
}

static int refusal_of(const uint8_t *data, size_t size)
{
    for (size_t cut = 1; cut <= size; cut++) {
        give(data, size, cut);
        ck_assert_int_eq(header.step, BERTH__HANDSHAKE_REFUSED);
        ck_assert_uint_eq(berth__proxy_header_input(&header, data, size), 0);
    }
    return header.refusal;
}

static void names_are(const char *source, uint16_t source_port, const char *destination,
                      uint16_t destination_port)
{
    char text[BERTH_ADDRESS_TEXT_SIZE];
    ck_assert_str_eq(berth_address_format(header.names.source, text, sizeof text), source);
    ck_assert_str_eq(berth_address_format(header.names.destination, text, sizeof text),
                     destination);
    ck_assert_uint_eq(header.names.source_port, source_port);
    ck_assert_uint_eq(header.names.destination_port, destination_port);
}

START_TEST(version_1)
{
    reads(BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"));
    names_are("192.0.2.1", 56324, "198.51.100.7", 443);
    ck_assert_uint_eq(header.version, 1);
    reads(BYTES("PROXY TCP6 2001:db8::1 0:0:0:0:0:0:0:1 0 65535\r\n"));
    names_are("2001:db8::1", 0, "::1", 65535);
    reads(BYTES("PROXY UNKNOWN\r\n"));
    names_are("", 0, "", 0);
    reads(BYTES("PROXY UNKNOWN ffff::ffff what 1 ever\r\n"));
    names_are("", 0, "", 0);
}
END_TEST

START_TEST(longest_line)
{
    uint8_t line[120];
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    memcpy(line + 105, "\r\n", 2);
    reads(line, 107);
    memset(line + 105, 'x', 2);
    ck_assert_int_eq(refusal_of(line, 108), BERTH__REFUSAL_HEADER_SIZE);
}
END_TEST

START_TEST(lines_that_are_wrong)
{
    static const char *const lines[] = {
        "GET / HTTP/1.1\r\n",
        "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2  2\r\n",
        "PROXY TCP6 ::1\r ::2 1 2\r\n",
        "PROXY TCP6 ::1 \t::2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 99999999999999999999\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n",
        "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.010 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 ::1 1 2\r\n",
        "PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
        "PROXY TCP6 ::1 ::1::1 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n",
        "\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        ck_assert_int_eq(refusal_of((const uint8_t *)lines[i], strlen(lines[i])),
                         BERTH__REFUSAL_HEADER_MALFORMED);
    ck_assert_int_eq(refusal_of(BYTES("PROXY UNKNOWN \0\r\n")), BERTH__REFUSAL_HEADER_MALFORMED);
}
END_TEST

START_TEST(version_2)
{
    reads(BYTES(SIGNATURE "\x21\x11\0\x0c" NAMES));
    names_are("192.0.2.1", 56324, "198.51.100.7", 443);
    ck_assert_uint_eq(header.version, 2);
    reads(BYTES(SIGNATURE "\x21\x21\0\x24"
                          "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                          "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\2"));
    names_are("2001:db8::1", 1, "::1", 2);
}
END_TEST

START_TEST(version_2_without_addresses)
{
    reads(BYTES(SIGNATURE "\x20\0\0\0"));
    names_are("", 0, "", 0);
    reads(BYTES(SIGNATURE "\x20\x11\0\x0c" NAMES)); /* LOCAL */
    names_are("", 0, "", 0);
    reads(BYTES(SIGNATURE "\x20\x11\0\2xx")); /* LOCAL, with less than a family needs */
    names_are("", 0, "", 0);
    reads(BYTES(SIGNATURE "\x21\0\0\3xyz")); /* UNSPEC */
    names_are("", 0, "", 0);
    reads(BYTES(SIGNATURE "\x21\x12\0\x0c" NAMES)); /* UDP */
    names_are("", 0, "", 0);
    reads(BYTES(SIGNATURE "\x21\x10\0\x0c" NAMES)); /* IPv4, but UNSPEC as the protocol */
    names_are("", 0, "", 0);
    reads(BYTES(SIGNATURE "\x20\xff\0\0")); /* LOCAL: the family is ignored */
    names_are("", 0, "", 0);
    uint8_t local[16 + 216] = SIGNATURE;
    memcpy(local + 12, "\x21\x31\0\xd8", 4); /* Unix */
    reads(local, sizeof local);
    names_are("", 0, "", 0);
}
END_TEST

static void value_is(uint8_t type, const char *expected)
{
    size_t size = 0;
    const uint8_t *value = berth__proxy_header_value(
        header.bytes + header.values, (size_t)header.filled - header.values, type, &size);
    ck_assert_ptr_nonnull(value);
    ck_assert_uint_eq(size, strlen(expected));
    ck_assert_mem_eq(value, expected, size);
}

START_TEST(values)
{
    reads(BYTES(SIGNATURE "\x21\x11\0\x22" NAMES "\1\0\2h2"
                          "\2\0\4host"
                          "\4\0\0"
                          "\2\0\4last"));
    value_is(1, "h2");
    value_is(2, "host");
    value_is(4, "");
    size_t size = 0;
    ck_assert_ptr_null(berth__proxy_header_value(header.bytes + header.values,
                                                 (size_t)header.filled - header.values, 5, &size));
}
END_TEST

START_TEST(lengths_that_lie)
{
    const int malformed = BERTH__REFUSAL_HEADER_MALFORMED;
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\x11\0\x0b" NAMES)), malformed);
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\x21\0\x0c" NAMES)), malformed);
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\x31\0\x0c" NAMES)), malformed);
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\x11\0\x0d" NAMES "\1")), malformed);
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\x11\0\x0e" NAMES "\1\0")), malformed);
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\x11\0\x10" NAMES "\1\0\2x")), malformed);
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\x11\0\x10" NAMES "\1\xff\xffx")), malformed);
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\x11\xff\xff")), BERTH__REFUSAL_HEADER_SIZE);
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\x11\17\xf1")), BERTH__REFUSAL_HEADER_SIZE);
    uint8_t longest[BERTH__PROXY_HEADER_SIZE] = SIGNATURE "\x21\x11\17\xf0" NAMES "\5\17\xe1";
    ck_assert_uint_eq(give(longest, sizeof longest, 100), sizeof longest);
    ck_assert_int_eq(header.step, BERTH__HANDSHAKE_DONE);
}
END_TEST

START_TEST(versions_and_commands_that_are_unknown)
{
    const int malformed = BERTH__REFUSAL_HEADER_MALFORMED;
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x11\x11\0\x0c" NAMES)), malformed);
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x31\x11\0\x0c" NAMES)), malformed);
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x22\x11\0\x0c" NAMES)), malformed);
    ck_assert_int_eq(refusal_of(BYTES("\r\n\r\n\0\r\nQUIX")), malformed);
    /* families and protocols that the specification has not */
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\x41\0\x0c" NAMES)), malformed);
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\xf0\0\0")), malformed);
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\x13\0\x0c" NAMES)), malformed);
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\x03\0\0")), malformed);
    ck_assert_int_eq(refusal_of(BYTES("\5\1\0")), malformed);
    ck_assert_int_eq(berth__refusal_class(malformed), BERTH_ERROR_PROXY_PROTOCOL);
}
END_TEST

static berth__proxy_names names_of(const char *source, const char *destination)
{
    berth__proxy_names names = {.source_port = 65535, .destination_port = 12345};
    berth_address_parse(source, &names.source);
    berth_address_parse(destination, &names.destination);
    return names;
}

START_TEST(written_and_read_back)
{
    static const char *const pairs[][2] = {
        {"192.0.2.1", "198.51.100.7"},
        {"255.255.255.255", "255.255.255.255"},
        {"2001:db8::1", "::1"},
        {"1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888"},
        {"::ffff:192.0.2.1", "::ffff:198.51.100.7"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        berth__proxy_names names = names_of(pairs[i][0], pairs[i][1]);
        for (int version = 1; version <= 2; version++) {
            uint8_t output[BERTH__PROXY_OUTPUT_SIZE];
            size_t size = berth__proxy_header_write(version, &names, output);
            reads(output, size);
            ck_assert_int_eq(header.version, version);
            names_are(pairs[i][0], 65535, pairs[i][1], 12345);
        }
    }
    berth__proxy_names mixed = names_of("192.0.2.1", "::1");
    for (int version = 1; version <= 2; version++) {
        uint8_t output[BERTH__PROXY_OUTPUT_SIZE];
        reads(output, berth__proxy_header_write(version, &mixed, output));
        names_are("", 0, "", 0);
    }
}
END_TEST

START_TEST(checksum)
{
    berth__proxy_names names = names_of("192.0.2.1", "198.51.100.7");
    uint8_t output[BERTH__PROXY_OUTPUT_SIZE];
    size_t size = berth__proxy_header_write(2, &names, output);
    /* As another program has computed it. */
    ck_assert_uint_eq(size, 35);
    ck_assert_mem_eq(output + 28, "\3\0\4\xd4\xb0\xc8\xa9", 7);
    for (size_t i = 16; i < size; i++) {
        if (i >= 28 && i < 31)
            continue;
        output[i] ^= 1;
        ck_assert_int_eq(refusal_of(output, size), BERTH__REFUSAL_HEADER_CHECKSUM);
        output[i] ^= 1;
    }
    ck_assert_int_eq(refusal_of(BYTES(SIGNATURE "\x21\x11\0\x12" NAMES "\3\0\3\0\0\0")),
                     BERTH__REFUSAL_HEADER_MALFORMED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proxy_protocol");
    TCase *tests = tcase_create("proxy_protocol");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, version_1);
    tcase_add_test(tests, longest_line);
    tcase_add_test(tests, lines_that_are_wrong);
    tcase_add_test(tests, version_2);
    tcase_add_test(tests, version_2_without_addresses);
    tcase_add_test(tests, values);
    tcase_add_test(tests, lengths_that_lie);
    tcase_add_test(tests, versions_and_commands_that_are_unknown);
    tcase_add_test(tests, written_and_read_back);
    tcase_add_test(tests, checksum);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
