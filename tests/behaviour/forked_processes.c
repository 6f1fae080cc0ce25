/*
 * Processes: what a child may do with its copies of a loop and its objects, and that the parent
 * never notices.
 *
 * Each child does its part and ends with a status; the parent waits for it, and then shows that its
 * own connections and listeners work as before. A child that hangs is ended by its alarm. What a
 * parent must not turn its loop for is done with descriptors of the case's own.
 */
#include "calls.h"
#include "children.h"
#include "soon.h"

#include "balance.h"
#include "loop/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the parent's scene ------------------------------------------------------------------------
 */

static struct host *host;
static struct actor *actor;
static struct peer *peer;
static unsigned handlers; /* calls, in the child */

static void set_up(void)
{
    real_kernel_only();
    host = host_listening("h");
    actor = host_connect(host, "s", &peer);
    UNTIL(berth_socket_state(actor->socket) == BERTH_STATE_CONNECTED);
    world_settle();
}

/* Both ways on the old connection, and a new one. */
static void assert_undisturbed(void)
{
    actor->received = 0;
    peer_say(peer, "still here?");
    UNTIL(actor_has(actor, "still here?"));
    actor_say(actor, "yes");
    ck_assert(peer_hears(peer, "yes"));
    struct peer *other;
    struct actor *second = host_connect(host, "s", &other);
    peer_say(other, "and new?");
    UNTIL(actor_has(second, "and new?"));
    ck_assert(!peer_sees_either(peer));
}

static void count_handler(struct actor *which)
{
    (void)which;
    handlers++;
}

/* ---- giving up ---------------------------------------------------------------------------------
 */

static void free_objects(void)
{
    actor->on_disconnected = actor->on_state = actor->on_finished = count_handler;
    int descriptor = berth_socket_descriptor(actor->socket);
    int listener = berth_server_descriptor(host->server);
    berth_socket_free(actor->socket);
    berth_server_free(host->server);
    MUST(!world_is_open(descriptor) && !world_is_open(listener));
    MUST(handlers == 0);
}

CASE(child_frees_its_objects, "reliability 23",
     "its descriptors are closed; the parent is as before")
{
    set_up();
    have_child(free_objects);
    assert_undisturbed();
}

static void free_loop(void)
{
    long blocks = balance_blocks();
    unsigned descriptors = world_descriptors();
    berth_loop *loop = world_loop();
    berth_loop_free(loop);
    MUST(balance_blocks() < blocks);
    MUST(world_descriptors() + 4 <= descriptors); /* both sockets, and two of the backend */
}

CASE(child_frees_the_loop, "reliability 23", "with all that belongs to it")
{
    set_up();
    have_child(free_loop);
    assert_undisturbed();
}

static void close_all(void)
{
    berth_socket_disconnect_from_host(actor->socket);
    MUST(berth_socket_state(actor->socket) == BERTH_STATE_UNCONNECTED);
    berth_server_close(host->server);
    MUST(!berth_server_is_listening(host->server));
    berth_loop_free(world_loop());
}

static void reset(void)
{
    berth_socket_reset(actor->socket);
    berth_loop_free(world_loop());
}

CASE(child_ends_its_connections, "reliability 23", "an end or a reset is only the copy's")
{
    set_up();
    have_child(close_all);
    assert_undisturbed();
    have_child(reset);
    assert_undisturbed();
}

static void do_nothing(void)
{
    _exit(0);
}

CASE(child_just_ends, "reliability 23", "and closes nothing by itself")
{
    set_up();
    have_child(do_nothing);
    assert_undisturbed();
}

static struct actor *slow;
static struct peer *slow_peer;

CASE(child_frees_a_loop_with_much_on_its_way, "reliability 23",
     "output in flight, a connection that lingers, one that is being made: nothing is waited for")
{
    set_up();
    slow = host_connect(host, "s", &slow_peer);
    uint8_t *pattern = scene_pattern(8 << 20, 1);
    berth_socket_write(slow->socket, pattern, 8 << 20);
    struct peer *lingering;
    struct actor *leaving = host_connect(host, "s", &lingering);
    peer_say(lingering, "x");
    UNTIL(leaving->received == 1);
    actor_say(leaving, "bye");
    berth_socket_disconnect_from_host(leaving->socket);
    struct actor *client = actor_new("c");
    berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port);
    world_turn();
    have_child(free_loop);
    host_take(host); /* the client's */
    assert_undisturbed();
    free(pattern);
}

