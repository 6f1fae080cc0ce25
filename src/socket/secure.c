/*
 * Encrypted connections; see secure.h.
 *
 * What the engine does with the bytes of the peer is in `go_through`, and only there is it given
 * any. It calls handlers: those of a socket for plaintext and its end, `encrypted`, `verify_peer`,
 * and the owner's `shaken`. Any of them may end the connection or free the socket; then this record
 * lives until the frames that use it are gone, and `socket` is NULL.
 *
 * Bytes of one delivery are decrypted into a buffer of the loop, as many as it has room for, and
 * are delivered together. So what a handler answers to several small records leaves in one.
 *
 * Handlers called here: encrypted, verify_peer, and those of the input and the end.
 */
#include "secure.h"

#include "base/idn.h"
#include "base/memory.h"
#include "loop/lingering.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    SCRATCH = BERTH__SECURE_SCRATCH,
    BATCH = 4 * BERTH__ENGINE_RECORD, /* of plaintext that are encrypted before they are sent, */
    MOST_SENT = 16 * BERTH__ENGINE_RECORD, /* and sent in one call */
    MOST_OWED = 8 * BERTH__ENGINE_RECORD,  /* that a peer may have been answered and not taken */
    MOST_THROWN = BERTH__LINGER_BYTES      /* of the peer, behind its end or a failure */
};

static berth__backend *backend_of(const berth_socket *socket)
{
    return socket->object.loop->backend;
}

/* Of a socket whose connection is known to be encrypted. */
static berth__secure *here(const berth_socket *socket)
{
    return socket->remote->encryption->secure;
}

/* ---- the record ------------------------------------------------------------------------------ */

static void enter(berth__secure *secure)
{
    secure->frames++;
}

static void leave(berth__secure *secure)
{
    if (--secure->frames > 0 || secure->socket != NULL)
        return;
    secure->tls->operations->free(secure->engine);
    berth_tls_release(secure->tls);
    berth__release(secure);
}

static bool emit(void *sink, const void *data, size_t size)
{
    berth__secure *secure = sink;
    if (secure->socket == NULL || secure->mute) /* let go inside the engine; nothing may follow */
        return true;
    return berth__chain_append(&secure->sealed, &secure->socket->object.loop->pool, data, size);
}

berth__chunk *berth__secure_let_go(berth_socket *socket)
{
    berth__secure *secure = here(socket);
    berth_loop *loop = socket->object.loop;
    berth__chunk *leased = NULL;
    if (socket->stream->sending)
        leased = berth__chain_detach_all(&secure->sealed);
    berth__chain_clear(&secure->sealed, &loop->pool);
    berth__chain_clear(&secure->held, &loop->pool);
    berth__deadline_stop(&loop->deadlines, &secure->limit);
    berth__deadlines_unreserve(&loop->deadlines);
    if (secure->due > 0)
        berth__loop_time_end(loop);
    berth__secure_is_gone(secure);
    socket->stream->ready.secured = false;
    socket->remote->encryption->secure = NULL;
    enter(secure);
    secure->socket = NULL;
    leave(secure);
    return leased;
}

/* ---- output ---------------------------------------------------------------------------------- */

/* Copies bytes of the output from a place on, those of files too. Returns how many, or a negative
 * errno. */
static ptrdiff_t gather(const berth_socket *socket, size_t place, uint8_t *data, size_t size)
{
    berth__backend *backend = backend_of(socket);
    size_t done = 0;
    const berth__chunk *chunk = socket->output.first;
    for (; chunk != NULL && done < size; chunk = chunk->next) {
        size_t length = chunk->end - chunk->start;
        if (place >= length) {
            place -= length;
            continue;
        }
        size_t part = length - place < size - done ? length - place : size - done;
        ptrdiff_t got = (ptrdiff_t)part;
        if (chunk->bytes != NULL)
            memcpy(data + done, chunk->bytes + chunk->start + place, part);
        else
            got = backend->operations->read_file(backend, chunk->file, data + done, part,
                                                 chunk->offset + chunk->start + place);
        if (got <= 0)
            return got == 0 ? -ENODATA : got;
        done += (size_t)got;
        if ((size_t)got < part)
            break;
        place = 0;
    }
    return (ptrdiff_t)done;
}

