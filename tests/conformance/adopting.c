/*
 * Adoption of listeners and streams, the questions about descriptors, and what is refused.
 */
#include "kit.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int adopt_stream(int descriptor)
{
    kit_stream *stream = kit_stream_new("refused", NULL);
    return kit()->operations->adopt(kit(), &stream->stream, descriptor, false);
}

static int adopt_listener(int descriptor)
{
    kit_listener *listener = kit_listener_new("refused", NULL);
    return kit()->operations->adopt_listener(kit(), &listener->listener, descriptor);
}

static void skip_in_simulation(void)
{
    if (world_is_simulated())
        case_skip("needs descriptors of the real kernel");
}

CASE(listener_is_adopted, "8",
     "a listening descriptor made elsewhere is served, with what waits in its backlog")
{
    uint16_t port;
    kit();
    int descriptor = world_listener_descriptor(&port);
    world_connect(port);
    kit_listener *listener = kit_listener_new("l", NULL);
    ck_assert_int_eq(kit()->operations->adopt_listener(kit(), &listener->listener, descriptor), 0);
    ck_assert_int_eq(listener->listener.descriptor, descriptor);
    kit_credit(listener, 5);
    world_connect(port);
    UNTIL(listener->count == 2);
    kit_close_listener(listener);
    ck_assert(!world_is_open(descriptor));
}

CASE(closed_number_is_not_adopted, "adopt", "a number that is not open is refused with EBADF")
{
    kit();
    ck_assert_int_eq(adopt_stream(-1), EBADF);
    ck_assert_int_eq(adopt_listener(-1), EBADF);
    ck_assert_int_eq(adopt_stream(4000), EBADF);
    ck_assert_int_eq(adopt_listener(4000), EBADF);
}

CASE(pipe_is_not_adopted, "adopt",
     "a descriptor that is no socket is refused with ENOTSOCK, and stays open")
{
    int ends[2];
    kit();
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(adopt_stream(ends[0]), ENOTSOCK);
    ck_assert_int_eq(adopt_listener(ends[1]), ENOTSOCK);
    ck_assert_int_eq(close(ends[0]), 0);
    ck_assert_int_eq(close(ends[1]), 0);
}

CASE(wrong_kind_is_not_adopted, "adopt", "a listener is no stream, and a stream no listener")
{
    uint16_t port;
    struct peer *peer;
    kit();
    int listening = world_listener_descriptor(&port);
    int connected = world_stream_descriptor(&peer);
    ck_assert_int_ne(adopt_stream(listening), 0);
    ck_assert_int_ne(adopt_listener(connected), 0);
    ck_assert(world_is_open(listening));
    ck_assert(world_is_open(connected));
    peer_say(peer, "still there");
    world_close_descriptor(listening);
    world_close_descriptor(connected);
}

CASE(unconnected_socket_is_not_adopted, "adopt",
     "a stream socket that is neither connected nor listening is refused")
{
    kit();
    int descriptor = world_unconnected_descriptor();
    ck_assert_int_eq(adopt_stream(descriptor), ENOTCONN);
    ck_assert_int_eq(adopt_listener(descriptor), EINVAL);
    world_close_descriptor(descriptor);
}

CASE(udp_is_not_adopted, "adopt", "a datagram socket is refused, connected or not")
{
    skip_in_simulation();
    kit();
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof self;
    ck_assert_int_eq(bind(descriptor, (struct sockaddr *)&self, length), 0);
    ck_assert_int_eq(getsockname(descriptor, (struct sockaddr *)&self, &length), 0);
    ck_assert_int_ne(adopt_stream(descriptor), 0);
    ck_assert_int_ne(adopt_listener(descriptor), 0);
    ck_assert_int_eq(connect(descriptor, (struct sockaddr *)&self, length), 0);
    ck_assert_int_ne(adopt_stream(descriptor), 0);
    ck_assert_int_eq(close(descriptor), 0);
}

CASE(unix_packets_are_not_adopted, "adopt", "a connected Unix socket that is no stream is refused")
{
    skip_in_simulation();
    int ends[2];
    kit();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ck_assert_int_ne(adopt_stream(ends[0]), 0);
    ck_assert_int_ne(adopt_listener(ends[0]), 0);
    ck_assert_int_eq(close(ends[0]), 0);
    ck_assert_int_eq(close(ends[1]), 0);
}

CASE(names_of_a_listener, "name_of", "a listener has a local name and no peer")
{
    kit_listener *listener = kit_listen("l");
    int descriptor = listener->listener.descriptor;
    berth_address address;
    uint16_t port;
    ck_assert_int_eq(kit()->operations->name_of(kit(), descriptor, BERTH__LOCAL, &address, &port),
                     0);
    ck_assert(berth_address_equal(address, BERTH_ADDRESS_LOOPBACK));
    ck_assert_uint_eq(port, listener->port);
    ck_assert_int_ne(kit()->operations->name_of(kit(), descriptor, BERTH__PEER, &address, &port),
                     0);
}

