/*
 * PROXY headers: read from trusted peers and from nobody else, written in front of a connection.
 */
#include "scene.h"

#include "backend/sim.h"

#include "balance.h"
#include "base/fault.h"
#include "server/server.h"

#include <string.h>

#define LINE "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define BINARY SIGNATURE "\x21\x11\0\x13\xc0\0\2\1\xc6\x33\x64\7\xdc\4\1\xbb\2\0\4host"

static struct host *host_behind(const char *balancers)
{
    struct host *host = host_listening("h");
    berth_subnet subnets[2] = {{.prefix = 0}};
    ck_assert(berth_subnet_parse("10.0.0.0/8", &subnets[0]));
    ck_assert(berth_subnet_parse(balancers, &subnets[1]));
    ck_assert(berth_server_set_proxy_protocol(host->server, subnets, 2, 0));
    return host;
}

static berth_server_counts counts_of(const struct host *host)
{
    berth_server_counts counts;
    berth_server_statistics(host->server, &counts);
    scene_assert_balance(&counts);
    return counts;
}

static bool is_text(berth_address address, const char *text)
{
    char written[BERTH_ADDRESS_TEXT_SIZE];
    return strcmp(berth_address_format(address, written, sizeof written), text) == 0;
}

CASE(header_of_a_trusted_peer, "PROXY header",
     "the socket has the client's names and the balancer's; what follows the header is data")
{
    struct host *host = host_behind("127.0.0.0/8");
    struct peer *peer = world_connect(host->port);
    peer_say(peer, LINE "hello");
    struct actor *actor = host_take_actor(host, "s");
    UNTIL(actor_has(actor, "hello"));
    ck_assert(is_text(berth_socket_peer_address(actor->socket), "192.0.2.1"));
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), 56324);
    ck_assert(is_text(berth_socket_local_address(actor->socket), "198.51.100.7"));
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), 443);
    ck_assert(is_text(berth_socket_transport_peer_address(actor->socket), "127.0.0.1"));
    ck_assert_uint_eq(berth_socket_transport_peer_port(actor->socket), peer_port(peer));
    size_t size = 1;
    ck_assert_ptr_null(berth_socket_proxy_header_value(actor->socket, 2, &size));
    ck_assert_uint_eq(size, 0);
    peer_close(peer);
    UNTIL(actor->disconnects == 1);
}

CASE(header_in_pieces, "PROXY header", "nobody hears of the connection before the last byte")
{
    struct host *host = host_behind("127.0.0.0/8");
    struct peer *peer = world_connect(host->port);
    for (size_t i = 0; i < sizeof BINARY - 1; i++) {
        world_turn();
        ck_assert_uint_eq(host->new_connections, 0);
        peer_send(peer, &BINARY[i], 1);
    }
    struct actor *actor = host_take_actor(host, "s");
    size_t size;
    const void *value = berth_socket_proxy_header_value(actor->socket, 2, &size);
    ck_assert_uint_eq(size, 4);
    ck_assert_mem_eq(value, "host", 4);
    ck_assert_ptr_null(berth_socket_proxy_header_value(actor->socket, 1, &size));
    ck_assert_uint_eq(berth_socket_bytes_available(actor->socket), 0);
    peer_say(peer, "hello");
    UNTIL(actor_has(actor, "hello"));
}

CASE(header_of_a_stranger, "PROXY header", "is what he says, and no header")
{
    struct host *host = host_behind("192.168.0.0/16");
    struct peer *peer = world_connect(host->port);
    struct actor *actor = host_take_actor(host, "s");
    peer_say(peer, LINE);
    UNTIL(actor_has(actor, LINE));
    ck_assert(is_text(berth_socket_peer_address(actor->socket), "127.0.0.1"));
    ck_assert_uint_eq(berth_socket_transport_peer_port(actor->socket), peer_port(peer));
    ck_assert(berth_server_set_proxy_protocol(host->server, NULL, 0, 0));
    world_connect(host->port);
    host_take_actor(host, "t");
}

CASE(header_without_addresses, "PROXY header", "a balancer's own connection keeps the names it has")
{
    struct host *host = host_behind("127.0.0.1");
    struct peer *peer = world_connect(host->port);
    peer_send(peer, SIGNATURE "\x20\0\0\0", 16);
    struct actor *actor = host_take_actor(host, "s");
    ck_assert(is_text(berth_socket_peer_address(actor->socket), "127.0.0.1"));
    ck_assert_uint_eq(berth_socket_peer_port(actor->socket), peer_port(peer));
    ck_assert_uint_eq(berth_socket_local_port(actor->socket), host->port);
}

