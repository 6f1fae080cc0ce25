/*
 * The tables behind refusal.h: named refusals, the reply codes of RFC 1928, the statuses of an HTTP
 * proxy that mean more than "no".
 *
 * A number that no table has still gets a class and words that show it: an unknown SOCKS5 reply is
 * UNKNOWN, an unknown status is an error of the protocol, since only 200 lets a tunnel begin. A
 * SOCKS5 proxy that looks up names itself reports a name it does not know as a general failure or
 * as forbidden, having no code for it; so these two mean "host not found" for a name.
 */
#include "refusal.h"

#include <stdio.h>

typedef struct meaning {
    int code;
    berth_error class;
    const char *reason;
} meaning;

static const meaning named[] = {
#define ROW(name, class, reason) {BERTH__REFUSAL_##name, BERTH_ERROR_##class, reason},
    BERTH__REFUSAL_LIST(ROW)
#undef ROW
};

static const meaning replies[] = {
    {1, BERTH_ERROR_NETWORK, "general failure of the SOCKS5 server"},
    {2, BERTH_ERROR_SOCKET_ACCESS, "not allowed by the SOCKS5 server"},
    {3, BERTH_ERROR_NETWORK, "network unreachable from the SOCKS5 server"},
    {4, BERTH_ERROR_HOST_NOT_FOUND, "host unreachable from the SOCKS5 server"},
    {5, BERTH_ERROR_CONNECTION_REFUSED, "connection refused"},
    {6, BERTH_ERROR_NETWORK, "TTL expired"},
    {7, BERTH_ERROR_UNSUPPORTED_OPERATION, "command not supported by the SOCKS5 server"},
    {8, BERTH_ERROR_UNSUPPORTED_OPERATION, "address type not supported by the SOCKS5 server"},
};

static const meaning statuses[] = {
    {403, BERTH_ERROR_SOCKET_ACCESS, "forbidden"},
    {404, BERTH_ERROR_HOST_NOT_FOUND, "host not found"},
    {405, BERTH_ERROR_SOCKET_ACCESS, "CONNECT not allowed"},
    {407, BERTH_ERROR_PROXY_AUTHENTICATION_REQUIRED, "authentication required"},
    {502, BERTH_ERROR_PROXY_PROTOCOL, "bad gateway"},
    {503, BERTH_ERROR_CONNECTION_REFUSED, "connection refused"},
    {504, BERTH_ERROR_PROXY_PROTOCOL, "gateway timeout"},
};

static const meaning *find(const meaning *table, size_t count, int code)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].code == code)
            return &table[i];
    }
    return NULL;
}

#define FIND(table, code) find(table, sizeof(table) / sizeof(table)[0], code)

static bool is_socks5(int number)
{
    return number >= BERTH__REFUSAL_SOCKS5 && number < BERTH__REFUSAL_HTTP;
}

bool berth__is_refusal(int number)
{
    return number >= BERTH__REFUSAL_FIRST;
}

bool berth__refusal_is_of_target(int number)
{
    return number >= BERTH__REFUSAL_SOCKS5 && number != BERTH__REFUSAL_HTTP + 407;
}

berth_error berth__refusal_class(int number)
{
    const meaning *found;
    if (is_socks5(number)) {
        int code = (number - BERTH__REFUSAL_SOCKS5) & 0xff;
        bool by_name = number - BERTH__REFUSAL_SOCKS5 > 0xff;
        found = FIND(replies, code);
        if (by_name && (code == 1 || code == 2))
            return BERTH_ERROR_HOST_NOT_FOUND;
        return found != NULL ? found->class : BERTH_ERROR_UNKNOWN;
    }
    if (number >= BERTH__REFUSAL_HTTP) {
        found = FIND(statuses, number - BERTH__REFUSAL_HTTP);
        return found != NULL ? found->class : BERTH_ERROR_PROXY_PROTOCOL;
    }
    found = FIND(named, number);
    return found != NULL ? found->class : BERTH_ERROR_UNKNOWN;
}

const char *berth__refusal_reason(int number, char *text, size_t size)
{
    const meaning *found;
    if (is_socks5(number)) {
        int code = (number - BERTH__REFUSAL_SOCKS5) & 0xff;
        found = FIND(replies, code);
        if (found == NULL)
            snprintf(text, size, "unknown SOCKS5 reply 0x%02x", (unsigned)code);
        else
            snprintf(text, size, "%s", found->reason);
    } else if (number >= BERTH__REFUSAL_HTTP) {
        int status = number - BERTH__REFUSAL_HTTP;
        found = FIND(statuses, status);
        snprintf(text, size, "the proxy answered %d%s%s", status, found != NULL ? ", " : "",
                 found != NULL ? found->reason : "");
    } else {
        found = FIND(named, number);
        snprintf(text, size, "%s", found != NULL ? found->reason : "unknown reason");
    }
    return text;
}
