/*
 * What the example programs share of their command lines: a number with its bounds, a proxy, and
 * the one way to fail.
 *
 * A program that cannot do what it was asked to prints one line on standard error, with its name in
 * front, and exits with status 2.
 */
#ifndef BERTH_EXAMPLES_OPTIONS_H
#define BERTH_EXAMPLES_OPTIONS_H

#include <berth/berth.h>

/* Prints "program: message" on standard error and exits with status 2. */
_Noreturn void fail(const char *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The number that a text holds; fails with `what` in the message unless it is one from `least` to
 * `most`. */
long number_from(const char *program, const char *what, const char *text, long least, long most);

/* The proxy of "socks5://[USER[:PASSWORD]@]HOST:PORT", or the same with http:// (an IPv6 address in
 * brackets). `text` is cut into its parts, which the proxy points to. Fails if it is none. */
berth_proxy proxy_from(const char *program, char *text);

#endif
