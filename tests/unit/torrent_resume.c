/*
 * The resume file: what goes in comes out, what is damaged is refused, and what has changed since
 * is not believed; no link is followed in the target folder.
 *
 * spec: S8.27
 */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../../examples/torrent/resume.c"

/* Pieces of 4 bytes, for a short look: 0 1 2 are a, 2 is b too, 3 is a pad file, 4 5 are c. */
static metainfo_file files[] = {
    {"t/a", 0, 10, false},  {"t/empty", 10, 0, false}, {"t/b", 10, 2, false},
    {"t/pad", 12, 4, true}, {"t/c", 16, 5, false},
};
static const metainfo info = {.name = "t",
                              .hash = {0xbe, 0x27, 0x01},
                              .length = 21,
                              .piece_length = 4,
                              .piece_count = 6,
                              .files = files,
                              .file_count = 5};
#define COUNT (sizeof(files) / sizeof(files[0]))

static disk_stamp stamps[COUNT];
static bits have;
static bits trusted;
static resume_state state;
static uint8_t *data;
static size_t size;
static char folder[] = "/tmp/torrent_resume.XXXXXX";
static char error[256];

static void begin(void)
{
    for (size_t i = 0; i < COUNT; i++)
        stamps[i] = (disk_stamp){files[i].length, 1700000000 + (int64_t)i, 999999999};
    ck_assert(bits_open(&have, info.piece_count));
    ck_assert(bits_open(&trusted, info.piece_count));
    bits_fill(&have);
    state = (resume_state){UINT64_MAX, 1};
    data = resume_encode(&info, &have, stamps, &state, &size);
    ck_assert_ptr_nonnull(data);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    memset(error, 'x', sizeof(error));
}

static void end(void)
{
    char path[128];
    resume_remove(folder, &info);
    snprintf(path, sizeof(path), "%s/aim", folder);
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    free(data);
    bits_close(&have);
    bits_close(&trusted);
}

static bool decode(void)
{
    return resume_decode(&info, data, size, stamps, &trusted, &state);
}

static bool load(void)
{
    return resume_load(folder, &info, stamps, &trusted, &state, error, sizeof(error));
}

static bool store(void)
{
    return resume_store(folder, &info, data, size, true, error, sizeof(error));
}

static const char *path_of(const char *behind)
{
    static char path[256];
    char name[128];
    resume_name(&info, name, sizeof(name));
    snprintf(path, sizeof(path), "%s/%s%s", folder, name, behind);
    return path;
}

START_TEST(what_goes_in_comes_out)
{
    bits_remove(&have, 1);
    free(data);
    data = resume_encode(&info, &have, stamps, &state, &size);
    state = (resume_state){0, 0};
    ck_assert(decode());
    ck_assert_uint_eq(state.downloaded, UINT64_MAX);
    ck_assert_uint_eq(state.uploaded, 1);
    ck_assert_uint_eq(trusted.set, 5);
    ck_assert(!bits_has(&trusted, 1));
}
END_TEST

/* The pieces that stay believed when file i has changed. */
static const uint8_t kept[COUNT] = {0x1c, 0xfc, 0xdc, 0xfc, 0xf0};

START_TEST(a_file_that_changed_is_not_believed)
{
    size_t file = (size_t)_i;
    disk_stamp before = stamps[file];
    for (int what = 0; what < 4; what++) {
        stamps[file] = before;
        if (what == 0)
            stamps[file].length++;
        if (what == 1)
            stamps[file].seconds--;
        if (what == 2)
            stamps[file].nanoseconds = 0;
        if (what == 3)
            stamps[file].length = UINT64_MAX;
        ck_assert(decode());
        ck_assert_uint_eq(trusted.bytes[0], kept[file]);
    }
}
END_TEST

/* Equal stamps are not enough: the file lacked, or was too short, already at the time. */
START_TEST(a_file_that_is_not_whole_is_not_believed)
{
    const uint64_t lengths[] = {0, 9, 11, UINT64_MAX};
    stamps[0].length = lengths[_i];
    free(data);
    data = resume_encode(&info, &have, stamps, &state, &size);
    ck_assert(decode());
    ck_assert_uint_eq(trusted.bytes[0], kept[0]);
}
END_TEST

START_TEST(damage_is_refused)
{
    bits_add(&trusted, 3);
    state.uploaded = 77;
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, data, cut);
        ck_assert(!resume_decode(&info, exact, cut, stamps, &trusted, &state));
        free(exact);
    }
    for (size_t bit = 0; bit < 8 * size; bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert(!decode());
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_uint_eq(trusted.set, 1);
    ck_assert_uint_eq(state.uploaded, 77);
    ck_assert(decode());
}
END_TEST

/* With a checksum that is right. */
START_TEST(another_version_torrent_or_count_is_refused)
{
    static const size_t places[] = {13, 16, 16 + 20 + 3, 16 + 20 + 7, HEADER}; /* a spare bit */
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        data[places[i]] ^= 1;
        ck_assert(checksum(data, size - HASH_SIZE, data + size - HASH_SIZE));
        ck_assert(!decode());
        data[places[i]] ^= 1;
    }
    ck_assert(checksum(data, size - HASH_SIZE, data + size - HASH_SIZE));
    ck_assert(decode());
}
END_TEST

