/*
 * The disk of a torrent, with a loop, threads and files: blocks in any order, hashes, the bound of
 * what waits, failures, jobs that cannot be had, savings, checks, and each way to end.
 *
 * A gate, a job of its own, keeps the one thread of a pool, so that what is submitted waits.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <check.h>

#include <berth/berth.h>

static uint32_t submits_left = UINT32_MAX; /* before one fails */
static uint32_t submits_fail = UINT32_MAX; /* so many then */
static bool posts_fail;

static berth_job *submit_or_fail(berth_workers *threads, berth_loop *loop, berth_job_work work,
                                 berth_job_done done, void *user)
{
    if (submits_left == 0 && submits_fail > 0) {
        submits_fail--;
        return NULL;
    }
    if (submits_left > 0)
        submits_left--;
    return berth_workers_submit(threads, loop, work, done, user);
}

static bool post_or_fail(berth_loop *loop, berth_task task, void *user)
{
    return !posts_fail && berth_loop_post(loop, task, user);
}

#define berth_workers_submit submit_or_fail
#define berth_loop_post post_or_fail
#include "../../examples/torrent/disk.c"
#undef berth_workers_submit
#undef berth_loop_post

#define PIECES 12u
#define PIECE (3 * BLOCK_SIZE)
#define LENGTH ((uint64_t)PIECES * PIECE - 1000)

static metainfo_file listed[] = {
    {"t/a", 0, 100000, false}, {"t/pad", 100000, 7, true}, {"t/b", 100007, LENGTH - 100007, false}};
static metainfo info = {.name = "t",
                        .hash = {0xbe, 0x47, 1},
                        .length = LENGTH,
                        .piece_length = PIECE,
                        .piece_count = PIECES,
                        .files = listed,
                        .file_count = 3};
static uint8_t content[LENGTH];
static uint8_t hashes[PIECES * HASH_SIZE];

typedef struct seen {
    uint32_t stored;
    uint32_t lost;
    uint32_t verdicts[3];
    uint32_t reads;
    uint32_t empty_reads;
    uint32_t relieved;
    uint32_t failures;
    uint32_t saves;
    uint32_t failed_saves;
    bool check_ended;
    bool check_good;
    bool closed;
    bool close_when_failed;
    disk *disk;
    char why[WHY_SIZE];
} seen;

static char folder[] = "/tmp/torrent_disk.XXXXXX";
static berth_loop *loop;
static berth_workers *threads;
static disk_queue queue;
static seen first;
static seen second;
static bits have;

/* ---- handlers -------------------------------------------------------------------------------- */

static void on_written(void *user, uint32_t index, uint32_t number, bool ok)
{
    seen *self = user;
    (void)index;
    (void)number;
    self->stored += ok;
    self->lost += !ok;
}

static void on_hashed(void *user, uint32_t index, disk_verdict verdict)
{
    seen *self = user;
    (void)index;
    self->verdicts[verdict]++;
}

static void on_read(void *user, void *context, uint32_t index, uint32_t begin, uint32_t length,
                    void *data)
{
    seen *self = user;
    ck_assert_ptr_eq(context, self);
    self->reads++;
    self->empty_reads += data == NULL;
    if (data)
        ck_assert_mem_eq(data, content + (size_t)index * PIECE + begin, length);
    disk_give_back(data, length, NULL);
}

static void on_relieved(void *user)
{
    seen *self = user;
    ck_assert_uint_le(queue.waiting, DISK_MOST_WAITING / 2);
    self->relieved++;
}

static void on_failed(void *user, const char *why)
{
    seen *self = user;
    self->failures++;
    snprintf(self->why, sizeof(self->why), "%s", why);
    if (self->close_when_failed)
        disk_close(self->disk);
}

static void on_saved(void *user, bool ok, const char *why)
{
    seen *self = user;
    (void)why;
    self->saves++;
    self->failed_saves += !ok;
}

static void on_check_progress(void *user, uint32_t done, uint32_t of)
{
    (void)user;
    ck_assert_uint_le(done, of);
}

static void on_ended(void *user, bool ok)
{
    seen *self = user;
    self->check_ended = true;
    self->check_good = ok;
}

static void on_closed(void *user)
{
    seen *self = user;
    disk_stamp stamps[3];
    disk_stamps(self->disk, stamps); /* as its comment promises */
    self->closed = true;
    self->disk = NULL;
}

static const disk_handlers events = {.written = on_written,
                                     .hashed = on_hashed,
                                     .read = on_read,
                                     .relieved = on_relieved,
                                     .failed = on_failed,
                                     .saved = on_saved,
                                     .checked = on_check_progress,
                                     .check_ended = on_ended,
                                     .closed = on_closed};

