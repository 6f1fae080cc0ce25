/*
 * The ClientHello: real ones whole and cut at every byte, in one record and in many, what is no
 * TLS, lengths that lie, names and protocols.
 */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "handshake/client_hello.h"
#include "handshake/refusal.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static berth__client_hello hello;
static berth__client_hello_values values;

static size_t give(const uint8_t *data, size_t size, size_t cut)
{
    size_t used = 0;
    memset(&hello, 0xa5, sizeof hello);
    berth__client_hello_begin(&hello);
    while (used < size && hello.step == BERTH__HANDSHAKE_RECEIVE) {
        size_t part = size - used < cut ? size - used : cut;
        uint8_t *copy = malloc(part);
        memcpy(copy, data + used, part);
        size_t taken = berth__client_hello_input(&hello, copy, part);
        free(copy);
        ck_assert(taken > 0 || hello.step == BERTH__HANDSHAKE_REFUSED);
        ck_assert_uint_le(taken, part);
        used += taken;
    }
    return used;
}

/* ---- messages that are made here ------------------------------------------------------------- */

typedef struct builder {
    uint8_t bytes[40000];
    size_t size;
} builder;

static builder built;

static void put(const void *data, size_t size)
{
    memcpy(built.bytes + built.size, data, size);
    built.size += size;
}

static void put_number(size_t number, size_t bytes)
{
    while (bytes-- > 0)
        built.bytes[built.size++] = (uint8_t)(number >> 8 * bytes);
}

/* A message with these extensions; without any if `extensions` is NULL. */
static void build(const uint8_t *extensions, size_t size)
{
    size_t rest = extensions != NULL ? size + 2 : 0;
    built.size = 0;
    put_number(1, 1);
    put_number(2 + 32 + 1 + 4 + 2 + rest, 3);
    put("\3\3", 2);
    for (int i = 0; i < 32; i++)
        put("r", 1);
    put("\0\0\2\x13\1\1\0", 7);
    if (extensions == NULL)
        return;
    put_number(size, 2);
    put(extensions, size);
}

/* The message that was built in records of so many bytes. Returns the size. */
static size_t cut_into_records(uint8_t *records, size_t fragment)
{
    size_t size = 0;
    for (size_t at = 0; at < built.size; at += fragment) {
        size_t part = built.size - at < fragment ? built.size - at : fragment;
        memcpy(records + size, "\x16\3\1", 3);
        records[size + 3] = (uint8_t)(part >> 8);
        records[size + 4] = (uint8_t)part;
        memcpy(records + size + 5, built.bytes + at, part);
        size += 5 + part;
    }
    return size;
}

static uint8_t records[200000];
static uint8_t copy[sizeof records];

/* What comes of a message with these extensions: 0, or the refusal of `read`. */
static int outcome(const uint8_t *extensions, size_t size)
{
    build(extensions, size);
    size_t total = cut_into_records(records, 16384);
    ck_assert_uint_eq(give(records, total, SIZE_MAX), total);
    ck_assert_int_eq(hello.step, BERTH__HANDSHAKE_DONE);
    memcpy(copy, records, total);
    return berth__client_hello_read(copy, total, &values);
}

#define OUTCOME(text) outcome(BYTES(text))
#define HOST "\0\0\0\x10\0\x0e\0\0\x0b"

START_TEST(whole_and_cut)
{
    static const uint8_t extensions[] = HOST "Example.org"
                                             "\0\x10\0\x0e\0\x0c\2h2\x08http/1.1"
                                             "\0\x2b\0\3\2\3\4";
    for (size_t fragment = 1; fragment < 130; fragment++) {
        build(extensions, sizeof extensions - 1);
        size_t size = cut_into_records(records, fragment);
        memcpy(records + size, "more", 4);
        for (size_t cut = 1; cut <= size; cut = cut < 9 ? cut + 1 : cut * 2) {
            ck_assert_uint_eq(give(records, size + 4, cut), size);
            ck_assert_int_eq(hello.step, BERTH__HANDSHAKE_DONE);
        }
        memcpy(copy, records, size);
        ck_assert_int_eq(berth__client_hello_read(copy, size, &values), 0);
        ck_assert_str_eq(values.name, "example.org");
        ck_assert_str_eq(values.protocols[0], "h2");
        ck_assert_str_eq(values.protocols[1], "http/1.1");
        ck_assert_ptr_null(values.protocols[2]);
    }
    build(extensions, sizeof extensions - 1);
    size_t size = cut_into_records(records, 16384);
    for (size_t early = 0; early < size; early++) {
        ck_assert_uint_eq(give(records, early, SIZE_MAX), early);
        ck_assert_int_eq(hello.step, BERTH__HANDSHAKE_RECEIVE);
    }
}
END_TEST

START_TEST(without_extensions)
{
    ck_assert_int_eq(outcome(NULL, 0), 0);
    ck_assert_str_eq(values.name, "");
    ck_assert_ptr_null(values.protocols[0]);
    ck_assert_int_eq(OUTCOME(""), 0);
}
END_TEST

