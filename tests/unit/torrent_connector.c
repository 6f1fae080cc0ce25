/*
 * Whom the Torrent example dials, and when: on a false clock, with peers that are only counted.
 */
#include <time.h>

#include <check.h>

#include "../../examples/torrent/connector.c"

/* ---- what it needs --------------------------------------------------------------------------- */

typedef struct dial {
    berth_address address;
    const char *host;
    uint16_t port;
    uint32_t place;
} dial;

/* Where it is asked a million times: without check's note of each. */
#define HOLDS(condition)                    \
    do {                                    \
        if (!(condition))                   \
            ck_abort_msg("%s", #condition); \
    } while (0)

static uint64_t now;
static bool takes_peers;
static bool can_dial;
static berth_address banned;
static dial dials[8192];
static uint32_t dial_count;
static settings given;
static session shared;
static torrent owner;
static connector *self;

uint64_t session_now(const session *any)
{
    (void)any;
    return now;
}

bool torrent_takes_peers(const torrent *any)
{
    (void)any;
    return takes_peers;
}

blame_standing blame_look_up(const blame *any, berth_address address)
{
    (void)any;
    return berth_address_equal(address, banned) ? BLAME_BANNED : BLAME_TRUSTED;
}

bool peer_dial(torrent *any, berth_address address, uint16_t port, const char *host, uint32_t place)
{
    (void)any;
    if (!can_dial)
        return false;
    ck_assert_uint_lt(dial_count, sizeof(dials) / sizeof(dials[0]));
    dials[dial_count++] = (dial){address, host, port, place};
    shared.dialling++;
    shared.peers++;
    return true;
}

static void open_connector(void)
{
    now = 1000000;
    takes_peers = can_dial = true;
    banned = BERTH_ADDRESS_NULL;
    dial_count = 0;
    given = (settings){.most_dialling = 20};
    shared = (session){.settings = &given, .most_peers = 200};
    owner = (torrent){.session = &shared};
    self = connector_new(&owner);
}

static void close_connector(void)
{
    connector_free(self);
}

/* ---- how attempts go ------------------------------------------------------------------------- */

static void fails(const dial *it)
{
    shared.dialling--;
    shared.peers--;
    connector_ended(self, it->place, false);
}

static void connects(const dial *it)
{
    shared.dialling--;
    connector_connected(self, it->place);
}

static void leaves(const dial *it)
{
    shared.peers--;
    connector_ended(self, it->place, true);
}

static berth_address number_to_address(uint32_t number)
{
    return berth_address_ipv4(0x0a000000u + number);
}

static void hear(uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        connector_heard(self, number_to_address(i), 6881);
}

/* Dials what may be and returns how many that was. */
static uint32_t go(void)
{
    uint32_t before = dial_count;
    connector_go(self);
    return dial_count - before;
}

/* ---- tests ----------------------------------------------------------------------------------- */

START_TEST(each_is_dialled_once)
{
    uint8_t mapped[16] = {[10] = 0xff, 0xff, 10, 0, 0, 1};
    open_connector();
    connector_heard(self, number_to_address(1), 6881);
    connector_heard(self, number_to_address(1), 6881);
    connector_heard(self, berth_address_ipv6(mapped), 6881); /* the same */
    connector_heard(self, number_to_address(1), 6882);
    connector_heard(self, number_to_address(1), 0);
    connector_heard(self, BERTH_ADDRESS_LOOPBACK_IPV6, 6881);
    ck_assert_uint_eq(go(), 3);
    ck_assert_uint_eq(go(), 0);
    ck_assert(berth_address_equal(dials[0].address, number_to_address(1)));
    ck_assert_uint_eq(dials[0].port, 6881);
    ck_assert_uint_eq(dials[1].port, 6882);
    ck_assert(berth_address_equal(dials[2].address, BERTH_ADDRESS_LOOPBACK_IPV6));
    close_connector();
}
END_TEST

START_TEST(names_and_addresses_that_were_given)
{
    open_connector();
    connector_given(self, "10.0.0.1", 6881);
    connector_given(self, "::ffff:10.0.0.1", 6881);
    connector_given(self, "example.org", 6881);
    ck_assert_uint_eq(go(), 2);
    ck_assert_ptr_null(dials[0].host);
    ck_assert_str_eq(dials[1].host, "example.org");
    fails(&dials[1]);
    now += 30000;
    ck_assert_uint_eq(go(), 1);
    ck_assert_str_eq(dials[2].host, "example.org");
    close_connector();
}
END_TEST

START_TEST(limits)
{
    open_connector();
    hear(0, 100);
    ck_assert_uint_eq(go(), 20);
    connects(&dials[0]);
    ck_assert_uint_eq(go(), 1);
    shared.most_peers = 21;
    fails(&dials[1]);
    fails(&dials[2]);
    ck_assert_uint_eq(go(), 2);
    connects(&dials[3]);
    ck_assert_uint_eq(go(), 0); /* there are 21 */
    leaves(&dials[3]);
    takes_peers = false;
    ck_assert_uint_eq(go(), 0);
    takes_peers = true;
    ck_assert_uint_eq(go(), 1);
    close_connector();
}
END_TEST

START_TEST(the_wait_doubles_up_to_an_hour)
{
    static const uint64_t waits[] = {30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600};
    open_connector();
    hear(1, 1);
    ck_assert_uint_eq(go(), 1);
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        fails(&dials[dial_count - 1]);
        now += waits[i] * 1000 - 1;
        ck_assert_uint_eq(go(), 0);
        now += 1;
        ck_assert_uint_eq(go(), 1);
    }
    connects(&dials[dial_count - 1]);
    now += 1000000;
    ck_assert_uint_eq(go(), 0);
    leaves(&dials[dial_count - 1]);
    now += 29999;
    ck_assert_uint_eq(go(), 0);
    now += 1;
    ck_assert_uint_eq(go(), 1);
    fails(&dials[dial_count - 1]); /* the first failure again */
    now += 30000;
    ck_assert_uint_eq(go(), 1);
    self->places[0].failures = UINT16_MAX;
    fails(&dials[dial_count - 1]);
    ck_assert_uint_eq(self->places[0].failures, UINT16_MAX);
    ck_assert_uint_eq(self->places[0].again, now + 3600000);
    close_connector();
}
END_TEST

