/*
 * The limit of descriptors is lowered below what is open: connections are served, and their ends
 * are noticed.
 */
#include "scene.h"

#include <sys/resource.h>

CASE(limit_of_descriptors_is_lowered, "reliability 1", "resets are noticed, of each connection")
{
    enum {
        COUNT = 12
    };
    if (world_is_simulated())
        case_skip("the limit is the real kernel's");
    struct host *host = host_listening("h");
    struct peer *peers[COUNT];
    struct actor *actors[COUNT];
    for (int i = 0; i < COUNT; i++) {
        actors[i] = host_connect(host, "s", &peers[i]);
        actors[i]->quiet = true;
    }
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit few = {.rlim_cur = 4, .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    /* Nothing is asserted under the limit: what says so opens a file. Bytes and a reset in one
     * piece are what io_uring can miss. */
    size_t sent = 0;
    for (int i = 0; i < COUNT; i++) {
        sent += peer_send_some(peers[i], "last words", 10);
        peer_reset(peers[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        for (int turns = 0; turns < WORLD_TURNS && actors[i]->disconnects == 0; turns++)
            world_turn();
    }
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_uint_eq(sent, COUNT * 10);
    for (int i = 0; i < COUNT; i++)
        ck_assert_uint_eq(actors[i]->disconnects, 1);
}