static unsigned tasks;

static void count_task(void *user)
{
    (void)user;
    tasks++;
}

static void free_loop_with_a_task(void)
{
    berth_loop_free(world_loop());
    MUST(tasks == 0);
}

CASE(child_frees_a_loop_with_a_task, "reliability 23", "which is the parent's to run, once")
{
    set_up();
    ck_assert(berth_loop_post(world_loop(), count_task, NULL));
    have_child(free_loop_with_a_task);
    ck_assert_uint_eq(tasks, 0);
    UNTIL(tasks == 1);
    assert_undisturbed();
    ck_assert_uint_eq(tasks, 1);
}

/* ---- every call --------------------------------------------------------------------------------
 */

CASE(child_makes_every_call, "reliability 23", "each fails or is answered; none harms the parent")
{
    set_up();
    stage.server = berth_server_new(world_loop(), NULL, &stage);
    ck_assert_ptr_nonnull(stage.server);
    ck_assert(berth_server_listen(stage.server, BERTH_ADDRESS_LOOPBACK, 0));
    stage.server_port = berth_server_port(stage.server);
    int client = dial(stage.server_port);
    UNTIL(berth_server_has_pending_connections(stage.server));
    stage.socket = berth_server_next_pending_connection(stage.server);
    ck_assert_ptr_nonnull(stage.socket);
    berth_socket_set_handlers(stage.socket, NULL, &stage);
    for (struct call *each = all_calls; each != NULL; each = each->next) {
        if (strstr(each->name, "_new_sized") != NULL || strstr(each->name, "_option") != NULL)
            continue; /* which the table wants to succeed; see child_is_told_why */
        pid_t child = begin_child();
        if (child == 0) {
            each->make();
            _exit(0);
        }
        int status = -1;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(status == 0, "%s: status %x", each->name, (unsigned)status);
    }
    say(client, "x");
    UNTIL(berth_socket_bytes_available(stage.socket) == 1);
    close(client);
    assert_undisturbed();
}

static bool names_fork(const char *text)
{
    return text != NULL && strstr(text, "fork") != NULL;
}

static void try_all(void)
{
    berth_loop *loop = world_loop();
    char bytes[8];
    bool timed_out = true;
    MUST(berth_socket_write(actor->socket, "x", 1) == -1);
    MUST(berth_socket_error(actor->socket) == BERTH_ERROR_OPERATION);
    MUST(names_fork(berth_socket_error_string(actor->socket)));
    MUST(berth_socket_read(actor->socket, bytes, sizeof bytes) == -1);
    MUST(!berth_socket_flush(actor->socket));
    MUST(!berth_socket_wait_for_ready_read(actor->socket, -1));
    MUST(!berth_socket_set_option(actor->socket, BERTH_OPTION_LOW_DELAY, 1));
    MUST(names_fork(berth_socket_error_string(actor->socket)));
    MUST(!berth_server_wait_for_new_connection(host->server, -1, &timed_out) && !timed_out);
    MUST(names_fork(berth_server_error_string(host->server)));
    MUST(!berth_server_listen(host->server, BERTH_ADDRESS_LOOPBACK, 0));
    MUST(names_fork(berth_server_error_string(host->server)));
    MUST(berth_server_new(loop, NULL, NULL) == NULL && errno == ECHILD);
    MUST(berth_socket_new(loop, NULL, NULL) == NULL && errno == ECHILD);
    MUST(berth_timer_new(loop, NULL, NULL) == NULL && errno == ECHILD);
    errno = 0;
    MUST(berth_loop_run(loop) == -1 && errno == ECHILD);
    errno = 0;
    MUST(!berth_loop_turn(loop, -1) && errno == ECHILD);
    MUST(!berth_loop_post(loop, (berth_task)free, NULL) && errno == ECHILD);
    MUST(berth_loop_descriptor(loop) == -1);
    MUST(names_fork(berth_loop_backend_reason(loop)));
    berth_loop_wake(loop);
    berth_loop_stop(loop, 0);
    /* Questions are answered. */
    MUST(berth_socket_state(actor->socket) == BERTH_STATE_CONNECTED);
    MUST(berth_socket_peer_port(actor->socket) == peer_port(peer));
    MUST(berth_server_port(host->server) == host->port);
    MUST(strcmp(berth_loop_backend_name(loop), "inherited") != 0);
}

