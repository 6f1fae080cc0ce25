/*
 * The life of a socket: making, adopting, connecting, ending, and what can be asked about it.
 * Reading and writing are in socket_io.c, blocking in socket_wait.c.
 *
 * The state is changed in berth__socket_set_state only. A connection ends in berth__socket_end
 * only, whatever the way there:
 *
 *     remote end or reset    error_occurred, CLOSING, [rest of the output], UNCONNECTED,
 * read_channel_finished, disconnected disconnect, close      CLOSING, [rest of the output],
 * UNCONNECTED, read_channel_finished, disconnected abort, free            UNCONNECTED,
 * read_channel_finished, disconnected failed connect         UNCONNECTED, error_occurred
 *
 * The stream leaves the socket before the first handler of the end is called, so that a handler
 * finds a socket that is free for another connection; its descriptor is closed after the last one,
 * so that names can be asked for until then. Any handler may free the socket: every function that
 * calls one stands between berth__enter and berth__leave, and handlers of a freed socket are not
 * called.
 */
#include "socket.h"

#include "failure.h"
#include "memory.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>

#define CALL(socket, slot, ...)                                                                  \
    do {                                                                                         \
        if (!(socket)->object.freed && BERTH__SLOT(socket, berth_socket_handlers, slot) != NULL) \
            (socket)->handlers->slot(__VA_ARGS__, (socket)->user);                               \
    } while (0)

/* ---- state and error ------------------------------------------------------------------------- */

static bool may_follow(berth_state from, berth_state to)
{
    switch (to) {
    case BERTH_STATE_UNCONNECTED:
        return from != BERTH_STATE_UNCONNECTED;
    case BERTH_STATE_CONNECTING:
        return from == BERTH_STATE_UNCONNECTED;
    case BERTH_STATE_CONNECTED:
        return from == BERTH_STATE_CONNECTING || from == BERTH_STATE_UNCONNECTED;
    case BERTH_STATE_CLOSING:
        return from == BERTH_STATE_CONNECTED;
    default:
        return false;
    }
}

void berth__socket_set_state(berth_socket *socket, berth_state state)
{
    assert(may_follow((berth_state)socket->state, state));
    (void)may_follow;
    socket->state = (uint8_t)state;
    CALL(socket, state_changed, socket, state);
}

void berth__socket_set_error(berth_socket *socket, berth_error error, int number,
                             berth__attempt attempt)
{
    socket->error = (uint8_t)error;
    socket->error_number = number;
    socket->attempt = (uint8_t)attempt;
}

void berth__socket_fail(berth_socket *socket, berth_error error, int number, berth__attempt attempt)
{
    berth__socket_set_error(socket, error, number, attempt);
    CALL(socket, error_occurred, socket, error);
}

berth_state berth_socket_state(const berth_socket *socket)
{
    return (berth_state)socket->state;
}

bool berth_socket_is_valid(const berth_socket *socket)
{
    return socket->state == BERTH_STATE_CONNECTED || socket->state == BERTH_STATE_CLOSING;
}

berth_error berth_socket_error(const berth_socket *socket)
{
    return (berth_error)socket->error;
}

static const char *attempt_text(const berth_socket *socket)
{
    static const char *const texts[] = {
        [BERTH__ATTEMPT_NOTHING] = "use the socket of",
        [BERTH__ATTEMPT_CONNECT] = "connect to",
        [BERTH__ATTEMPT_ADOPT] = "adopt a descriptor for",
        [BERTH__ATTEMPT_READ] = "read from",
        [BERTH__ATTEMPT_WRITE] = "write to",
        [BERTH__ATTEMPT_WAIT] = "wait for",
    };
    return texts[socket->attempt];
}

const char *berth_socket_error_string(const berth_socket *socket)
{
    berth_loop *loop = socket->object.loop;
    if (socket->error == BERTH_ERROR_NONE)
        return "";
    char peer[BERTH_ENDPOINT_TEXT_SIZE] = "the peer";
    berth_address address = berth_socket_peer_address(socket);
    if (!berth_address_is_null(address))
        berth_endpoint_format(address, berth_socket_peer_port(socket), peer, sizeof peer);
    const char *reason = berth_error_text((berth_error)socket->error);
    if (socket->error_number != 0 && socket->error != BERTH_ERROR_REMOTE_HOST_CLOSED)
        reason = berth__reason_of(socket->error_number);
    snprintf(loop->text, sizeof loop->text, "cannot %s %s: %s", attempt_text(socket), peer, reason);
    return loop->text;
}

