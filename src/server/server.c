/*
 * The life of a server: making, listening, adopting, closing, and what can be asked and set.
 * Accepting is in server_accept.c.
 *
 * Each time a server listens it gets a new listener record, which outlives the listening until the
 * backend has closed it; so a handler may close the server and listen again while the old record is
 * still on the stack. A failing step of listening leaves nothing open: class and text are stored,
 * and the server can listen again at once.
 */
#include "server.h"

#include "base/memory.h"
#include "base/probe.h"
#include "base/system_error.h"
#include "loop/loop.h"
#include "proxy/proxy.h"
#include "socket/socket.h"

#include <berth/tls.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- error ----------------------------------------------------------------------------------- */

void berth__server_set_error(berth_server *server, berth_error error, const char *format, ...)
{
    server->error = error;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(server->text, sizeof server->text, format, arguments);
    va_end(arguments);
    BERTH__PROBE3(server_error, server, (int)error, server->text);
}

bool berth__server_is_copy(berth_server *server, const char *what)
{
    if (!server->object.loop->inherited)
        return false;
    berth__server_set_error(server, berth__class_of(ECHILD), "cannot %s: %s", what,
                            berth__reason_of(ECHILD));
    return true;
}

berth_error berth_server_error(const berth_server *server)
{
    if (server == NULL)
        return berth__class_of(errno);
    BERTH__OWN_THREAD(server->object.loop);
    return server->error;
}

const char *berth_server_error_string(const berth_server *server)
{
    if (server == NULL)
        return berth__reason_of_none(errno);
    BERTH__OWN_THREAD(server->object.loop);
    return server->text;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* To retry for want of descriptors, for the rate of accepting, and for a drain. */
#define DEADLINES 3

static void unreserve_deadlines(berth_loop *loop, unsigned count)
{
    while (count-- > 0)
        berth__deadlines_unreserve(&loop->deadlines);
}

static bool reserve_deadlines(berth_loop *loop)
{
    for (unsigned count = 0; count < DEADLINES; count++) {
        if (berth__deadlines_reserve(&loop->deadlines))
            continue;
        unreserve_deadlines(loop, count);
        return false;
    }
    return true;
}

static void free_server(berth__object *object)
{
    berth_server_free((berth_server *)object);
}

static void destroy(berth__object *object)
{
    berth_server *server = (berth_server *)object;
    assert(server->listener == NULL && server->pending == NULL && server->owner.children == NULL);
    assert(server->trust == NULL && server->greeter == NULL && server->drain.fresh == NULL);
    assert(server->drain.walk.link == NULL);
    berth__roll_release(server->owner.roll);
    berth__release(server->proxy);
    berth__release(server);
}

static void renew(berth__object *object)
{
    berth_server *server = (berth_server *)object;
    server->guard = NULL; /* the pool is the parent's */
    berth__objects_renew(server->owner.children);
}

static const berth__kind server_kind = {
    .number = BERTH__KIND_SERVER, .free = free_server, .destroy = destroy, .renew = renew};

berth_server *berth_server_new_sized(berth_loop *loop, const berth_server_handlers *handlers,
                                     size_t size, void *user)
{
    loop = berth__loop_or_current(loop);
    if (loop == NULL)
        return NULL;
    BERTH__OWN_THREAD(loop);
    if (berth__loop_is_copy(loop))
        return NULL;
    berth_server *server = berth__allocate_zero(sizeof *server);
    if (server != NULL)
        server->owner.roll = berth__roll_new();
    if (server == NULL || server->owner.roll == NULL || !reserve_deadlines(loop)) {
        if (server != NULL && server->owner.roll != NULL)
            berth__roll_release(server->owner.roll);
        berth__release(server);
        errno = ENOMEM;
        return NULL;
    }
    server->handlers = handlers;
    server->object.handlers_size = (uint16_t)(size < sizeof *handlers ? size : sizeof *handlers);
    server->user = user;
    server->pending_end = &server->pending;
    server->limit = BERTH_DEFAULT_MAX_PENDING_CONNECTIONS;
    server->owner.pending_read_limit = BERTH_DEFAULT_PENDING_READ_LIMIT;
    server->backlog = BERTH_DEFAULT_LISTEN_BACKLOG_SIZE;
    server->handshake_timeout = BERTH_DEFAULT_HANDSHAKE_TIMEOUT;
    server->max_handshakes = BERTH_DEFAULT_MAX_HANDSHAKES;
    server->max_greetings = BERTH_DEFAULT_MAX_GREETINGS;
    server->owner.loop = loop;
    berth__server_init_accepting(server);
    berth__server_init_limits(server);
    berth__drain_init(server);
    berth__object_init(&server->object, &server_kind, loop, &loop->objects);
    return server;
}

/* Whether there is anything that is not to outlive it: a handler may have begun anew. */
static bool serves(const berth_server *server)
{
    return server->listener != NULL || server->bind != NULL || server->pending != NULL ||
           server->owner.children != NULL || server->drain.phase != BERTH__DRAIN_OFF ||
           server->awaiting + server->greeting + server->shaking > 0;
}

void berth_server_free(berth_server *server)
{
    if (server == NULL || server->object.freed)
        return;
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.loop->abandoned)
        return;
    berth__enter(&server->object);
    /* Handlers of its sockets run here, and one of them may free the server as well. */
    do {
        berth_server_close(server);
        while (!server->object.freed && server->owner.children != NULL)
            berth_socket_free((berth_socket *)server->owner.children);
    } while (!server->object.freed && serves(server));
    if (!server->object.freed) {
        berth__server_distrust(server);
        berth__server_end_greeting(server);
        berth__mark_remove(&server->pacing);
        while (server->refs != NULL)
            berth__server_forget(server->refs);
        unreserve_deadlines(server->object.loop, DEADLINES);
        berth__discard(&server->object);
    }
    berth__leave(&server->object);
}

