/*
 * The swarms of the tracker against a list of peers that is searched from its beginning, over
 * random sequences on a false clock; and their limits, memory and time.
 */
#include <malloc.h>
#include <time.h>

#include <check.h>

#include "../../examples/tracker/swarm.c"

#define MODEL 4000

typedef struct model_peer {
    uint32_t torrent;
    swarm_peer peer;
    uint64_t seen;
} model_peer;

typedef struct model {
    swarm_limits limits;
    model_peer peers[MODEL];
    uint32_t count;
    uint32_t downloaded[64];
} model;

static uint32_t random_below(uint32_t *random, uint32_t below)
{
    *random = *random * 1664525 + 1013904223;
    return (*random >> 8) % below;
}

static void make_hash(uint8_t *hash, uint32_t torrent)
{
    memset(hash, 0xee, SWARM_HASH_SIZE);
    memcpy(hash + 16, &torrent, sizeof(torrent));
}

static swarm_peer peer_of(uint32_t number, uint16_t port, bool complete)
{
    swarm_peer peer = {.port = port, .complete = complete, .ipv6 = number % 3 == 0};
    memcpy(peer.address, &number, sizeof(number));
    if (peer.ipv6) /* the last bytes do not make another address of it */
        memcpy(peer.address + 12, &port, sizeof(port));
    return peer;
}

static bool same_peer(const swarm_peer *one, const swarm_peer *other)
{
    return one->ipv6 == other->ipv6 && one->port == other->port &&
           memcmp(one->address, other->address, 16) == 0;
}

/* ---- the model ------------------------------------------------------------------------------- */

static void model_remove(model *self, uint32_t number)
{
    uint32_t torrent = self->peers[number].torrent;
    self->peers[number] = self->peers[--self->count];
    for (uint32_t i = 0; i < self->count; i++)
        if (self->peers[i].torrent == torrent)
            return;
    self->downloaded[torrent] = 0; /* nobody is left: it is forgotten */
}

static uint32_t model_find(const model *self, uint32_t torrent, const swarm_peer *peer)
{
    uint32_t i = 0;
    while (i < self->count &&
           (self->peers[i].torrent != torrent || !same_peer(&self->peers[i].peer, peer)))
        i++;
    return i;
}

static bool model_has_room(const model *self, uint32_t torrent, const swarm_peer *peer)
{
    bool seen[64] = {false};
    uint32_t torrents = 0;
    uint32_t of_address = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        const swarm_peer *other = &self->peers[i].peer;
        torrents += !seen[self->peers[i].torrent];
        seen[self->peers[i].torrent] = true;
        of_address += other->ipv6 == peer->ipv6 &&
                      memcmp(other->address, peer->address, peer->ipv6 ? 8 : 4) == 0;
    }
    return self->count < self->limits.peers && of_address < self->limits.per_address &&
           (seen[torrent] || torrents < self->limits.torrents);
}

static bool model_announce(model *self, uint32_t torrent, const swarm_peer *peer, bool completed,
                           uint64_t now)
{
    uint32_t number = model_find(self, torrent, peer);
    bool was_complete = number < self->count && self->peers[number].peer.complete;
    if (number == self->count) {
        if (!model_has_room(self, torrent, peer))
            return false;
        self->count++;
    }
    self->downloaded[torrent] += completed && peer->complete && !was_complete;
    self->peers[number] = (model_peer){torrent, *peer, now};
    return true;
}

static void model_forget(model *self, uint64_t now)
{
    for (uint32_t i = self->count; i-- > 0;)
        if (self->peers[i].seen + SWARM_LIFETIME < now)
            model_remove(self, i);
}

/* ---- comparison ------------------------------------------------------------------------------ */

static void compare_torrent(const swarms *known, const model *self, uint32_t torrent)
{
    uint8_t hash[SWARM_HASH_SIZE];
    swarm_counts expected = {.downloaded = self->downloaded[torrent]};
    make_hash(hash, torrent);
    for (uint32_t i = 0; i < self->count; i++)
        if (self->peers[i].torrent == torrent)
            ++*(self->peers[i].peer.complete ? &expected.complete : &expected.incomplete);
    swarm_counts counts = swarm_count(known, hash);
    ck_assert_uint_eq(counts.complete, expected.complete);
    ck_assert_uint_eq(counts.incomplete, expected.incomplete);
    ck_assert_uint_eq(counts.downloaded, expected.downloaded);
}

