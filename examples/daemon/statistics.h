/*
 * The statistics of daemon_server, as text in the format of Prometheus.
 */
#ifndef BERTH_EXAMPLES_DAEMON_STATISTICS_H
#define BERTH_EXAMPLES_DAEMON_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <berth/berth.h>

/* Of one port. */
typedef struct daemon_sample {
    const char *name;
    uint64_t answers;
    berth_server_counts counts;
} daemon_sample;

/* Writes the text, and returns its size without the terminator. */
size_t daemon_statistics_write(char *text, size_t size, const daemon_sample *samples, int count,
                               bool draining);

#endif
