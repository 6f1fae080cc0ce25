/*
 * Calls of watches and signals: started, stopped and freed between turns and inside handlers, on
 * events of the test's own that are raised for so many calls.
 *
 * A watch that is active is called while its event is raised, and no other is; one that was started
 * once is inactive then. A handler lowers the event when it has been called as often as that was
 * raised for. A signal that has come when a turn begins has been handed to each of its handlers
 * when that ends. One that comes while a handler of signals runs may find another handler due
 * already: that is called for what it was due for, and once more.
 *
 * Traps for tasks spring in these handlers too. Handlers of their own would give every program
 * other traps.
 */
#include "calls.h"
#include "world.h"

#include <signal.h>
#include <string.h>

#define WATCHES 3u
#define SIGNALS 3u
#define LAST_TURNS 200u

static struct watch_model {
    berth_watch *watch;
    int descriptor; /* -1: none yet */
    bool active;
    bool once;
    uint32_t left; /* calls until the event is lowered; 0: it is not raised */
} watches[WATCHES];

static struct signal_model {
    berth_signal *signal;
    int number;
    unsigned long raised;
    unsigned long called; /* what was raised when it was called last */
    bool raised_inside;   /* in a handler of signals, since it was called last */
    bool once_more;       /* it may be called again for what was raised there */
} signals[SIGNALS];

static unsigned inside; /* handlers of signals that run */

static bool is_used(void)
{
    return (sim.topics >> TOPIC_WATCHES & 1) != 0;
}

/* ---- handlers -------------------------------------------------------------------------------- */

static void on_ready(berth_watch *watch, unsigned events, void *user)
{
    struct watch_model *model = user;
    sim_check(model->watch == watch, "a watch that was freed is called");
    sim_check(model->active, "a watch that is not active is called");
    sim_check(model->left > 0, "a watch that is not ready is called");
    sim_check(events == BERTH_WATCH_READ, "a watch is called for %u", events);
    sim_time_timer_ran();
    model->active = !model->once;
    sim_check(berth_watch_is_active(watch) == model->active, "a watch is%s over",
              model->once ? " not" : "");
    if (--model->left == 0)
        world->raise_event(model->descriptor, false);
    sim_spring(IN_TASK, NULL, NULL, NULL);
}

