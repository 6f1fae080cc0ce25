/*
 * Output that is not copied: memory that is borrowed, and parts of files.
 */
#include "balance.h"
#include "base/fault.h"
#include "children.h"
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LONG = 100000,
    VERY_LONG = 3000000
};

static unsigned releases;
static size_t released;
static struct actor *to_be_freed;

static void release(const void *data, size_t size, void *user)
{
    ck_assert_ptr_nonnull(data);
    ck_assert_ptr_eq(user, &releases);
    releases++;
    released += size;
    memset((void *)(uintptr_t)data, 0xee, size); /* whoever still sends it sends rubbish */
}

static struct actor *begin(struct peer **ret_peer)
{
    releases = 0;
    released = 0;
    return host_connect(host_listening("h"), "s", ret_peer);
}

static ptrdiff_t borrow(struct actor *actor, const void *data, size_t size)
{
    return berth_socket_write_borrowed(actor->socket, data, size, release, &releases);
}

static void expect(struct peer *peer, const uint8_t *bytes, size_t size)
{
    uint8_t *heard = malloc(size);
    ck_assert_uint_eq(peer_receive(peer, heard, size), size);
    ck_assert_mem_eq(heard, bytes, size);
    free(heard);
}

static uint8_t *copy_of(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size);
    memcpy(copy, bytes, size);
    return copy;
}

/* ---- borrowed -------------------------------------------------------------------------------- */

static void expect_borrowed(size_t size)
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(size, 1);
    uint8_t *lent = copy_of(bytes, size);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, 1), 1);
    ck_assert_int_eq(borrow(actor, lent + 1, size - 2), (ptrdiff_t)size - 2);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes + size - 1, 1), 1);
    ck_assert_uint_eq(releases, 0);
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), size);
    expect(peer, bytes, size);
    UNTIL(actor->written == size && releases == 1);
    ck_assert_uint_eq(released, size - 2);
    world_settle();
    ck_assert_uint_eq(releases, 1);
    free(bytes);
    free(lent);
}

CASE(borrowed_short, "S3.27", "what is short is copied, and released from the loop")
{
    expect_borrowed(500);
}

CASE(borrowed_long, "S3.27 S3.28", "in order with what is written before and after it")
{
    expect_borrowed(LONG);
}

CASE(borrowed_very_long, "S3.27 S3.28", "over many sends")
{
    expect_borrowed(VERY_LONG);
}

/* An entry of io_uring takes less than 2 GiB. The memory is that of one page. */
CASE(borrowed_three_gib, "S3.27", "a block may have any size that a block may have")
{
    if (world_is_simulated()) /* it copies */
        return;
    struct peer *peer;
    struct actor *actor = begin(&peer);
    size_t size = (size_t)3 << 30;
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(data, MAP_FAILED);
    ck_assert_int_eq(berth_socket_write_borrowed(actor->socket, data, size, NULL, NULL),
                     (ptrdiff_t)size);
    size_t got = 0;
    for (int turns = 0; turns < WORLD_TURNS && got < VERY_LONG; turns++) {
        static uint8_t taken[65536];
        got += peer_receive_some(peer, taken, sizeof taken);
        world_turn();
    }
    ck_assert_uint_ge(got, VERY_LONG);
    ck_assert_uint_eq(actor->errors, 0);
    berth_socket_abort(actor->socket);
    world_settle();
    ck_assert_int_eq(munmap(data, size), 0);
}

CASE(borrowed_and_the_end, "S3.27", "what the connection ends before is released, once")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(8 * VERY_LONG, 2);
    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(borrow(actor, bytes + i * VERY_LONG, VERY_LONG), VERY_LONG);
    berth_loop_turn(world_loop(), 0);
    berth_socket_abort(actor->socket);
    UNTIL(releases == 8);
    world_settle();
    ck_assert_uint_eq(releases, 8);
    free(bytes);
}

