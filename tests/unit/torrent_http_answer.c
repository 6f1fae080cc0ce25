/*
 * Answers to HTTP requests, in the Torrent example: right and wrong ones, whole, byte by byte and
 * cut at every byte; and what their sender can make it keep or read.
 *
 * spec: S8.26
 */
#include <check.h>

#include "../../examples/torrent/http_answer.c"

#define MOST 1000

/* Gives the bytes in pieces of a size. The answer must be closed. */
static void take_pieces(http_answer *self, const char *text, size_t size, size_t piece)
{
    http_answer_open(self, MOST);
    for (size_t at = 0; at < size; at += piece) {
        size_t part = size - at < piece ? size - at : piece;
        char *exact = malloc(part); /* for the sanitizer to see a byte read too many */
        memcpy(exact, text + at, part);
        http_answer_take(self, exact, part);
        free(exact);
    }
}

#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
#define E(text) text, sizeof(text) - 1

static const struct {
    const char *text;
    size_t size;
    http_answer_state state; /* before the connection ends */
    int status;
    const char *body; /* NULL: it is broken at the end */
} cases[] = {
    {E(OK "Content-Length: 5\r\n\r\nhello"), HTTP_DONE, 200, "hello"},
    {E(OK "Content-Length: 5\r\n\r\nhello, and more"), HTTP_DONE, 200, "hello"},
    {E(OK "content-LENGTH:\t5 \t\r\nContent-Length: 5\r\n\r\nhello"), HTTP_DONE, 200, "hello"},
    {E(OK "Content-Length: 0\r\n\r\n"), HTTP_DONE, 200, ""},
    {E("HTTP/1.0 200\nContent-Length: 2\n\nhi"), HTTP_DONE, 200, "hi"},
    {E("HTTP/1.0 200 OK\r\n\r\nhi there"), HTTP_CLOSE, 200, "hi there"},
    {E("HTTP/1.0 200 OK\r\n\r\n"), HTTP_CLOSE, 200, ""},
    {E(OK "no colon\r\n: no name\r\nContent-Encoding: identity\r\nTransfer-Encoding: identity\r\n"
          "\r\nhi"),
     HTTP_CLOSE, 200, "hi"},
    {E("HTTP/1.1 100 Continue\r\nContent-Length: 7\r\n\r\nHTTP/1.1 103\r\n"
       "Transfer-Encoding: chunked\r\n\r\n" OK "Content-Length: 2\r\n\r\nhi"),
     HTTP_DONE, 200, "hi"},
    {E("HTTP/1.1 404 None\r\nContent-Length: 99999999\r\n\r\n"), HTTP_DONE, 404, ""},
    {E("HTTP/1.1 302 There\r\nLocation:  /x \r\n\r\nmoved"), HTTP_DONE, 302, ""},
    {E("HTTP/1.1 204 None\r\n\r\n"), HTTP_DONE, 204, ""},
    {E(CHUNKED "5\r\nhello\r\n0\r\n\r\n"), HTTP_DONE, 200, "hello"},
    {E(CHUNKED "1 \r\nh\r\n000000000004;a=\"b\"\r\nello\r\n0;z\r\nTrailer: x\r\n\r\n"), HTTP_DONE,
     200, "hello"},
    {E(CHUNKED "A\nhello hell\nb\no and more \n0\n\n"), HTTP_DONE, 200, "hello hello and more "},
    {E(CHUNKED "0\r\n\r\n"), HTTP_DONE, 200, ""},
    {E(OK "Transfer-Encoding: Chunked \r\nContent-Length: 3\r\n\r\n1\r\nx\r\n0\r\n\r\n"), HTTP_DONE,
     200, "x"},
    /* Cut. */
    {E(""), HTTP_STATUS, 0, NULL},
    {E(OK "Content-Length: 5\r\n\r\nhell"), HTTP_LENGTH, 200, NULL},
    {E(OK "Content-Length: 5\r\n"), HTTP_HEADERS, 200, NULL},
    {E(CHUNKED "5\r\nhello\r\n"), HTTP_CHUNK_SIZE, 200, NULL},
    {E(CHUNKED "5\r\nhello\r\n0\r\n"), HTTP_TRAILERS, 200, NULL},
    /* Wrong. */
    {E("<html>\r\n"), HTTP_BROKEN, 0, NULL},
    {E("\r\n"), HTTP_BROKEN, 0, NULL},
    {E("HTTP/1.2 200 OK\r\n"), HTTP_BROKEN, 0, NULL},
    {E("HTTP/2 200\r\n"), HTTP_BROKEN, 0, NULL},
    {E("HTTP/1.\r\n"), HTTP_BROKEN, 0, NULL},
    {E("HTTP/1.1\r\n"), HTTP_BROKEN, 0, NULL},
    {E("HTTP/1.1 20 OK\r\n"), HTTP_BROKEN, 0, NULL},
    {E("HTTP/1.1 2000 OK\r\n"), HTTP_BROKEN, 0, NULL},
    {E("HTTP/1.1 -20 OK\r\n"), HTTP_BROKEN, 0, NULL},
    {E(OK "Content-Length: -1\r\n"), HTTP_BROKEN, 200, NULL},
    {E(OK "Content-Length: \r\n"), HTTP_BROKEN, 200, NULL},
    {E(OK "Content-Length: 5 5\r\n"), HTTP_BROKEN, 200, NULL},
    {E(OK "Content-Length: 5;5\r\n"), HTTP_BROKEN, 200, NULL},
    {E(OK "Content-Length: 1a\r\n"), HTTP_BROKEN, 200, NULL},
    {E(OK "Content-Length: 18446744073709551616\r\n"), HTTP_BROKEN, 200, NULL},
    {E(OK "Content-Length: 5\r\nContent-Length: 6\r\n"), HTTP_BROKEN, 200, NULL},
    {E(OK "Content-Length: 1001\r\n\r\n"), HTTP_BROKEN, 200, NULL},
    {E(OK "Content-Length: 10000000000\r\n\r\n"), HTTP_BROKEN, 200, NULL},
    {E(OK "Transfer-Encoding: gzip, chunked\r\n"), HTTP_BROKEN, 200, NULL},
    {E(OK "Content-Encoding: gzip\r\n"), HTTP_BROKEN, 200, NULL},
    {E(CHUNKED "\r\n"), HTTP_BROKEN, 200, NULL},
    {E(CHUNKED "x\r\n"), HTTP_BROKEN, 200, NULL},
    {E(CHUNKED "-1\r\n"), HTTP_BROKEN, 200, NULL},
    {E(CHUNKED "0x1\r\n"), HTTP_BROKEN, 200, NULL},
    {E(CHUNKED "10000000000000000\r\n"), HTTP_BROKEN, 200, NULL}, /* 2^64 */
    {E(CHUNKED "ffffffffffffffff\r\n"), HTTP_BROKEN, 200, NULL},
    {E(CHUNKED "3e9\r\n"), HTTP_BROKEN, 200, NULL}, /* 1001 */
    {E(CHUNKED "5\r\nhello, x\r\n"), HTTP_BROKEN, 200, NULL},
    {E(CHUNKED "1\r\nx\r\n\r\n"), HTTP_BROKEN, 200, NULL},
    {E(CHUNKED "1\r\nx\r\n3e8\r\n"), HTTP_BROKEN, 200, NULL}, /* one too many in all */
};

