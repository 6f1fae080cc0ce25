/*
 * Pools of workers that listen on what was passed to the process, and that hand it over.
 */
#include "children.h"
#include "handover_talk.h"
#include "scene.h"

#include "base/fault.h"

#include <berth/local.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Greets by the user pointer, and ends. */
static void greet(berth_worker *worker, berth_socket *socket, void *user)
{
    (void)worker;
    berth_socket_write(socket, user, strlen(user));
    berth_socket_disconnect_from_host(socket);
}

static const berth_workers_handlers greeters = {.connection = greet};

static berth_workers *pool_new(int count, const char *greeting)
{
    berth_workers *workers = world_pool(berth_workers_new(count, &greeters, (void *)greeting));
    if (workers != NULL && !berth_workers_start(workers))
        fprintf(stderr, "%s\n", berth_workers_error_string(workers));
    return workers;
}

static void assert_greeted(uint16_t port, const char *greeting)
{
    int client = dial(port);
    ck_assert(hears(client, greeting));
    close(client);
}

static void pass(size_t count, uint16_t *ports)
{
    berth__batch *batch = berth__batch_new(count);
    ck_assert_ptr_nonnull(batch);
    for (size_t i = 0; i < count; i++)
        berth__batch_set(batch, i, world_listener_descriptor(&ports[i]), "http", 4);
    berth__batch_add(batch);
}

CASE(pool_on_inherited_listeners, "0103", "all of a name, whatever the number of workers is")
{
    real_kernel_only();
    uint16_t ports[3];
    for (int count = 1; count <= 4; count += 3) {
        berth_workers *workers = world_pool(berth_workers_new(count, &greeters, "hello"));
        ck_assert_ptr_nonnull(workers);
        ck_assert(!berth_workers_listen_inherited(workers, "http"));
        ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_ADDRESS_NOT_AVAILABLE);
        pass(3, ports);
        ck_assert(!berth_workers_listen_inherited(workers, "http")); /* it is not started */
        ck_assert_int_eq(berth_workers_error(workers), BERTH_ERROR_OPERATION);
        ck_assert_str_eq(berth_workers_error_string(workers),
                         "the inherited \"http\": cannot listen on the passed descriptors: the "
                         "workers are not started");
        ck_assert_uint_eq(berth_inherited_left("http"), 3);
        ck_assert(berth_workers_start(workers));
        ck_assert(berth_workers_listen_inherited(workers, "http"));
        ck_assert_uint_eq(berth_inherited_left(""), 0);
        for (int i = 0; i < 3; i++)
            assert_greeted(ports[i], "hello");
        world_free_pool(workers);
        berth__inherited_forget();
    }
}

static void be_successor(uint16_t port)
{
    char text[256];
    berth_inheritance *inheritance =
        berth_handover_take(talk_place(), PATIENCE * 1000, text, sizeof text);
    MUST(inheritance != NULL);
    MUST(berth_inherited_left("http") == 2 && berth_inherited_left("admin") == 1);
    berth_workers *workers = pool_new(3, "new");
    MUST(workers != NULL && berth_workers_listen_inherited(workers, "http"));
    MUST(berth_workers_port(workers) == port);
    MUST(berth_handover_ready(inheritance));
    berth_inheritance_free(inheritance);
    berth_server_counts counts;
    for (int i = 0; i < 20000; i++) {
        berth_workers_statistics(workers, &counts);
        if (counts.accepted == 4)
            break;
        usleep(1000);
    }
    MUST(counts.accepted == 4);
    world_free_pool(workers);
}

static bool succeeded;

static void on_succeeded(berth_handover *handover, void *user)
{
    (void)handover;
    succeeded = true;
    ck_assert(berth_workers_drain(user, NULL, NULL, NULL, NULL));
}

CASE(pool_hands_over, "0104", "each worker's listener, and none of their connections is lost")
{
    real_kernel_only();
    static const berth_handover_handlers handlers = {.succeeded = on_succeeded};
    talk_place();
    /* Before there are threads. */
    int ends[2];
    begin_pipe(ends);
    pid_t child = begin_child();
    if (child == 0) {
        uint16_t port;
        MUST(read(ends[0], &port, sizeof port) == sizeof port);
        be_successor(port);
        _exit(0);
    }
    berth_workers *workers = pool_new(2, "old");
    ck_assert_ptr_nonnull(workers);
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    uint16_t port = berth_workers_port(workers);
    struct host *admin = host_listening("a");
    berth_handover *handover = berth_handover_offer(world_loop(), talk_place(), &handlers, workers);
    ck_assert_ptr_nonnull(handover);
    ck_assert(berth_handover_add_workers(handover, "http", workers));
    ck_assert(!berth_handover_add_workers(handover, "again", workers));
    ck_assert_int_eq(errno, EEXIST);
    ck_assert(!berth_handover_add_workers(handover, "none", NULL));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert(berth_handover_add(handover, "admin", admin->server));
    assert_greeted(port, "old");
    ck_assert_int_eq(write(ends[1], &port, sizeof port), sizeof port);
    UNTIL(succeeded);
    UNTIL(berth_workers_drain_state(workers) == BERTH_DRAIN_EMPTY);
    for (int i = 0; i < 4; i++)
        assert_greeted(port, "new");
    end_child(child);
    berth_server_counts counts;
    berth_workers_statistics(workers, &counts);
    scene_assert_balance(&counts);
    berth_handover_free(handover);
    world_free_pool(workers);
    close(ends[0]);
    close(ends[1]);
}

