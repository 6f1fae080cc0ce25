/*
 * Descriptors, ports and connections of the simulated kernel, and the test's hand in them (sim.h).
 *
 * Everything here acts at once; how bytes and ends get to the other side is the matter of
 * sim_transport.c, and when it is reported to the library that of sim.c. The rules are those of
 * Linux as far as the library can see: the lowest free descriptor, conflicts of ports by family and
 * wildcard, backlog + 1 established connections a listener.
 *
 * The memory comes from the C library, not from the library's allocator: a real kernel does not
 * fail because the process's n-th allocation does. Where even the machine has none left the program
 * aborts; this file is in test builds only, and the library that is shipped never does.
 */
#include "sim_kernel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_EPHEMERAL 32768u

void *berth__kernel_must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

/* ---- chance ---------------------------------------------------------------------------------- */

uint64_t berth__kernel_chance(berth__kernel *kernel, uint64_t below)
{
    kernel->random += 0x9e3779b97f4a7c15u;
    uint64_t mixed = kernel->random;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    mixed ^= mixed >> 31;
    return below == 0 ? 0 : mixed % below;
}

uint64_t berth__kernel_delay(berth__kernel *kernel)
{
    return kernel->settings.max_delay == 0
               ? 0
               : berth__kernel_chance(kernel, kernel->settings.max_delay + 1);
}

