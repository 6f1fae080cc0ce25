/*
 * The life of a torrent: see torrent.h.
 *
 * The normal course: torrent_new opens the disk and looks at the resume file; pieces that cannot be
 * believed are checked; then the tracker is told, and peers come and go. Each piece whose blocks
 * have come is hashed by the disk; good ones are announced to all peers, for bad ones somebody is
 * blamed (blame.h). At the end the tracker is told, the resume file is stored, and the disk closed.
 *
 * When the disk fails, all peers are dropped, since there is nothing to be had from or for them,
 * and it is closed; the other torrents go on. Each minute, or as soon as there is more space, it is
 * opened again, and what has changed meanwhile is checked as at the start.
 */
#include "torrent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statvfs.h>

#define RETRY_DISK 60000
#define LITTLE_SPACE (1024 * 1024u) /* may be why it failed; as much again is enough to try */
#define SAVE_EACH 30000
#define FAREWELL 5000 /* for the trackers, at the end */
#define WANTED_PEERS 50
#define MOST_BANNED 8

static void begin_end(torrent *self);
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

bool torrent_is_crowded(const torrent *self, berth_address address)
{
    uint32_t most = self->session->settings->most_per_address;
    uint32_t count = 0;
    for (uint32_t i = 0; most != 0 && i < self->peer_room; i++) {
        const peer *it = self->peers[i];
        count += it && it->place == PEER_NO_PLACE && berth_address_equal(it->address, address);
    }
    return most != 0 && count >= most;
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
    if (picker_piece_complete(self->picker, index) && !disk_hash(self->disk, index))
        picker_piece_done(self->picker, index, false);
}

static bool files_are_there(torrent *self);

