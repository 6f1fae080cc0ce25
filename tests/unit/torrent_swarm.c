/*
 * Whole downloads of the Torrent example's picker from simulated peers, on a false clock: few
 * blocks come twice, the end does not wait for a slow peer, rare pieces are there when their only
 * peer leaves, and torrents of a million pieces cost no more than small ones.
 *
 * A peer sends what it was asked for in that order, at its rate; requests, blocks and cancels take
 * its latency. Each block that comes is asked anew as far as the pipeline of one second allows.
 *
 * spec: S8.21 S8.23
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../../examples/torrent/blame.c"
#include "../../examples/torrent/choose.c"
#include "../../examples/torrent/picker.c"
#include "../../examples/torrent/speed.c"

#include "torrent_pieces.h"

#define PEERS 12u
#define QUEUE 2048u
#define TICK 5u /* milliseconds */

typedef struct sent {
    picker_block block;
    uint64_t at;        /* when it reaches the other side */
    uint64_t cancel_at; /* when a cancel of it does */
} sent;

typedef struct remote {
    uint32_t rate; /* bytes a second */
    uint32_t latency;
    double credit; /* bytes that it could have sent */
    sent asked[QUEUE];
    uint32_t first_asked;
    uint32_t end_asked;
    sent coming[QUEUE];
    uint32_t first_coming;
    uint32_t end_coming;
    uint64_t block_at;
    speed speed;
    bits has;
    bool seed;
} remote;

static remote peers[PEERS];
static metainfo info;
static bits have;
static picker *self;
static uint64_t now;
static uint64_t duplicates;
static uint32_t liar = PEERS; /* sends wrong bytes */
static bits wrong;            /* pieces with some of them */
static blame *judge_of;
static uint32_t failures;

static berth_address address_of(uint32_t number)
{
    return berth_address_ipv4(0x0a4d0000 + number);
}

static blame_standing standing_of(uint32_t number)
{
    return judge_of ? blame_look_up(judge_of, address_of(number)) : BLAME_TRUSTED;
}

static void ask_peer(uint32_t number)
{
    remote *it = &peers[number];
    picker_block blocks[500];
    if (standing_of(number) == BLAME_BANNED)
        return;
    uint32_t pipeline = speed_recent(&it->speed, now) / BLOCK_SIZE;
    bool snubbed = now - it->block_at > 30000 && picker_in_flight(self, number) > 0;
    if (snubbed)
        picker_gave_up_all(self, number);
    pipeline = snubbed ? 1 : pipeline < 4 ? 4 : pipeline > 500 ? 500 : pipeline;
    if (picker_in_flight(self, number) >= pipeline)
        return;
    if (picker_in_flight(self, number) == 0)
        it->block_at = now;
    uint32_t count =
        picker_pick(self, number, &it->has, it->seed, standing_of(number) == BLAME_PAROLE, NULL,
                    blocks, pipeline - picker_in_flight(self, number));
    for (uint32_t i = 0; i < count && it->end_asked - it->first_asked < QUEUE; i++)
        it->asked[it->end_asked++ % QUEUE] = (sent){blocks[i], now + it->latency, UINT64_MAX};
}

static void cancel(uint32_t number, picker_block block)
{
    remote *it = &peers[number];
    for (uint32_t at = it->first_asked; at != it->end_asked; at++)
        if (it->asked[at % QUEUE].block.index == block.index &&
            it->asked[at % QUEUE].block.block == block.block)
            it->asked[at % QUEUE].cancel_at = now + it->latency;
}

