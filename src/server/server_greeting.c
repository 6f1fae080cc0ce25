/*
 * Accepted connections of a server that encrypts, on their way into its queue.
 *
 *     accepted -> (PROXY header) -> GREETING -> WHOLE -> HANDSHAKE -> the queue
 *                                      \__________\__________\____> the end, counted and told
 *
 * GREETING. Until its ClientHello has come a connection is a record with a watch, of the size of a
 * plain socket: a peer that says nothing costs no more, and takes no place but one of
 * max_greetings, which it gives up to whoever comes when there are none left, or no descriptors.
 * What it sends is taken out of the kernel, or the watch would fire for it for ever.
 *
 * WHOLE. It waits for a place among the handshakes, and for a place in the queue. Then a
 * configuration is chosen, by the program or by the name that it asks for, and a socket is made.
 * Whatever is wrong ends it here.
 *
 * HANDSHAKE. The socket is encrypted for its owner (socket/secure.h). It has no handlers, and is
 * pending, as those in the queue are, so that limits and reading limits are the same. That it is
 * none of these yet is seen by its handlers, which are `nobody`; its user is the record.
 *
 * A hello costs the processor much: so they are answered by a deadline, once a turn, when what the
 * turn has brought so far is on its way; for SHARE of the time that the rest of the turn took, for
 * BUDGET at most but one at least; what is left is for the next turn. So other connections wait for
 * one hello if there is little else to do, and hellos have a share of the time if there is much.
 * Reading them takes time too: of many that come in one turn the rest waits unread, behind those in
 * WHOLE. They are read when these were answered, or while nobody can be; part of one is in
 * GREETING. Places: a handshake begins only while the queue is not full, so those that are complete
 * exceed it by less than max_handshakes.
 *
 * All of them are due in the order in which they came, since all have the same time; the list of
 * guests has that order, and one deadline. In a pause nobody is heard: who says something then
 * leaves the list and has all of its time again after the pause, and so has one that is WHOLE when
 * its time is over. Who says nothing runs out of time in a pause too. In a drain only who is in
 * GREETING has less time, also who comes to it late, and so is in front of others in the list. The
 * others have all of it again when it begins, or when their hello is known to have come in it.
 *
 * Handlers called here: client_hello, handshake_failed, and those of a connection that has come
 * into the queue. Each may free or close the server, or turn the loop: a choice that goes on then
 * finds its record gone.
 */
#include "base/count.h"
#include "base/memory.h"
#include "base/system_error.h"
#include "greeting.h"
#include "handshake/client_hello.h"
#include "handshake/refusal.h"
#include "loop/loop.h"
#include "socket/secure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BUDGET (2 * BERTH__MILLISECOND)
#define SHARE 4 /* one part of so many */
#define TAKEN_AT_ONCE ((size_t)4096)
#define MOST_TAKEN 16u /* hellos that are read in one turn, while others wait */
#define NEVER UINT64_MAX

/* Alerts of RFC 8446. */
#define TLS_ALERT_RECORD_OVERFLOW 22u
#define TLS_ALERT_DECODE_ERROR 50u
#define TLS_ALERT_UNRECOGNIZED_NAME 112u

#define SLOT(server, slot) \
    BERTH__SLOT((server)->handlers, (server)->object.handlers_size, berth_server_handlers, slot)

/* In GREETING or WHOLE. */
typedef struct greeting {
    berth__awaiting held; /* first */
    berth__guest guest;
    berth__chain received;
    berth__address_count *address; /* that it is counted as, or NULL */
    berth__accepted *names;        /* with values behind it; NULL: those of its descriptor */
    berth__client_hello hello;
    bool at_hand; /* the server has accepted it itself */
} greeting;

/* In HANDSHAKE. */
typedef struct berth__handshake_record {
    berth__guest guest;
    berth_socket *socket;
    struct berth__handshake_record *next;
    struct berth__handshake_record **link;
    berth_address peer;
    uint16_t peer_port;
    char name[]; /* that it asks for */
} handshake;

/* A call of client_hello on the stack, and whom it is about; NULL when that has gone. */
typedef struct berth__choice {
    greeting *one;
    struct berth__choice *outer;
} choice;

static const berth_socket_handlers nobody;