START_TEST(who_cannot_be_dialled_now_is_tried_later)
{
    open_connector();
    hear(1, 3);
    can_dial = false;
    ck_assert_uint_eq(go(), 0);
    can_dial = true;
    ck_assert_uint_eq(go(), 2);
    now += 30000;
    ck_assert_uint_eq(go(), 1);
    close_connector();
}
END_TEST

START_TEST(never_again)
{
    open_connector();
    hear(1, 3);
    banned = number_to_address(2);
    ck_assert_uint_eq(go(), 2);
    connector_never(self, dials[0].place);
    fails(&dials[0]);
    banned = BERTH_ADDRESS_NULL;
    now += 100000000;
    ck_assert_uint_eq(go(), 0);
    hear(1, 2);
    ck_assert_uint_eq(go(), 0);
    close_connector();
}
END_TEST

/* One after the other, and nobody twice before all have had their turn. */
START_TEST(all_get_their_turn)
{
    static uint32_t times[200];
    open_connector();
    memset(times, 0, sizeof(times));
    hear(0, 200);
    for (uint32_t seen = 0; seen < 1000 && dial_count < 2000;) {
        go();
        for (; seen < dial_count; seen++) {
            uint32_t round = times[dials[seen].place]++;
            for (uint32_t i = 0; i < 200; i++)
                HOLDS(times[i] >= round);
        }
        for (uint32_t i = dial_count - 20; i < dial_count; i++) {
            connects(&dials[i]);
            leaves(&dials[i]);
        }
        now += 10000;
    }
    close_connector();
}
END_TEST

