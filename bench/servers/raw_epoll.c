/*
 * The readiness floor: what a TCP server costs on epoll with nothing in between. Level triggered,
 * one thread, one 64 KiB read buffer for all connections, accept4, and a table of connections
 * indexed by descriptor.
 *
 * The normal course of an echo: epoll_wait says readable, one recv, one send of the same bytes,
 * back to epoll_wait. A recv that did not fill the buffer is not repeated, since level triggering
 * reports what is left. A greeting is accept4, send, close: such a connection never meets epoll at
 * all.
 *
 * Back-pressure: when a send takes only part, the rest is copied aside, the connection waits for
 * EPOLLOUT alone, and reading goes on when the rest has left. This is the only allocation, and an
 * unhurried client never causes it.
 *
 * Answers of pieces go by one writev, or with --copy by a copy of all and one send, as must be
 * where a program may change its bytes after it has written them; a file goes by sendfile, or with
 * --copy by read and send. What a call did not take waits for EPOLLOUT where it lies, and reading
 * with it. Lines of fan-out are gathered for a turn of the loop, and then sent to each connection
 * at once.
 *
 * Failures: an error or the end of stream closes that connection; an accept that fails because the
 * client has gone is passed over; a full descriptor table ends the server, since no benchmark asks
 * for more than it holds.
 *
 * Every inner loop is bounded, so that no connection can starve the others.
 */
#include "common.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    EVENTS = 512,
    ACCEPTS = 256,
    REPEATS = 16
};

struct rest {
    size_t offset, length;
    char bytes[];
};

/* What a connection has asked for, by descriptor. */
struct asked {
    unsigned bytes;   /* of a request that is not complete */
    unsigned answers; /* that are due, with the one that is being sent */
    size_t sent;      /* bytes of that one */
    bool waits;       /* for EPOLLOUT */
    unsigned place;   /* fan-out: in the list of guests */
};

static struct asked asked[SERVER_MAX_FD];
static int guests[SERVER_MAX_FD];
static unsigned guest_count;
static char lines[SERVER_BLOCK]; /* of this turn */
static size_t lines_size;
static bool copies, answers;
static struct rest *rests[SERVER_MAX_FD]; /* by descriptor, what a send did not take */
static char buffer[SERVER_BLOCK];
static int poller;
static enum server_cell cell;

static void watch(int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.fd = fd}};
    if (epoll_ctl(poller, operation, fd, &event) < 0)
        server_fail("cannot watch a descriptor", errno);
}

static void drop(int fd)
{
    free(rests[fd]);
    rests[fd] = NULL;
    if (cell == CELL_FAN_OUT) {
        guests[asked[fd].place] = guests[--guest_count];
        asked[guests[asked[fd].place]].place = asked[fd].place;
    }
    close(fd);
}

static void accept_batch(int listener)
{
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
            continue;
        if (fd < 0 && errno == EAGAIN)
            return;
        if (fd < 0 || fd >= SERVER_MAX_FD)
            server_fail("cannot accept", fd < 0 ? errno : EMFILE);
        if (cell == CELL_GREET) {
            (void)send(fd, server_greeting, SERVER_GREETING, MSG_NOSIGNAL);
            close(fd);
        } else {
            asked[fd] = (struct asked){.place = guest_count};
            if (cell == CELL_FAN_OUT)
                guests[guest_count++] = fd;
            watch(EPOLL_CTL_ADD, fd, cell == CELL_SOURCE ? EPOLLOUT : EPOLLIN);
        }
    }
}

