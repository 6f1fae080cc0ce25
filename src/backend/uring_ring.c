/*
 * A ring, its buffers, and the proof that both work here.
 *
 * Normal course: berth__ring_open sets the ring up with the newest flags the kernel takes,
 * registers buffers, and sends a few bytes from one end of a socket pair to the other through that
 * very ring. Only bytes that arrive prove that io_uring can be used: a kernel's version does not,
 * with containers, seccomp filters and sysctls in between.
 *
 * Buffers are consumed incrementally where the kernel can (6.12) and the test finds it sound: 16 of
 * 64 KiB, so that bulk comes in large pieces while small messages pack, and little memory is ever
 * touched. Else there are 256 fixed ones of 16 KiB. The memory is mapped, and costs nothing until
 * the kernel writes to it.
 *
 * A receive gives others their turn after 64 KiB where the kernel can have it so (6.17); else it
 * takes up to 32 buffers at a time.
 *
 * When the kernel is through with an incremental buffer is decided by counting its bytes. The flag
 * that should say so (IORING_CQE_F_BUF_MORE missing) is not enough: kernels up to 6.19 leave it out
 * at the end of a stream too, with the buffer still in use, and giving it back then would have it
 * in the ring twice.
 *
 * The kernel charges the user for a ring, up to RLIMIT_MEMLOCK (8 MiB on Debian) over all his
 * processes, and so it is small: 64 entries (4 KiB), 256 completions (8 KiB) and the table of the
 * buffers (4 KiB) are 16 KiB, which is enough for 512 loops. A larger one would save a system call
 * in 64 operations of a busy turn, which cannot be measured. The buffers are not charged.
 *
 * Failures: every step of opening gives its name and an errno. Entering the kernel can fail with
 * EINTR (a signal), EAGAIN, EBUSY and ENOMEM (try again when completions have been taken); anything
 * else means that the ring is broken.
 */
#include "uring_ring.h"

#include "backend.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/system.h"

/* What liburing 2.3 has no names for. */
#define RING_INCREMENTAL 2u       /* IOU_PBUF_RING_INC, in the flags that 2.3 calls pad */
#define CQE_BUFFER_MORE (1u << 4) /* IORING_CQE_F_BUF_MORE */

#define MODERN_FLAGS (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)
#define COMMON_FLAGS (IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE)
#define SET_UP "io_uring_setup"
#define NEEDED_FEATURES                                                       \
    (IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL | \
     IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP)

/* How large the parts of a ring are. In test builds the environment can make a smaller one, that
 * runs out of buffers and of room for completions: BERTH_RING_BUFFERS (a power of two) and
 * BERTH_RING_COMPLETIONS; and one as on an older kernel: without buffers that are consumed
 * incrementally (BERTH_RING_INCREMENTAL=0), without any flag of set-up (BERTH_RING_FLAGS=0). */
#ifdef BERTH_FAULTS
static unsigned size_of(const char *variable, unsigned standard)
{
    const char *text = getenv(variable);
    unsigned long wanted = text != NULL ? strtoul(text, NULL, 10) : 0;
    return wanted > 0 && wanted < standard ? (unsigned)wanted : standard;
}

/* A queue that was made small on purpose has to overflow. */
static bool is_cramped(void)
{
    return size_of("BERTH_RING_COMPLETIONS", BERTH__RING_COMPLETIONS) < BERTH__RING_COMPLETIONS;
}

static bool has(const char *variable)
{
    const char *text = getenv(variable);
    return text == NULL || strcmp(text, "0") != 0;
}
#else
#define size_of(variable, standard) ((unsigned)(standard))
#define is_cramped() false
#define has(variable) true
#endif

enum {
    GROUP = 0,
    PAGE = 4096,
    CAP = 65536,
    MOST_ASIDE = 65536, /* completions */
    /* Milliseconds; see set_up_patiently. */
    LONGEST_PAUSE = 64,
    LONGEST_PAUSE_FOR_OWN = 1024,
    JUST_CLOSED = 5000,
    GIVEN_UP = 1000 /* in which nobody waits again after having waited in vain */
};

/* The errno of what liburing returns. */
static int outcome(int result)
{
    return result < 0 ? -result : 0;
}

/* ---- entering the kernel ------------------------------------------------------------------ */

/* Another thread has forked since closes were prepared that would have been an end enough: the
 * child has copies, and so the ends are shown before. What the kernel has refused to take waits
 * from its head on. */