CASE(no_valid_header, "PROXY header", "ends the connection; the server says why, and goes on")
{
    struct host *host = host_behind("127.0.0.0/8");
    struct peer *peer = world_connect(host->port);
    peer_say(peer, "GET / HTTP/1.1\r\n\r\n");
    UNTIL(peer_saw_either(peer));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_PROXY_PROTOCOL);
    const char *said = berth_server_error_string(host->server);
    ck_assert_ptr_nonnull(strstr(said, "cannot accept a connection of a balancer from 127.0.0.1:"));
    ck_assert_ptr_nonnull(strstr(said, ": no valid PROXY header"));
    peer = world_connect(host->port);
    peer_say(peer, "PROXY TCP4");
    peer_shutdown(peer);
    UNTIL(peer_saw_either(peer));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_REMOTE_HOST_CLOSED);
    peer = world_connect(host->port);
    peer_say(peer, LINE);
    host_take_actor(host, "s");
    ck_assert_uint_eq(host->accept_errors, 0);
    ck_assert_uint_eq(host->new_connections, 1);
    ck_assert_uint_eq(counts_of(host).rejected_header, 2);
}

CASE(header_does_not_come, "PROXY header", "the time for it is limited")
{
    struct host *host = host_listening("h");
    berth_subnet all;
    ck_assert(berth_subnet_parse("127.0.0.0/8", &all));
    ck_assert(berth_server_set_proxy_protocol(host->server, &all, 1, 20));
    struct peer *first = world_connect(host->port);
    struct peer *second = world_connect(host->port);
    UNTIL(peer_saw_either(first) && peer_saw_either(second));
    ck_assert_int_eq(berth_server_error(host->server), BERTH_ERROR_SOCKET_TIMEOUT);
    first = world_connect(host->port);
    bool timed_out;
    for (int waits = 0; waits < 100 && !peer_saw_either(first); waits++)
        ck_assert(!berth_server_wait_for_new_connection(host->server, 10, &timed_out));
    ck_assert(peer_saw_either(first));
    ck_assert_uint_eq(host->new_connections, 0);
}

CASE(guests_count_as_pending, "PROXY header S1.49",
     "connections whose header is missing are bounded by the limit as well")
{
    struct host *host = host_behind("127.0.0.0/8");
    berth_server_set_max_pending_connections(host->server, 1);
    struct peer *first = world_connect(host->port);
    world_settle();
    struct peer *second = world_connect(host->port);
    peer_say(second, LINE);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
    peer_say(first, LINE);
    UNTIL(host->new_connections == 1);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 1);
    host_take_actor(host, "s");
    UNTIL(host->new_connections == 2);
    host_take_actor(host, "t");
}

CASE(address_limit_behind_a_balancer, "PROXY header D20",
     "counts the client of the header, when that has come; without one the balancer")
{
    static const char other[] = "PROXY TCP4 192.0.2.9 198.51.100.7 56324 443\r\n";
    const berth_accept_limits limits = {.per_address = 1};
    struct host *host = host_behind("127.0.0.0/8");
    berth_server_set_accept_limits(host->server, &limits);
    struct peer *first = world_connect(host->port);
    struct peer *second = world_connect(host->port);
    struct peer *third = world_connect(host->port);
    struct peer *own[2] = {world_connect(host->port), world_connect(host->port)};
    UNTIL(counts_of(host).awaiting_header == 5);
    peer_say(first, LINE);
    struct actor *actor = host_take_actor(host, "s");
    peer_say(second, LINE);
    UNTIL(counts_of(host).rejected_address == 1);
    ck_assert(peer_saw_either(second));
    peer_say(third, other);
    host_take_actor(host, "t");
    peer_send(own[0], SIGNATURE "\x20\0\0\0", 16);
    host_take_actor(host, "u");
    peer_send(own[1], SIGNATURE "\x20\0\0\0", 16);
    UNTIL(counts_of(host).rejected_address == 2);
    ck_assert_uint_eq(host->new_connections, 3);
    ck_assert_uint_eq(counts_of(host).awaiting_header, 0);
    ck_assert_uint_eq(counts_of(host).accepted, 5);
    berth_socket_free(actor->socket);
    peer_say(world_connect(host->port), LINE);
    host_take_actor(host, "v");
    ck_assert_uint_eq(counts_of(host).rejected_address, 2);
}

/* All of them come to nothing, and never are there more at a time than that. */
static bool all_rejected(const struct host *host, uint64_t all, uint64_t most)
{
    berth_server_counts counts = counts_of(host);
    ck_assert_uint_le(counts.awaiting_header, most);
    ck_assert_uint_eq(counts.pending, 0);
    return counts.rejected_header == all;
}

