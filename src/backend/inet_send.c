/*
 * Sending without waiting, for both kernel backends: chunks of output, pieces, and parts of files.
 *
 * The bytes of one chunk go by send, those of several by sendmsg, and a file by sendfile, together
 * with what lies before it. A file is sent from a copy of its descriptor, which is opened and
 * checked here.
 *
 * Failures are negative errno values, -EAGAIN where there is no room. A file that ends before its
 * bytes is ENODATA, one that cannot be read EIO.
 */
#include "inet.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/system.h"

/* Errno, negative, of a send. */
BERTH__RARE static ptrdiff_t failure(int descriptor)
{
    int error = errno;
    if (error == EPIPE)
        berth__inet_cut_input(descriptor);
    return -error;
}

static inline ptrdiff_t send_bytes(int descriptor, const void *data, size_t size, int flags)
{
    ssize_t count;
    do {
        count = BERTH__SYSTEM("send", send(descriptor, data, size, flags));
    } while (count < 0 && errno == EINTR);
    return count < 0 ? failure(descriptor) : count;
}

static ptrdiff_t send_pieces(int descriptor, struct iovec *pieces, size_t number, int flags)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = number};
    ssize_t count;
    do {
        count = BERTH__SYSTEM("sendmsg", sendmsg(descriptor, &message, flags));
    } while (count < 0 && errno == EINTR);
    return count < 0 ? failure(descriptor) : count;
}

unsigned berth__inet_pieces(const berth__chunk *first, size_t size,
                            struct iovec pieces[BERTH__INET_PIECES])
{
    unsigned count = 0;
    for (const berth__chunk *chunk = first;
         size > 0 && count < BERTH__INET_PIECES && chunk->bytes != NULL; chunk = chunk->next) {
        size_t here = chunk->end - chunk->start;
        here = here < size ? here : size;
        pieces[count++] = (struct iovec){chunk->bytes + chunk->start, here};
        size -= here;
    }
    return count;
}

bool berth__inet_has_file(const berth__chunk *first, size_t size)
{
    unsigned count = 0;
    for (const berth__chunk *chunk = first; size > 0 && count <= BERTH__INET_PIECES;
         chunk = chunk->next, count++) {
        size_t here = chunk->end - chunk->start;
        if (chunk->bytes == NULL)
            return true;
        size -= here < size ? here : size;
    }
    return false;
}

/* sendfile has no MSG_NOSIGNAL, so SIGPIPE is blocked meanwhile, and taken if it came of this call:
 * also of one that returns a part, since the kernel sends that in several. */
static ssize_t send_file_quietly(int descriptor, int file, off_t *offset, size_t size)
{
    static const struct timespec at_once = {0};
    sigset_t pipe, mask, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe, &mask);
    sigemptyset(&pending);
    if (sigismember(&mask, SIGPIPE))
        (void)sigpending(&pending);
    ssize_t count = BERTH__SYSTEM("sendfile", sendfile(descriptor, file, offset, size));
    int error = errno;
    bool may_be_raised = count < 0 ? error == EPIPE : (size_t)count < size;
    if (may_be_raised && !sigismember(&pending, SIGPIPE))
        (void)sigtimedwait(&pipe, NULL, &at_once);
    (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
    errno = error;
    return count;
}

/* sendfile has no flag for not waiting, so the descriptor must not wait for that time. With
 * io_uring one that never does would have its receives end at once. */
static ptrdiff_t send_file(int descriptor, const berth__chunk *chunk, size_t size)
{
    size_t here = chunk->end - chunk->start;
    off_t offset = (off_t)(chunk->offset + chunk->start);
    int modes = BERTH__SYSTEM("fcntl", fcntl(descriptor, F_GETFL));
    if (modes < 0)
        return -errno;
    bool waits = !(modes & O_NONBLOCK);
    ssize_t count;
    here = here < size ? here : size;
    here = here < BERTH__FILE_BUDGET ? here : BERTH__FILE_BUDGET;
    if (waits && BERTH__SYSTEM("fcntl", fcntl(descriptor, F_SETFL, modes | O_NONBLOCK)) < 0)
        return -errno;
    do {
        count = send_file_quietly(descriptor, chunk->file, &offset, here);
    } while (count < 0 && errno == EINTR);
    int error = count < 0 ? errno : ENODATA;
    if (error == EPIPE)
        berth__inet_cut_input(descriptor);
    if (waits)
        (void)BERTH__SYSTEM("fcntl", fcntl(descriptor, F_SETFL, modes));
    /* It is open for writing only, or of a kind that sendfile cannot read. */
    if (error == EBADF || error == EINVAL)
        error = EIO;
    return count > 0 ? count : -error;
}

