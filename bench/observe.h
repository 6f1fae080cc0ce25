/*
 * What the load generator knows of time and of the server: the clock, a histogram of latencies, the
 * processor time, the memory and the descriptors of the server and its
 * children as /proc shows them.
 *
 * Nothing here fails: where the server is not known (observed_server is 0) or has ended, a figure
 * is 0. One thread only.
 */
#ifndef BERTH_BENCH_OBSERVE_H
#define BERTH_BENCH_OBSERVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct mark {
    uint64_t now, server_cpu, load_cpu;
};

extern pid_t observed_server;

uint64_t clock_ns(clockid_t id);

void record(uint64_t ns);
void forget_latencies(void);
double percentile(double share); /* microseconds */

uint64_t server_rss(void); /* bytes */
unsigned server_descriptors(void);
struct mark mark_now(const char *name);
bool server_caught_up(unsigned wanted);
void server_settled(void);

#endif
