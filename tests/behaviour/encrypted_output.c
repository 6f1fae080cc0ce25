/*
 * Output of encrypted connections, where it is passed to the kernel inside a call, and where it can
 * be encrypted no more. The engine is a toy (support/toy_engine.h).
 */
#include "encrypted.h"

#include "backend/sim.h"

#include <string.h>

/* The kernel takes so much, and all of it at once. */
static void simulate_room(size_t size)
{
    world_loop();
    if (!world_is_simulated())
        return;
    berth__sim_settings *settings = berth__sim_settings_of(world_sim());
    settings->buffer_size = size;
    settings->max_transfer = settings->max_delay = 0;
}

static size_t hear_all(struct peer *peer)
{
    static uint8_t bytes[1 << 16];
    size_t all = 0;
    for (size_t some = 1; some > 0; all += some)
        some = peer_receive_some(peer, bytes, sizeof bytes);
    return all;
}

static struct peer *asker;
static size_t heard;

static void answer_at_once(struct actor *actor)
{
    actor_say(actor, "answer");
    ck_assert(berth_socket_flush(actor->socket));
    heard = hear_all(asker);
}

CASE(flush_of_records_inside_a_handler, "S3.29 tls.h", "passes them to the kernel inside the call")
{
    uint8_t bytes[16];
    struct actor *server = encrypted_with(&asker);
    server->on_ready_read = answer_at_once;
    peer_send(asker, bytes, toy_record('d', "x", 1, bytes));
    UNTIL(server->ready_reads > 0);
    ck_assert_uint_eq(heard, 10);
    world_settle();
    ck_assert_uint_eq(server->written, 6);
}

static void hear_more(void *user)
{
    struct actor *server = user;
    if (berth_socket_bytes_to_write(server->socket) > 0)
        ck_assert(berth_socket_flush(server->socket));
    heard = hear_all(asker);
}

static void answer_later(struct actor *actor)
{
    actor_say(actor, "answer");
    ck_assert(berth_loop_post(world_loop(), hear_more, actor));
}

CASE(flush_of_records_on_their_way, "S3.29 tls.h", "passes them, too: not first the next turn")
{
    uint8_t bytes[16];
    struct actor *server = encrypted_with(&asker);
    server->on_ready_read = answer_later;
    peer_send(asker, bytes, toy_record('d', "x", 1, bytes));
    UNTIL(server->ready_reads > 0);
    ck_assert_uint_eq(heard, 10);
}

CASE(flush_of_many_records, "S3.29 tls.h", "passes what the kernel accepts, not some of it")
{
    enum {
        SIZE = 300000
    };
    struct peer *peer;
    simulate_room(1 << 20);
    struct actor *server = encrypted_with(&peer);
    ck_assert_int_eq(berth_socket_write(server->socket, world_zeros(), SIZE), SIZE);
    ck_assert(berth_socket_flush(server->socket));
    ck_assert_uint_gt(hear_all(peer), SIZE);
    UNTIL(server->written == SIZE);
}

CASE(flush_of_more_records_than_there_is_room_for, "S3.29 tls.h", "the rest goes when there is")
{
    enum {
        SIZE = 12 << 20
    };
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    size_t all = 0;
    server->quiet = true;
    ck_assert_int_eq(berth_socket_write(server->socket, world_zeros(), SIZE), SIZE);
    for (int turns = 0; turns < 100000 && server->written < SIZE && server->errors == 0; turns++) {
        (void)berth_socket_flush(server->socket);
        all += hear_all(peer);
        berth_loop_turn(world_loop(), 1);
    }
    ck_assert_uint_eq(server->written, SIZE);
    UNTIL((all += hear_all(peer)) >= SIZE + SIZE / 16384 * 4);
    ck_assert_uint_eq(server->errors, 0);
}

/* The record before that which cannot be encrypted waits for room: of a real kernel it is not known
 * when it does. */
static struct actor *unable_to_go_on(struct peer **ret_peer)
{
    simulate_room(37000);
    if (!world_is_simulated())
        case_skip("of a real kernel it is not known how much there is room for");
    struct toy *toy = toy_new(true);
    struct actor *server = encrypted_by(toy, ret_peer);
    toy->seals = 6; /* in the second batch */
    ck_assert_int_eq(berth_socket_write(server->socket, world_zeros(), 1 << 18), 1 << 18);
    world_settle();
    ck_assert_uint_eq(server->errors, 0); /* else the toy may be gone */
    ck_assert_uint_eq(toy->seals, 0);
    ck_assert_uint_gt(berth_socket_encrypted_bytes_to_write(server->socket), 0);
    return server;
}

