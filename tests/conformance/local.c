/*
 * Unix sockets: where the kernel treats them otherwise than TCP.
 */
#include "kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/sim.h"

static berth__local_name name_at(const char *path)
{
    berth__local_name name;
    ck_assert_int_eq(berth__local_name_read(path, &name), 0);
    return name;
}

static int listen_at(kit_listener *listener, const char *path, int backlog, bool replaces,
                     berth__local_file *ret_file, berth__local_step *ret_step)
{
    berth__local_listen how = {.name = name_at(path), .backlog = backlog};
    how.options.replace_stale = replaces;
    return kit()->operations->listen_local(kit(), &listener->listener, &how, ret_file, ret_step);
}

static kit_listener *listener_at(const char *path, int backlog)
{
    berth__local_file file;
    berth__local_step step;
    kit_listener *listener = kit_listener_new("l", NULL);
    ck_assert_int_eq(listen_at(listener, path, backlog, false, &file, &step), 0);
    ck_assert(listener->listener.local);
    return listener;
}

static int connect_to(kit_stream *stream, const char *path)
{
    berth__local_name name = name_at(path);
    return kit()->operations->connect_local(kit(), &stream->stream, &name, NULL);
}

static kit_stream *pair(struct peer **ret_peer)
{
    kit_stream *self = kit_stream_new("a", NULL);
    int descriptor = world_local_descriptor(ret_peer);
    ck_assert_int_eq(kit()->operations->adopt(kit(), &self->stream, descriptor, false), 0);
    ck_assert(self->stream.ready.local);
    return self;
}

static ptrdiff_t send_now(kit_stream *stream, const void *data, size_t size)
{
    stream->stream.ready.paced = true;
    const berth__chunk *chunk = kit_chunks(stream, data, size, 1);
    unsigned sents = stream->sents;
    ptrdiff_t result =
        kit()->operations->send(kit(), &stream->stream, chunk, size, BERTH__SEND_ONLY);
    if (result != 0)
        return result;
    UNTIL(stream->sents > sents);
    return stream->sent;
}

/* ---- listening ------------------------------------------------------------------------------- */

CASE(local_listener, "listen_local", "accepts by a path, has its name, and leaves the file")
{
    const char *path = world_path("a");
    kit_listener *listener = listener_at(path, 5);
    berth__local_name name;
    berth_address address;
    uint16_t port;
    int descriptor = listener->listener.descriptor;
    ck_assert_int_eq(kit()->operations->local_name(kit(), descriptor, &name), 0);
    char text[BERTH__LOCAL_TEXT_SIZE];
    ck_assert_str_eq(berth__local_name_write(&name, text), path);
    ck_assert_int_eq(kit()->operations->name_of(kit(), descriptor, BERTH__LOCAL, &address, &port),
                     0);
    ck_assert_int_eq(address.family, BERTH_ADDRESS_FAMILY_LOCAL);
    ck_assert_uint_eq(port, 0);
    struct peer *peer = world_connect_local(path);
    kit_credit(listener, 1);
    UNTIL(listener->count == 1);
    kit_stream *stream = kit_adopt("a", listener->descriptors[0]);
    kit_receive_start(stream);
    peer_say(peer, "hello");
    UNTIL(stream->received == 5);
    kit_send_all(stream, "answer", 6);
    ck_assert(peer_hears(peer, "answer"));
    kit_close_listener(listener);
    ck_assert_int_eq(world_file_at(path), WORLD_SOCKET);
    ck_assert_ptr_null(world_try_local(path));
    ck_assert_int_eq(errno, ECONNREFUSED);
}

CASE(file_that_is_removed, "remove_local", "it is the one that was made, or it stays")
{
    const char *path = world_path("a");
    berth__local_file file;
    berth__local_step step;
    berth__local_name name = name_at(path);
    kit_listener *listener = kit_listener_new("l", NULL);
    ck_assert_int_eq(listen_at(listener, path, 5, false, &file, &step), 0);
    kit_close_listener(listener);
    berth__local_file other = {.device = file.device, .inode = file.inode + 1};
    kit()->operations->remove_local(kit(), &name, &other);
    ck_assert_int_eq(world_file_at(path), WORLD_SOCKET);
    kit()->operations->remove_local(kit(), &name, &file);
    ck_assert_int_eq(world_file_at(path), WORLD_NOTHING);
    kit()->operations->remove_local(kit(), &name, &file);
    world_put_file(path, WORLD_PLAIN);
    kit()->operations->remove_local(kit(), &name, &file);
    ck_assert_int_eq(world_file_at(path), WORLD_PLAIN);
}