CASE(borrowed_and_the_peers_reset, "S3.27", "what a reset keeps from being sent is released, once")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(4 * VERY_LONG, 2);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(borrow(actor, bytes + i * VERY_LONG, VERY_LONG), VERY_LONG);
    peer_reset(peer);
    UNTIL(actor->disconnects == 1 && releases == 4);
    world_settle();
    ck_assert_uint_eq(releases, 4);
    free(bytes);
}

CASE(borrowed_when_the_loop_is_freed, "S3.27", "is released at the latest then")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(4 * VERY_LONG, 3);
    ck_assert_int_eq(borrow(actor, bytes, 4 * VERY_LONG), 4 * VERY_LONG);
    actor_free_socket(actor);
    world_free_loop();
    ck_assert_uint_eq(releases, 1);
    free(bytes);
}

static void connect_by_name(const void *data, size_t size, void *user)
{
    release(data, size, user);
    /* Nothing is expected here: a case that leaves a loop that is being freed leaves its rest. */
    berth_socket *socket = berth_socket_new(world_loop(), NULL, NULL);
    if (socket != NULL)
        (void)berth_socket_connect_to_host(socket, "h", 1);
    (void)berth_socket_new(world_loop(), NULL, NULL);
}

CASE(name_is_asked_for_by_a_release, "S3.27", "also while the loop is freed")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(2 * LONG, 3);
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(berth_socket_write_borrowed(actor->socket, bytes + i * LONG, LONG,
                                                     connect_by_name, &releases),
                         LONG);
    world_free_loop();
    ck_assert_uint_eq(releases, 2);
    free(bytes);
}

static void free_socket(const void *data, size_t size, void *user)
{
    release(data, size, user);
    if (to_be_freed != NULL)
        actor_free_socket(to_be_freed);
    to_be_freed = NULL;
}

CASE(socket_freed_by_a_release, "S3.27", "a release handler may free the socket")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(2 * LONG, 4);
    to_be_freed = actor;
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(berth_socket_write_borrowed(actor->socket, bytes + i * LONG, LONG,
                                                     free_socket, &releases),
                         LONG);
    uint8_t *heard = malloc(2 * LONG);
    peer_receive(peer, heard, 2 * LONG);
    UNTIL(releases == 2);
    ck_assert_ptr_null(to_be_freed);
    free(heard);
    free(bytes);
}

static uint8_t *again;
static struct actor *writer;

static void write_again(const void *data, size_t size, void *user)
{
    release(data, size, user);
    if (releases < 5) {
        ck_assert_int_eq(
            berth_socket_write_borrowed(writer->socket, again, LONG, write_again, user), LONG);
        berth_loop_turn(world_loop(), 0);
    }
}

CASE(write_inside_a_release, "S3.27", "a release handler may write again, and turn the loop")
{
    struct peer *peer;
    writer = begin(&peer);
    again = scene_pattern(LONG, 5);
    uint8_t *heard = malloc(5 * LONG);
    ck_assert_int_eq(
        berth_socket_write_borrowed(writer->socket, again, LONG, write_again, &releases), LONG);
    ck_assert_uint_eq(peer_receive(peer, heard, 5 * LONG), 5 * LONG);
    UNTIL(releases == 5);
    free(heard);
    free(again);
}

CASE(borrowed_without_a_handler, "S3.27", "constant data needs no release")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(LONG, 6);
    ck_assert_int_eq(berth_socket_write_borrowed(actor->socket, bytes, LONG, NULL, NULL), LONG);
    expect(peer, bytes, LONG);
    world_settle();
    free(bytes);
}

CASE(borrowed_is_refused, "S3.27 D16", "what is refused is not borrowed, and not released")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    struct actor *idle = actor_new("i");
    uint8_t *bytes = scene_pattern(VERY_LONG, 7);
    ck_assert_int_eq(borrow(idle, bytes, LONG), -1);
    ck_assert_int_eq(berth_socket_error(idle->socket), BERTH_ERROR_OPERATION);
    ck_assert_int_eq(borrow(actor, bytes, 0), 0);
#if SIZE_MAX > UINT32_MAX
    ck_assert_int_eq(borrow(actor, bytes, (size_t)UINT32_MAX + 1), -1);
