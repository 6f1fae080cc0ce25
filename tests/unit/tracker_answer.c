/*
 * What the tracker answers: right and malformed queries, both families, both forms of the list,
 * scrapes, and every size of the room for the answer.
 */
#include <check.h>

#include "../../examples/tracker/tracker_answer.c"

#include "../../examples/torrent/bencode.h"

#define HASH "info_hash=%01%02aaaaaaaaaaaaaaaaaa"
#define NOW 1000

static swarms *known;
static char body[TRACKER_MOST_BODY + 1];
static size_t size;

static void open_swarms(void)
{
    static const swarm_limits limits = {10000, 100, 1000};
    known = swarms_new(&limits, 5);
}

static void close_swarms(void)
{
    swarms_free(known);
}

static berth_address address_of(const char *text)
{
    berth_address address;
    ck_assert(berth_address_parse(text, &address));
    return address;
}

/* A copy of exactly the query's size, for the sanitizer to see a byte read too many. */
static void ask(bool scrape, const char *query, const char *address)
{
    size_t length = strlen(query);
    char *exact = malloc(length > 0 ? length : 1);
    memcpy(exact, query, length);
    http_text given = {exact, length};
    size = scrape
               ? tracker_scrape(known, given, body, TRACKER_MOST_BODY)
               : tracker_announce(known, given, address_of(address), NOW, body, TRACKER_MOST_BODY);
    free(exact);
    ck_assert_uint_le(size, TRACKER_MOST_BODY);
    body[size] = '\0';
}

static bencode root(void)
{
    bencode value;
    const char *why;
    size_t where;
    ck_assert(bencode_read(body, size, &value, &why, &where));
    ck_assert_uint_eq(value.size, size);
    return value;
}

static int64_t number_of(bencode dictionary, const char *key)
{
    int64_t number = -1;
    bencode_find_integer(dictionary, key, &number);
    return number;
}

static bool refused(const char *why)
{
    bencode reason;
    return bencode_find_string(root(), "failure reason", &reason) && bencode_same(reason, why);
}

/* ---- queries --------------------------------------------------------------------------------- */

#define NOT_20 "info_hash does not have 20 bytes"
#define NOT_A_PORT "port is not a number from 1 to 65535"

static const struct {
    const char *query, *why; /* NULL: it is taken */
} queries[] = {
    {HASH "&port=1", NULL},
    {"port=65535&" HASH, NULL},
    {"&&=&=x&x=&" HASH "&&port=1&", NULL},
    {HASH "&port=1&left=18446744073709551605", NULL},
    {HASH "&port=1&numwant=-1&compact=x&event=unknown&peer_id=zz&key=%", NULL},
    {HASH "&port=1&numwant=99999999999999999999999999", NULL},
    {HASH "&port=1&event=stopped", NULL},
    {"info_hash=%00%FF%aB%0a%25%26%3d%20%7f%80+++++++++++&port=1", NOT_20},
    {"info_hash=%00%FF%aB%0a%25%26%3d%20%7f%80++++++++++&port=1", NULL},
    {"", "info_hash is missing"},
    {"port=1", "info_hash is missing"},
    {"info_hash&port=1", NOT_20},
    {"info_hash=&port=1", NOT_20},
    {"INFO_HASH=aaaaaaaaaaaaaaaaaaaa&port=1", "info_hash is missing"},
    {"info_hash=aaaaaaaaaaaaaaaaaaa&port=1", NOT_20},
    {"info_hash=aaaaaaaaaaaaaaaaaaaaa&port=1", NOT_20},
    {"port=1&info_hash=aaaaaaaaaaaaaaaaaaa%", NOT_20},
    {"port=1&info_hash=aaaaaaaaaaaaaaaaaaa%1", NOT_20},
    {"port=1&info_hash=aaaaaaaaaaaaaaaaaaa%1g", NOT_20},
    {"port=1&info_hash=aaaaaaaaaaaaaaaaaaa%g1", NOT_20},
    {"port=1&info_hash=aaaaaaaaaaaaaaaaaaa%-1", NOT_20},
    {"port=1&info_hash=aaaaaaaaaaaaaaaaaaa%%%", NOT_20},
    {HASH, "port is missing"},
    {HASH "&port", NOT_A_PORT},
    {HASH "&port=", NOT_A_PORT},
    {HASH "&port=0", NOT_A_PORT},
    {HASH "&port=65536", NOT_A_PORT},
    {HASH "&port=18446744073709551617", NOT_A_PORT},
    {HASH "&port=-1", NOT_A_PORT},
    {HASH "&port=1x", NOT_A_PORT},
    {HASH "&port=%31", NOT_A_PORT},
    {HASH "&port=1&left=-1", "left is not a number"},
    {HASH "&port=1&left=", "left is not a number"},
    {HASH "&port=1&left=18446744073709551616", "left is not a number"},
};