CASE(abstract_name_has_no_file, "listen_local", "it is free again when the listener is closed")
{
    char name[64];
    snprintf(name, sizeof name, "@berth-%d", (int)getpid());
    berth__local_file file;
    berth__local_step step;
    kit_listener *listener = kit_listener_new("l", NULL);
    ck_assert_int_eq(listen_at(listener, name, 5, false, &file, &step), 0);
    ck_assert_uint_eq(file.inode, 0);
    ck_assert_int_eq(listen_at(kit_listener_new("m", NULL), name, 5, true, &file, &step),
                     EADDRINUSE);
    ck_assert_int_eq(step, BERTH__LOCAL_BIND);
    kit_close_listener(listener);
    ck_assert_ptr_null(world_try_local(name));
    ck_assert_int_eq(errno, ECONNREFUSED);
    ck_assert_int_eq(listen_at(kit_listener_new("n", NULL), name, 5, false, &file, &step), 0);
}

static void place_is_refused(const char *path, enum world_file kind)
{
    berth__local_file file;
    berth__local_step step;
    kit_listener *listener = kit_listener_new("l", NULL);
    world_put_file(path, kind);
    ck_assert_int_eq(listen_at(listener, path, 5, false, &file, &step), EADDRINUSE);
    ck_assert_int_eq(step, BERTH__LOCAL_BIND);
    if (kind == WORLD_SOCKET)
        return;
    ck_assert_int_eq(listen_at(listener, path, 5, true, &file, &step), EEXIST);
    ck_assert_int_eq(step, BERTH__LOCAL_PLACE);
    ck_assert_int_eq(world_file_at(path), kind);
}

CASE(what_is_in_the_place_stays, "listen_local", "but for a socket that nobody has any more")
{
    const char *path = world_path("a");
    berth__local_file file;
    berth__local_step step;
    place_is_refused(path, WORLD_PLAIN);
    place_is_refused(path, WORLD_FOLDER);
    place_is_refused(path, WORLD_LINK);
    place_is_refused(path, WORLD_SOCKET);
    kit_listener *listener = kit_listener_new("l", NULL);
    ck_assert_int_eq(listen_at(listener, path, 5, true, &file, &step), 0);
    world_connect_local(path);
}

CASE(live_listener_is_not_replaced, "listen_local", "with room in its backlog or without")
{
    const char *path = world_path("a");
    berth__local_file file;
    berth__local_step step;
    kit_listener *listener = listener_at(path, 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(listen_at(kit_listener_new("m", NULL), path, 5, true, &file, &step),
                         EADDRINUSE);
        ck_assert_int_eq(step, BERTH__LOCAL_PROBE);
    }
    kit_credit(listener, 5);
    UNTIL(listener->count == 1); /* the first look filled the backlog, and has gone */
    kit_stream *stream = kit_adopt("a", listener->descriptors[0]);
    kit_receive_start(stream);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(stream->end_error, 0);
}

/* ---- connecting ------------------------------------------------------------------------------ */

CASE(nobody_at_a_path, "connect_local", "nothing, a file, a socket of nobody, an abstract name")
{
    const char *path = world_path("a");
    kit_stream *stream = kit_stream_new("a", NULL);
    kit();
    ck_assert_int_eq(connect_to(stream, path), ENOENT);
    world_put_file(path, WORLD_PLAIN);
    ck_assert_int_eq(connect_to(stream, path), ECONNREFUSED);
    world_put_file(path, WORLD_SOCKET);
    ck_assert_int_eq(connect_to(stream, path), ECONNREFUSED);
    ck_assert_int_eq(connect_to(stream, "@berth: nobody"), ECONNREFUSED);
    ck_assert_int_eq(stream->stream.descriptor, -1);
}