CASE(reset_before_a_failure_to_encrypt, "tls.h", "ends the connection: nothing else would")
{
    struct peer *peer;
    struct actor *server = unable_to_go_on(&peer);
    peer_reset(peer);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 1);
    ck_assert(berth_socket_was_reset(server->socket));
}

CASE(end_before_a_failure_to_encrypt, "tls.h", "and a record that has failed behind the peer's end")
{
    struct peer *peer;
    struct actor *server = unable_to_go_on(&peer);
    peer_shutdown(peer);
    world_settle();
    ck_assert_uint_eq(server->disconnects, 0);
    peer_reset(peer);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 1);
}

enum {
    BEYOND = 30000 /* the limit, by far */
};

/* Of an encrypted connection with a limit that is far less than the kernel takes. */
static struct actor *limited(struct peer **ret_peer)
{
    simulate_room(1 << 20);
    struct actor *server = encrypted_with(ret_peer);
    berth_socket_set_limits(server->socket, &(berth_connection_limits){.output = 1000});
    return server;
}

CASE(records_beyond_the_limit, "D16 tls.h", "count by what the kernel leaves of them")
{
    struct peer *peer;
    struct actor *server = limited(&peer);
    ck_assert_int_eq(berth_socket_write(server->socket, world_zeros(), BEYOND), BEYOND);
    ck_assert_int_eq(berth_socket_write_borrowed(server->socket, world_zeros(), BEYOND, NULL, NULL),
                     BEYOND);
    UNTIL(server->written == 2 * (size_t)BEYOND);
    ck_assert_uint_eq(server->errors, 0);
}

CASE(records_beyond_the_limit_to_a_slow_peer, "D16 tls.h", "end the connection for the limit")
{
    struct peer *peer;
    struct actor *server = limited(&peer);
    ptrdiff_t taken = 0;
    for (int i = 0; i < 1000 && taken >= 0; i++)
        taken = berth_socket_write(server->socket, world_zeros(), BEYOND);
    ck_assert_int_eq(taken, -1);
    ck_assert_uint_lt(berth_socket_encrypted_bytes_to_write(server->socket), 1 << 20);
    UNTIL(server->disconnects == 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_SOCKET_RESOURCE);
    ck_assert_ptr_nonnull(strstr(berth_socket_error_string(server->socket), "too much output"));
}

CASE(records_beyond_the_limit_to_a_peer_that_has_gone, "D16 tls.h",
     "are no slow peer's: the reset is told that they have met")
{
    struct peer *peer;
    struct actor *server = limited(&peer);
    peer_reset(peer);
    ck_assert_int_eq(berth_socket_write(server->socket, world_zeros(), BEYOND), -1);
    ck_assert_int_eq(berth_socket_error(server->socket), BERTH_ERROR_REMOTE_HOST_CLOSED);
    UNTIL(server->disconnects == 1);
    ck_assert_uint_eq(server->errors, 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_REMOTE_HOST_CLOSED);
}

CASE(limit_beside_records_that_have_no_room, "D16 tls.h", "ends the connection without them")
{
    if (!world_is_simulated())
        case_skip("the room is the simulated kernel's");
    enum {
        ROOM = 4000
    };
    simulate_room(ROOM);
    struct peer *peer;
    struct actor *server = encrypted_with(&peer);
    uint8_t question[8];
    size_t size = toy_record('u', "u", 1, question);
    for (int i = 0; i < 3 * ROOM && berth_socket_encrypted_bytes_to_write(server->socket) == 0;
         i++) {
        (void)peer_send_some(peer, question, size);
        world_turn();
    }
    ck_assert_uint_gt(berth_socket_encrypted_bytes_to_write(server->socket), 0);
    ck_assert_uint_eq(berth_socket_bytes_to_write(server->socket), 0);
    berth_socket_set_limits(server->socket, &(berth_connection_limits){.lifetime = 1});
    UNTIL(server->disconnects == 1);
    ck_assert_int_eq(server->error, BERTH_ERROR_SOCKET_TIMEOUT);
    static uint8_t answers[16 * ROOM];
    size_t all = peer_receive(peer, answers, sizeof answers);
    ck_assert_uint_gt(all, ROOM / 2);
    ck_assert_uint_lt(all, sizeof answers);
    ck_assert(peer_saw_end(peer));
    ck_assert_uint_ne(answers[all - toy_record('e', "", 0, question)], 'e'); /* no orderly end */
}