void berth__server_remember(berth__server_ref *ref, berth_server *server)
{
    ref->server = server;
    ref->next = server->refs;
    ref->link = &server->refs;
    if (ref->next != NULL)
        ref->next->link = &ref->next;
    server->refs = ref;
}

void berth__server_succeed(berth_server *server, berth__succession from, berth__succession to)
{
    assert(from == BERTH__LISTENERS_SHARED || to == BERTH__LISTENERS_SHARED);
    int expected = (int)from;
    (void)atomic_compare_exchange_strong(&server->succession, &expected, (int)to);
}

void berth__server_forget(berth__server_ref *ref)
{
    if (ref->server == NULL)
        return;
    *ref->link = ref->next;
    if (ref->next != NULL)
        ref->next->link = ref->link;
    ref->server = NULL;
}

void *berth_server_user(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return server->user;
}

berth_loop *berth_server_loop(const berth_server *server)
{
    return server->object.loop;
}

/* ---- listening ------------------------------------------------------------------------------- */

/* Checks what can be refused without the kernel; sets the error. */
static bool may_listen(berth_server *server, berth_address address, uint16_t port,
                       const char *endpoint)
{
    if (server->listener != NULL || server->bind != NULL) {
        berth__server_set_error(server, BERTH_ERROR_OPERATION,
                                "cannot listen on %s: already listening", endpoint);
        return false;
    }
    if (berth__drain_forbids(server)) {
        berth__server_set_error(server, BERTH_ERROR_OPERATION,
                                "cannot listen on %s: the server is being drained", endpoint);
        return false;
    }
    if (berth_address_is_null(address)) {
        berth__server_set_error(server, BERTH_ERROR_UNSUPPORTED_OPERATION,
                                "cannot listen on the null address, port %u: an address is needed",
                                (unsigned)port);
        return false;
    }
    if (address.family == BERTH_ADDRESS_FAMILY_LOCAL) {
        berth__server_set_error(server, BERTH_ERROR_UNSUPPORTED_OPERATION,
                                "cannot listen on the address of a Unix socket: a path is needed");
        return false;
    }
    return true;
}

berth__listener *berth__server_new_listener(berth_server *server)
{
    berth__listener *listener = berth__allocate(sizeof *listener);
    if (listener != NULL)
        berth__listener_init(listener, &berth__server_events, server, server);
    return listener;
}

/* In a child of fork a thread that is no more may hold it. */
static pthread_mutex_t *lock_guard(berth_server *server)
{
    pthread_mutex_t *guard = server->object.loop->inherited ? NULL : server->guard;
    if (guard != NULL)
        pthread_mutex_lock(guard);
    return guard;
}

static void unlock_guard(pthread_mutex_t *guard)
{
    if (guard != NULL)
        pthread_mutex_unlock(guard);
}

void berth__server_begin(berth_server *server, berth__listener *listener)
{
    berth__listener **end = &server->listener;
    if (*end == NULL) {
        berth__drain_forget(server);
        server->owner.local = listener->local;
        server->owner.parcelled = listener->parcelled;
        atomic_store(&server->succession, BERTH__LISTENERS_OWN);
        server->listenings++;
        server->paused_by_error = false;
    }
    pthread_mutex_t *guard = lock_guard(server);
    while (*end != NULL)
        end = &(*end)->other;
    *end = listener;
    unlock_guard(guard);
    berth__numbers_add(&server->object.loop->numbers, listener->descriptor);
    server->object.loop->live++;
    berth__server_keep_spare(server);
    berth__server_pace(server);
    berth__loop_touch(server->object.loop);
}