static struct host *host_with_little_patience(void)
{
    struct host *host = host_listening("h");
    berth_subnet all;
    ck_assert(berth_subnet_parse("127.0.0.0/8", &all));
    ck_assert(berth_server_set_proxy_protocol(host->server, &all, 1, 20));
    return host;
}

CASE(flood_of_silent_guests, "PROXY header S1.49 reliability 5",
     "no more of them are there than may be pending; each is told of by the counts")
{
    struct host *host = host_with_little_patience();
    berth_server_set_max_pending_connections(host->server, 3);
    for (int i = 0; i < 10; i++)
        world_connect(host->port);
    UNTIL(counts_of(host).awaiting_header == 3);
    ck_assert_uint_eq(counts_of(host).accepted, 3);
    UNTIL(all_rejected(host, 10, 3));
    ck_assert_uint_eq(counts_of(host).accepted, 10);
    ck_assert_uint_eq(host->new_connections, 0);
    peer_say(world_connect(host->port), LINE);
    host_take_actor(host, "s");
}

CASE(patience_is_shortened, "PROXY header",
     "those who are there have no longer than those who come; the held begin anew")
{
    struct host *host = host_behind("127.0.0.0/8");
    berth_subnet all;
    ck_assert(berth_subnet_parse("127.0.0.0/8", &all));
    ck_assert(berth_server_set_proxy_protocol(host->server, &all, 1, 3600000));
    struct peer *held = world_connect(host->port);
    for (int i = 0; i < 3; i++)
        world_connect(host->port);
    UNTIL(counts_of(host).awaiting_header == 4);
    berth_server_pause_accepting(host->server);
    peer_say(held, LINE);
    world_settle();
    ck_assert(berth_server_set_proxy_protocol(host->server, &all, 1, 30));
    UNTIL(counts_of(host).rejected_header == 3);
    ck_assert_uint_eq(counts_of(host).awaiting_header, 1);
    berth_server_resume_accepting(host->server);
    host_take_actor(host, "s");
    world_connect(host->port);
    UNTIL(counts_of(host).rejected_header == 4);
}

CASE(guests_have_the_last_descriptors, "PROXY header reliability 5",
     "accepting fails, and goes on by itself when they have been turned away")
{
    struct host *host = host_with_little_patience();
    for (int i = 0; i < 6; i++)
        world_connect(host->port);
    world_exhaust(2);
    UNTIL(all_rejected(host, 6, 2));
    world_relieve();
    ck_assert_uint_ge(host->accept_errors, 1);
    ck_assert_uint_ge(counts_of(host).exhaustions, 1);
    peer_say(world_connect(host->port), LINE);
    host_take_actor(host, "s");
}

CASE(rate_behind_a_balancer, "PROXY header D20", "connections count as they are accepted")
{
    if (!world_is_simulated())
        case_skip("only a simulated clock stands still");
    const berth_accept_limits limits = {.per_second = 1, .burst = 2};
    struct host *host = host_behind("127.0.0.0/8");
    berth_server_set_accept_limits(host->server, &limits);
    struct peer *peers[4];
    for (int i = 0; i < 4; i++)
        peers[i] = world_connect(host->port);
    for (int i = 0; i < 4; i++)
        berth_loop_turn(world_loop(), 0);
    ck_assert_uint_eq(counts_of(host).awaiting_header, 2);
    UNTIL(counts_of(host).awaiting_header == 4);
    ck_assert_uint_ge(counts_of(host).paced, 1);
    for (int i = 0; i < 4; i++) {
        peer_say(peers[i], LINE);
        host_take_actor(host, "s");
    }
}

CASE(pause_with_guests, "PROXY header S1.52",
     "a connection whose header comes in a pause waits for its end")
{
    struct host *host = host_behind("127.0.0.0/8");
    struct peer *peer = world_connect(host->port);
    world_settle();
    berth_server_pause_accepting(host->server);
    peer_say(peer, LINE "hello");
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
    berth_server_resume_accepting(host->server);
    ck_assert_uint_eq(host->new_connections, 0);
    struct actor *actor = host_take_actor(host, "s");
    UNTIL(actor_has(actor, "hello"));
}

CASE(close_with_guests, "PROXY header S1.28", "they end, as pending connections do")
{
    struct host *host = host_behind("127.0.0.0/8");
    struct peer *peer = world_connect(host->port);
    world_settle();
    berth_server_close(host->server);
    ck_assert_uint_eq(counts_of(host).dropped, 1);
    UNTIL(peer_saw_either(peer));
    host_listen(host);
    peer = world_connect(host->port);
    world_settle();
    berth_server_free(host->server);
    UNTIL(peer_saw_either(peer));
}

