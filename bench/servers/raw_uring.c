/*
 * The completion floor: what a TCP server costs on io_uring with nothing in between. One ring, one
 * thread, one io_uring_enter for each turn of the loop: it submits what the last turn prepared and
 * waits for the next event.
 *
 * The normal course of an echo: a multishot accept delivers a descriptor; a multishot receive on it
 * delivers pieces of provided buffers; each piece is sent from where it lies, and its buffer goes
 * back to the ring when the kernel has finished filling it and the last piece of it has been sent.
 * A connection has one send in flight; pieces that arrive meanwhile queue in order, and join the
 * last one where they continue it. A greeting is a send linked with a close. A sink gives buffers
 * back at once; a source sends its next block when the last one has left.
 *
 * Buffers: with --incremental (the default) 16 of 64 KiB, which the kernel consumes from front to
 * back, so that small messages pack. That needs Linux 6.12; its constants are written here as
 * numbers, since older headers lack them, and it is tried on a socket pair before it is trusted.
 * Otherwise 256 of 32 KiB, each good for one receive.
 *
 * With --bundle (Linux 6.10) a receive fills as many buffers as it needs, one after the other in
 * the ring, and its completion names the first. What else docs/decisions/0003 and 0059 compare with
 * these: --receive large has 1024 fixed buffers of 4 KiB, and 64 of 64 KiB, to which a stream
 * changes that has filled some small ones in a row, and from which it goes back in the same way;
 * --receive single is that, with one receive at a time from the large ones. --accept poll takes
 * connections by accept4 when the listener is readable; --accept single has 16 operations that take
 * one each; --accept batch begins those only when the listener is readable, and has them not wait
 * (Linux 6.10).
 *
 * Answers of pieces go by one sendmsg, or with --copy by a copy of all and one send outside of the
 * ring. Lines of fan-out are gathered for a turn of the loop, and then sent to each connection at
 * once.
 *
 * Failures: a receive or a send that fails ends its connection; the descriptor is closed only when
 * neither is in flight. A receive that found no buffer is armed again at once if one has come back
 * meanwhile, else it waits in a list until one does. Where io_uring cannot be had at all, the
 * server ends with SERVER_UNAVAILABLE.
 */
#include "common.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    SUBMISSIONS = 1024,
    COMPLETIONS = 4096,
    BURST = 16,  /* accepts at a time, but for multishot */
    SEVERAL = 4, /* as many deliveries in a row make a stream change its group */
    FEATURE_BUNDLE = 1 << 14,
    BUNDLE = 1 << 4,      /* IORING_RECVSEND_BUNDLE */
    DONT_WAIT = 2,        /* IORING_ACCEPT_DONTWAIT */
    RING_INCREMENTAL = 2, /* IOU_PBUF_RING_INC, in what liburing 2.3 calls pad */
    GROUP_STRIDE = 1 << 15,
    CQE_BUFFER_MORE = 1 << 4 /* IORING_CQE_F_BUF_MORE: the kernel goes on filling this buffer */
};

enum group {
    SMALL,
    LARGE,
    GROUPS
};

enum operation {
    OP_ACCEPT,
    OP_POLL,
    OP_CANCEL,
    OP_RECEIVE,
    OP_SEND,
    OP_GREET
};

struct piece {
    uint32_t next; /* index into pieces, 0 is none */
    uint32_t offset, length;
    uint16_t buffer;
};

struct connection {
    uint32_t first, last; /* queue of pieces to send; the first is in flight while sending */
    int32_t starved_next; /* descriptor of the next connection that waits for a buffer, 0 is none */
    bool receiving, sending, failed;
    uint8_t group; /* whose buffers it receives into */
    uint8_t unfit; /* deliveries in a row for which the other group would be better */
    bool cancelling;
    uint32_t asked;   /* bytes of a request that is not complete */
    uint32_t answers; /* that are due, with the one that is being sent */
    uint32_t sent;    /* bytes of that one, or of the lines */
    uint32_t place;   /* fan-out: in the list of guests */
};

