/*
 * Limits of time that pass while a handler, or the program between two calls, is busy: what the
 * kernel has by then counts, as if it had been asked in time.
 */
#include "encrypted.h"

#include "backend/sim.h"

#include <string.h>
#include <unistd.h>

#define LIMIT 2u   /* milliseconds */
#define CLIENTS 30 /* more than a turn with late timers runs, or a wait at once */
#define CROWD 100  /* more than a wait without time finds by the way */

static struct actor *other; /* whose limit it is */
static struct host *host;
static struct peer *far;
static struct peer *fars[CROWD];
static struct toy *toy;

/* Longer than the limit. */
static void be_busy(void)
{
    if (world_is_simulated())
        berth__sim_advance(world_sim(), (uint64_t)1000000000);
    uint64_t late = berth_loop_now(world_loop()) + 2 * LIMIT;
    while (!world_is_simulated() && berth_loop_now(world_loop()) < late)
        continue;
}

/* Calls it inside ready_read, after this turn has asked the kernel. */
static void call_in_a_handler(actor_hook hook)
{
    struct peer *peer;
    struct actor *actor = host_connect(host_listening("busy"), "s", &peer);
    actor->on_ready_read = hook;
    peer_say(peer, "x");
    UNTIL(actor->ready_reads > 0);
}

