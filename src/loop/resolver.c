/*
 * The resolver of a loop: c-ares channels, their descriptors as watches, their time-outs as
 * deadlines.
 *
 * Each lookup has a channel to itself, since c-ares can only cancel all that a channel does; the
 * one that was used last is kept for the next lookup, unless the system's configuration has
 * changed.
 *
 * c-ares says which descriptors it wants watched; each gets a watch record that is started again as
 * often as it fires, until c-ares lets go of the descriptor; the record then closes and frees
 * itself. Results may come inside ares_getaddrinfo (numbers, the hosts file), inside
 * ares_process_fd, or inside ares_destroy: all are only queued there.
 *
 * Ways to fail: no memory, no channel (NULL from berth__lookup_start); a name that is not found or
 * a server that does not answer gives a lookup with no address, and so does want of descriptors or
 * memory; all but the first with an error. A descriptor that cannot be watched is left to c-ares'
 * own time-out.
 */
#include "resolver.h"

#include "base/idn.h"
#include "base/memory.h"
#include "base/system.h"
#include "base/system_error.h"
#include "base/text.h"
#include "loop.h"
#include "source.h"

#include <ares.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* What distinguishes one resolv.conf from another; zeroed if there is none. */
typedef struct name_servers {
    dev_t device;
    ino_t file;
    off_t size;
    struct timespec changed;
} name_servers;

typedef struct lookup_channel {
    berth_loop *loop;
    ares_channel handle;
    name_servers configuration; /* as it was when the channel was made */
    struct descriptor_watch *watches;
    berth__deadline deadline;
    bool busy;     /* a lookup is running */
    bool doubtful; /* it may ask others than the configuration says */
} lookup_channel;

struct berth__lookup {
    berth__lookup *next; /* among the finished */
    struct berth__resolver *resolver;
    lookup_channel *channel;
    void *owner;
    berth__lookup_done done; /* NULL when cancelled */
    bool finished;
    int error;       /* why it could not be made; 0 if it could */
    uint64_t number; /* of its end */
    size_t count;
    berth_address addresses[BERTH__MOST_ADDRESSES];
};

typedef struct descriptor_watch {
    berth__watch watch;
    berth_loop *loop;
    lookup_channel *channel;
    struct descriptor_watch *next;
    ares_socket_t descriptor;
    unsigned events;
} descriptor_watch;

typedef struct berth__resolver {
    berth_loop *loop;
    lookup_channel *idle; /* for the next lookup; or NULL */
    berth__lookup *finished;
    berth__lookup **finished_end;
    uint64_t ended; /* so far */
} berth__resolver;

/* ---- time-outs ------------------------------------------------------------------------------- */

static uint64_t next_time(const lookup_channel *channel)
{
    struct timeval wait;
    if (!channel->busy || ares_timeout(channel->handle, NULL, &wait) == NULL)
        return UINT64_MAX;
    uint64_t nanoseconds = (uint64_t)wait.tv_sec * 1000000000u + (uint64_t)wait.tv_usec * 1000u;
    /* c-ares counts in milliseconds: half of one more keeps it from being asked just too early,
     * again and again. */
    return berth__loop_clock(channel->loop) + nanoseconds + BERTH__MILLISECOND / 2;
}

static void set_deadline(lookup_channel *channel)
{
    uint64_t next = next_time(channel);
    if (next == UINT64_MAX)
        berth__deadline_stop(&channel->loop->deadlines, &channel->deadline);
    else
        berth__deadline_start(&channel->loop->deadlines, &channel->deadline, next);
}

