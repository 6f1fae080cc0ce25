/*
 * The server under test of the scenarios: one Berth server, driven over its standard input.
 *
 *     server MODE [NAME=NUMBER]...
 *
 * It listens on a free port and says so in its first line of output, as JSON. Every line of input
 * is a command, and is answered by one line of JSON with all counters: `stats`, `pause`, `resume`,
 * `limit N` (of pending connections), `take 0|1` (whether connections are taken out of the queue),
 * `close N` (aborts the N newest), `hoard N` and `release` (descriptors that the library does not
 * know of), `churn N` (that many random pauses, resumes and changes of the limit, a few in each
 * turn and in each handler of a new connection), `fresh` (what is counted of the timer and of
 * limits that were asked for begins anew), `quit`. The end of input is a `quit`, so that no server
 * outlives its scenario. After it everything is freed, and the last line counts what is left: that
 * has to be nothing.
 *
 * Modes: `echo`; `hold` reads and says nothing; `greet` says "hello\n" and ends; `answer` reads a
 * number and a newline and answers with that many bytes (byte i is i * 131 + number), with
 * half_close=1 not before the peer has ended its direction; `source` sends `body` bytes at once,
 * `http` after an empty line, both within the write marks; `mixed` does what the first byte of a
 * connection says: `p` echoes, `x` throws all input away and has the limit `lifetime`, `d` sends
 * without end and has it too, `s` has the limit `idle`.
 *
 * Options: pending, backlog, half_close, keep_alive (seconds of silence), body, low, high, any (1:
 * listen on all addresses), names (1: ask for the peer's address of each connection), header
 * (milliseconds for the PROXY header that connections from 127.1.0.0/16 begin with then); and the
 * limits of berth/limits.h: shed, first_byte, idle, rate, window, output, per_address; in mode
 * `mixed` lifetime and idle are those of the connections that ask for them. tick: milliseconds of a
 * timer whose `ticks` are counted, with the microseconds `ticking` since the command `fresh`, and
 * the longest time between two; busy: microseconds that a handler of input takes. tls=1: it
 * encrypts, with the certificate and key in the file that BERTH_SCENARIO_CERTIFICATE names;
 * handshake (milliseconds), handshakes and greetings are its limits.
 *
 * The counts are the library's own, of the server and the loop, and a few that are made here in the
 * handlers: `begun` sockets that were taken, `ended` ones that had their `disconnected`, `unwanted`
 * connections that came while accepting was paused or the queue was full. `late` counts handler
 * calls after the terminal one; records of ended connections are kept for a while to see them.
 *
 * A server that cannot begin says why and ends with 2, or with 77 if the backend is refused.
 */
#include <berth/berth.h>

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "account.h"
#include "base/fault.h"
#include "processor.h"
#ifdef WITH_TLS
#include <berth/tls.h>
#endif

enum {
    KEPT = 4096, /* records of ended connections */
    CHUNK = 16384,
    HOARD = 4096
};

typedef enum mode {
    ECHO,
    HOLD,
    GREET,
    ANSWER,
    SOURCE,
    HTTP,
    MIXED,
    MODES
} mode;

static const char *const mode_names[MODES] = {"echo",   "hold", "greet", "answer",
                                              "source", "http", "mixed"};

typedef struct connection {
    struct connection *next, *previous;
    berth_socket *socket;
    unsigned long left; /* to be sent */
    unsigned long number;
    uint64_t taken_at; /* microseconds */
    uint64_t limit_at; /* of a limit that was asked for: when it is due; 0: none */
    char kind;         /* the first byte */
    bool asked;        /* the number is complete */
    bool answering;
    bool ended;
} connection;

typedef struct option {
    const char *name;
    long value;
} option;

enum {
    PENDING,
    BACKLOG,
    HALF_CLOSE,
    KEEP_ALIVE,
    BODY,
    LOW,
    HIGH,
    ANY,
    NAMES,
    HEADER,
    SHED,
    FIRST_BYTE,
    IDLE,
    RATE,
    WINDOW,
    OUTPUT,
    PER_ADDRESS,
    LIFETIME,
    TICK,
    BUSY,
    TLS,
    HANDSHAKE,
    HANDSHAKES,
    GREETINGS,
    OPTIONS
};

