/*
 * Fork, and what other threads are doing in OpenSSL meanwhile.
 *
 * OpenSSL has locks of its own (of its random numbers, its algorithms, its indices) and no handlers
 * of fork for them. A child has only the thread that forked: where another one held such a lock,
 * the first handshake of the child would wait for it for ever. So each call of this library that
 * may take one is counted while it runs, and fork waits until none runs. Calls that come meanwhile
 * wait until the kernel has copied.
 *
 * A thread counts in a place that it shares with few others or with none, so that threads do not
 * take turns with one line of memory. A handler of the program that OpenSSL's call leads to
 * (verify_peer) is not counted: it may take as long as it likes, wait for the thread that forks, or
 * fork itself.
 *
 * A thread that ends is in OpenSSL once more, which frees what it kept for the thread, and holds a
 * lock meanwhile. That is a call as well: a destructor of ours makes it first, since its key is
 * older than OpenSSL's, unless the program has used OpenSSL before this library.
 *
 * Nobody waits without end: a signal handler may fork in the middle of a call. It is then as if
 * nobody had waited.
 */
#include "tls.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

enum {
    PLACES = 32,
    LINE = 64,
    YIELDS = 1000,
    PAUSES = 1000 /* of a millisecond */
};

typedef struct place {
    _Alignas(LINE) atomic_uint calls;
} place;

static place places[PLACES];
static atomic_uint next_place;
static atomic_uint forks; /* that are being made */

static _Thread_local place *own;
static _Thread_local unsigned depth;  /* of the calls that this thread is in */
static _Thread_local bool counted;    /* these, in `own` */
static _Thread_local unsigned forked; /* those of `forks` that this thread makes */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t ends; /* has a value in threads that have been in a call */
static bool ends_usable;

/* Lets others run for a moment. False after a long time. */
static bool wait_more(int attempt)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    if (attempt < YIELDS)
        sched_yield();
    else
        (void)nanosleep(&pause, NULL);
    return attempt < YIELDS + PAUSES;
}

/* Without memory for the value OpenSSL's own destructor does all. */
static void begin_thread(void)
{
    own = &places[atomic_fetch_add(&next_place, 1) % PLACES];
    if (ends_usable)
        (void)pthread_setspecific(ends, own);
}

void berth__tls_enter(void)
{
    if (depth++ > 0)
        return;
    if (own == NULL)
        begin_thread();
    for (int attempt = 0;; attempt++) {
        atomic_fetch_add(&own->calls, 1);
        /* Either this sees the fork, or the fork has seen the call. */
        if (atomic_load(&forks) == 0 || forked > 0)
            break;
        atomic_fetch_sub(&own->calls, 1);
        if (wait_more(attempt))
            continue;
        atomic_fetch_add(&own->calls, 1);
        break;
    }
    counted = true;
}

void berth__tls_leave(void)
{
    if (--depth > 0)
        return;
    counted = false;
    atomic_fetch_sub(&own->calls, 1);
}

/* Whether no other thread is in a call. */
static bool is_quiet(void)
{
    for (int i = 0; i < PLACES; i++) {
        if (atomic_load(&places[i].calls) > (counted && own == &places[i] ? 1u : 0u))
            return false;
    }
    return true;
}

static void before_fork(void)
{
    forked++;
    atomic_fetch_add(&forks, 1);
    for (int attempt = 0; !is_quiet() && wait_more(attempt); attempt++)
        continue;
}

/* Of a fork in a signal handler that has interrupted another one, in the child, there is nothing
 * left to be taken back. */
static void in_parent(void)
{
    if (forked == 0)
        return;
    forked--;
    atomic_fetch_sub(&forks, 1);
}

static void in_child(void)
{
    if (!is_quiet())
        berth__tls_renew_tickets();
    for (int i = 0; i < PLACES; i++)
        atomic_store(&places[i].calls, counted && own == &places[i] ? 1u : 0u);
    forked = 0;
    atomic_store(&forks, 0);
}

/* A later destructor may use TLS again (the thread's own loop ends, with its connections): then
 * this one is called again. */
static void end_thread(void *value)
{
    (void)value;
    berth__tls_enter();
    OPENSSL_thread_stop();
    berth__tls_leave();
    own = NULL;
}

/* Without memory for that it is as it was. */
static void watch(void)
{
    ends_usable = pthread_key_create(&ends, end_thread) == 0;
    (void)pthread_atfork(before_fork, in_parent, in_child);
}

void berth__tls_watch_forks(void)
{
    pthread_once(&once, watch);
}