#endif
    berth__fault_set_memory(0, 1000000);
    ck_assert_int_eq(borrow(actor, bytes, LONG), -1);
    berth__fault_clear();
    ck_assert_int_eq(berth_socket_error(actor->socket), BERTH_ERROR_SOCKET_RESOURCE);
    berth_socket_set_write_marks(actor->socket, 10, 1000);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, 900), 900);
    ck_assert_int_eq(berth_socket_write_borrowed(actor->socket, bytes, 500, NULL, NULL), 500);
    ck_assert_int_eq(borrow(actor, bytes, LONG), 0);
    world_settle();
    ck_assert_uint_eq(releases, 0);
    free(bytes);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int file_of(const uint8_t *bytes, size_t size)
{
    int file = world_note(memfd_create("berth-test", MFD_CLOEXEC));
    ck_assert_int_ge(file, 0);
    for (size_t done = 0; done < size;) {
        ssize_t count = write(file, bytes + done, size - done);
        ck_assert_int_gt(count, 0);
        done += (size_t)count;
    }
    return file;
}

static void expect_file(size_t size)
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(size + 20, 8);
    int file = file_of(bytes, size + 20);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes, 10), 10);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 10, size), (ptrdiff_t)size);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes + size + 10, 5), 5);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, size + 15, SIZE_MAX), 5);
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), size + 20);
    close(file);
    expect(peer, bytes, size + 20);
    UNTIL(actor->written == size + 20);
    free(bytes);
}

CASE(short_file, "S3.27 S3.28", "in order with what is written before and after it")
{
    expect_file(100);
}

CASE(long_file, "S3.27 S3.28", "over many sends; the program may close its descriptor")
{
    expect_file(VERY_LONG);
}

CASE(file_to_a_slow_peer, "S3.27", "what there is no room for waits, and a later end follows it")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(8 * VERY_LONG, 9);
    int file = file_of(bytes, 8 * VERY_LONG);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 0, SIZE_MAX), 8 * VERY_LONG);
    world_settle();
    ck_assert_uint_lt(actor->written, 8 * VERY_LONG);
    berth_socket_disconnect_from_host(actor->socket);
    expect(peer, bytes, 8 * VERY_LONG);
    ck_assert(peer_saw_end(peer));
    UNTIL(actor->disconnects == 1);
    close(file);
    free(bytes);
}

CASE(file_that_shrinks, "S3.27", "ends the connection, with class OPERATION and a text")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(8 * VERY_LONG, 10);
    int file = file_of(bytes, 8 * VERY_LONG);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 0, SIZE_MAX), 8 * VERY_LONG);
    berth_loop_turn(world_loop(), 0);
    ck_assert_int_eq(ftruncate(file, 1000), 0);
    if (!world_is_simulated()) /* the call that finds its end is interrupted */
        berth__fault_set_system(0, 1, EINTR, "sendfile");
    uint8_t *heard = malloc(8 * VERY_LONG);
    for (int turns = 0; turns < 20 * WORLD_TURNS && actor->disconnects == 0; turns++) {
        peer_receive_some(peer, heard, VERY_LONG);
        world_turn();
    }
    ck_assert_uint_eq(actor->disconnects, 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_OPERATION);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "the file ends"));
    close(file);
    free(heard);
    free(bytes);
}

CASE(file_to_a_peer_that_resets, "S3.27", "the connection ends, without SIGPIPE")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(VERY_LONG, 12);
    int file = file_of(bytes, VERY_LONG);
    ck_assert(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    berth_socket_set_half_close(actor->socket, true);
    peer_shutdown(peer); /* the kernel then answers the reset that follows by EPIPE */
    world_settle();
    peer_reset(peer);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 0, SIZE_MAX), VERY_LONG);
    berth_socket_flush(actor->socket);
    UNTIL(actor->disconnects == 1);
    close(file);
    free(bytes);
}

