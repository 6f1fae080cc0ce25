/*
 * Sockets of the two kernel backends: addresses in and out, making and checking descriptors,
 * accepting in batches.
 *
 * Normal course of a listener: berth__inet_listen makes it (close-on-exec, non-blocking, address
 * reusable), and whenever it is readable the backend calls berth__inet_accept_batch. A batch is as
 * long as the last ones were worth: it begins with one connection, doubles while whole batches are
 * found, and shrinks to what was found when the queue ran empty. So a lone connection costs one
 * accept and no EAGAIN, and a flood costs hardly more calls than it has connections.
 *
 * Normal course of a stream: it is accepted, adopted (berth__inet_check_stream) or made by
 * berth__inet_connect, and ends in berth__inet_close. Streams are blocking, listeners are not; the
 * two checks set an adopted descriptor so.
 *
 * Failures are errno values, and nothing stays open. An address that cannot be bound by its nature
 * (null, IPv4-mapped) is EINVAL at the step BIND, as the kernel would have said for a malformed
 * one. The errors by which a single connection of the queue can have died are skipped while
 * accepting, unless nothing else comes; other failures take the credit away and are reported.
 *
 * Inside `accepted` and `accept_failed` anything may be called, a nested turn included, in which
 * the listener may be closed and even freed: listener->own points to a flag of the innermost batch
 * meanwhile, and whoever calls `closed` sets it.
 */
#include "inet.h"

#include "base/text.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/system.h"

/* ---- addresses ------------------------------------------------------------------------------- */

static int scope_to_index(const char scope[BERTH_ADDRESS_SCOPE_SIZE], uint32_t *ret_index)
{
    if (memchr(scope, '\0', BERTH_ADDRESS_SCOPE_SIZE) == NULL)
        return EINVAL;
    uint64_t number = 0;
    const char *digit = scope;
    for (; *digit >= '0' && *digit <= '9'; digit++)
        number = number * 10 + (uint64_t)(*digit - '0'); /* fifteen digits at most */
    if (*digit != '\0')
        number = (uint64_t)BERTH__SYSTEM("if_nametoindex", (int64_t)if_nametoindex(scope));
    if (*digit != '\0' && (number == 0 || number == UINT64_MAX))
        return EINVAL;
    if (number > UINT32_MAX)
        return EINVAL;
    *ret_index = (uint32_t)number;
    return 0;
}

static void index_to_scope(uint32_t index, char scope[BERTH_ADDRESS_SCOPE_SIZE])
{
    _Static_assert(BERTH_ADDRESS_SCOPE_SIZE >= IF_NAMESIZE, "a scope holds every interface name");
    /* The kernel takes almost any bytes as a name. */
    if (index != 0 &&
        (if_indextoname(index, scope) == NULL || !berth__is_scope(scope, strlen(scope))))
        (void)snprintf(scope, BERTH_ADDRESS_SCOPE_SIZE, "%u", (unsigned)index);
}

int berth__inet_to_sockaddr(const berth_address *address, uint16_t port,
                            struct sockaddr_storage *ret_storage, socklen_t *ret_length)
{
    memset(ret_storage, 0, sizeof *ret_storage);
    if (address->family == BERTH_ADDRESS_FAMILY_IPV4) {
        struct sockaddr_in *ipv4 = (struct sockaddr_in *)ret_storage;
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons(port);
        memcpy(&ipv4->sin_addr, address->bytes, 4);
        *ret_length = sizeof *ipv4;
        return 0;
    }
    if (address->family != BERTH_ADDRESS_FAMILY_IPV6 && address->family != BERTH_ADDRESS_FAMILY_ANY)
        return EINVAL;

    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)ret_storage;
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = htons(port);
    *ret_length = sizeof *ipv6;
    if (address->family == BERTH_ADDRESS_FAMILY_ANY)
        return 0; /* all zero is "::" */
    memcpy(&ipv6->sin6_addr, address->bytes, 16);
    if (address->scope[0] == '\0')
        return 0;
    return scope_to_index(address->scope, &ipv6->sin6_scope_id);
}

