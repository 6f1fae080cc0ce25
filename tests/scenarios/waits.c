/*
 * Blocking waits beside greedy peers: a server of the blocking kind, without a loop that runs.
 *
 *     waits
 *
 * It listens on a free port, and says so in its first line of output, as JSON. From then on it
 * waits again and again, WAIT milliseconds each: for a new connection while it has none, else for
 * the end of the connection, for input, or for output that the peer does not read to be written. Of
 * waits that have timed out it notes how late that was. A line of input has it say the counts,
 * after `wait_late` was begun anew if the line is `fresh`; `quit` or the end of input has it end,
 * with a last line that says what is left.
 *
 * `waits` counts the waits, `timed_out` those that have, `late` (always 0) is there for the kit,
 * and `wait_late` is in microseconds, at most.
 */
#include <berth/berth.h>

#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "account.h"
#include "processor.h"

enum {
    WAIT = 100,         /* milliseconds */
    MOST_INPUT = 65536, /* bytes that are left unread */
    MUCH = 1 << 20
};

static berth_server *server;
static berth_socket *guest;
static berth_server_counts counts;
static unsigned long waits, timed_out, begun;
static uint64_t wait_late;

static uint64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* The input is looked at only so far as to keep the peer sending. */
static void ready_read(berth_socket *socket, void *user)
{
    (void)user;
    if (berth_socket_bytes_available(socket) > MOST_INPUT)
        (void)berth_socket_skip(socket, SIZE_MAX);
}

static const berth_socket_handlers handlers = {.ready_read = ready_read};

static void wait_once(void)
{
    static char much[MUCH];
    uint64_t begin = now();
    uint64_t awaited = processor_awaited();
    bool over = false;
    if (guest == NULL) {
        over = berth_server_wait_for_new_connection(server, WAIT, NULL);
    } else if (waits % 3 == 0) {
        over = berth_socket_wait_for_disconnected(guest, WAIT);
    } else if (waits % 3 == 1) {
        over = berth_socket_wait_for_ready_read(guest, WAIT);
    } else {
        if (berth_socket_bytes_to_write(guest) == 0)
            (void)berth_socket_write(guest, much, sizeof much);
        over = berth_socket_wait_for_bytes_written(guest, WAIT);
    }
    uint64_t took = now() - begin;
    waits++;
    timed_out += !over;
    uint64_t allowed = (uint64_t)WAIT * 1000 + processor_awaited() - awaited;
    if (took > allowed && took - allowed > wait_late)
        wait_late = took - allowed;
}

/* Goes on to the next connection where there is one, so that new ones have their turn too. */
static void change_guest(void)
{
    bool gone = guest != NULL && berth_socket_state(guest) != BERTH_STATE_CONNECTED;
    berth_socket *next = berth_server_next_pending_connection(server);
    if (next == NULL && !gone)
        return;
    if (guest != NULL) {
        berth_socket_abort(guest);
        berth_socket_free(guest);
    }
    guest = next;
    begun += next != NULL;
    if (next != NULL)
        berth_socket_set_handlers(next, &handlers, NULL);
}

static void say(const char *name, uint64_t number)
{
    printf("\"%s\": %" PRIu64 ", ", name, number);
}

static void report(long left_descriptors)
{
    if (server != NULL)
        berth_server_statistics(server, &counts);
    printf("{");
    say("accepted", counts.accepted);
    say("delivered", counts.taken);
    say("queued", counts.pending);
    say("rejected", 0);
    say("failed", counts.failed);
    say("dropped", counts.dropped);
    say("closed_pending", counts.closed_pending);
    say("begun", begun);
    say("ended", begun - (guest != NULL));
    say("open", guest != NULL);
    say("late", 0);
    say("waits", waits);
    say("timed_out", timed_out);
    say("wait_late", wait_late);
    printf("\"blocks\": %ld, \"descriptors\": %ld}\n", account_blocks(), left_descriptors);
    (void)fflush(stdout);
}

/* Whether to go on. */
static bool obey(void)
{
    char text[128];
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&input, 1, 0) <= 0)
        return true;
    if (read(STDIN_FILENO, text, sizeof text) <= 0 || text[0] == 'q')
        return false;
    if (text[0] == 'f')
        wait_late = 0;
    report(-1);
    return true;
}

static bool begin(void)
{
    server = berth_server_new(NULL, NULL, NULL);
    if (server != NULL && berth_server_listen(server, BERTH_ADDRESS_LOOPBACK, 0))
        return true;
    (void)fprintf(stderr, "server: %s\n",
                  server != NULL ? berth_server_error_string(server) : "cannot make one");
    return false;
}

int main(void)
{
    account_begin();
    char reason[160];
    const char *wanted = getenv("BERTH_BACKEND");
    if (wanted != NULL && !berth_loop_backend_available(wanted, reason, sizeof reason)) {
        (void)fprintf(stderr, "server: cannot make a loop: %s\n", reason);
        return 77;
    }
    if (!begin())
        return 2;
    printf("{\"port\": %u}\n", berth_server_port(server));
    (void)fflush(stdout);
    while (obey()) {
        change_guest();
        wait_once();
    }
    if (guest != NULL) {
        berth_socket_abort(guest);
        berth_socket_free(guest);
        guest = NULL;
    }
    berth_server_statistics(server, &counts);
    berth_server_free(server);
    server = NULL;
    berth_loop_free(berth_loop_current());
    report(account_descriptors());
    return 0;
}
