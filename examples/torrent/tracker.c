/*
 * Announcing: see tracker.h.
 *
 * The normal course: the timer expires, the tracker whose turn it is gets an announce, its answer
 * says when the next one is due. `turn` goes through the list when one fails; after a success it
 * begins at the front again, where the one that answered is now within its tier.
 *
 * At the end each tracker that knows of us is told: first "completed", where that is due, and then
 * "stopped".
 */
#include "tracker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "announce.h"
#include "http.h"

#define USER_AGENT "berth-torrent/" BERTH_VERSION_STRING
#define FIRST_RETRY 30000
#define LONGEST_RETRY 1800000
#define MOST_PEERS 1000 /* of one answer */

typedef struct entry {
    const char *url;
    uint32_t tier;
    bool useless; /* its scheme is not supported, or its URL is malformed: that was said */
    bool started; /* it has been told that we exist */
    char *id;     /* of its last answer; NULL if there was none */
} entry;

struct tracker {
    berth_loop *loop;
    berth_timer *timer;
    route *way;
    const tracker_handlers *handlers;
    void *user;
    uint8_t hash[HASH_SIZE];
    uint8_t peer_id[PEER_ID_SIZE];
    uint16_t port;
    http_get *request; /* NULL: none is under way */
    const char *event; /* of the request */
    entry *entries;    /* in the order in which they are tried */
    uint32_t count;
    uint32_t turn;
    uint64_t retry; /* after all have failed; milliseconds */
    uint64_t
        may_ask; /* time from which on more peers may be asked for; 0: not before the next answer */
    bool running;
    bool completed; /* to be announced */
    bool closing;
};

static void announce_now(tracker *self);
static void say_farewell(tracker *self);

/* ---- the list -------------------------------------------------------------------------------- */

/* The order within each tier is another one in each process: its id is random. */
static void shuffle_tiers(tracker *self)
{
    uint32_t random = 1;
    uint32_t first = 0;
    for (size_t i = 8; i < PEER_ID_SIZE; i++)
        random = random * 31 + self->peer_id[i];
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->entries[i].tier != self->entries[first].tier)
            first = i;
        random = random * 1664525 + 1013904223;
        uint32_t j = first + (random >> 8) % (i - first + 1);
        entry kept = self->entries[i];
        self->entries[i] = self->entries[j];
        self->entries[j] = kept;
    }
}

/* Moves the one whose turn it is to the front of its tier. */
static void promote(tracker *self)
{
    entry kept = self->entries[self->turn];
    while (self->turn > 0 && self->entries[self->turn - 1].tier == kept.tier) {
        self->entries[self->turn] = self->entries[self->turn - 1];
        self->turn--;
    }
    self->entries[self->turn] = kept;
}

/* ---- the end of an announce ------------------------------------------------------------------ */

static void tell(tracker *self, bool ok, const char *what)
{
    char text[700];
    char url[200];
    const char *given = self->entries[self->turn].url;
    announce_printable(url, sizeof(url), given, strlen(given));
    snprintf(text, sizeof(text), "tracker %s: %s", url, what);
    self->handlers->announced(self->user, ok, text);
}

static void destroy(tracker *self)
{
    http_get_free(self->request);
    berth_timer_free(self->timer);
    for (uint32_t i = 0; self->entries && i < self->count; i++)
        free(self->entries[i].id);
    free(self->entries);
    free(self);
}

static void finish(tracker *self)
{
    void (*closed)(void *user) = self->handlers->closed;
    void *user = self->user;
    destroy(self);
    closed(user);
}

static void failed(tracker *self, const char *why)
{
    tell(self, false, why);
    self->turn++;
    if (self->closing)
        say_farewell(self);
    else
        announce_now(self);
}

typedef struct filter {
    tracker *tracker;
    berth_address local;
    uint32_t count;
} filter;

/* Passes on what is not this process itself, and not more than anybody can use. */
static void pass_on(void *user, berth_address address, uint16_t port)
{
    filter *self = user;
    if (self->count == MOST_PEERS)
        return;
    if (port == self->tracker->port &&
        berth_address_equal_as(address, self->local, BERTH_TOLERATE_MAPPED))
        return;
    self->count++;
    self->tracker->handlers->peer(self->tracker->user, address, port);
}

static void succeeded(tracker *self, announce_answer *given, uint32_t peers)
{
    char text[300];
    uint64_t now = berth_loop_now(self->loop);
    entry *it = &self->entries[self->turn];
    if (given->tracker_id) {
        free(it->id);
        it->id = given->tracker_id;
    }
    it->started = true;
    if (self->event && strcmp(self->event, "completed") == 0)
        self->completed = false;
    self->retry = FIRST_RETRY;
    self->may_ask = now + (uint64_t)given->minimum_interval * 1000;
    snprintf(text, sizeof(text), "%u peers%s%s", peers, given->warning[0] ? "; it warns: " : "",
             given->warning);
    tell(self, true, text);
    if (self->closing) {
        self->turn += self->event && strcmp(self->event, "stopped") == 0;
        say_farewell(self);
        return;
    }
    promote(self);
    self->turn = 0;
    berth_timer_start(self->timer, self->completed ? 0 : (uint64_t)given->interval * 1000, 0);
}

