/*
 * The command lines of the examples: numbers with bounds, proxies, and error messages.
 *
 * A program that cannot do what was requested prints one line on standard error, beginning with its
 * name, and exits with status 2.
 */
#ifndef BERTH_EXAMPLES_OPTIONS_H
#define BERTH_EXAMPLES_OPTIONS_H

#include <berth/berth.h>

/* Prints "program: message" on standard error and exits with status 2. */
_Noreturn void fail(const char *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Fails because no loop could be made, and says why. `backend` is the one that was asked for, or
 * NULL. */
_Noreturn void fail_without_loop(const char *program, const char *backend);

/* Parses a number. Fails, with `what` in the message, unless it is from `least` to `most`. */
long number_from(const char *program, const char *what, const char *text, long least, long most);

/* Parses an IPv4 or IPv6 address; fails for other texts. */
berth_address address_from(const char *program, const char *text);

/* Parses a proxy: "socks5://[USER[:PASSWORD]@]HOST:PORT", or the same with http://. An IPv6 address
 * is in brackets. `text` is modified, and the result points into it. Fails for other texts. */
berth_proxy proxy_from(const char *program, char *text);

#endif
