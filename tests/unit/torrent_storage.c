/*
 * The files of a torrent: ranges that span files, pad files and empty ones, against an array; the
 * slots with more files than may be open, on several threads; and all that may be in the place of
 * a file.
 */
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../../examples/torrent/storage.c"

#define MANY 200
#define THREADS 4
#define ROUNDS 3000

static metainfo_file few[] = {{"t/a", 0, 10, false},         {"t/empty", 10, 0, false},
                              {"t/in/b", 10, 7, false},      {"t/pad", 17, 15, true},
                              {"t/pad2", 32, 3, true},       {"t/in/deep/er/c", 35, 1, false},
                              {"t/in/last", 36, 100, false}, {"t/in/end", 136, 0, false}};
static metainfo info = {.name = "t", .length = 136, .files = few, .file_count = 8};

static char folder[] = "/tmp/torrent_storage.XXXXXX";
static char error[512];
static storage *files;

static void begin(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    error[0] = '\0';
}

static void end(void)
{
    char command[128];
    storage_free(files);
    files = NULL;
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
}

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void open_files(void)
{
    files = storage_new(&info, folder, false, error, sizeof(error));
    ck_assert_msg(files != NULL, "%s", error);
}

static void expect_refusal(const char *text)
{
    ck_assert_ptr_null(storage_new(&info, folder, false, error, sizeof(error)));
    ck_assert_msg(strstr(error, text) != NULL, "%s", error);
}

