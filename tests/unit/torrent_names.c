/* Names from torrents: which parts are refused, and which paths cannot be beside each other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../../examples/torrent/names.c"

static const char *const good[] = {
    "a",    "...",  "..a",    "a..",     ".a",       ". ",       " ",  "~",       "-a", "C:",
    "a\\b", "..\\", "Icon\r", "\x1b[2J", "\xff\xfe", "\xc3\xbc", "*?", "con.txt", "\n",
};

START_TEST(good_parts)
{
    ck_assert_ptr_null(names_fault(good[_i], strlen(good[_i])));
}
END_TEST

START_TEST(bad_parts)
{
    static const struct {
        const char *part;
        size_t size;
    } bad[] = {{"", 0},    {".", 1},   {"..", 2},  {"/", 1},    {"a/b", 3},
               {"/a", 2},  {"a/", 2},  {"\0", 1},  {"a\0b", 3}, {"..\0", 3},
               {"../", 3}, {"a\0", 2}, {".\0", 2}, {"./", 2},   {"/etc/passwd", 11}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *exact = malloc(bad[i].size > 0 ? bad[i].size : 1);
        memcpy(exact, bad[i].part, bad[i].size);
        ck_assert_ptr_nonnull(names_fault(exact, bad[i].size));
        free(exact);
    }
}
END_TEST

START_TEST(long_parts)
{
    char part[256];
    memset(part, 'x', sizeof(part));
    ck_assert_ptr_null(names_fault(part, 255));
    ck_assert_ptr_nonnull(names_fault(part, 256));
    ck_assert_ptr_nonnull(names_fault(part, 0));
}
END_TEST

static const struct {
    const char *paths[5];
    names_clash clash;
    const char *path;
} sets[] = {
    {{"a"}, NAMES_CLEAR, NULL},
    {{"a", "b", "c"}, NAMES_CLEAR, NULL},
    {{"a", "A", "aa", "a.b", "a b"}, NAMES_CLEAR, NULL},
    {{"a/b", "a/c", "ab/c", "a.b/c"}, NAMES_CLEAR, NULL},
    {{"a", "b", "a"}, NAMES_TWICE, "a"},
    {{"d/a/b", "d/a/c", "d/a/b"}, NAMES_TWICE, "d/a/b"},
    {{"d/a/b", "d/a"}, NAMES_ALSO_FOLDER, "d/a"},
    {{"d/a", "d/a/b/c/d"}, NAMES_ALSO_FOLDER, "d/a"},
    /* Others sort between the two in the order of bytes. */
    {{"a", "a.b", "a-b", "a b", "a/b"}, NAMES_ALSO_FOLDER, "a"},
    {{"a\x01", "a/b", "a", "a\x01/c"}, NAMES_ALSO_FOLDER, "a"},
    {{"a\xff/c", "b", "a\xff"}, NAMES_ALSO_FOLDER, "a\xff"},
    {{"\\", "a\\b", "a/b"}, NAMES_CLEAR, NULL},
};

START_TEST(clashes)
{
    const char *paths[5];
    size_t count = 0;
    const char *path = NULL;
    while (count < 5 && sets[_i].paths[count])
        count++;
    /* From each begin, since the order must not matter. */
    for (size_t turn = 0; turn < count; turn++) {
        for (size_t i = 0; i < count; i++)
            paths[i] = sets[_i].paths[(i + turn) % count];
        ck_assert_int_eq(names_compare(paths, count, &path), sets[_i].clash);
        if (sets[_i].path)
            ck_assert_str_eq(path, sets[_i].path);
    }
}
END_TEST

/* Paths that are equal but for their ends, in the worst order. */
START_TEST(many_paths)
{
    enum {
        MANY = 100000,
        ROOM = 64
    };
    const char *path;
    char *texts = malloc((size_t)MANY * ROOM);
    const char **paths = malloc(MANY * sizeof(*paths));
    for (size_t i = 0; i < MANY; i++) {
        snprintf(texts + i * ROOM, ROOM, "one/long/way/to/all/of/these/files/%06zu", MANY - i);
        paths[i] = texts + i * ROOM;
    }
    ck_assert_int_eq(names_compare(paths, MANY, &path), NAMES_CLEAR);
    paths[77] = paths[MANY - 1];
    ck_assert_int_eq(names_compare(paths, MANY, &path), NAMES_TWICE);
    ck_assert_int_eq(names_compare(paths, 0, &path), NAMES_CLEAR);
    free(paths);
    free(texts);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torrent_names");
    TCase *tests = tcase_create("torrent_names");
    tcase_add_loop_test(tests, good_parts, 0, (int)(sizeof(good) / sizeof(good[0])));
    tcase_add_test(tests, bad_parts);
    tcase_add_test(tests, long_parts);
    tcase_add_loop_test(tests, clashes, 0, (int)(sizeof(sets) / sizeof(sets[0])));
    tcase_add_test(tests, many_paths);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
