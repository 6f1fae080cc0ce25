/*
 * How a socket comes to a connection: from a server's accept, by adopting a descriptor, by
 * connecting.
 *
 * Whatever was left of a former connection is forgotten first (begin). Connecting is the
 * connector's business (connecting.c), which reports by a table of events. What the user asked for
 * on the way is done when the connection is open: output written meanwhile is sent, and a
 * disconnect that was asked for follows it.
 *
 * Binding makes the descriptor early, so that its local name is known and its port taken before the
 * connect.
 */
#include "socket.h"

#include "base/count.h"
#include "base/memory.h"
#include "base/system_error.h"
#include "connecting.h"
#include "handshake/refusal.h"
#include "proxy/proxy.h"
#include "secure.h"

#include <errno.h>

berth__remote *berth__socket_remote(berth_socket *socket)
{
    if (socket->remote == NULL)
        socket->remote =
            berth__free_list_take(&socket->object.loop->remotes, sizeof *socket->remote);
    return socket->remote;
}

/* Forgets what is left of a former connection, but not a local name that was bound for the next. In
 * a handler of the former one's end its names could still be asked for. */
static void begin(berth_socket *socket)
{
    berth__parting *parting = socket->object.loop->partings;
    for (; parting != NULL; parting = parting->outer) {
        if (parting->owner == socket)
            parting->owner = NULL;
    }
    berth__socket_drop_input(socket);
    berth__remote *remote = socket->remote;
    if (remote != NULL) {
        remote->bound = remote->bound && socket->state == BERTH_STATE_BOUND; /* if not aborted */
        remote->known[BERTH__PEER] = false;
        remote->known[BERTH__LOCAL] = remote->bound;
        berth__release(remote->values);
        remote->values = NULL;
        if (remote->encryption != NULL)
            remote->encryption->truncated = false;
    }
    berth__socket_set_error(socket, BERTH_ERROR_NONE, 0, BERTH__ATTEMPT_NOTHING);
    socket->input_ended = socket->finished = socket->closed = socket->leaving = false;
    socket->shut = socket->corked = false;
    berth__socket_set_outcome(socket, BERTH__OUTCOME_NONE);
    socket->heard = socket->spoken = socket->drains = false;
    socket->overflowed = socket->holed = socket->was_reset = false;
}

/* A call fails inside itself. Handlers that try again at once would recurse for ever if what fails
 * in them was announced in them too. */
static void refuse(berth_socket *socket, berth_error error, int number, berth__attempt attempt)
{
    berth__socket_set_error(socket, error, number, attempt);
    if (socket->failing)
        return;
    socket->failing = true;
    BERTH__CALL(socket, error_occurred, socket, error);
    socket->failing = false;
}

/* ---- accepting and adopting ------------------------------------------------------------------ */

/* A stream that has taken over the descriptor, or NULL with an errno. `owner`: of one that the
 * backend has just accepted; or NULL. */
static berth__stream *adopt(berth_socket *socket, int descriptor, const berth__owner *owner,
                            int *ret_error)
{
    berth_loop *loop = socket->object.loop;
    *ret_error = EEXIST;
    if (berth__numbers_have(&loop->numbers, descriptor))
        return NULL;
    berth__stream *stream = berth__loop_new_stream(loop, &berth__socket_events, socket);
    *ret_error = ENOMEM;
    if (stream == NULL)
        return NULL;
    if (owner != NULL) {
        stream->ready.local = owner->local;
        stream->ready.parcelled = owner->parcelled;
    }
    *ret_error = loop->backend->operations->adopt(loop->backend, stream, descriptor, owner != NULL);
    if (*ret_error == 0) {
        berth__numbers_add(&loop->numbers, descriptor);
        return stream;
    }
    berth__loop_drop_stream(loop, stream);
    return NULL;
}