/* How much of `size` bytes moves at once. */
size_t berth__kernel_portion(berth__kernel *kernel, size_t size)
{
    size_t most = kernel->settings.max_transfer;
    if (most == 0 || size == 0)
        return size;
    size_t some = 1 + (size_t)berth__kernel_chance(kernel, most);
    return some < size ? some : size;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

berth__kernel_entry *berth__kernel_entry_of(berth__kernel *kernel, int descriptor)
{
    if (descriptor < BERTH__SIM_FIRST_DESCRIPTOR)
        return NULL;
    size_t index = (size_t)(descriptor - BERTH__SIM_FIRST_DESCRIPTOR);
    if (index >= kernel->entry_count || kernel->entries[index].kind == ENTRY_FREE)
        return NULL;
    return &kernel->entries[index];
}

bool berth__kernel_at_limit(const berth__kernel *kernel)
{
    return kernel->open >= kernel->settings.descriptor_limit;
}

/* The lowest free number, as a kernel does it: a stale number in the library then hits somebody
 * else's descriptor. */
int berth__kernel_open_entry(berth__kernel *kernel, berth__kernel_entry_kind kind)
{
    size_t index = 0;
    while (index < kernel->entry_count && kernel->entries[index].kind != ENTRY_FREE)
        index++;
    if (index == kernel->entry_count) {
        size_t count = kernel->entry_count == 0 ? 16 : 2 * kernel->entry_count;
        kernel->entries =
            berth__kernel_must(realloc(kernel->entries, count * sizeof *kernel->entries));
        memset(kernel->entries + kernel->entry_count, 0,
               (count - kernel->entry_count) * sizeof *kernel->entries);
        kernel->entry_count = count;
    }
    memset(&kernel->entries[index], 0, sizeof kernel->entries[index]);
    kernel->entries[index].kind = kind;
    kernel->open++;
    return BERTH__SIM_FIRST_DESCRIPTOR + (int)index;
}

void berth__kernel_close_entry(berth__kernel *kernel, int descriptor)
{
    berth__kernel_entry *entry = berth__kernel_entry_of(kernel, descriptor);
    assert(entry != NULL);
    entry->kind = ENTRY_FREE;
    kernel->open--;
}

void berth__kernel_tell_closed(berth__kernel *kernel)
{
    if (kernel->backend.descriptor_closed != NULL)
        kernel->backend.descriptor_closed(kernel->backend.core);
}

/* Why a number is no descriptor of this kernel. */
int berth__kernel_not_ours(int descriptor)
{
    if (descriptor < 0 || descriptor >= BERTH__SIM_FIRST_DESCRIPTOR ||
        fcntl(descriptor, F_GETFD) < 0)
        return EBADF;
    return ENOTSOCK;
}

/* ---- connections ----------------------------------------------------------------------------- */

static void unqueue(berth__sim_end *end)
{
    for (berth__sim_end **link = &end->queued->queue; *link != NULL; link = &(*link)->next_queued) {
        if (*link != end)
            continue;
        *link = end->next_queued;
        break;
    }
    end->queued->queued--;
    end->queued = NULL;
}

bool berth__kernel_has_room(const berth__kernel_port *port)
{
    return port->queued <= port->backlog;
}

void berth__kernel_enqueue(berth__kernel_port *port, berth__sim_end *end)
{
    berth__sim_end **link = &port->queue;
    while (*link != NULL)
        link = &(*link)->next_queued;
    *link = end;
    end->next_queued = NULL;
    end->queued = port;
    port->queued++;
}

/* ---- ports ----------------------------------------------------------------------------------- */

bool berth__kernel_is_wildcard(const berth_address *address)
{
    static const uint8_t zero[16];
    return address->family == BERTH_ADDRESS_FAMILY_ANY || memcmp(address->bytes, zero, 16) == 0;
}

bool berth__kernel_is_ours(const berth_address *address)
{
    if (berth__kernel_is_wildcard(address))
        return true;
    if (address->family == BERTH_ADDRESS_FAMILY_IPV4)
        return address->bytes[0] == 127 || berth_address_equal(*address, BERTH_ADDRESS_BROADCAST);
    return berth_address_equal(*address, BERTH_ADDRESS_LOOPBACK_IPV6);
}

static bool share_family(const berth_address *a, const berth_address *b)
{
    return a->family == b->family || a->family == BERTH_ADDRESS_FAMILY_ANY ||
           b->family == BERTH_ADDRESS_FAMILY_ANY;
}

/* Whether a port is at this place. */
static bool is_at(const berth__kernel_port *port, const berth_address *address, uint16_t number)
{
    return port->number == number && share_family(&port->address, address) &&
           (berth__kernel_is_wildcard(&port->address) ||
            memcmp(port->address.bytes, address->bytes, 16) == 0);
}

/* Whether a port is in the way of another at this place. */
static bool is_taken(const berth__kernel *kernel, const berth_address *address, uint16_t number,
                     bool shared)
{
    for (const berth__kernel_port *port = kernel->ports; port != NULL; port = port->next) {
        if (shared && port->shared)
            continue;
        if (is_at(port, address, number) ||
            (port->number == number && berth__kernel_is_wildcard(address) &&
             share_family(&port->address, address)))
            return true;
    }
    return false;
}

/* One of those that share it, by chance. */
berth__kernel_port *berth__kernel_find_port(berth__kernel *kernel, const berth_address *address,
                                            uint16_t number)
{
    berth__kernel_port *found = NULL;
    uint64_t sharing = 0;
    for (berth__kernel_port *port = kernel->ports; port != NULL; port = port->next) {
        if (!is_at(port, address, number) || port->shut)
            continue;
        sharing++;
        if (sharing == 1 || berth__kernel_chance(kernel, sharing) == 0)
            found = port;
    }
    return found;
}

int berth__kernel_bind_error(berth__kernel *kernel, const berth_address *address, uint16_t number,
                             bool shared)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool six = address->family == BERTH_ADDRESS_FAMILY_IPV6;
    if (address->family == BERTH_ADDRESS_FAMILY_NULL)
        return EINVAL;
    if (six && (memcmp(address->bytes, mapped, sizeof mapped) == 0 || address->bytes[0] == 0xfe))
        return EINVAL;
    if (!berth__kernel_is_ours(address))
        return EADDRNOTAVAIL;
    if (number != 0 && number < 1024)
        return EACCES;
    if (number != 0 && is_taken(kernel, address, number, shared))
        return EADDRINUSE;
    return 0;
}

uint16_t berth__kernel_free_port(berth__kernel *kernel, const berth_address *address)
{
    for (unsigned tries = 0; tries < 65536 - FIRST_EPHEMERAL; tries++) {
        uint16_t number =
            (uint16_t)(FIRST_EPHEMERAL + kernel->next_port++ % (65536 - FIRST_EPHEMERAL));
        if (!is_taken(kernel, address, number, false))
            return number;
    }
    return 0;
}

