/*
 * Connections that no record holds: dial, dialled, take, put, and how they end by adopt or discard.
 */
#include "kit.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "header"
#define TAIL "tail"

static const berth__backend_operations *operations(void)
{
    return kit()->operations;
}

static int dial(uint16_t port, int *ret_descriptor)
{
    const berth_address address = BERTH_ADDRESS_LOOPBACK;
    return operations()->dial(kit(), &address, port, NULL, ret_descriptor);
}

/* Waits as the contract says, by a watch for writing; how it has ended. */
static int wait_for_end(int descriptor)
{
    kit_watch *watch = kit_watch_new(NULL);
    ck_assert_int_eq(kit_watch_start(watch, descriptor, BERTH__WATCH_WRITE), 0);
    UNTIL(watch->fires == 1);
    kit_watch_close(watch);
    UNTIL(watch->closed);
    return operations()->dialled(kit(), descriptor);
}

static int dial_up(uint16_t port, struct peer **ret_peer)
{
    int descriptor = -1;
    ck_assert_int_eq(dial(port, &descriptor), 0);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(wait_for_end(descriptor), 0);
    *ret_peer = world_accept(port);
    ck_assert_ptr_nonnull(*ret_peer);
    return descriptor;
}

static void discard(int descriptor)
{
    operations()->discard(kit(), descriptor);
    ck_assert(!world_is_open(descriptor));
}

/* What take says when there is something. */
static ptrdiff_t take(int descriptor, char *data, size_t size, bool keep)
{
    ptrdiff_t count = -EAGAIN;
    for (int turns = 0; turns < 10000 && count == -EAGAIN; turns++) {
        count = operations()->take(kit(), descriptor, data, size, keep);
        if (count == -EAGAIN)
            world_turn();
    }
    return count;
}

/* Takes exactly so many bytes, however few come at a time. */
static void take_all(int descriptor, char *data, size_t size)
{
    ptrdiff_t count = 0;
    for (size_t taken = 0; taken < size; taken += (size_t)count) {
        count = take(descriptor, data + taken, size - taken, false);
        ck_assert_int_gt(count, 0);
    }
}

CASE(dial_succeeds, "dial dialled take put", "bytes go both ways, by calls that do not wait")
{
    struct peer *peer;
    char bytes[8];
    kit();
    uint16_t port = world_listen(5);
    int descriptor = dial_up(port, &peer);
    ck_assert_int_eq(operations()->take(kit(), descriptor, bytes, 5, false), -EAGAIN);
    ck_assert_int_eq(operations()->take(kit(), descriptor, bytes, 5, true), -EAGAIN);
    peer_say(peer, "hello");
    take_all(descriptor, bytes, 5);
    ck_assert_mem_eq(bytes, "hello", 5);
    ck_assert_int_eq(kit_put(descriptor, "world", 5), 5);
    ck_assert(peer_hears(peer, "world"));
    discard(descriptor);
    ck_assert(peer_saw_end(peer));
}

CASE(dial_is_refused, "dial dialled", "told by the call, without a descriptor, or by dialled, once")
{
    kit();
    int descriptor = -1;
    int error = dial(world_free_port(), &descriptor);
    if (error == 0) {
        error = wait_for_end(descriptor);
        discard(descriptor);
    } else {
        ck_assert_int_eq(descriptor, -1);
    }
    ck_assert_int_eq(error, ECONNREFUSED);
}

CASE(dial_is_impossible, "dial", "no address, or no descriptor left: an errno, and nothing is open")
{
    const berth_address nowhere = BERTH_ADDRESS_NULL;
    struct peer *peer;
    kit();
    uint16_t port = world_listen(5);
    int descriptor = -1;
    ck_assert_int_eq(operations()->dial(kit(), &nowhere, port, NULL, &descriptor), EINVAL);
    world_exhaust(0);
    ck_assert_int_eq(dial(port, &descriptor), EMFILE);
    world_relieve();
    ck_assert_int_eq(descriptor, -1);
    discard(dial_up(port, &peer));
}