static option options[OPTIONS] = {
    [PENDING] = {"pending", BERTH_DEFAULT_MAX_PENDING_CONNECTIONS},
    [BACKLOG] = {"backlog", BERTH_DEFAULT_LISTEN_BACKLOG_SIZE},
    [HALF_CLOSE] = {"half_close", 0},
    [KEEP_ALIVE] = {"keep_alive", 0},
    [BODY] = {"body", 1 << 20},
    [LOW] = {"low", 0},
    [HIGH] = {"high", 0},
    [ANY] = {"any", 0},
    [NAMES] = {"names", 0},
    [HEADER] = {"header", 0},
    [SHED] = {"shed", 0},
    [FIRST_BYTE] = {"first_byte", 0},
    [IDLE] = {"idle", 0},
    [RATE] = {"rate", 0},
    [WINDOW] = {"window", 0},
    [OUTPUT] = {"output", 0},
    [PER_ADDRESS] = {"per_address", 0},
    [LIFETIME] = {"lifetime", 0},
    [TICK] = {"tick", 0},
    [BUSY] = {"busy", 0},
    [TLS] = {"tls", 0},
    [HANDSHAKE] = {"handshake", 0},
    [HANDSHAKES] = {"handshakes", 128},
    [GREETINGS] = {"greetings", 4096},
};

static struct {
    unsigned long begun, ended, accept_errors, errors, nameless, late, unwanted;
    unsigned long queued_most, output_most, short_writes;
    uint64_t life_shortest,
        life_longest; /* microseconds, of those that a limit of time has ended */
    unsigned long limits_kept;
    uint64_t limit_late; /* microseconds, at most, of limits that were asked for */
} counts;

/* Of the timer. */
static struct {
    unsigned long count;
    uint64_t since, last, longest; /* microseconds, but for when no processor was free */
    uint64_t unable;               /* that long at most, between two */
} ticks;

/* The library's, as they were when there still was a server. */
static berth_server_counts of_server;
static berth_loop_counts of_loop;

static berth_loop *loop;
static berth_server *server;
static mode serving;
static bool taking = true, paused;
static int limit;
static unsigned long churn_left;
static unsigned seed = 1;
static connection head = {.next = &head, .previous = &head};
static unsigned long open_now;
static connection *kept[KEPT];
static unsigned next_kept;
static int hoard[HOARD];
static unsigned hoarded;
static char block[CHUNK];

/* ---- descriptors that the library does not know of ------------------------------------------- */

static void let_go(void)
{
    while (hoarded > 0)
        (void)close(hoard[--hoarded]);
}

static void take_descriptors(unsigned wanted)
{
    while (hoarded < HOARD && wanted-- > 0) {
        int descriptor = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
        if (descriptor < 0)
            return;
        hoard[hoarded++] = descriptor;
    }
}

/* ---- a connection ---------------------------------------------------------------------------- */

static uint64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* Every handler begins with this. */
static connection *of(void *user)
{
    connection *connection = user;
    counts.late += connection->ended;
    return connection;
}

static void note_output(berth_socket *socket, size_t wanted, ptrdiff_t taken)
{
    if (taken >= 0 && (size_t)taken < wanted)
        counts.short_writes++;
    unsigned long waiting = berth_socket_bytes_to_write(socket);
    if (waiting > counts.output_most)
        counts.output_most = waiting;
}

/* Sends of `left` what the high mark allows; without a mark a chunk for every call. */
static void send_more(connection *connection)
{
    while (connection->left > 0) {
        size_t size = connection->left < CHUNK ? connection->left : CHUNK;
        if (serving == ANSWER)
            for (size_t i = 0; i < size; i++)
                block[i] =
                    (char)((connection->number - connection->left + i) * 131 + connection->number);
        ptrdiff_t taken = berth_socket_write(connection->socket, block, size);
        note_output(connection->socket, size, taken);
        if (taken > 0)
            connection->left -= (unsigned long)taken;
        if (taken < (ptrdiff_t)size)
            return;
        if (options[HIGH].value == 0 && serving != ANSWER)
            break;
    }
    if (connection->left == 0)
        berth_socket_disconnect_from_host(connection->socket);
}

