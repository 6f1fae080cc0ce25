/*
 * Messages of a hand-over, and what both sides need to speak: who the peer is, and blobs in their
 * form on the way. See handover.h.
 *
 * Nothing here waits: all descriptors are non-blocking. A message is sent whole or not at all, and
 * received whole; one that is longer than any of ours is cut by the kernel, which says so.
 */
#include "handover.h"

#include "base/memory.h"
#include "base/system.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char magic[8] = "berth-ho";

_Static_assert(sizeof(berth__head) == 24, "the same in all processes");

berth__head berth__handover_head(berth__message_kind kind)
{
    berth__head head = {.version = BERTH__HANDOVER_VERSION, .kind = kind};
    memcpy(head.magic, magic, sizeof head.magic);
    return head;
}

bool berth__handover_is_head(const berth__head *head)
{
    return memcmp(head->magic, magic, sizeof magic) == 0;
}

/* ---- sending and receiving ------------------------------------------------------------------- */

typedef union rights {
    char bytes[CMSG_SPACE(sizeof(int) * BERTH__HANDOVER_MOST_PASSED)];
    struct cmsghdr align;
} rights;

int berth__handover_pass(int connection, const berth__head *head, const void *data, size_t size,
                         const int *descriptors)
{
    struct iovec pieces[2] = {{(void *)head, sizeof *head}, {(void *)data, size}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    rights control;
    size_t passed = descriptors != NULL ? sizeof(int) * head->listeners : 0;
    if (passed > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(passed);
        struct cmsghdr *first = CMSG_FIRSTHDR(&message);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(passed);
        memcpy(CMSG_DATA(first), descriptors, passed);
    }
    ssize_t sent;
    do
        sent = BERTH__SYSTEM("sendmsg", sendmsg(connection, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : 0;
}

int berth__handover_send(int connection, const berth__head *head, const void *data, size_t size)
{
    return berth__handover_pass(connection, head, data, size, NULL);
}

/* Those of one control message; more than there is room for are closed. */
static void keep_descriptors(berth__message *message, const struct cmsghdr *header)
{
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int descriptor;
        memcpy(&descriptor, CMSG_DATA(header) + i * sizeof descriptor, sizeof descriptor);
        if (message->count < BERTH__HANDOVER_MOST_PASSED) {
            message->descriptors[message->count++] = descriptor;
            continue;
        }
        (void)close(descriptor);
        message->cut = true;
    }
}

int berth__handover_receive(int connection, berth__message *ret_message)
{
    rights control;
    struct iovec pieces[2] = {{&ret_message->head, sizeof ret_message->head},
                              {ret_message->data, sizeof ret_message->data}};
    struct msghdr message = {.msg_iov = pieces,
                             .msg_iovlen = 2,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t size;
    do
        size = BERTH__SYSTEM("recvmsg",
                             recvmsg(connection, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
    while (size < 0 && errno == EINTR);
    ret_message->count = 0;
    if (size < 0)
        return errno;
    ret_message->cut = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    for (; header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
            keep_descriptors(ret_message, header);
    }
    if (size == 0 && ret_message->count == 0)
        return ENOTCONN; /* an empty message may have descriptors, the end has none */
    if ((size_t)size < sizeof ret_message->head || !berth__handover_is_head(&ret_message->head)) {
        berth__handover_close_received(ret_message);
        return EPROTO;
    }
    ret_message->size = (size_t)size - sizeof ret_message->head;
    return 0;
}

void berth__handover_close_received(berth__message *message)
{
    while (message->count > 0)
        (void)close(message->descriptors[--message->count]);
}

/* ---- the peer -------------------------------------------------------------------------------- */

bool berth__handover_peer(int connection, struct ucred *ret_peer)
{
    socklen_t size = sizeof *ret_peer;
    return BERTH__SYSTEM("getsockopt",
                         getsockopt(connection, SOL_SOCKET, SO_PEERCRED, ret_peer, &size)) == 0;
}

/* ---- blobs ----------------------------------------------------------------------------------- */

uint8_t *berth__blob_put(uint8_t *place, const char *name, const void *bytes, size_t size)
{
    uint32_t sizes[2] = {(uint32_t)strlen(name), (uint32_t)size};
    _Static_assert(sizeof sizes == BERTH__BLOB_HEAD, "two sizes");
    memcpy(place, sizes, sizeof sizes);
    place += sizeof sizes;
    memcpy(place, name, sizes[0]);
    place += sizes[0];
    if (size > 0)
        memcpy(place, bytes, size);
    return place + size;
}

bool berth__blob_at(const uint8_t *place, const uint8_t *end, berth__blob_view *ret_view)
{
    uint32_t sizes[2];
    size_t left = (size_t)(end - place);
    if (left < sizeof sizes)
        return false;
    memcpy(sizes, place, sizeof sizes);
    left -= sizeof sizes;
    if (sizes[0] > BERTH_MOST_INHERITED_NAME || sizes[0] > left || sizes[1] > left - sizes[0])
        return false;
    ret_view->name = (const char *)place + sizeof sizes;
    ret_view->name_size = sizes[0];
    ret_view->bytes = place + sizeof sizes + sizes[0];
    ret_view->size = sizes[1];
    ret_view->next = ret_view->bytes + sizes[1];
    return true;
}

void berth__release_secret(void *bytes, size_t size)
{
    if (bytes != NULL)
        explicit_bzero(bytes, size);
    berth__release(bytes);
}
