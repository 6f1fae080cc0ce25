/*
 * What is put together for a successor: copies of the descriptors that servers and pools listen on
 * at that moment, and the bytes of all blobs. See handover.h.
 *
 * Copies are made because pools listen on threads of their own: their descriptors may be closed
 * while the successor is asking for its next message. They are closed when the last one is on its
 * way, or when the successor fails.
 */
#include "handover.h"

#include "base/memory.h"
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* ---- listeners ------------------------------------------------------------------------------- */

/* Each copies what is listened on behind what is in the batch already, if there is one, and counts
 * it in any case; returns an errno. */
static int pack_server(const berth__offered *offered, berth__batch *batch, size_t *count)
{
    const berth_server *server = offered->server.server;
    const berth__listener *listener = server != NULL ? server->listener : NULL;
    for (; listener != NULL; listener = listener->other) {
        if (batch != NULL) {
            if (*count == batch->count)
                return EAGAIN; /* a pool before it has taken the room */
            int copy = BERTH__SYSTEM("fcntl", fcntl(listener->descriptor, F_DUPFD_CLOEXEC, 0));
            if (copy < 0)
                return errno;
            berth__batch_set(batch, *count, copy, offered->name, strlen(offered->name));
        }
        ++*count;
    }
    return 0;
}

/* Its workers may begin or end to listen between counting and copying; then the successor is to try
 * again. */
static int pack_workers(const berth__offered *offered, berth__batch *batch, size_t *count)
{
    size_t room = batch != NULL ? batch->count - *count : 0;
    size_t found = 0;
    int *copies = berth__allocate((room > 0 ? room : 1) * sizeof *copies);
    if (copies == NULL)
        return ENOMEM;
    bool copied = berth_workers_descriptors(offered->pool.workers, copies, room, &found);
    int error = copied ? 0 : errno;
    if (batch == NULL && error == ERANGE)
        error = 0;
    for (size_t i = 0; copied && i < found && batch != NULL; i++)
        berth__batch_set(batch, *count + i, copies[i], offered->name, strlen(offered->name));
    berth__release(copies);
    *count += found;
    return error == ERANGE ? EAGAIN : error;
}

/* Returns an errno. */
static int pack_all(const berth_handover *handover, berth__batch *batch, size_t *ret_count)
{
    *ret_count = 0;
    int error = 0;
    const berth__offered *offered = handover->offered;
    for (; offered != NULL && error == 0; offered = offered->next)
        error = offered->pool.workers != NULL ? pack_workers(offered, batch, ret_count)
                                              : pack_server(offered, batch, ret_count);
    return error;
}

static int pack_listeners(berth__parcel *parcel, const berth_handover *handover)
{
    size_t count;
    int error = pack_all(handover, NULL, &count);
    if (error != 0)
        return error;
    if (count > BERTH_MOST_INHERITED)
        return E2BIG;
    parcel->listeners = berth__batch_new(count);
    if (parcel->listeners == NULL)
        return ENOMEM;
    error = pack_all(handover, parcel->listeners, &count);
    if (error == 0)
        parcel->listeners->count = count;
    return error;
}

/* ---- blobs ----------------------------------------------------------------------------------- */

size_t berth__blobs_size(const berth__blob *first)
{
    size_t size = 0;
    for (const berth__blob *blob = first; blob != NULL; blob = blob->next)
        size += BERTH__BLOB_HEAD + strlen(blob->name) + blob->size;
    return size;
}

static int pack_blobs(berth__parcel *parcel, const berth_handover *handover)
{
    size_t size = berth__blobs_size(handover->blobs);
    if (size == 0)
        return 0;
    parcel->bytes = berth__allocate(size);
    if (parcel->bytes == NULL)
        return ENOMEM;
    parcel->size = size;
    uint8_t *place = parcel->bytes;
    for (const berth__blob *blob = handover->blobs; blob != NULL; blob = blob->next)
        place = berth__blob_put(place, blob->name, blob->bytes, blob->size);
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

int berth__parcel_pack(berth__parcel *parcel, const berth_handover *handover)
{
    berth__parcel_clear(parcel);
    int error = pack_listeners(parcel, handover);
    if (error == 0)
        error = pack_blobs(parcel, handover);
    if (error != 0)
        berth__parcel_clear(parcel);
    return error;
}

void berth__parcel_clear(berth__parcel *parcel)
{
    berth__batch_drop(parcel->listeners);
    berth__release_secret(parcel->bytes, parcel->size);
    *parcel = (berth__parcel){0};
}

static int send_listeners(berth__parcel *parcel, int connection)
{
    berth__batch *batch = parcel->listeners;
    berth__head head = berth__handover_head(BERTH__MESSAGE_LISTENERS);
    char *names = berth__allocate(BERTH__HANDOVER_MOST_DATA);
    if (names == NULL)
        return ENOMEM;
    int descriptors[BERTH__HANDOVER_MOST_PASSED];
    size_t size = 0;
    size_t index = parcel->passed;
    while (index < batch->count && head.listeners < BERTH__HANDOVER_MOST_PASSED) {
        const berth__passed *passed = &batch->passed[index++];
        descriptors[head.listeners++] = passed->number;
        size_t more = strlen(passed->name) + 1;
        memcpy(names + size, passed->name, more);
        size += more;
    }
    int error = berth__handover_pass(connection, &head, names, size, descriptors);
    berth__release(names);
    if (error != 0)
        return error;
    parcel->passed = index;
    if (index == batch->count)
        berth__batch_close(batch);
    return 0;
}

static int send_bytes(berth__parcel *parcel, int connection)
{
    berth__head head = berth__handover_head(BERTH__MESSAGE_BLOBS);
    size_t left = parcel->size - parcel->sent;
    size_t size = left < BERTH__HANDOVER_PIECE ? left : BERTH__HANDOVER_PIECE;
    int error = berth__handover_send(connection, &head, parcel->bytes + parcel->sent, size);
    if (error == 0)
        parcel->sent += size;
    return error;
}

int berth__parcel_send(berth__parcel *parcel, int connection)
{
    if (berth__parcel_is_empty(parcel))
        return ENODATA;
    return parcel->passed < parcel->listeners->count ? send_listeners(parcel, connection)
                                                     : send_bytes(parcel, connection);
}