static berth__backend *backend_of(const berth_server *server)
{
    return server->object.loop->backend;
}

static uint64_t clock_of(const berth_server *server)
{
    return berth__loop_clock(server->object.loop);
}

bool berth__server_encrypts(const berth_server *server)
{
    return server->greeter != NULL && server->greeter->encrypts;
}

bool berth__server_is_shaking(const berth_socket *socket)
{
    return socket->pending && socket->handlers == &nobody;
}

/* ---- guests ---------------------------------------------------------------------------------- */

static greeting *greeting_of(berth__guest *guest)
{
    return (greeting *)((char *)guest - offsetof(greeting, guest));
}

/* When the time of one is over that begins to be silent now. */
static uint64_t end_of_silence(const berth_server *server)
{
    uint64_t now = clock_of(server);
    uint64_t due = berth__after(now, server->handshake_timeout);
    uint64_t idle = berth__drain_idle(server);
    return idle < due - now ? now + idle : due;
}

static void invite(berth__greeter *greeter, berth__guest *guest)
{
    berth__guests_insert(&greeter->guests, guest, end_of_silence(greeter->server));
}

/* It has all of the time for a handshake once more. */
static void invite_again(berth__greeter *greeter, berth__guest *guest)
{
    const berth_server *server = greeter->server;
    berth__guests_remove(&greeter->guests, guest);
    berth__guests_insert(&greeter->guests, guest,
                         berth__after(clock_of(server), server->handshake_timeout));
}

static void dismiss(berth__greeter *greeter, berth__guest *guest)
{
    berth__guests_remove(&greeter->guests, guest);
}

/* Whether its hello is there, or may be: it waits to be answered or read. */
static bool is_waiting(const greeting *one)
{
    const berth__greeter *greeter = one->held.server->greeter;
    return one->held.list == &greeter->whole || one->held.list == &greeter->unread;
}

/* Whether its hello has not come, as far as is known. */
static bool is_silent(const berth__greeter *greeter, berth__guest *guest)
{
    const berth__awaiting_list *list = guest->shaking ? NULL : greeting_of(guest)->held.list;
    return list == &greeter->silent || list == &greeter->unread;
}

/* ---- time ------------------------------------------------------------------------------------ */

static bool queue_has_room(const berth_server *server)
{
    return server->limit > 0 && server->pending_count < (size_t)server->limit;
}

/* Those for whom client_hello is called, which may turn the loop: their handshakes follow. */
static size_t chosen_for(const berth__greeter *greeter)
{
    size_t count = 0;
    for (const choice *one = greeter->choice; one != NULL; one = one->outer)
        count += one->one != NULL;
    return count;
}

/* Whether the first of those that wait for it may begin its handshake. */
static bool may_begin(const berth__greeter *greeter)
{
    const berth_server *server = greeter->server;
    size_t shaking = server->shaking + chosen_for(greeter);
    return greeter->whole.first != NULL && shaking < (size_t)server->max_handshakes &&
           queue_has_room(server) && !berth__server_is_paused(server);
}

/* Whether there is something to be done without waiting for anybody. */
static bool has_work(const berth__greeter *greeter)
{
    return may_begin(greeter) ||
           (greeter->unread.first != NULL && !berth__server_is_paused(greeter->server));
}

static void set_deadline(berth__greeter *greeter)
{
    berth_loop *loop = greeter->server->object.loop;
    berth__deadline *deadline = &greeter->deadline;
    uint64_t due = greeter->guests.first != NULL ? greeter->guests.first->due : NEVER;
    if (has_work(greeter)) {
        uint64_t now = berth__loop_clock(loop);
        due = now < due ? now : due;
        if (deadline->place != 0 && deadline->time <= now)
            return;
    }
    if (due == NEVER)
        berth__deadline_stop(&loop->deadlines, deadline);
    else if (deadline->place == 0 || deadline->time != due)
        berth__deadline_start(&loop->deadlines, deadline, due);
    berth__loop_touch(loop);
}

size_t berth__server_greeting_room(const berth_server *server)
{
    size_t most = (size_t)server->max_greetings;
    size_t fixed = server->greeter->whole_count; /* those that are silent can be cut */
    return fixed < most ? most - fixed : 0;
}