CASE(child_is_told_why, "reliability 23", "false, -1 or NULL, and a text that names fork")
{
    set_up();
    have_child(try_all);
    assert_undisturbed();
}

/* ---- the child's own loop ----------------------------------------------------------------------
 */

static void use_null_loop(void)
{
    MUST(berth_loop_current() != NULL && !berth_loop_current()->inherited);
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    berth_socket *client = berth_socket_new(NULL, NULL, NULL);
    MUST(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    MUST(
        berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, berth_server_port(server)));
    MUST(berth_server_wait_for_new_connection(server, 10000, NULL));
    MUST(berth_socket_wait_for_connected(client, 10000));
    MUST(berth_socket_write(client, "hello", 5) == 5);
    berth_socket *served = berth_server_next_pending_connection(server);
    MUST(berth_socket_wait_for_bytes_written(client, 10000));
    MUST(berth_socket_wait_for_ready_read(served, 10000));
    MUST(berth_socket_bytes_available(served) == 5);
    berth_loop_free(berth_loop_current());
}

CASE(child_has_a_loop_of_its_own, "reliability 23", "NULL stands for a fresh one")
{
    set_up();
    /* The parent's own one is there already, and used. */
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    int client = dial(berth_server_port(server));
    have_child(use_null_loop);
    ck_assert(berth_server_wait_for_new_connection(server, 10000, NULL));
    close(client);
    berth_loop_free(berth_loop_current());
    assert_undisturbed();
}

/* ---- berth_loop_after_fork ---------------------------------------------------------------------
 */

static unsigned ticks;

static void tick(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    ticks++;
}

static void echo(struct actor *which)
{
    berth_socket_write(which->socket, which->input, which->received);
    which->received = 0;
}

CASE(daemon_goes_on, "reliability 23",
     "listener, connection, timer: the parent ends, and the child serves them")
{
    set_up();
    actor->on_ready_read = echo;
    int old = dial(host->port);
    struct actor *second = host_take_actor(host, "s");
    second->on_ready_read = echo;
    berth_timer *timer = berth_timer_new(world_loop(), tick, NULL);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 20, 20);
    say(old, "before ");
    pid_t child = begin_child();
    if (child == 0) {
        close(old);
        MUST(berth_loop_after_fork(world_loop()));
        MUST(berth_loop_after_fork(world_loop())); /* again does nothing */
        host->takes = true;
        ticks = 0;
        for (unsigned turns = 0;
             turns < 10000 && (ticks < 3 || host->count == 0 || second->disconnects == 0);
             turns++) {
            berth_loop_turn(world_loop(), 100);
            for (unsigned i = 0; i < host->count; i++)
                host->taken[i]->on_ready_read = echo;
        }
        MUST(ticks >= 3);
        MUST(second->disconnects == 1);
        UNTIL(host->taken[0]->disconnects == 1);
        berth_loop_free(world_loop());
        _exit(0);
    }
    /* The parent does not turn its loop any more. */
    say(old, "after");
    ck_assert(hears(old, "before after"));
    int new = dial(host->port);
    usleep(50000); /* until it is taken */
    say(new, "new");
    ck_assert(hears(new, "new"));
    close(new);
    shutdown(old, SHUT_WR);
    end_child(child);
    close(old);
}

#define MUCH ((size_t)6 << 20)