static void free_host(struct host *host)
{
    berth_server_free(host->server);
    host->server = NULL;
}

CASE(free_inside_new_connection_behind_a_balancer, "PROXY header", "with other guests still there")
{
    struct host *host = host_behind("127.0.0.0/8");
    host->on_new_connection = free_host;
    struct peer *first = world_connect(host->port);
    struct peer *second = world_connect(host->port);
    world_settle();
    peer_say(first, LINE);
    UNTIL(host->server == NULL);
    UNTIL(peer_saw_either(second));
}

CASE(several_listeners_behind_a_balancer, "PROXY header S1.47",
     "no more connections are held back than may be pending, whichever they come by")
{
    struct host *host = host_behind("127.0.0.0/8");
    uint16_t ports[2] = {host->port, 0};
    ck_assert_int_eq(
        berth__server_adopt_listener(host->server, world_listener_descriptor(&ports[1])), 0);
    berth_server_set_max_pending_connections(host->server, 1);
    struct peer *peers[2];
    for (int i = 0; i < 2; i++)
        peers[i] = world_connect(ports[i]);
    UNTIL(counts_of(host).awaiting_header == 1);
    world_settle();
    ck_assert_uint_eq(counts_of(host).awaiting_header, 1);
    for (int i = 0; i < 2; i++) {
        peer_say(peers[0], LINE);
        peer_say(peers[1], LINE);
        host_take(host);
    }
}

CASE(wait_behind_a_balancer, "PROXY header S4.1",
     "a wait reads headers too, and ends with the connection")
{
    struct host *host = host_behind("127.0.0.0/8");
    struct peer *peer = world_connect(host->port);
    bool timed_out = false;
    ck_assert(!berth_server_wait_for_new_connection(host->server, 10, &timed_out));
    ck_assert(timed_out);
    peer_send_some(peer, LINE, sizeof LINE - 1);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    berth_socket *socket = berth_server_next_pending_connection(host->server);
    ck_assert_ptr_nonnull(socket);
    ck_assert_uint_eq(berth_socket_peer_port(socket), 56324);
}

/* For every n a connection comes whose n-th allocation fails: it comes, or none of it does. */
static void lack_memory_behind_a_balancer(struct host *host)
{
    for (long n = 0; n < 12; n++) {
        unsigned before = host->new_connections;
        struct peer *peer = world_connect(host->port);
        peer_send_some(peer, BINARY, sizeof BINARY - 1);
        berth__fault_set_memory(n, 1);
        for (int turns = 0; turns < 20 && host->new_connections == before; turns++)
            world_turn();
        berth__fault_clear();
        counts_of(host);
        if (berth_server_has_pending_connections(host->server)) {
            berth_socket *socket = berth_server_next_pending_connection(host->server);
            ck_assert_uint_eq(berth_socket_peer_port(socket), 56324);
            berth_socket_free(socket);
        }
        peer_close(peer);
        world_settle();
    }
    struct peer *peer = world_connect(host->port);
    peer_say(peer, LINE);
    host_take_actor(host, "s");
}

CASE(no_memory_behind_a_balancer, "reliability 13",
     "the n-th allocation fails: the connection or none of it")
{
    lack_memory_behind_a_balancer(host_behind("127.0.0.0/8"));
}

CASE(no_memory_for_the_only_place_behind_a_balancer, "reliability 13",
     "a connection that comes to nothing leaves its place to the next")
{
    struct host *host = host_behind("127.0.0.0/8");
    berth_server_set_max_pending_connections(host->server, 1);
    lack_memory_behind_a_balancer(host);
}

CASE(no_memory_for_names_of_a_limited_address, "reliability 13 D20",
     "a connection that comes to nothing is uncounted once, and others of its address stay counted")
{
    const berth_accept_limits limits = {.per_address = 3};
    struct host *host = host_behind("127.0.0.0/8");
    berth_server_set_accept_limits(host->server, &limits);
    for (int i = 0; i < 2; i++) {
        peer_say(world_connect(host->port), LINE);
        host_take_actor(host, "t");
    }
    lack_memory_behind_a_balancer(host);
    peer_say(world_connect(host->port), LINE);
    UNTIL(counts_of(host).rejected_address == 1);
    ck_assert_uint_eq(counts_of(host).live, 3);
}

/* ---- writing --------------------------------------------------------------------------------- */

static berth_proxy_header header_of(int version)
{
    return (berth_proxy_header){.version = version,
                                .source = berth_address_ipv4(0xc0000201),
                                .source_port = 56324,
                                .destination = berth_address_ipv4(0xc6336407),
                                .destination_port = 443};
}

