/*
 * The times of a connection's limits; see connection_limits.h for the rules. Nothing can fail here.
 */
#include "connection_limits.h"

#define NEVER UINT64_MAX
#define UNKNOWN UINT32_MAX

const char *berth__limit_text(berth__limit limit)
{
    static const char *const texts[] = {
        [BERTH__LIMIT_NONE] = "a limit",
        [BERTH__LIMIT_FIRST_BYTE] = "first byte not received in time",
        [BERTH__LIMIT_IDLE] = "idle for too long",
        [BERTH__LIMIT_LIFETIME] = "maximum lifetime reached",
        [BERTH__LIMIT_RATE] = "slower than the minimum rate",
        [BERTH__LIMIT_OUTPUT] = "too much output waiting",
        [BERTH__LIMIT_ADDRESS] = "too many connections of its address",
        [BERTH__LIMIT_DRAIN] = "the server is drained, and the deadline has passed",
    };
    return texts[limit];
}

bool berth__limits_none(const berth_connection_limits *limits)
{
    return limits->first_byte == 0 && limits->idle == 0 && limits->lifetime == 0 &&
           limits->minimum_rate == 0 && limits->output == 0;
}

static uint32_t bounded(size_t transit)
{
    return transit < UNKNOWN ? (uint32_t)transit : UNKNOWN - 1;
}

void berth__limits_start(berth__socket_limits *limits, size_t transit, uint64_t now)
{
    limits->began = limits->active = limits->listens = limits->window = now;
    limits->bytes = 0;
    limits->transit = bounded(transit);
    limits->looked = true;
    limits->spared = false;
}

void berth__limits_go_on(berth__socket_limits *limits, uint64_t now)
{
    limits->active = limits->listens = limits->window = now;
    limits->bytes = 0;
    limits->transit = UNKNOWN;
    limits->looked = false;
}

static uint64_t window_length(const berth__socket_limits *limits)
{
    uint64_t given = limits->given.rate_window;
    return given > 0 ? given : (uint64_t)BERTH_DEFAULT_RATE_WINDOW;
}

static bool is_idle(const berth__socket_limits *limits, uint64_t now)
{
    return limits->given.idle > 0 && berth__after(limits->active, limits->given.idle) <= now;
}

static bool window_ends(const berth__socket_limits *limits, uint64_t now)
{
    return limits->given.minimum_rate > 0 &&
           berth__after(limits->window, window_length(limits)) <= now;
}

bool berth__limits_asks(const berth__socket_limits *limits, const berth__limits_view *view,
                        uint64_t now)
{
    return view->spoken && !view->stands && (is_idle(limits, now) || window_ends(limits, now));
}

void berth__limits_look(berth__socket_limits *limits, const berth__limits_view *view,
                        size_t transit, uint64_t now)
{
    bool known = limits->transit != UNKNOWN;
    bool less = known && transit < limits->transit;
    bool waits = is_idle(limits, now) && (transit > 0 || view->owes);
    bool begins = limits->looked ? less : waits;
    if (less)
        limits->bytes += limits->transit - transit;
    if (!known && window_ends(limits, now)) {
        limits->window = view->clock;
        limits->bytes = 0;
    }
    limits->transit = bounded(transit);
    if (!begins)
        return;
    limits->active = now > limits->active ? now : limits->active;
    limits->looked = true;
}

static uint64_t needed(const berth__socket_limits *limits)
{
    return (limits->given.minimum_rate * window_length(limits) + 999) / 1000;
}

/* Goes on to the next window of the rate if this one is over and has had enough. Returns when it is
 * due: in the past if it has not. The next one begins at this look, however late it is, or behind
 * the handlers that have run since: what went before has been counted, and would be missing in a
 * window that had begun earlier. */
static uint64_t rate_due(berth__socket_limits *limits, uint64_t now, uint64_t clock)
{
    uint64_t length = window_length(limits);
    uint64_t due = berth__after(limits->window, length);
    if (due > now || limits->bytes < needed(limits))
        return due;
    limits->window = clock;
    limits->bytes = 0;
    return berth__after(clock, length);
}

bool berth__limits_makes_up(berth__socket_limits *limits, size_t input, uint64_t clock)
{
    if (limits->bytes + input < needed(limits))
        return false;
    limits->window = clock;
    limits->bytes = 0;
    return true;
}

uint64_t berth__lifetime_due(const berth__socket_limits *limits)
{
    uint64_t lifetime = limits->given.lifetime;
    return lifetime > 0 ? berth__after(limits->began, lifetime) : NEVER;
}

berth__limit berth__limits_earliest(berth__socket_limits *limits, const berth__limits_view *view,
                                    uint64_t now, uint64_t *ret_due)
{
    const berth_connection_limits *given = &limits->given;
    berth__limit limit = BERTH__LIMIT_NONE;
    uint64_t due[] = {[BERTH__LIMIT_NONE] = NEVER,
                      [BERTH__LIMIT_FIRST_BYTE] = NEVER,
                      [BERTH__LIMIT_IDLE] = NEVER,
                      [BERTH__LIMIT_LIFETIME] = NEVER,
                      [BERTH__LIMIT_RATE] = NEVER};
    /* The time of the last wait may be before they were set. */
    if (view->held_up)
        limits->listens = now > limits->listens ? now : limits->listens;
    if (view->stands || view->unsent)
        limits->active = now > limits->active ? now : limits->active;
    if (view->stands) {
        limits->window = now > limits->window ? now : limits->window;
        limits->bytes = 0;
        limits->transit = UNKNOWN;
        limits->looked = false;
    }
    if (given->first_byte > 0 && view->silent)
        due[BERTH__LIMIT_FIRST_BYTE] = berth__after(limits->listens, given->first_byte);
    if (given->idle > 0)
        due[BERTH__LIMIT_IDLE] = berth__after(limits->active, given->idle);
    due[BERTH__LIMIT_LIFETIME] = berth__lifetime_due(limits);
    if (given->minimum_rate > 0)
        due[BERTH__LIMIT_RATE] = rate_due(limits, now, view->clock);
    for (int i = BERTH__LIMIT_FIRST_BYTE; i <= BERTH__LIMIT_RATE; i++) {
        if (due[i] < due[limit])
            limit = (berth__limit)i;
    }
    *ret_due = due[limit];
    return limit;
}
