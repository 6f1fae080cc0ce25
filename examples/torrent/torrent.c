/*
 * The life of a torrent: see torrent.h.
 *
 * The normal course: torrent_new opens the disk and looks at the resume file; pieces that cannot be
 * believed are checked; then the tracker is told, and peers come and go. Each piece whose blocks
 * have come is hashed by the disk; good ones are announced to all peers, for bad ones somebody is
 * blamed (blame.h). At the end the tracker is told, the resume file is stored, and the disk closed.
 *
 * When the disk fails, all peers are dropped, since there is nothing to be had from or for them;
 * the other torrents go on. Each minute it is tried again.
 */
#include "torrent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RETRY_DISK 60000
#define SAVE_EACH 30000
#define FAREWELL 5000 /* for the trackers, at the end */
#define WANTED_PEERS 50
#define MOST_BANNED 8

static const disk_handlers disk_events;
static const tracker_handlers tracker_events;

static void say(const torrent *self, const char *text)
{
    session_say(self->session, "%s: %s", self->info->name, text);
}

/* ---- peers ----------------------------------------------------------------------------------- */

bool torrent_takes_peers(const torrent *self)
{
    return self->state == TORRENT_ACTIVE;
}

static bool grow_peers(torrent *self)
{
    uint32_t room = self->peer_room ? self->peer_room * 2 : 16;
    peer **peers = realloc(self->peers, room * sizeof(*peers));
    if (!peers)
        return false;
    self->peers = peers;
    choker_peer **order = realloc(self->order, room * sizeof(*order));
    if (!order)
        return false;
    self->order = order;
    memset(peers + self->peer_room, 0, (room - self->peer_room) * sizeof(*peers));
    self->peer_room = room;
    return true;
}

bool torrent_add_peer(torrent *self, peer *added)
{
    uint32_t number = 0;
    while (number < self->peer_room && self->peers[number])
        number++;
    if (number == self->peer_room && !grow_peers(self))
        return false;
    if (!picker_add_peer(self->picker, number))
        return false;
    self->peers[number] = added;
    self->peer_count++;
    added->number = number;
    added->choking.joined = session_now(self->session);
    return true;
}

void torrent_remove_peer(torrent *self, peer *gone)
{
    picker_remove_peer(self->picker, gone->number, &gone->has, gone->has_all);
    self->peers[gone->number] = NULL;
    self->peer_count--;
    if (gone->told_unchoked)
        torrent_fill_slots(self);
}

peer *torrent_twin(const torrent *self, const peer *it)
{
    for (uint32_t i = 0; i < self->peer_room; i++) {
        peer *other = self->peers[i];
        if (other && other != it && other->state == PEER_TALKING &&
            memcmp(other->id, it->id, PEER_ID_SIZE) == 0)
            return other;
    }
    return NULL;
}

static void drop_peers(torrent *self, const char *why)
{
    for (uint32_t i = 0; i < self->peer_room; i++)
        if (self->peers[i])
            peer_drop(self->peers[i], why);
}

static void drop_address(torrent *self, berth_address address, const char *why)
{
    for (uint32_t i = 0; i < self->peer_room; i++)
        if (self->peers[i] && berth_address_equal(self->peers[i]->address, address))
            peer_drop(self->peers[i], why);
}

void torrent_violation(torrent *self, const peer *guilty, const char *why)
{
    berth_address address = guilty->address;
    if (blame_violation(self->blame, address) == BLAME_BANNED)
        drop_address(self, address, why);
}

/* ---- choking --------------------------------------------------------------------------------- */

/* Those that the choker decides about. */
static size_t collect(torrent *self, uint64_t now)
{
    size_t count = 0;
    for (uint32_t i = 0; i < self->peer_room; i++) {
        peer *it = self->peers[i];
        if (!it || it->state != PEER_TALKING)
            continue;
        it->choking.from = speed_average(&it->down, now);
        it->choking.to = speed_average(&it->up, now);
        self->order[count++] = &it->choking;
    }
    return count;
}

static void apply_chokes(torrent *self)
{
    for (uint32_t i = 0; i < self->peer_room; i++)
        if (self->peers[i])
            peer_apply_choke(self->peers[i]);
}

