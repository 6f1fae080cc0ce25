/*
 * The process that takes over: takes what another one offers, and says when it is ready. See
 * handover.h for the protocol.
 *
 * This happens before the program has a loop, so it blocks, with one time limit for everything.
 * What has come is kept in one batch and one block of bytes until all of it is there and has been
 * found good; only then is the batch added to the list of the process. On any failure all
 * descriptors that have come are closed.
 *
 * The other process is of the same user, or nothing is taken from it. It may still lie, so that
 * each count is held against what it has promised, and nothing is allocated for more than the
 * bounds.
 */
#include "handover.h"

#include "base/memory.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    RETRY = 10,  /* milliseconds, while the other's backlog is full */
    ENDING = 300 /* milliseconds that a process may take to end */
};

struct berth_inheritance {
    int connection; /* -1: it has ended */
    int limit;      /* milliseconds, or negative */
    int64_t until;  /* of the clock */
    bool ready;
    berth__batch *batch; /* in the list since it is complete; or NULL */
    uint8_t *bytes;      /* of blobs */
    size_t size;
    char text[BERTH__HANDOVER_TEXT_SIZE];
};

/* While it is being taken. */
typedef struct transfer {
    berth_inheritance *inheritance;
    berth__message *message; /* the last one */
    size_t passed;
    size_t received; /* bytes */
} transfer;

/* ---- failing, and waiting -------------------------------------------------------------------- */

