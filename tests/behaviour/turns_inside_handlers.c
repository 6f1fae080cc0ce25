/*
 * Handlers and waits that turn the loop at awkward moments, and what must not be lost then.
 *
 * A handler of the end may run a turn, begin another connection, free its loop, or wait; a blocking
 * wait may find that what it started has ended at once; an outer event loop sees nothing but the
 * descriptor. Each case is one such moment, and each has gone wrong once.
 */
#include "backend/sim.h"
#include "base/fault.h"
#include "scene.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct host *host;

static void only_real(const char *reason)
{
    if (world_sim() != NULL)
        case_skip(reason);
}

static bool readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) > 0;
}

CASE(foreign_first, "loop.h", "descriptor before any turn")
{
    only_real("a descriptor that can be polled is the kernel's");
    host = host_listening("h");
    int fd = berth_loop_descriptor(world_loop());
    world_connect(host->port);
    for (int i = 0; i < 20 && host->new_connections == 0; i++) {
        ck_assert_msg(readable(fd, 1000), "never readable");
        berth_loop_turn(world_loop(), 0);
    }
    ck_assert_uint_eq(host->new_connections, 1);
}

static struct actor *client;
static void begin_connect(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    berth_socket_connect_to_host(client->socket, "localhost", host->port);
}
CASE(foreign_lookup, "loop.h", "a lookup that ends at once, begun in a handler")
{
    only_real("a descriptor that can be polled is the kernel's");
    host = host_listening("h");
    client = actor_new("c");
    berth_loop_turn(world_loop(), 0);
    int fd = berth_loop_descriptor(world_loop());
    berth_loop_turn(world_loop(), 0);
    berth_timer *timer = berth_timer_new(world_loop(), begin_connect, NULL);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 1, 0);
    for (int i = 0; i < 40 && client->connects == 0; i++) {
        int t = berth_loop_timeout(world_loop());
        bool r = readable(fd, t >= 0 && t < 2000 ? t : 2000);
        ck_assert_msg(r || (t >= 0 && t < 2000), "never readable, timeout %d state %s", t,
                      state_name(berth_socket_state(client->socket)));
        berth_loop_turn(world_loop(), 0);
    }
    ck_assert_uint_eq(client->connects, 1);
}

static unsigned tasks;
static void second_task(void *user)
{
    (void)user;
    tasks++;
}
static void first_task(void *user)
{
    (void)user;
    tasks++;
    berth_loop_post(world_loop(), second_task, NULL);
}
CASE(foreign_task, "loop.h", "a task posted by a task")
{
    only_real("a descriptor that can be polled is the kernel's");
    int fd = berth_loop_descriptor(world_loop());
    berth_loop_turn(world_loop(), 0);
    berth_loop_post(world_loop(), first_task, NULL);
    for (int i = 0; i < 10 && tasks < 2; i++) {
        ck_assert_msg(readable(fd, 1000), "never readable, tasks %u", tasks);
        berth_loop_turn(world_loop(), 0);
    }
    ck_assert_uint_eq(tasks, 2);
}

CASE(foreign_wait, "loop.h", "what a blocking wait leaves to others shows in the descriptor")
{
    only_real("a descriptor that can be polled is the kernel's");
    struct peer *one, *two;
    host = host_listening("h");
    struct actor *a = host_connect(host, "a", &one);
    struct actor *b = host_connect(host, "b", &two);
    world_settle();
    int fd = berth_loop_descriptor(world_loop());
    for (int i = 0; i < 20; i++)
        berth_loop_turn(world_loop(), 0);
    while (readable(fd, 0))
        berth_loop_turn(world_loop(), 0);
    peer_send_some(two, "x", 1);
    usleep(20000);
    ck_assert(!berth_socket_wait_for_ready_read(a->socket, 50));
    for (int i = 0; i < 10 && b->received == 0; i++) {
        ck_assert_msg(readable(fd, 1000), "never readable");
        berth_loop_turn(world_loop(), 0);
    }
    ck_assert_uint_eq(b->received, 1);
}