/* ---- helpers --------------------------------------------------------------------------------- */

static void start_pool(int count)
{
    threads = berth_workers_new(count, NULL, NULL);
    ck_assert_ptr_nonnull(threads);
    ck_assert(berth_workers_start(threads));
}

static void open_disk(seen *of)
{
    char error[256];
    of->disk =
        disk_new(loop, threads, &info, folder, false, &queue, &events, of, error, sizeof(error));
    ck_assert_msg(of->disk != NULL, "%s", error);
}

static void begin(void)
{
    uint32_t random = 1;
    for (size_t i = 0; i < LENGTH; i++) {
        random = random * 1103515245u + 12345u;
        content[i] = (uint8_t)(random >> 16);
    }
    memset(content + 100000, 0, 7);
    info.pieces = hashes;
    for (uint32_t i = 0; i < PIECES; i++)
        ck_assert(EVP_Digest(content + (size_t)i * PIECE, metainfo_piece_size(&info, i),
                             hashes + (size_t)i * HASH_SIZE, NULL, EVP_sha1(), NULL));
    ck_assert_ptr_nonnull(mkdtemp(folder));
    loop = berth_loop_new(NULL);
    ck_assert_ptr_nonnull(loop);
    ck_assert(bits_open(&have, PIECES));
}

/* Turns the loop until something holds. */
#define AWAIT(condition)                                             \
    do {                                                             \
        for (int turns = 0; turns < 100000 && !(condition); turns++) \
            berth_loop_turn(loop, 10);                               \
        ck_assert_msg((condition), "%s", #condition);                \
    } while (0)

static void close_disk(seen *of)
{
    disk_close(of->disk);
    AWAIT(of->closed);
}

static void end(void)
{
    char command[64];
    ck_assert_uint_eq(queue.waiting, 0);
    ck_assert_uint_eq(queue.gathered, 0);
    ck_assert(!queue.full);
    berth_workers_free(threads);
    berth_loop_free(loop);
    bits_close(&have);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static bool write_block(seen *of, uint32_t index, uint32_t number, bool wrong)
{
    uint8_t *data = disk_block(of->disk);
    uint32_t size = metainfo_block_size(&info, index, number);
    memcpy(data, content + (size_t)index * PIECE + (size_t)number * BLOCK_SIZE, size);
    data[0] ^= wrong;
    return disk_write(of->disk, index, number, data, size);
}

/* All blocks, those of a piece in an order that differs. Returns how many were taken. */
static uint32_t write_all(seen *of)
{
    static const uint32_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {0, 2, 1}};
    uint32_t taken = 0;
    for (uint32_t number = 0; number < 3; number++)
        for (uint32_t i = 0; i < PIECES; i++)
            taken += write_block(of, i, orders[i % 4][number], false);
    return taken;
}

static uint32_t hash_all(seen *of)
{
    uint32_t taken = 0;
    for (uint32_t i = 0; i < PIECES; i++)
        taken += disk_hash(of->disk, i);
    return taken;
}

/* The gate: a job that waits until it is opened. */
static atomic_bool gate_open;
static bool gate_passed;

static void wait_at_gate(berth_job *job, void *user)
{
    (void)job;
    (void)user;
    while (!atomic_load(&gate_open))
        usleep(1000);
}

static void passed_gate(berth_job *job, bool cancelled, void *user)
{
    (void)job;
    (void)cancelled;
    (void)user;
    gate_passed = true;
}

static void close_gate(void)
{
    ck_assert_ptr_nonnull(berth_workers_submit(threads, loop, wait_at_gate, passed_gate, NULL));
}

/* ---- writing --------------------------------------------------------------------------------- */

START_TEST(blocks_in_any_order)
{
    start_pool(4);
    open_disk(&first);
    ck_assert_uint_eq(write_all(&first), 3 * PIECES);
    ck_assert_uint_eq(hash_all(&first), PIECES);
    AWAIT(first.verdicts[DISK_GOOD] == PIECES);
    ck_assert_uint_eq(first.stored, 3 * PIECES);
    for (uint32_t i = 0; i < PIECES; i++)
        ck_assert(disk_read(first.disk, i, 100, BLOCK_SIZE, &first));
    AWAIT(first.reads == PIECES);
    ck_assert_uint_eq(first.empty_reads, 0);
    ck_assert(disk_check(first.disk, NULL, &have));
    AWAIT(first.check_ended);
    ck_assert(first.check_good);
    close_disk(&first);
    /* The check does not read what was only just made, and so believes nothing of it; another one
     * finds all of it. */
    ck_assert_uint_eq(have.set, 0);
    first = (seen){0};
    open_disk(&first);
    ck_assert(disk_check(first.disk, NULL, &have));
    AWAIT(first.check_ended);
    ck_assert(bits_full(&have));
    close_disk(&first);
}
END_TEST

START_TEST(a_wrong_block)
{
    start_pool(2);
    open_disk(&first);
    for (uint32_t number = 0; number < 3; number++)
        ck_assert(write_block(&first, 4, number, number == (uint32_t)_i));
    ck_assert(disk_hash(first.disk, 4));
    AWAIT(first.verdicts[DISK_BAD] == 1);
    for (uint32_t number = 0; number < 3; number++)
        ck_assert(write_block(&first, 4, 2 - number, false));
    ck_assert(disk_hash(first.disk, 4));
    AWAIT(first.verdicts[DISK_GOOD] == 1);
    close_disk(&first);
}
END_TEST

/* Blocks of the first disk fill the queue, one of the second exceeds it, and is stored before the
 * others; then the second one may even have gone. */
START_TEST(the_queue_is_of_all_disks)
{
    bool close_early = _i == 1;
    start_pool(1);
    open_disk(&first);
    open_disk(&second);
    close_gate();
    ck_assert(write_block(&second, 0, 0, false));
    uint32_t count = 1;
    for (; queue.waiting + BLOCK_SIZE <= DISK_MOST_WAITING; count++) {
        ck_assert(write_block(&first, count % (PIECES - 1), count % 3, false));
        ck_assert_uint_le(queue.gathered, 1024 * 1024);
    }
    ck_assert(!disk_full(first.disk));
    ck_assert(write_block(&second, 0, 1, false));
    ck_assert(disk_full(first.disk));
    if (close_early)
        disk_close(second.disk);
    atomic_store(&gate_open, true);
    AWAIT(queue.waiting == queue.gathered);
    ck_assert_uint_eq(first.relieved + second.relieved, 1);
    ck_assert(!queue.full);
    if (close_early)
        AWAIT(second.closed);
    else
        close_disk(&second);
    close_disk(&first);
    ck_assert_uint_eq(first.stored, count - 1);
    ck_assert_uint_eq(second.stored, 2);
}
END_TEST

/* Few blocks have no job of their own: they are stored when there are more of them, when the piece
 * is hashed, or when the disk is closed. */
START_TEST(blocks_are_gathered)
{
    start_pool(1);
    open_disk(&first);
    ck_assert(write_block(&first, 1, 0, false));
    ck_assert(write_block(&first, 1, 2, false));
    ck_assert(write_block(&first, 2, 0, false));
    for (int turns = 0; turns < 20; turns++)
        berth_loop_turn(loop, 1);
    ck_assert_uint_eq(first.stored, 0);
    ck_assert_uint_eq(queue.gathered, 3 * BLOCK_SIZE);
    ck_assert(write_block(&first, 1, 1, false));
    ck_assert(disk_hash(first.disk, 1));
    ck_assert_uint_eq(queue.gathered, BLOCK_SIZE);
    AWAIT(first.verdicts[DISK_GOOD] == 1);
    ck_assert_uint_eq(first.stored, 3);
    for (uint32_t i = 0; i < 6; i++)
        ck_assert(write_block(&first, 2, 1, false));
    ck_assert_uint_eq(queue.gathered, 7 * BLOCK_SIZE);
    ck_assert(write_block(&first, 2, 2, false)); /* the eighth */
    ck_assert_uint_eq(queue.gathered, 0);
    AWAIT(first.stored == 11);
    close_disk(&first);
}
END_TEST

static void limit_files(rlim_t size)
{
    struct rlimit limit = {size, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* In the second run the handler closes the disk, as the torrent does. */
START_TEST(a_failure_is_reported_once)
{
    start_pool(4);
    open_disk(&first);
    first.close_when_failed = _i == 1;
    limit_files(70000);
    ck_assert_uint_eq(write_all(&first), 3 * PIECES);
    ck_assert_uint_eq(hash_all(&first), PIECES);
    AWAIT(first.stored + first.lost == 3 * PIECES);
    AWAIT(first.verdicts[DISK_GOOD] + first.verdicts[DISK_UNKNOWN] == PIECES);
    ck_assert_uint_eq(first.failures, 1);
    ck_assert_msg(strstr(first.why, "File too large") != NULL, "%s", first.why);
    limit_files(RLIM_INFINITY);
    if (first.close_when_failed)
        AWAIT(first.closed);
    else
        close_disk(&first);
    first = (seen){0};
    open_disk(&first);
    ck_assert_uint_eq(write_all(&first), 3 * PIECES);
    ck_assert_uint_eq(hash_all(&first), PIECES);
    AWAIT(first.verdicts[DISK_GOOD] == PIECES);
    close_disk(&first);
}
END_TEST

START_TEST(a_read_that_fails)
{
    char path[128];
    start_pool(2);
    open_disk(&first);
    snprintf(path, sizeof(path), "%s/t/b", folder);
    ck_assert_int_eq(truncate(path, 10), 0);
    ck_assert_ptr_null(disk_read_now(first.disk, PIECES - 1, 0, 100));
    for (uint32_t i = 6; i < PIECES; i++)
        ck_assert(disk_read(first.disk, i, 0, 100, &first));
    AWAIT(first.reads == PIECES - 6);
    ck_assert_uint_eq(first.empty_reads, PIECES - 6);
    ck_assert_uint_eq(first.failures, 1);
    close_disk(&first);
}
END_TEST

/* No job can be had from the Nth on: whatever was taken is reported, and no handler is called by a
 * function of the disk. */
START_TEST(no_job)
{
    start_pool(1);
    open_disk(&first);
    close_gate();
    submits_left = (uint32_t)_i;
    uint32_t taken = write_all(&first);
    uint32_t hashed = hash_all(&first);
    ck_assert(disk_read(first.disk, 0, 0, 1, &first) == (_i > (int)PIECES));
    ck_assert_uint_eq(first.stored + first.lost + first.failures, 0);
    atomic_store(&gate_open, true);
    AWAIT(gate_passed && queue.waiting == 0);
    AWAIT(first.verdicts[DISK_GOOD] + first.verdicts[DISK_UNKNOWN] == hashed);
    ck_assert_uint_eq(first.verdicts[DISK_BAD], 0);
    /* A piece that could not be hashed has dropped its blocks, without a word. */
    ck_assert_uint_le(first.stored + first.lost, taken);
    ck_assert(hashed < PIECES || first.stored + first.lost == taken);
    submits_left = UINT32_MAX;
    close_disk(&first);
}
END_TEST

/* The job that takes what came meanwhile cannot be had, and the handler that hears of it closes the
 * disk, which tries again: in vain, or (second run) not. */
START_TEST(no_second_job)
{
    start_pool(1);
    open_disk(&first);
    first.close_when_failed = true;
    close_gate();
    for (uint32_t i = 0; i < 8; i++) /* the eighth starts the first job */
        ck_assert(write_block(&first, 1, i % 3, false));
    ck_assert_uint_eq(queue.gathered, 0);
    ck_assert(write_block(&first, 1, 0, false));
    ck_assert(disk_hash(first.disk, 1));
    submits_left = 0;
    submits_fail = _i == 0 ? UINT32_MAX : 1;
    atomic_store(&gate_open, true);
    AWAIT(first.closed);
    ck_assert_uint_eq(first.failures, 1);
    ck_assert_str_eq(first.why, "out of memory");
    ck_assert_uint_eq(first.stored, 8);
    ck_assert_uint_eq(first.lost, 1);
    ck_assert_uint_eq(first.verdicts[DISK_UNKNOWN], 1);
}
END_TEST

/* ---- ends ------------------------------------------------------------------------------------ */

START_TEST(closed_while_blocks_wait)
{
    start_pool(1);
    open_disk(&first);
    close_gate();
    uint32_t taken = write_all(&first);
    uint32_t hashed = hash_all(&first);
    ck_assert(disk_read(first.disk, 0, 0, 1, &first));
    disk_close(first.disk);
    ck_assert(!write_block(&first, 0, 0, false));
    ck_assert(!disk_hash(first.disk, 0));
    ck_assert(!disk_save(first.disk, NULL, 0, false));
    disk_close(first.disk); /* again, as one may */
    atomic_store(&gate_open, true);
    AWAIT(first.closed);
    ck_assert_uint_eq(first.stored, taken);
    ck_assert_uint_eq(first.verdicts[DISK_GOOD], hashed);
    ck_assert_uint_eq(first.reads, 1);
}
END_TEST

START_TEST(closed_without_memory)
{
    start_pool(1);
    open_disk(&first);
    posts_fail = true;
    disk_close(first.disk);
    for (int i = 0; i < 20; i++)
        berth_loop_turn(loop, 1);
    ck_assert(!first.closed);
    posts_fail = false;
    close_disk(&first);
}
END_TEST

/* The pool stops: its jobs are cancelled, which nobody is to be blamed for. */
START_TEST(the_pool_stops)
{
    start_pool(1);
    open_disk(&first);
    close_gate();
    uint32_t taken = write_all(&first);
    uint32_t hashed = hash_all(&first);
    ck_assert(disk_read(first.disk, 0, 0, 1, &first));
    atomic_store(&gate_open, true);
    berth_workers_stop(threads);
    AWAIT(first.stored + first.lost == taken && first.reads == 1);
    AWAIT(first.verdicts[DISK_GOOD] + first.verdicts[DISK_UNKNOWN] == hashed);
    ck_assert_uint_eq(first.verdicts[DISK_BAD], 0);
    close_disk(&first);
}
END_TEST

/* ---- the resume file, and the check ---------------------------------------------------------- */

static void save(uint64_t uploaded, bool sync)
{
    size_t size = 0;
    disk_stamp stamps[3];
    resume_state state = {0, uploaded};
    disk_stamps(first.disk, stamps);
    void *data = resume_encode(&info, &have, stamps, &state, &size);
    ck_assert_ptr_nonnull(data);
    if (!disk_save(first.disk, data, size, sync))
        free(data);
}

START_TEST(the_last_one_is_kept)
{
    char why[256];
    resume_state state;
    disk_stamp stamps[3];
    start_pool(4);
    open_disk(&first);
    write_all(&first);
    for (uint64_t i = 1; i <= 20; i++) {
        save(i, i % 2 == 0);
        if (i % 5 == 0)
            berth_loop_turn(loop, 1);
    }
    disk_close(first.disk);
    AWAIT(first.closed);
    ck_assert_uint_eq(first.failed_saves, 0);
    ck_assert_uint_ge(first.saves, 2);
    first = (seen){0};
    open_disk(&first);
    disk_stamps(first.disk, stamps);
    ck_assert_msg(resume_load(folder, &info, stamps, &have, &state, why, sizeof(why)), "%s", why);
    ck_assert_uint_eq(state.uploaded, 20);
    close_disk(&first);
}
END_TEST

START_TEST(a_save_that_cannot_be)
{
    start_pool(1);
    open_disk(&first);
    close_gate();
    submits_left = (uint32_t)_i;
    save(1, false);
    save(2, false);
    save(3, false);
    atomic_store(&gate_open, true);
    AWAIT(gate_passed && first.saves == (_i == 0 ? 0 : 2));
    ck_assert_uint_eq(first.failed_saves, _i == 1);
    submits_left = UINT32_MAX;
    close_disk(&first);
}
END_TEST

START_TEST(a_check_that_is_not_finished)
{
    start_pool(2);
    open_disk(&first);
    write_all(&first);
    hash_all(&first);
    AWAIT(first.verdicts[DISK_GOOD] == PIECES);
    close_disk(&first);
    first = (seen){0};
    open_disk(&first);
    ck_assert(disk_check(first.disk, NULL, &have));
    if (_i == 1)
        berth_workers_stop(threads);
    if (_i == 2)
        AWAIT(first.check_ended);
    disk_close(first.disk);
    AWAIT(first.closed);
    ck_assert(_i != 2 || (first.check_good && bits_full(&have)));
}
END_TEST

START_TEST(a_check_without_threads)
{
    start_pool(1);
    open_disk(&first);
    berth_workers_stop(threads);
    ck_assert(!disk_check(first.disk, NULL, &have));
    close_disk(&first);
    ck_assert(!first.check_ended);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_disk");
    TCase *tests = tcase_create("torrent_disk");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, blocks_in_any_order);
    tcase_add_loop_test(tests, a_wrong_block, 0, 3);
    tcase_add_loop_test(tests, the_queue_is_of_all_disks, 0, 2);
    tcase_add_test(tests, blocks_are_gathered);
    tcase_add_loop_test(tests, a_failure_is_reported_once, 0, 2);
    tcase_add_test(tests, a_read_that_fails);
    tcase_add_loop_test(tests, no_job, 0, 2 * PIECES + 3);
    tcase_add_loop_test(tests, no_second_job, 0, 2);
    tcase_add_test(tests, closed_while_blocks_wait);
    tcase_add_test(tests, closed_without_memory);
    tcase_add_test(tests, the_pool_stops);
    tcase_add_test(tests, the_last_one_is_kept);
    tcase_add_loop_test(tests, a_save_that_cannot_be, 0, 4);
    tcase_add_loop_test(tests, a_check_that_is_not_finished, 0, 3);
    tcase_add_test(tests, a_check_without_threads);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
