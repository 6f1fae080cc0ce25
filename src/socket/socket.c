/*
 * The life of a socket: making, adopting, connecting, ending, and what can be asked about it.
 * Reading is in socket_input.c, writing in socket_output.c, ending one direction and the limit on
 * closing in socket_close.c, blocking in socket_wait.c.
 *
 * The state is changed in berth__socket_set_state only. A connection ends in berth__socket_end
 * only, whatever the way there:
 *
 *     remote end or reset    error_occurred, CLOSING, (output), UNCONNECTED, finished
 *     disconnect, close      CLOSING, (output), UNCONNECTED, finished
 *     abort, free            UNCONNECTED, finished
 *     failed connect         UNCONNECTED, error_occurred
 *
 * where (output) is the rest of the output being sent, and "finished" is read_channel_finished and
 * disconnected.
 *
 * The stream leaves the socket before the first handler of the end is called, so that a handler
 * finds a socket that is free for another connection; its descriptor is closed after the last one,
 * so that names can be asked for until then. Any handler may free the socket: every function that
 * calls one runs between berth__enter and berth__leave, and handlers of a freed socket are not
 * called.
 */
#include "socket.h"

#include "base/count.h"
#include "base/memory.h"
#include "base/probe.h"
#include "base/system_error.h"
#include "base/text.h"
#include "connecting.h"
#include "handshake/refusal.h"
#include "loop/lingering.h"
#include "secure.h"

#include <errno.h>
#include <stdio.h>

#define LONGEST_NAME 255 /* bytes of a host name; none that DNS can find is longer */

/* ---- state and error ------------------------------------------------------------------------- */

