/*
 * The picker of the Torrent example against a naive model, in random programs: every block that is
 * picked is judged by walking over all pieces, and what the picker keeps is compared with what it
 * stands for after each step. Every program ends with a seed that finishes the download, so that no
 * block is lost for ever.
 *
 * spec: S8.23
 */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../../examples/torrent/choose.c"
#include "../../examples/torrent/picker.c"

#include "torrent_pieces.h"

#define PEERS 8u
#define BLOCKS 4u /* of a piece, at most */
#define PIECES 90u
#define NONE UINT32_MAX

static uint64_t random_state;

static uint32_t any(uint32_t below)
{
    return draw_below(&random_state, below);
}

/* ---- the model ------------------------------------------------------------------------------- */

static struct model_peer {
    bool known;
    bool all;
    bool counted; /* told as haves or as a bit field */
    bits has;
    uint32_t asked;
    uint32_t ended; /* received, rejected, given up */
} peers[PEERS];

static struct model_piece {
    bool had;
    bool started;
    uint32_t alone;
    struct {
        bool stored;
        bool asked[PEERS];
    } blocks[BLOCKS];
} pieces[PIECES];

static metainfo info;
static bits have;
static picker *self;
static uint32_t begun;

static uint32_t askers_of(uint32_t index, uint32_t block)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < PEERS; i++)
        count += pieces[index].blocks[block].asked[i];
    return count;
}

static bool is_unasked(uint32_t index, uint32_t block)
{
    return !pieces[index].had && !pieces[index].blocks[block].stored &&
           askers_of(index, block) == 0;
}

static bool has_unasked(uint32_t index)
{
    for (uint32_t block = 0; block < metainfo_block_count(&info, index); block++)
        if (is_unasked(index, block))
            return true;
    return false;
}

static bool peer_has(uint32_t peer, uint32_t index)
{
    return peers[peer].all || bits_has(&peers[peer].has, index);
}

static uint32_t rarity(uint32_t index)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < PEERS; i++)
        count += peers[i].known && peers[i].counted && bits_has(&peers[i].has, index);
    return count;
}

static bool in_end_game(void)
{
    bool missing = false;
    for (uint32_t i = 0; i < info.piece_count; i++)
        for (uint32_t b = 0; b < metainfo_block_count(&info, i); b++) {
            if (is_unasked(i, b))
                return false;
            missing |= !pieces[i].had && !pieces[i].blocks[b].stored;
        }
    return missing;
}

/* A started piece with unasked blocks that is the peer's, or everybody's if `shared`. */
static bool has_open(uint32_t peer, bool shared)
{
    for (uint32_t i = 0; i < info.piece_count; i++)
        if (pieces[i].started && has_unasked(i) && peer_has(peer, i) &&
            (pieces[i].alone == peer || (shared && pieces[i].alone == NONE)))
            return true;
    return false;
}

/* The least rarity of the untouched pieces of a peer; NONE if it has none. */
static uint32_t least_rarity(uint32_t peer)
{
    uint32_t least = NONE;
    for (uint32_t i = 0; i < info.piece_count; i++)
        if (!pieces[i].had && !pieces[i].started && peer_has(peer, i) && rarity(i) < least)
            least = rarity(i);
    return least;
}

static bool could_help(uint32_t peer)
{
    for (uint32_t i = 0; i < info.piece_count; i++)
        for (uint32_t b = 0; b < metainfo_block_count(&info, i); b++)
            if (!pieces[i].had && !pieces[i].blocks[b].stored && askers_of(i, b) < MOST_ASKERS &&
                !pieces[i].blocks[b].asked[peer] && pieces[i].alone == NONE && peer_has(peer, i))
                return true;
    return false;
}

