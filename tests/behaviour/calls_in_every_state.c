/*
 * Every call in every state: a defined value, nothing corrupted, nothing left behind.
 *
 * A script plays a whole life: of a server with its accepted socket, or of a client. It passes
 * moments: states between turns, and handlers. A case chooses the moment, and plays the life once
 * for each call of the table, which is made when the moment comes; then the life goes on with
 * whatever the call has left of it, and is cleared away. Sanitizers and the balance see the rest.
 *
 * Another kind of case makes random calls at random moments, many in one life.
 */
#include "calls.h"

#include "balance.h"

#include <string.h>

enum moment {
    SERVER_FRESH,
    SERVER_LISTENING,
    SERVER_PAUSED,
    SERVER_FULL,
    SERVER_FAILED,
    SERVER_CLOSED,
    SERVER_DRAINING,
    IN_EMPTIED,
    IN_DRAINING,
    IN_INCOMING,
    IN_NEW_CONNECTION,
    IN_ACCEPT_ERROR,
    IN_HAS_PENDING,
    IN_NEXT_PENDING,
    IN_SERVER_WAIT,
    SOCKET_PENDING,
    SOCKET_FRESH,
    SOCKET_BOUND,
    SOCKET_CONNECTING,
    SOCKET_CONNECTED,
    SOCKET_WITH_INPUT,
    SOCKET_WITH_OUTPUT,
    SOCKET_IN_TRANSACTION,
    SOCKET_HALF_CLOSED,
    SOCKET_SHUT,
    SOCKET_CLOSING,
    SOCKET_ENDED_BY_PEER,
    SOCKET_ABORTED,
    SOCKET_REFUSED,
    IN_LOOKUP,
    IN_CONNECTING,
    IN_FOUND,
    IN_STATE_CONNECTED,
    IN_CONNECTED,
    IN_READY_READ,
    IN_BYTES_WRITTEN,
    IN_DRAINED,
    IN_ERROR,
    IN_CLOSING,
    IN_UNCONNECTED,
    IN_FINISHED,
    IN_DISCONNECTED,
    IN_REFUSED,
    IN_SOCKET_WAIT,
    MOMENTS
};

static enum moment wanted;
static bool waiting; /* inside a blocking wait of the script */
static bool acted;
static void (*act)(void);
static uint32_t random_state; /* not 0: random calls at all moments */

static uint32_t next_random(uint32_t bound)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % bound;
}

static void make_random_call(void)
{
    uint32_t count = 0;
    for (struct call *each = all_calls; each != NULL; each = each->next)
        count++;
    uint32_t chosen = next_random(count);
    struct call *call = all_calls;
    for (; chosen > 0; chosen--)
        call = call->next;
    /* Frees end a life early: seldom. */
    if (strstr(call->name, "_free") == NULL || next_random(4) == 0)
        call_make(call);
}

static void at(enum moment moment)
{
    if (random_state != 0 && stage.in_server + stage.in_socket < 6) {
        world_relieve();
        for (uint32_t calls = next_random(3); calls > 0; calls--)
            make_random_call();
        return;
    }
    if (moment != wanted || acted || random_state != 0)
        return;
    acted = true;
    act();
}

/* ---- handlers -------------------------------------------------------------------------------- */

static void in_socket(berth_socket *socket, enum moment moment)
{
    if (socket != stage.socket)
        return;
    stage.in_socket++;
    at(moment);
    if (waiting)
        at(IN_SOCKET_WAIT);
    stage.in_socket--;
    stage_tidy();
}

static void on_ready_read(berth_socket *socket, void *user)
{
    (void)user;
    in_socket(socket, IN_READY_READ);
}

static void on_bytes_written(berth_socket *socket, size_t bytes, void *user)
{
    (void)user;
    ck_assert_uint_gt(bytes, 0);
    in_socket(socket, IN_BYTES_WRITTEN);
}

