/*
 * How many bytes a second, lately. No clock of its own.
 */
#ifndef TORRENT_SPEED_H
#define TORRENT_SPEED_H

#include <stdint.h>

#define SPEED_SLOTS 5 /* seconds; the present one is counted apart */

typedef struct speed {
    uint64_t total;
    uint64_t second;             /* the present one */
    uint32_t slots[SPEED_SLOTS]; /* bytes of the seconds before, by their number */
    uint32_t present;
} speed;

void speed_add(speed *self, uint64_t now, uint32_t bytes); /* `now` in milliseconds */
/* The average of the last SPEED_SLOTS seconds. */
uint32_t speed_average(const speed *self, uint64_t now);
/* The faster of the last whole second and the present one, so that a beginning counts at once. */
uint32_t speed_recent(const speed *self, uint64_t now);

#endif