/* Whether the peer may be asked for this block now, and does it in the model. */
static void judge_pick(uint32_t peer, bool alone, const bits *allowed, picker_block it)
{
    struct model_piece *piece = &pieces[it.index];
    HOLDS(it.index < info.piece_count && it.block < metainfo_block_count(&info, it.index));
    HOLDS(peer_has(peer, it.index) && !piece->had && !piece->blocks[it.block].stored);
    HOLDS(!piece->blocks[it.block].asked[peer]);
    HOLDS(!allowed || bits_has(allowed, it.index));
    HOLDS(piece->alone == NONE || piece->alone == peer);
    if (askers_of(it.index, it.block) > 0) {
        HOLDS(in_end_game() && !alone && !allowed);
        HOLDS(askers_of(it.index, it.block) < 3);
        HOLDS(peers[peer].asked - peers[peer].ended < END_GAME_IN_FLIGHT);
    } else if (!piece->started) {
        HOLDS(allowed || !has_open(peer, !alone)); /* those that were started come first */
        HOLDS(allowed || begun < RANDOM_PIECES || rarity(it.index) == least_rarity(peer));
        piece->alone = alone ? peer : NONE;
        piece->started = true;
        begun++;
    } else if (alone && piece->alone != peer) {
        HOLDS(!allowed && !has_open(peer, false) && least_rarity(peer) == NONE);
    }
    piece->blocks[it.block].asked[peer] = true;
    peers[peer].asked++;
}

/* ---- what the picker keeps ------------------------------------------------------------------- */

static void check_order(void)
{
    uint32_t untouched = 0;
    for (uint32_t level = 0; level < self->levels; level++)
        for (uint32_t at = self->first[level]; at < self->first[level + 1]; at++) {
            uint32_t index = self->order[at];
            HOLDS(self->pieces[index].place == at);
            HOLDS(self->pieces[index].peers == level);
            HOLDS(self->pieces[index].state == PIECE_UNTOUCHED);
            untouched++;
        }
    for (uint32_t i = 0; i < info.piece_count; i++) {
        piece_state state = pieces[i].had       ? PIECE_HAD
                            : pieces[i].started ? PIECE_STARTED
                                                : PIECE_UNTOUCHED;
        HOLDS(self->pieces[i].state == state);
        HOLDS(self->pieces[i].peers == rarity(i));
        untouched -= state == PIECE_UNTOUCHED;
    }
    HOLDS(untouched == 0);
    HOLDS(self->first[0] == 0);
}

static void check_blocks(void)
{
    uint64_t unasked = 0;
    uint64_t missing = 0;
    for (uint32_t i = 0; i < info.piece_count; i++) {
        const started *it = pieces[i].started ? started_of(self, i) : NULL;
        uint32_t open = 0;
        for (uint32_t b = 0; b < metainfo_block_count(&info, i); b++) {
            open += is_unasked(i, b);
            if (!pieces[i].had && !pieces[i].blocks[b].stored)
                missing += metainfo_block_size(&info, i, b);
            if (!it)
                continue;
            HOLDS(it->blocks[b].stored == pieces[i].blocks[b].stored);
            HOLDS(asker_count(&it->blocks[b]) == askers_of(i, b));
            for (uint32_t p = 0; p < PEERS; p++)
                HOLDS(is_asker(&it->blocks[b], p) == pieces[i].blocks[b].asked[p]);
        }
        unasked += open;
        if (!it)
            continue;
        HOLDS(it->unasked == open);
        HOLDS((self->pieces[i].place < self->open) == (open > 0));
        HOLDS((it->alone == NOBODY ? NONE : it->alone) == pieces[i].alone);
    }
    HOLDS(self->unasked == unasked);
    HOLDS(picker_missing(self) == missing);
    HOLDS(picker_end_game(self) == in_end_game());
}

