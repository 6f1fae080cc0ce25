/*
 * Bytes of the last seconds; speed.h describes each function.
 *
 * The number of a second is `now` / 1000. The slot of second s is s modulo SPEED_SLOTS. Reading
 * changes nothing: seconds that have passed since the last speed_add are seen as empty.
 */
#include "speed.h"

#include <stdbool.h>
#include <string.h>

/* The bytes of a second that is over, or of the present one. */
static uint32_t bytes_of(const speed *self, uint64_t second)
{
    if (second == self->second)
        return self->present;
    bool kept = second < self->second && self->second - second <= SPEED_SLOTS;
    return kept ? self->slots[second % SPEED_SLOTS] : 0;
}

static void begin_second(speed *self, uint64_t second)
{
    if (second - self->second > SPEED_SLOTS) {
        memset(self->slots, 0, sizeof(self->slots));
    } else {
        self->slots[self->second % SPEED_SLOTS] = self->present;
        for (uint64_t empty = self->second + 1; empty < second; empty++)
            self->slots[empty % SPEED_SLOTS] = 0;
    }
    self->second = second;
    self->present = 0;
}

void speed_add(speed *self, uint64_t now, uint32_t bytes)
{
    if (now / 1000 > self->second)
        begin_second(self, now / 1000);
    self->total += bytes;
    self->present = bytes < UINT32_MAX - self->present ? self->present + bytes : UINT32_MAX;
}

uint32_t speed_average(const speed *self, uint64_t now)
{
    uint64_t sum = 0;
    for (uint64_t age = 1; age <= SPEED_SLOTS && age <= now / 1000; age++)
        sum += bytes_of(self, now / 1000 - age);
    return (uint32_t)(sum / SPEED_SLOTS);
}

uint32_t speed_recent(const speed *self, uint64_t now)
{
    uint32_t present = bytes_of(self, now / 1000);
    uint32_t last = now >= 1000 ? bytes_of(self, now / 1000 - 1) : 0;
    return present > last ? present : last;
}
