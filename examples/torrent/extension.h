/*
 * The handshake of the extension protocol (BEP 10): a bencoded dictionary. No sockets.
 */
#ifndef TORRENT_EXTENSION_H
#define TORRENT_EXTENSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXTENSION_HANDSHAKE 0      /* the id of its message */
#define EXTENSION_OWN_REQUESTS 500 /* reqq that we advertise and honour */

typedef struct extension {
    uint32_t requests; /* reqq: how many it lets wait; 250 if it does not say, 1 at least */
    uint16_t port;     /* p: where it listens; 0 if it does not say */
    char client[64];   /* v: printable, cut */
} extension;

/* Writes ours. Returns the size; 0 if `size` is too small (160 is enough). */
size_t extension_write(void *to, size_t size, const char *client, uint16_t port);

/* Reads a peer's, which may come again: what it does not mention is unchanged. False if it is not a
 * dictionary. */
bool extension_read(extension *self, const void *data, size_t size);

#endif