CASE(pool_is_drained_before_the_successor_is_ready, "0104", "the file of its Unix socket stays")
{
    real_kernel_only();
    const char *path = world_path("a");
    berth_workers *workers = pool_new(2, "old");
    ck_assert_ptr_nonnull(workers);
    ck_assert(berth_workers_listen_local(workers, path, NULL));
    berth_handover *handover = berth_handover_offer(world_loop(), talk_place(), NULL, NULL);
    ck_assert_ptr_nonnull(handover);
    ck_assert(berth_handover_add_workers(handover, "http", workers));
    int connection = talk_connect(talk_place());
    ck_assert(talk_say(connection, BERTH__MESSAGE_HELLO));
    ck_assert(talk_say(connection, BERTH__MESSAGE_NEXT));
    UNTIL(berth_handover_current_state(handover) == BERTH_HANDOVER_TAKEN);
    ck_assert(berth_workers_drain(workers, NULL, NULL, NULL, NULL));
    UNTIL(berth_workers_drain_state(workers) == BERTH_DRAIN_EMPTY);
    ck_assert_int_eq(access(path, F_OK), 0);
    berth_handover_free(handover);
    close(connection);
    world_free_pool(workers);
    ck_assert_int_eq(unlink(path), 0);
}

CASE(pool_whose_offer_is_withdrawn_without_memory, "0104",
     "it serves on, and the successor hears that it is not wanted")
{
    real_kernel_only();
    berth_workers *workers = pool_new(2, "old");
    ck_assert_ptr_nonnull(workers);
    ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
    berth_handover *handover = berth_handover_offer(world_loop(), talk_place(), NULL, NULL);
    ck_assert_ptr_nonnull(handover);
    ck_assert(berth_handover_add_workers(handover, "http", workers));
    int connection = talk_connect(talk_place());
    ck_assert(talk_say(connection, BERTH__MESSAGE_HELLO));
    ck_assert(talk_say(connection, BERTH__MESSAGE_NEXT));
    UNTIL(berth_handover_current_state(handover) == BERTH_HANDOVER_TAKEN);
    berth__fault_set_memory(0, 1000000);
    berth_handover_free(handover);
    berth__fault_clear();
    berth__message *message = malloc(sizeof *message);
    ck_assert(talk_hears(connection, BERTH__MESSAGE_CONTENTS, message));
    ck_assert(talk_hears(connection, BERTH__MESSAGE_LISTENERS, message));
    ck_assert(talk_hears(connection, BERTH__MESSAGE_REFUSED, message));
    free(message);
    close(connection);
    assert_greeted(berth_workers_port(workers), "old");
    world_free_pool(workers);
}

CASE(pool_is_freed_before_its_offer, "0104",
     "whoever comes then gets what is left; who has everything by then may become ready")
{
    real_kernel_only();
    for (int ready = 0; ready <= 1; ready++) {
        berth_workers *workers = pool_new(2, "old");
        ck_assert_ptr_nonnull(workers);
        ck_assert(berth_workers_listen(workers, BERTH_ADDRESS_LOOPBACK, 0));
        berth_handover *handover = berth_handover_offer(world_loop(), talk_place(), NULL, NULL);
        ck_assert_ptr_nonnull(handover);
        ck_assert(berth_handover_add_workers(handover, "http", workers));
        int connection = talk_connect(talk_place());
        if (ready) {
            ck_assert(talk_say(connection, BERTH__MESSAGE_HELLO));
            ck_assert(talk_say(connection, BERTH__MESSAGE_NEXT));
            UNTIL(berth_handover_current_state(handover) == BERTH_HANDOVER_TAKEN);
        } else {
            UNTIL(berth_handover_current_state(handover) == BERTH_HANDOVER_TAKING);
        }
        world_free_pool(workers);
        if (!ready) {
            berth__parcel parcel = {0};
            ck_assert_int_eq(berth__parcel_pack(&parcel, handover), 0);
            size_t count = parcel.listeners->count;
            berth__parcel_clear(&parcel);
            ck_assert_uint_eq(count, 0);
        }
        berth_handover_free(handover);
        close(connection);
    }
}

/* In place of the C library's: when it has been called so often, the pool begins to listen. */
static berth_workers *late;
static int calls_left;
static bool listens;

int fstat(int descriptor, /* NOLINT(readability-inconsistent-declaration-parameter-name) */
          struct stat *ret_facts)
{
    if (calls_left > 0 && --calls_left == 0)
        listens = berth_workers_listen(late, BERTH_ADDRESS_LOOPBACK, 0);
    return (int)syscall(SYS_fstat, descriptor, ret_facts);
}

CASE(pool_begins_to_listen_while_packed, "0104",
     "between counting and copying: what is behind it has no room, and the successor tries again")
{
    real_kernel_only();
    berth_handover *handover = berth_handover_offer(world_loop(), talk_place(), NULL, NULL);
    berth_workers *early = pool_new(1, "early");
    late = pool_new(1, "late");
    struct host *host = host_listening("h");
    ck_assert(early != NULL && late != NULL && handover != NULL);
    ck_assert(berth_workers_listen(early, BERTH_ADDRESS_LOOPBACK, 0));
    ck_assert(berth_handover_add_workers(handover, "early", early));
    ck_assert(berth_handover_add_workers(handover, "late", late));
    ck_assert(berth_handover_add(handover, "server", host->server));
    berth__parcel parcel = {0};
    calls_left = 2; /* the early one's listener is looked at once for each */
    int error = berth__parcel_pack(&parcel, handover);
    berth__parcel_clear(&parcel);
    ck_assert_int_eq(error, EAGAIN);
    ck_assert_int_eq(calls_left, 0);
    ck_assert(listens);
    ck_assert_int_eq(berth__parcel_pack(&parcel, handover), 0);
    size_t count = parcel.listeners->count;
    berth__parcel_clear(&parcel);
    ck_assert_uint_eq(count, 3);
    world_free_pool(late);
    world_free_pool(early);
}
