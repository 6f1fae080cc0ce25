/*
 * Connecting: one lookup at most, then attempts that overlap, and one deadline over all.
 *
 *     START -> [LOOKUP] -> FOUND -> ANNOUNCED -> ATTEMPTING -> [GREETING] -> opened
 *                                           \-> THROUGH ----/
 *     ATTEMPTING or THROUGH -> [FAILED] -> failed
 *
 * FOUND becomes ANNOUNCED before the handlers of that are called, and a handler may wait: the wait
 * then goes on with the attempts, and the call that it is inside of finds them begun. Only `become`
 * changes the state. An end in any state releases the connector.
 *
 * The order of events: `announce` when there are addresses; `stream` for each attempt; then `named`
 * and `opened`, or `failed` with the errno of the last attempt when all have failed. An attempt is
 * a stream whose owner is the connector; the one that wins is given away with `opened`, the others
 * are closed. Each failure starts the next attempt at once; else the next starts after 250 ms.
 *
 * Through a proxy all this happens with the proxy instead of the target: it is looked up, and a
 * proxy connection (proxy_connection.c) leads through it. A target given by name is then never
 * looked up here, so that it is not announced as found.
 *
 * A Unix socket has one attempt at a time. One that finds the backlog full is made again, after
 * 1 ms, doubling to 32 ms, since nobody tells when there is room.
 *
 * Ways to fail: a name that is not found (HOST_NOT_FOUND), every address failing (class of the
 * last), the deadline (SOCKET_TIMEOUT), no memory. What fails inside the call that began it is
 * reported there, unless the owner reports later: see fail_inside_call. Of the events only
 * `announce` may cancel a connector that goes on, and says so.
 */
#include "connecting.h"

#include "base/idn.h"
#include "base/memory.h"
#include "base/system_error.h"
#include "handshake/proxy_protocol.h"
#include "handshake/refusal.h"
#include "loop/loop.h"
#include "loop/resolver.h"
#include "proxy/dial.h"
#include "proxy/proxy.h"
#include "proxy/proxy_connection.h"

#include <errno.h>
#include <string.h>

#define FIRST_AGAIN UINT64_C(1) /* milliseconds */
#define LAST_AGAIN UINT64_C(32)

typedef enum connecting_state {
    START,
    LOOKUP,     /* the name is being looked up */
    FOUND,      /* there are addresses, and nobody knows yet */
    ANNOUNCED,  /* and the attempts are still to be begun */
    ATTEMPTING, /* directly */
    THROUGH,    /* a proxy */
    GREETING,   /* connected, and sending the PROXY header */
    FAILED      /* reported when the limit expires, which is due */
} connecting_state;

struct berth__connector {
    berth_loop *loop;
    const berth__connect_events *events;
    void *owner;
    berth__options *const *options;
    berth_proxy_header *const *wanted_header;
    connecting_state state;
    berth__lookup *lookup; /* NULL when it is not running */
    uint16_t port;
    berth_error class;                   /* of a failure that is still to be reported */
    int error;                           /* of the last attempt that has failed */
    berth__proxy *proxy;                 /* NULL: connects directly */
    berth__proxy_connection *connection; /* NULL when it is not running */
    const char *name;                    /* of the target, for the proxy; NULL: `target` */
    char *ascii;                         /* that name encoded, where it has to be; or NULL */
    bool authorized;                     /* an HTTP proxy has asked for the credentials before */
    bool announced;                      /* before the lookup of the proxy, see connecting.h */
    berth_address target;
    berth__local_name local; /* of a Unix socket; or none */
    uint64_t again;          /* milliseconds until the next attempt there */
    berth__stream *greeting; /* connected, and sending its PROXY header; or NULL */
    berth__chain header;
    size_t count;
    size_t next;
    size_t running;
    berth_address addresses[BERTH__MOST_ADDRESSES];
    berth__stream *attempts[BERTH__MOST_ADDRESSES]; /* NULL when not running */
    berth__deadline stagger;
    berth__deadline limit;
    uint64_t due; /* when that is over, wherever it stands; */
    bool spared;  /* and a wait has run once more behind that */
};

