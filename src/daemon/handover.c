/*
 * The process that offers a hand-over: its life, what it offers, and the successor at hand. See
 * handover.h for the protocol.
 *
 * Everything happens in two handlers of watches and two of timers, none of which waits. One
 * successor is served at a time; others are refused at once, with a text, as are other users. A
 * successor has TRANSFER_LIMIT to take everything, and then the limit of the program to be ready.
 *
 *     connects -> HELLO: `taking`, the parcel is packed -> NEXT: parts of it -> READY: `succeeded`
 *
 * Whatever it does otherwise ends with REFUSED, its connection closed and `failed`; only one that
 * closes before it has said anything is passed over in silence, since that is how a starter finds
 * out whether somebody listens here. Every handler of the program may free the hand-over.
 */
#include "handover.h"

#include "base/local_name.h"
#include "base/memory.h"
#include "base/system.h"
#include "base/system_error.h"
#include "loop/loop.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SLOT(handover, slot)                                                                     \
    BERTH__SLOT((handover)->handlers, (handover)->object.handlers_size, berth_handover_handlers, \
                slot)

enum {
    PAUSE = 100 /* milliseconds without accepting, for want of a descriptor */
};

/* ---- what a successor has -------------------------------------------------------------------- */

/* Of those that were `from`, which excludes what has begun to listen since it was packed. */
static void move_listeners(berth_handover *handover, berth__succession from, berth__succession to)
{
    for (berth__offered *offered = handover->offered; offered != NULL; offered = offered->next) {
        if (offered->pool.workers != NULL)
            berth__workers_succeed(offered->pool.workers, from, to);
        else if (offered->server.server != NULL)
            berth__server_succeed(offered->server.server, from, to);
    }
}

static void share_listeners(berth_handover *handover)
{
    move_listeners(handover, BERTH__LISTENERS_OWN, BERTH__LISTENERS_SHARED);
}

static void take_back_listeners(berth_handover *handover)
{
    move_listeners(handover, BERTH__LISTENERS_SHARED, BERTH__LISTENERS_OWN);
}

/* From now on another offer can have them. */
static void forget_listeners(berth_handover *handover)
{
    for (berth__offered *offered = handover->offered; offered != NULL; offered = offered->next) {
        berth__server_forget(&offered->server);
        berth__workers_forget(&offered->pool);
    }
}

static void leave_listeners(berth_handover *handover)
{
    move_listeners(handover, BERTH__LISTENERS_SHARED, BERTH__LISTENERS_HANDED_OVER);
}

/* ---- the end of a successor ------------------------------------------------------------------ */

static void refuse(int connection, const char *text)
{
    berth__head head = berth__handover_head(BERTH__MESSAGE_REFUSED);
    (void)berth__handover_send(connection, &head, text, strlen(text));
}

/* Lets go of the successor. */
static void end_connection(berth_handover *handover)
{
    berth_watch_free(handover->watch);
    handover->watch = NULL;
    if (handover->timer != NULL)
        berth_timer_stop(handover->timer);
    if (handover->connection >= 0)
        (void)close(handover->connection);
    handover->connection = -1;
    handover->greeted = false;
    berth__parcel_clear(&handover->parcel);
}