static void check_case(const http_answer *self, const char *body)
{
    ck_assert_int_eq(self->state, body ? HTTP_DONE : HTTP_BROKEN);
    ck_assert((self->why == NULL) == (body != NULL));
    if (body) {
        ck_assert_uint_eq(self->size, strlen(body));
        ck_assert(self->size == 0 || memcmp(self->body, body, self->size) == 0);
    }
}

START_TEST(known_answers)
{
    http_answer self;
    for (size_t piece = 1; piece <= cases[_i].size + 1; piece++) {
        take_pieces(&self, cases[_i].text, cases[_i].size, piece);
        ck_assert_int_eq(self.state, cases[_i].state);
        ck_assert_int_eq(self.status, cases[_i].status);
        http_answer_end(&self);
        check_case(&self, cases[_i].body);
        http_answer_close(&self);
    }
}
END_TEST

/* Whatever comes of the beginning of an answer, with the rest it is the same as the whole. */
START_TEST(cut_at_every_byte)
{
    http_answer self;
    for (size_t cut = 0; cut < cases[_i].size; cut++) {
        take_pieces(&self, cases[_i].text, cut, MOST);
        bool over = self.state == HTTP_DONE || self.state == HTTP_BROKEN;
        if (over)
            ck_assert_int_eq(self.state, cases[_i].state);
        bool to_the_end = self.state == HTTP_CLOSE;
        http_answer_end(&self);
        ck_assert(self.state == HTTP_DONE || self.state == HTTP_BROKEN);
        ck_assert(over || to_the_end || self.state == HTTP_BROKEN);
        http_answer_close(&self);
    }
}
END_TEST

