/*
 * The choker of the Torrent example on a false clock: slots that are free are given at once, four
 * and one, ties in turn, and random programs against the rules.
 *
 * spec: S8.22
 */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../../examples/torrent/choker.c"

#include "torrent_pieces.h"

#define MOST 60

static choker_peer peers[MOST];
static choker_peer *order[MOST];
static choker self;

static void set_up(void)
{
    memset(peers, 0, sizeof(peers));
    for (size_t i = 0; i < MOST; i++)
        order[i] = &peers[i];
    choker_open(&self, 4, 0, 12345);
}

static uint32_t count_unchoked(void)
{
    uint32_t count = 0;
    for (size_t i = 0; i < MOST; i++)
        count += peers[i].unchoked;
    return count;
}

static uint32_t count_optimistic(void)
{
    uint32_t count = 0;
    for (size_t i = 0; i < MOST; i++)
        count += peers[i].optimistic;
    return count;
}

START_TEST(a_free_slot_is_given_at_once)
{
    ck_assert(!choker_fill(&self, 1, false, order, MOST)); /* nobody is interested */
    for (uint32_t i = 0; i < 8; i++) {
        peers[i].interested = true;
        ck_assert(choker_fill(&self, 1, false, order, MOST) == (i < 5));
        ck_assert_uint_eq(count_unchoked(), i < 5 ? i + 1 : 5);
    }
    ck_assert(!choker_fill(&self, 2, false, order, MOST));
    peers[2].interested = false; /* who is next gets its slot, and it is choked for that */
    ck_assert(choker_fill(&self, 3, false, order, MOST));
    ck_assert(!peers[2].unchoked);
    ck_assert_uint_eq(count_unchoked(), 5);
    memset(&peers[0], 0, sizeof(peers[0])); /* gone */
    ck_assert(choker_fill(&self, 3, false, order, MOST));
    ck_assert_uint_eq(count_unchoked(), 5);
}
END_TEST

START_TEST(an_idle_slot_stays_while_nobody_wants_it)
{
    peers[0].interested = true;
    ck_assert(choker_fill(&self, 0, false, order, MOST));
    peers[0].interested = false;
    ck_assert(!choker_fill(&self, 1, false, order, MOST));
    ck_assert(peers[0].unchoked);
    choker_round(&self, 10000, false, order, MOST);
    ck_assert(!peers[0].unchoked);
}
END_TEST

START_TEST(interest_in_turns_collects_no_slots)
{
    uint64_t random = 7;
    for (int step = 0; step < 20000; step++) {
        uint32_t who = draw_below(&random, MOST);
        peers[who].interested = !peers[who].interested;
        choker_fill(&self, 1, false, order, MOST);
        uint32_t wanting = 0;
        for (size_t i = 0; i < MOST; i++)
            wanting += peers[i].interested;
        HOLDS(count_unchoked() <= 5);
        HOLDS(count_optimistic() <= 1);
        if (wanting >= 5)
            HOLDS(count_unchoked() == 5);
    }
}
END_TEST

START_TEST(the_best_four_and_one)
{
    for (uint32_t i = 0; i < 20; i++)
        peers[i] = (choker_peer){.interested = i != 19, .from = i * 100, .to = (20 - i) * 100};
    choker_round(&self, 10000, false, order, MOST);
    for (uint32_t i = 15; i < 19; i++)
        ck_assert(peers[i].unchoked && !peers[i].optimistic);
    ck_assert(!peers[19].unchoked); /* the fastest, but it does not want anything */
    ck_assert_uint_eq(count_unchoked(), 5);
    ck_assert_uint_eq(count_optimistic(), 1);
    choker_round(&self, 20000, true, order, MOST);
    for (uint32_t i = 0; i < 4; i++)
        ck_assert(peers[i].unchoked && !peers[i].optimistic);
    ck_assert_uint_eq(count_unchoked(), 5);
}
END_TEST

START_TEST(snubbed_peers_go_last)
{
    for (uint32_t i = 0; i < 6; i++)
        peers[i] = (choker_peer){.interested = true, .from = 100 + i};
    peers[5].snubbed = true;
    choker_round(&self, 10000, false, order, MOST);
    for (uint32_t i = 1; i < 5; i++)
        ck_assert(peers[i].unchoked && !peers[i].optimistic);
    for (uint32_t i = 0; i < 4; i++)
        peers[i].interested = false;
    choker_round(&self, 20000, false, order, MOST); /* but a slot that is left over is theirs */
    ck_assert(peers[4].unchoked && peers[5].unchoked);
}
END_TEST

