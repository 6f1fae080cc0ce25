/*
 * What is under way while a process forks: attempts to connect, a lookup, a watch whose handler
 * runs. A listener whose backlog is full leaves attempts open until the case ends them.
 */
#include "children.h"
#include "name_server.h"
#include "scene.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
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

static pid_t forked = -1;

static void fork_inside(berth_watch *watch, unsigned events, void *user)
{
    char byte;
    (void)events;
    (void)user;
    ck_assert_int_eq(read(berth_watch_descriptor(watch), &byte, 1), 1);
    forked = begin_child();
    if (forked == 0)
        MUST(berth_loop_after_fork(world_loop()));
}

CASE(watch_is_taken_over_inside_its_handler, "watch.h",
     "it goes on when that returns, and once: freed, nothing of it is left")
{
    real_kernel_only();
    int ends[2];
    begin_pipe(ends);
    berth_watch *watch = berth_watch_new(world_loop(), ends[0], fork_inside, NULL);
    ck_assert_ptr_nonnull(watch);
    ck_assert(berth_watch_start(watch, BERTH_WATCH_READ));
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    UNTIL(forked >= 0);
    if (forked == 0) {
        world_settle();
        MUST(berth_watch_is_active(watch));
        berth_watch_free(watch);
        world_settle();
        MUST(write(ends[1], "y", 1) == 1);
        world_settle();
        berth_loop_free(world_loop());
        _exit(0);
    }
    berth_watch_free(watch);
    end_child(forked);
    close(ends[0]);
    close(ends[1]);
}

/* ---- the proxy of the process --------------------------------------------------------------- */

static atomic_bool sets;

static void *set_again_and_again(void *unused)
{
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5, .host = "proxy.example", .port = 1080};
    (void)unused;
    while (atomic_load(&sets))
        (void)berth_proxy_set_application(&proxy);
    (void)berth_proxy_set_application(NULL);
    return NULL;
}

static void ask_for_the_proxy(void)
{
    berth_proxy_texts texts;
    berth_proxy proxy = berth_proxy_application(&texts);
    MUST(proxy.type == BERTH_PROXY_NONE || strcmp(proxy.host, "proxy.example") == 0);
}

CASE(fork_while_a_thread_sets_the_proxy, "reliability 23",
     "the child does not wait for that thread, which it does not have")
{
    real_kernel_only();
    pthread_t thread;
    atomic_store(&sets, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, set_again_and_again, NULL), 0);
    for (int i = 0; i < 40; i++)
        have_child(ask_for_the_proxy);
    atomic_store(&sets, false);
    pthread_join(thread, NULL);
}
