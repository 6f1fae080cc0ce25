/*
 * The world on the simulated kernel of the loop that was made last.
 */
#include "world_side.h"

#include "case.h"

#include <errno.h>
#include <limits.h>

#define MOST_LISTENERS 16

static uint16_t listeners[MOST_LISTENERS];
static unsigned listener_count;

static int sim_connect(struct peer *peer, berth_address address, uint16_t port)
{
    int error = 0;
    peer->end = berth__sim_connect(world_sim(), address, port, &error);
    return error;
}

static bool sim_is_established(struct peer *peer)
{
    return peer->end != NULL && berth__sim_is_established(peer->end);
}

static int sim_establish(struct peer *peer)
{
    return sim_is_established(peer) ? 0 : ETIMEDOUT;
}

static ptrdiff_t sim_send(struct peer *peer, const void *data, size_t size)
{
    return peer->end != NULL ? berth__sim_send(peer->end, data, size) : -EPIPE;
}

static ptrdiff_t sim_receive(struct peer *peer, void *data, size_t size)
{
    return peer->end != NULL ? berth__sim_receive(peer->end, data, size) : -ECONNRESET;
}

static void sim_shutdown(struct peer *peer)
{
    if (peer->end != NULL)
        berth__sim_shutdown(peer->end);
}

static void sim_close(struct peer *peer, bool reset)
{
    if (peer->end == NULL)
        return;
    if (reset)
        berth__sim_reset(peer->end);
    else
        berth__sim_close(peer->end);
}

static uint16_t sim_port(struct peer *peer)
{
    return berth__sim_port(peer->end);
}

static int sim_release(struct peer *peer)
{
    return berth__sim_stream_descriptor(peer->end);
}

static uint16_t sim_listen(int backlog)
{
    uint16_t port = 0;
    ck_assert_uint_lt(listener_count, MOST_LISTENERS);
    ck_assert_int_eq(berth__sim_listen(world_sim(), &port, backlog), 0);
    listeners[listener_count++] = port;
    return port;
}

static void sim_greet(uint16_t port, const void *data, size_t size)
{
    berth__sim_greet(world_sim(), port, data, size);
}

static bool sim_accept(struct peer *peer, uint16_t port)
{
    peer->end = berth__sim_accept(world_sim(), port);
    return peer->end != NULL;
}

static void sim_unlisten(uint16_t port)
{
    for (unsigned i = 0; i < listener_count; i++) {
        if (listeners[i] != port)
            continue;
        berth__sim_unlisten(world_sim(), port);
        listeners[i] = listeners[--listener_count];
        return;
    }
}

static void sim_unlisten_all(void)
{
    listener_count = 0; /* they go with the kernel */
}

static int sim_listener_descriptor(uint16_t *ret_port)
{
    return berth__sim_listener_descriptor(world_sim(), ret_port);
}

static void sim_shut_listener(int descriptor)
{
    berth__sim_shut_listener(world_sim(), descriptor);
}

static int sim_unconnected_descriptor(void)
{
    return berth__sim_unconnected_descriptor(world_sim());
}

static int sim_event_descriptor(void)
{
    return berth__sim_event_descriptor(world_sim());
}

static void sim_raise(int descriptor, unsigned events)
{
    berth__sim_raise(world_sim(), descriptor, events);
}

static bool sim_is_open(int descriptor)
{
    return berth__sim_is_open(world_sim(), descriptor);
}

static void sim_close_descriptor(int descriptor)
{
    berth__sim_close_descriptor(world_sim(), descriptor);
}

static void sim_exhaust(unsigned left)
{
    berth__sim_settings_of(world_sim())->descriptor_limit =
        berth__sim_open_descriptors(world_sim()) + left;
}

static void sim_relieve(void)
{
    if (berth__sim_last() != NULL)
        berth__sim_settings_of(berth__sim_last())->descriptor_limit = UINT_MAX;
}

const struct side simulated_side = {
    .connect = sim_connect,
    .establish = sim_establish,
    .is_established = sim_is_established,
    .send = sim_send,
    .receive = sim_receive,
    .shutdown = sim_shutdown,
    .close = sim_close,
    .port = sim_port,
    .release = sim_release,
    .listen = sim_listen,
    .greet = sim_greet,
    .accept = sim_accept,
    .unlisten = sim_unlisten,
    .unlisten_all = sim_unlisten_all,
    .listener_descriptor = sim_listener_descriptor,
    .shut_listener = sim_shut_listener,
    .unconnected_descriptor = sim_unconnected_descriptor,
    .event_descriptor = sim_event_descriptor,
    .raise = sim_raise,
    .is_open = sim_is_open,
    .close_descriptor = sim_close_descriptor,
    .exhaust = sim_exhaust,
    .relieve = sim_relieve,
};
