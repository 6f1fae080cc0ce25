/*
 * What all torrents share: see session.h.
 *
 * Signals: the handler only stops the loop, with a number, which is allowed there. The first one
 * begins the end, the second one ends the program with what it has.
 */
#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "listener.h"
#include "options.h"
#include "progress.h"
#include "show.h"
#include "torrent.h"

#define TICK 1000
#define SIGNALLED 100 /* exit code of a run of the loop that a signal has stopped */
#define ALL_ENDED 101

static berth_loop *signalled_loop; /* the handler has to find it */
static unsigned long unprinted;    /* lines, since the output took none */

static void on_signal(int number)
{
    int kept = errno;
    (void)number;
    berth_loop_stop(signalled_loop, SIGNALLED);
    errno = kept;
}

uint64_t session_now(const session *self)
{
    return berth_loop_now(self->loop);
}

void session_say(const session *self, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (!progress_may_print()) {
        unprinted++;
        return;
    }
    progress_clear(self);
    if (unprinted > 0)
        printf("%lu lines could not be printed\n", unprinted);
    unprinted = 0;
    print_text(line);
    putchar('\n');
    fflush(stdout);
}

void session_log(const session *self, const peer *gone, const char *why)
{
    char text[BERTH_ENDPOINT_TEXT_SIZE];
    if (self->settings->log)
        session_say(self, "peer %s: %s",
                    berth_endpoint_format(gone->address, gone->port, text, sizeof(text)), why);
}

/* ---- peers ----------------------------------------------------------------------------------- */

struct torrent *session_find(const session *self, const uint8_t hash[HASH_SIZE])
{
    for (size_t i = 0; i < self->torrent_count; i++) {
        torrent *it = self->torrents[i];
        if (it && torrent_takes_peers(it) && memcmp(it->info->hash, hash, HASH_SIZE) == 0)
            return it;
    }
    return NULL;
}

void session_peer_left(session *self, bool was_dialling)
{
    self->peers--;
    if (was_dialling)
        self->dialling--;
}

void session_dialled(session *self)
{
    self->dialling--;
}

void session_disk_relieved(session *self)
{
    for (size_t i = 0; i < self->torrent_count; i++)
        if (self->torrents[i])
            torrent_resume_peers(self->torrents[i]);
}

static void bury(void *user)
{
    session *self = user;
    peer **link = &self->gone;
    self->burying = false;
    while (*link) {
        peer *it = *link;
        if (it->reads > 0) {
            link = &it->next;
            continue;
        }
        *link = it->next;
        free(it);
    }
}

void session_bury(session *self, peer *gone)
{
    if (gone) {
        gone->next = self->gone;
        self->gone = gone;
    }
    if (!self->burying) /* if that fails, the tick does it */
        self->burying = berth_loop_post(self->loop, bury, self);
}

void session_given_peer(const session *self, size_t number, connector *dialler)
{
    char host[256];
    const char *text = self->settings->peers[number];
    const char *colon = strrchr(text, ':');
    size_t length = (size_t)(colon - text);
    const char *begin = text;
    if (*text == '[' && length > 2 && text[length - 1] == ']') {
        begin++;
        length -= 2;
    }
    snprintf(host, sizeof(host), "%.*s", (int)length, begin);
    connector_given(dialler, host, (uint16_t)atoi(colon + 1));
}

/* ---- time and ends --------------------------------------------------------------------------- */

static void end_all(session *self)
{
    self->ending = true;
    berth_server_close(self->server);
    for (size_t i = 0; i < self->torrent_count; i++)
        if (self->torrents[i])
            torrent_end(self->torrents[i]);
}

static bool has_seeded_enough(const session *self, const torrent *it)
{
    double ratio = self->settings->ratio;
    return ratio >= 0 && it->state == TORRENT_ACTIVE && it->complete &&
           (double)it->totals.uploaded >= ratio * (double)it->info->length;
}

static void check_end(void *user)
{
    session *self = user;
    self->checking_end = false;
    if (self->ending)
        return;
    for (size_t i = 0; i < self->torrent_count; i++)
        if (self->torrents[i] && has_seeded_enough(self, self->torrents[i]))
            torrent_end(self->torrents[i]);
}

void session_check_end(session *self)
{
    if (!self->checking_end)
        self->checking_end = berth_loop_post(self->loop, check_end, self);
}

void session_torrent_ended(session *self, const torrent *it, bool complete)
{
    for (size_t i = 0; i < self->torrent_count; i++)
        if (self->torrents[i] == it)
            self->torrents[i] = NULL;
    if (!complete)
        self->failed = true;
    self->ended++;
    if (self->ended == self->torrent_count)
        berth_loop_stop(self->loop, ALL_ENDED);
}

static void on_tick(berth_timer *timer, void *user)
{
    session *self = user;
    (void)timer;
    uint64_t now = session_now(self);
    bury(self);
    for (size_t i = 0; i < self->torrent_count; i++)
        if (self->torrents[i])
            torrent_tick(self->torrents[i], now);
    check_end(self);
    progress_show(self, now);
}