/* ---- life ------------------------------------------------------------------------------------ */

static berth_socket *make(berth_loop *loop, berth__object **list)
{
    berth_socket *socket = berth__recycler_take(&loop->sockets, sizeof *socket);
    if (socket == NULL)
        return NULL;
    berth__object_init(&socket->object, BERTH__SOCKET, loop, list);
    return socket;
}

berth_socket *berth_socket_new_sized(berth_loop *loop, const berth_socket_handlers *handlers,
                                     size_t size, void *user)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return NULL;
    BERTH__OWN_THREAD(loop);
    berth_socket *socket = make(loop, &loop->objects);
    if (socket == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    berth_socket_set_handlers_sized(socket, handlers, size, user);
    return socket;
}

void berth_socket_set_handlers_sized(berth_socket *socket, const berth_socket_handlers *handlers,
                                     size_t size, void *user)
{
    BERTH__OWN_THREAD(socket->object.loop);
    socket->handlers = handlers;
    socket->handlers_size = (uint16_t)(size < sizeof *handlers ? size : sizeof *handlers);
    socket->user = user;
}

void *berth_socket_user(const berth_socket *socket)
{
    return socket->user;
}

berth_loop *berth_socket_loop(const berth_socket *socket)
{
    return socket->object.loop;
}

void berth_socket_detach(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (!socket->object.freed)
        berth__object_move(&socket->object, &socket->object.loop->objects);
}

void berth_socket_free(berth_socket *socket)
{
    if (socket == NULL || socket->object.freed)
        return;
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->pending_in != NULL)
        berth__server_forget(socket->pending_in, socket);
    berth__enter(&socket->object);
    /* A handler of the first end may have begun another connection; that one ends without a word.
     */
    berth_socket_abort(socket);
    if (!socket->object.freed) {
        socket->handlers = NULL;
        berth_socket_abort(socket);
        berth__socket_drop_input(socket);
        if (berth__socket_in_flush(socket))
            berth__socket_unlink_flush(socket);
        berth__discard(&socket->object);
    }
    berth__leave(&socket->object);
}

void berth__socket_destroy(berth_socket *socket)
{
    assert(socket->stream == NULL && socket->output.size == 0);
    berth__release(socket->names);
    berth__recycler_give(&socket->object.loop->sockets, socket);
}

