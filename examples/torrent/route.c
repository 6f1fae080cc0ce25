/* The way of connections out of the program: see route.h. */
#include "route.h"

#include <stdio.h>

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

#ifdef WITHOUT_TLS /* libberth-tls was not built */

bool route_trust(route *self, char *text)
{
    (void)self;
    snprintf(text, ROUTE_TEXT_SIZE, "built without libberth-tls: no https");
    return false;
}

#else

bool route_trust(route *self, char *text)
{
    berth_tls_options options = {.authorities = self->authorities};
    _Static_assert(ROUTE_TEXT_SIZE >= BERTH_TLS_TEXT_SIZE, "room for what has failed");
    if (!self->tls)
        self->tls = berth_tls_new(BERTH_TLS_CLIENT, &options, text);
    return self->tls != NULL;
}

#endif

bool route_encrypt(route *self, berth_socket *socket, char *text)
{
    if (!route_trust(self, text))
        return false;
    if (berth_socket_set_tls(socket, self->tls, NULL))
        return true;
    snprintf(text, ROUTE_TEXT_SIZE, "%s", berth_socket_error_string(socket));
    return false;
}

void route_close(route *self)
{
    berth_tls_release(self->tls);
    self->tls = NULL;
}