static void on_connected(berth_socket *socket, void *user)
{
    (void)user;
    in_socket(socket, IN_CONNECTED);
}

static void on_disconnected(berth_socket *socket, void *user)
{
    (void)user;
    in_socket(socket, IN_DISCONNECTED);
}

static void on_error(berth_socket *socket, berth_error error, void *user)
{
    (void)user;
    in_socket(socket, error == BERTH_ERROR_CONNECTION_REFUSED ? IN_REFUSED : IN_ERROR);
}

static void on_state(berth_socket *socket, berth_state state, void *user)
{
    static const enum moment moments[] = {
        [BERTH_STATE_UNCONNECTED] = IN_UNCONNECTED, [BERTH_STATE_HOST_LOOKUP] = IN_LOOKUP,
        [BERTH_STATE_CONNECTING] = IN_CONNECTING,   [BERTH_STATE_CONNECTED] = IN_STATE_CONNECTED,
        [BERTH_STATE_BOUND] = SOCKET_BOUND,         [BERTH_STATE_CLOSING] = IN_CLOSING,
    };
    (void)user;
    in_socket(socket, moments[state]);
}

static void on_finished(berth_socket *socket, void *user)
{
    (void)user;
    in_socket(socket, IN_FINISHED);
}

static void on_found(berth_socket *socket, void *user)
{
    (void)user;
    in_socket(socket, IN_FOUND);
}

static void on_drained(berth_socket *socket, void *user)
{
    (void)user;
    in_socket(socket, IN_DRAINED);
}

static bool told; /* that the server is drained, or has been */

static void on_draining(berth_socket *socket, void *user)
{
    (void)user;
    told = true;
    in_socket(socket, IN_DRAINING);
}

static const berth_socket_handlers socket_handlers = {
    .ready_read = on_ready_read,
    .bytes_written = on_bytes_written,
    .connected = on_connected,
    .disconnected = on_disconnected,
    .error_occurred = on_error,
    .state_changed = on_state,
    .read_channel_finished = on_finished,
    .host_found = on_found,
    .drained = on_drained,
    .draining = on_draining,
};

static void in_server(berth_server *server, enum moment moment)
{
    if (server != stage.server)
        return;
    stage.in_server++;
    at(moment);
    if (waiting)
        at(IN_SERVER_WAIT);
    stage.in_server--;
    stage_tidy();
}

static void on_new_connection(berth_server *server, void *user)
{
    (void)user;
    in_server(server, IN_NEW_CONNECTION);
}

static void on_accept_error(berth_server *server, berth_error error, void *user)
{
    (void)user;
    ck_assert_int_ne(error, BERTH_ERROR_NONE);
    world_relieve();
    in_server(server, IN_ACCEPT_ERROR);
}

static void on_incoming(berth_server *server, int descriptor, void *user)
{
    (void)user;
    stage.in_server++;
    at(IN_INCOMING);
    berth_server_base_incoming_connection(server, descriptor);
    stage.in_server--;
    stage_tidy();
}

static unsigned questions; /* on the stack: a question inside a question is answered by the base */

static bool on_has_pending(berth_server *server, void *user)
{
    (void)user;
    stage.in_server++;
    if (questions++ == 0)
        at(IN_HAS_PENDING);
    questions--;
    bool has = berth_server_base_has_pending_connections(server);
    stage.in_server--;
    stage_tidy();
    return has;
}

static berth_socket *on_next_pending(berth_server *server, void *user)
{
    (void)user;
    stage.in_server++;
    if (questions++ == 0)
        at(IN_NEXT_PENDING);
    questions--;
    berth_socket *next = berth_server_base_next_pending_connection(server);
    stage.in_server--;
    stage_tidy();
    return next;
}

static void on_emptied(berth_server *server, bool forced, void *user)
{
    (void)user;
    (void)forced;
    told = true;
    in_server(server, IN_EMPTIED);
}

