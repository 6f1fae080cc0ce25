/*
 * Passages through proxies: proxy_connection.h over the descriptor operations of the backend and
 * the handshakes.
 *
 * Once dialled (dial.h), one watch drives all: for writing while output waits, for reading while an
 * answer is missing. When it fires, `advance` does what can be done without waiting, and starts it
 * again. SOCKS5 says how many bytes it wants, and just these are taken; an HTTP header has no
 * length, so there the bytes are looked at first, and what the handshake has used is taken after.
 *
 * The record is freed when its watch is closed, which can be inside an event (in a blocking wait of
 * a handler), so nothing is touched after one has been called.
 *
 * It fails when no address of the proxy can be connected (the errno of the last), when the proxy
 * ends the connection, when the handshake refuses, and when a system call fails.
 */
#include "proxy_connection.h"

#include "base/memory.h"
#include "base/system_error.h"
#include "dial.h"
#include "handshake/http_connect.h"
#include "handshake/refusal.h"
#include "handshake/socks5.h"
#include "loop/loop.h"
#include "loop/resolver.h"

#include <errno.h>
#include <string.h>

#define KEPT_OPTIONS 4
#define MOST_REST 32 /* pieces of an answer that is not looked at */

struct berth__proxy_connection {
    berth__watch watch; /* first */
    berth_loop *loop;
    const berth__proxy_connection_events *events;
    void *owner;
    int descriptor;    /* -1 when there is none */
    berth__dial *dial; /* NULL when there is none */
    bool over;         /* an event has ended it, or its owner has */
    bool listens;
    const berth__options *options;
    bool admits;   /* takes the peer of a BIND when it comes */
    bool told;     /* `bound` was called */
    size_t worked; /* the address that was dialled last */
    size_t count;
    berth_address addresses[BERTH__MOST_ADDRESSES];
    berth__proxy proxy;
    union {
        berth__socks5 socks5;
        berth__http_connect http;
    } handshake;
    int kept[KEPT_OPTIONS]; /* of a BIND: its options before */
    size_t output_size;
    size_t output_sent;
    uint8_t output[BERTH__HTTP_OUTPUT_SIZE];
};

_Static_assert(BERTH__HTTP_OUTPUT_SIZE >= BERTH__SOCKS5_OUTPUT_SIZE, "output holds either");

static bool is_socks5(const berth__proxy_connection *connection)
{
    return connection->proxy.value.type == BERTH_PROXY_SOCKS5;
}