static bool may_become(connecting_state state, connecting_state next)
{
    switch (next) {
    case LOOKUP:
        return state == START;
    case FOUND:
        return state == START || state == LOOKUP;
    case ANNOUNCED:
        return state == FOUND;
    case ATTEMPTING:
    case THROUGH:
        return state == ANNOUNCED;
    case GREETING:
        return state == ATTEMPTING || state == THROUGH;
    case FAILED:
        return state == ATTEMPTING || state == THROUGH || state == FAILED;
    default:
        return false;
    }
}

static void become(berth__connector *connector, connecting_state next)
{
    assert(may_become(connector->state, next));
    (void)may_become;
    connector->state = next;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void close_attempt(berth__connector *connector, size_t index, berth__close_mode mode)
{
    berth__stream *stream = connector->attempts[index];
    if (stream == NULL)
        return;
    connector->attempts[index] = NULL;
    connector->running--;
    berth__loop_close_stream(connector->loop, stream, NULL, mode);
}

/* Nothing more is tried. */
static void end_attempts(berth__connector *connector)
{
    for (size_t i = 0; i < connector->next; i++)
        close_attempt(connector, i, BERTH__CLOSE_NORMAL);
    connector->next = connector->count;
    berth__deadline_stop(&connector->loop->deadlines, &connector->stagger);
}

static void close_greeting(berth__connector *connector)
{
    berth_loop *loop = connector->loop;
    berth__stream *stream = connector->greeting;
    berth__chunk *leased = NULL;
    if (stream != NULL && stream->sending)
        leased = berth__chain_detach_all(&connector->header);
    berth__chain_clear(&connector->header, &loop->pool);
    if (stream != NULL)
        berth__loop_close_stream(loop, stream, leased, BERTH__CLOSE_NORMAL);
}

void berth__connect_cancel(berth__connector *connector)
{
    if (connector == NULL)
        return;
    berth__deadlines *deadlines = &connector->loop->deadlines;
    if (connector->lookup != NULL)
        berth__lookup_cancel(connector->lookup);
    if (connector->connection != NULL)
        berth__proxy_connection_cancel(connector->connection);
    close_greeting(connector);
    end_attempts(connector);
    berth__release(connector->proxy);
    berth__release(connector->ascii);
    berth__deadline_stop(deadlines, &connector->limit);
    berth__deadlines_unreserve(deadlines);
    berth__deadlines_unreserve(deadlines);
    berth__loop_time_end(connector->loop);
    berth__release(connector);
}

static void fail(berth__connector *connector, berth_error class, int error)
{
    const berth__connect_events *events = connector->events;
    void *owner = connector->owner;
    berth__connect_cancel(connector);
    events->failed(owner, class, error);
}

/* A handler of a failure may connect again at once, and that fails at once again, and so on: from
 * the second on they go by way of the loop. */
static void fail_inside_call(berth__connector *connector, berth_error class, int error)
{
    berth_loop *loop = connector->loop;
    if (!connector->events->reports_later(connector->owner)) {
        fail(connector, class, error);
        return;
    }
    connector->class = class;
    connector->error = error;
    become(connector, FAILED);
    berth__deadline_start(&loop->deadlines, &connector->limit, berth__loop_clock(loop));
    berth__loop_touch(loop);
}

/* ---- attempts -------------------------------------------------------------------------------- */

static void go_on(berth__connector *connector);

static void established(berth__connector *connector, berth__stream *stream);

static void attempt_connected(berth__stream *stream, int error)
{
    berth__connector *connector = stream->ready.owner;
    size_t index = 0;
    while (connector->attempts[index] != stream)
        index++;
    berth_address local;
    uint16_t local_port = 0;
    bool itself = error == 0 && berth__met_itself(connector->loop, stream->descriptor,
                                                  connector->port, &local, &local_port);
    if (error != 0 || itself) {
        connector->error = itself ? ECONNREFUSED : error;
        close_attempt(connector, index, itself ? BERTH__CLOSE_RESET : BERTH__CLOSE_NORMAL);
        go_on(connector);
        return;
    }
    connector->events->named(connector->owner, BERTH__LOCAL, local, local_port);
    connector->attempts[index] = NULL;
    connector->running--;
    end_attempts(connector);
    established(connector, stream);
}

static void never(berth__stream *stream)
{
    assert(false && "an attempt neither receives nor is closed before it is let go of");
    (void)stream;
}

static void never_received(berth__stream *stream, const void *data, size_t size)
{
    (void)data;
    (void)size;
    never(stream);
}

static void never_ended(berth__stream *stream, int error)
{
    (void)error;
    never(stream);
}

static void never_sent(berth__stream *stream, ptrdiff_t result)
{
    (void)result;
    never(stream);
}

static const berth__stream_events attempt_events = {
    .connected = attempt_connected,
    .received = never_received,
    .receive_ended = never_ended,
    .sent = never_sent,
    .closed = never,
};

static void hand_over(berth__connector *connector, berth__stream *stream)
{
    const berth__connect_events *events = connector->events;
    void *owner = connector->owner;
    berth__connect_cancel(connector);
    events->opened(owner, stream);
}

static void header_sent(berth__stream *stream, ptrdiff_t result);

static void send_header(berth__connector *connector)
{
    berth__backend *backend = connector->loop->backend;
    berth__stream *stream = connector->greeting;
    const berth__chain *header = &connector->header;
    ptrdiff_t result = backend->operations->send(backend, stream, header->first,
                                                 berth__chain_size(header), BERTH__SEND_ONLY);
    if (result != 0)
        header_sent(stream, result);
}

static void header_sent(berth__stream *stream, ptrdiff_t result)
{
    berth__connector *connector = stream->ready.owner;
    if (result < 0) {
        fail(connector, berth__class_of((int)-result), (int)-result);
        return;
    }
    berth__chain_consume(&connector->header, &connector->loop->pool, (size_t)result);
    if (connector->header.first != NULL) {
        send_header(connector);
        return;
    }
    connector->greeting = NULL;
    hand_over(connector, stream);
}

static const berth__stream_events header_events = {
    .connected = never_ended,
    .received = never_received,
    .receive_ended = never_ended,
    .sent = header_sent,
    .closed = never,
};

/* Connected, with the target at the other end: the PROXY header goes first, if there is one. */
static void established(berth__connector *connector, berth__stream *stream)
{
    const berth_proxy_header *header = *connector->wanted_header;
    if (header == NULL) {
        hand_over(connector, stream);
        return;
    }
    berth__proxy_names names = {.source = header->source,
                                .destination = header->destination,
                                .source_port = header->source_port,
                                .destination_port = header->destination_port};
    uint8_t bytes[BERTH__PROXY_OUTPUT_SIZE];
    size_t size = berth__proxy_header_write(header->version, &names, bytes);
    stream->events = &header_events;
    connector->greeting = stream;
    become(connector, GREETING);
    if (berth__chain_append(&connector->header, &connector->loop->pool, bytes, size))
        send_header(connector);
    else
        fail(connector, BERTH_ERROR_SOCKET_RESOURCE, ENOMEM);
}

void berth__connect_renew(berth__connector *connector)
{
    if (connector == NULL)
        return;
    berth__backend *backend = connector->loop->backend;
    for (size_t i = 0; i < connector->next; i++) {
        if (connector->attempts[i] != NULL)
            backend->operations->renew_stream(backend, connector->attempts[i]);
    }
    berth__stream *greeting = connector->greeting;
    if (greeting == NULL)
        return;
    backend->operations->renew_stream(backend, greeting);
    if (!greeting->sending || (greeting->ready.pending & BERTH__READY_SENT))
        return;
    greeting->sending = false;
    send_header(connector);
}

static int start_attempt(berth__connector *connector, size_t index)
{
    berth_loop *loop = connector->loop;
    berth__stream *stream;
    int error = connector->events->stream(connector->owner, &stream);
    if (error != 0)
        return error;
    int number = stream->descriptor;
    bool bound = number >= 0;
    stream->events = &attempt_events;
    stream->ready.owner = connector;
    stream->ready.local = connector->local.size > 0;
    error = stream->ready.local
                ? loop->backend->operations->connect_local(loop->backend, stream, &connector->local,
                                                           *connector->options)
                : loop->backend->operations->connect(loop->backend, stream,
                                                     &connector->addresses[index], connector->port,
                                                     *connector->options);
    if (error != 0) {
        berth__numbers_remove(&loop->numbers, number); /* the backend may have closed it */
        if (bound)
            berth__loop_close_stream(loop, stream, NULL, BERTH__CLOSE_NORMAL);
        else
            berth__loop_drop_stream(loop, stream);
        return error;
    }
    berth__numbers_add(&loop->numbers, stream->descriptor);
    connector->attempts[index] = stream;
    connector->running++;
    return 0;
}

/* A connect finds other meanings in some errors than listening does. */
static berth_error class_of_connect(int error)
{
    switch (error) {
    case EADDRNOTAVAIL:
    case EADDRINUSE:
        return BERTH_ERROR_NETWORK;
    case ECONNRESET:
        return BERTH_ERROR_CONNECTION_REFUSED;
    case ENOENT: /* of a path */
        return BERTH_ERROR_HOST_NOT_FOUND;
    default:
        return berth__local_class_of(error);
    }
}

/* ---- through a proxy ------------------------------------------------------------------------- */

static void opened(void *owner, int descriptor, berth_address address, uint16_t port)
{
    berth__connector *connector = owner;
    const berth__connect_events *events = connector->events;
    berth_loop *loop = connector->loop;
    connector->connection = NULL;
    berth__stream *stream = berth__loop_new_stream(loop, &attempt_events, connector);
    int error = ENOMEM;
    if (stream != NULL)
        error = loop->backend->operations->adopt(loop->backend, stream, descriptor, true);
    if (error == 0) {
        berth__numbers_add(&loop->numbers, descriptor);
        events->named(connector->owner, BERTH__PEER, connector->target, connector->port);
        events->named(connector->owner, BERTH__LOCAL, address, port);
        established(connector, stream);
        return;
    }
    if (stream != NULL)
        berth__loop_drop_stream(loop, stream);
    loop->backend->operations->discard(loop->backend, descriptor);
    fail(connector, berth__class_of(error), error);
}

static void proxy_failed(void *owner, berth_error class, int number)
{
    berth__connector *connector = owner;
    connector->connection = NULL;
    fail(connector, class, number);
}

static const berth__proxy_connection_events proxy_events = {
    .opened = opened,
    .failed = proxy_failed,
};

static void go_through(berth__connector *connector)
{
    berth__proxy_connection_plan plan = {
        .proxy = &connector->proxy->value,
        .addresses = connector->addresses,
        .count = connector->count,
        .name = connector->ascii != NULL ? connector->ascii : connector->name,
        .address = connector->target,
        .port = connector->port,
        .options = *connector->options,
        .authorized = connector->authorized,
    };
    int error = 0;
    become(connector, THROUGH);
    connector->connection =
        berth__proxy_connection_start(connector->loop, &plan, &proxy_events, connector, &error);
    if (connector->connection == NULL)
        fail_inside_call(connector,
                         berth__is_exhaustion(error) ? BERTH_ERROR_SOCKET_RESOURCE
                                                     : BERTH_ERROR_PROXY_CONNECTION_REFUSED,
                         error);
}

/* ---- going on -------------------------------------------------------------------------------- */

/* The backlog of a Unix socket is full. */
static void try_again(berth__connector *connector)
{
    berth_loop *loop = connector->loop;
    connector->next--;
    berth__deadline_start(&loop->deadlines, &connector->stagger,
                          berth__after(berth__loop_clock(loop), connector->again));
    if (connector->again < LAST_AGAIN)
        connector->again *= 2;
    berth__loop_touch(loop);
}

/* Starts the next attempt, passing over those that fail at once. Ends in failure when none is left.
 */
static void go_on(berth__connector *connector)
{
    berth_loop *loop = connector->loop;
    if (connector->proxy != NULL) {
        go_through(connector);
        return;
    }
    if (connector->state == ANNOUNCED)
        become(connector, ATTEMPTING);
    while (connector->next < connector->count) {
        int error = start_attempt(connector, connector->next++);
        if (error == 0) {
            if (connector->next < connector->count)
                berth__deadline_start(&loop->deadlines, &connector->stagger,
                                      berth__after(berth__loop_clock(loop), BERTH__STAGGER));
            berth__loop_touch(loop);
            return;
        }
        if (error == EAGAIN && connector->local.size > 0) {
            try_again(connector);
            return;
        }
        connector->error = error;
    }
    if (connector->running == 0)
        fail_inside_call(connector, class_of_connect(connector->error), connector->error);
}

static void stagger_expired(berth__deadline *deadline)
{
    go_on((berth__connector *)((char *)deadline - offsetof(berth__connector, stagger)));
}

/* Whether the kernel has to be asked whether it is connected, or has said something of that. */
static bool may_be_connected(const berth__connector *late)
{
    return late->due > late->loop->time || berth__connect_stream(late) != NULL;
}

static void limit_expired(berth__deadline *deadline)
{
    berth__connector *late =
        (berth__connector *)((char *)deadline - offsetof(berth__connector, limit));
    if (late->state == FAILED)
        fail(late, late->class, late->error);
    else if (may_be_connected(late))
        berth__deadline_start(&late->loop->deadlines, deadline, late->due);
    else if (late->proxy == NULL)
        fail(late, BERTH_ERROR_SOCKET_TIMEOUT, 0);
    else
        fail(late,
             late->proxy->value.type == BERTH_PROXY_HTTP ? BERTH_ERROR_PROXY_CONNECTION_TIMEOUT
                                                         : BERTH_ERROR_SOCKET_TIMEOUT,
             BERTH__REFUSAL_PROXY_TIMEOUT);
}

berth__stream *berth__connect_stream(const berth__connector *connector)
{
    if (connector == NULL)
        return NULL;
    for (size_t i = 0; i < connector->next && i < BERTH__MOST_ADDRESSES; i++) {
        berth__stream *stream = connector->attempts[i];
        if (stream != NULL && stream->ready.queued && stream->ready.pending != 0)
            return stream;
    }
    berth__stream *greeting = connector->greeting;
    bool greets = greeting != NULL && greeting->ready.queued && greeting->ready.pending != 0;
    return greets ? greeting : NULL;
}

const void *berth__connect_runs(const berth__connector *connector)
{
    return connector != NULL && connector->proxy != NULL ? connector : NULL;
}

/* Whether what a wait has found for a proxy connection is to run before the limit ends it. */
static bool spares(berth__connector *late)
{
    bool runs = late->connection != NULL && late->due <= late->loop->time && !late->spared;
    late->spared = late->spared || runs;
    return runs;
}

uint64_t berth__connect_step(berth__connector *connector)
{
    if (connector == NULL)
        return UINT64_MAX;
    berth_loop *loop = connector->loop;
    uint64_t again = UINT64_MAX;
    /* This wait may run inside a handler of the beginning, which then has to be finished here. */
    if (connector->state == FOUND || connector->state == ANNOUNCED) {
        if (connector->state == FOUND)
            berth__connect_begin(connector);
        else
            go_on(connector);
        return 0;
    }
    if (connector->connection != NULL) {
        again = berth__proxy_connection_step(connector->connection);
        if (again == 0)
            return 0;
    }
    if (connector->lookup != NULL) {
        again = berth__lookup_step(connector->lookup);
        if (berth__lookups_run(loop, connector) > 0)
            return 0;
    }
    berth__deadline *deadlines[2] = {&connector->limit, &connector->stagger};
    for (size_t i = 0; i < 2; i++) {
        berth__deadline *deadline = deadlines[i];
        if (deadline->place == 0)
            continue;
        if (deadline->time <= berth__loop_clock(loop)) {
            if (deadline == &connector->limit && spares(connector))
                return 0;
            berth__deadline_stop(&loop->deadlines, deadline);
            deadline->expired(deadline);
            return 0;
        }
        again = deadline->time < again ? deadline->time : again;
    }
    return again;
}

/* ---- the beginning --------------------------------------------------------------------------- */

void berth__connect_begin(berth__connector *connector)
{
    if (connector->state == LOOKUP && connector->proxy == NULL)
        return;
    bool exists = true;
    if (connector->state != LOOKUP)
        become(connector, ANNOUNCED);
    if (!connector->announced) {
        connector->announced = true;
        exists = connector->events->announce(connector->owner, connector->name == NULL);
    }
    /* A handler may have waited, and so begun the attempts. */
    if (exists && connector->state == ANNOUNCED)
        go_on(connector);
}

static void looked_up(void *owner, const berth_address *addresses, size_t count, int error)
{
    berth__connector *connector = owner;
    connector->lookup = NULL;
    if (count == 0) {
        bool silent = error == ETIMEDOUT;
        if (error != 0 && !silent)
            fail(connector, BERTH_ERROR_SOCKET_RESOURCE, error);
        else if (connector->proxy != NULL)
            fail(connector, BERTH_ERROR_PROXY_NOT_FOUND,
                 silent ? BERTH__REFUSAL_PROXY_NAME : BERTH__REFUSAL_PROXY_NOT_FOUND);
        else
            fail(connector, BERTH_ERROR_HOST_NOT_FOUND, silent ? BERTH__REFUSAL_HOST_NAME : 0);
        return;
    }
    memcpy(connector->addresses, addresses, count * sizeof *addresses);
    connector->count = count;
    become(connector, FOUND);
    berth__connect_begin(connector);
}

static berth__connector *make(berth_loop *loop, uint32_t timeout)
{
    berth__deadlines *deadlines = &loop->deadlines;
    berth__connector *connector = berth__allocate_zero(sizeof *connector);
    if (connector == NULL)
        return NULL;
    if (!berth__deadlines_reserve(deadlines)) {
        berth__release(connector);
        return NULL;
    }
    if (!berth__deadlines_reserve(deadlines)) {
        berth__deadlines_unreserve(deadlines);
        berth__release(connector);
        return NULL;
    }
    connector->loop = loop;
    connector->error = ECONNREFUSED;
    connector->stagger.expired = stagger_expired;
    connector->limit.expired = limit_expired;
    berth__loop_time_begin(loop);
    connector->due = berth__after(berth__loop_clock(loop), timeout);
    if (timeout > 0)
        berth__deadline_start(deadlines, &connector->limit, connector->due);
    return connector;
}

/* What is connected to first: an address, or a name to be looked up. Returns an errno. */
static int set_out(berth__connector *connector, const char *name, berth_address address)
{
    if (name == NULL || berth_address_parse(name, &address)) {
        connector->addresses[0] = address;
        connector->count = 1;
        /* This host, by either family: the first may be missing, or nobody listen there. */
        if (address.family == BERTH_ADDRESS_FAMILY_ANY)
            connector->addresses[connector->count++] = BERTH_ADDRESS_ANY_IPV4;
        become(connector, FOUND);
        return 0;
    }
    become(connector, LOOKUP);
    connector->lookup = berth__lookup_start(connector->loop, name, connector, looked_up);
    return connector->lookup != NULL ? 0 : ENOMEM;
}

/* The proxy that leads to the target, and what is left to it. Returns an errno. */
static int set_proxy(berth__connector *connector, const berth__connect_plan *plan)
{
    connector->name = plan->name;
    connector->authorized = plan->authorized;
    char place[BERTH__ASCII_NAME_SIZE];
    const char *ascii = plan->name != NULL ? berth__ascii_name(plan->name, place) : NULL;
    if (ascii != plan->name) {
        connector->ascii = berth__copy_text(ascii);
        if (connector->ascii == NULL)
            return ENOMEM;
    }
    connector->target = plan->address;
    return berth__proxy_keep(plan->proxy, &connector->proxy);
}

berth__connector *berth__connect_start(berth_loop *loop, const berth__connect_plan *plan,
                                       const berth__connect_events *events, void *owner,
                                       int *ret_error)
{
    berth__connector *connector = make(loop, plan->timeout);
    *ret_error = ENOMEM;
    if (connector == NULL)
        return NULL;
    connector->events = events;
    connector->owner = owner;
    connector->port = plan->port;
    connector->options = plan->options;
    connector->wanted_header = plan->header;
    if (plan->local != NULL)
        connector->local = *plan->local;
    connector->again = FIRST_AGAIN;
    const char *name = plan->name;
    *ret_error = plan->proxy != NULL ? set_proxy(connector, plan) : 0;
    if (connector->proxy != NULL)
        name = connector->proxy->value.host;
    if (*ret_error == 0)
        *ret_error = set_out(connector, name, plan->address);
    if (*ret_error == 0)
        return connector;
    berth__connect_cancel(connector);
    return NULL;
}
