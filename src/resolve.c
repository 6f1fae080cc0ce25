/*
 * The resolver of a loop: a c-ares channel, its descriptors as watches, its time-out as a deadline.
 *
 * c-ares says which descriptors it wants watched; each gets a watch record that is started again as
 * often as it fires, until c-ares lets go of the descriptor; the record then closes and frees
 * itself. Results may come inside ares_getaddrinfo (numbers, the hosts file), inside
 * ares_process_fd, or inside ares_destroy: all are only queued there.
 *
 * Ways to fail: no memory, no channel (NULL from berth__lookup_start); a name that is not found or
 * a server that does not answer gives a lookup with no address. A descriptor that cannot be watched
 * is left to c-ares' own time-out.
 */
#include "resolve.h"

#include "loop.h"
#include "memory.h"
#include "text.h"

#include <ares.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

struct berth__lookup {
    berth__lookup *next; /* among the finished */
    struct berth__resolver *resolver;
    void *owner;
    berth__lookup_done done; /* NULL when cancelled */
    bool finished;
    uint64_t number; /* of its end */
    size_t count;
    berth_address addresses[BERTH__MOST_ADDRESSES];
};

typedef struct descriptor_watch {
    berth__watch watch;
    struct descriptor_watch *next;
    ares_socket_t descriptor;
    unsigned events;
} descriptor_watch;

typedef struct berth__resolver {
    berth_loop *loop;
    ares_channel channel;
    descriptor_watch *watches;
    berth__lookup *finished;
    berth__lookup **finished_end;
    berth__deadline deadline;
    uint64_t ended; /* so far */
    size_t running;
} berth__resolver;

/* ---- time-outs ------------------------------------------------------------------------------- */

static uint64_t next_time(berth__resolver *resolver)
{
    struct timeval wait;
    if (resolver->running == 0 || ares_timeout(resolver->channel, NULL, &wait) == NULL)
        return UINT64_MAX;
    uint64_t nanoseconds = (uint64_t)wait.tv_sec * 1000000000u + (uint64_t)wait.tv_usec * 1000u;
    /* c-ares counts in milliseconds: half of one more keeps it from being asked just too early,
     * again and again. */
    return berth__loop_clock(resolver->loop) + nanoseconds + BERTH__MILLISECOND / 2;
}

static void set_deadline(berth__resolver *resolver)
{
    uint64_t next = next_time(resolver);
    if (next == UINT64_MAX)
        berth__deadline_stop(&resolver->loop->timers, &resolver->deadline);
    else
        berth__deadline_start(&resolver->loop->timers, &resolver->deadline, next);
}