static void became_complete(torrent *self)
{
    if (self->state != TORRENT_ACTIVE || !files_are_there(self))
        return; /* BROKEN: it will be seen when the disk is opened again */
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

static void on_hashed(void *user, uint32_t index, disk_verdict verdict)
{
    torrent *self = user;
    if (self->state == TORRENT_ENDING) {
        if (verdict == DISK_GOOD)
            bits_add(&self->have, index);
        return;
    }
    if (verdict == DISK_GOOD)
        good_piece(self, index);
    else if (verdict == DISK_BAD)
        bad_piece(self, index);
    else
        picker_piece_done(self->picker, index, false);
}

static void on_read(void *user, void *context, uint32_t index, uint32_t begin, uint32_t length,
                    void *data)
{
    torrent *self = user;
    if (!data && self->state == TORRENT_BROKEN)
        bits_remove(&self->have, index); /* unless the check finds that it can be read after all */
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

/* Bytes that may be written; none on a file system that is read-only. */
static uint64_t free_space(const torrent *self)
{
    struct statvfs status;
    if (statvfs(self->session->settings->folder, &status) < 0 || status.f_flag & ST_RDONLY)
        return 0;
    return (uint64_t)status.f_bavail * status.f_frsize;
}

static void on_failed(void *user, const char *why)
{
    torrent *self = user;
    if (self->state != TORRENT_ACTIVE)
        return;
    session_say(self->session, "%s: stopped, %s; trying again each minute", self->info->name, why);
    self->state = TORRENT_BROKEN;
    self->complete = false;
    self->retry_at = session_now(self->session) + RETRY_DISK;
    self->space = free_space(self);
    drop_peers(self, "the disk has failed");
    disk_close(self->disk);
}

/* Whether no file was removed or shortened: one that is open would not fail. */
static bool files_are_there(torrent *self)
{
    char why[300] = "out of memory";
    bool good = false;
    disk_stamp *stamps = calloc(self->info->file_count, sizeof(*stamps));
    if (stamps) {
        uint32_t number = 0;
        disk_stamps(self->disk, stamps);
        while (number < self->info->file_count &&
               (self->info->files[number].pad ||
                (stamps[number].length != UINT64_MAX &&
                 stamps[number].length >= self->info->files[number].length)))
            number++;
        good = number == self->info->file_count;
        if (!good)
            snprintf(why, sizeof(why), "'%.200s' was removed or shortened",
                     self->info->files[number].path);
    }
    free(stamps);
    if (!good)
        on_failed(self, why);
    return good;
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

/* What is there now, as a resume file. */
static void *encode(torrent *self, size_t *ret_size)
{
    disk_stamp *stamps = calloc(self->info->file_count, sizeof(*stamps));
    if (!stamps)
        return NULL;
    disk_own_stamps(self->disk, stamps);
    void *data = resume_encode(self->info, &self->have, stamps, &self->totals, ret_size);
    free(stamps);
    return data;
}

static void on_disk_closed(void *user)
{
    torrent *self = user;
    if (self->state == TORRENT_BROKEN)
        self->known = encode(self, &self->known_size);
    self->disk = NULL;
    self->disk_open = false;
    torrent_maybe_ended(self);
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* Again after a failure of the disk: then only the picker is another one. */
static bool begin_parts(torrent *self)
{
    uint64_t seed = 0;
    session *shared = self->session;
    const settings *given = shared->settings;
    if (getrandom(&seed, sizeof(seed), 0) < 0)
        seed = session_now(shared);
    picker_free(self->picker);
    self->picker = picker_new(self->info, &self->have, seed);
    if (self->picker && self->connector)
        return true;
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
    self->was_complete = self->was_complete || self->complete;
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
    if (ok) {
        become_active(self);
    } else {
        say(self, "stopped, out of memory");
        torrent_end(self);
    }
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
        disk_own_stamps(self->disk, stamps);
        if (self->known)
            resume_decode(self->info, self->known, self->known_size, stamps, &trusted,
                          &self->totals);
        else if (!resume_load(given->folder, self->info, stamps, &trusted, &self->totals, why,
                              sizeof(why)) &&
                 *why)
            say(self, why);
    }
    free(stamps);
    free(self->known);
    self->known = NULL;
    bits_clear(&self->have);
    self->checked = 0;
    if (!disk_check(self->disk, trusted.bytes ? &trusted : NULL, &self->have)) {
        say(self, "stopped, out of memory");
        begin_end(self);
    }
    bits_close(&trusted);
}

static bool open_disk(torrent *self, char *error, size_t error_size)
{
    session *shared = self->session;
    self->disk = disk_new(shared->loop, shared->threads, self->info, shared->settings->folder,
                          shared->settings->check_only, &shared->disk_queue, &disk_events, self,
                          error, error_size);
    self->disk_open = self->disk != NULL;
    return self->disk_open;
}

torrent *torrent_new(session *shared, metainfo *info, char *error, size_t error_size)
{
    torrent *self = calloc(1, sizeof(*self));
    if (!self || !bits_open(&self->have, info->piece_count)) {
        snprintf(error, error_size, "out of memory");
        free(self);
        return NULL;
    }
    self->session = shared;
    self->info = info;
    if (!open_disk(self, error, error_size)) {
        bits_close(&self->have);
        free(self);
        return NULL;
    }
    begin_check(self);
    return self;
}

/* ---- the tracker ----------------------------------------------------------------------------- */

static void on_numbers(void *user, tracker_numbers *ret_numbers)
{
    torrent *self = user;
    const session *shared = self->session;
    bool full = shared->peers >= shared->most_peers;
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

static void save(torrent *self, bool sync)
{
    size_t size = 0;
    void *data = encode(self, &size);
    if (data && disk_save(self->disk, data, size, sync))
        self->saved_changes = self->changes;
    else
        free(data);
}

static void try_disk_again(torrent *self, uint64_t now)
{
    char why[512];
    if (self->disk_open) {
        disk_close(self->disk);
        return;
    }
    if (now < self->retry_at &&
        (self->space > LITTLE_SPACE || free_space(self) < self->space + LITTLE_SPACE))
        return;
    self->retry_at = now + RETRY_DISK;
    self->space = free_space(self);
    if (!open_disk(self, why, sizeof(why))) {
        say(self, why);
        return;
    }
    say(self, "trying again");
    self->state = TORRENT_CHECKING;
    begin_check(self);
}

void torrent_tick(torrent *self, uint64_t now)
{
    if (self->state == TORRENT_BROKEN) {
        try_disk_again(self, now);
        return;
    }
    if (self->state == TORRENT_ENDING && self->disk_open)
        disk_close(self->disk);
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
        if (self->changes != self->saved_changes && files_are_there(self))
            save(self, true);
    }
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* It is freed later, also if nothing is awaited. */
static void begin_end(torrent *self)
{
    torrent_state before = self->state;
    self->state = TORRENT_ENDING;
    self->ended_broken = before == TORRENT_BROKEN;
    drop_peers(self, "the program ends");
    if (before != TORRENT_CHECKING && self->disk_open && self->changes != self->saved_changes)
        save(self, false);
    if (self->tracker)
        tracker_close(self->tracker, FAREWELL);
    if (self->disk_open)
        disk_close(self->disk);
}

void torrent_end(torrent *self)
{
    if (self->state == TORRENT_ENDING)
        return;
    begin_end(self);
    torrent_maybe_ended(self);
}

void torrent_maybe_ended(torrent *self)
{
    if (self->state != TORRENT_ENDING || self->tracker_open || self->disk_open)
        return;
    session *shared = self->session;
    bool complete = bits_full(&self->have) && !self->ended_broken;
    picker_free(self->picker);
    blame_free(self->blame);
    connector_free(self->connector);
    metainfo_free(self->info);
    bits_close(&self->have);
    free(self->known);
    free(self->peers);
    free(self->order);
    session_torrent_ended(shared, self, complete);
    free(self);
}
