/* The way of connections out of the program: see route.h. */
#include "route.h"

static bool is_ipv4(berth_address address)
{
    uint32_t number;
    return berth_address_to_ipv4(address, &number);
}

bool route_prepare(const route *self, berth_socket *socket, berth_address to)
{
    if (self->proxy)
        return berth_socket_set_proxy(socket, self->proxy);
    if (berth_address_is_null(self->from) ||
        (!berth_address_is_null(to) && is_ipv4(to) != is_ipv4(self->from)))
        return true;
    return berth_socket_bind(socket, self->from, 0);
}
