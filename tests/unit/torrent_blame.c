/*
 * Who is blamed for bad pieces in the Torrent example: known courses, a bad peer among good ones
 * in simulated downloads, and bounds of what is remembered.
 *
 * spec: S8.23
 */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../../examples/torrent/blame.c"

#include "torrent_pieces.h"

#define BLOCKS 8u

static metainfo info;
static blame *self;
static berth_address banned[8];

static void set_up(void)
{
    info = pieces_of(1000 * (uint64_t)BLOCKS * BLOCK_SIZE, BLOCKS * BLOCK_SIZE);
    self = blame_new(&info);
}

static void tear_down(void)
{
    blame_free(self);
}

static berth_address peer(uint32_t number)
{
    return berth_address_ipv4(0x0a4d0000 + number);
}

/* A piece whose blocks come from `count` peers in turn, beginning with `first`. */
static void send_piece(uint32_t index, uint32_t first, uint32_t count)
{
    for (uint32_t block = 0; block < BLOCKS; block++)
        HOLDS(blame_block(self, peer(first + block % count), index, block));
}

static void assert_standing(uint32_t first, uint32_t count, blame_standing standing)
{
    for (uint32_t i = first; i < first + count; i++)
        ck_assert_int_eq(blame_look_up(self, peer(i)), standing);
}

START_TEST(one_contributor_is_banned)
{
    send_piece(7, 1, 1);
    ck_assert_uint_eq(blame_result(self, 7, false, banned, 8), 1);
    ck_assert(berth_address_equal(banned[0], peer(1)));
    assert_standing(1, 1, BLAME_BANNED);
    assert_standing(2, 1, BLAME_TRUSTED);
}
END_TEST

START_TEST(several_go_on_parole)
{
    send_piece(0, 1, 3);
    ck_assert_uint_eq(blame_result(self, 0, false, banned, 8), 0);
    assert_standing(1, 3, BLAME_PAROLE);
    send_piece(1, 1, 1);
    ck_assert_uint_eq(blame_result(self, 1, true, banned, 8), 0);
    send_piece(2, 2, 2); /* good, but not alone: says nothing */
    ck_assert_uint_eq(blame_result(self, 2, true, banned, 8), 0);
    assert_standing(1, 1, BLAME_TRUSTED);
    assert_standing(2, 2, BLAME_PAROLE);
    send_piece(3, 3, 1);
    ck_assert_uint_eq(blame_result(self, 3, false, banned, 8), 1);
    assert_standing(3, 1, BLAME_BANNED);
}
END_TEST

START_TEST(old_blocks_are_nobodys)
{
    blame_old_blocks(self, 5);
    send_piece(5, 1, 1);
    ck_assert_uint_eq(blame_result(self, 5, false, banned, 8), 0);
    for (uint32_t block = 1; block < BLOCKS; block++) /* and so is one nobody spoke of */
        blame_block(self, peer(1), 6, block);
    ck_assert_uint_eq(blame_result(self, 6, false, banned, 8), 0);
    ck_assert_uint_eq(blame_result(self, 7, false, banned, 8), 0);
    assert_standing(1, 1, BLAME_TRUSTED);
    send_piece(5, 1, 1); /* all of it anew */
    ck_assert_uint_eq(blame_result(self, 5, false, banned, 8), 1);
}
END_TEST

START_TEST(a_block_that_came_again)
{
    send_piece(0, 1, 2);
    send_piece(0, 3, 1); /* nothing of the first two is left */
    ck_assert_uint_eq(blame_result(self, 0, false, banned, 8), 1);
    assert_standing(3, 1, BLAME_BANNED);
    assert_standing(1, 2, BLAME_TRUSTED);
    ck_assert_uint_eq(self->suspect_count, 1);
}
END_TEST

START_TEST(others_are_not_suspected_beside_a_banned_one)
{
    send_piece(0, 1, 4);
    blame_ban(self, peer(4));
    ck_assert_uint_eq(blame_result(self, 0, false, banned, 8), 0);
    assert_standing(1, 3, BLAME_TRUSTED);
}
END_TEST

