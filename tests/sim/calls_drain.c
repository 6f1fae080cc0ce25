/*
 * Calls that drain servers, and what has to come of them.
 *
 * While a server is drained each of its connections that the program has taken is told once, not
 * before the listener is closed; no connection is reset before the deadline, and none is left
 * after it; `emptied` comes once, when nothing is left, and not if the program closes or frees the
 * server before. The sockets of a program are always told, so that none is ended for being idle:
 * behaviour, draining.c. Servers through a proxy, and those whose peers begin with headers, are not
 * drained: behaviour, draining_elsewhere.c. Where there is a deadline the program puts nothing into
 * their queue.
 *
 * Traps for tasks spring in these handlers too.
 */
#include "calls.h"
#include "world.h"

#include <string.h>

/* Milliseconds, beyond those of LAST: until the ends that are due have come. */
#define LATE 1100u

static bool is_used(void)
{
    return (sim.topics >> TOPIC_DRAIN & 1) != 0;
}

static bool is_drained(const struct server_model *model)
{
    return model->drain.on;
}

void sim_drain_forget(struct server_model *model)
{
    memset(&model->drain, 0, sizeof model->drain);
}

bool sim_drain_covers(uint16_t port)
{
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        const struct server_model *model = &sim.servers[i];
        if (model->server != NULL && is_drained(model) && model->drain.port == port && port != 0)
            return true;
    }
    return false;
}

bool sim_drain_has_deadline(const struct server_model *model)
{
    return is_drained(model) && model->drain.ends > 0;
}

/* The listener goes when the grace is over. */
static void note_closing(struct server_model *model)
{
    if (!model->drain.listened || berth_server_is_listening(model->server))
        return;
    model->drain.listened = false;
    if (model->through)
        sim_unbound(model);
    else
        sim_going(1);
}

/* ---- handlers -------------------------------------------------------------------------------- */

void sim_on_draining(berth_socket *socket, void *user)
{
    struct socket_model *model = user;
    struct server_model *server = model->owner;
    sim_check(model->socket == socket && !model->dying, "draining of a socket that was freed");
    sim_check(server != NULL && model->counted && is_drained(server),
              "a socket is told that has no server that is drained");
    sim_check(berth_server_drain_state(server->server) == BERTH_DRAIN_DRAINING,
              "a socket is told in another state");
    sim_check(model->state == BERTH_STATE_CONNECTED && model->queued_in == NULL,
              "a socket is told that is not connected, or not taken");
    sim_check(model->told != server->drain.number, "a socket is told twice");
    model->told = server->drain.number;
    sim_time_timer_ran();
    sim_spring(IN_TASK, model, NULL, NULL);
}

void sim_on_emptied(berth_server *server, bool forced, void *user)
{
    struct server_model *model = user;
    berth_server_counts counts;
    sim_check(model->server == server && model->closing == 0, "emptied of a server that was freed");
    sim_check(is_drained(model), "emptied without a drain");
    sim_check(berth_server_drain_state(server) == BERTH_DRAIN_EMPTY, "emptied in another state");
    berth_server_statistics(server, &counts);
    sim_check(counts.live == 0 && counts.pending == 0 && counts.at_hand == 0,
              "emptied with %llu connections, and %llu in the queue",
              (unsigned long long)counts.live, (unsigned long long)counts.pending);
    sim_check(forced == (counts.closed_drain > model->drain.closed_before),
              "emptied says that a connection was%s forced", forced ? "" : " not");
    note_closing(model);
    sim_drain_forget(model);
    sim_time_timer_ran();
    sim_spring(IN_TASK, NULL, model, NULL);
}

/* In error_occurred. */
bool sim_ended_by_drain(struct socket_model *model)
{
    struct server_model *server = model->owner;
    if (strstr(berth_socket_error_string(model->socket), "the server is drained") == NULL)
        return false;
    sim_check(server != NULL && sim_drain_has_deadline(server), "a drain without a deadline ends");
    sim_check(sim_now() >= server->drain.ends, "a drain ends a connection before its deadline");
    server->drain_heard++;
    sim_cut(model->connection);
    return true;
}

/* ---- looks ----------------------------------------------------------------------------------- */

/* What waits in the kernel may be reset when the listener is closed, and the news of that may be
 * older than this look: such connections count as cut from the beginning. */
static void cut_arrivals(const struct server_model *model)
{
    for (size_t i = 0; i < sim.connection_count; i++) {
        struct connection *each = &sim.connections[i];
        if ((each->to == model->drain.port || each->through == model) && !each->accepted)
            sim_cut(each);
    }
}

void sim_drain_look(struct server_model *model)
{
    if (!is_drained(model))
        return;
    berth_drain_state state = berth_server_drain_state(model->server);
    sim_check(state == BERTH_DRAIN_GRACE || state == BERTH_DRAIN_DRAINING,
              "a drain has ended without a word");
    sim_check(state >= model->drain.state, "a drain goes back");
    sim_check(state == BERTH_DRAIN_GRACE || sim_now() >= model->drain.closes,
              "the grace of a drain ends early");
    bool listens = berth_server_is_listening(model->server);
    sim_check(!listens || state == BERTH_DRAIN_GRACE, "a server listens while it is drained");
    note_closing(model);
    cut_arrivals(model);
    model->drain.state = state;
}

