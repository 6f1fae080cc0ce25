/*
 * A program of version 0.2, kept as it was compiled then: `program-0.2` beside this file. A library
 * that calls itself libberth.so.0 has to run it.
 *
 * program-0.1.c has what 0.1 had. This one uses what 0.2 has added: the structs whose size travels
 * (options of Unix sockets, drains, credentials, more handlers and counts, handlers of a
 * hand-over), pieces, watches, signals and jobs. Behind each struct that the library fills lies a
 * pattern that it must not touch. Ends with 0 if all is as it was, with 77 if the backend is not to
 * be had; else it says what is not.
 *
 * Do not compile it again once 0.2 is released: that would test another version.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <berth/berth.h>

#define PATTERN 0x5a
#define ROOM 256 /* behind a struct */

static void check(bool held, const char *what)
{
    if (held)
        return;
    fprintf(stderr, "does not hold any more: %s\n", what);
    exit(1);
}

static bool untouched(const void *room, size_t from)
{
    const unsigned char *bytes = room;
    for (size_t i = from; i < from + ROOM; i++)
        if (bytes[i] != PATTERN)
            return false;
    return true;
}

static void too_late(berth_timer *timer, void *user)
{
    (void)timer, (void)user;
    check(false, "an end within a minute");
}

// ---- a server at a Unix socket, which is drained ----

static struct {
    int available, told, ended, emptied, ready, signals;
    berth_server *server;
    int pipe[2];
} seen;

static void told(berth_socket *socket, void *user)
{
    check(user == &seen, "the user pointer of draining");
    seen.told++;
    berth_socket_write(socket, "farewell", 8);
    berth_socket_disconnect_from_host(socket);
}

static void available(berth_server *server, void *user)
{
    static const berth_socket_handlers handlers = {.draining = told,
                                                   .disconnected = berth_socket_free_in_handler};
    static const berth_piece pieces[] = {{"he", 2}, {"llo", 3}};
    struct {
        berth_credentials peer;
        unsigned char behind[ROOM];
    } room;
    berth_socket *socket = berth_server_next_pending_connection(server);
    check(user == &seen && socket != NULL, "pending_connection_available and its socket");
    seen.available++;
    berth_socket_set_handlers(socket, &handlers, user);
    memset(&room, PATTERN, sizeof(room));
    check(berth_socket_peer_credentials(socket, &room.peer) &&
              untouched(&room, sizeof(room.peer)) && room.peer.pid == getpid() &&
              room.peer.uid == geteuid() && room.peer.gid == getegid(),
          "credentials of a peer");
    check(berth_socket_write_pieces(socket, pieces, 2) == 5, "writing pieces");
}

static void hear(berth_socket *socket, void *user)
{
    static const berth_drain plan = {.deadline = 60000, .idle = 60000};
    char bytes[16];
    (void)user;
    if (berth_server_drain_state(seen.server) != BERTH_DRAIN_NONE)
        return;
    if (berth_socket_bytes_available(socket) < 5)
        return;
    check(berth_socket_read(socket, bytes, sizeof(bytes)) == 5 && memcmp(bytes, "hello", 5) == 0,
          "what was written in pieces");
    check(berth_server_drain(seen.server, &plan), "draining");
}

static void ended(berth_socket *socket, void *user)
{
    char bytes[16];
    (void)user;
    seen.ended++;
    check(berth_socket_read(socket, bytes, sizeof(bytes)) == 8 && memcmp(bytes, "farewell", 8) == 0,
          "the farewell of a drain");
    if (seen.emptied)
        berth_loop_stop(berth_socket_loop(socket), 7);
}

static void emptied(berth_server *server, bool forced, void *user)
{
    check(user == &seen && !forced, "a drain that need not be forced");
    check(berth_server_drain_state(server) == BERTH_DRAIN_EMPTY, "the number of the state EMPTY");
    seen.emptied++;
    if (seen.ended)
        berth_loop_stop(berth_server_loop(server), 7);
}

static void look_at_counts(berth_loop *loop)
{
    struct {
        berth_server_counts counts;
        unsigned char behind[ROOM];
    } server;
    struct {
        berth_loop_counts counts;
        unsigned char behind[ROOM];
    } turns;
    memset(&server, PATTERN, sizeof(server));
    memset(&turns, PATTERN, sizeof(turns));
    berth_server_statistics(seen.server, &server.counts);
    berth_loop_statistics(loop, &turns.counts);
    check(untouched(&server, sizeof(server.counts)) && untouched(&turns, sizeof(turns.counts)),
          "statistics write no more than they were asked for");
    check(server.counts.accepted == 1 && server.counts.taken == 1 &&
              server.counts.closed_drain == 0 && server.counts.rejected_greeting == 0,
          "the counts of a server");
    check(turns.counts.accepted == 1 && turns.counts.lingers_cut == 0, "the counts of a loop");
}