static struct peer *far, *far_b;
static void turn_inside_reset(struct actor *a)
{
    (void)a;
    peer_reset(far);
    for (int i = 0; i < 30; i++)
        berth_loop_turn(world_loop(), 5);
}
CASE(end_turns_reset, "S3.31",
     "a send in flight fails while its connection's end is being announced")
{
    host = host_listening("h");
    struct actor *a = host_connect(host, "a", &far);
    size_t size = 16u << 20;
    uint8_t *bytes = scene_pattern(size, 1);
    berth_socket_write(a->socket, bytes, size);
    for (int i = 0; i < 30; i++)
        berth_loop_turn(world_loop(), 2);
    a->on_disconnected = turn_inside_reset;
    berth_socket_abort(a->socket);
    world_settle();
    free(bytes);
}
static uint16_t port2;
static void turn_inside_new(struct actor *a)
{
    a->on_disconnected = NULL;
    ck_assert(berth_socket_connect_to_address(a->socket, BERTH_ADDRESS_LOOPBACK, port2));
    ck_assert_int_eq(berth_socket_write(a->socket, "hello", 5), 5);
    static uint8_t sink[1 << 20];
    for (int i = 0; i < 60; i++) {
        berth_loop_turn(world_loop(), 2);
        peer_receive_some(far, sink, sizeof sink);
    }
}
CASE(end_turns_new, "S3.39", "a send of the old connection ends when the socket has a new one")
{
    host = host_listening("h");
    struct host *other = host_listening("o");
    other->takes = true;
    port2 = other->port;
    struct actor *a = host_connect(host, "a", &far);
    size_t size = 16u << 20;
    uint8_t *bytes = scene_pattern(size, 1);
    berth_socket_write(a->socket, bytes, size);
    for (int i = 0; i < 30; i++)
        berth_loop_turn(world_loop(), 2);
    size_t before = a->written;
    a->on_disconnected = turn_inside_new;
    berth_socket_abort(a->socket);
    world_settle();
    UNTIL(other->count == 1);
    UNTIL(actor_has(other->taken[0], "hello"));
    ck_assert_uint_eq(a->written - before, 5);
    free(bytes);
}

CASE(linger_waits, "Q24", "a blocking server whose clients never close")
{
    if (world_is_simulated())
        case_skip("real time");
    berth_server *server = berth_server_new(world_loop(), NULL, NULL);
    ck_assert_ptr_nonnull(server);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    unsigned before = world_descriptors();
    for (int i = 0; i < 4; i++) {
        struct peer *p = world_connect(berth_server_port(server));
        peer_say(p, "q");
        ck_assert(berth_server_wait_for_new_connection(server, 1000, NULL));
        berth_socket *s = berth_server_next_pending_connection(server);
        ck_assert_ptr_nonnull(s);
        char c;
        if (berth_socket_bytes_available(s) == 0)
            ck_assert(berth_socket_wait_for_ready_read(s, 1000));
        berth_socket_read(s, &c, 1);
        berth_socket_write(s, "a", 1);
        ck_assert(berth_socket_wait_for_bytes_written(s, 1000));
        berth_socket_disconnect_from_host(s);
        berth_socket_free(s);
    }
    for (int i = 0; i < 30; i++)
        berth_server_wait_for_new_connection(server, 100, NULL);
    unsigned after = world_descriptors();
    ck_assert_msg(after - before == 4, "descriptors: %u, of which 4 are the peers'",
                  after - before);
}

static void reconnect(struct actor *a)
{
    if (a->state != BERTH_STATE_UNCONNECTED || a->connects >= 2 || a->finishes >= 2)
        return;
    a->on_state = NULL;
    berth_socket_connect_to_address(a->socket, BERTH_ADDRESS_LOOPBACK, port2);
}
CASE(reconnect_in_state, "S3.39", "state_changed to UNCONNECTED begins the next connection")
{
    struct host *other = host_listening("o");
    other->takes = true;
    port2 = other->port;
    client = actor_new("c");
    berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, port2);
    UNTIL(client->connects == 1 && other->count == 1);
    client->on_state = reconnect;
    berth_socket_disconnect_from_host(client->socket);
    UNTIL(client->connects == 2 && other->count == 2);
    berth_socket_disconnect_from_host(client->socket);
    UNTIL(client->disconnects == 2);
    ck_assert_uint_eq(client->finishes, 2);
}

