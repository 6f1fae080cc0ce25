/*
 * The counts of servers and loops: that they are right, and that what came is what became of it,
 * after every step.
 */
#include "scene.h"

#include "base/fault.h"

#include <stdlib.h>
#include <string.h>

static berth_server_counts counts_of(berth_server *server)
{
    berth_server_counts counts;
    berth_server_statistics(server, &counts);
    scene_assert_balance(&counts);
    return counts;
}

static berth_loop_counts loop_counts(void)
{
    berth_loop_counts counts;
    berth_loop_statistics(world_loop(), &counts);
    return counts;
}

CASE(counts_of_a_fresh_server, "reliability 0", "all zero, and a shorter struct gets less")
{
    struct host *host = host_new("h");
    berth_server_counts counts = counts_of(host->server);
    static const berth_server_counts zero;
    ck_assert_mem_eq(&counts, &zero, sizeof zero);
    memset(&counts, 0xff, sizeof counts);
    berth_server_statistics_sized(host->server, &counts, 2 * sizeof(uint64_t));
    ck_assert_uint_eq(counts.added, 0);
    ck_assert_uint_eq(counts.taken, UINT64_MAX);
    struct {
        berth_server_counts known;
        uint64_t later;
    } longer;
    memset(&longer, 0xff, sizeof longer);
    berth_server_statistics_sized(host->server, (berth_server_counts *)(void *)&longer,
                                  sizeof longer);
    ck_assert_uint_eq(longer.later, 0);
}

CASE(counts_of_the_loop, "reliability 0", "bytes, connections and turns")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    berth_loop_counts before = loop_counts();
    ck_assert_uint_eq(before.accepted, 1);
    ck_assert_uint_eq(before.live, 2); /* and the listener */
    peer_say(peer, "twelve bytes");
    UNTIL(actor->received == 12);
    actor_say(actor, "seven..");
    UNTIL(actor->written == 7);
    berth_loop_counts after = loop_counts();
    ck_assert_uint_eq(after.bytes_in - before.bytes_in, 12);
    ck_assert_uint_eq(after.bytes_out - before.bytes_out, 7);
    ck_assert_uint_gt(after.turns, before.turns);
    ck_assert_uint_gt(after.waits, before.waits);
    ck_assert_uint_eq(after.completion_overflows + after.buffer_shortages, 0);
    berth_socket_free(actor->socket);
    berth_server_close(host->server);
    UNTIL(loop_counts().live == 0);
}

static void add_back(struct host *host)
{
    counts_of(host->server);
    berth_socket *socket = berth_server_next_pending_connection(host->server);
    ck_assert_ptr_nonnull(socket);
    counts_of(host->server);
    berth_server_add_pending_connection(host->server, socket);
    counts_of(host->server);
}

CASE(aborted_output_counts, "reliability 0",
     "what the kernel has taken counts though nobody was told")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint64_t before = loop_counts().bytes_out;
    static uint8_t bytes[40000], heard[sizeof bytes];
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, sizeof bytes), sizeof bytes);
    size_t size = 0;
    for (size_t some = 1; some > 0; size += some)
        some = peer_receive_some(peer, heard, sizeof heard);
    berth_socket_abort(actor->socket);
    ck_assert_uint_eq(loop_counts().bytes_out - before, size);
    ck_assert_uint_eq(actor->written, 0);
}

static struct peer *resetting;

/* The kernel takes the first write inside its call, and the second one is sent when this returns.
 */
static void answer_twice_and_be_reset(struct actor *actor)
{
    ck_assert_int_eq(berth_socket_write(actor->socket, world_zeros(), 20000), 20000);
    ck_assert_int_eq(berth_socket_write(actor->socket, "more", 4), 4);
    peer_reset(resetting);
}

CASE(output_counts_though_the_next_send_fails, "reliability 0",
     "bytes that the kernel took inside a write count, also where nobody is told of them")
{
    if (world_is_simulated())
        case_skip("the simulated kernel takes what it likes");
    struct host *host = host_listening("h");
    struct actor *actor = host_connect(host, "s", &resetting);
    uint64_t before = loop_counts().bytes_out;
    actor->on_ready_read = answer_twice_and_be_reset;
    peer_say(resetting, "?");
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(loop_counts().bytes_out - before, 20000);
}