/* The bytes of the output from a place on, where a record of them needs no copy; else NULL. */
static const uint8_t *in_one_piece(const berth_socket *socket, size_t place, size_t size)
{
    for (const berth__chunk *chunk = socket->output.first; chunk != NULL; chunk = chunk->next) {
        size_t length = chunk->end - chunk->start;
        if (place < length)
            return chunk->bytes != NULL && length - place >= size
                       ? chunk->bytes + chunk->start + place
                       : NULL;
        place -= length;
    }
    return NULL;
}

/* Encrypts a record of the output from a place on. Returns how many bytes of it, or a negative
 * errno. */
static ptrdiff_t seal_record(berth_socket *socket, berth__secure *secure, size_t place, size_t size)
{
    berth_loop *loop = socket->object.loop;
    berth__engine_io io = {.emit = emit, .sink = secure};
    const uint8_t *data = in_one_piece(socket, place, size);
    berth__secure_is_busy(secure);
    uint8_t *scratch = NULL;
    ptrdiff_t count = (ptrdiff_t)size;
    if (data == NULL) {
        scratch = berth__secure_take_scratch(loop);
        count = scratch != NULL ? gather(socket, place, scratch, size) : -ENOMEM;
        data = scratch;
    }
    if (secure->unable)
        count = -ENOMEM;
    else if (count > 0)
        count = secure->tls->operations->seal(secure->engine, data, (size_t)count, &io);
    if (count == -1) { /* the engine has failed, and is not asked again */
        secure->unable = true;
        count = -ENOMEM;
    }
    if (scratch != NULL)
        berth__secure_give_scratch(loop, scratch);
    return count;
}

/* Encrypts what may go of the output behind `place`, a batch at most. Returns 0 or a negative
 * errno. */
static int seal(berth_socket *socket, berth__secure *secure, size_t place, size_t most)
{
    size_t output = berth__chain_size(&socket->output);
    most = most < output ? most : output;
    while (place + secure->sealing < most && secure->sealing < BATCH) {
        size_t size = most - place - secure->sealing;
        ptrdiff_t count = seal_record(socket, secure, place + secure->sealing,
                                      size < BERTH__ENGINE_RECORD ? size : BERTH__ENGINE_RECORD);
        if (count < 0)
            return (int)count;
        secure->sealing += (size_t)count;
    }
    return 0;
}

/* The kernel has taken some. Returns how many bytes of the output have gone with it. */
static size_t taken(berth__secure *secure, size_t size)
{
    berth_socket *socket = secure->socket;
    berth__chain_consume(&secure->sealed, &socket->object.loop->pool, size);
    if (size > 0) {
        socket->spoken = true;
        berth__limits_moved(socket, size);
    }
    if (secure->sealed.first != NULL)
        return 0;
    size_t gone = secure->sealing;
    secure->sealing = 0;
    return gone;
}

static void append_end(berth__secure *secure)
{
    berth__engine_io io = {.emit = emit, .sink = secure};
    secure->said = true;
    if (!secure->failed && !secure->unable)
        secure->tls->operations->end(secure->engine, &io);
    secure->mute = true;
}

/* Whether the output can be encrypted. */
static bool may_seal(const berth_socket *socket, const berth__secure *secure)
{
    return secure->open && !secure->failed && !secure->said && socket->output.first != NULL;
}

/* Gives the kernel what is sealed. Returns what the operation `send` does, or, if nothing may be
 * left in flight, how much it has taken. */
static ptrdiff_t give(const berth_socket *socket, bool at_once, bool more)
{
    berth__backend *backend = backend_of(socket);
    berth__stream *stream = socket->stream;
    const berth__chunk *first = here(socket)->sealed.first;
    if (!at_once)
        return backend->operations->send(backend, stream, first, first->size,
                                         more ? BERTH__SEND_MORE : BERTH__SEND_ONLY);
    ptrdiff_t result =
        backend->operations->put_chunks(backend, stream->descriptor, first, first->size);
    return result == -EAGAIN ? 0 : result;
}