CASE(nonblocking_send, "S3.6",
     "somebody has made the descriptor non-blocking, and the peer is slow")
{
    if (world_is_simulated())
        case_skip("real descriptors");
    host = host_listening("h");
    struct actor *a = host_connect(host, "a", &far);
    int fd = berth_socket_descriptor(a->socket);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    size_t size = 16u << 20;
    uint8_t *bytes = scene_pattern(size, 1);
    berth_socket_write(a->socket, bytes, size);
    for (int i = 0; i < 30; i++)
        berth_loop_turn(world_loop(), 2);
    uint8_t *got = malloc(size);
    ck_assert_uint_eq(peer_receive(far, got, size), size);
    ck_assert_mem_eq(got, bytes, size);
    free(got);
    free(bytes);
}

static struct actor *b_side;
static struct peer *b_peer;
static bool waited, got_it;
static void wait_for_b(struct actor *a)
{
    (void)a;
    if (waited)
        return;
    waited = true;
    peer_send_some(b_peer, "x", 1);
    got_it = berth_socket_wait_for_ready_read(b_side->socket, 3000);
}
CASE(views_of_the_running, "S3.20",
     "all buffers are lent to the stream whose handler waits for another")
{
    host = host_listening("h");
    struct actor *a = host_connect(host, "a", &far);
    b_side = host_connect(host, "b", &b_peer);
    world_settle();
    size_t size = 1048576;
    uint8_t *bytes = scene_pattern(size, 1);
    a->on_ready_read = wait_for_b;
    size_t sent = 0;
    /* let it pile up while only b is served */
    for (int i = 0; i < 200; i++) {
        sent += peer_send_some(far, bytes + sent, size - sent);
        berth_socket_wait_for_ready_read(b_side->socket, 2);
    }
    UNTIL(waited);
    ck_assert(got_it);
    UNTIL(a->received == sent);
    free(bytes);
}

CASE(null_host, "S3.13", "no name")
{
    only_real("names are looked up over real descriptors");
    client = actor_new("c");
    berth_socket_connect_to_host(client->socket, NULL, 80);
    UNTIL(client->errors >= 1);
}
CASE(empty_host, "S3.13", "empty name")
{
    only_real("names are looked up over real descriptors");
    client = actor_new("c");
    berth_socket_connect_to_host(client->socket, "", 80);
    UNTIL(client->errors >= 1);
}

static unsigned ticks;
static void tick(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    ticks++;
}
static void again(struct actor *a)
{
    if (ticks > 0)
        return;
    ck_assert_msg(a->errors < 20000, "the loop never goes on");
    berth_socket_connect_to_host(a->socket, "no.onion", 80);
}
CASE(retry_at_once, "S3.13", "a name that fails at once is tried again at once")
{
    client = actor_new("c");
    client->quiet = true;
    client->on_error = again;
    berth_timer *timer = berth_timer_new(world_loop(), tick, NULL);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 1, 0);
    berth_socket_connect_to_host(client->socket, "no.onion", 80);
    UNTIL(ticks > 0);
}

static void queue_again(struct actor *a)
{
    berth_server_add_pending_connection(host->server, a->socket);
}
CASE(queued_while_freed, "Q9", "a socket that is being freed is put into the queue")
{
    host = host_listening("h");
    struct actor *a = host_connect(host, "a", &far);
    a->on_disconnected = queue_again;
    berth_socket_free(a->socket);
    ck_assert(!berth_server_has_pending_connections(host->server));
    world_settle();
}