/* Lets go of a listener, which goes on alone until it is closed; its core is the loop then. */
static void let_go(berth_server *server, berth__listener **link)
{
    berth__listener *listener = *link;
    berth_loop *loop = server->object.loop;
    pthread_mutex_t *guard = lock_guard(server);
    *link = listener->other;
    listener->other = NULL;
    listener->core = loop;
    berth__ready_share(&listener->ready);
    berth__numbers_remove(&loop->numbers, listener->descriptor);
    loop->backend->operations->close_listener(loop->backend, listener);
    unlock_guard(guard);
    berth__loop_touch(loop);
}

/* Returns an errno. */
static int look_up_name(berth_server *server, berth__listener *listener)
{
    berth__backend *backend = server->object.loop->backend;
    return backend->operations->name_of(backend, listener->descriptor, BERTH__LOCAL,
                                        &server->address, &server->port);
}

static const char *reason_of(int error, berth__listen_step step)
{
    if (error == EINVAL && step == BERTH__LISTEN_BIND)
        return "the address cannot be bound (link-local without a known scope, or IPv4-mapped)";
    if (error == EADDRINUSE && step == BERTH__LISTEN_LISTEN)
        return "another socket is already listening on the same port";
    return berth__reason_of(error);
}

bool berth_server_listen(berth_server *server, berth_address address, uint16_t port)
{
    BERTH__OWN_THREAD(server->object.loop);
    char endpoint[BERTH_ENDPOINT_TEXT_SIZE];
    berth_endpoint_format(address, port, endpoint, sizeof endpoint);
    if (server->object.freed || berth__server_is_copy(server, "listen") ||
        !may_listen(server, address, port, endpoint))
        return false;
    berth__proxy proxy;
    if (berth__proxy_for_server(server->proxy, address, &proxy))
        return berth__server_listen_through(server, &proxy, address, port);
    berth__backend *backend = server->object.loop->backend;
    berth__listen_options options = {.address = address,
                                     .port = port,
                                     .backlog = server->backlog,
                                     .reuse_port = server->reuse_port};
    berth__listen_step step = BERTH__LISTEN_CREATE;
    berth__listener *listener = berth__server_new_listener(server);
    int error = ENOMEM;
    if (listener != NULL)
        error = backend->operations->listen(backend, listener, &options, &step);
    if (error != 0) {
        berth__release(listener);
        berth__server_set_error(server, berth__class_of(error), "cannot listen on %s: %s", endpoint,
                                reason_of(error, step));
        return false;
    }
    berth__server_begin(server, listener);
    error = look_up_name(server, listener);
    if (error != 0 && port == 0) {
        berth__server_stop_listening(server); /* nobody would know where to connect to */
        berth__server_set_error(
            server, berth__class_of(error),
            "cannot listen on %s: cannot get the port that the system chose: %s", endpoint,
            berth__reason_of(error));
        return false;
    }
    if (error != 0) {
        server->address = address;
        server->port = port;
    }
    return true;
}

/* Those of its first listener, which was adopted. */
static void note_names(berth_server *server)
{
    (void)look_up_name(server, server->listener);
    if (server->listener->local)
        berth__server_note_local(server);
}

int berth__server_adopt_listener(berth_server *server, int descriptor)
{
    berth__backend *backend = server->object.loop->backend;
    if (berth__numbers_have(&server->object.loop->numbers, descriptor))
        return EEXIST;
    berth__listener *listener = berth__server_new_listener(server);
    if (listener == NULL)
        return ENOMEM;
    int error = backend->operations->adopt_listener(backend, listener, descriptor);
    if (error != 0) {
        berth__release(listener);
        return error;
    }
    berth__server_begin(server, listener);
    if (server->listener == listener)
        note_names(server);
    return 0;
}

const char *berth__reason_of_passed(int error)
{
    return error == EINVAL       ? "not listening"
           : error == EOPNOTSUPP ? "not a stream socket of IPv4, IPv6 or Unix"
                                 : berth__reason_of(error);
}

bool berth_server_set_descriptor(berth_server *server, int descriptor)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.freed || berth__server_is_copy(server, "listen"))
        return false;
    bool drained = berth__drain_forbids(server);
    if (drained || server->listener != NULL || server->bind != NULL) {
        berth__server_set_error(server, BERTH_ERROR_OPERATION, "cannot listen on descriptor %d: %s",
                                descriptor,
                                drained ? "the server is being drained" : "already listening");
        return false;
    }
    int error = berth__server_adopt_listener(server, descriptor);
    if (error != 0)
        berth__server_set_error(server, berth__class_of(error),
                                "cannot listen on descriptor %d: %s", descriptor,
                                berth__reason_of_passed(error));
    return error == 0;
}