static void on_signal(berth_signal *signal, void *user)
{
    struct signal_model *model = user;
    sim_check(model->signal == signal, "a signal's handler that was freed is called");
    sim_check(berth_signal_number(signal) == model->number, "a signal has another number");
    sim_check(model->called < model->raised || model->once_more, "a signal has not come");
    sim_time_timer_ran();
    model->once_more = model->called < model->raised && model->raised_inside;
    model->raised_inside = false;
    model->called = model->raised;
    inside++;
    sim_spring(IN_TASK, NULL, NULL, NULL);
    inside--;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void free_watch(struct watch_model *model)
{
    berth_watch_free(model->watch);
    model->watch = NULL;
    model->active = false;
}

static bool have_watch(struct watch_model *model)
{
    if (model->descriptor < 0)
        model->descriptor = world->event_descriptor();
    if (model->descriptor >= 0 && model->watch == NULL)
        model->watch = berth_watch_new(sim.loop, model->descriptor, on_ready, model);
    sim_check(model->watch == NULL || berth_watch_descriptor(model->watch) == model->descriptor,
              "a watch has another descriptor");
    return model->watch != NULL;
}

static void start_watch(struct watch_model *model, bool once)
{
    sim_say("watch %td starts%s", model - watches, once ? " once" : "");
    model->once = once;
    if (once)
        model->active = berth_watch_start_once(model->watch, BERTH_WATCH_READ);
    else
        model->active = berth_watch_start(model->watch, BERTH_WATCH_READ);
}

static void use_watch(uint64_t word)
{
    struct watch_model *model = &watches[sim_choose(&word, WATCHES)];
    if (!have_watch(model))
        return;
    switch (sim_choose(&word, 8)) {
    case 0:
    case 1:
    case 2:
        start_watch(model, sim_choose(&word, 2) == 0);
        break;
    case 3:
        sim_say("watch %td stops", model - watches);
        berth_watch_stop(model->watch);
        model->active = false;
        break;
    case 4:
        sim_say("watch %td is freed", model - watches);
        free_watch(model);
        break;
    default:
        model->left += 1 + sim_choose(&word, 4);
        sim_say("the event of watch %td is raised for %u calls", model - watches, model->left);
        world->raise_event(model->descriptor, true);
    }
}

/* False if nobody handles it: it would end the process. */
static bool raise_signal(int number)
{
    bool handled = false;
    for (size_t i = 0; i < SIGNALS; i++) {
        if (signals[i].signal == NULL || signals[i].number != number)
            continue;
        handled = true;
        signals[i].raised++;
        signals[i].raised_inside = signals[i].raised_inside || inside > 0;
    }
    if (!handled)
        return false;
    sim_say("signal %d comes", number);
    raise(number);
    sim_time_woken();
    return true;
}

static void use_signal(uint64_t word)
{
    struct signal_model *model = &signals[sim_choose(&word, SIGNALS)];
    int number = sim_choose(&word, 2) == 0 ? SIGUSR1 : SIGUSR2;
    bool raises = sim_choose(&word, 3) != 0;
    if (raises && raise_signal(number))
        return;
    if (model->signal != NULL && !raises) {
        sim_say("handler %td of signal %d is freed", model - signals, model->number);
        berth_signal_free(model->signal);
        model->signal = NULL;
        model->called = model->raised;
        model->raised_inside = model->once_more = false;
    } else if (model->signal == NULL) {
        sim_say("handler %td is for signal %d", model - signals, number);
        model->number = number;
        model->signal = berth_signal_new(sim.loop, number, on_signal, model);
    }
}

void sim_call_of_watches(uint64_t word)
{
    if (sim_choose(&word, 2) == 0)
        use_signal(word);
    else
        use_watch(word);
}

/* ---- looks ----------------------------------------------------------------------------------- */

void sim_watches_begin(void)
{
    memset(watches, 0, sizeof watches);
    memset(signals, 0, sizeof signals);
    inside = 0;
    for (size_t i = 0; i < WATCHES; i++)
        watches[i].descriptor = -1;
}

void sim_watches_look(void)
{
    for (size_t i = 0; i < WATCHES; i++)
        sim_check(watches[i].watch == NULL || sim.depth > 0 ||
                      berth_watch_is_active(watches[i].watch) == watches[i].active,
                  "watch %zu does not know whether it is active", i);
}

/* What has come so far, and whether all of that was called. */
void sim_signals_raised(unsigned long ret_raised[SIM_SIGNALS])
{
    _Static_assert(SIGNALS == SIM_SIGNALS, "one place for each");
    for (size_t i = 0; i < SIGNALS; i++)
        ret_raised[i] = signals[i].raised;
}

void sim_signals_check(const unsigned long raised[SIM_SIGNALS])
{
    for (size_t i = 0; i < SIGNALS; i++)
        sim_check(signals[i].called >= raised[i], "a turn has left signal %d", signals[i].number);
}

/* Each that is active is called until its event is lowered. */
void sim_watches_be_kind(void)
{
    for (size_t i = 0; i < WATCHES && is_used(); i++) {
        struct watch_model *model = &watches[i];
        if (model->watch == NULL || model->left == 0)
            continue;
        start_watch(model, false);
        sim_check(model->active, "watch %zu cannot be started", i);
        for (unsigned turns = 0; turns < LAST_TURNS && model->left > 0; turns++)
            sim_turn(10);
        sim_check(model->left == 0, "watch %zu is not called", i);
    }
}

/* The loop frees what is left; the kernel that is simulated goes with it. */
void sim_watches_free(void)
{
    for (size_t i = 0; i < WATCHES; i++) {
        free_watch(&watches[i]);
        if (watches[i].descriptor >= 0)
            world->close_event(watches[i].descriptor);
        watches[i].descriptor = -1;
    }
    for (size_t i = 0; i < SIGNALS; i++) {
        berth_signal_free(signals[i].signal);
        signals[i] = (struct signal_model){0};
    }
}

void sim_watches_end(void)
{
    for (size_t i = 0; i < WATCHES && !world->is_simulated; i++) {
        if (watches[i].descriptor >= 0)
            world->close_event(watches[i].descriptor);
    }
}