/* Takes the stream from the socket, with the chunk that a send in flight still reads. */
static berth__chunk *let_go(berth_socket *socket)
{
    berth_loop *loop = socket->object.loop;
    berth__stream *stream = socket->stream;
    berth__chunk *leased = stream->sending ? berth__chain_detach(&socket->output) : NULL;
    berth__chain_clear(&socket->output, &loop->pool);
    if (berth__socket_in_flush(socket))
        berth__socket_unlink_flush(socket);
    if (stream->receiving)
        loop->backend->operations->receive_stop(loop->backend, stream);
    socket->stream = NULL;
    socket->endings++;
    return leased;
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* Clears what is left of a former connection. */
static void begin(berth_socket *socket)
{
    berth__socket_drop_input(socket);
    berth__release(socket->names);
    socket->names = NULL;
    socket->error = BERTH_ERROR_NONE;
    socket->error_number = 0;
    socket->attempt = BERTH__ATTEMPT_NOTHING;
    socket->input_ended = socket->finished = socket->closed = socket->leaving =
        socket->send_failed = false;
}

berth_socket *berth__socket_accept(berth_server *server, int descriptor, int *ret_error)
{
    berth_loop *loop = server->object.loop;
    berth__stream *stream = NULL;
    berth_socket *socket = make(loop, &server->children);
    if (socket != NULL)
        stream = berth__loop_new_stream(loop, &berth__socket_events, socket);
    *ret_error = ENOMEM;
    if (stream != NULL)
        *ret_error = loop->backend->operations->adopt(loop->backend, stream, descriptor, true);
    if (*ret_error != 0) {
        if (stream != NULL)
            berth__loop_drop_stream(loop, stream);
        berth_socket_free(socket);
        return NULL;
    }
    socket->stream = stream;
    socket->state = BERTH_STATE_CONNECTED;
    return socket;
}

bool berth_socket_set_descriptor(berth_socket *socket, int descriptor)
{
    berth_loop *loop = socket->object.loop;
    BERTH__OWN_THREAD(loop);
    if (socket->object.freed)
        return false;
    berth__stream *stream = berth__loop_new_stream(loop, &berth__socket_events, socket);
    int error = ENOMEM;
    if (stream != NULL)
        error = loop->backend->operations->adopt(loop->backend, stream, descriptor, false);
    if (error != 0) {
        if (stream != NULL)
            berth__loop_drop_stream(loop, stream);
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
    socket->stream = stream;
    berth__socket_pace(socket);
    berth__loop_touch(loop);
    if (was_connected)
        socket->state = BERTH_STATE_CONNECTED;
    else
        berth__socket_set_state(socket, BERTH_STATE_CONNECTED);
    return berth__leave(&socket->object);
}

static berth__names *names_of(berth_socket *socket)
{
    if (socket->names == NULL)
        socket->names = berth__allocate_zero(sizeof *socket->names);
    return socket->names;
}

/* Returns an errno if the connection could not begin. */
static int start_connect(berth_socket *socket, berth_address address, uint16_t port)
{
    berth_loop *loop = socket->object.loop;
    /* The target is kept, since the kernel does not tell it after a failure. */
    berth__names *names = names_of(socket);
    if (names == NULL)
        return ENOMEM;
    names->address[BERTH__PEER] = address;
    names->port[BERTH__PEER] = port;
    names->known[BERTH__PEER] = true;
    berth__stream *stream = berth__loop_new_stream(loop, &berth__socket_events, socket);
    if (stream == NULL)
        return ENOMEM;
    int error = loop->backend->operations->connect(loop->backend, stream, &address, port);
    if (error != 0) {
        berth__loop_drop_stream(loop, stream);
        return error;
    }
    socket->stream = stream;
    berth__loop_touch(loop);
    return 0;
}

/* A connect finds other meanings in two errors than listening does. */
static berth_error class_of_connect(int error)
{
    if (error == EADDRNOTAVAIL || error == EADDRINUSE || error == ECONNRESET)
        return error == ECONNRESET ? BERTH_ERROR_CONNECTION_REFUSED : BERTH_ERROR_NETWORK;
    return berth__class_of(error);
}

bool berth_socket_connect_to_address(berth_socket *socket, berth_address address, uint16_t port)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed)
        return false;
    berth__enter(&socket->object);
    if (socket->state != BERTH_STATE_UNCONNECTED) {
        berth__socket_fail(socket, BERTH_ERROR_OPERATION, 0, BERTH__ATTEMPT_CONNECT);
        berth__leave(&socket->object);
        return false;
    }
    begin(socket);
    int error = start_connect(socket, address, port);
    if (error != 0)
        berth__socket_fail(socket, class_of_connect(error), error, BERTH__ATTEMPT_CONNECT);
    else
        berth__socket_set_state(socket, BERTH_STATE_CONNECTING);
    return berth__leave(&socket->object) && error == 0;
}

/* Ends an attempt: the socket is free again before the error is announced. */
static void connect_failed(berth_socket *socket, int error)
{
    berth__stream *stream = socket->stream;
    berth__chunk *leased = let_go(socket);
    berth__loop_close_stream(socket->object.loop, stream, leased, BERTH__CLOSE_NORMAL);
    berth__socket_set_error(socket, class_of_connect(error), error, BERTH__ATTEMPT_CONNECT);
    berth__socket_set_state(socket, BERTH_STATE_UNCONNECTED);
    CALL(socket, error_occurred, socket, (berth_error)socket->error);
}

void berth__socket_connected(berth_socket *socket, int error)
{
    uint32_t endings = socket->endings;
    if (error != 0) {
        connect_failed(socket, error);
        return;
    }
    socket->connections++;
    berth__socket_pace(socket);
    berth__socket_set_state(socket, BERTH_STATE_CONNECTED);
    if (socket->endings != endings)
        return;
    CALL(socket, connected, socket);
    if (socket->endings != endings)
        return;
    if (socket->output.size > 0)
        berth__loop_flush_later(socket->object.loop, socket);
    if (socket->leaving)
        berth_socket_disconnect_from_host(socket);
}

/* ---- ending ---------------------------------------------------------------------------------- */

void berth__socket_finish_reading(berth_socket *socket)
{
    if (socket->finished)
        return;
    socket->finished = true;
    CALL(socket, read_channel_finished, socket);
}