static void set_byte(size_t place, uint8_t to)
{
    data[place] = to;
    ck_assert(checksum(data, size - HASH_SIZE, data + size - HASH_SIZE));
}

/* After a loss of power, data that were not synced may lack though the stamps are equal. */
START_TEST(another_boot_is_believed_if_it_was_synced)
{
    const size_t boot = SYNCED + 1;
    set_byte(boot, data[boot] ^ 1);
    state.uploaded = 77;
    ck_assert(decode());
    ck_assert_uint_eq(trusted.set, 0);
    ck_assert_uint_eq(state.uploaded, 1); /* the counts hold */
    resume_set_synced(data, size);
    ck_assert(decode());
    ck_assert(bits_full(&trusted));
    set_byte(SYNCED, 2);
    ck_assert(decode());
    ck_assert_uint_eq(trusted.set, 0);
    memset(data + boot, 0, BOOT); /* a system that does not name its boots */
    set_byte(SYNCED, 0);
    ck_assert(decode());
    ck_assert_uint_eq(trusted.set, 0);
}
END_TEST

START_TEST(stored_and_loaded)
{
    ck_assert(!load());
    ck_assert_str_eq(error, "");
    for (int round = 0; round < 2; round++) {
        ck_assert(store());
        bits_clear(&trusted);
        ck_assert(load());
        ck_assert(bits_full(&trusted));
        ck_assert_int_ne(access(path_of(".new"), F_OK), 0);
    }
    ck_assert_int_eq(truncate(path_of(""), (off_t)size - 1), 0);
    ck_assert(!load());
    ck_assert_ptr_nonnull(strstr(error, "is not a whole resume file"));
    resume_remove(folder, &info);
    ck_assert_int_ne(access(path_of(""), F_OK), 0);
}
END_TEST

START_TEST(links_are_not_followed)
{
    char aim[128];
    struct stat status;
    snprintf(aim, sizeof(aim), "%s/aim", folder);
    int file = open(aim, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(file, data, size), (ssize_t)size);
    close(file);
    ck_assert_int_eq(symlink(aim, path_of("")), 0);
    ck_assert(!load());
    ck_assert_ptr_nonnull(strstr(error, "cannot read"));
    /* Storing takes the place of the link, and of one under the temporary name. */
    ck_assert_int_eq(symlink(aim, path_of(".new")), 0);
    data[0] ^= 1;
    ck_assert(store());
    data[0] ^= 1;
    ck_assert_int_eq(lstat(path_of(""), &status), 0);
    ck_assert(S_ISREG(status.st_mode));
    uint8_t byte = 0;
    file = open(aim, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(file, &byte, 1), 1);
    ck_assert_uint_eq(byte, data[0]);
    close(file);
}
END_TEST

START_TEST(what_is_no_file_is_not_read)
{
    ck_assert_int_eq(mkfifo(path_of(""), 0600), 0);
    ck_assert(!load()); /* and does not wait for a writer */
    ck_assert_ptr_nonnull(strstr(error, "is not a whole resume file"));
    ck_assert_int_eq(unlink(path_of("")), 0);
    ck_assert_int_eq(mkdir(path_of(""), 0700), 0);
    ck_assert(!load());
    ck_assert(!store());
    ck_assert_ptr_nonnull(strstr(error, "cannot write"));
    ck_assert_int_eq(rmdir(path_of("")), 0);
    unlink(path_of(".new"));
}
END_TEST

START_TEST(a_folder_that_is_missing)
{
    ck_assert(!resume_store("/nonexistent", &info, data, size, true, error, sizeof(error)));
    ck_assert_str_eq(error, "cannot open /nonexistent: No such file or directory");
    ck_assert(!resume_load("/nonexistent", &info, stamps, &trusted, &state, error, sizeof(error)));
    ck_assert_str_eq(error, "");
    resume_remove("/nonexistent", &info);
}
END_TEST

START_TEST(a_full_disk)
{
    uint8_t *large = calloc(1, 65536);
    if (access("/dev/full", W_OK) == 0) {
        int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
        ck_assert(!write_all(full, large, 65536, true));
        ck_assert_int_eq(errno, ENOSPC);
        close(full);
    }
    free(large);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_resume");
    TCase *tests = tcase_create("torrent_resume");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, what_goes_in_comes_out);
    tcase_add_loop_test(tests, a_file_that_changed_is_not_believed, 0, (int)COUNT);
    tcase_add_loop_test(tests, a_file_that_is_not_whole_is_not_believed, 0, 4);
    tcase_add_test(tests, damage_is_refused);
    tcase_add_test(tests, another_version_torrent_or_count_is_refused);
    tcase_add_test(tests, another_boot_is_believed_if_it_was_synced);
    tcase_add_test(tests, stored_and_loaded);
    tcase_add_test(tests, links_are_not_followed);
    tcase_add_test(tests, what_is_no_file_is_not_read);
    tcase_add_test(tests, a_folder_that_is_missing);
    tcase_add_test(tests, a_full_disk);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