static void fail(berth_handover *handover, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void fail(berth_handover *handover, const char *format, ...)
{
    char reason[BERTH__HANDOVER_TEXT_SIZE - 40];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    snprintf(handover->text, sizeof handover->text, "process %lld %s", (long long)handover->process,
             reason);
    refuse(handover->connection, handover->text);
    end_connection(handover);
    take_back_listeners(handover);
    handover->state = BERTH_HANDOVER_OFFERED;
    void (*failed)(berth_handover *, const char *, void *) = SLOT(handover, failed);
    if (failed == NULL)
        return;
    berth__enter(&handover->object);
    failed(handover, handover->text, handover->user);
    berth__leave(&handover->object);
}

/* An errno of what is done here. */
static void fail_by(berth_handover *handover, int error)
{
    fail(handover, "cannot be served: %s",
         error == EAGAIN  ? "a pool has changed its listeners meanwhile"
         : error == E2BIG ? "there are too many listeners"
                          : berth__reason_of(error));
}

static void too_late(berth_timer *timer, void *user)
{
    (void)timer;
    berth_handover *handover = user;
    fail(handover, handover->state == BERTH_HANDOVER_TAKEN ? "was not ready in time"
                   : handover->greeted                     ? "did not take everything in time"
                                                           : "connected and said nothing");
}

/* ---- what a successor says ------------------------------------------------------------------- */

/* After each answer. */
static void note_progress(berth_handover *handover)
{
    if (!berth__parcel_is_empty(&handover->parcel))
        return;
    handover->state = BERTH_HANDOVER_TAKEN;
    berth_timer_stop(handover->timer);
    if (handover->limit > 0)
        berth_timer_start(handover->timer, handover->limit, 0);
}

static void answer_hello(berth_handover *handover, const berth__head *hello)
{
    if (handover->greeted) {
        fail(handover, "broke the protocol: it began again");
        return;
    }
    handover->greeted = true;
    if (hello->version != BERTH__HANDOVER_VERSION) {
        fail(handover, "has version %u of the protocol, and this process has %u",
             (unsigned)hello->version, (unsigned)BERTH__HANDOVER_VERSION);
        return;
    }
    void (*taking)(berth_handover *, void *) = SLOT(handover, taking);
    if (taking != NULL) {
        unsigned number = handover->successors;
        berth__enter(&handover->object);
        taking(handover, handover->user);
        /* It may have turned the loop, in which the successor may have failed, and another come. Or
         * it has forked, and the successor is the parent's to serve. */
        if (!berth__leave(&handover->object) || handover->object.loop->inherited ||
            !handover->greeted || handover->successors != number)
            return;
    }
    int error = berth__parcel_pack(&handover->parcel, handover);
    if (error == 0) {
        share_listeners(handover);
        berth__head head = berth__handover_head(BERTH__MESSAGE_CONTENTS);
        head.listeners = (uint32_t)handover->parcel.listeners->count;
        head.bytes = (uint32_t)handover->parcel.size;
        error = berth__handover_send(handover->connection, &head, NULL, 0);
    }
    if (error != 0)
        fail_by(handover, error);
    else
        note_progress(handover);
}

/* `removes`: the file too, if it is still its own. */
static void stop_offering(berth_handover *handover, bool removes)
{
    berth_watch_free(handover->listening);
    handover->listening = NULL;
    if (handover->pause != NULL)
        berth_timer_stop(handover->pause);
    berth__offer_place_close(&handover->place, removes);
}

/* Whether it goes on to serve: with the loop its servers end, and what drains has said that it
 * does. */
static bool still_listens(const berth__offered *offered, bool loop_ends)
{
    const berth_server *server = offered->server.server;
    if (offered->pool.workers == NULL)
        return server != NULL && server->listener != NULL && !loop_ends &&
               server->drain.phase == BERTH__DRAIN_OFF;
    return berth__workers_listen(offered->pool.workers) &&
           berth_workers_drain_state(offered->pool.workers) == BERTH_DRAIN_NONE;
}

/* A successor is wanted no longer only if this process serves. Else the end of the connection tells
 * it that nobody does, and what it has is its own. */
static void dismiss(berth_handover *handover)
{
    bool loop_ends = handover->object.loop->life == BERTH__LOOP_ENDING;
    const berth__offered *offered = handover->offered;
    while (offered != NULL && !still_listens(offered, loop_ends))
        offered = offered->next;
    if (offered == NULL && handover->state == BERTH_HANDOVER_TAKEN) {
        leave_listeners(handover);
        return;
    }
    take_back_listeners(handover);
    if (offered != NULL)
        refuse(handover->connection, "the old process has withdrawn its offer");
}

/* Whether nothing comes of it any more. */
static bool has_ended(int connection)
{
    char nothing;
    const int peek = MSG_PEEK | MSG_DONTWAIT;
    ssize_t size = BERTH__SYSTEM("recv", recv(connection, &nothing, 1, peek));
    return size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
}

static void succeed(berth_handover *handover)
{
    if (has_ended(handover->connection)) {
        fail(handover, "has ended as soon as it was ready");
        return;
    }
    handover->state = BERTH_HANDOVER_SUCCEEDED;
    leave_listeners(handover);
    forget_listeners(handover);
    /* Before the successor hears of it, so that it can offer at the same place. */
    stop_offering(handover, true);
    berth__head head = berth__handover_head(BERTH__MESSAGE_DONE);
    (void)berth__handover_send(handover->connection, &head, NULL, 0);
    end_connection(handover);
    void (*succeeded)(berth_handover *, void *) = SLOT(handover, succeeded);
    if (succeeded == NULL)
        return;
    berth__enter(&handover->object);
    succeeded(handover, handover->user);
    berth__leave(&handover->object);
}

static void answer(berth_handover *handover, const berth__head *head)
{
    bool takes = handover->greeted && handover->parcel.listeners != NULL;
    if (head->kind == BERTH__MESSAGE_HELLO) {
        answer_hello(handover, head);
        return;
    }
    if (head->kind == BERTH__MESSAGE_READY && handover->state == BERTH_HANDOVER_TAKEN) {
        succeed(handover);
        return;
    }
    if (head->kind != BERTH__MESSAGE_NEXT || !takes) {
        fail(handover, "broke the protocol: a message at the wrong time");
        return;
    }
    int error = berth__parcel_send(&handover->parcel, handover->connection);
    if (error == ENODATA)
        fail(handover, "broke the protocol: it asked for more than there is");
    else if (error != 0)
        fail_by(handover, error);
    else
        note_progress(handover);
}

/* Reads without room for descriptors: those that come along are closed by the kernel. */
static void hear(berth_watch *watch, unsigned events, void *user)
{
    (void)watch;
    (void)events;
    berth_handover *handover = user;
    char bytes[sizeof(berth__head) + 1];
    ssize_t size =
        BERTH__SYSTEM("recv", recv(handover->connection, bytes, sizeof bytes, MSG_DONTWAIT));
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    berth__head head;
    if (size == (ssize_t)sizeof head) {
        memcpy(&head, bytes, sizeof head);
        if (berth__handover_is_head(&head)) {
            answer(handover, &head);
            return;
        }
    }
    if (size > 0) {
        fail(handover, "does not speak the protocol");
    } else if (handover->greeted) {
        fail(handover, "has ended before it was ready");
    } else {
        end_connection(handover);
        handover->state = BERTH_HANDOVER_OFFERED;
    }
}

/* ---- a successor comes ----------------------------------------------------------------------- */

static void turn_away(berth_handover *handover, int connection, bool foreign)
{
    char text[BERTH__HANDOVER_TEXT_SIZE];
    if (foreign)
        snprintf(text, sizeof text, "only a process of the same user may take over");
    else
        snprintf(text, sizeof text, "process %lld is taking over", (long long)handover->process);
    refuse(connection, text);
    (void)close(connection);
}

static void begin(berth_handover *handover, int connection, int64_t process)
{
    handover->connection = connection;
    handover->process = process;
    handover->successors++;
    handover->state = BERTH_HANDOVER_TAKING;
    handover->watch = berth_watch_new(handover->object.loop, connection, hear, handover);
    if (handover->watch != NULL) {
        berth__object_move((berth__object *)handover->watch, &handover->children);
        berth_timer_start(handover->timer, handover->transfer_limit, 0);
    }
    if (handover->watch == NULL || !berth_watch_start(handover->watch, BERTH_WATCH_READ))
        fail_by(handover, errno);
}

/* One at a time: the watch fires again if more have come. */
static void came(berth_watch *watch, unsigned events, void *user)
{
    berth_handover *handover = user;
    if (handover->connection >= 0 && has_ended(handover->connection)) {
        hear(handover->watch, events, handover); /* before the next one is told of it */
        return;
    }
    const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
    int connection = BERTH__SYSTEM("accept4", accept4(handover->place.listener, NULL, NULL, flags));
    if (connection < 0) {
        if (berth__is_exhaustion(errno)) {
            berth_watch_stop(watch);
            berth_timer_start(handover->pause, PAUSE, 0);
        }
        return;
    }
    struct ucred peer;
    bool known = berth__handover_peer(connection, &peer);
    if (!known || peer.uid != geteuid())
        turn_away(handover, connection, true);
    else if (handover->connection >= 0)
        turn_away(handover, connection, false);
    else
        begin(handover, connection, peer.pid);
}

static void pause_over(berth_timer *timer, void *user)
{
    berth_handover *handover = user;
    if (!berth_watch_start(handover->listening, BERTH_WATCH_READ))
        berth_timer_start(timer, PAUSE, 0);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void free_handover(berth__object *object)
{
    berth_handover_free((berth_handover *)object);
}

static void destroy(berth__object *object)
{
    berth__release(object);
}

/* Two processes must not answer at one place: it stays with the parent. */
static void renew(berth__object *object)
{
    berth_handover *handover = (berth_handover *)object;
    end_connection(handover);
    stop_offering(handover, false);
    forget_listeners(handover);
}

static const berth__kind handover_kind = {
    .number = BERTH__KIND_HANDOVER, .free = free_handover, .destroy = destroy, .renew = renew};

/* Returns an errno. */
static int set_up(berth_handover *handover, berth_loop *loop, const char *path)
{
    int error = berth__offer_place_open(&handover->place, path);
    if (error != 0)
        return error;
    handover->timer = berth_timer_new(loop, too_late, handover);
    handover->pause = berth_timer_new(loop, pause_over, handover);
    if (handover->timer == NULL || handover->pause == NULL)
        return ENOMEM;
    handover->listening = berth_watch_new(loop, handover->place.listener, came, handover);
    if (handover->listening == NULL || !berth_watch_start(handover->listening, BERTH_WATCH_READ))
        return errno;
    berth__object_move((berth__object *)handover->timer, &handover->children);
    berth__object_move((berth__object *)handover->pause, &handover->children);
    berth__object_move((berth__object *)handover->listening, &handover->children);
    return 0;
}

static void tear_down(berth_handover *handover)
{
    /* A successor that hears the end offers at the same place. */
    stop_offering(handover, !handover->object.loop->inherited);
    end_connection(handover);
    berth_timer_free(handover->timer);
    berth_timer_free(handover->pause);
    forget_listeners(handover);
    while (handover->offered != NULL) {
        berth__offered *offered = handover->offered;
        handover->offered = offered->next;
        berth__release(offered);
    }
    while (handover->blobs != NULL) {
        berth__blob *blob = handover->blobs;
        handover->blobs = blob->next;
        berth__release_secret(blob->bytes, blob->size);
        berth__release(blob);
    }
}

berth_handover *berth_handover_offer_sized(berth_loop *loop, const char *path,
                                           const berth_handover_handlers *handlers, size_t size,
                                           void *user)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return NULL;
    BERTH__OWN_THREAD(loop);
    if (berth__loop_is_copy(loop))
        return NULL;
    berth_handover *handover = berth__allocate_zero(sizeof *handover);
    if (handover == NULL)
        return NULL;
    handover->handlers = handlers;
    handover->object.handlers_size = (uint16_t)(size < sizeof *handlers ? size : sizeof *handlers);
    handover->object.loop = loop;
    handover->user = user;
    handover->limit = BERTH_DEFAULT_HANDOVER_TIME_LIMIT;
    handover->transfer_limit = BERTH__HANDOVER_TRANSFER_LIMIT;
    handover->connection = -1;
    int error = set_up(handover, loop, path);
    if (error != 0) {
        tear_down(handover);
        berth__release(handover);
        errno = error;
        return NULL;
    }
    berth__object_init(&handover->object, &handover_kind, loop, &loop->objects);
    return handover;
}

void berth_handover_free(berth_handover *handover)
{
    if (handover == NULL || handover->object.freed)
        return;
    BERTH__OWN_THREAD(handover->object.loop);
    if (handover->object.loop->abandoned)
        return;
    if (handover->connection >= 0 && !handover->object.loop->inherited)
        dismiss(handover);
    tear_down(handover);
    berth__discard(&handover->object);
}

/* ---- what is offered ------------------------------------------------------------------------- */

/* An errno, for a name and a hand-over that cannot be had. */
static int refusal_of(const berth_handover *handover, const char *name)
{
    if (handover->object.freed || name == NULL || strlen(name) > BERTH_MOST_INHERITED_NAME)
        return EINVAL;
    if (handover->object.loop->inherited || handover->place.listener < 0)
        return handover->state == BERTH_HANDOVER_SUCCEEDED ? ESHUTDOWN : ECHILD;
    return 0;
}

/* Returns an errno. Behind those that are there, so that the order is that of the calls. */
static int add(berth_handover *handover, const char *name, berth_server *server,
               berth_workers *workers)
{
    /* In another offer too: two successors could have the listeners, and one of them fail. */
    if ((server != NULL && server->refs != NULL) || (workers != NULL && workers->refs != NULL))
        return EEXIST;
    berth__offered **end = &handover->offered;
    while (*end != NULL)
        end = &(*end)->next;
    berth__offered *offered = berth__allocate_zero(sizeof *offered);
    if (offered == NULL)
        return ENOMEM;
    memcpy(offered->name, name, strlen(name) + 1);
    if (server != NULL)
        berth__server_remember(&offered->server, server);
    else
        berth__workers_remember(&offered->pool, workers);
    *end = offered;
    return 0;
}

static bool succeeds(int error)
{
    if (error != 0)
        errno = error;
    return error == 0;
}

bool berth_handover_add(berth_handover *handover, const char *name, berth_server *server)
{
    BERTH__OWN_THREAD(handover->object.loop);
    int error = refusal_of(handover, name);
    if (error == 0 &&
        (server == NULL || server->object.loop != handover->object.loop || server->object.freed))
        error = EINVAL;
    return succeeds(error != 0 ? error : add(handover, name, server, NULL));
}

bool berth_handover_add_workers(berth_handover *handover, const char *name, berth_workers *workers)
{
    BERTH__OWN_THREAD(handover->object.loop);
    int error = refusal_of(handover, name);
    if (error == 0 && workers == NULL)
        error = EINVAL;
    return succeeds(error != 0 ? error : add(handover, name, NULL, workers));
}

static berth__blob **find_blob(berth_handover *handover, const char *name)
{
    berth__blob **place = &handover->blobs;
    while (*place != NULL && strcmp((*place)->name, name) != 0)
        place = &(*place)->next;
    return place;
}

/* Returns an errno. */
static int add_blob(berth_handover *handover, const char *name, const void *bytes, size_t size)
{
    berth__blob **place = find_blob(handover, name);
    size_t others = berth__blobs_size(handover->blobs) - (*place != NULL ? (*place)->size : 0);
    size_t own = *place != NULL ? 0 : BERTH__BLOB_HEAD + strlen(name);
    if (size > BERTH_MOST_HANDOVER_BYTES || others + own + size > BERTH_MOST_HANDOVER_BYTES)
        return EMSGSIZE;
    void *copy = berth__allocate(size > 0 ? size : 1);
    berth__blob *blob = *place != NULL ? *place : berth__allocate_zero(sizeof *blob);
    if (copy == NULL || blob == NULL) {
        berth__release(copy);
        if (*place == NULL)
            berth__release(blob);
        return ENOMEM;
    }
    if (size > 0)
        memcpy(copy, bytes, size);
    berth__release_secret(blob->bytes, blob->size);
    blob->bytes = copy;
    blob->size = size;
    memcpy(blob->name, name, strlen(name) + 1);
    *place = blob;
    return 0;
}

bool berth_handover_add_blob(berth_handover *handover, const char *name, const void *bytes,
                             size_t size)
{
    BERTH__OWN_THREAD(handover->object.loop);
    int error = refusal_of(handover, name);
    if (error == 0 && bytes == NULL && size > 0)
        error = EINVAL;
    return succeeds(error != 0 ? error : add_blob(handover, name, bytes, size));
}

/* ---- questions and settings ------------------------------------------------------------------ */

void *berth_handover_user(const berth_handover *handover)
{
    BERTH__OWN_THREAD(handover->object.loop);
    return handover->user;
}

void berth_handover_set_time_limit(berth_handover *handover, uint32_t milliseconds)
{
    BERTH__OWN_THREAD(handover->object.loop);
    handover->limit = milliseconds;
}

berth_handover_state berth_handover_current_state(const berth_handover *handover)
{
    BERTH__OWN_THREAD(handover->object.loop);
    return handover->state;
}

int64_t berth_handover_successor(const berth_handover *handover)
{
    BERTH__OWN_THREAD(handover->object.loop);
    return handover->process;
}

const char *berth_handover_error_string(const berth_handover *handover)
{
    if (handover == NULL)
        return berth__local_reason_of(errno);
    BERTH__OWN_THREAD(handover->object.loop);
    return handover->text;
}
