/*
 * The ring of the io_uring backend: set-up, entering the kernel, and the buffers that the kernel
 * receives into.
 *
 * Knows nothing of streams. Buffers are lent: a completion that names one is taken
 * (berth__ring_take), which gives a pointer to its bytes and counts a reference; berth__ring_give
 * takes the reference back, and a buffer that the kernel has filled and nobody refers to any more
 * goes back to the kernel.
 *
 * The queues are small, because the kernel charges the user for them. A turn may start more than
 * they hold: entries are then submitted on the way, and completions are put aside in memory of the
 * process, which costs nobody anything. Whoever takes in completions takes those first.
 */
#ifndef BERTH_BACKEND_URING_RING_H
#define BERTH_BACKEND_URING_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    BERTH__RING_SUBMISSIONS = 64,
    BERTH__RING_COMPLETIONS = 256,
    BERTH__RING_LOCKED = 16,   /* KiB of locked memory that the kernel charges for these */
    BERTH__RING_BUFFERS = 256, /* at most */
    BERTH__RING_END = 8        /* the user_data of a close that is an end; that of others is 0 */
};

typedef struct berth__ring_buffer {
    uint32_t used;       /* bytes written by the kernel, if buffers are consumed in parts */
    uint16_t references; /* views that point into it */
    bool filled;         /* the kernel has finished with it */
} berth__ring_buffer;

typedef struct berth__ring {
    struct io_uring ring;
    struct io_uring_buf_ring *entries;
    uint8_t *memory;
    unsigned count; /* of buffers */
    unsigned size;  /* of each */
    unsigned cap;   /* bytes that a receive takes before others get their turn; 0: not limited */
    bool incremental;
    bool reaping;               /* completions are being taken in: none is put aside */
    struct io_uring_cqe *aside; /* completions that are older than those in the queue */
    unsigned aside_count;
    unsigned aside_room;
    unsigned forked; /* further completions there, which the queue has too: for a child */
    bool incomplete; /* and there was no memory for some */
    unsigned ends;   /* closes that are ends: that many, or fewer, are not submitted yet */
    berth__ring_buffer buffers[BERTH__RING_BUFFERS];
} berth__ring;

/* Sets up a ring and has it pass its self-test. Returns NULL, or the step that failed with errno
 * set; nothing stays open then. */
const char *berth__ring_open(berth__ring *ring);
void berth__ring_close(berth__ring *ring);

/* Fork. In the parent, before it: submits what was prepared, and copies the completions that wait,
 * that the child may have them. In the child: the completions of before, once; `drop` gives the
 * ring up without touching it; `renew` puts another into its place, with the same buffers, so that
 * what points into them holds. Returns an errno, and nothing has changed then. */
void berth__ring_before_fork(berth__ring *ring);
const struct io_uring_cqe *berth__ring_inherit(berth__ring *ring, unsigned *ret_count);
void berth__ring_drop(berth__ring *ring);
int berth__ring_renew(berth__ring *ring);

/* Why a step has failed, in words. */
void berth__ring_explain(const char *step, int error, char *ret_text, size_t size);

/* A free entry; submits those before it if there is none, and puts completions aside where the
 * queue is half full. NULL if the kernel takes no more. */
struct io_uring_sqe *berth__ring_entry(berth__ring *ring);

/* Prepares the close of a descriptor, whose success is not reported; false if the kernel takes no
 * more. One that `is_end` of a connection of which nobody has a copy: if somebody has when it is
 * submitted, because another thread has forked, the connection is shut down before. */
bool berth__ring_prepare_close(berth__ring *ring, int descriptor, bool is_end);

/* Prepare a poll of one shot, and the end of the operation with a user_data, whose success is not
 * reported; false if the kernel takes no more. */
bool berth__ring_prepare_poll(berth__ring *ring, int descriptor, unsigned events, uint64_t label);
bool berth__ring_prepare_cancel(berth__ring *ring, uint64_t label);

/* Whether there is something to submit, or the kernel has completions that only entering it brings
 * out. */
bool berth__ring_has_entries(const berth__ring *ring);
bool berth__ring_has_work(const berth__ring *ring);

/* Whether completions wait to be taken in. */
bool berth__ring_has_completions(const berth__ring *ring);

/* Has the kernel raise an eventfd whenever there is a completion, or one to be brought out. Returns
 * an errno. */
int berth__ring_signal(berth__ring *ring, int eventfd);

/* Whether completions have found no room, and wait in the kernel. */
bool berth__ring_overflowed(const berth__ring *ring);

/* Enter the kernel; all return 0 or an errno. submit only hands over, turn brings out completions
 * as well, sleep waits for the first (`timeout` in nanoseconds, negative for no limit; ETIME when
 * it is over). */
int berth__ring_submit(berth__ring *ring);
int berth__ring_turn(berth__ring *ring);
int berth__ring_sleep(berth__ring *ring, int64_t timeout);

/* The bytes of a completion with a buffer, and one reference to them. */
const uint8_t *berth__ring_take(berth__ring *ring, const struct io_uring_cqe *cqe);
void berth__ring_give(berth__ring *ring, const uint8_t *bytes);
bool berth__ring_same_buffer(const berth__ring *ring, const uint8_t *one, const uint8_t *other);

/* An entry of a receive that waits for bytes first, and goes on until it is cancelled or fails. */
void berth__ring_prepare_receive(const berth__ring *ring, struct io_uring_sqe *sqe, int descriptor);

#endif