/* A kernel can be without it, as that of user-mode Linux is. */
static bool has_ipv6(void)
{
    int descriptor = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0)
        close(descriptor);
    return descriptor >= 0;
}

CASE(names_of_wildcards, "name_of",
     "each wildcard is reported as itself, that of both families without IPv6 as that of IPv4")
{
    berth_address wildcards[3];
    wildcards[0] = BERTH_ADDRESS_ANY;
    wildcards[1] = BERTH_ADDRESS_ANY_IPV4;
    wildcards[2] = BERTH_ADDRESS_ANY_IPV6;
    for (unsigned i = 0; i < 3; i++) {
        kit_listener *listener = kit_listener_new("l", NULL);
        int error = kit_listen_at(listener, wildcards[i], 0);
        if (error == EAFNOSUPPORT || error == EADDRNOTAVAIL)
            continue;
        ck_assert_int_eq(error, 0);
        berth_address address;
        uint16_t port;
        ck_assert_int_eq(kit()->operations->name_of(kit(), listener->listener.descriptor,
                                                    BERTH__LOCAL, &address, &port),
                         0);
        bool alone = i == 0 && !world_is_simulated() && !has_ipv6();
        ck_assert(berth_address_equal(address, wildcards[alone ? 1 : i]));
    }
}

CASE(names_of_a_stream, "name_of", "a stream knows both its ends")
{
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 1);
    struct peer *peer = world_connect(listener->port);
    UNTIL(listener->count == 1);
    berth_address address;
    uint16_t port;
    int descriptor = listener->descriptors[0];
    ck_assert_int_eq(kit()->operations->name_of(kit(), descriptor, BERTH__PEER, &address, &port),
                     0);
    ck_assert(berth_address_equal(address, BERTH_ADDRESS_LOOPBACK));
    ck_assert_uint_eq(port, peer_port(peer));
    ck_assert_int_eq(kit()->operations->name_of(kit(), descriptor, BERTH__LOCAL, &address, &port),
                     0);
    ck_assert_uint_eq(port, listener->port);
}

CASE(names_of_nothing, "name_of",
     "a closed number and a pipe have no name; a stream that was reset has kept its own")
{
    berth_address address;
    uint16_t port;
    int ends[2];
    kit();
    ck_assert_int_eq(kit()->operations->name_of(kit(), 4000, BERTH__LOCAL, &address, &port), EBADF);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(kit()->operations->name_of(kit(), ends[0], BERTH__LOCAL, &address, &port),
                     ENOTSOCK);
    close(ends[0]);
    close(ends[1]);
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    uint16_t wanted = peer_port(peer);
    kit_receive_start(stream);
    peer_reset(peer);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(
        kit()->operations->name_of(kit(), stream->stream.descriptor, BERTH__PEER, &address, &port),
        0);
    ck_assert(berth_address_equal(address, BERTH_ADDRESS_LOOPBACK));
    ck_assert_uint_eq(port, wanted);
}

CASE(discard_closes, "7",
     "a descriptor that no record holds is closed, its peer sees the end, and the core is told")
{
    kit_listener *listener = kit_listen("l");
    kit_credit(listener, 1);
    struct peer *peer = world_connect(listener->port);
    UNTIL(listener->count == 1);
    unsigned before = kit_descriptors_closed();
    kit()->operations->discard(kit(), listener->descriptors[0]);
    ck_assert(!world_is_open(listener->descriptors[0]));
    listener->descriptors[0] = -1;
    ck_assert_uint_eq(kit_descriptors_closed(), before + 1);
    ck_assert(peer_saw_end(peer));
}

CASE(listen_failures, "listen", "each step that can fail is named, and nothing stays open")
{
    const struct {
        berth_address address;
        uint16_t port;
        int error;
    } tries[] = {
        {berth_address_ipv4(0x01020304), 0, EADDRNOTAVAIL},
        {BERTH_ADDRESS_NULL, 0, EINVAL},
    };
    for (unsigned i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        kit_listener *listener = kit_listener_new("l", NULL);
        berth__listen_options options = {
            .address = tries[i].address, .port = tries[i].port, .backlog = 50};
        berth__listen_step step = BERTH__LISTEN_ATTACH;
        ck_assert_int_eq(kit()->operations->listen(kit(), &listener->listener, &options, &step),
                         tries[i].error);
        ck_assert_int_eq(listener->listener.descriptor, -1);
        ck_assert(step == BERTH__LISTEN_BIND || step == BERTH__LISTEN_CREATE);
    }
    kit_listener *late = kit_listener_new("late", NULL);
    world_exhaust(0);
    ck_assert_int_eq(kit_listen_at(late, BERTH_ADDRESS_LOOPBACK, 0), EMFILE);
    world_relieve();
    ck_assert_int_eq(kit_listen_at(late, BERTH_ADDRESS_LOOPBACK, 0), 0);
}