static void answer(connection *connection)
{
    if (connection->answering || !connection->asked)
        return;
    connection->answering = true;
    connection->left = connection->number;
    send_more(connection);
}

static void read_number(connection *connection, const char *text, size_t size)
{
    for (size_t i = 0; i < size && !connection->asked; i++) {
        if (text[i] >= '0' && text[i] <= '9')
            connection->number = connection->number * 10 + (unsigned long)(text[i] - '0');
        connection->asked = text[i] == '\n';
    }
}

/* The input of `http` ends with the first "\n\r\n" or "\n\n". */
static bool ends_request(connection *connection, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n' && connection->number++ > 0)
            return true;
        if (text[i] != '\n' && text[i] != '\r')
            connection->number = 0;
    }
    return false;
}

/* What cannot be echoed whole is not echoed in part: the connection ends. */
static bool echo(berth_socket *socket, const char *bytes, size_t size)
{
    ptrdiff_t taken = berth_socket_write(socket, bytes, size);
    note_output(socket, size, taken);
    if (taken == (ptrdiff_t)size)
        return true;
    berth_socket_abort(socket);
    return false;
}

static void set_limit_of(connection *connection, uint32_t lifetime, uint32_t idle)
{
    berth_connection_limits limits = {.lifetime = lifetime, .idle = idle};
    if (berth_socket_set_limits(connection->socket, &limits))
        connection->limit_at = now() + (uint64_t)(lifetime + idle) * 1000;
}

/* What the first byte asks for. */
static void begin_mixed(connection *connection, char kind)
{
    connection->kind = kind;
    if (kind == 'x' || kind == 'd')
        set_limit_of(connection, (uint32_t)options[LIFETIME].value, 0);
    if (kind == 's')
        set_limit_of(connection, 0, (uint32_t)options[IDLE].value);
    if (kind == 'd') {
        connection->left = ULONG_MAX;
        send_more(connection);
    }
}

static void be_busy(void)
{
    uint64_t end = now() + (uint64_t)options[BUSY].value;
    while (options[BUSY].value > 0 && now() < end)
        continue;
}

static void ready_read(berth_socket *socket, void *user)
{
    connection *connection = of(user);
    size_t size;
    const char *bytes;
    be_busy();
    while ((bytes = berth_socket_view(socket, &size)) != NULL) {
        if (serving == MIXED && connection->kind == 0)
            begin_mixed(connection, *bytes);
        bool echoes = serving == ECHO || connection->kind == 'p';
        if (echoes && !echo(socket, bytes, size))
            return;
        if (serving == ANSWER)
            read_number(connection, bytes, size);
        else if (serving == HTTP && !connection->answering && ends_request(connection, bytes, size))
            connection->asked = true;
        (void)berth_socket_skip(socket, size);
    }
    if (serving == ANSWER && options[HALF_CLOSE].value == 0)
        answer(connection);
    if (serving == HTTP && connection->asked && !connection->answering) {
        static const char start[] = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n";
        connection->answering = true;
        connection->left = (unsigned long)options[BODY].value;
        (void)berth_socket_write(socket, start, sizeof start - 1);
        send_more(connection);
    }
}

static void bytes_written(berth_socket *socket, size_t bytes, void *user)
{
    (void)socket;
    (void)bytes;
    connection *connection = of(user);
    if (options[HIGH].value == 0 && connection->left > 0)
        send_more(connection);
}

static void drained(berth_socket *socket, void *user)
{
    (void)socket;
    connection *connection = of(user);
    if (connection->left > 0)
        send_more(connection);
}