/* Keeps what a send left over, and waits for room instead of for data. */
static void keep(int fd, const char *bytes, size_t length)
{
    struct rest *rest = malloc(sizeof(*rest) + length);
    if (!rest)
        server_fail("cannot keep unsent bytes", ENOMEM);
    rest->offset = 0;
    rest->length = length;
    memcpy(rest->bytes, bytes, length);
    rests[fd] = rest;
    watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static bool echo(int fd, size_t length)
{
    ssize_t sent = send(fd, buffer, length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return false;
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done < length)
        keep(fd, buffer + done, length - done);
    return true;
}

/* ---- answers --------------------------------------------------------------------------------- */

static ssize_t send_pieces(int fd, size_t from)
{
    if (copies && from == 0)
        return send(fd, server_copy_pieces(), server_answer_size, MSG_NOSIGNAL);
    struct iovec vectors[SERVER_PIECES];
    struct msghdr message = {.msg_iov = vectors};
    for (unsigned i = 0; i < server_piece_count; i++) {
        const struct server_piece *piece = &server_pieces[i];
        size_t skipped = from < piece->size ? from : piece->size;
        from -= skipped;
        if (skipped < piece->size)
            vectors[message.msg_iovlen++] =
                (struct iovec){(char *)(uintptr_t)piece->bytes + skipped, piece->size - skipped};
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static ssize_t send_file(int fd, size_t from)
{
    off_t offset = (off_t)from;
    if (!copies)
        return sendfile(fd, server_file, &offset, server_file_size - from);
    ssize_t got = pread(server_file, buffer, sizeof(buffer), offset);
    return got <= 0 ? -1 : send(fd, buffer, (size_t)got, MSG_NOSIGNAL);
}

/* Sends what is due, as far as the kernel takes it. */
static void answer(int fd)
{
    struct asked *state = &asked[fd];
    size_t size = cell == CELL_FILE ? server_file_size : server_answer_size;
    for (int i = 0; i < REPEATS && state->answers; i++) {
        ssize_t sent =
            cell == CELL_FILE ? send_file(fd, state->sent) : send_pieces(fd, state->sent);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            drop(fd);
            return;
        }
        state->sent += (size_t)sent;
        if (state->sent < size)
            continue;
        state->sent = 0;
        state->answers--;
    }
    bool waits = state->answers > 0;
    if (waits != state->waits)
        watch(EPOLL_CTL_MOD, fd, waits ? EPOLLOUT : EPOLLIN);
    state->waits = waits;
}

static void hear(int fd)
{
    struct asked *state = &asked[fd];
    ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        drop(fd);
        return;
    }
    if (cell == CELL_FAN_OUT) { /* whole lines, since the load sends no others */
        if (lines_size + (size_t)got > sizeof(lines))
            server_fail("cannot keep the lines of a turn", ENOBUFS);
        memcpy(lines + lines_size, buffer, (size_t)got);
        lines_size += (size_t)got;
        return;
    }
    state->bytes += (unsigned)got;
    state->answers += state->bytes / SERVER_REQUEST;
    state->bytes %= SERVER_REQUEST;
    answer(fd);
}

static void fan_out(void)
{
    for (unsigned i = 0; i < guest_count; i++) {
        ssize_t sent = send(guests[i], lines, lines_size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            continue; /* epoll reports the end of this one */
        if (sent < (ssize_t)lines_size)
            server_fail("a guest is too slow for this floor", ENOBUFS);
    }
    lines_size = 0;
}

static void readable(int fd)
{
    if (answers) {
        hear(fd);
        return;
    }
    for (int i = 0; i < REPEATS; i++) {
        ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0 || (cell == CELL_ECHO && !echo(fd, (size_t)got))) {
            drop(fd);
            return;
        }
        if ((size_t)got < sizeof(buffer) || rests[fd])
            return;
    }
}

static void flush_rest(int fd)
{
    struct rest *rest = rests[fd];
    ssize_t sent = send(fd, rest->bytes + rest->offset, rest->length - rest->offset, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        return;
    if (sent < 0) {
        drop(fd);
        return;
    }
    rest->offset += (size_t)sent;
    if (rest->offset < rest->length)
        return;
    free(rest);
    rests[fd] = NULL;
    watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void pour(int fd)
{
    for (int i = 0; i < REPEATS; i++) {
        ssize_t sent = send(fd, server_block, sizeof(server_block), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            drop(fd);
        if (sent < (ssize_t)sizeof(server_block))
            return;
    }
}

int main(int argc, char **argv)
{
    struct server_options options;
    server_parse(argc, argv, SERVES_ON_ONE_THREAD | SERVES_ANSWERS, &options);
    cell = options.cell;
    copies = options.copy;
    answers = SERVES_ANSWERS >> cell & 1;
    int listener = server_listen(&options, true);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        server_fail("cannot open epoll", errno);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    server_ready(server_port_of(listener));
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                accept_batch(listener);
            else if (rests[fd])
                flush_rest(fd);
            else if (asked[fd].waits)
                answer(fd);
            else if (cell == CELL_SOURCE)
                pour(fd);
            else
                readable(fd);
        }
        if (lines_size)
            fan_out();
    }
}
