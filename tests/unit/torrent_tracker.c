/*
 * When the Torrent example announces what to which tracker: on a false clock, and with requests
 * that are answered here.
 */
#include <check.h>

#include <berth/berth.h>

#include "../../examples/torrent/http.h"

/* ---- a clock and requests that are false ------------------------------------------------------
 */

static uint64_t present;
static uint64_t due; /* 0: the timer does not run */
static berth_timer_handler expired;
static void *expired_user;

static berth_timer *false_timer_new(berth_loop *loop, berth_timer_handler handler, void *user)
{
    (void)loop;
    expired = handler;
    expired_user = user;
    return (berth_timer *)&due;
}

static void false_timer_start(berth_timer *timer, uint64_t delay, uint64_t repeat)
{
    (void)timer;
    ck_assert_uint_eq(repeat, 0);
    due = present + delay;
}

static void false_timer_free(berth_timer *timer)
{
    (void)timer;
    due = 0;
}

static uint64_t false_now(berth_loop *loop)
{
    (void)loop;
    return present;
}

#define berth_timer_new false_timer_new
#define berth_timer_start false_timer_start
#define berth_timer_free false_timer_free
#define berth_loop_now false_now

#include "../../examples/torrent/announce.c"
#include "../../examples/torrent/tracker.c"

struct http_get {
    http_handler handler;
    void *user;
    char url[2000];
};

static http_get *asked; /* the request that is under way */
static berth_address local;

http_get *http_get_new(berth_loop *loop, const char *url, const char *user_agent, route *way,
                       http_handler handler, void *user)
{
    (void)loop;
    (void)user_agent;
    (void)way;
    if (strstr(url, "malformed") || strncasecmp(url, "http", 4) != 0) {
        errno = strstr(url, "malformed") ? EINVAL : ENOTSUP;
        return NULL;
    }
    ck_assert_ptr_null(asked); /* one at a time */
    asked = calloc(1, sizeof(*asked));
    asked->handler = handler;
    asked->user = user;
    snprintf(asked->url, sizeof(asked->url), "%s", url);
    return asked;
}

void http_get_free(http_get *request)
{
    if (request == asked)
        asked = NULL;
    free(request);
}

berth_address http_get_local_address(const http_get *request)
{
    (void)request;
    return local;
}

/* ---- what is said ---------------------------------------------------------------------------- */

static uint32_t peer_count;
static uint32_t lines;
static uint32_t bad_lines;
static uint32_t closings;
static tracker *self;

static void on_numbers(void *user, tracker_numbers *ret_numbers)
{
    (void)user;
    *ret_numbers = (tracker_numbers){1, 2, 3, 50};
}

static void on_peer(void *user, berth_address address, uint16_t port)
{
    (void)user;
    (void)address;
    (void)port;
    peer_count++;
}

static void on_announced(void *user, bool ok, const char *text)
{
    (void)user;
    ck_assert(strncmp(text, "tracker ", 8) == 0);
    lines++;
    bad_lines += !ok;
}

static void on_closed(void *user)
{
    (void)user;
    closings++;
    self = NULL;
}

static const tracker_handlers handlers = {on_numbers, on_peer, on_announced, on_closed};

#define MOST 8

/* URLs in tiers: "http://a http://b|http://c" has two tiers. */
static void open_tracker(const char *tiers)
{
    static char *urls[MOST];
    static uint32_t tier_of[MOST];
    static const uint8_t peer_id[PEER_ID_SIZE + 1] = "-BE0100-abcdefghijkl";
    metainfo info = {.trackers = urls, .tiers = tier_of};
    static char text[400];
    uint32_t tier = 0;
    snprintf(text, sizeof(text), "%s", tiers);
    for (char *at = text; *at;) {
        size_t size = strcspn(at, " |");
        char end = at[size];
        at[size] = '\0';
        urls[info.tracker_count] = at;
        tier_of[info.tracker_count++] = tier;
        tier += end == '|';
        at += size + (end != '\0');
    }
    present = 5000;
    due = 0;
    asked = NULL;
    peer_count = lines = bad_lines = closings = 0;
    local = berth_address_ipv4(0x0a000001);
    self = tracker_new(NULL, &info, peer_id, 6881, NULL, &handlers, NULL);
    ck_assert_ptr_nonnull(self);
}

static void expire(void)
{
    ck_assert_uint_ne(due, 0);
    present = due > present ? due : present;
    due = 0;
    expired(NULL, expired_user);
}

/* Lets the timer expire, and returns after how many seconds it did. */
static uint64_t wait_for_timer(void)
{
    uint64_t before = present;
    expire();
    return (present - before) / 1000;
}

static bool is_asked(const char *tracker, const char *event)
{
    char parameter[32];
    if (!asked || strncmp(asked->url, tracker, strlen(tracker)) != 0)
        return false;
    snprintf(parameter, sizeof(parameter), "&event=%s", event ? event : "");
    return event ? strstr(asked->url, parameter) != NULL : strstr(asked->url, "event") == NULL;
}

