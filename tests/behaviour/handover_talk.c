#include "handover_talk.h"

#include "world.h"

#include "base/local_name.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *talk_place(void)
{
    static char place[64];
    if (place[0] == '\0')
        snprintf(place, sizeof place, "@berth-handover-%d", (int)getpid());
    return place;
}

static int open_socket(const char *place, struct sockaddr_un *ret_name, socklen_t *ret_size)
{
    if (berth__local_address(place, ret_name, ret_size) != 0)
        return -1;
    return world_note(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
}

int talk_connect(const char *place)
{
    struct sockaddr_un name;
    socklen_t size;
    int descriptor = open_socket(place, &name, &size);
    if (descriptor >= 0 && connect(descriptor, (struct sockaddr *)&name, size) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

int talk_listen(const char *place)
{
    struct sockaddr_un name;
    socklen_t size;
    int descriptor = open_socket(place, &name, &size);
    if (descriptor >= 0 && bind(descriptor, (struct sockaddr *)&name, size) == 0 &&
        listen(descriptor, 4) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

bool talk_say(int connection, berth__message_kind kind)
{
    berth__head head = berth__handover_head(kind);
    return talk_send(connection, &head, sizeof head);
}

bool talk_send(int connection, const void *bytes, size_t size)
{
    return send(connection, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

bool talk_pass(int connection, const void *bytes, size_t size, const int *descriptors, size_t count)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * BERTH__HANDOVER_MOST_PASSED)];
        struct cmsghdr align;
    } control;
    memset(&control, 0, sizeof control);
    struct iovec piece = {(void *)bytes, size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes};
    message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
    return sendmsg(connection, &message, MSG_NOSIGNAL) == (ssize_t)size;
}

/* Returns an errno; waits for a while. */
static int hear(int connection, berth__message *message)
{
    int error;
    int resets = 0;
    do {
        struct pollfd wanted = {.fd = connection, .events = POLLIN};
        if (poll(&wanted, 1, 20000) <= 0)
            return ETIMEDOUT;
        error = berth__handover_receive(connection, message);
    } while (error == EAGAIN || (error == ECONNRESET && resets++ == 0));
    return error;
}

bool talk_hears(int connection, berth__message_kind kind, berth__message *ret_message)
{
    static berth__message unwanted;
    berth__message *message = ret_message != NULL ? ret_message : &unwanted;
    int error = hear(connection, message);
    if (error != 0 || message->head.kind != kind) {
        fprintf(stderr, "message %d (%s) in place of %d\n",
                error == 0 ? (int)message->head.kind : 0, strerror(error), (int)kind);
        return false;
    }
    for (size_t i = 0; i < message->count; i++)
        close(message->descriptors[i]);
    if (message->size < sizeof message->data)
        message->data[message->size] = '\0';
    return true;
}

bool talk_ends(int connection)
{
    static berth__message message;
    int error = hear(connection, &message);
    return error == ENOTCONN || error == ECONNRESET;
}
