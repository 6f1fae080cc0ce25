/*
 * Passages through proxies: passage.h over the descriptor operations of the backend and the
 * handshakes.
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
#include "passage.h"

#include "base/failure.h"
#include "base/memory.h"
#include "dial.h"
#include "handshake/http_connect.h"
#include "handshake/refusal.h"
#include "handshake/socks5.h"
#include "loop/loop.h"
#include "loop/resolve.h"

#include <errno.h>
#include <string.h>

#define KEPT_OPTIONS 4

struct berth__passage {
    berth__watch watch; /* first */
    berth_loop *loop;
    const berth__passage_events *events;
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

static bool is_socks5(const berth__passage *passage)
{
    return passage->proxy.value.type == BERTH_PROXY_SOCKS5;
}

static const berth__backend_operations *operations_of(const berth__passage *passage)
{
    return passage->loop->backend->operations;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void closed(berth__watch *watch)
{
    berth__passage *passage = (berth__passage *)watch;
    passage->loop->live--;
    berth__release(passage);
}

static void drop_descriptor(berth__passage *passage)
{
    int descriptor = passage->descriptor;
    passage->descriptor = -1;
    if (descriptor >= 0)
        operations_of(passage)->discard(passage->loop->backend, descriptor);
}

/* Ends it; the descriptor is the caller's. The record goes when its watch has closed, which any
 * wait may see to. */
static void finish(berth__passage *passage)
{
    passage->over = true;
    berth__ready_share(&passage->watch.ready);
    operations_of(passage)->watch_close(passage->loop->backend, &passage->watch);
    berth__loop_touch(passage->loop);
}

void berth__passage_cancel(berth__passage *passage)
{
    if (passage->dial != NULL)
        berth__dial_cancel(passage->dial);
    passage->dial = NULL;
    finish(passage);
    drop_descriptor(passage);
}

static void fail(berth__passage *passage, berth_error class, int number)
{
    const berth__passage_events *events = passage->events;
    void *owner = passage->owner;
    berth__passage_cancel(passage);
    events->failed(owner, class, number);
}

static void refuse(berth__passage *passage, int refusal)
{
    fail(passage, berth__refusal_class(refusal), refusal);
}

static void keep_alive(berth__passage *passage, bool begin);

static void opened(berth__passage *passage)
{
    if (passage->told)
        keep_alive(passage, false);
    const berth__passage_events *events = passage->events;
    void *owner = passage->owner;
    int descriptor = passage->descriptor;
    berth_address address = BERTH_ADDRESS_NULL;
    uint16_t port = 0;
    if (is_socks5(passage)) {
        address = passage->handshake.socks5.replied;
        port = passage->handshake.socks5.replied_port;
    }
    finish(passage);
    events->opened(owner, descriptor, address, port);
}

/* ---- dialling -------------------------------------------------------------------------------- */

/* Waits; what fails here has no other way out. */
static void watch_for(berth__passage *passage, unsigned events)
{
    berth__backend *backend = passage->loop->backend;
    int error =
        operations_of(passage)->watch_start(backend, &passage->watch, passage->descriptor, events);
    if (error != 0)
        fail(passage, berth__class_of(error), error);
}

static void advance(berth__passage *passage);

static void dialled(void *core, int descriptor, size_t index)
{
    berth__passage *passage = core;
    passage->dial = NULL;
    passage->descriptor = descriptor;
    /* Of those that were dialled, not of all, when it was dialled again. */
    passage->worked += index;
    advance(passage);
}

static void not_dialled(void *core, int error)
{
    berth__passage *passage = core;
    passage->dial = NULL;
    fail(passage, BERTH_ERROR_PROXY_CONNECTION_REFUSED, error);
}

static const berth__dial_events dial_events = {.dialled = dialled, .failed = not_dialled};

/* Dials `count` addresses, from that which has worked on. Returns an errno. */
static int dial(berth__passage *passage, size_t count)
{
    berth__dial_plan plan = {.addresses = passage->addresses + passage->worked,
                             .count = count,
                             .port = passage->proxy.value.port,
                             .options = passage->options};
    int error = 0;
    passage->dial = berth__dial_start(passage->loop, &plan, &dial_events,
                                      passage->watch.ready.owner, passage, &error);
    return passage->dial != NULL ? 0 : error;
}

static void dial_again(berth__passage *passage)
{
    drop_descriptor(passage);
    int error = dial(passage, 1);
    if (error != 0)
        fail(passage, BERTH_ERROR_PROXY_CONNECTION_REFUSED, error);
}

uint64_t berth__passage_step(berth__passage *passage)
{
    return passage->dial != NULL ? berth__dial_step(passage->dial) : UINT64_MAX;
}

/* ---- the handshake --------------------------------------------------------------------------- */

static berth__handshake step_of(const berth__passage *passage)
{
    return is_socks5(passage) ? passage->handshake.socks5.step : passage->handshake.http.step;
}

/* Sends what is to be sent. Returns whether all has gone; if not, it waits or has failed. */
static bool send_output(berth__passage *passage)
{
    berth__backend *backend = passage->loop->backend;
    if (passage->output_sent == passage->output_size) {
        passage->output_sent = 0;
        passage->output_size =
            is_socks5(passage)
                ? berth__socks5_output(&passage->handshake.socks5, passage->output)
                : berth__http_connect_output(&passage->handshake.http, passage->output);
    }
    while (passage->output_sent < passage->output_size) {
        ptrdiff_t sent = operations_of(passage)->put(backend, passage->descriptor,
                                                     passage->output + passage->output_sent,
                                                     passage->output_size - passage->output_sent);
        if (sent == -EAGAIN) {
            watch_for(passage, BERTH__WATCH_WRITE);
            return false;
        }
        if (sent < 0) {
            refuse(passage, BERTH__REFUSAL_PROXY_CLOSED);
            return false;
        }
        passage->output_sent += (size_t)sent;
    }
    return true;
}

/* Gives the handshake what is there. Returns a count, or what `take` said. */
static ptrdiff_t take_input(berth__passage *passage)
{
    berth__backend *backend = passage->loop->backend;
    const berth__backend_operations *operations = operations_of(passage);
    uint8_t input[2048];
    if (is_socks5(passage)) {
        size_t wanted = berth__socks5_wanted(&passage->handshake.socks5);
        ptrdiff_t count = operations->take(backend, passage->descriptor, input, wanted, false);
        if (count > 0)
            berth__socks5_input(&passage->handshake.socks5, input, (size_t)count);
        return count;
    }
    ptrdiff_t count = operations->take(backend, passage->descriptor, input, sizeof input, true);
    if (count <= 0)
        return count;
    size_t used = berth__http_connect_input(&passage->handshake.http, input, (size_t)count);
    for (size_t taken = 0; taken < used; taken += (size_t)count) {
        count = operations->take(backend, passage->descriptor, input, used - taken, false);
        if (count <= 0)
            return count;
    }
    return (ptrdiff_t)used;
}

/* Takes an answer, or waits for it. Returns whether there is more to do now. */
static bool receive(berth__passage *passage)
{
    ptrdiff_t count = take_input(passage);
    if (count > 0)
        return true;
    if (count == -EAGAIN)
        watch_for(passage, BERTH__WATCH_READ);
    else
        refuse(passage, BERTH__REFUSAL_PROXY_CLOSED);
    return false;
}

/* Has a proxy asked whether it is still there, while nothing is to be heard of it: the wait for a
 * peer has no limit, and a host that vanishes says no word. What the options were before is put
 * back when the connection becomes the peer's. */
static void keep_alive(berth__passage *passage, bool begin)
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
    berth__backend *backend = passage->loop->backend;
    const berth__backend_operations *operations = operations_of(passage);
    for (size_t i = 0; i < KEPT_OPTIONS; i++) {
        int *kept = &passage->kept[i];
        int value = begin ? wanted[i].value : *kept;
        if (begin &&
            operations->option(backend, passage->descriptor, wanted[i].which, kept, false) != 0)
            *kept = 0;
        if (value > 0 || wanted[i].which == BERTH_OPTION_KEEP_ALIVE)
            (void)operations->option(backend, passage->descriptor, wanted[i].which, &value, true);
    }
}