CASE(full_backlog_is_not_waited_for, "connect_local", "EAGAIN until one is accepted")
{
    const char *path = world_path("a");
    world_listen_local(path, 0);
    kit_stream *first = kit_stream_new("a", NULL);
    kit_stream *second = kit_stream_new("b", NULL);
    ck_assert_int_eq(connect_to(first, path), 0);
    ck_assert_int_eq(connect_to(second, path), EAGAIN);
    UNTIL(first->connects == 1);
    ck_assert_int_eq(first->connect_error, 0);
    struct peer *peer = world_accept_local(path);
    ck_assert_int_eq(connect_to(second, path), 0);
    UNTIL(second->connects == 1);
    kit_send_all(first, "hello", 5);
    ck_assert(peer_hears(peer, "hello"));
}

CASE(bytes_before_accept, "connect_local", "what is sent before somebody accepts is kept")
{
    const char *path = world_path("a");
    world_listen_local(path, 5);
    kit_stream *stream = kit_stream_new("a", NULL);
    ck_assert_int_eq(connect_to(stream, path), 0);
    UNTIL(stream->connects == 1);
    kit_send_all(stream, "early", 5);
    kit_close(stream);
    struct peer *peer = world_accept_local(path);
    ck_assert(peer_hears(peer, "early"));
    ck_assert(peer_saw_end(peer));
}