void berth__socket_end(berth_socket *socket)
{
    berth_loop *loop = socket->object.loop;
    berth__stream *stream = socket->stream;
    berth__chunk *leased = let_go(socket);
    berth__stream *outer = socket->ending;
    socket->ending = stream;
    berth__socket_set_state(socket, BERTH_STATE_UNCONNECTED);
    berth__socket_finish_reading(socket);
    CALL(socket, disconnected, socket);
    socket->ending = outer;
    if (socket->stream == NULL) {
        berth__release(socket->names);
        socket->names = NULL;
    }
    berth__loop_close_stream(loop, stream, leased, BERTH__CLOSE_NORMAL);
}

void berth_socket_disconnect_from_host(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->state == BERTH_STATE_CONNECTING)
        socket->leaving = true;
    if (socket->state != BERTH_STATE_CONNECTED)
        return;
    berth__enter(&socket->object);
    uint32_t endings = socket->endings;
    berth__socket_set_state(socket, BERTH_STATE_CLOSING);
    if (socket->endings == endings) {
        berth__socket_pace(socket);
        if (socket->output.size == 0)
            berth__socket_end(socket);
        else
            berth__loop_flush_later(socket->object.loop, socket);
    }
    berth__leave(&socket->object);
}

void berth_socket_close(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    berth__socket_drop_input(socket);
    if (socket->stream == NULL)
        return;
    socket->closed = true;
    berth_socket_disconnect_from_host(socket);
}

void berth_socket_abort(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->stream == NULL)
        return;
    berth__enter(&socket->object);
    berth__socket_drop_input(socket);
    if (socket->state == BERTH_STATE_CONNECTING) {
        berth__stream *stream = socket->stream;
        berth__chunk *leased = let_go(socket);
        berth__loop_close_stream(socket->object.loop, stream, leased, BERTH__CLOSE_NORMAL);
        berth__socket_set_state(socket, BERTH_STATE_UNCONNECTED);
        berth__socket_finish_reading(socket);
    } else {
        berth__socket_end(socket);
    }
    berth__leave(&socket->object);
}

/* ---- questions ------------------------------------------------------------------------------- */

int berth_socket_descriptor(const berth_socket *socket)
{
    return socket->stream != NULL ? socket->stream->descriptor : -1;
}

/* Looks up both parts of a name; false if there is none. */
static bool look_up(const berth_socket *asked, berth__side side, berth_address *ret_address,
                    uint16_t *ret_port)
{
    /* Looking up keeps what it has found, which changes nothing that a caller can see. */
    berth_socket *socket = (berth_socket *)(uintptr_t)asked;
    berth_loop *loop = socket->object.loop;
    const berth__stream *stream = socket->stream != NULL ? socket->stream : socket->ending;
    *ret_address = berth_address_special(BERTH_SPECIAL_NULL);
    *ret_port = 0;
    berth__names *names = socket->names;
    if (names != NULL && names->known[side]) {
        *ret_address = names->address[side];
        *ret_port = names->port[side];
        return true;
    }
    if (stream == NULL || stream->descriptor < 0)
        return false;
    if (loop->backend->operations->name_of(loop->backend, stream->descriptor, side, ret_address,
                                           ret_port) != 0)
        return false;
    /* A name is kept so that it outlives the descriptor; one that cannot be kept is looked up each
     * time. */
    names = socket->state == BERTH_STATE_CONNECTING ? NULL : names_of(socket);
    if (names != NULL) {
        names->address[side] = *ret_address;
        names->port[side] = *ret_port;
        names->known[side] = true;
    }
    return true;
}

berth_address berth_socket_peer_address(const berth_socket *socket)
{
    berth_address address;
    uint16_t port;
    look_up(socket, BERTH__PEER, &address, &port);
    return address;
}

uint16_t berth_socket_peer_port(const berth_socket *socket)
{
    berth_address address;
    uint16_t port;
    look_up(socket, BERTH__PEER, &address, &port);
    return port;
}

berth_address berth_socket_local_address(const berth_socket *socket)
{
    berth_address address;
    uint16_t port;
    look_up(socket, BERTH__LOCAL, &address, &port);
    return address;
}

uint16_t berth_socket_local_port(const berth_socket *socket)
{
    berth_address address;
    uint16_t port;
    look_up(socket, BERTH__LOCAL, &address, &port);
    return port;
}
