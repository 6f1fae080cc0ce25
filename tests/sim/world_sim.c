/*
 * The world on the simulated kernel: each operation is one of backend/sim.h.
 */
#include "world.h"

#include "model.h"

#include "backend/sim.h"

#include <limits.h>
#include <unistd.h>

/* Each look of the simulated kernel takes a part of its delay. */
#define LOOKS 8u

static berth__backend *backend;
static unsigned open_events; /* of the test, to be watched */

static berth__sim_end *inner(struct end *end)
{
    return (berth__sim_end *)end;
}

static struct end *opaque(berth__sim_end *end)
{
    return (struct end *)end;
}

static berth_loop *begin(const struct terms *terms)
{
    berth_loop *loop = berth_loop_new(&(berth_loop_options){.backend = "sim"});
    if (loop == NULL)
        return NULL;
    backend = berth__sim_last();
    open_events = 0;
    berth__sim_settings *settings = berth__sim_settings_of(backend);
    settings->patience = 0;
    settings->max_transfer = terms->max_transfer;
    settings->buffer_size = terms->buffer_size;
    settings->max_delay = terms->max_delay;
    settings->call_cost = terms->call_cost;
    settings->handler_cost = terms->handler_cost;
    settings->accept_noise = terms->accept_noise;
    berth__sim_set_seed(backend, terms->seed);
    return loop;
}

static void end_world(void)
{
    backend = NULL;
}

static void be_kind(void)
{
    berth__sim_settings *settings = berth__sim_settings_of(backend);
    settings->descriptor_limit = UINT_MAX;
    settings->max_transfer = 0;
    berth__sim_fail_accept(backend, 0, 0);
    berth__sim_fail_send(backend, 0, 0);
}

static uint16_t free_port(void)
{
    return 0;
}

static bool listen_at(uint16_t *ret_port, int backlog)
{
    *ret_port = 0;
    return berth__sim_listen(backend, ret_port, backlog) == 0;
}

static void unlisten(uint16_t port)
{
    berth__sim_unlisten(backend, port);
}

static struct end *accept_at(uint16_t port)
{
    return opaque(berth__sim_accept(backend, port));
}

static struct end *connect_to(uint16_t port)
{
    int error;
    return opaque(berth__sim_connect(backend, BERTH_ADDRESS_LOOPBACK, port, &error));
}

static bool is_established(struct end *end)
{
    return berth__sim_is_established(inner(end));
}

static bool is_queued(const struct end *end)
{
    return berth__sim_is_queued((const berth__sim_end *)end);
}

static bool is_reset(struct end *end)
{
    return berth__sim_is_reset(inner(end));
}

static const struct end *end_of(int descriptor)
{
    return descriptor >= 0 ? opaque(berth__sim_end_of(backend, descriptor)) : NULL;
}

static size_t under_way(const struct end *end)
{
    return berth__sim_under_way((const berth__sim_end *)end);
}

static bool is_behind(const struct end *end)
{
    return berth__sim_is_behind((const berth__sim_end *)end);
}

static bool is_abandoned(const struct end *end)
{
    return berth__sim_is_abandoned((const berth__sim_end *)end);
}

static ptrdiff_t send_bytes(struct end *end, const void *data, size_t size)
{
    return berth__sim_send(inner(end), data, size);
}

static ptrdiff_t receive_bytes(struct end *end, void *data, size_t size)
{
    return berth__sim_receive(inner(end), data, size);
}

static void shut(struct end *end)
{
    berth__sim_shutdown(inner(end));
}

static void close_end(struct end *end)
{
    berth__sim_close(inner(end));
}

static void reset_end(struct end *end)
{
    berth__sim_reset(inner(end));
}

static uint16_t port_of(const struct end *end)
{
    const berth__sim_end *own = (const berth__sim_end *)end;
    uint16_t pair = berth__sim_pair(own);
    return pair != 0 ? pair : berth__sim_port(own);
}

static uint16_t peer_port_of(const struct end *end)
{
    const berth__sim_end *own = (const berth__sim_end *)end;
    uint16_t pair = berth__sim_pair(own);
    return pair != 0 ? pair : berth__sim_peer_port(own);
}

static void listening(int descriptor)
{
    (void)descriptor;
}

static uint16_t connecting_port(int descriptor)
{
    const berth__sim_end *end = berth__sim_end_of(backend, descriptor);
    sim_check(end != NULL, "descriptor %d is no connection", descriptor);
    uint16_t pair = berth__sim_pair(end);
    return pair != 0 ? pair : berth__sim_peer_port(end);
}

static void close_descriptor(int descriptor)
{
    berth__sim_close_descriptor(backend, descriptor);
}

static int listener_descriptor(uint16_t *ret_port)
{
    return berth__sim_listener_descriptor(backend, ret_port);
}

static int stream_descriptor(struct end *end)
{
    return berth__sim_stream_descriptor(inner(end));
}

/* ---- Unix sockets ---------------------------------------------------------------------------- */

#define OTHER_USER 64999u

static const char *path_of(enum place place)
{
    static const char *const paths[PLACES] = {
        [PLACE_OF_TEST] = "/sim/test",   [FIRST_PATH] = "/sim/first",
        [SECOND_PATH] = "/sim/second",   [ABSTRACT_NAME] = "@sim",
        [PLACE_OF_NOBODY] = "/sim/none",
    };
    return paths[place];
}