static void connect_and_be_busy(struct actor *actor)
{
    (void)actor;
    berth_socket_set_connect_timeout(other->socket, LIMIT);
    ck_assert(berth_socket_connect_to_address(other->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    be_busy();
}

CASE(connect_inside_a_busy_handler, "S3.12", "is connected, though its time is over by then")
{
    host = host_listening("h");
    other = actor_new("c");
    call_in_a_handler(connect_and_be_busy);
    UNTIL(other->connects + other->errors > 0);
    ck_assert_uint_eq(other->connects, 1);
}

CASE(wait_for_connected_behind_a_busy_program, "S4.11", "is not over before the kernel was asked")
{
    host = host_listening("h");
    other = actor_new("c");
    connect_and_be_busy(NULL);
    ck_assert(berth_socket_wait_for_connected(other->socket, 10000));
}

/* The peer's answer does not wait for the hello. */
static void encrypt_and_be_busy(struct actor *actor)
{
    uint8_t bytes[16];
    size_t size = toy_record('s', "server", 6, bytes);
    (void)actor;
    berth_socket_set_connect_timeout(other->socket, LIMIT);
    ck_assert(berth_socket_start_client_encryption(other->socket, &toy->tls, "x"));
    ck_assert_uint_eq(peer_send_some(far, bytes, size), size);
    be_busy();
}

CASE(encryption_inside_a_busy_handler, "tls.h", "begins, though its time is over by then")
{
    toy = toy_new(false);
    other = actor_connected("c", &far);
    call_in_a_handler(encrypt_and_be_busy);
    UNTIL(other->encryptions + other->errors > 0);
    ck_assert_uint_eq(other->encryptions, 1);
    berth_tls_release(&toy->tls);
}

CASE(wait_for_encrypted_behind_a_busy_program, "tls.h", "is not over before the kernel was asked")
{
    toy = toy_new(false);
    other = actor_connected("c", &far);
    encrypt_and_be_busy(NULL);
    ck_assert(berth_socket_wait_for_encrypted(other->socket, 10000));
    berth_tls_release(&toy->tls);
}

static void finish_the_handshake_and_be_busy(struct actor *actor)
{
    uint8_t bytes[16];
    size_t size = toy_record('c', "client", 6, bytes);
    (void)actor;
    berth_server_set_handshake_timeout(host->server, LIMIT);
    ck_assert_uint_eq(peer_send_some(far, bytes, size), size);
    be_busy();
}

CASE(handshake_beside_a_busy_handler, "tls.h", "of a client that is in time: completes")
{
    uint8_t bytes[16];
    host = host_listening("h");
    (void)encrypt(host);
    far = world_connect(host->port);
    say_hello(far, "x");
    ck_assert_uint_eq(peer_receive(far, bytes, 10), 10);
    call_in_a_handler(finish_the_handshake_and_be_busy);
    UNTIL(host->new_connections + host->failures > 0);
    ck_assert_uint_eq(host->new_connections, 1);
}

CASE(wait_for_a_client_behind_a_busy_program, "tls.h", "of a server: is not over for it before")
{
    uint8_t bytes[16];
    bool timed_out;
    host = host_listening("h");
    (void)encrypt(host);
    far = world_connect(host->port);
    say_hello(far, "x");
    ck_assert_uint_eq(peer_receive(far, bytes, 10), 10);
    finish_the_handshake_and_be_busy(NULL);
    ck_assert(berth_server_wait_for_new_connection(host->server, 10000, &timed_out));
    ck_assert_uint_eq(host->new_connections, 1);
}

/* Clients who were answered, and have not said the rest. */
static void begin_many_handshakes(void)
{
    uint8_t bytes[16];
    host = host_listening("h");
    (void)encrypt(host);
    for (int i = 0; i < CLIENTS; i++) {
        fars[i] = world_connect(host->port);
        say_hello(fars[i], "x");
    }
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_uint_eq(peer_receive(fars[i], bytes, 10), 10);
}

static void finish_many_handshakes_and_be_busy(struct actor *actor)
{
    uint8_t bytes[16];
    size_t size = toy_record('c', "client", 6, bytes);
    (void)actor;
    berth_server_set_handshake_timeout(host->server, LIMIT);
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_uint_eq(peer_send_some(fars[i], bytes, size), size);
    be_busy();
}

CASE(handshakes_beside_a_busy_handler, "tls.h", "of many clients that are in time: all complete")
{
    begin_many_handshakes();
    call_in_a_handler(finish_many_handshakes_and_be_busy);
    UNTIL(host->new_connections + host->failures == CLIENTS);
    ck_assert_uint_eq(host->new_connections, CLIENTS);
}

CASE(wait_for_clients_behind_a_busy_program, "tls.h", "of a server: is not over for many before")
{
    bool timed_out;
    begin_many_handshakes();
    finish_many_handshakes_and_be_busy(NULL);
    for (int waits = 0; waits < CLIENTS && host->new_connections < CLIENTS; waits++)
        ck_assert(berth_server_wait_for_new_connection(host->server, 1000, &timed_out));
    ck_assert_uint_eq(host->new_connections, CLIENTS);
}

CASE(wait_through_a_proxy_behind_a_busy_program, "S4.11", "is not over before the answer was read")
{
    static const char answer[] = "\5\0\0\1\x0a\0\0\1\x30\x39";
    char bytes[16];
    world_loop();
    uint16_t port = world_listen(5);
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = port};
    other = actor_new("c");
    ck_assert(berth_socket_set_proxy(other->socket, &proxy));
    berth_socket_set_connect_timeout(other->socket, 900);
    ck_assert(berth_socket_connect_to_address(other->socket, berth_address_ipv4(0xc0000201), 80));
    far = world_accept(port);
    ck_assert_uint_eq(peer_receive(far, bytes, 3), 3);
    peer_send(far, "\5\0", 2);
    ck_assert_uint_eq(peer_receive(far, bytes, 10), 10);
    ck_assert_uint_eq(peer_send_some(far, answer, 10), 10);
    be_busy();
    ck_assert(berth_socket_wait_for_connected(other->socket, 10000));
}

CASE(handshake_with_a_greedy_peer, "tls.h", "ends for its time, though there is always more")
{
    enum {
        MANY = 40000,
        SIZE = 5
    };
    static uint8_t records[MANY * SIZE];
    size_t next = 0;
    for (size_t i = 0; i < MANY; i++)
        (void)toy_record('t', "x", 1, records + i * SIZE);
    toy = toy_new(false);
    other = actor_connected("c", &far);
    berth_socket_set_connect_timeout(other->socket, LIMIT);
    ck_assert(berth_socket_start_client_encryption(other->socket, &toy->tls, "x"));
    be_busy();
    for (int turns = 0; turns < 300 && other->errors == 0; turns++) {
        for (size_t sent = 1; sent > 0;) {
            sent = peer_send_some(far, records + next, sizeof records - next);
            next = (next + sent) % sizeof records;
        }
        world_turn();
    }
    ck_assert_uint_eq(other->errors, 1);
    berth_tls_release(&toy->tls);
}

static void trust_for(uint32_t milliseconds)
{
    berth_subnet subnet = {.prefix = 0};
    ck_assert(berth_subnet_parse("127.0.0.0/8", &subnet));
    ck_assert(berth_server_set_proxy_protocol(host->server, &subnet, 1, milliseconds));
}

/* A peer whose header is missing. */
static void be_behind_a_balancer(void)
{
    host = host_listening("h");
    trust_for(0);
    far = world_connect(host->port);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
}

static const char header[] = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";

static void say_the_header_and_be_busy(struct actor *actor)
{
    (void)actor;
    trust_for(LIMIT);
    ck_assert_uint_eq(peer_send_some(far, header, sizeof header - 1), sizeof header - 1);
    be_busy();
}

CASE(header_beside_a_busy_handler, "PROXY header", "of a client that is in time: is read")
{
    be_behind_a_balancer();
    call_in_a_handler(say_the_header_and_be_busy);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 1);
}