/* With room for all, a pick is all that the asker may know. */
static void compare_pick(swarms *known, const model *self, uint32_t torrent,
                         const swarm_peer *asker, uint32_t most)
{
    static swarm_peer picked[MODEL];
    uint8_t hash[SWARM_HASH_SIZE];
    uint32_t wanted = 0;
    make_hash(hash, torrent);
    for (uint32_t i = 0; i < self->count; i++)
        wanted += self->peers[i].torrent == torrent && !same_peer(&self->peers[i].peer, asker) &&
                  !(asker->complete && self->peers[i].peer.complete);
    uint32_t count = swarm_pick(known, hash, asker, picked, most);
    ck_assert_uint_eq(count, wanted < most ? wanted : most);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = model_find(self, torrent, &picked[i]);
        ck_assert_uint_lt(number, self->count);
        ck_assert(self->peers[number].peer.complete == picked[i].complete);
        ck_assert(!same_peer(&picked[i], asker));
        ck_assert(!asker->complete || !picked[i].complete);
        for (uint32_t j = 0; j < i; j++)
            ck_assert(!same_peer(&picked[i], &picked[j]));
    }
}

START_TEST(random_sequences)
{
    static model expected;
    static const swarm_limits each[] = {
        {200, 12, 5}, {100000, 10000, 64}, {1, 1, 1}, {64, 2, 1000}, {300, 16, 1}};
    uint32_t random = (uint32_t)_i * 7919;
    uint64_t now = 1000;
    memset(&expected, 0, sizeof(expected));
    expected.limits = each[_i % 5];
    swarms *known = swarms_new(&expected.limits, (uint64_t)_i);
    for (int round = 0; round < 2500; round++) {
        uint8_t hash[SWARM_HASH_SIZE];
        uint32_t torrent = random_below(&random, random_below(&random, 4) ? 3 : 16);
        swarm_peer peer =
            peer_of(random_below(&random, 60), (uint16_t)(1 + random_below(&random, 4)),
                    random_below(&random, 3) == 0);
        uint32_t what = random_below(&random, 16);
        make_hash(hash, torrent);
        now += random_below(&random, 1000) == 0 ? 3000 : random_below(&random, 8);
        if (what < 9) {
            bool completed = random_below(&random, 2);
            bool taken = !swarm_announce(known, hash, &peer, completed, now);
            ck_assert(taken == model_announce(&expected, torrent, &peer, completed, now));
        } else if (what < 12) {
            uint32_t number = model_find(&expected, torrent, &peer);
            swarm_leave(known, hash, &peer);
            if (number < expected.count)
                model_remove(&expected, number);
        } else if (what == 12) {
            swarms_forget_old(known, now);
            model_forget(&expected, now);
        } else {
            compare_pick(known, &expected, torrent, &peer, random_below(&random, 60));
        }
        ck_assert_uint_eq(swarms_peers(known), expected.count);
        compare_torrent(known, &expected, torrent);
    }
    swarms_forget_old(known, now + SWARM_LIFETIME + 1);
    ck_assert_uint_eq(swarms_peers(known), 0);
    swarms_free(known);
}
END_TEST

START_TEST(a_peer_is_forgotten_after_its_lifetime)
{
    const swarm_limits limits = {10, 10, 10};
    uint8_t hash[SWARM_HASH_SIZE];
    swarm_peer peer = peer_of(1, 1, false);
    swarms *known = swarms_new(&limits, 1);
    make_hash(hash, 1);
    ck_assert_ptr_null(swarm_announce(known, hash, &peer, false, 100));
    ck_assert_ptr_null(swarm_announce(known, hash, &peer, false, 200));
    swarms_forget_old(known, 200 + SWARM_LIFETIME);
    ck_assert_uint_eq(swarms_peers(known), 1);
    swarms_forget_old(known, 201 + SWARM_LIFETIME);
    ck_assert_uint_eq(swarms_peers(known), 0);
    ck_assert_uint_eq(swarm_count(known, hash).incomplete, 0);
    swarms_free(known);
}
END_TEST

START_TEST(what_is_unknown_is_empty)
{
    const swarm_limits limits = {10, 10, 10};
    uint8_t hash[SWARM_HASH_SIZE];
    swarm_peer peer = peer_of(1, 1, false);
    swarm_peer picked[4];
    swarms *known = swarms_new(&limits, 1);
    make_hash(hash, 1);
    swarm_leave(known, hash, &peer);
    ck_assert_uint_eq(swarm_pick(known, hash, &peer, picked, 4), 0);
    ck_assert_uint_eq(swarm_count(known, hash).complete, 0);
    swarms_forget_old(known, UINT64_MAX);
    swarms_free(known);
    swarms_free(NULL);
}
END_TEST