static bool begin_local(void)
{
    return berth__sim_open_local(backend, path_of(PLACE_OF_TEST), 3) == 0;
}

static void end_local(void)
{
    berth__sim_unlisten_local(backend, path_of(PLACE_OF_TEST));
}

static struct end *connect_local(enum place place, bool as_other)
{
    int error;
    uint32_t user = as_other ? OTHER_USER : (uint32_t)getuid();
    return opaque(berth__sim_connect_local(backend, path_of(place), user, &error));
}

static struct end *accept_local(void)
{
    return opaque(berth__sim_accept_local(backend, path_of(PLACE_OF_TEST)));
}

static int local_listener(enum place place)
{
    return berth__sim_local_listener_descriptor(backend, path_of(place));
}

static enum file_kind file_at(enum place place)
{
    berth__sim_file file = berth__sim_file_at(backend, path_of(place), NULL);
    return file == BERTH__SIM_NOTHING  ? NO_FILE
           : file == BERTH__SIM_SOCKET ? SOCKET_FILE
                                       : OTHER_FILE;
}

static void put_file(enum place place, enum file_kind kind)
{
    berth__sim_put_file(backend, path_of(place),
                        kind == NO_FILE       ? BERTH__SIM_NOTHING
                        : kind == SOCKET_FILE ? BERTH__SIM_SOCKET
                                              : BERTH__SIM_PLAIN);
}

_Static_assert(LITTLE == BERTH__SIM_LITTLE, "what is little is the kernel's to say");

static unsigned whole_sends(int descriptor)
{
    const berth__sim_end *end = berth__sim_end_of(backend, descriptor);
    return end != NULL ? berth__sim_whole_sends(end) : 0;
}

static unsigned open_descriptors(void)
{
    return berth__sim_open_descriptors(backend) - open_events;
}

static void leave_descriptors(unsigned left)
{
    berth__sim_settings_of(backend)->descriptor_limit =
        left == UINT_MAX ? UINT_MAX : berth__sim_open_descriptors(backend) + left;
}

static void fail_accept(int error, unsigned times)
{
    berth__sim_fail_accept(backend, error, times);
}

static void fail_send(int error, unsigned times)
{
    berth__sim_fail_send(backend, error, times);
}

static void advance(uint64_t milliseconds)
{
    berth__sim_advance(backend, milliseconds * 1000000u);
}

static uint64_t (*passes)(uint64_t now);

static uint64_t pass(void *user, uint64_t now)
{
    (void)user;
    return passes(now);
}

static void on_passing(uint64_t (*wanted)(uint64_t now))
{
    passes = wanted;
    berth__sim_on_passing(backend, wanted != NULL ? pass : NULL, NULL);
}

static void work(void)
{
    berth__sim_work(backend);
}

static uint64_t slept(void)
{
    return berth__sim_slept(backend);
}

static uint64_t events(void)
{
    return berth__sim_events(backend);
}

static uint64_t accepts_failed(void)
{
    return berth__sim_accepts_failed(backend);
}

static int event_descriptor(void)
{
    open_events++;
    return berth__sim_event_descriptor(backend);
}

static void close_event(int descriptor)
{
    open_events--;
    berth__sim_close_descriptor(backend, descriptor);
}

static void raise_event(int descriptor, bool raised)
{
    berth__sim_raise(backend, descriptor, raised ? BERTH__WATCH_READ : 0u);
}

static uint64_t allowance(void)
{
    return berth__sim_settings_of(backend)->max_delay / 4 * LOOKS / 1000000 + 1;
}

static int long_wait(void)
{
    return 100000;
}

static unsigned barren_waits(void)
{
    return berth__sim_barren_waits(backend);
}

const struct world simulated_world = {
    .is_simulated = true,
    .begin = begin,
    .end = end_world,
    .be_kind = be_kind,
    .free_port = free_port,
    .listen = listen_at,
    .unlisten = unlisten,
    .accept = accept_at,
    .connect = connect_to,
    .is_established = is_established,
    .is_queued = is_queued,
    .is_reset = is_reset,
    .end_of = end_of,
    .under_way = under_way,
    .is_behind = is_behind,
    .is_abandoned = is_abandoned,
    .send = send_bytes,
    .receive = receive_bytes,
    .shutdown = shut,
    .close = close_end,
    .reset = reset_end,
    .port = port_of,
    .peer_port = peer_port_of,
    .listening = listening,
    .connecting_port = connecting_port,
    .close_descriptor = close_descriptor,
    .listener_descriptor = listener_descriptor,
    .stream_descriptor = stream_descriptor,
    .begin_local = begin_local,
    .end_local = end_local,
    .path = path_of,
    .connect_local = connect_local,
    .accept_local = accept_local,
    .connected = connecting_port,
    .local_listener = local_listener,
    .file_at = file_at,
    .put_file = put_file,
    .other_user = OTHER_USER,
    .event_descriptor = event_descriptor,
    .raise_event = raise_event,
    .close_event = close_event,
    .whole_sends = whole_sends,
    .open_descriptors = open_descriptors,
    .leave_descriptors = leave_descriptors,
    .fail_accept = fail_accept,
    .fail_send = fail_send,
    .advance = advance,
    .on_passing = on_passing,
    .work = work,
    .slept = slept,
    .events = events,
    .accepts_failed = accepts_failed,
    .allowance = allowance,
    .long_wait = long_wait,
    .barren_waits = barren_waits,
};