START_TEST(the_third_violation_bans)
{
    ck_assert_int_eq(blame_violation(self, peer(1)), BLAME_TRUSTED);
    ck_assert_int_eq(blame_violation(self, peer(1)), BLAME_TRUSTED);
    ck_assert_int_eq(blame_violation(self, peer(2)), BLAME_TRUSTED);
    ck_assert_int_eq(blame_violation(self, peer(1)), BLAME_BANNED);
    ck_assert_int_eq(blame_violation(self, peer(1)), BLAME_BANNED);
    assert_standing(2, 1, BLAME_TRUSTED);
}
END_TEST

START_TEST(results_fit_into_the_room_given)
{
    send_piece(0, 1, 1);
    ck_assert_uint_eq(blame_result(self, 0, false, NULL, 0), 0);
    assert_standing(1, 1, BLAME_BANNED);
    ck_assert(!blame_block(self, peer(1), 0, BLOCKS)); /* no such block */
}
END_TEST

/* Downloads until the bad peers are banned: shared pieces as long as there are two to share them,
 * and pieces alone for those on parole. Good peers are never banned. */
START_TEST(one_bad_peer_among_five)
{
    uint64_t random = (uint64_t)_i + 1;
    uint32_t bad = 1 + draw_below(&random, 5);
    uint32_t chance = _i % 2 ? 1 : 3; /* wrong in every piece, or in every third one */
    uint32_t failed = 0;
    uint32_t index = 0;
    for (; index < 1000 && blame_look_up(self, peer(bad)) != BLAME_BANNED; index++) {
        bool good = true;
        uint32_t first = 1 + draw_below(&random, 5);
        for (uint32_t block = 0; block < BLOCKS; block++) {
            uint32_t from = first;
            if (blame_look_up(self, peer(first)) == BLAME_TRUSTED) {
                uint32_t other = 1 + draw_below(&random, 5);
                from = blame_look_up(self, peer(other)) == BLAME_TRUSTED ? other : first;
            }
            good &= from != bad || draw_below(&random, chance * BLOCKS) >= BLOCKS;
            ck_assert(blame_block(self, peer(from), index, block));
        }
        failed += !good;
        uint32_t count = blame_result(self, index, good, banned, 8);
        for (uint32_t i = 0; i < count; i++)
            ck_assert(berth_address_equal(banned[i], peer(bad)));
    }
    assert_standing(bad, 1, BLAME_BANNED);
    ck_assert_uint_le(failed, 40);
    ck_assert_uint_le(index, 100);
}
END_TEST

START_TEST(what_is_remembered_is_bounded)
{
    send_piece(0, 1, BLOCKS);
    for (uint32_t i = 0; i < 100000; i++) {
        blame_violation(self, peer(1000 + i));
        HOLDS(self->suspect_count <= MOST_SUSPECTS);
    }
    HOLDS(blame_result(self, 0, false, banned, 8) == 0);
    assert_standing(1, BLOCKS, BLAME_PAROLE); /* those of pieces under way were kept */
}
END_TEST

START_TEST(good_peers_leave_nothing_behind)
{
    for (uint32_t index = 0; index < 1000; index++) {
        send_piece(index, index * 10, 8);
        HOLDS(blame_result(self, index, true, banned, 8) == 0);
    }
    HOLDS(self->suspect_count == 0);
}
END_TEST

START_TEST(both_families)
{
    uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8};
    blame_ban(self, berth_address_ipv6(bytes));
    ck_assert_int_eq(blame_look_up(self, berth_address_ipv6(bytes)), BLAME_BANNED);
    ck_assert_int_eq(blame_look_up(self, berth_address_ipv4(0x20010db8)), BLAME_TRUSTED);
    bytes[15] = 1;
    ck_assert_int_eq(blame_look_up(self, berth_address_ipv6(bytes)), BLAME_TRUSTED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_blame");
    TCase *tests = tcase_create("torrent_blame");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, one_contributor_is_banned);
    tcase_add_test(tests, several_go_on_parole);
    tcase_add_test(tests, old_blocks_are_nobodys);
    tcase_add_test(tests, a_block_that_came_again);
    tcase_add_test(tests, others_are_not_suspected_beside_a_banned_one);
    tcase_add_test(tests, the_third_violation_bans);
    tcase_add_test(tests, results_fit_into_the_room_given);
    tcase_add_loop_test(tests, one_bad_peer_among_five, 0, 20);
    tcase_add_test(tests, what_is_remembered_is_bounded);
    tcase_add_test(tests, good_peers_leave_nothing_behind);
    tcase_add_test(tests, both_families);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