bool berth__inet_from_sockaddr(const struct sockaddr_storage *storage, berth_address *ret_address,
                               uint16_t *ret_port)
{
    berth_address address;
    memset(&address, 0, sizeof address);
    if (storage->ss_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)storage;
        address.family = BERTH_ADDRESS_FAMILY_IPV4;
        memcpy(address.bytes, &ipv4->sin_addr, 4);
        *ret_address = address;
        *ret_port = ntohs(ipv4->sin_port);
        return true;
    }
    if (storage->ss_family == AF_UNIX) {
        address.family = BERTH_ADDRESS_FAMILY_LOCAL;
        *ret_address = address;
        *ret_port = 0;
        return true;
    }
    if (storage->ss_family != AF_INET6)
        return false;
    const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)storage;
    address.family = BERTH_ADDRESS_FAMILY_IPV6;
    memcpy(address.bytes, &ipv6->sin6_addr, 16);
    index_to_scope(ipv6->sin6_scope_id, address.scope);
    *ret_address = address;
    *ret_port = ntohs(ipv6->sin6_port);
    return true;
}

static int option(int descriptor, int level, int name, int *ret_value)
{
    socklen_t length = sizeof *ret_value;
    *ret_value = 0;
    return BERTH__SYSTEM("getsockopt", getsockopt(descriptor, level, name, ret_value, &length));
}

static int set_option(int descriptor, int level, int name, int value)
{
    return BERTH__SYSTEM("setsockopt", setsockopt(descriptor, level, name, &value, sizeof value));
}

/* After a reset getpeername knows nobody any more, but this still says who it was. It wants to be
 * asked for the exact size of the address. */
BERTH__RARE static int peer_of_dead(int descriptor, struct sockaddr_storage *ret_storage)
{
    socklen_t length = sizeof(struct sockaddr_in);
    int failed = BERTH__SYSTEM(
        "getsockopt", getsockopt(descriptor, SOL_SOCKET, SO_PEERNAME, ret_storage, &length));
    if (failed < 0 || ret_storage->ss_family != AF_INET6)
        return failed;
    length = sizeof(struct sockaddr_in6);
    return BERTH__SYSTEM("getsockopt",
                         getsockopt(descriptor, SOL_SOCKET, SO_PEERNAME, ret_storage, &length));
}

int berth__inet_name_of(int descriptor, berth__side side, berth_address *ret_address,
                        uint16_t *ret_port)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    memset(&storage, 0, sizeof storage);
    struct sockaddr *name = (struct sockaddr *)&storage;
    int failed = side == BERTH__PEER
                     ? BERTH__SYSTEM("getpeername", getpeername(descriptor, name, &length))
                     : BERTH__SYSTEM("getsockname", getsockname(descriptor, name, &length));
    if (failed < 0 && side == BERTH__PEER && errno == ENOTCONN)
        failed = peer_of_dead(descriptor, &storage);
    if (failed < 0)
        return errno;
    if (!berth__inet_from_sockaddr(&storage, ret_address, ret_port))
        return EAFNOSUPPORT;

    static const uint8_t unspecified[16];
    int only = 1;
    if (side == BERTH__LOCAL && ret_address->family == BERTH_ADDRESS_FAMILY_IPV6 &&
        memcmp(ret_address->bytes, unspecified, sizeof unspecified) == 0 &&
        option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &only) == 0 && only == 0)
        ret_address->family = BERTH_ADDRESS_FAMILY_ANY;
    return 0;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

/* No wrapper: Linux has closed the descriptor whatever close returns, so there is no failure to
 * try. */
static void close_quietly(int descriptor)
{
    int kept = errno;
    (void)close(descriptor);
    errno = kept;
}