START_TEST(the_failed_make_room)
{
    open_connector();
    connector_given(self, "example.org", 1);
    hear(0, MOST_PLACES - 1);
    ck_assert_uint_eq(go(), 20);
    hear(5000, 1000); /* nobody has failed: nobody goes */
    ck_assert_uint_eq(self->count, MOST_PLACES);
    for (uint32_t i = 0; i < MOST_PLACES; i++)
        ck_assert_uint_lt(berth_address_is_null(self->places[i].address)
                              ? 0
                              : self->places[i].address.bytes[14] * 256u +
                                    self->places[i].address.bytes[15],
                          MOST_PLACES);
    for (uint32_t i = 0; i < 10; i++) /* the name is one of them */
        fails(&dials[i]);
    hear(6000, 1000);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < MOST_PLACES; i++)
        kept += !self->places[i].host && self->places[i].failures > 0;
    ck_assert_uint_eq(kept, 0);
    ck_assert_str_eq(self->places[0].host, "example.org");
    hear(1, 2); /* forgotten and heard of again: no room */
    for (uint32_t i = 10; i < 20; i++)
        ck_assert(self->places[dials[i].place].used);
    close_connector();
}
END_TEST

static uint32_t random_below(uint32_t *random, uint32_t below)
{
    *random = *random * 1664525 + 1013904223;
    return (*random >> 8) % below;
}

/* The table finds what is in the places, and nothing else. */
static void check_table(void)
{
    uint32_t chained = 0;
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        for (uint16_t at = self->table[i]; at != NOWHERE; at = self->places[at].chain) {
            HOLDS(at < self->count);
            HOLDS(!self->places[at].host);
            HOLDS(++chained <= self->count);
        }
    }
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->places[i].host)
            chained++;
        else
            HOLDS(is_known(self, &self->places[i].address, self->places[i].port));
    }
    ck_assert_uint_eq(chained, self->count);
}

/* Whatever happens: no place is dialled while it is in use or before its time. */
START_TEST(random_sequences)
{
    static bool in_use[MOST_PLACES];
    uint32_t random = (uint32_t)_i;
    uint32_t total = 0;
    open_connector();
    memset(in_use, 0, sizeof(in_use));
    for (int round = 0; round < 3000; round++) {
        uint32_t before = dial_count;
        uint32_t what = random_below(&random, 8);
        if (what < 3)
            hear(random_below(&random, 100000), random_below(&random, 40));
        else if (what == 3)
            now += random_below(&random, 40000);
        total += go();
        ck_assert_uint_le(shared.dialling, 20);
        ck_assert_uint_le(shared.peers, 200);
        for (uint32_t i = before; i < dial_count; i++) {
            HOLDS(self->places[dials[i].place].again <= now);
            HOLDS(!in_use[dials[i].place]);
            in_use[dials[i].place] = true;
        }
        for (uint32_t i = dial_count; i-- > 0;) {
            dial it = dials[i];
            if (random_below(&random, 10) != 0)
                continue;
            in_use[it.place] = false;
            dials[i] = dials[--dial_count];
            if (random_below(&random, 3) == 0) {
                connects(&it);
                leaves(&it);
            } else {
                fails(&it);
            }
        }
        if (round % 64 == 0)
            check_table();
    }
    check_table();
    ck_assert_uint_gt(total, 1000);
    close_connector();
}
END_TEST

/* As many as a body of 1 MiB names. A walk through the places for each would take a second. */
START_TEST(a_hundred_thousand_addresses)
{
    struct timespec began;
    struct timespec ended;
    open_connector();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
    hear(0, 175000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
    ck_assert_uint_eq(self->count, MOST_PLACES);
    ck_assert_int_lt(ended.tv_sec - began.tv_sec, 2);
    check_table();
    close_connector();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_connector");
    TCase *tests = tcase_create("torrent_connector");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, each_is_dialled_once);
    tcase_add_test(tests, names_and_addresses_that_were_given);
    tcase_add_test(tests, limits);
    tcase_add_test(tests, the_wait_doubles_up_to_an_hour);
    tcase_add_test(tests, who_cannot_be_dialled_now_is_tried_later);
    tcase_add_test(tests, never_again);
    tcase_add_test(tests, all_get_their_turn);
    tcase_add_test(tests, the_failed_make_room);
    tcase_add_loop_test(tests, random_sequences, 0, 4);
    tcase_add_test(tests, a_hundred_thousand_addresses);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