/* ---- beginning ------------------------------------------------------------------------------- */

static void make_peer_id(session *self)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    uint8_t random[PEER_ID_SIZE];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        fail(self->settings->program, "no random numbers: %s", strerror(errno));
    memcpy(self->peer_id, "-BE0100-", 8);
    for (size_t i = 8; i < PEER_ID_SIZE; i++)
        self->peer_id[i] = (uint8_t)letters[random[i] % (sizeof(letters) - 1)];
}

static berth_rate *make_rate(session *self, uint64_t bytes_per_second)
{
    /* A burst of 20 ms: what is shown after a second is the rate. */
    berth_rate *rate = bytes_per_second == 0
                           ? NULL
                           : berth_rate_new(self->loop, bytes_per_second, bytes_per_second / 50);
    if (bytes_per_second != 0 && !rate)
        fail(self->settings->program, "out of memory");
    return rate;
}

static bool is_wildcard(berth_address address)
{
    return berth_address_equal_as(address, BERTH_ADDRESS_ANY, BERTH_TOLERATE_UNSPECIFIED);
}

/* As many descriptors as the system allows; connections may take a quarter of them. A limit on the
 * size of files shall be an error of the write, not the end of the program. */
static void set_limits(session *self)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    self->most_peers = self->settings->most_peers;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur / 4 < self->most_peers)
        self->most_peers = (uint32_t)limit.rlim_cur / 4;
}

void session_open(session *self, const settings *given)
{
    berth_loop_options options = {.backend = given->backend};
    char why[ROUTE_TEXT_SIZE];
    *self = (session){.settings = given};
    self->loop = berth_loop_new(&options);
    if (!self->loop)
        fail_without_loop(given->program, given->backend);
    signalled_loop = self->loop;
    self->way.proxy = given->proxy;
    self->way.authorities = given->authorities;
    if (given->authorities && !route_trust(&self->way, why)) /* else when it is needed */
        fail(given->program, "%s", why);
    if (!is_wildcard(given->address))
        self->way.from = given->address;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction before;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* not for nohup */
        sigaction(SIGHUP, &action, NULL);
    set_limits(self);
    make_peer_id(self);
    self->threads = berth_workers_new(given->threads, NULL, NULL);
    if (!self->threads || !berth_workers_start(self->threads))
        fail(given->program, "cannot start the threads for the disk: %s", strerror(errno));
    self->download_rate = make_rate(self, given->download_limit);
    self->upload_rate = make_rate(self, given->upload_limit);
    self->tick = berth_timer_new(self->loop, on_tick, self);
    if (!self->tick)
        fail(given->program, "out of memory");
    if (!given->check_only)
        listener_open(self);
}

/* False with a line: another one is the same, or has the same file. */
static bool is_apart(const session *self, const metainfo *info, char *error, size_t error_size)
{
    for (size_t i = 0; i < self->torrent_count; i++) {
        const metainfo *other = self->torrents[i] ? self->torrents[i]->info : NULL;
        if (!other)
            continue;
        if (memcmp(other->hash, info->hash, HASH_SIZE) == 0) {
            snprintf(error, error_size, "the same torrent as one before");
            return false;
        }
        if (!metainfo_apart(other, info, error, error_size))
            return false;
    }
    return true;
}

void session_add(session *self, const char *path)
{
    char error[512] = "";
    metainfo *info = metainfo_load(path, error, sizeof(error));
    bool apart = !info || is_apart(self, info, error, sizeof(error));
    torrent *it = info && apart ? torrent_new(self, info, error, sizeof(error)) : NULL;
    if (it) {
        self->torrents[self->torrent_count++] = it;
        return;
    }
    metainfo_free(info);
    fprintf(stderr, "%s: %s%s%s\n", self->settings->program, apart ? "" : path, apart ? "" : ": ",
            error);
    self->failed = true;
}

int session_run(session *self)
{
    if (self->torrent_count == 0)
        return 1;
    if (!self->settings->check_only)
        listener_limit(self);
    berth_timer_start(self->tick, TICK, TICK);
    progress_show(self, session_now(self));
    if (berth_loop_run(self->loop) == SIGNALLED) {
        session_say(self, "ending; a second signal ends at once");
        end_all(self);
        if (self->ended < self->torrent_count)
            berth_loop_run(self->loop);
    }
    if (self->ended < self->torrent_count) /* the second signal: nothing is awaited any more */
        _exit(1);
    return self->failed ? 1 : 0;
}

void session_close(session *self)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &ignore, NULL); /* the handler uses the loop, which goes now */
    sigaction(SIGTERM, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
    while (self->arrivals)
        peer_drop(self->arrivals, "the program ends");
    bury(self);
    berth_workers_free(self->threads);
    listener_close(self);
    berth_loop_free(self->loop);
    route_close(&self->way);
}
