/*
 * The messages of a hand-over, in both directions: from an old process that lies, from a successor
 * that lies, and from one of ours to another.
 *
 * The first byte says which, the rest is the input. What is checked: descriptors that are passed
 * are the write end of a pipe, which has to be closed by everybody at the end; no number is closed
 * that is not open, none is left open; and a parcel that was packed is the same when it was read.
 *
 * A message of the input is
 *
 *     flags, and with 0x80 the rest of it as it is: 1 byte; descriptors with it: 1; size of data: 1
 *     else the kind is in the flags; listeners: 1 or 2 (0x20) bytes; blobs' bytes: 1 or 2 (0x40)
 *     the data
 *
 * The old process's messages are all there, and it has ended, before its successor asks.
 */
#include "check.h"

#include "daemon/handover.h"

#include <berth/local.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    MOST_PASSED = 253,
    WINDOW = 24 /* numbers above the first that is free that are looked at */
};

static struct {
    const uint8_t *data;
    size_t left;
} input;

static uint8_t take_byte(void)
{
    if (input.left == 0)
        return 0;
    input.left--;
    return *input.data++;
}

static const uint8_t *take_bytes(size_t *size)
{
    const uint8_t *bytes = input.data;
    *size = *size < input.left ? *size : input.left;
    input.data += *size;
    input.left -= *size;
    return bytes;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

/* In place of the C library's. */
int close(int descriptor) /* NOLINT(readability-inconsistent-declaration-parameter-name) */
{
    int closed = (int)syscall(SYS_close, descriptor);
    CHECK(closed == 0 || errno == EINTR);
    return closed;
}

static int given = -1; /* the next socket of a hand-over that is made is this one, connected */

int socket(int domain, /* NOLINT(readability-inconsistent-declaration-parameter-name) */
           int type, int protocol)
{
    int descriptor = given;
    given = -1;
    return descriptor >= 0 ? descriptor : (int)syscall(SYS_socket, domain, type, protocol);
}

static int connected = -1;

int connect(int descriptor, /* NOLINT(readability-inconsistent-declaration-parameter-name) */
            const struct sockaddr *name, socklen_t size)
{
    return descriptor == connected ? 0 : (int)syscall(SYS_connect, descriptor, name, size);
}

static int first_free(void)
{
    int descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(descriptor >= 0);
    close(descriptor);
    return descriptor;
}

static uint32_t open_from(int first)
{
    uint32_t open = 0;
    for (int i = 0; i < WINDOW; i++)
        open |= (uint32_t)(fcntl(first + i, F_GETFD) >= 0) << i;
    return open;
}

static int ends[2]; /* the second is what is passed */

/* Whether all that was passed is closed again. */
static void assert_none_left(void)
{
    close(ends[1]);
    struct pollfd asked = {.fd = ends[0], .events = POLLIN};
    CHECK(poll(&asked, 1, 0) == 1 && (asked.revents & POLLHUP) != 0);
    close(ends[0]);
}

static void make_pair(int pair[2])
{
    const int room = 4 << 20;
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    (void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

/* ---- messages of the input ------------------------------------------------------------------- */

static void pass(int connection, const void *bytes, size_t size, size_t count)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * MOST_PASSED)];
        struct cmsghdr align;
    } control;
    struct iovec piece = {(void *)bytes, size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    memset(&control, 0, sizeof control);
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        for (size_t i = 0; i < count; i++)
            memcpy(CMSG_DATA(header) + i * sizeof(int), &ends[1], sizeof(int));
    }
    (void)sendmsg(connection, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static uint32_t take_number(bool two)
{
    uint32_t number = take_byte();
    return two ? number << 8 | take_byte() : number;
}

static void send_next(int connection)
{
    struct {
        berth__head head;
        uint8_t data[256];
    } message;
    uint8_t flags = take_byte();
    size_t count = take_byte();
    size_t size = take_byte();
    count = count < MOST_PASSED ? count : MOST_PASSED;
    if (flags & 0x80) {
        const uint8_t *bytes = take_bytes(&size);
        pass(connection, bytes, size, count);
        return;
    }
    message.head = berth__handover_head((berth__message_kind)(flags & 0xf));
    message.head.version += flags >> 4 & 1u;
    message.head.listeners = take_number((flags & 0x20) != 0);
    message.head.bytes = take_number((flags & 0x40) != 0);
    const uint8_t *bytes = take_bytes(&size);
    memcpy(message.data, bytes, size);
    pass(connection, &message, sizeof message.head + size, count);
}

/* ---- an old process that lies ---------------------------------------------------------------- */

static berth_inheritance *take_from(int pair[2])
{
    char text[300];
    close(pair[1]);
    given = connected = pair[0];
    berth_inheritance *inheritance = berth_handover_take("@fuzz", 0, text, sizeof text);
    CHECK(given == -1 && (inheritance == NULL) == (text[0] != '\0'));
    connected = -1;
    return inheritance;
}

static void end_inheritance(berth_inheritance *inheritance, bool ready)
{
    if (inheritance != NULL && ready)
        (void)berth_handover_ready(inheritance);
    berth_inheritance_free(inheritance);
    berth__inherited_forget();
}

static void hear_old(bool ready, bool takes)
{
    int pair[2];
    make_pair(pair);
    while (input.left > 0)
        send_next(pair[1]);
    berth_inheritance *inheritance = take_from(pair);
    int taken = takes && inheritance != NULL ? berth_inherited_take("") : -1;
    size_t size = 1;
    CHECK(inheritance == NULL || berth_inheritance_blob(inheritance, "\xff", &size) != NULL ||
          size == 0);
    end_inheritance(inheritance, ready);
    if (taken >= 0)
        close(taken);
}

/* ---- from one of ours to another ------------------------------------------------------------- */

static void take_name(char *name)
{
    size_t size = take_byte();
    const uint8_t *bytes = take_bytes(&size);
    for (size_t i = 0; i < size; i++)
        name[i] = (char)(bytes[i] != 0 ? bytes[i] : 1);
    name[size] = '\0';
}

static void compare(const berth_inheritance *inheritance, const berth__batch *batch,
                    const berth__blob *blobs)
{
    CHECK(inheritance != NULL && berth_inherited_count() == batch->count);
    for (size_t i = 0; i < batch->count; i++)
        CHECK(strcmp(berth_inherited_name(i), batch->passed[i].name) == 0);
    CHECK(berth_inherited_left("") == batch->count);
    for (const berth__blob *blob = blobs; blob != NULL; blob = blob->next) {
        size_t size = 0;
        const void *bytes = berth_inheritance_blob(inheritance, blob->name, &size);
        CHECK(bytes != NULL && size == blob->size && memcmp(bytes, blob->bytes, size) == 0);
    }
}

/* In a hand-over that was not offered, but has blobs. Those of one name count once. */
static void take_blobs(berth_handover *handover, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        berth__blob *blob = calloc(1, sizeof *blob);
        CHECK(blob != NULL);
        take_name(blob->name);
        size_t times = take_byte();
        size_t size = take_byte();
        const uint8_t *bytes = take_bytes(&size);
        blob->size = size * times;
        blob->bytes = malloc(blob->size > 0 ? blob->size : 1);
        CHECK(blob->bytes != NULL);
        for (size_t j = 0; j < times; j++)
            memcpy((char *)blob->bytes + j * size, bytes, size);
        berth__blob **end = &handover->blobs;
        while (*end != NULL && strcmp((*end)->name, blob->name) != 0)
            end = &(*end)->next;
        if (*end != NULL) {
            free(blob->bytes);
            free(blob);
        } else {
            *end = blob;
        }
    }
}