static void receive(uint32_t number, picker_block block)
{
    uint32_t others[MOST_ASKERS];
    uint32_t count;
    peers[number].block_at = now;
    speed_add(&peers[number].speed, now, BLOCK_SIZE);
    if (picker_received(self, number, block, others, &count) != PICKER_STORE) {
        duplicates++;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        cancel(others[i], block);
    if (judge_of)
        blame_block(judge_of, address_of(number), block.index, block.block);
    if (number == liar)
        bits_add(&wrong, block.index);
    if (!picker_piece_complete(self, block.index))
        return;
    berth_address banned;
    bool good = !bits_has(&wrong, block.index);
    picker_piece_done(self, block.index, good);
    failures += !good;
    bits_remove(&wrong, block.index);
    if (good)
        bits_add(&have, block.index);
    if (judge_of && blame_result(judge_of, block.index, good, &banned, 1) > 0)
        ck_assert(berth_address_equal(banned, address_of(liar)));
}

static void run_peer(uint32_t number)
{
    remote *it = &peers[number];
    if (standing_of(number) == BLAME_BANNED) {
        picker_gave_up_all(self, number);
        return;
    }
    it->credit += it->rate * (double)TICK / 1000;
    while (it->first_asked != it->end_asked && it->asked[it->first_asked % QUEUE].at <= now) {
        sent *next = &it->asked[it->first_asked % QUEUE];
        if (next->cancel_at > now) {
            if (it->credit < BLOCK_SIZE)
                break;
            it->credit -= BLOCK_SIZE;
            it->coming[it->end_coming++ % QUEUE] = (sent){next->block, now + it->latency, 0};
        }
        it->first_asked++;
    }
    if (it->first_asked == it->end_asked && it->credit > BLOCK_SIZE)
        it->credit = BLOCK_SIZE; /* it has nothing to do */
    while (it->first_coming != it->end_coming && it->coming[it->first_coming % QUEUE].at <= now) {
        receive(number, it->coming[it->first_coming++ % QUEUE].block);
        ask_peer(number);
    }
}

static void open_download(uint64_t length, uint32_t piece_length, uint64_t seed)
{
    info = pieces_of(length, piece_length);
    ck_assert(bits_open(&have, info.piece_count));
    self = picker_new(&info, &have, seed);
    ck_assert_ptr_nonnull(self);
    memset(peers, 0, sizeof(peers));
    now = 1000000;
    duplicates = 0;
}

static void close_download(void)
{
    ck_assert(bits_full(&have));
    for (uint32_t i = 0; i < PEERS; i++)
        bits_close(&peers[i].has);
    picker_free(self);
    bits_close(&have);
}

static void join_seed(uint32_t number, uint32_t rate, uint32_t latency)
{
    peers[number].rate = rate;
    peers[number].latency = latency;
    peers[number].seed = true;
    ck_assert(picker_add_peer(self, number));
    picker_peer_has_all(self, number);
    ask_peer(number);
}

/* Until it is complete; returns the milliseconds that it took. */
static uint64_t download(uint32_t count, uint64_t most)
{
    uint64_t begin = now;
    for (; picker_missing(self) > 0; now += TICK) {
        HOLDS(now - begin < most);
        for (uint32_t i = 0; i < count; i++) {
            run_peer(i);
            if (now % 1000 < TICK) /* the second's tick of a torrent */
                ask_peer(i);
        }
    }
    return now - begin;
}

/* Ten seeds of very different rates, one that gives a byte a second, one that is silent. */
START_TEST(few_blocks_come_twice)
{
    uint64_t random = (uint64_t)_i;
    uint64_t sum = 0;
    uint64_t length = _i % 2 ? 256u << 20 : 64u << 20;
    open_download(length, 256 * 1024, random);
    join_seed(0, 1, 20);
    join_seed(1, 0, 20);
    for (uint32_t i = 2; i < PEERS; i++) {
        uint32_t rate = 50000u << draw_below(&random, 7);
        sum += rate;
        join_seed(i, rate, 1 + draw_below(&random, 100));
    }
    uint64_t least = length * 1000 / sum;
    uint64_t took = download(PEERS, 10 * least + 60000);
    ck_assert_msg(duplicates * BLOCK_SIZE * 100 < length, "%d: %u duplicates", _i,
                  (unsigned)duplicates);
    ck_assert_msg(took < least + least / 5 + 3000, "%d: %u ms instead of %u", _i, (unsigned)took,
                  (unsigned)least);
    if (getenv("TORRENT_SWARM"))
        printf("%d: %u ms, at least %u; %.2f %% twice\n", _i, (unsigned)took, (unsigned)least,
               (double)duplicates * BLOCK_SIZE * 100 / (double)length);
    close_download();
}
END_TEST

/* 20 MB from two or three seeds of a fast network: 1 % are 12 blocks. Five are enough for an end
 * game that asks again for what others were asked for last. */
START_TEST(few_blocks_of_a_small_torrent_come_twice)
{
    uint64_t random = (uint64_t)_i;
    uint64_t length = 20 << 20;
    uint32_t count = 2 + (uint32_t)_i % 2;
    open_download(length - 5, 256 * 1024, random);
    for (uint32_t i = 0; i < count; i++)
        join_seed(i, 1000000u << draw_below(&random, 6), draw_below(&random, 3));
    download(count, 60000);
    if (getenv("TORRENT_SWARM"))
        printf("%d: %u ms; %u blocks twice\n", _i, (unsigned)(now - 1000000), (unsigned)duplicates);
    ck_assert_uint_le(duplicates, 5);
    close_download();
}
END_TEST

/* One of five sends nothing but wrong bytes: it is banned, nobody else is, and the download goes on
 * with little lost. */
START_TEST(one_liar_among_five)
{
    uint64_t random = (uint64_t)_i;
    open_download(64 << 20, (uint32_t)(64 * 1024) << _i % 4, random);
    judge_of = blame_new(&info);
    ck_assert(bits_open(&wrong, info.piece_count));
    liar = (uint32_t)_i % 5;
    for (uint32_t i = 0; i < 5; i++)
        join_seed(i, 100000u << draw_below(&random, 5), 1 + draw_below(&random, 50));
    download(5, 600000);
    ck_assert_int_eq(standing_of(liar), BLAME_BANNED);
    if (getenv("TORRENT_SWARM"))
        printf("%d: %u of %u pieces failed\n", _i, failures, info.piece_count);
    ck_assert_uint_le(failures, 16);
    bits_close(&wrong);
    blame_free(judge_of);
    close_download();
}
END_TEST

/* Others have all but a few pieces, which one peer has that leaves when it has given a part of what
 * it could: those few were asked of it first. */
START_TEST(rare_pieces_come_first)
{
    enum {
        RARE = 20
    };
    uint64_t random = (uint64_t)_i;
    bits rare;
    open_download(64 << 20, 64 * 1024, random);
    HOLDS(bits_open(&rare, info.piece_count));
    while (rare.set < RARE)
        bits_add(&rare, draw_below(&random, info.piece_count));
    for (uint32_t i = 0; i < 4; i++) {
        HOLDS(bits_open(&peers[i].has, info.piece_count));
        for (uint32_t index = 0; index < info.piece_count; index++)
            if (i == 0 || !bits_has(&rare, index))
                bits_add(&peers[i].has, index);
        bits_remove(&peers[0].has, 0); /* not a seed */
        peers[i].rate = 1000000;
        peers[i].latency = 10;
        HOLDS(picker_add_peer(self, i));
        picker_peer_bits(self, i, &peers[i].has);
    }
    for (uint32_t i = 0; i < 4; i++)
        ask_peer(i);
    for (uint64_t end = now + 4000; now < end; now += TICK) /* 4 MB of it, of which 1.3 are rare */
        for (uint32_t i = 0; i < 4; i++)
            run_peer(i);
    for (uint32_t index = 1; index < info.piece_count; index++)
        HOLDS(!bits_has(&rare, index) || bits_has(&have, index));
    bits_close(&rare);
    for (uint32_t i = 0; i < 4; i++)
        bits_close(&peers[i].has);
    picker_free(self);
    bits_close(&have);
}
END_TEST

/* Fetches `most` blocks from a peer, one after the other; how many there were. */
static uint32_t fetch(uint32_t number, uint32_t most)
{
    uint32_t others[MOST_ASKERS];
    uint32_t count;
    picker_block it;
    for (uint32_t i = 0; i < most; i++) {
        if (picker_pick(self, number, &peers[number].has, peers[number].seed, false, NULL, &it,
                        1) == 0)
            return i;
        if (picker_received(self, number, it, others, &count) != PICKER_STORE ||
            !picker_piece_complete(self, it.index))
            continue;
        picker_piece_done(self, it.index, true);
        bits_add(&have, it.index);
        for (uint32_t peer = 0; peer < PEERS; peer++)
            if (peers[peer].has.bytes)
                picker_interesting(self, peer, &peers[peer].has, false);
    }
    return most;
}

/* If anything walked over all pieces, this would take hours instead of a second. */
START_TEST(a_million_pieces)
{
    enum {
        COUNT = 1000000
    };
    uint64_t random = 1;
    open_download((uint64_t)COUNT * BLOCK_SIZE, BLOCK_SIZE, 1);
    join_seed(0, 0, 0);
    picker_gave_up_all(self, 0);
    for (uint32_t i = 1; i < PEERS; i++) {
        HOLDS(bits_open(&peers[i].has, COUNT));
        HOLDS(picker_add_peer(self, i));
    }
    /* One that has almost everything, told by haves; others that have little. */
    for (uint32_t index = 1; index < COUNT; index++) {
        bits_add(&peers[1].has, index);
        picker_peer_has(self, 1, index);
    }
    for (uint32_t i = 2; i < PEERS; i++)
        for (uint32_t j = 0; j < 500; j++) {
            uint32_t index = draw_below(&random, COUNT);
            if (bits_has(&peers[i].has, index))
                continue;
            bits_add(&peers[i].has, index);
            picker_peer_has(self, i, index);
        }
    HOLDS(fetch(1, 100000) == 100000);
    HOLDS(fetch(0, 100000) == 100000);
    for (uint32_t i = 2; i < PEERS; i++) {
        HOLDS(fetch(i, 100000) > 300);
        for (uint32_t j = 0; j < 100000; j++) { /* it is asked for nothing, again and again */
            picker_block it;
            HOLDS(picker_pick(self, i, &peers[i].has, false, false, NULL, &it, 1) == 0);
        }
        HOLDS(!picker_interesting(self, i, &peers[i].has, false));
        picker_remove_peer(self, i, &peers[i].has, false);
    }
    bits_fill(&have);
    close_download();
}
END_TEST

/* A peer that never answers takes little memory, and so does one that did. */
START_TEST(idle_peers_are_small)
{
    ck_assert_uint_le(sizeof(picker_peer), 96);
    ck_assert_uint_le(sizeof(speed), 64);
    open_download(1 << 30, 256 * 1024, 1);
    for (uint32_t i = 0; i < 2; i++)
        join_seed(i, 0, 0);
    for (uint32_t i = 0; i < 2; i++) {
        picker_block blocks[500];
        picker_pick(self, i, NULL, true, false, NULL, blocks, 496);
        ck_assert_uint_ge(self->peers[i].room, 500);
        picker_gave_up_all(self, i);
        ck_assert_ptr_null(self->peers[i].ring);
    }
    bits_fill(&have);
    close_download();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_swarm");
    TCase *tests = tcase_create("torrent_swarm");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, few_blocks_come_twice, 0, 10);
    tcase_add_loop_test(tests, few_blocks_of_a_small_torrent_come_twice, 0, 20);
    tcase_add_loop_test(tests, one_liar_among_five, 0, 20);
    tcase_add_loop_test(tests, rare_pieces_come_first, 0, 5);
    tcase_add_test(tests, a_million_pieces);
    tcase_add_test(tests, idle_peers_are_small);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
