/*
 * Tasks: from this thread and from others, in order, each exactly once.
 */
#include "scene.h"
#include "soon.h"

#include "loop/loop.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define THREADS 4
#define TASKS 500

static void say(void *user)
{
    trace("%s", (const char *)user);
}

CASE(tasks_run_in_order, "loop.h", "in the order of posting, in the loop and not inside post")
{
    ck_assert(berth_loop_post(world_loop(), say, "a"));
    ck_assert(berth_loop_post(world_loop(), say, "b"));
    ck_assert(berth_loop_post(world_loop(), say, "c"));
    assert_trace("");
    ck_assert(berth_loop_turn(world_loop(), -1));
    UNTIL(trace_count() == 3);
    assert_trace("a, b, c");
    world_settle();
    ck_assert_uint_eq(trace_count(), 3);
}

static unsigned posted_again;

static void post_again(void *user)
{
    (void)user;
    if (++posted_again < 50)
        ck_assert(berth_loop_post(world_loop(), post_again, NULL));
}

CASE(task_posts_itself, "loop.h", "a task that posts itself leaves time for the rest")
{
    struct host *host = host_listening("h");
    world_connect(host->port);
    ck_assert(berth_loop_post(world_loop(), post_again, NULL));
    UNTIL(posted_again == 50 && host->new_connections == 1);
}

struct poster {
    pthread_t thread;
    berth_loop *loop;
    unsigned number;
};

static unsigned ran[THREADS];
static pthread_t loop_thread;

static void count_task(void *user)
{
    uintptr_t code = (uintptr_t)user;
    ck_assert(pthread_equal(pthread_self(), loop_thread));
    /* The tasks of one thread come in its order. */
    ck_assert_uint_eq(ran[code / TASKS], code % TASKS);
    ran[code / TASKS]++;
}

static void *post_many(void *user)
{
    struct poster *self = user;
    for (uintptr_t i = 0; i < TASKS; i++) {
        if (!berth_loop_post(self->loop, count_task, (void *)(self->number * TASKS + i)))
            return self;
    }
    return NULL;
}

static void begin_posters(struct poster *posters, void *(*post)(void *user))
{
    loop_thread = pthread_self();
    for (unsigned i = 0; i < THREADS; i++) {
        posters[i].loop = world_loop();
        posters[i].number = i;
        ck_assert_int_eq(pthread_create(&posters[i].thread, NULL, post, &posters[i]), 0);
    }
}

static void join_posters(struct poster *posters)
{
    for (unsigned i = 0; i < THREADS; i++) {
        void *failed;
        ck_assert_int_eq(pthread_join(posters[i].thread, &failed), 0);
        ck_assert_ptr_null(failed);
    }
}

static unsigned all_ran(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < THREADS; i++)
        sum += ran[i];
    return sum;
}

CASE(threads_post_tasks, "loop.h",
     "four threads, two thousand tasks: each runs once, on the loop's thread, in order")
{
    struct poster posters[THREADS];
    world_loop();
    begin_posters(posters, post_many);
    /* Endless waits: time that is simulated would be over before the threads have run. */
    for (int turns = 0; turns < 4 * THREADS * TASKS && all_ran() < THREADS * TASKS; turns++)
        berth_loop_turn(world_loop(), -1);
    join_posters(posters);
    world_settle();
    ck_assert_uint_eq(all_ran(), THREADS * TASKS);
}

CASE(tasks_run_when_the_loop_is_freed, "loop.h",
     "what was posted and has not run yet runs in berth_loop_free")
{
    struct poster posters[THREADS];
    world_loop();
    begin_posters(posters, post_many);
    join_posters(posters);
    world_free_loop();
    ck_assert_uint_eq(all_ran(), THREADS * TASKS);
}

/* ---- while the loop is being freed ----------------------------------------------------------- */

static atomic_bool being_freed;
static atomic_uint posters_done;
static unsigned followed;

static void follow(void *user)
{
    if (*(unsigned *)user > 0) {
        --*(unsigned *)user;
        ck_assert(berth_loop_post(world_loop(), follow, user));
    } else {
        followed++;
    }
}

static void *post_many_while_freed(void *user)
{
    SOON(atomic_load(&being_freed));
    void *failed = post_many(user);
    atomic_fetch_add(&posters_done, 1);
    return failed;
}