static void free_loop_in(struct actor *a)
{
    berth_loop_free(berth_socket_loop(a->socket));
}
CASE(loop_freed_outside_a_turn, "loop.h", "a handler called outside a turn frees the loop")
{
    berth_loop_options options = {.backend = getenv("BERTH_BACKEND")};
    berth_loop *loop = berth_loop_new(&options);
    berth_socket *s = berth_socket_new(loop, NULL, NULL);
    ck_assert_ptr_nonnull(loop);
    ck_assert_ptr_nonnull(s);
    struct actor *a = actor_on("a", s);
    struct peer *p;
    int fd = world_stream_descriptor(&p);
    if (world_is_simulated())
        case_skip("one kernel only");
    ck_assert(berth_socket_set_descriptor(s, fd));
    a->on_disconnected = free_loop_in;
    berth_socket_abort(s);
}
static void free_loop_in2(struct actor *a)
{
    berth_loop_free(berth_socket_loop(a->socket));
}
CASE(loop_freed_twice, "loop.h", "disconnected frees the loop that is being freed")
{
    if (world_is_simulated())
        case_skip("one kernel only");
    berth_loop_options options = {.backend = getenv("BERTH_BACKEND")};
    berth_loop *loop = berth_loop_new(&options);
    berth_socket *s = berth_socket_new(loop, NULL, NULL);
    ck_assert_ptr_nonnull(loop);
    ck_assert_ptr_nonnull(s);
    struct actor *a = actor_on("a", s);
    struct peer *p;
    int fd = world_stream_descriptor(&p);
    ck_assert(berth_socket_set_descriptor(s, fd));
    a->on_disconnected = free_loop_in2;
    berth_loop_free(loop);
}

static void free_me(struct actor *a)
{
    if (a->state == BERTH_STATE_UNCONNECTED) {
        berth_loop *loop = berth_socket_loop(a->socket);
        berth_socket_free(a->socket);
        (void)loop;
    }
}
CASE(bound_freed, "S3.17", "disconnect of a bound socket, freed in state_changed")
{
    client = actor_new("c");
    berth_socket *more[300];
    for (int i = 0; i < 300; i++)
        more[i] = berth_socket_new(world_loop(), NULL, NULL);
    for (int i = 0; i < 300; i++)
        berth_socket_free(more[i]);
    ck_assert(berth_socket_bind(client->socket, BERTH_ADDRESS_LOOPBACK, 0));
    client->on_state = free_me;
    berth_socket_disconnect_from_host(client->socket);
}
CASE(bound_wait, "S3.17 S4.17", "wait for the end of a bound socket")
{
    client = actor_new("c");
    ck_assert(berth_socket_bind(client->socket, BERTH_ADDRESS_LOOPBACK, 0));
    alarm(5);
    berth_socket_wait_for_disconnected(client->socket, world_for_ever());
}

static bool waited_connected;
static void on_state_wait(struct actor *a)
{
    if (a->state == BERTH_STATE_CONNECTING)
        waited_connected = berth_socket_wait_for_connected(a->socket, 1000);
}
CASE(wait_in_connecting, "S4.11", "wait_for_connected inside state_changed CONNECTING")
{
    struct host *other = host_listening("o");
    other->takes = true;
    client = actor_new("c");
    client->on_state = on_state_wait;
    berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, other->port);
    ck_assert(waited_connected);
}

static berth_loop *_Atomic theirs;
static void *run_and_free(void *user)
{
    berth_loop_options options = {.backend = user};
    berth_loop *loop = berth_loop_new(&options);
    ck_assert_ptr_nonnull(loop);
    theirs = loop;
    berth_loop_run(loop);
    berth_loop_free(loop);
    return NULL;
}
CASE(thread_stop_race, "loop.h", "stop while the stopped thread frees its loop")
{
    if (world_is_simulated())
        case_skip("one kernel only");
    for (int i = 0; i < 500; i++) {
        pthread_t thread;
        theirs = NULL;
        pthread_create(&thread, NULL, run_and_free, getenv("BERTH_BACKEND"));
        while (theirs == NULL)
            ;
        berth_loop_stop(theirs, 0);
        pthread_join(thread, NULL);
    }
}

