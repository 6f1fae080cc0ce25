/*
 * What peers of the Torrent example say. A message that is found lies in the torrent, whatever the
 * input; what was broken, or found, with some bytes is the same with more of them. Messages and
 * handshakes that are written again are the bytes that were read. Data of extension messages go to
 * the reader of the extension handshake.
 *
 * The first byte chooses the torrent, and whether the fast extension was agreed on.
 */
#include <string.h>

#include "check.h"

#include "../../examples/torrent/extension.c"
#include "../../examples/torrent/wire.c"

#include "../unit/torrent_pieces.h"

static void check_inside(const wire_rules *rules, const wire_message *message, size_t whole)
{
    bool block = message->type == WIRE_REQUEST || message->type == WIRE_PIECE ||
                 message->type == WIRE_CANCEL || message->type == WIRE_REJECT;
    CHECK(whole >= 4 && whole <= 4 + longest(rules));
    CHECK(message->index < rules->info->piece_count);
    if (block)
        CHECK(message->length > 0 && message->length <= WIRE_LONGEST_REQUEST &&
              (uint64_t)message->begin + message->length <=
                  metainfo_piece_size(rules->info, message->index));
    if (message->type == WIRE_BITFIELD)
        CHECK(message->length == bits_size(rules->info->piece_count));
}

static void check_again(const wire_message *message, const uint8_t *data)
{
    uint8_t to[WIRE_SMALL];
    size_t size = 0;
    switch (message->type) {
    case WIRE_KEEP_ALIVE:
        size = wire_keep_alive(to);
        break;
    case WIRE_BITFIELD:
        size = wire_bitfield_header(to, message->length);
        break;
    case WIRE_PIECE:
        size = wire_piece_header(to, message->index, message->begin, message->length);
        break;
    case WIRE_EXTENDED:
        size = wire_extended_header(to, message->extension, message->length);
        break;
    case WIRE_HAVE:
    case WIRE_SUGGEST:
    case WIRE_ALLOWED_FAST:
        size = wire_have(to, message->type, message->index);
        break;
    case WIRE_REQUEST:
    case WIRE_CANCEL:
    case WIRE_REJECT:
        size = wire_block(to, message->type, message->index, message->begin, message->length);
        break;
    case WIRE_UNKNOWN:
        return;
    default:
        size = wire_plain(to, message->type);
    }
    CHECK(memcmp(to, data, size) == 0);
}

/* Returns the size of the message; 0 if there is none. */
static size_t check_message(const wire_rules *rules, const uint8_t *data, size_t size)
{
    size_t most = size < WIRE_SMALL ? size : WIRE_SMALL;
    wire_result last = WIRE_MORE;
    wire_message message = {0};
    size_t whole = 0;
    const char *why = NULL;
    for (size_t cut = 0; cut <= most; cut++) {
        wire_result result = wire_read(rules, data, cut, &message, &whole, &why);
        CHECK(last == WIRE_MORE || result == last);
        last = result;
    }
    CHECK(last != WIRE_MORE || most < WIRE_SMALL);
    CHECK((last == WIRE_BROKEN) == (why != NULL));
    if (last != WIRE_MESSAGE)
        return 0;
    check_inside(rules, &message, whole);
    check_again(&message, data);
    if (message.type == WIRE_EXTENDED && whole <= size) {
        extension peer = {0};
        if (extension_read(&peer, data + whole - message.length, message.length))
            CHECK(peer.requests > 0 && strlen(peer.client) < sizeof(peer.client));
    }
    return whole;
}

static void check_handshake(const uint8_t *data, size_t size)
{
    wire_handshake handshake;
    bool has_id = false;
    const char *why = NULL;
    uint8_t again[WIRE_HANDSHAKE_SIZE];
    wire_result result = wire_read_handshake(data, size, &handshake, &has_id, &why);
    CHECK((result == WIRE_MESSAGE) == (size >= ID_AT && !why));
    if (result != WIRE_MESSAGE || !has_id)
        return;
    wire_write_handshake(again, &handshake);
    CHECK(memcmp(again, data, 20) == 0);
    CHECK(memcmp(again + HASH_AT, data + HASH_AT, HASH_SIZE + PEER_ID_SIZE) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    metainfo info = data[0] & 2   ? pieces_of(1, 16384)
                    : data[0] & 4 ? pieces_of(1ull << 40, 1u << 20)
                                  : pieces_of(412345, 40000);
    wire_rules rules = {.info = &info, .fast = data[0] & 1};
    size_t at = 1;
    check_handshake(data + at, size - at);
    for (;;) {
        size_t whole = check_message(&rules, data + at, size - at);
        if (whole == 0 || whole > size - at)
            return 0;
        at += whole;
    }
}