struct buffer_state {
    uint32_t position;   /* in its ring */
    uint32_t used;       /* incremental: how far the kernel has filled it */
    uint32_t references; /* pieces not yet sent */
    bool filled;         /* the kernel will not touch it again */
};

/* A ring of buffers. Buffer N of the group G is called G * GROUP_STRIDE + N. */
struct pool {
    struct io_uring_buf_ring *ring;
    char *memory;
    struct buffer_state *states;
    uint16_t *order; /* which buffer lies at each position of the ring */
    unsigned count, size, added;
    unsigned available; /* buffers in the ring, the one that is being filled included */
};

static struct io_uring ring;
static struct pool pools[GROUPS];
static struct connection connections[SERVER_MAX_FD];
static struct piece *pieces;
static uint32_t piece_count, piece_free;
static int32_t starved;
static enum server_cell cell;
static enum server_receive receives;
static enum server_accept accepts;
static bool bundles, answers, copies;
static struct msghdr whole_answer; /* the same for all */
static char lines[SERVER_BLOCK];   /* of fan-out, since all connections had got all */
static uint32_t lines_size, lines_sent;
static int guests[SERVER_MAX_FD];
static unsigned guest_count, guests_behind;
static unsigned batch_left, batch_taken; /* of the present batch of accepts */
static bool batch_again;                 /* there may be more than it takes */
static bool readable;                    /* the listener has become so since the batch began */

static struct io_uring_sqe *submission(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (!sqe) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    if (!sqe)
        server_fail("cannot queue an operation", EBUSY);
    return sqe;
}

static void label(struct io_uring_sqe *sqe, enum operation operation, int fd)
{
    io_uring_sqe_set_data64(sqe, (uint64_t)operation << 32 | (uint32_t)fd);
}

static void arm_one_accept(int listener, unsigned flags)
{
    struct io_uring_sqe *sqe = submission();
    io_uring_prep_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    sqe->ioprio |= (uint16_t)flags;
    label(sqe, OP_ACCEPT, listener);
}

/* One more than the last batch has brought. */
static void arm_batch(int listener)
{
    batch_left = batch_taken < BURST ? batch_taken + 1 : BURST;
    batch_again = true;
    batch_taken = 0;
    for (unsigned i = 0; i < batch_left; i++)
        arm_one_accept(listener, DONT_WAIT);
}

static void arm_accept(int listener)
{
    if (accepts == ACCEPT_SINGLE) {
        arm_one_accept(listener, 0);
        return;
    }
    struct io_uring_sqe *sqe = submission();
    if (accepts == ACCEPT_MULTISHOT)
        io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    else
        io_uring_prep_poll_multishot(sqe, listener, POLLIN);
    label(sqe, accepts == ACCEPT_MULTISHOT ? OP_ACCEPT : OP_POLL, listener);
}

static void arm_receive(int fd, bool first)
{
    struct connection *connection = &connections[fd];
    struct io_uring_sqe *sqe = submission();
    if (connection->group == LARGE && receives == RECEIVE_SINGLE_LARGE)
        io_uring_prep_recv(sqe, fd, NULL, 0, 0);
    else
        io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = connection->group;
    if (first)
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    if (bundles)
        sqe->ioprio |= BUNDLE;
    label(sqe, OP_RECEIVE, fd);
    connection->receiving = true;
}

static void cancel_receive(int fd)
{
    struct io_uring_sqe *sqe = submission();
    io_uring_prep_cancel64(sqe, (uint64_t)OP_RECEIVE << 32 | (uint32_t)fd, 0);
    label(sqe, OP_CANCEL, fd);
    connections[fd].cancelling = true;
}

static void send_bytes(int fd, const char *bytes, size_t length)
{
    struct io_uring_sqe *sqe = submission();
    io_uring_prep_send(sqe, fd, bytes, length, MSG_WAITALL | MSG_NOSIGNAL);
    label(sqe, OP_SEND, fd);
    connections[fd].sending = true;
}

