/*
 * Connections in the core's own hand, in the simulated kernel: dial, dialled, take, put; chunks and
 * files that are sent, and a send in flight that the core asks for; and what can be asked of a
 * descriptor.
 *
 * The same ends as those of streams, without a stream: an end in a descriptor's entry that nobody
 * has adopted. Chance cuts what is taken and put, as it does for streams; looking without taking
 * always shows all, as the kernel does.
 */
#include "sim_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/system.h"

void berth__kernel_set_options(berth__sim_end *end, const berth__options *options)
{
    for (unsigned which = 0; options != NULL && which < BERTH__OPTIONS; which++) {
        if ((options->set >> which & 1) != 0)
            berth__kernel_set_option(end, (berth_socket_option)which, options->values[which]);
    }
}

int berth__sim_dial(berth__backend *backend, const berth_address *address, uint16_t port,
                    const berth__options *options, int *ret_descriptor)
{
    berth__kernel *kernel = kernel_of(backend);
    if (address->family == BERTH_ADDRESS_FAMILY_NULL)
        return EINVAL;
    if (berth__kernel_at_limit(kernel))
        return EMFILE;
    if (!berth__kernel_is_ours(address))
        return ENETUNREACH;
    berth__sim_end *end = berth__kernel_connect(kernel, address, port);
    berth__kernel_set_options(end, options);
    *ret_descriptor = berth__kernel_open_entry(kernel, ENTRY_END);
    berth__kernel_entry_of(kernel, *ret_descriptor)->of.end = end;
    return 0;
}

static berth__sim_end *end_of(berth__backend *backend, int descriptor)
{
    berth__kernel_entry *entry = berth__kernel_entry_of(kernel_of(backend), descriptor);
    return entry != NULL && entry->kind == ENTRY_END ? entry->of.end : NULL;
}

int berth__sim_dialled(berth__backend *backend, int descriptor)
{
    const berth__sim_end *end = end_of(backend, descriptor);
    return end != NULL ? end->connect_error : EBADF;
}

ptrdiff_t berth__sim_take(berth__backend *backend, int descriptor, void *data, size_t size,
                          bool keep)
{
    berth__sim_end *end = end_of(backend, descriptor);
    if (end == NULL)
        return -EBADF;
    if (end->input.size == 0)
        return berth__kernel_readable(end) ? -berth__kernel_end_of_input(end) : -EAGAIN;
    size_t count = size < end->input.size ? size : end->input.size;
    if (!keep) {
        count = berth__kernel_portion(kernel_of(backend), count);
        berth__kernel_get(end, data, count);
        return (ptrdiff_t)count;
    }
    berth__kernel_look(end, data, count);
    return (ptrdiff_t)count;
}

/* Several pieces as one write, of which the kernel takes a part. */
typedef struct gathered {
    berth__sim_end *end;
    bool more; /* behind the last */
    size_t done;
    ptrdiff_t result; /* of the last piece */
} gathered;

/* Returns whether there may be another piece. */
static bool put_piece(gathered *all, const void *data, size_t size, bool last)
{
    all->result = berth__kernel_write(all->end, data, size, !last || all->more);
    if (all->result > 0)
        all->done += (size_t)all->result;
    return all->result == (ptrdiff_t)size;
}

/* Files are real ones, and are read before there is room for their bytes. */
static bool put_file(gathered *all, const berth__chunk *chunk, size_t size)
{
    static _Thread_local char bytes[BERTH__FILE_BUDGET];
    size = size < sizeof bytes ? size : sizeof bytes;
    ssize_t count = berth__fault_system("sendfile")
                        ? -1
                        : pread(chunk->file, bytes, size, (off_t)(chunk->offset + chunk->start));
    if (count > 0)
        return put_piece(all, bytes, (size_t)count, true);
    all->result = count == 0 ? -ENODATA : errno == EBADF || errno == EINVAL ? -EIO : -errno;
    return false;
}

ptrdiff_t berth__sim_put(berth__backend *backend, int descriptor, const berth_piece *pieces,
                         size_t count)
{
    gathered all = {.end = end_of(backend, descriptor)};
    if (all.end == NULL)
        return -EBADF;
    for (size_t i = 0; i < count; i++) {
        if (!put_piece(&all, pieces[i].data, pieces[i].size, i + 1 == count))
            break;
    }
    return all.done > 0 ? (ptrdiff_t)all.done : all.result;
}