/* See berth__secure_send; `at_once`: and berth__secure_put. */
static ptrdiff_t send_batches(berth_socket *socket, size_t most, bool ending, bool at_once)
{
    berth__secure *secure = here(socket);
    size_t gone = 0;
    while (gone < (at_once ? most : MOST_SENT)) {
        /* Behind a flight of the handshake there may be output, which goes with it. */
        if (secure->sealing == 0 && gone < most && may_seal(socket, secure)) {
            int error = seal(socket, secure, gone, most);
            if (error != 0)
                return gone > 0 ? (ptrdiff_t)gone : error;
        }
        if (ending && gone + secure->sealing == berth__chain_size(&socket->output) &&
            secure->open && !secure->said)
            append_end(secure);
        if (secure->sealed.first == NULL)
            break;
        bool more = !secure->said && may_seal(socket, secure) &&
                    gone + secure->sealing < berth__chain_size(&socket->output);
        ptrdiff_t result = give(socket, at_once, more);
        if (result <= 0)
            return gone > 0 ? (ptrdiff_t)gone : result;
        gone += taken(secure, (size_t)result);
    }
    return (ptrdiff_t)gone;
}

ptrdiff_t berth__secure_send(berth_socket *socket, size_t most, bool ending)
{
    return send_batches(socket, most, ending, false);
}

ptrdiff_t berth__secure_put(berth_socket *socket, size_t most)
{
    return send_batches(socket, most, false, true);
}

bool berth__secure_unsent(const berth_socket *socket)
{
    const berth__secure *secure = here(socket);
    return secure->sealed.first != NULL || may_seal(socket, secure);
}

/* Sends what is sealed, and encrypts nothing for it. */
static ptrdiff_t push(berth_socket *socket, berth__secure *secure)
{
    berth__backend *backend = backend_of(socket);
    size_t gone = 0;
    /* Where the end follows, what is in front of it goes inside the call: the end waits for it, and
     * so may a program that exits when it has heard of a failure. */
    bool last = secure->said || (secure->failed && (secure->told || !socket->pending));
    while (secure->sealed.first != NULL && !socket->stream->sending) {
        const berth__chunk *first = secure->sealed.first;
        socket->corked = socket->corked || last;
        ptrdiff_t result = backend->operations->send(backend, socket->stream, first, first->size,
                                                     last ? BERTH__SEND_LAST : BERTH__SEND_ONLY);
        if (result < 0)
            return result;
        gone += taken(secure, (size_t)result);
    }
    return (ptrdiff_t)gone;
}

int berth__secure_say_end(berth_socket *socket)
{
    berth__secure *secure = here(socket);
    if (!secure->said && !berth__socket_cannot_send(socket))
        append_end(secure);
    socket->stream->ready.paced = false; /* the output has gone, and this may wait for room */
    ptrdiff_t result = berth__socket_cannot_send(socket) ? 0 : push(socket, secure);
    if (result < 0)
        return (int)result;
    bool follows = !berth__socket_cannot_send(socket) && secure->sealed.first != NULL;
    return follows && !secure->late ? EINPROGRESS : 0;
}

void berth__secure_give_up(berth_socket *socket)
{
    here(socket)->late = true;
}

/* The connection breaks while it waits to send an alert, behind a failure that was announced. */
static void end_unheard(berth_socket *socket, berth__secure *secure, int error)
{
    berth__enter(&socket->object);
    socket->was_reset = berth__socket_is_reset(error);
    secure->late = true;
    berth__socket_end(socket);
    berth__leave(&socket->object);
}

/* The kernel has taken some, and the rest waits for it. */
static void go_on_waiting(berth_socket *socket)
{
    if (socket->state != BERTH_STATE_CLOSING)
        return;
    berth__enter(&socket->object);
    berth__socket_send_rest(socket);
    berth__leave(&socket->object);
}

static void sent(berth__stream *stream, ptrdiff_t result)
{
    berth_socket *socket = stream->ready.owner;
    berth__secure *secure = here(socket);
    /* There may be room now only: for output, it needs tokens again. */
    if (result > 0 || (result == 0 && secure->sealing == 0)) {
        size_t gone = taken(secure, (size_t)result);
        result = push(socket, secure);
        if (stream->sending) {
            go_on_waiting(socket);
            return;
        }
        result = result < 0 ? result : result + (ptrdiff_t)gone;
    }
    berth__socket_sent(stream, result);
}

