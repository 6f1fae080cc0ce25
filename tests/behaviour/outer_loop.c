/*
 * The loop inside another event loop: poll on its descriptor, a turn when it is readable or its
 * time has come.
 */
#include "scene.h"
#include "soon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int descriptor(void)
{
    int number = berth_loop_descriptor(world_loop());
    if (number < 0)
        case_skip("this backend has no descriptor");
    return number;
}

/* What GLib, libuv or a game do: at most `rounds` times. */
static void poll_until(unsigned (*count)(void), unsigned wanted, int rounds)
{
    struct pollfd poller = {.fd = descriptor(), .events = POLLIN};
    time_t begin = soon_now();
    for (int i = 0; i < rounds && count() < wanted && soon_waits(begin); i++) {
        int timeout = berth_loop_timeout(world_loop());
        poller.revents = 0;
        ck_assert_int_ge(poll(&poller, 1, timeout >= 0 && timeout < 1000 ? timeout : 1000), 0);
        berth_loop_turn(world_loop(), 0);
    }
    ck_assert_uint_ge(count(), wanted);
}

static struct host *host;

static unsigned connections(void)
{
    return host->new_connections;
}

CASE(connection_makes_the_descriptor_readable, "design 4", "an outer loop hears of a connection")
{
    host = host_listening("h");
    descriptor();
    berth_loop_turn(world_loop(), 0);
    world_connect(host->port);
    poll_until(connections, 1, 20);
}

static struct actor *actor;

static unsigned bytes_received(void)
{
    return (unsigned)actor->received;
}

static unsigned bytes_written(void)
{
    return (unsigned)actor->written;
}

CASE(bytes_make_the_descriptor_readable, "design 4",
     "an outer loop hears of bytes, and sends what was written outside a turn")
{
    struct peer *peer;
    host = host_listening("h");
    descriptor();
    actor = host_connect(host, "s", &peer);
    for (unsigned i = 1; i <= 10; i++) {
        ck_assert_uint_eq(peer_send_some(peer, "x", 1), 1);
        poll_until(bytes_received, i, 20);
        actor_say(actor, "y");
        poll_until(bytes_written, i, 20);
        ck_assert(peer_hears(peer, "y"));
    }
}

static unsigned expiries;

static unsigned expired(void)
{
    return expiries;
}

static void count_expiry(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    expiries++;
}

CASE(timeout_tells_of_timers, "loop.h", "an outer loop that minds the time-out runs timers")
{
    descriptor();
    ck_assert_int_eq(berth_loop_timeout(world_loop()), -1);
    berth_timer *timer = berth_timer_new(world_loop(), count_expiry, NULL);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 20, 0);
    int timeout = berth_loop_timeout(world_loop());
    ck_assert_int_ge(timeout, 0);
    ck_assert_int_le(timeout, 21);
    poll_until(expired, 1, 100);
    ck_assert_int_eq(berth_loop_timeout(world_loop()), -1);
}

static unsigned tasks;

static unsigned tasks_run(void)
{
    return tasks;
}

static void count_task(void *user)
{
    (void)user;
    tasks++;
}

CASE(post_makes_the_descriptor_readable, "loop.h",
     "an outer loop hears of tasks, those posted by its own thread too")
{
    descriptor();
    berth_loop_turn(world_loop(), 0);
    for (unsigned i = 1; i <= 5; i++) {
        ck_assert(berth_loop_post(world_loop(), count_task, NULL));
        poll_until(tasks_run, i, 20);
    }
}

CASE(descriptor_gets_quiet, "loop.h",
     "without anything to do the descriptor is not readable for ever")
{
    host = host_listening("h");
    int number = descriptor();
    world_connect(host->port);
    poll_until(connections, 1, 20);
    struct pollfd poller = {.fd = number, .events = POLLIN};
    bool quiet = false;
    for (int turns = 0; turns < 50 && !quiet; turns++) {
        berth_loop_turn(world_loop(), 0);
        quiet = poll(&poller, 1, 0) == 0;
    }
    ck_assert(quiet);
}