START_TEST(the_location_is_kept)
{
    http_answer self;
    take_pieces(&self, E("HTTP/1.1 301\r\nLocation: http://a/b\t\r\nLocation: c\r\n\r\n"), 3);
    ck_assert_int_eq(self.state, HTTP_DONE);
    ck_assert_str_eq(self.location, "http://a/b");
    http_answer_close(&self);
    ck_assert_ptr_null(self.location);
}
END_TEST

/* Takes the same bytes again and again; returns how many it took until it broke. */
static size_t take_for_ever(http_answer *self, const char *text, size_t size)
{
    size_t taken = 0;
    while (self->state != HTTP_BROKEN && taken < 100u << 20) {
        http_answer_take(self, text, size);
        taken += size;
    }
    return taken;
}

START_TEST(what_never_ends_is_broken_off)
{
    static const struct {
        const char *beginning, *again;
        size_t most; /* bytes */
    } endless[] = {
        {"", "x", HTTP_MOST_LINE},
        {OK, "x", HTTP_MOST_LINE + 16},
        {OK, "A: b\r\n", MOST_HEADERS + 16},
        {OK, "\r\r\r\r", HTTP_MOST_LINE + 16},
        {"", "HTTP/1.1 100 Continue\r\n\r\n", MOST_HEADERS + 32},
        {OK "\r\n", "body", MOST + 16},
        {CHUNKED, "1\r\nx\r\n", MOST * 8},
        {CHUNKED, "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\nx\r\n",
         MOST_HEADERS + 50 * MOST},
        {CHUNKED, "00000000", HTTP_MOST_LINE + 16},
        {CHUNKED "1\r\nx", "\r\n", 64},
        {CHUNKED "0\r\n", "A: b\r\n", MOST_HEADERS + 64},
    };
    for (size_t i = 0; i < sizeof(endless) / sizeof(endless[0]); i++) {
        http_answer self;
        take_pieces(&self, endless[i].beginning, strlen(endless[i].beginning), MOST);
        size_t taken = take_for_ever(&self, endless[i].again, strlen(endless[i].again));
        ck_assert_uint_le(taken, endless[i].most);
        ck_assert_uint_le(self.room, 1024);
        ck_assert_ptr_nonnull(self.why);
        http_answer_close(&self);
    }
}
END_TEST

START_TEST(random_changes)
{
    http_answer self;
    uint32_t random = (uint32_t)_i;
    char text[256];
    for (int round = 0; round < 20000; round++) {
        random = random * 1664525 + 1013904223;
        size_t number = (random >> 8) % (sizeof(cases) / sizeof(cases[0]));
        size_t size = cases[number].size;
        memcpy(text, cases[number].text, size);
        for (int i = 0; size > 0 && i < 3; i++) {
            random = random * 1664525 + 1013904223;
            text[(random >> 8) % size] = "\r\n0:;x f\0"[(random >> 20) % 9];
        }
        take_pieces(&self, text, size, 1 + (random >> 28));
        http_answer_end(&self);
        ck_assert(self.state == HTTP_DONE || self.state == HTTP_BROKEN);
        ck_assert((self.state == HTTP_BROKEN) == (self.why != NULL));
        ck_assert_uint_le(self.size, MOST);
        http_answer_close(&self);
    }
}
END_TEST

int main(void)
{
    const int count = (int)(sizeof(cases) / sizeof(cases[0]));
    Suite *suite = suite_create("torrent_http_answer");
    TCase *tests = tcase_create("torrent_http_answer");
    tcase_add_loop_test(tests, known_answers, 0, count);
    tcase_add_loop_test(tests, cut_at_every_byte, 0, count);
    tcase_add_test(tests, the_location_is_kept);
    tcase_add_test(tests, what_never_ends_is_broken_off);
    tcase_add_loop_test(tests, random_changes, 0, 4);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