START_TEST(queries_right_and_wrong)
{
    open_swarms();
    ask(false, queries[_i].query, "10.0.0.1");
    if (queries[_i].why)
        ck_assert(refused(queries[_i].why));
    else
        ck_assert_int_eq(number_of(root(), "interval"), SWARM_INTERVAL);
    for (size_t cut = 0; cut < strlen(queries[_i].query); cut++) {
        char query[256];
        snprintf(query, sizeof(query), "%.*s", (int)cut, queries[_i].query);
        ask(false, query, "::1");
        root();
        ask(true, query, NULL);
        root();
    }
    close_swarms();
}
END_TEST

/* ---- announces ------------------------------------------------------------------------------- */

START_TEST(the_first_is_alone)
{
    open_swarms();
    ask(false, HASH "&port=7000&left=5", "10.0.0.1");
    const char expected[] = "d8:completei0e10:incompletei1e8:intervali900e12:min intervali60e"
                            "5:peers0:6:peers60:e";
    ck_assert_uint_eq(size, strlen(expected));
    ck_assert_mem_eq(body, expected, size);
    close_swarms();
}
END_TEST

START_TEST(both_families)
{
    bencode peers;
    open_swarms();
    ask(false, HASH "&port=258&left=5", "10.0.0.1");
    ask(false, HASH "&port=772&left=5", "::ffff:10.0.0.2"); /* as a dual stack listener sees it */
    ask(false, HASH "&port=1286&left=5", "2001:db8::7");
    ask(false, HASH "&port=9&left=5", "::1");
    ck_assert_int_eq(number_of(root(), "incomplete"), 4);
    ck_assert(bencode_find_string(root(), "peers", &peers));
    ck_assert_uint_eq(peers.size, 12);
    bool first = memcmp(peers.data, "\x0a\0\0\x01\x01\x02", 6) == 0;
    ck_assert_mem_eq(peers.data + (first ? 6 : 0), "\x0a\0\0\x02\x03\x04", 6);
    ck_assert_mem_eq(peers.data + (first ? 0 : 6), "\x0a\0\0\x01\x01\x02", 6);
    ck_assert(bencode_find_string(root(), "peers6", &peers));
    ck_assert_uint_eq(peers.size, 18);
    ck_assert_mem_eq(peers.data, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x05\x06", 18);
    close_swarms();
}
END_TEST

START_TEST(as_dictionaries)
{
    bencode list;
    bencode entry;
    bencode ip;
    uint32_t found = 0;
    open_swarms();
    ask(false, HASH "&port=258&left=5", "10.0.0.1");
    ask(false, HASH "&port=1286&left=5", "2001:db8::7");
    ask(false, HASH "&port=9&left=0&compact=0", "10.0.0.3");
    ck_assert(bencode_find(root(), "peers", &list));
    ck_assert_int_eq(bencode_kind_of(list), BENCODE_LIST);
    bencode_walk walk = bencode_begin(list);
    while (bencode_next(&walk, NULL, &entry)) {
        ck_assert(bencode_find_string(entry, "ip", &ip));
        found |= bencode_same(ip, "10.0.0.1") && number_of(entry, "port") == 258 ? 1 : 0;
        found |= bencode_same(ip, "2001:db8::7") && number_of(entry, "port") == 1286 ? 2 : 0;
    }
    ck_assert_uint_eq(found, 3);
    ck_assert(!bencode_find(root(), "peers6", &list));
    close_swarms();
}
END_TEST

static size_t peers_in_answer(void)
{
    bencode peers;
    ck_assert(bencode_find_string(root(), "peers", &peers));
    ck_assert_uint_eq(peers.size % 6, 0);
    return peers.size / 6;
}

START_TEST(as_many_as_are_wanted)
{
    char query[128];
    open_swarms();
    for (int i = 1; i <= 300; i++) {
        snprintf(query, sizeof(query), "%s&port=%d&left=1", HASH, i);
        ask(false, query, "10.0.0.1");
    }
    ask(false, HASH "&port=1&left=1&numwant=0", "10.0.0.1");
    ck_assert_uint_eq(peers_in_answer(), 0);
    ask(false, HASH "&port=1&left=1&numwant=7", "10.0.0.1");
    ck_assert_uint_eq(peers_in_answer(), 7);
    ask(false, HASH "&port=1&left=1", "10.0.0.1");
    ck_assert_uint_eq(peers_in_answer(), USUAL_WANTED);
    ask(false, HASH "&port=1&left=1&numwant=-1", "10.0.0.1");
    ck_assert_uint_eq(peers_in_answer(), USUAL_WANTED);
    ask(false, HASH "&port=1&left=1&numwant=10000000000000000000", "10.0.0.1");
    ck_assert_uint_eq(peers_in_answer(), MOST_WANTED);
    ask(false, HASH "&port=1&event=stopped&numwant=50", "10.0.0.1");
    ck_assert_uint_eq(peers_in_answer(), 0);
    ck_assert_int_eq(number_of(root(), "incomplete"), 299);
    close_swarms();
}
END_TEST

START_TEST(what_is_said_of_completeness)
{
    open_swarms();
    ask(false, HASH "&port=1&left=1&event=completed", "10.0.0.1"); /* it is not */
    ask(false, HASH "&port=2", "10.0.0.2");                        /* it does not say */
    ask(false, HASH "&port=3&left=0&event=started", "10.0.0.3");
    ask(true, HASH, NULL);
    bencode files;
    ck_assert(bencode_find(root(), "files", &files));
    bencode_walk walk = bencode_begin(files);
    bencode file;
    ck_assert(bencode_next(&walk, NULL, &file));
    ck_assert_int_eq(number_of(file, "complete"), 1);
    ck_assert_int_eq(number_of(file, "incomplete"), 2);
    ck_assert_int_eq(number_of(file, "downloaded"), 0);
    for (int i = 0; i < 2; i++)
        ask(false, HASH "&port=1&left=0&event=completed", "10.0.0.1");
    ask(true, HASH, NULL);
    ck_assert_ptr_nonnull(strstr(body, "d8:completei2e10:downloadedi1e10:incompletei1ee"));
    close_swarms();
}
END_TEST

START_TEST(full_is_said)
{
    static const swarm_limits limits = {2, 1, 1};
    known = swarms_new(&limits, 5);
    ask(false, HASH "&port=1", "10.0.0.1");
    ask(false, HASH "&port=2", "10.0.0.1");
    ck_assert(refused("too many peers of this address"));
    ask(false, "info_hash=bbbbbbbbbbbbbbbbbbbb&port=2", "10.0.0.2");
    ck_assert(refused("the tracker is full"));
    close_swarms();
}
END_TEST

/* ---- scrapes --------------------------------------------------------------------------------- */

static char *scrape_of(int count)
{
    char *query = malloc((size_t)count * 64 + 1);
    char *at = query;
    *at = '\0';
    for (int i = count; i > 0; i--) /* not as they ascend */
        at += sprintf(at, "info_hash=aaaaaaaaaaaaaaaa%04d&", i);
    return query;
}

static size_t files_in_answer(void)
{
    bencode files;
    size_t count = 0;
    ck_assert(bencode_find(root(), "files", &files));
    bencode_walk walk = bencode_begin(files);
    bencode key;
    bencode file;
    bencode last = {0};
    while (bencode_next(&walk, &key, &file)) {
        ck_assert_uint_eq(key.size, 20);
        ck_assert(count == 0 || memcmp(last.data, key.data, 20) < 0);
        last = key;
        count++;
    }
    return count;
}

START_TEST(scrapes)
{
    open_swarms();
    for (int count = 1; count <= 66; count++) {
        char *query = scrape_of(count);
        ask(true, query, NULL);
        free(query);
        if (count <= 64)
            ck_assert_uint_eq(files_in_answer(), (size_t)count);
        else
            ck_assert(refused("more than 64 torrents are asked for"));
    }
    ask(true, HASH "&" HASH "&info_hash=aaaaaaaaaaaaaaaaaaaa&" HASH, NULL);
    ck_assert_uint_eq(files_in_answer(), 2);
    ask(true, "", NULL);
    ck_assert(refused("info_hash is missing"));
    ask(true, HASH "&info_hash=x", NULL);
    ck_assert(refused(NOT_20));
    close_swarms();
}
END_TEST

/* ---- room ------------------------------------------------------------------------------------ */

static size_t answer_into(int what, char *to, size_t room)
{
    static char *scrape;
    const char *const queries_of[] = {HASH "&port=1&left=1&numwant=200",
                                      HASH "&port=1&left=1&numwant=200&compact=0", ""};
    if (!scrape)
        scrape = scrape_of(64);
    http_text query = {queries_of[what % 3], strlen(queries_of[what % 3])};
    http_text all = {scrape, strlen(scrape)};
    return what == 2 ? tracker_scrape(known, all, to, room)
                     : tracker_announce(known, query, address_of("10.0.0.1"), NOW, to, room);
}

static void fill_with_long_ones(void)
{
    for (int i = 0; i < 250; i++) {
        char address[64];
        snprintf(address, sizeof(address), "2001:1db8:1111:1%03x:1111:1111:1111:1111", (unsigned)i);
        ask(false, HASH "&port=65535&left=1", address);
    }
}

/* However much room there is, nothing is written behind it, and what is said is whole. */
START_TEST(any_room)
{
    open_swarms();
    fill_with_long_ones();
    size_t whole = answer_into(_i, body, TRACKER_MOST_BODY);
    ck_assert_uint_gt(whole, 3000);
    ck_assert_uint_le(whole, TRACKER_MOST_BODY);
    for (size_t room = 0; room <= whole; room += room < 100 || room + 100 > whole ? 1 : 41) {
        char *exact = malloc(room + 8);
        memset(exact, '#', room + 8);
        size_t used = answer_into(_i, exact, room);
        ck_assert_uint_le(used, room);
        ck_assert_mem_eq(exact + room, "########", 8);
        memcpy(body, exact, used);
        size = used;
        free(exact);
        if (room == whole)
            ck_assert_uint_eq(used, whole);
        else if (used > 0)
            ck_assert(refused("the answer is too long"));
    }
    close_swarms();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tracker_answer");
    TCase *tests = tcase_create("tracker_answer");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, queries_right_and_wrong, 0,
                        (int)(sizeof(queries) / sizeof(queries[0])));
    tcase_add_test(tests, the_first_is_alone);
    tcase_add_test(tests, both_families);
    tcase_add_test(tests, as_dictionaries);
    tcase_add_test(tests, as_many_as_are_wanted);
    tcase_add_test(tests, what_is_said_of_completeness);
    tcase_add_test(tests, full_is_said);
    tcase_add_test(tests, scrapes);
    tcase_add_loop_test(tests, any_room, 0, 3);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
