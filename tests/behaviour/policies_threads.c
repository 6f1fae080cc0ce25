/*
 * Every policy on at once: limits of accepting and of connections, marks, PROXY headers in both
 * directions, proxies, hand-over to workers. What one of them does to the others shows when calls
 * fail in the middle (faults.h); by themselves these cases ask only that all is accounted for.
 */
#include "scene.h"

#include <berth/workers.h>

#include <stdatomic.h>
#include <string.h>

#define LINE "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
#define OTHER "PROXY TCP4 192.0.2.9 198.51.100.7 56324 443\r\n"
#define BOUND "\5\0\0\1\x0a\0\0\1\x23\x28"
#define COME "\5\0\0\1\xc6\x33\x64\7\xdc\4"

enum {
    TURNS = 40,
    LONG = 40000
};

static const berth_connection_limits connection_limits = {.first_byte = 5000,
                                                          .idle = 5000,
                                                          .lifetime = 60000,
                                                          .minimum_rate = 1,
                                                          .rate_window = 60000,
                                                          .output = 30000};

static void set_policies(berth_server *server, uint32_t per_address)
{
    const berth_accept_limits accept_limits = {
        .per_address = per_address, .per_second = 1000, .burst = 1000, .shed = true};
    berth_server_set_accept_limits(server, &accept_limits);
    berth_server_set_connection_limits(server, &connection_limits);
    berth_server_set_max_pending_connections(server, 4);
    berth_server_set_pending_read_limit(server, 8);
}

static bool trust_everybody(berth_server *server)
{
    berth_subnet all;
    return berth_subnet_parse("127.0.0.0/8", &all) &&
           berth_server_set_proxy_protocol(server, &all, 1, 5000);
}

/* A long answer, and the end. */
static void answer(struct actor *actor)
{
    static const char text[LONG];
    berth_socket_set_write_marks(actor->socket, 100, 20000);
    (void)berth_socket_write(actor->socket, text, 500);
    (void)berth_socket_write(actor->socket, text, sizeof text);
    berth_socket_disconnect_from_host(actor->socket);
}

static void take_and_answer(struct host *host)
{
    if (!berth_server_has_pending_connections(host->server))
        return;
    struct actor *actor = actor_on("s", berth_server_next_pending_connection(host->server));
    actor->quiet = true;
    actor->on_ready_read = answer;
    actor->on_disconnected = actor_free_socket;
}

static void some_turns(void)
{
    for (int i = 0; i < TURNS; i++)
        berth_loop_turn(world_loop(), 1);
}

static void expect_balance(const berth_server *server)
{
    berth_server_counts counts;
    berth_server_statistics(server, &counts);
    scene_assert_balance(&counts);
}

CASE(policies_behind_a_balancer, "reliability 13 14 PROXY header D20",
     "limits and headers together, for clients that come, are too many, or say nothing")
{
    struct host *host = host_listening("h");
    set_policies(host->server, 1);
    ck_assert(trust_everybody(host->server));
    host->on_new_connection = take_and_answer;
    struct peer *peers[5];
    for (int i = 0; i < 5; i++)
        peers[i] = world_connect_begin(host->port);
    const char *const words[] = {LINE "question", LINE "question", OTHER "question",
                                 "nonsense\r\n"};
    for (int i = 0; i < 4; i++) {
        some_turns();
        peer_send_some(peers[i], words[i], strlen(words[i]));
    }
    some_turns();
    char bytes[4096];
    while (peer_receive_some(peers[0], bytes, sizeof bytes) > 0)
        some_turns();
    berth_server_pause_accepting(host->server);
    peer_send_some(peers[4], LINE, sizeof LINE - 1);
    some_turns();
    berth_server_resume_accepting(host->server);
    some_turns();
    expect_balance(host->server);
    berth_server_free(host->server);
    for (int i = 0; i < 5; i++)
        peer_close(peers[i]);
}