berth_socket *berth__socket_accept(berth__owner *owner, int descriptor, bool accepted,
                                   berth__address_count *address, int *ret_error)
{
    berth_socket *socket = berth__socket_make(owner->loop, &owner->children);
    *ret_error = ENOMEM;
    if (socket == NULL)
        return NULL;
    /* The limits first: from the adoption on the descriptor would not be the caller's any more. */
    if ((owner->limits_connections || address != NULL) &&
        !berth__limits_set(socket, &owner->connection_limits)) {
        berth_socket_free(socket);
        return NULL;
    }
    socket->stream = adopt(socket, descriptor, accepted ? owner : NULL, ret_error);
    if (socket->stream == NULL) {
        berth_socket_free(socket);
        return NULL;
    }
    socket->state = BERTH_STATE_CONNECTED;
    socket->owner = owner;
    socket->counted = true;
    BERTH__COUNT(owner->counts.live);
    if (socket->limits != NULL) {
        socket->limits->address = address;
        berth__limits_begin(socket);
    }
    return socket;
}

bool berth_socket_set_descriptor(berth_socket *socket, int descriptor)
{
    berth_loop *loop = socket->object.loop;
    BERTH__OWN_THREAD(loop);
    if (socket->object.freed || berth__socket_is_copy(socket, BERTH__ATTEMPT_ADOPT))
        return false;
    int error;
    berth__stream *stream = adopt(socket, descriptor, NULL, &error);
    if (stream == NULL) {
        berth__socket_set_error(socket, berth__class_of(error), error, BERTH__ATTEMPT_ADOPT);
        return false;
    }
    bool was_connected = socket->state == BERTH_STATE_CONNECTED;
    const berth_socket_handlers *handlers = socket->handlers;
    berth__enter(&socket->object);
    socket->handlers = NULL;
    berth_socket_abort(socket);
    socket->handlers = handlers;
    begin(socket);
    socket->spoken = true;
    socket->stream = stream;
    berth__socket_pace(socket);
    berth__loop_touch(loop);
    /* Its limits begin before a handler can do anything about it. */
    socket->state = BERTH_STATE_CONNECTED;
    berth__limits_begin(socket);
    if (!was_connected)
        BERTH__CALL(socket, state_changed, socket, BERTH_STATE_CONNECTED);
    return berth__leave(&socket->object);
}

/* ---- binding --------------------------------------------------------------------------------- */

/* Returns an errno. */
static int bind_stream(berth_socket *socket, berth_address address, uint16_t port)
{
    berth_loop *loop = socket->object.loop;
    const berth__backend_operations *operations = loop->backend->operations;
    berth__remote *remote = berth__socket_remote(socket);
    berth__stream *stream = NULL;
    if (remote != NULL) {
        remote->address[BERTH__LOCAL] = address; /* a failure names it */
        remote->port[BERTH__LOCAL] = port;
    }
    if (berth_address_is_null(address) || address.family == BERTH_ADDRESS_FAMILY_LOCAL)
        return EINVAL;
    if (remote != NULL)
        stream = berth__loop_new_stream(loop, &berth__socket_events, socket);
    if (stream == NULL)
        return ENOMEM;
    int error = operations->bind(loop->backend, stream, &address, port, remote->options);
    if (error != 0) {
        berth__loop_drop_stream(loop, stream);
        return error;
    }
    operations->name_of(loop->backend, stream->descriptor, BERTH__LOCAL,
                        &remote->address[BERTH__LOCAL], &remote->port[BERTH__LOCAL]);
    berth__numbers_add(&loop->numbers, stream->descriptor);
    remote->bound = true;
    socket->stream = stream;
    return 0;
}

bool berth_socket_bind(berth_socket *socket, berth_address address, uint16_t port)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed || berth__socket_is_copy(socket, BERTH__ATTEMPT_BIND))
        return false;
    berth__enter(&socket->object);
    int error = 0;
    if (socket->state != BERTH_STATE_UNCONNECTED) {
        berth_loop *loop = socket->object.loop;
        loop->refused.socket = socket;
        loop->refused.number = 0;
        loop->refused.address = address;
        loop->refused.port = port;
        refuse(socket, BERTH_ERROR_OPERATION, 0, BERTH__ATTEMPT_BIND);
        error = EISCONN;
    } else {
        begin(socket);
        error = bind_stream(socket, address, port);
        if (error != 0) {
            refuse(socket, berth__class_of(error), error, BERTH__ATTEMPT_BIND);
        } else {
            socket->remote->known[BERTH__LOCAL] = true;
            berth__socket_set_state(socket, BERTH_STATE_BOUND);
        }
    }
    return berth__leave(&socket->object) && error == 0;
}

/* ---- events of the connector ----------------------------------------------------------------- */