void berth__server_hurry_greetings(berth_server *server, uint64_t latest)
{
    berth__greeter *greeter = server->greeter;
    if (greeter == NULL)
        return;
    for (berth__guest *guest = greeter->guests.first; guest != NULL; guest = guest->next)
        guest->due = guest->due < latest ? guest->due : latest;
    set_deadline(greeter);
}

void berth__server_hurry_silent(berth_server *server)
{
    berth__greeter *greeter = server->greeter;
    uint64_t latest = end_of_silence(server);
    if (greeter == NULL)
        return;
    berth__guest **place = &greeter->guests.first;
    while (*place != NULL && (*place)->due <= latest)
        place = &(*place)->next;
    for (berth__guest *guest = *place, *next; guest != NULL; guest = next) {
        next = guest->next;
        if (!is_silent(greeter, guest))
            continue;
        dismiss(greeter, guest);
        berth__guests_insert_at(&greeter->guests, place, guest, latest);
        place = &guest->next;
    }
    set_deadline(greeter);
}

void berth__server_drain_greetings(berth_server *server)
{
    berth__greeter *greeter = server->greeter;
    if (greeter == NULL)
        return;
    berth__server_hurry_silent(server);
    /* The others come behind these. */
    for (choice *one = greeter->choice; one != NULL; one = one->outer) {
        if (one->one != NULL)
            invite_again(greeter, &one->one->guest);
    }
    for (berth__awaiting *one = greeter->whole.first; one != NULL; one = one->next)
        invite_again(greeter, &((greeting *)one)->guest);
    for (handshake *one = greeter->handshakes; one != NULL; one = one->next)
        invite_again(greeter, &one->guest);
    set_deadline(greeter);
}

/* ---- the end of a greeting ------------------------------------------------------------------- */

/* Nobody who chooses for it finds it any more. The descriptor is the caller's. */
static int see_off(greeting *gone)
{
    berth_server *server = gone->held.server;
    berth__greeter *greeter = server->greeter;
    for (choice *one = greeter->choice; one != NULL; one = one->outer) {
        if (one->one == gone)
            one->one = NULL;
    }
    dismiss(greeter, &gone->guest);
    if (is_waiting(gone))
        greeter->whole_count--;
    berth__chain_clear(&gone->received, &server->object.loop->pool);
    if (gone->address != NULL)
        berth__address_counts_remove(&server->owner.roll->counts, gone->address);
    berth__release(gone->names);
    BERTH__UNCOUNT(server->greeting);
    int descriptor = berth__awaiting_see_off(&gone->held);
    berth__greeter_forget(greeter);
    return descriptor;
}

static void drop(greeting *gone)
{
    berth_server *server = gone->held.server;
    int descriptor = see_off(gone);
    backend_of(server)->operations->discard(backend_of(server), descriptor);
}

static void peer_of(const greeting *one, berth_address *ret_address, uint16_t *ret_port)
{
    if (one->names != NULL && !berth_address_is_null(one->names->peer)) {
        *ret_address = one->names->peer;
        *ret_port = one->names->peer_port;
    } else {
        berth__server_peer_of(one->held.server, one->held.descriptor, ret_address, ret_port);
    }
}

/* For want of memory or the like. */
static void lose(greeting *gone, int error)
{
    berth_server *server = gone->held.server;
    BERTH__COUNT(server->owner.counts.failed);
    berth_tls_failure failure = {.error = berth__class_of(error), .text = berth__reason_of(error)};
    peer_of(gone, &failure.peer, &failure.peer_port);
    berth__server_explain(server, &failure);
    drop(gone);
}

static void tell(berth_server *server, const berth_tls_failure *failure)
{
    if (!server->object.freed && !server->object.loop->inherited &&
        SLOT(server, handshake_failed) != NULL)
        server->handlers->handshake_failed(server, failure, server->user);
}