berth__kernel_port *berth__kernel_open_port(berth__kernel *kernel, const berth_address *address,
                                            uint16_t number, int backlog)
{
    berth__kernel_port *port = berth__kernel_must(calloc(1, sizeof *port));
    port->address = *address;
    port->number = number != 0 ? number : berth__kernel_free_port(kernel, address);
    port->backlog = backlog < 0 ? 0 : (size_t)backlog;
    port->next = kernel->ports;
    kernel->ports = port;
    return port;
}

static void drop_queue(berth__kernel_port *port)
{
    while (port->queue != NULL) {
        berth__sim_end *end = port->queue;
        unqueue(end);
        if (end->local && end->other != NULL)
            end->other->error = ECONNRESET;
        berth__kernel_close_end(end, true);
    }
}

void berth__kernel_close_port(berth__kernel *kernel, berth__kernel_port *gone)
{
    for (berth__kernel_port **link = &kernel->ports; *link != NULL; link = &(*link)->next) {
        if (*link != gone)
            continue;
        *link = gone->next;
        break;
    }
    drop_queue(gone);
    berth__kernel_port_closed(kernel, gone);
    free(gone);
}

berth__sim_end *berth__kernel_dequeue(berth__kernel_port *port)
{
    berth__sim_end *end = port->queue;
    if (end == NULL)
        return NULL;
    unqueue(end);
    return end;
}

/* ---- the test's hand ------------------------------------------------------------------------- */

berth__sim_settings *berth__sim_settings_of(berth__backend *backend)
{
    return &kernel_of(backend)->settings;
}

void berth__sim_set_seed(berth__backend *backend, uint64_t seed)
{
    kernel_of(backend)->settings.seed = seed;
    kernel_of(backend)->random = seed;
}

unsigned berth__sim_open_descriptors(berth__backend *backend)
{
    return kernel_of(backend)->open;
}

unsigned berth__sim_barren_waits(berth__backend *backend)
{
    return kernel_of(backend)->barren;
}

void berth__sim_shut_listener(berth__backend *backend, int descriptor)
{
    berth__kernel_port *port = berth__kernel_entry_of(kernel_of(backend), descriptor)->of.port;
    port->shut = true;
    drop_queue(port);
}

void berth__sim_fail_accept(berth__backend *backend, int error, unsigned times)
{
    kernel_of(backend)->accept_error = error;
    kernel_of(backend)->accept_failures = times;
}

void berth__sim_fail_send(berth__backend *backend, int error, unsigned times)
{
    kernel_of(backend)->send_error = error;
    kernel_of(backend)->send_failures = times;
}

void berth__sim_greet(berth__backend *backend, uint16_t port, const void *data, size_t size)
{
    berth_address address = BERTH_ADDRESS_LOOPBACK;
    berth__kernel_port *found = berth__kernel_find_port(kernel_of(backend), &address, port);
    found->greeting = data;
    found->greeting_size = size;
}

berth__sim_end *berth__sim_connect(berth__backend *backend, berth_address address, uint16_t port,
                                   int *ret_error)
{
    berth__sim_end *end = berth__kernel_connect(kernel_of(backend), &address, port);
    if (end->connect_error == 0)
        return end;
    *ret_error = end->connect_error;
    berth__kernel_close_end(end, false);
    return NULL;
}

bool berth__sim_is_established(const berth__sim_end *end)
{
    return end->established;
}

bool berth__sim_is_reset(const berth__sim_end *end)
{
    return end->error == ECONNRESET || end->error == EPIPE;
}

unsigned berth__sim_whole_sends(const berth__sim_end *end)
{
    return end->whole;
}

ptrdiff_t berth__sim_send(berth__sim_end *end, const void *data, size_t size)
{
    return end->retry_at == 0 ? berth__kernel_write(end, data, size, false) : -EAGAIN;
}

ptrdiff_t berth__sim_receive(berth__sim_end *end, void *data, size_t size)
{
    if (end->input.size > 0) {
        size_t some = end->input.size < size ? end->input.size : size;
        berth__kernel_get(end, data, some);
        return (ptrdiff_t)some;
    }
    if (!berth__kernel_readable(end))
        return -EAGAIN;
    return -berth__kernel_end_of_input(end);
}

