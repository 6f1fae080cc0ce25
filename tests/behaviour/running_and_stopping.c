/*
 * run and stop: from handlers, tasks, threads and signal handlers, nested too.
 */
#include "scene.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static void stop_with(void *user)
{
    berth_loop_stop(world_loop(), (int)(intptr_t)user);
}

CASE(stop_inside_a_task, "loop.h", "run returns the exit code of stop")
{
    ck_assert(berth_loop_post(world_loop(), stop_with, (void *)7));
    ck_assert_int_eq(berth_loop_run(world_loop()), 7);
    ck_assert(berth_loop_post(world_loop(), stop_with, (void *)-3));
    ck_assert_int_eq(berth_loop_run(world_loop()), -3);
}

CASE(stop_before_run, "loop.h", "a stop without a run ends the next one at once, and only that")
{
    berth_loop_stop(world_loop(), 5);
    ck_assert_int_eq(berth_loop_run(world_loop()), 5);
    ck_assert(berth_loop_post(world_loop(), stop_with, (void *)8));
    ck_assert_int_eq(berth_loop_run(world_loop()), 8);
}

static void stop_on_connection(struct host *host)
{
    berth_loop_stop(berth_server_loop(host->server), (int)host->new_connections);
}

CASE(stop_inside_new_connection, "loop.h", "a server that runs until its first connection")
{
    struct host *host = host_listening("h");
    host->on_new_connection = stop_on_connection;
    world_connect(host->port);
    ck_assert_int_eq(world_run(), 1);
    world_connect(host->port);
    ck_assert_int_eq(world_run(), 2);
}

static void stop_on_expiry(berth_timer *timer, void *user)
{
    (void)timer;
    berth_loop_stop(user, 9);
}

CASE(stop_inside_a_timer, "loop.h", "a loop that runs for some milliseconds")
{
    berth_timer *timer = berth_timer_new(world_loop(), stop_on_expiry, world_loop());
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 5, 0);
    ck_assert_int_eq(berth_loop_run(world_loop()), 9);
    berth_timer_free(timer);
}

static void *stop_from_thread(void *loop)
{
    berth_loop_stop(loop, 11); /* before or during the run: both end it */
    return NULL;
}

CASE(stop_from_another_thread, "loop.h", "another thread ends an idle loop, a hundred times")
{
    for (int rounds = 0; rounds < 100; rounds++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, stop_from_thread, world_loop()), 0);
        ck_assert_int_eq(berth_loop_run(world_loop()), 11);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
}

static berth_loop *stopped_by_signal;

static void on_signal(int number)
{
    (void)number;
    berth_loop_stop(stopped_by_signal, 12);
}

static void raise_signal(void *user)
{
    (void)user;
    ck_assert_int_eq(raise(SIGUSR1), 0);
}

CASE(stop_from_a_signal_handler, "loop.h", "a signal handler ends the loop")
{
    struct sigaction action = {.sa_handler = on_signal};
    stopped_by_signal = world_loop();
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    ck_assert(berth_loop_post(world_loop(), raise_signal, NULL));
    ck_assert_int_eq(berth_loop_run(world_loop()), 12);
}

struct target {
    pthread_t thread;
    atomic_bool done;
};

static void *send_signals(void *user)
{
    struct target *target = user;
    for (int tries = 0; tries < 5000 && !target->done; tries++) {
        pthread_kill(target->thread, SIGUSR1);
        usleep(1000);
    }
    return NULL;
}

CASE(signal_ends_a_sleeping_loop, "loop.h", "a signal that comes while the loop sleeps")
{
    struct sigaction action = {.sa_handler = on_signal};
    struct target target = {.thread = pthread_self()};
    pthread_t thread;
    stopped_by_signal = world_loop();
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, send_signals, &target), 0);
    ck_assert_int_eq(berth_loop_run(world_loop()), 12);
    target.done = true;
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void run_inside(void *user)
{
    (void)user;
    trace("outer task");
    ck_assert(berth_loop_post(world_loop(), stop_with, (void *)1));
    ck_assert_int_eq(berth_loop_run(world_loop()), 1);
    trace("inner run over");
    ck_assert(berth_loop_post(world_loop(), stop_with, (void *)2));
}

CASE(nested_run, "loop.h S2.13", "a stop ends the innermost run, the next stop the outer one")
{
    ck_assert(berth_loop_post(world_loop(), run_inside, NULL));
    ck_assert_int_eq(berth_loop_run(world_loop()), 2);
    assert_trace("outer task, inner run over");
}

static void run_with_two_stops(void *user)
{
    (void)user;
    ck_assert(berth_loop_post(world_loop(), stop_with, (void *)1));
    ck_assert(berth_loop_post(world_loop(), stop_with, (void *)2));
    ck_assert(berth_loop_post(world_loop(), stop_with, (void *)3)); /* one too many */
    ck_assert_int_eq(berth_loop_run(world_loop()), 1);
    trace("inner run over");
}

