/*
 * What has been called, in order, as words in one string: the shortest way to assert an order.
 *
 *     trace("ready_read %zu", berth_socket_bytes_available(socket));
 *     ...
 *     assert_trace("new_connection, ready_read 5, disconnected");
 */
#ifndef BERTH_TESTS_TRACE_H
#define BERTH_TESTS_TRACE_H

#include <check.h>

#include <stdbool.h>

__attribute__((format(printf, 1, 2))) void trace(const char *format, ...);
const char *trace_text(void); /* the words so far, separated by ", " */
unsigned trace_count(void);   /* how many */
bool trace_has(const char *word);
unsigned trace_times(const char *word); /* how often exactly this word came */
void trace_clear(void);

#define assert_trace(expected) ck_assert_str_eq(trace_text(), expected)

#endif