uint16_t berth__sim_port(const berth__sim_end *end)
{
    return end->local_port;
}

uint16_t berth__sim_peer_port(const berth__sim_end *end)
{
    return end->peer_port;
}

void berth__sim_shutdown(berth__sim_end *end)
{
    berth__kernel_end_output(end);
}

void berth__sim_close(berth__sim_end *end)
{
    berth__kernel_close_end(end, false);
}

void berth__sim_reset(berth__sim_end *end)
{
    berth__kernel_close_end(end, true);
}

int berth__sim_listen(berth__backend *backend, uint16_t *port, int backlog)
{
    berth_address address = BERTH_ADDRESS_LOOPBACK;
    int error = berth__kernel_bind_error(kernel_of(backend), &address, *port, false);
    if (error == 0)
        *port = berth__kernel_open_port(kernel_of(backend), &address, *port, backlog)->number;
    return error;
}

static berth__kernel_port *test_port(berth__backend *backend, uint16_t number)
{
    for (berth__kernel_port *port = kernel_of(backend)->ports; port != NULL; port = port->next) {
        if (port->number == number && port->listener == NULL)
            return port;
    }
    return NULL;
}

berth__sim_end *berth__sim_accept(berth__backend *backend, uint16_t port)
{
    berth__kernel_port *found = test_port(backend, port);
    return found != NULL ? berth__kernel_dequeue(found) : NULL;
}

void berth__sim_unlisten(berth__backend *backend, uint16_t port)
{
    berth__kernel_port *found = test_port(backend, port);
    if (found != NULL)
        berth__kernel_close_port(kernel_of(backend), found);
}

int berth__sim_listener_descriptor(berth__backend *backend, uint16_t *ret_port)
{
    berth__kernel *kernel = kernel_of(backend);
    berth_address address = BERTH_ADDRESS_LOOPBACK;
    int descriptor = berth__kernel_open_entry(kernel, ENTRY_PORT);
    berth__kernel_port *port = berth__kernel_open_port(kernel, &address, 0, 50);
    berth__kernel_entry_of(kernel, descriptor)->of.port = port;
    *ret_port = port->number;
    return descriptor;
}

int berth__sim_stream_descriptor(berth__sim_end *end)
{
    int descriptor = berth__kernel_open_entry(end->kernel, ENTRY_END);
    berth__kernel_entry_of(end->kernel, descriptor)->of.end = end;
    return descriptor;
}

int berth__sim_unconnected_descriptor(berth__backend *backend)
{
    return berth__sim_stream_descriptor(berth__kernel_new_end(kernel_of(backend)));
}

int berth__sim_event_descriptor(berth__backend *backend)
{
    return berth__kernel_open_entry(kernel_of(backend), ENTRY_EVENT);
}

void berth__sim_raise(berth__backend *backend, int descriptor, unsigned events)
{
    berth__kernel_entry *entry = berth__kernel_entry_of(kernel_of(backend), descriptor);
    assert(entry != NULL && entry->kind == ENTRY_EVENT);
    entry->of.events = events;
}

void berth__sim_close_descriptor(berth__backend *backend, int descriptor)
{
    berth__kernel_entry *entry = berth__kernel_entry_of(kernel_of(backend), descriptor);
    if (entry == NULL)
        return;
    if (entry->kind == ENTRY_PORT)
        berth__kernel_close_port(kernel_of(backend), entry->of.port);
    else if (entry->kind == ENTRY_END)
        berth__kernel_close_end(entry->of.end, false);
    berth__kernel_close_entry(kernel_of(backend), descriptor);
}

bool berth__sim_is_open(berth__backend *backend, int descriptor)
{
    return berth__kernel_entry_of(kernel_of(backend), descriptor) != NULL;
}

berth__sim_end *berth__sim_end_of(berth__backend *backend, int descriptor)
{
    berth__kernel_entry *entry = berth__kernel_entry_of(kernel_of(backend), descriptor);
    return entry != NULL && entry->kind == ENTRY_END ? entry->of.end : NULL;
}