static void error_occurred(berth_socket *socket, berth_error error, void *user)
{
    (void)socket;
    connection *connection = of(user);
    counts.errors += error != BERTH_ERROR_REMOTE_HOST_CLOSED;
    if (error != BERTH_ERROR_SOCKET_TIMEOUT)
        return;
    if (connection->limit_at != 0) {
        /* It counts from the beginning of the turn that asked for it: it may seem early here. */
        uint64_t ended = now();
        uint64_t late = ended > connection->limit_at ? ended - connection->limit_at : 0;
        uint64_t unable = processor_awaited_since(connection->limit_at);
        late = late > unable ? late - unable : 0;
        counts.limits_kept++;
        if (late > counts.limit_late)
            counts.limit_late = late;
    }
    uint64_t life = now() - connection->taken_at;
    if (life > counts.life_longest)
        counts.life_longest = life;
    if (life < counts.life_shortest || counts.life_shortest == 0)
        counts.life_shortest = life;
}

static void read_channel_finished(berth_socket *socket, void *user)
{
    connection *connection = of(user);
    if (options[HALF_CLOSE].value == 0)
        return;
    if (serving == ANSWER && connection->asked)
        answer(connection);
    else
        berth_socket_disconnect_from_host(socket);
}

static void state_changed(berth_socket *socket, berth_state state, void *user)
{
    (void)socket;
    (void)state;
    (void)of(user);
}

/* The last call for it. The record is kept a while, to see whether that is true. */
static void disconnected(berth_socket *socket, void *user)
{
    connection *connection = of(user);
    counts.ended++;
    open_now--;
    connection->next->previous = connection->previous;
    connection->previous->next = connection->next;
    connection->ended = true;
    free(kept[next_kept]);
    kept[next_kept] = connection;
    next_kept = (next_kept + 1) % KEPT;
    berth_socket_free(socket);
}

static const berth_socket_handlers connection_handlers = {
    .ready_read = ready_read,
    .bytes_written = bytes_written,
    .drained = drained,
    .error_occurred = error_occurred,
    .read_channel_finished = read_channel_finished,
    .state_changed = state_changed,
    .disconnected = disconnected,
};

static void begin(berth_socket *socket)
{
    connection *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        berth_socket_free(socket);
        return;
    }
    fresh->socket = socket;
    fresh->taken_at = now();
    fresh->previous = head.previous;
    fresh->next = &head;
    head.previous->next = fresh;
    head.previous = fresh;
    open_now++;
    berth_socket_set_handlers(socket, &connection_handlers, fresh);
    if (options[NAMES].value && berth_address_is_null(berth_socket_peer_address(socket)))
        counts.nameless++;
    if (options[HALF_CLOSE].value)
        berth_socket_set_half_close(socket, true);
    if (options[HIGH].value)
        berth_socket_set_write_marks(socket, (size_t)options[LOW].value,
                                     (size_t)options[HIGH].value);
    if (options[KEEP_ALIVE].value) {
        int seconds = (int)options[KEEP_ALIVE].value;
        (void)berth_socket_set_option(socket, BERTH_OPTION_KEEP_ALIVE_IDLE, seconds);
        (void)berth_socket_set_option(socket, BERTH_OPTION_KEEP_ALIVE_INTERVAL, 1);
        (void)berth_socket_set_option(socket, BERTH_OPTION_KEEP_ALIVE_COUNT, 2);
        (void)berth_socket_set_option(socket, BERTH_OPTION_KEEP_ALIVE, 1);
    }
    if (serving == GREET) {
        (void)berth_socket_write(socket, "hello\n", 6);
        berth_socket_disconnect_from_host(socket);
    } else if (serving == SOURCE) {
        fresh->left = (unsigned long)options[BODY].value;
        send_more(fresh);
    } else if (berth_socket_bytes_available(socket) > 0) {
        ready_read(socket, fresh);
    }
}

/* ---- the server ------------------------------------------------------------------------------ */

static void take_all(void)
{
    berth_socket *socket;
    while (taking && (socket = berth_server_next_pending_connection(server)) != NULL) {
        counts.begun++;
        begin(socket);
    }
}

static void set_paused(bool wanted)
{
    paused = wanted;
    if (wanted)
        berth_server_pause_accepting(server);
    else
        berth_server_resume_accepting(server);
}

static void set_limit(int wanted)
{
    limit = wanted;
    berth_server_set_max_pending_connections(server, wanted);
}