CASE(file_that_cannot_be_read, "S3.27", "ends the connection, with class OPERATION and a text")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    int file = file_of((const uint8_t *)"hello", 5);
    char name[40];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    int writing = world_note(open(name, O_WRONLY | O_CLOEXEC));
    ck_assert_int_ge(writing, 0);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, writing, 0, 5), 5);
    UNTIL(actor->disconnects == 1);
    ck_assert_int_eq(actor->error, BERTH_ERROR_OPERATION);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "cannot be read"));
    close(writing);
    close(file);
}

CASE(file_that_sendfile_refuses, "S3.27",
     "as with one that cannot be read: it is the file's fault, and not the socket's")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    int file = file_of((const uint8_t *)"hello", 5);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 0, 5), 5);
    berth__fault_set_system(0, 1, EINVAL, "sendfile");
    UNTIL(actor->disconnects == 1);
    berth__fault_clear();
    ck_assert_int_eq(actor->error, BERTH_ERROR_OPERATION);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(actor->socket), "cannot be read"));
    close(file);
}

/* The simulated kernel needs none of these calls. */
CASE(file_and_a_descriptor_that_waits, "S3.27",
     "where it cannot be told not to wait, the connection ends rather than the loop waits")
{
    for (int call = 0; call < 2; call++) {
        struct peer *peer;
        struct actor *actor = begin(&peer);
        int file = file_of((const uint8_t *)"hello", 5);
        ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 0, 5), 5);
        berth__fault_set_system(call, 1, ENOMEM, "fcntl");
        UNTIL(actor->disconnects == 1 || actor->written == 5);
        berth__fault_clear();
        ck_assert_uint_eq(actor->disconnects, !world_is_simulated());
        if (!world_is_simulated())
            ck_assert_int_eq(actor->error, BERTH_ERROR_SOCKET_RESOURCE);
        close(file);
    }
}

CASE(file_that_grows, "S3.27", "no more is sent than was asked for")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(2 * LONG, 11);
    int file = file_of(bytes, LONG);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 0, SIZE_MAX), LONG);
    ck_assert_int_eq(write(file, bytes + LONG, LONG), LONG);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes + LONG, 3), 3);
    expect(peer, bytes, LONG + 3);
    close(file);
    free(bytes);
}

CASE(no_such_file, "S3.27", "a pipe, a folder, a wrong descriptor, or too few bytes are refused")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    world_note(ends[0]);
    world_note(ends[1]);
    int folder = world_note(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int file = file_of((const uint8_t *)"hello", 5);
    const struct {
        int descriptor;
        uint64_t offset;
        size_t size;
        berth_error error;
    } wrong[] = {
        {ends[0], 0, 1, BERTH_ERROR_OPERATION},
        {folder, 0, 1, BERTH_ERROR_OPERATION},
        {-1, 0, 1, BERTH_ERROR_UNSUPPORTED_OPERATION},
        {file, 0, 6, BERTH_ERROR_OPERATION},
        {file, 6, SIZE_MAX, BERTH_ERROR_OPERATION},
        {file, UINT64_MAX, 1, BERTH_ERROR_OPERATION},
        {file, 1, SIZE_MAX - 1, BERTH_ERROR_OPERATION},
    };
    unsigned descriptors = balance_descriptors();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_int_eq(berth_socket_write_file(actor->socket, wrong[i].descriptor,
                                                 wrong[i].offset, wrong[i].size),
                         -1);
        ck_assert_int_eq(berth_socket_error(actor->socket), wrong[i].error);
    }
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 5, SIZE_MAX), 0);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 0, 0), 0);
    ck_assert_uint_eq(balance_descriptors(), descriptors);
    ck_assert_uint_eq(berth_socket_bytes_to_write(actor->socket), 0);
    close(ends[0]);
    close(ends[1]);
    close(folder);
    close(file);
}