CASE(stream_is_bound, "bind",
     "a bound stream has a local name, keeps it through connect, and can be closed unconnected")
{
    uint16_t port = world_listen(5);
    berth_address here = BERTH_ADDRESS_LOOPBACK;
    kit_stream *stream = kit_stream_new("a", NULL);
    kit_stream *idle = kit_stream_new("idle", NULL);
    ck_assert_int_eq(kit()->operations->bind(kit(), &stream->stream, &here, 0, NULL), 0);
    ck_assert_int_eq(kit()->operations->bind(kit(), &idle->stream, &here, 0, NULL), 0);
    int descriptor = stream->stream.descriptor;
    berth_address address;
    uint16_t bound;
    ck_assert_int_eq(kit()->operations->name_of(kit(), descriptor, BERTH__LOCAL, &address, &bound),
                     0);
    ck_assert(berth_address_equal(address, here));
    ck_assert_uint_eq(bound, 0);
    ck_assert_int_eq(kit()->operations->bind(kit(), &stream->stream, &here, 0, NULL), 0);
    ck_assert_int_eq(kit()->operations->name_of(kit(), descriptor, BERTH__LOCAL, &address, &bound),
                     0);
    ck_assert(berth_address_equal(address, here));
    ck_assert_uint_ne(bound, 0);
    ck_assert_int_eq(stream->stream.descriptor, descriptor);
    ck_assert_int_eq(kit_connect(stream, port), 0);
    UNTIL(stream->connects == 1);
    ck_assert_int_eq(stream->connect_error, 0);
    ck_assert_int_eq(stream->stream.descriptor, descriptor);
    struct peer *peer = world_accept(port);
    kit_send_all(stream, "hello", 5);
    ck_assert(peer_hears(peer, "hello"));
    uint16_t now;
    ck_assert_int_eq(kit()->operations->name_of(kit(), descriptor, BERTH__LOCAL, &address, &now),
                     0);
    ck_assert_uint_eq(now, bound);
    kit_close(idle);
    UNTIL(idle->closed);
}

CASE(stream_is_not_bound, "bind",
     "an address of somebody else, or no descriptor left: an errno, and nothing is owed")
{
    berth_address there = berth_address_ipv4(0x01020304);
    berth_address here = BERTH_ADDRESS_LOOPBACK;
    kit_stream *stream = kit_stream_new("a", NULL);
    ck_assert_int_eq(kit()->operations->bind(kit(), &stream->stream, &there, 0, NULL),
                     EADDRNOTAVAIL);
    ck_assert_int_eq(stream->stream.descriptor, -1);
    world_exhaust(0);
    ck_assert_int_eq(kit()->operations->bind(kit(), &stream->stream, &here, 0, NULL), EMFILE);
    world_relieve();
    ck_assert_int_eq(stream->stream.descriptor, -1);
    ck_assert_int_eq(kit()->operations->bind(kit(), &stream->stream, &here, 0, NULL), 0);
}

CASE(input_that_was_not_delivered, "input", "told how many bytes wait that the core has not got")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    ck_assert_uint_eq(kit()->operations->input(kit(), &stream->stream), 0);
    peer_send_some(peer, "x", 1);
    world_settle();
    ck_assert_uint_eq(kit()->operations->input(kit(), &stream->stream), 1);
    kit_receive_start(stream);
    UNTIL(stream->received == 1);
    ck_assert_uint_eq(kit()->operations->input(kit(), &stream->stream), 0);
    kit_receive_stop(stream);
    peer_send_some(peer, "y", 1);
    world_settle();
    ck_assert_uint_eq(kit()->operations->input(kit(), &stream->stream), 1);
}

CASE(options_of_a_stream, "option", "what is set can be read, and nonsense is refused")
{
    struct peer *peer;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    int descriptor = stream->stream.descriptor;
    int value = 1;
    ck_assert_int_eq(
        kit()->operations->option(kit(), descriptor, BERTH_OPTION_LOW_DELAY, &value, true), 0);
    value = 0;
    ck_assert_int_eq(
        kit()->operations->option(kit(), descriptor, BERTH_OPTION_LOW_DELAY, &value, false), 0);
    ck_assert_int_eq(value, 1);
    ck_assert_int_eq(
        kit()->operations->option(kit(), descriptor, BERTH_OPTION_LINGER, &value, false), 0);
    ck_assert_int_eq(value, -1);
    value = -1;
    ck_assert_int_eq(
        kit()->operations->option(kit(), descriptor, BERTH_OPTION_LOW_DELAY, &value, true), EINVAL);
    ck_assert_int_eq(
        kit()->operations->option(kit(), descriptor, (berth_socket_option)99, &value, false),
        EINVAL);
    ck_assert_int_ne(kit()->operations->option(kit(), 4000, BERTH_OPTION_LOW_DELAY, &value, false),
                     0);
}