void torrent_fill_slots(torrent *self)
{
    uint64_t now = session_now(self->session);
    if (self->state == TORRENT_ACTIVE &&
        choker_fill(&self->choker, now, self->complete, self->order, collect(self, now)))
        apply_chokes(self);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static void ask_everybody(torrent *self)
{
    for (uint32_t i = 0; i < self->peer_room; i++)
        if (self->peers[i] && self->peers[i]->state == PEER_TALKING)
            peer_ask(self->peers[i]);
}

void torrent_asked(torrent *self)
{
    bool before = self->end_game;
    self->end_game = picker_end_game(self->picker);
    if (self->end_game && !before)
        ask_everybody(self);
}

void torrent_block_stored(torrent *self, uint32_t index)
{
    if (picker_piece_complete(self->picker, index))
        disk_hash(self->disk, index);
}

static void became_complete(torrent *self)
{
    self->complete = true;
    say(self, "complete");
    if (self->tracker)
        tracker_complete(self->tracker);
    for (uint32_t i = 0; i < self->peer_room; i++) {
        peer *it = self->peers[i];
        if (it && it->state == PEER_TALKING &&
            (it->has_all || (it->has.bytes && bits_full(&it->has))))
            peer_drop(it, "both are complete");
    }
    self->save_at = 0;
    session_check_end(self->session);
}

static void good_piece(torrent *self, uint32_t index)
{
    bits_add(&self->have, index);
    picker_piece_done(self->picker, index, true);
    blame_result(self->blame, index, true, NULL, 0);
    self->changes++;
    self->totals.downloaded += metainfo_piece_size(self->info, index);
    for (uint32_t i = 0; i < self->peer_room; i++) {
        peer *it = self->peers[i];
        if (!it)
            continue;
        peer_tell_have(it, index);
        if (self->peers[i] == it && it->state == PEER_TALKING && it->interests_us)
            peer_update_interest(it);
    }
    if (bits_full(&self->have))
        became_complete(self);
}

static void bad_piece(torrent *self, uint32_t index)
{
    berth_address banned[MOST_BANNED];
    picker_piece_done(self->picker, index, false);
    self->failed += metainfo_piece_size(self->info, index);
    uint32_t count = blame_result(self->blame, index, false, banned, MOST_BANNED);
    for (uint32_t i = 0; i < count && i < MOST_BANNED; i++) {
        char text[BERTH_ADDRESS_TEXT_SIZE];
        session_say(self->session, "%s: banned %s, which sent a piece that is wrong",
                    self->info->name, berth_address_format(banned[i], text, sizeof(text)));
        drop_address(self, banned[i], "its address is banned");
    }
    ask_everybody(self);
}

/* ---- the disk -------------------------------------------------------------------------------- */

static void on_written(void *user, uint32_t index, uint32_t block, bool ok)
{
    torrent *self = user;
    if (!ok && self->picker)
        picker_lost(self->picker, (picker_block){index, block});
}

static void on_hashed(void *user, uint32_t index, bool good)
{
    torrent *self = user;
    if (self->state == TORRENT_ENDING) {
        if (good)
            bits_add(&self->have, index);
        return;
    }
    if (good)
        good_piece(self, index);
    else if (self->state == TORRENT_ACTIVE)
        bad_piece(self, index);
    else
        picker_piece_done(self->picker, index, false);
}

static void on_read(void *user, void *context, uint32_t index, uint32_t begin, uint32_t length,
                    void *data)
{
    (void)user;
    peer_read_done(context, index, begin, length, data);
}

static void on_relieved(void *user)
{
    torrent *self = user;
    session_disk_relieved(self->session);
}

void torrent_resume_peers(torrent *self)
{
    for (uint32_t i = 0; i < self->peer_room; i++)
        if (self->peers[i])
            peer_resume(self->peers[i]);
}

static void on_failed(void *user, const char *why)
{
    torrent *self = user;
    session_say(self->session, "%s: stopped, %s; trying again each minute", self->info->name, why);
    if (self->state != TORRENT_ACTIVE)
        return;
    self->state = TORRENT_BROKEN;
    self->retry_at = session_now(self->session) + RETRY_DISK;
    drop_peers(self, "the disk has failed");
}

static void on_saved(void *user, bool ok, const char *why)
{
    torrent *self = user;
    if (!ok)
        session_say(self->session, "%s: cannot store what was downloaded: %s", self->info->name,
                    why);
}

static void on_checked(void *user, uint32_t done, uint32_t of)
{
    torrent *self = user;
    (void)of;
    self->checked = done;
}

static void on_disk_closed(void *user)
{
    torrent *self = user;
    self->disk_open = false;
    torrent_maybe_ended(self);
}

/* ---- beginning ------------------------------------------------------------------------------- */

static bool begin_parts(torrent *self)
{
    uint64_t seed = 0;
    session *shared = self->session;
    const settings *given = shared->settings;
    if (getrandom(&seed, sizeof(seed), 0) < 0)
        seed = session_now(shared);
    self->picker = picker_new(self->info, &self->have, seed);
    self->blame = blame_new(self->info);
    self->connector = connector_new(self);
    choker_open(&self->choker, given->upload_slots, session_now(shared), seed);
    if (!self->picker || !self->blame || !self->connector)
        return false;
    for (size_t i = 0; i < given->peer_count; i++)
        session_given_peer(shared, i, self->connector);
    if (given->use_trackers && self->info->tracker_count > 0) {
        self->tracker = tracker_new(shared->loop, self->info, shared->peer_id, shared->port,
                                    &shared->way, &tracker_events, self);
        self->tracker_open = self->tracker != NULL;
        if (self->tracker)
            tracker_start(self->tracker);
    }
    return true;
}

static void become_active(torrent *self)
{
    char text[96];
    self->complete = bits_full(&self->have);
    self->was_complete = self->complete;
    snprintf(text, sizeof(text), "%u of %u pieces are there", self->have.set,
             self->info->piece_count);
    say(self, text);
    if (self->session->settings->check_only) {
        torrent_end(self);
        return;
    }
    if (!begin_parts(self)) {
        say(self, "stopped, out of memory");
        torrent_end(self);
        return;
    }
    self->state = TORRENT_ACTIVE;
    self->save_at = session_now(self->session) + SAVE_EACH;
    connector_go(self->connector);
    session_check_end(self->session);
}

static void on_check_ended(void *user, bool ok)
{
    torrent *self = user;
    if (self->state != TORRENT_CHECKING)
        return;
    self->changes++;
    if (ok)
        become_active(self);
    else
        torrent_end(self);
}

static const disk_handlers disk_events = {
    .written = on_written,
    .hashed = on_hashed,
    .read = on_read,
    .relieved = on_relieved,
    .failed = on_failed,
    .saved = on_saved,
    .checked = on_checked,
    .check_ended = on_check_ended,
    .closed = on_disk_closed,
};

/* Believes what the resume file says, as far as it can be believed, and checks the rest. */
static void begin_check(torrent *self)
{
    char why[256] = "";
    const settings *given = self->session->settings;
    disk_stamp *stamps = calloc(self->info->file_count, sizeof(*stamps));
    bits trusted = {0};
    if (!given->check_only && stamps && bits_open(&trusted, self->info->piece_count)) {
        disk_stamps(self->disk, stamps);
        if (!resume_load(given->folder, self->info, stamps, &trusted, &self->totals, why,
                         sizeof(why)) &&
            *why)
            say(self, why);
    }
    free(stamps);
    disk_check(self->disk, trusted.bytes ? &trusted : NULL, &self->have);
    bits_close(&trusted);
}

torrent *torrent_new(session *shared, metainfo *info, char *error, size_t error_size)
{
    torrent *self = calloc(1, sizeof(*self));
    const settings *given = shared->settings;
    if (!self || !bits_open(&self->have, info->piece_count)) {
        snprintf(error, error_size, "out of memory");
        free(self);
        return NULL;
    }
    self->session = shared;
    self->info = info;
    self->disk = disk_new(shared->loop, shared->threads, info, given->folder, given->check_only,
                          &shared->disk_waiting, &disk_events, self, error, error_size);
    if (!self->disk) {
        bits_close(&self->have);
        free(self);
        return NULL;
    }
    self->disk_open = true;
    begin_check(self);
    return self;
}

/* ---- the tracker ----------------------------------------------------------------------------- */

static void on_numbers(void *user, tracker_numbers *ret_numbers)
{
    torrent *self = user;
    const session *shared = self->session;
    bool full = shared->peers >= shared->settings->most_peers;
    *ret_numbers = (tracker_numbers){
        .uploaded = self->up.total,
        .downloaded = self->down.total,
        .left = self->complete ? 0 : torrent_left(self),
        .wanted = self->complete && full ? 0 : WANTED_PEERS,
    };
}

static void on_peer(void *user, berth_address address, uint16_t port)
{
    torrent *self = user;
    if (self->connector)
        connector_heard(self->connector, address, port);
}

static void on_announced(void *user, bool ok, const char *text)
{
    torrent *self = user;
    if (!ok || self->session->settings->log)
        say(self, text);
    if (self->state == TORRENT_ACTIVE)
        connector_go(self->connector);
}

static void on_tracker_closed(void *user)
{
    torrent *self = user;
    self->tracker_open = false;
    self->tracker = NULL;
    torrent_maybe_ended(self);
}

static const tracker_handlers tracker_events = {
    .numbers = on_numbers,
    .peer = on_peer,
    .announced = on_announced,
    .closed = on_tracker_closed,
};

/* ---- time ------------------------------------------------------------------------------------ */

uint64_t torrent_left(const torrent *self)
{
    uint64_t left = (uint64_t)(self->info->piece_count - self->have.set) * self->info->piece_length;
    uint32_t last = self->info->piece_count - 1;
    if (!bits_has(&self->have, last))
        left -= self->info->piece_length - metainfo_piece_size(self->info, last);
    return left;
}

static void save(torrent *self)
{
    size_t size = 0;
    disk_stamp *stamps = calloc(self->info->file_count, sizeof(*stamps));
    if (!stamps)
        return;
    disk_stamps(self->disk, stamps);
    void *data = resume_encode(self->info, &self->have, stamps, &self->totals, &size);
    free(stamps);
    if (data && !disk_save(self->disk, data, size))
        free(data);
    self->saved_changes = self->changes;
}

static void try_disk_again(torrent *self, uint64_t now)
{
    if (now < self->retry_at)
        return;
    disk_retry(self->disk);
    self->state = TORRENT_ACTIVE;
    say(self, "trying again");
    connector_go(self->connector);
}

void torrent_tick(torrent *self, uint64_t now)
{
    if (self->state == TORRENT_BROKEN)
        try_disk_again(self, now);
    if (self->state != TORRENT_ACTIVE)
        return;
    for (uint32_t i = 0; i < self->peer_room; i++)
        if (self->peers[i])
            peer_tick(self->peers[i], now);
    if (now >= self->choker.next_round) {
        choker_round(&self->choker, now, self->complete, self->order, collect(self, now));
        apply_chokes(self);
    }
    if (!self->complete)
        ask_everybody(self);
    connector_go(self->connector);
    if (self->tracker && !self->complete && self->peer_count < WANTED_PEERS / 2)
        tracker_more(self->tracker);
    if (now >= self->save_at) {
        self->save_at = now + SAVE_EACH;
        if (self->changes != self->saved_changes)
            save(self);
    }
}

/* ---- ends ------------------------------------------------------------------------------------ */

void torrent_end(torrent *self)
{
    torrent_state before = self->state;
    if (before == TORRENT_ENDING)
        return;
    self->state = TORRENT_ENDING;
    drop_peers(self, "the program ends");
    if (before != TORRENT_CHECKING && self->changes != self->saved_changes)
        save(self);
    if (self->tracker)
        tracker_close(self->tracker, FAREWELL);
    disk_close(self->disk);
}

void torrent_maybe_ended(torrent *self)
{
    if (self->state != TORRENT_ENDING || self->tracker_open || self->disk_open)
        return;
    session *shared = self->session;
    bool complete = bits_full(&self->have);
    picker_free(self->picker);
    blame_free(self->blame);
    connector_free(self->connector);
    metainfo_free(self->info);
    bits_close(&self->have);
    free(self->peers);
    free(self->order);
    session_torrent_ended(shared, self, complete);
    free(self);
}