CASE(wait_for_a_header_behind_a_busy_program, "PROXY header", "of a server: reads it before")
{
    bool timed_out;
    be_behind_a_balancer();
    say_the_header_and_be_busy(NULL);
    ck_assert(berth_server_wait_for_new_connection(host->server, 10000, &timed_out));
    ck_assert_uint_eq(host->new_connections, 1);
}

static void be_many_behind_a_balancer(void)
{
    host = host_listening("h");
    trust_for(0);
    for (int i = 0; i < CLIENTS; i++)
        fars[i] = world_connect(host->port);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
}

static void say_many_headers_and_be_busy(struct actor *actor)
{
    (void)actor;
    trust_for(LIMIT);
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_uint_eq(peer_send_some(fars[i], header, sizeof header - 1), sizeof header - 1);
    be_busy();
}

CASE(headers_beside_a_busy_handler, "PROXY header", "of many that are in time: all are read")
{
    be_many_behind_a_balancer();
    call_in_a_handler(say_many_headers_and_be_busy);
    world_settle();
    ck_assert_uint_eq(host->new_connections, CLIENTS);
}

CASE(wait_for_headers_behind_a_busy_program, "PROXY header", "of a server: reads many before")
{
    bool timed_out;
    be_many_behind_a_balancer();
    say_many_headers_and_be_busy(NULL);
    for (int waits = 0; waits < CLIENTS && host->new_connections < CLIENTS; waits++)
        ck_assert(berth_server_wait_for_new_connection(host->server, 1000, &timed_out));
    ck_assert_uint_eq(host->new_connections, CLIENTS);
}

static struct actor *actors[CROWD];

static void lift_the_limits(struct actor *actor)
{
    const berth_connection_limits none = {0};
    (void)berth_socket_set_limits(actor->socket, &none);
}

static void speak_to_many_and_be_busy(struct actor *actor)
{
    const berth_connection_limits limits = {.idle = LIMIT};
    (void)actor;
    for (int i = 0; i < CLIENTS; i++) {
        actors[i]->on_ready_read = lift_the_limits;
        (void)berth_socket_set_limits(actors[i]->socket, &limits);
        peer_say(fars[i], "x");
    }
    be_busy();
}

CASE(activity_beside_a_busy_handler, "limits.h", "of many that are in time: none is idle")
{
    host = host_listening("h");
    for (int i = 0; i < CLIENTS; i++)
        actors[i] = host_connect(host, "s", &fars[i]);
    call_in_a_handler(speak_to_many_and_be_busy);
    for (int i = 0; i < CLIENTS; i++) {
        UNTIL(actors[i]->ready_reads + actors[i]->errors > 0);
        ck_assert_uint_eq(actors[i]->ready_reads, 1);
    }
}

CASE(wait_of_0_among_many, "S4.12", "finds what its peer has sent, though many others have spoken")
{
    host = host_listening("h");
    for (int i = 0; i < CROWD; i++)
        actors[i] = host_connect(host, "s", &fars[i]);
    for (int i = 0; i < CROWD; i++)
        peer_say(fars[i], "x");
    for (int i = CROWD; i-- > 0;)
        ck_assert(berth_socket_wait_for_ready_read(actors[i]->socket, 0));
}

