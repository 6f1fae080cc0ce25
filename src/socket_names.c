/*
 * What can be asked about a connection: its descriptor, the names of both ends, its options.
 *
 * Names are looked up on first use, since most connections are never asked, and are kept until the
 * connection has been announced as ended. Options go straight to the descriptor; without one they
 * are refused.
 */
#include "socket.h"

#include "failure.h"
#include "memory.h"
#include "proxy.h"

#include <errno.h>

int berth_socket_descriptor(const berth_socket *socket)
{
    return socket->stream != NULL ? socket->stream->descriptor : -1;
}

/* Looks up both parts of a name: the null address and 0 if there is none. */
static berth_address look_up(const berth_socket *asked, berth__side side, uint16_t *ret_port)
{
    /* Looking up keeps what it has found, which changes nothing that a caller can see. */
    berth_socket *socket = (berth_socket *)(uintptr_t)asked;
    berth_loop *loop = socket->object.loop;
    const berth__stream *stream = socket->stream != NULL ? socket->stream : socket->ending;
    berth__remote *remote = socket->remote;
    berth_address address = BERTH_ADDRESS_NULL;
    *ret_port = 0;
    if (remote != NULL && remote->known[side]) {
        *ret_port = remote->port[side];
        return remote->address[side];
    }
    if (stream == NULL || stream->descriptor < 0)
        return address;
    if (loop->backend->operations->name_of(loop->backend, stream->descriptor, side, &address,
                                           ret_port) != 0)
        return address;
    /* A name that cannot be kept is looked up each time. */
    remote = berth__socket_remote(socket);
    if (remote != NULL) {
        remote->address[side] = address;
        remote->port[side] = *ret_port;
        remote->known[side] = true;
    }
    return address;
}

berth_address berth_socket_peer_address(const berth_socket *socket)
{
    uint16_t port;
    return look_up(socket, BERTH__PEER, &port);
}

uint16_t berth_socket_peer_port(const berth_socket *socket)
{
    uint16_t port;
    look_up(socket, BERTH__PEER, &port);
    return port;
}

berth_address berth_socket_local_address(const berth_socket *socket)
{
    uint16_t port;
    return look_up(socket, BERTH__LOCAL, &port);
}

uint16_t berth_socket_local_port(const berth_socket *socket)
{
    uint16_t port;
    look_up(socket, BERTH__LOCAL, &port);
    return port;
}

const char *berth_socket_peer_name(const berth_socket *socket)
{
    const berth__remote *remote = socket->remote;
    return remote != NULL && remote->target != NULL ? remote->target : "";
}

bool berth_socket_set_proxy(berth_socket *socket, const berth_proxy *proxy)
{
    BERTH__OWN_THREAD(socket->object.loop);
    berth__proxy *copy = NULL;
    int error = berth__proxy_keep(proxy, &copy);
    berth__remote *remote = socket->remote;
    if (error == 0 && copy != NULL)
        remote = berth__socket_remote(socket);
    if (error == 0 && copy != NULL && remote == NULL)
        error = ENOMEM;
    if (error != 0) {
        berth__release(copy);
        berth__socket_set_error(socket, berth__class_of(error), error, BERTH__ATTEMPT_NOTHING);
        return false;
    }
    if (remote == NULL)
        return true;
    berth__release(remote->proxy);
    remote->proxy = copy;
    return true;
}

berth_proxy berth_socket_proxy(const berth_socket *socket)
{
    berth_proxy none = {.type = BERTH_PROXY_DEFAULT};
    const berth__remote *remote = socket->remote;
    return remote != NULL && remote->proxy != NULL ? remote->proxy->value : none;
}

/* ---- options --------------------------------------------------------------------------------- */

static bool option(berth_socket *socket, berth_socket_option which, int *value, bool set)
{
    berth_loop *loop = socket->object.loop;
    BERTH__OWN_THREAD(loop);
    int error = ENOTCONN;
    if (socket->stream != NULL && socket->stream->descriptor >= 0)
        error = loop->backend->operations->option(loop->backend, socket->stream->descriptor, which,
                                                  value, set);
    if (error == 0)
        return true;
    berth__socket_set_error(socket, berth__class_of(error), error, BERTH__ATTEMPT_OPTION);
    return false;
}

bool berth_socket_set_option(berth_socket *socket, berth_socket_option which, int value)
{
    return option(socket, which, &value, true);
}

bool berth_socket_get_option(berth_socket *socket, berth_socket_option which, int *ret_value)
{
    int value = 0;
    if (!option(socket, which, &value, false))
        return false;
    *ret_value = value;
    return true;
}

uint32_t berth_socket_connect_timeout(const berth_socket *socket)
{
    return socket->connect_timeout;
}

void berth_socket_set_connect_timeout(berth_socket *socket, uint32_t milliseconds)
{
    socket->connect_timeout = milliseconds;
}