/* Two that ask for one peer of many do not always get the same. */
START_TEST(a_pick_is_random)
{
    const swarm_limits limits = {1000, 10, 10};
    uint8_t hash[SWARM_HASH_SIZE];
    bool seen[100] = {false};
    uint32_t different = 0;
    swarms *known = swarms_new(&limits, 12345);
    swarm_peer asker = peer_of(5000, 1, false);
    make_hash(hash, 1);
    for (uint32_t i = 0; i < 100; i++) {
        swarm_peer peer = peer_of(i, (uint16_t)(i + 1), false);
        ck_assert_ptr_null(swarm_announce(known, hash, &peer, false, 1));
    }
    for (int i = 0; i < 1000; i++) {
        swarm_peer picked;
        ck_assert_uint_eq(swarm_pick(known, hash, &asker, &picked, 1), 1);
        different += !seen[picked.port - 1];
        seen[picked.port - 1] = true;
    }
    ck_assert_uint_gt(different, 90);
    swarms_free(known);
}
END_TEST

static double now_in_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* 60,000 peers of one torrent, all but one of them seeds: an announce of a seed may look at no more
 * than a bounded number of them. A walk through all would take a minute here. */
START_TEST(many_peers)
{
    enum {
        PEERS = 60000
    };
    const swarm_limits limits = {100000, 10000, 64};
    uint8_t hash[SWARM_HASH_SIZE];
    swarm_peer picked[200];
#ifndef __SANITIZE_ADDRESS__
    struct mallinfo2 before = mallinfo2();
#endif
    swarms *known = swarms_new(&limits, 99);
    double began = now_in_seconds();
    make_hash(hash, 1);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < PEERS; i++) {
            swarm_peer peer = peer_of(i, (uint16_t)(1 + i % 9), i > 0);
            ck_assert_ptr_null(swarm_announce(known, hash, &peer, false, 1 + i / 100));
            if (i % 32 == 0)
                ck_assert_uint_le(swarm_pick(known, hash, &peer, picked, 200), 200);
        }
    }
    ck_assert(now_in_seconds() - began < 20);
    ck_assert_uint_eq(swarms_peers(known), PEERS);
    ck_assert_uint_eq(swarm_count(known, hash).complete, PEERS - 1);
#ifndef __SANITIZE_ADDRESS__
    struct mallinfo2 after = mallinfo2();
    size_t bytes = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
    ck_assert_uint_lt(bytes, 10u << 20);
#endif
    swarms_forget_old(known, 100000);
    ck_assert_uint_eq(swarms_peers(known), 0);
    swarms_free(known);
}
END_TEST

/* Each in a torrent of its own: the other way to be many. */
START_TEST(many_torrents)
{
    const swarm_limits limits = {100000, 10000, 64};
    uint8_t hash[SWARM_HASH_SIZE];
    swarms *known = swarms_new(&limits, 99);
    for (uint32_t i = 0; i < 20000; i++) {
        swarm_peer peer = peer_of(i, 1, true);
        make_hash(hash, i);
        const char *why = swarm_announce(known, hash, &peer, true, 1);
        ck_assert((why == NULL) == (i < limits.torrents));
    }
    make_hash(hash, 77);
    ck_assert_uint_eq(swarm_count(known, hash).downloaded, 1);
    swarms_free(known);
}
END_TEST

/* As many addresses as a subscriber with IPv6 has, and no more peers than with one. */
START_TEST(an_ipv6_network_counts_as_one_address)
{
    const swarm_limits limits = {1000, 10, 5};
    uint8_t hash[SWARM_HASH_SIZE];
    swarm_peer peer = {.address = {0x20, 1, 0xd, 0xb8}, .ipv6 = true, .port = 1};
    swarms *known = swarms_new(&limits, 3);
    make_hash(hash, 1);
    for (uint8_t i = 0; i < 20; i++) {
        peer.address[15] = i;
        ck_assert((swarm_announce(known, hash, &peer, false, 1) == NULL) == (i < 5));
    }
    peer.address[7] = 1;
    ck_assert_ptr_null(swarm_announce(known, hash, &peer, false, 1));
    peer = (swarm_peer){.address = {0x20, 1, 0xd, 0xb8}, .port = 1};
    ck_assert_ptr_null(swarm_announce(known, hash, &peer, false, 1));
    ck_assert_uint_eq(swarms_peers(known), 7);
    swarms_free(known);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tracker_swarm");
    TCase *tests = tcase_create("tracker_swarm");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, random_sequences, 0, 10);
    tcase_add_test(tests, a_peer_is_forgotten_after_its_lifetime);
    tcase_add_test(tests, what_is_unknown_is_empty);
    tcase_add_test(tests, a_pick_is_random);
    tcase_add_test(tests, many_peers);
    tcase_add_test(tests, many_torrents);
    tcase_add_test(tests, an_ipv6_network_counts_as_one_address);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
