/*
 * Clients and servers of a proxy that need not be one.
 *
 *     connector socks5|http|bind PORT COUNT PARALLEL MILLISECONDS [USER PASSWORD]
 *
 * Connects COUNT times to 192.0.2.1 through the proxy at that port of 127.0.0.1, PARALLEL at a
 * time, each for so many milliseconds at most; `bind` listens through it instead, one after the
 * other and for the library's own five seconds at most. Whatever comes of an attempt, what belongs
 * to it is freed at once and the next one begins.
 *
 * At the end one line of JSON says how often it came to what ("CONNECTED", or the name of the
 * error), the shortest and longest attempt in milliseconds, and what is left of memory and
 * descriptors. It ends with 2 if it cannot begin, with 77 if the backend is refused.
 */
#include <berth/berth.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "account.h"

enum {
    CLASSES = BERTH_ERROR_UNKNOWN + 1
};

typedef struct attempt {
    berth_socket *socket;
    double begun;
} attempt;

static berth_loop *loop;
static berth_proxy proxy = {.host = "127.0.0.1"};
static unsigned long outcomes[CLASSES]; /* [BERTH_ERROR_NONE]: it has worked */
static long left, open_now;
static uint32_t patience;
static double shortest, longest;

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void note(berth_error outcome, double begun)
{
    double life = now() - begun;
    outcomes[outcome]++;
    longest = life > longest ? life : longest;
    shortest = life < shortest || shortest == 0 ? life : shortest;
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void connect_next(void *nothing);

/* Once for each attempt: after it the socket is gone. The next one begins in a turn of its own. */
static void end(attempt *attempt, berth_error outcome)
{
    note(outcome, attempt->begun);
    berth_socket_free(attempt->socket);
    free(attempt);
    open_now--;
    if (left == 0 && open_now == 0)
        berth_loop_stop(loop, 0);
    else if (!berth_loop_post(loop, connect_next, NULL))
        abort();
}

static void connected(berth_socket *socket, void *user)
{
    (void)socket;
    end(user, BERTH_ERROR_NONE);
}

static void error_occurred(berth_socket *socket, berth_error error, void *user)
{
    (void)socket;
    end(user, error);
}

static void connect_next(void *nothing)
{
    static const berth_socket_handlers handlers = {.connected = connected,
                                                   .error_occurred = error_occurred};
    static const berth_address target = {.family = BERTH_ADDRESS_FAMILY_IPV4,
                                         .bytes = {192, 0, 2, 1}};
    (void)nothing;
    if (left == 0)
        return;
    left--;
    open_now++;
    attempt *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL || (fresh->socket = berth_socket_new(loop, &handlers, fresh)) == NULL ||
        !berth_socket_set_proxy(fresh->socket, &proxy))
        abort();
    fresh->begun = now();
    berth_socket_set_connect_timeout(fresh->socket, patience);
    (void)berth_socket_connect_to_address(fresh->socket, target, 80);
}

/* ---- listening ------------------------------------------------------------------------------- */

static void listen_all(void)
{
    for (; left > 0; left--) {
        double begun = now();
        berth_server *server = berth_server_new(loop, NULL, NULL);
        if (server == NULL || !berth_server_set_proxy(server, &proxy))
            abort();
        bool listens = berth_server_listen(server, BERTH_ADDRESS_ANY, 0);
        note(listens ? BERTH_ERROR_NONE : berth_server_error(server), begun);
        berth_server_free(server);
    }
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void report(void)
{
    printf("{");
    for (int i = 0; i < CLASSES; i++)
        if (outcomes[i] > 0)
            printf("\"%s\": %lu, ", i == 0 ? "CONNECTED" : berth_error_name((berth_error)i),
                   outcomes[i]);
    printf("\"shortest\": %.1f, \"longest\": %.1f, \"blocks\": %ld, \"descriptors\": %ld}\n",
           shortest, longest, account_blocks(), account_descriptors());
}

int main(int count, char **arguments)
{
    if (count != 6 && count != 8) {
        (void)fputs("usage: connector socks5|http|bind PORT COUNT PARALLEL MILLISECONDS "
                    "[USER PASSWORD]\n",
                    stderr);
        return 2;
    }
    proxy.type = strcmp(arguments[1], "http") == 0 ? BERTH_PROXY_HTTP : BERTH_PROXY_SOCKS5;
    proxy.port = (uint16_t)strtol(arguments[2], NULL, 10);
    left = strtol(arguments[3], NULL, 10);
    long parallel = strtol(arguments[4], NULL, 10);
    patience = (uint32_t)strtol(arguments[5], NULL, 10);
    proxy.user = count == 8 ? arguments[6] : NULL;
    proxy.password = count == 8 ? arguments[7] : NULL;
    account_begin();
    loop = berth_loop_new(NULL);
    if (loop == NULL)
        return berth_loop_backend_available(getenv("BERTH_BACKEND"), NULL, 0) ? 2 : 77;
    int status = 0;
    if (strcmp(arguments[1], "bind") == 0) {
        listen_all();
    } else if (left > 0) {
        for (; parallel > 0; parallel--)
            connect_next(NULL);
        status = berth_loop_run(loop);
    }
    berth_loop_free(loop);
    report();
    return status == 0 ? 0 : 2;
}