static void put_file(const char *name, size_t size)
{
    int file = open(path_of(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(file, 0);
    for (size_t i = 0; i < size; i++)
        ck_assert_int_eq(write(file, "x", 1), 1);
    close(file);
}

static size_t count_descriptors(void)
{
    DIR *all = opendir("/proc/self/fd");
    size_t count = 0;
    ck_assert_ptr_nonnull(all);
    while (readdir(all))
        count++;
    closedir(all);
    return count - 3; /* . and .. and this one */
}

/* ---- ranges ---------------------------------------------------------------------------------- */

START_TEST(every_range_reads_what_was_written)
{
    uint8_t model[136] = {0};
    uint8_t data[136];
    uint8_t back[136];
    open_files();
    for (size_t from = 0; from < 136; from++) {
        for (size_t size = 1; from + size <= 136; size += 1 + size / 8) {
            for (size_t i = 0; i < size; i++)
                data[i] = (uint8_t)(from * 7 + size + i + 1);
            ck_assert(storage_write(files, from, data, size, error, sizeof(error)));
            memcpy(model + from, data, size);
            memset(model + 17, 0, 18); /* pads */
            ck_assert(storage_read(files, from, back, size, error, sizeof(error)));
            ck_assert_mem_eq(back, model + from, size);
        }
        ck_assert(storage_read(files, 0, back, sizeof(back), error, sizeof(error)));
        ck_assert_mem_eq(back, model, sizeof(back));
    }
    struct stat status;
    ck_assert_int_ne(lstat(path_of("t/pad"), &status), 0);
    for (size_t i = 0; i < info.file_count; i++) {
        if (few[i].pad)
            continue;
        ck_assert_int_eq(lstat(path_of(few[i].path), &status), 0);
        ck_assert_uint_eq((uint64_t)status.st_size, few[i].length);
    }
}
END_TEST

START_TEST(what_is_new_and_what_is_not)
{
    ck_assert_int_eq(mkdir(path_of("t"), 0700), 0);
    put_file("t/a", 14); /* longer than it should be */
    open_files();
    ck_assert(!storage_is_new(files, 0, 11));
    ck_assert(!storage_is_new(files, 9, 1));
    ck_assert(storage_is_new(files, 10, 126));
    disk_stamp stamps[8];
    storage_stamps(files, stamps);
    ck_assert_uint_eq(stamps[0].length, 14);
    ck_assert_uint_eq(stamps[1].length, 0);
    ck_assert_uint_eq(stamps[3].length, UINT64_MAX); /* a pad */
    ck_assert_uint_eq(stamps[6].length, 100);
}
END_TEST

START_TEST(read_only_makes_nothing)
{
    uint8_t back[20];
    files = storage_new(&info, folder, true, error, sizeof(error));
    ck_assert_ptr_nonnull(files);
    ck_assert_int_ne(access(path_of("t"), F_OK), 0);
    ck_assert(!storage_read(files, 5, back, 1, error, sizeof(error)));
    ck_assert_str_eq(error, "cannot read 't/a': No such file or directory");
    ck_assert(storage_read(files, 17, back, 18, error, sizeof(error))); /* pads only */
}
END_TEST

START_TEST(files_that_change_while_open)
{
    uint8_t byte = 1;
    open_files();
    ck_assert(storage_write(files, 135, &byte, 1, error, sizeof(error)));
    ck_assert_int_eq(truncate(path_of("t/in/last"), 50), 0);
    ck_assert(!storage_read_now(files, 135, &byte, 1));
    ck_assert(!storage_read(files, 135, &byte, 1, error, sizeof(error)));
    ck_assert_str_eq(error, "cannot read 't/in/last': No data available");
    ck_assert(storage_read(files, 85, &byte, 1, error, sizeof(error)));
    ck_assert_int_eq(unlink(path_of("t/a")), 0);
    ck_assert_int_eq(symlink("in/last", path_of("t/a")), 0);
    ck_assert(!storage_write(files, 0, &byte, 1, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "cannot write to 't/a'"));
    disk_stamp stamps[8];
    storage_stamps(files, stamps);
    ck_assert_uint_eq(stamps[0].length, UINT64_MAX);
    ck_assert_uint_eq(stamps[6].length, 50);
}
END_TEST

/* Such as an older version of it that is there. */
START_TEST(a_longer_file_is_cut_when_it_is_written_to)
{
    uint8_t byte = 1;
    struct stat status;
    ck_assert_int_eq(mkdir(path_of("t"), 0700), 0);
    put_file("t/a", 14);
    open_files();
    ck_assert(storage_read(files, 3, &byte, 1, error, sizeof(error)));
    ck_assert(storage_write(files, 10, &byte, 1, error, sizeof(error))); /* in another file */
    ck_assert_int_eq(stat(path_of("t/a"), &status), 0);
    ck_assert_int_eq(status.st_size, 14);
    ck_assert(storage_write(files, 3, &byte, 1, error, sizeof(error)));
    ck_assert_int_eq(stat(path_of("t/a"), &status), 0);
    ck_assert_int_eq(status.st_size, 10);
}
END_TEST

/* The resume file shall not vouch for bytes that somebody else has written. */
START_TEST(files_that_others_change)
{
    uint8_t byte = 1;
    disk_stamp stamps[8];
    struct timespec times[2] = {{1, 2}, {3, 4}};
    open_files();
    storage_own_stamps(files, stamps);
    ck_assert_uint_eq(stamps[0].length, 10);
    ck_assert(storage_write(files, 0, &byte, 1, error, sizeof(error)));
    ck_assert_int_eq(utimensat(AT_FDCWD, path_of("t/a"), times, 0), 0); /* as a write a day ago */
    ck_assert_int_eq(utimensat(AT_FDCWD, path_of("t/in/b"), times, 0), 0);
    storage_own_stamps(files, stamps);
    ck_assert_uint_eq(stamps[0].length, 10); /* written to by us */
    ck_assert_uint_eq(stamps[2].length, UINT64_MAX);
    ck_assert_uint_eq(stamps[6].length, 100); /* not changed */
    ck_assert(storage_write(files, 10, &byte, 1, error, sizeof(error)));
    storage_own_stamps(files, stamps);
    ck_assert_uint_eq(stamps[2].length, UINT64_MAX); /* once it has happened */
    storage_stamps(files, stamps);
    ck_assert_uint_eq(stamps[2].length, 7);
}
END_TEST

START_TEST(synced_files)
{
    uint8_t byte = 1;
    open_files();
    ck_assert(storage_sync(files, 0)); /* nothing was written: it need not be there */
    ck_assert(storage_write(files, 35, &byte, 1, error, sizeof(error)));
    ck_assert(files->dirty[5]);
    ck_assert(storage_sync(files, 5));
    ck_assert(!files->dirty[5]);
    ck_assert(storage_write(files, 35, &byte, 1, error, sizeof(error)));
    ck_assert_ptr_nonnull(close_one(files));
    ck_assert_int_eq(unlink(path_of("t/in/deep/er/c")), 0);
    ck_assert(!storage_sync(files, 5));
}
END_TEST

/* ---- what is there already ------------------------------------------------------------------- */

START_TEST(links_at_each_level)
{
    static const char *const levels[] = {
        "t", "t/in", "t/in/deep", "t/in/deep/er", "t/in/deep/er/c", "t/empty"};
    static const char *const aims[] = {"outside", "nowhere", "/tmp", "."};
    char parent[256];
    ck_assert_int_eq(mkdir(path_of("outside"), 0700), 0);
    for (size_t i = 0; i < sizeof(aims) / sizeof(aims[0]); i++) {
        char command[600];
        snprintf(parent, sizeof(parent), "%s", levels[_i]);
        char *slash = strrchr(parent, '/');
        if (slash) {
            *slash = '\0';
            snprintf(command, sizeof(command), "mkdir -p '%s'", path_of(parent));
            ck_assert_int_eq(system(command), 0);
        }
        ck_assert_int_eq(symlink(aims[i], path_of(levels[_i])), 0);
        expect_refusal("cannot ");
        ck_assert_int_ne(access(path_of("nowhere"), F_OK), 0);
        ck_assert_int_eq(rmdir(path_of("outside")), 0); /* it is empty */
        ck_assert_int_eq(mkdir(path_of("outside"), 0700), 0);
        snprintf(command, sizeof(command), "rm -rf '%s'", path_of("t"));
        ck_assert_int_eq(system(command), 0);
    }
}
END_TEST

START_TEST(no_file_in_its_place)
{
    ck_assert_int_eq(mkdir(path_of("t"), 0700), 0);
    ck_assert_int_eq(mkfifo(path_of("t/a"), 0600), 0);
    expect_refusal("'t/a' is there, and is not a file");
    ck_assert_int_eq(unlink(path_of("t/a")), 0);
    ck_assert_int_eq(mkdir(path_of("t/a"), 0700), 0);
    expect_refusal("cannot open 't/a': Is a directory");
    ck_assert_int_eq(rmdir(path_of("t/a")), 0);
    put_file("t/in", 1);
    expect_refusal("cannot ");
    ck_assert_ptr_null(storage_new(&info, "/nonexistent", false, error, sizeof(error)));
    ck_assert_str_eq(error, "cannot open the folder '/nonexistent': No such file or directory");
}
END_TEST

START_TEST(larger_than_a_file_may_be)
{
    struct rlimit limit = {50, 50};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    expect_refusal("cannot set the length of 't/in/last': File too large");
}
END_TEST

/* ---- slots ----------------------------------------------------------------------------------- */

static metainfo_file many[MANY];
static metainfo big = {.name = "m", .files = many, .file_count = MANY};

static void make_many(void)
{
    static char names[MANY][16];
    big.length = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "m/%u/%u", i % 7, i);
        many[i] = (metainfo_file){names[i], big.length, 100 + i, i % 13 == 5};
        big.length += many[i].length;
    }
    files = storage_new(&big, folder, false, error, sizeof(error));
    ck_assert_msg(files != NULL, "%s", error);
}