ptrdiff_t berth__sim_take_chunks(berth__sim_end *end, const berth__chunk *first, size_t size)
{
    gathered all = {.end = end, .more = end->more};
    for (const berth__chunk *chunk = first; size > 0; chunk = chunk->next) {
        size_t here = chunk->end - chunk->start;
        here = here < size ? here : size;
        size -= here;
        if (chunk->bytes == NULL) {
            (void)put_file(&all, chunk, here);
            break;
        }
        if (!put_piece(&all, chunk->bytes + chunk->start, here, size == 0))
            break;
    }
    return all.done > 0 ? (ptrdiff_t)all.done : all.result;
}

ptrdiff_t berth__sim_put_chunks(berth__backend *backend, int descriptor, const berth__chunk *first,
                                size_t size)
{
    berth__sim_end *end = end_of(backend, descriptor);
    if (end == NULL)
        return -EBADF;
    end->more = false;
    return berth__sim_take_chunks(end, first, size);
}

ptrdiff_t berth__sim_read_file(berth__backend *backend, int descriptor, void *data, size_t size,
                               uint64_t offset)
{
    (void)backend;
    if (berth__fault_system("pread"))
        return -errno;
    ssize_t got = pread(descriptor, data, size, (off_t)offset);
    return got < 0 ? -errno : got;
}

int berth__sim_open_file(berth__backend *backend, int descriptor, uint64_t *ret_size)
{
    (void)backend;
    struct stat status;
    if (berth__fault_system("fstat") || fstat(descriptor, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -ESPIPE;
    *ret_size = (uint64_t)status.st_size;
    if (berth__fault_system("fcntl"))
        return -errno;
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : copy;
}

void berth__sim_close_file(berth__backend *backend, int descriptor)
{
    (void)close(descriptor);
    if (backend->descriptor_closed != NULL)
        backend->descriptor_closed(backend->core);
}

ptrdiff_t berth__sim_finish_send(berth__backend *backend, berth__stream *stream)
{
    if (!(stream->ready.pending & BERTH__READY_SENT)) {
        berth__sim_end *end = stream->own.connection;
        if (stream->size == 0)
            return 0;
        ptrdiff_t result = berth__sim_take_chunks(end, stream->output, stream->size);
        if (result == -EAGAIN)
            return 0;
        stream->ready.result = (int32_t)result;
        stream->output = NULL;
    }
    stream->ready.pending &= (uint8_t)~BERTH__READY_SENT;
    stream->sending = false;
    kernel_of(backend)->events++;
    return stream->ready.result;
}

/* ---- questions ------------------------------------------------------------------------------- */

int berth__sim_name_of(berth__backend *backend, int descriptor, berth__side side,
                       berth_address *ret_address, uint16_t *ret_port)
{
    if (berth__fault_system(side == BERTH__PEER ? "getpeername" : "getsockname"))
        return errno;
    berth__kernel_entry *entry = berth__kernel_entry_of(kernel_of(backend), descriptor);
    if (entry == NULL)
        return berth__kernel_not_ours(descriptor);
    if (entry->kind == ENTRY_PORT && side == BERTH__LOCAL) {
        *ret_address = entry->of.port->address;
        *ret_port = entry->of.port->number;
        return 0;
    }
    if (entry->kind != ENTRY_END)
        return entry->kind == ENTRY_EVENT ? ENOTSOCK : ENOTCONN;
    const berth__sim_end *end = entry->of.end;
    if (side == BERTH__PEER && !end->established)
        return ENOTCONN;
    *ret_address = side == BERTH__PEER ? end->peer_address : end->local_address;
    *ret_port = side == BERTH__PEER ? end->peer_port : end->local_port;
    return 0;
}

/* Options are kept; those of buffers and of lingering have their effect. */
int berth__sim_option(berth__backend *backend, int descriptor, berth_socket_option which,
                      int *value, bool set)
{
    berth__kernel_entry *entry = berth__kernel_entry_of(kernel_of(backend), descriptor);
    if (entry == NULL)
        return berth__kernel_not_ours(descriptor);
    if (entry->kind != ENTRY_END)
        return ENOTSOCK;
    if ((unsigned)which >= BERTH__OPTIONS || (set && *value < 0 && which != BERTH_OPTION_LINGER))
        return EINVAL;
    berth__sim_end *end = entry->of.end;
    if (end->local && which != BERTH_OPTION_KEEP_ALIVE && which != BERTH_OPTION_SEND_BUFFER_SIZE &&
        which != BERTH_OPTION_RECEIVE_BUFFER_SIZE && which != BERTH_OPTION_LINGER)
        return EOPNOTSUPP;
    if (set)
        berth__kernel_set_option(end, which, *value);
    else
        *value = end->options[which];
    return 0;
}