START_TEST(ties_are_served_in_turn)
{
    uint32_t served[7] = {0};
    self.next_optimistic = UINT64_MAX;
    for (uint32_t i = 0; i < 7; i++)
        peers[i].interested = true;
    for (uint64_t round = 1; round <= 70; round++) {
        choker_round(&self, round * 10000, _i, order, MOST);
        for (uint32_t i = 0; i < 7; i++)
            served[i] += peers[i].unchoked && !peers[i].optimistic;
    }
    /* 280 slots for six peers: the optimistic one is the same all the time. */
    for (uint32_t i = 0; i < 7; i++)
        if (!peers[i].optimistic)
            ck_assert(served[i] == 280 / 6 || served[i] == 280 / 6 + 1);
}
END_TEST

START_TEST(the_optimistic_one_changes_after_30_seconds)
{
    uint32_t times[30] = {0};
    uint32_t changes = 0;
    choker_peer *last = NULL;
    for (uint32_t i = 0; i < 30; i++) /* four that are good, and 26 others, of which 13 are new */
        peers[i] = (choker_peer){.interested = true, .from = i < 4 ? 1000 : 0};
    for (uint64_t round = 1; round <= 30000; round++) {
        for (uint32_t i = 17; i < 30; i++)
            peers[i].joined = round * 10000 - 5000;
        choker_round(&self, round * 10000, false, order, MOST);
        choker_peer *now = find_optimistic(order, MOST);
        HOLDS(now);
        changes += now != last;
        HOLDS(now == last || round % 3 == 0 || round == 1);
        last = now;
        times[now - peers]++;
    }
    HOLDS(changes >= 9000);
    uint32_t old = 0;
    uint32_t new = 0;
    for (uint32_t i = 4; i < 30; i++)
        *(i < 17 ? &old : &new) += times[i];
    HOLDS(new >= old * 27 / 10); /* three times as likely */
    HOLDS(new <= old * 33 / 10);
}
END_TEST

/* What must hold after each step, whatever happens. */
static void check_rules(void)
{
    uint32_t waiting = 0;
    uint32_t unchoked = 0;
    for (size_t i = 0; i < MOST; i++) {
        waiting += peers[i].interested && !peers[i].unchoked;
        unchoked += peers[i].unchoked;
        HOLDS(!peers[i].optimistic || peers[i].unchoked);
    }
    HOLDS(count_optimistic() <= 1);
    HOLDS(unchoked <= self.slots + 1);
    HOLDS(waiting == 0 || unchoked == self.slots + 1);
}

START_TEST(random_programs)
{
    uint64_t random = (uint64_t)_i + 1;
    uint64_t now = 0;
    choker_open(&self, draw_below(&random, 8), 0, random);
    for (int step = 0; step < 4000; step++) {
        choker_peer *peer = &peers[draw_below(&random, MOST)];
        now += draw_below(&random, 300);
        switch (draw_below(&random, 5)) {
        case 0: /* another one has its place */
            *peer = (choker_peer){.joined = now};
            break;
        case 1:
            peer->from = draw_below(&random, 4) * 1000;
            peer->to = draw_below(&random, 4) * 1000;
            break;
        case 2:
            peer->snubbed = !peer->snubbed;
            break;
        default:
            peer->interested = !peer->interested;
        }
        if (now >= self.next_round)
            choker_round(&self, now, _i % 2, order, MOST);
        else
            choker_fill(&self, now, _i % 2, order, MOST);
        check_rules();
        HOLDS(!choker_fill(&self, now, _i % 2, order, MOST));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_choker");
    TCase *tests = tcase_create("torrent_choker");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, a_free_slot_is_given_at_once);
    tcase_add_test(tests, an_idle_slot_stays_while_nobody_wants_it);
    tcase_add_test(tests, interest_in_turns_collects_no_slots);
    tcase_add_test(tests, the_best_four_and_one);
    tcase_add_test(tests, snubbed_peers_go_last);
    tcase_add_loop_test(tests, ties_are_served_in_turn, 0, 2);
    tcase_add_test(tests, the_optimistic_one_changes_after_30_seconds);
    tcase_add_loop_test(tests, random_programs, 0, 20);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