static bool announce(void *owner, bool found)
{
    berth_socket *socket = owner;
    uint32_t endings = socket->endings;
    berth__enter(&socket->object);
    berth__socket_set_state(socket, BERTH_STATE_CONNECTING);
    if (found && socket->endings == endings && socket->state == BERTH_STATE_CONNECTING)
        BERTH__CALL(socket, host_found, socket);
    /* A handler may have waited for the connection, or ended the socket. */
    bool exists = socket->endings == endings && socket->remote->connector != NULL;
    berth__leave(&socket->object);
    return exists;
}

/* The bound descriptor is for the first attempt; further ones bind anew. */
static int stream_for_attempt(void *owner, berth__stream **ret_stream)
{
    berth_socket *socket = owner;
    berth_loop *loop = socket->object.loop;
    berth__stream *stream = socket->stream;
    socket->stream = NULL;
    *ret_stream = stream;
    if (stream != NULL)
        return 0;
    stream = berth__loop_new_stream(loop, &berth__socket_events, socket);
    if (stream == NULL)
        return ENOMEM;
    const berth__remote *remote = socket->remote;
    int error = 0;
    if (remote->bound)
        error =
            loop->backend->operations->bind(loop->backend, stream, &remote->address[BERTH__LOCAL],
                                            remote->port[BERTH__LOCAL], remote->options);
    if (error != 0) {
        berth__loop_drop_stream(loop, stream);
        return error;
    }
    *ret_stream = stream;
    return 0;
}

static void named(void *owner, berth__side side, berth_address address, uint16_t port)
{
    const berth_socket *socket = owner;
    berth__remote *remote = socket->remote;
    remote->address[side] = address;
    remote->port[side] = port;
    /* A target that only its proxy has looked up has no address, and the kernel knows another. */
    remote->known[side] = side == BERTH__PEER || !berth_address_is_null(address);
}

static bool reports_later(void *owner)
{
    const berth_socket *socket = owner;
    return socket->failing;
}

/* Encrypts the connection that has just been made, if that was asked for. False when out of memory.
 */
static bool encrypt(berth_socket *socket)
{
    berth__remote *remote = socket->remote;
    const berth__encryption *encryption = remote->encryption;
    if (encryption == NULL || encryption->tls == NULL)
        return true;
    const char *target = remote->by_path ? NULL : remote->target;
    berth__secure_plan plan = {.tls = encryption->tls,
                               .name = encryption->name != NULL ? encryption->name : target,
                               .session = encryption->session,
                               .session_size = encryption->session_size};
    return berth__secure_begin(socket, &plan);
}

static void connected(berth_socket *socket)
{
    uint32_t endings = socket->endings;
    if (!encrypt(socket)) { /* nobody has heard of the connection yet */
        berth__socket_connect_failed(socket, BERTH_ERROR_SOCKET_RESOURCE, ENOMEM);
        return;
    }
    socket->connected = true;
    socket->remote->bound = false;
    if (socket->remote->options != NULL)
        socket->stream->lingers = true; /* for all that is known */
    if (socket->remote->header != NULL)
        socket->spoken = true; /* the peer may not have room for all of it yet */
    berth__socket_pace(socket);
    /* Its limits begin before a handler can take its time. */
    socket->state = BERTH_STATE_CONNECTED;
    berth__limits_begin(socket);
    if (socket->output.first != NULL || socket->overflowed) /* goes in a turn inside, too */
        berth__loop_flush_later(socket->object.loop, &socket->flush);
    else if (socket->shut) /* likewise: a handler may wait for what the peer says to that */
        berth__socket_end_direction(socket);
    BERTH__CALL(socket, state_changed, socket, BERTH_STATE_CONNECTED);
    if (socket->endings != endings)
        return;
    BERTH__CALL(socket, connected, socket);
    if (socket->endings != endings)
        return;
    if (socket->leaving)
        berth_socket_disconnect_from_host(socket);
    else if (socket->shut && socket->output.first == NULL)
        berth__socket_end_direction(socket);
}

static void opened(void *owner, berth__stream *stream)
{
    berth_socket *socket = owner;
    socket->remote->connector = NULL;
    stream->events = &berth__socket_events;
    stream->ready.owner = socket;
    socket->stream = stream;
    if (socket->remote->late_options != 0)
        berth__socket_set_late_options(socket);
    berth__enter(&socket->object);
    connected(socket);
    berth__leave(&socket->object);
}