/* ---- input ----------------------------------------------------------------------------------- */

bool berth__secure_shakes(const berth_socket *socket)
{
    const berth__secure *secure = berth__secure_of(socket);
    return secure != NULL && !secure->open;
}

bool berth__secure_owes(const berth_socket *socket)
{
    const berth__secure *secure = berth__secure_of(socket);
    return secure != NULL && !secure->told && !secure->failed &&
           (secure->held.first != NULL || secure->full || secure->ended || secure->closed);
}

bool berth__secure_is_used_up(const berth_socket *socket)
{
    const berth__secure *secure = berth__secure_of(socket);
    return secure != NULL && socket->end_held && !secure->told && !socket->holed &&
           !berth__secure_owes(socket);
}

/* How much plaintext may be delivered now. */
static size_t room_for(berth_socket *socket, const berth__secure *secure)
{
    return secure->open ? berth__socket_room_of(socket, SCRATCH) : SCRATCH;
}

/* Has the engine use held bytes until there is a result, or as much plaintext as there is room for.
 * `ret_size`: how much that is, which comes before the result. */
static berth__engine_result advance(berth__secure *secure,
                                    uint8_t *plain, /* NOLINT(readability-non-const-parameter) */
                                    size_t room, size_t *ret_size)
{
    berth__pool *pool = &secure->socket->object.loop->pool;
    berth__engine_result result = BERTH__ENGINE_MORE;
    *ret_size = 0;
    do {
        size_t size;
        const uint8_t *input = berth__chain_at(&secure->held, 0, &size);
        berth__engine_io io = {.input = input,
                               .input_size = size,
                               .plain = plain + *ret_size,
                               .room = room - *ret_size,
                               .emit = emit,
                               .sink = secure};
        secure->inside = true;
        result = secure->tls->operations->advance(secure->engine, &io);
        secure->inside = false;
        if (secure->socket == NULL)
            return result;
        if (secure->stopped)
            berth__socket_pace(secure->socket);
        secure->stopped = false;
        *ret_size += io.plain_size;
        berth__chain_consume(&secure->held, pool, size - io.input_size);
        bool more =
            result == BERTH__ENGINE_MORE && secure->held.first != NULL && io.input_size < size;
        if (!more && result != BERTH__ENGINE_PLAIN)
            break;
    } while (*ret_size < room);
    return result;
}

/* What is sealed goes behind the handler, with what that writes: at the latest when the loop turns,
 * also inside it, since the peer may wait for it. */
static void send_later(berth_socket *socket, const berth__secure *secure)
{
    if (secure->sealed.first != NULL && !socket->stream->sending)
        berth__loop_flush_later(socket->object.loop, &socket->flush);
}

/* How the stream has ended: the error of a reset is reported once, and a send may have taken it. */
static int error_of_end(const berth_socket *socket, const berth__secure *secure)
{
    return secure->error != 0 ? secure->error : berth__socket_error_of_send(socket);
}

/* The end of the peer's direction: orderly, or that of the stream. */
static void tell_end(berth_socket *socket, berth__secure *secure)
{
    bool cut = !secure->ended && secure->open;
    secure->told = true;
    int error = secure->ended ? 0 : error_of_end(socket, secure);
    if (cut)
        socket->remote->encryption->truncated = true;
    if (cut && error == 0 && secure->tls->stop_at_truncation)
        error = EBADMSG;
    if (error != 0)
        socket->stream->error = (int16_t)error;
    send_later(socket, secure);
    berth__socket_events.receive_ended(socket->stream, error);
}

