/*
 * What statistics say, against the model: counts that grow only grow, the balance of a server holds
 * wherever a program can look, and what the program has seen itself was counted.
 *
 * Called by sim_look after every step and handler. What is true between turns only is left out
 * inside handlers, where the library is in the middle of something.
 */
#include "model.h"

#include <stddef.h>

#define SLOT(type, name)            \
    {                               \
        offsetof(type, name), #name \
    }
#define OF_SERVER(name) SLOT(berth_server_counts, name)
#define OF_LOOP(name) SLOT(berth_loop_counts, name)

struct slot {
    size_t offset;
    const char *name;
};

static uint64_t value_at(const void *counts, size_t offset)
{
    return *(const uint64_t *)(const void *)((const char *)counts + offset);
}

static void check_growth(const void *before, const void *now, const struct slot *slots,
                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        sim_check(value_at(before, slots[i].offset) <= value_at(now, slots[i].offset),
                  "%s has fallen from %llu to %llu", slots[i].name,
                  (unsigned long long)value_at(before, slots[i].offset),
                  (unsigned long long)value_at(now, slots[i].offset));
}

/* ---- servers --------------------------------------------------------------------------------- */

static const struct slot growing_of_server[] = {
    OF_SERVER(accepted),
    OF_SERVER(added),
    OF_SERVER(taken),
    OF_SERVER(handed_over),
    OF_SERVER(rejected_call),
    OF_SERVER(rejected_shed),
    OF_SERVER(rejected_address),
    OF_SERVER(failed),
    OF_SERVER(dropped),
    OF_SERVER(closed_pending),
    OF_SERVER(closed_idle),
    OF_SERVER(closed_first_byte),
    OF_SERVER(closed_lifetime),
    OF_SERVER(closed_rate),
    OF_SERVER(closed_output),
    OF_SERVER(closed_drain),
    OF_SERVER(paced),
    OF_SERVER(exhaustions),
    OF_SERVER(accept_failures),
    OF_SERVER(rejected_header),
    OF_SERVER(handshakes),
    OF_SERVER(failed_handshake),
    OF_SERVER(rejected_greeting),
};

static uint64_t turned_away(const berth_server_counts *counts)
{
    return counts->rejected_address + counts->rejected_call + counts->rejected_shed +
           counts->rejected_header + counts->failed_handshake + counts->rejected_greeting;
}

/* Before incoming_connection. */
static uint64_t never_asked(const berth_server_counts *counts)
{
    return turned_away(counts) - counts->failed_handshake - counts->rejected_greeting;
}

static void check_balance(const berth_server_counts *counts)
{
    uint64_t came = counts->accepted + counts->added;
    uint64_t waiting = counts->pending + counts->awaiting_header + counts->at_hand +
                       counts->greeting + counts->handshaking;
    uint64_t gone = counts->failed + counts->dropped + counts->closed_pending;
    sim_check(came == counts->taken + waiting + counts->handed_over + turned_away(counts) + gone,
              "%llu connections came, and the balance is another", (unsigned long long)came);
    sim_check(counts->exhaustions <= counts->accept_failures, "exhausted without a failure");
    sim_check(counts->at_hand <= SIM_DEPTH, "too many connections are at hand");
}

/* A limit turns nobody away that was never set. */
static void check_limits(const struct server_model *model, const berth_server_counts *counts)
{
    sim_check(model->limited_address || counts->rejected_address == 0,
              "an address without a limit is rejected");
    sim_check(model->limited_rate || counts->paced == 0, "accepting is paced without a limit");
    sim_check(model->sheds || counts->rejected_shed == 0, "connections are shed without a word");
    sim_check(counts->rejected_call == model->turned_away, "berth_server_reject miscounts");
}

/* Who is turned away for its address found as many as may be of it: those that were there at the
 * last look, or have come since; and those that linger have their places still. */
static void check_rejected(struct server_model *model, const berth_server_counts *now)
{
    const berth_server_counts *before = &model->counts;
    uint64_t rejected = now->rejected_address - before->rejected_address;
    uint64_t came = now->accepted - before->accepted + now->added - before->added;
    /* One that was handed over has its place until its handlers have returned. */
    uint64_t handlers = sim.depth + sim.inside;
    uint64_t at_hand = before->at_hand + handlers + before->greeting + before->handshaking;
    /* Whose end was announced at the last look lingers only when that handler has returned. */
    uint64_t ending = model->looked_inside;
    uint64_t most = before->live + at_hand + model->lingering + ending + came - rejected;
    bool judged = rejected > 0 && !model->has_trusted && model->same_accepts;
    sim_check(!judged || most >= model->accepts.per_address,
              "somebody is turned away for %llu others of its address", (unsigned long long)most);
    if (judged && turned_away(now) + now->failed + now->dropped == now->rejected_address)
        sim_local_rejected(model, rejected);
    berth_loop_counts loop;
    berth_loop_statistics(sim.loop, &loop);
    model->lingering = loop.lingering;
    model->looked_inside = sim.depth + sim.inside;
    model->same_accepts = true;
}