CASE(two_stops_for_two_runs, "loop.h", "two stops posted together end two nested runs")
{
    ck_assert(berth_loop_post(world_loop(), run_with_two_stops, NULL));
    ck_assert_int_eq(berth_loop_run(world_loop()), 2);
    assert_trace("inner run over");
    ck_assert(berth_loop_post(world_loop(), stop_with, (void *)4));
    ck_assert_int_eq(berth_loop_run(world_loop()), 4);
}

static void stop_once_more(void *user)
{
    run_with_two_stops(user);
    berth_loop_stop(world_loop(), 4); /* there is one for the outer run */
}

CASE(stop_behind_one_that_waits, "loop.h", "a stop does not take the place of an earlier one")
{
    ck_assert(berth_loop_post(world_loop(), stop_once_more, NULL));
    ck_assert_int_eq(berth_loop_run(world_loop()), 2);
    ck_assert(berth_loop_post(world_loop(), stop_with, (void *)5));
    ck_assert_int_eq(berth_loop_run(world_loop()), 5); /* nothing was left of the fourth */
}

static void run_again(void *user)
{
    run_with_two_stops(user);
    ck_assert_int_eq(berth_loop_run(world_loop()), 2); /* at once */
    berth_loop_stop(world_loop(), 4);
}

static void run_around(void *user)
{
    (void)user;
    ck_assert(berth_loop_post(world_loop(), run_again, NULL));
    ck_assert_int_eq(berth_loop_run(world_loop()), 3);
}

CASE(stops_in_their_order, "loop.h", "runs that begin later do not change the order of the stops")
{
    ck_assert(berth_loop_post(world_loop(), run_around, NULL));
    ck_assert_int_eq(berth_loop_run(world_loop()), 4);
}

CASE(first_stop_wins, "loop.h", "of two stops in a row the first says how the run ends")
{
    berth_loop_stop(world_loop(), 1);
    berth_loop_stop(world_loop(), 2);
    ck_assert_int_eq(berth_loop_run(world_loop()), 1);
    ck_assert(berth_loop_post(world_loop(), stop_with, (void *)3));
    ck_assert(berth_loop_post(world_loop(), stop_with, (void *)4));
    ck_assert_int_eq(berth_loop_run(world_loop()), 3);
    ck_assert(berth_loop_post(world_loop(), stop_with, (void *)5));
    ck_assert_int_eq(berth_loop_run(world_loop()), 5);
}

static void run_in_new_connection(struct host *host)
{
    trace("in %u", host->new_connections);
    if (host->new_connections == 1)
        ck_assert_int_eq(world_run(), 3);
    else if (host->new_connections == 3)
        berth_loop_stop(world_loop(), 3);
    trace("out");
}

CASE(nested_run_inside_new_connection, "S2.13",
     "peers are accepted and announced nested, none lost or doubled")
{
    struct host *host = host_listening("h");
    host->on_new_connection = run_in_new_connection;
    for (int i = 0; i < 4; i++)
        world_connect(host->port);
    UNTIL(host->new_connections == 4);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 4);
    ck_assert_uint_eq(trace_times("out"), 4);
}

static void free_the_loop(void *user)
{
    berth_loop_free(user);
    trace("freed");
}

CASE(free_the_loop_inside_a_task, "loop.h", "the loop stops, and is freed when its run returns")
{
    berth_loop *loop = berth_loop_new(NULL);
    ck_assert_ptr_nonnull(loop);
    berth_server *server = berth_server_new(loop, NULL, NULL);
    ck_assert_ptr_nonnull(server);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert(berth_loop_post(loop, free_the_loop, loop));
    berth_loop_run(loop);
    assert_trace("freed");
}

static berth_loop *doomed;

static void free_doomed(berth_server *server, void *user)
{
    (void)user;
    ck_assert_ptr_eq(berth_server_loop(server), doomed);
    berth_loop_free(doomed);
    trace("freed");
}

CASE(free_the_loop_inside_new_connection, "loop.h",
     "with the server that is calling, and its sockets")
{
    static const berth_server_handlers handlers = {.new_connection = free_doomed};
    doomed = berth_loop_new(NULL);
    berth_server *server = berth_server_new(doomed, &handlers, NULL);
    ck_assert_ptr_nonnull(doomed);
    ck_assert_ptr_nonnull(server);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    berth_socket *client = berth_socket_new(doomed, NULL, NULL);
    ck_assert_ptr_nonnull(client);
    ck_assert(
        berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, berth_server_port(server)));
    berth_loop_run(doomed);
    assert_trace("freed");
}

CASE(wake_ends_a_turn, "loop.h", "a wake ends the next wait without anything having happened")
{
    berth_loop_wake(world_loop());
    for (int turns = 0; turns < 3; turns++) {
        berth_loop_wake(world_loop());
        berth_loop_turn(world_loop(), world_for_ever());
    }
}
