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
 * Failures: a receive or a send that fails ends its connection; the descriptor is closed only when
 * neither is in flight. A receive that found no buffer is armed again at once if one has come back
 * meanwhile, else it waits in a list until one does. Where io_uring cannot be had at all, the
 * server ends with SERVER_UNAVAILABLE.
 */
#include "common.h"

#include <errno.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SUBMISSIONS = 1024,
    COMPLETIONS = 4096,
    GROUP = 0,
    RING_INCREMENTAL = 2,    /* IOU_PBUF_RING_INC, in what liburing 2.3 calls pad */
    CQE_BUFFER_MORE = 1 << 4 /* IORING_CQE_F_BUF_MORE: the kernel goes on filling this buffer */
};

enum operation {
    OP_ACCEPT,
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
};

struct buffer_state {
    uint32_t used;       /* incremental: how far the kernel has filled it */
    uint32_t references; /* pieces not yet sent */
    bool filled;         /* the kernel will not touch it again */
};

static struct io_uring ring;
static struct io_uring_buf_ring *provided;
static char *memory;
static struct buffer_state *states;
static unsigned buffer_count, buffer_size;
static unsigned available; /* buffers in the ring, the one that is being filled included */
static struct connection connections[SERVER_MAX_FD];
static struct piece *pieces;
static uint32_t piece_count, piece_free;
static int32_t starved;
static enum server_cell cell;

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

static void arm_accept(int listener)
{
    struct io_uring_sqe *sqe = submission();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    label(sqe, OP_ACCEPT, listener);
}

static void arm_receive(int fd, bool first)
{
    struct io_uring_sqe *sqe = submission();
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    if (first)
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    label(sqe, OP_RECEIVE, fd);
    connections[fd].receiving = true;
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

static void provide(unsigned buffer)
{
    states[buffer] = (struct buffer_state){0};
    io_uring_buf_ring_add(provided, memory + (size_t)buffer * buffer_size, buffer_size,
                          (unsigned short)buffer, (int)buffer_count - 1, 0);
    io_uring_buf_ring_advance(provided, 1);
    available++;
    while (starved) {
        int fd = starved;
        starved = connections[fd].starved_next;
        arm_receive(fd, false);
    }
}

/* A completion names this buffer: takes a reference, and notes whether it is filled. */
static void take(unsigned buffer, uint32_t length, bool more)
{
    struct buffer_state *state = &states[buffer];
    state->used += length;
    state->references++;
    state->filled = !more;
    available -= !more;
}

static void release(unsigned buffer)
{
    struct buffer_state *state = &states[buffer];
    state->references--;
    if (state->filled && state->references == 0)
        provide(buffer);
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
    send_bytes(fd, memory + (size_t)piece->buffer * buffer_size + piece->offset, piece->length);
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
    close(fd);
}

static void on_accept(int listener, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE))
        arm_accept(listener);
    if (cqe->res == -ECONNABORTED || cqe->res == -EAGAIN || cqe->res == -EINTR)
        return;
    if (cqe->res < 0 || cqe->res >= SERVER_MAX_FD)
        server_fail("cannot accept", cqe->res < 0 ? -cqe->res : EMFILE);
    connections[cqe->res] = (struct connection){0};
    if (cell == CELL_GREET)
        greet(cqe->res);
    else if (cell == CELL_SOURCE)
        send_bytes(cqe->res, server_block, sizeof(server_block));
    else
        arm_receive(cqe->res, true);
}

static void on_data(int fd, const struct io_uring_cqe *cqe)
{
    unsigned buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    uint32_t offset = states[buffer].used;
    take(buffer, (uint32_t)cqe->res, cqe->flags & CQE_BUFFER_MORE);
    if (cell == CELL_ECHO && !connections[fd].failed)
        queue_piece(fd, buffer, offset, (uint32_t)cqe->res);
    else
        release(buffer);
}

static void on_receive(int fd, const struct io_uring_cqe *cqe)
{
    struct connection *connection = &connections[fd];
    connection->receiving = cqe->flags & IORING_CQE_F_MORE;
    if (cqe->res > 0) {
        on_data(fd, cqe);
        if (!connection->receiving)
            arm_receive(fd, false);
        return;
    }
    if (cqe->flags & IORING_CQE_F_BUFFER) { /* a buffer taken for an end of stream */
        take(cqe->flags >> IORING_CQE_BUFFER_SHIFT, 0, cqe->flags & CQE_BUFFER_MORE);
        release(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    }
    if (cqe->res == -ENOBUFS && !connection->failed && available) {
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
        shutdown(fd, SHUT_RDWR); /* ends the receive, which then closes */
        close_if_idle(fd);
        return;
    }
    if (cell == CELL_SOURCE) {
        send_bytes(fd, server_block, sizeof(server_block));
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
    case OP_RECEIVE:
        on_receive(fd, cqe);
        break;
    case OP_SEND:
        on_send(fd, cqe);
        break;
    case OP_GREET: /* only failures are reported, and the close follows whatever the send did */
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

static int register_group(struct io_uring *on, void *entries, unsigned count, bool incremental)
{
    struct io_uring_buf_reg request = {.ring_addr = (uint64_t)(uintptr_t)entries,
                                       .ring_entries = count,
                                       .bgid = GROUP,
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
    bool works = register_group(&trial, pages, 1, true) == 0;
    if (works) {
        struct io_uring_buf_ring *entries = (struct io_uring_buf_ring *)pages;
        io_uring_buf_ring_init(entries);
        io_uring_buf_ring_add(entries, pages + 4096, 4096, 0, 0, 0);
        io_uring_buf_ring_advance(entries, 1);
        struct io_uring_sqe *sqe = io_uring_get_sqe(&trial);
        io_uring_prep_recv_multishot(sqe, pair[0], NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = GROUP;
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
    (void)io_uring_register_ring_fd(&ring);
}

static void open_buffers(const struct server_options *options)
{
    bool incremental = options->incremental && incremental_works();
    unsigned wanted = options->buffers ? options->buffers : incremental ? 16 : 256;
    buffer_size = options->buffer_size ? options->buffer_size : incremental ? 65536 : 32768;
    for (buffer_count = 1; buffer_count < wanted;)
        buffer_count *= 2;
    fprintf(stderr, "%u %s buffers of %u bytes\n", buffer_count,
            incremental ? "incremental" : "fixed", buffer_size);
    provided = page_memory(buffer_count * sizeof(struct io_uring_buf));
    memory = page_memory((size_t)buffer_count * buffer_size);
    states = calloc(buffer_count, sizeof(*states));
    if (!states)
        server_fail("cannot keep the state of the buffers", ENOMEM);
    int status = register_group(&ring, provided, buffer_count, incremental);
    if (status < 0)
        server_fail("cannot register the buffers", -status);
    io_uring_buf_ring_init(provided);
    for (unsigned i = 0; i < buffer_count; i++)
        provide(i);
}

int main(int argc, char **argv)
{
    struct server_options options;
    server_parse(argc, argv, SERVES_ON_ONE_THREAD, &options);
    cell = options.cell;
    int listener = server_listen(&options, false);
    open_ring();
    open_buffers(&options);
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
    }
}