/* Connections of the server that sockets have: those of the program, and those in the queue. */
static void check_live(const struct server_model *model, const berth_server_counts *counts)
{
    uint64_t live = 0;
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        const struct socket_model *socket = &sim.sockets[i];
        live += socket->socket != NULL && socket->owner == model && socket->counted;
    }
    for (size_t i = 0; i < model->queued; i++)
        live += model->queue[i].socket == NULL;
    live += counts->handshaking;
    live -= sim_lost_in_queue(model);
    sim_check(counts->live == live || sim.depth + sim.inside > 0 || model->has_trusted ||
                  sim_lossy(),
              "%llu connections of a server are counted, not %llu, with %llu that shake hands",
              (unsigned long long)counts->live, (unsigned long long)live,
              (unsigned long long)counts->handshaking);
}

void sim_look_at_counts(struct server_model *model)
{
    berth_server_counts counts;
    berth_server_statistics(model->server, &counts);
    check_rejected(model, &counts);
    check_growth(&model->counts, &counts, growing_of_server,
                 sizeof growing_of_server / sizeof growing_of_server[0]);
    check_balance(&counts);
    check_limits(model, &counts);
    /* Those that never came before the program: turned away, not decided yet, or lost for want of
     * memory or by the server's close. */
    uint64_t unseen = counts.accepted - model->asked - never_asked(&counts);
    sim_check(counts.accepted >= model->asked + never_asked(&counts) &&
                  unseen >= counts.awaiting_header &&
                  unseen <= counts.awaiting_header + counts.failed + counts.dropped,
              "%llu connections were accepted, and %lu seen", (unsigned long long)counts.accepted,
              model->asked);
    sim_check(counts.taken == model->taken, "%llu were taken, not %lu",
              (unsigned long long)counts.taken, model->taken);
    sim_check(counts.added == model->added, "%llu were added, not %lu",
              (unsigned long long)counts.added, model->added);
    sim_check(counts.handed_over <= model->kept &&
                  (sim.depth + sim.inside > 0 || counts.handed_over == model->kept),
              "%llu were handed over, not %lu", (unsigned long long)counts.handed_over,
              model->kept);
    model->counts = counts;
    check_live(model, &counts);
    sim_check_pace(model);
    sim_headers_look(model);
    sim_tls_look(model, &counts);
}

/* The counts of the last look stay, for the next one to compare with. */
unsigned long sim_lost_in_queue(const struct server_model *model)
{
    berth_server_counts counts;
    berth_server_statistics(model->server, &counts);
    uint64_t drained = counts.closed_drain - model->drain_heard; /* in the queue */
    uint64_t guests = sim_tls_ended_guests(model, &counts); /* likewise, but not in the queue */
    return (unsigned long)(counts.closed_pending + drained - guests) - model->settled;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static const struct slot growing_of_loop[] = {
    OF_LOOP(turns),
    OF_LOOP(waits),
    OF_LOOP(accepted),
    OF_LOOP(bytes_in),
    OF_LOOP(bytes_out),
    OF_LOOP(limits_ended),
    OF_LOOP(lingers_cut),
    OF_LOOP(buffer_shortages),
    OF_LOOP(resets_found),
    OF_LOOP(completion_overflows),
    OF_LOOP(receives_renewed),
};

void sim_look_at_loop_counts(void)
{
    berth_loop_counts counts;
    berth_loop_statistics(sim.loop, &counts);
    check_growth(&sim.counts, &counts, growing_of_loop,
                 sizeof growing_of_loop / sizeof growing_of_loop[0]);
    sim_check(counts.lingering <= counts.live, "more connections linger than there are");
    sim_check(counts.bytes_in >= sim.delivered && counts.bytes_out >= sim.announced,
              "%llu bytes were delivered and %llu announced, and the counts say less",
              (unsigned long long)sim.delivered, (unsigned long long)sim.announced);
    sim.counts = counts;
    if (sim.depth + sim.inside > 0)
        return;
    uint64_t accepted = sim.accepted_by_freed;
    uint64_t limited = sim.limited + sim.limited_in_freed;
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        const struct server_model *model = &sim.servers[i];
        if (model->server != NULL && model->closing > 0)
            return;
        accepted += model->server != NULL ? model->counts.accepted : 0;
        limited += model->server != NULL ? model->counts.closed_pending : 0;
    }
    sim_check(counts.accepted == accepted, "the loop has accepted %llu, its servers %llu",
              (unsigned long long)counts.accepted, (unsigned long long)accepted);
    sim_check(counts.limits_ended == limited, "limits have ended %llu connections, not %llu",
              (unsigned long long)counts.limits_ended, (unsigned long long)limited);
}

void sim_server_goes(struct server_model *model)
{
    berth_server_statistics(model->server, &model->counts);
    sim.accepted_by_freed += model->counts.accepted;
    sim.limited_in_freed += model->counts.closed_pending;
}