/* One call, where fcntl needs two. */
static int set_blocking(int descriptor, bool blocking)
{
    int value = !blocking;
    return BERTH__SYSTEM("ioctl", ioctl(descriptor, FIONBIO, &value)) < 0 ? errno : 0;
}

static int listen_at(const struct sockaddr_storage *storage, socklen_t length, bool both_families,
                     const berth__listen_options *options, int *ret_descriptor,
                     berth__listen_step *ret_step)
{
    *ret_step = BERTH__LISTEN_CREATE;
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int descriptor = BERTH__SYSTEM("socket", socket(storage->ss_family, type, 0));
    if (descriptor < 0)
        return errno;
    if (set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
        set_option(descriptor, SOL_SOCKET, SO_OOBINLINE, 1) < 0 ||
        (options->reuse_port && set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) < 0) ||
        (storage->ss_family == AF_INET6 &&
         set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, !both_families) < 0))
        goto failed;
    *ret_step = BERTH__LISTEN_BIND;
    const struct sockaddr *name = (const struct sockaddr *)storage;
    if (BERTH__SYSTEM("bind", bind(descriptor, name, length)) < 0)
        goto failed;
    *ret_step = BERTH__LISTEN_LISTEN;
    if (BERTH__SYSTEM("listen", listen(descriptor, options->backlog)) < 0)
        goto failed;
    *ret_descriptor = descriptor;
    return 0;
failed:
    close_quietly(descriptor);
    return errno;
}

static bool is_ipv4_mapped(const berth_address *address)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return address->family == BERTH_ADDRESS_FAMILY_IPV6 &&
           memcmp(address->bytes, prefix, sizeof prefix) == 0;
}

int berth__inet_listen(const berth__listen_options *options, int *ret_descriptor,
                       berth__listen_step *ret_step)
{
    struct sockaddr_storage storage;
    socklen_t length = 0;
    *ret_step = BERTH__LISTEN_BIND;
    if (is_ipv4_mapped(&options->address))
        return EINVAL; /* the kernel would take it, and serve a family nobody asked for */
    int error = berth__inet_to_sockaddr(&options->address, options->port, &storage, &length);
    if (error != 0)
        return error;

    bool any = options->address.family == BERTH_ADDRESS_FAMILY_ANY;
    error = listen_at(&storage, length, any, options, ret_descriptor, ret_step);
    if (!any || (error != EAFNOSUPPORT && error != EADDRNOTAVAIL))
        return error;
    berth_address ipv4 = {.family = BERTH_ADDRESS_FAMILY_IPV4};
    (void)berth__inet_to_sockaddr(&ipv4, options->port, &storage, &length);
    return listen_at(&storage, length, false, options, ret_descriptor, ret_step);
}

/* The beginning of the kernel's tcp_info, of which the C library's declaration may end before. */
struct facts {
    uint8_t state;
    uint8_t small[7];
    uint32_t numbers[24];
    uint64_t rates[2];
    uint64_t bytes_acknowledged;
    uint64_t bytes_received; /* from 4.1 on, the peer's end included */
};

/* Errno unless it is a TCP socket. One call that answers all: what it is and what state it is in.
 * The kernel copies as much of the struct as it has and is asked for. */
static int look_at(int descriptor, struct facts *ret_facts)
{
    _Static_assert(offsetof(struct tcp_info, tcpi_state) == 0, "the state comes first");
    _Static_assert(offsetof(struct facts, bytes_received) == 128, "as the kernel has it");
    *ret_facts = (struct facts){0};
    socklen_t length = sizeof *ret_facts;
    if (BERTH__SYSTEM("getsockopt",
                      getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, ret_facts, &length)) == 0)
        return 0;
    /* What has no such option is of another kind; each kind says so with an errno of its own. */
    return errno == EBADF || errno == ENOTSOCK ? errno : EOPNOTSUPP;
}