CASE(send_enomem, "S3.30", "a send fails for want of memory")
{
    if (world_is_simulated() || strcmp(getenv("BERTH_BACKEND"), "epoll") != 0)
        case_skip("epoll");
    host = host_listening("h");
    struct actor *a = host_connect(host, "a", &far);
    world_settle();
    berth__fault_set_system(0, 1, ENOBUFS, "send");
    actor_say(a, "lost");
    world_settle();
    berth__fault_clear();
    ck_assert_msg(a->errors == 1, "errors %u state %s", a->errors,
                  state_name(berth_socket_state(a->socket)));
}

CASE(wait_big_end, "S4.17", "a wait for the end sends all chunks without sleeping")
{
    only_real("the peer reads in a thread of its own");
    host = host_listening("h");
    struct actor *a = host_connect(host, "a", &far);
    size_t size = 1u << 20;
    uint8_t *bytes = scene_pattern(size, 1);
    for (size_t place = 0; place < size; place += 8192) /* in pieces that are queued */
        berth_socket_write(a->socket, bytes + place, 8192);
    berth_socket_disconnect_from_host(a->socket);
    ck_assert(berth_socket_wait_for_disconnected(a->socket, 3000));
    free(bytes);
}
CASE(held_end_and_flush, "S2.9 S3.29", "a held-back end, and a flush before it is announced")
{
    host = host_listening("h");
    struct peer *p = world_connect(host->port);
    UNTIL(host->new_connections == 1);
    peer_shutdown(p);
    world_settle();
    struct actor *a = actor_on("a", berth_server_next_pending_connection(host->server));
    berth_socket_write(a->socket, "y", 1);
    berth_socket_flush(a->socket);
    UNTIL(a->disconnects == 1);
}

static unsigned waits;

static void wait_for_more(struct actor *actor)
{
    if (waits++ > 0)
        return;
    ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
    ck_assert_uint_gt(berth_socket_bytes_available(actor->socket), 0);
}

CASE(wait_inside_a_long_delivery, "S4.14",
     "a wait inside ready_read sees what the kernel had before and nobody has delivered")
{
    only_real("the simulated kernel keeps no more than one delivery brings");
    host = host_listening("h");
    struct actor *a = host_connect(host, "a", &far);
    enum {
        SIZE = 200000
    };
    berth_socket_set_option(a->socket, BERTH_OPTION_RECEIVE_BUFFER_SIZE, 1 << 20);
    a->on_ready_read = wait_for_more;
    uint8_t *bytes = scene_pattern(SIZE, 1);
    size_t sent = 0;
    for (size_t some = 1; sent < SIZE && some > 0; sent += some)
        some = peer_send_some(far, bytes + sent, SIZE - sent);
    UNTIL(a->received == sent);
    ck_assert_mem_eq(a->input, bytes, sent);
    free(bytes);
}

static struct actor *keeper;
static unsigned keeps;
static size_t rest_size;

/* Keeps what the backend has received into while the other's first byte comes. */
static void wait_with_everything(struct actor *actor)
{
    if (actor->received < 60000 || keeps++ > 0)
        return;
    peer_say(far_b, "a");
    ck_assert(!berth_socket_wait_for_ready_read(actor->socket, 30));
}

/* While a wait of another receives the rest, and does not deliver it. */
static void wait_for_another(struct actor *actor)
{
    (void)actor;
    if (waits++ > 0)
        return;
    uint8_t *rest = scene_pattern(rest_size, 2);
    peer_send(far_b, rest, rest_size);
    peer_shutdown(far_b);
    free(rest);
    ck_assert(!berth_socket_wait_for_ready_read(keeper->socket, 30));
}