CASE(counts_of_sockets_put_back, "reliability 0", "taken, put back, taken again")
{
    struct host *host = host_listening("h");
    host->on_new_connection = add_back;
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
    berth_server_counts counts = counts_of(host->server);
    ck_assert_uint_eq(counts.accepted, 1);
    ck_assert_uint_eq(counts.added, 1);
    ck_assert_uint_eq(counts.taken, 1);
    ck_assert_uint_eq(counts.pending, 1);
    berth_socket_free(host_take(host));
    ck_assert_uint_eq(counts_of(host->server).taken, 2);
    ck_assert_uint_eq(counts_of(host->server).dropped, 0);
}

CASE(counts_of_a_socket_in_another_queue, "reliability 0",
     "a connection that another server queues is not counted as live by the first any more")
{
    struct host *host = host_listening("h");
    struct host *other = host_listening("o");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    ck_assert_uint_eq(counts_of(host->server).live, 1);
    berth_server_add_pending_connection(host->server, actor->socket);
    ck_assert_ptr_eq(berth_server_next_pending_connection(host->server), actor->socket);
    ck_assert_uint_eq(counts_of(host->server).live, 1);
    berth_server_add_pending_connection(other->server, actor->socket);
    ck_assert_uint_eq(counts_of(host->server).live, 0);
    ck_assert_ptr_eq(berth_server_next_pending_connection(other->server), actor->socket);
    ck_assert_uint_eq(counts_of(other->server).live, 0);
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(counts_of(host->server).live, 0);
}

/* What incoming_connection does with the next descriptors. */
enum fate {
    TO_THE_BASE,
    KEEP,
    OWN_SOCKET,
    FATES
};

struct book {
    enum fate fate;
    int kept;
};

static void decide(berth_server *server, int descriptor, void *user)
{
    struct book *book = user;
    berth_server_counts before = counts_of(server);
    ck_assert_uint_eq(before.at_hand, 1);
    berth_socket *own = NULL;
    world_note(descriptor);
    switch (book->fate) {
    case TO_THE_BASE:
        berth_server_base_incoming_connection(server, descriptor);
        break;
    case OWN_SOCKET:
        own = berth_socket_new(berth_server_loop(server), NULL, NULL);
        ck_assert_ptr_nonnull(own);
        ck_assert(berth_socket_set_descriptor(own, descriptor));
        berth_server_add_pending_connection(server, own);
        break;
    default:
        book->kept = descriptor;
    }
    ck_assert_uint_ge(counts_of(server).handed_over, before.handed_over);
}

static void look(berth_server *server, void *user)
{
    (void)user;
    counts_of(server);
}

static void look_at_error(berth_server *server, berth_error error, void *user)
{
    (void)error;
    look(server, user);
}

CASE(counts_with_an_override, "reliability 0", "given to the base, kept, or on a socket of its own")
{
    static const berth_server_handlers handlers = {
        .incoming_connection = decide, .new_connection = look, .accept_error = look_at_error};
    struct book book = {.fate = TO_THE_BASE, .kept = -1};
    berth_server *server = berth_server_new(world_loop(), &handlers, &book);
    ck_assert_ptr_nonnull(server);
    ck_assert(berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0));
    for (int fate = TO_THE_BASE; fate < FATES; fate++) {
        book.fate = (enum fate)fate;
        world_connect(berth_server_port(server));
        UNTIL(counts_of(server).accepted == (uint64_t)fate + 1);
    }
    berth_server_counts counts = counts_of(server);
    ck_assert_uint_eq(counts.pending, 2);
    ck_assert_uint_eq(counts.handed_over, 2);
    ck_assert_uint_eq(counts.added, 1);
    ck_assert_uint_eq(counts.live, 1);
    berth_server_base_incoming_connection(server, book.kept);
    counts = counts_of(server);
    ck_assert_uint_eq(counts.added, 2);
    ck_assert_uint_eq(counts.pending, 3);
    ck_assert_uint_eq(counts.live, 2);
    berth_server_close(server);
    ck_assert_uint_eq(counts_of(server).dropped, 3);
    ck_assert_uint_eq(counts_of(server).live, 0);
    berth_server_free(server);
}

