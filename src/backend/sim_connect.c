/*
 * Connecting in the simulated kernel.
 *
 * A first segment that finds room in the backlog makes the connection at once. One that does not is
 * dropped, as Linux does it: room that is made later is found by the next one only, which comes a
 * second after the first, then after two more, after four and so on. It finds whoever listens there
 * at that time: nobody refuses the attempt. 127 s after the first it has timed out.
 *
 * An attempt is an end without another one and with the time of its next segment. It has no place
 * in a backlog, so that those come first who come when there is room, as in a kernel.
 */
#include "sim_kernel.h"

#include <errno.h>

#define SECOND UINT64_C(1000000000)
#define SEGMENTS 7u /* the first, and those of net.ipv4.tcp_syn_retries */

/* Bytes that were sent before it is known who receives them. */
static void greet(berth__sim_end *far, const berth__kernel_port *port)
{
    for (size_t sent = 0; sent < port->greeting_size;) {
        ptrdiff_t some =
            berth__kernel_write(far, port->greeting + sent, port->greeting_size - sent, false);
        if (some <= 0)
            break;
        sent += (size_t)some;
    }
}

static void establish(berth__sim_end *near, berth__kernel_port *port)
{
    berth__sim_end *far = berth__kernel_new_end(near->kernel);
    near->other = far;
    far->other = near;
    far->local_address = near->peer_address;
    far->local_port = near->peer_port;
    far->peer_address = near->local_address;
    far->peer_port = near->local_port;
    far->established = near->established = true;
    near->retry_at = 0;
    near->kernel->attempts--;
    berth__kernel_enqueue(port, far);
    greet(far, port);
    berth__kernel_push(near); /* its end may have been before */
}

static void fail(berth__sim_end *near, int error)
{
    near->connect_error = error;
    near->retry_at = 0;
    near->kernel->attempts--;
}

/* One segment, and what comes of it. */
static void send_segment(berth__sim_end *near)
{
    if (near->segments++ == SEGMENTS) {
        fail(near, ETIMEDOUT);
        return;
    }
    berth__kernel_port *port =
        berth__kernel_find_port(near->kernel, &near->peer_address, near->peer_port);
    if (port == NULL)
        fail(near, ECONNREFUSED);
    else if (berth__kernel_has_room(port))
        establish(near, port);
    else
        near->retry_at += SECOND << (near->segments - 1);
}

berth__sim_end *berth__kernel_connect(berth__kernel *kernel, const berth_address *address,
                                      uint16_t number)
{
    berth_address target = *address;
    if (berth__kernel_is_wildcard(address))
        target = address->family == BERTH_ADDRESS_FAMILY_IPV4 ? BERTH_ADDRESS_LOOPBACK
                                                              : BERTH_ADDRESS_LOOPBACK_IPV6;
    berth__sim_end *near = berth__kernel_new_end(kernel);
    bool six = target.family == BERTH_ADDRESS_FAMILY_IPV6;
    near->local_address = six ? BERTH_ADDRESS_LOOPBACK_IPV6 : BERTH_ADDRESS_LOOPBACK;
    near->peer_address = target;
    near->peer_port = number;
    near->local_port = berth__kernel_free_port(kernel, &target);
    near->retry_at = kernel->now;
    kernel->attempts++;
    send_segment(near);
    return near;
}

/* The attempt whose next segment comes first. */
static berth__sim_end *next_attempt(berth__kernel *kernel)
{
    berth__sim_end *next = NULL;
    for (berth__sim_end *end = kernel->ends; end != NULL; end = end->next) {
        if (end->retry_at != 0 && (next == NULL || end->retry_at < next->retry_at))
            next = end;
    }
    return next;
}

void berth__kernel_look_at_attempts(berth__kernel *kernel, uint64_t *earliest)
{
    while (kernel->attempts > 0) {
        berth__sim_end *next = next_attempt(kernel);
        if (next->retry_at > kernel->now) {
            *earliest = next->retry_at < *earliest ? next->retry_at : *earliest;
            return;
        }
        send_segment(next);
    }
}