BERTH__RARE static void show_ends(berth__ring *ring)
{
    struct io_uring_sq *queue = &ring->ring.sq;
    unsigned first = queue->sqe_tail - io_uring_sq_ready(&ring->ring);
    for (unsigned i = first; i != queue->sqe_tail; i++) {
        struct io_uring_sqe *sqe = &queue->sqes[i & (queue->ring_entries - 1)];
        if (sqe->user_data != BERTH__RING_END)
            continue;
        (void)BERTH__SYSTEM("shutdown", shutdown(sqe->fd, SHUT_RDWR));
        sqe->user_data = 0;
    }
    ring->ends = 0;
}

static void before_entering(berth__ring *ring)
{
    if (ring->ends == 0)
        return;
    if (berth__copies_exist())
        show_ends(ring);
    else if (!berth__ring_has_entries(ring))
        ring->ends = 0;
}

int berth__ring_submit(berth__ring *ring)
{
    before_entering(ring);
    return outcome(BERTH__RING_SYSTEM("io_uring_enter", io_uring_submit(&ring->ring)));
}

int berth__ring_turn(berth__ring *ring)
{
    before_entering(ring);
    return outcome(
        BERTH__RING_SYSTEM("io_uring_enter", io_uring_submit_and_get_events(&ring->ring)));
}

int berth__ring_sleep(berth__ring *ring, int64_t timeout)
{
    before_entering(ring);
    if (timeout < 0)
        return outcome(
            BERTH__RING_SYSTEM("io_uring_enter", io_uring_submit_and_wait(&ring->ring, 1)));
    struct __kernel_timespec time = {.tv_sec = timeout / 1000000000,
                                     .tv_nsec = timeout % 1000000000};
    struct io_uring_cqe *first = NULL;
    return outcome(BERTH__RING_SYSTEM(
        "io_uring_enter", io_uring_submit_and_wait_timeout(&ring->ring, &first, 1, &time, NULL)));
}

static bool reserve_aside(berth__ring *ring, unsigned count)
{
    unsigned room = ring->aside_room > 0 ? ring->aside_room : BERTH__RING_COMPLETIONS;
    while (room < ring->aside_count + count)
        room *= 2;
    if (room > MOST_ASIDE)
        return false;
    if (room == ring->aside_room)
        return true;
    struct io_uring_cqe *larger = berth__reallocate(ring->aside, room * sizeof *larger);
    if (larger == NULL)
        return false;
    ring->aside = larger;
    ring->aside_room = room;
    return true;
}

/* The kernel would keep what finds no room, but in memory that it may fail to get, and it ends
 * receives that should go on. The last completion stays, so that the descriptor of the ring is
 * readable. */
static void put_aside(berth__ring *ring)
{
    unsigned ready = io_uring_cq_ready(&ring->ring);
    if (ring->reaping || ready <= ring->ring.cq.ring_entries / 2 || is_cramped() ||
        !reserve_aside(ring, ready - 1))
        return;
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned count = 0;
    io_uring_for_each_cqe(&ring->ring, head, cqe)
    {
        if (++count == ready)
            break;
        ring->aside[ring->aside_count++] = *cqe;
    }
    io_uring_cq_advance(&ring->ring, ready - 1);
}

BERTH__RARE static struct io_uring_sqe *make_entry(berth__ring *ring)
{
    struct io_uring_sqe *sqe = NULL;
    for (int attempt = 0; sqe == NULL && attempt < 3; attempt++) {
        (void)berth__ring_submit(ring);
        sqe = io_uring_get_sqe(&ring->ring);
    }
    put_aside(ring);
    return sqe;
}

struct io_uring_sqe *berth__ring_entry(berth__ring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    return sqe != NULL ? sqe : make_entry(ring);
}

bool berth__ring_prepare_close(berth__ring *ring, int descriptor, bool is_end)
{
    struct io_uring_sqe *sqe = berth__ring_entry(ring);
    if (sqe == NULL)
        return false;
    io_uring_prep_close(sqe, descriptor);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, is_end ? BERTH__RING_END : 0);
    ring->ends += is_end;
    return true;
}

bool berth__ring_prepare_poll(berth__ring *ring, int descriptor, unsigned events, uint64_t label)
{
    struct io_uring_sqe *sqe = berth__ring_entry(ring);
    if (sqe == NULL)
        return false;
    io_uring_prep_poll_add(sqe, descriptor, events);
    io_uring_sqe_set_data64(sqe, label);
    return true;
}