/* Lets a client that speaks TLS know, as far as there is room. */
static void alert(const greeting *one, int refusal)
{
    berth__backend *backend = backend_of(one->held.server);
    uint8_t record[] = {21, 3, 3, 0, 2, 2, TLS_ALERT_DECODE_ERROR};
    const berth_piece piece = {.data = record, .size = sizeof record};
    if (refusal == BERTH__REFUSAL_HELLO_NAME || refusal == BERTH__REFUSAL_HELLO_REFUSED)
        record[6] = TLS_ALERT_UNRECOGNIZED_NAME;
    else if (refusal == BERTH__REFUSAL_HELLO_SIZE)
        record[6] = TLS_ALERT_RECORD_OVERFLOW;
    else if (refusal != BERTH__REFUSAL_HELLO_MALFORMED)
        return;
    (void)backend->operations->put(backend, one->held.descriptor, &piece, 1);
}

/* Ends it by an errno or a refusal. Calls the program. */
static void turn_away(greeting *gone, int number, const char *name)
{
    berth_server *server = gone->held.server;
    char reason[BERTH__REFUSAL_TEXT_SIZE];
    bool refusal = berth__is_refusal(number);
    berth_tls_failure failure = {.server_name = name};
    if (!refusal && berth__is_exhaustion(number)) {
        lose(gone, number);
        berth__server_pace(server);
        return;
    }
    failure.error = refusal ? berth__refusal_class(number) : berth__class_of(number);
    failure.text =
        refusal ? berth__refusal_reason(number, reason, sizeof reason) : berth__reason_of(number);
    peer_of(gone, &failure.peer, &failure.peer_port);
    BERTH__COUNT(server->owner.counts.failed_handshake);
    berth__server_explain(server, &failure);
    alert(gone, number);
    drop(gone);
    berth__server_pace(server);
    tell(server, &failure);
}

void berth__server_drop_greetings(berth_server *server)
{
    berth__greeter *greeter = server->greeter;
    if (greeter == NULL)
        return;
    for (berth__guest *guest = greeter->guests.first, *next; guest != NULL; guest = next) {
        next = guest->next;
        if (guest->shaking)
            continue;
        BERTH__COUNT(server->owner.counts.dropped);
        drop(greeting_of(guest));
    }
    while (greeter->held.first != NULL) {
        BERTH__COUNT(server->owner.counts.dropped);
        drop((greeting *)greeter->held.first);
    }
    set_deadline(greeter);
}

size_t berth__server_cut_silent(berth_server *server, size_t most)
{
    berth__greeter *greeter = server->greeter;
    size_t count = 0;
    for (; greeter != NULL && greeter->silent.first != NULL && count < most; count++) {
        BERTH__COUNT(server->owner.counts.rejected_greeting);
        drop((greeting *)greeter->silent.first);
    }
    return count;
}

bool berth__server_has_silent(const berth_server *server)
{
    return server->greeter != NULL && server->greeter->silent.first != NULL;
}

/* ---- handshakes ------------------------------------------------------------------------------ */

void berth__server_left_handshake(berth_server *server, berth_socket *socket)
{
    handshake *over = socket->user;
    dismiss(server->greeter, &over->guest);
    *over->link = over->next;
    if (over->next != NULL)
        over->next->link = over->link;
    BERTH__UNCOUNT(server->shaking);
    socket->handlers = NULL;
    socket->user = NULL;
    socket->pending = false;
    if (!socket->counted)
        socket->owner = NULL;
    berth__release(over);
}

void berth__server_drop_handshakes(berth_server *server)
{
    while (server->greeter != NULL && server->greeter->handshakes != NULL)
        berth_socket_free(server->greeter->handshakes->socket); /* calls left_handshake */
}

/* Ends one that has failed. Calls the program. */
static void give_up(berth_server *server, handshake *over, berth_error class, const char *text)
{
    berth_socket *socket = over->socket;
    char why[sizeof((berth__engine_failure *)NULL)->text];
    char name[BERTH__SERVER_NAME_SIZE];
    berth_tls_failure failure = {.error = class,
                                 .text = why,
                                 .server_name = name,
                                 .peer = over->peer,
                                 .peer_port = over->peer_port};
    (void)snprintf(why, sizeof why, "%s", text);
    (void)snprintf(name, sizeof name, "%s", over->name);
    BERTH__COUNT(server->owner.counts.failed_handshake);
    berth__server_explain(server, &failure);
    berth__server_left_handshake(server, socket);
    berth_socket_free(socket);
    berth__server_pace(server);
    tell(server, &failure);
}

