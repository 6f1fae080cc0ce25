/*
 * The trace of a case. It has a fixed size: a case that overflows it is wrong in itself, and is
 * ended.
 */
#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char text[16384];
static size_t used;
static unsigned count;

void trace(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (count > 0)
        used += (size_t)snprintf(text + used, sizeof text - used, ", ");
    if (used < sizeof text)
        used += (size_t)vsnprintf(text + used, sizeof text - used, format, arguments);
    va_end(arguments);
    ck_assert_msg(used < sizeof text, "the trace is full: %.200s...", text);
    count++;
}

const char *trace_text(void)
{
    return text;
}

unsigned trace_count(void)
{
    return count;
}

unsigned trace_times(const char *word)
{
    unsigned times = 0;
    size_t length = strlen(word);
    for (const char *at = text; *at != '\0';) {
        size_t here = strcspn(at, ",");
        if (here == length && memcmp(at, word, length) == 0)
            times++;
        at += here;
        at += strspn(at, ", ");
    }
    return times;
}

bool trace_has(const char *word)
{
    return trace_times(word) > 0;
}

void trace_clear(void)
{
    used = 0;
    count = 0;
    text[0] = '\0';
}