static int refusal_of(const uint8_t *data, size_t size)
{
    int refusal = 0;
    for (size_t cut = 1; cut <= size; cut++) {
        give(data, size, cut);
        ck_assert_int_eq(hello.step, BERTH__HANDSHAKE_REFUSED);
        ck_assert(cut == 1 || hello.refusal == refusal);
        refusal = hello.refusal;
        ck_assert_uint_eq(berth__client_hello_input(&hello, data, size), 0);
    }
    return refusal;
}

START_TEST(no_tls)
{
    ck_assert_int_eq(refusal_of(BYTES("GET / HTTP/1.1\r\n\r\n")), BERTH__REFUSAL_HELLO_HTTP);
    ck_assert_int_eq(refusal_of(BYTES("PRI * HTTP/2.0\r\n")), BERTH__REFUSAL_HELLO_HTTP);
    ck_assert_int_eq(refusal_of(BYTES("POST")), BERTH__REFUSAL_HELLO_HTTP);
    ck_assert_int_eq(refusal_of(BYTES("POSH")), BERTH__REFUSAL_HELLO_NOT_TLS);
    ck_assert_int_eq(refusal_of(BYTES("SSH-2.0-x\r\n")), BERTH__REFUSAL_HELLO_NOT_TLS);
    ck_assert_int_eq(refusal_of(BYTES("\x80\x2e\1\0\2")), BERTH__REFUSAL_HELLO_NOT_TLS);
    ck_assert_int_eq(refusal_of(BYTES("\x16\2\1\0\2")), BERTH__REFUSAL_HELLO_NOT_TLS);
    ck_assert_int_eq(refusal_of(BYTES("\x15\3\1\0\2\2\x28")), BERTH__REFUSAL_HELLO_MALFORMED);
    ck_assert_int_eq(refusal_of(BYTES("\x17\3\3\0\2xx")), BERTH__REFUSAL_HELLO_MALFORMED);
    ck_assert_int_eq(refusal_of(BYTES("\0")), BERTH__REFUSAL_HELLO_NOT_TLS);
    ck_assert_uint_eq(give(BYTES("GE"), SIZE_MAX), 2);
    ck_assert_int_eq(hello.step, BERTH__HANDSHAKE_RECEIVE);
}
END_TEST

START_TEST(records_that_lie)
{
    const int malformed = BERTH__REFUSAL_HELLO_MALFORMED;
    ck_assert_int_eq(refusal_of(BYTES("\x16\3\1\0\0")), malformed);
    ck_assert_int_eq(refusal_of(BYTES("\x16\3\1\x40\1")), malformed);
    ck_assert_int_eq(refusal_of(BYTES("\x16\3\1\0\4\2\0\0\0")), malformed);
    ck_assert_int_eq(refusal_of(BYTES("\x16\3\1\0\1\1\x17\3\1\0\1")), malformed);
    ck_assert_int_eq(refusal_of(BYTES("\x16\3\1\0\1\1\x16\4\1\0\1")), malformed);
    ck_assert_int_eq(refusal_of(BYTES("\x16\3\1\0\4\1\xff\xff\xff")), BERTH__REFUSAL_HELLO_SIZE);
    ck_assert_int_eq(refusal_of(BYTES("\x16\3\1\0\4\1\0\x3f\xfd")), BERTH__REFUSAL_HELLO_SIZE);
}
END_TEST

START_TEST(longest)
{
    static uint8_t padding[16384 - 4 - 41 - 2] = {0, 21};
    padding[2] = (uint8_t)((sizeof padding - 4) >> 8);
    padding[3] = (uint8_t)(sizeof padding - 4);
    build(padding, sizeof padding);
    ck_assert_uint_eq(built.size, 16384);
    size_t total = cut_into_records(records, 16384);
    ck_assert_uint_eq(total, BERTH__CLIENT_HELLO_SIZE);
    ck_assert_uint_eq(give(records, total, 1000), total);
    ck_assert_int_eq(hello.step, BERTH__HANDSHAKE_DONE);
    ck_assert_int_eq(berth__client_hello_read(records, total, &values), 0);
    total = cut_into_records(records, 1); /* six bytes for one */
    ck_assert_uint_eq(give(records, total, 1000), BERTH__CLIENT_HELLO_SIZE);
    ck_assert_int_eq(hello.refusal, BERTH__REFUSAL_HELLO_SIZE);
}
END_TEST