static void shaken(berth__owner *owner, berth_socket *socket, const berth__engine_failure *failure)
{
    berth_server *server = (berth_server *)((char *)owner - offsetof(berth_server, owner));
    berth__enter(&server->object);
    if (failure != NULL) {
        give_up(server, socket->user, failure->class, failure->text);
    } else {
        berth__server_left_handshake(server, socket);
        BERTH__COUNT(server->owner.counts.handshakes);
        server->events++;
        berth__server_enqueue(server, socket);
        berth__server_announce(server, true);
        if (!server->object.freed)
            berth__server_pace(server);
    }
    berth__leave(&server->object);
}

static void enlist(berth_server *server, handshake *one, berth_socket *socket)
{
    berth__greeter *greeter = server->greeter;
    one->socket = socket;
    one->next = greeter->handshakes;
    one->link = &greeter->handshakes;
    if (one->next != NULL)
        one->next->link = &one->next;
    greeter->handshakes = one;
    BERTH__COUNT(server->shaking);
    socket->pending = true;
    socket->handlers = &nobody;
    socket->object.handlers_size = sizeof nobody;
    socket->user = one;
}

/* Encrypts the connection of a new socket. What there is to be done of the handshake is done here,
 * where its time is measured, and not when the turn flushes its output. */
static void shake(berth_server *server, berth_socket *socket, berth_tls *tls, berth__chain *held)
{
    berth_loop *loop = server->object.loop;
    const berth__secure_plan plan = {.tls = tls, .received = held, .for_owner = true};
    if (!berth__secure_begin(socket, &plan)) {
        BERTH__COUNT(server->owner.counts.failed);
        const handshake *over = socket->user;
        berth__server_explain(server, &(berth_tls_failure){.error = BERTH_ERROR_SOCKET_RESOURCE,
                                                           .text = berth__reason_of(ENOMEM),
                                                           .peer = over->peer,
                                                           .peer_port = over->peer_port});
        berth__server_left_handshake(server, socket);
        berth_socket_free(socket);
        return;
    }
    if (socket->flush.link == NULL)
        return;
    berth__loop_flush_not(loop, &socket->flush);
    berth__socket_settle(socket);
}

/* Gives it a socket and begins the handshake. May call the program. */
static void start(greeting *one, berth_tls *tls, const berth_tls_hello *hello)
{
    berth_server *server = one->held.server;
    berth__address_count *address = one->address;
    berth__accepted *names = one->names;
    berth__chain held = one->received;
    bool at_hand = one->at_hand;
    size_t size = strlen(hello->server_name) + 1;
    handshake *record = berth__allocate(sizeof *record + size);
    if (record == NULL) {
        lose(one, ENOMEM);
        return;
    }
    memcpy(record->name, hello->server_name, size);
    record->peer = hello->peer;
    record->peer_port = hello->peer_port;
    record->guest.shaking = true;
    one->address = NULL;
    one->names = NULL;
    one->received.first = NULL;
    server->owner.local = one->held.local;
    server->owner.parcelled = one->held.parcelled;
    berth__guests_replace(&server->greeter->guests, &one->guest, &record->guest);
    int descriptor = see_off(one);
    berth_socket *socket = berth__server_make_socket(server, descriptor, at_hand, &address, names);
    if (address != NULL)
        berth__address_counts_remove(&server->owner.roll->counts, address);
    berth__release(names);
    if (socket != NULL) {
        enlist(server, record, socket);
        shake(server, socket, tls, &held);
    } else {
        dismiss(server->greeter, &record->guest);
        berth__release(record);
    }
    berth__chain_clear(&held, &server->object.loop->pool);
}

/* The program's choice, or that of the name; NULL to refuse. `*one` becomes NULL if it has gone. */
static berth_tls *choose(berth_server *server, greeting **one, const berth_tls_hello *hello)
{
    berth__greeter *greeter = server->greeter;
    if (SLOT(server, client_hello) == NULL || server->object.loop->inherited)
        return berth__greeter_find(greeter, hello->server_name);
    choice chosen = {.one = *one, .outer = greeter->choice};
    greeter->choice = &chosen;
    berth_tls *tls = server->handlers->client_hello(server, hello, server->user);
    *one = chosen.one;
    if (!server->object.freed)
        greeter->choice = chosen.outer;
    return tls;
}