static unsigned disconnections(void)
{
    return actor->disconnects;
}

CASE(client_lives_in_an_outer_loop, "design 4", "connect, write, end: all started outside turns")
{
    host = host_listening("h");
    descriptor();
    host->takes = true;
    actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    actor_say(actor, "hello");
    berth_socket_disconnect_from_host(actor->socket);
    poll_until(disconnections, 1, 50);
    struct pollfd poller = {.fd = descriptor(), .events = POLLIN};
    for (int i = 0; i < 50 && (host->count == 0 || host->taken[0]->disconnects == 0); i++) {
        poll(&poller, 1, 100);
        berth_loop_turn(world_loop(), 0);
    }
    ck_assert(actor_has(host->taken[0], "hello"));
}

/* ---- who sleeps is woken ----------------------------------------------------------------------
 */

/* What an outer loop on epoll does: until nothing is to be done. */
static void outer_settle(berth_loop *loop, int outer)
{
    struct epoll_event event;
    for (int turns = 0; turns < 50 && epoll_wait(outer, &event, 1, 20) > 0; turns++)
        berth_loop_turn(loop, 0);
}

static int outer_new(berth_loop *loop)
{
    struct epoll_event wanted = {.events = EPOLLIN};
    int inner = berth_loop_descriptor(loop);
    if (inner < 0)
        case_skip("this backend has no descriptor");
    int outer = world_note(epoll_create1(EPOLL_CLOEXEC));
    ck_assert_int_eq(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &wanted), 0);
    outer_settle(loop, outer);
    return outer;
}

/* Sleeps until the loop wants a turn: that has to come by itself, and not when somebody looks. */
static void outer_sleep(berth_loop *loop, int outer)
{
    struct epoll_event event;
    int found;
    while ((found = epoll_wait(outer, &event, 1, 5000)) < 0)
        ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(found, 1);
    outer_settle(loop, outer);
}

static void *connect_soon(void *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*(uint16_t *)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)usleep(50000);
    int peer = world_note(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    (void)connect(peer, (struct sockaddr *)&address, sizeof address); /* or nobody is woken */
    return NULL;
}

static void *post_soon(void *loop)
{
    (void)usleep(50000);
    (void)berth_loop_post(loop, count_task, NULL); /* or nobody is woken */
    return NULL;
}

static void sleep_beside(berth_loop *loop, int outer, void *(*run)(void *), void *argument)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run, argument), 0);
    outer_sleep(loop, outer);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    outer_settle(loop, outer);
}

CASE(connection_wakes_an_outer_loop, "loop.h", "one that has gone to sleep on epoll")
{
    host = host_listening("h");
    int outer = outer_new(world_loop());
    for (unsigned i = 1; i <= 3; i++) {
        sleep_beside(world_loop(), outer, connect_soon, &host->port);
        ck_assert_uint_eq(host->new_connections, i);
    }
    world_close_noted();
}

CASE(post_wakes_an_outer_loop, "loop.h", "likewise")
{
    int outer = outer_new(world_loop());
    for (unsigned i = 1; i <= 3; i++) {
        sleep_beside(world_loop(), outer, post_soon, world_loop());
        ck_assert_uint_eq(tasks, i);
    }
    world_close_noted();
}

CASE(post_wakes_where_no_input_is_open, "loop.h",
     "a program without standard input, whose number the descriptor has then")
{
    descriptor();
    if (world_is_impatient()) /* the walk through faults: a case that ends early leaves the number
                               */
        case_skip("whatever is opened next would have the number");
    berth_loop *loop = berth_loop_new(NULL);
    ck_assert_ptr_nonnull(loop);
    int input = dup(STDIN_FILENO);
    close(STDIN_FILENO);
    int outer = outer_new(loop);
    for (unsigned i = 1; i <= 3; i++) {
        sleep_beside(loop, outer, post_soon, loop);
        ck_assert_uint_eq(tasks, i);
    }
    world_close_noted();
    berth_loop_free(loop);
    ck_assert_int_eq(dup2(input, STDIN_FILENO), STDIN_FILENO);
    close(input);
}