static void pack_and_read(bool ready)
{
    static berth_handover handover;
    berth__parcel parcel = {0};
    size_t count = take_byte() * (size_t)(take_byte() % 3u + 1);
    unsigned blobs = take_byte() % 8u;
    int pair[2];
    make_pair(pair);
    take_blobs(&handover, blobs);
    CHECK(berth__parcel_pack(&parcel, &handover) == 0);
    berth__batch *kept = berth__batch_new(count); /* the names, to compare with */
    berth__batch_drop(parcel.listeners);
    parcel.listeners = berth__batch_new(count);
    CHECK(kept != NULL && parcel.listeners != NULL);
    char name[BERTH_MOST_INHERITED_NAME + 1];
    for (size_t i = 0; i < count; i++) {
        int copy = fcntl(ends[1], F_DUPFD_CLOEXEC, 0);
        CHECK(copy >= 0);
        take_name(name);
        berth__batch_set(kept, i, -1, name, strlen(name));
        berth__batch_set(parcel.listeners, i, copy, name, strlen(name));
    }
    berth__head head = berth__handover_head(BERTH__MESSAGE_CONTENTS);
    head.listeners = (uint32_t)count;
    head.bytes = (uint32_t)parcel.size;
    CHECK(berth__handover_send(pair[1], &head, NULL, 0) == 0);
    int error = 0;
    while (error == 0 && !berth__parcel_is_empty(&parcel))
        error = berth__parcel_send(&parcel, pair[1]);
    CHECK(error == 0 || error == EAGAIN); /* more than the socket takes at once */
    berth_inheritance *inheritance = take_from(pair);
    if (error == 0)
        compare(inheritance, kept, handover.blobs);
    end_inheritance(inheritance, ready);
    berth__parcel_clear(&parcel);
    berth__batch_drop(kept);
    while (handover.blobs != NULL) {
        berth__blob *blob = handover.blobs;
        handover.blobs = blob->next;
        free(blob->bytes);
        free(blob);
    }
}