void berth__socket_connect_failed(berth_socket *socket, berth_error error, int number)
{
    berth__chunk *leased;
    berth__stream *stream = berth__socket_let_go(socket, &leased);
    if (stream != NULL)
        berth__loop_close_stream(socket->object.loop, stream, leased, BERTH__CLOSE_NORMAL);
    if (socket->remote != NULL)
        socket->remote->known[BERTH__LOCAL] = socket->remote->bound = false;
    /* The socket is free for another attempt before the error is announced; if a handler has begun
     * one, the error is not the socket's any more, and would be taken for the new attempt's. */
    uint32_t endings = socket->endings;
    berth__socket_set_error(socket, error, number, BERTH__ATTEMPT_CONNECT);
    bool outer = socket->failing;
    socket->failing = true;
    berth__socket_set_state(socket, BERTH_STATE_UNCONNECTED);
    if (socket->endings == endings && socket->error == (uint8_t)error)
        BERTH__CALL(socket, error_occurred, socket, error);
    socket->failing = outer;
}

static void failed(void *owner, berth_error error, int number)
{
    berth_socket *socket = owner;
    socket->remote->connector = NULL;
    socket->remote->asked =
        number == BERTH__REFUSAL_NO_CREDENTIALS || number == BERTH__REFUSAL_CREDENTIALS;
    berth__enter(&socket->object);
    berth__socket_connect_failed(socket, error, number);
    berth__leave(&socket->object);
}

static const berth__connect_events connect_events = {
    .announce = announce,
    .stream = stream_for_attempt,
    .named = named,
    .reports_later = reports_later,
    .opened = opened,
    .failed = failed,
};

/* ---- connecting ------------------------------------------------------------------------------ */

/* The common part: the state must allow it, and what is connected to is kept as text. Sets error
 * and class. */
static bool may_connect(berth_socket *socket, const char *target, uint16_t port)
{
    if (socket->state != BERTH_STATE_UNCONNECTED && socket->state != BERTH_STATE_BOUND) {
        refuse(socket, BERTH_ERROR_OPERATION, EALREADY, BERTH__ATTEMPT_CONNECT);
        return false;
    }
    begin(socket);
    berth__remote *remote = berth__socket_remote(socket);
    char *copy = remote != NULL ? berth__copy_text(target) : NULL;
    if (copy == NULL) {
        refuse(socket, BERTH_ERROR_SOCKET_RESOURCE, ENOMEM, BERTH__ATTEMPT_CONNECT);
        return false;
    }
    berth__release(remote->target);
    remote->by_path = false;
    remote->target = copy;
    remote->target_port = port;
    return true;
}

/* Whether the connection leads through a proxy, which is then written and kept for texts. Returns
 * an errno or a refusal. */
static int choose_proxy(berth_socket *socket, const char *name, berth_address address,
                        berth__proxy *proxy, bool *ret_chosen)
{
    berth__remote *remote = socket->remote;
    char text[BERTH__PROXY_TEXT_SIZE];
    berth__release(remote->through);
    remote->through = NULL;
    *ret_chosen = berth__proxy_for_socket(remote->proxy, name, address, proxy);
    if (!*ret_chosen)
        return 0;
    if (remote->bound)
        return BERTH__REFUSAL_BOUND;
    remote->through = berth__copy_text(berth__proxy_describe(&proxy->value, text, sizeof text));
    return remote->through != NULL ? 0 : ENOMEM;
}

/* A connector for what the plan says of the target. Returns an errno. */
static int start_connector(berth_socket *socket, berth__connect_plan *plan)
{
    berth__remote *remote = socket->remote;
    int error = 0;
    plan->timeout = socket->connect_timeout;
    plan->options = &remote->options;
    plan->header = &remote->header;
    plan->authorized = remote->asked;
    remote->asked = false;
    remote->late_options = 0; /* the attempts begin with all of them */
    remote->connector =
        berth__connect_start(socket->object.loop, plan, &connect_events, socket, &error);
    return error;
}