/* Thread n has the bytes whose place has the remainder n, so that all use every file. */
static void *use(void *user)
{
    size_t number = (size_t)user;
    unsigned seed = (unsigned)number;
    uint8_t *model = calloc(1, big.length);
    char why[256];
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t at = (uint64_t)rand_r(&seed) % (big.length / THREADS) * THREADS + number;
        uint8_t byte = (uint8_t)rand_r(&seed);
        uint8_t back = 0;
        if (i % 2 == 0) {
            if (!storage_write(files, at, &byte, 1, why, sizeof(why)))
                return strdup(why);
            model[at] = many[metainfo_file_at(&big, at)].pad ? 0 : byte;
        }
        if (i % 3 == 0 && !storage_read_now(files, at, &back, 1))
            back = model[at]; /* it may say no at any time */
        if (i % 3 != 0 && !storage_read(files, at, &back, 1, why, sizeof(why)))
            return strdup(why);
        if (back != model[at])
            return strdup("a byte is wrong");
        if (i % 50 == 0 && !storage_sync(files, metainfo_file_at(&big, at)))
            return strdup("cannot sync");
    }
    free(model);
    return NULL;
}

static void use_on_threads(size_t most_open)
{
    pthread_t threads[THREADS];
    size_t before = count_descriptors();
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use, (void *)i), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        ck_assert_msg(!wrong, "%s", (char *)wrong);
    }
    ck_assert_uint_eq(count_descriptors(), before + most_open);
    for (size_t i = 0; i < STORAGE_MOST_OPEN; i++)
        ck_assert_uint_eq(files->slots[i].users, 0);
}