static void greet(int fd)
{
    if (io_uring_sq_space_left(&ring) < 2)
        io_uring_submit(&ring); /* a link does not reach across two submissions */
    struct io_uring_sqe *sqe = submission();
    io_uring_prep_send(sqe, fd, server_greeting, SERVER_GREETING, MSG_WAITALL | MSG_NOSIGNAL);
    sqe->flags |= IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS;
    label(sqe, OP_GREET, fd);
    sqe = submission();
    io_uring_prep_close(sqe, fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    label(sqe, OP_GREET, fd);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void prepare_answer(void)
{
    static struct iovec vectors[SERVER_PIECES];
    for (unsigned i = 0; i < server_piece_count; i++)
        vectors[i] =
            (struct iovec){(char *)(uintptr_t)server_pieces[i].bytes, server_pieces[i].size};
    whole_answer = (struct msghdr){.msg_iov = vectors, .msg_iovlen = server_piece_count};
}

/* At once, so that one block does for all and stays in the cache. The ring sends what is left. */
static void answer_by_copies(int fd)
{
    struct connection *connection = &connections[fd];
    while (connection->answers > 0 && connection->sent == 0) {
        ssize_t count =
            send(fd, server_copy_pieces(), server_answer_size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count <= 0)
            return;
        if ((size_t)count < server_answer_size)
            connection->sent = (uint32_t)count;
        else
            connection->answers--;
    }
}

/* MSG_WAITALL: the kernel goes on where a send was cut. If it gives up nevertheless, the rest goes
 * as one piece, since they lie one behind the other. */
static void answer(int fd)
{
    struct connection *connection = &connections[fd];
    if (copies && connection->sent == 0)
        answer_by_copies(fd);
    if (connection->answers == 0)
        return;
    if (connection->sent || copies) {
        send_bytes(fd, server_pieces[0].bytes + connection->sent,
                   server_answer_size - connection->sent);
        return;
    }
    struct io_uring_sqe *sqe = submission();
    io_uring_prep_sendmsg(sqe, fd, &whole_answer, MSG_WAITALL | MSG_NOSIGNAL);
    label(sqe, OP_SEND, fd);
    connection->sending = true;
}

static void on_request(int fd, const char *bytes, uint32_t length)
{
    struct connection *connection = &connections[fd];
    if (cell == CELL_FAN_OUT) { /* whole lines, since the load sends no others */
        if (lines_size + length > sizeof(lines))
            server_fail("cannot keep the lines", ENOBUFS);
        memcpy(lines + lines_size, bytes, length);
        lines_size += length;
        return;
    }
    connection->asked += length;
    connection->answers += connection->asked / SERVER_REQUEST;
    connection->asked %= SERVER_REQUEST;
    if (connection->answers && !connection->sending)
        answer(fd);
}

static void send_lines(int fd)
{
    send_bytes(fd, lines + connections[fd].sent, lines_size - connections[fd].sent);
}

/* At the end of a turn that has brought lines. */
static void fan_out(void)
{
    for (unsigned i = 0; i < guest_count; i++) {
        const struct connection *connection = &connections[guests[i]];
        if (connection->sending || connection->failed)
            continue;
        guests_behind++;
        send_lines(guests[i]);
    }
    lines_sent = lines_size;
}

/* This guest is not behind any more. Lines that all have got are forgotten. */
static void caught_up(void)
{
    if (--guests_behind > 0 || lines_sent < lines_size)
        return;
    for (unsigned i = 0; i < guest_count; i++)
        connections[guests[i]].sent = 0;
    lines_size = lines_sent = 0;
}

static void on_answered(int fd, uint32_t length)
{
    struct connection *connection = &connections[fd];
    connection->sent += length;
    if (cell == CELL_FAN_OUT) {
        if (connection->sent < lines_size)
            send_lines(fd);
        else
            caught_up();
        return;
    }
    if (connection->sent == server_answer_size) {
        connection->sent = 0;
        connection->answers--;
    }
    if (connection->answers)
        answer(fd);
}

static void leave(int fd)
{
    unsigned place = connections[fd].place;
    guests[place] = guests[--guest_count];
    connections[guests[place]].place = place;
}

static struct pool *pool_of(unsigned buffer)
{
    return &pools[buffer / GROUP_STRIDE];
}

static struct buffer_state *state_of(unsigned buffer)
{
    return &pool_of(buffer)->states[buffer % GROUP_STRIDE];
}

static char *memory_of(unsigned buffer)
{
    const struct pool *pool = pool_of(buffer);
    return pool->memory + (size_t)(buffer % GROUP_STRIDE) * pool->size;
}

static void provide(unsigned buffer)
{
    struct pool *pool = pool_of(buffer);
    unsigned position = pool->added++ & (pool->count - 1);
    *state_of(buffer) = (struct buffer_state){.position = position};
    pool->order[position] = (uint16_t)buffer;
    io_uring_buf_ring_add(pool->ring, memory_of(buffer), pool->size,
                          (unsigned short)(buffer % GROUP_STRIDE), (int)pool->count - 1, 0);
    io_uring_buf_ring_advance(pool->ring, 1);
    pool->available++;
    while (starved && pool == &pools[SMALL]) {
        int fd = starved;
        starved = connections[fd].starved_next;
        arm_receive(fd, false);
    }
}

/* A completion names this buffer: takes a reference, and notes whether it is filled. */
static void take(unsigned buffer, uint32_t length, bool more)
{
    struct buffer_state *state = state_of(buffer);
    state->used += length;
    state->references++;
    state->filled = !more;
    pool_of(buffer)->available -= !more;
}

static void release(unsigned buffer)
{
    struct buffer_state *state = state_of(buffer);
    state->references--;
    if (state->filled && state->references == 0)
        provide(buffer);
}

/* The one that follows in its ring. */
static unsigned next_buffer(unsigned buffer)
{
    const struct pool *pool = pool_of(buffer);
    return pool->order[(state_of(buffer)->position + 1) & (pool->count - 1)];
}

static uint32_t piece_new(void)
{
    if (!piece_free) {
        uint32_t more = piece_count ? piece_count * 2 : 1024;
        struct piece *grown = realloc(pieces, more * sizeof(*pieces));
        if (!grown)
            server_fail("cannot queue a piece", ENOMEM);
        pieces = grown;
        for (uint32_t i = more - 1; i >= (piece_count ? piece_count : 1); i--) {
            pieces[i].next = piece_free;
            piece_free = i;
        }
        piece_count = more;
    }
    uint32_t piece = piece_free;
    piece_free = pieces[piece].next;
    return piece;
}

static void pop_piece(struct connection *connection)
{
    uint32_t piece = connection->first;
    connection->first = pieces[piece].next;
    if (!connection->first)
        connection->last = 0;
    unsigned buffer = pieces[piece].buffer;
    pieces[piece].next = piece_free;
    piece_free = piece;
    release(buffer);
}

static void send_first(int fd)
{
    const struct piece *piece = &pieces[connections[fd].first];
    send_bytes(fd, memory_of(piece->buffer) + piece->offset, piece->length);
}

/* Queues a piece; the one reference to its buffer that the caller holds passes to the queue. */
static void queue_piece(int fd, unsigned buffer, uint32_t offset, uint32_t length)
{
    struct connection *connection = &connections[fd];
    if (connection->last && connection->last != connection->first) {
        struct piece *last = &pieces[connection->last];
        if (last->buffer == buffer && last->offset + last->length == offset) {
            last->length += length;
            release(buffer);
            return;
        }
    }
    uint32_t piece = piece_new();
    pieces[piece] = (struct piece){0, offset, length, (uint16_t)buffer};
    if (connection->last)
        pieces[connection->last].next = piece;
    else
        connection->first = piece;
    connection->last = piece;
    if (!connection->sending)
        send_first(fd);
}

static void close_if_idle(int fd)
{
    struct connection *connection = &connections[fd];
    if (connection->receiving || connection->sending)
        return;
    while (connection->first)
        pop_piece(connection);
    if (cell == CELL_FAN_OUT)
        leave(fd);
    close(fd);
}

static void serve(int fd)
{
    if (fd >= SERVER_MAX_FD)
        server_fail("cannot accept", EMFILE);
    connections[fd] = (struct connection){.place = guest_count};
    if (cell == CELL_FAN_OUT)
        guests[guest_count++] = fd;
    if (cell == CELL_GREET)
        greet(fd);
    else if (cell == CELL_SOURCE)
        send_bytes(fd, server_block, sizeof(server_block));
    else
        arm_receive(fd, true);
}

static void on_accept(int listener, const struct io_uring_cqe *cqe)
{
    if (accepts == ACCEPT_BATCH) {
        batch_again = batch_again && cqe->res != -EAGAIN;
        batch_taken += cqe->res >= 0;
        if (--batch_left == 0 && (batch_again || readable)) {
            readable = false;
            arm_batch(listener);
        }
    } else if (!(cqe->flags & IORING_CQE_F_MORE)) {
        arm_accept(listener);
    }
    if (cqe->res >= 0)
        serve(cqe->res);
    else if (cqe->res != -ECONNABORTED && cqe->res != -EAGAIN && cqe->res != -EINTR)
        server_fail("cannot accept", -cqe->res);
}

static void on_poll(int listener, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE))
        arm_accept(listener);
    if (accepts == ACCEPT_BATCH) {
        readable = batch_left > 0;
        if (!readable)
            arm_batch(listener);
        return;
    }
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve(fd);
        else if (errno == EAGAIN)
            return;
        else if (errno != ECONNABORTED && errno != EINTR)
            server_fail("cannot accept", errno);
    }
}