CASE(child_goes_on_with_output, "reliability 23",
     "what was written before the fork arrives once and in order, whoever had it in hand")
{
    set_up();
    int reader = dial(host->port);
    struct actor *writer = host_take_actor(host, "s");
    uint8_t *pattern = scene_pattern(MUCH, 7);
    ck_assert_int_eq(berth_socket_write(writer->socket, pattern, MUCH), (ptrdiff_t)MUCH);
    for (int i = 0; i < 20; i++)
        world_turn();
    size_t left = berth_socket_bytes_to_write(writer->socket);
    ck_assert_uint_gt(left, 0);
    pid_t child = begin_child();
    if (child == 0) {
        close(reader);
        MUST(berth_loop_after_fork(world_loop()));
        berth_socket_disconnect_from_host(writer->socket);
        UNTIL(writer->disconnects == 1);
        berth_loop_free(world_loop());
        _exit(0);
    }
    /* The parent's copy hides no end; freeing it now would be one. */
    uint8_t *got = malloc(MUCH + 1);
    size_t count = 0;
    ssize_t more;
    while ((more = receive(reader, got + count, MUCH + 1 - count)) > 0)
        count += (size_t)more;
    ck_assert_uint_eq(count, MUCH);
    ck_assert(memcmp(got, pattern, MUCH) == 0);
    berth_socket_free(writer->socket);
    free(got);
    free(pattern);
    close(reader);
    end_child(child);
}

CASE(prefork_of_four, "reliability 23", "a listener made before is served by four children")
{
    set_up();
    pid_t children[4];
    int stop[2];
    begin_pipe(stop);
    for (int i = 0; i < 4; i++) {
        children[i] = begin_child();
        if (children[i] != 0)
            continue;
        close(stop[1]);
        berth_socket_free(actor->socket); /* while it is a copy: afterwards it would end */
        MUST(berth_loop_after_fork(world_loop()));
        host->takes = true;
        struct pollfd stopped = {.fd = stop[0], .events = POLLIN};
        while (poll(&stopped, 1, 0) == 0) {
            berth_loop_turn(world_loop(), 20);
            for (unsigned one = 0; one < host->count; one++)
                host->taken[one]->on_ready_read = echo;
        }
        berth_loop_free(world_loop());
        _exit(0);
    }
    close(stop[0]);
    berth_server_close(host->server); /* a copy: the children's are open */
    for (int i = 0; i < 40; i++) {
        int client = dial(host->port);
        usleep(1000);
        say(client, "hello");
        ck_assert(hears(client, "hello"));
        close(client);
    }
    close(stop[1]);
    for (int i = 0; i < 4; i++)
        end_child(children[i]);
    actor_say(actor, "mine");
    ck_assert(peer_hears(peer, "mine"));
}

