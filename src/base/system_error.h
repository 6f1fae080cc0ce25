/*
 * From an errno to what a user sees: a class and a reason in words.
 */
#ifndef BERTH_SYSTEM_ERROR_H
#define BERTH_SYSTEM_ERROR_H

#include <berth/error.h>

#include <stdbool.h>

/* The class of an errno; UNKNOWN for one that is not in the table, NONE for 0. */
berth_error berth__class_of(int error);

/* The reason in words, such as "permission denied"; a static string. */
const char *berth__reason_of(int error);

/* Whether the process or the host has run out of something that comes back: descriptors or memory.
 */
bool berth__is_exhaustion(int error);

#endif
