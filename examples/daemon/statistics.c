/* The statistics of daemon_server: see statistics.h. */
#include "statistics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OF(member) offsetof(daemon_sample, member)

/* What has "total" in its name only grows. */
static const struct {
    const char *name;
    size_t place; /* in a sample */
    const char *help;
} metrics[] = {
    {"daemon_answers_total", OF(answers), "requests that were answered"},
    {"daemon_accepted_total", OF(counts.accepted), "connections accepted from the kernel"},
    {"daemon_live", OF(counts.live), "connections that are open"},
    {"daemon_pending", OF(counts.pending), "connections in the queue"},
    {"daemon_lingering", OF(counts.lingering), "connections that have ended and linger"},
    {"daemon_awaiting_header", OF(counts.awaiting_header), "connections without PROXY header yet"},
    {"daemon_rejected_address_total", OF(counts.rejected_address), "too many of one address"},
    {"daemon_rejected_header_total", OF(counts.rejected_header), "no valid PROXY header"},
    {"daemon_closed_first_byte_total", OF(counts.closed_first_byte), "no first byte in time"},
    {"daemon_closed_idle_total", OF(counts.closed_idle), "idle for too long"},
    {"daemon_closed_lifetime_total", OF(counts.closed_lifetime), "at the end of their lifetime"},
    {"daemon_failed_total", OF(counts.failed), "closed for want of memory"},
    {"daemon_paced_total", OF(counts.paced), "pauses of accepting because of its rate"},
    {"daemon_exhaustions_total", OF(counts.exhaustions), "times without descriptors or memory"},
};

typedef struct writer {
    char *text;
    size_t size;
    size_t used; /* size at most: what does not fit is left out */
} writer;

static void __attribute__((format(printf, 2, 3))) put(writer *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(to->text + to->used, to->size - to->used, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < to->size - to->used)
        to->used += (size_t)length;
    to->text[to->used] = '\0'; /* whole lines only */
}

size_t daemon_statistics_write(char *text, size_t size, const daemon_sample *samples, int count,
                               bool draining)
{
    writer to = {.text = text, .size = size};
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        const char *type = strstr(metrics[i].name, "_total") ? "counter" : "gauge";
        put(&to, "# HELP %s %s\n# TYPE %s %s\n", metrics[i].name, metrics[i].help, metrics[i].name,
            type);
        for (int n = 0; n < count; n++) {
            uint64_t value;
            memcpy(&value, (const char *)&samples[n] + metrics[i].place, sizeof value);
            put(&to, "%s{port=\"%s\"} %" PRIu64 "\n", metrics[i].name, samples[n].name, value);
        }
    }
    put(&to,
        "# HELP daemon_draining whether the process is ending\n# TYPE daemon_draining gauge\n");
    put(&to, "daemon_draining %d\n", draining);
    return to.used;
}