/* Four changes; with the last everything is as it was before. */
static void churn_some(void)
{
    for (int i = 0; i < 4 && churn_left > 0; i++) {
        int drawn = rand_r(&seed) % 16;
        if (drawn < 6)
            set_paused(drawn < 3);
        else
            set_limit(drawn - 6);
        if (--churn_left == 0) {
            set_paused(false);
            set_limit((int)options[PENDING].value);
        }
    }
}

static void churn(void *user)
{
    churn_some();
    take_all();
    if (churn_left > 0 && !berth_loop_post(loop, churn, user))
        churn_left = 0;
}

static void new_connection(berth_server *self, void *user)
{
    (void)user;
    berth_server_counts present;
    berth_server_statistics(self, &present);
    if (present.pending > counts.queued_most)
        counts.queued_most = (unsigned long)present.pending;
    counts.unwanted += paused || present.pending > (uint64_t)limit;
    take_all();
    churn_some();
}

static void accept_error(berth_server *self, berth_error error, void *user)
{
    (void)self;
    (void)error;
    (void)user;
    counts.accept_errors++;
}

static const berth_server_handlers server_handlers = {
    .new_connection = new_connection,
    .accept_error = accept_error,
};

/* ---- commands -------------------------------------------------------------------------------- */

static void collect(void)
{
    berth_server_statistics(server, &of_server);
    berth_loop_statistics(loop, &of_loop);
}

static void say(const char *name, uint64_t number)
{
    printf("\"%s\": %" PRIu64 ", ", name, number);
}

static void report(long left_descriptors)
{
    printf("{");
    say("accepted", of_server.accepted);
    say("delivered", of_server.taken);
    say("queued",
        of_server.pending + of_server.awaiting_header + of_server.greeting + of_server.handshaking);
    say("rejected", of_server.rejected_address + of_server.rejected_call + of_server.rejected_shed +
                        of_server.rejected_header + of_server.failed_handshake +
                        of_server.rejected_greeting);
    say("greeting", of_server.greeting);
    say("handshaking", of_server.handshaking);
    say("handshakes", of_server.handshakes);
    say("failed_handshake", of_server.failed_handshake);
    say("rejected_greeting", of_server.rejected_greeting);
    say("rejected_address", of_server.rejected_address);
    say("rejected_header", of_server.rejected_header);
    say("lingering", of_server.lingering);
    say("lingers_cut", of_loop.lingers_cut);
    say("awaiting_header", of_server.awaiting_header);
    say("failed", of_server.failed);
    say("dropped", of_server.dropped);
    say("closed_pending", of_server.closed_pending);
    say("closed_first_byte", of_server.closed_first_byte);
    say("closed_idle", of_server.closed_idle);
    say("closed_rate", of_server.closed_rate);
    say("closed_output", of_server.closed_output);
    say("accept_failures", of_server.accept_failures);
    say("exhaustions", of_server.exhaustions);
    say("waits", of_loop.waits);
    say("received", of_loop.bytes_in);
    say("sent", of_loop.bytes_out);
    say("buffer_shortages", of_loop.buffer_shortages);
    say("completion_overflows", of_loop.completion_overflows);
    say("receives_renewed", of_loop.receives_renewed);
    say("begun", counts.begun);
    say("ended", counts.ended);
    say("open", open_now);
    say("accept_errors", counts.accept_errors);
    say("errors", counts.errors);
    say("nameless", counts.nameless);
    say("late", counts.late);
    say("unwanted", counts.unwanted);
    say("queued_most", counts.queued_most);
    say("output_most", counts.output_most);
    say("short_writes", counts.short_writes);
    say("life_shortest", counts.life_shortest);
    say("life_longest", counts.life_longest);
    say("limits_kept", counts.limits_kept);
    say("limit_late", counts.limit_late);
    say("ticks", ticks.count);
    say("ticking", now() - ticks.since);
    say("tick_longest", ticks.longest);
    say("unable", ticks.unable);
    say("hoarded", hoarded);
    say("churn_left", churn_left);
    say("system_failed", (uint64_t)berth__fault_system_failed());
    say("memory_failed", (uint64_t)berth__fault_memory_failed());
    printf("\"timeout\": %d, \"blocks\": %ld, \"descriptors\": %ld}\n",
           loop != NULL ? berth_loop_timeout(loop) : -1, account_blocks(), left_descriptors);
    (void)fflush(stdout);
}

