/*
 * Peers that act of their own accord, in the middle of a turn, of a wait or of a call.
 *
 * A step sets up what a peer will do: after so many moments at which time has passed, or when its
 * time has come, whichever call of the library that is in. The kernel asks whenever time passes
 * (world.h, on_passing), and a wait that sleeps ends its sleep for it. So what a call finds at its
 * end is not what it found at its beginning.
 *
 * Nothing of the library may be called here but questions, and the time is told by the kernel
 * (sim_now): a look at the clock would let time pass. What a call is about to write is known
 * beforehand (sim_way, `putting`), since a peer may read it before the call has returned.
 *
 * On the simulated kernel only. Peers of a real one would need a thread of their own.
 */
#include "model.h"
#include "world.h"

#include <limits.h>
#include <string.h>

#define MOST_PLANS 8u
#define MILLISECOND UINT64_C(1000000)

static struct plan {
    bool set;
    uint32_t moments; /* that pass before */
    uint64_t due;     /* not before this time, in nanoseconds */
    uint64_t word;
} plans[MOST_PLANS];

static uint64_t time_of_kernel; /* while it asks */
static bool asking;

uint64_t sim_now(void)
{
    return asking ? time_of_kernel / MILLISECOND : berth_loop_now(sim.loop);
}

static uint64_t pass(uint64_t now)
{
    uint64_t next = UINT64_MAX;
    asking = true;
    time_of_kernel = now;
    sim_peers_flood();
    if (sim_proxies_meanwhile())
        next = now + 10 * MILLISECOND;
    for (size_t i = 0; i < MOST_PLANS; i++) {
        struct plan *plan = &plans[i];
        if (!plan->set)
            continue;
        if (plan->moments > 0) {
            plan->moments--;
            continue;
        }
        if (plan->due > now) {
            next = plan->due < next ? plan->due : next;
            continue;
        }
        plan->set = false;
        sim_deed_of_peer(plan->word);
    }
    asking = false;
    return next;
}

void sim_meanwhile_begin(void)
{
    memset(plans, 0, sizeof plans);
}

bool sim_meanwhile_install(void)
{
    if (world->on_passing != NULL)
        world->on_passing(pass);
    return world->on_passing != NULL;
}

void sim_meanwhile_plan(uint64_t word)
{
    if (!sim_meanwhile_install())
        return;
    struct plan *plan = &plans[sim_choose(&word, MOST_PLANS)];
    plan->moments = sim_choose(&word, 2) == 0 ? 0 : sim_choose(&word, 60);
    uint64_t wait = sim_choose(&word, 2) == 0 ? 0 : sim_choose(&word, 40);
    plan->due = (berth_loop_now(sim.loop) + wait) * MILLISECOND;
    plan->word = word;
    plan->set = true;
    sim_say("a peer will act after %u moments and %llu ms", plan->moments,
            (unsigned long long)wait);
}

void sim_meanwhile_be_kind(void)
{
    sim_meanwhile_begin();
    if (world->on_passing != NULL)
        world->on_passing(NULL);
}