CASE(socket_is_freed_with_a_file, "S3.27 reliability 3", "the file's descriptor is closed, once")
{
    struct host *host = host_listening("h");
    unsigned descriptors = balance_descriptors();
    struct peer *peer;
    struct actor *actor = host_connect(host, "s", &peer);
    uint8_t *bytes = scene_pattern(8 * VERY_LONG, 12);
    int file = file_of(bytes, 8 * VERY_LONG);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 0, SIZE_MAX), 8 * VERY_LONG);
    berth_loop_turn(world_loop(), 0);
    close(file);
    actor_free_socket(actor);
    peer_close(peer);
    world_settle();
    UNTIL(balance_descriptors() == descriptors);
    free(bytes);
}

CASE(file_in_pieces_and_flushed, "S3.29", "flush offers files too")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(LONG, 13);
    int file = file_of(bytes, LONG);
    for (size_t done = 0; done < LONG; done += 1000)
        ck_assert_int_eq(berth_socket_write_file(actor->socket, file, done, 1000), 1000);
    ck_assert(berth_socket_flush(actor->socket));
    expect(peer, bytes, LONG);
    UNTIL(actor->written == LONG);
    close(file);
    free(bytes);
}

CASE(file_by_waits, "S4.1", "a program without a loop sends files by blocking waits")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(LONG, 14);
    int file = file_of(bytes, LONG);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 0, SIZE_MAX), LONG);
    close(file);
    uint8_t *heard = malloc(LONG);
    size_t done = 0;
    for (int waits = 0; waits < 1000 && done < LONG; waits++) {
        if (berth_socket_bytes_to_write(actor->socket) > 0)
            (void)berth_socket_wait_for_bytes_written(actor->socket, 1000);
        done += peer_receive_some(peer, heard + done, LONG - done);
    }
    ck_assert_uint_eq(done, LONG);
    ck_assert_mem_eq(heard, bytes, LONG);
    free(heard);
    free(bytes);
}

CASE(long_write_behind_a_file, "S3.27 S3.28", "in order")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(LONG + 10000, 16);
    int file = file_of(bytes, LONG);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 0, SIZE_MAX), LONG);
    ck_assert_int_eq(berth_socket_write(actor->socket, bytes + LONG, 10000), 10000);
    expect(peer, bytes, LONG + 10000);
    close(file);
    free(bytes);
}

static unsigned tasks_run;

static void note_task(void *user)
{
    (void)user;
    tasks_run++;
}

static void post_task(const void *data, size_t size, void *user)
{
    release(data, size, user);
    ck_assert(berth_loop_post(world_loop(), note_task, NULL));
}

CASE(task_posted_by_a_last_release, "S3.27", "runs before the loop is freed")
{
    if (world_is_simulated())
        case_skip("names are looked up on the real network");
    struct actor *actor = actor_new("s");
    uint8_t *bytes = scene_pattern(LONG, 17);
    releases = tasks_run = 0;
    berth_socket_connect_to_host(actor->socket, "localhost", world_listen(5));
    ck_assert_int_eq(berth_socket_state(actor->socket), BERTH_STATE_HOST_LOOKUP);
    ck_assert_int_eq(berth_socket_write_borrowed(actor->socket, bytes, LONG, post_task, &releases),
                     LONG);
    actor_free_socket(actor);
    world_free_loop();
    ck_assert_uint_eq(releases, 1);
    ck_assert_uint_eq(tasks_run, 1);
    free(bytes);
}

CASE(much_of_a_file_by_waits, "S4.1", "a blocking wait goes on when there is room again")
{
    struct peer *peer;
    struct actor *actor = begin(&peer);
    uint8_t *bytes = scene_pattern(8 * VERY_LONG, 14);
    int file = file_of(bytes, 8 * VERY_LONG);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 0, SIZE_MAX), 8 * VERY_LONG);
    close(file);
    uint8_t *heard = malloc(8 * VERY_LONG);
    size_t done = 0;
    for (int waits = 0; waits < 100000 && done < 8 * VERY_LONG; waits++) {
        if (berth_socket_bytes_to_write(actor->socket) > 0)
            (void)berth_socket_wait_for_bytes_written(actor->socket, 1);
        done += peer_receive_some(peer, heard + done, 8 * VERY_LONG - done);
    }
    ck_assert_uint_eq(done, 8 * VERY_LONG);
    ck_assert_mem_eq(heard, bytes, 8 * VERY_LONG);
    free(heard);
    free(bytes);
}