START_TEST(messages_that_lie)
{
    const int malformed = BERTH__REFUSAL_HELLO_MALFORMED;
    static const uint8_t extensions[] = HOST "example.org\0\x10\0\5\0\3\2h2";
    build(extensions, sizeof extensions - 1);
    size_t size = built.size;
    /* Each byte of each length, one more and one less: it must be noticed or mean nothing. */
    for (size_t at = 4; at < size; at++) {
        for (int by = -1; by <= 1; by += 2) {
            built.bytes[at] = (uint8_t)(built.bytes[at] + by);
            size_t total = cut_into_records(records, 16384);
            (void)berth__client_hello_read(records, total, &values);
            built.bytes[at] = (uint8_t)(built.bytes[at] - by);
        }
    }
    /* And cut short, with the lengths around it as they were. */
    for (size_t shorter = 5; shorter < size; shorter++) {
        built.size = shorter;
        uint8_t *own = malloc(shorter + 5);
        size_t total = cut_into_records(own, 16384);
        int refusal = berth__client_hello_read(own, total, &values);
        ck_assert_int_eq(refusal, shorter == 45 ? 0 : malformed);
        free(own);
    }
    ck_assert_int_eq(OUTCOME("\0\x2b\0\4\2\3\4"), malformed);
    ck_assert_int_eq(OUTCOME("\0"), malformed);
    ck_assert_int_eq(OUTCOME("\0\x10\0\2\0\0"), malformed);
    ck_assert_int_eq(OUTCOME("\0\x10\0\3\0\1\0"), malformed);
    ck_assert_int_eq(OUTCOME("\0\x10\0\5\0\3\3h2"), malformed);
    ck_assert_int_eq(OUTCOME("\0\x10\0\6\0\3\2h2x"), malformed);
    ck_assert_int_eq(OUTCOME("\0\0\0\2\0\0"), malformed);
    ck_assert_int_eq(OUTCOME("\0\0\0\0"), malformed);
    ck_assert_int_eq(OUTCOME("\0\0\0\6\0\4\1\0\1x"), malformed);
    ck_assert_int_eq(OUTCOME(HOST "example.org" HOST "example.org"), malformed);
}
END_TEST

static int name_of(const char *name, size_t size)
{
    uint8_t extension[400] = {0, 0};
    size_t lengths[] = {size + 5, size + 3};
    for (size_t i = 0; i < 2; i++) {
        extension[2 + 2 * i] = (uint8_t)(lengths[i] >> 8);
        extension[3 + 2 * i] = (uint8_t)lengths[i];
    }
    extension[7] = (uint8_t)(size >> 8);
    extension[8] = (uint8_t)size;
    memcpy(extension + 9, name, size);
    return outcome(extension, size + 9);
}

START_TEST(names)
{
    const int invalid = BERTH__REFUSAL_HELLO_NAME;
    char long_name[254];
    memset(long_name, 'A', sizeof long_name);
    ck_assert_int_eq(name_of(long_name, 253), 0);
    ck_assert_uint_eq(strlen(values.name), 253);
    ck_assert_int_eq(values.name[252], 'a');
    ck_assert_int_eq(name_of(long_name, 254), invalid);
    ck_assert_int_eq(name_of("A-b_C.9z", 8), 0);
    ck_assert_str_eq(values.name, "a-b_c.9z");
    ck_assert_int_eq(name_of("host.", 5), 0);
    ck_assert_str_eq(values.name, "host");
    ck_assert_int_eq(name_of("", 0), invalid);
    ck_assert_int_eq(name_of(".", 1), invalid);
    ck_assert_int_eq(name_of("a..b", 4), invalid);
    ck_assert_int_eq(name_of(".a", 2), invalid);
    ck_assert_int_eq(name_of("a\0b", 3), invalid);
    ck_assert_int_eq(name_of("a/b", 3), invalid);
    ck_assert_int_eq(name_of("*.a", 3), invalid);
    ck_assert_int_eq(name_of("\xc3\xa4", 2), invalid);
    ck_assert_int_eq(name_of("1a.2", 4), 0);
    ck_assert_int_eq(name_of("f:g", 3), invalid);
    ck_assert_int_eq(name_of("127.0.0.1", 9), 0); /* an address is as no name */
    ck_assert_str_eq(values.name, "");
    ck_assert_int_eq(name_of("Fe80::1", 7), 0);
    ck_assert_str_eq(values.name, "");
}
END_TEST

START_TEST(protocols)
{
    uint8_t many[6 + 3 * 100] = {0, 16, 1, 46, 1, 44};
    for (size_t i = 0; i < 100; i++)
        memcpy(many + 6 + 3 * i, "\2h2", 3);
    ck_assert_int_eq(outcome(many, sizeof many), 0);
    for (size_t i = 0; i < BERTH__MOST_PROTOCOLS; i++)
        ck_assert_str_eq(values.protocols[i], "h2");
    ck_assert_ptr_null(values.protocols[BERTH__MOST_PROTOCOLS]);
    ck_assert_int_eq(OUTCOME("\0\x10\0\x0b\0\x09\3a\0b\1c\2\x0a\x0a"), 0);
    ck_assert_str_eq(values.protocols[0], "c");
    ck_assert_str_eq(values.protocols[1], "\x0a\x0a");
    ck_assert_ptr_null(values.protocols[2]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_hello");
    TCase *tests = tcase_create("client_hello");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, whole_and_cut);
    tcase_add_test(tests, without_extensions);
    tcase_add_test(tests, no_tls);
    tcase_add_test(tests, records_that_lie);
    tcase_add_test(tests, longest);
    tcase_add_test(tests, messages_that_lie);
    tcase_add_test(tests, names);
    tcase_add_test(tests, protocols);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