/* The last task: there is one as long as a thread posts. */
static void stay_for_posters(void *user)
{
    atomic_store(&being_freed, true);
    if (atomic_load(&posters_done) == THREADS) {
        join_posters(user);
        return;
    }
    sched_yield();
    ck_assert(berth_loop_post(world_loop(), stay_for_posters, user));
}

CASE(threads_post_while_the_loop_is_freed, "loop.h",
     "each of their tasks runs once, as do those that tasks post")
{
    struct poster posters[THREADS];
    unsigned links = 20;
    world_loop();
    begin_posters(posters, post_many_while_freed);
    ck_assert(berth_loop_post(world_loop(), follow, &links));
    ck_assert(berth_loop_post(world_loop(), stay_for_posters, posters));
    world_free_loop();
    ck_assert_uint_eq(all_ran(), THREADS * TASKS);
    ck_assert_uint_eq(followed, 1);
}

static void post_from_handler(struct actor *actor)
{
    (void)actor;
    static unsigned links = 1;
    ck_assert(berth_loop_post(world_loop(), follow, &links));
}

CASE(handler_posts_while_the_loop_is_freed, "loop.h", "which runs too, and what it posts")
{
    struct peer *peer;
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &peer);
    actor->on_disconnected = post_from_handler;
    world_free_loop();
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_uint_eq(followed, 1);
}

static void tell(void *user)
{
    (void)user;
    atomic_store(&being_freed, true);
}

#define CHAINS 8

static struct {
    berth_loop *loop;
    struct peer *peer;
    atomic_bool ready;
    unsigned links[CHAINS];
    bool failed;
} late;

/* The loop is there as long as this peer stays, for two seconds. */
static void *post_and_end(void *user)
{
    atomic_store(&late.ready, true);
    SOON(atomic_load(&being_freed));
    for (int i = 0; i < CHAINS; i++) {
        late.links[i] = 50;
        late.failed = !berth_loop_post(late.loop, follow, &late.links[i]) || late.failed;
    }
    peer_shutdown(late.peer);
    return user;
}

CASE(tasks_in_the_last_turn_of_a_loop, "loop.h lingering.h",
     "what they post runs too, although nothing else keeps the loop any more")
{
    if (world_is_simulated())
        case_skip("a simulated peer is no thread's but the loop's");
    static const char unread[30000];
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &late.peer);
    pthread_t thread;
    actor->reads = false;
    berth_socket_set_read_buffer_size(actor->socket, 1);
    peer_send_some(late.peer, unread, sizeof unread);
    UNTIL(berth_socket_bytes_available(actor->socket) > 0);
    actor_say(actor, "bye");
    UNTIL(actor->written == 3);
    berth_socket_disconnect_from_host(actor->socket);
    ck_assert_ptr_nonnull(world_loop()->lingering);
    berth_loop_set_linger_time(world_loop(), 2000);
    late.loop = world_loop();
    ck_assert(berth_loop_post(world_loop(), tell, NULL));
    ck_assert_int_eq(pthread_create(&thread, NULL, post_and_end, NULL), 0);
    SOON(atomic_load(&late.ready));
    world_free_loop();
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(!late.failed);
    ck_assert_uint_eq(followed, CHAINS);
}

/* ---- and else -------------------------------------------------------------------------------- */

static void free_host(void *user)
{
    struct host *host = user;
    berth_server_free(host->server);
    host->server = NULL;
}

CASE(task_frees_a_server, "loop.h", "objects may be freed inside tasks")
{
    struct host *host = host_listening("h");
    world_connect(host->port);
    ck_assert(berth_loop_post(world_loop(), free_host, host));
    UNTIL(host->server == NULL);
    world_settle();
}

static void *post_one(void *user)
{
    berth_loop_post(user, say, "posted");
    return NULL;
}

CASE(post_ends_a_long_wait, "loop.h", "a task from another thread ends a turn without limit")
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, post_one, world_loop()), 0);
    for (int turns = 0; turns < 10 && trace_count() == 0; turns++)
        berth_loop_turn(world_loop(), -1);
    assert_trace("posted");
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

CASE(blocking_wait_runs_no_tasks, "loop.h", "tasks are for the loop: a wait leaves them")
{
    struct host *host = host_listening("h");
    ck_assert(berth_loop_post(world_loop(), say, "posted"));
    ck_assert(!berth_server_wait_for_new_connection(host->server, 10, NULL));
    assert_trace("");
    UNTIL(trace_count() == 1);
}