void berth__server_stop_accepting(berth_server *server)
{
    if (server->listener == NULL && server->bind == NULL)
        return;
    berth__server_end_starving(server);
    if (server->local != NULL)
        berth__server_end_local(server);
    while (server->listener != NULL)
        let_go(server, &server->listener);
    server->listenings++;
    server->address = berth_address_special(BERTH_SPECIAL_NULL);
    server->port = 0;
    berth__deadline_stop(&server->object.loop->deadlines, &server->refill);
    berth__server_unbind(server);
    berth__server_keep_spare(server);
}

bool berth__server_drop_listener(berth_server *server, berth__listener *listener)
{
    berth__listener **link = &server->listener;
    if (server->listener == listener && listener->other == NULL)
        return false;
    while (*link != listener)
        link = &(*link)->other;
    bool first = link == &server->listener;
    if (first && server->local != NULL)
        berth__server_end_local(server);
    let_go(server, link);
    if (first)
        note_names(server);
    return true;
}

void berth__server_stop_listening(berth_server *server)
{
    berth__server_stop_accepting(server);
    berth__server_drop_awaiting(server);
    berth__server_drop_greetings(server);
}

void berth_server_close(berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.freed || server->object.loop->abandoned)
        return;
    berth__enter(&server->object);
    berth__drain_stop(server);
    berth__server_stop_listening(server);
    berth__server_drop_handshakes(server);
    while (server->pending != NULL)
        berth_socket_free(server->pending);
    berth__leave(&server->object);
}

bool berth_server_drop_copies(berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->object.freed)
        return false;
    if (!server->object.loop->inherited || server->object.loop->abandoned) {
        berth__server_set_error(server, BERTH_ERROR_OPERATION,
                                "cannot drop copies of connections: allowed only in a child of "
                                "fork, before berth_loop_after_fork");
        return false;
    }
    berth__enter(&server->object);
    berth__server_drop_awaiting(server);
    berth__server_drop_greetings(server);
    berth__server_drop_handshakes(server);
    while (server->pending != NULL)
        berth_socket_free(server->pending);
    berth__server_pace(server); /* there is room again, for when the loop is taken over */
    berth__leave(&server->object);
    return true;
}

/* ---- questions and settings ------------------------------------------------------------------ */

bool berth_server_is_listening(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return server->listener != NULL || server->listens_through;
}

uint16_t berth_server_port(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return server->port;
}

berth_address berth_server_address(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return server->address;
}

int berth_server_descriptor(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    if (server->listener == NULL)
        return -1;
    server->listener->asked = true;
    return server->listener->descriptor;
}

int berth_server_max_pending_connections(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return server->limit;
}

void berth_server_set_max_pending_connections(berth_server *server, int limit)
{
    BERTH__OWN_THREAD(server->object.loop);
    server->limit = limit;
    berth__server_pace(server);
}

size_t berth_server_pending_read_limit(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return server->owner.pending_read_limit;
}

void berth_server_set_pending_read_limit(berth_server *server, size_t bytes)
{
    BERTH__OWN_THREAD(server->object.loop);
    server->owner.pending_read_limit = bytes;
    for (berth_socket *socket = server->pending; socket != NULL; socket = socket->pending_next)
        berth__socket_pace(socket);
}

int berth_server_listen_backlog_size(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return server->backlog;
}

void berth_server_set_listen_backlog_size(berth_server *server, int size)
{
    BERTH__OWN_THREAD(server->object.loop);
    server->backlog = size;
}

bool berth_server_reuse_port(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    return server->reuse_port;
}

void berth_server_set_reuse_port(berth_server *server, bool reuse)
{
    BERTH__OWN_THREAD(server->object.loop);
    server->reuse_port = reuse;
}

bool berth_server_set_proxy(berth_server *server, const berth_proxy *proxy)
{
    BERTH__OWN_THREAD(server->object.loop);
    berth__proxy *copy;
    int error = berth__proxy_keep(proxy, &copy);
    if (error != 0) {
        berth__server_set_error(server, berth__class_of(error), "cannot set a proxy: %s",
                                error == EINVAL ? "unknown type, or a string that is too long"
                                                : berth__reason_of(error));
        return false;
    }
    berth__release(server->proxy);
    server->proxy = copy;
    return true;
}

berth_proxy berth_server_proxy(const berth_server *server)
{
    BERTH__OWN_THREAD(server->object.loop);
    berth_proxy none = {.type = BERTH_PROXY_DEFAULT};
    return server->proxy != NULL ? server->proxy->value : none;
}