CASE(rate_beyond_what_turns_receive, "limits.h",
     "what the loop has not been free to receive makes up for what lacks, as long as it is there")
{
    enum {
        WINDOW = 20,
        TURNS = 4,
        NEED = 2 * BERTH__RECEIVE_BUDGET + 4096 /* a window that needs a third turn */
    };
    if (world_is_simulated())
        case_skip("its buffer holds no more than a turn receives");
    struct peer *peer;
    struct host *near = host_listening("h");
    const berth_connection_limits limits = {.minimum_rate = NEED / WINDOW * 1000,
                                            .rate_window = WINDOW};
    berth_server_set_connection_limits(near->server, &limits);
    struct actor *actor = host_connect(near, "s", &peer);
    actor->quiet = true;
    berth_socket_pause_reading(actor->socket);
    world_settle();
    static const char block[BERTH__RECEIVE_BUDGET];
    size_t sent = 0;
    for (size_t some = 1; some > 0 && sent < 1 << 20;) {
        some = peer_send_some(peer, block, sizeof block);
        sent += some;
    }
    if (sent < (TURNS + 2) * BERTH__RECEIVE_BUDGET)
        case_skip("the kernel holds too little");
    berth_socket_resume_reading(actor->socket);
    for (int turn = 0; turn < TURNS; turn++) {
        usleep(2 * WINDOW * 1000);
        berth_loop_turn(world_loop(), 0);
        ck_assert_uint_eq(actor->errors, 0);
    }
    ck_assert_uint_lt(actor->received, sent);
    UNTIL(actor->disconnects == 1);
    ck_assert_uint_eq(actor->received, sent);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "minimum rate"));
}

/* ---- a chat ---------------------------------------------------------------------------------- */

static struct actor *newcomer;

static void tells_the_newcomer(struct actor *actor)
{
    static const char block[20000];
    (void)actor;
    usleep(5000);
    berth_socket_write(newcomer->socket, block, sizeof block);
}

CASE(first_byte_behind_a_broadcast, "D20",
     "one that is there when the limit is over counts, whatever is written to its socket")
{
    enum {
        GUESTS = 30,
        BEFORE = 9
    };
    if (world_is_simulated())
        case_skip("the time is virtual");
    const berth_connection_limits limits = {.first_byte = 2};
    struct host *chat = host_listening("h");
    struct peer *peers[GUESTS];
    struct peer *late;
    for (int i = 0; i < GUESTS; i++) {
        if (i == BEFORE)
            newcomer = host_connect(chat, "n", &late);
        struct actor *guest = host_connect(chat, "g", &peers[i]);
        guest->quiet = true;
        if (i == BEFORE - 1)
            guest->on_ready_read = tells_the_newcomer;
    }
    newcomer->quiet = true;
    ck_assert(berth_socket_set_limits(newcomer->socket, &limits));
    for (int i = 0; i < GUESTS; i++) {
        if (i == BEFORE)
            peer_send_some(late, "x", 1);
        peer_send_some(peers[i], "x", 1);
    }
    usleep(50 * 1000);
    for (int turns = 0; turns < 20; turns++)
        berth_loop_turn(world_loop(), 0);
    ck_assert_uint_eq(newcomer->disconnects, 0);
    ck_assert_uint_eq(newcomer->received, 1);
}

/* ---- announcements --------------------------------------------------------------------------- */

enum {
    GUESTS = 40
};

static struct {
    struct actor *guests[GUESTS];
    unsigned announcements;
} crowd;

static void tells_the_crowd(struct actor *actor)
{
    for (int i = 0; i < GUESTS; i++) {
        if (crowd.guests[i] == actor)
            continue;
        actor_say(crowd.guests[i], "go");
        ck_assert(berth_socket_flush(crowd.guests[i]->socket));
    }
}

static void is_busy_once_more(struct actor *actor)
{
    (void)actor;
    crowd.announcements++;
    be_busy();
}

static void note_announcements(berth_timer *timer, void *user)
{
    (void)timer;
    *(unsigned *)user = crowd.announcements;
}

CASE(timer_beside_many_announcements, "S8.20",
     "is not kept waiting by what calls have sent to many who have spoken since")
{
    struct host *chat = host_listening("h");
    struct peer *peers[GUESTS];
    unsigned before = 0;
    for (int i = 0; i < GUESTS; i++) {
        crowd.guests[i] = host_connect(chat, "g", &peers[i]);
        crowd.guests[i]->quiet = true;
        crowd.guests[i]->on_written = is_busy_once_more;
    }
    crowd.guests[0]->on_ready_read = tells_the_crowd;
    for (int i = 0; i < GUESTS; i++)
        peer_say(peers[i], "x");
    berth_timer *timer = berth_timer_new(world_loop(), note_announcements, &before);
    ck_assert_ptr_nonnull(timer);
    berth_timer_start(timer, 1, 0);
    UNTIL(before > 0);
    ck_assert_uint_lt(before, GUESTS / 2);
    UNTIL(crowd.announcements == GUESTS - 1);
    berth_timer_free(timer);
}
