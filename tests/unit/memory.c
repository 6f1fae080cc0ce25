/*
 * The allocator: whose functions are called, what comes back when they fail, and the countdown of
 * test builds.
 */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/fault.h"
#include "base/memory.h"

static int allocated;
static int reallocated;
static int released;
static size_t last_size;

static void *counting_allocate(size_t size)
{
    allocated++;
    last_size = size;
    return malloc(size);
}

static void *counting_reallocate(void *memory, size_t size)
{
    reallocated++;
    last_size = size;
    return realloc(memory, size);
}

static void counting_release(void *memory)
{
    released++;
    free(memory);
}

static const berth_allocator counting = {
    .allocate = counting_allocate,
    .reallocate = counting_reallocate,
    .release = counting_release,
};

static void *refuse(size_t size)
{
    (void)size;
    return NULL;
}

static void *refuse_more(void *memory, size_t size)
{
    (void)memory;
    (void)size;
    return NULL;
}

START_TEST(own_functions_are_called)
{
    berth_set_allocator(&counting);
    void *memory = berth__allocate(10);
    ck_assert_uint_eq(last_size, 10);
    memory = berth__reallocate(memory, 20);
    ck_assert_uint_eq(last_size, 20);
    berth__release(memory);
    char *text = berth__copy_text("twelve bytes");
    ck_assert_str_eq(text, "twelve bytes");
    berth__release(text);
    ck_assert_int_eq(allocated, 2);
    ck_assert_int_eq(reallocated, 1);
    ck_assert_int_eq(released, 2);
}
END_TEST

START_TEST(functions_are_copied)
{
    berth_allocator functions = counting;
    berth_set_allocator(&functions);
    memset(&functions, 0, sizeof(functions));
    berth__release(berth__allocate(1));
    ck_assert_int_eq(allocated, 1);
    ck_assert_int_eq(released, 1);
}
END_TEST

START_TEST(null_sets_the_c_library_again)
{
    berth_set_allocator(&counting);
    berth_set_allocator(NULL);
    berth__release(berth__allocate(1));
    ck_assert_int_eq(allocated + reallocated + released, 0);
}
END_TEST

/* Memory of one's own functions must not be released by another's. */
START_TEST(an_incomplete_set_is_none)
{
    for (int missing = 0; missing < 3; missing++) {
        berth_allocator functions = counting;
        if (missing == 0)
            functions.allocate = NULL;
        else if (missing == 1)
            functions.reallocate = NULL;
        else
            functions.release = NULL;
        berth_set_allocator(&functions);
        berth__release(berth__reallocate(berth__allocate(1), 2));
    }
    ck_assert_int_eq(allocated + reallocated + released, 0);
}
END_TEST

START_TEST(zeroed)
{
    static const unsigned char zeros[1000];
    for (size_t size = 0; size <= sizeof(zeros); size += 125) {
        void *dirty = berth__allocate(size);
        memset(dirty, 0xff, size);
        berth__release(dirty);
        void *memory = berth__allocate_zero(size);
        ck_assert_ptr_nonnull(memory);
        ck_assert_mem_eq(memory, zeros, size);
        berth__release(memory);
    }
}
END_TEST

START_TEST(zero_bytes_are_not_out_of_memory)
{
    berth_set_allocator(&counting);
    void *memory = berth__allocate(0);
    ck_assert_ptr_nonnull(memory);
    ck_assert_uint_gt(last_size, 0);
    memory = berth__reallocate(memory, 0);
    ck_assert_ptr_nonnull(memory);
    ck_assert_uint_gt(last_size, 0);
    berth__release(memory);
}
END_TEST

START_TEST(releasing_null)
{
    berth_set_allocator(&counting);
    berth__release(NULL);
    ck_assert_int_eq(released, 0);
}
END_TEST

START_TEST(copy_of_null_is_empty)
{
    char *text = berth__copy_text(NULL);
    ck_assert_str_eq(text, "");
    berth__release(text);
}
END_TEST

START_TEST(own_functions_fail)
{
    static const berth_allocator failing = {refuse, refuse_more, free};
    char *memory = malloc(1);
    *memory = 'm';
    berth_set_allocator(&failing);
    ck_assert_ptr_null(berth__allocate(1));
    ck_assert_ptr_null(berth__allocate_zero(1));
    ck_assert_ptr_null(berth__copy_text("text"));
    ck_assert_ptr_null(berth__reallocate(memory, 2));
    ck_assert_int_eq(*memory, 'm');
    berth__release(memory);
}
END_TEST

START_TEST(countdown)
{
    berth__fault_set_memory(1, 2);
    char *first = berth__allocate(1);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(berth__allocate_zero(1));
    ck_assert_ptr_null(berth__reallocate(first, 2));
    first = berth__reallocate(first, 2);
    ck_assert_ptr_nonnull(first);
    ck_assert_int_eq(berth__fault_memory_seen(), 4);
    ck_assert_int_eq(berth__fault_memory_failed(), 2);
    berth__fault_clear();
    berth__release(first);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tests = tcase_create("memory");
    tcase_add_test(tests, own_functions_are_called);
    tcase_add_test(tests, functions_are_copied);
    tcase_add_test(tests, null_sets_the_c_library_again);
    tcase_add_test(tests, an_incomplete_set_is_none);
    tcase_add_test(tests, zeroed);
    tcase_add_test(tests, zero_bytes_are_not_out_of_memory);
    tcase_add_test(tests, releasing_null);
    tcase_add_test(tests, copy_of_null_is_empty);
    tcase_add_test(tests, own_functions_fail);
    tcase_add_test(tests, countdown);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
