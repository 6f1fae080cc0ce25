/*
 * The n-th allocation fails, and the n-th system call, for every n: a clean error or a retry, and
 * no leak.
 *
 * One short life of a server, a client and two connections, over and over. Whether it succeeds is
 * not asked; that it ends, that nothing is left, and that the server works again afterwards is.
 */
#include "scene.h"

#include "balance.h"
#include "base/fault.h"

#include <errno.h>

#define ROUNDS 600

static unsigned lives;

/* Bounded work, whatever fails: all return values but those that lead on are ignored on purpose. */
static void short_life(void)
{
    berth_loop *loop = berth_loop_new(NULL);
    if (loop == NULL)
        return;
    berth_server *server = berth_server_new(loop, NULL, NULL);
    berth_socket *client = berth_socket_new(loop, NULL, NULL);
    berth_timer *timer = berth_timer_new(loop, NULL, NULL);
    if (timer != NULL)
        berth_timer_start(timer, 1, 0);
    if (server != NULL && client != NULL &&
        berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0)) {
        berth_socket_connect_to_address(client, BERTH_ADDRESS_LOOPBACK, berth_server_port(server));
        berth_socket *far = NULL;
        for (int turns = 0; turns < 30; turns++) {
            berth_loop_turn(loop, 1);
            if (far == NULL && (far = berth_server_next_pending_connection(server)) != NULL)
                berth_socket_write(far, "welcome", 7);
            if (turns == 5)
                berth_socket_write(client, "hello", 5);
            if (far != NULL && berth_socket_bytes_available(far) > 0 &&
                berth_socket_bytes_available(client) > 0)
                break;
        }
        if (far != NULL && berth_socket_bytes_available(far) == 5)
            lives++;
        berth_socket_disconnect_from_host(client);
        berth_loop_turn(loop, 1);
    }
    berth_loop_free(loop);
}

static void check_nothing_left(unsigned descriptors, long n)
{
    ck_assert_msg(balance_blocks() == 0, "failure %ld leaves %ld blocks", n, balance_blocks());
    ck_assert_msg(balance_descriptors() == descriptors, "failure %ld leaves a descriptor", n);
}

CASE(every_allocation_fails_once, "reliability 13", "the n-th allocation fails, for every n")
{
    unsigned descriptors = balance_descriptors();
    short_life();
    ck_assert_uint_eq(lives, 1);
    long n = 0;
    for (bool reached = true; reached && n < ROUNDS; n++) {
        berth__fault_set_memory(n, 1);
        short_life();
        reached = berth__fault_memory_failed() > 0;
        berth__fault_clear();
        check_nothing_left(descriptors, n);
    }
    ck_assert_int_gt(n, 5);
    ck_assert_int_lt(n, ROUNDS);
    unsigned before = lives;
    short_life();
    ck_assert_uint_eq(lives, before + 1);
}

CASE(all_allocations_fail_from_the_nth, "reliability 13", "memory is gone for good at some point")
{
    unsigned descriptors = balance_descriptors();
    for (long n = 0; n < 60; n++) {
        berth__fault_set_memory(n, 1000000);
        short_life();
        berth__fault_clear();
        check_nothing_left(descriptors, n);
    }
    short_life();
    ck_assert_uint_ge(lives, 1);
}

static void every_call_fails(int error)
{
    if (world_is_simulated())
        case_skip("the simulated kernel makes no system calls");
    unsigned descriptors = balance_descriptors();
    long n = 0;
    for (bool reached = true; reached && n < ROUNDS; n++) {
        berth__fault_set_system(n, 1, error, NULL);
        short_life();
        reached = berth__fault_system_failed() > 0;
        berth__fault_clear();
        check_nothing_left(descriptors, n);
    }
    ck_assert_int_gt(n, 5);
    unsigned before = lives;
    short_life();
    ck_assert_uint_eq(lives, before + 1);
}

CASE(every_system_call_is_interrupted, "reliability 14",
     "EINTR from the n-th system call, for every n")
{
    every_call_fails(EINTR);
}

CASE(every_system_call_lacks_memory, "reliability 14",
     "ENOMEM from the n-th system call, for every n")
{
    every_call_fails(ENOMEM);
}

CASE(every_system_call_lacks_descriptors, "reliability 14",
     "EMFILE from the n-th system call, for every n")
{
    every_call_fails(EMFILE);
}
