/*
 * What can be asked about a connection: its descriptor, the names of both ends, its options.
 *
 * Names are looked up on first use, since most connections are never asked, and are kept until the
 * connection has been announced as ended; the kernel knows them after a reset too. For the text of
 * an error that ended the connection, that of the peer is kept longer. Options go straight to the
 * descriptor; without one they are refused.
 */
#include "socket.h"

#include "base/memory.h"
#include "base/sized.h"
#include "base/system_error.h"
#include "handshake/proxy_protocol.h"
#include "handshake/refusal.h"
#include "proxy/proxy.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

int berth_socket_descriptor(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->stream == NULL)
        return -1;
    socket->stream->lingers = true; /* for all that is known from here on */
    return socket->stream->descriptor;
}

/* What a name can be asked of, or NULL. */
static const berth__stream *named_stream(const berth_socket *socket)
{
    if (socket->stream != NULL)
        return socket->stream;
    const berth__parting *parting = socket->object.loop->partings;
    while (parting != NULL && parting->owner != socket)
        parting = parting->outer;
    return parting != NULL ? parting->stream : NULL;
}

/* A bound port that was left open is chosen when somebody asks for it, and is kept from then on. */
static void choose_port(berth_socket *socket)
{
    const berth_loop *loop = socket->object.loop;
    const berth__backend_operations *operations = loop->backend->operations;
    berth__remote *remote = socket->remote;
    berth_address *address = &remote->address[BERTH__LOCAL];
    if (socket->stream == NULL || socket->stream->descriptor < 0)
        return; /* the attempts are on their way, and each has its own */
    if (operations->bind(loop->backend, socket->stream, address, 0, NULL) == 0)
        (void)operations->name_of(loop->backend, socket->stream->descriptor, BERTH__LOCAL, address,
                                  &remote->port[BERTH__LOCAL]);
}

/* Looks up both parts of a name: the null address and 0 if there is none. */
static berth_address look_up(const berth_socket *asked, berth__side side, uint16_t *ret_port)
{
    /* Looking up keeps what it has found, which changes nothing that a caller can see. */
    berth_socket *socket = (berth_socket *)(uintptr_t)asked;
    berth_loop *loop = socket->object.loop;
    const berth__stream *stream = named_stream(socket);
    berth__remote *remote = socket->remote;
    berth_address address = BERTH_ADDRESS_NULL;
    *ret_port = 0;
    if (remote != NULL && remote->bound && side == BERTH__LOCAL && remote->port[side] == 0)
        choose_port(socket);
    if (remote != NULL && remote->known[side]) {
        *ret_port = remote->port[side];
        return remote->address[side];
    }
    if (stream == NULL || stream->descriptor < 0)
        return address;
    if (side == BERTH__PEER && socket->stream != NULL && !berth_socket_is_valid(socket))
        return address; /* bound, and not connected yet */
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
    BERTH__OWN_THREAD(socket->object.loop);
    uint16_t port;
    return look_up(socket, BERTH__PEER, &port);
}

uint16_t berth_socket_peer_port(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    uint16_t port;
    look_up(socket, BERTH__PEER, &port);
    return port;
}

void berth__socket_note_peer(berth_socket *socket)
{
    uint16_t port;
    (void)look_up(socket, BERTH__PEER, &port);
}

berth_address berth_socket_local_address(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    uint16_t port;
    return look_up(socket, BERTH__LOCAL, &port);
}

uint16_t berth_socket_local_port(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    uint16_t port;
    look_up(socket, BERTH__LOCAL, &port);
    return port;
}

/* The far end of the descriptor itself. */
static berth_address look_up_transport(const berth_socket *socket, uint16_t *ret_port)
{
    berth__backend *backend = socket->object.loop->backend;
    const berth__stream *stream = named_stream(socket);
    berth_address address = BERTH_ADDRESS_NULL;
    *ret_port = 0;
    if (stream != NULL && stream->descriptor >= 0)
        (void)backend->operations->name_of(backend, stream->descriptor, BERTH__PEER, &address,
                                           ret_port);
    return address;
}

berth_address berth_socket_transport_peer_address(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    uint16_t port;
    return look_up_transport(socket, &port);
}

uint16_t berth_socket_transport_peer_port(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    uint16_t port;
    look_up_transport(socket, &port);
    return port;
}