/* What lies before a file goes with its first bytes. */
static ptrdiff_t send_before_file(int descriptor, struct iovec *pieces, unsigned count,
                                  const berth__chunk *file, size_t size)
{
    size_t before = 0;
    for (unsigned i = 0; i < count; i++)
        before += pieces[i].iov_len;
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (size > before ? MSG_MORE : 0);
    ptrdiff_t sent = send_pieces(descriptor, pieces, count, flags);
    if (sent != (ptrdiff_t)before || size == before)
        return sent;
    ptrdiff_t more = send_file(descriptor, file, size - before);
    return more > 0 ? sent + more : sent; /* an error comes again */
}

/* More than the bytes of the first chunk, or a file. */
BERTH__RARE static ptrdiff_t send_chunks(int descriptor, const berth__chunk *first, size_t size,
                                         int flags)
{
    if (first->bytes == NULL)
        return send_file(descriptor, first, size);
    struct iovec pieces[BERTH__INET_PIECES];
    unsigned count = berth__inet_pieces(first, size, pieces);
    const berth__chunk *behind = first;
    for (unsigned i = 0; i < count; i++)
        behind = behind->next;
    if (behind != NULL && behind->bytes == NULL)
        return send_before_file(descriptor, pieces, count, behind, size);
    return send_pieces(descriptor, pieces, count, flags);
}

ptrdiff_t berth__inet_send(int descriptor, const berth__chunk *first, size_t size, bool more)
{
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    if (first->bytes == NULL || size > first->end - first->start)
        return send_chunks(descriptor, first, size, flags);
    return send_bytes(descriptor, first->bytes + first->start, size, flags);
}

ptrdiff_t berth__inet_put_chunks(berth__backend *backend, int descriptor, const berth__chunk *first,
                                 size_t size)
{
    (void)backend;
    return berth__inet_send(descriptor, first, size, false);
}

ptrdiff_t berth__inet_read_file(berth__backend *backend, int descriptor, void *data, size_t size,
                                uint64_t offset)
{
    (void)backend;
    ssize_t got = BERTH__SYSTEM("pread", pread(descriptor, data, size, (off_t)offset));
    return got < 0 ? -errno : got;
}

int berth__inet_open_file(berth__backend *backend, int descriptor, uint64_t *ret_size)
{
    (void)backend;
    struct stat status;
    if (BERTH__SYSTEM("fstat", fstat(descriptor, &status)) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -ESPIPE;
    *ret_size = (uint64_t)status.st_size;
    int copy = BERTH__SYSTEM("fcntl", fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    return copy < 0 ? -errno : copy;
}

/* Their descriptions take 16 KiB of the stack. */
BERTH__RARE static ptrdiff_t put_many(int descriptor, const berth_piece *pieces, size_t count,
                                      int flags)
{
    struct iovec gathered[BERTH__INET_MANY_PIECES];
    count = count < BERTH__INET_MANY_PIECES ? count : BERTH__INET_MANY_PIECES;
    for (size_t i = 0; i < count; i++)
        gathered[i] = (struct iovec){(void *)(uintptr_t)pieces[i].data, pieces[i].size};
    return send_pieces(descriptor, gathered, count, flags);
}

ptrdiff_t berth__inet_put(berth__backend *backend, int descriptor, const berth_piece *pieces,
                          size_t count)
{
    (void)backend;
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    if (count == 1)
        return send_bytes(descriptor, pieces[0].data, pieces[0].size, flags);
    if (count > BERTH__INET_PIECES)
        return put_many(descriptor, pieces, count, flags);
    struct iovec gathered[BERTH__INET_PIECES];
    for (size_t i = 0; i < count; i++)
        gathered[i] = (struct iovec){(void *)(uintptr_t)pieces[i].data, pieces[i].size};
    return send_pieces(descriptor, gathered, count, flags);
}
