/*
 * Rings of io_uring for users who may lock little memory, and turns that start more than a ring
 * holds.
 *
 * A case that runs as root takes another user, since root's rings are not charged; what that user
 * may lock is set small, so that few loops show what many would do. Other processes of that user
 * count too, so each case takes one of its own.
 */
#include "case.h"
#include "scene.h"

#include <berth/berth.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    SOMEBODY = 700000000,
    RING = 16 << 10 /* what a ring is charged with */
};

static const berth_loop_options by_ring = {.backend = "io_uring"};

static void be_somebody(rlim_t locked)
{
    if (strcmp(getenv("BERTH_BACKEND"), "io_uring") != 0)
        case_skip("rings are io_uring's");
    struct rlimit limit = {.rlim_cur = locked, .rlim_max = locked};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        case_skip("the limit of locked memory cannot be set");
    if (geteuid() != 0)
        case_skip("needs root, to become a user who has locked nothing");
    uid_t user = SOMEBODY + (uid_t)getpid();
    if (setresuid(user, user, user) != 0)
        case_skip("no other user can be taken");
    (void)prctl(PR_SET_DUMPABLE, 1); /* LeakSanitizer traces */
}

static berth_loop *loops[40];

static void free_loops(void)
{
    for (int i = 0; i < 40; i++)
        berth_loop_free(loops[i]);
}

/* The loops are the case's own, and so not freed when it fails. */
#define HOLDS(expression)         \
    do {                          \
        bool holds_ = expression; \
        if (!holds_)              \
            free_loops();         \
        ck_assert(holds_);        \
    } while (0)

CASE(many_loops_of_an_ordinary_user, "reliability 12",
     "a ring is small: 40 loops fit into what 3 used to take")
{
    be_somebody(40 * RING);
    int count = 0;
    while (count < 40 && (loops[count] = berth_loop_new(&by_ring)) != NULL)
        count++;
    int error = errno;
    free_loops();
    ck_assert_msg(count == 40, "loop %d: %s", count, strerror(error));
}

/* The kernel gives the memory of a ring back some time after it was closed. */
CASE(loops_one_after_another, "reliability 12", "a ring is waited for when others were just closed")
{
    be_somebody(4 * RING);
    for (int i = 0; i < 100; i++) {
        berth_loop *loop = berth_loop_new(&by_ring);
        ck_assert_msg(loop != NULL, "loop %d: %s", i, strerror(errno));
        berth_loop_free(loop);
    }
}

static void *make_own_loop(void *ret_name)
{
    *(const char **)ret_name = berth_loop_backend_name(NULL);
    return NULL;
}

CASE(loops_of_threads_one_after_another, "reliability 12",
     "the same with a thread's own loop, which may be of any backend: it is never another")
{
    be_somebody(4 * RING);
    unsetenv("BERTH_BACKEND");
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        const char *name = NULL;
        ck_assert_int_eq(pthread_create(&thread, NULL, make_own_loop, &name), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        ck_assert_str_eq(name, "io_uring");
    }
}

CASE(refused_ring_says_why, "reliability 12", "the limit is named, and the way without is taken")
{
    be_somebody(2 * RING);
    char reason[200];
    loops[0] = berth_loop_new(&by_ring);
    loops[1] = berth_loop_new(&by_ring);
    HOLDS(loops[1] != NULL);
    loops[2] = berth_loop_new(&by_ring);
    int error = errno;
    if (loops[2] != NULL)
        case_skip("this kernel does not count rings as locked memory");
    HOLDS(error == ENOMEM);
    HOLDS(!berth_loop_backend_available("io_uring", reason, sizeof reason));
    HOLDS(strstr(reason, "16 KiB of the user's locked memory") != NULL);
    HOLDS(strstr(reason, "RLIMIT_MEMLOCK is 32 KiB") != NULL);

    unsetenv("BERTH_BACKEND");
    loops[2] = berth_loop_new(NULL);
    HOLDS(loops[2] != NULL && strcmp(berth_loop_backend_name(loops[2]), "epoll") == 0);
    HOLDS(strstr(berth_loop_backend_reason(loops[2]), "RLIMIT_MEMLOCK") != NULL);

    berth_loop_free(loops[0]); /* and its memory is waited for */
    loops[0] = berth_loop_new(&by_ring);
    HOLDS(loops[0] != NULL);
    free_loops();
}

/* ---- more than a ring holds ------------------------------------------------------------------ */

#define CROWD 400

static uint64_t overflows(void)
{
    berth_loop_counts counts;
    berth_loop_statistics(world_loop(), &counts);
    return counts.completion_overflows;
}

static void say_to_all(void *user)
{
    struct actor **actors = user;
    for (int i = 0; i < CROWD; i++)
        actor_say(actors[i], "pong");
}

CASE(more_sends_than_a_ring_holds, "reliability 11",
     "400 sends that end in one turn: nothing overflows, and all are told of")
{
    struct host *host = host_new("h");
    berth_server_set_listen_backlog_size(host->server, CROWD);
    berth_server_set_max_pending_connections(host->server, CROWD);
    host_listen(host);
    struct peer *peers[CROWD];
    struct actor *actors[CROWD];
    for (int i = 0; i < CROWD; i++) {
        peers[i] = world_connect(host->port);
        actors[i] = host_take_actor(host, "s");
        actors[i]->quiet = true;
    }
    world_settle();
    uint64_t before = overflows();
    for (size_t round = 1; round <= 5; round++) {
        ck_assert(berth_loop_post(world_loop(), say_to_all, actors));
        for (int i = 0; i < CROWD; i++)
            UNTIL(actors[i]->written == 4 * round);
        for (int i = 0; i < CROWD; i++)
            ck_assert(peer_hears(peers[i], "pong"));
    }
    ck_assert_uint_eq(overflows(), before);
    for (int i = 0; i < CROWD; i++)
        peer_say(peers[i], "bye");
    for (int i = 0; i < CROWD; i++)
        UNTIL(actors[i]->received == 3);
}