static void expired(berth__deadline *deadline)
{
    lookup_channel *owner =
        (lookup_channel *)((char *)deadline - offsetof(lookup_channel, deadline));
    ares_process_fd(owner->handle, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_deadline(owner);
}

uint64_t berth__lookup_step(berth__lookup *lookup)
{
    lookup_channel *channel = lookup->channel;
    if (channel->deadline.place != 0 && channel->deadline.time <= berth__loop_clock(channel->loop))
        expired(&channel->deadline);
    return next_time(channel);
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
    gone->loop->live--;
    berth__release(gone);
}

static void watch_fired(berth__watch *watch, unsigned events)
{
    descriptor_watch *fired = (descriptor_watch *)watch;
    berth_loop *loop = fired->loop;
    lookup_channel *channel = fired->channel;
    ares_socket_t readable = events & BERTH__WATCH_READ ? fired->descriptor : ARES_SOCKET_BAD;
    ares_socket_t writable = events & BERTH__WATCH_WRITE ? fired->descriptor : ARES_SOCKET_BAD;
    ares_process_fd(channel->handle, readable, writable);
    set_deadline(channel);
    /* c-ares may have let go of it meanwhile. */
    if (!watch->closing && !watch->active)
        loop->backend->operations->watch_start(loop->backend, watch, fired->descriptor,
                                               fired->events);
}

static descriptor_watch **find_watch(lookup_channel *channel, ares_socket_t descriptor)
{
    descriptor_watch **link = &channel->watches;
    while (*link != NULL && (*link)->descriptor != descriptor)
        link = &(*link)->next;
    return link;
}

static void close_watch(descriptor_watch **link)
{
    descriptor_watch *gone = *link;
    berth__backend *backend = gone->loop->backend;
    *link = gone->next;
    backend->operations->watch_close(backend, &gone->watch);
}

static descriptor_watch *new_watch(lookup_channel *channel, ares_socket_t descriptor)
{
    descriptor_watch *watched = berth__allocate_zero(sizeof *watched);
    if (watched == NULL)
        return NULL;
    berth__watch_init(&watched->watch, NULL, watched);
    watched->watch.fired = watch_fired;
    watched->watch.closed = watch_closed;
    watched->loop = channel->loop;
    watched->channel = channel;
    watched->descriptor = descriptor;
    watched->next = channel->watches;
    channel->watches = watched;
    channel->loop->live++;
    return watched;
}

static void descriptor_changed(void *core, ares_socket_t descriptor, int readable, int writable)
{
    lookup_channel *channel = core;
    berth__backend *backend = channel->loop->backend;
    descriptor_watch **link = find_watch(channel, descriptor);
    unsigned events = watch_events(readable, writable);
    if (*link != NULL && (*link)->events == events)
        return;
    /* A watch cannot change what it waits for, so another takes its place. */
    if (*link != NULL)
        close_watch(link);
    descriptor_watch *watched = events != 0 ? new_watch(channel, descriptor) : NULL;
    if (watched == NULL)
        return;
    watched->events = events;
    backend->operations->watch_start(backend, &watched->watch, descriptor, events);
}

/* ---- channels -------------------------------------------------------------------------------- */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static bool library_usable;

static void init_library(void)
{
    library_usable = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
}

#ifdef BERTH_FAULTS
static const char *test_servers;
static const char *test_file;

void berth__resolver_set_servers(const char *servers)
{
    test_servers = servers;
}

void berth__resolver_set_file(const char *path)
{
    test_file = path;
}

static bool use_test_servers(ares_channel handle)
{
    return test_servers == NULL || ares_set_servers_ports_csv(handle, test_servers) == ARES_SUCCESS;
}

#define CONFIGURATION (test_file != NULL ? test_file : "/etc/resolv.conf")
#else
#define use_test_servers(handle) true
#define CONFIGURATION "/etc/resolv.conf"
#endif

static name_servers read_configuration(void)
{
    name_servers found = {0};
    struct stat file;
    if (BERTH__SYSTEM("stat", stat(CONFIGURATION, &file)) == 0)
        found = (name_servers){.device = file.st_dev,
                               .file = file.st_ino,
                               .size = file.st_size,
                               .changed = file.st_mtim};
    return found;
}

static bool same_configuration(const name_servers *a, const name_servers *b)
{
    return a->device == b->device && a->file == b->file && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static bool open_channel(lookup_channel *channel)
{
    pthread_once(&library_once, init_library);
    struct ares_options options = {.sock_state_cb = descriptor_changed,
                                   .sock_state_cb_data = channel};
    if (!library_usable ||
        ares_init_options(&channel->handle, &options, ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS)
        return false;
    if (use_test_servers(channel->handle))
        return true;
    ares_destroy(channel->handle);
    return false;
}

static lookup_channel *new_channel(berth_loop *loop, const name_servers *configuration)
{
    lookup_channel *made = berth__allocate_zero(sizeof *made);
    if (made == NULL || !berth__deadlines_reserve(&loop->deadlines)) {
        berth__release(made);
        return NULL;
    }
    made->loop = loop;
    made->configuration = *configuration;
    made->deadline.expired = expired;
    if (open_channel(made))
        return made;
    berth__deadlines_unreserve(&loop->deadlines);
    berth__release(made);
    return NULL;
}

/* Whatever it does ends without a result. */
static void free_channel(lookup_channel *channel)
{
    berth__deadlines *deadlines = &channel->loop->deadlines;
    ares_destroy(channel->handle);
    while (channel->watches != NULL)
        close_watch(&channel->watches);
    berth__deadline_stop(deadlines, &channel->deadline);
    berth__deadlines_unreserve(deadlines);
    berth__release(channel);
}

/* The idle channel, if it still asks those that the system asks, or a new one. */
static lookup_channel *take_channel(berth__resolver *resolver)
{
    name_servers now = read_configuration();
    lookup_channel *idle = resolver->idle;
    resolver->idle = NULL;
    if (idle != NULL && same_configuration(&idle->configuration, &now))
        return idle;
    if (idle != NULL)
        free_channel(idle);
    return new_channel(resolver->loop, &now);
}

/* Not to be called by c-ares. */
static void give_channel(berth__resolver *resolver, lookup_channel *channel)
{
    if (channel->doubtful) {
        free_channel(channel);
        return;
    }
    if (resolver->idle != NULL)
        free_channel(resolver->idle);
    resolver->idle = channel;
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

/* Why no file can be opened now; 0 if one can. */
static int want_of_descriptors(void)
{
    int probe = BERTH__SYSTEM("open", open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (probe < 0)
        return berth__is_exhaustion(errno) ? errno : 0;
    close(probe);
    return 0;
}

/* A file that c-ares cannot open for want of a descriptor it takes for missing: the name is then
 * not found, and a channel that was made so asks 127.0.0.1 as long as it lives. So a lookup without
 * an answer is looked into, and its channel not kept. Want of memory it reports itself, unless it
 * takes that for a server that does not answer. */
static void look_into(berth__lookup *lookup, int status)
{
    bool answered = status == ARES_SUCCESS || status == ARES_ENOTFOUND || status == ARES_ENODATA;
    if (lookup->count > 0 || lookup->done == NULL)
        return;
    lookup->error = status == ARES_ENOMEM ? ENOMEM : want_of_descriptors();
    lookup->channel->doubtful = !answered || lookup->error != 0;
    if (status == ARES_ETIMEOUT && lookup->error == 0)
        lookup->error = ETIMEDOUT;
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
    look_into(lookup, status);
    lookup->channel->busy = false;
    lookup->finished = true;
    if (lookup->done == NULL)
        return;
    lookup->number = ++resolver->ended;
    *resolver->finished_end = lookup;
    resolver->finished_end = &lookup->next;
    berth__loop_touch(resolver->loop);
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
    if (lookup->finished) {
        berth__lookup **link = &resolver->finished;
        while (*link != lookup)
            link = &(*link)->next;
        take_finished(resolver, link);
        give_channel(resolver, lookup->channel);
    } else {
        free_channel(lookup->channel);
    }
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
    while (*link != NULL && (*link)->number <= newest && !loop->inherited) {
        berth__lookup *lookup = *link;
        if (owner != NULL && lookup->owner != owner) {
            link = &lookup->next;
            continue;
        }
        take_finished(resolver, link);
        give_channel(resolver, lookup->channel);
        lookup->done(lookup->owner, lookup->addresses, lookup->count, lookup->error);
        berth__release(lookup);
        ran++;
        /* The call may have changed the list anywhere. */
        link = &resolver->finished;
    }
    return ran;
}

static bool pending(const berth_loop *loop)
{
    return loop->resolver != NULL && loop->resolver->finished != NULL;
}

static bool run(berth_loop *loop)
{
    return berth__lookups_run(loop, NULL) > 0;
}

/* Every lookup was run or cancelled before. */
static void release(berth_loop *loop)
{
    berth__resolver *resolver = loop->resolver;
    if (resolver == NULL)
        return;
    loop->resolver = NULL;
    if (resolver->idle != NULL)
        free_channel(resolver->idle);
    berth__release(resolver);
}

/* What is being looked up goes on; an answer that the parent takes is asked for again in time. */
static void renew(berth_loop *loop)
{
    berth__resolver *resolver = loop->resolver;
    if (resolver == NULL || resolver->idle == NULL)
        return;
    free_channel(resolver->idle);
    resolver->idle = NULL;
}

static const berth__source resolver_source = {
    .pending = pending, .run = run, .renew = renew, .release = release};

static berth__resolver *resolver_of(berth_loop *loop)
{
    if (loop->resolver != NULL)
        return loop->resolver;
    berth__resolver *made = berth__allocate_zero(sizeof *made);
    if (made == NULL)
        return NULL;
    made->loop = loop;
    made->finished_end = &made->finished;
    loop->resolver = made;
    berth__source_join(&loop->sources, &resolver_source);
    return made;
}

berth__lookup *berth__lookup_start(berth_loop *loop, const char *name, void *owner,
                                   berth__lookup_done done)
{
    berth__resolver *resolver = resolver_of(loop);
    berth__lookup *lookup = resolver != NULL ? berth__allocate_zero(sizeof *lookup) : NULL;
    lookup_channel *channel = lookup != NULL ? take_channel(resolver) : NULL;
    if (channel == NULL) {
        berth__release(lookup);
        return NULL;
    }
    lookup->resolver = resolver;
    lookup->channel = channel;
    lookup->owner = owner;
    lookup->done = done;
    channel->busy = true;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char ascii[BERTH__ASCII_NAME_SIZE];
    name = berth__ascii_name(name, ascii);
    ares_getaddrinfo(channel->handle, name, NULL, &hints, found, lookup);
    set_deadline(channel);
    return lookup;
}
