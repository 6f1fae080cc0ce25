/*
 * Calls that hold input and output up: pauses of reading, and rates.
 *
 * In a pause no byte comes, ready_read is not called, and the peer's end is not announced. What
 * moves at a rate is counted, input when it comes and output when it is announced, from the last
 * change of the rate on: it is never more than the burst and the time since then allow. What was on
 * its way at the change, or when a socket got the rate, does not count.
 */
#include "calls.h"
#include "world.h"

#define RATES 3

/* Of the end. */
enum {
    LAST_SPEED = 2000,         /* bytes a second */
    LAST_MILLISECONDS = 10000, /* for all that is outstanding, and more for each of its bytes: */
    LAST_BYTE = 20
};

struct rate_model {
    berth_rate *rate; /* NULL: none */
    uint64_t speed;   /* 0: no limit */
    uint64_t burst;
    uint64_t since; /* milliseconds of the loop */
    uint64_t moved; /* bytes, since then */
    uint64_t allowance;
};

static struct rate_model rates[RATES];
static uint64_t last_time; /* milliseconds: what waited at the end has come by then */

/* ---- pauses ---------------------------------------------------------------------------------- */

static uint64_t came_by_now(struct socket_model *model)
{
    const struct way *in = sim_way_in(model);
    return in != NULL ? in->got + berth_socket_bytes_available(model->socket) : 0;
}

static void pause_or_resume(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    if (model == NULL || model->starts)
        return;
    bool pauses = sim_choose(&word, model->paused ? 4 : 2) == 0;
    sim_say("socket %zu %s", sim_number_of(model), pauses ? "pauses reading" : "reads on");
    unsigned long before = model->deliveries;
    sim_check(berth_socket_is_reading_paused(model->socket) == model->paused,
              "a socket does not know whether it reads");
    if (pauses)
        berth_socket_pause_reading(model->socket);
    else
        berth_socket_resume_reading(model->socket);
    sim_check(model->deliveries == before, "bytes are delivered by the end of a pause");
    if (model->paused && !pauses)
        sim_clock_resume(model);
    model->paused_at = pauses && model->paused ? model->paused_at : came_by_now(model);
    model->paused = pauses;
}

void sim_pace_look(struct socket_model *model)
{
    bool valid = model->state == BERTH_STATE_CONNECTED || model->state == BERTH_STATE_CLOSING;
    if (!model->paused || !valid || model->connection == NULL)
        return;
    if (model->begins_paused)
        model->paused_at = came_by_now(model);
    model->begins_paused = false;
    sim_check(came_by_now(model) <= model->paused_at, "bytes come in a pause");
}

/* ---- rates ----------------------------------------------------------------------------------- */

/* A hundredth of a second is the least. */
static uint64_t burst_of(const struct rate_model *rate)
{
    uint64_t least = rate->speed / 100 + 1;
    return rate->burst > least ? rate->burst : least;
}

static size_t on_the_way(const struct rate_model *rate)
{
    size_t sum = 0;
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        const struct socket_model *model = &sim.sockets[i];
        if (model->socket == NULL || model->dying)
            continue;
        if (berth_socket_write_rate(model->socket) == rate->rate)
            sum += berth_socket_bytes_to_write(model->socket);
        if (berth_socket_read_rate(model->socket) == rate->rate)
            sum += burst_of(rate);
    }
    return sum;
}

static void choose_speed(struct rate_model *rate, uint64_t *word)
{
    static const uint64_t speeds[] = {0, 100, 3000, 100000};
    rate->speed = speeds[sim_choose(word, 4)];
    rate->burst = sim_choose(word, 2) == 0 ? rate->speed / 10 : 1 + sim_choose(word, 5000);
    rate->since = berth_loop_now(sim.loop);
    rate->moved = 0;
    sim_say("rate %td: %llu bytes/s, %llu at once", rate - rates, (unsigned long long)rate->speed,
            (unsigned long long)rate->burst);
}

static void change_rate(struct rate_model *rate, uint64_t word)
{
    size_t before = rate->rate != NULL ? on_the_way(rate) : 0;
    choose_speed(rate, &word);
    rate->allowance = before + rate->speed / 100;
    if (rate->rate == NULL)
        rate->rate = berth_rate_new(sim.loop, rate->speed, rate->burst);
    else
        berth_rate_set(rate->rate, rate->speed, rate->burst);
    sim_check(rate->rate != NULL || sim_lossy(), "no rate can be made");
}

static void free_rate(struct rate_model *rate)
{
    sim_say("rate %td is freed", rate - rates);
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        struct socket_model *model = &sim.sockets[i];
        for (int j = 0; j < 2; j++)
            model->rates[j] = model->rates[j] == rate ? NULL : model->rates[j];
    }
    berth_rate_free(rate->rate);
    rate->rate = NULL;
}

