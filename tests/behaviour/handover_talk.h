/*
 * The protocol of a hand-over, spoken by hand: for peers that stall, lie, and die.
 *
 * These are for children and for the other side of a blocking call, so that nothing here asserts by
 * Check: what fails is for the caller to see.
 */
#ifndef BERTH_TESTS_HANDOVER_TALK_H
#define BERTH_TESTS_HANDOVER_TALK_H

#include "daemon/handover.h"

#include <stdbool.h>
#include <stddef.h>

/* An abstract name that no other process uses. */
const char *talk_place(void);

int talk_connect(const char *place); /* a blocking connection; -1 */
int talk_listen(const char *place);  /* and a listener */

/* A message without data, and one with anything. */
bool talk_say(int connection, berth__message_kind kind);
bool talk_send(int connection, const void *bytes, size_t size);
bool talk_pass(int connection, const void *bytes, size_t size, const int *descriptors,
               size_t count);

/* Receives a message of that kind, and closes the descriptors that come with it. */
bool talk_hears(int connection, berth__message_kind kind, berth__message *ret_message);
bool talk_ends(int connection); /* whether nothing more comes */

#endif