static const berth_server_handlers server_handlers = {
    .new_connection = on_new_connection,
    .accept_error = on_accept_error,
    .incoming_connection = on_incoming,
    .has_pending_connections = on_has_pending,
    .next_pending_connection = on_next_pending,
    .emptied = on_emptied,
};

/* ---- steps of a life ------------------------------------------------------------------------- */

static bool has_server(void)
{
    return stage.server != NULL && !stage.server_freed;
}

static bool has_socket(void)
{
    return stage.socket != NULL && !stage.socket_freed;
}

/* Until the moment has come, or for a few turns once a call was made. */
static void turns_until(bool (*condition)(void))
{
    unsigned after = 0;
    for (int turn = 0; turn < WORLD_TURNS && after < 4 && !condition(); turn++) {
        bool hurries = acted || random_state != 0;
        berth_loop_turn(world_loop(), hurries ? 0 : 2);
        after += hurries;
    }
}

/* Milliseconds that a wait may take: until the moment has come, as long as it needs. */
static int patience(void)
{
    return acted || random_state != 0 ? 0 : 2000;
}

static bool never(void)
{
    return false;
}

static void few_turns(void)
{
    for (int turn = 0; turn < 4; turn++)
        berth_loop_turn(world_loop(), 0);
}

static bool pending(void)
{
    return has_server() && berth_server_base_has_pending_connections(stage.server);
}

static bool connected(void)
{
    return has_socket() && berth_socket_state(stage.socket) == BERTH_STATE_CONNECTED;
}

static bool unconnected(void)
{
    return !has_socket() || berth_socket_state(stage.socket) == BERTH_STATE_UNCONNECTED;
}

static bool has_input(void)
{
    return has_socket() && berth_socket_bytes_available(stage.socket) >= 8;
}

static bool no_output(void)
{
    return !has_socket() || berth_socket_bytes_to_write(stage.socket) == 0;
}

static bool half_closed(void)
{
    char byte;
    return has_socket() && berth_socket_bytes_available(stage.socket) == 0 &&
           berth_socket_peek(stage.socket, &byte, 1) == -1;
}

static bool has_failed(void)
{
    return has_server() && berth_server_error(stage.server) == BERTH_ERROR_SOCKET_RESOURCE;
}

static void say(struct peer *peer, const char *text)
{
    peer_send_some(peer, text, strlen(text));
}

static void listen_server(void)
{
    if (has_server() && !berth_server_is_listening(stage.server))
        berth_server_listen(stage.server, BERTH_ADDRESS_LOOPBACK, 0);
}

/* A peer that may not find anybody, or wait in a backlog that is full. */
static struct peer *knock(void)
{
    uint16_t port = has_server() ? berth_server_port(stage.server) : 0;
    return port != 0 ? world_connect_begin(port) : NULL;
}

static struct peer *listener;

/* Whether the peer has heard all that was written. */
static bool all_heard(void)
{
    char bytes[4096];
    while (peer_receive_some(listener, bytes, sizeof bytes) > 0)
        continue;
    return no_output();
}

/* What a connected socket goes through until the peer ends it. */
static void converse(struct peer *peer)
{
    at(SOCKET_CONNECTED);
    if (has_socket()) {
        static const char question[70000]; /* longer than what a turn takes beyond the mark */
        berth_socket_set_write_marks(stage.socket, 2, 4);
        berth_socket_write(stage.socket, question, sizeof question);
    }
    at(SOCKET_WITH_OUTPUT);
    listener = peer;
    turns_until(all_heard);
    if (has_socket())
        berth_socket_set_write_marks(stage.socket, 0, 0);
    say(peer, "answer\nand more");
    waiting = true;
    if (has_socket())
        berth_socket_wait_for_ready_read(stage.socket, patience());
    waiting = false;
    turns_until(has_input);
    at(SOCKET_WITH_INPUT);
    if (has_socket()) {
        char bytes[4];
        berth_socket_start_transaction(stage.socket);
        berth_socket_read(stage.socket, bytes, sizeof bytes);
    }
    at(SOCKET_IN_TRANSACTION);
    if (has_socket())
        berth_socket_rollback_transaction(stage.socket);
}