bool berth__ring_prepare_cancel(berth__ring *ring, uint64_t label)
{
    struct io_uring_sqe *sqe = berth__ring_entry(ring);
    if (sqe == NULL)
        return false;
    io_uring_prep_cancel64(sqe, label, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, 0);
    return true;
}

bool berth__ring_has_entries(const berth__ring *ring)
{
    return io_uring_sq_ready(&ring->ring) > 0;
}

bool berth__ring_has_work(const berth__ring *ring)
{
    unsigned flags = IO_URING_READ_ONCE(*ring->ring.sq.kflags);
    return (flags & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) != 0;
}

bool berth__ring_has_completions(const berth__ring *ring)
{
    return ring->aside_count > 0 || io_uring_cq_ready(&ring->ring) > 0;
}

int berth__ring_signal(berth__ring *ring, int eventfd)
{
    return outcome(
        BERTH__RING_SYSTEM("io_uring_register", io_uring_register_eventfd(&ring->ring, eventfd)));
}

bool berth__ring_overflowed(const berth__ring *ring)
{
    return (IO_URING_READ_ONCE(*ring->ring.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0;
}

/* An attempt before there are bytes would be in vain, and fail if there is no buffer at the moment.
 */
void berth__ring_prepare_receive(const berth__ring *ring, struct io_uring_sqe *sqe, int descriptor)
{
    io_uring_prep_recv_multishot(sqe, descriptor, NULL, ring->cap, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    sqe->buf_group = GROUP;
}

/* ---- buffers ------------------------------------------------------------------------------ */

static void provide(berth__ring *ring, unsigned number)
{
    ring->buffers[number] = (berth__ring_buffer){0};
    io_uring_buf_ring_add(ring->entries, ring->memory + (size_t)number * ring->size, ring->size,
                          (unsigned short)number, (int)ring->count - 1, 0);
    io_uring_buf_ring_advance(ring->entries, 1);
}

const uint8_t *berth__ring_take(berth__ring *ring, const struct io_uring_cqe *cqe)
{
    unsigned number = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    berth__ring_buffer *buffer = &ring->buffers[number];
    const uint8_t *bytes = ring->memory + (size_t)number * ring->size + buffer->used;
    bool filled = !ring->incremental;
    if (ring->incremental && cqe->res > 0) {
        buffer->used += (uint32_t)cqe->res;
        filled = buffer->used >= ring->size || !(cqe->flags & CQE_BUFFER_MORE);
    }
    buffer->filled = buffer->filled || filled;
    buffer->references++;
    return bytes;
}

static unsigned number_of(const berth__ring *ring, const uint8_t *bytes)
{
    return (unsigned)((size_t)(bytes - ring->memory) / ring->size);
}

bool berth__ring_same_buffer(const berth__ring *ring, const uint8_t *one, const uint8_t *other)
{
    return number_of(ring, one) == number_of(ring, other);
}

void berth__ring_give(berth__ring *ring, const uint8_t *bytes)
{
    unsigned number = number_of(ring, bytes);
    berth__ring_buffer *buffer = &ring->buffers[number];
    buffer->references--;
    if (buffer->filled && buffer->references == 0)
        provide(ring, number);
}

static void unmap(berth__ring *ring)
{
    if (ring->entries != NULL)
        (void)munmap(ring->entries, PAGE);
    if (ring->memory != NULL)
        (void)munmap(ring->memory, (size_t)ring->count * ring->size);
    ring->entries = NULL;
    ring->memory = NULL;
}

static void *map(size_t size)
{
    _Static_assert(BERTH__RING_BUFFERS * sizeof(struct io_uring_buf) <= PAGE,
                   "one page of entries");
    void *none = NULL;
    void *pages = mmap(none, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    (void)madvise(pages, size, MADV_NOHUGEPAGE); /* one byte would cost two megabytes */
    return pages;
}

static const char *map_buffers(berth__ring *ring, bool incremental)
{
    ring->incremental = incremental;
    ring->count = size_of("BERTH_RING_BUFFERS", incremental ? 16 : BERTH__RING_BUFFERS);
    ring->size = incremental ? 65536 : 16384;
    ring->entries = map(PAGE);
    ring->memory = map((size_t)ring->count * ring->size);
    if (ring->entries != NULL && ring->memory != NULL)
        return NULL;
    errno = ENOMEM;
    return "mmap";
}

static const char *register_buffers(berth__ring *ring)
{
    struct io_uring_buf_reg group = {
        .ring_addr = (uint64_t)(uintptr_t)ring->entries,
        .ring_entries = ring->count,
        .bgid = GROUP,
        .pad = ring->incremental ? RING_INCREMENTAL : 0,
    };
    int error = outcome(BERTH__RING_SYSTEM("io_uring_register",
                                           io_uring_register_buf_ring(&ring->ring, &group, 0)));
    if (error != 0) {
        errno = error;
        return "io_uring_register of buffers";
    }
    io_uring_buf_ring_init(ring->entries);
    for (unsigned number = 0; number < ring->count; number++) {
        ring->buffers[number].filled = true;
        if (ring->buffers[number].references == 0)
            provide(ring, number);
    }
    return NULL;
}

/* What the test has received would have every later receive begin ten bytes into a page, where
 * copying takes several times as long (AMD Zen: `rep movsb` to just behind the source's offset in
 * its page). */
static const char *renew_buffers(berth__ring *ring)
{
    int error = outcome(
        BERTH__RING_SYSTEM("io_uring_register", io_uring_unregister_buf_ring(&ring->ring, GROUP)));
    if (error == 0)
        return register_buffers(ring);
    errno = error;
    return "io_uring_register of buffers";
}

/* ---- the self-test ------------------------------------------------------------------------ */

enum {
    TEST_RECEIVE = 1,
    TEST_SEND = 2,
    WORD = 5
};

static int next_completion(berth__ring *ring, struct io_uring_cqe *ret_completion)
{
    struct io_uring_cqe *cqe = NULL;
    struct __kernel_timespec second = {.tv_sec = 1};
    int error;
    do {
        error =
            outcome(BERTH__RING_SYSTEM("io_uring_enter", io_uring_submit_and_wait_timeout(
                                                             &ring->ring, &cqe, 1, &second, NULL)));
    } while (cqe == NULL && error == EINTR);
    if (cqe == NULL)
        return error != 0 ? error : ETIME;
    *ret_completion = *cqe;
    io_uring_cqe_seen(&ring->ring, cqe);
    return 0;
}

static int start_receive(berth__ring *ring, int descriptor)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (sqe == NULL)
        return EBUSY;
    berth__ring_prepare_receive(ring, sqe, descriptor);
    io_uring_sqe_set_data64(sqe, TEST_RECEIVE);
    return 0;
}

/* Whether the word has come in a buffer, and the receive goes on. */
static bool has_word(berth__ring *ring, const struct io_uring_cqe *cqe, const char *word)
{
    unsigned wanted = IORING_CQE_F_BUFFER | IORING_CQE_F_MORE;
    wanted |= ring->incremental ? CQE_BUFFER_MORE : 0u;
    if ((cqe->flags & wanted) != wanted || (cqe->flags >> IORING_CQE_BUFFER_SHIFT) >= ring->count)
        return false;
    const uint8_t *bytes = berth__ring_take(ring, cqe);
    bool same = memcmp(bytes, word, WORD) == 0;
    berth__ring_give(ring, bytes);
    return same;
}

/* Sends a word into the pair's second end, and expects it to arrive at the first. */
static int echo_word(berth__ring *ring, const int pair[2], const char *word)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (sqe == NULL)
        return EBUSY;
    io_uring_prep_send(sqe, pair[1], word, WORD, MSG_NOSIGNAL);
    io_uring_sqe_set_data64(sqe, TEST_SEND);
    unsigned seen = 0;
    while (seen != (TEST_RECEIVE | TEST_SEND)) {
        struct io_uring_cqe cqe;
        int error = next_completion(ring, &cqe);
        if (error == 0 && cqe.res == -EINVAL && ring->cap > 0 && cqe.user_data == TEST_RECEIVE) {
            ring->cap = 0; /* before 6.17 a receive cannot be capped */
            error = start_receive(ring, pair[0]);
            if (error == 0)
                continue;
        }
        if (error != 0)
            return error;
        if (cqe.res != WORD || (seen & cqe.user_data) != 0)
            return cqe.res < 0 ? -cqe.res : EPROTO;
        if (cqe.user_data == TEST_RECEIVE && !has_word(ring, &cqe, word))
            return EPROTO;
        seen |= (unsigned)cqe.user_data;
    }
    return 0;
}

/* The receive has to end with its stream. */
static int expect_end(berth__ring *ring)
{
    struct io_uring_cqe cqe;
    int error = next_completion(ring, &cqe);
    if (error != 0)
        return error;
    bool good = cqe.res == 0 && !(cqe.flags & IORING_CQE_F_MORE) && cqe.user_data == TEST_RECEIVE;
    if (good && (cqe.flags & IORING_CQE_F_BUFFER))
        berth__ring_give(ring, berth__ring_take(ring, &cqe));
    return good ? 0 : EPROTO;
}

/* Where buffers are incremental the second word has to lie right behind the first. */
static const char *test(berth__ring *ring)
{
    int pair[2];
    if (BERTH__SYSTEM("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) < 0)
        return "socketpair";
    int error = start_receive(ring, pair[0]);
    if (error == 0)
        error = echo_word(ring, pair, "berth");
    if (error == 0)
        error = echo_word(ring, pair, "cleat");
    (void)close(pair[1]);
    if (error == 0)
        error = expect_end(ring);
    (void)close(pair[0]);
    errno = error;
    return error != 0 ? "the self-test of io_uring" : NULL;
}

/* ---- life --------------------------------------------------------------------------------- */

static int set_up(berth__ring *ring, unsigned flags)
{
    struct io_uring_params parameters;
    memset(&parameters, 0, sizeof parameters);
    parameters.flags = COMMON_FLAGS | flags;
    parameters.cq_entries = size_of("BERTH_RING_COMPLETIONS", BERTH__RING_COMPLETIONS);
    unsigned entries = parameters.cq_entries < BERTH__RING_SUBMISSIONS ? parameters.cq_entries
                                                                       : BERTH__RING_SUBMISSIONS;
    int error = outcome(
        BERTH__RING_SYSTEM(SET_UP, io_uring_queue_init_params(entries, &ring->ring, &parameters)));
    if (error != 0 || (parameters.features & NEEDED_FEATURES) == NEEDED_FEATURES)
        return error;
    io_uring_queue_exit(&ring->ring);
    return EOPNOTSUPP;
}

/* When the last set-up was refused after waiting, in milliseconds; 0: not since a ring was closed.
 */
static atomic_llong refused;
static atomic_llong closed; /* when the last ring of this process was closed; 0: none */

static long long milliseconds(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (long long)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* The kernel takes the memory of a closed ring off the user's account some 25 ms late, when it can
 * be sure that nobody uses it: up to 127 ms are waited for that, and up to two seconds for a ring
 * that this process has closed, whose memory will come, but on a busy machine later. Where all of
 * the memory is in use, only the first loop in a second waits. */
static int set_up_patiently(berth__ring *ring, unsigned flags)
{
    int error = set_up(ring, flags);
    long long before = atomic_load(&refused);
    if (error != ENOMEM || (before != 0 && milliseconds() - before < GIVEN_UP))
        return error;
    long long last = atomic_load(&closed);
    bool own = last != 0 && milliseconds() - last < JUST_CLOSED;
    int longest = own ? LONGEST_PAUSE_FOR_OWN : LONGEST_PAUSE;
    for (int pause = 1; error == ENOMEM && pause <= longest; pause *= 2) {
        struct timespec time = {.tv_sec = pause / 1000, .tv_nsec = pause % 1000 * 1000000L};
        (void)nanosleep(&time, NULL);
        error = set_up(ring, flags);
    }
    if (error == ENOMEM)
        atomic_store(&refused, milliseconds());
    return error;
}

static const char *set_up_best(berth__ring *ring)
{
    static const unsigned attempts[] = {
        MODERN_FLAGS | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, /* 6.1 */
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,                /* 5.19 */
        0,
    };
    int error = EINVAL;
    size_t count = sizeof attempts / sizeof *attempts;
    size_t first = has("BERTH_RING_FLAGS") ? 0 : count - 1;
    for (size_t i = first; error == EINVAL && i < count; i++)
        error = set_up_patiently(ring, attempts[i]);
    if (error == 0)
        return NULL;
    errno = error;
    return SET_UP;
}

/* With a kernel that cannot do it incrementally there is a second ring: what a failed test has left
 * behind must not complete into the next one. */
const char *berth__ring_open(berth__ring *ring)
{
    const char *failed = NULL;
    for (int incremental = has("BERTH_RING_INCREMENTAL"); incremental >= 0; incremental--) {
        memset(ring, 0, sizeof *ring);
        failed = set_up_best(ring);
        if (failed != NULL)
            return failed;
        (void)io_uring_register_ring_fd(&ring->ring); /* only faster */
        ring->cap = CAP;
        failed = map_buffers(ring, incremental);
        if (failed == NULL)
            failed = register_buffers(ring);
        if (failed == NULL)
            failed = test(ring);
        if (failed == NULL)
            failed = renew_buffers(ring);
        if (failed == NULL)
            return NULL;
        int error = errno;
        io_uring_queue_exit(&ring->ring);
        unmap(ring);
        errno = error;
    }
    return failed;
}

void berth__ring_explain(const char *step, int error, char *ret_text, size_t size)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    if (error != ENOMEM || strcmp(step, SET_UP) != 0 || limit.rlim_cur == RLIM_INFINITY)
        (void)snprintf(ret_text, size, "%s: %s", step, strerror(error));
    else
        (void)snprintf(ret_text, size,
                       "%s: %s (a loop needs %u KiB of the user's locked memory, RLIMIT_MEMLOCK "
                       "is %llu KiB)",
                       step, strerror(error), (unsigned)BERTH__RING_LOCKED,
                       (unsigned long long)limit.rlim_cur / 1024);
}

void berth__ring_close(berth__ring *ring)
{
    before_entering(ring);
    if (berth__ring_has_entries(ring))
        (void)io_uring_submit(&ring->ring);
    io_uring_queue_exit(&ring->ring);
    unmap(ring);
    berth__release(ring->aside);
    atomic_store(&refused, 0);
    atomic_store(&closed, milliseconds());
}

/* ---- fork --------------------------------------------------------------------------------- */

/* Not by io_uring_queue_exit, which would end the registration of another ring of this process at
 * the same place. */
static void let_go(struct io_uring *ring)
{
    (void)munmap(ring->sq.sqes, ring->sq.ring_entries * sizeof *ring->sq.sqes);
    if (ring->cq.ring_ptr != NULL && ring->cq.ring_ptr != ring->sq.ring_ptr)
        (void)munmap(ring->cq.ring_ptr, ring->cq.ring_sz);
    (void)munmap(ring->sq.ring_ptr, ring->sq.ring_sz);
    (void)close(ring->ring_fd);
}

/* The child may be late, and the parent's queue another by then. */
void berth__ring_before_fork(berth__ring *ring)
{
    ring->forked = 0;
    ring->incomplete = ring->reaping; /* a signal handler forks in the middle */
    if (ring->incomplete)
        return;
    if (berth__ring_has_entries(ring))
        (void)berth__ring_submit(ring);
    unsigned ready = io_uring_cq_ready(&ring->ring);
    ring->incomplete = ready > 0 && !reserve_aside(ring, ready);
    if (ring->incomplete)
        return;
    struct io_uring_cqe *cqe;
    unsigned head;
    io_uring_for_each_cqe(&ring->ring, head, cqe)
    {
        if (ring->forked == ready)
            break;
        ring->aside[ring->aside_count + ring->forked++] = *cqe;
    }
}

const struct io_uring_cqe *berth__ring_inherit(berth__ring *ring, unsigned *ret_count)
{
    *ret_count = ring->aside_count + ring->forked;
    ring->aside_count = ring->forked = 0;
    return ring->aside;
}

void berth__ring_drop(berth__ring *ring)
{
    let_go(&ring->ring);
    unmap(ring);
    berth__release(ring->aside);
}

int berth__ring_renew(berth__ring *ring)
{
    berth__ring fresh;
    if (ring->incomplete)
        return ENOMEM;
    if (berth__ring_open(&fresh) != NULL)
        return errno;
    if (fresh.count != ring->count || fresh.size != ring->size ||
        fresh.incremental != ring->incremental) {
        berth__ring_close(&fresh);
        return EOPNOTSUPP;
    }
    uint8_t *memory = fresh.memory;
    fresh.memory = ring->memory;
    memcpy(fresh.buffers, ring->buffers, sizeof fresh.buffers);
    if (renew_buffers(&fresh) != NULL) {
        int error = errno;
        fresh.memory = memory;
        berth__ring_close(&fresh);
        return error;
    }
    ring->memory = memory;
    berth__ring_drop(ring);
    *ring = fresh;
    return 0;
}