static bool may_follow(berth_state from, berth_state to)
{
    switch (to) {
    case BERTH_STATE_UNCONNECTED:
        return from != BERTH_STATE_UNCONNECTED;
    case BERTH_STATE_BOUND:
        return from == BERTH_STATE_UNCONNECTED;
    case BERTH_STATE_HOST_LOOKUP:
        return from == BERTH_STATE_UNCONNECTED || from == BERTH_STATE_BOUND;
    case BERTH_STATE_CONNECTING:
        return from == BERTH_STATE_HOST_LOOKUP;
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
    BERTH__CALL(socket, state_changed, socket, state);
}

void berth__socket_set_error(berth_socket *socket, berth_error error, int number,
                             berth__attempt attempt)
{
    socket->error = (unsigned)error & 127u;
    socket->error_number = (int16_t)number;
    socket->attempt = attempt & 15u;
    if (socket->remote != NULL)
        socket->remote->told = false;
    if (error != BERTH_ERROR_NONE)
        BERTH__PROBE3(error, socket, (int)error, number);
}

void berth__socket_fail(berth_socket *socket, berth_error error, int number, berth__attempt attempt)
{
    berth__socket_set_error(socket, error, number, attempt);
    BERTH__CALL(socket, error_occurred, socket, error);
}

bool berth__socket_refuse_copy(berth_socket *socket, berth__attempt attempt)
{
    berth__socket_set_error(socket, berth__class_of(ECHILD), ECHILD, attempt);
    return true;
}

berth_state berth_socket_state(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return (berth_state)socket->state;
}

bool berth_socket_is_valid(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return socket->state == BERTH_STATE_CONNECTED || socket->state == BERTH_STATE_CLOSING;
}

berth_error berth_socket_error(const berth_socket *socket)
{
    if (socket == NULL)
        return berth__class_of(errno);
    BERTH__OWN_THREAD(socket->object.loop);
    return (berth_error)socket->error;
}

bool berth_socket_was_reset(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return socket->was_reset;
}

static const char *attempt_text(const berth_socket *socket)
{
    static const char *const texts[] = {
        [BERTH__ATTEMPT_NOTHING] = "use the socket of",
        [BERTH__ATTEMPT_BIND] = "bind",
        [BERTH__ATTEMPT_CONNECT] = "connect to",
        [BERTH__ATTEMPT_ADOPT] = "adopt a descriptor for",
        [BERTH__ATTEMPT_READ] = "read from",
        [BERTH__ATTEMPT_WRITE] = "write to",
        [BERTH__ATTEMPT_WAIT] = "wait for",
        [BERTH__ATTEMPT_OPTION] = "use an option of the connection to",
        [BERTH__ATTEMPT_RELEASE] = "release the descriptor of the connection to",
        [BERTH__ATTEMPT_RATE] = "set a rate for the connection to",
        [BERTH__ATTEMPT_CREDENTIALS] = "get the credentials of",
        [BERTH__ATTEMPT_ENCRYPT] = "encrypt the connection to",
        [BERTH__ATTEMPT_DECRYPT] = "read from the encrypted connection to",
        [BERTH__ATTEMPT_CLOSE] = "send the rest of the output to",
        [BERTH__ATTEMPT_KEEP] = "keep the connection to",
    };
    return texts[socket->attempt];
}

/* Whether the loop has what the last attempt was refused. */
static bool knows_refused(const berth_socket *socket)
{
    const berth_loop *loop = socket->object.loop;
    return loop->refused.socket == socket && loop->refused.number == socket->error_number;
}

/* The attempt at an option, and its value; as attempt_text if another socket's was refused since.
 */
static const char *option_text(const berth_socket *socket, char *text, size_t size)
{
    static const char *const names[] = {
        [BERTH_OPTION_LOW_DELAY] = "LOW_DELAY",
        [BERTH_OPTION_KEEP_ALIVE] = "KEEP_ALIVE",
        [BERTH_OPTION_KEEP_ALIVE_IDLE] = "KEEP_ALIVE_IDLE",
        [BERTH_OPTION_KEEP_ALIVE_INTERVAL] = "KEEP_ALIVE_INTERVAL",
        [BERTH_OPTION_KEEP_ALIVE_COUNT] = "KEEP_ALIVE_COUNT",
        [BERTH_OPTION_TYPE_OF_SERVICE] = "TYPE_OF_SERVICE",
        [BERTH_OPTION_SEND_BUFFER_SIZE] = "SEND_BUFFER_SIZE",
        [BERTH_OPTION_RECEIVE_BUFFER_SIZE] = "RECEIVE_BUFFER_SIZE",
        [BERTH_OPTION_LINGER] = "LINGER",
        [BERTH_OPTION_USER_TIMEOUT] = "USER_TIMEOUT",
    };
    const berth_loop *loop = socket->object.loop;
    int option = loop->refused.option;
    char name[sizeof "option -2147483648"];
    if (!knows_refused(socket))
        return attempt_text(socket);
    snprintf(name, sizeof name, "option %d", option);
    const char *shown =
        option >= 0 && (size_t)option < sizeof names / sizeof names[0] ? names[option] : name;
    if (loop->refused.set)
        snprintf(text, size, "set %s to %d for the connection to", shown, loop->refused.value);
    else
        snprintf(text, size, "get %s of the connection to", shown);
    return text;
}

/* What could not be bound, unless there is no saying which of them is meant. */
static void describe_local(const berth_socket *socket, char *text, size_t size)
{
    const berth_loop *loop = socket->object.loop;
    const berth__remote *remote = socket->remote;
    bool asked = remote != NULL && socket->error != BERTH_ERROR_OPERATION &&
                 !berth_address_is_null(remote->address[BERTH__LOCAL]) &&
                 remote->address[BERTH__LOCAL].family != BERTH_ADDRESS_FAMILY_LOCAL;
    if (asked)
        berth_endpoint_format(remote->address[BERTH__LOCAL], remote->port[BERTH__LOCAL], text,
                              size);
    else if (knows_refused(socket) && !berth_address_is_null(loop->refused.address))
        berth_endpoint_format(loop->refused.address, loop->refused.port, text, size);
    else
        snprintf(text, size, "a local address");
}

/* What the last attempt was made on, as far as it is known. */
static void describe_peer(const berth_socket *socket, char *text, size_t size)
{
    const berth__remote *remote = socket->remote;
    bool target =
        socket->attempt == BERTH__ATTEMPT_CONNECT && remote != NULL && remote->target != NULL;
    berth_address address = BERTH_ADDRESS_NULL;
    uint16_t port = target ? remote->target_port : berth_socket_peer_port(socket);
    if (!target)
        address = berth_socket_peer_address(socket);
    if (!target && berth_address_is_null(address) && remote != NULL && remote->told) {
        address = remote->address[BERTH__PEER];
        port = remote->port[BERTH__PEER];
    }
    if (!target && berth_address_is_null(address) && remote != NULL && remote->target != NULL) {
        target = true; /* it is behind a proxy that has looked its name up */
        port = remote->target_port;
    }
    char name[LONGEST_NAME + 1];
    if (target && remote->by_path)
        snprintf(text, size, "%s",
                 remote->target[0] != '\0' ? berth__escape(remote->target, name, sizeof name)
                                           : "a Unix socket");
    else if (address.family == BERTH_ADDRESS_FAMILY_LOCAL)
        snprintf(text, size, "the peer of a Unix socket");
    else if (target && remote->target[0] == '\0')
        snprintf(text, size, "%s, port %u",
                 socket->error_number == EINVAL ? "the null address" : "an empty name",
                 (unsigned)port);
    else if (target && !berth_address_parse(remote->target, &address))
        snprintf(text, size, "%s:%u", berth__escape(remote->target, name, sizeof name),
                 (unsigned)port);
    else if (!berth_address_is_null(address))
        berth_endpoint_format(address, port, text, size);
    else
        snprintf(text, size, "the peer");
}

static void describe_reason(const berth_socket *socket, char *text, size_t size)
{
    int number = socket->error_number;
    const char *words = berth__reason_of(number);
    if (socket->attempt == BERTH__ATTEMPT_CONNECT && socket->remote != NULL &&
        socket->remote->by_path)
        words = berth__local_reason_of(number);
    if (socket->attempt == BERTH__ATTEMPT_CONNECT && number == EADDRNOTAVAIL)
        words = "no local address or port left"; /* EADDRNOTAVAIL is not about the target here */
    if (socket->attempt == BERTH__ATTEMPT_CONNECT && number == EALREADY)
        words = "it is connected, or about to be";
    if (socket->attempt == BERTH__ATTEMPT_OPTION && number == EINVAL)
        words = "no such option, or a value outside its range";
    if (socket->attempt == BERTH__ATTEMPT_RATE && number == EINVAL)
        words = "the rate belongs to another loop";
    if (socket->attempt == BERTH__ATTEMPT_RELEASE && number == EBUSY)
        words = "output has not been sent";
    if (socket->attempt == BERTH__ATTEMPT_RELEASE && number == ENOMEM && socket->holed)
        words = "input was lost for want of memory";
    if (socket->attempt == BERTH__ATTEMPT_RELEASE && number == EPROTO)
        words = "it is encrypted";
    if (socket->attempt == BERTH__ATTEMPT_ENCRYPT && number == EBUSY)
        words = "there is input that was not read, or output that bytes_written has not announced";
    if (socket->attempt == BERTH__ATTEMPT_ENCRYPT && number == EALREADY)
        words = "it is encrypted already";
    if (socket->attempt == BERTH__ATTEMPT_ENCRYPT && number == EINVAL)
        words = "the configuration is not for this side of a connection";
    bool by_engine =
        socket->attempt == BERTH__ATTEMPT_ENCRYPT || socket->attempt == BERTH__ATTEMPT_DECRYPT;
    if (by_engine && number == 0)
        snprintf(text, size, "%s", berth__secure_reason(socket));
    else if (socket->attempt == BERTH__ATTEMPT_KEEP)
        snprintf(text, size, "%s", berth__limit_text((berth__limit)number));
    else if (berth__is_refusal(number))
        berth__refusal_reason(number, text, size);
    else if (number == 0 && socket->error == BERTH_ERROR_REMOTE_HOST_CLOSED &&
             berth_socket_tls_was_truncated(socket))
        snprintf(text, size, "%s without close_notify",
                 berth_error_text(BERTH_ERROR_REMOTE_HOST_CLOSED));
    else if (number == 0)
        snprintf(text, size, "%s", berth_error_text((berth_error)socket->error));
    else if (socket->error == BERTH_ERROR_PROXY_CONNECTION_REFUSED)
        snprintf(text, size, "the proxy cannot be reached: %s", words);
    else
        snprintf(text, size, "%s", words);
}

const char *berth_socket_error_string(const berth_socket *socket)
{
    if (socket == NULL)
        return berth__reason_of_none(errno);
    BERTH__OWN_THREAD(socket->object.loop);
    berth_loop *loop = socket->object.loop;
    if (socket->error == BERTH_ERROR_NONE)
        return "";
    char peer[LONGEST_NAME + sizeof ":65535"];
    _Static_assert(sizeof peer >= BERTH_ENDPOINT_TEXT_SIZE, "an address is shorter than a name");
    char reason[BERTH__REFUSAL_TEXT_SIZE];
    const char *through = "";
    if (socket->attempt == BERTH__ATTEMPT_CONNECT && socket->remote != NULL &&
        socket->remote->through != NULL)
        through = socket->remote->through;
    if (socket->attempt == BERTH__ATTEMPT_BIND)
        describe_local(socket, peer, sizeof peer);
    else
        describe_peer(socket, peer, sizeof peer);
    describe_reason(socket, reason, sizeof reason);
    char option[80];
    const char *attempt = socket->attempt == BERTH__ATTEMPT_OPTION
                              ? option_text(socket, option, sizeof option)
                              : attempt_text(socket);
    snprintf(loop->text, sizeof loop->text, "cannot %s %s%s%s: %s", attempt, peer,
             through[0] != '\0' ? " through the " : "", through, reason);
    return loop->text;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void free_socket(berth__object *object)
{
    berth_socket_free((berth_socket *)object);
}

static void destroy(berth__object *object)
{
    berth_socket *socket = (berth_socket *)object;
    assert(socket->stream == NULL && socket->output.first == NULL);
    berth_loop *loop = socket->object.loop;
    if (socket->limits != NULL)
        berth__limits_free(socket);
    if (socket->remote != NULL) {
        berth__encryption_free(socket->remote->encryption);
        berth__remote_clear(socket->remote);
        berth__free_list_give(&loop->remotes, socket->remote);
    }
    berth__free_list_give(&loop->sockets, socket);
}

/* A send that was in flight was the parent's ring's, or waited for the parent's set: the output is
 * still there, and is sent anew. */
static void renew(berth__object *object)
{
    berth_socket *socket = (berth_socket *)object;
    berth_loop *loop = object->loop;
    berth__stream *stream = socket->stream;
    berth__connect_renew(berth__socket_connector(socket));
    if (stream == NULL)
        return;
    loop->backend->operations->renew_stream(loop->backend, stream);
    if (stream->sending && !(stream->ready.pending & BERTH__READY_SENT))
        stream->sending = false;
    if (berth__socket_unsent(socket))
        berth__loop_flush_later(loop, &socket->flush);
}

static const berth__kind socket_kind = {
    .number = BERTH__KIND_SOCKET, .free = free_socket, .destroy = destroy, .renew = renew};

static void settle(berth__flush *flush)
{
    berth__socket_settle((berth_socket *)((char *)flush - offsetof(berth_socket, flush)));
}

static bool unsent(const berth__flush *flush)
{
    const char *place = (const char *)flush;
    return berth__socket_unsent((const berth_socket *)(place - offsetof(berth_socket, flush)));
}

static void announce(berth__ready *ready)
{
    ready->given = false;
    berth__socket_announce_given(ready->owner);
}

berth_socket *berth__socket_make(berth_loop *loop, berth__object **list)
{
    berth_socket *socket = berth__free_list_take(&loop->sockets, sizeof *socket);
    if (socket == NULL)
        return NULL;
    socket->connect_timeout = BERTH_DEFAULT_CONNECT_TIMEOUT;
    socket->close_timeout = BERTH_DEFAULT_CLOSE_TIMEOUT;
    loop->settle = settle;
    loop->unsent = unsent;
    loop->announce = announce;
    berth__object_init(&socket->object, &socket_kind, loop, list);
    return socket;
}

berth_socket *berth_socket_new_sized(berth_loop *loop, const berth_socket_handlers *handlers,
                                     size_t size, void *user)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return NULL;
    BERTH__OWN_THREAD(loop);
    if (berth__loop_is_copy(loop))
        return NULL;
    berth_socket *socket = berth__socket_make(loop, &loop->objects);
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
    socket->object.handlers_size = (uint16_t)(size < sizeof *handlers ? size : sizeof *handlers);
    socket->user = user;
}

void *berth_socket_user(const berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    return socket->user;
}

berth_loop *berth_socket_loop(const berth_socket *socket)
{
    return socket->object.loop;
}

void berth__socket_count_end(atomic_size_t *ended)
{
    size_t count = atomic_load_explicit(ended, memory_order_relaxed);
    atomic_store_explicit(ended, count + 1, memory_order_relaxed);
}

static void report_end(berth_socket *socket)
{
    if (socket->of_worker)
        berth__socket_count_end(socket->object.loop->ended);
    socket->of_worker = false;
}

void berth_socket_detach(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.freed)
        return;
    berth__limits_uncount(socket);
    report_end(socket);
    berth__object_move(&socket->object, &socket->object.loop->objects);
}