/* The first reply to a BIND has come: from here on the peer is taken only when it may come in. */
static void bound(berth__passage *passage)
{
    passage->told = true;
    keep_alive(passage, true);
    passage->events->bound(passage->owner, passage->handshake.socks5.replied,
                           passage->handshake.socks5.replied_port);
}

static bool waits_for_peer(const berth__passage *passage)
{
    return passage->listens && passage->handshake.socks5.bound &&
           passage->handshake.socks5.step == BERTH__HANDSHAKE_RECEIVE;
}

/* Does what can be done without waiting. */
static void advance(berth__passage *passage)
{
    for (;;) {
        if (waits_for_peer(passage) && !passage->told) {
            bound(passage);
            return;
        }
        if (waits_for_peer(passage) && !passage->admits)
            return;
        bool more = false;
        if (passage->output_sent < passage->output_size ||
            step_of(passage) == BERTH__HANDSHAKE_SEND) {
            more = send_output(passage);
        } else if (step_of(passage) == BERTH__HANDSHAKE_RECEIVE) {
            more = receive(passage);
        } else if (step_of(passage) == BERTH__HANDSHAKE_DONE) {
            opened(passage);
        } else if (step_of(passage) == BERTH__HANDSHAKE_REFUSED) {
            refuse(passage, is_socks5(passage) ? passage->handshake.socks5.refusal
                                               : passage->handshake.http.refusal);
        } else {
            berth__http_connect_again(&passage->handshake.http);
            dial_again(passage);
        }
        if (!more)
            return;
    }
}

