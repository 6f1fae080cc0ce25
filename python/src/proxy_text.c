/*
 * Qt's texts of what goes wrong with a proxy: they depend on the class of the error and on the type
 * of the proxy, and some of them on the proxy's answer.
 *
 * The answer is known by the reason at the end of the library's text. A reason that no row has gets
 * the text of its class. A reply of SOCKS5 that is in no standard has its number in the text; Qt
 * pads that with blanks.
 */
#include "proxy_text.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define HTTP " through the HTTP proxy "
#define SOCKS5 " through the SOCKS5 proxy "
#define UNKNOWN_REPLY "unknown SOCKS5 reply "

typedef struct row {
    berth_error error;
    const char *reason; /* that the library's ends with; NULL: any */
    const char *text;
} row;

static const row socks5[] = {
    {BERTH_ERROR_NETWORK, "general failure of the SOCKS5 server", "General SOCKSv5 server failure"},
    {BERTH_ERROR_NETWORK, "network unreachable from the SOCKS5 server", "Network unreachable"},
    {BERTH_ERROR_NETWORK, "TTL expired", "TTL expired"},
    {BERTH_ERROR_SOCKET_ACCESS, "not allowed by the SOCKS5 server",
     "Connection not allowed by SOCKSv5 server"},
    {BERTH_ERROR_SOCKET_ACCESS, "the proxy chose an authentication method that was not offered",
     "Proxy authentication failed: Socks5 host did not support authentication method."},
    {BERTH_ERROR_UNSUPPORTED_OPERATION, "command not supported by the SOCKS5 server",
     "SOCKSv5 command not supported"},
    {BERTH_ERROR_UNSUPPORTED_OPERATION, "address type not supported by the SOCKS5 server",
     "Address type not supported"},
    {BERTH_ERROR_PROXY_PROTOCOL, NULL, "SOCKS version 5 protocol error"},
    {BERTH_ERROR_PROXY_AUTHENTICATION_REQUIRED, NULL, "Proxy authentication failed"},
    {BERTH_ERROR_PROXY_CONNECTION_CLOSED, NULL, "Connection to proxy closed prematurely"},
    {BERTH_ERROR_PROXY_CONNECTION_REFUSED, NULL, "Connection to proxy refused"},
    {BERTH_ERROR_PROXY_CONNECTION_TIMEOUT, NULL, "Connection to proxy timed out"},
    {BERTH_ERROR_PROXY_NOT_FOUND, NULL, "Proxy host not found"},
};

static const row http[] = {
    {BERTH_ERROR_UNSUPPORTED_OPERATION, "an HTTP proxy cannot listen",
     "Operation on socket is not supported"},
    {BERTH_ERROR_SOCKET_ACCESS, NULL, "Proxy denied connection"},
    {BERTH_ERROR_PROXY_PROTOCOL, "the proxy requires an authentication scheme other than Basic",
     "Error parsing authentication request from proxy"},
    {BERTH_ERROR_PROXY_PROTOCOL, "the proxy's answer is not HTTP",
     "Did not receive HTTP response from proxy"},
    {BERTH_ERROR_PROXY_PROTOCOL, NULL, "Error communicating with HTTP proxy"},
    {BERTH_ERROR_PROXY_AUTHENTICATION_REQUIRED, NULL, "Authentication required"},
    {BERTH_ERROR_PROXY_CONNECTION_CLOSED, NULL, "Proxy connection closed prematurely"},
    {BERTH_ERROR_PROXY_CONNECTION_REFUSED, NULL, "Proxy connection refused"},
    {BERTH_ERROR_PROXY_CONNECTION_TIMEOUT, NULL, "Proxy server connection timed out"},
    {BERTH_ERROR_PROXY_NOT_FOUND, NULL, "Proxy server not found"},
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), size = strlen(end);
    return length >= size && strcmp(text + length - size, end) == 0;
}

static const char *find(const row *rows, size_t count, berth_error error, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].error == error && (rows[i].reason == NULL || ends_with(text, rows[i].reason)))
            return rows[i].text;
    }
    return NULL;
}

/* The text for a reply that nobody knows, with the two digits of its number. */
static const char *unknown_reply(const char *text)
{
    static __thread char memory[48];
    const char *place = strstr(text, UNKNOWN_REPLY);
    if (place == NULL)
        return NULL;
    snprintf(memory, sizeof memory, "Unknown SOCKSv5 proxy error code %s",
             place + sizeof UNKNOWN_REPLY - 1);
    return memory;
}

const char *bpy_proxy_text(berth_error error, const char *text)
{
    if (strstr(text, HTTP) != NULL)
        return find(http, sizeof http / sizeof http[0], error, text);
    if (strstr(text, SOCKS5) == NULL)
        return NULL;
    if (error == BERTH_ERROR_UNKNOWN)
        return unknown_reply(text);
    return find(socks5, sizeof socks5 / sizeof socks5[0], error, text);
}