/* Counts deliveries that would have fitted the other group better, and changes to it. */
static void choose_group(int fd, uint32_t length)
{
    struct connection *connection = &connections[fd];
    bool full = length >= pools[SMALL].size;
    if (receives == RECEIVE_MULTISHOT || connection->cancelling)
        return;
    connection->unfit = full == (connection->group == LARGE) ? 0 : connection->unfit + 1;
    if (connection->unfit < SEVERAL)
        return;
    connection->unfit = 0;
    connection->group = connection->group == LARGE ? SMALL : LARGE;
    if (connection->receiving)
        cancel_receive(fd);
}

static void on_data(int fd, const struct io_uring_cqe *cqe, unsigned group)
{
    unsigned buffer = group * GROUP_STRIDE + (cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    uint32_t left = (uint32_t)cqe->res;
    while (left > 0) { /* more than one buffer with bundles only */
        uint32_t offset = state_of(buffer)->used, room = pool_of(buffer)->size - offset;
        uint32_t length = left < room ? left : room;
        unsigned next = next_buffer(buffer);
        take(buffer, length, length == left && cqe->flags & CQE_BUFFER_MORE);
        if (answers && !connections[fd].failed)
            on_request(fd, memory_of(buffer) + offset, length);
        if (cell == CELL_ECHO && !connections[fd].failed)
            queue_piece(fd, buffer, offset, length);
        else
            release(buffer);
        buffer = next;
        left -= length;
    }
}

static void on_receive(int fd, const struct io_uring_cqe *cqe)
{
    struct connection *connection = &connections[fd];
    unsigned group = connection->cancelling ? connection->group ^ LARGE : connection->group;
    connection->receiving = cqe->flags & IORING_CQE_F_MORE;
    if (!connection->receiving)
        connection->cancelling = false;
    if (cqe->res > 0) {
        on_data(fd, cqe, group);
        choose_group(fd, (uint32_t)cqe->res);
        if (!connection->receiving)
            arm_receive(fd, false);
        return;
    }
    if (cqe->flags & IORING_CQE_F_BUFFER) { /* a buffer taken for an end of stream */
        unsigned buffer = group * GROUP_STRIDE + (cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        take(buffer, 0, cqe->flags & CQE_BUFFER_MORE);
        release(buffer);
    }
    if (cqe->res == -ECANCELED && !connection->failed) { /* to go on in the other group */
        arm_receive(fd, false);
        return;
    }
    if (cqe->res == -ENOBUFS && group == LARGE)
        connection->group = SMALL;
    if (cqe->res == -ENOBUFS && !connection->failed && pools[SMALL].available) {
        arm_receive(fd, false); /* buffers have come back since the kernel looked */
        return;
    }
    if (cqe->res == -ENOBUFS && !connection->failed) {
        connection->starved_next = starved;
        connection->receiving = true; /* as good as armed: it must not be closed meanwhile */
        starved = fd;
        return;
    }
    close_if_idle(fd);
}

static void on_send(int fd, const struct io_uring_cqe *cqe)
{
    struct connection *connection = &connections[fd];
    connection->sending = false;
    if (cqe->res <= 0) {
        connection->failed = true;
        if (cell == CELL_FAN_OUT)
            caught_up();
        shutdown(fd, SHUT_RDWR); /* ends the receive, which then closes */
        close_if_idle(fd);
        return;
    }
    if (cell == CELL_SOURCE) {
        send_bytes(fd, server_block, sizeof(server_block));
        return;
    }
    if (answers) {
        on_answered(fd, (uint32_t)cqe->res);
        if (!connection->receiving)
            close_if_idle(fd);
        return;
    }
    struct piece *piece = &pieces[connection->first];
    piece->offset += (uint32_t)cqe->res;
    piece->length -= (uint32_t)cqe->res;
    if (piece->length == 0)
        pop_piece(connection);
    if (connection->first)
        send_first(fd);
    else if (!connection->receiving)
        close_if_idle(fd);
}

static void dispatch(const struct io_uring_cqe *cqe)
{
    int fd = (int)(uint32_t)cqe->user_data;
    switch ((enum operation)(cqe->user_data >> 32)) {
    case OP_ACCEPT:
        on_accept(fd, cqe);
        break;
    case OP_POLL:
        on_poll(fd, cqe);
        break;
    case OP_RECEIVE:
        on_receive(fd, cqe);
        break;
    case OP_SEND:
        on_send(fd, cqe);
        break;
    case OP_CANCEL: /* the receive reports it */
    case OP_GREET:  /* only failures are reported, and the close follows whatever the send did */
        break;
    }
}

static void *page_memory(size_t length)
{
    void *pages = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        server_fail("cannot map memory", errno);
    return pages;
}

static int register_group(struct io_uring *on, unsigned group, void *entries, unsigned count,
                          bool incremental)
{
    struct io_uring_buf_reg request = {.ring_addr = (uint64_t)(uintptr_t)entries,
                                       .ring_entries = count,
                                       .bgid = (uint16_t)group,
                                       .pad = incremental ? RING_INCREMENTAL : 0};
    return io_uring_register_buf_ring(on, &request, 0);
}

/* Writes five bytes; says whether they arrive and the kernel means to go on in that buffer. */
static bool arrives(struct io_uring *on, int writer)
{
    struct io_uring_cqe *cqe = NULL;
    struct __kernel_timespec second = {.tv_sec = 1};
    if (write(writer, "berth", 5) != 5 || io_uring_submit(on) < 0 ||
        io_uring_wait_cqe_timeout(on, &cqe, &second) < 0)
        return false;
    bool good = cqe->res == 5 && cqe->flags & CQE_BUFFER_MORE && cqe->flags & IORING_CQE_F_MORE;
    io_uring_cqe_seen(on, cqe);
    return good;
}

/* Tries incremental buffers on a ring of their own: two writes must lie end to end. */
static bool incremental_works(void)
{
    struct io_uring trial;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    if (io_uring_queue_init(8, &trial, 0) < 0)
        server_fail("cannot open a second ring", errno);
    char *pages = page_memory(8192);
    bool works = register_group(&trial, SMALL, pages, 1, true) == 0;
    if (works) {
        struct io_uring_buf_ring *entries = (struct io_uring_buf_ring *)pages;
        io_uring_buf_ring_init(entries);
        io_uring_buf_ring_add(entries, pages + 4096, 4096, 0, 0, 0);
        io_uring_buf_ring_advance(entries, 1);
        struct io_uring_sqe *sqe = io_uring_get_sqe(&trial);
        io_uring_prep_recv_multishot(sqe, pair[0], NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = SMALL;
        works = arrives(&trial, pair[1]) && arrives(&trial, pair[1]) &&
                memcmp(pages + 4096, "berthberth", 10) == 0;
    }
    io_uring_queue_exit(&trial);
    munmap(pages, 8192);
    close(pair[0]);
    close(pair[1]);
    return works;
}

static void open_ring(void)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
        .cq_entries = COMPLETIONS};
    int status = io_uring_queue_init_params(SUBMISSIONS, &ring, &params);
    if (status < 0) {
        fprintf(stderr, "cannot open a ring: %s\n", strerror(-status));
        exit(SERVER_UNAVAILABLE);
    }
    if (bundles && !(params.features & FEATURE_BUNDLE)) {
        fprintf(stderr, "this kernel has no bundles\n");
        exit(SERVER_UNAVAILABLE);
    }
    (void)io_uring_register_ring_fd(&ring);
}

static void open_pool(enum group group, unsigned wanted, unsigned size, bool incremental)
{
    struct pool *pool = &pools[group];
    for (pool->count = 1; pool->count < wanted;)
        pool->count *= 2;
    pool->size = size;
    fprintf(stderr, "%u %s buffers of %u bytes\n", pool->count,
            incremental ? "incremental" : "fixed", size);
    pool->ring = page_memory(pool->count * sizeof(struct io_uring_buf));
    pool->memory = page_memory((size_t)pool->count * size);
    pool->states = calloc(pool->count, sizeof(*pool->states));
    pool->order = calloc(pool->count, sizeof(*pool->order));
    if (!pool->states || !pool->order)
        server_fail("cannot keep the state of the buffers", ENOMEM);
    int status = register_group(&ring, group, pool->ring, pool->count, incremental);
    if (status < 0)
        server_fail("cannot register the buffers", -status);
    io_uring_buf_ring_init(pool->ring);
    for (unsigned i = 0; i < pool->count; i++)
        provide(group * GROUP_STRIDE + i);
}

static void open_buffers(const struct server_options *options)
{
    bool small = receives != RECEIVE_MULTISHOT;
    bool incremental = options->incremental && !small && incremental_works();
    unsigned count = incremental ? 16 : small ? 1024 : 256;
    unsigned size = incremental ? 65536 : small ? 4096 : 32768;
    open_pool(SMALL, options->buffers ? options->buffers : count,
              options->buffer_size ? options->buffer_size : size, incremental);
    if (receives != RECEIVE_MULTISHOT)
        open_pool(LARGE, 64, 65536, false);
}

int main(int argc, char **argv)
{
    struct server_options options;
    server_parse(argc, argv, SERVES_ON_ONE_THREAD | SERVES_PIECES | 1 << CELL_FAN_OUT, &options);
    cell = options.cell;
    answers = SERVES_ANSWERS >> cell & 1;
    prepare_answer();
    receives = options.receive;
    accepts = options.accept;
    bundles = options.bundle;
    copies = options.copy;
    int listener = server_listen(&options, accepts == ACCEPT_POLL);
    open_ring();
    open_buffers(&options);
    for (int i = 0; i < (accepts == ACCEPT_SINGLE ? BURST : 1); i++)
        arm_accept(listener);
    server_ready(server_port_of(listener));
    for (;;) {
        int status = io_uring_submit_and_wait(&ring, 1);
        if (status < 0 && status != -EINTR && status != -EBUSY)
            server_fail("cannot wait for completions", -status);
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            dispatch(cqe);
            seen++;
        }
        io_uring_cq_advance(&ring, seen);
        if (lines_sent < lines_size)
            fan_out();
    }
}