static void end_by_peer(struct peer *peer)
{
    peer_shutdown(peer);
    turns_until(unconnected);
    at(SOCKET_ENDED_BY_PEER);
}

static void end_half_closed(struct peer *peer)
{
    if (has_socket()) {
        berth_socket_skip(stage.socket, (size_t)-1);
        berth_socket_set_half_close(stage.socket, true);
    }
    peer_shutdown(peer);
    turns_until(half_closed);
    at(SOCKET_HALF_CLOSED);
}

static void end_of_output(struct peer *peer)
{
    (void)peer;
    if (has_socket())
        berth_socket_shutdown_send(stage.socket);
    at(SOCKET_SHUT);
}

static void end_by_closing(struct peer *peer)
{
    static const char bytes[1 << 22];
    (void)peer;
    if (has_socket()) {
        berth_socket_write(stage.socket, bytes, sizeof bytes);
        berth_socket_disconnect_from_host(stage.socket);
    }
    at(SOCKET_CLOSING);
}

static bool was_told(void)
{
    return told;
}

static void end_by_drain(struct peer *peer)
{
    (void)peer;
    if (has_server())
        berth_server_drain(stage.server, NULL);
    turns_until(was_told);
    at(SERVER_DRAINING);
    if (has_socket())
        berth_socket_abort(stage.socket);
    told = false;
    turns_until(was_told);
}

static void end_by_abort(struct peer *peer)
{
    (void)peer;
    if (has_socket())
        berth_socket_abort(stage.socket);
    at(SOCKET_ABORTED);
}

/* ---- lives ----------------------------------------------------------------------------------- */

static void server_before_peers(void)
{
    at(SERVER_FRESH);
    if (has_server())
        berth_server_listen(stage.server, BERTH_ADDRESS_NULL, 0);
    at(SERVER_FAILED);
    listen_server();
    at(SERVER_LISTENING);
    if (has_server())
        berth_server_pause_accepting(stage.server);
    at(SERVER_PAUSED);
    if (has_server())
        berth_server_resume_accepting(stage.server);
    listen_server();
}

/* More peers than descriptors that are closed meanwhile. */
static void server_runs_dry(void)
{
    if (has_server()) {
        berth_server_resume_accepting(stage.server);
        berth_server_set_max_pending_connections(stage.server, 30);
        berth_server_pause_accepting(stage.server);
    }
    for (int i = 0; i < 8; i++)
        knock();
    few_turns();
    world_exhaust(0);
    if (has_server())
        berth_server_resume_accepting(stage.server);
    turns_until(has_failed);
    world_relieve();
    turns_until(pending);
}

static void life_of_a_server(void (*end)(struct peer *peer))
{
    stage.server = berth_server_new(world_loop(), &server_handlers, &stage);
    server_before_peers();
    struct peer *first = knock();
    waiting = true;
    if (first != NULL && has_server())
        berth_server_wait_for_new_connection(stage.server, patience(), NULL);
    waiting = false;
    turns_until(pending);
    if (has_server())
        berth_server_set_max_pending_connections(stage.server, 1);
    at(SERVER_FULL);
    if (has_server())
        berth_server_has_pending_connections(stage.server);
    berth_socket *taken = has_server() ? berth_server_next_pending_connection(stage.server) : NULL;
    if (taken != NULL && stage.socket == NULL) {
        stage.socket = taken;
        berth_socket_set_handlers(taken, &socket_handlers, &stage);
        if (has_server())
            berth_server_add_pending_connection(stage.server, taken);
        at(SOCKET_PENDING);
        if (has_server() && has_socket())
            berth_server_base_next_pending_connection(stage.server);
    }
    if (first != NULL) {
        converse(first);
        end(first);
    }
    server_runs_dry();
    if (has_server())
        stage_close_server();
    at(SERVER_CLOSED);
}