static void fired(berth__watch *watch, unsigned events)
{
    (void)events;
    advance((berth__passage *)watch);
}

int berth__passage_admit(berth__passage *passage, bool admit)
{
    berth__backend *backend = passage->loop->backend;
    passage->admits = admit;
    /* The watch of a peer that may not come in any more is left running: when it fires, nothing is
     * taken. */
    if (!admit || !passage->told || passage->watch.active || passage->over)
        return 0;
    berth__loop_touch(passage->loop);
    return operations_of(passage)->watch_start(backend, &passage->watch, passage->descriptor,
                                               BERTH__WATCH_READ);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void begin_handshake(berth__passage *passage, const berth__passage_plan *plan)
{
    const berth_proxy *proxy = &passage->proxy.value;
    if (is_socks5(passage)) {
        berth__socks5_request request = {
            .command = plan->listens ? BERTH__SOCKS5_BIND : BERTH__SOCKS5_CONNECT,
            .name = plan->name,
            .address = plan->address,
            .port = plan->port,
            .user = proxy->user,
            .password = proxy->password,
        };
        berth__socks5_begin(&passage->handshake.socks5, &request);
        return;
    }
    berth__http_request request = {
        .name = plan->name,
        .address = plan->address,
        .port = plan->port,
        .user = proxy->user,
        .password = proxy->password,
    };
    berth__http_connect_begin(&passage->handshake.http, &request);
}

berth__passage *berth__passage_start(berth_loop *loop, const berth__passage_plan *plan,
                                     const berth__passage_events *events, void *owner,
                                     int *ret_error)
{
    berth__passage *passage = berth__allocate_zero(sizeof *passage);
    *ret_error = ENOMEM;
    if (passage == NULL)
        return NULL;
    berth__watch_init(&passage->watch, owner, passage);
    passage->watch.fired = fired;
    passage->watch.closed = closed;
    passage->loop = loop;
    passage->events = events;
    passage->owner = owner;
    passage->descriptor = -1;
    passage->listens = plan->listens;
    passage->options = plan->options;
    passage->count = plan->count;
    memcpy(passage->addresses, plan->addresses, plan->count * sizeof *plan->addresses);
    *ret_error = berth__proxy_copy(&passage->proxy, plan->proxy);
    if (*ret_error == 0)
        *ret_error = dial(passage, passage->count);
    if (*ret_error != 0) {
        berth__release(passage);
        return NULL;
    }
    begin_handshake(passage, plan);
    loop->live++;
    berth__loop_touch(loop);
    return passage;
}
