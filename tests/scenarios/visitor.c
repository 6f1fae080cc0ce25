/*
 * Visitors of a server that is being restarted: each connects, asks for a page, reads to the end,
 * and begins again after a moment.
 *
 *     visitor PORT THREADS FILE
 *
 * runs until its input ends. Then it writes a record for each visit into the file: when it began,
 * in microseconds of the monotonic clock (8 bytes), how many it took (4), and what came of it (4):
 *
 *     0 the page, 1 refused, 2 a reset, 3 an end before the page, 4 anything else
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    PAUSE = 1000,   /* microseconds between visits */
    PATIENCE = 20,  /* seconds */
    MOST = 1 << 19, /* visits of a thread */
    MOST_THREADS = 16
};

enum {
    GOOD,
    REFUSED,
    RESET,
    ENDED,
    OTHER
};

typedef struct visit {
    int64_t begun;
    int32_t took;
    int32_t result;
} visit;

typedef struct visitor {
    pthread_t thread;
    visit *visits;
    size_t count;
} visitor;

static uint16_t port;
static atomic_bool over;

static int64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static int32_t result_of(int error)
{
    return error == ECONNREFUSED ? REFUSED : error == ECONNRESET || error == EPIPE ? RESET : OTHER;
}

static int32_t ask(int descriptor)
{
    static const char request[] = "GET / HTTP/1.0\r\nHost: x\r\n\r\n";
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(descriptor, (struct sockaddr *)&name, sizeof name) != 0)
        return result_of(errno);
    if (send(descriptor, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        return result_of(errno);
    char page[4096];
    size_t size = 0;
    ssize_t got;
    while ((got = recv(descriptor, page + size, sizeof page - size, 0)) > 0)
        size += (size_t)got;
    if (got < 0)
        return result_of(errno);
    return size > 12 && memcmp(page + 9, "200", 3) == 0 && memcmp(page + size - 2, "ok", 2) == 0
               ? GOOD
               : ENDED;
}

static visit visit_once(void)
{
    visit visit = {.begun = now(), .result = OTHER};
    const struct timeval patience = {.tv_sec = PATIENCE};
    const struct linger none = {.l_onoff = 1};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0) {
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        visit.result = ask(descriptor);
        /* All is read: so many visits would leave the ports to nobody for a minute. */
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        close(descriptor);
    }
    visit.took = (int32_t)(now() - visit.begun);
    return visit;
}

static void *visit_again(void *user)
{
    visitor *visitor = user;
    while (!atomic_load(&over) && visitor->count < MOST) {
        visitor->visits[visitor->count++] = visit_once();
        usleep(PAUSE);
    }
    return NULL;
}

int main(int count, char **arguments)
{
    static visitor visitors[MOST_THREADS];
    if (count != 4)
        return 2;
    port = (uint16_t)strtoul(arguments[1], NULL, 10);
    size_t threads = strtoul(arguments[2], NULL, 10);
    for (size_t i = 0; i < threads && i < MOST_THREADS; i++) {
        visitors[i].visits = malloc(MOST * sizeof *visitors[i].visits);
        if (visitors[i].visits == NULL ||
            pthread_create(&visitors[i].thread, NULL, visit_again, &visitors[i]) != 0)
            return 2;
    }
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    atomic_store(&over, true);
    FILE *file = fopen(arguments[3], "wb");
    for (size_t i = 0; i < threads && i < MOST_THREADS; i++) {
        pthread_join(visitors[i].thread, NULL);
        if (file != NULL)
            (void)fwrite(visitors[i].visits, sizeof(visit), visitors[i].count, file);
        free(visitors[i].visits);
    }
    return file != NULL && fclose(file) == 0 ? 0 : 1;
}
