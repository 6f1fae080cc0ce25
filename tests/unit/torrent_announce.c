/*
 * Announces of the Torrent example: the URL with its parameters, and answers right, wrong, hostile
 * and cut at every byte.
 *
 * spec: S8.26
 */
#include <check.h>

#include "../../examples/torrent/announce.c"

static const uint8_t hash[HASH_SIZE + 1] = "\x00\xff%&=+ ~-_.aZ09/#?\n\x80";
static const uint8_t peer_id[PEER_ID_SIZE + 1] = "-BE0100-abcdefghijkl";

#define ESCAPED "%00%FF%25%26%3D%2B%20~-_.aZ09%2F%23%3F%0A%80"
#define PARAMETERS                                                                                \
    "info_hash=" ESCAPED "&peer_id=-BE0100-abcdefghijkl&port=6881&uploaded=1&downloaded=2&left=3" \
    "&compact=1&numwant=50"

static char *url_of(const char *tracker, const char *event, const char *id)
{
    announce what = {hash, peer_id, 6881, 1, 2, 3, 50, event, id};
    return announce_url(tracker, &what);
}

START_TEST(urls)
{
    static const struct {
        const char *tracker, *event, *id, *url;
    } known[] = {
        {"http://t/a", NULL, NULL, "http://t/a?" PARAMETERS},
        {"http://t/a?k=v", "started", NULL, "http://t/a?k=v&" PARAMETERS "&event=started"},
        {"http://t/a#x?y", "stopped", "", "http://t/a?" PARAMETERS "&event=stopped"},
        {"http://t/a?x#y", NULL, "a b&c", "http://t/a?x&" PARAMETERS "&trackerid=a%20b%26c"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        char *url = url_of(known[i].tracker, known[i].event, known[i].id);
        ck_assert_str_eq(url, known[i].url);
        free(url);
    }
}
END_TEST

START_TEST(the_longest_url)
{
    char id[LONGEST_TRACKER_ID + 2];
    const uint8_t worst[PEER_ID_SIZE] = {0};
    announce what = {worst,      worst,      UINT16_MAX,  UINT64_MAX, UINT64_MAX,
                     UINT64_MAX, UINT32_MAX, "completed", id};
    memset(id, 0xff, sizeof(id));
    id[LONGEST_TRACKER_ID] = '\0';
    char *url = announce_url("http://t/a", &what);
    ck_assert_uint_eq(strlen(strstr(url, "&trackerid=")), 11 + 3 * LONGEST_TRACKER_ID);
    free(url);
    id[LONGEST_TRACKER_ID] = 'x'; /* one byte too many: left out */
    id[LONGEST_TRACKER_ID + 1] = '\0';
    url = announce_url("http://t/a", &what);
    ck_assert_ptr_null(strstr(url, "trackerid"));
    free(url);
}
END_TEST

/* ---- answers --------------------------------------------------------------------------------- */

static char seen[4096]; /* ADDRESS:PORT of each peer, a blank behind each */

static void note(void *user, berth_address address, uint16_t port)
{
    char text[BERTH_ENDPOINT_TEXT_SIZE];
    size_t used = strlen(seen);
    berth_endpoint_format(address, port, text, sizeof(text));
    snprintf(seen + used, sizeof(seen) - used, "%s ", text);
    ck_assert_ptr_eq(user, seen);
}

static announce_answer answer;
static char error[300];

static bool read_exact(const char *text, size_t size)
{
    char *exact = malloc(size > 0 ? size : 1); /* for the sanitizer to see a byte read too many */
    memcpy(exact, text, size);
    seen[0] = '\0';
    error[0] = '\0';
    bool good = announce_read(exact, size, &answer, note, seen, error, sizeof(error));
    free(exact);
    return good;
}

#define E(text) text, sizeof(text) - 1

static const struct {
    const char *text;
    size_t size;
    bool good;
    int64_t interval, minimum;
    const char *peers;
} cases[] = {
    {E("de"), true, 1800, 1800, ""},
    {E("d8:intervali900ee"), true, 900, 900, ""},
    {E("d8:intervali900e12:min intervali60ee"), true, 900, 60, ""},
    {E("d8:intervali60e12:min intervali900ee"), true, 900, 900, ""},
    {E("d8:intervali0ee"), true, 30, 30, ""},
    {E("d8:intervali-1ee"), true, 30, 30, ""},
    {E("d8:intervali-9223372036854775808ee"), true, 30, 30, ""},
    {E("d8:intervali1000000000000e12:min intervali9223372036854775807ee"), true, 7200, 7200, ""},
    {E("d8:interval3:90012:min intervallee"), true, 1800, 1800, ""},
    /* Compact lists. */
    {E("d5:peers0:e"), true, 1800, 1800, ""},
    {E("d5:peers12:\x0a\0\0\1\x1a\xe1\x7f\0\0\1\xff\xff"
       "e"),
     true, 1800, 1800, "10.0.0.1:6881 127.0.0.1:65535 "},
    {E("d6:peers618:\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x1a\xe1"
       "e"),
     true, 1800, 1800, "[2001:db8::1]:6881 "},
    {E("d5:peers6:\1\2\3\4\0\5"
       "6:peers636:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\7"
       "e"),
     true, 1800, 1800, "1.2.3.4:5 [::1]:7 "},
    {E("d5:peers5:abcdee"), false, 0, 0, NULL},
    {E("d5:peers7:abcdefge"), false, 0, 0, NULL},
    {E("d6:peers617:abcdefghijklmnopqe"), false, 0, 0, NULL},
    {E("d5:peersi1ee"), false, 0, 0, NULL},
    {E("d5:peersdee"), false, 0, 0, NULL},
    /* What cannot be dialled: port 0, 0.0.0.0, 0.1.2.3, multicast, broadcast. */
    {E("d5:peers30:\1\2\3\4\0\0\0\0\0\0\0\1\0\1\2\3\0\1\xe0\0\0\1\0\1\xff\xff\xff\xff\0\1"
       "e"),
     true, 1800, 1800, ""},
    {E("d6:peers6126:"
       "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1"           /* multicast */
       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"             /* :: */
       "\x20\1\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0"           /* port 0 */
       "\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0\0\1"         /* 0.0.0.0 */
       "\0\0\0\0\0\0\0\0\0\0\xff\xff\xe0\0\0\1\0\1"       /* 224.0.0.1 */
       "\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\0\1" /* 255.255.255.255 */
       "\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4\0\1"         /* 1.2.3.4, good */
       "e"),
     true, 1800, 1800, "[::ffff:1.2.3.4]:1 "},
    /* Dictionaries. */
    {E("d5:peersld2:ip7:1.2.3.44:porti5eed2:ip3:::17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6eeee"),
     true, 1800, 1800, "1.2.3.4:5 [::1]:6 "},
    {E("d5:peersld2:ip7:1.2.3.44:porti0eed2:ip7:1.2.3.44:porti65536eed2:ip7:1.2.3.44:porti-1ee"
       "d2:ip7:1.2.3.4ed4:porti1eed2:ipi1e4:porti1ee5:helloi7ele"
       "d2:ip11:example.org4:porti1eed2:ip0:4:porti1eed2:ip8:1.2.3.4\0004:porti1ee"
       "d2:ip9:224.0.0.14:porti1eed2:ip7:0.0.0.04:porti1eee"
       "e"),
     true, 1800, 1800, ""},
    /* Others. */
    {E("d14:failure reason4:nonee"), false, 0, 0, NULL},
    {E("d14:failure reason0:e"), false, 0, 0, NULL},
    {E("d5:peers6:\1\2\3\4\0\5"
       "ejunk"),
     true, 1800, 1800, "1.2.3.4:5 "},
    {E("<html><body>404</body></html>"), false, 0, 0, NULL},
    {E("le"), false, 0, 0, NULL},
    {E("i1e"), false, 0, 0, NULL},
    {E("d8:intervali1e8:intervali2ee"), false, 0, 0, NULL},
    {E("d5:peers18446744073709551615:xe"), false, 0, 0, NULL},
};

START_TEST(known_answers)
{
    bool good = read_exact(cases[_i].text, cases[_i].size);
    ck_assert(good == cases[_i].good);
    ck_assert((error[0] == '\0') == good);
    if (good) {
        ck_assert_int_eq(answer.interval, cases[_i].interval);
        ck_assert_int_eq(answer.minimum_interval, cases[_i].minimum);
        ck_assert_str_eq(seen, cases[_i].peers);
    }
    ck_assert_ptr_null(answer.tracker_id);
}
END_TEST

START_TEST(cut_at_every_byte)
{
    bencode value;
    const char *why;
    size_t where;
    bool sound = bencode_read(cases[_i].text, cases[_i].size, &value, &why, &where);
    size_t whole = sound ? value.size : cases[_i].size;
    for (size_t cut = 0; cut < whole; cut++) {
        ck_assert(!read_exact(cases[_i].text, cut));
        ck_assert_str_eq(error, "the answer is not one of a tracker");
        ck_assert_str_eq(seen, "");
    }
}
END_TEST

START_TEST(texts_are_printable)
{
    ck_assert(!read_exact(E("d14:failure reason11:no\x1b[1m\r\n\x7f\x80"
                            "!e")));
    ck_assert_str_eq(error, "refused: no\\x1b[1m\\x0d\\x0a\\x7f\\x80!");
    ck_assert(read_exact(E("d15:warning message4:a\tb\0e")));
    ck_assert_str_eq(answer.warning, "a\\x09b\\x00");
    char *text = malloc(1 << 20);
    int begun = sprintf(text, "d14:failure reason1000000:");
    memset(text + begun, '\1', 1000000);
    text[begun + 1000000] = 'e';
    ck_assert(!read_exact(text, (size_t)begun + 1000001));
    ck_assert_uint_lt(strlen(error), 220);
    memcpy(text, "d15:warning message1000000:", 27);
    memset(text + 27, 'w', 1000000);
    text[1000027] = 'e';
    ck_assert(read_exact(text, 1000028));
    ck_assert_uint_lt(strlen(answer.warning), sizeof(answer.warning));
    free(text);
}
END_TEST

START_TEST(printable_fits)
{
    for (size_t room = 1; room < 24; room++) {
        char *to = malloc(room);
        announce_printable(to, room, "ab\1cd\2ef", 8);
        ck_assert_uint_lt(strlen(to), room);
        announce_printable(to, room, "", 0);
        ck_assert_str_eq(to, "");
        free(to);
    }
}
END_TEST

START_TEST(ids_of_trackers)
{
    char text[400];
    ck_assert(read_exact(E("d10:tracker id3:a b5:peers0:e")));
    ck_assert_str_eq(answer.tracker_id, "a b");
    free(answer.tracker_id);
    ck_assert(read_exact(E("d10:tracker idi7ee")));
    ck_assert_ptr_null(answer.tracker_id);
    int begun = sprintf(text, "d10:tracker id%d:", LONGEST_TRACKER_ID + 1);
    memset(text + begun, 'x', LONGEST_TRACKER_ID + 1);
    text[begun + LONGEST_TRACKER_ID + 1] = 'e';
    ck_assert(read_exact(text, (size_t)begun + LONGEST_TRACKER_ID + 2));
    ck_assert_ptr_null(answer.tracker_id);
    /* Of an answer that is refused none is kept. */
    ck_assert(!read_exact(E("d5:peers1:x10:tracker id1:ae")));
    ck_assert_ptr_null(answer.tracker_id);
}
END_TEST

static void count_peer(void *user, berth_address address, uint16_t port)
{
    uint32_t *count = user;
    (void)address;
    (void)port;
    ++*count;
}

START_TEST(many_peers_and_deep_nesting)
{
    enum {
        PEERS = 170000
    };
    uint32_t count = 0;
    char *text = malloc(PEERS * 6 + 64);
    int begun = sprintf(text, "d5:peers%d:", PEERS * 6);
    memset(text + begun, 1, (size_t)PEERS * 6);
    text[begun + PEERS * 6] = 'e';
    ck_assert(announce_read(text, (size_t)begun + PEERS * 6 + 1, &answer, count_peer, &count, error,
                            sizeof(error)));
    ck_assert_uint_eq(count, PEERS);
    memset(text, 'l', (size_t)PEERS * 6);
    memcpy(text, "d5:peers", 8);
    ck_assert(!read_exact(text, (size_t)PEERS * 6));
    free(text);
}
END_TEST

int main(void)
{
    const int count = (int)(sizeof(cases) / sizeof(cases[0]));
    Suite *suite = suite_create("torrent_announce");
    TCase *tests = tcase_create("torrent_announce");
    tcase_add_test(tests, urls);
    tcase_add_test(tests, the_longest_url);
    tcase_add_loop_test(tests, known_answers, 0, count);
    tcase_add_loop_test(tests, cut_at_every_byte, 0, count);
    tcase_add_test(tests, texts_are_printable);
    tcase_add_test(tests, printable_fits);
    tcase_add_test(tests, ids_of_trackers);
    tcase_add_test(tests, many_peers_and_deep_nesting);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