static void opened(berth_socket *socket, berth__secure *secure)
{
    uint32_t endings = socket->endings;
    secure->open = true;
    if (socket->output.first != NULL) /* what was written before: in a turn inside, too */
        berth__loop_flush_later(socket->object.loop, &socket->flush);
    send_later(socket, secure);
    berth__deadline_stop(&socket->object.loop->deadlines, &secure->limit);
    berth__socket_pace(socket);
    berth__owner *owner = secure->owner;
    secure->owner = NULL;
    if (owner != NULL) {
        owner->shaken(owner, socket, NULL);
    } else {
        BERTH__CALL(socket, encrypted, socket);
    }
    if (socket->endings != endings)
        return;
    if (socket->shut && socket->output.first == NULL)
        berth__socket_end_direction(socket);
}

/* Ends the connection, so that the peer gets the alert that tells it why. */
static void end_failed(berth_socket *socket)
{
    uint32_t endings = socket->endings;
    berth__chain_clear(&socket->output, &socket->object.loop->pool);
    if (socket->state == BERTH_STATE_CONNECTED)
        berth__socket_set_state(socket, BERTH_STATE_CLOSING);
    if (socket->endings == endings)
        berth__socket_end(socket);
}

static void note_failure(berth__secure *secure, berth_error class, const char *text)
{
    berth__encryption *encryption = secure->socket->remote->encryption;
    berth__release(encryption->failure);
    encryption->failure = berth__copy_text(text);
    secure->class = class;
}

static void announce(berth_socket *socket, const berth__secure *secure)
{
    berth__socket_note_peer(socket);
    berth__socket_fail(socket, secure->class, 0,
                       secure->open ? BERTH__ATTEMPT_DECRYPT : BERTH__ATTEMPT_ENCRYPT);
}

void berth__secure_announce_failure(berth_socket *socket)
{
    uint32_t endings = socket->endings;
    here(socket)->told = true;
    announce(socket, here(socket));
    if (socket->endings == endings)
        end_failed(socket);
}

static void fail(berth_socket *socket, berth__secure *secure, const berth__engine_failure *failure)
{
    bool waits = socket->pending && secure->owner == NULL; /* until somebody has taken it */
    secure->failed = true;
    secure->told = !waits;
    socket->end_held = waits; /* else nothing is owed: a turn inside a handler is to know */
    socket->holed = socket->holed || waits;
    socket->remote->encryption->truncated = secure->open;
    if (!berth__socket_cannot_send(socket))
        (void)push(socket, secure);
    berth__owner *owner = secure->owner;
    secure->owner = NULL;
    if (owner != NULL) {
        end_failed(socket);
        owner->shaken(owner, socket, failure);
        return;
    }
    note_failure(secure, failure->class, failure->text);
    if (waits)
        berth__socket_pace(socket);
    else
        berth__secure_announce_failure(socket);
}

static void fail_by(berth_socket *socket, berth__secure *secure, berth_error class,
                    const char *text)
{
    berth__engine_failure failure = {.class = class};
    strncpy(failure.text, text, sizeof failure.text - 1);
    fail(socket, secure, &failure);
}

bool berth__secure_fail_guest(berth_socket *socket, berth_error class, const char *reason)
{
    berth__secure *secure = berth__secure_of(socket);
    berth__engine_failure failure = {.class = class};
    if (secure == NULL || secure->owner == NULL)
        return false;
    (void)snprintf(failure.text, sizeof failure.text,
                   "the connection failed during the TLS handshake: %s", reason);
    berth__enter(&socket->object);
    enter(secure);
    fail(socket, secure, &failure);
    leave(secure);
    berth__leave(&socket->object);
    return true;
}

/* The stream has ended before the handshake was complete. */
static void fail_by_end(berth_socket *socket, berth__secure *secure)
{
    if (error_of_end(socket, secure) == 0)
        fail_by(socket, secure, BERTH_ERROR_TLS_HANDSHAKE_FAILED,
                "the peer ended the connection during the TLS handshake");
    else
        fail_by(socket, secure, BERTH_ERROR_TLS_HANDSHAKE_FAILED,
                "the connection was reset during the TLS handshake");
}

/* The peer has ended its direction, which is due, see settle_input: also in a turn or a wait inside
 * the handler that is called for what came before. */
static void note_end(berth_socket *socket, berth__secure *secure)
{
    secure->ended = socket->end_held = true;
    berth__chain_clear(&secure->held, &socket->object.loop->pool);
    secure->full = false;
}