/* The same of a Unix stream socket, which is not asked for more than what it is for. */
BERTH__RARE static int look_at_local(int descriptor, struct facts *ret_facts)
{
    int type = 0, listens = 0;
    if (!berth__inet_is_local(descriptor) || option(descriptor, SOL_SOCKET, SO_TYPE, &type) < 0 ||
        type != SOCK_STREAM || option(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens) < 0)
        return EOPNOTSUPP;
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    int connected = -1;
    if (!listens)
        connected = BERTH__SYSTEM("getpeername",
                                  getpeername(descriptor, (struct sockaddr *)&peer, &length));
    ret_facts->state = listens ? TCP_LISTEN : connected == 0 ? TCP_ESTABLISHED : TCP_CLOSE;
    ret_facts->bytes_received = 1; /* for all that can be known */
    return 0;
}

int berth__inet_check_listener(int descriptor, berth__listener *listener)
{
    struct facts facts;
    int error = look_at(descriptor, &facts);
    listener->local = error == EOPNOTSUPP && look_at_local(descriptor, &facts) == 0;
    if (error != 0 && !listener->local)
        return error;
    if (facts.state != TCP_LISTEN)
        return EINVAL;
    listener->parcelled = listener->local && berth__inet_is_parcelled(descriptor);
    (void)berth__inet_tame_linger(descriptor); /* which its connections would have too */
    return set_blocking(descriptor, false);
}

int berth__inet_check_stream(int descriptor, berth__stream *stream)
{
    struct facts facts;
    int error = look_at(descriptor, &facts);
    bool local = error == EOPNOTSUPP && look_at_local(descriptor, &facts) == 0;
    if (error != 0 && !local)
        return error;
    uint8_t state = facts.state;
    if (state == TCP_LISTEN)
        return EINVAL;
    /* A peer that has reset the connection meanwhile has still a name: the stream ends by that. */
    struct sockaddr_storage peer;
    if (state == TCP_SYN_SENT || (state == TCP_CLOSE && peer_of_dead(descriptor, &peer) != 0))
        return ENOTCONN;
    stream->ready.local = local;
    stream->ready.parcelled = local && berth__inet_is_parcelled(descriptor);
    stream->ready.addressed = facts.bytes_received > 0;
    return set_blocking(descriptor, true);
}

int berth__inet_set_options(int descriptor, const berth__options *options)
{
    int error = 0;
    for (unsigned which = 0; options != NULL && which < BERTH__OPTIONS && error == 0; which++) {
        int value = options->values[which];
        if ((options->set >> which & 1) != 0)
            error = berth__inet_option(descriptor, (berth_socket_option)which, &value, true);
    }
    return error;
}

static int open_stream(int family, const berth__options *options, int *ret_descriptor)
{
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int descriptor = BERTH__SYSTEM("socket", socket(family, type, 0));
    if (descriptor < 0)
        return errno;
    (void)set_option(descriptor, SOL_SOCKET, SO_OOBINLINE, 1);
    int error = berth__inet_set_options(descriptor, options);
    if (error != 0) {
        close_quietly(descriptor);
        return error;
    }
    *ret_descriptor = descriptor;
    return 0;
}

static int bind_to(int descriptor, const struct sockaddr_storage *storage, socklen_t length)
{
    const struct sockaddr *name = (const struct sockaddr *)storage;
    return BERTH__SYSTEM("bind", bind(descriptor, name, length)) < 0 ? errno : 0;
}

static int bind_at(const struct sockaddr_storage *storage, socklen_t length, bool both_families,
                   bool port_open, const berth__options *options, int *ret_descriptor)
{
    int descriptor = -1;
    int error = open_stream(storage->ss_family, options, &descriptor);
    if (error != 0)
        return error;
    (void)set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    if (storage->ss_family == AF_INET6)
        (void)set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, !both_families);
    /* Else bind takes one of the few ports there are for this descriptor alone, where a connection
     * can share it with those to other targets. */
    if (port_open)
        (void)set_option(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    error = bind_to(descriptor, storage, length);
    if (error == 0)
        *ret_descriptor = descriptor;
    else
        close_quietly(descriptor);
    return error;
}