static void be_short_of_buffers(size_t size)
{
    rest_size = size;
    host = host_listening("h");
    keeper = host_connect(host, "a", &far);
    struct actor *b = host_connect(host, "b", &far_b);
    world_settle();
    keeper->on_ready_read = wait_with_everything;
    b->on_ready_read = wait_for_another;
    enum {
        FIRST = 65536
    };
    uint8_t *first = scene_pattern(FIRST, 1), *rest = scene_pattern(size, 2);
    peer_send(far, first, FIRST);
    UNTIL(b->disconnects == 1);
    ck_assert_uint_eq(keeper->received, FIRST);
    ck_assert_uint_eq(b->received, 1 + size);
    ck_assert_int_eq(b->input[0], 'a');
    ck_assert_mem_eq(b->input + 1, rest, size);
    free(first);
    free(rest);
}

CASE(wait_of_one_that_is_short_of_buffers_again, "S3.20",
     "what comes while a handler waits for another is in its order")
{
    be_short_of_buffers(100000);
}

CASE(end_for_one_that_was_short_of_buffers, "S3.20",
     "an end that comes while a handler waits for another is behind the bytes before it")
{
    be_short_of_buffers(1);
}

static size_t had;
static bool awaited;

static void read_some(void)
{
    static uint8_t bytes[65536];
    had += peer_receive_some(far, bytes, sizeof bytes);
}

/* Not for the first parts, which the kernel got inside the call. The peer answers when it has all.
 */
static void turn_for_the_rest(struct actor *actor)
{
    if (actor->written <= rest_size / 2 || awaited)
        return;
    awaited = true;
    for (int turns = 0; turns < WORLD_TURNS && had < rest_size; turns++) {
        berth_loop_turn(berth_socket_loop(actor->socket), 1);
        read_some();
    }
    ck_assert_uint_eq(had, rest_size);
}

CASE(turn_inside_bytes_written, "S3.27", "the rest of the output goes")
{
    host = host_listening("h");
    if (world_is_simulated())
        berth__sim_settings_of(world_sim())->max_transfer = 100;
    struct actor *actor = host_connect(host, "s", &far);
    rest_size = world_is_simulated() ? 1000 : 4 << 20;
    if (!world_is_simulated())
        ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_SEND_BUFFER_SIZE, 65536));
    uint8_t *bytes = scene_pattern(rest_size, 1);
    actor->on_written = turn_for_the_rest;
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, rest_size), (ptrdiff_t)rest_size);
    for (int turns = 0; turns < WORLD_TURNS && !awaited; turns++) {
        world_turn();
        read_some();
    }
    ck_assert(awaited);
    free(bytes);
}

static struct actor *inner;

/* What a handler around this one has written is owed too. */
static void turn_for_the_outer_answer(struct actor *actor)
{
    (void)actor;
    for (int turns = 0; turns < WORLD_TURNS && had < rest_size; turns++) {
        berth_loop_turn(world_loop(), 1);
        read_some();
    }
    ck_assert_uint_eq(had, rest_size);
}

static void answer_and_wait_for_another(struct actor *actor)
{
    actor_say(actor, "answer");
    peer_say(far_b, "x");
    ck_assert(berth_socket_wait_for_ready_read(inner->socket, 5000));
}

CASE(turn_inside_a_wait_inside_ready_read, "S3.27", "the answer of the outer handler goes")
{
    host = host_listening("h");
    rest_size = 6;
    struct actor *outer = host_connect(host, "s", &far);
    inner = host_connect(host, "t", &far_b);
    outer->on_ready_read = answer_and_wait_for_another;
    inner->on_ready_read = turn_for_the_outer_answer;
    peer_say(far, "question");
    UNTIL(inner->ready_reads > 0);
    ck_assert_uint_eq(had, rest_size);
}

/* The peer answers what was written before there was a connection. */
static void turn_for_the_request(struct actor *actor)
{
    if (actor->state != BERTH_STATE_CONNECTED || awaited)
        return;
    awaited = true;
    far = world_accept(port2);
    ck_assert_ptr_nonnull(far);
    for (int turns = 0; turns < 500 && had < rest_size; turns++) {
        berth_loop_turn(berth_socket_loop(actor->socket), 1);
        read_some();
    }
    ck_assert_uint_eq(had, rest_size);
}