static void expired(berth__deadline *deadline)
{
    berth__resolver *owner =
        (berth__resolver *)((char *)deadline - offsetof(berth__resolver, deadline));
    ares_process_fd(owner->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_deadline(owner);
}

uint64_t berth__resolver_step(berth_loop *loop)
{
    berth__resolver *resolver = loop->resolver;
    if (resolver == NULL || resolver->running == 0)
        return UINT64_MAX;
    if (resolver->deadline.place != 0 && resolver->deadline.time <= berth__loop_clock(loop))
        expired(&resolver->deadline);
    return next_time(resolver);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static unsigned watch_events(int readable, int writable)
{
    return (readable ? (unsigned)BERTH__WATCH_READ : 0u) |
           (writable ? (unsigned)BERTH__WATCH_WRITE : 0u);
}

static void watch_closed(berth__watch *watch)
{
    descriptor_watch *gone = (descriptor_watch *)watch;
    berth_loop *loop = watch->core;
    loop->live--;
    berth__release(gone);
}

static void watch_fired(berth__watch *watch, unsigned events)
{
    descriptor_watch *fired = (descriptor_watch *)watch;
    berth_loop *loop = watch->core;
    berth__resolver *resolver = loop->resolver;
    ares_socket_t readable = events & BERTH__WATCH_READ ? fired->descriptor : ARES_SOCKET_BAD;
    ares_socket_t writable = events & BERTH__WATCH_WRITE ? fired->descriptor : ARES_SOCKET_BAD;
    ares_process_fd(resolver->channel, readable, writable);
    set_deadline(resolver);
    /* c-ares may have let go of it meanwhile. */
    if (!watch->closing && !watch->active)
        loop->backend->operations->watch_start(loop->backend, watch, fired->descriptor,
                                               fired->events);
}

static descriptor_watch **find_watch(berth__resolver *resolver, ares_socket_t descriptor)
{
    descriptor_watch **link = &resolver->watches;
    while (*link != NULL && (*link)->descriptor != descriptor)
        link = &(*link)->next;
    return link;
}

static void close_watch(berth__resolver *resolver, descriptor_watch **link)
{
    descriptor_watch *gone = *link;
    berth__backend *backend = resolver->loop->backend;
    *link = gone->next;
    backend->operations->watch_close(backend, &gone->watch);
}

static descriptor_watch *new_watch(berth__resolver *resolver, ares_socket_t descriptor)
{
    descriptor_watch *watched = berth__allocate_zero(sizeof *watched);
    if (watched == NULL)
        return NULL;
    berth__watch_init(&watched->watch, NULL, resolver->loop);
    watched->watch.fired = watch_fired;
    watched->watch.closed = watch_closed;
    watched->descriptor = descriptor;
    watched->next = resolver->watches;
    resolver->watches = watched;
    resolver->loop->live++;
    return watched;
}

static void descriptor_changed(void *core, ares_socket_t descriptor, int readable, int writable)
{
    berth__resolver *resolver = core;
    berth__backend *backend = resolver->loop->backend;
    descriptor_watch **link = find_watch(resolver, descriptor);
    unsigned events = watch_events(readable, writable);
    if (*link != NULL && (*link)->events == events)
        return;
    /* A watch cannot change what it waits for, so another takes its place. */
    if (*link != NULL)
        close_watch(resolver, link);
    descriptor_watch *watched = events != 0 ? new_watch(resolver, descriptor) : NULL;
    if (watched == NULL)
        return;
    watched->events = events;
    backend->operations->watch_start(backend, &watched->watch, descriptor, events);
}

/* ---- lookups --------------------------------------------------------------------------------- */

bool berth__lookup_address(const struct sockaddr *name, berth_address *ret_address)
{
    if (name->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)name;
        *ret_address = berth_address_ipv4(ntohl(in->sin_addr.s_addr));
        return true;
    }
    if (name->sa_family != AF_INET6)
        return false;
    const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)name;
    *ret_address = berth_address_ipv6(in->sin6_addr.s6_addr);
    /* Without it a link-local address cannot be reached. */
    if (in->sin6_scope_id != 0 &&
        (if_indextoname(in->sin6_scope_id, ret_address->scope) == NULL ||
         !berth__is_scope(ret_address->scope, strlen(ret_address->scope))))
        (void)snprintf(ret_address->scope, sizeof ret_address->scope, "%u",
                       (unsigned)in->sin6_scope_id);
    return true;
}

static bool known_already(const berth__lookup *lookup, berth_address address)
{
    for (size_t i = 0; i < lookup->count; i++) {
        if (berth_address_equal(lookup->addresses[i], address))
            return true;
    }
    return false;
}

/* The next address of a family, from `node` on. */
static const struct ares_addrinfo_node *next_of(const struct ares_addrinfo_node *node, int family)
{
    while (node != NULL && node->ai_family != family)
        node = node->ai_next;
    return node;
}

/* Families in turn, beginning with that of the first address, each in the order given. */
static void collect(berth__lookup *lookup, const struct ares_addrinfo_node *nodes)
{
    int first = nodes != NULL ? nodes->ai_family : AF_INET6;
    int second = first == AF_INET6 ? AF_INET : AF_INET6;
    const struct ares_addrinfo_node *next[2] = {next_of(nodes, first), next_of(nodes, second)};
    for (size_t turn = 0; next[0] != NULL || next[1] != NULL; turn++) {
        const struct ares_addrinfo_node *node = next[turn % 2];
        berth_address address;
        if (node == NULL)
            continue;
        next[turn % 2] = next_of(node->ai_next, node->ai_family);
        if (lookup->count < BERTH__MOST_ADDRESSES &&
            berth__lookup_address(node->ai_addr, &address) && !known_already(lookup, address))
            lookup->addresses[lookup->count++] = address;
    }
}

static void found(void *argument, int status, int timeouts, struct ares_addrinfo *result)
{
    (void)timeouts;
    berth__lookup *lookup = argument;
    berth__resolver *resolver = lookup->resolver;
    if (status == ARES_SUCCESS && result != NULL)
        collect(lookup, result->nodes);
    if (result != NULL)
        ares_freeaddrinfo(result);
    resolver->running--;
    lookup->finished = true;
    lookup->number = ++resolver->ended;
    if (lookup->done == NULL) {
        berth__release(lookup);
        return;
    }
    *resolver->finished_end = lookup;
    resolver->finished_end = &lookup->next;
    berth__loop_touch(resolver->loop);
}

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static bool library_usable;