bool berth_socket_peer_credentials_sized(berth_socket *socket, berth_credentials *ret_credentials,
                                         size_t size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    berth__backend *backend = socket->object.loop->backend;
    const berth__stream *stream = named_stream(socket);
    berth_credentials found;
    bool has = stream != NULL && stream->descriptor >= 0;
    int error =
        has ? backend->operations->credentials(backend, stream->descriptor, &found) : ENOTCONN;
    if (error == 0)
        berth__sized_put(ret_credentials, size, &found, sizeof found);
    else
        berth__socket_set_error(socket, berth__class_of(error), error, BERTH__ATTEMPT_CREDENTIALS);
    return error == 0;
}

const char *berth_socket_peer_name(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
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
    BERTH__OWN_THREAD(socket->object.loop);
    berth_proxy none = {.type = BERTH_PROXY_DEFAULT};
    const berth__remote *remote = socket->remote;
    return remote != NULL && remote->proxy != NULL ? remote->proxy->value : none;
}

/* ---- PROXY headers --------------------------------------------------------------------------- */

bool berth__remote_keep_values(berth__remote *remote, const uint8_t *values, size_t size)
{
    remote->values = berth__allocate(size);
    if (remote->values == NULL)
        return false;
    memcpy(remote->values, values, size);
    remote->values_size = size;
    return true;
}

void berth__remote_clear(berth__remote *remote)
{
    berth__release(remote->target);
    berth__release(remote->through);
    berth__release(remote->proxy);
    berth__release(remote->header);
    berth__release(remote->options);
    berth__release(remote->values);
}

const void *berth_socket_proxy_header_value(const berth_socket *socket, uint8_t type,
                                            size_t *ret_size)
{
    BERTH__OWN_THREAD(socket->object.loop);
    const berth__remote *remote = socket->remote;
    *ret_size = 0;
    if (remote == NULL || remote->values == NULL)
        return NULL;
    return berth__proxy_header_value(remote->values, remote->values_size, type, ret_size);
}

/* Returns an errno. */
static int keep_header(berth_socket *socket, const berth_proxy_header *header)
{
    if (header->version != 1 && header->version != 2)
        return EINVAL;
    berth__remote *remote = berth__socket_remote(socket);
    if (remote == NULL)
        return ENOMEM;
    if (remote->header == NULL)
        remote->header = berth__allocate(sizeof *remote->header);
    if (remote->header == NULL)
        return ENOMEM;
    *remote->header = *header;
    return 0;
}

bool berth_socket_set_proxy_header(berth_socket *socket, const berth_proxy_header *header)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (header == NULL && socket->remote != NULL) {
        berth__release(socket->remote->header);
        socket->remote->header = NULL;
    }
    int error = header != NULL ? keep_header(socket, header) : 0;
    if (error != 0)
        berth__socket_set_error(socket, berth__class_of(error), error, BERTH__ATTEMPT_NOTHING);
    return error == 0;
}

/* ---- options --------------------------------------------------------------------------------- */

/* The kernel takes two others, which do nothing. */
bool berth__socket_is_local_option(unsigned which)
{
    return which == BERTH_OPTION_SEND_BUFFER_SIZE || which == BERTH_OPTION_RECEIVE_BUFFER_SIZE ||
           which >= BERTH__OPTIONS; /* which is no option at all */
}

/* What may be set. The kernel takes some values beyond these for others, without a word. */
static bool in_range(berth_socket_option which, int value)
{
    static const struct {
        int least, most;
    } ranges[] = {
        [BERTH_OPTION_LOW_DELAY] = {0, 1},
        [BERTH_OPTION_KEEP_ALIVE] = {0, 1},
        [BERTH_OPTION_KEEP_ALIVE_IDLE] = {1, 32767},
        [BERTH_OPTION_KEEP_ALIVE_INTERVAL] = {1, 32767},
        [BERTH_OPTION_KEEP_ALIVE_COUNT] = {1, 127},
        [BERTH_OPTION_TYPE_OF_SERVICE] = {0, 255},
        [BERTH_OPTION_SEND_BUFFER_SIZE] = {0, INT_MAX / 2},
        [BERTH_OPTION_RECEIVE_BUFFER_SIZE] = {0, INT_MAX / 2},
        [BERTH_OPTION_LINGER] = {-1, INT16_MAX},
        [BERTH_OPTION_USER_TIMEOUT] = {0, INT_MAX},
    };
    size_t count = sizeof ranges / sizeof ranges[0];
    return (size_t)which >= count || (value >= ranges[which].least && value <= ranges[which].most);
}