CASE(never_accepted_is_a_reset, "connect_local", "the listener goes with those in its backlog")
{
    const char *path = world_path("a");
    kit_listener *listener = listener_at(path, 5);
    struct peer *peer = world_connect_local(path);
    kit_close_listener(listener);
    ck_assert(peer_saw_reset(peer));
    ck_assert_uint_eq(peer_send_some(peer, "x", 1), 0);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* The peer gets the answer, and cannot write any more. */
static void answer_and_reset(kit_stream *stream, struct peer *peer)
{
    ck_assert_int_eq(send_now(stream, "answer", 6), 6);
    kit_close_by_reset(stream);
    UNTIL(stream->closed);
    ck_assert_uint_eq(peer_send_some(peer, "x", 1), 0);
    ck_assert(peer_hears(peer, "answer"));
}

CASE(local_end_leaves_its_output, "7", "closed with input unread: the peer reads all, then a reset")
{
    struct peer *peer;
    kit_stream *stream = pair(&peer);
    peer_say(peer, "unread");
    world_settle();
    answer_and_reset(stream, peer);
    ck_assert(peer_saw_reset(peer));
}

CASE(local_reset_is_an_end, "7", "where all input was read")
{
    struct peer *peer;
    kit_stream *stream = pair(&peer);
    answer_and_reset(stream, peer);
    ck_assert(peer_saw_end(peer));
}

CASE(local_peer_leaves_input_unread, "4", "all that it sent comes, then the reset")
{
    struct peer *peer;
    kit_stream *stream = pair(&peer);
    ck_assert_int_eq(send_now(stream, "unread", 6), 6);
    peer_say(peer, "last words");
    peer_close(peer);
    kit_receive_start(stream);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(stream->end_error, ECONNRESET);
    ck_assert_uint_eq(stream->received, 10);
    ck_assert_int_eq(send_now(stream, "x", 1), -EPIPE);
}

CASE(local_bytes_and_end_at_once, "4", "both come before the next wait: the end too is reported")
{
    for (int i = 0; i < 4; i++) {
        struct peer *peer;
        kit_stream *stream = pair(&peer);
        bool unread = i % 2 == 1, late = i >= 2;
        if (unread)
            ck_assert_int_eq(send_now(stream, "unread", 6), 6);
        if (!late)
            kit_receive_start(stream);
        world_settle();
        peer_say(peer, "last words");
        if (unread)
            peer_close(peer);
        else
            peer_shutdown(peer);
        if (late)
            kit_receive_start(stream);
        UNTIL(stream->ends == 1);
        ck_assert_uint_eq(stream->received, 10);
        ck_assert_int_eq(stream->end_error, unread ? ECONNRESET : 0);
    }
}

CASE(local_end_while_stopped, "4",
     "it comes behind the bytes, however receiving was stopped before")
{
    for (int i = 0; i < 16; i++) {
        struct peer *peer;
        kit_stream *stream = pair(&peer);
        bool unread = i & 1, stops_late = i & 2, starts_late = i & 4, limited = i & 8;
        if (unread)
            ck_assert_int_eq(send_now(stream, "unread", 6), 6);
        kit_receive_start(stream);
        world_settle();
        kit_receive_stop(stream);
        if (!stops_late)
            world_settle();
        peer_say(peer, "last words");
        if (unread)
            peer_close(peer);
        else
            peer_shutdown(peer);
        if (starts_late)
            world_settle();
        stream->room = 1000;
        stream->stream.limited = limited;
        kit_receive_start(stream);
        UNTIL(stream->ends == 1);
        ck_assert_uint_eq(stream->received, 10);
        ck_assert_int_eq(stream->end_error, unread ? ECONNRESET : 0);
    }
}

CASE(local_send_to_nobody, "4", "it fails, and the input ends behind what had come")
{
    struct peer *peer;
    kit_stream *stream = pair(&peer);
    peer_say(peer, "last words");
    peer_close(peer);
    ck_assert_int_eq(send_now(stream, "x", 1), -EPIPE);
    kit_receive_start(stream);
    UNTIL(stream->ends == 1);
    ck_assert_uint_eq(stream->received, 10);
}

CASE(local_peer_goes_behind_its_end, "4", "with input unread: the reset is reported once more")
{
    struct peer *peer;
    kit_stream *stream = pair(&peer);
    kit_receive_start(stream);
    peer_shutdown(peer);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(stream->end_error, 0);
    ck_assert_int_eq(send_now(stream, "unread", 6), 6);
    peer_close(peer);
    UNTIL(stream->ends == 2);
    ck_assert_int_eq(stream->end_error, ECONNRESET);
}

CASE(local_output_is_ended_late, "7", "after the peer has gone, and after both ends")
{
    struct peer *peer;
    kit_stream *stream = pair(&peer);
    kit_receive_start(stream);
    peer_shutdown(peer);
    UNTIL(stream->ends == 1);
    ck_assert_int_eq(kit_shutdown(stream), 0);
    ck_assert(peer_saw_end(peer));
    ck_assert_int_eq(kit_shutdown(stream), 0);
    peer_close(peer);
    world_settle();
    ck_assert_int_eq(kit_shutdown(stream), 0);
    ck_assert_uint_eq(stream->ends, 1);
}

CASE(local_names_after_the_end, "name_of credentials", "they outlast the peer")
{
    struct peer *peer;
    berth_credentials who;
    berth_address address;
    uint16_t port;
    kit_stream *stream = pair(&peer);
    peer_close(peer);
    world_settle();
    int descriptor = stream->stream.descriptor;
    ck_assert_int_eq(kit()->operations->name_of(kit(), descriptor, BERTH__PEER, &address, &port),
                     0);
    ck_assert_int_eq(address.family, BERTH_ADDRESS_FAMILY_LOCAL);
    ck_assert_int_eq(kit()->operations->credentials(kit(), descriptor, &who), 0);
    ck_assert_int_eq(who.pid, (int)getpid());
    ck_assert_uint_eq(who.uid, getuid());
    ck_assert_uint_eq(who.gid, getgid());
}

CASE(credentials_of_tcp, "credentials", "there are none")
{
    struct peer *peer;
    berth_credentials who;
    kit_stream *stream = kit_pair("a", NULL, &peer);
    ck_assert_int_eq(kit()->operations->credentials(kit(), stream->stream.descriptor, &who),
                     EOPNOTSUPP);
}

/* ---- output ---------------------------------------------------------------------------------- */

static size_t transit(kit_stream *stream)
{
    return kit()->operations->in_transit(kit(), &stream->stream);
}

CASE(local_output_is_read, "12", "what the peer has not read is in transit, and nothing is unsent")
{
    struct peer *peer;
    kit_stream *stream = pair(&peer);
    uint8_t *bytes = kit_pattern(10000, 1);
    for (int i = 0; i < 2; i++)
        kit_send_all(stream, bytes, 5000);
    size_t all = transit(stream);
    ck_assert_uint_gt(all, 0);
    ck_assert(!kit()->operations->has_unsent(kit(), &stream->stream));
    ck_assert_uint_eq(peer_receive(peer, bytes, 5000), 5000);
    ck_assert_uint_lt(transit(stream), all);
    ck_assert_uint_eq(peer_receive(peer, bytes, 5000), 5000);
    ck_assert_uint_eq(transit(stream), 0);
    free(bytes);
}

CASE(local_room, "6", "a full buffer has room when most of it was read, not before")
{
    struct peer *peer;
    kit_stream *stream = pair(&peer);
    uint8_t *bytes = kit_pattern(65536, 1);
    size_t sent = 0;
    for (ptrdiff_t some; (some = send_now(stream, bytes, 4096)) != -EAGAIN; sent += (size_t)some)
        ck_assert_int_gt(some, 0);
    ck_assert_int_eq(kit_await_room(stream), 0);
    unsigned sents = stream->sents;
    size_t read = 0;
    while (read < sent / 2)
        read += peer_receive(peer, bytes, 4096);
    world_settle();
    ck_assert_uint_eq(stream->sents, sents);
    while (read < sent)
        read += peer_receive_some(peer, bytes, 4096);
    UNTIL(stream->sents > sents);
    ck_assert_int_eq(stream->sent, 0);
    free(bytes);
}

CASE(local_segment_is_not_held, "12", "what is sent with more to follow is there at once")
{
    struct peer *peer;
    char byte;
    kit_stream *stream = pair(&peer);
    const berth__chunk *chunk = kit_chunks(stream, "x", 1, 1);
    unsigned sents = stream->sents;
    if (kit()->operations->send(kit(), &stream->stream, chunk, 1, BERTH__SEND_MORE) == 0)
        UNTIL(stream->sents > sents);
    ck_assert_uint_eq(peer_receive_some(peer, &byte, 1), 1);
}

CASE(local_options, "option", "those of TCP and IP are refused")
{
    static const berth_socket_option tcp[] = {
        BERTH_OPTION_LOW_DELAY,           BERTH_OPTION_KEEP_ALIVE_IDLE,
        BERTH_OPTION_KEEP_ALIVE_INTERVAL, BERTH_OPTION_KEEP_ALIVE_COUNT,
        BERTH_OPTION_TYPE_OF_SERVICE,     BERTH_OPTION_USER_TIMEOUT,
    };
    struct peer *peer;
    kit_stream *stream = pair(&peer);
    int descriptor = stream->stream.descriptor;
    int value = 1;
    for (unsigned i = 0; i < sizeof tcp / sizeof tcp[0]; i++)
        ck_assert_int_eq(kit()->operations->option(kit(), descriptor, tcp[i], &value, true),
                         EOPNOTSUPP);
    value = 20000;
    ck_assert_int_eq(
        kit()->operations->option(kit(), descriptor, BERTH_OPTION_SEND_BUFFER_SIZE, &value, true),
        0);
}

/* ---- giving away ----------------------------------------------------------------------------- */

CASE(local_stream_is_released, "release", "and adopted again, with what had come meanwhile")
{
    struct peer *peer;
    berth__chain input = {0};
    kit_stream *stream = pair(&peer);
    kit_receive_start(stream);
    world_settle();
    int descriptor = kit()->operations->release(kit(), &stream->stream, &input);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_ptr_null(input.first);
    UNTIL(stream->closed);
    peer_say(peer, "hello");
    kit_stream *again = kit_stream_new("b", NULL);
    ck_assert_int_eq(kit()->operations->adopt(kit(), &again->stream, descriptor, false), 0);
    kit_receive_start(again);
    UNTIL(again->received == 5);
}

CASE(local_listener_is_adopted, "adopt_listener", "and its connections are local")
{
    const char *path = world_path("a");
    kit_listener *listener = kit_listener_new("l", NULL);
    kit();
    int descriptor = world_local_listener_descriptor(path);
    ck_assert_int_eq(kit()->operations->adopt_listener(kit(), &listener->listener, descriptor), 0);
    ck_assert(listener->listener.local);
    world_connect_local(path);
    kit_credit(listener, 1);
    UNTIL(listener->count == 1);
}

CASE(local_listener_is_shut, "8", "by another holder: reported, whatever waits in its backlog")
{
    const char *path = world_path("a");
    kit_listener *listener = kit_listener_new("l", NULL);
    kit();
    int descriptor = world_local_listener_descriptor(path);
    ck_assert_int_eq(kit()->operations->adopt_listener(kit(), &listener->listener, descriptor), 0);
    kit_credit(listener, 1);
    world_settle();
    world_shut_listener(descriptor);
    UNTIL(listener->fails == 1);
    ck_assert_int_eq(listener->fail_error, EINVAL);
}