/* Takes what has come. Returns 0, or why it has to go. */
static int take(greeting *one)
{
    berth_server *server = one->held.server;
    berth__backend *backend = backend_of(server);
    uint8_t input[TAKEN_AT_ONCE];
    size_t room = BERTH__CLIENT_HELLO_SIZE - one->hello.used + 1; /* one too many shows */
    ptrdiff_t count = backend->operations->take(backend, one->held.descriptor, input,
                                                room < sizeof input ? room : sizeof input, false);
    if (count == 0)
        return BERTH__REFUSAL_HELLO_CLOSED;
    if (count == -EAGAIN)
        return 0;
    if (count < 0)
        return (int)-count;
    (void)berth__client_hello_input(&one->hello, input, (size_t)count);
    if (one->hello.step == BERTH__HANDSHAKE_REFUSED)
        return one->hello.refusal;
    bool kept =
        berth__chain_append(&one->received, &server->object.loop->pool, input, (size_t)count);
    return kept ? 0 : ENOMEM;
}

/* Its hello has come. */
static void is_whole(greeting *one)
{
    berth_server *server = one->held.server;
    berth__awaiting_append(&server->greeter->whole, &one->held);
    if (server->drain.phase == BERTH__DRAIN_LEAVING)
        invite_again(server->greeter, &one->guest); /* no longer idle */
}

/* What has come of one that waits unread. May call the program. */
static void hear(greeting *one)
{
    berth__greeter *greeter = one->held.server->greeter;
    int error = take(one);
    if (error == 0 && one->hello.step == BERTH__HANDSHAKE_DONE) {
        is_whole(one);
        return;
    }
    if (error == 0) {
        greeter->whole_count--;
        berth__awaiting_append(&greeter->silent, &one->held);
        error = berth__awaiting_watch(&one->held);
    }
    if (error != 0)
        turn_away(one, error, "");
}

/* Reads those that wait unread, until there is one to be answered, or enough for this turn. */
static void hear_some(berth_server *server)
{
    berth__greeter *greeter = server->greeter;
    while (!server->object.freed && greeter->unread.first != NULL && greeter->taken < MOST_TAKEN &&
           !may_begin(greeter) && !berth__server_is_paused(server)) {
        greeter->taken++;
        hear((greeting *)greeter->unread.first);
    }
}

/* Begins the handshake of the first that waits, or ends it. False if that took no time: who has
 * waited may have left, and where many have, the others are to be answered all the same. */
static bool answer(berth_server *server)
{
    berth__greeter *greeter = server->greeter;
    greeting *one = (greeting *)greeter->whole.first;
    uint8_t input[BERTH__CLIENT_HELLO_SIZE];
    berth__client_hello_values values;
    greeter->whole_count--;
    berth__awaiting_take_out(&one->held); /* lest a turn in a handler answer it again */
    bool left = berth__awaiting_has_left(&one->held);
    bool quick = left && ++greeter->taken < MOST_TAKEN;
    size_t size = berth__chain_copy(&one->received, 0, input, one->hello.used);
    int refusal =
        left ? BERTH__REFUSAL_HELLO_CLOSED : berth__client_hello_read(input, size, &values);
    if (refusal != 0) {
        turn_away(one, refusal, "");
        return !quick;
    }
    berth_tls_hello hello = {.server_name = values.name, .protocols = values.protocols};
    peer_of(one, &hello.peer, &hello.peer_port);
    berth_tls *tls = choose(server, &one, &hello);
    if (one != NULL && (tls == NULL || !tls->server)) {
        turn_away(one, tls == NULL ? BERTH__REFUSAL_HELLO_REFUSED : BERTH__REFUSAL_HELLO_SIDE,
                  values.name);
    } else if (one != NULL) {
        berth_tls_hold(tls);
        start(one, tls, &hello);
        berth_tls_release(tls);
    }
    return true;
}

/* Answers as many as there is time for. */
static void answer_some(berth_server *server)
{
    berth__greeter *greeter = server->greeter;
    if (server->object.freed)
        return;
    uint64_t now = clock_of(server);
    uint64_t budget = (now - greeter->answered) / SHARE;
    uint64_t enough = now + (budget < BUDGET ? budget : BUDGET);
    bool answered = false;
    hear_some(server);
    while (!server->object.freed && may_begin(greeter) && (now < enough || !answered)) {
        answered = answer(server) || answered;
        hear_some(server);
        now = clock_of(server);
    }
    if (server->object.freed)
        return;
    greeter->taken = 0;
    if (answered)
        greeter->answered = now;
}