/* ---- all at once ----------------------------------------------------------------------------- */

#define LIVES 40

struct mix {
    struct host *host;
    struct peer *peers[LIVES];
    uint32_t chance;
    unsigned connected;
};

static uint32_t draw(struct mix *mix, uint32_t below)
{
    mix->chance = mix->chance * 1664525u + 1013904223u;
    return (mix->chance >> 16) % below;
}

static void forget(struct actor *actor)
{
    counts_of(actor->host->server);
    actor_free_socket(actor);
}

static void take_one(struct mix *mix)
{
    berth_socket *socket = berth_server_next_pending_connection(mix->host->server);
    if (socket == NULL)
        return;
    struct actor *actor = actor_on("s", socket);
    actor->quiet = true;
    actor->host = mix->host;
    actor->on_disconnected = forget;
    berth_socket_write(socket, "0123456789012345678901234567890123456789", draw(mix, 40));
}

static void set_limits(struct mix *mix)
{
    const berth_accept_limits limits = {.per_address = 4 + draw(mix, 8),
                                        .per_second = draw(mix, 2) ? 200 : 0,
                                        .burst = 1 + draw(mix, 4),
                                        .shed = draw(mix, 2) == 1};
    const berth_connection_limits connection = {.first_byte = draw(mix, 2) ? 20 : 0,
                                                .idle = draw(mix, 3) ? 40 : 0,
                                                .lifetime = draw(mix, 3) ? 0 : 60,
                                                .minimum_rate = draw(mix, 4) ? 0 : 100,
                                                .rate_window = 30,
                                                .output = draw(mix, 2) ? 30 : 0};
    berth_server_set_accept_limits(mix->host->server, &limits);
    berth_server_set_connection_limits(mix->host->server, &connection);
}

static void step(struct mix *mix)
{
    berth_server *server = mix->host->server;
    uint32_t one = draw(mix, LIVES);
    switch (draw(mix, 13)) {
    case 0:
    case 1:
    case 2:
        if (mix->peers[one] == NULL)
            mix->peers[one] = world_connect_begin(mix->host->port);
        break;
    case 3:
    case 4:
        if (mix->peers[one] != NULL && peer_is_connected(mix->peers[one]))
            peer_send_some(mix->peers[one], "hello", 5);
        break;
    case 5:
        if (mix->peers[one] != NULL)
            peer_reset(mix->peers[one]);
        mix->peers[one] = NULL;
        break;
    case 6:
    case 7:
        take_one(mix);
        break;
    case 8:
        berth_server_reject(server, draw(mix, 3), (berth_reject_mode)draw(mix, 2));
        break;
    case 9:
        set_limits(mix);
        break;
    case 10:
        world_exhaust(draw(mix, 3));
        for (int turns = 0; turns < 4; turns++) {
            berth_loop_turn(world_loop(), 2);
            counts_of(server);
        }
        world_relieve();
        break;
    case 11:
        berth__fault_set_memory((long)draw(mix, 10), 1);
        break;
    default:
        berth_server_set_max_pending_connections(server, (int)draw(mix, 6));
    }
}

static void look_at_host(struct host *host)
{
    counts_of(host->server);
}

static void live_through(uint32_t seed)
{
    struct mix mix = {.chance = seed};
    mix.host = host_listening("h");
    mix.host->on_new_connection = mix.host->on_accept_error = look_at_host;
    for (int i = 0; i < 600; i++) {
        step(&mix);
        counts_of(mix.host->server);
        berth_loop_turn(world_loop(), (int)draw(&mix, 6));
        counts_of(mix.host->server);
        berth__fault_set_memory(-1, 0);
    }
    berth_server_close(mix.host->server);
    berth_server_counts counts = counts_of(mix.host->server);
    ck_assert_uint_eq(counts.pending, 0);
    for (int i = 0; i < LIVES; i++) {
        if (mix.peers[i] != NULL)
            peer_close(mix.peers[i]);
    }
    UNTIL(counts_of(mix.host->server).live == 0);
    ck_assert_uint_gt(counts.accepted, 20);
    berth_server_free(mix.host->server);
}