static void init_library(void)
{
    library_usable = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
}

#ifdef BERTH_FAULTS
static const char *test_servers;

void berth__resolver_set_servers(const char *servers)
{
    test_servers = servers;
}

static bool use_test_servers(ares_channel channel)
{
    return test_servers == NULL ||
           ares_set_servers_ports_csv(channel, test_servers) == ARES_SUCCESS;
}
#else
#define use_test_servers(channel) true
#endif

static bool open_channel(berth__resolver *resolver)
{
    pthread_once(&library_once, init_library);
    struct ares_options options = {.sock_state_cb = descriptor_changed,
                                   .sock_state_cb_data = resolver};
    if (!library_usable ||
        ares_init_options(&resolver->channel, &options, ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS)
        return false;
    if (use_test_servers(resolver->channel))
        return true;
    ares_destroy(resolver->channel);
    return false;
}

static berth__resolver *resolver_of(berth_loop *loop)
{
    if (loop->resolver != NULL)
        return loop->resolver;
    berth__resolver *made = berth__allocate_zero(sizeof *made);
    if (made == NULL)
        return NULL;
    made->loop = loop;
    made->finished_end = &made->finished;
    made->deadline.expired = expired;
    if (!berth__timers_reserve(&loop->timers)) {
        berth__release(made);
        return NULL;
    }
    if (!open_channel(made)) {
        berth__timers_unreserve(&loop->timers);
        berth__release(made);
        return NULL;
    }
    loop->resolver = made;
    return made;
}

berth__lookup *berth__lookup_start(berth_loop *loop, const char *name, void *owner,
                                   berth__lookup_done done)
{
    berth__resolver *resolver = resolver_of(loop);
    berth__lookup *lookup = resolver != NULL ? berth__allocate_zero(sizeof *lookup) : NULL;
    if (lookup == NULL)
        return NULL;
    lookup->resolver = resolver;
    lookup->owner = owner;
    lookup->done = done;
    resolver->running++;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(resolver->channel, name, NULL, &hints, found, lookup);
    set_deadline(resolver);
    return lookup;
}

static void take_finished(berth__resolver *resolver, berth__lookup **link)
{
    berth__lookup *lookup = *link;
    *link = lookup->next;
    if (resolver->finished_end == &lookup->next)
        resolver->finished_end = link;
}

void berth__lookup_cancel(berth__lookup *lookup)
{
    berth__resolver *resolver = lookup->resolver;
    lookup->done = NULL;
    if (!lookup->finished)
        return;
    berth__lookup **link = &resolver->finished;
    while (*link != lookup)
        link = &(*link)->next;
    take_finished(resolver, link);
    berth__release(lookup);
}

size_t berth__lookups_run(berth_loop *loop, const void *owner)
{
    berth__resolver *resolver = loop->resolver;
    size_t ran = 0;
    if (resolver == NULL)
        return 0;
    /* Those that end meanwhile are for the next turn: a name that fails at once and is tried again
     * at once would never let the loop go on. */
    uint64_t newest = resolver->ended;
    berth__lookup **link = &resolver->finished;
    while (*link != NULL && (*link)->number <= newest) {
        berth__lookup *lookup = *link;
        if (owner != NULL && lookup->owner != owner) {
            link = &lookup->next;
            continue;
        }
        take_finished(resolver, link);
        lookup->done(lookup->owner, lookup->addresses, lookup->count);
        berth__release(lookup);
        ran++;
        /* The call may have changed the list anywhere. */
        link = &resolver->finished;
    }
    return ran;
}

bool berth__lookups_finished(const berth_loop *loop)
{
    return loop->resolver != NULL && loop->resolver->finished != NULL;
}

void berth__resolver_free(berth_loop *loop)
{
    berth__resolver *resolver = loop->resolver;
    if (resolver == NULL)
        return;
    loop->resolver = NULL;
    berth__deadline_stop(&loop->timers, &resolver->deadline);
    berth__timers_unreserve(&loop->timers);
    ares_destroy(resolver->channel);
    while (resolver->watches != NULL)
        close_watch(resolver, &resolver->watches);
    berth__release(resolver);
}