uint64_t sim_drain_left(struct server_model *model)
{
    bool leaves =
        is_drained(model) && berth_server_drain_state(model->server) == BERTH_DRAIN_DRAINING;
    if (leaves && model->drain.left == 0)
        model->drain.left = berth_loop_now(sim.loop);
    return model->drain.left;
}

/* Everything has come to rest. */
void sim_drain_rests(struct server_model *model)
{
    berth_server_counts counts;
    if (!is_drained(model) || sim_now() < model->drain.closes + LATE)
        return;
    sim_check(model->drain.state == BERTH_DRAIN_DRAINING, "the grace of a drain does not end");
    berth_server_statistics(model->server, &counts);
    sim_check(counts.live + counts.pending > 0, "emptied does not come");
    sim_check(model->drain.ends == 0 || sim_now() < model->drain.ends + LATE,
              "%llu connections live on after the deadline of a drain",
              (unsigned long long)counts.live);
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        const struct socket_model *socket = &sim.sockets[i];
        sim_check(socket->socket == NULL || socket->owner != model || !socket->counted ||
                      socket->state != BERTH_STATE_CONNECTED || socket->queued_in != NULL ||
                      socket->told == model->drain.number,
                  "socket %zu is not told", i);
    }
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void visit(berth_socket *socket, void *user)
{
    struct server_model *server = user;
    struct socket_model *model = berth_socket_user(socket);
    sim_check(model != NULL && model->socket == socket && model->owner == server,
              "a server visits another's socket");
    sim_check(model->queued_in == NULL || model->dying, "a server visits a pending socket");
    sim_check(model->visited != server->visits, "a socket is visited twice");
    model->visited = server->visits;
}

/* Without going out of the model's sight: nothing that a visit finds is changed by it. */
static void visit_all(struct server_model *model)
{
    model->visits++;
    sim_say("server %zu visits its sockets", sim_index_of(model));
    berth_server_each_socket(model->server, visit, model);
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        const struct socket_model *socket = &sim.sockets[i];
        sim_check(socket->socket == NULL || socket->owner != model || !socket->counted ||
                      socket->dying || socket->queued_in != NULL ||
                      socket->visited == model->visits,
                  "socket %zu is not visited", i);
    }
}

static bool has_own_in_queue(const struct server_model *model)
{
    for (size_t i = 0; i < model->queued; i++) {
        if (model->queue[i].socket != NULL)
            return true;
    }
    return false;
}

static uint64_t sooner(uint64_t now, uint64_t before, uint64_t milliseconds)
{
    return before == 0 || now + milliseconds < before ? now + milliseconds : before;
}

/* The deadline may end them unheard. */
static void risk_queue(struct server_model *model)
{
    for (size_t i = 0; i < model->queued; i++) {
        struct connection *each = model->queue[i].connection;
        if (each != NULL)
            each->way[0].at_risk = each->way[1].at_risk = true;
    }
}

static void drain(struct server_model *model, uint64_t word)
{
    static const uint32_t times[] = {0, 0, 1, 30, 400, 3000};
    berth_drain plan = {.grace = times[sim_choose(&word, 6)],
                        .deadline = times[sim_choose(&word, 6)],
                        .idle = times[sim_choose(&word, 6)]};
    berth_server_counts counts;
    if (has_own_in_queue(model) || !sim_tls_may_end_guests(model))
        plan.deadline = 0;
    sim_say("server %zu is drained: grace %u, deadline %u", sim_index_of(model), plan.grace,
            plan.deadline);
    berth_drain_state before = berth_server_drain_state(model->server);
    uint64_t now = sim_now();
    sim_check(berth_server_drain(model->server, &plan), "a server cannot be drained");
    if (before == BERTH_DRAIN_EMPTY)
        return;
    if (!is_drained(model)) {
        berth_server_statistics(model->server, &counts);
        static unsigned number;
        model->drain.on = true;
        model->drain.number = ++number;
        model->drain.port = sim_port(model);
        model->drain.listened = berth_server_is_listening(model->server);
        model->drain.closed_before = counts.closed_drain;
        model->drain.state = BERTH_DRAIN_GRACE;
        model->drain.closes = now + plan.grace;
    }
    if (now + plan.grace < model->drain.closes)
        model->drain.closes = now + plan.grace;
    if (plan.deadline > 0) {
        model->drain.ends = sooner(now, model->drain.ends, plan.deadline);
        risk_queue(model);
    }
    if (model->drain.ends > 0 && model->drain.ends < model->drain.closes)
        model->drain.closes = model->drain.ends;
    cut_arrivals(model);
}

void sim_call_of_drain(uint64_t word)
{
    struct server_model *model = sim_some_server(&word);
    if (model == NULL || !is_used())
        return;
    if (sim_choose(&word, 3) == 0)
        visit_all(model);
    else if (!model->has_trusted && !model->trusts && !model->through)
        drain(model, word);
}