/* What has come of the engine's result. Returns whether to go on. */
static bool act(berth_socket *socket, berth__secure *secure, berth__engine_result result)
{
    if (secure->told) /* in a turn inside a handler */
        return false;
    if (result == BERTH__ENGINE_OPENED) {
        opened(socket, secure);
        return true;
    }
    if (result == BERTH__ENGINE_ENDED)
        return false;
    if (result == BERTH__ENGINE_FAILED) {
        fail(socket, secure, secure->tls->operations->failure(secure->engine));
        return false;
    }
    return secure->held.first != NULL || secure->full;
}

/* Whether the engine has answered a peer (to updates of keys and the like) that takes nothing. */
static bool owes_too_much(const berth__secure *secure, size_t before)
{
    size_t owed = berth__chain_size(&secure->sealed);
    return owed > before && owed > MOST_OWED;
}

/* One step of the input. Returns whether there may be another. */
static bool step_input(berth_socket *socket, berth__secure *secure, uint8_t *scratch)
{
    size_t room = room_for(socket, secure);
    size_t size;
    if (room == 0)
        return false;
    bool open = secure->open;
    size_t owed = berth__chain_size(&secure->sealed);
    berth__engine_result result = advance(secure, scratch, room, &size);
    if (secure->socket == NULL)
        return false;
    bool floods = open && owes_too_much(secure, owed);
    secure->full = result == BERTH__ENGINE_PLAIN;
    if (result == BERTH__ENGINE_FAILED)
        secure->failed = true; /* handlers of what came before seal nothing */
    else if (result == BERTH__ENGINE_ENDED)
        note_end(socket, secure);
    if (berth__secure_is_used_up(socket)) { /* a handler of what comes now may ask for more */
        socket->end_held = false;
        berth__socket_pace(socket);
    }
    if (size > 0) {
        send_later(socket, secure);
        berth__socket_events.received(socket->stream, scratch, size);
    } else if (open) {
        berth__socket_room_unused(socket->stream);
    }
    if (secure->socket == NULL)
        return false;
    if (floods && !secure->told && result != BERTH__ENGINE_FAILED) {
        fail_by(socket, secure, BERTH_ERROR_NETWORK, "the peer does not take what it is answered");
        return false;
    }
    return act(socket, secure, result) && secure->socket != NULL;
}

/* What is left of the input when nothing of it is wanted, or all is used: it waits, or its end is
 * due. */
static void settle_input(berth_socket *socket, berth__secure *secure)
{
    berth__backend *backend = backend_of(socket);
    if (secure->told || secure->failed || secure->unable || socket->holed)
        return;
    bool waits = secure->held.first != NULL || secure->full;
    if (waits || (secure->ended && socket->paused)) { /* by a handler of what came before */
        socket->end_held = true;
        if (socket->stream->receiving)
            backend->operations->receive_stop(backend, socket->stream);
    } else if (secure->ended || secure->closed) {
        socket->end_held = false;
        if (secure->ended || secure->open)
            tell_end(socket, secure);
        else
            fail_by_end(socket, secure);
    } else if (socket->end_held) { /* what waited was used before it was looked for */
        socket->end_held = false;
        berth__socket_pace(socket);
    }
}

/* Lets held bytes through the engine, as far as they are wanted. To be called between
 * berth__enter and berth__leave of the socket. */
static void go_through(berth_socket *socket, berth__secure *secure)
{
    berth_loop *loop = socket->object.loop;
    uint8_t *scratch = berth__secure_take_scratch(loop);
    berth__secure_is_busy(secure);
    if (scratch == NULL) {
        fail_by(socket, secure, BERTH_ERROR_SOCKET_RESOURCE, "out of memory");
        return;
    }
    bool more = !secure->failed && !secure->told && !secure->ended && !secure->unable;
    while (more)
        more = step_input(socket, secure, scratch) && !secure->unable;
    berth__secure_give_scratch(loop, scratch);
    if (secure->socket == NULL)
        return;
    settle_input(socket, secure);
    bool waits = secure->socket != NULL && secure->sealed.first != NULL && !socket->stream->sending;
    if (!waits)
        return;
    if (socket->flush.link != NULL && !socket->paced) /* output follows, and goes with it */
        return;
    if (berth__socket_cannot_send(socket)) {
        berth__chain_clear(&secure->sealed, &loop->pool);
        secure->sealing = 0;
        return;
    }
    ptrdiff_t result = push(socket, secure);
    if (result != 0)
        berth__socket_sent(socket->stream, result);
}