static int choose_port(int descriptor)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    struct sockaddr *name = (struct sockaddr *)&storage;
    if (BERTH__SYSTEM("getsockname", getsockname(descriptor, name, &length)) < 0 ||
        set_option(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0) < 0)
        return errno;
    return bind_to(descriptor, &storage, length);
}

int berth__inet_bind(const berth_address *address, uint16_t port, const berth__options *options,
                     int *descriptor)
{
    struct sockaddr_storage storage;
    socklen_t length = 0;
    if (*descriptor >= 0)
        return choose_port(*descriptor);
    int error = berth__inet_to_sockaddr(address, port, &storage, &length);
    if (error != 0)
        return error;
    bool any = address->family == BERTH_ADDRESS_FAMILY_ANY;
    error = bind_at(&storage, length, any, port == 0, options, descriptor);
    if (!any || (error != EAFNOSUPPORT && error != EADDRNOTAVAIL))
        return error;
    berth_address ipv4 = {.family = BERTH_ADDRESS_FAMILY_IPV4};
    (void)berth__inet_to_sockaddr(&ipv4, port, &storage, &length);
    return bind_at(&storage, length, false, port == 0, options, descriptor);
}

/* An IPv6 socket reaches an IPv4 host by its mapped address. */
static berth_address mapped_for(int descriptor, berth_address address)
{
    int domain = AF_UNSPEC;
    socklen_t length = sizeof domain;
    (void)BERTH__SYSTEM("getsockopt",
                        getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length));
    if (domain != AF_INET6 || address.family != BERTH_ADDRESS_FAMILY_IPV4)
        return address;
    uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff};
    memcpy(bytes + 12, address.bytes, 4);
    return berth_address_ipv6(bytes);
}

int berth__inet_connect(const berth_address *address, uint16_t port, const berth__options *options,
                        int *descriptor)
{
    struct sockaddr_storage storage;
    socklen_t length = 0;
    bool bound = *descriptor >= 0;
    berth_address target = bound ? mapped_for(*descriptor, *address) : *address;
    int error = berth__inet_to_sockaddr(&target, port, &storage, &length);
    if (error == 0 && !bound)
        error = open_stream(storage.ss_family, options, descriptor);
    if (error != 0)
        return error;
    const struct sockaddr *name = (const struct sockaddr *)&storage;
    if (BERTH__SYSTEM("connect", connect(*descriptor, name, length)) == 0)
        return 0;
    if (errno == EINPROGRESS || errno == EINTR)
        return EINPROGRESS;
    error = errno;
    if (!bound) {
        close_quietly(*descriptor);
        *descriptor = -1;
    }
    return error;
}

/* Disconnecting resets the connection itself; closing with a linger of 0 would only do so with the
 * last copy of the descriptor. A Unix socket has no reset. Its last close is one for the peer if
 * there is input, and must not be seen as an end before; but where copies may be left, the end has
 * to be shown. */
static void reset(int descriptor, bool known)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    if (BERTH__SYSTEM("connect", connect(descriptor, &nobody, sizeof nobody)) == 0)
        return;
    if (errno == EINVAL && berth__inet_is_local(descriptor)) {
        if (known || berth__copies_exist())
            (void)BERTH__SYSTEM("shutdown", shutdown(descriptor, SHUT_RDWR));
        return;
    }
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)BERTH__SYSTEM("setsockopt",
                        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
}

void berth__inet_end(int descriptor, berth__close_mode mode, bool lingers)
{
    bool resets = lingers && berth__inet_tame_linger(descriptor) == 0;
    if (mode == BERTH__CLOSE_COPY)
        return;
    if (resets)
        mode = BERTH__CLOSE_RESET;
    if (mode == BERTH__CLOSE_RESET || berth__inet_input(descriptor) > 0)
        reset(descriptor, lingers);
    else
        (void)BERTH__SYSTEM("shutdown", shutdown(descriptor, SHUT_RDWR));
}