CASE(policies_through_proxies, "reliability 13 14 S6.16 D20",
     "a server that listens through SOCKS5 with limits, and a client with a header through it")
{
    world_loop();
    uint16_t port = world_listen(10);
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = port};
    struct host *host = host_new("h");
    set_policies(host->server, 1);
    host->on_new_connection = take_and_answer;
    ck_assert(berth_server_set_proxy(host->server, &proxy));
    static const char replies[] = "\5\0" BOUND COME "question";
    world_greet(port, replies, sizeof replies - 1);
    ck_assert(berth_server_listen(host->server, BERTH_ADDRESS_ANY, 9000));
    some_turns();

    struct actor *client = actor_new("c");
    client->quiet = true;
    ck_assert(berth_socket_set_limits(client->socket, &connection_limits));
    ck_assert(berth_socket_set_proxy(client->socket, &proxy));
    berth_proxy_header header = {.version = 2,
                                 .source = berth_address_ipv4(0xc0000201),
                                 .source_port = 56324,
                                 .destination = berth_address_ipv4(0xc6336407),
                                 .destination_port = 443};
    ck_assert(berth_socket_set_proxy_header(client->socket, &header));
    static const char agreed[] = "\5\0" BOUND "welcome";
    world_greet(port, agreed, sizeof agreed - 1);
    (void)berth_socket_connect_to_host(client->socket, "host.example", 80);
    (void)berth_socket_write(client->socket, "question", 8);
    some_turns();
    berth_socket_disconnect_from_host(client->socket);
    some_turns();
    expect_balance(host->server);
    berth_server_free(host->server);
    berth_socket_free(client->socket);
    world_unlisten(port);
}

/* ---- with workers ---------------------------------------------------------------------------- */

static atomic_uint served;

static void echo(berth_socket *socket, void *user)
{
    char bytes[64];
    (void)user;
    ptrdiff_t count = berth_socket_read(socket, bytes, sizeof bytes);
    if (count > 0)
        (void)berth_socket_write(socket, bytes, (size_t)count);
    berth_socket_disconnect_from_host(socket);
}

static void serve(berth_worker *worker, berth_socket *socket, void *user)
{
    static const berth_socket_handlers handlers = {.ready_read = echo,
                                                   .disconnected = berth_socket_free_in_handler};
    (void)worker;
    (void)user;
    atomic_fetch_add(&served, 1);
    berth_socket_set_handlers(socket, &handlers, NULL);
    (void)berth_socket_set_limits(socket, &connection_limits);
}

static bool started(berth_worker *worker, void *user)
{
    (void)user;
    set_policies(berth_worker_server(worker), 3);
    return trust_everybody(berth_worker_server(worker));
}

static void hand_over(berth_server *server, int descriptor, void *user)
{
    if (!berth_workers_hand_over(user, descriptor))
        berth_server_base_incoming_connection(server, descriptor);
}

/* Nothing is expected while the pool runs: a case that ended here would leave its threads. */
static void use_workers(berth_workers *workers, uint16_t port)
{
    struct peer *peers[4] = {NULL, NULL, NULL, NULL};
    uint16_t own = 0;
    if (berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0))
        own = berth_workers_port(workers);
    for (int i = 0; i < 4; i++) {
        uint16_t to = i < 2 || own == 0 ? port : own;
        peers[i] = world_connect_begin(to);
        peer_send_some(peers[i], i % 2 == 0 ? LINE "x" : OTHER "x", sizeof LINE);
    }
    for (int i = 0; i < TURNS && atomic_load(&served) < 4; i++)
        berth_loop_turn(world_loop(), 5);
    for (int i = 0; i < 4; i++)
        peer_close(peers[i]);
}

CASE(policies_with_workers, "reliability 13 14 workers.h PROXY header D20",
     "an acceptor that hands over, and workers that accept, all with limits and headers")
{
    static const berth_server_handlers handing = {.incoming_connection = hand_over};
    static const berth_workers_handlers handlers = {.started = started, .connection = serve};
    if (world_is_simulated())
        case_skip("each loop has a kernel of its own there");
    berth_loop *loop = world_loop();
    berth_workers *workers = berth_workers_new(2, &handlers, NULL);
    ck_assert_ptr_nonnull(workers);
    berth_server *server = berth_server_new(loop, &handing, workers);
    bool ready = server != NULL && trust_everybody(server) &&
                 berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0);
    if (ready)
        set_policies(server, 1);
    bool running = ready && berth_workers_start(workers);
    if (running)
        use_workers(workers, berth_server_port(server));
    if (server != NULL)
        berth_server_close(server);
    berth_workers_free(workers);
    ck_assert(running);
    expect_balance(server);
    berth_server_free(server);
    ck_assert_uint_ge(atomic_load(&served), 1);
}