/* Without a connection there may be no descriptor, or several. What can be refused is refused now;
 * what only the kernel knows to be wrong fails the attempt. Returns an errno. */
static int keep_option(berth_socket *socket, berth_socket_option which, int value)
{
    if ((unsigned)which >= BERTH__OPTIONS)
        return EINVAL;
    if (socket->object.freed)
        return ENOTCONN;
    berth__remote *remote = berth__socket_remote(socket);
    if (remote != NULL && remote->options == NULL)
        remote->options = berth__allocate_zero(sizeof *remote->options);
    if (remote == NULL || remote->options == NULL)
        return ENOMEM;
    uint16_t bit = (uint16_t)(1u << (unsigned)which);
    remote->options->set |= bit;
    remote->options->values[which] = value;
    remote->late_options |= bit;
    return 0;
}

static int kept_option(const berth_socket *socket, berth_socket_option which, int *ret_value)
{
    const berth__options *options = socket->remote != NULL ? socket->remote->options : NULL;
    if ((unsigned)which >= BERTH__OPTIONS)
        return EINVAL;
    if (options == NULL || (options->set >> which & 1) == 0)
        return ENOTCONN;
    *ret_value = options->values[which];
    return 0;
}

static void option_failed(berth_socket *socket, berth_socket_option which, int value, bool set,
                          int error)
{
    berth_loop *loop = socket->object.loop;
    loop->refused.socket = socket;
    loop->refused.number = error;
    loop->refused.option = (int)which;
    loop->refused.value = value;
    loop->refused.set = set;
    berth_error class =
        berth__is_refusal(error) ? berth__refusal_class(error) : berth__class_of(error);
    berth__socket_set_error(socket, class, error, BERTH__ATTEMPT_OPTION);
}

void berth__socket_set_late_options(berth_socket *socket)
{
    berth__backend *backend = socket->object.loop->backend;
    berth__remote *remote = socket->remote;
    for (unsigned which = 0; which < BERTH__OPTIONS && remote->late_options != 0; which++) {
        int value = remote->options->values[which];
        bool late = (remote->late_options >> which & 1) != 0;
        remote->late_options &= (uint16_t) ~(1u << which);
        if (!late)
            continue;
        int error = BERTH__REFUSAL_LOCAL_OPTION;
        if (!socket->stream->ready.local || berth__socket_is_local_option(which))
            error = backend->operations->option(backend, socket->stream->descriptor,
                                                (berth_socket_option)which, &value, true);
        if (error != 0)
            option_failed(socket, (berth_socket_option)which, value, true, error);
    }
}

static bool option(berth_socket *socket, berth_socket_option which, int *value, bool set)
{
    berth_loop *loop = socket->object.loop;
    BERTH__OWN_THREAD(loop);
    berth__stream *stream = socket->stream;
    bool has = stream != NULL && stream->descriptor >= 0;
    int error = set && !in_range(which, *value) ? EINVAL : has ? 0 : ENOTCONN;
    if (has && stream->ready.local && !berth__socket_is_local_option(which))
        error = BERTH__REFUSAL_LOCAL_OPTION;
    if (error == 0)
        error =
            loop->backend->operations->option(loop->backend, stream->descriptor, which, value, set);
    else if (!set && !has)
        error = kept_option(socket, which, value);
    if (error == 0 && set && which == BERTH_OPTION_LINGER)
        stream->lingers = *value >= 0;
    if (set && !berth_socket_is_valid(socket) && (error == 0 || error == ENOTCONN))
        error = keep_option(socket, which, *value);
    if (error == 0)
        return true;
    option_failed(socket, which, *value, set, error);
    return false;
}

bool berth_socket_set_option(berth_socket *socket, berth_socket_option which, int value)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return option(socket, which, &value, true);
}

bool berth_socket_get_option(berth_socket *socket, berth_socket_option which, int *ret_value)
{
    BERTH__OWN_THREAD(socket->object.loop);
    int value = 0;
    if (!option(socket, which, &value, false))
        return false;
    *ret_value = value;
    return true;
}

uint32_t berth_socket_connect_timeout(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return socket->connect_timeout;
}

void berth_socket_set_connect_timeout(berth_socket *socket, uint32_t milliseconds)
{
    BERTH__OWN_THREAD(socket->object.loop);
    socket->connect_timeout = milliseconds;
}
