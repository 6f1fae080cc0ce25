/*
 * Clients that leave while their hello waits to be answered: behind others, unread, in a pause. The
 * engine is a toy (support/toy_engine.h).
 */
#include "encrypted.h"

enum {
    MANY = 40 /* of whom most wait unread, where all of them speak in one turn */
};

static unsigned asked_for;

static berth_tls *count_and_choose(struct host *host, const berth_tls_hello *hello)
{
    asked_for++;
    return berth_server_base_client_hello(host->server, hello);
}

CASE(left_before_its_turn, "tls.h", "is not answered: nobody chooses for it, and it takes no place")
{
    asked_for = 0;
    struct host *host = host_choosing("h", count_and_choose);
    (void)encrypt(host);
    berth_server_set_max_handshakes(host->server, 1);
    struct peer *peers[4];
    for (unsigned i = 0; i < 4; i++) {
        peers[i] = world_connect(host->port);
        say_hello(peers[i], "name");
        UNTIL(counts_of(host).handshaking == 1 && counts_of(host).greeting == i);
    }
    world_settle();
    peer_close(peers[1]);
    peer_reset(peers[2]);
    world_settle();
    ck_assert_uint_eq(asked_for, 1);
    shake(peers[0]);
    UNTIL(host->failures == 2);
    shake(peers[3]);
    UNTIL(host->arrivals == 2);
    ck_assert_uint_eq(asked_for, 2);
    ck_assert_uint_eq(counts_of(host).failed_handshake, 2);
}

static unsigned asked_first;

static berth_tls *choose_and_pause(struct host *host, const berth_tls_hello *hello)
{
    if (asked_for == 0) {
        asked_first =
            8u * (unsigned)(hello->server_name[0] - 'a') + (unsigned)(hello->server_name[1] - 'a');
        berth_server_pause_accepting(host->server);
    }
    return count_and_choose(host, hello);
}

CASE(left_unread_before_its_turn, "tls.h", "in a pause: is not answered either")
{
    asked_for = 0;
    struct host *host = host_choosing("h", choose_and_pause);
    (void)encrypt(host);
    berth_server_set_handshake_timeout(host->server, 600000);
    struct peer *peers[MANY];
    for (unsigned i = 0; i < MANY; i++)
        peers[i] = world_connect(host->port);
    UNTIL(counts_of(host).greeting == MANY);
    for (unsigned i = 0; i < MANY; i++)
        say_hello(peers[i], (char[]){(char)('a' + i / 8), (char)('a' + i % 8), '\0'});
    UNTIL(counts_of(host).handshaking == 1);
    world_settle();
    for (unsigned i = 0; i < MANY; i++) {
        if (i != asked_first)
            peer_close(peers[i]);
    }
    world_settle();
    ck_assert_uint_eq(counts_of(host).greeting, MANY - 1);
    berth_server_resume_accepting(host->server);
    UNTIL(host->failures == MANY - 1);
    ck_assert_uint_eq(asked_for, 1);
    shake(peers[asked_first]);
    UNTIL(host->arrivals == 1);
}

CASE(left_in_a_pause, "tls.h", "in which the hello came: is not answered either")
{
    asked_for = 0;
    struct host *host = host_choosing("h", count_and_choose);
    (void)encrypt(host);
    struct peer *peers[4];
    for (unsigned i = 0; i < 4; i++)
        peers[i] = world_connect(host->port);
    UNTIL(counts_of(host).greeting == 4);
    berth_server_pause_accepting(host->server);
    for (unsigned i = 0; i < 4; i++)
        say_hello(peers[i], "name");
    world_settle();
    for (unsigned i = 1; i < 4; i++)
        peer_close(peers[i]);
    world_settle();
    berth_server_resume_accepting(host->server);
    UNTIL(host->failures == 3);
    shake(peers[0]);
    UNTIL(host->arrivals == 1);
    ck_assert_uint_eq(asked_for, 1);
}