/* ---- a successor that lies ------------------------------------------------------------------- */

static void hear_answers(int connection)
{
    static berth__message message;
    while (berth__handover_receive(connection, &message) == 0)
        berth__handover_close_received(&message);
}

static void hear_successor(void)
{
    static berth_loop *loop;
    char place[64];
    char path[64];
    struct sockaddr_un name;
    socklen_t size;
    if (loop == NULL)
        loop = berth_loop_new(&(berth_loop_options){.backend = "epoll"});
    CHECK(loop != NULL);
    snprintf(place, sizeof place, "@berth-fuzz-%d", (int)getpid());
    snprintf(path, sizeof path, "@berth-fuzz-%d-server", (int)getpid());
    berth_handover *handover = berth_handover_offer(loop, place, NULL, NULL);
    berth_server *server = berth_server_new(loop, NULL, NULL);
    CHECK(handover != NULL && server != NULL);
    CHECK(berth_server_listen_local(server, path, NULL));
    CHECK(berth_handover_add(handover, "http", server));
    CHECK(berth_handover_add_blob(handover, "keys", "secret", 6));
    int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(berth__local_address(place, &name, &size) == 0);
    CHECK(connect(connection, (struct sockaddr *)&name, size) == 0);
    while (input.left > 0) {
        send_next(connection);
        (void)berth_loop_turn(loop, 0);
        hear_answers(connection);
    }
    close(connection);
    for (int i = 0; i < 4; i++)
        (void)berth_loop_turn(loop, 0);
    berth_handover_state state = berth_handover_current_state(handover);
    CHECK(state == BERTH_HANDOVER_OFFERED || state == BERTH_HANDOVER_SUCCEEDED);
    CHECK(berth_server_is_listening(server));
    berth_handover_free(handover);
    berth_server_free(server);
    for (int i = 0; i < 2; i++)
        (void)berth_loop_turn(loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_warm;
    input.data = data;
    input.left = size;
    if (!is_warm) {
        is_warm = true; /* the loop and the list of the environment stay */
        (void)berth_inherited_count();
        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        hear_successor();
        assert_none_left();
        input.data = data;
        input.left = size;
    }
    int first = first_free();
    uint32_t open = open_from(first);
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    uint8_t mode = take_byte();
    if (mode % 4 == 0)
        hear_successor();
    else if (mode % 4 == 1)
        pack_and_read((mode & 4) != 0);
    else
        hear_old((mode & 4) != 0, (mode & 8) != 0);
    assert_none_left();
    CHECK(first_free() == first && open_from(first) == open);
    return 0;
}
