/*
 * The fortune server: a greeting for everybody who connects, and the end.
 */
#include "scene.h"

static const char fortune[] = "You will meet a tall dark stranger.\n";

static void greet_all(struct host *host)
{
    struct actor *actor = host->taken[host->count - 1];
    actor->on_disconnected = actor_free_socket;
    actor_say(actor, fortune);
    berth_socket_disconnect_from_host(actor->socket);
}

CASE(fortune_for_one, "T3 T48",
     "written and disconnected in new_connection: the peer hears it all, then the end")
{
    struct host *host = host_listening("h");
    host->takes = true;
    host->on_new_connection = greet_all;
    struct peer *peer = world_connect(host->port);
    ck_assert(peer_hears(peer, fortune));
    ck_assert(peer_saw_end(peer));
    UNTIL(host->taken[0]->disconnects == 1);
    ck_assert_uint_eq(host->taken[0]->errors, 0);
    ck_assert_uint_eq(host->taken[0]->written, sizeof fortune - 1);
}

CASE(fortune_for_many, "S2.3", "thirty at once, each gets its own")
{
    struct host *host = host_listening("h");
    host->takes = true;
    host->on_new_connection = greet_all;
    struct peer *peers[30];
    for (unsigned i = 0; i < 30; i++)
        peers[i] = world_connect(host->port);
    for (unsigned i = 0; i < 30; i++) {
        ck_assert(peer_hears(peers[i], fortune));
        ck_assert(peer_saw_end(peers[i]));
    }
    ck_assert_uint_eq(host->new_connections, 30);
}

CASE(fortune_without_a_loop, "S4.9 S4.16", "the same with blocking calls only")
{
    struct host *host = host_listening("h");
    struct peer *peers[3];
    for (unsigned i = 0; i < 3; i++) {
        peers[i] = world_connect(host->port);
        ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
        struct actor *actor = actor_on("s", berth_server_next_pending_connection(host->server));
        actor_say(actor, fortune);
        ck_assert(berth_socket_wait_for_bytes_written(actor->socket, 5000));
        berth_socket_disconnect_from_host(actor->socket);
        if (berth_socket_state(actor->socket) != BERTH_STATE_UNCONNECTED)
            ck_assert(berth_socket_wait_for_disconnected(actor->socket, 5000));
        actor_free_socket(actor);
    }
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(peer_hears(peers[i], fortune));
        ck_assert(peer_saw_end(peers[i]));
    }
}

CASE(greetings_both_ways, "T3", "nineteen bytes one way, twenty the other")
{
    struct host *host = host_listening("h");
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    actor_say(actor, "Greetings, client!\n");
    ck_assert(peer_hears(peer, "Greetings, client!\n"));
    peer_say(peer, "Well, hello to you!\n");
    UNTIL(actor_has(actor, "Well, hello to you!\n"));
}

CASE(two_sockets_of_one_loop, "S3.8", "a server and its client in one loop talk to each other")
{
    struct host *host = host_listening("h");
    host->takes = true;
    struct actor *client = actor_new("c");
    ck_assert(berth_socket_connect_to_address(client->socket, BERTH_ADDRESS_LOOPBACK, host->port));
    UNTIL(client->connects == 1 && host->count == 1);
    actor_say(client, "ping");
    UNTIL(actor_has(host->taken[0], "ping"));
    actor_say(host->taken[0], "pong");
    UNTIL(actor_has(client, "pong"));
    berth_socket_disconnect_from_host(client->socket);
    UNTIL(host->taken[0]->disconnects == 1);
    ck_assert_int_eq(host->taken[0]->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
}