static berth__ready *ready_of(berth__guest *guest)
{
    if (!guest->shaking)
        return &greeting_of(guest)->held.watch.ready;
    berth__stream *stream = ((handshake *)guest)->socket->stream;
    return stream != NULL ? &stream->ready : NULL;
}

/* The first that is late, and for whom nothing was found that is still to run: see 0161. */
static berth__guest *first_late(const berth__greeter *greeter, uint64_t now)
{
    for (berth__guest *late = greeter->guests.first; late != NULL && late->due <= now;
         late = late->next) {
        berth__ready *ready = ready_of(late);
        if (ready == NULL || !berth__ready_spares(ready, late->spared))
            return late;
        late->spared = true;
    }
    return NULL;
}

static void end_late(berth_server *server)
{
    berth__greeter *greeter = server->greeter;
    uint64_t now = server->object.loop->time; /* what has come by then counts, see 0161 */
    char text[BERTH__REFUSAL_TEXT_SIZE];
    for (berth__guest *guest;
         !server->object.freed && (guest = first_late(greeter, now)) != NULL;) {
        greeting *one = guest->shaking ? NULL : greeting_of(guest);
        if (one == NULL) {
            give_up(server, (handshake *)guest, BERTH_ERROR_SOCKET_TIMEOUT,
                    berth__refusal_reason(BERTH__REFUSAL_HELLO_TIMEOUT, text, sizeof text));
        } else if (is_waiting(one) && berth__server_is_paused(server)) {
            invite_again(greeter, guest);
        } else if (one->held.list == &greeter->unread &&
                   server->drain.phase == BERTH__DRAIN_LEAVING) {
            hear(one); /* if that is a hello it has more time; else it is the next to be late */
        } else {
            turn_away(one, BERTH__REFUSAL_HELLO_TIMEOUT, "");
        }
    }
}

/* Does what is due. */
static void work(berth_server *server)
{
    berth__enter(&server->object);
    end_late(server);
    answer_some(server);
    if (!server->object.freed)
        berth__server_pace(server); /* there may be room, and sets the deadline */
    berth__leave(&server->object);
}

static void expired(berth__deadline *deadline)
{
    berth_server *server =
        ((berth__greeter *)((char *)deadline - offsetof(berth__greeter, deadline)))->server;
    berth__enter(&server->object);
    if (has_work(server->greeter))
        berth__loop_send(server->object.loop);
    if (!server->object.freed)
        work(server);
    berth__leave(&server->object);
}

/* Does for handshakes what the end of a turn does. False if there may be more, or the server was
 * freed. */
static bool settle_all(berth_server *server)
{
    berth__greeter *greeter = server->greeter;
    handshake *one = greeter->handshakes;
    for (size_t left = server->shaking; one != NULL && left > 0; left--) {
        berth_socket *socket = one->socket;
        one = one->next;
        if (socket->flush.link == NULL)
            continue;
        berth__loop_flush_not(server->object.loop, &socket->flush);
        berth__socket_settle(socket);
        if (server->object.freed)
            return false;
        one = greeter->handshakes; /* it may have ended, and others with it */
    }
    return one == NULL;
}

uint64_t berth__server_greeting_step(berth_server *server)
{
    berth__greeter *greeter = server->greeter;
    if (greeter == NULL)
        return NEVER;
    berth__deadline *deadline = &greeter->deadline;
    if (deadline->place != 0 && deadline->time <= clock_of(server)) {
        berth__deadline_stop(&server->object.loop->deadlines, deadline);
        work(server);
        if (server->object.freed)
            return NEVER;
    }
    if (!settle_all(server))
        return server->object.freed ? NEVER : clock_of(server);
    return deadline->place != 0 ? deadline->time : NEVER;
}

berth__stream *berth__server_shaking_stream(const berth_server *server)
{
    if (server->object.freed || server->greeter == NULL)
        return NULL;
    for (const handshake *one = server->greeter->handshakes; one != NULL; one = one->next) {
        berth__stream *stream = one->socket->stream;
        if (stream != NULL && stream->ready.queued && stream->ready.pending != 0)
            return stream;
    }
    return NULL;
}