static struct actor *writes_and_connects(void)
{
    port2 = world_listen(5);
    rest_size = 7;
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port2));
    ck_assert_int_eq(berth_socket_write(actor->socket, "request", 7), 7);
    return actor;
}

CASE(turn_inside_connected, "S3.27", "what was written before goes")
{
    struct actor *actor = writes_and_connects();
    actor->on_connected = turn_for_the_request;
    UNTIL(actor->connects == 1);
    ck_assert(awaited);
}

CASE(turn_inside_state_changed, "S3.27", "what was written before goes")
{
    struct actor *actor = writes_and_connects();
    actor->on_state = turn_for_the_request;
    UNTIL(actor->connects == 1);
    ck_assert(awaited);
}

/* The peer, which has taken nothing, takes what there is, and sends; so input comes together with
 * room for the rest of the output. */
static struct actor *input_and_room(void)
{
    host = host_listening("h");
    if (world_is_simulated())
        berth__sim_settings_of(world_sim())->max_transfer = 100;
    struct actor *actor = host_connect(host, "s", &far);
    rest_size = world_is_simulated() ? 100000 : 8 << 20;
    if (!world_is_simulated())
        ck_assert(berth_socket_set_option(actor->socket, BERTH_OPTION_SEND_BUFFER_SIZE, 65536));
    uint8_t *bytes = scene_pattern(rest_size, 1);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, rest_size), (ptrdiff_t)rest_size);
    free(bytes);
    world_settle();
    ck_assert_uint_gt(berth_socket_bytes_to_write(actor->socket), 0);
    return actor;
}

static void take_and_send(void)
{
    for (size_t before = SIZE_MAX; before != had;) {
        before = had;
        read_some();
    }
    ck_assert_uint_eq(peer_send_some(far, "x", 1), 1);
}

static void turn_until_all_has_gone(struct actor *actor)
{
    awaited = true;
    for (int turns = 0; turns < WORLD_TURNS && had < rest_size; turns++) {
        berth_loop_turn(berth_socket_loop(actor->socket), 1);
        read_some();
    }
    ck_assert_uint_eq(had, rest_size);
}

CASE(turn_inside_ready_read_beside_room, "S3.27", "the rest of the output goes")
{
    struct actor *actor = input_and_room();
    actor->on_ready_read = turn_until_all_has_gone;
    take_and_send();
    UNTIL(awaited);
}

static void wait_until_some_has_gone(struct actor *actor)
{
    awaited = true;
    ck_assert(berth_socket_wait_for_bytes_written(actor->socket, 10000));
}

CASE(wait_inside_ready_read_beside_room, "S3.27", "a wait for output ends when it goes")
{
    struct actor *actor = input_and_room();
    actor->on_ready_read = wait_until_some_has_gone;
    take_and_send();
    UNTIL(awaited);
}

/* Of a client that was in the queue when it had said all. */
static struct actor *answers_behind_the_end(void)
{
    host = host_listening("h");
    far = world_connect(host->port);
    rest_size = 6;
    UNTIL(host->new_connections == 1);
    peer_shutdown(far);
    world_settle();
    struct actor *actor = actor_on("a", berth_server_next_pending_connection(host->server));
    berth_socket_set_half_close(actor->socket, true);
    actor->on_finished = turn_until_all_has_gone;
    return actor;
}

CASE(turn_inside_an_end_that_was_held, "S2.9 S3.27", "what was written before goes")
{
    actor_say(answers_behind_the_end(), "answer");
    UNTIL(awaited);
}

CASE(turn_inside_an_end_that_was_paused, "S3.20 S3.27", "what was written before goes")
{
    struct actor *actor = answers_behind_the_end();
    berth_socket_pause_reading(actor->socket);
    world_settle();
    ck_assert(!awaited);
    actor_say(actor, "answer");
    berth_socket_resume_reading(actor->socket);
    UNTIL(awaited);
}