/* Bytes that have come behind the end or a failure. Output may wait for a long time there, an alert
 * too; whoever does nothing but send meanwhile is not waited for. */
static void throw_away(berth_socket *socket, berth__secure *secure, size_t size)
{
    uint32_t endings = socket->endings;
    if (secure->thrown < MOST_THROWN)
        secure->thrown += (uint32_t)size;
    if (secure->thrown < MOST_THROWN || !secure->told || socket->pending)
        return;
    berth__enter(&socket->object);
    enter(secure);
    if (!secure->failed) {
        secure->failed = true; /* nothing is encrypted any more */
        note_failure(secure, BERTH_ERROR_NETWORK, "the peer goes on sending behind its end");
        announce(socket, secure);
    }
    if (socket->endings == endings)
        berth__socket_drop(socket, BERTH__CLOSE_RESET);
    leave(secure);
    berth__leave(&socket->object);
}

static void received(berth__stream *stream, const void *data, size_t size)
{
    berth_socket *socket = stream->ready.owner;
    berth__secure *secure = here(socket);
    berth__pool *pool = &socket->object.loop->pool;
    secure->heard = true;
    if (secure->ended || secure->failed || secure->unable) {
        throw_away(socket, secure, size);
        return;
    }
    berth__enter(&socket->object);
    enter(secure);
    /* In a nested turn bytes of the delivery around it are still to be used, before these. */
    bool whole = berth__chain_end_loan(&secure->held, pool);
    if (whole && secure->inside) { /* it is not asked again while it asks the program */
        berth__backend *backend = backend_of(socket);
        whole = berth__chain_append(&secure->held, pool, data, size);
        backend->operations->receive_stop(backend, stream);
        secure->stopped = true;
    } else if (whole) {
        berth__chunk view;
        berth__chain_lend(&secure->held, &view, data, size);
        go_through(socket, secure);
        whole = secure->socket == NULL || berth__chain_end_loan(&secure->held, pool);
    }
    if (!whole)
        berth__socket_end_by_hole(socket);
    leave(secure);
    berth__leave(&socket->object);
}

static void receive_ended(berth__stream *stream, int error)
{
    berth_socket *socket = stream->ready.owner;
    berth__secure *secure = here(socket);
    /* It has ended orderly before; but a send may have taken the error of a reset from the kernel.
     */
    if (secure->told && error == 0 && !berth__socket_cannot_send(socket))
        return;
    secure->closed = true;
    secure->error = error;
    if (secure->unable && (error != 0 || berth__socket_cannot_send(socket)))
        secure->told = true; /* as it is: no record that cannot be encrypted will tell of it */
    if (berth__secure_has_failed(socket)) {
        end_unheard(socket, secure, error);
        return;
    }
    if (secure->told) {
        berth__socket_events.receive_ended(stream, error);
        return;
    }
    berth__enter(&socket->object);
    enter(secure);
    settle_input(socket, secure);
    leave(secure);
    berth__leave(&socket->object);
}

bool berth__secure_deliver(berth_socket *socket)
{
    berth__secure *secure = here(socket);
    uint32_t endings = socket->endings;
    if (secure->inside)
        return true;
    socket->end_held = false;
    berth__enter(&socket->object);
    enter(secure);
    go_through(socket, secure);
    bool goes_on = socket->endings == endings;
    if (goes_on)
        berth__socket_pace(socket);
    leave(secure);
    return berth__leave(&socket->object) && goes_on;
}

/* A stream takes in as much as comes: what is wanted of it is for the plaintext to say. */
static size_t any_room(berth__stream *stream)
{
    (void)stream;
    return SIZE_MAX;
}

static void no_tokens(berth__stream *stream)
{
    (void)stream;
}