/* Keeps the text; returns the errno. */
static int fail(berth_inheritance *inheritance, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(berth_inheritance *inheritance, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(inheritance->text, sizeof inheritance->text, format, arguments);
    va_end(arguments);
    return error;
}

static int fail_by_system(berth_inheritance *inheritance, int error, const char *what)
{
    return fail(inheritance, error, "cannot %s: %s", what, berth__local_reason_of(error));
}

static int64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void begin_limit(berth_inheritance *inheritance)
{
    inheritance->until = now() + inheritance->limit;
}

/* Milliseconds that are left, as poll takes them. */
static int time_left(const berth_inheritance *inheritance)
{
    if (inheritance->limit < 0)
        return -1;
    int64_t left = inheritance->until - now();
    return left > 0 ? (int)left : 0;
}

/* Waits until there is something to read. Returns an errno. */
static int await(const berth_inheritance *inheritance)
{
    struct pollfd wanted = {.fd = inheritance->connection, .events = POLLIN};
    int found;
    do
        found = BERTH__SYSTEM("poll", poll(&wanted, 1, time_left(inheritance)));
    while (found < 0 && errno == EINTR);
    return found > 0 ? 0 : found == 0 ? ETIMEDOUT : errno;
}

/* ---- messages -------------------------------------------------------------------------------- */

/* What it says when it refuses. */
static int heed_refusal(berth_inheritance *inheritance, berth__message *message)
{
    char said[BERTH__HANDOVER_TEXT_SIZE / 2];
    char shown[BERTH__HANDOVER_TEXT_SIZE - 40];
    size_t size = message->size < sizeof said - 1 ? message->size : sizeof said - 1;
    memcpy(said, message->data, size);
    said[size] = '\0';
    berth__handover_close_received(message);
    return fail(inheritance, EBUSY, "the old process refuses: %s",
                berth__escape(said, shown, sizeof shown));
}

/* Waits for the next message. Returns an errno, with a text; ECONNRESET if the other has ended. */
static int receive(berth_inheritance *inheritance, berth__message *message)
{
    int error;
    int resets = 0; /* it is said once, before what has come */
    do {
        error = await(inheritance);
        if (error == 0)
            error = berth__handover_receive(inheritance->connection, message);
    } while (error == EAGAIN || (error == ECONNRESET && resets++ == 0));
    if (error == ETIMEDOUT)
        return fail(inheritance, error, "the old process did not answer in time");
    if (error == ENOTCONN || error == ECONNRESET)
        return fail(inheritance, ECONNRESET, "the old process has ended");
    if (error == EPROTO)
        return fail(inheritance, error, "what answers does not speak the protocol of a hand-over");
    if (error != 0)
        return fail_by_system(inheritance, error, "receive from the old process");
    if (message->head.kind == BERTH__MESSAGE_REFUSED)
        return heed_refusal(inheritance, message);
    if (message->cut) {
        bool lost = message->head.kind == BERTH__MESSAGE_LISTENERS;
        berth__handover_close_received(message);
        return fail(inheritance, lost ? EMFILE : EPROTO,
                    lost ? "not all descriptors have come: this process may have no more of them"
                         : "a message of the old process was too long");
    }
    return 0;
}

/* Sends a message, and receives the answer, which has to be of that kind. */
static int ask(transfer *taking, berth__message_kind kind, berth__message_kind wanted)
{
    berth_inheritance *inheritance = taking->inheritance;
    berth__head head = berth__handover_head(kind);
    int error = berth__handover_send(inheritance->connection, &head, NULL, 0);
    /* It may have refused already, and closed. */
    if (error != 0 && error != EPIPE && error != ECONNRESET)
        return fail_by_system(inheritance, error, "speak to the old process");
    error = receive(inheritance, taking->message);
    if (error != 0)
        return error;
    if (taking->message->head.version == BERTH__HANDOVER_VERSION &&
        (taking->message->head.kind == wanted ||
         (kind == BERTH__MESSAGE_NEXT && taking->message->head.kind == BERTH__MESSAGE_BLOBS)))
        return 0;
    berth__handover_close_received(taking->message);
    return fail(inheritance, EPROTO, "the old process broke the protocol: message %u, version %u",
                (unsigned)taking->message->head.kind, (unsigned)taking->message->head.version);
}

/* ---- what has come --------------------------------------------------------------------------- */

/* Moves the descriptors of a message into the batch. False if they are not what was promised. */
static bool keep_listeners(transfer *taking)
{
    berth__batch *batch = taking->inheritance->batch;
    berth__message *message = taking->message;
    const char *name = message->data;
    const char *end = message->data + message->size;
    if (message->count == 0 || message->count != message->head.listeners ||
        message->count > batch->count - taking->passed)
        return false;
    for (size_t i = 0; i < message->count; i++) {
        size_t size = strnlen(name, (size_t)(end - name));
        if (size == (size_t)(end - name) || size > BERTH_MOST_INHERITED_NAME)
            return false;
        name += size + 1;
    }
    name = message->data;
    for (size_t i = 0; i < message->count; i++) {
        size_t size = strlen(name);
        berth__batch_set(batch, taking->passed++, message->descriptors[i], name, size);
        name += size + 1;
    }
    message->count = 0;
    return name == end;
}

static bool keep_bytes(transfer *taking)
{
    berth_inheritance *inheritance = taking->inheritance;
    const berth__message *message = taking->message;
    if (message->count > 0 || message->size == 0 ||
        message->size > inheritance->size - taking->received)
        return false;
    memcpy(inheritance->bytes + taking->received, message->data, message->size);
    taking->received += message->size;
    return true;
}

static bool are_blobs(const berth_inheritance *inheritance)
{
    const uint8_t *end = inheritance->bytes + inheritance->size;
    berth__blob_view view = {.next = inheritance->bytes};
    while (view.next != end) {
        if (!berth__blob_at(view.next, end, &view))
            return false;
    }
    return true;
}

/* Has room for what is promised. Returns an errno. */
static int make_room(transfer *taking)
{
    berth_inheritance *inheritance = taking->inheritance;
    const berth__head *head = &taking->message->head;
    bool bad = taking->message->count > 0 || head->listeners > BERTH_MOST_INHERITED ||
               head->bytes > BERTH_MOST_HANDOVER_BYTES;
    berth__handover_close_received(taking->message);
    if (bad)
        return fail(inheritance, EPROTO, "the old process promises more than there may be");
    inheritance->batch = berth__batch_new(head->listeners);
    inheritance->bytes = berth__allocate(head->bytes > 0 ? head->bytes : 1);
    inheritance->size = inheritance->bytes != NULL ? head->bytes : 0;
    if (inheritance->batch == NULL || inheritance->bytes == NULL)
        return fail(inheritance, ENOMEM, "out of memory");
    return 0;
}

static int take_all(transfer *taking)
{
    berth_inheritance *inheritance = taking->inheritance;
    int error = ask(taking, BERTH__MESSAGE_HELLO, BERTH__MESSAGE_CONTENTS);
    if (error == 0)
        error = make_room(taking);
    while (error == 0 &&
           (taking->passed < inheritance->batch->count || taking->received < inheritance->size)) {
        error = ask(taking, BERTH__MESSAGE_NEXT, BERTH__MESSAGE_LISTENERS);
        if (error != 0)
            return error;
        bool good = taking->message->head.kind == BERTH__MESSAGE_LISTENERS ? keep_listeners(taking)
                                                                           : keep_bytes(taking);
        berth__handover_close_received(taking->message);
        if (!good)
            return fail(inheritance, EPROTO,
                        "the old process sent something other than it promised");
    }
    if (error == 0 && !are_blobs(inheritance))
        return fail(inheritance, EPROTO, "the old process sent malformed blobs");
    return error;
}

/* ---- connecting ------------------------------------------------------------------------------ */

/* Returns an errno, with a text. */
static int connect_once(berth_inheritance *inheritance, const berth__local_name *name)
{
    const int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
    inheritance->connection = BERTH__SYSTEM("socket", socket(AF_UNIX, type, 0));
    if (inheritance->connection < 0)
        return fail_by_system(inheritance, errno, "make a socket");
    int error;
    while ((error = berth__local_connect(inheritance->connection, name)) == EAGAIN &&
           time_left(inheritance) != 0)
        (void)poll(NULL, 0, RETRY);
    if (error == ENOENT || error == ECONNREFUSED)
        return fail(inheritance, error, "no process offers a hand-over there");
    if (error == EPROTOTYPE)
        return fail(inheritance, EPROTO, "what listens there offers no hand-over");
    error = error == EAGAIN ? ETIMEDOUT : error;
    return error == 0 ? 0 : fail_by_system(inheritance, error, "connect to the old process");
}

/* Once more if what has answered is a process that was killed. */
static int connect_to(berth_inheritance *inheritance, const char *path)
{
    berth__local_name name;
    int error = berth__local_name_read(path, &name);
    if (error != 0)
        return fail(inheritance, error, "%s",
                    error == EINVAL ? "the path is empty" : "the path is too long");
    error = connect_once(inheritance, &name);
    int left = time_left(inheritance);
    int moment = left >= 0 && left < BERTH__DYING_MOMENT ? left : BERTH__DYING_MOMENT;
    if (error == 0 && berth__local_is_dying(inheritance->connection, moment)) {
        (void)close(inheritance->connection);
        error = connect_once(inheritance, &name);
    }
    if (error != 0)
        return error;
    struct ucred peer;
    if (!berth__handover_peer(inheritance->connection, &peer))
        return fail_by_system(inheritance, errno, "ask who the old process is");
    if (peer.uid != geteuid())
        return fail(inheritance, EPERM, "the process that offers is another user's");
    return 0;
}

/* ---- the public functions -------------------------------------------------------------------- */

static void drop(berth_inheritance *inheritance)
{
    if (inheritance->connection >= 0)
        (void)close(inheritance->connection);
    berth__release_secret(inheritance->bytes, inheritance->size);
    berth__release(inheritance);
}

static int take(berth_inheritance *inheritance, const char *path)
{
    transfer taking = {.inheritance = inheritance};
    taking.message = berth__allocate(sizeof *taking.message);
    if (taking.message == NULL)
        return fail(inheritance, ENOMEM, "out of memory");
    int error = connect_to(inheritance, path);
    if (error == 0)
        error = take_all(&taking);
    berth__release_secret(taking.message, sizeof *taking.message);
    return error;
}

static void explain(const char *path, const char *reason, char *ret_text, size_t size)
{
    char place[BERTH__LOCAL_ESCAPED_SIZE];
    bool empty = path == NULL || path[0] == '\0';
    if (ret_text != NULL && size > 0)
        snprintf(ret_text, size, "cannot take over at %s: %s",
                 berth__escape(empty ? "a Unix socket" : path, place, sizeof place), reason);
}

berth_inheritance *berth_handover_take(const char *path, int milliseconds, char *ret_text,
                                       size_t size)
{
    berth_inheritance *inheritance = berth__allocate_zero(sizeof *inheritance);
    int error = ENOMEM;
    if (inheritance != NULL) {
        inheritance->connection = -1;
        inheritance->limit = milliseconds;
        begin_limit(inheritance);
        error = take(inheritance, path);
    }
    if (error == 0) {
        if (ret_text != NULL && size > 0)
            ret_text[0] = '\0';
        (void)berth_inherited_count(); /* what the parent has passed comes first */
        berth__batch_add(inheritance->batch);
        return inheritance;
    }
    explain(path, inheritance != NULL ? inheritance->text : "out of memory", ret_text, size);
    if (inheritance != NULL) {
        berth__batch_drop(inheritance->batch);
        drop(inheritance);
    }
    errno = error;
    return NULL;
}

/* For an old process that goes on after all: else it would find the end behind READY, and take this
 * process for dead. */
static void insist(const berth_inheritance *inheritance)
{
    berth__head head = berth__handover_head(BERTH__MESSAGE_READY);
    (void)berth__handover_send(inheritance->connection, &head, NULL, 0);
}

/* A process that was killed closes one descriptor after the other. The end of the connection may
 * come before that of its offer, whose place this process wants next. */
static void see_it_end(const berth_inheritance *inheritance)
{
    struct ucred peer;
    int left = time_left(inheritance);
    if (berth__handover_peer(inheritance->connection, &peer) && peer.pid > 0)
        (void)berth__local_has_ended(peer.pid, left >= 0 && left < ENDING ? left : ENDING);
}

bool berth_handover_ready(berth_inheritance *inheritance)
{
    if (inheritance->ready || inheritance->connection < 0)
        return inheritance->ready;
    transfer taking = {.inheritance = inheritance};
    taking.message = berth__allocate(sizeof *taking.message);
    if (taking.message == NULL) {
        (void)fail(inheritance, ENOMEM, "out of memory");
        return false;
    }
    begin_limit(inheritance);
    int error = ask(&taking, BERTH__MESSAGE_READY, BERTH__MESSAGE_DONE);
    if (error == 0)
        berth__handover_close_received(taking.message);
    berth__release(taking.message);
    if (error == ETIMEDOUT)
        insist(inheritance);
    else if (error == ECONNRESET)
        see_it_end(inheritance);
    /* One that has ended, or hangs, does not serve. */
    inheritance->ready = error == 0 || error == ECONNRESET || error == ETIMEDOUT;
    if (inheritance->ready) {
        inheritance->text[0] = '\0';
        berth__batch_close(inheritance->batch);
    }
    (void)close(inheritance->connection);
    inheritance->connection = -1;
    return inheritance->ready;
}

const void *berth_inheritance_blob(const berth_inheritance *inheritance, const char *name,
                                   size_t *ret_size)
{
    const uint8_t *end = inheritance->bytes + inheritance->size;
    berth__blob_view view = {.next = inheritance->bytes};
    size_t size = strlen(name);
    while (view.next != end && berth__blob_at(view.next, end, &view)) {
        if (view.name_size != size || memcmp(view.name, name, size) != 0)
            continue;
        if (ret_size != NULL)
            *ret_size = view.size;
        return view.bytes;
    }
    if (ret_size != NULL)
        *ret_size = 0;
    return NULL;
}

const char *berth_inheritance_error_string(const berth_inheritance *inheritance)
{
    return inheritance->text;
}

void berth_inheritance_free(berth_inheritance *inheritance)
{
    if (inheritance == NULL)
        return;
    if (!inheritance->ready)
        berth__batch_close(inheritance->batch);
    drop(inheritance);
}
