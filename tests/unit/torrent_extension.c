/*
 * The extension handshake of the Torrent example: ours, those of known clients, hostile ones, and
 * all of them cut at every byte.
 */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../../examples/torrent/extension.c"

static bool read_exact(extension *self, const char *text, size_t size)
{
    char *exact = malloc(size > 0 ? size : 1); /* for the sanitizer to see a byte read too many */
    memcpy(exact, text, size);
    bool good = extension_read(self, exact, size);
    free(exact);
    return good;
}

START_TEST(ours)
{
    char to[160];
    extension self = {0};
    size_t size = extension_write(to, sizeof(to), "Berth 1.0", 6881);
    ck_assert_uint_eq(size, strlen("d1:mde1:pi6881e4:reqqi500e1:v9:Berth 1.0e"));
    ck_assert_mem_eq(to, "d1:mde1:pi6881e4:reqqi500e1:v9:Berth 1.0e", size);
    ck_assert(read_exact(&self, to, size));
    ck_assert_uint_eq(self.requests, EXTENSION_OWN_REQUESTS);
    ck_assert_uint_eq(self.port, 6881);
    ck_assert_str_eq(self.client, "Berth 1.0");
    for (size_t room = 0; room <= size; room++)
        ck_assert_uint_eq(extension_write(to, room, "Berth 1.0", 6881), 0);
    ck_assert_uint_eq(extension_write(to, size + 1, "Berth 1.0", 6881), size);
    size = extension_write(to, sizeof(to), "Berth 1.0", 0);
    ck_assert_mem_eq(to, "d1:mde4:reqqi500e1:v9:Berth 1.0e", size);
}
END_TEST

static const struct {
    const char *text;
    bool good;
    uint32_t requests;
    uint16_t port;
    const char *client;
} cases[] = {
    {"de", true, 250, 0, ""},
    {"d1:md11:ut_metadatai2e6:ut_pexi1ee1:pi51413e4:reqqi512e1:v17:Transmission 3.00e", true, 512,
     51413, "Transmission 3.00"},
    {"d1:md6:ut_pexi0ee4:reqqi2048ee", true, 2048, 0, ""},
    {"d4:reqqi0ee", true, 1, 0, ""},
    {"d4:reqqi-5ee", true, 1, 0, ""},
    {"d4:reqqi1000000000ee", true, 1000000000, 0, ""},
    {"d4:reqqi9223372036854775807ee", true, UINT32_MAX, 0, ""},
    {"d4:reqq3:500e", true, 250, 0, ""},
    {"d1:pi0ee", true, 250, 0, ""},
    {"d1:pi65536ee", true, 250, 0, ""},
    {"d1:pi-1e1:vi5ee", true, 250, 0, ""},
    {"d1:v4:\x1b[2Je", true, 250, 0, "?[2J"},
    {"d1:v70:aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggge", true, 250, 0,
     "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"},
    {"i1e", false, 0, 0, ""},
    {"le", false, 0, 0, ""},
    {"4:spam", false, 0, 0, ""},
    {"d4:reqqi01ee", false, 0, 0, ""},
    {"d1:v99999999999999999999:xe", false, 0, 0, ""},
};

START_TEST(of_peers)
{
    extension self = {0};
    size_t size = strlen(cases[_i].text);
    ck_assert(read_exact(&self, cases[_i].text, size) == cases[_i].good);
    ck_assert_uint_eq(self.requests, cases[_i].requests);
    ck_assert_uint_eq(self.port, cases[_i].port);
    ck_assert_str_eq(self.client, cases[_i].client);
    for (size_t cut = 0; cut < size; cut++) {
        extension same = {7, 8, "as it was"};
        ck_assert(!read_exact(&same, cases[_i].text, cut));
        ck_assert_uint_eq(same.requests, 7);
        ck_assert_uint_eq(same.port, 8);
        ck_assert_str_eq(same.client, "as it was");
    }
}
END_TEST

START_TEST(what_is_not_mentioned_again_stays)
{
    extension self = {0};
    ck_assert(read_exact(&self, "d1:pi7e4:reqqi9e1:v1:xe", 23));
    ck_assert(read_exact(&self, "d1:v1:ye", 8));
    ck_assert_uint_eq(self.requests, 9);
    ck_assert_uint_eq(self.port, 7);
    ck_assert_str_eq(self.client, "y");
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    enum {
        DEPTH = 65536
    };
    extension self = {0};
    char *text = malloc(DEPTH);
    memset(text, 'l', DEPTH);
    memcpy(text, "d1:m", 4);
    ck_assert(!read_exact(&self, text, DEPTH));
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_extension");
    TCase *tests = tcase_create("torrent_extension");
    tcase_add_test(tests, ours);
    tcase_add_loop_test(tests, of_peers, 0, (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tests, what_is_not_mentioned_again_stays);
    tcase_add_test(tests, deep_nesting_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
