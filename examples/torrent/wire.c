/*
 * The peer protocol as bytes; wire.h describes each function.
 *
 * A message is a length (4 bytes, of what follows), a type (1 byte) and a body: fields, and for
 * some types data. It is checked as early as its bytes allow: the length against the longest
 * message there is, then against the type, then the fields. All sums are of 64 bits.
 */
#include "wire.h"

#include <string.h>

#include "bits.h"

#define LENGTH_SIZE 4
#define HASH_AT 28 /* in a handshake */
#define ID_AT 48
#define FAST_BYTE 27
#define FAST_BIT 0x04
#define EXTENSIONS_BYTE 25
#define EXTENSIONS_BIT 0x10

static const uint8_t protocol[20] = "\x13"
                                    "BitTorrent protocol";

static uint32_t get_number(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static void put_number(uint8_t *to, uint32_t number)
{
    to[0] = (uint8_t)(number >> 24);
    to[1] = (uint8_t)(number >> 16);
    to[2] = (uint8_t)(number >> 8);
    to[3] = (uint8_t)number;
}

/* ---- messages that come ---------------------------------------------------------------------- */

/* Of type and body. What is unknown may be as long as a piece. */
static uint64_t longest(const wire_rules *rules)
{
    uint64_t piece = 9 + WIRE_LONGEST_REQUEST;
    uint64_t field = 1 + (uint64_t)bits_size(rules->info->piece_count);
    return field > piece ? field : piece;
}

static bool is_of_fast_extension(uint8_t type)
{
    return type >= WIRE_SUGGEST && type <= WIRE_ALLOWED_FAST;
}

static wire_type type_of(uint8_t type)
{
    bool known = type <= WIRE_CANCEL || is_of_fast_extension(type) || type == WIRE_EXTENDED;
    return known ? (wire_type)type : WIRE_UNKNOWN;
}

/* Whether a message of this type may have this length (of type and body). */
static bool has_length(const wire_rules *rules, wire_type type, uint32_t length)
{
    switch (type) {
    case WIRE_CHOKE:
    case WIRE_UNCHOKE:
    case WIRE_INTERESTED:
    case WIRE_NOT_INTERESTED:
    case WIRE_HAVE_ALL:
    case WIRE_HAVE_NONE:
        return length == 1;
    case WIRE_HAVE:
    case WIRE_SUGGEST:
    case WIRE_ALLOWED_FAST:
        return length == 5;
    case WIRE_REQUEST:
    case WIRE_CANCEL:
    case WIRE_REJECT:
        return length == 13;
    case WIRE_BITFIELD:
        return length - 1 == bits_size(rules->info->piece_count);
    case WIRE_PIECE:
        return length > 9 && length - 9 <= WIRE_LONGEST_REQUEST;
    case WIRE_EXTENDED:
        return length >= 2 && length - 2 <= WIRE_LONGEST_EXTENDED;
    case WIRE_KEEP_ALIVE:
    case WIRE_UNKNOWN:
        break;
    }
    return true;
}

/* The bytes of the body that are fields, as opposed to data. */
static uint32_t fields_of(wire_type type, uint32_t length)
{
    switch (type) {
    case WIRE_BITFIELD:
    case WIRE_UNKNOWN:
        return 0;
    case WIRE_PIECE:
        return 8;
    case WIRE_EXTENDED:
        return 1;
    default:
        return length - 1;
    }
}

/* Reads the fields, and checks them. Returns why they are wrong, or NULL. */
static const char *read_fields(const wire_rules *rules, const uint8_t *body, uint32_t size,
                               wire_message *message)
{
    if (message->type == WIRE_EXTENDED)
        message->extension = body[0];
    if (message->type == WIRE_EXTENDED || size < 4)
        return NULL;
    message->index = get_number(body);
    if (message->index >= rules->info->piece_count)
        return "a piece that there is not";
    if (size < 8)
        return NULL;
    message->begin = get_number(body + 4);
    if (size == 12)
        message->length = get_number(body + 8);
    if (message->length == 0)
        return "a block of no bytes";
    if (message->length > WIRE_LONGEST_REQUEST)
        return "a block that is too long";
    uint64_t end = (uint64_t)message->begin + message->length;
    if (end > metainfo_piece_size(rules->info, message->index))
        return "a block beyond its piece";
    return NULL;
}

static wire_result broken(const char **ret_why, const char *why)
{
    *ret_why = why;
    return WIRE_BROKEN;
}

wire_result wire_read(const wire_rules *rules, const void *data, size_t size,
                      wire_message *ret_message, size_t *ret_size, const char **ret_why)
{
    const uint8_t *bytes = data;
    wire_message message = {.type = WIRE_KEEP_ALIVE};
    if (size < LENGTH_SIZE)
        return WIRE_MORE;
    uint32_t length = get_number(bytes);
    if (length > longest(rules))
        return broken(ret_why, "a message that is too long");
    if (length > 0) {
        if (size == LENGTH_SIZE)
            return WIRE_MORE;
        const uint8_t *body = bytes + LENGTH_SIZE + 1;
        if (is_of_fast_extension(body[-1]) && !rules->fast)
            return broken(ret_why, "a message of the fast extension, which was not agreed on");
        message.type = type_of(body[-1]);
        if (!has_length(rules, message.type, length))
            return broken(ret_why, "a message whose length is not that of its type");
        uint32_t fields = fields_of(message.type, length);
        if (size - LENGTH_SIZE - 1 < fields)
            return WIRE_MORE;
        message.length = length - 1 - fields;
        const char *why = read_fields(rules, body, fields, &message);
        if (why)
            return broken(ret_why, why);
    }
    *ret_message = message;
    *ret_size = LENGTH_SIZE + (size_t)length;
    return WIRE_MESSAGE;
}

/* ---- messages that go ------------------------------------------------------------------------ */

static size_t put_header(uint8_t *to, uint32_t length, uint32_t type)
{
    put_number(to, length);
    to[LENGTH_SIZE] = (uint8_t)type;
    return LENGTH_SIZE + 1;
}

size_t wire_keep_alive(uint8_t *to)
{
    put_number(to, 0);
    return LENGTH_SIZE;
}

size_t wire_plain(uint8_t *to, wire_type type)
{
    return put_header(to, 1, type);
}

size_t wire_have(uint8_t *to, wire_type type, uint32_t index)
{
    size_t at = put_header(to, 5, type);
    put_number(to + at, index);
    return at + 4;
}

size_t wire_block(uint8_t *to, wire_type type, uint32_t index, uint32_t begin, uint32_t length)
{
    size_t at = put_header(to, 13, type);
    put_number(to + at, index);
    put_number(to + at + 4, begin);
    put_number(to + at + 8, length);
    return at + 12;
}

size_t wire_piece_header(uint8_t *to, uint32_t index, uint32_t begin, uint32_t length)
{
    size_t at = put_header(to, 9 + length, WIRE_PIECE);
    put_number(to + at, index);
    put_number(to + at + 4, begin);
    return at + 8;
}

size_t wire_bitfield_header(uint8_t *to, size_t size)
{
    return put_header(to, (uint32_t)(1 + size), WIRE_BITFIELD);
}

size_t wire_extended_header(uint8_t *to, uint8_t id, size_t size)
{
    size_t at = put_header(to, (uint32_t)(2 + size), WIRE_EXTENDED);
    to[at] = id;
    return at + 1;
}

/* ---- the handshake --------------------------------------------------------------------------- */

void wire_write_handshake(uint8_t to[WIRE_HANDSHAKE_SIZE], const wire_handshake *handshake)
{
    memset(to, 0, WIRE_HANDSHAKE_SIZE);
    memcpy(to, protocol, sizeof(protocol));
    to[FAST_BYTE] = handshake->fast ? FAST_BIT : 0;
    to[EXTENSIONS_BYTE] = handshake->extensions ? EXTENSIONS_BIT : 0;
    memcpy(to + HASH_AT, handshake->hash, HASH_SIZE);
    memcpy(to + ID_AT, handshake->peer_id, PEER_ID_SIZE);
}

/* The first wrong byte decides: a peer that begins with encryption is not waited for. */
wire_result wire_read_handshake(const void *data, size_t size, wire_handshake *ret_handshake,
                                bool *ret_has_id, const char **ret_why)
{
    const uint8_t *bytes = data;
    if (memcmp(bytes, protocol, size < sizeof(protocol) ? size : sizeof(protocol)) != 0)
        return broken(ret_why, bytes[0] == protocol[0] ? "another protocol"
                                                       : "another protocol, or encryption");
    if (size < ID_AT)
        return WIRE_MORE;
    wire_handshake handshake = {.fast = (bytes[FAST_BYTE] & FAST_BIT) != 0,
                                .extensions = (bytes[EXTENSIONS_BYTE] & EXTENSIONS_BIT) != 0};
    memcpy(handshake.hash, bytes + HASH_AT, HASH_SIZE);
    *ret_has_id = size >= WIRE_HANDSHAKE_SIZE;
    if (*ret_has_id)
        memcpy(handshake.peer_id, bytes + ID_AT, PEER_ID_SIZE);
    *ret_handshake = handshake;
    return WIRE_MESSAGE;
}