static const berth__backend_operations *operations_of(const berth__proxy_connection *connection)
{
    return connection->loop->backend->operations;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void closed(berth__watch *watch)
{
    berth__proxy_connection *connection = (berth__proxy_connection *)watch;
    connection->loop->live--;
    berth__release(connection);
}

static void drop_descriptor(berth__proxy_connection *connection)
{
    int descriptor = connection->descriptor;
    connection->descriptor = -1;
    if (descriptor >= 0)
        operations_of(connection)->discard(connection->loop->backend, descriptor);
}

/* Ends it; the descriptor is the caller's. The record goes when its watch has closed, which any
 * wait may see to. */
static void finish(berth__proxy_connection *connection)
{
    connection->over = true;
    berth__ready_share(&connection->watch.ready);
    operations_of(connection)->watch_close(connection->loop->backend, &connection->watch);
    berth__loop_touch(connection->loop);
}

void berth__proxy_connection_cancel(berth__proxy_connection *connection)
{
    if (connection->dial != NULL)
        berth__dial_cancel(connection->dial);
    connection->dial = NULL;
    finish(connection);
    drop_descriptor(connection);
}

static void fail(berth__proxy_connection *connection, berth_error class, int number)
{
    const berth__proxy_connection_events *events = connection->events;
    void *owner = connection->owner;
    berth__proxy_connection_cancel(connection);
    events->failed(owner, class, number);
}

/* What has come behind the answer that refuses is read, or the kernel would send the proxy a reset
 * in place of an end. */
static void read_rest(berth__proxy_connection *connection)
{
    berth__backend *backend = connection->loop->backend;
    uint8_t input[2048];
    for (int i = 0; i < MOST_REST; i++) {
        if (connection->descriptor < 0 ||
            operations_of(connection)
                    ->take(backend, connection->descriptor, input, sizeof input, false) <= 0)
            return;
    }
}

static void refuse(berth__proxy_connection *connection, int refusal)
{
    read_rest(connection);
    fail(connection, berth__refusal_class(refusal), refusal);
}

static void keep_alive(berth__proxy_connection *connection, bool begin);

static void opened(berth__proxy_connection *connection)
{
    if (connection->told)
        keep_alive(connection, false);
    const berth__proxy_connection_events *events = connection->events;
    void *owner = connection->owner;
    int descriptor = connection->descriptor;
    berth_address address = BERTH_ADDRESS_NULL;
    uint16_t port = 0;
    if (is_socks5(connection)) {
        address = connection->handshake.socks5.replied;
        port = connection->handshake.socks5.replied_port;
    }
    finish(connection);
    events->opened(owner, descriptor, address, port);
}

/* ---- dialling -------------------------------------------------------------------------------- */

/* Waits; what fails here has no other way out. */
static void watch_for(berth__proxy_connection *connection, unsigned events)
{
    berth__backend *backend = connection->loop->backend;
    int error = operations_of(connection)
                    ->watch_start(backend, &connection->watch, connection->descriptor, events);
    if (error != 0)
        fail(connection, berth__class_of(error), error);
}

static void advance(berth__proxy_connection *connection);

static void dialled(void *core, int descriptor, size_t index)
{
    berth__proxy_connection *connection = core;
    connection->dial = NULL;
    connection->descriptor = descriptor;
    /* Of those that were dialled, not of all, when it was dialled again. */
    connection->worked += index;
    advance(connection);
}

static void not_dialled(void *core, int error)
{
    berth__proxy_connection *connection = core;
    connection->dial = NULL;
    fail(connection, BERTH_ERROR_PROXY_CONNECTION_REFUSED, error);
}

static const berth__dial_events dial_events = {.dialled = dialled, .failed = not_dialled};

/* Dials `count` addresses, from that which has worked on. Returns an errno. */
static int dial(berth__proxy_connection *connection, size_t count)
{
    berth__dial_plan plan = {.addresses = connection->addresses + connection->worked,
                             .count = count,
                             .port = connection->proxy.value.port,
                             .options = connection->options};
    int error = 0;
    connection->dial = berth__dial_start(connection->loop, &plan, &dial_events,
                                         connection->watch.ready.owner, connection, &error);
    return connection->dial != NULL ? 0 : error;
}

static void dial_again(berth__proxy_connection *connection)
{
    drop_descriptor(connection);
    int error = dial(connection, 1);
    if (error != 0)
        fail(connection, BERTH_ERROR_PROXY_CONNECTION_REFUSED, error);
}

uint64_t berth__proxy_connection_step(berth__proxy_connection *connection)
{
    return connection->dial != NULL ? berth__dial_step(connection->dial) : UINT64_MAX;
}

/* ---- the handshake --------------------------------------------------------------------------- */

static berth__handshake step_of(const berth__proxy_connection *connection)
{
    return is_socks5(connection) ? connection->handshake.socks5.step
                                 : connection->handshake.http.step;
}

/* Sends what is to be sent. Returns whether all has gone; if not, it waits or has failed. */
static bool send_output(berth__proxy_connection *connection)
{
    berth__backend *backend = connection->loop->backend;
    if (connection->output_sent == connection->output_size) {
        connection->output_sent = 0;
        connection->output_size =
            is_socks5(connection)
                ? berth__socks5_output(&connection->handshake.socks5, connection->output)
                : berth__http_connect_output(&connection->handshake.http, connection->output);
    }
    while (connection->output_sent < connection->output_size) {
        const berth_piece piece = {connection->output + connection->output_sent,
                                   connection->output_size - connection->output_sent};
        ptrdiff_t sent = operations_of(connection)->put(backend, connection->descriptor, &piece, 1);
        if (sent == -EAGAIN) {
            watch_for(connection, BERTH__WATCH_WRITE);
            return false;
        }
        if (sent < 0) {
            refuse(connection, BERTH__REFUSAL_PROXY_CLOSED);
            return false;
        }
        connection->output_sent += (size_t)sent;
    }
    return true;
}

/* Gives the handshake what is there. Returns a count, or what `take` said. */
static ptrdiff_t take_input(berth__proxy_connection *connection)
{
    berth__backend *backend = connection->loop->backend;
    const berth__backend_operations *operations = operations_of(connection);
    uint8_t input[2048];
    if (is_socks5(connection)) {
        size_t wanted = berth__socks5_wanted(&connection->handshake.socks5);
        ptrdiff_t count = operations->take(backend, connection->descriptor, input, wanted, false);
        if (count > 0)
            berth__socks5_input(&connection->handshake.socks5, input, (size_t)count);
        return count;
    }
    ptrdiff_t count = operations->take(backend, connection->descriptor, input, sizeof input, true);
    if (count <= 0)
        return count;
    size_t used = berth__http_connect_input(&connection->handshake.http, input, (size_t)count);
    for (size_t taken = 0; taken < used; taken += (size_t)count) {
        count = operations->take(backend, connection->descriptor, input, used - taken, false);
        if (count <= 0)
            return count;
    }
    return (ptrdiff_t)used;
}

/* Takes an answer, or waits for it. Returns whether there is more to do now. */
static bool receive(berth__proxy_connection *connection)
{
    ptrdiff_t count = take_input(connection);
    if (count > 0)
        return true;
    if (count == -EAGAIN)
        watch_for(connection, BERTH__WATCH_READ);
    else
        refuse(connection, BERTH__REFUSAL_PROXY_CLOSED);
    return false;
}

/* Has the kernel probe a silent proxy (keep-alive): the wait for a peer has no limit, and a host
 * that vanishes says no word. What the options were before is put back when the connection becomes
 * the peer's. */
static void keep_alive(berth__proxy_connection *connection, bool begin)
{
    static const struct {
        berth_socket_option which;
        int value;
    } wanted[KEPT_OPTIONS] = {
        {BERTH_OPTION_KEEP_ALIVE_IDLE, 30},
        {BERTH_OPTION_KEEP_ALIVE_INTERVAL, 10},
        {BERTH_OPTION_KEEP_ALIVE_COUNT, 3},
        {BERTH_OPTION_KEEP_ALIVE, 1},
    };
    berth__backend *backend = connection->loop->backend;
    const berth__backend_operations *operations = operations_of(connection);
    for (size_t i = 0; i < KEPT_OPTIONS; i++) {
        int *kept = &connection->kept[i];
        int value = begin ? wanted[i].value : *kept;
        if (begin &&
            operations->option(backend, connection->descriptor, wanted[i].which, kept, false) != 0)
            *kept = 0;
        if (value > 0 || wanted[i].which == BERTH_OPTION_KEEP_ALIVE)
            (void)operations->option(backend, connection->descriptor, wanted[i].which, &value,
                                     true);
    }
}

/* The first reply to a BIND has come: from here on the peer is taken only when it may come in. */
static void bound(berth__proxy_connection *connection)
{
    connection->told = true;
    keep_alive(connection, true);
    connection->events->bound(connection->owner, connection->handshake.socks5.replied,
                              connection->handshake.socks5.replied_port);
}

static bool waits_for_peer(const berth__proxy_connection *connection)
{
    return connection->listens && connection->handshake.socks5.bound &&
           connection->handshake.socks5.step == BERTH__HANDSHAKE_RECEIVE;
}

/* Does what can be done without waiting. */
static void advance(berth__proxy_connection *connection)
{
    for (;;) {
        if (waits_for_peer(connection) && !connection->told) {
            bound(connection);
            return;
        }
        if (waits_for_peer(connection) && !connection->admits)
            return;
        bool more = false;
        if (connection->output_sent < connection->output_size ||
            step_of(connection) == BERTH__HANDSHAKE_SEND) {
            more = send_output(connection);
        } else if (step_of(connection) == BERTH__HANDSHAKE_RECEIVE) {
            more = receive(connection);
        } else if (step_of(connection) == BERTH__HANDSHAKE_DONE) {
            opened(connection);
        } else if (step_of(connection) == BERTH__HANDSHAKE_REFUSED) {
            refuse(connection, is_socks5(connection) ? connection->handshake.socks5.refusal
                                                     : connection->handshake.http.refusal);
        } else {
            berth__http_connect_again(&connection->handshake.http);
            dial_again(connection);
        }
        if (!more)
            return;
    }
}

static void fired(berth__watch *watch, unsigned events)
{
    (void)events;
    advance((berth__proxy_connection *)watch);
}

int berth__proxy_connection_admit(berth__proxy_connection *connection, bool admit)
{
    berth__backend *backend = connection->loop->backend;
    connection->admits = admit;
    /* The watch of a peer that may not come in any more is left running: when it fires, nothing is
     * taken. */
    if (!admit || !connection->told || connection->watch.active || connection->over)
        return 0;
    berth__loop_touch(connection->loop);
    return operations_of(connection)
        ->watch_start(backend, &connection->watch, connection->descriptor, BERTH__WATCH_READ);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void begin_handshake(berth__proxy_connection *connection,
                            const berth__proxy_connection_plan *plan)
{
    const berth_proxy *proxy = &connection->proxy.value;
    if (is_socks5(connection)) {
        berth__socks5_request request = {
            .command = plan->listens ? BERTH__SOCKS5_BIND : BERTH__SOCKS5_CONNECT,
            .name = plan->name,
            .address = plan->address,
            .port = plan->port,
            .user = proxy->user,
            .password = proxy->password,
        };
        berth__socks5_begin(&connection->handshake.socks5, &request);
        return;
    }
    berth__http_request request = {
        .name = plan->name,
        .address = plan->address,
        .port = plan->port,
        .user = proxy->user,
        .password = proxy->password,
        .authorized = plan->authorized,
    };
    berth__http_connect_begin(&connection->handshake.http, &request);
}

berth__proxy_connection *berth__proxy_connection_start(berth_loop *loop,
                                                       const berth__proxy_connection_plan *plan,
                                                       const berth__proxy_connection_events *events,
                                                       void *owner, int *ret_error)
{
    berth__proxy_connection *connection = berth__allocate_zero(sizeof *connection);
    *ret_error = ENOMEM;
    if (connection == NULL)
        return NULL;
    berth__watch_init(&connection->watch, owner, connection);
    connection->watch.fired = fired;
    connection->watch.closed = closed;
    connection->loop = loop;
    connection->events = events;
    connection->owner = owner;
    connection->descriptor = -1;
    connection->listens = plan->listens;
    connection->options = plan->options;
    connection->count = plan->count;
    memcpy(connection->addresses, plan->addresses, plan->count * sizeof *plan->addresses);
    *ret_error = berth__proxy_copy(&connection->proxy, plan->proxy);
    if (*ret_error == 0)
        *ret_error = dial(connection, connection->count);
    if (*ret_error != 0) {
        berth__release(connection);
        return NULL;
    }
    begin_handshake(connection, plan);
    loop->live++;
    berth__loop_touch(loop);
    return connection;
}