CASE(take_leaves_what_follows, "take 1",
     "bytes that are kept are there again; those behind the last one taken go to the stream")
{
    struct peer *peer;
    char bytes[64];
    kit();
    uint16_t port = world_listen(5);
    int descriptor = dial_up(port, &peer);
    peer_say(peer, HEAD TAIL);
    for (int times = 0; times < 3; times++) {
        UNTIL(operations()->take(kit(), descriptor, bytes, sizeof bytes, true) == 10);
        ck_assert_mem_eq(bytes, HEAD TAIL, 10);
    }
    ck_assert_int_eq(operations()->take(kit(), descriptor, bytes, 3, true), 3);
    take_all(descriptor, bytes, strlen(HEAD));
    ck_assert_mem_eq(bytes, HEAD, strlen(HEAD));
    kit_stream *stream = kit_adopt("s", descriptor);
    kit_receive_start(stream);
    UNTIL(stream->received == strlen(TAIL));
    ck_assert_mem_eq(stream->bytes, TAIL, strlen(TAIL));
    kit_send_all(stream, "answer", 6);
    ck_assert(peer_hears(peer, "answer"));
}

CASE(dialled_descriptor_is_as_an_accepted_one, "dial dialled 8", "close-on-exec, and blocking")
{
    struct peer *peer;
    kit();
    if (world_is_simulated())
        case_skip("needs descriptors of the real kernel");
    int descriptor = dial_up(world_listen(5), &peer);
    ck_assert_int_eq(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_int_eq(fcntl(descriptor, F_GETFL) & O_NONBLOCK, 0);
    discard(descriptor);
}

CASE(take_tells_the_end, "take", "0 once all bytes are taken, kept or not, as often as it is asked")
{
    struct peer *peer;
    char bytes[8];
    kit();
    int descriptor = dial_up(world_listen(5), &peer);
    peer_say(peer, "bye");
    peer_shutdown(peer);
    take_all(descriptor, bytes, 3);
    ck_assert_int_eq(take(descriptor, bytes, 8, true), 0);
    berth__fault_set_system(0, 1, EINTR, "recv"); /* and however often it is interrupted */
    ck_assert_int_eq(operations()->take(kit(), descriptor, bytes, 8, false), 0);
    berth__fault_clear();
    ck_assert_int_eq(operations()->take(kit(), descriptor, bytes, 8, false), 0);
    ck_assert_int_eq(kit_put(descriptor, "late", 4), 4);
    ck_assert(peer_hears(peer, "late"));
    discard(descriptor);
}

CASE(take_and_put_tell_a_reset, "take put", "by a negative errno, and without a signal")
{
    struct peer *peer;
    char bytes[8];
    kit();
    int descriptor = dial_up(world_listen(5), &peer);
    peer_reset(peer);
    ck_assert_int_eq(take(descriptor, bytes, 8, false), -ECONNRESET);
    ptrdiff_t count = kit_put(descriptor, "late", 4);
    ck_assert(count == -EPIPE || count == -ECONNRESET);
    discard(descriptor);
}

CASE(put_takes_what_fits, "put", "then EAGAIN, until the peer has made room; nothing is lost")
{
    enum {
        SIZE = 1 << 24
    };
    struct peer *peer;
    kit();
    int descriptor = dial_up(world_listen(5), &peer);
    uint8_t *bytes = kit_pattern(SIZE, 7);
    uint8_t *heard = malloc(SIZE);
    size_t put = 0;
    size_t got = 0;
    ptrdiff_t count;
    while ((count = kit_put(descriptor, bytes + put, SIZE - put)) > 0)
        put += (size_t)count;
    ck_assert_int_eq(count, -EAGAIN);
    ck_assert_uint_lt(put, SIZE);
    size_t all = put + 1000;
    while (got < all) {
        got += peer_receive_some(peer, heard + got, all - got);
        if (put < all && (count = kit_put(descriptor, bytes + put, all - put)) != -EAGAIN) {
            ck_assert_int_gt(count, 0);
            put += (size_t)count;
        }
        kit_turn(0);
    }
    ck_assert_mem_eq(heard, bytes, all);
    free(bytes);
    free(heard);
    discard(descriptor);
}