CASE(child_completes_a_connect, "reliability 23", "an attempt under way is the child's")
{
    set_up();
    struct actor *client = actor_new("c");
    ck_assert(berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    pid_t child = begin_child();
    if (child == 0) {
        MUST(berth_loop_after_fork(NULL)); /* another one, which does not matter */
        MUST(berth_loop_after_fork(world_loop()));
        UNTIL(client->connects == 1);
        actor_say(client, "made");
        UNTIL(client->written == 4);
        berth_loop_free(world_loop());
        _exit(0);
    }
    end_child(child);
}

CASE(child_notices_a_reset_behind_an_end, "reliability 23",
     "a connection whose peer had ended its direction is watched on")
{
    set_up();
    int client = dial(host->port);
    struct actor *which = host_take_actor(host, "s");
    berth_socket_set_half_close(which->socket, true);
    shutdown(client, SHUT_WR);
    UNTIL(which->finishes == 1);
    world_settle();
    int ready[2];
    begin_pipe(ready);
    pid_t child = begin_child();
    if (child == 0) {
        close(client);
        MUST(berth_loop_after_fork(world_loop()));
        world_turn();
        close(ready[1]);
        close(ready[0]);
        UNTIL(which->disconnects == 1);
        MUST(berth_socket_was_reset(which->socket));
        berth_loop_free(world_loop());
        _exit(0);
    }
    close(ready[1]);
    char byte;
    ck_assert_int_eq(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    struct linger at_once = {.l_onoff = 1};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(client);
    end_child(child);
}

/* ---- connections that wait in a server ---------------------------------------------------------
 */

#define HEADER "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"

static size_t awaited(void)
{
    berth_server_counts counts;
    berth_server_statistics(host->server, &counts);
    scene_assert_balance(&counts);
    return counts.awaiting_header;
}

static struct actor *waiting; /* put into the queue by the program, with handlers */

static void drop_and_serve(void)
{
    berth_server_counts counts;
    berth_server_statistics(host->server, &counts);
    uint64_t before = counts.dropped;
    berth_socket_free(actor->socket);
    MUST(berth_server_drop_copies(host->server));
    MUST(waiting->disconnects == 0);
    MUST(berth_server_drop_copies(host->server)); /* again does nothing */
    berth_server_statistics(host->server, &counts);
    MUST(counts.pending == 0 && awaited() == 0 && counts.dropped == before + 2);
    MUST(!berth_server_has_pending_connections(host->server));
    MUST(berth_server_is_listening(host->server));
    MUST(berth_loop_after_fork(world_loop()));
    MUST(!berth_server_drop_copies(host->server));
    MUST(berth_server_error(host->server) == BERTH_ERROR_OPERATION);
    host->takes = true;
    UNTIL(host->count == 1);
    host->taken[0]->on_ready_read = echo;
    UNTIL(host->taken[0]->disconnects == 1);
    berth_loop_free(world_loop());
}

CASE(child_drops_copies_of_waiting_connections, "reliability 23 PROXY header",
     "the parent serves them, pending or without their header; the child has the listener")
{
    set_up();
    berth_subnet loopback;
    ck_assert(berth_subnet_parse("127.0.0.0/8", &loopback));
    int queued = dial(host->port);
    waiting = host_take_actor(host, "w");
    berth_server_add_pending_connection(host->server, waiting->socket);
    berth_server_set_max_pending_connections(host->server, 2); /* which the two reach */
    ck_assert(berth_server_set_proxy_protocol(host->server, &loopback, 1, 0));
    int guest = dial(host->port);
    UNTIL(awaited() == 1);
    ck_assert(!berth_server_drop_copies(host->server));
    ck_assert(names_fork(berth_server_error_string(host->server)));
    ck_assert_uint_eq(awaited(), 1);
    pid_t child = begin_child();
    if (child == 0) {
        close(queued);
        close(guest);
        drop_and_serve();
        _exit(0);
    }
    int fresh = dial(host->port); /* the child's, since the parent does not turn its loop */
    say(fresh, HEADER);
    usleep(50000); /* until it is taken */
    say(fresh, "new");
    ck_assert(hears(fresh, "new"));
    close(fresh);
    end_child(child);
    struct actor *first = host_take_actor(host, "s");
    say(queued, "queued");
    UNTIL(actor_has(first, "queued"));
    say(guest, HEADER "guest");
    struct actor *second = host_take_actor(host, "s");
    UNTIL(actor_has(second, "guest"));
    ck_assert_uint_eq(awaited(), 0);
    ck_assert(berth_server_set_proxy_protocol(host->server, NULL, 0, 0));
    close(queued);
    close(guest);
    UNTIL(first->disconnects == 1 && second->disconnects == 1);
    assert_undisturbed();
}

/* ---- inside handlers ---------------------------------------------------------------------------
 */

static pid_t forked;
static bool takes_over;

static void fork_in_handler(struct actor *which)
{
    if (forked != 0)
        return;
    pid_t child = begin_child();
    if (child != 0) {
        forked = child;
        return;
    }
    forked = getpid();
    if (!takes_over)
        return;
    berth_socket_free(actor->socket); /* while it is a copy */
    MUST(berth_loop_after_fork(world_loop()));
    berth_socket_write(which->socket, "child", 5);
}

static void set_up_to_fork(int *ret_client)
{
    set_up();
    *ret_client = dial(host->port);
    struct actor *which = host_take_actor(host, "s");
    which->on_ready_read = fork_in_handler;
    slow = which;
    say(*ret_client, "go");
}

CASE(handler_forks_and_returns, "reliability 23",
     "the run of the loop ends in the child, and the parent goes on")
{
    int client;
    set_up_to_fork(&client);
    pid_t parent = getpid();
    peer_send_some(peer, "more", 4); /* for a handler that the child must not call */
    UNTIL(forked != 0);
    if (getpid() != parent) {
        unsigned reads = actor->ready_reads;
        MUST(berth_loop_run(world_loop()) == -1 && errno == ECHILD);
        MUST(actor->ready_reads == reads);
        berth_loop_free(world_loop());
        _exit(0);
    }
    end_child(forked);
    UNTIL(actor_has(actor, "more"));
    close(client);
    assert_undisturbed();
}

CASE(handler_forks_and_takes_over, "reliability 23",
     "the child goes on with the connection inside the handler, and the parent gives it up")
{
    int client;
    takes_over = true;
    set_up_to_fork(&client);
    pid_t parent = getpid();
    UNTIL(forked != 0);
    if (getpid() != parent) {
        close(client); /* the case's end, of which this process has a copy */
        slow->on_ready_read = echo;
        slow->received = 0;
        UNTIL(slow->disconnects == 1);
        berth_loop_free(world_loop());
        _exit(0);
    }
    close(berth_socket_release(slow->socket));
    world_turn();
    ck_assert(hears(client, "child"));
    say(client, "again");
    ck_assert(hears(client, "again"));
    close(client);
    end_child(forked);
    assert_undisturbed();
}

static void fork_in_timer(berth_timer *timer, void *user)
{
    (void)user;
    if (forked != 0)
        return;
    ticks++;
    berth_timer_stop(timer);
    pid_t child = begin_child();
    forked = child != 0 ? child : getpid();
}

CASE(timer_forks, "reliability 23", "other timers that are due are the parent's only")
{
    set_up();
    pid_t parent = getpid();
    for (int i = 0; i < 3; i++) {
        berth_timer *timer = berth_timer_new(world_loop(), i == 0 ? fork_in_timer : tick, NULL);
        ck_assert_ptr_nonnull(timer);
        berth_timer_start(timer, 1, 0);
    }
    usleep(5000);
    UNTIL(forked != 0);
    if (getpid() != parent) {
        MUST(ticks == 1);
        berth_socket_free(actor->socket); /* while it is a copy */
        MUST(berth_loop_after_fork(world_loop()));
        UNTIL(ticks == 3); /* now they are the child's too */
        berth_loop_free(world_loop());
        _exit(0);
    }
    end_child(forked);
    ck_assert_uint_eq(ticks, 3);
    assert_undisturbed();
}

/* ---- other threads -----------------------------------------------------------------------------
 */

static berth_workers *workers;

static void free_workers(void)
{
    MUST(!berth_workers_start(workers) && errno == ECHILD);
    MUST(names_fork(berth_workers_error_string(workers)));
    MUST(!berth_workers_hand_over(workers, 0) && errno == ECHILD);
    berth_workers_free(workers);
}

static void free_in_handler(berth_worker *worker, berth_socket *socket, void *user)
{
    (void)worker;
    (void)user;
    berth_socket_free(socket);
}

CASE(child_frees_the_workers, "reliability 23",
     "their threads are not there: nothing hangs, and their port is free when the parent's is")
{
    static const berth_workers_handlers pool = {.connection = free_in_handler};
    real_kernel_only();
    workers = berth_workers_new(3, &pool, NULL);
    ck_assert(berth_workers_start(workers));
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_workers_port(workers);
    int out[2];
    ck_assert_int_eq(pipe(out), 0);
    pid_t child = begin_child();
    if (child == 0) {
        close(out[1]);
        free_workers();
        char byte;
        (void)!read(out[0], &byte, 1); /* lives until the parent has looked */
        _exit(0);
    }
    close(out[0]);
    int client = dial(port);
    char byte;
    ck_assert_int_le(receive(client, &byte, 1), 0); /* served, and closed */
    close(client);
    usleep(100000);
    berth_workers_free(workers);
    berth_server *server = berth_server_new(NULL, NULL, NULL);
    ck_assert_msg(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, port), "%s",
                  berth_server_error_string(server));
    berth_loop_free(berth_loop_current());
    close(out[1]);
    end_child(child);
}

static atomic_int lent_number = -1;

static void close_own_server(berth_worker *worker, berth_socket *socket, void *user)
{
    (void)user;
    int number = berth_server_descriptor(berth_worker_server(worker));
    berth_server_close(berth_worker_server(worker));
    berth_socket_free(socket);
    atomic_store(&lent_number, number);
}

CASE(child_frees_workers_that_listen_no_more, "reliability 23",
     "the number that a worker has listened on may be the program's by now: it stays open")
{
    static const berth_workers_handlers pool = {.connection = close_own_server};
    real_kernel_only();
    workers = berth_workers_new(1, &pool, NULL);
    ck_assert(berth_workers_start(workers));
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    int client = dial(berth_workers_port(workers));
    SOON(atomic_load(&lent_number) >= 0);
    int number = atomic_load(&lent_number);
    ck_assert_int_eq(dup3(client, number, O_CLOEXEC), number);
    pid_t child = begin_child();
    if (child == 0) {
        berth_workers_free(workers);
        MUST(fcntl(number, F_GETFD) >= 0);
        _exit(0);
    }
    end_child(child);
    close(number);
    close(client);
    berth_workers_free(workers);
}

static atomic_int forked_by_worker;

/* The stacks of the threads that it does not have are no place to look for lost memory from. */
static void exit_unexamined(void)
{
    _exit(0);
}

static void fork_and_free_the_pool(berth_worker *worker, berth_socket *socket, void *user)
{
    (void)user;
    pid_t child = begin_child();
    if (child == 0) {
        int number = berth_server_descriptor(berth_worker_server(worker));
        errno = 0;
        berth_workers_free(workers);
        MUST(errno == EDEADLK);
        MUST(fcntl(number, F_GETFD) < 0);
        MUST(atexit(exit_unexamined) == 0);
        return; /* into the worker, whose thread is the only one */
    }
    berth_socket_free(socket);
    atomic_store(&forked_by_worker, child);
}

CASE(worker_forks_and_its_child_frees_the_pool, "reliability 23",
     "its listeners are closed, and the handler still returns into a worker")
{
    static const berth_workers_handlers pool = {.connection = fork_and_free_the_pool};
    real_kernel_only();
    workers = berth_workers_new(2, &pool, NULL);
    ck_assert(berth_workers_start(workers));
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    int client = dial(berth_workers_port(workers));
    SOON(atomic_load(&forked_by_worker) != 0);
    end_child(atomic_load(&forked_by_worker));
    close(client);
    berth_workers_free(workers);
}

static berth_loop *elsewhere;
static atomic_bool leave;

static void *be_elsewhere(void *user)
{
    (void)user;
    berth_loop *loop = berth_loop_new(NULL);
    berth_server *server = berth_server_new(loop, NULL, NULL);
    berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0);
    stage.server = server;
    elsewhere = loop;
    atomic_store(&leave, true);
    berth_loop_run(loop);
    berth_loop_free(loop);
    return NULL;
}