static void on_answer(http_get *request, void *user, const void *body, size_t size,
                      const char *error)
{
    tracker *self = user;
    char why[300];
    announce_answer answer = {0};
    filter peers = {.tracker = self, .local = http_get_local_address(request)};
    bool good = body && announce_read(body, size, &answer, pass_on, &peers, why, sizeof(why));
    if (!good && error)
        announce_printable(why, sizeof(why), error, strlen(error));
    http_get_free(request);
    self->request = NULL;
    if (good)
        succeeded(self, &answer, peers.count);
    else
        failed(self, why);
}

/* ---- announces ------------------------------------------------------------------------------- */

static const char *event_of(const tracker *self, const entry *it)
{
    if (!it->started)
        return "started";
    if (self->completed)
        return "completed";
    return self->closing ? "stopped" : NULL;
}

/* It is passed over from now on. */
static void give_up(tracker *self, entry *it, const char *why)
{
    tell(self, false, why);
    it->useless = true;
}

/* Begins to announce to the tracker whose turn it is; false if that cannot be. */
static bool begin_request(tracker *self)
{
    tracker_numbers numbers = {0};
    entry *it = &self->entries[self->turn];
    if (it->useless)
        return false;
    self->handlers->numbers(self->user, &numbers);
    self->event = event_of(self, it);
    announce what = {
        .hash = self->hash,
        .peer_id = self->peer_id,
        .port = self->port,
        .uploaded = numbers.uploaded,
        .downloaded = numbers.downloaded,
        .left = numbers.left,
        .wanted = self->closing ? 0 : numbers.wanted,
        .event = self->event,
        .tracker_id = it->id,
    };
    char *url = announce_url(it->url, &what);
    self->request =
        url ? http_get_new(self->loop, url, USER_AGENT, self->way, on_answer, self) : NULL;
    if (!self->request && url && errno == EINVAL)
        give_up(self, it, "the URL is malformed");
    else if (!self->request && url && errno == ENOTSUP)
        give_up(self, it, "not supported, " HTTP_SCHEMES);
    else if (!self->request)
        tell(self, false, "out of memory");
    free(url);
    return self->request != NULL;
}

/* Announces to the tracker whose turn it is, or to the first one behind it that can be asked; if
 * there is none, all have failed. */
static void announce_now(tracker *self)
{
    for (; self->turn < self->count; self->turn++)
        if (begin_request(self))
            return;
    self->turn = 0;
    self->may_ask = 0;
    berth_timer_start(self->timer, self->retry, 0);
    self->retry = self->retry * 2 < LONGEST_RETRY ? self->retry * 2 : LONGEST_RETRY;
}

/* Tells the tracker whose turn it is, or the next one that knows of us; ends if there is none. */
static void say_farewell(tracker *self)
{
    for (; self->turn < self->count; self->turn++)
        if (self->entries[self->turn].started && begin_request(self))
            return;
    finish(self);
}

static void on_time(berth_timer *timer, void *user)
{
    tracker *self = user;
    (void)timer;
    if (self->closing)
        finish(self);
    else if (!self->request)
        announce_now(self);
}

/* ---- from outside ---------------------------------------------------------------------------- */

tracker *tracker_new(berth_loop *loop, const metainfo *info, const uint8_t peer_id[PEER_ID_SIZE],
                     uint16_t port, route *way, const tracker_handlers *handlers, void *user)
{
    tracker *self = info->tracker_count > 0 ? calloc(1, sizeof(*self)) : NULL;
    if (!self)
        return NULL;
    self->loop = loop;
    self->way = way;
    self->handlers = handlers;
    self->user = user;
    self->port = port;
    self->retry = FIRST_RETRY;
    memcpy(self->hash, info->hash, HASH_SIZE);
    memcpy(self->peer_id, peer_id, PEER_ID_SIZE);
    self->timer = berth_timer_new(loop, on_time, self);
    self->entries = calloc(info->tracker_count, sizeof(*self->entries));
    if (!self->timer || !self->entries) {
        destroy(self);
        return NULL;
    }
    self->count = info->tracker_count;
    for (uint32_t i = 0; i < self->count; i++)
        self->entries[i] = (entry){.url = info->trackers[i], .tier = info->tiers[i]};
    shuffle_tiers(self);
    return self;
}

void tracker_start(tracker *self)
{
    self->running = true;
    berth_timer_start(self->timer, 0, 0);
}

void tracker_complete(tracker *self)
{
    self->completed = true;
    if (self->running && !self->request)
        berth_timer_start(self->timer, 0, 0);
}

void tracker_more(tracker *self)
{
    if (self->running && !self->request && self->may_ask != 0 &&
        berth_loop_now(self->loop) >= self->may_ask)
        berth_timer_start(self->timer, 0, 0);
}

void tracker_close(tracker *self, uint32_t milliseconds)
{
    /* Who has got a request may know what it says, though it has not answered. */
    if (self->request && !berth_address_is_null(http_get_local_address(self->request))) {
        self->entries[self->turn].started = true;
        if (self->event && strcmp(self->event, "completed") == 0)
            self->completed = false;
    }
    http_get_free(self->request);
    self->request = NULL;
    self->closing = true;
    for (self->turn = 0; self->turn < self->count; self->turn++)
        if (self->entries[self->turn].started && begin_request(self))
            break;
    berth_timer_start(self->timer, self->request ? milliseconds : 0, 0);
}