static void reply(const char *body)
{
    asked->handler(asked, asked->user, body, strlen(body), NULL);
}

static void refuse(void)
{
    asked->handler(asked, asked->user, NULL, 0, "connection refused");
}

static void close_tracker(void)
{
    tracker_close(self, 5000);
    while (self)
        expire();
    ck_assert_uint_eq(closings, 1);
    ck_assert_ptr_null(asked);
}

/* ---- tests ----------------------------------------------------------------------------------- */

START_TEST(events_in_order)
{
    open_tracker("http://a/");
    tracker_start(self);
    ck_assert_uint_eq(wait_for_timer(), 0);
    ck_assert(is_asked("http://a/", "started"));
    reply("d8:intervali900ee");
    ck_assert_uint_eq(wait_for_timer(), 900);
    ck_assert(is_asked("http://a/", NULL));
    tracker_complete(self); /* while a request is under way */
    reply("d8:intervali900ee");
    ck_assert_uint_eq(wait_for_timer(), 0);
    ck_assert(is_asked("http://a/", "completed"));
    reply("d8:intervali900ee");
    ck_assert_uint_eq(wait_for_timer(), 900);
    ck_assert(is_asked("http://a/", NULL));
    reply("d8:intervali900ee");
    tracker_close(self, 5000);
    ck_assert(is_asked("http://a/", "stopped"));
    ck_assert_ptr_nonnull(strstr(asked->url, "numwant=0"));
    ck_assert_uint_eq(closings, 0);
    reply("de");
    ck_assert_uint_eq(closings, 1);
}
END_TEST

START_TEST(completed_at_the_end)
{
    open_tracker("http://a/");
    tracker_start(self);
    expire();
    reply("de");
    tracker_complete(self);
    tracker_close(self, 5000);
    ck_assert(is_asked("http://a/", "completed"));
    reply("de");
    ck_assert(is_asked("http://a/", "stopped"));
    reply("de");
    ck_assert_uint_eq(closings, 1);
}
END_TEST

START_TEST(an_end_takes_its_time_at_most)
{
    open_tracker("http://a/");
    tracker_start(self);
    expire();
    reply("de");
    tracker_close(self, 5000);
    ck_assert_uint_eq(wait_for_timer(), 5);
    ck_assert_uint_eq(closings, 1);
    ck_assert_ptr_null(asked);
}
END_TEST

/* Who has not been asked is not told; closed is called all the same, and not inside. */
START_TEST(an_end_without_a_beginning)
{
    open_tracker("http://a/");
    tracker_close(self, 5000);
    ck_assert_uint_eq(closings, 0);
    ck_assert_uint_eq(wait_for_timer(), 0);
    ck_assert_uint_eq(closings, 1);
    open_tracker("http://a/");
    tracker_start(self);
    expire();
    local = BERTH_ADDRESS_NULL; /* it was not connected yet */
    tracker_close(self, 5000);
    ck_assert_ptr_null(asked);
    ck_assert_uint_eq(wait_for_timer(), 0);
    ck_assert_uint_eq(closings, 1);
}
END_TEST

START_TEST(who_may_know_is_told)
{
    open_tracker("http://a/");
    tracker_start(self);
    expire();
    tracker_complete(self);
    tracker_close(self, 5000); /* "started" was sent, and not answered */
    ck_assert(is_asked("http://a/", "completed"));
    reply("de");
    ck_assert(is_asked("http://a/", "stopped"));
    reply("de");
    ck_assert_uint_eq(closings, 1);
    open_tracker("http://a/");
    tracker_start(self);
    expire();
    reply("de");
    tracker_complete(self);
    expire();
    ck_assert(is_asked("http://a/", "completed"));
    tracker_close(self, 5000); /* "completed" was sent: it is not said twice */
    ck_assert(is_asked("http://a/", "stopped"));
    refuse();
    ck_assert_uint_eq(closings, 1);
}
END_TEST

START_TEST(each_that_knows_is_told)
{
    open_tracker("http://a/|http://b/|http://c/");
    tracker_start(self);
    expire();
    reply("de");
    expire();
    refuse();
    ck_assert(is_asked("http://b/", "started"));
    reply("de");
    tracker_close(self, 5000);
    ck_assert(is_asked("http://a/", "stopped"));
    refuse();
    ck_assert(is_asked("http://b/", "stopped"));
    reply("de");
    ck_assert_uint_eq(closings, 1);
    ck_assert_ptr_null(asked);
}
END_TEST

START_TEST(tiers)
{
    open_tracker("http://a/ http://b/ http://c/|http://d/");
    tracker_start(self);
    expire();
    char first[16];
    char second[16];
    snprintf(first, sizeof(first), "%.9s", asked->url);
    refuse();
    snprintf(second, sizeof(second), "%.9s", asked->url);
    ck_assert_str_ne(first, second);
    reply("d8:intervali60ee"); /* it moves to the front of its tier */
    ck_assert_uint_eq(wait_for_timer(), 60);
    ck_assert(is_asked(second, NULL));
    refuse();
    ck_assert(is_asked(first, "started"));
    refuse();
    ck_assert(!is_asked("http://d/", "started"));
    refuse();
    ck_assert(is_asked("http://d/", "started"));
    reply("d8:intervali60ee");
    ck_assert_uint_eq(wait_for_timer(), 60); /* the front again, not d */
    ck_assert(is_asked(second, NULL));
    close_tracker();
}
END_TEST