static void give_rate(struct socket_model *model, struct rate_model *rate, bool reads)
{
    sim_say("socket %zu %s at rate %td", sim_number_of(model), reads ? "reads" : "writes",
            rate != NULL ? rate - rates : -1);
    berth_rate *given = rate != NULL ? rate->rate : NULL;
    bool set = reads ? berth_socket_set_read_rate(model->socket, given)
                     : berth_socket_set_write_rate(model->socket, given);
    sim_check(set || sim_lossy(), "a rate cannot be set");
    if (!set)
        return;
    model->rates[!reads] = rate;
    model->was_paced = true;
    if (rate != NULL)
        rate->allowance += reads ? 0 : berth_socket_bytes_to_write(model->socket);
    sim_check((reads ? berth_socket_read_rate(model->socket)
                     : berth_socket_write_rate(model->socket)) == given,
              "a rate is not kept as it was set");
}

/* Of one socket, or of all there are, which then wait for each other. */
static void set_rate(uint64_t word)
{
    struct socket_model *model = sim_some_socket(&word);
    struct rate_model *rate = &rates[sim_choose(&word, RATES)];
    if (model == NULL)
        return;
    if (rate->rate == NULL)
        change_rate(rate, word);
    if (rate->rate == NULL || sim_choose(&word, 6) == 0)
        rate = NULL;
    bool reads = sim_choose(&word, 2) == 0;
    bool all = rate != NULL && sim_choose(&word, 3) == 0;
    if (!all)
        give_rate(model, rate, reads);
    for (size_t i = 0; i < SIM_SOCKETS && all; i++) {
        if (sim.sockets[i].socket != NULL && !sim.sockets[i].dying)
            give_rate(&sim.sockets[i], rate, reads);
    }
}

void sim_pace_moved(struct socket_model *model, bool in, size_t bytes)
{
    struct rate_model *rate = model->rates[!in];
    if (rate == NULL || rate->speed == 0)
        return;
    uint64_t passed = berth_loop_now(sim.loop) - rate->since + 1;
    rate->moved += bytes;
    sim_check(rate->moved <= burst_of(rate) + rate->allowance + rate->speed * passed / 1000 + 1,
              "%llu bytes move in %llu ms at %llu bytes a second", (unsigned long long)rate->moved,
              (unsigned long long)passed, (unsigned long long)rate->speed);
}

/* ---- the end --------------------------------------------------------------------------------- */

static bool may_wait(const struct socket_model *model, bool in)
{
    if (model->socket == NULL || model->state != BERTH_STATE_CONNECTED ||
        model->connection == NULL || model->rates[!in] == NULL)
        return false;
    const struct way *way = &model->connection->way[in ? 1 - model->side : model->side];
    if (way->cut)
        return false;
    return in ? way->got < way->put : berth_socket_bytes_to_write(model->socket) > 0;
}

/* At the end everybody takes what comes: nothing waits for tokens for ever, or for long. */
bool sim_pace_waits(void)
{
    bool waits = false;
    for (size_t i = 0; i < SIM_SOCKETS && !sim_lossy(); i++) {
        for (int in = 0; in < 2; in++)
            waits = waits || may_wait(&sim.sockets[i], in != 0);
    }
    sim_check(!waits || berth_loop_now(sim.loop) < last_time, "bytes wait for tokens for ever");
    return waits;
}

/* ---- the table ------------------------------------------------------------------------------- */

void sim_call_of_pace(uint64_t word)
{
    struct rate_model *rate = &rates[sim_choose(&word, RATES)];
    switch (sim_choose(&word, 8)) {
    case 0:
        change_rate(rate, word);
        break;
    case 1:
        if (sim_choose(&word, 3) == 0)
            free_rate(rate);
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        set_rate(word);
        break;
    default:
        pause_or_resume(word);
    }
}

/* The sockets keep what they have; the loop frees the rates of a program that ends at once. */
void sim_pace_begin(void)
{
    for (size_t i = 0; i < RATES; i++)
        rates[i] = (struct rate_model){0};
}

/* A rate of the end, at which all that is outstanding must come within its time. */
static void speed_up(struct rate_model *rate)
{
    size_t before = on_the_way(rate);
    sim_say("rate %td becomes fast", rate - rates);
    rate->speed = LAST_SPEED;
    rate->burst = LAST_SPEED / 100;
    rate->since = berth_loop_now(sim.loop);
    rate->moved = 0;
    rate->allowance = before + rate->burst;
    berth_rate_set(rate->rate, 0, 0); /* what has gone without tokens is forgotten */
    berth_rate_set(rate->rate, rate->speed, rate->burst);
}

/* Half of the rates are kept where time is virtual. */
void sim_pace_be_kind(uint64_t outstanding)
{
    last_time = berth_loop_now(sim.loop) + LAST_MILLISECONDS + outstanding * LAST_BYTE;
    for (size_t i = 0; i < RATES; i++) {
        if (rates[i].rate != NULL && world->is_simulated && (sim.step + i) % 2 == 0)
            speed_up(&rates[i]);
        else if (rates[i].rate != NULL)
            free_rate(&rates[i]);
    }
    for (size_t i = 0; i < SIM_SOCKETS; i++) {
        struct socket_model *model = &sim.sockets[i];
        if (model->socket != NULL && model->paused)
            berth_socket_resume_reading(model->socket);
        model->paused = false;
    }
}