static void drain_in_a_loop(void)
{
    static const berth_server_handlers serving = {.emptied = emptied,
                                                  .pending_connection_available = available};
    static const berth_socket_handlers speaking = {.ready_read = hear, .disconnected = ended};
    static const berth_local_options options = {.mode = 0600, .replace_stale = true};
    static const berth_accept_limits accepting = {.per_second = 1000, .shed = true};
    char path[64];
    snprintf(path, sizeof(path), "@berth-kept-0.2-%d", (int)getpid());
    berth_loop *loop = berth_loop_new(NULL);
    check(loop != NULL, "making a loop");
    berth_timer_start(berth_timer_new(loop, too_late, NULL), 60000, 0);
    seen.server = berth_server_new(loop, &serving, &seen);
    berth_server_set_accept_limits(seen.server, &accepting);
    check(berth_server_listen_local(seen.server, path, &options) &&
              strcmp(berth_server_local_path(seen.server), path) == 0,
          "listening on a name");
    berth_socket *client = berth_socket_new(loop, &speaking, NULL);
    check(berth_socket_connect_to_local(client, path), "connecting to a name");
    check(berth_loop_run(loop) == 7, "the code of a stop");
    check(seen.available == 1 && seen.told == 1 && seen.ended == 1 && seen.emptied == 1,
          "each handler is called once");
    look_at_counts(loop);
    berth_loop_free(loop);
}

// ---- descriptors and signals of the program ----

static void ready(berth_watch *watch, unsigned events, void *user)
{
    char byte;
    check(user == &seen && events == BERTH_WATCH_READ, "what a watch is ready for");
    check(read(berth_watch_descriptor(watch), &byte, 1) == 1, "what a watch announces");
    seen.ready++;
    kill(getpid(), SIGUSR1);
}

static void came(berth_signal *signal, void *user)
{
    check(user == &seen && berth_signal_number(signal) == SIGUSR1, "which signal has come");
    seen.signals++;
    berth_loop_stop(NULL, 3);
}

static void watch_and_signal(void)
{
    check(pipe(seen.pipe) == 0 && write(seen.pipe[1], "x", 1) == 1, "a pipe");
    berth_watch *watch = berth_watch_new(NULL, seen.pipe[0], ready, &seen);
    berth_signal *signal = berth_signal_new(NULL, SIGUSR1, came, &seen);
    check(signal != NULL && berth_watch_start_once(watch, BERTH_WATCH_READ), "starting a watch");
    check(berth_loop_run(NULL) == 3 && seen.ready == 1 && seen.signals == 1,
          "a watch and a signal come once");
    berth_signal_free(signal);
    berth_watch_free(watch);
}

// ---- jobs, and a hand-over that nobody takes ----

static void work(berth_job *job, void *user)
{
    check(!berth_job_cancel_requested(job), "a job that nobody has cancelled");
    *(int *)user = 42;
}

static void done(berth_job *job, bool cancelled, void *user)
{
    (void)job;
    check(!cancelled && *(int *)user == 42, "what a job has done");
    berth_loop_stop(NULL, 4);
}

static void submit(void)
{
    int number = 0;
    struct {
        berth_server_counts counts;
        unsigned char behind[ROOM];
    } room;
    berth_workers *workers = berth_workers_new(1, NULL, NULL);
    check(berth_workers_start(workers) && berth_workers_submit(workers, NULL, work, done, &number),
          "submitting a job");
    check(berth_loop_run(NULL) == 4, "a job that is done");
    memset(&room, PATTERN, sizeof(room));
    berth_workers_statistics(workers, &room.counts);
    check(untouched(&room, sizeof(room.counts)) && room.counts.accepted == 0,
          "statistics of workers write no more than they were asked for");
    berth_workers_free(workers);
}

static void taking(berth_handover *handover, void *user)
{
    (void)handover, (void)user;
    check(false, "nobody takes the hand-over");
}

static void offer(void)
{
    static const berth_handover_handlers handlers = {.taking = taking};
    char path[64];
    snprintf(path, sizeof(path), "@berth-kept-0.2-handover-%d", (int)getpid());
    berth_handover *handover = berth_handover_offer(NULL, path, &handlers, &seen);
    check(handover != NULL && berth_handover_user(handover) == &seen &&
              berth_handover_current_state(handover) == BERTH_HANDOVER_OFFERED &&
              berth_handover_add_blob(handover, "blob", "12", 2),
          "offering a hand-over");
    berth_handover_free(handover);
}

int main(void)
{
    const char *backend = getenv("BERTH_BACKEND");
    char reason[160];
    if (backend && !berth_loop_backend_available(backend, reason, sizeof(reason))) {
        puts(reason);
        return 77;
    }
    drain_in_a_loop();
    watch_and_signal();
    submit();
    offer();
    printf("the program of %s runs with %s\n", BERTH_VERSION_STRING, berth_version());
    return 0;
}
