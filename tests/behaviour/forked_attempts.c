/*
 * What is under way while a process forks: attempts to connect, and lookups. A listener whose
 * backlog is full leaves attempts open until the case ends them.
 */
#include "children.h"
#include "name_server.h"
#include "scene.h"

#include <sys/socket.h>
#include <sys/wait.h>

/* An attempt that the kernel ends fails at once; its own patience lasts a minute. */
static void take_over_and_break_off(struct actor *actor, int descriptor)
{
    MUST(berth_loop_after_fork(world_loop()));
    berth_loop_turn(world_loop(), 0);
    MUST(berth_socket_state(actor->socket) == BERTH_STATE_CONNECTING);
    MUST(shutdown(descriptor, SHUT_RDWR) == 0);
    UNTIL(actor->errors == 1);
    MUST(berth_socket_state(actor->socket) == BERTH_STATE_UNCONNECTED);
    berth_loop_free(world_loop());
    _exit(0);
}

CASE(attempt_goes_on_in_a_grandchild, "reliability 23",
     "one that is under way is taken over by each generation")
{
    real_kernel_only();
    uint16_t port = world_listen(0);
    int first = dial(port);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_bind(actor->socket, BERTH_ADDRESS_LOOPBACK, 0));
    int descriptor = berth_socket_descriptor(actor->socket);
    ck_assert_int_ge(descriptor, 0);
    ck_assert(berth_socket_connect_to_address(actor->socket, BERTH_ADDRESS_LOOPBACK, port));
    pid_t child = begin_child();
    if (child == 0) {
        MUST(berth_loop_after_fork(world_loop()));
        pid_t grandchild = begin_child();
        if (grandchild == 0)
            take_over_and_break_off(actor, descriptor);
        int status = -1;
        MUST(waitpid(grandchild, &status, 0) == grandchild && status == 0);
        _exit(0);
    }
    end_child(child);
    close(first);
}

static const struct name_entry table[] = {{.name = "silent.test", .silent = true}, {.name = NULL}};

CASE(lookup_goes_on_in_a_child, "reliability 23", "the first too, beside which there is no other")
{
    real_kernel_only();
    name_server_start(table);
    struct actor *actor = actor_new("c");
    ck_assert(berth_socket_connect_to_host(actor->socket, "silent.test", 80));
    pid_t child = begin_child();
    if (child == 0) {
        MUST(berth_loop_after_fork(world_loop()));
        MUST(berth_socket_state(actor->socket) == BERTH_STATE_HOST_LOOKUP);
        berth_socket_abort(actor->socket);
        MUST(berth_socket_state(actor->socket) == BERTH_STATE_UNCONNECTED);
        berth_loop_free(world_loop());
        _exit(0);
    }
    end_child(child);
    name_server_stop();
}