static void check_peers(void)
{
    for (uint32_t p = 0; p < PEERS; p++) {
        bool interesting = false;
        if (!peers[p].known)
            continue;
        HOLDS(picker_in_flight(self, p) == peers[p].asked - peers[p].ended);
        for (uint32_t at = 0; at < self->peers[p].count; at++) {
            picker_block it = *in_ring(&self->peers[p], at);
            HOLDS(pieces[it.index].blocks[it.block].asked[p]);
        }
        for (uint32_t i = 0; i < info.piece_count; i++)
            interesting |= !pieces[i].had && peer_has(p, i);
        if (any(3) == 0) /* not always, so that it has something to catch up with */
            HOLDS(picker_interesting(self, p, &peers[p].has, peers[p].all) == interesting);
    }
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void step_add(uint32_t peer)
{
    struct model_peer *it = &peers[peer];
    HOLDS(picker_add_peer(self, peer));
    *it = (struct model_peer){.known = true};
    HOLDS(bits_open(&it->has, info.piece_count));
    switch (any(5)) {
    case 0:
        it->all = true;
        picker_peer_has_all(self, peer);
        return;
    case 1: /* a full bit field is a seed's */
        bits_fill(&it->has);
        picker_peer_bits(self, peer, &it->has);
        return;
    case 2:
        break;
    default:
        for (uint32_t i = 0; i + 1 < info.piece_count; i++)
            if (any(3) == 0)
                bits_add(&it->has, i);
        it->counted = true;
        picker_peer_bits(self, peer, &it->has);
    }
    it->counted = true;
}

static void forget_request(uint32_t peer, uint32_t index, uint32_t block)
{
    pieces[index].blocks[block].asked[peer] = false;
    peers[peer].ended++;
}

static void model_give_up_all(uint32_t peer)
{
    for (uint32_t i = 0; i < info.piece_count; i++) {
        for (uint32_t b = 0; b < BLOCKS; b++)
            if (pieces[i].blocks[b].asked[peer])
                forget_request(peer, i, b);
        if (pieces[i].alone == peer)
            pieces[i].alone = NONE;
    }
}

static void step_remove(uint32_t peer)
{
    if (bits_full(&peers[peer].has) && any(2) == 0)
        peers[peer].all = true; /* as one calls a peer that has got everything meanwhile */
    picker_remove_peer(self, peer, peers[peer].all ? NULL : &peers[peer].has, peers[peer].all);
    model_give_up_all(peer);
    bits_close(&peers[peer].has);
    peers[peer] = (struct model_peer){0};
}

static void step_have(uint32_t peer)
{
    uint32_t index = any(info.piece_count);
    if (peer_has(peer, index))
        return;
    bits_add(&peers[peer].has, index);
    picker_peer_has(self, peer, index);
}

static void step_pick(uint32_t peer, bool alone, bool limited)
{
    picker_block blocks[12];
    bits allowed;
    uint32_t most = 1 + any(12);
    HOLDS(bits_open(&allowed, info.piece_count));
    for (int i = 0; i < 6; i++)
        bits_add(&allowed, any(info.piece_count));
    uint32_t count = picker_pick(self, peer, &peers[peer].has, peers[peer].all, alone,
                                 limited ? &allowed : NULL, blocks, most);
    HOLDS(count <= most);
    for (uint32_t i = 0; i < count; i++)
        judge_pick(peer, alone, limited ? &allowed : NULL, blocks[i]);
    bits_close(&allowed);
    if (count == most || limited)
        return;
    HOLDS(!has_open(peer, true) && least_rarity(peer) == NONE); /* nothing was left */
    if (!alone && in_end_game() && peers[peer].asked - peers[peer].ended < END_GAME_IN_FLIGHT)
        HOLDS(!could_help(peer));
}

/* One of the blocks that the peer was asked for, mostly the first one. */
static bool any_request(uint32_t peer, picker_block *ret_block)
{
    const picker_peer *it = &self->peers[peer];
    if (it->count == 0)
        return false;
    *ret_block = *in_ring(it, any(4) == 0 ? any(it->count) : 0);
    return true;
}

static void step_receive(uint32_t peer)
{
    picker_block it;
    uint32_t others[MOST_ASKERS];
    uint32_t count;
    if (any(8) == 0 || !any_request(peer, &it)) {
        it = (picker_block){any(info.piece_count + 1), any(BLOCKS + 1)};
        if (it.index < info.piece_count && it.block < metainfo_block_count(&info, it.index) &&
            pieces[it.index].blocks[it.block].asked[peer])
            return;
        HOLDS(picker_received(self, peer, it, others, &count) != PICKER_STORE);
        HOLDS(count == 0);
        return;
    }
    HOLDS(picker_received(self, peer, it, others, &count) == PICKER_STORE);
    forget_request(peer, it.index, it.block);
    HOLDS(count == askers_of(it.index, it.block));
    for (uint32_t i = 0; i < count; i++) {
        HOLDS(pieces[it.index].blocks[it.block].asked[others[i]]);
        forget_request(others[i], it.index, it.block);
    }
    pieces[it.index].blocks[it.block].stored = true;
    HOLDS(picker_received(self, peer, it, others, &count) == PICKER_REDUNDANT);
}

static void step_give_up(uint32_t peer)
{
    picker_block it;
    if (any(4) == 0) {
        picker_gave_up_all(self, peer);
        model_give_up_all(peer);
        HOLDS(picker_in_flight(self, peer) == 0);
    } else if (any_request(peer, &it)) {
        picker_gave_up(self, peer, it);
        forget_request(peer, it.index, it.block);
        if (pieces[it.index].alone == peer)
            pieces[it.index].alone = NONE;
        picker_gave_up(self, peer, it); /* a second time: nothing */
    }
}

static void step_piece(uint32_t index)
{
    bool complete = pieces[index].started;
    for (uint32_t b = 0; b < metainfo_block_count(&info, index); b++)
        complete &= pieces[index].blocks[b].stored;
    HOLDS(picker_piece_complete(self, index) == (complete || pieces[index].had));
    uint32_t block = any(metainfo_block_count(&info, index));
    if (complete) {
        bool good = any(5) > 0;
        picker_piece_done(self, index, good);
        memset(&pieces[index], 0, sizeof(pieces[index]));
        pieces[index].alone = NONE;
        pieces[index].had = good;
        if (good)
            bits_add(&have, index);
    } else if (any(20) == 0 && pieces[index].started && pieces[index].blocks[block].stored) {
        picker_lost(self, (picker_block){index, block});
        pieces[index].blocks[block].stored = false;
    }
}

static void step(void)
{
    uint32_t peer = any(PEERS);
    step_piece(any(info.piece_count));
    if (!peers[peer].known)
        step_add(peer);
    else if (any(60) == 0)
        step_remove(peer);
    else if (any(10) == 0)
        step_give_up(peer);
    else if (any(3) == 0)
        step_have(peer);
    else if (any(2) == 0)
        step_pick(peer, peer < 2 && any(8) > 0, any(12) == 0);
    else
        step_receive(peer);
}

static void set_up_program(uint64_t seed)
{
    random_state = seed;
    uint32_t piece = BLOCK_SIZE * (1 + any(BLOCKS)) - any(2) * 5000;
    info = pieces_of((uint64_t)piece * (1 + any(PIECES)) - any(piece), piece);
    HOLDS(bits_open(&have, info.piece_count));
    memset(pieces, 0, sizeof(pieces));
    begun = 0;
    for (uint32_t i = 0; i < info.piece_count; i++) {
        pieces[i].alone = NONE;
        pieces[i].had = any(10) == 0;
        begun += pieces[i].had;
        if (pieces[i].had)
            bits_add(&have, i);
    }
    self = picker_new(&info, &have, seed);
    HOLDS(self);
}

/* A seed alone finishes it, however it was left. */
static void finish(void)
{
    uint32_t others[MOST_ASKERS];
    uint32_t count;
    picker_block it;
    for (uint32_t p = 0; p < PEERS; p++)
        if (peers[p].known)
            step_remove(p);
    HOLDS(picker_add_peer(self, 3));
    picker_peer_has_all(self, 3);
    for (uint32_t i = 0; i < info.piece_count; i++)
        picker_piece_done(self, i, true);
    for (uint32_t i = 0; picker_missing(self) > 0; i++) {
        HOLDS(i < PIECES * BLOCKS);
        HOLDS(picker_pick(self, 3, NULL, true, i % 2, NULL, &it, 1) == 1);
        HOLDS(picker_received(self, 3, it, others, &count) == PICKER_STORE);
        if (picker_piece_complete(self, it.index))
            picker_piece_done(self, it.index, true);
    }
    HOLDS(!picker_interesting(self, 3, NULL, true));
    HOLDS(picker_pick(self, 3, NULL, true, false, NULL, &it, 1) == 0);
    picker_remove_peer(self, 3, NULL, true);
    HOLDS(self->started_count == 0);
    HOLDS(self->left == 0);
    picker_free(self);
    bits_close(&have);
}

START_TEST(random_programs)
{
    set_up_program((uint64_t)_i);
    for (int i = 0; i < 3000; i++) {
        step();
        check_order();
        check_blocks();
        check_peers();
    }
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_picker");
    TCase *tests = tcase_create("torrent_picker");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, random_programs, 0, 40);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