static const berth__stream_events secure_events = {
    .received = received,
    .receive_ended = receive_ended,
    .room = any_room,
    .room_unused = no_tokens,
    .sent = sent,
};

/* ---- the beginning --------------------------------------------------------------------------- */

static bool ask_program(void *context, const berth_tls_problem *problem)
{
    const berth__secure *secure = context;
    berth_socket *socket = secure->socket;
    if (socket == NULL || socket->object.freed || socket->object.loop->inherited ||
        BERTH__SOCKET_SLOT(socket, verify_peer) == NULL)
        return false;
    bool ignored = socket->handlers->verify_peer(socket, problem, socket->user);
    return ignored && secure->socket != NULL;
}

static void time_over(berth_socket *socket, berth__secure *secure)
{
    berth__enter(&socket->object);
    enter(secure);
    fail_by(socket, secure, BERTH_ERROR_SOCKET_TIMEOUT, "the TLS handshake took too long");
    leave(secure);
    berth__leave(&socket->object);
}

static void expired(berth__deadline *deadline)
{
    berth__secure *secure = (berth__secure *)((char *)deadline - offsetof(berth__secure, limit));
    if (berth__secure_has_time(secure))
        berth__deadline_start(&secure->socket->object.loop->deadlines, deadline, secure->due);
    else
        time_over(secure->socket, secure);
}

uint64_t berth__secure_step(berth_socket *socket)
{
    berth__secure *secure = berth__secure_of(socket);
    berth_loop *loop = socket->object.loop;
    if (secure == NULL || secure->limit.place == 0)
        return UINT64_MAX;
    if (secure->limit.time > berth__loop_clock(loop))
        return secure->limit.time;
    berth__deadline_stop(&loop->deadlines, &secure->limit);
    secure->limit.expired(&secure->limit);
    return 0;
}

static berth__secure *make(berth_socket *socket, const berth__secure_plan *plan)
{
    berth_loop *loop = socket->object.loop;
    berth__secure *secure = berth__allocate_zero(sizeof *secure);
    char ascii[BERTH__ASCII_NAME_SIZE]; /* certificates and hellos have names as the DNS does */
    berth__engine_setup setup = {.name = plan->name != NULL ? berth__ascii_name(plan->name, ascii)
                                                            : NULL,
                                 .session = plan->session,
                                 .session_size = plan->session_size,
                                 .verify = ask_program,
                                 .context = secure};
    if (secure == NULL)
        return NULL;
    if (berth__secure_has_memory(loop) && berth__deadlines_reserve(&loop->deadlines)) {
        secure->engine = plan->tls->operations->begin(plan->tls, &setup);
        if (secure->engine != NULL)
            return secure;
        berth__deadlines_unreserve(&loop->deadlines);
    }
    berth__release(secure);
    return NULL;
}

bool berth__secure_begin(berth_socket *socket, const berth__secure_plan *plan)
{
    berth_loop *loop = socket->object.loop;
    berth__encryption *encryption = berth__socket_encryption(socket);
    berth__secure *secure = encryption != NULL ? make(socket, plan) : NULL;
    if (secure == NULL)
        return false;
    secure->tls = berth_tls_hold(plan->tls);
    secure->socket = socket;
    secure->owner = plan->for_owner ? socket->owner : NULL;
    secure->full = !plan->tls->server; /* it has the first word, without input */
    secure->limit.expired = expired;
    if (plan->received != NULL)
        berth__chain_join(&secure->held, plan->received);
    secure->heard = secure->held.first != NULL;
    encryption->secure = secure;
    encryption->truncated = false;
    socket->stream->events = &secure_events;
    socket->stream->ready.secured = true;
    if (!plan->for_owner && socket->connect_timeout > 0) {
        berth__loop_time_begin(loop);
        secure->due = berth__after(berth__loop_clock(loop), socket->connect_timeout);
        berth__deadline_start(&loop->deadlines, &secure->limit, secure->due);
    }
    berth__socket_pace(socket);
    if (berth__secure_owes(socket)) {
        socket->end_held = true;
        berth__loop_flush_later(loop, &socket->flush);
        berth__loop_touch(loop);
    }
    return true;
}
