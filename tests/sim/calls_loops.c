/*
 * Calls of a loop beyond its turns: runs within runs, stops, the descriptor and the time-out for
 * another loop, and how long its end may take.
 *
 * Tasks that stop run in the order of posting, so that the first run that returns has the code of
 * the first stop, whichever run that was posted for.
 */
#include "calls.h"
#include "world.h"

#include <string.h>

#define MOST_RUNS 3u

static struct {
    int codes[MOST_RUNS]; /* of stops that are to come, in order */
    unsigned count;
} stops;

void sim_loops_begin(void)
{
    memset(&stops, 0, sizeof stops);
}

static void stop(void *user)
{
    berth_loop_stop(sim.loop, (int)(intptr_t)user);
}

void sim_run(int code)
{
    if (stops.count == MOST_RUNS)
        return;
    sim_say("the loop runs until a task stops it with %d", code);
    if (!berth_loop_post(sim.loop, stop, (void *)(intptr_t)code))
        return;
    stops.codes[stops.count++] = code;
    struct sim_stay stay;
    sim_stay_begin(&stay, -1, false);
    int result = berth_loop_run(sim.loop);
    (void)sim_stay_end(&stay);
    sim_time_woken(); /* by the stop */
    if (sim.leaving)
        return;
    int expected = stops.codes[0];
    stops.count--;
    memmove(stops.codes, stops.codes + 1, stops.count * sizeof stops.codes[0]);
    sim_check(result == expected, "a run ends with %d instead of %d", result, expected);
}

/* What another loop would wait for: no timer may be due before. */
static void look_from_outside(void)
{
    int milliseconds = berth_loop_timeout(sim.loop);
    uint64_t now = berth_loop_now(sim.loop);
    for (size_t i = 0; i < SIM_TIMERS && sim.depth == 0; i++) {
        const struct timer_model *model = &sim.timers[i];
        if (model->timer == NULL || !model->active)
            continue;
        sim_check(milliseconds >= 0, "a timer runs, and the loop does not want a turn");
        uint64_t latest = model->latest > now ? model->latest + 1 : now;
        sim_check(now + (uint64_t)milliseconds <= latest, "a turn is wanted too late for timer %zu",
                  i);
    }
    sim_say("the loop wants a turn in %d ms", milliseconds);
}

static void ask_loop(void)
{
    const char *name = berth_loop_backend_name(sim.loop);
    sim_check((strcmp(name, "sim") == 0) == world->is_simulated, "the backend is %s", name);
    sim_check(berth_loop_backend_reason(sim.loop) != NULL, "a loop without a reason");
    sim_check(berth_loop_after_fork(sim.loop), "a loop is not its process's own");
}

static void set_linger_time(uint64_t word)
{
    uint32_t milliseconds = sim_choose(&word, 3) * 25;
    sim_say("the end of the loop takes %u ms at most", milliseconds);
    berth_loop_set_linger_time(sim.loop, milliseconds);
    sim_check(berth_loop_linger_time(sim.loop) == milliseconds, "a time was not kept");
}

void sim_call_of_loops(uint64_t word)
{
    switch (sim_choose(&word, 6)) {
    case 0:
    case 1:
        sim_run((int)sim_choose(&word, 100));
        break;
    case 2:
    case 3:
        look_from_outside();
        break;
    case 4:
        ask_loop();
        break;
    default:
        set_linger_time(word);
    }
}
