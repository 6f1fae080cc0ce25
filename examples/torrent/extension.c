/*
 * The handshake of the extension protocol; extension.h describes each function.
 *
 * We offer no extension, so our dictionary `m` is empty. Of a peer's we read the three keys that
 * are of use: a value of the wrong kind, or one that cannot be, is as if it were not there.
 */
#include "extension.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bencode.h"

#define REQUESTS_UNSAID 250 /* what most clients took before there was a reqq */

size_t extension_write(void *to, size_t size, const char *client, uint16_t port)
{
    char p[16] = ""; /* keys are in their order: m, p, reqq, v */
    if (port > 0)
        snprintf(p, sizeof(p), "1:pi%" PRIu16 "e", port);
    int length = snprintf(to, size, "d1:mde%s4:reqqi%de1:v%zu:%se", p, EXTENSION_OWN_REQUESTS,
                          strlen(client), client);
    return length > 0 && (size_t)length < size ? (size_t)length : 0;
}

/* It is shown to a person. */
static void read_client(extension *self, bencode name)
{
    size_t size = name.size < sizeof(self->client) ? name.size : sizeof(self->client) - 1;
    for (size_t i = 0; i < size; i++) {
        bool printable = name.data[i] >= ' ' && name.data[i] <= '~';
        self->client[i] = printable ? (char)name.data[i] : '?';
    }
    self->client[size] = '\0';
}

bool extension_read(extension *self, const void *data, size_t size)
{
    bencode dictionary;
    bencode name;
    int64_t number;
    const char *why;
    size_t where;
    if (!bencode_read(data, size, &dictionary, &why, &where) ||
        bencode_kind_of(dictionary) != BENCODE_DICTIONARY)
        return false;
    if (bencode_find_integer(dictionary, "reqq", &number))
        self->requests = number < 1 ? 1 : number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
    if (self->requests == 0)
        self->requests = REQUESTS_UNSAID;
    if (bencode_find_integer(dictionary, "p", &number) && number > 0 && number <= UINT16_MAX)
        self->port = (uint16_t)number;
    if (bencode_find_string(dictionary, "v", &name))
        read_client(self, name);
    return true;
}