static void life_of_a_client(void (*end)(struct peer *peer))
{
    world_loop();
    uint16_t port = world_listen(5);
    uint16_t nobody = world_free_port();
    stage.server_port = port;
    stage.socket = berth_socket_new(world_loop(), &socket_handlers, &stage);
    at(SOCKET_FRESH);
    if (has_socket())
        berth_socket_connect_to_host(stage.socket, "127.0.0.1", nobody);
    turns_until(unconnected);
    at(SOCKET_REFUSED);
    if (has_socket())
        berth_socket_bind(stage.socket, BERTH_ADDRESS_LOOPBACK, 0);
    at(SOCKET_BOUND);
    if (has_socket())
        berth_socket_connect_to_address(stage.socket, BERTH_ADDRESS_LOOPBACK, port);
    at(SOCKET_CONNECTING);
    turns_until(connected);
    bool ours = connected() && berth_socket_peer_port(stage.socket) == port;
    struct peer *peer = ours ? world_accept(port) : NULL;
    if (peer != NULL) {
        converse(peer);
        end(peer);
    }
    few_turns();
    world_unlisten(port);
}

typedef void (*ending)(struct peer *peer);

static void play(bool of_server, ending end)
{
    memset(&stage, 0, sizeof stage);
    acted = waiting = told = false;
    questions = 0;
    if (of_server)
        life_of_a_server(end);
    else
        life_of_a_client(end);
    turns_until(acted || random_state != 0 ? never : unconnected);
    /* What is left goes with the loop; its handlers are not to look at the stage any more. */
    memset(&stage, 0, sizeof stage);
    world_end();
}

/* ---- the walk -------------------------------------------------------------------------------- */

static const struct call *current;

static void make_current(void)
{
    call_make(current);
}

static void free_then_make_current(void)
{
    if (stage.in_socket > 0 && stage.socket != NULL)
        stage_free_socket();
    if (stage.in_server > 0 && stage.server != NULL)
        stage_free_server();
    call_make(current);
}

static void walk(enum moment moment, bool of_server, ending end, void (*what)(void))
{
    unsigned descriptors = balance_descriptors();
    wanted = moment;
    act = what;
    unsigned calls = 0;
    for (current = all_calls; current != NULL; current = current->next) {
        /* Another process may take the port that was found free, and the moment with it. */
        for (unsigned tries = 0; tries == 0 || (!acted && tries < 4); tries++)
            play(of_server, end);
        ck_assert_msg(acted, "the moment did not come");
        ck_assert_msg(balance_blocks() == 0, "%s leaves memory", current->name);
        ck_assert_msg(balance_descriptors() == descriptors, "%s leaves descriptors", current->name);
        calls++;
    }
    ck_assert_uint_gt(calls, 50);
}

static void calls_at(enum moment moment, bool of_server, ending end)
{
    walk(moment, of_server, end, make_current);
}

/* The same, and once more with the object freed first, inside its own handler. */
static void calls_in(enum moment moment, bool of_server, ending end)
{
    walk(moment, of_server, end, make_current);
    walk(moment, of_server, end, free_then_make_current);
}

/* ---- the cases ------------------------------------------------------------------------------- */

CASE(calls_on_a_fresh_server, "S1.1 S1.6", "a server that has not listened yet")
{
    calls_at(SERVER_FRESH, true, end_by_peer);
}

CASE(calls_on_a_server_that_failed, "S1.5 S1.11", "after a listen that failed")
{
    calls_at(SERVER_FAILED, true, end_by_peer);
}

CASE(calls_on_a_listening_server, "S1.6", "a server that listens")
{
    calls_at(SERVER_LISTENING, true, end_by_peer);
}