/* The same for a name (of the socket's own) or an address. Returns an errno or a refusal. */
static int start_connect(berth_socket *socket, const char *name, berth_address address,
                         uint16_t port)
{
    berth__proxy proxy;
    bool through;
    if (name == NULL && address.family == BERTH_ADDRESS_FAMILY_LOCAL)
        return BERTH__REFUSAL_LOCAL_ADDRESS;
    int error = choose_proxy(socket, name, address, &proxy, &through);
    if (error != 0)
        return error;
    berth__connect_plan plan = {
        .name = name,
        .address = address,
        .port = port,
        .proxy = through ? &proxy.value : NULL,
    };
    return start_connector(socket, &plan);
}

/* The same for a path. What a proxy, a bound address or an option was set for cannot be had. */
static int start_connect_to_path(berth_socket *socket, const char *path)
{
    berth__remote *remote = socket->remote;
    berth__local_name name;
    remote->by_path = true;
    int error = berth__local_name_read(path, &name);
    if (error != 0)
        return error == EINVAL ? BERTH__REFUSAL_LOCAL_EMPTY : BERTH__REFUSAL_LOCAL_LENGTH;
    if (remote->bound)
        return BERTH__REFUSAL_LOCAL_BOUND;
    if (remote->proxy != NULL && remote->proxy->value.type != BERTH_PROXY_NONE)
        return BERTH__REFUSAL_LOCAL_PROXY;
    for (unsigned which = 0; remote->options != NULL && which < BERTH__OPTIONS; which++) {
        if ((remote->options->set >> which & 1) != 0 && !berth__socket_is_local_option(which))
            return BERTH__REFUSAL_LOCAL_TCP_OPTION;
    }
    berth__release(remote->through);
    remote->through = NULL;
    berth__connect_plan plan = {
        .address = {.family = BERTH_ADDRESS_FAMILY_LOCAL},
        .local = &name,
    };
    return start_connector(socket, &plan);
}

/* After the state has changed, and unless a handler has ended it, the attempts begin. */
static bool look_up_or_begin(berth_socket *socket, int error)
{
    if (error != 0) {
        berth_error class =
            berth__is_refusal(error) ? berth__refusal_class(error) : berth__class_of(error);
        refuse(socket, class, error, BERTH__ATTEMPT_CONNECT);
        return false;
    }
    uint32_t endings = socket->endings;
    berth__socket_set_state(socket, BERTH_STATE_HOST_LOOKUP);
    if (socket->endings == endings && socket->state == BERTH_STATE_HOST_LOOKUP)
        berth__connect_begin(socket->remote->connector);
    berth__loop_touch(socket->object.loop);
    return socket->endings == endings;
}

bool berth_socket_connect_to_address(berth_socket *socket, berth_address address, uint16_t port)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed || berth__socket_is_copy(socket, BERTH__ATTEMPT_CONNECT))
        return false;
    char text[BERTH_ADDRESS_TEXT_SIZE];
    berth__enter(&socket->object);
    bool begun = may_connect(socket, berth_address_format(address, text, sizeof text), port) &&
                 look_up_or_begin(socket, start_connect(socket, NULL, address, port));
    return berth__leave(&socket->object) && begun;
}

bool berth_socket_connect_to_host(berth_socket *socket, const char *host, uint16_t port)
{
    BERTH__OWN_THREAD(socket->object.loop);
    berth_address address;
    if (socket->object.freed || berth__socket_is_copy(socket, BERTH__ATTEMPT_CONNECT))
        return false;
    if (host == NULL)
        host = "";
    berth__enter(&socket->object);
    bool numeric = berth_address_parse(host, &address);
    if (!numeric)
        address = berth_address_special(BERTH_SPECIAL_NULL);
    bool begun =
        may_connect(socket, host, port) &&
        look_up_or_begin(
            socket, start_connect(socket, numeric ? NULL : socket->remote->target, address, port));
    return berth__leave(&socket->object) && begun;
}

bool berth_socket_connect_to_local(berth_socket *socket, const char *path)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed || berth__socket_is_copy(socket, BERTH__ATTEMPT_CONNECT))
        return false;
    if (path == NULL)
        path = "";
    berth__enter(&socket->object);
    bool begun = may_connect(socket, path, 0) &&
                 look_up_or_begin(socket, start_connect_to_path(socket, path));
    return berth__leave(&socket->object) && begun;
}
