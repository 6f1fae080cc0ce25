/*
 * Numbers and proxies on the command line, and error messages: see options.h.
 */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fail(const char *program, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s: ", program);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

void fail_without_loop(const char *program, const char *backend)
{
    char reason[160];
    const char *error = strerror(errno);
    bool now = berth_loop_backend_available(backend, reason, sizeof(reason));
    fail(program, "cannot make an event loop: %s", now ? error : reason);
}

long number_from(const char *program, const char *what, const char *text, long least, long most)
{
    char *end = NULL;
    errno = 0;
    /* strtol alone would accept leading blanks and signs. */
    long number = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : 0;
    if (!end || *end != '\0' || errno != 0 || number < least || number > most)
        fail(program, "%s must be a number from %ld to %ld, not '%s'", what, least, most, text);
    return number;
}

berth_address address_from(const char *program, const char *text)
{
    berth_address address = BERTH_ADDRESS_NULL;
    if (!berth_address_parse(text, &address))
        fail(program, "'%s' is not an IPv4 or IPv6 address", text);
    return address;
}

/* Cuts off and returns the text before the last `mark`; NULL if there is none. */
static char *cut(char **rest, char mark)
{
    char *place = strrchr(*rest, mark);
    char *before = *rest;
    if (!place)
        return NULL;
    *place = '\0';
    *rest = place + 1;
    return before;
}

berth_proxy proxy_from(const char *program, char *text)
{
    static const char wrong[] =
        "a proxy has the form socks5://[USER[:PASSWORD]@]HOST:PORT, or http:// likewise";
    berth_proxy proxy = {.type = BERTH_PROXY_SOCKS5};
    size_t scheme = strlen("socks5://");
    if (strncmp(text, "http://", 7) == 0) {
        proxy.type = BERTH_PROXY_HTTP;
        scheme = strlen("http://");
    } else if (strncmp(text, "socks5://", scheme) != 0) {
        fail(program, "%s", wrong);
    }
    char *rest = text + scheme;
    char *user = cut(&rest, '@');
    char *host = cut(&rest, ':');
    if (!host || *host == '\0')
        fail(program, "%s", wrong);
    proxy.port = (uint16_t)number_from(program, "the proxy's port", rest, 1, 65535);
    size_t length = strlen(host);
    if (host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        host++;
    }
    proxy.host = host;
    char *colon = user ? strchr(user, ':') : NULL;
    if (colon) {
        *colon = '\0';
        proxy.password = colon + 1;
    }
    proxy.user = user;
    return proxy;
}
