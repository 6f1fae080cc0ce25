/*
 * What the load generator knows of time and of the server. The opening of observe.h says it all.
 */
#include "observe.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SUB_BITS = 7, /* the histogram has 128 steps for each doubling */
    SUB = 1 << SUB_BITS,
    BUCKETS = (64 - SUB_BITS + 1) * SUB,
    PROCESSES = 16
};

pid_t observed_server;
static uint64_t histogram[BUCKETS];

uint64_t clock_ns(clockid_t id)
{
    struct timespec time;
    if (clock_gettime(id, &time) < 0)
        return 0;
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* ---- latencies ------------------------------------------------------------------------------- */

void record(uint64_t ns)
{
    if (ns < SUB) {
        histogram[ns]++;
        return;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - SUB_BITS;
    histogram[(uint64_t)shift * SUB + (ns >> shift)]++;
}

void forget_latencies(void)
{
    memset(histogram, 0, sizeof(histogram));
}

/* The middle of the bucket below which the given share of the operations lies, in microseconds. */
double percentile(double share)
{
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        total += histogram[i];
    uint64_t wanted = (uint64_t)((double)total * share);
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (seen <= wanted)
            continue;
        unsigned shift = i < 2 * SUB ? 0 : i / SUB - 1;
        double low = (double)((uint64_t)(i - shift * SUB) << shift);
        return (low + (double)(1ull << shift) / 2) / 1000;
    }
    return 0;
}

/* ---- the server seen from outside ------------------------------------------------------------ */

static uint64_t first_number(const char *path)
{
    unsigned long long value = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu", &value) != 1)
        value = 0;
    fclose(file);
    return value;
}

/* A program that forks has its work done by children. Returns how many processes there are. */
static unsigned server_processes(pid_t *processes)
{
    char path[64];
    int child;
    unsigned count = 0;
    if (observed_server <= 0)
        return 0;
    processes[count++] = observed_server;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)observed_server,
             (int)observed_server);
    FILE *file = fopen(path, "re");
    if (!file)
        return count;
    while (count < PROCESSES && fscanf(file, "%d", &child) == 1)
        processes[count++] = child;
    fclose(file);
    return count;
}

/*
 * Processor time of all threads of a process. The kernel brings the figure of a running thread up
 * to date only at its own ticks, unless somebody reads the process's clock; so that is read first,
 * and its value is the answer where the kernel keeps no schedstat.
 */
static uint64_t cpu_of(pid_t process)
{
    char path[320];
    clockid_t id;
    uint64_t total = 0, by_clock = 0;
    if (clock_getcpuclockid(process, &id) == 0)
        by_clock = clock_ns(id);
    snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
    DIR *tasks = opendir(path);
    if (!tasks)
        return by_clock;
    for (const struct dirent *task = readdir(tasks); task; task = readdir(tasks)) {
        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)process, task->d_name);
        total += first_number(path);
    }
    closedir(tasks);
    return total ? total : by_clock;
}

uint64_t server_cpu(void)
{
    pid_t processes[PROCESSES];
    uint64_t total = 0;
    for (unsigned i = server_processes(processes); i-- > 0;)
        total += cpu_of(processes[i]);
    return total;
}

uint64_t server_rss(void)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)observed_server);
    FILE *file = observed_server > 0 ? fopen(path, "re") : NULL;
    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file) && sscanf(line, "VmRSS: %llu", &kib) != 1)
        continue;
    fclose(file);
    return kib * 1024;
}

/* Open descriptors: as their directory's size (Linux 6.2), else by counting them. */
static unsigned descriptors_of(pid_t process)
{
    char path[64];
    struct stat status;
    unsigned count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)process);
    if (stat(path, &status) == 0 && status.st_size > 0)
        return (unsigned)status.st_size;
    DIR *directory = opendir(path);
    if (!directory)
        return 0;
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

unsigned server_descriptors(void)
{
    pid_t processes[PROCESSES];
    unsigned count = 0;
    for (unsigned i = server_processes(processes); i-- > 0;)
        count += descriptors_of(processes[i]);
    return count;
}

struct mark mark_now(const char *name)
{
    struct mark mark;
    mark.server_cpu = server_cpu();
    mark.now = clock_ns(CLOCK_MONOTONIC);
    mark.load_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    printf("mark %s monotonic_ns=%llu server_cpu_ns=%llu load_cpu_ns=%llu\n", name,
           (unsigned long long)mark.now, (unsigned long long)mark.server_cpu,
           (unsigned long long)mark.load_cpu);
    return mark;
}

static void pause_ms(long milliseconds)
{
    struct timespec pause = {.tv_nsec = milliseconds * 1000000};
    nanosleep(&pause, NULL);
}

/* Waits up to ten seconds until the server holds at least that many descriptors. */
bool server_caught_up(unsigned wanted)
{
    for (int i = 0; i < 10000; i++) {
        if (server_descriptors() >= wanted)
            return true;
        pause_ms(1);
    }
    return false;
}

/* Waits up to five seconds until the server has used no processor time for 50 milliseconds. */
void server_settled(void)
{
    uint64_t before = server_cpu();
    for (int i = 0; i < 100; i++) {
        pause_ms(50);
        uint64_t after = server_cpu();
        if (after == before)
            return;
        before = after;
    }
}
