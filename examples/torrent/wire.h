/*
 * The peer protocol as bytes: BEP 3, 6 (fast) and the frame of BEP 10 (extensions). No sockets.
 *
 * wire_read reads the beginning of a message, 17 bytes at most, and checks it against the torrent:
 * an index is a piece's, a block is inside its piece and at most 128 KiB long, lengths are those of
 * the type. So what is wrong is known before the rest has come, and a block is copied once, from
 * the socket to where it is stored. What breaks the protocol is WIRE_BROKEN with a line that says
 * why.
 */
#ifndef TORRENT_WIRE_H
#define TORRENT_WIRE_H

#include "metainfo.h"

#define PEER_ID_SIZE 20
#define WIRE_HANDSHAKE_SIZE 68
#define WIRE_LONGEST_REQUEST 131072u
#define WIRE_LONGEST_EXTENDED 65536u /* of an extension message; longer ones are refused */

typedef enum wire_type {
    WIRE_CHOKE = 0,
    WIRE_UNCHOKE = 1,
    WIRE_INTERESTED = 2,
    WIRE_NOT_INTERESTED = 3,
    WIRE_HAVE = 4,
    WIRE_BITFIELD = 5,
    WIRE_REQUEST = 6,
    WIRE_PIECE = 7,
    WIRE_CANCEL = 8,
    WIRE_SUGGEST = 13,
    WIRE_HAVE_ALL = 14,
    WIRE_HAVE_NONE = 15,
    WIRE_REJECT = 16,
    WIRE_ALLOWED_FAST = 17,
    WIRE_EXTENDED = 20,
    WIRE_KEEP_ALIVE = 256, /* length 0 */
    WIRE_UNKNOWN = 257     /* another type: to be ignored */
} wire_type;

typedef struct wire_message {
    wire_type type;
    uint32_t index;    /* have, request, piece, cancel, suggest, reject, allowed fast */
    uint32_t begin;    /* request, piece, cancel, reject */
    uint32_t length;   /* request, cancel, reject; of what follows the header of piece, bitfield and
                        * extended */
    uint8_t extension; /* id of an extended message */
} wire_message;

typedef enum wire_result {
    WIRE_MORE,    /* more bytes are needed to say */
    WIRE_MESSAGE, /* one was read */
    WIRE_BROKEN   /* the connection must be closed */
} wire_result;

/* What a message is checked against. */
typedef struct wire_rules {
    const metainfo *info;
    bool fast; /* both sides have set the bit: its messages are allowed */
} wire_rules;

/* Reads the beginning of a message. `size`: bytes at `data`; WIRE_SMALL of them, or all that have
 * come if these are fewer. With WIRE_MESSAGE `ret_size` is the size of the whole message, header
 * and what follows it (the last `length` bytes of piece, bitfield and extended), which may not have
 * come yet. `ret_why`: with WIRE_BROKEN. */
wire_result wire_read(const wire_rules *rules, const void *data, size_t size,
                      wire_message *ret_message, size_t *ret_size, const char **ret_why);

/* Each writes a whole message and returns its size. `to` has at least WIRE_SMALL bytes. */
#define WIRE_SMALL 17
size_t wire_keep_alive(uint8_t *to);
size_t wire_plain(uint8_t *to, wire_type type); /* choke to not interested, have all and none */
size_t wire_have(uint8_t *to, wire_type type, uint32_t index); /* have, suggest, allowed fast */
size_t wire_block(uint8_t *to, wire_type type, uint32_t index, uint32_t begin,
                  uint32_t length); /* request, cancel, reject */

/* The header of a message whose data are written behind it. */
#define WIRE_PIECE_HEADER 13
size_t wire_piece_header(uint8_t *to, uint32_t index, uint32_t begin, uint32_t length);
size_t wire_bitfield_header(uint8_t *to, size_t size);
size_t wire_extended_header(uint8_t *to, uint8_t id, size_t size);

typedef struct wire_handshake {
    uint8_t hash[HASH_SIZE];
    uint8_t peer_id[PEER_ID_SIZE];
    bool fast;
    bool extensions;
} wire_handshake;

void wire_write_handshake(uint8_t to[WIRE_HANDSHAKE_SIZE], const wire_handshake *handshake);

/* Reads the first 48 bytes (protocol, bits, hash), or all 68 of them, as far as they have come. */
wire_result wire_read_handshake(const void *data, size_t size, wire_handshake *ret_handshake,
                                bool *ret_has_id, const char **ret_why);

#endif