CASE(calls_on_a_paused_server, "S1.56 Q1", "a server that is paused")
{
    calls_at(SERVER_PAUSED, true, end_by_peer);
}

CASE(calls_on_a_full_server, "S1.55", "a server with a full queue")
{
    calls_at(SERVER_FULL, true, end_by_peer);
}

CASE(calls_on_a_closed_server, "S1.29", "after close")
{
    calls_at(SERVER_CLOSED, true, end_by_peer);
}

CASE(calls_on_a_draining_server, "drain", "a server whose sockets have been told")
{
    calls_at(SERVER_DRAINING, true, end_by_drain);
}

CASE(calls_inside_draining, "drain", "inside draining")
{
    calls_in(IN_DRAINING, true, end_by_drain);
}

CASE(calls_inside_emptied, "drain", "inside emptied")
{
    calls_in(IN_EMPTIED, true, end_by_drain);
}

CASE(calls_inside_incoming_connection, "Q8 S1.31", "inside incoming_connection")
{
    calls_in(IN_INCOMING, true, end_by_peer);
}

CASE(calls_inside_new_connection, "S1.31", "inside new_connection")
{
    calls_in(IN_NEW_CONNECTION, true, end_by_peer);
}

CASE(calls_inside_accept_error, "S1.31 S1.66", "inside accept_error")
{
    calls_in(IN_ACCEPT_ERROR, true, end_by_peer);
}

CASE(calls_inside_has_pending, "S1.35", "inside has_pending_connections")
{
    calls_in(IN_HAS_PENDING, true, end_by_peer);
}

CASE(calls_inside_next_pending, "S1.37", "inside next_pending_connection")
{
    calls_in(IN_NEXT_PENDING, true, end_by_peer);
}

CASE(calls_inside_a_wait_of_a_server, "S4.8 S4.19",
     "inside the handlers of a blocking wait for connections")
{
    calls_in(IN_SERVER_WAIT, true, end_by_peer);
}

CASE(calls_on_a_pending_socket, "S2.10 S5.5", "a socket in a queue")
{
    calls_at(SOCKET_PENDING, true, end_by_peer);
}

CASE(calls_on_an_accepted_socket, "S1.38", "a socket that was accepted")
{
    calls_at(SOCKET_CONNECTED, true, end_by_peer);
}

CASE(calls_on_a_fresh_socket, "S3.1", "a socket that was never connected")
{
    calls_at(SOCKET_FRESH, false, end_by_peer);
}

CASE(calls_on_a_refused_socket, "S3.13", "after an attempt to connect that failed")
{
    calls_at(SOCKET_REFUSED, false, end_by_peer);
}

CASE(calls_on_a_bound_socket, "S3.17", "inside the handler of BOUND")
{
    calls_at(SOCKET_BOUND, false, end_by_peer);
}

CASE(calls_on_a_connecting_socket, "S3.14 S3.16", "while connecting")
{
    calls_at(SOCKET_CONNECTING, false, end_by_peer);
}

CASE(calls_on_a_connected_socket, "S3.3", "a client that is connected")
{
    calls_at(SOCKET_CONNECTED, false, end_by_peer);
}

CASE(calls_with_input, "S3.21", "with input that nobody has read")
{
    calls_at(SOCKET_WITH_INPUT, false, end_by_peer);
}

CASE(calls_with_output, "S3.27", "with output that was not sent")
{
    calls_at(SOCKET_WITH_OUTPUT, false, end_by_peer);
}

CASE(calls_in_a_transaction, "S3.21", "in a transaction that has read")
{
    calls_at(SOCKET_IN_TRANSACTION, false, end_by_peer);
}

CASE(calls_on_a_half_closed_socket, "S3.32", "the peer has ended its direction")
{
    calls_at(SOCKET_HALF_CLOSED, false, end_half_closed);
}

