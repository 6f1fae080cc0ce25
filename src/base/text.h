/*
 * Text from outside on its way into text that the library builds: what may be in an interface's
 * name, and bytes that may not reach a log or a terminal as they are.
 */
#ifndef BERTH_SRC_TEXT_H
#define BERTH_SRC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the byte may be in the scope of an address: printable, and nothing that an interface's
 * name cannot have or that ends a scope. */
bool berth__is_scope_byte(char byte);

/* Whether `size` bytes are the name of an interface or a number. */
bool berth__is_scope(const char *scope, size_t size);

/* Whether the text has a control byte. */
bool berth__has_control(const char *text);

/* Writes the text with "\xNN" for every byte that is not printable ASCII, and for the backslash.
 * What does not fit is cut, never inside such a group. Returns `place`. */
char *berth__escape(const char *text, char *place, size_t size);

#endif