static void abort_newest(long wanted)
{
    while (wanted-- > 0 && head.previous != &head)
        berth_socket_abort(head.previous->socket);
}

static void fresh(void)
{
    ticks.count = 0;
    ticks.longest = ticks.unable = 0;
    ticks.since = ticks.last = now();
    counts.limits_kept = 0;
    counts.limit_late = 0;
}

static void tick(berth_timer *timer, void *user)
{
    (void)timer;
    (void)user;
    uint64_t time = now();
    uint64_t unable = processor_awaited_since(ticks.last);
    uint64_t apart = time - ticks.last > unable ? time - ticks.last - unable : 0;
    ticks.count++;
    if (apart > ticks.longest)
        ticks.longest = apart;
    if (unable > ticks.unable)
        ticks.unable = unable;
    ticks.last = time;
    processor_note();
}

static void obey(void *user)
{
    char *line = user;
    char *argument = strchr(line, ' ');
    long number = argument != NULL ? strtol(argument + 1, NULL, 10) : 0;
    bool quit = strncmp(line, "quit", 4) == 0;
    if (strncmp(line, "pause", 5) == 0) {
        set_paused(true);
    } else if (strncmp(line, "resume", 6) == 0) {
        set_paused(false);
    } else if (strncmp(line, "limit", 5) == 0) {
        set_limit((int)number);
    } else if (strncmp(line, "take", 4) == 0) {
        taking = number != 0;
        take_all();
    } else if (strncmp(line, "close", 5) == 0) {
        abort_newest(number);
    } else if (strncmp(line, "churn", 5) == 0) {
        churn_left = (unsigned long)number;
        churn(NULL);
    } else if (strncmp(line, "hoard", 5) == 0) {
        take_descriptors((unsigned)number);
    } else if (strncmp(line, "release", 7) == 0) {
        let_go();
    } else if (strncmp(line, "fresh", 5) == 0) {
        fresh();
    }
    free(line);
    collect();
    if (quit)
        berth_loop_stop(loop, 0);
    else
        report(-1);
}

/* Posting may be what is made to fail; the next attempt is not. */
static void post(const char *line)
{
    char *copy = strdup(line);
    for (int tries = 0; copy != NULL && !berth_loop_post(loop, obey, copy); tries++)
        if (tries == 1000)
            abort();
}