static void abort_in(berth_socket *socket, berth__close_mode mode);

static void leave_queue(berth_socket *socket)
{
    if (!socket->pending)
        return;
    BERTH__COUNT(socket->owner->counts.dropped);
    socket->owner->left_queue(socket->owner, socket);
}

void berth_socket_free(berth_socket *socket)
{
    if (socket == NULL || socket->object.freed)
        return;
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->object.loop->abandoned)
        return;
    /* Nobody has read from it, wherever the bytes are by now. */
    bool unheard = socket->pending && socket->input.first != NULL;
    leave_queue(socket);
    berth__enter(&socket->object);
    /* A handler of the first end may have begun another connection; that one ends without a word.
     */
    abort_in(socket, unheard ? BERTH__CLOSE_RESET : BERTH__CLOSE_NORMAL);
    if (!socket->object.freed) {
        socket->handlers = NULL;
        berth_socket_abort(socket);
        leave_queue(socket); /* again, by a handler */
        berth__socket_drop_input(socket);
        berth__loop_flush_not(socket->object.loop, &socket->flush);
        report_end(socket);
        berth__discard(&socket->object);
    }
    berth__leave(&socket->object);
}

void berth_socket_free_in_handler(berth_socket *socket, void *user)
{
    BERTH__OWN_THREAD(socket->object.loop);
    (void)user;
    berth_socket_free(socket);
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void cancel_connect(berth_socket *socket)
{
    berth__connector *connector = berth__socket_connector(socket);
    if (connector == NULL)
        return;
    socket->remote->connector = NULL;
    berth__connect_cancel(connector);
}

berth__stream *berth__socket_let_go(berth_socket *socket, berth__chunk **ret_leased)
{
    berth_loop *loop = socket->object.loop;
    berth__stream *stream = socket->stream;
    cancel_connect(socket);
    berth__socket_stop_limit(socket);
    berth__limits_end(socket);
    *ret_leased = NULL;
    if (stream != NULL && stream->ready.secured)
        *ret_leased = berth__secure_let_go(socket);
    else if (stream != NULL && stream->sending)
        *ret_leased = berth__chain_detach_all(&socket->output);
    berth__chain_clear(&socket->output, &loop->pool);
    berth__loop_flush_not(loop, &socket->flush);
    if (stream != NULL && stream->receiving)
        loop->backend->operations->receive_stop(loop->backend, stream);
    if (stream != NULL && berth__socket_given(socket) > 0) /* which is not announced */
        berth__socket_count_sent(socket, berth__socket_given(socket));
    if (stream != NULL)
        stream->ready.given = false;
    if (socket->outcome != BERTH__OUTCOME_BROKEN)
        berth__socket_set_outcome(socket, BERTH__OUTCOME_NONE);
    /* Handlers of the end may turn the loop: a send that ends then is not the socket's any more. */
    if (stream != NULL)
        berth__loop_orphan_stream(loop, stream, *ret_leased);
    socket->stream = NULL;
    socket->end_held = socket->overflowed = false;
    socket->endings++;
    return stream;
}

void berth__socket_finish_reading(berth_socket *socket)
{
    if (socket->finished)
        return;
    socket->finished = true;
    BERTH__CALL(socket, read_channel_finished, socket);
}

/* The state becomes UNCONNECTED, where a handler may begin the next connection: what is announced
 * of this one must not be marked on that one. */
static void become_unconnected(berth_socket *socket)
{
    bool finished = socket->finished;
    socket->finished = true;
    berth__socket_set_state(socket, BERTH_STATE_UNCONNECTED);
    if (!finished)
        BERTH__CALL(socket, read_channel_finished, socket);
}

/* Forgets the names of a connection that is over; the text that was connected to stays, and so does
 * what the text of its last error says. */
static void forget_names(berth_socket *socket)
{
    berth__remote *remote = socket->remote;
    if (remote == NULL)
        return;
    remote->told = remote->known[BERTH__PEER] && socket->error != BERTH_ERROR_NONE;
    remote->known[BERTH__LOCAL] = remote->known[BERTH__PEER] = false;
}

/* Calls the handlers of the end, for a socket that has let go of its stream. */
static void announce_end(berth_socket *socket, berth__stream *stream)
{
    assert(stream != NULL);
    berth_loop *loop = socket->object.loop;
    berth__parting parting = {.outer = loop->partings, .owner = socket, .stream = stream};
    BERTH__PROBE4(end, socket, stream->descriptor, (int)socket->error, (int)socket->was_reset);
    loop->partings = &parting;
    become_unconnected(socket);
    BERTH__CALL(socket, disconnected, socket);
    loop->partings = parting.outer;
    if (socket->state == BERTH_STATE_UNCONNECTED)
        forget_names(socket);
}

static void end_at_once(berth_socket *socket, berth__close_mode mode)
{
    berth__chunk *leased;
    berth__stream *stream = berth__socket_let_go(socket, &leased);
    announce_end(socket, stream);
    berth__loop_close_stream(socket->object.loop, stream, leased, mode);
}

/* Whether BERTH_OPTION_LINGER is 0: then a graceful end is a reset too. */
BERTH__RARE static bool wants_reset(const berth_socket *socket)
{
    berth__backend *backend = socket->object.loop->backend;
    int seconds = -1;
    (void)backend->operations->option(backend, socket->stream->descriptor, BERTH_OPTION_LINGER,
                                      &seconds, false);
    socket->stream->lingers = seconds >= 0;
    return seconds == 0;
}

/* Whether the peer has to be shown the end before the handlers run: it still waits for it, or the
 * kernel holds the last segment back, or others may hold copies of the descriptor, which closing
 * would not end: of one that a program knows, or after a fork. */
static bool has_to_be_shown(const berth_socket *socket, bool known)
{
    return !socket->stream->ended || socket->corked || known || berth__copies_exist();
}

/* Whether closing the stream could destroy output: see lingering.h. Asked when the handlers of the
 * end have returned, since a peer may speak while they run. */
static bool could_lose(berth_loop *loop, const berth__stream *stream, bool heard)
{
    const berth__backend_operations *operations = loop->backend->operations;
    return heard || stream->ready.addressed || operations->input(loop->backend, stream) > 0 ||
           operations->has_unsent(loop->backend, stream);
}

static void end_gracefully(berth_socket *socket, bool known)
{
    berth_loop *loop = socket->object.loop;
    const berth__backend_operations *operations = loop->backend->operations;
    const berth__secure *secure = berth__secure_of(socket); /* whose records are no bytes of it */
    bool spoken = socket->spoken || secure != NULL;
    bool ended = socket->stream->ended;
    bool shown = !berth__loop_inherited(loop) && has_to_be_shown(socket, known) &&
                 operations->shutdown_send(loop->backend, socket->stream) == 0;
    bool may_linger = shown && spoken && socket->outcome != BERTH__OUTCOME_BROKEN && !ended;
    bool heard = socket->heard || (secure != NULL && secure->heard);
    bool answered = spoken && !heard && !known;
    berth__place place = {0};
    if (may_linger)
        place = berth__limits_take_place(socket);
    berth__chunk *leased;
    berth__stream *stream = berth__socket_let_go(socket, &leased);
    announce_end(socket, stream);
    if (may_linger && could_lose(loop, stream, heard)) {
        berth__linger(loop, stream, place);
        return;
    }
    berth__place_give_up(place);
    /* Else a peer that takes no notice of the end, and goes on sending, has to be stopped: a copy
     * of the descriptor would let it wait for ever. */
    bool alone = !berth__copies_exist();
    bool enough = shown ? ended || (answered && alone) : ended && alone;
    berth__loop_close_stream(loop, stream, leased,
                             enough ? BERTH__CLOSE_COPY : BERTH__CLOSE_NORMAL);
}

void berth__socket_end(berth_socket *socket)
{
    bool graceful = socket->state == BERTH_STATE_CLOSING && socket->output.first == NULL;
    bool known = socket->stream->lingers;
    if (graceful && socket->stream->ready.secured) {
        /* A failure of this send ends nothing that does not end anyway. */
        if (berth__secure_say_end(socket) == EINPROGRESS) {
            berth__socket_send_rest(socket);
            return;
        }
        graceful = !socket->stream->sending; /* what was given up is lost */
    }
    if (known && wants_reset(socket))
        end_at_once(socket, BERTH__CLOSE_RESET);
    else if (graceful)
        end_gracefully(socket, known);
    else
        end_at_once(socket, BERTH__CLOSE_NORMAL);
}

void berth__socket_drop(berth_socket *socket, berth__close_mode mode)
{
    end_at_once(socket, mode);
}

void berth_socket_disconnect_from_host(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    if (socket->state == BERTH_STATE_HOST_LOOKUP || socket->state == BERTH_STATE_CONNECTING)
        socket->leaving = true;
    /* What a child has of a connection is a copy, of which only the descriptor is closed. */
    if (socket->state == BERTH_STATE_BOUND || socket->object.loop->inherited) {
        berth_socket_abort(socket); /* whose handlers may have freed it */
        return;
    }
    if (socket->state != BERTH_STATE_CONNECTED)
        return;
    berth__enter(&socket->object);
    uint32_t endings = socket->endings;
    berth__socket_set_state(socket, BERTH_STATE_CLOSING);
    if (socket->endings == endings) {
        berth__socket_pace(socket);
        if (!berth__socket_has_output(socket))
            berth__socket_end(socket);
        else if (socket->output.first == NULL && berth__socket_given(socket) > 0 &&
                 !socket->in_bytes_written)
            berth__socket_settle(socket); /* the kernel has it all: announced, it ends here too */
        else
            berth__socket_send_rest(socket);
    }
    berth__leave(&socket->object);
}

void berth_socket_close(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    berth__socket_drop_input(socket);
    if (socket->state == BERTH_STATE_UNCONNECTED)
        return;
    socket->closed = true;
    berth_socket_disconnect_from_host(socket);
}

static void abort_in(berth_socket *socket, berth__close_mode mode)
{
    berth_loop *loop = socket->object.loop;
    BERTH__OWN_THREAD(loop);
    if (socket->state == BERTH_STATE_UNCONNECTED || loop->abandoned)
        return;
    berth__enter(&socket->object);
    berth__socket_drop_input(socket);
    if (berth_socket_is_valid(socket)) {
        end_at_once(socket, mode);
    } else {
        berth__chunk *leased;
        berth__stream *stream = berth__socket_let_go(socket, &leased);
        if (stream != NULL)
            berth__loop_close_stream(loop, stream, leased, mode);
        forget_names(socket);
        become_unconnected(socket);
    }
    berth__leave(&socket->object);
}

void berth_socket_abort(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    abort_in(socket, BERTH__CLOSE_NORMAL);
}

void berth_socket_reset(berth_socket *socket)
{
    BERTH__OWN_THREAD(socket->object.loop);
    abort_in(socket, BERTH__CLOSE_RESET);
}

/* ---- giving the descriptor away -------------------------------------------------------------- */

/* Whether it can be: an errno. Output that the kernel has not taken would be lost. */
static int may_release(berth_socket *socket)
{
    if (socket->state != BERTH_STATE_CONNECTED || socket->object.freed || socket->pending)
        return ENOTCONN;
    if (berth__loop_inherited(socket->object.loop))
        return ECHILD;
    /* A reset that only this socket can distinguish from an end: it came in the queue, or is just
     * being announced. */
    if (socket->input_ended && socket->stream->error != 0)
        return socket->stream->error;
    if (socket->stream->ready.secured)
        return EPROTO;
    if (socket->holed) /* what follows would be taken for what was lost */
        return berth__socket_cannot_send(socket) ? -socket->stream->ready.result : ENOMEM;
    if (socket->output.first != NULL)
        (void)berth_socket_flush(socket);
    int failure = berth__socket_cannot_send(socket) ? -socket->stream->ready.result : 0;
    if (failure > 0) /* announced or not: there is nothing to wait for */
        return failure;
    return socket->output.first != NULL || berth__socket_cannot_send(socket) ? EBUSY : 0;
}

/* Takes the descriptor out of the backend, and what was received into the input. A negative errno
 * if it cannot be. */
static int take_descriptor(berth_socket *socket)
{
    berth_loop *loop = socket->object.loop;
    if (!berth__chain_end_loan(&socket->input, &loop->pool)) {
        berth__socket_end_by_hole(socket);
        return -ENOMEM;
    }
    berth__chain rest = {0};
    int descriptor = loop->backend->operations->release(loop->backend, socket->stream, &rest);
    berth__chain_join(&socket->input, &rest);
    return descriptor;
}

/* The end of berth_socket_shutdown_send follows the output, which the kernel may have taken just
 * now; whoever gets the descriptor does not know that it is owed. */
static void show_owed_end(const berth_socket *socket)
{
    berth__backend *backend = socket->object.loop->backend;
    if (socket->shut)
        (void)backend->operations->shutdown_send(backend, socket->stream);
}

int berth_socket_release(berth_socket *socket)
{
    berth_loop *loop = socket->object.loop;
    BERTH__OWN_THREAD(loop);
    int error = may_release(socket);
    int descriptor = -1;
    berth__enter(&socket->object);
    uint32_t endings = socket->endings;
    if (error == 0) {
        (void)berth_socket_peer_address(socket); /* which `disconnected` may still ask for */
        (void)berth_socket_local_address(socket);
        show_owed_end(socket);
        descriptor = take_descriptor(socket);
        berth__numbers_remove(&loop->numbers, descriptor);
        error = descriptor < 0 ? -descriptor : 0;
    }
    if (error != 0 && socket->endings == endings) {
        berth__socket_set_error(socket, BERTH_ERROR_OPERATION, error, BERTH__ATTEMPT_RELEASE);
    } else if (error == 0) {
        berth__chunk *leased;
        berth__stream *stream = berth__socket_let_go(socket, &leased);
        announce_end(socket, stream);
        berth__loop_touch(loop);
    }
    berth__leave(&socket->object);
    return descriptor >= 0 ? descriptor : -1;
}