CASE(header_is_written_first, "PROXY header",
     "before `connected`, before all output, and not counted with it")
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    berth_proxy_header header = header_of(1);
    ck_assert(berth_socket_set_proxy_header(actor->socket, &header));
    for (unsigned round = 1; round <= 2; round++) {
        ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
        actor_say(actor, "hello");
        struct peer *peer = world_accept(port);
        ck_assert(peer_hears(peer, LINE "hello"));
        UNTIL(actor->connects == round && actor->written == 5 * round);
        berth_socket_abort(actor->socket);
    }
    ck_assert(berth_socket_set_proxy_header(actor->socket, NULL));
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    actor_say(actor, "plain");
    ck_assert(peer_hears(world_accept(port), "plain"));
    header.version = 3;
    ck_assert(!berth_socket_set_proxy_header(actor->socket, &header));
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_UNSUPPORTED_OPERATION);
}

CASE(header_from_end_to_end, "PROXY header", "written here, read there, in both versions")
{
    struct host *host = host_behind("127.0.0.0/8");
    for (int version = 1; version <= 2; version++) {
        struct actor *client = actor_new("c");
        berth_proxy_header header = header_of(version);
        ck_assert(berth_socket_set_proxy_header(client->socket, &header));
        ck_assert(
            berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port));
        struct actor *actor = host_take_actor(host, "s");
        ck_assert(is_text(berth_socket_peer_address(actor->socket), "192.0.2.1"));
        ck_assert_uint_eq(berth_socket_local_port(actor->socket), 443);
        UNTIL(client->connects == 1);
        actor_say(client, "hello");
        UNTIL(actor_has(actor, "hello"));
    }
}

CASE(end_while_the_header_goes, "PROXY header reliability 9",
     "an end behind the header alone waits for a peer that has no room for it, whatever that says")
{
    world_loop();
    if (!world_is_simulated())
        case_skip("needs a peer without room for a header");
    berth__sim_settings_of(world_sim())->buffer_size = 5;
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    berth_proxy_header header = header_of(1);
    ck_assert(berth_socket_set_proxy_header(actor->socket, &header));
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    berth_socket_disconnect_from_host(actor->socket);
    struct peer *peer = world_accept(port);
    char got[sizeof LINE] = "";
    size_t size = 0;
    while (size < sizeof LINE - 1 - 8) {
        ck_assert_uint_eq(peer_receive(peer, got + size, 1), 1);
        size++;
        world_turn();
    }
    UNTIL(actor->disconnects == 1);
    peer_say(peer, "x");
    world_settle();
    size += peer_receive(peer, got + size, sizeof LINE - 1 - size);
    ck_assert_mem_eq(got, LINE, size);
    ck_assert_uint_eq(size, sizeof LINE - 1);
}

CASE(abort_while_the_header_goes, "PROXY header S3.16", "at any turn, and the socket can be freed")
{
    world_loop();
    uint16_t port = world_listen(40);
    for (int turns = 0; turns < 6; turns++) {
        struct actor *actor = actor_new("c");
        berth_proxy_header header = header_of(2);
        ck_assert(berth_socket_set_proxy_header(actor->socket, &header));
        ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
        for (int turn = 0; turn < turns; turn++)
            berth_loop_turn(world_loop(), 0);
        if (turns % 2 == 0)
            berth_socket_abort(actor->socket);
        berth_socket_free(actor->socket);
    }
}

CASE(header_through_a_proxy, "PROXY header S6.21",
     "comes after the handshake, and reaches the target")
{
    world_loop();
    uint16_t port = world_listen(5);
    struct actor *actor = actor_new("c");
    berth_proxy own = {.type = BERTH_PROXY_SOCKS5, .host = "127.0.0.1", .port = port};
    berth_proxy_header header = header_of(1);
    ck_assert(berth_socket_set_proxy(actor->socket, &own));
    ck_assert(berth_socket_set_proxy_header(actor->socket, &header));
    ck_assert(berth_socket_connect_to_host(actor->socket, "h", 1));
    actor_say(actor, "hello");
    struct peer *proxy = world_accept(port);
    char bytes[11];
    ck_assert_uint_eq(peer_receive(proxy, bytes, 3), 3);
    peer_send(proxy, "\5\0", 2);
    ck_assert_uint_eq(peer_receive(proxy, bytes, 8), 8);
    peer_send(proxy, "\5\0\0\1\0\0\0\0\0\0", 10);
    ck_assert(peer_hears(proxy, LINE "hello"));
    ck_assert_uint_eq(actor->connects, 1);
}