/* Reads commands on a thread of its own, since the loop watches nothing foreign. */
static void *listen_to_driver(void *nothing)
{
    (void)nothing;
    char line[128];
    while (fgets(line, sizeof line, stdin) != NULL && strncmp(line, "quit", 4) != 0)
        post(line);
    post("quit");
    return NULL;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static int fail(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("server: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    return status;
}

static bool read_arguments(int count, char **arguments)
{
    serving = MODES;
    for (int i = 0; count > 1 && i < MODES; i++)
        if (strcmp(arguments[1], mode_names[i]) == 0)
            serving = (mode)i;
    for (int i = 2; i < count; i++) {
        char *value = strchr(arguments[i], '=');
        bool known = false;
        for (int k = 0; value != NULL && k < OPTIONS; k++)
            if (strncmp(arguments[i], options[k].name, (size_t)(value - arguments[i])) == 0 &&
                options[k].name[value - arguments[i]] == '\0') {
                options[k].value = strtol(value + 1, NULL, 10);
                known = true;
            }
        if (!known)
            return false;
    }
    return serving != MODES;
}

static void set_limits(void)
{
    berth_accept_limits accepting = {.shed = options[SHED].value != 0,
                                     .per_address = (uint32_t)options[PER_ADDRESS].value};
    berth_connection_limits connections = {
        .first_byte = (uint32_t)options[FIRST_BYTE].value,
        .idle = serving == MIXED ? 0 : (uint32_t)options[IDLE].value,
        .lifetime = serving == MIXED ? 0 : (uint32_t)options[LIFETIME].value,
        .minimum_rate = (uint32_t)options[RATE].value,
        .rate_window = (uint32_t)options[WINDOW].value,
        .output = (size_t)options[OUTPUT].value,
    };
    berth_server_set_accept_limits(server, &accepting);
    berth_server_set_connection_limits(server, &connections);
}

static bool trust_balancers(void)
{
    berth_subnet balancers;
    return options[HEADER].value == 0 ||
           (berth_subnet_parse("127.1.0.0/16", &balancers) &&
            berth_server_set_proxy_protocol(server, &balancers, 1,
                                            (uint32_t)options[HEADER].value));
}

#ifdef WITH_TLS
static bool encrypt(void)
{
    const char *file = getenv("BERTH_SCENARIO_CERTIFICATE");
    const berth_tls_options with = {.certificate = file};
    char text[BERTH_TLS_TEXT_SIZE];
    if (options[TLS].value == 0)
        return true;
    berth_tls *tls = berth_tls_new(BERTH_TLS_SERVER, &with, text);
    if (tls == NULL) {
        (void)fprintf(stderr, "server: %s\n", text);
        return false;
    }
    bool set = berth_server_set_tls(server, tls);
    berth_tls_release(tls);
    berth_server_set_handshake_timeout(server, (uint32_t)options[HANDSHAKE].value);
    berth_server_set_max_handshakes(server, (int)options[HANDSHAKES].value);
    berth_server_set_max_greetings(server, (int)options[GREETINGS].value);
    return set;
}
#else
static bool encrypt(void)
{
    return options[TLS].value == 0;
}
#endif

static bool start_listening(void)
{
    server = berth_server_new(loop, &server_handlers, NULL);
    if (server == NULL || !trust_balancers() || !encrypt())
        return false;
    set_limit((int)options[PENDING].value);
    set_limits();
    berth_timer *timer = options[TICK].value > 0 ? berth_timer_new(loop, tick, NULL) : NULL;
    if (timer != NULL)
        berth_timer_start(timer, (uint64_t)options[TICK].value, (uint64_t)options[TICK].value);
    fresh();
    berth_server_set_listen_backlog_size(server, (int)options[BACKLOG].value);
    berth_address address = options[ANY].value ? BERTH_ADDRESS_ANY : BERTH_ADDRESS_LOOPBACK;
    return berth_server_listen(server, address, 0);
}

static void free_all(void)
{
    berth_loop_free(loop); /* and the server with its sockets, whose handlers are called */
    loop = NULL;
    for (unsigned i = 0; i < KEPT; i++)
        free(kept[i]);
    let_go();
}

int main(int count, char **arguments)
{
    if (!read_arguments(count, arguments))
        return fail(2, "usage: server MODE [NAME=NUMBER]...");
    account_begin();
    memset(block, 'x', sizeof block);
    loop = berth_loop_new(NULL);
    if (loop == NULL) {
        char reason[160];
        bool can = berth_loop_backend_available(getenv("BERTH_BACKEND"), reason, sizeof reason);
        return fail(can ? 2 : 77, "cannot make a loop: %s", reason);
    }
    if (!start_listening()) {
        int status =
            fail(2, "%s", server != NULL ? berth_server_error_string(server) : "no memory");
        berth_loop_free(loop);
        return status;
    }
    printf("{\"port\": %u, \"backend\": \"%s\", \"reason\": \"%s\"}\n", berth_server_port(server),
           berth_loop_backend_name(loop), berth_loop_backend_reason(loop));
    (void)fflush(stdout);
    pthread_t thread;
    if (pthread_create(&thread, NULL, listen_to_driver, NULL) != 0)
        return fail(2, "cannot make a thread");
    int status = berth_loop_run(loop);
    if (status != 0)
        (void)pthread_cancel(thread);
    (void)pthread_join(thread, NULL);
    collect();
    free_all();
    report(account_descriptors());
    return status == 0 ? 0 : fail(2, "the loop has failed");
}