static void touch_the_other(void)
{
    MUST(!berth_loop_after_fork(elsewhere) && errno == ECHILD);
    MUST(berth_loop_run(elsewhere) == -1 && errno == ECHILD);
    MUST(!berth_server_listen(stage.server, BERTH_ADDRESS_LOOPBACK, 0));
    berth_loop_stop(elsewhere, 0);
    berth_server_free(stage.server);
    berth_loop_free(elsewhere);
}

CASE(thread_forks_that_has_no_loop, "reliability 23",
     "the loop of a thread that the child does not have is never touched there")
{
    real_kernel_only();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, be_elsewhere, NULL), 0);
    SOON(atomic_load(&leave));
    have_child(touch_the_other);
    berth_loop_stop(elsewhere, 0);
    pthread_join(thread, NULL);
}

CASE(children_of_children, "reliability 23", "a loop may be taken over by each generation")
{
    set_up();
    int client = dial(host->port);
    struct actor *which = host_take_actor(host, "s");
    which->on_ready_read = echo;
    pid_t child = begin_child();
    if (child == 0) {
        MUST(berth_loop_after_fork(world_loop()));
        berth_loop_turn(world_loop(), 0);
        MUST(daemon(1, 1) == 0); /* from here on the child's child */
        alarm(PATIENCE);
        close(client);
        MUST(berth_socket_write(which->socket, "x", 1) == -1);
        MUST(berth_loop_after_fork(world_loop()));
        UNTIL(which->disconnects == 1);
        berth_loop_free(world_loop());
        _exit(0);
    }
    end_child(child);
    say(client, "old");
    ck_assert(hears(client, "old"));
    close(client);
}