START_TEST(more_files_than_slots)
{
    make_many();
    use_on_threads(STORAGE_MOST_OPEN);
}
END_TEST

START_TEST(few_descriptors)
{
    static const rlim_t limits[] = {16, 24, 40}; /* 2, 3 and 5 slots for 4 threads */
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limits[_i];
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    make_many();
    use_on_threads(limits[_i] / 8);
}
END_TEST

static void *read_the_last(void *user)
{
    uint8_t byte;
    char why[256];
    (void)user;
    return storage_read(files, big.length - 1, &byte, 1, why, sizeof(why)) ? files : NULL;
}

/* All wait for the one slot, and the first of them cannot use it. */
START_TEST(waiting_for_a_file_that_is_gone)
{
    pthread_t threads[THREADS];
    make_many();
    files->slot_count = 1;
    slot *held = hold(files, 0, true, false);
    ck_assert_ptr_nonnull(held);
    ck_assert_int_eq(unlink(path_of(many[MANY - 1].path)), 0);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_the_last, NULL), 0);
    usleep(50000);
    give_back(files, held, false);
    for (size_t i = 0; i < THREADS; i++) {
        void *was_read = files;
        pthread_join(threads[i], &was_read);
        ck_assert_ptr_null(was_read);
    }
}
END_TEST

/* Others take all descriptors: the storage goes on with one that it has. */
START_TEST(no_descriptor_left)
{
    uint8_t byte = 1;
    int taken[1024];
    size_t count = 0;
    struct rlimit limit = {0, 0};
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 200;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    make_many();
    ck_assert(storage_write(files, 0, &byte, 1, error, sizeof(error)));
    while ((taken[count] = dup(0)) >= 0)
        count++;
    ck_assert(storage_write(files, big.length - 1, &byte, 1, error, sizeof(error)));
    ck_assert(storage_write(files, 0, &byte, 1, error, sizeof(error)));
    ck_assert_ptr_nonnull(close_one(files));
    taken[count] = dup(0);
    ck_assert_int_ge(taken[count++], 0);
    ck_assert(!storage_write(files, 0, &byte, 1, error, sizeof(error)));
    ck_assert_str_eq(error, "cannot write to 'm/0/0': Too many open files");
    while (count > 0)
        close(taken[--count]);
    ck_assert(storage_write(files, 0, &byte, 1, error, sizeof(error)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_storage");
    TCase *tests = tcase_create("torrent_storage");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_range_reads_what_was_written);
    tcase_add_test(tests, what_is_new_and_what_is_not);
    tcase_add_test(tests, read_only_makes_nothing);
    tcase_add_test(tests, files_that_change_while_open);
    tcase_add_test(tests, a_longer_file_is_cut_when_it_is_written_to);
    tcase_add_test(tests, files_that_others_change);
    tcase_add_test(tests, synced_files);
    tcase_add_loop_test(tests, links_at_each_level, 0, 6);
    tcase_add_test(tests, no_file_in_its_place);
    tcase_add_test(tests, larger_than_a_file_may_be);
    tcase_add_test(tests, more_files_than_slots);
    tcase_add_loop_test(tests, few_descriptors, 0, 3);
    tcase_add_test(tests, waiting_for_a_file_that_is_gone);
    tcase_add_test(tests, no_descriptor_left);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