START_TEST(the_wait_doubles_up_to_half_an_hour)
{
    static const uint64_t waits[] = {30, 60, 120, 240, 480, 960, 1800, 1800, 1800};
    open_tracker("http://a/|http://b/");
    tracker_start(self);
    expire();
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
            ck_assert(is_asked("http://a/", round ? NULL : "started"));
            refuse();
            ck_assert(is_asked("http://b/", "started"));
            refuse();
            ck_assert_ptr_null(asked);
            for (int second = 0; second < 5; second++) {
                present += 1000;
                tracker_more(self); /* must not make it shorter */
            }
            ck_assert_uint_eq(wait_for_timer() + 5, waits[i]);
        }
        reply("d8:intervali30ee"); /* from then on it is short again */
        expire();
    }
    close_tracker();
}
END_TEST

START_TEST(intervals)
{
    static const struct {
        const char *answer;
        uint64_t interval, more;
    } known[] = {
        {"d8:intervali0ee", 30, 30},
        {"d8:intervali-5ee", 30, 30},
        {"d8:intervali1000000000000ee", 7200, 7200},
        {"d8:intervali900e12:min intervali60ee", 900, 60},
        {"d8:intervali60e12:min intervali900ee", 900, 900},
        {"de", 1800, 1800},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        open_tracker("http://a/");
        tracker_start(self);
        tracker_more(self);
        expire();
        tracker_more(self);
        reply(known[i].answer);
        ck_assert_uint_eq(due, present + known[i].interval * 1000);
        present += known[i].more * 1000 - 1;
        tracker_more(self);
        ck_assert_uint_ge(due, present + 1);
        present += 1;
        tracker_more(self);
        ck_assert_uint_eq(due, present);
        close_tracker();
    }
}
END_TEST

START_TEST(what_cannot_be_asked_is_said_once)
{
    open_tracker("ftp://a/|udp://b/|http://malformed/|HTTP://c/");
    tracker_start(self);
    expire();
    ck_assert_uint_eq(bad_lines, 3);
    ck_assert(is_asked("HTTP://c/", "started"));
    refuse();
    ck_assert_uint_eq(bad_lines, 4);
    expire();
    ck_assert_uint_eq(bad_lines, 4);
    reply("de");
    ck_assert_uint_eq(lines, 5);
    close_tracker();
    open_tracker("ftp://a/|udp://b/");
    tracker_start(self);
    for (int i = 0; i < 10; i++)
        expire();
    ck_assert_uint_eq(bad_lines, 2);
    close_tracker();
}
END_TEST

START_TEST(peers_and_itself)
{
    static char text[20000];
    open_tracker("http://a/");
    tracker_start(self);
    expire();
    reply("d5:peersld2:ip8:10.0.0.14:porti6881eed2:ip8:10.0.0.14:porti6882ee"
          "d2:ip15:::ffff:10.0.0.14:porti6881eed2:ip8:10.0.0.24:porti6881eeee");
    ck_assert_uint_eq(peer_count, 2);
    expire();
    int begun = snprintf(text, sizeof(text), "d5:peers18000:");
    memset(text + begun, 1, 18000);
    text[begun + 18000] = 'e';
    reply(text);
    ck_assert_uint_eq(peer_count, 2 + MOST_PEERS);
    close_tracker();
}
END_TEST

START_TEST(the_id_of_a_tracker_is_its_own)
{
    open_tracker("http://a/|http://b/");
    tracker_start(self);
    expire();
    reply("d10:tracker id3:a&be");
    expire();
    ck_assert_ptr_nonnull(strstr(asked->url, "&trackerid=a%26b"));
    refuse();
    ck_assert_ptr_null(strstr(asked->url, "trackerid"));
    reply("de");
    expire();
    ck_assert_ptr_nonnull(strstr(asked->url, "&trackerid=a%26b")); /* until it gives another one */
    close_tracker();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_tracker");
    TCase *tests = tcase_create("torrent_tracker");
    tcase_add_test(tests, events_in_order);
    tcase_add_test(tests, completed_at_the_end);
    tcase_add_test(tests, an_end_takes_its_time_at_most);
    tcase_add_test(tests, an_end_without_a_beginning);
    tcase_add_test(tests, who_may_know_is_told);
    tcase_add_test(tests, each_that_knows_is_told);
    tcase_add_test(tests, tiers);
    tcase_add_test(tests, the_wait_doubles_up_to_half_an_hour);
    tcase_add_test(tests, intervals);
    tcase_add_test(tests, what_cannot_be_asked_is_said_once);
    tcase_add_test(tests, peers_and_itself);
    tcase_add_test(tests, the_id_of_a_tracker_is_its_own);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