/* ---- the hello ------------------------------------------------------------------------------- */

static void fired(berth__watch *which, unsigned events)
{
    greeting *one = (greeting *)which;
    berth_server *server = one->held.server;
    berth__greeter *greeter = server->greeter;
    (void)events;
    berth__awaiting_has_come(&one->held);
    if (berth__server_is_paused(server)) {
        berth__awaiting_append(&greeter->held, &one->held);
        dismiss(greeter, &one->guest);
        set_deadline(greeter);
        return;
    }
    berth__enter(&server->object);
    bool waits =
        greeter->unread.first != NULL || (greeter->taken >= MOST_TAKEN && may_begin(greeter));
    int error = waits ? 0 : take(one);
    greeter->taken++;
    if (error == 0 && (waits || one->hello.step == BERTH__HANDSHAKE_DONE)) {
        if (waits)
            berth__awaiting_append(&greeter->unread, &one->held);
        else
            is_whole(one);
        greeter->whole_count++;
        if (berth__server_greeting_room(server) == 0)
            berth__server_pace(server);
    } else if (error == 0) {
        error = berth__awaiting_watch(&one->held);
    }
    if (error != 0)
        turn_away(one, error, "");
    if (!server->object.freed)
        set_deadline(greeter);
    berth__leave(&server->object);
}

void berth__server_wake_greetings(berth_server *server)
{
    berth__greeter *greeter = server->greeter;
    while (greeter->held.first != NULL && !berth__server_is_paused(server)) {
        greeting *one = (greeting *)greeter->held.first;
        (void)berth__awaiting_watch(&one->held); /* else it ends when its time is over */
        berth__awaiting_append(&greeter->silent, &one->held);
        invite(greeter, &one->guest);
    }
    set_deadline(greeter);
}

void berth__greeter_init(berth__greeter *greeter)
{
    berth__awaiting_list_init(&greeter->silent);
    berth__awaiting_list_init(&greeter->held);
    berth__awaiting_list_init(&greeter->whole);
    berth__awaiting_list_init(&greeter->unread);
    berth__guests_init(&greeter->guests);
    greeter->deadline.expired = expired;
    greeter->server->owner.shaken = shaken;
}

/* ---- the beginning --------------------------------------------------------------------------- */

/* Whether there is a place for one more, which the oldest silent one may have to give. */
static bool make_room(berth_server *server)
{
    return server->greeting < (size_t)server->max_greetings ||
           berth__server_cut_silent(server, 1) > 0;
}

void berth__server_greet(berth_server *server, int descriptor, bool at_hand)
{
    berth__greeter *greeter = server->greeter;
    greeting *one = NULL;
    berth__accepted *names = NULL;
    bool room = make_room(server);
    server->greets = server->greets || at_hand;
    if (room && berth__awaiting_keep_names(server, descriptor, &names))
        one = berth__awaiting_new(server, descriptor, sizeof *one, fired);
    if (one == NULL) {
        uint64_t *count =
            room ? &server->owner.counts.failed : &server->owner.counts.rejected_greeting;
        BERTH__COUNT(*count);
        berth_tls_failure failure = {.error = BERTH_ERROR_SOCKET_RESOURCE};
        failure.text = room ? berth__reason_of(ENOMEM) : "too many wait for their handshake";
        berth__server_peer_of(server, descriptor, &failure.peer, &failure.peer_port);
        berth__server_explain(server, &failure);
        berth__release(names);
        backend_of(server)->operations->discard(backend_of(server), descriptor);
        return;
    }
    one->guest = (berth__guest){.shaking = false};
    one->received.first = NULL;
    one->names = names;
    one->address = at_hand ? server->accepted_address : NULL;
    one->at_hand = at_hand;
    berth__client_hello_begin(&one->hello);
    if (at_hand)
        server->accepted_address = NULL;
    BERTH__COUNT(server->greeting);
    berth__awaiting_append(&greeter->silent, &one->held);
    invite(greeter, &one->guest);
    int error = berth__awaiting_watch(&one->held);
    if (error != 0)
        lose(one, error);
    set_deadline(greeter);
}