static size_t receive_all(int descriptor, uint8_t *data, size_t most)
{
    size_t done = 0;
    for (ssize_t count; (count = receive(descriptor, data + done, most - done)) > 0;)
        done += (size_t)count;
    return done;
}

static void count_release(const void *data, size_t size, void *user)
{
    (void)data;
    (void)user;
    released += size;
}

CASE(borrowed_beside_input_that_never_ends, "S4.12",
     "is released, though each wait finds input and need not sleep")
{
    enum {
        SIZE = 20000,
        MOST = 20 * SIZE
    };
    static uint8_t bytes[1 << 18];
    struct peer *peer;
    struct actor *actor = begin(&peer);
    for (size_t lent = 0; lent < 10 * (size_t)MOST; lent += SIZE) {
        while (peer_send_some(peer, bytes, sizeof bytes) > 0)
            continue;
        ck_assert_uint_lt(lent - released, MOST);
        ck_assert_int_eq(
            berth_socket_write_borrowed(actor->socket, world_zeros(), SIZE, count_release, NULL),
            SIZE);
        ck_assert(berth_socket_wait_for_ready_read(actor->socket, 5000));
        while (peer_receive_some(peer, bytes, sizeof bytes) > 0)
            continue;
    }
}

CASE(child_goes_on_with_a_file, "reliability 23", "of which the rest waited for room")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    int reader = dial(host->port);
    struct actor *actor = host_take_actor(host, "s");
    uint8_t *bytes = scene_pattern(8 * VERY_LONG, 18);
    uint8_t *heard = malloc(8 * VERY_LONG + 1);
    int file = file_of(bytes, 8 * VERY_LONG);
    ck_assert_int_eq(berth_socket_write_file(actor->socket, file, 0, SIZE_MAX), 8 * VERY_LONG);
    world_settle();
    ck_assert_uint_gt(berth_socket_bytes_to_write(actor->socket), 0);
    pid_t child = begin_child();
    if (child == 0) {
        close(reader);
        MUST(berth_loop_after_fork(world_loop()));
        berth_socket_disconnect_from_host(actor->socket);
        UNTIL(actor->disconnects == 1);
        berth_loop_free(world_loop());
        _exit(0);
    }
    ck_assert_uint_eq(receive_all(reader, heard, 8 * VERY_LONG + 1), 8 * VERY_LONG);
    ck_assert_mem_eq(heard, bytes, 8 * VERY_LONG);
    berth_socket_free(actor->socket);
    end_child(child);
    close(reader);
    close(file);
    free(heard);
    free(bytes);
}

enum {
    RESETS = 200
};

/* In a child, so that it runs beside the sends. */
static void reset_each(uint16_t port)
{
    static uint8_t data[65536];
    const struct linger at_once = {.l_onoff = 1};
    for (int i = 0; i < RESETS; i++) {
        int reader = dial(port);
        shutdown(reader, SHUT_WR);
        for (int reads = i % 16; reads > 0 && read(reader, data, sizeof data) > 0; reads--)
            continue;
        setsockopt(reader, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(reader);
    }
    _exit(0);
}

CASE(resets_inside_a_part_of_a_file, "S3.30", "no SIGPIPE where the call has sent a part")
{
    real_kernel_only();
    struct host *host = host_listening("h");
    uint8_t *bytes = scene_pattern(VERY_LONG, 19);
    int file = file_of(bytes, VERY_LONG);
    pid_t child = begin_child();
    if (child == 0)
        reset_each(host->port);
    for (int i = 0; i < RESETS; i++) {
        struct actor *actor = host_take_actor(host, "s");
        actor->quiet = true;
        berth_socket_set_half_close(actor->socket, true);
        if (berth_socket_write_file(actor->socket, file, 0, SIZE_MAX) > 0)
            berth_socket_flush(actor->socket);
        UNTIL(actor->disconnects == 1);
    }
    end_child(child);
    close(file);
    free(bytes);
}
