/*
 * Pausing by the user: a switch of its own, beside the limit and beside errors.
 */
#include "scene.h"

CASE(pause_and_resume, "S1.52",
     "a paused server accepts nothing; resumed, the loop accepts what waited")
{
    struct host *host = host_listening("h");
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
    berth_server_pause_accepting(host->server);
    world_connect(host->port);
    world_connect(host->port);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 1);
    ck_assert(berth_server_is_listening(host->server));
    ck_assert(berth_server_has_pending_connections(host->server));
    berth_server_resume_accepting(host->server);
    ck_assert_uint_eq(host->new_connections, 1);
    UNTIL(host->new_connections == 3);
}

static void pause_now(struct host *host)
{
    berth_server_pause_accepting(host->server);
}

CASE(pause_inside_new_connection, "Q3",
     "a pause inside the handler stops the burst that is running")
{
    struct host *host = host_listening("h");
    host->on_new_connection = pause_now;
    for (int i = 0; i < 5; i++)
        world_connect(host->port);
    UNTIL(host->new_connections == 1);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 1);
    host->on_new_connection = NULL;
    berth_server_resume_accepting(host->server);
    UNTIL(host->new_connections == 5);
}

static void pause_and_resume_now(struct host *host)
{
    berth_server_pause_accepting(host->server);
    berth_server_resume_accepting(host->server);
}

CASE(pause_and_resume_inside_new_connection, "S1.52",
     "a pause that is ended inside the handler changes nothing")
{
    struct host *host = host_listening("h");
    host->on_new_connection = pause_and_resume_now;
    for (int i = 0; i < 20; i++)
        world_connect(host->port);
    UNTIL(host->new_connections == 20);
}

CASE(pause_is_not_lifted_by_taking, "Q2", "taking a pending connection does not end a pause")
{
    struct host *host = host_listening("h");
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
    berth_server_pause_accepting(host->server);
    world_connect(host->port);
    ck_assert_ptr_nonnull(berth_server_next_pending_connection(host->server));
    ck_assert_ptr_null(berth_server_next_pending_connection(host->server));
    world_settle();
    ck_assert_uint_eq(host->new_connections, 1);
    berth_server_resume_accepting(host->server);
    UNTIL(host->new_connections == 2);
}

CASE(pause_is_not_lifted_by_the_limit, "Q2 Q23", "raising the limit does not end a pause")
{
    struct host *host = host_listening("h");
    berth_server_pause_accepting(host->server);
    world_connect(host->port);
    berth_server_set_max_pending_connections(host->server, 100);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
}

CASE(resume_does_not_lift_the_limit, "S1.55", "a resume while the queue is full accepts nothing")
{
    struct host *host = host_listening("h");
    berth_server_set_max_pending_connections(host->server, 1);
    world_connect(host->port);
    world_connect(host->port);
    UNTIL(host->new_connections == 1);
    berth_server_resume_accepting(host->server);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 1);
}

CASE(pause_before_listen, "Q1", "a pause before the first listen is remembered")
{
    struct host *host = host_new("h");
    berth_server_resume_accepting(host->server);
    berth_server_pause_accepting(host->server);
    host_listen(host);
    world_connect(host->port);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
    berth_server_resume_accepting(host->server);
    UNTIL(host->new_connections == 1);
}

CASE(pause_after_close, "Q1",
     "pause and resume after close are harmless, and the pause stays for the next listen")
{
    struct host *host = host_listening("h");
    berth_server_close(host->server);
    berth_server_pause_accepting(host->server);
    berth_server_resume_accepting(host->server);
    berth_server_pause_accepting(host->server);
    host_listen(host);
    world_connect(host->port);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
    berth_server_resume_accepting(host->server);
    UNTIL(host->new_connections == 1);
}

CASE(pauses_do_not_nest, "S1.52", "one resume ends any number of pauses")
{
    struct host *host = host_listening("h");
    for (int i = 0; i < 5; i++)
        berth_server_pause_accepting(host->server);
    world_connect(host->port);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 0);
    berth_server_resume_accepting(host->server);
    UNTIL(host->new_connections == 1);
}

CASE(wait_accepts_despite_a_pause, "S4.6",
     "a blocking wait ignores the pause, which stays in force for the loop")
{
    struct host *host = host_listening("h");
    berth_server_pause_accepting(host->server);
    world_connect(host->port);
    ck_assert(berth_server_wait_for_new_connection(host->server, 5000, NULL));
    ck_assert_uint_eq(host->new_connections, 1);
    world_connect(host->port);
    world_settle();
    ck_assert_uint_eq(host->new_connections, 1);
}

CASE(thousand_switches, "reliability 17",
     "pause, resume and limit changed at every turn: nothing is lost, nothing comes while paused")
{
    struct host *host = host_listening("h");
    unsigned connected = 0;
    unsigned taken = 0;
    for (unsigned i = 0; i < 1000; i++) {
        bool paused = i % 3 == 0;
        if (paused)
            berth_server_pause_accepting(host->server);
        else
            berth_server_resume_accepting(host->server);
        berth_server_set_max_pending_connections(host->server, (int)(i % 4));
        if (i % 20 == 0) {
            world_connect(host->port);
            connected++;
        }
        unsigned before = host->new_connections;
        berth_loop_turn(world_loop(), 0);
        if (paused || i % 4 == 0)
            ck_assert_uint_eq(host->new_connections, before);
        if (i % 7 == 0)
            taken += berth_server_next_pending_connection(host->server) != NULL;
    }
    berth_server_resume_accepting(host->server);
    berth_server_set_max_pending_connections(host->server, 1000);
    UNTIL(host->new_connections == connected);
    while (taken < connected && berth_server_next_pending_connection(host->server) != NULL)
        taken++;
    ck_assert_uint_eq(taken, connected);
}