CASE(calls_after_the_end_of_output, "S3.33", "this side has ended its direction")
{
    calls_at(SOCKET_SHUT, false, end_of_output);
}

CASE(calls_on_a_closing_socket, "S3.33", "closing with output that the peer does not read")
{
    calls_at(SOCKET_CLOSING, false, end_by_closing);
}

CASE(calls_after_the_end_by_the_peer, "S3.37", "after the peer's end, with input")
{
    calls_at(SOCKET_ENDED_BY_PEER, false, end_by_peer);
}

CASE(calls_after_abort, "S3.37", "after abort")
{
    calls_at(SOCKET_ABORTED, false, end_by_abort);
}

CASE(calls_inside_host_lookup, "S3.8", "inside state_changed to HOST_LOOKUP")
{
    calls_in(IN_LOOKUP, false, end_by_peer);
}

CASE(calls_inside_connecting, "S3.9", "inside state_changed to CONNECTING")
{
    calls_in(IN_CONNECTING, false, end_by_peer);
}

CASE(calls_inside_host_found, "S3.9", "inside host_found")
{
    calls_in(IN_FOUND, false, end_by_peer);
}

CASE(calls_inside_state_connected, "S3.9", "inside state_changed to CONNECTED")
{
    calls_in(IN_STATE_CONNECTED, false, end_by_peer);
}

CASE(calls_inside_connected, "S3.9", "inside connected")
{
    calls_in(IN_CONNECTED, false, end_by_peer);
}

CASE(calls_inside_ready_read, "S3.20", "inside ready_read")
{
    calls_in(IN_READY_READ, false, end_by_peer);
}

CASE(calls_inside_bytes_written, "S3.28", "inside bytes_written")
{
    calls_in(IN_BYTES_WRITTEN, false, end_by_peer);
}

CASE(calls_inside_drained, "S3.27", "inside drained")
{
    calls_in(IN_DRAINED, false, end_by_peer);
}

CASE(calls_inside_the_error_of_an_end, "S3.31", "inside error_occurred of a remote end")
{
    calls_in(IN_ERROR, false, end_by_peer);
}

CASE(calls_inside_the_error_of_an_attempt, "S3.13", "inside error_occurred of a failed attempt")
{
    calls_in(IN_REFUSED, false, end_by_peer);
}

CASE(calls_inside_closing, "S3.31", "inside state_changed to CLOSING")
{
    calls_in(IN_CLOSING, false, end_by_peer);
}

CASE(calls_inside_unconnected, "S3.31", "inside state_changed to UNCONNECTED")
{
    calls_in(IN_UNCONNECTED, false, end_by_peer);
}

CASE(calls_inside_finished, "S3.31", "inside read_channel_finished")
{
    calls_in(IN_FINISHED, false, end_by_peer);
}

CASE(calls_inside_disconnected, "S3.31", "inside disconnected")
{
    calls_in(IN_DISCONNECTED, false, end_by_peer);
}

CASE(calls_inside_a_wait_of_a_socket, "S4.19", "inside the handlers of a blocking wait for bytes")
{
    calls_in(IN_SOCKET_WAIT, false, end_by_peer);
}

static void random_lives(bool of_server)
{
    static const ending endings[] = {end_by_peer, end_half_closed, end_by_closing, end_by_abort,
                                     end_by_drain};
    unsigned descriptors = balance_descriptors();
    for (uint32_t seed = 1; seed <= 30; seed++) {
        random_state = seed;
        play(of_server, endings[seed % 5]);
        ck_assert_msg(balance_blocks() == 0, "seed %u leaves memory", seed);
        ck_assert_msg(balance_descriptors() == descriptors, "seed %u leaves descriptors", seed);
    }
}

CASE(random_calls_on_servers, "S1.6", "calls at random, at every moment of thirty lives")
{
    random_lives(true);
}

CASE(random_calls_on_clients, "S3.37", "calls at random, at every moment of thirty lives")
{
    random_lives(false);
}