CASE(balance_of_everything, "reliability 0", "all limits at once, and the balance after each step")
{
    uint32_t seeds = world_is_impatient() ? 1 : 3;
    for (uint32_t seed = 1; seed <= seeds; seed++)
        live_through(seed * 7919);
}

/* ---- a small ring ---------------------------------------------------------------------------- */

static void use_small_ring(void)
{
    if (strcmp(getenv("BERTH_BACKEND"), "io_uring") != 0)
        case_skip("rings are io_uring's");
    setenv("BERTH_RING_BUFFERS", "4", 1);
    setenv("BERTH_RING_COMPLETIONS", "64", 1);
}

#define MANY 200

CASE(small_ring_of_buffers, "reliability 10",
     "four buffers and many senders: nothing lost, all counted")
{
    use_small_ring();
    struct host *host = host_new("h");
    berth_server_set_listen_backlog_size(host->server, MANY);
    berth_server_set_max_pending_connections(host->server, MANY);
    host_listen(host);
    struct peer *peers[MANY];
    struct actor *actors[MANY];
    for (int i = 0; i < MANY; i++) {
        peers[i] = world_connect(host->port);
        actors[i] = host_take_actor(host, "s");
        actors[i]->quiet = true;
    }
    uint8_t *bytes = scene_pattern(1 << 17, 1);
    size_t sent[MANY];
    for (int i = 0; i < MANY; i++)
        sent[i] = peer_send_some(peers[i], bytes, 1 << 17);
    for (int i = 0; i < MANY; i++) {
        UNTIL(actors[i]->received == sent[i]);
        ck_assert_mem_eq(actors[i]->input, bytes, sent[i]);
    }
    berth_loop_counts counts = loop_counts();
    ck_assert_uint_gt(counts.buffer_shortages, 0);
    ck_assert_uint_lt(counts.buffer_shortages, 100 * MANY);
    free(bytes);
}

static void was_told_of_a_reset(struct actor *actor)
{
    ck_assert(berth_socket_was_reset(actor->socket));
}

CASE(small_ring_and_resets, "reliability 11",
     "a reset that output has met is told, though its completion is far behind others")
{
    enum {
        RESETS = 12
    };
    use_small_ring();
    setenv("BERTH_RING_COMPLETIONS", "2", 1);
    struct host *host = host_listening("h");
    struct peer *peers[RESETS];
    struct actor *actors[RESETS];
    for (int i = 0; i < RESETS; i++) {
        actors[i] = host_connect(host, "s", &peers[i]);
        actors[i]->quiet = true;
        actors[i]->on_error = was_told_of_a_reset;
        berth_socket_set_read_buffer_size(actors[i]->socket, 100); /* its end comes by a call */
    }
    world_settle();
    for (int i = 0; i < RESETS; i++)
        ck_assert_int_eq(berth_socket_write(actors[i]->socket, "later", 5), 5);
    for (int i = 0; i < RESETS; i++)
        peer_reset(peers[i]);
    for (int i = 0; i < RESETS; i++)
        UNTIL(actors[i]->disconnects == 1);
}

CASE(small_ring_of_completions, "reliability 11",
     "more events at once than there is room for: counted, and every connection goes on")
{
    use_small_ring();
    struct host *host = host_new("h");
    berth_server_set_listen_backlog_size(host->server, MANY);
    berth_server_set_max_pending_connections(host->server, MANY);
    host_listen(host);
    struct peer *peers[MANY];
    struct actor *actors[MANY];
    for (int i = 0; i < MANY; i++) {
        peers[i] = world_connect(host->port);
        actors[i] = host_take_actor(host, "s");
        actors[i]->quiet = true;
    }
    world_settle();
    for (size_t round = 1; round <= 5; round++) {
        for (int i = 0; i < MANY; i++)
            peer_send_some(peers[i], "ping", 4);
        for (int i = 0; i < MANY; i++)
            UNTIL(actors[i]->received == 4 * round);
        for (int i = 0; i < MANY; i++)
            actor_say(actors[i], "pong");
        for (int i = 0; i < MANY; i++)
            ck_assert(peer_hears(peers[i], "pong"));
    }
    ck_assert_uint_gt(loop_counts().completion_overflows, 0);
    for (int i = 0; i < MANY; i++)
        ck_assert_uint_eq(actors[i]->disconnects, 0);
}