void berth__inet_close(int descriptor, berth__close_mode mode)
{
    berth__inet_end(descriptor, mode, false);
    close_quietly(descriptor);
}

/* ---- accepting ------------------------------------------------------------------------------- */

/* Calls an event; false if the listener was closed for good inside it, and may have been freed. */
static bool announce(berth__listener *listener, int descriptor, int error)
{
    bool gone = false;
    bool *outer = listener->own;
    listener->own = &gone;
    if (descriptor >= 0)
        listener->events->accepted(listener, descriptor);
    else
        listener->events->accept_failed(listener, error);
    if (!gone)
        listener->own = outer;
    else if (outer != NULL)
        *outer = true;
    return !gone;
}

bool berth__inet_accept_failed(berth__listener *listener, int error)
{
    listener->error = 0;
    listener->passing = 0;
    listener->credit = 0;
    /* Tells the backend; the next batch is one connection. */
    listener->batch = error == EMFILE || error == ENFILE ? 0 : 1;
    return announce(listener, -1, error);
}

bool berth__inet_accept_batch(berth__listener *listener)
{
    unsigned limit = listener->batch;
    if (limit < 1)
        limit = 1;
    if (limit > BERTH__ACCEPT_BUDGET)
        limit = BERTH__ACCEPT_BUDGET;

    unsigned found = 0;
    for (unsigned tries = 0; tries < BERTH__ACCEPT_BUDGET && found < limit; tries++) {
        if (listener->closing)
            return false;
        if (listener->credit == 0)
            return true;
        int descriptor =
            BERTH__SYSTEM("accept4", accept4(listener->descriptor, NULL, NULL, SOCK_CLOEXEC));
        if (descriptor >= 0) {
            found++;
            listener->passing = 0;
            listener->credit--;
            if (!announce(listener, descriptor, 0))
                return false;
            continue;
        }
        int error = errno;
        if (error == EAGAIN) {
            listener->batch = found > 1 ? found : 1;
            listener->passing = 0;
            if (listener->local && found == 0 && berth__inet_was_shut(listener->descriptor))
                return berth__inet_accept_failed(listener, EINVAL);
            return false;
        }
        if (berth__is_passing(error) && ++listener->passing < BERTH__ACCEPT_BUDGET)
            continue;
        return berth__inet_accept_failed(listener, error);
    }
    if (found == limit)
        listener->batch = limit * 2 < BERTH__ACCEPT_BUDGET ? limit * 2 : BERTH__ACCEPT_BUDGET;
    return true;
}

/* ---- turning away ---------------------------------------------------------------------------- */

int berth__inet_reserve(void)
{
    return BERTH__SYSTEM("eventfd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

size_t berth__inet_reject(int listener, size_t most, berth__close_mode mode, int *spare)
{
    bool lent = false;
    size_t count = 0;
    for (size_t failures = 0; count < most && failures < BERTH__ACCEPT_BUDGET;) {
        int descriptor = BERTH__SYSTEM("accept4", accept4(listener, NULL, NULL, SOCK_CLOEXEC));
        if (descriptor >= 0) {
            /* Fresh, so that no copy is anywhere. */
            berth__inet_close(descriptor, mode == BERTH__CLOSE_RESET ? mode : BERTH__CLOSE_COPY);
            count++;
            continue;
        }
        int error = errno;
        if ((error == EMFILE || error == ENFILE) && *spare >= 0) {
            close_quietly(*spare);
            *spare = -1;
            lent = true;
            continue;
        }
        if (!berth__is_passing(error))
            break;
        failures++;
    }
    if (lent)
        *spare = berth__inet_reserve();
    return count;
}
